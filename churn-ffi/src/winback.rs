//! The whole flow in one call.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use churn_core::AsOf;
use churn_core::winback::{WinBack, WinBackSettings};

use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::features::{churn_feature_table, churn_population};
use crate::guard::{self, Out, guard, in_range};
use crate::held::Held;
use crate::lifetime::churn_lifetime;
use crate::progress::{churn_progress, observe};
use crate::scoring::{churn_scores, language};
use crate::segments::churn_segments;
use crate::strategy::churn_plan;
use crate::texts::churn_texts;

/// Everything the flow found out, table by table; all rows are the same customers. The tables belong
/// to it: they are valid until it is freed, and must not be freed themselves.
pub struct churn_win_back {
    whole: Arc<WinBack>,
    features: churn_feature_table,
    population: churn_population,
    lifetime: Option<churn_lifetime>,
    scores: churn_scores,
    risk_tier: churn_segments,
    rfm_segment: churn_segments,
    lifecycle: churn_segments,
    plan: churn_plan,
}

impl churn_win_back {
    pub(crate) fn flow(&self) -> &WinBack {
        &self.whole
    }

    pub(crate) fn new(result: WinBack) -> Self {
        let whole = Arc::new(result);
        let part = || Arc::clone(&whole);
        churn_win_back {
            features: churn_feature_table::new(Held::Part(part(), |all| &all.features)),
            population: churn_population::new(Held::Part(part(), |all| &all.population)),
            lifetime: whole.lifetime.clone().map(churn_lifetime::new),
            scores: churn_scores::new(Held::Part(part(), |all| &all.scores)),
            risk_tier: churn_segments::new(Held::Part(part(), |all| &all.risk_tier)),
            rfm_segment: churn_segments::new(Held::Part(part(), |all| &all.rfm_segment)),
            lifecycle: churn_segments::new(Held::Part(part(), |all| &all.lifecycle)),
            plan: churn_plan::new(Held::Part(part(), |all| &all.plan)),
            whole,
        }
    }
}

/// Runs features, scorecard, segments and playbook on the events strictly before `as_of` (a date or
/// date and time in text, e.g. "2011-12-10"; NULL = the day after the last event, which fails with
/// CHURN_NOT_ENOUGH_DATA for an empty log). `settings` is JSON with the fields of the core's
/// WinBackSettings (NULL = defaults), `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_run(
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    result: *mut *mut churn_win_back,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::optional_text(as_of, "as_of")?,
                guard::settings::<WinBackSettings>(settings, "winback")?,
                progress.as_ref(),
                Out::new(result, "result")?,
            )
        };
        let as_of = match as_of {
            Some(as_of) => AsOf::parse(as_of)?,
            None => log.log().day_after_last()?,
        };
        let found = observe(progress, |progress| {
            WinBack::run(log.log(), as_of, &settings, progress)
        })?;
        out.write_handle(churn_win_back::new(found));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What describes each customer; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_features(
    result: *const churn_win_back,
) -> *const churn_feature_table {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.features)
}

/// What all customers together taught; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_population(
    result: *const churn_win_back,
) -> *const churn_population {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.population)
}

/// The model of buying that was fitted; NULL where the settings ask for none, and for NULL. It belongs
/// to the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_lifetime(
    result: *const churn_win_back,
) -> *const churn_lifetime {
    // SAFETY: the caller hands over NULL or a live handle.
    let result = unsafe { result.as_ref() };
    let lifetime = result.and_then(|result| result.lifetime.as_ref());
    lifetime.map_or(ptr::null(), ptr::from_ref)
}

/// Churn probabilities with reasons; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_scores(
    result: *const churn_win_back,
) -> *const churn_scores {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.scores)
}

/// Risk tiers; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_risk_tier(
    result: *const churn_win_back,
) -> *const churn_segments {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.risk_tier)
}

/// Segments of the grid; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_rfm_segment(
    result: *const churn_win_back,
) -> *const churn_segments {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.rfm_segment)
}

/// Lifecycle stages; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_lifecycle(
    result: *const churn_win_back,
) -> *const churn_segments {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.lifecycle)
}

/// Who gets what, through which channels; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_plan(result: *const churn_win_back) -> *const churn_plan {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { result.as_ref() }.map_or(ptr::null(), |result| &result.plan)
}

/// The rows of the customers worth telling about, one per risk tier from high to low: the one with
/// an action who spent most. `rows` has room for `room` of them (three are enough); `count` receives
/// how many were written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_examples(
    result: *const churn_win_back,
    rows: *mut usize,
    room: usize,
    count: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or room for `room` values, and
        // NULL or a place for the count.
        let (result, rows, count) = unsafe {
            (
                guard::handle(result, "result")?,
                Out::array(rows, room, "rows")?,
                Out::new(count, "count")?,
            )
        };
        let mut examples = result.whole.examples()?;
        examples.truncate(room);
        count.write(examples.len());
        rows.write_all(&examples);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// One customer told as a story, the numbers, the reasons and the offer: a list of one text of
/// several lines in `language` ("en" or "zh", NULL = "en").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_story(
    result: *const churn_win_back,
    row: usize,
    language: *const c_char,
    story: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (result, language, out) = unsafe {
            (
                guard::handle(result, "result")?,
                self::language(language)?,
                Out::new(story, "story")?,
            )
        };
        let row = in_range(row, result.whole.features.len(), "row")?;
        out.write_handle(churn_texts::new([result.whole.story(row, language)?]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The plan as a CSV file in UTF-8, one row per customer, with the reasons in `language` ("en" or
/// "zh", NULL = "en"): "customer", "as_of", "churn_probability", "horizon_days", "risk_tier",
/// "rfm_segment", "lifecycle", "reasons", "action", "offers", "channels", "expected_response",
/// "contact_cost", "offer_cost"; where the plan is made for profit also "expected_profit", "change",
/// "source", "day", "no_action".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_plan_csv(
    result: *const churn_win_back,
    language: *const c_char,
    csv: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (result, language, out) = unsafe {
            (
                guard::handle(result, "result")?,
                self::language(language)?,
                Out::new(csv, "csv")?,
            )
        };
        let mut bytes = Vec::new();
        result.whole.write_plan(&mut bytes, language)?;
        out.write_handle(churn_bytes::new(bytes));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees the result with all its tables; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_free(result: *mut churn_win_back) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(result) }
}
