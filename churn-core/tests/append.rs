//! Appending: any sequence of batches equals one build, bit for bit.

use churn_core::events::{Cleaning, DropReason, DuplicatePolicy, EventColumns, EventKind};
use churn_core::features::{Describer, FeatureSpec, Population, build};
use churn_core::progress::{Control, Progress, Update};
use churn_core::{AsOf, ErrorKind, EventLog, TimeUnit};
use proptest::prelude::*;
use rows::{Cells, Row, rows};

mod rows;

fn cleaning(duplicates: DuplicatePolicy) -> Cleaning {
    Cleaning {
        duplicates,
        ..Cleaning::default()
    }
}

fn build_log(rows: &[Row], text: bool, duplicates: DuplicatePolicy) -> EventLog {
    let build = |c: &EventColumns<'_>| EventLog::from_columns(c, &cleaning(duplicates)).unwrap();
    Cells::new(rows).with(text, build)
}

proptest! {
    #[test]
    fn appends_equal_one_build(
        rows in rows(120),
        cuts in proptest::collection::vec(0..120_usize, 0..6),
        text in any::<bool>(),
        drop in any::<bool>(),
    ) {
        let policy = if drop { DuplicatePolicy::Drop } else { DuplicatePolicy::Keep };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let mut log = build_log(&rows[..cuts[0]], text, policy);
        for pair in cuts.windows(2) {
            let batch = &rows[pair[0]..pair[1]];
            let before = log.customers().len();
            let appended = Cells::new(batch).with(text, |c| log.append(c)).unwrap();
            prop_assert_eq!(log.customers().len(), before + appended.new_customers);
            let mut named: Vec<i64> = batch.iter().map(|r| i64::from(r.customer)).collect();
            named.sort_unstable();
            named.dedup();
            prop_assert_eq!(appended.touched.len(), named.len());
        }
        let whole = build_log(&rows, text, policy);
        prop_assert!(log == whole, "{:?}\n{:?}", log.report(), whole.report());
        prop_assert_eq!(log.report(), whole.report());
        // Tables too, to the bit.
        let as_of = AsOf::parse("1970-01-08").unwrap();
        let spec = FeatureSpec::default();
        let bits = |log: &EventLog| -> Vec<u64> {
            let table = build(&log.history(as_of), &spec).unwrap();
            table.matrix().iter().map(|v| v.to_bits()).collect()
        };
        prop_assert_eq!(bits(&log), bits(&whole));
    }
}

/// One event at a time, in order and late, until places have moved and been reclaimed many times.
#[test]
fn a_long_stream_of_single_events_equals_one_build() {
    let mut state = 3_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let rows: Vec<Row> = (0..30_000)
        .map(|i| Row {
            customer: next(40) as u16,
            time: if next(10) == 0 {
                next(3_000) as i64
            } else {
                3_000 + i / 10
            },
            kind: 1 + next(15) as u8,
            value: next(3) as u8,
            channel: next(5) as u8,
            order: next(4) as u8,
            item: next(6) as u8,
        })
        .collect();
    let mut log = build_log(&rows[..10], false, DuplicatePolicy::Drop);
    let mut at = 10;
    while at < rows.len() {
        let size = [1, 1, 1, 7, 300][next(5) as usize].min(rows.len() - at);
        Cells::new(&rows[at..at + size])
            .with(false, |c| log.append(c))
            .unwrap();
        at += size;
    }
    assert!(log == build_log(&rows, false, DuplicatePolicy::Drop));
}

/// Batches so large that what they leave behind is worth reclaiming.
#[test]
fn a_log_that_doubles_equals_one_build() {
    let rows: Vec<Row> = (0..66_000_u64)
        .map(|i| {
            let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            Row {
                customer: (mixed % 50) as u16,
                time: (mixed / 50 % 3_000) as i64,
                kind: 1 + (mixed / 7 % 15) as u8,
                value: (mixed / 11 % 3) as u8,
                channel: (mixed / 13 % 5) as u8,
                order: (mixed / 17 % 4) as u8,
                item: (mixed / 19 % 6) as u8,
            }
        })
        .collect();
    for policy in [DuplicatePolicy::Keep, DuplicatePolicy::Drop] {
        let mut log = build_log(&rows[..30_000], true, policy);
        for batch in rows[30_000..].chunks(12_000) {
            Cells::new(batch).with(true, |c| log.append(c)).unwrap();
        }
        assert!(log == build_log(&rows, true, policy));
    }
}

