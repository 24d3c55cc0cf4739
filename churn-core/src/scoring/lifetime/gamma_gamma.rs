//! Gamma-Gamma: what a customer spends per purchase.
//!
//! The mean of a customer's purchases varies around a personal level as a gamma variable of shape
//! p, and the level varies between customers so that the mean over everybody is p γ/(q − 1).
//! Assumes that spend does not depend on how often a customer buys
//! ([`SpendModel::frequency_correlation`] tells); repeat buyers with money only.
//!
//! With x repeat purchases of mean value m, ln L = ln Γ(px+q) − ln Γ(px) − ln Γ(q) + q ln γ +
//! (px−1) ln m + px ln x − (px+q) ln(γ + m x), and E(M | x, m) = p (γ + x m)/(p x + q − 1).
//!
//! Sources: Colombo & Jiang (1999); Fader & Hardie, The Gamma-Gamma Model of Monetary Value (2013).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::features::{RfmSummary, check_not_negative};
use crate::math::optimize::Search;
use crate::math::rising::digamma;
use crate::math::special::ln_gamma;
use crate::progress::Progress;

use super::climb::from_starts;
use super::estimate::Estimate;

/// Settings of the spend model.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::lifetime::GammaGamma;
/// let frequency = [2.0, 1.0, 0.0, 5.0, 3.0, 1.0, 2.0, 4.0];
/// let money = [22.0, 12.0, 0.0, 35.0, 18.0, 60.0, 25.0, 9.0];
/// let model = GammaGamma::default().fit(&frequency, &money, &Progress::none())?;
/// let spend = model.expected_spend(&frequency, &money)?;
/// assert!(spend[3] < 35.0 && spend[2] > 0.0, "means shrink towards everybody's");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GammaGamma {
    /// Search q above 1 only, where the population has a mean and one-time buyers an expected
    /// spend. Default true.
    pub finite_mean: bool,
    /// L2 penalty on the parameters, in the form of [`Lifetime::penalty`](super::Lifetime).
    /// Default 0.
    pub penalty: f64,
    /// Evaluations of likelihood and gradient that one start may spend. Default 500.
    pub max_evaluations: u32,
}

impl Default for GammaGamma {
    fn default() -> Self {
        GammaGamma {
            finite_mean: true,
            penalty: 0.0,
            max_evaluations: 500,
        }
    }
}

const VERSION: u32 = 1;
const BOX: f64 = 8.0;
const CHUNK: usize = 4096;
const NAMES: [&str; 3] = ["p", "q", "gamma"];

/// A row that counts: repeat purchases, their mean value and its logarithm.
#[derive(Clone, Copy)]
struct Spender {
    count: u32,
    money: f64,
    ln_money: f64,
}

/// What depends on a count alone: ln Γ(px+q) − ln Γ(px) + px ln x and its derivatives by p and q.
#[derive(Clone, Copy)]
struct Count {
    x: f64,
    base: f64,
    slope_p: f64,
    slope_q: f64,
}

