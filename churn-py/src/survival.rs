//! Time until something happens: curves and hazard models.

use std::sync::Arc;

use churn_core::arrow::{
    BatchBuilder, baseline_batch, coefficient_batch, gap_batch, hazard_batch, survival_batch,
};
use churn_core::scoring::learned::{Column, Frame};
use churn_core::scoring::survival::{
    self, Durations, KaplanMeier as Kaplan, LogRankWeights, NelsonAalen as Nelson, PurchaseGaps,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{self, Groups, flag_column, float_column, numeric_frame};
use crate::errors::OrRaise;
use crate::events::EventLog;
use crate::table::Table;
use crate::{progress, settings};

/// Spells as Python hands them over.
struct Spells {
    durations: Vec<f64>,
    event_observed: Vec<bool>,
    entry: Option<Vec<f64>>,
}

impl Spells {
    /// Without `event_observed` every spell was seen to end.
    fn read(
        durations: &Bound<'_, PyAny>,
        event_observed: Option<&Bound<'_, PyAny>>,
        entry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let durations = float_column("durations", durations)?;
        let event_observed = match event_observed {
            None => vec![true; durations.len()],
            Some(cells) => flag_column("event_observed", cells)?,
        };
        let entry = entry
            .map(|cells| float_column("entry", cells))
            .transpose()?;
        Ok(Spells {
            durations,
            event_observed,
            entry,
        })
    }

    fn durations(&self) -> churn_core::Result<Durations<'_>> {
        let durations = Durations::new(&self.durations, &self.event_observed)?;
        match &self.entry {
            None => Ok(durations),
            Some(entry) => durations.with_entry(entry),
        }
    }
}

fn frame(columns: &[(String, Vec<f64>)]) -> churn_core::Result<Frame<'_>> {
    let columns = columns.iter();
    let columns = columns.map(|(name, x)| (name.clone(), Column::Numeric(x.as_slice().into())));
    Frame::new(columns.collect())
}

/// Settings of a Kaplan–Meier curve.
#[pyclass(frozen, module = "churn")]
pub(crate) struct KaplanMeier(Kaplan);

#[pymethods]
impl KaplanMeier {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(KaplanMeier(settings::read(py, "kaplan_meier", settings)?))
    }

    /// The curve of these spells.
    #[pyo3(signature = (durations, event_observed=None, *, entry=None))]
    fn fit(
        &self,
        durations: &Bound<'_, PyAny>,
        event_observed: Option<&Bound<'_, PyAny>>,
        entry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<SurvivalCurve>> {
        let py = durations.py();
        let spells = Spells::read(durations, event_observed, entry)?;
        let curve = py
            .detach(|| self.0.fit(&spells.durations()?))
            .or_raise(py)?;
        let curve = Arc::new(curve);
        let source = Arc::clone(&curve);
        let base = Table::new(curve.times().len(), move || survival_batch(&source));
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(SurvivalCurve { curve }),
        )
    }

    fn __repr__(&self) -> String {
        settings::shown("KaplanMeier", &self.0)
    }
}

/// A Kaplan–Meier curve, one row per distinct time.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct SurvivalCurve {
    curve: Arc<survival::SurvivalCurve>,
}

#[pymethods]
impl SurvivalCurve {
    /// The time at which half are left; None if the curve never falls that far.
    #[getter]
    fn median(&self) -> Option<f64> {
        self.curve.median()
    }

    /// The first time at which at most the share `survival` is left.
    fn percentile(&self, py: Python<'_>, survival: f64) -> PyResult<Option<f64>> {
        self.curve.percentile(survival).or_raise(py)
    }

    /// The interval of a percentile.
    fn percentile_interval(
        &self,
        py: Python<'_>,
        survival: f64,
    ) -> PyResult<(Option<f64>, Option<f64>)> {
        self.curve.percentile_interval(survival).or_raise(py)
    }

    /// Survival at any times.
    fn survival_at<'py>(&self, times: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = times.py();
        let times = float_column("times", times)?;
        convert::floats(py, &self.curve.survival_at(&times).or_raise(py)?)
    }

    /// Mean duration when every spell is cut at `limit`.
    fn restricted_mean(&self, py: Python<'_>, limit: f64) -> PyResult<f64> {
        self.curve.restricted_mean(limit).or_raise(py)
    }

    fn __repr__(&self) -> String {
        format!("SurvivalCurve({} times)", self.curve.times().len())
    }
}

