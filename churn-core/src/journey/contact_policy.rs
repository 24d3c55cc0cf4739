//! The contact policy: how often, when and over which channels a customer may be contacted.
//!
//! Every contact of every journey is checked against all rules at the instant at which it would go
//! out; the strictest rule wins. In this order: suppression and consent (dropped at once), hold-out
//! (logged instead of sent), quiet hours (held to their end, then checked again), cool-downs, caps,
//! journeys of higher priority, capacity of the channel on that day.
//!
//! **Caps** count contacts made, each once for all its channels together: a cap over `sms` counts
//! contacts that use SMS, a cap over `sms` and `email` those that use either, a cap without
//! channels all. Contacts of hold-out customers that were only logged count for them as if they had
//! been made, so that both groups walk through journeys alike. A rolling window of length w at t
//! counts contacts in (t − w, t]; a window of n calendar days counts those of the local day and of
//! the n − 1 days before it.

use std::collections::BTreeMap;

use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::check::{MAX_DAYS, check_days};
use super::definition::WhenCapped;
use super::holdout::Holdout;
use super::quiet_hours::{QuietHours, Windows, channel_mask};
use super::zones;
use crate::error::{Error, Result};
use crate::settings;
use crate::strategy::{Playbook, line_in_json, line_in_toml};
use crate::time::MICROS_PER_DAY;

const VERSION: u32 = 1;
const MICROS_PER_MINUTE: i64 = 60_000_000;

/// How often, when and over which channels customers may be contacted.
///
/// # Example
/// ```
/// # use churn_core::features::FeatureInfo;
/// use churn_core::journey::ContactPolicy;
/// use churn_core::strategy::{Playbook, Vocabulary};
/// # let numbers = ["orders", "monetary_score"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let vocabulary = Vocabulary::new().with_features(&numbers)?
/// #     .with_segmentation("risk_tier", &["low", "medium", "high"])?
/// #     .with_segmentation("rfm_segment", &["cant_lose", "hibernating"])?;
/// let playbook = Playbook::default_for(&vocabulary)?;
/// let policy = ContactPolicy::from_toml(r#"
/// zone = "Asia/Shanghai"
/// caps = [
///     { contacts = 1, calendar_days = 1 },
///     { contacts = 1, rolling_days = 7, channels = ["sms"] },
/// ]
/// quiet_hours = [{ from = "21:00", to = "09:00" }]
/// capacity = { phone = 40 }
/// "#, &playbook)?;
/// assert_eq!(policy.caps.len(), 2);
/// let error = ContactPolicy::from_toml("caps = [{ contacts = 0, rolling_days = 7 }]", &playbook);
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "policy.caps[0].contacts (line 1): expected at least 1 contact, got 0",
/// );
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactPolicy {
    /// Version of the format: 1.
    pub version: u32,
    /// Time zone of customers without one, and of the days of capacities.
    pub zone: String,
    /// Frequency caps; all of them bind.
    pub caps: Vec<Cap>,
    /// When nobody is disturbed.
    pub quiet_hours: Vec<QuietHours>,
    /// What quiet hours do to a contact: hold it to their end, or skip it.
    pub when_quiet: WhenQuiet,
    /// What the other rules do to a contact.
    pub when_capped: WhenCapped,
    /// Days that a contact may be held at most before it is dropped. Default 7.
    pub hold_at_most_days: u32,
    /// Ids of the channels that need consent before the first contact. Over the others everyone may
    /// be contacted who has not unsubscribed.
    pub opt_in: Vec<String>,
    /// Days (of 24 hours) without contacts after a purchase; 0 = none.
    pub cool_down_after_purchase_days: u32,
    /// Days (of 24 hours) without contacts after a complaint; 0 = none.
    pub cool_down_after_complaint_days: u32,
    /// How many contacts a channel bears per calendar day of the policy's zone.
    pub capacity: BTreeMap<String, u64>,
    /// A contact gives way to a journey of higher priority that has one due for the same customer
    /// within so many days (of 24 hours); 0 = no look ahead.
    pub look_ahead_days: u32,
    /// Whether `message_sent` events that a step is given are contacts made by others, which count
    /// towards caps; no where they are echoes of the journeys' own contacts. Default false.
    pub foreign_messages: bool,
    /// Who is never contacted; nobody is held out where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Holdout>,
}

impl Default for ContactPolicy {
    /// No rule at all, in UTC.
    fn default() -> Self {
        ContactPolicy {
            version: VERSION,
            zone: "UTC".to_owned(),
            caps: Vec::new(),
            quiet_hours: Vec::new(),
            when_quiet: WhenQuiet::Hold,
            when_capped: WhenCapped::Skip,
            hold_at_most_days: 7,
            opt_in: Vec::new(),
            cool_down_after_purchase_days: 0,
            cool_down_after_complaint_days: 0,
            capacity: BTreeMap::new(),
            look_ahead_days: 0,
            foreign_messages: false,
            holdout: None,
        }
    }
}

