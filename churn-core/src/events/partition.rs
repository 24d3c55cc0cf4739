//! Rows into buckets: the radix step of the build, with sequential passes over memory only.

use rayon::prelude::*;

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
}

const CELL_BITS: u32 = 13;
const SAMPLES_PER_BUCKET: usize = 32;

impl Ranges {
    /// Ranges for `rows` keys, of which `key` gives some (`None` where a row has none).
    pub(super) fn sample(rows: usize, key: impl Fn(usize) -> Option<u64>) -> Self {
        let buckets = bucket_count(rows);
        let samples = (buckets * SAMPLES_PER_BUCKET).min(rows);
        let mut sample: Vec<u64> = (0..samples)
            .filter_map(|i| key((i as u128 * rows as u128 / samples as u128) as usize))
            .collect();
        sample.sort_unstable();
        let mut starts: Vec<u64> = (1..buckets)
            .filter_map(|b| sample.get(b * sample.len() / buckets).copied())
            .collect();
        starts.dedup();
        let min = sample.first().copied().unwrap_or(0);
        let span = sample.last().copied().unwrap_or(0) - min;
        let shift = (64 - span.leading_zeros()).saturating_sub(CELL_BITS);
        let cells = (0..=(1_u64 << CELL_BITS))
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
        }
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

/// Records grouped by bucket, in the order of their rows within each.
pub(super) struct Scattered<T> {
    pub(super) records: Vec<T>,
    /// Bucket *b* is `records[offsets[b]..offsets[b + 1]]`.
    pub(super) offsets: Vec<usize>,
}

/// Writes a record for every row that has a bucket, next to the others of that bucket.
pub(super) fn scatter<T: Send>(
    buckets: &[u16],
    count: usize,
    mut records: Vec<T>,
    make: impl Fn(usize) -> T + Sync,
    advance: impl Fn(usize) -> crate::error::Result<()> + Sync,
) -> crate::error::Result<Scattered<T>> {
    let chunk = chunk_rows(buckets.len());
    let counts: Vec<Vec<u32>> = buckets
        .par_chunks(chunk)
        .map(|rows| {
            let mut counts = vec![0_u32; count];
            for &bucket in rows.iter().filter(|bucket| **bucket != NO_BUCKET) {
                counts[usize::from(bucket)] += 1;
            }
            counts
        })
        .collect();
    let mut offsets = vec![0_usize; count + 1];
    let mut cursors: Vec<Vec<std::slice::IterMut<'_, T>>> =
        counts.iter().map(|_| Vec::with_capacity(count)).collect();
    let mut rest = records.as_mut_slice();
    for bucket in 0..count {
        let mut size = 0;
        for (cursors, counts) in cursors.iter_mut().zip(&counts) {
            let (own, tail) = rest.split_at_mut(counts[bucket] as usize);
            cursors.push(own.iter_mut());
            rest = tail;
            size += counts[bucket] as usize;
        }
        offsets[bucket + 1] = offsets[bucket] + size;
    }
    cursors
        .par_iter_mut()
        .enumerate()
        .try_for_each(|(i, cursors)| {
            let start = i * chunk;
            let rows = &buckets[start..(start + chunk).min(buckets.len())];
            for (j, &bucket) in rows.iter().enumerate() {
                if bucket != NO_BUCKET
                    && let Some(place) = cursors[usize::from(bucket)].next()
                {
                    *place = make(start + j);
                }
            }
            advance(rows.len())
        })?;
    drop(cursors);
    records.truncate(offsets[count]);
    Ok(Scattered { records, offsets })
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
        let rows = vec![0_usize; buckets.len()];
        let out = scatter(&buckets, 3, rows, |row| row, |_| Ok(())).unwrap();
        for bucket in 0..3 {
            let part = &out.records[out.offsets[bucket]..out.offsets[bucket + 1]];
            let expected: Vec<usize> = (0..buckets.len())
                .filter(|r| usize::from(buckets[*r]) == bucket)
                .collect();
            assert_eq!(part, expected);
        }
    }
}
