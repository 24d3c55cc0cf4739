//! Models learned from outcomes.

mod boosting;
mod frame;
mod trees;

pub use boosting::{Boosting, Objective, Validation};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use trees::{BoostedTrees, Importance, Link, RowScorer, TreeEnsemble};
