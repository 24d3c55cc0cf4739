//! Data in: Arrow streams, numpy arrays, buffers, lists.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array, LargeStringArray, NullArray,
    PrimitiveArray, RecordBatch, UInt64Array,
};
use arrow_schema::DataType;
use churn_core::Error;
use churn_core::arrow::{EventBatches, frame_from_batches, frame_from_stream};
use churn_core::events::ColumnNames;
use churn_core::scoring::learned::Frame;
use pyo3::buffer::{Element, PyUntypedBuffer};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyFloat, PyString};

use super::{STREAM, instant, is_instant};
use crate::errors::{OrRaise, cannot_open, invalid_cell, wrong_type};

/// A data frame with Arrow export, or a mapping from names to arrays.
pub(crate) fn events(data: &Bound<'_, PyAny>, names: &ColumnNames) -> PyResult<EventBatches> {
    let py = data.py();
    let expected = "a data frame with Arrow export, or a dict of arrays";
    if let Some(stream) = stream_of(data)? {
        return py
            .detach(|| EventBatches::from_stream(stream, names))
            .or_raise(py);
    }
    if !data.hasattr("items")? {
        return Err(wrong_type("data", expected, data));
    }
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for pair in data.call_method0("items")?.try_iter()? {
        let (name, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| wrong_type("data", "column names in text", &name))?;
        let place = format!("events.{name}");
        let array = column(&place, &cells)?;
        if let Some((_, first)) = columns.first()
            && first.len() != array.len()
        {
            let error = Error::length_mismatch(place, first.len(), array.len());
            return Err(error).or_raise(py);
        }
        columns.push((name, array));
    }
    if columns.is_empty() {
        let error = Error::not_enough_data("data", "at least one column", "none");
        return Err(error).or_raise(py);
    }
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| Error::invalid_parameter("data", "columns of equal length", error))
        .and_then(|batch| EventBatches::from_batches(vec![batch], names))
        .or_raise(py)
}

/// Ids in one of three types.
pub(crate) enum Ids {
    Ints(Vec<i64>),
    Uints(Vec<u64>),
    Texts(Vec<String>),
}

