//! Properties of features that hold for every log, and agreement with published summaries.

use std::sync::Arc;

use churn_core::events::{Cleaning, CustomerHistory, EventColumns, EventKind, EventLog};
use churn_core::features::{
    CustomFeature, Describer, FeatureInfo, FeatureSpec, FeatureTable, Population, SummarySettings,
    build, build_many, build_observed, build_with, refresh, summarize,
};
use churn_core::progress::{Control, Progress};
use churn_core::{AsOf, ErrorKind, TimeUnit, Timestamp};
use proptest::prelude::*;

const CHANNELS: [&str; 3] = ["email", "sms", "wechat"];
const DAY: i64 = 86_400_000_000;
/// 400 Gregorian years: the shortest move that keeps the calendar as it is.
const CALENDAR_CYCLE: i64 = 146_097 * DAY;

#[derive(Debug, Clone)]
struct Row {
    customer: i64,
    time: i64,
    kind: u8,
    value: f64,
    channel: usize,
}

fn log(rows: &[Row]) -> EventLog {
    let customers: Vec<i64> = rows.iter().map(|r| r.customer).collect();
    let times: Vec<i64> = rows.iter().map(|r| r.time).collect();
    let kinds: Vec<u8> = rows.iter().map(|r| r.kind).collect();
    let values: Vec<f64> = rows.iter().map(|r| r.value).collect();
    let channels: Vec<&str> = rows.iter().map(|r| CHANNELS[r.channel]).collect();
    let columns = EventColumns::new(
        customers.as_slice(),
        &times,
        TimeUnit::Microsecond,
        kinds.as_slice(),
    )
    .with_values(&values)
    .with_channels(channels.as_slice());
    EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
}

fn as_of(micros: i64) -> AsOf {
    AsOf::new(Timestamp::from_micros(micros).unwrap())
}

fn spec() -> FeatureSpec {
    FeatureSpec::default()
}

/// Column by column, so that a failure names the feature.
fn assert_same_bits(a: &FeatureTable, b: &FeatureTable) {
    assert_eq!(a.features(), b.features());
    assert_eq!(a.customers(), b.customers());
    for (j, name) in a.names().enumerate() {
        let (a, b) = (a.column_at(j), b.column_at(j));
        let same = a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}: {a:?} and {b:?}");
    }
}

/// Times around `NOW`, many of them equal, before and after it.
const NOW: i64 = 20_000 * DAY + DAY / 3;

fn row() -> impl Strategy<Value = Row> {
    let time = prop_oneof![
        (-800_i64..40).prop_map(|day| NOW + day * DAY),
        (-120_i64..20).prop_map(|day| NOW + day * DAY + 1),
        (-800 * DAY..40 * DAY).prop_map(|offset| NOW + offset),
    ];
    let kind = prop_oneof![Just(1_u8), Just(1), Just(3), 1_u8..=15];
    let value = prop_oneof![
        Just(0.0),
        (1_u32..50_000).prop_map(|c| f64::from(c) / 100.0)
    ];
    (0_i64..8, time, kind, value, 0_usize..3).prop_map(|(customer, time, kind, value, channel)| {
        Row {
            customer,
            time,
            kind,
            value,
            channel,
        }
    })
}

