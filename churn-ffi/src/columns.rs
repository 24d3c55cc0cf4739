//! The caller's event columns: pointers and lengths, turned into borrowed slices when the log is
//! built.

use std::ffi::{CStr, c_char};

use churn_core::events::{
    EventColumns, EventKind, IdCells, IdColumn, KindColumn, TextCells, TextColumn, TimeColumn,
    Valid, ValueColumn,
};
use churn_core::{Error, TimeUnit};

use crate::error::{Failure, churn_error, churn_status};
use crate::guard::{self, Out, Result, guard, utf8};

/// Column: whose event it is (int64, uint64 or texts). Required.
pub const CHURN_COLUMN_CUSTOMER: i32 = 1;
/// Column: when it happened. Required.
pub const CHURN_COLUMN_TIME: i32 = 2;
/// Column: what happened (codes or texts). Required.
pub const CHURN_COLUMN_KIND: i32 = 3;
/// Column: money of purchases and refunds, dwell seconds of views.
pub const CHURN_COLUMN_VALUE: i32 = 4;
/// Column: the channel of messages and advertisements (texts).
pub const CHURN_COLUMN_CHANNEL: i32 = 5;
/// Column: the order that a purchase line belongs to (int64, uint64 or texts).
pub const CHURN_COLUMN_ORDER: i32 = 6;
/// Column: the item bought, viewed or touched (int64, uint64 or texts).
pub const CHURN_COLUMN_ITEM: i32 = 7;

/// Names of the columns in errors; index = code - 1.
const NAMES: [&str; 7] = [
    "events.customer",
    "events.time",
    "events.kind",
    "events.value",
    "events.channel",
    "events.order",
    "events.item",
];

/// An array of the caller, as handed over.
struct Raw<T> {
    data: *const T,
    len: usize,
}

impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Raw<T> {}

impl<T> Raw<T> {
    /// # Safety
    /// As for [`guard::slice`].
    unsafe fn slice<'a>(self, what: &'static str) -> Result<&'a [T]> {
        // SAFETY: as the caller says.
        unsafe { guard::slice(self.data, self.len, what) }
    }
}

#[derive(Clone, Copy)]
enum Texts {
    Pointers(Raw<*const c_char>),
    Packed {
        bytes: Raw<u8>,
        offsets: *const i64,
        rows: usize,
    },
    Coded {
        codes: Raw<u32>,
        names: Raw<*const c_char>,
    },
}

#[derive(Clone, Copy)]
enum Ids {
    Int(Raw<i64>),
    Uint(Raw<u64>),
    Text(Texts),
}

#[derive(Clone, Copy)]
enum Kinds {
    All(EventKind),
    Codes(Raw<u8>),
    Names(Texts),
}

/// The columns of an event log as pointers into the caller's memory. The arrays (and the texts
/// they point to) must stay valid and unchanged until the log is built; nothing is copied before.
#[derive(Default)]
pub struct churn_columns {
    customer: Option<Ids>,
    time: Option<(Raw<i64>, TimeUnit)>,
    kind: Option<Kinds>,
    value: Option<Raw<f64>>,
    channel: Option<Texts>,
    order: Option<Ids>,
    item: Option<Ids>,
    valid: [Option<Raw<u8>>; 7],
}

impl churn_columns {
    /// The columns as the core takes them.
    ///
    /// # Safety
    /// All arrays set so far are valid during `'a`.
    pub(crate) unsafe fn borrow<'a>(&self) -> Result<EventColumns<'a>> {
        let customer = self
            .customer
            .ok_or_else(|| missing(CHURN_COLUMN_CUSTOMER))?;
        let (times, unit) = self.time.ok_or_else(|| missing(CHURN_COLUMN_TIME))?;
        let kind = self.kind.ok_or_else(|| missing(CHURN_COLUMN_KIND))?;
        self.check_flags(kind)?;
        // SAFETY: every array is valid during `'a`, as the caller says.
        unsafe {
            let optional_ids =
                |ids: Option<Ids>, column| ids.map(|ids| self.id_column(ids, column)).transpose();
            Ok(EventColumns {
                customer: self.id_column(customer, CHURN_COLUMN_CUSTOMER)?,
                time: TimeColumn {
                    cells: times.slice(name(CHURN_COLUMN_TIME))?.into(),
                    unit,
                    valid: self.valid(CHURN_COLUMN_TIME)?,
                },
                kind: match kind {
                    Kinds::All(kind) => KindColumn::All(kind),
                    Kinds::Codes(codes) => {
                        KindColumn::Codes(codes.slice(name(CHURN_COLUMN_KIND))?.into())
                    }
                    Kinds::Names(texts) => {
                        KindColumn::Names(self.text_column(texts, CHURN_COLUMN_KIND)?)
                    }
                },
                value: match self.value {
                    None => None,
                    Some(cells) => Some(ValueColumn {
                        cells: cells.slice(name(CHURN_COLUMN_VALUE))?.into(),
                        valid: self.valid(CHURN_COLUMN_VALUE)?,
                    }),
                },
                channel: match self.channel {
                    None => None,
                    Some(texts) => Some(self.text_column(texts, CHURN_COLUMN_CHANNEL)?),
                },
                order: optional_ids(self.order, CHURN_COLUMN_ORDER)?,
                item: optional_ids(self.item, CHURN_COLUMN_ITEM)?,
                unreadable_cells: 0,
            })
        }
    }

