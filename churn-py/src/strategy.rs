//! What to do for whom: a playbook of actions matched with customers.

use churn_core::arrow::{BatchBuilder, plan_batch};
use churn_core::{features, scoring, segments, strategy};
use pyo3::prelude::*;

use crate::convert;
use crate::customers::{self, Customers};
use crate::errors::OrRaise;
use crate::features::FeatureTable;
use crate::optimize::Allocation;
use crate::scoring::{Scores, read_language};
use crate::segments::Segments;
use crate::shared::Shared;
use crate::table::Table;

/// Features, scores and segments of the same customers, side by side: what conditions speak of.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Facts {
    features: Shared<features::FeatureTable>,
    scores: Shared<scoring::Scores>,
    segments: Vec<Shared<segments::Segments>>,
}

impl Facts {
    pub(crate) fn with<T>(
        &self,
        call: impl FnOnce(&strategy::Facts<'_>) -> churn_core::Result<T>,
    ) -> churn_core::Result<T> {
        let segments: Vec<&segments::Segments> = self.segments.iter().map(|s| &**s).collect();
        call(&strategy::Facts::new(
            &self.features,
            &self.scores,
            &segments,
        )?)
    }
}

#[pymethods]
impl Facts {
    #[new]
    fn new(
        py: Python<'_>,
        features: &FeatureTable,
        scores: &Scores,
        segments: Vec<PyRef<'_, Segments>>,
    ) -> PyResult<Self> {
        let facts = Facts {
            features: features.table.clone(),
            scores: scores.scores.clone(),
            segments: segments.iter().map(|s| s.segments.clone()).collect(),
        };
        facts.with(|_| Ok(())).or_raise(py)?;
        Ok(facts)
    }

    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.features.customers())
    }

    fn __repr__(&self) -> String {
        let names: Vec<&str> = self.segments.iter().map(|s| s.name()).collect();
        format!(
            "Facts({} customers: {} features, churn_probability, {})",
            self.features.len(),
            self.features.features().len(),
            names.join(", ")
        )
    }
}

/// Action, channels and offers that a plan means for a customer.
type Intended = (String, Vec<String>, Vec<String>);

/// Channels and offers with their costs, and actions for audiences; read like a document.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Playbook {
    pub(crate) playbook: strategy::Playbook,
}

impl Playbook {
    pub(crate) fn inner(&self) -> &strategy::Playbook {
        &self.playbook
    }
}

#[pymethods]
impl Playbook {
    /// The default playbook as TOML: a start to copy and to adapt.
    #[classattr]
    const DEFAULT_TOML: &'static str = strategy::Playbook::DEFAULT_TOML;

    /// The default playbook, checked against the names of these facts.
    #[staticmethod]
    fn default_for(py: Python<'_>, facts: &Facts) -> PyResult<Self> {
        let playbook = facts
            .with(|facts| strategy::Playbook::default_for(facts.vocabulary()))
            .or_raise(py)?;
        Ok(Playbook { playbook })
    }

    /// Reads a playbook from TOML and checks it against the names of these facts.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str, facts: &Facts) -> PyResult<Self> {
        let playbook = facts
            .with(|facts| strategy::Playbook::from_toml(text, facts.vocabulary()))
            .or_raise(py)?;
        Ok(Playbook { playbook })
    }

    /// Reads a playbook from JSON and checks it against the names of these facts.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str, facts: &Facts) -> PyResult<Self> {
        let playbook = facts
            .with(|facts| strategy::Playbook::from_json(text, facts.vocabulary()))
            .or_raise(py)?;
        Ok(Playbook { playbook })
    }

    /// The playbook as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.playbook.to_toml().or_raise(py)
    }

    /// The playbook as JSON.
    pub(crate) fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.playbook.to_json().or_raise(py)
    }

    /// Name of the playbook.
    #[getter]
    fn name(&self) -> &str {
        &self.playbook.name
    }

    /// The currency of all costs and values.
    #[getter]
    fn currency(&self) -> &str {
        &self.playbook.currency
    }

    /// Ids of the actions.
    #[getter]
    fn actions(&self) -> Vec<&str> {
        self.playbook
            .actions
            .iter()
            .map(|a| a.id.as_str())
            .collect()
    }

    /// Ids of the channels.
    #[getter]
    fn channels(&self) -> Vec<&str> {
        self.playbook
            .channels
            .iter()
            .map(|c| c.id.as_str())
            .collect()
    }

    /// Ids of the offers.
    #[getter]
    fn offers(&self) -> Vec<&str> {
        self.playbook.offers.iter().map(|o| o.id.as_str()).collect()
    }

    fn __repr__(&self) -> String {
        format!(
            "Playbook({}: {})",
            self.playbook.name,
            self.actions().join(", ")
        )
    }
}

