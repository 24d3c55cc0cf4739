"""Computes the answers of the golden files of learned models with other programs.

    python witness.py            compare every file with what is computed here
    python witness.py --write    write the files
    python witness.py --models   write those whose answers are the library's own (needs churn)
    python witness.py --telco    coefficients on Telco (needs pandas and the folder CHURN_DATA)

Needs numpy, scipy, scikit-learn, statsmodels and empulse. `empc` and `mpc` come from empulse (unit
weights), the rest of the measures from scikit-learn and scipy, or from their definitions where
neither has them.
"""

import json
import sys
from pathlib import Path

import numpy as np
from empulse.metrics import empc_score, mpc_score
from scipy import stats
import statsmodels.api as sm
from sklearn import calibration, metrics
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent


def same(expected, got, tolerance) -> bool:
    if isinstance(expected, dict):
        return expected.keys() == got.keys() and all(
            same(expected[k], got[k], tolerance) for k in expected)
    if isinstance(expected, list):
        return len(expected) == len(got) and all(
            same(e, g, tolerance) for e, g in zip(expected, got))
    if isinstance(expected, float) or isinstance(got, float):
        return abs(expected - got) <= tolerance * max(1.0, abs(expected))
    return expected == got


# ---- measures ----------------------------------------------------------------------------------


def sample(seed: int, n: int, tied: bool, weighted: bool, sharp: float) -> dict:
    rng = np.random.default_rng(seed)
    logit = sharp * rng.normal(size=n) - 0.7
    p = 1 / (1 + np.exp(-logit))
    y = (rng.random(n) < p).astype(float)
    p = 1 / (1 + np.exp(-(1.3 * logit + 0.2)))
    if tied:
        p = np.round(p, 1)
    inputs = {"labels": y.tolist(), "probabilities": p.tolist(), "threshold": 0.4, "share": 0.13,
              "bins": 7}
    if weighted:
        inputs["weights"] = np.round(rng.exponential(size=n), 3).tolist()
    return inputs


def capture(y, s, w, share):
    """Churn captured among the best share, a straddling group of ties in part."""
    wanted, reached, found = share * w.sum(), 0.0, 0.0
    for score in sorted(set(s), reverse=True):
        here = s == score
        part = min(1.0, (wanted - reached) / w[here].sum())
        if part <= 0:
            break
        found += part * w[here] @ y[here]
        reached += part * w[here].sum()
    return found / (w @ y)


def bins(y, p, w, edges):
    index = np.searchsorted(edges[1:-1], p)
    rows = [index == b for b in range(len(edges) - 1) if (index == b).any()]
    return (np.array([w[r].sum() for r in rows]), np.array([np.average(p[r], weights=w[r]) for r in rows]),
            np.array([np.average(y[r], weights=w[r]) for r in rows]))


