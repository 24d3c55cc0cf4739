//! Who is about to leave: churn probabilities with the reasons behind them.
//!
//! A line belongs in this room if it turns features into a probability.

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::text::{Language, Text};
use crate::time::{AsOf, Horizon};

pub mod learned;
pub mod lifetime;
mod reason;
mod scorecard;
pub mod survival;
pub mod uplift;
mod words;

pub use reason::Reason;
pub(crate) use reason::shown as reason_number;
pub use scorecard::{Bin, Factor, Scorecard};
pub(crate) use words::learned_texts;

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
    explanation: Option<Explanation>,
}

/// What turns contributions into sentences.
#[derive(Debug, Clone, PartialEq)]
struct Explanation {
    base_points: f64,
    /// One per factor.
    texts: Vec<Text>,
    /// Feature values behind the contributions, laid out as the points; NaN = missing.
    values: Vec<f64>,
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
            explanation: None,
        })
    }

    /// The same scores with what is needed to say the reasons in words: the points that every
    /// customer begins with, one text per factor (see [`Factor::text`]) and the feature values,
    /// laid out as the contributions, NaN where missing.
    ///
    /// # Errors
    /// `LengthMismatch` where lengths do not fit; `InvalidParameter` if `base_points` is not
    /// finite; `InvalidValue` for an infinite value.
    pub fn explained(
        mut self,
        base_points: f64,
        texts: Vec<Text>,
        values: Vec<f64>,
    ) -> Result<Self> {
        if !base_points.is_finite() {
            return Err(Error::invalid_parameter(
                "scores.base_points",
                "a finite number",
                base_points,
            ));
        }
        if texts.len() != self.factors.len() {
            return Err(Error::length_mismatch(
                "scores.texts",
                self.factors.len(),
                texts.len(),
            ));
        }
        if values.len() != self.points.len() {
            return Err(Error::length_mismatch(
                "scores.values",
                self.points.len(),
                values.len(),
            ));
        }
        if let Some(i) = values.iter().position(|v| v.is_infinite()) {
            return Err(Error::invalid_value(
                "scores.values",
                i % self.customers.len(),
                "a finite number or NaN",
                values[i],
            ));
        }
        self.explanation = Some(Explanation {
            base_points,
            texts,
            values,
        });
        Ok(self)
    }

    /// Points that every customer begins with, before any factor; 0 for scores that are not
    /// [`explained`](Self::explained).
    pub fn base_points(&self) -> f64 {
        self.explanation.as_ref().map_or(0.0, |e| e.base_points)
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
                value: self
                    .explanation
                    .as_ref()
                    .map(|e| e.values[j * self.customers.len() + row])
                    .filter(|value| !value.is_nan()),
                text: self.explanation.as_ref().map(|e| &e.texts[j]),
            })
            .filter(|reason| reason.points != 0.0)
            .collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        reasons.truncate(limit);
        reasons
    }

    /// The same reasons as [`reasons`](Self::reasons), each as one sentence such as
    /// `no purchase for 93 days: +16 points`.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn sentences(&self, row: usize, limit: usize, language: Language) -> Vec<String> {
        self.reasons(row, limit)
            .iter()
            .map(|reason| reason.sentence(language))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn two_customers() -> Scores {
        Scores::new(
            Customers::from_ints([1, 2]),
            AsOf::parse("2020-01-01").unwrap(),
            Horizon::days(90).unwrap(),
            vec![0.5, 0.9],
            vec!["a".into(), "b".into(), "c".into()],
            vec![3.0, 0.0, -3.0, 5.0, -8.0, 0.0],
        )
        .unwrap()
    }

    #[test]
    fn reasons_are_ordered_by_size_then_by_factor() {
        let scores = two_customers();
        let names = |row, limit| -> Vec<&str> {
            let reasons = scores.reasons(row, limit);
            reasons.iter().map(|r| r.feature).collect()
        };
        assert_eq!(names(0, 9), ["c", "a", "b"]);
        assert_eq!(names(0, 1), ["c"]);
        assert_eq!(names(1, 9), ["b"]);
    }

    #[test]
    fn explanations_must_fit() {
        let text = || Text::new("{value}", "{value}");
        let kind = |base, texts: usize, values: Vec<f64>| {
            two_customers()
                .explained(base, vec![text(); texts], values)
                .unwrap_err()
                .kind()
        };
        assert_eq!(kind(0.0, 2, vec![0.0; 6]), ErrorKind::LengthMismatch);
        assert_eq!(kind(0.0, 3, vec![0.0; 5]), ErrorKind::LengthMismatch);
        assert_eq!(kind(f64::NAN, 3, vec![0.0; 6]), ErrorKind::InvalidParameter);
        let error = two_customers()
            .explained(
                0.0,
                vec![text(); 3],
                vec![0.0, 0.0, 0.0, f64::INFINITY, 0.0, 0.0],
            )
            .unwrap_err();
        assert_eq!(error.row(), Some(1));
    }

    #[test]
    fn sentences_carry_the_values() {
        let scores = two_customers()
            .explained(
                7.0,
                vec![Text::new("{value} days", "{value} 天"); 3],
                vec![1.0, 2.0, 3.5, 4.0, f64::NAN, 6.0],
            )
            .unwrap();
        assert_eq!(scores.base_points(), 7.0);
        assert_eq!(
            scores.sentences(0, 3, Language::English),
            [
                "c not known: -8 points",
                "1 days: +3 points",
                "3.5 days: -3 points"
            ]
        );
        assert_eq!(scores.sentences(1, 3, Language::Chinese), ["4 天：+5 分"]);
    }
}
