//! Who changes their mind because of the contact: uplift models.
//!
//! The effect of a treatment on a customer is the difference of two outcomes of which only one is
//! ever seen, so that models are fitted on an experiment (or on a log with known propensities) and
//! judged by [`metrics::uplift`](crate::metrics::uplift). Not to be used on campaigns that chose
//! their customers by something that is not among the columns: no model can undo that.
//!
//! With arms w, outcome y, μ_w(x) = E\[y | x, w\], propensity e(x) and m(x) = E\[y | x\]:
//!
//! | method | effect is learned from | source |
//! |---|---|---|
//! | S | μ(x, 1) − μ(x, 0) of one model with the treatment as a column | Künzel et al. 2019, PNAS 116 |
//! | T | μ₁(x) − μ₀(x) of two models | the same |
//! | X | y − μ₀(x) of the treated, μ₁(x) − y of the control, weighted by e(x) | the same |
//! | DR | μ₁ − μ₀ + w (y − μ₁) / e − (1 − w) (y − μ₀) / (1 − e) | Kennedy 2023, EJS 17 |
//! | R | (y − m) / (w − e), weighted by (w − e)² | Nie & Wager 2021, Biometrika 108 |
//! | transformed outcome | y (w − e) / (e (1 − e)) | Athey & Imbens 2016, PNAS 113 |
//! | forest | honest trees on y − m and w − e, with intervals | Wager & Athey 2018, JASA 113 |
//!
//! μ, m and estimated propensities are cross-fitted wherever a second stage sees them: no row is
//! described by a model that has seen it.

mod base;
mod file;
mod forest;
mod learners;
mod nuisance;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use base::Base;
pub use forest::UpliftForest;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::learned::{Frame, SchemaColumn, check_schema, schema_of};
use learners::Learner;
use nuisance::{Nuisance, deal};

/// How the effect is learned; see the table of the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// One model with the treatment as a column.
    S,
    /// One model per arm.
    T,
    /// Imputed effects, weighted by the propensity.
    X,
    /// Doubly robust scores. The default: right if either outcomes or propensities are.
    #[default]
    Dr,
    /// Residuals on residuals.
    R,
    /// Inverse propensity scores.
    TransformedOutcome,
    /// Honest trees.
    Forest,
}

/// Where the probability of each arm comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propensity {
    /// The share of each arm: right for an experiment that was randomised alike for all.
    #[default]
    Shares,
    /// A cross-fitted model: for logs where the choice depended on the columns.
    Estimated,
}

/// Settings of an uplift model.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{Column, Frame};
/// use churn_core::scoring::uplift::{Base, Method, Uplift, UpliftData};
/// // The contact works on customers with x = 1 and on nobody else.
/// let x: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
/// let treatment: Vec<u32> = (0..400).map(|i| i / 2 % 2).collect();
/// let outcome: Vec<f64> = x.iter().zip(&treatment).map(|(x, w)| x * f64::from(*w)).collect();
/// let frame = Frame::new(vec![("x".into(), Column::Numeric(x.into()))])?;
/// let data = UpliftData { frame: &frame, treatment: &treatment, outcome: &outcome, propensity: None };
/// let settings = Uplift { method: Method::Dr, base: Base::default(), ..Default::default() };
/// let model = settings.fit(&data, &Progress::none())?;
/// let effect = model.predict(&frame)?.effect;
/// assert!(effect[1] > 0.8 && effect[0].abs() < 0.2);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uplift {
    /// How the effect is learned.
    pub method: Method,
    /// The model inside; not used by the forest for its effect.
    pub base: Base,
    /// Folds of cross-fitting, 2 to 100. Default 5.
    pub folds: usize,
    /// Where propensities come from if the data do not bring them.
    pub propensity: Propensity,
    /// Propensities nearer to 0 or 1 than this are pulled back to it, and counted. Default 0.01.
    pub clip: f64,
    /// The forest, for [`Method::Forest`].
    pub forest: UpliftForest,
    /// Seed of the folds.
    pub seed: u64,
}

impl Default for Uplift {
    fn default() -> Self {
        Uplift {
            method: Method::default(),
            base: Base::default(),
            folds: 5,
            propensity: Propensity::default(),
            clip: 0.01,
            forest: UpliftForest::default(),
            seed: 0,
        }
    }
}

/// What an uplift model learns from.
///
/// Shape: n rows; k treatments besides the control.
#[derive(Debug, Clone, Copy)]
pub struct UpliftData<'a> {
    /// What was known of each customer *before* the treatment.
    pub frame: &'a Frame<'a>,
    /// 0 = control, 1 … k = the treatments; every number up to the largest must occur.
    pub treatment: &'a [u32],
    /// The outcome: 0 and 1, counts or money.
    pub outcome: &'a [f64],
    /// Known probability of each arm, row-major n × (k + 1); `None` = see [`Uplift::propensity`].
    pub propensity: Option<&'a [f64]>,
}

