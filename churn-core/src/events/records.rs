//! Checked rows on their way into the log: records of a few words, kept by bucket.
//!
//! Each chunk of rows is sorted by bucket inside the cache and written once, behind what its thread
//! wrote before. Neighbouring buckets share pages of memory, which are given back once all of these
//! buckets are done with, so that the log grows where the records were.

use std::ops::Range;
use std::sync::Arc;

/// A checked row on its way, in `W` words: its time, the bits of its value, its customer's key in
/// `KEY` words (low word first) and, where somebody needs it (`ROW`), its number. Kind and channel
/// lie in the lowest bits of the time, or beside the number.
pub(super) struct Form<const KEY: usize, const ROW: bool, const W: usize>;

/// What a record holds.
#[derive(Clone, Copy)]
pub(super) struct Cells {
    pub(super) time: i64,
    pub(super) kind: u8,
    pub(super) value: f64,
    pub(super) key: u128,
    pub(super) channel: u8,
    pub(super) row: u32,
}

/// Bits below the time for kind and channel.
const BELOW_TIME: u32 = 12;

impl<const KEY: usize, const ROW: bool, const W: usize> Form<KEY, ROW, W> {
    /// Whether all times from `first` to `last` fit, counted from `base`.
    pub(super) fn holds(base: i64, first: i64, last: i64) -> bool {
        let fits = |time: i64| {
            let since = i128::from(time) - i128::from(base);
            (0..1 << (u64::BITS - BELOW_TIME)).contains(&since)
        };
        ROW || fits(first) && fits(last)
    }

    #[inline(always)]
    pub(super) fn record(cells: Cells, base: i64) -> [u64; W] {
        let Cells {
            time,
            kind,
            value,
            key,
            channel,
            row,
        } = cells;
        let (time, kind) = (time.wrapping_sub(base) as u64, u64::from(kind));
        let mut record = [0; W];
        record[1] = value.to_bits();
        record[2] = key as u64;
        if KEY > 1 {
            record[3] = (key >> 64) as u64;
        }
        if ROW {
            record[0] = time;
            record[W - 1] = u64::from(row) | kind << 32 | u64::from(channel) << 40;
        } else {
            record[0] = time << BELOW_TIME | kind << 8 | u64::from(channel);
        }
        record
    }

    /// Time since the base of the frame.
    #[inline(always)]
    pub(super) fn time(record: &[u64; W]) -> u64 {
        if ROW {
            record[0]
        } else {
            record[0] >> BELOW_TIME
        }
    }

    #[inline(always)]
    pub(super) fn kind(record: &[u64; W]) -> u8 {
        if ROW {
            (record[W - 1] >> 32) as u8
        } else {
            (record[0] >> 8) as u8 & 15
        }
    }

    #[inline(always)]
    pub(super) fn channel(record: &[u64; W]) -> u8 {
        if ROW {
            (record[W - 1] >> 40) as u8
        } else {
            record[0] as u8
        }
    }

    #[inline(always)]
    fn set_channel(record: &mut [u64; W], channel: u8) {
        let (word, shift) = if ROW { (W - 1, 40) } else { (0, 0) };
        record[word] = record[word] & !(0xff << shift) | u64::from(channel) << shift;
    }

    #[inline(always)]
    pub(super) fn value(record: &[u64; W]) -> f64 {
        f64::from_bits(record[1])
    }

    #[inline(always)]
    pub(super) fn key(record: &[u64; W]) -> u128 {
        let high = if KEY > 1 { record[3] } else { 0 };
        u128::from(record[2]) | u128::from(high) << 64
    }

    /// The number of the row; 0 where nobody needs it.
    #[inline(always)]
    pub(super) fn row(record: &[u64; W]) -> usize {
        if ROW {
            record[W - 1] as u32 as usize
        } else {
            0
        }
    }
}

/// How the times of records count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Records hold the time since this instant.
    pub(super) base: i64,
    pub(super) first_time: i64,
    /// Bits of the largest time counted from the first one.
    pub(super) time_bits: u32,
}

impl Frame {
    /// The time of a record since the first of all.
    #[inline(always)]
    pub(super) fn since_first(self, time: u64) -> u64 {
        time.wrapping_sub(self.first_time.wrapping_sub(self.base) as u64)
    }
}

/// Groups of neighbouring buckets that share pages.
const GROUPS: usize = 8;

/// One thread's records.
pub(super) struct Shelf<const W: usize> {
    /// Of each group of buckets; filled one behind another.
    pages: Vec<Vec<Vec<[u64; W]>>>,
    /// Records that a page has room for.
    room: usize,
    buckets: usize,
}

/// Where a chunk's records are.
pub(super) struct Shelved {
    shelf: usize,
    /// Of each group: the page, and the first record there.
    starts: Vec<(usize, usize)>,
    /// Of each bucket: where it ends among the chunk's records.
    ends: Vec<u32>,
}

/// How many groups so many buckets have, and the buckets of one of them.
fn group_count(buckets: usize) -> usize {
    buckets.min(GROUPS)
}

fn group_range(buckets: usize, group: usize) -> Range<usize> {
    let groups = group_count(buckets);
    group * buckets / groups..(group + 1) * buckets / groups
}

