//! New events into the places of their customers: first it is found out, reading only, where each
//! of them goes; then every column is moved by itself, by all threads.
//!
//! Customers are taken in the order in which their events lie in memory. Those with room keep their
//! place; the others move behind everything else, with room to grow, and leave garbage behind. Once
//! there would be more garbage than events, everything moves to a fresh column without any.

use std::cmp::Ordering;
use std::ops::Range;

use rayon::prelude::*;

use crate::events::bucket::mark_first_lines;
use crate::events::clean::Count;
use crate::events::ids::NONE;
use crate::events::{
    Column, DuplicatePolicy, EventKind, EventLog, FIRST_LINE, KIND_BITS, NO_CHANNEL, NO_ORDER, Span,
};
use crate::math::sum::ExactSum;

/// Customers that one thread takes at a time, where few of all and where all are taken.
const CHUNK: usize = 1 << 8;
const CHUNK_OF_ALL: usize = 1 << 12;

/// Unused places that a log keeps without reclaiming them, however small it is.
const SPARE: u64 = 1 << 16;

/// Places of the smallest piece that is added to a column.
const PIECE: usize = 1 << 12;

/// New lines of one customer up to which their orders are looked up one by one.
const FEW: usize = 8;

/// Copies of events that the log held before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copies {
    pub(super) rows: u64,
    pub(super) count: Count,
    /// Money of the purchases and of the refunds among them.
    pub(super) bought: ExactSum,
    pub(super) refunded: ExactSum,
}

impl Copies {
    fn add(&mut self, kind: u8, value: f64) {
        self.rows += 1;
        let money = kind <= EventKind::Refund.code();
        self.count.add(if money { value } else { 0.0 });
        if kind == EventKind::Purchase.code() {
            self.bought.add(value);
        } else if kind == EventKind::Refund.code() {
            self.refunded.add(value);
        }
    }

    fn merge(&mut self, other: &Copies) {
        self.rows += other.rows;
        self.count.merge(other.count);
        self.bought.merge(other.bought);
        self.refunded.merge(other.refunded);
    }
}

/// Events of one customer, as the log that holds them codes them.
pub(super) struct Run<'l> {
    times: &'l [i64],
    kinds: &'l [u8],
    values: &'l [f64],
    channels: Option<&'l [u8]>,
    orders: Option<&'l [u64]>,
    items: Option<&'l [u32]>,
}