impl UpliftData<'_> {
    /// Number of treatments besides the control.
    fn treatments(&self) -> usize {
        self.treatment.iter().copied().max().unwrap_or(0) as usize
    }

    fn check(&self, folds: usize) -> Result<usize> {
        let n = self.frame.rows();
        for (what, len) in [
            ("treatment", self.treatment.len()),
            ("outcome", self.outcome.len()),
        ] {
            if len != n {
                return Err(Error::length_mismatch(format!("uplift.{what}"), n, len));
            }
        }
        if let Some(row) = self.outcome.iter().position(|y| !y.is_finite()) {
            return Err(Error::invalid_value(
                "uplift.outcome",
                row,
                "a finite number",
                self.outcome[row],
            ));
        }
        let k = self.treatments();
        if k == 0 {
            return Err(Error::not_enough_data(
                "uplift.treatment",
                "rows of at least one treatment besides the control",
                "none",
            ));
        }
        if k > 64 {
            return Err(Error::invalid_parameter(
                "uplift.treatment",
                "at most 64 treatments",
                k,
            ));
        }
        let mut counts = vec![0; k + 1];
        for arm in self.treatment {
            counts[*arm as usize] += 1;
        }
        let least = (2 * folds).max(10);
        if let Some(arm) = counts.iter().position(|count| *count < least) {
            return Err(Error::not_enough_data(
                format!("uplift.treatment.{arm}"),
                format_args!("at least {least} rows of each arm"),
                counts[arm],
            ));
        }
        if let Some(propensity) = self.propensity {
            if propensity.len() != n * (k + 1) {
                return Err(Error::length_mismatch(
                    "uplift.propensity",
                    n * (k + 1),
                    propensity.len(),
                ));
            }
            for (row, arms) in propensity.chunks_exact(k + 1).enumerate() {
                if let Some(e) = arms.iter().find(|e| !(**e > 0.0 && **e < 1.0)) {
                    return Err(Error::invalid_value(
                        "uplift.propensity",
                        row,
                        "probabilities strictly between 0 and 1",
                        e,
                    ));
                }
                let sum: f64 = arms.iter().sum();
                if (sum - 1.0).abs() > 1e-6 {
                    return Err(Error::invalid_value(
                        "uplift.propensity",
                        row,
                        "probabilities that add up to 1",
                        sum,
                    ));
                }
            }
        }
        Ok(k)
    }
}

/// Effects of every treatment on every row.
///
/// Shape: row-major n × k; treatment *a* (1 … k) of row *i* at `i * k + a − 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct UpliftEstimates {
    /// Number of treatments.
    pub treatments: usize,
    /// Change of the outcome by the treatment against the control.
    pub effect: Vec<f64>,
    /// Standard error of the effect, from the forest only; NaN where fewer than two bags know the row.
    pub standard_error: Option<Vec<f64>>,
}

/// Whether every customer could have got every arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// The smallest propensity before clipping.
    pub smallest: f64,
    /// The largest propensity before clipping.
    pub largest: f64,
    /// Propensities that were pulled back; many of them mean that arms cannot be compared.
    pub clipped: usize,
}

/// Predictions for rows by models that have not seen them, and unbiased scores to judge them by.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFold {
    /// Effects of every treatment on every row.
    pub estimates: UpliftEstimates,
    /// Doubly robust score of each effect, laid out as the effects: noisy, unbiased, independent of
    /// the prediction. For [`rate`](crate::metrics::uplift::rate),
    /// [`cost_curve`](crate::metrics::uplift::cost_curve) and averages.
    pub scores: Vec<f64>,
    /// Whether every customer could have got every arm.
    pub overlap: Overlap,
}

impl OutOfFold {
    /// Average effect of each treatment with its standard error: mean of the doubly robust scores
    /// (Robins, Rotnitzky & Zhao 1994).
    pub fn average_effects(&self) -> Vec<(f64, f64)> {
        let k = self.estimates.treatments;
        let n = (self.scores.len() / k) as f64;
        let of = |a: usize| self.scores.iter().skip(a).step_by(k);
        (0..k)
            .map(|a| {
                let mean = of(a).sum::<f64>() / n;
                let squares: f64 = of(a).map(|s| (s - mean).powi(2)).sum();
                (mean, (squares / (n - 1.0) / n).sqrt())
            })
            .collect()
    }
}

/// A fitted uplift model.
#[derive(Debug, Clone, PartialEq)]
pub struct UpliftModel {
    schema: Vec<SchemaColumn>,
    /// One per treatment.
    learners: Vec<Learner>,
    overlap: Overlap,
}

