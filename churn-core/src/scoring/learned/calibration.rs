//! From a margin to a probability that means what it says.
//!
//! A calibrator is fitted on margins of rows that the model has not been fitted on (out of fold);
//! on training rows every flexible model looks surer than it is. All are monotone in the margin,
//! so that ranking stays as it is (isotonic and beta may tie rows).
//!
//! * Sigmoid: p = 1 / (1 + e^−(a·m + b)) with smoothed labels (n₁+1)/(n₁+2) and 1/(n₀+2). Platt
//!   (1999); Lin, Lin & Weng (2007), Machine Learning 68. The right one for few rows.
//! * Isotonic: the non-decreasing step function of least squared error (pool adjacent violators,
//!   Zadrozny & Elkan 2002), linear between steps. Bends to any shape and needs about a thousand
//!   rows to do so honestly.
//! * Beta: log-odds of p = a ln q − b ln(1 − q) + c with q the model's own probability and a, b not
//!   negative. Kull, Silva Filho & Flach (2017), AISTATS. Holds identity, unlike sigmoid on q.

use serde::{Deserialize, Serialize};

use super::logistic::logistic;
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;

/// Rows below which isotonic calibration is refused unless forced.
const ISOTONIC_ROWS: usize = 1_000;

/// How margins become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// The margin is taken for the log-odds.
    None,
    /// A logistic curve.
    #[default]
    Sigmoid,
    /// A step function; refused below 1,000 rows.
    Isotonic,
    /// A step function, however few the rows.
    IsotonicForced,
    /// Three parameters on the model's own probabilities.
    Beta,
}

/// A fitted calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibrator {
    /// p = 1 / (1 + e^−(slope · margin + intercept)).
    Sigmoid {
        /// Factor on the margin, not negative.
        slope: f64,
        /// Added to it.
        intercept: f64,
    },
    /// Linear between points, constant outside.
    Isotonic {
        /// Margins, ascending.
        margins: Vec<f64>,
        /// Probabilities there, not descending.
        probabilities: Vec<f64>,
    },
    /// Log-odds = a ln q − b ln(1 − q) + c, q = 1 / (1 + e^−margin).
    Beta {
        /// Factor on ln q, not negative.
        a: f64,
        /// Factor on −ln(1 − q), not negative.
        b: f64,
        /// Added to them.
        c: f64,
    },
}

impl Calibration {
    /// Fits a calibration on margins (log-odds of the model) and labels.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1, a margin
    /// that is not finite or a negative weight; `NotEnoughData` where a label does not occur or,
    /// for isotonic calibration, below 1,000 rows; `NotConverged`.
    ///
    /// # Example
    /// ```
    /// use churn_core::scoring::learned::Calibration;
    /// let margins: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0 - 5.0).collect();
    /// let labels: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i + (i * 37) % 50 > 70))).collect();
    /// let calibrator = Calibration::Sigmoid.fit(&margins, &labels, None)?;
    /// assert!(calibrator.probability(3.0) > calibrator.probability(-3.0));
    /// assert!(Calibration::Isotonic.fit(&margins, &labels, None).is_err());
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn fit(
        self,
        margins: &[f64],
        labels: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Calibrator> {
        check(margins, labels, weights)?;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        match self {
            Calibration::None => Ok(Calibrator::IDENTITY),
            Calibration::Sigmoid => sigmoid(margins, labels, &weight),
            Calibration::Isotonic if margins.len() < ISOTONIC_ROWS => Err(Error::not_enough_data(
                "calibration.isotonic",
                format_args!("at least {ISOTONIC_ROWS} rows, or sigmoid, or isotonic_forced"),
                margins.len(),
            )),
            Calibration::Isotonic | Calibration::IsotonicForced => {
                Ok(isotonic(margins, labels, &weight))
            }
            Calibration::Beta => beta(margins, labels, &weight),
        }
    }
}

impl Calibrator {
    /// Takes margins for log-odds.
    pub const IDENTITY: Calibrator = Calibrator::Sigmoid {
        slope: 1.0,
        intercept: 0.0,
    };

    /// The probability that a margin stands for.
    pub fn probability(&self, margin: f64) -> f64 {
        match self {
            Calibrator::Sigmoid { slope, intercept } => logistic(slope * margin + intercept),
            Calibrator::Isotonic {
                margins,
                probabilities,
            } => interpolate(margins, probabilities, margin),
            Calibrator::Beta { a, b, c } => {
                let (ln_q, ln_1q) = logs(margin);
                logistic(a * ln_q - b * ln_1q + c)
            }
        }
    }

