//! Settings of the models of buying, and their fit by maximum likelihood.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::optimize::Search;
use crate::math::special::ln_gamma;
use crate::progress::Progress;

use super::bg_nbd::{BgNbd, LARGEST_REGULARITY};
use super::buyers::Buyers;
use super::climb::Fitting;
use super::estimate::Estimate;
use super::likelihood::{Effects, Kernel, P};
use super::model::LifetimeModel;
use super::pareto_nbd::ParetoNbd;
use super::patterns::Patterns;

/// Which story of buying and leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Leaves after a repeat purchase (Fader, Hardie & Lee 2005).
    BgNbd,
    /// Leaves after any purchase, the first included (Batislam, Denizel & Filiztekin 2007).
    MbgNbd,
    /// Leaves at any time (Schmittlein, Morrison & Colombo 1987).
    ParetoNbd,
}

impl Family {
    /// The name in settings and files, e.g. `"bg_nbd"`.
    pub fn name(self) -> &'static str {
        match self {
            Family::BgNbd => "bg_nbd",
            Family::MbgNbd => "mbg_nbd",
            Family::ParetoNbd => "pareto_nbd",
        }
    }

    /// Names of the parameters in order.
    pub fn parameter_names(self) -> [&'static str; P] {
        match self {
            Family::BgNbd | Family::MbgNbd => ["r", "alpha", "a", "b"],
            Family::ParetoNbd => ["r", "alpha", "s", "beta"],
        }
    }

    pub(super) fn effects(self, purchase: usize) -> Effects {
        let dropout = match self {
            Family::BgNbd | Family::MbgNbd => BgNbd::DROPOUT,
            Family::ParetoNbd => ParetoNbd::DROPOUT,
        };
        Effects { purchase, dropout }
    }
}

/// How regular purchases are: every k-th tick of a random clock is one (k = 1: no regularity).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regularity {
    /// This k, from 1 to 24.
    Fixed(u32),
    /// The k from 1 to this one at which the likelihood first peaks.
    UpTo(u32),
}

/// Settings of a model of buying.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::lifetime::{Buyers, Lifetime};
/// let x = vec![2.0, 1.0, 0.0, 0.0, 0.0, 7.0, 1.0, 0.0, 3.0, 0.0];
/// let t = vec![30.4, 1.7, 0.0, 0.0, 0.0, 29.4, 5.0, 0.0, 25.0, 0.0];
/// let age = vec![38.9, 38.9, 38.0, 36.0, 35.0, 38.9, 37.0, 36.5, 33.0, 34.0];
/// let buyers = Buyers::new(x, t, age)?;
/// let model = Lifetime::mbg_nbd().fit(&buyers, &Progress::none())?;
/// let alive = model.probability_alive(&buyers)?;
/// assert!(alive[5] > alive[1], "seven purchases, the last one nine weeks ago");
/// assert!(alive[2] < 1.0, "one-time buyers are doubted, too");
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetime {
    /// Which model. Default: `mbg_nbd`.
    pub family: Family,
    /// Regularity; above 1 only for the (M)BG families, and only with log gaps. Default: fixed 1.
    pub regularity: Regularity,
    /// Names of covariates that speed purchases up (positive coefficient) or slow them down.
    pub purchase_covariates: Vec<String>,
    /// Names of covariates that raise dropout (positive coefficient) or lower it.
    pub dropout_covariates: Vec<String>,
    /// L2 penalty on the parameters: customers × penalty × Σ parameter² is taken off the
    /// log-likelihood, with alpha and beta in the unit of the data. It is lifetimes'
    /// `penalizer_coef` where the largest age is 1, to which lifetimes scales first. Default 0.
    pub penalty: f64,
    /// L2 penalty on the coefficients of covariates, in the same form. Default 0.
    pub covariate_penalty: f64,
    /// Evaluations of likelihood and gradient that one start may spend. Default 500.
    pub max_evaluations: u32,
}

impl Default for Lifetime {
    fn default() -> Self {
        Lifetime {
            family: Family::MbgNbd,
            regularity: Regularity::Fixed(1),
            purchase_covariates: Vec::new(),
            dropout_covariates: Vec::new(),
            penalty: 0.0,
            covariate_penalty: 0.0,
            max_evaluations: 500,
        }
    }
}

/// Half-width of the search in logarithms: factors of 3,000 either way.
const BOX: f64 = 8.0;
/// Starts are compared on at most this many rows.
const SAMPLE: usize = 1024;

impl Lifetime {
    /// BG/NBD.
    pub fn bg_nbd() -> Self {
        Lifetime {
            family: Family::BgNbd,
            ..Lifetime::default()
        }
    }

