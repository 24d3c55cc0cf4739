"""Models of buying and leaving: published estimates, lifetimes' numbers, the main flow, mistakes."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import churn
from churn import lifetime


def data(name):
    folder = os.environ.get("CHURN_DATA")
    if folder is None:
        print("SKIPPED: CHURN_DATA is not set", file=sys.stderr)
        pytest.skip("CHURN_DATA is not set")
    with (Path(folder) / name).open() as file:
        return list(csv.DictReader(file))


def cdnow():
    rows = data("cdnow/cdnow_summary.csv")
    names = {
        "frequency": "frequency",
        "recency": "recency_weeks",
        "age": "age_weeks",
        "monetary_value": "mean_repeat_value",
    }
    return {name: [float(row[column]) for row in rows] for name, column in names.items()}


CUSTOMER = {"frequency": [2.0], "recency": [30.43], "age": [38.86]}


@pytest.mark.parametrize(
    ("model", "parameters", "likelihood", "alive", "purchases"),
    [
        (lifetime.BgNbd, [0.2426, 4.4135, 0.7929, 2.4258], -9582.43, 0.7266, 1.2259),
        (lifetime.MbgNbd, [0.5248, 6.183, 0.8914, 1.614], -9582.13, 0.706126, 1.262671),
        (lifetime.ParetoNbd, [0.5533, 10.578, 0.6062, 11.668], -9594.97, 0.8691, 1.4551),
    ],
)
def test_published_estimates_of_cdnow(model, parameters, likelihood, alive, purchases):
    fitted = model().fit(cdnow(), unit_days=7.0)
    np.testing.assert_allclose(list(fitted.parameters.values()), parameters, rtol=2e-3)
    assert fitted.estimate["log_likelihood"] == pytest.approx(likelihood, abs=0.01)
    assert fitted.probability_alive(CUSTOMER)[0] == pytest.approx(alive, abs=2e-4)
    assert fitted.expected_purchases(CUSTOMER, 39)[0] == pytest.approx(purchases, abs=5e-4)
    again = lifetime.LifetimeModel.from_json(fitted.to_json())
    assert again.no_purchase_probability(CUSTOMER, 39)[0] == fitted.no_purchase_probability(CUSTOMER, 39)[0]
    shares = [column[0] for column in fitted.purchase_distribution(CUSTOMER, 39, 40)]
    assert sum(shares) == pytest.approx(1.0, abs=1e-6)
    assert shares[0] == pytest.approx(fitted.no_purchase_probability(CUSTOMER, 39)[0], abs=1e-9)
    low, high = fitted.purchases_interval(CUSTOMER, 39)[1:]
    assert low[0] < purchases < high[0]


def test_spend_and_value():
    columns = cdnow()
    spend = lifetime.GammaGamma().fit(columns)
    np.testing.assert_allclose(list(spend.parameters.values()), [6.2488, 3.7446, 15.4477], rtol=2e-3)
    assert spend.population_mean == pytest.approx(35.17, abs=0.02)
    expected = spend.expected_spend({"frequency": [2.0], "monetary_value": [22.35]})
    assert expected[0] == pytest.approx(24.66, abs=0.01)
    model = lifetime.MbgNbd().fit(columns, unit_days=7.0)
    value = model.customer_value(columns, spend, margin=0.3)
    assert value.shape == (2357,) and np.isfinite(value).all() and (value >= 0).all()


def test_rounds_and_contracts():
    rows = data("donations/donations.csv")
    columns = {
        "frequency": [float(row["frequency"]) for row in rows],
        "recency": [float(row["recency"]) for row in rows],
        "age": [float(row["periods"]) for row in rows],
        "weights": [float(row["weights"]) for row in rows],
    }
    model = lifetime.BgBb().fit(columns)
    np.testing.assert_allclose(model.parameters, [1.2035, 0.7497, 0.6567, 2.7834], rtol=2e-3)
    # The survivors of the "regular" and the "high end" segment of Fader & Hardie (2007).
    renewals = lifetime.BetaGeometric().fit_survivors([1000, 869, 743, 653, 593, 551, 517, 491])
    np.testing.assert_allclose(renewals.parameters, [0.668, 3.806], rtol=2e-3)


def test_a_summary_of_a_log_is_scored():
    shop = churn.Shop(customers=400, days=300, seed=3).open()
    log = shop.log()
    summary = log.summarize(log.time_range[1])
    model = lifetime.MbgNbd().fit(summary)
    scores = model.score(summary, 30)
    assert len(scores.churn_probability) == len(summary)
    assert scores.reasons(scores.customers[0])
    table = model.features(summary, 30)
    np.testing.assert_allclose(table.column("no_purchase_probability"), scores.churn_probability)


def test_mistakes_name_the_row():
    fit = lifetime.MbgNbd().fit
    wrong = {"frequency": [1.0, 2.0], "recency": [3.0, 9.0], "age": [5.0, 8.0]}
    with pytest.raises(churn.InvalidValueError, match=r"summary\.recency\[1\]"):
        fit(wrong)
    wrong = {"frequency": [1.0, 2.5], "recency": [3.0, 4.0], "age": [5.0, 8.0]}
    with pytest.raises(churn.InvalidValueError, match=r"summary\.frequency\[1\]"):
        fit(wrong)
    with pytest.raises(churn.UnknownNameError):
        fit({"frequency": [1.0]})
    with pytest.raises(churn.InvalidParameterError):
        lifetime.MbgNbd(family="magic").fit(CUSTOMER)


def test_bad_input_is_an_error_or_a_limit():
    families = [lifetime.BgNbd, lifetime.MbgNbd, lifetime.ParetoNbd]
    columns = {"frequency": [1.0, 0.0], "recency": [2.0, 0.0], "age": [3.0, 3.0]}
    for kind in families:
        for name, cells, place in [
            ("recency", [2.0, 1.0], r"summary\.recency\[1\]"),
            ("recency", [4.0, 0.0], r"summary\.recency\[0\]"),
            ("recency", [2.0, -1.0], r"summary\.recency\[1\]"),
            ("frequency", [1.0, -1.0], r"summary\.frequency\[1\]"),
            ("frequency", [0.5, 0.0], r"summary\.frequency\[0\]"),
            ("age", [3.0, np.nan], r"summary\.age\[1\]"),
            ("age", [3.0, np.inf], r"summary\.age\[1\]"),
        ]:
            with pytest.raises(churn.InvalidValueError, match=place):
                kind().fit(columns | {name: cells})
        with pytest.raises(churn.LengthMismatchError, match=r"summary\.age"):
            kind().fit(columns | {"age": [3.0]})
        nobody = {name: [] for name in columns}
        once = {"frequency": [0.0] * 3, "recency": [0.0] * 3, "age": [5.0, 6.0, 7.0]}
        no_time = {"frequency": [1.0, 2.0], "recency": [0.0, 0.0], "age": [0.0, 0.0]}
        for data in (nobody, once, no_time):
            with pytest.raises(churn.NotEnoughDataError, match="summary"):
                kind().fit(data)
        # One customer, whom the models describe by a limit of theirs.
        one = {"frequency": [4.0], "recency": [30.0], "age": [38.0]}
        model = kind().fit(one)
        assert any(parameter["on_bound"] for parameter in model.estimate["parameters"])
        assert model.expected_purchases(one, 0.0) == 0.0
        assert model.no_purchase_probability(one, 0.0) == 1.0
        far = model.answers(one, 1e15, level=0.9).to_dict()
        assert all(np.isfinite(column).all() for column in far.values())
        for horizon in (-1.0, 1e16, np.nan, np.inf):
            with pytest.raises(churn.InvalidParameterError, match=r"lifetime\.horizon"):
                model.expected_purchases(one, horizon)
        for level in (0.0, 1.0, np.nan):
            with pytest.raises(churn.InvalidParameterError, match=r"lifetime\.level"):
                model.alive_interval(one, level=level)
        with pytest.raises(churn.InvalidParameterError, match="unit_days"):
            kind().fit(one, unit_days=0.0)
    with pytest.raises(churn.InvalidParameterError, match="fitted model"):
        given = lifetime.LifetimeModel.from_parameters("bg_nbd", [0.2, 4, 0.8, 2.4])
        given.alive_interval(one)
    with pytest.raises(churn.InvalidParameterError, match="alpha"):
        lifetime.LifetimeModel.from_parameters("bg_nbd", [0.2, 0.0, 0.8, 2.4])


def test_money_may_be_zero():
    data = {"frequency": [1.0, 2.0, 0.0], "monetary_value": [0.0, 0.0, 0.0]}
    with pytest.raises(churn.NotEnoughDataError, match="monetary_value"):
        lifetime.GammaGamma().fit(data)
    with pytest.raises(churn.InvalidValueError, match=r"monetary_value\[1\]"):
        lifetime.GammaGamma().fit(data | {"monetary_value": [3.0, -1.0, 0.0]})
    some = lifetime.GammaGamma().fit(
        {"frequency": [1.0, 2.0, 0.0, 4.0], "monetary_value": [5.0, 9.0, 0.0, 0.0]}
    )
    assert some.left_out == 2
    assert np.isfinite(some.expected_spend(data)).all()
    with pytest.raises(churn.InfeasibleError, match="spend_model.q"):
        lifetime.SpendModel.from_parameters([2.0, 0.9, 15.0]).population_mean


def test_intervals_hold_their_answers():
    columns = cdnow()
    model = lifetime.ParetoNbd().fit(columns, unit_days=7.0)
    spend = lifetime.GammaGamma().fit(columns)
    for value, low, high in [
        model.alive_interval(columns, level=0.9),
        model.no_purchase_interval(columns, 39, level=0.9),
        model.purchases_interval(columns, 39, level=0.9),
        model.customer_value_interval(columns, spend, level=0.9, margin=0.3),
    ]:
        assert (low <= value).all() and (value <= high).all() and (low < high).any()
    table = model.answers(columns, 39, level=0.9, most=2)
    np.testing.assert_array_equal(
        table.column("probability_alive_upper"), model.alive_interval(columns, level=0.9)[2]
    )
    np.testing.assert_allclose(
        table.column("purchases_0"), table.column("no_purchase_probability"), atol=1e-9
    )
    value = model.customer_value(columns, spend, margin=0.3)
    interval = model.customer_value_interval(columns, spend, level=0.9, margin=0.3)
    np.testing.assert_allclose(interval[0], value)


def test_covariates_are_named_and_tested():
    columns = cdnow()
    early = {"early": [float(age > 33) for age in columns["age"]]}
    plain = lifetime.MbgNbd().fit(columns, unit_days=7.0)
    larger = lifetime.MbgNbd(purchase_covariates=["early"]).fit(
        columns, covariates=early, unit_days=7.0
    )
    assert list(larger.parameters) == ["r", "alpha", "a", "b", "purchase.early"]
    test = lifetime.likelihood_ratio(plain, larger)
    assert test["degrees"] == 1 and 0 < test["p_value"] <= 1
    assert larger.estimate["aic"] == pytest.approx(10 - 2 * larger.estimate["log_likelihood"])
    spend = lifetime.GammaGamma().fit(columns)
    value = larger.customer_value(columns, spend, covariates=early)
    assert np.isfinite(value).all()
    with pytest.raises(churn.UnknownNameError):
        larger.customer_value(columns, spend)


def test_the_main_flow_takes_a_model_of_buying():
    shop = churn.Shop(customers=400, days=400, seed=3).open()
    log = shop.log()
    as_of = log.time_range[1]
    result = churn.winback(log, as_of, lifetime={"horizon_days": 60})
    assert result.lifetime.family == "mbg_nbd"
    assert result.scores.horizon_days == 60
    summary = log.summarize(as_of)
    alone = result.lifetime.score(summary, 60)
    everyone = dict(zip(result.scores.customers, result.scores.churn_probability))
    for customer, churned in zip(alone.customers, alone.churn_probability):
        assert everyone.pop(customer) == churned
    # Who never bought has nothing to lose.
    assert set(everyone.values()) <= {1.0}
    answers = result.lifetime.features(summary, 60, customers=result.features.customers)
    np.testing.assert_array_equal(
        answers.column("probability_alive"), result.features.column("probability_alive")
    )
    beside = churn.winback(log, as_of, lifetime={"scores": False})
    assert "expected_purchases" in beside.features.columns
    plain = churn.winback(log, as_of)
    assert plain.lifetime is None
    np.testing.assert_array_equal(beside.scores.churn_probability, plain.scores.churn_probability)
    defaults = churn.defaults("lifetime_scoring")
    assert defaults["model"] == churn.defaults("lifetime")
    stated = churn.winback(log, as_of, lifetime=defaults)
    assert stated.scores.horizon_days == 90


def test_summaries_tell_gaps_and_what_followed():
    orders = [("2020-01-05", 10.0), ("2020-01-08", 7.0), ("2020-01-15", 9.0)]
    log = churn.EventLog(
        {"customer": ["ann"] * 3, "time": [t for t, _ in orders], "value": [v for _, v in orders]}
    )
    summary = log.summarize("2020-01-20")
    assert summary.column("log_gaps")[0] == pytest.approx(np.log(3 * 7))
    ann = lifetime.RunningSummary(orders[0][0])
    for time, value in orders[1:]:
        ann.add(time, value)
    row = ann.row("2020-01-20")
    assert all(row[name] == summary.column(name)[0] for name in row)
    assert "RunningSummary(" in repr(ann)
    early = log.summarize("2020-01-06")
    later = early.holdout(log, "2020-01-20")
    assert later.column("frequency").tolist() == [2.0] and later.duration == 14.0
    assert "Holdout(1 customers" in repr(later)
