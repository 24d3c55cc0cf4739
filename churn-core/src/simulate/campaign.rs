//! A campaign carried out in a simulated shop: who is persuaded comes back and buys.
//!
//! The idea: [`Persuasion`] says by how much a contact raises the chance that a customer goes on
//! buying; here the lots are drawn, and what follows is in the log, so that experiments, journeys
//! and reports can be run on it and compared with the truth.

use serde::{Deserialize, Serialize};

use super::{CustomerTruth, Pattern, Persuasion, SimulatedShop};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::random::Random;
use crate::simulate::life::Happening;
use crate::time::{Horizon, MICROS_PER_DAY, Timestamp};

/// Bit of order ids that the shop itself never sets.
const ORDER_BIT: u64 = 1 << 19;
/// Days within which whoever is persuaded comes back.
const BACK_WITHIN_DAYS: f64 = 14.0;

/// A contact with a customer of a simulated shop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Treatment {
    /// The customer's id.
    pub customer: u64,
    /// When the message arrives.
    pub at: Timestamp,
    /// Its channels, by position in `open_probability`.
    pub channels: Vec<usize>,
    /// Share of readers about to leave whom the offer persuades, from 0 to 1.
    pub strength: f64,
}

impl SimulatedShop {
    /// The same shop after these contacts: whoever is persuaded comes back within two weeks (one-time
    /// customers for one order, others at their own rhythm until the end of the log), and the truth
    /// says so. Only contacts change anything: the log of the others is the same to the bit.
    ///
    /// A customer who is back is persuaded no more. The order of the contacts does not matter, and a
    /// customer's lots depend on nobody else.
    ///
    /// # Errors
    /// `InvalidValue`, with the row, for a customer that does not exist, a channel that is not one of
    /// the four, and a strength outside \[0, 1\].
    ///
    /// # Example
    /// ```
    /// use churn_core::Horizon;
    /// use churn_core::simulate::{Persuasion, Shop, Treatment};
    /// let shop = Shop { customers: 400, ..Shop::default() }.open()?;
    /// let at = shop.end.plus_days(-90.0);
    /// let coupons: Vec<Treatment> = (1..=400)
    ///     .map(|customer| Treatment { customer, at, channels: vec![1], strength: 0.5 })
    ///     .collect();
    /// let (persuasion, horizon) = (Persuasion::default(), Horizon::days(90)?);
    /// let after = shop.respond(&coupons, &persuasion, horizon, 7)?;
    /// assert!(after.len() > shop.len());
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn respond(
        &self,
        contacts: &[Treatment],
        persuasion: &Persuasion,
        horizon: Horizon,
        seed: u64,
    ) -> Result<SimulatedShop> {
        for (row, contact) in contacts.iter().enumerate() {
            let known = (1..=self.truth.len() as u64).contains(&contact.customer);
            if !known {
                let expected = format!("a customer from 1 to {}", self.truth.len());
                let got = contact.customer;
                return Err(Error::invalid_value(
                    "contacts.customer",
                    row,
                    expected,
                    got,
                ));
            }
            if let Some(channel) = contact.channels.iter().find(|channel| **channel > 3) {
                let expected = "a channel from 0 to 3";
                return Err(Error::invalid_value(
                    "contacts.channels",
                    row,
                    expected,
                    channel,
                ));
            }
            if !(0.0..=1.0).contains(&contact.strength) {
                let got = contact.strength;
                let expected = "a share from 0 to 1";
                return Err(Error::invalid_value(
                    "contacts.strength",
                    row,
                    expected,
                    got,
                ));
            }
        }
        let mut order: Vec<usize> = (0..contacts.len()).collect();
        // By customer and time; of several at one instant the strongest, so that order is no matter.
        order.sort_by(|a, b| {
            let (a, b) = (&contacts[*a], &contacts[*b]);
            (a.customer, a.at)
                .cmp(&(b.customer, b.at))
                .then(b.strength.total_cmp(&a.strength))
                .then(a.channels.cmp(&b.channels))
        });
        let mut after = self.clone();
        for own in order.chunk_by(|a, b| contacts[*a].customer == contacts[*b].customer) {
            let customer = contacts[own[0]].customer;
            let truth = &mut after.truth[customer as usize - 1];
            let mut random = Random::new(seed, customer);
            for contact in own.iter().map(|i| &contacts[*i]) {
                let change = persuasion.change(
                    truth,
                    contact.at,
                    horizon,
                    &contact.channels,
                    contact.strength,
                );
                if random.uniform() < change {
                    let orders = come_back(truth, contact.at, self.end, &mut random);
                    for happening in orders {
                        after.rows.push(customer, happening);
                    }
                    break;
                }
            }
        }
        after.rows.sort();
        Ok(after)
    }
}

