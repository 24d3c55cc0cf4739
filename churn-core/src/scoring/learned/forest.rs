//! Forests and single trees that average outcomes: probabilities without a link.
//!
//! A forest is hard to get wrong: no learning rate, no early stopping, more trees never hurt. It
//! usually ranks a little worse than boosting, its file is larger, and its probabilities shy away
//! from 0 and 1 (calibrate them). One tree of few levels is for people to read, not for ranking.
//!
//! Each tree of a forest is grown on n rows drawn with replacement, each split is the best of some
//! columns drawn at random (Breiman 2001, Machine Learning 45(1)), and a leaf answers with the mean
//! outcome of its rows. A split maximises G_L²/H_L + G_R²/H_R, with G the weighted sum of outcomes
//! and H that of weights, which for outcomes 0 and 1 is the Gini criterion. Rows are binned as for
//! boosting; missing values go to whichever side is better, levels are parted in order of their
//! mean outcome, which holds the best set (Breiman et al. 1984, theorem 4.5).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::boosting::{Binned, Binning, learn_bins, part_into, sides};
use super::check;
use super::frame::Frame;
use super::trees::{BinSet, Link, MAX_NODES, Node, Rule, Tree, TreeEnsemble, insert};
use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::progress::Progress;

/// Settings of a random forest.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{Column, Forest, Frame};
/// let silence: Vec<f64> = (0..300).map(|i| f64::from(i % 100)).collect();
/// let churned: Vec<f64> = silence.iter().map(|days| f64::from(u8::from(*days > 60.0))).collect();
/// let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
/// let model = Forest { trees: 50, ..Default::default() }.fit(&frame, &churned, None, &Progress::none())?;
/// let probability = model.predict(&frame)?;
/// assert!(probability[10] < 0.1 && probability[90] > 0.9);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forest {
    /// Number of trees.
    pub trees: usize,
    /// Most splits between the root and a leaf; 0 = no limit.
    pub max_depth: usize,
    /// Least rows of a leaf, rows drawn several times counted as often.
    pub min_rows_in_leaf: usize,
    /// Columns that a split chooses from; 0 = the square root of their number, rounded down.
    pub columns_per_split: usize,
    /// Most bins of a numeric column and most levels of a categorical one, 2 to 255.
    pub max_bins: usize,
    /// Factor on the weight of rows with outcome 1; shifts probabilities.
    pub positive_weight: f64,
    /// Seed of the drawing.
    pub seed: u64,
}

impl Default for Forest {
    fn default() -> Self {
        Forest {
            trees: 300,
            max_depth: 0,
            min_rows_in_leaf: 5,
            columns_per_split: 0,
            max_bins: 255,
            positive_weight: 1.0,
            seed: 0,
        }
    }
}

/// Settings of one tree that people can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionTree {
    /// Most splits between the root and a leaf; 0 = no limit.
    pub max_depth: usize,
    /// Least rows of a leaf.
    pub min_rows_in_leaf: usize,
    /// Most bins of a numeric column and most levels of a categorical one, 2 to 255.
    pub max_bins: usize,
    /// Factor on the weight of rows with outcome 1; shifts probabilities.
    pub positive_weight: f64,
}

impl Default for DecisionTree {
    fn default() -> Self {
        DecisionTree {
            max_depth: 4,
            min_rows_in_leaf: 50,
            max_bins: 255,
            positive_weight: 1.0,
        }
    }
}

impl Forest {
    /// Learns from the rows of a frame and their outcomes, 0 or 1.
    ///
    /// Shape: `target` and `weights` have one entry per row. Rows of weight 0 are left out.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain; `LengthMismatch`; `InvalidValue`, naming
    /// the row, for an outcome or weight that may not be; `NotEnoughData` without rows or with one
    /// outcome only; `Cancelled`.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<TreeEnsemble> {
        if !(1..=10_000).contains(&self.trees) {
            return Err(wrong(
                "forest.trees",
                "a number from 1 to 10000",
                self.trees,
            ));
        }
        let growth = Growth {
            what: "forest",
            trees: self.trees,
            max_depth: self.max_depth,
            min_rows: self.min_rows_in_leaf,
            max_bins: self.max_bins,
            positive_weight: self.positive_weight,
            columns: Some(self.columns_per_split),
            seed: self.seed,
        };
        growth.fit(frame, target, weights, progress)
    }
}

