//! How fast the shop's clock goes on each day: closed days, holidays and promotions, as all buyers
//! together show them.
//!
//! O is the number of repeat purchases of a day, E their mean over the eight weeks around it. Days
//! differ by chance as well, so the pace of a day is drawn towards 1 as far as Poisson counts of
//! this size would differ without any cause:
//!
//! ```text
//! pace = (φ + O) / (φ + E)      1/φ = Σ ((O − E)² − E) / Σ E²      scaled to the mean 1
//! ```
//!
//! which is the posterior mean of a gamma-distributed pace, φ by moments. If the counts do not differ
//! more than chance, every pace is 1. A slow change, such as a season of months or a shop that
//! shrinks, moves E as well and is none of this.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::error::{Error, Result};

/// Days before and after a day that its mean looks at.
const AROUND: usize = 28;
/// Longer histories are not told day by day.
const MOST_DAYS: i64 = 36_525;
/// Standard errors by which the counts must differ more than chance.
const SURE: f64 = 3.0;
/// The slowest pace of a day: time never stands quite still.
const SLOWEST: f64 = 0.01;

/// The pace of every day of a history; all other days have the pace 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// The first day told, counted from 1970-01-01.
    pub first_day: i64,
    /// Pace of that day and of those after it; 1 = as around it.
    pub days: Vec<f64>,
}

impl Pace {
    /// Learns from the days before `today`, which is not over.
    pub(super) fn learn(sample: &Sample, today: i64) -> Self {
        let first = sample.days().map(|days| i64::from(days[0])).min();
        let Some(first) = first.filter(|first| today - first <= MOST_DAYS) else {
            return Pace::default();
        };
        let n = (today - first).max(0) as usize;
        let mut counts = vec![0_u32; n];
        for days in sample.days() {
            // The first purchase of a customer tells of acquisition.
            for day in &days[1..] {
                if let Some(count) = counts.get_mut((i64::from(*day) - first) as usize) {
                    *count += 1;
                }
            }
        }
        let mut before = vec![0_u64; n + 1];
        for (i, count) in counts.iter().enumerate() {
            before[i + 1] = before[i] + u64::from(*count);
        }
        let expected: Vec<f64> = (0..n)
            .map(|i| {
                let (from, to) = (i.saturating_sub(AROUND), n.min(i + AROUND + 1));
                (before[to] - before[from]) as f64 / (to - from) as f64
            })
            .collect();
        let (mut excess, mut squares, mut dispersion, mut told) = (0.0, 0.0, 0.0, 0.0);
        for (count, e) in counts.iter().zip(&expected) {
            if *e > 0.0 {
                let away = (f64::from(*count) - e).powi(2);
                excess += away - e;
                squares += e * e;
                dispersion += away / e - 1.0;
                told += 1.0;
            }
        }
        if told == 0.0 || dispersion <= SURE * f64::sqrt(2.0 * told) || excess <= 0.0 {
            return Pace::default();
        }
        let phi = squares / excess;
        let raw = counts.iter().zip(&expected);
        let raw: Vec<f64> = raw
            .map(|(o, e)| (phi + f64::from(*o)) / (phi + e))
            .collect();
        let mean = raw.iter().sum::<f64>() / n as f64;
        // Four digits are more than the counts can tell.
        let digits = |pace: f64| (pace / mean * 1e4).round() / 1e4;
        Pace {
            first_day: first,
            days: raw.iter().map(|pace| digits(*pace).max(SLOWEST)).collect(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |pace: &f64| !(1e-6..=1e6).contains(pace);
        if let Some(day) = self.days.iter().position(wrong) {
            return Err(Error::invalid_parameter(
                "population.gaps.pace.days",
                "paces from 0.000001 to 1000000",
                self.days[day],
            ));
        }
        if !(-4_000_000..=4_000_000).contains(&self.first_day) || self.days.len() as i64 > MOST_DAYS
        {
            return Err(Error::invalid_parameter(
                "population.gaps.pace",
                "days of the years -9999 to 9999, at most a hundred years",
                format_args!("{} days from day {}", self.days.len(), self.first_day),
            ));
        }
        Ok(())
    }
}

/// Time as the shop's clock tells it, in days of the pace 1.
#[derive(Debug, Clone)]
pub(super) struct ShopTime {
    first: f64,
    /// Shop time from the first day to the beginning of each day, and to the end of the last.
    before: Vec<f64>,
    pace: Vec<f64>,
}

impl ShopTime {
    pub(super) fn new(pace: &Pace) -> Self {
        let mut before = Vec::with_capacity(pace.days.len() + 1);
        let mut sum = 0.0;
        before.push(sum);
        for pace in &pace.days {
            sum += pace;
            before.push(sum);
        }
        ShopTime {
            first: pace.first_day as f64,
            before,
            pace: pace.days.clone(),
        }
    }

    /// Shop time of an instant, given in days since 1970-01-01.
    #[inline]
    pub(super) fn at(&self, day: f64) -> f64 {
        let since = day - self.first;
        let n = self.pace.len();
        if since < 0.0 || n == 0 {
            return since;
        }
        let whole = since as usize;
        if whole >= n {
            return self.before[n] + (since - n as f64);
        }
        self.before[whole] + (since - whole as f64) * self.pace[whole]
    }

    /// Shop time of the middle of a day.
    #[inline]
    pub(super) fn noon(&self, day: i64) -> f64 {
        self.at(day as f64 + 0.5)
    }
}
