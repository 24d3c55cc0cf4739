//! Counts and money in the last days, and whether they rise or fall.
//!
//! The window of w days is `[as_of − w days, as_of)`; the one before it has the same length. The
//! trend is `(now − before) / (now + before)`: −1 where everything stopped, 0 where nothing
//! changed (or nothing ever was), 1 where everything is new. Unlike a ratio or a relative change
//! it is always defined and bounded, and swapping the windows swaps the sign.

use super::FeatureInfo;
use super::activity::is_interaction;
use super::block::Out;
use super::needs::Need;
use super::sweep::{Gather, Sight};
use crate::error::{Error, Result};
use crate::events::EventKind;

pub(super) fn check(windows_days: &[u32]) -> Result<()> {
    for (i, days) in windows_days.iter().enumerate() {
        if !(1..=36_500).contains(days) {
            return Err(Error::invalid_parameter(
                format!("features.windows_days[{i}]"),
                "1 to 36500 days",
                days,
            ));
        }
        if windows_days[..i].contains(days) {
            return Err(Error::invalid_parameter(
                format!("features.windows_days[{i}]"),
                "windows that differ",
                format_args!("{days} twice"),
            ));
        }
    }
    Ok(())
}

const PER_WINDOW: usize = 7;

pub(super) fn count(windows_days: &[u32]) -> usize {
    PER_WINDOW * windows_days.len()
}

pub(super) fn catalogue(windows_days: &[u32], out: &mut Vec<FeatureInfo>) {
    for days in windows_days {
        let amount = |name: &str, unit: &str, what: &str| {
            FeatureInfo::new(
                format!("{name}_{days}d"),
                unit,
                format!("{what} in the last {days} days"),
            )
            .at_least(0.0)
        };
        let trend = |name: &str, what: &str| {
            FeatureInfo::new(
                format!("{name}_trend_{days}d"),
                "ratio",
                format!(
                    "{what} of the last {days} days against the {days} days before: difference over sum, 0 if both are 0"
                ),
            )
            .at_least(-1.0)
            .at_most(1.0)
        };
        out.extend([
            amount("orders", "count", "orders"),
            amount(
                "value",
                "currency",
                "money of purchases, refunds not deducted,",
            ),
            amount("views", "count", "views"),
            amount(
                "interactions",
                "count",
                "carts, favourites, shares, reviews, other interactions and ad clicks",
            ),
            amount("messages", "count", "messages sent to the customer"),
            trend("orders", "orders"),
            trend("value", "money of purchases"),
        ]);
    }
}

/// In the order of the catalogue.
pub(super) fn needs(windows: usize, out: &mut Vec<Need>) {
    let count = |kind| Need::of([kind]).gathered(Gather::KINDS);
    let bought = || Need::of([EventKind::Purchase]).gathered(Gather::PURCHASES);
    let (orders, money) = (|| bought().orders(), || bought().gathered(Gather::LINES));
    let interactions = EventKind::ALL.into_iter().filter(|k| is_interaction(*k));
    for _ in 0..windows {
        out.extend([
            orders(),
            money(),
            count(EventKind::View),
            Need::of(interactions.clone()).gathered(Gather::KINDS),
            count(EventKind::MessageSent),
            orders().gathered(Gather::BEFORE),
            money().gathered(Gather::BEFORE),
        ]);
    }
}

/// The windows of which something is selected, by their positions in the settings.
pub(super) fn wanted(windows: usize, selected: impl Fn(usize) -> bool) -> Vec<usize> {
    let of = |window: usize| PER_WINDOW * window..PER_WINDOW * (window + 1);
    (0..windows)
        .filter(|window| of(*window).any(&selected))
        .collect()
}

/// What the customer's own past says, of the windows at these positions.
pub(super) fn own(sight: &Sight<'_>, positions: &[usize], out: &mut Out<'_>) {
    for (position, (before, start, now)) in positions.iter().zip(sight.windows()) {
        let orders = f64::from(now.orders - start.orders);
        let orders_before = f64::from(start.orders - before.orders);
        let value = sight.state.money(start.lines..now.lines);
        let value_before = sight.state.money(before.lines..start.lines);
        let at = PER_WINDOW * position;
        out.set(at, orders);
        out.set(at + 1, value);
        out.set(at + 2, f64::from(now.views - start.views));
        out.set(at + 3, f64::from(now.interactions - start.interactions));
        out.set(at + 4, f64::from(now.messages - start.messages));
        out.set(at + 5, trend(orders, orders_before));
        out.set(at + 6, trend(value, value_before));
    }
}

fn trend(now: f64, before: f64) -> f64 {
    if now + before > 0.0 {
        (now - before) / (now + before)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AsOf;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, build};

    #[test]
    fn edges_belong_to_the_later_window() {
        let log = log(&[
            ("ann", "2019-12-31T23:59:59", "purchase", 7.0),
            ("ann", "2020-01-01", "purchase", 3.0),
            ("ann", "2020-01-07T23:59:59", "purchase", 5.0),
            ("ann", "2020-01-08", "purchase", 24.0),
            ("ann", "2020-01-09", "view", 0.0),
            ("ann", "2020-01-10", "cart", 0.0),
            ("ann", "2020-01-10", "message_sent", 0.0),
        ]);
        let spec = FeatureSpec {
            windows_days: vec![7, 8],
            ..FeatureSpec::default()
        };
        let table = build(&log.history(AsOf::parse("2020-01-15").unwrap()), &spec).unwrap();
        for (name, expected) in [
            ("orders_7d", 1.0),
            ("value_7d", 24.0),
            ("views_7d", 1.0),
            ("interactions_7d", 1.0),
            ("messages_7d", 1.0),
            ("orders_trend_7d", -1.0 / 3.0),
            ("value_trend_7d", 0.5),
            ("orders_8d", 2.0),
            ("value_8d", 29.0),
        ] {
            assert_eq!(column(&table, name)[0], expected, "{name}");
        }
    }

    #[test]
    fn trend_is_bounded_and_defined() {
        assert_eq!(trend(0.0, 0.0), 0.0);
        assert_eq!(trend(3.0, 0.0), 1.0);
        assert_eq!(trend(0.0, 2.0), -1.0);
    }

    #[test]
    fn windows_are_checked() {
        assert!(check(&[7, 30]).is_ok());
        assert!(check(&[0]).is_err());
        assert_eq!(
            check(&[7, 7]).unwrap_err().what(),
            "features.windows_days[1]"
        );
    }
}
