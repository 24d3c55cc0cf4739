//! Days, weeks and months as people of one time zone live them.
//!
//! A day with a change of the clock has 23 or 25 hours, and a day that a zone skipped does not
//! exist; both follow from asking when each day begins. The rules of the zones (the IANA time zone
//! database) come with the library, so that answers do not depend on the machine.

use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::error::{Error, Result};

/// More periods than this between two instants are a mistake, such as days since the year 1.
const MOST_PERIODS: usize = 100_000;

/// What one step of a calendar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day, from midnight to midnight.
    Day,
    /// Seven days, from the day on which weeks begin. The default.
    #[default]
    Week,
    /// A month of the calendar.
    Month,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it all")]
pub enum Weekday {
    #[default]
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// 0 for Monday to 6 for Sunday.
    fn number(self) -> i64 {
        self as i64
    }
}

/// Which periods there are: a zone, a length and the day on which weeks begin.
///
/// # Example
/// ```
/// use churn_core::Timestamp;
/// use churn_core::time::{Calendar, Period, Weekday};
/// let calendar = Calendar::new("Europe/Berlin", Period::Day, Weekday::Monday)?;
/// let (first, last) = (Timestamp::parse("2020-03-28T12:00")?, Timestamp::parse("2020-03-29T22:30")?);
/// let days = calendar.periods(first, last)?;
/// assert_eq!(days.labels(), ["2020-03-28", "2020-03-29", "2020-03-30"]);
/// // On 29 March the clock went from 2 to 3: the day has 23 hours.
/// assert_eq!(days.end(1).micros() - days.start(1).micros(), 23 * 3_600_000_000);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    period: Period,
    week_start: Weekday,
}

impl Calendar {
    /// A calendar of a zone by its IANA name, such as `"UTC"` or `"Europe/Berlin"`.
    ///
    /// # Errors
    /// `UnknownName` for a zone that the library's database does not know.
    pub fn new(time_zone: &str, period: Period, week_start: Weekday) -> Result<Self> {
        let database = TimeZoneDatabase::bundled();
        let zone = database.get(time_zone).map_err(|_| {
            let known = database.available().map(|name| name.as_str().to_owned());
            Error::unknown_name("time_zone", time_zone, known)
        })?;
        Ok(Calendar {
            zone,
            period,
            week_start,
        })
    }

    /// The periods from the one that holds `first` to the one that holds `last`.
    ///
    /// # Errors
    /// `InvalidParameter` for more than 100,000 periods, for instants at the very ends of time, or
    /// if `last` is before `first`.
    pub fn periods(&self, first: Timestamp, last: Timestamp) -> Result<Periods> {
        let out_of_range = |got: &dyn std::fmt::Display| {
            Error::invalid_parameter(
                "periods",
                format_args!("a span of at most {MOST_PERIODS} periods in the years -9998 to 9998"),
                got,
            )
        };
        if last < first {
            return Err(out_of_range(&format_args!("{first} to {last}")));
        }
        let mut date = self.first_date(first).ok_or_else(|| out_of_range(&first))?;
        let mut periods = Periods {
            starts: Vec::new(),
            labels: Vec::new(),
        };
        loop {
            let start = self.midnight(date).ok_or_else(|| out_of_range(&date))?;
            // A day that the zone skipped begins where the next one does.
            if periods.starts.last() == Some(&start) {
                periods.labels.pop();
            } else {
                periods.starts.push(start);
            }
            if start > last.micros() {
                return Ok(periods);
            }
            if periods.labels.len() == MOST_PERIODS {
                return Err(out_of_range(&format_args!(
                    "more between {first} and {last}"
                )));
            }
            periods.labels.push(date.to_string());
            let next = date.checked_add(self.step());
            date = next.map_err(|_| out_of_range(&date))?;
        }
    }

    fn step(&self) -> Span {
        match self.period {
            Period::Day => 1.day(),
            Period::Week => 1.week(),
            Period::Month => 1.month(),
        }
    }

    /// The first day of the period that holds an instant.
    fn first_date(&self, instant: Timestamp) -> Option<civil::Date> {
        let instant = jiff::Timestamp::from_microsecond(instant.micros()).ok()?;
        let date = self.zone.to_datetime(instant).date();
        match self.period {
            Period::Day => Some(date),
            Period::Week => {
                let today = i64::from(date.weekday().to_monday_zero_offset());
                let back = (today - self.week_start.number()).rem_euclid(7);
                date.checked_sub(back.days()).ok()
            }
            Period::Month => Some(date.first_of_month()),
        }
    }

    /// When a day begins: at 00:00, or after the gap where the clock jumps over it.
    fn midnight(&self, date: civil::Date) -> Option<i64> {
        let midnight = self.zone.to_zoned(date.at(0, 0, 0, 0)).ok()?;
        Some(midnight.timestamp().as_microsecond())
    }
}

/// Periods that follow one another without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Periods {
    /// Where each period begins, and where the last one ends.
    starts: Vec<i64>,
    labels: Vec<String>,
}

