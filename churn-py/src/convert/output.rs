//! Results out: Arrow streams and numpy arrays.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use churn_core::arrow::batch_stream;
use churn_core::features::FeatureTable;
use ndarray::ArrayView2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyString};

use super::STREAM;
use crate::errors::no_numpy;

/// A capsule of Arrow's stream protocol.
pub(crate) fn stream<'py>(py: Python<'py>, batch: RecordBatch) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, batch_stream(batch), STREAM)
}

/// Memory of ours that numpy shows: the array holds this object, which holds what owns the memory.
#[pyclass(frozen, module = "churn")]
struct View {
    /// Kept for the memory behind `address`.
    _owner: Box<dyn Send + Sync>,
    address: usize,
    len: usize,
    dtype: &'static str,
}

#[pymethods]
impl View {
    /// How numpy finds the memory, which it must not write to.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let order = if cfg!(target_endian = "big") {
            '>'
        } else {
            '<'
        };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", format!("{order}{}", self.dtype))?;
        interface.set_item("shape", (self.len,))?;
        interface.set_item("data", (self.address, true))?;
        Ok(interface)
    }
}

/// Cells as a read-only numpy array over the memory of their owner.
fn view<'py, O: Send + Sync + 'static, T>(
    py: Python<'py>,
    owner: O,
    cells: fn(&O) -> &[T],
    dtype: &'static str,
) -> PyResult<Bound<'py, PyAny>> {
    // Boxed first: cells may lie in the owner itself.
    let owner = Box::new(owner);
    let (address, len) = (cells(&owner).as_ptr() as usize, cells(&owner).len());
    let view = View {
        _owner: owner,
        address,
        len,
        dtype,
    };
    py.import("numpy")?
        .call_method1("asarray", (Py::new(py, view)?,))
}

/// A column as a read-only numpy array, of numbers without missing cells without a copy; missing cells
/// are NaN, NaT or None.
pub(crate) fn numpy<'py>(py: Python<'py>, array: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    fn values<'py, T: ArrowPrimitiveType>(
        py: Python<'py>,
        array: &dyn Array,
        dtype: &'static str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cells = array.as_primitive::<T>().values();
        view(py, cells.clone(), |cells| cells, dtype)
    }

    match array.data_type() {
        _ if array.null_count() > 0 => sparse(py, array),
        DataType::Float64 => values::<Float64Type>(py, array, "f8"),
        DataType::Int64 => values::<Int64Type>(py, array, "i8"),
        DataType::UInt32 => values::<UInt32Type>(py, array, "u4"),
        DataType::UInt64 => values::<UInt64Type>(py, array, "u8"),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            values::<TimestampMicrosecondType>(py, array, "M8[us]")
        }
        _ => sparse(py, array),
    }
}

/// Columns that numpy cannot view: texts, truth values, numbers with missing cells.
fn sparse<'py>(py: Python<'py>, array: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    fn numbers<T: ArrowPrimitiveType>(array: &dyn Array, float: fn(T::Native) -> f64) -> Vec<f64> {
        let cells = array.as_primitive::<T>().iter();
        cells.map(|cell| cell.map_or(f64::NAN, float)).collect()
    }
    let build = |cells: Bound<'py, PyAny>, dtype: &str| {
        py.import("numpy")?.call_method1("array", (cells, dtype))
    };
    let texts = |cells: Vec<Option<&str>>| build(cells.into_pyobject(py)?.into_any(), "O");
    let floats = |cells: Vec<f64>| view(py, cells, |cells| cells, "f8");
    match array.data_type() {
        DataType::Utf8 => texts(array.as_string::<i32>().iter().collect()),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter().collect()),
        DataType::Boolean if array.null_count() == 0 => {
            let cells: Vec<Option<bool>> = array.as_boolean().iter().collect();
            build(cells.into_pyobject(py)?.into_any(), "?")
        }
        DataType::Boolean => {
            let cells: Vec<Option<bool>> = array.as_boolean().iter().collect();
            build(cells.into_pyobject(py)?.into_any(), "O")
        }
        DataType::Dictionary(_, _) => {
            let coded = array.as_any_dictionary();
            let names = coded.values();
            let name = |code: usize| match names.data_type() {
                DataType::Utf8 => Ok(names.as_string::<i32>().value(code)),
                DataType::LargeUtf8 => Ok(names.as_string::<i64>().value(code)),
                other => Err(no_numpy(other)),
            };
            // One Python text per name, shared by all its rows.
            let mut shared = Vec::with_capacity(names.len());
            for code in 0..names.len() {
                shared.push(PyString::new(py, name(code)?));
            }
            let cells: Vec<_> = if shared.is_empty() {
                vec![None; array.len()]
            } else {
                let codes = coded.normalized_keys().into_iter().enumerate();
                codes
                    .map(|(row, code)| array.is_valid(row).then(|| shared[code].clone()))
                    .collect()
            };
            build(cells.into_pyobject(py)?.into_any(), "O")
        }
        DataType::Float64 => floats(numbers::<Float64Type>(array, |x| x)),
        DataType::Int64 => floats(numbers::<Int64Type>(array, |n| n as f64)),
        DataType::UInt32 => floats(numbers::<UInt32Type>(array, f64::from)),
        DataType::UInt64 => floats(numbers::<UInt64Type>(array, |n| n as f64)),
        other => Err(no_numpy(other)),
    }
}

/// Numbers as a read-only numpy array.
pub(crate) fn floats<'py>(py: Python<'py>, values: &[f64]) -> PyResult<Bound<'py, PyAny>> {
    let bytes = PyBytes::new_with(py, size_of_val(values), |bytes| {
        for (cell, value) in bytes.chunks_exact_mut(size_of::<f64>()).zip(values) {
            cell.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    })?;
    py.import("numpy")?
        .call_method1("frombuffer", (bytes, "f8"))
}

/// A column-major matrix as a read-only numpy array of the same shape.
pub(crate) fn matrix<'py>(
    py: Python<'py>,
    matrix: ArrayView2<'_, f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let columnwise: Vec<f64> = matrix.t().iter().copied().collect();
    transposed(view(py, columnwise, |cells| cells, "f8")?, matrix.dim())
}

/// The features of a table, likewise, without a copy.
pub(crate) fn features<'py>(py: Python<'py>, table: &FeatureTable) -> PyResult<Bound<'py, PyAny>> {
    fn cells(table: &FeatureTable) -> &[f64] {
        let cells = table.matrix().to_slice_memory_order();
        cells.expect("a table's columns lie one after another")
    }
    transposed(view(py, table.clone(), cells, "f8")?, table.matrix().dim())
}

/// Columns one after another are the rows of the transposed matrix.
fn transposed<'py>(
    cells: Bound<'py, PyAny>,
    (rows, columns): (usize, usize),
) -> PyResult<Bound<'py, PyAny>> {
    cells
        .call_method1("reshape", ((columns, rows),))?
        .getattr("T")
}
