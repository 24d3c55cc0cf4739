//! Results of analysis: a table with named columns and a few numbers about the whole.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use churn_core::Error;

use crate::arrow::export;
use crate::error::{c_text, churn_error, churn_status};
use crate::guard::{self, Out, guard};

/// A table that an analysis made.
pub struct churn_analysis {
    batch: RecordBatch,
    facts: CString,
    /// Columns as numbers, made when first asked for.
    numbers: Vec<OnceLock<Option<Vec<f64>>>>,
}

impl churn_analysis {
    /// `facts` are what describes the table as a whole.
    pub(crate) fn new(batch: RecordBatch, facts: &serde_json::Value) -> Self {
        churn_analysis {
            numbers: batch.columns().iter().map(|_| OnceLock::new()).collect(),
            facts: c_text(&facts.to_string()),
            batch,
        }
    }
}

/// Numbers, counts, instants (microseconds) and flags (0, 1) as numbers; null is NaN.
fn as_numbers(column: &dyn Array) -> Option<Vec<f64>> {
    fn read<T>(cells: impl Iterator<Item = Option<T>>, number: fn(T) -> f64) -> Vec<f64> {
        cells.map(|cell| cell.map_or(f64::NAN, number)).collect()
    }
    Some(match column.data_type() {
        DataType::Float64 => read(column.as_primitive::<Float64Type>().iter(), |x| x),
        DataType::UInt64 => read(column.as_primitive::<UInt64Type>().iter(), |n| n as f64),
        DataType::Int64 => read(column.as_primitive::<Int64Type>().iter(), |n| n as f64),
        DataType::Timestamp(..) => read(
            column.as_primitive::<TimestampMicrosecondType>().iter(),
            |n| n as f64,
        ),
        DataType::Boolean => read(column.as_boolean().iter(), |b| f64::from(u8::from(b))),
        _ => return None,
    })
}

/// Number of rows; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_analysis_len(analysis: *const churn_analysis) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { analysis.as_ref() }.map_or(0, |analysis| analysis.batch.num_rows())
}

/// A column as numbers, one per row, valid until the analysis is freed: null is NaN, flags are 0 and
/// 1, instants are microseconds since 1970-01-01 UTC. Texts are read through the export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_analysis_numbers(
    analysis: *const churn_analysis,
    column: *const c_char,
    numbers: *mut *const f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (analysis, column, out) = unsafe {
            (
                guard::handle(analysis, "analysis")?,
                guard::text(column, "column")?,
                Out::new(numbers, "numbers")?,
            )
        };
        let schema = analysis.batch.schema_ref();
        let Ok(index) = schema.index_of(column) else {
            let known = schema.fields().iter().map(|field| field.name());
            return Err(Error::unknown_name("column", column, known).into());
        };
        let cells = analysis.batch.column(index);
        match analysis.numbers[index].get_or_init(|| as_numbers(cells)) {
            Some(numbers) => {
                out.write(numbers.as_ptr());
                Ok(())
            }
            None => {
                let got = format!("{} ({})", column, cells.data_type());
                Err(Error::invalid_parameter("column", "a column of numbers", got).into())
            }
        }
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What describes the analysis as a whole, as JSON (e.g. {"median":56.0}), valid until it is freed;
/// NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_analysis_facts(analysis: *const churn_analysis) -> *const c_char {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { analysis.as_ref() }.map_or(std::ptr::null(), |analysis| analysis.facts.as_ptr())
}

/// Writes the table as an Arrow C stream, which is independent of the analysis; release it. What
/// stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_analysis_export(
    analysis: *const churn_analysis,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (analysis, out) = unsafe {
            (
                guard::handle(analysis, "analysis")?,
                Out::new(stream, "stream")?,
            )
        };
        export(analysis.batch.clone(), out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees an analysis; its columns go with it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_analysis_free(analysis: *mut churn_analysis) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(analysis) }
}
