//! Rows into buckets: ranges of keys for the build, and row numbers by bucket for ids and streams, with
//! sequential passes over memory only.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::Result;

/// The bucket of a row that takes no part.
pub(super) const NO_BUCKET: u16 = u16::MAX;

/// Rows of one bucket at which its working set stays inside a core's cache.
const ROWS_PER_BUCKET: usize = 1 << 14;

/// How many buckets so many rows are worth.
pub(super) fn bucket_count(rows: usize) -> usize {
    (rows / ROWS_PER_BUCKET).clamp(1, 2_048)
}

/// Rows that one thread takes at a time. Few enough chunks that the cursors of a chunk (one per
/// bucket) stay small beside its rows.
pub(super) fn chunk_rows(rows: usize) -> usize {
    rows.div_ceil(64).max(1 << 16)
}

/// Ascending ranges of keys of about equal weight, from a sample. Which ranges come out decides
/// the speed of the build, never its result.
pub(super) struct Ranges {
    /// First key of every range but the first, ascending and distinct.
    starts: Vec<u64>,
    min: u64,
    shift: u32,
    /// Range of the first key of each cell of `1 << shift` keys, and one more at the end.
    cells: Vec<u16>,
    /// Share of the rows that have a key.
    share: f64,
}

const CELL_BITS: u32 = 13;
const SAMPLES_PER_BUCKET: usize = 32;

impl Ranges {
    /// Ranges for `rows` keys, of which `key` gives some (`None` where a row has none).
    pub(super) fn sample(rows: usize, key: impl Fn(usize) -> Option<u64> + Sync) -> Self {
        let samples = (bucket_count(rows) * SAMPLES_PER_BUCKET).min(rows);
        let mut sample: Vec<u64> = (0..samples)
            .into_par_iter()
            .with_min_len(1 << 8)
            .filter_map(|i| key((i as u128 * rows as u128 / samples as u128) as usize))
            .collect();
        sample.sort_unstable();
        // As many as the rows that have a key are worth.
        let buckets = bucket_count(rows / samples.max(1) * sample.len());
        let mut starts: Vec<u64> = (1..buckets)
            .filter_map(|b| sample.get(b * sample.len() / buckets).copied())
            .collect();
        starts.dedup();
        let min = sample.first().copied().unwrap_or(0);
        let span = sample.last().copied().unwrap_or(0) - min;
        let shift = (64 - span.leading_zeros()).saturating_sub(CELL_BITS);
        // One range needs no search; small batches are many.
        let searched = !starts.is_empty();
        let cells = (0..=(1_u64 << CELL_BITS))
            .take_while(|_| searched)
            .map(|cell| {
                // 128 bits, because the cell behind the last one may start beyond the last key.
                let first = u128::from(min) + (u128::from(cell) << shift);
                starts.partition_point(|start| u128::from(*start) <= first) as u16
            })
            .collect();
        Ranges {
            starts,
            min,
            shift,
            cells,
            share: sample.len() as f64 / samples.max(1) as f64,
        }
    }

    /// The share of the rows that have a key, as far as the sample knows.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Number of ranges.
    pub(super) fn len(&self) -> usize {
        self.starts.len() + 1
    }

    /// The range of a key.
    #[inline]
    pub(super) fn of(&self, key: u64) -> u16 {
        if key < self.min {
            return 0;
        }
        let cell = ((key - self.min) >> self.shift) as usize;
        if cell + 1 >= self.cells.len() {
            return self.starts.len() as u16;
        }
        let (low, high) = (self.cells[cell], self.cells[cell + 1]);
        if low == high {
            return low;
        }
        let inside = &self.starts[usize::from(low)..usize::from(high)];
        low + inside.partition_point(|start| *start <= key) as u16
    }
}

/// Records by bucket, in the order of their rows within each.
///
/// Neighbouring buckets share a block of memory, which is given back once all of them are done
/// with, so that what comes out of the buckets takes the place of what went in.
pub(super) struct Scattered<T> {
    blocks: Vec<Arc<Vec<T>>>,
    /// Block of each bucket, and its range there.
    places: Vec<(usize, Range<usize>)>,
}

/// The records of one bucket.
pub(super) struct Bucket<T> {
    block: Arc<Vec<T>>,
    range: Range<usize>,
}

impl<T> Bucket<T> {
    pub(super) fn records(&self) -> &[T] {
        &self.block[self.range.clone()]
    }
}

impl<T> Scattered<T> {
    /// Number of records in each bucket.
    pub(super) fn lens(&self) -> Vec<usize> {
        self.places.iter().map(|(_, range)| range.len()).collect()
    }

    /// The buckets in order; a block lives as long as one of its buckets.
    pub(super) fn into_buckets(self) -> Vec<Bucket<T>> {
        let places = self.places.into_iter();
        places
            .map(|(block, range)| Bucket {
                block: Arc::clone(&self.blocks[block]),
                range,
            })
            .collect()
    }
}

/// Where a chunk of rows writes its records of each bucket.
pub(super) struct Cursors<'b, T>(Vec<std::slice::IterMut<'b, T>>);

impl<T> Cursors<'_, T> {
    /// Puts a record behind the others of its bucket; the chunk has counted its rows before.
    #[inline(always)]
    pub(super) fn push(&mut self, bucket: u16, record: T) {
        if let Some(place) = self.0[usize::from(bucket)].next() {
            *place = record;
        }
    }
}

