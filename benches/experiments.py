"""Experiments and policies on real logs: the shop's A/B test, Hillstrom's mailings, the Open Bandit logs.

    CHURN_DATA=... python benches/experiments.py

Needs churn, numpy, pandas. Prints the tables of docs/MODELS.md: sample-ratio check and effects of the A/B
test and of the mailings, with and without CUPED where there is something from before; and the value of
the uniform and of the Thompson policy of the Open Bandit logs, each estimated from the other's log beside
what it earned itself.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

import churn
from churn import experiment

FOLDER = Path(os.environ["CHURN_DATA"])


def effects(title, arm, outcome, control, kind, covariates=None, shares=None):
    """A line per arm, without and with covariates."""
    for adjusted in [None] + ([covariates] if covariates else []):
        found = experiment.compare_arms(
            arm, outcome, control=control, kind=kind, covariates=adjusted, shares=shares or [],
            bootstrap={"draws": 1000},
        )
        reduction = found["variance_reduction"]
        for effect in found["effects"]:
            d = effect["difference"]
            posterior = effect["posterior"]["probability_better"] if effect["posterior"] else float("nan")
            bootstrap = effect["bootstrap"]
            boots = f"{bootstrap[0]:.4f} to {bootstrap[1]:.4f}" if bootstrap else "–"
            print(
                f"| {title} | {effect['arm']} | {'CUPED' if adjusted else 'plain'} "
                f"| {d['value']:+.4f} | {d['low']:.4f} to {d['high']:.4f} | {boots} "
                f"| {effect['always_valid'][0]:.4f} to {effect['always_valid'][1]:.4f} "
                f"| {effect['adjusted_p_value']:.2g} | {posterior:.4f} "
                f"| {'' if reduction is None else f'{100 * reduction:.1f} %'} "
                f"| {found['sample_ratio']['p_value']:.3f} |",
                flush=True,
            )


def experiments():
    print("| experiment, outcome | arm | | difference | 95 % | bootstrap | always valid | p (Holm) | P(better) "
          "| variance taken out | sample ratio p |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    log = pd.read_csv(FOLDER / "simple_shop" / "simple_ab_test.csv.gz")
    log = log[log.user_backet.isin(["control", "test"])]
    paid = log.assign(money=log.transaction_value.where(log.event == "payment_done", 0.0).fillna(0.0))
    users = paid.groupby("user_id").agg(
        arm=("user_backet", "first"),
        arms=("user_backet", "nunique"),
        money=("money", "sum"),
        orders=("event", lambda events: (events == "payment_done").sum()),
    )
    assert (users.arms == 1).all()
    bought = (users.orders > 0).astype(float)
    for title, outcome, kind in [
        ("shop A/B, bought", bought, "binary"),
        ("shop A/B, orders", users.orders.astype(float), "count"),
        ("shop A/B, money", users.money, "money"),
    ]:
        effects(title, users.arm.tolist(), outcome.to_numpy(float), "control", kind)
    mail = pd.read_csv(FOLDER / "hillstrom" / "hillstrom.csv.gz")
    before = [np.log(mail.history).to_numpy(), mail.recency.to_numpy(float), mail.newbie.to_numpy(float)]
    for outcome, kind in [("visit", "binary"), ("conversion", "binary"), ("spend", "money")]:
        effects(f"Hillstrom, {outcome}", mail.segment.tolist(), mail[outcome].to_numpy(float), "No E-Mail",
                kind, before)


def bandit(name):
    folder = FOLDER / "open_bandit"
    found = [path for path in sorted(folder.rglob("*")) if name in path.name and ".csv" in path.name]
    return pd.read_csv(found[0], index_col=None)


def policies():
    print()
    print("| value of | from the log of | estimator | clicks per 1,000 | 95 % | effective choices | largest weight |")
    print("|---|---|---|---|---|---|---|")
    logs = {"uniform": bandit("random"), "Thompson": bandit("bts")}
    items = 80
    for target, other in [("Thompson", "uniform"), ("uniform", "Thompson")]:
        own, log = logs[target], logs[other]
        clicks = own.click.to_numpy(float)
        error = clicks.std(ddof=1) / np.sqrt(len(clicks))
        print(f"| {target} | {target} (its own) | mean | {1000 * clicks.mean():.2f} "
              f"| {1000 * (clicks.mean() - 1.96 * error):.2f} to {1000 * (clicks.mean() + 1.96 * error):.2f} | | |")
        if target == "uniform":
            policy = np.full(len(log), 1 / items)
            shares = {p: np.full(items, 1 / items) for p in (1, 2, 3)}
        else:
            # What the policy would choose is known as the share of each item at each position of its log.
            shares = {
                p: np.bincount(own.item_id[own.position == p], minlength=items) / (own.position == p).sum()
                for p in (1, 2, 3)
            }
            policy = np.array([shares[p][i] for p, i in zip(log.position, log.item_id)])
        # Clicks of an item: two folds, each judged by the other, drawn towards the mean of all.
        reward = log.click.to_numpy(float)
        fold = np.arange(len(log)) % 2
        of_choice, of_policy = np.zeros(len(log)), np.zeros(len(log))
        for part in (0, 1):
            seen = fold != part
            count = np.bincount(log.item_id[seen], minlength=items)
            sums = np.bincount(log.item_id[seen], weights=reward[seen], minlength=items)
            rate = (sums + 100 * reward[seen].mean()) / (count + 100)
            here = ~seen
            of_choice[here] = rate[log.item_id[here]]
            of_policy[here] = [shares[p] @ rate for p in log.position[here]]
        for estimator in ("inverse_propensity", "self_normalised", "doubly_robust"):
            value = experiment.policy_value(
                reward, log.propensity_score.to_numpy(float), policy, estimator=estimator,
                model=(of_choice, of_policy),
            )
            low, high = value.interval
            print(f"| {target} | {other} | {estimator} | {1000 * value.value:.2f} "
                  f"| {1000 * low:.2f} to {1000 * high:.2f} | {value.effective_choices:.0f} "
                  f"| {value.largest_weight:.1f} |", flush=True)


if __name__ == "__main__":
    print(f"churn {getattr(churn, '__version__', '')}")
    experiments()
    policies()
