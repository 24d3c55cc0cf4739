//! Why a model says what it says: additive contributions of features to margins.

use crate::error::{Error, Result};

/// How much each feature moved each margin: margin = base + Σ contributions.
///
/// Shape: n rows × m features. Units: those of the margin (log-odds for a logistic link).
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    base: f64,
    names: Vec<String>,
    rows: usize,
    /// Column-major: feature *j* of row *i* at `j * rows + i`.
    values: Vec<f64>,
}

impl Contributions {
    /// Contributions of features of these names, column after column.
    ///
    /// # Errors
    /// `LengthMismatch` unless there is one value per row and name.
    pub(crate) fn new(
        base: f64,
        names: Vec<String>,
        rows: usize,
        values: Vec<f64>,
    ) -> Result<Self> {
        if values.len() != rows * names.len() {
            let expected = rows * names.len();
            return Err(Error::length_mismatch(
                "contributions",
                expected,
                values.len(),
            ));
        }
        Ok(Contributions {
            base,
            names,
            rows,
            values,
        })
    }

    /// The margin that every row begins with: what the model says on average.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// Names of the features.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Contributions of one feature to all rows.
    ///
    /// # Panics
    /// If `j` is not below the number of features.
    pub fn column(&self, j: usize) -> &[f64] {
        &self.values[j * self.rows..(j + 1) * self.rows]
    }

    /// All contributions, column after column.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Margin of a row: the base and all that moved it.
    ///
    /// # Panics
    /// If `row` is not below the number of rows.
    pub fn margin(&self, row: usize) -> f64 {
        let moves = (0..self.names.len()).map(|j| self.column(j)[row]);
        self.base + moves.sum::<f64>()
    }

    /// Mean absolute contribution of each feature over the rows: what moves margins, whichever way.
    /// Zero without rows.
    pub fn mean_absolute(&self) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        let columns = (0..self.names.len()).map(|j| self.column(j));
        columns
            .map(|column| column.iter().map(|v| v.abs()).sum::<f64>() / rows)
            .collect()
    }
}
