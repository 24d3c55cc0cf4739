"""Replays the golden files: the numbers that Rust, Python and C must agree on.

Their form and every operation are described in `churn-core/tests/golden/README.md`.
"""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import churn

FOLDER = Path(__file__).parents[2] / "churn-core" / "tests" / "golden"
FILES = sorted(FOLDER.glob("*.json"))

Inputs = dict[str, Any]


# ---- inputs ----


def number(cell: Any) -> Any:
    """A cell of a file: JSON has no NaN, so texts stand for what is not finite."""
    return float(cell) if isinstance(cell, str) else cell


def log(inputs: Inputs) -> churn.EventLog:
    events = dict(inputs["events"])
    names = {"time_unit": events.pop("time_unit")}
    if "value" in events:
        events["value"] = [number(cell) for cell in events["value"]]
    return churn.EventLog(events, names=names, **inputs.get("cleaning", {}))


def table(inputs: Inputs) -> churn.FeatureTable:
    given = inputs["table"]
    columns = {
        name: [number(cell) for cell in column] for name, column in given["columns"].items()
    }
    return churn.FeatureTable.from_columns(given["customers"], given["as_of"], columns)


def features(inputs: Inputs) -> churn.FeatureTable:
    return log(inputs).features(inputs["as_of"], **inputs.get("features", {}))


def scorecard(inputs: Inputs) -> churn.Scorecard:
    if "scorecard" not in inputs:
        return churn.Scorecard()
    return churn.Scorecard.from_json(json.dumps(inputs["scorecard"]))


def grid(inputs: Inputs) -> churn.Grid:
    match inputs.get("grid", "rf25"):
        case "rf25":
            return churn.Grid.rf25()
        case "rfm11":
            return churn.Grid.rfm11()
        case own:
            return churn.Grid.from_json(json.dumps(own))


def tiers(inputs: Inputs) -> churn.Segments:
    scores = scorecard(inputs).score(table(inputs))
    return churn.RiskTiers(**inputs.get("risk_tiers", {})).assign(scores)


def plan(inputs: Inputs) -> churn.Plan:
    own = table(inputs)
    segments = [tiers(inputs), grid(inputs).assign(own)]
    if "lifecycle_stage" in own.columns:
        segments.append(churn.lifecycle(own))
    facts = churn.Facts(own, scorecard(inputs).score(own), segments)
    match inputs.get("playbook"):
        case None:
            playbook = churn.Playbook.default_for(facts)
        case str(toml):
            playbook = churn.Playbook.from_toml(toml, facts)
        case given:
            playbook = churn.Playbook.from_json(json.dumps(given), facts)
    return churn.match_actions(playbook, facts)


# ---- answers ----


def columns(built: churn.FeatureTable) -> Any:
    names = [feature["name"] for feature in built.features]
    return {
        "customers": built.customers.to_list(),
        "columns": {name: built.column(name).tolist() for name in names},
    }


def grouped(segments: churn.Segments) -> Any:
    labels = segments.column(segments.name).tolist()
    return {"name": segments.name, "labels": segments.labels, "segment": labels}


def planned(made: churn.Plan) -> Any:
    customers = made.customers
    return {
        "action": [made.action(customer) for customer in customers],
        "channels": [made.channels(customer) for customer in customers],
        "offers": [made.offers(customer) for customer in customers],
        "expected_response": made.column("expected_response").tolist(),
        "contact_cost": made.column("contact_cost").tolist(),
        "offer_cost": made.column("offer_cost").tolist(),
    }


def rows(result: churn.Table) -> list[dict[str, Any]]:
    as_lists = {name: column.tolist() for name, column in result.to_dict().items()}
    return [dict(zip(as_lists, cells)) for cells in zip(*as_lists.values())]


def some(value: float) -> float | None:
    return None if math.isnan(value) else value


def events_clean(inputs: Inputs) -> Any:
    cleaned = log(inputs)
    report = dict(cleaned.report)
    del report["rows_dropped"], report["unreadable_cells"]
    report["dropped"] = {
        name: tally for name, tally in report["dropped"].items() if tally["rows"]
    }
    return {
        **report,
        "customers": cleaned.customers.to_list(),
        "channels": cleaned.channels,
    }


def events_load(inputs: Inputs) -> Any:
    file = (FOLDER / "saved" / inputs["file"]).read_bytes()
    loaded = churn.EventLog.load(file)
    answer = columns(loaded.features(inputs["as_of"], **inputs["features"]))
    saved = []
    for one in [loaded, log(inputs)]:
        buffer = io.BytesIO()
        one.save(buffer)
        saved.append(buffer.getvalue())
    return {**answer, "same_file": saved == [file, file]}


def features_many(inputs: Inputs) -> Any:
    tables = log(inputs).features_at(inputs["instants"], **inputs["features"])
    return {"tables": [columns(table) for table in tables]}


