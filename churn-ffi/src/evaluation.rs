//! Experiments, hold-outs and policies: columns in, an answer as JSON out.
//!
//! The JSON is that of the core's types of the same names; see the documentation of
//! `churn_core::evaluation`.

use std::ffi::c_char;

use churn_core::evaluation::experiment::{Arms, Comparison, ComparisonSettings, Outcome, compare};
use churn_core::evaluation::policy_value::{Estimator, LoggedChoices, RewardModel, policy_value};
use churn_core::evaluation::{
    ArmAction, Exposures, IncrementalSettings, JourneyExposures, UpliftCalibration, incremental,
};
use churn_core::journey::Outcome as JourneyOutcome;
use churn_core::settings::from_json;
use churn_core::{AsOf, Error, Horizon, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::churn_bytes;
use crate::columns::strs;
use crate::customers::churn_customers;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, Result, guard};
use crate::journey::{churn_journey_outcome, churn_journey_replay};

/// Who was in which arm of an experiment, and from when on.
pub struct churn_exposures(Exposures);

pub(crate) fn json(answer: &impl Serialize) -> Result<churn_bytes> {
    let bytes = serde_json::to_vec(answer)
        .map_err(|error| Error::invalid_parameter("answer", "plain data", error))?;
    Ok(churn_bytes::new(bytes))
}

/// A word that stands for one of several choices.
pub(crate) fn choice<T: DeserializeOwned>(word: &str, what: &'static str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|error| Error::invalid_parameter(what, "a known word", error).into())
}

/// # Safety
/// As for [`guard::slice`] and [`strs`].
unsafe fn arms(
    codes: *const u32,
    rows: usize,
    names: *const *const c_char,
    arm_count: usize,
) -> Result<Arms> {
    // SAFETY: as the caller says.
    let (codes, names) = unsafe {
        (
            guard::slice(codes, rows, "arm")?,
            strs(guard::slice(names, arm_count, "names")?, "names")?,
        )
    };
    let names = names.into_iter().map(str::to_owned).collect();
    Ok(Arms::from_codes(names, codes.to_vec())?)
}

