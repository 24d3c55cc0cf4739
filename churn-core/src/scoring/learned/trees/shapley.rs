//! Exact Shapley values of trees, path-dependent (Lundberg et al. 2020, Nature Machine Intelligence
//! 2, "TreeSHAP"): absent features are averaged over by the training rows in each child.
//!
//! Along a path, feature *i* has a share z of training rows that follow it and o, 1 if this row
//! does, else 0. A leaf of value v is the game v · Π (o or z). Its Shapley value has the form of
//! Owen's multilinear extension (1972),
//!
//! φᵢ = v (oᵢ − zᵢ) ∫₀¹ Π_{j≠i} (t oⱼ + (1 − t) zⱼ) dt,
//!
//! the integral of a polynomial, which Gauss–Legendre quadrature with half as many points as
//! features gives exactly. All factors are positive, so nothing cancels, and all leaves below a node
//! share the product of the path to it: two passes over the nodes, one down and one up, per row.

use rayon::prelude::*;

use super::{Node, Tree, TreeEnsemble};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::learned::explain::Contributions;
use crate::scoring::learned::frame::Frame;

/// Points of quadrature that are computed side by side.
const LANES: usize = 4;
/// Most different features along one path; 64 points of quadrature are exact for them.
const MAX_FEATURES: usize = 128;
/// Rows that are binned together.
const BLOCK: usize = 1 << 14;
/// Rows that one task explains.
const CHUNK: usize = 64;
/// No node.
const NONE: u32 = u32::MAX;

type Points = [f64; LANES];

/// What an edge, from its parent to a node, does to the product of a path.
#[derive(Debug, Clone, Copy)]
struct Edge {
    parent: u32,
    /// The nearest edge above that splits on the same feature.
    above: u32,
    feature: u32,
    is_left: bool,
    is_leaf: bool,
    value: f64,
}

/// A tree made ready for explaining: edges with, for each point t, what they multiply and add.
#[derive(Debug)]
struct Ready {
    edges: Vec<Edge>,
    /// Groups of points per node.
    groups: usize,
    /// (1 − t) z, and t + (1 − t) z, divided by the same of the edge above on the same feature;
    /// the third: followed above, left here.
    factors: [Vec<Points>; 3],
    /// w (o − z) / (t o + (1 − t) z) minus the same of the edge above, for the same three cases.
    weights: [Vec<Points>; 3],
    expected: f64,
}

/// Cases of an edge: neither it nor the one above is followed, both are, the one above only.
const OFF: usize = 0;
const ON: usize = 1;
const LEFT_HERE: usize = 2;

