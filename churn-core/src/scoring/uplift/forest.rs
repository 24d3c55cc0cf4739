//! Uplift forest: honest trees that look for customers on whom the treatment acts differently.
//!
//! With residuals Ỹ = y − m(x) and W̃ = w − e(x) the effect of a group is τ = Σ W̃Ỹ / Σ W̃². A split
//! maximises Σ over children of (Σ W̃Ỹ)² / Σ W̃²; half of each tree's rows choose the splits, the
//! other half gives the leaves their numbers, so that a leaf is not large because it was chosen
//! for being large. Rows are drawn in bags; how much the trees of different bags disagree beyond
//! the trees of one bag is the sampling variance of the forest.
//!
//! Sources: Wager & Athey (2018), JASA 113; Athey, Tibshirani & Wager (2019), Annals of Statistics
//! 47(2).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::progress::Progress;
use crate::scoring::learned::{Column, Frame, MISSING_LEVEL};

/// Settings of the uplift forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpliftForest {
    /// Number of trees, a multiple of `trees_per_bag`. Default 500.
    pub trees: usize,
    /// Trees that share one bag of rows. Default 4.
    pub trees_per_bag: usize,
    /// Share of the rows in a bag. Default 0.5.
    pub bag_share: f64,
    /// Least treated and least control rows of a child, among those that choose splits. Default 20.
    pub min_per_arm: usize,
    /// Columns that a split may choose from; 0 = √columns + 20, as far as there are. Default 0.
    pub columns_per_split: usize,
    /// Most bins of a column, 2 to 254. Default 32.
    pub max_bins: usize,
    /// Most splits between the root and a leaf. Default 12.
    pub max_depth: usize,
    /// Seed of the bags.
    pub seed: u64,
}

impl Default for UpliftForest {
    fn default() -> Self {
        UpliftForest {
            trees: 500,
            trees_per_bag: 4,
            bag_share: 0.5,
            min_per_arm: 20,
            columns_per_split: 0,
            max_bins: 32,
            max_depth: 12,
            seed: 0,
        }
    }
}

/// Rows of bins that one task takes.
const CHUNK: usize = 4096;

impl UpliftForest {
    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |name: &str, expected: &str, got: &dyn std::fmt::Display| {
            let what = format!("uplift.forest.{name}");
            Err(Error::invalid_parameter(what, expected, got))
        };
        if self.trees_per_bag < 2 {
            return wrong("trees_per_bag", "at least 2", &self.trees_per_bag);
        }
        if self.trees < 2 * self.trees_per_bag || !self.trees.is_multiple_of(self.trees_per_bag) {
            return wrong(
                "trees",
                "a multiple of trees_per_bag, at least twice it",
                &self.trees,
            );
        }
        if !(self.bag_share > 0.0 && self.bag_share <= 1.0) {
            return wrong(
                "bag_share",
                "a number above 0 and at most 1",
                &self.bag_share,
            );
        }
        if self.min_per_arm == 0 {
            return wrong("min_per_arm", "at least 1", &self.min_per_arm);
        }
        if !(2..=254).contains(&self.max_bins) {
            return wrong("max_bins", "2 to 254", &self.max_bins);
        }
        if !(1..=64).contains(&self.max_depth) {
            return wrong("max_depth", "1 to 64", &self.max_depth);
        }
        Ok(())
    }

    /// Fits one treatment against the control.
    ///
    /// `treated` (0 or 1), `outcome` and the nuisance values `expected` = m(x) and `propensity` =
    /// e(x) hold one number per row, checked by the caller.
    pub(super) fn fit(
        &self,
        frame: &Frame<'_>,
        rows: &Residuals,
        progress: &Progress<'_>,
    ) -> Result<FittedUpliftForest> {
        self.check()?;
        let columns: Vec<Bins> = frame
            .names()
            .iter()
            .zip(frame.columns())
            .map(|(name, column)| Bins::learn(name, column, rows, self.max_bins))
            .collect();
        let coded: Vec<Vec<u8>> = columns
            .par_iter()
            .zip(frame.columns().par_iter())
            .map(|(bins, column)| bins.code(column))
            .collect();
        let grower = Grower {
            settings: self,
            coded: &coded,
            rows,
            candidates: match self.columns_per_split {
                0 => ((columns.len() as f64).sqrt().ceil() as usize + 20).min(columns.len()),
                some => some.min(columns.len()),
            },
        };
        let step = progress.step("uplift.forest", self.trees);
        let bags = self.trees / self.trees_per_bag;
        let trees: Result<Vec<Vec<Tree>>> = (0..bags)
            .into_par_iter()
            .map(|bag| {
                let trees = grower.bag(bag as u64);
                step.advance(trees.len())?;
                Ok(trees)
            })
            .collect();
        Ok(FittedUpliftForest {
            columns,
            bags: trees?,
        })
    }
}

