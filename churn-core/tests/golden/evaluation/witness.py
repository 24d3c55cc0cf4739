"""Computes the answers of this folder with scipy, statsmodels, scikit-learn, scikit-uplift and causalml.

    python witness.py            compare the files with what is computed here
    python witness.py --write    write what is computed here

The data are drawn with numpy from stated seeds and stored in the files, rounded, so that a replay
needs nothing but the file.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy import integrate, stats

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent


def rounded(values, digits=3):
    return [round(float(v), digits) + 0.0 for v in values]


# ---- experiments -------------------------------------------------------------------------------


def draw_experiment(seed, n, kind):
    random = np.random.default_rng(seed)
    arm = random.choice(["control", "mail", "sms"], size=n, p=[0.4, 0.35, 0.25])
    before = random.gamma(2.0, 20.0, size=n)
    lift = np.where(arm == "mail", 0.05, np.where(arm == "sms", 0.12, 0.0))
    if kind == "binary":
        outcome = (random.random(n) < 0.2 + lift).astype(float)
    elif kind == "count":
        outcome = random.poisson(0.8 + 2 * lift).astype(float)
    else:
        outcome = np.round(0.5 * before + random.gamma(1.5, 12.0, size=n) * (1 + lift), 2)
    return {
        "arm": [str(a) for a in arm],
        "control": "control",
        "outcome": rounded(outcome),
        "kind": kind,
        "covariates": [rounded(before)],
    }


def welch(a, b, confidence):
    test = stats.ttest_ind(b, a, equal_var=False)
    low, high = test.confidence_interval(confidence)
    se = math.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    return {
        "value": float(np.mean(b) - np.mean(a)),
        "standard_error": se,
        "low": float(low),
        "high": float(high),
        "p_value": float(test.pvalue),
    }


def proportions(a, b, confidence):
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    count, units = (int(b.sum()), int(a.sum())), (len(b), len(a))
    low, high = confint_proportions_2indep(
        count[0], units[0], count[1], units[1], method="newcomb", alpha=1 - confidence
    )
    p0, p1 = a.mean(), b.mean()
    return {
        "value": float(p1 - p0),
        "standard_error": math.sqrt(p0 * (1 - p0) / len(a) + p1 * (1 - p1) / len(b)),
        "low": float(low),
        "high": float(high),
        "p_value": float(proportions_ztest(count, units)[1]),
    }


def beta_posterior(a, b, confidence):
    """By two-dimensional thinking in one dimension: integrals by adaptive quadrature."""
    c = stats.beta(1 + a.sum(), 1 + len(a) - a.sum())
    t = stats.beta(1 + b.sum(), 1 + len(b) - b.sum())
    quad = lambda f: integrate.quad(f, 0, 1, points=[c.mean(), t.mean()], limit=400, epsabs=1e-13)[0]
    below = lambda d: quad(lambda x: c.pdf(x) * t.cdf(x + d))
    from scipy.optimize import brentq

    tail = (1 - confidence) / 2
    return {
        "mean": float(t.mean() - c.mean()),
        "low": brentq(lambda d: below(d) - tail, -0.9, 0.9, xtol=1e-12),
        "high": brentq(lambda d: below(d) - 1 + tail, -0.9, 0.9, xtol=1e-12),
        "probability_better": 1 - below(0.0),
        "loss_if_treated": quad(lambda x: t.cdf(x) * c.sf(x)),
        "loss_if_control": quad(lambda x: c.cdf(x) * t.sf(x)),
    }


def compare(inputs):
    from statsmodels.stats.multitest import multipletests

    arm = np.array(inputs["arm"])
    y = np.array(inputs["outcome"])
    names = ["control"] + sorted(set(arm) - {"control"})
    confidence = 0.95
    observed = [int((arm == name).sum()) for name in names]
    reduction = None
    used = y
    if inputs.get("covariates"):
        x = np.column_stack([np.ones(len(y))] + [arm == n for n in names[1:]] + inputs["covariates"])
        coefficients = np.linalg.lstsq(x.astype(float), y, rcond=None)[0]
        covariates = np.column_stack(inputs["covariates"])
        theta = coefficients[len(names) :]
        used = y - (covariates - covariates.mean(axis=0)) @ theta
        within = lambda v: sum(((v[arm == n] - v[arm == n].mean()) ** 2).sum() for n in names)
        reduction = float(1 - within(used) / within(y))
    groups = [used[arm == name] for name in names]
    binary = inputs["kind"] == "binary" and reduction is None
    effects = []
    for name, treated in zip(names[1:], groups[1:]):
        control = groups[0]
        difference = (proportions if binary else welch)(control, treated, confidence)
        m0, m1 = control.mean(), treated.mean()
        v0, v1 = np.var(control, ddof=1) / len(control), np.var(treated, ddof=1) / len(treated)
        error = math.sqrt(v0 / m0**2 + v1 / m1**2)
        z = stats.norm.ppf(0.5 + confidence / 2)
        n = len(control) + len(treated)
        alpha = 1 - confidence
        rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 5000
        half = difference["standard_error"] * math.sqrt(
            2 * (n * rho2 + 1) / (n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha)
        )
        effect = {
            "arm": name,
            "difference": difference,
            "ratio": {
                "value": m1 / m0,
                "standard_error": m1 / m0 * error,
                "low": m1 / m0 * math.exp(-z * error),
                "high": m1 / m0 * math.exp(z * error),
                "p_value": float(2 * stats.norm.sf(abs(math.log(m1 / m0)) / error)),
            },
            "always_valid": [difference["value"] - half, difference["value"] + half],
            "bootstrap": None,
            "rank": None,
        }
        if inputs["kind"] != "binary":
            test = stats.mannwhitneyu(treated, control, method="asymptotic")
            effect["rank"] = {
                "u": float(test.statistic),
                "superiority": float(test.statistic / len(treated) / len(control)),
                "p_value": float(test.pvalue),
            }
        if binary:
            effect["posterior"] = beta_posterior(control, treated, confidence)
        else:
            mean, se = difference["value"], difference["standard_error"]
            better = stats.norm(mean, se)
            effect["posterior"] = {
                "mean": mean,
                "low": float(better.ppf(0.025)),
                "high": float(better.ppf(0.975)),
                "probability_better": float(better.sf(0)),
                "loss_if_treated": integrate.quad(lambda v: -v * better.pdf(v), mean - 12 * se, 0)[0],
                "loss_if_control": integrate.quad(lambda v: v * better.pdf(v), 0, mean + 12 * se)[0],
            }
        effects.append(effect)
    adjusted = multipletests([e["difference"]["p_value"] for e in effects], method="holm")[1]
    for effect, p in zip(effects, adjusted):
        effect["adjusted_p_value"] = float(p)
    chi = stats.chisquare(observed)
    return {
        "sample_ratio": {
            "observed": observed,
            "expected": [len(y) / len(names)] * len(names),
            "p_value": float(chi.pvalue),
            "mismatch": bool(chi.pvalue < 0.001),
        },
        "arms": [
            {
                "arm": name,
                "sample": {"n": len(g), "mean": float(g.mean()), "variance": float(np.var(g, ddof=1))},
                "total": float(g.sum()),
            }
            for name, g in zip(names, groups)
        ],
        "effects": effects,
        "variance_reduction": reduction,
    }


def experiment_file():
    cases = []
    for kind, seed in [("binary", 1), ("count", 2), ("money", 3)]:
        inputs = draw_experiment(seed, 300, kind)
        plain = {k: v for k, v in inputs.items() if k != "covariates"}
        cases.append({"name": f"{kind}, three arms", "inputs": plain, "tolerance": 1e-8})
    cases.append(
        {"name": "money with a covariate", "inputs": draw_experiment(4, 250, "money"), "tolerance": 1e-8}
    )
    for case in cases:
        case["inputs"]["settings"] = {"bootstrap": {"draws": 0}}
        case["expected"] = compare(case["inputs"])
    return {
        "operation": "experiment.compare",
        "origin": {"kind": "independent", "source": "scipy and statsmodels, see witness.py"},
        "cases": cases,
    }


# ---- uplift metrics ----------------------------------------------------------------------------


def draw_uplift(seed, n, digits):
    random = np.random.default_rng(seed)
    x = random.random(n)
    treated = random.random(n) < 0.5
    outcome = (random.random(n) < 0.2 + 0.3 * x * treated).astype(float)
    score = np.round(x + 0.3 * random.normal(size=n), digits)
    return score, treated, outcome


def uplift(inputs):
    from sklift.metrics import (
        qini_auc_score, qini_curve, uplift_at_k, uplift_auc_score, uplift_curve,
    )

    score = np.array(inputs["score"])
    treated = np.array(inputs["treated"]).astype(int)
    outcome = np.array(inputs["outcome"])
    curve = lambda f: [[float(a), float(b)] for a, b in zip(*f(outcome, score, treated))]
    answer = {
        "qini_curve": curve(qini_curve),
        "gain_curve": curve(uplift_curve),
        "qini_sklift": float(qini_auc_score(outcome, score, treated)),
        "qini_sklift_without_negative_effects": float(
            qini_auc_score(outcome, score, treated, negative_effect=False)
        ),
        "auuc_sklift": float(uplift_auc_score(outcome, score, treated)),
    }
    qini = np.array(answer["qini_curve"])
    n = len(score)
    area = float(np.sum(np.diff(qini[:, 0]) * (qini[1:, 1] + qini[:-1, 1]) / 2))
    answer["qini_radcliffe"] = (area - n * qini[-1, 1] / 2) / n**2
    if len(set(score)) == n:
        import pandas as pd
        from causalml.metrics import auuc_score, qini_score

        frame = pd.DataFrame({"y": outcome, "w": treated, "model": score})
        answer["qini_causalml"] = float(qini_score(frame, normalize=True)["model"])
        answer["auuc_causalml"] = float(auuc_score(frame, normalize=True)["model"])
        answer["uplift_at_30_overall"] = float(
            uplift_at_k(outcome, score, treated, strategy="overall", k=0.3)
        )
        answer["uplift_at_30_by_group"] = float(
            uplift_at_k(outcome, score, treated, strategy="by_group", k=0.3)
        )
    return answer


def uplift_file():
    cases = []
    for name, seed, n, digits in [("no ties", 5, 60, 9), ("many ties", 6, 200, 1)]:
        score, treated, outcome = draw_uplift(seed, n, digits)
        inputs = {
            "score": [round(float(s), digits) for s in score],
            "treated": [bool(t) for t in treated],
            "outcome": outcome.tolist(),
        }
        cases.append({"name": name, "inputs": inputs, "expected": uplift(inputs), "tolerance": 1e-12})
    # The ten rows of github.com/uber/causalml/issues/519: two rankings of the same outcome.
    ten = {
        "treated": [False] * 5 + [True] * 5,
        "outcome": [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    }
    rankings = {"first": [0.0, 0.1, 0.2, 0.3, 0.4] * 2, "second": [1.0] + [0.0] * 9}
    for name, score in rankings.items():
        inputs = {"score": score, **ten}
        name = f"ten rows, {name} ranking"
        cases.append({"name": name, "inputs": inputs, "expected": uplift(inputs), "tolerance": 1e-12})
    return {
        "operation": "metrics.uplift",
        "origin": {"kind": "independent", "source": "scikit-uplift and causalml, see witness.py"},
        "cases": cases,
    }


# ---- uplift models -----------------------------------------------------------------------------


def draw_arms(seed, n, arms, money):
    random = np.random.default_rng(seed)
    columns = {"age": rounded(random.normal(40, 12, size=n)), "visits": rounded(random.poisson(3, size=n))}
    treatment = random.integers(0, arms, size=n)
    lift = treatment * (0.05 + 0.004 * np.array(columns["age"]))
    if money:
        outcome = np.round(np.maximum(0.0, 5 + 0.8 * np.array(columns["visits"]) + 4 * lift
                                      + 3 * random.normal(size=n)), 2)
    else:
        outcome = (random.random(n) < 0.2 + 0.5 * lift).astype(float)
    return {
        "columns": columns,
        "treatment": [int(a) for a in treatment],
        "outcome": rounded(outcome),
    }


def standardised(rows, of):
    """Columns of some rows on the scale of these or other rows."""
    return (rows - of.mean(axis=0)) / of.std(axis=0)


def ridge(x, y, l2, asked):
    z = standardised(x, x)
    z = z - z.mean(axis=0)
    beta = np.linalg.solve(z.T @ z + l2 * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return y.mean() + standardised(asked, x) @ beta


def logistic(x, y, l2, asked):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    model.fit(standardised(x, x), y)
    return model.predict_proba(standardised(asked, x))[:, 1]


def effects(inputs):
    """Effects of every treatment on every row, row by row."""
    x = np.column_stack(list(inputs["columns"].values()))
    w, y = np.array(inputs["treatment"]), np.array(inputs["outcome"])
    settings = inputs["settings"]
    l2 = settings["base"]["linear"]["l2"]
    model = logistic if set(y) == {0.0, 1.0} else ridge
    if settings["method"] == "t":
        control = model(x[w == 0], y[w == 0], l2, x)
        found = [model(x[w == a], y[w == a], l2, x) - control for a in range(1, w.max() + 1)]
    else:
        e = np.array(inputs["propensity"])[1::2]
        found = [ridge(x, np.where(w == 1, y / e, -y / (1 - e)), l2, x)]
    return {"effect": np.column_stack(found).ravel().tolist()}


def uplift_model_file():
    cases = []
    for name, seed, n, arms, money, method in [
        ("two models, shares, two treatments", 11, 180, 3, False, "t"),
        ("two models, money", 12, 150, 2, True, "t"),
        ("transformed outcome, known propensities", 13, 150, 2, True, "transformed_outcome"),
    ]:
        inputs = draw_arms(seed, n, arms, money)
        inputs["settings"] = {"method": method, "base": {"linear": {"l2": 4.0}}}
        if method == "transformed_outcome":
            e = rounded(np.random.default_rng(seed).uniform(0.2, 0.8, size=n), 2)
            inputs["propensity"] = [p for treated in e for p in (round(1 - treated, 2), treated)]
        case = {"name": name, "inputs": inputs, "expected": effects(inputs), "tolerance": 1e-8}
        cases.append(case)
    return {
        "operation": "uplift.model",
        "origin": {"kind": "independent", "source": "scikit-learn and numpy, see witness.py"},
        "cases": cases,
    }


# ---- files -------------------------------------------------------------------------------------


def same(a, b, tolerance):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= tolerance * max(1.0, abs(a))
    return a == b


def main():
    files = {
        "experiment_compare.json": experiment_file(),
        "metrics_uplift.json": uplift_file(),
        "uplift_model.json": uplift_model_file(),
    }
    failed = False
    for name, content in files.items():
        path = HERE / name
        if "--write" in sys.argv:
            path.write_text(json.dumps(content, indent=1) + "\n")
            continue
        stored = json.loads(path.read_text())
        equal = same(json.loads(json.dumps(content)), stored, 1e-9)
        print(f"{name}: {'equal' if equal else 'DIFFERENT'}")
        failed |= not equal
    sys.exit(failed)


if __name__ == "__main__":
    main()