def measures(inputs: dict) -> dict:
    y, p = np.array(inputs["labels"]), np.array(inputs["probabilities"])
    given = inputs.get("weights")
    w = np.ones(len(y)) if given is None else np.array(given)
    precision, recall, _ = metrics.precision_recall_curve(y, p, sample_weight=w)
    fpr, tpr, _ = metrics.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    decided = p >= inputs["threshold"]
    tn, fp, fn, tp = metrics.confusion_matrix(y, decided, sample_weight=w).ravel()
    k = inputs["bins"]
    uniform = bins(y, p, w, np.linspace(0, 1, k + 1))
    quantile = bins(y, p, w, np.percentile(p, np.linspace(0, 1, k + 1) * 100))
    if given is None:
        for strategy, mine in (("uniform", uniform), ("quantile", quantile)):
            theirs = calibration.calibration_curve(y, p, n_bins=k, strategy=strategy)
            assert np.allclose(theirs[0], mine[2], atol=1e-14) and np.allclose(theirs[1], mine[1], atol=1e-14)
    error = lambda curve: float(curve[0] @ np.abs(curve[1] - curve[2]) / curve[0].sum())
    weight, predicted, observed = uniform
    base = np.average(y, weights=w)
    brier = metrics.brier_score_loss(y, p, sample_weight=w)
    reliability = float(weight @ (predicted - observed) ** 2 / weight.sum())
    resolution = float(weight @ (observed - base) ** 2 / weight.sum())
    captured = capture(y, p, w, inputs["share"])
    answer = {
        "roc_auc": metrics.roc_auc_score(y, p, sample_weight=w),
        "average_precision": metrics.average_precision_score(y, p, sample_weight=w),
        "pr_auc": metrics.auc(recall, precision),
        "class_separation": float(np.abs(tpr - fpr).max()),
        "capture": captured,
        "lift": captured / inputs["share"],
        "log_loss": metrics.log_loss(y, p, sample_weight=w),
        "brier": brier,
        "brier_parts": [reliability, resolution, float(base * (1 - base)),
                        float(brier - reliability + resolution - base * (1 - base))],
        "calibration_error_uniform": error(uniform),
        "calibration_error_quantile": error(quantile),
        "reliability": {"predicted": predicted.tolist(), "observed": observed.tolist(),
                        "weight": weight.tolist()},
        "confusion": [float(tp), float(fp), float(tn), float(fn)],
        "precision": metrics.precision_score(y, decided, sample_weight=w),
        "recall": metrics.recall_score(y, decided, sample_weight=w),
        "f1": metrics.f1_score(y, decided, sample_weight=w),
        "mcc": metrics.matthews_corrcoef(y, decided, sample_weight=w),
        "accuracy": metrics.accuracy_score(y, decided, sample_weight=w),
    }
    if given is None:
        answer |= {"empc": empc_score(y, p), "empc_share": empc_score.optimal_rate(y, p), "mpc": mpc_score(y, p),
                   "mpc_share": mpc_score.optimal_rate(y, p)}
    return {key: float(value) if np.isscalar(value) else value for key, value in answer.items()}


def drift(inputs: dict) -> dict:
    e, a = np.array(inputs["expected_values"]), np.array(inputs["actual_values"])
    edges = np.unique(np.quantile(e, np.arange(1, inputs["bins"]) / inputs["bins"]))
    shares = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) / len(x) for x in (e, a)]
    some = (shares[0] > 0) | (shares[1] > 0)
    es, as_ = (np.maximum(s[some], 1e-4) for s in shares)
    return {"psi": float(((as_ - es) * np.log(as_ / es)).sum()),
            "kolmogorov_smirnov": float(stats.ks_2samp(e, a).statistic)}


def drift_inputs(seed: int, shift: float, rounded: bool) -> dict:
    rng = np.random.default_rng(seed)
    e, a = rng.normal(size=83), rng.normal(loc=shift, size=61)
    if rounded:
        e, a = np.round(e), np.round(a)
    return {"expected_values": e.tolist(), "actual_values": a.tolist(), "bins": 10}


# ---- logistic regression -----------------------------------------------------------------------


def table(seed: int, n: int, missing: bool) -> dict:
    """Columns of numbers (null = missing) and of levels (texts), and labels that depend on them."""
    rng = np.random.default_rng(seed)
    tenure, charges = rng.exponential(20, n).round(1), rng.normal(60, 25, n).round(2)
    contract = rng.choice(["monthly", "two years", "yearly"], n, p=[0.55, 0.2, 0.25])
    payment = rng.choice(["card", "cheque", "transfer"], n)
    eta = -0.6 - 0.04 * tenure + 0.02 * (charges - 60) + 0.9 * (contract == "monthly") + 0.4 * (payment == "cheque")
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    columns = {"tenure": tenure.tolist(), "charges": charges.tolist(), "contract": contract.tolist(),
               "payment": payment.tolist()}
    if missing:
        columns["charges"] = [None if rng.random() < 0.15 else v for v in columns["charges"]]
        columns["payment"] = [None if rng.random() < 0.1 else v for v in columns["payment"]]
    return {"columns": columns, "target": y.tolist()}


