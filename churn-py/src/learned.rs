//! Learned churn models: training data, fitting, predicting, explaining.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use churn_core::arrow::{BatchBuilder, training_batch};
use churn_core::features::FeatureTable as CoreTable;
use churn_core::scoring::learned::{
    self, ChurnModel, ChurnModelSettings, ColumnDrift, FoldScores, Frame, PcaModel, Search,
    TrainingSettings,
    splits::{self, Fold},
};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyList};

use crate::errors::{OrRaise, wrong_type};
use crate::events::EventLog;
use crate::features::FeatureTable;
use crate::scoring::{Scores, read_language};
use crate::shared::Shared;
use crate::table::Table;
use crate::{convert, progress, settings};

/// What a model reads: a feature table of this package as it is, anything else converted.
enum Given {
    Table(Shared<CoreTable>),
    Frame(Frame<'static>),
}

impl Given {
    fn read(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        match data.cast::<FeatureTable>() {
            Ok(table) => Ok(Given::Table(table.get().table.clone())),
            Err(_) => Ok(Given::Frame(convert::frame(data)?)),
        }
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(&Frame<'_>) -> churn_core::Result<T>,
    ) -> churn_core::Result<T> {
        match self {
            Given::Table(table) => ask(&Frame::from_table(table)?),
            Given::Frame(frame) => ask(frame),
        }
    }
}

/// One row per customer and cut-off: features, label, and whose row it is.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct TrainingData {
    data: Arc<learned::TrainingData>,
}

#[pymethods]
impl TrainingData {
    /// Describes the customers of a log at each cut-off and labels them.
    #[staticmethod]
    #[pyo3(signature = (log, *, progress=None, **training))]
    fn build(
        py: Python<'_>,
        log: &EventLog,
        progress: Option<&Bound<'_, PyAny>>,
        training: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<TrainingData>> {
        let log = log.log(py)?;
        let training: TrainingSettings = settings::read(py, "training", training)?;
        let data = progress::run(py, progress, |progress| {
            learned::TrainingData::build(&log, &training, progress)
        })?;
        let data = Arc::new(data);
        let source = Arc::clone(&data);
        let base = Table::new(data.len(), move || training_batch(&source));
        let this = TrainingData { data };
        Py::new(py, PyClassInitializer::from(base).add_subclass(this))
    }

    /// Names of the features, which are the columns after customer, as_of and churned.
    #[getter]
    fn features(&self) -> Vec<String> {
        self.data
            .features()
            .iter()
            .map(|info| info.name.clone())
            .collect()
    }

    /// The labels: 1 = churned, 0 = stayed.
    #[getter]
    fn target<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::floats(py, self.data.target())
    }

    /// Features that tell the silence: 1 where they grow with it, -1 where they fall.
    #[getter]
    fn silence(&self) -> BTreeMap<String, i8> {
        self.data.silence()
    }

    /// A number for each row that is the same for rows of the same customer.
    #[getter]
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let groups: Vec<f64> = self.data.groups().iter().map(|g| f64::from(*g)).collect();
        convert::floats(py, &groups)
    }

    /// The cut-offs that gave rows, ascending.
    #[getter]
    fn cut_offs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let cut_offs = self.data.cut_offs().iter();
        cut_offs
            .map(|at| convert::datetime(py, at.instant()))
            .collect()
    }

    /// How many rows are missing, and why.
    #[getter]
    fn excluded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let excluded = self.data.excluded();
        let answer = PyDict::new(py);
        answer.set_item("censored", excluded.censored)?;
        answer.set_item("never_bought", excluded.never_bought)?;
        answer.set_item("lapsed", excluded.lapsed)?;
        answer.set_item("few_orders", excluded.few_orders)?;
        Ok(answer)
    }

    /// The features alone, as a data frame with Arrow export.
    fn frame(&self, py: Python<'_>) -> PyResult<Py<Table>> {
        let source = Arc::clone(&self.data);
        let table = Table::new(source.len(), move || features_batch(&source));
        Py::new(py, table)
    }

    /// Folds that go forward in time, as pairs of row numbers (train, test).
    #[pyo3(signature = (folds=3))]
    fn time_folds(&self, py: Python<'_>, folds: usize) -> PyResult<Vec<(Vec<usize>, Vec<usize>)>> {
        let folds = self.data.time_folds(folds).or_raise(py)?;
        Ok(folds
            .into_iter()
            .map(|fold| (fold.train, fold.test))
            .collect())
    }

    fn __repr__(&self) -> String {
        format!(
            "TrainingData({} rows at {} cut-offs, {} features)",
            self.data.len(),
            self.data.cut_offs().len(),
            self.data.features().len()
        )
    }
}