/// What the forest sees of each row.
pub(super) struct Residuals {
    pub(super) treated: Vec<bool>,
    /// W̃ Ỹ.
    pub(super) product: Vec<f64>,
    /// W̃².
    pub(super) square: Vec<f64>,
}

impl Residuals {
    pub(super) fn new(
        treated: &[bool],
        outcome: &[f64],
        expected: &[f64],
        propensity: &[f64],
    ) -> Self {
        let w = treated.iter().zip(propensity);
        let w: Vec<f64> = w.map(|(t, e)| f64::from(u8::from(*t)) - e).collect();
        let y = outcome.iter().zip(expected).map(|(y, m)| y - m);
        Residuals {
            treated: treated.to_vec(),
            product: w.iter().zip(y).map(|(w, y)| w * y).collect(),
            square: w.iter().map(|w| w * w).collect(),
        }
    }
}

/// How one column is cut. Missing cells are bin 0, below everything.
#[derive(Debug, Clone, PartialEq)]
struct Bins {
    name: String,
    cuts: Cuts,
}

#[derive(Debug, Clone, PartialEq)]
enum Cuts {
    /// A value is in bin 1 + number of cuts below it.
    Numeric(Vec<f64>),
    /// Levels in the order of their own effect; unknown ones count as missing.
    Levels(Vec<String>),
}

impl Bins {
    fn learn(name: &str, column: &Column<'_>, rows: &Residuals, max_bins: usize) -> Self {
        let cuts = match column {
            Column::Numeric(values) => {
                let mut present: Vec<f64> =
                    values.iter().copied().filter(|v| !v.is_nan()).collect();
                present.sort_unstable_by(f64::total_cmp);
                let n = present.len();
                let mut cuts: Vec<f64> = (1..max_bins)
                    .filter_map(|k| present.get(k * n / max_bins).copied())
                    .collect();
                cuts.dedup();
                Cuts::Numeric(cuts)
            }
            Column::Categorical { codes, levels } => {
                let mut sums = vec![(0.0, 0.0); levels.len()];
                for (row, code) in codes.iter().enumerate() {
                    if *code != MISSING_LEVEL {
                        sums[*code as usize].0 += rows.product[row];
                        sums[*code as usize].1 += rows.square[row];
                    }
                }
                let mut order: Vec<usize> =
                    (0..levels.len()).filter(|l| sums[*l].1 > 0.0).collect();
                order.sort_by(|a, b| {
                    let effect = |l: &usize| sums[*l].0 / sums[*l].1;
                    effect(a)
                        .total_cmp(&effect(b))
                        .then_with(|| levels[*a].cmp(&levels[*b]))
                });
                // Levels beyond the bins share the last one; forests are not made for ids.
                Cuts::Levels(order.into_iter().map(|l| levels[l].clone()).collect())
            }
        };
        Bins {
            name: name.to_owned(),
            cuts,
        }
    }

    fn code(&self, column: &Column<'_>) -> Vec<u8> {
        match (&self.cuts, column) {
            (Cuts::Numeric(cuts), Column::Numeric(values)) => values
                .iter()
                .map(|v| {
                    if v.is_nan() {
                        0
                    } else {
                        1 + cuts.partition_point(|cut| cut <= v) as u8
                    }
                })
                .collect(),
            (Cuts::Levels(known), Column::Categorical { codes, levels }) => {
                let place = |level: &String| {
                    known
                        .iter()
                        .position(|k| k == level)
                        .map_or(0, |i| (i + 1).min(255) as u8)
                };
                let places: Vec<u8> = levels.iter().map(place).collect();
                let code = |code: &u32| places.get(*code as usize).copied().unwrap_or(0);
                codes.iter().map(code).collect()
            }
            // The caller has compared the types of the columns.
            _ => vec![0; column.len()],
        }
    }

    fn fits(&self, column: &Column<'_>) -> bool {
        matches!(
            (&self.cuts, column),
            (Cuts::Numeric(_), Column::Numeric(_)) | (Cuts::Levels(_), Column::Categorical { .. })
        )
    }
}

