//! Uplift among the first k of a ranking.

use serde::{Deserialize, Serialize};

use super::cuts::{Cuts, ranking};
use crate::error::{Error, Result};

/// Which units are the first k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpliftAtK {
    /// The share k of all units.
    Overall,
    /// The share k of each arm.
    ByGroup,
}

/// Difference of mean outcomes among the first share `k` of the ranking (rounded down to whole
/// units, as scikit-uplift does). A tie that the border divides counts with its share.
///
/// # Errors
/// Those of [`Cuts::new`]; `InvalidParameter` for `k` outside (0, 1]; `NotEnoughData` where an arm
/// has no unit among the first.
///
/// # Example
/// ```
/// use churn_core::metrics::uplift::{UpliftAtK, uplift_at_k};
/// let score = [0.9, 0.8, 0.7, 0.2];
/// let uplift = uplift_at_k(&score, &[true, false, true, false], &[1.0, 0.0, 1.0, 1.0], 0.5, UpliftAtK::Overall)?;
/// assert_eq!(uplift, 1.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn uplift_at_k(
    score: &[f64],
    treated: &[bool],
    outcome: &[f64],
    k: f64,
    strategy: UpliftAtK,
) -> Result<f64> {
    if !(k > 0.0 && k <= 1.0) {
        return Err(Error::invalid_parameter(
            "uplift.k",
            "a share above 0 and not above 1",
            k,
        ));
    }
    match strategy {
        UpliftAtK::Overall => {
            let cuts = Cuts::new(score, treated, outcome)?;
            let first = cuts.above((score.len() as f64 * k).floor());
            if first.treated == 0.0 || first.control == 0.0 {
                return Err(no_unit());
            }
            Ok(first.difference())
        }
        UpliftAtK::ByGroup => {
            let order = ranking(score, treated, outcome)?;
            let mean = |arm: bool| -> Result<f64> {
                let rows: Vec<usize> = order
                    .iter()
                    .copied()
                    .filter(|r| treated[*r] == arm)
                    .collect();
                let mut left = (rows.len() as f64 * k).floor();
                if left == 0.0 {
                    return Err(no_unit());
                }
                let units = left;
                let mut sum = 0.0;
                for tied in rows.chunk_by(|a, b| score[*a] == score[*b]) {
                    let share = (left / tied.len() as f64).min(1.0);
                    sum += share * tied.iter().map(|row| outcome[*row]).sum::<f64>();
                    left -= share * tied.len() as f64;
                    if left <= 0.0 {
                        break;
                    }
                }
                Ok(sum / units)
            };
            Ok(mean(true)? - mean(false)?)
        }
    }
}

fn no_unit() -> Error {
    Error::not_enough_data("uplift.k", "units of both arms among the first", "none")
}
