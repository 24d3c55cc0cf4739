//! Logistic regression: log-odds that are a sum of one part per column.
//!
//! The choice for a few hundred rows, for effects that must be read and defended, and as a member
//! of a blend; not where what matters is an interaction that nobody has put into a column.
//!
//! P(churn | x) = 1 / (1 + e^−η), η = β₀ + Σ βⱼ xⱼ. The coefficients minimise the weighted log loss
//! plus ½ l2 Σ βⱼ² + l1 Σ |βⱼ|, the intercept left free (scikit-learn's C is 1/l2).
//!
//! Columns become terms thus. Numbers are standardised; a missing number counts as the mean, and
//! where training has missing ones a term of its own says so. Each level of a category is a term
//! of 0 and 1, a missing level included; a level that training has not seen adds nothing. Without
//! ridge, and where `reference_levels` asks for it, the most frequent level is the reference and
//! has no term. Constant and empty columns have none. With `knots` a number acts through its place
//! in the distribution, piecewise linear, its slope changing at evenly spaced knots.

pub(crate) mod design;
mod newton;

use serde::{Deserialize, Serialize};

use design::{Coding, Design, Kind};
use newton::{Problem, Solution};
pub(crate) use newton::{logistic, softplus};

use super::{Contributions, Frame, check};
use crate::error::{Error, Result};
use crate::math::distributions::{normal_cdf, normal_quantile};
use crate::math::linalg::Cholesky;
use crate::progress::Progress;

/// Settings of a logistic regression.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{Column, Frame, Logistic};
/// let silence: Vec<f64> = (0..200).map(|i| f64::from(i % 50)).collect();
/// let churned: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 50 + (i * 7) % 31 > 40))).collect();
/// let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
/// let model = Logistic { l2: 0.0, ..Logistic::default() }.fit(&frame, &churned, None, &Progress::none())?;
/// let effects = model.effects(0.95)?;
/// assert_eq!(effects[0].term, "days_since_last");
/// assert!(effects[0].odds_ratio > 1.0 && effects[0].low < effects[0].odds_ratio);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logistic {
    /// Ridge penalty. Default 1.
    pub l2: f64,
    /// Lasso penalty: sets coefficients to zero. Default 0.
    pub l1: f64,
    /// Factor on the weight of rows with label 1; shifts probabilities. Default 1.
    pub positive_weight: f64,
    /// Whether numbers are brought to mean 0 and standard deviation 1 first. Default true.
    pub standardise: bool,
    /// Whether the most frequent level of each category is left out, so that the others compare
    /// with it. Default false; always so where both penalties are 0.
    pub reference_levels: bool,
    /// Levels of a category with a term of their own; rarer ones share one. Default 100.
    pub max_levels: usize,
    /// Bends of each number's effect; 0 (the default) = a straight line.
    pub knots: usize,
    /// Most Newton steps. Default 100.
    pub max_iterations: usize,
    /// Largest derivative of the objective, per unit of weight, at which it counts as minimal.
    /// Default 1e-10.
    pub tolerance: f64,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic {
            l2: 1.0,
            l1: 0.0,
            positive_weight: 1.0,
            standardise: true,
            reference_levels: false,
            max_levels: 100,
            knots: 0,
            max_iterations: 100,
            tolerance: 1e-10,
        }
    }
}

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticModel {
    pub(crate) design: Design,
    intercept: f64,
    /// One per term.
    coefficients: Vec<f64>,
    /// Mean of each term over the training rows.
    means: Vec<f64>,
    /// Standard errors in the columns' own units, the intercept last; none with a lasso.
    standard_errors: Option<Vec<f64>>,
    iterations: usize,
    gradient: f64,
}

/// The effect of one term on the odds of churn.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The column behind it.
    pub feature: String,
    /// The column, or what of it, e.g. `contract = two years` or `total_charges missing`.
    pub term: String,
    /// Change of the log-odds per unit of the column, or with the level.
    pub coefficient: f64,
    /// Standard error of the coefficient.
    pub standard_error: f64,
    /// Standard deviation of the column, to compare effects per typical difference; 1 for levels.
    pub spread: f64,
    /// Factor on the odds per unit, or with the level: e^coefficient.
    pub odds_ratio: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Probability of a coefficient at least as far from 0 if the effect were none (Wald).
    pub p_value: f64,
}

