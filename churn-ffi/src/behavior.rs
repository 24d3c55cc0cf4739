//! What customers did, seen together: retention, lifecycle over time, stickiness.

use std::ffi::c_char;

use churn_core::AsOf;
use churn_core::arrow::{lifecycle_batch, retention_batch, stickiness_batch};
use churn_core::behavior::{LifecycleSettings, Mean, RetentionSettings, StickinessSettings};
use serde_json::json;

use crate::analysis::churn_analysis;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

/// Who came back, one row per cohort and period: "cohort" (its first day), "start", "size",
/// "cohort_complete", "from_period", "to_period", "retained", "share" (null where the time has not
/// begun), "complete". Facts: "periods" (pairs), "weighted" and "simple", the two mean curves.
/// `settings` is JSON with the fields of the core's RetentionSettings, NULL = defaults; `progress` may
/// be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_retention(
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<RetentionSettings>(settings, "retention")?,
                progress.as_ref(),
                Out::new(analysis, "analysis")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let table = observe(progress, |progress| settings.table(&history, progress))?;
        let facts = json!({
            "periods": table.columns(),
            "weighted": table.curve(Mean::Weighted),
            "simple": table.curve(Mean::Simple),
        });
        out.write_handle(churn_analysis::new(retention_batch(&table)?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Customers by state, one row per period: "period" (its first day), "start", "new", "returning",
/// "resurrecting", "dormant", "complete". `settings` is JSON with the fields of the core's
/// LifecycleSettings, NULL = defaults; `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifecycle_over_time(
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<LifecycleSettings>(settings, "lifecycle_over_time")?,
                progress.as_ref(),
                Out::new(analysis, "analysis")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let table = observe(progress, |progress| settings.table(&history, progress))?;
        out.write_handle(churn_analysis::new(lifecycle_batch(&table)?, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Customers by the number of periods in which they were active: "periods", "customers". Facts:
/// "ratio" (null where nobody was), "complete". `settings` is JSON with the fields of the core's
/// StickinessSettings, NULL = defaults; `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_stickiness(
    log: *const churn_event_log,
    as_of: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<StickinessSettings>(settings, "stickiness")?,
                progress.as_ref(),
                Out::new(analysis, "analysis")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let table = observe(progress, |progress| settings.table(&history, progress))?;
        let facts = json!({"ratio": table.ratio(), "complete": table.complete()});
        out.write_handle(churn_analysis::new(stickiness_batch(&table)?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
