//! Models learned from outcomes.

mod check;
mod dataset;
mod frame;
mod logistic;
pub mod splits;

pub use dataset::{CutOffs, Eligibility, Excluded, TrainingData, TrainingSettings};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use logistic::{Effect, Logistic, LogisticModel};
mod boosting;
mod frame;
mod trees;

pub use boosting::{Boosting, Objective, Validation};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use trees::{BoostedTrees, Importance, Link, RowScorer, TreeEnsemble};