impl Logistic {
    /// Fits the coefficients.
    ///
    /// Shape: `target` and `weights` have one entry per row.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain; `LengthMismatch`; `InvalidValue`, naming
    /// the row, for a label other than 0 and 1 or a negative weight; `NotEnoughData` where a label
    /// does not occur; `NotConverged` where labels are separated or terms depend on each other
    /// without a ridge, or `max_iterations` are not enough; `Cancelled`.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<LogisticModel> {
        self.fit_clustered(frame, target, weights, None, progress)
    }

    /// The same, with standard errors that allow rows of one group (a customer at several
    /// cut-offs) to resemble each other: the sandwich of Liang & Zeger (1986), Biometrika 73(1),
    /// times G/(G−1) · (n−1)/(n−k).
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_clustered(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        groups: Option<&[u32]>,
        progress: &Progress<'_>,
    ) -> Result<LogisticModel> {
        self.check()?;
        let weights = check::labelled(frame, target, weights, self.positive_weight)?;
        if let Some(groups) = groups
            && groups.len() != target.len()
        {
            return Err(Error::length_mismatch("groups", target.len(), groups.len()));
        }
        let coding = Coding {
            standardise: self.standardise,
            reference_levels: self.reference_levels || self.l1 == 0.0 && self.l2 == 0.0,
            max_levels: self.max_levels,
            knots: self.knots,
        };
        let design = Design::learn(frame, &weights, coding);
        let names = design.term_names();
        let bound = design.bind(frame)?;
        let problem = Problem {
            bound: &bound,
            terms: design.terms,
            target,
            weights: &weights,
            l2: self.l2,
            l1: self.l1,
            max_iterations: self.max_iterations,
            tolerance: self.tolerance,
        };
        let solution = problem.solve(None, &names, progress)?;
        let mut means = vec![0.0; design.terms];
        let total: f64 = weights.iter().sum();
        for (row, weight) in weights.iter().enumerate() {
            bound.row(row, |_, term, value| means[term] += weight / total * value);
        }
        let standard_errors = match self.l1 > 0.0 {
            true => None,
            false => Some(standard_errors(&design, &problem, &solution, groups)?),
        };
        let mut coefficients = solution.beta;
        let intercept = coefficients.pop().unwrap_or(0.0);
        Ok(LogisticModel {
            design,
            intercept,
            coefficients,
            means,
            standard_errors,
            iterations: solution.iterations,
            gradient: solution.gradient,
        })
    }

    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |name: &str, expected: &str, got: &dyn std::fmt::Display| {
            let what = format!("logistic.{name}");
            Err(Error::invalid_parameter(what, expected, got))
        };
        for (name, penalty) in [("l2", self.l2), ("l1", self.l1)] {
            if !(0.0..=1e12).contains(&penalty) {
                return wrong(name, "a penalty from 0 to 1e12", &penalty);
            }
        }
        if !(self.positive_weight > 0.0 && self.positive_weight.is_finite()) {
            return wrong(
                "positive_weight",
                "a finite number above 0",
                &self.positive_weight,
            );
        }
        if !(1..=100_000).contains(&self.max_levels) {
            return wrong("max_levels", "1 to 100000 levels", &self.max_levels);
        }
        if self.knots > 30 {
            return wrong("knots", "0 to 30 knots", &self.knots);
        }
        if !(1..=10_000).contains(&self.max_iterations) {
            return wrong("max_iterations", "1 to 10000 steps", &self.max_iterations);
        }
        if !(self.tolerance >= 1e-14 && self.tolerance <= 1e-2) {
            return wrong("tolerance", "a number from 1e-14 to 0.01", &self.tolerance);
        }
        Ok(())
    }
}

