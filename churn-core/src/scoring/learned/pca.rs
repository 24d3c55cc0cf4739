//! Principal components: fewer columns that keep most of the spread of many.
//!
//! For features that say the same several times, before a method that suffers from it. Not for
//! explanations: a component has no name that a customer would understand. Components are the
//! eigenvectors of the covariance (of the correlation where columns are standardised). Pearson
//! (1901), Philosophical Magazine 2(11).

use serde::{Deserialize, Serialize};

use super::{Column, Frame};
use crate::error::{Error, Result};
use crate::math::eigen;

/// Settings of principal components.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{Column, Frame, Pca};
/// let orders: Vec<f64> = (0..50).map(f64::from).collect();
/// let value: Vec<f64> = orders.iter().map(|n| 20.0 * n + (n * 7.0) % 5.0).collect();
/// let frame = Frame::new(vec![
///     ("orders".into(), Column::Numeric(orders.into())),
///     ("value".into(), Column::Numeric(value.into())),
/// ])?;
/// let model = Pca { components: 1, ..Pca::default() }.fit(&frame)?;
/// assert!(model.explained()[0] > 0.99);
/// assert_eq!(model.transform(&frame)?.names(), ["component_1"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pca {
    /// How many components are kept, at most the number of columns. Default 2.
    pub components: usize,
    /// Whether columns are brought to standard deviation 1 first. Default true.
    pub standardise: bool,
}

impl Default for Pca {
    fn default() -> Self {
        Pca {
            components: 2,
            standardise: true,
        }
    }
}

/// Fitted principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct PcaModel {
    names: Vec<String>,
    means: Vec<f64>,
    scales: Vec<f64>,
    /// One vector after another.
    loadings: Vec<f64>,
    variances: Vec<f64>,
    total: f64,
}

impl Pca {
    /// Finds the components of the numeric columns of a frame; a missing cell counts as the mean,
    /// a constant column has no part.
    ///
    /// # Errors
    /// `InvalidParameter` for a categorical column or a number of components outside 1 to the
    /// number of columns, or more than 1,000 columns; `NotEnoughData` for fewer than two rows or
    /// a column without values.
    pub fn fit(&self, frame: &Frame<'_>) -> Result<PcaModel> {
        let (n, p) = (frame.rows(), frame.names().len());
        if self.components == 0 || self.components > p || p > 1_000 {
            return Err(Error::invalid_parameter(
                "pca.components",
                format_args!("1 to {p} components of at most 1000 columns"),
                self.components,
            ));
        }
        if n < 2 {
            return Err(Error::not_enough_data("frame", "at least two rows", n));
        }
        let (mut means, mut scales, mut centered) = (Vec::new(), Vec::new(), Vec::new());
        for (name, column) in frame.names().iter().zip(frame.columns()) {
            let values = numbers(name, column)?;
            let present = || values.iter().filter(|v| !v.is_nan());
            let count = present().count();
            if count == 0 {
                return Err(Error::not_enough_data(
                    name.as_str(),
                    "at least one value",
                    0,
                ));
            }
            let mean = present().sum::<f64>() / count as f64;
            let variance = present().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
            let scale = if self.standardise {
                variance.sqrt()
            } else {
                1.0
            };
            means.push(mean);
            scales.push(scale);
            centered.push(scaled(values, mean, scale));
        }
        let mut covariance = vec![0.0; p * p];
        for i in 0..p {
            for j in 0..=i {
                let products = centered[i].iter().zip(&centered[j]).map(|(a, b)| a * b);
                let entry = products.sum::<f64>() / (n - 1) as f64;
                covariance[i * p + j] = entry;
                covariance[j * p + i] = entry;
            }
        }
        let Some((values, mut vectors)) = eigen::symmetric(&covariance, p) else {
            return Err(Error::not_converged(
                "pca",
                "eigenvalues",
                "rotations that do not end",
            ));
        };
        for vector in vectors.chunks_exact_mut(p) {
            // Signs are free: the largest loading is positive.
            let largest = vector
                .iter()
                .fold(0.0_f64, |a, b| if b.abs() > a.abs() { *b } else { a });
            if largest < 0.0 {
                vector.iter_mut().for_each(|v| *v = -*v);
            }
        }
        vectors.truncate(self.components * p);
        let total = values.iter().map(|v| v.max(0.0)).sum();
        Ok(PcaModel {
            names: frame.names().to_vec(),
            means,
            scales,
            loadings: vectors,
            variances: values[..self.components]
                .iter()
                .map(|v| v.max(0.0))
                .collect(),
            total,
        })
    }
}

