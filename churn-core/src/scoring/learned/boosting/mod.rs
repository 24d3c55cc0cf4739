//! Gradient boosting of trees: many small trees, each fitted to what the sum so far gets wrong.
//!
//! The default choice for tables of customer features: no scaling, missing values and levels as
//! they come, interactions found by itself. Not the choice for a few hundred rows (a logistic model
//! errs less), nor where the effect must be linear or extrapolated beyond the data: a tree is
//! constant outside the range it has seen.
//!
//! With loss l, margin f and outcome y, tree *t* minimises the second-order expansion
//! Σ (g·w + ½ h·w²) + ½ l2 Σ w² + l1 Σ |w| over its leaf values w, where g = ∂l/∂f and h = ∂²l/∂f²
//! at the margin so far: w = −T(G, l1) / (H + l2) per leaf, times the learning rate. Friedman (2001),
//! Annals of Statistics 29(5); Chen & Guestrin (2016), KDD. Trees grow leaf by leaf on histograms of
//! at most 255 bins per feature (Ke et al. 2017, NIPS).
//!
//! Derivatives are whole numbers (see `gradient.rs`), which makes a model the same to the bit for
//! every number of threads and, unless rows are sampled, for every order of rows.

mod bins;
mod fit;
mod front;
mod gradient;
mod grow;
mod histogram;
mod partition;
mod split;
#[cfg(test)]
pub(super) mod tests;

pub(super) use bins::{Binned, Binning, learn_bins};
pub(super) use partition::{part_into, sides};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::frame::{Column, Frame};
use super::trees::{MAX_CUTS, TreeEnsemble};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// What is minimised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Log loss of outcomes 0 and 1; the margin is the log-odds.
    #[default]
    Logistic,
    /// Squared error of numbers; the margin is the expected number.
    SquaredError,
}

/// Rows held back from training, on which the loss is watched.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// The same columns as in training.
    pub frame: &'a Frame<'a>,
    /// Outcomes of its rows.
    pub target: &'a [f64],
    /// Weights of its rows; all 1 if `None`.
    pub weights: Option<&'a [f64]>,
}

/// Settings of gradient boosting.
///
/// Numeric columns are cut into bins; a missing value goes to whichever side of a split gains
/// more. Where a split has seen no missing value, and for levels that a split has never seen, the
/// side with more weight in training is taken; a level that the model has never seen counts as
/// missing.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{Boosting, Column, Frame};
/// let silence: Vec<f64> = (0..200).map(|i| f64::from(i % 100)).collect();
/// let churned: Vec<f64> = silence.iter().map(|days| f64::from(u8::from(*days > 60.0))).collect();
/// let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
/// let settings = Boosting { trees: 50, monotone: [("days_since_last".into(), 1)].into(), ..Default::default() };
/// let model = settings.fit(&frame, &churned, None, None, &Progress::none())?;
/// let probability = model.predict(&frame)?;
/// assert!(probability[10] < 0.1 && probability[90] > 0.9);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boosting {
    /// What is minimised.
    pub objective: Objective,
    /// Number of trees, at most where validation rows are given.
    pub trees: usize,
    /// Share of each tree's correction that is taken, in (0, 1].
    pub learning_rate: f64,
    /// Most leaves of a tree, 2 to 32768.
    pub leaves: usize,
    /// Most splits between the root and a leaf; 0 = no limit.
    pub max_depth: usize,
    /// Most bins of a numeric column and most levels of a categorical one, 2 to 255; rarer levels
    /// count as missing.
    pub max_bins: usize,
    /// Least rows of a leaf.
    pub min_rows_in_leaf: usize,
    /// Least sum of second derivatives (p (1 − p) · weight for the logistic loss) in a leaf.
    pub min_hessian: f64,
    /// Penalty on the absolute value of leaves.
    pub l1: f64,
    /// Penalty on half the square of leaf values.
    pub l2: f64,
    /// Least reduction of the loss by a split.
    pub min_gain: f64,
    /// Share of the rows that each tree sees, in (0, 1].
    pub row_sample: f64,
    /// Share of the columns that each tree sees, in (0, 1].
    pub column_sample: f64,
    /// Columns whose growth never lowers (1) or never raises (−1) the margin, others equal.
    pub monotone: BTreeMap<String, i8>,
    /// Factor on the weight of rows with outcome 1 (logistic loss); shifts probabilities.
    pub positive_weight: f64,
    /// With validation rows: stop after this many trees without a lower loss and keep the trees up
    /// to the lowest one; 0 = keep all.
    pub early_stopping_rounds: usize,
    /// Up to this many levels in a leaf, one is split from the rest; above, sets of levels.
    pub one_hot_levels: usize,
    /// Added to the hessian of a level when levels are put in order.
    pub level_smoothing: f64,
    /// Added to `l2` in the search for sets of levels.
    pub level_l2: f64,
    /// Seed of the sampling.
    pub seed: u64,
}

