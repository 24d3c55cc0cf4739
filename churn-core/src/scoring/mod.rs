//! Who is about to leave: churn probabilities with the reasons behind them.
//!
//! A line belongs in this room if it turns features into a probability.

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::{AsOf, Horizon};

/// One reason for one customer's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason<'s> {
    /// The feature behind it.
    pub feature: &'s str,
    /// How far it moved the score, in points: positive raises the churn probability.
    pub points: f64,
}

/// Churn probabilities of all customers, with additive contributions.
///
/// Shape: n probabilities and n × m contributions, m = number of factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    customers: Customers,
    as_of: AsOf,
    horizon: Horizon,
    probabilities: Vec<f64>,
    factors: Vec<String>,
    /// Column-major: factor *j* of customer *i* at `j * n + i`.
    points: Vec<f64>,
}

impl Scores {
    /// Scores from a method's output; `points[j * n + i]` is the contribution of factor *j* to
    /// customer *i*.
    ///
    /// # Errors
    /// `LengthMismatch` where lengths do not fit; `InvalidValue` for a probability outside
    /// \[0, 1\] or a contribution that is not finite.
    pub fn new(
        customers: Customers,
        as_of: AsOf,
        horizon: Horizon,
        probabilities: Vec<f64>,
        factors: Vec<String>,
        points: Vec<f64>,
    ) -> Result<Self> {
        let n = customers.len();
        if probabilities.len() != n {
            return Err(Error::length_mismatch(
                "scores.probabilities",
                n,
                probabilities.len(),
            ));
        }
        if points.len() != n * factors.len() {
            return Err(Error::length_mismatch(
                "scores.points",
                n * factors.len(),
                points.len(),
            ));
        }
        if let Some(row) = probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
            return Err(Error::invalid_value(
                "scores.probabilities",
                row,
                "a probability from 0 to 1",
                probabilities[row],
            ));
        }
        if let Some(i) = points.iter().position(|p| !p.is_finite()) {
            return Err(Error::invalid_value(
                "scores.points",
                i % n,
                "a finite number",
                points[i],
            ));
        }
        Ok(Scores {
            customers,
            as_of,
            horizon,
            probabilities,
            factors,
            points,
        })
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant that the scores describe.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// How far the probability looks ahead of `as_of`.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// Probability of no purchase within the horizon, one per customer.
    pub fn churn_probability(&self) -> &[f64] {
        &self.probabilities
    }

    /// Names of the factors that contributions are given for.
    pub fn factors(&self) -> &[String] {
        &self.factors
    }

    /// Contributions of one factor to all customers, in points.
    ///
    /// # Panics
    /// If `j` is not below the number of factors.
    pub fn points_at(&self, j: usize) -> &[f64] {
        let n = self.customers.len();
        &self.points[j * n..(j + 1) * n]
    }

    /// The factors that moved one customer's probability most, at most `limit`, largest first and
    /// in the order of the factors where equal; factors that moved nothing are left out.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn reasons(&self, row: usize, limit: usize) -> Vec<Reason<'_>> {
        assert!(
            row < self.customers.len(),
            "row {row} of {}",
            self.customers.len()
        );
        let mut reasons: Vec<Reason<'_>> = (0..self.factors.len())
            .map(|j| Reason {
                feature: &self.factors[j],
                points: self.points_at(j)[row],
            })
            .filter(|reason| reason.points != 0.0)
            .collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        reasons.truncate(limit);
        reasons
    }
}
