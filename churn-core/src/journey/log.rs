//! What a step hands out: contacts to make, and a log that says of every decision why.

use std::fmt;
use std::sync::Arc;

use super::contact_policy::Rejection;
use crate::customers::{CustomerId, Customers};
use crate::strategy::Paid;
use crate::time::Timestamp;

/// The words behind the positions in contacts and log entries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words {
    pub(super) journeys: Vec<JourneyWords>,
    pub(super) channels: Vec<String>,
    pub(super) offers: Vec<Terms>,
    pub(super) segments: Vec<String>,
    /// Share of customers that the policy holds out.
    pub(super) held_out_share: Option<f64>,
}

/// Id of an offer, and what it costs when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    pub(super) id: String,
    pub(super) cost: f64,
    pub(super) paid: Paid,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct JourneyWords {
    pub(super) id: String,
    pub(super) steps: Vec<StepWords>,
    pub(super) triggers: Vec<String>,
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepWords {
    pub(super) id: String,
    /// Positions of offers and channels in the playbook.
    pub(super) options: Vec<(Vec<usize>, Vec<usize>)>,
    /// How many the definition names; the others are the plan's.
    pub(super) named: usize,
}

/// A contact to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contact {
    /// Row among the customers of the state.
    pub row: u32,
    /// When to make it: not before `now` of the step and not after `until`.
    pub at: Timestamp,
    /// Position of the journey in the engine.
    pub journey: u16,
    /// Position of the step in the journey.
    pub step: u16,
    /// Position of the option in the step.
    pub option: u16,
    /// The offers that are given, as bits of the option's list.
    pub(super) given: u32,
    /// Code of the customer's segment in the segmentation that journeys learn by.
    pub segment: Option<u8>,
    /// Chance with which the option was chosen among those open, in (0, 1].
    pub propensity: f64,
    /// Cost of one contact over each channel (currency of the playbook).
    pub cost: f64,
    /// Cost of the offers if the customer answers (currency of the playbook).
    pub offer_cost: f64,
    /// Whether it takes the place of a dearer one that the policy held back.
    pub replaced: bool,
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogEntry {
    /// Row among the customers of the state.
    pub row: u32,
    /// When the decision took effect.
    pub at: Timestamp,
    /// Position of the journey in the engine.
    pub journey: u16,
    /// Position of the step in the journey; `None` at entry and exit.
    pub step: Option<u16>,
    /// Code of the customer's segment in the segmentation that journeys learn by, where the
    /// customer's facts were told.
    pub segment: Option<u8>,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The customer entered by this trigger (position in the journey).
    Entered {
        /// Position of the trigger.
        trigger: u16,
    },
    /// A branch or split led to this step; `None` = out of the journey.
    Went {
        /// Position of the step.
        to: Option<u16>,
    },
    /// The contact is made.
    Sent {
        /// Position of the option.
        option: u16,
        /// Chance with which it was chosen.
        propensity: f64,
        /// Whether it takes the place of a dearer one.
        replaced: bool,
    },
    /// The contact would have been made, but the customer is held out.
    HeldOut {
        /// Position of the option.
        option: u16,
        /// Chance with which it was chosen.
        propensity: f64,
        /// Whether it takes the place of a dearer one.
        replaced: bool,
    },
    /// The contact waits until this instant.
    Held {
        /// The rule that holds it.
        reason: Rejection,
        /// When it is tried again.
        until: Timestamp,
    },
    /// The contact is dropped and the journey goes on.
    Skipped {
        /// The rule behind it.
        reason: Rejection,
    },
    /// The customer left the journey, for the reason at this position.
    Left {
        /// Position of the reason.
        reason: u16,
    },
}

impl Decision {
    /// The name in tables: `entered`, `went`, `sent`, `held_out`, `held`, `skipped`, `left`.
    pub fn name(&self) -> &'static str {
        match self {
            Decision::Entered { .. } => "entered",
            Decision::Went { .. } => "went",
            Decision::Sent { .. } => "sent",
            Decision::HeldOut { .. } => "held_out",
            Decision::Held { .. } => "held",
            Decision::Skipped { .. } => "skipped",
            Decision::Left { .. } => "left",
        }
    }
}

/// What one step of the engine decided.
///
/// Contacts and log are ordered by instant, then by customer, then as they happened.
#[derive(Clone, PartialEq)]
pub struct Outcome {
    /// The customers that rows count.
    pub customers: Customers,
    /// Contacts to make.
    pub contacts: Vec<Contact>,
    /// Every decision with its reason.
    pub log: Vec<LogEntry>,
    /// The next instant at which something is due if nothing happens before; a caller who can wake
    /// up then misses no minute.
    pub next_due: Option<Timestamp>,
    pub(super) words: Arc<Words>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (contacts, log) = (self.contacts.len(), self.log.len());
        write!(f, "Outcome({contacts} contacts, {log} log entries)")
    }
}

