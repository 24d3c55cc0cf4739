//! Churn probabilities with their reasons.

use churn_core::arrow::score_batch;
use churn_core::scoring;
use churn_core::text::Language;
use pyo3::prelude::*;

use crate::customers::{self, Customers};
use crate::errors::OrRaise;
use crate::features::FeatureTable;
use crate::shared::Shared;
use crate::table::Table;
use crate::{convert, progress, settings};

/// Columns `reason_1`, `reason_2`, … of the scores as a table.
const REASONS: usize = 3;

/// Points per range of each feature, written by people and read like a document.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Scorecard {
    pub(crate) card: scoring::Scorecard,
}

#[pymethods]
impl Scorecard {
    /// The default card.
    #[new]
    fn new() -> Self {
        Scorecard {
            card: scoring::Scorecard::default(),
        }
    }

    /// Reads a card from TOML and checks it.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Self> {
        let card = scoring::Scorecard::from_toml(text).or_raise(py)?;
        Ok(Scorecard { card })
    }

    /// Reads a card from JSON and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let card = scoring::Scorecard::from_json(text).or_raise(py)?;
        Ok(Scorecard { card })
    }

    /// The card as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.card.to_toml().or_raise(py)
    }

    /// The card as JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.card.to_json().or_raise(py)
    }

    /// Names of the features that the card reads.
    #[getter]
    fn features(&self) -> Vec<String> {
        let factors = self.card.factors.iter();
        factors.map(|factor| factor.feature.clone()).collect()
    }

    /// How far the probability looks ahead, in days.
    #[getter]
    fn horizon_days(&self) -> u32 {
        self.card.horizon.as_days()
    }

    /// Scores all customers of a feature table.
    #[pyo3(signature = (features, *, progress=None))]
    fn score(
        &self,
        py: Python<'_>,
        features: &FeatureTable,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Scores>> {
        let scores = progress::run(py, progress, |progress| {
            self.card.score_observed(&features.table, progress)
        })?;
        Scores::wrap(py, Shared::new(scores))
    }

    fn __repr__(&self) -> String {
        format!(
            "Scorecard({} factors, {} days ahead)",
            self.card.factors.len(),
            self.card.horizon.as_days()
        )
    }
}

/// Churn probabilities of all customers.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Scores {
    pub(crate) scores: Shared<scoring::Scores>,
}

impl Scores {
    pub(crate) fn wrap(py: Python<'_>, scores: Shared<scoring::Scores>) -> PyResult<Py<Self>> {
        let source = scores.clone();
        let base = Table::new(scores.customers().len(), move || {
            score_batch(&source, REASONS)
        });
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(Scores { scores }),
        )
    }
}

#[pymethods]
impl Scores {
    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.scores.customers())
    }

    /// The instant that the scores describe.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.scores.as_of().instant())
    }

    /// How far the probability looks ahead of `as_of`, in days.
    #[getter]
    fn horizon_days(&self) -> u32 {
        self.scores.horizon().as_days()
    }

    /// Probability of no purchase within the horizon, one per customer.
    #[getter]
    fn churn_probability<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::floats(py, self.scores.churn_probability())
    }

    /// Names of the factors that contributions are given for.
    #[getter]
    fn factors(&self) -> Vec<String> {
        self.scores.factors().to_vec()
    }

    /// The factors that moved one customer's probability most, largest first.
    #[pyo3(signature = (customer, *, limit=3, language=None))]
    fn reasons(
        &self,
        customer: &Bound<'_, PyAny>,
        limit: usize,
        language: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Reason>> {
        let row = customers::row(self.scores.customers(), customer)?;
        let language = read_language(language)?;
        let reasons = self.scores.reasons(row, limit).into_iter();
        Ok(reasons
            .map(|reason| Reason {
                feature: reason.feature.to_owned(),
                points: reason.points,
                value: reason.value,
                sentence: reason.sentence(language),
            })
            .collect())
    }

    fn __repr__(&self) -> String {
        format!(
            "Scores({} customers as of {}, {} days ahead)",
            self.scores.customers().len(),
            self.scores.as_of(),
            self.scores.horizon().as_days()
        )
    }
}

/// `"en"` or `"zh"`; None = the core's default.
pub(crate) fn read_language(language: Option<&Bound<'_, PyAny>>) -> PyResult<Language> {
    language.map_or(Ok(Language::default()), |language| {
        settings::read_value(language, "language")
    })
}

/// One reason for one customer's score.
#[pyclass(frozen, get_all, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Reason {
    /// The feature behind it.
    feature: String,
    /// How far it moved the score, in points: positive raises the churn probability.
    points: f64,
    /// The feature's value, or None where it is missing.
    value: Option<f64>,
    /// The reason in words.
    sentence: String,
}

#[pymethods]
impl Reason {
    fn __str__(&self) -> &str {
        &self.sentence
    }

    fn __repr__(&self) -> String {
        format!("Reason({})", self.sentence)
    }
}
