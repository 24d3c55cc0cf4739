//! Two arms compared by their means: Welch's interval and the interval of two proportions.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::distributions::{
    normal_cdf, normal_quantile, student_quantile, student_two_sided,
};

/// Number of units, mean and variance of one arm; all that tests of means need.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of units.
    pub n: u64,
    /// Mean of the outcome.
    pub mean: f64,
    /// Unbiased variance of the outcome; 0 for one unit.
    pub variance: f64,
}

impl Sample {
    /// The sample of these values; the caller has checked that they are finite and that there is
    /// at least one.
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Sample {
            n: values.len() as u64,
            mean,
            variance: if n > 1.0 { squares / (n - 1.0) } else { 0.0 },
        }
    }

    /// Standard error of the mean.
    pub fn standard_error(&self) -> f64 {
        (self.variance / self.n as f64).sqrt()
    }

    fn check(&self, what: &str) -> Result<()> {
        if self.n < 2 {
            return Err(Error::not_enough_data(
                what,
                "at least two units in each arm",
                self.n,
            ));
        }
        Ok(())
    }
}

/// A difference or ratio with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, on the scale of `value`.
    pub standard_error: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided p-value of no effect.
    pub p_value: f64,
}

pub(super) fn check_confidence(confidence: f64) -> Result<()> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "experiment.confidence",
        "a number between 0 and 1",
        confidence,
    ))
}

/// Welch's comparison of two means that need not have equal variances.
///
/// The difference treated − control with the t interval of Welch (1947, Biometrika 34), degrees of
/// freedom after Satterthwaite. Two arms without any variation give an interval of width 0.
///
/// # Errors
/// `NotEnoughData` for fewer than two units in an arm; `InvalidParameter` for `confidence` outside
/// (0, 1).
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{Sample, welch};
/// let control = Sample { n: 400, mean: 10.0, variance: 25.0 };
/// let treated = Sample { n: 400, mean: 11.0, variance: 36.0 };
/// let effect = welch(&control, &treated, 0.95)?;
/// assert_eq!(effect.value, 1.0);
/// assert!(effect.low > 0.0 && effect.p_value < 0.05);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn welch(control: &Sample, treated: &Sample, confidence: f64) -> Result<Estimate> {
    check_confidence(confidence)?;
    control.check("experiment.control")?;
    treated.check("experiment.treated")?;
    let value = treated.mean - control.mean;
    let parts = [control, treated].map(|s| s.variance / s.n as f64);
    let variance = parts[0] + parts[1];
    if variance == 0.0 {
        return Ok(Estimate {
            value,
            standard_error: 0.0,
            low: value,
            high: value,
            p_value: if value == 0.0 { 1.0 } else { 0.0 },
        });
    }
    let df = variance * variance
        / (parts[0] * parts[0] / (control.n - 1) as f64
            + parts[1] * parts[1] / (treated.n - 1) as f64);
    let standard_error = variance.sqrt();
    let half = student_quantile(f64::midpoint(1.0, confidence), df) * standard_error;
    Ok(Estimate {
        value,
        standard_error,
        low: value - half,
        high: value + half,
        p_value: student_two_sided(value / standard_error, df),
    })
}

/// The ratio treated / control of two positive means, by the delta method on its logarithm.
///
/// `None` where a mean is not positive, because then a ratio says nothing.
pub(super) fn ratio(control: &Sample, treated: &Sample, confidence: f64) -> Option<Estimate> {
    if control.mean <= 0.0 || treated.mean <= 0.0 {
        return None;
    }
    let value = treated.mean / control.mean;
    let relative = [control, treated].map(|s| s.variance / (s.n as f64 * s.mean * s.mean));
    let log_error = (relative[0] + relative[1]).sqrt();
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let p_value = match (log_error > 0.0, value == 1.0) {
        (true, _) => 2.0 * normal_cdf(-(value.ln() / log_error).abs()),
        (false, same) => f64::from(u8::from(same)),
    };
    Some(Estimate {
        value,
        standard_error: value * log_error,
        low: value * (-z * log_error).exp(),
        high: value * (z * log_error).exp(),
        p_value,
    })
}

/// The difference of two proportions: interval of Newcombe (1998, Statistics in Medicine 17,
/// method 10), p-value of the pooled z test.
///
/// Counts are events of units; unlike Welch's interval it stays inside −1 … 1 and is right for
/// rare events.
///
/// # Errors
/// `NotEnoughData` for an arm without units; `InvalidParameter` for more events than units or
/// `confidence` outside (0, 1).
pub fn two_proportions(
    control: (u64, u64),
    treated: (u64, u64),
    confidence: f64,
) -> Result<Estimate> {
    check_confidence(confidence)?;
    for (what, (events, units)) in [("control", control), ("treated", treated)] {
        if units == 0 {
            return Err(Error::not_enough_data(
                format!("experiment.{what}"),
                "at least one unit",
                0,
            ));
        }
        if events > units {
            return Err(Error::invalid_parameter(
                format!("experiment.{what}"),
                format_args!("at most {units} events"),
                events,
            ));
        }
    }
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let share = |(events, units): (u64, u64)| events as f64 / units as f64;
    let (p0, p1) = (share(control), share(treated));
    let (low0, high0) = wilson(control, z);
    let (low1, high1) = wilson(treated, z);
    let value = p1 - p0;
    let pooled = (control.0 + treated.0) as f64 / (control.1 + treated.1) as f64;
    let inverse = 1.0 / control.1 as f64 + 1.0 / treated.1 as f64;
    let null_error = (pooled * (1.0 - pooled) * inverse).sqrt();
    Ok(Estimate {
        value,
        standard_error: (p0 * (1.0 - p0) / control.1 as f64 + p1 * (1.0 - p1) / treated.1 as f64)
            .sqrt(),
        low: value - ((p1 - low1).powi(2) + (high0 - p0).powi(2)).sqrt(),
        high: value + ((high1 - p1).powi(2) + (p0 - low0).powi(2)).sqrt(),
        p_value: if null_error > 0.0 {
            2.0 * normal_cdf(-(value / null_error).abs())
        } else {
            1.0
        },
    })
}

/// The interval of one proportion of Wilson (1927).
fn wilson((events, units): (u64, u64), z: f64) -> (f64, f64) {
    let n = units as f64;
    let p = events as f64 / n;
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // Rounding must not push the ends beyond the proportion itself.
    (
        ((centre - half) / scale).min(p).max(0.0),
        ((centre + half) / scale).max(p).min(1.0),
    )
}
