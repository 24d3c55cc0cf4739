//! The leaves of a tree that is being grown, and whose turn it is.
//!
//! Threads take leaves away, split them and bring the children back; the tree takes a split only
//! when no other leaf gains more, so it does not depend on who was quicker.

use super::gradient::FineSum;
use super::histogram::{Histogram, WIDTH};
use super::split::{Leaf, Split};
use crate::scoring::learned::trees::{Node, Tree};

/// A leaf that may still be split.
#[derive(Debug)]
pub(crate) struct Open<'b> {
    pub(crate) rows: &'b mut [u32],
    /// Room for as many rows.
    pub(crate) spare: &'b mut [u32],
    pub(crate) depth: usize,
    pub(crate) sum: FineSum,
    pub(crate) leaf: Leaf,
    pub(crate) histogram: Option<Histogram>,
    pub(crate) split: Option<Split>,
    /// When it is its turn: the gain of its split, but never above that of a split which it had to
    /// give up, so that it does not matter when that was found out.
    pub(crate) priority: f64,
    /// True numbers of rows per bin, where the estimate had to be checked.
    pub(crate) exact: Vec<(usize, [u32; WIDTH])>,
}

impl<'b> Open<'b> {
    pub(crate) fn new(rows: &'b mut [u32], spare: &'b mut [u32], depth: usize, leaf: Leaf) -> Self {
        Open {
            rows,
            spare,
            depth,
            sum: FineSum::default(),
            leaf,
            histogram: None,
            split: None,
            priority: f64::INFINITY,
            exact: Vec::new(),
        }
    }
}

/// What came of a leaf that was taken to be split.
#[derive(Debug)]
pub(crate) enum Expanded<'b> {
    /// It waits for its turn again, perhaps with another split.
    Again(Open<'b>),
    Parted(Split, Box<[Open<'b>; 2]>),
}

/// A leaf taken to be split.
#[derive(Debug)]
pub(crate) struct Away<'b> {
    pub(crate) place: usize,
    pub(crate) open: Open<'b>,
    /// Whether its children may be split in their turn.
    pub(crate) goes_on: bool,
}

/// What a thread is to do.
#[derive(Debug)]
pub(crate) enum Next<'b> {
    Expand(Box<Away<'b>>),
    Wait,
    Grown,
}

/// A leaf of the tree; `None` while it is away.
#[derive(Debug)]
struct Place<'b> {
    node: usize,
    sum: FineSum,
    leaf: Leaf,
    priority: f64,
    splits: bool,
    content: Option<Expanded<'b>>,
}

impl<'b> Place<'b> {
    fn new(node: usize, open: Open<'b>) -> Self {
        Place {
            node,
            sum: open.sum,
            leaf: open.leaf,
            priority: open.priority,
            splits: open.split.is_some(),
            content: Some(Expanded::Again(open)),
        }
    }

    /// Whether its turn comes before that of another: more gain, then the older one.
    fn is_before(&self, other: &Self) -> bool {
        let by_gain = other.priority.total_cmp(&self.priority);
        by_gain.then(self.node.cmp(&other.node)).is_lt()
    }
}

/// A leaf of the finished tree.
#[derive(Debug)]
pub(crate) struct Finished<'b> {
    pub(crate) node: usize,
    pub(crate) sum: FineSum,
    pub(crate) leaf: Leaf,
    /// Where its rows are: two parts if it was split ahead of a turn that never came.
    pub(crate) parts: Vec<Open<'b>>,
}

/// A tree and its leaves.
#[derive(Debug)]
pub(crate) struct Front<'b> {
    tree: Tree,
    places: Vec<Place<'b>>,
    /// Leaves at which the tree is grown.
    most: usize,
}

impl<'b> Front<'b> {
    pub(crate) fn new(root: Open<'b>, most: usize) -> Self {
        Front {
            tree: Tree {
                nodes: vec![Node::Leaf { value: 0.0 }],
                rows: vec![root.rows.len() as u32],
            },
            places: vec![Place::new(0, root)],
            most,
        }
    }

    /// The next leaf to split: the first of those that wait, unless `ahead` or more come before it.
    pub(crate) fn next(&mut self, ahead: usize) -> Next<'b> {
        self.take_turns();
        let left = self.most.saturating_sub(self.places.len());
        if left == 0 || !self.places.iter().any(|place| place.splits) {
            return Next::Grown;
        }
        let waits = |at: &usize| {
            let place = &self.places[*at];
            place.splits && matches!(place.content, Some(Expanded::Again(_)))
        };
        let Some(first) = (0..self.places.len()).filter(waits).reduce(|a, b| {
            match self.places[b].is_before(&self.places[a]) {
                true => b,
                false => a,
            }
        }) else {
            return Next::Wait;
        };
        let candidate = &self.places[first];
        let earlier = |place: &&Place<'_>| place.splits && place.is_before(candidate);
        if self.places.iter().filter(earlier).count() >= ahead.min(left) {
            return Next::Wait;
        }
        match self.places[first].content.take() {
            Some(Expanded::Again(open)) => Next::Expand(Box::new(Away {
                place: first,
                open,
                goes_on: left > 1,
            })),
            other => {
                self.places[first].content = other;
                Next::Wait
            }
        }
    }

    /// Brings back a leaf.
    pub(crate) fn put(&mut self, place: usize, expanded: Expanded<'b>) {
        let place = &mut self.places[place];
        if let Expanded::Again(open) = &expanded {
            place.priority = open.priority;
            place.splits = open.split.is_some();
        }
        place.content = Some(expanded);
    }

    /// Nothing will be split any more.
    pub(crate) fn stop(&mut self) {
        self.most = 0;
    }

    /// Lets the tree take the splits whose turn it is.
    fn take_turns(&mut self) {
        while self.places.len() < self.most {
            let splits = (0..self.places.len()).filter(|&at| self.places[at].splits);
            let first = splits.reduce(|a, b| match self.places[b].is_before(&self.places[a]) {
                true => b,
                false => a,
            });
            let Some(first) = first else { return };
            let place = &mut self.places[first];
            match place.content.take() {
                Some(Expanded::Parted(split, children)) => {
                    let node = place.node;
                    let nodes = self.tree.nodes.len();
                    self.tree.nodes[node] = Node::Split {
                        feature: split.slot as u32,
                        rule: split.rule,
                        left: nodes as u32,
                        right: nodes as u32 + 1,
                        gain: split.gain as f32,
                    };
                    for child in children.iter() {
                        self.tree.nodes.push(Node::Leaf { value: 0.0 });
                        self.tree.rows.push(child.leaf.rows as u32);
                    }
                    let [left, right] = *children;
                    self.places[first] = Place::new(nodes, left);
                    self.places.push(Place::new(nodes + 1, right));
                }
                other => {
                    place.content = other;
                    return;
                }
            }
        }
    }

    /// The tree, its leaves without values, and the leaves in the order of their numbers.
    pub(crate) fn into_tree(self) -> (Tree, Vec<Finished<'b>>) {
        let leaves = self.places.into_iter().map(|place| Finished {
            node: place.node,
            sum: place.sum,
            leaf: place.leaf,
            parts: match place.content {
                None => Vec::new(),
                Some(Expanded::Again(open)) => vec![open],
                Some(Expanded::Parted(_, children)) => Vec::from(*children),
            },
        });
        (self.tree, leaves.collect())
    }
}
