//! A fitted model of buying and what it answers about each customer.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use super::bg_nbd::{BgNbd, LARGEST_REGULARITY};
use super::buyers::Buyers;
use super::estimate::Estimate;
use super::fit::{Family, Lifetime};
use super::forecast::Posterior;
use super::likelihood::{P, Params};
use super::pareto_nbd::ParetoNbd;
use super::patterns::{Patterns, Row};

/// The version of stored models.
const VERSION: u32 = 1;

/// A question about a customer's future. Times are in units of the summary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// Probability that the customer has not left for good.
    ProbabilityAlive,
    /// Expected purchases within a horizon.
    ExpectedPurchases(f64),
    /// Probability of no purchase within a horizon.
    NoPurchase(f64),
    /// Expected purchases within a horizon (infinity allowed if the rate is positive), each
    /// weighted by e^(−rate × time until then).
    DiscountedPurchases {
        /// Rate of discount per unit of time, continuous.
        rate: f64,
        /// How far to look.
        horizon: f64,
    },
    /// The same with the purchases of each step counted at its end; the last step may be shorter.
    SteppedPurchases {
        /// Rate of discount per unit of time, continuous.
        rate: f64,
        /// Length of a step.
        step: f64,
        /// How far to look, at most 100,000 steps.
        horizon: f64,
    },
}

impl Answer {
    fn check(self) -> Result<()> {
        let (what, horizon, forever) = match self {
            Answer::ProbabilityAlive => return Ok(()),
            Answer::ExpectedPurchases(horizon) => ("lifetime.horizon", horizon, false),
            Answer::NoPurchase(horizon) => ("lifetime.horizon", horizon, false),
            Answer::DiscountedPurchases { rate, horizon }
            | Answer::SteppedPurchases { rate, horizon, .. } => {
                if !(0.0..=1e6).contains(&rate) {
                    return Err(Error::invalid_parameter(
                        "lifetime.discount_rate",
                        "0 to 1000000 per unit of time",
                        rate,
                    ));
                }
                let forever = matches!(self, Answer::DiscountedPurchases { .. }) && rate > 0.0;
                ("lifetime.horizon", horizon, forever)
            }
        };
        if let Answer::SteppedPurchases { step, .. } = self
            && !(step > 0.0 && horizon / step <= 1e5)
        {
            return Err(Error::invalid_parameter(
                "lifetime.step",
                "a step that goes up to 100000 times into the horizon",
                step,
            ));
        }
        // Beyond this the rounding of times exceeds the unit.
        let fits = (0.0..=1e15).contains(&horizon) || (forever && horizon == f64::INFINITY);
        if !fits {
            return Err(Error::invalid_parameter(
                what,
                "0 to 1e15 units, or infinity where purchases are discounted",
                horizon,
            ));
        }
        Ok(())
    }

    fn of(self, posterior: &Posterior) -> f64 {
        match self {
            Answer::ProbabilityAlive => posterior.alive(),
            Answer::ExpectedPurchases(t) => posterior.expected(t),
            Answer::NoPurchase(t) => posterior.none(t),
            Answer::DiscountedPurchases { rate, horizon } => posterior.discounted(rate, horizon),
            Answer::SteppedPurchases {
                rate,
                step,
                horizon,
            } => {
                // A step too many by rounding alone would count nothing at its end.
                let steps = (horizon / step - 1e-9).ceil().max(0.0) as u32;
                let (mut before, mut total) = (0.0, 0.0);
                for i in 1..=steps {
                    let end = step * f64::from(i);
                    let now = posterior.expected(end.min(horizon));
                    total += (now - before) * (-rate * end).exp();
                    before = now;
                }
                total
            }
        }
    }

    fn is_probability(self) -> bool {
        matches!(self, Answer::ProbabilityAlive | Answer::NoPurchase(_))
    }
}

/// A fitted model of buying.
///
/// Every question takes [`Buyers`] (or an [`RfmSummary`](crate::features::RfmSummary) through
/// `Buyers::from`) in the unit of time that the model was fitted in, and answers one number per row. A customer about whom nothing
/// is known yet is a row with frequency, recency and age 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct LifetimeModel {
    version: u32,
    family: Family,
    regularity: u32,
    purchase_covariates: Vec<String>,
    dropout_covariates: Vec<String>,
    unit_days: f64,
    /// Parameters, then coefficients.
    parameters: Vec<f64>,
    estimate: Option<Estimate>,
}

