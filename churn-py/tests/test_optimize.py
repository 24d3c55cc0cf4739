"""Plans made for profit, and their golden files."""

import json
import math
from pathlib import Path
from typing import Any

import churn
import numpy as np
import pytest
from test_golden import number, same, table

FOLDER = Path(__file__).parents[2] / "churn-core" / "tests" / "golden" / "optimize"


def facts_of(inputs: dict[str, Any]) -> churn.Facts:
    own = table(inputs)
    scores = churn.Scorecard().score(own)
    return churn.Facts(own, scores, [churn.RiskTiers().assign(scores), churn.Grid.rf25().assign(own)])


def estimates(uplift: dict[str, Any]) -> Any:
    columns = {
        name: [number(cell) for cell in uplift[name]]
        for name in ("change", "standard_error")
        if name in uplift
    }
    return columns if "standard_error" in columns else columns["change"]


def made(inputs: dict[str, Any]) -> churn.Plan:
    facts = facts_of(inputs)
    playbook = churn.Playbook.from_json(json.dumps(inputs["playbook"]), facts)
    uplift = {
        (u["action"], tuple(u["channels"])) if "channels" in u else u["action"]: estimates(u)
        for u in inputs.get("uplift", [])
    }
    return churn.optimize(playbook, facts, uplift=uplift, **inputs["optimize"])


def planned(plan: churn.Plan) -> dict[str, Any]:
    allocation = plan.allocation
    assert allocation is not None
    return {
        "action": [plan.action(c) for c in plan.customers],
        "channels": [plan.channels(c) for c in plan.customers],
        "offers": [plan.offers(c) for c in plan.customers],
        "source": plan.column("source").tolist(),
        "change": plan.column("change").tolist(),
        "expected_profit": plan.column("expected_profit").tolist(),
        "profit": allocation.profit,
        "bound": allocation.bound,
        "spent": allocation.spent,
        "chosen": allocation.chosen,
    }


def golden(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


@pytest.mark.parametrize("case", golden("plans.json")["cases"], ids=lambda case: case["name"])
def test_golden_plans(case):
    inputs = golden("plans.json")["inputs"] | case["inputs"]
    same(case["expected"], planned(made(inputs)), case["tolerance"], case["name"])


@pytest.mark.parametrize("case", golden("errors.json")["cases"], ids=lambda case: case["name"])
def test_golden_errors(case):
    inputs = golden("errors.json")["inputs"] | case["inputs"]["inputs"]
    with pytest.raises(churn.ChurnError) as caught:
        made(inputs)
    error, expected = caught.value, case["expected"]
    assert (error.kind, error.what) == (expected["kind"], expected["what"])
    # Settings are no JSON text here, so there is no line to name.
    if expected["what"] != "optimize":
        assert str(error) == expected["message"]


@pytest.fixture
def small() -> dict[str, Any]:
    return golden("plans.json")["inputs"]


def test_prices_curve_and_reasons(small):
    limits = {"budget": 30.0, "hold_out": [1], "channels": [{"channel": "sms", "max": 4}]}
    plan = made(small | {"optimize": {"constraints": limits, "curve_points": 5}})
    allocation = plan.allocation
    prices = allocation.prices.to_dict()
    assert prices["subject"].tolist() == ["budget", "sms"]
    assert prices["used"][0] <= 30.0 + 1e-9 and prices["used"][1] <= 4
    assert (prices["price"] >= 0).all() and prices["price"][0] > 1.0
    curve = allocation.curve.to_dict()
    assert len(curve["budget"]) == 5
    assert (np.diff(curve["profit"]) > 0).all() and (curve["bound"] >= curve["profit"] - 1e-9).all()
    assert "one more is worth" in str(allocation) and str(allocation) in str(plan)
    assert allocation.gap == pytest.approx(1 - allocation.profit / allocation.bound, abs=1e-12)
    assert plan.no_action(1) == "held_out" and plan.action(1) is None
    assert plan.why(1) == "No action: held out for comparison."
    chosen = next(c for c in plan.customers if plan.action(c))
    assert "Expected profit" in plan.why(chosen)
    assert plan.no_action(chosen) is None
    reasons = [plan.no_action(c) for c in plan.customers]
    assert plan.column("no_action").tolist() == reasons


def test_uplift_by_action_and_channels(small):
    facts = facts_of(small)
    playbook = churn.Playbook.from_json(json.dumps(small["playbook"]), facts)
    n = len(facts.customers)
    zero, some = np.zeros(n), np.full(n, 0.05)
    everything = {action: zero for action in playbook.actions}
    none = churn.optimize(playbook, facts, uplift=everything)
    assert none.allocation.chosen == 0 and none.allocation.profit == 0.0
    over_email = {**everything, ("tell", ("email",)): some}
    plan = churn.optimize(playbook, facts, uplift=over_email)
    assert {tuple(plan.channels(c)) for c in plan.customers} <= {("email",), ()}
    assert plan.allocation.chosen > n / 2
    with pytest.raises(churn.InvalidValueError, match=r"uplift.tell\[0\]"):
        churn.optimize(playbook, facts, uplift={"tell": np.full(n, math.inf)})
    with pytest.raises(churn.LengthMismatchError, match="uplift.tell"):
        churn.optimize(playbook, facts, uplift={"tell": [0.1]})
    with pytest.raises(TypeError, match="uplift"):
        churn.optimize(playbook, facts, uplift=[0.1])


def test_the_flow_spends_a_budget():
    shop = churn.Shop(customers=400, seed=3).open()
    plain = churn.winback(shop.log())
    assert plain.plan.allocation is None and plain.plan.no_action(1) in (None, "no_audience")
    limits = {"budget": 20.0, "days": 5, "channels": [{"channel": "email", "max_per_day": 10}]}
    result = churn.winback(shop.log(), optimize={"constraints": limits})
    allocation = result.plan.allocation
    assert 0 < allocation.spent <= 20.0 + 1e-9 and allocation.profit > 0
    csv = result.plan_csv().decode().splitlines()
    assert csv[0].endswith(",offer_cost,expected_profit,change,source,day,no_action")
    columns = result.plan.to_dict()
    over_email = [c is not None and "email" in c.split("+") for c in columns["channels"]]
    days = columns["day"][np.array(over_email)].astype(int)
    assert days.size and np.bincount(days).max() <= 10 and days.max() < 5
    with pytest.raises(churn.UnknownNameError, match=r"constraints.channels\[0\].channel"):
        churn.winback(shop.log(), optimize={"constraints": {"channels": [{"channel": "fax"}]}})
