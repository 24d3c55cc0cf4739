//! The only file that builds Python exceptions.

use std::path::Path;

use churn_core::Error;
use pyo3::exceptions::{PyIndexError, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Turns a result of the core into one of Python.
pub(crate) trait OrRaise<T> {
    /// Raises the exception of the error's kind.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for churn_core::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error).unwrap_or_else(|failure| failure))
    }
}

/// The class is named after the kind, so a kind that Python does not know fails a test at once.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = py
        .import("churn.exceptions")?
        .getattr(format!("{}Error", error.kind().name()))?;
    let fields = PyDict::new(py);
    fields.set_item("what", error.what())?;
    fields.set_item("row", error.row())?;
    fields.set_item("line", error.line())?;
    fields.set_item("expected", error.expected())?;
    fields.set_item("got", error.got())?;
    let value = class.call((error.to_string(),), Some(&fields))?;
    Ok(PyErr::from_value(value))
}

/// An argument of a type that cannot be read.
pub(crate) fn wrong_type(what: &str, expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let name = match got.get_type().fully_qualified_name() {
        Ok(name) => name.to_string(),
        Err(failure) => return failure,
    };
    PyTypeError::new_err(format!("{what}: expected {expected}, got {name}"))
}

/// A row that a table does not have.
pub(crate) fn no_such_row(what: &str, rows: usize, got: isize) -> PyErr {
    PyIndexError::new_err(format!("{what}: expected a row below {rows}, got {got}"))
}

/// A cell of a column whose type cannot be read.
pub(crate) fn invalid_cell(
    what: &str,
    row: usize,
    expected: &str,
    got: &Bound<'_, PyAny>,
) -> PyErr {
    let name = match got.get_type().fully_qualified_name() {
        Ok(name) => name.to_string(),
        Err(failure) => return failure,
    };
    let error = Error::invalid_value(what, row, expected, name);
    exception(got.py(), &error).unwrap_or_else(|failure| failure)
}

/// A column whose type has no counterpart in numpy.
pub(crate) fn no_numpy(data_type: &dyn std::fmt::Display) -> PyErr {
    PyTypeError::new_err(format!(
        "column: expected a type that numpy has, got {data_type}"
    ))
}

/// A file that cannot be opened: the exception that Python's own `open` raises.
pub(crate) fn cannot_open(py: Python<'_>, path: &Path, error: &std::io::Error) -> PyErr {
    let Some(code) = error.raw_os_error() else {
        return PyOSError::new_err(format!("{}: {error}", path.display()));
    };
    let message = py
        .import("os")
        .and_then(|os| os.call_method1("strerror", (code,))?.extract::<String>());
    match message {
        // `OSError(errno, message, path)` picks its own subclass, e.g. FileNotFoundError.
        Ok(message) => PyOSError::new_err((code, message, path.display().to_string())),
        Err(failure) => failure,
    }
}
