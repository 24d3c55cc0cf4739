//! What of a log each feature reads, so that a log may leave out the rest.

use std::collections::BTreeSet;

use crate::events::{EventKind, Keep};

/// Kinds and columns that one feature reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Need(Keep);

impl Need {
    /// Events of these kinds, without any further column.
    pub(super) fn of(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Need(Keep {
            channels: false,
            orders: false,
            items: false,
            ..Keep::kinds(kinds)
        })
    }

    /// Whatever a log may hold.
    pub(super) fn everything() -> Self {
        Need(Keep::default())
    }

    /// Also the channels.
    pub(super) fn channels(mut self) -> Self {
        self.0.channels = true;
        self
    }

    /// Also order ids, to count orders.
    pub(super) fn orders(mut self) -> Self {
        self.0.orders = true;
        self
    }

    pub(super) fn keep(&self) -> &Keep {
        &self.0
    }

    /// What all of these read together.
    pub(super) fn together<'n>(needs: impl IntoIterator<Item = &'n Need>) -> Keep {
        let nothing = Keep {
            kinds: Some(BTreeSet::new()),
            channels: false,
            orders: false,
            items: false,
        };
        needs
            .into_iter()
            .fold(nothing, |all, need| all.and(&need.0))
    }
}