impl Uplift {
    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        if !(2..=100).contains(&self.folds) {
            return Err(Error::invalid_parameter(
                "uplift.folds",
                "2 to 100",
                self.folds,
            ));
        }
        if !(self.clip > 0.0 && self.clip < 0.5) {
            return Err(Error::invalid_parameter(
                "uplift.clip",
                "a number above 0 and below 0.5",
                self.clip,
            ));
        }
        self.base.check()?;
        self.forest.check()
    }

    /// Learns the effect of each treatment.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain; `LengthMismatch`; `InvalidValue`,
    /// naming the row, for an outcome that is not finite or a propensity of 0 or 1;
    /// `NotEnoughData` for an arm with too few rows, naming it; `Cancelled`.
    pub fn fit(&self, data: &UpliftData<'_>, progress: &Progress<'_>) -> Result<UpliftModel> {
        self.check()?;
        let k = data.check(self.folds)?;
        let fold_of = deal(data.treatment, self.folds, self.seed);
        let nuisance = Nuisance::learn(self, data, k, &fold_of, progress)?;
        let step = progress.step("uplift.treatments", k);
        let learners = (1..=k).map(|arm| {
            let learner = Learner::fit(self, data, arm, &nuisance, progress)?;
            step.advance(1)?;
            Ok(learner)
        });
        Ok(UpliftModel {
            schema: schema_of(data.frame, None),
            learners: learners.collect::<Result<_>>()?,
            overlap: nuisance.overlap,
        })
    }

    /// Predicts every row by a model that was fitted without its fold.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn out_of_fold(&self, data: &UpliftData<'_>, progress: &Progress<'_>) -> Result<OutOfFold> {
        self.check()?;
        let k = data.check(self.folds)?;
        let n = data.frame.rows();
        let fold_of = deal(data.treatment, self.folds, self.seed);
        let mut effect = vec![0.0; n * k];
        let mut error = vec![f64::NAN; n * k];
        let step = progress.step("uplift.folds", self.folds);
        for fold in 0..self.folds as u32 {
            let train: Vec<usize> = (0..n).filter(|i| fold_of[*i] != fold).collect();
            let test: Vec<usize> = (0..n).filter(|i| fold_of[*i] == fold).collect();
            let frame = data.frame.take(&train);
            let propensity = data
                .propensity
                .map(|known| nuisance::take_rows(known, k + 1, &train));
            let part = UpliftData {
                frame: &frame,
                treatment: &nuisance::take_rows(data.treatment, 1, &train),
                outcome: &nuisance::take_rows(data.outcome, 1, &train),
                propensity: propensity.as_deref(),
            };
            let model = self.fit(&part, progress)?;
            let answer = model.predict(&data.frame.take(&test))?;
            for (i, row) in test.iter().enumerate() {
                effect[row * k..(row + 1) * k].copy_from_slice(&answer.effect[i * k..(i + 1) * k]);
                if let Some(errors) = &answer.standard_error {
                    error[row * k..(row + 1) * k].copy_from_slice(&errors[i * k..(i + 1) * k]);
                }
            }
            step.advance(1)?;
        }
        let nuisance = Nuisance::learn(self, data, k, &fold_of, progress)?;
        let outcomes = nuisance.outcomes(self, data, k, progress)?;
        let mut scores = vec![0.0; n * k];
        for row in 0..n {
            for arm in 1..=k {
                scores[row * k + arm - 1] = nuisance.doubly_robust(data, &outcomes, row, arm);
            }
        }
        Ok(OutOfFold {
            estimates: UpliftEstimates {
                treatments: k,
                effect,
                standard_error: (self.method == Method::Forest).then_some(error),
            },
            scores,
            overlap: nuisance.overlap,
        })
    }
}

impl UpliftModel {
    /// Effects on the rows of a frame, whose columns are found by name.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of another type;
    /// `InvalidValue`, naming the row, where cells are so large that the effect is not finite.
    pub fn predict(&self, frame: &Frame<'_>) -> Result<UpliftEstimates> {
        check_schema(&self.schema, frame)?;
        let k = self.learners.len();
        let n = frame.rows();
        let mut effect = vec![0.0; n * k];
        let mut errors: Option<Vec<f64>> = None;
        for (arm, learner) in self.learners.iter().enumerate() {
            let (values, error) = learner.predict(frame)?;
            for (row, value) in values.into_iter().enumerate() {
                effect[row * k + arm] = value;
            }
            if let Some(error) = error {
                let all = errors.get_or_insert_with(|| vec![f64::NAN; n * k]);
                for (row, value) in error.into_iter().enumerate() {
                    all[row * k + arm] = value;
                }
            }
        }
        if let Some(at) = effect.iter().position(|e| !e.is_finite()) {
            return Err(Error::invalid_value(
                "uplift.effect",
                at / k,
                "cells of which the model can make a finite effect",
                effect[at],
            ));
        }
        Ok(UpliftEstimates {
            treatments: k,
            effect,
            standard_error: errors,
        })
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.schema.iter().map(|column| column.name.as_str())
    }

    /// Number of treatments besides the control.
    pub fn treatments(&self) -> usize {
        self.learners.len()
    }

    /// Whether every training customer could have got every arm.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }
}
