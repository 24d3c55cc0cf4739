//! The kinds of event and the mapping from callers' own names to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What happened. The discriminant is the stable code that the C interface uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[non_exhaustive]
pub enum EventKind {
    /// One line of an order; value = money received.
    Purchase = 1,
    /// Money given back for a return or cancellation; value = money, positive.
    Refund = 2,
    /// A page or product viewed; value = dwell time in seconds, if known.
    View = 3,
    /// Something put into the cart.
    Cart = 4,
    /// Something marked as favourite.
    Favourite = 5,
    /// Something shared.
    Share = 6,
    /// A review or rating written.
    Review = 7,
    /// Any other interaction of the customer with the shop.
    Interaction = 8,
    /// A message sent to the customer over `channel`.
    MessageSent = 9,
    /// That message opened or read.
    MessageOpened = 10,
    /// A link in that message followed.
    MessageClicked = 11,
    /// That message answered.
    MessageAnswered = 12,
    /// An advertisement clicked.
    AdClick = 13,
    /// Contact with customer service, other than a complaint.
    ServiceContact = 14,
    /// A complaint.
    Complaint = 15,
}

impl EventKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [EventKind; 15] = [
        EventKind::Purchase,
        EventKind::Refund,
        EventKind::View,
        EventKind::Cart,
        EventKind::Favourite,
        EventKind::Share,
        EventKind::Review,
        EventKind::Interaction,
        EventKind::MessageSent,
        EventKind::MessageOpened,
        EventKind::MessageClicked,
        EventKind::MessageAnswered,
        EventKind::AdClick,
        EventKind::ServiceContact,
        EventKind::Complaint,
    ];

    /// The name in logs, files and tables, e.g. `"message_sent"`.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Purchase => "purchase",
            EventKind::Refund => "refund",
            EventKind::View => "view",
            EventKind::Cart => "cart",
            EventKind::Favourite => "favourite",
            EventKind::Share => "share",
            EventKind::Review => "review",
            EventKind::Interaction => "interaction",
            EventKind::MessageSent => "message_sent",
            EventKind::MessageOpened => "message_opened",
            EventKind::MessageClicked => "message_clicked",
            EventKind::MessageAnswered => "message_answered",
            EventKind::AdClick => "ad_click",
            EventKind::ServiceContact => "service_contact",
            EventKind::Complaint => "complaint",
        }
    }

    /// The stable code.
    #[inline]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a code, or `None`.
    #[inline]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }

    /// The kind of a canonical name.
    ///
    /// # Errors
    /// `UnknownName` for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::unknown_name("kind", name, Self::ALL.map(EventKind::name)))
    }

    /// Whether the event's value is money.
    #[inline]
    pub fn is_money(self) -> bool {
        matches!(self, EventKind::Purchase | EventKind::Refund)
    }
}

/// Which names in a caller's log mean which kind. The canonical names are always known.
///
/// # Example
/// ```
/// use churn_core::events::{EventKind, KindMap};
/// let map = KindMap::new().with("order_placed", EventKind::Purchase);
/// assert_eq!(map.get("order_placed"), Some(EventKind::Purchase));
/// assert_eq!(map.get("view"), Some(EventKind::View));
/// assert_eq!(map.get("lost"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindMap {
    own: BTreeMap<String, EventKind>,
}

impl KindMap {
    /// Knows the canonical names only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also knows `name`, which may replace the meaning of a canonical name.
    pub fn with(mut self, name: impl Into<String>, kind: EventKind) -> Self {
        self.own.insert(name.into(), kind);
        self
    }

    /// Every known name with its meaning; own names come last, so that they win in a map.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, EventKind)> {
        let canonical = EventKind::ALL.into_iter().map(|kind| (kind.name(), kind));
        canonical.chain(self.own.iter().map(|(name, kind)| (name.as_str(), *kind)))
    }

    /// The kind that a name means, or `None` where it is not known.
    pub fn get(&self, name: &str) -> Option<EventKind> {
        self.own
            .get(name)
            .copied()
            .or_else(|| EventKind::from_name(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_round_trip() {
        for (i, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), i + 1);
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert_eq!(EventKind::from_name(kind.name()).unwrap(), kind);
        }
        assert_eq!(EventKind::from_code(0), None);
        assert_eq!(EventKind::from_code(16), None);
        assert_eq!(EventKind::from_code(255), None);
    }
}