def design(inputs: dict, reference: bool, standardise: bool):
    """Terms by the documented rules, with their names, centers and scales."""
    terms, names, shifts, scales = [], [], [], []
    w = np.array(inputs.get("weights", np.ones(len(inputs["target"]))))

    def add(name, column, shift=0.0, scale=1.0):
        terms.append((column - shift) / scale)
        names.append(name)
        shifts.append(shift)
        scales.append(scale)

    for name, cells in inputs["columns"].items():
        gone = np.array([c is None for c in cells])
        if any(isinstance(c, str) for c in cells):
            levels = sorted({c for c in cells if c is not None})
            size = {level: sum(w[[c == level for c in cells]]) for level in levels}
            levels.sort(key=lambda level: (-size[level], level))
            for level in levels[1 if reference else 0:]:
                add(f"{name} = {level}", np.array([c == level for c in cells], float))
        else:
            x = np.array([np.nan if c is None else c for c in cells], float)
            mean = np.average(x[~gone], weights=w[~gone])
            x[gone] = mean
            sd = np.sqrt(np.average((x[~gone] - mean) ** 2, weights=w[~gone]))
            add(name, x, *((mean, sd) if standardise else (0.0, 1.0)))
        if gone.any():
            add(f"{name} missing", gone.astype(float))
    return np.column_stack(terms), names, np.array(shifts), np.array(scales), w


def logistic(inputs: dict) -> dict:
    settings = inputs["settings"]
    l1, l2 = settings.get("l1", 0.0), settings.get("l2", 1.0)
    reference = settings.get("reference_levels", False) or l1 == l2 == 0
    x, names, shifts, scales, w = design(inputs, reference, settings.get("standardise", True))
    y = np.array(inputs["target"])
    answer = {}
    if l1 == l2 == 0:
        raw = np.column_stack([x * scales + shifts, np.ones(len(y))])
        model = sm.GLM(y, raw, family=sm.families.Binomial(), freq_weights=w)
        if "groups" in inputs:
            groups = np.array(inputs["groups"])
            fitted = sm.Logit(y, raw).fit(disp=0, method="newton", tol=1e-14, maxiter=200, cov_type="cluster",
                                          cov_kwds={"groups": groups})
        else:
            fitted = model.fit(tol=1e-14, maxiter=200)
        own, errors = np.array(fitted.params), np.array(fitted.bse)
        answer["standard_errors"] = dict(zip([*names, "intercept"], errors.tolist()))
        p = fitted.predict(raw)
    else:
        ratio = l1 / (l1 + l2)
        kwargs = {"C": 1 / (l1 + l2), "max_iter": 2_000_000, "tol": 1e-15}
        if l1 > 0:
            model = LogisticRegression(solver="saga", l1_ratio=ratio, random_state=0, **kwargs)
        else:
            model = LogisticRegression(solver="newton-cholesky", **kwargs)
        model.fit(x, y, sample_weight=w)
        beta = model.coef_[0] / scales
        own = np.append(beta, model.intercept_[0] - beta @ shifts)
        p = model.predict_proba(x)[:, 1]
    answer["coefficients"] = dict(zip([*names, "intercept"], own.tolist()))
    answer["probabilities"] = p[:10].tolist()
    return answer


