//! Sums of packed derivatives per bin: the inner loop of training.
//!
//! A block of eight features has a table of 16 KiB, which stays in the first-level cache while
//! rows stream through. Sums are whole numbers, so any split over threads gives the same table.

use super::bins::{BLOCK, Binned};
use super::gradient::{Coarse, FineSum};

/// Bins of one feature, the missing one included.
pub(crate) const WIDTH: usize = 256;
/// The table of one block.
pub(crate) type Table = [u64; BLOCK * WIDTH];

/// Rows whose packed derivatives are kept at hand while block after block reads them.
const TILE: usize = 512;
/// Rows from which on threads share one histogram.
const SHARED: usize = 1 << 14;

/// Sums of one leaf, block by block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    words: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new(blocks: usize) -> Self {
        Histogram {
            words: vec![0; blocks * BLOCK * WIDTH],
        }
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Takes away what another histogram holds.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            *word = word.wrapping_sub(*less);
        }
    }

    /// Sum over all bins of the feature at a place: that of all rows.
    pub(crate) fn total(&self, slot: usize) -> u64 {
        let bins = self.feature(slot).iter();
        bins.fold(0, |sum, word| sum.wrapping_add(*word))
    }

    fn tables_mut(&mut self) -> &mut [Table] {
        self.words.as_chunks_mut().0
    }

    /// The bins of the feature at a place in the blocks.
    pub(crate) fn feature(&self, slot: usize) -> &[u64; WIDTH] {
        &self.words.as_chunks().0[slot]
    }
}

/// Which rows a histogram is taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// All from 0 up to this number.
    All(usize),
    These(&'a [u32]),
}

impl Rows<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Rows::All(n) => n,
            Rows::These(rows) => rows.len(),
        }
    }
}

/// What rows are added up from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) binned: &'a Binned,
    pub(crate) fine: &'a [u64],
    pub(crate) coarse: Coarse,
    /// Blocks with a feature that may be split on.
    pub(crate) blocks: &'a [bool],
}

impl Source<'_> {
    /// Adds rows to an empty histogram, on so many `threads`; gives their exact sum.
    pub(crate) fn add(self, rows: Rows<'_>, threads: usize, histogram: &mut Histogram) -> FineSum {
        self.add_shared(rows, 0, rows.len(), threads, histogram)
    }

    fn add_shared(
        self,
        rows: Rows<'_>,
        start: usize,
        end: usize,
        threads: usize,
        histogram: &mut Histogram,
    ) -> FineSum {
        if threads == 1 || end - start < SHARED {
            return self.add_range(rows, start, end, histogram);
        }
        let middle = start + (end - start) / 2;
        let mut other = Histogram::new(self.binned.blocks);
        let (half, rest) = (threads / 2, threads - threads / 2);
        let (left, right) = rayon::join(
            || self.add_shared(rows, start, middle, rest, histogram),
            || self.add_shared(rows, middle, end, half, &mut other),
        );
        for (word, add) in histogram.words.iter_mut().zip(&other.words) {
            *word = word.wrapping_add(*add);
        }
        left.plus(right)
    }

    fn add_range(
        self,
        rows: Rows<'_>,
        start: usize,
        end: usize,
        histogram: &mut Histogram,
    ) -> FineSum {
        let (cells, blocks) = (&self.binned.cells, self.binned.blocks);
        let mut packed = [0_u64; TILE];
        let mut near = [[0_u8; BLOCK]; TILE];
        let mut sum = FineSum::default();
        for start in (start..end).step_by(TILE) {
            let end = end.min(start + TILE);
            let packed = &mut packed[..end - start];
            match rows {
                Rows::All(_) => packed.copy_from_slice(&self.fine[start..end]),
                Rows::These(rows) => {
                    for (word, &row) in packed.iter_mut().zip(&rows[start..end]) {
                        *word = self.fine[row as usize];
                    }
                }
            }
            for word in packed.iter_mut() {
                sum.add(*word);
                *word = self.coarse.pack(*word);
            }
            for (b, table) in self.wanted(histogram) {
                let features = self.binned.slots.len() - b * BLOCK;
                match rows {
                    Rows::All(_) => {
                        let rows = cells[start * blocks..end * blocks].chunks_exact(blocks);
                        add_some(table, features, rows.map(|row| &row[b]), packed);
                    }
                    Rows::These(rows) => {
                        // Rows of a leaf lie apart, so each waits for memory. Fetching them in a
                        // loop that does nothing else lets many be on their way at once.
                        for (near, &row) in near.iter_mut().zip(&rows[start..end]) {
                            *near = cells[row as usize * blocks + b];
                        }
                        add_some(table, features, near.iter(), packed);
                    }
                }
            }
        }
        sum
    }

    fn wanted(self, histogram: &mut Histogram) -> impl Iterator<Item = (usize, &mut Table)> {
        let tables = histogram.tables_mut().iter_mut().enumerate();
        tables.filter(move |(b, _)| self.blocks[*b])
    }

    /// The exact sum alone.
    pub(crate) fn sum(self, rows: &[u32]) -> FineSum {
        let mut sum = FineSum::default();
        for &row in rows {
            sum.add(self.fine[row as usize]);
        }
        sum
    }
}

/// Adds rows to the table of a block whose first `K` features are in use.
fn add_rows<'r, const K: usize>(
    table: &mut Table,
    rows: impl Iterator<Item = &'r [u8; BLOCK]>,
    packed: &[u64],
) {
    for (bins, &word) in rows.zip(packed) {
        for (k, bin) in bins.iter().take(K).enumerate() {
            let cell = &mut table[k * WIDTH + usize::from(*bin)];
            *cell = cell.wrapping_add(word);
        }
    }
}

fn add_some<'r>(
    table: &mut Table,
    features: usize,
    rows: impl Iterator<Item = &'r [u8; BLOCK]>,
    packed: &[u64],
) {
    match features {
        1 => add_rows::<1>(table, rows, packed),
        2 => add_rows::<2>(table, rows, packed),
        3 => add_rows::<3>(table, rows, packed),
        4 => add_rows::<4>(table, rows, packed),
        5 => add_rows::<5>(table, rows, packed),
        6 => add_rows::<6>(table, rows, packed),
        7 => add_rows::<7>(table, rows, packed),
        _ => add_rows::<BLOCK>(table, rows, packed),
    }
}
