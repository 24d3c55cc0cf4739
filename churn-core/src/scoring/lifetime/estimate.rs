//! What a fit found, how sure it is of it, and how two fits compare.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;
use crate::math::optimize::Optimum;
use crate::math::special::gamma_q;

/// One parameter of a fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name as in the papers, e.g. `"alpha"`, or the name of a coefficient, e.g.
    /// `"purchase.channel"`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its standard error from the curvature of the log-likelihood; `None` where the parameter
    /// stands on a bound or was given, not fitted.
    pub standard_error: Option<f64>,
    /// Set if the likelihood rises, or at least does not fall, up to the edge of what is searched:
    /// the data ask for a limit of the model, such as no dropout at all.
    pub on_bound: Option<Bound>,
}

/// The side of the search on which a parameter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// As small as is searched.
    Low,
    /// As large as is searched.
    High,
}

/// Result of a maximum-likelihood fit with its certificate of convergence.
///
/// The covariance is that of the logarithms of the parameters (coefficients of covariates as they
/// are), from the inverse Hessian of what was maximised; rows and columns of parameters on a bound
/// are zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Name of the likelihood: fits of different data or densities do not compare.
    pub likelihood: String,
    /// The parameters, then coefficients of covariates.
    pub parameters: Vec<Parameter>,
    /// Log-likelihood at the maximum, without penalty.
    pub log_likelihood: f64,
    /// Customers fitted (sum of weights).
    pub customers: f64,
    /// Different histories among them.
    pub patterns: u64,
    /// Evaluations of log-likelihood and gradient.
    pub evaluations: u64,
    /// Largest derivative by the logarithm of a free parameter that is left.
    pub gradient: f64,
    /// Length of the Newton step that is left, in standard errors.
    pub distance: f64,
    /// Condition number of the Hessian of the free parameters.
    pub condition: f64,
    /// Covariance, row by row.
    pub covariance: Vec<f64>,
}

impl Estimate {
    /// Puts a found minimum of the negative log-likelihood into words; `names` of `logarithms`
    /// parameters followed by coefficients.
    pub(super) fn new(
        likelihood: &str,
        names: Vec<String>,
        logarithms: usize,
        optimum: &Optimum,
        log_likelihood: f64,
        customers: f64,
        patterns: usize,
    ) -> Result<Self> {
        let p = names.len();
        let free: Vec<usize> = (0..p).filter(|i| optimum.bound[*i] == 0).collect();
        let cells = free.iter().flat_map(|i| free.iter().map(move |j| (i, j)));
        let minor: Vec<f64> = cells.map(|(i, j)| optimum.hessian[i * p + j]).collect();
        let mut covariance = vec![0.0; p * p];
        if !free.is_empty() {
            let factor = Cholesky::new(&minor, free.len()).ok_or_else(|| {
                Error::not_converged(
                    likelihood,
                    "a maximum with positive curvature in every direction",
                    format_args!(
                        "log-likelihood {log_likelihood:.6}, distance {:.3e} standard errors, \
                         condition {:.3e} at {:?}",
                        optimum.distance, optimum.condition, optimum.theta
                    ),
                )
            })?;
            let inverse = factor.inverse();
            for (k, i) in free.iter().enumerate() {
                for (l, j) in free.iter().enumerate() {
                    covariance[i * p + j] = inverse[k * free.len() + l];
                }
            }
        }
        let parameters = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let (theta, spread) = (optimum.theta[i], covariance[i * p + i].sqrt());
                let value = if i < logarithms { theta.exp() } else { theta };
                let error = if i < logarithms {
                    value * spread
                } else {
                    spread
                };
                Parameter {
                    name,
                    value,
                    standard_error: (optimum.bound[i] == 0).then_some(error),
                    on_bound: match optimum.bound[i] {
                        0 => None,
                        -1 => Some(Bound::Low),
                        _ => Some(Bound::High),
                    },
                }
            })
            .collect();
        let gradient = free
            .iter()
            .fold(0.0, |m: f64, i| m.max(optimum.gradient[*i].abs()));
        Ok(Estimate {
            likelihood: likelihood.to_owned(),
            parameters,
            log_likelihood,
            customers,
            patterns: patterns as u64,
            evaluations: optimum.evaluations as u64,
            gradient,
            distance: optimum.distance.min(1e300),
            condition: optimum.condition.min(1e300),
            covariance,
        })
    }

    /// A parameter's value by name.
    ///
    /// # Errors
    /// `UnknownName` if the model has no such parameter.
    pub fn value(&self, name: &str) -> Result<f64> {
        match self.parameters.iter().find(|p| p.name == name) {
            Some(parameter) => Ok(parameter.value),
            None => Err(Error::unknown_name(
                "estimate.parameters",
                name,
                self.parameters.iter().map(|p| &p.name),
            )),
        }
    }

    /// Number of parameters that were free to move.
    pub fn free_parameters(&self) -> usize {
        self.parameters
            .iter()
            .filter(|p| p.on_bound.is_none())
            .count()
    }

    /// Akaike's information criterion, 2 k − 2 ln L, with k = all parameters of the model.
    pub fn aic(&self) -> f64 {
        2.0 * self.parameters.len() as f64 - 2.0 * self.log_likelihood
    }

    /// Bayesian information criterion, k ln n − 2 ln L, with n = customers.
    pub fn bic(&self) -> f64 {
        self.parameters.len() as f64 * self.customers.ln() - 2.0 * self.log_likelihood
    }

    /// Confirms an estimate that was read from a file.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        let p = self.parameters.len();
        let wrong = |field: &str, expected: &str, got: &dyn std::fmt::Display| {
            let place = format!("{what}.estimate.{field}");
            Err(Error::invalid_parameter(place, expected, got))
        };
        if self.covariance.len() != p * p {
            let expected = format!("{} numbers", p * p);
            return wrong("covariance", &expected, &self.covariance.len());
        }
        if let Some(cell) = self.covariance.iter().find(|c| !c.is_finite()) {
            return wrong("covariance", "finite numbers", cell);
        }
        for (field, value) in [
            ("log_likelihood", self.log_likelihood),
            ("customers", self.customers),
            ("gradient", self.gradient),
            ("distance", self.distance),
            ("condition", self.condition),
        ] {
            if !value.is_finite() {
                return wrong(field, "a finite number", &value);
            }
        }
        let variances = (0..p).map(|i| self.covariance[i * p + i]);
        if let Some(cell) = variances.into_iter().find(|c| *c < 0.0) {
            return wrong("covariance", "variances not below 0", &cell);
        }
        Ok(())
    }
}

