//! Whether probabilities mean what they say: of the customers given 30 %, 30 % leave.
//!
//! Log loss and the Brier score are proper: no other probabilities than the true ones have a
//! better expected value. Calibration error alone is not: a constant forecast of the mean churn
//! is calibrated and useless.

use serde::{Deserialize, Serialize};

use super::{Rows, Sum};
use crate::error::{Error, Result};

/// Mean negative logarithm of the probability given to what happened (nats); smaller is better.
///
/// Probabilities are kept 2⁻⁵² away from 0 and 1, so that one impossible event costs about 36 and
/// not infinity. Equal to scikit-learn's `log_loss`.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1, a
/// probability outside \[0, 1\] or a negative weight.
///
/// # Example
/// ```
/// use churn_core::metrics::log_loss;
/// let loss = log_loss(&[1.0, 0.0], &[0.8, 0.4], None)?;
/// assert!((loss - (-(0.8_f64.ln()) - 0.6_f64.ln()) / 2.0).abs() < 1e-15);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn log_loss(labels: &[f64], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let rows = Rows::new(labels, probabilities, weights, true)?;
    Ok(rows.mean(|i| {
        let p = if labels[i] == 1.0 {
            probabilities[i]
        } else {
            1.0 - probabilities[i]
        };
        -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    }))
}

/// Mean squared distance of the probability from what happened, in \[0, 1\]; smaller is better.
///
/// Source: Brier (1950), Monthly Weather Review 78(1). Equal to scikit-learn's `brier_score_loss`.
///
/// # Errors
/// As [`log_loss`].
pub fn brier(labels: &[f64], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let rows = Rows::new(labels, probabilities, weights, true)?;
    Ok(rows.mean(|i| (probabilities[i] - labels[i]).powi(2)))
}

/// How probabilities are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// So many bins of equal width.
    Uniform(usize),
    /// So many bins of about equally many rows.
    Quantile(usize),
}

impl Default for Binning {
    /// Ten bins of equal width.
    fn default() -> Self {
        Binning::Uniform(10)
    }
}

impl Binning {
    /// The inner borders; a probability equal to a border belongs below it.
    fn borders(self, probabilities: &[f64]) -> Result<Vec<f64>> {
        let bins = match self {
            Binning::Uniform(bins) | Binning::Quantile(bins) => bins,
        };
        if !(1..=10_000).contains(&bins) {
            return Err(Error::invalid_parameter("bins", "1 to 10000 bins", bins));
        }
        let step = 1.0 / bins as f64;
        let inner = (1..bins).map(|k| k as f64 * step);
        Ok(match self {
            Binning::Uniform(_) => inner.collect(),
            Binning::Quantile(_) => {
                let mut sorted = probabilities.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                inner.map(|q| quantile(&sorted, q)).collect()
            }
        })
    }
}

/// Quantile by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996).
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = (at.floor() as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// Observed churn against stated probability, bin by bin; empty bins are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct ReliabilityCurve {
    /// Mean probability of each bin.
    pub predicted: Vec<f64>,
    /// Share of churners of each bin.
    pub observed: Vec<f64>,
    /// Sum of weights of each bin; number of rows where there are no weights.
    pub weight: Vec<f64>,
}

impl ReliabilityCurve {
    /// The curve of some rows. Without weights equal to scikit-learn's `calibration_curve`.
    ///
    /// # Errors
    /// As [`log_loss`]; `InvalidParameter` for a number of bins outside 1 to 10,000.
    ///
    /// # Example
    /// ```
    /// use churn_core::metrics::{Binning, ReliabilityCurve};
    /// let labels = [0.0, 0.0, 1.0, 1.0, 1.0];
    /// let curve = ReliabilityCurve::new(&labels, &[0.1, 0.2, 0.2, 0.8, 1.0], None, Binning::Uniform(2))?;
    /// assert_eq!(curve.observed, [1.0 / 3.0, 1.0]);
    /// assert_eq!(curve.weight, [3.0, 2.0]);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn new(
        labels: &[f64],
        probabilities: &[f64],
        weights: Option<&[f64]>,
        binning: Binning,
    ) -> Result<Self> {
        let rows = Rows::new(labels, probabilities, weights, true)?;
        let borders = binning.borders(probabilities)?;
        let mut bins = vec![[Sum::default(); 3]; borders.len() + 1];
        for row in 0..labels.len() {
            let weight = rows.weight(row);
            let bin = &mut bins[borders.partition_point(|border| *border < probabilities[row])];
            bin[0].add(weight);
            bin[1].add(weight * probabilities[row]);
            bin[2].add(weight * labels[row]);
        }
        let mut curve = ReliabilityCurve {
            predicted: Vec::new(),
            observed: Vec::new(),
            weight: Vec::new(),
        };
        for bin in bins {
            let weight = bin[0].value();
            if weight > 0.0 {
                curve.predicted.push(bin[1].value() / weight);
                curve.observed.push(bin[2].value() / weight);
                curve.weight.push(weight * rows.scale);
            }
        }
        Ok(curve)
    }

    /// Mean distance between the stated and the observed churn of a bin, weighted by its rows.
    pub fn calibration_error(&self) -> f64 {
        let all: f64 = self.weight.iter().sum();
        let distances = (0..self.weight.len())
            .map(|b| self.weight[b] / all * (self.predicted[b] - self.observed[b]).abs());
        distances.sum()
    }
}

