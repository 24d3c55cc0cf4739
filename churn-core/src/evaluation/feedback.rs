//! What was learned goes back into strategy: results of experiments and uplift models become what
//! the optimiser knows about effects.
//!
//! The idea: strategy believes a result as far as its standard error allows
//! ([`EffectSettings`](crate::strategy::EffectSettings)), so what has to be handed over is a change
//! and its standard error, never a change alone.
//!
//! **Uplift models** say who gains more than others; how much in total, and whether what they see is
//! there at all, is told by their out-of-fold doubly robust scores. The best linear predictor of the
//! effect from the prediction u (Chernozhukov, Demirer, Duflo & Fernández-Val 2018) is fitted by
//! least squares of the scores on the predictions:
//!
//! effect(u) = a + b (u − ū), variance s_a² + (u − ū)² s_b²
//!
//! with standard errors robust to unequal variances (White 1980). b = 1: the model is right as it
//! is; b = 0: it sees what is not there; b is cut to \[0, 1\].
//!
//! Not for models that were fitted on the rows that judge them: predictions must be out of fold.

use serde::{Deserialize, Serialize};

use super::experiment::Comparison;
use super::incremental::Incremental;
use crate::error::{Error, Result};
use crate::scoring::uplift::OutOfFold;
use crate::strategy::{ExperimentEffect, SegmentName};

/// What one arm of an experiment did, in the words of the playbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmAction {
    /// Name of the arm.
    pub arm: String,
    /// Id of the action.
    pub action: String,
    /// One of the action's channel sets; all of them where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// The segment that took part; everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
}

impl Comparison {
    /// The changes that these arms made, for
    /// [`EffectSettings::experiments`](crate::strategy::EffectSettings::experiments). The outcome
    /// must be whether each customer stayed, 0 or 1.
    ///
    /// # Errors
    /// `UnknownName`, naming the place, for an arm that the comparison does not have;
    /// `InvalidParameter` for a difference outside \[−1, 1\], which is none of shares.
    ///
    /// # Example
    /// ```
    /// use churn_core::evaluation::ArmAction;
    /// use churn_core::evaluation::experiment::{Arms, ComparisonSettings, Outcome, compare};
    /// let codes: Vec<u32> = (0..1000).map(|i| i % 2).collect();
    /// let stayed: Vec<f64> = (0..1000).map(|i| f64::from(u8::from(i % 5 == 1 || i % 7 == 0))).collect();
    /// let arms = Arms::from_codes(vec!["control".into(), "coupon".into()], codes)?;
    /// let result = compare(&arms, &stayed, Outcome::Binary, &[], &ComparisonSettings::default())?;
    /// let coupon = ArmAction {
    ///     arm: "coupon".into(),
    ///     action: "win_back".into(),
    ///     channels: Some(vec!["sms".into()]),
    ///     segment: None,
    /// };
    /// let effects = result.effects_of(&[coupon])?;
    /// assert_eq!(effects[0].change, result.effects[0].difference.value);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn effects_of(&self, arms: &[ArmAction]) -> Result<Vec<ExperimentEffect>> {
        let one = |(i, arm): (usize, &ArmAction)| {
            let Some(effect) = self.effects.iter().find(|effect| effect.arm == arm.arm) else {
                let known = self.effects.iter().map(|effect| effect.arm.as_str());
                return Err(Error::unknown_name(
                    format!("arms[{i}].arm"),
                    &arm.arm,
                    known,
                ));
            };
            let difference = effect.difference;
            if difference.value.abs() > 1.0 {
                return Err(Error::invalid_parameter(
                    format!("arms[{i}].arm"),
                    "a difference of shares, from -1 to 1",
                    difference.value,
                ));
            }
            Ok(ExperimentEffect {
                action: arm.action.clone(),
                channels: arm.channels.clone(),
                segment: arm.segment.clone(),
                change: difference.value,
                standard_error: difference.standard_error,
            })
        };
        arms.iter().enumerate().map(one).collect()
    }
}

impl Incremental {
    /// The change of retention that a campaign made, as that of an action.
    pub fn effect_of(
        &self,
        action: &str,
        channels: Option<&[String]>,
        segment: Option<SegmentName>,
    ) -> ExperimentEffect {
        ExperimentEffect {
            action: action.to_owned(),
            channels: channels.map(<[String]>::to_vec),
            segment,
            change: self.retention.value,
            standard_error: self.retention.standard_error,
        }
    }
}