/// At most so many contacts in a window: exactly one of the windows is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cap {
    /// Number of contacts, at least 1.
    pub contacts: u32,
    /// Ids of the channels that count; all where left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// A window of local calendar days, today included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar_days: Option<u32>,
    /// A rolling window of days of exactly 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_days: Option<u32>,
    /// A rolling window of hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_hours: Option<u32>,
    /// A rolling window of minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_minutes: Option<u32>,
    /// With `calendar_days`: the zone whose days count; the customer's where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// What quiet hours do to a contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenQuiet {
    /// It waits to their end.
    #[default]
    Hold,
    /// It is dropped and the journey goes on.
    Skip,
}

impl ContactPolicy {
    /// The default policy as TOML text: a start to copy and to adapt.
    pub const DEFAULT_TOML: &str = include_str!("default_policy.toml");

    /// The names of [`preset`](Self::preset).
    pub const PRESETS: [&str; 5] = ["braze", "klaviyo", "onesignal", "adobe", "pinpoint"];

    /// The default policy; rules about channels that the playbook does not have are left out.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), for a playbook with more than 32 channels.
    pub fn default_for(playbook: &Playbook) -> Result<Self> {
        Self::for_channels(Self::DEFAULT_TOML, playbook)
    }

    /// The way that a product of the trade words its limits, with its customary numbers; rules
    /// about channels that the playbook does not have are left out. Read it, then set your own
    /// numbers.
    ///
    /// | name | dialect |
    /// |---|---|
    /// | `braze` | caps per calendar day in the customer's zone and per rolling week; a capped contact is skipped and the journey goes on; quiet hours hold |
    /// | `klaviyo` | per channel a rolling look-back (e-mail 16 h, SMS and push 24 h), skipped; SMS from 8:00 to 21:00 only |
    /// | `onesignal` | rolling windows, dropped |
    /// | `adobe` | days that begin at midnight UTC; lower priority gives way to higher within a week |
    /// | `pinpoint` | daily cap, cap within 30 days, quiet time; dropped |
    ///
    /// # Errors
    /// `UnknownName` for any other name.
    pub fn preset(name: &str, playbook: &Playbook) -> Result<Self> {
        let text = match name {
            "braze" => include_str!("presets/braze.toml"),
            "klaviyo" => include_str!("presets/klaviyo.toml"),
            "onesignal" => include_str!("presets/onesignal.toml"),
            "adobe" => include_str!("presets/adobe.toml"),
            "pinpoint" => include_str!("presets/pinpoint.toml"),
            _ => return Err(Error::unknown_name("policy.preset", name, Self::PRESETS)),
        };
        Self::for_channels(text, playbook)
    }

    /// Reads a policy that ships with the library and drops what it says about other channels.
    fn for_channels(text: &str, playbook: &Playbook) -> Result<Self> {
        let mut policy: ContactPolicy = settings::from_toml("policy", text)?;
        let known = |id: &String| playbook.channels.iter().any(|channel| channel.id == *id);
        // A rule that names channels must not become one for all when none of them is left.
        policy.caps.retain_mut(|cap| keep(&mut cap.channels, known));
        policy
            .quiet_hours
            .retain_mut(|hours| keep(&mut hours.channels, known));
        policy.opt_in.retain(known);
        policy.capacity.retain(|channel, _| known(channel));
        policy.check(playbook)?;
        Ok(policy)
    }

    /// Loads a policy from TOML text.
    ///
    /// # Errors
    /// With the place and the line: `InvalidParameter` for text that is not TOML, unknown fields
    /// and everything that [`check`](Self::check) refuses; `UnknownName` for a channel or zone that
    /// does not exist.
    pub fn from_toml(text: &str, playbook: &Playbook) -> Result<Self> {
        let policy: ContactPolicy = settings::from_toml("policy", text)?;
        policy.check(playbook).map_err(|error| {
            let line = line_in_toml(text, error.what());
            error.at_line(line)
        })?;
        Ok(policy)
    }

    /// Loads a policy from JSON text.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str, playbook: &Playbook) -> Result<Self> {
        let policy: ContactPolicy = settings::from_json("policy", text)?;
        policy.check(playbook).map_err(|error| {
            let line = line_in_json(text, error.what());
            error.at_line(line)
        })?;
        Ok(policy)
    }

    /// The policy as TOML text, which loads as an equal policy.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::invalid_parameter("policy", "values that TOML holds", error))
    }

    /// The policy as JSON text, which loads as an equal policy.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::invalid_parameter("policy", "values that JSON holds", error))
    }

    /// Confirms that the policy makes sense with this playbook.
    ///
    /// # Errors
    /// Naming the place, e.g. `policy.caps[1]`: `UnknownName` for a channel or zone that does not
    /// exist; `InvalidParameter` for a cap or capacity of 0, a cap with no window or with several,
    /// quiet hours that leave no time, a hold-out share outside (0, 1).
    pub fn check(&self, playbook: &Playbook) -> Result<()> {
        Limits::new(self, playbook).map(|_| ())
    }
}

