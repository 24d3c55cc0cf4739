//! Newton's method with step halving, which says why it fails where it fails.

use super::likelihood::{Likelihood, Value};
use super::{CoxPh, PLACE};
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;
use crate::progress::Progress;

/// The maximum, in standard deviations of the covariates.
pub(super) struct Found {
    pub(super) beta: Vec<f64>,
    /// Inverse of the information, row-major.
    pub(super) covariance: Vec<f64>,
    pub(super) log_likelihood: f64,
    pub(super) null_log_likelihood: f64,
    pub(super) iterations: u32,
}

/// The last step is smaller than this, in standard deviations, and Newton's error is its square.
const STEP: f64 = 1e-6;
/// A coefficient this large in standard deviations, still growing, is on its way to infinity.
const DIVERGED: f64 = 12.0;
const HALVINGS: u32 = 40;

struct Penalised<'l> {
    likelihood: &'l Likelihood,
    /// n λ.
    strength: f64,
}

impl Penalised<'_> {
    fn at(&self, beta: &[f64]) -> Option<(f64, Value)> {
        let mut value = self.likelihood.at(beta)?;
        let p = beta.len();
        let mut objective = value.log_likelihood;
        for (j, b) in beta.iter().enumerate() {
            objective -= 0.5 * self.strength * b * b;
            value.gradient[j] -= self.strength * b;
            value.information[j * p + j] += self.strength;
        }
        Some((objective, value))
    }
}

pub(super) fn maximise(
    likelihood: &Likelihood,
    settings: &CoxPh,
    progress: &Progress<'_>,
) -> Result<Found> {
    let p = likelihood.design().width();
    let names = &likelihood.design().names;
    let target = Penalised {
        likelihood,
        strength: settings.l2_penalty * likelihood.rows() as f64,
    };
    let most = settings.max_iterations;
    let step_report = progress.step("cox.iterations", most as usize);
    let mut beta = vec![0.0; p];
    let (mut objective, mut value) = target.at(&beta).ok_or_else(|| stuck(0, f64::INFINITY))?;
    let null_log_likelihood = value.log_likelihood;
    for iteration in 1..=most {
        step_report.advance(1)?;
        let Some(factor) = Cholesky::new(&value.information, p) else {
            return Err(diverging(names, &beta, &value, iteration));
        };
        let mut step = value.gradient.clone();
        factor.solve(&mut step);
        let largest = step.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
        if !largest.is_finite() {
            return Err(diverging(names, &beta, &value, iteration));
        }
        let mut scale = 1.0;
        let mut moved = None;
        for _ in 0..HALVINGS {
            let next: Vec<f64> = beta.iter().zip(&step).map(|(b, s)| b + scale * s).collect();
            let slack = 1e-13 * objective.abs();
            if let Some((gained, found)) = target.at(&next).filter(|(o, _)| *o >= objective - slack)
            {
                moved = Some((next, gained, found));
                break;
            }
            scale *= 0.5;
        }
        let Some((next, gained, found)) = moved else {
            return Err(diverging(names, &beta, &value, iteration));
        };
        let rise = gained - objective;
        beta = next;
        (objective, value) = (gained, found);
        if largest <= STEP && scale == 1.0 {
            let Some(factor) = Cholesky::new(&value.information, p) else {
                return Err(diverging(names, &beta, &value, iteration));
            };
            return Ok(Found {
                covariance: factor.inverse(),
                log_likelihood: value.log_likelihood,
                null_log_likelihood,
                iterations: iteration,
                beta,
            });
        }
        // The likelihood has arrived but a coefficient marches on: its estimate is infinite.
        let far = beta.iter().any(|b| b.abs() > DIVERGED);
        if far && rise <= 1e-6 * (1.0 + objective.abs()) && largest > 1e-2 {
            return Err(diverging(names, &beta, &value, iteration));
        }
    }
    Err(diverging(names, &beta, &value, most))
}

/// Which covariate runs off, or, where none does, how far the search came.
fn diverging(names: &[String], beta: &[f64], value: &Value, iterations: u32) -> Error {
    let largest = (0..beta.len()).max_by(|a, b| beta[*a].abs().total_cmp(&beta[*b].abs()));
    match largest {
        Some(j) if beta[j].abs() > 0.5 * DIVERGED => Error::not_converged(
            format!("{PLACE}.{}", names[j]),
            "a covariate that does not separate those who end from those at risk (leave it out or set l2_penalty)",
            format_args!(
                "a coefficient of {:.1} standard deviations, still growing after {iterations} steps",
                beta[j]
            ),
        ),
        _ => {
            let gradient = value.gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            stuck(iterations, gradient)
        }
    }
}

fn stuck(iterations: u32, gradient: f64) -> Error {
    Error::not_converged(
        PLACE,
        "a maximum of the partial likelihood",
        format_args!("a gradient of {gradient:e} after {iterations} steps"),
    )
}
