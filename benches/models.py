"""Judges churn's models beside LightGBM and scikit-learn: same rows, features and folds, defaults.

    CHURN_DATA=FOLDER python benches/models.py [--repeats 2] [--sets telco bank_churn ...] [--variants]

Cross-validated sets: five stratified folds, repeated with other seeds; measures are taken per fold
and averaged. Time splits: fitted on cut-offs whose horizon was over when the test began, judged on
one row per customer at the test's cut-off. "better by" is the mean gain over the peer with a 95 %
interval from 1,000 paired bootstrap draws of customers. Needs pandas, scikit-learn, lightgbm.

On sets made of a log, churn's boosting keeps longer silence from lowering the risk, as it does in
fit(log). With --variants two more rows of churn's own are fitted there: without that, and with the
answers of a buying model (MBG/NBD, fitted on what was known at each cut-off) as further features.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import churn
import lightgbm
import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DATA = Path(os.environ["CHURN_DATA"])
OURS, FREE, ALIVE = "churn", "churn, silence free", "churn with P(alive)"


def telco():
    frame = pd.read_csv(DATA / "telco/telco_churn.csv.gz")
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    return frame.drop(columns=["customerID", "Churn"]), (frame["Churn"] == "Yes").to_numpy(float)


def bank_churn():
    frame = pd.read_csv(DATA / "bank_churn/bank_churn.csv.gz")
    return (
        frame.drop(columns=["RowNumber", "CustomerId", "Surname", "Exited"]),
        frame["Exited"].to_numpy(float),
    )


def cdnow_log():
    frame = pd.read_csv(DATA / "cdnow/cdnow_transactions.csv.gz", parse_dates=["date"])
    return churn.EventLog(frame, names={"customer": "customer_id", "time": "date", "value": "amount"})


def retail_log():
    frame = pd.read_csv(DATA / "online_retail/online_retail.csv.gz", parse_dates=["InvoiceDate"])
    frame = frame[frame["CustomerID"].notna() & (frame["UnitPrice"] > 0) & (frame["Quantity"] > 0)]
    frame = frame[~frame["InvoiceNo"].astype(str).str.startswith("C")]
    frame["CustomerID"] = frame["CustomerID"].astype(int)
    names = {"customer": "CustomerID", "time": "InvoiceDate", "value": "Quantity*UnitPrice", "order": "InvoiceNo"}
    return churn.EventLog(frame, names=names)


def alive(frame, as_of, horizon):
    """What the buying model says of customers, fitted cut-off by cut-off on all of them as they were."""
    answers = pd.DataFrame(index=frame.index, columns=["alive", "purchases", "no_purchase"], dtype=float)
    for rows in pd.Series(frame.index).groupby(as_of).groups.values():
        past = frame.loc[rows, ["frequency", "recency", "age"]]
        # Orders of one day are one purchase: its customer has no time between purchases.
        past["recency"] = past["recency"].where(past["frequency"] > 0, 0.0)
        past = {name: cells.to_numpy() / (1 if name == "frequency" else 7) for name, cells in past.items()}
        model = churn.lifetime.MbgNbd(penalty=0.001).fit(past, unit_days=7)
        answers.loc[rows, "alive"] = model.probability_alive(past)
        answers.loc[rows, "purchases"] = model.expected_purchases(past, horizon / 7)
        answers.loc[rows, "no_purchase"] = model.no_purchase_probability(past, horizon / 7)
    return answers.add_prefix("buying_")


def table(data, horizon, variants):
    """A frame of the features that vary, and the labels."""
    frame = pd.DataFrame(data.frame().to_dict())
    if variants:
        frame = frame.join(alive(frame, np.array(data.to_dict()["as_of"], dtype="datetime64[us]"), horizon))
    return frame.loc[:, frame.nunique(dropna=False) > 1], data.target


def at_once(log, as_of, horizon, variants):
    data = churn.TrainingData.build(log, churn={"horizon_days": horizon}, cut_offs={"at": [as_of]})
    return *table(data, horizon, variants), data.silence


SETS = {
    "telco": lambda variants: (*telco(), {}),
    "bank_churn": lambda variants: (*bank_churn(), {}),
    "cdnow_39_weeks": lambda variants: at_once(cdnow_log(), "1997-10-01", 273, variants),
    "online_retail_91_days": lambda variants: at_once(retail_log(), "2011-09-10", 91, variants),
}
SPLITS = {
    "cdnow_time": (cdnow_log, "1998-04-02", 90),
    "online_retail_time": (retail_log, "2011-09-11", 90),
}


def levels(frame):
    texts = frame.select_dtypes(exclude="number").columns
    return frame.astype({name: "category" for name in texts})


def linear():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, LogisticRegression())


class Ours:
    """churn's model as fit(log) makes it, on columns of a table."""

    def __init__(self, settings, silence, buying=False):
        self.settings, self.silence, self.buying = settings, silence, buying

    def columns(self, X):
        return X if self.buying else without_buying(X)

    def fit(self, X, y, groups=None):
        X = self.columns(X)
        ways = {name: way for name, way in self.silence.items() if name in X}
        settings = {**self.settings, "boosting": {"monotone": ways, **self.settings.get("boosting", {})}}
        self.model = churn.ChurnModel(**settings).fit(X, y, groups=groups)
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(self.columns(X))