/// One tree, its nodes in an array; children stand behind their parent.
#[derive(Debug, Clone, PartialEq)]
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    /// Rows whose bin is not above `bin` go to `left`, the others to `left + 1`.
    Split { column: u32, bin: u8, left: u32 },
    /// Mean of W̃Ỹ and of W̃² of the rows that were kept for estimating; none = no such row.
    Leaf(Option<(f64, f64)>),
}

impl Tree {
    fn leaf(&self, bin: impl Fn(usize) -> u8) -> usize {
        let mut at = 0;
        while let Node::Split {
            column,
            bin: cut,
            left,
        } = self.nodes[at]
        {
            at = left as usize + usize::from(bin(column as usize) > cut);
        }
        at
    }
}

struct Grower<'a> {
    settings: &'a UpliftForest,
    coded: &'a [Vec<u8>],
    rows: &'a Residuals,
    candidates: usize,
}

/// Sums of the rows of a node or bin.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    product: f64,
    square: f64,
    treated: u32,
    control: u32,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.product += other.product;
        self.square += other.square;
        self.treated += other.treated;
        self.control += other.control;
    }

    fn without(&self, other: &Sums) -> Sums {
        Sums {
            product: self.product - other.product,
            square: self.square - other.square,
            treated: self.treated - other.treated,
            control: self.control - other.control,
        }
    }

    fn score(&self) -> f64 {
        if self.square > 0.0 {
            self.product * self.product / self.square
        } else {
            0.0
        }
    }

    fn least(&self) -> usize {
        self.treated.min(self.control) as usize
    }
}

impl Grower<'_> {
    fn bag(&self, bag: u64) -> Vec<Tree> {
        let mut random = Random::new(self.settings.seed, bag);
        let n = self.rows.treated.len();
        let size = ((n as f64 * self.settings.bag_share).ceil() as usize).clamp(1, n);
        let mut rows: Vec<u32> = (0..n as u32).collect();
        shuffle(&mut rows, size, &mut random);
        rows.truncate(size);
        let trees = 0..self.settings.trees_per_bag;
        trees
            .map(|_| {
                shuffle(&mut rows, size, &mut random);
                let (structure, estimate) = rows.split_at_mut(size / 2);
                let tree = self.grow(structure, &mut random);
                self.fill(tree, estimate)
            })
            .collect()
    }

    fn grow(&self, rows: &mut [u32], random: &mut Random) -> Tree {
        let mut nodes = vec![Node::Leaf(None)];
        let mut open = vec![(0_usize, 0_usize, rows.len(), 0_usize)];
        let mut order: Vec<usize> = (0..self.coded.len()).collect();
        let mut histogram = vec![Sums::default(); 256];
        while let Some((node, start, end, depth)) = open.pop() {
            if depth == self.settings.max_depth {
                continue;
            }
            shuffle(&mut order, self.candidates, random);
            let members = &mut rows[start..end];
            let Some((column, bin)) =
                self.best_split(members, &order[..self.candidates], &mut histogram)
            else {
                continue;
            };
            let codes = &self.coded[column];
            let middle = start + partition(members, |row| codes[row as usize] <= bin);
            let left = nodes.len();
            nodes[node] = Node::Split {
                column: column as u32,
                bin,
                left: left as u32,
            };
            nodes.extend([Node::Leaf(None); 2]);
            open.push((left + 1, middle, end, depth + 1));
            open.push((left, start, middle, depth + 1));
        }
        Tree { nodes }
    }

    fn best_split(
        &self,
        members: &[u32],
        columns: &[usize],
        histogram: &mut [Sums],
    ) -> Option<(usize, u8)> {
        let least = self.settings.min_per_arm;
        if members.len() < 4 * least {
            return None;
        }
        let mut best: Option<(f64, usize, u8)> = None;
        for column in columns {
            histogram.fill(Sums::default());
            let codes = &self.coded[*column];
            for row in members {
                let row = *row as usize;
                let treated = u32::from(self.rows.treated[row]);
                histogram[usize::from(codes[row])].add(&Sums {
                    product: self.rows.product[row],
                    square: self.rows.square[row],
                    treated,
                    control: 1 - treated,
                });
            }
            let mut all = Sums::default();
            for bin in histogram.iter() {
                all.add(bin);
            }
            let parent = all.score();
            let mut left = Sums::default();
            for (bin, sums) in histogram.iter().enumerate() {
                left.add(sums);
                let right = all.without(&left);
                if right.least() < least {
                    break;
                }
                if left.least() < least || (sums.treated + sums.control) == 0 {
                    continue;
                }
                let gain = left.score() + right.score() - parent;
                let better =
                    best.is_none_or(|(most, at, _)| gain > most || (gain == most && *column < at));
                if gain > 0.0 && better {
                    best = Some((gain, *column, bin as u8));
                }
            }
        }
        best.map(|(_, column, bin)| (column, bin))
    }

    /// Gives the leaves their numbers from rows that did not choose the splits.
    fn fill(&self, mut tree: Tree, rows: &[u32]) -> Tree {
        let mut sums = vec![(0.0, 0.0, 0.0); tree.nodes.len()];
        for row in rows {
            let row = *row as usize;
            let leaf = &mut sums[tree.leaf(|column| self.coded[column][row])];
            leaf.0 += self.rows.product[row];
            leaf.1 += self.rows.square[row];
            leaf.2 += 1.0;
        }
        for (node, (product, square, n)) in tree.nodes.iter_mut().zip(sums) {
            if let Node::Leaf(values) = node {
                *values = (n > 0.0).then(|| (product / n, square / n));
            }
        }
        tree
    }
}

