"""Computes whole learned models with scikit-learn and statsmodels: folds, calibration, contributions.

    python witness_models.py            compare learned_witness.json with what is computed here
    python witness_models.py --write    write it (needs churn, for the folds that it deals out)

Columns become terms by the rules that the library documents; learners are scikit-learn's
LogisticRegression and LinearSVC, with the Gaussian kernel LinearSVC on the same random waves, whose
margins are checked to be near those of SVC (exact kernel, free intercept); the curves behind them are its IsotonicRegression and, for
sigmoid and beta, weighted binomial fits of statsmodels. Contributions of the waves are integrals of
the gradient by Gauss-Legendre points.
"""

import json
import sys
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from sklearn import metrics
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

FILE = Path(__file__).with_name("learned_witness.json")
POINTS = 20 / np.log(2)
SVC_NEAR = []
"""How near SVC's own margins are: correlation, and difference of the AUC."""


def table(seed: int, n: int) -> dict:
    """Numbers and levels with missing cells (null), and labels that depend on them."""
    rng = np.random.default_rng(seed)
    silence, spend = rng.exponential(40, n).round(), rng.lognormal(4, 0.8, n).round(2)
    channel, plan = rng.choice(["mail", "search", "shop"], n), rng.choice(["basic", "plus"], n, p=[0.7, 0.3])
    eta = 0.03 * (silence - 40) - 0.5 * np.log(spend / 55) + 0.8 * (channel == "search") - 0.3
    churned = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    columns = {"channel": channel.tolist(), "plan": plan.tolist(), "silence": silence.tolist(), "spend": spend.tolist()}
    for name, share in (("spend", 0.1), ("channel", 0.08)):
        columns[name] = [None if rng.random() < share else cell for cell in columns[name]]
    return {"columns": columns, "target": churned.tolist()}


def encoder(columns: dict, rows: np.ndarray):
    """The terms learned from some rows: a function of rows, and the column behind each term."""
    parts, owners = [], []
    for j, (name, cells) in enumerate(sorted(columns.items())):
        cells = np.array(cells, dtype=object)
        gone = np.array([cell is None for cell in cells])
        seen = cells[rows][~gone[rows]]
        if any(isinstance(cell, str) for cell in cells):
            for level in sorted(set(seen), key=lambda level: (-(seen == level).sum(), level)):
                parts.append((cells == level).astype(float))
                owners.append(j)
        else:
            seen = seen.astype(float)
            x = np.where(gone, seen.mean(), [0.0 if cell is None else cell for cell in cells])
            parts.append((x - seen.mean()) / seen.std())
            owners.append(j)
        if gone[rows].any():
            parts.append(gone.astype(float))
            owners.append(j)
    return np.column_stack(parts), np.array(owners)


class Logistic:
    def __init__(self, settings):
        self.l2 = settings["logistic"]["l2"]

    def fit(self, x, y):
        self.model = LogisticRegression(solver="newton-cholesky", C=1 / self.l2, tol=1e-14, max_iter=100_000).fit(x, y)
        self.mean = x.mean(axis=0)
        return self

    def margins(self, x):
        return self.model.decision_function(x)

    def contributions(self, x):
        return self.margins(self.mean[None])[0], (x - self.mean) * self.model.coef_[0]


class LinearMachine(Logistic):
    """LinearSVC keeps the intercept small as well, as the library does."""

    def __init__(self, settings):
        self.c = settings["svm"]["c"]

    def fit(self, x, y):
        self.model = LinearSVC(loss="hinge", dual=True, C=self.c, tol=1e-9, max_iter=10_000_000).fit(x, y)
        self.mean = x.mean(axis=0)
        return self


def normals(seed: int, stream: int, count: int) -> list:
    """The library's standard normals: xoshiro256++ seeded through SplitMix64, polar method."""
    mask = 2**64 - 1

    def mixed(z):
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    golden = 0x9E3779B97F4A7C15
    start = mixed(seed + golden & mask) ^ stream
    s = [mixed(start + k * golden & mask) for k in range(1, 5)]

    def turned(x, k):
        return (x << k | x >> 64 - k) & mask

    def uniform():
        result = turned(s[0] + s[3] & mask, 23) + s[0] & mask
        shifted = s[1] << 17 & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = turned(s[3], 45)
        return (result >> 11) / 2**53

    made = []
    while len(made) < count:
        x, y = 2 * uniform() - 1, 2 * uniform() - 1
        square = x * x + y * y
        if 0 < square < 1:
            made.append(x * np.sqrt(-2 * np.log(square) / square))
    return made


