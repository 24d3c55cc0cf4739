//! From rows in any order to customer-major, time-ordered columns.
//!
//! Three sequential passes: check every row and find its bucket (a range of customer ids),
//! scatter the rows into their buckets, then group and order each bucket inside the cache and
//! write its customers to their final place. Buckets are ranges of ids in ascending order, so the
//! concatenation of their customers is sorted already. Rows that arrive sorted by customer skip
//! the scatter.

use rayon::prelude::*;

use super::bucket::{Copies, Grouped, Out, Record, Scratch, record};
use super::clean::{Cleaning, CleaningReport, Count, DropReason, DuplicatePolicy, RowCleaner};
use super::columns::{EventColumns, IdCells};
use super::ids::{Coded, NONE, code_few_names, code_ids};
use super::partition::{
    NO_BUCKET, Ranges, Scattered, bucket_count, chunk_rows, scatter, split_lens,
};
use super::{EventLog, NO_CHANNEL};
use crate::customers::{Customers, IdStore};
use crate::error::{Error, Result};
use crate::math::sum::ExactSum;
use crate::progress::Progress;

/// What the ordering of ids needs to know of a row's customer: an integer that sorts like the id.
enum Keys<'c> {
    Int(&'c [i64]),
    Uint(&'c [u64]),
    /// Ranks of text ids.
    Rank(Vec<u32>, IdStore),
}

const SIGN: u64 = 1 << 63;

impl Keys<'_> {
    #[inline]
    fn get(&self, row: usize) -> u64 {
        match self {
            // Flipping the sign bit makes unsigned order equal signed order.
            Keys::Int(ids) => ids[row] as u64 ^ SIGN,
            Keys::Uint(ids) => ids[row],
            Keys::Rank(ranks, _) => u64::from(ranks[row]),
        }
    }

    /// The ids of the distinct keys in ascending order.
    fn into_store(self, keys: Vec<u64>) -> IdStore {
        match self {
            Keys::Int(_) => IdStore::Int(keys.into_iter().map(|k| (k ^ SIGN) as i64).collect()),
            Keys::Uint(_) => IdStore::Uint(keys),
            Keys::Rank(_, store) => store,
        }
    }
}

/// Codes per row of the columns that are compared only.
pub(super) struct RowCodes {
    pub(super) channels: Option<Vec<u8>>,
    pub(super) orders: Option<Vec<u32>>,
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
    if rows >= NONE as usize {
        return Err(Error::invalid_parameter(
            "events",
            format_args!("at most {} rows in one build", NONE - 1),
            rows,
        ));
    }
    let cleaner = RowCleaner::new(columns, cleaning)?;
    let mut report = CleaningReport {
        rows_in: rows as u64,
        ..CleaningReport::default()
    };
    let mut buckets = check_rows(&cleaner, rows, &mut report, progress)?;

    let step = progress.step("events.ids", rows);
    let keep = |row: usize| buckets[row] != NO_BUCKET;
    let keys = match &columns.customer.cells {
        IdCells::Int(ids) => Keys::Int(ids),
        IdCells::Uint(ids) => Keys::Uint(ids),
        IdCells::Text(_) => {
            let Coded { codes, store } = code_ids(&columns.customer, "events.customer", keep)?;
            Keys::Rank(codes, store)
        }
    };
    let mut codes = RowCodes {
        channels: None,
        orders: None,
        items: None,
    };
    let mut channel_names = Vec::new();
    if let Some(column) = &columns.channel {
        let (channels, names) = code_few_names(column, "events.channel", NO_CHANNEL, keep)?;
        (codes.channels, channel_names) = (Some(channels), names);
    }
    if let Some(column) = &columns.order {
        codes.orders = Some(code_ids(column, "events.order", keep)?.codes);
    }
    let mut item_ids = None;
    if let Some(column) = &columns.item {
        let coded = code_ids(column, "events.item", keep)?;
        (codes.items, item_ids) = (Some(coded.codes), Some(Customers::new(coded.store)));
    }
    step.advance(rows)?;