    /// Refuses flags without their column, and flags for kinds that have none.
    fn check_flags(&self, kind: Kinds) -> Result<()> {
        let columns = [
            (CHURN_COLUMN_VALUE, self.value.is_some()),
            (CHURN_COLUMN_CHANNEL, self.channel.is_some()),
            (CHURN_COLUMN_ORDER, self.order.is_some()),
            (CHURN_COLUMN_ITEM, self.item.is_some()),
        ];
        for (column, set) in columns {
            if !set && self.valid[index(column)].is_some() {
                return Err(missing(column));
            }
        }
        if self.valid[index(CHURN_COLUMN_KIND)].is_some() && !matches!(kind, Kinds::Names(_)) {
            return Err(Error::invalid_parameter(
                "events.kind.valid",
                "flags for kinds that are texts (the code of a missing kind is 0)",
                "flags for codes",
            )
            .into());
        }
        Ok(())
    }

    /// # Safety
    /// The flags are valid.
    unsafe fn valid(&self, column: i32) -> Result<Valid<'static>> {
        match self.valid[index(column)] {
            None => Ok(None),
            Some(flags) => {
                // SAFETY: as the caller says.
                let flags = unsafe { flags.slice(name(column)) }?;
                Ok(Some(flags.iter().map(|flag| *flag != 0).collect()))
            }
        }
    }

    /// # Safety
    /// The arrays are valid during `'a`.
    unsafe fn id_column<'a>(&self, ids: Ids, column: i32) -> Result<IdColumn<'a>> {
        // SAFETY: as the caller says.
        unsafe {
            let cells = match ids {
                Ids::Int(cells) => IdCells::Int(cells.slice(name(column))?.into()),
                Ids::Uint(cells) => IdCells::Uint(cells.slice(name(column))?.into()),
                Ids::Text(texts) => {
                    let TextColumn { cells, valid } = self.text_column(texts, column)?;
                    let cells = IdCells::Text(cells);
                    return Ok(IdColumn { cells, valid });
                }
            };
            let valid = self.valid(column)?;
            Ok(IdColumn { cells, valid })
        }
    }

    /// # Safety
    /// The arrays and the texts they point to are valid during `'a`.
    unsafe fn text_column<'a>(&self, texts: Texts, column: i32) -> Result<TextColumn<'a>> {
        let what = name(column);
        // SAFETY: as the caller says.
        let mut valid = unsafe { self.valid(column) }?;
        let cells = match texts {
            Texts::Pointers(pointers) => {
                // SAFETY: as the caller says.
                let pointers = unsafe { pointers.slice(what) }?;
                // SAFETY: as the caller says.
                let cells = unsafe { strs(pointers, what) }?;
                if pointers.iter().any(|text| text.is_null()) {
                    let flags = valid.get_or_insert_with(|| vec![true; pointers.len()].into());
                    for (flag, text) in flags.to_mut().iter_mut().zip(pointers) {
                        *flag &= !text.is_null();
                    }
                }
                TextCells::StrsOwned(cells)
            }
            Texts::Packed {
                bytes,
                offsets,
                rows,
            } => {
                // SAFETY: as the caller says; a column of n rows has n + 1 offsets.
                let (bytes, offsets) = unsafe {
                    (
                        bytes.slice(what)?,
                        guard::slice(offsets, rows.saturating_add(1), what)?,
                    )
                };
                let bytes = utf8(bytes, what)?;
                check_offsets(bytes, offsets, what)?;
                TextCells::Packed64 {
                    offsets: offsets.into(),
                    bytes: bytes.into(),
                }
            }
            Texts::Coded { codes, names } => {
                // SAFETY: as the caller says.
                let (codes, names) = unsafe { (codes.slice(what)?, names.slice(what)?) };
                if let Some(code) = names.iter().position(|text| text.is_null()) {
                    return Err(Error::invalid_value(what, code, "a name", "NULL").into());
                }
                if let Some(row) = codes.iter().position(|code| *code as usize >= names.len()) {
                    let expected = format!("a code below {}", names.len());
                    return Err(Error::invalid_value(what, row, expected, codes[row]).into());
                }
                // SAFETY: as the caller says.
                let names = unsafe { strs(names, what) }?;
                TextCells::Coded {
                    codes: codes.into(),
                    names: names.into_iter().map(Into::into).collect(),
                }
            }
        };
        Ok(TextColumn { cells, valid })
    }
}

