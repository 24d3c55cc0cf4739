//! What is kept of a customer until all customers are known: enough for every feature that stands
//! beside the population, so that no event is read twice.

use super::activity::Fading;
use super::purchases::{Gaps, days};
use super::sweep::Sight;
use super::touchpoints::Reach;

/// A customer at an instant, in 56 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Instant of the first and of the last purchase; read only of buyers.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Money of all purchases.
    pub(super) total: f64,
    /// Points of activity.
    pub(super) points: f64,
    gap_squares: u64,
    gap_sum: u32,
    /// The gap that the last purchase day closed (days).
    last_gap: u32,
    /// Days with a purchase.
    days: u32,
    orders: u32,
}

impl Standing {
    /// Days fit into 32 bits, since the years that there are have fewer than eight million.
    #[inline]
    pub(super) fn of(sight: &Sight<'_>, fading: Option<&Fading>) -> Self {
        let p = &sight.state.purchases;
        Standing {
            first: p.first,
            last: p.last,
            total: p.total,
            points: fading.map_or(0.0, |fading| sight.state.points(fading, sight.as_of())),
            gap_squares: p.gaps.squares,
            gap_sum: p.gaps.sum as u32,
            last_gap: p.last_gap as u32,
            days: p.days as u32,
            orders: p.orders as u32,
        }
    }

    #[inline]
    pub(super) fn bought(&self) -> bool {
        self.days > 0
    }

    /// Days with a purchase.
    #[inline]
    pub(super) fn purchase_days(&self) -> u32 {
        self.days
    }

    #[inline]
    pub(super) fn orders(&self) -> f64 {
        f64::from(self.orders)
    }

    /// Days from the last purchase to `as_of`; only of buyers.
    #[inline]
    pub(super) fn silence(&self, as_of: i64) -> f64 {
        days(as_of - self.last)
    }

    /// Gaps between purchase days.
    #[inline]
    pub(super) fn gaps(&self) -> Gaps {
        Gaps {
            count: u64::from(self.days.saturating_sub(1)),
            sum: u64::from(self.gap_sum),
            squares: self.gap_squares,
        }
    }

    /// The last of them (days); only where there is one.
    #[inline]
    pub(super) fn last_gap(&self) -> u64 {
        u64::from(self.last_gap)
    }

    /// The gaps before the last one; only where there is one.
    #[inline]
    pub(super) fn earlier_gaps(&self) -> Gaps {
        let (gaps, last) = (self.gaps(), self.last_gap());
        Gaps {
            count: gaps.count - 1,
            sum: gaps.sum - last,
            squares: gaps.squares - last * last,
        }
    }
}

/// The customers of a chunk at one instant, in their order.
#[derive(Debug, Default)]
pub(super) struct Standings {
    customers: Vec<Standing>,
    /// Of each customer, every channel; empty where nobody asks about channels.
    reach: Vec<Reach>,
}

impl Standings {
    /// Keeps one more customer; of `channels` channels, where they matter.
    #[inline]
    pub(super) fn push(&mut self, sight: &Sight<'_>, fading: Option<&Fading>, channels: usize) {
        self.customers.push(Standing::of(sight, fading));
        self.reach.extend(Reach::on(sight.state, channels));
    }

    pub(super) fn len(&self) -> usize {
        self.customers.len()
    }

    /// A customer, and what happened on each of so many channels.
    #[inline]
    pub(super) fn get(&self, at: usize, channels: usize) -> (&Standing, &[Reach]) {
        let start = at * channels;
        let reach = self.reach.get(start..start + channels);
        (&self.customers[at], reach.unwrap_or_default())
    }
}
