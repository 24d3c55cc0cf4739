//! How fast the days of the shop went by: what happened to everybody is nobody's silence.
//!
//! A customer who bought a days ago buys today with the chance h(a), which is counted over the whole
//! past (for those with one purchase day apart from the others). On day d, c customers bought again
//! where the sum of chances makes e expected, times what the surrounding 91 days (45 before, 45
//! after, as far as they have passed) had more or less than expected. With gamma distributed pace of
//! mean 1 and variance v,
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
/// Of fewer closed gaps no pace is learned.
const LEAST_GAPS: f64 = 1_000.0;
/// Where fewer are expected around a day, nothing is.
const LEAST_CHANCES: f64 = 1e-6;
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
    pub(super) fn learn(sample: &Sample, today: i64) -> Self {
        let earliest = sample.buyers().map(|buyer| i64::from(buyer.days[0])).min();
        let first = match earliest {
            Some(day) if day + 1 < today => (day + 1).max(today - MOST_DAYS),
            _ => return ShopPace::default(),
        };
        let spans = spans(sample, first, today);
        let n = (today - first) as usize;
        let chances = Chances::count(&spans, n);
        let (mut closed, mut expected) = (vec![0.0; n], vec![0.0; n]);
        for span in &spans {
            let chances = chances.of(span);
            for (day, chance) in expected[span.days()].iter_mut().zip(chances) {
                *day += chance;
            }
            if span.closed {
                closed[span.to - 1] += 1.0;
            }
        }
        match paces(&closed, &expected) {
            days if days.is_empty() => ShopPace::default(),
            days => ShopPace {
                first_day: first,
                days,
            },
        }
    }
}

/// Days on which a customer was at risk of buying again.
struct Span {
    /// Counted from the first day of all; `to` is not one of them.
    from: usize,
    to: usize,
    /// Days since the last purchase on day `from`, at least 1.
    age: usize,
    /// Whether there was more than one purchase day before.
    again: bool,
    /// Whether the customer bought on the last of them.
    closed: bool,
}

impl Span {
    fn days(&self) -> std::ops::Range<usize> {
        self.from..self.to
    }
}

/// Where customers were at risk from `first` on and before `today`, up to [`MOST_DAYS`] after a purchase.
fn spans(sample: &Sample, first: i64, today: i64) -> Vec<Span> {
    let mut spans = Vec::new();
    for buyer in sample.buyers() {
        let after = buyer.days[1..].iter().map(|day| i64::from(*day));
        let ends = after.chain(buyer.open.then_some(i64::MAX));
        for (known, (start, end)) in buyer.days.iter().zip(ends).enumerate() {
            let start = i64::from(*start);
            let from = (start + 1).max(first);
            let to = end.min(start + MOST_DAYS).min(today - 1);
            if from <= to {
                spans.push(Span {
                    from: (from - first) as usize,
                    to: (to - first) as usize + 1,
                    age: (from - start) as usize,
                    again: known > 0,
                    closed: to == end,
                });
            }
        }
    }
    spans
}

/// The chance of buying so many days after the last purchase, of first and of later gaps.
struct Chances([Vec<f64>; 2]);

impl Chances {
    fn count(spans: &[Span], days: usize) -> Self {
        // Ages are at most those days and what had passed before the first of them.
        let ages = MOST_DAYS as usize + days + 2;
        let mut closed = [vec![0.0; ages], vec![0.0; ages]];
        let mut risk = closed.clone();
        for span in spans {
            let (which, end) = (usize::from(span.again), span.age + span.to - span.from);
            risk[which][span.age] += 1.0;
            risk[which][end] -= 1.0;
            closed[which][end - 1] += f64::from(u8::from(span.closed));
        }
        for (closed, risk) in closed.iter_mut().zip(&risk) {
            let mut at_risk = 0.0;
            for (closed, change) in closed.iter_mut().zip(risk) {
                at_risk += change;
                if at_risk > 0.0 {
                    *closed /= at_risk;
                }
            }
        }
        Chances(closed)
    }

    /// The chances of a span's days.
    fn of(&self, span: &Span) -> &[f64] {
        &self.0[usize::from(span.again)][span.age..]
    }
}

/// The pace of days on which so many gaps ended where the chances make so many expected; empty where
/// it is the same throughout.
fn paces(closed: &[f64], chances: &[f64]) -> Vec<f64> {
    let sums = |values: &[f64]| {
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for value in values {
            sum += value;
            sums.push(sum);
        }
        sums
    };
    let (all_closed, all_chances) = (sums(closed), sums(chances));
    let n = closed.len();
    if all_closed[n] < LEAST_GAPS {
        return Vec::new();
    }
    let expected: Vec<f64> = (0..n)
        .map(|day| {
            let (from, to) = (day.saturating_sub(AROUND), n.min(day + AROUND + 1));
            let around = all_chances[to] - all_chances[from];
            if around > LEAST_CHANCES {
                chances[day] * (all_closed[to] - all_closed[from]) / around
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
    // Where nothing was expected it is NaN, which is not above anything.
    let differ = variance > 2.0 * (2.0 / squares).sqrt();
    if !differ {
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
