//! What the customers of a summary did afterwards: the other half of a time split.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::events::{EventKind, History};

use super::chunks::CHUNK;
use super::summary::{RfmSummary, SummarySettings};

/// Purchases of the customers of a calibration summary between its `as_of` and a later instant.
///
/// Customers first seen later are not part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Holdout {
    frequency: Vec<f64>,
    monetary_value: Vec<f64>,
    duration: f64,
}

impl Holdout {
    /// Periods with a purchase in the holdout, one per customer of the calibration.
    pub fn frequency(&self) -> &[f64] {
        &self.frequency
    }

    /// Mean money per period with a purchase in the holdout (currency); 0 without one.
    ///
    /// Money is summed over each period first, as in the calibration. The column
    /// `monetary_value_holdout` of lifetimes is the mean over *rows* of the log instead, so that two
    /// orders on one day count as two there and as one here.
    pub fn monetary_value(&self) -> &[f64] {
        &self.monetary_value
    }

    /// Length of the holdout in units of the calibration summary.
    pub fn duration(&self) -> f64 {
        self.duration
    }
}

/// Counts what the customers of `calibration` bought after its `as_of`, in a history of the same
/// log that ends later. `settings` must be those that the calibration was summarized with.
///
/// The period that holds the last instant before the calibration's `as_of` belongs to the
/// calibration, later ones to the holdout.
///
/// # Errors
/// `InvalidParameter` for a history that does not end later, or settings of another unit;
/// `Misaligned` if a customer of the calibration does not occur in the history.
///
/// # Example
/// ```
/// use churn_core::{AsOf, TimeUnit};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::features::{SummarySettings, holdout, summarize};
/// let columns = EventColumns::new(&[7_i64, 7, 7], &[0, 4, 12], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let settings = SummarySettings::default();
/// let calibration = summarize(&log.history(AsOf::parse("1970-01-08")?), &settings)?;
/// let later = holdout(&calibration, &log.history(AsOf::parse("1970-01-18")?), &settings)?;
/// assert_eq!((later.frequency()[0], later.duration()), (1.0, 10.0));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn holdout(
    calibration: &RfmSummary,
    history: &History<'_>,
    settings: &SummarySettings,
) -> Result<Holdout> {
    settings.check()?;
    let unit_days = f64::from(settings.period_days) * settings.time_scale;
    if unit_days != calibration.unit_days() {
        return Err(Error::invalid_parameter(
            "holdout.settings",
            format_args!(
                "the unit of the calibration, {} days",
                calibration.unit_days()
            ),
            unit_days,
        ));
    }
    if history.as_of() <= calibration.as_of() {
        return Err(Error::invalid_parameter(
            "holdout.as_of",
            format_args!("an instant after {}", calibration.as_of()),
            history.as_of(),
        ));
    }
    let (begin, end) = (
        settings.last_period(calibration.as_of()),
        settings.last_period(history.as_of()),
    );
    let n = calibration.len();
    let rows: Vec<(f64, f64)> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
            rows.map(|row| {
                let id = calibration.customers().get(row);
                let Some(at) = history.customers().find(id) else {
                    return Err(Error::misaligned(
                        "holdout.customers",
                        "the customers of the calibration",
                        format_args!("no customer {id}"),
                    ));
                };
                Ok(after(history, at, settings, begin))
            })
            .collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?
        .concat();
    Ok(Holdout {
        frequency: rows.iter().map(|row| row.0).collect(),
        monetary_value: rows.iter().map(|row| row.1).collect(),
        duration: (end - begin) as f64 / settings.time_scale,
    })
}

/// Periods with a purchase after period `begin`, and their mean money.
fn after(history: &History<'_>, row: usize, settings: &SummarySettings, begin: i64) -> (f64, f64) {
    let (mut last, mut periods, mut money) = (begin, 0_u64, 0.0);
    for event in history.customer(row).events() {
        let period = settings.period(event.time.day());
        if event.kind != EventKind::Purchase || period <= begin {
            continue;
        }
        if period > last {
            periods += 1;
            last = period;
        }
        money += event.value;
    }
    let frequency = periods as f64;
    (frequency, if periods > 0 { money / frequency } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::summarize;
    use crate::features::testing::log;
    use crate::time::AsOf;

    #[test]
    fn money_is_summed_by_period_and_newcomers_are_left_out() {
        let log = log(&[
            ("ann", "2020-01-05", "purchase", 10.0),
            ("ann", "2020-01-20T09:00:00", "purchase", 4.0),
            ("ann", "2020-01-20T19:00:00", "purchase", 2.0),
            ("ann", "2020-01-22", "purchase", 8.0),
            ("bea", "2020-01-06", "purchase", 1.0),
            ("cid", "2020-01-21", "purchase", 1.0),
        ]);
        let settings = SummarySettings::default();
        let at = |text| log.history(AsOf::parse(text).unwrap());
        let calibration = summarize(&at("2020-01-10"), &settings).unwrap();
        let later = holdout(&calibration, &at("2020-02-01"), &settings).unwrap();
        assert_eq!(later.frequency(), [2.0, 0.0]);
        assert_eq!(later.monetary_value(), [7.0, 0.0]);
        assert_eq!(later.duration(), 22.0);
        assert!(holdout(&calibration, &at("2020-01-10"), &settings).is_err());
        let weeks = SummarySettings {
            time_scale: 7.0,
            ..settings
        };
        assert!(holdout(&calibration, &at("2020-02-01"), &weeks).is_err());
    }
}