/// Whether a larger model fits significantly better than a special case of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodRatio {
    /// Twice the gain in log-likelihood.
    pub statistic: f64,
    /// Parameters that the larger model adds.
    pub degrees: u32,
    /// Probability of a gain at least as large by chance alone (chi-square, asymptotic).
    pub p_value: f64,
}

/// The likelihood-ratio test of `special`, a special case of `general`, on the same customers.
///
/// # Errors
/// `InvalidParameter` if the fits are of different densities or customers, or if `general` does
/// not have more parameters.
///
/// # Example
/// ```
/// # use churn_core::progress::Progress;
/// # use churn_core::scoring::lifetime::*;
/// # let x = vec![2.0, 1.0, 0.0, 0.0, 0.0, 7.0, 1.0, 0.0, 3.0, 0.0];
/// # let t = vec![30.4, 1.7, 0.0, 0.0, 0.0, 29.4, 5.0, 0.0, 25.0, 0.0];
/// # let age = vec![38.9, 38.9, 38.0, 36.0, 35.0, 38.9, 37.0, 36.5, 33.0, 34.0];
/// let buyers = Buyers::new(x, t, age)?.with_covariate("web", vec![1., 0., 0., 1., 0., 1., 1., 0., 1., 0.])?;
/// let plain = Lifetime::mbg_nbd().fit(&buyers, &Progress::none())?;
/// let with_web = Lifetime {
///     purchase_covariates: vec!["web".into()],
///     ..Lifetime::mbg_nbd()
/// }
/// .fit(&buyers, &Progress::none())?;
/// let test = likelihood_ratio(plain.estimate().unwrap(), with_web.estimate().unwrap())?;
/// assert_eq!(test.degrees, 1);
/// assert!(test.p_value > 0.0 && test.p_value <= 1.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn likelihood_ratio(special: &Estimate, general: &Estimate) -> Result<LikelihoodRatio> {
    if special.likelihood != general.likelihood || special.customers != general.customers {
        return Err(Error::invalid_parameter(
            "likelihood_ratio.special",
            format_args!(
                "a fit of {} on {} customers",
                general.likelihood, general.customers
            ),
            format_args!("{} on {}", special.likelihood, special.customers),
        ));
    }
    let (few, many) = (special.parameters.len(), general.parameters.len());
    if many <= few {
        return Err(Error::invalid_parameter(
            "likelihood_ratio.general",
            format_args!("more than {few} parameters"),
            many,
        ));
    }
    // Rounding may put nested maxima a hair the wrong way round.
    let statistic = (2.0 * (general.log_likelihood - special.log_likelihood)).max(0.0);
    let degrees = (many - few) as u32;
    Ok(LikelihoodRatio {
        statistic,
        degrees,
        p_value: gamma_q(0.5 * f64::from(degrees), 0.5 * statistic),
    })
}
