//! What customers did, seen together: cohorts, retention, lifecycle over time, stickiness.
//!
//! ```text
//! History ─▶ RetentionSettings::table  ─▶ RetentionTable   who came back, by cohort
//!         ─▶ LifecycleSettings::table  ─▶ LifecycleTable   new, returning, resurrecting, dormant
//!         ─▶ StickinessSettings::table ─▶ Stickiness       active in how many periods
//! ```
//!
//! All count customers exactly, in days, weeks or months of a stated time zone, from events
//! strictly before `as_of`. A period that `as_of` cuts is marked, for it is not over: what looks
//! like a drop there is only the missing rest.

mod lifecycle;
mod periods;
mod retention;
mod stickiness;
#[cfg(test)]
mod testing;

pub use lifecycle::{FirstSeen, LifecycleSettings, LifecycleTable};
pub use retention::{
    Cohort, CohortKind, Mean, Retention, RetentionSettings, RetentionTable, Windows,
};
pub use stickiness::{Stickiness, StickinessSettings};
