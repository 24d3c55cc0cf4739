//! Whether customers to be scored are still of the kind that the model was fitted on.
//!
//! A model keeps, for each column, a few quantiles or the shares of its levels, and those of its
//! own probabilities; no row. Later samples are compared with them. Columns may drift without harm
//! and stand still while their meaning changes: once outcomes arrive, [`CalibrationDrift`] answers
//! the question itself.

use serde::{Deserialize, Serialize};

use super::{ChurnModel, SchemaColumn};
use crate::error::{Error, Result};
use crate::math::distributions::chi_square_tail;
use crate::metrics::{self, psi_of_shares, shares};
use crate::scoring::learned::calibration::non_negative_fit;
use crate::scoring::learned::logistic::softplus;
use crate::scoring::learned::{Column, Frame};

/// Quantiles kept of a column: every twentieth.
const STEPS: usize = 20;

/// What a model remembers of its training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    columns: Vec<Shape>,
    /// Of the model's own out-of-fold probabilities.
    probabilities: Shape,
}

/// The distribution of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Shape {
    Numeric {
        /// Ascending, strictly.
        borders: Vec<f64>,
        /// Shares of values up to each border, of those above all, and of missing ones.
        shares: Vec<f64>,
    },
    Categorical {
        /// Shares of the levels of the schema and of missing cells.
        shares: Vec<f64>,
    },
}

impl Shape {
    fn of_numbers(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values
            .iter()
            .map(|v| v + 0.0)
            .filter(|v| !v.is_nan())
            .collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut borders: Vec<f64> = Vec::new();
        if let Some(last) = sorted.len().checked_sub(1) {
            borders = (1..STEPS).map(|k| sorted[k * last / STEPS]).collect();
            borders.dedup();
        }
        Shape::Numeric {
            shares: shares(values, &borders),
            borders,
        }
    }

    /// Shares of known levels, of other ones, and of missing cells.
    fn shares_of_levels(codes: &[u32], levels: &[String], known: &[String]) -> Vec<f64> {
        let places: Vec<usize> = levels
            .iter()
            .map(|level| known.binary_search(level).unwrap_or(known.len()))
            .collect();
        let mut counts = vec![0_u64; known.len() + 2];
        for code in codes {
            counts[places
                .get(*code as usize)
                .copied()
                .unwrap_or(known.len() + 1)] += 1;
        }
        let all = codes.len().max(1) as f64;
        counts.into_iter().map(|count| count as f64 / all).collect()
    }

    fn check(&self, levels: Option<usize>) -> bool {
        let are_shares = |shares: &[f64]| shares.iter().all(|s| (0.0..=1.0).contains(s));
        match (self, levels) {
            (Shape::Numeric { borders, shares }, None) => {
                borders.iter().all(|b| b.is_finite())
                    && borders.is_sorted_by(|a, b| a < b)
                    && shares.len() == borders.len() + 2
                    && are_shares(shares)
            }
            (Shape::Categorical { shares }, Some(levels)) => {
                shares.len() == levels + 2 && are_shares(shares)
            }
            _ => false,
        }
    }

    fn numbers(&self, name: &str, values: &[f64]) -> Result<ColumnDrift> {
        let Shape::Numeric {
            borders,
            shares: before,
        } = self
        else {
            return Err(Error::invalid_parameter(
                name,
                "a categorical column as in training",
                "numbers",
            ));
        };
        let now = shares(values, borders);
        let missing = (before[borders.len() + 1], now[borders.len() + 1]);
        // Distance of the distribution functions of values that are present, at the borders.
        let (mut sums, mut distance) = ((0.0, 0.0), 0.0_f64);
        if missing.0 < 1.0 && missing.1 < 1.0 {
            for k in 0..borders.len() {
                sums.0 += before[k] / (1.0 - missing.0);
                sums.1 += now[k] / (1.0 - missing.1);
                distance = distance.max((sums.0 - sums.1).abs());
            }
        }
        Ok(ColumnDrift {
            column: name.to_owned(),
            psi: psi_of_shares(before, &now)?,
            kolmogorov_smirnov: Some(distance.min(1.0)),
            missing_before: missing.0,
            missing_now: missing.1,
            new_levels: 0.0,
        })
    }
}

/// How far one column has moved since training.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDrift {
    /// Its name.
    pub column: String,
    /// Population stability index over twentieths (or levels); below 0.1 is stable, from 0.25 on
    /// it has moved.
    pub psi: f64,
    /// Distance of the distribution functions at twentieths of training; `None` for levels.
    pub kolmogorov_smirnov: Option<f64>,
    /// Share of missing cells in training.
    pub missing_before: f64,
    /// Share of missing cells now.
    pub missing_now: f64,
    /// Share of cells with a level that training has not seen.
    pub new_levels: f64,
}

/// Drift of all columns, in the order of training, and of the model's probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The columns.
    pub columns: Vec<ColumnDrift>,
    /// The probabilities, against those out of fold.
    pub probabilities: ColumnDrift,
}

impl Drift {
    /// The columns that have moved (index of at least `psi`), furthest first.
    pub fn moved(&self, psi: f64) -> Vec<&ColumnDrift> {
        let mut moved: Vec<&ColumnDrift> = self.columns.iter().filter(|c| c.psi >= psi).collect();
        moved.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        moved
    }
}

