//! Win-back journeys: dated steps under a contact policy, stepped day by day or replayed.

use std::sync::Arc;

use churn_core::arrow::{contact_batch, journey_log_batch, replay_batch};
use churn_core::journey::{self, EventRecord, NewEvent, News};
use churn_core::winback::{JourneySettings, WinBackSettings};
use churn_core::{AsOf, Error, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::customers::{self, Customers};
use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::shared::Shared;
use crate::strategy::{Facts, Plan, Playbook};
use crate::table::Table;
use crate::{convert, evaluation, progress, settings, winback};

/// Who enters, what happens in which order and what ends it; read like a document.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Journey {
    journey: journey::Journey,
}

#[pymethods]
impl Journey {
    /// The default journey as TOML: a start to copy and to adapt.
    #[classattr]
    const DEFAULT_TOML: &'static str = journey::Journey::DEFAULT_TOML;

    /// The default journey, checked against this playbook and the names of these facts.
    #[staticmethod]
    fn default_for(py: Python<'_>, playbook: &Playbook, facts: &Facts) -> PyResult<Self> {
        Self::from_toml(py, journey::Journey::DEFAULT_TOML, playbook, facts)
    }

    /// Reads a journey from TOML and checks it against this playbook and the names of these facts.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str, playbook: &Playbook, facts: &Facts) -> PyResult<Self> {
        let read = |facts: &churn_core::strategy::Facts<'_>| {
            journey::Journey::from_toml(text, &playbook.playbook, facts.vocabulary())
        };
        let journey = facts.with(read).or_raise(py)?;
        Ok(Journey { journey })
    }

    /// Reads a journey from JSON and checks it against this playbook and the names of these facts.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str, playbook: &Playbook, facts: &Facts) -> PyResult<Self> {
        let read = |facts: &churn_core::strategy::Facts<'_>| {
            journey::Journey::from_json(text, &playbook.playbook, facts.vocabulary())
        };
        let journey = facts.with(read).or_raise(py)?;
        Ok(Journey { journey })
    }

    /// The journey as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.journey.to_toml().or_raise(py)
    }

    /// The journey as JSON.
    pub(crate) fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.journey.to_json().or_raise(py)
    }

    /// Where this journey and another differ, one line per place.
    fn differences(&self, py: Python<'_>, other: &Journey) -> PyResult<Vec<String>> {
        let found = journey::differences(&self.journey, &other.journey).or_raise(py)?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    /// Id of the journey.
    #[getter]
    fn id(&self) -> &str {
        &self.journey.id
    }

    /// Ids of the steps.
    #[getter]
    fn steps(&self) -> Vec<&str> {
        self.journey.steps.iter().map(|s| s.id.as_str()).collect()
    }

    fn __repr__(&self) -> String {
        format!("Journey({}: {})", self.journey.id, self.steps().join(", "))
    }
}

/// How often, when and over which channels customers may be contacted; read like a document.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct ContactPolicy {
    policy: journey::ContactPolicy,
}

#[pymethods]
impl ContactPolicy {
    /// The default policy as TOML: a start to copy and to adapt.
    #[classattr]
    const DEFAULT_TOML: &'static str = journey::ContactPolicy::DEFAULT_TOML;

    /// The names of `preset`.
    #[classattr]
    const PRESETS: [&'static str; 5] = journey::ContactPolicy::PRESETS;

    /// The default policy, without what it says about channels that the playbook does not have.
    #[staticmethod]
    fn default_for(py: Python<'_>, playbook: &Playbook) -> PyResult<Self> {
        let policy = journey::ContactPolicy::default_for(&playbook.playbook).or_raise(py)?;
        Ok(ContactPolicy { policy })
    }

    /// The way that a product of the trade words its limits, with its customary numbers.
    #[staticmethod]
    fn preset(py: Python<'_>, name: &str, playbook: &Playbook) -> PyResult<Self> {
        let policy = journey::ContactPolicy::preset(name, &playbook.playbook).or_raise(py)?;
        Ok(ContactPolicy { policy })
    }

    /// Reads a policy from TOML and checks it against the channels of a playbook.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str, playbook: &Playbook) -> PyResult<Self> {
        let policy = journey::ContactPolicy::from_toml(text, &playbook.playbook).or_raise(py)?;
        Ok(ContactPolicy { policy })
    }

