//! Time zones and wall clocks, from the database that is compiled into the library.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};

use crate::error::{Error, ErrorKind, Result};

/// The zone of a name of the IANA database, e.g. `Asia/Shanghai`.
pub(super) fn zone(place: &str, name: &str) -> Result<TimeZone> {
    let found = TimeZoneDatabase::bundled().get(name);
    found.map_err(|_| {
        Error::new(
            ErrorKind::UnknownName,
            place,
            "a zone of the IANA time zone database such as Asia/Shanghai or UTC",
            format_args!("{name:?}"),
        )
    })
}

/// What clocks in the zone show at an instant.
pub(super) fn wall(zone: &TimeZone, micros: i64) -> civil::DateTime {
    match Timestamp::from_microsecond(micros) {
        Ok(instant) => zone.to_datetime(instant),
        // Times beyond the calendar come from adding waits to its last years.
        Err(_) if micros > 0 => civil::DateTime::MAX,
        Err(_) => civil::DateTime::MIN,
    }
}

/// The first instant from `after` (inclusive) on at which clocks show `local` or, where they jump
/// over it, the instant of the jump; `None` where that has passed or lies beyond the calendar.
pub(super) fn instant(zone: &TimeZone, local: civil::DateTime, after: i64) -> Option<i64> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let (early, late) = match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { offset } => {
            let instant = offset.to_timestamp(local).ok()?.as_microsecond();
            (instant, instant)
        }
        jiff::tz::AmbiguousOffset::Fold { before, after } => (
            before.to_timestamp(local).ok()?.as_microsecond(),
            after.to_timestamp(local).ok()?.as_microsecond(),
        ),
        jiff::tz::AmbiguousOffset::Gap { before, .. } => {
            // The wall time does not exist; the gap ends at the transition before it would come.
            let beyond = before.to_timestamp(local).ok()?;
            let jump = zone
                .preceding(
                    beyond
                        .checked_add(jiff::SignedDuration::from_micros(1))
                        .ok()?,
                )
                .next()?;
            let jump = jump.timestamp().as_microsecond();
            (jump, jump)
        }
    };
    [early, late].into_iter().find(|instant| *instant >= after)
}

/// The instant at which a day begins in the zone.
pub(super) fn start_of_day(zone: &TimeZone, date: civil::Date) -> i64 {
    let midnight = date.to_datetime(civil::Time::midnight());
    instant(zone, midnight, i64::MIN).unwrap_or(if date.year() > 0 { i64::MAX } else { i64::MIN })
}

/// The date so many days later, kept inside the calendar.
pub(super) fn plus_days(date: civil::Date, days: i64) -> civil::Date {
    date.saturating_add(jiff::Span::new().days(days))
}

/// Number of the day, 0 = 1970-01-01.
pub(super) fn day_number(date: civil::Date) -> i32 {
    let since = date.duration_since(civil::Date::constant(1970, 1, 1));
    (since.as_hours() / 24) as i32
}

/// The next instant later than `after` at which clocks show `time`, or `days` calendar days later
/// where that is more than 0.
pub(super) fn wall_time_after(zone: &TimeZone, after: i64, days: u32, time: civil::Time) -> i64 {
    let today = wall(zone, after).date();
    let mut date = plus_days(today, i64::from(days));
    for _ in 0..3 {
        if let Some(found) = instant(zone, date.to_datetime(time), after + 1) {
            return found;
        }
        date = plus_days(date, 1);
    }
    i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        crate::time::Timestamp::parse(text).unwrap().micros()
    }

    fn local(text: &str) -> civil::DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_that_jump_and_repeat() {
        let berlin = zone("zone", "Europe/Berlin").unwrap();
        // 2021-03-28: 02:00 becomes 03:00 (01:00 UTC). 2021-10-31: 03:00 becomes 02:00 (01:00 UTC).
        let first = |text| instant(&berlin, local(text), i64::MIN);
        assert_eq!(
            first("2021-03-28T02:30:00"),
            Some(at("2021-03-28T01:00:00"))
        );
        assert_eq!(
            first("2021-03-28T02:00:00"),
            Some(at("2021-03-28T01:00:00"))
        );
        assert_eq!(
            first("2021-10-31T02:30:00"),
            Some(at("2021-10-31T00:30:00"))
        );
        let second = instant(
            &berlin,
            local("2021-10-31T02:30:00"),
            at("2021-10-31T00:31:00"),
        );
        assert_eq!(second, Some(at("2021-10-31T01:30:00")));
        let passed = instant(
            &berlin,
            local("2021-10-31T02:30:00"),
            at("2021-10-31T01:31:00"),
        );
        assert_eq!(passed, None);
        assert!(zone("zone", "Europe/Bonn").is_err());
    }

    #[test]
    fn midnight_that_does_not_exist_is_the_jump() {
        // Brazil went from 00:00 to 01:00 on 2018-11-04.
        let brazil = zone("zone", "America/Sao_Paulo").unwrap();
        let start = start_of_day(&brazil, civil::Date::constant(2018, 11, 4));
        assert_eq!(start, at("2018-11-04T03:00:00"));
    }

    #[test]
    fn nine_tomorrow_and_nine_next() {
        let shanghai = zone("zone", "Asia/Shanghai").unwrap();
        let nine = civil::Time::constant(9, 0, 0, 0);
        let after = |text, days| wall_time_after(&shanghai, at(text), days, nine);
        // 08:00 and 10:00 in Shanghai.
        assert_eq!(after("2021-05-01T00:00:00", 1), at("2021-05-02T01:00:00"));
        assert_eq!(after("2021-05-01T02:00:00", 1), at("2021-05-02T01:00:00"));
        assert_eq!(after("2021-05-01T00:00:00", 0), at("2021-05-01T01:00:00"));
        assert_eq!(after("2021-05-01T01:00:00", 0), at("2021-05-02T01:00:00"));
    }
}
