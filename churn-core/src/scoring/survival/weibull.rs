//! A formula for how long spells last: covariates stretch or squeeze a Weibull clock.
//!
//! ```text
//! S(t | x) = exp(−(t / λ(x))^ρ)      ln λ(x) = β₀ + βᵀx
//! ```
//!
//! ρ > 1: the risk grows with the age of the spell; ρ < 1: it falls; ρ = 1: it does not age. Fitted
//! by maximum likelihood in (ρ, ρβ), where the log-likelihood is concave, so that Newton's method
//! with step halving finds the one maximum from any start; errors of β and ln ρ by the delta method.
//!
//! Source: Kalbfleisch & Prentice (1980), The Statistical Analysis of Failure Time Data. Not where
//! some never leave or the hazard has a hump: look at the Kaplan–Meier curve first.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::concordance::{Concordance, concordance};
use super::durations::Durations;
use super::regression::{
    CHUNK, Coefficient, Design, canonical_order, check_penalty, linear_predictor,
};
use super::{check_confidence, check_times, chi_square_tail};
use crate::error::{Error, ErrorKind, Result};
use crate::math::linalg::Cholesky;
use crate::math::special::ln_gamma;
use crate::scoring::learned::Frame;

/// Settings of a Weibull accelerated-failure-time model.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, WeibullAft};
/// let days = [10.0, 18.0, 25.0, 31.0, 40.0];
/// let durations = Durations::new(&days, &[true, true, true, true, false])?;
/// let model = WeibullAft::default().fit(&durations, None)?;
/// assert!(model.shape() > 1.0); // the longer it lasts, the likelier it ends
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeibullAft {
    /// λ of the penalty n λ/2 Σ (ρ β s)², s the standard deviation of the covariate. Default 0.
    pub l2_penalty: f64,
    /// Probability that the interval of a coefficient covers the truth. Default 0.95.
    pub confidence: f64,
    /// Newton steps before giving up. Default 100; a good fit takes about ten.
    pub max_iterations: u32,
}

impl Default for WeibullAft {
    fn default() -> Self {
        WeibullAft {
            l2_penalty: 0.0,
            confidence: 0.95,
            max_iterations: 100,
        }
    }
}

const PLACE: &str = "weibull_aft";
/// Newton's last step is smaller than this, and its error about the square.
const STEP: f64 = 1e-7;
/// Beyond, all spells end at one time as far as numbers can tell.
const SHAPES: (f64, f64) = (1e-6, 1e6);

/// Spells in canonical order: ln t centred, covariates standardised.
struct Problem {
    log_time: Vec<f64>,
    mean_log_time: f64,
    event: Vec<bool>,
    design: Option<Design>,
    /// n λ.
    strength: f64,
}

/// Log-likelihood, gradient and negated Hessian in (a, θ…, ρ), with u = ρ ln t − a − θᵀz.
struct Value {
    log_likelihood: f64,
    gradient: Vec<f64>,
    information: Vec<f64>,
}

impl Problem {
    fn width(&self) -> usize {
        self.design.as_ref().map_or(0, Design::width)
    }

