//! What customers are worth: discounted purchases times expected spend times margin.
//!
//! value = margin × E(spend per purchase) × Σ discounted expected purchases. Purchases and spend are
//! taken as independent, as in Fader, Hardie & Lee (2005), RFM and CLV, Journal of Marketing
//! Research 42(4). Not a forecast of profit where costs move with the number of contacts: subtract
//! those where decisions are made.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::features::RfmSummary;

use super::buyers::Buyers;
use super::gamma_gamma::SpendModel;
use super::model::{Answer, LifetimeModel, normal_quantile};

/// How the future is cut off and discounted.
///
/// # Example
/// ```
/// use churn_core::scoring::lifetime::CustomerValue;
/// // lifetimes' customer_lifetime_value(time=12, discount_rate=0.01): twelve months of 30 days.
/// let months = CustomerValue {
///     horizon_days: Some(360.0),
///     discount_rate: 0.01,
///     discount_period_days: 30.0,
///     step_days: Some(30.0),
///     ..CustomerValue::default()
/// };
/// // Everything that is still to come, 10 % a year.
/// let forever = CustomerValue { horizon_days: None, ..CustomerValue::default() };
/// # let _ = (months, forever);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerValue {
    /// How far to look in days; none = for ever, which needs a discount. Default 365.
    pub horizon_days: Option<f64>,
    /// Discount per period: money one period from now is worth 1/(1 + rate). Default 0.1.
    pub discount_rate: f64,
    /// Length of that period in days. Default 365.
    pub discount_period_days: f64,
    /// Count the purchases of each step of so many days at its end; none = each at its own time.
    /// Default none.
    pub step_days: Option<f64>,
    /// Share of spend that is margin. Default 1.
    pub margin: f64,
}

impl Default for CustomerValue {
    fn default() -> Self {
        CustomerValue {
            horizon_days: Some(365.0),
            discount_rate: 0.1,
            discount_period_days: 365.0,
            step_days: None,
            margin: 1.0,
        }
    }
}

impl CustomerValue {
    /// The purchases that count, as a question for a model in units of `unit_days`.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting that is outside its domain.
    pub fn purchases(&self, unit_days: f64) -> Result<Answer> {
        let wrong = |field: &str, expected: &str, got: f64| {
            Err(Error::invalid_parameter(
                format!("value.{field}"),
                expected,
                got,
            ))
        };
        if !(0.0..=1e3).contains(&self.discount_rate) {
            return wrong("discount_rate", "0 to 1000 per period", self.discount_rate);
        }
        if !(1e-3..=1e6).contains(&self.discount_period_days) {
            let expected = "0.001 to 1000000 days";
            return wrong("discount_period_days", expected, self.discount_period_days);
        }
        if !(0.0..=1e6).contains(&self.margin) {
            return wrong("margin", "0 to 1000000", self.margin);
        }
        if let Some(days) = self.horizon_days
            && !(0.0..=1e9).contains(&days)
        {
            return wrong("horizon_days", "0 to 1e9 days", days);
        }
        if self.horizon_days.is_none() && self.discount_rate <= 0.0 {
            let expected = "a rate above 0 where there is no horizon";
            return wrong("discount_rate", expected, self.discount_rate);
        }
        let rate = self.discount_rate.ln_1p() / self.discount_period_days * unit_days;
        let horizon = self
            .horizon_days
            .map_or(f64::INFINITY, |days| days / unit_days);
        match self.step_days {
            None => Ok(Answer::DiscountedPurchases { rate, horizon }),
            Some(step) => {
                let Some(days) = self.horizon_days else {
                    return wrong("step_days", "none where there is no horizon", step);
                };
                if !(step > 0.0 && days / step <= 1e5) {
                    return wrong(
                        "step_days",
                        "a step that goes up to 100000 times into the horizon",
                        step,
                    );
                }
                Ok(Answer::SteppedPurchases {
                    rate,
                    step: step / unit_days,
                    horizon,
                })
            }
        }
    }

    /// The value of each customer (currency), today's money.
    ///
    /// `monetary_value` is the mean of repeat purchases, as in the summary.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain; those of
    /// [`LifetimeModel::answer`] and [`SpendModel::expected_spend`].
    pub fn of(
        &self,
        buyers: &Buyers<'_>,
        monetary_value: &[f64],
        purchases: &LifetimeModel,
        spend: &SpendModel,
    ) -> Result<Vec<f64>> {
        let answer = self.purchases(purchases.unit_days())?;
        let mut value = purchases.answer(buyers, answer)?;
        let spend = spend.expected_spend(buyers.frequency(), monetary_value)?;
        for (value, spend) in value.iter_mut().zip(spend) {
            *value *= self.margin * spend;
        }
        Ok(value)
    }

