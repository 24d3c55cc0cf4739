//! Features of customers as of an instant, from the past only.

use std::sync::Arc;

use churn_core::arrow::{feature_batch, holdout_batch, summary_batch};
use churn_core::features::{self, FeatureInfo, FeatureSpec, SummarySettings};
use churn_core::{AsOf, Error};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::customers::{self, Customers};
use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::shared::Shared;
use crate::table::Table;
use crate::{convert, files, progress, settings};

/// Builds the features of [`EventLog::features`].
pub(crate) fn build(
    log: &EventLog,
    as_of: &Bound<'_, PyAny>,
    population: Option<&Population>,
    observer: Option<&Bound<'_, PyAny>>,
    spec: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<FeatureTable>> {
    let py = as_of.py();
    let as_of = convert::as_of(as_of)?;
    let spec: FeatureSpec = settings::read(py, "features", spec)?;
    let log = log.log(py)?;
    let (table, population) = progress::run(py, observer, |progress| {
        let history = log.history(as_of);
        match population {
            None => features::build_observed(&history, &spec, progress)
                .map(|(table, learned)| (table, Shared::new(learned))),
            Some(Population { population }) => {
                features::build_with(&history, &spec, population, progress)
                    .map(|table| (table, population.clone()))
            }
        }
    })?;
    FeatureTable::wrap(py, Shared::new(table), Some(population))
}

/// Builds the features of [`EventLog::features_at`].
pub(crate) fn build_many(
    log: &EventLog,
    instants: &Bound<'_, PyAny>,
    observer: Option<&Bound<'_, PyAny>>,
    spec: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Py<FeatureTable>>> {
    let py = instants.py();
    let log = log.log(py)?;
    let instants: Vec<AsOf> = instants
        .try_iter()?
        .map(|as_of| convert::as_of(&as_of?))
        .collect::<PyResult<_>>()?;
    let spec: FeatureSpec = settings::read(py, "features", spec)?;
    let tables = progress::run(py, observer, |progress| {
        features::build_many(&log, &instants, &spec, progress)
    })?;
    let wrap = |table| FeatureTable::wrap(py, Shared::new(table), None);
    tables.into_iter().map(wrap).collect()
}

/// What a log must keep for these features: pass it as `keep` to the log.
#[pyfunction]
#[pyo3(signature = (**spec))]
pub(crate) fn needs<'py>(
    py: Python<'py>,
    spec: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let spec: FeatureSpec = settings::read(py, "features", spec)?;
    settings::from_json_text(py, &spec.needs().or_raise(py)?.to_json())
}

/// Builds the summary of [`EventLog::summarize`].
pub(crate) fn summarize(
    log: &EventLog,
    as_of: &Bound<'_, PyAny>,
    observer: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<RfmSummary>> {
    let py = as_of.py();
    let as_of = convert::as_of(as_of)?;
    let settings: SummarySettings = settings::read(py, "summary", settings)?;
    let log = log.log(py)?;
    let summary = progress::run(py, observer, |progress| {
        features::summarize_observed(&log.history(as_of), &settings, progress)
    })?;
    RfmSummary::wrap(py, Shared::new(summary))
}

/// Features of all customers as of one instant.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct FeatureTable {
    pub(crate) table: Shared<features::FeatureTable>,
    population: Option<Shared<features::Population>>,
}

impl FeatureTable {
    pub(crate) fn wrap(
        py: Python<'_>,
        table: Shared<features::FeatureTable>,
        population: Option<Shared<features::Population>>,
    ) -> PyResult<Py<Self>> {
        let source = table.clone();
        let base = Table::new(table.len(), move || feature_batch(&source));
        let this = FeatureTable { table, population };
        Py::new(py, PyClassInitializer::from(base).add_subclass(this))
    }
}

#[pymethods]
impl FeatureTable {
    /// A table of the caller's own features.
    #[staticmethod]
    fn from_columns(
        customers: &Bound<'_, PyAny>,
        as_of: &Bound<'_, PyAny>,
        columns: &Bound<'_, PyAny>,
    ) -> PyResult<Py<FeatureTable>> {
        let py = customers.py();
        let as_of = convert::as_of(as_of)?;
        let customers = customers::read(customers)?;
        let mut infos = Vec::new();
        let mut values = Vec::new();
        for (name, cells) in convert::numbers(columns)? {
            let place = format!("table.{name}");
            if cells.len() != customers.len() {
                let error = Error::length_mismatch(place, customers.len(), cells.len());
                return Err(error).or_raise(py);
            }
            infos.push(FeatureInfo::new(name, "", ""));
            values.extend(cells);
        }
        let table =
            features::FeatureTable::from_columns(customers, as_of, infos, values).or_raise(py)?;
        FeatureTable::wrap(py, Shared::new(table), None)
    }

    /// The table brought up to date with a log that was appended to.
    #[pyo3(signature = (log, touched, *, progress=None, **spec))]
    fn refreshed(
        &self,
        log: &EventLog,
        touched: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<FeatureTable>> {
        let py = touched.py();
        let spec: FeatureSpec = settings::read(py, "features", spec)?;
        let Some(population) = self.population.clone() else {
            let expected = "a table of a log's features, which has a population";
            let error = Error::invalid_parameter("table.population", expected, "none");
            return Err(error).or_raise(py);
        };
        let log = log.log(py)?;
        let rows = customers::rows(log.customers(), touched)?;
        let table = progress::run(py, progress, |progress| {
            let table = features::FeatureTable::clone(&self.table);
            features::refresh(table, &log, &rows, &spec, &population, progress)
        })?;
        FeatureTable::wrap(py, Shared::new(table), Some(population))
    }

    /// Writes the table to a path or a binary file.
    #[pyo3(signature = (target, *, progress=None))]
    fn save(&self, target: &Bound<'_, PyAny>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        files::save(target, progress, |out, progress| {
            self.table.save(out, progress)
        })
    }

    /// Reads a saved table from a path, a binary file or bytes.
    #[staticmethod]
    #[pyo3(signature = (source, *, progress=None))]
    fn load(
        source: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<FeatureTable>> {
        let table = files::load(source, progress, |file, progress| {
            features::FeatureTable::load(file, progress)
        })?;
        FeatureTable::wrap(source.py(), Shared::new(table), None)
    }

    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.table.customers())
    }

    /// The instant that the table describes.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.table.as_of().instant())
    }

    /// What all customers together taught; None for a table of the caller's own.
    #[getter]
    fn population(&self) -> Option<Population> {
        let population = self.population.clone()?;
        Some(Population { population })
    }

    /// What every feature means, one dict per column.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for feature in self.table.features() {
            let fields = PyDict::new(py);
            fields.set_item("name", &feature.name)?;
            fields.set_item("unit", &feature.unit)?;
            fields.set_item("definition", &feature.definition)?;
            fields.set_item("undefined", &feature.undefined)?;
            fields.set_item("min", feature.min)?;
            fields.set_item("max", feature.max)?;
            list.append(fields)?;
        }
        Ok(list)
    }

    /// The features as a matrix of shape (customers, features).
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::features(py, &self.table)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", *self.table)
    }
}

