//! One customer's life, from the first order to the last campaign.

use super::{CustomerTruth, Pattern, Rows, Shop};
use crate::events::EventKind;
use crate::math::random::Random;
use crate::time::{MICROS_PER_DAY, Timestamp};

const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;

/// How often a message on each channel is opened, over all customers.
const OPEN_RATES: [f64; 4] = [0.7, 0.6, 0.25, 0.35];
/// How often the shop chooses each channel.
const CHANNEL_WEIGHTS: [f64; 4] = [0.05, 0.15, 0.5, 0.3];

/// One event in the making.
#[derive(Clone, Copy)]
pub(super) struct Happening {
    pub(super) time: i64,
    pub(super) kind: EventKind,
    pub(super) value: f64,
    /// Index into the names of channels; 0 = none.
    pub(super) channel: u32,
    pub(super) order: Option<u64>,
    pub(super) item: Option<u64>,
}

impl Happening {
    fn new(kind: EventKind, time: i64) -> Self {
        Happening {
            time,
            kind,
            value: 0.0,
            channel: 0,
            order: None,
            item: None,
        }
    }
}

/// One customer while being simulated.
pub(super) struct Life<'s> {
    shop: &'s Shop,
    random: Random,
    customer: u64,
    orders: u64,
    /// No purchase from here on; the end of the log for regular customers.
    leaves: i64,
    order_value: f64,
    open_probability: [f64; 4],
    happenings: Vec<Happening>,
}

