//! What the effect is not: expected outcomes and propensities, cross-fitted.

use super::base::Base;
use super::{Overlap, Propensity, Uplift, UpliftData};
use crate::error::Result;
use crate::math::random::Random;
use crate::progress::Progress;

/// Fold of each row: the rows of each arm are shuffled and dealt out apart.
pub(super) fn deal(treatment: &[u32], folds: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed, 0);
    let mut order: Vec<usize> = (0..treatment.len()).collect();
    for i in (1..order.len()).rev() {
        let other = (random.uniform() * (i + 1) as f64) as usize;
        order.swap(i, other.min(i));
    }
    let arms = treatment
        .iter()
        .copied()
        .max()
        .map_or(0, |a| a as usize + 1);
    let mut next = vec![0_u32; arms];
    let mut fold_of = vec![0; treatment.len()];
    for row in order {
        let arm = treatment[row] as usize;
        fold_of[row] = next[arm];
        next[arm] = (next[arm] + 1) % folds as u32;
    }
    fold_of
}

/// The cells of some rows of a row-major table.
pub(super) fn take_rows<T: Copy>(cells: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    let of = |row: &usize| cells[row * width..(row + 1) * width].iter().copied();
    rows.iter().flat_map(of).collect()
}

/// Propensities, and the folds for everything else.
pub(super) struct Nuisance {
    /// Row-major n × (k + 1), clipped.
    propensity: Vec<f64>,
    arms: usize,
    pub(super) overlap: Overlap,
    fold_of: Vec<u32>,
    pub(super) binary: bool,
}

impl Nuisance {
    pub(super) fn learn(
        settings: &Uplift,
        data: &UpliftData<'_>,
        k: usize,
        fold_of: &[u32],
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let n = data.frame.rows();
        let arms = k + 1;
        let mut nuisance = Nuisance {
            propensity: Vec::new(),
            arms,
            overlap: Overlap {
                smallest: 1.0,
                largest: 0.0,
                clipped: 0,
            },
            fold_of: fold_of.to_vec(),
            binary: data.outcome.iter().all(|y| *y == 0.0 || *y == 1.0),
        };
        let mut propensity = match (data.propensity, settings.propensity) {
            (Some(known), _) => known.to_vec(),
            (None, Propensity::Shares) => {
                let mut shares = vec![0.0; arms];
                for arm in data.treatment {
                    shares[*arm as usize] += 1.0 / n as f64;
                }
                shares.iter().copied().cycle().take(n * arms).collect()
            }
            (None, Propensity::Estimated) => {
                let mut estimated = vec![0.0; n * arms];
                for arm in 0..arms {
                    let is_arm = |a: &u32| f64::from(u8::from(*a as usize == arm));
                    let target: Vec<f64> = data.treatment.iter().map(is_arm).collect();
                    let all: Vec<bool> = vec![true; n];
                    let values =
                        nuisance.cross_fit(&settings.base, data, &target, &all, true, progress)?;
                    for (row, value) in values.into_iter().enumerate() {
                        estimated[row * arms + arm] = value;
                    }
                }
                // One model per arm: scaled so that a row's probabilities add up.
                for row in estimated.chunks_exact_mut(arms) {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|e| *e /= sum);
                }
                estimated
            }
        };
        for e in &mut propensity {
            nuisance.overlap.smallest = nuisance.overlap.smallest.min(*e);
            nuisance.overlap.largest = nuisance.overlap.largest.max(*e);
            let clipped = e.clamp(settings.clip, 1.0 - settings.clip);
            nuisance.overlap.clipped += usize::from(clipped != *e);
            *e = clipped;
        }
        nuisance.propensity = propensity;
        Ok(nuisance)
    }

    /// Probability of an arm, against the control alone: e_a / (e_a + e_0).
    pub(super) fn against_control(&self, row: usize, arm: usize) -> f64 {
        let of = |arm: usize| self.propensity[row * self.arms + arm];
        of(arm) / (of(arm) + of(0))
    }

    /// Predictions of a model of `target`, each row by a model that was fitted on the rows of
    /// `usable` in other folds.
    pub(super) fn cross_fit(
        &self,
        base: &Base,
        data: &UpliftData<'_>,
        target: &[f64],
        usable: &[bool],
        binary: bool,
        progress: &Progress<'_>,
    ) -> Result<Vec<f64>> {
        let n = data.frame.rows();
        let folds = self.fold_of.iter().copied().max().unwrap_or(0) + 1;
        let mut predictions = vec![0.0; n];
        for fold in 0..folds {
            let is_train = |i: &usize| self.fold_of[*i] != fold && usable[*i];
            let train: Vec<usize> = (0..n).filter(is_train).collect();
            let test: Vec<usize> = (0..n).filter(|i| self.fold_of[*i] == fold).collect();
            let model = base.fit(
                &data.frame.take(&train),
                &take_rows(target, 1, &train),
                None,
                binary,
                progress,
            )?;
            let answers = model.predict(&data.frame.take(&test))?;
            for (row, answer) in test.into_iter().zip(answers) {
                predictions[row] = answer;
            }
        }
        Ok(predictions)
    }

    /// Expected outcome under each arm, cross-fitted; row-major n × (k + 1).
    pub(super) fn outcomes(
        &self,
        settings: &Uplift,
        data: &UpliftData<'_>,
        k: usize,
        progress: &Progress<'_>,
    ) -> Result<Vec<f64>> {
        let arms = k + 1;
        let mut outcomes = vec![0.0; data.frame.rows() * arms];
        for arm in 0..arms {
            let values = self.arm_outcome(settings, data, arm, progress)?;
            for (row, value) in values.into_iter().enumerate() {
                outcomes[row * arms + arm] = value;
            }
        }
        Ok(outcomes)
    }

    /// Expected outcome under one arm, cross-fitted.
    pub(super) fn arm_outcome(
        &self,
        settings: &Uplift,
        data: &UpliftData<'_>,
        arm: usize,
        progress: &Progress<'_>,
    ) -> Result<Vec<f64>> {
        let usable: Vec<bool> = data.treatment.iter().map(|a| *a as usize == arm).collect();
        self.cross_fit(
            &settings.base,
            data,
            data.outcome,
            &usable,
            self.binary,
            progress,
        )
    }

    /// The doubly robust score of one row for an arm against the control.
    pub(super) fn doubly_robust(
        &self,
        data: &UpliftData<'_>,
        outcomes: &[f64],
        row: usize,
        arm: usize,
    ) -> f64 {
        let expected = |arm: usize| outcomes[row * self.arms + arm];
        let residual = |arm: usize| {
            if data.treatment[row] as usize == arm {
                (data.outcome[row] - expected(arm)) / self.propensity[row * self.arms + arm]
            } else {
                0.0
            }
        };
        expected(arm) - expected(0) + residual(arm) - residual(0)
    }
}
