//! The multiple-choice problem behind a plan, in numbers only: rows, the entries that each row may
//! choose one of, and limits on what the chosen entries use.
//!
//! maximise Σ gain(e) over chosen entries e, at most one per row, subject to
//! Σ use(e, c) ≤ limit(c) for every constraint c. A minimum is a constraint with its signs turned.
//!
//! What an entry uses depends on few things only: its *kind* (action, channels and offers), the
//! *class* of its row (segments that some constraint speaks of) and its cost. So uses are stored
//! once per kind and class, and prices are summed once per kind and class, not once per entry.

use rayon::prelude::*;

/// Rows that one task works on; fixed, so that sums do not depend on the number of threads.
pub(crate) const CHUNK: usize = 2_048;

/// No entry chosen.
pub(crate) const NO_ENTRY: u32 = u32::MAX;

/// What one kind or class uses of the constraints: positions with amounts, ascending.
pub(crate) type Uses = Vec<(usize, f64)>;

/// One inequality Σ use ≤ limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// The right-hand side.
    pub(crate) limit: f64,
    /// How much of a breach is rounding.
    pub(crate) tolerance: f64,
    /// The largest amount that one entry uses or gives, never 0; brings constraints of different
    /// units to one scale.
    pub(crate) scale: f64,
}

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// Row *i* has the entries `offsets[i]..offsets[i + 1]`.
    pub(crate) offsets: Vec<u32>,
    /// Class of each row.
    pub(crate) classes: Vec<u32>,
    /// Kind of each entry.
    pub(crate) kinds: Vec<u16>,
    /// What choosing each entry is worth.
    pub(crate) gains: Vec<f64>,
    /// What each entry takes from the budget.
    pub(crate) costs: Vec<f64>,
    pub(crate) kind_uses: Vec<Uses>,
    pub(crate) class_uses: Vec<Uses>,
    /// Which constraint is the budget, where there is one.
    pub(crate) budget: Option<usize>,
    pub(crate) limits: Vec<Limit>,
}

/// Prices of the constraints, summed up per kind and class.
#[derive(Debug, Clone)]
pub(crate) struct Prices {
    pub(crate) budget: f64,
    pub(crate) kinds: Vec<f64>,
    pub(crate) classes: Vec<f64>,
}

impl Problem {
    pub(crate) fn rows(&self) -> usize {
        self.classes.len()
    }

