//! New events into an existing log.

use std::ptr;

use churn_core::events::Appended;

use crate::cleaning::churn_cleaning_report;
use crate::columns::churn_columns;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard};
use crate::progress::churn_progress;

/// What an append did.
pub struct churn_appended {
    appended: Appended,
    report: churn_cleaning_report,
}

/// Adds a batch of events, late ones and duplicates included, under the cleaning that the log was
/// built with: the same as building the log once from all rows. If the call fails (CHURN_PANIC
/// aside) or is cancelled, the log is as it was before. `progress` and `appended` may be NULL. What
/// was read from the log before (customers, channels, report) is no longer valid; result tables are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_append(
    log: *mut churn_event_log,
    columns: *const churn_columns,
    progress: *const churn_progress,
    appended: *mut *mut churn_appended,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a log that nobody else uses now, and NULL or what
        // each other type says; the arrays behind `columns` are still valid.
        let (log, columns, progress, out) = unsafe {
            (
                guard::handle_mut(log, "log")?,
                guard::handle(columns, "columns")?.borrow()?,
                progress.as_ref(),
                Out::optional(appended),
            )
        };
        let appended = log.append(&columns, progress)?;
        if let Some(out) = out {
            out.write_handle(churn_appended {
                report: churn_cleaning_report::new(&appended.report),
                appended,
            });
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of customers whose events changed; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_appended_touched_count(appended: *const churn_appended) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { appended.as_ref() }.map_or(0, |appended| appended.appended.touched.len())
}

/// Their rows among the customers of the log, ascending: whose features are out of date. Valid until
/// this is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_appended_touched(appended: *const churn_appended) -> *const usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { appended.as_ref() }.map_or(ptr::null(), |appended| appended.appended.touched.as_ptr())
}

/// Number of customers whom the log did not know before; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_appended_new_customers(appended: *const churn_appended) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { appended.as_ref() }.map_or(0, |appended| appended.appended.new_customers)
}

/// What cleaning did to the batch, valid until this is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_appended_report(
    appended: *const churn_appended,
) -> *const churn_cleaning_report {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { appended.as_ref() }.map_or(ptr::null(), |appended| &appended.report)
}

/// Frees what an append told, not the log; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_appended_free(appended: *mut churn_appended) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(appended) }
}
