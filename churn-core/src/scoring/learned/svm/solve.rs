//! The dual by coordinate ascent, until the gap to the primal certifies the solution.

use super::Svm;
use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::progress::Progress;

/// Passes between two looks at the gap.
const LOOK: usize = 5;

/// Rows as features, with what lies on which side and what mistakes cost.
pub(super) struct Problem<'a> {
    pub(super) table: &'a [f32],
    pub(super) width: usize,
    pub(super) signs: Vec<f64>,
    pub(super) costs: Vec<f64>,
}

pub(super) struct Solution {
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
    pub(super) passes: usize,
    pub(super) gap: f64,
}

impl Problem<'_> {
    fn row(&self, i: usize) -> &[f32] {
        &self.table[i * self.width..(i + 1) * self.width]
    }

    pub(super) fn solve(&self, settings: &Svm, progress: &Progress<'_>) -> Result<Solution> {
        let n = self.signs.len();
        let mut weights = vec![0.0; self.width];
        let mut intercept = 0.0;
        let mut alphas = vec![0.0_f64; n];
        let square = |row: &[f32]| {
            row.iter()
                .map(|x| f64::from(*x) * f64::from(*x))
                .sum::<f64>()
        };
        let squares: Vec<f64> = (0..n).map(|i| square(self.row(i)) + 1.0).collect();
        let mut order: Vec<u32> = (0..n as u32).collect();
        let step = progress.step("svm.passes", settings.max_passes);
        let mut gap = f64::INFINITY;
        for pass in 0..settings.max_passes {
            let mut random = Random::new(settings.seed, u64::MAX - pass as u64);
            for i in (1..n).rev() {
                let other = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
                order.swap(i, other as usize);
            }
            for &i in &order {
                let i = i as usize;
                let (row, sign, cost) = (self.row(i), self.signs[i], self.costs[i]);
                let slope = sign * (dot(&weights, row) + intercept) - 1.0;
                let alpha = (alphas[i] - slope / squares[i]).clamp(0.0, cost);
                let change = (alpha - alphas[i]) * sign;
                if change != 0.0 {
                    alphas[i] = alpha;
                    for (weight, x) in weights.iter_mut().zip(row) {
                        *weight += change * f64::from(*x);
                    }
                    intercept += change;
                }
            }
            step.advance(1)?;
            if pass % LOOK == LOOK - 1 || pass + 1 == settings.max_passes {
                gap = self.gap(&weights, intercept, &alphas);
                if gap <= settings.tolerance {
                    return Ok(Solution {
                        weights,
                        intercept,
                        passes: pass + 1,
                        gap,
                    });
                }
            }
        }
        Err(Error::not_converged(
            "svm.max_passes",
            format_args!("a gap of at most {}", settings.tolerance),
            format_args!("{gap:.2e} after {} passes", settings.max_passes),
        ))
    }

    /// Primal minus dual, relative to the primal: how far from the optimum at most.
    fn gap(&self, weights: &[f64], intercept: f64, alphas: &[f64]) -> f64 {
        let size = weights.iter().map(|w| w * w).sum::<f64>() + intercept * intercept;
        let mut losses = 0.0;
        for (i, (sign, cost)) in self.signs.iter().zip(&self.costs).enumerate() {
            let margin = sign * (dot(weights, self.row(i)) + intercept);
            losses += cost * (1.0 - margin).max(0.0);
        }
        let primal = size / 2.0 + losses;
        let dual = alphas.iter().sum::<f64>() - size / 2.0;
        if primal > 0.0 {
            (primal - dual) / primal
        } else {
            0.0
        }
    }
}

/// In four sums, which the compiler keeps side by side.
fn dot(weights: &[f64], row: &[f32]) -> f64 {
    let mut sums = [0.0; 4];
    let (weights, rest) = weights.as_chunks::<4>();
    let (row, behind) = row.as_chunks::<4>();
    for (w, x) in weights.iter().zip(row) {
        for lane in 0..4 {
            sums[lane] += w[lane] * f64::from(x[lane]);
        }
    }
    let tail: f64 = rest
        .iter()
        .zip(behind)
        .map(|(w, x)| w * f64::from(*x))
        .sum();
    sums[0] + sums[1] + (sums[2] + sums[3]) + tail
}
