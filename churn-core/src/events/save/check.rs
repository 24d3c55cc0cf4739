//! Everything that the library relies on in a log, confirmed for one that comes from a file.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::{MAX_EVENTS, NO_CHANNEL, Summary, wrong};
use crate::error::{Error, Result};
use crate::events::bucket::mark_first_lines;
use crate::events::clean::{Cleaning, MAX_VALUE};
use crate::events::ids::NONE;
use crate::events::{EventKind, EventLog, FIRST_LINE, KIND_BITS, Span};
use crate::math::sum::ExactSum;
use crate::progress::Progress;
use crate::time::Timestamp;

/// Customers that one thread takes at a time.
const CHUNK: usize = 4096;

/// Rows of input beyond which counts of appended batches could run over.
const MOST_ROWS: u64 = 1 << 60;

/// Confirms that the counts of a file fit together, before room is made for anything.
pub(super) fn summary(summary: &Summary) -> Result<()> {
    let at_most = |what: &str, most: u64, got: u64| {
        if got > most {
            return Err(wrong(
                "file.log",
                format_args!("at most {most} {what}"),
                got,
            ));
        }
        Ok(())
    };
    at_most("events", MAX_EVENTS, summary.events)?;
    at_most(
        "customers, one per event",
        summary.events,
        summary.customers,
    )?;
    at_most("items", MAX_EVENTS, summary.items)?;
    at_most("as the type of orders", 3, summary.order_type)?;
    at_most("as the type of items", 3, summary.item_type)?;
    at_most("channels", u64::from(NO_CHANNEL) + 1, summary.channels)?;
    if summary.item_type == 0 && summary.items > 0 {
        return Err(wrong("file.log", "a type of items", "none"));
    }
    let report = summary.ledger.report();
    at_most("rows", MOST_ROWS, report.rows_in)?;
    at_most("unreadable cells", MOST_ROWS, report.unreadable_cells)?;
    if report.rows_kept != summary.events {
        let expected = format_args!("{} rows kept", summary.events);
        return Err(wrong("file.log", expected, report.rows_kept));
    }
    let (counts, _) = summary.ledger.parts();
    // Kept and dropped rows are rows of the input; kept copies and refunds are rows once more.
    let dropped = counts[5..]
        .iter()
        .try_fold(report.rows_kept, |sum, rows| sum.checked_add(*rows));
    let fits = dropped.is_some_and(|rows| rows <= report.rows_in)
        && report.read_as_refund.rows <= report.rows_in
        && report.duplicates_kept.rows <= report.rows_in;
    if !fits {
        let expected = format_args!("counts of at most {} rows", report.rows_in);
        return Err(wrong("file.log", expected, "more"));
    }
    Ok(())
}

/// Confirms that a log cleaned so can have these columns.
pub(super) fn settings(summary: &Summary, cleaning: &Cleaning) -> Result<()> {
    let keep = &cleaning.keep;
    for (name, kept, there) in [
        ("channels", keep.channels, summary.channels > 0),
        ("orders", keep.orders, summary.order_type > 0),
        ("items", keep.items, summary.item_type > 0),
    ] {
        if there && !kept {
            let expected = format_args!("a cleaning that keeps the {name} of the file");
            return Err(wrong("file.cleaning", expected, "one that leaves them out"));
        }
    }
    Ok(())
}

