//! Risk tiers: low, medium and high churn probability.

use serde::{Deserialize, Serialize};

use super::Segments;
use crate::error::{Error, Result};
use crate::scoring::Scores;

/// Cuts between low, medium and high churn probability. A probability on a cut belongs to the
/// higher tier.
///
/// | tier   | churn probability *p*  | by default      |
/// |--------|------------------------|-----------------|
/// | low    | p < `medium`           | below 33 %      |
/// | medium | `medium` ≤ p < `high`  | 33 % up to 66 % |
/// | high   | p ≥ `high`             | from 66 % on    |
///
/// The default cuts are the round numbers in common use. Cuts that pay follow from the margin of a
/// saved customer and the price of an offer, not from thirds.
///
/// # Example
/// ```
/// use churn_core::scoring::Scores;
/// use churn_core::segments::RiskTiers;
/// use churn_core::{AsOf, Customers, Horizon};
/// let scores = Scores::new(
///     Customers::from_ints([1, 2, 3]),
///     AsOf::parse("2011-12-10")?,
///     Horizon::days(90)?,
///     vec![0.8, 0.5, 0.1],
///     vec![],
///     vec![],
/// )?;
/// let tiers = RiskTiers::default().assign(&scores)?;
/// assert_eq!(tiers.name(), "risk_tier");
/// assert_eq!([tiers.label(0), tiers.label(1), tiers.label(2)], ["high", "medium", "low"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskTiers {
    /// Smallest probability of the medium tier.
    pub medium: f64,
    /// Smallest probability of the high tier.
    pub high: f64,
}

impl Default for RiskTiers {
    fn default() -> Self {
        RiskTiers {
            medium: 0.33,
            high: 0.66,
        }
    }
}

impl RiskTiers {
    /// Names of the tiers, from low to high risk.
    pub const LABELS: [&str; 3] = ["low", "medium", "high"];

    /// Confirms that `0 < medium < high < 1`.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the cut that is wrong.
    pub fn check(&self) -> Result<()> {
        if !(self.medium > 0.0 && self.medium < 1.0) {
            return Err(Error::invalid_parameter(
                "risk_tiers.medium",
                "a probability between 0 and 1",
                self.medium,
            ));
        }
        if !(self.high > self.medium && self.high < 1.0) {
            return Err(Error::invalid_parameter(
                "risk_tiers.high",
                format_args!("a probability between {} (medium) and 1", self.medium),
                self.high,
            ));
        }
        Ok(())
    }

    /// Puts every customer into the segment `risk_tier`: `low`, `medium` or `high`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn assign(&self, scores: &Scores) -> Result<Segments> {
        self.check()?;
        let codes = scores
            .churn_probability()
            .iter()
            .map(|p| u32::from(*p >= self.medium) + u32::from(*p >= self.high))
            .collect();
        Segments::new(
            "risk_tier",
            scores.customers().clone(),
            scores.as_of(),
            Self::LABELS.map(String::from).to_vec(),
            codes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::Customers;
    use crate::time::{AsOf, Horizon};

    #[test]
    fn a_probability_on_a_cut_belongs_to_the_higher_tier() {
        let p = vec![0.0, 0.329_999, 0.33, 0.659_999, 0.66, 1.0];
        let scores = Scores::new(
            Customers::from_ints(0..6),
            AsOf::parse("2020-01-01").unwrap(),
            Horizon::days(30).unwrap(),
            p,
            vec![],
            vec![],
        )
        .unwrap();
        let tiers = RiskTiers::default().assign(&scores).unwrap();
        assert_eq!(tiers.codes(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(tiers.labels(), ["low", "medium", "high"]);
    }

    #[test]
    fn cuts_must_ascend_between_0_and_1() {
        let wrong = |medium, high| {
            let error = RiskTiers { medium, high }.check().unwrap_err();
            error.what().to_owned()
        };
        assert_eq!(wrong(0.0, 0.5), "risk_tiers.medium");
        assert_eq!(wrong(f64::NAN, 0.5), "risk_tiers.medium");
        assert_eq!(wrong(0.5, 0.5), "risk_tiers.high");
        assert_eq!(wrong(0.5, 1.0), "risk_tiers.high");
        assert_eq!(wrong(0.5, f64::NAN), "risk_tiers.high");
    }
}
