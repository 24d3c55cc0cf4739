//! Work on customers in chunks, in parallel, with progress that can stop it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// Customers of one chunk, for whom one progress report stands.
pub(super) const CHUNK: usize = 2048;

/// How many chunks so many customers make.
pub(super) fn count(customers: usize) -> usize {
    customers.div_ceil(CHUNK)
}

/// Works on each chunk of `customers`: on what it holds, its rows, and a thread's working memory.
/// The answers in the order of the chunks; the error is that of the first chunk that has one,
/// whatever the threads did.
pub(super) fn work<C: Send, S, T: Send>(
    customers: usize,
    chunks: &mut [C],
    (name, progress): (&'static str, &Progress<'_>),
    memory: impl Fn() -> S + Sync + Send,
    work: impl Fn(&mut S, &mut C, Range<usize>) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    let step = progress.step(name, customers);
    let stopped = AtomicBool::new(false);
    let results: Vec<Result<T>> = chunks
        .par_iter_mut()
        .enumerate()
        .map_init(memory, |memory, (chunk, held)| {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::cancelled(name));
            }
            let rows = chunk * CHUNK..customers.min((chunk + 1) * CHUNK);
            let count = rows.len();
            let answer = work(memory, held, rows)?;
            step.advance(count)
                .inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
            Ok(answer)
        })
        .collect();
    let mut answers = Vec::with_capacity(results.len());
    let mut cancelled = None;
    for result in results {
        match result {
            Ok(answer) => answers.push(answer),
            Err(error) if error.kind() == ErrorKind::Cancelled => cancelled = Some(error),
            Err(error) => return Err(error),
        }
    }
    cancelled.map_or(Ok(answers), Err)
}
