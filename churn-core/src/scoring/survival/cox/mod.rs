//! Which covariates speed the end up, without saying how the risk moves with time.
//!
//! ```text
//! hazard(t | x) = h₀(t) · exp(βᵀx)
//! ln L(β) = Σ over ends ( βᵀxᵢ − ln Σ over j at risk exp(βᵀxⱼ) )              (partial likelihood)
//! H₀(t) = Σ over times tᵢ ≤ t of dᵢ / Σ over j at risk exp(βᵀ(xⱼ − x̄))          (Breslow)
//! ```
//!
//! Ends at one time by Efron (each takes its share of the others with it) or Breslow (all among
//! the whole risk set). Covariates that change are given as one row per stretch of time
//! ([`Durations::with_entry`]); groups with a baseline of their own as strata. The penalty is
//! n λ/2 Σ (β s)², s the standard deviation of the covariate and n the number of rows.
//!
//! Source: Cox (1972), JRSS B 34; Efron (1977), JASA 72; Breslow (1974), Biometrics 30. Not where
//! hazards cross: one number per covariate then averages early and late effects.

mod likelihood;
mod newton;

use serde::{Deserialize, Serialize};

use self::likelihood::Likelihood;
use super::concordance::{Concordance, within_strata};
use super::durations::Durations;
use super::regression::{Coefficient, check_penalty, linear_predictor};
use super::{check_confidence, check_times, chi_square_tail, step_at};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::learned::Frame;

/// How several ends at one time share the risk set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Efron (1977), close to the exact answer. The default.
    #[default]
    Efron,
    /// Breslow (1974), which pulls coefficients towards 0 where ties are many.
    Breslow,
}

/// Settings of a Cox model.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{Column, Frame};
/// use churn_core::scoring::survival::{CoxPh, Durations};
/// let months = [2.0, 9.0, 4.0, 12.0, 7.0, 12.0];
/// let left = [true, true, true, false, true, false];
/// let complaints = [3.0, 1.0, 2.0, 0.0, 0.0, 1.0];
/// let frame = Frame::new(vec![("complaints".into(), Column::Numeric(complaints.to_vec().into()))])?;
/// let model = CoxPh::default().fit(&Durations::new(&months, &left)?, &frame, None)?;
/// assert!(model.coefficients()[0].coefficient > 0.0); // complaints hasten the end
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoxPh {
    /// How several ends at one time share the risk set. Default Efron.
    pub ties: Ties,
    /// λ of the penalty, not negative. Default 0.
    pub l2_penalty: f64,
    /// Probability that the interval of a coefficient covers the truth. Default 0.95.
    pub confidence: f64,
    /// Newton steps before giving up. Default 100; a good fit takes five to ten.
    pub max_iterations: u32,
}

impl Default for CoxPh {
    fn default() -> Self {
        CoxPh {
            ties: Ties::default(),
            l2_penalty: 0.0,
            confidence: 0.95,
            max_iterations: 100,
        }
    }
}

/// Name of the model in errors.
const PLACE: &str = "cox";

impl CoxPh {
    fn check(&self) -> Result<()> {
        check_confidence(PLACE, self.confidence)?;
        check_penalty(PLACE, self.l2_penalty)?;
        if self.max_iterations == 0 {
            return Err(Error::invalid_parameter(
                "cox.max_iterations",
                "at least 1",
                0,
            ));
        }
        Ok(())
    }

    /// Fits the model: all columns of `frame` are covariates, `strata` the group of each row.
    ///
    /// # Errors
    /// `LengthMismatch`; `NotEnoughData` without ends or if all durations are equal;
    /// `InvalidValue`, naming covariate and row, for a missing cell, and naming the covariate for
    /// one that is constant or a combination of others; `InvalidParameter` for settings outside
    /// their domain or a column of levels; `NotConverged`, naming the covariate, where it separates
    /// those who ended from those at risk, so that its coefficient has no finite estimate: leave it
    /// out or set `l2_penalty`.
    pub fn fit(
        &self,
        durations: &Durations<'_>,
        frame: &Frame<'_>,
        strata: Option<&[u32]>,
    ) -> Result<CoxModel> {
        self.fit_observed(durations, frame, strata, &Progress::none())
    }

