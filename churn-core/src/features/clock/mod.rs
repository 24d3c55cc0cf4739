//! The personal purchase clock: how long a customer's gaps are, and which silence is too long.
//!
//! Gaps between purchase days are gamma distributed with one shape k for all and a rate of each
//! customer's own; rates are gamma distributed over customers, so that after n gaps with the sum S
//! (w, m: weight and mean of the population)
//!
//! ```text
//! gap_mean     = (S + w m) / (n + w)
//! P(gap ≥ s)   = I_z(A, k)     A = (n + w) k,  z = B / (B + s),  B = S + w m
//! ```
//!
//! This is the exact answer of the model, not the gamma tail at the estimated mean: it knows that a
//! mean of two gaps is a guess, so that alarms are not raised too early. All time is shop time
//! ([`Pace`]): a day on which nobody buys counts little, for anybody.
//!
//! k, w and m come from the likelihood of the buyers, in which each silence is either a long gap or a
//! departure (see `fit`): without departures, those who left long ago would stretch everybody's gaps;
//! without silences, only short gaps would have had the time to close.
//!
//! The model assumes that a customer's rate does not change. Seasonal buyers and shops that grow
//! or shrink fast break it; how far is measured in `docs/MODELS.md`.

mod fit;
mod pace;
mod sample;

use serde::{Deserialize, Serialize};

pub(super) use fit::fit;
pub use pace::Pace;
use pace::ShopTime;
pub(super) use sample::{Bound, Sample};

use super::purchases::{Purchases, days};
use crate::error::{Error, Result};
use crate::math::incomplete_beta::{beta_tail, beta_tail_odds, ln_beta};
use crate::time::MICROS_PER_DAY;

/// Bounds of the estimated weight of the mean.
const WEIGHT_BOUNDS: (f64, f64) = (0.3, 50.0);
/// Shares of gaps that the two overdue features leave behind them.
pub(super) const LEVELS: [f64; 2] = [0.80, 0.95];
/// Customers with fewer gaps share what depends on their number alone.
const SHARED: usize = 128;

/// What the gaps of all customers say about the gaps of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapPrior {
    /// Mean gap of a customer (days at normal pace).
    pub mean_days: f64,
    /// How many own gaps weigh as much as this mean.
    pub weight: f64,
    /// Shape of the gaps: 1 = purely random, large = regular; 1/√shape is spread over mean.
    pub shape: f64,
    /// Mean probability of leaving for good after a purchase.
    pub departure: f64,
    /// How many purchases without leaving weigh as much as that mean.
    pub departure_weight: f64,
    /// How fast the shop's clock goes on each day of the history it was learned from.
    pub pace: Pace,
}

impl GapPrior {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value, least, most) in [
            ("mean_days", self.mean_days, 1e-9, 1e12),
            ("weight", self.weight, 1e-4, 1e10),
            ("shape", self.shape, 1e-3, 1e6),
            ("departure", self.departure, 0.0, 1.0),
            ("departure_weight", self.departure_weight, 0.0, 1e15),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("population.gaps.{name}"),
                    format_args!("{least} to {most}"),
                    value,
                ));
            }
        }
        self.pace.check()
    }
}

/// The clock of a population, ready to be read for any customer.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    weight: f64,
    /// w m.
    base: f64,
    pub(super) shape: f64,
    time: ShopTime,
    /// ln B(A, k) by number of gaps.
    ln_beta: Vec<f64>,
    /// Odds s/B at the two levels by number of gaps; empty where nobody asked.
    odds: Vec<[f64; 2]>,
}

/// One customer's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    gaps: u64,
    /// B.
    rate: f64,
    /// Mean gap (days of shop time).
    pub(super) mean: f64,
}

impl Clock {
    pub(super) fn new(prior: &GapPrior, with_quantiles: bool) -> Self {
        let (k, w) = (prior.shape, prior.weight);
        let at = |n: usize| (n as f64 + w) * k;
        let odds = |n| LEVELS.map(|level| beta_tail_odds(at(n), k, 1.0 - level));
        Clock {
            weight: w,
            base: w * prior.mean_days,
            shape: k,
            time: ShopTime::new(&prior.pace),
            ln_beta: (0..SHARED).map(|n| ln_beta(at(n), k)).collect(),
            odds: (0..if with_quantiles { SHARED } else { 0 })
                .map(odds)
                .collect(),
        }
    }

    /// The clock of a customer after all purchases; there is at least one.
    pub(super) fn after_all(&self, purchases: &Purchases) -> Reading {
        let (first, last) = (day(purchases.first), day(purchases.last));
        self.after(purchases.gaps.count, first, last)
    }

    /// The clock as it stood before the last gap closed; there is at least one gap.
    pub(super) fn before_last(&self, purchases: &Purchases) -> Reading {
        let first = day(purchases.first);
        let last = day(purchases.last) - purchases.last_gap as i64;
        self.after(purchases.earlier_gaps.count, first, last)
    }

    fn after(&self, gaps: u64, first: i64, last: i64) -> Reading {
        let sum = if gaps == 0 {
            0.0
        } else {
            self.time.noon(last) - self.time.noon(first)
        };
        let rate = sum + self.base;
        Reading {
            gaps,
            rate,
            mean: rate / (gaps as f64 + self.weight),
        }
    }

    /// Shop time from the last purchase to an instant.
    pub(super) fn silence(&self, purchases: &Purchases, as_of: i64) -> f64 {
        (self.time.at(days(as_of)) - self.time.at(days(purchases.last))).max(0.0)
    }

    /// Length of the last gap in shop time.
    pub(super) fn last_gap(&self, purchases: &Purchases) -> f64 {
        let last = day(purchases.last);
        self.time.noon(last) - self.time.noon(last - purchases.last_gap as i64)
    }

    /// Probability of a gap at least as long as `silence`, of one who comes back.
    pub(super) fn tail(&self, reading: &Reading, silence: f64) -> f64 {
        let at = self.at(reading);
        let ln_beta = match self.ln_beta.get(reading.gaps as usize) {
            Some(shared) => *shared,
            None => ln_beta(at, self.shape),
        };
        beta_tail(at, self.shape, silence / reading.rate, ln_beta)
    }

    /// Gaps that 80 % and 95 % of this customer's gaps do not reach.
    pub(super) fn quantiles(&self, reading: &Reading) -> [f64; 2] {
        let odds = match self.odds.get(reading.gaps as usize) {
            Some(shared) => *shared,
            None => {
                let at = self.at(reading);
                LEVELS.map(|level| beta_tail_odds(at, self.shape, 1.0 - level))
            }
        };
        odds.map(|odds| odds * reading.rate)
    }

    fn at(&self, reading: &Reading) -> f64 {
        (reading.gaps as f64 + self.weight) * self.shape
    }
}

fn day(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

#[cfg(test)]
mod tests;