impl DecisionTree {
    /// Learns from the rows of a frame and their outcomes, 0 or 1; as [`Forest::fit`], with all rows
    /// and all columns.
    ///
    /// # Errors
    /// As [`Forest::fit`].
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<TreeEnsemble> {
        let growth = Growth {
            what: "decision_tree",
            trees: 1,
            max_depth: self.max_depth,
            min_rows: self.min_rows_in_leaf,
            max_bins: self.max_bins,
            positive_weight: self.positive_weight,
            columns: None,
            seed: 0,
        };
        growth.fit(frame, target, weights, progress)
    }
}

fn wrong(what: impl Into<String>, expected: &str, got: impl std::fmt::Display) -> Error {
    Error::invalid_parameter(what, expected, got)
}

/// How both are grown.
#[derive(Debug)]
struct Growth {
    what: &'static str,
    trees: usize,
    max_depth: usize,
    min_rows: usize,
    max_bins: usize,
    positive_weight: f64,
    /// Columns per split (0 = square root) of trees on drawn rows; `None`: all rows, all columns.
    columns: Option<usize>,
    seed: u64,
}

/// Rows, weights and bins of training.
struct Ground<'a> {
    binned: &'a Binned,
    binnings: Vec<&'a Binning>,
    /// For each row its weight (lower half), and in the upper half the same if its outcome is 1.
    words: Vec<u64>,
    /// Rows of weight.
    rows: Vec<u32>,
}

/// Most that the weights of one tree may sum to, so that sums fit half a word.
const MOST: f64 = (1_u64 << 31) as f64;

impl Growth {
    fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<TreeEnsemble> {
        let place = |name: &str| format!("{}.{name}", self.what);
        if !(2..=255).contains(&self.max_bins) {
            return Err(wrong(
                place("max_bins"),
                "a number from 2 to 255",
                self.max_bins,
            ));
        }
        if !(self.positive_weight.is_finite() && self.positive_weight > 0.0) {
            let expected = "a finite number above 0";
            return Err(wrong(
                place("positive_weight"),
                expected,
                self.positive_weight,
            ));
        }
        let rows = frame.rows();
        if rows >= 1 << 30 {
            return Err(wrong(place("rows"), "fewer than 2^30 rows", rows));
        }
        let of_row = check::labelled(frame, target, weights, self.positive_weight)?;
        let kept: Vec<bool> = of_row.iter().map(|w| *w > 0.0).collect();
        let binnings = learn_bins(frame, Some(&kept), self.max_bins, progress)?;
        let binned = Binned::new(frame, &binnings)?;
        // Whole numbers, so that sums do not depend on the order of rows: equal weights are ones.
        let heaviest = of_row.iter().copied().fold(0.0, f64::max);
        let equal = of_row.iter().all(|w| *w == 0.0 || *w == heaviest);
        // A row can be drawn several times; twice the mean sum leaves more than enough room.
        let sum: f64 = of_row.iter().map(|w| w / heaviest).sum();
        let step = if equal {
            1.0
        } else {
            (MOST / 2.0 / sum).floor().clamp(1.0, 65_535.0)
        };
        let words = of_row.iter().zip(target).map(|(w, y)| {
            let weight = if *w > 0.0 {
                (w / heaviest * step).round().max(1.0) as u64
            } else {
                0
            };
            if *y == 1.0 {
                weight << 32 | weight
            } else {
                weight
            }
        });
        let ground = Ground {
            binnings: binned.slots.iter().map(|&j| &binnings[j]).collect(),
            words: words.collect(),
            rows: (0..rows as u32).filter(|&i| kept[i as usize]).collect(),
            binned: &binned,
        };
        let progress = progress.step("forest.trees", self.trees);
        let trees: Vec<Tree> = (0..self.trees)
            .into_par_iter()
            .map(|t| {
                let tree = self.grow(&ground, Random::new(self.seed, t as u64))?;
                progress.advance(1)?;
                Ok(tree)
            })
            .collect::<Result<_>>()?;
        let slots = &binned.slots;
        let features = binnings.iter().map(|b| b.feature.clone()).collect();
        TreeEnsemble::grown(features, slots, trees, 0.0, Link::Probability)
    }
}

