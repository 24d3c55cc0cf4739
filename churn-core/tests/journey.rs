//! Replays compute only what decisions read, for the customers concerned; that must not show.

use churn_core::events::Cleaning;
use churn_core::features::{Population, build_with};
use churn_core::journey::{News, events_between};
use churn_core::progress::Progress;
use churn_core::segments;
use churn_core::simulate::Shop;
use churn_core::strategy::Facts;
use churn_core::winback::{JourneySettings, WinBackSettings};
use churn_core::{AsOf, EventLog, Timestamp};

const WATCHING: &str = r#"
version = 1
id = "watching"
name = { en = "Watching", zh = "观察" }
priority = 60
triggers = [
    { becomes = "overdue_p80_days <= 0", when = "orders >= 2" },
    { changes = { segmentation = "risk_tier", to = ["high"] } },
    { event = "complaint", when = "lifecycle != 'lost'" },
]
reentry = { after_days = 20 }
exits = [{ event = "purchase" }, { when = "risk_tier == 'low'", reason = "safe" }]
steps = [
    { id = "hello", send = { options = [{ offers = ["tailored_offer"], channels = ["push"] }] } },
    { id = "rest", wait = { days = 5 } },
]
"#;

/// The same days by hand: everything about everybody.
fn by_hand(log: &EventLog, settings: &JourneySettings, from: AsOf, days: i64) -> Vec<String> {
    let whole = WinBackSettings::default();
    let engine = whole.engine(log.channels(), settings).unwrap();
    let population = Population::fit(&log.history(from), &whole.features).unwrap();
    let mut state = engine.begin(&log.history(from)).unwrap();
    let mut lines = Vec::new();
    for day in 0..days {
        let now = from.instant().plus_days(day as f64);
        let next = from.instant().plus_days((day + 1) as f64);
        let history = log.history(AsOf::new(now));
        let quiet = Progress::none();
        let features = build_with(&history, &whole.features, &population, &quiet).unwrap();
        let scores = whole.scorecard.score(&features).unwrap();
        let tiers = whole.risk_tiers.assign(&scores).unwrap();
        let grid = whole.grid.assign(&features).unwrap();
        let stages = segments::lifecycle(&features).unwrap();
        let facts = Facts::new(&features, &scores, &[&tiers, &grid, &stages]).unwrap();
        let events = events_between(log, &engine, now, next);
        let until = Timestamp::from_micros(next.micros() - 1).unwrap();
        let news = News::at(now)
            .until(until)
            .with_events(&events)
            .with_facts(&facts);
        let outcome = engine.advance(&mut state, &news).unwrap();
        lines.extend(outcome.log.iter().map(|entry| outcome.line(entry)));
    }
    lines
}

#[test]
fn what_a_replay_leaves_out_does_not_show() {
    let shop = Shop {
        customers: 400,
        seed: 9,
        ..Shop::default()
    };
    let shop = shop.open().unwrap();
    let log = EventLog::from_columns(&shop.columns(), &Cleaning::default()).unwrap();
    let from = AsOf::parse("2023-03-01").unwrap();
    let days = 100;
    let to = AsOf::new(from.instant().plus_days(days as f64));
    let watching = format!("{{\"toml\": {}}}", serde_json::to_string(WATCHING).unwrap());
    for journeys in [
        "[\"default\"]".to_owned(),
        format!("[\"default\", {watching}]"),
    ] {
        let text = format!("{{\"journeys\": {journeys}}}");
        let settings: JourneySettings = churn_core::settings::from_json("journeys", &text).unwrap();
        let whole = WinBackSettings::default();
        let replay = whole
            .replay(&log, from, to, &settings, &Progress::none())
            .unwrap();
        let log_of = &replay.outcome;
        let lines: Vec<String> = log_of.log.iter().map(|entry| log_of.line(entry)).collect();
        assert!(replay.contacts() > 50, "{}", replay.calendar(10));
        assert_eq!(lines, by_hand(&log, &settings, from, days));
        let held_out = replay.state.held_out();
        assert!(log_of.contacts.iter().all(|c| !held_out[c.row as usize]));
    }
}
