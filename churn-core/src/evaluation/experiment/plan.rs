//! Before the experiment: how many units, how long, and which effect can be seen at all.

use serde::{Deserialize, Serialize};

use super::frequentist::check_confidence;
use crate::error::{Error, Result};
use crate::events::{EventKind, EventLog};
use crate::math::distributions::{normal_cdf, normal_quantile};
use crate::time::{AsOf, Horizon};

/// What an experiment is planned for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanSettings {
    /// 1 − two-sided error. Default 0.95.
    pub confidence: f64,
    /// Probability of seeing an effect that is there. Default 0.8.
    pub power: f64,
    /// Units in the treated arm per unit in the control. Default 1.
    pub treated_per_control: f64,
}

impl Default for PlanSettings {
    fn default() -> Self {
        PlanSettings {
            confidence: 0.95,
            power: 0.8,
            treated_per_control: 1.0,
        }
    }
}

impl PlanSettings {
    fn check(&self) -> Result<()> {
        check_confidence(self.confidence)?;
        if !(self.power > 0.0 && self.power < 1.0) {
            return Err(Error::invalid_parameter(
                "experiment.plan.power",
                "a number between 0 and 1",
                self.power,
            ));
        }
        if !(self.treated_per_control.is_finite() && self.treated_per_control > 0.0) {
            return Err(Error::invalid_parameter(
                "experiment.plan.treated_per_control",
                "a positive number",
                self.treated_per_control,
            ));
        }
        Ok(())
    }

    /// Error and power in standard errors.
    fn distance(&self) -> f64 {
        normal_quantile(f64::midpoint(1.0, self.confidence)) + normal_quantile(self.power)
    }
}

fn check_variances(variances: (f64, f64)) -> Result<()> {
    for value in [variances.0, variances.1] {
        if !(value.is_finite() && value > 0.0) {
            return Err(Error::invalid_parameter(
                "experiment.plan.variance",
                "a positive number",
                value,
            ));
        }
    }
    Ok(())
}

/// Units needed in the control arm to see the difference `effect` of means; the treated arm needs
/// `treated_per_control` times as many.
///
/// Normal approximation; `variances` are those of control and treated outcome: p (1 − p) for
/// shares.
///
/// # Errors
/// `InvalidParameter` for an effect of 0 or settings and variances outside their domains.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{PlanSettings, sample_size};
/// // From 10 % to 12 % returning, at 5 % error and 80 % power.
/// let (p0, p1) = (0.10, 0.12);
/// let n = sample_size(p1 - p0, (p0 * (1.0 - p0), p1 * (1.0 - p1)), &PlanSettings::default())?;
/// assert_eq!(n, 3839);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn sample_size(effect: f64, variances: (f64, f64), settings: &PlanSettings) -> Result<u64> {
    settings.check()?;
    check_variances(variances)?;
    if !(effect.is_finite() && effect != 0.0) {
        return Err(Error::invalid_parameter(
            "experiment.plan.effect",
            "a finite number other than 0",
            effect,
        ));
    }
    let variance = variances.0 + variances.1 / settings.treated_per_control;
    let n = (settings.distance() / effect).powi(2) * variance;
    Ok(n.ceil().max(2.0) as u64)
}

/// The smallest difference of means that `control_units` can show with the power of the settings.
///
/// # Errors
/// As [`sample_size`]; `NotEnoughData` for no units.
pub fn minimum_detectable_effect(
    control_units: u64,
    variances: (f64, f64),
    settings: &PlanSettings,
) -> Result<f64> {
    settings.check()?;
    check_variances(variances)?;
    if control_units == 0 {
        return Err(Error::not_enough_data(
            "experiment.plan.control_units",
            "at least one unit",
            0,
        ));
    }
    let variance = variances.0 + variances.1 / settings.treated_per_control;
    Ok(settings.distance() * (variance / control_units as f64).sqrt())
}

/// The probability of seeing the difference `effect` with `control_units` in the control.
///
/// # Errors
/// As [`minimum_detectable_effect`].
pub fn power(
    effect: f64,
    control_units: u64,
    variances: (f64, f64),
    settings: &PlanSettings,
) -> Result<f64> {
    let distance = settings.distance();
    let error = minimum_detectable_effect(control_units, variances, settings)? / distance;
    let bound = normal_quantile(f64::midpoint(1.0, settings.confidence));
    let z = effect / error;
    Ok(normal_cdf(z - bound) + normal_cdf(-z - bound))
}

