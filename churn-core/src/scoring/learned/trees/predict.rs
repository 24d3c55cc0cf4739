//! Margins, many rows at once or one.
//!
//! Cells become bins once, then every split compares two bytes. Each numeric column has two bins
//! per row, which differ only where the value is missing: one that is left of every cut and one
//! that is right of it, so that a split names the one it needs and no step asks whether a value is
//! missing. Several rows (or for one row several trees) walk side by side, because a single walk
//! waits for memory most of the time. A leaf is a node that leads to itself.

use rayon::prelude::*;

use super::coding::{Coder, CutTable};
use super::{BinSet, Encoding, Feature, Node, Rule, Tree, TreeEnsemble, in_set};
use crate::error::{Error, Result};
use crate::scoring::learned::frame::Frame;

/// Rows that are binned together.
const TILE: usize = 256;
/// Rows that one task predicts.
const CHUNK: usize = 1 << 12;
/// Walks side by side.
const LANES: usize = 8;
/// Right of every cut.
const RIGHT: u8 = u8::MAX;

/// All trees as one table of nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    base: f64,
    /// Columns that some split reads.
    used: Vec<usize>,
    /// Left child (upper 32 bits), which of the two bins of which used column (24 bits), cut (8).
    nodes: Vec<u64>,
    /// Value of each leaf.
    values: Vec<f32>,
    roots: Vec<u32>,
    /// Empty without levels; else for each node 0 or the place of its set.
    set_of: Vec<u32>,
    sets: Vec<BinSet>,
}

impl Kernel {
    pub(super) fn new(features: &[Feature], trees: &[Tree], base: f64) -> Self {
        let mut place = vec![usize::MAX; features.len()];
        let splits = trees.iter().flat_map(|tree| &tree.nodes);
        for node in splits {
            if let Node::Split { feature, .. } = node {
                place[*feature as usize] = 0;
            }
        }
        let used: Vec<usize> = (0..features.len()).filter(|&j| place[j] == 0).collect();
        for (k, &j) in used.iter().enumerate() {
            place[j] = k;
        }
        let mut kernel = Kernel {
            base,
            used,
            nodes: Vec::new(),
            values: Vec::new(),
            roots: Vec::new(),
            set_of: Vec::new(),
            sets: vec![BinSet::default()],
        };
        for tree in trees {
            let root = kernel.nodes.len();
            kernel.roots.push(root as u32);
            for (at, node) in tree.nodes.iter().enumerate() {
                let (left, slot, cut, value, set) = match node {
                    Node::Leaf { value } => (at, 0, RIGHT, *value, None),
                    Node::Split {
                        feature,
                        rule,
                        left,
                        ..
                    } => {
                        let slot = 2 * place[*feature as usize];
                        match rule {
                            Rule::AtMost { cut, missing_left } => {
                                let slot = slot + usize::from(!missing_left);
                                (*left as usize, slot, *cut, 0.0, None)
                            }
                            Rule::In(set) => (*left as usize, slot, 0, 0.0, Some(*set)),
                        }
                    }
                };
                let word = ((root + left) as u64) << 32 | (slot as u64) << 8 | u64::from(cut);
                kernel.nodes.push(word);
                kernel.values.push(value);
                kernel.set_of.push(match set {
                    None => 0,
                    Some(set) => {
                        kernel.sets.push(set);
                        kernel.sets.len() as u32 - 1
                    }
                });
            }
        }
        if kernel.sets.len() == 1 {
            kernel.set_of = Vec::new();
        }
        kernel
    }

    /// Number of bins of a row. Leaves read the first one too, so there is always one.
    pub(super) fn slots(&self) -> usize {
        2 * self.used.len().max(1)
    }

