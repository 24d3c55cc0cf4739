//! Beta-Geometric (shifted): renewals of contracts, where leaving is seen.
//!
//! At each renewal a customer leaves with probability θ, which varies between customers as a beta
//! distribution (a, b). The fickle leave first, so retention rises with the number of renewals
//! although nobody changes. P(leaves at renewal t) = B(a+1, b+t−1)/B(a, b), and still there after t
//! renewals: S(t) = B(a, b+t)/B(a, b).
//!
//! Sources: Fader & Hardie (2007), How to project customer retention, Journal of Interactive
//! Marketing 21(1); Fader & Hardie (2010), Marketing Science 29(1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::optimize::Search;
use crate::math::rising::{digamma_rising, ln_rising};
use crate::progress::Progress;

use super::climb::from_starts;
use super::estimate::Estimate;

const VERSION: u32 = 1;
const BOX: f64 = 8.0;
const NAMES: [&str; 2] = ["a", "b"];
const MOST_RENEWALS: f64 = 1e9;

/// Contracts by the renewal at which they ended, or the renewals made so far.
///
/// # Example
/// ```
/// use churn_core::scoring::lifetime::Contracts;
/// // Two customers lost at the first renewal, one who has renewed three times so far.
/// let contracts = Contracts::new(&[1.0, 1.0, 3.0], &[true, true, false])?;
/// // The same as shares of a cohort: 1000 start, 869 and 743 are left after one and two renewals.
/// let cohort = Contracts::from_survivors(&[1000.0, 869.0, 743.0])?;
/// # let _ = (contracts, cohort);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contracts {
    /// For each renewal: customers lost at it, customers last seen after it.
    renewals: BTreeMap<u64, (f64, f64)>,
}

impl Contracts {
    /// One row per contract: the renewal at which it ended (from 1), or the renewals made so far.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a duration that is not a whole number
    /// up to 1e9, or 0 for a contract that ended.
    pub fn new(duration: &[f64], churned: &[bool]) -> Result<Self> {
        if churned.len() != duration.len() {
            return Err(Error::length_mismatch(
                "contracts.churned",
                duration.len(),
                churned.len(),
            ));
        }
        let mut contracts = Contracts::default();
        for (row, (duration, churned)) in duration.iter().zip(churned).enumerate() {
            let least = f64::from(u8::from(*churned));
            if duration.fract() != 0.0 || !(least..=MOST_RENEWALS).contains(duration) {
                return Err(Error::invalid_value(
                    "contracts.duration",
                    row,
                    format_args!("a whole number from {least} to {MOST_RENEWALS}"),
                    duration,
                ));
            }
            let place = contracts.renewals.entry(*duration as u64).or_default();
            match churned {
                true => place.0 += 1.0,
                false => place.1 += 1.0,
            }
        }
        Ok(contracts)
    }

    /// A cohort by the number of customers at the start and after each renewal.
    ///
    /// # Errors
    /// `NotEnoughData` for fewer than two numbers; `InvalidValue`, naming the row, for one that is
    /// negative, not finite, or above the one before it.
    pub fn from_survivors(survivors: &[f64]) -> Result<Self> {
        if survivors.len() < 2 {
            return Err(Error::not_enough_data(
                "contracts.survivors",
                "the start and at least one renewal",
                survivors.len(),
            ));
        }
        let mut contracts = Contracts::default();
        for (row, count) in survivors.iter().enumerate() {
            let before = if row == 0 {
                f64::MAX
            } else {
                survivors[row - 1]
            };
            if !(0.0..=before).contains(count) {
                return Err(Error::invalid_value(
                    "contracts.survivors",
                    row,
                    "a number from 0 to the one before it",
                    count,
                ));
            }
            let place = contracts.renewals.entry(row as u64).or_default();
            if row > 0 {
                place.0 += before - count;
            }
            if row + 1 == survivors.len() {
                place.1 += count;
            }
        }
        Ok(contracts)
    }
}

/// Settings of the Beta-Geometric model.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::lifetime::{BetaGeometric, Contracts};
/// // "Regular" customers of Fader & Hardie (2007), eight years.
/// let cohort = [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0];
/// let cohort = Contracts::from_survivors(&cohort)?;
/// let model = BetaGeometric::default().fit(&cohort, &Progress::none())?;
/// let [a, b] = model.parameters();
/// assert!((a - 0.704).abs() < 1e-3 && (b - 1.182).abs() < 1e-3);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BetaGeometric {
    /// Evaluations of likelihood and gradient that one start may spend. Default 500.
    pub max_evaluations: u32,
}

impl Default for BetaGeometric {
    fn default() -> Self {
        BetaGeometric {
            max_evaluations: 500,
        }
    }
}

