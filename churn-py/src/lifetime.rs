//! Models of buying and leaving; `churn.lifetime` re-exports them.

use churn_core::arrow::lifetime_batch;
use churn_core::features::RfmSummary as CoreSummary;
use churn_core::progress::Progress;
use churn_core::scoring::lifetime::{
    self, Answer, BetaGeometric, BgBb, Buyers, Contracts, CustomerValue, Estimate, Family,
    GammaGamma, Lifetime,
};
use churn_core::{Error, Horizon, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::evaluation::answer;
use crate::features::{FeatureTable, RfmSummary};
use crate::scoring::Scores;
use crate::shared::Shared;
use crate::table::Table;
use crate::{convert, customers, progress, settings};

/// What a model reads: a summary of this package, or columns of the caller's own.
enum Given {
    Summary(Shared<CoreSummary>, Vec<(String, Vec<f64>)>),
    Columns {
        columns: Vec<(String, Vec<f64>)>,
        covariates: Vec<(String, Vec<f64>)>,
        unit_days: f64,
    },
}

impl Given {
    fn read(
        data: &Bound<'_, PyAny>,
        covariates: Option<&Bound<'_, PyAny>>,
        unit_days: f64,
    ) -> PyResult<Self> {
        Self::read_all(data, covariates, unit_days, false)
    }

    /// The same with the mean values of repeat purchases.
    fn with_money(
        data: &Bound<'_, PyAny>,
        covariates: Option<&Bound<'_, PyAny>>,
        unit_days: f64,
    ) -> PyResult<Self> {
        Self::read_all(data, covariates, unit_days, true)
    }

    fn read_all(
        data: &Bound<'_, PyAny>,
        covariates: Option<&Bound<'_, PyAny>>,
        unit_days: f64,
        money: bool,
    ) -> PyResult<Self> {
        let wanted = |name: &str| match name {
            "frequency" | "recency" | "age" | "log_gaps" | "weights" => true,
            name => money && name == "monetary_value",
        };
        let covariates = match covariates {
            Some(covariates) => convert::numbers(covariates)?,
            None => Vec::new(),
        };
        match data.cast::<RfmSummary>() {
            Ok(summary) => Ok(Given::Summary(summary.get().summary.clone(), covariates)),
            Err(_) => Ok(Given::Columns {
                columns: convert::some_numbers(data, wanted)?,
                covariates,
                unit_days,
            }),
        }
    }

    fn column(&self, name: &str) -> Result<&[f64]> {
        match self {
            Given::Summary(summary, _) if name == "monetary_value" => Ok(summary.monetary_value()),
            Given::Summary(summary, _) => Ok(summary.frequency()),
            Given::Columns { columns, .. } => {
                match columns.iter().find(|(known, _)| known == name) {
                    Some((_, values)) => Ok(values),
                    None => {
                        let known = columns.iter().map(|(known, _)| known);
                        Err(churn_core::Error::unknown_name("summary", name, known))
                    }
                }
            }
        }
    }

    fn buyers(&self) -> Result<Buyers<'_>> {
        let (mut buyers, covariates) = match self {
            Given::Summary(summary, covariates) => (Buyers::from(&**summary), covariates),
            Given::Columns {
                columns,
                covariates,
                unit_days,
            } => {
                let column = |name| self.column(name);
                let mut buyers =
                    Buyers::new(column("frequency")?, column("recency")?, column("age")?)?
                        .with_unit_days(*unit_days)?;
                for (name, values) in columns {
                    buyers = match name.as_str() {
                        "log_gaps" => buyers.with_log_gaps(values.as_slice())?,
                        "weights" => buyers.with_weights(values.as_slice())?,
                        _ => buyers,
                    };
                }
                (buyers, covariates)
            }
        };
        for (name, values) in covariates {
            buyers = buyers.with_covariate(name.as_str(), values.as_slice())?;
        }
        Ok(buyers)
    }
}

/// Likelihood, standard errors and certificate of a fit, with AIC and BIC.
fn told<'py>(py: Python<'py>, estimate: Option<&Estimate>) -> PyResult<Bound<'py, PyAny>> {
    let found = answer(py, &estimate)?;
    if let Some(estimate) = estimate {
        found.set_item("aic", estimate.aic())?;
        found.set_item("bic", estimate.bic())?;
    }
    Ok(found)
}

/// An answer and the limits of its interval, one array each.
fn arrays<'py>(py: Python<'py>, columns: &[Vec<f64>]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    columns.iter().map(|c| convert::floats(py, c)).collect()
}

/// A fitted model of buying and leaving.
#[pyclass(frozen, module = "churn")]
pub(crate) struct LifetimeModel {
    model: lifetime::LifetimeModel,
}

