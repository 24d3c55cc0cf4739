//! One customer's purchases as a few numbers that go on from order to order.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::time::{AsOf, Timestamp};

use super::summary::{SummarySettings, check_log_gaps};

/// What a customer's purchases so far leave behind: enough to go on without the old log.
///
/// [`summarize`](super::summarize) is made of it, so that a row updated order by order equals, to the bit, the row
/// summarized from the whole log.
///
/// # Example
/// ```
/// use churn_core::{AsOf, Timestamp};
/// use churn_core::features::{RunningSummary, SummarySettings};
/// let settings = SummarySettings::default();
/// let mut ann = RunningSummary::new(Timestamp::parse("2020-01-05")?, &settings)?;
/// ann.add(Timestamp::parse("2020-01-08")?, 7.0)?;
/// ann.add(Timestamp::parse("2020-01-15T18:00:00")?, 9.0)?;
/// let row = ann.row(AsOf::parse("2020-02-01")?)?;
/// assert_eq!((row.frequency, row.recency, row.age, row.monetary_value), (2.0, 10.0, 26.0, 8.0));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct RunningSummary {
    settings: SummarySettings,
    first_period: i64,
    last_period: i64,
    repeats: u64,
    repeat_money: f64,
    log_gaps: f64,
}

/// A stored running summary, whose numbers are not trusted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    settings: SummarySettings,
    first_period: i64,
    last_period: i64,
    repeats: u64,
    repeat_money: f64,
    log_gaps: f64,
}

impl TryFrom<Stored> for RunningSummary {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        stored.settings.check()?;
        let periods = stored.last_period.checked_sub(stored.first_period);
        let possible = periods.is_some_and(|span| span >= 0 && stored.repeats <= span as u64)
            && stored.first_period.abs() < MANY_PERIODS
            && stored.last_period.abs() < MANY_PERIODS
            && (stored.repeats > 0) == (stored.last_period > stored.first_period);
        if !possible {
            return Err(Error::invalid_parameter(
                "summary.last_period",
                "periods that hold the repeat purchases",
                format_args!(
                    "{} in {} to {}",
                    stored.repeats, stored.first_period, stored.last_period
                ),
            ));
        }
        let money = stored.repeat_money;
        if !(money.is_finite() && money >= 0.0 && (money == 0.0 || stored.repeats > 0)) {
            let expected = "a finite number, not negative, 0 without repeat purchase";
            return Err(Error::invalid_parameter(
                "summary.repeat_money",
                expected,
                money,
            ));
        }
        check_log_gaps(&[stored.repeats as f64], &[stored.log_gaps])?;
        Ok(RunningSummary {
            settings: stored.settings,
            first_period: stored.first_period,
            last_period: stored.last_period,
            repeats: stored.repeats,
            repeat_money: money,
            log_gaps: stored.log_gaps,
        })
    }
}

/// More periods than lie between the years 1 and 9999.
const MANY_PERIODS: i64 = 1 << 32;

/// One row of a summary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SummaryRow {
    /// Repeat purchases: periods with a purchase minus one.
    pub frequency: f64,
    /// First to last period with a purchase (units).
    pub recency: f64,
    /// First period with a purchase to the last period before `as_of` (units).
    pub age: f64,
    /// Mean money per repeat period (currency).
    pub monetary_value: f64,
    /// Sum of the logarithms of the gaps (units).
    pub log_gaps: f64,
}

impl RunningSummary {
    /// A customer with a first purchase, whose money does not count.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain.
    pub fn new(first: Timestamp, settings: &SummarySettings) -> Result<Self> {
        settings.check()?;
        Ok(Self::at(settings.period(first.day()), settings))
    }

    pub(super) fn at(period: i64, settings: &SummarySettings) -> Self {
        RunningSummary {
            settings: settings.clone(),
            first_period: period,
            last_period: period,
            repeats: 0,
            repeat_money: 0.0,
            log_gaps: 0.0,
        }
    }