/// A log in which every channel occurs, because channels are configuration and not behaviour.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 0..120).prop_map(|mut rows| {
        rows.extend((0..3).map(|channel| Row {
            customer: 3,
            time: NOW - 400 * DAY,
            kind: EventKind::MessageSent.code(),
            value: 0.0,
            channel,
        }));
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn order_of_the_input_does_not_matter(rows in rows(), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        let (a, b) = (log(&rows), log(&shuffled));
        let now = as_of(NOW);
        let a = build(&a.history(now), &spec()).unwrap();
        assert_same_bits(&a, &build(&b.history(now), &spec()).unwrap());
    }

    #[test]
    fn renaming_customers_only_permutes_rows(rows in rows()) {
        let mut renamed = rows.clone();
        renamed.iter_mut().for_each(|row| row.customer = 100 - row.customer);
        let (a, b) = (log(&rows), log(&renamed));
        let a = build(&a.history(as_of(NOW)), &spec()).unwrap();
        let b = build(&b.history(as_of(NOW)), &spec()).unwrap();
        for (j, name) in a.names().enumerate() {
            let mut reversed = b.column_at(j).to_vec();
            reversed.reverse();
            let same = a.column_at(j).iter().zip(&reversed).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same, "{name}");
        }
    }

    #[test]
    fn moving_all_times_changes_nothing(rows in rows(), days in -20_000_i64..20_000) {
        let moved = |by: i64| {
            let mut moved = rows.clone();
            moved.iter_mut().for_each(|row| row.time += by);
            build(&log(&moved).history(as_of(NOW + by)), &spec()).unwrap()
        };
        let here = moved(0);
        assert_same_bits(&here, &moved(CALENDAR_CYCLE));
        assert_same_bits(&here, &moved(-CALENDAR_CYCLE));
        // By whole days everything but the calendar months stays.
        let there = moved(days * DAY);
        let names: Vec<&str> = here.names().filter(|n| *n != "regular_then_silent").collect();
        assert_same_bits(&here.select(&names).unwrap(), &there.select(&names).unwrap());
    }

    #[test]
    fn scaling_money_scales_money_only(rows in rows()) {
        let mut dear = rows.clone();
        let money = |row: &&mut Row| row.kind <= 2;
        dear.iter_mut().filter(money).for_each(|row| row.value *= 4.0);
        let a = build(&log(&rows).history(as_of(NOW)), &spec()).unwrap();
        let b = build(&log(&dear).history(as_of(NOW)), &spec()).unwrap();
        for (j, info) in a.features().iter().enumerate() {
            let factor = if info.unit == "currency" { 4.0 } else { 1.0 };
            for (a, b) in a.column_at(j).iter().zip(b.column_at(j)) {
                prop_assert!((a * factor).to_bits() == b.to_bits(), "{}: {a} {b}", info.name);
            }
        }
    }

    #[test]
    fn the_future_changes_nothing(rows in rows(), more in prop::collection::vec(row(), 0..40)) {
        let past: Vec<Row> = rows.iter().filter(|row| row.time < NOW).cloned().collect();
        let mut with_future = rows.clone();
        with_future.extend(more.into_iter().map(|mut row| {
            row.time = row.time.max(NOW);
            row
        }));
        let (past, all) = (log(&past), log(&with_future));
        let (past, all) = (past.history(as_of(NOW)), all.history(as_of(NOW)));
        let a = build_observed(&past, &spec(), &Progress::none()).unwrap();
        let b = build_observed(&all, &spec(), &Progress::none()).unwrap();
        assert_same_bits(&a.0, &b.0);
        prop_assert_eq!(a.1, b.1);
        let weeks = SummarySettings { time_scale: 7.0, ..SummarySettings::default() };
        prop_assert_eq!(summarize(&past, &weeks).unwrap(), summarize(&all, &weeks).unwrap());
    }

    #[test]
    fn a_stored_population_gives_the_same_bits(rows in rows()) {
        let log = log(&rows);
        let history = log.history(as_of(NOW));
        let (table, population) = build_observed(&history, &spec(), &Progress::none()).unwrap();
        prop_assert_eq!(&population, &Population::fit(&history, &spec()).unwrap());
        let stored = Population::from_json(&population.to_json()).unwrap();
        prop_assert_eq!(&population, &stored);
        let again = build_with(&history, &spec(), &stored, &Progress::none()).unwrap();
        assert_same_bits(&table, &again);
        assert_same_bits(&table, &build(&history, &spec()).unwrap());
    }

    #[test]
    fn one_customer_alone_has_the_numbers_of_the_table(rows in rows()) {
        let log = log(&rows);
        let at = as_of(NOW);
        let (table, population) =
            build_observed(&log.history(at), &spec(), &Progress::none()).unwrap();
        let spec = spec();
        let mut describer = Describer::new(log.channels(), at, &spec, &population).unwrap();
        for (row, id) in table.customers().iter().enumerate() {
            let alone = describer.describe(&log.customer(id, at).unwrap()).unwrap();
            for (j, value) in alone.iter().enumerate() {
                prop_assert_eq!(value.to_bits(), table.column_at(j)[row].to_bits());
            }
        }
    }

    #[test]
    fn many_instants_are_each_what_one_would_be(
        rows in rows(),
        days in prop::collection::vec(prop_oneof![-500_i64..60, -40_i64..10], 0..9),
        few in any::<bool>(),
    ) {
        let log = log(&rows);
        let instants: Vec<AsOf> = days.iter().map(|day| as_of(NOW + day * DAY)).collect();
        let spec = if few {
            spec().with_features(["orders", "lifecycle_stage", "value_trend_30d", "activity"])
        } else {
            spec().with_custom(Events)
        };
        let tables = build_many(&log, &instants, &spec, &Progress::none()).unwrap();
        prop_assert_eq!(tables.len(), instants.len());
        for (table, as_of) in tables.iter().zip(&instants) {
            prop_assert_eq!(table.as_of(), *as_of);
            assert_same_bits(table, &build(&log.history(*as_of), &spec).unwrap());
        }
    }

    #[test]
    fn selection_gives_the_columns_of_the_full_table(rows in rows(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let log = log(&rows);
        let history = log.history(as_of(NOW));
        let full = build(&history, &spec()).unwrap();
        let all: Vec<&str> = full.names().collect();
        let mut names: Vec<&str> = Vec::new();
        for pick in picks {
            let name = *pick.get(&all);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let some = build(&history, &spec().with_features(names.clone())).unwrap();
        assert_same_bits(&some, &full.select(&names).unwrap());
    }

    #[test]
    fn any_selection_learns_what_it_needs(rows in rows(), mask in prop::collection::vec(any::<bool>(), 90), few in any::<bool>(), at in 0_i64..60) {
        let log = log(&rows);
        let (now, earlier) = (log.history(as_of(NOW)), log.history(as_of(NOW - at * DAY)));
        let none = Progress::none();
        let (full, everything) = build_observed(&now, &spec(), &none).unwrap();
        let names: Vec<&str> = full
            .names()
            .zip(mask.iter().cycle().enumerate())
            .filter(|(_, (i, take))| **take && (!few || i % 9 == 0))
            .map(|(name, _)| name)
            .collect();
        prop_assume!(!names.is_empty());
        let some = spec().with_features(names.clone());
        let (table, learned) = build_observed(&now, &some, &none).unwrap();
        assert_same_bits(&table, &full.select(&names).unwrap());
        prop_assert_eq!(&learned, &Population::fit_selected(&now, &some, &none).unwrap());
        // What was learned for them serves them another day, as if everything had been learned.
        let stored = Population::from_json(&learned.to_json()).unwrap();
        prop_assert_eq!(&stored, &learned);
        let then = build_with(&earlier, &some, &stored, &none).unwrap();
        assert_same_bits(&then, &build_with(&earlier, &some, &everything, &none).unwrap());
        let mut describer = Describer::new(log.channels(), as_of(NOW), &some, &stored).unwrap();
        for (row, id) in table.customers().iter().enumerate() {
            let alone = describer.describe(&log.customer(id, as_of(NOW)).unwrap()).unwrap();
            for (j, value) in alone.iter().enumerate() {
                prop_assert_eq!(value.to_bits(), table.column_at(j)[row].to_bits());
            }
        }
    }

    #[test]
    fn values_keep_to_what_the_catalogue_says(rows in rows()) {
        let table = build(&log(&rows).history(as_of(NOW)), &spec()).unwrap();
        for (j, info) in table.features().iter().enumerate() {
            for value in table.column_at(j) {
                prop_assert!(!value.is_infinite(), "{}", info.name);
                prop_assert!(!value.is_nan() || !info.undefined.is_empty(), "{}", info.name);
                prop_assert!(!info.min.is_some_and(|min| *value < min), "{} {value}", info.name);
                prop_assert!(!info.max.is_some_and(|max| *value > max), "{} {value}", info.name);
            }
        }
    }

    #[test]
    fn longer_silence_never_raises_its_probability(rows in rows(), waits in prop::collection::vec(1_i64..200, 1..6)) {
        let past: Vec<Row> = rows.into_iter().filter(|row| row.time < NOW).collect();
        let log = log(&past);
        let mut now = NOW;
        let names = ["silence_tail", "overdue_p80_days", "overdue_p95_days"];
        let mut last: Option<FeatureTable> = None;
        for wait in waits {
            let table = build(&log.history(as_of(now)), &spec().with_features(names)).unwrap();
            if let Some(last) = &last {
                for (before, after) in last.matrix().iter().zip(table.matrix().iter()) {
                    prop_assert!(before.is_nan() && after.is_nan() || *after <= before + 1e-12, "{before} {after}");
                }
            }
            last = Some(table);
            now += wait * DAY;
        }
    }
}

#[test]
fn a_population_refuses_features_it_did_not_learn_for() {
    let log = many();
    let history = log.history(as_of(NOW));
    let none = Progress::none();
    let few = |names: &[&str]| spec().with_features(names.iter().copied());
    // One feature for each part, but for one of them.
    let rest = |without: &str| {
        let all = [
            "recency_score",
            "frequency_score",
            "monetary_score",
            "gap_mean",
            "silence_tail",
            "email_response_rate",
            "activity",
        ];
        let others: Vec<&str> = all.into_iter().filter(|name| *name != without).collect();
        few(&others)
    };
    for (feature, missing, learned_for) in [
        ("recency_score", "recency cuts", rest("recency_score")),
        ("frequency_score", "frequency cuts", rest("frequency_score")),
        ("monetary_score", "monetary cuts", rest("monetary_score")),
        ("gap_spread", "purchase gaps", few(&["orders", "activity"])),
        ("silence_tail", "purchase gaps", few(&["orders"])),
        ("lifecycle_stage", "the purchase clock", few(&["gap_mean"])),
        (
            "preferred_channel",
            "response rates of channels",
            rest("email_response_rate"),
        ),
        ("activity", "kinds of event", rest("activity")),
    ] {
        let population = Population::fit_selected(&history, &learned_for, &none).unwrap();
        let wanted = few(&["gaps", feature]);
        let table = build(&history, &wanted).unwrap();
        let errors = [
            build_with(&history, &wanted, &population, &none).unwrap_err(),
            Describer::new(log.channels(), as_of(NOW), &wanted, &population).unwrap_err(),
            refresh(table, &log, &[], &wanted, &population, &none).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidParameter);
            assert_eq!(error.what(), "population");
            let expected = format!("one that learned {missing}, for features.{feature}");
            assert_eq!(error.expected(), expected);
            assert_eq!(error.got(), "one learned for other features");
        }
        let whole = Population::fit(&history, &learned_for).unwrap();
        assert!(!whole.to_json().contains("parts"));
        assert!(build_with(&history, &wanted, &whole, &none).is_ok());
    }
    // Features that read nothing of it need nothing of it.
    let own = few(&[
        "gaps",
        "orders",
        "regular_then_silent",
        "email_sent",
        "views_30d",
    ]);
    let (table, population) = build_observed(&history, &own, &none).unwrap();
    assert!(population.to_json().contains(r#""parts":[]"#));
    assert!(population.gap_prior().is_none() && !population.has(EventKind::Purchase));
    let again = build_with(&history, &own, &population, &none).unwrap();
    assert_same_bits(&table, &again);
    // Cuts of the caller's own need not be learned.
    let mut given = few(&["recency_score"]);
    let cuts = vec![10.0, 20.0, 50.0, 90.0];
    given.rfm.recency_cuts = Some(cuts.clone());
    let population = Population::fit_selected(&history, &given, &none).unwrap();
    assert_eq!(population.rfm_cuts().days_since_last(), cuts);
    // One stored before parts were told knows everything; a part that there is not is refused.
    let old = Population::fit(&history, &spec()).unwrap().to_json();
    assert!(!old.contains("parts"));
    let read = Population::from_json(&old).unwrap();
    assert!(build_with(&history, &spec(), &read, &none).is_ok());
    let wrong = old.replacen(r#""kinds""#, r#""parts":["weather"],"kinds""#, 1);
    assert!(Population::from_json(&wrong).is_err());
}

#[test]
fn few_features_learn_the_same_for_any_number_of_threads() {
    let log = many();
    let history = log.history(as_of(NOW));
    let names = [
        "email_response_rate",
        "silence_tail",
        "monetary_score",
        "value_30d",
    ];
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let few = spec().with_features(names);
        pool.unwrap()
            .install(|| build_observed(&history, &few, &Progress::none()).unwrap())
    };
    let one = with(1);
    let full = build(&history, &spec()).unwrap();
    assert_same_bits(&one.0, &full.select(&names).unwrap());
    for threads in [2, 7] {
        let other = with(threads);
        assert_same_bits(&one.0, &other.0);
        assert_eq!(one.1, other.1);
    }
}

/// Enough customers for several chunks, without randomness.
fn many() -> EventLog {
    let rows: Vec<Row> = (0..30_000_i64)
        .map(|i| Row {
            customer: (i * 7_919) % 6_007,
            time: NOW - (i * 104_729 % 700) * DAY - i,
            kind: 1 + (i % 15) as u8,
            value: (i % 977) as f64 / 7.0,
            channel: (i % 3) as usize,
        })
        .collect();
    log(&rows)
}

#[test]
fn number_of_threads_does_not_matter() {
    let log = many();
    let history = log.history(as_of(NOW));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let built = build_observed(&history, &spec(), &Progress::none()).unwrap();
            (
                built,
                summarize(&history, &SummarySettings::default()).unwrap(),
            )
        })
    };
    let one = with(1);
    for threads in [2, 7] {
        let other = with(threads);
        assert_same_bits(&one.0.0, &other.0.0);
        assert_eq!(one.0.1, other.0.1);
        assert_eq!(one.1, other.1);
    }
}