/// A stored model, whose numbers are not trusted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    family: Family,
    regularity: u32,
    purchase_covariates: Vec<String>,
    dropout_covariates: Vec<String>,
    unit_days: f64,
    parameters: Vec<f64>,
    estimate: Option<Estimate>,
}

impl TryFrom<Stored> for LifetimeModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let model = LifetimeModel {
            version: stored.version,
            family: stored.family,
            regularity: stored.regularity,
            purchase_covariates: stored.purchase_covariates,
            dropout_covariates: stored.dropout_covariates,
            unit_days: stored.unit_days,
            parameters: stored.parameters,
            estimate: stored.estimate,
        };
        model.check()?;
        Ok(model)
    }
}

impl LifetimeModel {
    pub(super) fn fitted(
        settings: &Lifetime,
        regularity: u32,
        unit_days: f64,
        estimate: Estimate,
    ) -> Self {
        LifetimeModel {
            version: VERSION,
            family: settings.family,
            regularity,
            purchase_covariates: settings.purchase_covariates.clone(),
            dropout_covariates: settings.dropout_covariates.clone(),
            unit_days,
            parameters: estimate.parameters.iter().map(|p| p.value).collect(),
            estimate: Some(estimate),
        }
    }

    /// A model with known parameters, in the order of [`Family::parameter_names`] and for times in
    /// units of `unit_days` days. It answers everything but intervals.
    ///
    /// # Errors
    /// `InvalidParameter` for parameters or a regularity outside their domain.
    ///
    /// # Example
    /// ```
    /// use churn_core::scoring::lifetime::{Buyers, Family, LifetimeModel};
    /// // The published fit of CDNOW, in weeks.
    /// let model = LifetimeModel::new(Family::BgNbd, [0.243, 4.414, 0.793, 2.426], 1, 7.0)?;
    /// let buyers = Buyers::new(vec![2.0], vec![30.43], vec![38.86])?.with_unit_days(7.0)?;
    /// let expected = model.expected_purchases(&buyers, 39.0)?;
    /// assert!((expected[0] - 1.226).abs() < 5e-4);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn new(
        family: Family,
        parameters: [f64; 4],
        regularity: u32,
        unit_days: f64,
    ) -> Result<Self> {
        let model = LifetimeModel {
            version: VERSION,
            family,
            regularity,
            purchase_covariates: Vec::new(),
            dropout_covariates: Vec::new(),
            unit_days,
            parameters: parameters.to_vec(),
            estimate: None,
        };
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        if self.version == 0 || self.version > VERSION {
            return Err(Error::invalid_parameter(
                "lifetime_model.version",
                format_args!("1 to {VERSION}"),
                self.version,
            ));
        }
        let largest = match self.family {
            Family::ParetoNbd => 1,
            _ => LARGEST_REGULARITY,
        };
        if !(1..=largest).contains(&self.regularity) {
            return Err(Error::invalid_parameter(
                "lifetime_model.regularity",
                format_args!("1 to {largest}"),
                self.regularity,
            ));
        }
        if !(self.unit_days.is_finite() && self.unit_days > 0.0) {
            return Err(Error::invalid_parameter(
                "lifetime_model.unit_days",
                "a positive number of days",
                self.unit_days,
            ));
        }
        let n = P + self.purchase_covariates.len() + self.dropout_covariates.len();
        if self.parameters.len() != n {
            return Err(Error::length_mismatch(
                "lifetime_model.parameters",
                n,
                self.parameters.len(),
            ));
        }
        let names = self.family.parameter_names();
        for (i, value) in self.parameters.iter().enumerate() {
            let fits = match i < P {
                true => (1e-30..=1e30).contains(value),
                false => value.is_finite(),
            };
            if !fits {
                let name = names.get(i).copied().unwrap_or("coefficient");
                return Err(Error::invalid_parameter(
                    format!("lifetime_model.{name}"),
                    "a positive number from 1e-30 to 1e30, or a finite coefficient",
                    value,
                ));
            }
        }
        match &self.estimate {
            Some(estimate) if estimate.parameters.len() != n => Err(Error::length_mismatch(
                "lifetime_model.estimate.parameters",
                n,
                estimate.parameters.len(),
            )),
            Some(estimate) => estimate.check("lifetime_model"),
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
        crate::settings::from_json("lifetime_model", text)
    }

    /// Which model.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Ticks per purchase, k; 1 without regularity.
    pub fn regularity(&self) -> u32 {
        self.regularity
    }

    /// Length in days of the unit of time.
    pub fn unit_days(&self) -> f64 {
        self.unit_days
    }

    /// The parameters, then the coefficients of purchase and dropout covariates.
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// How the parameters were found; `None` if they were given.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// Probability that each customer has not left for good.
    ///
    /// 1 for one-time buyers under BG/NBD, which lets nobody leave before a repeat purchase.
    ///
    /// # Errors
    /// `InvalidParameter` for buyers in another unit of time; `UnknownName` for a covariate of the
    /// model that they lack.
    pub fn probability_alive(&self, buyers: &Buyers<'_>) -> Result<Vec<f64>> {
        self.answer(buyers, Answer::ProbabilityAlive)
    }

    /// Expected purchases of each customer within `horizon` units, dead or alive.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn expected_purchases(&self, buyers: &Buyers<'_>, horizon: f64) -> Result<Vec<f64>> {
        self.answer(buyers, Answer::ExpectedPurchases(horizon))
    }

    /// Probability that each customer buys nothing within `horizon` units: the churn probability
    /// of the learned models.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn no_purchase_probability(&self, buyers: &Buyers<'_>, horizon: f64) -> Result<Vec<f64>> {
        self.answer(buyers, Answer::NoPurchase(horizon))
    }

    /// Answers a question for each customer. Equal histories are computed once.
    ///
    /// # Errors
    /// `InvalidParameter` for a horizon that is negative, not finite or above 1e15 units, and as
    /// [`probability_alive`](Self::probability_alive).
    pub fn answer(&self, buyers: &Buyers<'_>, answer: Answer) -> Result<Vec<f64>> {
        let mut columns = self.answer_each(buyers, &[answer])?;
        Ok(columns.pop().unwrap_or_default())
    }

    /// Answers several questions about the same customers, one column per question; cheaper than
    /// one by one, because equal histories are found once.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn answer_each(&self, buyers: &Buyers<'_>, answers: &[Answer]) -> Result<Vec<Vec<f64>>> {
        answers.iter().try_for_each(|answer| answer.check())?;
        let patterns = self.patterns(buyers)?;
        let theta = self.theta();
        let column = |answer: &Answer| {
            let values = self.by_pattern(&patterns, &theta, *answer);
            scatter(&patterns, &values)
        };
        Ok(answers.iter().map(column).collect())
    }

    /// Probabilities of 0, 1, …, `most` purchases within `horizon` units, one column per number of
    /// purchases. What is missing to 1 in a row is the probability of more.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); `InvalidParameter` for `most` above 10,000.
    pub fn purchase_distribution(
        &self,
        buyers: &Buyers<'_>,
        horizon: f64,
        most: u32,
    ) -> Result<Vec<Vec<f64>>> {
        Answer::NoPurchase(horizon).check()?;
        if most > 10_000 {
            return Err(Error::invalid_parameter(
                "lifetime.most",
                "0 to 10000 purchases",
                most,
            ));
        }
        let patterns = self.patterns(buyers)?;
        let theta = self.theta();
        let n = most as usize + 1;
        let mut values = vec![0.0; n * patterns.rows.len()];
        values
            .par_chunks_mut(n)
            .zip(&patterns.rows)
            .for_each(|(out, row)| {
                self.posterior(&patterns, &theta, row)
                    .distribution(horizon, out)
            });
        Ok((0..n)
            .map(|k| {
                let of = |place: &u32| values[*place as usize * n + k];
                patterns.places.iter().map(of).collect()
            })
            .collect())
    }

    /// An answer with an interval that covers the truth with probability `level` as far as the
    /// parameters are uncertain (delta method, on the scale of log-odds for probabilities and of
    /// logarithms for numbers): columns of the answer, its lower and its upper limit.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); `InvalidParameter` for a level outside 0 to 1, or a model
    /// whose parameters were given.
    pub fn interval(
        &self,
        buyers: &Buyers<'_>,
        answer: Answer,
        level: f64,
    ) -> Result<[Vec<f64>; 3]> {
        answer.check()?;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::invalid_parameter(
                "lifetime.level",
                "a probability between 0 and 1",
                level,
            ));
        }
        let Some(estimate) = &self.estimate else {
            return Err(Error::invalid_parameter(
                "lifetime.interval",
                "a fitted model",
                "one with given parameters",
            ));
        };
        let patterns = self.patterns(buyers)?;
        let theta = self.theta();
        let values = self.by_pattern(&patterns, &theta, answer);
        let p = theta.len();
        let link = |value: f64| match answer.is_probability() {
            true => (value / (1.0 - value)).ln(),
            false => value.ln(),
        };
        let back = |z: f64| match answer.is_probability() {
            true => 1.0 / (1.0 + (-z).exp()),
            false => z.exp(),
        };
        // Slopes of the linked answer by each parameter that was free.
        let free: Vec<usize> = (0..p)
            .filter(|i| estimate.covariance[i * p + i] > 0.0)
            .collect();
        let mut slopes = Vec::with_capacity(free.len());
        for i in &free {
            let step = 1e-4 * estimate.covariance[i * p + i].sqrt().clamp(1e-2, 1.0);
            let moved = |by: f64| {
                let mut theta = theta.clone();
                theta[*i] += by;
                self.by_pattern(&patterns, &theta, answer)
            };
            let (up, down) = (moved(step), moved(-step));
            let slope = |(up, down): (&f64, &f64)| (link(*up) - link(*down)) / (2.0 * step);
            slopes.push(up.iter().zip(&down).map(slope).collect::<Vec<f64>>());
        }
        let width = normal_quantile(0.5 + 0.5 * level);
        let limits: Vec<(f64, f64)> = (0..values.len())
            .map(|row| {
                let mut variance = 0.0;
                for (k, i) in free.iter().enumerate() {
                    for (l, j) in free.iter().enumerate() {
                        variance +=
                            slopes[k][row] * estimate.covariance[i * p + j] * slopes[l][row];
                    }
                }
                let (value, spread) = (values[row], width * variance.max(0.0).sqrt());
                let z = link(value);
                // Where the link is infinite the answer is a limit that no parameter moves.
                if z.is_finite() && spread.is_finite() {
                    (back(z - spread).min(value), back(z + spread).max(value))
                } else {
                    (value, value)
                }
            })
            .collect();
        let (low, high): (Vec<f64>, Vec<f64>) = limits.into_iter().unzip();
        Ok([
            scatter(&patterns, &values),
            scatter(&patterns, &low),
            scatter(&patterns, &high),
        ])
    }

    /// Logarithms of the parameters, then coefficients.
    fn theta(&self) -> Vec<f64> {
        let logarithm = |(i, x): (usize, &f64)| if i < P { x.ln() } else { *x };
        self.parameters.iter().enumerate().map(logarithm).collect()
    }

    pub(super) fn check_unit(&self, unit_days: f64) -> Result<()> {
        // Units computed in two ways may differ in the last digit.
        if (unit_days - self.unit_days).abs() > 1e-9 * self.unit_days {
            return Err(Error::invalid_parameter(
                "summary.unit_days",
                format_args!("the unit of the model, {} days", self.unit_days),
                unit_days,
            ));
        }
        Ok(())
    }

    fn patterns(&self, buyers: &Buyers<'_>) -> Result<Patterns> {
        self.check_unit(buyers.unit_days())?;
        let names = self
            .purchase_covariates
            .iter()
            .chain(&self.dropout_covariates);
        let columns: Vec<&[f64]> = names
            .map(|name| buyers.covariate(name))
            .collect::<Result<_>>()?;
        Ok(Patterns::new(buyers, &columns, true))
    }

    fn posterior(&self, patterns: &Patterns, theta: &[f64], row: &Row) -> Posterior {
        let effects = self.family.effects(self.purchase_covariates.len());
        let (group, width) = (patterns.group(row), patterns.width);
        let covariates = &patterns.covariates[group * width..(group + 1) * width];
        let params: Params = effects.params(theta, covariates);
        let (x, recency, age) = patterns.history(row);
        match self.family {
            Family::ParetoNbd => {
                Posterior::ParetoNbd(ParetoNbd.posterior(&params, x, recency, age))
            }
            family => {
                let model = BgNbd {
                    regularity: self.regularity,
                    dropout_at_zero: family == Family::MbgNbd,
                };
                Posterior::BgNbd(model.posterior(&params, x, recency, age))
            }
        }
    }

    /// The answer for each different history.
    fn by_pattern(&self, patterns: &Patterns, theta: &[f64], answer: Answer) -> Vec<f64> {
        patterns
            .rows
            .par_iter()
            .with_min_len(64)
            .map(|row| answer.of(&self.posterior(patterns, theta, row)))
            .collect()
    }
}

/// The value of each customer's history.
fn scatter(patterns: &Patterns, values: &[f64]) -> Vec<f64> {
    let places = patterns.places.par_iter().with_min_len(1 << 14);
    places.map(|place| values[*place as usize]).collect()
}

/// The normal quantile, from that of a chi-square variable of one degree of freedom.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let central = (2.0 * p - 1.0).abs();
    let size = (2.0 * crate::math::special::gamma_quantile(central, 0.5)).sqrt();
    if p < 0.5 { -size } else { size }
}