    fn at(&self, place: &[f64]) -> Option<Value> {
        let p = self.width();
        let m = p + 2;
        let rho = place[m - 1];
        if !(SHAPES.0..=SHAPES.1).contains(&rho) {
            return None;
        }
        let parts: Vec<Value> = self
            .event
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, events)| self.part(place, chunk * CHUNK, events))
            .collect();
        let mut all = Value {
            log_likelihood: 0.0,
            gradient: vec![0.0; m],
            information: vec![0.0; m * m],
        };
        for part in &parts {
            all.log_likelihood += part.log_likelihood;
            for (sum, x) in all.gradient.iter_mut().zip(&part.gradient) {
                *sum += x;
            }
            for (sum, x) in all.information.iter_mut().zip(&part.information) {
                *sum += x;
            }
        }
        let finite = all.log_likelihood.is_finite()
            && all.information.iter().all(|x| x.is_finite())
            && all.gradient.iter().all(|x| x.is_finite());
        finite.then_some(all)
    }

    fn part(&self, place: &[f64], from: usize, events: &[bool]) -> Value {
        let p = self.width();
        let m = p + 2;
        let rho = place[m - 1];
        let mut value = Value {
            log_likelihood: 0.0,
            gradient: vec![0.0; m],
            information: vec![0.0; m * m],
        };
        // Derivatives of u: −1 for a, −z for θ, ln t for ρ.
        let mut slope = vec![-1.0; m];
        for (k, event) in events.iter().enumerate() {
            let i = from + k;
            let y = self.log_time[i];
            if let Some(design) = &self.design {
                for (slope, z) in slope[1..=p].iter_mut().zip(&design.matrix[i * p..]) {
                    *slope = -z;
                }
            }
            slope[m - 1] = y;
            let u: f64 = slope.iter().zip(place).map(|(s, x)| s * x).sum();
            let hazard = u.exp();
            let mut residual = -hazard;
            value.log_likelihood -= hazard;
            if *event {
                value.log_likelihood += rho.ln() + u - y - self.mean_log_time;
                residual += 1.0;
                value.gradient[m - 1] += 1.0 / rho;
                value.information[m * m - 1] += 1.0 / (rho * rho);
            }
            for a in 0..m {
                value.gradient[a] += residual * slope[a];
                let scaled = hazard * slope[a];
                let row = &mut value.information[a * m..=a * m + a];
                for (sum, slope) in row.iter_mut().zip(&slope) {
                    *sum += scaled * slope;
                }
            }
        }
        value
    }

    fn penalised(&self, place: &[f64]) -> Option<(f64, Value)> {
        let mut value = self.at(place)?;
        let (p, m) = (self.width(), place.len());
        let mut objective = value.log_likelihood;
        for (j, x) in place.iter().enumerate().take(p + 1).skip(1) {
            objective -= 0.5 * self.strength * x * x;
            value.gradient[j] -= self.strength * x;
            value.information[j * m + j] += self.strength;
        }
        Some((objective, value))
    }

    /// The maximum and the inverse information there, or how it went wrong.
    fn maximise(&self, most: u32) -> Result<(Vec<f64>, Vec<f64>, f64, u32)> {
        let m = self.width() + 2;
        let events = self.event.iter().filter(|e| **e).count() as f64;
        // The exponential model without covariates.
        let total: f64 = self.log_time.iter().map(|y| y.exp()).sum();
        let mut place = vec![0.0; m];
        place[0] = (total / events).ln();
        place[m - 1] = 1.0;
        let (mut objective, mut value) = self
            .penalised(&place)
            .ok_or_else(|| self.failed(&place, 0))?;
        for iteration in 1..=most {
            let Some(factor) = Cholesky::new(&value.information, m) else {
                return Err(self.failed(&place, iteration));
            };
            let mut step = value.gradient.clone();
            factor.solve(&mut step);
            let size = |j: usize| step[j].abs() / if j == m - 1 { place[j] } else { 1.0 };
            let largest = (0..m).map(size).fold(0.0, f64::max);
            let mut scale = 1.0;
            let mut moved = None;
            for _ in 0..60 {
                let next: Vec<f64> = place
                    .iter()
                    .zip(&step)
                    .map(|(x, s)| x + scale * s)
                    .collect();
                let slack = 1e-13 * objective.abs();
                if let Some((gained, found)) = self
                    .penalised(&next)
                    .filter(|(o, _)| *o >= objective - slack)
                {
                    moved = Some((next, gained, found));
                    break;
                }
                scale *= 0.5;
            }
            let Some((next, gained, found)) = moved else {
                return Err(self.failed(&place, iteration));
            };
            place = next;
            (objective, value) = (gained, found);
            if largest <= STEP && scale == 1.0 {
                let Some(factor) = Cholesky::new(&value.information, m) else {
                    return Err(self.failed(&place, iteration));
                };
                return Ok((place, factor.inverse(), value.log_likelihood, iteration));
            }
        }
        Err(self.failed(&place, most))
    }

    fn failed(&self, place: &[f64], iterations: u32) -> Error {
        let p = self.width();
        let rho = place[p + 1];
        let far = (1..=p).max_by(|a, b| place[*a].abs().total_cmp(&place[*b].abs()));
        match (&self.design, far) {
            (Some(design), Some(j)) if place[j].abs() > 6.0 * rho.max(1.0) => Error::not_converged(
                format!("{PLACE}.{}", design.names[j - 1]),
                "a covariate whose values all see spells end (leave it out or set l2_penalty)",
                format_args!("a coefficient still growing after {iterations} steps"),
            ),
            _ => Error::not_converged(
                PLACE,
                "durations that a Weibull distribution with a finite shape fits",
                format_args!("a shape of {rho:.3e} after {iterations} steps"),
            ),
        }
    }
}

