//! How fast the journey engine steps a shop through its days, and how large its state is.
//!
//! A shop of silent and buying customers walks through the default journey under the default policy
//! with a capacity for SMS, facts about everybody given anew each day; then through one journey
//! without conditions. Prints seconds per day, steps per second and bytes of state per customer.
//!
//! `cargo run -p churn-benches --release --bin journey -- --customers 1000000 --days 120`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::process::ExitCode;

use churn_benches::measure::{argument, machine, measure, refuse_unknown_arguments};
use churn_core::events::EventKind;
use churn_core::features::{FeatureInfo, FeatureTable};
use churn_core::journey::{
    ContactPolicy, Engine, Journey, LearningSettings, NewEvent, News, State, lot,
};
use churn_core::scoring::Scores;
use churn_core::segments::Segments;
use churn_core::strategy::{Facts, Playbook};
use churn_core::{AsOf, Customers, Horizon, Timestamp};

const PLAIN: &str = r#"
version = 1
id = "plain"
name = { en = "Plain", zh = "简单" }
triggers = [{ silence_days = 30, before_days = 60 }]
reentry = "at_once"
exits = [{ event = "purchase", reason = "bought" }]
steps = [
    { id = "one", send = { options = [{ offers = ["recommendation"], channels = ["email"] }] } },
    { id = "wait", wait = { days = 10, at = "09:00" } },
    { id = "two", send = { options = [{ offers = ["winback_coupon"], channels = ["sms"] }] } },
]
"#;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("journey: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    refuse_unknown_arguments(&["customers", "days", "threads"])?;
    let customers: u32 = argument("customers", 100_000)?;
    let days: u32 = argument("days", 120)?;
    let threads: usize = argument("threads", 2)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| error.to_string())?;
    println!("machine: {}", machine());
    println!("{customers} customers, {days} days, {threads} threads");
    shop(customers, days).map_err(|error| error.to_string())
}

fn day(day: u32, share: f64) -> churn_core::Result<Timestamp> {
    Timestamp::from_micros(
        (i64::from(18_000 + day) * 86_400 + (share * 86_400.0) as i64) * 1_000_000,
    )
}

fn shop(customers: u32, days: u32) -> churn_core::Result<()> {
    let ids = Customers::from_ints((0..customers).map(i64::from));
    let uniform = |salt: &str| -> Vec<f64> { ids.iter().map(|id| lot(salt, id)).collect() };
    let (activity, tier) = (uniform("activity"), uniform("tier"));
    let names = [
        "orders",
        "monetary_score",
        "activity",
        "days_since_last_activity",
    ];
    let infos: Vec<FeatureInfo> = names
        .map(|name| FeatureInfo::new(name, "count", ""))
        .to_vec();
    let values: Vec<f64> = std::iter::repeat_n(3.0, ids.len())
        .chain(std::iter::repeat_n(3.0, ids.len()))
        .chain(activity.iter().map(|a| a * 10.0))
        .chain(std::iter::repeat_n(5.0, ids.len()))
        .collect();
    let as_of = AsOf::new(day(0, 0.0)?);
    let table = FeatureTable::from_columns(ids.clone(), as_of, infos, values)?;
    let horizon = Horizon::days(90)?;
    let scores = Scores::new(ids.clone(), as_of, horizon, tier.clone(), vec![], vec![])?;
    let group = |name: &str, labels: &[&str], codes: Vec<u32>| {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        Segments::new(name, ids.clone(), as_of, labels, codes)
    };
    let tiers = tier.iter().map(|t| (t * 3.0) as u32).collect();
    let tiers = group("risk_tier", &["low", "medium", "high"], tiers)?;
    let rfm = group("rfm_segment", &["cant_lose", "others"], vec![1; ids.len()])?;
    let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
    let playbook = Playbook::default_for(facts.vocabulary())?;
    let mut policy = ContactPolicy::default_for(&playbook)?;
    policy
        .capacity
        .insert("sms".to_owned(), u64::from(customers / 100).max(1));
    let learning = LearningSettings {
        segmentation: Some("risk_tier".to_owned()),
        ..LearningSettings::default()
    };
    let default = Journey::default_for(&playbook, facts.vocabulary())?;
    let rich = Engine::new(
        &[default],
        &policy,
        &learning,
        &playbook,
        facts.vocabulary(),
    )?;
    let plain = Journey::from_toml(PLAIN, &playbook, facts.vocabulary())?;
    let none = ContactPolicy::default();
    let quick = LearningSettings::default();
    let simple = Engine::new(&[plain], &none, &quick, &playbook, facts.vocabulary())?;
    walk(
        "default journey and policy, facts, capacity",
        &rich,
        Some(&facts),
        &ids,
        days,
    )?;
    walk(
        "plain journey, no policy, no facts",
        &simple,
        None,
        &ids,
        days,
    )
}

fn walk(
    name: &str,
    engine: &Engine,
    facts: Option<&Facts<'_>>,
    ids: &Customers,
    days: u32,
) -> churn_core::Result<()> {
    let mut state = engine.start(day(0, 0.0)?);
    // Everybody bought once in the last 150 days: told at once, as a late delivery.
    let mut first = Vec::with_capacity(ids.len());
    for id in ids.iter() {
        let ago = lot("ago", id) * 150.0;
        let time = day(0, 0.0)?.plus_days(-ago);
        first.push(NewEvent::new(id, time, EventKind::Purchase));
    }
    let tell = |state: &mut State, now: Timestamp, until: Timestamp, events: &[NewEvent<'_>]| {
        let mut news = News::at(now).until(until).with_events(events);
        news.facts = facts;
        engine.advance(state, &news)
    };
    let now = day(0, 0.0)?;
    let (outcome, cost) = measure(|| tell(&mut state, now, now, &first));
    let launched = outcome?.log.len();
    println!("\n{name}");
    println!(
        "  launch with {} events: {:.2} s, {launched} decisions",
        first.len(),
        cost.wall
    );
    let (mut seconds, mut contacts, mut decisions) = (Vec::new(), 0, 0);
    for d in 0..days {
        let (from, to) = (day(d, 0.0)?, day(d + 1, 0.0)?);
        let salt = format!("day {d}");
        let mut events = Vec::new();
        for id in ids.iter() {
            let lot = lot(&salt, id);
            if lot < 0.01 {
                let time = day(d, lot * 100.0)?;
                events.push(NewEvent::new(id, time, EventKind::Purchase));
            }
        }
        let (outcome, cost) = measure(|| tell(&mut state, from, to, &events));
        let outcome = outcome?;
        contacts += outcome.contacts.len();
        decisions += outcome.log.len();
        seconds.push((cost.wall, cost.cpu.unwrap_or(cost.wall)));
    }
    assert!(contacts > 0 && state.customers().len() == ids.len());
    seconds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, worst) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
    println!(
        "  one day: median {:.3} s ({:.3} s of processor), worst {:.3} s; {:.1} M customers/s; {:.1} k contacts and {:.1} k decisions a day",
        median.0,
        median.1,
        worst.0,
        ids.len() as f64 / median.0 / 1e6,
        contacts as f64 / f64::from(days) / 1e3,
        decisions as f64 / f64::from(days) / 1e3,
    );
    let json = state.to_json()?;
    println!(
        "  state: {:.0} bytes per customer in memory, {:.0} as JSON",
        state.bytes() as f64 / ids.len() as f64,
        json.len() as f64 / ids.len() as f64
    );
    assert!(
        State::from_json(&json)? == state,
        "a stored state is another one"
    );
    Ok(())
}
