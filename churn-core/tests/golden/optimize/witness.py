"""Writes the golden files of plans made for profit from outside the library.

    python witness.py            compare the files with what is computed here
    python witness.py --write    write them

Options, changes, profits and costs are computed from the documented definitions; the best plan is
found by HiGHS (through scipy.optimize.milp) as a mixed-integer program solved to a gap of 0, and
the linear relaxation by HiGHS as well. Conditions, scores and segments come from ../witness.py.
Needs what that one needs.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import Bounds, LinearConstraint, milp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import importlib.util

spec = importlib.util.spec_from_file_location("base", HERE.parent / "witness.py")
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

NAN = math.nan
SOURCE = (
    "witness.py in this folder, with HiGHS as in scipy "
    f"{scipy.__version__} (scipy.optimize.milp, relative gap 0)"
)
EFFECTS = {
    "saved_per_response": 0.2,
    "prior_strength": 3000.0,
    "prior_spread": 0.01,
    "experiments": [],
    "observed": [],
}
VALUE = {"feature": "value_365d", "scale": 1.0, "margin": 0.3}


def options_of(inputs: dict) -> tuple[list[list[dict]], list[str | None], list[dict]]:
    """The open options of every customer, why there is none, and the facts."""
    table = inputs["table"]["columns"]
    playbook = inputs.get("playbook") or base.document("strategy", "default_playbook.toml")
    settings = inputs["optimize"]
    value = VALUE | settings.get("value", {})
    effects = EFFECTS | settings.get("effects", {})
    limits = settings.get("constraints", {})
    channels = {c["id"]: c for c in playbook["channels"]}
    offers = {o["id"]: o for o in playbook["offers"]}
    p = base.scored(inputs, table)["churn_probability"]
    groups = [base.tiers(inputs, p), base.named(inputs, table)]
    facts = []
    for row in range(len(p)):
        known = {name: float(values[row]) for name, values in table.items()}
        known |= {group["name"]: group["segment"][row] for group in groups}
        facts.append(known | {"churn_probability": p[row], "everyone": True})

    def holds(text, known):
        return text is None or bool(eval(text, {}, known))

    def response(known, channel_set):
        def rate(channel):
            prefix = channels[channel].get("feature", channel)
            own = known.get(f"{prefix}_response_rate", NAN)
            return channels[channel]["prior_response"] if math.isnan(own) else own

        return 1 - math.prod(1 - rate(c) for c in channel_set)

    def prior(known, action, k):
        if "saves" in action:
            return known["churn_probability"] * action["saves"][k]
        chance = response(known, action["channel_sets"][k])
        return known["churn_probability"] * chance * effects["saved_per_response"]

    def observed(action, k, known):
        """The first observation that fits, as the shift of the prior."""
        for seen in effects["observed"]:
            channel_set = action["channel_sets"][k]
            if seen["action"] != action["id"]:
                continue
            if "channels" in seen and sorted(seen["channels"]) != sorted(channel_set):
                continue
            segment = seen.get("segment")
            inside = lambda other: segment is None or (
                other[segment["segmentation"]] == segment["label"]
            )
            if not inside(known):
                continue
            members = [f for f in facts if inside(f) and holds(action["audience"], f)]
            stay = np.mean([1 - f["churn_probability"] for f in members])
            mean = np.mean([prior(f, action, k) for f in members])
            s = effects["prior_strength"]
            treated = (seen["treated_stayed"] + s * (stay + mean)) / (seen["treated"] + s)
            control = (seen.get("control_stayed", 0) + s * stay) / (seen.get("control", 0) + s)
            return treated - control - mean
        return None

    def measured(action, k, known):
        """The first experiment that fits, as the shift of the prior."""
        for seen in effects["experiments"]:
            channel_set = action["channel_sets"][k]
            if seen["action"] != action["id"]:
                continue
            if "channels" in seen and sorted(seen["channels"]) != sorted(channel_set):
                continue
            segment = seen.get("segment")
            inside = lambda other: segment is None or (
                other[segment["segmentation"]] == segment["label"]
            )
            if not inside(known):
                continue
            members = [f for f in facts if inside(f) and holds(action["audience"], f)]
            mean = np.mean([prior(f, action, k) for f in members])
            precision, own = 1 / effects["prior_spread"] ** 2, 1 / seen["standard_error"] ** 2
            level = (precision * mean + own * seen["change"]) / (precision + own)
            # The experiment says how much there is to gain, the prior who gains it.
            mine = prior(known, action, k)
            return mine * level / mean - mine if mean > 0 else level - mean
        return None

    def change(row, action, k):
        known = facts[row]
        possible = lambda d: min(max(d, known["churn_probability"] - 1), known["churn_probability"])
        exact = lambda u: "channels" in u
        otherwise, source = prior(known, action, k), "playbook"
        for shift, name in ((measured, "experiment"), (observed, "observed")):
            found = shift(action, k, known)
            if found is not None:
                otherwise, source = otherwise + found, name
                break
        estimates = sorted(inputs.get("uplift", []), key=exact, reverse=True)
        for estimate in estimates:
            channel_set = sorted(action["channel_sets"][k])
            fits = estimate["action"] == action["id"] and (
                not exact(estimate) or sorted(estimate["channels"]) == channel_set
            )
            if fits:
                guess = float(estimate["change"][row])
                error = float(estimate.get("standard_error", [0.0] * len(facts))[row])
                if not math.isnan(guess) and math.isfinite(error):
                    spread = effects["prior_spread"] ** 2
                    weight = spread / (spread + error**2)
                    return possible((1 - weight) * otherwise + weight * guess), "uplift"
                break
        return possible(otherwise), source

    rows, closed = [], []
    ids = inputs["table"]["customers"]
    for row, known in enumerate(facts):
        rows.append([])
        by = limits.get("hold_out_by")
        drawn = by and base.lots({"salt": by["salt"], "customers": [ids[row]]})["lots"][0] < by["share"]
        if ids[row] in limits.get("hold_out", []) or drawn:
            closed.append("held_out")
            continue
        where = limits.get("exclude_where")
        if ids[row] in limits.get("exclude", []) or (where and holds(where, known)):
            closed.append("excluded")
            continue
        if math.isnan(known[value["feature"]]):
            closed.append("unknown_value")
            continue
        why = "no_audience"
        for action in playbook["actions"]:
            if not holds(action["audience"], known):
                continue
            if why == "no_audience":
                why = "nothing_open"
            given = []
            for offer in action["offers"]:
                clash = any(
                    offer in group and any(other in group for other in given)
                    for group in playbook.get("conflicts", [])
                )
                if holds(offers[offer].get("requires"), known) and not clash:
                    given.append(offer)
            bound = any(
                need["offer"] in given
                and need["needs"] not in given
                and not ("unless" in need and holds(need["unless"], known))
                for need in limits.get("needs", [])
                if need.get("within", "customer") == "customer"
            )
            if not given or bound:
                continue
            for k, channel_set in enumerate(action["channel_sets"]):
                if not all(holds(channels[c].get("requires"), known) for c in channel_set):
                    continue
                why = None
                delta, source = change(row, action, k)
                chance = response(known, channel_set)
                paid = {
                    "on_response": max(chance, delta),
                    "on_purchase": min(max(1 - known["churn_probability"] + delta, 0), 1),
                    "always": 1.0,
                }
                offer_cost = sum(
                    offers[o]["cost"] * paid[offers[o].get("paid", "on_response")] for o in given
                )
                contact_cost = sum(channels[c]["cost"] for c in channel_set)
                stake = known[value["feature"]] * value["scale"]
                rows[-1].append(
                    {
                        "action": action["id"],
                        "channels": channel_set,
                        "offers": given,
                        "change": delta,
                        "source": source,
                        "cost": offer_cost + contact_cost,
                        "profit": delta * stake * value["margin"] - offer_cost - contact_cost,
                    }
                )
        closed.append(why)
    return rows, closed, facts


def program(inputs: dict, integral: bool):
    """Objective, constraints and the solution by HiGHS."""
    rows, closed, facts = options_of(inputs)
    limits = inputs["optimize"].get("constraints", {})
    flat = [(i, o) for i, options in enumerate(rows) for o in options]
    gains = np.array([o["profit"] for _, o in flat])
    matrix, low, high = [], [], []

    def add(weights, least, most):
        matrix.append(weights)
        low.append(least)
        high.append(most)

    for i in range(len(rows)):
        add([float(j == i) for j, _ in flat], 0, 1)
    if "budget" in limits:
        add([o["cost"] for _, o in flat], 0, limits["budget"])
    if "max_customers" in limits:
        add([1.0] * len(flat), 0, limits["max_customers"])
    days = limits.get("days", 1)
    for limit in limits.get("channels", []):
        most = min(limit.get("max", np.inf), limit.get("max_per_day", np.inf) * days)
        has = [float(limit["channel"] in o["channels"]) for _, o in flat]
        add(has, limit.get("min", 0), most)
    for limit in limits.get("offers", []):
        has = [float(limit["offer"] in o["offers"]) for _, o in flat]
        add(has, limit.get("min", 0), limit.get("max", np.inf))
    for limit in limits.get("actions", []):
        has = [float(o["action"] == limit["action"]) for _, o in flat]
        add(has, limit.get("min", 0), limit.get("max", np.inf))
    for limit in limits.get("segments", []):
        member = [f[limit["segmentation"]] == limit["label"] for f in facts]
        inside = np.array([float(member[i]) for i, _ in flat])
        least, most = limit.get("min_share"), limit.get("max_share")
        if limit.get("of", "segment") == "segment":
            size = sum(
                m and why not in ("held_out", "excluded")
                for m, why in zip(member, closed, strict=True)
            )
            add(inside, (least or 0) * size, size if most is None else most * size)
        else:
            if least is not None:
                add(inside - least, 0, np.inf)
            if most is not None:
                add(inside - most, -np.inf, 0)
    for need in limits.get("needs", []):
        if need.get("within") == "plan":
            has = lambda o, offer: float(offer in o["offers"])
            add([has(o, need["offer"]) - has(o, need["needs"]) for _, o in flat], -np.inf, 0)
    solved = milp(
        -gains,
        constraints=LinearConstraint(np.array(matrix), low, high),
        integrality=np.full(len(flat), int(integral)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    return rows, closed, flat, solved


def optimized(inputs: dict) -> dict:
    rows, closed, flat, solved = program(inputs, True)
    assert solved.status == 0, solved.message
    taken = {i: o for (i, o), x in zip(flat, solved.x, strict=True) if x > 0.5}
    get = lambda key, none: [taken[i][key] if i in taken else none for i in range(len(rows))]
    return {
        "action": get("action", None),
        "channels": get("channels", []),
        "offers": get("offers", []),
        "source": get("source", None),
        "change": get("change", 0.0),
        "expected_profit": get("profit", 0.0),
        "profit": math.fsum(o["profit"] for o in taken.values()),
        "bound": math.fsum(o["profit"] for o in taken.values()),
        "spent": math.fsum(o["cost"] for o in taken.values()),
        "chosen": len(taken),
    }


def bounded(inputs: dict) -> dict:
    whole, relaxed = program(inputs, True)[3], program(inputs, False)[3]
    return {"optimum": -whole.fun, "relaxation": -relaxed.fun}


# ---- cases -------------------------------------------------------------------------------------


def shop(seed: int, n: int) -> dict:
    rng = np.random.default_rng(seed)
    pick = lambda values: [int(x) for x in rng.choice(values, n)]
    real = lambda low, high, digits: [round(float(x), digits) for x in rng.uniform(low, high, n)]
    rate = lambda high: [
        "NaN" if rng.random() < 0.3 else round(float(x), 4) for x in rng.uniform(0, high, n)
    ]
    columns = {
        "activity": real(0, 10, 2),
        "complaints_90d": pick([0, 0, 0, 0, 1, 2]),
        "days_since_last": pick(np.arange(1, 240)),
        "days_since_last_view": pick(np.arange(1, 120)),
        "email_response_rate": rate(0.2),
        "frequency_score": pick([1, 2, 3, 4, 5]),
        "monetary_score": pick([1, 2, 3, 4, 5]),
        "one_to_one_response_rate": rate(0.4),
        "orders": pick(np.arange(1, 30)),
        "recency_score": pick([1, 2, 3, 4, 5]),
        "refund_rate": real(0, 0.4, 2),
        "regular_then_silent": pick([0, 0, 1]),
        "silence_tail": real(0, 1, 3),
        "sms_response_rate": rate(0.3),
        "value_365d": [round(float(x), 2) for x in rng.lognormal(6.3, 1.0, n)],
    }
    return {"customers": list(range(1, n + 1)), "as_of": "2020-06-01", "columns": columns}


def rivals() -> dict:
    """A playbook in which actions compete for everyone, with priors of sets and all ways to pay."""
    both = lambda text: {"en": text, "zh": text}
    return {
        "version": 1,
        "name": "Rivals",
        "currency": "EUR",
        "choose_by": "profit",
        "conflicts": [["coupon", "gift"]],
        "channels": [
            {"id": "one_to_one", "name": both("One-to-one"), "cost": 0.2, "prior_response": 0.08},
            {"id": "sms", "name": both("SMS"), "cost": 0.05, "prior_response": 0.03},
            {"id": "email", "name": both("E-mail"), "cost": 0.01, "prior_response": 0.02},
            {
                "id": "phone",
                "name": both("Phone"),
                "cost": 5.0,
                "prior_response": 0.15,
                "requires": "monetary_score >= 3",
            },
        ],
        "offers": [
            {"id": "coupon", "name": both("Coupon"), "text": both("10 off"), "cost": 10.0, "paid": "on_purchase"},
            {"id": "gift", "name": both("Gift"), "text": both("A gift"), "cost": 6.0, "paid": "always"},
            {"id": "points", "name": both("Points"), "text": both("Points"), "cost": 4.0},
            {"id": "adviser", "name": both("Adviser"), "text": both("Adviser"), "cost": 3.0},
            {"id": "news", "name": both("News"), "text": both("News"), "cost": 0.0},
        ],
        "actions": [
            {
                "id": "cut",
                "name": both("Cut"),
                "priority": 1,
                "audience": "everyone",
                "offers": ["coupon", "points"],
                "channel_sets": [["one_to_one", "sms"], ["one_to_one"], ["sms"]],
                "saves": [0.16, 0.07, 0.05],
            },
            {
                "id": "care",
                "name": both("Care"),
                "priority": 1,
                "audience": "churn_probability > 0.3",
                "offers": ["adviser", "gift"],
                "channel_sets": [["phone"], ["phone", "email"], ["one_to_one"]],
                "saves": [0.14, 0.15, 0.06],
            },
            {
                "id": "tell",
                "name": both("Tell"),
                "priority": 1,
                "audience": "everyone",
                "offers": ["news"],
                "channel_sets": [["email"], ["sms"], ["email", "sms"]],
            },
        ],
    }


def cases() -> dict[str, dict]:
    segments = lambda *limits: [
        {"segmentation": "risk_tier", **limit} for limit in limits
    ]
    small = {"table": shop(1, 24), "playbook": rivals()}
    plans = {
        "no limits": {},
        "a budget": {"budget": 60},
        "a tight budget and few messages": {
            "budget": 35,
            "channels": [{"channel": "sms", "max": 3}, {"channel": "phone", "max": 2}],
        },
        "caps per offer, action and customers": {
            "max_customers": 12,
            "offers": [{"offer": "coupon", "max": 4}, {"offer": "points", "max": 3}],
            "actions": [{"action": "care", "max": 3}],
        },
        "minima that cost money": {
            "budget": 120,
            "offers": [{"offer": "gift", "min": 4}],
            "channels": [{"channel": "phone", "min": 5, "max": 6}],
            "actions": [{"action": "tell", "min": 6}],
        },
        "shares of the plan": {
            "budget": 90,
            "segments": segments(
                {"label": "high", "of": "plan", "max_share": 0.4},
                {"label": "low", "of": "plan", "min_share": 0.3},
            ),
        },
        "shares of the segments": {
            "budget": 80,
            "segments": segments(
                {"label": "high", "max_share": 0.5},
                {"label": "low", "min_share": 0.6},
                {"label": "medium", "min_share": 0.5, "max_share": 0.75},
            ),
        },
        "never one offer without another": {
            "budget": 100,
            "needs": [
                {"offer": "gift", "needs": "coupon", "within": "plan"},
                {"offer": "points", "needs": "gift", "unless": "monetary_score >= 4"},
            ],
        },
        "people left alone": {
            "budget": 70,
            "exclude": [3, 5, 999],
            "hold_out": [1, 2],
            "exclude_where": "complaints_90d > 0",
        },
    }
    optimize = {
        name: {"optimize": {"constraints": limits}} for name, limits in plans.items()
    }
    rng = np.random.default_rng(5)
    changes = lambda: ["NaN" if rng.random() < 0.3 else round(float(x), 4) for x in rng.normal(0.06, 0.06, 24)]
    optimize["estimates before observations before priors"] = {
        "optimize": {
            "constraints": {"budget": 60},
            "value": {"feature": "value_365d", "scale": 0.5, "margin": 0.4},
            "effects": {
                "prior_strength": 50,
                "observed": [
                    {
                        "action": "cut",
                        "channels": ["sms", "one_to_one"],
                        "segment": {"segmentation": "risk_tier", "label": "high"},
                        "treated": 300,
                        "treated_stayed": 70,
                        "control": 200,
                        "control_stayed": 36,
                    },
                    {"action": "tell", "treated": 1000, "treated_stayed": 330, "control": 400, "control_stayed": 126},
                ],
            },
        },
        "uplift": [
            {"action": "care", "change": changes()},
            {"action": "cut", "channels": ["sms"], "change": changes()},
        ],
    }
    errors = lambda: ["inf" if rng.random() < 0.1 else round(float(x), 4) for x in rng.uniform(0.01, 0.1, 24)]
    optimize["uncertain estimates, experiments, and the hold-out by lot"] = {
        "optimize": {
            "constraints": {"budget": 60, "hold_out": [4], "hold_out_by": {"salt": "2026", "share": 0.25}},
            "effects": {
                "prior_spread": 0.04,
                "experiments": [
                    {
                        "action": "cut",
                        "channels": ["sms"],
                        "segment": {"segmentation": "risk_tier", "label": "high"},
                        "change": 0.12,
                        "standard_error": 0.03,
                    },
                    {"action": "care", "change": 0.02, "standard_error": 0.01},
                ],
                "observed": [
                    {"action": "care", "treated": 1000, "treated_stayed": 500, "control": 400, "control_stayed": 126},
                    {"action": "tell", "treated": 1000, "treated_stayed": 330, "control": 400, "control_stayed": 126},
                ],
            },
        },
        "uplift": [
            {"action": "care", "channels": ["phone"], "change": changes(), "standard_error": errors()},
            {"action": "cut", "channels": ["sms"], "change": changes(), "standard_error": errors()},
        ],
    }
    optimize["the default playbook"] = {
        "table": shop(2, 30),
        "playbook": None,
        "optimize": {"constraints": {"budget": 40, "channels": [{"channel": "one_to_one", "max": 6}]}},
    }
    return small, optimize


def write_plans() -> dict:
    small, wanted = cases()
    listed = []
    for name, inputs in wanted.items():
        inputs = {key: item for key, item in inputs.items()}
        joint = small | inputs
        if inputs.get("playbook", 0) is None:
            joint = {key: item for key, item in joint.items() if key != "playbook"}
            inputs["playbook"] = base.document("strategy", "default_playbook.toml")
        listed.append(
            {
                "name": name,
                "inputs": inputs,
                "expected": base.as_json(optimized(joint)),
                "tolerance": 1e-9,
            }
        )
    return {
        "operation": "strategy.optimize",
        "origin": {"kind": "independent", "source": SOURCE},
        "inputs": small,
        "cases": listed,
    }


def write_bounds() -> dict:
    listed = []
    for seed in range(6):
        table = shop(100 + seed, 150)
        limits = {
            "budget": 300 + 100 * seed,
            "channels": [{"channel": "sms", "max": 30 + seed}, {"channel": "phone", "min": 8, "max": 20}],
            "offers": [{"offer": "coupon", "max": 25}, {"offer": "gift", "min": 5}],
            "actions": [{"action": "tell", "max": 60}],
            "segments": [
                {"segmentation": "risk_tier", "label": "high", "of": "plan", "max_share": 0.45},
                {"segmentation": "risk_tier", "label": "low", "min_share": 0.2},
            ],
            "needs": [{"offer": "gift", "needs": "coupon", "within": "plan"}],
        }
        inputs = {"table": table, "playbook": rivals(), "optimize": {"constraints": limits, "gap": 1e-6}}
        listed.append(
            {
                "name": f"150 customers, ten constraints, seed {seed}",
                "inputs": inputs,
                "expected": base.as_json(bounded(inputs)),
                "tolerance": 1e-7,
            }
        )
    return {
        "operation": "strategy.optimize.bounds",
        "origin": {"kind": "independent", "source": SOURCE},
        "inputs": {},
        "cases": listed,
    }


def main(write: bool) -> list[str]:
    wrong = []
    for name, made in (("plans", write_plans()), ("bounds", write_bounds())):
        path = HERE / f"{name}.json"
        if write:
            path.write_text(base.pretty(made) + "\n", encoding="utf-8")
            continue
        golden = json.loads(path.read_text(encoding="utf-8"))
        for case, again in zip(golden["cases"], made["cases"], strict=True):
            if base.differs(case["expected"], again["expected"], case["tolerance"]):
                wrong.append(f"{path.name}: {case['name']}")
    return wrong


if __name__ == "__main__":
    failures = main(write="--write" in sys.argv[1:])
    print("\n".join(failures) or "every independent answer is the same")
    sys.exit(bool(failures))