impl<const W: usize> Shelf<W> {
    /// A shelf for a thread's share of so many records in all.
    pub(super) fn new(buckets: usize, records: usize) -> Self {
        let groups = group_count(buckets);
        Shelf {
            pages: vec![Vec::new(); groups],
            room: records.div_ceil(groups),
            buckets,
        }
    }

    /// Puts the records of a chunk behind the others of their buckets; `order` is working memory.
    pub(super) fn put(
        &mut self,
        shelf: usize,
        records: &[[u64; W]],
        buckets: &[u16],
        order: &mut Vec<u32>,
    ) -> Shelved {
        let mut ends = vec![0_u32; self.buckets];
        for bucket in buckets {
            ends[usize::from(*bucket)] += 1;
        }
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end - *count;
        }
        // Each start becomes the end of its bucket.
        let sorted = buckets.is_sorted();
        order.clear();
        order.resize(if sorted { 0 } else { records.len() }, 0);
        for (i, bucket) in buckets.iter().enumerate() {
            let place = &mut ends[usize::from(*bucket)];
            if !sorted {
                order[*place as usize] = i as u32;
            }
            *place += 1;
        }
        let mut starts = Vec::with_capacity(self.pages.len());
        let mut from = 0;
        for (group, pages) in self.pages.iter_mut().enumerate() {
            let last = group_range(self.buckets, group).end - 1;
            let to = ends[last] as usize;
            if to == from {
                starts.push((0, 0));
                continue;
            }
            let fits = |page: &Vec<[u64; W]>| page.capacity() - page.len() >= to - from;
            if !pages.last().is_some_and(fits) {
                pages.push(Vec::with_capacity(self.room.max(to - from)));
            }
            let number = pages.len() - 1;
            let page = &mut pages[number];
            starts.push((number, page.len()));
            match order.get(from..to) {
                Some(order) => page.extend(order.iter().map(|i| records[*i as usize])),
                None => page.extend_from_slice(&records[from..to]),
            }
            from = to;
        }
        Shelved {
            shelf,
            starts,
            ends,
        }
    }
}

/// The pages of one group of buckets, by shelf.
type Pages<const W: usize> = Vec<Vec<Vec<[u64; W]>>>;

/// The records of one bucket, chunk after chunk in the order of the rows.
pub(super) struct Bucket<const W: usize> {
    chunks: Arc<Vec<Shelved>>,
    pages: Arc<Pages<W>>,
    bucket: usize,
    group: usize,
    /// First bucket of the group.
    first: usize,
}

/// The records of all shelves by bucket; chunks in the order of their rows.
pub(super) fn by_bucket<const W: usize>(
    shelves: Vec<Shelf<W>>,
    chunks: Vec<Shelved>,
    buckets: usize,
) -> Vec<Bucket<W>> {
    let chunks = Arc::new(chunks);
    let mut shelves: Vec<_> = shelves.into_iter().map(|s| s.pages.into_iter()).collect();
    let mut all = Vec::with_capacity(buckets);
    for group in 0..group_count(buckets) {
        let pages = shelves.iter_mut().map(|groups| groups.next());
        let pages: Arc<Pages<W>> = Arc::new(pages.map(Option::unwrap_or_default).collect());
        let range = group_range(buckets, group);
        all.extend(range.clone().map(|bucket| Bucket {
            chunks: Arc::clone(&chunks),
            pages: Arc::clone(&pages),
            bucket,
            group,
            first: range.start,
        }));
    }
    all
}

impl<const W: usize> Bucket<W> {
    /// Where a chunk's records of the bucket lie among all of the chunk.
    fn range(&self, chunk: &Shelved) -> Range<usize> {
        let end = |bucket: usize| bucket.checked_sub(1).map_or(0, |before| chunk.ends[before]);
        end(self.bucket) as usize..end(self.bucket + 1) as usize
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.chunks
            .iter()
            .map(|chunk| self.range(chunk).len())
            .sum()
    }

    /// The records, with the channels that `names` gives for each chunk's own.
    pub(super) fn read<const KEY: usize, const ROW: bool>(
        &self,
        names: &[Option<ChannelNames>],
        out: &mut Vec<[u64; W]>,
    ) {
        out.clear();
        for (i, chunk) in self.chunks.iter().enumerate() {
            let range = self.range(chunk);
            if range.is_empty() {
                continue;
            }
            let (page, start) = chunk.starts[self.group];
            let skipped = match self.first.checked_sub(1) {
                Some(before) => chunk.ends[before] as usize,
                None => 0,
            };
            let range = start + range.start - skipped..start + range.end - skipped;
            let records = &self.pages[chunk.shelf][page][range];
            let known = out.len();
            out.extend_from_slice(records);
            if let Some(names) = names.get(i).and_then(Option::as_ref) {
                for record in &mut out[known..] {
                    let channel = Form::<KEY, ROW, W>::channel(record);
                    Form::<KEY, ROW, W>::set_channel(record, names[usize::from(channel)]);
                }
            }
        }
    }
}

/// The channel behind each code that one chunk of rows gave to its channels.
pub(super) type ChannelNames = [u8; 256];
