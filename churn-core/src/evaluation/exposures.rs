//! Who was treated when, and what they did afterwards, straight from the event log.

use super::experiment::Arms;
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::events::{EventKind, EventLog};
use crate::time::{AsOf, Horizon, MICROS_PER_DAY, Timestamp};

/// Customers of an experiment, their arm and the instant from which it could act on them.
///
/// # Example
/// ```
/// use churn_core::evaluation::Exposures;
/// use churn_core::events::{Cleaning, EventColumns, EventKind};
/// use churn_core::{EventLog, Horizon, TimeUnit, Timestamp};
/// let columns = EventColumns::new(&["ann", "ann", "bea"], &[1, 12, 80], TimeUnit::Day, EventKind::Purchase)
///     .with_values(&[5.0, 9.0, 1.0]);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let day_10 = Timestamp::parse("1970-01-11")?;
/// let exposures = Exposures::new(&["ann", "cid"], &["coupon", "none"], &[day_10, day_10], "none")?;
/// let outcomes = exposures.outcomes(&log, Horizon::days(30)?, None)?;
/// assert_eq!(outcomes.revenue, [9.0, 0.0]);
/// assert_eq!(outcomes.revenue_before, [5.0, 0.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Exposures {
    customers: Customers,
    arms: Arms,
    at: Vec<Timestamp>,
}

/// What the customers of an experiment did within the horizon after they entered it.
///
/// Shape: one value per customer whose horizon is over.
#[derive(Debug, Clone, PartialEq)]
pub struct ExposureOutcomes {
    /// Row of each customer in [`Exposures::customers`].
    pub rows: Vec<usize>,
    /// Their arms.
    pub arms: Arms,
    /// 1 if the customer bought within the horizon, otherwise 0.
    pub bought: Vec<f64>,
    /// Orders within the horizon.
    pub orders: Vec<f64>,
    /// Purchases minus refunds within the horizon (currency).
    pub revenue: Vec<f64>,
    /// Orders within the same time before: a covariate that the treatment cannot have moved.
    pub orders_before: Vec<f64>,
    /// Purchases minus refunds within the same time before.
    pub revenue_before: Vec<f64>,
    /// Customers left out because their horizon is not over yet.
    pub open: usize,
}

impl Exposures {
    /// From the rows of an assignment log; a customer in several rows of one arm entered at the
    /// earliest of them.
    ///
    /// # Errors
    /// As [`Arms::of_customers`]: a customer in two arms is refused, naming the rows.
    pub fn new<'a, I, S>(ids: &[I], arm: &[S], at: &[Timestamp], control: &str) -> Result<Self>
    where
        I: Copy + Into<CustomerId<'a>>,
        S: AsRef<str>,
    {
        if at.len() != ids.len() {
            return Err(Error::length_mismatch("experiment.at", ids.len(), at.len()));
        }
        let (customers, arms) = Arms::of_customers(ids, arm, control)?;
        let mut earliest: Vec<Option<Timestamp>> = vec![None; customers.len()];
        for (id, at) in ids.iter().zip(at) {
            if let Some(row) = customers.find(*id) {
                let known = earliest[row].get_or_insert(*at);
                *known = (*known).min(*at);
            }
        }
        Ok(Exposures {
            customers,
            arms,
            // Every customer came from a row, so that none is missing.
            at: earliest.into_iter().flatten().collect(),
        })
    }

    /// From one row per customer: their arms and instants in the order of the customers.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of other lengths.
    pub fn from_rows(customers: Customers, arms: Arms, at: Vec<Timestamp>) -> Result<Self> {
        for (what, len) in [("experiment.arm", arms.len()), ("experiment.at", at.len())] {
            if len != customers.len() {
                return Err(Error::length_mismatch(what, customers.len(), len));
            }
        }
        Ok(Exposures {
            customers,
            arms,
            at,
        })
    }

    /// The customers, sorted by id.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// Their arms.
    pub fn arms(&self) -> &Arms {
        &self.arms
    }

    /// When each of them entered.
    pub fn at(&self) -> &[Timestamp] {
        &self.at
    }

