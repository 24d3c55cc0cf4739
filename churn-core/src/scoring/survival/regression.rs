//! What the regression models share: covariates as a checked matrix, and coefficients in words.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::durations::Durations;
use super::{normal_bound, two_sided};
use crate::error::{Error, ErrorKind, Result};
use crate::scoring::learned::{Column, Frame};

/// Rows of one partial sum: fixed, so that no sum depends on the number of threads.
pub(super) const CHUNK: usize = 4096;

/// One estimated coefficient. All numbers are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficient {
    /// Name of the covariate.
    pub name: String,
    /// The estimate, per unit of the covariate.
    pub coefficient: f64,
    /// Its standard error, from the observed information.
    pub standard_error: f64,
    /// Estimate over standard error.
    pub z: f64,
    /// Probability of a |z| at least as large if the truth is 0.
    pub p_value: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

impl Coefficient {
    pub(super) fn new(name: &str, estimate: f64, variance: f64, confidence: f64) -> Self {
        let standard_error = variance.sqrt();
        let z = estimate / standard_error;
        let width = normal_bound(confidence) * standard_error;
        Coefficient {
            name: name.to_owned(),
            coefficient: estimate,
            standard_error,
            z,
            p_value: two_sided(z),
            lower: estimate - width,
            upper: estimate + width,
        }
    }
}

/// The columns of a frame, each finite and numeric. `place` names the model in errors.
pub(super) fn numeric_columns<'f>(
    place: &str,
    names: &[String],
    frame: &'f Frame<'_>,
) -> Result<Vec<&'f [f64]>> {
    let column = |name: &String| match frame.column(name)? {
        Column::Numeric(values) => match values.iter().position(|x| x.is_nan()) {
            None => Ok(&**values),
            Some(row) => Err(Error::invalid_value(
                format!("{place}.{name}"),
                row,
                "a finite number",
                "a missing cell",
            )),
        },
        Column::Categorical { .. } => Err(Error::invalid_parameter(
            format!("{place}.{name}"),
            "a column of numbers (one column of 0 and 1 per level but one)",
            "levels",
        )),
    };
    names.iter().map(column).collect()
}

/// Rows by stratum, duration, event, entry and covariates: the same order for any order of the
/// input, so that sums over the rows have the same bits.
pub(super) fn canonical_order(
    durations: &Durations<'_>,
    frame: Option<&Frame<'_>>,
    strata: Option<&[u32]>,
) -> Vec<usize> {
    let (stop, event) = (durations.durations(), durations.event_observed());
    let columns: Vec<&[f64]> = frame
        .map_or(&[][..], |frame| frame.columns())
        .iter()
        .filter_map(|column| match column {
            Column::Numeric(values) => Some(&**values),
            // Refused with its name when the design is made.
            Column::Categorical { .. } => None,
        })
        .collect();
    let by_covariates = |a: usize, b: usize| {
        let orders = columns.iter().map(|x| x[a].total_cmp(&x[b]));
        orders.fold(Ordering::Equal, Ordering::then)
    };
    let stratum = |row: usize| strata.map_or(0, |strata| strata[row]);
    let mut order: Vec<usize> = (0..durations.len()).collect();
    order.par_sort_unstable_by(|a, b| {
        let (a, b) = (*a, *b);
        (stratum(a).cmp(&stratum(b)))
            .then(stop[a].total_cmp(&stop[b]))
            .then(event[a].cmp(&event[b]))
            .then(durations.start(a).total_cmp(&durations.start(b)))
            .then_with(|| by_covariates(a, b))
    });
    order
}

/// Covariates in one fixed order of rows, each centred and divided by its standard deviation, so
/// that the size of a unit does not matter to the fit.
#[derive(Debug, Clone)]
pub(super) struct Design {
    pub(super) names: Vec<String>,
    pub(super) means: Vec<f64>,
    pub(super) scales: Vec<f64>,
    /// Row-major, rows × names.
    pub(super) matrix: Vec<f64>,
}

