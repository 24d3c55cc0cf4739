//! Support vector machine: the boundary with the widest margin between those who left and the rest.
//!
//! For a few thousand rows where a smooth, bent boundary is expected; it has no probabilities of
//! its own (calibrate the margins), and on tables of customers boosting usually ranks better. With
//! the linear kernel it is a logistic regression that looks only at hard cases.
//!
//! Minimises ½ |w|² + Σ cᵢ max(0, 1 − yᵢ f(xᵢ)), y = ±1, cᵢ = C · weight (Cortes & Vapnik 1995), by
//! coordinate ascent in the dual (Hsieh et al. 2008, ICML) until the gap between primal and dual says
//! that the optimum is near. f(x) = w·φ(x), φ ending in a constant 1. Columns become terms as in
//! [`Logistic`](super::Logistic).
//!
//! The Gaussian kernel exp(−γ |x − x'|²) acts through random Fourier features (Rahimi & Recht 2007,
//! NIPS): φ(x) = √(2/D) (cos ω₁·x, sin ω₁·x, …), ω drawn from N(0, 2γ). So training time grows with the
//! rows and not with their square, and a fitted model holds no customer: support vectors would be
//! rows of the training table.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::logistic::design::{Bound, Coding, Design};
use super::{Contributions, Frame, check};
use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::progress::Progress;

/// Shape of the boundary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// A plane.
    Linear,
    /// Gaussian ("radial basis functions"): near rows are alike.
    #[default]
    Rbf,
}

/// Settings of a support vector machine.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{Column, Frame, Svm};
/// // Those who come neither often nor rarely stay: no plane parts them.
/// let rhythm: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
/// let churned: Vec<f64> = rhythm.iter().map(|x| f64::from(u8::from((x - 10.0).abs() > 4.5))).collect();
/// let frame = Frame::new(vec![("rhythm".into(), Column::Numeric(rhythm.into()))])?;
/// let model = Svm { c: 10.0, ..Svm::default() }.fit(&frame, &churned, None, &Progress::none())?;
/// let margins = model.margins(&frame)?;
/// assert!(margins[0] > 0.0 && margins[10] < 0.0 && margins[19] > 0.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Svm {
    /// Shape of the boundary.
    pub kernel: Kernel,
    /// What a row on the wrong side costs. Default 1.
    pub c: f64,
    /// Width of the Gaussian kernel; 0 (the default) = 1 / (terms · variance of all their values).
    pub gamma: f64,
    /// Random features of the Gaussian kernel, 2 to 10000; more follow it more closely.
    pub features: usize,
    /// Levels of a category with a term of their own; rarer ones share one. Default 100.
    pub max_levels: usize,
    /// Factor on the weight of rows with label 1. Default 1.
    pub positive_weight: f64,
    /// Gap between primal and dual, relative to the primal, at which it counts as solved.
    pub tolerance: f64,
    /// Most passes over the rows.
    pub max_passes: usize,
    /// Seed of the random features and of the order of rows.
    pub seed: u64,
}

impl Default for Svm {
    fn default() -> Self {
        Svm {
            kernel: Kernel::Rbf,
            c: 1.0,
            gamma: 0.0,
            features: 1_000,
            max_levels: 100,
            positive_weight: 1.0,
            tolerance: 1e-3,
            max_passes: 5_000,
            seed: 0,
        }
    }
}

/// A fitted support vector machine. Holds no training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct SvmModel {
    stored: Stored,
    /// Frequencies of the random features, one after the other; empty for a plane.
    frequencies: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    design: Design,
    gamma: Option<f64>,
    seed: u64,
    weights: Vec<f64>,
    intercept: f64,
    /// Mean of each term over the training rows.
    means: Vec<f64>,
    passes: usize,
    gap: f64,
}

/// Most numbers in the table of features, so that memory has a bound (8 GiB).
const MOST_CELLS: usize = 1 << 31;
/// Rows that one task turns into features.
const CHUNK: usize = 256;
/// Passes between two looks at the gap.
const LOOK: usize = 5;

