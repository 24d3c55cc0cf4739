//! What an action is worth for one customer: expected incremental profit.
//!
//! profit = Δ · stake · margin − offer cost − contact cost
//!
//! with Δ the change in the probability of staying ([`Effects`]), *stake* what the customer brings
//! if they stay (currency), and *margin* the share of it that is profit. Contacts are paid for
//! certain, once per channel of the set. An offer costs its price times the probability that it is
//! paid ([`Paid`]): 1 if always; on a response max(chance of a response, Δ), since whoever stays
//! because of an offer has taken it; on a purchase the probability of staying with the action,
//! 1 − churn + Δ, since a price cut is also taken by those who would have bought anyway. That last
//! one is why risk alone picks the wrong people: the coupon for a customer who stays anyway costs
//! as much and brings nothing.
//!
//! Not discounted, and one period only: a stake that is a lifetime value carries both.

use serde::{Deserialize, Serialize};

use super::conditions::{Term, Values};
use super::effects::{EffectSource, Effects};
use super::facts::Facts;
use super::playbook::Paid;
use crate::error::{Error, Result};

/// What staying is worth.
///
/// # Example
/// ```
/// use churn_core::strategy::ValueSettings;
/// // The spend of the last 90 days, taken for a year ahead, at a margin of 40 %.
/// let value = ValueSettings {
///     feature: "value_90d".into(),
///     scale: 365.0 / 90.0,
///     margin: 0.4,
/// };
/// assert!(value.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValueSettings {
    /// The feature that tells the value at stake: recent spend, or a lifetime value (currency).
    /// Customers for whom it is undefined get no action.
    pub feature: String,
    /// What the feature is multiplied by: the period that counts over the period that the feature
    /// covers; above 0.
    pub scale: f64,
    /// Profit per unit of value, above 0 and at most 1. An assumption to replace by the shop's own.
    pub margin: f64,
}

impl Default for ValueSettings {
    /// Who stays spends next year what they spent in the last one, at a margin of 30 %.
    fn default() -> Self {
        ValueSettings {
            feature: "value_365d".to_owned(),
            scale: 1.0,
            margin: 0.3,
        }
    }
}

impl ValueSettings {
    /// Confirms that the settings make sense.
    ///
    /// # Errors
    /// `InvalidParameter` for a scale that is not finite and above 0, or a margin outside (0, 1].
    pub fn check(&self) -> Result<()> {
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::invalid_parameter(
                "value.scale",
                "a finite number above 0",
                self.scale,
            ));
        }
        if !(self.margin > 0.0 && self.margin <= 1.0) {
            return Err(Error::invalid_parameter(
                "value.margin",
                "a share above 0, at most 1",
                self.margin,
            ));
        }
        Ok(())
    }

    /// The value at stake of every customer (currency), NaN where it is not known.
    ///
    /// # Errors
    /// Those of [`check`](Self::check); `UnknownName` for a feature that does not exist;
    /// `InvalidValue` for an infinite value.
    pub fn stakes(&self, facts: &Facts<'_>) -> Result<Vec<f64>> {
        self.check()?;
        let vocabulary = facts.vocabulary();
        let Some(Term::Number(number)) = vocabulary.term(&self.feature) else {
            let numbers = vocabulary.numbers().iter();
            return Err(Error::unknown_name(
                "value.feature",
                &self.feature,
                numbers.map(|number| number.name.as_str()),
            ));
        };
        let values = facts.column(number);
        let infinite = |value: &f64| (value * self.scale).is_infinite();
        if let Some(row) = values.iter().position(infinite) {
            return Err(Error::invalid_value(
                format!("table.{}", self.feature),
                row,
                "a finite value or NaN",
                values[row] * self.scale,
            ));
        }
        Ok(values.iter().map(|value| value * self.scale).collect())
    }
}

/// What one option comes to for one customer; every part of the profit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Change of the probability of staying.
    pub change: f64,
    /// Where the change is known from.
    pub source: EffectSource,
    /// Value at stake (currency).
    pub stake: f64,
    /// Chance of at least one response over the channels.
    pub response: f64,
    /// Cost of one contact over each channel (currency).
    pub contact_cost: f64,
    /// Expected cost of the offers (currency).
    pub offer_cost: f64,
    /// Change × stake × margin − contact cost − offer cost (currency).
    pub profit: f64,
}