/// Keeps the known channels of a rule; whether the rule still says something.
fn keep(channels: &mut Vec<String>, known: impl Fn(&String) -> bool) -> bool {
    let named = !channels.is_empty();
    channels.retain(known);
    !(named && channels.is_empty())
}

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

/// Which rule holds a contact back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The customer wants no messages at all, or is on a suppression list.
    Suppressed,
    /// No option is left over whose channels the customer allows.
    NoConsent,
    /// No option is open by the conditions of the playbook on channels and offers.
    NotOpen,
    /// It would fall into quiet hours.
    QuietHours,
    /// Too soon after a purchase.
    AfterPurchase,
    /// Too soon after a complaint.
    AfterComplaint,
    /// A frequency cap.
    FrequencyCap,
    /// A journey of higher priority has a contact due soon.
    Priority,
    /// The channel bears no more contacts on this day.
    Capacity,
    /// Repeated contacts have worn the customer out: it is not worth it.
    Fatigue,
    /// It would cost more than it is expected to bring, even to a fresh customer.
    Unprofitable,
}

impl Rejection {
    /// All of them, in the order of their codes.
    pub const ALL: [Rejection; 11] = [
        Rejection::Suppressed,
        Rejection::NoConsent,
        Rejection::NotOpen,
        Rejection::QuietHours,
        Rejection::AfterPurchase,
        Rejection::AfterComplaint,
        Rejection::FrequencyCap,
        Rejection::Priority,
        Rejection::Capacity,
        Rejection::Fatigue,
        Rejection::Unprofitable,
    ];

    /// The name in logs, e.g. `"frequency_cap"`.
    pub fn name(self) -> &'static str {
        match self {
            Rejection::Suppressed => "suppressed",
            Rejection::NoConsent => "no_consent",
            Rejection::NotOpen => "not_open",
            Rejection::QuietHours => "quiet_hours",
            Rejection::AfterPurchase => "after_purchase",
            Rejection::AfterComplaint => "after_complaint",
            Rejection::FrequencyCap => "frequency_cap",
            Rejection::Priority => "priority",
            Rejection::Capacity => "capacity",
            Rejection::Fatigue => "fatigue",
            Rejection::Unprofitable => "unprofitable",
        }
    }
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

    #[test]
    fn presets_read_and_keep_to_the_channels_there_are() {
        let mut playbook = playbook();
        for name in ContactPolicy::PRESETS {
            let policy = ContactPolicy::preset(name, &playbook).unwrap();
            assert!(!policy.caps.is_empty(), "{name}");
            let toml = policy.to_toml().unwrap();
            assert_eq!(ContactPolicy::from_toml(&toml, &playbook).unwrap(), policy);
        }
        let default = ContactPolicy::default_for(&playbook).unwrap();
        assert!(default.holdout.is_some());
        playbook.channels.retain(|c| c.id == "email");
        let policy = ContactPolicy::preset("klaviyo", &playbook).unwrap();
        assert_eq!(policy.caps.len(), 1);
        assert!(policy.quiet_hours.is_empty());
        assert!(ContactPolicy::preset("mailchimp", &playbook).is_err());
    }

    #[test]
    fn mistakes_name_their_line() {
        let playbook = playbook();
        let error = |text: &str| {
            let error = ContactPolicy::from_toml(text, &playbook).unwrap_err();
            (error.what().to_owned(), error.line().unwrap())
        };
        let place = |what: &str, line| (what.to_owned(), line);
        assert_eq!(error("\nzone = 'Europe/Bonn'"), place("policy.zone", 2));
        assert_eq!(
            error("capacity = { sms = 0 }"),
            place("policy.capacity.sms", 1)
        );
        assert_eq!(
            error("capacity = { fax = 9 }"),
            place("policy.capacity.fax", 1)
        );
        assert_eq!(
            error("caps = [\n{ contacts = 1 }]"),
            place("policy.caps[0]", 2)
        );
        assert_eq!(
            error("caps = [\n{ contacts = 1, rolling_days = 1, rolling_hours = 2 }]"),
            place("policy.caps[0]", 2)
        );
        assert_eq!(error("opt_in = ['fax']"), place("policy.opt_in[0]", 1));
        assert_eq!(
            error("[holdout]\nsalt = ''\nshare = 1.0"),
            place("policy.holdout.share", 3)
        );
        assert_eq!(error("version = 2"), place("policy.version", 1));
    }
}
