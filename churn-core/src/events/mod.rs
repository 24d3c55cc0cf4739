//! The event log: from a caller's columns, cleaned, to each customer's history in order of time.
//!
//! ```text
//! EventColumns<'a> ──from_columns──▶ EventLog ──history(as_of)──▶ History (strictly before as_of)
//!  borrowed, any order                 owned, customer-major, time-ordered
//!                                         └──holdout(as_of)──▶ Holdout (from as_of on) ──▶ Outcomes
//! ```
//!
//! A line belongs in this room if it names a column of the log or cuts time.

mod append;
mod bucket;
mod channel_codes;
mod check;
mod clean;
mod column;
mod columns;
#[cfg(feature = "csv")]
mod csv;
mod group;
mod history;
mod ids;
mod intake;
mod keep;
mod keys;
mod kinds;
mod names;
mod outcomes;
mod partition;
mod records;
#[cfg(any(feature = "arrow", feature = "csv"))]
mod roles;
mod save;
mod stream;

pub use append::Appended;
use clean::Ledger;
pub use clean::{
    Cleaning, CleaningReport, DropReason, DuplicatePolicy, NegativePolicy, Policy, Tally,
};
use column::Column;
pub use columns::{
    EventColumns, IdCells, IdColumn, KindColumn, TextCells, TextColumn, TimeColumn, Valid,
    ValueColumn,
};
#[cfg(feature = "csv")]
pub use csv::{CsvBatches, CsvEvents, CsvOptions};
pub use history::{CustomerHistory, Event, History};
pub use keep::Keep;
pub use kinds::{EventKind, KindMap};
pub use names::ColumnNames;
pub use outcomes::{ChurnDefinition, Holdout, Outcome, Outcomes};
#[cfg(feature = "arrow")]
pub(crate) use roles::Roles;
pub use stream::{LogStream, MemoryScratch, PartitionedLog, Scratch, StreamSettings};

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::time::{AsOf, MICROS_PER_DAY, Timestamp};

/// Bits of a stored kind that hold the code.
const KIND_BITS: u8 = 0x7f;
/// Bit of a stored kind that marks the first line of an order.
const FIRST_LINE: u8 = 0x80;
/// Stored channel of an event without one.
const NO_CHANNEL: u8 = u8::MAX;

/// Stored order of an event without one.
const NO_ORDER: u64 = u64::MAX;

/// Most events that one log holds: row numbers have 32 bits, and two of them are taken. A
/// [`LogStream`] takes more, in partitions of which each is one log.
pub const MAX_EVENTS: u64 = u32::MAX as u64 - 1;

/// Refuses more events than one log holds, by name and before room is made for any.
pub(crate) fn check_event_count(rows: u64) -> Result<()> {
    if rows > MAX_EVENTS {
        let expected = format_args!("at most {MAX_EVENTS} rows in one log");
        return Err(Error::invalid_parameter("events", expected, rows));
    }
    Ok(())
}

/// An event log: checked once, customer-major, each customer's events in canonical order (time,
/// then kind, value, channel, order, item), so that no result depends on the order of the input.
///
/// # Example
/// ```
/// use churn_core::{AsOf, TimeUnit};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// let columns = EventColumns::new(&["bea", "ann", "bea"], &[10, 11, 12], TimeUnit::Day, EventKind::Purchase)
///     .with_values(&[9.5, 20.0, 3.0]);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// assert_eq!(log.customers().len(), 2);
/// let history = log.history(AsOf::parse("1970-01-12")?);
/// assert_eq!(history.customers().len(), 1); // ann's first event is on that day
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EventLog {
    customers: Customers,
    /// Where each customer's events are.
    spans: Vec<Span>,
    times: Column<i64>,
    kinds: Column<u8>,
    values: Column<f64>,
    channels: Option<Column<u8>>,
    /// Fingerprints of order ids, [`NO_ORDER`] where a row has none.
    orders: Option<Column<u64>>,
    /// What the order ids were before: fingerprints of different types do not compare.
    order_type: Option<&'static str>,
    items: Option<Column<u32>>,
    item_ids: Option<Customers>,
    channel_names: std::sync::Arc<[String]>,
    /// Places in the last piece of the columns that belong to somebody, at its front.
    used: usize,
    /// Places of the columns that belong to nobody any more.
    garbage: u64,
    cleaning: Cleaning,
    ledger: Ledger,
    report: CleaningReport,
}

/// The place of one customer's events in the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    /// Piece of the columns.
    piece: u32,
    /// First place there.
    start: u32,
    len: u32,
    /// Places from `start` on that this customer owns; what is not used yet waits for appends.
    room: u32,
}