impl<'l> Run<'l> {
    pub(super) fn of(log: &'l EventLog, span: Span) -> Self {
        Run {
            times: log.times.of(span),
            kinds: log.kinds.of(span),
            values: log.values.of(span),
            channels: log.channels.as_ref().map(|cells| cells.of(span)),
            orders: log.orders.as_ref().map(|cells| cells.of(span)),
            items: log.items.as_ref().map(|cells| cells.of(span)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn time(&self, i: usize) -> i64 {
        self.times[i]
    }

    /// Code of the kind.
    pub(super) fn kind(&self, i: usize) -> u8 {
        self.kinds[i] & KIND_BITS
    }

    pub(super) fn value(&self, i: usize) -> f64 {
        self.values[i]
    }

    pub(super) fn channel(&self, i: usize) -> u8 {
        self.channels.map_or(NO_CHANNEL, |cells| cells[i])
    }

    pub(super) fn order(&self, i: usize) -> u64 {
        self.orders.map_or(NO_ORDER, |cells| cells[i])
    }

    pub(super) fn item(&self, i: usize) -> u32 {
        self.items.map_or(NONE, |cells| cells[i])
    }

    /// Events at an instant.
    pub(super) fn at(&self, time: i64) -> Range<usize> {
        let first = self.times.partition_point(|t| *t < time);
        first..first + self.times[first..].partition_point(|t| *t == time)
    }

    /// The canonical order of the build; both logs code by the same names.
    fn compare(&self, i: usize, other: &Run<'_>, j: usize) -> Ordering {
        (self.time(i), self.kind(i))
            .cmp(&(other.time(j), other.kind(j)))
            // Values are not negative, so their bits sort like they do.
            .then_with(|| self.value(i).to_bits().cmp(&other.value(j).to_bits()))
            .then_with(|| self.channel(i).cmp(&other.channel(j)))
            .then_with(|| self.order(i).cmp(&other.order(j)))
            .then_with(|| self.item(i).cmp(&other.item(j)))
    }

    /// Number of events that do not come behind an event of another log, of which so many are known
    /// not to.
    fn not_behind(&self, before: usize, other: &Run<'_>, j: usize) -> usize {
        let time = other.time(j);
        // Most events are later than all before.
        if self.times.last().is_none_or(|last| *last < time) {
            return self.len();
        }
        let rest = &self.times[before..];
        let mut first = before + rest.partition_point(|t| *t < time);
        let mut end = first + self.times[first..].partition_point(|t| *t == time);
        while first < end {
            let middle = first + (end - first) / 2;
            if self.compare(middle, other, j) == Ordering::Greater {
                end = middle;
            } else {
                first = middle + 1;
            }
        }
        first
    }
}

/// A new event that enters.
#[derive(Clone, Copy)]
struct Step {
    /// Number of the customer's old events before it.
    at: u32,
    /// Its number among the customer's new events.
    new: u32,
}

/// One customer whose events change or move.
#[derive(Clone, Copy)]
struct Job {
    /// Row of the log.
    row: u32,
    /// New events, in the batch.
    new: Span,
    from: Span,
    to: Span,
    moves: bool,
    /// End of its steps among those of the chunk.
    steps: u32,
}

/// Customers whose places one thread writes.
struct Chunk<'j> {
    jobs: &'j mut [Job],
    /// The places that they have, unless all columns are made anew.
    from: Option<(usize, Range<usize>)>,
    /// The places that they get.
    to: Range<usize>,
    steps: Vec<Step>,
    copies: Copies,
}

/// Where the places begin that are given away.
#[derive(Clone, Copy)]
struct Free {
    piece: usize,
    start: usize,
}

/// What is to be done.
struct Plan {
    jobs: Vec<Job>,
    free: Free,
    /// Number of places that are given away.
    given: usize,
    /// Whether the columns are made anew.
    anew: bool,
    /// Places that belong to nobody afterwards.
    garbage: u64,
}

impl Plan {
    fn new(log: &EventLog, batch: &EventLog, touched: &[usize]) -> Self {
        let news = touched.iter().zip(&batch.spans);
        let mut jobs: Vec<Job> = news
            .map(|(row, new)| {
                let from = log.spans[*row];
                Job {
                    row: *row as u32,
                    new: *new,
                    from,
                    to: from,
                    moves: false,
                    steps: 0,
                }
            })
            .collect();
        let (mut given, mut garbage) = (0_u64, log.garbage);
        for job in &mut jobs {
            let events = u64::from(job.from.len) + u64::from(job.new.len);
            if events > u64::from(job.from.room) {
                // Rooms that grow by half move each event a constant number of times.
                let room = events + events / 2 + 2;
                given += room;
                garbage += u64::from(job.from.room);
                job.to.room = u32::try_from(room).unwrap_or(u32::MAX);
                job.moves = true;
            }
        }
        let events = log.len() as u64 + batch.len() as u64;
        if garbage > SPARE.max(events) || given > u64::from(u32::MAX) {
            return Self::anew(log, &jobs);
        }
        // Who has no place yet comes last.
        let key = |job: &Job| match job.from.room {
            0 => u64::MAX,
            _ => u64::from(job.from.piece) << 32 | u64::from(job.from.start),
        };
        jobs.sort_unstable_by_key(key);
        let given = given as usize;
        let (pieces, last) = (log.times.pieces(), log.times.last_len());
        let free = match log.used + given <= last {
            true => Free {
                piece: pieces - 1,
                start: log.used,
            },
            false => Free {
                piece: pieces,
                start: 0,
            },
        };
        let mut start = free.start;
        for job in jobs.iter_mut().filter(|job| job.moves) {
            job.to.piece = free.piece as u32;
            job.to.start = start as u32;
            start += job.to.room as usize;
        }
        Plan {
            jobs,
            free,
            given,
            anew: false,
            garbage,
        }
    }

    /// Everything moves.
    fn anew(log: &EventLog, touched: &[Job]) -> Self {
        let mut touched = touched.iter().peekable();
        let mut given = 0;
        let mut place = |(row, from): (usize, &Span)| {
            let job = touched.next_if(|job| job.row as usize == row);
            let new = job.map_or(Span::new(0, 0), |job| job.new);
            let to = Span {
                room: from.len + new.len,
                ..Span::new(given, 0)
            };
            given += to.room as usize;
            Job {
                row: row as u32,
                new,
                from: *from,
                to,
                moves: true,
                steps: 0,
            }
        };
        let jobs = log.spans.iter().enumerate().map(&mut place).collect();
        Plan {
            jobs,
            free: Free { piece: 0, start: 0 },
            given,
            anew: true,
            garbage: 0,
        }
    }

    /// Neighbouring jobs together.
    fn chunks(jobs: &mut [Job], free: Free, anew: bool) -> Vec<Chunk<'_>> {
        let mut chunks = Vec::new();
        let mut to = free.start;
        let mut rest = jobs;
        while let Some(first) = rest.first().copied() {
            let most = if anew { CHUNK_OF_ALL } else { CHUNK };
            let alike = |job: &Job| {
                job.from.piece == first.from.piece && (job.from.room > 0) == (first.from.room > 0)
            };
            let count = match anew {
                true => rest.len().min(most),
                false => rest.iter().take(most).take_while(|job| alike(job)).count(),
            };
            let (own, others) = rest.split_at_mut(count);
            rest = others;
            let given = own.iter().filter(|job| job.moves);
            let end = to + given.map(|job| job.to.room as usize).sum::<usize>();
            let from = own.last().filter(|_| !anew && first.from.room > 0);
            chunks.push(Chunk {
                from: from.map(|last| {
                    let end = last.from.start as usize + last.from.room as usize;
                    (first.from.piece as usize, first.from.start as usize..end)
                }),
                jobs: own,
                to: to..end,
                steps: Vec::new(),
                copies: Copies::default(),
            });
            to = end;
        }
        chunks
    }
}

impl Chunk<'_> {
    /// Finds out where each new event goes.
    fn find(&mut self, log: &EventLog, batch: &EventLog) {
        let drop_copies = log.cleaning.duplicates == DuplicatePolicy::Drop;
        let events = self.jobs.iter().map(|job| job.new.len as usize).sum();
        self.steps.reserve_exact(events);
        for job in self.jobs.iter_mut() {
            let first = self.steps.len();
            if job.new.len > 0 {
                let (old, new) = (Run::of(log, job.from), Run::of(batch, job.new));
                let mut at = 0;
                for i in 0..new.len() {
                    let before = at;
                    at = old.not_behind(before, &new, i);
                    // Copies within the batch were counted by its own build; what is left to count
                    // is the first copy of an event that the log held before.
                    if at > before && old.compare(at - 1, &new, i).is_eq() {
                        self.copies.add(new.kind(i), new.value(i));
                        if drop_copies {
                            continue;
                        }
                    }
                    let (at, new) = (at as u32, i as u32);
                    self.steps.push(Step { at, new });
                }
            }
            job.steps = self.steps.len() as u32;
            job.to.len = job.from.len + (self.steps.len() - first) as u32;
        }
    }

