//! The minimum of the penalised log loss, with a certificate.
//!
//! Minimises F(β) = Σ wᵢ (ln(1 + e^ηᵢ) − yᵢ ηᵢ) + ½ l2 Σ βⱼ² + l1 Σ |βⱼ|, η = β₀ + x·β, over β and the
//! free intercept β₀. Newton steps with halving; with `l1` the quadratic model of each step is
//! minimised by coordinate descent (proximal Newton: Friedman, Hastie & Tibshirani 2010, Journal of
//! Statistical Software 33(1); Lee, Sun & Saunders 2014, SIAM J. Optim. 24(3)).

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use super::design::Bound;
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;
use crate::progress::Progress;

/// Rows that are multiplied at once.
const CHUNK: usize = 512;
/// Parts of the rows whose sums are added in order.
const BLOCKS: usize = 32;
/// Margin beyond which a coefficient that still grows means separated labels: e³⁰ to one.
const BEYOND: f64 = 30.0;

pub(crate) struct Problem<'a> {
    pub(crate) bound: &'a Bound<'a>,
    pub(crate) terms: usize,
    pub(crate) target: &'a [f64],
    pub(crate) weights: &'a [f64],
    pub(crate) l2: f64,
    pub(crate) l1: f64,
    pub(crate) max_iterations: usize,
    pub(crate) tolerance: f64,
}

pub(crate) struct Solution {
    /// Coefficients, the intercept last.
    pub(crate) beta: Vec<f64>,
    pub(crate) iterations: usize,
    /// Largest violation of the optimality conditions, per unit of weight.
    pub(crate) gradient: f64,
    /// Second derivatives at the solution with the ridge, row-major.
    pub(crate) hessian: Vec<f64>,
}

struct Derivatives {
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl Problem<'_> {
    pub(crate) fn solve(
        &self,
        start: Option<&[f64]>,
        names: &[String],
        progress: &Progress<'_>,
    ) -> Result<Solution> {
        let p = self.terms + 1;
        let total: f64 = self.weights.iter().sum();
        let mut beta = match start {
            Some(start) if start.len() == p => start.to_vec(),
            _ => {
                let churned: f64 = self
                    .target
                    .iter()
                    .zip(self.weights)
                    .map(|(y, w)| y * w)
                    .sum();
                let mut beta = vec![0.0; p];
                beta[p - 1] = (churned / (total - churned)).ln();
                beta
            }
        };
        let step = progress.step("logistic.iterations", self.max_iterations);
        let mut at = self.derivatives(&beta);
        let mut violation = self.violation(&beta, &at.gradient) / total;
        for iteration in 0..self.max_iterations {
            let direction = self.direction(&beta, &at, names)?;
            let size = direction.iter().fold(0.0, |a: f64, d| a.max(d.abs()));
            // A flat gradient alone proves nothing: with separated labels it vanishes at infinity,
            // where every Newton step still has length one.
            if violation <= self.tolerance && size <= 1e-6 * (1.0 + norm(&beta)) {
                return Ok(Solution {
                    beta,
                    iterations: iteration,
                    gradient: violation,
                    hessian: at.hessian,
                });
            }
            let before = self.objective(&beta, at.loss);
            let slope = self.slope(&beta, &at.gradient, &direction);
            let mut length = 1.0;
            let moved = loop {
                let tried: Vec<f64> = beta
                    .iter()
                    .zip(&direction)
                    .map(|(b, d)| b + length * d)
                    .collect();
                let loss = self.loss(&tried);
                let after = self.objective(&tried, loss);
                // The last digits of the objective are noise: near the minimum they decide nothing.
                if after <= before + 1e-4 * length * slope + 1e-13 * before.abs() {
                    break Some(tried);
                }
                length /= 2.0;
                if length < 1e-10 {
                    break None;
                }
            };
            let Some(moved) = moved else { break };
            beta = moved;
            at = self.derivatives(&beta);
            violation = self.violation(&beta, &at.gradient) / total;
            if self.l2 == 0.0
                && let Some(j) = (0..p - 1).find(|j| beta[*j].abs() > BEYOND)
            {
                return Err(Error::not_converged(
                    "logistic",
                    "a finite maximum of the likelihood (with l2 above 0 there always is one)",
                    format_args!(
                        "a coefficient of {:.1} for {:?} that still grows after {} steps: it separates the labels",
                        beta[j],
                        names[j],
                        iteration + 1
                    ),
                ));
            }
            step.advance(1)?;
        }
        Err(Error::not_converged(
            "logistic",
            format_args!(
                "a gradient below {:e} per row within {} steps",
                self.tolerance, self.max_iterations
            ),
            format_args!("{violation:e}"),
        ))
    }

