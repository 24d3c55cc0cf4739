//! Simulated logs as a caller would hold them: columns in some order of arrival.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use churn_core::events::{EventColumns, IdCells, KindColumn, TextCells};
use churn_core::simulate::Shop;
use churn_core::{AsOf, Error, Result, TimeUnit};
use rayon::prelude::*;

/// The order in which rows arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Any row at any place.
    Random,
    /// As a shop writes its log.
    Time,
    /// By customer, then by time: as a log that was built before.
    Customer,
}

/// The type of customer ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Sparse integers of 44 bits.
    Int,
    /// Texts of 12 bytes.
    Text,
    /// Texts of 36 bytes in the form of a UUID.
    Uuid,
}

fn one_of<T: Copy>(what: &str, text: &str, choices: &[(&str, T)]) -> Result<T> {
    match choices.iter().find(|(name, _)| *name == text) {
        Some((_, choice)) => Ok(*choice),
        None => Err(Error::unknown_name(
            what,
            text,
            choices.iter().map(|(name, _)| *name),
        )),
    }
}

impl Arrival {
    /// All orders with their names.
    pub const ALL: [(&'static str, Arrival); 3] = [
        ("random", Arrival::Random),
        ("time", Arrival::Time),
        ("customer", Arrival::Customer),
    ];
}

impl Ids {
    /// All types with their names.
    pub const ALL: [(&'static str, Ids); 3] =
        [("int", Ids::Int), ("text", Ids::Text), ("uuid", Ids::Uuid)];
}

impl FromStr for Arrival {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        one_of("arrival", text, &Arrival::ALL)
    }
}

impl FromStr for Ids {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        one_of("ids", text, &Ids::ALL)
    }
}

/// A log as columns that nobody has ordered yet.
#[derive(Debug, Clone)]
pub struct Log {
    customers: IdCells<'static>,
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<u32>,
    channel_names: Vec<Cow<'static, str>>,
    end: AsOf,
    customer_count: usize,
}

/// How many customers the number of events per customer is measured on.
const PROBE: u32 = 2_000;

impl Log {
    /// A log of about so many events (within a few per cent for thousands of customers) of exactly
    /// so many customers.
    ///
    /// # Errors
    /// `InvalidParameter` where no simulated shop has that many events per customer, or for more
    /// than 2³² rows.
    pub fn simulate(events: usize, customers: u32, arrival: Arrival, ids: Ids) -> Result<Log> {
        let simulated = fit_shop(events as f64 / f64::from(customers), customers)?.open()?;
        let rows = simulated.len();
        if rows > u32::MAX as usize {
            return Err(Error::invalid_parameter(
                "events",
                "at most 2^32 - 1 rows",
                rows,
            ));
        }
        let columns = simulated.columns();
        let (IdCells::Uint(people), KindColumn::Codes(kinds), Some(values)) =
            (&columns.customer.cells, &columns.kind, &columns.value)
        else {
            unreachable!("a simulated shop has integer ids, coded kinds and values");
        };
        let Some(TextCells::Coded { codes, names }) =
            columns.channel.as_ref().map(|channel| &channel.cells)
        else {
            unreachable!("a simulated shop has coded channels");
        };

        let times = &columns.time.cells;
        let id = |row: usize| sparse(people[row]);
        let order: Vec<u32> = match arrival {
            Arrival::Random => order_by(rows, |row| sparse(row as u64) ^ 0x5bd1_e995),
            Arrival::Time => order_by(rows, |row| times[row] as u64),
            Arrival::Customer => match ids {
                Ids::Int | Ids::Text => order_by(rows, id),
                Ids::Uuid => order_by(rows, |row| uuid_head(id(row))),
            },
        };
        fn gather<T: Copy + Send + Sync>(order: &[u32], column: &[T]) -> Vec<T> {
            order.par_iter().map(|row| column[*row as usize]).collect()
        }
        let people: Vec<u64> = order.par_iter().map(|row| id(*row as usize)).collect();
        Ok(Log {
            customers: match ids {
                Ids::Int => IdCells::Uint(people.into()),
                Ids::Text => IdCells::Text(texts(&people, |id, out| {
                    use fmt::Write;
                    // Writing to a string cannot fail.
                    let _ = write!(out, "c{id:011x}");
                })),
                Ids::Uuid => IdCells::Text(texts(&people, |id, out| {
                    use fmt::Write;
                    let (high, low) = (uuid_head(id), id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    let _ = write!(
                        out,
                        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                        high >> 32,
                        high >> 16 & 0xffff,
                        high & 0xffff,
                        low >> 48,
                        low & 0xffff_ffff_ffff,
                    );
                })),
            },
            times: gather(&order, times),
            kinds: gather(&order, kinds),
            values: gather(&order, &values.cells),
            channels: gather(&order, codes),
            channel_names: names
                .iter()
                .map(|name| Cow::Owned(name.to_string()))
                .collect(),
            end: AsOf::new(simulated.end),
            customer_count: simulated.truth.len(),
        })
    }

    /// The columns: customer, time, kind, value, channel.
    pub fn columns(&self) -> EventColumns<'_> {
        self.rows(0..self.len())
    }

