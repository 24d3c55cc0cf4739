//! The event log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use churn_core::events::{
    self, Cleaning, CleaningReport, ColumnNames, CsvEvents, CsvOptions, DropReason, Tally,
};
use churn_core::{Customers as Spine, Error};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::customers::Customers;
use crate::describer::Describer;
use crate::errors::OrRaise;
use crate::features::{FeatureTable, Population, RfmSummary};
use crate::{convert, describer, features, files, progress, settings};

/// A cleaned event log, each customer's events in order of time.
#[pyclass(frozen, module = "churn")]
pub(crate) struct EventLog {
    /// Empty while the log is appended to. A lock held all that time would wait for ever for a
    /// progress callback that asks the log.
    slot: Mutex<Option<Arc<events::EventLog>>>,
}

impl EventLog {
    pub(crate) fn new(log: events::EventLog) -> Self {
        EventLog {
            slot: Mutex::new(Some(Arc::new(log))),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<events::EventLog>>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log as it is now; later appends do not change it.
    pub(crate) fn log(&self, py: Python<'_>) -> PyResult<Arc<events::EventLog>> {
        self.slot().clone().ok_or_else(busy).or_raise(py)
    }
}

fn busy() -> Error {
    let expected = "a log that nobody is appending to at the moment";
    Error::invalid_parameter("log", expected, "one in an append")
}

/// What cleaning did, as a dict.
pub(crate) fn report<'py>(py: Python<'py>, from: &CleaningReport) -> PyResult<Bound<'py, PyDict>> {
    let tally = |tally: Tally| -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        fields.set_item("rows", tally.rows)?;
        fields.set_item("money", tally.money)?;
        Ok(fields)
    };
    let dropped = PyDict::new(py);
    for reason in DropReason::ALL {
        dropped.set_item(reason.name(), tally(from.dropped(reason))?)?;
    }
    let report = PyDict::new(py);
    report.set_item("rows_in", from.rows_in)?;
    report.set_item("unreadable_cells", from.unreadable_cells)?;
    report.set_item("rows_kept", from.rows_kept)?;
    report.set_item("rows_dropped", from.rows_dropped())?;
    report.set_item("purchases_kept", from.purchases_kept)?;
    report.set_item("refunds_kept", from.refunds_kept)?;
    report.set_item("dropped", dropped)?;
    report.set_item("read_as_refund", tally(from.read_as_refund)?)?;
    report.set_item("duplicates_kept", tally(from.duplicates_kept)?)?;
    Ok(report)
}

/// First and last instant.
pub(crate) fn range<'py>(
    py: Python<'py>,
    range: Option<(churn_core::Timestamp, churn_core::Timestamp)>,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    match range {
        Some((first, last)) => Ok(Some((
            convert::datetime(py, first)?,
            convert::datetime(py, last)?,
        ))),
        None => Ok(None),
    }
}

/// How a CSV file is read.
pub(crate) fn csv_options(
    py: Python<'_>,
    names: Option<&Bound<'_, PyAny>>,
    delimiter: Option<&Bound<'_, PyAny>>,
    unreadable: Option<&Bound<'_, PyAny>>,
) -> PyResult<CsvOptions> {
    let stated = PyDict::new(py);
    for (name, value) in [
        ("names", names),
        ("delimiter", delimiter),
        ("unreadable", unreadable),
    ] {
        if let Some(value) = value {
            stated.set_item(name, value)?;
        }
    }
    settings::read(py, "csv", Some(&stated))
}

#[pymethods]
impl EventLog {
    #[new]
    #[pyo3(signature = (data, *, names=None, progress=None, **cleaning))]
    fn build(
        data: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyDict>>,
        progress: Option<&Bound<'_, PyAny>>,
        cleaning: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = data.py();
        let names: ColumnNames = settings::read(py, "names", names)?;
        let cleaning: Cleaning = settings::read(py, "cleaning", cleaning)?;
        // A stream may belong to the thread that asked for it, so it is read on this one.
        let batches = convert::events(data, &names)?;
        let log = progress::run(py, progress, |progress| {
            events::EventLog::from_columns_observed(
                &batches.columns_for(&cleaning)?,
                &cleaning,
                progress,
            )
        })?;
        Ok(EventLog::new(log))
    }

    /// Reads a CSV file, plain or gzip.
    #[staticmethod]
    #[pyo3(signature = (source, *, names=None, delimiter=None, unreadable=None, progress=None, **cleaning))]
    fn from_csv(
        source: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyAny>>,
        delimiter: Option<&Bound<'_, PyAny>>,
        unreadable: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
        cleaning: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = source.py();
        let mut options = csv_options(py, names, delimiter, unreadable)?;
        let cleaning: Cleaning = settings::read(py, "cleaning", cleaning)?;
        let (bytes, size) = convert::bytes(source)?;
        options.total_bytes = size;
        let log = progress::run(py, progress, |progress| {
            let events = CsvEvents::read(bytes, &options, progress)?;
            events::EventLog::from_columns_observed(&events.columns(), &cleaning, progress)
        })?;
        Ok(EventLog::new(log))
    }

