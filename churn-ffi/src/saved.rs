//! Logs and tables as files.

use std::ffi::c_char;
use std::io::Write;
use std::path::Path;

use churn_core::Error;
use churn_core::events::EventLog;
use churn_core::features::FeatureTable;

use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::features::churn_feature_table;
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

/// Writes a log to a file in the library's own form. At `path` (UTF-8) there is the old file, if any,
/// until the new one is whole. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_save_file(
    log: *const churn_event_log,
    path: *const c_char,
    progress: *const churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (log, path, progress) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(path, "path")?,
                progress.as_ref(),
            )
        };
        let saved = observe(progress, |progress| {
            churn_files::save(Path::new(path), |file| {
                log.log()
                    .save_observed(&mut *file as &mut dyn Write, progress)
            })
        });
        Ok(saved.map_err(Error::from)?)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a log that churn_event_log_save_file wrote. A file that is cut short, damaged, forged or of
/// a newer version fails with CHURN_INVALID_VALUE, naming the place. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_load_file(
    path: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (path, progress, out) = unsafe {
            (
                guard::text(path, "path")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let loaded = observe(progress, |progress| {
            churn_files::load(Path::new(path), |file| {
                EventLog::load_observed(file, progress)
            })
        });
        out.write_handle(churn_event_log::new(loaded.map_err(Error::from)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The content of the file that churn_event_log_save_file would write. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_save(
    log: *const churn_event_log,
    progress: *const churn_progress,
    bytes: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (log, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                progress.as_ref(),
                Out::new(bytes, "bytes")?,
            )
        };
        let mut file = Vec::new();
        observe(progress, |progress| {
            log.log().save_observed(&mut file, progress)
        })?;
        out.write_handle(churn_bytes::new(file));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a saved log from the bytes of its whole file, e.g. a memory-mapped one, which are not needed
/// any more then. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_load(
    bytes: *const u8,
    byte_count: usize,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (bytes, progress, out) = unsafe {
            (
                guard::slice(bytes, byte_count, "bytes")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let loaded = observe(progress, |progress| {
            EventLog::from_bytes_observed(bytes, progress)
        })?;
        out.write_handle(churn_event_log::new(loaded));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// A feature table as the content of a file, bit for bit; its population is not in it. `progress`
/// may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_save(
    table: *const churn_feature_table,
    progress: *const churn_progress,
    bytes: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (table, progress, out) = unsafe {
            (
                guard::handle(table, "table")?,
                progress.as_ref(),
                Out::new(bytes, "bytes")?,
            )
        };
        let mut file = Vec::new();
        observe(progress, |progress| table.table().save(&mut file, progress))?;
        out.write_handle(churn_bytes::new(file));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a saved feature table from the bytes of its whole file. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_load(
    bytes: *const u8,
    byte_count: usize,
    progress: *const churn_progress,
    table: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (bytes, progress, out) = unsafe {
            (
                guard::slice(bytes, byte_count, "bytes")?,
                progress.as_ref(),
                Out::new(table, "table")?,
            )
        };
        let loaded = observe(progress, |progress| {
            FeatureTable::from_bytes(bytes, progress)
        })?;
        out.write_handle(churn_feature_table::new(loaded));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