/// Blocks that the buckets are spread over.
const BLOCKS: usize = 32;

/// Lets every chunk of rows write its records next to those of the same bucket. `counts` holds the
/// rows of each chunk per bucket; `write` is given the number of the chunk.
pub(super) fn scatter<T: Copy + Send>(
    counts: &[&[u32]],
    buckets: usize,
    zero: T,
    write: impl Fn(usize, &mut Cursors<'_, T>) -> Result<()> + Sync,
) -> Result<Scattered<T>> {
    let sizes: Vec<usize> = (0..buckets)
        .map(|bucket| counts.iter().map(|counts| counts[bucket] as usize).sum())
        .collect();
    let total: usize = sizes.iter().sum();
    let target = total.div_ceil(BLOCKS).max(1);
    let mut places = Vec::with_capacity(buckets);
    let mut lens = vec![0];
    for size in &sizes {
        if lens[lens.len() - 1] >= target {
            lens.push(0);
        }
        let block = lens.len() - 1;
        places.push((block, lens[block]..lens[block] + size));
        lens[block] += size;
    }
    let mut blocks: Vec<Vec<T>> = lens.iter().map(|len| vec![zero; *len]).collect();
    let mut cursors: Vec<Cursors<'_, T>> = counts
        .iter()
        .map(|_| Cursors(Vec::with_capacity(buckets)))
        .collect();
    let mut rests = blocks.iter_mut().map(Vec::as_mut_slice);
    let mut rest = rests.next().unwrap_or_default();
    let mut current = 0;
    for (bucket, (block, _)) in places.iter().enumerate() {
        if *block != current {
            rest = rests.next().unwrap_or_default();
            current = *block;
        }
        for (cursors, counts) in cursors.iter_mut().zip(counts) {
            let (own, tail) = rest.split_at_mut(counts[bucket] as usize);
            cursors.0.push(own.iter_mut());
            rest = tail;
        }
    }
    cursors
        .par_iter_mut()
        .enumerate()
        .try_for_each(|(chunk, cursors)| write(chunk, cursors))?;
    drop(cursors);
    let blocks = blocks.into_iter().map(Arc::new).collect();
    Ok(Scattered { blocks, places })
}

/// The numbers of the rows that have a bucket, by bucket.
pub(super) fn scatter_rows(
    buckets: &[u16],
    count: usize,
    advance: impl Fn(usize) -> Result<()> + Sync,
) -> Result<Scattered<u32>> {
    let rows = chunk_rows(buckets.len());
    let chunks: Vec<&[u16]> = buckets.chunks(rows).collect();
    let counts: Vec<Vec<u32>> = chunks
        .par_iter()
        .map(|chunk| {
            let mut counts = vec![0_u32; count];
            for &bucket in chunk.iter().filter(|bucket| **bucket != NO_BUCKET) {
                counts[usize::from(bucket)] += 1;
            }
            counts
        })
        .collect();
    let counts: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
    scatter(&counts, count, 0, |i, cursors| {
        for (j, &bucket) in chunks[i].iter().enumerate() {
            if bucket != NO_BUCKET {
                cursors.push(bucket, (i * rows + j) as u32);
            }
        }
        advance(chunks[i].len())
    })
}

/// Consecutive mutable pieces of the given lengths.
pub(super) fn split_lens<T>(
    mut rest: &mut [T],
    lens: impl IntoIterator<Item = usize>,
) -> Vec<&mut [T]> {
    let mut pieces = Vec::new();
    for len in lens {
        let (piece, tail) = rest.split_at_mut(len);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_lies_in_the_range_that_starts_at_or_below_it() {
        let skewed: Vec<u64> = (0..200_000_u64)
            .map(|i| {
                if i % 3 == 0 {
                    i * 1_000_003
                } else {
                    u64::MAX - i * i
                }
            })
            .collect();
        let ranges = Ranges::sample(skewed.len(), |row| Some(skewed[row]));
        assert!(ranges.len() > 8);
        for key in skewed.into_iter().chain([0, 1, u64::MAX, u64::MAX / 2]) {
            let expected = ranges.starts.partition_point(|start| *start <= key);
            assert_eq!(usize::from(ranges.of(key)), expected);
        }
    }

    #[test]
    fn one_key_and_no_key() {
        let ranges = Ranges::sample(1_000_000, |_| Some(7));
        assert!(ranges.len() <= 2);
        assert_eq!(ranges.of(3), 0);
        let ranges = Ranges::sample(1_000_000, |_| None);
        assert_eq!((ranges.len(), ranges.of(99)), (1, 0));
    }

    #[test]
    fn scatter_keeps_the_order_of_rows() {
        let buckets: Vec<u16> = (0..200_000_u32)
            .map(|i| {
                if i % 5 == 4 {
                    NO_BUCKET
                } else {
                    (i % 3) as u16
                }
            })
            .collect();
        let out = scatter_rows(&buckets, 3, |_| Ok(())).unwrap();
        let lens = out.lens();
        for (bucket, out) in out.into_buckets().into_iter().enumerate() {
            let part = out.records();
            assert_eq!(part.len(), lens[bucket]);
            let rows = 0..buckets.len() as u32;
            let expected: Vec<u32> = rows
                .filter(|r| usize::from(buckets[*r as usize]) == bucket)
                .collect();
            assert_eq!(part, expected);
        }
    }
}
