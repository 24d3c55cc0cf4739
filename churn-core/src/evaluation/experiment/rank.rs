//! The rank test of Mann and Whitney: is a unit of one arm likely to lie above one of the other?

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::distributions::normal_cdf;

/// Answer of [`mann_whitney`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankTest {
    /// The statistic U of the treated arm: pairs in which it lies above, ties counted half.
    pub u: f64,
    /// Probability that a treated unit lies above a control unit, ties counted half; 0.5 = none.
    pub superiority: f64,
    /// Two-sided p-value, normal approximation with correction for ties and continuity.
    pub p_value: f64,
}

/// Mann & Whitney (1947): compares whole distributions, so a few huge orders do not decide it.
///
/// It does not compare means: money may go up while the typical customer spends less.
///
/// # Errors
/// `NotEnoughData` for an arm without units; `InvalidValue` for a value that is not finite, its
/// row counted within the arm.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::mann_whitney;
/// let test = mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[3.5, 4.0, 5.0, 6.0])?;
/// assert_eq!(test.u, 14.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn mann_whitney(control: &[f64], treated: &[f64]) -> Result<RankTest> {
    let mut pooled = Vec::with_capacity(control.len() + treated.len());
    for (name, values, is_treated) in [("control", control, false), ("treated", treated, true)] {
        if values.is_empty() {
            return Err(Error::not_enough_data(
                format!("experiment.{name}"),
                "at least one unit",
                0,
            ));
        }
        for (row, value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::invalid_value(
                    format!("experiment.{name}"),
                    row,
                    "a finite number",
                    value,
                ));
            }
            pooled.push((*value, is_treated));
        }
    }
    pooled.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (n0, n1) = (control.len() as f64, treated.len() as f64);
    let n = n0 + n1;
    let mut rank_sum = 0.0;
    let mut tie_term = 0.0;
    let mut start = 0;
    // Zero and minus zero are one value: compare by ==, not by order of bits.
    while start < pooled.len() {
        let mut end = start + 1;
        while end < pooled.len() && pooled[end].0 == pooled[start].0 {
            end += 1;
        }
        let ties = (end - start) as f64;
        let rank = (start + 1 + end) as f64 / 2.0;
        let members = pooled[start..end].iter().filter(|p| p.1).count();
        rank_sum += rank * members as f64;
        tie_term += ties * (ties * ties - 1.0);
        start = end;
    }
    let u = rank_sum - n1 * (n1 + 1.0) / 2.0;
    let variance = n0 * n1 / 12.0 * ((n + 1.0) - tie_term / (n * (n - 1.0)));
    let distance = (u - n0 * n1 / 2.0).abs() - 0.5;
    let p_value = if variance > 0.0 {
        (2.0 * normal_cdf(-distance / variance.sqrt())).min(1.0)
    } else {
        1.0
    };
    Ok(RankTest {
        u,
        superiority: u / (n0 * n1),
        p_value,
    })
}
