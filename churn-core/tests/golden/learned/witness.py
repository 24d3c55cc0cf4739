"""Computes the answers of the golden files of learned models with other programs.

    python witness.py            compare every file with what is computed here
    python witness.py --write    write the files

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
from sklearn import calibration, metrics

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


# ---- files -------------------------------------------------------------------------------------

FILES = {
    "metrics_measures.json": (
        "metrics.measures", measures, 1e-12,
        "scikit-learn 1.9.0, empulse 0.13.1 (profit); lift, capture, bins and Brier parts by definition",
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
}


def main() -> None:
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
