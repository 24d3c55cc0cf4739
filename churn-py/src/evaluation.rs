//! Experiments, hold-outs and policies; `churn.experiment` re-exports them.

use churn_core::evaluation::experiment::{
    self, Arms, Comparison, ComparisonSettings, Outcome as OutcomeKind, PlanSettings, SamplePlan,
    Spending, compare,
};
use churn_core::evaluation::policy_value::{
    self, Estimator, LoggedChoices, PolicyValue as CoreValue, RewardModel,
};
use churn_core::evaluation::{
    self, ArmAction, IncrementalSettings, JourneyExposures, UpliftCalibration,
};
use churn_core::journey::Outcome;
use churn_core::{AsOf, Horizon};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::convert::{self, Ids};
use crate::customers::Customers;
use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::settings;

/// An answer of the core as a dict.
pub(crate) fn answer<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value)
        .map_err(|error| churn_core::Error::invalid_parameter("answer", "plain data", error))
        .or_raise(py)?;
    py.import("json")?.call_method1("loads", (text,))
}

/// Names of arms from an array or a list; numbers are read as text.
fn names(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    Ok(match convert::ids(what, cells)? {
        Ids::Texts(names) => names,
        Ids::Ints(codes) => codes.iter().map(i64::to_string).collect(),
        Ids::Uints(codes) => codes.iter().map(u64::to_string).collect(),
    })
}

/// Compares every arm with the control on one outcome per unit.
#[pyfunction]
#[pyo3(signature = (arm, outcome, *, control, kind, covariates=None, **comparison))]
pub(crate) fn compare_arms<'py>(
    py: Python<'py>,
    arm: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    control: &Bound<'py, PyAny>,
    kind: &Bound<'py, PyAny>,
    covariates: Option<Vec<Bound<'py, PyAny>>>,
    comparison: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let comparison: ComparisonSettings = settings::read(py, "comparison", comparison)?;
    let kind: OutcomeKind = settings::read_value(kind, "kind")?;
    let arm = names("experiment.arm", arm)?;
    let control = control.str()?.to_string();
    let outcome = convert::vector("experiment.outcome", outcome)?;
    let columns: Vec<Vec<f64>> = covariates
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(i, column)| convert::vector(&format!("experiment.covariates[{i}]"), column))
        .collect::<PyResult<_>>()?;
    let result = py.detach(|| {
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let arms = Arms::new(&arm, &control)?;
        compare(&arms, &outcome, kind, &columns, &comparison)
    });
    answer(py, &result.or_raise(py)?)
}

/// Did the arms get the shares that were planned?
#[pyfunction]
#[pyo3(signature = (arm, *, control, shares=None))]
pub(crate) fn sample_ratio<'py>(
    py: Python<'py>,
    arm: &Bound<'py, PyAny>,
    control: &Bound<'py, PyAny>,
    shares: Option<Vec<f64>>,
) -> PyResult<Bound<'py, PyAny>> {
    let arm = names("experiment.arm", arm)?;
    let control = control.str()?.to_string();
    let check = Arms::new(&arm, &control)
        .and_then(|arms| experiment::sample_ratio(&arms, &shares.unwrap_or_default()));
    answer(py, &check.or_raise(py)?)
}

