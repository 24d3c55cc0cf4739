//! Logs that leave out what nobody asked for: same numbers, nothing silent.

use churn_core::events::{
    Cleaning, DropReason, DuplicatePolicy, EventColumns, EventKind, Keep, NegativePolicy, Policy,
};
use churn_core::features::{
    Describer, FeatureSpec, Population, SummarySettings, build, build_with, summarize,
};
use churn_core::progress::Progress;
use churn_core::{AsOf, ErrorKind, EventLog, TimeUnit, Timestamp};
use proptest::prelude::*;

const CHANNELS: [&str; 2] = ["email", "sms"];
const NOW: i64 = 20_000;

#[derive(Debug, Clone)]
struct Row {
    customer: i64,
    day: i64,
    kind: u8,
    value: f64,
    channel: usize,
    order: i64,
}

struct Columns {
    customers: Vec<i64>,
    days: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<&'static str>,
    orders: Vec<i64>,
}

impl Columns {
    fn of(rows: &[Row]) -> Self {
        Columns {
            customers: rows.iter().map(|r| r.customer).collect(),
            days: rows.iter().map(|r| r.day).collect(),
            kinds: rows.iter().map(|r| r.kind).collect(),
            values: rows.iter().map(|r| r.value).collect(),
            channels: rows.iter().map(|r| CHANNELS[r.channel]).collect(),
            orders: rows.iter().map(|r| r.order).collect(),
        }
    }

    fn view(&self) -> EventColumns<'_> {
        let kinds = self.kinds.as_slice();
        EventColumns::new(self.customers.as_slice(), &self.days, TimeUnit::Day, kinds)
            .with_values(&self.values)
            .with_channels(self.channels.as_slice())
            .with_orders(self.orders.as_slice())
            .with_items(self.orders.as_slice())
    }

    fn log(&self, keep: Keep) -> EventLog {
        let cleaning = Cleaning {
            keep,
            ..Cleaning::default()
        };
        EventLog::from_columns(&self.view(), &cleaning).unwrap()
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0_i64..9,
        NOW - 500..NOW,
        prop_oneof![Just(1_u8), 1_u8..=15],
        1_u32..9_000,
        0_usize..2,
        0_i64..4,
    );
    let row = row.prop_map(|(customer, day, kind, cents, channel, order)| Row {
        customer,
        day,
        kind,
        value: f64::from(cents) / 100.0,
        channel,
        order,
    });
    prop::collection::vec(row, 1..150).prop_map(|mut rows| {
        // Channels are configuration of the shop: each occurs.
        rows.extend((0..2).map(|channel| Row {
            customer: 3,
            day: NOW - 400,
            kind: EventKind::MessageSent.code(),
            value: 0.0,
            channel,
            order: 0,
        }));
        rows
    })
}