/// Standard errors in the columns' own units, the intercept last.
fn standard_errors(
    design: &Design,
    problem: &Problem<'_>,
    solution: &Solution,
    groups: Option<&[u32]>,
) -> Result<Vec<f64>> {
    let p = design.terms + 1;
    let Some(factor) = Cholesky::new(&solution.hessian, p) else {
        return Err(Error::not_converged(
            "logistic.standard_errors",
            "second derivatives that are positive definite",
            "a singular matrix",
        ));
    };
    let inverse = factor.inverse();
    let covariance = match groups {
        None => inverse,
        Some(groups) => {
            let middle = problem.scores_by_group(&solution.beta, Some(groups));
            let mut sorted = groups.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            let (g, n) = (sorted.len() as f64, groups.len() as f64);
            if g < 2.0 || n <= p as f64 {
                return Err(Error::not_enough_data(
                    "logistic.groups",
                    format_args!("at least 2 groups and more than {p} rows"),
                    format_args!("{g} groups and {n} rows"),
                ));
            }
            let correction = g / (g - 1.0) * (n - 1.0) / (n - p as f64);
            let half = product(&inverse, &middle, p);
            let mut sandwich = product(&half, &inverse, p);
            sandwich.iter_mut().for_each(|v| *v *= correction);
            sandwich
        }
    };
    // The intercept in own units is β₀ − Σ βⱼ centerⱼ / scaleⱼ.
    let mut intercept = vec![0.0; p];
    intercept[p - 1] = 1.0;
    let mut scales = vec![1.0; p];
    for input in &design.inputs {
        if let Kind::Numeric(n) = &input.kind
            && n.has_value_term()
            && n.grid.is_empty()
        {
            intercept[n.first as usize] = -n.center / n.scale;
            scales[n.first as usize] = n.scale;
        }
    }
    let mut errors: Vec<f64> = (0..p)
        .map(|j| covariance[j * p + j].max(0.0).sqrt() / scales[j])
        .collect();
    let mut variance = 0.0;
    for i in 0..p {
        for j in 0..p {
            variance += intercept[i] * intercept[j] * covariance[i * p + j];
        }
    }
    errors[p - 1] = variance.max(0.0).sqrt();
    Ok(errors)
}

fn product(a: &[f64], b: &[f64], p: usize) -> Vec<f64> {
    let mut c = vec![0.0; p * p];
    for i in 0..p {
        for k in 0..p {
            let factor = a[i * p + k];
            for j in 0..p {
                c[i * p + j] += factor * b[k * p + j];
            }
        }
    }
    c
}

