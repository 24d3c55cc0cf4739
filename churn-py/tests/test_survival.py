"""Survival: the golden files, data frames and mistakes; contract data and purchase gaps by hand."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from test_golden import same

import churn

FOLDER = Path(__file__).parents[2] / "churn-core" / "tests" / "golden" / "survival"
FILES = sorted(FOLDER.glob("*.json"))

Inputs = dict[str, Any]


def covariates(inputs: Inputs) -> dict[str, list[float]]:
    columns = inputs["covariates"].items()
    return {name: [np.nan if x is None else x for x in cells] for name, cells in columns}


def columns(table: churn.Table, *names: str) -> Inputs:
    return {name: table.column(name).tolist() for name in names}


def kaplan_meier(inputs: Inputs) -> Any:
    curve = churn.KaplanMeier(**inputs.get("kaplan_meier", {})).fit(
        inputs["durations"], inputs["event_observed"], entry=inputs.get("entry")
    )
    answer = columns(curve, "at_risk", "events", "censored", "survival", "lower", "upper")
    return {"times": curve.column("time").tolist(), **answer, "median": curve.median}


def nelson_aalen(inputs: Inputs) -> Any:
    curve = churn.NelsonAalen(**inputs.get("nelson_aalen", {})).fit(
        inputs["durations"], inputs["event_observed"], entry=inputs.get("entry")
    )
    answer = columns(curve, "cumulative_hazard", "lower", "upper")
    return {"times": curve.column("time").tolist(), **answer}


def log_rank(inputs: Inputs) -> Any:
    test = churn.logrank(
        inputs["durations"],
        inputs["groups"],
        inputs["event_observed"],
        weights=inputs.get("weights"),
    )
    return {
        "statistic": test.statistic,
        "degrees_of_freedom": test.degrees_of_freedom,
        "p_value": test.p_value,
        **columns(test, "observed", "expected"),
    }


def by_name(summary: churn.Table, *names: str) -> Inputs:
    rows = summary.column("covariate").tolist()
    return {
        name: {
            row: value
            for row, value in zip(rows, summary.column(name).tolist())
            if row != "log_shape"
        }
        for name in names
    }


def cox(inputs: Inputs) -> Any:
    frame, strata = covariates(inputs), inputs.get("strata")
    model = churn.CoxPH(**inputs.get("cox", {})).fit(
        inputs["durations"],
        frame,
        inputs["event_observed"],
        entry=inputs.get("entry"),
        strata=strata,
    )
    survival = model.survival(frame, inputs["times"], strata=strata)
    return {
        **by_name(model.summary, "coefficient", "standard_error", "p_value", "lower", "upper"),
        "log_likelihood": model.log_likelihood,
        "null_log_likelihood": model.null_log_likelihood,
        "concordance": model.concordance,
        "survival": survival[inputs["rows"]].T.ravel().tolist(),
    }


def weibull(inputs: Inputs) -> Any:
    frame = covariates(inputs) if "covariates" in inputs else None
    model = churn.WeibullAFT(**inputs.get("weibull_aft", {})).fit(
        inputs["durations"], frame, inputs["event_observed"]
    )
    summary = model.summary
    last = {name: summary.column(name).tolist()[-1] for name in summary.columns}
    answer = {
        **by_name(summary, "coefficient", "standard_error"),
        "log_shape": last["coefficient"],
        "log_shape_error": last["standard_error"],
        "log_likelihood": model.log_likelihood,
        "concordance": model.concordance,
    }
    if frame is not None:
        survival = model.survival(frame, inputs["times"])
        answer["survival"] = survival[inputs["rows"]].T.ravel().tolist()
        answer["median"] = model.percentile(frame)[inputs["rows"]].tolist()
    return answer


def brier(inputs: Inputs) -> Any:
    survival = np.reshape(inputs["survival"], (len(inputs["times"]), -1)).T
    scores, integrated = churn.survival_brier_score(
        inputs["durations"], inputs["event_observed"], survival, inputs["times"]
    )
    return {"scores": scores.tolist(), "integrated": integrated}


def errors(inputs: Inputs) -> Any:
    with pytest.raises(churn.ChurnError) as caught:
        OPERATIONS[inputs["operation"]](inputs["inputs"])
    error = caught.value
    return {"kind": error.kind, "what": error.what, "row": error.row, "message": str(error)}


OPERATIONS = {
    "errors": errors,
    "survival.brier": brier,
    "survival.cox": cox,
    "survival.kaplan_meier": kaplan_meier,
    "survival.log_rank": log_rank,
    "survival.nelson_aalen": nelson_aalen,
    "survival.weibull_aft": weibull,
}


def test_every_operation_has_a_file():
    assert {json.loads(file.read_text())["operation"] for file in FILES} == set(OPERATIONS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file(file):
    golden = json.loads(file.read_text())
    for case in golden["cases"]:
        inputs = golden.get("inputs", {}) | case["inputs"]
        answer = OPERATIONS[golden["operation"]](inputs)
        same(case["expected"], answer, case["tolerance"], case["name"])


@pytest.fixture
def rossi() -> Inputs:
    return json.loads((FOLDER / "cox.json").read_text())["cases"][0]["inputs"]


def test_data_frames_of_all_kinds_give_the_same(rossi):
    plain = churn.CoxPH().fit(rossi["durations"], rossi["covariates"], rossi["event_observed"])
    pandas, polars = pd.DataFrame(rossi["covariates"]), pl.DataFrame(rossi["covariates"])
    events = np.array(rossi["event_observed"], dtype=bool)
    for frame, durations in [
        (pandas, pd.Series(rossi["durations"])),
        (polars, pl.Series(rossi["durations"])),
    ]:
        model = churn.CoxPH().fit(durations, frame, events)
        assert model.coefficients == plain.coefficients
        risk = model.log_partial_hazard(frame)
        index = churn.concordance_index(durations, risk, events)
        assert index == pytest.approx(plain.concordance, abs=1e-15)
        assert model.concordance == plain.concordance
    ratio = 2 * (plain.log_likelihood - plain.null_log_likelihood)
    # lifelines prints 33.27 on 7 df, -log2(p) = 15.37.
    assert plain.likelihood_ratio == (pytest.approx(ratio), 7, pytest.approx(2**-15.37, rel=0.01))
    assert "114 events in 432 rows" in repr(plain)


def test_strata_and_groups_go_by_name(rossi):
    names = ["black" if x else "other" for x in rossi["covariates"]["race"]]
    rest = {k: v for k, v in rossi["covariates"].items() if k != "race"}
    spells = rossi["durations"], rest, rossi["event_observed"]
    model = churn.CoxPH().fit(*spells, strata=names)
    baseline = model.baseline
    assert set(baseline.column("stratum").tolist()) == {"black", "other"}
    one = {k: v[:1] for k, v in rest.items()}
    both = [model.survival(one, [52.0], strata=[name])[0, 0] for name in ["other", "black"]]
    assert both[0] != both[1]
    with pytest.raises(churn.UnknownNameError, match=r"strata\[0\]"):
        model.survival(one, [52.0], strata=["nobody"])
    test = churn.logrank(rossi["durations"], names, rossi["event_observed"])
    assert test.column("group").tolist() == ["black", "other"]
    assert test.column("size").sum() == 432
    later = model.survival(one, [10.0, 20.0], strata=["other"], conditional_after=[20.0])
    assert later.shape == (1, 2) and 0 < later[0, 1] < later[0, 0] < 1


def test_curves_answer_questions():
    curve = churn.KaplanMeier(transform="log").fit([2, 4, 4, 7], [True, True, False, True])
    assert curve.percentile(0.75) == 2.0 and curve.percentile_interval(0.5)[0] == 2.0
    assert curve.survival_at([0, 3, 9]).tolist() == [1.0, 0.75, 0.0]
    assert curve.restricted_mean(4) == 2 + 2 * 0.75
    hazard = churn.NelsonAalen(ties="together").fit([2, 4, 4, 7])
    assert hazard.cumulative_hazard_at([4]).tolist() == [0.25 + 2 / 3]
    assert churn.KaplanMeier().fit([3, 4], [0, 0]).median is None


def test_mistakes_are_named():
    with pytest.raises(churn.InvalidValueError, match=r"event_observed\[1\]"):
        churn.KaplanMeier().fit([1, 2], [1, 2])
    with pytest.raises(TypeError, match="durations"):
        churn.KaplanMeier().fit(["x"], [1])
    with pytest.raises(churn.InvalidParameterError, match="one dimension"):
        churn.KaplanMeier().fit([[1.0, 2.0]], [1])
    with pytest.raises(churn.InvalidParameterError, match="unknown field"):
        churn.CoxPH(penalizer=0.1)
    with pytest.raises(churn.NotConvergedError, match="cox.x"):
        churn.CoxPH().fit([1, 2, 3, 4], {"x": [4, 3, 2, 1]})
    with pytest.raises(churn.LengthMismatchError):
        churn.CoxPH().fit([1, 2, 3], {"x": [1, 2]})


def test_contract_data(data_folder):
    """Tenure of telecom contracts against SQL, and against a plain Newton method."""
    path = str(data_folder / "telco" / "telco_churn.csv.gz")
    frame = duckdb.sql(f"select * from read_csv('{path}', all_varchar = true)").df()
    tenure, left = frame["tenure"].astype(float), frame["Churn"] == "Yes"
    curve = churn.KaplanMeier().fit(tenure, left)
    sql = duckdb.sql(
        f"""
        with times as (
            select cast(tenure as double) t, count(*) n, count(*) filter (Churn = 'Yes') d
            from read_csv('{path}', all_varchar = true) group by 1
        ), risk as (
            select t, d, sum(n) over (order by t desc) r from times
        )
        select t, r, d, exp(sum(ln((r - d) / r)) over (order by t)) s from risk order by t
        """
    ).df()
    np.testing.assert_array_equal(curve.column("time"), sql["t"])
    np.testing.assert_array_equal(curve.column("at_risk"), sql["r"])
    np.testing.assert_array_equal(curve.column("events"), sql["d"])
    np.testing.assert_allclose(curve.column("survival"), sql["s"], rtol=1e-12)
    assert left.sum() == 1869 and len(curve) == 73

    x = pd.DataFrame(
        {
            "month_to_month": frame["Contract"] == "Month-to-month",
            "charges": frame["MonthlyCharges"].astype(float),
            "fiber": frame["InternetService"] == "Fiber optic",
            "electronic_check": frame["PaymentMethod"] == "Electronic check",
        }
    ).astype(float)
    model = churn.CoxPH(ties="breslow").fit(tenure, x, left)
    matrix, stop, event = x.to_numpy(), tenure.to_numpy(), left.to_numpy()
    beta = np.zeros(4)
    for _ in range(12):
        gradient, information = np.zeros(4), np.zeros((4, 4))
        risk = np.exp(matrix @ beta)
        for t in np.unique(stop[event]):
            among, ends = stop >= t, event & (stop == t)
            share = risk[among] / risk[among].sum()
            mean = share @ matrix[among]
            gradient += matrix[ends].sum(0) - ends.sum() * mean
            spread = (matrix[among] * share[:, None]).T @ matrix[among] - np.outer(mean, mean)
            information += ends.sum() * spread
        beta = beta + np.linalg.solve(information, gradient)
    np.testing.assert_allclose(list(model.coefficients.values()), beta, rtol=1e-8)
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(model.summary.column("standard_error"), error, rtol=1e-8)
    test = churn.logrank(tenure, frame["Contract"], left)
    assert test.degrees_of_freedom == 2 and test.p_value < 1e-100


def test_gaps_between_purchases(data_folder):
    """Spells between purchase days on CDNOW, row by row against SQL."""
    path = str(data_folder / "cdnow" / "cdnow_transactions.csv.gz")
    names = {"customer": "customer_id", "time": "date", "value": "amount"}
    log = churn.EventLog.from_csv(path, names=names)
    gaps = churn.purchase_gaps(log, "1998-01-01")
    sql = duckdb.sql(
        f"""
        with days as (
            select distinct cast(customer_id as text) c, cast(date as date) d
            from read_csv('{path}') where cast(date as date) < date '1998-01-01'
        ), gaps as (
            select c, row_number() over w k, d, lead(d) over w next
            from days window w as (partition by c order by d)
        )
        select c, k, datediff('day', d, coalesce(next, date '1998-01-01')) g, next is not null e
        from gaps order by c, k
        """
    ).df()
    np.testing.assert_array_equal(gaps.column("customer"), sql["c"])
    np.testing.assert_array_equal(gaps.column("purchases_before"), sql["k"])
    np.testing.assert_array_equal(gaps.column("duration"), sql["g"])
    np.testing.assert_array_equal(gaps.column("event_observed"), sql["e"])
    curve = churn.KaplanMeier().fit(gaps.column("duration"), gaps.column("event_observed"))
    assert len(gaps) == len(sql) and 0.3 < curve.survival_at([180])[0] < 0.7
