//! Tree after tree: the loop of boosting.

use rayon::prelude::*;

use super::bins::{BLOCK, Binned, Binning, learn_bins};
use super::gradient::{Gradients, Target};
use super::grow::{Buffers, Ground, Grown, Growth, Shape};
use super::partition::{Sides, sides};
use super::split::Limits;
use super::{Boosting, Objective, Validation};
use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::math::sum::FixedSum;
use crate::progress::Progress;
use crate::scoring::learned::frame::Frame;
use crate::scoring::learned::trees::{Link, Node, Tree, TreeEnsemble};

/// Rows that one task handles.
const CHUNK: usize = 1 << 14;
/// Most rows: sums of derivatives of 30 bits then fit 64 bits with room.
const MAX_ROWS: usize = 1 << 30;

/// Outcomes and weights after checks.
struct Outcomes {
    values: Vec<f64>,
    weights: Option<Vec<f64>>,
}

impl Boosting {
    fn outcomes(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        what: &str,
    ) -> Result<Outcomes> {
        let rows = frame.rows();
        if rows > MAX_ROWS {
            let most = format_args!("at most {MAX_ROWS} rows");
            return Err(Error::invalid_parameter(what, most, rows));
        }
        if target.len() != rows {
            return Err(Error::length_mismatch(
                format!("{what}.target"),
                rows,
                target.len(),
            ));
        }
        let (fine, expected): (fn(f64) -> bool, _) = match self.objective {
            Objective::Logistic => (|y| y == 0.0 || y == 1.0, "0 or 1"),
            Objective::SquaredError => (|y| y.abs() <= 1e30, "a number of at most 1e30 in size"),
        };
        if let Some(row) = target.iter().position(|y| !fine(*y)) {
            let what = format!("{what}.target");
            return Err(Error::invalid_value(what, row, expected, target[row]));
        }
        let mut all = None;
        if let Some(weights) = weights {
            let what = || format!("{what}.weights");
            if weights.len() != rows {
                return Err(Error::length_mismatch(what(), rows, weights.len()));
            }
            if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
                let expected = "a finite number of at least 0";
                return Err(Error::invalid_value(what(), row, expected, weights[row]));
            }
            all = Some(weights.to_vec());
        }
        if self.objective == Objective::Logistic && self.positive_weight != 1.0 {
            let mut weights = all.unwrap_or_else(|| vec![1.0; rows]);
            for (weight, y) in weights.iter_mut().zip(target) {
                *weight *= if *y == 1.0 { self.positive_weight } else { 1.0 };
            }
            all = Some(weights);
        }
        // Equal weights are no weights, up to what the regularisation is measured against.
        Ok(Outcomes {
            values: target.to_vec(),
            weights: all.filter(|weights| weights.iter().any(|w| *w != 1.0)),
        })
    }
}

impl Outcomes {
    /// Rows that count; `None` for all.
    fn kept(&self) -> Option<Vec<bool>> {
        let weights = self.weights.as_ref()?;
        let kept: Vec<bool> = weights.iter().map(|w| *w > 0.0).collect();
        kept.contains(&false).then_some(kept)
    }

    /// Mean outcome by weight, in fixed point so that the order of rows does not matter.
    fn mean(&self) -> f64 {
        type Sum = FixedSum<18>;
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let scale = largest(&mut self.values.iter().map(|y| y.abs()));
        let heaviest = self.heaviest();
        if scale == 0.0 {
            return 0.0;
        }
        let (mut sum, mut weight) = (Sum::default(), Sum::default());
        for (i, y) in self.values.iter().enumerate() {
            let w = self.weights.as_ref().map_or(1.0, |w| w[i] / heaviest);
            sum.add(w * (y / scale));
            weight.add(w);
        }
        sum.value() / weight.value() * scale
    }

    fn heaviest(&self) -> f64 {
        let weights = self.weights.as_ref();
        weights.map_or(1.0, |w| w.iter().copied().fold(0.0, f64::max))
    }

    /// As derivatives are taken from it: outcomes minus `centre`, in units of `scale`.
    fn target(&self, objective: Objective, centre: f64, scale: f64) -> Target {
        let heaviest = self.heaviest();
        let relative = |w: &Vec<f64>| w.iter().map(|w| (w / heaviest) as f32).collect();
        Target {
            objective,
            values: self
                .values
                .iter()
                .map(|y| ((y - centre) / scale) as f32)
                .collect(),
            weights: self.weights.as_ref().map(relative),
            heaviest,
        }
    }
}

/// Rows held back to say when to stop.
struct Judge {
    binned: Binned,
    target: Target,
    margins: Vec<f64>,
    best: f64,
    /// Number of trees at the best loss.
    kept: usize,
}

