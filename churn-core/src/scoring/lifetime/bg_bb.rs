//! BG/BB: buying when opportunities come in rounds, such as yearly appeals or weekly markets.
//!
//! At each of n opportunities a living customer buys with probability p and leaves before the next
//! one with probability θ; p varies between customers as a beta distribution (α, β), θ as one of
//! (γ, δ). For purchases that may fall at any time use [`Lifetime`](super::Lifetime).
//!
//! With x purchases, the last at opportunity t_x of n, the likelihood is
//! B(α+x, β+n−x)/B(α, β) · B(γ, δ+n)/B(γ, δ) + Σ_{i=0}^{n−t_x−1} B(α+x, β+t_x−x+i)/B(α, β) ·
//! B(γ+1, δ+t_x+i)/B(γ, δ); terms of the sum follow from one another by ratios, in logarithms.
//!
//! Source: Fader, Hardie & Shang (2010), Marketing Science 29(6).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::optimize::Search;
use crate::math::rising::{digamma_rising, ln_rising};
use crate::progress::Progress;

use super::buyers::Buyers;
use super::climb::Fitting;
use super::estimate::Estimate;
use super::likelihood::{Effects, Kernel, P, Params, softplus};
use super::patterns::Patterns;

const VERSION: u32 = 1;
const BOX: f64 = 8.0;
const NAMES: [&str; P] = ["alpha", "beta", "gamma", "delta"];
/// More opportunities than this are not rounds any more.
const MOST_ROUNDS: f64 = 100_000.0;

/// Settings of BG/BB.
///
/// Rows of [`Buyers`]: `frequency` = purchases at the opportunities after the first purchase,
/// `recency` = number of the opportunity of the last one (0 = none), `age` = opportunities so far.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::lifetime::{BgBb, Buyers};
/// let x = vec![0.0, 1.0, 1.0, 2.0, 6.0, 4.0, 0.0, 3.0];
/// let last = vec![0.0, 1.0, 6.0, 3.0, 6.0, 5.0, 0.0, 6.0];
/// let weights = vec![50.0, 12.0, 3.0, 7.0, 11.0, 4.0, 20.0, 5.0];
/// let buyers = Buyers::new(x, last, vec![6.0; 8])?.with_weights(weights)?;
/// let model = BgBb::default().fit(&buyers, &Progress::none())?;
/// let alive = model.probability_alive(&buyers, 0)?;
/// assert!(alive[4] > alive[1] && alive[4] <= 1.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BgBb {
    /// L2 penalty on the parameters, in the form of [`Lifetime::penalty`](super::Lifetime).
    /// Default 0.
    pub penalty: f64,
    /// Evaluations of likelihood and gradient that one start may spend. Default 500.
    pub max_evaluations: u32,
}

impl Default for BgBb {
    fn default() -> Self {
        BgBb {
            penalty: 0.0,
            max_evaluations: 500,
        }
    }
}

