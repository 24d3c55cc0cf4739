//! Times the engine on simulated logs: build for every order of arrival and type of id, a job that
//! asks for little, appends, features, one customer at a time, twelve cut-offs against one, memory.
//!
//! Extra memory is what a step needs beyond what was resident before it; where the allocator fills
//! room that an earlier step gave back, it is too low, so the largest of all rounds is shown.
//!
//! `cargo run -p churn-benches --release --bin engine -- --events 10000000 --customers 500000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::process::ExitCode;

use churn_benches::input::{Arrival, Ids, Log};
use churn_benches::measure::{Cost, argument, machine, measure, refuse_unknown_arguments};
use churn_core::events::Cleaning;
use churn_core::features::{
    Describer, FeatureSpec, FeatureTable, Population, SummarySettings, build, build_many, summarize,
};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{CutOffs, TrainingData, TrainingSettings};
use churn_core::{AsOf, EventLog};

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// The part of the default features that is called recency, frequency, money.
const RFM: [&str; 9] = [
    "days_since_last",
    "frequency",
    "recency",
    "age",
    "orders",
    "total_value",
    "net_value",
    "mean_order_value",
    "monetary_value",
];

/// Cut-offs of the training tables.
const CUT_OFFS: usize = 12;

struct Settings {
    events: usize,
    customers: u32,
    threads: usize,
    rounds: usize,
    only_ids: String,
    only_arrival: String,
}

fn main() -> ExitCode {
    match settings().and_then(|settings| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build_global()
            .map_err(|error| error.to_string())?;
        run(&settings).map_err(|error| error.to_string())
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("engine: {message}");
            ExitCode::FAILURE
        }
    }
}

fn settings() -> Result<Settings, String> {
    refuse_unknown_arguments(&["events", "customers", "threads", "rounds", "ids", "arrival"])?;
    Ok(Settings {
        events: argument("events", 1_000_000)?,
        customers: argument("customers", 50_000)?,
        threads: argument("threads", 2)?,
        rounds: argument("rounds", 3)?,
        only_ids: argument("ids", "all".into())?,
        only_arrival: argument("arrival", "all".into())?,
    })
}

fn run(settings: &Settings) -> churn_core::Result<()> {
    let Settings {
        events,
        customers,
        threads,
        rounds,
        ..
    } = settings;
    println!("machine: {}", machine());
    println!(
        "{events} events of {customers} customers, {threads} threads, best of {rounds} rounds"
    );
    let (_, probe) = measure(|| ());
    if probe.extra.is_none() {
        eprintln!("engine: memory is NOT measured, since this system has no /proc/self/status");
    }
    println!();
    println!("| step | wall s | cpu s | extra memory | peak memory |");
    println!("|---|---:|---:|---:|---:|");
    let mut first = true;
    for (ids_name, ids) in Ids::ALL {
        if !["all", ids_name].contains(&settings.only_ids.as_str()) {
            continue;
        }
        for (arrival_name, arrival) in Arrival::ALL {
            if !["all", arrival_name].contains(&settings.only_arrival.as_str()) {
                continue;
            }
            let log = Log::simulate(*events, *customers, arrival, ids)?;
            let built = best(
                *rounds,
                &format!("build, {arrival_name}, {ids_name} ids"),
                || EventLog::from_columns(&log.columns(), &Cleaning::default()),
            )?;
            assert_eq!(built.len(), log.len());
            assert_eq!(built.customers().len(), log.customer_count());
            let money = built.report().purchases_kept;
            assert!((money / log.money() - 1.0).abs() < 1e-9);
            let end = log.end();
            if first {
                narrow(&log, *rounds)?;
                appends(&log, &built)?;
            }
            drop(log);
            // What comes after the build sees the same log every time.
            if std::mem::take(&mut first) {
                tables(&built, end, *rounds)?;
            }
        }
    }
    Ok(())
}

/// A job that asks for recency, frequency and money only, from the rows on.
fn narrow(log: &Log, rounds: usize) -> churn_core::Result<()> {
    let spec = FeatureSpec::default().with_features(RFM);
    let cleaning = Cleaning {
        keep: spec.needs()?,
        ..Cleaning::default()
    };
    let table = best(rounds, "build and rfm, nothing else kept", || {
        let built = EventLog::from_columns(&log.columns(), &cleaning)?;
        build(&built.history(log.end()), &spec)
    })?;
    let total: f64 = table.column("total_value")?.iter().sum();
    assert!((total / log.money() - 1.0).abs() < 1e-9);
    Ok(())
}

/// The last tenth of the rows, appended in batches to a log of the others.
fn appends(log: &Log, whole: &EventLog) -> churn_core::Result<()> {
    for batch in [10_000, 1_000] {
        let from = log.len() - log.len() / 10;
        let mut built = EventLog::from_columns(&log.rows(0..from), &Cleaning::default())?;
        // Smaller batches take longer; fewer of them say as much.
        let to = log.len().min(from + 200 * batch);
        let (done, cost) = measure(|| -> churn_core::Result<usize> {
            let mut touched = 0;
            for start in (from..to).step_by(batch) {
                let rows = log.rows(start..to.min(start + batch));
                touched += built.append(&rows)?.touched.len();
            }
            Ok(touched)
        });
        assert!(done? > 0);
        if to == log.len() {
            assert!(built == *whole);
        }
        let rate = (to - from) as f64 / cost.wall / 1e6;
        println!("| append {batch} rows at a time: {rate:.1} million events per second | {cost} |");
    }
    Ok(())
}

