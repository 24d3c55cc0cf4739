//! The best split of a leaf, from its histogram.
//!
//! Gain of a split = S(left) + S(right) − S(leaf) with S = ½ T(G)² / (H + l2), T soft-thresholding
//! the gradient sum G by l1 and H the hessian sum (Chen & Guestrin 2016, eq. 7). Numbers are split
//! at a cut, with missing ones on whichever side gains more. Levels are split one against the rest
//! where few, else ordered by G / (H + smoothing) and parted along that order, which holds the best
//! subset (Fisher 1958).

use super::bins::Binning;
use super::gradient::{Gradients, gradient_of};
use super::histogram::{Histogram, WIDTH};
use crate::scoring::learned::trees::{BinSet, Rule, insert};

/// Levels on the smaller side of a split at most, against overfitting of columns with many.
const MOST_LEVELS: usize = 32;

/// What growing a tree needs to know, in the units of the caller.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) min_rows: usize,
    pub(crate) min_hessian: f64,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    pub(crate) min_gain: f64,
    pub(crate) one_hot_levels: usize,
    pub(crate) level_smoothing: f64,
    pub(crate) level_l2: f64,
    /// Direction per place in the blocks: −1, 0 or 1; empty where no column has one.
    pub(crate) monotone: Vec<i8>,
}

/// A split that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    pub(crate) slot: usize,
    pub(crate) rule: Rule,
    pub(crate) gain: f64,
}

/// What is known about a leaf when it is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    /// Packed sum over its rows.
    pub(crate) total: u64,
    pub(crate) rows: usize,
    /// Values that its leaves may take.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Gradient and hessian sums in the units of the histogram.
#[derive(Debug, Clone, Copy)]
struct Sums {
    g: f64,
    h: f64,
}

impl Sums {
    #[inline]
    fn of(word: u64) -> Self {
        Sums {
            g: f64::from(gradient_of(word) as i32),
            h: f64::from(word as u32 as i32),
        }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Sums {
            g: self.g - other.g,
            h: self.h - other.h,
        }
    }
}

/// Searches leaves of one tree.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) binnings: &'a [&'a Binning],
    pub(crate) limits: &'a Limits,
    /// Whether the feature of a place may be used in this tree.
    pub(crate) allowed: &'a [bool],
    /// What one step of the histogram is worth.
    gradient_unit: f64,
    hessian_unit: f64,
    l1: f64,
    l2: f64,
    level_l2: f64,
    level_smoothing: f64,
}

/// Value of a leaf: the Newton step, within bounds.
pub(crate) fn leaf_value(gradient: f64, hessian: f64, l1: f64, l2: f64) -> f64 {
    let shrunk = shrink(gradient, l1);
    if shrunk == 0.0 || hessian + l2 <= 0.0 {
        return 0.0;
    }
    -shrunk / (hessian + l2)
}