    /// Reads a policy from JSON and checks it against the channels of a playbook.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str, playbook: &Playbook) -> PyResult<Self> {
        let policy = journey::ContactPolicy::from_json(text, &playbook.playbook).or_raise(py)?;
        Ok(ContactPolicy { policy })
    }

    /// The policy as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.policy.to_toml().or_raise(py)
    }

    /// The policy as JSON.
    pub(crate) fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.policy.to_json().or_raise(py)
    }

    /// Where this policy and another differ, one line per place.
    fn differences(&self, py: Python<'_>, other: &ContactPolicy) -> PyResult<Vec<String>> {
        let found = journey::differences(&self.policy, &other.policy).or_raise(py)?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    fn __repr__(&self) -> String {
        format!(
            "ContactPolicy({} caps, {} quiet hours, zone {})",
            self.policy.caps.len(),
            self.policy.quiet_hours.len(),
            self.policy.zone
        )
    }
}

/// Journeys, policy and playbook, checked and ready to run: a pure function from state to state.
#[pyclass(frozen, module = "churn")]
pub(crate) struct JourneyEngine {
    engine: journey::Engine,
}

#[pymethods]
impl JourneyEngine {
    #[new]
    #[pyo3(signature = (journeys, policy, playbook, facts, *, learning=None))]
    fn new(
        py: Python<'_>,
        journeys: Vec<PyRef<'_, Journey>>,
        policy: &ContactPolicy,
        playbook: &Playbook,
        facts: &Facts,
        learning: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let learning: journey::LearningSettings = settings::read(py, "learning", learning)?;
        let journeys: Vec<journey::Journey> = journeys
            .iter()
            .map(|journey| journey.journey.clone())
            .collect();
        let make = |facts: &churn_core::strategy::Facts<'_>| {
            let (policy, playbook) = (&policy.policy, &playbook.playbook);
            journey::Engine::new(&journeys, policy, &learning, playbook, facts.vocabulary())
        };
        let engine = facts.with(make).or_raise(py)?;
        Ok(JourneyEngine { engine })
    }

    /// Names of the features, scores and segmentations that decisions read; where there is one,
    /// every step needs facts.
    #[getter]
    fn reads(&self) -> Vec<String> {
        self.engine.reads().to_vec()
    }

    /// The state of a shop about which nothing is known yet.
    fn start(&self, now: &Bound<'_, PyAny>) -> PyResult<JourneyState> {
        let state = self.engine.start(convert::instant("now", now)?);
        Ok(JourneyState { state })
    }

    /// The state of a shop with a past: last purchases and complaints, messages sent.
    fn begin(
        &self,
        py: Python<'_>,
        log: &EventLog,
        as_of: &Bound<'_, PyAny>,
    ) -> PyResult<JourneyState> {
        let log = log.log(py)?;
        let as_of = convert::as_of(as_of)?;
        let begin = || self.engine.begin(&log.history(as_of));
        let state = py.detach(begin).or_raise(py)?;
        Ok(JourneyState { state })
    }

    /// Steps to `until` (`now` where left out); the state that is given stays as it is.
    #[pyo3(signature = (state, now, *, until=None, events=None, log=None, since=None, facts=None, plan=None))]
    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        py: Python<'_>,
        state: &JourneyState,
        now: &Bound<'_, PyAny>,
        until: Option<&Bound<'_, PyAny>>,
        events: Option<&Bound<'_, PyAny>>,
        log: Option<&EventLog>,
        since: Option<&Bound<'_, PyAny>>,
        facts: Option<&Facts>,
        plan: Option<&Plan>,
    ) -> PyResult<(JourneyState, Py<JourneyOutcome>)> {
        let instant = |what, value: Option<&Bound<'_, PyAny>>| {
            value.map(|value| convert::instant(what, value)).transpose()
        };
        let now = convert::instant("now", now)?;
        let until = instant("until", until)?.unwrap_or(now);
        let since = instant("since", since)?.unwrap_or(state.state.clock());
        let records: Vec<EventRecord> = match events {
            Some(events) => settings::read_value(events, "events")?,
            None => Vec::new(),
        };
        let log = log.map(|log| log.log(py)).transpose()?;
        let step = || {
            let mut told: Vec<NewEvent<'_>> = records.iter().map(EventRecord::event).collect();
            if let Some(log) = &log {
                let end = Timestamp::from_micros(now.micros().saturating_add(1))?;
                told.extend(journey::events_between(log, &self.engine, since, end));
            }
            let mut news = News::at(now).until(until).with_events(&told);
            if let Some(plan) = plan {
                news = news.with_plan(&plan.plan);
            }
            match facts {
                None => self.engine.step(&state.state, &news),
                Some(facts) => {
                    facts.with(|facts| self.engine.step(&state.state, &news.with_facts(facts)))
                }
            }
        };
        let (state, outcome) = py.detach(step).or_raise(py)?;
        Ok((JourneyState { state }, JourneyOutcome::wrap(py, outcome)?))
    }

    fn __repr__(&self) -> String {
        format!("JourneyEngine(reads {})", self.reads().join(", "))
    }
}

