//! How fast the days of the shop went by: what happened to everybody is nobody's silence.
//!
//! On each day d, c customers end a gap of those who are at risk, that is whose last purchase is at
//! most three mean gaps ago. The share of the surrounding 91 days (45 before, 45 after, as far as
//! they have passed) makes e expected. With gamma distributed pace of mean 1 and variance v,
//!
//! ```text
//! pace = (c + 1/v) / (e + 1/v)       v = (Σ (c − e)² − Σ e) / Σ e²
//! ```
//!
//! within 0.2 to 5: counts are Poisson, and v is what they vary beyond that. Where v is less than
//! two standard errors √(2 / Σ e²), or of fewer than 1,000 gaps, the pace is 1 throughout.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::error::{Error, Result};
use crate::time::MICROS_PER_DAY;

/// Days before the instant for which a pace is learned.
const MOST_DAYS: i64 = 1_096;
/// Days before and behind that count as around a day.
const AROUND: usize = 45;
/// Mean gaps for which a customer is at risk.
const AT_RISK: f64 = 3.0;
/// Of fewer closed gaps no pace is learned.
const LEAST_GAPS: f64 = 1_000.0;
/// A day counts at least and at most so much.
const PACES: (f64, f64) = (0.2, 5.0);

/// How many days each day stands for; 1 outside. The default is 1 throughout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopPace {
    /// The first of them (UTC days since 1970).
    pub first_day: i64,
    /// The pace of each day from there on, 0.2 to 5.
    pub days: Vec<f64>,
}

impl ShopPace {
    /// Whether all days are alike.
    pub fn is_even(&self) -> bool {
        self.days.is_empty()
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(-10_000_000..=10_000_000).contains(&self.first_day) {
            return Err(Error::invalid_parameter(
                "population.gaps.pace.first_day",
                "a day from -10000000 to 10000000",
                self.first_day,
            ));
        }
        if self.days.len() as i64 > MOST_DAYS {
            return Err(Error::invalid_parameter(
                "population.gaps.pace.days",
                format_args!("at most {MOST_DAYS} days"),
                self.days.len(),
            ));
        }
        match self.days.iter().find(|x| !(PACES.0..=PACES.1).contains(*x)) {
            None => Ok(()),
            Some(wrong) => Err(Error::invalid_parameter(
                "population.gaps.pace.days",
                format_args!("a pace from {} to {}", PACES.0, PACES.1),
                wrong,
            )),
        }
    }

    /// Learns from all days before `today`.
    pub(super) fn learn(sample: &Sample, today: i64, mean_days: f64) -> Self {
        let horizon = (AT_RISK * mean_days).ceil().clamp(1.0, 1e6) as i64;
        let earliest = sample.buyers().map(|buyer| i64::from(buyer.days[0])).min();
        let first = match earliest {
            Some(day) if day < today => (day + 1).max(today - MOST_DAYS),
            _ => return ShopPace::default(),
        };
        let n = (today - first).max(0) as usize;
        let (mut closed, mut risk) = (vec![0.0; n], vec![0.0; n + 1]);
        // Days from..=to are at risk.
        let mut at_risk = |from: i64, to: i64| {
            let (from, to) = (from.max(first), to.min(today - 1));
            if from <= to {
                risk[(from - first) as usize] += 1.0;
                risk[(to - first) as usize + 1] -= 1.0;
            }
        };
        for buyer in sample.buyers() {
            for pair in buyer.days.windows(2) {
                let (start, end) = (i64::from(pair[0]), i64::from(pair[1]));
                at_risk(start + 1, end.min(start + horizon));
                if end - start <= horizon && (first..today).contains(&end) {
                    closed[(end - first) as usize] += 1.0;
                }
            }
            if buyer.open {
                let last = i64::from(buyer.days[buyer.days.len() - 1]);
                at_risk(last + 1, last + horizon);
            }
        }
        let mut count = 0.0;
        let risk: Vec<f64> = risk[..n]
            .iter()
            .map(|change| {
                count += change;
                count
            })
            .collect();
        match paces(&closed, &risk) {
            days if days.is_empty() => ShopPace::default(),
            days => ShopPace {
                first_day: first,
                days,
            },
        }
    }
}

/// The pace of days on which so many gaps ended of so many; empty where it is the same throughout.
fn paces(closed: &[f64], risk: &[f64]) -> Vec<f64> {
    let sums = |values: &[f64]| {
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for value in values {
            sum += value;
            sums.push(sum);
        }
        sums
    };
    // Whole numbers, so that differences of sums are exact.
    let (all_closed, all_risk) = (sums(closed), sums(risk));
    let n = closed.len();
    if all_closed[n] < LEAST_GAPS {
        return Vec::new();
    }
    let expected: Vec<f64> = (0..n)
        .map(|day| {
            let (from, to) = (day.saturating_sub(AROUND), n.min(day + AROUND + 1));
            let around = all_risk[to] - all_risk[from];
            if around > 0.0 {
                risk[day] * (all_closed[to] - all_closed[from]) / around
            } else {
                0.0
            }
        })
        .collect();
    let (mut excess, mut squares) = (0.0, 0.0);
    for (c, e) in closed.iter().zip(&expected) {
        excess += (c - e) * (c - e) - e;
        squares += e * e;
    }
    let variance = excess / squares;
    // Also where nothing was expected: NaN is not above anything.
    if !(variance > 2.0 * (2.0 / squares).sqrt()) {
        return Vec::new();
    }
    let weight = 1.0 / variance;
    let paces = closed
        .iter()
        .zip(&expected)
        .map(|(c, e)| ((c + weight) / (e + weight)).clamp(PACES.0, PACES.1));
    paces.collect()
}

/// Days of the shop beyond those of the calendar.
#[derive(Debug, Clone)]
pub(super) struct ShopTime {
    first_day: i64,
    /// Extra days gained before each day, and after the last one.
    extra: Vec<f64>,
}

impl ShopTime {
    pub(super) fn new(pace: &ShopPace) -> Self {
        let mut extra = vec![0.0];
        let mut sum = 0.0;
        for day in &pace.days {
            sum += day - 1.0;
            extra.push(sum);
        }
        ShopTime {
            first_day: pace.first_day,
            extra,
        }
    }

    /// Extra days from the start of one day to the start of another.
    #[inline]
    pub(super) fn extra_days(&self, from: i64, to: i64) -> f64 {
        self.before(to) - self.before(from)
    }

    /// Extra days from one instant (microseconds) to another.
    #[inline]
    pub(super) fn extra(&self, from: i64, to: i64) -> f64 {
        if self.extra.len() == 1 {
            return 0.0;
        }
        let at = |micros: i64| {
            let day = micros.div_euclid(MICROS_PER_DAY);
            let part = micros.rem_euclid(MICROS_PER_DAY) as f64 / MICROS_PER_DAY as f64;
            let before = self.before(day);
            before + part * (self.before(day + 1) - before)
        };
        at(to) - at(from)
    }

    /// Extra days gained before a day.
    #[inline]
    fn before(&self, day: i64) -> f64 {
        let last = self.extra.len() - 1;
        let place = (day - self.first_day).clamp(0, last as i64);
        self.extra[place as usize]
    }
}
