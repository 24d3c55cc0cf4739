//! The purchase summary that models of repeat buying take: four numbers per buyer.
//!
//! Times are truncated to periods (days by default) and all purchases of a customer in one period
//! are one transaction with their money summed, as in the papers of Fader & Hardie and in
//! lifetimes' `summary_data_from_transaction_data`. This is why `frequency` here may differ from
//! the number of orders minus one, and `recency` from the fractional one of the feature table.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::events::{EventKind, History};
use crate::progress::Progress;
use crate::time::{AsOf, MICROS_PER_DAY};

use super::chunks::CHUNK;
use super::needs::Need;
use super::running::{RunningSummary, SummaryRow};

/// Period and unit of a summary.
///
/// # Example
/// ```
/// use churn_core::features::SummarySettings;
/// // Count days with a purchase, speak of weeks: the form of the published CDNOW results.
/// let weeks = SummarySettings { time_scale: 7.0, ..SummarySettings::default() };
/// # let _ = weeks;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummarySettings {
    /// Length of a period in days, 1 to 36,500. Default 1. Periods of 7 days begin on Mondays.
    pub period_days: u32,
    /// Periods per unit of `recency` and `age`: 7 turns days into weeks. Default 1.
    pub time_scale: f64,
}

impl Default for SummarySettings {
    fn default() -> Self {
        SummarySettings {
            period_days: 1,
            time_scale: 1.0,
        }
    }
}

impl SummarySettings {
    /// The period that a day since 1970 falls into.
    pub(super) fn period(&self, day: i64) -> i64 {
        (day + MONDAY).div_euclid(i64::from(self.period_days))
    }

    /// The period that holds the last instant before `as_of`.
    pub(super) fn last_period(&self, as_of: AsOf) -> i64 {
        self.period((as_of.instant().micros() - 1).div_euclid(MICROS_PER_DAY))
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(1..=36_500).contains(&self.period_days) {
            return Err(Error::invalid_parameter(
                "summary.period_days",
                "1 to 36500 days",
                self.period_days,
            ));
        }
        if !(1e-6..=1e6).contains(&self.time_scale) {
            return Err(Error::invalid_parameter(
                "summary.time_scale",
                "0.000001 to 1000000",
                self.time_scale,
            ));
        }
        Ok(())
    }
}

/// Frequency, recency, age and monetary value of each customer who bought.
#[derive(Debug, Clone, PartialEq)]
pub struct RfmSummary {
    customers: Customers,
    as_of: AsOf,
    unit_days: f64,
    frequency: Vec<f64>,
    recency: Vec<f64>,
    age: Vec<f64>,
    monetary_value: Vec<f64>,
    log_gaps: Option<Vec<f64>>,
}

impl RfmSummary {
    /// A summary made elsewhere.
    ///
    /// Shape: one row per customer. Units: `recency` and `age` in units of `unit_days` days,
    /// `monetary_value` in currency.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of different lengths; `InvalidParameter` for a unit that is
    /// not positive; `InvalidValue`, naming column and row, for a frequency that is not a whole
    /// number from 0 on, a recency outside 0 to age or not 0 without repeat purchase, a negative
    /// or non-finite number.
    pub fn new(
        customers: Customers,
        as_of: AsOf,
        unit_days: f64,
        frequency: Vec<f64>,
        recency: Vec<f64>,
        age: Vec<f64>,
        monetary_value: Vec<f64>,
    ) -> Result<Self> {
        let n = customers.len();
        if !(unit_days.is_finite() && unit_days > 0.0) {
            return Err(Error::invalid_parameter(
                "summary.unit_days",
                "a positive number of days",
                unit_days,
            ));
        }
        for (what, column) in [
            ("summary.frequency", &frequency),
            ("summary.recency", &recency),
            ("summary.age", &age),
            ("summary.monetary_value", &monetary_value),
        ] {
            if column.len() != n {
                return Err(Error::length_mismatch(what, n, column.len()));
            }
        }
        check_rows(&frequency, &recency, &age)?;
        check_not_negative("summary.monetary_value", &monetary_value)?;
        Ok(RfmSummary {
            customers,
            as_of,
            unit_days,
            frequency,
            recency,
            age,
            monetary_value,
            log_gaps: None,
        })
    }

    /// The same summary with sums of log gaps, see [`log_gaps`](Self::log_gaps).
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a sum that is not finite or not 0
    /// without repeat purchase.
    pub fn with_log_gaps(mut self, log_gaps: Vec<f64>) -> Result<Self> {
        check_log_gaps(&self.frequency, &log_gaps)?;
        self.log_gaps = Some(log_gaps);
        Ok(self)
    }

