//! Data in: Arrow streams, numpy arrays, buffers, lists.

use std::sync::Arc;

use arrow_array::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array, LargeStringArray,
    PrimitiveArray, RecordBatch, RecordBatchIterator, RecordBatchOptions, RecordBatchReader,
    UInt64Array,
};
use arrow_schema::{Field, Schema};
use churn_core::Error;
use pyo3::buffer::{Element, PyUntypedBuffer};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCapsule, PyFloat, PyString};

use super::{STREAM, instant, is_instant};
use crate::errors::{OrRaise, invalid_cell, wrong_type};

/// What the core's door reads.
pub(crate) type Reader = Box<dyn RecordBatchReader + Send>;

/// A data frame with Arrow export, or a mapping from names to arrays.
pub(crate) fn reader(data: &Bound<'_, PyAny>) -> PyResult<Reader> {
    let py = data.py();
    let expected = "a data frame with Arrow export, or a dict of arrays";
    if data.hasattr("__arrow_c_stream__")? {
        match data.call_method0("__arrow_c_stream__") {
            Ok(capsule) => return import_stream(&capsule),
            // pandas exports through pyarrow; without it its columns are read one by one.
            Err(error) if error.is_instance_of::<PyImportError>(py) && has_items(data)? => {}
            Err(error) => return Err(error),
        }
    } else if !has_items(data)? {
        return Err(wrong_type("data", expected, data));
    }
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for pair in data.call_method0("items")?.try_iter()? {
        let (name, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| wrong_type("data", "column names in text", &name))?;
        let place = format!("data.{name}");
        let array = column(&place, &cells)?;
        if let Some((_, first)) = columns.first()
            && first.len() != array.len()
        {
            let error = Error::length_mismatch(place, first.len(), array.len());
            return Err(error).or_raise(py);
        }
        columns.push((name, array));
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
    Ok(Box::new(RecordBatchIterator::new([batch], schema)))
}

fn has_items(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    data.hasattr("items")
}

fn import_stream(capsule: &Bound<'_, PyAny>) -> PyResult<Reader> {
    let Ok(capsule) = capsule.cast::<PyCapsule>() else {
        return Err(wrong_type("data.__arrow_c_stream__()", "a capsule", capsule));
    };
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    let stream = pointer.cast::<FFI_ArrowArrayStream>();
    // SAFETY: the capsule bears the name that Arrow's protocol reserves for a valid stream;
    // the stream is moved out and marked as released, so the capsule will not release it again.
    let reader = unsafe { ArrowArrayStreamReader::from_raw(stream.as_ptr()) };
    match reader {
        Ok(reader) => Ok(Box::new(reader)),
        Err(error) => Err(arrow_error("data", &error)).or_raise(capsule.py()),
    }
}

fn arrow_error(what: &str, error: &ArrowError) -> Error {
    Error::invalid_parameter(what, "a readable Arrow stream", error)
}

/// One column from a numpy array, any other buffer of numbers, or a sequence of Python objects.
fn column(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let cells = match cells.hasattr("to_numpy")? {
        true => &cells.call_method0("to_numpy")?,
        false => cells,
    };
    let kind: Option<String> = match cells.getattr("dtype") {
        Ok(dtype) => dtype.getattr("kind")?.extract()?,
        Err(_) => None,
    };
    match kind.as_deref() {
        Some("M") => return times(what, cells),
        // Object and text arrays: their cells are Python objects.
        Some("O" | "U" | "T") => return objects(what, &cells.call_method0("tolist")?),
        _ => {}
    }
    if cells.is_instance_of::<PyString>() {
        return Err(wrong_type(what, "an array or a list", cells));
    }
    match PyUntypedBuffer::get(cells) {
        Ok(buffer) => numbers(what, cells, buffer),
        Err(_) => objects(what, cells),
    }
}

/// Numbers from a buffer, widened to 64 bits.
fn numbers(what: &str, cells: &Bound<'_, PyAny>, buffer: PyUntypedBuffer) -> PyResult<ArrayRef> {
    fn copy<T: Element, P: ArrowPrimitiveType>(
        py: Python<'_>,
        buffer: PyUntypedBuffer,
        widen: impl Fn(T) -> P::Native,
    ) -> PyResult<ArrayRef> {
        let values = buffer.into_typed::<T>()?.to_vec(py)?;
        let wide: Vec<P::Native> = values.into_iter().map(widen).collect();
        Ok(Arc::new(PrimitiveArray::<P>::new(wide.into(), None)))
    }

    let py = cells.py();
    if buffer.dimensions() != 1 {
        let got = format!("{} dimensions", buffer.dimensions());
        return Err(Error::invalid_parameter(what, "one dimension", got)).or_raise(py);
    }
    // A leading sign states another byte order than the machine's own.
    let format = buffer.format().to_str().unwrap_or_default().to_owned();
    match (format.trim_start_matches('@'), buffer.item_size()) {
        ("b", 1) => copy::<i8, Int64Type>(py, buffer, i64::from),
        ("h", 2) => copy::<i16, Int64Type>(py, buffer, i64::from),
        ("i" | "l", 4) => copy::<i32, Int64Type>(py, buffer, i64::from),
        ("l" | "q", 8) => copy::<i64, Int64Type>(py, buffer, |n| n),
        ("B", 1) => copy::<u8, UInt64Type>(py, buffer, u64::from),
        ("H", 2) => copy::<u16, UInt64Type>(py, buffer, u64::from),
        ("I" | "L", 4) => copy::<u32, UInt64Type>(py, buffer, u64::from),
        ("L" | "Q", 8) => copy::<u64, UInt64Type>(py, buffer, |n| n),
        ("f", 4) => copy::<f32, Float64Type>(py, buffer, f64::from),
        ("d", 8) => copy::<f64, Float64Type>(py, buffer, |x| x),
        _ => {
            let expected = "integers, floats, times or texts of this machine's byte order";
            let got = format!("buffer format {format:?}");
            Err(Error::invalid_parameter(what, expected, got)).or_raise(py)
        }
    }
}

/// `datetime64` of any unit; NaT is missing.
fn times(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    fn build<T: ArrowPrimitiveType<Native = i64>>(counts: Vec<i64>) -> ArrayRef {
        let valid: Vec<bool> = counts.iter().map(|count| *count != i64::MIN).collect();
        Arc::new(PrimitiveArray::<T>::new(counts.into(), Some(valid.into())))
    }

    let py = cells.py();
    let numpy = py.import("numpy")?;
    let read = |cells: &Bound<'_, PyAny>| -> PyResult<(String, u32)> {
        numpy
            .call_method1("datetime_data", (cells.getattr("dtype")?,))?
            .extract()
    };
    let unit = match read(cells)? {
        (unit, 1) if ["s", "ms", "us", "ns"].contains(&unit.as_str()) => unit,
        // Finer units than nanoseconds are floored by numpy, coarser ones are whole seconds.
        (unit, _) if ["ns", "ps", "fs", "as"].contains(&unit.as_str()) => "ns".to_owned(),
        (unit, _) if ["ms", "us"].contains(&unit.as_str()) => unit,
        _ => "s".to_owned(),
    };
    let counts = cells
        .call_method1("astype", (format!("<M8[{unit}]"),))?
        .call_method1("view", ("=i8",))?;
    let buffer = PyUntypedBuffer::get(&counts)?;
    if buffer.dimensions() != 1 {
        let got = format!("{} dimensions", buffer.dimensions());
        return Err(Error::invalid_parameter(what, "one dimension", got)).or_raise(py);
    }
    let counts = buffer.into_typed::<i64>()?.to_vec(py)?;
    Ok(match unit.as_str() {
        "s" => build::<TimestampSecondType>(counts),
        "ms" => build::<TimestampMillisecondType>(counts),
        "us" => build::<TimestampMicrosecondType>(counts),
        _ => build::<TimestampNanosecondType>(counts),
    })
}

