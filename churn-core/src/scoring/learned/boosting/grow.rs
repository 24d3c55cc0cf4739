//! One tree, leaf by leaf: always the leaf whose split gains most (Shi 2007).
//!
//! The children of a leaf depend on that leaf only. So while one leaf is split, other threads
//! split the leaves that come next by gain, and the tree takes them when it is their turn: the same
//! tree as leaf after leaf, with tasks large enough for threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::bins::{Binned, Binning};
use super::gradient::{FineSum, Gradients};
use super::histogram::{Histogram, Rows, Source, WIDTH};
use super::partition::{Segment, part, sides};
use super::split::{Leaf, Limits, Search, Split, leaf_value};
use crate::scoring::learned::trees::{Node, Tree};

/// Shape of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) leaves: usize,
    pub(crate) max_depth: usize,
    pub(crate) learning_rate: f64,
}

/// What trees on the same columns share.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) binned: &'a Binned,
    /// How the column at each place of the blocks is binned.
    pub(crate) binnings: Vec<&'a Binning>,
    pub(crate) limits: Limits,
    pub(crate) shape: Shape,
    free: Mutex<Vec<Histogram>>,
}

/// Row numbers in the order of the leaves, twice.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    rows: Vec<u32>,
    spare: Vec<u32>,
}

/// A tree and the values of its leaves before rounding.
#[derive(Debug)]
pub(crate) struct Grown {
    /// Features are places in the blocks, cuts those of training.
    pub(crate) tree: Tree,
    /// The values of the leaves, in the order of their numbers.
    pub(crate) values: Vec<f32>,
}

/// A leaf that may still be split.
#[derive(Debug)]
struct Open {
    node: usize,
    /// Its rows stand from here on.
    start: usize,
    /// Whether they stand in the spare buffer.
    moved: bool,
    depth: usize,
    sum: FineSum,
    leaf: Leaf,
    histogram: Option<Histogram>,
    split: Option<Split>,
    /// When it is its turn: the gain of its split, but never above that of a split which it had to
    /// give up, so that it does not matter when that was found out.
    priority: f64,
    /// True numbers of rows per bin, where the estimate had to be checked.
    exact: Vec<(usize, [u32; WIDTH])>,
    children: Option<Box<[Open; 2]>>,
}

impl Open {
    /// Its part of a buffer.
    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.leaf.rows
    }
}

impl<'a> Ground<'a> {
    pub(crate) fn new(
        binned: &'a Binned,
        binnings: &'a [Binning],
        limits: Limits,
        shape: Shape,
    ) -> Self {
        Ground {
            binned,
            binnings: binned.slots.iter().map(|&j| &binnings[j]).collect(),
            limits,
            shape,
            free: Mutex::new(Vec::new()),
        }
    }

    fn take(&self) -> Histogram {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        match free.pop() {
            None => Histogram::new(self.binned.blocks),
            Some(mut histogram) => {
                drop(free);
                histogram.clear();
                histogram
            }
        }
    }

    fn give(&self, histogram: Histogram) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(histogram);
    }
}

/// One tree being grown.
#[derive(Debug)]
pub(crate) struct Growth<'a> {
    ground: &'a Ground<'a>,
    gradients: &'a Gradients,
    source: Source<'a>,
    search: Search<'a>,
}

impl<'a> Growth<'a> {
    /// Will use the features of the places that are `allowed`, in `blocks` that hold one.
    pub(crate) fn new(
        ground: &'a Ground<'a>,
        gradients: &'a Gradients,
        allowed: &'a [bool],
        blocks: &'a [bool],
    ) -> Self {
        Growth {
            ground,
            gradients,
            source: Source {
                binned: ground.binned,
                fine: &gradients.fine,
                coarse: gradients.coarse,
                blocks,
            },
            search: Search::new(&ground.binnings, &ground.limits, allowed, gradients),
        }
    }

    /// Grows the tree on some rows (all if `None`) and writes the number of the leaf of each of
    /// them to `leaf_of`.
    pub(crate) fn grow(
        &self,
        grown_on: Option<&[u32]>,
        buffers: &mut Buffers,
        leaf_of: &mut [u16],
    ) -> Grown {
        let Buffers { rows, spare } = buffers;
        rows.clear();
        match grown_on {
            Some(some) => rows.extend_from_slice(some),
            None => rows.extend(0..self.ground.binned.rows as u32),
        }
        spare.resize(rows.len(), 0);
        let mut tree = Tree {
            nodes: vec![Node::Leaf { value: 0.0 }],
            rows: vec![rows.len() as u32],
        };
        let mut open = vec![self.root(grown_on)];
        let threads = rayon::current_num_threads();
        while open.len() < self.ground.shape.leaves {
            let budget = self.ground.shape.leaves - open.len();
            let Some(best) = best_of(&open) else { break };
            if open[best].children.is_none() {
                self.expand_some(&mut open, threads.min(budget), budget > 1, rows, spare);
            }
            // The least number of rows may have asked for another split: then look again.
            let Some(children) = open[best].children.take() else {
                continue;
            };
            self.commit(&mut tree, &mut open, best, *children);
        }
        for histogram in open.iter_mut().filter_map(|leaf| leaf.histogram.take()) {
            self.ground.give(histogram);
        }
        self.finish(tree, &open, rows, spare, leaf_of)
    }