    /// Checks what a stored calibrator must fulfil before it is used.
    pub(crate) fn check(&self) -> Result<()> {
        let fits = match self {
            Calibrator::Sigmoid { slope, intercept } => {
                slope.is_finite() && *slope >= 0.0 && intercept.is_finite()
            }
            Calibrator::Isotonic {
                margins,
                probabilities,
            } => {
                !margins.is_empty()
                    && margins.len() == probabilities.len()
                    && margins.iter().all(|m| m.is_finite())
                    && margins.is_sorted_by(|a, b| a < b)
                    && probabilities.is_sorted()
                    && probabilities.iter().all(|p| (0.0..=1.0).contains(p))
            }
            Calibrator::Beta { a, b, c } => {
                a.is_finite() && b.is_finite() && c.is_finite() && *a >= 0.0 && *b >= 0.0
            }
        };
        if fits {
            return Ok(());
        }
        Err(Error::invalid_parameter(
            "model.calibration",
            "a monotone curve of probabilities",
            "something else",
        ))
    }
}

fn check(margins: &[f64], labels: &[f64], weights: Option<&[f64]>) -> Result<()> {
    if labels.len() != margins.len() {
        return Err(Error::length_mismatch(
            "labels",
            margins.len(),
            labels.len(),
        ));
    }
    if let Some(row) = margins.iter().position(|m| !m.is_finite()) {
        return Err(Error::invalid_value(
            "margins",
            row,
            "a finite number",
            margins[row],
        ));
    }
    if let Some(row) = labels.iter().position(|y| *y != 0.0 && *y != 1.0) {
        return Err(Error::invalid_value("labels", row, "0 or 1", labels[row]));
    }
    if let Some(weights) = weights {
        if weights.len() != labels.len() {
            return Err(Error::length_mismatch(
                "weights",
                labels.len(),
                weights.len(),
            ));
        }
        if let Some(row) = weights
            .iter()
            .position(|w| !(0.0..f64::INFINITY).contains(w))
        {
            let expected = "a finite weight, 0 or above";
            return Err(Error::invalid_value("weights", row, expected, weights[row]));
        }
    }
    for class in [0.0, 1.0] {
        let counts = |row: usize| labels[row] == class && weights.is_none_or(|w| w[row] > 0.0);
        if !(0..labels.len()).any(counts) {
            let expected = "both 0 and 1 among the rows";
            return Err(Error::not_enough_data(
                "labels",
                expected,
                format_args!("no {class}"),
            ));
        }
    }
    Ok(())
}

/// ln q and ln(1 − q) of q = 1 / (1 + e^−margin).
fn logs(margin: f64) -> (f64, f64) {
    let tail = (-margin.abs()).exp().ln_1p();
    (margin.min(0.0) - tail, -margin.max(0.0) - tail)
}

/// Minimises Σ w (softplus(η) − t η) over the factors of some columns, the last one free of sign,
/// the others not negative: Newton steps on the factors that are not held at 0.
pub(super) fn non_negative_fit<const P: usize>(
    rows: usize,
    terms: &dyn Fn(usize) -> [f64; P],
    labels: &dyn Fn(usize) -> f64,
    weight: &dyn Fn(usize) -> f64,
) -> Result<[f64; P]> {
    let total: f64 = (0..rows).map(weight).sum();
    let objective = |beta: &[f64; P]| -> f64 {
        let losses = (0..rows).map(|row| {
            let x = terms(row);
            let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum();
            weight(row) * (super::logistic::softplus(eta) - labels(row) * eta)
        });
        losses.sum()
    };
    let mut beta = [0.0; P];
    let mut held = [false; P];
    let mut before = objective(&beta);
    let mut gradient = [0.0; P];
    for _ in 0..200 {
        gradient = [0.0; P];
        let mut hessian = vec![0.0; P * P];
        for row in 0..rows {
            let x = terms(row);
            let eta: f64 = x.iter().zip(&beta).map(|(x, b)| x * b).sum();
            let (p, w) = (logistic(eta), weight(row));
            for i in 0..P {
                gradient[i] += w * (p - labels(row)) * x[i];
                for j in 0..P {
                    hessian[i * P + j] += w * p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        // A factor at 0 is let go where the loss falls with it.
        for j in 0..P - 1 {
            held[j] = beta[j] <= 0.0 && gradient[j] >= 0.0;
        }
        let free: Vec<usize> = (0..P).filter(|j| !held[*j]).collect();
        let worst = free.iter().fold(0.0, |a: f64, j| a.max(gradient[*j].abs()));
        if worst <= 1e-11 * total {
            return Ok(beta);
        }
        let k = free.len();
        let mut system = vec![0.0; k * k];
        for (a, i) in free.iter().enumerate() {
            for (b, j) in free.iter().enumerate() {
                system[a * k + b] = hessian[i * P + j];
            }
            // A touch of ridge keeps margins that are all alike from being singular.
            system[a * k + a] += 1e-12 * total;
        }
        let mut step: Vec<f64> = free.iter().map(|j| -gradient[*j]).collect();
        match Cholesky::new(&system, k) {
            Some(factor) => factor.solve(&mut step),
            None => break,
        }
        let mut length = 1.0;
        let moved = loop {
            let mut tried = beta;
            for (j, d) in free.iter().zip(&step) {
                tried[*j] += length * d;
                if *j < P - 1 {
                    tried[*j] = tried[*j].max(0.0);
                }
            }
            let after = objective(&tried);
            if after <= before + 1e-14 * before.abs() {
                break Some((tried, after));
            }
            length /= 2.0;
            if length < 1e-12 {
                break None;
            }
        };
        match moved {
            Some((tried, after)) if tried != beta => (beta, before) = (tried, after),
            // No step lowers the loss any more: the minimum to working precision.
            _ => break,
        }
    }
    let free = (0..P).filter(|j| !held[*j]);
    let worst = free.fold(0.0, |a: f64, j| a.max(gradient[j].abs())) / total;
    if worst <= 1e-7 {
        return Ok(beta);
    }
    Err(Error::not_converged(
        "calibration",
        "a gradient below 1e-7 per row",
        format_args!("{worst:e}"),
    ))
}

fn sigmoid(margins: &[f64], labels: &[f64], weight: &dyn Fn(usize) -> f64) -> Result<Calibrator> {
    let count = |class: f64| -> f64 {
        let rows = (0..labels.len()).filter(|row| labels[*row] == class);
        rows.map(weight).sum()
    };
    // The labels that a uniform prior would expect: no finite slope fits separated margins else.
    let (churned, stayed) = (count(1.0), count(0.0));
    let targets = [1.0 / (stayed + 2.0), (churned + 1.0) / (churned + 2.0)];
    // Steps on margins of about unit size.
    let scale = margins
        .iter()
        .fold(0.0_f64, |a, m| a.max(m.abs()))
        .max(1e-300);
    let [slope, intercept] = non_negative_fit(
        margins.len(),
        &|row| [margins[row] / scale, 1.0],
        &|row| targets[usize::from(labels[row] == 1.0)],
        weight,
    )?;
    Ok(Calibrator::Sigmoid {
        slope: slope / scale,
        intercept,
    })
}

fn beta(margins: &[f64], labels: &[f64], weight: &dyn Fn(usize) -> f64) -> Result<Calibrator> {
    let [a, b, c] = non_negative_fit(
        margins.len(),
        &|row| {
            let (ln_q, ln_1q) = logs(margins[row]);
            [ln_q, -ln_1q, 1.0]
        },
        &|row| labels[row],
        weight,
    )?;
    Ok(Calibrator::Beta { a, b, c })
}

/// A run of rows with one fitted value.
struct Pool {
    weight: f64,
    mean: f64,
    first: f64,
    last: f64,
}

fn isotonic(margins: &[f64], labels: &[f64], weight: &dyn Fn(usize) -> f64) -> Calibrator {
    let mut rows: Vec<(f64, f64, f64)> = (0..margins.len())
        .map(|row| (margins[row] + 0.0, labels[row], weight(row)))
        .filter(|(_, _, w)| *w > 0.0)
        .collect();
    rows.sort_unstable_by(|a, b| {
        let by_margin = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        by_margin.then(a.2.total_cmp(&b.2))
    });
    let mut pools: Vec<Pool> = Vec::new();
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let w: f64 = tied.iter().map(|(_, _, w)| w).sum();
        let churned: f64 = tied.iter().map(|(_, y, w)| y * w).sum();
        let mut pool = Pool {
            weight: w,
            mean: churned / w,
            first: tied[0].0,
            last: tied[0].0,
        };
        while let Some(before) = pools.pop_if(|before| before.mean >= pool.mean) {
            let w = before.weight + pool.weight;
            pool.mean = (before.mean * before.weight + pool.mean * pool.weight) / w;
            pool.weight = w;
            pool.first = before.first;
        }
        pools.push(pool);
    }
    let (mut at, mut probabilities) = (Vec::new(), Vec::new());
    for pool in pools {
        at.push(pool.first);
        probabilities.push(pool.mean.clamp(0.0, 1.0));
        if pool.last > pool.first {
            at.push(pool.last);
            probabilities.push(pool.mean.clamp(0.0, 1.0));
        }
    }
    Calibrator::Isotonic {
        margins: at,
        probabilities,
    }
}

fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let above = xs.partition_point(|point| *point <= x);
    match (above.checked_sub(1), xs.get(above)) {
        (None, _) => ys.first().copied().unwrap_or(0.5),
        (Some(below), None) => ys[below],
        (Some(below), Some(next)) => {
            let part = (x - xs[below]) / (next - xs[below]);
            ys[below] + part * (ys[above] - ys[below])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    fn sample(n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut random = Random::new(11, 0);
        let margins: Vec<f64> = (0..n).map(|_| 2.0 * random.normal()).collect();
        let labels = margins
            .iter()
            .map(|m| f64::from(u8::from(random.chance(logistic(0.5 * m - 1.0)))));
        let labels: Vec<f64> = labels.collect();
        (margins, labels)
    }

    #[test]
    fn all_curves_are_monotone_and_find_the_truth() {
        let (margins, labels) = sample(20_000);
        for kind in [
            Calibration::Sigmoid,
            Calibration::Isotonic,
            Calibration::Beta,
        ] {
            let calibrator = kind.fit(&margins, &labels, None).unwrap();
            calibrator.check().unwrap();
            let mut before = 0.0;
            for k in -60..=60 {
                let margin = f64::from(k) / 20.0;
                let p = calibrator.probability(margin);
                assert!(p >= before && p <= 1.0, "{kind:?}");
                assert!(
                    (p - logistic(0.5 * margin - 1.0)).abs() < 0.06,
                    "{kind:?} {margin} {p}"
                );
                before = p;
            }
        }
    }

    #[test]
    fn separated_margins_have_a_finite_slope() {
        let margins: Vec<f64> = (0..50).map(|i| f64::from(i) - 24.5).collect();
        let labels: Vec<f64> = margins
            .iter()
            .map(|m| f64::from(u8::from(*m > 0.0)))
            .collect();
        let calibrator = Calibration::Sigmoid.fit(&margins, &labels, None).unwrap();
        assert!(calibrator.probability(25.0) < 1.0 && calibrator.probability(25.0) > 0.9);
        let worse: Vec<f64> = margins.iter().map(|m| -m).collect();
        let flat = Calibration::Sigmoid.fit(&worse, &labels, None).unwrap();
        let Calibrator::Sigmoid { slope, intercept } = flat else {
            panic!("a sigmoid")
        };
        assert_eq!(slope, 0.0);
        assert!(intercept.abs() < 1e-9);
        let alike = Calibration::Sigmoid
            .fit(&[0.0; 4], &[0.0, 0.0, 0.0, 1.0], None)
            .unwrap();
        assert!(alike.probability(0.0) < 0.5);
    }

    #[test]
    fn pools_are_means_and_lines_join_them() {
        let margins = [1.0, 2.0, 3.0, 4.0, 5.0];
        let labels = [0.0, 1.0, 0.0, 1.0, 1.0];
        let fitted = Calibration::IsotonicForced
            .fit(&margins, &labels, None)
            .unwrap();
        for (margin, p) in [
            (0.0, 0.0),
            (1.0, 0.0),
            (2.0, 0.5),
            (3.0, 0.5),
            (3.5, 0.75),
            (9.0, 1.0),
        ] {
            assert_eq!(fitted.probability(margin), p, "{margin}");
        }
        let error = Calibration::Isotonic
            .fit(&margins, &labels, None)
            .unwrap_err();
        assert_eq!(error.what(), "calibration.isotonic");
        assert!(Calibration::Sigmoid.fit(&margins, &[1.0; 5], None).is_err());
        let error = Calibration::Beta
            .fit(&[f64::NAN, 1.0], &[0.0, 1.0], None)
            .unwrap_err();
        assert_eq!(error.row(), Some(0));
    }
}