/// Python objects, one per row, with their missing marks.
struct Objects<'p, 'py> {
    what: &'p str,
    cells: Vec<Bound<'py, PyAny>>,
    missing: Vec<bool>,
}

/// Texts, numbers or instants; the first cell that is not missing tells which.
fn objects(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let Ok(cells) = cells.try_iter() else {
        return Err(wrong_type(what, "an array or a list", cells));
    };
    let cells: Vec<Bound<'_, PyAny>> = cells.collect::<PyResult<_>>()?;
    let missing = cells.iter().map(is_missing).collect::<PyResult<_>>()?;
    let mut objects = Objects { what, cells, missing };
    let Some(first) = (0..objects.cells.len()).find(|row| objects.is_telling(*row)) else {
        return objects.floats();
    };
    let first = &objects.cells[first];
    if is_number(first)? {
        return objects.numbers();
    }
    // Among texts and instants NaN marks a missing cell; among numbers it is a value.
    let is_text = first.is_instance_of::<PyString>();
    objects.missing = (0..objects.cells.len()).map(|row| !objects.is_telling(row)).collect();
    match is_text {
        true => objects.texts(),
        false => objects.instants(),
    }
}

impl Objects<'_, '_> {
    fn is_telling(&self, row: usize) -> bool {
        let number = self.cells[row].cast::<PyFloat>();
        !self.missing[row] && !number.is_ok_and(|number| number.value().is_nan())
    }