impl Ready {
    fn new(tree: &Tree, t: usize, rules: &Rules) -> Result<Self> {
        let nodes = tree.nodes.len();
        let mut edges = vec![
            Edge {
                parent: NONE,
                above: NONE,
                feature: 0,
                is_left: false,
                is_leaf: false,
                value: 0.0,
            };
            nodes
        ];
        let mut share = vec![1.0; nodes];
        let mut reach = vec![1.0; nodes];
        let mut features = vec![0_usize; nodes];
        let (mut most, mut expected) = (1, 0.0);
        for (at, node) in tree.nodes.iter().enumerate() {
            match node {
                Node::Leaf { value } => {
                    edges[at].is_leaf = true;
                    edges[at].value = f64::from(*value);
                    expected += reach[at] * f64::from(*value);
                }
                Node::Split {
                    feature,
                    left,
                    right,
                    ..
                } => {
                    let mut above = at as u32;
                    while above != NONE && (above == 0 || edges[above as usize].feature != *feature)
                    {
                        above = if above == 0 {
                            NONE
                        } else {
                            edges[above as usize].parent
                        };
                    }
                    for (child, is_left) in [(*left as usize, true), (*right as usize, false)] {
                        let ratio = f64::from(tree.rows[child]) / f64::from(tree.rows[at]);
                        edges[child] = Edge {
                            parent: at as u32,
                            above,
                            feature: *feature,
                            is_left,
                            is_leaf: false,
                            value: 0.0,
                        };
                        reach[child] = reach[at] * ratio;
                        share[child] = ratio
                            * if above == NONE {
                                1.0
                            } else {
                                share[above as usize]
                            };
                        features[child] = features[at] + usize::from(above == NONE);
                        most = most.max(features[child]);
                        if most > MAX_FEATURES {
                            let what = format!("trees[{t}]");
                            let expected =
                                format_args!("at most {MAX_FEATURES} features along a path");
                            return Err(Error::invalid_parameter(what, expected, most));
                        }
                    }
                }
            }
        }
        let rule = rules.exact_for(most);
        let groups = rule.len();
        let mut ready = Ready {
            groups,
            factors: std::array::from_fn(|_| vec![[1.0; LANES]; nodes * groups]),
            weights: std::array::from_fn(|_| vec![[0.0; LANES]; nodes * groups]),
            edges,
            expected,
        };
        for at in 1..nodes {
            let above = ready.edges[at].above;
            for (g, points) in rule.iter().enumerate() {
                for (lane, &(t, w)) in points.iter().enumerate() {
                    let factor =
                        |followed: bool, z: f64| (1.0 - t) * z + if followed { t } else { 0.0 };
                    let weight = |followed: bool, z: f64| {
                        w * (f64::from(u8::from(followed)) - z) / factor(followed, z)
                    };
                    for (case, here, there) in [
                        (OFF, false, false),
                        (ON, true, true),
                        (LEFT_HERE, false, true),
                    ] {
                        let (mut f, mut v) = (factor(here, share[at]), weight(here, share[at]));
                        if above != NONE {
                            f /= factor(there, share[above as usize]);
                            v -= weight(there, share[above as usize]);
                        }
                        ready.factors[case][at * groups + g][lane] = f;
                        ready.weights[case][at * groups + g][lane] = v;
                    }
                }
            }
        }
        Ok(ready)
    }

    /// Adds the contributions of this tree to one row.
    fn explain(&self, scratch: &mut Scratch, go_left: impl Fn(usize) -> bool, add: &mut [f64]) {
        let (groups, nodes) = (self.groups, self.edges.len());
        let Scratch {
            products,
            sums,
            cases,
        } = scratch;
        products.clear();
        products.resize(nodes * groups, [1.0; LANES]);
        sums.clear();
        sums.resize(nodes * groups, [0.0; LANES]);
        cases.clear();
        cases.resize(nodes, ON as u8);
        // Down: the product along the path to each node.
        for (at, edge) in self.edges.iter().enumerate().skip(1) {
            let above_followed =
                edge.above == NONE || usize::from(cases[edge.above as usize]) == ON;
            let case = match (
                go_left(edge.parent as usize) == edge.is_left,
                above_followed,
            ) {
                (true, true) => ON,
                (false, true) if edge.above != NONE => LEFT_HERE,
                _ => OFF,
            };
            cases[at] = case as u8;
            let parent = edge.parent as usize * groups;
            for g in 0..groups {
                let factor = &self.factors[case][at * groups + g];
                let product = products[parent + g];
                products[at * groups + g] =
                    std::array::from_fn(|lane| product[lane] * factor[lane]);
            }
        }
        // Up: leaves times their value, inner nodes the sum of their children.
        for at in (1..nodes).rev() {
            let edge = &self.edges[at];
            let case = usize::from(cases[at]);
            let parent = edge.parent as usize * groups;
            let mut moved = 0.0;
            for g in 0..groups {
                let mut sum = sums[at * groups + g];
                if edge.is_leaf {
                    sum = products[at * groups + g].map(|product| product * edge.value);
                }
                let weight = &self.weights[case][at * groups + g];
                for lane in 0..LANES {
                    moved += sum[lane] * weight[lane];
                    sums[parent + g][lane] += sum[lane];
                }
            }
            add[edge.feature as usize] += moved;
        }
    }
}

#[derive(Debug, Default)]
struct Scratch {
    products: Vec<Points>,
    sums: Vec<Points>,
    cases: Vec<u8>,
}

/// Points t and weights w of Gauss–Legendre quadrature on \[0, 1\], for 4, 8, 12, … points.
#[derive(Debug)]
struct Rules(Vec<Vec<[(f64, f64); LANES]>>);