impl Default for Boosting {
    fn default() -> Self {
        Boosting {
            objective: Objective::Logistic,
            trees: 200,
            learning_rate: 0.05,
            leaves: 31,
            max_depth: 0,
            max_bins: 255,
            min_rows_in_leaf: 20,
            min_hessian: 1e-3,
            l1: 0.0,
            l2: 1.0,
            min_gain: 0.0,
            row_sample: 1.0,
            column_sample: 1.0,
            monotone: BTreeMap::new(),
            positive_weight: 1.0,
            early_stopping_rounds: 30,
            one_hot_levels: 4,
            level_smoothing: 10.0,
            level_l2: 10.0,
            seed: 0,
        }
    }
}

impl Boosting {
    /// Learns from the rows of a frame and their outcomes.
    ///
    /// Shape: `target` and `weights` have one entry per row. Rows of weight 0 are left out. With
    /// `validation`, the loss on those rows decides how many trees are kept.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain; `UnknownName` for a monotone or
    /// validation column that does not exist; `LengthMismatch`; `InvalidValue`, naming the row, for
    /// an outcome or weight that may not be; `NotEnoughData` without rows or with one outcome only
    /// (logistic loss); `Cancelled`.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        validation: Option<Validation<'_>>,
        progress: &Progress<'_>,
    ) -> Result<TreeEnsemble> {
        fit::fit(self, frame, target, weights, validation, progress)
    }

    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |name: &str, expected: &str, got: &dyn std::fmt::Display| {
            let what = format!("boosting.{name}");
            Err(Error::invalid_parameter(what, expected, got))
        };
        let shares = [
            ("learning_rate", self.learning_rate),
            ("row_sample", self.row_sample),
            ("column_sample", self.column_sample),
        ];
        for (name, share) in shares {
            if !(share > 0.0 && share <= 1.0) {
                return wrong(name, "a number above 0 and at most 1", &share);
            }
        }
        let penalties = [
            ("min_hessian", self.min_hessian),
            ("l1", self.l1),
            ("l2", self.l2),
            ("min_gain", self.min_gain),
            ("level_smoothing", self.level_smoothing),
            ("level_l2", self.level_l2),
        ];
        for (name, value) in penalties {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(name, "a finite number of at least 0", &value);
            }
        }
        if !(self.positive_weight.is_finite() && self.positive_weight > 0.0) {
            return wrong(
                "positive_weight",
                "a finite number above 0",
                &self.positive_weight,
            );
        }
        if !(1..=100_000).contains(&self.trees) {
            return wrong("trees", "a number from 1 to 100000", &self.trees);
        }
        if !(2..=32_768).contains(&self.leaves) {
            return wrong("leaves", "a number from 2 to 32768", &self.leaves);
        }
        if !(2..=MAX_CUTS).contains(&self.max_bins) {
            return wrong("max_bins", "a number from 2 to 255", &self.max_bins);
        }
        for (name, direction) in &self.monotone {
            if !(-1..=1).contains(direction) {
                return wrong(&format!("monotone.{name}"), "-1, 0 or 1", direction);
            }
        }
        Ok(())
    }

    /// The direction of each column.
    fn directions(&self, frame: &Frame<'_>) -> Result<Vec<i8>> {
        let mut directions = vec![0; frame.names().len()];
        for (name, &direction) in &self.monotone {
            let place = frame.names().iter().position(|known| known == name);
            let Some(place) = place else {
                return Err(Error::unknown_name(
                    "boosting.monotone",
                    name,
                    frame.names(),
                ));
            };
            if direction != 0 && matches!(frame.columns()[place], Column::Categorical { .. }) {
                return Err(Error::invalid_parameter(
                    format!("boosting.monotone.{name}"),
                    "a numeric column",
                    "a categorical one",
                ));
            }
            directions[place] = direction;
        }
        Ok(directions)
    }
}