/// Bounds |z| of a test with planned looks.
#[pyfunction]
#[pyo3(signature = (looks, *, confidence=0.95, spending=None))]
pub(crate) fn group_sequential_bounds(
    py: Python<'_>,
    looks: Vec<f64>,
    confidence: f64,
    spending: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<f64>> {
    let spending = match spending {
        None => Spending::default(),
        Some(name) => settings::read_value(name, "spending")?,
    };
    py.detach(|| experiment::group_sequential_bounds(&looks, confidence, spending))
        .or_raise(py)
}

/// Units needed in the control to see a difference of means.
#[pyfunction]
#[pyo3(signature = (effect, variances, **plan))]
pub(crate) fn sample_size(
    py: Python<'_>,
    effect: f64,
    variances: (f64, f64),
    plan: Option<&Bound<'_, PyDict>>,
) -> PyResult<u64> {
    let plan: PlanSettings = settings::read(py, "plan", plan)?;
    experiment::sample_size(effect, variances, &plan).or_raise(py)
}

/// The smallest difference that so many units can show.
#[pyfunction]
#[pyo3(signature = (control_units, variances, **plan))]
pub(crate) fn minimum_detectable_effect(
    py: Python<'_>,
    control_units: u64,
    variances: (f64, f64),
    plan: Option<&Bound<'_, PyDict>>,
) -> PyResult<f64> {
    let plan: PlanSettings = settings::read(py, "plan", plan)?;
    experiment::minimum_detectable_effect(control_units, variances, &plan).or_raise(py)
}

/// The probability of seeing a difference that is there.
#[pyfunction]
#[pyo3(signature = (effect, control_units, variances, **plan))]
pub(crate) fn power(
    py: Python<'_>,
    effect: f64,
    control_units: u64,
    variances: (f64, f64),
    plan: Option<&Bound<'_, PyDict>>,
) -> PyResult<f64> {
    let plan: PlanSettings = settings::read(py, "plan", plan)?;
    experiment::power(effect, control_units, variances, &plan).or_raise(py)
}

/// What the past says about an experiment with customers who fall silent.
#[pyfunction]
#[pyo3(signature = (log, as_of, *, silence_days, horizon_days, window_days))]
pub(crate) fn plan_from_log<'py>(
    py: Python<'py>,
    log: &EventLog,
    as_of: &Bound<'py, PyAny>,
    silence_days: u32,
    horizon_days: u32,
    window_days: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let log = log.log(py)?;
    let as_of = convert::as_of(as_of)?;
    let horizon = Horizon::days(horizon_days).or_raise(py)?;
    let plan = py.detach(|| SamplePlan::from_log(&log, as_of, silence_days, horizon, window_days));
    answer(py, &plan.or_raise(py)?)
}

/// Who was in which arm of an experiment, and from when on.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Exposures {
    exposures: evaluation::Exposures,
}

impl Exposures {
    fn at_end(end: Option<&Bound<'_, PyAny>>) -> PyResult<Option<AsOf>> {
        end.map(convert::as_of).transpose()
    }
}

#[pymethods]
impl Exposures {
    /// One row per assignment; a customer in several rows of one arm entered at the earliest.
    #[new]
    #[pyo3(signature = (customer, arm, at, *, control))]
    fn new(
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        arm: &Bound<'_, PyAny>,
        at: Vec<Bound<'_, PyAny>>,
        control: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let arm = names("experiment.arm", arm)?;
        let control = control.str()?.to_string();
        let at = at
            .iter()
            .map(|at| convert::instant("experiment.at", at))
            .collect::<PyResult<Vec<_>>>()?;
        let exposures = match convert::ids("experiment.customer", customer)? {
            Ids::Ints(ids) => evaluation::Exposures::new(&ids, &arm, &at, &control),
            Ids::Uints(ids) => evaluation::Exposures::new(&ids, &arm, &at, &control),
            Ids::Texts(ids) => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                evaluation::Exposures::new(&ids, &arm, &at, &control)
            }
        };
        Ok(Exposures {
            exposures: exposures.or_raise(py)?,
        })
    }

    /// The customers, sorted by id.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.exposures.customers())
    }

    /// The arm of each customer.
    #[getter]
    fn arm(&self) -> Vec<String> {
        let arms = self.exposures.arms();
        let name = |code: &u32| arms.names()[*code as usize].clone();
        arms.codes().iter().map(name).collect()
    }

    /// What each customer did within the horizon after entering.
    #[pyo3(signature = (log, *, horizon_days, observed_until=None))]
    fn outcomes<'py>(
        &self,
        py: Python<'py>,
        log: &EventLog,
        horizon_days: u32,
        observed_until: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let log = log.log(py)?;
        let horizon = Horizon::days(horizon_days).or_raise(py)?;
        let end = Self::at_end(observed_until)?;
        let outcomes = py
            .detach(|| self.exposures.outcomes(&log, horizon, end))
            .or_raise(py)?;
        let rows: Vec<f64> = outcomes.rows.iter().map(|row| *row as f64).collect();
        let dict = PyDict::new(py);
        for (name, column) in [
            ("row", &rows),
            ("bought", &outcomes.bought),
            ("orders", &outcomes.orders),
            ("revenue", &outcomes.revenue),
            ("orders_before", &outcomes.orders_before),
            ("revenue_before", &outcomes.revenue_before),
        ] {
            dict.set_item(name, convert::floats(py, column)?)?;
        }
        let arms = outcomes.arms;
        let name = |code: &u32| arms.names()[*code as usize].clone();
        dict.set_item(
            "arm",
            arms.codes().iter().map(name).collect::<Vec<String>>(),
        )?;
        dict.set_item("open", outcomes.open)?;
        Ok(dict)
    }

    /// What contacting changed, against the customers held out.
    #[pyo3(signature = (log, cost, *, horizon_days, group=None, observed_until=None, **incremental))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn incremental<'py>(
        &self,
        py: Python<'py>,
        log: &EventLog,
        cost: &Bound<'py, PyAny>,
        horizon_days: u32,
        group: Option<&Bound<'py, PyAny>>,
        observed_until: Option<&Bound<'py, PyAny>>,
        incremental: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let log = log.log(py)?;
        let settings: IncrementalSettings = settings::read(py, "incremental", incremental)?;
        let horizon = Horizon::days(horizon_days).or_raise(py)?;
        let end = Self::at_end(observed_until)?;
        let cost = convert::vector("incremental.cost", cost)?;
        let group = group.map(|g| names("incremental.group", g)).transpose()?;
        let report = py.detach(|| {
            let outcomes = self.exposures.outcomes(&log, horizon, end)?;
            evaluation::incremental(
                &self.exposures,
                &outcomes,
                &cost,
                group.as_deref(),
                &settings,
            )
        });
        answer(py, &report.or_raise(py)?)
    }

    fn __len__(&self) -> usize {
        self.exposures.customers().len()
    }

    fn __repr__(&self) -> String {
        let arms = self.exposures.arms();
        let counts = arms.names().iter().zip(arms.counts());
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{name}: {count}"))
            .collect();
        format!("Exposures({})", counts.join(", "))
    }
}

