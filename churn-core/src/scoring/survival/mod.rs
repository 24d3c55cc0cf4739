//! Time until something happens: survival curves and hazard models.
//!
//! Every row is one spell: how long it lasted and whether it ended (the customer left, the next
//! order came) or was still running when last seen, which is called censored. Leaving the running
//! spells out, or counting them as ended, makes every mean too short; these methods do neither.
//!
//! ```text
//! Durations ─▶ KaplanMeier ─▶ SurvivalCurve       share still there after t
//!           ─▶ NelsonAalen ─▶ HazardCurve         expected number of ends up to t
//!           ─▶ log_rank    ─▶ LogRank             do groups differ?
//!           ─▶ CoxPh       ─▶ CoxModel            which covariates speed the end up?
//!           ─▶ WeibullAft  ─▶ WeibullModel        the same, with a formula for all times
//! History   ─▶ PurchaseGaps ─▶ Durations          spells between purchases
//! ```
//!
//! Contracts end on a day, so their tenure is a spell as it stands. Without contracts nobody
//! ends anything; what can be studied is the time to the next order ([`PurchaseGaps`]), while
//! [`lifetime`](super::lifetime) asks who will never order again.

mod brier;
mod concordance;
mod cox;
mod curve;
mod durations;
mod gaps;
mod log_rank;
mod nelson_aalen;
mod regression;
mod weibull;

pub use brier::{BrierScores, brier_score};
pub use concordance::{Concordance, concordance};
pub use cox::{CoxModel, CoxPh, Ties};
pub use curve::{ConfidenceTransform, KaplanMeier, SurvivalCurve};
pub use durations::Durations;
pub use gaps::PurchaseGaps;
pub use log_rank::{GroupCount, LogRank, LogRankWeights, log_rank};
pub use nelson_aalen::{HazardCurve, HazardTies, NelsonAalen};
pub use regression::Coefficient;
pub use weibull::{WeibullAft, WeibullModel};

use crate::error::{Error, Result};
use crate::math::special::{gamma_q, gamma_quantile};

/// The z with P(|Z| ≤ z) = `confidence` for a standard normal: Z²/2 is gamma of shape ½.
fn normal_bound(confidence: f64) -> f64 {
    (2.0 * gamma_quantile(confidence, 0.5)).sqrt()
}

/// P(|Z| ≥ |z|) of a standard normal.
fn two_sided(z: f64) -> f64 {
    gamma_q(0.5, 0.5 * z * z)
}

/// P(X ≥ x) of a chi-square variable.
fn chi_square_tail(x: f64, degrees_of_freedom: usize) -> f64 {
    gamma_q(0.5 * degrees_of_freedom as f64, 0.5 * x.max(0.0))
}

fn check_confidence(place: &str, confidence: f64) -> Result<()> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        format!("{place}.confidence"),
        "a number between 0 and 1",
        confidence,
    ))
}

/// Times at which a curve is asked: finite and not negative.
fn check_times(times: &[f64]) -> Result<()> {
    match times.iter().position(|t| !(t.is_finite() && *t >= 0.0)) {
        None => Ok(()),
        Some(row) => Err(Error::invalid_value(
            "times",
            row,
            "a finite number not below 0",
            times[row],
        )),
    }
}

/// The value of a right-continuous step function: `before` ahead of the first of `times`.
fn step_at(times: &[f64], values: &[f64], before: f64, t: f64) -> f64 {
    match times.partition_point(|time| *time <= t) {
        0 => before,
        after => values[after - 1],
    }
}
