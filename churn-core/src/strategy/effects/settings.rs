//! What is assumed, observed and measured about the changes that actions make, as data.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::strategy::conditions::Term;
use crate::strategy::facts::Facts;

/// What is assumed and what was observed about the changes that actions make.
///
/// # Example
/// ```
/// use churn_core::strategy::EffectSettings;
/// let settings: EffectSettings = churn_core::settings::from_toml("effects", r#"
///     prior_strength = 200
///     [[observed]]
///     action = "win_back"
///     channels = ["sms"]
///     segment = { segmentation = "risk_tier", label = "high" }
///     treated = 1200
///     treated_stayed = 210
///     control = 800
///     control_stayed = 108
/// "#)?;
/// assert_eq!(settings.observed[0].treated, 1200);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EffectSettings {
    /// Of those about to leave who answer a message, the share who stay because of it, from 0 to
    /// 1. An assumption, to be replaced by the shop's own experience.
    pub saved_per_response: f64,
    /// How many observed customers the prior weighs as much as; 0 trusts observations alone. The
    /// default lets a rate of 80 % differ from what is expected by some 0.7 points, so that the
    /// difference of two has the spread of `prior_spread`; measured in docs/WORKED_EXAMPLE.md.
    pub prior_strength: f64,
    /// Standard deviation of the true changes around what is known before an experiment or an uplift
    /// estimate, above 0: the larger, the more they are believed. The default of one point is measured
    /// in docs/WORKED_EXAMPLE.md: actions change minds by a few points at most, and chance alone gives
    /// a group of 100 more than that.
    pub prior_spread: f64,
    /// What experiments measured. Of several that fit a customer, action and channels the first
    /// counts, and all of them before what was observed.
    pub experiments: Vec<ExperimentEffect>,
    /// What was observed. Of several that fit a customer, action and channels the first counts.
    pub observed: Vec<ObservedResponse>,
}

impl Default for EffectSettings {
    fn default() -> Self {
        EffectSettings {
            saved_per_response: 0.2,
            prior_strength: 3_000.0,
            prior_spread: 0.01,
            experiments: Vec::new(),
            observed: Vec::new(),
        }
    }
}

/// By how much an experiment found an action to change the share who stay; made by hand, or from
/// results of [`evaluation`](crate::evaluation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentEffect {
    /// Id of the action.
    pub action: String,
    /// One of the action's channel sets; all of them where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// The segment that took part; everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
    /// Difference of the shares who stay, from −1 to 1.
    pub change: f64,
    /// Its standard error, at least 0.
    pub standard_error: f64,
}

/// How many stayed of those who got an action and of those who were left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedResponse {
    /// Id of the action.
    pub action: String,
    /// One of the action's channel sets; all of them where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// The segment that was observed; everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
    /// Customers who got the action, at least 1.
    pub treated: u64,
    /// Those of them who stayed.
    pub treated_stayed: u64,
    /// Customers of the segment who were left alone; 0 where there are none, and then what the
    /// scores expect stands in for them.
    #[serde(default)]
    pub control: u64,
    /// Those of them who stayed.
    #[serde(default)]
    pub control_stayed: u64,
}

/// One group of a segmentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentName {
    /// Name of the segmentation, e.g. `"risk_tier"`.
    pub segmentation: String,
    /// Label of the group, e.g. `"high"`.
    pub label: String,
}

impl SegmentName {
    /// Position of the segmentation and of the label.
    pub(crate) fn find(&self, place: &str, facts: &Facts<'_>) -> Result<(usize, u32)> {
        let vocabulary = facts.vocabulary();
        let segmentations = vocabulary.segmentations();
        let Some(Term::Segmentation(position)) = vocabulary.term(&self.segmentation) else {
            return Err(Error::unknown_name(
                format!("{place}.segmentation"),
                &self.segmentation,
                segmentations.iter().map(|s| s.name.as_str()),
            ));
        };
        let labels = &segmentations[position].labels;
        match labels.iter().position(|label| *label == self.label) {
            Some(label) => Ok((position, label as u32)),
            None => Err(Error::unknown_name(
                format!("{place}.label"),
                &self.label,
                labels,
            )),
        }
    }
}
