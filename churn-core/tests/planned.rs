//! From a plan through journeys to the report: who is held out is the same in both, and what the plan
//! says is what journeys do.

use churn_core::error::ErrorKind;
use churn_core::evaluation::{IncrementalSettings, JourneyExposures};
use churn_core::events::Cleaning;
use churn_core::journey::{Decision, Holdout, Rejection, Replay};
use churn_core::progress::Progress;
use churn_core::simulate::Shop;
use churn_core::strategy::{NoAction, OptimizeSettings, Plan};
use churn_core::time::MICROS_PER_DAY;
use churn_core::winback::{JourneySettings, JourneySource, PolicySource, WinBack, WinBackSettings};
use churn_core::{AsOf, EventLog, Horizon, Timestamp};

const POLICY: &str = "version = 1\nholdout = { salt = 'plan', share = 0.2 }\n";

fn holdout() -> Holdout {
    Holdout {
        salt: "plan".to_owned(),
        share: 0.2,
    }
}

/// Everybody silent for 20 days gets what the plan says.
fn journey(options: &str) -> String {
    format!(
        r#"
version = 1
id = "as_planned"
name = {{ en = "As planned", zh = "按计划" }}
triggers = [{{ silence_days = 20 }}]
exits = [{{ event = "purchase", reason = "bought" }}]
steps = [{{ id = "planned", send = {{ planned = true{options} }} }}]
"#
    )
}

fn log() -> (EventLog, AsOf) {
    let settings = Shop {
        customers: 1_500,
        ..Shop::default()
    };
    let shop = settings.open().unwrap();
    let log = EventLog::from_columns(&shop.columns(), &Cleaning::strict()).unwrap();
    let day = shop.end.micros() / MICROS_PER_DAY - 60;
    let as_of = Timestamp::from_micros(day * MICROS_PER_DAY).unwrap();
    (log, AsOf::new(as_of))
}

fn settings(budget: f64) -> WinBackSettings {
    let mut optimize = OptimizeSettings::default();
    optimize.constraints.budget = Some(budget);
    optimize.constraints.hold_out_by = Some(holdout());
    WinBackSettings {
        optimize: Some(optimize),
        ..WinBackSettings::default()
    }
}

fn run(
    log: &EventLog,
    from: AsOf,
    whole: &WinBackSettings,
    options: &str,
    plans: &[&Plan],
) -> Replay {
    let journeys = JourneySettings {
        journeys: vec![JourneySource::Toml(journey(options))],
        policy: PolicySource::Toml(POLICY.to_owned()),
        ..JourneySettings::default()
    };
    let to = AsOf::new(from.instant().plus_days(30.0));
    whole
        .replay_planned(log, from, to, &journeys, plans, &Progress::none())
        .unwrap()
}

#[test]
fn journeys_do_what_the_plan_says_and_leave_the_same_customers_alone() {
    let (log, as_of) = log();
    let whole = settings(400.0);
    let plan = WinBack::run(&log, as_of, &whole, &Progress::none())
        .unwrap()
        .plan;
    let replay = run(&log, as_of, &whole, "", &[&plan]);
    let outcome = &replay.outcome;
    let row = |customer: u32| plan.customers().find(outcome.customer(customer));
    let mut seen = [0; 3];
    for entry in &outcome.log {
        let intended = row(entry.row).and_then(|row| plan.intended(row));
        let held = holdout().contains(outcome.customer(entry.row));
        let (journey, step) = (entry.journey, entry.step.unwrap_or(0));
        match entry.decision {
            Decision::Sent {
                option, propensity, ..
            }
            | Decision::HeldOut {
                option, propensity, ..
            } => {
                let (_, channels, _) = intended.expect("an intention");
                assert_eq!(outcome.channels(journey, step, option), channels);
                assert!(outcome.is_planned(journey, step, option));
                assert_eq!(propensity, 1.0);
                assert_eq!(matches!(entry.decision, Decision::HeldOut { .. }), held);
                let none = plan.no_action(row(entry.row).unwrap());
                assert_eq!(none, held.then_some(NoAction::HeldOut));
                seen[usize::from(held)] += 1;
            }
            Decision::Skipped { reason } => {
                // Not planned, or not open any more: conditions follow today's facts.
                let expected = if intended.is_some() {
                    Rejection::NotOpen
                } else {
                    Rejection::NotPlanned
                };
                assert_eq!(reason, expected);
                seen[2] += 1;
            }
            _ => {}
        }
    }
    assert!(seen[0] > 30 && seen[1] > 5 && seen[2] > 30, "{seen:?}");
    for contact in &outcome.contacts {
        let (_, _, offers) = plan.intended(row(contact.row).unwrap()).unwrap();
        let planned: Vec<&str> = offers.iter().map(|offer| offer.id.as_str()).collect();
        let given = outcome.offers(contact);
        assert!(!given.is_empty() && given.iter().all(|offer| planned.contains(offer)));
    }
    // Those held out cost the plan nothing, and are as many as the share says among the intended.
    let held = seen[1] as f64 / (seen[0] + seen[1]) as f64;
    assert!((held - 0.2).abs() < 0.15, "{held}");
    let exposures = JourneyExposures::new(&[outcome]).unwrap();
    let report = exposures
        .report(
            &log,
            Horizon::days(20).unwrap(),
            None,
            &IncrementalSettings::default(),
        )
        .unwrap();
    assert_eq!(
        report.contacted + report.held_out + report.open,
        seen[0] + seen[1]
    );
    assert!(!report.sample_ratio.unwrap().mismatch);
    // The same replay again, and after a state was stored, is the same.
    assert_eq!(
        run(&log, as_of, &whole, "", &[&plan]).outcome.log,
        outcome.log
    );
}

