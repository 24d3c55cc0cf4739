//! Fitted trees: what boosting and forests produce, predict from, explain and save.

mod coding;
mod file;
mod json;
mod predict;
mod shapley;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use crate::error::{Error, Result};

pub(crate) use coding::Coder;
use predict::Kernel;
pub use predict::RowScorer;

/// Most cuts of a numeric feature and most levels of a categorical one, so that a bin is one byte.
pub(crate) const MAX_CUTS: usize = 255;
/// Most nodes of one tree.
pub(crate) const MAX_NODES: usize = 1 << 24;

/// How the values of a feature are compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encoding {
    /// Ascending finite thresholds; the bin of a value is the number of cuts below it.
    Numeric(Vec<f64>),
    /// Names of levels, ascending; the bin of a level is its place, that of a missing or unknown
    /// level the number of levels.
    Categorical(Vec<String>),
}

/// One column that the trees were fitted on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) encoding: Encoding,
}

/// A set of bins.
pub(crate) type BinSet = [u64; 4];

pub(crate) fn in_set(set: &BinSet, bin: u8) -> bool {
    set[usize::from(bin >> 6)] >> (bin & 63) & 1 == 1
}

pub(crate) fn insert(set: &mut BinSet, bin: u8) {
    set[usize::from(bin >> 6)] |= 1 << (bin & 63);
}

/// Which rows go to the left child.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// Values up to the cut of this place; missing ones as told.
    AtMost { cut: u8, missing_left: bool },
    /// Bins in the set; the missing and the unknown have a bin of their own.
    In(BinSet),
}

/// A node of a tree; children stand after their parent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Split {
        feature: u32,
        rule: Rule,
        left: u32,
        right: u32,
        /// Reduction of the loss by this split.
        gain: f32,
    },
    Leaf {
        value: f32,
    },
}

/// A binary tree with the number of training rows in each node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) rows: Vec<u32>,
}

impl Tree {
    /// Puts the nodes in order of levels, which is how files hold them and how walks find the
    /// upper ones side by side.
    fn by_level(&mut self) {
        let mut order = Vec::with_capacity(self.nodes.len());
        order.push(0);
        let mut at = 0;
        let mut nodes = Vec::with_capacity(self.nodes.len());
        while at < order.len() {
            let mut node = self.nodes[order[at]].clone();
            if let Node::Split { left, right, .. } = &mut node {
                let first = order.len() as u32;
                order.extend([*left as usize, *right as usize]);
                (*left, *right) = (first, first + 1);
            }
            nodes.push(node);
            at += 1;
        }
        self.rows = order.into_iter().map(|at| self.rows[at]).collect();
        self.nodes = nodes;
    }
}

/// How a margin becomes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The margin is the log-odds: probability = 1 / (1 + e^−margin).
    Logistic,
    /// The margin is the answer.
    Identity,
    /// The margin is a mean of probabilities, cut to \[0, 1\] against rounding.
    Probability,
}

impl Link {
    /// The answer of a margin.
    pub fn apply(self, margin: f64) -> f64 {
        match self {
            Link::Logistic => sigmoid(margin),
            Link::Identity => margin,
            Link::Probability => margin.clamp(0.0, 1.0),
        }
    }
}

/// 1 / (1 + e^−x), exact in both tails.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// A fitted sum of trees: from boosting, or the mean of a forest.
///
/// margin = base + Σ leaf values. What a margin means is said by [`link`](Self::link).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "json::Document", try_from = "json::Document")]
pub struct TreeEnsemble {
    features: Vec<Feature>,
    trees: Vec<Tree>,
    base: f64,
    link: Link,
    kernel: Kernel,
}

/// What [`Boosting::fit`](super::Boosting::fit) gives.
pub type BoostedTrees = TreeEnsemble;

/// How [`TreeEnsemble::importance`] weighs a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// By its reduction of the training loss.
    Gain,
    /// All alike: number of splits.
    Splits,
}

