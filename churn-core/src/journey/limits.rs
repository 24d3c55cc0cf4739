//! A contact policy ready for use: what it says of one contact at one instant.

use jiff::civil;
use jiff::tz::TimeZone;

use super::check::{MAX_DAYS, check_days};
use super::contact_policy::{Cap, ContactPolicy, Rejection, VERSION, WhenQuiet};
use super::definition::WhenCapped;
use super::holdout::Holdout;
use super::quiet_hours::{Windows, channel_mask};
use super::zones;
use crate::error::{Error, Result};
use crate::strategy::Playbook;
use crate::time::MICROS_PER_DAY;

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// A policy ready for use.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) zone: TimeZone,
    caps: Vec<Rule>,
    quiet: Windows,
    pub(super) when_quiet: WhenQuiet,
    pub(super) when_capped: WhenCapped,
    pub(super) hold_at_most: i64,
    /// Channels that need consent.
    pub(super) opt_in: u32,
    after_purchase: i64,
    after_complaint: i64,
    /// Contacts per day of each channel of the playbook.
    pub(super) capacity: Vec<Option<u64>>,
    /// Channels with a capacity.
    pub(super) limited: u32,
    pub(super) look_ahead: i64,
    pub(super) foreign_messages: bool,
    pub(super) holdout: Option<Holdout>,
    /// How far back caps look, generously (microseconds).
    pub(super) memory: i64,
}

#[derive(Debug, Clone)]
struct Rule {
    contacts: usize,
    mask: u32,
    window: Window,
}

#[derive(Debug, Clone)]
enum Window {
    Rolling(i64),
    Calendar { days: i64, zone: Option<TimeZone> },
}

/// What the policy says of a contact at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Not now, but from this instant on nothing known so far stands against it.
    Not {
        reason: Rejection,
        until: i64,
    },
}

/// A contact made, as caps see it.
pub(super) trait Made {
    fn at(&self) -> i64;
    /// The channels that count; 0 for contacts that do not.
    fn mask(&self) -> u32;
}

impl Limits {
    pub(super) fn new(policy: &ContactPolicy, playbook: &Playbook) -> Result<Self> {
        if policy.version != VERSION {
            return Err(Error::invalid_parameter(
                "policy.version",
                format_args!("version {VERSION}"),
                policy.version,
            ));
        }
        if playbook.channels.len() > 32 {
            return Err(Error::invalid_parameter(
                "playbook.channels",
                "at most 32 channels for journeys",
                playbook.channels.len(),
            ));
        }
        for (name, days, least) in [
            ("hold_at_most_days", policy.hold_at_most_days, 1),
            (
                "cool_down_after_purchase_days",
                policy.cool_down_after_purchase_days,
                0,
            ),
            (
                "cool_down_after_complaint_days",
                policy.cool_down_after_complaint_days,
                0,
            ),
            ("look_ahead_days", policy.look_ahead_days, 0),
        ] {
            check_days(&format!("policy.{name}"), days, least)?;
        }
        let zone = zones::zone("policy.zone", &policy.zone)?;
        let mut caps = Vec::with_capacity(policy.caps.len());
        for (i, cap) in policy.caps.iter().enumerate() {
            caps.push(Rule::new(&format!("policy.caps[{i}]"), cap, playbook)?);
        }
        let opt_in = match policy.opt_in.is_empty() {
            true => 0,
            false => channel_mask("policy.opt_in", &policy.opt_in, playbook)?,
        };
        let mut capacity = vec![None; playbook.channels.len()];
        for (id, contacts) in &policy.capacity {
            let place = format!("policy.capacity.{id}");
            let ids = || playbook.channels.iter().map(|c| c.id.as_str());
            let Some(channel) = ids().position(|known| known == id) else {
                return Err(Error::unknown_name(place, id, ids()));
            };
            if *contacts == 0 {
                return Err(Error::invalid_parameter(
                    place,
                    "at least 1 contact per day; take a channel that bears none out of the journeys",
                    0,
                ));
            }
            capacity[channel] = Some(*contacts);
        }
        if let Some(holdout) = &policy.holdout {
            holdout.check("policy.holdout")?;
        }
        let days = |days: u32| i64::from(days) * MICROS_PER_DAY;
        let limited = (0..32).filter(|c| matches!(capacity.get(*c), Some(Some(_))));
        Ok(Limits {
            memory: caps.iter().map(Rule::memory).max().unwrap_or(0),
            zone,
            caps,
            quiet: Windows::new("policy.quiet_hours", &policy.quiet_hours, playbook)?,
            when_quiet: policy.when_quiet,
            when_capped: policy.when_capped,
            hold_at_most: days(policy.hold_at_most_days),
            opt_in,
            after_purchase: days(policy.cool_down_after_purchase_days),
            after_complaint: days(policy.cool_down_after_complaint_days),
            limited: limited.fold(0, |mask, c| mask | 1_u32 << c),
            capacity,
            look_ahead: days(policy.look_ahead_days),
            foreign_messages: policy.foreign_messages,
            holdout: policy.holdout.clone(),
        })
    }