impl BgBb {
    /// Fits by maximum likelihood.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain; `InvalidValue`, naming the row, for
    /// numbers that are not whole, more purchases than opportunities up to the last one, or more
    /// than 100,000 opportunities; `NotEnoughData` without any purchase; `NotConverged`;
    /// `Cancelled`.
    pub fn fit(&self, buyers: &Buyers<'_>, progress: &Progress<'_>) -> Result<BgBbModel> {
        if !(0.0..=1e6).contains(&self.penalty) {
            return Err(Error::invalid_parameter(
                "bg_bb.penalty",
                "0 to 1000000",
                self.penalty,
            ));
        }
        if !(10..=1_000_000).contains(&self.max_evaluations) {
            return Err(Error::invalid_parameter(
                "bg_bb.max_evaluations",
                "10 to 1000000",
                self.max_evaluations,
            ));
        }
        check_rounds(buyers)?;
        let patterns = Patterns::new(buyers, &[], false);
        let purchases: f64 = patterns
            .rows
            .iter()
            .map(|row| row.weight * patterns.history(row).0)
            .sum();
        if purchases <= 0.0 {
            return Err(Error::not_enough_data(
                "summary.frequency",
                "at least one purchase after the first",
                0,
            ));
        }
        let fitting = Fitting {
            patterns: &patterns,
            sample: None,
            effects: Effects {
                purchase: 0,
                dropout: [0.0; P],
            },
            penalties: (self.penalty, 0.0),
            search: Search {
                what: "lifetime.bg_bb",
                low: vec![-BOX; P],
                high: vec![BOX; P],
                max_evaluations: self.max_evaluations as usize,
            },
            progress,
        };
        let starts: Vec<Vec<f64>> = [
            [1.0, 1.0, 0.5, 3.0],
            [0.5, 2.0, 1.0, 10.0],
            [3.0, 3.0, 0.3, 1.0],
        ]
        .iter()
        .map(|start: &[f64; P]| start.iter().map(|x| x.ln()).collect())
        .collect();
        let (optimum, value) = fitting.run(&Rounds, &starts)?;
        let estimate = Estimate::new(
            "bg_bb",
            NAMES.map(str::to_owned).to_vec(),
            P,
            &optimum,
            value,
            patterns.customers(),
            patterns.rows.len(),
        )?;
        let mut parameters = [0.0; P];
        for (own, fitted) in parameters.iter_mut().zip(&estimate.parameters) {
            *own = fitted.value;
        }
        Ok(BgBbModel {
            version: VERSION,
            parameters,
            estimate: Some(estimate),
        })
    }
}

