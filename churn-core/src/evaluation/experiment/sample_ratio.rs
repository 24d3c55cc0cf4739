//! The check that comes first: did the arms get the shares that were planned?

use serde::{Deserialize, Serialize};

use super::Arms;
use crate::error::{Error, Result};
use crate::math::distributions::chi_square_tail;

/// Below this p-value the split is taken for broken, not for unlucky.
const ALARM: f64 = 0.001;

/// Answer of [`sample_ratio`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    /// Units per arm.
    pub observed: Vec<u64>,
    /// Units per arm that the plan would give on average.
    pub expected: Vec<f64>,
    /// p-value of Pearson's chi-square test.
    pub p_value: f64,
    /// Whether units were lost or sent elsewhere (p below 0.001): then no other number of the
    /// experiment can be trusted.
    pub mismatch: bool,
}

/// Tests the numbers of units per arm against the planned shares (all equal if empty).
///
/// # Errors
/// `LengthMismatch` for shares of another number of arms; `InvalidParameter` for a share that is
/// not positive.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{Arms, sample_ratio};
/// let codes = (0..1000).map(|i| u32::from(i % 20 < 8)).collect();
/// let arms = Arms::from_codes(vec!["control".into(), "coupon".into()], codes)?;
/// let check = sample_ratio(&arms, &[])?;
/// assert_eq!(check.observed, [600, 400]);
/// assert!(check.mismatch, "600 to 400 is no accident at equal shares");
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn sample_ratio(arms: &Arms, shares: &[f64]) -> Result<SampleRatio> {
    let k = arms.names().len();
    let equal = vec![1.0; k];
    let shares = if shares.is_empty() { &equal } else { shares };
    if shares.len() != k {
        return Err(Error::length_mismatch("experiment.shares", k, shares.len()));
    }
    if let Some(share) = shares.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(Error::invalid_parameter(
            "experiment.shares",
            "positive shares",
            share,
        ));
    }
    let total: f64 = shares.iter().sum();
    let n = arms.len() as f64;
    let expected: Vec<f64> = shares.iter().map(|share| n * share / total).collect();
    let pairs = arms.counts().iter().zip(&expected);
    let statistic: f64 = pairs.map(|(o, e)| (*o as f64 - e).powi(2) / e).sum();
    let p_value = chi_square_tail(statistic, (k - 1) as f64);
    Ok(SampleRatio {
        observed: arms.counts().iter().map(|count| *count as u64).collect(),
        expected,
        p_value,
        mismatch: p_value < ALARM,
    })
}
