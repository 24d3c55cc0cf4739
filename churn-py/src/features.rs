//! The feature table.

use std::sync::Arc;

use churn_core::arrow::feature_batch;
use churn_core::features;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert;
use crate::customers::Customers;
use crate::table::Table;

/// Features of all customers as of one instant.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct FeatureTable {
    pub(crate) table: Arc<features::FeatureTable>,
}

impl FeatureTable {
    pub(crate) fn wrap(py: Python<'_>, table: Arc<features::FeatureTable>) -> PyResult<Py<Self>> {
        let source = Arc::clone(&table);
        let base = Table::new(table.len(), move || feature_batch(&source));
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(FeatureTable { table }),
        )
    }
}

#[pymethods]
impl FeatureTable {
    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.table.customers())
    }

    /// The instant that the table describes.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.table.as_of().instant())
    }

    /// What every feature means, one dict per column.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for feature in self.table.features() {
            let fields = PyDict::new(py);
            fields.set_item("name", &feature.name)?;
            fields.set_item("unit", &feature.unit)?;
            fields.set_item("definition", &feature.definition)?;
            fields.set_item("undefined", &feature.undefined)?;
            fields.set_item("min", feature.min)?;
            fields.set_item("max", feature.max)?;
            list.append(fields)?;
        }
        Ok(list)
    }

    /// The features as a matrix of shape (customers, features).
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::matrix(py, self.table.matrix())
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.table)
    }
}