    /// Each job with its steps.
    fn each(&self, mut show: impl FnMut(&Job, &[Step])) {
        let mut first = 0;
        for job in self.jobs.iter() {
            let end = job.steps as usize;
            show(job, &self.steps[first..end]);
            first = end;
        }
    }
}

/// Merges the events of a batch into those of the customers at these rows, who have a span each.
/// Both logs code by the same names. Calls `done` with numbers of new events that are in place.
pub(super) fn weave(
    log: &mut EventLog,
    batch: &EventLog,
    touched: &[usize],
    done: impl Fn(usize) + Sync,
) -> Copies {
    let Plan {
        mut jobs,
        free,
        given,
        anew,
        garbage,
    } = Plan::new(log, batch, touched);
    let mut chunks = Plan::chunks(&mut jobs, free, anew);
    {
        let log = &*log;
        each(chunks.iter_mut().collect(), |chunk| chunk.find(log, batch));
    }

    let moves = Moves {
        chunks: &chunks,
        free,
        given,
        anew,
        more: given.max(log.len() / 8).max(PIECE),
    };
    moves.column(&mut log.times, Some(&batch.times), 0);
    moves.column(&mut log.kinds, Some(&batch.kinds), 0);
    moves.column(&mut log.values, Some(&batch.values), 0.0);
    if let Some(channels) = &mut log.channels {
        moves.column(channels, batch.channels.as_ref(), NO_CHANNEL);
    }
    if let Some(orders) = &mut log.orders {
        moves.column(orders, batch.orders.as_ref(), NO_ORDER);
    }
    if let Some(items) = &mut log.items {
        moves.column(items, batch.items.as_ref(), NONE);
    }
    moves.mark(&mut log.kinds, &log.times, log.orders.as_ref(), done);

    log.used = match (anew, given) {
        (true, given) => given,
        // Nobody moved.
        (false, 0) => log.used,
        (false, given) => free.start + given,
    };
    log.garbage = garbage;
    let mut copies = Copies::default();
    for chunk in &chunks {
        copies.merge(&chunk.copies);
    }
    for job in &jobs {
        log.spans[job.row as usize] = job.to;
    }
    copies
}