impl Life<'_> {
    /// Simulates customer `i` into `rows`.
    pub(super) fn live(shop: &Shop, i: u32, rows: &mut Rows) -> CustomerTruth {
        let mut random = Random::new(shop.seed, u64::from(i));
        let rest = 1.0 - shop.regular_share - shop.lapsing_share;
        let pattern = [Pattern::Regular, Pattern::Lapsing, Pattern::OneTime]
            [random.pick(&[shop.regular_share, shop.lapsing_share, rest.max(0.0)])];
        let order_value = random.lognormal(shop.order_value, 0.8);
        let open_probability = OPEN_RATES.map(|rate| (rate * random.gamma(2.0, 1.0)).min(0.98));
        let (times, gap_days) = order_times(shop, pattern, &mut random);
        let (first, last) = (times[0], times[times.len() - 1]);
        let leaves = match pattern {
            Pattern::Regular => shop.end(),
            Pattern::OneTime => first + 1,
            Pattern::Lapsing => {
                let decided = last + (gap_days * random.between(0.1, 0.9) * 86.4e9) as i64;
                // Whoever is said to have left did so before the log ends.
                decided.min(last + (shop.end() - last) / 2).max(last + 1)
            }
        };
        let mut life = Life {
            shop,
            random,
            customer: u64::from(i) + 1,
            orders: 0,
            leaves,
            order_value,
            open_probability,
            happenings: Vec::new(),
        };
        for (k, &time) in times.iter().enumerate() {
            life.order(time);
            let next = times.get(k + 1).copied().unwrap_or(leaves);
            life.browse_between(time, next, 0.6);
        }
        if pattern == Pattern::Lapsing {
            life.part(first);
        }
        if pattern != Pattern::Regular && life.random.chance(0.15) {
            life.browse_between(leaves, leaves + 60 * MICROS_PER_DAY, 1.0);
        }
        life.campaigns(first);

        let mut happenings = life.happenings;
        happenings.sort_by_key(|happening| happening.time);
        for happening in happenings {
            rows.push(life.customer, happening);
        }
        CustomerTruth {
            customer: life.customer,
            pattern,
            joined: Timestamp::from_checked_micros(first),
            left: (pattern != Pattern::Regular).then(|| Timestamp::from_checked_micros(leaves)),
            gap_days,
            order_value,
            open_probability,
        }
    }

    /// Records an event that falls into the log.
    fn happen(&mut self, happening: Happening) {
        if (self.shop.start.micros()..self.shop.end()).contains(&happening.time) {
            self.happenings.push(happening);
        }
    }

    fn happen_within(&mut self, kind: EventKind, after: i64, days: f64) {
        let time = after + self.random.between(0.0, days * MICROS_PER_DAY as f64) as i64;
        self.happen(Happening::new(kind, time));
    }

    /// An item; some sell far better than others.
    fn item(&mut self) -> u64 {
        let rank = self.random.uniform();
        (rank * rank * f64::from(self.shop.items)) as u64 + 1
    }

    /// A visit of the shop that ends before `end`.
    fn visit(&mut self, end: i64) {
        let views = 1 + self.random.poisson(1.2);
        let mut time = end;
        for _ in 0..views {
            let seconds = self.random.gamma(1.5, 35.0);
            time -= (seconds * 1e6) as i64 + self.random.between(1e6, 2e7) as i64;
            let mut view = Happening::new(EventKind::View, time);
            view.value = (seconds * 10.0).round() / 10.0;
            view.item = Some(self.item());
            self.happen(view);
            if self.random.chance(0.05) {
                view.value = 0.0;
                view.time += 500_000;
                view.kind = if self.random.chance(0.8) {
                    EventKind::Favourite
                } else {
                    EventKind::Share
                };
                self.happen(view);
            }
        }
        if self.random.chance(0.06) {
            self.happen(Happening::new(EventKind::AdClick, time - 2_000_000));
        }
    }

    /// Visits without order, `mean` of them on average, between two instants.
    fn browse_between(&mut self, from: i64, to: i64, mean: f64) {
        for _ in 0..self.random.poisson(mean) {
            let end = self.random.between(from as f64, to as f64) as i64;
            // A visit lasts minutes; one that would reach back to an order is left out.
            if end - from > 30 * MINUTE {
                self.visit(end);
                if self.random.chance(0.2) {
                    let mut cart = Happening::new(EventKind::Cart, end);
                    cart.item = Some(self.item());
                    self.happen(cart);
                }
            }
        }
    }

    /// An order with all that leads to it and follows from it.
    fn order(&mut self, time: i64) {
        self.visit(time - 2 * MINUTE);
        self.orders += 1;
        let order = Some(self.customer << 20 | self.orders);
        let lines = 1 + self.random.poisson(0.7).min(9);
        let first_item = self.item();
        let value = self.random.lognormal(self.order_value, 0.35) / f64::from(lines);
        for line in 0..u64::from(lines) {
            // Neighbours on the shelf, so that no item occurs twice in one order.
            let item = Some((first_item + line - 1) % u64::from(self.shop.items) + 1);
            let cents = (value * self.random.between(0.6, 1.4) * 100.0).round();
            let purchase = Happening {
                value: cents.max(1.0) / 100.0,
                order,
                item,
                ..Happening::new(EventKind::Purchase, time)
            };
            let mut cart = Happening::new(EventKind::Cart, time - MINUTE + line as i64 * 3_000_000);
            cart.item = item;
            self.happen(cart);
            self.happen(purchase);
            if self.random.chance(0.04) {
                let days = self.random.between(2.0, 20.0);
                self.happen(Happening {
                    time: time + (days * MICROS_PER_DAY as f64) as i64,
                    kind: EventKind::Refund,
                    ..purchase
                });
            }
        }
        for (kind, probability, days) in [
            (EventKind::Review, 0.05, 20.0),
            (EventKind::ServiceContact, 0.03, 6.0),
            (EventKind::Complaint, 0.006, 10.0),
            (EventKind::Interaction, 0.10, 3.0),
        ] {
            if self.random.chance(probability) {
                self.happen_within(kind, time, days);
            }
        }
    }

    /// The trouble that precedes some departures.
    fn part(&mut self, first: i64) {
        let before = |random: &mut Random, leaves: i64| {
            let days = random.exponential(10.0);
            (leaves - (days * MICROS_PER_DAY as f64) as i64).max(first)
        };
        for (kind, probability) in [
            (EventKind::Complaint, 0.35),
            (EventKind::ServiceContact, 0.30),
        ] {
            if self.random.chance(probability) {
                let time = before(&mut self.random, self.leaves);
                self.happen(Happening::new(kind, time));
            }
        }
    }

    /// Messages from the shop and what they lead to.
    fn campaigns(&mut self, first: i64) {
        let every = i64::from(self.shop.campaign_days) * MICROS_PER_DAY;
        if every == 0 {
            return;
        }
        let mut campaign = self.shop.start.micros() + every / 2 + 10 * HOUR;
        while campaign < self.shop.end() {
            let time = campaign + self.random.between(0.0, 4.0 * HOUR as f64) as i64;
            campaign += every;
            if time < first || !self.random.chance(0.6) {
                continue;
            }
            let channel = self.random.pick(&CHANNEL_WEIGHTS);
            let message = |kind, time| Happening {
                channel: channel as u32 + 1,
                ..Happening::new(kind, time)
            };
            self.happen(message(EventKind::MessageSent, time));
            let interest = if time < self.leaves { 1.0 } else { 0.2 };
            if !self
                .random
                .chance(self.open_probability[channel] * interest)
            {
                continue;
            }
            let opened = time + 1 + self.random.exponential(5.0 * HOUR as f64) as i64;
            self.happen(message(EventKind::MessageOpened, opened));
            if channel < 2 && self.random.chance(0.15) {
                self.happen(message(EventKind::MessageAnswered, opened + 2 * MINUTE));
            }
            if !self.random.chance(0.25 * interest) {
                continue;
            }
            self.happen(message(EventKind::MessageClicked, opened + MINUTE / 2));
            let ordered = opened + 30 * MINUTE;
            // One-time customers left with their order, so this never wins them back.
            if ordered < self.leaves.min(self.shop.end()) && self.random.chance(0.2) {
                self.order(ordered);
            } else {
                self.visit(opened + 20 * MINUTE);
            }
        }
    }
}

