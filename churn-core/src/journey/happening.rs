//! What an engine is told between two steps: events of the shop, and consent given or withdrawn.

use serde::{Deserialize, Serialize};

use crate::customers::CustomerId;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::time::Timestamp;

/// What happened to a customer: an event of the log, or a change of consent.
///
/// Names are those of [`EventKind`], `unsubscribed` and `subscribed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Happening {
    /// An event of the shop's log.
    Event(EventKind),
    /// The customer does not want messages over the channel, or any more at all where none is
    /// named; a suppression list is a list of these.
    Unsubscribed,
    /// The customer wants messages over the channel, or over any where none is named.
    Subscribed,
}

impl Happening {
    /// The name, e.g. `"purchase"` or `"unsubscribed"`.
    pub fn name(self) -> &'static str {
        match self {
            Happening::Event(kind) => kind.name(),
            Happening::Unsubscribed => "unsubscribed",
            Happening::Subscribed => "subscribed",
        }
    }

    /// The happening of a name.
    ///
    /// # Errors
    /// `UnknownName` for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::from_name_at("kind", name)
    }

    pub(super) fn from_name_at(what: &str, name: &str) -> Result<Self> {
        let known = || {
            EventKind::ALL
                .map(Happening::Event)
                .into_iter()
                .chain([Happening::Unsubscribed, Happening::Subscribed])
        };
        match known().find(|happening| happening.name() == name) {
            Some(happening) => Ok(happening),
            None => Err(Error::unknown_name(what, name, known().map(Self::name))),
        }
    }
}

impl TryFrom<String> for Happening {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        Happening::from_name(&name)
    }
}

impl From<Happening> for String {
    fn from(happening: Happening) -> String {
        happening.name().to_owned()
    }
}

/// One thing that happened, as the caller reports it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewEvent<'a> {
    /// To whom.
    pub customer: CustomerId<'a>,
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: Happening,
    /// Over which channel of the playbook, where it has one; channels that the playbook does not
    /// know count as none for responses and are refused for consent.
    pub channel: Option<&'a str>,
}

impl<'a> NewEvent<'a> {
    /// An event without a channel.
    pub fn new(
        customer: impl Into<CustomerId<'a>>,
        time: Timestamp,
        kind: impl Into<Happening>,
    ) -> Self {
        NewEvent {
            customer: customer.into(),
            time,
            kind: kind.into(),
            channel: None,
        }
    }

    /// The same over a channel.
    pub fn over(mut self, channel: &'a str) -> Self {
        self.channel = Some(channel);
        self
    }
}

/// One thing that happened, as data; for callers who keep such things in files.
///
/// # Example
/// ```
/// use churn_core::journey::EventRecord;
/// let records: Vec<EventRecord> = churn_core::settings::from_json("events", r#"[
///     {"customer": "ann", "time": "2021-05-01T12:00:00", "kind": "purchase"},
///     {"customer": "bea", "time": "2021-05-02", "kind": "unsubscribed", "channel": "sms"}
/// ]"#)?;
/// assert_eq!(records[1].event().channel, Some("sms"));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRecord {
    /// To whom: a text or a whole number.
    pub customer: RecordId,
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: Happening,
    /// Over which channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// The id of a customer as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordId {
    /// A whole number, signed where it fits.
    Int(i64),
    /// A whole number beyond.
    Uint(u64),
    /// A text.
    Text(String),
}

impl EventRecord {
    /// The event that it stands for.
    pub fn event(&self) -> NewEvent<'_> {
        NewEvent {
            customer: match &self.customer {
                RecordId::Int(id) => CustomerId::Int(*id),
                RecordId::Uint(id) => CustomerId::Uint(*id),
                RecordId::Text(id) => CustomerId::Text(id),
            },
            time: self.time,
            kind: self.kind,
            channel: self.channel.as_deref(),
        }
    }
}

impl From<EventKind> for Happening {
    fn from(kind: EventKind) -> Self {
        Happening::Event(kind)
    }
}
