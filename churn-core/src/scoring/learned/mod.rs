//! Models learned from outcomes.

mod boosting;
mod explain;
mod forest;
mod frame;
mod trees;

pub use boosting::{Boosting, Objective, Validation};
pub use explain::Contributions;
pub use forest::{DecisionTree, Forest};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use trees::{BoostedTrees, Importance, Link, RowScorer, TreeEnsemble};
