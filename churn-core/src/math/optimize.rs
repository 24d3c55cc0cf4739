//! Smooth minimisation of a few parameters inside a box, with a certificate.
//!
//! Quasi-Newton (BFGS) steps on the free parameters, started from a Hessian made by differencing
//! the analytic gradient, with a backtracking line search whose points are projected onto the box
//! (Nocedal & Wright 2006, Numerical Optimization, chapters 6 and 16). Made for logarithms of
//! parameters of likelihoods, where a step of 1 is a factor of e. An answer counts as found only if
//! the Hessian there is positive definite and the Newton step that is left is far below the
//! statistical error; anything else is an error that carries the numbers.

use super::linalg::Cholesky;
use crate::error::{Error, Result};

/// The function to minimise: writes the gradient, answers the value.
pub(crate) type Objective<'o> = dyn FnMut(&[f64], &mut [f64]) -> Result<f64> + 'o;

/// Where to look and how long.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// What is being fitted, for errors, e.g. `"bg_nbd"`.
    pub(crate) what: &'static str,
    /// Bounds of each parameter.
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    /// Evaluations of value and gradient that one call may spend.
    pub(crate) max_evaluations: usize,
}

/// A certified minimum.
#[derive(Debug, Clone)]
pub(crate) struct Optimum {
    pub(crate) theta: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// Hessian of the free parameters, rows and columns of the others zero; row-major.
    pub(crate) hessian: Vec<f64>,
    /// Whether a parameter ended on its bound: −1 low, 1 high, 0 free.
    pub(crate) bound: Vec<i8>,
    /// Length of the Newton step that is left, in standard errors: √(gᵀ H⁻¹ g).
    pub(crate) distance: f64,
    /// Ratio of the largest to the smallest eigenvalue of the Hessian of the free parameters.
    pub(crate) condition: f64,
    pub(crate) evaluations: usize,
}

/// The largest change of any parameter in one step.
const LONGEST_STEP: f64 = 2.0;
/// The Newton step left, in standard errors, at which an answer is certified.
const CERTIFIED: f64 = 1e-4;
/// The same at which iterations end.
const ENOUGH: f64 = 1e-7;
/// A direction along which the value curves less than this (standard error above 1000 in
/// logarithms) is one that the data do not determine.
const FLAT: f64 = 1e-6;
/// By how much the value may be worse on a bound that a flat direction leads to.
const INDIFFERENT: f64 = 1e-3;
/// Steps of differences of the gradient.
const DIFFERENCE: f64 = 1e-4;

struct Point {
    theta: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

struct Run<'r, 'o> {
    search: &'r Search,
    objective: &'r mut Objective<'o>,
    evaluations: usize,
    /// Parameters held at a bound because a flat direction led there.
    held: Vec<bool>,
}

/// Minimises from `start`.
///
/// # Errors
/// `NotConverged` with value, gradient, distance and condition if no certified minimum was found;
/// whatever the objective answers.
pub(crate) fn minimize(
    search: &Search,
    start: &[f64],
    objective: &mut Objective<'_>,
) -> Result<Optimum> {
    let mut run = Run {
        search,
        objective,
        evaluations: 0,
        held: vec![false; start.len()],
    };
    let point = run.at(run.clamped(start))?;
    if !point.value.is_finite() {
        return Err(run.failed(&point, "a finite value at the start", f64::NAN, f64::NAN));
    }
    let mut optimum = run.descend(point)?;
    // Each round holds one more parameter at a bound.
    for _ in 0..start.len() {
        match run.follow_flat_direction(&optimum)? {
            Some(better) => optimum = better,
            None => break,
        }
    }
    optimum.evaluations = run.evaluations;
    Ok(optimum)
}

impl Run<'_, '_> {
    fn clamped(&self, theta: &[f64]) -> Vec<f64> {
        let bounds = self.search.low.iter().zip(&self.search.high);
        theta
            .iter()
            .zip(bounds)
            .map(|(x, (low, high))| x.clamp(*low, *high))
            .collect()
    }

