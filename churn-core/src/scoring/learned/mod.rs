//! Models learned from outcomes.

mod boosting;
mod calibration;
mod check;
mod columns;
mod dataset;
mod explain;
mod forest;
mod frame;
mod linear;
mod logistic;
mod model;
pub(crate) mod packed;
mod pca;
mod selection;
pub mod splits;
mod svm;
mod trees;

pub use boosting::{Boosting, Objective, Validation};
pub use calibration::{Calibration, Calibrator};
pub use columns::{mutual_information, variation};
pub use dataset::{CutOffs, Eligibility, Excluded, TrainingData, TrainingSettings};
pub use explain::Contributions;
pub use forest::{DecisionTree, Forest};
pub use frame::{Column, Frame, MISSING_LEVEL};
pub use linear::{Linear, LinearModel};
pub use logistic::{Effect, Logistic, LogisticModel};
pub use model::{
    CalibrationDrift, ChurnModel, ChurnModelSettings, ColumnDrift, Dependence, Drift, Drivers,
    Explanation, FrameReason, Learner, LearnerReport, ModelScorer, OutOfFold, drivers,
};
pub(crate) use model::{SchemaColumn, check_schema, schema_of};
pub use pca::{Pca, PcaModel};
pub use selection::{
    CrossValidation, FoldScores, Search, SearchMeasure, SearchMethod, SearchResult, Trial, grid,
};
pub use svm::{Kernel, Svm, SvmModel};
pub use trees::{BoostedTrees, Importance, Link, RowScorer, TreeEnsemble};