    /// The same with progress and cancellation; the step is `cox.iterations`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and `Cancelled`.
    pub fn fit_observed(
        &self,
        durations: &Durations<'_>,
        frame: &Frame<'_>,
        strata: Option<&[u32]>,
        progress: &Progress<'_>,
    ) -> Result<CoxModel> {
        self.check()?;
        let n = durations.len();
        if frame.rows() != n {
            return Err(Error::length_mismatch("covariates", n, frame.rows()));
        }
        if let Some(strata) = strata
            && strata.len() != n
        {
            return Err(Error::length_mismatch("strata", n, strata.len()));
        }
        durations.check_any_event()?;
        let likelihood = Likelihood::new(durations, frame, strata, self.ties)?;
        if self.l2_penalty == 0.0 {
            likelihood.check_independent(PLACE)?;
        }
        let found = newton::maximise(&likelihood, self, progress)?;
        let design = likelihood.design();
        let p = design.width();
        let unscaled: Vec<f64> = (0..p).map(|j| found.beta[j] / design.scales[j]).collect();
        let covariance: Vec<f64> = (0..p * p)
            .map(|i| found.covariance[i] / (design.scales[i / p] * design.scales[i % p]))
            .collect();
        let coefficients = (0..p)
            .map(|j| {
                let variance = covariance[j * p + j];
                Coefficient::new(&design.names[j], unscaled[j], variance, self.confidence)
            })
            .collect();
        let risk = linear_predictor(PLACE, &design.names, &unscaled, &design.means, frame)?;
        Ok(CoxModel {
            concordance: within_strata(durations, &risk, strata)?,
            baselines: likelihood.baselines(&found.beta),
            names: design.names.clone(),
            means: design.means.clone(),
            stratified: strata.is_some(),
            rows: n,
            events: durations.events(),
            log_likelihood: found.log_likelihood,
            null_log_likelihood: found.null_log_likelihood,
            iterations: found.iterations,
            estimates: unscaled,
            covariance,
            coefficients,
        })
    }
}

/// Cumulative baseline hazard of one stratum: that of a row whose covariates are the means.
#[derive(Debug, Clone, PartialEq)]
struct Baseline {
    stratum: u32,
    times: Vec<f64>,
    hazard: Vec<f64>,
}

/// A fitted Cox model.
#[derive(Debug, Clone, PartialEq)]
pub struct CoxModel {
    coefficients: Vec<Coefficient>,
    names: Vec<String>,
    estimates: Vec<f64>,
    means: Vec<f64>,
    covariance: Vec<f64>,
    /// By ascending stratum.
    baselines: Vec<Baseline>,
    stratified: bool,
    log_likelihood: f64,
    null_log_likelihood: f64,
    iterations: u32,
    rows: usize,
    events: usize,
    concordance: Concordance,
}

impl CoxModel {
    /// One coefficient per covariate: the change of the log hazard per unit.
    pub fn coefficients(&self) -> &[Coefficient] {
        &self.coefficients
    }

    /// Covariance of the coefficients, row-major, covariates × covariates.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// Means of the covariates, which the baseline describes.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Logarithm of the partial likelihood at the estimate, without the penalty.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The same with all coefficients 0.
    pub fn null_log_likelihood(&self) -> f64 {
        self.null_log_likelihood
    }

    /// Likelihood-ratio test of all coefficients together: statistic, degrees of freedom and
    /// p-value. Means nothing under a penalty.
    pub fn likelihood_ratio(&self) -> (f64, usize, f64) {
        let statistic = 2.0 * (self.log_likelihood - self.null_log_likelihood);
        let p = self.estimates.len();
        (statistic, p, chi_square_tail(statistic, p))
    }

    /// How well the model orders the spells it was fitted on, within strata.
    pub fn concordance(&self) -> &Concordance {
        &self.concordance
    }

    /// Newton steps taken.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Number of rows fitted on.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of ends among them.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The strata in order; \[0\] for a model without.
    pub fn strata(&self) -> Vec<u32> {
        self.baselines.iter().map(|b| b.stratum).collect()
    }

    /// Times and cumulative hazard of a stratum for a row whose covariates are the
    /// [`means`](Self::means); 0 is the stratum of a model without.
    ///
    /// # Errors
    /// `InvalidParameter` for a stratum that was not fitted.
    pub fn baseline(&self, stratum: u32) -> Result<(&[f64], &[f64])> {
        let baseline = self.of_stratum(stratum, None)?;
        Ok((&baseline.times, &baseline.hazard))
    }

