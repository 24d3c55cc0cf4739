//! The pass over a caller's rows: each is checked, and those that enter the log become records in
//! buckets, which are ranges of customers' keys.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::NO_CHANNEL;
use super::channel_codes::ChannelCodes;
use super::check::{BLOCK, Block, Pick, RowCleaner};
use super::clean::{Count, DropReason, Ledger, REASONS};
use super::columns::TextColumn;
use super::ids::check_few;
use super::keys::{Keys, Unfit};
use super::partition::{NO_BUCKET, Ranges, chunk_rows};
use super::records::{Bucket, Cells, ChannelNames, Form, Frame, Shelf, Shelved, by_bucket};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Why a pass over the rows was given up.
pub(super) enum Stop {
    /// An id does not have the form that the sample had.
    Key,
    /// A time is too far from those of the sample.
    Time,
    Wrong(Error),
    /// The caller does not want to wait.
    Cancelled(Error),
    /// Another chunk had a reason.
    GivenUp,
}

impl Stop {
    /// The results, unless one of them ends the pass whatever the others found. A caller's wish
    /// comes first: another pass would forget it.
    fn foremost<T>(
        results: Vec<std::result::Result<T, Stop>>,
    ) -> std::result::Result<Vec<std::result::Result<T, Stop>>, Stop> {
        let rank = |result: &std::result::Result<T, Stop>| match result {
            Err(Stop::Cancelled(_)) => 0,
            Err(Stop::Key) => 1,
            Err(Stop::Time) => 2,
            Ok(_) | Err(Stop::Wrong(_) | Stop::GivenUp) => 3,
        };
        match results.iter().enumerate().min_by_key(|(_, one)| rank(one)) {
            Some((i, one)) if rank(one) < 3 => match results.into_iter().nth(i) {
                Some(Err(stop)) => Err(stop),
                _ => Err(Stop::GivenUp),
            },
            _ => Ok(results),
        }
    }
}

impl From<Unfit> for Stop {
    fn from(_: Unfit) -> Self {
        Stop::Key
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Wrong(error)
    }
}

/// What the checks did to some rows.
struct Tally {
    dropped: [Count; REASONS],
    as_refund: Count,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            dropped: [Count::default(); REASONS],
            as_refund: Count::default(),
        }
    }
}

impl Tally {
    /// Adds what was dropped and reread.
    fn count(&self, ledger: &mut Ledger) {
        for (all, one) in ledger.dropped.iter_mut().zip(self.dropped) {
            all.merge(one);
        }
        ledger.read_as_refund.merge(self.as_refund);
    }