impl WeibullAft {
    /// Fits the model: all columns of `frame` are covariates; `None` = the durations alone.
    ///
    /// # Errors
    /// `LengthMismatch`; `NotEnoughData` without ends or if all durations are equal;
    /// `InvalidValue`, naming the row, for a duration of 0 or a missing cell, and naming the
    /// covariate for one that is constant or a combination of others; `InvalidParameter` for
    /// settings outside their domain, late entries or a column of levels; `NotConverged` where no
    /// finite estimate exists.
    pub fn fit(
        &self,
        durations: &Durations<'_>,
        frame: Option<&Frame<'_>>,
    ) -> Result<WeibullModel> {
        check_confidence(PLACE, self.confidence)?;
        check_penalty(PLACE, self.l2_penalty)?;
        if self.max_iterations == 0 {
            let place = "weibull_aft.max_iterations";
            return Err(Error::invalid_parameter(place, "at least 1", 0));
        }
        durations.check_no_entry("the Weibull model")?;
        let n = durations.len();
        if let Some(frame) = frame
            && frame.rows() != n
        {
            return Err(Error::length_mismatch("covariates", n, frame.rows()));
        }
        durations.check_any_event()?;
        let stop = durations.durations();
        if let Some(row) = stop.iter().position(|t| *t == 0.0) {
            let expected = "a duration above 0, which the model takes the logarithm of";
            return Err(Error::invalid_value("durations", row, expected, 0));
        }
        if stop.iter().all(|t| *t == stop[0]) {
            return Err(Error::new(
                ErrorKind::NotEnoughData,
                "durations",
                "durations that differ",
                format_args!("{} in every row", stop[0]),
            ));
        }
        let order = canonical_order(durations, frame, None);
        let design = frame
            .map(|frame| Design::new(PLACE, frame, &order))
            .transpose()?;
        if let (Some(design), true) = (&design, self.l2_penalty == 0.0) {
            design.check_independent(PLACE, &[n])?;
        }
        let mut log_time: Vec<f64> = order.iter().map(|row| stop[*row].ln()).collect();
        let mean_log_time = log_time.iter().sum::<f64>() / n as f64;
        log_time.iter_mut().for_each(|y| *y -= mean_log_time);
        let event: Vec<bool> = order
            .iter()
            .map(|row| durations.event_observed()[*row])
            .collect();
        let mut problem = Problem {
            log_time,
            mean_log_time,
            event,
            design,
            strength: self.l2_penalty * n as f64,
        };
        let found = problem.maximise(self.max_iterations)?;
        let mut model = self.model(&problem, found);
        if let Some(frame) = frame {
            let longest = model.log_scale(frame)?;
            let risk: Vec<f64> = longest.iter().map(|x| -x).collect();
            model.concordance = Some(concordance(durations, &risk)?);
            problem.design = None;
            model.null_log_likelihood = problem.maximise(self.max_iterations)?.2;
        }
        Ok(model)
    }

