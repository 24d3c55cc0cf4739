//! Named groups of customers.

use churn_core::arrow::{BatchBuilder, segment_batch};
use churn_core::segments::{self, SegmentProfile};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::customers::{self, Customers};
use crate::errors::OrRaise;
use crate::features::FeatureTable;
use crate::scoring::Scores;
use crate::shared::Shared;
use crate::table::Table;
use crate::{convert, settings};

/// Every customer in exactly one named group.
#[pyclass(frozen, extends = Table, module = "churn")]
pub(crate) struct Segments {
    pub(crate) segments: Shared<segments::Segments>,
}

impl Segments {
    pub(crate) fn wrap(py: Python<'_>, segments: Shared<segments::Segments>) -> PyResult<Py<Self>> {
        let source = segments.clone();
        let base = Table::new(segments.customers().len(), move || {
            segment_batch(&[&source])
        });
        Py::new(
            py,
            PyClassInitializer::from(base).add_subclass(Segments { segments }),
        )
    }
}

#[pymethods]
impl Segments {
    /// Name of the grouping, e.g. `"risk_tier"`.
    #[getter]
    fn name(&self) -> &str {
        self.segments.name()
    }

    /// The customers, one per row.
    #[getter]
    fn customers(&self) -> Customers {
        Customers::new(self.segments.customers())
    }

    /// The instant that the groups describe.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::datetime(py, self.segments.as_of().instant())
    }

    /// Names of the groups.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.segments.labels().to_vec()
    }

    /// The group of one customer.
    fn label(&self, customer: &Bound<'_, PyAny>) -> PyResult<&str> {
        let row = customers::row(self.segments.customers(), customer)?;
        Ok(self.segments.label(row))
    }

    /// Size, money and the mean of every feature, one row per group.
    fn profile(&self, py: Python<'_>, features: &FeatureTable) -> PyResult<Table> {
        let profile = py
            .detach(|| segments::profile(&self.segments, &features.table))
            .or_raise(py)?;
        Ok(profile_table(profile))
    }

    fn __repr__(&self) -> String {
        format!(
            "Segments({} of {} customers as of {}: {})",
            self.segments.name(),
            self.segments.customers().len(),
            self.segments.as_of(),
            self.segments.labels().join(", ")
        )
    }
}

/// One row per group: `segment`, `size`, `share`, `money`, `money_share`, then `mean_<feature>`.
pub(crate) fn profile_table(profile: Vec<SegmentProfile>) -> Table {
    Table::new(profile.len(), move || {
        let groups = || profile.iter();
        let mut batch = BatchBuilder::new()
            .texts("segment", groups().map(|group| Some(group.label.as_str())))
            .counts("size", groups().map(|group| Some(group.size as u64)))
            .optional_numbers("share", groups().map(|group| Some(group.share)))
            .optional_numbers("money", groups().map(|group| Some(group.money)))
            .optional_numbers("money_share", groups().map(|group| group.money_share));
        let features = profile.first().map_or(&[][..], |group| &group.means);
        for (j, feature) in features.iter().enumerate() {
            let means = groups().map(|group| group.means[j].mean);
            batch = batch.optional_numbers(&format!("mean_{}", feature.feature), means);
        }
        batch.finish()
    })
}

/// Low, medium and high churn probability.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct RiskTiers {
    tiers: segments::RiskTiers,
}

#[pymethods]
impl RiskTiers {
    #[new]
    #[pyo3(signature = (**cuts))]
    fn new(py: Python<'_>, cuts: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let tiers: segments::RiskTiers = settings::read(py, "risk_tiers", cuts)?;
        tiers.check().or_raise(py)?;
        Ok(RiskTiers { tiers })
    }

    /// Smallest probability of the medium tier.
    #[getter]
    fn medium(&self) -> f64 {
        self.tiers.medium
    }

    /// Smallest probability of the high tier.
    #[getter]
    fn high(&self) -> f64 {
        self.tiers.high
    }

    /// Puts every customer into `low`, `medium` or `high`.
    fn assign(&self, py: Python<'_>, scores: &Scores) -> PyResult<Py<Segments>> {
        let segments = py
            .detach(|| self.tiers.assign(&scores.scores))
            .or_raise(py)?;
        Segments::wrap(py, Shared::new(segments))
    }

    fn __repr__(&self) -> String {
        format!(
            "RiskTiers(medium={:?}, high={:?})",
            self.tiers.medium, self.tiers.high
        )
    }
}

/// Named rectangles on recency, frequency and monetary scores.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Grid {
    grid: segments::Grid,
}

#[pymethods]
impl Grid {
    /// Ten segments on recency × frequency.
    #[staticmethod]
    fn rf25() -> Self {
        Grid {
            grid: segments::Grid::rf25(),
        }
    }

    /// Eleven segments on recency × the mean of frequency and monetary score.
    #[staticmethod]
    fn rfm11() -> Self {
        Grid {
            grid: segments::Grid::rfm11(),
        }
    }

    /// Reads a grid from TOML and proves that it has no hole and no overlap.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Self> {
        let grid = segments::Grid::from_toml(text).or_raise(py)?;
        Ok(Grid { grid })
    }

    /// Reads a grid from JSON and proves that it has no hole and no overlap.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let grid = segments::Grid::from_json(text).or_raise(py)?;
        Ok(Grid { grid })
    }

    /// The grid as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.grid.to_toml().or_raise(py)
    }

    /// The grid as JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.grid.to_json().or_raise(py)
    }

    /// Name of the segments that the grid assigns.
    #[getter]
    fn name(&self) -> &str {
        &self.grid.name
    }

    /// Puts every customer into one segment.
    fn assign(&self, py: Python<'_>, features: &FeatureTable) -> PyResult<Py<Segments>> {
        let segments = py
            .detach(|| self.grid.assign(&features.table))
            .or_raise(py)?;
        Segments::wrap(py, Shared::new(segments))
    }

    fn __repr__(&self) -> String {
        format!(
            "Grid({}, {} segments on scores of 1 to {})",
            self.grid.name,
            self.grid.rules.len(),
            self.grid.bins
        )
    }
}

/// New, active, at risk, … by the purchases alone.
#[pyfunction]
pub(crate) fn lifecycle(py: Python<'_>, features: &FeatureTable) -> PyResult<Py<Segments>> {
    let segments = py
        .detach(|| segments::lifecycle(&features.table))
        .or_raise(py)?;
    Segments::wrap(py, Shared::new(segments))
}
