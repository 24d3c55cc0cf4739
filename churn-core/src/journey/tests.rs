//! The engine as a whole: what it decides, and the laws that its module states.

use proptest::prelude::*;

use super::*;
use crate::customers::{CustomerId, Customers};
use crate::error::{ErrorKind, Result};
use crate::events::EventKind;
use crate::strategy::testing::{AT_RISK, Row, Shop, vocabulary};
use crate::strategy::{Facts, Playbook};
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn playbook() -> Playbook {
    Playbook::default_for(&vocabulary()).unwrap()
}

fn journey(steps: &str) -> Journey {
    try_journey(&format!(
        "triggers = [{{ silence_days = 30, before_days = 60 }}]\nexits = [{{ event = 'purchase', reason = 'bought' }}, {{ event = 'unsubscribed' }}]\n{steps}"
    ))
    .unwrap()
}

fn try_journey(rest: &str) -> Result<Journey> {
    let text = format!("version = 1\nid = 'j'\nname = {{ en = 'J', zh = 'J' }}\n{rest}");
    Journey::from_toml(&text, &playbook(), &vocabulary())
}

fn policy(text: &str) -> ContactPolicy {
    ContactPolicy::from_toml(text, &playbook()).unwrap()
}

fn engine(journeys: &[Journey], text: &str) -> Engine {
    let learning = LearningSettings::default();
    Engine::new(
        journeys,
        &policy(text),
        &learning,
        &playbook(),
        &vocabulary(),
    )
    .unwrap()
}

const ONE_EMAIL: &str = "steps = [{ id = 'mail', send = { options = [{ offers = ['recommendation'], channels = ['email'] }] } }]";

fn event(id: i64, time: &str, kind: impl Into<Happening>) -> NewEvent<'static> {
    NewEvent::new(id, at(time), kind)
}

fn bought(id: i64, time: &str) -> NewEvent<'static> {
    event(id, time, EventKind::Purchase)
}

/// The log as lines without customer and journey.
fn lines(outcome: &Outcome) -> Vec<String> {
    let entries = outcome.log.iter();
    entries.map(|entry| outcome.line(entry)).collect()
}