impl GammaGamma {
    /// Fits by maximum likelihood. Rows without repeat purchase or without money say nothing about
    /// spend and are left out ([`SpendModel::left_out`]).
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming column and row, for a frequency that is not a whole
    /// number from 0 on or money that is negative or not finite; `InvalidParameter` for settings
    /// outside their domain; `NotEnoughData` for fewer than two rows that count; `NotConverged`;
    /// `Cancelled`.
    pub fn fit(
        &self,
        frequency: &[f64],
        monetary_value: &[f64],
        progress: &Progress<'_>,
    ) -> Result<SpendModel> {
        self.check()?;
        check(frequency, monetary_value)?;
        let mut rows: Vec<(f64, f64)> = frequency
            .iter()
            .zip(monetary_value)
            .filter(|(x, m)| **x > 0.0 && **m > 0.0)
            .map(|(x, m)| (*x, *m))
            .collect();
        if rows.len() < 2 {
            return Err(Error::not_enough_data(
                "summary.monetary_value",
                "two customers with repeat purchases and money",
                rows.len(),
            ));
        }
        rows.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut counts: Vec<f64> = rows.iter().map(|row| row.0).collect();
        counts.dedup();
        let mut spenders = Vec::with_capacity(rows.len());
        let mut count = 0;
        for (x, money) in &rows {
            if counts[count] != *x {
                count += 1;
            }
            spenders.push(Spender {
                count: count as u32,
                money: *money,
                ln_money: money.ln(),
            });
        }
        let n = rows.len() as f64;
        let mean = (spenders.iter().map(|s| s.ln_money).sum::<f64>() / n).exp();
        let search = Search {
            what: "lifetime.gamma_gamma",
            low: vec![-BOX, -BOX, mean.ln() - BOX],
            high: vec![BOX, BOX, mean.ln() + BOX],
            max_evaluations: self.max_evaluations as usize,
        };
        let starts: Vec<Vec<f64>> = [[6.0, 2.5, 0.5], [2.0, 1.0, 1.0], [1.0, 6.0, 6.0]]
            .iter()
            .map(|[p, q, gamma]: &[f64; 3]| vec![p.ln(), q.ln(), (gamma * mean).ln()])
            .collect();
        let step = progress.step("lifetime.fit", search.max_evaluations);
        let mut optimum = from_starts(&search, &starts, &mut |theta, slope| {
            step.advance(1)?;
            let values = self.values(theta);
            let (value, gradient) = log_likelihood(&counts, &spenders, values);
            // dq/dθ is q − 1 where q = 1 + e^θ.
            let inner = [values[0], theta[1].exp(), values[2]];
            let mut loss = -value;
            for i in 0..3 {
                loss += n * self.penalty * values[i] * values[i];
                slope[i] = inner[i] * (2.0 * n * self.penalty * values[i] - gradient[i]);
            }
            Ok(loss)
        })?;
        let values = self.values(&optimum.theta);
        let (value, _) = log_likelihood(&counts, &spenders, values);
        if self.finite_mean {
            // The Hessian is by ln (q − 1); the estimate speaks of ln q.
            let turn = values[1] / (values[1] - 1.0);
            for i in 0..3 {
                optimum.hessian[3 + i] *= turn;
                optimum.hessian[3 * i + 1] *= turn;
            }
            optimum.gradient[1] *= turn;
            optimum.theta[1] = values[1].ln();
        }
        let names = NAMES.map(str::to_owned).to_vec();
        let estimate = Estimate::new("gamma_gamma", names, 3, &optimum, value, n, rows.len())?;
        Ok(SpendModel {
            version: VERSION,
            p: values[0],
            q: values[1],
            gamma: values[2],
            left_out: (frequency.len() - rows.len()) as u64,
            frequency_correlation: correlation(&rows),
            estimate: Some(estimate),
        })
    }

    /// The same for the rows of a summary.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_summary(&self, summary: &RfmSummary, progress: &Progress<'_>) -> Result<SpendModel> {
        self.fit(summary.frequency(), summary.monetary_value(), progress)
    }

    fn check(&self) -> Result<()> {
        if !(0.0..=1e6).contains(&self.penalty) {
            return Err(Error::invalid_parameter(
                "gamma_gamma.penalty",
                "0 to 1000000",
                self.penalty,
            ));
        }
        if !(10..=1_000_000).contains(&self.max_evaluations) {
            return Err(Error::invalid_parameter(
                "gamma_gamma.max_evaluations",
                "10 to 1000000",
                self.max_evaluations,
            ));
        }
        Ok(())
    }

    fn values(&self, theta: &[f64]) -> [f64; 3] {
        let least = if self.finite_mean { 1.0 } else { 0.0 };
        [theta[0].exp(), least + theta[1].exp(), theta[2].exp()]
    }
}

fn check(frequency: &[f64], monetary_value: &[f64]) -> Result<()> {
    if monetary_value.len() != frequency.len() {
        return Err(Error::length_mismatch(
            "summary.monetary_value",
            frequency.len(),
            monetary_value.len(),
        ));
    }
    check_not_negative("summary.frequency", frequency)?;
    if let Some(row) = frequency.iter().position(|x| x.fract() != 0.0) {
        return Err(Error::invalid_value(
            "summary.frequency",
            row,
            "a whole number",
            frequency[row],
        ));
    }
    check_not_negative("summary.monetary_value", monetary_value)
}

