"""Judges the models of buying on what customers did next, beside lifetimes and a learned model.

    CHURN_DATA=FOLDER python benches/lifetime_quality.py [--sets cdnow_sample ...] [--no-peers]

Each shop is cut in two: models are fitted on the purchases before the cut and asked about the days
after it. `error` is the mean absolute error of purchase days per customer; `ln L` the log-likelihood
of the fit; `ln L later` the mean logarithm of the probability that a model gave to the number of
purchase days that followed (churn's models only, for lifetimes has no such answer for customers with
a history). "No purchase until the end" is judged by AUC, log loss, Brier score and calibration
error (ten bins of equal size). The learned model is cross-validated on the same customers and the
same label. Needs pandas, and lifetimes unless --no-peers.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import churn
import numpy as np
import pandas as pd
from churn import lifetime

DATA = Path(os.environ["CHURN_DATA"])
MOST = 60


def cdnow(file: str, customer: str):
    frame = pd.read_csv(DATA / "cdnow" / file, parse_dates=["date"])
    names = {"customer": customer, "time": "date", "value": "amount"}
    return churn.EventLog(frame, names=names), "1997-10-01", "1998-07-01"


def online_retail():
    frame = pd.read_csv(DATA / "online_retail/online_retail.csv.gz", parse_dates=["InvoiceDate"])
    frame = frame[frame["CustomerID"].notna() & (frame["UnitPrice"] > 0) & (frame["Quantity"] > 0)]
    frame = frame[~frame["InvoiceNo"].astype(str).str.startswith("C")]
    frame["CustomerID"] = frame["CustomerID"].astype(int)
    names = {"customer": "CustomerID", "time": "InvoiceDate", "value": "Quantity*UnitPrice", "order": "InvoiceNo"}
    return churn.EventLog(frame, names=names), "2011-09-10", "2011-12-10"


def apparel():
    frame = pd.read_csv(next((DATA / "apparel_simulated").glob("*transactions*")), parse_dates=["date"])
    names = {"customer": "customer_id", "time": "date", "value": "amount"}
    return churn.EventLog(frame, names=names), "2007-01-01", "2010-12-21"


SETS = {
    "cdnow_sample": lambda: cdnow("cdnow_sample_transactions.csv.gz", "sample_id"),
    "cdnow": lambda: cdnow("cdnow_transactions.csv.gz", "customer_id"),
    "online_retail": online_retail,
    "apparel": apparel,
}
OURS = {
    "BG/NBD": lifetime.BgNbd(),
    "MBG/NBD": lifetime.MbgNbd(),
    "Pareto/NBD": lifetime.ParetoNbd(),
    "BG/CNBD-k": lifetime.BgCnbd(),
    "MBG/CNBD-k": lifetime.MbgCnbd(),
}


def judged(bought, none):
    """Measures of the probability of no purchase; `bought` are purchase days that followed."""
    stayed_away = (bought == 0).astype(float)
    return {
        "auc": churn.metrics.roc_auc(stayed_away, none),
        "log_loss": churn.metrics.log_loss(stayed_away, np.clip(none, 1e-12, 1 - 1e-12)),
        "brier": churn.metrics.brier_score(stayed_away, none)["brier"],
        "ece": churn.metrics.calibration_error(stayed_away, none, bins={"quantile": 10}),
        "none": float(np.mean(none)),
    }


def counted(bought, expected):
    return {
        "total": float(expected.sum()),
        "mae": float(np.abs(expected - bought).mean()),
        "rmse": float(np.sqrt(np.square(expected - bought).mean())),
    }


def ours(summary, settings, horizon, bought):
    model = settings.fit(summary)
    expected = model.expected_purchases(summary, horizon)
    none = model.no_purchase_probability(summary, horizon)
    shares = np.array(model.purchase_distribution(summary, horizon, MOST))
    shares = np.vstack([shares, np.maximum(1 - shares.sum(axis=0), 0)])
    given = shares[np.minimum(bought, MOST + 1).astype(int), np.arange(len(bought))]
    bounds = [p["name"] for p in model.estimate["parameters"] if p["on_bound"]]
    return {
        "parameters": model.parameters | ({"k": model.regularity} if model.regularity > 1 else {}),
        "on_bound": bounds,
        "ln_l": model.estimate["log_likelihood"],
        "ln_l_later": float(np.log(np.maximum(given, 1e-300)).mean()),
        "auc_alive": churn.metrics.roc_auc((bought > 0).astype(float), model.probability_alive(summary)),
        **counted(bought, expected),
        **judged(bought, none),
    }


def lifetimes_of(summary, horizon, bought):
    import lifetimes

    columns = [summary.column(name) for name in ("frequency", "recency", "age")]
    kinds = {
        "BG/NBD": lifetimes.BetaGeoFitter,
        "MBG/NBD": lifetimes.ModifiedBetaGeoFitter,
        "Pareto/NBD": lifetimes.ParetoNBDFitter,
    }
    for name, kind in kinds.items():
        try:
            fitter = kind()
            fitter.fit(*columns)
            expected = np.asarray(
                fitter.conditional_expected_number_of_purchases_up_to_time(horizon, *columns)
            )
        except Exception as error:
            # Convergence is not granted there.
            yield f"lifetimes {name}", {"failed": f"{type(error).__name__}"}
            continue
        # A mean, for Pareto/NBD a sum, of densities of times scaled to a largest age of 1.
        rows = 1 if name == "Pareto/NBD" else len(bought)
        ln_l = -float(fitter._negative_log_likelihood_) * rows
        ln_l -= float(columns[0].sum() * np.log(columns[2].max()))
        yield f"lifetimes {name}", {"ln_l": ln_l, **counted(bought, expected)}


def learned(log, as_of, days):
    data = churn.TrainingData.build(log, churn={"horizon_days": days}, cut_offs={"at": [as_of]})
    frame = pd.DataFrame(data.frame().to_dict())
    frame = frame.loc[:, frame.nunique(dropna=False) > 1]
    found = churn.ChurnModel().fit(frame, data.target).out_of_fold_
    return {
        "auc": found["roc_auc"],
        "log_loss": found["log_loss"],
        "brier": found["brier"],
        "ece": found["calibration_error"],
    }


def shown(value, form):
    return "" if value is None else format(value, form)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-learned", action="store_true")
    parser.add_argument("--save")
    given = parser.parse_args()
    everything = {}
    for name in given.sets:
        log, as_of, end = SETS[name]()
        summary = log.summarize(as_of, time_scale=7)
        later = summary.holdout(log, end, time_scale=7)
        bought, horizon = later.column("frequency"), later.duration
        one_time = float((summary.column("frequency") == 0).mean())
        print(
            f"\n### {name}: {len(bought):,} customers ({one_time:.1%} bought once), {horizon:.1f} weeks ahead, "
            f"{bought.sum():.0f} purchase days, {(bought == 0).mean():.1%} without any\n"
        )
        found = {label: ours(summary, settings, horizon, bought) for label, settings in OURS.items()}
        if not given.no_peers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found |= dict(lifetimes_of(summary, horizon, bought))
        if not given.no_learned:
            found["learned model, out of fold"] = learned(log, as_of, round(horizon * 7))
        everything[name] = found
        print("| model | ln L | ln L later | total | error | RMSE | AUC | AUC of alive | log loss | Brier | calibration error |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for label, one in found.items():
            if "failed" in one:
                print(f"| {label} | {one['failed']} |||||||||")
                continue
            k = one.get("parameters", {}).get("k")
            bounds = f" ({', '.join(one['on_bound'])} on the bound)" if one.get("on_bound") else ""
            cells = [
                f"{label}{f', k = {k}' if k else ''}{bounds}",
                shown(one.get("ln_l"), ".2f"), shown(one.get("ln_l_later"), ".4f"),
                shown(one.get("total"), ".1f"), shown(one.get("mae"), ".4f"), shown(one.get("rmse"), ".3f"),
                shown(one.get("auc"), ".4f"), shown(one.get("auc_alive"), ".4f"), shown(one.get("log_loss"), ".4f"),
                shown(one.get("brier"), ".4f"), shown(one.get("ece"), ".4f"),
            ]
            print("| " + " | ".join(cells) + " |", flush=True)
    if given.save:
        Path(given.save).write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