/// What the event log says about an experiment with customers who fall silent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SamplePlan {
    /// Customers who became eligible in the window before `as_of`: their silence reached the limit
    /// and the horizon after it is over.
    pub eligible: u64,
    /// Customers becoming eligible per day.
    pub eligible_per_day: f64,
    /// Share of them that bought within the horizon without any experiment.
    pub baseline_rate: f64,
    /// Mean money that they spent within the horizon.
    pub baseline_spend: f64,
    /// Variance of that money.
    pub spend_variance: f64,
}

impl SamplePlan {
    /// Reads from the past how many customers reach `silence_days` without a purchase per day, and
    /// what they did within `horizon` after that by themselves.
    ///
    /// Looks at the days of silence reached in the `window_days` that end one horizon before
    /// `as_of`, so that every horizon is over. A customer may become eligible several times.
    ///
    /// # Errors
    /// `InvalidParameter` for zero days; `NotEnoughData` if nobody became eligible.
    pub fn from_log(
        log: &EventLog,
        as_of: AsOf,
        silence_days: u32,
        horizon: Horizon,
        window_days: u32,
    ) -> Result<Self> {
        for (what, days) in [("silence_days", silence_days), ("window_days", window_days)] {
            if days == 0 {
                return Err(Error::invalid_parameter(
                    format!("experiment.plan.{what}"),
                    "at least 1 day",
                    0,
                ));
            }
        }
        let day = |days: u32| i64::from(days) * crate::time::MICROS_PER_DAY;
        let last = as_of.instant().micros() - day(horizon.as_days());
        let first = last - day(window_days);
        let history = log.history(as_of);
        let mut spends: Vec<f64> = Vec::new();
        let mut returned = 0_u64;
        for row in 0..history.customers().len() {
            let events = history.customer(row).events();
            let purchases: Vec<(i64, f64)> = events
                .filter(|event| event.kind == EventKind::Purchase)
                .map(|event| (event.time.micros(), event.value))
                .collect();
            for (i, (time, _)) in purchases.iter().enumerate() {
                let due = time + day(silence_days);
                let next = purchases.get(i + 1).map(|p| p.0);
                if due < first || due >= last || next.is_some_and(|next| next <= due) {
                    continue;
                }
                let end = due + day(horizon.as_days());
                let after = purchases[i + 1..].iter().take_while(|p| p.0 < end);
                spends.push(after.map(|p| p.1).sum());
                returned += u64::from(next.is_some_and(|next| next < end));
            }
        }
        if spends.is_empty() {
            return Err(Error::not_enough_data(
                "experiment.plan",
                format_args!("a customer whose silence reached {silence_days} days"),
                "none",
            ));
        }
        let n = spends.len() as f64;
        let sample = super::Sample::of(&spends);
        Ok(SamplePlan {
            eligible: spends.len() as u64,
            eligible_per_day: n / f64::from(window_days),
            baseline_rate: returned as f64 / n,
            baseline_spend: sample.mean,
            spend_variance: sample.variance,
        })
    }

    /// Days until enough customers became eligible to see the return rate rise by `effect`, and
    /// the horizon of the last of them is over.
    ///
    /// # Errors
    /// As [`sample_size`]; `InvalidParameter` for an effect that leaves 0 … 1.
    pub fn duration_days(
        &self,
        effect: f64,
        horizon: Horizon,
        settings: &PlanSettings,
    ) -> Result<f64> {
        let (p0, p1) = (self.baseline_rate, self.baseline_rate + effect);
        if !(0.0..=1.0).contains(&p1) {
            return Err(Error::invalid_parameter(
                "experiment.plan.effect",
                format_args!("an effect that keeps {p0} within 0 and 1"),
                effect,
            ));
        }
        // A share of exactly 0 or 1 has no variance to plan with: take that of half an event.
        let floor = 0.5 / self.eligible as f64;
        let variance = |p: f64| (p * (1.0 - p)).max(floor);
        let control = sample_size(effect, (variance(p0), variance(p1)), settings)? as f64;
        let units = control * (1.0 + settings.treated_per_control);
        Ok(units / self.eligible_per_day + f64::from(horizon.as_days()))
    }
}
