//! From rows in any order to customer-major, time-ordered columns.
//!
//! Two passes: check every row and put it into its bucket, a range of customers' keys (`intake`);
//! then group and order each bucket inside the cache and write its customers to their final place.
//! Buckets are in ascending order of keys, so the concatenation of their customers is sorted
//! already.

use std::ops::Range;

use rayon::prelude::*;

use super::bucket::{Copies, Grouped, Out, Scratch};
use super::check::RowCleaner;
use super::clean::{Cleaning, Count, DropReason, DuplicatePolicy, Ledger};
use super::columns::{EventColumns, IdColumn, TextColumn};
use super::ids::{Orders, code_ids};
use super::intake::{Intake, Stop, Taken};
use super::keys::Keys;
use super::partition::split_lens;
use super::records::Bucket;
use super::{EventLog, Span, check_event_count};
use crate::customers::{Customers, text_store};
use crate::error::{Error, Result};
use crate::math::sum::ExactSum;
use crate::progress::Progress;

/// Codes per row of the columns that are compared only.
pub(super) struct RowCodes<'c> {
    pub(super) orders: Option<Orders<'c>>,
    pub(super) items: Option<Vec<u32>>,
}

/// Builds the log; see [`EventLog::from_columns`].
pub(super) fn build(
    columns: &EventColumns<'_>,
    cleaning: &Cleaning,
    progress: &Progress<'_>,
) -> Result<EventLog> {
    columns.check_lengths()?;
    let rows = columns.len();
    check_event_count(rows as u64)?;
    let kept = &Optional::of(columns, cleaning)?;
    let cleaner = RowCleaner::new(columns, cleaning)?;
    let mut keys = Keys::of(&columns.customer);
    // Whether records must say which row they came from.
    let mut numbered = kept.order.is_some()
        || kept.item.is_some()
        || cleaning.duplicates == DuplicatePolicy::Reject;
    let (mut log, mut ledger) = loop {
        let mut ledger = Ledger {
            rows_in: rows as u64,
            unreadable_cells: columns.unreadable_cells,
            ..Ledger::default()
        };
        let job = Job {
            kept,
            cleaning,
            intake: Intake {
                cleaner: &cleaner,
                keys: &keys,
                channel: kept.channel,
                rows,
                flags: kept.item.is_some(),
            },
        };
        let built = match (keys.is_wide(), numbered || keys.is_hashed()) {
            (false, false) => job.run::<1, false, 3>(&mut ledger, progress),
            (false, true) => job.run::<1, true, 4>(&mut ledger, progress),
            (true, false) => job.run::<2, false, 4>(&mut ledger, progress),
            (true, true) => job.run::<2, true, 5>(&mut ledger, progress),
        };
        // What a sample told was wrong: once more, in the form that takes everything.
        match built {
            Ok(log) => break (log, ledger),
            Err(Stop::Wrong(error) | Stop::Cancelled(error)) => return Err(error),
            Err(Stop::Time) if !numbered => numbered = true,
            // Nobody gives up without one of the other reasons.
            Err(Stop::Key | Stop::Time | Stop::GivenUp) => match Keys::hashed(&columns.customer) {
                Some(hashed) if !keys.is_hashed() => keys = hashed,
                _ => {
                    let what = "events.customer";
                    return Err(Error::invalid_parameter(what, "ids of one form", "others"));
                }
            },
        }
    };
    ledger.rows_kept = log.kept.len() as u64;
    (ledger.bought, ledger.refunded) = (log.bought, log.refunded);
    match cleaning.duplicates {
        DuplicatePolicy::Keep => ledger.duplicates_kept = log.copies,
        DuplicatePolicy::Drop => ledger.dropped[DropReason::Duplicate as usize] = log.copies,
        DuplicatePolicy::Reject => {}
    }
    let store = if keys.is_hashed() {
        log.sort_by_text(&keys)
    } else {
        let found = std::mem::take(&mut log.keys);
        keys.into_store(found)
    };
    let events = log.kept;
    Ok(EventLog {
        customers: Customers::new(store),
        spans: log.spans,
        used: events.times.len(),
        times: events.times.into(),
        kinds: events.kinds.into(),
        values: events.values.into(),
        channels: kept.channel.is_some().then(|| events.channels.into()),
        orders: kept.order.is_some().then(|| events.orders.into()),
        order_type: kept.order.map(|column| column.cells.type_name()),
        items: kept.item.is_some().then(|| events.items.into()),
        item_ids: log.item_ids,
        channel_names: log.channels.into(),
        garbage: 0,
        cleaning: cleaning.clone(),
        report: ledger.report(),
        ledger,
    })
}

/// The columns that not every log has, where the cleaning keeps them.
pub(super) struct Optional<'c, 'a> {
    pub(super) channel: Option<&'c TextColumn<'a>>,
    pub(super) order: Option<&'c IdColumn<'a>>,
    pub(super) item: Option<&'c IdColumn<'a>>,
}