    /// What turns the used columns of a frame into bins.
    pub(super) fn coders<'f>(
        &self,
        features: &[Feature],
        frame: &'f Frame<'_>,
    ) -> Result<Vec<Coder<'f>>> {
        // Columns that no tree reads must be there too: a model knows what it was fitted on.
        for feature in features {
            Coder::new(frame, feature)?;
        }
        let used = self.used.iter();
        used.map(|&j| Coder::new(frame, &features[j])).collect()
    }

    /// Whether a row goes left at an inner node of a tree.
    pub(super) fn goes_left(&self, tree: usize, node: usize, bin: impl Fn(usize) -> u8) -> bool {
        let at = self.roots[tree] + node as u32;
        self.step::<true>(at, bin) == (self.nodes[at as usize] >> 32) as u32
    }

    /// One step of a walk; `bin` gives the bin of a slot.
    #[inline(always)]
    fn step<const LEVELS: bool>(&self, at: u32, bin: impl Fn(usize) -> u8) -> u32 {
        let node = self.nodes[at as usize];
        let bin = bin((node >> 8) as usize & 0xff_ffff);
        let mut right = bin > node as u8;
        if LEVELS {
            let set = self.set_of.get(at as usize).copied().unwrap_or(0);
            if set != 0 {
                right = !in_set(&self.sets[set as usize], bin);
            }
        }
        (node >> 32) as u32 + u32::from(right)
    }

    pub(super) fn margins(&self, features: &[Feature], frame: &Frame<'_>) -> Result<Vec<f64>> {
        let coders = self.coders(features, frame)?;
        let mut margins = vec![self.base; frame.rows()];
        let chunks = margins.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each_init(
            || vec![0_u8; self.slots() * TILE],
            |tile, (c, chunk)| {
                for (t, margins) in chunk.chunks_mut(TILE).enumerate() {
                    let start = c * CHUNK + t * TILE;
                    for (coder, bins) in coders.iter().zip(tile.chunks_mut(2 * TILE)) {
                        let (left, right) = bins.split_at_mut(TILE);
                        coder.both(start, margins.len(), left, right);
                    }
                    if self.set_of.is_empty() {
                        self.walk::<false>(tile, margins);
                    } else {
                        self.walk::<true>(tile, margins);
                    }
                }
            },
        );
        Ok(margins)
    }

    /// Adds all trees to the margins of the rows of a tile.
    fn walk<const LEVELS: bool>(&self, tile: &[u8], margins: &mut [f64]) {
        for &root in &self.roots {
            for (g, margins) in margins.chunks_mut(LANES).enumerate() {
                let mut at = [root; LANES];
                let mut moved = true;
                while moved {
                    moved = false;
                    for (lane, at) in at.iter_mut().enumerate() {
                        // Rows past the end have bins too: those of an earlier tile.
                        let row = g * LANES + lane;
                        let next = self.step::<LEVELS>(*at, |slot| tile[slot * TILE + row]);
                        moved |= next != *at;
                        *at = next;
                    }
                }
                for (margin, at) in margins.iter_mut().zip(at) {
                    *margin += f64::from(self.values[at as usize]);
                }
            }
        }
    }

    /// The margin of one row from the bins of its slots.
    fn walk_row<const LEVELS: bool>(&self, bins: &[u8]) -> f64 {
        let mut margin = self.base;
        for roots in self.roots.chunks(LANES) {
            let mut at = [roots[0]; LANES];
            at[..roots.len()].copy_from_slice(roots);
            let mut moved = true;
            while moved {
                moved = false;
                for at in &mut at {
                    let next = self.step::<LEVELS>(*at, |slot| bins[slot]);
                    moved |= next != *at;
                    *at = next;
                }
            }
            for at in &at[..roots.len()] {
                margin += f64::from(self.values[*at as usize]);
            }
        }
        margin
    }
}

impl Coder<'_> {
    /// Both bins of some rows: with the missing left of every cut, and right of it.
    pub(super) fn both(&self, start: usize, len: usize, left: &mut [u8], right: &mut [u8]) {
        match self {
            Coder::Numeric { values, table, .. } => {
                for (i, value) in values[start..start + len].iter().enumerate() {
                    // NaN is below no cut: bin 0 as it is.
                    let bin = table.bin(*value);
                    left[i] = bin;
                    right[i] = if value.is_nan() { RIGHT } else { bin };
                }
            }
            Coder::Categorical { .. } => self.code(start, len, |i, bin| left[i] = bin),
        }
    }
}