fn log_likelihood(
    counts: &[f64],
    spenders: &[Spender],
    [p, q, gamma]: [f64; 3],
) -> (f64, [f64; 3]) {
    let table: Vec<Count> = counts
        .par_iter()
        .with_min_len(256)
        .map(|x| {
            let shape = p * x;
            let both = digamma(shape + q);
            Count {
                x: *x,
                base: ln_gamma(shape + q) - ln_gamma(shape) + shape * x.ln(),
                slope_p: x * (both - digamma(shape) + x.ln()),
                slope_q: both,
            }
        })
        .collect();
    let (constant, slope_q) = (q * gamma.ln() - ln_gamma(q), gamma.ln() - digamma(q));
    let sums: Vec<[f64; 4]> = spenders
        .par_chunks(CHUNK)
        .map(|rows| {
            let mut sums = [0.0; 4];
            for row in rows {
                let count = &table[row.count as usize];
                let shape = p * count.x;
                let total = gamma + row.money * count.x;
                let ln_total = total.ln();
                sums[0] +=
                    count.base + constant + (shape - 1.0) * row.ln_money - (shape + q) * ln_total;
                sums[1] += count.slope_p + count.x * (row.ln_money - ln_total);
                sums[2] += count.slope_q + slope_q - ln_total;
                sums[3] += q / gamma - (shape + q) / total;
            }
            sums
        })
        .collect();
    let mut all = [0.0; 4];
    for sums in sums {
        for (all, sum) in all.iter_mut().zip(sums) {
            *all += sum;
        }
    }
    (all[0], [all[1], all[2], all[3]])
}

/// Correlation of frequency and mean value, `None` where one of them does not vary.
fn correlation(rows: &[(f64, f64)]) -> Option<f64> {
    let n = rows.len() as f64;
    let (x, m) = (
        rows.iter().map(|r| r.0).sum::<f64>() / n,
        rows.iter().map(|r| r.1).sum::<f64>() / n,
    );
    let (mut xx, mut mm, mut xm) = (0.0, 0.0, 0.0);
    for row in rows {
        let (dx, dm) = (row.0 - x, row.1 - m);
        xx += dx * dx;
        mm += dm * dm;
        xm += dx * dm;
    }
    let r = xm / (xx * mm).sqrt();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// A fitted spend model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendModel {
    version: u32,
    p: f64,
    q: f64,
    gamma: f64,
    left_out: u64,
    frequency_correlation: Option<f64>,
    estimate: Option<Estimate>,
}

