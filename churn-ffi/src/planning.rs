//! Experiments before they start: how many units, how long, which bounds at which looks; and two
//! policies on the choices of a third.
//!
//! `settings` are `PlanSettings` of `churn_core::evaluation::experiment` as JSON (NULL = defaults).

use std::ffi::c_char;

use churn_core::evaluation::experiment::{
    self, PlanSettings, SamplePlan, Spending, group_sequential_bounds,
};
use churn_core::evaluation::policy_value::{
    LoggedChoices, RewardModel, compare_policies, policy_value,
};
use churn_core::{AsOf, Error, Horizon};

use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::evaluation::{choice, json};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard};

/// Units needed in the control to see a difference of means of `effect`, given the variances of the
/// outcome in both arms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_experiment_sample_size(
    effect: f64,
    control_variance: f64,
    treated_variance: f64,
    settings: *const c_char,
    control_units: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // number.
        let (settings, out) = unsafe {
            (
                guard::settings::<PlanSettings>(settings, "plan")?,
                Out::new(control_units, "control_units")?,
            )
        };
        let variances = (control_variance, treated_variance);
        out.write(experiment::sample_size(effect, variances, &settings)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The smallest difference of means that so many units in the control can show.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_experiment_detectable_effect(
    control_units: u64,
    control_variance: f64,
    treated_variance: f64,
    settings: *const c_char,
    effect: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_experiment_sample_size.
        let (settings, out) = unsafe {
            (
                guard::settings::<PlanSettings>(settings, "plan")?,
                Out::new(effect, "effect")?,
            )
        };
        let variances = (control_variance, treated_variance);
        out.write(experiment::minimum_detectable_effect(
            control_units,
            variances,
            &settings,
        )?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The probability of seeing a difference of means of `effect` with so many units in the control.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_experiment_power(
    effect: f64,
    control_units: u64,
    control_variance: f64,
    treated_variance: f64,
    settings: *const c_char,
    power: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_experiment_sample_size.
        let (settings, out) = unsafe {
            (
                guard::settings::<PlanSettings>(settings, "plan")?,
                Out::new(power, "power")?,
            )
        };
        let variances = (control_variance, treated_variance);
        out.write(experiment::power(
            effect,
            control_units,
            variances,
            &settings,
        )?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What the log says about an experiment with customers who reach `silence_days` without a purchase:
/// how many per day, how many come back within `horizon_days` by themselves, what they spend; looked
/// at in `window_days` that end one horizon before `as_of`. The answer is JSON, freed with
/// churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_experiment_plan_from_log(
    log: *const churn_event_log,
    as_of: *const c_char,
    silence_days: u32,
    horizon_days: u32,
    window_days: u32,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, a text ending in NUL, and NULL or a
        // place for one pointer.
        let (log, as_of, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                Out::new(answer, "answer")?,
            )
        };
        let horizon = Horizon::days(horizon_days)?;
        let as_of = AsOf::parse(as_of)?;
        let plan = SamplePlan::from_log(log.log(), as_of, silence_days, horizon, window_days)?;
        out.write_handle(json(&plan)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Bounds of |z| at `count` planned looks, each given by the share of all units seen by then (rising,
/// the last one 1), such that all looks together err with 1 − `confidence`. `spending` is
/// "obrien_fleming" or "pocock". Writes `count` numbers to `bounds`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_group_sequential_bounds(
    looks: *const f64,
    count: usize,
    confidence: f64,
    spending: *const c_char,
    bounds: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `count` numbers, a text ending in NUL, and NULL or
        // room for `count` numbers.
        let (looks, spending, out) = unsafe {
            (
                guard::slice(looks, count, "looks")?,
                guard::text(spending, "spending")?,
                Out::array(bounds, count, "bounds")?,
            )
        };
        let spending: Spending = choice(spending, "spending")?;
        out.write_all(&group_sequential_bounds(looks, confidence, spending)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What the second policy earns per choice more than the first, on choices that another one made and
/// logged, as churn_policy_value judges each; the interval is that of the paired difference.
/// `of_choice`, `of_first` and `of_second` are rewards that a model expects (NULL unless `estimator` is
/// "doubly_robust"). The answer is JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_policy_compare(
    reward: *const f64,
    propensity: *const f64,
    first: *const f64,
    second: *const f64,
    of_choice: *const f64,
    of_first: *const f64,
    of_second: *const f64,
    rows: usize,
    estimator: *const c_char,
    confidence: f64,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `rows` numbers each, a text ending in NUL, and NULL or
        // a place for one pointer.
        let (policies, estimator, out) = unsafe {
            let reward = guard::slice(reward, rows, "reward")?;
            let propensity = guard::slice(propensity, rows, "propensity")?;
            let mut policies = Vec::with_capacity(2);
            for (policy, what, of_policy, of_what) in [
                (first, "first", of_first, "of_first"),
                (second, "second", of_second, "of_second"),
            ] {
                let choices = LoggedChoices {
                    reward,
                    propensity,
                    policy: guard::slice(policy, rows, what)?,
                };
                let model = match of_choice.is_null() && of_policy.is_null() {
                    true => None,
                    false => Some(RewardModel {
                        of_choice: guard::slice(of_choice, rows, "of_choice")?,
                        of_policy: guard::slice(of_policy, rows, of_what)?,
                    }),
                };
                policies.push((choices, model));
            }
            (
                policies,
                guard::text(estimator, "estimator")?,
                Out::new(answer, "answer")?,
            )
        };
        let estimator = choice(estimator, "estimator")?;
        let values = policies
            .iter()
            .map(|(choices, model)| policy_value(choices, model.as_ref(), estimator, confidence))
            .collect::<Result<Vec<_>, Error>>()?;
        let difference = compare_policies(&values[0], &values[1], confidence)?;
        out.write_handle(json(&difference)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
