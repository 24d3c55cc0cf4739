//! What really happened, beside what was expected: experiments, hold-outs, policies.
//!
//! A line belongs in this room if it compares with outcomes. Nothing below reads this room: what
//! an experiment taught goes back into strategy as a value of a type that strategy defines.

pub mod experiment;
mod exposures;
mod feedback;
mod incremental;
mod journeys;
pub mod policy_value;

pub use exposures::{ExposureOutcomes, Exposures};
pub use feedback::{ArmAction, UpliftCalibration};
pub use incremental::{
    Finding, GroupFinding, Incremental, IncrementalReport, IncrementalSettings, Total, incremental,
};
pub use journeys::{JourneyExposures, JourneyReport};