/// The report of journeys from the logs of their steps.
pub(crate) fn report<'py>(
    py: Python<'py>,
    outcomes: &[&Outcome],
    log: &EventLog,
    horizon_days: u32,
    observed_until: Option<&Bound<'py, PyAny>>,
    incremental: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let log = log.log(py)?;
    let settings: IncrementalSettings = settings::read(py, "incremental", incremental)?;
    let horizon = Horizon::days(horizon_days).or_raise(py)?;
    let end = Exposures::at_end(observed_until)?;
    let report =
        py.detach(|| JourneyExposures::new(outcomes)?.report(&log, horizon, end, &settings));
    answer(py, &report.or_raise(py)?)
}

/// The changes that arms of a comparison made, as effects of actions.
#[pyfunction]
pub(crate) fn effects_of<'py>(
    py: Python<'py>,
    comparison: &Bound<'py, PyAny>,
    arms: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let comparison: Comparison = settings::read_value(comparison, "comparison")?;
    let arms: Vec<ArmAction> = settings::read_value(arms, "arms")?;
    answer(py, &comparison.effects_of(&arms).or_raise(py)?)
}

/// How far predictions of an uplift model may be believed, from doubly robust scores out of fold.
#[pyfunction]
pub(crate) fn uplift_calibration<'py>(
    py: Python<'py>,
    predicted: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let predicted = convert::vector("calibration.predicted", predicted)?;
    let scores = convert::vector("calibration.scores", scores)?;
    let calibration = py.detach(|| UpliftCalibration::new(&predicted, &scores));
    answer(py, &calibration.or_raise(py)?)
}

/// Changes and standard errors for predictions of the model, as `churn.optimize` takes them.
#[pyfunction]
pub(crate) fn calibrated_uplift<'py>(
    py: Python<'py>,
    calibration: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let calibration: UpliftCalibration = settings::read_value(calibration, "calibration")?;
    let predicted = convert::vector("calibration.predicted", predicted)?;
    let (change, error) = calibration.apply(&predicted);
    let dict = PyDict::new(py);
    dict.set_item("change", convert::floats(py, &change)?)?;
    dict.set_item("standard_error", convert::floats(py, &error)?)?;
    Ok(dict)
}

