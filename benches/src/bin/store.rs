//! Times what keeps a log: saving and loading, appends, one customer on demand, tables brought up to
//! date, and a stream through scratch files against one build.
//!
//! `cargo run -p churn-benches --release --bin store -- --events 10000000 --customers 500000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::borrow::Cow;
use std::fs;
use std::hint::black_box;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use churn_benches::input::{Arrival, Ids, Log};
use churn_benches::measure::{argument, machine, measure, refuse_unknown_arguments};
use churn_core::events::{
    Cleaning, EventColumns, IdCells, KindColumn, LogStream, StreamSettings, TextCells,
};
use churn_core::features::{
    Describer, FeatureSpec, Population, build_observed, build_parts, refresh,
};
use churn_core::progress::Progress;
use churn_core::{AsOf, Error, EventLog, Result};
use churn_files::{FileScratch, load, save};

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// Part of the events that arrives later, in batches.
const LATER: usize = 20;
/// Rows of a batch that is pushed into a stream.
const BATCH: usize = 1 << 18;

fn main() -> ExitCode {
    match settings() {
        Err(message) => {
            eprintln!("store: {message}");
            ExitCode::FAILURE
        }
        Ok((log, folder, partitions)) => match run(&log, &folder, partitions) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("store: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn settings() -> std::result::Result<(Log, PathBuf, usize), String> {
    refuse_unknown_arguments(&["events", "customers", "threads", "partitions", "scratch"])?;
    let (events, customers) = (
        argument("events", 1_000_000)?,
        argument("customers", 50_000)?,
    );
    let threads = argument("threads", 2)?;
    let scratch = argument("scratch", std::env::temp_dir().display().to_string())?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| error.to_string())?;
    println!("machine: {}", machine());
    println!("{events} events of {customers} customers, {threads} threads\n");
    println!("| step | wall s | cpu s | extra memory | peak memory |");
    println!("|---|---:|---:|---:|---:|");
    let log = Log::simulate(events, customers, Arrival::Random, Ids::Int);
    Ok((
        log.map_err(|error| error.to_string())?,
        PathBuf::from(scratch),
        argument("partitions", 64)?,
    ))
}

/// Measures one step and prints it with a rate.
fn step<T>(name: &str, units: usize, unit: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (result, cost) = measure(work);
    let result = result?;
    let rate = units as f64 / cost.wall / 1e6;
    println!("| {name}, {rate:.2} M {unit}/s | {cost} |");
    Ok(result)
}

/// Some rows of columns with integer ids.
fn rows<'a>(columns: &'a EventColumns<'_>, range: Range<usize>) -> EventColumns<'a> {
    let cut = |cells: &'a [f64]| Cow::Borrowed(&cells[range.clone()]);
    let mut part = EventColumns {
        customer: match &columns.customer.cells {
            IdCells::Int(ids) => IdCells::Int(Cow::Borrowed(&ids[range.clone()])),
            IdCells::Uint(ids) => IdCells::Uint(Cow::Borrowed(&ids[range.clone()])),
            IdCells::Text(_) => unreachable!("the log has integer ids"),
        }
        .into(),
        ..columns.clone()
    };
    part.time.cells = Cow::Borrowed(&columns.time.cells[range.clone()]);
    if let KindColumn::Codes(codes) = &columns.kind {
        part.kind = KindColumn::Codes(Cow::Borrowed(&codes[range.clone()]));
    }
    if let (Some(part), Some(values)) = (&mut part.value, &columns.value) {
        part.cells = cut(&values.cells);
    }
    if let (Some(part), Some(channels)) = (&mut part.channel, &columns.channel)
        && let (TextCells::Coded { codes: part, .. }, TextCells::Coded { codes, .. }) =
            (&mut part.cells, &channels.cells)
    {
        *part = Cow::Borrowed(&codes[range]);
    }
    part
}

fn run(data: &Log, folder: &std::path::Path, partitions: usize) -> Result<()> {
    let (none, spec, end) = (Progress::none(), FeatureSpec::default(), data.end());
    let columns = data.columns();
    let n = data.len();
    let log = step("build", n, "events", || {
        EventLog::from_columns(&columns, &Cleaning::default())
    })?;

    let path = folder.join(format!("churn-bench-{}", std::process::id()));
    let mut file = Vec::new();
    step("save to memory", n, "events", || log.save(&mut file))?;
    println!(
        "{:.1} bytes per event in the file",
        file.len() as f64 / n as f64
    );
    step("save to a file", n, "events", || {
        save(&path, |file| log.save(file)).map_err(Error::from)
    })?;
    let loaded = step("load from memory", n, "events", || {
        EventLog::from_bytes(&file)
    })?;
    assert!(loaded == log);
    drop((loaded, file));
    let loaded = step("load from a file", n, "events", || {
        load(&path, |file| EventLog::load(file)).map_err(Error::from)
    })?;
    assert!(loaded == log);
    drop(loaded);
    let _ = fs::remove_file(&path);

    appends(&columns, &log, end)?;
    let population = describe(&log, end, &spec)?;
    drop(log);

    let settings = StreamSettings {
        partitions,
        ..StreamSettings::default()
    };
    let scratch = FileScratch::new(folder).map_err(Error::from)?;
    let mut stream = LogStream::new(scratch, &settings, &Cleaning::default())?;
    step("stream: push", n, "events", || {
        (0..n)
            .step_by(BATCH)
            .try_for_each(|from| stream.push(&rows(&columns, from..n.min(from + BATCH)), &none))
    })?;
    let whole = step("stream: finish", n, "events", || stream.finish(&none))?;
    let learned = step("stream: learn", n, "events", || {
        Population::fit_parts(&whole, end, &spec, &none)
    })?;
    assert_eq!(learned, population);
    let customers = step("stream: all default features", n, "events", || {
        let mut customers = 0;
        for table in build_parts(&whole, end, &spec, &learned, &none) {
            customers += table?.len();
        }
        Ok(customers)
    })?;
    assert_eq!(customers, data.customer_count());
    Ok(())
}

/// A log that grows by batches of several sizes, and its table.
fn appends(columns: &EventColumns<'_>, whole: &EventLog, end: AsOf) -> Result<()> {
    let (none, spec) = (Progress::none(), FeatureSpec::default());
    let n = columns.len();
    let first = n - n / LATER;
    let base = EventLog::from_columns(&rows(columns, 0..first), &Cleaning::default())?;
    let (table, population) = build_observed(&base.history(end), &spec, &none)?;
    for batch in [1, 100, 10_000, 100_000, n - first] {
        let mut log = base.clone();
        // The first batch makes room in all columns at once; what counts is a log in use.
        let start = match batch < n - first {
            true => first + 1,
            false => first,
        };
        log.append(&rows(columns, first..start))?;
        let last = n.min(start + batch.max(200_000).min(batch * 20_000));
        let name = format!("append batches of {batch}");
        step(&name, last - start, "events", || {
            (start..last).step_by(batch).try_for_each(|from| {
                let appended = log.append(&rows(columns, from..last.min(from + batch)))?;
                black_box(appended);
                Ok(())
            })
        })?;
        if last == n {
            assert!(log == *whole);
        }
    }
    let mut log = base.clone();
    let appended = log.append(&rows(columns, first..n.min(first + 10_000)))?;
    let touched = appended.touched.len();
    let copy = table.clone();
    step("refresh after 10,000 events", touched, "customers", || {
        refresh(copy, &log, &appended.touched, &spec, &population, &none)
    })?;
    Ok(())
}

fn describe(log: &EventLog, end: AsOf, spec: &FeatureSpec) -> Result<Population> {
    let population = Population::fit(&log.history(end), spec)?;
    let mut describer = Describer::new(log.channels(), end, spec, &population)?;
    let customers = log.customers().len();
    let asked = customers.min(100_000);
    step(
        "describe one customer at a time",
        asked,
        "customers",
        || {
            let mut sum = 0.0;
            for i in 0..asked {
                // In no order, as requests come.
                let row = i * 7_919 % customers;
                if let Some(past) = log.customer(log.customers().get(row), end) {
                    sum += describer.describe(&past)?[0];
                }
            }
            black_box(sum);
            Ok(())
        },
    )?;
    Ok(population)
}