impl BetaGeometric {
    /// Fits by maximum likelihood.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain; `NotEnoughData` if nobody ever faced a
    /// renewal; `NotConverged`; `Cancelled`.
    pub fn fit(&self, contracts: &Contracts, progress: &Progress<'_>) -> Result<RenewalModel> {
        if !(10..=1_000_000).contains(&self.max_evaluations) {
            return Err(Error::invalid_parameter(
                "beta_geometric.max_evaluations",
                "10 to 1000000",
                self.max_evaluations,
            ));
        }
        let faced = contracts.renewals.iter().filter(|(t, _)| **t > 0);
        let faced: f64 = faced.map(|(_, (lost, kept))| lost + kept).sum();
        if faced <= 0.0 {
            return Err(Error::not_enough_data(
                "contracts.duration",
                "somebody who faced a renewal",
                0,
            ));
        }
        let search = Search {
            what: "lifetime.beta_geometric",
            low: vec![-BOX; 2],
            high: vec![BOX; 2],
            max_evaluations: self.max_evaluations as usize,
        };
        let step = progress.step("lifetime.fit", search.max_evaluations);
        let starts = [vec![0.0, 1.0], vec![-1.0, 0.0], vec![1.0, 3.0]];
        let optimum = from_starts(&search, &starts, &mut |theta, slope| {
            step.advance(1)?;
            let (value, gradient) = log_likelihood(contracts, theta[0], theta[1]);
            slope[0] = -gradient[0];
            slope[1] = -gradient[1];
            Ok(-value)
        })?;
        let customers = contracts.renewals.values().map(|(lost, kept)| lost + kept);
        let estimate = Estimate::new(
            "beta_geometric",
            NAMES.map(str::to_owned).to_vec(),
            2,
            &optimum,
            -optimum.value,
            customers.sum(),
            contracts.renewals.len(),
        )?;
        Ok(RenewalModel {
            version: VERSION,
            a: estimate.parameters[0].value,
            b: estimate.parameters[1].value,
            estimate: Some(estimate),
        })
    }
}

/// Log-likelihood and its derivatives by ln a and ln b.
fn log_likelihood(contracts: &Contracts, ln_a: f64, ln_b: f64) -> (f64, [f64; 2]) {
    let (a, b) = (ln_a.exp(), ln_b.exp());
    let (mut value, mut slope) = (0.0, [0.0; 2]);
    for (t, (lost, kept)) in &contracts.renewals {
        let t = *t as f64;
        let all_slope = digamma_rising(a + b, t);
        let all = ln_rising(a + b, t);
        value += kept * (ln_rising(b, t) - all);
        slope[0] -= (lost + kept) * a * all_slope;
        slope[1] += kept * b * (digamma_rising(b, t) - all_slope);
        if *lost > 0.0 {
            value += lost * (ln_a + ln_rising(b, t - 1.0) - all);
            slope[0] += lost;
            slope[1] += lost * b * (digamma_rising(b, t - 1.0) - all_slope);
        }
    }
    (value, slope)
}

/// A fitted Beta-Geometric model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalModel {
    version: u32,
    a: f64,
    b: f64,
    estimate: Option<Estimate>,
}

impl RenewalModel {
    /// A model with known parameters.
    ///
    /// # Errors
    /// `InvalidParameter` for a parameter that is not positive and finite.
    pub fn new(a: f64, b: f64) -> Result<Self> {
        let model = RenewalModel {
            version: VERSION,
            a,
            b,
            estimate: None,
        };
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        if self.version == 0 || self.version > VERSION {
            return Err(Error::invalid_parameter(
                "renewal_model.version",
                format_args!("1 to {VERSION}"),
                self.version,
            ));
        }
        for (name, value) in NAMES.iter().zip([self.a, self.b]) {
            if !(1e-30..=1e30).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("renewal_model.{name}"),
                    "a number from 1e-30 to 1e30",
                    value,
                ));
            }
        }
        match &self.estimate {
            Some(estimate) if estimate.parameters.len() != 2 => Err(Error::length_mismatch(
                "renewal_model.estimate.parameters",
                2,
                estimate.parameters.len(),
            )),
            Some(estimate) => estimate.check("renewal_model"),
            None => Ok(()),
        }
    }

    /// The model as JSON, with every digit.
    ///
    /// # Panics
    /// Never: all its parts can be written.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("finite numbers under text keys")
    }

    /// A model from its JSON.
    ///
    /// # Errors
    /// `InvalidParameter` for text that is not a model, one written by a newer version, or one
    /// with numbers outside their domain.
    pub fn from_json(text: &str) -> Result<Self> {
        let model: RenewalModel = crate::settings::from_json("renewal_model", text)?;
        model.check()?;
        Ok(model)
    }

    /// The parameters a and b.
    pub fn parameters(&self) -> [f64; 2] {
        [self.a, self.b]
    }

    /// How the parameters were found; `None` if they were given.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// Probability of customers who have made these numbers of renewals to make `ahead` more.
    ///
    /// # Errors
    /// `InvalidValue`, naming the row, for renewals that are not a whole number up to 1e9.
    pub fn survival(&self, renewals: &[f64], ahead: u32) -> Result<Vec<f64>> {
        check_renewals(renewals)?;
        let t = f64::from(ahead);
        let one = |n: &f64| {
            (ln_rising(self.b + n, t) - ln_rising(self.a + self.b + n, t))
                .exp()
                .min(1.0)
        };
        Ok(renewals.iter().map(one).collect())
    }

    /// Renewals still to come, each weighted by (1 + rate)^−i for the i-th after the one that is
    /// due now, of customers who have made these numbers of renewals. With the first payment due
    /// now this is the discounted expected residual lifetime.
    ///
    /// # Errors
    /// As [`survival`](Self::survival); `InvalidParameter` for a rate per period outside 0.0001 to
    /// 1000.
    pub fn discounted_renewals(&self, renewals: &[f64], rate: f64) -> Result<Vec<f64>> {
        check_renewals(renewals)?;
        if !(1e-4..=1e3).contains(&rate) {
            return Err(Error::invalid_parameter(
                "renewal_model.rate",
                "0.0001 to 1000 per period",
                rate,
            ));
        }
        let one = |n: &f64| {
            let (mut term, mut sum, mut i) = (1.0 + rate, 0.0, *n);
            // Falls at least by the discount.
            loop {
                term *= (self.b + i) / (self.a + self.b + i) / (1.0 + rate);
                sum += term;
                i += 1.0;
                if term < 1e-17 * rate * sum || term == 0.0 {
                    return sum;
                }
            }
        };
        Ok(renewals.iter().map(one).collect())
    }
}

