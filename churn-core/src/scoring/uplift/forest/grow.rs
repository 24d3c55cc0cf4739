//! Growing the trees of a bag.

use super::UpliftForest;
use crate::math::random::Random;

/// What the forest sees of each row.
pub(in super::super) struct Residuals {
    pub(in super::super) treated: Vec<bool>,
    /// W̃ Ỹ.
    pub(in super::super) product: Vec<f64>,
    /// W̃².
    pub(in super::super) square: Vec<f64>,
}

impl Residuals {
    pub(in super::super) fn new(
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

/// One tree, its nodes level by level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    /// Rows whose bin is not above `bin` go to `left`, the others to `left + 1`.
    Split { column: u32, bin: u8, left: u32 },
    /// W̃Ỹ and W̃² by the rows that were kept for estimating, means of the leaf twice less those of
    /// its parent; none = no such row.
    Leaf(Option<(f32, f32)>),
}

impl Tree {
    pub(super) fn leaf(&self, bin: impl Fn(usize) -> u8) -> usize {
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

pub(super) struct Grower<'a> {
    pub(super) settings: &'a UpliftForest,
    pub(super) coded: &'a [Vec<u8>],
    pub(super) rows: &'a Residuals,
    pub(super) candidates: usize,
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
    /// The trees of one bag of rows.
    pub(super) fn bag(&self, bag: u64) -> Vec<Tree> {
        let mut random = Random::new(self.settings.seed, bag);
        let n = self.rows.treated.len();
        let size = ((n as f64 * self.settings.bag_share).ceil() as usize).clamp(1, n);
        let mut rows: Vec<u32> = (0..n as u32).collect();
        shuffle(&mut rows, size, &mut random);
        rows.truncate(size);
        let trees = (0..self.settings.trees_per_bag).map(|_| {
            shuffle(&mut rows, size, &mut random);
            let (structure, estimate) = rows.split_at_mut(size / 2);
            let tree = self.grow(structure, &mut random);
            self.fill(tree, estimate)
        });
        trees.collect()
    }

    fn grow(&self, rows: &mut [u32], random: &mut Random) -> Tree {
        let mut nodes = vec![Node::Leaf(None)];
        // First row, end and depth of each node.
        let mut spans = vec![(0_usize, rows.len(), 0_usize)];
        let mut order: Vec<usize> = (0..self.coded.len()).collect();
        let mut histogram = vec![Sums::default(); 256];
        let mut node = 0;
        while let Some((start, end, depth)) = spans.get(node).copied() {
            node += 1;
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
            nodes[node - 1] = Node::Split {
                column: column as u32,
                bin,
                left: nodes.len() as u32,
            };
            nodes.extend([Node::Leaf(None); 2]);
            spans.extend([(start, middle, depth + 1), (middle, end, depth + 1)]);
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

    /// Gives the leaves their numbers from rows that did not choose the splits: those of the leaf
    /// twice, less those of its parent.
    fn fill(&self, mut tree: Tree, rows: &[u32]) -> Tree {
        let mut sums = vec![[0.0; 3]; tree.nodes.len()];
        for row in rows {
            let row = *row as usize;
            let leaf = tree.leaf(|column| self.coded[column][row]);
            add(
                &mut sums[leaf],
                [self.rows.product[row], self.rows.square[row], 1.0],
            );
        }
        let mut parent_of = vec![0; tree.nodes.len()];
        // Children stand behind their parents.
        for at in (0..tree.nodes.len()).rev() {
            if let Node::Split { left, .. } = tree.nodes[at] {
                for child in [left as usize, left as usize + 1] {
                    parent_of[child] = at;
                    let of_child = sums[child];
                    add(&mut sums[at], of_child);
                }
            }
        }
        for (at, node) in tree.nodes.iter_mut().enumerate() {
            if let Node::Leaf(values) = node {
                let ([product, square, n], above) = (sums[at], sums[parent_of[at]]);
                let twice = |own: f64, above_own: f64| 2.0 * own / n - above_own / above[2];
                let pair = || {
                    (
                        twice(product, above[0]) as f32,
                        twice(square, above[1]) as f32,
                    )
                };
                *values = (n > 0.0).then(pair);
            }
        }
        tree
    }
}

fn add(sums: &mut [f64; 3], more: [f64; 3]) {
    sums.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += more);
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
