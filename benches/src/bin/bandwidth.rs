//! How near the engine's passes come to what the machine's memory allows.
//!
//! First the limits: copying, reading, first touch, and the scatter of 32-byte records that the
//! build does. Then each pass of build and features, timed by their progress reports, with the
//! bytes that it must move at least and their share of the copy limit.
//!
//! `cargo run -p churn-benches --release --bin bandwidth -- --events 10000000 --customers 500000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::slice::IterMut;
use std::sync::Mutex;
use std::time::Instant;

use churn_benches::input::{Arrival, Ids, Log};
use churn_benches::measure::{argument, cpu_seconds, machine, refuse_unknown_arguments};
use churn_core::EventLog;
use churn_core::events::Cleaning;
use churn_core::features::{Describer, FeatureSpec, FeatureTable, Population, build_observed};
use churn_core::progress::{Control, Progress, Update};
use rayon::prelude::*;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bandwidth: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    refuse_unknown_arguments(&["events", "customers", "threads", "rounds", "ids", "arrival"])?;
    let events: usize = argument("events", 1_000_000)?;
    let customers: u32 = argument("customers", 50_000)?;
    let threads: usize = argument("threads", 2)?;
    let rounds: usize = argument("rounds", 3)?;
    let ids = argument("ids", Ids::Int)?;
    let arrival = argument("arrival", Arrival::Random)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| error.to_string())?;
    println!("machine: {}", machine());
    println!("{threads} threads, best of {rounds} rounds");
    println!();
    let limit = limits(events.clamp(1 << 20, 1 << 24), rounds);
    let log = Log::simulate(events, customers, arrival, ids).map_err(|e| e.to_string())?;
    passes(&log, ids, limit, rounds).map_err(|error| error.to_string())
}

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// Quickest of several rounds of a step that returns the seconds it measured.
fn quickest(rounds: usize, mut step: impl FnMut() -> f64) -> f64 {
    (0..rounds.max(1))
        .map(|_| step())
        .fold(f64::INFINITY, f64::min)
}

fn seconds(step: impl FnOnce()) -> f64 {
    let start = Instant::now();
    step();
    start.elapsed().as_secs_f64()
}

const PIECE: usize = 1 << 16;

/// Prints what the memory can do; bytes per second of a copy, reading and writing both counted.
fn limits(rows: usize, rounds: usize) -> f64 {
    let words = 4 * rows;
    let bytes = (8 * words) as f64;
    let from: Vec<u64> = (0..words as u64).into_par_iter().collect();
    let mut to = vec![1_u64; words];
    let copy = quickest(rounds, || {
        seconds(|| {
            to.par_chunks_mut(PIECE)
                .zip(from.par_chunks(PIECE))
                .for_each(|(to, from)| to.copy_from_slice(from));
        })
    });
    assert_eq!(to, from);
    let read = quickest(rounds, || {
        seconds(|| {
            let sum = from
                .par_chunks(PIECE)
                .map(|piece| {
                    piece
                        .iter()
                        .fold(0_u64, |sum, word| sum.wrapping_add(*word))
                })
                .reduce(|| 0, u64::wrapping_add);
            black_box(sum);
        })
    });
    drop(to);
    let first_touch = quickest(rounds, || {
        // The system hands out zeroed pages that it has not touched yet.
        let mut fresh = vec![0_u64; words];
        seconds(|| {
            fresh
                .par_chunks_mut(PIECE)
                .zip(from.par_chunks(PIECE))
                .for_each(|(to, from)| to.copy_from_slice(from));
            black_box(&mut fresh);
        })
    });
    println!("| limit | GB/s | what is counted |");
    println!("|---|---:|---|");
    let line = |name: &str, counted: f64, seconds: f64, what: &str| {
        println!("| {name} | {:.1} | {what} |", counted / seconds / 1e9);
    };
    line("copy", 2.0 * bytes, copy, "bytes read and bytes written");
    line("read", bytes, read, "bytes read");
    line(
        "copy to fresh pages",
        2.0 * bytes,
        first_touch,
        "bytes read and bytes written",
    );
    drop(from);
    for buckets in [64, 256, 610, 1024, 2048] {
        let time = scatter(rows, buckets, rounds);
        // A record is read, its line is fetched before it is written, and it is written.
        line(
            &format!("scatter of 32-byte records into {buckets} buckets"),
            bytes * 2.0,
            time,
            "bytes read and bytes written",
        );
    }
    println!();
    2.0 * bytes / copy
}

/// Seconds of one scatter into touched memory, with the places known beforehand.
fn scatter(rows: usize, buckets: usize, rounds: usize) -> f64 {
    let from: Vec<[u64; 4]> = (0..rows as u64)
        .into_par_iter()
        .map(|row| [row.wrapping_mul(0x9e37_79b9_7f4a_7c15), row, row, row])
        .collect();
    let bucket = |record: &[u64; 4]| (((record[0] >> 32) * buckets as u64) >> 32) as usize;
    let chunk = rows.div_ceil(64);
    let counts: Vec<Vec<usize>> = from
        .par_chunks(chunk)
        .map(|records| {
            let mut counts = vec![0; buckets];
            for record in records {
                counts[bucket(record)] += 1;
            }
            counts
        })
        .collect();
    let mut to = vec![[1_u64; 4]; rows];
    let time = quickest(rounds, || {
        let mut cursors: Vec<Vec<IterMut<'_, [u64; 4]>>> =
            counts.iter().map(|_| Vec::with_capacity(buckets)).collect();
        let mut rest = to.as_mut_slice();
        for b in 0..buckets {
            for (cursors, counts) in cursors.iter_mut().zip(&counts) {
                let (own, tail) = rest.split_at_mut(counts[b]);
                cursors.push(own.iter_mut());
                rest = tail;
            }
        }
        seconds(|| {
            cursors
                .par_iter_mut()
                .zip(from.par_chunks(chunk))
                .for_each(|(cursors, records)| {
                    for record in records {
                        if let Some(place) = cursors[bucket(record)].next() {
                            *place = *record;
                        }
                    }
                });
        })
    });
    assert!(
        to.windows(2)
            .all(|pair| bucket(&pair[0]) <= bucket(&pair[1]))
    );
    time
}

