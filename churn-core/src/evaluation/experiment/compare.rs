//! All arms against the control on one outcome.

use serde::{Deserialize, Serialize};

use super::Arms;
use super::bayes::{Posterior, beta_binomial, normal_posterior};
use super::bootstrap::{BootstrapSettings, bootstrap_difference};
use super::cuped::cuped;
use super::frequentist::{Estimate, Sample, check_confidence, ratio, two_proportions, welch};
use super::multiplicity::{Correction, adjust_p_values};
use super::rank::{RankTest, mann_whitney};
use super::sample_ratio::{SampleRatio, sample_ratio};
use super::sequential::{SequentialSettings, always_valid_half_width};
use crate::error::{Error, Result};

/// What kind of number the outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 0 or 1 per unit: bought again, still there.
    Binary,
    /// A whole number per unit, not negative: orders, visits.
    Count,
    /// Any finite number per unit; refunds may make money negative.
    Money,
}

/// How arms are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComparisonSettings {
    /// Probability with which intervals hold. Default 0.95.
    pub confidence: f64,
    /// Planned shares of the arms, in the order of the arms; empty = equal.
    pub shares: Vec<f64>,
    /// Adjustment of p-values where there are several arms.
    pub correction: Correction,
    /// Resampling; no draws = none.
    pub bootstrap: BootstrapSettings,
    /// Always-valid intervals.
    pub sequential: SequentialSettings,
    /// Prior of each share: Beta(a, b). Default (1, 1).
    pub share_prior: (f64, f64),
    /// Prior of the effect on counts and money: mean and standard deviation; none = says nothing.
    pub effect_prior: Option<(f64, f64)>,
}

impl Default for ComparisonSettings {
    fn default() -> Self {
        ComparisonSettings {
            confidence: 0.95,
            shares: Vec::new(),
            correction: Correction::default(),
            bootstrap: BootstrapSettings::default(),
            sequential: SequentialSettings::default(),
            share_prior: (1.0, 1.0),
            effect_prior: None,
        }
    }
}

/// One arm in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmSummary {
    /// Name of the arm.
    pub arm: String,
    /// Units, mean and variance of the outcome.
    pub sample: Sample,
    /// Sum of the outcome.
    pub total: f64,
}

/// One arm against the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Name of the arm.
    pub arm: String,
    /// Difference of means: Newcombe's interval for binary outcomes without covariates, Welch's
    /// otherwise.
    pub difference: Estimate,
    /// p-value of the difference, adjusted for several arms.
    pub adjusted_p_value: f64,
    /// Ratio of means; none where a mean is not positive.
    pub ratio: Option<Estimate>,
    /// Interval of the difference that holds at every look.
    pub always_valid: (f64, f64),
    /// Interval of the difference from resampling.
    pub bootstrap: Option<(f64, f64)>,
    /// The rank test; none for binary outcomes, where it says the same as the shares.
    pub rank: Option<RankTest>,
    /// The Bayesian reading; none if no unit differs from another.
    pub posterior: Option<Posterior>,
}

/// Answer of [`compare`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Look here first: if it says mismatch, do not read on.
    pub sample_ratio: SampleRatio,
    /// Every arm, the control first.
    pub arms: Vec<ArmSummary>,
    /// Every arm but the control.
    pub effects: Vec<Effect>,
    /// Share of variance that the covariates took out; none without covariates.
    pub variance_reduction: Option<f64>,
}

