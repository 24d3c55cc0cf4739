//! One bucket of the build, inside the cache: its rows grouped by customer and put in order.

use rayon::prelude::*;

use super::check::CleanRow;
use super::clean::Count;
use super::group::RowCodes;
use super::{EventKind, FIRST_LINE, KIND_BITS, NO_ORDER};
use crate::math::sum::ExactSum;

/// A checked row on its way: time, bits of the value, row | kind << 32 | channel << 40, and the
/// customer's key in one word (`W` = 4) or two (`W` = 5, low word first).
///
/// An array of integers, because the allocator hands those out zeroed without touching them.
pub(super) type Record<const W: usize> = [u64; W];

pub(super) fn record<const W: usize>(
    key: u128,
    row: usize,
    clean: &CleanRow,
    channel: u8,
) -> Record<W> {
    let mut record = [0; W];
    record[0] = clean.time as u64;
    record[1] = clean.value.to_bits();
    record[2] = row as u64 | u64::from(clean.kind) << 32 | u64::from(channel) << 40;
    record[3] = key as u64;
    if W > 4 {
        record[4] = (key >> 64) as u64;
    }
    record
}

#[inline]
fn key<const W: usize>(record: &Record<W>) -> u128 {
    let high = if W > 4 { record[4] } else { 0 };
    u128::from(record[3]) | u128::from(high) << 64
}

#[inline]
fn row(record: &[u64]) -> usize {
    record[2] as u32 as usize
}

#[inline]
fn kind(record: &[u64]) -> u8 {
    (record[2] >> 32) as u8
}

#[inline]
fn channel(record: &[u64]) -> u8 {
    (record[2] >> 40) as u8
}

#[inline]
fn value(record: &[u64]) -> f64 {
    f64::from_bits(record[1])
}

/// Copies of other rows.
#[derive(Default)]
pub(super) struct Copies {
    pub(super) count: Count,
    /// Smallest row number of a copy.
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

    /// Notes that two rows are equal.
    fn add(&mut self, a: &[u64], b: &[u64]) {
        let money = kind(b) <= EventKind::Refund.code();
        self.count.add(if money { value(b) } else { 0.0 });
        let copy = row(a).max(row(b)) as u32;
        self.first = Some(self.first.map_or(copy, |first| first.min(copy)));
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
pub(super) struct Grouped {
    /// Customers, ascending.
    pub(super) keys: Vec<u128>,
    /// Rows of each customer.
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
    /// Time and record number, customer after customer.
    order: Vec<(i64, u32)>,
    /// Order and position of the purchase lines of one customer.
    lines: Vec<(u64, u32)>,
}

/// Above so many rows one customer is worth both cores.
const PARALLEL_SORT: usize = 1 << 17;

impl Scratch {
    /// Groups and orders the records of a bucket into `out`.
    pub(super) fn group<const W: usize>(
        &mut self,
        records: &[Record<W>],
        codes: &RowCodes<'_>,
        drop_copies: bool,
        mut out: Out<'_>,
    ) -> Grouped {
        self.number_keys(records);
        self.place_records(records);
        let mut grouped = Grouped {
            keys: self.sorted.iter().map(|(key, _)| *key).collect(),
            counts: Vec::with_capacity(self.sorted.len()),
            copies: Copies::default(),
            bought: ExactSum::default(),
            refunded: ExactSum::default(),
        };
        let mut order = std::mem::take(&mut self.order);
        let mut rest = order.as_mut_slice();
        let mut written = 0;
        for i in 0..self.sorted.len() {
            let rows = self.keys[self.sorted[i].1 as usize].1;
            let (events, tail) = rest.split_at_mut(rows as usize);
            rest = tail;
            sort_events(events, records, codes);
            let first = written;
            for j in 0..events.len() {
                let event = &records[events[j].1 as usize];
                if j > 0 {
                    let before = &records[events[j - 1].1 as usize];
                    if before[0] == event[0] && compare(before, event, codes).is_eq() {
                        grouped.copies.add(before, event);
                        if drop_copies {
                            continue;
                        }
                    }
                }
                out.write(written, event, codes);
                match kind(event) {
                    k if k == EventKind::Purchase.code() => {
                        grouped.bought.add(value(event));
                    }
                    k if k == EventKind::Refund.code() => {
                        grouped.refunded.add(value(event));
                    }
                    _ => {}
                }
                written += 1;
            }
            let orders = out.orders.get(first..written).unwrap_or_default();
            mark_first_lines(
                &mut out.kinds[first..written],
                &out.times[first..written],
                orders,
                &mut self.lines,
            );
            grouped.counts.push((written - first) as u32);
        }
        self.order = order;
        grouped
    }

    /// Fills `keys` and `local`.
    fn number_keys<const W: usize>(&mut self, records: &[Record<W>]) {
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
    fn place_records<const W: usize>(&mut self, records: &[Record<W>]) {
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
        self.order.clear();
        self.order.resize(records.len(), (0, 0));
        for (i, (record, local)) in records.iter().zip(&self.local).enumerate() {
            let place = &mut self.next[*local as usize];
            self.order[*place as usize] = (record[0] as i64, i as u32);
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

impl Out<'_> {
    #[inline]
    fn write(&mut self, place: usize, record: &[u64], codes: &RowCodes<'_>) {
        self.times[place] = record[0] as i64;
        self.kinds[place] = kind(record);
        self.values[place] = value(record);
        if !self.channels.is_empty() {
            self.channels[place] = channel(record);
        }
        if let Some(orders) = &codes.orders {
            self.orders[place] = orders.fingerprint(row(record));
        }
        if let Some(items) = &codes.items {
            self.items[place] = items[row(record)];
        }
    }
}

/// Puts one customer's events in canonical order: time, then kind, value, channel, order, item.
fn sort_events<const W: usize>(
    events: &mut [(i64, u32)],
    records: &[Record<W>],
    codes: &RowCodes<'_>,
) {
    if !events.is_sorted_by_key(|event| event.0) {
        if events.len() > PARALLEL_SORT {
            events.par_sort_unstable();
        } else {
            events.sort_unstable();
        }
    }
    for run in events
        .chunk_by_mut(|a, b| a.0 == b.0)
        .filter(|run| run.len() > 1)
    {
        run.sort_unstable_by(|a, b| {
            let (a, b) = (&records[a.1 as usize], &records[b.1 as usize]);
            // Copies stand in the order of their rows, so that errors always name the same one.
            compare(a, b, codes).then(row(a).cmp(&row(b)))
        });
    }
}

/// Order of two events of one customer at one instant; equal events are copies.
fn compare(a: &[u64], b: &[u64], codes: &RowCodes<'_>) -> std::cmp::Ordering {
    let (row_a, row_b) = (row(a), row(b));
    let orders = || match &codes.orders {
        None => std::cmp::Ordering::Equal,
        Some(orders) => orders.fingerprint(row_a).cmp(&orders.fingerprint(row_b)),
    };
    let items = || match &codes.items {
        None => std::cmp::Ordering::Equal,
        Some(items) => items[row_a].cmp(&items[row_b]),
    };
    kind(a)
        .cmp(&kind(b))
        // Values are not negative, so their bits sort like they do.
        .then_with(|| a[1].cmp(&b[1]))
        .then_with(|| channel(a).cmp(&channel(b)))
        .then_with(orders)
        .then_with(items)
}