    /// Adds a purchase, which may fall into the same period as the last one but not before it.
    ///
    /// # Errors
    /// `InvalidParameter` for a purchase of an earlier period (which needs the log), or for money
    /// that is negative or not finite.
    pub fn add(&mut self, time: Timestamp, value: f64) -> Result<()> {
        let period = self.settings.period(time.day());
        if period < self.last_period {
            return Err(Error::invalid_parameter(
                "summary.time",
                "a purchase no earlier than the period of the last one",
                time,
            ));
        }
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::invalid_parameter(
                "summary.value",
                "a finite number, not negative",
                value,
            ));
        }
        self.push(period, value);
        Ok(())
    }

    pub(super) fn push(&mut self, period: i64, value: f64) {
        if period > self.last_period {
            let gap = (period - self.last_period) as f64 / self.settings.time_scale;
            self.log_gaps += gap.ln();
            self.repeats += 1;
            self.last_period = period;
        }
        if period > self.first_period {
            self.repeat_money += value;
        }
    }

    /// The row of the summary as of an instant after the last purchase.
    ///
    /// # Errors
    /// `InvalidParameter` for an instant at or before the period of the last purchase.
    pub fn row(&self, as_of: AsOf) -> Result<SummaryRow> {
        let last = self.settings.last_period(as_of);
        if last < self.last_period {
            return Err(Error::invalid_parameter(
                "summary.as_of",
                "an instant after the last purchase",
                as_of,
            ));
        }
        Ok(self.row_at(last))
    }

    pub(super) fn row_at(&self, last_observed: i64) -> SummaryRow {
        let scale = self.settings.time_scale;
        SummaryRow {
            frequency: self.repeats as f64,
            recency: (self.last_period - self.first_period) as f64 / scale,
            age: (last_observed - self.first_period) as f64 / scale,
            monetary_value: if self.repeats > 0 {
                self.repeat_money / self.repeats as f64
            } else {
                0.0
            },
            log_gaps: self.log_gaps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::summarize;
    use crate::features::testing::log;

    #[test]
    fn orders_join_without_the_old_log() {
        let rows = [
            ("ann", "2020-01-05T23:00:00", "purchase", 10.0),
            ("ann", "2020-01-06T01:00:00", "purchase", 5.1),
            ("ann", "2020-01-06T02:00:00", "purchase", 1.3),
            ("ann", "2020-02-08", "purchase", 7.7),
        ];
        for settings in [
            SummarySettings::default(),
            SummarySettings {
                period_days: 1,
                time_scale: 7.0,
            },
            SummarySettings {
                period_days: 7,
                time_scale: 1.0,
            },
        ] {
            let at = |text| Timestamp::parse(text).unwrap();
            let mut ann = RunningSummary::new(at(rows[0].1), &settings).unwrap();
            for n in 1..=rows.len() {
                if n > 1 {
                    ann.add(at(rows[n - 1].1), rows[n - 1].3).unwrap();
                }
                let as_of = AsOf::parse("2020-03-01").unwrap();
                let all = summarize(&log(&rows[..n]).history(as_of), &settings).unwrap();
                let text = serde_json::to_string(&ann).unwrap();
                ann = crate::settings::from_json("summary", &text).unwrap();
                let broken = text.replace("\"last_period\":", "\"last_period\":-");
                let read = crate::settings::from_json::<RunningSummary>("summary", &broken);
                assert!(read.is_err(), "{broken}");
                let row = ann.row(as_of).unwrap();
                assert_eq!(row.frequency, all.frequency()[0]);
                assert_eq!(row.recency, all.recency()[0]);
                assert_eq!(row.age, all.age()[0]);
                assert_eq!(row.monetary_value, all.monetary_value()[0]);
                assert_eq!(row.log_gaps, all.log_gaps().unwrap()[0]);
            }
            assert!(ann.add(at("2020-01-20"), 1.0).is_err());
            assert!(ann.add(at("2020-02-20"), f64::NAN).is_err());
            assert!(ann.row(AsOf::parse("2020-01-20").unwrap()).is_err());
        }
    }
}
