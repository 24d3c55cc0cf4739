//! From rows in any order to customer-major, time-ordered columns.
//!
//! Three sequential passes: check every row and find its bucket (a range of customer ids),
//! scatter the rows into their buckets, then group and order each bucket inside the cache and
//! write its customers to their final place. Buckets are ranges of ids in ascending order, so the
//! concatenation of their customers is sorted already. Rows that arrive sorted by customer skip
//! the scatter.

use rayon::prelude::*;

use super::bucket::{Copies, Grouped, Out, Record, Scratch, record};
use super::check::RowCleaner;
use super::clean::{Cleaning, Count, DropReason, DuplicatePolicy, Ledger, REASONS};
use super::columns::{EventColumns, IdCells, IdColumn, TextCells, TextColumn};
use super::ids::{Coded, Orders, code_few_names, code_ids};
use super::partition::{
    NO_BUCKET, Ranges, Scattered, bucket_count, chunk_rows, scatter, split_lens,
};
use super::{EventLog, NO_CHANNEL, Span, check_event_count};
use crate::customers::{Customers, IdStore};
use crate::error::{Error, Result};
use crate::math::sum::ExactSum;
use crate::progress::Progress;

/// The customer of each row as an integer that sorts like the id.
enum Keys<'c> {
    Int(&'c [i64]),
    Uint(&'c [u64]),
    /// Texts short enough to be integers themselves; `min` and `shift` map them to 64 bits.
    Short {
        cells: &'c TextCells<'c>,
        min: u128,
        shift: u32,
    },
    /// Ranks of longer texts.
    Rank(Vec<u32>, IdStore),
}

const SIGN: u64 = 1 << 63;
/// Bytes of text that fit beside their length into 128 bits.
const SHORT: usize = 15;

/// A short text as an integer: its bytes from the top, its length at the bottom, so that integers
/// sort like texts and the empty places behind a text cannot be confused with zero bytes in it.
#[inline]
fn short_key(text: &str) -> u128 {
    let mut bytes = [0; 16];
    let len = text.len().min(SHORT);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes[SHORT] = len as u8;
    u128::from_be_bytes(bytes)
}

impl<'c> Keys<'c> {
    fn of(column: &'c IdColumn<'c>, keep: impl Fn(usize) -> bool + Sync) -> Result<Self> {
        let cells = match &column.cells {
            IdCells::Int(ids) => return Ok(Keys::Int(ids)),
            IdCells::Uint(ids) => return Ok(Keys::Uint(ids)),
            IdCells::Text(cells) => cells,
        };
        let is_short = |row: usize| !keep(row) || cells.get(row).is_none_or(|t| t.len() <= SHORT);
        let rows = (0..cells.len()).into_par_iter().with_min_len(1 << 14);
        if matches!(cells, TextCells::Coded { .. }) || !rows.clone().all(is_short) {
            let Coded { codes, store } = code_ids(column, "events.customer", keep)?;
            return Ok(Keys::Rank(codes, store));
        }
        let key = |row: usize| {
            if keep(row) {
                cells.get(row).map(short_key)
            } else {
                None
            }
        };
        let (min, max) = rows
            .filter_map(key)
            .fold(
                || (u128::MAX, 0),
                |(min, max), key| (min.min(key), max.max(key)),
            )
            .reduce(|| (u128::MAX, 0), |a, b| (a.0.min(b.0), a.1.max(b.1)));
        let shift = (128 - max.saturating_sub(min).leading_zeros()).saturating_sub(64);
        Ok(Keys::Short { cells, min, shift })
    }

    /// The key of a kept row.
    #[inline(always)]
    fn get(&self, row: usize) -> u128 {
        match self {
            // Flipping the sign bit makes unsigned order equal signed order.
            Keys::Int(ids) => u128::from(ids[row] as u64 ^ SIGN),
            Keys::Uint(ids) => u128::from(ids[row]),
            Keys::Short { cells, .. } => cells.get(row).map_or(0, short_key),
            Keys::Rank(ranks, _) => u128::from(ranks[row]),
        }
    }

    /// A key's 64 most telling bits; never falls where the key rises.
    #[inline(always)]
    fn digit(&self, key: u128) -> u64 {
        match self {
            Keys::Short { min, shift, .. } => (key.saturating_sub(*min) >> shift) as u64,
            _ => key as u64,
        }
    }

    /// The ids of the distinct keys in ascending order.
    fn into_store(self, keys: Vec<u128>) -> IdStore {
        match self {
            Keys::Int(_) => IdStore::Int(
                keys.into_iter()
                    .map(|key| (key as u64 ^ SIGN) as i64)
                    .collect(),
            ),
            Keys::Uint(_) => IdStore::Uint(keys.into_iter().map(|key| key as u64).collect()),
            Keys::Short { .. } => {
                let mut bytes = Vec::new();
                let mut offsets = vec![0];
                for key in keys {
                    let text = key.to_be_bytes();
                    bytes.extend_from_slice(&text[..usize::from(text[SHORT])]);
                    offsets.push(bytes.len() as u64);
                }
                // Each piece was a whole text before, so together they are valid UTF-8.
                let bytes = String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                IdStore::Text { offsets, bytes }
            }
            Keys::Rank(_, store) => store,
        }
    }
}

/// Codes per row of the columns that are compared only.
pub(super) struct RowCodes<'c> {
    pub(super) channels: Option<Vec<u8>>,
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
    let kept = Optional::of(columns, cleaning)?;
    let cleaner = RowCleaner::new(columns, cleaning)?;
    let mut ledger = Ledger {
        rows_in: rows as u64,
        unreadable_cells: columns.unreadable_cells,
        ..Ledger::default()
    };
    let buckets = check_rows(&cleaner, rows, &mut ledger, progress)?;

    let step = progress.step("events.ids", rows);
    let keep = |row: usize| buckets[row] != NO_BUCKET;
    let keys = Keys::of(&columns.customer, keep)?;
    let mut codes = RowCodes {
        channels: None,
        orders: None,
        items: None,
    };
    let mut channel_names = Vec::new();
    if let Some(column) = kept.channel {
        let (channels, names) = code_few_names(column, "events.channel", NO_CHANNEL, keep)?;
        (codes.channels, channel_names) = (Some(channels), names);
    }
    if let Some(column) = kept.order {
        codes.orders = Some(Orders::new(column));
    }
    let mut item_ids = None;
    if let Some(column) = kept.item {
        let coded = code_ids(column, "events.item", keep)?;
        (codes.items, item_ids) = (Some(coded.codes), Some(Customers::new(coded.store)));
    }
    step.advance(rows)?;

    let rows = Rows {
        cleaner: &cleaner,
        cleaning,
        keys: &keys,
        codes: &codes,
    };
    let mut log = match keys {
        Keys::Short { .. } => rows.order::<5>(buckets, progress)?,
        _ => rows.order::<4>(buckets, progress)?,
    };
    ledger.rows_kept = log.kept.len() as u64;
    (ledger.bought, ledger.refunded) = (log.bought, log.refunded);
    match cleaning.duplicates {
        DuplicatePolicy::Keep => ledger.duplicates_kept = log.copies,
        DuplicatePolicy::Drop => ledger.dropped[DropReason::Duplicate as usize] = log.copies,
        DuplicatePolicy::Reject => {}
    }
    let events = std::mem::take(&mut log.kept);
    Ok(EventLog {
        customers: Customers::new(keys.into_store(log.keys)),
        spans: log.spans,
        times: events.times,
        kinds: events.kinds,
        values: events.values,
        channels: codes.channels.is_some().then_some(events.channels),
        orders: codes.orders.is_some().then_some(events.orders),
        order_type: kept.order.map(|column| column.cells.type_name()),
        items: codes.items.is_some().then_some(events.items),
        item_ids,
        channel_names: channel_names.into(),
        garbage: 0,
        cleaning: cleaning.clone(),
        report: ledger.report(),
        ledger,
    })
}