/// The value of a policy from logged choices, with one score per choice.
#[pyclass(frozen, module = "churn")]
pub(crate) struct PolicyValue {
    value: CoreValue,
}

#[pymethods]
impl PolicyValue {
    /// Mean reward per choice.
    #[getter]
    fn value(&self) -> f64 {
        self.value.value.value
    }

    /// Its interval.
    #[getter]
    fn interval(&self) -> (f64, f64) {
        (self.value.value.low, self.value.value.high)
    }

    /// Its standard error.
    #[getter]
    fn standard_error(&self) -> f64 {
        self.value.value.standard_error
    }

    /// How many choices of its own the policy would need to know as much.
    #[getter]
    fn effective_choices(&self) -> f64 {
        self.value.effective_choices
    }

    /// The largest weight of a choice.
    #[getter]
    fn largest_weight(&self) -> f64 {
        self.value.largest_weight
    }

    /// This value minus that of another policy on the same choices.
    #[pyo3(signature = (other, *, confidence=0.95))]
    fn minus<'py>(
        &self,
        py: Python<'py>,
        other: &PolicyValue,
        confidence: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let difference = policy_value::compare_policies(&other.value, &self.value, confidence);
        answer(py, &difference.or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        let value = self.value.value;
        format!(
            "PolicyValue({}, {} to {})",
            value.value, value.low, value.high
        )
    }
}

/// What a policy would have earned, from the log of another one.
#[pyfunction]
#[pyo3(signature = (reward, propensity, policy, *, estimator, model=None, confidence=0.95))]
pub(crate) fn policy_value_of(
    py: Python<'_>,
    reward: &Bound<'_, PyAny>,
    propensity: &Bound<'_, PyAny>,
    policy: &Bound<'_, PyAny>,
    estimator: &Bound<'_, PyAny>,
    model: Option<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    confidence: f64,
) -> PyResult<PolicyValue> {
    let estimator: Estimator = settings::read_value(estimator, "estimator")?;
    let reward = convert::vector("policy.reward", reward)?;
    let propensity = convert::vector("policy.propensity", propensity)?;
    let policy = convert::vector("policy.policy", policy)?;
    let model = match model {
        None => None,
        Some((choice, of_policy)) => Some((
            convert::vector("policy.model.of_choice", &choice)?,
            convert::vector("policy.model.of_policy", &of_policy)?,
        )),
    };
    let value = py.detach(|| {
        let choices = LoggedChoices {
            reward: &reward,
            propensity: &propensity,
            policy: &policy,
        };
        let model = model.as_ref().map(|(of_choice, of_policy)| RewardModel {
            of_choice,
            of_policy,
        });
        policy_value::policy_value(&choices, model.as_ref(), estimator, confidence)
    });
    Ok(PolicyValue {
        value: value.or_raise(py)?,
    })
}

/// Incremental profit of contacting the first customers of a ranking, and the best cut.
#[pyfunction]
#[pyo3(signature = (score, effect, cost, *, confidence=0.95))]
pub(crate) fn profit_curve<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    effect: &Bound<'py, PyAny>,
    cost: &Bound<'py, PyAny>,
    confidence: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let score = convert::vector("policy.score", score)?;
    let effect = convert::vector("policy.effect", effect)?;
    let cost = convert::vector("policy.cost", cost)?;
    let curve = py
        .detach(|| policy_value::profit_curve(&score, &effect, &cost, confidence))
        .or_raise(py)?;
    let column =
        |of: fn(&policy_value::ProfitPoint) -> f64| -> Vec<f64> { curve.iter().map(of).collect() };
    let dict = PyDict::new(py);
    dict.set_item("share", convert::floats(py, &column(|p| p.share))?)?;
    dict.set_item("profit", convert::floats(py, &column(|p| p.profit.value))?)?;
    dict.set_item("low", convert::floats(py, &column(|p| p.profit.low))?)?;
    dict.set_item("high", convert::floats(py, &column(|p| p.profit.high))?)?;
    dict.set_item("best", answer(py, &policy_value::best_cut(&curve))?)?;
    Ok(dict)
}