impl Outcome {
    /// Whom a row stands for.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn customer(&self, row: u32) -> CustomerId<'_> {
        self.customers.get(row as usize)
    }

    /// Id of a journey.
    ///
    /// # Panics
    /// If the position is not one of this outcome.
    pub fn journey(&self, journey: u16) -> &str {
        &self.words.journeys[usize::from(journey)].id
    }

    /// Id of a step.
    ///
    /// # Panics
    /// If a position is not one of this outcome.
    pub fn step(&self, journey: u16, step: u16) -> &str {
        &self.words.journeys[usize::from(journey)].steps[usize::from(step)].id
    }

    /// Ids of the channels of an option of a step.
    ///
    /// # Panics
    /// If a position is not one of this outcome.
    pub fn channels(&self, journey: u16, step: u16, option: u16) -> Vec<&str> {
        let step = &self.words.journeys[usize::from(journey)].steps[usize::from(step)];
        let channels = step.options[usize::from(option)].1.iter();
        channels.map(|c| self.words.channels[*c].as_str()).collect()
    }

    /// Whether an option of a step is what the plan said, not one of the step's own.
    ///
    /// # Panics
    /// If a position is not one of this outcome.
    pub fn is_planned(&self, journey: u16, step: u16, option: u16) -> bool {
        let step = &self.words.journeys[usize::from(journey)].steps[usize::from(step)];
        usize::from(option) >= step.named
    }

    /// Ids of the offers that a contact gives.
    ///
    /// # Panics
    /// If the contact is not one of this outcome.
    pub fn offers(&self, contact: &Contact) -> Vec<&str> {
        let step = &self.words.journeys[usize::from(contact.journey)].steps;
        let offers = &step[usize::from(contact.step)].options[usize::from(contact.option)].0;
        let given = offers.iter().enumerate();
        given
            .filter(|(i, _)| contact.given & 1 << i != 0)
            .map(|(_, o)| self.words.offers[*o].id.as_str())
            .collect()
    }

    /// Cost of each offer that a contact gives (currency) and when it is paid.
    ///
    /// # Panics
    /// If the contact is not one of this outcome.
    pub fn offer_terms(&self, contact: &Contact) -> Vec<(&str, f64, Paid)> {
        let given = self.offers(contact).into_iter();
        given
            .filter_map(|id| self.words.offers.iter().find(|terms| terms.id == id))
            .map(|terms| (terms.id.as_str(), terms.cost, terms.paid))
            .collect()
    }

    /// Share of customers that the contact policy holds out, where it does.
    pub fn held_out_share(&self) -> Option<f64> {
        self.words.held_out_share
    }

    /// Label of the segment of a contact.
    ///
    /// # Panics
    /// If the contact is not one of this outcome.
    pub fn segment(&self, contact: &Contact) -> Option<&str> {
        Some(self.segment_label(contact.segment?))
    }

    /// Label of a segment by its code in contacts and decisions.
    ///
    /// # Panics
    /// If the code is not one of this outcome.
    pub fn segment_label(&self, segment: u8) -> &str {
        &self.words.segments[usize::from(segment)]
    }

    /// What stands behind a decision, in one word or id: the trigger, the target, the option, the
    /// rule, the reason.
    ///
    /// # Panics
    /// If the entry is not one of this outcome.
    pub fn reason(&self, entry: &LogEntry) -> String {
        let journey = &self.words.journeys[usize::from(entry.journey)];
        match entry.decision {
            Decision::Entered { trigger } => journey.triggers[usize::from(trigger)].clone(),
            Decision::Went { to: Some(to) } => journey.steps[usize::from(to)].id.clone(),
            Decision::Went { to: None } => "completed".to_owned(),
            Decision::Sent { option, .. } | Decision::HeldOut { option, .. } => {
                let step = entry.step.unwrap_or(0);
                self.channels(entry.journey, step, option).join("+")
            }
            Decision::Held { reason, .. } | Decision::Skipped { reason } => {
                reason.name().to_owned()
            }
            Decision::Left { reason } => journey.reasons[usize::from(reason)].clone(),
        }
    }

    /// One line about a log entry.
    ///
    /// # Panics
    /// If the entry is not one of this outcome.
    pub fn line(&self, entry: &LogEntry) -> String {
        let step = match entry.step {
            Some(step) => format!(".{}", self.step(entry.journey, step)),
            None => String::new(),
        };
        let until = match entry.decision {
            Decision::Held { until, .. } => format!(" until {until}"),
            _ => String::new(),
        };
        format!(
            "{} {} {}{step}: {} {}{until}",
            entry.at,
            self.customer(entry.row),
            self.journey(entry.journey),
            entry.decision.name(),
            self.reason(entry),
        )
    }
}