    /// From (a, θ, ρ) of standardised covariates to (β₀, β, ln ρ) of the covariates themselves.
    fn model(&self, problem: &Problem, found: (Vec<f64>, Vec<f64>, f64, u32)) -> WeibullModel {
        let (place, inverse, log_likelihood, iterations) = found;
        let p = problem.width();
        let m = p + 2;
        let (a, rho) = (place[0], place[m - 1]);
        let (names, means, scales) = match &problem.design {
            Some(design) => (
                design.names.clone(),
                design.means.clone(),
                design.scales.clone(),
            ),
            None => Default::default(),
        };
        let estimates: Vec<f64> = (0..p).map(|j| place[j + 1] / (rho * scales[j])).collect();
        let at_means = a / rho + problem.mean_log_time;
        let shift: f64 = (0..p).map(|j| estimates[j] * means[j]).sum();
        // Rows: β₀, β, ln ρ; columns: a, θ, ρ.
        let mut jacobian = vec![0.0; m * m];
        jacobian[0] = 1.0 / rho;
        jacobian[m - 1] = -a / (rho * rho) + shift / rho;
        for j in 0..p {
            jacobian[j + 1] = -means[j] / (rho * scales[j]);
            jacobian[(j + 1) * m + j + 1] = 1.0 / (rho * scales[j]);
            jacobian[(j + 1) * m + m - 1] = -estimates[j] / rho;
        }
        jacobian[m * m - 1] = 1.0 / rho;
        let variance = |row: usize| -> f64 {
            let slope = &jacobian[row * m..(row + 1) * m];
            let sum = |i: usize| -> f64 { (0..m).map(|j| inverse[i * m + j] * slope[j]).sum() };
            (0..m).map(|i| slope[i] * sum(i)).sum::<f64>().max(0.0)
        };
        let coefficient = |name: &str, estimate: f64, row: usize| {
            Coefficient::new(name, estimate, variance(row), self.confidence)
        };
        let mut coefficients = vec![coefficient("intercept", at_means - shift, 0)];
        for j in 0..p {
            coefficients.push(coefficient(&names[j], estimates[j], j + 1));
        }
        WeibullModel {
            log_shape: coefficient("log_shape", rho.ln(), m - 1),
            coefficients,
            names,
            means,
            estimates,
            at_means,
            shape: rho,
            log_likelihood,
            null_log_likelihood: log_likelihood,
            iterations,
            concordance: None,
        }
    }
}

/// A fitted Weibull model.
#[derive(Debug, Clone, PartialEq)]
pub struct WeibullModel {
    coefficients: Vec<Coefficient>,
    log_shape: Coefficient,
    names: Vec<String>,
    means: Vec<f64>,
    estimates: Vec<f64>,
    /// ln λ at the means of the covariates.
    at_means: f64,
    shape: f64,
    log_likelihood: f64,
    null_log_likelihood: f64,
    iterations: u32,
    concordance: Option<Concordance>,
}

impl WeibullModel {
    /// The intercept β₀, then one coefficient per covariate: the change of ln λ per unit.
    pub fn coefficients(&self) -> &[Coefficient] {
        &self.coefficients
    }

    /// ln ρ with its error.
    pub fn log_shape(&self) -> &Coefficient {
        &self.log_shape
    }

    /// ρ.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// λ where all covariates are 0: exp β₀.
    pub fn scale(&self) -> f64 {
        self.coefficients[0].coefficient.exp()
    }

    /// Log-likelihood at the estimate, without the penalty.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The same without covariates.
    pub fn null_log_likelihood(&self) -> f64 {
        self.null_log_likelihood
    }

    /// Likelihood-ratio test of all covariates together: statistic, degrees of freedom and
    /// p-value. Means nothing under a penalty.
    pub fn likelihood_ratio(&self) -> (f64, usize, f64) {
        let statistic = 2.0 * (self.log_likelihood - self.null_log_likelihood);
        let p = self.names.len();
        let p_value = if p == 0 {
            1.0
        } else {
            chi_square_tail(statistic, p)
        };
        (statistic, p, p_value)
    }

    /// How well the model orders the spells it was fitted on; `None` without covariates.
    pub fn concordance(&self) -> Option<&Concordance> {
        self.concordance.as_ref()
    }