fn features_batch(data: &learned::TrainingData) -> churn_core::Result<RecordBatch> {
    frame_batch(&data.frame()?)
}

fn frame_batch(frame: &Frame<'_>) -> churn_core::Result<RecordBatch> {
    let mut batch = BatchBuilder::new();
    for (name, column) in frame.names().iter().zip(frame.columns()) {
        if let learned::Column::Numeric(values) = column {
            batch = batch.numbers(name, values);
        }
    }
    batch.finish()
}

/// A fitted churn model.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct FittedModel {
    pub(crate) model: Arc<ChurnModel>,
}

#[pymethods]
impl FittedModel {
    /// Fits a model on rows and their labels.
    #[staticmethod]
    #[pyo3(signature = (data, target, *, weights=None, groups=None, progress=None, **settings))]
    fn fit(
        data: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        weights: Option<&Bound<'_, PyAny>>,
        groups: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = data.py();
        let settings: ChurnModelSettings = settings::read(py, "model", settings)?;
        let rows = TrainingRows::read(data, target, weights, groups)?;
        let model = progress::run(py, progress, |progress| {
            let (target, weights) = (&rows.target, rows.weights.as_deref());
            rows.given.with(|frame| match &rows.groups {
                None => settings.fit(frame, target, weights, progress),
                Some(groups) => settings.fit_grouped(frame, target, weights, groups, progress),
            })
        })?;
        Ok(FittedModel {
            model: Arc::new(model),
        })
    }

    /// Builds training data from a log and fits a model on it.
    #[staticmethod]
    #[pyo3(signature = (log, training, *, progress=None, **settings))]
    fn fit_log(
        log: &EventLog,
        training: &Bound<'_, PyDict>,
        progress: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = training.py();
        let log = log.log(py)?;
        let training: TrainingSettings = settings::read(py, "training", Some(training))?;
        let settings: ChurnModelSettings = settings::read(py, "model", settings)?;
        let model = progress::run(py, progress, |progress| {
            settings.fit_log(&log, &training, progress)
        })?;
        Ok(FittedModel {
            model: Arc::new(model),
        })
    }

    /// Fits a model on training data of a log.
    #[staticmethod]
    #[pyo3(signature = (data, *, progress=None, **settings))]
    fn fit_data(
        data: &Bound<'_, TrainingData>,
        progress: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = data.py();
        let settings: ChurnModelSettings = settings::read(py, "model", settings)?;
        let data = &data.get().data;
        let model = progress::run(py, progress, |progress| settings.fit_data(data, progress))?;
        Ok(FittedModel {
            model: Arc::new(model),
        })
    }