fn now() -> AsOf {
    AsOf::new(Timestamp::from_micros(NOW * 86_400_000_000).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn features_of_a_smaller_log_are_those_of_the_whole(
        rows in rows(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let columns = Columns::of(&rows);
        let whole = columns.log(Keep::default());
        let channels = whole.channels().to_vec();
        let all: Vec<String> =
            FeatureSpec::default().catalogue(&channels).unwrap().into_iter().map(|i| i.name).collect();
        let mut names: Vec<&String> = picks.iter().map(|pick| pick.get(&all)).collect();
        names.sort();
        names.dedup();
        let spec = FeatureSpec::default().with_features(names);
        let keep = spec.needs().unwrap();
        let small = columns.log(keep.clone());
        let report = small.report();
        let left_out = rows.iter().filter(|r| !keep.includes(EventKind::from_code(r.kind).unwrap()));
        prop_assert_eq!(report.dropped(DropReason::NotAskedFor).rows, left_out.count() as u64);
        prop_assert_eq!(report.rows_kept + report.rows_dropped(), report.rows_in);

        // Channels are known by the messages that are kept.
        let spec_fits = spec.selected(small.channels()).is_ok();
        prop_assume!(spec_fits);
        let expected = build(&whole.history(now()), &spec).unwrap();
        let got = build(&small.history(now()), &spec).unwrap();
        for (row, id) in got.customers().iter().enumerate() {
            let place = expected.customers().find(id).unwrap();
            for (j, name) in got.names().enumerate() {
                let (a, b) = (got.column_at(j)[row], expected.column_at(j)[place]);
                let shifted = name == "preferred_channel" && small.channels() != whole.channels();
                prop_assert!(shifted || a.to_bits() == b.to_bits(), "{name} of {id}: {a} and {b}");
            }
        }
    }

    #[test]
    fn appends_keep_what_the_build_kept(rows in rows(), cut in any::<prop::sample::Index>()) {
        let keep = Keep { channels: false, orders: true, items: false, ..Keep::kinds([EventKind::Purchase]) };
        let cut = cut.index(rows.len());
        let mut log = Columns::of(&rows[..cut]).log(keep.clone());
        log.append(&Columns::of(&rows[cut..]).view()).unwrap();
        let once = Columns::of(&rows).log(keep);
        prop_assert_eq!(log.report(), once.report());
        prop_assert!(log == once);
        prop_assert!(log.channels().is_empty() && log.items().is_none());
    }
}

fn shop() -> Columns {
    let kinds = [1, 2, 3, 9, 11, 15, 1, 3];
    let rows: Vec<Row> = (0..64)
        .map(|i| Row {
            customer: i % 5,
            day: NOW - 1 - 3 * i,
            kind: kinds[i as usize % kinds.len()],
            value: i as f64,
            channel: i as usize % 2,
            order: i / 7,
        })
        .collect();
    Columns::of(&rows)
}

#[test]
fn what_was_left_out_is_refused_by_name() {
    let columns = shop();
    let only_bought = FeatureSpec::default().with_features(["total_value", "gaps"]);
    let keep = only_bought.needs().unwrap();
    assert_eq!(
        keep,
        Keep {
            channels: false,
            orders: false,
            items: false,
            ..Keep::kinds([EventKind::Purchase])
        }
    );
    let log = columns.log(keep.clone());
    let history = log.history(now());
    assert!(build(&history, &only_bought).is_ok());
    for (feature, missing) in [
        ("net_value", "a log that keeps events of kind refund"),
        ("orders", "a log that keeps order ids"),
        ("views_7d", "a log that keeps events of kind view"),
        (
            "preferred_channel",
            "a log that keeps events of kind message_sent",
        ),
    ] {
        let spec = FeatureSpec::default().with_features(["gaps", feature]);
        let error = build(&history, &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        assert_eq!(error.what(), format!("features.{feature}"));
        assert_eq!(error.expected(), missing);
        assert!(build(&columns.log(spec.needs().unwrap()).history(now()), &spec).is_ok());
    }
    // The whole catalogue is not there either.
    let error = build(&history, &FeatureSpec::default()).unwrap_err();
    assert_eq!(error.what(), "features.orders");

    // Nor is a summary without purchases.
    let views = columns.log(Keep::kinds([EventKind::View]));
    let error = summarize(&views.history(now()), &SummarySettings::default()).unwrap_err();
    assert_eq!(error.what(), "summary");
    assert!(summarize(&history, &SummarySettings::default()).is_ok());
}

#[test]
fn a_population_knows_what_it_has_not_seen() {
    let columns = shop();
    let (whole, small) = (
        columns.log(Keep::default()),
        columns.log(Keep::kinds([EventKind::Purchase])),
    );
    let spec = FeatureSpec::default().with_features(["gap_mean", "activity"]);
    let learned = Population::fit(&small.history(now()), &spec).unwrap();
    let stored = Population::from_json(&learned.to_json()).unwrap();
    assert_eq!(stored, learned);
    let error = build_with(&whole.history(now()), &spec, &stored, &Progress::none()).unwrap_err();
    assert_eq!(error.what(), "features.activity");
    let gaps = FeatureSpec::default().with_features(["gap_mean"]);
    assert!(build_with(&whole.history(now()), &gaps, &stored, &Progress::none()).is_ok());
    // A population of a whole log says nothing about leaving out, as before.
    let whole_population = Population::fit(&whole.history(now()), &spec).unwrap();
    assert!(!whole_population.to_json().contains("keep"));

    let mut describer = Describer::new(whole.channels(), now(), &spec, &whole_population).unwrap();
    assert!(
        describer
            .describe(&whole.customer(1_i64, now()).unwrap())
            .is_ok()
    );
    let small = columns.log(Keep {
        channels: true,
        ..Keep::kinds([EventKind::Purchase])
    });
    let mut describer = Describer::new(small.channels(), now(), &spec, &whole_population).unwrap();
    let error = describer.describe(&small.customer(1_i64, now()).unwrap());
    assert_eq!(error.unwrap_err().what(), "features.activity");
}

#[test]
fn needs_follow_the_spec() {
    let of = |names: &[&str]| FeatureSpec::default().with_features(names.to_vec()).needs();
    let clicks = of(&["sms_clicked"]).unwrap();
    assert!(clicks.channels && !clicks.orders && clicks.includes(EventKind::MessageClicked));
    assert!(!clicks.includes(EventKind::MessageSent));
    assert_eq!(
        of(&["sms_click"]).unwrap_err().kind(),
        ErrorKind::UnknownName
    );
    assert_eq!(
        of(&["_clicked"]).unwrap_err().kind(),
        ErrorKind::UnknownName
    );
    let all = FeatureSpec::default().needs().unwrap();
    assert!(all.channels && all.orders && !all.items);
    assert!(EventKind::ALL.into_iter().all(|kind| all.includes(kind)));
    let both = clicks.and(&of(&["orders"]).unwrap());
    assert!(both.orders && both.channels && both.includes(EventKind::Purchase));
    let json = r#"{"keep": {"kinds": ["purchase"], "channels": false}}"#;
    let read: Cleaning = churn_core::settings::from_json("cleaning", json).unwrap();
    assert!(read.keep.items && !read.keep.includes(EventKind::View));
}

#[test]
fn rows_left_out_are_not_looked_at_and_counted_once() {
    let days = [10_i64, i64::MAX, 11, 12, 13];
    let kinds = [1_u8, 3, 3, 1, 2];
    let values = [5.0, 1.0, f64::NAN, -7.0, 2.0];
    let ids = [1_i64, 1, 2, 2, 3];
    let columns =
        EventColumns::new(&ids, &days, TimeUnit::Day, kinds.as_slice()).with_values(&values);
    let build = |keep: Keep, negative_value| {
        let cleaning = Cleaning {
            keep,
            negative_value,
            impossible_time: Policy::Reject,
            ..Cleaning::default()
        };
        EventLog::from_columns(&columns, &cleaning)
    };
    let purchases = Keep::kinds([EventKind::Purchase]);
    let log = build(purchases.clone(), NegativePolicy::Drop).unwrap();
    let not_asked = log.report().dropped(DropReason::NotAskedFor);
    assert_eq!((log.len(), not_asked.rows, not_asked.money), (1, 3, 2.0));
    assert_eq!(log.report().dropped(DropReason::NegativeValue).rows, 1);
    assert!(log.report().to_string().contains("not_asked_for"));
    // A purchase of negative money is a refund, which is what counts.
    let log = build(purchases, NegativePolicy::Refund).unwrap();
    assert_eq!(log.report().dropped(DropReason::NotAskedFor).rows, 4);
    let log = build(Keep::kinds([EventKind::Refund]), NegativePolicy::Refund).unwrap();
    assert_eq!((log.len(), log.report().refunds_kept), (2, 9.0));
    let error = build(Keep::kinds([]), NegativePolicy::Drop).unwrap_err();
    assert_eq!(error.what(), "cleaning.keep.kinds");
}

#[test]
fn copies_are_not_judged_by_fewer_columns() {
    let columns = shop();
    let cleaning = Cleaning {
        keep: Keep {
            items: false,
            ..Keep::default()
        },
        duplicates: DuplicatePolicy::Drop,
        ..Cleaning::default()
    };
    let error = EventLog::from_columns(&columns.view(), &cleaning).unwrap_err();
    assert_eq!(error.what(), "cleaning.keep.items");
}
