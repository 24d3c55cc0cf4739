//! New events into an existing log.

use std::ffi::c_char;
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::EventBatches;
use churn_core::events::{Appended, ColumnNames, CsvEvents, CsvOptions};

use crate::arrow;
use crate::cleaning::churn_cleaning_report;
use crate::columns::churn_columns;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

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
        tell(log.append(&columns, progress)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds the rows of a CSV file, plain or gzip, from memory, as churn_event_log_append does. `options`
/// is as for churn_event_log_read_csv, `progress` and `appended` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_append_csv(
    log: *mut churn_event_log,
    bytes: *const u8,
    byte_count: usize,
    options: *const c_char,
    progress: *const churn_progress,
    appended: *mut *mut churn_appended,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a log that nobody else uses now, and NULL or what
        // each other type says.
        let (log, bytes, mut options, progress, out) = unsafe {
            (
                guard::handle_mut(log, "log")?,
                guard::slice(bytes, byte_count, "bytes")?,
                guard::settings::<CsvOptions>(options, "csv")?,
                progress.as_ref(),
                Out::optional(appended),
            )
        };
        options.total_bytes.get_or_insert(byte_count as u64);
        let events = observe(progress, |progress| {
            CsvEvents::read(bytes, &options, progress)
        })?;
        tell(log.append(&events.columns(), progress)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds the rows of an Arrow C stream as churn_event_log_append does. The stream is moved into the
/// call and released, whether it succeeds or fails. `names` is as for churn_event_log_read_stream,
/// `progress` and `appended` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_append_stream(
    log: *mut churn_event_log,
    stream: *mut FFI_ArrowArrayStream,
    names: *const c_char,
    progress: *const churn_progress,
    appended: *mut *mut churn_appended,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a log that nobody else uses now, and NULL or what
        // each other type says. The stream comes first, so that it is released whatever is wrong
        // with the rest.
        let (stream, log, names, progress, out) = unsafe {
            (
                arrow::take_stream(stream)?,
                guard::handle_mut(log, "log")?,
                guard::settings::<ColumnNames>(names, "names")?,
                progress.as_ref(),
                Out::optional(appended),
            )
        };
        let events = EventBatches::from_stream(stream, &names)?;
        tell(log.append(&events.columns()?, progress)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

fn tell(appended: Appended, out: Option<Out<*mut churn_appended>>) {
    if let Some(out) = out {
        out.write_handle(churn_appended {
            report: churn_cleaning_report::new(&appended.report),
            appended,
        });
    }
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
