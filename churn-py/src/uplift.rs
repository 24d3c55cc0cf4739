//! Uplift models and metrics; `churn.uplift` re-exports them.

use churn_core::metrics::Bootstrap;
use churn_core::metrics::uplift::{
    self, Cuts, RateWeighting, UpliftAtK, inverse_propensity_scores, toc_curve as core_toc,
};
use churn_core::scoring::learned::Frame;
use churn_core::scoring::uplift::{Uplift, UpliftData, UpliftEstimates, UpliftModel as CoreModel};
use ndarray::ArrayView2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::OrRaise;
use crate::evaluation::answer;
use crate::{convert, progress, settings};

/// Every uplift metric of a ranking, each under the name of its definition.
#[pyfunction]
#[pyo3(signature = (score, treated, outcome, *, k=0.3, buckets=30))]
pub(crate) fn uplift_metrics<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    treated: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    k: f64,
    buckets: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let score = convert::vector("uplift.score", score)?;
    let treated = convert::flag_column("uplift.treated", treated)?;
    let outcome = convert::vector("uplift.outcome", outcome)?;
    let metrics = py.detach(|| uplift::all(&score, &treated, &outcome, k, buckets));
    answer(py, &metrics.or_raise(py)?)
}

/// Intervals of every uplift metric of a ranking by drawing its units anew.
#[pyfunction]
#[pyo3(signature = (score, treated, outcome, *, k=0.3, buckets=30, **bootstrap))]
pub(crate) fn uplift_intervals<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    treated: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    k: f64,
    buckets: usize,
    bootstrap: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let score = convert::vector("uplift.score", score)?;
    let treated = convert::flag_column("uplift.treated", treated)?;
    let outcome = convert::vector("uplift.outcome", outcome)?;
    let bootstrap: Bootstrap = settings::read(py, "bootstrap", bootstrap)?;
    let found = py.detach(|| uplift::intervals(&score, &treated, &outcome, k, buckets, &bootstrap));
    answer(py, &found.or_raise(py)?)
}

/// The interval of a RATE by drawing its units anew.
#[pyfunction]
#[pyo3(signature = (score, effect, *, weighting=None, **bootstrap))]
pub(crate) fn rate_interval<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    effect: &Bound<'py, PyAny>,
    weighting: Option<&Bound<'py, PyAny>>,
    bootstrap: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let score = convert::vector("uplift.score", score)?;
    let effect = convert::vector("uplift.effect", effect)?;
    let weighting = weighting_of(weighting)?;
    let bootstrap: Bootstrap = settings::read(py, "bootstrap", bootstrap)?;
    let found = py.detach(|| uplift::rate_interval(&score, &effect, weighting, &bootstrap));
    answer(py, &found.or_raise(py)?)
}

fn weighting_of(name: Option<&Bound<'_, PyAny>>) -> PyResult<RateWeighting> {
    match name {
        None => Ok(RateWeighting::Autoc),
        Some(name) => settings::read_value(name, "weighting"),
    }
}

/// Units above each cut of a ranking, and the height of the curve there.
#[pyfunction]
#[pyo3(signature = (score, treated, outcome, *, kind="qini"))]
pub(crate) fn uplift_curve<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    treated: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    kind: &str,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let score = convert::vector("uplift.score", score)?;
    let treated = convert::flag_column("uplift.treated", treated)?;
    let outcome = convert::vector("uplift.outcome", outcome)?;
    let cuts = Cuts::new(&score, &treated, &outcome).or_raise(py)?;
    let curve = cuts.curve_named(kind).or_raise(py)?;
    let (units, heights): (Vec<f64>, Vec<f64>) = curve.into_iter().unzip();
    Ok((convert::floats(py, &units)?, convert::floats(py, &heights)?))
}