    /// Newton steps taken.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// ln λ of each row.
    ///
    /// # Errors
    /// `UnknownName` for a missing column; `InvalidValue`, naming covariate and row, for a missing
    /// cell.
    pub fn log_scale(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let mut out = linear_predictor(PLACE, &self.names, &self.estimates, &self.means, frame)?;
        out.iter_mut().for_each(|x| *x += self.at_means);
        Ok(out)
    }

    /// Probability that each row lasts longer than each time: time *j* of row *i* at `j * n + i`;
    /// with `conditional_after`, that much longer given that it has run that long.
    ///
    /// # Errors
    /// As [`log_scale`](Self::log_scale); `InvalidValue` for a time that is negative or not
    /// finite; `LengthMismatch`.
    pub fn survival(
        &self,
        frame: &Frame<'_>,
        times: &[f64],
        conditional_after: Option<&[f64]>,
    ) -> Result<Vec<f64>> {
        check_times(times)?;
        let scales = self.log_scale(frame)?;
        let n = scales.len();
        if let Some(after) = conditional_after {
            if after.len() != n {
                return Err(Error::length_mismatch("conditional_after", n, after.len()));
            }
            check_times(after).map_err(|e| {
                let row = e.row().unwrap_or(0) as usize;
                Error::invalid_value("conditional_after", row, e.expected(), e.got())
            })?;
        }
        let hazard = |t: f64, scale: f64| {
            if t > 0.0 {
                (self.shape * (t.ln() - scale)).exp()
            } else {
                0.0
            }
        };
        let mut out = Vec::with_capacity(n * times.len());
        for t in times {
            for (row, scale) in scales.iter().enumerate() {
                let ran = conditional_after.map_or(0.0, |after| after[row]);
                let (before, after) = (hazard(ran, *scale), hazard(ran + t, *scale));
                // A spell that has outlived all that the model thinks possible ends now.
                out.push(if after.is_finite() {
                    (before - after).exp().min(1.0)
                } else {
                    f64::from(u8::from(*t == 0.0))
                });
            }
        }
        Ok(out)
    }

    /// The time at which each row's survival is `survival` (0.5 = median), λ (−ln S)^(1/ρ).
    ///
    /// # Errors
    /// As [`log_scale`](Self::log_scale); `InvalidParameter` for a share not between 0 and 1;
    /// `InvalidValue`, naming the row, for a time that numbers cannot hold.
    pub fn percentile(&self, frame: &Frame<'_>, survival: f64) -> Result<Vec<f64>> {
        if !(survival > 0.0 && survival < 1.0) {
            return Err(Error::invalid_parameter(
                "survival",
                "a share between 0 and 1",
                survival,
            ));
        }
        let clock = (-survival.ln()).ln() / self.shape;
        self.times(frame, clock)
    }

    /// Mean duration of each row, λ Γ(1 + 1/ρ).
    ///
    /// # Errors
    /// As [`percentile`](Self::percentile).
    pub fn mean(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        self.times(frame, ln_gamma(1.0 + 1.0 / self.shape))
    }