    fn of_stratum(&self, stratum: u32, row: Option<usize>) -> Result<&Baseline> {
        match self.baselines.binary_search_by_key(&stratum, |b| b.stratum) {
            Ok(i) => Ok(&self.baselines[i]),
            Err(_) => {
                let error = Error::invalid_parameter("strata", "a stratum of the fit", stratum);
                Err(match row {
                    Some(row) => error.at_row(row),
                    None => error,
                })
            }
        }
    }

    /// ln of each row's hazard over that of a row with mean covariates: the score to rank by.
    ///
    /// # Errors
    /// `UnknownName` for a missing column; `InvalidValue`, naming covariate and row, for a missing
    /// cell.
    pub fn log_partial_hazard(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        linear_predictor(PLACE, &self.names, &self.estimates, &self.means, frame)
    }

    /// Probability that each row lasts longer than each time: time *j* of row *i* at `j * n + i`.
    /// Constant after the last time of the fit, where the data say nothing.
    ///
    /// With `conditional_after`, one time per row, the probability to last that much longer, given
    /// that the spell has run that long: the question for customers who are there today.
    ///
    /// # Errors
    /// As [`log_partial_hazard`](Self::log_partial_hazard); `InvalidValue` for a time that is
    /// negative or not finite; `InvalidParameter` for a stratum that was not fitted, or strata
    /// given or left out against the fit; `LengthMismatch`.
    pub fn survival(
        &self,
        frame: &Frame<'_>,
        times: &[f64],
        strata: Option<&[u32]>,
        conditional_after: Option<&[f64]>,
    ) -> Result<Vec<f64>> {
        check_times(times)?;
        let n = frame.rows();
        if let Some(after) = conditional_after {
            if after.len() != n {
                return Err(Error::length_mismatch("conditional_after", n, after.len()));
            }
            check_times(after).map_err(|e| {
                let row = e.row().unwrap_or(0) as usize;
                Error::invalid_value("conditional_after", row, e.expected(), e.got())
            })?;
        }
        let baselines = self.baselines_of(n, strata)?;
        let risk = self.log_partial_hazard(frame)?;
        let mut out = Vec::with_capacity(n * times.len());
        for t in times {
            for (row, baseline) in baselines.iter().enumerate() {
                let at = |t| step_at(&baseline.times, &baseline.hazard, 0.0, t);
                let hazard = match conditional_after {
                    None => at(*t),
                    Some(after) => at(after[row] + t) - at(after[row]),
                };
                // No hazard stays none, however large the risk.
                let total = if hazard > 0.0 {
                    hazard * risk[row].exp()
                } else {
                    0.0
                };
                out.push((-total).exp());
            }
        }
        Ok(out)
    }

    /// The first time at which each row's survival is at most `survival` (0.5 = median); `None`
    /// where it never falls that far within the times of the fit.
    ///
    /// # Errors
    /// As [`survival`](Self::survival); `InvalidParameter` for a share outside 0 to 1.
    pub fn percentile(
        &self,
        frame: &Frame<'_>,
        survival: f64,
        strata: Option<&[u32]>,
    ) -> Result<Vec<Option<f64>>> {
        if !(0.0..=1.0).contains(&survival) {
            return Err(Error::invalid_parameter(
                "survival",
                "a share from 0 to 1",
                survival,
            ));
        }
        let baselines = self.baselines_of(frame.rows(), strata)?;
        let risk = self.log_partial_hazard(frame)?;
        let rows = baselines.iter().zip(&risk).map(|(baseline, risk)| {
            let needed = -survival.ln() * (-risk).exp();
            let at = baseline.hazard.partition_point(|h| *h < needed);
            baseline.times.get(at).copied()
        });
        Ok(rows.collect())
    }

    fn baselines_of(&self, n: usize, strata: Option<&[u32]>) -> Result<Vec<&Baseline>> {
        match strata {
            Some(_) if !self.stratified => Err(Error::invalid_parameter(
                "strata",
                "none: the model was fitted without",
                "strata",
            )),
            None if self.stratified => Err(Error::invalid_parameter(
                "strata",
                "one per row: the model was fitted with strata",
                "none",
            )),
            None => Ok(vec![&self.baselines[0]; n]),
            Some(strata) if strata.len() != n => {
                Err(Error::length_mismatch("strata", n, strata.len()))
            }
            Some(strata) => {
                let rows = strata.iter().enumerate();
                rows.map(|(row, s)| self.of_stratum(*s, Some(row)))
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
