//! What all families about buying share: one customer's purchases, gathered in order of time.

use crate::events::{Event, EventKind};
use crate::time::MICROS_PER_DAY;

/// Microseconds as days.
#[inline]
pub(super) fn days(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_DAY as f64
}

/// Purchases and refunds of one customer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Purchases {
    /// Instant of the first and of the last purchase; read only where `days > 0`.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Number of distinct days with a purchase.
    pub(super) days: u64,
    pub(super) orders: u64,
    pub(super) lines: u64,
    /// Money of all purchases, and of those after the first purchase day.
    pub(super) total: f64,
    pub(super) repeat: f64,
    pub(super) refunds: u64,
    pub(super) refunded: f64,
    pub(super) gaps: Gaps,
    /// The gap that the last purchase day closed.
    pub(super) last_gap: u64,
    last_day: i64,
}

/// Sums over gaps between purchase days, in whole days, so that they are exact.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gaps {
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) squares: u64,
}

impl Gaps {
    #[inline]
    pub(super) fn push(&mut self, gap: u64) {
        self.count += 1;
        self.sum += gap;
        self.squares += gap * gap;
    }
}

impl Purchases {
    #[inline]
    pub(super) fn push(&mut self, event: &Event) {
        match event.kind {
            EventKind::Purchase => {
                let day = event.time.day();
                if self.days == 0 {
                    self.first = event.time.micros();
                    self.days = 1;
                } else if day > self.last_day {
                    let gap = (day - self.last_day) as u64;
                    self.last_gap = gap;
                    self.gaps.push(gap);
                    self.days += 1;
                }
                self.last_day = day;
                self.last = event.time.micros();
                self.orders += u64::from(event.opens_order);
                self.lines += 1;
                self.total += event.value;
                if self.days > 1 {
                    self.repeat += event.value;
                }
            }
            EventKind::Refund => {
                self.refunds += 1;
                self.refunded += event.value;
            }
            _ => {}
        }
    }

    /// Days from the last purchase to `as_of`; only where there is one.
    #[inline]
    pub(super) fn silence(&self, as_of: i64) -> f64 {
        days(as_of - self.last)
    }
}