    /// What each customer did from entering until `horizon` later; events before do not count as
    /// outcome, events after neither.
    ///
    /// `observed_until` says up to when the log is complete; none = midnight behind its last event.
    /// Customers whose horizon ends later are left out and counted. A customer whom the log does
    /// not know did nothing.
    ///
    /// # Errors
    /// `NotEnoughData` for an empty log, or if an arm has no customer whose horizon is over;
    /// `Misaligned` for a log with ids of another type, in which nobody would be found.
    pub fn outcomes(
        &self,
        log: &EventLog,
        horizon: Horizon,
        observed_until: Option<AsOf>,
    ) -> Result<ExposureOutcomes> {
        let end = match observed_until {
            Some(end) => end,
            None => log.day_after_last()?,
        };
        check_types(&self.customers, log)?;
        let length = i64::from(horizon.as_days()) * MICROS_PER_DAY;
        let over = |at: &Timestamp| at.micros().saturating_add(length) <= end.instant().micros();
        let rows: Vec<usize> = (0..self.at.len())
            .filter(|row| over(&self.at[*row]))
            .collect();
        let codes = rows.iter().map(|row| self.arms.codes()[*row]).collect();
        let n = rows.len();
        let mut outcomes = ExposureOutcomes {
            arms: Arms::from_codes(self.arms.names().to_vec(), codes)?,
            bought: vec![0.0; n],
            orders: vec![0.0; n],
            revenue: vec![0.0; n],
            orders_before: vec![0.0; n],
            revenue_before: vec![0.0; n],
            open: self.at.len() - n,
            rows,
        };
        for i in 0..n {
            let row = outcomes.rows[i];
            let at = self.at[row].micros();
            let until = AsOf::new(Timestamp::from_micros(at + length)?);
            let Some(past) = log.customer(self.customers.get(row), until) else {
                continue;
            };
            for event in past.events().filter(|e| e.time.micros() >= at - length) {
                let after = event.time.micros() >= at;
                let money = match event.kind {
                    EventKind::Purchase => event.value,
                    EventKind::Refund => -event.value,
                    _ => continue,
                };
                let order = f64::from(u8::from(event.opens_order));
                if after {
                    outcomes.revenue[i] += money;
                    outcomes.orders[i] += order;
                } else {
                    outcomes.revenue_before[i] += money;
                    outcomes.orders_before[i] += order;
                }
            }
            outcomes.bought[i] = f64::from(u8::from(outcomes.orders[i] > 0.0));
        }
        Ok(outcomes)
    }
}

/// Refuses a log whose ids are of another type: nobody would be found in it, and everybody would seem
/// to have done nothing.
pub(super) fn check_types(customers: &Customers, log: &EventLog) -> Result<()> {
    if let (Some(own), Some(other)) = (customers.iter().next(), log.customers().iter().next()) {
        let is_text = |id: &CustomerId<'_>| matches!(id, CustomerId::Text(_));
        if is_text(&own) != is_text(&other) {
            let kind = |id: CustomerId<'_>| match id {
                CustomerId::Text(id) => format!("texts such as {id:?}"),
                number => format!("whole numbers such as {number}"),
            };
            let (expected, got) = (kind(other), kind(own));
            return Err(Error::misaligned("experiment.customers", expected, got));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cleaning, EventColumns};
    use crate::time::TimeUnit;

    #[test]
    fn ids_of_another_type_are_refused() {
        let columns = EventColumns::new(&[1_u64, 2], &[1, 60], TimeUnit::Day, EventKind::Purchase);
        let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
        let at = [Timestamp::parse("1970-01-02").unwrap(); 2];
        let horizon = Horizon::days(9).unwrap();
        let exposures = Exposures::new(&["1", "2"], &["a", "b"], &at, "a").unwrap();
        let error = exposures.outcomes(&log, horizon, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "experiment.customers: expected whole numbers such as 1, got texts such as \"1\""
        );
        // Numbers are the same customers whether they are signed or not.
        let exposures = Exposures::new(&[1_i64, 2], &["a", "b"], &at, "a").unwrap();
        let outcomes = exposures.outcomes(&log, horizon, None).unwrap();
        assert_eq!(outcomes.bought, [1.0, 0.0]);
    }
}
