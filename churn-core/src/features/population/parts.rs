//! The parts of a population, each of which some features read.

use serde::{Deserialize, Serialize};

/// What can be learned from all customers on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::features) enum Part {
    RecencyCuts,
    FrequencyCuts,
    MonetaryCuts,
    /// Moments of the gaps between purchase days.
    Gaps,
    /// The curves and the pace of the purchase clock.
    Clock,
    /// Mean response rates.
    Channels,
    /// Which kinds of event there are.
    Kinds,
}

impl Part {
    const ALL: [Part; 7] = [
        Part::RecencyCuts,
        Part::FrequencyCuts,
        Part::MonetaryCuts,
        Part::Gaps,
        Part::Clock,
        Part::Channels,
        Part::Kinds,
    ];

    /// As errors call it.
    pub(in crate::features) fn name(self) -> &'static str {
        match self {
            Part::RecencyCuts => "recency cuts",
            Part::FrequencyCuts => "frequency cuts",
            Part::MonetaryCuts => "monetary cuts",
            Part::Gaps => "purchase gaps",
            Part::Clock => "the purchase clock",
            Part::Channels => "response rates of channels",
            Part::Kinds => "kinds of event",
        }
    }
}

/// Some parts of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Part>", into = "Vec<Part>")]
pub(in crate::features) struct Parts(u8);

impl Parts {
    pub(in crate::features) const NONE: Parts = Parts(0);

    pub(in crate::features) fn all() -> Self {
        Part::ALL.into_iter().fold(Parts::NONE, Parts::and)
    }

    /// These and one more.
    #[must_use]
    pub(in crate::features) fn and(self, part: Part) -> Self {
        Parts(self.0 | 1 << part as u8)
    }

    /// These and those.
    #[must_use]
    pub(in crate::features) fn with(self, others: Parts) -> Self {
        Parts(self.0 | others.0)
    }

    /// These but one.
    #[must_use]
    pub(super) fn without(self, part: Part) -> Self {
        Parts(self.0 & !(1 << part as u8))
    }

    #[inline]
    pub(in crate::features) fn has(self, part: Part) -> bool {
        self.0 & 1 << part as u8 != 0
    }

    pub(in crate::features) fn is_none(self) -> bool {
        self == Parts::NONE
    }

    /// Whether nothing is missing.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn is_all(&self) -> bool {
        *self == Parts::all()
    }

    /// The first of these that the others lack.
    pub(in crate::features) fn missing_in(self, others: Parts) -> Option<Part> {
        self.iter().find(|part| !others.has(*part))
    }

    fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| self.has(*part))
    }
}

impl From<Vec<Part>> for Parts {
    fn from(parts: Vec<Part>) -> Self {
        parts.into_iter().fold(Parts::NONE, Parts::and)
    }
}

impl From<Parts> for Vec<Part> {
    fn from(parts: Parts) -> Self {
        parts.iter().collect()
    }
}