#[test]
fn many_instants_of_many_customers_for_any_number_of_threads() {
    let log = many();
    let instants: Vec<AsOf> = [0, 40, 699, 7, 40, 350, 702]
        .map(|days| as_of(NOW - days * DAY))
        .to_vec();
    let tables = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| build_many(&log, &instants, &spec(), &Progress::none()).unwrap())
    };
    let one = tables(1);
    for (table, as_of) in one.iter().zip(&instants) {
        assert_same_bits(table, &build(&log.history(*as_of), &spec()).unwrap());
    }
    assert!(one[0].len() > one[2].len() && one[6].is_empty());
    for threads in [2, 7] {
        for (a, b) in one.iter().zip(tables(threads)) {
            assert_same_bits(a, &b);
        }
    }
    let error = build_many(&log, &instants, &spec(), &Progress::new(&|_| Control::Stop));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    // Settings are checked even where there is no instant.
    let wrong = spec().with_features(["order"]);
    let error = build_many(&log, &[], &wrong, &Progress::none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownName);
}

#[test]
fn progress_is_reported_and_can_stop() {
    let log = many();
    let history = log.history(as_of(NOW));
    let seen = std::sync::Mutex::new(std::collections::BTreeMap::new());
    let callback = |update: churn_core::progress::Update| {
        let mut seen = seen.lock().unwrap();
        let done = seen.entry(update.step).or_insert(0);
        *done = update.done.max(*done);
        assert!(update.done <= update.total);
        Control::Continue
    };
    build_observed(&history, &spec(), &Progress::new(&callback)).unwrap();
    let n = history.customers().len() as u64;
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen["features.population"], n);
    assert_eq!(seen["features.build"], n);
    let stop = |_| Control::Stop;
    let error = build_observed(&history, &spec(), &Progress::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let population = Population::fit(&history, &spec()).unwrap();
    let error = build_with(&history, &spec(), &population, &Progress::new(&stop)).unwrap_err();
    assert_eq!(error.what(), "features.build");
}