impl Span {
    /// A place without room to grow in the first piece; no piece has more places than a log has
    /// events.
    fn new(start: usize, len: u32) -> Self {
        Span {
            piece: 0,
            start: start as u32,
            len,
            room: len,
        }
    }

    #[inline]
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    /// Some of its events, counted from the first.
    #[inline]
    fn part(self, events: std::ops::Range<usize>) -> Self {
        Span {
            start: self.start + events.start as u32,
            len: events.len() as u32,
            ..self
        }
    }
}

/// Logs are equal if they hold the same events of the same customers in the same order and count
/// the same rows, wherever the events lie in memory and whatever the policies for the next batch.
impl PartialEq for EventLog {
    fn eq(&self, other: &Self) -> bool {
        fn column<T: Copy + Default>(column: Option<&Column<T>>, span: Span) -> Option<&[T]> {
            column.map(|cells| cells.of(span))
        }
        self.customers == other.customers
            && self.channel_names == other.channel_names
            && self.item_ids == other.item_ids
            && self.ledger == other.ledger
            && self.spans.iter().zip(&other.spans).all(|(a, b)| {
                self.times.of(*a) == other.times.of(*b)
                    && self.kinds.of(*a) == other.kinds.of(*b)
                    && self.values.of(*a) == other.values.of(*b)
                    && column(self.channels.as_ref(), *a) == column(other.channels.as_ref(), *b)
                    && column(self.orders.as_ref(), *a) == column(other.orders.as_ref(), *b)
                    && column(self.items.as_ref(), *a) == column(other.items.as_ref(), *b)
            })
    }
}

impl EventLog {
    /// Cleans and orders a log.
    ///
    /// Shape: all columns have n rows, in any order. Several purchase lines with the same order id
    /// are one order; lines without order id at the same instant are one order too.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of different lengths; `InvalidValue`, naming column and row,
    /// for the first row that the cleaning rejects; `InvalidParameter` for more than 2³² − 2 rows
    /// or more than 255 channels.
    pub fn from_columns(columns: &EventColumns<'_>, cleaning: &Cleaning) -> Result<Self> {
        Self::from_columns_observed(columns, cleaning, &Progress::none())
    }

    /// The same with progress and cancellation.
    ///
    /// # Errors
    /// As [`from_columns`](Self::from_columns), and `Cancelled`.
    pub fn from_columns_observed(
        columns: &EventColumns<'_>,
        cleaning: &Cleaning,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        group::build(columns, cleaning, progress)
    }

    /// All customers of the log.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.ledger.rows_kept as usize
    }

    /// Whether the log holds no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the channels, sorted.
    pub fn channels(&self) -> &[String] {
        &self.channel_names
    }

    /// The ids of items, where the log has items.
    pub fn items(&self) -> Option<&Customers> {
        self.item_ids.as_ref()
    }

    /// Which events and columns the log stores.
    pub fn keep(&self) -> &Keep {
        &self.cleaning.keep
    }

    /// What cleaning did.
    pub fn report(&self) -> &CleaningReport {
        &self.report
    }

    /// First and last instant, or `None` for an empty log.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let ends = self.spans.iter().map(|span| {
            let times = self.times.of(*span);
            (times[0], times[times.len() - 1])
        });
        let (first, last) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let at = Timestamp::from_checked_micros;
        Some((at(first), at(last)))
    }

    /// Midnight behind the last event: the first whole day as of which the log is all past, for
    /// callers who state no instant.
    ///
    /// # Errors
    /// `NotEnoughData` for an empty log.
    pub fn day_after_last(&self) -> Result<AsOf> {
        day_after(self.time_range())
    }

    /// Everything strictly before `as_of`.
    pub fn history(&self, as_of: AsOf) -> History<'_> {
        History::new(self, as_of)
    }
}

/// Midnight behind the last of these instants.
fn day_after(time_range: Option<(Timestamp, Timestamp)>) -> Result<AsOf> {
    let Some((_, last)) = time_range else {
        return Err(Error::not_enough_data(
            "events",
            "at least one event, or a stated as_of",
            "none",
        ));
    };
    let midnight = (last.day() + 1) * MICROS_PER_DAY;
    Ok(AsOf::new(Timestamp::from_checked_micros(midnight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_events_than_a_log_holds_are_refused_by_name() {
        assert!(check_event_count(MAX_EVENTS).is_ok());
        for rows in [MAX_EVENTS + 1, 1 << 32, u64::MAX] {
            let error = check_event_count(rows).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("events: expected at most 4294967294 rows in one log, got {rows}")
            );
        }
    }
}
