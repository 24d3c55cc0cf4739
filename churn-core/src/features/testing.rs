//! Small logs for tests.

use super::FeatureTable;
use crate::EventLog;
use crate::TimeUnit;
use crate::events::{Cleaning, EventColumns};
use crate::time::Timestamp;

/// A log of (customer, time, kind, value).
pub(super) fn log(rows: &[(&str, &str, &str, f64)]) -> EventLog {
    let rows: Vec<_> = rows.iter().map(|r| (r.0, r.1, r.2, r.3, "")).collect();
    make(&rows, false)
}

/// A log of (customer, time, kind, value, channel).
pub(super) fn log_with_channels(rows: &[(&str, &str, &str, f64, &str)]) -> EventLog {
    make(rows, true)
}

fn make(rows: &[(&str, &str, &str, f64, &str)], with_channels: bool) -> EventLog {
    let customers: Vec<&str> = rows.iter().map(|r| r.0).collect();
    let times: Vec<i64> = rows
        .iter()
        .map(|r| Timestamp::parse(r.1).unwrap().micros())
        .collect();
    let kinds: Vec<&str> = rows.iter().map(|r| r.2).collect();
    let values: Vec<f64> = rows.iter().map(|r| r.3).collect();
    let channels: Vec<&str> = rows.iter().map(|r| r.4).collect();
    let mut columns =
        EventColumns::new(&customers, &times, TimeUnit::Microsecond, kinds.as_slice())
            .with_values(&values);
    if with_channels {
        columns = columns.with_channels(&channels);
    }
    EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
}

pub(super) fn column<'t>(table: &'t FeatureTable, name: &str) -> &'t [f64] {
    table.column(name).unwrap()
}