/// Compares every arm with the control on one outcome, after taking out what covariates from
/// before the experiment explain ([`cuped`]).
///
/// Shape: `outcome` and each covariate hold one number per unit, in the order of `arms`.
///
/// # Errors
/// `LengthMismatch` for columns of other lengths; `InvalidValue`, naming the row, for a number
/// that the kind of outcome does not allow; `NotEnoughData` for an arm with fewer than two units;
/// those of the steps.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{Arms, ComparisonSettings, Outcome, compare};
/// let codes: Vec<u32> = (0..1000).map(|i| i % 2).collect();
/// let bought: Vec<f64> = (0..1000).map(|i| f64::from(u8::from(i % 5 == 1 || i % 7 == 0))).collect();
/// let arms = Arms::from_codes(vec!["control".into(), "coupon".into()], codes)?;
/// let result = compare(&arms, &bought, Outcome::Binary, &[], &ComparisonSettings::default())?;
/// let effect = &result.effects[0];
/// assert!(!result.sample_ratio.mismatch);
/// assert!(effect.difference.low <= effect.difference.value);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn compare(
    arms: &Arms,
    outcome: &[f64],
    kind: Outcome,
    covariates: &[&[f64]],
    settings: &ComparisonSettings,
) -> Result<Comparison> {
    check_confidence(settings.confidence)?;
    arms.check_column("experiment.outcome", outcome)?;
    check_kind(outcome, kind)?;
    let sample_ratio = sample_ratio(arms, &settings.shares)?;
    let adjusted = match covariates {
        [] => None,
        _ => Some(cuped(arms, outcome, covariates)?),
    };
    let used = adjusted.as_ref().map_or(outcome, |a| &a.outcome);
    let values: Vec<Vec<f64>> = (0..arms.names().len())
        .map(|arm| arms.values_of(arm, used))
        .collect();
    let names = arms.names();
    for (name, values) in names.iter().zip(&values) {
        if values.len() < 2 {
            return Err(Error::not_enough_data(
                format!("experiment.arms.{name}"),
                "at least two units",
                values.len(),
            ));
        }
    }
    let samples: Vec<Sample> = values.iter().map(|v| Sample::of(v)).collect();
    let plain_binary = kind == Outcome::Binary && adjusted.is_none();
    let mut effects = Vec::with_capacity(names.len() - 1);
    for arm in 1..names.len() {
        let (control, treated) = (&samples[0], &samples[arm]);
        let counts = |arm: usize| (values[arm].iter().sum::<f64>() as u64, samples[arm].n);
        let difference = if plain_binary {
            two_proportions(counts(0), counts(arm), settings.confidence)?
        } else {
            welch(control, treated, settings.confidence)?
        };
        let half = always_valid_half_width(
            difference.standard_error,
            control.n + treated.n,
            settings.confidence,
            &settings.sequential,
        )?;
        let posterior = if plain_binary {
            let prior = settings.share_prior;
            Some(beta_binomial(
                counts(0),
                counts(arm),
                prior,
                settings.confidence,
            )?)
        } else if difference.standard_error > 0.0 {
            let prior = settings.effect_prior.unwrap_or((0.0, f64::INFINITY));
            Some(normal_posterior(&difference, prior, settings.confidence)?)
        } else {
            None
        };
        effects.push(Effect {
            arm: names[arm].clone(),
            difference,
            adjusted_p_value: difference.p_value,
            ratio: ratio(control, treated, settings.confidence),
            always_valid: (difference.value - half, difference.value + half),
            bootstrap: match settings.bootstrap.draws {
                0 => None,
                _ => Some(bootstrap_difference(
                    &values[0],
                    &values[arm],
                    settings.confidence,
                    &settings.bootstrap,
                )?),
            },
            rank: match kind {
                Outcome::Binary => None,
                _ => Some(mann_whitney(&values[0], &values[arm])?),
            },
            posterior,
        });
    }
    let p_values: Vec<f64> = effects.iter().map(|e| e.difference.p_value).collect();
    let corrected = adjust_p_values(&p_values, settings.correction)?;
    for (effect, p_value) in effects.iter_mut().zip(corrected) {
        effect.adjusted_p_value = p_value;
    }
    let summaries = (0..names.len()).map(|arm| ArmSummary {
        arm: names[arm].clone(),
        sample: samples[arm],
        total: values[arm].iter().sum(),
    });
    Ok(Comparison {
        sample_ratio,
        arms: summaries.collect(),
        effects,
        variance_reduction: adjusted.map(|a| a.variance_reduction),
    })
}

