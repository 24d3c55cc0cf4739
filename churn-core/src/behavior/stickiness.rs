//! In how many periods customers were active.
//!
//! Of K periods, how many customers were active in exactly k of them; ratio = mean k / K over those
//! active at all, which is the familiar "daily over monthly active" when periods are days and the
//! span is a month. It says how often, not how lately: use it beside retention.

use serde::{Deserialize, Serialize};

use super::periods::{Kinds, count, cover, note};
use crate::error::Result;
use crate::events::{EventKind, History};
use crate::progress::Progress;
use crate::time::{Period, Periods, Timestamp, Weekday};

/// What to count as active, and in which periods.
///
/// # Example
/// ```
/// use churn_core::behavior::StickinessSettings;
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::progress::Progress;
/// use churn_core::time::Period;
/// use churn_core::{AsOf, TimeUnit};
/// let columns = EventColumns::new(&["ann", "ann", "bea"], &[0, 3, 1], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let settings = StickinessSettings { period: Period::Day, ..StickinessSettings::default() };
/// let sticky = settings.table(&log.history(AsOf::parse("1970-01-05")?), &Progress::none())?;
/// assert_eq!(sticky.customers(), [1, 1, 0, 0]); // one on one day, one on two of four days
/// assert_eq!(sticky.ratio(), Some(1.5 / 4.0));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StickinessSettings {
    /// IANA name of the time zone of the periods. Default `"UTC"`.
    pub time_zone: String,
    /// Length of a period. Default week.
    pub period: Period,
    /// The day on which weeks begin. Default Monday.
    pub week_start: Weekday,
    /// Kinds of event that make a customer active; empty = all. Default purchases.
    pub kinds: Vec<EventKind>,
    /// The first period is the one that holds this instant, whole; default the first event's.
    pub since: Option<Timestamp>,
}

impl Default for StickinessSettings {
    fn default() -> Self {
        StickinessSettings {
            time_zone: "UTC".to_owned(),
            period: Period::default(),
            week_start: Weekday::default(),
            kinds: vec![EventKind::Purchase],
            since: None,
        }
    }
}

const PLACE: &str = "stickiness";

impl StickinessSettings {
    /// Counts in how many periods each customer was active.
    ///
    /// # Errors
    /// As [`LifecycleSettings::table`](super::LifecycleSettings::table).
    pub fn table(&self, history: &History<'_>, progress: &Progress<'_>) -> Result<Stickiness> {
        let zone = (self.time_zone.as_str(), self.period, self.week_start);
        let periods = cover(PLACE, history, zone, self.since)?;
        let kinds = Kinds::new(&self.kinds);
        let customers = count(
            history,
            progress,
            "behavior.stickiness",
            periods.len(),
            Vec::new,
            |row, active: &mut Vec<u32>, counts| {
                active.clear();
                for event in history.customer(row).events() {
                    if kinds.has(event.kind)
                        && let Some(period) = periods.index(event.time)
                    {
                        note(active, period);
                    }
                }
                if let Some(last) = active.len().checked_sub(1) {
                    counts[last] += 1;
                }
            },
        )?;
        Ok(Stickiness {
            complete: periods.end(periods.len() - 1) <= history.as_of().instant(),
            periods,
            customers,
        })
    }
}

/// Customers by number of active periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Stickiness {
    periods: Periods,
    complete: bool,
    customers: Vec<u64>,
}

impl Stickiness {
    /// The periods looked at.
    pub fn periods(&self) -> &Periods {
        &self.periods
    }

    /// Whether the last period is over at `as_of`.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// Customers active in exactly 1, 2, … all periods.
    pub fn customers(&self) -> &[u64] {
        &self.customers
    }

    /// Mean share of periods in which a customer was active, of those active at all; `None` where
    /// nobody was.
    pub fn ratio(&self) -> Option<f64> {
        let active: u64 = self.customers.iter().sum();
        let periods: u64 = (1..).zip(&self.customers).map(|(k, n)| k * n).sum();
        (active > 0).then(|| periods as f64 / (active as f64 * self.customers.len() as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::testing::{history_of, log_of};

    #[test]
    fn counts_by_hand() {
        let log = log_of(&[
            ("ann", "2020-01-01T01:00", "purchase"),
            ("ann", "2020-01-01T23:30", "purchase"),
            ("ann", "2020-01-03", "view"),
            ("bea", "2020-01-02", "purchase"),
            ("bea", "2020-01-03", "purchase"),
            ("cid", "2020-01-02", "view"),
        ]);
        let sticky = |zone: &str, kinds: Vec<EventKind>, from: Option<&str>| {
            let settings = StickinessSettings {
                time_zone: zone.to_owned(),
                period: Period::Day,
                kinds,
                since: from.map(|text| Timestamp::parse(text).unwrap()),
                ..StickinessSettings::default()
            };
            let history = history_of(&log, "2020-01-04");
            let sticky = settings.table(&history, &Progress::none()).unwrap();
            (sticky.customers().to_vec(), sticky.complete())
        };
        let purchases = || vec![EventKind::Purchase];
        assert_eq!(sticky("UTC", purchases(), None), (vec![1, 1, 0], true));
        assert_eq!(sticky("UTC", vec![], None), (vec![1, 2, 0], true));
        // In Berlin ann's second purchase is on the next day, and as_of is at one in the morning.
        assert_eq!(
            sticky("Europe/Berlin", purchases(), None),
            (vec![0, 2, 0, 0], false)
        );
        assert_eq!(
            sticky("UTC", purchases(), Some("2020-01-03")),
            (vec![1], true)
        );
        let nobody = sticky("UTC", vec![EventKind::Refund], None);
        assert_eq!(nobody, (vec![0, 0, 0], true));
    }
}