class Machine:
    """LinearSVC on random waves (Rahimi & Recht), drawn as the library draws them; SVC is near."""

    def __init__(self, settings):
        self.c, self.width = settings["svm"]["c"], settings["svm"]["features"]

    def fit(self, x, y):
        self.mean = x.mean(axis=0)
        gamma = 1 / (x.shape[1] * x.var())
        drawn = [normals(0, k, x.shape[1]) for k in range(self.width // 2)]
        self.turns = np.sqrt(2 * gamma) * np.array(drawn).T
        plane = LinearSVC(loss="hinge", dual=True, C=self.c, tol=1e-9, max_iter=10_000_000).fit(self.waves(x), y)
        self.weights, self.intercept = plane.coef_[0], plane.intercept_[0]
        theirs = SVC(C=self.c, gamma="scale", tol=1e-10).fit(x, y).decision_function(x)
        aucs = [metrics.roc_auc_score(y, m) for m in (self.margins(x), theirs)]
        SVC_NEAR.append((float(np.corrcoef(self.margins(x), theirs)[0, 1]), abs(aucs[0] - aucs[1])))
        assert SVC_NEAR[-1][0] > 0.99 and SVC_NEAR[-1][1] < 0.01, SVC_NEAR[-1]
        return self

    def waves(self, x):
        angles = x @ self.turns
        return np.sqrt(2 / self.width) * np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(x), -1)

    def margins(self, x):
        return self.waves(x) @ self.weights + self.intercept

    def contributions(self, x):
        steps, slopes = x - self.mean, np.zeros_like(x)
        cosines, sines = self.weights[::2], self.weights[1::2]
        for at, share in zip(*np.polynomial.legendre.leggauss(40)):
            angles = (self.mean + (at + 1) / 2 * steps) @ self.turns
            rates = np.sqrt(2 / self.width) * (sines * np.cos(angles) - cosines * np.sin(angles))
            slopes += share / 2 * rates @ self.turns.T
        return self.margins(self.mean[None])[0], steps * slopes


def learner(settings):
    if settings["learner"] == "logistic":
        return Logistic(settings)
    return (LinearMachine if settings["svm"]["kernel"] == "linear" else Machine)(settings)


def binomial(terms, targets):
    """Factors of a binomial fit to fractions: each row once as a churner and once not."""
    doubled = sm.GLM(np.repeat([1.0, 0.0], len(targets)), np.vstack([terms, terms]), family=sm.families.Binomial(),
                     freq_weights=np.concatenate([targets, 1 - targets]))
    return np.asarray(doubled.fit(tol=1e-15, maxiter=500).params)


def sigmoid(margins, y):
    churned, stayed = y.sum(), (1 - y).sum()
    targets = np.where(y == 1, (churned + 1) / (churned + 2), 1 / (stayed + 2))
    slope, intercept = binomial(np.column_stack([margins, np.ones(len(y))]), targets)
    theirs = _sigmoid_calibration(margins, y)
    assert np.allclose([-theirs[0], -theirs[1]], [slope, intercept], atol=1e-4)
    return slope, intercept


def beta_terms(margins):
    return np.column_stack([-np.logaddexp(0, -margins), np.logaddexp(0, margins), np.ones(len(margins))])


def expit(x):
    return 1 / (1 + np.exp(-x))


def answer(inputs: dict) -> dict:
    settings, y = inputs["settings"], np.array(inputs["target"])
    fold_of, everyone = np.array(inputs["folds"]), np.arange(len(y))
    held = np.empty(len(y))
    for fold in range(settings["folds"]):
        train, test = everyone[fold_of != fold], everyone[fold_of == fold]
        x, _ = encoder(inputs["columns"], train)
        held[test] = learner(settings).fit(x[train], y[train]).margins(x[test])
    slope, intercept = 1.0, 0.0
    if settings["calibration"] == "sigmoid" or settings["learner"] == "svm":
        slope, intercept = sigmoid(held, y)
    held = intercept + slope * held
    if settings["calibration"] == "isotonic_forced":
        curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(held, y).predict
    elif settings["calibration"] == "beta":
        factors = binomial(beta_terms(held), y)
        assert (factors[:2] >= 0).all(), "the case needs no bound"
        curve = lambda margins: expit(beta_terms(margins) @ factors)
    else:
        curve = expit
    x, owners = encoder(inputs["columns"], everyone)
    model = learner(settings).fit(x, y)
    base, parts = model.contributions(x)
    points = {name: (slope * POINTS * parts[:, owners == j].sum(axis=1)).tolist()
              for j, name in enumerate(sorted(inputs["columns"]))}
    return {
        "probabilities": curve(intercept + slope * model.margins(x)).tolist(),
        "base_points": float(POINTS * (intercept + slope * base)),
        "points": points,
        "roc_auc": float(metrics.roc_auc_score(y, curve(held))),
        "log_loss": float(metrics.log_loss(y, curve(held))),
    }


LINE = {"l2": 1.5, "knots": 0, "tolerance": 1e-12}
PLANE = {"kernel": "linear", "c": 0.3, "tolerance": 1e-9, "max_passes": 200_000}
WAVES = {"kernel": "rbf", "c": 1.0, "features": 1_200, "tolerance": 1e-8, "max_passes": 200_000}
# Name: seed of the rows, settings, tolerance.
CASES = {
    "logistic as it is": (51, {"learner": "logistic", "logistic": LINE, "calibration": "none"}, 1e-9),
    "logistic, sigmoid": (52, {"learner": "logistic", "logistic": LINE, "calibration": "sigmoid"}, 1e-8),
    "logistic, isotonic": (53, {"learner": "logistic", "logistic": LINE, "calibration": "isotonic_forced"}, 1e-8),
    "logistic, beta": (54, {"learner": "logistic", "logistic": LINE, "calibration": "beta"}, 1e-8),
    "linear machine, sigmoid": (55, {"learner": "svm", "svm": PLANE, "calibration": "sigmoid"}, 1e-5),
    "Gaussian machine, sigmoid": (56, {"learner": "svm", "svm": WAVES, "calibration": "sigmoid"}, 1e-4),
}


def near(place, expected, got, tolerance, wrong) -> float:
    """The largest difference; names of places that differ by more than the tolerance."""
    if isinstance(expected, dict):
        return max(near(f"{place}.{k}", expected[k], got[k], tolerance, wrong) for k in expected)
    if isinstance(expected, list):
        pairs = enumerate(zip(expected, got, strict=True))
        return max(near(f"{place}[{i}]", e, g, tolerance, wrong) for i, (e, g) in pairs)
    apart = abs(expected - got) / max(1.0, abs(expected))
    if apart > tolerance:
        wrong.append(f"{place}: {expected} {got}")
    return apart


def library(inputs: dict) -> dict:
    import churn

    model = churn.FittedModel.fit(dict(sorted(inputs["columns"].items())), inputs["target"], **inputs["settings"])
    base, points = model.points(inputs["columns"])
    return {"probabilities": model.predict(inputs["columns"]).tolist(), "base_points": base,
            "points": {name: points[:, j].tolist() for j, name in enumerate(model.names)},
            "roc_auc": model.out_of_fold["roc_auc"], "log_loss": model.out_of_fold["log_loss"]}


def main() -> None:
    wrong, cases = [], []
    if "--write" in sys.argv:
        import churn

        for name, (seed, settings, tolerance) in CASES.items():
            inputs = table(seed, 160) | {"settings": {"folds": 4, **settings}}
            folds = churn.selection.make_folds(inputs["target"], 4)
            fold_of = np.empty(160, int)
            for k, (_, test) in enumerate(folds):
                fold_of[test] = k
            inputs["folds"] = fold_of.tolist()
            expected = answer(inputs)
            print(name, near(name, expected, library(inputs), tolerance, wrong))
            cases.append({"name": name, "inputs": inputs, "expected": expected, "tolerance": tolerance})
        source = "scikit-learn (LogisticRegression, LinearSVC, SVC, IsotonicRegression), statsmodels (sigmoid, beta)"
        origin = {"kind": "independent", "source": source}
        FILE.write_text(json.dumps({"operation": "learned.model", "origin": origin, "cases": cases}, indent=1) + "\n")
    else:
        for case in json.loads(FILE.read_text())["cases"]:
            near(case["name"], case["expected"], answer(case["inputs"]), 1e-7, wrong)
    print("SVC: least correlation of margins, largest difference of the AUC", min(SVC_NEAR)[0],
          max(apart for _, apart in SVC_NEAR))
    if wrong:
        sys.exit(f"{len(wrong)} differ:\n" + "\n".join(wrong[:20]))


main()
