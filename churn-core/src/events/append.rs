//! New events into an existing log, touching only the customers that they belong to.
//!
//! The batch becomes a small log of its own, then each of its customers' events is merged into the
//! customer's place. A place that is too small moves to the end of the columns with room to grow,
//! so that a stream of events costs a constant number of moves per event; what is left behind is
//! reclaimed once it exceeds what is in use. Any sequence of appends equals one build.

use std::cmp::Ordering;

use super::bucket::mark_first_lines;
use super::clean::{CleaningReport, DropReason, DuplicatePolicy, Ledger};
use super::columns::EventColumns;
use super::{EventKind, EventLog, KIND_BITS, NO_CHANNEL, NO_ORDER, Span, check_event_count};
use crate::customers::{CustomerId, Customers, IdStore, text_store};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// Item code of an event without item.
const NO_ITEM: u32 = u32::MAX;

/// Events between two reports of progress.
const REPORT: usize = 1 << 14;

/// Unused places that a log keeps without reclaiming them, however small it is.
const SPARE: u64 = 1 << 16;

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

/// The columns of one event, for merging.
#[derive(Clone, Copy)]
struct Row {
    time: i64,
    kind: u8,
    value: f64,
    channel: u8,
    order: u64,
    item: u32,
}

impl Row {
    /// The canonical order of the build.
    fn compare(&self, other: &Row) -> Ordering {
        (self.time, self.kind)
            .cmp(&(other.time, other.kind))
            .then_with(|| self.value.to_bits().cmp(&other.value.to_bits()))
            .then_with(|| self.channel.cmp(&other.channel))
            .then_with(|| self.order.cmp(&other.order))
            .then_with(|| self.item.cmp(&other.item))
    }
}

impl EventLog {
    /// Adds a batch of events, late ones and duplicates included, under the cleaning that the log
    /// was built with. Equal to building the log once from all rows; on an error the log is as it
    /// was before. A batch may lack channels, orders or items; values must be in all batches or in
    /// none, because without them a purchase counts as one unit of money.
    ///
    /// Cost: the batch, plus the histories of the customers it touches. A customer or an item seen
    /// for the first time also costs a pass over the list of customers or over the item column.
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
        let customers = union(&self.customers, &batch.customers, "events.customer")?;
        let items = match (&self.item_ids, &batch.item_ids) {
            (Some(old), Some(new)) => Some(union(old, new, "events.item")?),
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
        // Rows of the log, in the new numbering, of the batch's customers.
        let touched: Vec<usize> = match &customers {
            None => batch
                .customers
                .iter()
                .filter_map(|id| self.customers.find(id))
                .collect(),
            Some(all) => batch
                .customers
                .iter()
                .filter_map(|id| all.find(id))
                .collect(),
        };
        let old_row = |row: usize| match &customers {
            None => Some(row),
            Some(all) => self.customers.find(all.get(row)),
        };
        if self.cleaning.duplicates == DuplicatePolicy::Reject {
            // Codes are compared below, after both logs speak of the same names; here, before
            // anything changes, the names themselves decide.
            for (batch_row, &row) in touched.iter().enumerate() {
                if let Some(old) = old_row(row)
                    && let Some(time) = self.shared_event(old, &batch, batch_row)
                {
                    return Err(Error::new(
                        ErrorKind::InvalidValue,
                        "events",
                        "rows that differ from those in the log in some column",
                        format_args!(
                            "a copy for customer {} at {}",
                            batch.customers.get(batch_row),
                            crate::time::Timestamp::from_checked_micros(time)
                        ),
                    ));
                }
            }
        }

        let step = progress.step("events.append", batch.len());
        step.advance(0)?;

        // Nothing fails from here on.
        let known = self.customers.len();
        if let Some(all) = customers {
            let spans = {
                let mut old = self.spans.iter().zip(self.customers.iter()).peekable();
                let span = |id| match old.next_if(|(_, known)| *known == id) {
                    Some((span, _)) => *span,
                    None => Span::new(0, 0),
                };
                all.iter().map(span).collect()
            };
            (self.spans, self.customers) = (spans, all);
        }
        self.take_channel_names(&mut batch, &channels);
        self.take_item_ids(&mut batch, items);
        if self.orders.is_none() && batch.orders.is_some() {
            self.orders = Some(vec![NO_ORDER; self.times.len()]);
            self.order_type = batch.order_type;
        }

        let mut scratch = Vec::new();
        let mut lines = Vec::new();
        let mut merged = Vec::new();
        let mut ledger = batch.ledger;
        let mut moved = 0;
        for (batch_row, &row) in touched.iter().enumerate() {
            let new = batch.spans[batch_row].range();
            moved += new.len();
            if moved >= REPORT || batch_row + 1 == touched.len() {
                let _ = step.advance(std::mem::take(&mut moved));
            }
            scratch.clear();
            scratch.extend(new.map(|i| batch.row(i)));
            self.merge_customer(row, &scratch, &mut merged, &mut ledger);
            self.mark(row, &mut lines);
        }
        self.ledger.merge(&ledger);
        self.report = self.ledger.report();
        if self.garbage > SPARE.max(self.len() as u64) {
            self.compact();
        }
        Ok(Appended {
            touched,
            new_customers: self.customers.len() - known,
            report: ledger.report(),
        })
    }

