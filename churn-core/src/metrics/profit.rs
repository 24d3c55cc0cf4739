//! What a retention campaign earns if it contacts those who score highest.
//!
//! A contacted churner accepts the offer with probability γ and stays: worth their value V, less
//! offer d and contact f. One who does not accept costs the contact; one who would have stayed
//! anyway takes the offer and costs both. With F₀ and F₁ the shares of churners and of others
//! reached, and π₀ and π₁ their shares of all, the profit per customer is
//!
//! P(t; γ) = V (γ (1 − δ) − φ) π₀ F₀(t) − V (δ + φ) π₁ F₁(t), with δ = d / V and φ = f / V.
//!
//! [`mpc`] takes the best threshold for a known γ. [`empc`] takes γ ~ Beta(α, β) and averages the
//! profit of the best threshold for each γ, which lies on the convex hull of the ROC curve.
//! Source: Verbraken, Verbeke & Baesens (2013), IEEE TKDE 25(5). Not for offers whose effect on
//! each customer has been measured: there uplift answers directly.

use serde::{Deserialize, Serialize};

use super::Rows;
use crate::error::{Error, Result};
use crate::math::distributions::beta_cdf;

/// Money and acceptance of a retention campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfitSettings {
    /// Value of a customer who stays (currency). Default 200.
    pub customer_value: f64,
    /// Cost of the offer where it is accepted (currency). Default 10.
    pub offer_cost: f64,
    /// Cost of contacting one customer (currency). Default 1.
    pub contact_cost: f64,
    /// Probability that a churner accepts, for [`mpc`]. Default 0.3.
    pub acceptance: f64,
    /// The two shapes of the beta distribution of that probability, for [`empc`]. Default 6 and
    /// 14, with mean 0.3.
    pub acceptance_shapes: [f64; 2],
}

impl Default for ProfitSettings {
    fn default() -> Self {
        ProfitSettings {
            customer_value: 200.0,
            offer_cost: 10.0,
            contact_cost: 1.0,
            acceptance: 0.3,
            acceptance_shapes: [6.0, 14.0],
        }
    }
}

impl ProfitSettings {
    fn check(&self) -> Result<()> {
        let positive = |name: &str, value: f64, low: f64, high: f64| {
            if value > 0.0 && value >= low && value <= high {
                return Ok(());
            }
            let expected = format!("a number above 0 and from {low} to {high}");
            Err(Error::invalid_parameter(
                format!("profit.{name}"),
                expected,
                value,
            ))
        };
        positive("customer_value", self.customer_value, 0.0, f64::MAX)?;
        for (name, cost) in [
            ("offer_cost", self.offer_cost),
            ("contact_cost", self.contact_cost),
        ] {
            if !(cost >= 0.0 && cost < self.customer_value) {
                return Err(Error::invalid_parameter(
                    format!("profit.{name}"),
                    "a cost from 0 on and below the customer's value",
                    cost,
                ));
            }
        }
        positive("acceptance", self.acceptance, 0.0, 1.0)?;
        positive("acceptance_shapes[0]", self.acceptance_shapes[0], 1e-3, 1e6)?;
        positive("acceptance_shapes[1]", self.acceptance_shapes[1], 1e-3, 1e6)
    }

    /// Profit of one threshold as a line in γ: (at γ = 0, per unit of γ).
    fn line(&self, point: &Point) -> (f64, f64) {
        let (value, delta, phi) = self.relative();
        let fixed = -value * phi * point.churned - value * (delta + phi) * point.stayed;
        (fixed, value * (1.0 - delta) * point.churned)
    }

    fn relative(&self) -> (f64, f64, f64) {
        let value = self.customer_value;
        (value, self.offer_cost / value, self.contact_cost / value)
    }
}

/// The best that a ranking can earn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CampaignProfit {
    /// Profit divided by the number of all customers, contacted or not (currency).
    pub profit_per_customer: f64,
    /// Share of customers to contact, from the highest score down.
    pub target_share: f64,
}

/// A threshold on the hull: shares of all rows that are churners, and others, down to it.
#[derive(Debug, Clone, Copy)]
struct Point {
    churned: f64,
    stayed: f64,
}

/// Maximum profit measure for churn: the profit of the best threshold for a known acceptance.
///
/// # Errors
/// As [`roc_auc`](super::roc_auc); `InvalidParameter` for a setting outside its domain.
pub fn mpc(
    labels: &[f64],
    scores: &[f64],
    weights: Option<&[f64]>,
    settings: &ProfitSettings,
) -> Result<CampaignProfit> {
    settings.check()?;
    let mut best = CampaignProfit {
        profit_per_customer: 0.0,
        target_share: 0.0,
    };
    for point in hull(labels, scores, weights)? {
        let (fixed, slope) = settings.line(&point);
        let profit = fixed + slope * settings.acceptance;
        if profit > best.profit_per_customer {
            best.profit_per_customer = profit;
            best.target_share = point.churned + point.stayed;
        }
    }
    Ok(best)
}