/// Compares every arm with the control, which is the first name, on one outcome per unit. `kind` is
/// "binary", "count" or "money"; `covariates` are `covariate_count` columns of `rows` numbers one
/// after another, known before the experiment (NULL for none); `settings` is JSON (NULL = defaults).
/// The answer is JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_compare_arms(
    arm: *const u32,
    outcome: *const f64,
    rows: usize,
    names: *const *const c_char,
    arm_count: usize,
    kind: *const c_char,
    covariates: *const f64,
    covariate_count: usize,
    settings: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let (arms, outcome, kind, cells, settings, out) = unsafe {
            (
                arms(arm, rows, names, arm_count)?,
                guard::slice(outcome, rows, "outcome")?,
                guard::text(kind, "kind")?,
                guard::slice(
                    covariates,
                    rows.saturating_mul(covariate_count),
                    "covariates",
                )?,
                guard::settings::<ComparisonSettings>(settings, "comparison")?,
                Out::new(answer, "answer")?,
            )
        };
        let kind: Outcome = choice(kind, "kind")?;
        let columns: Vec<&[f64]> = cells.chunks_exact(rows.max(1)).collect();
        out.write_handle(json(&compare(&arms, outcome, kind, &columns, &settings)?)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Mean reward per choice of a policy, from choices that another one made and logged. `estimator` is
/// "inverse_propensity", "self_normalised" or "doubly_robust"; the last one needs `of_choice` and
/// `of_policy`, rewards that a model expects (NULL otherwise). The answer is JSON, freed with
/// churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_policy_value(
    reward: *const f64,
    propensity: *const f64,
    policy: *const f64,
    of_choice: *const f64,
    of_policy: *const f64,
    rows: usize,
    estimator: *const c_char,
    confidence: f64,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let (choices, estimator, model, out) = unsafe {
            (
                LoggedChoices {
                    reward: guard::slice(reward, rows, "reward")?,
                    propensity: guard::slice(propensity, rows, "propensity")?,
                    policy: guard::slice(policy, rows, "policy")?,
                },
                guard::text(estimator, "estimator")?,
                if of_choice.is_null() && of_policy.is_null() {
                    None
                } else {
                    Some(RewardModel {
                        of_choice: guard::slice(of_choice, rows, "of_choice")?,
                        of_policy: guard::slice(of_policy, rows, "of_policy")?,
                    })
                },
                Out::new(answer, "answer")?,
            )
        };
        let estimator: Estimator = choice(estimator, "estimator")?;
        let value = policy_value(&choices, model.as_ref(), estimator, confidence)?;
        out.write_handle(json(&value)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Who was in which arm (the first name is the hold-out) and the instant from which it could act on
/// them, in microseconds since 1970-01-01 UTC; one row per customer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_exposures_new(
    customers: *const churn_customers,
    arm: *const u32,
    at_micros: *const i64,
    names: *const *const c_char,
    arm_count: usize,
    exposures: *mut *mut churn_exposures,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and arrays of as many values as there
        // are customers and names.
        let (customers, arms, at, out) = unsafe {
            let customers = guard::handle(customers, "customers")?.customers();
            (
                customers,
                arms(arm, customers.len(), names, arm_count)?,
                guard::slice(at_micros, customers.len(), "at_micros")?,
                Out::new(exposures, "exposures")?,
            )
        };
        let at: churn_core::Result<Vec<Timestamp>> = at
            .iter()
            .map(|micros| Timestamp::from_micros(*micros))
            .collect();
        let made = Exposures::from_rows(customers.clone(), arms, at?)?;
        out.write_handle(churn_exposures(made));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What contacting changed against the customers held out, within `horizon_days` of each. `cost` and
/// `group` hold one value per customer; `group` (NULL for none) names a segment or channel, for the
/// held out that which they would have been sent. `settings` is JSON (NULL = defaults). The answer is
/// JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_exposures_incremental(
    exposures: *const churn_exposures,
    log: *const churn_event_log,
    horizon_days: u32,
    cost: *const f64,
    group: *const *const c_char,
    settings: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and arrays of as many values as there
        // are customers.
        let (exposures, log, cost, group, settings, out) = unsafe {
            let exposures = &guard::handle(exposures, "exposures")?.0;
            let rows = exposures.customers().len();
            let group = match group.is_null() {
                true => None,
                false => Some(strs(guard::slice(group, rows, "group")?, "group")?),
            };
            (
                exposures,
                guard::handle(log, "log")?,
                guard::slice(cost, rows, "cost")?,
                group,
                guard::settings::<IncrementalSettings>(settings, "incremental")?,
                Out::new(answer, "answer")?,
            )
        };
        let group: Option<Vec<String>> =
            group.map(|names| names.into_iter().map(str::to_owned).collect());
        let outcomes = exposures.outcomes(log.log(), Horizon::days(horizon_days)?, None)?;
        let report = incremental(exposures, &outcomes, cost, group.as_deref(), &settings)?;
        out.write_handle(json(&report)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What the contacts of a replay changed against the hold-out, within `horizon_days` of the first
/// contact that was due, from the replay's log and what `log` says happened afterwards. `observed_until`
/// (NULL = midnight behind the log's last event) says up to when it is complete. `settings` is JSON
/// (NULL = defaults). The answer is JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_report(
    replay: *const churn_journey_replay,
    log: *const churn_event_log,
    horizon_days: u32,
    observed_until: *const c_char,
    settings: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for one pointer.
        let (replay, given, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                Report::read(log, horizon_days, observed_until, settings)?,
                Out::new(answer, "answer")?,
            )
        };
        out.write_handle(given.of(&[&replay.0.outcome])?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The same from the outcomes of `count` steps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcomes_report(
    outcomes: *const *const churn_journey_outcome,
    count: usize,
    log: *const churn_event_log,
    horizon_days: u32,
    observed_until: *const c_char,
    settings: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over `count` live handles, NULL or texts ending in NUL, and NULL
        // or a place for one pointer.
        let (outcomes, given, out) = unsafe {
            let handles = guard::slice(outcomes, count, "outcomes")?;
            let outcomes = handles.iter().map(|one| guard::handle(*one, "outcomes"));
            (
                outcomes.collect::<Result<Vec<_>>>()?,
                Report::read(log, horizon_days, observed_until, settings)?,
                Out::new(answer, "answer")?,
            )
        };
        let outcomes: Vec<&JourneyOutcome> = outcomes.iter().map(|one| &one.outcome).collect();
        out.write_handle(given.of(&outcomes)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What a report of journeys needs beside their logs.
struct Report<'a> {
    log: &'a churn_event_log,
    horizon: Horizon,
    end: Option<AsOf>,
    settings: IncrementalSettings,
}

impl Report<'_> {
    /// # Safety
    /// The caller hands over NULL or a live handle, and NULL or texts ending in NUL.
    unsafe fn read(
        log: *const churn_event_log,
        horizon_days: u32,
        observed_until: *const c_char,
        settings: *const c_char,
    ) -> Result<Self> {
        // SAFETY: as the caller says.
        unsafe {
            let end = guard::optional_text(observed_until, "observed_until")?;
            Ok(Report {
                log: guard::handle(log, "log")?,
                horizon: Horizon::days(horizon_days)?,
                end: end.map(AsOf::parse).transpose()?,
                settings: guard::settings::<IncrementalSettings>(settings, "incremental")?,
            })
        }
    }

    fn of(&self, outcomes: &[&JourneyOutcome]) -> Result<churn_bytes> {
        let exposures = JourneyExposures::new(outcomes)?;
        json(&exposures.report(self.log.log(), self.horizon, self.end, &self.settings)?)
    }
}

/// The changes that arms of a comparison made, as "experiments" of the settings of effects.
/// `comparison` is the answer of churn_compare_arms, `arms` a JSON list of objects with "arm", "action"
/// and, where wanted, "channels" and "segment". The answer is JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_experiment_effects(
    comparison: *const churn_bytes,
    arms: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, a text ending in NUL, and NULL or a
        // place for one pointer.
        let (comparison, arms, out) = unsafe {
            (
                guard::handle(comparison, "comparison")?,
                guard::text(arms, "arms")?,
                Out::new(answer, "answer")?,
            )
        };
        let text = String::from_utf8_lossy(comparison.bytes());
        let comparison: Comparison = from_json("comparison", &text)?;
        let arms: Vec<ArmAction> = from_json("arms", arms)?;
        out.write_handle(json(&comparison.effects_of(&arms)?)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Draws predictions of an uplift model towards what its doubly robust scores out of fold say is there:
/// from `rows` predictions out of fold (`held_out`) and their `scores`, changes and standard errors for
/// `count` predictions, as churn_uplift_add takes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_calibrate(
    held_out: *const f64,
    scores: *const f64,
    rows: usize,
    predicted: *const f64,
    count: usize,
    change: *mut f64,
    standard_error: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or as many numbers as each count says.
        let (held_out, scores, predicted, change, errors) = unsafe {
            (
                guard::slice(held_out, rows, "held_out")?,
                guard::slice(scores, rows, "scores")?,
                guard::slice(predicted, count, "predicted")?,
                Out::array(change, count, "change")?,
                Out::array(standard_error, count, "standard_error")?,
            )
        };
        let (found, uncertain) = UpliftCalibration::new(held_out, scores)?.apply(predicted);
        change.write_all(&found);
        errors.write_all(&uncertain);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees exposures; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_exposures_free(exposures: *mut churn_exposures) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(exposures) }
}
