//! The future: what happened from an instant on, kept apart from the past that features may see.
//!
//! [`EventLog::holdout`] makes a [`Holdout`], which nothing that describes customers accepts;
//! [`Holdout::outcomes`] turns it into labels. A customer whose horizon is not yet over has no
//! label: counting silence up to today as churn would call every recent buyer lost.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Event, EventKind, EventLog};
use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::{AsOf, Horizon, MICROS_PER_DAY, Timestamp};

/// When a customer counts as lost: none of these activities within the horizon.
///
/// The horizon begins `gap_days` after `as_of`. What happens during the gap does not count: it is
/// the time that a shop needs between scoring and acting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChurnDefinition {
    /// Length of the horizon in days. Default 90.
    pub horizon_days: Horizon,
    /// Days between `as_of` and the beginning of the horizon. Default 0.
    pub gap_days: u32,
    /// The kinds of event that a customer who stays shows at least one of. Default: purchases.
    pub activity: Vec<EventKind>,
}

impl Default for ChurnDefinition {
    fn default() -> Self {
        ChurnDefinition {
            horizon_days: Horizon::DAYS_90,
            gap_days: 0,
            activity: vec![EventKind::Purchase],
        }
    }
}

impl ChurnDefinition {
    /// No purchase within `horizon`, without a gap.
    pub fn no_purchase(horizon: Horizon) -> Self {
        ChurnDefinition {
            horizon_days: horizon,
            ..Self::default()
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidParameter` for a gap of more than 36,500 days or no kind of activity.
    pub fn check(&self) -> Result<()> {
        if self.gap_days > 36_500 {
            return Err(Error::invalid_parameter(
                "churn.gap_days",
                "0 to 36500 days",
                self.gap_days,
            ));
        }
        if self.activity.is_empty() {
            return Err(Error::invalid_parameter(
                "churn.activity",
                "at least one kind of event",
                "none",
            ));
        }
        Ok(())
    }

    /// First instant of the horizon and first instant after it.
    pub fn window(&self, as_of: AsOf) -> (Timestamp, Timestamp) {
        let start = as_of.instant().plus_days(f64::from(self.gap_days));
        (start, self.horizon_days.end(AsOf::new(start)))
    }
}

/// What became of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Showed activity within the horizon.
    Stayed,
    /// Showed none.
    Churned,
    /// The horizon reaches beyond what the log observed: not known.
    Censored,
}

/// The events from an instant on of the customers known before it; made by [`EventLog::holdout`].
///
/// # Example
/// ```
/// use churn_core::events::{ChurnDefinition, Cleaning, EventColumns, EventKind, Outcome};
/// use churn_core::{AsOf, EventLog, TimeUnit};
/// let customers = ["ann", "bea", "bea", "eve"];
/// let columns = EventColumns::new(&customers, &[5, 6, 40, 200], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let holdout = log.holdout(AsOf::parse("1970-01-31")?);
/// let outcomes = holdout.outcomes(&ChurnDefinition::default(), None)?;
/// // Eve is not known yet as of that day.
/// assert_eq!(outcomes.outcomes(), [Outcome::Churned, Outcome::Stayed]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Holdout<'l> {
    log: &'l EventLog,
    as_of: AsOf,
    customers: Customers,
}

impl EventLog {
    /// Everything from `as_of` on of the customers with an event before it: row *i* is the same
    /// customer as in [`history`](Self::history) of that instant.
    pub fn holdout(&self, as_of: AsOf) -> Holdout<'_> {
        Holdout {
            log: self,
            as_of,
            customers: self.history(as_of).customers().clone(),
        }
    }
}

impl<'l> Holdout<'l> {
    /// The customers known before `as_of`.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant at which the future begins (inclusive).
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// One customer's events from `from` or `as_of` on, whichever is later, and before `to`, in
    /// canonical order.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn events(
        &self,
        row: usize,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = Event> + use<'l> {
        let from = from.max(self.as_of.instant());
        self.log.between(self.customers.store_row(row), from, to)
    }

    /// What became of each customer, given until when (exclusive) the log observed everything;
    /// `None` = until midnight behind its last event.
    ///
    /// If the horizon reaches further, every customer is [`Outcome::Censored`], also those who
    /// have already come back: keeping only them would make the shop look better than it is.
    ///
    /// # Errors
    /// `InvalidParameter` for a definition outside its domain.
    pub fn outcomes(
        &self,
        definition: &ChurnDefinition,
        observed_until: Option<Timestamp>,
    ) -> Result<Outcomes> {
        definition.check()?;
        let (start, end) = definition.window(self.as_of);
        let observed = self.log.observed_until(observed_until);
        let is_over = observed.is_some_and(|observed| end <= observed);
        let outcomes = (0..self.customers.len())
            .into_par_iter()
            .map(|row| {
                let mut events = self.events(row, start, end);
                match (
                    is_over,
                    is_over && events.any(|e| definition.activity.contains(&e.kind)),
                ) {
                    (false, _) => Outcome::Censored,
                    (true, true) => Outcome::Stayed,
                    (true, false) => Outcome::Churned,
                }
            })
            .collect();
        Ok(Outcomes {
            customers: self.customers.clone(),
            as_of: self.as_of,
            horizon: definition.horizon_days,
            outcomes,
        })
    }
}