impl Design {
    /// `order` is the row of the frame in each place.
    pub(super) fn new(place: &str, frame: &Frame<'_>, order: &[usize]) -> Result<Self> {
        let names = frame.names().to_vec();
        let columns = numeric_columns(place, &names, frame)?;
        let n = order.len();
        let p = names.len();
        let mut design = Design {
            means: Vec::with_capacity(p),
            scales: Vec::with_capacity(p),
            matrix: vec![0.0; n * p],
            names,
        };
        for (j, values) in columns.iter().enumerate() {
            let first = values[order[0]];
            if values.iter().all(|x| *x == first) {
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    format!("{place}.{}", design.names[j]),
                    "values that differ",
                    format_args!("{first} in every row"),
                ));
            }
            let mean = order.iter().map(|row| values[*row] / n as f64).sum::<f64>();
            let squares = order.iter().map(|row| (values[*row] - mean).powi(2));
            let scale = (squares.sum::<f64>() / (n as f64 - 1.0)).sqrt();
            if !(mean.is_finite() && scale.is_finite() && scale > 0.0) {
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    format!("{place}.{}", design.names[j]),
                    "values whose spread can be told from their mean",
                    format_args!("a mean of {mean} and a standard deviation of {scale}"),
                ));
            }
            for (place, row) in order.iter().enumerate() {
                design.matrix[place * p + j] = (values[*row] - mean) / scale;
            }
            design.means.push(mean);
            design.scales.push(scale);
        }
        Ok(design)
    }

    pub(super) fn width(&self) -> usize {
        self.names.len()
    }

    /// Refuses covariates that are sums of others, once each block of rows has a level of its own
    /// (`blocks` holds the end of each block).
    pub(super) fn check_independent(&self, place: &str, blocks: &[usize]) -> Result<()> {
        let p = self.width();
        let mut gram = vec![0.0; p * p];
        let mut from = 0;
        let mut mean = vec![0.0; p];
        let mut row = vec![0.0; p];
        for to in blocks {
            let rows = &self.matrix[from * p..to * p];
            mean.fill(0.0);
            for z in rows.chunks_exact(p) {
                for (mean, z) in mean.iter_mut().zip(z) {
                    *mean += z / (to - from) as f64;
                }
            }
            for z in rows.chunks_exact(p) {
                for j in 0..p {
                    row[j] = z[j] - mean[j];
                    for k in 0..=j {
                        gram[j * p + k] += row[j] * row[k];
                    }
                }
            }
            from = *to;
        }
        // Cholesky without the root: the pivot of a column is what the earlier ones leave of it.
        let n = self.matrix.len() as f64 / p as f64;
        for j in 0..p {
            for k in 0..j {
                let mut entry = gram[j * p + k];
                for l in 0..k {
                    entry -= gram[j * p + l] * gram[k * p + l] * gram[l * p + l];
                }
                gram[j * p + k] = entry / gram[k * p + k];
            }
            let left: f64 = (0..j)
                .map(|k| gram[j * p + k] * gram[j * p + k] * gram[k * p + k])
                .sum();
            let pivot = gram[j * p + j] - left;
            if pivot.is_nan() || pivot <= 1e-9 * n {
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    format!("{place}.{}", self.names[j]),
                    "a covariate that those before it (and the strata) do not determine",
                    "a linear combination of them",
                ));
            }
            gram[j * p + j] = pivot;
        }
        Ok(())
    }
}

/// Σ coefficient · (x − mean) of each row of a frame, by the names of the columns.
pub(super) fn linear_predictor(
    place: &str,
    names: &[String],
    coefficients: &[f64],
    means: &[f64],
    frame: &Frame<'_>,
) -> Result<Vec<f64>> {
    let columns = numeric_columns(place, names, frame)?;
    let mut out = vec![0.0; frame.rows()];
    for (j, values) in columns.iter().enumerate() {
        for (out, x) in out.iter_mut().zip(*values) {
            *out += coefficients[j] * (x - means[j]);
        }
    }
    match out.iter().position(|eta| !eta.is_finite()) {
        None => Ok(out),
        Some(row) => Err(Error::invalid_value(
            place,
            row,
            "covariates whose weighted sum is finite",
            out[row],
        )),
    }
}

/// Penalty per row count as lifelines has it: n λ/2 Σ z², z in standard deviations.
pub(super) fn check_penalty(place: &str, penalty: f64) -> Result<()> {
    if penalty >= 0.0 && penalty.is_finite() {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        format!("{place}.l2_penalty"),
        "a finite number not below 0",
        penalty,
    ))
}