/// Ids from an array or a list, none missing.
pub(crate) fn ids(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Ids> {
    let listed = match cells.hasattr("tolist")? {
        true => cells.call_method0("tolist")?,
        false => cells.clone(),
    };
    let Ok(listed) = listed.try_iter() else {
        return Err(wrong_type(what, "an array or a list", cells));
    };
    let cells: Vec<Bound<'_, PyAny>> = listed.collect::<PyResult<_>>()?;
    let texts = cells
        .first()
        .is_some_and(|cell| cell.is_instance_of::<PyString>());
    if texts {
        let read = |(row, cell): (usize, &Bound<'_, PyAny>)| {
            cell.extract::<String>()
                .map_err(|_| invalid_cell(what, row, "a text", cell))
        };
        return Ok(Ids::Texts(
            cells
                .iter()
                .enumerate()
                .map(read)
                .collect::<PyResult<_>>()?,
        ));
    }
    // Signed where all fit, for that is what integers in Python's data frames are.
    if let Ok(ints) = cells
        .iter()
        .map(|cell| cell.extract::<i64>())
        .collect::<PyResult<_>>()
    {
        return Ok(Ids::Ints(ints));
    }
    let read = |(row, cell): (usize, &Bound<'_, PyAny>)| {
        cell.extract::<u64>()
            .map_err(|_| invalid_cell(what, row, "an integer of 64 bits", cell))
    };
    Ok(Ids::Uints(
        cells
            .iter()
            .enumerate()
            .map(read)
            .collect::<PyResult<_>>()?,
    ))
}

/// Columns of numbers from a mapping of names to arrays or lists; missing cells are NaN.
pub(crate) fn numbers(columns: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Vec<f64>)>> {
    some_numbers(columns, |_| true)
}

/// The same for the columns whose name is `wanted`; the others are not copied.
pub(crate) fn some_numbers(
    columns: &Bound<'_, PyAny>,
    wanted: impl Fn(&str) -> bool,
) -> PyResult<Vec<(String, Vec<f64>)>> {
    if !columns.hasattr("items")? {
        return Err(wrong_type("columns", "a dict of arrays", columns));
    }
    let mut all = Vec::new();
    for pair in columns.call_method0("items")?.try_iter()? {
        let (name, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| wrong_type("columns", "column names in text", &name))?;
        if wanted(&name) {
            let place = format!("table.{name}");
            all.push((name, vector(&place, &cells)?));
        }
    }
    Ok(all)
}

/// Numbers from an array or a list; missing cells are NaN.
pub(crate) fn vector(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let array = column_or_truths(what, cells)?;
    match floats(&array) {
        Some(numbers) => Ok(numbers),
        None => {
            let error = Error::invalid_parameter(what, "numbers", array.data_type());
            Err(error).or_raise(cells.py())
        }
    }
}

/// Columns of numbers and levels: a data frame with Arrow export, or a mapping from names to arrays.
pub(crate) fn frame(data: &Bound<'_, PyAny>) -> PyResult<Frame<'static>> {
    let py = data.py();
    let expected = "a data frame with Arrow export, or a dict of arrays";
    if data.hasattr("__arrow_c_stream__")? {
        match data.call_method0("__arrow_c_stream__") {
            Ok(capsule) => {
                let stream = import(&capsule)?;
                return py.detach(|| frame_from_stream(stream)).or_raise(py);
            }
            // pandas exports through pyarrow; without it its columns are read one by one.
            Err(error) if error.is_instance_of::<PyImportError>(py) && data.hasattr("items")? => {}
            Err(error) => return Err(error),
        }
    } else if !data.hasattr("items")? {
        return Err(wrong_type("data", expected, data));
    }
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for pair in data.call_method0("items")?.try_iter()? {
        let (name, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| wrong_type("data", "column names in text", &name))?;
        let array = column_or_truths(&name, &cells)?;
        if let Some((_, first)) = columns.first()
            && first.len() != array.len()
        {
            let error = Error::length_mismatch(name, first.len(), array.len());
            return Err(error).or_raise(py);
        }
        columns.push((name, array));
    }
    if columns.is_empty() {
        let error = Error::not_enough_data("frame", "at least one column", 0);
        return Err(error).or_raise(py);
    }
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| Error::invalid_parameter("data", "columns of equal length", error))
        .and_then(|batch| frame_from_batches(&[batch]))
        .or_raise(py)
}

/// A column of numbers as floats, `None` for any other.
fn floats(array: &ArrayRef) -> Option<Vec<f64>> {
    fn read<T: ArrowPrimitiveType>(array: &ArrayRef, float: fn(T::Native) -> f64) -> Vec<f64> {
        let cells = array.as_primitive::<T>().iter();
        cells.map(|cell| cell.map_or(f64::NAN, float)).collect()
    }
    Some(match array.data_type() {
        DataType::Null => vec![f64::NAN; array.len()],
        DataType::Int8 => read::<Int8Type>(array, f64::from),
        DataType::Int16 => read::<Int16Type>(array, f64::from),
        DataType::Int32 => read::<Int32Type>(array, f64::from),
        DataType::Int64 => read::<Int64Type>(array, |n| n as f64),
        DataType::UInt8 => read::<UInt8Type>(array, f64::from),
        DataType::UInt16 => read::<UInt16Type>(array, f64::from),
        DataType::UInt32 => read::<UInt32Type>(array, f64::from),
        DataType::UInt64 => read::<UInt64Type>(array, |n| n as f64),
        DataType::Float32 => read::<Float32Type>(array, f64::from),
        DataType::Float64 => read::<Float64Type>(array, |x| x),
        _ => return None,
    })
}

/// The bytes of a file, by its path, or bytes as they are; and how many they are, if known.
pub(crate) fn bytes(source: &Bound<'_, PyAny>) -> PyResult<(Box<dyn Read + Send>, Option<u64>)> {
    if let Ok(bytes) = source.cast::<PyBytes>() {
        let bytes = bytes.as_bytes().to_vec();
        let size = bytes.len() as u64;
        return Ok((Box::new(Cursor::new(bytes)), Some(size)));
    }
    let Ok(path) = source.extract::<PathBuf>() else {
        return Err(wrong_type("source", "a path or bytes", source));
    };
    let file = File::open(&path).map_err(|error| cannot_open(source.py(), &path, &error))?;
    let size = file.metadata().ok().map(|metadata| metadata.len());
    Ok((Box::new(BufReader::with_capacity(1 << 18, file)), size))
}

/// The Arrow stream of a data frame or reader, or `None` for data of another kind.
pub(crate) fn stream_of(data: &Bound<'_, PyAny>) -> PyResult<Option<FFI_ArrowArrayStream>> {
    if !data.hasattr("__arrow_c_stream__")? {
        return Ok(None);
    }
    match data.call_method0("__arrow_c_stream__") {
        Ok(capsule) => import(&capsule).map(Some),
        // pandas exports through pyarrow; without it its columns are read one by one.
        Err(error)
            if error.is_instance_of::<PyImportError>(data.py()) && data.hasattr("items")? =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes the stream out of its capsule.
fn import(capsule: &Bound<'_, PyAny>) -> PyResult<FFI_ArrowArrayStream> {
    let Ok(capsule) = capsule.cast::<PyCapsule>() else {
        return Err(wrong_type(
            "data.__arrow_c_stream__()",
            "a capsule",
            capsule,
        ));
    };
    let stream = capsule
        .pointer_checked(Some(STREAM))?
        .cast::<FFI_ArrowArrayStream>();
    // SAFETY: the capsule bears the name that Arrow's protocol reserves for a valid stream; the
    // stream is moved out and marked as released, so the capsule will not release it again.
    Ok(unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) })
}

/// A column for a model or a measure, where truth values stand for 0 and 1; events have none.
fn column_or_truths(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let array = match cells.hasattr("to_numpy")? {
        true => &cells.call_method0("to_numpy")?,
        false => cells,
    };
    let is_truth = match array.getattr("dtype") {
        Ok(dtype) => dtype.getattr("kind")?.extract::<String>()? == "b",
        Err(_) => false,
    };
    match is_truth {
        // Truth values have no counterpart in buffers of numbers: 0 and 1 in the same bytes.
        true => column(what, &array.call_method1("view", ("u1",))?),
        false => column(what, array),
    }
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
        Ok(buffer) => buffered(what, cells, buffer),
        Err(_) => objects(what, cells),
    }
}

