"""Results of experiments and journeys go back into plans, and plans into journeys."""

import churn
import numpy as np
import pytest

PLANNED = """
version = 1
id = "planned"
name = { en = "Planned", zh = "计划" }
triggers = [{ silence_days = 10 }]
steps = [{ id = "planned", send = { planned = true } }]
"""


@pytest.fixture(scope="module")
def shop():
    return churn.Shop(customers=900, seed=4).open()


@pytest.fixture(scope="module")
def flow(shop):
    log = shop.log()
    found = churn.winback(log, "2023-10-01")
    facts = churn.Facts(
        found.features, found.scores, [found.risk_tier, found.rfm_segment, found.lifecycle]
    )
    return log, facts, churn.Playbook.default_for(facts)


def test_arms_become_effects_that_plans_name_as_their_source(flow):
    _, facts, playbook = flow
    arm, stayed = np.arange(4000) % 2, np.tile([0, 1, 0, 0, 1, 1], 667)[:4000]
    result = churn.experiment.compare_arms(
        np.where(arm == 1, "coupon", "none"), stayed, control="none", kind="binary"
    )
    effects = churn.experiment.effects_of(
        result, [{"arm": "coupon", "action": "win_back", "channels": ["sms"]}]
    )
    difference = result["effects"][0]["difference"]
    assert effects[0]["change"] == difference["value"]
    assert effects[0]["standard_error"] == difference["standard_error"]
    value = {"feature": "total_value"}
    plan = churn.optimize(playbook, facts, effects={"experiments": effects}, value=value)
    sources = set(plan.column("source").tolist())
    assert "experiment" in sources
    customer = plan.customers[plan.column("source").tolist().index("experiment")]
    assert "by experiment" in plan.why(customer)
    with pytest.raises(churn.ChurnError, match=r"arms\[0\].arm: expected"):
        churn.experiment.effects_of(result, [{"arm": "mail", "action": "win_back"}])
    with pytest.raises(churn.ChurnError, match="effects.prior_spread"):
        churn.optimize(playbook, facts, effects={"prior_spread": 0.0})


def test_uplift_is_drawn_towards_what_is_known_otherwise(flow):
    _, facts, playbook = flow
    n = len(facts.customers)
    calibration = churn.uplift.calibration([0.0, 0.2, 0.0, 0.2], [0.05, 0.15, 0.04, 0.16])
    assert calibration["average"] == pytest.approx(0.1)
    assert calibration["slope"] == pytest.approx(0.55)
    uplift = churn.uplift.calibrated_uplift(calibration, np.linspace(0.0, 0.2, n))
    assert set(uplift) == {"change", "standard_error"} and len(uplift["change"]) == n
    value = {"feature": "total_value"}

    def changes(uplift, **effects):
        plan = churn.optimize(playbook, facts, uplift={"win_back": uplift}, effects=effects, value=value)
        change, source = plan.column("change"), plan.column("source").tolist()
        return plan, {c: d for c, d, s in zip(plan.customers, change, source) if s == "uplift"}

    sure, exact = changes(uplift["change"])
    assert len(exact) > 5
    loose, drawn = changes(uplift, prior_spread=1e6)
    both = exact.keys() & drawn.keys()
    assert both and all(drawn[c] == pytest.approx(exact[c], rel=1e-6) for c in both)
    tight, drawn = changes(uplift, prior_spread=1e-9)
    prior = churn.optimize(playbook, facts, value=value)
    at = dict(zip(prior.customers, prior.column("change")))
    same = [c for c in drawn if prior.action(c) == tight.action(c) and prior.channels(c) == tight.channels(c)]
    assert same and all(drawn[c] == pytest.approx(at[c], abs=1e-9) for c in same)
    with pytest.raises(TypeError, match="standard_error"):
        churn.optimize(playbook, facts, uplift={"win_back": {"change": np.zeros(n)}})
    with pytest.raises(churn.ChurnError, match=r"uplift.win_back.standard_error\[0\]"):
        churn.optimize(
            playbook, facts, uplift={"win_back": {"change": np.zeros(n), "standard_error": -np.ones(n)}}
        )


def test_journeys_do_what_the_plan_says(flow):
    log, facts, playbook = flow
    holdout = {"salt": "same", "share": 0.25}
    limits = {"budget": 300.0, "hold_out_by": holdout}
    plan = churn.optimize(playbook, facts, constraints=limits)
    held = churn.hold_out(plan.customers, **holdout)
    assert all((plan.action(c) is None) or not h for c, h in zip(plan.customers, held))
    meant = [plan.intended(c) for c, h in zip(plan.customers, held) if h]
    assert any(one is not None for one in meant)
    policy = churn.ContactPolicy.from_toml(
        "version = 1\nholdout = { salt = 'same', share = 0.25 }", playbook
    )
    journey = churn.Journey.from_toml(PLANNED, playbook, facts)
    settings = {"journeys": [journey], "policy": policy}
    replay = churn.replay(log, "2023-10-01", "2023-10-21", plans=[plan], **settings)
    contacts = {name: replay.contacts.column(name) for name in ("customer", "channels", "planned")}
    assert len(contacts["customer"]) > 20 and all(contacts["planned"])
    for customer, channels in zip(contacts["customer"], contacts["channels"]):
        assert plan.intended(int(customer))[1] == channels.split("+")
    without = churn.replay(log, "2023-10-01", "2023-10-21", **settings)
    assert len(without.contacts) == 0

    report = replay.report(log, horizon_days=40)
    decisions = replay.log.column("decision")
    counted = sum(decision in ("sent", "held_out") for decision in decisions)
    assert report["contacted"] + report["held_out"] + report["open"] == counted
    engine = churn.JourneyEngine([journey], policy, playbook, facts)
    state = engine.begin(log, "2023-10-01")
    _, outcome = engine.step(state, "2023-10-01", facts=facts, plan=plan)
    assert len(outcome) > 0
    one = churn.experiment.journey_report([outcome], log, horizon_days=40)
    assert one["contacts"] <= len(outcome) and {"known", "unknown"} & one["total"].keys()


def test_who_is_persuaded_comes_back(shop):
    ids, end = shop.truth.column("customer"), "2023-10-02"
    arguments = {"channels": ["sms"], "strength": 0.9, "horizon_days": 90}
    change = shop.change(end, **arguments)
    assert len(change) == len(ids) and change.max() > 0.1
    after = shop.respond(ids, end, seed=3, **arguments)
    assert len(after) > len(shop) and len(shop.respond([], end, seed=3, **arguments)) == len(shop)
    each = shop.respond(ids, [end] * len(ids), seed=3, **arguments)
    assert len(each) == len(after)
    with pytest.raises(churn.ChurnError, match="contacts.customer"):
        shop.respond([10**6], end, seed=3, **arguments)
    with pytest.raises(churn.ChurnError, match="contacts.at"):
        shop.respond([1, 2], [end], seed=3, **arguments)
    with pytest.raises(churn.ChurnError, match="channels"):
        shop.change(end, channels=["fax"], strength=0.5, horizon_days=90)