fn run(engine: &Engine, state: &mut State, now: &str, events: &[NewEvent<'_>]) -> Outcome {
    engine
        .advance(state, &News::at(at(now)).with_events(events))
        .unwrap()
}

#[test]
fn silence_opens_and_a_purchase_ends() {
    let steps = "[[steps]]\nid = 'mail'\nsend = { options = [{ offers = ['recommendation'], channels = ['email'] }] }\n[[steps]]\nid = 'pause'\nwait = { days = 10 }\n[[steps]]\nid = 'text'\nsend = { options = [{ offers = ['winback_coupon'], channels = ['sms'] }] }";
    let engine = engine(&[journey(steps)], "");
    let mut state = engine.start(at("2021-01-01"));
    let first = run(
        &engine,
        &mut state,
        "2021-01-02",
        &[
            bought(1, "2021-01-01T12:00:00"),
            bought(2, "2021-01-01T12:00:00"),
        ],
    );
    assert!(first.log.is_empty());
    assert_eq!(first.next_due, Some(at("2021-01-31T12:00:00")));
    let second = run(&engine, &mut state, "2021-01-31T12:00:00", &[]);
    assert_eq!(
        lines(&second),
        [
            "2021-01-31T12:00:00 1 j: entered silence of 30 days",
            "2021-01-31T12:00:00 1 j.mail: sent email",
            "2021-01-31T12:00:00 2 j: entered silence of 30 days",
            "2021-01-31T12:00:00 2 j.mail: sent email",
        ]
    );
    assert_eq!(second.offers(&second.contacts[0]), ["recommendation"]);
    assert_eq!((second.contacts[0].cost, state.inside("j")), (0.01, 2));
    assert_eq!(state.step_of(1_i64, "j"), Some("pause"));
    let third = run(
        &engine,
        &mut state,
        "2021-02-11",
        &[bought(2, "2021-02-05")],
    );
    assert_eq!(
        lines(&third),
        [
            "2021-02-05 2 j: left bought",
            "2021-02-11 1 j.text: sent sms",
            "2021-02-11 1 j: left completed",
        ]
    );
}

#[test]
fn planning_ahead_dates_contacts() {
    let engine = engine(
        &[journey(ONE_EMAIL)],
        "quiet_hours = [{ from = '21:00', to = '09:00' }]",
    );
    let mut state = engine.start(at("2021-01-01"));
    run(
        &engine,
        &mut state,
        "2021-01-02",
        &[bought(1, "2021-01-01T05:30:00")],
    );
    let news = News::at(at("2021-01-31")).until(at("2021-02-01"));
    let outcome = engine.advance(&mut state, &news).unwrap();
    assert_eq!(outcome.contacts[0].at, at("2021-01-31T09:00:00"));
    assert!(lines(&outcome)[1].ends_with("held quiet_hours until 2021-01-31T09:00:00"));
}

#[test]
fn launch_finds_everyone_where_they_are_and_leaves_the_long_gone_in_peace() {
    let text = "triggers = [{ silence_days = 30, before_days = 60, start = 'a' }, { silence_days = 60, before_days = 90, start = 'b' }]\nreentry = 'at_once'\nsteps = [{ id = 'a', wait = { silence_days = 60 } }, { id = 'b', wait = { days = 5 } }]";
    let engine = engine(&[try_journey(text).unwrap()], "");
    let mut state = engine.start(at("2021-06-01"));
    let events = [
        bought(1, "2021-05-01"),
        bought(2, "2021-03-20"),
        bought(3, "2020-06-01"),
        bought(4, "2021-05-20"),
    ];
    let outcome = run(&engine, &mut state, "2021-06-01", &events);
    assert_eq!(
        lines(&outcome),
        [
            "2021-06-01 1 j: entered silence of 30 days",
            "2021-06-01 2 j: entered silence of 60 days",
        ]
    );
    // One silence opens each trigger once: 2 has left and does not come back.
    let outcome = run(&engine, &mut state, "2021-06-15", &[]);
    assert_eq!(lines(&outcome), ["2021-06-06 2 j: left completed"]);
}

#[test]
fn reentry_waits_its_time() {
    let text = "triggers = [{ silence_days = 10 }]\nreentry = { after_days = 40 }\nexits = [{ event = 'purchase' }]\nsteps = [{ id = 'a', wait = { days = 1 } }]";
    let engine = engine(&[try_journey(text).unwrap()], "");
    let mut state = engine.start(at("2021-01-01"));
    let mut entered = Vec::new();
    let purchases = [
        bought(1, "2021-01-01"),
        bought(1, "2021-01-15"),
        bought(1, "2021-02-10"),
    ];
    for (now, events) in [
        ("2021-01-14", &purchases[..1]),
        ("2021-02-09", &purchases[1..2]),
        ("2021-04-01", &purchases[2..]),
    ] {
        let outcome = run(&engine, &mut state, now, events);
        entered.extend(
            lines(&outcome)
                .into_iter()
                .filter(|l| l.contains("entered")),
        );
    }
    // The silence that began on 01-15 would open on 01-25, but not before 40 days after 01-11,
    // when it has been broken; the next one opens on 02-20, exactly 40 days after.
    assert_eq!(entered.len(), 2, "{entered:?}");
    assert!(
        entered[0].starts_with("2021-01-11 ") && entered[1].starts_with("2021-02-20 "),
        "{entered:?}"
    );
}

#[test]
fn caps_skip_hold_or_find_a_cheaper_way() {
    let send = |when: &str| {
        let options = "options = [{ offers = ['recommendation'], channels = ['sms'] }, { offers = ['recommendation'], channels = ['push'] }, { offers = ['recommendation'], channels = ['email'] }]";
        journey(&format!(
            "steps = [{{ id = 'one', send = {{ {options} }} }}, {{ id = 'two', send = {{ {options}, when_capped = '{when}' }} }}]"
        ))
    };
    let cap = "caps = [{ contacts = 1, rolling_days = 3, channels = ['sms'] }]";
    let outcome = |when: &str, hold: u32| {
        let engine = engine(&[send(when)], &format!("{cap}\nhold_at_most_days = {hold}"));
        let mut state = engine.start(at("2021-01-01"));
        run(
            &engine,
            &mut state,
            "2021-01-02",
            &[bought(1, "2021-01-01")],
        );
        let mut all = lines(&run(&engine, &mut state, "2021-01-31", &[]));
        all.extend(lines(&run(&engine, &mut state, "2021-02-10", &[])));
        all.into_iter()
            .filter(|l| l.contains("j.two"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        outcome("skip", 7),
        ["2021-01-31 1 j.two: skipped frequency_cap"]
    );
    assert_eq!(
        outcome("hold", 7),
        [
            "2021-01-31 1 j.two: held frequency_cap until 2021-02-03",
            "2021-02-10 1 j.two: sent sms",
        ]
    );
    assert_eq!(
        outcome("hold", 2),
        ["2021-01-31 1 j.two: skipped frequency_cap"]
    );
    // The dearest of the cheaper ones: e-mail costs 0.01, push 0.005.
    assert_eq!(outcome("cheaper", 7), ["2021-01-31 1 j.two: sent email"]);
}

#[test]
fn consent_suppression_and_opt_in() {
    let engine = engine(&[journey(ONE_EMAIL)], "opt_in = ['email']");
    let mut state = engine.start(at("2021-01-01"));
    let over = |e: NewEvent<'static>| e.over("email");
    let events: Vec<NewEvent<'_>> = (1..=4)
        .map(|id| bought(id, "2021-01-01T12:00:00"))
        .chain([
            over(event(2, "2021-01-02", Happening::Subscribed)),
            over(event(3, "2021-01-02", Happening::Subscribed)),
            over(event(3, "2021-01-03", Happening::Unsubscribed)),
            event(4, "2021-01-03", Happening::Unsubscribed),
        ])
        .collect();
    run(&engine, &mut state, "2021-01-04", &events);
    let outcome = run(&engine, &mut state, "2021-01-31T12:00:00", &[]);
    let decisions: Vec<String> = lines(&outcome)
        .into_iter()
        .filter(|l| l.contains("mail:"))
        .collect();
    assert_eq!(
        decisions,
        [
            "2021-01-31T12:00:00 1 j.mail: skipped no_consent",
            "2021-01-31T12:00:00 2 j.mail: sent email",
            "2021-01-31T12:00:00 3 j.mail: skipped no_consent",
        ]
    );
    let fax = [over(event(1, "2021-02-01", Happening::Subscribed)).over("fax")];
    let news = News::at(at("2021-02-01")).with_events(&fax);
    let error = engine.step(&state, &news).unwrap_err();
    assert_eq!(
        (error.kind(), error.row()),
        (ErrorKind::UnknownName, Some(0))
    );
}

#[test]
fn hold_out_walks_along_and_is_never_contacted() {
    let engine = engine(
        &[journey(ONE_EMAIL)],
        "holdout = { salt = 's', share = 0.3 }",
    );
    let mut state = engine.start(at("2021-01-01"));
    let events: Vec<NewEvent<'_>> = (0..200).map(|id| bought(id, "2021-01-01")).collect();
    run(&engine, &mut state, "2021-01-02", &events);
    let outcome = run(&engine, &mut state, "2021-01-31", &[]);
    let expected: Vec<bool> = (0..200_i64).map(|id| lot("s", id) < 0.3).collect();
    assert_eq!(state.held_out(), expected);
    let held = expected.iter().filter(|h| **h).count();
    assert_eq!(outcome.contacts.len(), 200 - held);
    assert!(outcome.contacts.iter().all(|c| !expected[c.row as usize]));
    let logged = outcome
        .log
        .iter()
        .filter(|e| matches!(e.decision, Decision::HeldOut { .. }));
    assert_eq!(logged.count(), held);
    // Entered, sent or held out, left: each customer has three lines.
    assert_eq!(outcome.log.len(), 600);
    // What was said of a customer stays said.
    let mut said = engine.start(at("2021-01-01"));
    said.hold_out(&Customers::from_ints([7]), &[true]).unwrap();
    run(&engine, &mut said, "2021-01-02", &events);
    let row = said.customers().find(7_i64).unwrap();
    assert!(said.held_out()[row]);
}

#[test]
fn capacity_goes_by_priority_and_to_everybody_in_turn() {
    let low = Journey {
        id: "low".to_owned(),
        ..journey(ONE_EMAIL)
    };
    let high = Journey {
        id: "high".to_owned(),
        priority: 9,
        triggers: vec![Trigger {
            event: Some("complaint".to_owned()),
            ..Trigger::default()
        }],
        ..journey(ONE_EMAIL)
    };
    let engine = engine(
        &[low, high],
        "capacity = { email = 3 }\nwhen_capped = 'hold'",
    );
    let mut state = engine.start(at("2021-01-01"));
    let mut events: Vec<NewEvent<'_>> = (0..5).map(|id| bought(id, "2021-01-01")).collect();
    run(&engine, &mut state, "2021-01-02", &events);
    events = vec![event(9, "2021-01-31", EventKind::Complaint)];
    let first = run(&engine, &mut state, "2021-01-31", &events);
    assert_eq!(first.contacts.len(), 3);
    assert!(
        first
            .contacts
            .iter()
            .any(|c| first.journey(c.journey) == "high")
    );
    let held: Vec<String> = lines(&first)
        .into_iter()
        .filter(|l| l.contains("held"))
        .collect();
    assert_eq!(held.len(), 3);
    assert!(
        held[0].ends_with("held capacity until 2021-02-01"),
        "{held:?}"
    );
    // Later the same day nothing is left; the next day brings the rest.
    assert!(
        run(&engine, &mut state, "2021-01-31T18:00:00", &[])
            .contacts
            .is_empty()
    );
    assert_eq!(
        run(&engine, &mut state, "2021-02-01", &[]).contacts.len(),
        3
    );
}

#[test]
fn waits_for_events_branches_and_splits() {
    let steps = "
        [[steps]]
        id = 'half'
        split = [{ share = 0.5, next = 'click' }, { share = 0.5, next = 'tier' }]
        [[steps]]
        id = 'click'
        wait = { event = 'message_clicked', days = 3, on_event = 'thanks' }
        [[steps]]
        id = 'missed'
        exit = 'no_click'
        [[steps]]
        id = 'thanks'
        exit = 'clicked'
        [[steps]]
        id = 'tier'
        branch = [{ when = \"risk_tier == 'high'\", next = 'risky' }]
        next = 'calm'
        [[steps]]
        id = 'calm'
        exit = 'calm'
        [[steps]]
        id = 'risky'
        exit = 'risky'";
    let engine = engine(&[journey(steps)], "");
    assert_eq!(engine.reads(), ["risk_tier"]);
    assert!(!engine.watches());
    let calm = Row { tier: 0, ..AT_RISK };
    let shop = Shop::new(&[AT_RISK, calm, AT_RISK, calm, AT_RISK, calm, AT_RISK, calm]);
    let facts = shop.facts();
    // The facts are as of 2011-12-10.
    let mut state = engine.start(at("2011-12-10"));
    let mut events: Vec<NewEvent<'_>> = (0..8).map(|id| bought(id, "2011-11-12")).collect();
    let missing = engine.step(&state, &News::at(at("2011-12-11")));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Misaligned);
    let early = News::at(at("2011-12-10")).with_facts(&facts);
    engine
        .advance(&mut state, &early.with_events(&events))
        .unwrap();
    events = (0..8)
        .map(|id| event(id, "2011-12-13", EventKind::MessageClicked))
        .filter(|e| e.customer < CustomerId::Int(4))
        .collect();
    let late = News::at(at("2011-12-20"))
        .with_facts(&facts)
        .with_events(&events);
    let outcome = engine.advance(&mut state, &late).unwrap();
    let left: Vec<(u32, String)> = outcome
        .log
        .iter()
        .filter(|e| matches!(e.decision, Decision::Left { .. }))
        .map(|e| (e.row, outcome.reason(e)))
        .collect();
    assert_eq!(left.len(), 8);
    for (row, reason) in left {
        let allowed: &[&str] = match row % 2 {
            0 => &["clicked", "no_click", "risky"],
            _ => &["clicked", "no_click", "calm"],
        };
        assert!(allowed.contains(&reason.as_str()), "{row} {reason}");
        assert!(reason != "clicked" || row < 4);
        assert!(reason != "no_click" || row >= 4);
    }
}

#[test]
fn facts_open_and_close() {
    let text = "triggers = [{ becomes = 'churn_probability > 0.5' }, { changes = { segmentation = 'risk_tier', to = ['high'] } }]\nexits = [{ when = \"risk_tier == 'low'\", reason = 'safe' }]\nsteps = [{ id = 'w', wait = { days = 30 } }]";
    let engine = engine(&[try_journey(text).unwrap()], "");
    assert!(engine.watches());
    let row = |churn_probability, tier| Row {
        churn_probability,
        tier,
        ..AT_RISK
    };
    let mut state = engine.start(at("2011-12-10"));
    let mut see = |rows: &[Row], now: &str| {
        let shop = Shop::new(rows);
        let facts = shop.facts();
        let news = News::at(at(now)).with_facts(&facts);
        lines(&engine.advance(&mut state, &news).unwrap())
    };
    // First sight is no change.
    assert!(see(&[row(0.9, 2), row(0.1, 0), row(0.1, 0)], "2011-12-10").is_empty());
    let outcome = see(&[row(0.9, 2), row(0.6, 1), row(0.2, 2)], "2011-12-11");
    assert_eq!(
        outcome,
        [
            "2011-12-10 1 j: entered churn_probability > 0.5",
            "2011-12-10 2 j: entered risk_tier to high",
        ]
    );
    assert!(see(&[row(0.9, 2), row(0.6, 1), row(0.2, 2)], "2011-12-11").is_empty());
    assert_eq!(
        see(&[row(0.9, 2), row(0.6, 0), row(0.2, 2)], "2011-12-12"),
        ["2011-12-11 1 j: left safe"]
    );
}

#[test]
fn late_purchases_undo_what_they_contradict() {
    let engine = engine(
        &[journey("steps = [{ id = 'w', wait = { days = 9 } }]")],
        "",
    );
    let mut state = engine.start(at("2021-01-01"));
    run(
        &engine,
        &mut state,
        "2021-02-01",
        &[bought(1, "2021-01-01T06:00:00")],
    );
    assert_eq!(state.step_of(1_i64, "j"), Some("w"));
    // Bought before the journey began, told after: the silence was none.
    let outcome = run(
        &engine,
        &mut state,
        "2021-02-02",
        &[bought(1, "2021-01-20")],
    );
    assert_eq!(lines(&outcome), ["2021-02-01 1 j: left bought"]);
}

#[test]
fn the_clock_does_not_go_back_and_the_future_is_refused() {
    let engine = engine(&[journey(ONE_EMAIL)], "");
    let state = engine.start(at("2021-01-05"));
    let error = engine
        .step(&state, &News::at(at("2021-01-04")))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "now: expected an instant not before 2021-01-05, up to which all is done, got 2021-01-04"
    );
    let events = [bought(1, "2021-01-05"), bought(1, "2021-01-07")];
    let error = engine
        .step(&state, &News::at(at("2021-01-06")).with_events(&events))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "events.time[1]: expected an instant not after 2021-01-06, got 2021-01-07"
    );
    let mixed = [
        bought(1, "2021-01-05"),
        NewEvent::new("ann", at("2021-01-05"), EventKind::View),
    ];
    assert!(
        engine
            .step(&state, &News::at(at("2021-01-06")).with_events(&mixed))
            .is_err()
    );
    let ahead = News::at(at("2021-01-06")).until(at("2021-01-05"));
    assert_eq!(engine.step(&state, &ahead).unwrap_err().what(), "until");
}

#[test]
fn states_of_another_version_and_broken_ones_are_named() {
    let engine = engine(&[journey(ONE_EMAIL)], "");
    let mut state = engine.start(at("2021-01-05"));
    run(
        &engine,
        &mut state,
        "2021-01-06",
        &[bought(1, "2021-01-05")],
    );
    let json = state.to_json().unwrap();
    assert_eq!(State::from_json(&json).unwrap(), state);
    let other = json.replacen("\"version\":1", "\"version\":0", 1);
    let error = State::from_json(&other).unwrap_err();
    assert!(
        error
            .got()
            .contains("a state of version 0, but this library reads version 1"),
        "{error}"
    );
    let broken = json.replacen("\"zone\":[0]", "\"zone\":[5]", 1);
    assert!(
        State::from_json(&broken)
            .unwrap_err()
            .got()
            .contains("state.rows.zone[0]")
    );
    let broken = json.replacen("\"refused\":[0]", "\"refused\":[]", 1);
    assert!(State::from_json(&broken).is_err());
}

#[test]
fn a_changed_journey_takes_its_customers_along() {
    let steps = |ids: &[&str]| {
        let list: Vec<String> = ids
            .iter()
            .map(|id| format!("{{ id = '{id}', wait = {{ days = 10 }} }}"))
            .collect();
        journey(&format!("steps = [{}]", list.join(", ")))
    };
    let before = engine(&[steps(&["a", "b"])], "");
    let mut state = before.start(at("2021-01-01"));
    run(
        &before,
        &mut state,
        "2021-02-01",
        &[bought(1, "2021-01-01"), bought(2, "2021-01-12")],
    );
    run(&before, &mut state, "2021-02-12", &[]);
    assert_eq!(
        (state.step_of(1_i64, "j"), state.step_of(2_i64, "j")),
        (Some("b"), Some("a"))
    );
    let other = Journey {
        id: "other".to_owned(),
        ..steps(&["x"])
    };
    let after = engine(&[other, steps(&["new", "b"])], "");
    let outcome = run(&after, &mut state, "2021-02-12", &[]);
    assert_eq!(state.step_of(1_i64, "j"), Some("b"));
    assert_eq!(state.step_of(2_i64, "j"), None);
    assert!(lines(&outcome).contains(&"2021-02-12 2 j: left step_removed".to_owned()));
    assert!(lines(&outcome).contains(&"2021-02-12 1 other: entered silence of 30 days".to_owned()));
}

#[test]
fn learning_moves_to_what_is_answered_and_logs_its_chances() {
    let steps = "steps = [{ id = 's', send = { choose = 'learned', options = [{ offers = ['recommendation'], channels = ['email'] }, { offers = ['recommendation'], channels = ['push'] }] } }]";
    let text = format!("triggers = [{{ event = 'view' }}]\nreentry = 'at_once'\n{steps}");
    let engine = engine(&[try_journey(&text).unwrap()], "");
    let mut state = engine.start(at("2021-01-01"));
    let mut push = Vec::new();
    for day in 1..60 {
        let now = at("2021-01-01").plus_days(f64::from(day));
        let views: Vec<NewEvent<'_>> = (0..100)
            .map(|i| NewEvent::new(i64::from(day) * 1000 + i, now, EventKind::View))
            .collect();
        let outcome = engine
            .advance(&mut state, &News::at(now).with_events(&views))
            .unwrap();
        assert_eq!(outcome.contacts.len(), 100);
        assert!(outcome.contacts.iter().all(|c| c.propensity >= 0.05));
        push.push(outcome.contacts.iter().filter(|c| c.option == 1).count());
        // Push is answered by every second customer, e-mail by nobody.
        let answers: Vec<NewEvent<'_>> = outcome
            .contacts
            .iter()
            .filter(|c| c.option == 1 && c.row % 2 == 0)
            .map(|c| {
                NewEvent::new(
                    outcome.customer(c.row),
                    now.plus_days(0.5),
                    EventKind::MessageClicked,
                )
                .over("push")
            })
            .collect();
        let noon = News::at(now.plus_days(0.5)).with_events(&answers);
        engine.advance(&mut state, &noon).unwrap();
        // Told twice, counted once.
        let before = state.learned();
        engine.advance(&mut state, &noon).unwrap();
        assert_eq!(state.learned(), before);
    }
    assert!(
        push[0] < 80 && push[50..].iter().all(|n| *n > 85),
        "{push:?}"
    );
    let learned = state.learned();
    assert_eq!(learned.options.len(), 2);
    assert_eq!(learned.options[0].tally.responses, 0);
    assert!(learned.to_string().contains("recommendation@push"));
}

#[test]
fn fatigue_stops_what_does_not_pay() {
    // A response is worth 1 and answered by 2 %: 0.02 − 0.01 pays, 0.8² of it less so, 0.8⁴ does not.
    let steps = "steps = [{ id = 's', send = { response_value = 1, options = [{ offers = ['recommendation'], channels = ['email'] }] } }]";
    let text = format!("triggers = [{{ event = 'view' }}]\nreentry = 'at_once'\n{steps}");
    let engine = engine(&[try_journey(&text).unwrap()], "");
    let mut state = engine.start(at("2021-01-01"));
    let mut sent = Vec::new();
    for day in 2..9 {
        let now = format!("2021-01-0{day}");
        let outcome = run(
            &engine,
            &mut state,
            &now,
            &[event(1, &now, EventKind::View)],
        );
        sent.push(lines(&outcome)[1].split(": ").last().unwrap().to_owned());
    }
    assert_eq!(
        sent,
        [
            "sent email",
            "sent email",
            "sent email",
            "sent email",
            "skipped fatigue",
            "skipped fatigue",
            "skipped fatigue"
        ]
    );
}

#[test]
fn lower_priority_gives_way() {
    let low = Journey {
        id: "low".to_owned(),
        ..journey(ONE_EMAIL)
    };
    let mut high = journey(
        "steps = [{ id = 'w', wait = { days = 3 } }, { id = 'mail', send = { options = [{ offers = ['recommendation'], channels = ['email'] }] } }]",
    );
    (high.id, high.priority) = ("high".to_owned(), 5);
    let engine = engine(&[low, high], "look_ahead_days = 7");
    let mut state = engine.start(at("2021-01-01"));
    run(
        &engine,
        &mut state,
        "2021-01-02",
        &[bought(1, "2021-01-01")],
    );
    let outcome = run(&engine, &mut state, "2021-01-31", &[]);
    assert!(lines(&outcome).contains(&"2021-01-31 1 low.mail: skipped priority".to_owned()));
}

#[test]
fn mistakes_are_found_at_load() {
    let wrong = |rest: &str| {
        let error = try_journey(rest).unwrap_err();
        (
            error.what().to_owned(),
            error.line().unwrap(),
            error.got().to_owned(),
        )
    };
    let silent = "triggers = [{ silence_days = 30 }]\n";
    let (place, line, got) = wrong(&format!(
        "{silent}steps = [\n{{ id = 'a', wait = {{ silence_days = 5 }}, next = 'b' }},\n{{ id = 'b', branch = [{{ when = 'orders > 1', next = 'a' }}] }}]"
    ));
    assert_eq!((place.as_str(), line), ("journey.steps[0]", 6));
    assert_eq!(got, "the cycle a, b without one");
    let (place, _, got) = wrong(&format!(
        "{silent}steps = [{{ id = 'a', exit = 'x' }}, {{ id = 'b', exit = 'y' }}]"
    ));
    assert_eq!(
        (place.as_str(), got.as_str()),
        ("journey.steps[1]", "\"b\", which nothing leads to")
    );
    for (rest, expected) in [
        (
            "steps = [{ id = 'a', wait = { days = 0 } }]",
            "journey.steps[0].wait",
        ),
        (
            "steps = [{ id = 'a', wait = { days = 1, at = '25:00' } }]",
            "journey.steps[0].wait.at",
        ),
        (
            "steps = [{ id = 'a', wait = { days = 1 }, exit = 'x' }]",
            "journey.steps[0]",
        ),
        (
            "steps = [{ id = 'a', wait = { event = 'purchased', days = 1 } }]",
            "journey.steps[0].wait.event",
        ),
        (
            "steps = [{ id = 'a', wait = { days = 1 }, next = 'z' }]",
            "journey.steps[0].next",
        ),
        (
            "steps = [{ id = 'a', split = [{ share = 0.5, next = 'b' }] }, { id = 'b', exit = 'x' }]",
            "journey.steps[0].split",
        ),
        (
            "steps = [{ id = 'a', send = { options = [{ offers = ['gold'], channels = ['sms'] }] } }]",
            "journey.steps[0].send.options[0].offers[0]",
        ),
        (
            "steps = [{ id = 'a', send = { response_value = -1, options = [{ offers = ['bonus_points'], channels = ['sms'] }] } }]",
            "journey.steps[0].send.response_value",
        ),
        (
            "steps = [{ id = 'a', send = { options = [{ offers = ['high_value_coupon', 'winback_coupon'], channels = ['sms'] }] } }]",
            "journey.steps[0].send.options[0].offers",
        ),
        (
            "steps = [{ id = 'a', exit = 'x' }, { id = 'a', exit = 'y' }]",
            "journey.steps[1].id",
        ),
        (
            "exits = [{ when = 'ordres > 1' }]\nsteps = [{ id = 'a', exit = 'x' }]",
            "journey.exits[0].when",
        ),
        (
            "at_most_days = 0\nsteps = [{ id = 'a', exit = 'x' }]",
            "journey.at_most_days",
        ),
        ("steps = []", "journey.steps"),
    ] {
        assert_eq!(wrong(&format!("{silent}{rest}")).0, expected);
    }
    for (trigger, expected) in [
        ("{}", "journey.triggers[0]"),
        ("{ silence_days = 0 }", "journey.triggers[0].silence_days"),
        (
            "{ silence_days = 9, before_days = 9 }",
            "journey.triggers[0].before_days",
        ),
        (
            "{ event = 'view', silence_days = 1 }",
            "journey.triggers[0]",
        ),
        ("{ event = 'view', before_days = 1 }", "journey.triggers[0]"),
        (
            "{ changes = { segmentation = 'risk_tier', to = ['hihg'] } }",
            "journey.triggers[0].changes.to[0]",
        ),
        (
            "{ changes = { segmentation = 'risk_tier', from = ['high'], to = ['high'] } }",
            "journey.triggers[0].changes",
        ),
        (
            "{ event = 'view', start = 'z' }",
            "journey.triggers[0].start",
        ),
    ] {
        let rest = format!("triggers = [{trigger}]\nsteps = [{{ id = 'a', exit = 'x' }}]");
        assert_eq!(wrong(&rest).0, expected, "{trigger}");
    }
    let error = try_journey("triggers = []\nstep = []").unwrap_err();
    assert!(
        error.got().contains("unknown field `step`") && error.line() == Some(5),
        "{error}"
    );
}

#[test]
fn the_default_journey_round_trips() {
    let mut features = crate::strategy::testing::features();
    features.extend(
        ["activity", "days_since_last_activity"]
            .map(|n| crate::features::FeatureInfo::new(n, "", "").undefined("NaN")),
    );
    let vocabulary = crate::strategy::testing::SEGMENTATIONS.iter().fold(
        crate::strategy::Vocabulary::new()
            .with_features(&features)
            .unwrap(),
        |v, (name, labels)| v.with_segmentation(name, labels).unwrap(),
    );
    let journey = Journey::default_for(&playbook(), &vocabulary).unwrap();
    let (toml, json) = (journey.to_toml().unwrap(), journey.to_json().unwrap());
    assert_eq!(
        Journey::from_toml(&toml, &playbook(), &vocabulary).unwrap(),
        journey
    );
    assert_eq!(
        Journey::from_json(&json, &playbook(), &vocabulary).unwrap(),
        journey
    );
    let error = Journey::default_for(&playbook(), &self::vocabulary()).unwrap_err();
    assert_eq!(error.what(), "journey.steps[2].branch[0].when");
    let policy = ContactPolicy::default_for(&playbook()).unwrap();
    let settings = LearningSettings::default();
    Engine::new(&[journey], &policy, &settings, &playbook(), &vocabulary).unwrap();
}

/// A journey with every kind of step, over two channels.
fn rich() -> Vec<Journey> {
    let rich = "
        triggers = [{ silence_days = 20, before_days = 90 }, { event = 'complaint', start = 'sorry' }]
        reentry = { after_days = 30 }
        exits = [{ event = 'purchase' }, { event = 'unsubscribed' }]
        at_most_days = 60
        [[steps]]
        id = 'mail'
        send = { options = [{ offers = ['recommendation'], channels = ['email'] }, { offers = ['recommendation'], channels = ['push'] }], when_capped = 'hold' }
        [[steps]]
        id = 'click'
        wait = { event = 'message_clicked', days = 5, hours = 7, on_event = 'again' }
        [[steps]]
        id = 'split'
        split = [{ share = 0.4, next = 'morning' }, { share = 0.6, next = 'again' }]
        [[steps]]
        id = 'morning'
        wait = { days = 2, at = '09:30' }
        [[steps]]
        id = 'again'
        send = { options = [{ offers = ['winback_coupon'], channels = ['sms'] }, { offers = ['winback_coupon'], channels = ['email'] }], when_capped = 'cheaper' }
        [[steps]]
        id = 'late'
        wait = { silence_days = 45 }
        [[steps]]
        id = 'sorry'
        send = { options = [{ offers = ['bonus_points'], channels = ['email'] }] }";
    let second = "
        triggers = [{ silence_days = 25 }]
        reentry = 'at_once'
        exits = [{ event = 'purchase' }]
        priority = 3
        steps = [{ id = 'text', send = { options = [{ offers = ['bonus_points'], channels = ['sms'] }], when_capped = 'hold', hold_at_most_days = 30 } }]";
    let second = Journey {
        id: "second".to_owned(),
        ..try_journey(second).unwrap()
    };
    vec![try_journey(rich).unwrap(), second]
}

const STRICT: &str = "
    zone = 'Europe/Berlin'
    caps = [{ contacts = 1, calendar_days = 1 }, { contacts = 2, rolling_days = 7 }, { contacts = 1, rolling_hours = 100, channels = ['sms'] }]
    quiet_hours = [{ from = '21:00', to = '08:30' }, { from = '00:00', to = '00:00', days = ['sunday'] }]
    cool_down_after_complaint_days = 2
    look_ahead_days = 2
    holdout = { salt = 'x', share = 0.2 }";

const START: &str = "2021-03-01";
const HOUR: i64 = 3_600_000_000;

fn hours(h: i64) -> Timestamp {
    Timestamp::from_micros(at(START).micros() + h * HOUR).unwrap()
}

/// Events of eight customers over 120 days, in order of time.
fn events() -> impl Strategy<Value = Vec<NewEvent<'static>>> {
    let kinds = prop_oneof![
        4 => Just(Happening::Event(EventKind::Purchase)),
        1 => Just(Happening::Event(EventKind::Complaint)),
        2 => Just(Happening::Event(EventKind::MessageClicked)),
        1 => Just(Happening::Unsubscribed),
        1 => Just(Happening::Subscribed),
    ];
    let one = (0_i64..8, 0_i64..120 * 24, kinds, any::<bool>());
    prop::collection::vec(one, 0..60).prop_map(|list| {
        let mut events: Vec<NewEvent<'static>> = list
            .into_iter()
            .map(|(id, hour, kind, over)| {
                let event = NewEvent::new(id, hours(hour), kind);
                if over { event.over("email") } else { event }
            })
            .collect();
        events.extend((0..8).map(|id| NewEvent::new(id, hours(id), EventKind::Purchase)));
        events.sort_by_key(|event| event.time);
        events
    })
}

/// Instants (hours) at which the engine steps, ending at day 120.
fn cuts() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::btree_set(1_i64..120 * 24, 0..40)
        .prop_map(|set| set.into_iter().chain([120 * 24]).collect())
}

