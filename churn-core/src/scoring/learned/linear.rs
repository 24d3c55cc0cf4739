//! Linear regression with an L2 penalty: expected money or counts, and the second stage of uplift
//! models.
//!
//! Minimises Σ w (y − b − xᵀβ)² + l2 Σ β², terms scaled to unit variance and the intercept free;
//! solved exactly by normal equations (Hoerl & Kennard 1970, Technometrics 12). Not for outcomes
//! of 0 and 1, whose probabilities it would push beyond them: that is what [`Logistic`] is for.
//!
//! [`Logistic`]: super::Logistic

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::logistic::design::{Coding, Design};
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;

/// Settings of linear regression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// Penalty on half the squares of the coefficients, of standardised terms. Default 1.
    pub l2: f64,
    /// Levels of a categorical column that get a term of their own. Default 50.
    pub max_levels: usize,
}

impl Default for Linear {
    fn default() -> Self {
        Linear {
            l2: 1.0,
            max_levels: 50,
        }
    }
}

/// A fitted linear regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearModel {
    design: Design,
    intercept: f64,
    coefficients: Vec<f64>,
}

impl Linear {
    /// Fits numbers on the columns of a frame. Missing cells get a term of their own, as in the
    /// logistic model.
    ///
    /// # Errors
    /// `InvalidParameter` for a penalty that is not positive; `LengthMismatch`; `InvalidValue`,
    /// naming the row, for a target or weight that is not finite or a negative weight;
    /// `NotEnoughData` without weight.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<LinearModel> {
        if !(self.l2.is_finite() && self.l2 > 0.0) {
            return Err(Error::invalid_parameter(
                "linear.l2",
                "a positive number",
                self.l2,
            ));
        }
        let ones;
        let weights = match weights {
            Some(weights) => weights,
            None => {
                ones = vec![1.0; target.len()];
                &ones
            }
        };
        for (what, values) in [("target", target), ("weights", weights)] {
            if values.len() != frame.rows() {
                return Err(Error::length_mismatch(what, frame.rows(), values.len()));
            }
            let wrong = |v: &f64| !v.is_finite() || (what == "weights" && *v < 0.0);
            if let Some(row) = values.iter().position(wrong) {
                return Err(Error::invalid_value(
                    what,
                    row,
                    "a finite number, and a weight not below 0",
                    values[row],
                ));
            }
        }
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return Err(Error::not_enough_data(
                "weights",
                "rows with a weight",
                "none",
            ));
        }
        let coding = Coding {
            standardise: true,
            reference_levels: false,
            max_levels: self.max_levels,
            knots: 0,
        };
        let design = Design::learn(frame, weights, coding);
        let bound = design.bind(frame)?;
        let p = design.terms;
        let mut means = vec![0.0; p];
        let mut mean_target = 0.0;
        for (row, weight) in weights.iter().enumerate() {
            let share = weight / total;
            mean_target += share * target[row];
            bound.row(row, |_, term, value| means[term] += share * value);
        }
        let mut gram = vec![0.0; p * p];
        let mut beta = vec![0.0; p];
        let mut terms: Vec<(usize, f64)> = Vec::new();
        for (row, weight) in weights.iter().enumerate() {
            terms.clear();
            bound.row(row, |_, term, value| terms.push((term, value)));
            for (i, (a, x)) in terms.iter().enumerate() {
                beta[*a] += weight * x * (target[row] - mean_target);
                for (b, z) in &terms[..=i] {
                    gram[a.max(b) * p + a.min(b)] += weight * x * z;
                }
            }
        }
        // Centring afterwards: the sums of sparse terms stay sparse.
        for i in 0..p {
            for j in 0..=i {
                gram[i * p + j] -= total * means[i] * means[j];
            }
            gram[i * p + i] += self.l2;
        }
        let factor = Cholesky::new(&gram, p).ok_or_else(|| {
            Error::not_converged(
                "linear.coefficients",
                "normal equations that have a solution",
                "none; raise linear.l2",
            )
        })?;
        factor.solve(&mut beta);
        let offset: f64 = beta.iter().zip(&means).map(|(b, m)| b * m).sum();
        Ok(LinearModel {
            design,
            intercept: mean_target - offset,
            coefficients: beta,
        })
    }
}

impl LinearModel {
    /// Expected numbers of the rows of a frame, whose columns are found by name.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of the other kind.
    pub fn predict(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let bound = self.design.bind(frame)?;
        let answer = |row: usize| {
            let mut sum = self.intercept;
            bound.row(row, |_, term, value| sum += self.coefficients[term] * value);
            sum
        };
        Ok((0..bound.rows()).map(answer).collect())
    }

    /// Checks what a stored model must fulfil before anything relies on it.
    pub(crate) fn check(&self) -> Result<()> {
        self.design.check()?;
        let mut numbers = self.coefficients.iter().chain([&self.intercept]);
        if self.coefficients.len() == self.design.terms && numbers.all(|v| v.is_finite()) {
            return Ok(());
        }
        Err(Error::invalid_parameter(
            "model.linear",
            "one finite coefficient per term",
            "something else",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::learned::Column;

    #[test]
    fn a_line_is_found_again() {
        let x: Vec<f64> = (0..50).map(f64::from).collect();
        let codes: Vec<u32> = (0..50).map(|i| i % 2).collect();
        let target: Vec<f64> = x
            .iter()
            .zip(&codes)
            .map(|(x, c)| 3.0 + 2.0 * x - 7.0 * f64::from(*c))
            .collect();
        let frame = Frame::new(vec![
            ("x".into(), Column::Numeric(x.into())),
            (
                "c".into(),
                Column::Categorical {
                    codes: codes.into(),
                    levels: vec!["a".to_owned(), "b".to_owned()].into(),
                },
            ),
        ])
        .unwrap();
        let settings = Linear {
            l2: 1e-6,
            ..Default::default()
        };
        let model = settings.fit(&frame, &target, None).unwrap();
        for (got, want) in model.predict(&frame).unwrap().iter().zip(&target) {
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
        let error = settings.fit(&frame, &target[..3], None).unwrap_err();
        assert_eq!(error.what(), "target");
    }
}