    fn at(&mut self, theta: Vec<f64>) -> Result<Point> {
        let mut gradient = vec![0.0; theta.len()];
        self.evaluations += 1;
        let mut value = (self.objective)(&theta, &mut gradient)?;
        if gradient.iter().any(|g| !g.is_finite()) {
            value = f64::NAN;
        }
        Ok(Point {
            theta,
            value,
            gradient,
        })
    }

    fn failed(&self, point: &Point, expected: &str, distance: f64, condition: f64) -> Error {
        let largest = point.gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        Error::not_converged(
            self.search.what,
            expected,
            format_args!(
                "log-likelihood {:.6}, largest gradient {largest:.3e}, distance {distance:.3e} \
                 standard errors, condition {condition:.3e} after {} evaluations at parameters \
                 (logarithms) {:?}",
                -point.value, self.evaluations, point.theta
            ),
        )
    }

    /// −1 and 1 where a parameter stands on a bound and the value falls beyond it, or is held.
    fn bound(&self, point: &Point) -> Vec<i8> {
        let search = self.search;
        (0..point.theta.len())
            .map(|i| {
                let held = self.held[i];
                if point.theta[i] <= search.low[i] && (held || point.gradient[i] >= 0.0) {
                    -1
                } else if point.theta[i] >= search.high[i] && (held || point.gradient[i] <= 0.0) {
                    1
                } else {
                    0
                }
            })
            .collect()
    }

    /// Hessian by differences of the gradient, symmetrised; central ones where the box allows.
    fn hessian(&mut self, point: &Point, bound: &[i8], central: bool) -> Result<Vec<f64>> {
        let p = point.theta.len();
        let mut rows = vec![0.0; p * p];
        for i in (0..p).filter(|i| bound[*i] == 0) {
            let mut forward = point.theta.clone();
            let mut backward = point.theta.clone();
            forward[i] = (forward[i] + DIFFERENCE).min(self.search.high[i]);
            if central || forward[i] == point.theta[i] {
                backward[i] = (backward[i] - DIFFERENCE).max(self.search.low[i]);
            }
            let width = forward[i] - backward[i];
            let ahead = if forward[i] == point.theta[i] {
                None
            } else {
                Some(self.at(forward)?.gradient)
            };
            let behind = if backward[i] == point.theta[i] {
                None
            } else {
                Some(self.at(backward)?.gradient)
            };
            let ahead = ahead.as_ref().unwrap_or(&point.gradient);
            let behind = behind.as_ref().unwrap_or(&point.gradient);
            for j in (0..p).filter(|j| bound[*j] == 0) {
                rows[i * p + j] = (ahead[j] - behind[j]) / width;
            }
        }
        let mut hessian = rows.clone();
        for i in 0..p {
            for j in 0..p {
                hessian[i * p + j] = 0.5 * (rows[i * p + j] + rows[j * p + i]);
            }
        }
        Ok(hessian)
    }

    /// Quasi-Newton steps until the step that is left is negligible, then the certificate.
    fn descend(&mut self, mut point: Point) -> Result<Optimum> {
        let refresh = 2 * point.theta.len() + 4;
        let mut bound = self.bound(&point);
        let mut model = positive(&self.hessian(&point, &bound, false)?, &bound);
        let mut steps = 0;
        loop {
            let direction = newton(&model, &bound, &point.gradient);
            let slope = dot(&direction, &point.gradient);
            let spent = self.evaluations >= self.search.max_evaluations;
            let mut next = None;
            if -slope > ENOUGH * ENOUGH && !spent {
                next = self.line(&point, &direction)?;
            }
            let Some(next) = next else {
                // Nothing left to gain under the model: ask the true Hessian.
                let hessian = self.hessian(&point, &bound, true)?;
                let optimum = certificate(&point, &hessian, &bound);
                if optimum.distance <= CERTIFIED {
                    return Ok(optimum);
                }
                let (distance, condition) = (optimum.distance, optimum.condition);
                if spent {
                    let most = self.search.max_evaluations;
                    let expected = format!("a minimum within {most} evaluations");
                    return Err(self.failed(&point, &expected, distance, condition));
                }
                model = positive(&hessian, &bound);
                let direction = newton(&model, &bound, &point.gradient);
                let Some(next) = self.line(&point, &direction)? else {
                    return Err(self.failed(&point, "a minimum", distance, condition));
                };
                point = next;
                bound = self.bound(&point);
                steps = 0;
                continue;
            };
            steps += 1;
            let freed = self.bound(&next);
            let stale =
                freed != bound || steps >= refresh || !update(&mut model, &point, &next, &bound);
            point = next;
            if stale {
                bound = freed;
                model = positive(&self.hessian(&point, &bound, false)?, &bound);
                steps = 0;
            }
        }
    }

