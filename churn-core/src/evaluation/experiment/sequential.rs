//! Intervals that hold however often one looks.

use serde::{Deserialize, Serialize};

use super::frequentist::check_confidence;
use crate::error::{Error, Result};

/// Settings of always-valid intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequentialSettings {
    /// Number of units at which the interval is made tightest; choose what the experiment is
    /// expected to reach. Default 5,000.
    pub tightest_at: f64,
}

impl Default for SequentialSettings {
    fn default() -> Self {
        SequentialSettings {
            tightest_at: 5_000.0,
        }
    }
}

/// Half the width of the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy &
/// Ramdas (2024, Annals of Statistics 52(6)): with probability `confidence` the truth lies within
/// estimate ± this at *all* looks together, so peeking and stopping at will are allowed.
///
/// `standard_error` is that of the estimate from `n` units.
///
/// # Errors
/// `InvalidParameter` for a `confidence` outside (0, 1), a negative `standard_error`, no units or
/// `tightest_at` below 1.
pub fn always_valid_half_width(
    standard_error: f64,
    n: u64,
    confidence: f64,
    settings: &SequentialSettings,
) -> Result<f64> {
    check_confidence(confidence)?;
    let positive = |what: &str, value: f64, least: f64| {
        if value.is_finite() && value >= least {
            return Ok(());
        }
        Err(Error::invalid_parameter(
            what,
            format_args!("a number not below {least}"),
            value,
        ))
    };
    positive("experiment.standard_error", standard_error, 0.0)?;
    positive("experiment.n", n as f64, 1.0)?;
    positive(
        "experiment.sequential.tightest_at",
        settings.tightest_at,
        1.0,
    )?;
    let n = n as f64;
    let alpha = 1.0 - confidence;
    let twice = -2.0 * alpha.ln();
    let rho_squared = (twice + (twice + 1.0).ln()) / settings.tightest_at;
    let grown = n * rho_squared + 1.0;
    // In units of the standard error of the mean of n units.
    let factor = 2.0 * grown / (n * rho_squared) * (grown.sqrt() / alpha).ln();
    Ok(standard_error * factor.sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;
    use crate::math::random::Random;

    /// Peeking after every 100 units, 20 times: the fixed interval errs far more often than it
    /// says, the sequential one does not.
    #[test]
    fn peeking_is_safe_with_it_and_only_with_it() {
        let settings = SequentialSettings {
            tightest_at: 1000.0,
        };
        let (mut sequential, mut fixed) = (0, 0);
        for experiment in 0..400 {
            let mut random = Random::new(7, experiment);
            let mut values: [Vec<f64>; 2] = Default::default();
            let (mut wrong_sequential, mut wrong_fixed) = (false, false);
            for _ in 0..20 {
                for arm in &mut values {
                    arm.extend((0..50).map(|_| random.exponential(1.0)));
                }
                let samples = [Sample::of(&values[0]), Sample::of(&values[1])];
                let difference = (samples[1].mean - samples[0].mean).abs();
                let error = samples[0]
                    .standard_error()
                    .hypot(samples[1].standard_error());
                let n = samples[0].n + samples[1].n;
                let half = always_valid_half_width(error, n, 0.95, &settings).unwrap();
                wrong_sequential |= difference > half;
                wrong_fixed |= difference > 1.96 * error;
            }
            sequential += u32::from(wrong_sequential);
            fixed += u32::from(wrong_fixed);
        }
        assert!(sequential <= 20, "{sequential} of 400 at 5 %");
        assert!(fixed > 60, "{fixed} of 400");
    }
}
