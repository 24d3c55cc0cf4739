//! What a campaign would change in a simulated shop: the truth that plans are judged by.
//!
//! The idea: whose mind can be changed is decided by what only the simulation knows. Who buys on
//! their own gains nothing from a message; who has left comes back if they read the message and
//! the offer persuades them, which it does less the longer ago they left.
//!
//! change = P(read) · strength · ½^(days since departure / half-life), 0 for those who would stay
//!
//! with P(read) = 1 − Π (1 − open probability) over the channels. Customers who leave within the
//! horizon after the campaign count as about to leave, with 0 days since departure.

use serde::{Deserialize, Serialize};

use super::CustomerTruth;
use crate::time::{Horizon, MICROS_PER_DAY, Timestamp};

/// How offers persuade.
///
/// # Example
/// ```
/// use churn_core::Horizon;
/// use churn_core::simulate::{Persuasion, Shop};
/// let shop = Shop { customers: 200, ..Shop::default() }.open()?;
/// let persuasion = Persuasion::default();
/// let at = shop.end.plus_days(-90.0);
/// let change = |channels: &[usize]| -> f64 {
///     let each = shop.truth.iter();
///     each.map(|c| persuasion.change(c, at, Horizon::days(90).unwrap(), channels, 0.5)).sum()
/// };
/// // Two channels reach more than one, and fewer than both counted apart.
/// assert!(change(&[0, 1]) > change(&[0]) && change(&[0, 1]) < change(&[0]) + change(&[1]));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Persuasion {
    /// After so many days since a departure an offer persuades half as many (days), above 0.
    pub half_life_days: f64,
}

impl Default for Persuasion {
    fn default() -> Self {
        Persuasion {
            half_life_days: 45.0,
        }
    }
}

impl Persuasion {
    /// By how much a campaign at `at` raises the probability that a customer goes on buying, over
    /// channels by position in `open_probability`; `strength` is the share of readers about to
    /// leave whom the offer persuades.
    ///
    /// # Panics
    /// If a channel is not one of the four.
    pub fn change(
        &self,
        truth: &CustomerTruth,
        at: Timestamp,
        horizon: Horizon,
        channels: &[usize],
        strength: f64,
    ) -> f64 {
        let Some(days) = self.days_gone(truth, at, horizon) else {
            return 0.0;
        };
        let unread: f64 = channels
            .iter()
            .map(|channel| 1.0 - truth.open_probability[*channel])
            .product();
        let fading = libm::exp2(-days / self.half_life_days);
        ((1.0 - unread) * strength * fading).clamp(0.0, 1.0)
    }

    /// Days since the customer left, 0 for one who leaves within the horizon; `None` for one who
    /// stays beyond it, or has not joined yet.
    pub fn days_gone(&self, truth: &CustomerTruth, at: Timestamp, horizon: Horizon) -> Option<f64> {
        if truth.joined > at {
            return None;
        }
        let left = truth.left?;
        let days = (at.micros() - left.micros()) as f64 / MICROS_PER_DAY as f64;
        (days > -f64::from(horizon.as_days())).then_some(days.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Pattern;

    fn truth(left_day: Option<i64>) -> CustomerTruth {
        CustomerTruth {
            customer: 1,
            pattern: Pattern::Lapsing,
            joined: Timestamp::from_checked_micros(0),
            left: left_day.map(|day| Timestamp::from_checked_micros(day * MICROS_PER_DAY)),
            gap_days: 30.0,
            order_value: 50.0,
            open_probability: [0.5, 0.4, 0.2, 0.1],
        }
    }

    #[test]
    fn only_minds_that_are_made_up_otherwise_can_be_changed() {
        let at = Timestamp::from_checked_micros(200 * MICROS_PER_DAY);
        let horizon = Horizon::days(90).unwrap();
        let change = |left, channels: &[usize]| {
            Persuasion::default().change(&truth(left), at, horizon, channels, 0.4)
        };
        assert_eq!(change(None, &[0]), 0.0);
        assert_eq!(change(Some(300), &[0]), 0.0, "leaves after the horizon");
        assert_eq!(change(Some(250), &[0]), 0.5 * 0.4);
        assert_eq!(change(Some(200), &[0, 1]), 0.7 * 0.4);
        assert!((change(Some(155), &[0]) - 0.5 * 0.4 * 0.5).abs() < 1e-12);
    }
}