    /// MBG/NBD.
    pub fn mbg_nbd() -> Self {
        Lifetime::default()
    }

    /// Pareto/NBD.
    pub fn pareto_nbd() -> Self {
        Lifetime {
            family: Family::ParetoNbd,
            ..Lifetime::default()
        }
    }

    /// BG/CNBD-k with k chosen by likelihood.
    pub fn bg_cnbd() -> Self {
        Lifetime {
            family: Family::BgNbd,
            regularity: Regularity::UpTo(12),
            ..Lifetime::default()
        }
    }

    /// MBG/CNBD-k with k chosen by likelihood.
    pub fn mbg_cnbd() -> Self {
        Lifetime {
            regularity: Regularity::UpTo(12),
            ..Lifetime::default()
        }
    }

    /// Confirms the settings.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let (Regularity::Fixed(k) | Regularity::UpTo(k)) = self.regularity;
        let largest = match self.family {
            Family::ParetoNbd => 1,
            _ => LARGEST_REGULARITY,
        };
        if !(1..=largest).contains(&k) {
            return Err(Error::invalid_parameter(
                "lifetime.regularity",
                format_args!("1 to {largest} for {}", self.family.name()),
                k,
            ));
        }
        for (what, penalty) in [
            ("lifetime.penalty", self.penalty),
            ("lifetime.covariate_penalty", self.covariate_penalty),
        ] {
            if !(0.0..=1e6).contains(&penalty) {
                return Err(Error::invalid_parameter(what, "0 to 1000000", penalty));
            }
        }
        for (what, names) in [
            ("lifetime.purchase_covariates", &self.purchase_covariates),
            ("lifetime.dropout_covariates", &self.dropout_covariates),
        ] {
            for (i, name) in names.iter().enumerate() {
                if names[..i].contains(name) {
                    return Err(Error::invalid_parameter(
                        what,
                        "names that differ",
                        format_args!("{name:?} twice"),
                    ));
                }
            }
        }
        if !(10..=1_000_000).contains(&self.max_evaluations) {
            return Err(Error::invalid_parameter(
                "lifetime.max_evaluations",
                "10 to 1000000",
                self.max_evaluations,
            ));
        }
        Ok(())
    }

    /// Fits by maximum likelihood, with analytic gradients, from several starts.
    ///
    /// Parameters are searched within factors of 3,000 around 1 (for `alpha` and `beta`: around the
    /// mean age). One that ends on the edge is reported there
    /// ([`Parameter::on_bound`](super::Parameter::on_bound)) and the model is used as it stands:
    /// data without any visible dropout, for instance, drive `a` to its lower edge, and
    /// probabilities alive come out as 1.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain; `UnknownName` for a covariate that
    /// the data do not have; `NotEnoughData` without any repeat purchase or observed time, or
    /// without log gaps where regularity needs them; `NotConverged` with gradient, distance and
    /// condition if no maximum was certified; `Cancelled`.
    pub fn fit(&self, buyers: &Buyers<'_>, progress: &Progress<'_>) -> Result<LifetimeModel> {
        self.check()?;
        let names = self
            .purchase_covariates
            .iter()
            .chain(&self.dropout_covariates);
        let columns: Vec<&[f64]> = names
            .map(|name| buyers.covariate(name))
            .collect::<Result<_>>()?;
        let patterns = Patterns::new(buyers, &columns, false);
        let (mean_age, purchases, _) = match patterns.rows.is_empty() {
            true => (0.0, 0.0, 0.0),
            false => patterns.totals(),
        };
        if patterns.customers() <= 0.0 || purchases <= 0.0 {
            return Err(Error::not_enough_data(
                "summary.frequency",
                "at least one repeat purchase",
                0,
            ));
        }
        if mean_age <= 0.0 {
            return Err(Error::not_enough_data(
                "summary.age",
                "observed time after the first purchase",
                0,
            ));
        }
        let fitting = Fitting {
            patterns: &patterns,
            sample: patterns.sample(SAMPLE),
            effects: self.family.effects(self.purchase_covariates.len()),
            penalties: (self.penalty, self.covariate_penalty),
            search: self.search(&patterns, mean_age),
            progress,
        };
        let starts = |k: u32| self.starts(&patterns, mean_age, f64::from(k));
        let (regularity, (optimum, value)) = match (self.family, self.regularity) {
            (Family::ParetoNbd, _) => (1, fitting.run(&ParetoNbd, &starts(1))?),
            (family, Regularity::Fixed(k)) => {
                let gaps = regular_gaps(buyers, k)?;
                let (optimum, value) = fitting.run(&bg(family, k), &starts(k))?;
                (k, (optimum, value + gaps))
            }
            (family, Regularity::UpTo(largest)) => {
                let mut best = (1, fitting.run(&bg(family, 1), &starts(1))?);
                for k in 2..=largest {
                    let gaps = regular_gaps(buyers, k)?;
                    // Twice the ticks is twice the rate.
                    let mut start = best.1.0.theta.clone();
                    start[1] += (f64::from(k - 1) / f64::from(k)).ln();
                    let (optimum, value) = fitting.climb(&bg(family, k), &patterns, &[start])?;
                    if value + gaps <= best.1.1 {
                        break;
                    }
                    best = (k, (optimum, value + gaps));
                }
                best
            }
        };
        let mut parameters: Vec<String> = self.family.parameter_names().map(str::to_owned).to_vec();
        let named = |role: &str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{role}.{name}")).collect()
        };
        parameters.extend(named("purchase", &self.purchase_covariates));
        parameters.extend(named("dropout", &self.dropout_covariates));
        let likelihood = match regularity {
            1 => self.family.name().to_owned(),
            k => format!("{} k={k}", self.family.name()),
        };
        let estimate = Estimate::new(
            &likelihood,
            parameters,
            P,
            &optimum,
            value,
            patterns.customers(),
            patterns.rows.len(),
        )?;
        Ok(LifetimeModel::fitted(
            self,
            regularity,
            buyers.unit_days(),
            estimate,
        ))
    }

    fn search(&self, patterns: &Patterns, mean_age: f64) -> Search {
        let scale = mean_age.ln();
        let middle = match self.family {
            Family::ParetoNbd => [0.0, scale, 0.0, scale],
            _ => [0.0, scale, 0.0, 0.0],
        };
        let (mut low, mut high): (Vec<f64>, Vec<f64>) =
            middle.iter().map(|m| (m - BOX, m + BOX)).unzip();
        for k in 0..patterns.width {
            let column = patterns.covariates.iter().skip(k).step_by(patterns.width);
            let largest = column.fold(0.0, |m: f64, z| m.max(z.abs()));
            // Effects within factors of 3,000, too.
            let widest = BOX / largest.max(1e-300);
            low.push(-widest.min(1e300));
            high.push(widest.min(1e300));
        }
        Search {
            what: match self.family {
                Family::BgNbd => "lifetime.bg_nbd",
                Family::MbgNbd => "lifetime.mbg_nbd",
                Family::ParetoNbd => "lifetime.pareto_nbd",
            },
            low,
            high,
            max_evaluations: self.max_evaluations as usize,
        }
    }

    /// Starts around the mean rate of purchases: skewed, usual and even customers, with much,
    /// usual and little dropout.
    fn starts(&self, patterns: &Patterns, mean_age: f64, regularity: f64) -> Vec<Vec<f64>> {
        let (_, purchases, time) = patterns.totals();
        let rate = regularity * purchases / time;
        let rows: [[f64; P]; 3] = match self.family {
            Family::ParetoNbd => [
                [0.6, 0.4 / rate, 0.6, mean_age / 2.0],
                [1.5, 1.2 / rate, 0.3, mean_age],
                [0.25, 0.1 / rate, 2.0, 2.0 * mean_age],
            ],
            _ => [
                [0.5, 0.3 / rate, 0.8, 2.0],
                [1.5, 1.2 / rate, 0.3, 4.0],
                [0.2, 0.1 / rate, 2.0, 3.0],
            ],
        };
        let width = patterns.width;
        rows.iter()
            .map(|row| {
                let mut start: Vec<f64> = row.iter().map(|x| x.ln()).collect();
                start.resize(P + width, 0.0);
                start
            })
            .collect()
    }
}

fn bg(family: Family, regularity: u32) -> BgNbd {
    BgNbd {
        regularity,
        dropout_at_zero: family == Family::MbgNbd,
    }
}

/// The part of the log-likelihood that only gaps and k decide: Σ (k−1) ln gap − x ln Γ(k).
fn regular_gaps(buyers: &Buyers<'_>, k: u32) -> Result<f64> {
    if k == 1 {
        return Ok(0.0);
    }
    let Some(log_gaps) = buyers.log_gaps() else {
        return Err(Error::not_enough_data(
            "summary.log_gaps",
            "sums of log gaps, which regularity needs",
            "none",
        ));
    };
    let k = f64::from(k);
    let constant = ln_gamma(k);
    // Sorted, so that the order of the rows does not matter.
    let mut terms: Vec<f64> = (0..buyers.len())
        .map(|row| {
            let weight = buyers.weights().map_or(1.0, |weights| weights[row]);
            weight * ((k - 1.0) * log_gaps[row] - buyers.frequency()[row] * constant)
        })
        .collect();
    terms.sort_unstable_by(f64::total_cmp);
    Ok(terms.iter().sum())
}
