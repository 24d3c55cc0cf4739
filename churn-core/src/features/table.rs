//! The feature table: one row per customer, one named column per feature.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayView2, ShapeBuilder};
use serde::{Deserialize, Serialize};

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::AsOf;

/// What a feature means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureInfo {
    /// Name of the column, e.g. `"days_since_last"`.
    pub name: String,
    /// Unit of its values: `"days"`, `"currency"`, `"count"`, `"probability"`, `"score"`, …
    pub unit: String,
    /// What it measures, in one sentence.
    pub definition: String,
    /// Where it has no value and what stands there instead; empty if it always has one.
    pub undefined: String,
    /// Smallest possible value; `None` where there is no bound.
    pub min: Option<f64>,
    /// Largest possible value; `None` where there is no bound.
    pub max: Option<f64>,
}

impl FeatureInfo {
    /// A feature without bounds that always has a value.
    pub fn new(
        name: impl Into<String>,
        unit: impl Into<String>,
        definition: impl Into<String>,
    ) -> Self {
        FeatureInfo {
            name: name.into(),
            unit: unit.into(),
            definition: definition.into(),
            undefined: String::new(),
            min: None,
            max: None,
        }
    }

    /// States where the feature has no value.
    pub fn undefined(mut self, undefined: impl Into<String>) -> Self {
        self.undefined = undefined.into();
        self
    }

    /// States the smallest possible value.
    pub fn at_least(mut self, min: f64) -> Self {
        self.min = Some(min);
        self
    }

    /// States the largest possible value.
    pub fn at_most(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }
}

/// Features of all customers as of one instant, column-major, shape (customers, features).
///
/// NaN stands only where a feature's [`FeatureInfo::undefined`] says so.
///
/// A clone shares the values, and so does what leaves through `churn_core::arrow`; what would change
/// values that somebody else holds changes a copy of them.
///
/// # Example
/// ```
/// use churn_core::{AsOf, Customers};
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// let table = FeatureTable::from_columns(
///     Customers::from_ints([1, 2]),
///     AsOf::parse("2011-12-10")?,
///     vec![FeatureInfo::new("orders", "count", "orders before as_of")],
///     vec![3.0, 1.0],
/// )?;
/// assert_eq!(table.column("orders")?, [3.0, 1.0]);
/// assert_eq!(table.matrix()[[1, 0]], 1.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct FeatureTable {
    customers: Customers,
    as_of: AsOf,
    features: Vec<FeatureInfo>,
    index: HashMap<String, usize>,
    values: Arc<Vec<f64>>,
}

impl FeatureTable {
    /// A table from columns one after another: feature *j* of customer *i* is
    /// `values[j * customers.len() + i]`.
    ///
    /// # Errors
    /// `LengthMismatch` if `values` does not hold customers × features numbers; `InvalidParameter`
    /// for a name that occurs twice.
    pub fn from_columns(
        customers: Customers,
        as_of: AsOf,
        features: Vec<FeatureInfo>,
        values: Vec<f64>,
    ) -> Result<Self> {
        if values.len() != customers.len() * features.len() {
            return Err(Error::length_mismatch(
                "table.values",
                customers.len() * features.len(),
                values.len(),
            ));
        }
        let mut index = HashMap::with_capacity(features.len());
        for (j, feature) in features.iter().enumerate() {
            if index.insert(feature.name.clone(), j).is_some() {
                return Err(Error::invalid_parameter(
                    "table.features",
                    "names that differ",
                    format_args!("{:?} twice", feature.name),
                ));
            }
        }
        Ok(FeatureTable {
            customers,
            as_of,
            features,
            index,
            values: Arc::new(values),
        })
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant that the table describes.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// The features, one per column.
    pub fn features(&self) -> &[FeatureInfo] {
        &self.features
    }

    /// Names of the columns in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.features.iter().map(|feature| feature.name.as_str())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Whether there is a column of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// One column by name.
    ///
    /// # Errors
    /// `UnknownName` if there is no such column.
    pub fn column(&self, name: &str) -> Result<&[f64]> {
        match self.index.get(name) {
            Some(j) => Ok(self.column_at(*j)),
            None => Err(Error::unknown_name("feature", name, self.names())),
        }
    }

    /// One column by position.
    ///
    /// # Panics
    /// If `j` is not below the number of features.
    pub fn column_at(&self, j: usize) -> &[f64] {
        let n = self.customers.len();
        &self.values[j * n..(j + 1) * n]
    }

    /// All columns one after another.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same as shared memory.
    #[cfg(feature = "arrow")]
    pub(crate) fn shared_values(&self) -> Arc<Vec<f64>> {
        Arc::clone(&self.values)
    }

    /// All columns one after another, copied only where somebody else holds them too.
    pub(super) fn into_values(self) -> Vec<f64> {
        Arc::unwrap_or_clone(self.values)
    }

    /// The whole table as a Fortran-ordered matrix, without copying.
    ///
    /// # Panics
    /// Never: the shape was checked when the table was made.
    pub fn matrix(&self) -> ArrayView2<'_, f64> {
        let shape = (self.customers.len(), self.features.len()).f();
        ArrayView2::from_shape(shape, &self.values).expect("shape was checked at construction")
    }

