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

use serde::{Deserialize, Serialize};

use super::definition::WhenCapped;
use super::holdout::Holdout;
use super::limits::Limits;
use super::quiet_hours::QuietHours;
use crate::error::{Error, Result};
use crate::settings;
use crate::strategy::{Playbook, line_in_json, line_in_toml};

/// The version of the policy format that this library reads.
pub(super) const VERSION: u32 = 1;

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
    /// The step makes what the plan says, and the plan says nothing for the customer.
    NotPlanned,
}

impl Rejection {
    /// All of them, in the order of their codes.
    pub const ALL: [Rejection; 12] = [
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
        Rejection::NotPlanned,
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
            Rejection::NotPlanned => "not_planned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::vocabulary;

    fn playbook() -> Playbook {
        Playbook::default_for(&vocabulary()).unwrap()
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
