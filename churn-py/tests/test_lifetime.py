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