impl LogisticModel {
    /// Log-odds of the rows of a frame, whose columns are found by name.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of the other kind.
    pub fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let bound = self.design.bind(frame)?;
        let margin = |row: usize| {
            let mut margin = self.intercept;
            bound.row(row, |_, term, value| {
                margin += self.coefficients[term] * value
            });
            margin
        };
        Ok((0..bound.rows()).map(margin).collect())
    }

    /// Churn probabilities of the rows of a frame.
    ///
    /// # Errors
    /// As [`margins`](Self::margins).
    pub fn predict(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let mut answers = self.margins(frame)?;
        answers
            .iter_mut()
            .for_each(|margin| *margin = logistic(*margin));
        Ok(answers)
    }

    /// What each column adds to the log-odds of each row, against a row of mean terms.
    ///
    /// # Errors
    /// As [`margins`](Self::margins).
    pub fn contributions(&self, frame: &Frame<'_>) -> Result<Contributions> {
        let bound = self.design.bind(frame)?;
        let rows = bound.rows();
        let offsets = self.offsets();
        let mut out = vec![0.0; rows * offsets.len()];
        for (column, offset) in out.chunks_exact_mut(rows.max(1)).zip(&offsets) {
            column.fill(-offset);
        }
        for row in 0..rows {
            bound.row(row, |input, term, value| {
                out[input * rows + row] += self.coefficients[term] * value;
            });
        }
        let names = self.names().map(str::to_owned).collect();
        Contributions::new(self.base(), names, rows, out)
    }

    /// Contribution of a row of mean terms to the margin, per column.
    fn offsets(&self) -> Vec<f64> {
        let mut offsets = vec![0.0; self.design.inputs.len()];
        for (term, input) in self.design.input_of_terms().into_iter().enumerate() {
            offsets[input] += self.coefficients[term] * self.means[term];
        }
        offsets
    }

    /// The log-odds of a row of mean terms.
    pub fn base(&self) -> f64 {
        self.intercept + self.offsets().iter().sum::<f64>()
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.design.inputs.iter().map(|input| input.name.as_str())
    }

    /// Number of Newton steps taken.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Largest derivative of the objective at the solution, per unit of weight: the certificate.
    pub fn gradient(&self) -> f64 {
        self.gradient
    }

    /// Term names and coefficients in the columns' own units, the intercept last.
    pub fn coefficients(&self) -> Vec<(String, f64)> {
        let mut intercept = self.intercept;
        let mut own = self.coefficients.clone();
        for input in &self.design.inputs {
            if let Kind::Numeric(n) = &input.kind
                && n.has_value_term()
                && n.grid.is_empty()
            {
                let j = n.first as usize;
                own[j] /= n.scale;
                intercept -= own[j] * n.center;
            }
        }
        let mut names = self.design.term_names();
        names.push("intercept".to_owned());
        own.push(intercept);
        names.into_iter().zip(own).collect()
    }

    /// The effect of each term on the odds, with intervals that cover with probability `level`,
    /// the intercept last.
    ///
    /// Intervals are Wald's, coefficient ± z · standard error; with a ridge they describe the
    /// shrunken coefficient. They say what goes along with churn, not what causes it.
    ///
    /// # Errors
    /// `InvalidParameter` for a level outside (0, 1), or a model with a lasso, which has no
    /// standard errors.
    pub fn effects(&self, level: f64) -> Result<Vec<Effect>> {
        if !(level > 0.0 && level < 1.0) {
            let expected = "a probability between 0 and 1";
            return Err(Error::invalid_parameter("level", expected, level));
        }
        let Some(errors) = &self.standard_errors else {
            let expected = "a model without a lasso (l1 = 0)";
            return Err(Error::invalid_parameter(
                "logistic.l1",
                expected,
                "one with l1 above 0",
            ));
        };
        let z = normal_quantile(f64::midpoint(1.0, level));
        let inputs = self.design.input_of_terms();
        let spreads = self.spreads();
        let named = self.coefficients().into_iter().zip(errors).enumerate();
        let effects = named.map(|(j, ((term, coefficient), error))| Effect {
            feature: match inputs.get(j) {
                Some(input) => self.design.inputs[*input].name.clone(),
                None => term.clone(),
            },
            term,
            coefficient,
            standard_error: *error,
            spread: spreads.get(j).copied().unwrap_or(1.0),
            odds_ratio: odds(coefficient),
            low: odds(coefficient - z * error),
            high: odds(coefficient + z * error),
            p_value: if *error > 0.0 {
                2.0 * normal_cdf(-(coefficient / error).abs())
            } else {
                1.0
            },
        });
        Ok(effects.collect())
    }

    /// Standard deviation of the column behind each term; 1 for terms of 0 and 1.
    fn spreads(&self) -> Vec<f64> {
        let mut spreads = vec![1.0; self.design.terms];
        for input in &self.design.inputs {
            if let Kind::Numeric(n) = &input.kind
                && n.has_value_term()
                && n.grid.is_empty()
            {
                spreads[n.first as usize] = n.scale;
            }
        }
        spreads
    }

    /// Log-odds of one row whose cells stand in the order of [`names`](Self::names): numbers, NaN
    /// = missing, and places of levels among the ascending levels of training.
    pub(crate) fn row_margin(&self, row: &[f64]) -> f64 {
        let mut margin = self.intercept;
        self.design.row(row, |term, value| {
            margin += self.coefficients[term] * value;
        });
        margin
    }

    /// Checks what a stored model must fulfil before it is used.
    pub(crate) fn check(&self) -> Result<()> {
        self.design.check()?;
        let terms = self.design.terms;
        let finite = |numbers: &[f64]| numbers.iter().all(|v| v.is_finite());
        let fits = self.coefficients.len() == terms
            && self.means.len() == terms
            && self
                .standard_errors
                .as_ref()
                .is_none_or(|e| e.len() == terms + 1 && finite(e))
            && finite(&self.coefficients)
            && finite(&self.means)
            && self.intercept.is_finite();
        if fits {
            return Ok(());
        }
        Err(Error::invalid_parameter(
            "model.logistic",
            "one finite coefficient and mean per term",
            "something else",
        ))
    }
}

