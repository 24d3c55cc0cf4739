//! One bucket of the build, inside the cache: its rows grouped by customer and put in order.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::clean::Count;
use super::group::RowCodes;
use super::records::{Form, Frame};
use super::{EventKind, FIRST_LINE, KIND_BITS, NO_ORDER};
use crate::math::sum::ExactSum;

/// Order of two events of one customer at one instant; equal events are copies.
fn compare<const KEY: usize, const ROW: bool, const W: usize>(
    a: &[u64; W],
    b: &[u64; W],
    codes: &RowCodes<'_>,
) -> Ordering {
    let row = Form::<KEY, ROW, W>::row;
    let kind = Form::<KEY, ROW, W>::kind;
    let channel = Form::<KEY, ROW, W>::channel;
    let orders = || match &codes.orders {
        None => Ordering::Equal,
        Some(orders) => orders.fingerprint(row(a)).cmp(&orders.fingerprint(row(b))),
    };
    let items = || match &codes.items {
        None => Ordering::Equal,
        Some(items) => items[row(a)].cmp(&items[row(b)]),
    };
    kind(a)
        .cmp(&kind(b))
        // Values are not negative, so their bits sort like they do.
        .then_with(|| a[1].cmp(&b[1]))
        .then_with(|| channel(a).cmp(&channel(b)))
        .then_with(orders)
        .then_with(items)
}

/// Copies of other rows.
#[derive(Default)]
pub(super) struct Copies {
    pub(super) count: Count,
    /// Smallest row number of a copy, where rows have numbers.
    pub(super) first: Option<u32>,
}

impl Copies {
    pub(super) fn merge(&mut self, other: &Copies) {
        self.count.merge(other.count);
        self.first = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Notes that an event is the copy of the row before it.
    fn add(&mut self, kind: u8, value: f64, row: usize) {
        let money = kind <= EventKind::Refund.code();
        self.count.add(if money { value } else { 0.0 });
        let row = row as u32;
        self.first = Some(self.first.map_or(row, |first| first.min(row)));
    }
}

/// The place of a bucket's rows in the columns of the log; columns that the log lacks are empty.
pub(super) struct Out<'a> {
    pub(super) times: &'a mut [i64],
    pub(super) kinds: &'a mut [u8],
    pub(super) values: &'a mut [f64],
    pub(super) channels: &'a mut [u8],
    pub(super) orders: &'a mut [u64],
    pub(super) items: &'a mut [u32],
}

/// What came out of a bucket beside its rows.
#[derive(Default)]
pub(super) struct Grouped {
    /// Customers, ascending.
    pub(super) keys: Vec<u128>,
    /// A row of each customer, where rows have numbers.
    pub(super) rows: Vec<u32>,
    /// Events of each customer.
    pub(super) counts: Vec<u32>,
    pub(super) copies: Copies,
    pub(super) bought: ExactSum,
    pub(super) refunded: ExactSum,
}

/// Working memory of one thread, kept from bucket to bucket.
#[derive(Default)]
pub(super) struct Scratch {
    /// Open addressing: index into `keys` plus one, 0 = free.
    table: Vec<u32>,
    /// Distinct keys by first sight, with their number of rows.
    keys: Vec<(u128, u32)>,
    /// Index into `keys` of each record.
    local: Vec<u32>,
    /// Indexes into `keys`, ascending by key.
    sorted: Vec<(u128, u32)>,
    /// Next free place of each index into `keys`.
    next: Vec<u32>,
    /// Time and record number, customer after customer, in one word where they fit.
    order: Vec<u64>,
    wide_order: Vec<u128>,
    /// Order and position of the purchase lines of one customer.
    lines: Vec<(u64, u32)>,
}

/// Time and number of a record in one integer that sorts by time.
trait Slot: Copy + Ord + Default + Send {
    fn new(time: u64, record: usize, bits: u32) -> Self;
    fn record(self, bits: u32) -> usize;
    fn time(self, bits: u32) -> u64;
}

impl Slot for u64 {
    #[inline(always)]
    fn new(time: u64, record: usize, bits: u32) -> Self {
        time << bits | record as u64
    }
    #[inline(always)]
    fn record(self, bits: u32) -> usize {
        (self & ((1 << bits) - 1)) as usize
    }
    #[inline(always)]
    fn time(self, bits: u32) -> u64 {
        self >> bits
    }
}

impl Slot for u128 {
    #[inline(always)]
    fn new(time: u64, record: usize, bits: u32) -> Self {
        u128::from(time) << bits | record as u128
    }
    #[inline(always)]
    fn record(self, bits: u32) -> usize {
        (self & ((1 << bits) - 1)) as usize
    }
    #[inline(always)]
    fn time(self, bits: u32) -> u64 {
        (self >> bits) as u64
    }
}