#[inline]
fn shrink(gradient: f64, l1: f64) -> f64 {
    gradient - gradient.clamp(-l1, l1)
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        binnings: &'a [&'a Binning],
        limits: &'a Limits,
        allowed: &'a [bool],
        gradients: &Gradients,
    ) -> Self {
        let step = |shift: u32| f64::from(1_u32 << shift);
        let gradient_unit = gradients.gradient_unit * step(gradients.coarse.gradient_shift);
        let hessian_unit = gradients.hessian_unit * step(gradients.coarse.hessian_shift);
        Search {
            binnings,
            limits,
            allowed,
            gradient_unit,
            hessian_unit,
            l1: limits.l1 / gradient_unit,
            l2: limits.l2 / hessian_unit,
            level_l2: limits.level_l2 / hessian_unit,
            level_smoothing: limits.level_smoothing / hessian_unit,
        }
    }

    /// The best split of a leaf, if any gains enough. `exact` holds, for some places, the true
    /// number of rows per bin; elsewhere rows are judged by their share of the hessian.
    pub(crate) fn best(
        &self,
        leaf: &Leaf,
        histogram: &Histogram,
        exact: &[(usize, [u32; WIDTH])],
    ) -> Option<Split> {
        let mut best: Option<Split> = None;
        let total = Sums::of(leaf.total);
        for (slot, binning) in self.binnings.iter().enumerate() {
            if !self.allowed[slot] {
                continue;
            }
            let cells = histogram.feature(slot);
            let counts = exact.iter().find(|(s, _)| *s == slot).map(|(_, c)| c);
            let found = if binning.is_categorical() {
                self.levels(leaf, total, cells, binning, counts)
            } else if counts.is_some() || self.constrained() {
                self.numbers(leaf, total, cells, binning, counts, slot)
            } else {
                self.free_numbers(leaf, total, cells, binning)
            };
            if let Some((gain, rule)) = found
                && best.as_ref().is_none_or(|b| gain > b.gain)
            {
                best = Some(Split { slot, rule, gain });
            }
        }
        let mut best = best?;
        // In units of the loss, net of what the leaf has without a split.
        let unit = self.gradient_unit * self.gradient_unit / self.hessian_unit / 2.0;
        let before = self.unsplit(leaf, total);
        best.gain = (best.gain - before) * unit;
        let least = self.limits.min_gain.max(before * unit * 1e-9);
        (best.gain > least).then_some(best)
    }

    /// Direction that a monotone constraint gives the feature of a place.
    pub(crate) fn direction(&self, slot: usize) -> i8 {
        self.limits.monotone.get(slot).copied().unwrap_or(0)
    }

    fn constrained(&self) -> bool {
        !self.limits.monotone.is_empty()
    }

    fn unsplit(&self, leaf: &Leaf, total: Sums) -> f64 {
        if self.constrained() {
            self.bounded_score(total, self.bounded_value(leaf, total, self.l2), self.l2)
        } else {
            self.score(total, self.l2)
        }
    }

    /// Twice the reduction of the loss by a leaf of these sums.
    #[inline]
    fn score(&self, sums: Sums, l2: f64) -> f64 {
        let g = shrink(sums.g, self.l1);
        if g == 0.0 { 0.0 } else { g * g / (sums.h + l2) }
    }

    /// The leaf's value in the units of the histogram, within the leaf's bounds.
    fn bounded_value(&self, leaf: &Leaf, sums: Sums, l2: f64) -> f64 {
        let unit = self.gradient_unit / self.hessian_unit;
        leaf_value(sums.g, sums.h, self.l1, l2).clamp(leaf.low / unit, leaf.high / unit)
    }

    fn bounded_score(&self, sums: Sums, value: f64, l2: f64) -> f64 {
        -(2.0 * sums.g * value + (sums.h + l2) * value * value + 2.0 * self.l1 * value.abs())
    }

    /// Score of two children, or nothing if the split is not allowed.
    #[inline]
    fn pair(&self, leaf: &Leaf, left: Sums, right: Sums, direction: i8, l2: f64) -> Option<f64> {
        if !self.constrained() {
            return Some(self.score(left, l2) + self.score(right, l2));
        }
        let lower = self.bounded_value(leaf, left, l2);
        let upper = self.bounded_value(leaf, right, l2);
        let against = match direction {
            0 => false,
            d if d > 0 => lower > upper,
            _ => lower < upper,
        };
        if against {
            return None;
        }
        Some(self.bounded_score(left, lower, l2) + self.bounded_score(right, upper, l2))
    }

    /// Least hessian sum of a child in the units of the histogram: the setting, and unless rows
    /// are counted the share that the least number of rows would have.
    fn least_hessian(&self, leaf: &Leaf, total: Sums, counted: bool) -> f64 {
        // A child must weigh something to have a value.
        let least = (self.limits.min_hessian / self.hessian_unit).max(1.0);
        if counted {
            return least;
        }
        least.max(total.h * self.limits.min_rows as f64 / leaf.rows as f64)
    }

    /// The best cut without constraints: as [`numbers`](Self::numbers), in plain loops over arrays
    /// that the compiler turns into vector instructions.
    fn free_numbers(
        &self,
        leaf: &Leaf,
        total: Sums,
        cells: &[u64; WIDTH],
        binning: &Binning,
    ) -> Option<(f64, Rule)> {
        let bins = binning.bins;
        let least = self.least_hessian(leaf, total, false);
        let missing = if binning.has_missing { cells[bins] } else { 0 };
        let mut best = (0.0, 0, false);
        let mut lefts = [0_u64; WIDTH];
        let mut gains = [0.0_f64; WIDTH];
        for missing_left in [false, true] {
            if missing_left && missing == 0 {
                break;
            }
            let last = bins - usize::from(missing == 0 || missing_left);
            let mut sum = if missing_left { missing } else { 0 };
            for (left, cell) in lefts.iter_mut().zip(&cells[..last]) {
                sum = sum.wrapping_add(*cell);
                *left = sum;
            }
            for (gain, left) in gains.iter_mut().zip(&lefts[..last]) {
                let left = Sums::of(*left);
                let right = total.minus(left);
                let (a, b) = (shrink(left.g, self.l1), shrink(right.g, self.l1));
                let (p, q) = (left.h + self.l2, right.h + self.l2);
                // Both scores over one denominator: divisions are the dearest part.
                let both = (a * a * q + b * b * p) / (p * q);
                let enough = left.h.min(right.h) >= least;
                *gain = if enough { both } else { 0.0 };
            }
            let most = gains[..last]
                .iter()
                .fold(0.0_f64, |most, gain| most.max(*gain));
            if most > best.0
                && let Some(cut) = gains[..last].iter().position(|gain| *gain == most)
            {
                best = (most, cut, missing_left);
            }
        }
        let (gain, cut, mut missing_left) = best;
        if gain <= 0.0 {
            return None;
        }
        if missing == 0 {
            missing_left = self.is_heavier(&cells[..=cut], total);
        }
        let cut = cut as u8;
        Some((gain, Rule::AtMost { cut, missing_left }))
    }

    /// Whether these bins hold at least half of the weight.
    fn is_heavier(&self, cells: &[u64], total: Sums) -> bool {
        let left = cells.iter().fold(0_u64, |a, b| a.wrapping_add(*b));
        let left = Sums::of(left);
        left.h >= total.h - left.h
    }

    fn numbers(
        &self,
        leaf: &Leaf,
        total: Sums,
        cells: &[u64; WIDTH],
        binning: &Binning,
        counts: Option<&[u32; WIDTH]>,
        slot: usize,
    ) -> Option<(f64, Rule)> {
        let bins = binning.bins;
        let direction = self.direction(slot);
        let least = self.least_hessian(leaf, total, counts.is_some());
        let missing = if binning.has_missing { cells[bins] } else { 0 };
        let mut best: Option<(f64, usize, bool)> = None;
        let sides: &[bool] = if missing == 0 {
            &[false]
        } else {
            &[false, true]
        };
        for &missing_left in sides {
            let with = usize::from(missing_left) * bins;
            let mut sum = if missing_left { missing } else { 0 };
            let mut rows = match counts {
                Some(counts) if missing_left => counts[with] as usize,
                _ => 0,
            };
            // With missing ones on the right, even all values may go left.
            let last = bins - usize::from(missing == 0 || missing_left);
            for (cut, cell) in cells[..last].iter().enumerate() {
                sum = sum.wrapping_add(*cell);
                let left = Sums::of(sum);
                let right = total.minus(left);
                if let Some(counts) = counts {
                    rows += counts[cut] as usize;
                    if rows < self.limits.min_rows || leaf.rows - rows < self.limits.min_rows {
                        continue;
                    }
                }
                if left.h < least || right.h < least {
                    continue;
                }
                if let Some(gain) = self.pair(leaf, left, right, direction, self.l2)
                    && best.is_none_or(|(b, _, _)| gain > b)
                {
                    best = Some((gain, cut, missing_left));
                }
            }
        }
        let (gain, cut, mut missing_left) = best?;
        if missing == 0 {
            missing_left = self.is_heavier(&cells[..=cut], total);
        }
        let cut = cut as u8;
        Some((gain, Rule::AtMost { cut, missing_left }))
    }

    fn levels(
        &self,
        leaf: &Leaf,
        total: Sums,
        cells: &[u64; WIDTH],
        binning: &Binning,
        counts: Option<&[u32; WIDTH]>,
    ) -> Option<(f64, Rule)> {
        let bins = binning.bins + usize::from(binning.has_missing);
        let least = self.least_hessian(leaf, total, counts.is_some());
        let mut present: Vec<u8> = (0..bins)
            .filter(|&bin| cells[bin] != 0)
            .map(|bin| bin as u8)
            .collect();
        let enough = |left: Sums, rows: usize| {
            let counted = counts.is_none()
                || (rows >= self.limits.min_rows && leaf.rows - rows >= self.limits.min_rows);
            counted && left.h >= least && total.h - left.h >= least
        };
        let count = |bin: u8| counts.map_or(0, |c| c[usize::from(bin)] as usize);
        let mut best: Option<(f64, BinSet, f64)> = None;
        let mut offer = |left: Sums, rows: usize, set: &BinSet, l2: f64| {
            if !enough(left, rows) {
                return;
            }
            if let Some(gain) = self.pair(leaf, left, total.minus(left), 0, l2)
                && best.as_ref().is_none_or(|(b, _, _)| gain > *b)
            {
                best = Some((gain, *set, left.h));
            }
        };
        if present.len() <= self.limits.one_hot_levels {
            for &bin in &present {
                let mut set = BinSet::default();
                insert(&mut set, bin);
                offer(Sums::of(cells[usize::from(bin)]), count(bin), &set, self.l2);
            }
        } else {
            let l2 = self.l2 + self.level_l2;
            let rank = |bin: u8| {
                let sums = Sums::of(cells[usize::from(bin)]);
                sums.g / (sums.h + self.level_smoothing)
            };
            present.sort_by(|&a, &b| rank(a).total_cmp(&rank(b)));
            for descending in [false, true] {
                let (mut sum, mut rows, mut set) = (0_u64, 0, BinSet::default());
                let most = MOST_LEVELS.min(present.len() - 1);
                for i in 0..most {
                    let bin = if descending {
                        present[present.len() - 1 - i]
                    } else {
                        present[i]
                    };
                    sum = sum.wrapping_add(cells[usize::from(bin)]);
                    rows += count(bin);
                    insert(&mut set, bin);
                    offer(Sums::of(sum), rows, &set, l2);
                }
            }
        }
        let (gain, mut set, left_h) = best?;
        // What this leaf has never seen goes where most went.
        if left_h >= total.h - left_h {
            let mut unseen = [u64::MAX; 4];
            for &bin in &present {
                unseen[usize::from(bin >> 6)] &= !(1 << (bin & 63));
            }
            for (word, add) in set.iter_mut().zip(unseen) {
                *word |= add;
            }
        }
        // Bins that do not exist stay out of the set.
        for bin in bins.max(binning.bins + 1)..WIDTH {
            set[bin >> 6] &= !(1 << (bin & 63));
        }
        Some((gain, Rule::In(set)))
    }
}