/// Expected calibration error: [`ReliabilityCurve::calibration_error`], in \[0, 1\].
///
/// Source: Naeini, Cooper & Hauskrecht (2015), AAAI. It depends on the bins; state them.
///
/// # Errors
/// As [`ReliabilityCurve::new`].
pub fn expected_calibration_error(
    labels: &[f64],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    binning: Binning,
) -> Result<f64> {
    Ok(ReliabilityCurve::new(labels, probabilities, weights, binning)?.calibration_error())
}

/// The Brier score in parts: brier = reliability − resolution + uncertainty + within_bins.
///
/// Source: Murphy (1973), Journal of Applied Meteorology 12(4); the last part, which vanishes if
/// all probabilities of a bin are equal, after Stephenson, Coelho & Jolliffe (2008), Weather and
/// Forecasting 23(4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrierParts {
    /// The Brier score itself.
    pub brier: f64,
    /// Mean squared distance between stated and observed churn of a bin; smaller is better.
    pub reliability: f64,
    /// Mean squared distance of a bin's churn from the mean churn; larger is better.
    pub resolution: f64,
    /// Variance of the labels: the score of a constant forecast of the mean churn.
    pub uncertainty: f64,
    /// Spread of probabilities inside bins that the other parts do not see.
    pub within_bins: f64,
}

impl BrierParts {
    /// The parts over some bins.
    ///
    /// # Errors
    /// As [`ReliabilityCurve::new`].
    pub fn new(
        labels: &[f64],
        probabilities: &[f64],
        weights: Option<&[f64]>,
        binning: Binning,
    ) -> Result<Self> {
        let curve = ReliabilityCurve::new(labels, probabilities, weights, binning)?;
        let all: f64 = curve.weight.iter().sum();
        let mean = |term: &dyn Fn(usize) -> f64| -> f64 {
            let terms = (0..curve.weight.len()).map(|b| curve.weight[b] / all * term(b));
            terms.sum()
        };
        let base = mean(&|b| curve.observed[b]);
        let brier = brier(labels, probabilities, weights)?;
        let reliability = mean(&|b| (curve.predicted[b] - curve.observed[b]).powi(2));
        let resolution = mean(&|b| (curve.observed[b] - base).powi(2));
        let uncertainty = base * (1.0 - base);
        Ok(BrierParts {
            brier,
            reliability,
            resolution,
            uncertainty,
            within_bins: brier - reliability + resolution - uncertainty,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_events_cost_a_finite_loss() {
        let loss = log_loss(&[1.0, 0.0], &[0.0, 1.0], None).unwrap();
        assert!((loss - 36.04365338911715).abs() < 1e-12, "{loss}");
        assert!(log_loss(&[1.0], &[1.0], None).unwrap() < 1e-15);
    }

    #[test]
    fn parts_of_constant_bins_are_murphys() {
        let labels = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
        let probabilities = [0.2, 0.2, 0.2, 0.2, 0.7, 0.7, 0.7, 0.7];
        let parts = BrierParts::new(&labels, &probabilities, None, Binning::default()).unwrap();
        assert!(parts.within_bins.abs() < 1e-15, "{parts:?}");
        assert!(
            (parts.reliability - (0.05_f64.powi(2) * 0.5 + 0.05_f64.powi(2) * 0.5)).abs() < 1e-15
        );
        assert!((parts.resolution - 0.0625).abs() < 1e-15);
        assert!((parts.uncertainty - 0.25).abs() < 1e-15);
    }

    #[test]
    fn bins_are_checked() {
        let error = ReliabilityCurve::new(&[1.0], &[0.5], None, Binning::Quantile(0)).unwrap_err();
        assert_eq!(error.what(), "bins");
        let one =
            ReliabilityCurve::new(&[1.0], &[0.5], Some(&[3.0]), Binning::Quantile(4)).unwrap();
        assert_eq!(one.weight, [3.0]);
    }
}