/// The columns that not every log has, where the cleaning keeps them.
struct Optional<'c, 'a> {
    channel: Option<&'c TextColumn<'a>>,
    order: Option<&'c IdColumn<'a>>,
    item: Option<&'c IdColumn<'a>>,
}

impl<'c, 'a> Optional<'c, 'a> {
    fn of(columns: &'c EventColumns<'a>, cleaning: &Cleaning) -> Result<Self> {
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

/// Checks every row: 0 for a row that stays, [`NO_BUCKET`] for one that is dropped and counted.
pub(super) fn check_rows(
    cleaner: &RowCleaner<'_, '_>,
    rows: usize,
    ledger: &mut Ledger,
    progress: &Progress<'_>,
) -> Result<Vec<u16>> {
    let chunk = chunk_rows(rows);
    let mut buckets = vec![0_u16; rows];
    let step = progress.step("events.clean", rows);
    let chunks: Vec<Result<_>> = buckets
        .par_chunks_mut(chunk)
        .enumerate()
        .map(|(i, buckets)| {
            let mut dropped = [Count::default(); REASONS];
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
                        match cleaner.money(row) {
                            0.0 => dropped[reason as usize].add_row(),
                            money => dropped[reason as usize].add(money),
                        }
                        *bucket = NO_BUCKET;
                    }
                }
            }
            step.advance(buckets.len())?;
            Ok((dropped, as_refund))
        })
        .collect();
    // In row order, so that the error named is the first one whatever the threads did.
    for chunk in chunks {
        let (chunk_dropped, chunk_refund) = chunk?;
        for (all, one) in ledger.dropped.iter_mut().zip(chunk_dropped) {
            all.merge(one);
        }
        ledger.read_as_refund.merge(chunk_refund);
    }
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
                    *bucket = ranges.of(keys.digit(keys.get(i * chunk + j)));
                }
            }
        });
}

