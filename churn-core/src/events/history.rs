//! The past: everything that features may see.

use rayon::prelude::*;

use super::kinds::EventKind;
use super::{EventLog, FIRST_LINE, KIND_BITS, NO_CHANNEL};
use crate::customers::{CustomerId, Customers};
use crate::time::{AsOf, Timestamp};

/// One event of a customer, as features see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// When it happened; always before `as_of`.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Money of a purchase or refund (currency, not negative), dwell time of a view (seconds), 0
    /// for other kinds.
    pub value: f64,
    /// Index into [`History::channels`].
    pub channel: Option<usize>,
    /// Whether this purchase line is the first of its order: counting these counts orders.
    pub opens_order: bool,
}

/// The events strictly before an instant; made by [`EventLog::history`] and by nothing else.
///
/// Holds only customers with at least one such event, so that not even the existence of later
/// customers leaks.
#[derive(Debug, Clone)]
pub struct History<'l> {
    log: &'l EventLog,
    as_of: AsOf,
    customers: Customers,
    /// Position behind each customer's last visible event.
    ends: Vec<u64>,
}

impl<'l> History<'l> {
    pub(super) fn new(log: &'l EventLog, as_of: AsOf) -> Self {
        let cut = as_of.instant().micros();
        let ends: Vec<u64> = (0..log.customers.len())
            .into_par_iter()
            .map(|row| {
                let (start, end) = (log.offsets[row] as usize, log.offsets[row + 1] as usize);
                (start + log.times[start..end].partition_point(|t| *t < cut)) as u64
            })
            .collect();
        let seen: Vec<u32> = (0..ends.len())
            .filter(|row| ends[*row] > log.offsets[*row])
            .map(|row| row as u32)
            .collect();
        if seen.len() == ends.len() {
            return History {
                log,
                as_of,
                customers: log.customers.clone(),
                ends,
            };
        }
        History {
            log,
            as_of,
            ends: seen.iter().map(|row| ends[*row as usize]).collect(),
            customers: log.customers.subset(seen),
        }
    }

    /// The customers with an event before `as_of`.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant at which the past ends (exclusive).
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Names of the channels, sorted.
    ///
    /// These are the channels of the whole log: the list of names is configuration of the shop,
    /// not behaviour of a customer.
    pub fn channels(&self) -> &'l [String] {
        &self.log.channel_names
    }

    /// Number of events before `as_of`.
    pub fn event_count(&self) -> usize {
        (0..self.ends.len())
            .map(|row| self.customer(row).len())
            .sum()
    }

    /// The past of one customer.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    #[inline]
    pub fn customer(&self, row: usize) -> CustomerHistory<'l> {
        let log_row = self.customers.store_row(row);
        CustomerHistory {
            log: self.log,
            as_of: self.as_of,
            row: log_row,
            start: self.log.offsets[log_row] as usize,
            end: self.ends[row] as usize,
        }
    }
}

/// The past of one customer in order of time.
#[derive(Debug, Clone, Copy)]
pub struct CustomerHistory<'l> {
    log: &'l EventLog,
    as_of: AsOf,
    row: usize,
    start: usize,
    end: usize,
}

impl<'l> CustomerHistory<'l> {
    /// Whose past it is.
    pub fn id(&self) -> CustomerId<'l> {
        self.log.customers.get(self.row)
    }

    /// The instant at which it ends (exclusive).
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Number of events, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// The events in canonical order: by time, then kind, then value.
    #[inline]
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event> + ExactSizeIterator + use<'l> {
        let log = self.log;
        (self.start..self.end).map(move |i| log.event(i))
    }
}

impl EventLog {
    #[inline]
    fn event(&self, i: usize) -> Event {
        let coded = self.kinds[i];
        Event {
            time: Timestamp::from_checked_micros(self.times[i]),
            // Cleaning stores valid codes only; the fallback is never reached.
            kind: EventKind::from_code(coded & KIND_BITS).unwrap_or(EventKind::Interaction),
            value: self.values[i],
            channel: match &self.channels {
                Some(channels) if channels[i] != NO_CHANNEL => Some(usize::from(channels[i])),
                _ => None,
            },
            opens_order: coded & FIRST_LINE != 0,
        }
    }
}