/// A node whose rows are still together.
struct Open {
    node: usize,
    start: usize,
    rows: usize,
    /// Whether its rows stand in the spare buffer.
    moved: bool,
    depth: usize,
    sums: Sums,
}

/// Sums over rows as they were drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    /// Weights of rows with outcome 1 above, of all below.
    word: u64,
    drawn: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Sums {
            word: self.word.wrapping_add(other.word),
            drawn: self.drawn + other.drawn,
        }
    }

    fn minus(self, other: Self) -> Self {
        Sums {
            word: self.word.wrapping_sub(other.word),
            drawn: self.drawn - other.drawn,
        }
    }

    fn positive(self) -> f64 {
        (self.word >> 32) as f64
    }

    fn weight(self) -> f64 {
        f64::from(self.word as u32)
    }

    /// G² / H.
    fn score(self) -> f64 {
        self.positive() * self.positive() / self.weight()
    }
}

/// The bins of one column in one node: sums, and which bins hold rows.
struct Table {
    sums: [Sums; 256],
    held: BinSet,
}

impl Table {
    fn clear(&mut self) {
        for bin in members(self.held) {
            self.sums[usize::from(bin)] = Sums::default();
        }
        self.held = BinSet::default();
    }
}

/// The bins in a set, ascending.
fn members(set: BinSet) -> impl Iterator<Item = u8> {
    set.into_iter().enumerate().flat_map(|(w, mut word)| {
        std::iter::from_fn(move || {
            let bit = word.trailing_zeros();
            word &= word.wrapping_sub(1);
            (bit < 64).then(|| (w * 64) as u8 + bit as u8)
        })
    })
}

/// A split that was found.
struct Split {
    slot: usize,
    rule: Rule,
    score: f64,
    left: Sums,
}

