//! A shop that does not exist: event logs of any size whose truth is known.
//!
//! For examples, tests and benchmarks. Each customer is regular, lapsing or one-time, and the
//! truth says which, and when those who left did so. The log looks like a shop's: few customers
//! make most of the turnover, each buys at a personal rhythm (gamma gaps), trade peaks at the end
//! of November, orders come out of browsing, campaigns go out over four channels to people who
//! answer differently, and trouble precedes some departures.
//!
//! Not for judging a model's worth on your own trade: simulated people follow the assumptions
//! below, real ones do not.
//!
//! One seed decides everything. Each customer has a random stream of their own, so the log is the
//! same for any number of threads, and customer *i* is the same person in a larger shop.

mod campaign;
mod life;
mod response;

pub use campaign::Treatment;
pub use response::Persuasion;

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::life::{Happening, Life};
use crate::error::{Error, Result};
use crate::events::{EventColumns, IdCells, IdColumn, TextCells};
use crate::time::{MICROS_PER_DAY, TimeUnit, Timestamp};

/// Customers that one task simulates.
const BATCH: u32 = 512;

/// Names of the channels; the empty one stands for none.
const CHANNELS: [&str; 5] = ["", "one_to_one", "sms", "email", "push"];

/// What the shop is like.
///
/// # Example
/// ```
/// use churn_core::EventLog;
/// use churn_core::events::Cleaning;
/// use churn_core::simulate::Shop;
/// let shop = Shop { customers: 50, ..Shop::default() }.open()?;
/// let log = EventLog::from_columns(&shop.columns(), &Cleaning::strict())?;
/// assert_eq!(log.customers().len(), shop.truth.len());
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shop {
    /// Number of customers, 1 to 100 million; each has at least one order. A customer has some 80
    /// events in the default two years.
    pub customers: u32,
    /// First instant of the log.
    pub start: Timestamp,
    /// Length of the log (days), 30 to 36,500.
    pub days: u32,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Expected share of customers who buy to the end.
    pub regular_share: f64,
    /// Expected share of customers who buy regularly and then stop; the rest order once.
    pub lapsing_share: f64,
    /// Mean over customers of the mean time between their orders (days), before it is cut to an
    /// eighth of the log, and for lapsing customers to a quarter of their stay.
    pub gap_days: f64,
    /// Shape of the gamma distribution of a customer's gaps, at least 1: the larger, the more
    /// regular (coefficient of variation 1/√shape).
    pub gap_shape: f64,
    /// Mean over customers of the mean value of their orders (currency).
    pub order_value: f64,
    /// Trade at its peak, at the end of November, relative to the months around; at least 1.
    pub season_peak: f64,
    /// Time from one campaign to the next (days); 0 = no campaigns.
    pub campaign_days: u32,
    /// Number of items on offer, at least 16.
    pub items: u32,
}

impl Default for Shop {
    fn default() -> Self {
        Shop {
            customers: 8_000,
            start: Timestamp::from_checked_micros(18_993 * MICROS_PER_DAY),
            days: 730,
            seed: 1,
            regular_share: 0.35,
            lapsing_share: 0.30,
            gap_days: 50.0,
            gap_shape: 3.0,
            order_value: 45.0,
            season_peak: 2.0,
            campaign_days: 28,
            items: 400,
        }
    }
}

/// How a simulated customer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Buys at a rhythm to the end of the log.
    Regular,
    /// Buys at a rhythm, at least three times, and then stops.
    Lapsing,
    /// Orders once.
    OneTime,
}

/// The truth about a simulated customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerTruth {
    /// The id in the log.
    pub customer: u64,
    /// How the customer behaves.
    pub pattern: Pattern,
    /// The first order.
    pub joined: Timestamp,
    /// From this instant on there is no purchase any more; `None` for regular customers.
    pub left: Option<Timestamp>,
    /// Mean of the time between own orders outside the season (days); without meaning for
    /// one-time customers.
    pub gap_days: f64,
    /// Mean value of an order (currency).
    pub order_value: f64,
    /// Probability to open a message on the channels one_to_one, sms, email, push while active.
    pub open_probability: [f64; 4],
}

