//! The caller's event log as borrowed columns: what goes in at the door.

use std::borrow::Cow;

use super::kinds::EventKind;
use crate::error::{Error, Result};
use crate::time::TimeUnit;

/// Text cells in one of the layouts that data frames use, borrowed where possible.
#[derive(Debug, Clone)]
pub enum TextCells<'a> {
    /// One string slice per row.
    Strs(&'a [&'a str]),
    /// One string slice per row, collected from elsewhere.
    StrsOwned(Vec<&'a str>),
    /// Row *i* is `bytes[offsets[i]..offsets[i + 1]]`, with 32-bit offsets.
    Packed32 {
        /// One more offset than rows, ascending.
        offsets: Cow<'a, [i32]>,
        /// The texts one after another.
        bytes: Cow<'a, str>,
    },
    /// The same with 64-bit offsets.
    Packed64 {
        /// One more offset than rows, ascending.
        offsets: Cow<'a, [i64]>,
        /// The texts one after another.
        bytes: Cow<'a, str>,
    },
    /// Row *i* is `names[codes[i]]`.
    Coded {
        /// Index into `names`, one per row.
        codes: Cow<'a, [u32]>,
        /// The distinct texts (repetitions are allowed).
        names: Vec<Cow<'a, str>>,
    },
}

impl TextCells<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            TextCells::Strs(cells) => cells.len(),
            TextCells::StrsOwned(cells) => cells.len(),
            TextCells::Packed32 { offsets, .. } => offsets.len().saturating_sub(1),
            TextCells::Packed64 { offsets, .. } => offsets.len().saturating_sub(1),
            TextCells::Coded { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a row, or `None` where offsets or codes point outside their buffer.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&str> {
        match self {
            TextCells::Strs(cells) => cells.get(row).copied(),
            TextCells::StrsOwned(cells) => cells.get(row).copied(),
            TextCells::Packed32 { offsets, bytes } => {
                let from = usize::try_from(*offsets.get(row)?).ok()?;
                bytes.get(from..usize::try_from(*offsets.get(row + 1)?).ok()?)
            }
            TextCells::Packed64 { offsets, bytes } => {
                let from = usize::try_from(*offsets.get(row)?).ok()?;
                bytes.get(from..usize::try_from(*offsets.get(row + 1)?).ok()?)
            }
            TextCells::Coded { codes, names } => {
                names.get(*codes.get(row)? as usize).map(AsRef::as_ref)
            }
        }
    }
}

/// Which rows hold a value: `None` = all of them, else one flag per row.
pub type Valid<'a> = Option<Cow<'a, [bool]>>;

/// The types of ids in words.
pub(super) const ID_TYPES: [&str; 3] = ["signed integer ids", "unsigned integer ids", "text ids"];

/// Ids in one of three types.
#[derive(Debug, Clone)]
pub enum IdCells<'a> {
    /// Signed integers.
    Int(Cow<'a, [i64]>),
    /// Unsigned integers.
    Uint(Cow<'a, [u64]>),
    /// Texts; an empty text counts as missing.
    Text(TextCells<'a>),
}

impl IdCells<'_> {
    /// The type of the ids, in words of [`ID_TYPES`].
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            IdCells::Int(_) => ID_TYPES[0],
            IdCells::Uint(_) => ID_TYPES[1],
            IdCells::Text(_) => ID_TYPES[2],
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            IdCells::Int(cells) => cells.len(),
            IdCells::Uint(cells) => cells.len(),
            IdCells::Text(cells) => cells.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A column of ids with its missing cells.
#[derive(Debug, Clone)]
pub struct IdColumn<'a> {
    /// The ids.
    pub cells: IdCells<'a>,
    /// Which rows hold an id.
    pub valid: Valid<'a>,
}

/// A column of texts with its missing cells.
#[derive(Debug, Clone)]
pub struct TextColumn<'a> {
    /// The texts.
    pub cells: TextCells<'a>,
    /// Which rows hold a text.
    pub valid: Valid<'a>,
}