def without_buying(X):
    return X[[name for name in X if not name.startswith("buying_")]]


def models(ours, silence, variants):
    makers = {OURS: lambda: Ours(ours, silence)}
    if variants and silence:
        makers |= {FREE: lambda: Ours(ours, {}), ALIVE: lambda: Ours(ours, silence, buying=True)}
    return makers | {
        "LightGBM": lambda: lightgbm.LGBMClassifier(verbose=-1, n_jobs=1),
        "HistGradientBoosting": lambda: HistGradientBoostingClassifier(categorical_features="from_dtype"),
        "LogisticRegression": linear,
    }


def judge(y, p):
    return {
        "auc": churn.metrics.roc_auc(y, p),
        "log_loss": churn.metrics.log_loss(y, p),
        "brier": churn.metrics.brier_score(y, p)["brier"],
        "ece": churn.metrics.calibration_error(y, p, bins={"quantile": 10}),
    }


def fit_predict(make, train, y, test, **more):
    if not isinstance(make(), Ours):
        train, test, more = without_buying(train), without_buying(test), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        model = make().fit(train, y, **more)
        spent = time.process_time() - started
        return model.predict_proba(test)[:, 1], spent


def cross_validated(frame, y, makers, repeats):
    frame = levels(frame)
    scores = {name: [] for name in makers}
    pooled = {name: [] for name in makers}
    seconds = dict.fromkeys(makers, 0.0)
    for repeat in range(repeats):
        folds = StratifiedKFold(5, shuffle=True, random_state=42 + repeat)
        whole = {name: np.empty(len(y)) for name in makers}
        for train, test in folds.split(frame, y):
            for name, make in makers.items():
                p, spent = fit_predict(make, frame.iloc[train], y[train], frame.iloc[test])
                scores[name].append(judge(y[test], p))
                seconds[name] += spent
                whole[name][test] = p
        for name in makers:
            pooled[name].append(whole[name])
    return scores, {name: np.array(rows) for name, rows in pooled.items()}, seconds


