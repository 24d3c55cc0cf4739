//! Python module `churn._churn`: registration only. The package `churn` re-exports it.

mod behavior;
mod convert;
mod customers;
mod describer;
mod errors;
mod evaluation;
mod events;
mod features;
mod files;
mod journey;
mod learned;
mod lifetime;
mod metrics;
mod optimize;
mod progress;
mod scoring;
mod segments;
mod settings;
mod shared;
mod simulate;
mod strategy;
mod stream;
mod survival;
mod table;
mod uplift;
mod winback;

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;

/// The compiled part of the package `churn`.
#[pyo3::pymodule(gil_used = false)]
mod _churn {
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python expects")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use crate::behavior::{Retention, Stickiness, lifecycle_over_time, retention, stickiness};
    #[pymodule_export]
    use crate::customers::Customers;
    #[pymodule_export]
    use crate::describer::Describer;
    #[pymodule_export]
    use crate::evaluation::{
        Exposures, PolicyValue, calibrated_uplift, compare_arms, effects_of,
        group_sequential_bounds, minimum_detectable_effect, plan_from_log, policy_value_of, power,
        profit_curve, sample_ratio, sample_size, uplift_calibration,
    };
    #[pymodule_export]
    use crate::events::EventLog;
    #[pymodule_export]
    use crate::features::{FeatureTable, Holdout, Population, RfmSummary, RunningSummary, needs};
    #[pymodule_export]
    use crate::journey::{
        ContactPolicy, Journey, JourneyEngine, JourneyOutcome, JourneyReplay, JourneyState,
        hold_out, hold_out_stratified, journey_report, lot, replay,
    };
    #[pymodule_export]
    use crate::learned::{
        FittedModel, Pca, TrainingData, cross_validate, drivers, make_folds, mutual_information,
        search, variation,
    };
    #[pymodule_export]
    use crate::lifetime::{BgBbModel, LifetimeModel, RenewalModel, SpendModel, likelihood_ratio};
    #[pymodule_export]
    use crate::metrics::{
        average_precision, bootstrap, brier_score, calibration_drift, calibration_error,
        capture_at, class_separation, confusion, empc, gain_curve, kolmogorov_smirnov, lift_at,
        log_loss, mpc, pr_auc, psi, reliability_curve, roc_auc,
    };
    #[pymodule_export]
    use crate::optimize::{Allocation, optimize};
    #[pymodule_export]
    use crate::scoring::{Reason, Scorecard, Scores};
    #[pymodule_export]
    use crate::segments::{Grid, RiskTiers, Segments, lifecycle};
    #[pymodule_export]
    use crate::settings::defaults;
    #[pymodule_export]
    use crate::simulate::{Shop, SimulatedShop};
    #[pymodule_export]
    use crate::strategy::{Facts, Plan, Playbook, match_actions};
    #[pymodule_export]
    use crate::stream::{FeatureTables, LogStream, PartitionedLog};
    #[pymodule_export]
    use crate::survival::{
        CoxModel, CoxPH, HazardCurve, KaplanMeier, LogRank, NelsonAalen, SurvivalCurve, WeibullAFT,
        WeibullModel, concordance_index, logrank, purchase_gaps, survival_brier_score,
    };
    #[pymodule_export]
    use crate::table::Table;
    #[pymodule_export]
    use crate::uplift::{
        UpliftModel, cost_curve, propensity_scores, rate, rate_interval, toc_curve, uplift_at_k,
        uplift_curve, uplift_intervals, uplift_metrics, uplift_out_of_fold,
    };
    #[pymodule_export]
    use crate::winback::{WinBack, winback};
}
