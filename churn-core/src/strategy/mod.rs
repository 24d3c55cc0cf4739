//! What to do for whom: a playbook of actions matched with customers.
//!
//! A [`Playbook`] is data: channels and offers with their costs, and actions for audiences. An
//! audience is a [`Condition`] over any feature, score or segmentation, in the language of
//! [`conditions`]. [`match_actions`] gives
//! each customer an action, the channels chosen from how the customer really responds, and, on
//! request, the reasons in words.
//!
//! ```text
//! FeatureTable ─┐
//! Scores ───────┼─▶ Facts ─┬─▶ match_actions ─▶ Plan
//! Segments ─────┘          │
//! TOML / JSON ──▶ Playbook ┘
//! ```
//!
//! A line belongs in this room if it spends money or weighs gain against cost. Nothing here learns:
//! response rates come from features, values and costs from the playbook.

mod allocation;
pub mod conditions;
mod constraints;
mod document;
mod effects;
mod facts;
pub(crate) mod holdout;
mod matching;
mod optimize;
mod plan;
mod playbook;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
mod value;
mod why;

pub use allocation::{Allocation, CurvePoint, Price};
pub use conditions::{CHURN_PROBABILITY, Condition, Vocabulary};
pub use constraints::{
    ActionLimit, ChannelLimit, Constraints, Id, Need, OfferLimit, Scope, SegmentLimit, ShareOf,
};
pub(crate) use document::{line_in_json, line_in_toml};
pub use effects::{
    EffectSettings, EffectSource, Effects, ExperimentEffect, ObservedResponse, SegmentName,
};
pub use facts::Facts;
pub use holdout::{Holdout, lot};
pub use matching::match_actions;
pub use optimize::{OptimizeSettings, optimize, optimize_with};
pub use plan::{ActionSummary, NONE, NoAction, Plan, PlanSummary};
pub use playbook::{Action, Channel, ChooseBy, Offer, Paid, Playbook};
pub use value::{ValueSettings, Worth};