fn between(events: &[NewEvent<'static>], from: Timestamp, to: Timestamp) -> Vec<NewEvent<'static>> {
    events
        .iter()
        .filter(|e| from < e.time && e.time <= to || e.time == at(START) && from == at(START))
        .copied()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A crash between any two steps changes nothing, nor does a step done twice, nor the order of
    /// the events, nor events told twice.
    #[test]
    fn stored_repeated_shuffled_and_doubled(events in events(), cuts in cuts(), zones in any::<bool>()) {
        let engine = engine(&rich(), STRICT);
        let mut state = engine.start(at(START));
        if zones {
            let customers = Customers::from_ints([1, 2, 3]);
            state.set_zones(&customers, &["Asia/Shanghai", "America/Sao_Paulo", "UTC"]).unwrap();
        }
        let mut clock = at(START);
        for cut in cuts {
            let now = hours(cut);
            let news = between(&events, clock, now);
            let (next, outcome) = engine.step(&state, &News::at(now).with_events(&news)).unwrap();
            let mut reversed: Vec<_> = news.iter().rev().copied().collect();
            reversed.extend(&news);
            let stored = State::from_json(&state.to_json().unwrap()).unwrap();
            let (again, same) = engine.step(&stored, &News::at(now).with_events(&reversed)).unwrap();
            prop_assert_eq!(&same, &outcome);
            prop_assert_eq!(&again, &next);
            let (twice, nothing) = engine.step(&next, &News::at(now).with_events(&news)).unwrap();
            prop_assert!(nothing.log.is_empty() && nothing.contacts.is_empty(), "{:?}", lines(&nothing));
            prop_assert_eq!(&twice, &next);
            (state, clock) = (next, now);
        }
    }

    /// Planning ahead, contacts do not depend on where the span was cut.
    #[test]
    fn cuts_do_not_matter_when_planning(events in events(), cuts in cuts(), more in cuts()) {
        let engine = engine(&rich(), STRICT);
        let run = |cuts: &[i64]| {
            let mut state = engine.start(at(START));
            let mut log = Vec::new();
            let mut clock = at(START);
            for cut in cuts {
                let until = hours(*cut);
                let news = between(&events, clock, until);
                let step = News::at(clock).until(until).with_events(&news);
                let outcome = engine.advance(&mut state, &step).unwrap();
                log.extend(lines(&outcome));
                clock = until;
            }
            // Answers are closed by now, not ahead.
            engine.advance(&mut state, &News::at(clock)).unwrap();
            log.sort();
            (state, log)
        };
        let (one, log) = run(&cuts);
        let (other, same) = run(&more);
        prop_assert_eq!(log, same);
        prop_assert_eq!(one, other);
    }

    /// The policy holds whatever happens, and capacities too.
    #[test]
    fn nobody_is_contacted_against_the_policy(events in events(), cuts in cuts()) {
        let text = format!("{STRICT}\n[capacity]\nemail = 2\nsms = 1");
        let engine = engine(&rich(), &text);
        let mut state = engine.start(at(START));
        let mut clock = at(START);
        let mut made: Vec<(i64, i64, Vec<String>)> = Vec::new();
        for cut in cuts {
            let now = hours(cut);
            let news = between(&events, clock, now);
            let outcome = engine.advance(&mut state, &News::at(now).with_events(&news)).unwrap();
            for contact in &outcome.contacts {
                let CustomerId::Int(id) = outcome.customer(contact.row) else { unreachable!() };
                prop_assert!(lot("x", id) >= 0.2);
                let channels = outcome.channels(contact.journey, contact.step, contact.option);
                made.push((id, contact.at.micros(), channels.iter().map(|c| (*c).to_owned()).collect()));
                prop_assert_eq!(contact.at, now);
            }
            clock = now;
        }
        let berlin = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let local = |at: i64| berlin.to_datetime(jiff::Timestamp::from_microsecond(at).unwrap());
        for (i, (id, at, channels)) in made.iter().enumerate() {
            let clock = local(*at);
            prop_assert!((8 * 60 + 30..21 * 60).contains(&(i32::from(clock.hour()) * 60 + i32::from(clock.minute()))), "{clock}");
            prop_assert!(clock.date().weekday() != jiff::civil::Weekday::Sunday);
            let before = || made[..i].iter().filter(|m| m.0 == *id);
            prop_assert!(before().all(|m| local(m.1).date() != clock.date()));
            prop_assert!(before().filter(|m| m.1 > at - 7 * 24 * HOUR).count() < 2);
            let sms = "sms".to_owned();
            prop_assert!(!channels.contains(&sms) || before().all(|m| !m.2.contains(&sms) || m.1 <= at - 100 * HOUR));
            for (channel, most) in [("email", 2), ("sms", 1)] {
                let uses = |m: &&(i64, i64, Vec<String>)| m.2.iter().any(|c| c == channel) && local(m.1).date() == clock.date();
                prop_assert!(made.iter().filter(uses).count() <= most);
            }
        }
    }
}

/// One thread and many give the same, over several chunks of customers.
#[test]
fn threads_do_not_matter() {
    let text = format!("{STRICT}\nwhen_capped = 'hold'\n[capacity]\nemail = 700");
    let engine = engine(&rich(), &text);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut state = engine.start(at(START));
            let events: Vec<NewEvent<'_>> = (0..9_000)
                .map(|id| NewEvent::new(id, hours(id % 48), EventKind::Purchase))
                .collect();
            let mut all = Vec::new();
            engine
                .advance(&mut state, &News::at(hours(48)).with_events(&events))
                .unwrap();
            for day in 3..40 {
                let outcome = engine
                    .advance(&mut state, &News::at(hours(day * 24 + 11)))
                    .unwrap();
                all.push(outcome);
            }
            (state, all)
        })
    };
    let (one, many) = (run(1), run(4));
    assert!(one.1.iter().any(|o| !o.contacts.is_empty()));
    assert!(one == many);
}

