//! Record batches to event columns.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, Schema};
use rayon::prelude::*;

use super::check::PIECE;
use super::column::Column;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{
    Cleaning, ColumnNames, DuplicatePolicy, EventColumns, EventKind, Keep, KindColumn, LogStream,
    Roles, Scratch, ValueColumn, check_event_count,
};
use crate::progress::Progress;
use crate::time::TimeUnit;

/// The columns of an Arrow table that play a role in the log, checked and kept alive.
///
/// | role | accepted types |
/// |---|---|
/// | customer, order, item | any integer; text (`Utf8`, `LargeUtf8`, `Utf8View`), plain or dictionary; floats that are whole numbers, NaN = missing |
/// | time | `Timestamp` of any unit (without zone: UTC), `Date32`, `Date64`; integers with [`ColumnNames::time_unit`]; text as [`Timestamp::parse`](crate::Timestamp::parse) reads it |
/// | kind | text, plain or dictionary; `UInt8` codes as [`EventKind::code`]; no column: all purchases |
/// | value | any integer, float or decimal (the nearest `f64`) |
/// | channel | text, plain or dictionary |
///
/// Nulls, and columns of type `Null`, are missing cells. Everything else is refused by name.
#[derive(Debug, Clone)]
pub struct EventBatches {
    rows: usize,
    time_unit: Option<TimeUnit>,
    customer: Column,
    time: Column,
    kind: Option<Column>,
    value: Vec<Column>,
    channel: Option<Column>,
    order: Option<Column>,
    item: Option<Column>,
}

impl EventBatches {
    /// Takes all batches of a reader.
    ///
    /// # Errors
    /// `UnknownName` or `InvalidParameter` where `names` do not fit the columns; `InvalidValue`
    /// where the reader fails, a batch does not have the reader's schema, or a buffer of customers,
    /// times, kinds or values breaks the rules of its type (offsets that fall, text that is not UTF-8,
    /// dictionary keys without value). Channels, orders and items, which a log may leave out, are
    /// checked when they are read.
    pub fn from_reader(reader: impl RecordBatchReader, names: &ColumnNames) -> Result<Self> {
        let mut reader = reader;
        let mut events = EventBatches::empty(&reader.schema(), names)?;
        while let Some(batch) = guarded(|| reader.next().transpose())? {
            events.push(&batch)?;
        }
        Ok(events)
    }

    /// Takes all batches of a C-data stream, which is released at the end.
    ///
    /// # Errors
    /// As [`from_reader`](Self::from_reader); `InvalidValue` for a stream that is released or
    /// whose schema cannot be read.
    pub fn from_stream(stream: FFI_ArrowArrayStream, names: &ColumnNames) -> Result<Self> {
        let reader = guarded(|| RecordBatchStreamReader::try_new(stream))?;
        Self::from_reader(reader, names)
    }

    /// Takes record batches of one schema, at least one.
    ///
    /// # Errors
    /// As [`from_reader`](Self::from_reader); `NotEnoughData` without any batch, since the columns
    /// are then unknown.
    pub fn from_batches(batches: Vec<RecordBatch>, names: &ColumnNames) -> Result<Self> {
        let Some(first) = batches.first() else {
            return Err(Error::not_enough_data(
                "events",
                "at least one record batch",
                0,
            ));
        };
        let mut events = EventBatches::empty(first.schema_ref(), names)?;
        for batch in &batches {
            events.push(batch)?;
        }
        Ok(events)
    }

    fn empty(schema: &Schema, names: &ColumnNames) -> Result<Self> {
        let existing: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let Roles {
            customer,
            time,
            kind,
            value,
            channel,
            order,
            item,
        } = names.resolve(&existing)?;
        let column = |role: &'static str, position: usize| {
            Column::new(role, position, schema.field(position))
        };
        let optional = |role: &'static str, position: Option<usize>| {
            position.map(|at| column(role, at).optional())
        };
        Ok(EventBatches {
            rows: 0,
            time_unit: names.time_unit,
            customer: column("customer", customer),
            time: column("time", time),
            kind: kind.map(|at| column("kind", at)),
            value: value.into_iter().map(|at| column("value", at)).collect(),
            channel: optional("channel", channel),
            order: optional("order", order),
            item: optional("item", item),
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        check_event_count((self.rows as u64).saturating_add(batch.num_rows() as u64))?;
        let columns = [&mut self.customer, &mut self.time]
            .into_iter()
            .chain(&mut self.kind)
            .chain(&mut self.value)
            .chain(&mut self.channel)
            .chain(&mut self.order)
            .chain(&mut self.item);
        for column in columns {
            column.push(batch)?;
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns in the layout of the log, borrowed where they have it already.
    ///
    /// # Errors
    /// `InvalidValue` naming the role for a column of a type that it cannot have or, among channels,
    /// orders and items, one with a buffer that breaks the rules of its type, and naming the row for a time in text that is not one or a time beyond 64 bits; `InvalidParameter` for
    /// integer times without unit.
    pub fn columns(&self) -> Result<EventColumns<'_>> {
        self.columns_where(&Keep::default())
    }

    /// The same without reading, or checking, those that the cleaning leaves out.
    ///
    /// # Errors
    /// As [`columns`](Self::columns).
    pub fn columns_for(&self, cleaning: &Cleaning) -> Result<EventColumns<'_>> {
        if cleaning.duplicates == DuplicatePolicy::Keep {
            self.columns_where(&cleaning.keep)
        } else {
            // The build has a say in it where copies are looked for.
            self.columns()
        }
    }

    fn columns_where(&self, keep: &Keep) -> Result<EventColumns<'_>> {
        fn read<'c, T>(
            column: &'c Option<Column>,
            keep: bool,
            read: fn(&'c Column) -> Result<T>,
        ) -> Result<Option<T>> {
            let column = column.as_ref().filter(|_| keep);
            column.map(|column| read(column.checked()?)).transpose()
        }
        Ok(EventColumns {
            customer: self.customer.ids()?,
            time: self.time.times(self.time_unit)?,
            kind: match &self.kind {
                None => KindColumn::All(EventKind::Purchase),
                Some(column) => column.kinds()?,
            },
            value: product(&self.value)?,
            channel: read(&self.channel, keep.channels, Column::texts)?,
            order: read(&self.order, keep.orders, Column::ids)?,
            item: read(&self.item, keep.items, Column::ids)?,
            unreadable_cells: 0,
        })
    }
}

