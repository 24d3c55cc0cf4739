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

mod model;
mod solve;

pub use model::SvmModel;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::logistic::design::{Coding, Design};
use super::{Frame, check};
use crate::error::{Error, Result};
use crate::progress::Progress;
use model::{MOST_FREQUENCIES, Stored, frequencies, put_features, put_terms};
use solve::Problem;

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

/// Most numbers in the table of features, so that memory has a bound (8 GiB).
const MOST_CELLS: usize = 1 << 31;
/// Rows that one task turns into features.
const CHUNK: usize = 256;

impl Svm {
    /// Finds the boundary.
    ///
    /// Shape: `target` and `weights` have one entry per row. Rows of weight 0 are left out.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain, more rows than memory is meant for, or
    /// more features times terms than a saved model may hold;
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
        let rows: Vec<usize> = (0..frame.rows())
            .filter(|&row| weights[row] > 0.0)
            .collect();
        let pairs = self.features / 2;
        if self.kernel == Kernel::Rbf {
            check_cells(2 * pairs, rows.len())?;
        }
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
        let width = gamma.map_or(design.terms, |_| 2 * pairs);
        check_cells(width, rows.len())?;
        if gamma.is_some() && design.terms.saturating_mul(pairs) > MOST_FREQUENCIES {
            return Err(Error::invalid_parameter(
                "svm.features",
                "at most 2^22 pairs of features times terms",
                format_args!("{pairs} pairs, {} terms", design.terms),
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
                    put_terms(&bound, row, &mut terms);
                    put_features(&terms, &frequencies, &mut features);
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
        let stored = Stored {
            gamma,
            seed: self.seed,
            weights: solution.weights,
            intercept: solution.intercept,
            means,
            passes: solution.passes,
            gap: solution.gap,
            design,
        };
        Ok(SvmModel::new(stored, frequencies))
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

fn check_cells(width: usize, rows: usize) -> Result<()> {
    if width.saturating_mul(rows) <= MOST_CELLS {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "svm.features",
        "at most 2^31 features times rows",
        format_args!("{width} features, {rows} rows"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::math::random::Random;
    use crate::scoring::learned::Column;
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
    }

    #[test]
    fn contributions_of_waves_are_slopes_along_the_way_from_the_mean_row() {
        // Without levels and missing cells a row of mean terms is a row of mean cells.
        let mut random = Random::new(11, 0);
        let columns: [Vec<f64>; 3] = [0, 1, 2].map(|_| (0..300).map(|_| random.normal()).collect());
        let target: Vec<f64> = (0..300)
            .map(|i| {
                f64::from(u8::from(
                    columns[0][i] * columns[1][i] + 0.3 * columns[2][i] > 0.0,
                ))
            })
            .collect();
        let frame_of = |columns: &[Vec<f64>; 3]| {
            let named = ["a", "b", "c"].into_iter().zip(columns);
            let named = named.map(|(n, c)| (n.to_owned(), Column::Numeric(c.clone().into())));
            Frame::new(named.collect()).unwrap()
        };
        let frame = frame_of(&columns);
        let settings = Svm {
            features: 200,
            c: 3.0,
            ..Svm::default()
        };
        let model = fit(&settings, &frame, &target);
        let why = model.contributions(&frame).unwrap();
        for (row, margin) in model.margins(&frame).unwrap().iter().enumerate() {
            assert!((why.margin(row) - margin).abs() < 1e-9 * margin.abs().max(1.0));
        }
        // The definition by the trapezoidal rule and central differences.
        let means: Vec<f64> = columns
            .iter()
            .map(|c| c.iter().sum::<f64>() / 300.0)
            .collect();
        let (steps, small) = (400, 1e-4);
        for row in [0, 7, 123] {
            for j in 0..3 {
                let mut points = [vec![], vec![], vec![]];
                for k in 0..=steps {
                    for side in [-small, small] {
                        for (i, out) in points.iter_mut().enumerate() {
                            let share = f64::from(k) / f64::from(steps);
                            let shift = if i == j { side } else { 0.0 };
                            out.push(means[i] + share * (columns[i][row] - means[i]) + shift);
                        }
                    }
                }
                let margins = model.margins(&frame_of(&points)).unwrap();
                let slopes: Vec<f64> = margins
                    .chunks(2)
                    .map(|m| (m[1] - m[0]) / (2.0 * small))
                    .collect();
                let inner: f64 = slopes[1..slopes.len() - 1].iter().sum();
                let ends = (slopes[0] + slopes[slopes.len() - 1]) / 2.0;
                let expected = (columns[j][row] - means[j]) * (inner + ends) / f64::from(steps);
                let got = why.column(j)[row];
                assert!((got - expected).abs() < 1e-4, "{row} {j}: {got} {expected}");
            }
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_fitted() {
        // 900 terms times 5,000 pairs are more than a file may ask for.
        let columns = (0..900).map(|j| {
            let cells: Vec<f64> = (0..40).map(|i| f64::from((i + j) % 11)).collect();
            (format!("c{j}"), Column::Numeric(cells.into()))
        });
        let frame = Frame::new(columns.collect()).unwrap();
        let target: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let settings = Svm {
            features: 10_000,
            ..Svm::default()
        };
        let error = settings.fit(&frame, &target, None, &Progress::none()).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(
                "svm.features: expected at most 2^22 pairs of features times terms, got 5000 pairs, 900 terms"
            )
        );
    }

    #[test]
    fn far_away_cells_keep_margins_finite() {
        let (frame, target) = example(200, 6);
        for kernel in [Kernel::Linear, Kernel::Rbf] {
            let settings = Svm {
                kernel,
                c: 0.1,
                features: 50,
                ..Svm::default()
            };
            let model = fit(&settings, &frame, &target);
            let mut far = frame.take(&[0, 1, 2]);
            for (name, column) in frame.names().iter().zip(frame.columns()) {
                if matches!(column, Column::Numeric(_)) {
                    let cells = vec![f64::MAX, f64::MIN, f64::NAN];
                    far = far
                        .replace(name, |_| Column::Numeric(cells.clone().into()))
                        .unwrap();
                }
            }
            assert!(model.margins(&far).unwrap().iter().all(|m| m.is_finite()));
            let why = model.contributions(&far).unwrap();
            assert!(why.values().iter().all(|v| v.is_finite()));
        }
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
