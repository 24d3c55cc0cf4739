//! Small logs for the tests of this room.

use crate::events::{Cleaning, EventColumns, EventKind, EventLog, History, KindColumn};
use crate::time::{AsOf, TimeUnit, Timestamp};

pub(super) fn log_of(rows: &[(&str, &str, &str)]) -> EventLog {
    let ids: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let micros = rows
        .iter()
        .map(|row| Timestamp::parse(row.1).unwrap().micros());
    let micros: Vec<i64> = micros.collect();
    let kinds = rows.iter().map(|row| match row.2 {
        "purchase" => EventKind::Purchase.code(),
        "view" => EventKind::View.code(),
        other => panic!("{other}"),
    });
    let kinds = KindColumn::Codes(kinds.collect::<Vec<u8>>().into());
    let columns = EventColumns::new(ids.as_slice(), &micros, TimeUnit::Microsecond, kinds);
    EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
}

pub(super) fn history_of<'l>(log: &'l EventLog, as_of: &str) -> History<'l> {
    log.history(AsOf::parse(as_of).unwrap())
}
