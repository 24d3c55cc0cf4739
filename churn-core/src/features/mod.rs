//! Features of customers as of an instant, from the past only.

mod table;

pub use table::{FeatureInfo, FeatureTable};
