//! What positions in states, contacts and logs stand for.

use serde::{Deserialize, Serialize};

use super::definition::{Journey, Trigger};
use super::graph::{Graph, Node};
use super::log::{JourneyWords, StepWords, Terms, Words};
use crate::strategy::Playbook;

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
    /// The options of a send step, offers and channels joined, e.g. `winback_coupon@sms`; those of
    /// a plan begin with `plan:`.
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

/// The words of an engine.
pub(super) fn words(
    journeys: &[Journey],
    graphs: &[Graph],
    reasons: &[Vec<String>],
    playbook: &Playbook,
    segments: &[String],
    held_out_share: Option<f64>,
) -> Words {
    let journeys = journeys.iter().zip(graphs).zip(reasons);
    Words {
        journeys: journeys
            .map(|((journey, graph), reasons)| JourneyWords {
                id: journey.id.clone(),
                steps: journey
                    .steps
                    .iter()
                    .zip(&graph.nodes)
                    .map(|(step, node)| StepWords {
                        id: step.id.clone(),
                        named: match node {
                            Node::Send(sending, _) => sending.named,
                            _ => 0,
                        },
                        options: match node {
                            Node::Send(sending, _) => {
                                let options = sending.options.iter();
                                let parts = options.map(|o| (o.offers.clone(), o.channels.clone()));
                                parts.collect()
                            }
                            _ => Vec::new(),
                        },
                    })
                    .collect(),
                triggers: journey.triggers.iter().map(trigger_name).collect(),
                reasons: reasons.clone(),
            })
            .collect(),
        channels: playbook.channels.iter().map(|c| c.id.clone()).collect(),
        offers: playbook
            .offers
            .iter()
            .map(|offer| Terms {
                id: offer.id.clone(),
                cost: offer.cost,
                paid: offer.paid,
            })
            .collect(),
        segments: segments.to_vec(),
        held_out_share,
    }
}

/// What opened a journey, for logs.
fn trigger_name(trigger: &Trigger) -> String {
    match (
        &trigger.silence_days,
        &trigger.event,
        &trigger.becomes,
        &trigger.changes,
    ) {
        (Some(days), ..) => format!("silence of {days} days"),
        (_, Some(event), ..) => event.clone(),
        (_, _, Some(condition), _) => condition.clone(),
        (_, _, _, Some(change)) => format!("{} to {}", change.segmentation, change.to.join(" or ")),
        _ => String::new(),
    }
}

/// What a state remembers of them.
pub(super) fn names(words: &Words) -> Names {
    let option = |(offers, channels): &(Vec<usize>, Vec<usize>)| {
        let offers: Vec<&str> = offers
            .iter()
            .map(|o| words.offers[*o].id.as_str())
            .collect();
        let channels: Vec<&str> = channels
            .iter()
            .map(|c| words.channels[*c].as_str())
            .collect();
        format!("{}@{}", offers.join("+"), channels.join("+"))
    };
    Names {
        journeys: words
            .journeys
            .iter()
            .map(|journey| JourneyNames {
                id: journey.id.clone(),
                steps: journey
                    .steps
                    .iter()
                    .map(|step| StepNames {
                        id: step.id.clone(),
                        options: step
                            .options
                            .iter()
                            .enumerate()
                            .map(|(i, parts)| match i < step.named {
                                true => option(parts),
                                false => format!("plan:{}", option(parts)),
                            })
                            .collect(),
                    })
                    .collect(),
                triggers: journey.triggers.clone(),
            })
            .collect(),
        channels: words.channels.clone(),
        segments: words.segments.clone(),
    }
}
