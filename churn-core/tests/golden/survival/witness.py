"""Writes the golden files of the survival methods from outside the library.

Needs lifelines 0.30 (data sets and models), numpy and scipy; what lifelines lacks is computed here
from the documented definitions. `python witness.py` compares, `python witness.py --write` writes.
"""

import json
import sys
import warnings
from pathlib import Path

import lifelines
import numpy as np
import pandas as pd
from lifelines import (
    CoxPHFitter,
    CoxTimeVaryingFitter,
    KaplanMeierFitter,
    NelsonAalenFitter,
    WeibullAFTFitter,
    WeibullFitter,
)
from lifelines.datasets import load_rossi, load_stanford_heart_transplants, load_waltons
from lifelines.statistics import multivariate_logrank_test
from scipy.stats import norm

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
SOURCE = f"witness.py in this folder, with lifelines {lifelines.__version__}"
PRECISE = {"precision": 1e-13, "r_precision": 1e-14}

waltons = load_waltons()
rossi = load_rossi()
heart = load_stanford_heart_transplants()
FIELDS = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


def numbers(values) -> list:
    return [float(x) for x in np.asarray(values, dtype=float)]


def flags(values) -> list[bool]:
    return [bool(x) for x in values]


def spells(durations, events, entry=None) -> dict:
    given = {"durations": numbers(durations), "event_observed": flags(events)}
    return given if entry is None else given | {"entry": numbers(entry)}


WALTONS = spells(waltons["T"], waltons["E"])
ROSSI = spells(rossi["week"], rossi["arrest"]) | {
    "covariates": {name: numbers(rossi[name]) for name in FIELDS}
}
HEART_FIELDS = ["age", "year", "surgery", "transplant"]
HEART = spells(heart["stop"], heart["event"], heart["start"]) | {
    "covariates": {name: numbers(heart[name]) for name in HEART_FIELDS}
}


# ---- curves ------------------------------------------------------------------------------------


def event_table(given: dict) -> dict[str, np.ndarray]:
    """Rows at risk in (entry, duration] at each distinct time, with time 0 in front."""
    stop = np.array(given["durations"])
    event = np.array(given["event_observed"])
    start = np.array(given.get("entry", np.full(len(stop), -np.inf)))
    times = np.unique(stop)
    rows = [(t, ((start < t) & (stop >= t)).sum(), (event & (stop == t)).sum()) for t in times]
    censored = [(~event & (stop == t)).sum() for t in times]
    times, at_risk, events = (list(column) for column in zip(*rows))
    if times[0] > 0:
        times, events, censored = [0.0, *times], [0, *events], [0, *censored]
        at_risk = [(start <= 0).sum(), *at_risk]
    names = ["times", "at_risk", "events", "censored"]
    columns = [times, at_risk, events, censored]
    return {name: np.array(column, dtype=float) for name, column in zip(names, columns)}