/// Settings of a Nelson–Aalen curve.
#[pyclass(frozen, module = "churn")]
pub(crate) struct NelsonAalen(Nelson);

#[pymethods]
impl NelsonAalen {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(NelsonAalen(settings::read(py, "nelson_aalen", settings)?))
    }

    /// The curve of these spells.
    #[pyo3(signature = (durations, event_observed=None, *, entry=None))]
    fn fit(
        &self,
        durations: &Bound<'_, PyAny>,
        event_observed: Option<&Bound<'_, PyAny>>,
        entry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<HazardCurve>> {
        let py = durations.py();
        let spells = Spells::read(durations, event_observed, entry)?;
        let curve = py
            .detach(|| self.0.fit(&spells.durations()?))
            .or_raise(py)?;
        let curve = Arc::new(curve);
        let source = Arc::clone(&curve);
        let base = Table::new(curve.times().len(), move || hazard_batch(&source));
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(HazardCurve { curve }),
        )
    }

    fn __repr__(&self) -> String {
        settings::shown("NelsonAalen", &self.0)
    }
}

/// A Nelson–Aalen curve, one row per distinct time.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct HazardCurve {
    curve: Arc<survival::HazardCurve>,
}

#[pymethods]
impl HazardCurve {
    /// Cumulative hazard at any times.
    fn cumulative_hazard_at<'py>(&self, times: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = times.py();
        let times = float_column("times", times)?;
        convert::floats(py, &self.curve.cumulative_hazard_at(&times).or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        format!("HazardCurve({} times)", self.curve.times().len())
    }
}

/// What a log-rank test found; one row per group.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct LogRank {
    /// Chi-square statistic.
    #[pyo3(get)]
    statistic: f64,
    /// Number of groups minus one.
    #[pyo3(get)]
    degrees_of_freedom: usize,
    /// Probability of a statistic at least as large if the groups do not differ.
    #[pyo3(get)]
    p_value: f64,
}

#[pymethods]
impl LogRank {
    fn __repr__(&self) -> String {
        format!(
            "LogRank(statistic={:?}, degrees_of_freedom={}, p_value={:?})",
            self.statistic, self.degrees_of_freedom, self.p_value
        )
    }
}