/// e^x, kept finite.
fn odds(x: f64) -> f64 {
    x.clamp(-700.0, 700.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::math::random::Random;
    use crate::scoring::learned::Column;

    fn sample(n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let mut random = Random::new(5, 0);
        let (mut a, mut b, mut y) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            a.push(3.0 + 2.0 * random.normal());
            b.push(random.normal());
            let eta = 0.8 * (a[a.len() - 1] - 3.0) - 0.5 * b[b.len() - 1] - 0.4;
            y.push(f64::from(u8::from(random.chance(logistic(eta)))));
        }
        (a, b, y)
    }

    fn frame<'a>(columns: &[(&str, &'a [f64])]) -> Frame<'a> {
        let numeric = |cells: &&'a [f64]| Column::Numeric((*cells).into());
        let columns = columns.iter().map(|(n, c)| ((*n).to_owned(), numeric(c)));
        Frame::new(columns.collect()).unwrap()
    }

    fn fit(settings: &Logistic, frame: &Frame<'_>, y: &[f64]) -> Result<LogisticModel> {
        settings.fit(frame, y, None, &Progress::none())
    }

    #[test]
    fn the_gradient_vanishes_and_contributions_add_up() {
        let (a, b, y) = sample(500);
        let frame = frame(&[("a", &a), ("b", &b)]);
        for knots in [0, 4] {
            for (l1, l2) in [(0.0, 1.0), (2.0, 0.5), (0.0, 1e-3)] {
                let settings = Logistic {
                    l1,
                    l2,
                    knots,
                    ..Logistic::default()
                };
                let model = fit(&settings, &frame, &y).unwrap();
                assert!(model.gradient() <= 1e-10, "{}", model.gradient());
                let margins = model.margins(&frame).unwrap();
                let parts = model.contributions(&frame).unwrap();
                for i in 0..500 {
                    let sum = parts.margin(i);
                    assert!((sum - margins[i]).abs() < 1e-12);
                    assert!((model.row_margin(&[a[i], b[i]]) - margins[i]).abs() < 1e-12);
                }
                let mean: f64 = parts.column(0).iter().sum();
                assert!(mean.abs() < 1e-9, "{mean}");
            }
        }
    }

    #[test]
    fn a_strong_lasso_leaves_the_intercept_alone() {
        let (a, b, y) = sample(300);
        let frame = frame(&[("a", &a), ("b", &b)]);
        let model = fit(
            &Logistic {
                l1: 1e4,
                ..Logistic::default()
            },
            &frame,
            &y,
        )
        .unwrap();
        let coefficients = model.coefficients();
        assert_eq!((coefficients[0].1, coefficients[1].1), (0.0, 0.0));
        let share = y.iter().sum::<f64>() / 300.0;
        assert!((logistic(coefficients[2].1) - share).abs() < 1e-9);
        assert!(model.effects(0.95).is_err());
    }

    #[test]
    fn separated_labels_and_copies_are_named() {
        let a: Vec<f64> = (0..40).map(f64::from).collect();
        let y: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i >= 20))).collect();
        let bare = Logistic {
            l2: 0.0,
            ..Logistic::default()
        };
        let error = fit(&bare, &frame(&[("tenure", &a)]), &y).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConverged);
        assert!(error.got().contains("tenure"), "{error}");
        assert!(fit(&Logistic::default(), &frame(&[("tenure", &a)]), &y).is_ok());
        let (a, b, y) = sample(100);
        let copy: Vec<f64> = a.iter().map(|x| 2.0 * x + 1.0).collect();
        let error = fit(&bare, &frame(&[("a", &a), ("copy", &copy), ("b", &b)]), &y).unwrap_err();
        assert!(error.got().contains("copy"), "{error}");
        assert!(
            fit(
                &Logistic::default(),
                &frame(&[("a", &a), ("copy", &copy)]),
                &y
            )
            .is_ok()
        );
    }

    #[test]
    fn bad_columns_have_a_documented_answer() {
        let (a, _, y) = sample(60);
        let nan = vec![f64::NAN; 60];
        let constant = vec![7.0; 60];
        let some: Vec<f64> = a
            .iter()
            .map(|v| if *v > 3.0 { f64::NAN } else { *v })
            .collect();
        let levels: Vec<String> = ["x", "y", "z"].map(String::from).to_vec();
        let columns = vec![
            ("nan".to_owned(), Column::Numeric(nan.into())),
            ("constant".to_owned(), Column::Numeric(constant.into())),
            ("some".to_owned(), Column::Numeric(some.into())),
            (
                "level".to_owned(),
                Column::Categorical {
                    codes: (0..60).map(|i| i % 2).collect::<Vec<u32>>().into(),
                    levels: levels.clone().into(),
                },
            ),
        ];
        let frame = Frame::new(columns).unwrap();
        for knots in [0, 3] {
            let model = fit(
                &Logistic {
                    knots,
                    ..Logistic::default()
                },
                &frame,
                &y,
            )
            .unwrap();
            let names: Vec<String> = model.coefficients().into_iter().map(|c| c.0).collect();
            assert!(names.contains(&"some missing".to_owned()), "{names:?}");
            assert!(
                !names
                    .iter()
                    .any(|n| n.starts_with("constant") || n.starts_with("nan"))
            );
            assert!(model.predict(&frame).unwrap().iter().all(|p| p.is_finite()));
            // An unseen level adds nothing, in any order of levels.
            let one = |code: u32, levels: Vec<String>| {
                let cells = ["nan", "constant", "some"]
                    .map(|n| (n.to_owned(), Column::Numeric(vec![1.0].into())));
                let mut columns = cells.to_vec();
                columns.push((
                    "level".into(),
                    Column::Categorical {
                        codes: vec![code].into(),
                        levels: levels.into(),
                    },
                ));
                model.margins(&Frame::new(columns).unwrap()).unwrap()[0]
            };
            let turned: Vec<String> = ["new", "y", "x"].map(String::from).to_vec();
            assert_eq!(one(0, levels.clone()), one(2, turned.clone()));
            assert_eq!(one(2, levels.clone()), one(0, turned));
        }
        let missing = Frame::new(vec![("a".to_owned(), Column::Numeric(a.into()))]).unwrap();
        let model = fit(&Logistic::default(), &frame, &y).unwrap();
        let error = model.margins(&missing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert!(error.got().contains("nan"), "{error}");
    }

    #[test]
    fn labels_are_checked() {
        let (a, _, mut y) = sample(30);
        let frame = frame(&[("a", &a)]);
        assert!(
            fit(&Logistic::default(), &frame, &[1.0; 30])
                .unwrap_err()
                .got()
                .contains("label 0")
        );
        y[4] = 0.5;
        assert_eq!(
            fit(&Logistic::default(), &frame, &y).unwrap_err().row(),
            Some(4)
        );
        let more: Vec<Vec<f64>> = (0..40)
            .map(|j| a.iter().map(|v| (v * f64::from(j)).sin()).collect())
            .collect();
        let columns = more
            .into_iter()
            .enumerate()
            .map(|(j, c)| (format!("c{j}"), Column::Numeric(c.into())));
        let wide = Frame::new(columns.collect()).unwrap();
        let y: Vec<f64> = (0..30).map(|i| f64::from(i % 2)).collect();
        assert!(fit(&Logistic::default(), &wide, &y).unwrap().gradient() <= 1e-10);
    }

    #[test]
    fn threads_do_not_matter() {
        let (a, b, y) = sample(3_000);
        let frame = frame(&[("a", &a), ("b", &b)]);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| fit(&Logistic::default(), &frame, &y).unwrap())
        };
        assert_eq!(run(1), run(3));
    }
}