impl SpendModel {
    /// A model with known parameters.
    ///
    /// # Errors
    /// `InvalidParameter` for a parameter that is not positive and finite.
    pub fn new(p: f64, q: f64, gamma: f64) -> Result<Self> {
        let model = SpendModel {
            version: VERSION,
            p,
            q,
            gamma,
            left_out: 0,
            frequency_correlation: None,
            estimate: None,
        };
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        if self.version == 0 || self.version > VERSION {
            return Err(Error::invalid_parameter(
                "spend_model.version",
                format_args!("1 to {VERSION}"),
                self.version,
            ));
        }
        for (name, value) in NAMES.iter().zip([self.p, self.q, self.gamma]) {
            if !(1e-30..=1e30).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("spend_model.{name}"),
                    "a number from 1e-30 to 1e30",
                    value,
                ));
            }
        }
        match &self.estimate {
            Some(estimate) if estimate.parameters.len() != 3 => Err(Error::length_mismatch(
                "spend_model.estimate.parameters",
                3,
                estimate.parameters.len(),
            )),
            Some(estimate) => estimate.check("spend_model"),
            None => Ok(()),
        }
    }

    /// The model as JSON, with every digit.
    ///
    /// # Panics
    /// Never: all its parts can be written.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("finite numbers under text keys")
    }

    /// A model from its JSON.
    ///
    /// # Errors
    /// `InvalidParameter` for text that is not a model, one written by a newer version, or one
    /// with numbers outside their domain.
    pub fn from_json(text: &str) -> Result<Self> {
        let model: SpendModel = crate::settings::from_json("spend_model", text)?;
        model.check()?;
        Ok(model)
    }

    /// The parameters p, q and γ.
    pub fn parameters(&self) -> [f64; 3] {
        [self.p, self.q, self.gamma]
    }

    /// How the parameters were found; `None` if they were given.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// Rows without repeat purchase or money, which the fit left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Correlation of frequency and mean value among the rows fitted, which the model assumes to
    /// be near 0; `None` where one of them does not vary or nothing was fitted.
    pub fn frequency_correlation(&self) -> Option<f64> {
        self.frequency_correlation
    }

    /// Expected value of a purchase of a customer about whom nothing is known, p γ/(q − 1).
    ///
    /// # Errors
    /// `Infeasible` if q is not above 1: the population has no mean.
    pub fn population_mean(&self) -> Result<f64> {
        if self.q <= 1.0 {
            return Err(Error::infeasible(
                "spend_model.q",
                "more than 1, for the population to have a mean",
                self.q,
            ));
        }
        Ok(self.p * self.gamma / (self.q - 1.0))
    }

    /// Expected value of each customer's next purchases (currency): the customer's own mean and
    /// the population's, weighted by how much is known.
    ///
    /// Without repeat purchase it is the population's mean; with repeat purchases of no money the
    /// formula's limit.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming column and row, as for [`GammaGamma::fit`];
    /// `Infeasible`, naming the row, where p x + q is not above 1 and the expectation is infinite.
    pub fn expected_spend(&self, frequency: &[f64], monetary_value: &[f64]) -> Result<Vec<f64>> {
        check(frequency, monetary_value)?;
        let spend: Vec<f64> = frequency
            .par_iter()
            .zip(monetary_value)
            .with_min_len(1 << 12)
            .map(|(x, m)| self.spend(*x, *m))
            .collect();
        match spend.iter().position(|s| !(s.is_finite() && *s >= 0.0)) {
            None => Ok(spend),
            Some(row) => Err(Error::infeasible(
                "spend_model.q",
                "p × frequency + q above 1, for the spend to have an expectation",
                self.p * frequency[row] + self.q,
            )
            .at_row(row)),
        }
    }

    /// The expectation, negative or infinite where there is none.
    fn spend(&self, x: f64, m: f64) -> f64 {
        let weight = self.p * x;
        let rest = weight + self.q - 1.0;
        // As a weighted mean, which cannot overflow where x is large.
        (self.p / rest) * self.gamma + (weight / rest) * m
    }

    /// Relative standard error of each customer's expected spend from that of the parameters
    /// (delta method); zeros if they were given.
    pub(super) fn relative_errors(&self, frequency: &[f64], monetary_value: &[f64]) -> Vec<f64> {
        let Some(estimate) = &self.estimate else {
            return vec![0.0; frequency.len()];
        };
        let theta = [self.p.ln(), self.q.ln(), self.gamma.ln()];
        let rows = frequency
            .par_iter()
            .zip(monetary_value)
            .with_min_len(1 << 10);
        rows.map(|(x, m)| {
            let mut slopes = [0.0; 3];
            for (i, slope) in slopes.iter_mut().enumerate() {
                let moved = |by: f64| {
                    let mut theta = theta;
                    theta[i] += by;
                    let [p, q, gamma] = theta.map(f64::exp);
                    let model = SpendModel {
                        version: VERSION,
                        p,
                        q,
                        gamma,
                        left_out: 0,
                        frequency_correlation: None,
                        estimate: None,
                    };
                    model.spend(*x, *m).ln()
                };
                *slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            }
            let mut variance = 0.0;
            for i in 0..3 {
                for j in 0..3 {
                    variance += slopes[i] * estimate.covariance[3 * i + j] * slopes[j];
                }
            }
            let error = variance.max(0.0).sqrt();
            if error.is_finite() { error } else { 0.0 }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_is_the_slope() {
        let counts = [1.0, 3.0, 80.0];
        let spenders: Vec<Spender> = [(0, 12.0), (0, 60.0), (1, 18.0), (2, 25.0)]
            .map(|(count, money): (u32, f64)| Spender {
                count,
                money,
                ln_money: money.ln(),
            })
            .to_vec();
        for values in [[6.25, 3.74, 15.44], [0.3, 0.7, 200.0]] {
            let (_, gradient) = log_likelihood(&counts, &spenders, values);
            for i in 0..3 {
                let at = |by: f64| {
                    let mut values = values;
                    values[i] *= 1.0 + by;
                    log_likelihood(&counts, &spenders, values).0
                };
                let slope = (at(1e-5) - at(-1e-5)) / (2e-5 * values[i]);
                assert!(
                    (slope - gradient[i]).abs() < 1e-7 * (1.0 + slope.abs()),
                    "{i}"
                );
            }
        }
    }

    #[test]
    fn limits_are_answers_or_errors() {
        let model = SpendModel::new(6.25, 3.74, 15.44).unwrap();
        assert!((model.population_mean().unwrap() - 35.2189).abs() < 1e-3);
        let spend = model
            .expected_spend(&[0.0, 2.0, 1e5, 3.0], &[0.0, 22.35, 40.0, 0.0])
            .unwrap();
        assert!((spend[0] / model.population_mean().unwrap() - 1.0).abs() < 1e-14);
        assert!((spend[2] - 40.0).abs() < 1e-2 && spend[3] > 0.0);
        let heavy = SpendModel::new(2.0, 0.9, 15.0).unwrap();
        assert!(heavy.population_mean().is_err());
        let error = heavy.expected_spend(&[1.0, 0.0], &[5.0, 0.0]).unwrap_err();
        assert_eq!(error.row(), Some(1));
        assert!(model.expected_spend(&[1.5], &[5.0]).is_err());
        assert!(model.expected_spend(&[1.0], &[-5.0]).is_err());
    }
}
