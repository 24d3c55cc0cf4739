//! Models learned from outcomes.

mod boosting;
mod calibration;
mod check;
mod dataset;
mod frame;
mod linear;
mod logistic;
pub mod splits;
mod trees;

pub use boosting::{Boosting, Objective, Validation};
pub use calibration::{Calibration, Calibrator};
pub use dataset::{CutOffs, Eligibility, Excluded, TrainingData, TrainingSettings};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use linear::{Linear, LinearModel};
pub use logistic::{Effect, Logistic, LogisticModel};
pub use trees::{BoostedTrees, Importance, Link, RowScorer, TreeEnsemble};
