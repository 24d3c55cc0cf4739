//! The data of every survival method: one spell per row.

use crate::error::{Error, Result};

/// Spells: how long each lasted, whether it was seen to end, and from when on it was watched.
///
/// Shape: n rows. Units: any one unit of time, the same for all rows. A row is at risk at time t
/// if entry < t ≤ duration; without entries from the beginning, so that an end at time 0 counts.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::Durations;
/// let durations = Durations::new(&[3.0, 8.0, 8.0], &[true, true, false])?;
/// assert_eq!(durations.events(), 2);
/// let error = Durations::new(&[3.0, -1.0], &[true, true]).unwrap_err();
/// assert_eq!(error.to_string(), "durations[1]: expected a finite number not below 0, got -1");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Durations<'a> {
    durations: &'a [f64],
    event_observed: &'a [bool],
    entry: Option<&'a [f64]>,
}

impl<'a> Durations<'a> {
    /// Spells watched from their beginning; `event_observed` is false for those still running.
    ///
    /// # Errors
    /// `NotEnoughData` without rows; `LengthMismatch`; `InvalidValue`, naming the row, for a
    /// duration that is negative or not finite.
    pub fn new(durations: &'a [f64], event_observed: &'a [bool]) -> Result<Self> {
        if durations.is_empty() {
            return Err(Error::not_enough_data("durations", "at least one row", 0));
        }
        if event_observed.len() != durations.len() {
            return Err(Error::length_mismatch(
                "event_observed",
                durations.len(),
                event_observed.len(),
            ));
        }
        let wrong = |t: &f64| !(t.is_finite() && *t >= 0.0);
        if let Some(row) = durations.iter().position(wrong) {
            return Err(Error::invalid_value(
                "durations",
                row,
                "a finite number not below 0",
                durations[row],
            ));
        }
        Ok(Durations {
            durations,
            event_observed,
            entry: None,
        })
    }

    /// The same spells, each watched only after `entry` (late entry), or one row per stretch of
    /// constant covariates: from `entry` (exclusive) to the duration (inclusive), with an event
    /// only in the row in which it happened.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for an entry that is negative, not finite
    /// or not below its duration.
    pub fn with_entry(mut self, entry: &'a [f64]) -> Result<Self> {
        if entry.len() != self.len() {
            return Err(Error::length_mismatch("entry", self.len(), entry.len()));
        }
        for (row, (start, stop)) in entry.iter().zip(self.durations).enumerate() {
            if !(start.is_finite() && *start >= 0.0 && start < stop) {
                return Err(Error::invalid_value(
                    "entry",
                    row,
                    format_args!("a number from 0 to below its duration {stop}"),
                    start,
                ));
            }
        }
        self.entry = Some(entry);
        Ok(self)
    }

    /// Number of rows, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.durations.len()
    }

    /// How long each spell lasted, or has lasted so far.
    pub fn durations(&self) -> &'a [f64] {
        self.durations
    }

    /// Which spells were seen to end.
    pub fn event_observed(&self) -> &'a [bool] {
        self.event_observed
    }

    /// From when on each spell was watched; `None` = all from the beginning.
    pub fn entry(&self) -> Option<&'a [f64]> {
        self.entry
    }

    /// Number of spells seen to end.
    pub fn events(&self) -> usize {
        self.event_observed.iter().filter(|event| **event).count()
    }

    /// From when on a row is at risk, exclusive.
    #[inline]
    pub(super) fn start(&self, row: usize) -> f64 {
        self.entry.map_or(f64::NEG_INFINITY, |entry| entry[row])
    }

    /// For models that need to see something end.
    pub(super) fn check_any_event(&self) -> Result<()> {
        if self.event_observed.contains(&true) {
            return Ok(());
        }
        Err(Error::not_enough_data(
            "event_observed",
            "at least one event",
            format_args!("none in {} rows", self.len()),
        ))
    }

    /// For methods that know no late entry.
    pub(super) fn check_no_entry(&self, method: &str) -> Result<()> {
        match self.entry {
            None => Ok(()),
            Some(_) => Err(Error::invalid_parameter(
                "entry",
                format_args!("none: {method} takes spells watched from their beginning"),
                "entries",
            )),
        }
    }
}