    /// The end of the quiet hours that cover an instant.
    pub(super) fn quiet_until(&self, zone: &TimeZone, mask: u32, at: i64) -> Option<i64> {
        self.quiet.end(zone, mask, at)
    }

    /// Cool-downs and caps: of several that stand against a contact the one that does so longest.
    pub(super) fn verdict<M: Made>(
        &self,
        zone: &TimeZone,
        mask: u32,
        at: i64,
        last_purchase: Option<i64>,
        last_complaint: Option<i64>,
        made: &[M],
    ) -> Verdict {
        let mut verdict = Verdict::Pass;
        let mut object = |reason, until: i64| {
            let longer = match verdict {
                Verdict::Pass => true,
                Verdict::Not { until: before, .. } => until > before,
            };
            if until > at && longer {
                verdict = Verdict::Not { reason, until };
            }
        };
        if let Some(purchase) = last_purchase.filter(|purchase| *purchase <= at) {
            object(Rejection::AfterPurchase, purchase + self.after_purchase);
        }
        if let Some(complaint) = last_complaint.filter(|complaint| *complaint <= at) {
            object(Rejection::AfterComplaint, complaint + self.after_complaint);
        }
        for cap in &self.caps {
            if let Some(until) = cap.until(zone, mask, at, made) {
                object(Rejection::FrequencyCap, until);
            }
        }
        verdict
    }
}

impl Rule {
    fn new(place: &str, cap: &Cap, playbook: &Playbook) -> Result<Self> {
        if cap.contacts == 0 {
            return Err(Error::invalid_parameter(
                format!("{place}.contacts"),
                "at least 1 contact",
                0,
            ));
        }
        let windows = [
            ("calendar_days", cap.calendar_days, MAX_DAYS, MICROS_PER_DAY),
            ("rolling_days", cap.rolling_days, MAX_DAYS, MICROS_PER_DAY),
            (
                "rolling_hours",
                cap.rolling_hours,
                MAX_DAYS * 24,
                60 * MICROS_PER_MINUTE,
            ),
            (
                "rolling_minutes",
                cap.rolling_minutes,
                MAX_DAYS * 1440,
                MICROS_PER_MINUTE,
            ),
        ];
        let given: Vec<_> = windows.iter().filter(|w| w.1.is_some()).collect();
        let [(name, Some(length), most, unit)] = given.as_slice() else {
            return Err(Error::invalid_parameter(
                place,
                "one of calendar_days, rolling_days, rolling_hours and rolling_minutes",
                if given.is_empty() { "none" } else { "several" },
            ));
        };
        if !(1..=*most).contains(length) {
            return Err(Error::invalid_parameter(
                format!("{place}.{name}"),
                format_args!("1 to {most}"),
                length,
            ));
        }
        let zone = match &cap.zone {
            None => None,
            Some(name) => Some(zones::zone(&format!("{place}.zone"), name)?),
        };
        if zone.is_some() && *name != "calendar_days" {
            return Err(Error::invalid_parameter(
                format!("{place}.zone"),
                "a zone only with calendar_days",
                *name,
            ));
        }
        Ok(Rule {
            contacts: cap.contacts as usize,
            mask: channel_mask(&format!("{place}.channels"), &cap.channels, playbook)?,
            window: match *name {
                "calendar_days" => Window::Calendar {
                    days: i64::from(*length),
                    zone,
                },
                _ => Window::Rolling(i64::from(*length) * unit),
            },
        })
    }

    /// How far back it looks, at most.
    fn memory(&self) -> i64 {
        match &self.window {
            Window::Rolling(length) => *length,
            // Local days are up to an hour or so longer than 24 hours.
            Window::Calendar { days, .. } => (days + 2) * MICROS_PER_DAY,
        }
    }

