//! A stream far longer than memory: a billion events arrive in batches, go to scratch files by customer, and
//! leave as the features of all customers, partition by partition.
//!
//! Each batch is one simulated shop, with ids of its own and at a time of its own: after `--shops` batches the
//! first customers come again, later. Wants about 27 bytes per event of disk at `--scratch`.
//!
//! `cargo run -p churn-benches --release --bin stream -- --events 1000000000 --customers 20000000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use churn_benches::input::{Arrival, Ids, Log};
use churn_benches::measure::{argument, machine, measure, refuse_unknown_arguments};
use churn_core::events::{Cleaning, EventColumns, IdCells, LogStream, StreamSettings};
use churn_core::features::{FeatureSpec, Population, build_parts};
use churn_core::progress::Progress;
use churn_core::time::MICROS_PER_DAY;
use churn_core::{AsOf, Error, Result, Timestamp};
use churn_files::FileScratch;
use rayon::prelude::*;

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// Bits of a simulated id.
const ID_BITS: u32 = 44;

struct Settings {
    events: usize,
    customers: usize,
    batch: usize,
    partitions: usize,
    scratch: PathBuf,
}

fn main() -> ExitCode {
    match settings().and_then(|settings| run(&settings).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("stream: {message}");
            ExitCode::FAILURE
        }
    }
}

fn settings() -> std::result::Result<Settings, String> {
    refuse_unknown_arguments(&[
        "events",
        "customers",
        "batch",
        "partitions",
        "threads",
        "scratch",
    ])?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(argument("threads", 2)?)
        .build_global()
        .map_err(|error| error.to_string())?;
    Ok(Settings {
        events: argument("events", 10_000_000)?,
        customers: argument("customers", 200_000)?,
        batch: argument("batch", 1_000_000)?,
        partitions: argument("partitions", 64)?,
        scratch: argument("scratch", std::env::temp_dir().display().to_string())?.into(),
    })
}

/// Batches that all look like one simulated shop.
struct Batches {
    shop: Log,
    count: usize,
    /// Batches until the first customers come again.
    shops: usize,
    /// Microseconds from a customer's batch to the next one.
    later: i64,
}

impl Batches {
    fn new(settings: &Settings) -> Result<Self> {
        let count = settings.events.div_ceil(settings.batch).max(1);
        let waves = (settings.events / settings.customers)
            .div_ceil(20)
            .min(count);
        let shops = count.div_ceil(waves);
        let people = (settings.customers / shops).max(1) as u32;
        let shop = Log::simulate(settings.batch, people, Arrival::Random, Ids::Int)?;
        let times = &shop.columns().time.cells;
        let first = times.iter().copied().min().unwrap_or(0);
        let later = shop.end().instant().micros() - first;
        Ok(Batches {
            shop,
            count,
            shops,
            later: later.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY,
        })
    }

    /// The ids and the times of a batch.
    fn own(&self, batch: usize) -> (Vec<u64>, Vec<i64>) {
        let columns = self.shop.columns();
        let IdCells::Uint(ids) = &columns.customer.cells else {
            unreachable!("a simulated log with integer ids");
        };
        let shop = ((batch % self.shops) as u64) << ID_BITS;
        let later = (batch / self.shops) as i64 * self.later;
        let ids = ids.par_iter().map(|id| id | shop).collect();
        let times = columns.time.cells.par_iter().map(|time| time + later);
        (ids, times.collect())
    }

    fn rows<'a>(&'a self, ids: &'a [u64], times: &'a [i64]) -> EventColumns<'a> {
        let mut columns = self.shop.columns();
        columns.customer = ids.into();
        columns.time.cells = times.into();
        columns
    }

    fn customers(&self) -> usize {
        self.shops.min(self.count) * self.shop.customer_count()
    }

    /// Behind the last event.
    fn end(&self) -> AsOf {
        let waves = self.count.div_ceil(self.shops) as i64 - 1;
        let end = self.shop.end().instant().micros() + waves * self.later;
        AsOf::new(Timestamp::from_micros(end).unwrap_or(Timestamp::YEAR_9999))
    }
}

fn run(settings: &Settings) -> Result<()> {
    let (none, spec) = (Progress::none(), FeatureSpec::default());
    let batches = Batches::new(settings)?;
    let events = batches.count * batches.shop.len();
    println!("machine: {}", machine());
    println!(
        "{events} events of {} customers in {} batches, {} partitions\n",
        batches.customers(),
        batches.count,
        settings.partitions
    );
    println!("| step | wall s | cpu s | extra memory | peak memory |");
    println!("|---|---:|---:|---:|---:|");
    let shape = StreamSettings {
        partitions: settings.partitions,
        ..StreamSettings::default()
    };
    let scratch = FileScratch::new(&settings.scratch).map_err(Error::from)?;
    let folder = scratch.folder().to_owned();
    let mut stream = LogStream::new(scratch, &shape, &Cleaning::default())?;
    step("push", events, || {
        (0..batches.count).try_for_each(|batch| {
            let (ids, times) = batches.own(batch);
            stream.push(&batches.rows(&ids, &times), &none)
        })
    })?;
    let whole = step("finish", events, || stream.finish(&none))?;
    println!("scratch files: {:.1} GB", size(&folder) as f64 / 1e9);
    let end = batches.end();
    let population = step("learn from all customers", events, || {
        Population::fit_parts(&whole, end, &spec, &none)
    })?;
    let (customers, money) = step("all default features", events, || {
        let (mut customers, mut money) = (0, 0.0);
        for table in build_parts(&whole, end, &spec, &population, &none) {
            let table = table?;
            customers += table.len();
            money += table.column("total_value")?.iter().sum::<f64>();
        }
        Ok((customers, money))
    })?;
    assert_eq!(customers, batches.customers());
    let expected = batches.shop.money() * batches.count as f64;
    assert!((money / expected - 1.0).abs() < 1e-9, "{money} {expected}");
    println!("{customers} customers, {money:.2} of money, as pushed");
    Ok(())
}

fn step<T>(name: &str, events: usize, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let (result, cost) = measure(run);
    let rate = events as f64 / cost.wall / 1e6;
    println!("| {name}, {rate:.1} million events per second | {cost} |");
    result
}

/// Bytes of the files of a folder.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum()
}
