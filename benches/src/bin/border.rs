//! Times what crosses the Arrow border: events in, layout by layout, and a table of features out.
//!
//! Cells are the same in every layout: customers, times, kinds, values, and a channel that three of
//! four events do not have. `in` is what the log takes over from record batches; `out` the batch of a
//! finished table. Page faults are those of 4 KiB and larger pages together.
//!
//! `cargo run -p churn-benches --release --bin border -- --events 10000000 --customers 500000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray, UInt8Array,
};
use churn_benches::measure::{
    Cost, argument, machine, measure, page_faults, refuse_unknown_arguments,
};
use churn_core::arrow::{EventBatches, feature_batch};
use churn_core::events::{Cleaning, ColumnNames, Keep};
use churn_core::features::{FeatureInfo, FeatureTable};
use churn_core::{AsOf, Customers};

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// Columns of the default feature table.
const FEATURES: usize = 81;

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("border: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failed> {
    refuse_unknown_arguments(&["events", "customers", "threads", "rounds"])?;
    let events: usize = argument("events", 1_000_000)?;
    let customers: i64 = argument("customers", 50_000)?;
    let rounds: usize = argument("rounds", 5)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(argument("threads", 2)?)
        .build_global()?;
    println!("{}\n", machine());
    println!("{:34} | seconds  | cpu      | page faults | extra", "step");
    for (name, customer, channel) in layouts(events, customers)? {
        let batch = table(events, customer, channel)?;
        let all = Cleaning::default();
        report(&format!("in: {name}"), rounds, || import(&batch, &all))?;
    }
    let dictionary = layouts(events, customers)?.swap_remove(0);
    let batch = table(events, dictionary.1, dictionary.2)?;
    let without = Cleaning {
        keep: Keep {
            channels: false,
            ..Keep::default()
        },
        ..Cleaning::default()
    };
    report("in: the first without channels", rounds, || {
        import(&batch, &without)
    })?;

    let rows = customers as usize;
    let table = FeatureTable::from_columns(
        Customers::from_ints(0..customers),
        AsOf::parse("2024-01-01")?,
        (0..FEATURES)
            .map(|j| FeatureInfo::new(format!("f{j}"), "count", "a number"))
            .collect(),
        (0..rows * FEATURES).map(|i| i as f64).collect(),
    )?;
    report("out: a table of 81 features", rounds, || {
        Ok(feature_batch(&table)?.num_rows())
    })?;
    report("a clone of the table", rounds, || Ok(table.clone().len()))
}

/// Takes events over and reads their columns.
fn import(batch: &RecordBatch, cleaning: &Cleaning) -> Result<usize, Failed> {
    let events = EventBatches::from_batches(vec![batch.clone()], &ColumnNames::default())?;
    Ok(events.columns_for(cleaning)?.len())
}

/// The cheapest of some rounds.
fn report(
    name: &str,
    rounds: usize,
    step: impl Fn() -> Result<usize, Failed>,
) -> Result<(), Failed> {
    let mut best: Option<(Cost, Option<u64>)> = None;
    for _ in 0..rounds {
        let before = page_faults();
        let (rows, cost) = measure(&step);
        rows?;
        let faults = page_faults().zip(before).map(|(now, then)| now - then);
        if best.is_none_or(|(least, _)| cost.wall < least.wall) {
            best = Some((cost, faults));
        }
    }
    let (cost, faults) = best.ok_or("rounds: expected at least 1")?;
    let number = |cell: Option<f64>| cell.map_or("-".into(), |cell| format!("{cell:.4}"));
    println!(
        "{name:34} | {:8.4} | {:>8} | {:>11} | {} MiB",
        cost.wall,
        number(cost.cpu),
        faults.map_or("-".into(), |faults| faults.to_string()),
        cost.extra
            .map_or("-".into(), |bytes| (bytes >> 20).to_string())
    );
    Ok(())
}

/// A number without pattern that is always the same.
fn noise(row: usize, below: u64) -> u64 {
    ((row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) % below
}

/// Layouts of customers and channels as data frames have them.
fn layouts(
    events: usize,
    customers: i64,
) -> Result<Vec<(&'static str, ArrayRef, ArrayRef)>, Failed> {
    let channels = ["email", "one_to_one", "push", "sms"];
    let channel = |row: usize| (noise(row, 100) >= 74).then(|| noise(row, 4) as usize);
    let id = |row: usize| noise(row, customers as u64) as i64;
    let text = |row: usize| format!("customer{:04}", id(row));
    let ints: ArrayRef = Arc::new(Int64Array::from_iter_values((0..events).map(id)));
    let narrow = (0..events).map(|row| id(row) as i32);
    let narrow: ArrayRef = Arc::new(Int32Array::from_iter_values(narrow));
    let keys: Int8Array = (0..events)
        .map(|row| channel(row).map(|c| c as i8))
        .collect();
    let names = Arc::new(StringArray::from(channels.to_vec()));
    let coded: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::try_new(keys, names)?);
    let named = |row: usize| channel(row).map(|channel| channels[channel]);
    let plain: ArrayRef = Arc::new((0..events).map(named).collect::<LargeStringArray>());
    let views: ArrayRef = Arc::new((0..events).map(named).collect::<StringViewArray>());
    let texts = LargeStringArray::from_iter_values((0..events).map(text));
    let text_views = StringViewArray::from_iter_values((0..events).map(text));
    Ok(vec![
        ("integers, coded channels", ints.clone(), coded.clone()),
        ("32-bit integers, coded channels", narrow, coded),
        ("texts", Arc::new(texts), plain),
        ("text views", Arc::new(text_views), views),
    ])
}

fn table(events: usize, customer: ArrayRef, channel: ArrayRef) -> Result<RecordBatch, Failed> {
    let micros = (0..events).map(|row| noise(row, 63_072_000_000_000) as i64);
    let kinds = (0..events).map(|row| 1 + noise(row, 15) as u8);
    let values = (0..events).map(|row| noise(row, 10_000) as f64 / 100.0);
    let columns: [(&str, ArrayRef); 5] = [
        ("customer", customer),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros)),
        ),
        ("kind", Arc::new(UInt8Array::from_iter_values(kinds))),
        ("value", Arc::new(Float64Array::from_iter_values(values))),
        ("channel", channel),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name, column, true)),
    )?)
}