/// Above so many rows one customer is worth both cores.
const PARALLEL_SORT: usize = 1 << 17;

impl Scratch {
    /// Groups and orders the records of a bucket into `out`.
    pub(super) fn group<const KEY: usize, const ROW: bool, const W: usize>(
        &mut self,
        records: &[[u64; W]],
        frame: Frame,
        codes: &RowCodes<'_>,
        drop_copies: bool,
        out: Out<'_>,
    ) -> Grouped {
        self.number_keys::<KEY, ROW, W>(records);
        // At least one bit, so that shifts stay below the width of the word.
        let bits = (usize::BITS - records.len().leading_zeros()).max(1);
        if frame.time_bits + bits <= u64::BITS {
            let mut order = std::mem::take(&mut self.order);
            let grouped = self.finish::<u64, KEY, ROW, W>(
                records,
                frame,
                codes,
                drop_copies,
                out,
                &mut order,
                bits,
            );
            self.order = order;
            grouped
        } else {
            let mut order = std::mem::take(&mut self.wide_order);
            let grouped = self.finish::<u128, KEY, ROW, W>(
                records,
                frame,
                codes,
                drop_copies,
                out,
                &mut order,
                bits,
            );
            self.wide_order = order;
            grouped
        }
    }

    /// Orders the events of every customer and writes them.
    #[allow(
        clippy::too_many_arguments,
        reason = "one call, split for its two widths"
    )]
    fn finish<S: Slot, const KEY: usize, const ROW: bool, const W: usize>(
        &mut self,
        records: &[[u64; W]],
        frame: Frame,
        codes: &RowCodes<'_>,
        drop_copies: bool,
        out: Out<'_>,
        order: &mut Vec<S>,
        bits: u32,
    ) -> Grouped {
        self.place_records::<S, KEY, ROW, W>(records, frame, order, bits);
        let mut grouped = Grouped {
            keys: self.sorted.iter().map(|(key, _)| *key).collect(),
            counts: Vec::with_capacity(self.sorted.len()),
            ..Grouped::default()
        };
        let mut rest = order.as_mut_slice();
        let mut written = 0;
        for i in 0..self.sorted.len() {
            let rows = self.keys[self.sorted[i].1 as usize].1;
            let (events, tail) = rest.split_at_mut(rows as usize);
            rest = tail;
            if ROW {
                let first = events
                    .first()
                    .map_or(0, |e| Form::<KEY, ROW, W>::row(&records[e.record(bits)]));
                grouped.rows.push(first as u32);
            }
            sort_events::<S, KEY, ROW, W>(events, records, codes, bits);
            let first = written;
            let mut last_purchase = None;
            for j in 0..events.len() {
                let event = &records[events[j].record(bits)];
                let time = events[j].time(bits);
                let (kind, value) = (
                    Form::<KEY, ROW, W>::kind(event),
                    Form::<KEY, ROW, W>::value(event),
                );
                if j > 0 && events[j - 1].time(bits) == time {
                    let before = &records[events[j - 1].record(bits)];
                    if compare::<KEY, ROW, W>(before, event, codes).is_eq() {
                        let row = Form::<KEY, ROW, W>::row(event);
                        grouped.copies.add(kind, value, row);
                        if drop_copies {
                            continue;
                        }
                    }
                }
                let mut coded = kind;
                if kind == EventKind::Purchase.code() {
                    grouped.bought.add(value);
                    // Right where the log has no order ids; marked anew below where it has.
                    if last_purchase != Some(time) {
                        coded |= FIRST_LINE;
                    }
                    last_purchase = Some(time);
                } else if kind == EventKind::Refund.code() {
                    grouped.refunded.add(value);
                }
                out.times[written] = time as i64 + frame.first_time;
                out.kinds[written] = coded;
                out.values[written] = value;
                if let Some(channel) = out.channels.get_mut(written) {
                    *channel = Form::<KEY, ROW, W>::channel(event);
                }
                if ROW {
                    let row = Form::<KEY, ROW, W>::row(event);
                    if let Some(orders) = &codes.orders {
                        out.orders[written] = orders.fingerprint(row);
                    }
                    if let Some(items) = &codes.items {
                        out.items[written] = items[row];
                    }
                }
                written += 1;
            }
            if let Some(orders) = out.orders.get(first..written).filter(|o| !o.is_empty()) {
                mark_first_lines(
                    &mut out.kinds[first..written],
                    &out.times[first..written],
                    orders,
                    &mut self.lines,
                );
            }
            grouped.counts.push((written - first) as u32);
        }
        grouped
    }

    /// Fills `keys` and `local`.
    fn number_keys<const KEY: usize, const ROW: bool, const W: usize>(
        &mut self,
        records: &[[u64; W]],
    ) {
        let key = Form::<KEY, ROW, W>::key;
        self.keys.clear();
        self.local.clear();
        // Sorted input needs no table: a new customer begins where the key changes.
        if records.is_sorted_by_key(key) {
            for record in records {
                match self.keys.last_mut() {
                    Some((last, rows)) if *last == key(record) => *rows += 1,
                    _ => self.keys.push((key(record), 1)),
                }
                self.local.push(self.keys.len() as u32 - 1);
            }
            return;
        }
        let slots = (records.len() * 2).next_power_of_two();
        let shift = 64 - slots.trailing_zeros();
        self.table.clear();
        self.table.resize(slots, 0);
        for record in records {
            let key = key(record);
            let folded = key as u64 ^ ((key >> 64) as u64).rotate_left(29);
            let mut slot = (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
            let index = loop {
                match self.table[slot] {
                    0 => {
                        self.keys.push((key, 0));
                        self.table[slot] = self.keys.len() as u32;
                        break self.keys.len() - 1;
                    }
                    taken if self.keys[taken as usize - 1].0 == key => break taken as usize - 1,
                    _ => slot = (slot + 1) & (slots - 1),
                }
            };
            self.keys[index].1 += 1;
            self.local.push(index as u32);
        }
    }

    /// Fills `sorted` and puts each record behind the others of its customer in `order`.
    fn place_records<S: Slot, const KEY: usize, const ROW: bool, const W: usize>(
        &mut self,
        records: &[[u64; W]],
        frame: Frame,
        order: &mut Vec<S>,
        bits: u32,
    ) {
        self.sorted.clear();
        self.sorted.extend(
            self.keys
                .iter()
                .enumerate()
                .map(|(i, (key, _))| (*key, i as u32)),
        );
        self.sorted.sort_unstable();
        self.next.clear();
        self.next.resize(self.keys.len(), 0);
        let mut end = 0;
        for (_, index) in &self.sorted {
            self.next[*index as usize] = end;
            end += self.keys[*index as usize].1;
        }
        order.clear();
        order.resize(records.len(), S::default());
        for (i, (record, local)) in records.iter().zip(&self.local).enumerate() {
            let place = &mut self.next[*local as usize];
            order[*place as usize] = S::new(
                frame.since_first(Form::<KEY, ROW, W>::time(record)),
                i,
                bits,
            );
            *place += 1;
        }
    }
}

