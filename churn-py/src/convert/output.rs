//! Results out: Arrow streams and numpy arrays.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use churn_core::arrow::batch_stream;
use ndarray::ArrayView2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyString};

use super::STREAM;
use crate::errors::no_numpy;

/// A capsule of Arrow's stream protocol.
pub(crate) fn stream<'py>(py: Python<'py>, batch: RecordBatch) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, batch_stream(batch), STREAM)
}

/// A column as a read-only numpy array; missing cells are NaN, NaT or None.
pub(crate) fn numpy<'py>(py: Python<'py>, array: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    fn values<'py, T: ArrowPrimitiveType>(
        py: Python<'py>,
        array: &dyn Array,
        dtype: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cells = array.as_primitive::<T>().values().inner();
        let bytes = PyBytes::new(py, cells.as_slice());
        py.import("numpy")?
            .call_method1("frombuffer", (bytes, dtype))
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
    let floats = |cells: Vec<f64>| build(cells.into_pyobject(py)?.into_any(), "f8");
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
    let (rows, columns) = matrix.dim();
    // Columns one after another are the rows of the transposed matrix.
    let columnwise: Vec<f64> = matrix.t().iter().copied().collect();
    floats(py, &columnwise)?
        .call_method1("reshape", ((columns, rows),))?
        .getattr("T")
}
