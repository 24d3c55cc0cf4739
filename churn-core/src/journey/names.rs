//! What positions in states, contacts and logs stand for.

use serde::{Deserialize, Serialize};

/// The names of everything that an engine counts by position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) journeys: Vec<JourneyNames>,
    pub(super) channels: Vec<String>,
    /// Labels of the segmentation that learning looks at.
    pub(super) segments: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JourneyNames {
    pub(super) id: String,
    pub(super) steps: Vec<StepNames>,
    pub(super) triggers: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepNames {
    pub(super) id: String,
    /// The options of a send step, offers and channels joined, e.g. `winback_coupon@sms`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
}

/// Where the positions of one list of names stand in another.
pub(super) fn positions<'a>(
    from: impl IntoIterator<Item = &'a String>,
    to: impl Iterator<Item = &'a String> + Clone,
) -> Vec<Option<usize>> {
    let find = |name: &String| to.clone().position(|other| other == name);
    from.into_iter().map(find).collect()
}
