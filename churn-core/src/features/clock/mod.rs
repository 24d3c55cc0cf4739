//! The personal purchase clock: when a customer's next purchase is due, and how unusual today's
//! silence is.
//!
//! A gap is measured in the mean gap that was to be expected of this customer when it began, and
//! compared with all gaps of the shop that began with equally many gaps known, measured in the same
//! way. In steps (n gaps known, Σ their sum in days of the shop, m and w the population's mean gap
//! and its weight, k the regularity):
//!
//! ```text
//! expected   μ = (Σ + w m) / (n + w)                             Bühlmann & Straub (1970)
//! relative   R = gap / μ
//! model      P(R ≥ r) = I_z(1 + (n + w) k, k), z = (n + w) / (n + w + r)
//! measured   T(r) = (S(r) − S(e)) / (1 − S(e))                   S: Kaplan & Meier (1958)
//! curve      (N T + κ model) / (N + κ)                           N measured gaps, κ = 30
//! ```
//!
//! *Model* is what gamma gaps of shape k with rates ~ Gamma(1 + w k, k w m) say after n gaps: the rate is
//! integrated out, which leaves a beta prime law; μ is its mean. *Measured* is what the shop's gaps
//! say: closed gaps and, as censored, the silences of today. Customers without contract leave
//! unseen; S levels off at their share, S(e), which is taken out (Maller & Zhou 1992), so that the
//! curve is about those who come back: an alarm at P(R ≥ r) = 5 % is false for 5 % of them. Of gaps longer
//! than any that could be seen (beyond e) the model speaks, up to the share S(e) of those not back; all
//! else is measured within what it leaves. Each of
//! seven groups (0, 1, 2, 3 to 5, 6 and more gaps known, the last two parted into the more and
//! the less regular) has a curve of its own.
//!
//! Days of the shop ([`ShopPace`]) run faster while everybody buys more often than around that time,
//! and slower while everybody buys less often. Of the future nothing is known: it has the pace 1.
//!
//! Nothing here iterates and nothing can fail: groups with few gaps keep to the model, and the model
//! needs one customer who came back. Not for seasonal buying (a long gap every winter).

mod curve;
mod fit;
mod pace;
mod sample;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use curve::GapCurve;
pub(super) use fit::{fit, moments_only};
pub use pace::ShopPace;
pub(super) use sample::{Bound, Candidates, Sample, fingerprint};

use super::purchases::Gaps;
use super::standing::Standing;
use crate::error::{Error, Result};
use crate::math::stats::squared_deviations;
use crate::time::MICROS_PER_DAY;
use curve::{Curve, base_curves};
use pace::ShopTime;

/// What the gaps of all customers say about the gaps of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapPrior {
    /// Mean gap of a customer (days).
    pub mean_days: f64,
    /// How many own gaps weigh as much as this mean.
    pub weight: f64,
    /// Squared ratio of spread to mean within customers; 0 = perfectly regular, 1 = exponential.
    pub relative_variance: f64,
    /// How fast the days of the shop went by.
    #[serde(default, skip_serializing_if = "ShopPace::is_even")]
    pub pace: ShopPace,
    /// Length of gaps over the expected length, for 0, 1, 2 known gaps, for 3 to 5 of the more and
    /// the less regular customers, and for 6 and more of these two; empty = the model alone.
    #[serde(default)]
    pub curves: Vec<GapCurve>,
}

impl GapPrior {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value, least) in [
            ("mean_days", self.mean_days, 1e-9),
            ("weight", self.weight, 1e-9),
            ("relative_variance", self.relative_variance, 0.0),
        ] {
            if !(least..=1e15).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("population.gaps.{name}"),
                    format_args!("{least} to 1e15"),
                    value,
                ));
            }
        }
        self.pace.check()?;
        if !self.curves.is_empty() && self.curves.len() != GROUPS {
            return Err(Error::invalid_parameter(
                "population.gaps.curves",
                format_args!("{GROUPS} curves or none"),
                self.curves.len(),
            ));
        }
        for (group, curve) in self.curves.iter().enumerate() {
            curve.check(group)?;
        }
        Ok(())
    }
}