def logistic_inputs(seed, n, missing=False, weighted=False, grouped=False, **settings):
    inputs = table(seed, n, missing) | {"settings": settings}
    rng = np.random.default_rng(seed + 100)
    if weighted:
        inputs["weights"] = rng.integers(0, 4, n).astype(float).tolist()
    if grouped:
        inputs["groups"] = rng.integers(0, n // 3, n).tolist()
    return inputs


# ---- calibration -------------------------------------------------------------------------------


def calibrate(inputs: dict) -> dict:
    m, y = np.array(inputs["margins"]), np.array(inputs["labels"])
    w = np.array(inputs.get("weights", np.ones(len(y))))
    at = np.array(inputs["at"])
    if inputs["calibration"] == "isotonic_forced":
        p = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(m, y, sample_weight=w).predict(at)
        return {"probabilities": p.tolist()}
    if inputs["calibration"] == "sigmoid":
        churned, stayed = w[y == 1].sum(), w[y == 0].sum()
        t = np.where(y == 1, (churned + 1) / (churned + 2), 1 / (stayed + 2))
        terms = lambda x: np.column_stack([x, np.ones(len(x))])
    else:
        t = y
        terms = lambda x: np.column_stack([-np.log1p(np.exp(-x)), np.log1p(np.exp(x)), np.ones(len(x))])
    x = terms(m)
    # A weighted fit to fractions: each row once as a churner and once not.
    double = np.vstack([x, x]), np.repeat([1.0, 0.0], len(y)), np.concatenate([w * t, w * (1 - t)])
    fitted = sm.GLM(double[1], double[0], family=sm.families.Binomial(), freq_weights=double[2]).fit(tol=1e-15, maxiter=500)
    assert (fitted.params[:-1] >= 0).all(), "the case needs no bound"
    if inputs["calibration"] == "sigmoid" and "weights" not in inputs:
        a, b = _sigmoid_calibration(m, y)
        assert np.allclose([-a, -b], fitted.params, atol=1e-4)
    return {"probabilities": fitted.predict(terms(at)).tolist()}


def calibration_inputs(seed, n, kind, weighted=False):
    rng = np.random.default_rng(seed)
    m = rng.normal(-0.5, 2, n).round(2)
    y = (rng.random(n) < 1 / (1 + np.exp(-(0.6 * m - 0.3)))).astype(float)
    inputs = {"calibration": kind, "margins": m.tolist(), "labels": y.tolist(),
              "at": np.linspace(-7, 7, 29).tolist()}
    if weighted:
        inputs["weights"] = rng.exponential(size=n).round(3).tolist()
    return inputs


# ---- files -------------------------------------------------------------------------------------

FILES = {
    "metrics_measures.json": (
        "metrics.measures", measures, 1e-12,
        "scikit-learn 1.9.1, empulse 0.13.1 (profit); lift, capture, bins and Brier parts by definition",
        {
            "distinct scores": lambda: sample(1, 90, False, False, 1.5),
            "many ties": lambda: sample(2, 120, True, False, 1.0),
            "weights": lambda: sample(3, 80, False, True, 0.5),
            "weights and ties": lambda: sample(4, 150, True, True, 2.5),
        },
    ),
    "metrics_drift.json": (
        "metrics.drift", drift, 1e-12, "scipy 1.17 (Kolmogorov-Smirnov), numpy by definition",
        {
            "same kind": lambda: drift_inputs(5, 0.0, False),
            "moved": lambda: drift_inputs(6, 0.8, False),
            "few values": lambda: drift_inputs(7, 0.3, True),
        },
    ),
    "core/learned_logistic.json": (
        "learned.logistic", logistic, 1e-8,
        "scikit-learn 1.9.1 (with penalty: newton-cholesky, saga), statsmodels 0.15.0 (without)",
        {
            "ridge": lambda: logistic_inputs(11, 120, l2=1.0),
            "ridge, missing cells, weights": lambda: logistic_inputs(12, 150, True, True, l2=0.3),
            "ridge, own units": lambda: logistic_inputs(13, 100, l2=2.0, standardise=False),
            "ridge, reference levels": lambda: logistic_inputs(14, 100, l2=0.5, reference_levels=True),
            "lasso": lambda: logistic_inputs(15, 120, l1=3.0, l2=0.0),
            "elastic net": lambda: logistic_inputs(16, 120, True, l1=1.0, l2=1.0),
            "no penalty": lambda: logistic_inputs(17, 200, l2=0.0),
            "no penalty, weights, missing cells": lambda: logistic_inputs(18, 250, True, True, l2=0.0),
            "no penalty, groups": lambda: logistic_inputs(19, 180, grouped=True, l2=0.0),
        },
    ),
    "core/learned_calibration.json": (
        "learned.calibration", calibrate, 1e-8,
        "scikit-learn 1.9.1 (isotonic), statsmodels 0.15.0 (sigmoid and beta as weighted binomial fits)",
        {
            "sigmoid": lambda: calibration_inputs(21, 150, "sigmoid"),
            "sigmoid, weights": lambda: calibration_inputs(22, 120, "sigmoid", True),
            "isotonic": lambda: calibration_inputs(23, 200, "isotonic_forced"),
            "isotonic, weights": lambda: calibration_inputs(24, 150, "isotonic_forced", True),
            "beta": lambda: calibration_inputs(25, 200, "beta"),
            "beta, weights": lambda: calibration_inputs(26, 180, "beta", True),
        },
    ),
}


def model_inputs(name: str, **settings) -> dict:
    """Rows of the shape of a contract table; the answers of these files are the library's own."""
    inputs = table(31, 160, True) | {"settings": settings}
    inputs["columns"]["tenure"][3] = None
    return inputs


def write_models() -> None:
    """Rows and settings of the files whose answers are the library's own, without answers."""
    import churn

    def told(model, columns):
        base, points = model.points(columns)
        return {"probabilities": model.predict(columns).tolist(), "base_points": base,
                "points": {n: points[:, j].tolist() for j, n in enumerate(model.names)},
                "roc_auc": model.out_of_fold["roc_auc"], "log_loss": model.out_of_fold["log_loss"]}

    cases, saved = [], []
    small = {"folds": 3, "boosting": {"trees": 12, "learning_rate": 0.2}}
    for name, settings in {
        "defaults but few trees": small,
        "boosting, beta curve": small | {"learner": "boosting", "calibration": "beta"},
        "logistic, isotonic curve": {"folds": 4, "learner": "logistic", "calibration": "isotonic_forced"},
        "support vector machine, isotonic curve": {
            "folds": 3, "learner": "svm", "calibration": "isotonic_forced", "svm": {"features": 60}},
    }.items():
        inputs = model_inputs(name, **settings)
        columns = dict(sorted(inputs["columns"].items()))
        model = churn.FittedModel.fit(columns, inputs["target"], **settings)
        cases.append({"name": name, "inputs": inputs, "expected": told(model, columns), "tolerance": 1e-9})
        rows = {"tenure": [1.0, 30.5, None], "charges": [95.0, 20.0, 60.0], "unread": [1.0, 2.0, 3.0],
                "contract": ["monthly", "two years", "never seen"], "payment": ["card", None, "cheque"]}
        model_bytes = churn.FittedModel.from_bytes(model.to_bytes()).to_bytes()
        saved.append({"name": name, "inputs": {"model": model_bytes.hex(), "columns": rows},
                      "expected": told(model, rows), "tolerance": 1e-9})
    origin = {"kind": "regression", "source": "the library itself, read once: the same in every language"}
    for file, operation, made in (("learned_model.json", "learned.model", cases),
                                  ("learned_saved.json", "learned.saved", saved)):
        text = json.dumps({"operation": operation, "origin": origin, "cases": made}, indent=1)
        (HERE / file).write_text(text + "\n")


def write_telco() -> None:
    """Coefficients on the real file of the folder CHURN_DATA."""
    import os

    import pandas as pd

    frame = pd.read_csv(Path(os.environ["CHURN_DATA"]) / "telco/telco_churn.csv.gz")
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    target = (frame.pop("Churn") == "Yes").astype(float).tolist()
    frame = frame.drop(columns="customerID")[sorted(frame.columns.drop("customerID"))]

    def inputs(columns, **settings):
        cells = {c: [None if v != v else v for v in frame[c].tolist()] for c in columns}
        return {"columns": cells, "target": target, "settings": settings}

    some = ["Contract", "InternetService", "MonthlyCharges", "PaperlessBilling", "PaymentMethod", "SeniorCitizen",
            "gender", "tenure"]
    plain = logistic(inputs(some, l2=0.0))
    answer = {"ridge": logistic(inputs(list(frame.columns), l2=1.0))["coefficients"],
              "plain": {t: [c, plain["standard_errors"][t]] for t, c in plain["coefficients"].items()},
              "plain_columns": some}
    (HERE / "data" / "telco.json").write_text(json.dumps(answer, indent=1) + "\n")


def main() -> None:
    if "--models" in sys.argv:
        return write_models()
    if "--telco" in sys.argv:
        return write_telco()
    wrong = []
    for file, (operation, answer, tolerance, source, cases) in FILES.items():
        made = {"operation": operation, "origin": {"kind": "independent", "source": source}, "cases": []}
        for name, make in cases.items():
            inputs = make()
            made["cases"].append({"name": name, "inputs": inputs, "expected": answer(inputs), "tolerance": tolerance})
        path = HERE / file
        if "--write" in sys.argv:
            path.write_text(json.dumps(made, indent=1) + "\n")
        else:
            stored = json.loads(path.read_text())
            for mine, theirs in zip(made["cases"], stored["cases"], strict=True):
                if not same(mine["expected"], theirs["expected"], 1e-9) or mine["inputs"] != theirs["inputs"]:
                    wrong.append(f"{file}: {mine['name']}")
    if wrong:
        sys.exit("differs from what is computed here:\n" + "\n".join(wrong))


main()