    /// When the cap lets a contact pass, or `None` where it does now.
    fn until<M: Made>(&self, zone: &TimeZone, mask: u32, at: i64, made: &[M]) -> Option<i64> {
        if self.mask & mask == 0 {
            return None;
        }
        // The contact whose leaving the window makes room: the `contacts`-th from the end.
        let counted = made.iter().rev().filter(|m| m.mask() & self.mask != 0);
        let last = { counted }.nth(self.contacts - 1)?.at();
        let until = match &self.window {
            Window::Rolling(length) => last + length,
            Window::Calendar { days, zone: own } => {
                let zone = own.as_ref().unwrap_or(zone);
                let day: civil::Date = zones::wall(zone, last).date();
                zones::start_of_day(zone, zones::plus_days(day, *days))
            }
        };
        (until > at).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::vocabulary;
    use crate::time::Timestamp;

    struct Sent(i64, u32);

    impl Made for Sent {
        fn at(&self) -> i64 {
            self.0
        }
        fn mask(&self) -> u32 {
            self.1
        }
    }

    fn at(text: &str) -> i64 {
        Timestamp::parse(text).unwrap().micros()
    }

    fn playbook() -> Playbook {
        Playbook::default_for(&vocabulary()).unwrap()
    }

    fn limits(text: &str) -> Limits {
        let playbook = playbook();
        Limits::new(
            &ContactPolicy::from_toml(text, &playbook).unwrap(),
            &playbook,
        )
        .unwrap()
    }

    const SMS: u32 = 1 << 1;
    const EMAIL: u32 = 1 << 2;

    fn until(limits: &Limits, zone: &str, mask: u32, now: &str, made: &[Sent]) -> Option<i64> {
        let zone = zones::zone("zone", zone).unwrap();
        match limits.verdict(&zone, mask, at(now), None, None, made) {
            Verdict::Pass => None,
            Verdict::Not { until, .. } => Some(until),
        }
    }

    #[test]
    fn calendar_days_are_the_customers() {
        let daily = limits("caps = [{ contacts = 1, calendar_days = 1 }]");
        // 23:00 in Shanghai; the next is allowed at midnight there, one hour later.
        let sent = [Sent(at("2021-05-01T15:00:00"), SMS)];
        let midnight = at("2021-05-01T16:00:00");
        assert_eq!(
            until(&daily, "Asia/Shanghai", EMAIL, "2021-05-01T15:30:00", &sent),
            Some(midnight)
        );
        assert_eq!(
            until(&daily, "Asia/Shanghai", EMAIL, "2021-05-01T16:00:00", &sent),
            None
        );
        assert_eq!(
            until(&daily, "UTC", EMAIL, "2021-05-01T16:00:00", &sent),
            Some(at("2021-05-02"))
        );
    }

    #[test]
    fn rolling_windows_are_exact_and_the_strictest_wins() {
        let rules = limits(
            "caps = [{ contacts = 2, rolling_hours = 24 }, { contacts = 1, rolling_days = 7, channels = ['sms'] }]",
        );
        let sent = [
            Sent(at("2021-05-01T10:00:00"), SMS | EMAIL),
            Sent(at("2021-05-01T12:00:00"), EMAIL),
        ];
        let email = |now| until(&rules, "UTC", EMAIL, now, &sent);
        assert_eq!(
            email("2021-05-02T09:00:00"),
            Some(at("2021-05-02T10:00:00"))
        );
        assert_eq!(email("2021-05-02T10:00:00"), None);
        let sms = until(&rules, "UTC", SMS, "2021-05-02T09:00:00", &sent);
        assert_eq!(sms, Some(at("2021-05-08T10:00:00")));
        // Contacts that do not count.
        let exempt = [Sent(at("2021-05-01T10:00:00"), 0)];
        assert_eq!(
            until(&rules, "UTC", SMS, "2021-05-01T11:00:00", &exempt),
            None
        );
    }

    #[test]
    fn calendar_week_and_fixed_zone() {
        let week = limits("caps = [{ contacts = 1, calendar_days = 7, zone = 'UTC' }]");
        let sent = [Sent(at("2021-05-01T23:00:00"), SMS)];
        assert_eq!(
            until(&week, "Asia/Shanghai", SMS, "2021-05-03", &sent),
            Some(at("2021-05-08"))
        );
    }

    #[test]
    fn cool_downs_count_from_the_true_instant() {
        let rules =
            limits("cool_down_after_purchase_days = 3\ncool_down_after_complaint_days = 14");
        let zone = zones::zone("zone", "UTC").unwrap();
        let verdict = |now| {
            rules.verdict::<Sent>(
                &zone,
                SMS,
                at(now),
                Some(at("2021-05-01T12:00:00")),
                None,
                &[],
            )
        };
        assert_eq!(
            verdict("2021-05-02"),
            Verdict::Not {
                reason: Rejection::AfterPurchase,
                until: at("2021-05-04T12:00:00")
            }
        );
        assert_eq!(verdict("2021-05-04T12:00:00"), Verdict::Pass);
    }
}
