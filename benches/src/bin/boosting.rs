//! Gradient boosting at full size: `benches/boosting.py` writes the data and runs this beside its
//! peers.
//!
//! Reads `<data>.x` (columns of little-endian f32, one after the other) and `<data>.y` (f32), trains
//! on the first rows, predicts the others and prints one line of `name=value` pairs.

// What the program measures is its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::time::Instant;

use churn_benches::measure::{argument, measure, refuse_unknown_arguments};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{Boosting, Column, Frame};

fn floats(path: &str) -> Result<Vec<f64>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let words = bytes.as_chunks::<4>().0.iter();
    Ok(words.map(|w| f64::from(f32::from_le_bytes(*w))).collect())
}

/// The columns of the file, cut into rows to learn from and rows to answer for. One column is read
/// at a time, so that what is measured later is not hidden in memory that was free already.
fn frames(path: &str, rows: usize, train: usize) -> Result<[Frame<'static>; 2], Box<dyn Error>> {
    let mut file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let mut bytes = vec![0; 4 * rows];
    let mut columns = [Vec::new(), Vec::new()];
    while file.read_exact(&mut bytes).is_ok() {
        let words = bytes.as_chunks::<4>().0;
        let value = |w: &[u8; 4]| f64::from(f32::from_le_bytes(*w));
        for (columns, words) in columns.iter_mut().zip([&words[..train], &words[train..]]) {
            let values: Vec<f64> = words.iter().map(value).collect();
            let name = format!("x{}", columns.len());
            columns.push((name, Column::Numeric(values.into())));
        }
    }
    let [learned, asked] = columns;
    Ok([Frame::new(learned)?, Frame::new(asked)?])
}

fn run() -> Result<(), Box<dyn Error>> {
    let known = [
        "data", "train", "threads", "trees", "leaves", "bins", "rate", "min-leaf", "out",
    ];
    refuse_unknown_arguments(&known)?;
    let data: String = argument("data", String::new())?;
    let threads = argument("threads", 1)?;
    let settings = Boosting {
        trees: argument("trees", 200)?,
        leaves: argument("leaves", 31)?,
        max_bins: argument("bins", 255)?,
        learning_rate: argument("rate", 0.1)?,
        min_rows_in_leaf: argument("min-leaf", 20)?,
        l2: 0.0,
        ..Boosting::default()
    };
    let outcomes = floats(&format!("{data}.y"))?;
    let train = argument("train", outcomes.len() * 4 / 5)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    let [learned, asked] = frames(&format!("{data}.x"), outcomes.len(), train)?;
    let none = Progress::none();
    let (model, fit) =
        measure(|| pool.install(|| settings.fit(&learned, &outcomes[..train], None, None, &none)));
    let model = model?;
    let (answers, predict) = measure(|| pool.install(|| model.predict(&asked)));
    let answers = answers?;
    let names: Vec<&str> = model.names().collect();
    let mut scorer = model.row_scorer(&names)?;
    let rows: Vec<Vec<f64>> = (0..1000.min(asked.rows()))
        .map(|i| {
            let cell = |column: &Column<'_>| match column {
                Column::Numeric(values) => values[i],
                Column::Categorical { .. } => f64::NAN,
            };
            asked.columns().iter().map(cell).collect()
        })
        .collect();
    let start = Instant::now();
    let mut sum = 0.0;
    for _ in 0..20 {
        for row in &rows {
            sum += scorer.predict(row)?;
        }
    }
    let single = start.elapsed().as_secs_f64() / (20 * rows.len()) as f64;
    let expected: f64 = answers[..rows.len()].iter().sum::<f64>() * 20.0;
    assert!((sum - expected).abs() < 1e-6 * expected, "{sum} {expected}");
    let out: String = argument("out", String::new())?;
    if !out.is_empty() {
        let bytes: Vec<u8> = answers.iter().flat_map(|p| p.to_le_bytes()).collect();
        fs::write(&out, bytes)?;
    }
    let number = |v: Option<f64>| v.map_or("nan".into(), |v| format!("{v:.4}"));
    let mib = |v: Option<u64>| v.map(|v| v as f64 / (1 << 20) as f64);
    println!(
        "fit={:.4} fit_cpu={} memory={} predict={:.4} predict_cpu={} row_us={:.3} bytes={} trees={}",
        fit.wall,
        number(fit.cpu),
        number(mib(fit.extra)),
        predict.wall,
        number(predict.cpu),
        single * 1e6,
        model.to_bytes().len(),
        model.trees(),
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