/// Where everything goes.
struct Moves<'c, 'j> {
    chunks: &'c [Chunk<'j>],
    free: Free,
    given: usize,
    anew: bool,
    /// Places of the next piece.
    more: usize,
}

impl<'c, 'j> Moves<'c, 'j> {
    /// Moves the cells of one column; new events without a cell get the one given.
    fn column<T: Copy + Default + Send + Sync>(
        &self,
        column: &mut Column<T>,
        new: Option<&Column<T>>,
        missing: T,
    ) {
        let fresh = |job: &Job| new.map_or(&[][..], |cells| cells.of(job.new));
        if self.anew {
            let mut whole = vec![T::default(); self.given];
            let old = &*column;
            each(self.split(&mut whole), |(chunk, to)| {
                chunk.each(|job, steps| {
                    let to = &mut to[job.to.start as usize - chunk.to.start..];
                    copy(to, old.of(job.from), fresh(job), missing, steps);
                });
            });
            *column = whole.into();
            return;
        }
        if self.given > 0 && self.free.piece == column.pieces() {
            column.add(self.more);
        }
        each(self.carve(column), |(chunk, from, to)| {
            chunk.each(|job, steps| {
                let start = match &chunk.from {
                    Some((_, places)) => job.from.start as usize - places.start,
                    None => 0,
                };
                let (len, new) = (job.from.len as usize, fresh(job));
                if !job.moves {
                    let room = &mut from[start..start + job.from.room as usize];
                    insert(room, len, new, missing, steps);
                } else {
                    let to = &mut to[job.to.start as usize - chunk.to.start..];
                    copy(to, &from[start..start + len], new, missing, steps);
                }
            });
        });
    }

    /// Marks the first lines of the orders that got new lines.
    fn mark(
        &self,
        kinds: &mut Column<u8>,
        times: &Column<i64>,
        orders: Option<&Column<u64>>,
        done: impl Fn(usize) + Sync,
    ) {
        each(self.carve(kinds), |(chunk, from, to)| {
            let mut lines = Vec::new();
            chunk.each(|job, steps| {
                if steps.is_empty() {
                    return;
                }
                let len = job.to.len as usize;
                let kinds = match &chunk.from {
                    Some((_, places)) if !job.moves => {
                        &mut from[job.from.start as usize - places.start..][..len]
                    }
                    _ => &mut to[job.to.start as usize - chunk.to.start..][..len],
                };
                let times = times.of(job.to);
                let places = steps
                    .iter()
                    .enumerate()
                    .map(|(i, step)| step.at as usize + i);
                match orders {
                    None => places.for_each(|place| {
                        mark_loose(kinds, times, place);
                        mark_loose(kinds, times, place + 1);
                    }),
                    Some(orders) if steps.len() <= FEW => {
                        let orders = orders.of(job.to);
                        places.for_each(|place| mark_order(kinds, times, orders, place));
                    }
                    Some(orders) => mark_first_lines(kinds, times, orders.of(job.to), &mut lines),
                }
            });
            done(chunk.jobs.iter().map(|job| job.new.len as usize).sum());
        });
    }

