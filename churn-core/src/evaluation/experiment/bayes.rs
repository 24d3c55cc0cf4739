//! The Bayesian reading: how probable is it that the arm is better, and what if we are wrong?

use serde::{Deserialize, Serialize};

use super::frequentist::{Estimate, check_confidence};
use crate::error::{Error, Result};
use crate::math::distributions::{beta_cdf, beta_pdf, normal_cdf, normal_pdf, normal_quantile};

/// What is believed about the effect after the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// Mean of the effect treated − control.
    pub mean: f64,
    /// Lower end of the central interval.
    pub low: f64,
    /// Upper end of the central interval.
    pub high: f64,
    /// Probability that the treated arm is better.
    pub probability_better: f64,
    /// Expected loss of choosing the treated arm: what is lost on average because it may be worse.
    pub loss_if_treated: f64,
    /// Expected loss of staying with the control.
    pub loss_if_control: f64,
}

/// Panels of the integrals; the integrands are smooth, so that this is exact to about 1e-9.
const PANELS: usize = 4_000;

/// Two shares with prior Beta(`prior.0`, `prior.1`) on each; (1, 1) says nothing beforehand.
///
/// # Errors
/// `InvalidParameter` for a prior that is not positive, more events than units or `confidence`
/// outside (0, 1).
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::beta_binomial;
/// let posterior = beta_binomial((85, 573), (126, 554), (1.0, 1.0), 0.95)?;
/// assert!(posterior.probability_better > 0.999);
/// assert!(posterior.loss_if_treated < 1e-4);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn beta_binomial(
    control: (u64, u64),
    treated: (u64, u64),
    prior: (f64, f64),
    confidence: f64,
) -> Result<Posterior> {
    check_confidence(confidence)?;
    for value in [prior.0, prior.1] {
        if !(value.is_finite() && value > 0.0) {
            return Err(Error::invalid_parameter(
                "experiment.prior",
                "two positive numbers",
                value,
            ));
        }
    }
    for (name, (events, units)) in [("control", control), ("treated", treated)] {
        if events > units {
            return Err(Error::invalid_parameter(
                format!("experiment.{name}"),
                format_args!("at most {units} events"),
                events,
            ));
        }
    }
    let shape =
        |(events, units): (u64, u64)| (prior.0 + events as f64, prior.1 + (units - events) as f64);
    let (c, t) = (shape(control), shape(treated));
    let mean = |(a, b): (f64, f64)| a / (a + b);
    let cdf = |x: f64, (a, b): (f64, f64)| beta_cdf(x, a, b);
    let span = |low: (f64, f64), high: (f64, f64)| (low.0.min(high.0), low.1.max(high.1));
    let range = span(support(c), support(t));
    // E[(C − T)⁺] = ∫ P(T ≤ x) P(C > x) dx.
    let loss_if_treated = integrate(range, |x| cdf(x, t) * (1.0 - cdf(x, c)));
    let loss_if_control = integrate(range, |x| cdf(x, c) * (1.0 - cdf(x, t)));
    // P(T − C ≤ d), with C running over its own support.
    let below = |d: f64| integrate_density(c, |x| cdf(x + d, t));
    let quantile = |p: f64| {
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if below(middle) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    };
    let tail = (1.0 - confidence) / 2.0;
    Ok(Posterior {
        mean: mean(t) - mean(c),
        low: quantile(tail),
        high: quantile(1.0 - tail),
        probability_better: (1.0 - below(0.0)).clamp(0.0, 1.0),
        loss_if_treated,
        loss_if_control,
    })
}

/// Where a beta variable has practically all of its mass.
fn support((a, b): (f64, f64)) -> (f64, f64) {
    let mean = a / (a + b);
    let sd = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
    ((mean - 12.0 * sd).max(0.0), (mean + 12.0 * sd).min(1.0))
}

/// Simpson's rule.
fn integrate((low, high): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    let width = (high - low) / PANELS as f64;
    let inner = (1..PANELS).map(|i| f(low + width * i as f64) * if i % 2 == 1 { 4.0 } else { 2.0 });
    (f(low) + f(high) + inner.sum::<f64>()) * width / 3.0
}

/// Mean of `f` under a beta distribution: midpoints, because the density may be infinite at the
/// ends; normalised by its own sum.
fn integrate_density(shape: (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    let (low, high) = support(shape);
    let panels = 1_000;
    let width = (high - low) / panels as f64;
    let (mut sum, mut mass) = (0.0, 0.0);
    for i in 0..panels {
        let x = low + width * (i as f64 + 0.5);
        let density = beta_pdf(x, shape.0, shape.1);
        sum += density * f(x);
        mass += density;
    }
    sum / mass
}

/// An estimate with a normal prior (mean, standard deviation) on the effect; an infinite standard
/// deviation says nothing beforehand.
///
/// # Errors
/// `InvalidParameter` for a prior deviation that is not positive, a prior mean that is not finite
/// or `confidence` outside (0, 1); `NotEnoughData` for an estimate without any variation.
pub fn normal_posterior(
    estimate: &Estimate,
    prior: (f64, f64),
    confidence: f64,
) -> Result<Posterior> {
    check_confidence(confidence)?;
    if !prior.0.is_finite() || prior.1.is_nan() || prior.1 <= 0.0 {
        return Err(Error::invalid_parameter(
            "experiment.prior",
            "a finite mean and a positive deviation",
            format_args!("({}, {})", prior.0, prior.1),
        ));
    }
    if estimate.standard_error.is_nan() || estimate.standard_error <= 0.0 {
        return Err(Error::not_enough_data(
            "experiment.outcome",
            "units that differ",
            "none",
        ));
    }
    let precision = (
        1.0 / (prior.1 * prior.1),
        1.0 / (estimate.standard_error * estimate.standard_error),
    );
    let total = precision.0 + precision.1;
    let mean = (prior.0 * precision.0 + estimate.value * precision.1) / total;
    let sd = total.sqrt().recip();
    let half = normal_quantile(f64::midpoint(1.0, confidence)) * sd;
    let z = mean / sd;
    Ok(Posterior {
        mean,
        low: mean - half,
        high: mean + half,
        probability_better: normal_cdf(z),
        loss_if_treated: sd * normal_pdf(z) - mean * normal_cdf(-z),
        loss_if_control: sd * normal_pdf(z) + mean * normal_cdf(z),
    })
}