impl EventLog {
    /// Until when the log observed everything; `None` for an empty log without a stated end.
    pub(crate) fn observed_until(&self, stated: Option<Timestamp>) -> Option<Timestamp> {
        stated.or_else(|| {
            let (_, last) = self.time_range()?;
            let midnight = (last.day() + 1) * MICROS_PER_DAY;
            Some(Timestamp::from_checked_micros(midnight))
        })
    }
}

/// What became of all customers within a horizon after an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    customers: Customers,
    as_of: AsOf,
    horizon: Horizon,
    outcomes: Vec<Outcome>,
}

impl Outcomes {
    /// Outcomes that a caller knows, e.g. cancelled contracts.
    ///
    /// # Errors
    /// `LengthMismatch` if there is not one outcome per customer.
    pub fn new(
        customers: Customers,
        as_of: AsOf,
        horizon: Horizon,
        outcomes: Vec<Outcome>,
    ) -> Result<Self> {
        if outcomes.len() != customers.len() {
            return Err(Error::length_mismatch(
                "outcomes",
                customers.len(),
                outcomes.len(),
            ));
        }
        Ok(Outcomes {
            customers,
            as_of,
            horizon,
            outcomes,
        })
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant before which customers were described.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Length of the horizon.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// One outcome per customer.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The outcomes as labels: 1 = churned, 0 = stayed, NaN = not known.
    pub fn labels(&self) -> Vec<f64> {
        let label = |outcome: &Outcome| match outcome {
            Outcome::Churned => 1.0,
            Outcome::Stayed => 0.0,
            Outcome::Censored => f64::NAN,
        };
        self.outcomes.iter().map(label).collect()
    }

    /// Number of customers with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|o| **o == outcome).count()
    }

    /// Share of churners among those whose outcome is known; `None` where it is of nobody.
    pub fn churn_rate(&self) -> Option<f64> {
        let (churned, stayed) = (self.count(Outcome::Churned), self.count(Outcome::Stayed));
        (churned + stayed > 0).then(|| churned as f64 / (churned + stayed) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cleaning, EventColumns};
    use crate::time::TimeUnit;

    fn log() -> EventLog {
        // ann: day 5, 30 (the cut itself), 119 (last day of 90); bea: day 5, 120; eve: 5, 31.
        let ids = ["ann", "ann", "ann", "bea", "bea", "eve", "eve", "new"];
        let days = [5, 30, 119, 5, 120, 5, 31, 60];
        let columns = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::Purchase);
        EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_micros(day * MICROS_PER_DAY).unwrap()
    }

    fn labels(definition: &ChurnDefinition, until: Option<i64>) -> Vec<Outcome> {
        let log = log();
        let holdout = log.holdout(AsOf::new(day(30)));
        let outcomes = holdout.outcomes(definition, until.map(day)).unwrap();
        assert_eq!(
            outcomes.customers(),
            log.history(AsOf::new(day(30))).customers()
        );
        outcomes.outcomes().to_vec()
    }

    #[test]
    fn the_window_is_half_open() {
        use Outcome::{Censored, Churned, Stayed};
        let definition = ChurnDefinition::default();
        assert_eq!(labels(&definition, None), [Stayed, Churned, Stayed]);
        let gap = ChurnDefinition {
            gap_days: 1,
            ..definition.clone()
        };
        // Days 31 to 120: the purchase on the cut does not count, those of day 119 and 120 do.
        assert_eq!(labels(&gap, None), [Stayed; 3]);
        let gap = ChurnDefinition {
            gap_days: 2,
            horizon_days: Horizon::days(30).unwrap(),
            ..gap
        };
        assert_eq!(labels(&gap, None), [Churned; 3]);
        assert_eq!(labels(&definition, Some(119)), [Censored; 3]);
        assert_eq!(labels(&definition, Some(120)), [Stayed, Churned, Stayed]);
        let views = ChurnDefinition {
            activity: vec![EventKind::View],
            ..definition
        };
        assert_eq!(labels(&views, None), [Churned; 3]);
    }

    #[test]
    fn counts_and_labels() {
        let log = log();
        let outcomes = |at: i64| {
            let holdout = log.holdout(AsOf::new(day(at)));
            holdout.outcomes(&ChurnDefinition::default(), None).unwrap()
        };
        assert_eq!(outcomes(30).churn_rate(), Some(1.0 / 3.0));
        assert_eq!(outcomes(30).labels(), [0.0, 1.0, 0.0]);
        assert_eq!(outcomes(100).churn_rate(), None);
        assert_eq!(outcomes(100).count(Outcome::Censored), 4);
        assert!(outcomes(100).labels()[0].is_nan());
    }

    #[test]
    fn definitions_are_checked() {
        let log = log();
        let none = ChurnDefinition {
            activity: vec![],
            ..ChurnDefinition::default()
        };
        let error = log
            .holdout(AsOf::new(day(30)))
            .outcomes(&none, None)
            .unwrap_err();
        assert_eq!(error.what(), "churn.activity");
    }
}
