//! The search for a maximum, shared by all models.

use crate::error::{Error, ErrorKind, Result};
use crate::math::optimize::{Objective, Optimum, Search, minimize};
use crate::progress::Progress;

use super::likelihood::{Effects, Kernel, P, log_likelihood};
use super::patterns::Patterns;

/// The best certified minimum over all starts; starts that fail do not matter while one succeeds.
///
/// # Errors
/// The first failure if every start fails; `Cancelled` at once.
pub(super) fn from_starts(
    search: &Search,
    starts: &[Vec<f64>],
    objective: &mut Objective<'_>,
) -> Result<Optimum> {
    let mut best: Option<Optimum> = None;
    let mut failure: Option<Error> = None;
    let mut spent = 0;
    for start in starts {
        match minimize(search, start, objective) {
            Ok(found) => {
                spent += found.evaluations;
                // Equal maxima reached from two starts differ by rounding.
                let lower = |known: &Optimum| found.value < known.value - 1e-6;
                if best.as_ref().is_none_or(lower) {
                    best = Some(found);
                }
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match (best, failure) {
        (Some(mut best), _) => {
            best.evaluations = spent;
            Ok(best)
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::not_converged(search.what, "a start", "none")),
    }
}

/// A fit of one of the models with the kernel interface.
pub(super) struct Fitting<'f> {
    pub(super) patterns: &'f Patterns,
    /// Some of the rows, on which starts are compared where there are many.
    pub(super) sample: Option<Patterns>,
    pub(super) effects: Effects,
    /// On parameters and on coefficients.
    pub(super) penalties: (f64, f64),
    pub(super) search: Search,
    pub(super) progress: &'f Progress<'f>,
}

impl Fitting<'_> {
    /// The certified maximum and the log-likelihood there.
    pub(super) fn run<K: Kernel>(&self, kernel: &K, starts: &[Vec<f64>]) -> Result<(Optimum, f64)> {
        let Some(sample) = &self.sample else {
            return self.climb(kernel, self.patterns, starts);
        };
        match self.climb(kernel, sample, starts) {
            Ok((found, _)) => match self.climb(kernel, self.patterns, &[found.theta]) {
                Err(error) if error.kind() != ErrorKind::Cancelled => {
                    self.climb(kernel, self.patterns, starts)
                }
                result => result,
            },
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            // The sample alone may not determine the parameters.
            Err(_) => self.climb(kernel, self.patterns, starts),
        }
    }

    pub(super) fn climb<K: Kernel>(
        &self,
        kernel: &K,
        patterns: &Patterns,
        starts: &[Vec<f64>],
    ) -> Result<(Optimum, f64)> {
        let (on_parameters, on_coefficients) = self.penalties;
        let step = self
            .progress
            .step("lifetime.fit", self.search.max_evaluations);
        let customers = patterns.customers();
        let width = starts.first().map_or(P, Vec::len);
        let mut gradient = vec![0.0; width];
        let optimum = from_starts(&self.search, starts, &mut |theta, slope| {
            step.advance(1)?;
            let value = log_likelihood(kernel, patterns, &self.effects, theta, &mut gradient);
            let mut loss = -value;
            for i in 0..theta.len() {
                slope[i] = -gradient[i];
                // Squared parameter, whether it stands as a logarithm or as it is.
                let (squared, turn, penalty) = if i < P {
                    let squared = (2.0 * theta[i]).exp();
                    (squared, 2.0 * squared, on_parameters)
                } else {
                    (theta[i] * theta[i], 2.0 * theta[i], on_coefficients)
                };
                if penalty > 0.0 {
                    loss += customers * penalty * squared;
                    slope[i] += customers * penalty * turn;
                }
            }
            Ok(loss)
        })?;
        let value = log_likelihood(
            kernel,
            patterns,
            &self.effects,
            &optimum.theta,
            &mut gradient,
        );
        Ok((optimum, value))
    }
}