/// The facts of a step may lack customers, and conditions do not hold for those.
#[test]
fn nobody_is_contacted_because_something_is_not_known() {
    let steps = "steps = [{ id = 'call', send = { options = [{ offers = ['recommendation'], channels = ['phone'] }] } }]";
    let engine = engine(&[journey(steps)], "");
    assert_eq!(engine.reads(), ["monetary_score", "rfm_segment"]);
    let rich = Row {
        monetary_score: 5.0,
        ..AT_RISK
    };
    let shop = Shop::new(&[rich, AT_RISK]);
    let facts: Facts<'_> = shop.facts();
    let mut state = engine.start(at("2011-12-10"));
    let events: Vec<NewEvent<'_>> = (0..3).map(|id| bought(id, "2011-11-10")).collect();
    let attention = engine.attention(&state, at("2011-12-10"), &events);
    assert_eq!(attention.len(), 3);
    let news = News::at(at("2011-12-10"))
        .with_facts(&facts)
        .with_events(&events);
    let outcome = engine.advance(&mut state, &news).unwrap();
    let decisions: Vec<String> = lines(&outcome)
        .into_iter()
        .filter(|l| l.contains("call"))
        .collect();
    assert_eq!(
        decisions,
        [
            "2011-12-10 0 j.call: sent phone",
            "2011-12-10 1 j.call: skipped not_open",
            "2011-12-10 2 j.call: skipped not_open",
        ]
    );
}