    /// Names of the columns of training.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.model.names().map(str::to_owned).collect()
    }

    /// How well the model did on rows that it had not seen.
    #[getter]
    fn out_of_fold<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let from = self.model.out_of_fold();
        let answer = PyDict::new(py);
        answer.set_item("rows", from.rows)?;
        answer.set_item("churn_rate", from.churn_rate)?;
        answer.set_item("roc_auc", from.roc_auc)?;
        answer.set_item("log_loss", from.log_loss)?;
        answer.set_item("brier", from.brier)?;
        answer.set_item("calibration_error", from.calibration_error)?;
        let learners = PyList::empty(py);
        for learner in &from.learners {
            let fields = PyDict::new(py);
            fields.set_item("learner", &learner.learner)?;
            fields.set_item("weight", learner.weight)?;
            fields.set_item("roc_auc", learner.roc_auc)?;
            fields.set_item("log_loss", learner.log_loss)?;
            fields.set_item("trees", learner.trees)?;
            learners.append(fields)?;
        }
        answer.set_item("learners", learners)?;
        Ok(answer)
    }

    /// Churn probability of each row.
    fn predict<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data)?;
        let answers = py
            .detach(|| given.with(|frame| self.model.predict(frame)))
            .or_raise(py)?;
        convert::floats(py, &answers)
    }

    /// Scores of a feature table, with reasons.
    fn score(&self, py: Python<'_>, features: &FeatureTable) -> PyResult<Py<Scores>> {
        let scores = py
            .detach(|| self.model.score(&features.table))
            .or_raise(py)?;
        Scores::wrap(py, Shared::new(scores))
    }

    /// Base points, and a matrix of points of shape (rows, columns).
    fn points<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let py = data.py();
        let given = Given::read(data)?;
        let told = py
            .detach(|| given.with(|frame| self.model.explain(frame)))
            .or_raise(py)?;
        let points = convert::floats(py, &told.points)?
            .call_method1("reshape", ((told.names.len(), told.probabilities.len()),))?
            .getattr("T")?;
        Ok((told.base_points, points))
    }

    /// The reasons of each row in words, largest first.
    #[pyo3(signature = (data, *, limit=3, language=None))]
    fn reasons(
        &self,
        data: &Bound<'_, PyAny>,
        limit: usize,
        language: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Vec<String>>> {
        let py = data.py();
        let language = read_language(language)?;
        let given = Given::read(data)?;
        let told = py
            .detach(|| given.with(|frame| self.model.explain(frame)))
            .or_raise(py)?;
        let rows = 0..told.probabilities.len();
        Ok(rows
            .map(|row| told.sentences(row, limit, language))
            .collect())
    }

    /// Mean absolute points of each column.
    fn importance<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data)?;
        let answers = py
            .detach(|| given.with(|frame| self.model.importance(frame)))
            .or_raise(py)?;
        convert::floats(py, &answers)
    }

    /// Rise of the log loss if a column is shuffled, per column.
    #[pyo3(signature = (data, target, *, weights=None, repeats=5, seed=0, progress=None))]
    fn permutation_importance<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        target: &Bound<'py, PyAny>,
        weights: Option<&Bound<'py, PyAny>>,
        repeats: usize,
        seed: u64,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data)?;
        let target = convert::vector("target", target)?;
        let weights = weights.map(|w| convert::vector("weights", w)).transpose()?;
        let rises = progress::run(py, progress, |progress| {
            given.with(|frame| {
                let weights = weights.as_deref();
                self.model
                    .permutation_importance(frame, &target, weights, repeats, seed, progress)
            })
        })?;
        convert::floats(py, &rises)
    }

    /// Mean prediction if every row had a value or level of one column.
    #[pyo3(signature = (data, column, *, points=20))]
    fn partial_dependence<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        column: &str,
        points: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = data.py();
        let given = Given::read(data)?;
        let told = py
            .detach(|| given.with(|frame| self.model.partial_dependence(frame, column, points)))
            .or_raise(py)?;
        let answer = PyDict::new(py);
        match told.levels.is_empty() {
            true => answer.set_item("values", convert::floats(py, &told.values)?)?,
            false => answer.set_item("levels", told.levels)?,
        }
        answer.set_item("probabilities", convert::floats(py, &told.probabilities)?)?;
        Ok(answer)
    }

    /// How far columns and probabilities have moved since training.
    fn drift<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = data.py();
        let given = Given::read(data)?;
        let drift = py
            .detach(|| given.with(|frame| self.model.drift(frame)))
            .or_raise(py)?;
        let row = |drift: &ColumnDrift| -> PyResult<Bound<'py, PyDict>> {
            let fields = PyDict::new(py);
            fields.set_item("column", &drift.column)?;
            fields.set_item("psi", drift.psi)?;
            fields.set_item("kolmogorov_smirnov", drift.kolmogorov_smirnov)?;
            fields.set_item("missing_before", drift.missing_before)?;
            fields.set_item("missing_now", drift.missing_now)?;
            fields.set_item("new_levels", drift.new_levels)?;
            Ok(fields)
        };
        let answer = PyDict::new(py);
        let columns: Vec<_> = drift.columns.iter().map(row).collect::<PyResult<_>>()?;
        answer.set_item("columns", columns)?;
        answer.set_item("probabilities", row(&drift.probabilities)?)?;
        Ok(answer)
    }

    /// The model as bytes, readable by every language of the library.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.model.to_bytes()).or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Reads a model and checks it.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let model = ChurnModel::from_bytes(bytes).or_raise(py)?;
        Ok(FittedModel {
            model: Arc::new(model),
        })
    }

    fn __repr__(&self) -> String {
        let from = self.model.out_of_fold();
        format!(
            "FittedModel({} columns, out of fold AUC {:.4}, log loss {:.4})",
            self.model.names().count(),
            from.roc_auc,
            from.log_loss
        )
    }
}