/// Where every customer stands; stored between two steps.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct JourneyState {
    state: journey::State,
}

#[pymethods]
impl JourneyState {
    /// Reads a state from JSON.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let state = journey::State::from_json(text).or_raise(py)?;
        Ok(JourneyState { state })
    }

    /// The state as JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.state.to_json().or_raise(py)
    }

    /// The customers it knows.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.state.customers())
    }

    /// The instant up to which everything is done.
    #[getter]
    fn clock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.state.clock())
    }

    /// Bytes in memory, ids of customers not counted.
    #[getter]
    fn nbytes(&self) -> usize {
        self.state.bytes()
    }

    /// Id of the step at which a customer stands in a journey, or None.
    fn step_of(&self, customer: &Bound<'_, PyAny>, journey: &str) -> PyResult<Option<String>> {
        let customers = self.state.customers();
        let Some(row) = customers::find(customers, customer)? else {
            return Ok(None);
        };
        let step = self.state.step_of(customers.get(row), journey);
        Ok(step.map(str::to_owned))
    }

    /// Number of customers inside a journey.
    fn inside(&self, journey: &str) -> usize {
        self.state.inside(journey)
    }

    /// Whether each customer is held out.
    fn held_out(&self) -> Vec<bool> {
        self.state.held_out()
    }

    /// The same state with these customers (ascending ids) held out or not.
    fn with_held_out(
        &self,
        py: Python<'_>,
        customers: &Bound<'_, PyAny>,
        held: Vec<bool>,
    ) -> PyResult<Self> {
        let customers = customers::read(customers)?;
        let mut state = self.state.clone();
        state.hold_out(&customers, &held).or_raise(py)?;
        Ok(JourneyState { state })
    }

    /// The same state with the time zones of these customers (ascending ids).
    fn with_zones(
        &self,
        py: Python<'_>,
        customers: &Bound<'_, PyAny>,
        zones: Vec<String>,
    ) -> PyResult<Self> {
        let customers = customers::read(customers)?;
        let mut state = self.state.clone();
        state.set_zones(&customers, &zones).or_raise(py)?;
        Ok(JourneyState { state })
    }

    /// What contacts taught so far, as plain data.
    fn learned<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = serde_json::to_string(&self.state.learned())
            .map_err(|error| Error::invalid_parameter("learned", "values that JSON holds", error))
            .or_raise(py)?;
        py.import("json")?.call_method1("loads", (text,))
    }

    /// What contacts taught so far, as a table for reading.
    fn learned_text(&self) -> String {
        self.state.learned().to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "JourneyState({} customers at {})",
            self.state.customers().len(),
            self.state.clock()
        )
    }
}

/// What a step decided; as a table the contacts to make.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct JourneyOutcome {
    outcome: Arc<journey::Outcome>,
}