impl Svm {
    /// Finds the boundary.
    ///
    /// Shape: `target` and `weights` have one entry per row. Rows of weight 0 are left out.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain or more rows than memory is meant for;
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1 or a negative
    /// weight; `NotEnoughData` where a label does not occur; `NotConverged` where `max_passes` are
    /// not enough; `Cancelled`.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<SvmModel> {
        self.check()?;
        let weights = check::labelled(frame, target, weights, self.positive_weight)?;
        let design = Design::learn(
            frame,
            &weights,
            Coding {
                standardise: true,
                reference_levels: false,
                max_levels: self.max_levels,
                knots: 0,
            },
        );
        let bound = design.bind(frame)?;
        let rows: Vec<usize> = (0..frame.rows())
            .filter(|&row| weights[row] > 0.0)
            .collect();
        let total: f64 = rows.iter().map(|&row| weights[row]).sum();
        let (mut means, mut squares) = (vec![0.0; design.terms], 0.0);
        for &row in &rows {
            let share = weights[row] / total;
            bound.row(row, |_, term, value| {
                means[term] += share * value;
                squares += share * value * value;
            });
        }
        let gamma = match self.kernel {
            Kernel::Linear => None,
            Kernel::Rbf if self.gamma > 0.0 => Some(self.gamma),
            Kernel::Rbf => {
                // Terms times the variance of all their values, whatever term they belong to.
                let terms = design.terms.max(1) as f64;
                let mean = means.iter().sum::<f64>() / terms;
                let spread = squares - terms * mean * mean;
                Some(if spread > 0.0 { 1.0 / spread } else { 1.0 })
            }
        };
        let width = gamma.map_or(design.terms, |_| self.features / 2 * 2);
        if width.saturating_mul(rows.len()) > MOST_CELLS
            || design.terms.saturating_mul(width) > MOST_CELLS
        {
            return Err(Error::invalid_parameter(
                "svm.features",
                "at most 2^31 features times rows or terms",
                format_args!(
                    "{width} features, {} rows, {} terms",
                    rows.len(),
                    design.terms
                ),
            ));
        }
        let frequencies = frequencies(gamma, design.terms, width, self.seed);
        let mut table = vec![0.0_f32; width * rows.len()];
        if width > 0 {
            let chunks = table
                .par_chunks_mut(CHUNK * width)
                .zip(rows.par_chunks(CHUNK));
            chunks.for_each(|(table, rows)| {
                let mut terms = vec![0.0; design.terms];
                let mut features = vec![0.0; width];
                for (out, &row) in table.chunks_exact_mut(width).zip(rows) {
                    put_features(&bound, row, &frequencies, &mut terms, &mut features);
                    for (out, feature) in out.iter_mut().zip(&features) {
                        *out = *feature as f32;
                    }
                }
            });
        }
        let problem = Problem {
            table: &table,
            width,
            signs: rows.iter().map(|&row| 2.0 * target[row] - 1.0).collect(),
            costs: rows.iter().map(|&row| self.c * weights[row]).collect(),
        };
        let solution = problem.solve(self, progress)?;
        Ok(SvmModel {
            frequencies,
            stored: Stored {
                gamma,
                seed: self.seed,
                weights: solution.weights,
                intercept: solution.intercept,
                means,
                passes: solution.passes,
                gap: solution.gap,
                design,
            },
        })
    }

    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |name: &str, expected: &str, got: &dyn std::fmt::Display| {
            let what = format!("svm.{name}");
            Err(Error::invalid_parameter(what, expected, got))
        };
        for (name, value) in [("c", self.c), ("positive_weight", self.positive_weight)] {
            if !(value > 0.0 && value <= 1e9) {
                return wrong(name, "a number above 0 and at most 1e9", &value);
            }
        }
        if !(0.0..=1e9).contains(&self.gamma) {
            return wrong("gamma", "a number from 0 to 1e9", &self.gamma);
        }
        if !(2..=10_000).contains(&self.features) {
            return wrong("features", "2 to 10000 features", &self.features);
        }
        if !(1..=100_000).contains(&self.max_levels) {
            return wrong("max_levels", "1 to 100000 levels", &self.max_levels);
        }
        if !(self.tolerance >= 1e-9 && self.tolerance < 1.0) {
            return wrong(
                "tolerance",
                "a number from 1e-9 to below 1",
                &self.tolerance,
            );
        }
        if !(1..=1_000_000).contains(&self.max_passes) {
            return wrong("max_passes", "1 to 1000000 passes", &self.max_passes);
        }
        Ok(())
    }
}