#[test]
fn small_and_large_histories_work() {
    let none = log(&[]);
    let history = none.history(as_of(NOW));
    let (table, population) = build_observed(&history, &spec(), &Progress::none()).unwrap();
    assert!(table.is_empty() && table.contains("silence_tail"));
    assert!(population.gap_prior().is_none() && population.rfm_cuts().orders().is_empty());
    assert!(
        summarize(&history, &SummarySettings::default())
            .unwrap()
            .is_empty()
    );

    let lonely = Row {
        customer: 1,
        time: -40_000 * DAY - 1,
        kind: 1,
        value: 2.5,
        channel: 0,
    };
    let one = log(std::slice::from_ref(&lonely));
    let table = build(&one.history(as_of(-40_000 * DAY)), &spec()).unwrap();
    assert_eq!(table.column("total_value").unwrap(), [2.5]);
    assert_eq!(table.column("orders_7d").unwrap(), [1.0]);
    assert!(table.column("days_since_last").unwrap()[0] > 0.0);

    // A million events of one customer, all at one instant, and spread over centuries.
    for spread in [0, 7_000_000_000] {
        let rows: Vec<Row> = (0..1_000_000_i64)
            .map(|i| Row {
                time: NOW - 1 - i * spread,
                ..lonely.clone()
            })
            .collect();
        let table = build(&log(&rows).history(as_of(NOW)), &spec()).unwrap();
        assert_eq!(table.column("total_value").unwrap(), [2_500_000.0]);
        let orders = if spread == 0 { 1.0 } else { 1e6 };
        assert_eq!(table.column("orders").unwrap(), [orders]);
        assert!(table.matrix().iter().all(|value| !value.is_infinite()));
    }
}