impl<'c, 'a> Optional<'c, 'a> {
    pub(super) fn of(columns: &'c EventColumns<'a>, cleaning: &Cleaning) -> Result<Self> {
        let keep = &cleaning.keep;
        for (name, left_out) in [
            ("channels", columns.channel.is_some() && !keep.channels),
            ("orders", columns.order.is_some() && !keep.orders),
            ("items", columns.item.is_some() && !keep.items),
        ] {
            if left_out && cleaning.duplicates != DuplicatePolicy::Keep {
                // Rows that differ in that column only would be taken for copies.
                return Err(Error::invalid_parameter(
                    format!("cleaning.keep.{name}"),
                    "true where duplicates are dropped or rejected",
                    false,
                ));
            }
        }
        Ok(Optional {
            channel: columns.channel.as_ref().filter(|_| keep.channels),
            order: columns.order.as_ref().filter(|_| keep.orders),
            item: columns.item.as_ref().filter(|_| keep.items),
        })
    }
}

/// The columns of the log.
#[derive(Default)]
struct Kept {
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<u8>,
    orders: Vec<u64>,
    items: Vec<u32>,
}

impl Kept {
    fn len(&self) -> usize {
        self.times.len()
    }
}

/// Everything the pieces gave together.
struct Assembled {
    kept: Kept,
    keys: Vec<u128>,
    /// A row of each customer, where the key does not tell the id.
    rows: Vec<u32>,
    spans: Vec<Span>,
    copies: Count,
    bought: ExactSum,
    refunded: ExactSum,
    channels: Vec<String>,
    item_ids: Option<Customers>,
}

/// One way of building a log; which one is right may show only while it is tried.
struct Job<'j, 'c, 'a> {
    kept: &'j Optional<'c, 'a>,
    cleaning: &'j Cleaning,
    intake: Intake<'j, 'c, 'a>,
}

impl Job<'_, '_, '_> {
    fn run<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        ledger: &mut Ledger,
        progress: &Progress<'_>,
    ) -> std::result::Result<Assembled, Stop> {
        let mut taken = self.intake.take::<KEY, ROW, W>(ledger, progress)?;
        let mut codes = RowCodes {
            orders: self.kept.order.map(Orders::new),
            items: None,
        };
        let mut item_ids = None;
        if let Some(column) = self.kept.item {
            let step = progress.step("events.ids", self.intake.rows);
            let coded = code_ids(column, "events.item", |row| taken.flags[row])?;
            (codes.items, item_ids) = (Some(coded.codes), Some(Customers::new(coded.store)));
            step.advance(self.intake.rows)?;
        }
        let channels = std::mem::take(&mut taken.channels);
        let built = self.order::<KEY, ROW, W>(taken, &codes, progress)?;
        Ok(Assembled {
            channels,
            item_ids,
            ..built
        })
    }

    /// Groups and orders each bucket, and writes it to its place.
    fn order<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        taken: Taken<W>,
        codes: &RowCodes<'_>,
        progress: &Progress<'_>,
    ) -> Result<Assembled> {
        let Taken {
            buckets,
            frame,
            channel_names,
            ..
        } = taken;
        let lens: Vec<usize> = buckets.par_iter().map(Bucket::len).collect();
        let cleaning = self.cleaning;
        let has_channels = self.kept.channel.is_some();
        let total: usize = lens.iter().sum();
        let optional = |present: bool| if present { total } else { 0 };
        let mut kept = Kept {
            times: vec![0; total],
            kinds: vec![0; total],
            values: vec![0.0; total],
            channels: vec![0; optional(has_channels)],
            orders: vec![0; optional(codes.orders.is_some())],
            items: vec![0; optional(codes.items.is_some())],
        };
        let step = progress.step("events.order", total);
        let drop_copies = cleaning.duplicates == DuplicatePolicy::Drop;
        let grouped: Vec<Grouped> = {
            // An absent column gives empty pieces.
            let optional =
                |present: bool| lens.iter().map(move |len| if present { *len } else { 0 });
            let outs: Vec<Out<'_>> = split_lens(&mut kept.times, lens.iter().copied())
                .into_iter()
                .zip(split_lens(&mut kept.kinds, lens.iter().copied()))
                .zip(split_lens(&mut kept.values, lens.iter().copied()))
                .zip(split_lens(&mut kept.channels, optional(has_channels)))
                .zip(split_lens(
                    &mut kept.orders,
                    optional(codes.orders.is_some()),
                ))
                .zip(split_lens(&mut kept.items, optional(codes.items.is_some())))
                .map(
                    |(((((times, kinds), values), channels), orders), items)| Out {
                        times,
                        kinds,
                        values,
                        channels,
                        orders,
                        items,
                    },
                )
                .collect();
            buckets
                .into_par_iter()
                .zip(outs)
                .map_init(
                    || (Scratch::default(), Vec::new()),
                    |(scratch, records), (bucket, out)| {
                        bucket.read::<KEY, ROW>(&channel_names, records);
                        // Gives the bucket's share of the pages back.
                        drop(bucket);
                        let grouped =
                            scratch.group::<KEY, ROW, W>(records, frame, codes, drop_copies, out);
                        step.advance(records.len())?;
                        Ok(grouped)
                    },
                )
                .collect::<Result<_>>()?
        };

        let mut copies = Copies::default();
        let customers = grouped.iter().map(|piece| piece.keys.len()).sum();
        let mut all = Assembled {
            kept,
            keys: Vec::with_capacity(customers),
            rows: Vec::new(),
            spans: Vec::with_capacity(customers),
            copies: Count::default(),
            bought: ExactSum::default(),
            refunded: ExactSum::default(),
            channels: Vec::new(),
            item_ids: None,
        };
        let mut end = 0;
        for piece in &grouped {
            copies.merge(&piece.copies);
            all.bought.merge(piece.bought);
            all.refunded.merge(piece.refunded);
            all.keys.extend_from_slice(&piece.keys);
            all.rows.extend_from_slice(&piece.rows);
            for count in &piece.counts {
                all.spans.push(Span::new(end, *count));
                end += *count as usize;
            }
        }
        all.copies = copies.count;
        if cleaning.duplicates == DuplicatePolicy::Reject
            && let Some(row) = copies.first
            && let Some(error) = self
                .intake
                .cleaner
                .rejection(row as usize, DropReason::Duplicate)
        {
            return Err(error);
        }
        if end < total {
            let sizes: Vec<usize> = grouped
                .iter()
                .map(|piece| piece.counts.iter().map(|count| *count as usize).sum())
                .collect();
            close_gaps(&mut all.kept.times, &lens, &sizes);
            close_gaps(&mut all.kept.kinds, &lens, &sizes);
            close_gaps(&mut all.kept.values, &lens, &sizes);
            close_gaps(&mut all.kept.channels, &lens, &sizes);
            close_gaps(&mut all.kept.orders, &lens, &sizes);
            close_gaps(&mut all.kept.items, &lens, &sizes);
        }
        Ok(all)
    }
}