/// Frequencies of a Gaussian kernel; none for a plane.
fn frequencies(gamma: Option<f64>, terms: usize, width: usize, seed: u64) -> Vec<f64> {
    let Some(gamma) = gamma else {
        return Vec::new();
    };
    let spread = (2.0 * gamma).sqrt();
    (0..width / 2)
        .flat_map(|k| {
            let mut random = Random::new(seed, k as u64);
            (0..terms).map(move |_| spread * random.normal())
        })
        .collect()
}

/// The features of a row: its terms, or waves of them.
fn put_features(
    bound: &Bound<'_>,
    row: usize,
    frequencies: &[f64],
    terms: &mut [f64],
    features: &mut [f64],
) {
    terms.fill(0.0);
    bound.row(row, |_, term, value| terms[term] += value);
    if frequencies.is_empty() {
        features[..terms.len()].copy_from_slice(terms);
        return;
    }
    let scale = (2.0 / features.len() as f64).sqrt();
    let waves = frequencies.chunks_exact(terms.len());
    for (out, frequency) in features.chunks_exact_mut(2).zip(waves) {
        let angle: f64 = frequency.iter().zip(&*terms).map(|(f, x)| f * x).sum();
        let (sin, cos) = libm::sincos(angle);
        out[0] = scale * cos;
        out[1] = scale * sin;
    }
}

/// Rows as features, with what lies on which side and what mistakes cost.
struct Problem<'a> {
    table: &'a [f32],
    width: usize,
    signs: Vec<f64>,
    costs: Vec<f64>,
}

struct Solution {
    weights: Vec<f64>,
    intercept: f64,
    passes: usize,
    gap: f64,
}

impl Problem<'_> {
    fn row(&self, i: usize) -> &[f32] {
        &self.table[i * self.width..(i + 1) * self.width]
    }

    fn solve(&self, settings: &Svm, progress: &Progress<'_>) -> Result<Solution> {
        let n = self.signs.len();
        let mut weights = vec![0.0; self.width];
        let mut intercept = 0.0;
        let mut alphas = vec![0.0_f64; n];
        let square = |row: &[f32]| {
            row.iter()
                .map(|x| f64::from(*x) * f64::from(*x))
                .sum::<f64>()
        };
        let squares: Vec<f64> = (0..n).map(|i| square(self.row(i)) + 1.0).collect();
        let mut order: Vec<u32> = (0..n as u32).collect();
        let step = progress.step("svm.passes", settings.max_passes);
        let mut gap = f64::INFINITY;
        for pass in 0..settings.max_passes {
            let mut random = Random::new(settings.seed, u64::MAX - pass as u64);
            for i in (1..n).rev() {
                let other = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
                order.swap(i, other as usize);
            }
            for &i in &order {
                let i = i as usize;
                let (row, sign, cost) = (self.row(i), self.signs[i], self.costs[i]);
                let slope = sign * (dot(&weights, row) + intercept) - 1.0;
                let alpha = (alphas[i] - slope / squares[i]).clamp(0.0, cost);
                let change = (alpha - alphas[i]) * sign;
                if change != 0.0 {
                    alphas[i] = alpha;
                    for (weight, x) in weights.iter_mut().zip(row) {
                        *weight += change * f64::from(*x);
                    }
                    intercept += change;
                }
            }
            step.advance(1)?;
            if pass % LOOK == LOOK - 1 || pass + 1 == settings.max_passes {
                gap = self.gap(&weights, intercept, &alphas);
                if gap <= settings.tolerance {
                    return Ok(Solution {
                        weights,
                        intercept,
                        passes: pass + 1,
                        gap,
                    });
                }
            }
        }
        Err(Error::not_converged(
            "svm.max_passes",
            format_args!("a gap of at most {}", settings.tolerance),
            format_args!("{gap:.2e} after {} passes", settings.max_passes),
        ))
    }

    /// Primal minus dual, relative to the primal: how far from the optimum at most.
    fn gap(&self, weights: &[f64], intercept: f64, alphas: &[f64]) -> f64 {
        let size = weights.iter().map(|w| w * w).sum::<f64>() + intercept * intercept;
        let mut losses = 0.0;
        for (i, (sign, cost)) in self.signs.iter().zip(&self.costs).enumerate() {
            let margin = sign * (dot(weights, self.row(i)) + intercept);
            losses += cost * (1.0 - margin).max(0.0);
        }
        let primal = size / 2.0 + losses;
        let dual = alphas.iter().sum::<f64>() - size / 2.0;
        if primal > 0.0 {
            (primal - dual) / primal
        } else {
            0.0
        }
    }
}