    /// A new log with a batch of events added; this one stays as it is.
    #[pyo3(signature = (data, *, names=None, progress=None))]
    fn appended(
        &self,
        data: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyDict>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = data.py();
        let names: ColumnNames = settings::read(py, "names", names)?;
        let batches = convert::events(data, &names)?;
        let old = self.log(py)?;
        let log = progress::run(py, progress, |progress| {
            let mut log = events::EventLog::clone(&old);
            log.append_observed(&batches.columns()?, progress)?;
            Ok(log)
        })?;
        Ok(EventLog::new(log))
    }

    /// Adds a batch of events to this log; tables made before stay as they are.
    #[pyo3(signature = (data, *, names=None, progress=None))]
    fn append<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        names: Option<&Bound<'py, PyDict>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = data.py();
        let names: ColumnNames = settings::read(py, "names", names)?;
        let batches = convert::events(data, &names)?;
        let mut log = self.slot().take().ok_or_else(busy).or_raise(py)?;
        let appended = progress::run(py, progress, |progress| {
            // Copied first where somebody still works with the log as it was.
            Arc::make_mut(&mut log).append_observed(&batches.columns()?, progress)
        });
        let now = Arc::clone(&log);
        *self.slot() = Some(log);
        let appended = appended?;
        let touched = appended.touched.iter().map(|row| now.customers().get(*row));
        let touched = Spine::from_rows(touched).or_raise(py)?;
        let told = PyDict::new(py);
        told.set_item("touched", Py::new(py, Customers::new(&touched))?)?;
        told.set_item("new_customers", appended.new_customers)?;
        told.set_item("report", report(py, &appended.report)?)?;
        Ok(told)
    }

    /// Writes the log to a path or a binary file.
    #[pyo3(signature = (target, *, progress=None))]
    fn save(&self, target: &Bound<'_, PyAny>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let log = self.log(target.py())?;
        files::save(target, progress, |out, progress| {
            log.save_observed(out, progress)
        })
    }

    /// Reads a saved log from a path, a binary file or bytes.
    #[staticmethod]
    #[pyo3(signature = (source, *, progress=None))]
    fn load(source: &Bound<'_, PyAny>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        files::load(source, progress, |file, progress| {
            events::EventLog::load_observed(file, progress)
        })
        .map(EventLog::new)
    }

    /// For pickle: the saved log.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let log = slf.get().log(py)?;
        let mut bytes = Vec::new();
        py.detach(|| log.save(&mut bytes)).or_raise(py)?;
        let load = slf.get_type().getattr("load")?;
        Ok((load, (PyBytes::new(py, &bytes),).into_pyobject(py)?))
    }

    /// Prepares to describe one customer at a time.
    #[pyo3(signature = (as_of, *, population=None, **spec))]
    fn describer(
        slf: &Bound<'_, Self>,
        as_of: &Bound<'_, PyAny>,
        population: Option<&Population>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Describer> {
        describer::prepare(slf, as_of, population, spec)
    }

    /// Features of all customers with an event before `as_of`, from those events only.
    #[pyo3(signature = (as_of, *, population=None, progress=None, **spec))]
    fn features(
        &self,
        as_of: &Bound<'_, PyAny>,
        population: Option<&Population>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<FeatureTable>> {
        features::build(self, as_of, population, progress, spec)
    }

    /// The features as of several instants, in one pass over the log.
    #[pyo3(signature = (instants, *, progress=None, **spec))]
    fn features_at(
        &self,
        instants: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Vec<Py<FeatureTable>>> {
        features::build_many(self, instants, progress, spec)
    }

    /// Frequency, recency, age and monetary value of all customers before `as_of`.
    #[pyo3(signature = (as_of, *, progress=None, **settings))]
    fn summarize(
        &self,
        as_of: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<RfmSummary>> {
        features::summarize(self, as_of, progress, settings)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.log(py)?.len())
    }

    /// All customers of the log.
    #[getter]
    fn customers(&self, py: Python<'_>) -> PyResult<Customers> {
        Ok(Customers::new(self.log(py)?.customers()))
    }

    /// Names of the channels, sorted.
    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.log(py)?.channels().to_vec())
    }

    /// First and last instant, or None for an empty log.
    #[getter]
    fn time_range<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        range(py, self.log(py)?.time_range())
    }

    /// Which events and columns the log stores.
    #[getter]
    fn keep<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        settings::from_json_text(py, &self.log(py)?.keep().to_json())
    }

    /// What cleaning did.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report(py, self.log(py)?.report())
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        let (one, other) = (self.log(py)?, other.log(py)?);
        Ok(py.detach(|| one == other))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let log = self.log(py)?;
        let (events, customers) = (log.len(), log.customers().len());
        Ok(match log.time_range() {
            Some((first, last)) => {
                format!("EventLog({events} events of {customers} customers, {first} to {last})")
            }
            None => "EventLog(no events)".to_owned(),
        })
    }
}