/// Difference of mean outcomes among the first share of a ranking.
#[pyfunction]
#[pyo3(signature = (score, treated, outcome, *, k=0.3, strategy=None))]
pub(crate) fn uplift_at_k(
    py: Python<'_>,
    score: &Bound<'_, PyAny>,
    treated: &Bound<'_, PyAny>,
    outcome: &Bound<'_, PyAny>,
    k: f64,
    strategy: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let score = convert::vector("uplift.score", score)?;
    let treated = convert::flag_column("uplift.treated", treated)?;
    let outcome = convert::vector("uplift.outcome", outcome)?;
    let strategy = match strategy {
        None => UpliftAtK::Overall,
        Some(name) => settings::read_value(name, "strategy")?,
    };
    uplift::uplift_at_k(&score, &treated, &outcome, k, strategy).or_raise(py)
}

/// One unbiased effect score per unit from known propensities.
#[pyfunction]
pub(crate) fn propensity_scores<'py>(
    py: Python<'py>,
    treated: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    propensity: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let treated = convert::flag_column("uplift.treated", treated)?;
    let outcome = convert::vector("uplift.outcome", outcome)?;
    let propensity = convert::vector("uplift.propensity", propensity)?;
    let scores = inverse_propensity_scores(&treated, &outcome, &propensity).or_raise(py)?;
    convert::floats(py, &scores)
}

/// Share of units and TOC at every distinct score.
#[pyfunction]
pub(crate) fn toc_curve<'py>(
    py: Python<'py>,
    score: &Bound<'py, PyAny>,
    effect: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let score = convert::vector("uplift.score", score)?;
    let effect = convert::vector("uplift.effect", effect)?;
    let curve = core_toc(&score, &effect).or_raise(py)?;
    let (shares, heights): (Vec<f64>, Vec<f64>) = curve.into_iter().unzip();
    Ok((
        convert::floats(py, &shares)?,
        convert::floats(py, &heights)?,
    ))
}

/// Weighted area under the TOC.
#[pyfunction]
#[pyo3(signature = (score, effect, *, weighting=None))]
pub(crate) fn rate(
    py: Python<'_>,
    score: &Bound<'_, PyAny>,
    effect: &Bound<'_, PyAny>,
    weighting: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let score = convert::vector("uplift.score", score)?;
    let effect = convert::vector("uplift.effect", effect)?;
    let weighting = weighting_of(weighting)?;
    uplift::rate(&score, &effect, weighting).or_raise(py)
}

/// Gain of the best costed policy per budget.
#[pyfunction]
pub(crate) fn cost_curve<'py>(
    py: Python<'py>,
    arms: usize,
    expected: &Bound<'py, PyAny>,
    cost: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let expected = convert::vector("uplift.expected", expected)?;
    let cost = convert::vector("uplift.cost", cost)?;
    let score = convert::vector("uplift.score", score)?;
    let curve = uplift::cost_curve(arms, &expected, &cost, &score).or_raise(py)?;
    let (spend, gain): (Vec<f64>, Vec<f64>) = curve.iter().map(|p| (p.spend, p.gain)).unzip();
    Ok((convert::floats(py, &spend)?, convert::floats(py, &gain)?))
}

/// Rows, arms and outcomes, copied.
struct Given {
    frame: Frame<'static>,
    treatment: Vec<u32>,
    outcome: Vec<f64>,
    propensity: Option<Vec<f64>>,
}

impl Given {
    fn read(
        data: &Bound<'_, PyAny>,
        treatment: &Bound<'_, PyAny>,
        outcome: &Bound<'_, PyAny>,
        propensity: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let codes = convert::vector("uplift.treatment", treatment)?;
        let code = |(row, code): (usize, &f64)| {
            if *code >= 0.0 && code.fract() == 0.0 && *code <= 64.0 {
                return Ok(*code as u32);
            }
            let expected = "0 for the control, or 1 to 64";
            Err(churn_core::Error::invalid_value(
                "uplift.treatment",
                row,
                expected,
                code,
            ))
        };
        let codes: churn_core::Result<Vec<u32>> = codes.iter().enumerate().map(code).collect();
        Ok(Given {
            frame: convert::frame(data)?,
            treatment: codes.or_raise(data.py())?,
            outcome: convert::vector("uplift.outcome", outcome)?,
            propensity: propensity
                .map(|e| convert::vector("uplift.propensity", e))
                .transpose()?,
        })
    }

