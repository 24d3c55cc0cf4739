//! A journey with all references looked up: the form that the engine walks.

use jiff::civil;

use super::definition::{Choose, WhenCapped};
use super::happening::Happening;
use crate::strategy::conditions::Formula;

/// Where a walk goes next: a step by position, or out of the journey.
pub(super) type Next = Option<usize>;

#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) triggers: Vec<Entry>,
    /// Microseconds after the last entry; `None` = never again.
    pub(super) reentry: Option<i64>,
    pub(super) exits: Vec<Way>,
    /// Microseconds after entry.
    pub(super) at_most: Option<i64>,
    pub(super) nodes: Vec<Node>,
    pub(super) priority: i32,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) on: On,
    pub(super) when: Option<Formula>,
    pub(super) start: usize,
}

#[derive(Debug, Clone)]
pub(super) enum On {
    /// From so many microseconds of silence on, and before so many.
    Silence {
        from: i64,
        before: i64,
    },
    Event {
        kind: Happening,
        late: i64,
    },
    Becomes {
        yes: Formula,
        no: Formula,
        first_sight: bool,
    },
    Changes {
        from: Formula,
        to: Formula,
    },
}

impl Entry {
    /// Whether it watches facts from one step to the next.
    pub(super) fn watches(&self) -> bool {
        matches!(self.on, On::Becomes { .. } | On::Changes { .. })
    }
}

#[derive(Debug, Clone)]
pub(super) enum Way {
    Event { kind: Happening, reason: usize },
    When { formula: Formula, reason: usize },
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    /// So many microseconds.
    Pause {
        micros: i64,
        next: Next,
    },
    /// A local time of day, so many calendar days later.
    At {
        days: u32,
        at: civil::Time,
        next: Next,
    },
    Silence {
        micros: i64,
        next: Next,
    },
    Event {
        kind: Happening,
        time_out: i64,
        on_event: Next,
        next: Next,
    },
    Branch {
        arms: Vec<(Formula, Next)>,
        next: Next,
    },
    /// Upper ends of the shares, the last is 1.
    Split {
        arms: Vec<(f64, Next)>,
    },
    Send(Box<Sending>, Next),
    Exit {
        reason: usize,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Sending {
    /// Those of the definition, then, where the step makes what the plan says, those of the
    /// playbook's actions over their channel sets.
    pub(super) options: Vec<Manner>,
    /// How many the definition names.
    pub(super) named: usize,
    /// Where the options of each action begin; empty where the step knows no plan.
    pub(super) planned: Vec<usize>,
    pub(super) choose: Choose,
    pub(super) when_capped: Option<WhenCapped>,
    pub(super) hold_at_most: Option<i64>,
    pub(super) response_value: Option<f64>,
    pub(super) exempt: bool,
}

/// One option of a send step.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// Positions in the playbook.
    pub(super) offers: Vec<usize>,
    pub(super) channels: Vec<usize>,
    /// The channels as bits.
    pub(super) mask: u32,
    /// One contact over each channel (currency).
    pub(super) cost: f64,
    /// Chance of an answer over any channel, from the playbook's prior responses.
    pub(super) prior: f64,
}
