"""Journeys: documents, steps, state, hold-out, replay."""

import json
import math
import re

import polars as pl
import pytest
from conftest import random_events

import churn

AS_OF = "2020-12-31"

HELLO = """
version = 1
id = "hello"
name = { en = "Hello", zh = "你好" }
triggers = [{ silence_days = 30 }]
exits = [{ event = "purchase", reason = "bought" }, { event = "unsubscribed" }]
steps = [
    { id = "mail", send = { options = [{ offers = ["recommendation"], channels = ["email"] }] } },
    { id = "pause", wait = { days = 1, at = "09:00" } },
    { id = "push", send = { options = [{ offers = ["bonus_points"], channels = ["push"] }] } },
]
"""


@pytest.fixture(scope="module")
def log():
    return churn.EventLog(random_events(20_000, 1_500, seed=8))


@pytest.fixture(scope="module")
def facts(log):
    result = churn.winback(log, AS_OF)
    return churn.Facts(
        result.features, result.scores, [result.risk_tier, result.rfm_segment, result.lifecycle]
    )


@pytest.fixture(scope="module")
def playbook(facts):
    return churn.Playbook.default_for(facts)


def engine(playbook, facts, policy="", **kwargs):
    journey = churn.Journey.from_toml(HELLO, playbook, facts)
    policy = churn.ContactPolicy.from_toml(policy, playbook)
    return churn.JourneyEngine([journey], policy, playbook, facts, **kwargs)


def test_documents_read_back_and_name_their_mistakes(playbook, facts):
    journey = churn.Journey.default_for(playbook, facts)
    assert churn.Journey.from_toml(journey.to_toml(), playbook, facts) == journey
    assert churn.Journey.from_json(journey.to_json(), playbook, facts) == journey
    assert json.loads(journey.to_json()) == churn.defaults("journey")
    later = churn.Journey.from_toml(
        journey.to_toml().replace("silence_days = 90", "silence_days = 95"), playbook, facts
    )
    assert journey.differences(later) == [
        "steps.until_day_90.wait.silence_days: 90 -> 95",
        "triggers[2].silence_days: 90 -> 95",
    ]
    with pytest.raises(churn.UnknownNameError) as caught:
        churn.Journey.from_toml(HELLO.replace('"email"', '"fax"'), playbook, facts)
    assert "journey.steps[0].send.options[0].channels[0] (line 8)" in str(caught.value)
    policy = churn.ContactPolicy.default_for(playbook)
    assert churn.ContactPolicy.from_json(policy.to_json(), playbook) == policy
    for name in churn.ContactPolicy.PRESETS:
        assert churn.ContactPolicy.preset(name, playbook) != policy
    with pytest.raises(churn.InvalidParameterError, match=r"policy.caps\[0\].contacts \(line 1\)"):
        churn.ContactPolicy.from_toml("caps = [{ contacts = 0, rolling_days = 1 }]", playbook)


def test_steps_are_a_pure_function(playbook, facts):
    own = engine(playbook, facts)
    assert own.reads == []
    start = own.start("2021-01-01")
    events = [
        {"customer": "ann", "time": "2021-01-01T12:00:00", "kind": "purchase"},
        {"customer": "bea", "time": "2021-01-01T12:00:00", "kind": "purchase"},
        {"customer": "bea", "time": "2021-01-02", "kind": "unsubscribed", "channel": "email"},
    ]
    state, nothing = own.step(start, "2021-01-02", events=events)
    assert len(nothing) == 0 and start == own.start("2021-01-01")
    assert nothing.next_due.isoformat() == "2021-01-31T12:00:00+00:00"
    zoned = state.with_zones(["ann"], ["Asia/Shanghai"])
    _, planned = own.step(zoned, "2021-01-31T12:00:00", until="2021-02-02")
    pushes = pl.DataFrame(planned).filter(pl.col("step") == "push")
    assert pushes["customer"].to_list() == ["ann", "bea"]
    assert [at.isoformat() for at in pushes["at"]] == ["2021-02-01T01:00:00", "2021-02-01T09:00:00"]
    state = churn.JourneyState.from_json(state.to_json())
    state, outcome = own.step(state, "2021-01-31T12:00:00")
    assert outcome.lines() == [
        "2021-01-31T12:00:00 ann hello: entered silence of 30 days",
        "2021-01-31T12:00:00 ann hello.mail: sent email",
        "2021-01-31T12:00:00 bea hello: entered silence of 30 days",
        "2021-01-31T12:00:00 bea hello.mail: skipped no_consent",
    ]
    assert outcome.column("channels").tolist() == ["email"]
    assert pl.DataFrame(outcome.log)["reason"].to_list()[-1] == "no_consent"
    assert (state.step_of("ann", "hello"), state.inside("hello")) == ("pause", 2)
    assert state.step_of("nobody", "hello") is None
    again, same = own.step(state, "2021-01-31T12:00:00")
    assert again == state and len(same.log) == 0
    with pytest.raises(churn.InvalidParameterError, match="now: expected an instant not before"):
        own.step(state, "2021-01-30")
    with pytest.raises(churn.InvalidValueError, match=r"zones\[0\]"):
        state.with_zones(["ann"], ["Asia/Peking"])
    with pytest.raises(churn.InvalidParameterError, match="a state of version 7"):
        churn.JourneyState.from_json(state.to_json().replace('"version":1', '"version":7', 1))