impl Growth {
    fn grow(&self, ground: &Ground<'_>, mut random: Random) -> Result<Tree> {
        let all = ground.binned.rows;
        let mut drawn = vec![0_u32; all];
        match self.columns {
            None => ground.rows.iter().for_each(|&row| drawn[row as usize] = 1),
            Some(_) => {
                let mut weight = 0;
                for _ in 0..ground.rows.len() {
                    let row = ground.rows[below(&mut random, ground.rows.len())] as usize;
                    weight += ground.words[row] & u64::from(u32::MAX);
                    // Sums must fit; this takes heavy rows drawn against all odds.
                    if weight > u64::from(u32::MAX) {
                        break;
                    }
                    drawn[row] += 1;
                }
            }
        }
        let mut rows: Vec<u32> = (0..all as u32).filter(|&i| drawn[i as usize] > 0).collect();
        let mut spare = vec![0; rows.len()];
        let sums: Vec<Sums> = drawn
            .iter()
            .zip(&ground.words)
            .map(|(&drawn, word)| Sums {
                word: word.wrapping_mul(u64::from(drawn)),
                drawn,
            })
            .collect();
        let of_rows = rows.iter().map(|&row| sums[row as usize]);
        let root = Open {
            node: 0,
            start: 0,
            rows: rows.len(),
            moved: false,
            depth: 0,
            sums: of_rows.fold(Sums::default(), Sums::plus),
        };
        let mut tree = Tree {
            nodes: vec![Node::Leaf { value: 0.0 }],
            rows: vec![root.sums.drawn],
        };
        let mut order: Vec<usize> = (0..ground.binnings.len()).collect();
        let mut table = Table {
            sums: [Sums::default(); 256],
            held: BinSet::default(),
        };
        let mut open = vec![root];
        while let Some(leaf) = open.pop() {
            let range = leaf.start..leaf.start + leaf.rows;
            let (from, to) = if leaf.moved {
                (&mut spare, &mut rows)
            } else {
                (&mut rows, &mut spare)
            };
            let (from, to) = (&from[range.clone()], &mut to[range]);
            let may_split = (self.max_depth == 0 || leaf.depth < self.max_depth)
                && leaf.sums.drawn as usize >= 2 * self.min_rows.max(1)
                && leaf.sums.positive() > 0.0
                && leaf.sums.positive() < leaf.sums.weight()
                && tree.nodes.len() + 2 <= MAX_NODES;
            let split = match may_split {
                true => self.split(
                    ground,
                    &leaf,
                    from,
                    &sums,
                    &mut order,
                    &mut table,
                    &mut random,
                ),
                false => None,
            };
            let Some(split) = split else {
                let mean = leaf.sums.positive() / leaf.sums.weight();
                let value = (mean / self.trees as f64) as f32;
                tree.nodes[leaf.node] = Node::Leaf { value };
                continue;
            };
            let sides = sides(&split.rule, ground.binnings[split.slot].bins);
            let left = part_into(from, to, &ground.binned.columns[split.slot], &sides);
            let first = tree.nodes.len();
            tree.nodes[leaf.node] = Node::Split {
                feature: split.slot as u32,
                rule: split.rule,
                left: first as u32,
                right: first as u32 + 1,
                gain: ((split.score - leaf.sums.score()) / self.trees as f64) as f32,
            };
            let children = [
                (leaf.start, left, split.left),
                (
                    leaf.start + left,
                    leaf.rows - left,
                    leaf.sums.minus(split.left),
                ),
            ];
            for (k, (start, rows, sums)) in children.into_iter().enumerate() {
                tree.nodes.push(Node::Leaf { value: 0.0 });
                tree.rows.push(sums.drawn);
                open.push(Open {
                    node: first + k,
                    start,
                    rows,
                    moved: !leaf.moved,
                    depth: leaf.depth + 1,
                    sums,
                });
            }
        }
        Ok(tree)
    }

    /// The best split of a node on some columns drawn at random; columns that do not vary in it
    /// do not count.
    #[expect(clippy::too_many_arguments, reason = "buffers that one tree shares")]
    fn split(
        &self,
        ground: &Ground<'_>,
        leaf: &Open,
        rows: &[u32],
        sums: &[Sums],
        order: &mut [usize],
        table: &mut Table,
        random: &mut Random,
    ) -> Option<Split> {
        let all = order.len();
        let wanted = match self.columns {
            None => all,
            Some(0) => all.isqrt().max(1),
            Some(some) => some,
        };
        let mut best: Option<Split> = None;
        let mut tried = 0;
        for i in 0..all {
            if tried >= wanted && best.is_some() {
                break;
            }
            if self.columns.is_some() {
                order.swap(i, i + below(random, all - i));
            }
            let slot = order[i];
            let column = &ground.binned.columns[slot];
            table.clear();
            for &row in rows {
                let bin = column[row as usize];
                let cell = &mut table.sums[usize::from(bin)];
                *cell = cell.plus(sums[row as usize]);
                insert(&mut table.held, bin);
            }
            if members(table.held).nth(1).is_none() {
                continue;
            }
            tried += 1;
            let binning = ground.binnings[slot];
            let found = if binning.is_categorical() {
                self.levels(leaf, table, binning)
            } else {
                self.numbers(leaf, table, binning)
            };
            if let Some((score, left, rule)) = found
                && best.as_ref().is_none_or(|best| score > best.score)
            {
                best = Some(Split {
                    slot,
                    rule,
                    score,
                    left,
                });
            }
        }
        best.filter(|best| best.score > leaf.sums.score() * (1.0 + 1e-12))
    }