impl LifetimeModel {
    pub(crate) fn wrap(
        py: Python<'_>,
        model: Option<&lifetime::LifetimeModel>,
    ) -> PyResult<Option<Py<Self>>> {
        let wrap = |model: &lifetime::LifetimeModel| {
            let model = model.clone();
            Py::new(py, LifetimeModel { model })
        };
        model.map(wrap).transpose()
    }

    fn ask<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        covariates: Option<&Bound<'py, PyAny>>,
        question: Answer,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data, covariates, self.model.unit_days())?;
        let values = py.detach(|| self.model.answer(&given.buyers()?, question));
        convert::floats(py, &values.or_raise(py)?)
    }

    fn ask_interval<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        covariates: Option<&Bound<'py, PyAny>>,
        question: Answer,
        level: f64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = data.py();
        let given = Given::read(data, covariates, self.model.unit_days())?;
        let columns = py.detach(|| self.model.interval(&given.buyers()?, question, level));
        arrays(py, &columns.or_raise(py)?)
    }

    /// Names of the parameters, then of the coefficients of covariates.
    fn names(&self) -> Vec<String> {
        match self.model.estimate() {
            Some(estimate) => estimate.parameters.iter().map(|p| p.name.clone()).collect(),
            None => self
                .model
                .family()
                .parameter_names()
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

#[pymethods]
impl LifetimeModel {
    /// Fits by maximum likelihood on a summary or on columns frequency, recency and age.
    #[staticmethod]
    #[pyo3(signature = (data, *, covariates=None, unit_days=1.0, progress=None, **lifetime))]
    fn fit(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        covariates: Option<&Bound<'_, PyAny>>,
        unit_days: f64,
        progress: Option<&Bound<'_, PyAny>>,
        lifetime: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings: Lifetime = settings::read(py, "lifetime", lifetime)?;
        let given = Given::read(data, covariates, unit_days)?;
        let model = progress::run(py, progress, |progress| {
            settings.fit(&given.buyers()?, progress)
        })?;
        Ok(LifetimeModel { model })
    }

    /// A model with known parameters, in the order of the papers.
    #[staticmethod]
    #[pyo3(signature = (family, parameters, *, unit_days=1.0, regularity=1))]
    fn from_parameters(
        family: &Bound<'_, PyAny>,
        parameters: [f64; 4],
        unit_days: f64,
        regularity: u32,
    ) -> PyResult<Self> {
        let py = family.py();
        let family: Family = settings::read_value(family, "lifetime.family")?;
        let model = lifetime::LifetimeModel::new(family, parameters, regularity, unit_days);
        Ok(LifetimeModel {
            model: model.or_raise(py)?,
        })
    }

    /// Reads a stored model and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let model = lifetime::LifetimeModel::from_json(text).or_raise(py)?;
        Ok(LifetimeModel { model })
    }

    /// The model as JSON.
    fn to_json(&self) -> String {
        self.model.to_json()
    }

    /// The family, e.g. "mbg_nbd".
    #[getter]
    fn family(&self) -> &'static str {
        self.model.family().name()
    }

    /// Every how manieth tick of the clock is a purchase; 1 = no regularity.
    #[getter]
    fn regularity(&self) -> u32 {
        self.model.regularity()
    }

    /// Length of the unit of time in days.
    #[getter]
    fn unit_days(&self) -> f64 {
        self.model.unit_days()
    }

    /// Parameters by name, then the coefficients of covariates.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.names().iter().zip(self.model.parameters()) {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// Likelihood, standard errors, certificate and what lies at a boundary; None if parameters
    /// were given.
    #[getter]
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, self.model.estimate())
    }

    /// All answers about each customer as a table.
    #[pyo3(signature = (data, horizon, *, level=None, most=0, covariates=None))]
    fn answers(
        &self,
        data: &Bound<'_, PyAny>,
        horizon: f64,
        level: Option<f64>,
        most: u32,
        covariates: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Table> {
        let py = data.py();
        let given = Given::read(data, covariates, self.model.unit_days())?;
        let batch =
            py.detach(|| lifetime_batch(&self.model, &given.buyers()?, horizon, level, most));
        let batch = batch.or_raise(py)?;
        Ok(Table::new(batch.num_rows(), move || Ok(batch.clone())))
    }

    /// Probability that each customer has not left for good.
    #[pyo3(signature = (data, *, covariates=None))]
    fn probability_alive<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(data, covariates, Answer::ProbabilityAlive)
    }

    /// Expected purchases within a horizon, in units of the summary.
    #[pyo3(signature = (data, horizon, *, covariates=None))]
    fn expected_purchases<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        horizon: f64,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(data, covariates, Answer::ExpectedPurchases(horizon))
    }

    /// Probability of no purchase within a horizon, in units of the summary.
    #[pyo3(signature = (data, horizon, *, covariates=None))]
    fn no_purchase_probability<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        horizon: f64,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(data, covariates, Answer::NoPurchase(horizon))
    }

    /// Probabilities of 0, 1, …, `most` purchases within a horizon, one array each.
    #[pyo3(signature = (data, horizon, most, *, covariates=None))]
    fn purchase_distribution<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        horizon: f64,
        most: u32,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = data.py();
        let given = Given::read(data, covariates, self.model.unit_days())?;
        let columns = py.detach(|| {
            let buyers = given.buyers()?;
            self.model.purchase_distribution(&buyers, horizon, most)
        });
        let columns = columns.or_raise(py)?;
        columns.iter().map(|c| convert::floats(py, c)).collect()
    }

    /// Expected purchases within a horizon with the limits of their interval.
    #[pyo3(signature = (data, horizon, *, level=0.95, covariates=None))]
    fn purchases_interval<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        horizon: f64,
        level: f64,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.ask_interval(data, covariates, Answer::ExpectedPurchases(horizon), level)
    }

    /// Probability of no purchase within a horizon with the limits of its interval.
    #[pyo3(signature = (data, horizon, *, level=0.95, covariates=None))]
    fn no_purchase_interval<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        horizon: f64,
        level: f64,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.ask_interval(data, covariates, Answer::NoPurchase(horizon), level)
    }

    /// Probability alive with the limits of its interval.
    #[pyo3(signature = (data, *, level=0.95, covariates=None))]
    fn alive_interval<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        level: f64,
        covariates: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.ask_interval(data, covariates, Answer::ProbabilityAlive, level)
    }

    /// Churn probabilities of all customers of a summary, with reasons.
    fn score(
        &self,
        py: Python<'_>,
        summary: &RfmSummary,
        horizon_days: u32,
    ) -> PyResult<Py<Scores>> {
        let scores = py.detach(|| {
            self.model
                .score(&summary.summary, Horizon::days(horizon_days)?)
        });
        Scores::wrap(py, Shared::new(scores.or_raise(py)?))
    }

    /// The answers as features of all customers of a summary, or of these, who include them.
    #[pyo3(signature = (summary, horizon_days, *, customers=None))]
    fn features(
        &self,
        py: Python<'_>,
        summary: &RfmSummary,
        horizon_days: u32,
        customers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<FeatureTable>> {
        let customers = customers.map(customers::read).transpose()?;
        let table = py.detach(|| {
            let (summary, horizon) = (&summary.summary, Horizon::days(horizon_days)?);
            match &customers {
                None => self.model.features(summary, horizon),
                Some(customers) => self.model.features_among(summary, customers, horizon),
            }
        });
        FeatureTable::wrap(py, Shared::new(table.or_raise(py)?), None)
    }

    /// Discounted value of each customer; settings horizon_days, discount_rate, margin, …
    #[pyo3(signature = (data, spend, *, covariates=None, **value))]
    fn customer_value<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        spend: &SpendModel,
        covariates: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let value: CustomerValue = settings::read(py, "value", value)?;
        let given = Given::with_money(data, covariates, self.model.unit_days())?;
        let values = py.detach(|| {
            let money = given.column("monetary_value")?;
            value.of(&given.buyers()?, money, &self.model, &spend.model)
        });
        convert::floats(py, &values.or_raise(py)?)
    }

    /// The same with the limits of its interval.
    #[pyo3(signature = (data, spend, *, level=0.95, covariates=None, **value))]
    fn customer_value_interval<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        spend: &SpendModel,
        level: f64,
        covariates: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = data.py();
        let value: CustomerValue = settings::read(py, "value", value)?;
        let given = Given::with_money(data, covariates, self.model.unit_days())?;
        let columns = py.detach(|| {
            let money = given.column("monetary_value")?;
            value.interval(&given.buyers()?, money, &self.model, &spend.model, level)
        });
        arrays(py, &columns.or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        let names = self.names();
        let pairs = names.iter().zip(self.model.parameters());
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "LifetimeModel({}, {})",
            self.model.family().name(),
            pairs.join(", ")
        )
    }
}