/// One customer after another, by id, in an order that no cache knows.
fn single(log: &EventLog, end: AsOf) -> churn_core::Result<()> {
    let spec = FeatureSpec::default();
    let population = Population::fit(&log.history(end), &spec)?;
    let mut describer = Describer::new(log.channels(), end, &spec, &population)?;
    let customers = log.customers();
    let rounds = 200_000_usize;
    let (sum, cost) = measure(|| -> churn_core::Result<f64> {
        let mut sum = 0.0;
        for i in 0..rounds {
            let id = customers.get(i * 7_919_993 % customers.len());
            let Some(past) = log.customer(id, end) else {
                continue;
            };
            sum += describer.describe(&past)?[1];
        }
        Ok(sum)
    });
    assert!(sum? >= 0.0);
    let micros = cost.wall / rounds as f64 * 1e6;
    println!("| one customer by id, all features: {micros:.2} microseconds each | {cost} |");
    Ok(())
}

/// Everything that is computed from a log.
fn tables(log: &EventLog, end: AsOf, rounds: usize) -> churn_core::Result<()> {
    let all = FeatureSpec::default();
    let rfm = FeatureSpec::default().with_features(RFM);
    let money = log.report().purchases_kept;
    let table = best(rounds, "all default features", || {
        build(&log.history(end), &all)
    })?;
    assert_eq!(table.len(), log.customers().len());
    let total: f64 = table.column("total_value")?.iter().sum();
    assert!((total / money - 1.0).abs() < 1e-9);
    let columns = table.features().len();
    let few = best(rounds, "rfm features only", || {
        build(&log.history(end), &rfm)
    })?;
    assert_eq!(few.column("total_value")?, table.column("total_value")?);
    drop((table, few));
    let summary = best(rounds, "summary (frequency, recency, age, money)", || {
        summarize(&log.history(end), &SummarySettings::default())
    })?;
    assert_eq!(summary.len(), log.customers().len());

    single(log, end)?;

    let months = (0..CUT_OFFS as u32).map(|k| AsOf::new(end.instant().minus_months(k)));
    let instants: Vec<AsOf> = months.collect();
    let name = "12 cut-offs a month apart, all default features";
    let many = best(rounds, name, || {
        build_many(log, &instants, &all, &Progress::none())
    })?;
    let rows: usize = many.iter().map(FeatureTable::len).sum();
    assert_eq!(many[0].len(), log.customers().len());
    assert!(rows <= CUT_OFFS * log.customers().len() && rows > 0);
    drop(many);
    let training = training(log, &instants, rounds)?;
    println!();
    println!(
        "{columns} default features; {rows} rows in the {CUT_OFFS} tables, {training} for training"
    );
    println!();
    println!("| step | wall s | cpu s | extra memory | peak memory |");
    println!("|---|---:|---:|---:|---:|");
    Ok(())
}

/// Training data at all of these instants but those whose horizon is not over: as many instants
/// again, each a horizon earlier. The number of rows.
fn training(log: &EventLog, instants: &[AsOf], rounds: usize) -> churn_core::Result<usize> {
    let default = TrainingSettings::default();
    let horizon = default.churn.horizon_days.as_days();
    let earlier = |at: &AsOf| AsOf::new(at.instant().plus_days(-f64::from(horizon)));
    let settings = TrainingSettings {
        cut_offs: CutOffs::At(instants.iter().map(earlier).collect()),
        observed_until: instants.first().map(|last| last.instant()),
        ..default
    };
    let name = "training data at 12 cut-offs a month apart, all default features";
    let data = best(rounds, name, || {
        TrainingData::build(log, &settings, &Progress::none())
    })?;
    assert_eq!(data.cut_offs().len(), CUT_OFFS);
    Ok(data.len())
}

/// Runs a step several times and prints the quickest.
fn best<T>(
    rounds: usize,
    name: &str,
    mut step: impl FnMut() -> churn_core::Result<T>,
) -> churn_core::Result<T> {
    let mut best: Option<Cost> = None;
    let mut last = None;
    for _ in 0..rounds.max(1) {
        drop(last.take());
        let (result, cost) = measure(&mut step);
        last = Some(result?);
        best = Some(match best {
            None => cost,
            Some(best) => Cost {
                extra: best.extra.max(cost.extra),
                peak: best.peak.max(cost.peak),
                ..if cost.wall < best.wall { cost } else { best }
            },
        });
    }
    match (best, last) {
        (Some(cost), Some(result)) => {
            println!("| {name} | {cost} |");
            Ok(result)
        }
        _ => unreachable!("at least one round"),
    }
}
