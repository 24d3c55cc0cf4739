//! A journey as data: who enters, what happens in which order, and what ends it.

use serde::{Deserialize, Serialize};

use super::check;
use crate::error::{Error, Result};
use crate::settings;
use crate::strategy::{Playbook, Vocabulary};
use crate::strategy::{line_in_json, line_in_toml};
use crate::text::Text;

/// The version of the journey format that this library reads.
pub(super) const VERSION: u32 = 1;

/// A win-back journey: triggers, steps and exits.
///
/// Conditions are texts in the language of [`Condition`](crate::strategy::Condition); offers and
/// channels are those of the [`Playbook`]. All is checked when the journey is loaded and again when
/// an engine is made of it.
///
/// # Example
/// ```
/// # use churn_core::features::FeatureInfo;
/// use churn_core::journey::Journey;
/// use churn_core::strategy::{Playbook, Vocabulary};
/// # let numbers = ["orders", "monetary_score", "activity", "days_since_last_view"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let vocabulary = Vocabulary::new().with_features(&numbers)?
/// #     .with_segmentation("risk_tier", &["low", "medium", "high"])?
/// #     .with_segmentation("rfm_segment", &["cant_lose", "hibernating"])?;
/// let playbook = Playbook::default_for(&vocabulary)?;
/// let text = r#"
/// version = 1
/// id = "hello_again"
/// name = { en = "Hello again", zh = "再见面" }
/// triggers = [{ silence_days = 30, before_days = 60 }]
/// exits = [{ event = "purchase", reason = "bought" }]
///
/// [[steps]]
/// id = "recommend"
/// send = { options = [{ offers = ["recommendation"], channels = ["email"] }] }
///
/// [[steps]]
/// id = "pause"
/// wait = { days = 14, at = "09:00" }
///
/// [[steps]]
/// id = "done"
/// exit = "over"
/// "#;
/// let journey = Journey::from_toml(text, &playbook, &vocabulary)?;
/// assert_eq!(journey.steps.len(), 3);
///
/// let wrong = text.replace("\"email\"", "\"fax\"");
/// let error = Journey::from_toml(&wrong, &playbook, &vocabulary).unwrap_err();
/// assert_eq!(error.what(), "journey.steps[0].send.options[0].channels[0]");
/// assert_eq!(error.line(), Some(10));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journey {
    /// Version of the format: 1.
    pub version: u32,
    /// Id, unique among the journeys of an engine; states and logs name it.
    pub id: String,
    /// Name for readers.
    pub name: Text,
    /// Of journeys that want the same customer at one instant the higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// Who enters; a customer who is inside does not enter again.
    pub triggers: Vec<Trigger>,
    /// Whether and when a customer may enter again.
    #[serde(default)]
    pub reentry: Reentry,
    /// What ends the journey early, wherever the customer stands.
    #[serde(default)]
    pub exits: Vec<Exit>,
    /// Days after entry at which the journey is over at the latest (reason `journey_over`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_days: Option<u32>,
    /// What happens, from top to bottom unless a step names another.
    pub steps: Vec<Step>,
}

/// One way into a journey: exactly one of `silence_days`, `event`, `becomes` and `changes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trigger {
    /// So many days (of exactly 24 hours) without a purchase since the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_days: Option<u32>,
    /// With `silence_days`: from so many days of silence on it is too late to enter here; so that
    /// the first day of a journey does not reach everybody who left years ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_days: Option<u32>,
    /// An event of this kind; see [`Happening`](super::Happening) for the names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// With `event`: an event that arrives later than this many days is too old to enter by.
    /// Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_days: Option<u32>,
    /// This condition turns from false to true between two sights of the customer's facts: a drop
    /// in interaction, a missed personal purchase date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub becomes: Option<String>,
    /// The customer moves between labels of a segmentation, e.g. a tier change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Change>,
    /// With `becomes`: enters also whoever is first seen with the condition true. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub first_sight: bool,
    /// Only customers for whom this holds enter. A silent customer enters as soon as it holds,
    /// while the trigger is open; the other triggers look once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Id of the step to begin with; the first step where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// A move between labels of a segmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Name of the segmentation.
    pub segmentation: String,
    /// The label before is one of these; any other than `to` where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The label now is one of these.
    pub to: Vec<String>,
}

/// Whether and when a customer may enter again after having left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentry {
    /// Once in a lifetime.
    #[default]
    Never,
    /// From so many days (of 24 hours) after the last entry on.
    AfterDays(u32),
    /// At the next occasion.
    AtOnce,
}

/// What ends a journey early: exactly one of `event` and `when`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exit {
    /// An event of this kind after the entry. `unsubscribed` means unsubscribed from everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A condition that holds for the customer's facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The reason that the log gives; the event's name or `condition` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One step: exactly one of `wait`, `branch`, `split`, `send` and `exit`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Id, unique in the journey.
    pub id: String,
    /// Let time pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Go to the first arm whose condition holds, else on to `next`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub branch: Vec<Arm>,
    /// Go to an arm by lot; the lot of a customer is a salted hash, the same forever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Share>,
    /// Contact the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Send>,
    /// The journey is over, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// Id of the next step; the one below where left out, and after the last the journey is over
    /// (reason `completed`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How long to wait: a duration, a local time of day, a day of silence, or an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wait {
    /// Days; exactly 24 hours each, calendar days with `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Hours on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
    /// Minutes on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Local wall time `HH:MM` in the customer's zone: `days` calendar days later at this time;
    /// with 0 days, or without, the next time that clocks show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Until so many days have passed since the last purchase; no wait at all where they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_days: Option<u32>,
    /// Until an event of this kind, later than the arrival here; the duration is the time-out,
    /// after which the customer goes to `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// With `event`: the step to go to when it comes; `next` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_event: Option<String>,
}

