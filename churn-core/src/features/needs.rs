//! What each feature reads: of a log, so that a log may leave out the rest; of a population and of
//! the pass over a customer's events, so that a few features cost only what they need.

use std::collections::BTreeSet;

use super::population::{Part, Parts};
use super::sweep::Gather;
use crate::events::{EventKind, Keep};

/// What one feature reads.
#[derive(Debug, Clone)]
pub(super) struct Need {
    keep: Keep,
    gather: Gather,
    parts: Parts,
}

impl Need {
    /// Events of these kinds, without any further column.
    pub(super) fn of(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Need {
            keep: Keep {
                channels: false,
                orders: false,
                items: false,
                ..Keep::kinds(kinds)
            },
            gather: Gather::NOTHING,
            parts: Parts::NONE,
        }
    }

    /// Whatever a log may hold; it is not gathered, but read as it is.
    pub(super) fn everything() -> Self {
        Need {
            keep: Keep::default(),
            gather: Gather::NOTHING,
            parts: Parts::NONE,
        }
    }

    /// Also the channels.
    pub(super) fn channels(mut self) -> Self {
        self.keep.channels = true;
        self
    }

    /// Also order ids, to count orders.
    pub(super) fn orders(mut self) -> Self {
        self.keep.orders = true;
        self
    }

    /// What the pass over the events has to gather for it.
    pub(super) fn gathered(mut self, gather: Gather) -> Self {
        self.gather = self.gather.with(gather);
        self
    }

    /// What must be known of all customers: such a feature stands beside the population.
    pub(super) fn beside(mut self, parts: impl IntoIterator<Item = Part>) -> Self {
        self.parts = parts.into_iter().fold(self.parts, Parts::and);
        self
    }

    pub(super) fn keep(&self) -> &Keep {
        &self.keep
    }

    pub(super) fn gather(&self) -> Gather {
        self.gather
    }

    pub(super) fn parts(&self) -> Parts {
        self.parts
    }

    /// What all of these read of a log together.
    pub(super) fn together<'n>(needs: impl IntoIterator<Item = &'n Need>) -> Keep {
        let nothing = Keep {
            kinds: Some(BTreeSet::new()),
            channels: false,
            orders: false,
            items: false,
        };
        needs
            .into_iter()
            .fold(nothing, |all, need| all.and(&need.keep))
    }
}