#[test]
fn without_limits_the_held_out_are_meant_exactly_what_others_get() {
    let (log, as_of) = log();
    let mut whole = settings(400.0);
    let limits = &mut whole.optimize.as_mut().unwrap().constraints;
    limits.budget = None;
    let held = WinBack::run(&log, as_of, &whole, &Progress::none())
        .unwrap()
        .plan;
    whole.optimize.as_mut().unwrap().constraints.hold_out_by = None;
    let all = WinBack::run(&log, as_of, &whole, &Progress::none())
        .unwrap()
        .plan;
    let meant = |plan: &Plan, row| {
        plan.intended(row).map(|(action, channels, offers)| {
            let offers: Vec<String> = offers.iter().map(|offer| offer.id.clone()).collect();
            (action.id.clone(), channels.to_vec(), offers)
        })
    };
    let mut left_alone = 0;
    for row in 0..all.customers().len() {
        assert_eq!(meant(&held, row), meant(&all, row));
        let alone = holdout().contains(all.customers().get(row));
        assert_eq!(held.no_action(row) == Some(NoAction::HeldOut), alone);
        left_alone += usize::from(alone && all.action(row).is_some());
    }
    assert!(left_alone > 20, "{left_alone}");
}

#[test]
fn without_a_plan_the_options_stand_in() {
    let (log, as_of) = log();
    let whole = settings(400.0);
    let skipped = run(&log, as_of, &whole, "", &[]);
    assert_eq!(skipped.contacts(), 0);
    let not_planned = |replay: &Replay| {
        let back = replay.held_back();
        back.iter()
            .filter(|b| b.rule == Rejection::NotPlanned)
            .map(|b| b.dropped)
            .sum::<u64>()
    };
    assert!(not_planned(&skipped) > 100);
    let options = r#", options = [{ offers = ["recommendation"], channels = ["email"] }]"#;
    let plain = run(&log, as_of, &whole, options, &[]);
    assert!(plain.contacts() > 100 && not_planned(&plain) == 0);
    assert!(
        plain
            .outcome
            .contacts
            .iter()
            .all(|c| !plain.outcome.is_planned(0, 0, c.option))
    );
    // With a plan, both: the plan's where it means something, the option for the others.
    let plan = WinBack::run(&log, as_of, &whole, &Progress::none())
        .unwrap()
        .plan;
    let both = run(&log, as_of, &whole, options, &[&plan]);
    assert_eq!(both.contacts(), plain.contacts());
    let planned = both
        .outcome
        .contacts
        .iter()
        .filter(|c| both.outcome.is_planned(0, 0, c.option));
    assert!((1..both.contacts() as usize).contains(&planned.count()));
    // A plan is in force from its own instant on.
    let later = WinBack::run(
        &log,
        AsOf::new(as_of.instant().plus_days(40.0)),
        &whole,
        &Progress::none(),
    );
    let early = run(&log, as_of, &whole, options, &[&later.unwrap().plan]);
    assert_eq!(early.outcome.contacts, plain.outcome.contacts);
}

#[test]
fn a_plan_of_another_playbook_is_refused() {
    let (log, as_of) = log();
    let whole = settings(400.0);
    let mut other = whole.clone();
    let text = churn_core::strategy::Playbook::DEFAULT_TOML.replace("cost = 50\n", "cost = 40\n");
    other.playbook = churn_core::winback::PlaybookSource::Toml(text);
    let plan = WinBack::run(&log, as_of, &other, &Progress::none())
        .unwrap()
        .plan;
    let journeys = JourneySettings {
        journeys: vec![JourneySource::Toml(journey(""))],
        policy: PolicySource::None,
        ..JourneySettings::default()
    };
    let to = AsOf::new(as_of.instant().plus_days(3.0));
    let error = whole
        .replay_planned(&log, as_of, to, &journeys, &[&plan], &Progress::none())
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.what()),
        (ErrorKind::Misaligned, "plan.playbook")
    );
    assert!(
        error.to_string().ends_with("got one with other offers"),
        "{error}"
    );
    let nothing = JourneySource::Toml(journey("").replace("planned = true", "options = []"));
    let journeys = JourneySettings {
        journeys: vec![nothing],
        ..journeys
    };
    let error = whole.load_journeys(log.channels(), &journeys).unwrap_err();
    assert_eq!(error.what(), "journey.steps[0].send.options");
}
