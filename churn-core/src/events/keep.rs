//! What of a log is worth storing, for jobs that ask for little.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::kinds::EventKind;
use crate::error::{Error, Result};

/// Which events and columns a log stores; the default is everything.
///
/// A row of another kind is left out before anything else is asked of it, and counted under
/// [`DropReason::NotAskedFor`](super::DropReason::NotAskedFor). A column that is left out is as if
/// it had not been handed in. What needs a kind or a column that is not there is refused by name:
/// features, summaries, batches. A customer without any event that is kept is not in the log.
///
/// [`FeatureSpec::needs`](crate::features::FeatureSpec::needs) tells what a table needs.
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, DropReason, EventColumns, EventKind, Keep};
/// use churn_core::{EventLog, TimeUnit};
/// let kinds = [EventKind::View, EventKind::Purchase, EventKind::View].map(EventKind::code);
/// let columns = EventColumns::new(&["ann", "ann", "bea"], &[10, 11, 12], TimeUnit::Day, kinds.as_slice());
/// let keep = Keep { channels: false, ..Keep::kinds([EventKind::Purchase]) };
/// let log = EventLog::from_columns(&columns, &Cleaning { keep, ..Cleaning::default() })?;
/// assert_eq!((log.len(), log.customers().len()), (1, 1));
/// assert_eq!(log.report().dropped(DropReason::NotAskedFor).rows, 2);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Kinds of the events that are kept; `None` (default) = all. A purchase read as a refund is a
    /// refund.
    pub kinds: Option<BTreeSet<EventKind>>,
    /// Whether the channels of messages are kept.
    pub channels: bool,
    /// Whether order ids are kept; without them purchase lines at one instant are one order.
    pub orders: bool,
    /// Whether items are kept.
    pub items: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            kinds: None,
            channels: true,
            orders: true,
            items: true,
        }
    }
}

impl Keep {
    /// Events of these kinds only, with all their columns.
    pub fn kinds(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Keep {
            kinds: Some(kinds.into_iter().collect()),
            ..Keep::default()
        }
    }

    /// What either keeps.
    #[must_use]
    pub fn and(&self, other: &Keep) -> Self {
        let kinds = self.kinds.as_ref().zip(other.kinds.as_ref());
        Keep {
            kinds: kinds.map(|(a, b)| a | b),
            channels: self.channels || other.channels,
            orders: self.orders || other.orders,
            items: self.items || other.items,
        }
    }

    /// Whether events of this kind are kept.
    pub fn includes(&self, kind: EventKind) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        EventKind::ALL.into_iter().all(|kind| self.includes(kind))
            && self.channels
            && self.orders
            && self.items
    }

    /// As JSON, for the field `keep` of a [`Cleaning`](super::Cleaning).
    ///
    /// # Panics
    /// Never: all its parts can be written.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("flags and names")
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Error::invalid_parameter(
                "cleaning.keep.kinds",
                "at least one kind, or none stated for all",
                "an empty list",
            ));
        }
        Ok(())
    }

    /// Confirms that what `what` needs is kept.
    pub(crate) fn check_for(&self, need: &Keep, what: &str) -> Result<()> {
        let kind = EventKind::ALL
            .into_iter()
            .find(|kind| need.includes(*kind) && !self.includes(*kind));
        let missing = match kind {
            Some(kind) => format!("events of kind {}", kind.name()),
            None if need.channels && !self.channels => "channels".into(),
            None if need.orders && !self.orders => "order ids".into(),
            None if need.items && !self.items => "items".into(),
            None => return Ok(()),
        };
        Err(Error::invalid_parameter(
            what,
            format_args!("a log that keeps {missing}"),
            "one whose cleaning.keep leaves them out",
        ))
    }
}
