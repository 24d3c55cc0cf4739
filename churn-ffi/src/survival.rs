//! Time until something happens: curves and hazard models.
//!
//! Spells come as arrays of n values: `durations`, `event_observed` (0 or 1) and, where watched
//! late or cut into stretches, `entry` (else NULL). Covariates come column after column, n values
//! each, with one name per column.

use std::ffi::c_char;

use churn_core::arrow::{
    baseline_batch, coefficient_batch, gap_batch, hazard_batch, log_rank_batch, survival_batch,
};
use churn_core::scoring::learned::{Column, Frame};
use churn_core::scoring::survival::{
    CoxModel, CoxPh, Durations, KaplanMeier, LogRankWeights, NelsonAalen, PurchaseGaps, WeibullAft,
    WeibullModel, brier_score, log_rank,
};
use churn_core::{AsOf, Error};
use serde_json::json;

use crate::analysis::churn_analysis;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, Result, guard};
use crate::progress::{churn_progress, observe};

/// A fitted Cox model.
pub struct churn_cox {
    model: CoxModel,
    names: Vec<String>,
}

/// A fitted Weibull accelerated-failure-time model.
pub struct churn_weibull {
    model: WeibullModel,
    names: Vec<String>,
}

/// Spells as C hands them over.
struct Spells<'a> {
    durations: &'a [f64],
    event_observed: Vec<bool>,
    entry: Option<&'a [f64]>,
}

impl<'a> Spells<'a> {
    /// # Safety
    /// Each array is NULL or holds `rows` values that stay unchanged during `'a`.
    unsafe fn read(
        durations: *const f64,
        event_observed: *const u8,
        entry: *const f64,
        rows: usize,
    ) -> Result<Self> {
        // SAFETY: as the caller says.
        let (durations, events) = unsafe {
            (
                guard::slice(durations, rows, "durations")?,
                guard::slice(event_observed, rows, "event_observed")?,
            )
        };
        if let Some(row) = events.iter().position(|event| *event > 1) {
            let wrong = Error::invalid_value("event_observed", row, "0 or 1", events[row]);
            return Err(wrong.into());
        }
        Ok(Spells {
            durations,
            event_observed: events.iter().map(|event| *event == 1).collect(),
            // SAFETY: as the caller says.
            entry: unsafe { optional(entry, rows, "entry") }?,
        })
    }

    fn durations(&self) -> churn_core::Result<Durations<'_>> {
        let durations = Durations::new(self.durations, &self.event_observed)?;
        match self.entry {
            None => Ok(durations),
            Some(entry) => durations.with_entry(entry),
        }
    }
}

/// An array that may be left out.
///
/// # Safety
/// `data` is NULL or holds `rows` values that stay unchanged during `'a`.
pub(crate) unsafe fn optional<'a, T>(
    data: *const T,
    rows: usize,
    what: &'static str,
) -> Result<Option<&'a [T]>> {
    if data.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { guard::slice(data, rows, what) }.map(Some)
}

/// Columns under their names.
fn frame<'a>(names: &[String], values: &'a [f64], rows: usize) -> churn_core::Result<Frame<'a>> {
    let columns = values.chunks(rows.max(1)).chain(std::iter::repeat(&[][..]));
    let named = names.iter().zip(columns);
    Frame::new(
        named
            .map(|(name, x)| (name.clone(), Column::Numeric(x.into())))
            .collect(),
    )
}

/// # Safety
/// There are `count` texts that end in NUL.
pub(crate) unsafe fn read_names(names: *const *const c_char, count: usize) -> Result<Vec<String>> {
    // SAFETY: as the caller says.
    unsafe { guard::slice(names, count, "names") }?
        .iter()
        // SAFETY: the same.
        .map(|name| Ok(unsafe { guard::text(*name, "names") }?.to_owned()))
        .collect()
}