/// Gives each customer an action of the playbook, or none.
#[pyfunction]
pub(crate) fn match_actions(
    py: Python<'_>,
    playbook: &Playbook,
    facts: &Facts,
) -> PyResult<Py<Plan>> {
    let plan = py
        .detach(|| facts.with(|facts| strategy::match_actions(&playbook.playbook, facts)))
        .or_raise(py)?;
    Plan::wrap(py, Shared::new(plan))
}

/// What is done for each customer.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Plan {
    pub(crate) plan: Shared<strategy::Plan>,
}

impl Plan {
    pub(crate) fn wrap(py: Python<'_>, plan: Shared<strategy::Plan>) -> PyResult<Py<Self>> {
        let source = plan.clone();
        let base = Table::new(plan.customers().len(), move || plan_batch(&source));
        let this = Plan { plan };
        Py::new(py, PyClassInitializer::from(base).add_subclass(this))
    }
}

#[pymethods]
impl Plan {
    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.plan.customers())
    }

    /// The instant that the plan is made for.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.plan.as_of().instant())
    }

    /// How far the churn probabilities behind it look ahead of `as_of`, in days.
    #[getter]
    fn horizon_days(&self) -> u32 {
        self.plan.horizon().as_days()
    }

    /// The playbook that was matched.
    #[getter]
    fn playbook(&self) -> Playbook {
        Playbook {
            playbook: self.plan.playbook().clone(),
        }
    }

    /// Profit, prices and proof, where the plan is made for profit; otherwise None.
    #[getter]
    fn allocation(&self) -> Option<Allocation> {
        Allocation::of(&self.plan)
    }

    /// Why one customer has no action, e.g. "no_audience" or "outbid"; None where there is one.
    fn no_action(&self, customer: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
        let row = customers::row(self.plan.customers(), customer)?;
        Ok(self.plan.no_action(row).map(|reason| reason.name()))
    }

    /// Id of one customer's action, or None.
    fn action(&self, customer: &Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        let row = customers::row(self.plan.customers(), customer)?;
        Ok(self.plan.action(row).map(|action| action.id.as_str()))
    }

    /// Ids of the channels that one customer is contacted over.
    fn channels(&self, customer: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let row = customers::row(self.plan.customers(), customer)?;
        Ok(self.plan.channels(row).to_vec())
    }

    /// Ids of the offers that one customer is given.
    fn offers(&self, customer: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let row = customers::row(self.plan.customers(), customer)?;
        let offers = self.plan.offers(row).into_iter();
        Ok(offers.map(|offer| offer.id.clone()).collect())
    }

    /// What the plan means for one customer, also for one who is held out: action, channels, offers.
    fn intended(&self, customer: &Bound<'_, PyAny>) -> PyResult<Option<Intended>> {
        let row = customers::row(self.plan.customers(), customer)?;
        Ok(self.plan.intended(row).map(|(action, channels, offers)| {
            let offers = offers.iter().map(|offer| offer.id.clone());
            (action.id.clone(), channels.to_vec(), offers.collect())
        }))
    }

    /// Why one customer gets this action over these channels, or none, in words.
    #[pyo3(signature = (customer, *, language=None))]
    fn why(
        &self,
        customer: &Bound<'_, PyAny>,
        language: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let row = customers::row(self.plan.customers(), customer)?;
        Ok(self.plan.why(row, read_language(language)?))
    }

    /// Customers, expected responses and costs, one row per action.
    fn summary(&self) -> Table {
        let summary = self.plan.summary();
        Table::new(summary.actions.len(), move || {
            let actions = || summary.actions.iter();
            BatchBuilder::new()
                .metadata("currency", summary.currency.clone())
                .texts("action", actions().map(|a| Some(a.action.as_str())))
                .counts("customers", actions().map(|a| Some(a.customers as u64)))
                .optional_numbers("share", actions().map(|a| Some(a.share)))
                .optional_numbers(
                    "expected_responses",
                    actions().map(|a| Some(a.expected_responses)),
                )
                .optional_numbers("contact_cost", actions().map(|a| Some(a.contact_cost)))
                .optional_numbers("offer_cost", actions().map(|a| Some(a.offer_cost)))
                .finish()
        })
    }

    fn __repr__(&self) -> String {
        format!("{:?}", *self.plan)
    }

    /// The summary as a table for reading, and what is known of profit.
    fn __str__(&self) -> String {
        let summary = self.plan.summary().to_string();
        match self.plan.allocation() {
            None => summary,
            Some(allocation) => format!("{summary}\n\n{allocation}"),
        }
    }
}