    let make = |row: usize| match cleaner.check(row) {
        Ok(clean) => {
            let channel = codes.channels.as_ref().map_or(NO_CHANNEL, |c| c[row]);
            record(keys.get(row), row, &clean, channel)
        }
        // Only rows that passed the same check before have a bucket.
        Err(_) => Record::default(),
    };
    let pieces = if is_sorted(&buckets, &keys) {
        Pieces::in_place(&buckets, &keys)
    } else {
        let ranges = Ranges::sample(rows, |r| (buckets[r] != NO_BUCKET).then(|| keys.get(r)));
        assign(&mut buckets, &keys, &ranges);
        let records = vec![Record::default(); rows];
        let step = progress.step("events.partition", rows);
        let advance = |rows: usize| step.advance(rows);
        Pieces::Scattered(scatter(&buckets, ranges.len(), records, make, advance)?)
    };
    let mut log = group_pieces(
        &pieces, &buckets, make, &codes, cleaning, &cleaner, progress,
    )?;
    report.rows_kept = log.kept.len() as u64;
    report.purchases_kept = log.bought.value();
    report.refunds_kept = log.refunded.value();
    match cleaning.duplicates {
        DuplicatePolicy::Keep => report.duplicates_kept = log.copies.tally(),
        DuplicatePolicy::Drop => report.set_dropped(DropReason::Duplicate, log.copies.tally()),
        DuplicatePolicy::Reject => {}
    }
    let kept = std::mem::take(&mut log.kept);
    Ok(EventLog {
        customers: Customers::new(keys.into_store(log.keys)),
        offsets: log.offsets,
        times: kept.times,
        kinds: kept.kinds,
        values: kept.values,
        channels: codes.channels.is_some().then_some(kept.channels),
        orders: codes.orders.is_some().then_some(kept.orders),
        items: codes.items.is_some().then_some(kept.items),
        item_ids,
        channel_names: channel_names.into(),
        report,
    })
}

/// Checks every row: 0 for a row that stays, [`NO_BUCKET`] for one that is dropped and counted.
fn check_rows(
    cleaner: &RowCleaner<'_, '_>,
    rows: usize,
    report: &mut CleaningReport,
    progress: &Progress<'_>,
) -> Result<Vec<u16>> {
    let chunk = chunk_rows(rows);
    let mut buckets = vec![0_u16; rows];
    let step = progress.step("events.clean", rows);
    let chunks: Vec<Result<_>> = buckets
        .par_chunks_mut(chunk)
        .enumerate()
        .map(|(i, buckets)| {
            let mut dropped = [Count::default(); 8];
            let mut as_refund = Count::default();
            for (j, bucket) in buckets.iter_mut().enumerate() {
                let row = i * chunk + j;
                match cleaner.check(row) {
                    Ok(clean) if clean.read_as_refund => as_refund.add(clean.value),
                    Ok(_) => {}
                    Err(reason) => {
                        if let Some(error) = cleaner.rejection(row, reason) {
                            return Err(error);
                        }
                        dropped[reason as usize].add(cleaner.money(row));
                        *bucket = NO_BUCKET;
                    }
                }
            }
            step.advance(buckets.len())?;
            Ok((dropped, as_refund))
        })
        .collect();
    let mut dropped = [Count::default(); 8];
    let mut as_refund = Count::default();
    // In row order, so that the error named is the first one whatever the threads did.
    for chunk in chunks {
        let (chunk_dropped, chunk_refund) = chunk?;
        for (all, one) in dropped.iter_mut().zip(chunk_dropped) {
            all.merge(one);
        }
        as_refund.merge(chunk_refund);
    }
    for reason in DropReason::ALL {
        report.set_dropped(reason, dropped[reason as usize].tally());
    }
    report.read_as_refund = as_refund.tally();
    Ok(buckets)
}

/// Whether the kept rows come sorted by customer.
fn is_sorted(buckets: &[u16], keys: &Keys<'_>) -> bool {
    let mut last = 0;
    for (row, &bucket) in buckets.iter().enumerate() {
        if bucket != NO_BUCKET {
            let key = keys.get(row);
            if key < last {
                return false;
            }
            last = key;
        }
    }
    true
}

fn assign(buckets: &mut [u16], keys: &Keys<'_>, ranges: &Ranges) {
    let chunk = chunk_rows(buckets.len());
    buckets
        .par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(i, buckets)| {
            for (j, bucket) in buckets.iter_mut().enumerate() {
                if *bucket != NO_BUCKET {
                    *bucket = ranges.of(keys.get(i * chunk + j));
                }
            }
        });
}

/// Where the records of each piece of consecutive customers are.
enum Pieces {
    Scattered(Scattered<Record>),
    /// Ranges of rows that no customer straddles, and how many of them are kept.
    InPlace(Vec<(std::ops::Range<usize>, usize)>),
}

