//! The whole flow in one call.

use std::sync::Arc;

use churn_core::winback::{WinBack as Flow, WinBackSettings};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::OrRaise;
use crate::features::FeatureTable;
use crate::lifetime::LifetimeModel;
use crate::scoring::{Scores, read_language};
use crate::segments::Segments;
use crate::shared::Shared;
use crate::strategy::{Plan, Playbook};
use crate::{convert, customers, events, learned, progress, settings};

/// Everything the flow found out; all rows are the same customers.
#[pyclass(frozen, module = "churn")]
pub(crate) struct WinBack {
    flow: Arc<Flow>,
    /// What describes each customer.
    #[pyo3(get)]
    features: Py<FeatureTable>,
    /// The model of buying that was fitted, if the settings ask for one.
    #[pyo3(get)]
    lifetime: Option<Py<LifetimeModel>>,
    /// Churn probabilities with reasons.
    #[pyo3(get)]
    scores: Py<Scores>,
    /// Risk tiers.
    #[pyo3(get)]
    risk_tier: Py<Segments>,
    /// Segments of the grid.
    #[pyo3(get)]
    rfm_segment: Py<Segments>,
    /// Lifecycle stages.
    #[pyo3(get)]
    lifecycle: Py<Segments>,
    /// Who gets what, through which channels.
    #[pyo3(get)]
    plan: Py<Plan>,
}

impl WinBack {
    fn wrap(py: Python<'_>, flow: Flow) -> PyResult<Self> {
        let flow = Arc::new(flow);
        let share = || Arc::clone(&flow);
        Ok(WinBack {
            features: FeatureTable::wrap(
                py,
                Shared::Part(share(), |flow| &flow.features),
                Some(Shared::Part(share(), |flow| &flow.population)),
            )?,
            lifetime: LifetimeModel::wrap(py, flow.lifetime.as_ref())?,
            scores: Scores::wrap(py, Shared::Part(share(), |flow| &flow.scores))?,
            risk_tier: Segments::wrap(py, Shared::Part(share(), |flow| &flow.risk_tier))?,
            rfm_segment: Segments::wrap(py, Shared::Part(share(), |flow| &flow.rfm_segment))?,
            lifecycle: Segments::wrap(py, Shared::Part(share(), |flow| &flow.lifecycle))?,
            plan: Plan::wrap(py, Shared::Part(share(), |flow| &flow.plan))?,
            flow,
        })
    }
}

#[pymethods]
impl WinBack {
    /// One customer told as a story: the numbers, the reasons, the offer.
    #[pyo3(signature = (customer, *, language=None))]
    fn story(
        &self,
        customer: &Bound<'_, PyAny>,
        language: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let row = customers::row(self.flow.features.customers(), customer)?;
        let language = read_language(language)?;
        self.flow.story(row, language).or_raise(customer.py())
    }

    /// Three customers worth telling about, from every risk tier that has one, high to low.
    fn examples<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let customers = self.flow.features.customers();
        let rows = self.flow.examples().or_raise(py)?;
        rows.into_iter()
            .map(|row| convert::id(py, customers.get(row)))
            .collect()
    }

    /// The plan as the bytes of a CSV file, one row per customer.
    #[pyo3(signature = (*, language=None))]
    fn plan_csv<'py>(
        &self,
        py: Python<'py>,
        language: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let language = read_language(language)?;
        let mut bytes = Vec::new();
        py.detach(|| self.flow.write_plan(&mut bytes, language))
            .or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __repr__(&self) -> String {
        format!(
            "WinBack({} customers as of {})",
            self.flow.features.len(),
            self.flow.features.as_of()
        )
    }

    /// The summary of the plan as a table for reading.
    fn __str__(&self) -> String {
        self.flow.plan.summary().to_string()
    }
}

/// Features, scores, segments and plan of all customers with an event before `as_of`.
#[pyfunction]
#[pyo3(signature = (log, as_of=None, *, model=None, progress=None, **settings))]
pub(crate) fn winback(
    py: Python<'_>,
    log: &events::EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
    model: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<WinBack> {
    let log = log.log(py)?;
    let as_of = match as_of {
        Some(as_of) => convert::as_of(as_of)?,
        None => log.day_after_last().or_raise(py)?,
    };
    let settings = read(py, settings)?;
    let model = model.map(learned::read_model).transpose()?;
    let flow = progress::run(py, progress, |progress| match &model {
        None => Flow::run(&log, as_of, &settings, progress),
        Some(model) => Flow::run_with(&log, as_of, &settings, |table| model.score(table), progress),
    })?;
    WinBack::wrap(py, flow)
}

pub(crate) fn read(
    py: Python<'_>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<WinBackSettings> {
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
