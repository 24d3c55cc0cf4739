//! One customer at a time, for a request that cannot wait for a table.

use std::sync::{Mutex, PoisonError};

use churn_core::features::{self, FeatureSpec};
use churn_core::progress::Progress;
use churn_core::{AsOf, Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::features::Population;
use crate::shared::Shared;
use crate::{convert, customers, settings};

/// Describes customers of a log one by one, with the numbers that a table would have.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Describer {
    log: Py<EventLog>,
    as_of: AsOf,
    spec: FeatureSpec,
    population: Shared<features::Population>,
    /// Made for the channels that the log has; an append may bring more.
    describer: Mutex<features::Describer>,
}

/// Prepares for [`EventLog::describer`].
pub(crate) fn prepare(
    log: &Bound<'_, EventLog>,
    as_of: &Bound<'_, PyAny>,
    population: Option<&Population>,
    spec: Option<&Bound<'_, PyDict>>,
) -> PyResult<Describer> {
    let py = log.py();
    let as_of = convert::as_of(as_of)?;
    let spec: FeatureSpec = settings::read(py, "features", spec)?;
    let now = log.get().log(py)?;
    let population = match population {
        Some(Population { population }) => population.clone(),
        None => {
            let learned = py.detach(|| {
                let past = now.history(as_of);
                features::Population::fit_selected(&past, &spec, &Progress::none())
            });
            Shared::new(learned.or_raise(py)?)
        }
    };
    let describer = features::Describer::new(now.channels(), as_of, &spec, &population);
    Ok(Describer {
        log: log.clone().unbind(),
        as_of,
        describer: Mutex::new(describer.or_raise(py)?),
        spec,
        population,
    })
}

#[pymethods]
impl Describer {
    /// The features of one customer as the log is now.
    fn describe<'py>(&self, customer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = customer.py();
        let log = self.log.get().log(py)?;
        let row = customers::row(log.customers(), customer)?;
        let Some(past) = log.customer(log.customers().get(row), self.as_of) else {
            let expected = format!("a customer with an event before {}", self.as_of);
            let got = customer.repr()?;
            return Err(Error::new(
                ErrorKind::UnknownName,
                "customer",
                expected,
                got,
            ))
            .or_raise(py);
        };
        let mut describer = self
            .describer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if describer.channels() != log.channels() {
            let anew =
                features::Describer::new(log.channels(), self.as_of, &self.spec, &self.population);
            *describer = anew.or_raise(py)?;
        }
        let values = describer.describe(&past).or_raise(py)?.to_vec();
        let told = PyDict::new(py);
        for (info, value) in describer.features().iter().zip(values) {
            told.set_item(&info.name, value)?;
        }
        Ok(told)
    }

    /// The instant that is described.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.as_of.instant())
    }

    /// What all customers together taught.
    #[getter]
    fn population(&self) -> Population {
        Population {
            population: self.population.clone(),
        }
    }

    fn __repr__(&self) -> String {
        let describer = self
            .describer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        format!("{:?}", *describer)
    }
}