/// A Kaplan–Meier curve, one row per distinct time: "time", "at_risk", "events", "censored",
/// "survival", "lower", "upper". Facts: "median" (null if the curve never falls to half). `settings`
/// is JSON with the fields of the core's KaplanMeier, NULL = defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_kaplan_meier(
    durations: *const f64,
    event_observed: *const u8,
    entry: *const f64,
    rows: usize,
    settings: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or arrays of `rows` values, NULL or a text ending in
        // NUL, and NULL or a place for one pointer.
        let (spells, settings, out) = unsafe {
            (
                Spells::read(durations, event_observed, entry, rows)?,
                guard::settings::<KaplanMeier>(settings, "kaplan_meier")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let curve = settings.fit(&spells.durations()?)?;
        let facts = json!({"median": curve.median()});
        out.write_handle(churn_analysis::new(survival_batch(&curve)?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// A Nelson–Aalen curve, one row per distinct time: "time", "at_risk", "events", "censored",
/// "cumulative_hazard", "lower", "upper". `settings` is JSON with the fields of the core's
/// NelsonAalen, NULL = defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_nelson_aalen(
    durations: *const f64,
    event_observed: *const u8,
    entry: *const f64,
    rows: usize,
    settings: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_kaplan_meier.
        let (spells, settings, out) = unsafe {
            (
                Spells::read(durations, event_observed, entry, rows)?,
                guard::settings::<NelsonAalen>(settings, "nelson_aalen")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let curve = settings.fit(&spells.durations()?)?;
        out.write_handle(churn_analysis::new(hazard_batch(&curve)?, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// A log-rank test of two or more groups, numbered from 0 on: "size", "observed", "expected" by
/// group. Facts: "statistic", "degrees_of_freedom", "p_value". `weights` is JSON: "log_rank" (NULL),
/// "wilcoxon", "tarone_ware" or {"fleming_harrington": {"p": 0, "q": 1}}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_rank(
    durations: *const f64,
    event_observed: *const u8,
    entry: *const f64,
    groups: *const u32,
    rows: usize,
    weights: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_kaplan_meier.
        let (spells, groups, weights, out) = unsafe {
            (
                Spells::read(durations, event_observed, entry, rows)?,
                guard::slice(groups, rows, "groups")?,
                guard::settings::<LogRankWeights>(weights, "log_rank.weights")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let test = log_rank(&spells.durations()?, groups, weights)?;
        let facts = json!({
            "statistic": test.statistic,
            "degrees_of_freedom": test.degrees_of_freedom,
            "p_value": test.p_value,
        });
        out.write_handle(churn_analysis::new(log_rank_batch(&test)?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Fits a Cox model. `covariates` holds `count` columns of `rows` values, one after the other;
/// `strata` the group of each row, or NULL. `settings` is JSON with the fields of the core's CoxPh,
/// NULL = defaults; `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cox_fit(
    durations: *const f64,
    event_observed: *const u8,
    entry: *const f64,
    strata: *const u32,
    rows: usize,
    names: *const *const c_char,
    covariates: *const f64,
    count: usize,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_cox,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or arrays of `rows` values, `count` texts ending in
        // NUL and `rows` × `count` values, NULL or live handles, and NULL or a place for a pointer.
        let (spells, strata, names, values, settings, progress, out) = unsafe {
            (
                Spells::read(durations, event_observed, entry, rows)?,
                optional(strata, rows, "strata")?,
                read_names(names, count)?,
                guard::slice(covariates, rows.saturating_mul(count), "covariates")?,
                guard::settings::<CoxPh>(settings, "cox")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let frame = frame(&names, values, rows)?;
        let model = observe(progress, |progress| {
            settings.fit_observed(&spells.durations()?, &frame, strata, progress)
        })?;
        out.write_handle(churn_cox { model, names });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The coefficients of a Cox model: "covariate", "coefficient", "standard_error", "z", "p_value",
/// "lower", "upper". Facts: "log_likelihood", "null_log_likelihood", "likelihood_ratio",
/// "likelihood_ratio_p_value", "concordance", "iterations", "rows", "events".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cox_summary(
    model: *const churn_cox,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe {
            (
                guard::handle(model, "model")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let model = &model.model;
        let (ratio, _, p_value) = model.likelihood_ratio();
        let facts = json!({
            "log_likelihood": model.log_likelihood(),
            "null_log_likelihood": model.null_log_likelihood(),
            "likelihood_ratio": ratio,
            "likelihood_ratio_p_value": p_value,
            "concordance": model.concordance().index(),
            "iterations": model.iterations(),
            "rows": model.rows(),
            "events": model.events(),
        });
        let batch = coefficient_batch(model.coefficients())?;
        out.write_handle(churn_analysis::new(batch, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Breslow's baseline of a row whose covariates are the means: "stratum", "time",
/// "cumulative_hazard".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cox_baseline(
    model: *const churn_cox,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe {
            (
                guard::handle(model, "model")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let batch = baseline_batch(&model.model)?;
        out.write_handle(churn_analysis::new(batch, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Probability that each row lasts longer than each time: time j of row i at `j * rows + i`, so
/// `survival` has room for `rows` × `time_count` values. `covariates` holds the columns of the fit in
/// their order; `strata` is NULL for a model without; with `conditional_after` (one time per row, or
/// NULL) the probability to last that much longer, given that the spell has run that long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cox_survival(
    model: *const churn_cox,
    covariates: *const f64,
    strata: *const u32,
    conditional_after: *const f64,
    rows: usize,
    times: *const f64,
    time_count: usize,
    survival: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, arrays as the text above says, and
        // room for the outputs.
        let (model, times, strata, after, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::slice(times, time_count, "times")?,
                optional(strata, rows, "strata")?,
                optional(conditional_after, rows, "conditional_after")?,
                Out::array(survival, rows.saturating_mul(time_count), "survival")?,
            )
        };
        let values = rows.saturating_mul(model.names.len());
        // SAFETY: the same.
        let values = unsafe { guard::slice(covariates, values, "covariates") }?;
        let frame = frame(&model.names, values, rows)?;
        out.write_all(&model.model.survival(&frame, times, strata, after)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a Cox model; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cox_free(model: *mut churn_cox) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}

/// Fits a Weibull accelerated-failure-time model; `count` may be 0 for the durations alone.
/// `settings` is JSON with the fields of the core's WeibullAft, NULL = defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_weibull_fit(
    durations: *const f64,
    event_observed: *const u8,
    rows: usize,
    names: *const *const c_char,
    covariates: *const f64,
    count: usize,
    settings: *const c_char,
    model: *mut *mut churn_weibull,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_cox_fit.
        let (spells, names, values, settings, out) = unsafe {
            (
                Spells::read(durations, event_observed, std::ptr::null(), rows)?,
                read_names(names, count)?,
                guard::slice(covariates, rows.saturating_mul(count), "covariates")?,
                guard::settings::<WeibullAft>(settings, "weibull_aft")?,
                Out::new(model, "model")?,
            )
        };
        let frame = match names.is_empty() {
            true => None,
            false => Some(frame(&names, values, rows)?),
        };
        let model = settings.fit(&spells.durations()?, frame.as_ref())?;
        out.write_handle(churn_weibull { model, names });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The intercept, the coefficients and the logarithm of the shape ("log_shape") of a Weibull model:
/// "covariate", "coefficient", "standard_error", "z", "p_value", "lower", "upper". Facts: "shape",
/// "scale", "log_likelihood", "null_log_likelihood", "likelihood_ratio", "likelihood_ratio_p_value",
/// "concordance" (null without covariates), "iterations".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_weibull_summary(
    model: *const churn_weibull,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe {
            (
                guard::handle(model, "model")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let model = &model.model;
        let (ratio, _, p_value) = model.likelihood_ratio();
        let facts = json!({
            "shape": model.shape(),
            "scale": model.scale(),
            "log_likelihood": model.log_likelihood(),
            "null_log_likelihood": model.null_log_likelihood(),
            "likelihood_ratio": ratio,
            "likelihood_ratio_p_value": p_value,
            "concordance": model.concordance().and_then(|pairs| pairs.index()),
            "iterations": model.iterations(),
        });
        let batch = coefficient_batch(model.coefficients().iter().chain([model.log_shape()]))?;
        out.write_handle(churn_analysis::new(batch, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// As churn_cox_survival, for a Weibull model fitted with covariates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_weibull_survival(
    model: *const churn_weibull,
    covariates: *const f64,
    conditional_after: *const f64,
    rows: usize,
    times: *const f64,
    time_count: usize,
    survival: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: as for churn_cox_survival.
        let (model, times, after, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::slice(times, time_count, "times")?,
                optional(conditional_after, rows, "conditional_after")?,
                Out::array(survival, rows.saturating_mul(time_count), "survival")?,
            )
        };
        let values = rows.saturating_mul(model.names.len());
        // SAFETY: the same.
        let values = unsafe { guard::slice(covariates, values, "covariates") }?;
        let frame = frame(&model.names, values, rows)?;
        out.write_all(&model.model.survival(&frame, times, after)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a Weibull model; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_weibull_free(model: *mut churn_weibull) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}

/// Brier scores of predicted survival (time j of row i at `j * rows + i`) at each of the ascending
/// times, and their mean over the span; the chance of being censored is learned from the same
/// spells. `scores` has room for `time_count` values or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_survival_brier(
    durations: *const f64,
    event_observed: *const u8,
    rows: usize,
    survival: *const f64,
    times: *const f64,
    time_count: usize,
    scores: *mut f64,
    integrated: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        let room = if scores.is_null() { 0 } else { time_count };
        // SAFETY: the caller hands over NULL or arrays as the text above says, and room for the
        // outputs.
        let (spells, predicted, times, scores, out) = unsafe {
            (
                Spells::read(durations, event_observed, std::ptr::null(), rows)?,
                guard::slice(survival, rows.saturating_mul(time_count), "survival")?,
                guard::slice(times, time_count, "times")?,
                Out::array(scores, room, "scores")?,
                Out::new(integrated, "integrated")?,
            )
        };
        let durations = spells.durations()?;
        let found = brier_score(&durations, &durations, predicted, times)?;
        scores.write_all(&found.scores);
        out.write(found.integrated);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Gaps between purchase days, the open ones cut at `as_of`: "customer", "purchases_before",
/// "duration" (days), "event_observed".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_purchase_gaps(
    log: *const churn_event_log,
    as_of: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let gaps = PurchaseGaps::from_history(&log.log().history(AsOf::parse(as_of)?));
        out.write_handle(churn_analysis::new(gap_batch(&gaps)?, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