    /// Score of two children, if both have rows enough.
    fn pair(&self, leaf: &Open, left: Sums) -> Option<f64> {
        let right = leaf.sums.minus(left);
        let enough = left.drawn.min(right.drawn) as usize >= self.min_rows.max(1);
        enough.then(|| left.score() + right.score())
    }

    fn numbers(&self, leaf: &Open, table: &Table, binning: &Binning) -> Option<(f64, Sums, Rule)> {
        let behind = binning.bins;
        let missing = match binning.has_missing {
            true => table.sums[behind],
            false => Sums::default(),
        };
        let mut best: Option<(f64, Sums, Rule)> = None;
        for missing_left in [false, true] {
            if missing_left && missing.drawn == 0 {
                break;
            }
            let mut left = if missing_left {
                missing
            } else {
                Sums::default()
            };
            let mut bins = members(table.held)
                .filter(|&bin| usize::from(bin) < behind)
                .peekable();
            while let Some(bin) = bins.next() {
                left = left.plus(table.sums[usize::from(bin)]);
                let cut = match bins.peek() {
                    // Halfway between two bins that hold rows.
                    Some(next) => bin + (next - bin - 1) / 2,
                    // All values on one side, the missing on the other.
                    None if missing.drawn > 0 && !missing_left => (behind - 1) as u8,
                    None => break,
                };
                if let Some(score) = self.pair(leaf, left)
                    && best.as_ref().is_none_or(|(b, _, _)| score > *b)
                {
                    best = Some((score, left, Rule::AtMost { cut, missing_left }));
                }
            }
        }
        let (score, left, mut rule) = best?;
        if let Rule::AtMost { missing_left, .. } = &mut rule
            && missing.drawn == 0
        {
            *missing_left = 2.0 * left.weight() >= leaf.sums.weight();
        }
        Some((score, left, rule))
    }

    fn levels(&self, leaf: &Open, table: &Table, binning: &Binning) -> Option<(f64, Sums, Rule)> {
        let mut present: Vec<u8> = members(table.held).collect();
        let mean = |bin: u8| {
            let sums = table.sums[usize::from(bin)];
            sums.positive() / sums.weight()
        };
        present.sort_by(|&a, &b| mean(a).total_cmp(&mean(b)));
        let (mut left, mut set) = (Sums::default(), BinSet::default());
        let mut best: Option<(f64, Sums, BinSet)> = None;
        for &bin in &present[..present.len() - 1] {
            left = left.plus(table.sums[usize::from(bin)]);
            insert(&mut set, bin);
            if let Some(score) = self.pair(leaf, left)
                && best.as_ref().is_none_or(|(b, _, _)| score > *b)
            {
                best = Some((score, left, set));
            }
        }
        let (score, left, mut set) = best?;
        // What this node has never seen goes where most went.
        if 2.0 * left.weight() >= leaf.sums.weight() {
            for bin in 0..=binning.bins as u8 {
                let held = table.held[usize::from(bin >> 6)] >> (bin & 63) & 1 == 1;
                if !held {
                    insert(&mut set, bin);
                }
            }
        }
        Some((score, left, Rule::In(set)))
    }
}

