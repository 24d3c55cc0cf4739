//! From rows in any order to customer-major, time-ordered columns.
//!
//! Three sequential passes: check every row and find its bucket (a range of customers' keys),
//! scatter the rows into their buckets, then group and order each bucket inside the cache and
//! write its customers to their final place. Buckets are ranges of keys in ascending order, so the
//! concatenation of their customers is sorted already. Rows that arrive sorted by customer skip
//! the scatter.

use std::ops::Range;

use rayon::prelude::*;

use super::bucket::{Copies, Form, Grouped, Out, Scratch};
use super::check::{Block, RowCleaner};
use super::clean::{Cleaning, Count, DropReason, DuplicatePolicy, Ledger};
use super::columns::{EventColumns, IdColumn, TextColumn};
use super::ids::{Orders, code_ids};
use super::keys::Keys;
use super::partition::{Bucket, NO_BUCKET, scatter, split_lens};
use super::survey::{Channels, Survey};
use super::{EventLog, NO_CHANNEL, Span, check_event_count};
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
    let kept = Optional::of(columns, cleaning)?;
    let cleaner = RowCleaner::new(columns, cleaning)?;
    let mut ledger = Ledger {
        rows_in: rows as u64,
        unreadable_cells: columns.unreadable_cells,
        ..Ledger::default()
    };
    let mut keys = Keys::of(&columns.customer);
    let survey = Survey::of(&cleaner, &mut keys, columns, kept.channel, progress)?;
    survey.count(&mut ledger);

    let step = progress.step("events.ids", rows);
    let (channels, channel_names) = Channels::of(kept.channel, &survey)?;
    let (mut items, mut item_ids) = (None, None);
    if let Some(column) = kept.item {
        let flags = survey.kept_flags();
        let coded = code_ids(column, "events.item", |row| flags[row])?;
        (items, item_ids) = (Some(coded.codes), Some(Customers::new(coded.store)));
    }
    step.advance(rows)?;

    let rows = Rows {
        cleaner: &cleaner,
        cleaning,
        keys: &keys,
        survey: &survey,
        channels: &channels,
        codes: RowCodes {
            orders: kept.order.map(Orders::new),
            items,
        },
    };
    let mut log = match (keys.is_wide(), rows.need_numbers()) {
        (false, false) => rows.order::<1, false, 3>(progress)?,
        (false, true) => rows.order::<1, true, 4>(progress)?,
        (true, false) => rows.order::<2, false, 4>(progress)?,
        (true, true) => rows.order::<2, true, 5>(progress)?,
    };
    ledger.rows_kept = log.kept.len() as u64;
    (ledger.bought, ledger.refunded) = (log.bought, log.refunded);
    match cleaning.duplicates {
        DuplicatePolicy::Keep => ledger.duplicates_kept = log.copies,
        DuplicatePolicy::Drop => ledger.dropped[DropReason::Duplicate as usize] = log.copies,
        DuplicatePolicy::Reject => {}
    }
    let has_items = rows.codes.items.is_some();
    let has_channels = !matches!(channels, Channels::None);
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
        channels: has_channels.then(|| events.channels.into()),
        orders: kept.order.is_some().then(|| events.orders.into()),
        order_type: kept.order.map(|column| column.cells.type_name()),
        items: has_items.then(|| events.items.into()),
        item_ids,
        channel_names: channel_names.into(),
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

/// Where the rows of each piece of consecutive customers are.
enum Piece<T> {
    Scattered(Bucket<T>),
    /// Entries of the survey that no customer straddles.
    InPlace(Range<usize>),
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
}

/// The rows that passed the checks, on their way into the log.
struct Rows<'b, 'c, 'a> {
    cleaner: &'b RowCleaner<'c, 'a>,
    cleaning: &'b Cleaning,
    keys: &'b Keys<'b>,
    survey: &'b Survey,
    channels: &'b Channels<'b>,
    codes: RowCodes<'b>,
}

/// Working memory of one thread for reading blocks of rows.
#[derive(Default)]
struct Reader {
    block: Block,
    channels: Vec<u8>,
}

impl Rows<'_, '_, '_> {
    /// Whether records must say which row they came from.
    fn need_numbers(&self) -> bool {
        self.codes.orders.is_some()
            || self.codes.items.is_some()
            || self.cleaning.duplicates == DuplicatePolicy::Reject
            || self.keys.is_hashed()
            || !Form::<1, false, 3>::holds(self.survey.frame().time_bits)
    }

    /// Makes the records of some entries of the survey.
    fn read<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        entries: Range<usize>,
        reader: &mut Reader,
        mut put: impl FnMut(u16, [u64; W]),
    ) {
        let Reader { block, channels } = reader;
        let first_time = self.survey.frame().first_time;
        self.survey.blocks(entries, |pick, buckets| {
            self.cleaner.load(pick, block);
            // Every row that has a bucket had a fitting key before.
            let fits = self.keys.fill(pick, block).is_ok();
            self.channels.fill(pick, channels);
            for (i, &bucket) in buckets.iter().enumerate() {
                if bucket == NO_BUCKET {
                    continue;
                }
                let row = pick.row(i);
                if !block.usable[i] || !fits {
                    let (Ok(clean), Ok(key)) = (self.cleaner.check(row), self.keys.get(row)) else {
                        continue;
                    };
                    block.put(i, &clean, key);
                }
                let channel = channels.get(i).copied().unwrap_or(NO_CHANNEL);
                let form = Form::<KEY, ROW, W>::record(block, i, first_time, row, channel);
                put(bucket, form);
            }
        });
    }

    /// Scatters the rows into ranges of customers unless they come sorted, and orders each range.
    fn order<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        progress: &Progress<'_>,
    ) -> Result<Assembled> {
        let survey = self.survey;
        if survey.is_sorted() {
            let (pieces, lens) = survey
                .pieces(self.keys)
                .into_iter()
                .map(|(entries, kept)| (Piece::InPlace(entries), kept))
                .unzip();
            return self.group::<KEY, ROW, W>(pieces, lens, progress);
        }
        let step = progress.step("events.partition", survey.rows());
        let counts = survey.counts();
        let scattered = scatter(&counts, survey.buckets(), [0; W], |chunk, cursors| {
            let mut reader = Reader::default();
            let entries = survey.entries_of(chunk);
            self.read::<KEY, ROW, W>(entries, &mut reader, |bucket, record| {
                cursors.push(bucket, record);
            });
            step.advance(survey.rows_of(chunk))
        })?;
        let lens = scattered.lens();
        let pieces = scattered.into_buckets().into_iter().map(Piece::Scattered);
        self.group::<KEY, ROW, W>(pieces.collect(), lens, progress)
    }

    fn group<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        pieces: Vec<Piece<[u64; W]>>,
        lens: Vec<usize>,
        progress: &Progress<'_>,
    ) -> Result<Assembled> {
        let (codes, cleaning) = (&self.codes, self.cleaning);
        let has_channels = !matches!(self.channels, Channels::None);
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
        let frame = self.survey.frame();
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
            pieces
                .into_par_iter()
                .zip(outs)
                .map_init(
                    || (Scratch::default(), Reader::default(), Vec::new()),
                    |(scratch, reader, rows), (piece, out)| {
                        let records = match &piece {
                            Piece::Scattered(bucket) => bucket.records(),
                            Piece::InPlace(entries) => {
                                rows.clear();
                                self.read::<KEY, ROW, W>(entries.clone(), reader, |_, record| {
                                    rows.push(record);
                                });
                                rows.as_slice()
                            }
                        };
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
            && let Some(error) = self.cleaner.rejection(row as usize, DropReason::Duplicate)
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
