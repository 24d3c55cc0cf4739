//! The past: everything that features may see.

use rayon::prelude::*;

use super::keep::Keep;
use super::kinds::EventKind;
use super::{EventLog, FIRST_LINE, KIND_BITS, NO_CHANNEL, Span};
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
    /// Number of visible events of each customer.
    lens: Vec<u32>,
}

impl<'l> History<'l> {
    pub(super) fn new(log: &'l EventLog, as_of: AsOf) -> Self {
        let lens = (0..log.spans.len())
            .into_par_iter()
            .map(|row| log.visible(row, as_of))
            .collect();
        Self::from_lens(log, as_of, lens)
    }

    /// From the number of visible events of every customer of the log.
    fn from_lens(log: &'l EventLog, as_of: AsOf, lens: Vec<u32>) -> Self {
        let seen: Vec<u32> = (0..lens.len())
            .filter(|row| lens[*row] > 0)
            .map(|row| row as u32)
            .collect();
        if seen.len() == lens.len() {
            return History {
                log,
                as_of,
                customers: log.customers.clone(),
                lens,
            };
        }
        History {
            log,
            as_of,
            lens: seen.iter().map(|row| lens[*row as usize]).collect(),
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

    /// Which events and columns the log stores.
    pub fn keep(&self) -> &'l Keep {
        self.log.keep()
    }

    /// Names of the channels, sorted.
    ///
    /// These are the channels of the whole log: the list of names is configuration of the shop,
    /// not behaviour of a customer.
    pub fn channels(&self) -> &'l [String] {
        &self.log.channel_names
    }

    /// Number of customers whose row in the log is before `log_row`.
    pub(crate) fn rows_before(&self, log_row: usize) -> usize {
        self.customers.rows_before(log_row)
    }

    /// The same past of these customers only; those who are not in it are left out.
    pub fn only(&self, customers: &Customers) -> History<'l> {
        let rows: Vec<u32> = {
            // Both ascend by id.
            let mut wanted = customers.iter().peekable();
            (0..self.customers.len() as u32)
                .filter(|row| {
                    let id = self.customers.get(*row as usize);
                    while wanted.next_if(|other| *other < id).is_some() {}
                    wanted.peek() == Some(&id)
                })
                .collect()
        };
        self.rows(rows)
    }

    /// The same past of the customers in these rows, which ascend.
    pub(crate) fn rows(&self, rows: Vec<u32>) -> History<'l> {
        History {
            log: self.log,
            as_of: self.as_of,
            lens: rows.iter().map(|row| self.lens[*row as usize]).collect(),
            customers: self.customers.subset(rows),
        }
    }

    /// Number of events before `as_of`.
    pub fn event_count(&self) -> usize {
        self.lens.iter().map(|len| *len as usize).sum()
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
            span: self.log.spans[log_row].part(0..self.lens[row] as usize),
        }
    }
}

/// The past of one customer in order of time.
#[derive(Debug, Clone, Copy)]
pub struct CustomerHistory<'l> {
    log: &'l EventLog,
    as_of: AsOf,
    row: usize,
    /// The events before the instant.
    span: Span,
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

    /// Which events and columns the log stores.
    pub fn keep(&self) -> &'l Keep {
        self.log.keep()
    }

    /// Names of the channels that [`Event::channel`] refers to, as [`History::channels`].
    pub fn channels(&self) -> &'l [String] {
        &self.log.channel_names
    }

    /// Number of events, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.span.len as usize
    }

    /// The events in canonical order: by time, then kind, then value.
    #[inline]
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event> + ExactSizeIterator + use<'l> {
        self.log.events_at(self.span)
    }
}