impl Rules {
    fn new() -> Self {
        let sizes = (LANES..=MAX_FEATURES / 2).step_by(LANES);
        Rules(
            sizes
                .map(|n| gauss_legendre(n).as_chunks().0.to_vec())
                .collect(),
        )
    }

    /// The smallest that integrates the product of one factor less than `features` exactly.
    fn exact_for(&self, features: usize) -> &[[(f64, f64); LANES]] {
        &self.0[features.div_ceil(2).div_ceil(LANES) - 1]
    }
}

/// Points and weights for polynomials of degree up to 2n − 1: the roots of the Legendre polynomial
/// by Newton's method from their asymptotic places.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let size = n as f64;
    let place = |i: usize| {
        let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (size + 0.5));
        let mut slope = 1.0;
        for _ in 0..20 {
            let (mut before, mut value) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (before, value) = (
                    value,
                    ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
                );
            }
            slope = size * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(place).collect()
}

impl TreeEnsemble {
    /// How much each column of training moved the margin of each row: exact path-dependent Shapley
    /// values, whose sum with the base is the margin.
    ///
    /// Shape: one column per column of training. The base is the mean margin of the training rows.
    /// Source: Lundberg et al. (2020), Nature Machine Intelligence 2; equal to the package `shap`
    /// with `feature_perturbation="tree_path_dependent"`.
    ///
    /// # Errors
    /// As [`margins`](Self::margins); `InvalidParameter` for a tree with more than 128 features
    /// along one path; `Cancelled`.
    pub fn contributions(
        &self,
        frame: &Frame<'_>,
        progress: &Progress<'_>,
    ) -> Result<Contributions> {
        let coders = self.kernel.coders(&self.features, frame)?;
        let (rows, width) = (frame.rows(), self.features.len());
        let rules = Rules::new();
        let mut base = self.base;
        for (t, tree) in self.trees.iter().enumerate() {
            base += Ready::new(tree, t, &rules)?.expected;
        }
        let step = progress.step("explain.rows", rows);
        let mut values = vec![0.0; rows * width];
        let mut bins = Vec::new();
        for start in (0..rows).step_by(BLOCK) {
            let len = BLOCK.min(rows - start);
            bins.resize(self.kernel.slots() * len, 0);
            for (coder, bins) in coders.iter().zip(bins.chunks_mut(2 * len)) {
                let (left, right) = bins.split_at_mut(len);
                coder.both(start, len, left, right);
            }
            let mut moved = vec![0.0; len * width];
            for (t, tree) in self.trees.iter().enumerate() {
                let ready = Ready::new(tree, t, &rules)?;
                let chunks = moved.par_chunks_mut(CHUNK * width).enumerate();
                chunks.for_each_init(Scratch::default, |scratch, (c, moved)| {
                    for (i, add) in moved.chunks_mut(width).enumerate() {
                        let row = c * CHUNK + i;
                        let go_left = |node| {
                            self.kernel
                                .goes_left(t, node, |slot| bins[slot * len + row])
                        };
                        ready.explain(scratch, go_left, add);
                    }
                });
            }
            for (i, moved) in moved.chunks(width).enumerate() {
                for (j, value) in moved.iter().enumerate() {
                    values[j * rows + start + i] = *value;
                }
            }
            step.advance(len)?;
        }
        let names = self.names().map(str::to_owned).collect();
        Contributions::new(base, names, rows, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::learned::frame::Column;
    use crate::scoring::learned::trees::{Encoding, Feature, Link, Rule};

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        for n in [1, 2, 4, 12, 64] {
            let rule = gauss_legendre(n);
            for power in 0..2 * n {
                let sum: f64 = rule.iter().map(|(t, w)| w * t.powi(power as i32)).sum();
                let exact = 1.0 / (power + 1) as f64;
                assert!((sum - exact).abs() < 1e-14, "{n} {power}: {sum} {exact}");
            }
        }
    }

    /// The definition: the mean over all orders of features of what each adds, where a subset's
    /// value averages over the features that are not in it.
    fn by_definition(tree: &Tree, goes_left: &dyn Fn(usize) -> bool, features: usize) -> Vec<f64> {
        let value = |subset: usize| -> f64 {
            let mut reach = vec![0.0; tree.nodes.len()];
            reach[0] = 1.0;
            let mut sum = 0.0;
            for (at, node) in tree.nodes.iter().enumerate() {
                match node {
                    Node::Leaf { value } => sum += reach[at] * f64::from(*value),
                    Node::Split {
                        feature,
                        left,
                        right,
                        ..
                    } => {
                        for (child, is_left) in [(*left as usize, true), (*right as usize, false)] {
                            let known = subset >> feature & 1 == 1;
                            reach[child] = reach[at]
                                * match known {
                                    true => f64::from(u8::from(goes_left(at) == is_left)),
                                    false => f64::from(tree.rows[child]) / f64::from(tree.rows[at]),
                                };
                        }
                    }
                }
            }
            sum
        };
        let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
        (0..features)
            .map(|i| {
                let subsets = (0..1_usize << features).filter(|s| s >> i & 1 == 0);
                subsets
                    .map(|s| {
                        let size = s.count_ones() as usize;
                        let weight =
                            factorial(size) * factorial(features - size - 1) / factorial(features);
                        weight * (value(s | 1 << i) - value(s))
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn contributions_follow_the_definition() {
        use crate::math::random::Random;
        for seed in 0..40 {
            let mut random = Random::new(seed, 0);
            let features = 1 + seed as usize % 9;
            // A random tree: features come again along its paths.
            let mut tree = Tree {
                nodes: vec![Node::Leaf { value: 1.0 }],
                rows: vec![1 << 20],
            };
            for _ in 0..20 {
                let at = random.next_u64() as usize % tree.nodes.len();
                let rows = tree.rows[at];
                if matches!(tree.nodes[at], Node::Split { .. }) || rows < 2 {
                    continue;
                }
                let left = tree.nodes.len() as u32;
                tree.nodes[at] = Node::Split {
                    feature: random.next_u64() as u32 % features as u32,
                    rule: Rule::AtMost {
                        cut: random.next_u64() as u8 % 3,
                        missing_left: random.chance(0.5),
                    },
                    left,
                    right: left + 1,
                    gain: 1.0,
                };
                let share = 1 + random.next_u64() as u32 % (rows - 1);
                for rows in [share, rows - share] {
                    tree.nodes.push(Node::Leaf {
                        value: random.normal() as f32,
                    });
                    tree.rows.push(rows);
                }
            }
            let names = (0..features).map(|j| format!("x{j}"));
            let described = names.clone().map(|name| Feature {
                name,
                encoding: Encoding::Numeric(vec![0.0, 1.0, 2.0]),
            });
            let model =
                TreeEnsemble::new(described.collect(), vec![tree], 0.5, Link::Identity).unwrap();
            let columns: Vec<Vec<f64>> = (0..features)
                .map(|_| {
                    (0..20)
                        .map(|_| match random.next_u64() % 5 {
                            4 => f64::NAN,
                            k => k as f64,
                        })
                        .collect()
                })
                .collect();
            let frame = Frame::new(
                names
                    .zip(&columns)
                    .map(|(n, c)| (n, Column::Numeric(c.into())))
                    .collect(),
            )
            .unwrap();
            let found = model.contributions(&frame, &Progress::none()).unwrap();
            let margins = model.margins(&frame).unwrap();
            let tree = &model.trees[0];
            for row in 0..20 {
                let goes_left = |at: usize| match &tree.nodes[at] {
                    Node::Split {
                        feature,
                        rule: Rule::AtMost { cut, missing_left },
                        ..
                    } => {
                        let x = columns[*feature as usize][row];
                        if x.is_nan() {
                            *missing_left
                        } else {
                            x <= f64::from(*cut)
                        }
                    }
                    _ => unreachable!(),
                };
                let expected = by_definition(tree, &goes_left, features);
                for (j, expected) in expected.iter().enumerate() {
                    let found = found.column(j)[row];
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{seed} {row} {j}: {found} {expected}"
                    );
                }
                assert!((found.margin(row) - margins[row]).abs() < 1e-12);
            }
        }
    }
}