/// Cut points and priors that all customers together taught: built once, used again tomorrow.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Population {
    pub(crate) population: Shared<features::Population>,
}

#[pymethods]
impl Population {
    /// Learns everything from all customers of a log, whatever features are selected.
    #[staticmethod]
    #[pyo3(signature = (log, as_of, *, progress=None, **spec))]
    fn fit(
        log: &EventLog,
        as_of: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = as_of.py();
        let as_of = convert::as_of(as_of)?;
        let spec: FeatureSpec = settings::read(py, "features", spec)?;
        let log = log.log(py)?;
        let learned = progress::run(py, progress, |progress| {
            features::Population::fit_observed(&log.history(as_of), &spec, progress)
        })?;
        Ok(Population {
            population: Shared::new(learned),
        })
    }

    /// Reads a population from JSON and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let population = features::Population::from_json(text).or_raise(py)?;
        Ok(Population {
            population: Shared::new(population),
        })
    }

    /// The population as JSON.
    fn to_json(&self) -> String {
        self.population.to_json()
    }

    fn __repr__(&self) -> String {
        format!("Population({} RFM bins)", self.population.rfm_cuts().bins())
    }
}

/// Frequency, recency, age and monetary value of all customers.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct RfmSummary {
    pub(crate) summary: Shared<features::RfmSummary>,
}