    fn root(&self, grown_on: Option<&[u32]>) -> Open {
        let rows = grown_on.map_or(self.ground.binned.rows, <[u32]>::len);
        let mut root = Open {
            node: 0,
            start: 0,
            moved: false,
            depth: 0,
            sum: self.gradients.total,
            leaf: Leaf {
                total: 0,
                rows,
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
            },
            histogram: None,
            split: None,
            priority: f64::INFINITY,
            exact: Vec::new(),
            children: None,
        };
        if self.may_split(&root) {
            let mut histogram = self.ground.take();
            let rows = grown_on.map_or(Rows::All(rows), Rows::These);
            self.source.add(rows, &mut histogram);
            root.leaf.total = histogram.total(self.first_slot());
            self.search(&mut root, histogram);
        }
        root
    }

    /// A place that histograms are taken for.
    fn first_slot(&self) -> usize {
        self.search.allowed.iter().position(|a| *a).unwrap_or(0)
    }

    fn may_split(&self, leaf: &Open) -> bool {
        leaf.leaf.rows >= 2 * self.ground.limits.min_rows.max(1)
            && leaf.depth < self.ground.shape.max_depth
            && self.search.allowed.contains(&true)
    }

    fn search(&self, leaf: &mut Open, histogram: Histogram) {
        leaf.split = self.search.best(&leaf.leaf, &histogram, &leaf.exact);
        let gain = leaf.split.as_ref().map_or(0.0, |split| split.gain);
        leaf.priority = leaf.priority.min(gain);
        leaf.histogram = Some(histogram);
    }