    /// A table with these columns only, in this order.
    ///
    /// # Errors
    /// `UnknownName` for a name that the table does not have.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<FeatureTable> {
        let mut features = Vec::with_capacity(names.len());
        let mut values = Vec::with_capacity(names.len() * self.len());
        for name in names {
            values.extend_from_slice(self.column(name.as_ref())?);
            features.push(self.features[self.index[name.as_ref()]].clone());
        }
        FeatureTable::from_columns(self.customers.clone(), self.as_of, features, values)
    }

    /// The table with the columns of another one behind its own.
    ///
    /// # Errors
    /// `Misaligned` for a table of other customers or of another instant; `InvalidParameter` for a
    /// name that both have.
    pub fn joined(mut self, other: &FeatureTable) -> Result<FeatureTable> {
        if other.as_of != self.as_of {
            return Err(Error::misaligned("table.as_of", self.as_of, other.as_of));
        }
        self.customers
            .check_same(&other.customers, "table.customers")?;
        self.features.extend_from_slice(&other.features);
        let values = match Arc::try_unwrap(self.values) {
            Ok(mut values) => {
                values.extend_from_slice(&other.values);
                values
            }
            Err(shared) => [shared.as_slice(), &other.values].concat(),
        };
        FeatureTable::from_columns(self.customers, self.as_of, self.features, values)
    }
}

impl fmt::Debug for FeatureTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FeatureTable({} customers × {} features as of {})",
            self.len(),
            self.features.len(),
            self.as_of
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn shape_and_names_are_checked() {
        let as_of = AsOf::parse("2020-01-01").unwrap();
        let make = |names: &[&str], values: Vec<f64>| {
            let infos = names
                .iter()
                .map(|n| FeatureInfo::new(*n, "count", ""))
                .collect();
            FeatureTable::from_columns(Customers::from_ints([1, 2]), as_of, infos, values)
        };
        let table = make(&["a", "b"], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(table.select(&["b"]).unwrap().column_at(0), [3.0, 4.0]);
        assert_eq!(
            table.column("c").unwrap_err().kind(),
            ErrorKind::UnknownName
        );
        assert_eq!(
            make(&["a"], vec![1.0]).unwrap_err().kind(),
            ErrorKind::LengthMismatch
        );
        assert!(make(&["a", "a"], vec![0.0; 4]).is_err());
        let other = make(&["c"], vec![5.0, 6.0]).unwrap();
        let both = table.clone().joined(&other).unwrap();
        assert_eq!(both.column("c").unwrap(), [5.0, 6.0]);
        assert_eq!(both.features().len(), 3);
        assert!(both.joined(&other).is_err());
        let single = FeatureTable::from_columns(Customers::from_ints([1]), as_of, vec![], vec![]);
        let error = table.joined(&single.unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
    }
}
