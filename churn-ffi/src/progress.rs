//! Watching and stopping long calls from another thread, without callbacks across the border.

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use churn_core::progress::{Control, Progress, Update};

use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};

/// What a running call has done so far, and the switch that stops it. One thread passes it to a
/// long call, others read it or cancel; all functions but the free are safe from any thread.
pub struct churn_progress {
    last: Mutex<Update>,
    cancelled: AtomicBool,
}

const NOTHING: Update = Update {
    step: "",
    done: 0,
    total: 0,
};

impl churn_progress {
    fn last(&self) -> MutexGuard<'_, Update> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, update: Update) -> Control {
        let mut last = self.last();
        // Reports of one step may arrive in any order from several threads; the count only grows.
        let same_step = last.step == update.step && last.total == update.total;
        if !same_step || update.done > last.done {
            *last = update;
        }
        if self.cancelled.load(Ordering::Relaxed) {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

/// Runs a long call of the core under a progress handle, if there is one.
pub(crate) fn observe<R>(
    progress: Option<&churn_progress>,
    run: impl FnOnce(&Progress<'_>) -> R,
) -> R {
    match progress {
        None => run(&Progress::none()),
        Some(progress) => run(&Progress::new(&|update| progress.note(update))),
    }
}

/// Makes a progress handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_progress_new(
    progress: *mut *mut churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a place for one pointer.
        let out = unsafe { Out::new(progress, "progress") }?;
        out.write_handle(churn_progress {
            last: Mutex::new(NOTHING),
            cancelled: AtomicBool::new(false),
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads what was reported last: the running step (static UTF-8 of `step_length` bytes without
/// NUL; length 0 before the first report) and how many of its units are done. Every output may be
/// NULL; the others belong together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_progress_read(
    progress: *const churn_progress,
    step: *mut *const c_char,
    step_length: *mut usize,
    done: *mut u64,
    total: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (progress, step, step_length, done, total) = unsafe {
            (
                guard::handle(progress, "progress")?,
                Out::optional(step),
                Out::optional(step_length),
                Out::optional(done),
                Out::optional(total),
            )
        };
        let last = *progress.last();
        if let Some(step) = step {
            step.write(last.step.as_ptr().cast());
        }
        if let Some(length) = step_length {
            length.write(last.step.len());
        }
        if let Some(done) = done {
            done.write(last.done);
        }
        if let Some(total) = total {
            total.write(last.total);
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Asks the calls that use this handle to stop; they return CHURN_CANCELLED at their next report.
/// Calls started later with the same handle stop as well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_progress_cancel(
    progress: *const churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle.
        let progress = unsafe { guard::handle(progress, "progress") }?;
        progress.cancelled.store(true, Ordering::Relaxed);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a progress handle, after the calls that use it returned; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_progress_free(progress: *mut churn_progress) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(progress) }
}