    pub(crate) fn entries(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// Sets the scales of the constraints from what entries use; to be called once all is there.
    pub(crate) fn set_scales(&mut self) {
        let mut scales = vec![0.0_f64; self.limits.len()];
        for uses in self.kind_uses.iter().chain(&self.class_uses) {
            for (c, amount) in uses {
                scales[*c] = scales[*c].max(amount.abs());
            }
        }
        if let Some(budget) = self.budget {
            // The largest cost would let one outlier decide; the mean is what most entries use.
            let partial: Vec<f64> = self
                .costs
                .par_chunks(CHUNK)
                .map(|c| c.iter().sum())
                .collect();
            let mean = partial.iter().sum::<f64>() / self.costs.len().max(1) as f64;
            scales[budget] = mean;
        }
        for (limit, scale) in self.limits.iter_mut().zip(scales) {
            limit.scale = if scale > 0.0 { scale } else { 1.0 };
        }
    }

    pub(crate) fn prices(&self, duals: &[f64]) -> Prices {
        let total = |uses: &Uses| uses.iter().map(|(c, amount)| duals[*c] * amount).sum();
        Prices {
            budget: self.budget.map_or(0.0, |b| duals[b]),
            kinds: self.kind_uses.iter().map(total).collect(),
            classes: self.class_uses.iter().map(total).collect(),
        }
    }

    /// Adds what an entry of a row uses, `times` over.
    pub(crate) fn add_uses(&self, row: usize, entry: u32, times: f64, into: &mut [f64]) {
        if entry == NO_ENTRY {
            return;
        }
        let e = entry as usize;
        let kind = &self.kind_uses[usize::from(self.kinds[e])];
        let class = &self.class_uses[self.classes[row] as usize];
        for (c, amount) in kind.iter().chain(class) {
            into[*c] += times * amount;
        }
        if let Some(budget) = self.budget {
            into[budget] += times * self.costs[e];
        }
    }

    /// What a choice for every row uses, summed in the order of the rows.
    pub(crate) fn used(&self, choice: &[u32]) -> Vec<f64> {
        let partial: Vec<Vec<f64>> = choice
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, choice)| {
                let mut used = vec![0.0; self.limits.len()];
                for (i, entry) in choice.iter().enumerate() {
                    self.add_uses(chunk * CHUNK + i, *entry, 1.0, &mut used);
                }
                used
            })
            .collect();
        let mut used = vec![0.0; self.limits.len()];
        for partial in partial {
            for (sum, part) in used.iter_mut().zip(partial) {
                *sum += part;
            }
        }
        used
    }

    /// What a choice for every row is worth.
    pub(crate) fn gain(&self, choice: &[u32]) -> f64 {
        let gain = |entry: &u32| match *entry {
            NO_ENTRY => 0.0,
            entry => self.gains[entry as usize],
        };
        let partial: Vec<f64> = choice
            .par_chunks(CHUNK)
            .map(|choice| choice.iter().map(gain).sum())
            .collect();
        partial.iter().sum()
    }

    /// By how much a constraint is broken, beyond rounding, in units of its scale.
    pub(crate) fn breach(&self, c: usize, used: f64) -> f64 {
        let limit = &self.limits[c];
        let over = used - limit.limit;
        if over > limit.tolerance {
            over / limit.scale
        } else {
            0.0
        }
    }

    /// Sum of all breaches; 0 where the constraints hold.
    pub(crate) fn breaches(&self, used: &[f64]) -> f64 {
        (0..self.limits.len())
            .map(|c| self.breach(c, used[c]))
            .sum()
    }

    /// Value of an entry net of what its uses cost at these prices; 0 for none.
    #[inline]
    pub(crate) fn reduced(&self, row: usize, entry: u32, prices: &Prices) -> f64 {
        if entry == NO_ENTRY {
            return 0.0;
        }
        let e = entry as usize;
        self.gains[e]
            - prices.budget * self.costs[e]
            - prices.kinds[usize::from(self.kinds[e])]
            - prices.classes[self.classes[row] as usize]
    }

    /// The entry of the largest reduced value and that value; none where nothing is above 0, the
    /// first where equal.
    #[inline]
    pub(crate) fn best(&self, row: usize, prices: &Prices) -> (u32, f64) {
        let class = prices.classes[self.classes[row] as usize];
        let mut best = (NO_ENTRY, class);
        for e in self.entries(row) {
            let value = self.gains[e]
                - prices.budget * self.costs[e]
                - prices.kinds[usize::from(self.kinds[e])];
            if value > best.1 {
                best = (e as u32, value);
            }
        }
        (best.0, best.1 - class)
    }

    /// A part of the rows, drawn by a fixed rule, with limits in proportion.
    pub(crate) fn sample(&self, size: usize) -> Problem {
        let rows = self.rows();
        let mut part = Problem {
            offsets: vec![0],
            kind_uses: self.kind_uses.clone(),
            class_uses: self.class_uses.clone(),
            budget: self.budget,
            ..Problem::default()
        };
        for k in 0..size {
            // One row out of every stretch of equal length, at a place that a hash decides, so
            // that no period in the order of the ids can bias the sample.
            let (low, high) = (k * rows / size, (k + 1) * rows / size);
            let hash = (k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let row = low + (hash as usize) % (high - low).max(1);
            let entries = self.entries(row);
            part.classes.push(self.classes[row]);
            part.kinds.extend_from_slice(&self.kinds[entries.clone()]);
            part.gains.extend_from_slice(&self.gains[entries.clone()]);
            part.costs.extend_from_slice(&self.costs[entries]);
            part.offsets.push(part.kinds.len() as u32);
        }
        let share = size as f64 / rows as f64;
        part.limits = self.limits.clone();
        for limit in &mut part.limits {
            limit.limit *= share;
        }
        part
    }
}