    /// A point along the direction that is lower by enough (Armijo), or `None` if there is none.
    fn line(&mut self, from: &Point, direction: &[f64]) -> Result<Option<Point>> {
        let longest = direction.iter().fold(0.0, |m: f64, d| m.max(d.abs()));
        if longest == 0.0 || !longest.is_finite() {
            return Ok(None);
        }
        let mut length = (LONGEST_STEP / longest).min(1.0);
        // Values of large sums carry rounding of this size.
        let noise = 8.0 * f64::EPSILON * from.value.abs();
        for _ in 0..40 {
            let theta: Vec<f64> = from
                .theta
                .iter()
                .zip(direction)
                .map(|(x, d)| x + length * d)
                .collect();
            let theta = self.clamped(&theta);
            let moved: Vec<f64> = theta.iter().zip(&from.theta).map(|(a, b)| a - b).collect();
            let promised = dot(&moved, &from.gradient);
            if promised >= 0.0 && moved.iter().all(|m| m.abs() < 1e-15) {
                return Ok(None);
            }
            let next = self.at(theta)?;
            if next.value <= from.value + 1e-4 * promised.min(0.0) + noise {
                return Ok(Some(next));
            }
            // The minimum of the parabola through both values and the slope at the start.
            let parabola = -0.5 * promised / (next.value - from.value - promised);
            let shrink = if parabola.is_finite() { parabola } else { 0.1 };
            length *= shrink.clamp(0.1, 0.5);
        }
        Ok(None)
    }

