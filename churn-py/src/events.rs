//! The event log.

use std::sync::Arc;

use churn_core::events::{self, Cleaning, ColumnNames, CsvEvents, CsvOptions, DropReason, Tally};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::customers::Customers;
use crate::features::{FeatureTable, Population, RfmSummary};
use crate::{convert, features, progress, settings};

/// A cleaned event log, each customer's events in order of time.
#[pyclass(frozen, module = "churn")]
pub(crate) struct EventLog {
    pub(crate) log: Arc<events::EventLog>,
}

#[pymethods]
impl EventLog {
    #[new]
    #[pyo3(signature = (data, *, names=None, progress=None, **cleaning))]
    fn new(
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
            events::EventLog::from_columns_observed(&batches.columns()?, &cleaning, progress)
        })?;
        Ok(EventLog { log: Arc::new(log) })
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
        let mut options: CsvOptions = settings::read(py, "csv", Some(&stated))?;
        let cleaning: Cleaning = settings::read(py, "cleaning", cleaning)?;
        let (bytes, size) = convert::bytes(source)?;
        options.total_bytes = size;
        let log = progress::run(py, progress, |progress| {
            let events = CsvEvents::read(bytes, &options, progress)?;
            events::EventLog::from_columns_observed(&events.columns(), &cleaning, progress)
        })?;
        Ok(EventLog { log: Arc::new(log) })
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
        let log = progress::run(py, progress, |progress| {
            let mut log = events::EventLog::clone(&self.log);
            log.append_observed(&batches.columns()?, progress)?;
            Ok(log)
        })?;
        Ok(EventLog { log: Arc::new(log) })
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

    fn __len__(&self) -> usize {
        self.log.len()
    }

    /// All customers of the log.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.log.customers())
    }

    /// Names of the channels, sorted.
    #[getter]
    fn channels(&self) -> Vec<String> {
        self.log.channels().to_vec()
    }

    /// First and last instant, or None for an empty log.
    #[getter]
    fn time_range<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        match self.log.time_range() {
            Some((first, last)) => Ok(Some((
                convert::datetime(py, first)?,
                convert::datetime(py, last)?,
            ))),
            None => Ok(None),
        }
    }

    /// What cleaning did.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tally = |tally: Tally| -> PyResult<Bound<'py, PyDict>> {
            let fields = PyDict::new(py);
            fields.set_item("rows", tally.rows)?;
            fields.set_item("money", tally.money)?;
            Ok(fields)
        };
        let from = self.log.report();
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

    fn __eq__(&self, other: &Self) -> bool {
        self.log == other.log
    }

    fn __repr__(&self) -> String {
        let events = self.log.len();
        let customers = self.log.customers().len();
        match self.log.time_range() {
            Some((first, last)) => {
                format!("EventLog({events} events of {customers} customers, {first} to {last})")
            }
            None => "EventLog(no events)".to_owned(),
        }
    }
}
