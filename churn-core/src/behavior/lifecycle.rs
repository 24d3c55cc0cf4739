//! How many customers are new, stay, come back and fall silent, period by period.
//!
//! Of those active in a period, *new* were first seen in it, *returning* were active in the period
//! before as well, and *resurrecting* are the rest. *Dormant* were active in the period before and
//! are not now: they are counted once, in the period right after their last active one. Hence
//!
//! ```text
//! active(p) = new(p) + returning(p) + resurrecting(p)      dormant(p) = active(p − 1) − returning(p)
//! ```
//!
//! A customer seen earlier (a visit, say) whose first activity of the counted kinds comes now is
//! resurrecting, not new, unless `first_seen` says otherwise. Definitions as in PostHog's lifecycle.
//! This counts events in fixed periods; [`segments::lifecycle`](crate::segments) asks instead how
//! each customer stands today, by their own rhythm.

use serde::{Deserialize, Serialize};

use super::periods::{Kinds, count, cover, note};
use crate::error::Result;
use crate::events::{EventKind, History};
use crate::progress::Progress;
use crate::time::{AsOf, Period, Periods, Timestamp, Weekday};

/// What makes a customer new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstSeen {
    /// The first event of any kind. The default.
    #[default]
    AnyEvent,
    /// The first event of the counted kinds: then nobody resurrects who was never active.
    Active,
}

/// What to count as active, and in which periods.
///
/// # Example
/// ```
/// use churn_core::behavior::LifecycleSettings;
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::progress::Progress;
/// use churn_core::time::Period;
/// use churn_core::{AsOf, TimeUnit};
/// let columns = EventColumns::new(&["ann", "ann", "bea"], &[0, 2, 1], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let settings = LifecycleSettings { period: Period::Day, ..LifecycleSettings::default() };
/// let table = settings.table(&log.history(AsOf::parse("1970-01-04")?), &Progress::none())?;
/// assert_eq!(table.new_customers(), [1, 1, 0]);
/// assert_eq!(table.resurrecting(), [0, 0, 1]); // ann, after a day of silence
/// assert_eq!(table.dormant(), [0, 1, 1]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// IANA name of the time zone of the periods. Default `"UTC"`.
    pub time_zone: String,
    /// Length of a period. Default week.
    pub period: Period,
    /// The day on which weeks begin. Default Monday.
    pub week_start: Weekday,
    /// Kinds of event that make a customer active; empty = all. Default purchases.
    pub kinds: Vec<EventKind>,
    /// What makes a customer new. Default the first event of any kind.
    pub first_seen: FirstSeen,
    /// The first period told is the one that holds this instant; default the first event's.
    pub since: Option<Timestamp>,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        LifecycleSettings {
            time_zone: "UTC".to_owned(),
            period: Period::default(),
            week_start: Weekday::default(),
            kinds: vec![EventKind::Purchase],
            first_seen: FirstSeen::default(),
            since: None,
        }
    }
}

const PLACE: &str = "lifecycle_over_time";

/// Counts kept for each period.
const STATES: usize = 4;
const NEW: usize = 0;
const RETURNING: usize = 1;
const RESURRECTING: usize = 2;
const DORMANT: usize = 3;

impl LifecycleSettings {
    /// Counts the states of all customers in all periods.
    ///
    /// # Errors
    /// `UnknownName` for a time zone that is not known; `InvalidParameter` for a `since` that is not
    /// before `as_of`, or more than 100,000 periods; `NotEnoughData` without events; `Cancelled`.
    pub fn table(&self, history: &History<'_>, progress: &Progress<'_>) -> Result<LifecycleTable> {
        // Periods before `since` decide who is new and who returns.
        let periods = cover(
            PLACE,
            history,
            (&self.time_zone, self.period, self.week_start),
            None,
        )?;
        let told = match self.since {
            None => 0,
            Some(since) => {
                let begins = |p: usize| periods.end(p) > since;
                // Checks that it lies before as_of.
                let zone = (self.time_zone.as_str(), self.period, self.week_start);
                cover(PLACE, history, zone, Some(since))?;
                (0..periods.len()).find(|p| begins(*p)).unwrap_or(0)
            }
        };
        let kinds = Kinds::new(&self.kinds);
        let n = periods.len();
        let counts = count(
            history,
            progress,
            "behavior.lifecycle",
            n * STATES,
            Vec::new,
            |row, active: &mut Vec<u32>, counts| {
                active.clear();
                let mut first_seen = None;
                for event in history.customer(row).events() {
                    let Some(period) = periods.index(event.time) else {
                        continue;
                    };
                    first_seen.get_or_insert(period as u32);
                    if kinds.has(event.kind) {
                        note(active, period);
                    }
                }
                if self.first_seen == FirstSeen::Active {
                    first_seen = active.first().copied();
                }
                let mut before = None;
                for period in active.iter().copied() {
                    let state = if Some(period) == first_seen {
                        NEW
                    } else if period > 0 && before == Some(period - 1) {
                        RETURNING
                    } else {
                        RESURRECTING
                    };
                    counts[period as usize * STATES + state] += 1;
                    if state != RETURNING {
                        fall_silent(before, n, counts);
                    }
                    before = Some(period);
                }
                fall_silent(before, n, counts);
            },
        )?;
        let state = |state: usize| (told..n).map(|p| counts[p * STATES + state]).collect();
        Ok(LifecycleTable {
            as_of: history.as_of(),
            new: state(NEW),
            returning: state(RETURNING),
            resurrecting: state(RESURRECTING),
            dormant: state(DORMANT),
            periods,
            told,
        })
    }
}

