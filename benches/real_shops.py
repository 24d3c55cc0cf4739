"""What the default flow finds in two real shops; the tables of docs/RESULTS.md.

    CHURN_DATA=... python benches/real_shops.py

Splits time: everything is computed as of a cut-off, the label is "no purchase in the horizon after
it". Needs the module `churn` and numpy.
"""

import os
import pathlib
import sys

import numpy as np

import churn

SHOPS = [
    {
        "name": "CDNOW",
        "file": "cdnow/cdnow_transactions.csv.gz",
        "names": {"customer": "customer_id", "time": "date", "value": "amount"},
        "cleaning": {},
        "as_of": "1997-10-01",
        "until": "1998-07-01",
    },
    {
        "name": "Online Retail",
        "file": "online_retail/online_retail.csv.gz",
        "names": {
            "customer": "CustomerID",
            "time": "InvoiceDate",
            "value": "Quantity*UnitPrice",
            "order": "InvoiceNo",
            "item": "StockCode",
        },
        "cleaning": {"negative_value": "refund"},
        "as_of": "2011-09-10",
        "until": "2011-12-10",
    },
]


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a random positive scores above a random negative, ties counted half."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, ranks) / counts)[inverse]
    positives = label.sum()
    return (ranks[label].sum() - positives * (positives + 1) / 2) / (
        positives * (len(label) - positives)
    )


def orders_after(log: churn.EventLog, as_of: str, until: str) -> dict:
    """Orders of each customer from `as_of` to `until`: those before `until` minus those before."""
    later = log.features(until, features=["orders"])
    before = log.features(as_of, features=["orders"])
    count = dict(zip(later.customers, later.column("orders")))
    for customer, orders in zip(before.customers, before.column("orders")):
        count[customer] -= orders
    return count


def main() -> None:
    folder = os.environ.get("CHURN_DATA")
    if folder is None:
        sys.exit("CHURN_DATA names no folder: nothing to run on")
    for shop in SHOPS:
        path = pathlib.Path(folder) / shop["file"]
        log = churn.EventLog.from_csv(path, names=shop["names"], **shop["cleaning"])
        result = churn.winback(log, shop["as_of"])
        later = orders_after(log, shop["as_of"], shop["until"])
        bought = result.features.column("orders") > 0
        left = np.array([later[c] == 0 for c in result.features.customers])[bought]
        probability = result.scores.churn_probability[bought]
        silence = result.features.column("days_since_last")[bought]
        print(f"\n### {shop['name']}, as of {shop['as_of']}, label: no purchase before {shop['until']}\n")
        print(f"{left.size} buyers, {left.sum()} of them ({left.mean():.1%}) did not buy again.\n")
        print("| score | AUC |\n|---|---|")
        print(f"| default scorecard | {auc(left, probability):.4f} |")
        print(f"| days since last purchase alone | {auc(left, silence):.4f} |")
        print("\n| tier | buyers | mean probability | did not buy again |\n|---|---|---|---|")
        tiers = np.array([result.risk_tier.label(c) for c in result.risk_tier.customers])[bought]
        for tier in result.risk_tier.labels:
            of = tiers == tier
            if of.any():
                print(f"| {tier} | {of.sum()} | {probability[of].mean():.1%} | {left[of].mean():.1%} |")
        print("\n| segment | buyers | did not buy again |\n|---|---|---|")
        names = np.array([result.rfm_segment.label(c) for c in result.rfm_segment.customers])[bought]
        for name in result.rfm_segment.labels:
            of = names == name
            if of.any():
                print(f"| {name} | {of.sum()} | {left[of].mean():.1%} |")
        print(f"\n```text\n{result.plan}\n```")


if __name__ == "__main__":
    main()