impl Assembled {
    /// Puts the customers of hashed keys into the order of their ids, and their events with them.
    fn sort_by_text(&mut self, keys: &Keys<'_>) -> crate::customers::IdStore {
        let mut sorted: Vec<(u128, &str, u32)> = self
            .rows
            .par_iter()
            .enumerate()
            .map(|(customer, row)| {
                let text = keys.text(*row as usize);
                let mut head = [0; 16];
                let len = text.len().min(16);
                head[..len].copy_from_slice(&text.as_bytes()[..len]);
                // Most texts differ in their first bytes, which are compared without looking them up.
                (u128::from_be_bytes(head), text, customer as u32)
            })
            .collect();
        sorted.par_sort_unstable();
        let old: Vec<Range<usize>> = sorted
            .iter()
            .map(|(_, _, customer)| self.spans[*customer as usize].range())
            .collect();
        let mut end = 0;
        for (span, old) in self.spans.iter_mut().zip(&old) {
            *span = Span::new(end, old.len() as u32);
            end += old.len();
        }
        gather(&mut self.kept.times, &old);
        gather(&mut self.kept.kinds, &old);
        gather(&mut self.kept.values, &old);
        gather(&mut self.kept.channels, &old);
        gather(&mut self.kept.orders, &old);
        gather(&mut self.kept.items, &old);
        text_store(&sorted.iter().map(|(_, text, _)| *text).collect::<Vec<_>>())
    }
}

/// Puts pieces of a column one behind another in this order.
fn gather<T: Copy + Default + Send + Sync>(column: &mut Vec<T>, pieces: &[Range<usize>]) {
    const PIECES: usize = 1 << 12;
    if column.is_empty() {
        return;
    }
    let mut ordered = vec![T::default(); column.len()];
    let lens = pieces
        .chunks(PIECES)
        .map(|pieces| pieces.iter().map(Range::len).sum());
    split_lens(&mut ordered, lens)
        .into_par_iter()
        .zip(pieces.par_chunks(PIECES))
        .for_each(|(mut place, pieces)| {
            for piece in pieces {
                let (own, rest) = place.split_at_mut(piece.len());
                own.copy_from_slice(&column[piece.clone()]);
                place = rest;
            }
        });
    *column = ordered;
}

/// Moves the used front of each piece together, where dropped copies left room behind it.
fn close_gaps<T: Copy>(column: &mut Vec<T>, lens: &[usize], sizes: &[usize]) {
    if column.is_empty() {
        return;
    }
    let (mut from, mut to) = (0, 0);
    for (len, size) in lens.iter().zip(sizes) {
        column.copy_within(from..from + size, to);
        from += len;
        to += size;
    }
    column.truncate(to);
}