/// One arm of a branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// The condition.
    pub when: String,
    /// Id of the step to go to.
    pub next: String,
}

/// One arm of a random split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Share of customers, above 0; the shares of a split add up to 1.
    pub share: f64,
    /// Id of the step to go to.
    pub next: String,
}

/// A contact: the ways to make it and what to do where the policy objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Send {
    /// Makes what the plan in force ([`News::with_plan`](super::News::with_plan)) means for the
    /// customer: its channels, and those of its offers that the customer may still have. It comes
    /// before the options, whatever `choose` says; they stand in where no plan was told, the plan
    /// means nothing for the customer, or what it means is not open. Where there are none, the
    /// contact is dropped (`not_planned`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
    /// The ways to make it, in order of preference; one is chosen. At least one unless `planned`.
    pub options: Vec<SendOption>,
    /// How the option is chosen.
    pub choose: Choose,
    /// What happens where the policy holds the contact back; as the policy says where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_capped: Option<WhenCapped>,
    /// Days that the contact may be held at most; as the policy says where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_at_most_days: Option<u32>,
    /// What one response is worth (currency). Where given, options are compared by expected
    /// profit, and a contact that fatigue makes a loss is not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_value: Option<f64>,
    /// Such contacts (an invoice, a recall) pass caps, cool-downs and quiet hours and do not count
    /// towards caps; consent, hold-out and capacity still bind them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exempt: bool,
}

/// One way to make a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendOption {
    /// Ids of the offers of the playbook that are given together; those that the customer may not
    /// have are left out, and the option is open while one remains.
    pub offers: Vec<String>,
    /// Ids of the channels of the playbook that are used together.
    pub channels: Vec<String>,
}

/// How one of several open options is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// The first that is open.
    #[default]
    First,
    /// By what was learned from responses; see [`Learning`](super::Learning).
    Learned,
}

/// What happens to a contact that the policy holds back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenCapped {
    /// It is dropped and the journey goes on.
    #[default]
    Skip,
    /// It waits until the policy lets it pass, but not longer than `hold_at_most_days`.
    Hold,
    /// The dearest of the cheaper options that the policy lets pass takes its place; where there
    /// is none, it is dropped.
    Cheaper,
}

impl Journey {
    /// The default journey as TOML text: a start to copy and to adapt.
    pub const DEFAULT_TOML: &str = include_str!("default_journey.toml");

    /// The default journey: after 30 days without a purchase a personal recommendation; after 60,
    /// if interaction is falling, a return offer for a limited time; after 90, at high risk, the
    /// loyal customer's discount and a personal adviser.
    ///
    /// It reads what its conditions name and the offers and channels of the default playbook.
    ///
    /// # Errors
    /// `UnknownName`, with the line in [`DEFAULT_TOML`](Self::DEFAULT_TOML), where playbook or
    /// vocabulary lack one of these names.
    pub fn default_for(playbook: &Playbook, vocabulary: &Vocabulary) -> Result<Self> {
        Self::from_toml(Self::DEFAULT_TOML, playbook, vocabulary)
    }

    /// Loads a journey from TOML text.
    ///
    /// # Errors
    /// With the place and the line: `InvalidParameter` for text that is not TOML, unknown or
    /// missing fields and everything that [`check`](Self::check) refuses; `UnknownName` for a
    /// reference to something that does not exist.
    pub fn from_toml(text: &str, playbook: &Playbook, vocabulary: &Vocabulary) -> Result<Self> {
        let journey: Journey = settings::from_toml("journey", text)?;
        journey.check(playbook, vocabulary).map_err(|error| {
            let line = line_in_toml(text, error.what());
            error.at_line(line)
        })?;
        Ok(journey)
    }

    /// Loads a journey from JSON text.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str, playbook: &Playbook, vocabulary: &Vocabulary) -> Result<Self> {
        let journey: Journey = settings::from_json("journey", text)?;
        journey.check(playbook, vocabulary).map_err(|error| {
            let line = line_in_json(text, error.what());
            error.at_line(line)
        })?;
        Ok(journey)
    }

    /// The journey as TOML text, which loads as an equal journey.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::invalid_parameter("journey", "values that TOML holds", error))
    }

    /// The journey as JSON text, which loads as an equal journey.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::invalid_parameter("journey", "values that JSON holds", error))
    }

    /// Confirms that the journey makes sense with this playbook in a shop with these names.
    ///
    /// # Errors
    /// Naming the place, e.g. `journey.steps[2].wait`:
    ///
    /// - `UnknownName` for a step, offer, channel, event, feature, segmentation or label that does
    ///   not exist;
    /// - `InvalidParameter` for a trigger, exit, step or wait that says nothing or several things
    ///   at once, a wait of no time, shares that do not add up to 1, a value that is negative or
    ///   not finite, and text that is no condition;
    /// - `InvalidParameter` for what can never work: a step that cannot be reached, and a cycle of
    ///   steps without a wait.
    pub fn check(&self, playbook: &Playbook, vocabulary: &Vocabulary) -> Result<()> {
        check::resolve(self, playbook, vocabulary).map(|_| ())
    }
}