    /// Ridge of one coefficient: none on the intercept.
    fn ridge(&self, j: usize) -> f64 {
        if j < self.terms { self.l2 } else { 0.0 }
    }

    fn lasso(&self, j: usize) -> f64 {
        if j < self.terms { self.l1 } else { 0.0 }
    }

    fn objective(&self, beta: &[f64], loss: f64) -> f64 {
        let penalty: f64 = beta[..self.terms]
            .iter()
            .map(|b| 0.5 * self.l2 * b * b + self.l1 * b.abs())
            .sum();
        loss + penalty
    }

    /// Largest violation of the conditions of a minimum.
    fn violation(&self, beta: &[f64], gradient: &[f64]) -> f64 {
        let violations = (0..beta.len()).map(|j| {
            let (g, l1) = (gradient[j], self.lasso(j));
            if beta[j] == 0.0 && l1 > 0.0 {
                (g.abs() - l1).max(0.0)
            } else {
                (g + l1 * beta[j].signum()).abs()
            }
        });
        violations.fold(0.0, f64::max)
    }

    /// Change of the objective per unit of step, to first order.
    fn slope(&self, beta: &[f64], gradient: &[f64], direction: &[f64]) -> f64 {
        let changes = (0..beta.len()).map(|j| {
            let lasso = self.lasso(j) * ((beta[j] + direction[j]).abs() - beta[j].abs());
            gradient[j] * direction[j] + lasso
        });
        changes.sum()
    }

    fn direction(&self, beta: &[f64], at: &Derivatives, names: &[String]) -> Result<Vec<f64>> {
        let p = beta.len();
        if self.l1 > 0.0 {
            return Ok(self.descend(beta, at));
        }
        let Some(factor) = Cholesky::new(&at.hessian, p) else {
            return Err(self.dependent(at, beta, names));
        };
        let mut direction: Vec<f64> = at.gradient.iter().map(|g| -g).collect();
        factor.solve(&mut direction);
        Ok(direction)
    }

    /// Names the first term that the terms before it (and the intercept) determine.
    fn dependent(&self, at: &Derivatives, beta: &[f64], names: &[String]) -> Error {
        let p = beta.len();
        // The intercept first, so that a column equal to it is the one named.
        let order: Vec<usize> = std::iter::once(p - 1).chain(0..p - 1).collect();
        let leading = |k: usize| -> Vec<f64> {
            let rows = order[..k].iter();
            rows.flat_map(|i| order[..k].iter().map(|j| at.hessian[*i * p + *j]))
                .collect()
        };
        let (mut good, mut bad) = (0, p);
        while bad - good > 1 {
            let middle = usize::midpoint(good, bad);
            match Cholesky::new(&leading(middle), middle) {
                Some(_) => good = middle,
                None => bad = middle,
            }
        }
        let name = order.get(bad - 1).and_then(|j| names.get(*j));
        let name = name.map_or("intercept", String::as_str);
        Error::not_converged(
            "logistic",
            "terms of which none follows from the others, and labels that none separates (or l2 above 0)",
            format_args!("{name:?}, which the terms before it determine"),
        )
    }

    /// Minimises the quadratic model plus the lasso by coordinate descent.
    fn descend(&self, beta: &[f64], at: &Derivatives) -> Vec<f64> {
        let p = beta.len();
        let h = |i: usize, j: usize| at.hessian[i * p + j];
        let mut d = vec![0.0; p];
        // hd = H d, kept up to date.
        let mut hd = vec![0.0; p];
        for _ in 0..1_000 {
            let mut largest = 0.0_f64;
            for j in 0..p {
                let curvature = h(j, j);
                if curvature <= 0.0 {
                    continue;
                }
                let current = beta[j] + d[j];
                let goal = current - (at.gradient[j] + hd[j]) / curvature;
                let shrunk = goal.signum() * (goal.abs() - self.lasso(j) / curvature).max(0.0);
                let change = shrunk - current;
                if change != 0.0 {
                    d[j] += change;
                    for (i, value) in hd.iter_mut().enumerate() {
                        *value += change * h(i, j);
                    }
                    largest = largest.max(change.abs() * curvature.sqrt());
                }
            }
            if largest <= 1e-12 {
                break;
            }
        }
        // A coefficient that reaches zero is zero, not a rounding away from it.
        for (step, b) in d.iter_mut().zip(beta) {
            if (*b + *step).abs() < 1e-300 {
                *step = -*b;
            }
        }
        d
    }

    fn block_rows(&self) -> usize {
        self.target.len().div_ceil(BLOCKS).next_multiple_of(CHUNK)
    }