/// A fitted model of spend per purchase.
#[pyclass(frozen, module = "churn")]
pub(crate) struct SpendModel {
    model: lifetime::SpendModel,
}

#[pymethods]
impl SpendModel {
    /// Fits Gamma-Gamma on the repeat buyers of a summary or of columns.
    #[staticmethod]
    #[pyo3(signature = (data, *, progress=None, **gamma_gamma))]
    fn fit(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        gamma_gamma: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings: GammaGamma = settings::read(py, "gamma_gamma", gamma_gamma)?;
        let given = Given::with_money(data, None, 1.0)?;
        let model = progress::run(py, progress, |progress| {
            settings.fit(
                given.column("frequency")?,
                given.column("monetary_value")?,
                progress,
            )
        })?;
        Ok(SpendModel { model })
    }

    /// A model with known parameters p, q and gamma.
    #[staticmethod]
    fn from_parameters(py: Python<'_>, parameters: [f64; 3]) -> PyResult<Self> {
        let [p, q, gamma] = parameters;
        let model = lifetime::SpendModel::new(p, q, gamma).or_raise(py)?;
        Ok(SpendModel { model })
    }

    /// Reads a stored model and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let model = lifetime::SpendModel::from_json(text).or_raise(py)?;
        Ok(SpendModel { model })
    }

    /// The model as JSON.
    fn to_json(&self) -> String {
        self.model.to_json()
    }

    /// Parameters p, q and gamma.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in ["p", "q", "gamma"].iter().zip(self.model.parameters()) {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// Likelihood, standard errors and certificate; None if parameters were given.
    #[getter]
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, self.model.estimate())
    }

    /// Rows without repeat purchase or money, which the fit left out.
    #[getter]
    fn left_out(&self) -> u64 {
        self.model.left_out()
    }

    /// Correlation of frequency and mean value, which the model takes to be near 0.
    #[getter]
    fn frequency_correlation(&self) -> Option<f64> {
        self.model.frequency_correlation()
    }

    /// Expected spend per purchase of a new customer.
    #[getter]
    fn population_mean(&self, py: Python<'_>) -> PyResult<f64> {
        self.model.population_mean().or_raise(py)
    }

    /// Expected spend per purchase of each customer.
    fn expected_spend<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::with_money(data, None, 1.0)?;
        let spend = given.column("frequency").and_then(|frequency| {
            self.model
                .expected_spend(frequency, given.column("monetary_value")?)
        });
        convert::floats(py, &spend.or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        let [p, q, gamma] = self.model.parameters();
        format!("SpendModel(p={p}, q={q}, gamma={gamma})")
    }
}