    /// The same for the rows of a summary.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_summary(
        &self,
        summary: &RfmSummary,
        purchases: &LifetimeModel,
        spend: &SpendModel,
    ) -> Result<Vec<f64>> {
        self.of(
            &Buyers::from(summary),
            summary.monetary_value(),
            purchases,
            spend,
        )
    }

    /// The value with limits that cover the expected value with probability `level` as far as the
    /// parameters of both models are uncertain (delta method on the logarithm; the two fits are
    /// independent): columns of the value, its lower and its upper limit.
    ///
    /// # Errors
    /// As [`of`](Self::of) and [`LifetimeModel::interval`].
    pub fn interval(
        &self,
        buyers: &Buyers<'_>,
        monetary_value: &[f64],
        purchases: &LifetimeModel,
        spend: &SpendModel,
        level: f64,
    ) -> Result<[Vec<f64>; 3]> {
        let answer = self.purchases(purchases.unit_days())?;
        let [counts, low, high] = purchases.interval(buyers, answer, level)?;
        let each = spend.expected_spend(buyers.frequency(), monetary_value)?;
        let errors = spend.relative_errors(buyers.frequency(), monetary_value);
        let width = normal_quantile(0.5 + 0.5 * level);
        let mut columns = [counts.clone(), low.clone(), high.clone()];
        for row in 0..counts.len() {
            let value = self.margin * each[row] * counts[row];
            // Both limits are equally far from the answer on the logarithmic scale.
            let by_purchases = if low[row] > 0.0 {
                0.5 * (high[row] / low[row]).ln()
            } else {
                0.0
            };
            let spread = by_purchases.hypot(width * errors[row]);
            columns[0][row] = value;
            columns[1][row] = value * (-spread).exp();
            columns[2][row] = value * spread.exp();
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::lifetime::Family;

    fn models() -> (LifetimeModel, SpendModel) {
        let bg = [0.243, 4.414, 0.793, 2.426];
        (
            LifetimeModel::new(Family::BgNbd, bg, 1, 7.0).unwrap(),
            SpendModel::new(6.25, 3.74, 15.44).unwrap(),
        )
    }

    #[test]
    fn steps_meet_the_continuous_value() {
        let (purchases, spend) = models();
        let buyers = Buyers::new(vec![2.0, 0.0], vec![30.43, 0.0], vec![38.86, 38.86])
            .unwrap()
            .with_unit_days(7.0)
            .unwrap();
        let value = |settings: &CustomerValue| {
            settings
                .of(&buyers, &[22.35, 0.0], &purchases, &spend)
                .unwrap()
        };
        let year = value(&CustomerValue::default());
        let fine = value(&CustomerValue {
            step_days: Some(0.1),
            ..CustomerValue::default()
        });
        for (a, b) in year.iter().zip(&fine) {
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
        let forever = value(&CustomerValue {
            horizon_days: None,
            ..CustomerValue::default()
        });
        assert!(forever[0] > year[0] && forever.iter().all(|v| v.is_finite()));
        let half = value(&CustomerValue {
            margin: 0.5,
            ..CustomerValue::default()
        });
        assert!((half[0] - 0.5 * year[0]).abs() < 1e-12);
        let undiscounted = CustomerValue {
            discount_rate: 0.0,
            ..CustomerValue::default()
        };
        let expected = purchases.expected_purchases(&buyers, 365.0 / 7.0).unwrap();
        let spend = spend
            .expected_spend(buyers.frequency(), &[22.35, 0.0])
            .unwrap();
        assert!((value(&undiscounted)[0] - expected[0] * spend[0]).abs() < 1e-9);
    }

    #[test]
    fn settings_are_checked() {
        let wrong =
            |settings: CustomerValue| settings.purchases(7.0).unwrap_err().what().to_owned();
        let base = CustomerValue::default;
        assert_eq!(
            wrong(CustomerValue {
                horizon_days: None,
                discount_rate: 0.0,
                ..base()
            }),
            "value.discount_rate"
        );
        assert_eq!(
            wrong(CustomerValue {
                horizon_days: None,
                step_days: Some(30.0),
                ..base()
            }),
            "value.step_days"
        );
        assert_eq!(
            wrong(CustomerValue {
                horizon_days: Some(f64::NAN),
                ..base()
            }),
            "value.horizon_days"
        );
        assert_eq!(
            wrong(CustomerValue {
                margin: -1.0,
                ..base()
            }),
            "value.margin"
        );
    }
}