/// Where the records of each piece of consecutive customers are.
enum Pieces<const W: usize> {
    Scattered(Scattered<Record<W>>),
    /// Ranges of rows that no customer straddles, and how many of them are kept.
    InPlace(Vec<(std::ops::Range<usize>, usize)>),
}

impl<const W: usize> Pieces<W> {
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
    spans: Vec<Span>,
    copies: Count,
    bought: ExactSum,
    refunded: ExactSum,
}

/// The rows that passed the checks, on their way into the log.
struct Rows<'b, 'c, 'a> {
    cleaner: &'b RowCleaner<'c, 'a>,
    cleaning: &'b Cleaning,
    keys: &'b Keys<'b>,
    codes: &'b RowCodes<'b>,
}

impl Rows<'_, '_, '_> {
    #[inline(always)]
    fn make<const W: usize>(&self, row: usize) -> Record<W> {
        match self.cleaner.check(row) {
            Ok(clean) => {
                let channel = self.codes.channels.as_ref().map_or(NO_CHANNEL, |c| c[row]);
                record(self.keys.get(row), row, &clean, channel)
            }
            // Only rows that passed the same check before have a bucket.
            Err(_) => [0; W],
        }
    }

    /// Scatters the rows into ranges of customers unless they come sorted, and orders each range.
    fn order<const W: usize>(
        &self,
        mut buckets: Vec<u16>,
        progress: &Progress<'_>,
    ) -> Result<Assembled> {
        let keys = self.keys;
        if is_sorted(&buckets, keys) {
            let pieces = Pieces::<W>::in_place(&buckets, keys);
            return self.group(&pieces, &buckets, progress);
        }
        let rows = buckets.len();
        let ranges = Ranges::sample(rows, |row| {
            (buckets[row] != NO_BUCKET).then(|| keys.digit(keys.get(row)))
        });
        assign(&mut buckets, keys, &ranges);
        let records = vec![[0; W]; rows];
        let step = progress.step("events.partition", rows);
        let advance = |rows: usize| step.advance(rows);
        let scattered = scatter(
            &buckets,
            ranges.len(),
            records,
            |row| self.make::<W>(row),
            advance,
        )?;
        self.group(&Pieces::Scattered(scattered), &buckets, progress)
    }

    fn group<const W: usize>(
        &self,
        pieces: &Pieces<W>,
        buckets: &[u16],
        progress: &Progress<'_>,
    ) -> Result<Assembled> {
        let (codes, cleaning) = (self.codes, self.cleaning);
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
            let optional =
                |present: bool| lens.iter().map(move |len| if present { *len } else { 0 });
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
                                rows.extend(kept.map(|row| self.make::<W>(row)));
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
            spans: Vec::new(),
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
                all.spans.push(Span::new(end, *count));
                end += u64::from(*count);
            }
        }
        all.copies = copies.count;
        if cleaning.duplicates == DuplicatePolicy::Reject
            && let Some(row) = copies.first
            && let Some(error) = self.cleaner.rejection(row as usize, DropReason::Duplicate)
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