/// Times as integers in a stated unit since 1970-01-01 UTC.
#[derive(Debug, Clone)]
pub struct TimeColumn<'a> {
    /// Counts of `unit`.
    pub cells: Cow<'a, [i64]>,
    /// The unit of the counts.
    pub unit: TimeUnit,
    /// Which rows hold a time.
    pub valid: Valid<'a>,
}

/// Kinds of event.
#[derive(Debug, Clone)]
pub enum KindColumn<'a> {
    /// Every row is of this kind.
    All(EventKind),
    /// Codes as [`EventKind::code`] gives them.
    Codes(Cow<'a, [u8]>),
    /// Names that the cleaning's [`KindMap`](super::KindMap) knows.
    Names(TextColumn<'a>),
}

/// Money or dwell seconds.
#[derive(Debug, Clone)]
pub struct ValueColumn<'a> {
    /// The values.
    pub cells: Cow<'a, [f64]>,
    /// Which rows hold a value.
    pub valid: Valid<'a>,
}

/// The columns of an event log, borrowed from the caller. All have the same length.
///
/// # Example
/// ```
/// use churn_core::TimeUnit;
/// use churn_core::events::{EventColumns, EventKind};
/// let columns = EventColumns::new(&[7_i64, 7, 9], &[10, 20, 15], TimeUnit::Day, EventKind::Purchase)
///     .with_values(&[9.5, 20.0, 3.0]);
/// assert_eq!(columns.len(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct EventColumns<'a> {
    /// Whose event it is.
    pub customer: IdColumn<'a>,
    /// When it happened.
    pub time: TimeColumn<'a>,
    /// What happened.
    pub kind: KindColumn<'a>,
    /// Money of purchases and refunds, dwell seconds of views. Without this column every purchase
    /// and refund counts as one unit of money.
    pub value: Option<ValueColumn<'a>>,
    /// The channel of messages and advertisements.
    pub channel: Option<TextColumn<'a>>,
    /// The order that a purchase line belongs to.
    pub order: Option<IdColumn<'a>>,
    /// The item bought, viewed or touched.
    pub item: Option<IdColumn<'a>>,
    /// Cells that whoever read the columns could not read and left out; for the cleaning report.
    pub unreadable_cells: u64,
}

impl<'a> EventColumns<'a> {
    /// The three columns that every log has.
    pub fn new(
        customers: impl Into<IdColumn<'a>>,
        times: &'a [i64],
        unit: TimeUnit,
        kinds: impl Into<KindColumn<'a>>,
    ) -> Self {
        EventColumns {
            customer: customers.into(),
            time: TimeColumn {
                cells: times.into(),
                unit,
                valid: None,
            },
            kind: kinds.into(),
            value: None,
            channel: None,
            order: None,
            item: None,
            unreadable_cells: 0,
        }
    }

    /// With money and dwell seconds; a cell that is NaN counts as not finite.
    pub fn with_values(mut self, values: &'a [f64]) -> Self {
        self.value = Some(ValueColumn {
            cells: values.into(),
            valid: None,
        });
        self
    }

    /// With channels; an empty name is no channel.
    pub fn with_channels(mut self, channels: impl Into<TextColumn<'a>>) -> Self {
        self.channel = Some(channels.into());
        self
    }

    /// With order ids.
    pub fn with_orders(mut self, orders: impl Into<IdColumn<'a>>) -> Self {
        self.order = Some(orders.into());
        self
    }

