//! The one door for Arrow: record batches and C-data streams in, tables out as record batches.
//!
//! ```text
//! RecordBatchReader / FFI_ArrowArrayStream ─▶ EventBatches ─columns()─▶ EventColumns ─▶ EventLog
//! FeatureTable, Scores, Segments, Plan ─▶ feature_batch, score_batch, … ─▶ RecordBatch
//! ```
//!
//! Nothing else in the library knows Arrow, so its types may change without touching a kernel.
//! Columns that already have the layout of the log (64-bit integers, microseconds, `f64`, packed
//! or coded text in one chunk) are borrowed, not copied. The columns of a feature table and of training
//! data leave as they lie, sharing their memory.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampSecondArray};
//! use churn_core::EventLog;
//! use churn_core::arrow::EventBatches;
//! use churn_core::events::{Cleaning, ColumnNames};
//! let batch = RecordBatch::try_from_iter([
//!     ("customer", Arc::new(Int64Array::from(vec![7, 7, 9])) as ArrayRef),
//!     ("time", Arc::new(TimestampSecondArray::from(vec![0, 60, 90]))),
//!     ("value", Arc::new(Float64Array::from(vec![9.5, 20.0, 3.0]))),
//! ])
//! .unwrap();
//! let events = EventBatches::from_batches(vec![batch], &ColumnNames::default())?;
//! let log = EventLog::from_columns(&events.columns()?, &Cleaning::default())?;
//! assert_eq!(log.report().purchases_kept, 32.5);
//! # Ok::<(), churn_core::Error>(())
//! ```

mod analysis;
mod check;
mod column;
mod frame;
mod journey;
mod lifetime;
mod read;
mod shared;
mod write;

pub use analysis::{
    baseline_batch, coefficient_batch, gap_batch, hazard_batch, lifecycle_batch, log_rank_batch,
    retention_batch, stickiness_batch, survival_batch,
};
pub use frame::{frame_from_batches, frame_from_stream};
pub use journey::{contact_batch, journey_log_batch, replay_batch};
pub use lifetime::{holdout_batch, lifetime_batch, value_batch};
pub use read::{BatchReader, EventBatches};
pub use write::{
    BatchBuilder, batch_stream, cleaning_batch, curve_batch, drift_batch, explanation_batch,
    feature_batch, learner_batch, plan_batch, price_batch, score_batch, segment_batch,
    summary_batch, training_batch,
};
