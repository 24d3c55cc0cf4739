//! Instants, units, horizons and calendars: the only calendar arithmetic of the library.
//!
//! Every instant is kept as whole microseconds since 1970-01-01T00:00:00. Times without a zone are
//! taken as UTC; a day begins at 00:00 UTC unless a [`Calendar`] says otherwise. Finer units are
//! floored to the microsecond, which never moves an event across an `as_of`.

mod calendar;

use std::fmt;

use jiff::{SignedDuration, Span, civil};
use serde::{Deserialize, Serialize};

pub use calendar::{Calendar, Period, Periods, Weekday};

use crate::error::{Error, Result};

/// Microseconds in one day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The unit in which a caller's integer times count from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Days.
    Day,
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds; floored to the microsecond.
    Nanosecond,
}

impl TimeUnit {
    /// The unit from its name as the wrappers spell it: `"D"`, `"s"`, `"ms"`, `"us"` or `"ns"`.
    ///
    /// # Errors
    /// `UnknownName` for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "D" => Ok(TimeUnit::Day),
            "s" => Ok(TimeUnit::Second),
            "ms" => Ok(TimeUnit::Millisecond),
            "us" => Ok(TimeUnit::Microsecond),
            "ns" => Ok(TimeUnit::Nanosecond),
            _ => Err(Error::unknown_name(
                "time_unit",
                name,
                ["D", "s", "ms", "us", "ns"],
            )),
        }
    }

    /// Converts a count of this unit to microseconds; `None` where that overflows.
    #[inline]
    pub(crate) fn to_micros(self, count: i64) -> Option<i64> {
        match self {
            TimeUnit::Day => count.checked_mul(MICROS_PER_DAY),
            TimeUnit::Second => count.checked_mul(1_000_000),
            TimeUnit::Millisecond => count.checked_mul(1_000),
            TimeUnit::Microsecond => Some(count),
            TimeUnit::Nanosecond => Some(count.div_euclid(1_000)),
        }
    }
}

