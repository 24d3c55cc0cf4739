"""Scores, segments and plan: step by step, and in one call."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from conftest import random_events

import churn

AS_OF = "2020-12-31"

CARD = """
version = 1
horizon_days = 60
points_to_double_odds = 20.0
[[factors]]
feature = "days_since_last"
text = { en = "silent for {value} days", zh = "沉默 {value} 天" }
missing = 0.0
bins = [{ below = 30.0, points = -20.0 }, { below = 90.0, points = 0.0 }, { points = 40.0 }]
"""


@pytest.fixture(scope="module")
def log():
    return churn.EventLog(random_events(20_000, 1_500, seed=8))


@pytest.fixture(scope="module")
def features(log):
    return log.features(AS_OF)


@pytest.fixture(scope="module")
def scores(features):
    return churn.Scorecard().score(features)


@pytest.fixture(scope="module")
def result(log):
    return churn.winback(log, AS_OF)


def test_a_card_of_ones_own_scores_by_hand(features):
    card = churn.Scorecard.from_toml(CARD)
    assert (card.features, card.horizon_days) == (["days_since_last"], 60)
    scores = card.score(features)
    silent = features.column("days_since_last")
    points = np.where(silent < 30, -20.0, np.where(silent < 90, 0.0, 40.0))
    by_hand = 1 / (1 + 2 ** (-points / 20))
    np.testing.assert_allclose(scores.churn_probability, by_hand, rtol=1e-14)
    np.testing.assert_array_equal(scores.column("points_days_since_last"), points)
    row = int(np.flatnonzero(points == 40.0)[0])
    customer = scores.customers[row]
    (reason,) = scores.reasons(customer)
    assert (reason.feature, reason.points, reason.value) == ("days_since_last", 40.0, silent[row])
    assert str(reason) == f"silent for {shown(silent[row])} days: +40 points"
    (reason,) = scores.reasons(customer, language="zh")
    assert reason.sentence == f"沉默 {shown(silent[row])} 天：+40 分"


def shown(days: float) -> str:
    """Days as sentences show them: cut, never rounded up."""
    return str(int(days))


def test_cards_travel_as_text():
    card = churn.Scorecard.from_toml(CARD)
    assert churn.Scorecard.from_json(card.to_json()) == card
    assert churn.Scorecard.from_toml(card.to_toml()) == card
    assert card != churn.Scorecard()
    with pytest.raises(churn.InvalidParameterError) as caught:
        churn.Scorecard.from_toml(CARD.replace("missing = 0.0", "mising = 0.0"))
    assert caught.value.line is not None
    assert "mising" in str(caught.value)


def test_reasons_add_up(scores):
    points = sum(scores.column(f"points_{factor}") for factor in scores.factors)
    order = np.argsort(points)
    assert (np.diff(scores.churn_probability[order]) >= 0).all()
    first = scores.column("reason_1")
    for row in range(0, len(scores), 97):
        reasons = scores.reasons(scores.customers[row], limit=100)
        assert sum(reason.points for reason in reasons) == pytest.approx(points[row])
        sizes = [abs(reason.points) for reason in reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert first[row] == (reasons[0].feature if reasons else None)
    with pytest.raises(churn.UnknownNameError, match="expected one of 1"):
        scores.reasons(10**9)
    with pytest.raises(churn.InvalidParameterError, match="language"):
        scores.reasons(scores.customers[0], language="fr")


def test_tiers_cut_where_they_say(scores):
    tiers = churn.RiskTiers(medium=0.4, high=0.7)
    segments = tiers.assign(scores)
    p = scores.churn_probability
    by_hand = np.where(p >= 0.7, "high", np.where(p >= 0.4, "medium", "low"))
    assert segments.name == "risk_tier"
    assert segments.column("risk_tier").tolist() == by_hand.tolist()
    assert segments.label(scores.customers[5]) == by_hand[5]
    assert repr(tiers) == "RiskTiers(medium=0.4, high=0.7)"
    assert churn.RiskTiers() == churn.RiskTiers(medium=churn.RiskTiers().medium)
    with pytest.raises(churn.InvalidParameterError, match="risk_tiers.high"):
        churn.RiskTiers(high=0.2)
    with pytest.raises(churn.InvalidParameterError, match="unknown field `hihg`"):
        churn.RiskTiers(hihg=0.2)


def test_profiles_against_polars(features, scores):
    segments = churn.RiskTiers().assign(scores)
    ours = pl.DataFrame(segments.profile(features))
    rows = pl.DataFrame(features).with_columns(segment=pl.DataFrame(segments)["risk_tier"])
    theirs = rows.group_by(pl.col("segment").cast(pl.String)).agg(
        size=pl.len(), money=pl.col("total_value").sum(), orders=pl.col("orders").mean()
    )
    both = ours.join(theirs, on="segment", suffix="_theirs")
    assert ours["segment"].to_list() == segments.labels
    assert ours["size"].sum() == len(features)
    assert ours["share"].sum() == pytest.approx(1.0)
    assert len(both) == len(theirs)
    np.testing.assert_array_equal(both["size"], both["size_theirs"])
    np.testing.assert_allclose(both["money"], both["money_theirs"], rtol=1e-12)
    np.testing.assert_allclose(both["mean_orders"], both["orders"], rtol=1e-12)


def test_grids(features):
    for grid in [churn.Grid.rf25(), churn.Grid.rfm11()]:
        segments = grid.assign(features)
        assert set(segments.column(segments.name)) <= set(segments.labels)
        assert churn.Grid.from_toml(grid.to_toml()) == grid
        assert churn.Grid.from_json(grid.to_json()) == grid
    with pytest.raises(churn.InvalidParameterError, match="grid.rules"):
        churn.Grid.from_toml(
            'name = "half"\nbins = 3\n[[rules]]\nlabel = "fresh"\ncells = [{ recency = [2, 3] }]'
        )


def test_one_call_equals_the_steps(features, scores, result):
    tiers = churn.RiskTiers().assign(scores)
    grid = churn.Grid.rf25().assign(features)
    stages = churn.lifecycle(features)
    facts = churn.Facts(features, scores, [tiers, grid, stages])
    playbook = churn.Playbook.default_for(facts)
    plan = churn.match_actions(playbook, facts)
    np.testing.assert_array_equal(result.features.to_numpy(), features.to_numpy())
    np.testing.assert_array_equal(result.scores.churn_probability, scores.churn_probability)
    pairs = [
        (result.risk_tier, tiers),
        (result.rfm_segment, grid),
        (result.lifecycle, stages),
        (result.plan, plan),
    ]
    for whole, step in pairs:
        assert pl.DataFrame(whole).equals(pl.DataFrame(step)), repr(step)
    assert str(result) == str(plan)


def test_the_plan_says_what_it_says(result):
    plan = result.plan
    summary = pl.DataFrame(plan.summary())
    rows = pl.DataFrame(plan)
    counted = rows["action"].cast(pl.String).value_counts()
    counts = dict(counted.iter_rows())
    for action, customers in summary.select("action", "customers").iter_rows():
        assert counts.get(action, 0) == customers
    assert summary["contact_cost"].sum() == pytest.approx(rows["contact_cost"].sum())
    for row in range(0, len(plan), 173):
        customer = plan.customers[row]
        assert plan.action(customer) == rows["action"][row]
        assert "+".join(plan.channels(customer)) == (rows["channels"][row] or "")
        assert "+".join(plan.offers(customer)) == (rows["offers"][row] or "")
        assert plan.why(customer)
        assert plan.why(customer, language="zh") != plan.why(customer)


def test_errors_of_a_playbook_name_the_line(log, result):
    facts = churn.Facts(
        result.features, result.scores, [result.risk_tier, result.rfm_segment]
    )
    wrong = churn.Playbook.DEFAULT_TOML.replace("'high'", "'hgih'").replace('"high"', '"hgih"')
    assert wrong != churn.Playbook.DEFAULT_TOML
    with pytest.raises(churn.UnknownNameError) as step:
        churn.Playbook.from_toml(wrong, facts)
    assert step.value.what.startswith("playbook.")
    assert "hgih" in wrong.splitlines()[step.value.line - 1]
    with pytest.raises(churn.UnknownNameError) as whole:
        churn.winback(log, AS_OF, playbook={"toml": wrong})
    assert (whole.value.what, whole.value.line) == (step.value.what, step.value.line)


def test_settings_of_the_one_call(log, result):
    card = churn.Scorecard.from_toml(CARD)
    playbook = result.plan.playbook
    assert playbook == churn.Playbook.from_json(playbook.to_json(), facts_of(result))
    other = churn.winback(
        log,
        AS_OF,
        scorecard=card,
        risk_tiers={"medium": 0.3, "high": 0.6},
        grid=churn.Grid.rf25(),
        features={"windows_days": [30]},
        playbook=playbook,
    )
    assert other.scores.horizon_days == 60
    assert "orders_365d" not in other.features.columns
    assert other.plan.playbook == playbook
    as_text = churn.winback(log, AS_OF, playbook={"json": playbook.to_json()})
    assert pl.DataFrame(as_text.plan).equals(pl.DataFrame(result.plan))
    with pytest.raises(churn.InvalidParameterError, match="unknown field `risk_tier`"):
        churn.winback(log, AS_OF, risk_tier={"high": 0.6})


def test_stories(result):
    told = result.examples()
    tiers = [result.risk_tier.label(customer) for customer in told]
    assert tiers == [tier for tier in ["high", "medium", "low"] if tier in tiers]
    for customer in told:
        story = result.story(customer)
        assert f"Customer {customer}: " in story
        for reason in result.scores.reasons(customer):
            assert reason.sentence in story
        assert result.story(customer, language="zh") != story


def test_own_features_can_be_scored():
    card = churn.Scorecard.from_toml(CARD)
    columns = {"days_since_last": np.array([10, 60, 100], dtype="i2"), "other": [1, None, 2.5]}
    table = churn.FeatureTable.from_columns(["ann", "bea", "cem"], AS_OF, columns)
    assert table.population is None
    np.testing.assert_array_equal(table.column("other"), [1.0, np.nan, 2.5])
    assert card.score(table).churn_probability.tolist() == [1 / 3, 0.5, 0.8]
    again = churn.FeatureTable.from_columns(table.customers, AS_OF, columns)
    assert again.customers == table.customers
    for customers, row in [(["bea", "ann"], 1), (["ann", "ann"], 1), ([2, 1], 1), ([1, 2, 2], 2)]:
        with pytest.raises(churn.InvalidValueError, match="ids that ascend and differ") as caught:
            churn.FeatureTable.from_columns(customers, AS_OF, {})
        assert caught.value.row == row
    with pytest.raises(churn.InvalidValueError, match="a customer id, got nothing"):
        churn.FeatureTable.from_columns(["", "ann"], AS_OF, {})
    large = churn.FeatureTable.from_columns([1, 2**64 - 1], AS_OF, {})
    assert large.customers.to_list() == [1, 2**64 - 1]
    with pytest.raises(churn.LengthMismatchError, match="table.x: expected 2 rows, got 1"):
        churn.FeatureTable.from_columns([1, 2], AS_OF, {"x": [1.0]})
    with pytest.raises(churn.InvalidParameterError, match="table.x: expected numbers"):
        churn.FeatureTable.from_columns([1, 2], AS_OF, {"x": ["a", "b"]})


def test_simulated_shops_know_their_truth():
    shop = churn.Shop(customers=300, seed=5)
    assert shop == churn.Shop(seed=5, customers=300) != churn.Shop(seed=6, customers=300)
    simulated = shop.open()
    log = simulated.log()
    assert (len(log), log) == (len(simulated), shop.open().log())
    truth = pl.DataFrame(simulated.truth)
    assert truth["customer"].to_list() == log.customers.to_list()
    assert set(truth["pattern"]) == {"regular", "lapsing", "one_time"}
    regular = truth["pattern"] == "regular"
    assert (truth["left"].is_null() == regular).all()
    # Who left long ago scores higher than who buys to the end.
    _, end = log.time_range
    scores = pl.DataFrame(churn.winback(log, end).scores).join(truth, on="customer")
    gone = scores.filter(pl.col("left") < end.replace(tzinfo=None) - timedelta(days=120))
    there = scores.filter(pl.col("pattern") == "regular")
    assert gone["churn_probability"].mean() > there["churn_probability"].mean() + 0.2


def test_defaults_are_what_is_left_out(log, result):
    assert churn.defaults("risk_tiers") == {"medium": 0.33, "high": 0.66}
    assert churn.RiskTiers(**churn.defaults("risk_tiers")) == churn.RiskTiers()
    assert churn.Scorecard.from_json(json.dumps(churn.defaults("scorecard"))) == churn.Scorecard()
    stated = churn.winback(log, AS_OF, **churn.defaults("winback"))
    assert pl.DataFrame(stated.plan).equals(pl.DataFrame(result.plan))
    with pytest.raises(churn.UnknownNameError, match="defaults"):
        churn.defaults("card")


def facts_of(result: churn.WinBack) -> churn.Facts:
    segments = [result.risk_tier, result.rfm_segment, result.lifecycle]
    return churn.Facts(result.features, result.scores, segments)


def test_tables_of_other_instants_never_mix(log, result):
    earlier = churn.winback(log, "2020-06-30")
    with pytest.raises(churn.MisalignedError) as caught:
        churn.Facts(result.features, earlier.scores, [])
    assert caught.value.what == "scores"
    with pytest.raises(churn.MisalignedError):
        earlier.risk_tier.profile(result.features)


def journeys(log, result):
    """One of everything that has to do with journeys."""
    facts = churn.Facts(
        result.features, result.scores, [result.risk_tier, result.rfm_segment, result.lifecycle]
    )
    playbook = churn.Playbook.default_for(facts)
    journey = churn.Journey.default_for(playbook, facts)
    policy = churn.ContactPolicy.default_for(playbook)
    engine = churn.JourneyEngine([journey], policy, playbook, facts)
    state = engine.begin(log, AS_OF)
    state, outcome = engine.step(state, AS_OF, facts=facts)
    return journey, policy, engine, state, outcome, churn.replay(log, AS_OF, "2021-01-02")


def models(log, result):
    """One of everything that is fitted, allocated or counted over time."""
    durations, ended = [5.0, 8.0, 3.0, 9.0, 6.0, 2.0], [1, 0, 1, 1, 0, 1]
    groups, column = ["a", "b", "a", "b", "a", "b"], {"x": [1.0, 2.0, 0.5, 2.5, 1.5, 3.0]}
    plan = churn.optimize(result.plan.playbook, facts_of(result))
    data = churn.TrainingData.build(log, cut_offs={"at": ["2020-05-01"]}, churn={"horizon_days": 30})
    outcomes = [float(row % 3 == 0) for row in range(60)]
    table = {"x": [float(row % 7) for row in range(60)]}
    makers = churn.KaplanMeier(), churn.NelsonAalen(), churn.CoxPH(l2_penalty=0.1), churn.WeibullAFT()
    return (
        plan.allocation,
        data,
        churn.FittedModel.fit(table, outcomes),
        churn.ChurnModel(),
        *makers,
        makers[0].fit(durations, ended),
        makers[1].fit(durations, ended),
        makers[2].fit(durations, column, ended),
        makers[3].fit(durations, column, ended),
        churn.logrank(durations, groups, ended),
        churn.retention(log, AS_OF),
        churn.stickiness(log, AS_OF),
    )


def test_everything_says_what_it_is(log, result, tmp_path):
    stream = churn.LogStream(tmp_path)
    parts = churn.LogStream(tmp_path).finish()
    things = [
        stream,
        parts,
        parts.features(AS_OF),
        log.describer(AS_OF),
        log,
        log.customers,
        log.summarize(AS_OF),
        result,
        result.features,
        result.features.population,
        result.scores,
        result.scores.reasons(result.scores.customers[0])[0],
        result.risk_tier,
        result.risk_tier.profile(result.features),
        result.plan,
        result.plan.playbook,
        facts_of(result),
        churn.Scorecard(),
        churn.Grid.rf25(),
        churn.RiskTiers(),
        churn.Shop(customers=5),
        churn.Shop(customers=5).open(),
        *journeys(log, result),
        *models(log, result),
    ]
    for thing in things:
        assert repr(thing).startswith(f"{type(thing).__name__}("), repr(thing)
    covered = {type(thing).__name__ for thing in things}
    classes = {
        name
        for name in churn.__all__
        if isinstance(getattr(churn, name), type) and not name.endswith("Error")
    }
    assert classes == covered
    assert json.loads(churn.Scorecard().to_json())["version"] == 1