impl CustomerTruth {
    /// Whether the customer has joined by `at` and has not left then.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.joined <= at && self.left.is_none_or(|left| at < left)
    }
}

/// A simulated log and the truth behind it; rows are ordered by customer, then by time.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedShop {
    /// One entry per customer, in order of id.
    pub truth: Vec<CustomerTruth>,
    /// End of the log (exclusive).
    pub end: Timestamp,
    rows: Rows,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Rows {
    customers: Vec<u64>,
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<u32>,
    orders: Vec<u64>,
    has_order: Vec<bool>,
    items: Vec<u64>,
    has_item: Vec<bool>,
}

impl Rows {
    fn push(&mut self, customer: u64, happening: Happening) {
        self.customers.push(customer);
        self.times.push(happening.time);
        self.kinds.push(happening.kind.code());
        self.values.push(happening.value);
        self.channels.push(happening.channel);
        self.orders.push(happening.order.unwrap_or(0));
        self.has_order.push(happening.order.is_some());
        self.items.push(happening.item.unwrap_or(0));
        self.has_item.push(happening.item.is_some());
    }

    /// By customer, then by time; what is in order stays as it is.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|row| (self.customers[*row], self.times[*row]));
        fn take<T: Copy>(column: &mut Vec<T>, order: &[usize]) {
            *column = order.iter().map(|row| column[*row]).collect();
        }
        take(&mut self.customers, &order);
        take(&mut self.times, &order);
        take(&mut self.kinds, &order);
        take(&mut self.values, &order);
        take(&mut self.channels, &order);
        take(&mut self.orders, &order);
        take(&mut self.has_order, &order);
        take(&mut self.items, &order);
        take(&mut self.has_item, &order);
    }

    fn append(&mut self, mut other: Rows) {
        self.customers.append(&mut other.customers);
        self.times.append(&mut other.times);
        self.kinds.append(&mut other.kinds);
        self.values.append(&mut other.values);
        self.channels.append(&mut other.channels);
        self.orders.append(&mut other.orders);
        self.has_order.append(&mut other.has_order);
        self.items.append(&mut other.items);
        self.has_item.append(&mut other.has_item);
    }
}

impl SimulatedShop {
    /// The log as columns, with values, channels, orders and items.
    pub fn columns(&self) -> EventColumns<'_> {
        let rows = &self.rows;
        let kinds = &rows.kinds;
        let mut columns =
            EventColumns::new(&rows.customers, &rows.times, TimeUnit::Microsecond, kinds)
                .with_values(&rows.values)
                .with_channels(TextCells::Coded {
                    codes: Cow::Borrowed(&rows.channels),
                    names: CHANNELS.map(Cow::Borrowed).to_vec(),
                });
        columns.order = Some(some_ids(&rows.orders, &rows.has_order));
        columns.item = Some(some_ids(&rows.items, &rows.has_item));
        columns
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.rows.times.len()
    }

    /// Whether there is no event; never, since every customer has an order.
    pub fn is_empty(&self) -> bool {
        self.rows.times.is_empty()
    }
}

fn some_ids<'a>(ids: &'a [u64], present: &'a [bool]) -> IdColumn<'a> {
    IdColumn {
        cells: IdCells::Uint(Cow::Borrowed(ids)),
        valid: Some(Cow::Borrowed(present)),
    }
}

