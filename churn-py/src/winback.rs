//! The whole flow in one call.

use std::sync::Arc;

use churn_core::winback::WinBackSettings;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::features::FeatureTable;
use crate::scoring::Scores;
use crate::segments::Segments;
use crate::strategy::{Plan, Playbook};
use crate::{convert, events, progress, settings};

/// Everything the flow found out; all rows are the same customers.
#[pyclass(frozen, get_all, module = "churn")]
pub(crate) struct WinBack {
    /// What describes each customer.
    features: Py<FeatureTable>,
    /// Churn probabilities with reasons.
    scores: Py<Scores>,
    /// Risk tiers.
    risk_tier: Py<Segments>,
    /// Segments of the grid.
    rfm_segment: Py<Segments>,
    /// Lifecycle stages.
    lifecycle: Py<Segments>,
    /// Who gets what, through which channels.
    plan: Py<Plan>,
}

#[pymethods]
impl WinBack {
    fn __repr__(&self) -> String {
        let plan = self.plan.get();
        format!(
            "WinBack({} customers as of {})",
            plan.plan.customers().len(),
            plan.plan.as_of()
        )
    }

    /// The summary of the plan as a table for reading.
    fn __str__(&self) -> String {
        self.plan.get().plan.summary().to_string()
    }
}

/// Features, scores, segments and plan of all customers with an event before `as_of`.
#[pyfunction]
#[pyo3(signature = (log, as_of, *, progress=None, **settings))]
pub(crate) fn winback(
    log: &events::EventLog,
    as_of: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<WinBack> {
    let py = as_of.py();
    let as_of = convert::as_of(as_of)?;
    let settings = read(py, settings)?;
    let churn_core::winback::WinBack {
        features,
        population,
        scores,
        risk_tier,
        rfm_segment,
        lifecycle,
        plan,
    } = progress::run(py, progress, |progress| {
        churn_core::winback::WinBack::run(&log.log, as_of, &settings, progress)
    })?;
    Ok(WinBack {
        features: FeatureTable::wrap(py, Arc::new(features), Arc::new(population))?,
        scores: Scores::wrap(py, Arc::new(scores))?,
        risk_tier: Segments::wrap(py, Arc::new(risk_tier))?,
        rfm_segment: Segments::wrap(py, Arc::new(rfm_segment))?,
        lifecycle: Segments::wrap(py, Arc::new(lifecycle))?,
        plan: Plan::wrap(py, Arc::new(plan))?,
    })
}

fn read(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<WinBackSettings> {
    let Some(settings) = settings else {
        return settings::read(py, "winback", None);
    };
    // The core takes a playbook as text, for the names that it may use are known only here.
    let settings = settings.copy()?;
    if let Some(playbook) = settings.get_item("playbook")?
        && let Ok(playbook) = playbook.cast::<Playbook>()
    {
        let source = PyDict::new(py);
        source.set_item("json", playbook.get().to_json(py)?)?;
        settings.set_item("playbook", source)?;
    }
    settings::read(py, "winback", Some(&settings))
}