#[test]
fn an_error_leaves_the_log_as_it_was() {
    let rows = [Row {
        customer: 1,
        time: 1,
        kind: 1,
        value: 2,
        channel: 1,
        order: 1,
        item: 1,
    }];
    let mut log = build_log(&rows, true, DuplicatePolicy::Reject);
    let before = log.clone();

    let error = Cells::new(&rows).with(true, |c| log.append(c)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert_eq!(error.got(), "a copy for customer c1 at 1970-01-02");
    let error = Cells::new(&rows)
        .with(false, |c| log.append(c))
        .unwrap_err();
    assert_eq!(error.what(), "events.customer");
    assert_eq!(error.got(), "signed integer ids");
    let bad = EventColumns::new(&["c9"], &[i64::MAX], TimeUnit::Day, EventKind::View);
    assert_eq!(log.append(&bad).unwrap_err().what(), "events.time");
    assert!(log == before);

    // A new channel is no copy, although its code in the batch is the same.
    let other = [Row {
        channel: 2,
        ..rows[0].clone()
    }];
    Cells::new(&other).with(true, |c| log.append(c)).unwrap();
    assert_eq!(log.len(), 2);
}

#[test]
fn what_a_batch_drops_is_counted_for_it_and_for_the_log() {
    let mut log = EventLog::from_columns(
        &EventColumns::new(&["a"], &[1], TimeUnit::Day, EventKind::Purchase).with_values(&[5.0]),
        &cleaning(DuplicatePolicy::Drop),
    )
    .unwrap();
    let batch = EventColumns::new(
        &["a", "", "a"],
        &[1, 2, 3],
        TimeUnit::Day,
        EventKind::Purchase,
    )
    .with_values(&[5.0, 7.0, f64::NAN]);
    let appended = log.append(&batch).unwrap();
    for report in [&appended.report, log.report()] {
        assert_eq!(report.dropped(DropReason::Duplicate).money, 5.0);
        assert_eq!(report.dropped(DropReason::MissingCustomer).money, 7.0);
        assert_eq!(report.dropped(DropReason::NonFiniteValue).rows, 1);
    }
    assert_eq!((appended.report.rows_in, appended.report.rows_kept), (3, 0));
    assert_eq!(
        (log.report().rows_in, log.report().purchases_kept),
        (4, 5.0)
    );
}

/// Batches may lack columns that the log has, and bring columns that it lacks.
#[test]
fn columns_may_come_and_go() {
    let plain = EventColumns::new(&["a", "b"], &[1, 2], TimeUnit::Day, EventKind::Purchase);
    let full = EventColumns::new(&["b", "c"], &[1, 3], TimeUnit::Day, EventKind::Purchase)
        .with_channels(&["sms", "email"])
        .with_orders(&["o1", "o2"])
        .with_items(&[7_u64, 5]);
    let more = EventColumns::new(&["c"], &[3], TimeUnit::Day, EventKind::Purchase)
        .with_channels(&["app"])
        .with_orders(&["o2"])
        .with_items(&[6_u64]);
    let ids = ["a", "b", "b", "c", "a", "b", "c"];
    let days = [1, 2, 1, 3, 1, 2, 3];
    let mut all = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::Purchase)
        .with_channels(&["", "", "sms", "email", "", "", "app"])
        .with_orders(&["", "", "o1", "o2", "", "", "o2"])
        .with_items(&[0_u64, 0, 7, 5, 0, 0, 6]);
    let valid = [false, false, true, true, false, false, true];
    all.item.as_mut().unwrap().valid = Some(valid.as_slice().into());

    let mut log = EventLog::from_columns(&plain, &Cleaning::default()).unwrap();
    for batch in [&full, &plain, &more] {
        log.append(batch).unwrap();
    }
    assert!(log == EventLog::from_columns(&all, &Cleaning::default()).unwrap());
    assert_eq!(log.channels(), ["app", "email", "sms"]);
}

