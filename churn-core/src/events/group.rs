//! From rows in any order to customer-major, time-ordered columns.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::clean::{
    CleanRow, Cleaning, CleaningReport, Count, DropReason, DuplicatePolicy, RowCleaner,
};
use super::columns::EventColumns;
use super::ids::{Coded, NONE, code_ids, code_names};
use super::{EventLog, FIRST_LINE, KIND_BITS, NO_CHANNEL};
use crate::customers::{Customers, IdStore};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::sum::ExactSum;
use crate::progress::Progress;

/// Rows that one progress report stands for.
const BATCH: usize = 1 << 17;

/// The checked columns in the caller's row order.
struct Rows {
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    customers: Vec<u32>,
    channels: Option<Vec<u32>>,
    orders: Option<Vec<u32>>,
    items: Option<Vec<u32>>,
}

impl Rows {
    /// The canonical order of one customer's events: rows that compare equal are copies.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (a as usize, b as usize);
        let optional = |column: &Option<Vec<u32>>| match column {
            None => Ordering::Equal,
            Some(codes) => codes[a].cmp(&codes[b]),
        };
        self.times[a]
            .cmp(&self.times[b])
            .then_with(|| self.kinds[a].cmp(&self.kinds[b]))
            .then_with(|| self.values[a].total_cmp(&self.values[b]))
            .then_with(|| optional(&self.channels))
            .then_with(|| optional(&self.orders))
            .then_with(|| optional(&self.items))
    }
}

/// Builds the log; see [`EventLog::from_columns`].
pub(super) fn build(
    columns: &EventColumns<'_>,
    cleaning: &Cleaning,
    progress: &Progress<'_>,
) -> Result<EventLog> {
    columns.check_lengths()?;
    let n = columns.len();
    if n >= NONE as usize {
        return Err(Error::invalid_parameter(
            "events",
            format_args!("at most {} rows in one build", NONE - 1),
            n,
        ));
    }
    let cleaner = RowCleaner::new(columns, cleaning)?;
    let mut report = CleaningReport {
        rows_in: n as u64,
        ..CleaningReport::default()
    };
    let (mut rows, keep) = check_rows(columns, &cleaner, &mut report, progress)?;

    let step = progress.step("events.ids", n);
    let Coded { codes, store } = code_ids(&columns.customer, "events.customer", |r| keep[r])?;
    rows.customers = codes;
    step.advance(n)?;
    let mut channel_names = Vec::new();
    if let Some(column) = &columns.channel {
        let (codes, names) = code_names(column, "events.channel", |r| keep[r])?;
        if names.len() >= usize::from(NO_CHANNEL) {
            return Err(Error::invalid_parameter(
                "events.channel",
                format_args!("at most {} distinct channels", NO_CHANNEL - 1),
                names.len(),
            ));
        }
        rows.channels = Some(codes);
        channel_names = names;
    }
    if let Some(column) = &columns.order {
        rows.orders = Some(code_ids(column, "events.order", |r| keep[r])?.codes);
    }
    let mut item_ids = None;
    if let Some(column) = &columns.item {
        let coded = code_ids(column, "events.item", |r| keep[r])?;
        rows.items = Some(coded.codes);
        item_ids = Some(coded.store);
    }
    order_rows(
        rows,
        store,
        channel_names,
        item_ids,
        &cleaner,
        cleaning,
        report,
        progress,
    )
}

