//! Which customer did something in which period.

use std::ops::AddAssign;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::events::{EventKind, History};
use crate::progress::Progress;
use crate::time::{Calendar, Period, Periods, Timestamp, Weekday};

/// Customers that one piece of parallel work covers.
const CHUNK: usize = 2048;
/// More cells than this are not read by anybody.
const MOST_CELLS: usize = 20_000_000;

/// A set of kinds of event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds(u32);

impl Kinds {
    /// Empty = every kind.
    pub(super) fn new(kinds: &[EventKind]) -> Self {
        if kinds.is_empty() {
            return Kinds(u32::MAX);
        }
        Kinds(kinds.iter().fold(0, |bits, kind| bits | 1 << kind.code()))
    }

    #[inline]
    pub(super) fn has(self, kind: EventKind) -> bool {
        self.0 & (1 << kind.code()) != 0
    }
}

/// The periods of a history: from its first event, or from `since`, to the one that `as_of` cuts or
/// ends. An error without events in that span.
pub(super) fn cover(
    place: &str,
    history: &History<'_>,
    (time_zone, period, week_start): (&str, Period, Weekday),
    since: Option<Timestamp>,
) -> Result<Periods> {
    let calendar = Calendar::new(time_zone, period, week_start)?;
    let as_of = history.as_of().instant();
    let first = (0..history.customers().len())
        .into_par_iter()
        .filter_map(|row| history.customer(row).events().next())
        .map(|event| event.time)
        .min();
    let Some(first) = first else {
        return Err(Error::not_enough_data(
            place,
            "at least one event before as_of",
            "none",
        ));
    };
    let last = Timestamp::from_micros(as_of.micros() - 1)?;
    let begin = since.unwrap_or(first);
    if begin > last {
        return Err(Error::invalid_parameter(
            format!("{place}.since"),
            format_args!("an instant before as_of, {as_of}"),
            begin,
        ));
    }
    calendar.periods(begin, last).map_err(|error| {
        Error::invalid_parameter(format!("{place}.since"), error.expected(), error.got())
    })
}

/// Refuses tables too large to hold.
pub(super) fn check_cells(place: &str, rows: usize, columns: usize) -> Result<()> {
    if rows.saturating_mul(columns) <= MOST_CELLS {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        place,
        format_args!("at most {MOST_CELLS} cells: longer periods, a later start or fewer columns"),
        format_args!("{rows} x {columns}"),
    ))
}

/// Adds up counts over all customers; whole numbers, so that the order of threads cannot matter.
pub(super) fn count<S: Clone + Send>(
    history: &History<'_>,
    progress: &Progress<'_>,
    step: &'static str,
    counts: usize,
    scratch: impl Fn() -> S + Sync,
    customer: impl Fn(usize, &mut S, &mut [u64]) + Sync,
) -> Result<Vec<u64>> {
    let n = history.customers().len();
    let step = progress.step(step, n);
    let zero = || Ok((vec![0_u64; counts], scratch()));
    let summed = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .fold(zero, |sums: Result<(Vec<u64>, S)>, chunk| {
            let (mut sums, mut scratch) = sums?;
            let rows = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
            let done = rows.len();
            for row in rows {
                customer(row, &mut scratch, &mut sums);
            }
            step.advance(done)?;
            Ok((sums, scratch))
        })
        .map(|sums| sums.map(|(sums, _)| sums))
        .reduce(
            || Ok(Vec::new()),
            |a, b| {
                let (mut a, b) = (a?, b?);
                if a.is_empty() {
                    return Ok(b);
                }
                a.iter_mut().zip(&b).for_each(|(a, b)| a.add_assign(b));
                Ok(a)
            },
        )?;
    Ok(if summed.is_empty() {
        vec![0; counts]
    } else {
        summed
    })
}

/// Notes a period once: periods of ascending times ascend.
#[inline]
pub(super) fn note(periods: &mut Vec<u32>, period: usize) {
    let period = period as u32;
    if periods.last() != Some(&period) {
        periods.push(period);
    }
}