impl EventLog {
    /// The past of one customer without looking at any other; `None` where the customer has no
    /// event before `as_of` or the log does not know the id.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::{AsOf, EventLog, TimeUnit};
    /// let columns = EventColumns::new(&["ann", "bea"], &[1, 9], TimeUnit::Day, EventKind::View);
    /// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
    /// let as_of = AsOf::parse("1970-01-05")?;
    /// assert_eq!(log.customer("ann", as_of).map(|past| past.len()), Some(1));
    /// assert!(log.customer("bea", as_of).is_none());
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn customer<'a>(
        &self,
        id: impl Into<CustomerId<'a>>,
        as_of: AsOf,
    ) -> Option<CustomerHistory<'_>> {
        self.customer_at(self.customers.find(id)?, as_of)
    }

    /// The same by the customer's row in the log, which must be one.
    pub(crate) fn customer_at(&self, row: usize, as_of: AsOf) -> Option<CustomerHistory<'_>> {
        let len = self.visible(row, as_of) as usize;
        (len > 0).then(|| CustomerHistory {
            log: self,
            as_of,
            row,
            span: self.spans[row].part(0..len),
        })
    }

    /// The events of a span.
    #[inline]
    pub(super) fn events_at(
        &self,
        span: Span,
    ) -> impl DoubleEndedIterator<Item = Event> + ExactSizeIterator + use<'_> {
        let times = self.times.of(span);
        let kinds = self.kinds.of(span);
        let values = self.values.of(span);
        let channels = match &self.channels {
            Some(channels) => channels.of(span),
            None => &[],
        };
        let rows = times.iter().zip(kinds).zip(values).enumerate();
        rows.map(move |(i, ((time, coded), value))| Event {
            time: Timestamp::from_checked_micros(*time),
            // Cleaning stores valid codes only; the fallback is never reached.
            kind: EventKind::from_code(coded & KIND_BITS).unwrap_or(EventKind::Interaction),
            value: *value,
            channel: match channels.get(i) {
                Some(&channel) if channel != NO_CHANNEL => Some(usize::from(channel)),
                _ => None,
            },
            opens_order: coded & FIRST_LINE != 0,
        })
    }

    /// The histories before several instants that ascend, with one look at each customer.
    pub(crate) fn histories(&self, instants: &[AsOf]) -> Vec<History<'_>> {
        const ROWS: usize = 1 << 12;
        let customers = self.spans.len();
        let mut lens: Vec<Vec<u32>> = instants.iter().map(|_| vec![0; customers]).collect();
        let mut chunks: Vec<Vec<&mut [u32]>> = Vec::new();
        chunks.resize_with(customers.div_ceil(ROWS), Vec::new);
        for lens in &mut lens {
            for (chunk, lens) in chunks.iter_mut().zip(lens.chunks_mut(ROWS)) {
                chunk.push(lens);
            }
        }
        chunks.par_iter_mut().enumerate().for_each(|(i, chunk)| {
            let spans = &self.spans[i * ROWS..customers.min((i + 1) * ROWS)];
            for (row, span) in spans.iter().enumerate() {
                let times = self.times.of(*span);
                let mut seen = 0;
                for (lens, as_of) in chunk.iter_mut().zip(instants) {
                    let cut = as_of.instant().micros();
                    seen += times[seen..].partition_point(|t| *t < cut);
                    lens[row] = seen as u32;
                }
            }
        });
        drop(chunks);
        let histories = instants.iter().zip(lens);
        histories
            .map(|(as_of, lens)| History::from_lens(self, *as_of, lens))
            .collect()
    }

    /// The events of one customer (a row of [`customers`](Self::customers)) in `[from, to)`, in
    /// canonical order.
    pub(crate) fn between(
        &self,
        row: usize,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = Event> + use<'_> {
        let span = self.spans[row];
        let times = self.times.of(span);
        let first = times.partition_point(|t| *t < from.micros());
        let end = times.partition_point(|t| *t < to.micros());
        self.events_at(span.part(first..end.max(first)))
    }

    /// Number of a customer's events before `as_of`.
    #[inline]
    fn visible(&self, row: usize, as_of: AsOf) -> u32 {
        let cut = as_of.instant().micros();
        self.times.of(self.spans[row]).partition_point(|t| *t < cut) as u32
    }
}