/// When each step reported last, and the processor seconds until then.
#[derive(Default)]
struct Watch(Mutex<Vec<(&'static str, Instant, f64)>>);

impl Watch {
    fn note(&self, update: Update) -> Control {
        let mut steps = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        let now = (
            update.step,
            Instant::now(),
            cpu_seconds().unwrap_or(f64::NAN),
        );
        match steps.last_mut() {
            Some(last) if last.0 == update.step => *last = now,
            _ => steps.push(now),
        }
        Control::Continue
    }

    /// Seconds of each step, wall and processor, from the report before to its own last one.
    fn steps(self, start: Instant, cpu: f64) -> Vec<(&'static str, f64, f64)> {
        let mut steps = self
            .0
            .into_inner()
            .unwrap_or_else(|broken| broken.into_inner());
        steps.push((
            "to the end",
            Instant::now(),
            cpu_seconds().unwrap_or(f64::NAN),
        ));
        let mut before = (start, cpu);
        let between = steps.into_iter().map(|(name, at, cpu)| {
            let times = (name, (at - before.0).as_secs_f64(), cpu - before.1);
            before = (at, cpu);
            times
        });
        between.collect()
    }
}

/// Bytes that a pass reads or writes per event at least; memory written is fetched before.
fn bytes_per_event(step: &str, id: f64) -> Option<f64> {
    let columns = 8.0 + 1.0 + 8.0 + 1.0;
    Some(match step {
        // All columns of the caller, channels as codes of four bytes; the record is written.
        "events.clean" => id + 8.0 + 1.0 + 8.0 + 4.0 + 2.0 * 24.0,
        // The record; the columns of the log are written.
        "events.order" => 24.0 + 2.0 * columns,
        // Own pasts are written while the events are read, the rest from what was kept.
        "features.population" => columns,
        "features.build" => 0.0,
        _ => return None,
    })
}

/// How many columns stand beside the population: those that one that learned nothing refuses.
fn count_beside(table: &FeatureTable, log: &EventLog) -> churn_core::Result<usize> {
    let spec = FeatureSpec::default();
    let past = log.history(table.as_of());
    let orders = spec.clone().with_features(["orders"]);
    let nothing = Population::fit_selected(&past, &orders, &Progress::none())?;
    let refused = |name: &&str| {
        let one = spec.clone().with_features([*name]);
        Describer::new(log.channels(), table.as_of(), &one, &nothing).is_err()
    };
    Ok(table.names().filter(refused).count())
}

fn passes(log: &Log, ids: Ids, limit: f64, rounds: usize) -> churn_core::Result<()> {
    let id = match ids {
        Ids::Int => 8.0,
        Ids::Text => 8.0 + 12.0,
        Ids::Uuid => 8.0 + 36.0,
    };
    let mut best: Vec<(&str, f64, f64)> = Vec::new();
    let (mut columns, mut beside) = (0, 0);
    for _ in 0..rounds.max(1) {
        let watch = Watch::default();
        let callback = |update| watch.note(update);
        let progress = Progress::new(&callback);
        let (start, cpu) = (Instant::now(), cpu_seconds().unwrap_or(f64::NAN));
        let built =
            EventLog::from_columns_observed(&log.columns(), &Cleaning::default(), &progress)?;
        let mut steps = watch.steps(start, cpu);

        let watch = Watch::default();
        let callback = |update| watch.note(update);
        let progress = Progress::new(&callback);
        let (start, cpu) = (Instant::now(), cpu_seconds().unwrap_or(f64::NAN));
        let history = built.history(log.end());
        let (table, _) = build_observed(&history, &FeatureSpec::default(), &progress)?;
        steps.extend(watch.steps(start, cpu));
        assert_eq!(table.len(), log.customer_count());
        columns = table.features().len();
        beside = count_beside(&table, &built)?;

        if best.is_empty() {
            best = steps;
        } else {
            for (best, step) in best.iter_mut().zip(steps) {
                if step.1 < best.1 {
                    *best = step;
                }
            }
        }
    }
    let events = log.len() as f64;
    println!(
        "{} events, {} customers, {columns} features",
        log.len(),
        log.customer_count()
    );
    println!();
    println!(
        "| pass | wall s | cpu s | ns/event (cpu) | least bytes/event | share of the copy limit |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (step, wall, cpu) in &best {
        let mut bytes = bytes_per_event(step, id);
        let written = match *step {
            "features.population" => columns - beside,
            "features.build" => beside,
            _ => 0,
        };
        let table = 2.0 * 8.0 * written as f64 * log.customer_count() as f64 / events;
        bytes = bytes.map(|bytes| bytes + table);
        let (bytes, share) = match bytes {
            None => ("".into(), "".into()),
            Some(bytes) => (
                format!("{bytes:.0}"),
                format!("{:.0} %", 100.0 * bytes * events / wall / limit),
            ),
        };
        println!(
            "| {step} | {wall:.3} | {cpu:.3} | {:.1} | {bytes} | {share} |",
            cpu * 1e9 / events
        );
    }
    let wall: f64 = best.iter().map(|step| step.1).sum();
    let cpu: f64 = best.iter().map(|step| step.2).sum();
    println!(
        "| all | {wall:.3} | {cpu:.3} | {:.1} | | |",
        cpu * 1e9 / events
    );
    Ok(())
}
