//! Plans of the largest expected profit that limits allow.

use churn_core::arrow::{curve_batch, price_batch};
use churn_core::strategy::{self, Effects, OptimizeSettings, optimize_with};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;
use crate::errors::wrong_type;
use crate::shared::Shared;
use crate::strategy::{Facts, Plan, Playbook};
use crate::table::Table;
use crate::{progress, settings};

/// Uplift estimates of one action: its id, the channels or any, one change per customer, and the
/// standard errors where there are any.
type Uplift = (String, Option<Vec<String>>, Vec<f64>, Option<Vec<f64>>);

/// Gives each customer at most one action over one of its channel sets so that the expected profit
/// of all together is as large as the constraints allow.
#[pyfunction]
#[pyo3(signature = (playbook, facts, *, uplift=None, progress=None, **settings))]
pub(crate) fn optimize(
    py: Python<'_>,
    playbook: &Playbook,
    facts: &Facts,
    uplift: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<Plan>> {
    let settings: OptimizeSettings = settings::read(py, "optimize", settings)?;
    let uplift = uplift.map_or(Ok(Vec::new()), read_uplift)?;
    let plan = progress::run(py, progress, |progress| {
        facts.with(|facts| {
            let mut effects = Effects::new(playbook.inner(), facts, &settings.effects)?;
            for (action, channels, change, errors) in uplift {
                effects = effects.with_uplift_errors(
                    &action,
                    channels.as_deref(),
                    facts.customers(),
                    facts.as_of(),
                    change,
                    errors,
                )?;
            }
            optimize_with(effects, facts, &settings, progress)
        })
    })?;
    Plan::wrap(py, Shared::new(plan))
}

/// A mapping of an action, or of an action and its channels, to changes, or to a mapping with `change`
/// and `standard_error`.
fn read_uplift(uplift: &Bound<'_, PyAny>) -> PyResult<Vec<Uplift>> {
    let expected = "a dict of arrays by action or (action, channels)";
    if !uplift.hasattr("items")? {
        return Err(wrong_type("uplift", expected, uplift));
    }
    let mut all = Vec::new();
    for pair in uplift.call_method0("items")?.try_iter()? {
        let (key, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let (action, channels) = match key.extract::<String>() {
            Ok(action) => (action, None),
            Err(_) => {
                let both: (String, Vec<String>) = key
                    .extract()
                    .map_err(|_| wrong_type("uplift", expected, &key))?;
                (both.0, Some(both.1))
            }
        };
        let place = format!("uplift.{action}");
        let (change, errors) = match cells.cast::<PyDict>() {
            Err(_) => (convert::vector(&place, &cells)?, None),
            Ok(both) => {
                let column = |name: &str| -> PyResult<Vec<f64>> {
                    let place = format!("{place}.{name}");
                    match both.get_item(name)? {
                        Some(cells) => convert::vector(&place, &cells),
                        None => Err(wrong_type(&place, "an array", both)),
                    }
                };
                (column("change")?, Some(column("standard_error")?))
            }
        };
        all.push((action, channels, change, errors));
    }
    Ok(all)
}

/// Profit, prices and proof of a plan made for profit.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Allocation {
    plan: Shared<strategy::Plan>,
}

impl Allocation {
    /// `None` for a plan by priority.
    pub(crate) fn of(plan: &Shared<strategy::Plan>) -> Option<Self> {
        plan.allocation()?;
        Some(Allocation { plan: plan.clone() })
    }

    fn read<T>(&self, read: impl FnOnce(&strategy::Allocation) -> T) -> Option<T> {
        self.plan.allocation().map(read)
    }
}

#[pymethods]
impl Allocation {
    /// Expected incremental profit of the plan.
    #[getter]
    fn profit(&self) -> Option<f64> {
        self.read(|allocation| allocation.profit())
    }

    /// Profit that no plan under the constraints exceeds.
    #[getter]
    fn bound(&self) -> Option<f64> {
        self.read(|allocation| allocation.bound())
    }

    /// How far the plan may be from the best one, relative to the bound.
    #[getter]
    fn gap(&self) -> Option<f64> {
        self.read(|allocation| allocation.gap())
    }

    /// What contacts and, by expectation, offers cost together.
    #[getter]
    fn spent(&self) -> Option<f64> {
        self.read(|allocation| allocation.spent())
    }

    /// Number of customers with an action.
    #[getter]
    fn chosen(&self) -> Option<usize> {
        self.read(|allocation| allocation.chosen())
    }

    /// The constraints with what is used of them and what one unit more would bring.
    #[getter]
    fn prices(&self) -> Table {
        let plan = self.plan.clone();
        let rows = self.read(|allocation| allocation.prices().len());
        Table::new(rows.unwrap_or(0), move || price_batch(&plan))
    }

    /// Profit for other budgets; without rows unless asked for with `curve_points`.
    #[getter]
    fn curve(&self) -> Table {
        let plan = self.plan.clone();
        let rows = self.read(|allocation| allocation.curve().len());
        Table::new(rows.unwrap_or(0), move || curve_batch(&plan))
    }

    fn __repr__(&self) -> String {
        self.read(|allocation| format!("{allocation:?}"))
            .unwrap_or_default()
    }

    /// Profit, bound and prices for reading.
    fn __str__(&self) -> String {
        self.read(|allocation| allocation.to_string())
            .unwrap_or_default()
    }
}