/// Tests whether two or more groups end at the same rate.
#[pyfunction]
#[pyo3(signature = (durations, groups, event_observed=None, *, entry=None, weights=None))]
pub(crate) fn logrank(
    durations: &Bound<'_, PyAny>,
    groups: &Bound<'_, PyAny>,
    event_observed: Option<&Bound<'_, PyAny>>,
    entry: Option<&Bound<'_, PyAny>>,
    weights: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<LogRank>> {
    let py = durations.py();
    let spells = Spells::read(durations, event_observed, entry)?;
    let groups = Groups::read("groups", groups)?;
    let weights: LogRankWeights = match weights {
        None => LogRankWeights::default(),
        Some(weights) => settings::read_value(weights, "log_rank.weights")?,
    };
    let test = py
        .detach(|| survival::log_rank(&spells.durations()?, &groups.codes, weights))
        .or_raise(py)?;
    let found = LogRank {
        statistic: test.statistic,
        degrees_of_freedom: test.degrees_of_freedom,
        p_value: test.p_value,
    };
    let base = Table::new(test.groups.len(), move || {
        let all = || test.groups.iter();
        let expected: Vec<f64> = all().map(|group| group.expected).collect();
        BatchBuilder::new()
            .texts("group", groups.names.iter().map(|name| Some(name.as_str())))
            .counts("size", all().map(|group| Some(group.size)))
            .counts("observed", all().map(|group| Some(group.observed)))
            .numbers("expected", &expected)
            .finish()
    });
    Py::new(py, PyClassInitializer::from(base).add_subclass(found))
}

/// Settings of a Cox proportional-hazards model.
#[pyclass(frozen, module = "churn")]
pub(crate) struct CoxPH(survival::CoxPh);

#[pymethods]
impl CoxPH {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(CoxPH(settings::read(py, "cox", settings)?))
    }

    /// Fits the model: every column of `covariates` is one.
    #[pyo3(signature = (durations, covariates, event_observed=None, *, entry=None, strata=None, progress=None))]
    fn fit(
        &self,
        durations: &Bound<'_, PyAny>,
        covariates: &Bound<'_, PyAny>,
        event_observed: Option<&Bound<'_, PyAny>>,
        entry: Option<&Bound<'_, PyAny>>,
        strata: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<CoxModel> {
        let py = durations.py();
        let spells = Spells::read(durations, event_observed, entry)?;
        let columns = numeric_frame("covariates", covariates)?;
        let strata = strata
            .map(|cells| Groups::read("strata", cells))
            .transpose()?;
        let codes = strata.as_ref().map(|strata| strata.codes.as_slice());
        let model = progress::run(py, progress, |progress| {
            let durations = spells.durations()?;
            self.0
                .fit_observed(&durations, &frame(&columns)?, codes, progress)
        })?;
        Ok(CoxModel {
            model: Arc::new(model),
            strata: strata.map(|strata| strata.names),
        })
    }

    fn __repr__(&self) -> String {
        settings::shown("CoxPH", &self.0)
    }
}

/// A fitted Cox model.
#[pyclass(frozen, module = "churn")]
pub(crate) struct CoxModel {
    model: Arc<survival::CoxModel>,
    strata: Option<Vec<String>>,
}

impl CoxModel {
    fn codes(&self, strata: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u32>>> {
        let Some(cells) = strata else { return Ok(None) };
        let groups = Groups::read("strata", cells)?;
        match &self.strata {
            // The core says that there are none.
            None => Ok(Some(groups.codes)),
            Some(known) => groups
                .codes_in("strata", known)
                .or_raise(cells.py())
                .map(Some),
        }
    }
}

#[pymethods]
impl CoxModel {
    /// One row per covariate.
    #[getter]
    fn summary(&self) -> Table {
        let model = Arc::clone(&self.model);
        Table::new(model.coefficients().len(), move || {
            coefficient_batch(model.coefficients())
        })
    }

    /// The change of the log hazard per unit, by covariate.
    #[getter]
    fn coefficients<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for one in self.model.coefficients() {
            all.set_item(&one.name, one.coefficient)?;
        }
        Ok(all)
    }

    /// Logarithm of the partial likelihood at the estimate.
    #[getter]
    fn log_likelihood(&self) -> f64 {
        self.model.log_likelihood()
    }

    /// The same with all coefficients 0.
    #[getter]
    fn null_log_likelihood(&self) -> f64 {
        self.model.null_log_likelihood()
    }

    /// Statistic, degrees of freedom and p-value of all coefficients together.
    #[getter]
    fn likelihood_ratio(&self) -> (f64, usize, f64) {
        self.model.likelihood_ratio()
    }

    /// Harrell's concordance on the rows of the fit; None without a pair to compare.
    #[getter]
    fn concordance(&self) -> Option<f64> {
        self.model.concordance().index()
    }

    /// Newton steps taken.
    #[getter]
    fn iterations(&self) -> u32 {
        self.model.iterations()
    }

    /// Breslow's cumulative hazard of a row with mean covariates, by stratum and time.
    #[getter]
    fn baseline(&self) -> Table {
        let model = Arc::clone(&self.model);
        let rows = model.strata();
        let rows = rows.iter().filter_map(|s| model.baseline(*s).ok());
        let rows = rows.map(|(times, _)| times.len()).sum();
        let names = self.strata.clone();
        Table::new(rows, move || match &names {
            None => baseline_batch(&model),
            Some(names) => {
                let (mut codes, mut times, mut hazards) = (Vec::new(), Vec::new(), Vec::new());
                for stratum in model.strata() {
                    let (time, hazard) = model.baseline(stratum)?;
                    codes.extend(time.iter().map(|_| Some(stratum)));
                    times.extend_from_slice(time);
                    hazards.extend_from_slice(hazard);
                }
                BatchBuilder::new()
                    .labels("stratum", names, codes)?
                    .numbers("time", &times)
                    .numbers("cumulative_hazard", &hazards)
                    .finish()
            }
        })
    }

    /// ln of each row's hazard over that of a row with mean covariates.
    fn log_partial_hazard<'py>(
        &self,
        covariates: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let risk = py
            .detach(|| self.model.log_partial_hazard(&frame(&columns)?))
            .or_raise(py)?;
        convert::floats(py, &risk)
    }

    /// Probability that each row lasts longer than each time, of shape (rows, times).
    #[pyo3(signature = (covariates, times, *, strata=None, conditional_after=None))]
    fn survival<'py>(
        &self,
        covariates: &Bound<'py, PyAny>,
        times: &Bound<'py, PyAny>,
        strata: Option<&Bound<'py, PyAny>>,
        conditional_after: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let times = float_column("times", times)?;
        let after = conditional_after
            .map(|cells| float_column("conditional_after", cells))
            .transpose()?;
        let codes = self.codes(strata)?;
        let survival = py
            .detach(|| {
                self.model.survival(
                    &frame(&columns)?,
                    &times,
                    codes.as_deref(),
                    after.as_deref(),
                )
            })
            .or_raise(py)?;
        by_times(py, &survival, times.len())
    }

    /// The first time at which each row's survival is at most `survival`; NaN where it never is.
    #[pyo3(signature = (covariates, survival=0.5, *, strata=None))]
    fn percentile<'py>(
        &self,
        covariates: &Bound<'py, PyAny>,
        survival: f64,
        strata: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let codes = self.codes(strata)?;
        let times = py
            .detach(|| {
                self.model
                    .percentile(&frame(&columns)?, survival, codes.as_deref())
            })
            .or_raise(py)?;
        let times: Vec<f64> = times.into_iter().map(|t| t.unwrap_or(f64::NAN)).collect();
        convert::floats(py, &times)
    }

    fn __repr__(&self) -> String {
        format!(
            "CoxModel({} covariates, {} events in {} rows, log_likelihood={:?})",
            self.model.coefficients().len(),
            self.model.events(),
            self.model.rows(),
            self.model.log_likelihood()
        )
    }
}

