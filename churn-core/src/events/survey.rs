//! The first pass over the rows: which of them enter the log, and into which bucket.

use std::ops::Range;

use rayon::prelude::*;

use super::NO_CHANNEL;
use super::check::{BLOCK, Block, Pick, RowCleaner};
use super::clean::{Count, DropReason, Ledger, REASONS};
use super::columns::{EventColumns, TextCells, TextColumn, Valid, is_valid};
use super::ids::code_few_names;
use super::keys::{Keys, Unfit};
use super::partition::{NO_BUCKET, Ranges, bucket_count, chunk_rows};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// What the first pass found.
pub(super) struct Survey {
    rows: usize,
    chunks: Vec<Chunk>,
    /// First entry of each chunk, and one more behind the last.
    offsets: Vec<usize>,
    buckets: usize,
    first_time: i64,
    time_bits: u32,
}

/// Neighbouring rows, or those of them that were worth a look.
struct Entries {
    rows: Range<usize>,
    picked: Option<Vec<u32>>,
}

/// What the first pass found in neighbouring rows.
struct Chunk {
    entries: Entries,
    /// Of each entry, [`NO_BUCKET`] where it does not enter the log.
    buckets: Vec<u16>,
    counts: Vec<u32>,
    dropped: [Count; REASONS],
    as_refund: Count,
    times: Option<(i64, i64)>,
    /// Which entries of a dictionary of channels are used.
    channels: Vec<bool>,
    /// First and last key, where keys never fall.
    ends: Option<(u128, u128)>,
    sorted: bool,
}

/// Why a chunk was given up.
enum Stop {
    Unfit,
    Wrong(Error),
}

impl From<Unfit> for Stop {
    fn from(_: Unfit) -> Self {
        Stop::Unfit
    }
}

/// Checks every row without asking whose it is: 0 for a row that stays, [`NO_BUCKET`] for one that
/// is dropped and counted.
pub(super) fn check_rows(
    cleaner: &RowCleaner<'_, '_>,
    rows: usize,
    ledger: &mut Ledger,
    progress: &Progress<'_>,
) -> Result<Vec<u16>> {
    let step = progress.step("events.clean", rows);
    let chunk = chunk_rows(rows);
    let mut flags = vec![NO_BUCKET; rows];
    let chunks: Vec<std::result::Result<Chunk, Stop>> = flags
        .par_chunks_mut(chunk)
        .enumerate()
        .map(|(i, flags)| {
            let start = i * chunk;
            let chunk = Chunk::of(cleaner, None, None, start..start + flags.len())?;
            let entries = chunk.entries.pick(0, chunk.buckets.len());
            for (j, bucket) in chunk.buckets.iter().enumerate() {
                flags[entries.row(j) - start] = *bucket;
            }
            step.advance(flags.len()).map_err(Stop::Wrong)?;
            Ok(chunk)
        })
        .collect();
    for chunk in chunks {
        match chunk {
            Ok(chunk) => chunk.count(ledger),
            Err(Stop::Wrong(error)) => return Err(error),
            // Only keys can be unfit.
            Err(Stop::Unfit) => {}
        }
    }
    Ok(flags)
}

/// How the times of records count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) first_time: i64,
    /// Bits of the largest time counted from there.
    pub(super) time_bits: u32,
}

