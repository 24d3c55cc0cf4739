//! Settings cross as plain data, so that names, defaults and checks live in the core alone.

use churn_core::Error;
use churn_core::settings::from_json;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::convert;
use crate::errors::{OrRaise, wrong_type};

/// Reads settings of the core from keyword arguments; `None` = all defaults.
pub(crate) fn read<T: DeserializeOwned>(
    py: Python<'_>,
    what: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<T> {
    match settings {
        None => read_value(&PyDict::new(py), what),
        Some(settings) => read_value(settings, what),
    }
}

/// Reads one setting of the core.
pub(crate) fn read_value<T: DeserializeOwned>(value: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    serde_json::from_value(plain(what, value)?)
        .map_err(|error| Error::invalid_parameter(what, "valid settings", error))
        .or_raise(value.py())
}

/// Dicts, lists, texts, numbers, dates and None as JSON has them.
fn plain(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if value.is_none() {
        Ok(Value::Null)
    } else if value.is_instance_of::<PyBool>() {
        Ok(value.extract::<bool>()?.into())
    } else if value.is_instance_of::<PyInt>() {
        match value.extract::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Ok(value.extract::<u64>()?.into()),
        }
    } else if value.is_instance_of::<PyFloat>() {
        let number: f64 = value.extract()?;
        serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| Error::invalid_parameter(what, "a finite number", number))
            .or_raise(value.py())
    } else if value.is_instance_of::<PyString>() {
        Ok(value.extract::<String>()?.into())
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let mut items = Vec::with_capacity(value.len()?);
        for (i, item) in value.try_iter()?.enumerate() {
            items.push(plain(&format!("{what}[{i}]"), &item?)?);
        }
        Ok(Value::Array(items))
    } else if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut fields = Map::new();
        for pair in mapping.items()? {
            let (name, item): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            let name: String = name
                .extract()
                .map_err(|_| wrong_type(what, "names in text", &name))?;
            let item = plain(&format!("{what}.{name}"), &item)?;
            fields.insert(name, item);
        }
        Ok(Value::Object(fields))
    } else if value.hasattr("to_json")? {
        // A document of this package, such as a scorecard.
        let text: String = value.call_method0("to_json")?.extract()?;
        from_json(what, &text).or_raise(value.py())
    } else if let Ok(number) = value.call_method0("item") {
        // A number of numpy; datetime64 gives a date or an integer, and is read below instead.
        if number.is_instance_of::<PyInt>() || number.is_instance_of::<PyFloat>() {
            return plain(what, &number);
        }
        Ok(convert::instant(what, value)?.to_string().into())
    } else {
        Ok(convert::instant(what, value)?.to_string().into())
    }
}

/// A document of the core as plain data.
pub(crate) fn from_json_text<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}

/// The default settings of one name as a dict: what is left out anywhere has these values.
#[pyfunction]
pub(crate) fn defaults<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let text = churn_core::defaults::json(name).or_raise(py)?;
    from_json_text(py, &text)
}

/// Settings as Python shows them: `Name(setting=value, …)`.
pub(crate) fn shown(name: &str, settings: &impl serde::Serialize) -> String {
    let fields = match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(field, value)| format!("{field}={value}"))
        .collect();
    format!("{name}({})", pairs.join(", "))
}
