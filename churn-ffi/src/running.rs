//! One customer's summary, brought up to date by each new order.

use std::ffi::c_char;

use churn_core::features::{RunningSummary, SummarySettings};
use churn_core::settings::from_json;
use churn_core::{AsOf, Error, Timestamp};

use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};

/// What a customer's purchases so far leave behind: enough to go on without the old log.
pub struct churn_running_summary(RunningSummary);

fn read_time(text: &str) -> churn_core::Result<Timestamp> {
    Timestamp::parse(text)
        .map_err(|error| Error::invalid_parameter("time", error.expected(), error.got()))
}

/// Begins with a customer's first purchase, an instant in text. `settings` is JSON with the fields
/// of the core's SummarySettings (NULL = defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_new(
    time: *const c_char,
    settings: *const c_char,
    summary: *mut *mut churn_running_summary,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or texts ending in NUL, and NULL or a place for a
        // pointer.
        let (time, settings, out) = unsafe {
            (
                guard::text(time, "time")?,
                guard::settings::<SummarySettings>(settings, "summary")?,
                Out::new(summary, "summary")?,
            )
        };
        let begun = RunningSummary::new(read_time(time)?, &settings)?;
        out.write_handle(churn_running_summary(begun));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds a purchase, no earlier than the period of the last one; a failure changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_add(
    summary: *mut churn_running_summary,
    time: *const c_char,
    value: f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle that nobody else uses, and NULL or a
        // text ending in NUL.
        let (summary, time) = unsafe {
            (
                guard::handle_mut(summary, "summary")?,
                guard::text(time, "time")?,
            )
        };
        Ok(summary.0.add(read_time(time)?, value)?)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The row of the summary as of an instant after the last purchase: frequency, recency, age,
/// monetary value and log gaps, five numbers in this order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_row(
    summary: *const churn_running_summary,
    as_of: *const c_char,
    row: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or room for five numbers.
        let (summary, as_of, out) = unsafe {
            (
                guard::handle(summary, "summary")?,
                guard::text(as_of, "as_of")?,
                Out::array(row, 5, "row")?,
            )
        };
        let row = summary.0.row(AsOf::parse(as_of)?)?;
        out.write_all(&[
            row.frequency,
            row.recency,
            row.age,
            row.monetary_value,
            row.log_gaps,
        ]);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a running summary in JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_from_json(
    json: *const c_char,
    summary: *mut *mut churn_running_summary,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for a
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(summary, "summary")?) };
        out.write_handle(churn_running_summary(from_json("summary", json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The running summary as bytes of JSON, to store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_to_json(
    summary: *const churn_running_summary,
    json: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (summary, out) =
            unsafe { (guard::handle(summary, "summary")?, Out::new(json, "json")?) };
        let text = serde_json::to_vec(&summary.0)
            .map_err(|error| Error::invalid_parameter("summary", "plain data", error))?;
        out.write_handle(churn_bytes::new(text));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a running summary; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_running_summary_free(summary: *mut churn_running_summary) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(summary) }
}