impl Judge {
    /// Whether the last `patience` trees have brought nothing.
    fn has_seen_enough(
        &mut self,
        grown: &Grown,
        router: &Router,
        trees: usize,
        patience: usize,
    ) -> bool {
        let binned = &self.binned;
        let chunks = self.margins.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(c, margins)| {
            for (i, margin) in margins.iter_mut().enumerate() {
                *margin += f64::from(router.value(&grown.tree, binned, c * CHUNK + i));
            }
        });
        let loss = self.target.loss(&self.margins);
        if loss < self.best {
            (self.best, self.kept) = (loss, trees);
        }
        trees - self.kept >= patience
    }
}

/// Sends rows through one tree.
struct Router {
    /// Per node the sides of its bins; empty at leaves.
    sides: Vec<Option<Box<Sides>>>,
}

impl Router {
    fn new(tree: &Tree, binnings: &[&Binning]) -> Self {
        let of = |node: &Node| match node {
            Node::Leaf { .. } => None,
            Node::Split { feature, rule, .. } => {
                Some(Box::new(sides(rule, binnings[*feature as usize].bins)))
            }
        };
        Router {
            sides: tree.nodes.iter().map(of).collect(),
        }
    }

    /// The leaf that a row falls into.
    fn leaf(&self, tree: &Tree, binned: &Binned, row: usize) -> usize {
        let mut at = 0;
        while let (
            Some(sides),
            Node::Split {
                feature,
                left,
                right,
                ..
            },
        ) = (&self.sides[at], &tree.nodes[at])
        {
            let bin = binned.at(*feature as usize, row);
            at = if sides[usize::from(bin)] == 1 {
                *left
            } else {
                *right
            } as usize;
        }
        at
    }

    fn value(&self, tree: &Tree, binned: &Binned, row: usize) -> f32 {
        match tree.nodes[self.leaf(tree, binned, row)] {
            Node::Leaf { value } => value,
            Node::Split { .. } => 0.0,
        }
    }
}

pub(super) fn fit(
    settings: &Boosting,
    frame: &Frame<'_>,
    target: &[f64],
    weights: Option<&[f64]>,
    validation: Option<Validation<'_>>,
    progress: &Progress<'_>,
) -> Result<TreeEnsemble> {
    settings.check()?;
    let logistic = settings.objective == Objective::Logistic;
    let outcomes = settings.outcomes(frame, target, weights, "boosting")?;
    let monotone = settings.directions(frame)?;
    let kept = outcomes.kept();
    let counts = |i: &usize| kept.as_ref().is_none_or(|kept| kept[*i]);
    let rows: usize = (0..frame.rows()).filter(counts).count();
    if rows == 0 {
        return Err(Error::not_enough_data(
            "boosting.target",
            "at least one row of weight",
            0,
        ));
    }
    let mean = outcomes.mean();
    if logistic && !(0.0 < mean && mean < 1.0) {
        let got = format_args!("only {mean}");
        return Err(Error::not_enough_data(
            "boosting.target",
            "both outcomes",
            got,
        ));
    }
    let (centre, start) = match settings.objective {
        Objective::Logistic => (0.0, libm::log(mean / (1.0 - mean))),
        Objective::SquaredError => (mean, 0.0),
    };
    let spread = outcomes
        .values
        .iter()
        .fold(0.0_f64, |m, y| m.max((y - centre).abs()));
    // Below this, squares of the scale would vanish.
    let scale = if logistic || spread < 1e-100 {
        1.0
    } else {
        spread
    };
    let binnings = learn_bins(frame, kept.as_deref(), settings.max_bins, progress)?;
    let binned = Binned::new(frame, &binnings)?;
    let mut judge = match validation {
        None => None,
        Some(validation) => {
            let Validation {
                frame,
                target,
                weights,
            } = validation;
            let outcomes = settings.outcomes(frame, target, weights, "boosting.validation")?;
            if outcomes.heaviest() <= 0.0 || frame.rows() == 0 {
                let expected = "at least one row of weight";
                return Err(Error::not_enough_data("boosting.validation", expected, 0));
            }
            let target = outcomes.target(settings.objective, centre, scale);
            let margins = vec![start; frame.rows()];
            Some(Judge {
                binned: Binned::new(frame, &binnings)?,
                best: target.loss(&margins),
                target,
                margins,
                kept: 0,
            })
        }
    };
    let target = outcomes.target(settings.objective, centre, scale);
    let slots = &binned.slots;
    let limits = Limits {
        min_rows: settings.min_rows_in_leaf.max(1),
        min_hessian: settings.min_hessian,
        l1: settings.l1 / scale,
        l2: settings.l2,
        min_gain: settings.min_gain / (scale * scale),
        one_hot_levels: settings.one_hot_levels,
        level_smoothing: settings.level_smoothing,
        level_l2: settings.level_l2,
        monotone: match monotone.iter().all(|d| *d == 0) {
            true => Vec::new(),
            false => slots.iter().map(|&j| monotone[j]).collect(),
        },
    };
    let shape = Shape {
        leaves: settings.leaves,
        max_depth: if settings.max_depth == 0 {
            usize::MAX
        } else {
            settings.max_depth
        },
        learning_rate: settings.learning_rate,
    };
    let ground = Ground::new(&binned, &binnings, limits, shape);
    let mut margins = vec![start; frame.rows()];
    let mut gradients = Gradients::new(frame.rows());
    let mut buffers = Buffers::default();
    let mut leaf_of = vec![0_u16; frame.rows()];
    let mut trees: Vec<Tree> = Vec::new();
    let samples = settings.row_sample < 1.0 || settings.column_sample < 1.0;
    let step = progress.step("boosting.trees", settings.trees);
    for t in 0..settings.trees {
        let sample = settings.sample(frame.rows(), kept.as_deref(), t);
        if sample.as_ref().is_some_and(Vec::is_empty) {
            step.advance(1)?;
            continue;
        }
        let allowed = settings.columns(slots.len(), t);
        let blocks: Vec<bool> = allowed.chunks(BLOCK).map(|b| b.contains(&true)).collect();
        target.derive(&margins, sample.as_deref(), &mut gradients);
        let growth = Growth::new(&ground, &gradients, &allowed, &blocks);
        let grown = growth.grow(sample.as_deref(), &mut buffers, &mut leaf_of);
        step.advance(1)?;
        if grown.values.len() == 1 {
            // Nothing is left to learn, unless other rows or columns are drawn next.
            if samples { continue } else { break }
        }
        let needs_routes = sample.is_some() || judge.is_some();
        let router = needs_routes.then(|| Router::new(&grown.tree, &ground.binnings));
        match (&sample, &router) {
            (Some(_), Some(router)) => {
                let chunks = margins.par_chunks_mut(CHUNK).enumerate();
                chunks.for_each(|(c, margins)| {
                    for (i, margin) in margins.iter_mut().enumerate() {
                        *margin += f64::from(router.value(&grown.tree, &binned, c * CHUNK + i));
                    }
                });
            }
            _ => {
                let pairs = margins.par_iter_mut().zip(&leaf_of);
                pairs.for_each(|(margin, leaf)| {
                    *margin += f64::from(grown.values[usize::from(*leaf)]);
                });
            }
        }
        let enough = match (&mut judge, &router) {
            (Some(judge), Some(router)) => {
                let patience = match settings.early_stopping_rounds {
                    0 => usize::MAX,
                    rounds => rounds,
                };
                judge.has_seen_enough(&grown, router, trees.len() + 1, patience)
            }
            _ => false,
        };
        trees.push(grown.tree);
        if enough {
            break;
        }
    }
    if let Some(judge) = judge
        && settings.early_stopping_rounds > 0
    {
        trees.truncate(judge.kept);
    }
    for node in trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
        match node {
            Node::Leaf { value } => *value = (f64::from(*value) * scale) as f32,
            Node::Split { gain, .. } => {
                *gain = (f64::from(*gain) * scale * scale).min(f64::from(f32::MAX)) as f32;
            }
        }
    }
    let link = if logistic {
        Link::Logistic
    } else {
        Link::Identity
    };
    let features = binnings.iter().map(|b| b.feature.clone()).collect();
    TreeEnsemble::grown(features, slots, trees, centre + start, link)
}

