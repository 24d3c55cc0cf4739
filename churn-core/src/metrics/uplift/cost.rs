//! What a budget buys: the gain of the best costed policy, several arms per unit allowed.
//!
//! Source: Sverdrup, Wu, Athey & Wager (2025), "Qini curves for multi-armed treatment rules",
//! Journal of Computational and Graphical Statistics.

use crate::error::{Error, Result};

/// One point of a [`cost_curve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostPoint {
    /// Money spent per unit.
    pub spend: f64,
    /// Gain per unit, measured with the evaluation scores.
    pub gain: f64,
}

/// The curve of gain against budget of the policy that spends where the expected gain per money is
/// largest, treating each unit with at most one arm.
///
/// Shape: `expected`, `cost` and `score` are n × k, row-major: unit *i* and arm *a* at `i * k + a`.
/// `expected` decides whom to treat and comes from a model; `score` judges and must come from data
/// that the model has not seen ([`inverse_propensity_scores`](super::inverse_propensity_scores) or
/// doubly robust scores against no treatment).
///
/// Ends where nobody is left whose expected gain is positive. Units with equal gain per money are
/// bought together.
///
/// # Errors
/// `InvalidParameter` for no arms; `LengthMismatch` for columns that are not n × k;
/// `InvalidValue`, naming the unit, for a number that is not finite or a cost that is not positive.
///
/// # Example
/// ```
/// use churn_core::metrics::uplift::cost_curve;
/// // Two units, one arm: the cheaper gain is bought first.
/// let curve = cost_curve(1, &[4.0, 3.0], &[4.0, 1.0], &[5.0, 2.0])?;
/// assert_eq!(curve[1].spend, 0.5);
/// assert_eq!(curve[1].gain, 1.0);
/// assert_eq!(curve[2].gain, 3.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn cost_curve(
    arms: usize,
    expected: &[f64],
    cost: &[f64],
    score: &[f64],
) -> Result<Vec<CostPoint>> {
    if arms == 0 {
        return Err(Error::invalid_parameter("uplift.arms", "at least one", 0));
    }
    let units = expected.len() / arms;
    for (what, values) in [("expected", expected), ("cost", cost), ("score", score)] {
        if values.len() != units * arms {
            return Err(Error::length_mismatch(
                format!("uplift.{what}"),
                units * arms,
                values.len(),
            ));
        }
        let wrong = |v: &f64| !v.is_finite() || (what == "cost" && *v <= 0.0);
        if let Some(i) = values.iter().position(wrong) {
            let wanted = if what == "cost" {
                "a positive number"
            } else {
                "a finite number"
            };
            return Err(Error::invalid_value(
                format!("uplift.{what}"),
                i / arms,
                wanted,
                values[i],
            ));
        }
    }
    // Each step moves one unit along the upper hull of its arms: (gain per money, cost, score).
    let mut steps: Vec<(f64, f64, f64)> = Vec::new();
    let mut hull: Vec<(f64, f64, f64)> = Vec::new();
    for unit in 0..units {
        let of = unit * arms..(unit + 1) * arms;
        let mut options: Vec<(f64, f64, f64)> = of
            .map(|i| (cost[i], expected[i], score[i]))
            .filter(|option| option.1 > 0.0)
            .collect();
        options.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        hull.clear();
        hull.push((0.0, 0.0, 0.0));
        for option in options {
            if option.1 <= hull[hull.len() - 1].1 {
                continue;
            }
            let slope = |from: (f64, f64, f64)| (option.1 - from.1) / (option.0 - from.0);
            while hull.len() > 1 {
                let (last, before) = (hull[hull.len() - 1], hull[hull.len() - 2]);
                if slope(last) < (last.1 - before.1) / (last.0 - before.0) {
                    break;
                }
                hull.pop();
            }
            hull.push(option);
        }
        for pair in hull.windows(2) {
            let money = pair[1].0 - pair[0].0;
            steps.push((
                (pair[1].1 - pair[0].1) / money,
                money,
                pair[1].2 - pair[0].2,
            ));
        }
    }
    steps.sort_unstable_by(|a, b| {
        let by_slope = b.0.total_cmp(&a.0);
        by_slope.then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    let n = units as f64;
    let (mut spend, mut gain) = (0.0, 0.0);
    let mut curve = vec![CostPoint { spend, gain }];
    for tied in steps.chunk_by(|a, b| a.0 == b.0) {
        for step in tied {
            spend += step.1 / n;
            gain += step.2 / n;
        }
        curve.push(CostPoint { spend, gain });
    }
    Ok(curve)
}