    #[inline]
    fn row(&self, i: usize) -> Row {
        Row {
            time: self.times[i],
            kind: self.kinds[i] & KIND_BITS,
            value: self.values[i],
            channel: self.channels.as_ref().map_or(NO_CHANNEL, |c| c[i]),
            order: self.orders.as_ref().map_or(NO_ORDER, |o| o[i]),
            item: self.items.as_ref().map_or(NO_ITEM, |c| c[i]),
        }
    }

    /// The time of an event of a customer of this log that the batch holds too.
    fn shared_event(&self, row: usize, batch: &EventLog, batch_row: usize) -> Option<i64> {
        let channel = |log: &EventLog, code: u8| log.channel_names.get(usize::from(code)).cloned();
        let item = |log: &EventLog, code: u32| {
            let ids = log.item_ids.as_ref().filter(|_| code != NO_ITEM)?;
            Some(ids.get(code as usize).to_string())
        };
        let old = &self.times[self.spans[row].range()];
        let start = self.spans[row].start as usize;
        batch.spans[batch_row]
            .range()
            .map(|i| batch.row(i))
            .find_map(|new| {
                let first = old.partition_point(|t| *t < new.time);
                (first..old.len())
                    .take_while(|j| old[*j] == new.time)
                    .map(|j| self.row(start + j))
                    .any(|known| {
                        known.kind == new.kind
                            && known.value.to_bits() == new.value.to_bits()
                            && known.order == new.order
                            && channel(self, known.channel) == channel(batch, new.channel)
                            && item(self, known.item) == item(batch, new.item)
                    })
                    .then_some(new.time)
            })
    }

    /// Merges a customer's new rows, which are in canonical order, into the customer's place.
    fn merge_customer(
        &mut self,
        row: usize,
        new: &[Row],
        merged: &mut Vec<Row>,
        ledger: &mut Ledger,
    ) {
        let span = self.spans[row];
        let last = span.range().next_back().map(|i| self.row(i));
        let in_order = last.is_none_or(|last| last.compare(&new[0]).is_lt());
        let room = (span.room - span.len) as usize;
        if in_order && new.len() <= room {
            for (i, new) in new.iter().enumerate() {
                self.write(span.range().end + i, new);
            }
            self.spans[row].len += new.len() as u32;
            return;
        }
        merged.clear();
        let mut old = span.range().map(|i| self.row(i)).peekable();
        for new in new {
            let mut after_old = None;
            while let Some(row) = old.next_if(|old| old.compare(new).is_le()) {
                merged.push(row);
                after_old = Some(row);
            }
            // Copies within the batch were counted by its own build; what is left to count is the
            // first copy of an event that the log held before.
            if after_old.is_some_and(|old| old.compare(new).is_eq()) {
                let is_money = new.kind <= EventKind::Refund.code();
                let money = if is_money { new.value } else { 0.0 };
                if self.cleaning.duplicates != DuplicatePolicy::Drop {
                    ledger.duplicates_kept.add(money);
                } else {
                    ledger.dropped[DropReason::Duplicate as usize].add(money);
                    ledger.rows_kept -= 1;
                    if new.kind == EventKind::Purchase.code() {
                        ledger.bought.remove(new.value);
                    } else if new.kind == EventKind::Refund.code() {
                        ledger.refunded.remove(new.value);
                    }
                    continue;
                }
            }
            merged.push(*new);
        }
        merged.extend(old);
        self.place(row, merged);
    }

