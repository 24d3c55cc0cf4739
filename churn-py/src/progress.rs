//! Runs a call of the core with the interpreter lock released, on a helper thread, so that other
//! Python threads go on, Ctrl-C is honoured, and a progress callback hears from the calling thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use churn_core::progress::{Control, Progress, Update};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::errors::OrRaise;

/// How often signals are looked at and progress is told.
const POLL: Duration = Duration::from_millis(50);

/// What the working thread and the waiting thread share.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    finished: AtomicBool,
    /// The latest update of each step in the order of the steps, and whether it has been told.
    news: Mutex<Vec<(Update, bool)>>,
}

impl Watch {
    fn note(&self, update: Update) -> Control {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match news.iter_mut().find(|(known, _)| known.step == update.step) {
            // Updates of one step come from several threads and may overtake each other.
            Some((known, _)) if known.done >= update.done => {}
            Some(entry) => *entry = (update, false),
            None => news.push((update, false)),
        }
        if self.stop.load(Ordering::Relaxed) {
            Control::Stop
        } else {
            Control::Continue
        }
    }

    fn untold(&self) -> Vec<Update> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = news.iter_mut().filter(|(_, told)| !told);
        fresh
            .map(|(update, told)| {
                *told = true;
                *update
            })
            .collect()
    }

    /// Tells the observer what is new; it stops the work by returning False or by raising.
    fn tell(&self, observer: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(observer) = observer else {
            return Ok(());
        };
        for Update { step, done, total } in self.untold() {
            let answer = observer.call1((step, done, total))?;
            if answer.is(PyBool::new(observer.py(), false)) {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Wakes the waiting thread when the work ends, even by a panic.
struct Finish<'w>(&'w Watch, Thread);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finished.store(true, Ordering::Release);
        self.1.unpark();
    }
}

/// Runs `call` with the interpreter lock released.
///
/// `observer`, if not None, is called here with (step, done, total), at most every 50 ms and once
/// at the end of each step; True stands for a bar on stderr.
///
/// # Errors
/// What the core answers; `KeyboardInterrupt` and whatever the observer raises, as soon as the
/// core has stopped.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    observer: Option<&Bound<'_, PyAny>>,
    call: impl FnOnce(&Progress<'_>) -> churn_core::Result<T> + Send,
) -> PyResult<T> {
    if let Some(wish) = observer.and_then(|observer| observer.cast::<PyBool>().ok()) {
        if !wish.is_true() {
            return run(py, None, call);
        }
        let bar = py.import("churn._bar")?.getattr("Bar")?.call0()?;
        let answer = run(py, Some(&bar), call);
        bar.call_method0("close")?;
        return answer;
    }
    let watch = Watch::default();
    let here = thread::current();
    let (answer, stopped) = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _finish = Finish(&watch, here);
            call(&Progress::new(&|update| watch.note(update)))
        });
        let mut stopped = Ok(());
        // The first question comes soon, so that short work can be stopped as well.
        let mut pause = Duration::from_millis(1);
        while !watch.finished.load(Ordering::Acquire) {
            py.detach(|| thread::park_timeout(pause));
            pause = (2 * pause).min(POLL);
            if stopped.is_ok() {
                stopped = py.check_signals().and_then(|()| watch.tell(observer));
                if stopped.is_err() {
                    watch.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        (py.detach(|| worker.join()), stopped)
    });
    stopped?;
    let answer = answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if answer.is_ok() {
        watch.tell(observer)?;
    }
    answer.or_raise(py)
}