/// Moves `count` random members to the front, in random order.
fn shuffle<T>(members: &mut [T], count: usize, random: &mut Random) {
    let n = members.len();
    for i in 0..count.min(n) {
        let other = i + (random.uniform() * (n - i) as f64) as usize;
        members.swap(i, other.min(n - 1));
    }
}

/// Members for which `first` holds before the others, each in their order; how many hold.
fn partition(members: &mut [u32], first: impl Fn(u32) -> bool) -> usize {
    let (before, after): (Vec<u32>, Vec<u32>) = members.iter().partition(|row| first(**row));
    members[..before.len()].copy_from_slice(&before);
    members[before.len()..].copy_from_slice(&after);
    before.len()
}

/// A fitted uplift forest of one treatment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FittedUpliftForest {
    columns: Vec<Bins>,
    bags: Vec<Vec<Tree>>,
}

impl FittedUpliftForest {
    /// Effect and its standard error for each row of a frame; NaN as error where the bags agree
    /// more closely than chance would, so that no variance can be told.
    pub(super) fn predict(&self, frame: &Frame<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut coded = Vec::with_capacity(self.columns.len());
        for bins in &self.columns {
            let column = frame.column(&bins.name)?;
            if !bins.fits(column) {
                return Err(Error::invalid_parameter(
                    bins.name.as_str(),
                    "a column of the type that the model was fitted on",
                    "another type",
                ));
            }
            coded.push(bins.code(column));
        }
        let mut answers = vec![(0.0, 0.0); frame.rows()];
        answers
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(chunk, answers)| {
                let mut bags = Vec::new();
                for (i, answer) in answers.iter_mut().enumerate() {
                    let row = chunk * CHUNK + i;
                    *answer = self.row(|column| coded[column][row], &mut bags);
                }
            });
        Ok(answers.into_iter().unzip())
    }

    fn row(&self, bin: impl Fn(usize) -> u8, bags: &mut Vec<Vec<(f64, f64)>>) -> (f64, f64) {
        bags.resize(self.bags.len(), Vec::new());
        let (mut product, mut square) = (0.0, 0.0);
        let mut trees = 0.0;
        for (bag, values) in self.bags.iter().zip(bags.iter_mut()) {
            values.clear();
            for tree in bag {
                if let Node::Leaf(Some(leaf)) = tree.nodes[tree.leaf(&bin)] {
                    product += leaf.0;
                    square += leaf.1;
                    trees += 1.0;
                    values.push(leaf);
                }
            }
        }
        if trees == 0.0 || square <= 0.0 {
            return (0.0, f64::NAN);
        }
        let effect = product / square;
        let scale = square / trees;
        // Bootstrap of little bags: variance between bags, less what the trees of one bag differ.
        let (mut between, mut within, mut counted) = (0.0, 0.0, 0.0);
        for values in bags
            .iter()
            .filter(|values| values.len() == self.bags[0].len())
        {
            let k = values.len() as f64;
            let influence = |leaf: &(f64, f64)| leaf.0 - effect * leaf.1;
            let mean = values.iter().map(influence).sum::<f64>() / k;
            let spread: f64 = values
                .iter()
                .map(|leaf| (influence(leaf) - mean).powi(2))
                .sum();
            between += mean * mean;
            within += spread / (k - 1.0) / k;
            counted += 1.0;
        }
        if counted < 2.0 {
            return (effect, f64::NAN);
        }
        let variance = (between - within) / counted;
        let error = if variance > 0.0 {
            variance.sqrt() / scale
        } else {
            f64::NAN
        };
        (effect, error)
    }
}