/// Counts the period right after the last active one, if it has begun.
fn fall_silent(last_active: Option<u32>, periods: usize, counts: &mut [u64]) {
    if let Some(last) = last_active {
        let next = last as usize + 1;
        if next < periods {
            counts[next * STATES + DORMANT] += 1;
        }
    }
}

/// Customers by state, one row per period.
#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleTable {
    as_of: AsOf,
    periods: Periods,
    told: usize,
    new: Vec<u64>,
    returning: Vec<u64>,
    resurrecting: Vec<u64>,
    dormant: Vec<u64>,
}

impl LifecycleTable {
    /// Number of periods.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.new.len()
    }

    /// The instant at which the past ends.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// The first day of each period in its zone.
    pub fn labels(&self) -> &[String] {
        &self.periods.labels()[self.told..]
    }

    /// The first instant of each period.
    pub fn starts(&self) -> Vec<Timestamp> {
        (self.told..self.periods.len())
            .map(|p| self.periods.start(p))
            .collect()
    }

    /// Whether each period is over at `as_of`; of the last one more may come.
    pub fn complete(&self) -> Vec<bool> {
        (self.told..self.periods.len())
            .map(|p| self.periods.end(p) <= self.as_of.instant())
            .collect()
    }

    /// First seen in the period, and active.
    pub fn new_customers(&self) -> &[u64] {
        &self.new
    }

    /// Active in the period and in the one before.
    pub fn returning(&self) -> &[u64] {
        &self.returning
    }

    /// Active in the period, not in the one before, and not new.
    pub fn resurrecting(&self) -> &[u64] {
        &self.resurrecting
    }

    /// Active in the period before, and not in this one.
    pub fn dormant(&self) -> &[u64] {
        &self.dormant
    }

    /// All active in the period.
    pub fn active(&self) -> Vec<u64> {
        (0..self.len())
            .map(|p| self.new[p] + self.returning[p] + self.resurrecting[p])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::testing::{history_of, log_of};
    use crate::error::ErrorKind;

    fn daily(log: &crate::EventLog, as_of: &str, settings: LifecycleSettings) -> LifecycleTable {
        let settings = LifecycleSettings {
            period: Period::Day,
            ..settings
        };
        settings
            .table(&history_of(log, as_of), &Progress::none())
            .unwrap()
    }

    #[test]
    fn states_by_hand() {
        let log = log_of(&[
            ("ann", "2020-01-01", "purchase"),
            ("ann", "2020-01-02", "purchase"),
            ("ann", "2020-01-05", "purchase"),
            ("bea", "2020-01-01", "view"),
            ("bea", "2020-01-03", "purchase"),
            ("cid", "2020-01-05T23:00", "purchase"),
            ("dan", "2020-01-02", "view"),
        ]);
        let table = daily(&log, "2020-01-06T12:00", LifecycleSettings::default());
        assert_eq!(table.labels().len(), 6);
        assert_eq!(table.new_customers(), [1, 0, 0, 0, 1, 0]);
        assert_eq!(table.returning(), [0, 1, 0, 0, 0, 0]);
        // bea was seen before she first bought; ann comes back.
        assert_eq!(table.resurrecting(), [0, 0, 1, 0, 1, 0]);
        // Once per lapse, in the period right after; the last one is not over.
        assert_eq!(table.dormant(), [0, 0, 1, 1, 0, 2]);
        assert_eq!(table.complete(), [true, true, true, true, true, false]);
        let active = table.active();
        for p in 1..table.len() {
            assert_eq!(table.dormant()[p], active[p - 1] - table.returning()[p]);
        }

        let by_purchase = LifecycleSettings {
            first_seen: FirstSeen::Active,
            ..LifecycleSettings::default()
        };
        let table = daily(&log, "2020-01-06T12:00", by_purchase);
        assert_eq!(table.new_customers(), [1, 0, 1, 0, 1, 0]);
        assert_eq!(table.resurrecting(), [0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_later_start_tells_less_and_forgets_nothing() {
        let log = log_of(&[
            ("ann", "2020-01-01", "purchase"),
            ("ann", "2020-01-02", "purchase"),
            ("ann", "2020-01-05", "purchase"),
        ]);
        let settings = LifecycleSettings {
            since: Some(Timestamp::parse("2020-01-02T08:00").unwrap()),
            ..LifecycleSettings::default()
        };
        let table = daily(&log, "2020-01-06", settings);
        assert_eq!(table.labels()[0], "2020-01-02");
        assert_eq!(table.returning(), [1, 0, 0, 0]);
        assert_eq!(table.dormant(), [0, 1, 0, 0]);
        assert_eq!(table.resurrecting(), [0, 0, 0, 1]);
        let settings = LifecycleSettings {
            since: Some(Timestamp::parse("2020-02-02").unwrap()),
            ..LifecycleSettings::default()
        };
        let error = settings
            .table(&history_of(&log, "2020-01-06"), &Progress::none())
            .unwrap_err();
        assert_eq!(error.what(), "lifecycle_over_time.since");
    }

    #[test]
    fn nothing_before_as_of_is_an_error() {
        let log = log_of(&[("ann", "2020-01-01", "purchase")]);
        let error = LifecycleSettings::default()
            .table(&history_of(&log, "2019-01-01"), &Progress::none())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
    }
}