impl Shop {
    fn check(&self) -> Result<()> {
        fn within<T: PartialOrd + std::fmt::Display>(
            name: &str,
            value: T,
            low: T,
            high: T,
        ) -> Result<()> {
            if low <= value && value <= high {
                return Ok(());
            }
            Err(Error::invalid_parameter(
                format!("shop.{name}"),
                format_args!("{low} to {high}"),
                value,
            ))
        }
        within("customers", self.customers, 1, 100_000_000)?;
        within("days", self.days, 30, 36_500)?;
        within("regular_share", self.regular_share, 0.0, 1.0)?;
        within("lapsing_share", self.lapsing_share, 0.0, 1.0)?;
        // Shares that add up to 1 in decimals may miss it by a rounding.
        let sum = self.regular_share + self.lapsing_share;
        if sum > 1.0 + 1e-9 {
            return Err(Error::invalid_parameter(
                "shop.lapsing_share",
                "shares that add up to 1 at most",
                sum,
            ));
        }
        within("gap_days", self.gap_days, 1.0, 36_500.0)?;
        within("gap_shape", self.gap_shape, 1.0, 1e6)?;
        within("order_value", self.order_value, 0.01, 1e9)?;
        within("season_peak", self.season_peak, 1.0, 100.0)?;
        within("campaign_days", self.campaign_days, 0, 36_500)?;
        within("items", self.items, 16, u32::MAX)?;
        let last = Timestamp::YEAR_9999.plus_days(-36_500.0);
        within("start", self.start, Timestamp::YEAR_1, last)
    }

    /// Simulates the log.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain.
    pub fn open(&self) -> Result<SimulatedShop> {
        self.check()?;
        let first_ids: Vec<u32> = (0..self.customers).step_by(BATCH as usize).collect();
        let parts: Vec<(Rows, Vec<CustomerTruth>)> = first_ids
            .into_par_iter()
            .map(|first| {
                let mut rows = Rows::default();
                let batch = first..first.saturating_add(BATCH).min(self.customers);
                let truth = batch.map(|i| Life::live(self, i, &mut rows)).collect();
                (rows, truth)
            })
            .collect();
        let mut rows = Rows::default();
        let mut truth = Vec::with_capacity(self.customers as usize);
        for (part, lives) in parts {
            rows.append(part);
            truth.extend(lives);
        }
        Ok(SimulatedShop {
            truth,
            end: Timestamp::from_checked_micros(self.end()),
            rows,
        })
    }

    fn end(&self) -> i64 {
        self.day(f64::from(self.days))
    }

    /// The instant so many days after the start.
    fn day(&self, day: f64) -> i64 {
        self.start.micros() + (day * MICROS_PER_DAY as f64) as i64
    }