impl Boosting {
    /// Rows that tree `t` is grown on; `None` for all.
    fn sample(&self, rows: usize, kept: Option<&[bool]>, t: usize) -> Option<Vec<u32>> {
        if self.row_sample >= 1.0 {
            let kept = kept?;
            return Some((0..rows).filter(|i| kept[*i]).map(|i| i as u32).collect());
        }
        let chunks: Vec<usize> = (0..rows).step_by(CHUNK).collect();
        let drawn: Vec<Vec<u32>> = chunks
            .into_par_iter()
            .map(|start| {
                // A stream per tree and chunk, so that threads do not matter.
                let stream = (t as u64) << 32 | (start / CHUNK) as u64;
                let mut random = Random::new(self.seed, stream);
                let mut chosen = Vec::with_capacity(CHUNK);
                for i in start..rows.min(start + CHUNK) {
                    let drawn = random.chance(self.row_sample);
                    if drawn && kept.is_none_or(|kept| kept[i]) {
                        chosen.push(i as u32);
                    }
                }
                chosen
            })
            .collect();
        Some(drawn.concat())
    }

    /// Whether each of the places in the blocks may be used by tree `t`.
    fn columns(&self, places: usize, t: usize) -> Vec<bool> {
        if self.column_sample >= 1.0 || places == 0 {
            return vec![true; places];
        }
        let wanted = (self.column_sample * places as f64).ceil().max(1.0) as usize;
        let mut random = Random::new(self.seed, u64::MAX - t as u64);
        let mut allowed = vec![false; places];
        // Selection sampling (Knuth, algorithm S): each subset of this size is as likely.
        let mut left = wanted.min(places);
        for (place, allowed) in allowed.iter_mut().enumerate() {
            if random.uniform() * ((places - place) as f64) < left as f64 {
                *allowed = true;
                left -= 1;
            }
        }
        allowed
    }
}