#[derive(Debug)]
struct Events;

impl CustomFeature for Events {
    fn info(&self) -> FeatureInfo {
        FeatureInfo::new("events", "count", "events before as_of")
    }
    fn value(&self, customer: &CustomerHistory<'_>) -> f64 {
        customer.len() as f64
    }
}

#[derive(Debug)]
struct Constant(f64, &'static str);

impl CustomFeature for Constant {
    fn info(&self) -> FeatureInfo {
        FeatureInfo::new("constant", "count", "the same for all")
            .at_least(0.0)
            .undefined(self.1)
    }
    fn value(&self, customer: &CustomerHistory<'_>) -> f64 {
        if customer.events().all(|event| event.value < 1.0) {
            self.0
        } else {
            1.0
        }
    }
}

#[test]
fn own_features_join_the_table_and_are_checked() {
    let log = many();
    let history = log.history(as_of(NOW));
    let with =
        |value: f64, undefined| build(&history, &spec().with_custom(Constant(value, undefined)));
    let table = with(0.0, "").unwrap();
    assert_eq!(table.names().last(), Some("constant"));
    assert!(with(f64::NAN, "NaN somewhere").is_ok());
    let first = table
        .column("constant")
        .unwrap()
        .iter()
        .position(|x| *x == 0.0);
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        let error = with(wrong, "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!(error.what(), "features.constant");
        assert_eq!(error.row(), first.map(|row| row as u64));
    }
    let only = spec()
        .with_custom(Constant(2.0, ""))
        .with_features(["constant", "orders"]);
    assert_eq!(
        build(&history, &only).unwrap().names().collect::<Vec<_>>(),
        ["constant", "orders"]
    );
    let twice = spec()
        .with_custom(Constant(0.0, ""))
        .with_custom(Constant(0.0, ""));
    assert_eq!(
        build(&history, &twice).unwrap_err().kind(),
        ErrorKind::InvalidParameter
    );
    let mut shared = spec();
    shared.custom = vec![Arc::new(Constant(0.0, ""))];
    assert!(shared.clone().check().is_ok());
}

#[test]
fn names_and_settings_are_checked() {
    let log = many();
    let history = log.history(as_of(NOW));
    let error = build(&history, &spec().with_features(["order"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownName);
    assert!(error.expected().ends_with("such as orders"), "{error}");
    let error = build(&history, &spec().with_features(["orders", "orders"])).unwrap_err();
    assert_eq!(error.what(), "features.features[1]");
    let json = r#"{"windows_days": [14], "rfm": {"bins": 4}, "rhythm": {"prior_gaps": 3.0}}"#;
    let read: FeatureSpec = churn_core::settings::from_json("features", json).unwrap();
    let table = build(&history, &read).unwrap();
    assert!(table.contains("orders_14d") && !table.contains("orders_7d"));
    let population = Population::fit(&history, &spec()).unwrap();
    let error = build_with(&history, &read, &population, &Progress::none()).unwrap_err();
    assert_eq!(error.what(), "population.rfm.bins");
    let wrong = population
        .to_json()
        .replace("\"version\":1", "\"version\":9");
    assert!(
        Population::from_json(&wrong)
            .unwrap_err()
            .got()
            .contains("version 9")
    );
    let wrong = population.to_json().replacen("\"bins\":5", "\"bins\":7", 1);
    assert!(Population::from_json(&wrong).is_err());
}

/// Reads a file of `CHURN_DATA`, or says loudly that the test is skipped.
#[cfg(feature = "csv")]
#[allow(clippy::print_stderr)]
fn data(path: &str) -> Option<Vec<Vec<String>>> {
    let Some(folder) = std::env::var_os("CHURN_DATA") else {
        eprintln!("SKIPPED: set CHURN_DATA to compare with {path}");
        return None;
    };
    let bytes = std::fs::read(std::path::Path::new(&folder).join(path)).unwrap();
    let mut text = Vec::new();
    if path.ends_with(".gz") {
        std::io::Read::read_to_end(
            &mut flate2::read::MultiGzDecoder::new(&bytes[..]),
            &mut text,
        )
        .unwrap();
    } else {
        text = bytes;
    }
    let mut reader = csv::Reader::from_reader(&text[..]);
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect());
    Some(rows.collect())
}

#[cfg(feature = "csv")]
#[test]
fn cdnow_summary_is_the_published_one() {
    let (Some(transactions), Some(published)) = (
        data("cdnow/cdnow_sample_transactions.csv.gz"),
        data("cdnow/cdnow_summary.csv"),
    ) else {
        return;
    };
    let customers: Vec<i64> = transactions.iter().map(|r| r[1].parse().unwrap()).collect();
    let times: Vec<i64> = transactions
        .iter()
        .map(|r| Timestamp::parse(&r[2]).unwrap().micros())
        .collect();
    let values: Vec<f64> = transactions.iter().map(|r| r[4].parse().unwrap()).collect();
    let columns = EventColumns::new(
        customers.as_slice(),
        &times,
        TimeUnit::Microsecond,
        EventKind::Purchase,
    )
    .with_values(&values);
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let weeks = SummarySettings {
        time_scale: 7.0,
        ..SummarySettings::default()
    };
    let summary = summarize(&log.history(AsOf::parse("1997-10-01").unwrap()), &weeks).unwrap();
    assert_eq!((summary.len(), published.len()), (2_357, 2_357));
    for (row, line) in published.iter().enumerate() {
        let number = |j: usize| line[j].parse::<f64>().unwrap();
        assert_eq!(summary.customers().get(row), (number(0) as i64).into());
        assert_eq!(summary.frequency()[row], number(1), "row {row}");
        for (name, got, published) in [
            ("recency", summary.recency()[row], number(2)),
            ("age", summary.age()[row], number(3)),
            ("monetary_value", summary.monetary_value()[row], number(4)),
        ] {
            assert!(
                (got - published).abs() < 0.005 + 1e-9,
                "{name}[{row}]: {got}, not {published}"
            );
        }
    }
    assert_eq!(summary.frequency().iter().sum::<f64>(), 2_457.0);
}
