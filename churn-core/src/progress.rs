//! Progress and cancellation of long steps, as one callback that the caller owns.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// What a progress callback is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// The step that is running, e.g. `"events.order"`.
    pub step: &'static str,
    /// Units of work done so far in this step (rows or customers); never above `total`.
    pub done: u64,
    /// Units of work of the whole step.
    pub total: u64,
}

/// What the callback answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop as soon as possible; the call returns [`ErrorKind::Cancelled`](crate::ErrorKind).
    Stop,
}

type Callback<'a> = dyn Fn(Update) -> Control + Sync + 'a;

/// A progress observer that long steps report to, or none.
///
/// The callback may be called from several threads at once and must be quick.
///
/// # Example
/// ```
/// use churn_core::progress::{Control, Progress};
/// let callback = |update: churn_core::progress::Update| {
///     assert!(update.done <= update.total);
///     Control::Continue
/// };
/// let progress = Progress::new(&callback);
/// # let _ = progress;
/// ```
#[derive(Clone, Copy, Default)]
pub struct Progress<'a> {
    callback: Option<&'a Callback<'a>>,
}

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Progress(observed: {})", self.callback.is_some())
    }
}

impl<'a> Progress<'a> {
    /// Nobody watches.
    pub fn none() -> Self {
        Self { callback: None }
    }

    /// Report to `callback`.
    pub fn new(callback: &'a Callback<'a>) -> Self {
        Self {
            callback: Some(callback),
        }
    }

    /// Begins a step of `total` units; units are added from any thread.
    pub(crate) fn step(&self, name: &'static str, total: usize) -> Step<'a> {
        Step {
            callback: self.callback,
            name,
            total: total as u64,
            done: AtomicU64::new(0),
        }
    }
}

/// One running step.
pub(crate) struct Step<'a> {
    callback: Option<&'a Callback<'a>>,
    name: &'static str,
    total: u64,
    done: AtomicU64,
}

impl Step<'_> {
    /// Counts `units` as done and asks the callback whether to go on.
    pub(crate) fn advance(&self, units: usize) -> Result<()> {
        let Some(callback) = self.callback else {
            return Ok(());
        };
        let before = self.done.fetch_add(units as u64, Ordering::Relaxed);
        let update = Update {
            step: self.name,
            done: (before + units as u64).min(self.total),
            total: self.total,
        };
        match callback(update) {
            Control::Continue => Ok(()),
            Control::Stop => Err(Error::cancelled(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn stop_becomes_an_error() {
        let callback = |update: Update| {
            if update.done >= 20 {
                Control::Stop
            } else {
                Control::Continue
            }
        };
        let progress = Progress::new(&callback);
        let step = progress.step("events.order", 30);
        assert!(step.advance(10).is_ok());
        let error = step.advance(10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(error.what(), "events.order");
    }
}