def test_events_of_a_log_and_facts(playbook, facts, log):
    journey = churn.Journey.default_for(playbook, facts)
    policy = churn.ContactPolicy.default_for(playbook)
    own = churn.JourneyEngine(
        [journey], policy, playbook, facts, learning={"segmentation": "risk_tier"}
    )
    assert "risk_tier" in own.reads
    state = own.begin(log, AS_OF)
    with pytest.raises(churn.MisalignedError, match="because the journeys read"):
        own.step(state, AS_OF)
    state, outcome = own.step(state, AS_OF, until="2021-01-01", facts=facts, log=log)
    assert len(outcome) > 0
    segments = set(outcome.column("segment").tolist())
    assert segments <= {"low", "medium", "high"}
    held = dict(zip(state.customers, state.held_out()))
    assert not any(held[customer] for customer in outcome.column("customer").tolist())
    assert state.learned()["options"] == []
    assert "response by contacts before" in state.learned_text()
    assert state.nbytes / len(state.customers) < 200


def fnv_lot(salt, customer):
    """The lot as the documentation words it, in another language."""
    h = 0xCBF29CE484222325
    for byte in salt.encode() + b"\0" + str(customer).encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h ^= h >> 33
        h = h * factor % 2**64
    h ^= h >> 33
    return (h >> 11) / 2**53


def test_hold_out_can_be_reproduced_from_its_description(log):
    for salt, customer in [("", "a"), ("2026", "张伟"), ("x", -5), ("x", 2**63 + 1), ("x", 0)]:
        assert churn.lot(salt, customer) == fnv_lot(salt, customer)
    ids = list(range(2_000))
    held = churn.hold_out(ids, salt="s", share=0.1)
    assert held == [fnv_lot("s", i) < 0.1 for i in ids]
    tiers = churn.winback(log, AS_OF).risk_tier
    held = churn.hold_out_stratified(tiers, salt="s", share=0.25)
    table = pl.DataFrame({"tier": tiers.column("risk_tier"), "held": held})
    for _, part in table.group_by("tier"):
        assert part["held"].sum() == math.floor(len(part) * 0.25 + 0.5)


def test_replays_and_rivals(log, playbook, facts):
    replay = churn.replay(log, "2020-06-01", "2020-08-30", policy="klaviyo")
    assert len(replay) == 90
    contacts = replay.column("contacts")
    assert contacts.sum() == len(replay.contacts) > 0
    per_customer = replay.histogram()
    assert sum(k * n for k, n in enumerate(per_customer)) == len(replay.contacts)
    assert math.isclose(replay.cost, replay.column("cost").sum())
    assert "contacts per customer" in str(replay)
    policy = churn.ContactPolicy.from_toml("holdout = { salt = 'a', share = 0.5 }", playbook)
    rival = churn.replay(log, "2020-06-01", "2020-08-30", policy=policy)
    assert rival.column("held_out").sum() > 0
    text = replay.compare(rival)
    assert re.search(rf"contacts +{len(replay.contacts)} +{len(rival.contacts)}", text)
    journey = churn.Journey.from_toml(HELLO, playbook, facts)
    own = churn.replay(log, "2020-06-01", "2020-06-10", journeys=[journey], learning={"seed": 3})
    assert set(own.contacts.column("journey").tolist()) <= {"hello"}
    with pytest.raises(churn.MisalignedError):
        replay.compare(own)
    with pytest.raises(churn.InvalidParameterError, match="from midnight to midnight"):
        churn.replay(log, "2020-06-01", "2020-06-01")
    with pytest.raises(churn.CancelledError):
        churn.replay(log, "2020-06-01", "2021-06-01", progress=lambda *_: False)