impl RfmSummary {
    fn wrap(py: Python<'_>, summary: Shared<features::RfmSummary>) -> PyResult<Py<Self>> {
        let source = summary.clone();
        let base = Table::new(summary.len(), move || summary_batch(&source));
        let this = RfmSummary { summary };
        Py::new(py, PyClassInitializer::from(base).add_subclass(this))
    }
}

#[pymethods]
impl RfmSummary {
    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.summary.customers())
    }

    /// The instant that the summary describes.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.summary.as_of().instant())
    }

    /// Days per unit of `recency` and `age`.
    #[getter]
    fn unit_days(&self) -> f64 {
        self.summary.unit_days()
    }

    /// What these customers bought after `as_of` of the summary and before this one.
    #[pyo3(signature = (log, as_of, **settings))]
    fn holdout(
        &self,
        log: &EventLog,
        as_of: &Bound<'_, PyAny>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<Holdout>> {
        let py = as_of.py();
        let as_of = convert::as_of(as_of)?;
        let settings: SummarySettings = settings::read(py, "summary", settings)?;
        let log = log.log(py)?;
        let later = py
            .detach(|| features::holdout(&self.summary, &log.history(as_of), &settings))
            .or_raise(py)?;
        let later = Arc::new(later);
        let (summary, source) = (self.summary.clone(), Arc::clone(&later));
        let base = Table::new(self.summary.len(), move || holdout_batch(&summary, &source));
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(Holdout { later }),
        )
    }

    fn __repr__(&self) -> String {
        format!(
            "RfmSummary({} customers as of {})",
            self.summary.len(),
            self.summary.as_of()
        )
    }
}

/// What the customers of a summary bought afterwards.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Holdout {
    later: Arc<features::Holdout>,
}

#[pymethods]
impl Holdout {
    /// Length of the holdout in units of the summary.
    #[getter]
    fn duration(&self) -> f64 {
        self.later.duration()
    }

    fn __repr__(&self) -> String {
        format!(
            "Holdout({} customers over {} units)",
            self.later.frequency().len(),
            self.later.duration()
        )
    }
}

/// One customer's summary, brought up to date by each new order.
#[pyclass(module = "churn")]
pub(crate) struct RunningSummary(features::RunningSummary);

#[pymethods]
impl RunningSummary {
    /// Begins with a customer's first purchase.
    #[new]
    #[pyo3(signature = (time, **settings))]
    fn new(time: &Bound<'_, PyAny>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = time.py();
        let settings: SummarySettings = settings::read(py, "summary", settings)?;
        let time = convert::instant("time", time)?;
        let begun = features::RunningSummary::new(time, &settings).or_raise(py)?;
        Ok(RunningSummary(begun))
    }

    /// Adds a purchase, no earlier than the period of the last one.
    fn add(&mut self, time: &Bound<'_, PyAny>, value: f64) -> PyResult<()> {
        let py = time.py();
        let time = convert::instant("time", time)?;
        self.0.add(time, value).or_raise(py)
    }

    /// The customer's row of the summary as of an instant after the last purchase.
    fn row<'py>(&self, as_of: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = as_of.py();
        let row = self.0.row(convert::as_of(as_of)?).or_raise(py)?;
        let dict = PyDict::new(py);
        for (name, value) in [
            ("frequency", row.frequency),
            ("recency", row.recency),
            ("age", row.age),
            ("monetary_value", row.monetary_value),
            ("log_gaps", row.log_gaps),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// Reads a stored running summary and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = churn_core::settings::from_json("summary", text);
        Ok(RunningSummary(read.or_raise(py)?))
    }

    /// The running summary as JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.0)
            .map_err(|error| Error::invalid_parameter("summary", "plain data", error))
            .or_raise(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("RunningSummary({})", self.to_json(py)?))
    }
}