impl JourneyOutcome {
    fn wrap(py: Python<'_>, outcome: journey::Outcome) -> PyResult<Py<Self>> {
        let outcome = Arc::new(outcome);
        let source = Arc::clone(&outcome);
        let base = Table::new(outcome.contacts.len(), move || contact_batch(&source));
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(JourneyOutcome { outcome }),
        )
    }
}

#[pymethods]
impl JourneyOutcome {
    /// Every decision with its reason, as a table.
    #[getter]
    fn log(&self) -> Table {
        let source = Arc::clone(&self.outcome);
        Table::new(source.log.len(), move || journey_log_batch(&source))
    }

    /// Every decision as a line for reading.
    fn lines(&self) -> Vec<String> {
        let log = self.outcome.log.iter();
        log.map(|entry| self.outcome.line(entry)).collect()
    }

    /// The next instant at which something is due if nothing happens before, or None.
    #[getter]
    fn next_due<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let due = self.outcome.next_due;
        due.map(|due| convert::datetime(py, due)).transpose()
    }

    fn __repr__(&self) -> String {
        format!(
            "JourneyOutcome({} contacts, {} decisions)",
            self.outcome.contacts.len(),
            self.outcome.log.len()
        )
    }
}

/// Journeys run over a span of days; as a table one row per day.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct JourneyReplay {
    replay: Arc<journey::Replay>,
}

#[pymethods]
impl JourneyReplay {
    /// The contacts made, as a table.
    #[getter]
    fn contacts(&self) -> Table {
        let source = Arc::clone(&self.replay);
        let rows = source.outcome.contacts.len();
        Table::new(rows, move || contact_batch(&source.outcome))
    }

    /// Every decision with its reason, as a table.
    #[getter]
    fn log(&self) -> Table {
        let source = Arc::clone(&self.replay);
        let rows = source.outcome.log.len();
        Table::new(rows, move || journey_log_batch(&source.outcome))
    }

    /// The state at the end.
    #[getter]
    fn state(&self) -> JourneyState {
        let state = self.replay.state.clone();
        JourneyState { state }
    }

    /// Cost of all contacts (currency of the playbook).
    #[getter]
    fn cost(&self) -> f64 {
        self.replay.cost()
    }

    /// What the contacts changed against the hold-out, from these logs and what the log of events
    /// says happened afterwards.
    #[pyo3(signature = (log, *, horizon_days, observed_until=None, **incremental))]
    fn report<'py>(
        &self,
        py: Python<'py>,
        log: &EventLog,
        horizon_days: u32,
        observed_until: Option<&Bound<'py, PyAny>>,
        incremental: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let outcomes = [&self.replay.outcome];
        evaluation::report(
            py,
            &outcomes,
            log,
            horizon_days,
            observed_until,
            incremental,
        )
    }

    /// How many customers had how many contacts: entry k counts those with k.
    fn histogram(&self) -> Vec<u64> {
        self.replay.histogram()
    }

    /// The calendar as a table for reading, some days per line.
    #[pyo3(signature = (days=7))]
    fn calendar(&self, days: usize) -> String {
        self.replay.calendar(days).to_string()
    }

    /// This replay (first) and a rival one (second) side by side, as a table for reading.
    fn compare(&self, py: Python<'_>, other: &JourneyReplay) -> PyResult<String> {
        let comparison = self.replay.compare(&other.replay).or_raise(py)?;
        Ok(comparison.to_string())
    }

    fn __repr__(&self) -> String {
        format!(
            "JourneyReplay({} days, {} contacts)",
            self.replay.days.len(),
            self.replay.contacts()
        )
    }

    fn __str__(&self) -> String {
        self.replay.calendar(7).to_string()
    }
}