impl Survey {
    /// Checks every row; keys become hashed ones where the sample was misleading.
    pub(super) fn of<'c>(
        cleaner: &RowCleaner<'_, '_>,
        keys: &mut Keys<'c>,
        columns: &'c EventColumns<'_>,
        channel: Option<&TextColumn<'_>>,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        match Self::try_of(cleaner, keys, columns.len(), channel, progress) {
            Ok(survey) => Ok(survey),
            Err(Stop::Wrong(error)) => Err(error),
            Err(Stop::Unfit) => {
                if let Some(hashed) = Keys::hashed(&columns.customer) {
                    *keys = hashed;
                }
                Self::try_of(cleaner, keys, columns.len(), channel, progress).map_err(|stop| {
                    match stop {
                        Stop::Wrong(error) => error,
                        Stop::Unfit => {
                            Error::invalid_parameter("events.customer", "ids of one form", "others")
                        }
                    }
                })
            }
        }
    }

    fn try_of(
        cleaner: &RowCleaner<'_, '_>,
        keys: &Keys<'_>,
        rows: usize,
        channel: Option<&TextColumn<'_>>,
        progress: &Progress<'_>,
    ) -> std::result::Result<Self, Stop> {
        let step = progress.step("events.clean", rows);
        let ranges = Ranges::sample(rows, |row| {
            let key = keys.get(row).ok()?;
            cleaner.is_candidate(row).then(|| keys.digit(key))
        });
        let chunk = chunk_rows(rows);
        let results: Vec<std::result::Result<Chunk, Stop>> = (0..rows.div_ceil(chunk))
            .into_par_iter()
            .map(|i| {
                let rows = i * chunk..rows.min((i + 1) * chunk);
                let count = rows.len();
                let chunk = Chunk::of(cleaner, Some((keys, &ranges)), channel, rows)?;
                step.advance(count).map_err(Stop::Wrong)?;
                Ok(chunk)
            })
            .collect();
        if results
            .iter()
            .any(|result| matches!(result, Err(Stop::Unfit)))
        {
            return Err(Stop::Unfit);
        }
        // In row order, so that the error named is the first one whatever the threads did.
        let chunks = results
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let times = chunks.iter().filter_map(|chunk| chunk.times);
        let (first, last) = times
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or_default();
        let mut offsets = vec![0];
        for chunk in &chunks {
            offsets.push(offsets[offsets.len() - 1] + chunk.buckets.len());
        }
        Ok(Survey {
            rows,
            chunks,
            offsets,
            buckets: ranges.len(),
            first_time: first,
            time_bits: u64::BITS - ((last - first) as u64).leading_zeros(),
        })
    }

    /// Adds what was dropped and reread.
    pub(super) fn count(&self, ledger: &mut Ledger) {
        self.chunks.iter().for_each(|chunk| chunk.count(ledger));
    }

    /// Number of rows handed in.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn rows_of(&self, chunk: usize) -> usize {
        self.chunks[chunk].entries.rows.len()
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Rows of each chunk per bucket.
    pub(super) fn counts(&self) -> Vec<&[u32]> {
        self.chunks
            .iter()
            .map(|chunk| chunk.counts.as_slice())
            .collect()
    }

    pub(super) fn frame(&self) -> Frame {
        Frame {
            first_time: self.first_time,
            time_bits: self.time_bits,
        }
    }

    pub(super) fn entries_of(&self, chunk: usize) -> Range<usize> {
        self.offsets[chunk]..self.offsets[chunk + 1]
    }

    /// Shows some entries block by block, with their buckets.
    pub(super) fn blocks(&self, entries: Range<usize>, mut show: impl FnMut(Pick<'_>, &[u16])) {
        let first = self
            .offsets
            .partition_point(|offset| *offset <= entries.start)
            - 1;
        for (chunk, offset) in self.chunks[first..].iter().zip(&self.offsets[first..]) {
            if *offset >= entries.end {
                break;
            }
            let from = entries.start.max(*offset) - offset;
            let to = (entries.end - offset).min(chunk.buckets.len());
            for from in (from..to).step_by(BLOCK) {
                let to = to.min(from + BLOCK);
                show(chunk.entries.pick(from, to), &chunk.buckets[from..to]);
            }
        }
    }

    /// Which rows enter the log.
    pub(super) fn kept_flags(&self) -> Vec<bool> {
        let mut flags = vec![false; self.rows];
        self.blocks(0..self.offsets[self.offsets.len() - 1], |pick, buckets| {
            for (i, bucket) in buckets.iter().enumerate() {
                flags[pick.row(i)] = *bucket != NO_BUCKET;
            }
        });
        flags
    }

    /// Whether the rows that enter come sorted by key.
    pub(super) fn is_sorted(&self) -> bool {
        let mut last = 0;
        self.chunks.iter().all(|chunk| {
            let (from, to) = chunk.ends.unwrap_or((last, last));
            let follows = chunk.sorted && from >= last;
            last = to;
            follows
        })
    }

    /// Entries of sorted rows in pieces that no customer straddles, with the rows that enter.
    pub(super) fn pieces(&self, keys: &Keys<'_>) -> Vec<(Range<usize>, usize)> {
        let entries = self.offsets[self.offsets.len() - 1];
        let target = entries / bucket_count(entries) + 1;
        let mut starts = vec![0];
        while let Some(start) = self.next_customer(keys, starts[starts.len() - 1] + target) {
            starts.push(start);
        }
        starts.push(entries);
        starts
            .par_windows(2)
            .map(|ends| {
                let mut kept = 0;
                self.blocks(ends[0]..ends[1], |_, buckets| {
                    kept += buckets.iter().filter(|b| **b != NO_BUCKET).count();
                });
                (ends[0]..ends[1], kept)
            })
            .collect()
    }

    /// The entry of the first customer that begins behind an entry.
    fn next_customer(&self, keys: &Keys<'_>, from: usize) -> Option<usize> {
        let mut current = None;
        let first = self.offsets.partition_point(|offset| *offset <= from) - 1;
        for (chunk, offset) in self.chunks.get(first..)?.iter().zip(&self.offsets[first..]) {
            for j in from.saturating_sub(*offset)..chunk.buckets.len() {
                if chunk.buckets[j] == NO_BUCKET {
                    continue;
                }
                let key = keys.get(chunk.entries.pick(j, j + 1).row(0)).ok()?;
                if *current.get_or_insert(key) != key {
                    return Some(offset + j);
                }
            }
        }
        None
    }
}

