"""Uplift models on Hillstrom beside scikit-uplift and causalml with LightGBM, same folds, same run.

    CHURN_DATA=... python benches/uplift.py [--outcomes visit conversion spend] [--shuffles 2]

Needs churn, scikit-uplift, causalml, lightgbm, scikit-learn, pandas. Prints a table for docs/MODELS.md:
means over the folds of scikit-uplift's Qini (outcomes of 0 and 1), of Radcliffe's Q and of the uplift
at 30 %, intervals of the last two from the pooled out-of-fold ranking (bootstrap of customers, first
shuffle), processor seconds and seconds of fitting and predicting all folds, and memory beyond what the
process had before. Each model runs in a process of its own. Our Qini is compared with scikit-uplift's on
every fold (1e-9), and so is the uplift at 30 % where no scores are tied.
"""

import argparse
import multiprocessing
import os
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
FOLDS = 5
COLUMNS = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
TREES = {"trees": 60, "learning_rate": 0.05, "leaves": 8, "min_rows_in_leaf": 200}


def lightgbm(binary):
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if binary else LGBMRegressor
    return kind(
        n_estimators=60, learning_rate=0.05, num_leaves=8, min_child_samples=200, verbose=-1, n_jobs=2
    )


def ours(**settings):
    def run(x, w, y, asked):
        from churn import uplift

        return uplift.Uplift(**settings).fit(x, w, y).predict(asked)[:, 0]

    return run


def sklift(name):
    def run(x, w, y, asked):
        from sklift import models

        binary = set(np.unique(y)) <= {0.0, 1.0}
        if name == "TwoModels":
            model = models.TwoModels(lightgbm(binary), lightgbm(binary))
        else:
            model = getattr(models, name)(lightgbm(binary))
        coded = lambda t: t.assign(**{c: t[c].astype("category") for c in ("zip_code", "channel")})
        return model.fit(coded(x), pd.Series(y, index=x.index), pd.Series(w, index=x.index)).predict(coded(asked))

    return run


def causalml(name):
    def run(x, w, y, asked):
        from causalml.inference import meta

        binary = set(np.unique(y)) <= {0.0, 1.0}
        # Its learners regress; the X- and DR-learner need the propensity, which is known here.
        share = w.mean()
        coded = lambda t: pd.get_dummies(t, columns=["zip_code", "channel"]).to_numpy(float)
        if name == "BaseXRegressor":
            model = meta.BaseXRegressor(lightgbm(False))
            model.fit(coded(x), w, y, p=np.full(len(w), share))
            return model.predict(coded(asked), p=np.full(len(asked), share))[:, 0]
        if name == "BaseDRRegressor":
            model = meta.BaseDRRegressor(lightgbm(False))
            model.fit(coded(x), w, y, p=np.full(len(w), share), seed=0)
            return model.predict(coded(asked))[:, 0]
        model = meta.BaseTClassifier(lightgbm(True)) if binary else meta.BaseTRegressor(lightgbm(False))
        model.fit(coded(x), w, y)
        return model.predict(coded(asked))[:, 0]

    return run


METHODS = {
    "churn S, linear": ours(method="s"),
    "churn T, linear": ours(method="t"),
    "churn X, linear": ours(method="x"),
    "churn DR, linear (default)": ours(method="dr"),
    "churn R, linear": ours(method="r"),
    "churn transformed outcome, linear": ours(method="transformed_outcome"),
    "churn T, boosting": ours(method="t", base={"boosting": TREES}),
    "churn DR, boosting": ours(method="dr", base={"boosting": TREES}),
    "churn forest": ours(method="forest"),
    "scikit-uplift two models": sklift("TwoModels"),
    "scikit-uplift one model": sklift("SoloModel"),
    "scikit-uplift class transformation": sklift("ClassTransformation"),
    "causalml T": causalml("T"),
    "causalml X": causalml("BaseXRegressor"),
    "causalml DR": causalml("BaseDRRegressor"),
}


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def row(mailing, outcome, name, x, w, y, shuffles):
    """One line of the table; in a process of its own."""
    from sklearn.model_selection import StratifiedKFold
    from sklift.metrics import qini_auc_score, uplift_at_k

    from churn import uplift

    binary = set(np.unique(y)) <= {0.0, 1.0}
    qini, radcliffe, at_30, pooled = [], [], [], np.zeros(len(y))
    before, seconds, used = resident(), 0.0, 0.0
    for seed in range(shuffles):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        for train, test in folds.split(x, (y > 0) + 2 * w):
            start, cpu = time.perf_counter(), time.process_time()
            score = np.asarray(METHODS[name](x.iloc[train], w[train], y[train], x.iloc[test]), float)
            seconds, used = seconds + time.perf_counter() - start, used + time.process_time() - cpu
            found = uplift.metrics(score, w[test], y[test])
            if binary:
                assert abs(found["qini_sklift"] - qini_auc_score(y[test], score, w[test])) < 1e-9
                if len(set(score)) == len(score):
                    known = uplift_at_k(y[test], score, w[test], strategy="overall", k=0.3)
                    assert abs(found["uplift_at_k_overall"] - known) < 1e-9
                qini.append(found["qini_sklift"])
            radcliffe.append(found["qini_radcliffe"] * 1e4)
            at_30.append(found["uplift_at_k_overall"])
            if seed == 0:
                pooled[test] = score
    # Kilobytes on Linux.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    intervals = uplift.intervals(pooled, w, y, replicates=200)
    q, u = intervals["qini_radcliffe"], intervals["uplift_at_k_overall"]
    told = f"{np.mean(qini):.4f} | {np.std(qini):.3f}" if binary else "– | –"
    return (
        f"| {mailing} | {outcome} | {name} | {told} "
        f"| {np.mean(radcliffe):.1f} | {q['low'] * 1e4:.1f} to {q['high'] * 1e4:.1f} "
        f"| {np.mean(at_30):.4f} | {u['low']:.4f} to {u['high']:.4f} "
        f"| {used:.1f} | {seconds:.1f} | {memory / 1e6:.0f} |"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--outcomes", nargs="+", default=["visit", "conversion", "spend"])
    parser.add_argument("--shuffles", type=int, default=2)
    parser.add_argument("--models", default="", help="part of the names of the models to run")
    asked = parser.parse_args()
    data = pd.read_csv(Path(os.environ["CHURN_DATA"]) / "hillstrom" / "hillstrom.csv.gz")
    print("| mailing | outcome | model | qini (sklift) | fold sd | Q | 95 % | uplift at 30 % | 95 % | cpu s | s | MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    spawn = multiprocessing.get_context("spawn")
    for outcome in asked.outcomes:
        for mailing in ("Womens E-Mail", "Mens E-Mail"):
            rows = data[data.segment.isin([mailing, "No E-Mail"])].reset_index(drop=True)
            x, y = rows[COLUMNS], rows[outcome].to_numpy(float)
            w = (rows.segment == mailing).to_numpy().astype(int)
            for name in METHODS:
                binary = outcome != "spend"
                if asked.models not in name or ("class transformation" in name and not binary):
                    continue
                with spawn.Pool(1) as pool:
                    print(pool.apply(row, (mailing, outcome, name, x, w, y, asked.shuffles)), flush=True)


if __name__ == "__main__":
    main()
