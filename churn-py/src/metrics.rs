//! Numbers that judge numbers; `churn.metrics` re-exports them.

use churn_core::Result;
use churn_core::metrics::{
    self, Binning, Bootstrap, BrierParts, Confusion, ProfitSettings, ReliabilityCurve,
};
use churn_core::scoring::learned::CalibrationDrift;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::{convert, settings};

/// Labels, scores and weights, copied.
struct Rows {
    labels: Vec<f64>,
    scores: Vec<f64>,
    weights: Option<Vec<f64>>,
}

impl Rows {
    fn read(
        labels: &Bound<'_, PyAny>,
        scores: &Bound<'_, PyAny>,
        weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Rows {
            labels: convert::vector("labels", labels)?,
            scores: convert::vector("scores", scores)?,
            weights: weights.map(|w| convert::vector("weights", w)).transpose()?,
        })
    }

    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        measure: impl FnOnce(&[f64], &[f64], Option<&[f64]>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let (labels, scores, weights) = (&self.labels, &self.scores, self.weights.as_deref());
        py.detach(|| measure(labels, scores, weights)).or_raise(py)
    }
}

macro_rules! measure {
    ($(#[$doc:meta] $name:ident, $scores:ident, $core:path;)*) => {$(
        #[$doc]
        #[pyfunction]
        #[pyo3(signature = (labels, $scores, *, weights=None))]
        pub(crate) fn $name(
            labels: &Bound<'_, PyAny>,
            $scores: &Bound<'_, PyAny>,
            weights: Option<&Bound<'_, PyAny>>,
        ) -> PyResult<f64> {
            Rows::read(labels, $scores, weights)?.ask(labels.py(), $core)
        }
    )*};
}

measure! {
    /// Probability that a churner scores higher than one who stays, ties counting half.
    roc_auc, scores, metrics::roc_auc;
    /// Precision at each distinct score, weighted by the churners it adds.
    average_precision, scores, metrics::average_precision;
    /// Area under the precision-recall curve by trapezoids.
    pr_auc, scores, metrics::pr_auc;
    /// Largest distance between the score distributions of churners and of those who stay.
    class_separation, scores, metrics::class_separation;
    /// Mean negative logarithm of the probability given to what happened.
    log_loss, probabilities, metrics::log_loss;
}

/// Share of all churners among the `share` of rows that score highest.
#[pyfunction]
#[pyo3(signature = (labels, scores, share, *, weights=None))]
pub(crate) fn capture_at(
    labels: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    share: f64,
    weights: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| metrics::capture_at(y, s, share, w);
    Rows::read(labels, scores, weights)?.ask(labels.py(), ask)
}

/// Churn among the `share` of rows that score highest, as a multiple of churn among all.
#[pyfunction]
#[pyo3(signature = (labels, scores, share, *, weights=None))]
pub(crate) fn lift_at(
    labels: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    share: f64,
    weights: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| metrics::lift_at(y, s, share, w);
    Rows::read(labels, scores, weights)?.ask(labels.py(), ask)
}

/// Who is reached, and who of them churns, as the score is lowered.
#[pyfunction]
#[pyo3(signature = (labels, scores, *, weights=None))]
pub(crate) fn gain_curve<'py>(
    labels: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = labels.py();
    let curve = Rows::read(labels, scores, weights)?.ask(py, metrics::gain_curve)?;
    let answer = PyDict::new(py);
    answer.set_item("thresholds", convert::floats(py, &curve.thresholds)?)?;
    answer.set_item("reached", convert::floats(py, &curve.reached)?)?;
    answer.set_item("captured", convert::floats(py, &curve.captured)?)?;
    Ok(answer)
}

/// The Brier score with its parts over bins.
#[pyfunction]
#[pyo3(signature = (labels, probabilities, *, weights=None, bins=None))]
pub(crate) fn brier_score<'py>(
    labels: &Bound<'py, PyAny>,
    probabilities: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    bins: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (py, bins) = (labels.py(), binning(bins)?);
    let ask = |y: &[f64], p: &[f64], w: Option<&[f64]>| BrierParts::new(y, p, w, bins);
    let parts = Rows::read(labels, probabilities, weights)?.ask(py, ask)?;
    let answer = PyDict::new(py);
    answer.set_item("brier", parts.brier)?;
    answer.set_item("reliability", parts.reliability)?;
    answer.set_item("resolution", parts.resolution)?;
    answer.set_item("uncertainty", parts.uncertainty)?;
    answer.set_item("within_bins", parts.within_bins)?;
    Ok(answer)
}

/// Mean distance between stated and observed churn over bins.
#[pyfunction]
#[pyo3(signature = (labels, probabilities, *, weights=None, bins=None))]
pub(crate) fn calibration_error(
    labels: &Bound<'_, PyAny>,
    probabilities: &Bound<'_, PyAny>,
    weights: Option<&Bound<'_, PyAny>>,
    bins: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let bins = binning(bins)?;
    let ask = |y: &[f64], p: &[f64], w: Option<&[f64]>| {
        metrics::expected_calibration_error(y, p, w, bins)
    };
    Rows::read(labels, probabilities, weights)?.ask(labels.py(), ask)
}

/// Observed churn against stated probability, bin by bin.
#[pyfunction]
#[pyo3(signature = (labels, probabilities, *, weights=None, bins=None))]
pub(crate) fn reliability_curve<'py>(
    labels: &Bound<'py, PyAny>,
    probabilities: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    bins: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (py, bins) = (labels.py(), binning(bins)?);
    let ask = |y: &[f64], p: &[f64], w: Option<&[f64]>| ReliabilityCurve::new(y, p, w, bins);
    let curve = Rows::read(labels, probabilities, weights)?.ask(py, ask)?;
    let answer = PyDict::new(py);
    answer.set_item("predicted", convert::floats(py, &curve.predicted)?)?;
    answer.set_item("observed", convert::floats(py, &curve.observed)?)?;
    answer.set_item("weight", convert::floats(py, &curve.weight)?)?;
    Ok(answer)
}