/// How far the predictions of an uplift model may be believed; see the module for the formula.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpliftCalibration {
    /// Mean of the predictions out of fold (ū).
    pub center: f64,
    /// Average effect (a), the mean of the scores.
    pub average: f64,
    /// Its standard error.
    pub average_error: f64,
    /// How much of the differences between predictions is there (b), before it is cut to \[0, 1\]; 0
    /// where all predictions are the same.
    pub slope: f64,
    /// Its standard error.
    pub slope_error: f64,
}

impl UpliftCalibration {
    /// From predictions and doubly robust scores out of fold, one of each per customer.
    ///
    /// # Errors
    /// `LengthMismatch`; `NotEnoughData` for fewer than three customers; `InvalidValue`, with the
    /// row, for a number that is not finite.
    ///
    /// # Example
    /// ```
    /// use churn_core::evaluation::UpliftCalibration;
    /// // Predictions twice as far apart as the truth.
    /// let predicted: Vec<f64> = (0..1000).map(|i| f64::from(i % 2)).collect();
    /// let scores: Vec<f64> = predicted.iter().map(|u| 0.1 + 0.5 * u).collect();
    /// let calibration = UpliftCalibration::new(&predicted, &scores)?;
    /// assert!((calibration.slope - 0.5).abs() < 1e-12);
    /// let (change, error) = calibration.apply(&[1.0, 0.0]);
    /// assert!((change[0] - 0.6).abs() < 1e-12 && (change[1] - 0.1).abs() < 1e-12);
    /// assert!(error[0] < 1e-9);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn new(predicted: &[f64], scores: &[f64]) -> Result<Self> {
        if predicted.len() != scores.len() {
            return Err(Error::length_mismatch(
                "calibration.scores",
                predicted.len(),
                scores.len(),
            ));
        }
        for (what, column) in [("predicted", predicted), ("scores", scores)] {
            if let Some(row) = column.iter().position(|value| !value.is_finite()) {
                return Err(Error::invalid_value(
                    format!("calibration.{what}"),
                    row,
                    "a finite number",
                    column[row],
                ));
            }
        }
        let n = predicted.len() as f64;
        if n < 3.0 {
            return Err(Error::not_enough_data(
                "calibration.predicted",
                "at least 3 customers",
                predicted.len(),
            ));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let (center, average) = (mean(predicted), mean(scores));
        let squares: f64 = predicted.iter().map(|u| (u - center).powi(2)).sum();
        let products = predicted.iter().zip(scores);
        let products: f64 = products.map(|(u, s)| (u - center) * (s - average)).sum();
        let slope = if squares > 0.0 {
            products / squares
        } else {
            0.0
        };
        // Of the centred regression intercept and slope are uncorrelated, but for the residuals'
        // unequal variances, which the sandwich takes as they are.
        let (mut of_average, mut of_slope) = (0.0, 0.0);
        for (u, s) in predicted.iter().zip(scores) {
            let residual = s - average - slope * (u - center);
            of_average += residual * residual;
            of_slope += ((u - center) * residual).powi(2);
        }
        let correction = n / (n - 2.0);
        Ok(UpliftCalibration {
            center,
            average,
            average_error: (correction * of_average).sqrt() / n,
            slope,
            slope_error: if squares > 0.0 {
                (correction * of_slope).sqrt() / squares
            } else {
                0.0
            },
        })
    }

    /// The same for one treatment (from 0 on, the control not counted) of a model.
    ///
    /// # Errors
    /// `InvalidParameter` for a treatment that the model does not have; those of [`new`](Self::new).
    pub fn of_model(held_out: &OutOfFold, treatment: usize) -> Result<Self> {
        let k = held_out.estimates.treatments;
        if treatment >= k {
            return Err(Error::invalid_parameter(
                "treatment",
                format_args!("a position below {k}"),
                treatment,
            ));
        }
        let of = |values: &[f64]| -> Vec<f64> {
            values.iter().skip(treatment).step_by(k).copied().collect()
        };
        Self::new(&of(&held_out.estimates.effect), &of(&held_out.scores))
    }

    /// Changes and standard errors for predictions of the model, cut to \[−1, 1\]; NaN stays NaN. For
    /// [`Effects::with_uplift_errors`](crate::strategy::Effects::with_uplift_errors).
    pub fn apply(&self, predicted: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let slope = self.slope.clamp(0.0, 1.0);
        let change = |u: &f64| (self.average + slope * (u - self.center)).clamp(-1.0, 1.0);
        let error = |u: &f64| libm::hypot(self.average_error, (u - self.center) * self.slope_error);
        (
            predicted.iter().map(change).collect(),
            predicted.iter().map(error).collect(),
        )
    }
}