/// A model judged on rows that it has not seen, fold by fold.
#[pyfunction]
#[pyo3(signature = (data, target, splits, *, weights=None, groups=None, progress=None, **settings))]
pub(crate) fn cross_validate<'py>(
    data: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    splits: Vec<(Vec<usize>, Vec<usize>)>,
    weights: Option<&Bound<'py, PyAny>>,
    groups: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = data.py();
    let settings: ChurnModelSettings = settings::read(py, "model", settings)?;
    let rows = TrainingRows::read(data, target, weights, groups)?;
    let folds = read_folds(splits);
    let found = progress::run(py, progress, |progress| {
        rows.given.with(|frame| {
            let (weights, groups) = (rows.weights.as_deref(), rows.groups.as_deref());
            settings.cross_validate(frame, &rows.target, weights, groups, &folds, progress)
        })
    })?;
    let answer = PyDict::new(py);
    for (name, measure) in FOLD_MEASURES {
        let values: Vec<f64> = found.folds.iter().map(measure).collect();
        answer.set_item(name, convert::floats(py, &values)?)?;
    }
    let told = found.probabilities.iter();
    let told: Vec<f64> = told.map(|p| p.unwrap_or(f64::NAN)).collect();
    answer.set_item("probabilities", convert::floats(py, &told)?)?;
    Ok(answer)
}

type FoldMeasure = fn(&FoldScores) -> f64;

const FOLD_MEASURES: [(&str, FoldMeasure); 5] = [
    ("roc_auc", |s| s.roc_auc),
    ("average_precision", |s| s.average_precision),
    ("log_loss", |s| s.log_loss),
    ("brier", |s| s.brier),
    ("calibration_error", |s| s.calibration_error),
];

