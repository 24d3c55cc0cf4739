//! Known effects found again: bias and coverage of the intervals of uplift models on simulated
//! experiments.
//!
//! ```text
//! cargo run --release -p churn-benches --bin effects -- --seeds 100 --rows 4000
//! ```
//!
//! Each experiment has `--columns` independent uniform columns; the first moves the outcome, the second
//! the effect. Prints a table for docs/MODELS.md: for every shape of the effect the forest's intervals
//! of single customers and the intervals of the average effect.

// What the program measures is its output.
#![allow(clippy::print_stdout)]

use std::error::Error;

use churn_benches::measure::{argument, refuse_unknown_arguments};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{Column, Frame};
use churn_core::scoring::uplift::{Method, Uplift, UpliftData, UpliftForest};

/// SplitMix64, so that the program needs nothing else.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

type Shape = fn(f64) -> f64;

const SHAPES: [(&str, Shape); 5] = [
    ("the same for all", |_| 0.1),
    ("straight line", |b| 0.4 * b - 0.1),
    ("S-shaped", |b| 0.3 / (1.0 + (-10.0 * (b - 0.5)).exp())),
    ("wave", |b| 0.1 + 0.15 * (std::f64::consts::TAU * b).sin()),
    ("step", |b| if b > 0.5 { 0.3 } else { 0.0 }),
];

fn columns(random: &mut Random, rows: usize, count: usize) -> Vec<Vec<f64>> {
    let column = |_| (0..rows).map(|_| random.uniform()).collect();
    (0..count).map(column).collect()
}

fn frame(columns: &[Vec<f64>]) -> churn_core::Result<Frame<'_>> {
    let named = columns.iter().enumerate();
    Frame::new(
        named
            .map(|(i, c)| (format!("x{i}"), Column::Numeric(c.as_slice().into())))
            .collect(),
    )
}

#[derive(Default)]
struct Tally {
    asked: f64,
    covered: f64,
    untold: f64,
    bias: f64,
    square: f64,
    error: f64,
}

impl Tally {
    fn add(&mut self, truth: f64, effect: f64, error: f64) {
        self.asked += 1.0;
        self.bias += effect - truth;
        self.square += (effect - truth).powi(2);
        if error.is_nan() {
            self.untold += 1.0;
            return;
        }
        self.error += error;
        self.covered += f64::from(u8::from((effect - truth).abs() <= 1.959964 * error));
    }

    fn line(&self) -> String {
        let told = self.asked - self.untold;
        format!(
            "{:.1} % | {:+.4} | {:.4} | {:.4} | {:.1} %",
            100.0 * self.covered / told,
            self.bias / self.asked,
            (self.square / self.asked).sqrt(),
            self.error / told,
            100.0 * self.untold / self.asked,
        )
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let known = [
        "seeds",
        "rows",
        "columns",
        "trees",
        "per-bag",
        "min-per-arm",
        "noise",
        "bag-share",
        "binary",
        "bins",
    ];
    refuse_unknown_arguments(&known)?;
    let seeds: u64 = argument("seeds", 100)?;
    let rows: usize = argument("rows", 4000)?;
    let count: usize = argument("columns", 6)?;
    let noise: f64 = argument("noise", 0.3)?;
    let binary: bool = argument("binary", false)?;
    let defaults = UpliftForest::default();
    let forest = UpliftForest {
        trees: argument("trees", defaults.trees)?,
        trees_per_bag: argument("per-bag", defaults.trees_per_bag)?,
        min_per_arm: argument("min-per-arm", defaults.min_per_arm)?,
        bag_share: argument("bag-share", defaults.bag_share)?,
        max_bins: argument("bins", defaults.max_bins)?,
        ..defaults
    };
    println!("{rows} rows, {count} columns, {seeds} experiments, {forest:?}");
    println!(
        "| effect | 95 % interval covers | bias | root mean square error | mean standard error | untold |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, effect) in SHAPES {
        let mut tally = Tally::default();
        for seed in 0..seeds {
            let mut random = Random(seed * 1_000_003 + 17);
            let learned = columns(&mut random, rows, count);
            let asked = columns(&mut random, 200, count);
            let treatment: Vec<u32> = (0..rows)
                .map(|_| u32::from(random.uniform() < 0.5))
                .collect();
            let outcome: Vec<f64> = (0..rows)
                .map(|i| {
                    let lift = if treatment[i] == 1 {
                        effect(learned[1][i])
                    } else {
                        0.0
                    };
                    let level = 0.2 + 0.3 * learned[0][i] + lift;
                    match binary {
                        true => f64::from(u8::from(random.uniform() < level)),
                        false => level + noise * random.normal(),
                    }
                })
                .collect();
            let settings = Uplift {
                method: Method::Forest,
                forest: UpliftForest {
                    seed,
                    ..forest.clone()
                },
                seed,
                ..Uplift::default()
            };
            let frame_learned = frame(&learned)?;
            let data = UpliftData {
                frame: &frame_learned,
                treatment: &treatment,
                outcome: &outcome,
                propensity: None,
            };
            let model = settings.fit(&data, &Progress::none())?;
            let told = model.predict(&frame(&asked)?)?;
            let errors = told.standard_error.unwrap_or_default();
            for (i, error) in errors.iter().enumerate() {
                tally.add(effect(asked[1][i]), told.effect[i], *error);
            }
        }
        println!("| {name} | {} |", tally.line());
    }
    Ok(())
}
