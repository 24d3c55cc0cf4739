//! What the models read: one purchase history per row, in three to five numbers.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::features::{FeatureTable, RfmSummary, check_log_gaps, check_not_negative, check_rows};

/// Purchase histories, from a summary or from plain columns, borrowed where possible.
///
/// Shape: one row per customer. Units: `recency` and `age` in units of `unit_days` days.
///
/// # Example
/// ```
/// use churn_core::scoring::lifetime::Buyers;
/// let buyers = Buyers::new(vec![2.0, 0.0], vec![30.43, 0.0], vec![38.86, 38.86])?;
/// assert_eq!(buyers.len(), 2);
/// let error = Buyers::new(vec![1.0], vec![40.0], vec![38.86]).unwrap_err();
/// assert_eq!(error.to_string(), "summary.recency[0]: expected at most the age of 38.86, got 40");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Buyers<'a> {
    frequency: Cow<'a, [f64]>,
    recency: Cow<'a, [f64]>,
    age: Cow<'a, [f64]>,
    log_gaps: Option<Cow<'a, [f64]>>,
    weights: Option<Cow<'a, [f64]>>,
    covariates: Vec<(String, Cow<'a, [f64]>)>,
    unit_days: f64,
}

impl<'a> Buyers<'a> {
    /// Histories from columns of frequency, recency and age, in units of one day unless
    /// [`with_unit_days`](Self::with_unit_days) says otherwise.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of different lengths; `InvalidValue`, naming column and row,
    /// for a frequency that is not a whole number from 0 on, a recency outside 0 to age or not 0
    /// without repeat purchase, a negative or non-finite number.
    pub fn new(
        frequency: impl Into<Cow<'a, [f64]>>,
        recency: impl Into<Cow<'a, [f64]>>,
        age: impl Into<Cow<'a, [f64]>>,
    ) -> Result<Self> {
        let (frequency, recency, age) = (frequency.into(), recency.into(), age.into());
        check_rows(&frequency, &recency, &age)?;
        Ok(Buyers {
            frequency,
            recency,
            age,
            log_gaps: None,
            weights: None,
            covariates: Vec::new(),
            unit_days: 1.0,
        })
    }

    /// States the length in days of the unit of recency and age.
    ///
    /// # Errors
    /// `InvalidParameter` for a unit that is not positive and finite.
    pub fn with_unit_days(mut self, unit_days: f64) -> Result<Self> {
        if !(unit_days.is_finite() && unit_days > 0.0) {
            return Err(Error::invalid_parameter(
                "summary.unit_days",
                "a positive number of days",
                unit_days,
            ));
        }
        self.unit_days = unit_days;
        Ok(self)
    }

    /// Adds sums of log gaps (see [`RfmSummary::log_gaps`]), which regularity needs.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row.
    pub fn with_log_gaps(mut self, log_gaps: impl Into<Cow<'a, [f64]>>) -> Result<Self> {
        let log_gaps = log_gaps.into();
        check_log_gaps(&self.frequency, &log_gaps)?;
        self.log_gaps = Some(log_gaps);
        Ok(self)
    }

    /// States how many customers each row stands for; only fitting reads it.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a weight that is negative or not
    /// finite.
    pub fn with_weights(mut self, weights: impl Into<Cow<'a, [f64]>>) -> Result<Self> {
        let weights = weights.into();
        if weights.len() != self.len() {
            return Err(Error::length_mismatch(
                "summary.weights",
                self.len(),
                weights.len(),
            ));
        }
        check_not_negative("summary.weights", &weights)?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Adds a covariate that does not change over time, e.g. the channel of the first order as 0
    /// and 1; the settings of a model say which covariates it uses.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidParameter` for a name that occurs twice; `InvalidValue`, naming
    /// the row, for a number that is not finite.
    pub fn with_covariate(
        mut self,
        name: impl Into<String>,
        values: impl Into<Cow<'a, [f64]>>,
    ) -> Result<Self> {
        let (name, values) = (name.into(), values.into());
        let place = format!("covariates.{name}");
        if self.covariates.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid_parameter(
                "covariates",
                "names that differ",
                format_args!("{name:?} twice"),
            ));
        }
        if values.len() != self.len() {
            return Err(Error::length_mismatch(place, self.len(), values.len()));
        }
        if let Some(row) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::invalid_value(
                place,
                row,
                "a finite number",
                values[row],
            ));
        }
        self.covariates.push((name, values));
        Ok(self)
    }

    /// The rows of a summary with the columns of a feature table of the same customers as
    /// covariates.
    ///
    /// # Errors
    /// `Misaligned` if the table speaks of other customers; as
    /// [`with_covariate`](Self::with_covariate).
    pub fn with_table(summary: &'a RfmSummary, table: &'a FeatureTable) -> Result<Self> {
        summary
            .customers()
            .check_same(table.customers(), "covariates.customers")?;
        table
            .names()
            .enumerate()
            .try_fold(Buyers::from(summary), |buyers, (j, name)| {
                buyers.with_covariate(name, table.column_at(j))
            })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.frequency.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.frequency.is_empty()
    }

    /// Repeat purchases, x.
    pub fn frequency(&self) -> &[f64] {
        &self.frequency
    }

    /// First to last purchase (units), t_x.
    pub fn recency(&self) -> &[f64] {
        &self.recency
    }

    /// First purchase to the end of the observation (units), T.
    pub fn age(&self) -> &[f64] {
        &self.age
    }

    /// Sums of log gaps, if known.
    pub fn log_gaps(&self) -> Option<&[f64]> {
        self.log_gaps.as_deref()
    }

    /// How many customers each row stands for; `None` = one.
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// Length in days of the unit of recency and age.
    pub fn unit_days(&self) -> f64 {
        self.unit_days
    }

    /// A covariate by name.
    ///
    /// # Errors
    /// `UnknownName` if there is none of this name.
    pub fn covariate(&self, name: &str) -> Result<&[f64]> {
        match self.covariates.iter().find(|(known, _)| known == name) {
            Some((_, values)) => Ok(values),
            None => Err(Error::unknown_name(
                "covariates",
                name,
                self.covariates.iter().map(|(known, _)| known),
            )),
        }
    }
}

impl<'a> From<&'a RfmSummary> for Buyers<'a> {
    /// The rows of a summary, checked when it was made.
    fn from(summary: &'a RfmSummary) -> Self {
        Buyers {
            frequency: summary.frequency().into(),
            recency: summary.recency().into(),
            age: summary.age().into(),
            log_gaps: summary.log_gaps().map(Cow::from),
            weights: None,
            covariates: Vec::new(),
            unit_days: summary.unit_days(),
        }
    }
}