    fn data(&self) -> UpliftData<'_> {
        UpliftData {
            frame: &self.frame,
            treatment: &self.treatment,
            outcome: &self.outcome,
            propensity: self.propensity.as_deref(),
        }
    }
}

/// Effects as a matrix of one row per customer and one column per treatment.
fn matrix<'py>(py: Python<'py>, values: &[f64], treatments: usize) -> PyResult<Bound<'py, PyAny>> {
    let view = ArrayView2::from_shape((values.len() / treatments, treatments), values)
        .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    convert::matrix(py, view)
}

fn estimates<'py>(py: Python<'py>, estimates: &UpliftEstimates) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let k = estimates.treatments;
    dict.set_item("effect", matrix(py, &estimates.effect, k)?)?;
    let errors = estimates.standard_error.as_deref();
    let errors = errors.map(|errors| matrix(py, errors, k)).transpose()?;
    dict.set_item("standard_error", errors)?;
    Ok(dict)
}

/// A fitted uplift model.
#[pyclass(frozen, module = "churn")]
pub(crate) struct UpliftModel {
    model: CoreModel,
}

#[pymethods]
impl UpliftModel {
    /// Fits the effect of every treatment against the control.
    #[staticmethod]
    #[pyo3(signature = (data, treatment, outcome, *, propensity=None, progress=None, **uplift))]
    fn fit(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        treatment: &Bound<'_, PyAny>,
        outcome: &Bound<'_, PyAny>,
        propensity: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
        uplift: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<UpliftModel> {
        let settings: Uplift = settings::read(py, "uplift", uplift)?;
        let given = Given::read(data, treatment, outcome, propensity)?;
        let model = progress::run(py, progress, |progress| {
            settings.fit(&given.data(), progress)
        })?;
        Ok(UpliftModel { model })
    }

    /// Effects and, where the method has them, standard errors.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let frame = convert::frame(data)?;
        let answer = py.detach(|| self.model.predict(&frame)).or_raise(py)?;
        estimates(py, &answer)
    }

    /// Number of treatments besides the control.
    #[getter]
    fn treatments(&self) -> usize {
        self.model.treatments()
    }

    /// Smallest and largest propensity, and how many were pulled back.
    #[getter]
    fn overlap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, &self.model.overlap())
    }

    /// Names of the columns of training.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.model.names().collect()
    }

    /// The model as bytes, readable by every language of the library.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.model.to_bytes()).or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Reads a model and checks it.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let model = CoreModel::from_bytes(bytes).or_raise(py)?;
        Ok(UpliftModel { model })
    }

    fn __repr__(&self) -> String {
        format!("UpliftModel({} treatments)", self.model.treatments())
    }
}

/// Predicts every row by a model that was fitted without its fold.
#[pyfunction]
#[pyo3(signature = (data, treatment, outcome, *, propensity=None, progress=None, **uplift))]
pub(crate) fn uplift_out_of_fold<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    treatment: &Bound<'py, PyAny>,
    outcome: &Bound<'py, PyAny>,
    propensity: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
    uplift: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let settings: Uplift = settings::read(py, "uplift", uplift)?;
    let given = Given::read(data, treatment, outcome, propensity)?;
    let held_out = progress::run(py, progress, |progress| {
        settings.out_of_fold(&given.data(), progress)
    })?;
    let dict = estimates(py, &held_out.estimates)?;
    dict.set_item(
        "scores",
        matrix(py, &held_out.scores, held_out.estimates.treatments)?,
    )?;
    dict.set_item("average_effects", held_out.average_effects())?;
    dict.set_item("overlap", answer(py, &held_out.overlap)?)?;
    Ok(dict)
}
