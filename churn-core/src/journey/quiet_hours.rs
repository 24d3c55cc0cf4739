//! Quiet hours: when nobody is disturbed, by the clock on the customer's wall.
//!
//! A window `22:00` to `08:00` begins on its days at 22:00 and ends at the next 08:00. It is judged
//! by what clocks show, so across a change of daylight saving it is as long as clocks make it: an
//! hour that is shown twice is quiet both times, an hour that is skipped is missed by the window.
//! A contact inside a window is held to its end: the first instant that no window covers.

use jiff::civil::{self, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::check::{parse_time, references};
use super::zones;
use crate::error::{Error, Result};
use crate::strategy::Playbook;

/// A time of day at which the customer is not contacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// When it begins, local wall time `HH:MM`.
    pub from: String,
    /// When it ends, exclusive; at or before `from` means on the next day, so that equal times are
    /// a whole day.
    pub to: String,
    /// The days on which it begins (`"monday"` … `"sunday"`); every day where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// Single days on which it begins as well (`"2026-12-25"`); with dates and no days, only these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<String>,
    /// Ids of the channels that it binds; all where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Windows ready for use.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows(Vec<Window>);

#[derive(Debug, Clone)]
struct Window {
    from: civil::Time,
    to: civil::Time,
    /// Bit per weekday, Monday first.
    days: u8,
    dates: Vec<civil::Date>,
    mask: u32,
}

impl Windows {
    pub(super) fn new(place: &str, quiet: &[QuietHours], playbook: &Playbook) -> Result<Self> {
        let mut windows = Vec::with_capacity(quiet.len());
        for (i, hours) in quiet.iter().enumerate() {
            let place = format!("{place}[{i}]");
            let mut dates = Vec::with_capacity(hours.dates.len());
            for (k, date) in hours.dates.iter().enumerate() {
                let parsed = date.parse::<civil::Date>();
                dates.push(parsed.map_err(|_| {
                    Error::invalid_parameter(
                        format!("{place}.dates[{k}]"),
                        "a date such as 2026-12-25",
                        format_args!("{date:?}"),
                    )
                })?);
            }
            let days = match (hours.days.is_empty(), dates.is_empty()) {
                (true, true) => 0x7f,
                _ => hours
                    .days
                    .iter()
                    .fold(0, |bits, day| bits | 1 << *day as u8),
            };
            windows.push(Window {
                from: parse_time(&format!("{place}.from"), &hours.from)?,
                to: parse_time(&format!("{place}.to"), &hours.to)?,
                days,
                dates,
                mask: channel_mask(&format!("{place}.channels"), &hours.channels, playbook)?,
            });
        }
        let windows = Windows(windows);
        windows.check_gap(place, playbook)?;
        Ok(windows)
    }

    /// Confirms that each channel has a minute in the week that no window covers.
    fn check_gap(&self, place: &str, playbook: &Playbook) -> Result<()> {
        for (c, channel) in playbook.channels.iter().enumerate() {
            // A week without dates of its own, in UTC, where clocks never jump.
            let monday = civil::Date::constant(1, 1, 1);
            let minutes = (0..7 * 24 * 60_i64).map(|minute| {
                monday
                    .to_datetime(civil::Time::midnight())
                    .saturating_add(jiff::Span::new().days(7).minutes(minute))
            });
            let open = |local| {
                !self
                    .0
                    .iter()
                    .any(|w| w.mask & 1 << c != 0 && w.covers(local))
            };
            if !{ minutes }.any(open) {
                return Err(Error::invalid_parameter(
                    place,
                    "windows that leave some time of the week",
                    format_args!("none for the channel {:?}", channel.id),
                ));
            }
        }
        Ok(())
    }

    /// The end of the silence that covers an instant for one of these channels, or `None`.
    pub(super) fn end(&self, zone: &TimeZone, mask: u32, instant: i64) -> Option<i64> {
        let mut now = instant;
        // Windows may follow one another without a gap, but not for a year on end.
        for _ in 0..2_000 {
            let local = zones::wall(zone, now);
            let windows = self.0.iter().filter(|w| w.mask & mask != 0);
            let covering = windows.filter(|w| w.covers(local));
            match covering.filter_map(|w| w.end(zone, local, now)).max() {
                None => break,
                Some(end) => now = end,
            }
        }
        (now > instant).then_some(now)
    }
}

impl Window {
    fn begins_on(&self, date: civil::Date) -> bool {
        let weekday = match date.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        self.days & 1 << weekday != 0 || self.dates.contains(&date)
    }

    fn covers(&self, local: civil::DateTime) -> bool {
        let (date, time) = (local.date(), local.time());
        if self.from < self.to {
            return self.from <= time && time < self.to && self.begins_on(date);
        }
        time >= self.from && self.begins_on(date)
            || time < self.to && self.begins_on(zones::plus_days(date, -1))
    }

    /// The instant after `now` at which clocks show its end.
    fn end(&self, zone: &TimeZone, local: civil::DateTime, now: i64) -> Option<i64> {
        let date = match self.from < self.to || local.time() < self.to && !self.starts(local) {
            true => local.date(),
            false => zones::plus_days(local.date(), 1),
        };
        zones::instant(zone, date.to_datetime(self.to), now + 1)
    }

    /// Whether the window that began today covers this wall time.
    fn starts(&self, local: civil::DateTime) -> bool {
        local.time() >= self.from && self.begins_on(local.date())
    }
}

/// Channels of the playbook as bits; all of them for an empty list.
pub(super) fn channel_mask(place: &str, channels: &[String], playbook: &Playbook) -> Result<u32> {
    if channels.is_empty() {
        return Ok(u32::MAX);
    }
    let known = playbook.channels.iter().map(|c| c.id.as_str()).collect();
    let found = references(place, channels, known)?;
    Ok(found.iter().fold(0, |mask, c| mask | 1_u32 << c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::vocabulary;

    fn at(text: &str) -> i64 {
        crate::time::Timestamp::parse(text).unwrap().micros()
    }

    fn hours(from: &str, to: &str) -> QuietHours {
        QuietHours {
            from: from.to_owned(),
            to: to.to_owned(),
            days: vec![],
            dates: vec![],
            channels: vec![],
        }
    }

    fn windows(quiet: &[QuietHours]) -> Result<Windows> {
        let playbook = Playbook::default_for(&vocabulary()).unwrap();
        Windows::new("policy.quiet_hours", quiet, &playbook)
    }

    fn end(quiet: &[QuietHours], zone: &str, from: &str) -> Option<i64> {
        let zone = zones::zone("zone", zone).unwrap();
        windows(quiet).unwrap().end(&zone, 1, at(from))
    }

    #[test]
    fn windows_across_midnight_end_in_the_morning() {
        let night = [hours("22:00", "06:00")];
        // FIELD: due 5:30 is sent at 6:00.
        assert_eq!(
            end(&night, "UTC", "2021-05-01T05:30:00"),
            Some(at("2021-05-01T06:00:00"))
        );
        assert_eq!(
            end(&night, "UTC", "2021-05-01T22:00:00"),
            Some(at("2021-05-02T06:00:00"))
        );
        assert_eq!(end(&night, "UTC", "2021-05-01T06:00:00"), None);
        assert_eq!(end(&night, "UTC", "2021-05-01T21:59:59"), None);
        // 23:30 in Shanghai.
        assert_eq!(
            end(&night, "Asia/Shanghai", "2021-05-01T15:30:00"),
            Some(at("2021-05-01T22:00:00"))
        );
    }

    #[test]
    fn daylight_saving_follows_the_clock() {
        // Berlin skips 02:00 to 03:00 on 2021-03-28 and repeats it on 2021-10-31.
        let early = [hours("01:00", "02:30")];
        assert_eq!(
            end(&early, "Europe/Berlin", "2021-03-28T00:30:00"),
            Some(at("2021-03-28T01:00:00"))
        );
        // 02:10, the first and the second time.
        assert_eq!(
            end(&early, "Europe/Berlin", "2021-10-31T00:10:00"),
            // Clocks show 02:30 at 00:30 UTC and go back to 02:00 at 01:00 UTC; in between it is open.
            Some(at("2021-10-31T00:30:00"))
        );
        assert_eq!(end(&early, "Europe/Berlin", "2021-10-31T00:40:00"), None);
        assert_eq!(
            end(&early, "Europe/Berlin", "2021-10-31T01:10:00"),
            Some(at("2021-10-31T01:30:00"))
        );
        // The night is an hour shorter and an hour longer.
        let night = [hours("22:00", "08:00")];
        let length = |from: &str| end(&night, "Europe/Berlin", from).unwrap() - at(from);
        assert_eq!(length("2021-03-27T21:00:00"), 9 * 3_600_000_000);
        assert_eq!(length("2021-10-30T20:00:00"), 11 * 3_600_000_000);
    }

    #[test]
    fn sundays_holidays_and_chains() {
        let sunday = QuietHours {
            days: vec![Day::Sunday],
            ..hours("00:00", "00:00")
        };
        let holiday = QuietHours {
            dates: vec!["2021-05-03".to_owned()],
            ..hours("00:00", "00:00")
        };
        let all = [hours("22:00", "08:00"), sunday, holiday];
        // Saturday night, the Sunday 2021-05-02, the holiday, its night.
        assert_eq!(
            end(&all, "UTC", "2021-05-01T23:00:00"),
            Some(at("2021-05-04T08:00:00"))
        );
        assert_eq!(end(&all, "UTC", "2021-05-01T12:00:00"), None);
    }

    #[test]
    fn windows_that_leave_nothing_are_refused() {
        assert!(windows(&[hours("08:00", "08:00")]).is_err());
        assert!(windows(&[hours("08:00", "20:00"), hours("20:00", "08:00")]).is_err());
        assert!(windows(&[hours("08:00", "20:00"), hours("20:01", "08:00")]).is_ok());
        assert!(windows(&[hours("8:00", "20:00")]).is_err());
        assert!(windows(&[hours("08:00", "24:00")]).is_err());
    }
}