fn index(column: i32) -> usize {
    (column - 1) as usize
}

fn name(column: i32) -> &'static str {
    NAMES[index(column)]
}

fn missing(column: i32) -> Failure {
    Error::invalid_parameter(name(column), "a column", "none").into()
}

/// The texts behind an array of pointers; NULL gives an empty text.
///
/// # Safety
/// Every pointer is NULL or a text ending in NUL, valid during `'a`.
pub(crate) unsafe fn strs<'a>(pointers: &[*const c_char], what: &str) -> Result<Vec<&'a str>> {
    let mut cells = Vec::with_capacity(pointers.len());
    for (row, text) in pointers.iter().enumerate() {
        cells.push(if text.is_null() {
            ""
        } else {
            // SAFETY: not NULL; the rest as the caller says.
            let bytes = unsafe { CStr::from_ptr(*text) }.to_bytes();
            utf8(bytes, what)
                .map_err(|error| Error::invalid_value(what, row, error.expected(), error.got()))?
        });
    }
    Ok(cells)
}

/// Offsets of packed texts must ascend inside the bytes and never split a character.
fn check_offsets(bytes: &str, offsets: &[i64], what: &str) -> Result<()> {
    let mut from = 0_usize;
    for (i, offset) in offsets.iter().enumerate() {
        match usize::try_from(*offset) {
            Ok(to) if to >= from && bytes.is_char_boundary(to) => from = to,
            _ => {
                let expected = format!(
                    "offsets that ascend from 0 to {} and split no character",
                    bytes.len()
                );
                let row = i.saturating_sub(1);
                return Err(Error::invalid_value(what, row, expected, offset).into());
            }
        }
    }
    Ok(())
}

/// Refuses a column that cannot hold what is being set.
fn refuse(column: i32, holds: &str) -> Failure {
    if (1..=NAMES.len() as i32).contains(&column) {
        let expected = format!("a column that may hold {holds}");
        Error::invalid_parameter("column", expected, name(column)).into()
    } else {
        Error::invalid_parameter("column", "one of the codes CHURN_COLUMN_…", column).into()
    }
}

impl churn_columns {
    fn set_ids(&mut self, column: i32, ids: Ids, holds: &str) -> Result<()> {
        match column {
            CHURN_COLUMN_CUSTOMER => self.customer = Some(ids),
            CHURN_COLUMN_ORDER => self.order = Some(ids),
            CHURN_COLUMN_ITEM => self.item = Some(ids),
            _ => return Err(refuse(column, holds)),
        }
        Ok(())
    }

    fn set_texts(&mut self, column: i32, texts: Texts) -> Result<()> {
        match column {
            CHURN_COLUMN_KIND => self.kind = Some(Kinds::Names(texts)),
            CHURN_COLUMN_CHANNEL => self.channel = Some(texts),
            _ => self.set_ids(column, Ids::Text(texts), "texts")?,
        }
        Ok(())
    }
}

/// Refuses NULL for an array with rows, so that the mistake is reported where it is made.
fn array<T>(data: *const T, len: usize, what: &'static str) -> Result<Raw<T>> {
    if data.is_null() && len > 0 {
        return Err(Failure::Null(what));
    }
    Ok(Raw { data, len })
}