/// Compares all combinations of settings by cross-validation.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keywords of one Python function")]
#[pyo3(signature = (data, target, splits, axes, *, weights=None, groups=None, search=None, progress=None, **settings))]
pub(crate) fn search<'py>(
    data: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    splits: Vec<(Vec<usize>, Vec<usize>)>,
    axes: &Bound<'py, PyDict>,
    weights: Option<&Bound<'py, PyAny>>,
    groups: Option<&Bound<'py, PyAny>>,
    search: Option<&Bound<'py, PyDict>>,
    progress: Option<&Bound<'py, PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = data.py();
    let base: ChurnModelSettings = settings::read(py, "model", settings)?;
    let axes: BTreeMap<String, Vec<serde_json::Value>> = settings::read(py, "axes", Some(axes))?;
    let search: Search = settings::read(py, "search", search)?;
    let rows = TrainingRows::read(data, target, weights, groups)?;
    let folds = read_folds(splits);
    let candidates = learned::grid(&base, &axes).or_raise(py)?;
    let found = progress::run(py, progress, |progress| {
        rows.given.with(|frame| {
            let (weights, groups) = (rows.weights.as_deref(), rows.groups.as_deref());
            search.run(
                &candidates,
                frame,
                &rows.target,
                weights,
                groups,
                &folds,
                progress,
            )
        })
    })?;
    let document = |k: usize| -> PyResult<Bound<'py, PyAny>> {
        let text = serde_json::to_string(&candidates[k])
            .map_err(|error| churn_core::Error::invalid_parameter("settings", "JSON", error))
            .or_raise(py)?;
        py.import("json")?.call_method1("loads", (text,))
    };
    let trials = PyList::empty(py);
    for trial in &found.trials {
        let fields = PyDict::new(py);
        fields.set_item("candidate", trial.candidate)?;
        fields.set_item("round", trial.round)?;
        fields.set_item("share", trial.share)?;
        fields.set_item("loss", trial.loss)?;
        fields.set_item("deviation", trial.deviation)?;
        trials.append(fields)?;
    }
    let answer = PyDict::new(py);
    answer.set_item("best", found.best)?;
    answer.set_item("settings", document(found.best)?)?;
    answer.set_item("trials", trials)?;
    Ok(answer)
}

fn read_folds(folds: Vec<(Vec<usize>, Vec<usize>)>) -> Vec<Fold> {
    folds
        .into_iter()
        .map(|(train, test)| Fold { train, test })
        .collect()
}

/// Folds with equal shares of each label, or, with groups, that keep a customer's rows together.
#[pyfunction]
#[pyo3(signature = (target, folds=5, *, groups=None, seed=0))]
pub(crate) fn make_folds(
    target: &Bound<'_, PyAny>,
    folds: usize,
    groups: Option<&Bound<'_, PyAny>>,
    seed: u64,
) -> PyResult<Vec<(Vec<usize>, Vec<usize>)>> {
    let labels = convert::vector("target", target)?;
    let made = match groups {
        None => splits::stratified_folds(&labels, folds, seed),
        Some(groups) => splits::grouped_folds(&labels, &codes("groups", groups)?, folds, seed),
    };
    let made = made.or_raise(target.py())?;
    Ok(made
        .into_iter()
        .map(|fold| (fold.train, fold.test))
        .collect())
}

/// How much each column tells about the labels alone, in nats.
#[pyfunction]
#[pyo3(signature = (data, target, *, bins=16))]
pub(crate) fn mutual_information<'py>(
    data: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    bins: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let py = data.py();
    let rows = TrainingRows::read(data, target, None, None)?;
    let ask = |frame: &Frame<'_>| {
        let told = learned::mutual_information(frame, &rows.target, bins)?;
        Ok(frame.names().iter().cloned().zip(told).collect::<Vec<_>>())
    };
    let told = py.detach(|| rows.given.with(ask)).or_raise(py)?;
    told.into_py_dict(py)
}

/// How much each column varies: variance of numbers, probability that two levels differ.
#[pyfunction]
pub(crate) fn variation<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let given = Given::read(data)?;
    let ask = |frame: &Frame<'_>| {
        let told = learned::variation(frame);
        Ok(frame.names().iter().cloned().zip(told).collect::<Vec<_>>())
    };
    let told = given.with(ask).or_raise(data.py())?;
    told.into_py_dict(data.py())
}

/// Fitted principal components.
#[pyclass(frozen, module = "churn")]
pub(crate) struct Pca {
    model: PcaModel,
}

#[pymethods]
impl Pca {
    /// Finds the components of numeric columns.
    #[staticmethod]
    #[pyo3(signature = (data, **settings))]
    fn fit(data: &Bound<'_, PyAny>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = data.py();
        let settings: learned::Pca = settings::read(py, "pca", settings)?;
        let given = Given::read(data)?;
        let model = py
            .detach(|| given.with(|frame| settings.fit(frame)))
            .or_raise(py)?;
        Ok(Pca { model })
    }

