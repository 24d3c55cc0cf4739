//! Scorecards and the scores they give: churn probabilities with their reasons.

use std::ffi::{CString, c_char};
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::score_batch;
use churn_core::scoring::{Scorecard, Scores};
use churn_core::text::Language;

use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{churn_error, churn_status};
use crate::features::churn_feature_table;
use crate::guard::{self, Out, Result, guard, in_range};
use crate::held::Held;
use crate::progress::{churn_progress, observe};
use crate::texts::{LazyText, c_texts, churn_texts};

/// An expert scorecard: points per range of each feature, added up to a churn probability.
pub struct churn_scorecard {
    card: Scorecard,
    json: LazyText,
    toml: LazyText,
}

/// Churn probabilities of all customers, with the points of every factor.
pub struct churn_scores {
    scores: Held<Scores>,
    customers: churn_customers,
    factors: Vec<CString>,
}

impl churn_scorecard {
    pub(crate) fn new(card: Scorecard) -> Self {
        churn_scorecard {
            card,
            json: LazyText::default(),
            toml: LazyText::default(),
        }
    }
}

impl churn_scores {
    pub(crate) fn new(scores: impl Into<Held<Scores>>) -> Self {
        let scores = scores.into();
        churn_scores {
            customers: churn_customers::new(scores.customers()),
            factors: c_texts(scores.factors()),
            scores,
        }
    }

    pub(crate) fn scores(&self) -> &Scores {
        &self.scores
    }
}

/// The scorecard that the library brings along.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_default(
    card: *mut *mut churn_scorecard,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a place for one pointer.
        let out = unsafe { Out::new(card, "card") }?;
        out.write_handle(churn_scorecard::new(Scorecard::default()));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a scorecard in JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_from_json(
    json: *const c_char,
    card: *mut *mut churn_scorecard,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(card, "card")?) };
        out.write_handle(churn_scorecard::new(Scorecard::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a scorecard in TOML.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_from_toml(
    toml: *const c_char,
    card: *mut *mut churn_scorecard,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (toml, out) = unsafe { (guard::text(toml, "toml")?, Out::new(card, "card")?) };
        out.write_handle(churn_scorecard::new(Scorecard::from_toml(toml)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The scorecard as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_to_json(
    card: *const churn_scorecard,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (card, out) = unsafe { (guard::handle(card, "card")?, Out::new(json, "json")?) };
        out.write(card.json.get(|| card.card.to_json())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The scorecard as TOML, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_to_toml(
    card: *const churn_scorecard,
    toml: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (card, out) = unsafe { (guard::handle(card, "card")?, Out::new(toml, "toml")?) };
        out.write(card.toml.get(|| card.card.to_toml())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Scores every customer of a table. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_score(
    card: *const churn_scorecard,
    table: *const churn_feature_table,
    progress: *const churn_progress,
    scores: *mut *mut churn_scores,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (card, table, progress, out) = unsafe {
            (
                guard::handle(card, "card")?,
                guard::handle(table, "table")?,
                progress.as_ref(),
                Out::new(scores, "scores")?,
            )
        };
        let scores = observe(progress, |progress| {
            card.card.score_observed(table.table(), progress)
        })?;
        out.write_handle(churn_scores::new(scores));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a scorecard; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorecard_free(card: *mut churn_scorecard) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(card) }
}

/// Number of customers (rows); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_len(scores: *const churn_scores) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(0, |scores| scores.scores.churn_probability().len())
}

/// The customers, one per row, valid until the scores are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_customers(
    scores: *const churn_scores,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(ptr::null(), |scores| &scores.customers)
}

/// The instant that the scores describe, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_as_of_micros(scores: *const churn_scores) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(0, |scores| scores.scores.as_of().instant().micros())
}

/// How many days the probability looks ahead; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_horizon_days(scores: *const churn_scores) -> u32 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(0, |scores| scores.scores.horizon().as_days())
}

/// Probability of no purchase within the horizon, one per customer, valid until the scores are
/// freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_churn_probability(scores: *const churn_scores) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(ptr::null(), |scores| {
        scores.scores.churn_probability().as_ptr()
    })
}

/// Points that every customer begins with; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_base_points(scores: *const churn_scores) -> f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(0.0, |scores| scores.scores.base_points())
}