    /// The customers who bought, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant that the summary describes.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Number of customers.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether nobody bought.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Length in days of the unit of [`recency`](Self::recency) and [`age`](Self::age).
    pub fn unit_days(&self) -> f64 {
        self.unit_days
    }

    /// Repeat purchases: periods with a purchase minus one.
    pub fn frequency(&self) -> &[f64] {
        &self.frequency
    }

    /// First to last period with a purchase (units); 0 without repeat purchase.
    pub fn recency(&self) -> &[f64] {
        &self.recency
    }

    /// First period with a purchase to the last period before `as_of` (units).
    pub fn age(&self) -> &[f64] {
        &self.age
    }

    /// Mean money per repeat period (currency); 0 without repeat purchase.
    pub fn monetary_value(&self) -> &[f64] {
        &self.monetary_value
    }

    /// Sum over the gaps between periods with a purchase of the logarithm of the gap in units; 0
    /// without repeat purchase. Models of regular buying need it. `None` for a summary that was
    /// made elsewhere without it.
    pub fn log_gaps(&self) -> Option<&[f64]> {
        self.log_gaps.as_deref()
    }
}

/// Confirms rows of frequency, recency and age, naming the first wrong one.
pub(crate) fn check_rows(frequency: &[f64], recency: &[f64], age: &[f64]) -> Result<()> {
    for (what, column) in [
        ("summary.frequency", frequency),
        ("summary.recency", recency),
        ("summary.age", age),
    ] {
        if column.len() != frequency.len() {
            return Err(Error::length_mismatch(what, frequency.len(), column.len()));
        }
        check_not_negative(what, column)?;
    }
    for row in 0..frequency.len() {
        if frequency[row].fract() != 0.0 {
            return Err(Error::invalid_value(
                "summary.frequency",
                row,
                "a whole number",
                frequency[row],
            ));
        }
        if recency[row] > age[row] {
            return Err(Error::invalid_value(
                "summary.recency",
                row,
                format_args!("at most the age of {}", age[row]),
                recency[row],
            ));
        }
        if frequency[row] == 0.0 && recency[row] > 0.0 {
            return Err(Error::invalid_value(
                "summary.recency",
                row,
                "0 without repeat purchase",
                recency[row],
            ));
        }
    }
    Ok(())
}

/// Confirms finite numbers from 0 on.
pub(crate) fn check_not_negative(what: &str, column: &[f64]) -> Result<()> {
    let wrong = |x: &f64| !(x.is_finite() && *x >= 0.0);
    match column.iter().position(wrong) {
        None => Ok(()),
        Some(row) => Err(Error::invalid_value(
            what,
            row,
            "a finite number, not negative",
            column[row],
        )),
    }
}

/// Confirms sums of log gaps beside their frequencies.
pub(crate) fn check_log_gaps(frequency: &[f64], log_gaps: &[f64]) -> Result<()> {
    if log_gaps.len() != frequency.len() {
        return Err(Error::length_mismatch(
            "summary.log_gaps",
            frequency.len(),
            log_gaps.len(),
        ));
    }
    let wrong = |(sum, x): (&f64, &f64)| !sum.is_finite() || (*x == 0.0 && *sum != 0.0);
    match log_gaps.iter().zip(frequency).position(wrong) {
        None => Ok(()),
        Some(row) => Err(Error::invalid_value(
            "summary.log_gaps",
            row,
            "a finite number, 0 without repeat purchase",
            log_gaps[row],
        )),
    }
}

/// Days from the start of the Monday before 1970-01-01 (a Thursday), from which periods count.
const MONDAY: i64 = 3;

/// Summarizes purchases before `as_of`. Refunds and customers who never bought are left out.
///
/// In the papers x = frequency, t_x = recency, T = age. `age` ends with the
/// period that holds the last instant before `as_of`.
///
/// # Errors
/// `InvalidParameter` for settings outside their domain, or a log that keeps no purchases.
///
/// # Example
/// ```
/// use churn_core::{AsOf, TimeUnit};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::features::{SummarySettings, summarize};
/// let columns = EventColumns::new(&[7_i64, 7, 7], &[0, 0, 4], TimeUnit::Day, EventKind::Purchase)
///     .with_values(&[9.0, 1.0, 3.0]);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let summary = summarize(&log.history(AsOf::parse("1970-01-11")?), &SummarySettings::default())?;
/// assert_eq!((summary.frequency()[0], summary.recency()[0], summary.age()[0]), (1.0, 4.0, 9.0));
/// assert_eq!(summary.monetary_value(), [3.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn summarize(history: &History<'_>, settings: &SummarySettings) -> Result<RfmSummary> {
    summarize_observed(history, settings, &Progress::none())
}

