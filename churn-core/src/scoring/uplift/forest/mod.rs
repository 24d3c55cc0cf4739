//! Uplift forest: honest trees that look for customers on whom the treatment acts differently.
//!
//! With residuals Ỹ = y − m(x) and W̃ = w − e(x) the effect of a group is τ = Σ W̃Ỹ / Σ W̃². A split
//! maximises Σ over children of (Σ W̃Ỹ)² / Σ W̃²; half of each tree's rows choose the splits, the
//! other half gives the leaves their numbers, so that a leaf is not large because it was chosen
//! for being large. A leaf speaks with the means of its own rows twice, less those of its parent's:
//! what averaging over the leaf smooths away shows, to the first order, in the step from the parent
//! to the leaf, and is added back. Rows are drawn in bags; how much the trees of different bags
//! disagree beyond the trees of one bag is the sampling variance of the forest.
//!
//! Sources: Wager & Athey (2018), JASA 113; Athey, Tibshirani & Wager (2019), Annals of Statistics
//! 47(2), for trees and variance; two scales of smoothing against bias: Demirkaya et al. (2024),
//! JASA 119(545), there for nearest neighbours.

mod bins;
mod file;
mod grow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use bins::Bins;
pub(super) use grow::Residuals;
use grow::{Grower, Node, Tree};

use crate::error::{Error, Result};
use crate::math::distributions::{normal_cdf, normal_pdf};
use crate::progress::Progress;
use crate::scoring::learned::Frame;

/// Settings of the uplift forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpliftForest {
    /// Number of trees, a multiple of `trees_per_bag`. Default 500.
    pub trees: usize,
    /// Trees that share one bag of rows. Default 4.
    pub trees_per_bag: usize,
    /// Share of the rows in a bag, at most 0.9. Default 0.5.
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
        if !(self.bag_share > 0.0 && self.bag_share <= 0.9) {
            return wrong(
                "bag_share",
                "a number above 0 and at most 0.9",
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
        let bags: Result<Vec<Vec<Tree>>> = (0..bags)
            .into_par_iter()
            .map(|bag| {
                let trees = grower.bag(bag as u64);
                step.advance(trees.len())?;
                Ok(trees)
            })
            .collect();
        Ok(FittedUpliftForest {
            columns,
            // The variance between bags of a share b of the rows is (1 − b) / b that of all rows.
            spread: self.bag_share / (1.0 - self.bag_share),
            bags: bags?,
        })
    }
}

/// A fitted uplift forest of one treatment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FittedUpliftForest {
    columns: Vec<Bins>,
    /// What turns the variance between bags into that of the forest.
    spread: f64,
    /// The trees of each bag.
    bags: Vec<Vec<Tree>>,
}

/// What one tree says about a row: W̃Ỹ and W̃² of its leaf.
type Said = (f64, f64);

impl FittedUpliftForest {
    /// Effect and its standard error for each row of a frame; NaN as error where fewer than two
    /// bags know the row.
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
                let mut said = vec![Vec::new(); self.bags.len()];
                for (i, answer) in answers.iter_mut().enumerate() {
                    let row = chunk * CHUNK + i;
                    self.ask(|column| coded[column][row], &mut said);
                    *answer = self.conclude(&said);
                }
            });
        Ok(answers.into_iter().unzip())
    }

    /// What each tree of each bag says about a row of these bins.
    fn ask(&self, bin: impl Fn(usize) -> u8, said: &mut [Vec<Said>]) {
        for (trees, said) in self.bags.iter().zip(said) {
            said.clear();
            let leaves = trees.iter().map(|tree| tree.nodes[tree.leaf(&bin)]);
            said.extend(leaves.filter_map(|leaf| match leaf {
                Node::Leaf(Some((product, square))) => {
                    Some((f64::from(product), f64::from(square)))
                }
                _ => None,
            }));
        }
    }

    /// The effect, and by the bootstrap of little bags its standard error.
    fn conclude(&self, said: &[Vec<Said>]) -> (f64, f64) {
        let all = said.iter().flatten();
        let (product, square) = all.fold((0.0, 0.0), |s, leaf| (s.0 + leaf.0, s.1 + leaf.1));
        if square <= 0.0 {
            return (0.0, f64::NAN);
        }
        let effect = product / square;
        let scale = square / said.iter().map(Vec::len).sum::<usize>() as f64;
        let trees = self.bags[0].len();
        // Variance between the bags, and how much of it is chance among the trees of a bag.
        let (mut between, mut within, mut counted) = (0.0, 0.0, 0.0);
        for values in said.iter().filter(|values| values.len() == trees) {
            let k = trees as f64;
            let influence = |leaf: &Said| leaf.0 - effect * leaf.1;
            let mean = values.iter().map(influence).sum::<f64>() / k;
            let spread = values.iter().map(|leaf| (influence(leaf) - mean).powi(2));
            between += mean * mean;
            within += spread.sum::<f64>() / (k - 1.0) / k;
            counted += 1.0;
        }
        if counted < 2.0 {
            return (effect, f64::NAN);
        }
        let variance = self.spread * positive_part(between / counted, within / counted, counted);
        let error = variance.sqrt() / scale;
        (effect, if error.is_finite() { error } else { f64::NAN })
    }
}

/// A variance seen as the difference of two mean squares of `count` terms, which chance may make
/// negative: its expectation under a flat prior on positive values, with the normal error of a mean
/// square. Next to `between − within` where that is well above its error, positive always.
fn positive_part(between: f64, within: f64, count: f64) -> f64 {
    let difference = between - within;
    let error = between.max(within) * (2.0 / count).sqrt();
    if error <= 0.0 {
        return difference.max(0.0);
    }
    let z = difference / error;
    // φ(z) / Φ(z); far below 0 it is −z, and the expectation error / −z.
    if z < -20.0 {
        return -error / z;
    }
    difference + error * normal_pdf(z) / normal_cdf(z)
}