/// Number of groups that have a curve each.
const GROUPS: usize = 7;
/// Known gaps for which the model of each group stands.
const MODEL_GAPS: [f64; GROUPS] = [0.0, 1.0, 2.0, 4.0, 4.0, 9.0, 9.0];

/// The group of a customer with these gaps (whole days), under the population's relative variance.
fn group(gaps: &Gaps, relative_variance: f64) -> usize {
    let first = match gaps.count {
        n @ 0..3 => return n as usize,
        3..6 => 3,
        _ => 5,
    };
    let n = gaps.count as f64;
    let mean = gaps.sum as f64 / n;
    let own = squared_deviations(gaps.count, gaps.sum, gaps.squares) / (n - 1.0);
    first + usize::from(own > relative_variance * mean * mean)
}

/// The clocks of customers under one population.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    mean_days: f64,
    weight: f64,
    relative_variance: f64,
    time: ShopTime,
    curves: Vec<Curve>,
}

/// A customer's clock at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Days of the shop since the last purchase.
    silence: f64,
    /// Expected gap in days of the shop.
    expected: f64,
    group: usize,
}

impl Clock {
    pub(super) fn new(prior: &GapPrior) -> Self {
        let curves = if prior.curves.is_empty() {
            base_curves(prior.weight, prior.relative_variance)
        } else {
            prior.curves.clone()
        };
        Clock {
            mean_days: prior.mean_days,
            weight: prior.weight,
            relative_variance: prior.relative_variance,
            time: ShopTime::new(&prior.pace),
            curves: curves.into_iter().map(Curve::new).collect(),
        }
    }

    /// The clock of a buyer at an instant (microseconds), not before the last purchase.
    #[inline]
    pub(super) fn read(&self, buyer: &Standing, as_of: i64) -> Reading {
        let days = (days_of(buyer.first), days_of(buyer.last));
        let extra = self.time.extra(buyer.last, as_of);
        let silence = buyer.silence(as_of) + extra;
        self.reading(&buyer.gaps(), days, silence.max(0.0))
    }

    /// The clock as it stood when the last gap ended; only where there is one.
    pub(super) fn read_last_gap(&self, buyer: &Standing) -> Reading {
        let last = days_of(buyer.last);
        let before = last - buyer.last_gap() as i64;
        let gap = buyer.last_gap() as f64 + self.time.extra_days(before, last);
        let days = (days_of(buyer.first), before);
        self.reading(&buyer.earlier_gaps(), days, gap)
    }

    fn reading(&self, gaps: &Gaps, (first, last): (i64, i64), silence: f64) -> Reading {
        let sum = gaps.sum as f64 + self.time.extra_days(first, last);
        Reading {
            silence,
            expected: expected(gaps.count, sum, self.mean_days, self.weight),
            group: group(gaps, self.relative_variance),
        }
    }

    /// Probability that a gap that a purchase ends is at least as long as the silence.
    #[inline]
    pub(super) fn tail(&self, reading: &Reading) -> f64 {
        let relative = reading.silence / reading.expected;
        self.curves
            .get(reading.group)
            .map_or(f64::NAN, |curve| curve.tail(relative))
    }

    /// Days until the expected next purchase, and until 80 % and 95 % of such gaps would have ended.
    #[inline]
    pub(super) fn due(&self, reading: &Reading) -> [f64; 3] {
        let due = self.curves.get(reading.group).map(|curve| curve.due);
        due.unwrap_or([f64::NAN; 3])
            .map(|relative| relative * reading.expected - reading.silence)
    }
}

fn days_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

/// The mean gap to be expected after `n` gaps of this sum.
fn expected(n: u64, sum: f64, mean_days: f64, weight: f64) -> f64 {
    (sum + weight * mean_days) / (n as f64 + weight)
}
