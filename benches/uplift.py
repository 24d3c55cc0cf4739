"""Uplift models on Hillstrom beside scikit-uplift with LightGBM, on the same folds in one run.

    CHURN_DATA=... python benches/uplift.py

Needs churn, scikit-uplift, lightgbm, scikit-learn, pandas. Prints a table for docs/MODELS.md: qini of
scikit-uplift's definition, Radcliffe's Q x 10,000 and uplift at 30 % (mean over folds), seconds of
all folds together, with intervals of the pooled out-of-fold ranking by bootstrap of customers.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.model_selection import StratifiedKFold
from sklift.metrics import qini_auc_score, uplift_at_k
from sklift.models import ClassTransformation, SoloModel, TwoModels

from churn import uplift

warnings.filterwarnings("ignore")
FOLDS, SHUFFLES = 5, 2


def lightgbm():
    return LGBMClassifier(
        n_estimators=60, learning_rate=0.05, num_leaves=8, min_child_samples=200, verbose=-1, n_jobs=2
    )


def ours(**settings):
    def run(train_x, train_w, train_y, test_x):
        model = uplift.Uplift(**settings).fit(train_x, train_w, train_y)
        return model.predict(test_x)[:, 0]

    return run


def theirs(model):
    def run(train_x, train_w, train_y, test_x):
        coded = lambda x: x.assign(**{c: x[c].astype("category") for c in ("zip_code", "channel")})
        fitted = model().fit(coded(train_x), train_y, train_w)
        return fitted.predict(coded(test_x))

    return run


METHODS = {
    "churn S, linear": ours(method="s"),
    "churn T, linear": ours(method="t"),
    "churn X, linear": ours(method="x"),
    "churn DR, linear": ours(method="dr"),
    "churn R, linear": ours(method="r"),
    "churn T, boosting": ours(
        method="t",
        base={"boosting": {"trees": 60, "learning_rate": 0.05, "leaves": 8, "min_rows_in_leaf": 200}},
    ),
    "churn forest": ours(method="forest"),
    "scikit-uplift two models, LightGBM": theirs(lambda: TwoModels(lightgbm(), lightgbm())),
    "scikit-uplift one model, LightGBM": theirs(lambda: SoloModel(lightgbm())),
    "scikit-uplift transformation, LightGBM": theirs(lambda: ClassTransformation(lightgbm())),
}


def main():
    path = Path(os.environ["CHURN_DATA"]) / "hillstrom" / "hillstrom.csv.gz"
    data = pd.read_csv(path)
    columns = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
    print("| mailing | model | qini (sklift) | fold sd | Q | uplift at 30 % | 95 % interval of Q | s |")
    print("|---|---|---|---|---|---|---|---|")
    for mailing in ("Womens E-Mail", "Mens E-Mail"):
        rows = data[data.segment.isin([mailing, "No E-Mail"])].reset_index(drop=True)
        x, y = rows[columns], rows.visit.to_numpy()
        w = (rows.segment == mailing).to_numpy().astype(int)
        for name, fit in METHODS.items():
            qini, radcliffe, at_30, seconds = [], [], [], 0.0
            pooled = np.zeros(len(y))
            for seed in range(SHUFFLES):
                folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
                for train, test in folds.split(x, y + 2 * w):
                    start = time.perf_counter()
                    score = np.asarray(fit(x.iloc[train], w[train], y[train], x.iloc[test]))
                    seconds += time.perf_counter() - start
                    found = uplift.metrics(score, w[test], y[test])
                    assert abs(found["qini_sklift"] - qini_auc_score(y[test], score, w[test])) < 1e-9
                    theirs_at_30 = uplift_at_k(y[test], score, w[test], strategy="overall", k=0.3)
                    if len(set(score)) == len(score):
                        assert abs(found["uplift_at_k_overall"] - theirs_at_30) < 1e-9
                    qini.append(found["qini_sklift"])
                    radcliffe.append(found["qini_radcliffe"] * 1e4)
                    at_30.append(found["uplift_at_k_overall"])
                    pooled[test] = score
            random = np.random.default_rng(0)
            draws = []
            for _ in range(100):
                pick = random.integers(0, len(y), len(y))
                draws.append(uplift.metrics(pooled[pick], w[pick], y[pick])["qini_radcliffe"] * 1e4)
            low, high = np.percentile(draws, [2.5, 97.5])
            print(
                f"| {mailing} | {name} | {np.mean(qini):.4f} | {np.std(qini):.3f} | {np.mean(radcliffe):.1f} "
                f"| {np.mean(at_30):.4f} | {low:.1f} to {high:.1f} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