/// Scores one row at a time without allocating: names were bound when it was made.
///
/// One per thread (`Clone`). Gives the same bits as [`TreeEnsemble::margins`].
#[derive(Debug, Clone)]
pub struct RowScorer<'a> {
    model: &'a TreeEnsemble,
    /// For each used column, where its value stands in a row.
    places: Vec<usize>,
    coders: Vec<RowCoder>,
    width: usize,
    bins: Vec<u8>,
}

#[derive(Debug, Clone)]
enum RowCoder {
    Numeric(CutTable),
    /// Number of levels.
    Categorical(usize),
}

impl<'a> RowScorer<'a> {
    pub(super) fn new<S: AsRef<str>>(model: &'a TreeEnsemble, columns: &[S]) -> Result<Self> {
        let find = |name: &str| {
            let place = columns.iter().position(|column| column.as_ref() == name);
            place.ok_or_else(|| Error::unknown_name("column", name, columns))
        };
        for feature in &model.features {
            find(&feature.name)?;
        }
        let used = model.kernel.used.iter().map(|&j| &model.features[j]);
        let places: Vec<usize> = used.clone().map(|f| find(&f.name)).collect::<Result<_>>()?;
        let coders: Vec<RowCoder> = used
            .map(|feature| match &feature.encoding {
                Encoding::Numeric(cuts) => RowCoder::Numeric(CutTable::new(cuts)),
                Encoding::Categorical(levels) => RowCoder::Categorical(levels.len()),
            })
            .collect();
        Ok(RowScorer {
            model,
            bins: vec![0; model.kernel.slots()],
            places,
            coders,
            width: columns.len(),
        })
    }

    /// The number that stands for a level in a row; NaN, which is missing, for a level that the
    /// model does not know.
    ///
    /// # Errors
    /// `UnknownName` for a column that is not a categorical one of the model.
    pub fn level(&self, column: &str, level: &str) -> Result<f64> {
        let features = &self.model.features;
        let levels = features.iter().find_map(|feature| match &feature.encoding {
            Encoding::Categorical(levels) if feature.name == column => Some(levels),
            _ => None,
        });
        let Some(levels) = levels else {
            return Err(Error::unknown_name(
                "categorical column",
                column,
                self.model.names(),
            ));
        };
        let place = levels.binary_search_by(|known| known.as_str().cmp(level));
        Ok(place.map_or(f64::NAN, |place| place as f64))
    }

    /// The margin of a row; NaN = missing, levels as [`level`](Self::level) says.
    ///
    /// # Errors
    /// `LengthMismatch` for a row of another length; `InvalidValue`, naming the column, for an
    /// infinite number or a level that does not exist.
    pub fn margin(&mut self, row: &[f64]) -> Result<f64> {
        if row.len() != self.width {
            return Err(Error::length_mismatch("row", self.width, row.len()));
        }
        let slots = self.bins.chunks_exact_mut(2);
        for ((coder, &place), slots) in self.coders.iter().zip(&self.places).zip(slots) {
            let value = row[place];
            match coder {
                RowCoder::Numeric(table) => {
                    if value.is_infinite() {
                        return Err(Error::invalid_value(
                            "row",
                            place,
                            "a finite number or NaN",
                            value,
                        ));
                    }
                    let bin = table.bin(value);
                    slots[0] = bin;
                    slots[1] = if value.is_nan() { RIGHT } else { bin };
                }
                RowCoder::Categorical(levels) => {
                    let known = value >= 0.0 && value < *levels as f64 && value.fract() == 0.0;
                    if !known && !value.is_nan() {
                        let expected = format_args!("a level below {levels} or NaN");
                        return Err(Error::invalid_value("row", place, expected, value));
                    }
                    slots[0] = if known { value as u8 } else { *levels as u8 };
                }
            }
        }
        let kernel = &self.model.kernel;
        Ok(if kernel.set_of.is_empty() {
            kernel.walk_row::<false>(&self.bins)
        } else {
            kernel.walk_row::<true>(&self.bins)
        })
    }

    /// The answer for a row: a probability, or an expected number after squared error.
    ///
    /// # Errors
    /// As [`margin`](Self::margin).
    pub fn predict(&mut self, row: &[f64]) -> Result<f64> {
        let margin = self.margin(row)?;
        Ok(self.model.link.apply(margin))
    }
}