impl Pieces {
    fn in_place(buckets: &[u16], keys: &Keys<'_>) -> Self {
        let target = buckets.len() / bucket_count(buckets.len()) + 1;
        let mut pieces = Vec::new();
        let (mut start, mut kept, mut last) = (0, 0, None);
        for (row, &bucket) in buckets.iter().enumerate() {
            if bucket == NO_BUCKET {
                continue;
            }
            let key = keys.get(row);
            if row - start >= target && last != Some(key) {
                pieces.push((start..row, kept));
                (start, kept) = (row, 0);
            }
            kept += 1;
            last = Some(key);
        }
        pieces.push((start..buckets.len(), kept));
        Pieces::InPlace(pieces)
    }

    fn lens(&self) -> Vec<usize> {
        match self {
            Pieces::Scattered(s) => s.offsets.windows(2).map(|pair| pair[1] - pair[0]).collect(),
            Pieces::InPlace(pieces) => pieces.iter().map(|(_, kept)| *kept).collect(),
        }
    }
}

/// The columns of the log.
#[derive(Default)]
struct Kept {
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<u8>,
    orders: Vec<u32>,
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
    keys: Vec<u64>,
    offsets: Vec<u64>,
    copies: Count,
    bought: ExactSum,
    refunded: ExactSum,
}

fn group_pieces(
    pieces: &Pieces,
    buckets: &[u16],
    make: impl Fn(usize) -> Record + Sync,
    codes: &RowCodes,
    cleaning: &Cleaning,
    cleaner: &RowCleaner<'_, '_>,
    progress: &Progress<'_>,
) -> Result<Assembled> {
    let lens = pieces.lens();
    let total: usize = lens.iter().sum();
    let optional = |present: bool| if present { total } else { 0 };
    let mut kept = Kept {
        times: vec![0; total],
        kinds: vec![0; total],
        values: vec![0.0; total],
        channels: vec![0; optional(codes.channels.is_some())],
        orders: vec![0; optional(codes.orders.is_some())],
        items: vec![0; optional(codes.items.is_some())],
    };
    let step = progress.step("events.order", total);
    let drop_copies = cleaning.duplicates == DuplicatePolicy::Drop;
    let grouped: Vec<Grouped> = {
        // An absent column gives empty pieces.
        let optional = |present: bool| lens.iter().map(move |len| if present { *len } else { 0 });
        let outs: Vec<Out<'_>> = split_lens(&mut kept.times, lens.iter().copied())
            .into_iter()
            .zip(split_lens(&mut kept.kinds, lens.iter().copied()))
            .zip(split_lens(&mut kept.values, lens.iter().copied()))
            .zip(split_lens(
                &mut kept.channels,
                optional(codes.channels.is_some()),
            ))
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
        outs.into_par_iter()
            .enumerate()
            .map_init(
                || (Scratch::default(), Vec::new()),
                |(scratch, rows), (i, out)| {
                    let records = match pieces {
                        Pieces::Scattered(s) => &s.records[s.offsets[i]..s.offsets[i + 1]],
                        Pieces::InPlace(pieces) => {
                            rows.clear();
                            let kept = pieces[i].0.clone().filter(|r| buckets[*r] != NO_BUCKET);
                            rows.extend(kept.map(&make));
                            rows.as_slice()
                        }
                    };
                    let grouped = scratch.group(records, codes, drop_copies, out);
                    step.advance(records.len())?;
                    Ok(grouped)
                },
            )
            .collect::<Result<_>>()?
    };

    let mut copies = Copies::default();
    let mut all = Assembled {
        kept,
        keys: Vec::with_capacity(grouped.iter().map(|piece| piece.keys.len()).sum()),
        offsets: vec![0],
        copies: Count::default(),
        bought: ExactSum::default(),
        refunded: ExactSum::default(),
    };
    let mut end = 0;
    for piece in &grouped {
        copies.merge(&piece.copies);
        all.bought.merge(piece.bought);
        all.refunded.merge(piece.refunded);
        all.keys.extend_from_slice(&piece.keys);
        for count in &piece.counts {
            end += u64::from(*count);
            all.offsets.push(end);
        }
    }
    all.copies = copies.count;
    if cleaning.duplicates == DuplicatePolicy::Reject
        && let Some(row) = copies.first
        && let Some(error) = cleaner.rejection(row as usize, DropReason::Duplicate)
    {
        return Err(error);
    }
    if (end as usize) < total {
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