    /// Expands the leaves that are next by gain, each on a thread of its own.
    fn expand_some<'b>(
        &self,
        open: &mut [Open],
        most: usize,
        goes_on: bool,
        rows: &'b mut [u32],
        spare: &'b mut [u32],
    ) {
        let mut next: Vec<&mut Open> = open
            .iter_mut()
            .filter(|leaf| leaf.split.is_some() && leaf.children.is_none())
            .collect();
        next.sort_by(|a, b| b.priority.total_cmp(&a.priority).then(a.node.cmp(&b.node)));
        next.truncate(most);
        next.sort_by_key(|leaf| leaf.start);
        let (mut rows, mut spare, mut at) = (rows, spare, 0);
        let mut tasks = Vec::with_capacity(next.len());
        for leaf in next {
            let range = leaf.range();
            let cut = |buffer: &mut &'b mut [u32]| {
                // What lies between belongs to leaves that are not split now.
                let _ = buffer.split_off_mut(..range.start - at);
                buffer.split_off_mut(..range.len()).unwrap_or_default()
            };
            let (mut rows, mut spare) = (cut(&mut rows), cut(&mut spare));
            at = range.end;
            if leaf.moved {
                std::mem::swap(&mut rows, &mut spare);
            }
            tasks.push((leaf, Segment { rows, spare }));
        }
        if tasks.len() == 1 {
            for (leaf, segment) in tasks {
                self.expand(leaf, segment, goes_on);
            }
        } else {
            let tasks = tasks.into_par_iter().with_max_len(1);
            tasks.for_each(|(leaf, segment)| self.expand(leaf, segment, goes_on));
        }
    }

    /// Parts the rows of a leaf; if its children `go_on`, finds their best splits. If a child
    /// turns out to have too few rows, finds the leaf another split instead.
    fn expand(&self, open: &mut Open, mut segment: Segment<'_>, goes_on: bool) {
        let Some(split) = &open.split else { return };
        let column = &self.ground.binned.columns[split.slot];
        let binning = self.ground.binnings[split.slot];
        let sides = sides(&split.rule, binning.bins);
        let parted = part(&mut segment, column, &sides);
        let (moved, rows) = if parted.moved {
            (!open.moved, &*segment.spare)
        } else {
            (open.moved, &*segment.rows)
        };
        let right_rows = rows.len() - parted.left;
        if parted.left.min(right_rows) < self.ground.limits.min_rows {
            let mut counts = [0; WIDTH];
            for &row in rows {
                counts[usize::from(column[row as usize])] += 1;
            }
            open.moved = moved;
            open.exact.push((split.slot, counts));
            if let Some(histogram) = open.histogram.take() {
                self.search(open, histogram);
            }
            return;
        }
        let child = |start, rows| Open {
            node: 0,
            start,
            moved,
            depth: open.depth + 1,
            sum: FineSum::default(),
            leaf: Leaf {
                total: 0,
                rows,
                ..open.leaf
            },
            histogram: None,
            split: None,
            priority: f64::INFINITY,
            exact: Vec::new(),
            children: None,
        };
        let mut children = [
            child(open.start, parted.left),
            child(open.start + parted.left, right_rows),
        ];
        let small = usize::from(right_rows < parted.left);
        let small_rows = match small {
            0 => &rows[..parted.left],
            _ => &rows[parted.left..],
        };
        let direction = self.search.direction(split.slot);
        if goes_on && children.iter().any(|child| self.may_split(child)) {
            let mut of_small = self.ground.take();
            let sum = self.source.add(Rows::These(small_rows), &mut of_small);
            self.share(open, &mut children, small, sum, direction);
            let mut of_large = open.histogram.take().unwrap_or_default();
            of_large.subtract(&of_small);
            for (child, histogram) in [(small, of_small), (1 - small, of_large)] {
                let child = &mut children[child];
                child.leaf.total = histogram.total(self.first_slot());
                if self.may_split(child) {
                    self.search(child, histogram);
                } else {
                    self.ground.give(histogram);
                }
            }
        } else {
            let sum = self.source.sum(small_rows);
            self.share(open, &mut children, small, sum, direction);
        }
        open.children = Some(Box::new(children));
    }

    /// Gives the children their sums, and under a monotone constraint the bounds of their values:
    /// no leaf on the side that is to be lower may exceed one on the other, so both stop halfway.
    fn share(
        &self,
        open: &Open,
        children: &mut [Open; 2],
        small: usize,
        sum: FineSum,
        direction: i8,
    ) {
        children[small].sum = sum;
        children[1 - small].sum = open.sum.minus(sum);
        if direction != 0 {
            let middle = self.value(&children[0]) / 2.0 + self.value(&children[1]) / 2.0;
            let lower = usize::from(direction < 0);
            children[lower].leaf.high = middle;
            children[1 - lower].leaf.low = middle;
        }
    }

    /// Value of a leaf before the learning rate.
    fn value(&self, open: &Open) -> f64 {
        let gradient = open.sum.gradient as f64 * self.gradients.gradient_unit;
        let hessian = open.sum.hessian as f64 * self.gradients.hessian_unit;
        let limits = &self.ground.limits;
        let value = leaf_value(gradient, hessian, limits.l1, limits.l2);
        value.clamp(open.leaf.low, open.leaf.high)
    }

    /// Makes a leaf of the tree a split and its children leaves.
    fn commit(&self, tree: &mut Tree, open: &mut Vec<Open>, at: usize, children: [Open; 2]) {
        let [mut left, mut right] = children;
        left.node = tree.nodes.len();
        right.node = left.node + 1;
        let parent = &mut open[at];
        let Some(split) = parent.split.take() else {
            return;
        };
        tree.nodes[parent.node] = Node::Split {
            feature: split.slot as u32,
            rule: split.rule,
            left: left.node as u32,
            right: right.node as u32,
            gain: split.gain as f32,
        };
        for child in [&left, &right] {
            tree.nodes.push(Node::Leaf { value: 0.0 });
            tree.rows.push(child.leaf.rows as u32);
        }
        if let Some(histogram) = parent.histogram.take() {
            self.ground.give(histogram);
        }
        open[at] = left;
        open.push(right);
    }

    fn finish(
        &self,
        mut tree: Tree,
        open: &[Open],
        rows: &[u32],
        spare: &[u32],
        leaf_of: &mut [u16],
    ) -> Grown {
        let mut values = Vec::with_capacity(open.len());
        for (number, leaf) in open.iter().enumerate() {
            let value = (self.value(leaf) * self.ground.shape.learning_rate) as f32;
            tree.nodes[leaf.node] = Node::Leaf { value };
            values.push(value);
            let buffer = if leaf.moved { spare } else { rows };
            for &row in &buffer[leaf.range()] {
                leaf_of[row as usize] = number as u16;
            }
        }
        Grown { tree, values }
    }
}

/// The leaf whose split gains most, the older one where equal.
fn best_of(open: &[Open]) -> Option<usize> {
    (0..open.len())
        .filter(|&i| open[i].split.is_some())
        .max_by(|&a, &b| {
            let (a, b) = (&open[a], &open[b]);
            a.priority.total_cmp(&b.priority).then(b.node.cmp(&a.node))
        })
}
