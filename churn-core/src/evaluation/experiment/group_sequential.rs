//! Planned looks: bounds that spend the error of a test bit by bit.

use serde::{Deserialize, Serialize};

use super::frequentist::check_confidence;
use crate::error::{Error, Result};
use crate::math::distributions::{normal_cdf, normal_pdf, normal_quantile};

/// How fast the error is spent (Lan & DeMets 1983, Biometrika 70).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// Almost nothing early, almost all at the end, as the bounds of O'Brien & Fleming. The
    /// default: the last look costs next to nothing.
    #[default]
    ObrienFleming,
    /// Evenly, as the bounds of Pocock: for experiments that should stop early.
    Pocock,
}

impl Spending {
    /// Two-sided error spent when the share `t` of the information is in.
    fn spent(self, t: f64, alpha: f64) -> f64 {
        match self {
            Spending::ObrienFleming => {
                // Each side spends half, as a one-sided test of half the error would.
                let z = normal_quantile(1.0 - alpha / 4.0);
                (4.0 * normal_cdf(-z / t.sqrt())).min(alpha)
            }
            Spending::Pocock => alpha * (1.0 + (std::f64::consts::E - 1.0) * t).ln(),
        }
    }
}

/// Points of the grid on which the density of the running statistic is kept.
const GRID: usize = 2_001;
/// Where a bound is out of reach.
const FAR: f64 = 9.0;

/// The bounds |z| of a two-sided test with looks when these shares of the units are in.
///
/// Stop at a look if the z statistic passes its bound; the error over all looks together is
/// 1 − `confidence`. Computed by recursive integration (Armitage, McPherson & Rowe 1969, JRSS A
/// 132).
///
/// # Errors
/// `InvalidParameter` for looks that do not ascend within (0, 1] or `confidence` outside (0, 1);
/// `NotEnoughData` without looks.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{Spending, group_sequential_bounds};
/// let bounds = group_sequential_bounds(&[0.5, 1.0], 0.95, Spending::ObrienFleming)?;
/// assert!((bounds[0] - 2.963).abs() < 1e-3 && (bounds[1] - 1.969).abs() < 1e-3);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn group_sequential_bounds(
    looks: &[f64],
    confidence: f64,
    spending: Spending,
) -> Result<Vec<f64>> {
    check_confidence(confidence)?;
    if looks.is_empty() {
        return Err(Error::not_enough_data("experiment.looks", "one look", 0));
    }
    let mut before = 0.0;
    for (i, look) in looks.iter().enumerate() {
        if !(*look > before && *look <= 1.0) {
            return Err(Error::invalid_parameter(
                format!("experiment.looks[{i}]"),
                format_args!("a share above {before} and not above 1"),
                look,
            ));
        }
        before = *look;
    }
    let alpha = 1.0 - confidence;
    let mut bounds: Vec<f64> = Vec::with_capacity(looks.len());
    // Density of the score B(t) = z √t on the part where the experiment still runs.
    let mut running: Vec<(f64, f64)> = Vec::new();
    let (mut spent, mut time) = (0.0, 0.0);
    for look in looks {
        let target = (spending.spent(*look, alpha) - spent).max(0.0);
        let step: f64 = (look - time).sqrt();
        let crossing = |bound: f64| -> f64 {
            let edge = bound * look.sqrt();
            if running.is_empty() {
                return 2.0 * normal_cdf(-bound);
            }
            let outside = |(x, mass): &(f64, f64)| {
                mass * (normal_cdf((-edge - x) / step) + normal_cdf((x - edge) / step))
            };
            running.iter().map(outside).sum()
        };
        let (mut low, mut high) = (0.0, FAR);
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if crossing(middle) > target {
                low = middle;
            } else {
                high = middle;
            }
        }
        let bound = f64::midpoint(low, high);
        let edge = bound * look.sqrt();
        let width = 2.0 * edge / (GRID - 1) as f64;
        let next = (0..GRID).map(|i| {
            let x = -edge + width * i as f64;
            let density = if running.is_empty() {
                normal_pdf(x / step) / step
            } else {
                let terms = running.iter();
                terms
                    .map(|(from, mass)| mass * normal_pdf((x - from) / step) / step)
                    .sum()
            };
            // Simpson's weights.
            let weight = match i {
                0 => 1.0,
                _ if i == GRID - 1 => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            (x, density * weight * width / 3.0)
        });
        running = next.collect();
        bounds.push(bound);
        spent += target;
        time = *look;
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published bounds of five equal looks at two-sided 5 %: Lan & DeMets' spending functions as
    /// tabulated for the R package ldbounds.
    #[test]
    fn five_looks_have_their_published_bounds() {
        let looks = [0.2, 0.4, 0.6, 0.8, 1.0];
        for (spending, published) in [
            (
                Spending::ObrienFleming,
                [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
            ),
            (Spending::Pocock, [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
        ] {
            let bounds = group_sequential_bounds(&looks, 0.95, spending).unwrap();
            for (got, want) in bounds.iter().zip(published) {
                assert!((got - want).abs() < 1e-3, "{bounds:?} {published:?}");
            }
        }
    }

    #[test]
    fn one_look_is_the_plain_test() {
        let bound = group_sequential_bounds(&[1.0], 0.95, Spending::Pocock).unwrap();
        assert!((bound[0] - 1.959_963_984_540).abs() < 1e-9, "{bound:?}");
    }

    #[test]
    fn looks_must_ascend() {
        let error =
            |looks: &[f64]| group_sequential_bounds(looks, 0.95, Spending::Pocock).unwrap_err();
        assert_eq!(error(&[0.5, 0.5]).what(), "experiment.looks[1]");
        assert_eq!(error(&[1.2]).what(), "experiment.looks[0]");
        assert_eq!(error(&[f64::NAN]).what(), "experiment.looks[0]");
    }
}