#[test]
fn ids_of_orders_keep_their_type() {
    let text =
        EventColumns::new(&["a"], &[1], TimeUnit::Day, EventKind::Purchase).with_orders(&["7"]);
    let number =
        EventColumns::new(&["a"], &[2], TimeUnit::Day, EventKind::Purchase).with_orders(&[7_i64]);
    let mut log = EventLog::from_columns(&number, &Cleaning::default()).unwrap();
    let error = log.append(&text).unwrap_err();
    assert_eq!((error.what(), error.got()), ("events.order", "text ids"));
}

#[test]
fn ids_of_any_length_and_an_empty_log_of_another_type() {
    let dropped = EventColumns::new(&[1_i64], &[i64::MAX], TimeUnit::Day, EventKind::View);
    let mut log = EventLog::from_columns(&dropped, &Cleaning::lenient()).unwrap();
    let long = "a customer whose id is far beyond fifteen bytes";
    for (id, day) in [("short", 1), (long, 2), ("short", 3)] {
        let (ids, days) = ([id], [day]);
        let batch = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::View);
        log.append(&batch).unwrap();
    }
    let ids: Vec<String> = log.customers().iter().map(|id| id.to_string()).collect();
    assert_eq!(ids, [long, "short"]);
    assert_eq!((log.len(), log.report().rows_in), (3, 4));
}

#[test]
fn a_cancelled_append_leaves_the_log_as_it_was() {
    let rows = EventColumns::new(&["a"], &[1], TimeUnit::Day, EventKind::View);
    let mut log = EventLog::from_columns(&rows, &Cleaning::default()).unwrap();
    let before = log.clone();
    let stop = |_: Update| Control::Stop;
    let error = log
        .append_observed(&rows, &Progress::new(&stop))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(log == before);
}

#[test]
fn an_append_stops_before_it_moves_anything_or_not_at_all() {
    let none = EventLog::from_columns(
        &EventColumns::new(&["b"], &[1], TimeUnit::Day, EventKind::View),
        &Cleaning::default(),
    )
    .unwrap();
    let ids: Vec<String> = (0..40_000).map(|i| format!("c{i}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let days = vec![2; ids.len()];
    let batch = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::View);
    for stop_at in 0..3_u64 {
        let mut log = none.clone();
        let stop = |update: Update| {
            let late = update.step == "events.append" && update.done >= stop_at * 16_000;
            if late {
                Control::Stop
            } else {
                Control::Continue
            }
        };
        let result = log.append_observed(&batch, &Progress::new(&stop));
        if stop_at == 0 {
            assert_eq!(result.unwrap_err().what(), "events.append");
            assert!(log == none);
        } else {
            assert_eq!(result.unwrap().new_customers, 40_000);
            assert_eq!(log.len(), 40_001);
        }
    }
}

#[test]
fn a_describer_refuses_a_log_that_got_another_channel() {
    let rows = |channel: &'static [&'static str; 1]| {
        EventColumns::new(&["a"], &[1], TimeUnit::Day, EventKind::MessageSent)
            .with_channels(channel)
    };
    let as_of = AsOf::parse("1970-02-01").unwrap();
    let mut log = EventLog::from_columns(&rows(&["email"]), &Cleaning::default()).unwrap();
    let spec = FeatureSpec::default();
    let population = Population::fit(&log.history(as_of), &spec).unwrap();
    let mut describer = Describer::new(log.channels(), as_of, &spec, &population).unwrap();
    assert!(
        describer
            .describe(&log.customer("a", as_of).unwrap())
            .is_ok()
    );
    log.append(&rows(&["app"])).unwrap();
    let error = describer
        .describe(&log.customer("a", as_of).unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misaligned);
    assert_eq!(error.got(), "a log with the channels app, email");
}