/// Numbers laid out time after time, as an array of shape (rows, times).
fn by_times<'py>(py: Python<'py>, values: &[f64], times: usize) -> PyResult<Bound<'py, PyAny>> {
    let rows = values.len().checked_div(times).unwrap_or(0);
    convert::floats(py, values)?
        .call_method1("reshape", ((times, rows),))?
        .getattr("T")
}

/// Settings of a Weibull accelerated-failure-time model.
#[pyclass(frozen, module = "churn")]
pub(crate) struct WeibullAFT(survival::WeibullAft);

#[pymethods]
impl WeibullAFT {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(WeibullAFT(settings::read(py, "weibull_aft", settings)?))
    }

    /// Fits the model: every column of `covariates` is one; None = the durations alone.
    #[pyo3(signature = (durations, covariates=None, event_observed=None))]
    fn fit(
        &self,
        durations: &Bound<'_, PyAny>,
        covariates: Option<&Bound<'_, PyAny>>,
        event_observed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<WeibullModel> {
        let py = durations.py();
        let spells = Spells::read(durations, event_observed, None)?;
        let columns = covariates
            .map(|columns| numeric_frame("covariates", columns))
            .transpose()?;
        let model = py
            .detach(|| {
                let frame = columns.as_deref().map(frame).transpose()?;
                self.0.fit(&spells.durations()?, frame.as_ref())
            })
            .or_raise(py)?;
        Ok(WeibullModel {
            model: Arc::new(model),
        })
    }

    fn __repr__(&self) -> String {
        settings::shown("WeibullAFT", &self.0)
    }
}

/// A fitted Weibull model.
#[pyclass(frozen, module = "churn")]
pub(crate) struct WeibullModel {
    model: Arc<survival::WeibullModel>,
}

#[pymethods]
impl WeibullModel {
    /// The intercept, one row per covariate, and the logarithm of the shape.
    #[getter]
    fn summary(&self) -> Table {
        let model = Arc::clone(&self.model);
        Table::new(model.coefficients().len() + 1, move || {
            coefficient_batch(model.coefficients().iter().chain([model.log_shape()]))
        })
    }