impl TreeEnsemble {
    /// An ensemble of trees whose features are places in `slots` and whose cuts and bins are those
    /// of training; cuts that no split uses are forgotten.
    pub(crate) fn grown(
        mut features: Vec<Feature>,
        slots: &[usize],
        mut trees: Vec<Tree>,
        base: f64,
        link: Link,
    ) -> Result<Self> {
        let mut used = vec![[false; MAX_CUTS + 1]; features.len()];
        for tree in &mut trees {
            for node in &mut tree.nodes {
                if let Node::Split { feature, rule, .. } = node {
                    let column = slots[*feature as usize];
                    *feature = column as u32;
                    match rule {
                        Rule::AtMost { cut, .. } => used[column][usize::from(*cut)] = true,
                        Rule::In(_) => used[column][0] = true,
                    }
                }
            }
        }
        for (feature, used) in features.iter_mut().zip(&used) {
            match &mut feature.encoding {
                Encoding::Numeric(cuts) => {
                    // Past the last cut: all that is not missing.
                    cuts.push(f64::MAX);
                    let mut place = 0;
                    cuts.retain(|_| {
                        place += 1;
                        used[place - 1]
                    });
                }
                Encoding::Categorical(levels) if !used[0] => levels.clear(),
                Encoding::Categorical(_) => {}
            }
        }
        for node in trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
            if let Node::Split {
                feature,
                rule: Rule::AtMost { cut, .. },
                ..
            } = node
            {
                let used = &used[*feature as usize][..usize::from(*cut)];
                *cut = used.iter().filter(|used| **used).count() as u8;
            }
        }
        Self::new(features, trees, base, link)
    }

    /// An ensemble of parts that are checked to fit.
    pub(crate) fn new(
        features: Vec<Feature>,
        mut trees: Vec<Tree>,
        base: f64,
        link: Link,
    ) -> Result<Self> {
        check(&features, &trees, base)?;
        trees.iter_mut().for_each(Tree::by_level);
        let kernel = Kernel::new(&features, &trees, base);
        Ok(TreeEnsemble {
            features,
            trees,
            base,
            link,
            kernel,
        })
    }

    /// Margins of the rows of a frame, whose columns are found by name.
    ///
    /// Shape: one per row. A column that was numeric in training must be numeric, levels are
    /// matched by name; other columns are not read.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of the other kind.
    pub fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        self.kernel.margins(&self.features, frame)
    }

    /// Answers for the rows of a frame: probabilities, or expected numbers after squared error.
    ///
    /// # Errors
    /// As [`margins`](Self::margins).
    pub fn predict(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let mut answers = self.margins(frame)?;
        for answer in &mut answers {
            *answer = self.link.apply(*answer);
        }
        Ok(answers)
    }

    /// A scorer of single rows whose values stand in the order of `columns`.
    ///
    /// # Errors
    /// `UnknownName` for a column of training that is not among them.
    pub fn row_scorer<S: AsRef<str>>(&self, columns: &[S]) -> Result<RowScorer<'_>> {
        RowScorer::new(self, columns)
    }

    /// How a margin becomes an answer.
    pub fn link(&self) -> Link {
        self.link
    }

    /// The margin before any tree.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.features.iter().map(|feature| feature.name.as_str())
    }

    /// Rows of the smallest leaf.
    #[cfg(test)]
    pub(crate) fn least_rows(&self) -> u32 {
        let rows = self.trees.iter().flat_map(|tree| &tree.rows);
        rows.copied().min().unwrap_or(0)
    }

    /// How much each column of training is used; not normalised.
    pub fn importance(&self, kind: Importance) -> Vec<f64> {
        let mut importance = vec![0.0; self.features.len()];
        for node in self.trees.iter().flat_map(|tree| &tree.nodes) {
            if let Node::Split { feature, gain, .. } = node {
                importance[*feature as usize] += match kind {
                    Importance::Gain => f64::from(*gain),
                    Importance::Splits => 1.0,
                };
            }
        }
        importance
    }
}