    /// The log loss alone.
    fn loss(&self, beta: &[f64]) -> f64 {
        let blocks: Vec<f64> = self
            .blocks()
            .map(|(from, to)| {
                let terms = (from..to).map(|row| {
                    let eta = self.eta(row, beta);
                    self.weights[row] * (softplus(eta) - self.target[row] * eta)
                });
                terms.sum()
            })
            .collect();
        blocks.iter().sum()
    }

    fn blocks(&self) -> impl IndexedParallelIterator<Item = (usize, usize)> {
        let (n, size) = (self.target.len(), self.block_rows());
        (0..n.div_ceil(size))
            .into_par_iter()
            .map(move |b| (b * size, ((b + 1) * size).min(n)))
    }

    #[inline]
    fn eta(&self, row: usize, beta: &[f64]) -> f64 {
        let mut eta = beta[self.terms];
        self.bound
            .row(row, |_, term, value| eta += beta[term] * value);
        eta
    }

    /// Loss, gradient and Hessian, the ridge included in the latter two.
    fn derivatives(&self, beta: &[f64]) -> Derivatives {
        let p = beta.len();
        let blocks: Vec<Derivatives> = self
            .blocks()
            .map(|(from, to)| self.block(beta, from, to))
            .collect();
        let mut sum = Derivatives {
            loss: 0.0,
            gradient: vec![0.0; p],
            hessian: vec![0.0; p * p],
        };
        for block in blocks {
            sum.loss += block.loss;
            for (a, b) in sum.gradient.iter_mut().zip(&block.gradient) {
                *a += b;
            }
            for (a, b) in sum.hessian.iter_mut().zip(&block.hessian) {
                *a += b;
            }
        }
        for (j, coefficient) in beta.iter().enumerate() {
            sum.gradient[j] += self.ridge(j) * coefficient;
            sum.hessian[j * p + j] += self.ridge(j);
        }
        sum
    }

    fn block(&self, beta: &[f64], from: usize, to: usize) -> Derivatives {
        let p = beta.len();
        let (mut loss, mut gradient) = (0.0, vec![0.0; p]);
        let mut hessian = Array2::<f64>::zeros((p, p));
        let mut rows = Array2::<f64>::zeros((CHUNK, p));
        let mut start = from;
        while start < to {
            let len = CHUNK.min(to - start);
            rows.fill(0.0);
            for i in 0..len {
                let row = start + i;
                let mut x = rows.row_mut(i);
                self.bound.row(row, |_, term, value| x[term] += value);
                x[p - 1] = 1.0;
                let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum();
                let (y, w) = (self.target[row], self.weights[row]);
                loss += w * (softplus(eta) - y * eta);
                let fitted = logistic(eta);
                let residual = w * (fitted - y);
                for (g, x) in gradient.iter_mut().zip(&x) {
                    *g += residual * x;
                }
                let root = (w * fitted * (1.0 - fitted)).sqrt();
                x.mapv_inplace(|x| x * root);
            }
            let used: ArrayView2<'_, f64> = rows.slice_axis(Axis(0), Slice::from(..len));
            general_mat_mul(1.0, &used.t(), &used, 1.0, &mut hessian);
            start += len;
        }
        Derivatives {
            loss,
            gradient,
            hessian: hessian.into_raw_vec_and_offset().0,
        }
    }

    /// Σ over groups of s sᵀ, s = sum of the rows' gradients: the middle of the sandwich.
    pub(crate) fn scores_by_group(&self, beta: &[f64], groups: Option<&[u32]>) -> Vec<f64> {
        let p = beta.len();
        let mut order: Vec<usize> = (0..self.target.len()).collect();
        if let Some(groups) = groups {
            order.sort_by_key(|row| groups[*row]);
        }
        let mut middle = vec![0.0; p * p];
        let mut score = vec![0.0; p];
        for (i, row) in order.iter().enumerate() {
            let residual =
                self.weights[*row] * (logistic(self.eta(*row, beta)) - self.target[*row]);
            self.bound
                .row(*row, |_, term, value| score[term] += residual * value);
            score[p - 1] += residual;
            let is_last = order
                .get(i + 1)
                .is_none_or(|next| groups.is_none_or(|g| g[*next] != g[*row]));
            if is_last {
                for (j, line) in middle.chunks_exact_mut(p).enumerate() {
                    if score[j] != 0.0 {
                        for (m, s) in line.iter_mut().zip(&score) {
                            *m += score[j] * s;
                        }
                    }
                }
                score.fill(0.0);
            }
        }
        middle
    }
}

fn norm(beta: &[f64]) -> f64 {
    beta.iter().fold(0.0, |a, b| a.max(b.abs()))
}

/// ln(1 + eˣ) without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e⁻ˣ), exact in both tails.
pub(crate) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}
