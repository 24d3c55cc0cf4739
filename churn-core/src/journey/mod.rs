//! Win-back journeys: dated steps, contact policy, hold-out, replay.

mod check;
mod contact_policy;
mod definition;
mod graph;
mod happening;
mod holdout;
mod quiet_hours;
mod zones;

pub use contact_policy::{Cap, ContactPolicy, Rejection, WhenQuiet};
pub use definition::{
    Arm, Change, Choose, Exit, Journey, Reentry, Send, SendOption, Share, Step, Trigger, Wait,
    WhenCapped,
};
pub use happening::{Happening, NewEvent};
pub use holdout::{Holdout, lot};
pub use quiet_hours::{Day, QuietHours};