/// In four sums, which the compiler keeps side by side.
fn dot(weights: &[f64], row: &[f32]) -> f64 {
    let mut sums = [0.0; 4];
    let (weights, rest) = weights.as_chunks::<4>();
    let (row, behind) = row.as_chunks::<4>();
    for (w, x) in weights.iter().zip(row) {
        for lane in 0..4 {
            sums[lane] += w[lane] * f64::from(x[lane]);
        }
    }
    let tail: f64 = rest
        .iter()
        .zip(behind)
        .map(|(w, x)| w * f64::from(*x))
        .sum();
    sums[0] + sums[1] + (sums[2] + sums[3]) + tail
}

impl SvmModel {
    /// Signed distances from the boundary, in units of the margin, of the rows of a frame, whose
    /// columns are found by name; above 0 = leaves. Not log-odds: calibrate them.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of the other kind.
    pub fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let stored = &self.stored;
        let bound = stored.design.bind(frame)?;
        let mut margins = vec![stored.intercept; frame.rows()];
        let chunks = margins.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(c, margins)| {
            let mut terms = vec![0.0; stored.design.terms];
            let mut features = vec![0.0; stored.weights.len()];
            for (i, margin) in margins.iter_mut().enumerate() {
                let row = c * CHUNK + i;
                put_features(&bound, row, &self.frequencies, &mut terms, &mut features);
                let parts = stored.weights.iter().zip(&features).map(|(w, x)| w * x);
                *margin += parts.sum::<f64>();
            }
        });
        Ok(margins)
    }

    /// What each column adds to the margin of each row, against a row of mean terms; for the linear
    /// kernel.
    ///
    /// # Errors
    /// As [`margins`](Self::margins); `InvalidParameter` for the Gaussian kernel, whose margin is no
    /// sum over columns.
    pub fn contributions(&self, frame: &Frame<'_>) -> Result<Contributions> {
        let stored = &self.stored;
        if stored.gamma.is_some() {
            return Err(Error::invalid_parameter("svm.kernel", "linear", "rbf"));
        }
        let bound = stored.design.bind(frame)?;
        let rows = frame.rows();
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let mut offsets = vec![0.0; names.len()];
        for (term, input) in stored.design.input_of_terms().into_iter().enumerate() {
            offsets[input] += stored.weights[term] * stored.means[term];
        }
        let mut values = vec![0.0; rows * names.len()];
        for (column, offset) in values.chunks_exact_mut(rows.max(1)).zip(&offsets) {
            column.fill(-offset);
        }
        for row in 0..rows {
            bound.row(row, |input, term, value| {
                values[input * rows + row] += stored.weights[term] * value;
            });
        }
        let base = stored.intercept + offsets.iter().sum::<f64>();
        Contributions::new(base, names, rows, values)
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        let inputs = self.stored.design.inputs.iter();
        inputs.map(|input| input.name.as_str())
    }

    /// Passes over the rows that were needed.
    pub fn passes(&self) -> usize {
        self.stored.passes
    }

    /// Gap between primal and dual at the solution, relative to the primal: the certificate.
    pub fn gap(&self) -> f64 {
        self.stored.gap
    }
}

impl From<SvmModel> for Stored {
    fn from(model: SvmModel) -> Self {
        model.stored
    }
}