/// What happened at each distinct time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct EventTable {
    pub(super) times: Vec<f64>,
    pub(super) at_risk: Vec<u64>,
    pub(super) events: Vec<u64>,
    pub(super) censored: Vec<u64>,
}

impl EventTable {
    /// The table of all rows, with a row at time 0 in front.
    pub(super) fn new(data: &Durations<'_>) -> Self {
        let mut rows: Vec<usize> = (0..data.len()).collect();
        let stop = data.durations;
        rows.sort_unstable_by(|a, b| stop[*a].total_cmp(&stop[*b]));
        let mut starts: Vec<f64> = rows.iter().map(|row| data.start(*row)).collect();
        starts.sort_unstable_by(f64::total_cmp);

        let mut table = EventTable::default();
        let mut from = 0;
        if rows.first().is_none_or(|row| stop[*row] > 0.0) {
            // Those who enter at time 0 are shown at risk there: nothing happens in between.
            let at_risk = starts.partition_point(|start| *start <= 0.0) as u64;
            table.push(0.0, at_risk, 0, 0);
        }
        while from < rows.len() {
            let t = stop[rows[from]];
            let to = from + rows[from..].partition_point(|row| stop[*row] <= t);
            let events = rows[from..to]
                .iter()
                .filter(|row| data.event_observed[**row]);
            let events = events.count() as u64;
            let entered = starts.partition_point(|start| *start < t);
            table.push(
                t,
                (entered - from) as u64,
                events,
                (to - from) as u64 - events,
            );
            from = to;
        }
        table
    }

    fn push(&mut self, time: f64, at_risk: u64, events: u64, censored: u64) {
        self.times.push(time);
        self.at_risk.push(at_risk);
        self.events.push(events);
        self.censored.push(censored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn mistakes_name_the_row() {
        let row = |durations: &[f64]| {
            let error = Durations::new(durations, &vec![true; durations.len()]).unwrap_err();
            (error.kind(), error.row())
        };
        assert_eq!(row(&[1.0, f64::NAN]), (ErrorKind::InvalidValue, Some(1)));
        assert_eq!(row(&[f64::INFINITY]), (ErrorKind::InvalidValue, Some(0)));
        assert_eq!(row(&[]), (ErrorKind::NotEnoughData, None));
        let data = Durations::new(&[1.0, 2.0], &[true, false]).unwrap();
        for entry in [[0.0, 2.0], [0.0, 3.0], [0.0, -1.0], [0.0, f64::NAN]] {
            assert_eq!(data.with_entry(&entry).unwrap_err().row(), Some(1));
        }
        let error = data.with_entry(&[0.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LengthMismatch);
        let error = Durations::new(&[1.0], &[]).unwrap_err();
        assert_eq!(error.what(), "event_observed");
    }

    #[test]
    fn risk_sets_are_open_at_entry_and_closed_at_the_end() {
        let data = Durations::new(&[2.0, 4.0, 4.0, 5.0], &[true, true, false, true]).unwrap();
        let data = data.with_entry(&[0.0, 2.0, 1.0, 0.0]).unwrap();
        let table = EventTable::new(&data);
        assert_eq!(table.times, [0.0, 2.0, 4.0, 5.0]);
        assert_eq!(table.at_risk, [2, 3, 3, 1]);
        assert_eq!(table.events, [0, 1, 1, 1]);
        assert_eq!(table.censored, [0, 0, 1, 0]);
        let data = Durations::new(&[0.0, 1.0], &[true, true]).unwrap();
        assert_eq!(EventTable::new(&data).at_risk, [2, 1]);
    }
}
