//! How far a measure would move if other customers of the same kind had been drawn.
//!
//! Rows are drawn with replacement and the measure is taken again; the interval holds the middle
//! of the values (percentile method, Efron & Tibshirani 1993, chapter 13). Each replicate has its
//! own stream of random numbers, so that threads do not matter.
//!
//! Not for rows that belong together, such as one customer at twelve cut-offs: they would be drawn
//! apart and the interval come out too narrow. Take one row per customer there.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Rows;
use super::probability::quantile;
use crate::error::{Error, Result};
use crate::math::random::Random;

/// Settings of a bootstrap interval.
///
/// # Example
/// ```
/// use churn_core::metrics::{Bootstrap, roc_auc};
/// let labels: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
/// let scores: Vec<f64> = (0..200).map(|i| f64::from(i % 3) + f64::from(i % 7)).collect();
/// let auc = Bootstrap::default().interval(&labels, &scores, None, roc_auc)?;
/// assert!(auc.low < auc.estimate && auc.estimate < auc.high);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// How often rows are drawn. Default 1,000.
    pub replicates: usize,
    /// Probability that the interval is meant to cover. Default 0.95.
    pub level: f64,
    /// Whether churners and those who stay are drawn apart, so that their numbers stay. Default
    /// true.
    pub stratified: bool,
    /// Seed of the draws. Default 0.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Bootstrap {
            replicates: 1_000,
            level: 0.95,
            stratified: true,
            seed: 0,
        }
    }
}

/// A measure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The measure of all rows.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation over the replicates.
    pub standard_error: f64,
}

impl Bootstrap {
    /// The interval of a measure of labels, scores and weights.
    ///
    /// # Errors
    /// Those of the measure, and those of [`roc_auc`](super::roc_auc); `InvalidParameter` for
    /// fewer than 20 replicates or a level outside (0, 1); `NotEnoughData` for draws that are not
    /// stratified and meet one label only, again and again.
    pub fn interval<M>(
        &self,
        labels: &[f64],
        scores: &[f64],
        weights: Option<&[f64]>,
        measure: M,
    ) -> Result<Interval>
    where
        M: Fn(&[f64], &[f64], Option<&[f64]>) -> Result<f64> + Sync,
    {
        self.check()?;
        Rows::new(labels, scores, weights, false)?.both_classes()?;
        let estimate = measure(labels, scores, weights)?;
        let classes: [Vec<usize>; 2] =
            [0.0, 1.0].map(|class| (0..labels.len()).filter(|i| labels[*i] == class).collect());
        let replicates: Vec<Result<f64>> = (0..self.replicates)
            .into_par_iter()
            .map_init(
                || [const { Vec::new() }; 3],
                |drawn, replicate| {
                    let rows = self.draw(replicate, labels, weights, &classes)?;
                    for column in drawn.iter_mut() {
                        column.clear();
                    }
                    for row in rows {
                        drawn[0].push(labels[row]);
                        drawn[1].push(scores[row]);
                        if let Some(weights) = weights {
                            drawn[2].push(weights[row]);
                        }
                    }
                    let weights = weights.map(|_| drawn[2].as_slice());
                    measure(&drawn[0], &drawn[1], weights)
                },
            )
            .collect();
        let mut values = replicates.into_iter().collect::<Result<Vec<f64>>>()?;
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let tail = (1.0 - self.level) / 2.0;
        Ok(Interval {
            estimate,
            low: quantile(&values, tail),
            high: quantile(&values, 1.0 - tail),
            standard_error: (squares / (n - 1.0)).sqrt(),
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(20..=1_000_000).contains(&self.replicates) {
            return Err(Error::invalid_parameter(
                "bootstrap.replicates",
                "20 to 1000000 replicates",
                self.replicates,
            ));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::invalid_parameter(
                "bootstrap.level",
                "a probability between 0 and 1",
                self.level,
            ));
        }
        Ok(())
    }

    /// The rows of one replicate, both classes with a positive weight among them.
    fn draw(
        &self,
        replicate: usize,
        labels: &[f64],
        weights: Option<&[f64]>,
        classes: &[Vec<usize>; 2],
    ) -> Result<Vec<usize>> {
        let mut random = Random::new(self.seed, replicate as u64);
        let mut one = |n: usize| (random.uniform() * n as f64) as usize;
        for _ in 0..100 {
            let rows: Vec<usize> = if self.stratified {
                let mut rows = Vec::with_capacity(labels.len());
                for class in classes {
                    rows.extend((0..class.len()).map(|_| class[one(class.len())]));
                }
                rows
            } else {
                (0..labels.len()).map(|_| one(labels.len())).collect()
            };
            let has = |class: f64| {
                let counts = |row: &usize| weights.is_none_or(|w| w[*row] > 0.0);
                rows.iter().any(|row| labels[*row] == class && counts(row))
            };
            if has(0.0) && has(1.0) {
                return Ok(rows);
            }
        }
        Err(Error::not_enough_data(
            "labels",
            "draws with both labels among them",
            "one label in 100 draws",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{brier, roc_auc};

    fn sample(n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut random = Random::new(3, 0);
        let scores: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
        let labels = scores
            .iter()
            .map(|p| f64::from(u8::from(random.chance(*p))));
        (labels.collect(), scores)
    }

    #[test]
    fn the_standard_error_of_a_mean_is_known() {
        let (labels, scores) = sample(400);
        let bootstrap = Bootstrap {
            stratified: false,
            replicates: 4_000,
            ..Bootstrap::default()
        };
        let interval = bootstrap.interval(&labels, &scores, None, brier).unwrap();
        let losses: Vec<f64> = (0..400).map(|i| (scores[i] - labels[i]).powi(2)).collect();
        let mean = losses.iter().sum::<f64>() / 400.0;
        let variance = losses.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 400.0;
        let expected = (variance / 400.0).sqrt();
        assert!(
            (interval.standard_error / expected - 1.0).abs() < 0.05,
            "{interval:?}"
        );
        assert!((interval.high - interval.low) / expected > 3.7);
    }

    #[test]
    fn threads_do_not_matter() {
        let (labels, scores) = sample(300);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let bootstrap = Bootstrap {
                replicates: 50,
                ..Bootstrap::default()
            };
            pool.install(|| bootstrap.interval(&labels, &scores, None, roc_auc).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn settings_and_measures_are_checked() {
        let (labels, scores) = sample(50);
        let few = Bootstrap {
            replicates: 3,
            ..Bootstrap::default()
        };
        let error = few.interval(&labels, &scores, None, roc_auc).unwrap_err();
        assert_eq!(error.what(), "bootstrap.replicates");
        let rare = Bootstrap {
            stratified: false,
            ..Bootstrap::default()
        };
        let result = rare
            .interval(&[1.0, 0.0], &[0.9, 0.1], None, roc_auc)
            .unwrap();
        assert_eq!(result.estimate, 1.0);
    }
}