    /// Trade at an instant relative to most of the year: a ramp of 30 days up to the end of
    /// November and down again.
    fn season(&self, time: i64) -> f64 {
        const YEAR_DAYS: f64 = 365.2425;
        const PEAK: f64 = 330.0;
        let day = time.div_euclid(MICROS_PER_DAY) as f64;
        let distance = (day - YEAR_DAYS * (day / YEAR_DAYS).floor() - PEAK).abs();
        1.0 + (self.season_peak - 1.0) * (1.0 - distance / 30.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::events::{Cleaning, EventKind, EventLog};
    use crate::time::AsOf;

    fn shop(customers: u32, seed: u64) -> SimulatedShop {
        let shop = Shop {
            customers,
            seed,
            ..Shop::default()
        };
        shop.open().unwrap()
    }

    fn log(shop: &SimulatedShop) -> EventLog {
        EventLog::from_columns(&shop.columns(), &Cleaning::strict()).unwrap()
    }

    /// Purchase instants of each customer.
    fn purchases(shop: &SimulatedShop) -> Vec<Vec<Timestamp>> {
        let log = log(shop);
        let history = log.history(AsOf::new(shop.end));
        assert_eq!(
            history.event_count(),
            shop.len(),
            "all events lie before the end"
        );
        let rows = 0..history.customers().len();
        rows.map(|row| {
            let events = history.customer(row).events();
            let bought = events.filter(|event| event.kind == EventKind::Purchase);
            bought.map(|event| event.time).collect()
        })
        .collect()
    }

    #[test]
    fn events_agree_with_the_truth() {
        let simulated = shop(3_000, 5);
        let bought = purchases(&simulated);
        assert_eq!(bought.len(), simulated.truth.len());
        let start = Shop::default().start;
        assert!(log(&simulated).time_range().unwrap().0 >= start);
        let mut counts = [0; 3];
        for (truth, bought) in simulated.truth.iter().zip(&bought) {
            let (first, last) = (bought[0], bought[bought.len() - 1]);
            assert_eq!(first, truth.joined);
            assert!(first >= start);
            counts[truth.pattern as usize] += 1;
            match truth.pattern {
                Pattern::Regular => assert_eq!(truth.left, None),
                Pattern::Lapsing => {
                    let mut instants = bought.clone();
                    instants.dedup();
                    assert!(instants.len() >= 3, "{truth:?}");
                    let left = truth.left.unwrap();
                    assert!(last < left && left < simulated.end, "{truth:?}");
                    assert!(truth.is_active(last) && !truth.is_active(left));
                }
                Pattern::OneTime => {
                    assert_eq!(first, last);
                    assert_eq!(truth.left.unwrap().micros(), last.micros() + 1);
                }
            }
        }
        for (count, share) in counts.into_iter().zip([0.35, 0.30, 0.35]) {
            // Five standard errors of a share among 3,000.
            assert!(
                (f64::from(count) / 3_000.0 - share).abs() < 0.044,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let one = shop(700, 1);
        assert_eq!(one, shop(700, 1));
        assert_ne!(one, shop(700, 2));
        let alone = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(alone.install(|| shop(700, 1)), one);
        let many = rayon::ThreadPoolBuilder::new()
            .num_threads(7)
            .build()
            .unwrap();
        assert_eq!(many.install(|| shop(700, 1)), one);
    }

    #[test]
    fn the_log_is_the_same_on_every_platform() {
        let simulated = shop(100, 1);
        let rows = &simulated.rows;
        let words = rows.times.iter().map(|time| *time as u64);
        let words = words.chain(rows.values.iter().map(|value| value.to_bits()));
        // FNV-1a, word by word.
        let fingerprint = words.fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| {
            (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // A regression value: it changes when the simulation does, and must not otherwise.
        assert_eq!(
            (simulated.len(), fingerprint),
            (7_577, 15_787_404_119_775_626_730)
        );
    }

    #[test]
    fn a_larger_shop_has_the_same_people() {
        let (small, large) = (shop(600, 9), shop(1_200, 9));
        assert_eq!(small.truth[..], large.truth[..600]);
        assert_eq!(small.rows.times[..], large.rows.times[..small.len()]);
        let growth = large.len() as f64 / small.len() as f64;
        assert!((1.7..2.3).contains(&growth), "{growth}");
    }

    #[test]
    fn it_looks_like_a_shop() {
        let simulated = Shop::default().open().unwrap();
        assert!(
            (200_000..900_000).contains(&simulated.len()),
            "{}",
            simulated.len()
        );
        let log = log(&simulated);
        assert_eq!(log.channels(), ["email", "one_to_one", "push", "sms"]);
        let history = log.history(AsOf::new(simulated.end));
        let mut spend = Vec::new();
        let mut kinds = [0_u64; 16];
        let (mut peak, mut orders) = (0, 0);
        for row in 0..history.customers().len() {
            let mut total = 0.0;
            for event in history.customer(row).events() {
                kinds[usize::from(event.kind.code())] += 1;
                if event.kind == EventKind::Purchase {
                    total += event.value;
                }
                if event.opens_order {
                    orders += 1;
                    let date = event.time.to_string();
                    peak += u32::from(("11-16".."12-06").contains(&&date[5..10]));
                }
            }
            spend.push(total);
        }
        for kind in EventKind::ALL {
            assert!(kinds[usize::from(kind.code())] > 100, "{kind:?} {kinds:?}");
        }
        spend.sort_by(|a, b| b.total_cmp(a));
        let top: f64 = spend[..spend.len() / 5].iter().sum();
        let share = top / spend.iter().sum::<f64>();
        assert!((0.5..0.95).contains(&share), "top fifth spends {share}");
        // 20 of 365 days hold more than their share of the orders.
        let share = f64::from(peak) / f64::from(orders);
        assert!(
            (1.2 * 20.0 / 365.0..3.0 * 20.0 / 365.0).contains(&share),
            "{share}"
        );
    }

    #[test]
    fn leavers_answer_less_and_complain_more() {
        let simulated = shop(6_000, 3);
        let log = log(&simulated);
        let history = log.history(AsOf::new(simulated.end));
        let (mut sent, mut opened) = ([0.0; 2], [0.0; 2]);
        let mut complained = [0.0; 2];
        let mut people = [0.0; 2];
        for (row, truth) in simulated.truth.iter().enumerate() {
            let lapsing = usize::from(truth.pattern == Pattern::Lapsing);
            if truth.pattern != Pattern::OneTime {
                people[lapsing] += 1.0;
            }
            let mut complaint = false;
            for event in history.customer(row).events() {
                let gone = usize::from(!truth.is_active(event.time));
                match event.kind {
                    EventKind::MessageSent => sent[gone] += 1.0,
                    EventKind::MessageOpened => opened[gone] += 1.0,
                    EventKind::Complaint => complaint = true,
                    _ => {}
                }
            }
            if complaint && truth.pattern != Pattern::OneTime {
                complained[lapsing] += 1.0;
            }
        }
        assert!(opened[1] / sent[1] < 0.5 * opened[0] / sent[0]);
        assert!(complained[1] / people[1] > 2.0 * complained[0] / people[0]);
    }

    #[test]
    fn short_and_odd_shops_hold_their_promises() {
        for (days, gap_days, campaign_days) in [(30, 1.0, 1), (31, 500.0, 0), (400, 3.0, 36_500)] {
            let shop = Shop {
                customers: 400,
                days,
                gap_days,
                campaign_days,
                items: 16,
                start: Timestamp::parse("1969-12-20T13:00:00").unwrap(),
                ..Shop::default()
            };
            let simulated = shop.open().unwrap();
            for (truth, bought) in simulated.truth.iter().zip(purchases(&simulated)) {
                assert_eq!(bought[0], truth.joined);
                assert!(
                    bought.iter().all(|time| truth.is_active(*time)),
                    "{truth:?}"
                );
            }
        }
    }

    #[test]
    fn settings_outside_their_domain_are_refused() {
        let refused = |json: &str| {
            let shop: Shop = crate::settings::from_json("shop", json).unwrap();
            let error = shop.open().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidParameter);
            error.what().to_owned()
        };
        assert_eq!(refused(r#"{"customers": 0}"#), "shop.customers");
        assert_eq!(refused(r#"{"days": 7}"#), "shop.days");
        assert_eq!(refused(r#"{"lapsing_share": 0.9}"#), "shop.lapsing_share");
        assert_eq!(refused(r#"{"gap_shape": 0.5}"#), "shop.gap_shape");
        assert_eq!(refused(r#"{"start": "9950-01-01"}"#), "shop.start");
        assert_eq!(refused(r#"{"items": 3}"#), "shop.items");
        let rounded = r#"{"customers": 5, "regular_share": 0.9, "lapsing_share": 0.1}"#;
        let shop: Shop = crate::settings::from_json("shop", rounded).unwrap();
        assert!(shop.open().is_ok());
        let nan = Shop {
            gap_days: f64::NAN,
            ..Shop::default()
        };
        assert_eq!(nan.open().unwrap_err().what(), "shop.gap_days");
    }
}