def gains(y, pooled, draws=1000):
    """Gain of ours over each peer: mean and interval over draws of customers."""
    rng = np.random.default_rng(0)
    classes = [np.flatnonzero(y == label) for label in (0.0, 1.0)]
    rows = [np.concatenate([rng.choice(c, len(c)) for c in classes]) for _ in range(draws)]

    def measures(ps, chosen):
        return np.mean(
            [[churn.metrics.roc_auc(y[chosen], p[chosen]), -churn.metrics.log_loss(y[chosen], p[chosen])] for p in ps],
            axis=0,
        )

    everyone = np.arange(len(y))
    drawn = {name: np.array([measures(ps[:1], r) for r in rows]) for name, ps in pooled.items()}
    answer = {}
    for name, ps in pooled.items():
        if name == OURS:
            continue
        gain = measures(pooled[OURS], everyone) - measures(ps, everyone)
        low, high = np.quantile(drawn[OURS] - drawn[name], [0.025, 0.975], axis=0)
        answer[name] = {
            measure: [float(gain[k]), float(low[k]), float(high[k])]
            for k, measure in enumerate(("auc", "log_loss"))
        }
    return answer


def report(title, rows, scores, seconds, gained):
    print(f"\n{title} ({rows})")
    print(f"  {'':22}{'AUC':>16}{'log loss':>18}{'Brier':>18}{'ECE':>9}{'CPU s':>8}")
    for name, folds in scores.items():
        mean = {m: np.mean([f[m] for f in folds]) for m in folds[0]}
        sd = {m: np.std([f[m] for f in folds], ddof=1) if len(folds) > 1 else np.nan for m in folds[0]}
        cells = "".join(f"{mean[m]:>10.4f} ±{sd[m]:.4f}" for m in ("auc", "log_loss", "brier"))
        print(f"  {name:22}{cells}{mean['ece']:>9.4f}{seconds[name]:>8.1f}")
    for name, gain in gained.items():
        texts = [f"{m} {g[0]:+.4f} [{g[1]:+.4f}, {g[2]:+.4f}]" for m, g in gain.items()]
        print(f"  better by than {name:22} {'   '.join(texts)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--sets", nargs="*", default=[*SETS, *SPLITS])
    parser.add_argument("--ours", type=json.loads, default={}, help="settings of churn's model, as JSON")
    parser.add_argument("--only", action="store_true", help="churn's models alone")
    parser.add_argument("--variants", action="store_true", help="churn without constraints, and with P(alive)")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    print(f"churn {churn.__version__}, LightGBM {lightgbm.__version__}, scikit-learn {sklearn.__version__}")
    saved = {}
    for name in arguments.sets:
        variants = arguments.variants

        def makers_for(silence):
            makers = models(arguments.ours, silence, variants)
            return {n: make for n, make in makers.items() if not arguments.only or n.startswith(OURS)}

        if name in SETS:
            frame, y, silence = SETS[name](variants)
            makers = makers_for(silence)
            scores, pooled, seconds = cross_validated(frame, y, makers, arguments.repeats)
            rows = f"{len(y)} rows, {without_buying(frame).shape[1]} columns, 5 folds × {arguments.repeats}"
        else:
            make_log, as_of, horizon = SPLITS[name]
            log, definition = make_log(), {"horizon_days": horizon}
            train = churn.TrainingData.build(log, churn=definition, observed_until=as_of)
            test = churn.TrainingData.build(log, churn=definition, cut_offs={"at": [as_of]})
            frame, target = table(train, horizon, variants)
            later, y = table(test, horizon, variants)
            later = pd.DataFrame(test.frame().to_dict()).join(later.filter(like="buying_"))[frame.columns]
            scores, pooled, seconds = {}, {}, {}
            for model, make in makers_for(train.silence).items():
                p, seconds[model] = fit_predict(make, frame, target, later, groups=train.groups)
                scores[model], pooled[model] = [judge(y, p)], p[None]
            columns = without_buying(frame).shape[1]
            rows = f"{len(target)} rows at {len(train.cut_offs)} cut-offs, {columns} columns, tested on {len(y)}"
        gained = gains(y, pooled)
        report(name, rows, scores, seconds, gained)
        saved[name] = {"scores": scores, "gains": gained, "cpu_seconds": seconds}
        if arguments.save:
            arguments.save.write_text(json.dumps(saved, indent=1))


if __name__ == "__main__":
    main()