/// The instants of a customer's own orders (ascending, at least one, all within the log) and the
/// mean gap behind them (days).
fn order_times(shop: &Shop, pattern: Pattern, random: &mut Random) -> (Vec<i64>, f64) {
    let days = f64::from(shop.days);
    let gap_days = random.lognormal(shop.gap_days, 0.5).clamp(1.0, days / 8.0);
    // Days with fraction since the start; times of day are drawn at the end.
    let (joined, stops) = match pattern {
        Pattern::OneTime => (random.between(0.0, days), 0.0),
        Pattern::Regular => {
            // Half of them were customers before the log begins.
            let latest = if random.chance(0.5) {
                gap_days
            } else {
                0.7 * days
            };
            (random.between(0.0, latest), days)
        }
        Pattern::Lapsing => {
            let joined = random.between(0.0, 0.6 * days);
            (
                joined,
                joined + (days - joined) * random.between(0.25, 0.85),
            )
        }
    };
    let gap_days = match pattern {
        // Fast enough to become a regular customer before stopping.
        Pattern::Lapsing => gap_days.min((stops - joined) / 4.0),
        _ => gap_days,
    };
    let mut order_days = vec![joined];
    let mut day = joined;
    if pattern != Pattern::OneTime {
        loop {
            // Interest fades before a customer stops.
            let fading = pattern == Pattern::Lapsing && day > stops - 3.0 * gap_days;
            let pace = if fading { 1.5 } else { 1.0 };
            let gap = random.gamma(shop.gap_shape, gap_days * pace);
            day += (gap / shop.season(shop.day(day))).max(1.0);
            if day >= stops {
                break;
            }
            order_days.push(day);
        }
        if pattern == Pattern::Lapsing && order_days.len() < 3 {
            let third = (stops - joined) / 3.0;
            order_days = vec![joined, joined + third, joined + 2.0 * third];
        }
    }
    // Orders are a day apart at least, so that times of day leave them in order.
    let times = order_days.into_iter().map(|day| {
        let hour = 7.0 + 8.0 * (random.uniform() + random.uniform());
        shop.day(day.floor()) + (hour * HOUR as f64) as i64
    });
    (times.collect(), gap_days)
}