/// An instant in whole microseconds since 1970-01-01T00:00:00 UTC, in the years -9999 to 9999.
///
/// # Example
/// ```
/// use churn_core::Timestamp;
/// let t = Timestamp::parse("1969-12-31T23:59:59")?;
/// assert_eq!(t.micros(), -1_000_000);
/// assert_eq!(t.to_string(), "1969-12-31T23:59:59");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00, the earliest instant that cleaning accepts by default.
    pub const YEAR_1: Timestamp = Timestamp(-62_135_596_800_000_000);
    /// 9999-01-01T00:00:00, from which on cleaning refuses times by default: a time in the wrong
    /// unit usually lands beyond it.
    pub const YEAR_9999: Timestamp = Timestamp(253_370_764_800_000_000);

    /// The instant so many microseconds after 1970-01-01.
    ///
    /// # Errors
    /// `InvalidParameter` outside the years -9999 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self> {
        match jiff::Timestamp::from_microsecond(micros) {
            Ok(_) => Ok(Timestamp(micros)),
            Err(_) => Err(Error::invalid_parameter(
                "time",
                "an instant in the years -9999 to 9999",
                format_args!("{micros} microseconds since 1970-01-01"),
            )),
        }
    }

    /// The same without the range check, for times that cleaning has already checked.
    pub(crate) const fn from_checked_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Reads `YYYY-MM-DD`, or a date and time separated by `T` or a blank, with an optional
    /// fraction and an optional `Z` or offset (`+02:00`). Without offset the time is UTC.
    ///
    /// # Errors
    /// `InvalidParameter` for any other text.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Ok(instant),
            Err(_) => text
                .parse::<civil::DateTime>()
                .and_then(|local| local.to_zoned(jiff::tz::TimeZone::UTC))
                .map(|zoned| zoned.timestamp()),
        };
        match instant {
            Ok(instant) => Ok(Timestamp(instant.as_nanosecond().div_euclid(1_000) as i64)),
            Err(_) => Err(Error::invalid_parameter(
                "time",
                "a date such as 2011-12-09 or 2011-12-09T12:50:00",
                format_args!("{text:?}"),
            )),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00.
    #[inline]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Number of the day (0 = 1970-01-01, negative before).
    #[inline]
    pub fn day(self) -> i64 {
        self.0.div_euclid(MICROS_PER_DAY)
    }

    /// Days from `earlier` to this instant, with the fraction of the day.
    #[inline]
    pub fn days_since(self, earlier: Timestamp) -> f64 {
        (self.0 - earlier.0) as f64 / MICROS_PER_DAY as f64
    }

    /// This instant moved by a number of days (fractions allowed), kept inside the valid years.
    pub fn plus_days(self, days: f64) -> Self {
        let moved = self.0 as f64 + days * MICROS_PER_DAY as f64;
        let limit = jiff::Timestamp::MAX.as_microsecond() as f64;
        Timestamp(moved.clamp(-limit, limit) as i64)
    }

    /// This instant moved back by calendar months: same day of the month and time of day, or the
    /// last day of a shorter month. Kept inside the valid years.
    pub fn minus_months(self, months: u32) -> Self {
        let moved = self
            .civil()
            .saturating_sub(Span::new().months(i64::from(months.min(200_000))));
        let since_1970 = moved.duration_since(civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        Timestamp(since_1970.as_micros() as i64)
    }

    fn civil(self) -> civil::DateTime {
        civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
            .saturating_add(SignedDuration::from_micros(self.0))
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601: the date alone at midnight, else with the time of day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.rem_euclid(MICROS_PER_DAY) == 0 {
            write!(f, "{}", self.civil().date())
        } else {
            write!(f, "{}", self.civil())
        }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Timestamp::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

/// The instant as of which customers are described: only events strictly before it are seen.
///
/// # Example
/// ```
/// use churn_core::AsOf;
/// let as_of = AsOf::parse("2011-12-10")?;
/// assert_eq!(as_of.to_string(), "2011-12-10");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AsOf(Timestamp);

impl AsOf {
    /// As of this instant.
    pub fn new(instant: Timestamp) -> Self {
        AsOf(instant)
    }

    /// As of a date or date and time in text, read as [`Timestamp::parse`] does.
    ///
    /// # Errors
    /// `InvalidParameter` where the text is not a time.
    pub fn parse(text: &str) -> Result<Self> {
        match Timestamp::parse(text) {
            Ok(instant) => Ok(AsOf(instant)),
            Err(e) => Err(Error::invalid_parameter("as_of", e.expected(), e.got())),
        }
    }

    /// The instant itself.
    #[inline]
    pub fn instant(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far ahead of `as_of` a question looks: whole days, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Horizon(u32);

impl Horizon {
    pub(crate) const DAYS_90: Horizon = Horizon(90);

    /// A horizon of `days` days.
    ///
    /// # Errors
    /// `InvalidParameter` for 0 days or more than 36,500.
    pub fn days(days: u32) -> Result<Self> {
        if (1..=36_500).contains(&days) {
            Ok(Horizon(days))
        } else {
            Err(Error::invalid_parameter(
                "horizon_days",
                "1 to 36500 days",
                days,
            ))
        }
    }

    /// Length in days.
    pub fn as_days(self) -> u32 {
        self.0
    }

    /// The first instant after the horizon.
    pub fn end(self, as_of: AsOf) -> Timestamp {
        as_of.0.plus_days(f64::from(self.0))
    }
}

impl TryFrom<u32> for Horizon {
    type Error = Error;
    fn try_from(days: u32) -> Result<Self> {
        Horizon::days(days)
    }
}

impl From<Horizon> for u32 {
    fn from(horizon: Horizon) -> u32 {
        horizon.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn parses_the_forms_that_files_hold() {
        let expected = 1_323_435_000_000_000;
        for text in [
            "2011-12-09 12:50:00",
            "2011-12-09T12:50:00",
            "2011-12-09T12:50:00Z",
            "2011-12-09T13:50:00+01:00",
            " 2011-12-09 12:50 ",
        ] {
            assert_eq!(at(text).micros(), expected, "{text}");
        }
        assert_eq!(
            at("2019-11-01 17:59:13.273932").micros() % 1_000_000,
            273_932
        );
        for text in ["", "yesterday", "2011-13-01", "2011-02-29", "12/09/2011"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn months_back_end_at_the_last_day() {
        assert_eq!(
            at("2011-03-31T10:00:00").minus_months(1),
            at("2011-02-28T10:00:00")
        );
        assert_eq!(at("2012-03-31").minus_months(1), at("2012-02-29"));
        assert_eq!(at("2011-01-15").minus_months(13), at("2009-12-15"));
        assert_eq!(at("1969-01-31").minus_months(2), at("1968-11-30"));
    }

    #[test]
    fn days_before_1970_are_floored() {
        assert_eq!(at("1969-12-31T23:59:59").day(), -1);
        assert_eq!(at("1970-01-01").day(), 0);
        assert_eq!(TimeUnit::Nanosecond.to_micros(-1), Some(-1));
    }

    #[test]
    fn limits_are_the_years_they_name() {
        assert_eq!(Timestamp::YEAR_1.to_string(), "0001-01-01");
        assert_eq!(Timestamp::YEAR_9999.to_string(), "9999-01-01");
        assert!(Timestamp::from_micros(i64::MAX).is_err());
        assert!(TimeUnit::Second.to_micros(i64::MAX).is_none());
    }

    #[test]
    fn horizon_has_bounds() {
        assert!(Horizon::days(0).is_err());
        assert_eq!(
            Horizon::days(90).unwrap().end(AsOf(at("2011-09-10"))),
            at("2011-12-09")
        );
    }
}