fn check_rounds(buyers: &Buyers<'_>) -> Result<()> {
    let columns = buyers
        .frequency()
        .iter()
        .zip(buyers.recency())
        .zip(buyers.age());
    for (row, ((x, last), rounds)) in columns.enumerate() {
        if last.fract() != 0.0 || *last < *x {
            return Err(Error::invalid_value(
                "summary.recency",
                row,
                format_args!("a whole number of opportunities, at least the {x} purchases"),
                last,
            ));
        }
        if rounds.fract() != 0.0 || *rounds > MOST_ROUNDS {
            return Err(Error::invalid_value(
                "summary.age",
                row,
                format_args!("a whole number of opportunities up to {MOST_ROUNDS}"),
                rounds,
            ));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Rounds;

/// ln Γ(α+x)/Γ(α) and its derivative by ln α.
#[derive(Debug, Clone, Copy)]
struct Count {
    value: f64,
    slope: f64,
}

/// Of t: ln of the rising factorials of α+β, δ and γ+δ, and their derivatives.
#[derive(Debug, Clone, Copy)]
struct Time {
    both: f64,
    both_slope: f64,
    stay: f64,
    stay_slope: f64,
    all: f64,
    all_slope: f64,
}

impl Rounds {
    /// Logarithm of the alive part of the likelihood, of the first term of the rest relative to
    /// it, and the rest relative to its first term with the sums that derivatives need.
    fn gone(p: &Params, x: f64, last: f64, rounds: f64) -> (f64, [f64; P]) {
        let [alpha, beta, gamma, delta] = p.value;
        let (mut term, mut sum, mut slopes) = (1.0, 0.0, [0.0; P]);
        // Derivatives of the logarithm of the term.
        let mut slope = [0.0; P];
        let mut i = 0.0;
        while i < rounds - last {
            sum += term;
            for (slopes, slope) in slopes.iter_mut().zip(slope) {
                *slopes += term * slope;
            }
            let (stay, both) = (beta + last - x + i, alpha + beta + last + i);
            let (on, all) = (delta + last + i, gamma + delta + 1.0 + last + i);
            term *= stay / both * (on / all);
            slope[0] -= alpha / both;
            slope[1] += beta / stay - beta / both;
            slope[2] -= gamma / all;
            slope[3] += delta / on - delta / all;
            if term < 1e-18 * sum {
                break;
            }
            i += 1.0;
        }
        if sum > 0.0 {
            slopes.iter_mut().for_each(|slope| *slope /= sum);
        }
        (sum, slopes)
    }
}

impl Kernel for Rounds {
    type Count = Count;
    type Time = Time;
    const DROPOUT: [f64; P] = [0.0; P];

    fn count(&self, p: &Params, x: f64) -> Count {
        Count {
            value: ln_rising(p.value[0], x),
            slope: p.value[0] * digamma_rising(p.value[0], x),
        }
    }

    fn time(&self, p: &Params, t: f64) -> Time {
        let [alpha, beta, gamma, delta] = p.value;
        Time {
            both: ln_rising(alpha + beta, t),
            both_slope: digamma_rising(alpha + beta, t),
            stay: ln_rising(delta, t),
            stay_slope: digamma_rising(delta, t),
            all: ln_rising(gamma + delta, t),
            all_slope: digamma_rising(gamma + delta, t),
        }
    }

    fn row(
        &self,
        p: &Params,
        (x, count): (f64, &Count),
        (last, then): (f64, &Time),
        (rounds, now): (f64, &Time),
    ) -> (f64, [f64; P]) {
        let [alpha, beta, gamma, delta] = p.value;
        let alive = count.value + ln_rising(beta, rounds - x) - now.both + now.stay - now.all;
        let alive_slope = [
            count.slope - alpha * now.both_slope,
            beta * (digamma_rising(beta, rounds - x) - now.both_slope),
            -gamma * now.all_slope,
            delta * (now.stay_slope - now.all_slope),
        ];
        let (sum, sum_slope) = Rounds::gone(p, x, last, rounds);
        if sum == 0.0 {
            return (alive, alive_slope);
        }
        // γ B(…) of leaving right after the last purchase; Γ(γ+δ+t_x+1) has one factor more.
        let whole = gamma + delta + last;
        let first = count.value + ln_rising(beta, last - x) - then.both + p.ln[2] + then.stay
            - then.all
            - whole.ln();
        let first_slope = [
            count.slope - alpha * then.both_slope,
            beta * (digamma_rising(beta, last - x) - then.both_slope),
            1.0 - gamma * (then.all_slope + 1.0 / whole),
            delta * (then.stay_slope - then.all_slope - 1.0 / whole),
        ];
        let (rest, left) = softplus(first + sum.ln() - alive);
        let mut slope = [0.0; P];
        for j in 0..P {
            let gone = first_slope[j] + sum_slope[j];
            slope[j] = alive_slope[j] + left * (gone - alive_slope[j]);
        }
        (alive + rest, slope)
    }
}

/// A fitted BG/BB model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgBbModel {
    version: u32,
    parameters: [f64; P],
    estimate: Option<Estimate>,
}

impl BgBbModel {
    /// A model with known parameters α, β, γ, δ.
    ///
    /// # Errors
    /// `InvalidParameter` for a parameter that is not positive and finite.
    pub fn new(parameters: [f64; 4]) -> Result<Self> {
        let model = BgBbModel {
            version: VERSION,
            parameters,
            estimate: None,
        };
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        if self.version == 0 || self.version > VERSION {
            return Err(Error::invalid_parameter(
                "bg_bb_model.version",
                format_args!("1 to {VERSION}"),
                self.version,
            ));
        }
        for (name, value) in NAMES.iter().zip(self.parameters) {
            if !(1e-30..=1e30).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("bg_bb_model.{name}"),
                    "a number from 1e-30 to 1e30",
                    value,
                ));
            }
        }
        match &self.estimate {
            Some(estimate) if estimate.parameters.len() != P => Err(Error::length_mismatch(
                "bg_bb_model.estimate.parameters",
                P,
                estimate.parameters.len(),
            )),
            Some(estimate) => estimate.check("bg_bb_model"),
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
        let model: BgBbModel = crate::settings::from_json("bg_bb_model", text)?;
        model.check()?;
        Ok(model)
    }

    /// The parameters α, β, γ, δ.
    pub fn parameters(&self) -> [f64; 4] {
        self.parameters
    }

    /// How the parameters were found; `None` if they were given.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// Probability that each customer will still be there `ahead` opportunities from now.
    ///
    /// # Errors
    /// `InvalidValue` as for [`BgBb::fit`]; `InvalidParameter` for `ahead` above 1,000,000.
    pub fn probability_alive(&self, buyers: &Buyers<'_>, ahead: u32) -> Result<Vec<f64>> {
        check_ahead(ahead)?;
        let ahead = f64::from(ahead);
        self.each(buyers, |posterior| posterior.alive * posterior.stays(ahead))
    }

    /// Expected purchases of each customer at the next `ahead` opportunities.
    ///
    /// # Errors
    /// As [`probability_alive`](Self::probability_alive).
    pub fn expected_purchases(&self, buyers: &Buyers<'_>, ahead: u32) -> Result<Vec<f64>> {
        check_ahead(ahead)?;
        self.each(buyers, |posterior| posterior.expected(ahead))
    }

    /// Probability that each customer buys at none of the next `ahead` opportunities.
    ///
    /// # Errors
    /// As [`probability_alive`](Self::probability_alive).
    pub fn no_purchase_probability(&self, buyers: &Buyers<'_>, ahead: u32) -> Result<Vec<f64>> {
        check_ahead(ahead)?;
        self.each(buyers, |posterior| posterior.none(ahead))
    }

    fn each(
        &self,
        buyers: &Buyers<'_>,
        answer: impl Fn(&Posterior) -> f64 + Sync,
    ) -> Result<Vec<f64>> {
        check_rounds(buyers)?;
        let patterns = Patterns::new(buyers, &[], true);
        let params = Params::from_ln(self.parameters.map(f64::ln));
        let [alpha, beta, gamma, delta] = self.parameters;
        let values: Vec<f64> = patterns
            .rows
            .par_iter()
            .map(|row| {
                let (x, last, rounds) = patterns.history(row);
                let (count, then, now) = (
                    Rounds.count(&params, x),
                    Rounds.time(&params, last),
                    Rounds.time(&params, rounds),
                );
                let (value, _) = Rounds.row(&params, (x, &count), (last, &then), (rounds, &now));
                let alive =
                    count.value + ln_rising(beta, rounds - x) - now.both + now.stay - now.all;
                answer(&Posterior {
                    alive: (alive - value).exp().min(1.0),
                    buys: (alpha + x, beta + rounds - x),
                    leaves: (gamma, delta + rounds),
                })
            })
            .collect();
        Ok(patterns
            .places
            .iter()
            .map(|place| values[*place as usize])
            .collect())
    }
}