/// Number of factors; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_factor_count(scores: *const churn_scores) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { scores.as_ref() }.map_or(0, |scores| scores.factors.len())
}

/// A factor: its name, and its points for every customer (positive raises the churn probability).
/// Each output may be NULL; both are valid until the scores are freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_factor(
    scores: *const churn_scores,
    index: usize,
    name: *mut *const c_char,
    points: *mut *const f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (scores, name, points) = unsafe {
            (
                guard::handle(scores, "scores")?,
                Out::optional(name),
                Out::optional(points),
            )
        };
        let index = in_range(index, scores.factors.len(), "index")?;
        if let Some(out) = name {
            out.write(scores.factors[index].as_ptr());
        }
        if let Some(out) = points {
            out.write(scores.scores.points_at(index).as_ptr());
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The factors that moved one customer's probability most, largest first. `factors` (indices of
/// factors), `points` and `values` (of the features behind the factors, NaN where missing) have room
/// for `limit` numbers; `values` may be NULL. `count` receives how many were written: factors that
/// moved nothing are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_reasons(
    scores: *const churn_scores,
    row: usize,
    limit: usize,
    factors: *mut usize,
    points: *mut f64,
    values: *mut f64,
    count: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for the count.
        let (scores, count) =
            unsafe { (guard::handle(scores, "scores")?, Out::new(count, "count")?) };
        let row = in_range(row, scores.scores.customers().len(), "row")?;
        let reasons = scores.scores.reasons(row, limit);
        let position = |feature: &str| scores.scores.factors().iter().position(|f| f == feature);
        let indices: Vec<usize> = reasons.iter().filter_map(|r| position(r.feature)).collect();
        let amounts: Vec<f64> = reasons.iter().map(|r| r.points).collect();
        let cells: Vec<f64> = reasons
            .iter()
            .map(|r| r.value.unwrap_or(f64::NAN))
            .collect();
        let value_room = if values.is_null() { 0 } else { limit };
        // SAFETY: the caller hands over NULL or room for `limit` values, and there are no more.
        let (factors, points, values) = unsafe {
            (
                Out::array(factors, limit, "factors")?,
                Out::array(points, limit, "points")?,
                Out::array(values, value_room, "values")?,
            )
        };
        count.write(reasons.len());
        factors.write_all(&indices);
        points.write_all(&amounts);
        values.write_all(&cells);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The same reasons as sentences, e.g. "no purchase for 93 days: +16 points". `language` is "en" or
/// "zh" (NULL = "en").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_sentences(
    scores: *const churn_scores,
    row: usize,
    limit: usize,
    language: *const c_char,
    sentences: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (scores, language, out) = unsafe {
            (
                guard::handle(scores, "scores")?,
                self::language(language)?,
                Out::new(sentences, "sentences")?,
            )
        };
        let row = in_range(row, scores.scores.customers().len(), "row")?;
        out.write_handle(churn_texts::new(
            scores.scores.sentences(row, limit, language),
        ));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the scores as an Arrow C stream: "customer", "churn_probability", "points_FACTOR" per
/// factor and "reason_1" to "reason_N", N = `reasons`. The stream is independent of the scores; release
/// it. What stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_export(
    scores: *const churn_scores,
    reasons: usize,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (scores, out) = unsafe {
            (
                guard::handle(scores, "scores")?,
                Out::new(stream, "stream")?,
            )
        };
        export(score_batch(&scores.scores, reasons)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees scores; what was read from them (customers, columns, names) goes with them. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scores_free(scores: *mut churn_scores) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(scores) }
}

/// A language by its name; NULL means English.
///
/// # Safety
/// `name` is NULL or ends in NUL.
pub(crate) unsafe fn language(name: *const c_char) -> Result<Language> {
    if name.is_null() {
        return Ok(Language::default());
    }
    // SAFETY: as the caller says.
    let name = unsafe { guard::text(name, "language") }?;
    Ok(Language::from_code(name)?)
}
