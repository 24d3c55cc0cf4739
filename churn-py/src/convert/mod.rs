//! The only folder that knows Arrow capsules, numpy arrays, data frames and Python's dates.
//!
//! Everything goes through Arrow. What comes as an Arrow stream is taken over without a copy; what
//! comes as arrays or lists is copied into Arrow columns while the interpreter lock is held, for
//! another thread could write to an array while the core reads it.

mod input;
mod numeric;
mod output;

use std::ffi::CStr;

use churn_core::time::{AsOf, MICROS_PER_DAY, Timestamp};
use churn_core::{CustomerId, Error};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDelta, PyString, PyTzInfo};

pub(crate) use self::input::{
    Ids, bytes, events, frame, ids, numbers, some_numbers, stream_of, vector,
};
pub(crate) use self::numeric::{Groups, flag_column, float_column, numeric_frame};
pub(crate) use self::output::{features, floats, matrix, numpy, stream};
use crate::errors::{OrRaise, wrong_type};

/// The name of a capsule of Arrow's stream protocol.
const STREAM: &CStr = c"arrow_array_stream";

/// Whether [`instant`] can read it (a text may still hold something else).
fn is_instant(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyString>() || value.hasattr("isoformat")? || is_datetime64(value)?)
}

fn is_datetime64(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.get_type().name()? == "datetime64")
}

/// A text, `date`, `datetime` (naive = UTC), `numpy.datetime64` or pandas `Timestamp`.
pub(crate) fn instant(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let text: String = if value.is_instance_of::<PyString>() {
        value.extract()?
    } else if value.hasattr("isoformat")? {
        value.call_method0("isoformat")?.extract()?
    } else if is_datetime64(value)? {
        let micros = value.call_method1("astype", ("datetime64[us]",))?;
        micros.str()?.extract()?
    } else {
        let expected = "a date, an instant or a text such as 2011-12-09";
        return Err(wrong_type(what, expected, value));
    };
    Timestamp::parse(&text)
        .map_err(|error| Error::invalid_parameter(what, error.expected(), error.got()))
        .or_raise(value.py())
}

/// The same as the end of the past.
pub(crate) fn as_of(value: &Bound<'_, PyAny>) -> PyResult<AsOf> {
    instant("as_of", value).map(AsOf::new)
}

/// An aware `datetime` in UTC.
pub(crate) fn datetime<'py>(py: Python<'py>, time: Timestamp) -> PyResult<Bound<'py, PyAny>> {
    let utc = PyTzInfo::utc(py)?;
    let epoch = PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&utc))?;
    let micros = time.micros() - time.day() * MICROS_PER_DAY;
    let since = PyDelta::new(
        py,
        time.day() as i32,
        (micros / 1_000_000) as i32,
        (micros % 1_000_000) as i32,
        true,
    )?;
    epoch.add(since)
}

/// A customer or item id as Python has it.
pub(crate) fn id<'py>(py: Python<'py>, id: CustomerId<'_>) -> PyResult<Bound<'py, PyAny>> {
    match id {
        CustomerId::Int(id) => Ok(id.into_pyobject(py)?.into_any()),
        CustomerId::Uint(id) => Ok(id.into_pyobject(py)?.into_any()),
        CustomerId::Text(id) => Ok(PyString::new(py, id).into_any()),
    }
}
