//! Resampling: an interval for the difference of means without any assumption on their shape.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frequentist::check_confidence;
use crate::error::{Error, Result};
use crate::math::random::Random;

/// Settings of the bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapSettings {
    /// Number of resamples; 0 = no bootstrap. Default 1,000.
    pub draws: u32,
    /// Seed of the resamples.
    pub seed: u64,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        BootstrapSettings {
            draws: 1_000,
            seed: 0,
        }
    }
}

/// Percentile interval (Efron 1979) of mean(treated) − mean(control).
///
/// The same for any number of threads.
///
/// # Errors
/// `NotEnoughData` for an arm without units or fewer than 100 draws; `InvalidParameter` for
/// `confidence` outside (0, 1).
pub fn bootstrap_difference(
    control: &[f64],
    treated: &[f64],
    confidence: f64,
    settings: &BootstrapSettings,
) -> Result<(f64, f64)> {
    check_confidence(confidence)?;
    if settings.draws < 100 {
        return Err(Error::not_enough_data(
            "experiment.bootstrap.draws",
            "at least 100 draws",
            settings.draws,
        ));
    }
    for (name, values) in [("control", control), ("treated", treated)] {
        if values.is_empty() {
            return Err(Error::not_enough_data(
                format!("experiment.{name}"),
                "at least one unit",
                0,
            ));
        }
    }
    let mut differences: Vec<f64> = (0..u64::from(settings.draws))
        .into_par_iter()
        .map(|draw| {
            let mut random = Random::new(settings.seed, draw);
            let mut mean = |values: &[f64]| {
                let n = values.len();
                let sum: f64 = (0..n)
                    .map(|_| values[((random.uniform() * n as f64) as usize).min(n - 1)])
                    .sum();
                sum / n as f64
            };
            let control = mean(control);
            mean(treated) - control
        })
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    Ok(percentiles(&differences, confidence))
}

/// The central share `confidence` of sorted draws.
pub(crate) fn percentiles(sorted: &[f64], confidence: f64) -> (f64, f64) {
    let at = |share: f64| {
        let place = share * (sorted.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(sorted.len() - 1);
        sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
    };
    let tail = (1.0 - confidence) / 2.0;
    (at(tail), at(1.0 - tail))
}
