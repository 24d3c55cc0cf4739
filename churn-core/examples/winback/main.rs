//! The main job: from an event log to a win-back plan and the first 90 days of its journeys.
//!
//! ```sh
//! cargo run --release --example winback                      # a simulated shop
//! cargo run --release --example winback -- --events FILE.csv --as-of 2011-12-10 --out PLAN.csv
//! cargo run --release --example winback -- --help
//! ```

#![allow(clippy::print_stderr)] // progress and failures go there: this is a program

mod args;

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::sync::Mutex;

use churn_core::events::CsvEvents;
use churn_core::progress::{Control, Progress, Update};
use churn_core::segments::{ProfileTable, profile};
use churn_core::time::MICROS_PER_DAY;
use churn_core::winback::WinBack;
use churn_core::{AsOf, EventLog, Timestamp};

use args::{Args, Failure};

/// The features whose means the tables show; all of them would fill pages.
const HEADLINE: [&str; 6] = [
    "total_value",
    "orders",
    "days_since_last",
    "silence_tail",
    "activity",
    "complaints",
];

/// How far the journeys are looked at.
const JOURNEY_DAYS: i64 = 90;

fn main() -> std::process::ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Done) {
                eprintln!("{failure}");
            }
            std::process::ExitCode::from(failure.exit_code())
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let bar = ProgressBar::new(args.quiet);
    let report = |update| bar.update(update);
    let progress = Progress::new(&report);
    let mut out = std::io::stdout().lock();

    // 1. Events: read, clean, put in order.
    let log = match &args.events {
        Some(path) => {
            let file = File::open(path).map_err(|e| Failure::file(path, e))?;
            let mut options = args.csv.clone();
            options.total_bytes = file.metadata().ok().map(|metadata| metadata.len());
            let events = CsvEvents::read(BufReader::new(file), &options, &progress)?;
            EventLog::from_columns_observed(&events.columns(), &args.cleaning, &progress)?
        }
        None => {
            let shop = args.shop.open()?;
            EventLog::from_columns_observed(&shop.columns(), &args.cleaning, &progress)?
        }
    };
    // Without a stated instant the whole file is the past, and a simulated shop is looked at when
    // its simulation ends.
    let as_of = args.as_of.map_or_else(|| log.day_after_last(), Ok)?;

    // 2. Features, scores, segments, plan.
    let result = WinBack::run(&log, as_of, &args.settings, &progress)?;

    // 3. The first days of the journeys that follow, with the events that the log still has.
    let first = as_of.instant().day() * MICROS_PER_DAY;
    let day = |days: i64| Timestamp::from_micros(first + days * MICROS_PER_DAY).map(AsOf::new);
    let (from, to) = (day(0)?, day(JOURNEY_DAYS)?);
    let journeys = args
        .settings
        .replay(&log, from, to, &args.journeys, &progress)?;
    bar.clear();

    // 4. What a person wants to read.
    writeln!(out, "Cleaning\n{}", log.report())?;
    let headline = result.features.select(&HEADLINE)?;
    writeln!(out, "Segments as of {as_of}")?;
    writeln!(
        out,
        "{}",
        ProfileTable(&profile(&result.rfm_segment, &headline)?)
    )?;
    writeln!(
        out,
        "Risk tiers (churn within {} days)",
        result.scores.horizon().as_days()
    )?;
    writeln!(
        out,
        "{}",
        ProfileTable(&profile(&result.risk_tier, &headline)?)
    )?;
    writeln!(out, "{}\n", result.plan.summary())?;
    for row in result.examples()? {
        writeln!(out, "{}\n", result.story(row, args.language)?)?;
    }

    writeln!(out, "Journeys from {from} to {to}")?;
    writeln!(out, "{}\n", journeys.calendar(10))?;

    // 5. What a machine wants to read.
    if let Some(path) = &args.out {
        let file = File::create(path).map_err(|e| Failure::file(path, e))?;
        result.write_plan(BufWriter::new(file), args.language)?;
        writeln!(
            out,
            "Plan for {} customers in {path}",
            result.plan.customers().len()
        )?;
    }
    Ok(())
}

/// One line on the terminal that says what runs and how far it is.
struct ProgressBar {
    shown: bool,
    last: Mutex<(&'static str, u64)>,
}

impl ProgressBar {
    fn new(quiet: bool) -> Self {
        ProgressBar {
            shown: !quiet && std::io::stderr().is_terminal(),
            last: Mutex::new(("", 0)),
        }
    }

    fn update(&self, update: Update) -> Control {
        if self.shown
            && let Ok(mut last) = self.last.lock()
        {
            let percent = update.done * 100 / update.total.max(1);
            if *last != (update.step, percent) {
                *last = (update.step, percent);
                eprint!("\r{:<24}{percent:>4} %", update.step);
            }
        }
        Control::Continue
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r{:<30}\r", "");
        }
    }
}