/// `{"uniform": n}` or `{"quantile": n}`; None = the core's default.
fn binning(bins: Option<&Bound<'_, PyAny>>) -> PyResult<Binning> {
    bins.map_or(Ok(Binning::default()), |bins| {
        settings::read_value(bins, "bins")
    })
}

/// The four outcomes of a decision at a threshold, and the measures made of them.
#[pyfunction]
#[pyo3(signature = (labels, scores, threshold, *, weights=None))]
pub(crate) fn confusion<'py>(
    labels: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = labels.py();
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| Confusion::at(y, s, threshold, w);
    let at = Rows::read(labels, scores, weights)?.ask(py, ask)?;
    let answer = PyDict::new(py);
    for (name, value) in [
        ("true_positives", at.true_positives),
        ("false_positives", at.false_positives),
        ("true_negatives", at.true_negatives),
        ("false_negatives", at.false_negatives),
        ("precision", at.precision()),
        ("recall", at.recall()),
        ("specificity", at.specificity()),
        ("accuracy", at.accuracy()),
        ("f1", at.f1()),
        ("mcc", at.mcc()),
    ] {
        answer.set_item(name, value)?;
    }
    Ok(answer)
}

/// Profit of the best threshold for a known acceptance, and the share of customers to contact.
#[pyfunction]
#[pyo3(signature = (labels, scores, *, weights=None, **profit))]
pub(crate) fn mpc(
    labels: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    weights: Option<&Bound<'_, PyAny>>,
    profit: Option<&Bound<'_, PyDict>>,
) -> PyResult<(f64, f64)> {
    let py = labels.py();
    let profit: ProfitSettings = settings::read(py, "profit", profit)?;
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| metrics::mpc(y, s, w, &profit);
    let best = Rows::read(labels, scores, weights)?.ask(py, ask)?;
    Ok((best.profit_per_customer, best.target_share))
}

/// Expected profit of the best threshold over acceptances, and the expected share to contact.
#[pyfunction]
#[pyo3(signature = (labels, scores, *, weights=None, **profit))]
pub(crate) fn empc(
    labels: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    weights: Option<&Bound<'_, PyAny>>,
    profit: Option<&Bound<'_, PyDict>>,
) -> PyResult<(f64, f64)> {
    let py = labels.py();
    let profit: ProfitSettings = settings::read(py, "profit", profit)?;
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| metrics::empc(y, s, w, &profit);
    let best = Rows::read(labels, scores, weights)?.ask(py, ask)?;
    Ok((best.profit_per_customer, best.target_share))
}

/// Population stability index of two samples.
#[pyfunction]
#[pyo3(signature = (expected, actual, *, bins=10))]
pub(crate) fn psi(
    expected: &Bound<'_, PyAny>,
    actual: &Bound<'_, PyAny>,
    bins: usize,
) -> PyResult<f64> {
    let before = convert::vector("expected", expected)?;
    let now = convert::vector("actual", actual)?;
    let py = expected.py();
    py.detach(|| metrics::psi(&before, &now, bins)).or_raise(py)
}

/// Largest distance between the distribution functions of two samples.
#[pyfunction]
pub(crate) fn kolmogorov_smirnov(
    first: &Bound<'_, PyAny>,
    second: &Bound<'_, PyAny>,
) -> PyResult<f64> {
    let one = convert::vector("first", first)?;
    let other = convert::vector("second", second)?;
    let py = first.py();
    py.detach(|| metrics::kolmogorov_smirnov(&one, &other))
        .or_raise(py)
}

/// Whether stated probabilities still fit the outcomes that arrived.
#[pyfunction]
#[pyo3(signature = (labels, probabilities, *, weights=None))]
pub(crate) fn calibration_drift<'py>(
    labels: &Bound<'py, PyAny>,
    probabilities: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = labels.py();
    let drift = Rows::read(labels, probabilities, weights)?.ask(py, CalibrationDrift::new)?;
    let answer = PyDict::new(py);
    answer.set_item("predicted", drift.predicted)?;
    answer.set_item("observed", drift.observed)?;
    answer.set_item("calibration_error", drift.calibration_error)?;
    answer.set_item("slope", drift.slope)?;
    answer.set_item("intercept", drift.intercept)?;
    answer.set_item("p_value", drift.p_value)?;
    Ok(answer)
}

/// One of the measures by name, with an interval: estimate, low, high, standard error.
#[pyfunction]
#[pyo3(signature = (measure, labels, scores, *, weights=None, **settings))]
pub(crate) fn bootstrap<'py>(
    measure: &str,
    labels: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = labels.py();
    let bootstrap: Bootstrap = settings::read(py, "bootstrap", settings)?;
    let measure = metrics::by_name(measure).or_raise(py)?;
    let ask = |y: &[f64], s: &[f64], w: Option<&[f64]>| bootstrap.interval(y, s, w, measure);
    let interval = Rows::read(labels, scores, weights)?.ask(py, ask)?;
    let answer = PyDict::new(py);
    answer.set_item("estimate", interval.estimate)?;
    answer.set_item("low", interval.low)?;
    answer.set_item("high", interval.high)?;
    answer.set_item("standard_error", interval.standard_error)?;
    Ok(answer)
}