fn check_renewals(renewals: &[f64]) -> Result<()> {
    let wrong = |n: &f64| n.fract() != 0.0 || !(0.0..=MOST_RENEWALS).contains(n);
    match renewals.iter().position(wrong) {
        None => Ok(()),
        Some(row) => Err(Error::invalid_value(
            "renewals",
            row,
            format_args!("a whole number up to {MOST_RENEWALS}"),
            renewals[row],
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_cohorts() {
        for (survivors, a, b) in [
            (
                [1000.0, 631.0, 468.0, 382.0, 326.0, 289.0, 262.0, 241.0],
                0.704,
                1.182,
            ),
            (
                [1000.0, 869.0, 743.0, 653.0, 593.0, 551.0, 517.0, 491.0],
                0.668,
                3.806,
            ),
        ] {
            let cohort = Contracts::from_survivors(&survivors).unwrap();
            let model = BetaGeometric::default()
                .fit(&cohort, &Progress::none())
                .unwrap();
            let [found_a, found_b] = model.parameters();
            assert!(
                (found_a - a).abs() < 6e-4 && (found_b - b).abs() < 6e-4,
                "{model:?}"
            );
            assert_eq!(RenewalModel::from_json(&model.to_json()).unwrap(), model);
        }
    }

    #[test]
    fn gradients_are_slopes_and_forms_agree() {
        let durations = [1.0, 1.0, 2.0, 5.0, 40.0, 0.0, 3.0];
        let churned = [true, true, true, false, false, false, true];
        let contracts = Contracts::new(&durations, &churned).unwrap();
        let at = |a: f64, b: f64| log_likelihood(&contracts, a, b).0;
        let (_, slope) = log_likelihood(&contracts, -0.3, 0.8);
        let h = 1e-5;
        assert!(((at(-0.3 + h, 0.8) - at(-0.3 - h, 0.8)) / (2.0 * h) - slope[0]).abs() < 1e-8);
        assert!(((at(-0.3, 0.8 + h) - at(-0.3, 0.8 - h)) / (2.0 * h) - slope[1]).abs() < 1e-8);
        let rows = Contracts::new(&[1.0, 1.0, 2.0, 2.0], &[true, true, true, false]).unwrap();
        assert_eq!(rows, {
            let mut cohort = Contracts::from_survivors(&[4.0, 2.0, 1.0]).unwrap();
            cohort
                .renewals
                .retain(|_, counts| counts.0 + counts.1 > 0.0);
            cohort
        });
    }

    #[test]
    fn discounted_renewals_are_the_hypergeometric_value() {
        // mpmath: (b+n)/(a+b+n) 2F1(1, b+n+1; a+b+n+1; 1/1.1) for n = 0 and 4.
        let model = RenewalModel::new(0.764, 1.296).unwrap();
        let got = model.discounted_renewals(&[0.0, 4.0], 0.1).unwrap();
        for (got, want) in got.iter().zip([2.8822114195305, 5.68248921781572]) {
            assert!((got - want).abs() < 1e-9 * want, "{got} {want}");
        }
        assert_eq!(model.survival(&[3.0], 0).unwrap(), [1.0]);
        assert!(model.survival(&[0.5], 1).is_err());
        assert!(model.discounted_renewals(&[1.0], 0.0).is_err());
        assert!(Contracts::new(&[0.0], &[true]).is_err());
        let lost = Contracts::new(&[1.0; 5], &[true; 5]).unwrap();
        let lost = BetaGeometric::default()
            .fit(&lost, &Progress::none())
            .unwrap();
        assert!(lost.survival(&[0.0], 1).unwrap()[0] < 1e-5);
    }
}