impl PcaModel {
    /// The components of the rows of a frame, columns `component_1`, `component_2`, …
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for a categorical one.
    pub fn transform(&self, frame: &Frame<'_>) -> Result<Frame<'static>> {
        let columns = self.names.iter().enumerate().map(|(j, name)| {
            let values = numbers(name, frame.column(name)?)?;
            Ok(scaled(values, self.means[j], self.scales[j]))
        });
        let columns: Vec<Vec<f64>> = columns.collect::<Result<_>>()?;
        let component = |(k, loadings): (usize, &[f64])| {
            let mut scores = vec![0.0; frame.rows()];
            for (column, loading) in columns.iter().zip(loadings) {
                for (score, value) in scores.iter_mut().zip(column) {
                    *score += loading * value;
                }
            }
            (
                format!("component_{}", k + 1),
                Column::Numeric(scores.into()),
            )
        };
        let vectors = self.loadings.chunks_exact(self.names.len());
        Frame::new(vectors.enumerate().map(component).collect())
    }

    /// Share of the spread of all columns that each component holds; 0 where nothing varies.
    pub fn explained(&self) -> Vec<f64> {
        let share = |v: &f64| {
            if self.total > 0.0 {
                v / self.total
            } else {
                0.0
            }
        };
        self.variances.iter().map(share).collect()
    }

    /// Variance of each component (n − 1 in the denominator).
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Part of each column in a component; `None` beyond those kept.
    pub fn loadings(&self, component: usize) -> Option<&[f64]> {
        self.loadings.chunks_exact(self.names.len()).nth(component)
    }
}

fn numbers<'a>(name: &str, column: &'a Column<'_>) -> Result<&'a [f64]> {
    match column {
        Column::Numeric(values) => Ok(values),
        Column::Categorical { .. } => {
            Err(Error::invalid_parameter(name, "a numeric column", "levels"))
        }
    }
}

fn scaled(values: &[f64], mean: f64, scale: f64) -> Vec<f64> {
    let place = |v: &f64| {
        if v.is_nan() || scale <= 0.0 {
            0.0
        } else {
            (v - mean) / scale
        }
    };
    values.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    #[test]
    fn components_are_uncorrelated_and_hold_all_spread() {
        let mut random = Random::new(4, 0);
        let n = 200;
        let a: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let b: Vec<f64> = a.iter().map(|x| 2.0 * x + 0.3 * random.normal()).collect();
        let c: Vec<f64> = (0..n).map(|_| 10.0 + random.normal()).collect();
        let constant = vec![4.0; n];
        let names = ["a", "b", "c", "constant"];
        let columns = [a, b, c, constant].map(|c| Column::Numeric(c.into()));
        let frame = Frame::new(names.map(String::from).into_iter().zip(columns).collect()).unwrap();
        let model = Pca {
            components: 4,
            ..Pca::default()
        }
        .fit(&frame)
        .unwrap();
        assert!((model.explained().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(model.explained()[3] < 1e-12);
        let scores = model.transform(&frame).unwrap();
        let column = |k: usize| match &scores.columns()[k] {
            Column::Numeric(values) => values.to_vec(),
            Column::Categorical { .. } => panic!("numbers"),
        };
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        assert!(product(&column(0), &column(1)).abs() < 1e-9);
        let variance = product(&column(0), &column(0)) / (n - 1) as f64;
        assert!((variance - model.variances()[0]).abs() < 1e-12);
    }

    #[test]
    fn mistakes_are_named() {
        let level = Column::Categorical {
            codes: vec![0, 0].into(),
            levels: vec!["x".to_owned()].into(),
        };
        let frame = Frame::new(vec![("level".into(), level)]).unwrap();
        let pca = Pca {
            components: 1,
            ..Pca::default()
        };
        assert_eq!(pca.fit(&frame).unwrap_err().what(), "level");
        assert_eq!(
            Pca::default().fit(&frame).unwrap_err().what(),
            "pca.components"
        );
        let empty = Column::Numeric(vec![f64::NAN, f64::NAN].into());
        let frame = Frame::new(vec![("empty".into(), empty)]).unwrap();
        assert_eq!(pca.fit(&frame).unwrap_err().what(), "empty");
    }
}
