//! Win-back journeys: dated steps, contact policy, hold-out, replay.

mod check;
mod contact_policy;
mod definition;
mod diff;
mod engine;
mod graph;
mod happening;
mod holdout;
mod learning;
mod log;
mod names;
mod quiet_hours;
mod replay;
mod state;
#[cfg(test)]
mod tests;
mod walk;
mod zones;

pub use contact_policy::{Cap, ContactPolicy, Rejection, WhenQuiet};
pub use definition::{
    Arm, Change, Choose, Exit, Journey, Reentry, Send, SendOption, Share, Step, Trigger, Wait,
    WhenCapped,
};
pub use diff::{Difference, differences};
pub use engine::{Engine, News};
pub use happening::{Happening, NewEvent};
pub use holdout::{Holdout, lot};
pub use learning::{LearnedOption, Learning, LearningSettings, Tally};
pub use log::{Contact, Decision, LogEntry, Outcome};
pub use quiet_hours::{Day, QuietHours};
pub use replay::{Calendar, Comparison, Described, Replay, ReplayDay, replay};
pub use state::State;