/// Confirms every event of every customer.
pub(super) fn events(log: &EventLog, progress: &Progress<'_>) -> Result<()> {
    if log.channel_names.len() > usize::from(NO_CHANNEL) {
        let expected = format_args!("at most {NO_CHANNEL} names");
        return Err(wrong("file.channels", expected, log.channel_names.len()));
    }
    let step = progress.step("file.check", log.len());
    let customers = log.spans.len();
    let sums: Vec<Result<(ExactSum, ExactSum)>> = (0..customers.div_ceil(CHUNK))
        .into_par_iter()
        .map_init(Scratch::default, |scratch, chunk| {
            let rows = chunk * CHUNK..customers.min((chunk + 1) * CHUNK);
            let mut events = 0;
            let (mut bought, mut refunded) = (ExactSum::default(), ExactSum::default());
            for row in rows {
                customer(log, row, scratch)?;
                let span = log.spans[row];
                for (coded, value) in log.kinds.of(span).iter().zip(log.values.of(span)) {
                    match coded & KIND_BITS {
                        k if k == EventKind::Purchase.code() => bought.add(*value),
                        k if k == EventKind::Refund.code() => refunded.add(*value),
                        _ => {}
                    }
                }
                events += span.len as usize;
            }
            step.advance(events)?;
            Ok((bought, refunded))
        })
        .collect();
    let (mut bought, mut refunded) = (ExactSum::default(), ExactSum::default());
    // In order, so that the wrong event named is the first one whatever the threads did.
    for sum in sums {
        let (more_bought, more_refunded) = sum?;
        bought.merge(more_bought);
        refunded.merge(more_refunded);
    }
    for (what, stated, found) in [
        ("purchases", log.ledger.bought, bought),
        ("refunds", log.ledger.refunded, refunded),
    ] {
        if stated != found {
            let expected = format_args!("{} of {what}", found.value());
            return Err(wrong("file.log", expected, stated.value()));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Scratch {
    kinds: Vec<u8>,
    lines: Vec<(u64, u32)>,
}

/// The events of one customer, whose first is event `first` of the file.
struct Events<'l> {
    first: usize,
    times: &'l [i64],
    kinds: &'l [u8],
    values: &'l [f64],
    channels: Option<&'l [u8]>,
    orders: Option<&'l [u64]>,
    items: Option<&'l [u32]>,
}

impl<'l> Events<'l> {
    fn of(log: &'l EventLog, span: Span) -> Self {
        Events {
            // A log that was just read has one piece.
            first: span.start as usize,
            times: log.times.of(span),
            kinds: log.kinds.of(span),
            values: log.values.of(span),
            channels: log.channels.as_ref().map(|cells| cells.of(span)),
            orders: log.orders.as_ref().map(|cells| cells.of(span)),
            items: log.items.as_ref().map(|cells| cells.of(span)),
        }
    }
}

fn customer(log: &EventLog, row: usize, scratch: &mut Scratch) -> Result<()> {
    let events = Events::of(log, log.spans[row]);
    for i in 0..events.times.len() {
        event(log, &events, i)?;
        if i > 0 && order(&events, i - 1, i) == Ordering::Greater {
            let (time, before) = (events.times[i], events.times[i - 1]);
            let got = format_args!("a time of {time} behind one of {before}");
            let expected = "events in order of time, kind, value, channel, order and item";
            let row = events.first + i;
            return Err(Error::invalid_value("file.times", row, expected, got));
        }
    }
    scratch.kinds.clear();
    scratch.kinds.extend_from_slice(events.kinds);
    mark_first_lines(
        &mut scratch.kinds,
        events.times,
        events.orders.unwrap_or_default(),
        &mut scratch.lines,
    );
    let mut marks = scratch.kinds.iter().zip(events.kinds);
    match marks.position(|(right, stored)| right != stored) {
        None => Ok(()),
        Some(i) => {
            let opens = scratch.kinds[i] & FIRST_LINE != 0;
            let expected = if opens {
                "the mark of a new order"
            } else {
                "no mark of a new order"
            };
            let got = if opens { "none" } else { "one" };
            Err(Error::invalid_value(
                "file.kinds",
                events.first + i,
                expected,
                got,
            ))
        }
    }
}

/// Confirms one event by itself.
fn event(log: &EventLog, events: &Events<'_>, i: usize) -> Result<()> {
    let row = events.first + i;
    let coded = events.kinds[i];
    let Some(kind) = EventKind::from_code(coded & KIND_BITS) else {
        let expected = "a kind code from 1 to 15";
        return Err(Error::invalid_value(
            "file.kinds",
            row,
            expected,
            coded & KIND_BITS,
        ));
    };
    if !log.cleaning.keep.includes(kind) {
        let expected = "a kind that the cleaning of the file keeps";
        return Err(Error::invalid_value(
            "file.kinds",
            row,
            expected,
            kind.name(),
        ));
    }
    let value = events.values[i];
    let valued = kind.is_money() || kind == EventKind::View;
    // Minus zero is refused too: equal money has equal bits.
    if !(0.0..=MAX_VALUE).contains(&value) || value.is_sign_negative() || !valued && value > 0.0 {
        let most = if valued { MAX_VALUE } else { 0.0 };
        let expected = format_args!("a number from 0 to {most:e} for a {}", kind.name());
        return Err(Error::invalid_value("file.values", row, expected, value));
    }
    if let Err(error) = Timestamp::from_micros(events.times[i]) {
        return Err(Error::invalid_value(
            "file.times",
            row,
            error.expected(),
            error.got(),
        ));
    }
    let below = |place: &str, code: u64, none: u64, count: usize| {
        if code >= count as u64 && code != none {
            let expected = format_args!("a code below {count}");
            return Err(Error::invalid_value(place, row, expected, code));
        }
        Ok(())
    };
    if let Some(channels) = events.channels {
        let (code, none) = (u64::from(channels[i]), u64::from(NO_CHANNEL));
        below("file.event channels", code, none, log.channel_names.len())?;
    }
    if let (Some(items), Some(ids)) = (events.items, &log.item_ids) {
        below(
            "file.event items",
            u64::from(items[i]),
            u64::from(NONE),
            ids.len(),
        )?;
    }
    Ok(())
}

/// The canonical order of two events of one customer.
fn order(events: &Events<'_>, a: usize, b: usize) -> Ordering {
    fn by<T: Ord>(column: Option<&[T]>, a: usize, b: usize) -> Ordering {
        column.map_or(Ordering::Equal, |cells| cells[a].cmp(&cells[b]))
    }
    events.times[a]
        .cmp(&events.times[b])
        .then_with(|| (events.kinds[a] & KIND_BITS).cmp(&(events.kinds[b] & KIND_BITS)))
        .then_with(|| events.values[a].to_bits().cmp(&events.values[b].to_bits()))
        .then_with(|| by(events.channels, a, b))
        .then_with(|| by(events.orders, a, b))
        .then_with(|| by(events.items, a, b))
}