def kaplan_meier(given: dict) -> dict:
    settings = given.get("kaplan_meier", {})
    z = norm.ppf(0.5 + settings.get("confidence", 0.95) / 2)
    table = event_table(given)
    n, d = table["at_risk"], table["events"]
    s = np.cumprod(np.where(d > 0, (n - d) / np.maximum(n, 1), 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        width = z * np.sqrt(np.cumsum(np.where(d > 0, d / (n * (n - d)), 0.0)))
        match settings.get("transform", "log_log"):
            case "log_log":
                low, high = s ** np.exp(-width / np.log(s)), s ** np.exp(width / np.log(s))
            case "log":
                low, high = s * np.exp(-width), np.minimum(s * np.exp(width), 1)
            case "plain":
                low, high = np.maximum(s - s * width, 0), np.minimum(s + s * width, 1)
    inside = (s > 0) & (s < 1)
    low, high = np.where(inside, low, s), np.where(inside, high, s)
    if "entry" not in given and settings.get("transform", "log_log") == "log_log":
        fitted = KaplanMeierFitter(alpha=1 - settings.get("confidence", 0.95))
        fitted.fit(given["durations"], given["event_observed"])
        assert np.allclose(fitted.survival_function_.iloc[:, 0], s, atol=1e-14)
        bounds = fitted.confidence_interval_.to_numpy()
        assert np.allclose(bounds[inside, 0], low[inside], atol=1e-12)
        assert np.allclose(bounds[inside, 1], high[inside], atol=1e-12)
    half = np.flatnonzero(s <= 0.5)
    return {name: numbers(column) for name, column in table.items()} | {
        "survival": numbers(s),
        "lower": numbers(low),
        "upper": numbers(high),
        "median": float(table["times"][half[0]]) if len(half) else None,
    }


def nelson_aalen(given: dict) -> dict:
    settings = given.get("nelson_aalen", {})
    confidence, apart = settings.get("confidence", 0.95), settings.get("ties") != "together"
    table = event_table(given)
    if apart:
        fitted = NelsonAalenFitter(alpha=1 - confidence, nelson_aalen_smoothing=True)
        fitted.fit(given["durations"], given["event_observed"])
        hazard = fitted.cumulative_hazard_.iloc[:, 0].to_numpy()
        bounds = fitted.confidence_interval_.to_numpy()
        low, high = bounds[:, 0], bounds[:, 1]
    else:
        n, d = np.maximum(table["at_risk"], 1), table["events"]
        hazard, variance = np.cumsum(d / n), np.cumsum(d / n**2)
        factor = np.exp(
            norm.ppf(0.5 + confidence / 2) * np.sqrt(variance) / np.where(hazard > 0, hazard, 1)
        )
        low, high = hazard / factor, hazard * factor
    return {
        "times": numbers(table["times"]),
        "cumulative_hazard": numbers(hazard),
        "lower": numbers(low),
        "upper": numbers(high),
    }


def log_rank(given: dict) -> dict:
    weights = given.get("weights", "log_rank")
    options = {}
    match weights:
        case "wilcoxon" | "tarone_ware":
            options = {"weightings": weights.replace("_", "-")}
        case {"fleming_harrington": powers}:
            options = {"weightings": "fleming-harrington", **powers}
    result = multivariate_logrank_test(
        given["durations"], given["groups"], given["event_observed"], **options
    )
    stop = np.array(given["durations"])
    event, groups = np.array(given["event_observed"]), np.array(given["groups"])
    expected = np.zeros(groups.max() + 1)
    for t in np.unique(stop[event]):
        at_risk = stop >= t
        share = np.bincount(groups[at_risk], minlength=len(expected)) / at_risk.sum()
        expected += (event & (stop == t)).sum() * share
    return {
        "statistic": float(result.test_statistic),
        "degrees_of_freedom": int(groups.max()),
        "p_value": float(result.p_value),
        "observed": [int((event & (groups == g)).sum()) for g in range(len(expected))],
        "expected": numbers(expected),
    }


# ---- regression --------------------------------------------------------------------------------


def frame(given: dict) -> pd.DataFrame:
    columns = {
        "__stop": given["durations"],
        "__event": given["event_observed"],
        **given.get("covariates", {}),
    }
    return pd.DataFrame(columns)


def pairs(given: dict, risk: np.ndarray) -> float:
    """Harrell's concordance, pair by pair, within strata and risk sets."""
    stop, event = np.array(given["durations"]), np.array(given["event_observed"])
    start = np.array(given.get("entry", np.full(len(stop), -np.inf)))
    strata = np.array(given.get("strata", np.zeros(len(stop))))
    good = total = 0.0
    for i in np.flatnonzero(event):
        later = (stop > stop[i]) | ((stop == stop[i]) & ~event)
        others = later & (start < stop[i]) & (strata == strata[i])
        good += (risk[others] < risk[i]).sum() + 0.5 * (risk[others] == risk[i]).sum()
        total += others.sum()
    return good / total


def partial_likelihood(given: dict, beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, gradient and information, time by time: for ties by Breslow, which lifelines lacks."""
    x = np.column_stack(list(given["covariates"].values()))
    stop, event = np.array(given["durations"]), np.array(given["event_observed"])
    value, gradient, information = 0.0, np.zeros(len(beta)), np.zeros((len(beta),) * 2)
    risk = np.exp(x @ beta)
    for t in np.unique(stop[event]):
        among, ends = stop >= t, event & (stop == t)
        share = risk[among] / risk[among].sum()
        mean = share @ x[among]
        spread = (x[among] * share[:, None]).T @ x[among] - np.outer(mean, mean)
        value += (x[ends] @ beta).sum() - ends.sum() * np.log(risk[among].sum())
        gradient += x[ends].sum(0) - ends.sum() * mean
        information += ends.sum() * spread
    return value, gradient, information


def cox(given: dict) -> dict:
    settings = given.get("cox", {})
    data = frame(given)
    names = list(given["covariates"])
    x = data[names].to_numpy()
    null = None
    if settings.get("ties") == "breslow":
        beta = np.zeros(len(names))
        for _ in range(20):
            value, gradient, information = partial_likelihood(given, beta)
            null = value if null is None else null
            beta = beta + np.linalg.solve(information, gradient)
        value, gradient, information = partial_likelihood(given, beta)
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
    elif "entry" in given:
        data["__start"], data["__id"] = given["entry"], range(len(data))
        fitted = CoxTimeVaryingFitter()
        fitted.fit(
            data,
            id_col="__id",
            event_col="__event",
            start_col="__start",
            stop_col="__stop",
            fit_options={"precision": 1e-13},
        )
        beta, errors = fitted.params_.to_numpy(), fitted.standard_errors_.to_numpy()
        value = fitted.log_likelihood_
        null = fitted._log_likelihood_null
    else:
        if "strata" in given:
            data["__stratum"] = given["strata"]
        fitted = CoxPHFitter(penalizer=settings.get("l2_penalty", 0.0))
        strata = ["__stratum"] if "strata" in given else None
        fitted.fit(data, "__stop", "__event", strata=strata, fit_options=PRECISE)
        beta, errors = fitted.params_.to_numpy(), fitted.standard_errors_.to_numpy()
        value, null = fitted.log_likelihood_, fitted._ll_null_
        if settings.get("l2_penalty"):
            scaled = beta * data[names].std().to_numpy()
            value += settings["l2_penalty"] * len(data) / 2 * (scaled**2).sum()
    z = beta / errors
    width = norm.ppf(0.5 + settings.get("confidence", 0.95) / 2) * errors
    risk = (x - x.mean(0)) @ beta
    answer = {
        "coefficient": dict(zip(names, numbers(beta))),
        "standard_error": dict(zip(names, numbers(errors))),
        "p_value": dict(zip(names, numbers(2 * norm.sf(np.abs(z))))),
        "lower": dict(zip(names, numbers(beta - width))),
        "upper": dict(zip(names, numbers(beta + width))),
        "log_likelihood": float(value),
        "null_log_likelihood": float(null),
        "concordance": pairs(given, risk),
    }
    stop, event = np.array(given["durations"]), np.array(given["event_observed"])
    start = np.array(given.get("entry", np.full(len(stop), -np.inf)))
    strata = np.array(given.get("strata", np.zeros(len(stop), dtype=int)))
    times = np.array(given["times"])
    rows = given["rows"]
    survival = []
    for t in times:
        for row in rows:
            own = strata == strata[row]
            ends = np.unique(stop[event & own & (stop <= t)])
            hazard = sum(
                (event & own & (stop == e)).sum()
                / np.exp(risk[own & (start < e) & (stop >= e)]).sum()
                for e in ends
            )
            survival.append(float(np.exp(-hazard * np.exp(risk[row]))))
    return answer | {"survival": survival}


def weibull(given: dict) -> dict:
    settings = given.get("weibull_aft", {})
    data = frame(given)
    names = list(given.get("covariates", {}))
    if names:
        fitted = WeibullAFTFitter().fit(data, "__stop", "__event", fit_options={"ftol": 1e-15})
        params, errors = fitted.params_, fitted.standard_errors_
        scale = [("lambda_", name) for name in ["Intercept", *names]]
        beta, spread = numbers(params[scale]), numbers(errors[scale])
        log_shape = float(params[("rho_", "Intercept")])
        shape_error = float(errors[("rho_", "Intercept")])
        x = np.column_stack([np.ones(len(data)), data[names]])
        lam = np.exp(x @ np.array(beta))
    else:
        fitted = WeibullFitter().fit(data["__stop"], data["__event"])
        beta = [float(np.log(fitted.lambda_))]
        spread = [float(fitted.summary["se(coef)"]["lambda_"] / fitted.lambda_)]
        log_shape = float(np.log(fitted.rho_))
        shape_error = float(fitted.summary["se(coef)"]["rho_"] / fitted.rho_)
        lam = np.full(len(data), fitted.lambda_)
    shape = np.exp(log_shape)
    labels = ["intercept", *names]
    answer = {
        "coefficient": dict(zip(labels, beta)),
        "standard_error": dict(zip(labels, spread)),
        "log_shape": log_shape,
        "log_shape_error": shape_error,
        "log_likelihood": float(fitted.log_likelihood_),
        "concordance": pairs(given, -lam) if names else None,
    }
    if names:
        rows = given["rows"]
        answer["survival"] = [
            float(np.exp(-((t / lam[row]) ** shape))) for t in given["times"] for row in rows
        ]
        answer["median"] = [float(lam[row] * np.log(2) ** (1 / shape)) for row in rows]
    return answer


def brier(given: dict) -> dict:
    stop, event = np.array(given["durations"]), np.array(given["event_observed"])

    def watched(t: float, inclusive: bool) -> float:
        share = 1.0
        for c in np.unique(stop[~event]):
            if c < t or (inclusive and c == t):
                left = (stop >= c).sum() - (event & (stop == c)).sum()
                share *= 1 - (~event & (stop == c)).sum() / left
        return share

    times = given["times"]
    predicted = np.array(given["survival"]).reshape(len(times), -1)
    scores = []
    for t, s in zip(times, predicted):
        terms = [
            (1 - p) ** 2 / watched(t, True)
            if stop[i] > t
            else event[i] * p**2 / (watched(stop[i], False) if event[i] else 1)
            for i, p in enumerate(s)
        ]
        scores.append(float(np.mean(terms)))
    area = float(np.trapezoid(scores, times)) / (times[-1] - times[0])
    return {"scores": scores, "integrated": area}


# ---- files -------------------------------------------------------------------------------------

ANSWERS = {
    "survival.kaplan_meier": kaplan_meier,
    "survival.nelson_aalen": nelson_aalen,
    "survival.log_rank": log_rank,
    "survival.cox": cox,
    "survival.weibull_aft": weibull,
    "survival.brier": brier,
}

GROUPS = [int(group == "miR-137") for group in waltons["group"]]
LATE = spells(heart["stop"], heart["event"], heart["start"])
THIRDS = [int(age > 21) + int(age > 26) for age in rossi["age"]]
ASK = {"times": [10.0, 30.0, 52.0], "rows": [0, 3, 77]}
PREDICTED = [0.9 - 0.2 * k - 0.05 * (i % 4) for k in range(3) for i in range(40)]
FREIREICH = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def cases() -> dict[str, tuple[str, dict, list[tuple[str, dict, float]]]]:
    return {
        "kaplan_meier.json": (
            "survival.kaplan_meier",
            {},
            [
                ("Waltons", WALTONS, 1e-12),
                ("Waltons, log", WALTONS | {"kaplan_meier": {"transform": "log"}}, 1e-12),
                (
                    "Waltons, plain, 80 %",
                    WALTONS | {"kaplan_meier": {"transform": "plain", "confidence": 0.8}},
                    1e-12,
                ),
                ("leukaemia remissions", spells(FREIREICH, RELAPSED), 1e-12),
                ("late entry", LATE, 1e-12),
                ("ends at once", spells([0, 0, 2, 3], [1, 0, 1, 0]), 1e-12),
            ],
        ),
        "nelson_aalen.json": (
            "survival.nelson_aalen",
            {},
            [
                ("Waltons", WALTONS, 1e-12),
                (
                    "Waltons, ties together",
                    WALTONS | {"nelson_aalen": {"ties": "together"}},
                    1e-12,
                ),
            ],
        ),
        "log_rank.json": (
            "survival.log_rank",
            {},
            [("Waltons, two groups", WALTONS | {"groups": GROUPS}, 1e-10)]
            + [
                (
                    f"Rossi by age, {name}",
                    spells(rossi["week"], rossi["arrest"]) | {"groups": THIRDS, "weights": weights},
                    1e-10,
                )
                for name, weights in {
                    "log-rank": "log_rank",
                    "Wilcoxon": "wilcoxon",
                    "Tarone-Ware": "tarone_ware",
                    "Fleming-Harrington": {"fleming_harrington": {"p": 0.5, "q": 1.0}},
                }.items()
            ],
        ),
        "cox.json": (
            "survival.cox",
            {},
            [
                ("Rossi", ROSSI | ASK, 1e-7),
                ("Rossi, ties by Breslow", ROSSI | ASK | {"cox": {"ties": "breslow"}}, 1e-8),
                (
                    "Rossi, 90 % intervals, penalty",
                    ROSSI | ASK | {"cox": {"l2_penalty": 0.1, "confidence": 0.9}},
                    1e-5,
                ),
                (
                    "Rossi by race",
                    ROSSI
                    | ASK
                    | {
                        "covariates": {k: v for k, v in ROSSI["covariates"].items() if k != "race"},
                        "strata": [int(x) for x in rossi["race"]],
                    },
                    1e-7,
                ),
                (
                    "heart transplants, start and stop",
                    HEART | {"times": [5.0, 100.0, 1000.0], "rows": [0, 3, 77]},
                    1e-7,
                ),
            ],
        ),
        "weibull_aft.json": (
            "survival.weibull_aft",
            {},
            [
                ("Waltons", WALTONS, 1e-5),
                ("Rossi", ROSSI | {"times": [10.0, 52.0, 100.0], "rows": [0, 3, 77]}, 1e-5),
            ],
        ),
        "brier.json": (
            "survival.brier",
            {},
            [
                (
                    "forty rows of Waltons",
                    {
                        "durations": WALTONS["durations"][100:140],
                        "event_observed": [i % 3 > 0 for i in range(40)],
                        "times": [20.0, 40.0, 55.0],
                        "survival": [round(x, 3) for x in PREDICTED],
                    },
                    1e-12,
                )
            ],
        ),
    }


def differs(expected, got, tolerance: float) -> bool:
    match expected, got:
        case dict(), dict():
            return expected.keys() != got.keys() or any(
                differs(expected[key], got[key], tolerance) for key in expected
            )
        case list(), list():
            return len(expected) != len(got) or any(
                differs(e, g, tolerance) for e, g in zip(expected, got)
            )
        case (int() | float()), (int() | float()):
            return abs(expected - got) > tolerance * max(1.0, abs(expected))
    return expected != got


def whole(value):
    """Whole numbers without a fraction, as the other golden files have them."""
    match value:
        case dict():
            return {key: whole(item) for key, item in value.items()}
        case list():
            return [whole(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def main(write: bool) -> list[str]:
    wrong = []
    for name, (operation, shared, listed) in cases().items():
        made = {
            "operation": operation,
            "origin": {"kind": "independent", "source": SOURCE},
            "inputs": shared,
            "cases": [
                {
                    "name": case,
                    "inputs": whole(inputs),
                    "expected": whole(ANSWERS[operation](shared | inputs)),
                    "tolerance": tolerance,
                }
                for case, inputs, tolerance in listed
            ],
        }
        path = HERE / name
        if write:
            path.write_text(pretty(made) + "\n", encoding="utf-8")
            continue
        stored = json.loads(path.read_text(encoding="utf-8"))
        for old, new in zip(stored["cases"], made["cases"], strict=True):
            if differs(old["expected"], new["expected"], old["tolerance"]):
                wrong.append(f"{name}: {old['name']}: computed {json.dumps(new['expected'])}")
    return wrong


def pretty(value: object, indent: int = 0) -> str:
    """JSON with lists of plain values on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not value or len(flat) + indent <= 100:
        return flat
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in items):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, list):
        lines = [pad + pretty(item, indent + 2) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    lines = [f"{pad}{json.dumps(key)}: {pretty(item, indent + 2)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


if __name__ == "__main__":
    failures = main(write="--write" in sys.argv[1:])
    print("\n".join(failures) or "every independent answer is the same")
    sys.exit(bool(failures))
