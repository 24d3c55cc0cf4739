//! Win-back journeys: dated steps, contact policy, hold-out, replay.
//!
//! A [`Journey`] is data: who enters, what happens in which order, what ends it. A
//! [`ContactPolicy`] is data too: how often and when a customer may be contacted at all. An
//! [`Engine`] made of both is a pure function from one [`State`] to the next:
//!
//! ```text
//! Journey(s) ─┐                 ┌─▶ State ──────────┐ stored between two steps
//! Playbook ───┼─▶ Engine.step ──┼─▶ contacts        │
//! Policy ─────┘    ▲  ▲  ▲      └─▶ log with reasons│
//!        events ───┘  │  └── now                    │
//!        facts ───────┘◀────────────────────────────┘
//! ```
//!
//! It has no clock, no I/O and no memory of its own: the same arguments give the same answer, in any
//! language. [`replay`] runs an engine over past events, or over the days to come.
//!
//! A line belongs in this room if it names a date, a channel or an order of steps.

mod check;
mod contact;
mod contact_policy;
mod definition;
mod diff;
mod engine;
mod graph;
mod happening;
mod learning;
mod limits;
mod log;
mod names;
mod news;
mod quiet_hours;
mod replay;
mod state;
mod stored;
#[cfg(test)]
mod tests;
mod walk;
mod zones;

use crate::strategy::holdout;

pub use crate::strategy::{Holdout, lot};
pub use contact_policy::{Cap, ContactPolicy, Rejection, WhenQuiet};
pub use definition::{
    Arm, Change, Choose, Exit, Journey, Reentry, Send, SendOption, Share, Step, Trigger, Wait,
    WhenCapped,
};
pub use diff::{Difference, differences};
pub use engine::Engine;
pub use happening::{EventRecord, Happening, NewEvent, RecordId};
pub use learning::{LearnedOption, Learning, LearningSettings, Tally};
pub use log::{Contact, Decision, LogEntry, Outcome};
pub use news::News;
pub use quiet_hours::{Day, QuietHours};
pub use replay::{
    Calendar, Comparison, Described, HeldBack, Replay, ReplayDay, events_between, replay,
    replay_planned,
};
pub use state::{CustomerRecord, State};