    /// With item ids.
    pub fn with_items(mut self, items: impl Into<IdColumn<'a>>) -> Self {
        self.item = Some(items.into());
        self
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.customer.cells.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Confirms that all columns and validity flags have the same length.
    ///
    /// # Errors
    /// `LengthMismatch`, naming the column.
    pub fn check_lengths(&self) -> Result<()> {
        let rows = self.len();
        let check = |what: &str, len: usize, valid: Option<&Valid<'_>>| -> Result<()> {
            if len != rows {
                return Err(Error::length_mismatch(what, rows, len));
            }
            match valid {
                Some(Some(flags)) if flags.len() != rows => Err(Error::length_mismatch(
                    format!("{what}.valid"),
                    rows,
                    flags.len(),
                )),
                _ => Ok(()),
            }
        };
        check("events.customer", rows, Some(&self.customer.valid))?;
        check("events.time", self.time.cells.len(), Some(&self.time.valid))?;
        match &self.kind {
            KindColumn::All(_) => {}
            KindColumn::Codes(codes) => check("events.kind", codes.len(), None)?,
            KindColumn::Names(names) => {
                check("events.kind", names.cells.len(), Some(&names.valid))?
            }
        }
        if let Some(value) = &self.value {
            check("events.value", value.cells.len(), Some(&value.valid))?;
        }
        if let Some(channel) = &self.channel {
            check("events.channel", channel.cells.len(), Some(&channel.valid))?;
        }
        for (what, column) in [("events.order", &self.order), ("events.item", &self.item)] {
            if let Some(column) = column {
                check(what, column.cells.len(), Some(&column.valid))?;
            }
        }
        Ok(())
    }
}

/// Whether a row holds a value.
#[inline]
pub(crate) fn is_valid(valid: &Valid<'_>, row: usize) -> bool {
    valid.as_ref().is_none_or(|flags| flags[row])
}

impl<'a> From<IdCells<'a>> for IdColumn<'a> {
    fn from(cells: IdCells<'a>) -> Self {
        IdColumn { cells, valid: None }
    }
}

impl<'a> From<&'a [i64]> for IdColumn<'a> {
    fn from(ids: &'a [i64]) -> Self {
        IdCells::Int(ids.into()).into()
    }
}

impl<'a> From<&'a [u64]> for IdColumn<'a> {
    fn from(ids: &'a [u64]) -> Self {
        IdCells::Uint(ids.into()).into()
    }
}

impl<'a> From<&'a [&'a str]> for IdColumn<'a> {
    fn from(ids: &'a [&'a str]) -> Self {
        IdCells::Text(TextCells::Strs(ids)).into()
    }
}

impl<'a> From<TextCells<'a>> for IdColumn<'a> {
    fn from(cells: TextCells<'a>) -> Self {
        IdCells::Text(cells).into()
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for IdColumn<'a>
where
    &'a [T]: Into<IdColumn<'a>>,
{
    fn from(ids: &'a [T; N]) -> Self {
        ids.as_slice().into()
    }
}

impl<'a, T> From<&'a Vec<T>> for IdColumn<'a>
where
    &'a [T]: Into<IdColumn<'a>>,
{
    fn from(ids: &'a Vec<T>) -> Self {
        ids.as_slice().into()
    }
}

impl<'a> From<TextCells<'a>> for TextColumn<'a> {
    fn from(cells: TextCells<'a>) -> Self {
        TextColumn { cells, valid: None }
    }
}

impl<'a> From<&'a [&'a str]> for TextColumn<'a> {
    fn from(texts: &'a [&'a str]) -> Self {
        TextCells::Strs(texts).into()
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for TextColumn<'a> {
    fn from(texts: &'a [&'a str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<'a> From<&'a Vec<&'a str>> for TextColumn<'a> {
    fn from(texts: &'a Vec<&'a str>) -> Self {
        texts.as_slice().into()
    }
}

impl From<EventKind> for KindColumn<'_> {
    fn from(kind: EventKind) -> Self {
        KindColumn::All(kind)
    }
}

impl<'a> From<&'a [u8]> for KindColumn<'a> {
    fn from(codes: &'a [u8]) -> Self {
        KindColumn::Codes(codes.into())
    }
}

impl<'a> From<&'a Vec<u8>> for KindColumn<'a> {
    fn from(codes: &'a Vec<u8>) -> Self {
        KindColumn::Codes(codes.into())
    }
}

impl<'a, T: Into<TextColumn<'a>>> From<T> for KindColumn<'a> {
    fn from(names: T) -> Self {
        KindColumn::Names(names.into())
    }
}
