//! Columns as bins of one byte: what trees are grown on.
//!
//! Numbers are cut at quantiles, so that every bin holds about the same number of rows; where a
//! column has few distinct values each is a bin. Levels are bins by themselves. Cuts depend on the
//! values only, not on their order.

use rayon::prelude::*;

use crate::error::Result;
use crate::progress::Progress;
use crate::scoring::learned::frame::{Column, Frame, MISSING_LEVEL};
use crate::scoring::learned::trees::{Coder, Encoding, Feature};

/// Features side by side in memory, so that one row of a block is one load.
pub(crate) const BLOCK: usize = 8;
/// Rows that one task bins.
const CHUNK: usize = 1 << 14;
/// Rows that are turned from columns into rows while they are in the cache.
const TILE: usize = 1 << 8;

/// How one column is binned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binning {
    pub(crate) feature: Feature,
    /// Number of bins of values; missing ones are in the bin of this number.
    pub(crate) bins: usize,
    /// Whether training rows lack it.
    pub(crate) has_missing: bool,
}

impl Binning {
    pub(crate) fn is_categorical(&self) -> bool {
        matches!(self.feature.encoding, Encoding::Categorical(_))
    }

    /// Whether it can tell rows apart.
    fn varies(&self) -> bool {
        self.bins + usize::from(self.has_missing) > 1
    }
}