    /// The components of rows, a table with columns component_1, component_2, …
    fn transform(&self, data: &Bound<'_, PyAny>) -> PyResult<Py<Table>> {
        let py = data.py();
        let given = Given::read(data)?;
        let frame = py
            .detach(|| given.with(|frame| self.model.transform(frame)))
            .or_raise(py)?;
        Py::new(py, Table::new(frame.rows(), move || frame_batch(&frame)))
    }

    /// Share of the spread of all columns that each component holds.
    #[getter]
    fn explained<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::floats(py, &self.model.explained())
    }

    fn __repr__(&self) -> String {
        format!("Pca({} components)", self.model.variances().len())
    }
}

/// Rows to learn from.
struct TrainingRows {
    given: Given,
    target: Vec<f64>,
    weights: Option<Vec<f64>>,
    groups: Option<Vec<u32>>,
}

impl TrainingRows {
    fn read(
        data: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        weights: Option<&Bound<'_, PyAny>>,
        groups: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(TrainingRows {
            given: Given::read(data)?,
            target: convert::vector("target", target)?,
            weights: weights.map(|w| convert::vector("weights", w)).transpose()?,
            groups: groups.map(|g| codes("groups", g)).transpose()?,
        })
    }
}

/// The core's model behind a fitted model of either class.
pub(crate) fn read_model(model: &Bound<'_, PyAny>) -> PyResult<Arc<ChurnModel>> {
    if let Ok(fitted) = model.cast::<FittedModel>() {
        return Ok(Arc::clone(&fitted.get().model));
    }
    let inner = model.getattr("model_").ok();
    match inner
        .as_ref()
        .and_then(|inner| inner.cast::<FittedModel>().ok())
    {
        Some(fitted) => Ok(Arc::clone(&fitted.get().model)),
        None => Err(wrong_type("model", "a fitted churn model", model)),
    }
}

/// Whole numbers that tell rows of one group.
fn codes(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let numbers = convert::vector(what, cells)?;
    let read = |(row, number): (usize, &f64)| {
        if number.fract() == 0.0 && (0.0..4_294_967_295.0).contains(number) {
            return Ok(*number as u32);
        }
        let error =
            churn_core::Error::invalid_value(what, row, "a whole number of 32 bits", number);
        Err(error).or_raise(cells.py())
    };
    numbers.iter().enumerate().map(read).collect()
}

/// What goes along with churn: the effect of each factor on its odds, with an interval.
#[pyfunction]
#[pyo3(signature = (data, target, *, weights=None, groups=None, level=0.95, progress=None))]
pub(crate) fn drivers<'py>(
    data: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    groups: Option<&Bound<'py, PyAny>>,
    level: f64,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = data.py();
    let given = Given::read(data)?;
    let target = convert::vector("target", target)?;
    let weights = weights.map(|w| convert::vector("weights", w)).transpose()?;
    let groups = groups.map(|g| codes("groups", g)).transpose()?;
    let told = progress::run(py, progress, |progress| {
        given.with(|frame| {
            learned::drivers(
                frame,
                &target,
                weights.as_deref(),
                groups.as_deref(),
                level,
                progress,
            )
        })
    })?;
    let effects = PyList::empty(py);
    for effect in &told.effects {
        let fields = PyDict::new(py);
        fields.set_item("feature", &effect.feature)?;
        fields.set_item("term", &effect.term)?;
        fields.set_item("coefficient", effect.coefficient)?;
        fields.set_item("standard_error", effect.standard_error)?;
        fields.set_item("spread", effect.spread)?;
        fields.set_item("odds_ratio", effect.odds_ratio)?;
        fields.set_item("low", effect.low)?;
        fields.set_item("high", effect.high)?;
        fields.set_item("p_value", effect.p_value)?;
        effects.append(fields)?;
    }
    let answer = PyDict::new(py);
    answer.set_item("effects", effects)?;
    answer.set_item("l2", told.l2)?;
    Ok(answer)
}