    /// Looks once more at the rows of a block that failed the tests: what is usable then, enters.
    fn settle(
        &mut self,
        cleaner: &RowCleaner<'_, '_>,
        keys: Option<&Keys<'_>>,
        pick: Pick<'_>,
        block: &mut Block,
    ) -> std::result::Result<(), Stop> {
        if !block.usable.contains(&false) {
            return Ok(());
        }
        for i in 0..block.usable.len() {
            if block.usable[i] {
                continue;
            }
            let row = pick.row(i);
            match cleaner.check(row) {
                Ok(clean) => {
                    if clean.read_as_refund {
                        self.as_refund.add(clean.value);
                    }
                    let key = keys.map_or(Ok(0), |keys| keys.get(row))?;
                    block.put(i, &clean, key);
                }
                Err(reason) => {
                    if let Some(error) = cleaner.rejection(row, reason) {
                        return Err(Stop::Wrong(error));
                    }
                    match cleaner.money(row) {
                        0.0 => self.dropped[reason as usize].add_rows(1),
                        money => self.dropped[reason as usize].add(money),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Neighbouring rows, or those of them whose kind is worth a look.
enum Entries<'p> {
    All(Range<usize>),
    Picked(&'p [u32]),
}

impl<'p> Entries<'p> {
    /// The entries of some rows; those whose kind is not asked for are left out and counted where
    /// the kinds are looked at first, which pays where they are many.
    fn of(
        cleaner: &RowCleaner<'_, '_>,
        rows: Range<usize>,
        kinds_first: bool,
        block: &mut Block,
        picked: &'p mut Vec<u32>,
        tally: &mut Tally,
    ) -> Self {
        if !(kinds_first && cleaner.skips_kinds()) {
            return Entries::All(rows);
        }
        picked.clear();
        for from in rows.clone().step_by(BLOCK) {
            cleaner.wanted_rows(from, rows.end.min(from + BLOCK), block, picked);
        }
        let skipped = rows.len() - picked.len();
        tally.dropped[DropReason::NotAskedFor as usize].add_rows(skipped);
        Entries::Picked(picked)
    }

    /// The entries in blocks that stay in the nearest cache.
    fn blocks(&self) -> impl Iterator<Item = Pick<'_>> {
        let count = match self {
            Entries::All(rows) => rows.len(),
            Entries::Picked(rows) => rows.len(),
        };
        (0..count).step_by(BLOCK).map(move |from| {
            let to = count.min(from + BLOCK);
            match self {
                Entries::All(rows) => Pick::Range(rows.start + from, rows.start + to),
                Entries::Picked(rows) => Pick::Rows(&rows[from..to]),
            }
        })
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
    let tallies: Vec<std::result::Result<Tally, Stop>> = flags
        .par_chunks_mut(chunk)
        .enumerate()
        .map(|(i, flags)| {
            let rows = i * chunk..i * chunk + flags.len();
            let (mut block, mut picked) = (Block::default(), Vec::new());
            let mut tally = Tally::default();
            let start = rows.start;
            let entries = Entries::of(cleaner, rows, true, &mut block, &mut picked, &mut tally);
            for pick in entries.blocks() {
                cleaner.load(pick, &mut block);
                cleaner.require_customers(pick, &mut block);
                tally.settle(cleaner, None, pick, &mut block)?;
                for (i, _) in block
                    .usable
                    .iter()
                    .enumerate()
                    .filter(|(_, usable)| **usable)
                {
                    flags[pick.row(i) - start] = 0;
                }
            }
            step.advance(flags.len())?;
            Ok(tally)
        })
        .collect();
    for tally in tallies {
        match tally {
            Ok(tally) => tally.count(ledger),
            Err(Stop::Wrong(error) | Stop::Cancelled(error)) => return Err(error),
            // Neither keys nor records are made here.
            Err(Stop::Key | Stop::Time | Stop::GivenUp) => {}
        }
    }
    Ok(flags)
}

/// Everything that decides what becomes of a row.
#[derive(Clone, Copy)]
pub(super) struct Intake<'j, 'c, 'a> {
    pub(super) cleaner: &'j RowCleaner<'c, 'a>,
    pub(super) keys: &'j Keys<'c>,
    pub(super) channel: Option<&'c TextColumn<'a>>,
    pub(super) rows: usize,
    /// Whether somebody wants to know which rows entered.
    pub(super) flags: bool,
}

/// The rows that enter the log, by bucket.
pub(super) struct Taken<const W: usize> {
    pub(super) buckets: Vec<Bucket<W>>,
    pub(super) frame: Frame,
    /// Names of the channels, sorted, and what stands for them in the records of each chunk.
    pub(super) channels: Vec<String>,
    pub(super) channel_names: Vec<Option<ChannelNames>>,
    /// Of every row, where somebody wanted to know.
    pub(super) flags: Vec<bool>,
}

/// What came of one chunk of rows beside its records.
struct Chunk<'c> {
    shelved: Shelved,
    tally: Tally,
    times: Option<(i64, i64)>,
    /// The channels that occur, by their codes in the records.
    channels: Vec<&'c str>,
    flags: Vec<bool>,
}

/// One thread's working memory, and what it has taken in.
struct Desk<'c, const W: usize> {
    block: Block,
    picked: Vec<u32>,
    channels: ChannelCodes<'c>,
    channel: Vec<u8>,
    records: Vec<[u64; W]>,
    buckets: Vec<u16>,
    order: Vec<u32>,
    shelf: Shelf<W>,
}

/// Records of a chunk: they stay in the second-level cache until they are sorted by bucket.
const CHUNK: usize = 1 << 16;
/// Where fewer rows than this share enter, their kinds are read before anything else.
const MOST_ARE_LEFT_OUT: f64 = 0.5;
/// Rows that tell around which time the others are.
const TIMES: usize = 1 << 10;
/// Half of the time that a short record can hold, in microseconds: 71 years.
const HALF_FRAME: i64 = 1 << 51;

impl<'c> Intake<'_, 'c, '_> {
    /// Checks every row and puts those that enter into buckets.
    pub(super) fn take<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        ledger: &mut Ledger,
        progress: &Progress<'_>,
    ) -> std::result::Result<Taken<W>, Stop> {
        let rows = self.rows;
        let step = progress.step("events.clean", rows);
        let ranges = Ranges::sample(rows, |row| {
            let candidate = self.cleaner.is_candidate(row);
            let key = candidate.then(|| self.keys.get(row).ok()).flatten()?;
            Some(self.keys.digit(key))
        });
        let base = self.base();
        let share = ranges.share().max(1e-3);
        // Not more at a time than a wrong sample may cost.
        let chunk = ((CHUNK as f64 / share) as usize).clamp(1, chunk_rows(rows));
        let threads = rayon::current_num_threads();
        let expected = (rows as f64 * share / threads as f64) as usize;
        let desks: Vec<Mutex<Desk<'c, W>>> = (0..threads)
            .map(|_| Mutex::new(Desk::new(Shelf::new(ranges.len(), expected.min(rows)))))
            .collect();
        let given_up = AtomicBool::new(false);
        let results: Vec<std::result::Result<Chunk<'c>, Stop>> = (0..rows.div_ceil(chunk))
            .into_par_iter()
            .map(|i| {
                if given_up.load(Ordering::Relaxed) {
                    return Err(Stop::GivenUp);
                }
                let rows = i * chunk..rows.min((i + 1) * chunk);
                let count = rows.len();
                // Nobody else is at this thread's desk. It is left before the caller is told, who may
                // set this thread to other work.
                let number = rayon::current_thread_index().unwrap_or(0) % threads;
                let taken = {
                    let mut desk = lock(&desks[number]);
                    self.chunk::<KEY, ROW, W>(rows, base, &ranges, number, &mut desk)
                };
                let taken = taken.and_then(|chunk| {
                    step.advance(count).map_err(Stop::Cancelled)?;
                    Ok(chunk)
                });
                // A wrong row does not end the pass: one before it may be the first.
                if let Err(Stop::Key | Stop::Time | Stop::Cancelled(_)) = &taken {
                    given_up.store(true, Ordering::Relaxed);
                }
                taken
            })
            .collect();
        let results = Stop::foremost(results)?;
        // In row order, so that the error named is the first one whatever the threads did.
        let chunks = results
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>()?;
        chunks.iter().for_each(|chunk| chunk.tally.count(ledger));
        let times = chunks.iter().filter_map(|chunk| chunk.times);
        let (first, last) = times
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or((base, base));
        let (channels, channel_names) = self.name_channels(&chunks)?;
        let (shelved, flags): (Vec<_>, Vec<_>) = chunks
            .into_iter()
            .map(|chunk| (chunk.shelved, chunk.flags))
            .unzip();
        let shelves = desks.into_iter().map(|desk| {
            let desk = desk.into_inner().unwrap_or_else(PoisonError::into_inner);
            desk.shelf
        });
        Ok(Taken {
            buckets: by_bucket(shelves.collect(), shelved, ranges.len()),
            frame: Frame {
                base,
                first_time: first,
                time_bits: u64::BITS - ((last - first) as u64).leading_zeros(),
            },
            channels,
            channel_names,
            flags: flags.concat(),
        })
    }

    /// The instant from which records count: all times of a log are near those of a sample.
    fn base(&self) -> i64 {
        let count = TIMES.min(self.rows);
        let row = |i: usize| (i as u128 * self.rows as u128 / count as u128) as usize;
        let times = (0..count).filter_map(|i| self.cleaner.time(row(i)));
        times
            .min()
            .map_or(0, |first| first.saturating_sub(HALF_FRAME))
    }

    /// Takes in the rows of one chunk.
    fn chunk<const KEY: usize, const ROW: bool, const W: usize>(
        &self,
        rows: Range<usize>,
        base: i64,
        ranges: &Ranges,
        number: usize,
        desk: &mut Desk<'c, W>,
    ) -> std::result::Result<Chunk<'c>, Stop> {
        let mut tally = Tally::default();
        let mut flags = vec![false; if self.flags { rows.len() } else { 0 }];
        let mut times = (i64::MAX, i64::MIN);
        desk.start();
        let (block, picked) = (&mut desk.block, &mut desk.picked);
        let (start, kinds_first) = (rows.start, ranges.share() < MOST_ARE_LEFT_OUT);
        let entries = Entries::of(self.cleaner, rows, kinds_first, block, picked, &mut tally);
        for pick in entries.blocks() {
            self.cleaner.load(pick, block);
            self.keys.fill(pick, block)?;
            tally.settle(self.cleaner, Some(self.keys), pick, block)?;
            match self.channel {
                Some(column) => {
                    let channels = &mut desk.channels;
                    channels.fill(column, pick, &block.usable, &mut desk.channel);
                }
                None => desk.channel.resize(block.usable.len(), NO_CHANNEL),
            }
            let columns = (block.times.iter().zip(&block.kinds))
                .zip(block.values.iter().zip(&block.keys))
                .zip(&desk.channel)
                .enumerate()
                .map(|(i, (((time, kind), (value, key)), channel))| Cells {
                    time: *time,
                    kind: *kind,
                    value: *value,
                    key: *key,
                    channel: *channel,
                    row: pick.row(i) as u32,
                });
            let record = |cells: Cells| Form::<KEY, ROW, W>::record(cells, base);
            let bucket = |key: &u128| ranges.of(self.keys.digit(*key));
            let min_max = |(first, last): (i64, i64), time: i64| (first.min(time), last.max(time));
            if block.usable.contains(&false) {
                let enters = |i: usize| block.usable[i];
                let entering = columns.enumerate().filter(|(i, _)| enters(*i));
                for (_, cells) in entering {
                    times = min_max(times, cells.time);
                    desk.records.push(record(cells));
                    desk.buckets.push(bucket(&cells.key));
                }
            } else {
                // Nearly all blocks: loops of known length over one thing each.
                times = block.times.iter().copied().fold(times, min_max);
                desk.records.extend(columns.map(record));
                desk.buckets.extend(block.keys.iter().map(bucket));
            }
            if !flags.is_empty() {
                for (i, usable) in block.usable.iter().enumerate() {
                    flags[pick.row(i) - start] = *usable;
                }
            }
        }
        let times = (times.0 <= times.1).then_some(times);
        if let Some((first, last)) = times
            && !Form::<KEY, ROW, W>::holds(base, first, last)
        {
            return Err(Stop::Time);
        }
        Ok(Chunk {
            shelved: desk.put(number),
            tally,
            times,
            channels: desk.channels.names.clone(),
            flags,
        })
    }

    /// The channels of all chunks, sorted, and which of them each chunk's codes stand for.
    fn name_channels(
        &self,
        chunks: &[Chunk<'_>],
    ) -> Result<(Vec<String>, Vec<Option<ChannelNames>>)> {
        if self.channel.is_none() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut sorted: Vec<&str> = chunks
            .iter()
            .flat_map(|chunk| chunk.channels.iter().copied())
            .collect();
        sorted.sort_unstable();
        sorted.dedup();
        check_few(sorted.len(), "events.channel", NO_CHANNEL)?;
        let names = chunks.iter().map(|chunk| {
            let mut names = [NO_CHANNEL; 256];
            for (code, name) in chunk.channels.iter().enumerate() {
                let rank = sorted.binary_search(name);
                names[code] = rank.map_or(NO_CHANNEL, |rank| rank as u8);
            }
            // Most chunks know their channels in the order of the first rows; where that is the
            // order of their names, nothing has to be written anew.
            let same = names.iter().take(chunk.channels.len());
            let same = same
                .enumerate()
                .all(|(code, rank)| code == usize::from(*rank));
            (!same).then_some(names)
        });
        let names = names.collect();
        Ok((sorted.into_iter().map(str::to_owned).collect(), names))
    }
}

impl<const W: usize> Desk<'_, W> {
    fn new(shelf: Shelf<W>) -> Self {
        Desk {
            block: Block::default(),
            picked: Vec::new(),
            channels: ChannelCodes::default(),
            channel: Vec::new(),
            records: Vec::new(),
            buckets: Vec::new(),
            order: Vec::new(),
            shelf,
        }
    }

    /// Begins a chunk.
    fn start(&mut self) {
        self.records.clear();
        self.buckets.clear();
        self.channels.start();
    }

    /// Puts the chunk's records on the shelf, which has this number.
    fn put(&mut self, number: usize) -> Shelved {
        self.shelf
            .put(number, &self.records, &self.buckets, &mut self.order)
    }
}

/// A desk is left as it is by whoever panics there, and nobody uses it then.
fn lock<T>(desk: &Mutex<T>) -> MutexGuard<'_, T> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever chunk it comes from: the caller's wish, then what another pass can mend.
    #[test]
    fn a_wish_to_stop_comes_before_reasons_to_start_again() {
        let cancelled = || Err(Stop::Cancelled(Error::cancelled("events.clean")));
        let wrong = || {
            Err(Stop::Wrong(Error::not_enough_data(
                "events", "rows", "none",
            )))
        };
        let foremost = |results| Stop::foremost::<u8>(results).err();
        let all = vec![Ok(1), wrong(), Err(Stop::Time), Err(Stop::Key), cancelled()];
        assert!(matches!(foremost(all), Some(Stop::Cancelled(_))));
        let misfits = vec![Err(Stop::GivenUp), wrong(), Err(Stop::Time), Err(Stop::Key)];
        assert!(matches!(foremost(misfits), Some(Stop::Key)));
        assert!(matches!(
            foremost(vec![Ok(1), Err(Stop::Time)]),
            Some(Stop::Time)
        ));
        // Wrong rows end nothing: the first of them is named.
        assert!(foremost(vec![Ok(1), wrong(), Ok(2)]).is_none());
    }
}
