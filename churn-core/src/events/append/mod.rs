//! New events into an existing log, touching only the customers that they belong to.
//!
//! The batch becomes a small log of its own, then each of its customers' events is merged into the
//! customer's place (`weave`). A place that is too small moves behind all others with room to grow,
//! so that a stream of events costs a constant number of moves per event; what is left behind is
//! reclaimed once it exceeds what is in use. Any sequence of appends equals one build.

mod weave;

use rayon::prelude::*;

use self::weave::{Run, weave};
use super::clean::{CleaningReport, DropReason, DuplicatePolicy, Ledger};
use super::columns::EventColumns;
use super::ids::NONE;
use super::{Column, EventLog, NO_CHANNEL, NO_ORDER, Span, check_event_count};
use crate::customers::{CustomerId, Customers, Place, insert_all, unknown};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// What an append did.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// Rows of the log's customers that kept rows of the batch belong to, ascending: those whose
    /// features may be out of date.
    pub touched: Vec<usize>,
    /// Number of customers whom the log did not know before.
    pub new_customers: usize,
    /// What cleaning did to the batch.
    pub report: CleaningReport,
}

impl EventLog {
    /// Adds a batch of events, late ones and duplicates included, under the cleaning that the log
    /// was built with. Equal to building the log once from all rows; on an error the log is as it
    /// was before. A batch may lack channels, orders or items; values must be in all batches or in
    /// none, because without them a purchase counts as one unit of money.
    ///
    /// Cost: the batch, plus the histories of the customers it touches, by all threads. A customer
    /// or an item seen for the first time also costs a pass over the list of customers or over the
    /// item column.
    ///
    /// # Errors
    /// As [`from_columns`](EventLog::from_columns) for the batch; `InvalidValue` where its ids are
    /// of another type than the log's, or for copies of events in the log if duplicates are
    /// rejected.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::{EventLog, TimeUnit};
    /// fn rows<'a>(ids: &'a [&'a str], days: &'a [i64]) -> EventColumns<'a> {
    ///     EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
    /// }
    /// let mut log = EventLog::from_columns(&rows(&["ann", "bea"], &[10, 12]), &Cleaning::default())?;
    /// let appended = log.append(&rows(&["bea", "cyd"], &[11, 13]))?;
    /// assert_eq!((appended.touched, appended.new_customers), (vec![1, 2], 1));
    /// let all = rows(&["ann", "bea", "bea", "cyd"], &[10, 12, 11, 13]);
    /// assert_eq!(log, EventLog::from_columns(&all, &Cleaning::default())?);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn append(&mut self, columns: &EventColumns<'_>) -> Result<Appended> {
        self.append_observed(columns, &Progress::none())
    }

    /// The same with progress and cancellation, which leaves the log as it was. The batch is built
    /// and compared first; a stop that comes while its events move into their places (step
    /// `"events.append"`) is too late and has no effect.
    ///
    /// # Errors
    /// As [`append`](Self::append), and `Cancelled`.
    pub fn append_observed(
        &mut self,
        columns: &EventColumns<'_>,
        progress: &Progress<'_>,
    ) -> Result<Appended> {
        check_event_count((self.len() as u64).saturating_add(columns.len() as u64))?;
        let batch = EventLog::from_columns_observed(columns, &self.cleaning, progress)?;
        if self.customers.is_empty() && self.ledger == Ledger::default() {
            let touched = (0..batch.customers.len()).collect();
            let new_customers = batch.customers.len();
            *self = batch;
            return Ok(Appended {
                touched,
                new_customers,
                report: self.report.clone(),
            });
        }
        self.merge(batch, progress)
    }

    fn merge(&mut self, mut batch: EventLog, progress: &Progress<'_>) -> Result<Appended> {
        let places = find_all(&self.customers, &batch.customers, "events.customer")?;
        let items = match (&self.item_ids, &batch.item_ids) {
            (Some(old), Some(new)) => Some(find_all(old, new, "events.item")?),
            _ => None,
        };
        if let (Some(old), Some(new)) = (self.order_type, batch.order_type)
            && old != new
        {
            return Err(other_type("events.order", old, new));
        }
        let mut channels: Vec<String> = self.channel_names.to_vec();
        channels.extend(batch.channel_names.iter().cloned());
        channels.sort_unstable();
        channels.dedup();
        if channels.len() > usize::from(NO_CHANNEL) {
            return Err(Error::invalid_parameter(
                "events.channel",
                format_args!("at most {NO_CHANNEL} distinct names"),
                channels.len(),
            ));
        }
        if self.cleaning.duplicates == DuplicatePolicy::Reject {
            self.check_copies(&batch, &places)?;
        }
        let step = progress.step("events.append", batch.len());
        step.advance(0)?;

        // Nothing fails from here on.
        let mut new_customers = 0;
        // Rows of the log, in the new numbering, of the batch's customers.
        let mut touched = Vec::with_capacity(places.len());
        for place in &places {
            touched.push(place.row as usize + new_customers);
            new_customers += usize::from(!place.known);
        }
        self.customers.insert(&batch.customers, &places);
        let none = Span::new(0, 0);
        insert_all(
            &mut self.spans,
            unknown(&places).map(|(_, place)| (place.row as usize, none)),
        );
        self.take_channel_names(&mut batch, &channels);
        self.take_item_ids(&mut batch, items.as_deref());
        if self.orders.is_none() && batch.orders.is_some() {
            self.orders = Some(Column::like(&self.times, NO_ORDER));
            self.order_type = batch.order_type;
        }
        let copies = weave(self, &batch, &touched, |events| {
            // Too late to stop.
            let _ = step.advance(events);
        });

        let mut ledger = batch.ledger;
        match self.cleaning.duplicates {
            DuplicatePolicy::Drop => {
                ledger.dropped[DropReason::Duplicate as usize].merge(copies.count);
                ledger.rows_kept -= copies.rows;
                ledger.bought.take(copies.bought);
                ledger.refunded.take(copies.refunded);
            }
            DuplicatePolicy::Keep | DuplicatePolicy::Reject => {
                ledger.duplicates_kept.merge(copies.count);
            }
        }
        self.ledger.merge(&ledger);
        self.report = self.ledger.report();
        Ok(Appended {
            touched,
            new_customers,
            report: ledger.report(),
        })
    }

    /// Refuses a batch with copies of events of this log; customers of the batch have these places
    /// here.
    fn check_copies(&self, batch: &EventLog, places: &[Place]) -> Result<()> {
        let copy = places
            .par_iter()
            .enumerate()
            .with_min_len(1 << 8)
            .filter(|(_, place)| place.known)
            .find_map_first(|(batch_row, place)| {
                let time = self.shared_event(place.row as usize, batch, batch_row)?;
                Some((batch_row, time))
            });
        match copy {
            None => Ok(()),
            Some((batch_row, time)) => Err(Error::new(
                ErrorKind::InvalidValue,
                "events",
                "rows that differ from those in the log in some column",
                format_args!(
                    "a copy for customer {} at {}",
                    batch.customers.get(batch_row),
                    crate::time::Timestamp::from_checked_micros(time)
                ),
            )),
        }
    }

    /// The time of an event of a customer of this log that the batch holds too.
    fn shared_event(&self, row: usize, batch: &EventLog, batch_row: usize) -> Option<i64> {
        // The logs do not speak of the same names yet, so the names themselves are compared.
        fn channel(log: &EventLog, code: u8) -> Option<&String> {
            log.channel_names.get(usize::from(code))
        }
        fn item(log: &EventLog, code: u32) -> Option<CustomerId<'_>> {
            let ids = log.item_ids.as_ref().filter(|_| code != NONE)?;
            Some(ids.get(code as usize))
        }
        let old = Run::of(self, self.spans[row]);
        let new = Run::of(batch, batch.spans[batch_row]);
        let shared = (0..new.len()).find(|&i| {
            old.at(new.time(i)).any(|j| {
                old.kind(j) == new.kind(i)
                    && old.value(j).to_bits() == new.value(i).to_bits()
                    && old.order(j) == new.order(i)
                    && channel(self, old.channel(j)) == channel(batch, new.channel(i))
                    && item(self, old.item(j)) == item(batch, new.item(i))
            })
        });
        shared.map(|i| new.time(i))
    }

    /// Codes channels by a sorted list of names that holds those of the log.
    pub(super) fn recode_channels(&mut self, names: &[String]) {
        if self.channel_names[..] == *names {
            return;
        }
        let code_of = |name: &String| match names.binary_search(name) {
            Ok(code) => code as u8,
            Err(_) => NO_CHANNEL,
        };
        let codes: Vec<u8> = self.channel_names.iter().map(code_of).collect();
        if let Some(channels) = &mut self.channels {
            recode(channels, |code| {
                let new = codes.get(usize::from(code)).copied();
                new.unwrap_or(NO_CHANNEL)
            });
        }
        self.channel_names = names.into();
    }

    /// Lets both logs code channels by one list of names.
    fn take_channel_names(&mut self, batch: &mut EventLog, names: &[String]) {
        self.recode_channels(names);
        batch.recode_channels(names);
        if self.channels.is_none() && batch.channels.is_some() {
            self.channels = Some(Column::like(&self.times, NO_CHANNEL));
        }
    }

    /// Lets both logs code items by one list of ids; those of the batch have these places among
    /// those of the log, if it has any.
    fn take_item_ids(&mut self, batch: &mut EventLog, places: Option<&[Place]>) {
        let (Some(ids), Some(new)) = (&mut self.item_ids, &batch.item_ids) else {
            if let Some(new) = &batch.item_ids {
                // The log had no items before.
                self.items = Some(Column::like(&self.times, NONE));
                self.item_ids = Some(new.clone());
            }
            return;
        };
        let places = places.unwrap_or_default();
        // Old codes from which on so many new ones stand before.
        let starts: Vec<u32> = unknown(places).map(|(_, place)| place.row).collect();
        let before = |code: u32| starts.partition_point(|start| *start <= code) as u32;
        if let Some(items) = self.items.as_mut().filter(|_| !starts.is_empty()) {
            let codes: Vec<u32> = (0..ids.len() as u32)
                .map(|code| code + before(code))
                .collect();
            recode(items, |code| {
                codes.get(code as usize).copied().unwrap_or(NONE)
            });
        }
        if let Some(items) = &mut batch.items {
            let mut more = 0;
            let codes: Vec<u32> = places
                .iter()
                .map(|place| {
                    let code = place.row + more;
                    more += u32::from(!place.known);
                    code
                })
                .collect();
            recode(items, |code| {
                codes.get(code as usize).copied().unwrap_or(NONE)
            });
        }
        ids.insert(new, places);
    }
}

/// Gives every cell of a column its new code.
fn recode<T: Copy + Default + Send>(column: &mut Column<T>, code: impl Fn(T) -> T + Sync) {
    for piece in column.pieces_mut() {
        piece
            .par_iter_mut()
            .with_min_len(1 << 14)
            .for_each(|cell| *cell = code(*cell));
    }
}

fn other_type(what: &str, old: &str, new: &str) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        what,
        format_args!("{old} as in the log"),
        new,
    )
}

/// Where the ids of a batch stand among the known ones.
fn find_all(known: &Customers, new: &Customers, what: &str) -> Result<Vec<Place>> {
    let type_of = |ids: &Customers| {
        ids.iter().next().map(|id| match id {
            CustomerId::Int(_) => "signed integer ids",
            CustomerId::Uint(_) => "unsigned integer ids",
            CustomerId::Text(_) => "text ids",
        })
    };
    if let (Some(old), Some(got)) = (type_of(known), type_of(new))
        && old != got
    {
        return Err(other_type(what, old, got));
    }
    // Where there is no id, its type says nothing.
    let places = known.store().places(new.store());
    Ok(places.unwrap_or_else(|| {
        let place = Place {
            row: 0,
            known: false,
        };
        vec![place; new.len()]
    }))
}
