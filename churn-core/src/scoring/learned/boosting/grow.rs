//! One tree, leaf by leaf: always the leaf whose split gains most (Shi 2007).
//!
//! The children of a leaf depend on that leaf only. So while one thread splits a leaf, others
//! split those that come next by gain, and the tree takes them when it is their turn: the same tree
//! as leaf after leaf. Only leaves with so many rows that one of them would keep all others waiting
//! are split by all threads together.

use std::sync::{Mutex, PoisonError};

use super::bins::{Binned, Binning};
use super::front::{Away, Expanded, Front, Next, Open};
use super::gradient::{FineSum, Gradients};
use super::histogram::{Histogram, Rows, Source, WIDTH};
use super::partition::{part, sides};
use super::split::{Leaf, Limits, Search, leaf_value};
use crate::scoring::learned::trees::{Node, Tree};

/// Rows from which on all threads may share a leaf; more where the tree has very many.
const WIDE: usize = 1 << 15;

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
        let threads = rayon::current_num_threads();
        let wide = match threads {
            1 => usize::MAX,
            _ => WIDE.max(rows.len() / threads),
        };
        let root = self.root(rows, spare, grown_on.is_none(), threads);
        let mut front = Front::new(root, self.ground.shape.leaves);
        while let Next::Expand(away) = front.next(1) {
            if away.open.rows.len() < wide {
                front.put(away.place, Expanded::Again(away.open));
                break;
            }
            let Away {
                place,
                open,
                goes_on,
            } = *away;
            front.put(place, self.expand(open, goes_on, threads));
        }
        let front = Mutex::new(front);
        match threads {
            1 => self.work(&front, 1),
            _ => rayon::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|_| self.work(&front, 2 * threads));
                }
            }),
        }
        let front = front.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.finish(front, leaf_of)
    }

    /// Splits leaves until the tree is grown, at most `ahead` places before their turn. Several
    /// threads may do so at once.
    fn work(&self, front: &Mutex<Front<'_>>, ahead: usize) {
        let locked = || front.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = locked().next(ahead);
            match next {
                Next::Grown => return,
                // Another thread is about to bring back what the tree goes on with.
                Next::Wait => std::thread::yield_now(),
                Next::Expand(away) => {
                    let Away {
                        place,
                        open,
                        goes_on,
                    } = *away;
                    let broken = Broken(front);
                    let expanded = self.expand(open, goes_on, 1);
                    locked().put(place, expanded);
                    drop(broken);
                }
            }
        }
    }

    fn root<'b>(
        &self,
        rows: &'b mut [u32],
        spare: &'b mut [u32],
        all: bool,
        threads: usize,
    ) -> Open<'b> {
        let leaf = Leaf {
            total: 0,
            rows: rows.len(),
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        };
        let mut root = Open::new(rows, spare, 0, leaf);
        root.sum = self.gradients.total;
        if self.may_split(&root) {
            let mut histogram = self.ground.take();
            let rows = match all {
                true => Rows::All(root.rows.len()),
                false => Rows::These(root.rows),
            };
            self.source.add(rows, threads, &mut histogram);
            root.leaf.total = histogram.total(self.first_slot());
            self.search(&mut root, histogram);
        }
        root
    }

    /// A place that histograms are taken for.
    fn first_slot(&self) -> usize {
        self.search.allowed.iter().position(|a| *a).unwrap_or(0)
    }

    fn may_split(&self, leaf: &Open<'_>) -> bool {
        leaf.leaf.rows >= 2 * self.ground.limits.min_rows.max(1)
            && leaf.depth < self.ground.shape.max_depth
            && self.search.allowed.contains(&true)
    }

    fn search(&self, leaf: &mut Open<'_>, histogram: Histogram) {
        leaf.split = self.search.best(&leaf.leaf, &histogram, &leaf.exact);
        let gain = leaf.split.as_ref().map_or(0.0, |split| split.gain);
        leaf.priority = leaf.priority.min(gain);
        leaf.histogram = Some(histogram);
    }

    /// Parts the rows of a leaf; if its children `go_on`, finds their best splits. If a child
    /// turns out to have too few rows, finds the leaf another split instead.
    fn expand<'b>(&self, mut open: Open<'b>, goes_on: bool, threads: usize) -> Expanded<'b> {
        let Some(split) = open.split.take() else {
            return Expanded::Again(open);
        };
        let column = &self.ground.binned.columns[split.slot];
        let sides = sides(&split.rule, self.ground.binnings[split.slot].bins);
        let left = part(&mut open.rows, &mut open.spare, column, &sides, threads);
        let right = open.rows.len() - left;
        if left.min(right) < self.ground.limits.min_rows {
            let mut counts = [0; WIDTH];
            for &row in &*open.rows {
                counts[usize::from(column[row as usize])] += 1;
            }
            open.exact.push((split.slot, counts));
            if let Some(histogram) = open.histogram.take() {
                self.search(&mut open, histogram);
            }
            return Expanded::Again(open);
        }
        let of_open = open.histogram.take();
        let (sum, depth) = (open.sum, open.depth + 1);
        let (left_rows, right_rows) = open.rows.split_at_mut(left);
        let (left_spare, right_spare) = open.spare.split_at_mut(left);
        let child = |rows: &'b mut [u32], spare| {
            let leaf = Leaf {
                total: 0,
                rows: rows.len(),
                ..open.leaf
            };
            Open::new(rows, spare, depth, leaf)
        };
        let mut children = [child(left_rows, left_spare), child(right_rows, right_spare)];
        let small = usize::from(right < left);
        let direction = self.search.direction(split.slot);
        if goes_on && children.iter().any(|child| self.may_split(child)) {
            let mut of_small = self.ground.take();
            let rows = Rows::These(children[small].rows);
            let small_sum = self.source.add(rows, threads, &mut of_small);
            self.share(sum, &mut children, small, small_sum, direction);
            let mut of_large = of_open.unwrap_or_default();
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
            let small_sum = self.source.sum(children[small].rows);
            self.share(sum, &mut children, small, small_sum, direction);
            if let Some(histogram) = of_open {
                self.ground.give(histogram);
            }
        }
        Expanded::Parted(split, Box::new(children))
    }

    /// Gives the children their sums, and under a monotone constraint the bounds of their values:
    /// no leaf on the side that is to be lower may exceed one on the other, so both stop halfway.
    fn share(
        &self,
        all: FineSum,
        children: &mut [Open<'_>; 2],
        small: usize,
        sum: FineSum,
        direction: i8,
    ) {
        children[small].sum = sum;
        children[1 - small].sum = all.minus(sum);
        if direction != 0 {
            let [left, right] = &*children;
            let values = self.value(left.sum, &left.leaf) / 2.0;
            let middle = values + self.value(right.sum, &right.leaf) / 2.0;
            let lower = usize::from(direction < 0);
            children[lower].leaf.high = middle;
            children[1 - lower].leaf.low = middle;
        }
    }

    /// Value of a leaf before the learning rate.
    fn value(&self, sum: FineSum, leaf: &Leaf) -> f64 {
        let gradient = sum.gradient as f64 * self.gradients.gradient_unit;
        let hessian = sum.hessian as f64 * self.gradients.hessian_unit;
        let limits = &self.ground.limits;
        leaf_value(gradient, hessian, limits.l1, limits.l2).clamp(leaf.low, leaf.high)
    }

    fn finish(&self, front: Front<'_>, leaf_of: &mut [u16]) -> Grown {
        let (mut tree, leaves) = front.into_tree();
        let mut values = Vec::with_capacity(leaves.len());
        for (number, leaf) in leaves.into_iter().enumerate() {
            let value = self.value(leaf.sum, &leaf.leaf) * self.ground.shape.learning_rate;
            let value = value as f32;
            tree.nodes[leaf.node] = Node::Leaf { value };
            values.push(value);
            for open in leaf.parts {
                for &row in &*open.rows {
                    leaf_of[row as usize] = number as u16;
                }
                if let Some(histogram) = open.histogram {
                    self.ground.give(histogram);
                }
            }
        }
        Grown { tree, values }
    }
}

/// Tells the other threads not to wait for a leaf when the one that took it panics.
struct Broken<'f, 'b>(&'f Mutex<Front<'b>>);

impl Drop for Broken<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut front = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            front.stop();
        }
    }
}