/// Whether probabilities still mean what they say, from outcomes that have arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationDrift {
    /// Mean stated probability.
    pub predicted: f64,
    /// Share of churners.
    pub observed: f64,
    /// Calibration error over ten bins of equally many rows.
    pub calibration_error: f64,
    /// Slope of the observed on the stated log-odds; 1 = right, below 1 = too sure.
    pub slope: f64,
    /// What is to be added to the log-odds after that slope; 0 = right.
    pub intercept: f64,
    /// Probability of a deviation this large if the stated probabilities were true (likelihood
    /// ratio of slope and intercept, two degrees of freedom; Cox 1958, Biometrika 45).
    pub p_value: f64,
}

impl Profile {
    pub(super) fn learn(frame: &Frame<'_>, schema: &[SchemaColumn], probabilities: &[f64]) -> Self {
        let columns = frame.columns().iter().zip(schema);
        Profile {
            columns: columns
                .map(|(column, known)| match (column, &known.levels) {
                    (Column::Categorical { codes, levels }, Some(known)) => Shape::Categorical {
                        shares: Shape::shares_of_levels(codes, levels, known),
                    },
                    (Column::Numeric(values), _) => Shape::of_numbers(values),
                    (Column::Categorical { .. }, None) => Shape::Categorical { shares: Vec::new() },
                })
                .collect(),
            probabilities: Shape::of_numbers(probabilities),
        }
    }

    /// Checks what a stored profile must fulfil before it is used.
    pub(super) fn check(&self, schema: &[SchemaColumn]) -> Result<()> {
        let fits = self.columns.len() == schema.len()
            && self.probabilities.check(None)
            && self
                .columns
                .iter()
                .zip(schema)
                .all(|(shape, known)| shape.check(known.levels.as_ref().map(Vec::len)));
        if fits {
            return Ok(());
        }
        let expected = "shares of every column";
        Err(Error::invalid_parameter(
            "model.profile",
            expected,
            "something else",
        ))
    }
}

impl ChurnModel {
    /// How far the columns of a frame, and the probabilities that the model gives for them, have
    /// moved since training.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); `NotEnoughData` for a frame without rows.
    pub fn drift(&self, frame: &Frame<'_>) -> Result<Drift> {
        if frame.rows() == 0 {
            return Err(Error::not_enough_data("frame", "at least one row", 0));
        }
        self.check_frame(frame)?;
        let mut columns = Vec::with_capacity(self.schema.len());
        for (known, shape) in self.schema.iter().zip(&self.profile.columns) {
            let drift = match (frame.column(&known.name)?, shape, &known.levels) {
                (
                    Column::Categorical { codes, levels },
                    Shape::Categorical { shares },
                    Some(known_levels),
                ) => {
                    let now = Shape::shares_of_levels(codes, levels, known_levels);
                    let n = known_levels.len();
                    ColumnDrift {
                        column: known.name.clone(),
                        psi: psi_of_shares(shares, &now)?,
                        kolmogorov_smirnov: None,
                        missing_before: shares[n + 1],
                        missing_now: now[n + 1],
                        new_levels: now[n],
                    }
                }
                (Column::Numeric(values), shape, _) => shape.numbers(&known.name, values)?,
                (Column::Categorical { .. }, _, _) => {
                    let expected = "a numeric column as in training";
                    return Err(Error::invalid_parameter(
                        known.name.as_str(),
                        expected,
                        "levels",
                    ));
                }
            };
            columns.push(drift);
        }
        let probabilities = self.predict(frame)?;
        Ok(Drift {
            columns,
            probabilities: self
                .profile
                .probabilities
                .numbers("churn_probability", &probabilities)?,
        })
    }
}

impl CalibrationDrift {
    /// Compares stated probabilities with outcomes.
    ///
    /// # Errors
    /// Those of [`metrics::log_loss`]; `NotEnoughData` where a label does not occur;
    /// `NotConverged`.
    pub fn new(labels: &[f64], probabilities: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let calibration_error = metrics::expected_calibration_error(
            labels,
            probabilities,
            weights,
            metrics::Binning::Quantile(10),
        )?;
        metrics::roc_auc(labels, probabilities, weights)?;
        let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
        let margins: Vec<f64> = probabilities
            .iter()
            .map(|p| {
                let p = p.clamp(1e-9, 1.0 - 1e-9);
                (p / (1.0 - p)).ln()
            })
            .collect();
        let [slope, intercept] = non_negative_fit(
            labels.len(),
            &|row| [margins[row], 1.0],
            &|row| labels[row],
            &weight,
        )?;
        let total: f64 = (0..labels.len()).map(weight).sum();
        let mean = |cells: &[f64]| -> f64 {
            let sum: f64 = cells
                .iter()
                .enumerate()
                .map(|(row, c)| weight(row) * c)
                .sum();
            sum / total
        };
        let loss = |slope: f64, intercept: f64| -> f64 {
            let rows = margins.iter().enumerate();
            rows.map(|(row, m)| {
                let eta = slope * m + intercept;
                weight(row) * (softplus(eta) - labels[row] * eta)
            })
            .sum()
        };
        let ratio = 2.0 * (loss(1.0, 0.0) - loss(slope, intercept));
        Ok(CalibrationDrift {
            predicted: mean(probabilities),
            observed: mean(labels),
            calibration_error,
            slope,
            intercept,
            p_value: chi_square_tail(ratio.max(0.0), 2.0),
        })
    }
}
