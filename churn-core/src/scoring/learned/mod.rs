//! Models learned from outcomes.

mod dataset;
mod frame;
pub mod splits;

pub use dataset::{CutOffs, Eligibility, Excluded, TrainingData, TrainingSettings};
pub use frame::{Column, Frame, MISSING_LEVEL};