/// A fitted BG/BB model of opportunities in rounds.
#[pyclass(frozen, module = "churn")]
pub(crate) struct BgBbModel {
    model: lifetime::BgBbModel,
}

#[pymethods]
impl BgBbModel {
    /// Fits on columns frequency, recency, age (rounds) and, where given, weights.
    #[staticmethod]
    #[pyo3(signature = (data, **bg_bb))]
    fn fit(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        bg_bb: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings: BgBb = settings::read(py, "bg_bb", bg_bb)?;
        let given = Given::read(data, None, 1.0)?;
        let model = py.detach(|| settings.fit(&given.buyers()?, &Progress::none()));
        Ok(BgBbModel {
            model: model.or_raise(py)?,
        })
    }

    /// A model with known parameters alpha, beta, gamma and delta.
    #[staticmethod]
    fn from_parameters(py: Python<'_>, parameters: [f64; 4]) -> PyResult<Self> {
        let model = lifetime::BgBbModel::new(parameters).or_raise(py)?;
        Ok(BgBbModel { model })
    }

    /// Reads a stored model and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let model = lifetime::BgBbModel::from_json(text).or_raise(py)?;
        Ok(BgBbModel { model })
    }

    /// The model as JSON.
    fn to_json(&self) -> String {
        self.model.to_json()
    }

    /// Parameters alpha, beta, gamma and delta.
    #[getter]
    fn parameters(&self) -> [f64; 4] {
        self.model.parameters()
    }

    /// Likelihood, standard errors and certificate.
    #[getter]
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, self.model.estimate())
    }

    /// Probability of being there still, `ahead` rounds from now.
    #[pyo3(signature = (data, *, ahead=0))]
    fn probability_alive<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        ahead: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data, None, 1.0)?;
        let buyers = given.buyers().or_raise(py)?;
        let values = self.model.probability_alive(&buyers, ahead).or_raise(py)?;
        convert::floats(py, &values)
    }

    /// Expected purchases within the next `ahead` rounds.
    fn expected_purchases<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        ahead: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data, None, 1.0)?;
        let buyers = given.buyers().or_raise(py)?;
        let values = self.model.expected_purchases(&buyers, ahead).or_raise(py)?;
        convert::floats(py, &values)
    }

    /// Probability of no purchase at any of the next `ahead` rounds.
    fn no_purchase_probability<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        ahead: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let given = Given::read(data, None, 1.0)?;
        let buyers = given.buyers().or_raise(py)?;
        let values = self.model.no_purchase_probability(&buyers, ahead);
        convert::floats(py, &values.or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        format!("BgBbModel({:?})", self.model.parameters())
    }
}

