//! Arrow across the border: C-data streams and arrays in, streams out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use churn_core::Error;
use churn_core::arrow::{EventBatches, batch_stream};
use churn_core::events::ColumnNames;

use crate::error::Failure;
use crate::guard::{Out, Result};

/// Moves a stream out of the caller's structure, which is marked released.
///
/// # Safety
/// `stream` is NULL or a valid or released stream.
pub(crate) unsafe fn take_stream(
    stream: *mut FFI_ArrowArrayStream,
) -> Result<FFI_ArrowArrayStream> {
    if stream.is_null() {
        return Err(Failure::Null("stream"));
    }
    // SAFETY: not NULL; the rest as the caller says.
    Ok(unsafe { FFI_ArrowArrayStream::from_raw(stream) })
}

/// An array of structures and its schema, moved out of the caller's structures.
pub(crate) struct Taken {
    array: Option<FFI_ArrowArray>,
    schema: Option<FFI_ArrowSchema>,
}

impl Taken {
    /// Moves what is not NULL, so that it is released whatever happens next.
    ///
    /// # Safety
    /// Each is NULL or a valid or released structure.
    pub(crate) unsafe fn new(array: *mut FFI_ArrowArray, schema: *mut FFI_ArrowSchema) -> Self {
        // SAFETY: not NULL; the rest as the caller says.
        unsafe {
            Taken {
                array: (!array.is_null()).then(|| FFI_ArrowArray::from_raw(array)),
                schema: (!schema.is_null()).then(|| FFI_ArrowSchema::from_raw(schema)),
            }
        }
    }

    /// The columns that play a role.
    ///
    /// # Safety
    /// The structures follow the Arrow specification.
    pub(crate) unsafe fn events(self, names: &ColumnNames) -> Result<EventBatches> {
        let array = self.array.ok_or(Failure::Null("array"))?;
        let schema = self.schema.ok_or(Failure::Null("schema"))?;
        let refused = |what: &str, got: &str| {
            Error::invalid_parameter(what, "an Arrow structure that is not released", got)
        };
        if array.is_released() {
            return Err(refused("array", "a released one").into());
        }
        if schema.release().is_none() {
            return Err(refused("schema", "a released one").into());
        }
        // Reading a malformed schema asserts; that is the caller's mistake, not a bug of ours.
        let read = catch_unwind(AssertUnwindSafe(|| Schema::try_from(&schema)));
        let schema = read
            .unwrap_or_else(|_| Err(ArrowError::CDataInterface("a malformed schema".to_owned())))
            .map_err(|error| {
                Error::invalid_parameter("schema", "a readable schema of a struct array", error)
            })?;
        let reader = OneBatch {
            schema: Arc::new(schema),
            array: Some(array),
        };
        Ok(EventBatches::from_reader(reader, names)?)
    }
}

/// One imported array as a reader, so that its malformations meet the same checks as a stream's.
struct OneBatch {
    schema: SchemaRef,
    array: Option<FFI_ArrowArray>,
}

impl Iterator for OneBatch {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let fields = DataType::Struct(self.schema.fields().clone());
        // SAFETY: `Taken::events` promises an array that follows the specification.
        let data = unsafe { from_ffi_and_data_type(self.array.take()?, fields) };
        Some(data.and_then(|data| {
            let rows = StructArray::from(data);
            if rows.null_count() > 0 {
                let message = "a struct array with null rows".to_owned();
                return Err(ArrowError::CDataInterface(message));
            }
            RecordBatch::try_new(Arc::clone(&self.schema), rows.into_parts().1)
        }))
    }
}

impl RecordBatchReader for OneBatch {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Writes a table as a stream of one batch, which the caller releases.
pub(crate) fn export(batch: RecordBatch, stream: Out<FFI_ArrowArrayStream>) {
    stream.write(batch_stream(batch));
}