    fn times(&self, frame: &Frame<'_>, shift: f64) -> Result<Vec<f64>> {
        let times: Vec<f64> = self
            .log_scale(frame)?
            .iter()
            .map(|scale| (scale + shift).exp())
            .collect();
        match times.iter().position(|t| !t.is_finite()) {
            None => Ok(times),
            Some(row) => Err(Error::invalid_value(
                PLACE,
                row,
                "covariates whose duration is a finite number",
                times[row],
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;
    use crate::scoring::learned::Column;

    fn frame(x: &[f64]) -> Frame<'_> {
        Frame::new(vec![("x".into(), Column::Numeric(x.into()))]).unwrap()
    }

    #[test]
    fn known_clock_comes_back_for_any_order() {
        let mut random = Random::new(4, 0);
        let n = 6_000;
        let x: Vec<f64> = (0..n).map(|_| random.between(0.0, 100.0)).collect();
        let draw = |x: &f64, random: &mut Random| {
            (3.0 + 0.02 * x).exp() * random.exponential(1.0).powf(1.0 / 1.7)
        };
        let ends: Vec<f64> = x.iter().map(|x| draw(x, &mut random)).collect();
        let event: Vec<bool> = ends.iter().map(|t| *t <= 90.0).collect();
        let stop: Vec<f64> = ends.iter().map(|t| t.min(90.0)).collect();
        let durations = Durations::new(&stop, &event).unwrap();
        let model = WeibullAft::default()
            .fit(&durations, Some(&frame(&x)))
            .unwrap();
        for (c, truth) in model.coefficients().iter().zip([3.0, 0.02]) {
            assert!(
                (c.coefficient - truth).abs() < 4.0 * c.standard_error,
                "{c:?}"
            );
        }
        let shape = model.log_shape();
        assert!((shape.coefficient - 1.7_f64.ln()).abs() < 4.0 * shape.standard_error);
        assert!(model.likelihood_ratio().2 < 1e-10);

        let back = |v: &[f64]| v.iter().rev().copied().collect::<Vec<f64>>();
        let (stop, x) = (back(&stop), back(&x));
        let event: Vec<bool> = event.iter().rev().copied().collect();
        let durations = Durations::new(&stop, &event).unwrap();
        let other = WeibullAft::default()
            .fit(&durations, Some(&frame(&x)))
            .unwrap();
        assert_eq!(model.coefficients(), other.coefficients());
    }

    #[test]
    fn predictions_agree_with_the_formula() {
        let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let stop = [4.0, 9.0, 7.0, 20.0, 30.0, 26.0];
        let durations = Durations::new(&stop, &[true, true, true, false, true, true]).unwrap();
        let model = WeibullAft::default()
            .fit(&durations, Some(&frame(&x)))
            .unwrap();
        let median = model.percentile(&frame(&x), 0.5).unwrap();
        for (row, t) in median.iter().enumerate() {
            let s = model.survival(&frame(&x), &[*t], None).unwrap()[row];
            assert!((s - 0.5).abs() < 1e-12);
        }
        let whole = model.survival(&frame(&x), &[12.0], None).unwrap();
        let first = model.survival(&frame(&x), &[5.0], None).unwrap();
        let rest = model.survival(&frame(&x), &[7.0], Some(&[5.0; 6])).unwrap();
        for row in 0..6 {
            assert!((first[row] * rest[row] - whole[row]).abs() < 1e-12);
        }
        // The mean is the area under the curve.
        let grid: Vec<f64> = (0..40_000).map(|i| f64::from(i) * 0.01).collect();
        let all = model.survival(&frame(&x), &grid, None).unwrap();
        let area: f64 = (0..grid.len()).map(|j| all[j * 6 + 2] * 0.01).sum();
        let mean = model.mean(&frame(&x)).unwrap()[2];
        assert!((area - 0.005 - mean).abs() < 1e-4, "{area} {mean}");
    }

    #[test]
    fn what_has_no_estimate_is_an_error() {
        let fit = |stop: &[f64], event: &[bool], x: Option<&[f64]>| {
            let durations = Durations::new(stop, event).unwrap();
            let frame = x.map(frame);
            WeibullAft::default()
                .fit(&durations, frame.as_ref())
                .unwrap_err()
        };
        // All ends at the last time: a shape without bound.
        let error = fit(&[5.0, 5.0, 3.0], &[true, true, false], None);
        assert_eq!(error.kind(), ErrorKind::NotConverged, "{error}");
        // Nobody with x = 1 ends.
        let error = fit(
            &[1.0, 2.0, 3.0, 4.0, 5.0],
            &[true, true, false, false, false],
            Some(&[0.0, 0.0, 0.0, 1.0, 1.0]),
        );
        assert_eq!(error.kind(), ErrorKind::NotConverged, "{error}");
        let durations = Durations::new(&[1.0, 2.0], &[true, true]).unwrap();
        let late = durations.with_entry(&[0.0, 1.0]).unwrap();
        assert_eq!(
            WeibullAft::default().fit(&late, None).unwrap_err().what(),
            "entry"
        );
    }
}