impl Entries {
    fn of(cleaner: &RowCleaner<'_, '_>, rows: Range<usize>, block: &mut Block) -> Self {
        let picked = cleaner.skips_kinds().then(|| {
            let mut picked = Vec::new();
            for from in rows.clone().step_by(BLOCK) {
                cleaner.wanted_rows(from, rows.end.min(from + BLOCK), block, &mut picked);
            }
            picked.shrink_to_fit();
            picked
        });
        Entries { rows, picked }
    }

    fn len(&self) -> usize {
        self.picked.as_ref().map_or(self.rows.len(), Vec::len)
    }

    fn pick(&self, from: usize, to: usize) -> Pick<'_> {
        match &self.picked {
            Some(rows) => Pick::Rows(&rows[from..to]),
            None => Pick::Range(self.rows.start + from, self.rows.start + to),
        }
    }
}

impl Chunk {
    fn of(
        cleaner: &RowCleaner<'_, '_>,
        keys: Option<(&Keys<'_>, &Ranges)>,
        channel: Option<&TextColumn<'_>>,
        rows: Range<usize>,
    ) -> std::result::Result<Self, Stop> {
        let mut block = Block::default();
        let entries = Entries::of(cleaner, rows, &mut block);
        let mut chunk = Chunk {
            buckets: Vec::new(),
            counts: vec![0; keys.map_or(1, |(_, ranges)| ranges.len())],
            dropped: [Count::default(); REASONS],
            as_refund: Count::default(),
            times: None,
            channels: Vec::new(),
            ends: None,
            sorted: true,
            entries: Entries {
                rows: 0..0,
                picked: None,
            },
        };
        let skipped = entries.rows.len() - entries.len();
        chunk.dropped[DropReason::NotAskedFor as usize].add_rows(skipped);
        let mut buckets = vec![NO_BUCKET; entries.len()];
        let mut times = (i64::MAX, i64::MIN);
        let (mut first, mut last) = (None, 0);
        for (i, buckets) in buckets.chunks_mut(BLOCK).enumerate() {
            let pick = entries.pick(i * BLOCK, i * BLOCK + buckets.len());
            cleaner.load(pick, &mut block);
            match keys {
                Some((keys, _)) => keys.fill(pick, &mut block)?,
                None => cleaner.require_customers(pick, &mut block),
            }
            for (i, bucket) in buckets.iter_mut().enumerate() {
                if !block.usable[i] {
                    let row = pick.row(i);
                    match cleaner.check(row) {
                        Ok(clean) => {
                            if clean.read_as_refund {
                                chunk.as_refund.add(clean.value);
                            }
                            let key = keys.map_or(Ok(0), |(keys, _)| keys.get(row))?;
                            block.put(i, &clean, key);
                        }
                        Err(reason) => {
                            if let Some(error) = cleaner.rejection(row, reason) {
                                return Err(Stop::Wrong(error));
                            }
                            match cleaner.money(row) {
                                0.0 => chunk.dropped[reason as usize].add_rows(1),
                                money => chunk.dropped[reason as usize].add(money),
                            }
                            continue;
                        }
                    }
                }
                let (key, time) = (block.keys[i], block.times[i]);
                *bucket = keys.map_or(0, |(keys, ranges)| ranges.of(keys.digit(key)));
                chunk.counts[usize::from(*bucket)] += 1;
                times = (times.0.min(time), times.1.max(time));
                chunk.sorted &= key >= last;
                first = first.or(Some(key));
                last = key;
            }
            chunk.note_channels(channel, pick, buckets);
        }
        (chunk.entries, chunk.buckets) = (entries, buckets);
        chunk.times = (times.0 <= times.1).then_some(times);
        chunk.ends = first.map(|first| (first, last));
        Ok(chunk)
    }

    /// Adds what was dropped and reread.
    fn count(&self, ledger: &mut Ledger) {
        for (all, one) in ledger.dropped.iter_mut().zip(self.dropped) {
            all.merge(one);
        }
        ledger.read_as_refund.merge(self.as_refund);
    }

    /// Notes which channels of a dictionary the rows that enter use.
    fn note_channels(&mut self, channel: Option<&TextColumn<'_>>, pick: Pick<'_>, buckets: &[u16]) {
        let Some(TextColumn {
            cells: TextCells::Coded { codes, names },
            valid,
        }) = channel
        else {
            return;
        };
        self.channels.resize(names.len(), false);
        for (i, bucket) in buckets.iter().enumerate() {
            let row = pick.row(i);
            if *bucket != NO_BUCKET
                && is_valid(valid, row)
                && let Some(used) = self.channels.get_mut(codes[row] as usize)
            {
                *used = true;
            }
        }
    }
}

/// The channel of each row, as its place among the sorted names.
pub(super) enum Channels<'c> {
    None,
    Coded {
        codes: &'c [u32],
        valid: &'c Valid<'c>,
        /// Of each entry of the dictionary.
        ranks: Vec<u8>,
    },
    Rows(Vec<u8>),
}