/// Numbers from a buffer, in the type they have.
fn buffered(what: &str, cells: &Bound<'_, PyAny>, buffer: PyUntypedBuffer) -> PyResult<ArrayRef> {
    fn copy<P: ArrowPrimitiveType<Native: Element>>(
        py: Python<'_>,
        buffer: PyUntypedBuffer,
    ) -> PyResult<ArrayRef> {
        let values = buffer.into_typed::<P::Native>()?.to_vec(py)?;
        Ok(Arc::new(PrimitiveArray::<P>::new(values.into(), None)))
    }

    let py = cells.py();
    check_dimensions(what, py, &buffer)?;
    // A leading sign other than @ states another byte order than the machine's own.
    let format = buffer.format().to_str().unwrap_or_default().to_owned();
    match (format.trim_start_matches('@'), buffer.item_size()) {
        ("b", 1) => copy::<Int8Type>(py, buffer),
        ("h", 2) => copy::<Int16Type>(py, buffer),
        ("i" | "l", 4) => copy::<Int32Type>(py, buffer),
        ("l" | "q", 8) => copy::<Int64Type>(py, buffer),
        ("B", 1) => copy::<UInt8Type>(py, buffer),
        ("H", 2) => copy::<UInt16Type>(py, buffer),
        ("I" | "L", 4) => copy::<UInt32Type>(py, buffer),
        ("L" | "Q", 8) => copy::<UInt64Type>(py, buffer),
        ("f", 4) => copy::<Float32Type>(py, buffer),
        ("d", 8) => copy::<Float64Type>(py, buffer),
        _ => {
            let expected = "integers, floats, times or texts of this machine's byte order";
            let got = format!("buffer format {format:?}");
            Err(Error::invalid_parameter(what, expected, got)).or_raise(py)
        }
    }
}

fn check_dimensions(what: &str, py: Python<'_>, buffer: &PyUntypedBuffer) -> PyResult<()> {
    match buffer.dimensions() {
        1 => Ok(()),
        n => {
            let got = format!("{n} dimensions");
            Err(Error::invalid_parameter(what, "one dimension", got)).or_raise(py)
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
    check_dimensions(what, py, &buffer)?;
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
    let mut objects = Objects {
        what,
        cells,
        missing,
    };
    if objects.missing.iter().all(|missing| *missing) {
        return Ok(Arc::new(NullArray::new(objects.cells.len())));
    }
    let Some(first) = (0..objects.cells.len()).find(|row| objects.is_telling(*row)) else {
        return objects.floats();
    };
    let first = &objects.cells[first];
    if is_number(first)? {
        return objects.numbers();
    }
    // Among texts and instants NaN marks a missing cell; among numbers it is a value.
    let is_text = first.is_instance_of::<PyString>();
    objects.missing = (0..objects.cells.len())
        .map(|row| !objects.is_telling(row))
        .collect();
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
        Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(
            micros,
        )))
    }

    fn numbers(&self) -> PyResult<ArrayRef> {
        let whole = self.read("a number", |cell| match is_number(cell)? {
            true => Ok(Some(cell.hasattr("__index__")?)),
            false => Ok(None),
        })?;
        if whole.contains(&Some(false)) {
            return self.floats();
        }
        let expected = "an integer of 64 bits";
        if let Ok(numbers) = self.read(expected, |cell| Ok(cell.extract::<i64>().ok())) {
            return Ok(Arc::new(Int64Array::from(numbers)));
        }
        let numbers = self.read(expected, |cell| Ok(cell.extract::<u64>().ok()))?;
        Ok(Arc::new(UInt64Array::from(numbers)))
    }

    fn floats(&self) -> PyResult<ArrayRef> {
        let numbers = self.read("a number", |cell| Ok(cell.extract::<f64>().ok()))?;
        Ok(Arc::new(Float64Array::from(numbers)))
    }
}

/// Numbers of Python and numpy, decimals included; truth values are none.
fn is_number(cell: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(cell.hasattr("__float__")? && !cell.get_type().name()?.to_cow()?.starts_with("bool"))
}

/// None, and the two missing marks of pandas.
fn is_missing(cell: &Bound<'_, PyAny>) -> PyResult<bool> {
    if cell.is_none() {
        return Ok(true);
    }
    let name = cell.get_type().name()?;
    Ok(name == "NAType" || name == "NaTType")
}