def features_population(inputs: Inputs) -> Any:
    stored = churn.Population.fit(
        log(inputs), inputs["as_of"], **inputs.get("features", {})
    ).to_json()
    population = churn.Population.from_json(stored)
    later = log(inputs).features(
        inputs["later"], population=population, **inputs.get("features", {})
    )
    return {**columns(later), "population": json.loads(stored)}


def features_summary(inputs: Inputs) -> Any:
    summary = log(inputs).summarize(inputs["as_of"], **inputs.get("summary", {}))
    names = ["frequency", "recency", "age", "monetary_value"]
    return {
        "customers": summary.customers.to_list(),
        **{name: summary.column(name).tolist() for name in names},
    }


def scoring_scorecard(inputs: Inputs) -> Any:
    scores = scorecard(inputs).score(table(inputs))
    return {
        "horizon_days": scores.horizon_days,
        "churn_probability": scores.churn_probability.tolist(),
        "points": {name: scores.column(f"points_{name}").tolist() for name in scores.factors},
    }


def scoring_reasons(inputs: Inputs) -> Any:
    scores = scorecard(inputs).score(table(inputs))

    def reasons(language: str) -> list[list[churn.Reason]]:
        limit = inputs["limit"]
        return [scores.reasons(c, limit=limit, language=language) for c in scores.customers]

    def sentences(language: str) -> list[list[str]]:
        return [[str(reason) for reason in row] for row in reasons(language)]

    return {
        "reasons": [[[r.feature, r.points, r.value] for r in row] for row in reasons("en")],
        "en": sentences("en"),
        "zh": sentences("zh"),
    }


def segments_profile(inputs: Inputs) -> Any:
    own = table(inputs)
    answer = []
    for row in rows(churn.lifecycle(own).profile(own)):
        means = {
            name.removeprefix("mean_"): some(row.pop(name))
            for name in list(row)
            if name.startswith("mean_")
        }
        answer.append({**row, "money_share": some(row["money_share"]), "means": means})
    return answer


def strategy_match(inputs: Inputs) -> Any:
    made = plan(inputs)
    return {**planned(made), "summary": rows(made.summary())}


def strategy_why(inputs: Inputs) -> Any:
    made = plan(inputs)
    return {
        language: [made.why(customer, language=language) for customer in made.customers]
        for language in ["en", "zh"]
    }


def winback_run(inputs: Inputs) -> Any:
    result = churn.winback(log(inputs), inputs["as_of"], **inputs.get("winback", {}))
    return {
        **planned(result.plan),
        "customers": result.features.customers.to_list(),
        "churn_probability": result.scores.churn_probability.tolist(),
        "risk_tier": grouped(result.risk_tier)["segment"],
        "rfm_segment": grouped(result.rfm_segment)["segment"],
        "lifecycle": grouped(result.lifecycle)["segment"],
    }


def simulate_shop(inputs: Inputs) -> Any:
    simulated = churn.Shop(**inputs.get("shop", {})).open().log()
    first, last = simulated.time_range
    epoch = first.replace(year=1970, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)

    def micros(moment: Any) -> int:
        since = moment - epoch
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    return {
        "events": len(simulated),
        "customers": len(simulated.customers),
        "channels": simulated.channels,
        "purchases": simulated.report["purchases_kept"],
        "refunds": simulated.report["refunds_kept"],
        "first_micros": micros(first),
        "last_micros": micros(last),
    }


def errors(inputs: Inputs) -> Any:
    with pytest.raises(churn.ChurnError) as caught:
        OPERATIONS[inputs["operation"]](inputs["inputs"])
    error = caught.value
    return {
        "kind": error.kind,
        "what": error.what,
        "row": error.row,
        "line": error.line,
        "message": str(error),
    }


def journey_parts(inputs: Inputs) -> tuple[Any, ...]:
    """Log, facts, playbook, journeys and policy of the settings, as this language loads them."""
    events = log(inputs)
    known = churn.winback(events)
    facts = churn.Facts(
        known.features, known.scores, [known.risk_tier, known.rfm_segment, known.lifecycle]
    )
    playbook = churn.Playbook.default_for(facts)
    given = inputs["journeys"]
    journeys = [
        churn.Journey.default_for(playbook, facts)
        if source == "default"
        else churn.Journey.from_toml(source["toml"], playbook, facts)
        for source in given.get("journeys", ["default"])
    ]
    match given.get("policy", "default"):
        case "default":
            policy = churn.ContactPolicy.default_for(playbook)
        case {"toml": text}:
            policy = churn.ContactPolicy.from_toml(text, playbook)
        case {"preset": name}:
            policy = churn.ContactPolicy.preset(name, playbook)
    return events, facts, playbook, journeys, policy, given.get("learning")


