//! Python module `churn._churn`: registration only. The package `churn` re-exports it.

mod convert;
mod customers;
mod errors;
mod events;
mod features;
mod optimize;
mod progress;
mod scoring;
mod segments;
mod settings;
mod shared;
mod simulate;
mod strategy;
mod table;
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
    use crate::customers::Customers;
    #[pymodule_export]
    use crate::events::EventLog;
    #[pymodule_export]
    use crate::features::{FeatureTable, Population, RfmSummary};
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
    use crate::table::Table;
    #[pymodule_export]
    use crate::winback::{WinBack, winback};
}