    /// Puts a customer's events where they fit: in the customer's place, or at the end with room.
    fn place(&mut self, row: usize, events: &[Row]) {
        let mut span = self.spans[row];
        if events.len() > span.room as usize {
            self.garbage += u64::from(span.room);
            let room = events.len() + events.len() / 2 + 2;
            span = Span {
                start: self.times.len() as u64,
                len: 0,
                room: u32::try_from(room).unwrap_or(u32::MAX),
            };
            let end = self.times.len() + span.room as usize;
            grow(&mut self.times, end, 0);
            grow(&mut self.kinds, end, 0);
            grow(&mut self.values, end, 0.0);
            if let Some(channels) = &mut self.channels {
                grow(channels, end, NO_CHANNEL);
            }
            if let Some(orders) = &mut self.orders {
                grow(orders, end, NO_ORDER);
            }
            if let Some(items) = &mut self.items {
                grow(items, end, NO_ITEM);
            }
        }
        for (i, event) in events.iter().enumerate() {
            self.write(span.start as usize + i, event);
        }
        span.len = events.len() as u32;
        self.spans[row] = span;
    }

    fn write(&mut self, i: usize, row: &Row) {
        self.times[i] = row.time;
        self.kinds[i] = row.kind;
        self.values[i] = row.value;
        if let Some(channels) = &mut self.channels {
            channels[i] = row.channel;
        }
        if let Some(orders) = &mut self.orders {
            orders[i] = row.order;
        }
        if let Some(items) = &mut self.items {
            items[i] = row.item;
        }
    }

    /// Marks the first lines of a customer's orders anew.
    fn mark(&mut self, row: usize, lines: &mut Vec<(u64, u32)>) {
        let range = self.spans[row].range();
        let orders = self
            .orders
            .as_ref()
            .map_or(&[][..], |orders| &orders[range.clone()]);
        mark_first_lines(
            &mut self.kinds[range.clone()],
            &self.times[range],
            orders,
            lines,
        );
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
        for code in self.channels.iter_mut().flatten() {
            *code = codes.get(usize::from(*code)).copied().unwrap_or(NO_CHANNEL);
        }
        self.channel_names = names.into();
    }

    /// Lets both logs code channels by one list of names.
    fn take_channel_names(&mut self, batch: &mut EventLog, names: &[String]) {
        self.recode_channels(names);
        batch.recode_channels(names);
        if self.channels.is_none() && batch.channels.is_some() {
            self.channels = Some(vec![NO_CHANNEL; self.times.len()]);
        }
    }