/// A whole number below `n`.
fn below(random: &mut Random, n: usize) -> usize {
    ((u128::from(random.next_u64()) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::scoring::learned::boosting::tests::{example, log_loss};
    use crate::scoring::learned::{Column, MISSING_LEVEL};

    fn fit(settings: &Forest, frame: &Frame<'_>, target: &[f64]) -> TreeEnsemble {
        settings
            .fit(frame, target, None, &Progress::none())
            .unwrap()
    }

    #[test]
    fn threads_do_not_matter_and_seeds_do() {
        let (frame, target) = example(2_000, 1);
        let settings = Forest {
            trees: 12,
            ..Forest::default()
        };
        let model = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| fit(&settings, &frame, &target))
        };
        let one = model(1);
        assert_eq!(one, model(2));
        assert_eq!(one, model(7));
        assert_ne!(
            one,
            fit(
                &Forest {
                    seed: 1,
                    ..settings.clone()
                },
                &frame,
                &target
            )
        );
        assert_eq!(TreeEnsemble::from_bytes(&one.to_bytes()).unwrap(), one);
        assert!(one.least_rows() >= 5);
    }

    #[test]
    fn forests_learn_what_they_have_not_seen() {
        let (frame, target) = example(4_000, 2);
        let (held, outcomes) = example(4_000, 3);
        let p = fit(
            &Forest {
                trees: 100,
                ..Forest::default()
            },
            &frame,
            &target,
        )
        .predict(&held)
        .unwrap();
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        let share = outcomes.iter().sum::<f64>() / 4_000.0;
        let base = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
        let loss = log_loss(&p, &outcomes);
        assert!(loss < 0.85 * base, "{loss} {base}");
        let one = fit(
            &Forest {
                trees: 1,
                ..Forest::default()
            },
            &held,
            &outcomes,
        );
        assert!(log_loss(&p, &outcomes) < log_loss(&one.predict(&frame).unwrap(), &target));
    }

    #[test]
    fn a_tree_finds_the_best_split() {
        // One split on x at 2.5 parts 1/4 from 4/4; the missing belong with the high ones.
        let x = [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, f64::NAN, f64::NAN, 4.0, 3.0];
        let y = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let frame = Frame::new(vec![("x".into(), Column::Numeric(x.to_vec().into()))]).unwrap();
        let tree = DecisionTree {
            max_depth: 1,
            min_rows_in_leaf: 1,
            ..DecisionTree::default()
        };
        let model = tree.fit(&frame, &y, None, &Progress::none()).unwrap();
        let p = model.predict(&frame).unwrap();
        for (x, p) in x.iter().zip(&p) {
            let expected = if *x < 2.5 { 0.25 } else { 1.0 };
            assert!((p - expected).abs() < 1e-7, "{x} {p}");
        }
        // With weights the leaf means are weighted ones.
        let weights = [1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        let model = tree
            .fit(&frame, &y, Some(&weights), &Progress::none())
            .unwrap();
        assert!((model.predict(&frame).unwrap()[0] - 0.5).abs() < 1e-4);
    }

    #[test]
    fn levels_are_parted_at_best() {
        let codes: Vec<u32> = (0..500)
            .map(|i| if i % 11 == 10 { MISSING_LEVEL } else { i % 11 })
            .collect();
        let target: Vec<f64> = codes
            .iter()
            .map(|c| f64::from(u8::from([1, 4, 7, MISSING_LEVEL].contains(c))))
            .collect();
        let levels: Vec<String> = (0..10).map(|l| format!("{l}")).collect();
        let column = Column::Categorical {
            codes: codes.into(),
            levels: levels.into(),
        };
        let frame = Frame::new(vec![("plan".into(), column)]).unwrap();
        let tree = DecisionTree {
            max_depth: 1,
            ..DecisionTree::default()
        };
        let model = tree.fit(&frame, &target, None, &Progress::none()).unwrap();
        assert_eq!(model.predict(&frame).unwrap(), target);
    }

    #[test]
    fn mistakes_are_named() {
        let (frame, target) = example(50, 4);
        let none = Progress::none();
        let error = Forest {
            trees: 0,
            ..Forest::default()
        }
        .fit(&frame, &target, None, &none);
        assert_eq!(
            error.unwrap_err().to_string(),
            "forest.trees: expected a number from 1 to 10000, got 0"
        );
        let tree = DecisionTree::default();
        let error = tree.fit(&frame, &[1.0; 50], None, &none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        assert_eq!(
            tree.fit(&frame, &target[1..], None, &none)
                .unwrap_err()
                .kind(),
            ErrorKind::LengthMismatch
        );
        let stop = |_| crate::progress::Control::Stop;
        let cancelled = tree
            .fit(&frame, &target, None, &Progress::new(&stop))
            .unwrap_err();
        assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    }
}