    /// Reads every cell that is there, or names the first that is not `expected`.
    fn read<T>(
        &self,
        expected: &str,
        mut read: impl FnMut(&Bound<'_, PyAny>) -> PyResult<Option<T>>,
    ) -> PyResult<Vec<Option<T>>> {
        let mut column = Vec::with_capacity(self.cells.len());
        for (row, cell) in self.cells.iter().enumerate() {
            column.push(match self.missing[row] {
                true => None,
                false => match read(cell)? {
                    Some(value) => Some(value),
                    None => return Err(invalid_cell(self.what, row, expected, cell)),
                },
            });
        }
        Ok(column)
    }

    fn texts(&self) -> PyResult<ArrayRef> {
        let texts = self.read("a text", |cell| Ok(cell.extract::<String>().ok()))?;
        Ok(Arc::new(LargeStringArray::from(texts)))
    }

    fn instants(&self) -> PyResult<ArrayRef> {
        let micros = self.read("a text, a number or an instant", |cell| {
            match is_instant(cell)? && !cell.is_instance_of::<PyString>() {
                true => Ok(Some(instant(self.what, cell)?.micros())),
                false => Ok(None),
            }
        })?;
        Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(micros)))
    }

    fn numbers(&self) -> PyResult<ArrayRef> {
        self.read("a number", |cell| Ok(is_number(cell)?.then_some(())))?;
        if self.cells.iter().any(|cell| cell.is_instance_of::<PyFloat>()) {
            return self.floats();
        }
        let signed = self.read("an integer of 64 bits", |cell| Ok(cell.extract::<i64>().ok()));
        if let Ok(numbers) = signed {
            return Ok(Arc::new(Int64Array::from(numbers)));
        }
        let unsigned = self.read("an integer of 64 bits", |cell| Ok(cell.extract::<u64>().ok()))?;
        Ok(Arc::new(UInt64Array::from(unsigned)))
    }

    fn floats(&self) -> PyResult<ArrayRef> {
        let numbers = self.read("a number", |cell| Ok(cell.extract::<f64>().ok()))?;
        Ok(Arc::new(Float64Array::from(numbers)))
    }
}

/// Integers and floats of Python and numpy; truth values are none.
fn is_number(cell: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(!cell.is_instance_of::<PyBool>()
        && (cell.is_instance_of::<PyFloat>() || cell.hasattr("__index__")?))
}

/// None, and the two missing marks of pandas.
fn is_missing(cell: &Bound<'_, PyAny>) -> PyResult<bool> {
    if cell.is_none() {
        return Ok(true);
    }
    let name = cell.get_type().name()?;
    Ok(name == "NAType" || name == "NaTType")
}