    /// Lets both logs code items by one list of ids.
    fn take_item_ids(&mut self, batch: &mut EventLog, union: Option<Option<Customers>>) {
        let Some(batch_ids) = &batch.item_ids else {
            return;
        };
        let Some(union) = union else {
            // The log had no items before.
            self.items = Some(vec![NO_ITEM; self.times.len()]);
            self.item_ids = batch.item_ids.clone();
            return;
        };
        let recode = |codes: &mut Option<Vec<u32>>, from: &Customers, to: &Customers| {
            let ranks: Vec<u32> = from
                .iter()
                .map(|id| to.find(id).map_or(NO_ITEM, |code| code as u32))
                .collect();
            for code in codes.iter_mut().flatten() {
                *code = ranks.get(*code as usize).copied().unwrap_or(NO_ITEM);
            }
        };
        if let (Some(all), Some(own)) = (union, &self.item_ids) {
            recode(&mut self.items, own, &all);
            self.item_ids = Some(all);
        }
        if let Some(all) = &self.item_ids {
            recode(&mut batch.items, batch_ids, all);
        }
    }

    /// Moves all events together, customer after customer.
    fn compact(&mut self) {
        fn gather<T: Copy>(column: &mut Vec<T>, spans: &[Span]) {
            let total = spans.iter().map(|span| span.len as usize).sum();
            let mut together = Vec::with_capacity(total);
            for span in spans {
                together.extend_from_slice(&column[span.range()]);
            }
            *column = together;
        }
        gather(&mut self.times, &self.spans);
        gather(&mut self.kinds, &self.spans);
        gather(&mut self.values, &self.spans);
        if let Some(channels) = &mut self.channels {
            gather(channels, &self.spans);
        }
        if let Some(orders) = &mut self.orders {
            gather(orders, &self.spans);
        }
        if let Some(items) = &mut self.items {
            gather(items, &self.spans);
        }
        let mut start = 0;
        for span in &mut self.spans {
            *span = Span::new(start, span.len);
            start += u64::from(span.len);
        }
        self.garbage = 0;
    }
}

/// Lengthens a column by an eighth at least, rarely enough to move, and far from the double that a
/// vector takes by itself: columns are most of the memory.
fn grow<T: Copy>(column: &mut Vec<T>, end: usize, fill: T) {
    if end > column.capacity() {
        let more = (column.len() / 8).max(end - column.len());
        column.reserve_exact(more);
    }
    column.resize(end, fill);
}

fn other_type(what: &str, old: &str, new: &str) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        what,
        format_args!("{old} as in the log"),
        new,
    )
}

/// All ids of both, or `None` where the first knows them all.
fn union(known: &Customers, new: &Customers, what: &str) -> Result<Option<Customers>> {
    if let (false, false) = (known.is_empty(), new.is_empty()) {
        let type_of = |id: CustomerId<'_>| match id {
            CustomerId::Int(_) => "signed integer ids",
            CustomerId::Uint(_) => "unsigned integer ids",
            CustomerId::Text(_) => "text ids",
        };
        let (old, got) = (type_of(known.get(0)), type_of(new.get(0)));
        if old != got {
            return Err(other_type(what, old, got));
        }
    }
    if known.is_empty() && !new.is_empty() {
        return Ok(Some(new.clone()));
    }
    if new.iter().all(|id| known.find(id).is_some()) {
        return Ok(None);
    }
    let mut ids: Vec<CustomerId<'_>> = known.iter().chain(new.iter()).collect();
    // Two sorted runs: the stable sort merges them in one pass.
    ids.sort();
    ids.dedup();
    let int = |id: &CustomerId<'_>| {
        if let CustomerId::Int(id) = id {
            Some(*id)
        } else {
            None
        }
    };
    let uint = |id: &CustomerId<'_>| {
        if let CustomerId::Uint(id) = id {
            Some(*id)
        } else {
            None
        }
    };
    let store = match ids.first() {
        Some(CustomerId::Int(_)) => IdStore::Int(ids.iter().filter_map(int).collect()),
        Some(CustomerId::Uint(_)) => IdStore::Uint(ids.iter().filter_map(uint).collect()),
        _ => {
            let texts = ids.iter().filter_map(|id| match id {
                CustomerId::Text(id) => Some(*id),
                _ => None,
            });
            text_store(&texts.collect::<Vec<_>>())
        }
    };
    Ok(Some(Customers::new(store)))
}
