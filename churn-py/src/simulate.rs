//! Simulated shops whose truth is known.

use std::sync::Arc;

use churn_core::arrow::BatchBuilder;
use churn_core::events::{self, Cleaning};
use churn_core::simulate::{self, Pattern, Persuasion, Treatment};
use churn_core::{Error, Horizon};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::table::Table;
use crate::{convert, progress, settings};

/// Channels of the simulated open probabilities, in their order.
const CHANNELS: [&str; 4] = ["one_to_one", "sms", "email", "push"];

/// A shop to simulate.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Shop {
    shop: simulate::Shop,
}

#[pymethods]
impl Shop {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let shop = settings::read(py, "shop", settings)?;
        Ok(Shop { shop })
    }

    /// Simulates the log.
    fn open(&self, py: Python<'_>) -> PyResult<SimulatedShop> {
        let shop = py.detach(|| self.shop.open()).or_raise(py)?;
        Ok(SimulatedShop {
            shop: Arc::new(shop),
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "Shop({} customers, {} days, seed {})",
            self.shop.customers, self.shop.days, self.shop.seed
        )
    }
}

/// A simulated log and the truth behind it.
#[pyclass(frozen, module = "churn")]
pub(crate) struct SimulatedShop {
    shop: Arc<simulate::SimulatedShop>,
}

#[pymethods]
impl SimulatedShop {
    /// Number of events.
    fn __len__(&self) -> usize {
        self.shop.len()
    }

    /// The event log.
    #[pyo3(signature = (*, progress=None, **cleaning))]
    fn log(
        &self,
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
        cleaning: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<EventLog> {
        let cleaning: Cleaning = settings::read(py, "cleaning", cleaning)?;
        let log = progress::run(py, progress, |progress| {
            events::EventLog::from_columns_observed(&self.shop.columns(), &cleaning, progress)
        })?;
        Ok(EventLog::new(log))
    }

    /// By how much a campaign raises each customer's probability of going on to buy.
    #[pyo3(signature = (at, *, horizon_days, channels, strength, **persuasion))]
    fn change<'py>(
        &self,
        py: Python<'py>,
        at: &Bound<'py, PyAny>,
        horizon_days: u32,
        channels: Vec<String>,
        strength: f64,
        persuasion: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let persuasion: Persuasion = settings::read(py, "persuasion", persuasion)?;
        let at = convert::instant("at", at)?;
        let horizon = Horizon::days(horizon_days).or_raise(py)?;
        let channels = positions(py, &channels)?;
        let truth = self.shop.truth.iter();
        let changes: Vec<f64> = truth
            .map(|truth| persuasion.change(truth, at, horizon, &channels, strength))
            .collect();
        convert::floats(py, &changes)
    }

    /// The same shop after contacts: whoever is persuaded comes back and buys.
    #[pyo3(signature = (customer, at, *, channels, strength, horizon_days, seed, **persuasion))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn respond(
        &self,
        py: Python<'_>,
        customer: Vec<u64>,
        at: &Bound<'_, PyAny>,
        channels: Vec<String>,
        strength: f64,
        horizon_days: u32,
        seed: u64,
        persuasion: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<SimulatedShop> {
        let persuasion: Persuasion = settings::read(py, "persuasion", persuasion)?;
        let horizon = Horizon::days(horizon_days).or_raise(py)?;
        let channels = positions(py, &channels)?;
        // One instant for all, or one per customer.
        let instants = match convert::instant("at", at) {
            Ok(at) => vec![at; customer.len()],
            Err(_) => {
                let each = at.try_iter()?.map(|at| convert::instant("at", &at?));
                each.collect::<PyResult<Vec<_>>>()?
            }
        };
        if instants.len() != customer.len() {
            let error = Error::length_mismatch("contacts.at", customer.len(), instants.len());
            return Err(error).or_raise(py);
        }
        let contacts: Vec<Treatment> = customer
            .into_iter()
            .zip(instants)
            .map(|(customer, at)| Treatment {
                customer,
                at,
                channels: channels.clone(),
                strength,
            })
            .collect();
        let shop = py.detach(|| self.shop.respond(&contacts, &persuasion, horizon, seed));
        Ok(SimulatedShop {
            shop: Arc::new(shop.or_raise(py)?),
        })
    }

    /// How every customer really behaves.
    #[getter]
    fn truth(&self) -> Table {
        let shop = Arc::clone(&self.shop);
        Table::new(shop.truth.len(), move || {
            let truth = || shop.truth.iter();
            let mut batch = BatchBuilder::new()
                .counts("customer", truth().map(|t| Some(t.customer)))
                .texts("pattern", truth().map(|t| Some(pattern(t.pattern))))
                .times("joined", truth().map(|t| Some(t.joined)))
                .times("left", truth().map(|t| t.left))
                .optional_numbers("gap_days", truth().map(|t| Some(t.gap_days)))
                .optional_numbers("order_value", truth().map(|t| Some(t.order_value)));
            for (j, channel) in CHANNELS.iter().enumerate() {
                let open = truth().map(|t| Some(t.open_probability[j]));
                batch = batch.optional_numbers(&format!("{channel}_open_probability"), open);
            }
            batch.finish()
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "SimulatedShop({} events of {} customers)",
            self.shop.len(),
            self.shop.truth.len()
        )
    }
}

/// Positions of channels in the open probabilities.
fn positions(py: Python<'_>, channels: &[String]) -> PyResult<Vec<usize>> {
    let position = |name: &String| {
        let known = CHANNELS.iter().position(|channel| channel == name);
        known.ok_or_else(|| Error::unknown_name("channels", name, CHANNELS))
    };
    let all: churn_core::Result<Vec<usize>> = channels.iter().map(position).collect();
    all.or_raise(py)
}

fn pattern(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Regular => "regular",
        Pattern::Lapsing => "lapsing",
        Pattern::OneTime => "one_time",
    }
}