/// The orders of a customer who was persuaded; the truth learns of it.
fn come_back(
    truth: &mut CustomerTruth,
    at: Timestamp,
    end: Timestamp,
    random: &mut Random,
) -> Vec<Happening> {
    let day = MICROS_PER_DAY as f64;
    // Who has not left yet goes on when they would have left.
    let from = truth.left.map_or(at, |left| left.max(at)).micros();
    let mut time = from + (random.between(0.5, BACK_WITHIN_DAYS) * day) as i64;
    let mut orders = Vec::new();
    while time < end.micros() {
        let value = random.lognormal(truth.order_value, 0.35);
        let number = orders.len() as u64;
        orders.push(Happening {
            time,
            kind: EventKind::Purchase,
            value: (value * 100.0).round().max(1.0) / 100.0,
            channel: 0,
            order: Some(truth.customer << 20 | ORDER_BIT | number),
            item: None,
        });
        if truth.pattern == Pattern::OneTime {
            break;
        }
        time += (random.gamma(3.0, truth.gap_days).max(1.0) * day) as i64;
    }
    truth.left = match (truth.pattern, orders.last()) {
        (Pattern::OneTime, Some(last)) => Some(Timestamp::from_checked_micros(last.time + 1)),
        // Back too late for this log: as before.
        (_, None) => truth.left,
        _ => None,
    };
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cleaning, EventLog};
    use crate::simulate::Shop;
    use crate::time::AsOf;

    #[test]
    fn as_many_come_back_as_the_truth_says() {
        let settings = Shop {
            customers: 6_000,
            ..Shop::default()
        };
        let shop = settings.open().unwrap();
        let at = shop.end.plus_days(-90.0);
        let horizon = Horizon::days(90).unwrap();
        let persuasion = Persuasion::default();
        let mut contacts: Vec<Treatment> = (1..=6_000)
            .filter(|customer| customer % 2 == 0)
            .map(|customer| Treatment {
                customer,
                at,
                channels: vec![1],
                strength: 0.6,
            })
            .collect();
        let expected: f64 = contacts
            .iter()
            .map(|c| {
                let truth = &shop.truth[c.customer as usize - 1];
                persuasion.change(truth, at, horizon, &c.channels, c.strength)
            })
            .sum();
        let after = shop.respond(&contacts, &persuasion, horizon, 3).unwrap();
        let changed = shop.truth.iter().zip(&after.truth);
        let back = changed.clone().filter(|(a, b)| a != b).count() as f64;
        // Six standard errors of a sum of lots; those who come back after the end are missing.
        assert!(
            (back - expected).abs() < 6.0 * expected.sqrt(),
            "{back} of {expected}"
        );
        assert!(
            changed
                .filter(|(a, b)| a != b)
                .all(|(a, _)| a.customer % 2 == 0)
        );
        contacts.reverse();
        assert_eq!(
            shop.respond(&contacts, &persuasion, horizon, 3).unwrap(),
            after
        );
        assert_eq!(shop.respond(&[], &persuasion, horizon, 3).unwrap(), shop);

        let log = EventLog::from_columns(&after.columns(), &Cleaning::strict()).unwrap();
        let history = log.history(AsOf::new(after.end));
        for row in 0..history.customers().len() {
            let mut events = history.customer(row).events();
            let bought = |time: Timestamp| after.truth[row].is_active(time);
            let late = events.find(|e| e.kind == EventKind::Purchase && !bought(e.time));
            assert!(late.is_none(), "{:?} {late:?}", after.truth[row]);
        }
    }

    #[test]
    fn wrong_contacts_are_named() {
        let settings = Shop {
            customers: 10,
            ..Shop::default()
        };
        let shop = settings.open().unwrap();
        let fails = |customer, channel, strength, place: &str| {
            let contact = Treatment {
                customer,
                at: shop.end,
                channels: vec![channel],
                strength,
            };
            let persuasion = Persuasion::default();
            let horizon = Horizon::days(9).unwrap();
            let error = shop
                .respond(&[contact], &persuasion, horizon, 1)
                .unwrap_err();
            assert_eq!((error.what(), error.row()), (place, Some(0)));
        };
        fails(11, 0, 0.5, "contacts.customer");
        fails(0, 0, 0.5, "contacts.customer");
        fails(1, 4, 0.5, "contacts.channels");
        fails(1, 0, 1.5, "contacts.strength");
    }
}
