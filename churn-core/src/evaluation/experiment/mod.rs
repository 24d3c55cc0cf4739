//! Did it work? Arms of an experiment compared on one outcome.
//!
//! ```text
//! Arms (who was in which arm) ─┬─ sample_ratio ─▶ was the split what was planned?
//!           outcome per unit ──┴─ compare ──────▶ Comparison: effect of each arm, with intervals
//!                                 plan ─────────▶ how many, how long, which effect can be seen
//! ```
//!
//! Units are customers (or whatever was randomised), never rows of events: an outcome counted per
//! event makes intervals that are too short. Do not use it where arms were chosen by looking at
//! the customers; that needs propensities, see [`policy_value`](super::policy_value).

mod arms;
mod bayes;
mod bootstrap;
mod compare;
mod cuped;
mod frequentist;
mod group_sequential;
mod multiplicity;
mod plan;
mod rank;
mod sample_ratio;
mod sequential;

pub use arms::Arms;
pub use bayes::{Posterior, beta_binomial, normal_posterior};
pub use bootstrap::{BootstrapSettings, bootstrap_difference};
pub use compare::{ArmSummary, Comparison, ComparisonSettings, Effect, Outcome, compare};
pub use cuped::{Adjusted, cuped};
pub use frequentist::{Estimate, Sample, two_proportions, welch};
pub use group_sequential::{Spending, group_sequential_bounds};
pub use multiplicity::{Correction, adjust_p_values};
pub use plan::{PlanSettings, SamplePlan, minimum_detectable_effect, power, sample_size};
pub use rank::{RankTest, mann_whitney};
pub use sample_ratio::{SampleRatio, sample_ratio};
pub use sequential::{SequentialSettings, always_valid_half_width};