/// Checks that every number of an ensemble is in its place: what prediction relies on.
fn check(features: &[Feature], trees: &[Tree], base: f64) -> Result<()> {
    let wrong = |what: String, expected: &str, got: &dyn std::fmt::Display| {
        Err(Error::invalid_parameter(what, expected, got))
    };
    if !base.is_finite() {
        return wrong("trees.base".into(), "a finite number", &base);
    }
    let mut names = std::collections::HashSet::new();
    for feature in features {
        let name = &feature.name;
        if !names.insert(name) {
            return wrong("trees.features".into(), "names that differ", name);
        }
        let what = || format!("trees.features.{name}");
        let (len, ascending) = match &feature.encoding {
            Encoding::Numeric(cuts) => {
                if let Some(cut) = cuts.iter().find(|cut| !cut.is_finite()) {
                    return wrong(what(), "finite cuts", cut);
                }
                (cuts.len(), cuts.is_sorted_by(|a, b| a < b))
            }
            Encoding::Categorical(levels) => (levels.len(), levels.is_sorted_by(|a, b| a < b)),
        };
        if len > MAX_CUTS {
            return wrong(what(), "at most 255 cuts or levels", &len);
        }
        if !ascending {
            return wrong(what(), "ascending cuts or levels", &"another order");
        }
    }
    let nodes: u64 = trees.iter().map(|tree| tree.nodes.len() as u64).sum();
    if nodes > u64::from(u32::MAX) {
        return wrong("trees".into(), "fewer than 2^32 nodes", &nodes);
    }
    for (t, tree) in trees.iter().enumerate() {
        let what = |node: usize| format!("trees[{t}].nodes[{node}]");
        let nodes = tree.nodes.len();
        if nodes == 0 || nodes > MAX_NODES {
            return wrong(format!("trees[{t}].nodes"), "1 to 16777216 nodes", &nodes);
        }
        if tree.rows.len() != nodes {
            return wrong(
                format!("trees[{t}].rows"),
                "one number per node",
                &tree.rows.len(),
            );
        }
        let mut has_parent = vec![false; nodes];
        has_parent[0] = true;
        for (at, node) in tree.nodes.iter().enumerate() {
            let rows = tree.rows[at];
            if rows == 0 {
                return wrong(what(at), "at least one row", &rows);
            }
            match node {
                Node::Leaf { value } if !value.is_finite() => {
                    return wrong(what(at), "a finite value", value);
                }
                Node::Leaf { .. } => {}
                Node::Split {
                    feature,
                    rule,
                    left,
                    right,
                    gain,
                } => {
                    let Some(feature) = features.get(*feature as usize) else {
                        return wrong(what(at), "a feature that exists", feature);
                    };
                    let fits = match (rule, &feature.encoding) {
                        (Rule::AtMost { cut, .. }, Encoding::Numeric(cuts)) => {
                            usize::from(*cut) < cuts.len()
                        }
                        // The bin behind the levels is that of missing ones.
                        (Rule::In(set), Encoding::Categorical(levels)) => {
                            (levels.len() + 1..256).all(|bin| !in_set(set, bin as u8))
                        }
                        _ => false,
                    };
                    if !fits {
                        return wrong(what(at), "a rule of its feature", &"another");
                    }
                    if !gain.is_finite() {
                        return wrong(what(at), "a finite gain", gain);
                    }
                    // Children stand side by side behind their parent, and have no other one.
                    let (left, right) = (*left as usize, *right as usize);
                    if left <= at || right != left + 1 || right >= nodes || has_parent[left] {
                        return wrong(what(at), "two children of its own behind it", &left);
                    }
                    has_parent[left] = true;
                    has_parent[right] = true;
                    let sum = u64::from(tree.rows[left]) + u64::from(tree.rows[right]);
                    if sum != u64::from(rows) {
                        return wrong(what(at), "the rows of both children", &rows);
                    }
                }
            }
        }
        if let Some(at) = has_parent.iter().position(|has| !has) {
            return wrong(what(at), "a parent", &"none");
        }
    }
    Ok(())
}
