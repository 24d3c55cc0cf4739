//! Number of ends that a spell running on and on would have collected up to a time.
//!
//! ```text
//! together:   H(t) = Σ dᵢ / nᵢ                       V = Σ dᵢ / nᵢ²
//! one by one: H(t) = Σ Σ j < dᵢ of 1 / (nᵢ − j)      V = Σ Σ j < dᵢ of 1 / (nᵢ − j)²
//! interval:   H exp(± z √V / H)
//! ```
//!
//! Source: Nelson (1972), Technometrics 14; Aalen (1978), Annals of Statistics 6; Fleming &
//! Harrington (1984) for ties taken one by one. A straight line means that the risk does not depend
//! on how long a spell has run.

use serde::{Deserialize, Serialize};

use super::durations::{Durations, EventTable};
use super::{check_confidence, check_times, normal_bound, step_at};
use crate::error::Result;

/// How several ends at one time count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardTies {
    /// As if they had happened one after the other; what lifelines gives by default. The default.
    #[default]
    OneByOne,
    /// All among the spells at risk before the first of them.
    Together,
}

/// Settings of a Nelson–Aalen curve.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, NelsonAalen};
/// let durations = Durations::new(&[1.0, 2.0, 2.0, 3.0], &[true, true, false, true])?;
/// let curve = NelsonAalen::default().fit(&durations)?;
/// assert_eq!(curve.cumulative_hazard()[1], 0.25);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NelsonAalen {
    /// Probability that the interval at one time covers the truth. Default 0.95.
    pub confidence: f64,
    /// How several ends at one time count.
    pub ties: HazardTies,
}

impl Default for NelsonAalen {
    fn default() -> Self {
        NelsonAalen {
            confidence: 0.95,
            ties: HazardTies::default(),
        }
    }
}

impl NelsonAalen {
    /// The curve of these spells.
    ///
    /// # Errors
    /// `InvalidParameter` for a confidence outside 0 to 1.
    pub fn fit(&self, durations: &Durations<'_>) -> Result<HazardCurve> {
        check_confidence("nelson_aalen", self.confidence)?;
        let table = EventTable::new(durations);
        let z = normal_bound(self.confidence);
        let mut curve = HazardCurve::default();
        let (mut hazard, mut variance) = (0.0_f64, 0.0_f64);
        for (n, d) in table.at_risk.iter().zip(&table.events) {
            match self.ties {
                HazardTies::Together if *d > 0 => {
                    hazard += *d as f64 / *n as f64;
                    variance += *d as f64 / (*n as f64 * *n as f64);
                }
                HazardTies::Together => {}
                HazardTies::OneByOne => {
                    for left in (n - d + 1..=*n).rev() {
                        hazard += 1.0 / left as f64;
                        variance += 1.0 / (left as f64 * left as f64);
                    }
                }
            }
            let factor = if hazard > 0.0 {
                (z * variance.sqrt() / hazard).exp()
            } else {
                1.0
            };
            curve.hazard.push(hazard);
            curve.lower.push(hazard / factor);
            curve.upper.push(hazard * factor);
        }
        curve.table = table;
        Ok(curve)
    }
}

/// A Nelson–Aalen curve: one row per distinct time, with time 0 in front.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HazardCurve {
    table: EventTable,
    hazard: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl HazardCurve {
    /// Distinct times of ends and censorings, ascending from 0.
    pub fn times(&self) -> &[f64] {
        &self.table.times
    }

    /// Spells at risk at each time.
    pub fn at_risk(&self) -> &[u64] {
        &self.table.at_risk
    }

    /// Spells that ended at each time.
    pub fn events(&self) -> &[u64] {
        &self.table.events
    }

    /// Spells last seen running at each time.
    pub fn censored(&self) -> &[u64] {
        &self.table.censored
    }

    /// Cumulative hazard at each time.
    pub fn cumulative_hazard(&self) -> &[f64] {
        &self.hazard
    }

    /// Lower end of the interval; the point itself before the first end.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper end of the interval; the point itself before the first end.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// The cumulative hazard at any times; constant after the last one observed.
    ///
    /// # Errors
    /// `InvalidValue`, naming the row, for a time that is negative or not finite.
    pub fn cumulative_hazard_at(&self, times: &[f64]) -> Result<Vec<f64>> {
        check_times(times)?;
        let at = |t: &f64| step_at(self.times(), &self.hazard, 0.0, *t);
        Ok(times.iter().map(at).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_by_hand() {
        let durations = Durations::new(&[2.0, 2.0, 3.0, 5.0], &[true, true, false, true]).unwrap();
        let fit = |ties| {
            let settings = NelsonAalen {
                ties,
                ..NelsonAalen::default()
            };
            settings.fit(&durations).unwrap()
        };
        let apart = fit(HazardTies::OneByOne);
        let expected = [
            0.0,
            0.25 + 1.0 / 3.0,
            0.25 + 1.0 / 3.0,
            0.25 + 1.0 / 3.0 + 1.0,
        ];
        for (got, want) in apart.cumulative_hazard().iter().zip(expected) {
            assert!((got - want).abs() < 1e-15);
        }
        let together = fit(HazardTies::Together);
        assert_eq!(together.cumulative_hazard(), [0.0, 0.5, 0.5, 1.5]);
        let factor = (1.959963984540054 * (2.0_f64 / 16.0).sqrt() / 0.5).exp();
        assert!((together.upper()[1] - 0.5 * factor).abs() < 1e-12);
        assert!((together.lower()[2] - 0.5 / factor).abs() < 1e-12);
        assert_eq!((together.lower()[0], together.upper()[0]), (0.0, 0.0));
        assert_eq!(together.cumulative_hazard_at(&[4.9]).unwrap(), [0.5]);
    }
}