    /// Where the Hessian has a flat direction, the best point with the parameter that it leads to
    /// the box with held there, provided that it is no worse.
    fn follow_flat_direction(&mut self, optimum: &Optimum) -> Result<Option<Optimum>> {
        let free: Vec<usize> = (0..optimum.theta.len())
            .filter(|i| optimum.bound[*i] == 0)
            .collect();
        if free.is_empty() {
            return Ok(None);
        }
        let (values, vectors) = eigen(&minor(&optimum.hessian, optimum.theta.len(), &free));
        let Some(flattest) = (0..values.len()).min_by(|a, b| values[*a].total_cmp(&values[*b]))
        else {
            return Ok(None);
        };
        let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if values[flattest] > FLAT.max(1e-12 * largest) {
            return Ok(None);
        }
        // The parameters that the direction moves, most moved first.
        let mut order: Vec<usize> = (0..free.len()).collect();
        let share = |k: usize| vectors[k * free.len() + flattest].abs();
        order.sort_by(|a, b| share(*b).total_cmp(&share(*a)));
        let mut best: Option<(f64, usize, Optimum)> = None;
        for k in order.into_iter().filter(|k| share(*k) > 0.3) {
            for bound in [self.search.low[free[k]], self.search.high[free[k]]] {
                let mut theta = optimum.theta.clone();
                theta[free[k]] = bound;
                self.held[free[k]] = true;
                let found = self.at(theta).and_then(|point| self.descend(point));
                self.held[free[k]] = false;
                let Ok(found) = found else { continue };
                let lower = best.as_ref().is_none_or(|(value, ..)| found.value < *value);
                if found.value <= optimum.value + INDIFFERENT && lower {
                    best = Some((found.value, free[k], found));
                }
            }
        }
        Ok(best.map(|(_, i, found)| {
            self.held[i] = true;
            found
        }))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The rows and columns of a p × p matrix at `free`.
fn minor(matrix: &[f64], p: usize, free: &[usize]) -> Vec<f64> {
    let cells = free.iter().flat_map(|i| free.iter().map(move |j| (i, j)));
    cells.map(|(i, j)| matrix[i * p + j]).collect()
}

/// A symmetric matrix with the eigenvalues of the free parameters replaced by their absolute
/// values, bounded from below, so that steps lead downwards.
fn positive(hessian: &[f64], bound: &[i8]) -> Vec<f64> {
    let p = bound.len();
    let free: Vec<usize> = (0..p).filter(|i| bound[*i] == 0).collect();
    let n = free.len();
    let (values, vectors) = eigen(&minor(hessian, p, &free));
    let largest = values.iter().fold(1e-300, |m: f64, v| m.max(v.abs()));
    let mut positive = vec![0.0; p * p];
    for (k, i) in free.iter().enumerate() {
        for (l, j) in free.iter().enumerate() {
            let parts = (0..n).map(|e| {
                let value = values[e].abs().max(1e-10 * largest);
                vectors[k * n + e] * value * vectors[l * n + e]
            });
            positive[i * p + j] = parts.sum();
        }
    }
    positive
}

/// The Newton direction of the free parameters under a positive definite matrix; the direction of
/// the gradient where rounding made it lose that.
fn newton(model: &[f64], bound: &[i8], gradient: &[f64]) -> Vec<f64> {
    let p = bound.len();
    let free: Vec<usize> = (0..p).filter(|i| bound[*i] == 0).collect();
    let mut direction = vec![0.0; p];
    let mut step: Vec<f64> = free.iter().map(|i| -gradient[*i]).collect();
    if let Some(factor) = Cholesky::new(&minor(model, p, &free), free.len()) {
        factor.solve(&mut step);
    }
    for (i, s) in free.iter().zip(step) {
        direction[*i] = s;
    }
    direction
}

/// The BFGS update of the model of the Hessian of the free parameters; `false`, and nothing
/// changed, where the curvature along the step is not positive.
fn update(model: &mut [f64], from: &Point, to: &Point, bound: &[i8]) -> bool {
    let p = bound.len();
    let difference = |a: &[f64], b: &[f64]| -> Vec<f64> {
        (0..p)
            .map(|i| if bound[i] == 0 { a[i] - b[i] } else { 0.0 })
            .collect()
    };
    let step = difference(&to.theta, &from.theta);
    let turn = difference(&to.gradient, &from.gradient);
    let product: Vec<f64> = (0..p)
        .map(|i| dot(&model[i * p..(i + 1) * p], &step))
        .collect();
    let (curvature, expected) = (dot(&step, &turn), dot(&step, &product));
    if curvature <= 1e-3 * expected || expected <= 0.0 {
        return false;
    }
    for i in 0..p {
        for j in 0..p {
            model[i * p + j] += turn[i] * turn[j] / curvature - product[i] * product[j] / expected;
        }
    }
    true
}

/// The point with what its Hessian says about it.
fn certificate(point: &Point, hessian: &[f64], bound: &[i8]) -> Optimum {
    let p = bound.len();
    let free: Vec<usize> = (0..p).filter(|i| bound[*i] == 0).collect();
    let (values, vectors) = eigen(&minor(hessian, p, &free));
    let n = free.len();
    let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut squared = 0.0;
    for k in 0..n {
        let along: f64 = (0..n)
            .map(|i| vectors[i * n + k] * point.gradient[free[i]])
            .sum();
        // Flat directions are judged by the gradient along them: a gradient of 1e-3 gains less
        // than 0.001 log-likelihood per factor of e.
        let value = values[k];
        squared += if value > FLAT.max(1e-12 * largest) {
            along * along / value
        } else if along.abs() <= 1e-3 && value >= -1e-3_f64.max(1e-9 * largest) {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let smallest = values.iter().fold(f64::INFINITY, |m: f64, v| m.min(*v));
    Optimum {
        theta: point.theta.clone(),
        value: point.value,
        gradient: point.gradient.clone(),
        hessian: hessian.to_vec(),
        bound: bound.to_vec(),
        distance: squared.sqrt(),
        condition: if n == 0 {
            1.0
        } else {
            largest / smallest.max(1e-300)
        },
        evaluations: 0,
    }
}

/// Eigenvalues and eigenvectors (columns, row-major) of a symmetric matrix, by Jacobi rotations.
pub(crate) fn eigen(matrix: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = matrix.len().isqrt();
    let mut a = matrix.to_vec();
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    for _ in 0..60 {
        let off: f64 = (0..n * n)
            .filter(|k| k / n != k % n)
            .map(|k| a[k] * a[k])
            .sum();
        let diagonal: f64 = (0..n).map(|i| a[i * n + i] * a[i * n + i]).sum();
        if off <= 1e-32 * diagonal || !off.is_finite() {
            break;
        }
        for i in 0..n {
            for j in i + 1..n {
                if a[i * n + j] == 0.0 {
                    continue;
                }
                let theta = (a[j * n + j] - a[i * n + i]) / (2.0 * a[i * n + j]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + i], a[k * n + j]);
                    a[k * n + i] = c * x - s * y;
                    a[k * n + j] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[i * n + k], a[j * n + k]);
                    a[i * n + k] = c * x - s * y;
                    a[j * n + k] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (vectors[k * n + i], vectors[k * n + j]);
                    vectors[k * n + i] = c * x - s * y;
                    vectors[k * n + j] = s * x + c * y;
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn search(p: usize) -> Search {
        Search {
            what: "test",
            low: vec![-8.0; p],
            high: vec![8.0; p],
            max_evaluations: 400,
        }
    }

    #[test]
    fn rosenbrock_from_afar() {
        let mut calls = 0;
        let optimum = minimize(&search(2), &[-3.0, -4.0], &mut |x, g| {
            calls += 1;
            let (u, v) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * u - 400.0 * x[0] * v;
            g[1] = 200.0 * v;
            Ok(u * u + 100.0 * v * v)
        })
        .unwrap();
        assert!((optimum.theta[0] - 1.0).abs() < 1e-6, "{optimum:?}");
        assert!(optimum.distance < 1e-6 && optimum.evaluations == calls);
        // Eigenvalues of the Hessian (802, −400; −400, 200) there.
        assert!((optimum.condition - 2508.0).abs() < 1.0, "{optimum:?}");
    }

    #[test]
    fn minimum_beyond_the_box_is_reported_on_its_bound() {
        let optimum = minimize(&search(2), &[0.0, 0.0], &mut |x, g| {
            g[0] = x[0] - 20.0;
            g[1] = 4.0 * (x[1] - 1.0);
            Ok(0.5 * (x[0] - 20.0).powi(2) + 2.0 * (x[1] - 1.0).powi(2))
        })
        .unwrap();
        assert_eq!(optimum.bound, [1, 0]);
        assert_eq!(optimum.theta[0], 8.0);
        assert!((optimum.theta[1] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn flat_directions_end_on_the_box() {
        // Falls for ever as x₀ falls, by less and less: no minimum, and none missed.
        let optimum = minimize(&search(2), &[0.0, 3.0], &mut |x, g| {
            g[0] = x[0].exp();
            g[1] = x[1];
            Ok(x[0].exp() + 0.5 * x[1] * x[1])
        })
        .unwrap();
        assert_eq!(optimum.bound[0], -1, "{optimum:?}");
        assert!(optimum.theta[1].abs() < 1e-6);
    }

    #[test]
    fn failure_carries_the_numbers() {
        let short = Search {
            max_evaluations: 3,
            ..search(2)
        };
        let error = minimize(&short, &[-3.0, -4.0], &mut |x, g| {
            let (u, v) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * u - 400.0 * x[0] * v;
            g[1] = 200.0 * v;
            Ok(u * u + 100.0 * v * v)
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConverged);
        for part in ["log-likelihood", "gradient", "evaluations", "condition"] {
            assert!(error.got().contains(part), "{error}");
        }
        let error = minimize(&search(1), &[0.0], &mut |_, g| {
            g[0] = f64::NAN;
            Ok(0.0)
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConverged);
    }

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        let (mut values, vectors) = eigen(&[2.0, -1.0, 0.0, -1.0, 2.0, -1.0, 0.0, -1.0, 2.0]);
        let first: Vec<f64> = (0..3).map(|i| vectors[i * 3]).collect();
        assert!((dot(&first, &first) - 1.0).abs() < 1e-14);
        values.sort_by(f64::total_cmp);
        for (got, want) in values
            .iter()
            .zip([2.0 - 2_f64.sqrt(), 2.0, 2.0 + 2_f64.sqrt()])
        {
            assert!((got - want).abs() < 1e-14);
        }
    }
}