/// The same with progress and cancellation.
///
/// # Errors
/// As [`summarize`], and `Cancelled`.
pub fn summarize_observed(
    history: &History<'_>,
    settings: &SummarySettings,
    progress: &Progress<'_>,
) -> Result<RfmSummary> {
    settings.check()?;
    let purchases = Need::of([EventKind::Purchase]);
    history.keep().check_for(purchases.keep(), "summary")?;
    let last_observed = settings.last_period(history.as_of());
    let n = history.customers().len();
    let step = progress.step("features.summary", n);
    let rows: Vec<Option<SummaryRow>> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
            let found: Vec<_> = rows
                .map(|row| running(history, row, settings).map(|r| r.row_at(last_observed)))
                .collect();
            step.advance(found.len())?;
            Ok(found)
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let buyers: Vec<u32> = (0..n)
        .filter(|row| rows[*row].is_some())
        .map(|row| row as u32)
        .collect();
    let column = |cell: fn(&SummaryRow) -> f64| rows.iter().flatten().map(cell).collect();
    RfmSummary::new(
        history.customers().subset(buyers),
        history.as_of(),
        f64::from(settings.period_days) * settings.time_scale,
        column(|row| row.frequency),
        column(|row| row.recency),
        column(|row| row.age),
        column(|row| row.monetary_value),
    )?
    .with_log_gaps(column(|row| row.log_gaps))
}

/// A customer's purchases, `None` without any.
fn running(
    history: &History<'_>,
    row: usize,
    settings: &SummarySettings,
) -> Option<RunningSummary> {
    let mut found: Option<RunningSummary> = None;
    for event in history.customer(row).events() {
        if event.kind == EventKind::Purchase {
            let period = settings.period(event.time.day());
            found
                .get_or_insert_with(|| RunningSummary::at(period, settings))
                .push(period, event.value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::features::testing::log;

    #[test]
    fn periods_collapse_and_prospects_are_left_out() {
        let log = log(&[
            ("ann", "2020-01-05T23:00:00", "purchase", 10.0),
            ("ann", "2020-01-06T01:00:00", "purchase", 5.0),
            ("ann", "2020-01-08", "purchase", 7.0),
            ("ann", "2020-01-08T09:00:00", "purchase", 1.0),
            ("ann", "2020-01-09", "refund", 1.0),
            ("bea", "2020-01-05", "view", 0.0),
            ("cid", "2020-01-12", "purchase", 2.0),
        ]);
        let history = log.history(AsOf::parse("2020-01-12T00:00:01").unwrap());
        let days = summarize(&history, &SummarySettings::default()).unwrap();
        assert_eq!(days.customers(), &Customers::from_texts(["ann", "cid"]));
        assert_eq!(days.frequency(), [2.0, 0.0]);
        assert_eq!(days.recency(), [3.0, 0.0]);
        assert_eq!(days.age(), [7.0, 0.0]);
        assert_eq!(days.monetary_value(), [6.5, 0.0]);
        // Gaps of one and two days.
        assert_eq!(days.log_gaps().unwrap(), [2_f64.ln(), 0.0]);
        // 2020-01-06 is a Monday: two weeks for ann.
        let weeks = SummarySettings {
            period_days: 7,
            time_scale: 1.0,
        };
        let weeks = summarize(&history, &weeks).unwrap();
        assert_eq!(weeks.frequency(), [1.0, 0.0]);
        assert_eq!((weeks.recency()[0], weeks.age()[0]), (1.0, 1.0));
        assert_eq!(weeks.monetary_value(), [13.0, 0.0]);
        assert_eq!(weeks.unit_days(), 7.0);
    }

    #[test]
    fn impossible_rows_are_refused() {
        let new = |frequency: f64, recency: f64, age: f64| {
            RfmSummary::new(
                Customers::from_ints([1]),
                AsOf::parse("2020-01-01").unwrap(),
                7.0,
                vec![frequency],
                vec![recency],
                vec![age],
                vec![0.0],
            )
        };
        assert!(new(1.0, 2.0, 3.0).is_ok());
        for (x, t, age) in [
            (1.0, 4.0, 3.0),
            (0.5, 0.0, 3.0),
            (0.0, 1.0, 3.0),
            (1.0, 1.0, f64::NAN),
        ] {
            let error = new(x, t, age).unwrap_err();
            assert_eq!(
                (error.kind(), error.row()),
                (ErrorKind::InvalidValue, Some(0))
            );
        }
    }
}