fn check_ahead(ahead: u32) -> Result<()> {
    if ahead > 1_000_000 {
        return Err(Error::invalid_parameter(
            "bg_bb.ahead",
            "0 to 1000000 opportunities",
            ahead,
        ));
    }
    Ok(())
}

/// A customer's future: p and θ of the living are independent beta variables.
struct Posterior {
    alive: f64,
    buys: (f64, f64),
    leaves: (f64, f64),
}

impl Posterior {
    /// Probability of a living customer to stay for `ahead` opportunities more.
    fn stays(&self, ahead: f64) -> f64 {
        let (gamma, delta) = self.leaves;
        (ln_rising(delta, ahead) - ln_rising(gamma + delta, ahead)).exp()
    }

    fn expected(&self, ahead: u32) -> f64 {
        let (gamma, delta) = self.leaves;
        let (mut stays, mut sum) = (1.0, 0.0);
        for i in 0..ahead {
            stays *= (delta + f64::from(i)) / (gamma + delta + f64::from(i));
            sum += stays;
        }
        let (a, b) = self.buys;
        self.alive * a / (a + b) * sum
    }

    fn none(&self, ahead: u32) -> f64 {
        let ((a, b), (gamma, delta)) = (self.buys, self.leaves);
        // Stays and does not buy at each of i opportunities, then leaves or the rounds end.
        let (mut quiet, mut stays, mut sum) = (1.0, 1.0, 0.0);
        for i in 0..ahead {
            let i = f64::from(i);
            sum += quiet * stays * gamma / (gamma + delta + i);
            stays *= (delta + i) / (gamma + delta + i);
            quiet *= (b + i) / (a + b + i);
        }
        (1.0 - self.alive * (1.0 - sum - quiet * stays)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(ln: [f64; P], x: f64, last: f64, rounds: f64) -> (f64, [f64; P]) {
        let p = Params::from_ln(ln);
        Rounds.row(
            &p,
            (x, &Rounds.count(&p, x)),
            (last, &Rounds.time(&p, last)),
            (rounds, &Rounds.time(&p, rounds)),
        )
    }

    #[test]
    fn gradients_are_slopes() {
        for values in [[1.204, 0.75, 0.657, 2.783], [0.1, 20.0, 5.0, 0.3]] {
            let ln = values.map(f64::ln);
            for (x, last, rounds) in [
                (0.0, 0.0, 0.0),
                (0.0, 0.0, 6.0),
                (2.0, 3.0, 6.0),
                (6.0, 6.0, 6.0),
                (40.0, 200.0, 500.0),
            ] {
                let (_, gradient) = one(ln, x, last, rounds);
                for j in 0..P {
                    let at = |by: f64| {
                        let mut ln = ln;
                        ln[j] += by;
                        one(ln, x, last, rounds).0
                    };
                    let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!(
                        (slope - gradient[j]).abs() < 1e-7 * (1.0 + x),
                        "({x}, {last}, {rounds}) {j}: {slope} {}",
                        gradient[j]
                    );
                }
            }
        }
    }

    #[test]
    fn probabilities_of_all_histories_add_up() {
        let ln = [1.204_f64, 0.75, 0.657, 2.783].map(f64::ln);
        let mut total = 0.0;
        for x in 0..=6_u32 {
            for last in x..=6 {
                if (x == 0) != (last == 0) {
                    continue;
                }
                // Ways to place the purchases before the last one.
                let ways = |n: u32, k: u32| {
                    (0..k).fold(1.0, |w, i| w * f64::from(n - i) / f64::from(i + 1))
                };
                let ways = if x == 0 { 1.0 } else { ways(last - 1, x - 1) };
                total += ways * one(ln, f64::from(x), f64::from(last), 6.0).0.exp();
            }
        }
        assert!((total - 1.0).abs() < 1e-12, "{total}");
    }

    #[test]
    fn futures_agree() {
        let model = BgBbModel::new([1.204, 0.75, 0.657, 2.783]).unwrap();
        let buyers = Buyers::new(vec![3.0, 0.0], vec![5.0, 0.0], vec![6.0, 6.0]).unwrap();
        let alive = model.probability_alive(&buyers, 0).unwrap();
        let expected = model.expected_purchases(&buyers, 1).unwrap();
        let none = model.no_purchase_probability(&buyers, 1).unwrap();
        for row in 0..2 {
            assert!((expected[row] + none[row] - 1.0).abs() < 1e-14);
            assert!(expected[row] < alive[row]);
        }
        assert_eq!(
            model.no_purchase_probability(&buyers, 0).unwrap(),
            [1.0, 1.0]
        );
        let far = model.expected_purchases(&buyers, 1_000_000).unwrap();
        assert!(far.iter().all(|e| e.is_finite()));
        assert!(model.expected_purchases(&buyers, 1_000_001).is_err());
        let halves = Buyers::new(vec![1.0], vec![1.5], vec![6.0]).unwrap();
        assert_eq!(
            model.probability_alive(&halves, 0).unwrap_err().row(),
            Some(0)
        );
    }
}