/// The batches of a reader one by one, for a [`LogStream`] of tables larger than memory.
pub struct BatchReader<R> {
    reader: R,
    empty: EventBatches,
}

impl<R> fmt::Debug for BatchReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchReader")
    }
}

impl BatchReader<RecordBatchStreamReader> {
    /// Reads a C-data stream, which is released at the end.
    ///
    /// # Errors
    /// As [`new`](Self::new); `InvalidValue` for a stream that is released or whose schema cannot be
    /// read.
    pub fn from_stream(stream: FFI_ArrowArrayStream, names: &ColumnNames) -> Result<Self> {
        Self::new(guarded(|| RecordBatchStreamReader::try_new(stream))?, names)
    }
}

impl<R: RecordBatchReader> BatchReader<R> {
    /// Reads the batches of a reader.
    ///
    /// # Errors
    /// `UnknownName` or `InvalidParameter` where `names` do not fit the columns.
    pub fn new(reader: R, names: &ColumnNames) -> Result<Self> {
        let empty = EventBatches::empty(&reader.schema(), names)?;
        Ok(BatchReader { reader, empty })
    }

    /// The next batch, or `None` at the end.
    ///
    /// # Errors
    /// `InvalidValue` as [`EventBatches::from_reader`].
    // Not an iterator: an error is worth more than the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<EventBatches>> {
        let Some(batch) = guarded(|| self.reader.next().transpose())? else {
            return Ok(None);
        };
        let mut events = self.empty.clone();
        events.push(&batch)?;
        Ok(Some(events))
    }
}

impl<S: Scratch> LogStream<S> {
    /// Adds record batches, of which columns that the cleaning leaves out are not read.
    ///
    /// # Errors
    /// As [`EventBatches::columns_for`] and [`push`](Self::push), with rows counted from the start of
    /// the stream.
    pub fn push_batches(&mut self, batches: &EventBatches, progress: &Progress<'_>) -> Result<()> {
        let before = self.rows();
        let columns = batches.columns_for(self.cleaning());
        let columns = columns.map_err(|error| match error.row() {
            Some(row) => error.at_row((before + row) as usize),
            None => error,
        })?;
        self.push(&columns, progress)
    }

    /// Adds all batches of a C-data stream one by one; it is released at the end.
    ///
    /// # Errors
    /// As [`BatchReader`] and [`push_batches`](Self::push_batches); the batches before the one that
    /// failed stay in the stream.
    pub fn push_stream(
        &mut self,
        stream: FFI_ArrowArrayStream,
        names: &ColumnNames,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let mut reader = BatchReader::from_stream(stream, names)?;
        while let Some(batches) = reader.next()? {
            self.push_batches(&batches, progress)?;
        }
        Ok(())
    }
}

/// Runs a step of a foreign reader. The import of C data asserts on malformed arrays (a wrong
/// number of children, a buffer too short), and a caller's mistake must not unwind through us.
pub(super) fn guarded<T>(step: impl FnOnce() -> std::result::Result<T, ArrowError>) -> Result<T> {
    let unreadable = |got: &dyn fmt::Display| {
        Error::new(
            ErrorKind::InvalidValue,
            "events",
            "a readable Arrow stream",
            got,
        )
    };
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| unreadable(&error)),
        Err(_) => Err(unreadable(&"a malformed array")),
    }
}

/// The value column, or the product of several.
fn product(factors: &[Column]) -> Result<Option<ValueColumn<'_>>> {
    let Some((first, rest)) = factors.split_first() else {
        return Ok(None);
    };
    let mut product = first.numbers()?;
    for factor in rest {
        let factor = factor.numbers()?;
        let (a, b) = (product.cells, factor.cells);
        let cells = a.par_iter().zip(&*b).with_min_len(PIECE);
        product.cells = cells.map(|(a, b)| a * b).collect::<Vec<_>>().into();
        product.valid = match (product.valid, factor.valid) {
            (Some(a), Some(b)) => Some(a.iter().zip(&*b).map(|(a, b)| *a && *b).collect()),
            (one, other) => one.or(other),
        };
    }
    Ok(Some(product))
}