/// Checks every row and copies what the log keeps of it.
fn check_rows(
    columns: &EventColumns<'_>,
    cleaner: &RowCleaner<'_, '_>,
    report: &mut CleaningReport,
    progress: &Progress<'_>,
) -> Result<(Rows, Vec<bool>)> {
    let n = columns.len();
    let mut times = vec![0_i64; n];
    let mut kinds = vec![0_u8; n];
    let mut values = vec![0_f64; n];
    let mut keep = vec![false; n];
    let step = progress.step("events.clean", n);
    // Per batch: dropped rows per reason, rows read as refund, and the first rejected row.
    let batches: Vec<Result<_>> = times
        .par_chunks_mut(BATCH)
        .zip(kinds.par_chunks_mut(BATCH))
        .zip(values.par_chunks_mut(BATCH))
        .zip(keep.par_chunks_mut(BATCH))
        .enumerate()
        .map(|(batch, (((times, kinds), values), keep))| {
            let mut dropped = [Count::default(); 8];
            let mut as_refund = Count::default();
            for i in 0..times.len() {
                let row = batch * BATCH + i;
                match cleaner.check(row) {
                    Ok(CleanRow {
                        time,
                        kind,
                        value,
                        read_as_refund,
                    }) => {
                        (times[i], kinds[i], values[i], keep[i]) = (time, kind.code(), value, true);
                        if read_as_refund {
                            as_refund.add(value);
                        }
                    }
                    Err(reason) => {
                        if let Some(error) = cleaner.rejection(row, reason) {
                            return Err(error);
                        }
                        dropped[reason as usize].add(cleaner.money(row));
                    }
                }
            }
            step.advance(times.len())?;
            Ok((dropped, as_refund))
        })
        .collect();
    let mut dropped = [Count::default(); 8];
    let mut as_refund = Count::default();
    // In row order, so that the error named is the first one whatever the threads did.
    for batch in batches {
        let (batch_dropped, batch_refund) = batch?;
        for (all, one) in dropped.iter_mut().zip(batch_dropped) {
            all.merge(one);
        }
        as_refund.merge(batch_refund);
    }
    for reason in DropReason::ALL {
        report.set_dropped(reason, dropped[reason as usize].tally());
    }
    report.read_as_refund = as_refund.tally();
    let rows = Rows {
        times,
        kinds,
        values,
        customers: Vec::new(),
        channels: None,
        orders: None,
        items: None,
    };
    Ok((rows, keep))
}

/// Sorts the kept rows by customer, then into canonical order, and gathers the columns.
#[allow(clippy::too_many_arguments)]
fn order_rows(
    rows: Rows,
    store: IdStore,
    channel_names: Vec<String>,
    item_ids: Option<IdStore>,
    cleaner: &RowCleaner<'_, '_>,
    cleaning: &Cleaning,
    mut report: CleaningReport,
    progress: &Progress<'_>,
) -> Result<EventLog> {
    let customers = store.len();
    let mut offsets = vec![0_u64; customers + 1];
    for &code in rows.customers.iter().filter(|code| **code != NONE) {
        offsets[code as usize + 1] += 1;
    }
    for i in 0..customers {
        offsets[i + 1] += offsets[i];
    }
    let mut next = offsets.clone();
    let mut sorted = vec![0_u32; offsets[customers] as usize];
    for (row, &code) in rows.customers.iter().enumerate() {
        if code != NONE {
            let place = &mut next[code as usize];
            sorted[*place as usize] = row as u32;
            *place += 1;
        }
    }
    drop(next);

    let step = progress.step("events.order", sorted.len());
    let mut parts = split_by_customer(&mut sorted, &offsets);
    parts.par_iter_mut().try_for_each(|part| {
        if !part.is_sorted_by(|a, b| rows.compare(*a, *b) != Ordering::Greater) {
            if part.len() > BATCH {
                part.par_sort_unstable_by(|a, b| rows.compare(*a, *b));
            } else {
                part.sort_unstable_by(|a, b| rows.compare(*a, *b));
            }
        }
        step.advance(part.len())
    })?;

    let copies: Vec<(Count, Option<u32>)> = parts
        .par_iter()
        .map(|part| {
            let mut count = Count::default();
            let mut first = None;
            for pair in part.windows(2) {
                if rows.compare(pair[0], pair[1]) == Ordering::Equal {
                    count.add(cleaner.money(pair[1] as usize));
                    let copy = pair[0].max(pair[1]);
                    first = Some(first.map_or(copy, |row: u32| row.min(copy)));
                }
            }
            (count, first)
        })
        .collect();
    drop(parts);
    let mut duplicates = Count::default();
    copies
        .iter()
        .for_each(|(count, _)| duplicates.merge(*count));
    match cleaning.duplicates {
        DuplicatePolicy::Keep => report.duplicates_kept = duplicates.tally(),
        DuplicatePolicy::Reject => {
            if let Some(row) = copies.iter().filter_map(|(_, row)| *row).min()
                && let Some(error) = cleaner.rejection(row as usize, DropReason::Duplicate)
            {
                return Err(error);
            }
        }
        DuplicatePolicy::Drop if duplicates.tally().rows > 0 => {
            report.set_dropped(DropReason::Duplicate, duplicates.tally());
            let mut unique = Vec::with_capacity(sorted.len());
            let mut new_offsets = vec![0_u64; customers + 1];
            for i in 0..customers {
                let part = &sorted[offsets[i] as usize..offsets[i + 1] as usize];
                for (j, &row) in part.iter().enumerate() {
                    if j == 0 || rows.compare(part[j - 1], row) != Ordering::Equal {
                        unique.push(row);
                    }
                }
                new_offsets[i + 1] = unique.len() as u64;
            }
            sorted = unique;
            offsets = new_offsets;
        }
        DuplicatePolicy::Drop => {}
    }

    report.rows_kept = sorted.len() as u64;
    let gather = |column: &Vec<u32>| -> Vec<u32> {
        sorted.par_iter().map(|r| column[*r as usize]).collect()
    };
    let times: Vec<i64> = sorted.par_iter().map(|r| rows.times[*r as usize]).collect();
    let values: Vec<f64> = sorted
        .par_iter()
        .map(|r| rows.values[*r as usize])
        .collect();
    let mut kinds: Vec<u8> = sorted.par_iter().map(|r| rows.kinds[*r as usize]).collect();
    let orders = rows.orders.as_ref().map(gather);
    let items = rows.items.as_ref().map(gather);
    let channels = rows.channels.as_ref().map(|codes| {
        sorted
            .par_iter()
            .map(|r| match codes[*r as usize] {
                NONE => NO_CHANNEL,
                code => code as u8,
            })
            .collect()
    });
    drop(sorted);
    drop(rows);

    mark_first_lines(&mut kinds, &times, orders.as_deref(), &offsets);
    let (mut bought, mut refunded) = (ExactSum::default(), ExactSum::default());
    for (kind, value) in kinds.iter().zip(&values) {
        match EventKind::from_code(kind & KIND_BITS) {
            Some(EventKind::Purchase) => bought.add(*value),
            Some(EventKind::Refund) => refunded.add(*value),
            _ => {}
        }
    }
    report.purchases_kept = bought.value();
    report.refunds_kept = refunded.value();
    Ok(EventLog {
        customers: Customers::new(store),
        offsets,
        times,
        kinds,
        values,
        channels,
        orders,
        items,
        item_ids: item_ids.map(Customers::new),
        channel_names: channel_names.into(),
        report,
    })
}