/// Expected maximum profit measure for churn, and the expected best share to contact.
///
/// # Errors
/// As [`mpc`].
///
/// # Example
/// ```
/// use churn_core::metrics::{ProfitSettings, empc};
/// let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
/// let scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9];
/// let best = empc(&labels, &scores, None, &ProfitSettings::default())?;
/// assert!((best.profit_per_customer - 23.8755934).abs() < 1e-7);
/// assert!((best.target_share - 0.87437).abs() < 1e-5);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn empc(
    labels: &[f64],
    scores: &[f64],
    weights: Option<&[f64]>,
    settings: &ProfitSettings,
) -> Result<CampaignProfit> {
    settings.check()?;
    let [a, b] = settings.acceptance_shapes;
    let (_, delta, phi) = settings.relative();
    let points = hull(labels, scores, weights)?;
    let mean = a / (a + b);
    let (mut profit, mut share): (f64, f64) = (0.0, 0.0);
    // Probability of γ, and mean of γ, below the acceptance from which a point is the best.
    let mut below = (0.0, 0.0);
    for (i, point) in points.iter().enumerate() {
        let to = match points.get(i + 1) {
            None => 1.0,
            Some(next) => {
                let more = (next.churned - point.churned, next.stayed - point.stayed);
                let cost = (delta + phi) * more.1 + phi * more.0;
                if more.0 > 0.0 {
                    (cost / ((1.0 - delta) * more.0)).min(1.0)
                } else {
                    1.0
                }
            }
        };
        let up_to = (beta_cdf(to, a, b), mean * beta_cdf(to, a + 1.0, b));
        let (probability, gamma) = (up_to.0 - below.0, up_to.1 - below.1);
        let (fixed, slope) = settings.line(point);
        profit += fixed * probability + slope * gamma;
        share += (point.churned + point.stayed) * probability;
        below = up_to;
    }
    Ok(CampaignProfit {
        profit_per_customer: profit,
        target_share: share.clamp(0.0, 1.0),
    })
}

/// The thresholds on the convex hull of the ROC curve, from nobody to everybody.
fn hull(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<Vec<Point>> {
    let rows = Rows::new(labels, scores, weights, false)?.both_classes()?;
    let groups = rows.groups();
    let last = groups[groups.len() - 1];
    let all = last.churned + last.stayed;
    let mut points = vec![Point {
        churned: 0.0,
        stayed: 0.0,
    }];
    for group in &groups {
        let next = Point {
            churned: group.churned / all,
            stayed: group.stayed / all,
        };
        // A corner stays if the curve turns right there.
        while let [.., before, corner] = points[..] {
            let (x1, y1) = (
                corner.stayed - before.stayed,
                corner.churned - before.churned,
            );
            let (x2, y2) = (next.stayed - corner.stayed, next.churned - corner.churned);
            if x1 * y2 < y1 * x2 {
                break;
            }
            points.pop();
        }
        points.push(next);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of FIELD notes' reference run with the package empulse.
    #[test]
    fn reference_values() {
        let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9];
        let settings = ProfitSettings::default();
        let known = mpc(&labels, &scores, None, &settings).unwrap();
        assert!(
            (known.profit_per_customer - 23.875).abs() < 1e-12,
            "{known:?}"
        );
        assert_eq!(known.target_share, 0.875);
        let labels: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i < 20))).collect();
        let scores: Vec<f64> = (0..100).map(|i| -f64::from(i)).collect();
        let perfect = empc(&labels, &scores, None, &settings).unwrap();
        assert!(
            (perfect.profit_per_customer - 11.2).abs() < 1e-3,
            "{perfect:?}"
        );
        let known = mpc(&labels, &scores, None, &settings).unwrap();
        assert!((known.profit_per_customer - 11.2).abs() < 1e-12);
    }

    #[test]
    fn a_campaign_that_cannot_pay_contacts_nobody() {
        let settings = ProfitSettings {
            customer_value: 12.0,
            offer_cost: 11.0,
            contact_cost: 1.0,
            ..ProfitSettings::default()
        };
        let none = mpc(&[1.0, 0.0], &[0.9, 0.1], None, &settings).unwrap();
        assert_eq!((none.profit_per_customer, none.target_share), (0.0, 0.0));
        let error = empc(
            &[1.0, 0.0],
            &[0.9, 0.1],
            None,
            &ProfitSettings {
                offer_cost: 200.0,
                ..Default::default()
            },
        );
        assert_eq!(error.unwrap_err().what(), "profit.offer_cost");
    }
}