fn check_kind(outcome: &[f64], kind: Outcome) -> Result<()> {
    let (expected, right): (_, fn(f64) -> bool) = match kind {
        Outcome::Binary => ("0 or 1", |v| v == 0.0 || v == 1.0),
        Outcome::Count => ("a whole number not below 0", |v| {
            v >= 0.0 && v.fract() == 0.0
        }),
        Outcome::Money => return Ok(()),
    };
    match outcome.iter().position(|v| !right(*v)) {
        None => Ok(()),
        Some(row) => Err(Error::invalid_value(
            "experiment.outcome",
            row,
            expected,
            outcome[row],
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    fn arms(codes: Vec<u32>) -> Arms {
        Arms::from_codes(vec!["control".into(), "coupon".into()], codes).unwrap()
    }

    /// 95 % intervals hold the known difference in 93 to 97 % of 500 experiments, for every kind
    /// of interval that is not meant to be wider.
    #[test]
    fn intervals_cover_the_truth() {
        let settings = ComparisonSettings {
            bootstrap: BootstrapSettings {
                draws: 300,
                seed: 1,
            },
            ..Default::default()
        };
        let quick = ComparisonSettings {
            bootstrap: BootstrapSettings { draws: 0, seed: 1 },
            ..Default::default()
        };
        let mut covered = [0_u32; 5];
        for experiment in 0..500 {
            let mut random = Random::new(11, experiment);
            let codes: Vec<u32> = (0..400).map(|i| i % 2).collect();
            let before: Vec<f64> = codes.iter().map(|_| random.normal()).collect();
            let money: Vec<f64> = codes
                .iter()
                .zip(&before)
                .map(|(arm, b)| b + random.exponential(2.0) + 0.5 * f64::from(*arm))
                .collect();
            let bought: Vec<f64> = codes
                .iter()
                .map(|arm| f64::from(u8::from(random.chance(0.1 + 0.05 * f64::from(*arm)))))
                .collect();
            let arms = arms(codes);
            let plain = compare(&arms, &money, Outcome::Money, &[], &settings).unwrap();
            let adjusted = compare(&arms, &money, Outcome::Money, &[&before], &quick).unwrap();
            let binary = compare(&arms, &bought, Outcome::Binary, &[], &quick).unwrap();
            let ends = |e: &Effect| (e.difference.low, e.difference.high);
            let posterior = binary.effects[0].posterior.unwrap();
            let intervals = [
                (ends(&plain.effects[0]), 0.5),
                (ends(&adjusted.effects[0]), 0.5),
                (plain.effects[0].bootstrap.unwrap(), 0.5),
                (ends(&binary.effects[0]), 0.05),
                ((posterior.low, posterior.high), 0.05),
            ];
            for (count, ((low, high), truth)) in covered.iter_mut().zip(intervals) {
                *count += u32::from(low <= truth && truth <= high);
            }
        }
        for count in covered {
            assert!((465..=485).contains(&count), "{covered:?} of 500");
        }
    }

    #[test]
    fn outcomes_that_do_not_fit_are_refused_by_row() {
        let arms = arms(vec![0, 1, 0, 1]);
        let settings = ComparisonSettings::default();
        let row = |outcome: &[f64], kind| {
            compare(&arms, outcome, kind, &[], &settings)
                .unwrap_err()
                .row()
        };
        assert_eq!(row(&[0.0, 1.0, 0.5, 1.0], Outcome::Binary), Some(2));
        assert_eq!(row(&[0.0, -1.0, 2.0, 1.0], Outcome::Count), Some(1));
        assert_eq!(row(&[0.0, 1.0, 2.0, f64::NAN], Outcome::Money), Some(3));
        let constant = [1.0, 1.0, 1.0, 1.0];
        let error = compare(
            &arms,
            &[1.0, 2.0, 3.0, 5.0],
            Outcome::Money,
            &[&constant],
            &settings,
        );
        assert_eq!(error.unwrap_err().what(), "experiment.covariates[0]");
        let flat = compare(&arms, &constant, Outcome::Money, &[], &settings).unwrap();
        assert_eq!(flat.effects[0].difference.p_value, 1.0);
        assert!(flat.effects[0].posterior.is_none());
    }
}