/// One mutable slice per customer.
fn split_by_customer<'a, T>(mut rest: &'a mut [T], offsets: &[u64]) -> Vec<&'a mut [T]> {
    let mut parts = Vec::with_capacity(offsets.len() - 1);
    for pair in offsets.windows(2) {
        let (part, tail) = rest.split_at_mut((pair[1] - pair[0]) as usize);
        parts.push(part);
        rest = tail;
    }
    parts
}

/// Sets [`FIRST_LINE`] on the purchase that opens each order, so that counting orders needs no
/// order ids. Whether a line is the first depends on earlier lines only, so the mark is safe to
/// read at any `as_of`.
fn mark_first_lines(kinds: &mut [u8], times: &[i64], orders: Option<&[u32]>, offsets: &[u64]) {
    let mut parts = split_by_customer(kinds, offsets);
    parts.par_iter_mut().enumerate().for_each_init(
        Vec::new,
        |lines: &mut Vec<(u32, u32)>, (customer, kinds)| {
            let start = offsets[customer] as usize;
            lines.clear();
            let mut last_loose = None;
            for i in 0..kinds.len() {
                if kinds[i] != EventKind::Purchase.code() {
                    continue;
                }
                match orders.map_or(NONE, |orders| orders[start + i]) {
                    // Lines without order id at one instant are one order.
                    NONE => {
                        if last_loose != Some(times[start + i]) {
                            kinds[i] |= FIRST_LINE;
                        }
                        last_loose = Some(times[start + i]);
                    }
                    order => lines.push((order, i as u32)),
                }
            }
            lines.sort_unstable();
            for (j, (order, i)) in lines.iter().enumerate() {
                if j == 0 || lines[j - 1].0 != *order {
                    kinds[*i as usize] |= FIRST_LINE;
                }
            }
        },
    );
}