impl Worth {
    /// What the option takes from the budget: contacts and expected offers (currency).
    pub fn cost(&self) -> f64 {
        self.contact_cost + self.offer_cost
    }
}

/// All that prices an option for a customer.
#[derive(Debug, Clone)]
pub(crate) struct Pricing {
    pub(crate) effects: Effects,
    pub(crate) stakes: Vec<f64>,
    pub(crate) margin: f64,
}

impl Pricing {
    /// What an action over one of its channel sets is worth with these offers (by position in the
    /// playbook).
    pub(crate) fn worth(
        &self,
        values: &impl Values,
        row: usize,
        action: usize,
        set: usize,
        offers: &[usize],
    ) -> Worth {
        let prospect = self.effects.prospect(values, row, action, set);
        let response = prospect.response;
        let effect = self.effects.effect_at(values, row, action, set, response);
        let stays = (1.0 - values.number(0, row) + effect.change).clamp(0.0, 1.0);
        let mut offer_cost = 0.0;
        for offer in offers {
            let offer = &self.effects.playbook().offers[*offer];
            offer_cost += offer.cost
                * match offer.paid {
                    Paid::OnResponse => response.max(effect.change),
                    Paid::OnPurchase => stays,
                    Paid::Always => 1.0,
                };
        }
        let stake = self.stakes[row];
        let contact_cost = prospect.contact_cost;
        Worth {
            change: effect.change,
            source: effect.source,
            stake,
            response,
            contact_cost,
            offer_cost,
            profit: effect.change * stake * self.margin - offer_cost - contact_cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{AT_RISK, Row, Shop};
    use crate::strategy::{EffectSettings, Playbook};

    fn worth(paid: Paid, churn_probability: f64) -> Worth {
        let row = Row {
            churn_probability,
            ..AT_RISK
        };
        let shop = Shop::new(&[row]);
        let facts = shop.facts();
        let mut playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        playbook.offers[1].paid = paid;
        playbook.actions[1].saves = Some(vec![0.1; 5]);
        let value = ValueSettings {
            feature: "total_value".into(),
            scale: 2.0,
            margin: 0.5,
        };
        let pricing = Pricing {
            effects: Effects::new(&playbook, &facts, &EffectSettings::default()).unwrap(),
            stakes: value.stakes(&facts).unwrap(),
            margin: value.margin,
        };
        pricing.worth(&facts, 0, 1, 2, &[1])
    }

    #[test]
    fn profit_by_hand() {
        // Win-back coupon of 15 by SMS at 0.05; stake 2 · 120; response 3 %.
        let always = worth(Paid::Always, 0.8);
        assert!((always.profit - (0.08 * 240.0 * 0.5 - 15.0 - 0.05)).abs() < 1e-12);
        // 8 % stay because of it, so at least as many take it.
        let response = worth(Paid::OnResponse, 0.8);
        assert!((response.offer_cost - 0.08 * 15.0).abs() < 1e-12);
        assert!((worth(Paid::OnResponse, 0.1).offer_cost - 0.03 * 15.0).abs() < 1e-12);
        // Who would have stayed takes the coupon as well: 20 % + 8 %.
        let purchase = worth(Paid::OnPurchase, 0.8);
        assert!((purchase.offer_cost - 0.28 * 15.0).abs() < 1e-12);
        assert!((purchase.cost() - 4.25).abs() < 1e-12);
        assert!(worth(Paid::OnPurchase, 0.1).profit < 0.0, "money lost");
    }

    #[test]
    fn settings_name_what_is_wrong() {
        let shop = Shop::new(&[AT_RISK]);
        let facts = shop.facts();
        let fails = |value: ValueSettings| value.stakes(&facts).unwrap_err().to_string();
        let value = |feature: &str, scale, margin| ValueSettings {
            feature: feature.into(),
            scale,
            margin,
        };
        assert!(fails(value("clv", 1.0, 0.3)).starts_with("value.feature: expected one of"));
        assert!(fails(value("orders", -1.0, 0.3)).starts_with("value.scale: "));
        assert!(fails(value("orders", 1.0, 1.2)).starts_with("value.margin: "));
        assert!(fails(value("orders", 1e308, 0.3)).starts_with("table.orders[0]: "));
    }
}