/// Learns the bins of every column from the rows that `keep` (all if `None`).
pub(crate) fn learn_bins(
    frame: &Frame<'_>,
    keep: Option<&[bool]>,
    max_bins: usize,
    progress: &Progress<'_>,
) -> Result<Vec<Binning>> {
    let step = progress.step("trees.bins", frame.columns().len());
    let columns: Vec<(&String, &Column<'_>)> = frame.names().iter().zip(frame.columns()).collect();
    columns
        .into_par_iter()
        .map(|(name, column)| {
            let kept = |i: usize| keep.is_none_or(|keep| keep[i]);
            let (encoding, bins, has_missing) = match column {
                Column::Numeric(values) => {
                    let mut present: Vec<f64> = Vec::with_capacity(values.len());
                    let rows = values.iter().enumerate();
                    present.extend(
                        rows.filter(|(i, v)| !v.is_nan() && kept(*i))
                            .map(|(_, v)| v),
                    );
                    let all = match keep {
                        None => values.len(),
                        Some(keep) => keep.iter().filter(|k| **k).count(),
                    };
                    // A column of nothing but missing cells says nothing.
                    let has_missing = present.len() < all && !present.is_empty();
                    present.sort_unstable_by(f64::total_cmp);
                    let cuts = quantile_cuts(&present, max_bins);
                    let bins = cuts.len() + 1;
                    (Encoding::Numeric(cuts), bins, has_missing)
                }
                Column::Categorical { codes, levels } => {
                    let mut counts = vec![0_u64; levels.len()];
                    let mut has_missing = false;
                    for (_, &code) in codes.iter().enumerate().filter(|(i, _)| kept(*i)) {
                        match code {
                            MISSING_LEVEL => has_missing = true,
                            code => counts[code as usize] += 1,
                        }
                    }
                    let mut seen: Vec<usize> =
                        (0..levels.len()).filter(|&l| counts[l] > 0).collect();
                    // The most frequent keep their name, equal ones by name.
                    seen.sort_unstable_by(|&a, &b| {
                        counts[b]
                            .cmp(&counts[a])
                            .then_with(|| levels[a].cmp(&levels[b]))
                    });
                    has_missing |= seen.len() > max_bins;
                    seen.truncate(max_bins);
                    let mut names: Vec<String> =
                        seen.into_iter().map(|l| levels[l].clone()).collect();
                    names.sort_unstable();
                    let bins = names.len();
                    (Encoding::Categorical(names), bins, has_missing)
                }
            };
            step.advance(1)?;
            Ok(Binning {
                feature: Feature {
                    name: name.clone(),
                    encoding,
                },
                bins,
                has_missing,
            })
        })
        .collect()
}

/// Thresholds between bins of about equally many of the ascending values; equal values are never
/// parted, and a value that fills a bin gets one of its own.
fn quantile_cuts(sorted: &[f64], max_bins: usize) -> Vec<f64> {
    let mut cuts = Vec::new();
    let few = distinct_up_to(sorted, max_bins) <= max_bins;
    let (mut rows_left, mut bins_left) = (sorted.len(), max_bins);
    let mut share = rows_left.div_ceil(bins_left);
    let (mut start, mut in_bin) = (0, 0);
    while start < sorted.len() && bins_left > 1 {
        let value = sorted[start];
        let equal = sorted[start..].iter().take_while(|v| **v <= value);
        let end = start + equal.count();
        in_bin += end - start;
        let Some(&next) = sorted.get(end) else { break };
        // What comes next may fill a bin by itself: then this one ends here.
        let next_is_heavy = || sorted.get(end + share - 1).is_some_and(|v| *v == next);
        if few || in_bin >= share || next_is_heavy() {
            cuts.push(between(value, next));
            rows_left -= in_bin;
            bins_left -= 1;
            in_bin = 0;
            share = rows_left.div_ceil(bins_left);
        }
        start = end;
    }
    cuts
}

/// Number of distinct values, or anything above `limit`.
fn distinct_up_to(sorted: &[f64], limit: usize) -> usize {
    let mut distinct = usize::from(!sorted.is_empty());
    for pair in sorted.windows(2) {
        distinct += usize::from(pair[0] < pair[1]);
        if distinct > limit {
            break;
        }
    }
    distinct
}

/// A threshold t with low ≤ t < high, halfway, and short (32 bits) where that is possible.
fn between(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    let short = f64::from(middle as f32);
    [short, middle]
        .into_iter()
        .find(|t| low <= *t && *t < high)
        .unwrap_or(low)
}

/// Bins of the rows of a frame, twice: row after row for histograms, where a row's cells share a
/// line of the cache, and column after column for parting rows, which reads one column.
#[derive(Debug, Clone)]
pub(crate) struct Binned {
    pub(crate) rows: usize,
    /// Blocks of [`BLOCK`] cells per row.
    pub(crate) blocks: usize,
    /// Row *i* has its blocks from `i * blocks` on.
    pub(crate) cells: Vec<[u8; BLOCK]>,
    /// The cells of each place.
    pub(crate) columns: Vec<Vec<u8>>,
    /// For each place in the blocks, the column of the frame that stands there.
    pub(crate) slots: Vec<usize>,
}

impl Binned {
    /// Bins the columns of a frame, found by name.
    pub(crate) fn new(frame: &Frame<'_>, binnings: &[Binning]) -> Result<Self> {
        // Columns that cannot tell rows apart are left out.
        let slots: Vec<usize> = (0..binnings.len())
            .filter(|&j| binnings[j].varies())
            .collect();
        let rows = frame.rows();
        let coders: Vec<Coder<'_>> = slots
            .iter()
            .map(|&j| Coder::new(frame, &binnings[j].feature))
            .collect::<Result<_>>()?;
        let mut columns = vec![vec![0_u8; rows]; slots.len()];
        let tasks: Vec<(&Coder<'_>, usize, &mut [u8])> = coders
            .iter()
            .zip(&mut columns)
            .flat_map(|(coder, column)| {
                let chunks = column.chunks_mut(CHUNK).enumerate();
                chunks.map(move |(c, chunk)| (coder, c * CHUNK, chunk))
            })
            .collect();
        tasks.into_par_iter().for_each(|(coder, start, chunk)| {
            coder.code(start, chunk.len(), |i, bin| chunk[i] = bin);
        });
        let blocks = slots.len().div_ceil(BLOCK);
        let mut cells = vec![[0_u8; BLOCK]; rows * blocks];
        if blocks > 0 {
            let tiles = cells.par_chunks_mut(TILE * blocks).enumerate();
            tiles.for_each(|(t, cells)| {
                let start = t * TILE;
                let len = cells.len() / blocks;
                for (slot, column) in columns.iter().enumerate() {
                    let (b, k) = (slot / BLOCK, slot % BLOCK);
                    for (row, bin) in cells
                        .chunks_exact_mut(blocks)
                        .zip(&column[start..start + len])
                    {
                        row[b][k] = *bin;
                    }
                }
            });
        }
        Ok(Binned {
            rows,
            blocks,
            cells,
            columns,
            slots,
        })
    }

    /// The bin of a row at a place in the blocks.
    #[inline]
    pub(crate) fn at(&self, slot: usize, row: usize) -> u8 {
        self.cells[row * self.blocks + slot / BLOCK][slot % BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(values: &[f64], max_bins: usize) -> Vec<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        quantile_cuts(&sorted, max_bins)
    }

    #[test]
    fn few_values_are_cut_halfway_between_them() {
        assert_eq!(cuts(&[3.0, 1.0, 1.0, 2.0], 8), [1.5, 2.5]);
        assert_eq!(cuts(&[5.0; 9], 8), [0.0; 0]);
        assert_eq!(cuts(&[], 8), [0.0; 0]);
        assert_eq!(cuts(&[0.0, -0.0, 1.0], 8), [0.5]);
        assert_eq!(cuts(&[f64::MIN, f64::MAX], 8), [0.0]);
        let next = 1.0_f64.next_up();
        assert_eq!(cuts(&[1.0, next], 8), [1.0]);
    }

    #[test]
    fn many_values_are_cut_at_quantiles() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(cuts(&values, 4), [249.5, 499.5, 749.5]);
        // Half of all is one value: it has a bin of its own, the others share the rest.
        let values: Vec<f64> = (0..1000).map(|i| f64::from((i - 500).max(0))).collect();
        let cuts = cuts(&values, 11);
        assert_eq!(cuts.len(), 10);
        assert_eq!(cuts[0], 0.5);
        let steps: Vec<f64> = cuts.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(steps.iter().all(|s| (49.0..=51.0).contains(s)), "{steps:?}");
    }
}