    /// The same of some neighbouring rows.
    ///
    /// # Panics
    /// If the log does not have these rows.
    pub fn rows(&self, rows: Range<usize>) -> EventColumns<'_> {
        let customers: IdCells<'_> = match &self.customers {
            IdCells::Uint(ids) => IdCells::Uint(Cow::Borrowed(&ids[rows.clone()])),
            IdCells::Text(TextCells::Packed64 { offsets, bytes }) => {
                IdCells::Text(TextCells::Packed64 {
                    offsets: Cow::Borrowed(&offsets[rows.start..=rows.end]),
                    bytes: Cow::Borrowed(bytes),
                })
            }
            _ => unreachable!("the two layouts made above"),
        };
        EventColumns::new(
            customers,
            &self.times[rows.clone()],
            TimeUnit::Microsecond,
            &self.kinds[rows.clone()],
        )
        .with_values(&self.values[rows.clone()])
        .with_channels(TextCells::Coded {
            codes: Cow::Borrowed(&self.channels[rows]),
            names: self.channel_names.clone(),
        })
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Number of customers.
    pub fn customer_count(&self) -> usize {
        self.customer_count
    }

    /// The instant behind the last event.
    pub fn end(&self) -> AsOf {
        self.end
    }

    /// Money of all purchases, summed in the order of rows.
    pub fn money(&self) -> f64 {
        let purchase = churn_core::events::EventKind::Purchase.code();
        let rows = self.kinds.iter().zip(&self.values);
        rows.filter(|(kind, _)| **kind == purchase)
            .map(|(_, value)| value)
            .sum()
    }
}

/// A shop of so many events per customer: the fewer, the more of its customers order only once;
/// beyond the default shop's number, the longer its log.
fn fit_shop(wanted: f64, customers: u32) -> Result<Shop> {
    let with = |busy: f64| {
        let default = Shop::default();
        Shop {
            customers: customers.min(PROBE),
            regular_share: default.regular_share * busy.min(1.0),
            lapsing_share: default.lapsing_share * busy.min(1.0),
            days: (f64::from(default.days) * busy.max(1.0)).min(36_500.0) as u32,
            ..default
        }
    };
    let (mut low, mut high) = (0.0, 50.0);
    // The number of events is a stair in the shop's settings: steep steps where it is small.
    let mut nearest = (f64::INFINITY, Shop::default());
    for _ in 0..24 {
        let middle = if low < 1.0 && high > 1.0 {
            1.0
        } else {
            (low + high) / 2.0
        };
        let shop = with(middle);
        let rate = shop.open()?.len() as f64 / f64::from(shop.customers);
        let off = (rate / wanted - 1.0).abs();
        if off < nearest.0 {
            nearest = (off, shop);
        }
        if off < 0.01 {
            break;
        }
        if rate < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (off, shop) = nearest;
    if off > 0.25 {
        let expected = "events per customer that a simulated shop can have, about 10 to 3000";
        return Err(Error::invalid_parameter("events", expected, wanted));
    }
    Ok(Shop { customers, ..shop })
}

/// Rows by ascending key, equal keys in the order of rows.
fn order_by(rows: usize, key: impl Fn(usize) -> u64 + Sync) -> Vec<u32> {
    let mut pairs: Vec<(u64, u32)> = (0..rows)
        .into_par_iter()
        .map(|row| (key(row), row as u32))
        .collect();
    pairs.par_sort_unstable();
    pairs.into_par_iter().map(|(_, row)| row).collect()
}

/// A number spread over 44 bits; different for different numbers below 2⁴⁴.
fn sparse(number: u64) -> u64 {
    // An odd factor is a bijection of the lowest bits, and so is a shift back onto itself.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 44) - 1);
    spread ^ (spread >> 22)
}

fn uuid_head(id: u64) -> u64 {
    (id ^ (id >> 17)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn texts(ids: &[u64], write: impl Fn(u64, &mut String)) -> TextCells<'static> {
    let mut bytes = String::new();
    let mut offsets = vec![0_i64];
    for id in ids {
        write(*id, &mut bytes);
        offsets.push(bytes.len() as i64);
    }
    TextCells::Packed64 {
        offsets: offsets.into(),
        bytes: bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use churn_core::EventLog;
    use churn_core::events::Cleaning;

    #[test]
    fn arrival_and_type_of_ids_change_no_customer() {
        let build = |arrival, ids| {
            let log = Log::simulate(20_000, 400, arrival, ids).unwrap();
            assert!((19_000..21_000).contains(&log.len()), "{}", log.len());
            assert_eq!(log.customer_count(), 400);
            let built = EventLog::from_columns(&log.columns(), &Cleaning::default()).unwrap();
            assert_eq!(built.customers().len(), 400);
            built
        };
        let random = build(Arrival::Random, Ids::Int);
        assert_eq!(random, build(Arrival::Time, Ids::Int));
        assert_eq!(random, build(Arrival::Customer, Ids::Int));
        for ids in [Ids::Text, Ids::Uuid] {
            assert_eq!(build(Arrival::Random, ids), build(Arrival::Customer, ids));
        }
    }

    #[test]
    fn arrivals_are_what_they_say() {
        let log = |arrival| Log::simulate(20_000, 400, arrival, Ids::Int).unwrap();
        assert!(log(Arrival::Time).times.is_sorted());
        assert!(!log(Arrival::Random).times.is_sorted());
        let sorted = log(Arrival::Customer);
        let IdCells::Uint(ids) = &sorted.customers else {
            panic!("integer ids");
        };
        assert!(ids.is_sorted());
    }
}
