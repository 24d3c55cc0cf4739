//! Tables brought up to date after appends equal tables built anew.

use churn_core::events::{Cleaning, EventColumns, EventKind};
use churn_core::features::{
    FeatureSpec, FeatureTable, Population, build_observed, build_with, refresh,
};
use churn_core::progress::{Control, Progress, Update};
use churn_core::{AsOf, ErrorKind, EventLog, TimeUnit};
use proptest::prelude::*;
use rows::{CHANNELS, Cells, Row, rows};

mod rows;

fn bits(table: &FeatureTable) -> Vec<u64> {
    table.matrix().iter().map(|v| v.to_bits()).collect()
}

/// Rows in which every channel occurs, for a new one brings new features.
fn with_channels(mut rows: Vec<Row>) -> Vec<Row> {
    rows.extend((1..CHANNELS.len() as u8).map(|channel| Row {
        customer: 6,
        time: 0,
        kind: EventKind::MessageSent.code(),
        value: 0,
        channel,
        order: 0,
        item: 0,
    }));
    rows
}

proptest! {
    #[test]
    fn refreshed_tables_equal_new_ones(
        first in rows(60),
        batches in proptest::collection::vec(rows(20), 0..5),
        text in any::<bool>(),
        day in 0..9_u32,
    ) {
        let none = Progress::none();
        let as_of = AsOf::parse(&format!("1970-01-0{}", day + 1)).unwrap();
        let spec = FeatureSpec::default();
        let cleaning = Cleaning::default();
        let mut log = Cells::new(&with_channels(first))
            .with(text, |c| EventLog::from_columns(c, &cleaning).unwrap());
        let (mut table, population) = build_observed(&log.history(as_of), &spec, &none).unwrap();
        for batch in &batches {
            let appended = Cells::new(batch).with(text, |c| log.append(c)).unwrap();
            table = refresh(table, &log, &appended.touched, &spec, &population, &none).unwrap();
            let whole = build_with(&log.history(as_of), &spec, &population, &none).unwrap();
            prop_assert_eq!(table.customers(), whole.customers());
            prop_assert_eq!(table.features(), whole.features());
            prop_assert_eq!(bits(&table), bits(&whole));
        }
    }
}

fn purchases<'a>(ids: &'a [&'a str], days: &'a [i64]) -> EventColumns<'a> {
    EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let none = Progress::none();
    let as_of = AsOf::parse("1970-02-01").unwrap();
    let spec = FeatureSpec::default();
    let mut log =
        EventLog::from_columns(&purchases(&["ann", "cyd"], &[1, 2]), &Cleaning::default()).unwrap();
    let (table, population) = build_observed(&log.history(as_of), &spec, &none).unwrap();
    let fails = |log: &EventLog, touched: &[usize], spec: &FeatureSpec, population: &Population| {
        refresh(table.clone(), log, touched, spec, population, &none).unwrap_err()
    };

    let error = fails(&log, &[1, 1], &spec, &population);
    assert_eq!(
        (error.kind(), error.what()),
        (ErrorKind::InvalidParameter, "touched[1]")
    );
    let error = fails(&log, &[2], &spec, &population);
    assert_eq!(error.what(), "touched[0]");

    let few = FeatureSpec::default().with_features(["orders"]);
    let error = fails(&log, &[], &few, &population);
    assert_eq!(error.kind(), ErrorKind::Misaligned);
    assert_eq!(
        error.to_string(),
        "table.features: expected orders as feature 0, got days_since_last as feature 0"
    );

    // A new channel changes what `preferred_channel` means, even where no other feature changes.
    let channel = FeatureSpec::default().with_features(["preferred_channel"]);
    let before = build_with(&log.history(as_of), &channel, &population, &none).unwrap();
    let message = EventColumns::new(&["ann"], &[3], TimeUnit::Day, EventKind::MessageSent)
        .with_channels(&["sms"]);
    let appended = log.append(&message).unwrap();
    let error = refresh(
        before,
        &log,
        &appended.touched,
        &channel,
        &population,
        &none,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misaligned);

    let other =
        EventLog::from_columns(&purchases(&["bea", "cyd"], &[1, 2]), &Cleaning::default()).unwrap();
    let error = fails(&other, &[0, 1], &spec, &population);
    assert_eq!(
        error.to_string(),
        "table.customers: expected customers of the log only, got ann"
    );
}

#[test]
fn a_refresh_can_be_stopped() {
    let none = Progress::none();
    let as_of = AsOf::parse("1970-02-01").unwrap();
    let spec = FeatureSpec::default();
    let log = EventLog::from_columns(&purchases(&["ann"], &[1]), &Cleaning::default()).unwrap();
    let (table, population) = build_observed(&log.history(as_of), &spec, &none).unwrap();
    let stop = |update: Update| {
        assert_eq!(
            (update.step, update.done, update.total),
            ("features.refresh", 1, 1)
        );
        Control::Stop
    };
    let error = refresh(table, &log, &[0], &spec, &population, &Progress::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