impl Periods {
    /// Number of periods, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The first day of each period in its zone, e.g. `"2020-03-29"`.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The first instant of a period.
    ///
    /// # Panics
    /// If there is no such period.
    pub fn start(&self, period: usize) -> Timestamp {
        Timestamp::from_checked_micros(self.starts[period])
    }

    /// The first instant after a period.
    ///
    /// # Panics
    /// If there is no such period.
    pub fn end(&self, period: usize) -> Timestamp {
        Timestamp::from_checked_micros(self.starts[period + 1])
    }

    /// The period that holds an instant, or `None` outside all.
    #[inline]
    pub fn index(&self, instant: Timestamp) -> Option<usize> {
        let begun = self
            .starts
            .partition_point(|start| *start <= instant.micros());
        (begun > 0 && begun < self.starts.len()).then(|| begun - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn periods(zone: &str, period: Period, from: &str, to: &str) -> Periods {
        let calendar = Calendar::new(zone, period, Weekday::Monday).unwrap();
        let at = |text| Timestamp::parse(text).unwrap();
        calendar.periods(at(from), at(to)).unwrap()
    }

    fn hours(periods: &Periods) -> Vec<i64> {
        let hour = 3_600_000_000;
        (0..periods.len())
            .map(|i| (periods.end(i).micros() - periods.start(i).micros()) / hour)
            .collect()
    }

    #[test]
    fn days_follow_the_clock_of_the_zone() {
        let spring = periods(
            "America/New_York",
            Period::Day,
            "2021-03-13T12:00",
            "2021-03-15T12:00",
        );
        assert_eq!(spring.labels(), ["2021-03-13", "2021-03-14", "2021-03-15"]);
        assert_eq!(hours(&spring), [24, 23, 24]);
        assert_eq!(spring.start(0).to_string(), "2021-03-13T05:00:00");
        let autumn = periods(
            "Europe/Berlin",
            Period::Day,
            "2020-10-24T12:00",
            "2020-10-26T12:00",
        );
        assert_eq!(hours(&autumn), [24, 25, 24]);
        // In São Paulo the clock jumped over midnight: the day began at 1.
        let gap = periods(
            "America/Sao_Paulo",
            Period::Day,
            "2018-11-03T12:00",
            "2018-11-04T12:00",
        );
        assert_eq!(hours(&gap), [24, 23]);
        assert_eq!(gap.start(1).to_string(), "2018-11-04T03:00:00");
        // Samoa skipped 30 December 2011.
        let skipped = periods(
            "Pacific/Apia",
            Period::Day,
            "2011-12-29T12:00",
            "2012-01-01T00:00",
        );
        assert_eq!(skipped.labels(), ["2011-12-29", "2011-12-31", "2012-01-01"]);
        assert_eq!(hours(&skipped), [24, 24, 24]);
    }

    #[test]
    fn an_instant_before_midnight_utc_is_tomorrow_east_of_it() {
        let tokyo = periods(
            "Asia/Tokyo",
            Period::Month,
            "2020-01-31T15:00",
            "2020-03-01T00:00",
        );
        assert_eq!(tokyo.labels(), ["2020-02-01", "2020-03-01"]);
        let at = |text: &str| tokyo.index(Timestamp::parse(text).unwrap());
        assert_eq!(at("2020-01-31T14:59:59"), None);
        assert_eq!(at("2020-01-31T15:00"), Some(0));
        assert_eq!(at("2020-02-29T14:59:59"), Some(0));
        assert_eq!(at("2020-02-29T15:00"), Some(1));
        assert_eq!(at("2020-03-31T15:00"), None);
    }

    #[test]
    fn weeks_begin_where_they_are_said_to() {
        let day = Timestamp::parse("2020-01-05T12:00").unwrap(); // a Sunday
        let label = |week_start| {
            let calendar = Calendar::new("UTC", Period::Week, week_start).unwrap();
            calendar.periods(day, day).unwrap().labels()[0].clone()
        };
        assert_eq!(label(Weekday::Monday), "2019-12-30");
        assert_eq!(label(Weekday::Sunday), "2020-01-05");
        assert_eq!(label(Weekday::Saturday), "2020-01-04");
    }

    #[test]
    fn mistakes_are_named() {
        let error = Calendar::new("Europe/Berlyn", Period::Day, Weekday::Monday).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert!(error.expected().contains("Europe/Berlin"), "{error}");
        let calendar = Calendar::new("UTC", Period::Day, Weekday::Monday).unwrap();
        let (early, late) = (Timestamp::YEAR_1, Timestamp::YEAR_9999);
        assert!(calendar.periods(early, late).is_err());
        assert!(calendar.periods(late, early).is_err());
        let end = Timestamp::from_micros(jiff::Timestamp::MAX.as_second() * 1_000_000 - 1).unwrap();
        assert!(calendar.periods(end, end).is_err());
    }
}