/// A fitted Beta-Geometric model of renewals.
#[pyclass(frozen, module = "churn")]
pub(crate) struct RenewalModel {
    model: lifetime::RenewalModel,
}

#[pymethods]
impl RenewalModel {
    /// Fits on contracts, one per row: the renewal at which it ended, or the renewals made so far.
    #[staticmethod]
    #[pyo3(signature = (duration, churned, **beta_geometric))]
    fn fit(
        duration: &Bound<'_, PyAny>,
        churned: &Bound<'_, PyAny>,
        beta_geometric: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = duration.py();
        let settings: BetaGeometric = settings::read(py, "beta_geometric", beta_geometric)?;
        let duration = convert::float_column("contracts.duration", duration)?;
        let churned = convert::flag_column("contracts.churned", churned)?;
        let model = py.detach(|| {
            let contracts = Contracts::new(&duration, &churned)?;
            settings.fit(&contracts, &Progress::none())
        });
        Ok(RenewalModel {
            model: model.or_raise(py)?,
        })
    }

    /// Fits on the survivors of one cohort after 0, 1, 2, … renewals.
    #[staticmethod]
    #[pyo3(signature = (survivors, **beta_geometric))]
    fn fit_survivors(
        py: Python<'_>,
        survivors: &Bound<'_, PyAny>,
        beta_geometric: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings: BetaGeometric = settings::read(py, "beta_geometric", beta_geometric)?;
        let survivors = convert::vector("contracts.survivors", survivors)?;
        let model = Contracts::from_survivors(&survivors)
            .and_then(|contracts| settings.fit(&contracts, &Progress::none()));
        Ok(RenewalModel {
            model: model.or_raise(py)?,
        })
    }

    /// A model with known parameters a and b.
    #[staticmethod]
    fn from_parameters(py: Python<'_>, parameters: [f64; 2]) -> PyResult<Self> {
        let [a, b] = parameters;
        let model = lifetime::RenewalModel::new(a, b).or_raise(py)?;
        Ok(RenewalModel { model })
    }

    /// Reads a stored model and checks it.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let model = lifetime::RenewalModel::from_json(text).or_raise(py)?;
        Ok(RenewalModel { model })
    }

    /// The model as JSON.
    fn to_json(&self) -> String {
        self.model.to_json()
    }

    /// Parameters a and b.
    #[getter]
    fn parameters(&self) -> [f64; 2] {
        self.model.parameters()
    }

    /// Likelihood, standard errors and certificate; None if parameters were given.
    #[getter]
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, self.model.estimate())
    }

    /// Probability of `ahead` more renewals after so many.
    fn survival<'py>(
        &self,
        renewals: &Bound<'py, PyAny>,
        ahead: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = renewals.py();
        let renewals = convert::vector("contracts.renewals", renewals)?;
        let values = self.model.survival(&renewals, ahead).or_raise(py)?;
        convert::floats(py, &values)
    }

    /// Renewals still to come, each weighted by (1 + rate)^-i.
    fn discounted_renewals<'py>(
        &self,
        renewals: &Bound<'py, PyAny>,
        rate: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = renewals.py();
        let renewals = convert::vector("contracts.renewals", renewals)?;
        let values = self.model.discounted_renewals(&renewals, rate);
        convert::floats(py, &values.or_raise(py)?)
    }

    fn __repr__(&self) -> String {
        let [a, b] = self.model.parameters();
        format!("RenewalModel(a={a}, b={b})")
    }
}

/// Whether a larger model fits significantly better than a special case of it.
#[pyfunction]
pub(crate) fn likelihood_ratio<'py>(
    py: Python<'py>,
    special: &LifetimeModel,
    general: &LifetimeModel,
) -> PyResult<Bound<'py, PyAny>> {
    let estimate = |what: &str, model: &lifetime::LifetimeModel| {
        let missing = || {
            let got = "one with given parameters";
            Error::invalid_parameter(what, "a fitted model", got)
        };
        model.estimate().cloned().ok_or_else(missing)
    };
    let special = estimate("likelihood_ratio.special", &special.model).or_raise(py)?;
    let general = estimate("likelihood_ratio.general", &general.model).or_raise(py)?;
    let test = lifetime::likelihood_ratio(&special, &general).or_raise(py)?;
    answer(py, &test)
}