impl<'c> Channels<'c> {
    /// The channels of the rows that enter the log, and their names.
    pub(super) fn of(
        column: Option<&'c TextColumn<'c>>,
        survey: &Survey,
    ) -> Result<(Self, Vec<String>)> {
        let Some(column) = column else {
            return Ok((Channels::None, Vec::new()));
        };
        let TextCells::Coded { codes, names } = &column.cells else {
            let flags = survey.kept_flags();
            let keep = |row: usize| flags[row];
            let (codes, names) = code_few_names(column, "events.channel", NO_CHANNEL, keep)?;
            return Ok((Channels::Rows(codes), names));
        };
        let used = |entry: usize| {
            let mut chunks = survey.chunks.iter();
            chunks.any(|chunk| chunk.channels.get(entry).copied().unwrap_or(false))
        };
        let mut sorted: Vec<&str> = names
            .iter()
            .enumerate()
            .filter(|(entry, name)| !name.is_empty() && used(*entry))
            .map(|(_, name)| name.as_ref())
            .collect();
        sorted.sort_unstable();
        sorted.dedup();
        super::ids::check_few(sorted.len(), "events.channel", NO_CHANNEL)?;
        let rank = |name: &str| {
            let rank = sorted.binary_search(&name);
            rank.map_or(NO_CHANNEL, |rank| rank as u8)
        };
        let channels = Channels::Coded {
            codes,
            valid: &column.valid,
            ranks: names.iter().map(|name| rank(name)).collect(),
        };
        Ok((channels, sorted.into_iter().map(str::to_owned).collect()))
    }

    /// The channels of some rows; nothing where there is no column.
    pub(super) fn fill(&self, pick: Pick<'_>, out: &mut Vec<u8>) {
        match self {
            Channels::None => out.clear(),
            Channels::Rows(codes) => pick.gather(codes, out, |code| code),
            Channels::Coded {
                codes,
                valid,
                ranks,
            } => {
                let rank = |code: u32| ranks.get(code as usize).copied().unwrap_or(NO_CHANNEL);
                pick.gather(codes, out, rank);
                if valid.is_some() {
                    for (i, channel) in out.iter_mut().enumerate() {
                        if !is_valid(valid, pick.row(i)) {
                            *channel = NO_CHANNEL;
                        }
                    }
                }
            }
        }
    }
}