    /// The change of ln(scale) per unit, by covariate, and the intercept.
    #[getter]
    fn coefficients<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for one in self.model.coefficients() {
            all.set_item(&one.name, one.coefficient)?;
        }
        Ok(all)
    }

    /// The shape: above 1 the risk grows with the age of the spell.
    #[getter]
    fn shape(&self) -> f64 {
        self.model.shape()
    }

    /// The scale where all covariates are 0.
    #[getter]
    fn scale(&self) -> f64 {
        self.model.scale()
    }

    /// Log-likelihood at the estimate.
    #[getter]
    fn log_likelihood(&self) -> f64 {
        self.model.log_likelihood()
    }

    /// The same without covariates.
    #[getter]
    fn null_log_likelihood(&self) -> f64 {
        self.model.null_log_likelihood()
    }

    /// Statistic, degrees of freedom and p-value of all covariates together.
    #[getter]
    fn likelihood_ratio(&self) -> (f64, usize, f64) {
        self.model.likelihood_ratio()
    }

    /// Harrell's concordance on the rows of the fit; None without covariates.
    #[getter]
    fn concordance(&self) -> Option<f64> {
        self.model.concordance().and_then(|pairs| pairs.index())
    }

    /// Probability that each row lasts longer than each time, of shape (rows, times).
    #[pyo3(signature = (covariates, times, *, conditional_after=None))]
    fn survival<'py>(
        &self,
        covariates: &Bound<'py, PyAny>,
        times: &Bound<'py, PyAny>,
        conditional_after: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let times = float_column("times", times)?;
        let after = conditional_after
            .map(|cells| float_column("conditional_after", cells))
            .transpose()?;
        let survival = py
            .detach(|| {
                self.model
                    .survival(&frame(&columns)?, &times, after.as_deref())
            })
            .or_raise(py)?;
        by_times(py, &survival, times.len())
    }

    /// The time at which each row's survival is `survival`.
    #[pyo3(signature = (covariates, survival=0.5))]
    fn percentile<'py>(
        &self,
        covariates: &Bound<'py, PyAny>,
        survival: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let times = py
            .detach(|| self.model.percentile(&frame(&columns)?, survival))
            .or_raise(py)?;
        convert::floats(py, &times)
    }

    /// Mean duration of each row.
    fn mean<'py>(&self, covariates: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = covariates.py();
        let columns = numeric_frame("covariates", covariates)?;
        let times = py
            .detach(|| self.model.mean(&frame(&columns)?))
            .or_raise(py)?;
        convert::floats(py, &times)
    }

    fn __repr__(&self) -> String {
        format!(
            "WeibullModel({} covariates, shape={:?}, log_likelihood={:?})",
            self.model.coefficients().len() - 1,
            self.model.shape(),
            self.model.log_likelihood()
        )
    }
}

/// Harrell's concordance of risk scores (higher = ends sooner); None without a pair to compare.
#[pyfunction]
#[pyo3(signature = (durations, risk, event_observed=None, *, entry=None))]
pub(crate) fn concordance_index(
    durations: &Bound<'_, PyAny>,
    risk: &Bound<'_, PyAny>,
    event_observed: Option<&Bound<'_, PyAny>>,
    entry: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<f64>> {
    let py = durations.py();
    let spells = Spells::read(durations, event_observed, entry)?;
    let risk = float_column("risk", risk)?;
    let pairs = py
        .detach(|| survival::concordance(&spells.durations()?, &risk))
        .or_raise(py)?;
    Ok(pairs.index())
}

/// Brier scores of predicted survival at each time, and their mean over the span of the times.
#[pyfunction]
#[pyo3(signature = (durations, event_observed, survival, times, *, train=None))]
pub(crate) fn survival_brier_score<'py>(
    durations: &Bound<'py, PyAny>,
    event_observed: &Bound<'py, PyAny>,
    survival: &Bound<'py, PyAny>,
    times: &Bound<'py, PyAny>,
    train: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
) -> PyResult<(Bound<'py, PyAny>, f64)> {
    let py = durations.py();
    let test = Spells::read(durations, Some(event_observed), None)?;
    let train = train
        .map(|(durations, events)| Spells::read(&durations, Some(&events), None))
        .transpose()?;
    let times = float_column("times", times)?;
    let columns = survival.getattr("T")?.call_method1("reshape", (-1,))?;
    let predicted = float_column("survival", &columns)?;
    let scores = py
        .detach(|| {
            let train = train.as_ref().unwrap_or(&test).durations()?;
            survival::brier_score(&train, &test.durations()?, &predicted, &times)
        })
        .or_raise(py)?;
    Ok((convert::floats(py, &scores.scores)?, scores.integrated))
}

/// Gaps between purchase days, the open ones cut at `as_of`.
#[pyfunction]
#[pyo3(signature = (log, as_of=None))]
pub(crate) fn purchase_gaps(
    py: Python<'_>,
    log: &EventLog,
    as_of: Option<&Bound<'_, PyAny>>,
) -> PyResult<Table> {
    let log = log.log(py)?;
    let as_of = match as_of {
        Some(as_of) => convert::as_of(as_of)?,
        None => log.day_after_last().or_raise(py)?,
    };
    let gaps = py.detach(|| PurchaseGaps::from_history(&log.history(as_of)));
    Ok(Table::new(gaps.len(), move || gap_batch(&gaps)))
}
