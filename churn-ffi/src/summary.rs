//! The purchase summary that models of repeat buying take.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::AsOf;
use churn_core::arrow::{holdout_batch, summary_batch};
use churn_core::features::{RfmSummary, SummarySettings, holdout, summarize_observed};

use crate::analysis::churn_analysis;
use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

/// Frequency, recency, age and monetary value of each customer who bought.
pub struct churn_summary {
    summary: Arc<RfmSummary>,
    customers: churn_customers,
}

impl churn_summary {
    pub(crate) fn shared(&self) -> Arc<RfmSummary> {
        Arc::clone(&self.summary)
    }
}

/// Summarizes the purchases strictly before `as_of` (a date or date and time in text); customers who
/// did not buy are left out. `settings` is JSON with the fields of the core's SummarySettings (NULL =
/// periods and units of one day), `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_build(
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    summary: *mut *mut churn_summary,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<SummarySettings>(settings, "summary")?,
                progress.as_ref(),
                Out::new(summary, "summary")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let summary = observe(progress, |progress| {
            summarize_observed(&history, &settings, progress)
        })?;
        out.write_handle(churn_summary {
            customers: churn_customers::new(summary.customers()),
            summary: Arc::new(summary),
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of customers (rows); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_len(summary: *const churn_summary) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(0, |summary| summary.summary.len())
}

/// The customers, one per row, valid until the summary is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_customers(
    summary: *const churn_summary,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(ptr::null(), |summary| &summary.customers)
}

/// The instant that the summary describes, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_as_of_micros(summary: *const churn_summary) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(0, |summary| summary.summary.as_of().instant().micros())
}

/// Length in days of the unit of recency and age; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_unit_days(summary: *const churn_summary) -> f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(0.0, |summary| summary.summary.unit_days())
}

/// Repeat purchases (periods with a purchase minus one), one per customer, valid until the summary
/// is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_frequency(summary: *const churn_summary) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(ptr::null(), |summary| summary.summary.frequency().as_ptr())
}

/// First to last period with a purchase (units), 0 without repeat purchase, valid until the summary
/// is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_recency(summary: *const churn_summary) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(ptr::null(), |summary| summary.summary.recency().as_ptr())
}

/// First period with a purchase to the last period before `as_of` (units), valid until the summary
/// is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_age(summary: *const churn_summary) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(ptr::null(), |summary| summary.summary.age().as_ptr())
}

/// Mean money per repeat period (currency), 0 without repeat purchase, valid until the summary
/// is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_monetary_value(summary: *const churn_summary) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { summary.as_ref() }.map_or(ptr::null(), |summary| {
        summary.summary.monetary_value().as_ptr()
    })
}

/// Sums over the gaps between periods with a purchase of the logarithm of the gap in units, 0 without
/// repeat purchase, valid until the summary is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_log_gaps(summary: *const churn_summary) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let summary = unsafe { summary.as_ref() };
    let log_gaps = summary.and_then(|summary| summary.summary.log_gaps());
    log_gaps.map_or(ptr::null(), <[f64]>::as_ptr)
}

/// What the customers of a calibration summary bought between its `as_of` and a later one, in the
/// same log: "customer", "frequency" (periods with a purchase), "monetary_value" (mean money per such
/// period). Fact: "duration" in units of the summary. `settings` must be those of the summary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_holdout(
    summary: *const churn_summary,
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (summary, log, as_of, settings, out) = unsafe {
            (
                guard::handle(summary, "summary")?,
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<SummarySettings>(settings, "summary")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let later = holdout(&summary.summary, &history, &settings)?;
        let facts = serde_json::json!({"duration": later.duration()});
        let batch = holdout_batch(&summary.summary, &later)?;
        out.write_handle(churn_analysis::new(batch, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the summary as an Arrow C stream: "customer", "frequency", "recency", "age",
/// "monetary_value", "log_gaps". The stream is independent of the summary; release it. What stood in `stream` is
/// overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_export(
    summary: *const churn_summary,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (summary, out) = unsafe {
            (
                guard::handle(summary, "summary")?,
                Out::new(stream, "stream")?,
            )
        };
        export(summary_batch(&summary.summary)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a summary; what was read from it (customers, columns) goes with it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_summary_free(summary: *mut churn_summary) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(summary) }
}