/// Sets [`FIRST_LINE`] on the purchase that opens each order of one customer, so that counting
/// orders needs no order ids. Whether a line is the first depends on earlier lines only, so the
/// mark is safe to read at any `as_of`.
///
/// `orders` is empty where the log has no order ids; `lines` is working memory.
pub(super) fn mark_first_lines(
    kinds: &mut [u8],
    times: &[i64],
    orders: &[u64],
    lines: &mut Vec<(u64, u32)>,
) {
    lines.clear();
    let mut last_loose = None;
    for i in 0..kinds.len() {
        kinds[i] &= KIND_BITS;
        if kinds[i] != EventKind::Purchase.code() {
            continue;
        }
        match orders.get(i).copied().unwrap_or(NO_ORDER) {
            // Lines without order id at one instant are one order.
            NO_ORDER => {
                if last_loose != Some(times[i]) {
                    kinds[i] |= FIRST_LINE;
                }
                last_loose = Some(times[i]);
            }
            order => lines.push((order, i as u32)),
        }
    }
    lines.sort_unstable();
    for j in 0..lines.len() {
        if j == 0 || lines[j - 1].0 != lines[j].0 {
            kinds[lines[j].1 as usize] |= FIRST_LINE;
        }
    }
}

/// Puts one customer's events in canonical order: time, then kind, value, channel, order, item.
fn sort_events<S: Slot, const KEY: usize, const ROW: bool, const W: usize>(
    events: &mut [S],
    records: &[[u64; W]],
    codes: &RowCodes<'_>,
    bits: u32,
) {
    // Events of one instant keep the order of their rows here, which copies keep for good, so that
    // errors always name the same one.
    if !events.is_sorted() {
        if events.len() > PARALLEL_SORT {
            events.par_sort_unstable();
        } else {
            events.sort_unstable();
        }
    }
    for run in events
        .chunk_by_mut(|a, b| a.time(bits) == b.time(bits))
        .filter(|run| run.len() > 1)
    {
        run.sort_unstable_by(|a, b| {
            let (x, y) = (&records[a.record(bits)], &records[b.record(bits)]);
            compare::<KEY, ROW, W>(x, y, codes).then(a.cmp(b))
        });
    }
}