def journey_steps(inputs: Inputs) -> dict[str, Any]:
    _, facts, playbook, journeys, policy, learning = journey_parts(inputs)
    learning = learning or {"segmentation": "risk_tier"}
    engine = churn.JourneyEngine(journeys, policy, playbook, facts, learning=learning)
    state = engine.start(inputs["start"])
    for record in inputs["customers"]:
        one = [record["customer"]]
        if "zone" in record:
            state = state.with_zones(one, [record["zone"]])
        if "held_out" in record:
            state = state.with_held_out(one, [record["held_out"]])
    lines = []
    for step in inputs["steps"]:
        state, outcome = engine.step(
            state, step["now"], until=step.get("until"), events=step.get("events")
        )
        lines.append([line for line in outcome.lines() if inputs["only"] in line])
    return {"lines": lines}


def journey_replay(inputs: Inputs) -> dict[str, Any]:
    events, _, _, journeys, policy, learning = journey_parts(inputs)
    replay = churn.replay(
        events, inputs["from"], inputs["to"], journeys=journeys, policy=policy, learning=learning
    )
    return {
        "contacts": len(replay.contacts),
        "cost": replay.cost,
        "calendar": replay.calendar(30).splitlines(),
    }


def journey_finding(finding: dict[str, Any]) -> dict[str, Any] | None:
    if "known" not in finding:
        return None
    known = finding["known"]
    plain = ("treated", "held_out", "cost", "cost_per_kept")
    totals = ("kept", "orders", "revenue", "profit", "return_on_spend")
    return {name: known[name] for name in plain + totals}


def journey_report(inputs: Inputs) -> dict[str, Any]:
    events, _, _, journeys, policy, learning = journey_parts(inputs)
    replay = churn.replay(
        events, inputs["from"], inputs["to"], journeys=journeys, policy=policy, learning=learning
    )
    report = replay.report(
        events,
        horizon_days=inputs["horizon_days"],
        observed_until=inputs["observed_until"],
        **inputs.get("incremental", {}),
    )
    plain = ("contacted", "held_out", "open", "contacts", "contact_cost", "offer_cost")
    return {name: report[name] for name in plain} | {
        "total": journey_finding(report["total"]),
        "by_channel": {g["group"]: journey_finding(g["finding"]) for g in report["by_channel"]},
    }


OPERATIONS: dict[str, Callable[[Inputs], Any]] = {
    "defaults": lambda inputs: churn.defaults(inputs["settings"]),
    "errors": errors,
    "events.clean": events_clean,
    "events.load": events_load,
    "features.build": lambda inputs: columns(features(inputs)),
    "features.many": features_many,
    "features.needs": lambda inputs: churn.needs(**inputs["features"]),
    "features.population": features_population,
    "features.summary": features_summary,
    "journey.lots": lambda inputs: {
        "lots": [churn.lot(inputs["salt"], id) for id in inputs["customers"]]
    },
    "journey.replay": journey_replay,
    "journey.report": journey_report,
    "journey.steps": journey_steps,
    "scoring.reasons": scoring_reasons,
    "scoring.scorecard": scoring_scorecard,
    "segments.grid": lambda inputs: grouped(grid(inputs).assign(table(inputs))),
    "segments.lifecycle": lambda inputs: grouped(churn.lifecycle(table(inputs))),
    "segments.profile": segments_profile,
    "segments.tiers": lambda inputs: grouped(tiers(inputs)),
    "simulate.shop": simulate_shop,
    "strategy.match": strategy_match,
    "strategy.why": strategy_why,
    "winback.run": winback_run,
}


# ---- comparison ----


def same(expected: Any, got: Any, tolerance: float, place: str) -> None:
    """Fails at the first place where an answer differs from what is expected."""
    if isinstance(expected, dict):
        assert isinstance(got, dict) and got.keys() == expected.keys(), f"{place}: {got}"
        for key in expected:
            same(expected[key], got[key], tolerance, f"{place}.{key}")
    elif isinstance(expected, list):
        assert isinstance(got, list) and len(got) == len(expected), f"{place}: {got}"
        for i, (e, g) in enumerate(zip(expected, got)):
            same(e, g, tolerance, f"{place}[{i}]")
    elif isinstance(got, float) and expected in ("NaN", "inf", "-inf"):
        assert str(got) == str(float(expected)), f"{place}: expected {expected}, got {got}"
    elif isinstance(expected, bool) or not isinstance(expected, int | float):
        assert got == expected, f"{place}: expected {expected!r}, got {got!r}"
    else:
        number = isinstance(got, int | float) and not isinstance(got, bool)
        assert number, f"{place}: expected {expected}, got {got!r}"
        limit = tolerance * max(1.0, abs(expected))
        assert abs(expected - got) <= limit, f"{place}: expected {expected}, got {got}"


def test_every_operation_has_a_file():
    named = {json.loads(file.read_text())["operation"] for file in FILES}
    assert named == set(OPERATIONS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file(file):
    golden = json.loads(file.read_text())
    assert golden["cases"]
    for case in golden["cases"]:
        inputs = golden.get("inputs", {}) | case["inputs"]
        answer = OPERATIONS[golden["operation"]](inputs)
        same(case["expected"], answer, case.get("tolerance", 0.0), case["name"])