/// Runs journeys over the days from `start` to `end` (exclusive) of a log.
#[pyfunction]
#[pyo3(signature = (log, start, end, *, journeys=None, policy=None, learning=None, plans=None, progress=None, **settings))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn replay(
    py: Python<'_>,
    log: &EventLog,
    start: &Bound<'_, PyAny>,
    end: &Bound<'_, PyAny>,
    journeys: Option<Vec<PyRef<'_, Journey>>>,
    policy: Option<&Bound<'_, PyAny>>,
    learning: Option<&Bound<'_, PyAny>>,
    plans: Option<Vec<PyRef<'_, Plan>>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<JourneyReplay>> {
    let log = log.log(py)?;
    let day = |what, value: &Bound<'_, PyAny>| convert::instant(what, value).map(AsOf::new);
    let (start, end) = (day("start", start)?, day("end", end)?);
    let whole: WinBackSettings = winback::read(py, settings)?;
    let own = PyDict::new(py);
    if let Some(journeys) = journeys {
        let mut sources = Vec::with_capacity(journeys.len());
        for journey in &journeys {
            let source = PyDict::new(py);
            source.set_item("json", journey.to_json(py)?)?;
            sources.push(source);
        }
        own.set_item("journeys", sources)?;
    }
    if let Some(policy) = policy {
        // A policy of this package, or the name of a preset.
        let source = PyDict::new(py);
        match policy.cast::<ContactPolicy>() {
            Ok(policy) => source.set_item("json", policy.get().to_json(py)?)?,
            Err(_) => source.set_item("preset", policy)?,
        }
        own.set_item("policy", source)?;
    }
    if let Some(learning) = learning {
        own.set_item("learning", learning)?;
    }
    let own: JourneySettings = settings::read(py, "journeys", Some(&own))?;
    let plans: Vec<Shared<churn_core::strategy::Plan>> = plans
        .unwrap_or_default()
        .iter()
        .map(|plan| plan.plan.clone())
        .collect();
    let replay = progress::run(py, progress, |progress| {
        let plans: Vec<&churn_core::strategy::Plan> = plans.iter().map(|plan| &**plan).collect();
        whole.replay_planned(&log, start, end, &own, &plans, progress)
    })?;
    let replay = Arc::new(replay);
    let source = Arc::clone(&replay);
    let base = Table::new(replay.days.len(), move || replay_batch(&source));
    Py::new(
        py,
        PyClassInitializer::from(base).add_subclass(JourneyReplay { replay }),
    )
}

/// What the contacts of several steps changed against the hold-out.
#[pyfunction]
#[pyo3(signature = (outcomes, log, *, horizon_days, observed_until=None, **incremental))]
pub(crate) fn journey_report<'py>(
    py: Python<'py>,
    outcomes: Vec<PyRef<'py, JourneyOutcome>>,
    log: &EventLog,
    horizon_days: u32,
    observed_until: Option<&Bound<'py, PyAny>>,
    incremental: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let outcomes: Vec<Arc<journey::Outcome>> = outcomes
        .iter()
        .map(|one| Arc::clone(&one.outcome))
        .collect();
    let outcomes: Vec<&journey::Outcome> = outcomes.iter().map(Arc::as_ref).collect();
    evaluation::report(
        py,
        &outcomes,
        log,
        horizon_days,
        observed_until,
        incremental,
    )
}

/// The lot of a customer under a salt, in [0, 1): held out are those below the share.
#[pyfunction]
pub(crate) fn lot(salt: &str, customer: &Bound<'_, PyAny>) -> PyResult<f64> {
    let list = pyo3::types::PyList::new(customer.py(), [customer])?;
    let one = customers::read(list.as_any())?;
    Ok(journey::lot(salt, one.get(0)))
}

/// Whether each of these customers (ascending ids) is held out, everyone judged alone.
#[pyfunction]
#[pyo3(signature = (customers, *, salt, share))]
pub(crate) fn hold_out(
    py: Python<'_>,
    customers: &Bound<'_, PyAny>,
    salt: String,
    share: f64,
) -> PyResult<Vec<bool>> {
    let customers = customers::read(customers)?;
    journey::Holdout { salt, share }
        .assign(&customers)
        .or_raise(py)
}

/// Whether each customer of a segmentation is held out, with the share met in each segment.
#[pyfunction]
#[pyo3(signature = (segments, *, salt, share))]
pub(crate) fn hold_out_stratified(
    py: Python<'_>,
    segments: &crate::segments::Segments,
    salt: String,
    share: f64,
) -> PyResult<Vec<bool>> {
    let holdout = journey::Holdout { salt, share };
    holdout.assign_stratified(&segments.segments).or_raise(py)
}
