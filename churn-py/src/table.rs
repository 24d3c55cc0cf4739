//! What every result has in common: columns that leave as an Arrow stream or as numpy arrays.

use std::sync::OnceLock;

use arrow_array::RecordBatch;
use churn_core::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::convert;
use crate::errors::OrRaise;

/// Named columns of equal length; the base of every result.
#[pyclass(frozen, subclass, module = "churn")]
pub(crate) struct Table {
    build: Box<dyn Fn() -> Result<RecordBatch> + Send + Sync>,
    /// Built when first asked for: most results are read by the next step, not by Python.
    batch: OnceLock<RecordBatch>,
    rows: usize,
}

impl Table {
    /// A table whose columns `build` makes from a result of the core.
    pub(crate) fn new(
        rows: usize,
        build: impl Fn() -> Result<RecordBatch> + Send + Sync + 'static,
    ) -> Self {
        Table {
            build: Box::new(build),
            batch: OnceLock::new(),
            rows,
        }
    }

    fn batch(&self, py: Python<'_>) -> PyResult<&RecordBatch> {
        if let Some(batch) = self.batch.get() {
            return Ok(batch);
        }
        let built = py.detach(|| (self.build)()).or_raise(py)?;
        Ok(self.batch.get_or_init(|| built))
    }
}

#[pymethods]
impl Table {
    fn __len__(&self) -> usize {
        self.rows
    }

    /// Names of the columns.
    #[getter]
    fn columns(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let schema = self.batch(py)?.schema();
        Ok(schema.fields().iter().map(|f| f.name().clone()).collect())
    }

    /// One column as a read-only numpy array.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let batch = self.batch(py)?;
        match batch.column_by_name(name) {
            Some(column) => convert::numpy(py, column),
            None => Err(Error::unknown_name("column", name, self.columns(py)?)).or_raise(py),
        }
    }

    /// All columns as read-only numpy arrays.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        let batch = self.batch(py)?;
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            columns.set_item(field.name(), convert::numpy(py, column)?)?;
        }
        Ok(columns)
    }

    /// The columns by Arrow's stream protocol.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The protocol lets a producer ignore the wish for another schema.
        let _ = requested_schema;
        convert::stream(py, self.batch(py)?.clone())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Table({} rows: {})",
            self.rows,
            self.columns(py)?.join(", ")
        ))
    }
}
