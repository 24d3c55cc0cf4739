"""From an experiment to a campaign that pays, on a shop whose truth is known.

    python churn-py/examples/worked.py
    python churn-py/examples/worked.py --customers 8000 --seed 3 --budget 2000

Experiment -> effects -> plan -> journey -> report, and how close the plan comes to the best there is.
"""

import argparse
from datetime import timedelta

import churn
import numpy as np

HORIZON, MARGIN, COST, COUPON, STRENGTH = 85, 0.3, 0.08, 10.0, 0.35

PLAYBOOK = """
version = 1
name = "A coupon"
currency = "EUR"
choose_by = "profit"

[[channels]]
id = "sms"
name = { en = "SMS", zh = "短信" }
cost = 0.08
prior_response = 0.2

[[offers]]
id = "coupon"
name = { en = "Coupon", zh = "优惠券" }
text = { en = "10 off", zh = "减10" }
cost = 10
paid = "on_purchase"

[[actions]]
id = "coupon"
name = { en = "Coupon", zh = "优惠券" }
priority = 1
audience = "everyone"
offers = ["coupon"]
channel_sets = [["sms"]]
"""

JOURNEY = """
version = 1
id = "campaign"
name = { en = "Campaign", zh = "活动" }
triggers = [{ silence_days = 1 }]
steps = [{ id = "planned", send = { planned = true } }]
"""

COLUMNS = [
    "days_since_last", "orders", "value_365d", "activity", "silence_tail",
    "days_since_last_activity", "sms_response_rate",
]


def known(log, as_of):
    """Features, scores and segments as of an instant."""
    table = log.features(as_of)
    scores = churn.Scorecard().score(table)
    groups = [churn.RiskTiers().assign(scores), churn.Grid.rf25().assign(table), churn.lifecycle(table)]
    return table, scores, churn.Facts(table, scores, groups)


def columns(table):
    return {name: np.asarray(table.column(name), dtype=float) for name in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=2000.0)
    args = parser.parse_args()

    shop = churn.Shop(customers=args.customers, seed=args.seed).open()
    # The default shop is open for two years from the first day of 2022 on.
    end = np.datetime64("2022-01-01") + np.timedelta64(730, "D")
    start, now = (end - np.timedelta64(days, "D") for days in (180, 90))
    start, now = (moment.astype(object) for moment in (start, now))
    coupon = {"channels": ["sms"], "strength": STRENGTH, "horizon_days": HORIZON}

    # 1. An experiment: by lot every second customer gets the coupon; the truth says who comes back.
    table, _, _ = known(shop.log(), start)
    ids = np.array(list(table.customers))
    treated = np.array([churn.lot("pilot", int(id)) < 0.5 for id in ids])
    tried = shop.respond(ids[treated], start, seed=args.seed, **coupon)
    log = tried.log()

    # 2. What it says on average, and of whom.
    arm = np.where(treated, "coupon", "nothing")
    exposures = churn.experiment.Exposures(ids, arm, [start] * len(ids), control="nothing")
    outcomes = exposures.outcomes(log, horizon_days=HORIZON, observed_until=now)
    result = churn.experiment.compare_arms(
        outcomes["arm"], outcomes["bought"], control="nothing", kind="binary", bootstrap={"draws": 0}
    )
    found = result["effects"][0]["difference"]
    print(f"Experiment: {found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]")
    experiments = churn.experiment.effects_of(
        result, [{"arm": "coupon", "action": "coupon", "channels": ["sms"]}]
    )
    X, y = columns(table), outcomes["bought"]
    model = churn.uplift.Uplift().fit(X, treated.astype(int), y)
    held_out = model.out_of_fold(X, treated.astype(int), y)
    calibration = churn.uplift.calibration(held_out["effect"][:, 0], held_out["scores"][:, 0])
    print(f"Uplift model: {calibration['slope']:.2f} ± {calibration['slope_error']:.2f} of it is there")

    # 3. Effects for the customers of today, and the plan of the largest expected profit.
    table, scores, facts = known(log, now)
    ids = list(table.customers)
    playbook = churn.Playbook.from_toml(PLAYBOOK, facts)
    uplift = churn.uplift.calibrated_uplift(calibration, model.predict(columns(table))[:, 0])
    rows = np.array(ids, dtype=int) - 1
    truth = {name: tried.truth.column(name) for name in ("pattern", "gap_days", "order_value")}
    change = tried.change(now, **coupon)[rows]
    limits = {"budget": args.budget}

    def plan(uplift=None, constraints=limits, **effects):
        return churn.optimize(
            playbook, facts, uplift=uplift, effects=effects, value={"margin": MARGIN}, constraints=constraints
        )

    # 4. Judged by the truth: a year at each customer's own rhythm.
    gone = change > 0
    orders = np.where(np.asarray(truth["pattern"])[rows] == "one_time", 1.0, 365.0 / np.asarray(truth["gap_days"])[rows])
    gain = change * np.asarray(truth["order_value"])[rows] * orders * MARGIN
    profit = gain - COST - COUPON * np.where(gone, change, 1.0)
    chosen = lambda made: np.array([made.action(id) is not None for id in ids])
    p = np.asarray(scores.churn_probability)
    order = np.argsort(-p, kind="stable")
    affordable = np.cumsum(COST + COUPON * (1 - p[order])) <= args.budget
    policies = {
        "the best possible": chosen(plan({"coupon": change})),
        "plan from the experiment": chosen(plan({"coupon": uplift}, experiments=experiments)),
        "plan from priors alone": chosen(plan()),
        "risk first": np.isin(np.arange(len(ids)), order[affordable]),
        "everybody, no budget": np.ones(len(ids), dtype=bool),
    }
    best = profit[policies["the best possible"]].sum()
    print(f"True profit of plans that spend {args.budget:.0f} as planned:")
    for name, who in policies.items():
        print(f"  {name:<26} {profit[who].sum():>8.0f}  {100 * profit[who].sum() / best:>5.0f} % of the best")

    # 5. A journey carries the plan out, with the same hold-out; people answer as the truth says.
    holdout = {"salt": "campaign", "share": 0.3}
    carried = plan({"coupon": uplift}, constraints=limits | {"hold_out_by": holdout}, experiments=experiments)
    policy = churn.ContactPolicy.from_toml(
        f"version = 1\nholdout = {{ salt = '{holdout['salt']}', share = {holdout['share']} }}", playbook
    )
    journey = churn.Journey.from_toml(JOURNEY, playbook, facts)
    replay = churn.replay(
        log, now, now + timedelta(days=1), journeys=[journey], policy=policy, plans=[carried], playbook=playbook
    )
    contacted = [int(id) for id in replay.contacts.column("customer")]
    after = tried.respond(contacted, now, seed=args.seed + 1000, **coupon).log()

    # 6. The report straight from the journey's log.
    report = replay.report(after, horizon_days=HORIZON, observed_until=end.astype(object), margin=MARGIN)
    print(f"{report['contacted']} contacted for {report['cost']:.2f}, {report['held_out']} held out")
    match report["total"]:
        case {"known": known_effect}:
            kept, earned = known_effect["kept"], known_effect["return_on_spend"]
            print(f"kept {kept['value']:.0f} customers, 95 % interval {kept['low']:.0f} to {kept['high']:.0f}")
            print(f"earned {earned['value']:.1f} per 1 spent")
        case {"unknown": why}:
            print(why)


if __name__ == "__main__":
    main()
