//! What customers did, seen together: retention, lifecycle over time, stickiness.

use std::sync::Arc;

use churn_core::AsOf;
use churn_core::arrow::{lifecycle_batch, retention_batch, stickiness_batch};
use churn_core::behavior::{self, LifecycleSettings, Mean, RetentionSettings, StickinessSettings};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::table::Table;
use crate::{convert, progress, settings};

fn read_as_of(
    py: Python<'_>,
    log: &churn_core::EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
) -> PyResult<AsOf> {
    match as_of {
        Some(as_of) => convert::as_of(as_of),
        None => log.day_after_last().or_raise(py),
    }
}

/// Who came back, one row per cohort and period.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Retention {
    table: Arc<behavior::RetentionTable>,
}

#[pymethods]
impl Retention {
    /// First day of each cohort's period.
    #[getter]
    fn cohorts(&self) -> Vec<String> {
        let cohorts = self.table.cohorts().iter();
        cohorts.map(|cohort| cohort.label.clone()).collect()
    }

    /// First and last period of each column of [`matrix`] and [`curve`].
    #[getter]
    fn periods(&self) -> Vec<(u32, u32)> {
        let columns = self.table.columns().iter();
        columns.map(|[from, to]| (*from, *to)).collect()
    }

    /// Shares of shape (cohorts, periods); NaN where the time has not begun.
    fn matrix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (rows, columns) = (self.table.cohorts().len(), self.table.columns().len());
        let cells = (0..rows * columns).map(|i| {
            let share = self.table.share(i / columns, i % columns);
            share.unwrap_or(f64::NAN)
        });
        let cells: Vec<f64> = cells.collect();
        convert::floats(py, &cells)?.call_method1("reshape", ((rows, columns),))
    }

    /// The shares of complete cells as one curve; NaN for periods without any.
    #[pyo3(signature = (mean=None))]
    fn curve<'py>(
        &self,
        py: Python<'py>,
        mean: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mean: Mean = match mean {
            None => Mean::default(),
            Some(mean) => settings::read_value(mean, "mean")?,
        };
        let shares = self.table.curve(mean);
        let shares: Vec<f64> = shares.into_iter().map(|s| s.unwrap_or(f64::NAN)).collect();
        convert::floats(py, &shares)
    }

    fn __repr__(&self) -> String {
        format!(
            "Retention({} cohorts over {} periods as of {})",
            self.table.cohorts().len(),
            self.table.columns().len(),
            self.table.as_of()
        )
    }
}

/// Who came back, by when they came first.
#[pyfunction]
#[pyo3(signature = (log, as_of=None, *, progress=None, **settings))]
pub(crate) fn retention(
    py: Python<'_>,
    log: &EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<Retention>> {
    let log = log.log(py)?;
    let as_of = read_as_of(py, &log, as_of)?;
    let settings: RetentionSettings = settings::read(py, "retention", settings)?;
    let table = progress::run(py, progress, |progress| {
        settings.table(&log.history(as_of), progress)
    })?;
    let table = Arc::new(table);
    let source = Arc::clone(&table);
    let rows = table.cohorts().len() * table.columns().len();
    let base = Table::new(rows, move || retention_batch(&source));
    Py::new(
        py,
        PyClassInitializer::from(base).add_subclass(Retention { table }),
    )
}

/// New, returning, resurrecting and dormant customers, one row per period.
#[pyfunction]
#[pyo3(signature = (log, as_of=None, *, progress=None, **settings))]
pub(crate) fn lifecycle_over_time(
    py: Python<'_>,
    log: &EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let log = log.log(py)?;
    let as_of = read_as_of(py, &log, as_of)?;
    let settings: LifecycleSettings = settings::read(py, "lifecycle_over_time", settings)?;
    let table = progress::run(py, progress, |progress| {
        settings.table(&log.history(as_of), progress)
    })?;
    Ok(Table::new(table.len(), move || lifecycle_batch(&table)))
}

/// Customers by the number of periods in which they were active.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Stickiness {
    /// Mean share of periods in which a customer was active; None where nobody was.
    #[pyo3(get)]
    ratio: Option<f64>,
    /// Whether the last period is over.
    #[pyo3(get)]
    complete: bool,
}

#[pymethods]
impl Stickiness {
    fn __repr__(&self) -> String {
        format!("Stickiness(ratio={:?})", self.ratio)
    }
}

/// In how many periods customers were active.
#[pyfunction]
#[pyo3(signature = (log, as_of=None, *, progress=None, **settings))]
pub(crate) fn stickiness(
    py: Python<'_>,
    log: &EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<Stickiness>> {
    let log = log.log(py)?;
    let as_of = read_as_of(py, &log, as_of)?;
    let settings: StickinessSettings = settings::read(py, "stickiness", settings)?;
    let table = progress::run(py, progress, |progress| {
        settings.table(&log.history(as_of), progress)
    })?;
    let found = Stickiness {
        ratio: table.ratio(),
        complete: table.complete(),
    };
    let base = Table::new(table.customers().len(), move || stickiness_batch(&table));
    Py::new(py, PyClassInitializer::from(base).add_subclass(found))
}
