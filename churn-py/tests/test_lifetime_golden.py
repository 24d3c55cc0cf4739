"""Models of buying: the golden files through Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_golden import log, same

import churn
from churn import lifetime

FOLDER = Path(__file__).parents[2] / "churn-core" / "tests" / "golden" / "lifetime"
FILES = sorted(FOLDER.glob("*.json"))

Inputs = dict[str, Any]


def estimated(model: Any) -> Inputs:
    found = model.estimate["parameters"]
    return {
        "parameters": [parameter["value"] for parameter in found],
        "standard_errors": [parameter["standard_error"] for parameter in found],
        "log_likelihood": model.estimate["log_likelihood"],
    }


def with_parameters(inputs: Inputs) -> lifetime.LifetimeModel:
    return lifetime.LifetimeModel.from_parameters(
        inputs["family"],
        inputs["parameters"],
        unit_days=inputs.get("unit_days", 1.0),
        regularity=inputs.get("regularity", 1),
    )


def answers(inputs: Inputs) -> Inputs:
    model, data, horizon = with_parameters(inputs), inputs["columns"], inputs["horizon"]
    asked = {
        "probability_alive": lambda: model.probability_alive(data).tolist(),
        "expected_purchases": lambda: model.expected_purchases(data, horizon).tolist(),
        "no_purchase_probability": lambda: model.no_purchase_probability(data, horizon).tolist(),
        "purchases": lambda: [
            column.tolist()
            for column in model.purchase_distribution(data, horizon, inputs["most"])
        ],
    }
    found = {name: asked[name]() for name in inputs["answers"]}
    table = model.answers(data, horizon)
    for name in {"probability_alive", "expected_purchases"} & found.keys():
        assert table.column(name).tolist() == found[name]
    return found


def fit(inputs: Inputs) -> Inputs:
    covariates = inputs.get("covariates")
    model = lifetime.LifetimeModel.fit(
        inputs["columns"],
        covariates=covariates,
        unit_days=inputs.get("unit_days", 1.0),
        **inputs.get("lifetime", {}),
    )
    again = lifetime.LifetimeModel.from_json(model.to_json())
    found = estimated(again) | {"regularity": again.regularity}
    assert list(model.parameters.values()) == found["parameters"]
    if "interval" in inputs:
        asked, rows = inputs["interval"], inputs["interval"]["rows"]
        alive = again.alive_interval(inputs["columns"], level=asked["level"])
        purchases = again.purchases_interval(
            inputs["columns"], asked["horizon"], level=asked["level"]
        )
        found["alive_interval"] = [column[rows].tolist() for column in alive]
        found["purchases_interval"] = [column[rows].tolist() for column in purchases]
    return found


def spend(inputs: Inputs) -> Inputs:
    if "parameters" in inputs:
        model, found = lifetime.SpendModel.from_parameters(inputs["parameters"]), {}
    else:
        fitted = lifetime.GammaGamma(**inputs.get("gamma_gamma", {})).fit(inputs["columns"])
        model = lifetime.SpendModel.from_json(fitted.to_json())
        found = estimated(model) | {"left_out": model.left_out}
    found["population_mean"] = model.population_mean
    found["expected_spend"] = model.expected_spend(inputs["columns"]).tolist()
    return found


def value(inputs: Inputs) -> Inputs:
    spend = lifetime.SpendModel.from_parameters(inputs["spend"])
    found = with_parameters(inputs).customer_value(
        inputs["columns"], spend, **inputs.get("value", {})
    )
    return {"customer_value": found.tolist()}


def bg_bb(inputs: Inputs) -> Inputs:
    data, ahead = inputs["columns"], inputs["ahead"]
    if "parameters" in inputs:
        model, found = lifetime.BgBbModel.from_parameters(inputs["parameters"]), {}
    else:
        fitted = lifetime.BgBb(**inputs.get("bg_bb", {})).fit(data)
        model = lifetime.BgBbModel.from_json(fitted.to_json())
        found = estimated(model)
    return found | {
        "probability_alive": model.probability_alive(data, ahead=ahead).tolist(),
        "expected_purchases": model.expected_purchases(data, ahead).tolist(),
        "no_purchase_probability": model.no_purchase_probability(data, ahead).tolist(),
    }


def renewals(inputs: Inputs) -> Inputs:
    settings = lifetime.BetaGeometric(**inputs.get("beta_geometric", {}))
    if "survivors" in inputs:
        fitted = settings.fit_survivors(inputs["survivors"])
    else:
        fitted = settings.fit(inputs["duration"], inputs["churned"])
    model = lifetime.RenewalModel.from_json(fitted.to_json())
    made = inputs["renewals"]
    return estimated(model) | {
        "survival": model.survival(made, inputs["ahead"]).tolist(),
        "discounted_renewals": model.discounted_renewals(made, inputs["rate"]).tolist(),
    }


def running(inputs: Inputs) -> Inputs:
    (first, _), *later = inputs["orders"]
    one = lifetime.RunningSummary(first, **inputs.get("summary", {}))
    for time, value in later:
        one = lifetime.RunningSummary.from_json(one.to_json())
        one.add(time, value)
    return one.row(inputs["as_of"])


def holdout(inputs: Inputs) -> Inputs:
    settings, events = inputs.get("summary", {}), log(inputs)
    calibration = events.summarize(inputs["as_of"], **settings)
    later = calibration.holdout(events, inputs["later"], **settings)
    return {
        "customers": calibration.customers.to_list(),
        "frequency": later.column("frequency").tolist(),
        "monetary_value": later.column("monetary_value").tolist(),
        "duration": later.duration,
    }


def errors(inputs: Inputs) -> Inputs:
    with pytest.raises(churn.ChurnError) as caught:
        OPERATIONS[inputs["operation"]](inputs["inputs"])
    error = caught.value
    return {"kind": error.kind, "what": error.what, "row": error.row, "message": str(error)}


OPERATIONS = {
    "errors": errors,
    "lifetime.answers": answers,
    "lifetime.bg_bb": bg_bb,
    "lifetime.fit": fit,
    "lifetime.holdout": holdout,
    "lifetime.renewals": renewals,
    "lifetime.running": running,
    "lifetime.spend": spend,
    "lifetime.value": value,
}


def test_every_operation_has_a_file():
    assert {json.loads(file.read_text())["operation"] for file in FILES} == set(OPERATIONS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file(file):
    golden = json.loads(file.read_text())
    assert golden["cases"]
    for case in golden["cases"]:
        inputs = golden.get("inputs", {}) | case["inputs"]
        answer = OPERATIONS[golden["operation"]](inputs)
        same(case["expected"], answer, case["tolerance"], case["name"])
