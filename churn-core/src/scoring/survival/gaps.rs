//! Spells between purchases, for shops where nobody says goodbye.
//!
//! Each gap between successive purchase days (UTC, whole days) is a spell that ended; the silence
//! since the last purchase day is one that is still running at `as_of`. Regular buyers have many
//! rows: give [`CoxPh`](super::CoxPh) covariates or strata that say how many, or take the first gap
//! of each customer only.

use rayon::prelude::*;

use super::durations::Durations;
use crate::customers::Customers;
use crate::error::Result;
use crate::events::{EventKind, History};
use crate::time::{AsOf, MICROS_PER_DAY};

/// One row per gap: closed gaps in order of time, then the open one, customer by customer.
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::scoring::survival::{KaplanMeier, PurchaseGaps};
/// use churn_core::{AsOf, TimeUnit};
/// let columns = EventColumns::new(&["ann", "ann", "bea"], &[10, 17, 12], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let gaps = PurchaseGaps::from_history(&log.history(AsOf::parse("1970-01-31")?));
/// assert_eq!(gaps.durations(), [7.0, 13.0, 18.0]);
/// assert_eq!(gaps.event_observed(), [true, false, false]);
/// let curve = KaplanMeier::default().fit(&gaps.spells()?)?;
/// assert_eq!(curve.survival_at(&[10.0])?, [2.0 / 3.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PurchaseGaps {
    customers: Customers,
    as_of: AsOf,
    rows: Vec<u32>,
    purchases_before: Vec<u32>,
    durations: Vec<f64>,
    event_observed: Vec<bool>,
}

/// Customers that one piece of parallel work covers.
const CHUNK: usize = 2048;

/// Rows of some customers.
#[derive(Default)]
struct Part {
    rows: Vec<u32>,
    purchases_before: Vec<u32>,
    durations: Vec<f64>,
    event_observed: Vec<bool>,
}

impl Part {
    fn push(&mut self, row: usize, purchases_before: u32, days: i64, ended: bool) {
        self.rows.push(row as u32);
        self.purchases_before.push(purchases_before);
        self.durations.push(days as f64);
        self.event_observed.push(ended);
    }

    fn append(&mut self, mut other: Part) {
        self.rows.append(&mut other.rows);
        self.purchases_before.append(&mut other.purchases_before);
        self.durations.append(&mut other.durations);
        self.event_observed.append(&mut other.event_observed);
    }
}

impl PurchaseGaps {
    /// The gaps of all buyers. An open gap of less than a day says nothing and is left out; those
    /// who never bought have no row.
    pub fn from_history(history: &History<'_>) -> Self {
        let n = history.customers().len();
        // Whole days that have passed at as_of.
        let today = history
            .as_of()
            .instant()
            .micros()
            .div_euclid(MICROS_PER_DAY);
        let parts: Vec<Part> = (0..n.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let mut part = Part::default();
                for row in chunk * CHUNK..n.min((chunk + 1) * CHUNK) {
                    customer_gaps(history, row, today, &mut part);
                }
                part
            })
            .collect();
        let mut all = Part::default();
        for part in parts {
            all.append(part);
        }
        PurchaseGaps {
            customers: history.customers().clone(),
            as_of: history.as_of(),
            rows: all.rows,
            purchases_before: all.purchases_before,
            durations: all.durations,
            event_observed: all.event_observed,
        }
    }

    /// The customers of the history, which [`customer_rows`](Self::customer_rows) points into.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant at which open gaps are cut.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Number of gaps.
    pub fn len(&self) -> usize {
        self.durations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.durations.is_empty()
    }

    /// Row of each gap's customer.
    pub fn customer_rows(&self) -> &[u32] {
        &self.rows
    }

    /// Purchase days before each gap, from 1 on: 1 is the gap after the first purchase.
    pub fn purchases_before(&self) -> &[u32] {
        &self.purchases_before
    }

    /// Length of each gap (whole days, at least 1).
    pub fn durations(&self) -> &[f64] {
        &self.durations
    }

    /// Whether a purchase closed the gap.
    pub fn event_observed(&self) -> &[bool] {
        &self.event_observed
    }

    /// The gaps as spells.
    ///
    /// # Errors
    /// `NotEnoughData` without any gap.
    pub fn spells(&self) -> Result<Durations<'_>> {
        Durations::new(&self.durations, &self.event_observed)
    }
}

fn customer_gaps(history: &History<'_>, row: usize, today: i64, part: &mut Part) {
    let mut last: Option<i64> = None;
    let mut purchases = 0;
    for event in history.customer(row).events() {
        if event.kind != EventKind::Purchase {
            continue;
        }
        let day = event.time.day();
        match last {
            Some(before) if before == day => continue,
            Some(before) => part.push(row, purchases, day - before, true),
            None => {}
        }
        last = Some(day);
        purchases += 1;
    }
    if let Some(last) = last.filter(|last| *last < today) {
        part.push(row, purchases, today - last, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cleaning, EventColumns, EventLog, KindColumn};
    use crate::time::TimeUnit;

    #[test]
    fn days_count_once_and_silence_is_cut_at_as_of() {
        let hour = 3_600;
        let times: Vec<i64> = [2, 20, 50, 30, 74, 200].map(|h| h * hour).to_vec();
        let ids = ["ann", "ann", "ann", "bea", "cid", "ann"];
        let (buy, view) = (EventKind::Purchase.code(), EventKind::View.code());
        let kinds = [buy, buy, buy, buy, view, buy];
        let kinds = KindColumn::Codes(kinds.to_vec().into());
        let columns = EventColumns::new(&ids, &times, TimeUnit::Second, kinds);
        let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
        let gaps = |as_of: &str| {
            let gaps = PurchaseGaps::from_history(&log.history(AsOf::parse(as_of).unwrap()));
            let rows: Vec<(u32, u32, f64, bool)> = (0..gaps.len())
                .map(|i| {
                    (
                        gaps.customer_rows()[i],
                        gaps.purchases_before()[i],
                        gaps.durations()[i],
                        gaps.event_observed()[i],
                    )
                })
                .collect();
            rows
        };
        // ann on days 0 (twice), 2 and 8; bea on day 1; cid only looked.
        assert_eq!(
            gaps("1970-01-05T12:00:00"),
            [(0, 1, 2.0, true), (0, 2, 2.0, false), (1, 1, 3.0, false)]
        );
        assert_eq!(gaps("1970-01-02T12:00:00"), [(0, 1, 1.0, false)]);
        assert!(gaps("1970-01-01T01:00:00").is_empty());
    }
}