    /// Gives each chunk its part of the given places.
    fn split<'t, T>(&self, mut rest: &'t mut [T]) -> Vec<(&'c Chunk<'j>, &'t mut [T])> {
        let mut parts = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks {
            let (own, tail) = rest.split_at_mut(chunk.to.len());
            parts.push((chunk, own));
            rest = tail;
        }
        parts
    }

    /// Gives each chunk the places that its customers have, and those that they get.
    fn carve<'t, T: Copy + Default>(
        &self,
        column: &'t mut Column<T>,
    ) -> Vec<(&'c Chunk<'j>, &'t mut [T], &'t mut [T])> {
        let mut free: &mut [T] = &mut [];
        // What is left of each piece, and where it begins.
        let mut pieces: Vec<(&mut [T], usize)> = Vec::with_capacity(column.pieces());
        for (i, piece) in column.pieces_mut().iter_mut().enumerate() {
            if i == self.free.piece && self.given > 0 {
                let (old, new) = piece.split_at_mut(self.free.start);
                free = new;
                pieces.push((old, 0));
            } else {
                pieces.push((piece, 0));
            }
        }
        let mut parts = Vec::with_capacity(self.chunks.len());
        for (chunk, to) in self.split(free) {
            let from: &mut [T] = match &chunk.from {
                None => &mut [],
                Some((piece, places)) => {
                    let (rest, start) = &mut pieces[*piece];
                    let (_, tail) = std::mem::take(rest).split_at_mut(places.start - *start);
                    let (own, tail) = tail.split_at_mut(places.len());
                    (*rest, *start) = (tail, places.end);
                    own
                }
            };
            parts.push((chunk, from, to));
        }
        parts
    }
}

/// Lets all threads work, unless there is work for one only.
fn each<I: Send>(items: Vec<I>, work: impl Fn(I) + Send + Sync) {
    match items.len() {
        0 | 1 => items.into_iter().for_each(work),
        _ => items.into_par_iter().for_each(work),
    }
}

/// Inserts new cells between the first `len` of a room that is large enough.
#[inline]
fn insert<T: Copy>(room: &mut [T], len: usize, new: &[T], missing: T, steps: &[Step]) {
    let mut end = len;
    // From the back, so that everything moves once.
    for (i, step) in steps.iter().enumerate().rev() {
        let at = step.at as usize;
        if at < end {
            room.copy_within(at..end, at + i + 1);
        }
        room[at + i] = new.get(step.new as usize).copied().unwrap_or(missing);
        end = at;
    }
}

/// Copies old cells, with new ones between them.
#[inline]
fn copy<T: Copy>(to: &mut [T], old: &[T], new: &[T], missing: T, steps: &[Step]) {
    let mut from = 0;
    for (i, step) in steps.iter().enumerate() {
        let at = step.at as usize;
        to[from + i..at + i].copy_from_slice(&old[from..at]);
        to[at + i] = new.get(step.new as usize).copied().unwrap_or(missing);
        from = at;
    }
    let (i, left) = (steps.len(), old.len() - from);
    to[from + i..from + i + left].copy_from_slice(&old[from..]);
}

fn is_purchase(coded: u8) -> bool {
    coded & KIND_BITS == EventKind::Purchase.code()
}

/// Marks a line, or not, in a log without order ids: lines at one instant, which are neighbours, are
/// one order.
fn mark_loose(kinds: &mut [u8], times: &[i64], i: usize) {
    let Some(coded) = kinds.get(i).copied() else {
        return;
    };
    let follows = i > 0 && times[i - 1] == times[i] && is_purchase(kinds[i - 1]);
    let opens = is_purchase(coded) && !follows;
    kinds[i] = coded & KIND_BITS | if opens { FIRST_LINE } else { 0 };
}

/// Marks the first line of the order of a new line, and no other line of it.
fn mark_order(kinds: &mut [u8], times: &[i64], orders: &[u64], line: usize) {
    if !is_purchase(kinds[line]) {
        return;
    }
    let (order, time) = (orders[line], times[line]);
    let lines = match order {
        // Lines without order id at one instant are one order.
        NO_ORDER => {
            let same = |times: &mut dyn Iterator<Item = &i64>| {
                times.take_while(|other| **other == time).count()
            };
            let before = same(&mut times[..line].iter().rev());
            line - before..line + same(&mut times[line..].iter())
        }
        _ => 0..kinds.len(),
    };
    let mut opened = false;
    for i in lines {
        if orders[i] == order && is_purchase(kinds[i]) {
            kinds[i] = kinds[i] & KIND_BITS | if opened { 0 } else { FIRST_LINE };
            opened = true;
        }
    }
}