/// Makes an empty set of columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_new(
    columns: *mut *mut churn_columns,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a place for one pointer.
        let out = unsafe { Out::new(columns, "columns") }?;
        out.write_handle(churn_columns::default());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets ids that are signed integers: column CHURN_COLUMN_CUSTOMER, _ORDER or _ITEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_int64(
    columns: *mut churn_columns,
    column: i32,
    cells: *const i64,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let cells = array(cells, rows, "cells")?;
        columns.set_ids(column, Ids::Int(cells), "integers")
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets ids that are unsigned integers: column CHURN_COLUMN_CUSTOMER, _ORDER or _ITEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_uint64(
    columns: *mut churn_columns,
    column: i32,
    cells: *const u64,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let cells = array(cells, rows, "cells")?;
        columns.set_ids(column, Ids::Uint(cells), "integers")
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets texts, one NUL-terminated UTF-8 text per row: column CHURN_COLUMN_CUSTOMER, _KIND,
/// _CHANNEL, _ORDER or _ITEM. A NULL cell is missing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_texts(
    columns: *mut churn_columns,
    column: i32,
    cells: *const *const c_char,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let cells = array(cells, rows, "cells")?;
        columns.set_texts(column, Texts::Pointers(cells))
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets texts that lie one after another: row i is the bytes from `offsets[i]` to
/// `offsets[i + 1]` of `bytes` (UTF-8, no NUL), so there are rows + 1 ascending offsets. Columns as for
/// churn_columns_set_texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_packed_texts(
    columns: *mut churn_columns,
    column: i32,
    bytes: *const c_char,
    byte_count: usize,
    offsets: *const i64,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let bytes = array(bytes.cast::<u8>(), byte_count, "bytes")?;
        if offsets.is_null() {
            return Err(Failure::Null("offsets"));
        }
        let texts = Texts::Packed {
            bytes,
            offsets,
            rows,
        };
        columns.set_texts(column, texts)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets texts by code: row i is `names[codes[i]]`, each name NUL-terminated UTF-8. Columns as for
/// churn_columns_set_texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_coded_texts(
    columns: *mut churn_columns,
    column: i32,
    codes: *const u32,
    rows: usize,
    names: *const *const c_char,
    name_count: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let texts = Texts::Coded {
            codes: array(codes, rows, "codes")?,
            names: array(names, name_count, "names")?,
        };
        columns.set_texts(column, texts)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets the times as counts of a unit since 1970-01-01 UTC; `unit` is "D", "s", "ms", "us" or
/// "ns".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_times(
    columns: *mut churn_columns,
    times: *const i64,
    rows: usize,
    unit: *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now, and NULL or a
        // text ending in NUL.
        let (columns, unit) = unsafe {
            (
                guard::handle_mut(columns, "columns")?,
                guard::text(unit, "unit")?,
            )
        };
        let unit = TimeUnit::from_name(unit)?;
        columns.time = Some((array(times, rows, "times")?, unit));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets one kind for all rows: one of the codes CHURN_KIND_….
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_kind(
    columns: *mut churn_columns,
    kind: u8,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        let Some(kind) = EventKind::from_code(kind) else {
            let expected = "one of the codes CHURN_KIND_…";
            return Err(Error::invalid_parameter("kind", expected, kind).into());
        };
        columns.kind = Some(Kinds::All(kind));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets the kinds by code, one of CHURN_KIND_… per row. What happens to other codes is the
/// cleaning's "unknown_kind".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_kind_codes(
    columns: *mut churn_columns,
    codes: *const u8,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        columns.kind = Some(Kinds::Codes(array(codes, rows, "codes")?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets money (currency) and dwell time (seconds). Without values every purchase and refund counts
/// as one unit of money.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_values(
    columns: *mut churn_columns,
    values: *const f64,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        columns.value = Some(array(values, rows, "values")?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Sets which rows of a column hold a value: one byte per row, 0 = missing. NULL takes the flags
/// away again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_set_valid(
    columns: *mut churn_columns,
    column: i32,
    flags: *const u8,
    rows: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a handle that nobody else uses now.
        let columns = unsafe { guard::handle_mut(columns, "columns") }?;
        if !(1..=NAMES.len() as i32).contains(&column) {
            return Err(refuse(column, "flags"));
        }
        columns.valid[index(column)] = (!flags.is_null()).then_some(Raw {
            data: flags,
            len: rows,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a set of columns, not the arrays; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_columns_free(columns: *mut churn_columns) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(columns) }
}