impl TryFrom<Stored> for SvmModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        stored.design.check()?;
        let (terms, width) = (stored.design.terms, stored.weights.len());
        let finite = stored.intercept.is_finite()
            && stored
                .weights
                .iter()
                .chain(&stored.means)
                .all(|v| v.is_finite());
        let fits = match stored.gamma {
            None => width == terms,
            Some(gamma) => gamma > 0.0 && gamma.is_finite() && width <= 10_000 && width % 2 == 0,
        };
        if !fits || stored.means.len() != terms || terms.saturating_mul(width) > 1 << 26 || !finite
        {
            let expected = "weights that are finite and fit the columns";
            return Err(Error::invalid_parameter("model.svm", expected, "others"));
        }
        let frequencies = frequencies(stored.gamma, terms, width, stored.seed);
        Ok(SvmModel {
            frequencies,
            stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::scoring::learned::boosting::tests::example;

    fn fit(settings: &Svm, frame: &Frame<'_>, target: &[f64]) -> SvmModel {
        settings
            .fit(frame, target, None, &Progress::none())
            .unwrap()
    }

    fn right(margins: &[f64], target: &[f64]) -> f64 {
        let hits = margins
            .iter()
            .zip(target)
            .filter(|(m, y)| (**m > 0.0) == (**y == 1.0));
        hits.count() as f64 / target.len() as f64
    }

    #[test]
    fn both_kernels_part_rows_and_read_back() {
        let (frame, target) = example(1_500, 1);
        let (held, outcomes) = example(1_500, 2);
        let mut rates = Vec::new();
        for kernel in [Kernel::Linear, Kernel::Rbf] {
            let settings = Svm {
                kernel,
                c: 0.5,
                features: 300,
                ..Svm::default()
            };
            let model = fit(&settings, &frame, &target);
            assert!(model.gap() <= 1e-3 && model.gap() > -1e-9);
            assert_eq!(model, fit(&settings, &frame, &target));
            let margins = model.margins(&held).unwrap();
            rates.push(right(&margins, &outcomes));
            let text = serde_json::to_string(&model).unwrap();
            let read: SvmModel = serde_json::from_str(&text).unwrap();
            assert_eq!(read.margins(&held).unwrap(), margins);
            let broken = text.replacen("\"intercept\":", "\"intercept\":1e999,\"x\":", 1);
            assert!(serde_json::from_str::<SvmModel>(&broken).is_err());
        }
        // x1 · x2 matters: a plane cannot see it.
        let share = outcomes.iter().sum::<f64>() / 1_500.0;
        assert!(
            rates[0] > share.max(1.0 - share) && rates[1] > rates[0],
            "{rates:?}"
        );
    }

    #[test]
    fn contributions_sum_to_the_margins() {
        let (frame, target) = example(600, 3);
        let linear = Svm {
            kernel: Kernel::Linear,
            c: 0.1,
            ..Svm::default()
        };
        let model = fit(&linear, &frame, &target);
        let margins = model.margins(&frame).unwrap();
        let why = model.contributions(&frame).unwrap();
        for (row, margin) in margins.iter().enumerate() {
            assert!((why.margin(row) - margin).abs() < 1e-10);
        }
        let mean = margins.iter().sum::<f64>() / 600.0;
        assert!((why.base() - mean).abs() < 1e-10);
        let bent = fit(
            &Svm {
                features: 20,
                ..Svm::default()
            },
            &frame,
            &target,
        );
        assert_eq!(
            bent.contributions(&frame).unwrap_err().to_string(),
            "svm.kernel: expected linear, got rbf"
        );
    }

    #[test]
    fn mistakes_are_named() {
        let (frame, target) = example(60, 4);
        let error = |settings: Svm| {
            settings
                .fit(&frame, &target, None, &Progress::none())
                .unwrap_err()
        };
        assert_eq!(
            error(Svm {
                c: 0.0,
                ..Svm::default()
            })
            .to_string(),
            "svm.c: expected a number above 0 and at most 1e9, got 0"
        );
        let hasty = Svm {
            max_passes: 1,
            tolerance: 1e-9,
            ..Svm::default()
        };
        assert_eq!(error(hasty).kind(), ErrorKind::NotConverged);
        let one = Svm::default().fit(&frame, &[1.0; 60], None, &Progress::none());
        assert_eq!(one.unwrap_err().kind(), ErrorKind::NotEnoughData);
    }
}
