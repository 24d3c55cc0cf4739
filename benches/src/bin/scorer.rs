//! One customer through a whole churn model: the blend that the defaults fit on the log of a simulated
//! shop, loaded from its bytes.
//!
//! `cargo run -p churn-benches --release --bin scorer -- --customers 4000 --repeats 20` prints the
//! time per row, the time to load the model and make a scorer, and the size of its file.

// What the program measures is its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use churn_benches::measure::{argument, refuse_unknown_arguments};
use churn_core::EventLog;
use churn_core::events::Cleaning;
use churn_core::progress::Progress;
use churn_core::scoring::learned::{
    ChurnModel, ChurnModelSettings, Column, TrainingData, TrainingSettings,
};
use churn_core::simulate::Shop;

fn run() -> Result<(), Box<dyn Error>> {
    refuse_unknown_arguments(&["customers", "days", "repeats"])?;
    let shop = Shop {
        customers: argument("customers", 4_000)?,
        days: argument("days", 600)?,
        ..Shop::default()
    };
    let repeats: usize = argument("repeats", 20)?;
    let none = Progress::none();
    let events = shop.open()?;
    let log = EventLog::from_columns(&events.columns(), &Cleaning::default())?;
    let data = TrainingData::build(&log, &TrainingSettings::default(), &none)?;
    let fitted = ChurnModelSettings::default().fit_data(&data, &none)?;
    let trees = fitted.out_of_fold().learners.iter().map(|l| l.trees).max();
    let bytes = fitted.to_bytes()?;

    let frame = data.frame()?;
    let started = Instant::now();
    let model = ChurnModel::from_bytes(&bytes)?;
    let mut scorer = model.scorer(frame.names())?;
    let load = started.elapsed().as_secs_f64();

    let expected = model.predict(&frame)?;
    let rows: Vec<Vec<f64>> = (0..2_000.min(frame.rows()))
        .map(|i| {
            let cell = |column: &Column<'_>| match column {
                Column::Numeric(values) => values[i],
                Column::Categorical { .. } => f64::NAN,
            };
            frame.columns().iter().map(cell).collect()
        })
        .collect();
    let started = Instant::now();
    let mut furthest: f64 = 0.0;
    for _ in 0..repeats {
        for (row, expected) in rows.iter().zip(&expected) {
            furthest = furthest.max((scorer.predict(row)? - expected).abs());
        }
    }
    let row = started.elapsed().as_secs_f64() / (repeats * rows.len()) as f64;
    assert!(
        furthest < 1e-12,
        "one row alone and in the table: {furthest}"
    );
    println!(
        "row_us={:.3} load_us={:.1} bytes={} trees={} columns={} rows={}",
        row * 1e6,
        load * 1e6,
        bytes.len(),
        trees.unwrap_or(0),
        frame.names().len(),
        frame.rows(),
    );
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program may speak")]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
