//! How well a model did on rows that it had not seen while fitting.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::metrics;

/// Measures of out-of-fold probabilities.
///
/// The few numbers that were fitted on the same rows (weights of learners, calibration, number of
/// trees) make them a touch better than on customers to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfFold {
    /// Number of rows.
    pub rows: usize,
    /// Share of churners among them.
    pub churn_rate: f64,
    /// Area under the ROC curve.
    pub roc_auc: f64,
    /// Log loss.
    pub log_loss: f64,
    /// Brier score.
    pub brier: f64,
    /// Calibration error over ten bins of equally many rows.
    pub calibration_error: f64,
    /// The learners, also those that are not believed.
    pub learners: Vec<LearnerReport>,
}

/// One learner out of fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnerReport {
    /// Its name in settings.
    pub learner: String,
    /// How far its log-odds are believed.
    pub weight: f64,
    /// Area under the ROC curve of this learner alone.
    pub roc_auc: f64,
    /// Log loss of this learner alone, before calibration; of a support vector machine behind the
    /// sigmoid that makes its margins log-odds.
    pub log_loss: f64,
    /// Number of trees kept, 0 for learners without.
    pub trees: usize,
}

impl OutOfFold {
    pub(super) fn new(
        target: &[f64],
        probabilities: &[f64],
        weights: Option<&[f64]>,
        learners: Vec<LearnerReport>,
    ) -> Result<Self> {
        let total: f64 = (0..target.len())
            .map(|i| weights.map_or(1.0, |w| w[i]))
            .sum();
        let churned: f64 = (0..target.len())
            .map(|i| target[i] * weights.map_or(1.0, |w| w[i]))
            .sum();
        Ok(OutOfFold {
            rows: target.len(),
            churn_rate: churned / total,
            roc_auc: metrics::roc_auc(target, probabilities, weights)?,
            log_loss: metrics::log_loss(target, probabilities, weights)?,
            brier: metrics::brier(target, probabilities, weights)?,
            calibration_error: metrics::expected_calibration_error(
                target,
                probabilities,
                weights,
                metrics::Binning::Quantile(10),
            )?,
            learners,
        })
    }
}
