//! The event log: edge cases that are defined, policies, and independence of input order.

use churn_core::events::{
    Cleaning, DropReason, DuplicatePolicy, EventColumns, EventKind, IdCells, IdColumn, KindMap,
    NegativePolicy, Policy, TextCells, TextColumn, ValueColumn,
};
use churn_core::progress::{Control, Progress, Update};
use churn_core::{AsOf, CustomerId, ErrorKind, EventLog, TimeUnit, Timestamp};
use proptest::prelude::*;

fn purchases<'a>(ids: &'a [i64], days: &'a [i64]) -> EventColumns<'a> {
    EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
}

fn build(columns: &EventColumns<'_>) -> EventLog {
    EventLog::from_columns(columns, &Cleaning::default()).unwrap()
}

#[test]
fn empty_log() {
    let log = build(&purchases(&[], &[]));
    assert!(log.is_empty() && log.customers().is_empty());
    assert_eq!(log.time_range(), None);
    let error = log.day_after_last().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEnoughData);
    let history = log.history(AsOf::parse("2020-01-01").unwrap());
    assert_eq!((history.event_count(), history.customers().len()), (0, 0));
}

#[test]
fn one_event_before_1970() {
    let log = build(&purchases(&[-7], &[-1]));
    let at = Timestamp::parse("1969-12-31").unwrap();
    assert_eq!(log.time_range(), Some((at, at)));
    assert_eq!(log.day_after_last(), AsOf::parse("1970-01-01"));
    assert_eq!(log.customers().get(0), CustomerId::Int(-7));
    // The instant of the event itself is not yet the past.
    assert_eq!(log.history(AsOf::new(at)).event_count(), 0);
    assert_eq!(
        log.history(AsOf::parse("1970-01-01").unwrap())
            .event_count(),
        1
    );
}

#[test]
fn ids_differ_in_case_and_empty_is_missing() {
    let ids = ["ann", "Ann", "", "ann "];
    let log = build(&EventColumns::new(
        &ids,
        &[1, 2, 3, 4],
        TimeUnit::Day,
        EventKind::View,
    ));
    let seen: Vec<String> = log.customers().iter().map(|id| id.to_string()).collect();
    assert_eq!(seen, ["Ann", "ann", "ann "]);
    assert_eq!(log.report().dropped(DropReason::MissingCustomer).rows, 1);
}

#[test]
fn unsigned_ids_beyond_the_signed_range() {
    let ids = [u64::MAX, 1];
    let log = build(&EventColumns::new(
        &ids,
        &[1, 2],
        TimeUnit::Day,
        EventKind::View,
    ));
    assert_eq!(log.customers().get(1), CustomerId::Uint(u64::MAX));
}

#[test]
fn many_events_of_one_customer() {
    let n = 10_000_000;
    let ids = vec![1_i64; n];
    let times: Vec<i64> = (0..n as i64).map(|i| (i * 7_919) % 1_000_003).collect();
    let log = build(&EventColumns::new(
        &ids,
        &times,
        TimeUnit::Second,
        EventKind::View,
    ));
    let history = log.history(AsOf::parse("2020-01-01").unwrap());
    let seen: Vec<i64> = history
        .customer(0)
        .events()
        .map(|e| e.time.micros())
        .collect();
    assert_eq!(seen.len(), n);
    assert!(seen.is_sorted());
}

#[test]
fn several_lines_of_one_order_are_one_purchase() {
    let ids = [1_i64; 7];
    let times = [10, 10, 11, 12, 12, 13, 13];
    let orders = ["a", "a", "a", "b", "c", "", ""];
    let columns = purchases(&ids, &times).with_orders(&orders);
    let history_of = |as_of: &str| {
        let log = build(&columns);
        let history = log.history(AsOf::parse(as_of).unwrap());
        history
            .customer(0)
            .events()
            .filter(|e| e.opens_order)
            .count()
    };
    // a (three lines over two days), b, c, and the two lines without order at one instant.
    assert_eq!(history_of("1970-02-01"), 4);
    // Before its second day, order a is already there.
    assert_eq!(history_of("1970-01-12"), 1);
    // Without order ids, every instant is one order.
    let log = build(&purchases(&ids, &times));
    let history = log.history(AsOf::parse("1970-02-01").unwrap());
    assert_eq!(
        history
            .customer(0)
            .events()
            .filter(|e| e.opens_order)
            .count(),
        4
    );
}

#[test]
fn first_bad_row_is_named() {
    let ids = [1_i64, 2, 3];
    let values = [1.0, f64::NAN, f64::INFINITY];
    let columns = purchases(&ids, &[1, 2, 3]).with_values(&values);
    let error = EventLog::from_columns(&columns, &Cleaning::strict()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "events.value[1]: expected a finite number, got NaN"
    );
    let report = build(&columns).report().clone();
    assert_eq!(report.dropped(DropReason::NonFiniteValue).rows, 2);
    assert_eq!(report.rows_kept, 1);
}

#[test]
fn money_beyond_all_shops_is_refused_like_what_is_not_finite() {
    let ids = [1_i64, 1, 1];
    let columns = purchases(&ids, &[1, 2, 3]).with_values(&[1e15, 1.7e308, 2.0]);
    let error = EventLog::from_columns(&columns, &Cleaning::strict()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("events.value[1]: expected a number up to 1e15, got 17")
    );
    let report = build(&columns).report().clone();
    assert_eq!(report.purchases_kept, 1e15 + 2.0);
    let dropped = report.dropped(DropReason::NonFiniteValue);
    assert_eq!((dropped.rows, dropped.money), (1, 0.0));
}

#[test]
fn columns_of_different_length() {
    let ids = [1_i64, 2, 3];
    let error = EventLog::from_columns(&purchases(&ids, &[1, 2]), &Cleaning::default());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LengthMismatch);
    assert_eq!(error.to_string(), "events.time: expected 3 rows, got 2");
    let mut columns = purchases(&ids, &[1, 2, 3]);
    columns.customer.valid = Some(vec![true].into());
    let error = EventLog::from_columns(&columns, &Cleaning::default()).unwrap_err();
    assert_eq!(error.what(), "events.customer.valid");
}

#[test]
fn negative_money_by_policy() {
    let ids = [1_i64, 1, 1];
    let columns = purchases(&ids, &[1, 2, 3]).with_values(&[10.0, -4.0, -0.0]);
    let with = |negative_value| {
        let cleaning = Cleaning {
            negative_value,
            ..Cleaning::default()
        };
        EventLog::from_columns(&columns, &cleaning)
    };
    let error = with(NegativePolicy::Reject).unwrap_err();
    assert_eq!(
        (error.what(), error.row(), error.got()),
        ("events.value", Some(1), "-4")
    );
    let dropped = with(NegativePolicy::Drop).unwrap();
    assert_eq!(
        dropped.report().dropped(DropReason::NegativeValue).money,
        -4.0
    );
    let refund = with(NegativePolicy::Refund).unwrap();
    assert_eq!(refund.report().refunds_kept, 4.0);
    assert_eq!(refund.report().read_as_refund.rows, 1);
    let history = refund.history(AsOf::parse("2020-01-01").unwrap());
    let kinds: Vec<_> = history.customer(0).events().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Purchase, EventKind::Refund, EventKind::Purchase]
    );
}

#[test]
fn unknown_kinds_by_policy() {
    let ids = [1_i64, 1, 1];
    let kinds = ["purchase", "order_placed", "lost"];
    let columns = EventColumns::new(&ids, &[1, 2, 3], TimeUnit::Day, &kinds);
    let error = EventLog::from_columns(&columns, &Cleaning::default()).unwrap_err();
    assert_eq!((error.row(), error.got()), (Some(1), "\"order_placed\""));
    let cleaning = Cleaning {
        kinds: KindMap::new().with("order_placed", EventKind::Purchase),
        unknown_kind: Policy::Drop,
        ..Cleaning::default()
    };
    let report = EventLog::from_columns(&columns, &cleaning)
        .unwrap()
        .report()
        .clone();
    assert_eq!((report.rows_kept, report.purchases_kept), (2, 2.0));
    assert_eq!(report.dropped(DropReason::UnknownKind).rows, 1);
    let codes = [1_u8, 99];
    let columns = EventColumns::new(&[1_i64, 1], &[1, 2], TimeUnit::Day, codes.as_slice());
    let error = EventLog::from_columns(&columns, &Cleaning::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "events.kind[1]: expected a kind code from 1 to 15, got 99"
    );
}

#[test]
fn impossible_times_by_policy() {
    let ids = [1_i64, 1];
    // Milliseconds read as seconds land in the year 55840.
    let times = [1_323_435_000, 1_700_000_000_000];
    let columns = EventColumns::new(&ids, &times, TimeUnit::Second, EventKind::View);
    let error = EventLog::from_columns(&columns, &Cleaning::default()).unwrap_err();
    assert_eq!((error.what(), error.row()), ("events.time", Some(1)));
    let log = EventLog::from_columns(&columns, &Cleaning::lenient()).unwrap();
    assert_eq!(log.report().dropped(DropReason::ImpossibleTime).rows, 1);
}

#[test]
fn duplicates_by_policy() {
    let ids = [1_i64, 1, 2, 1];
    let columns = purchases(&ids, &[1, 1, 1, 1]).with_values(&[5.0, 5.0, 5.0, 6.0]);
    let with = |duplicates| {
        let cleaning = Cleaning {
            duplicates,
            ..Cleaning::default()
        };
        EventLog::from_columns(&columns, &cleaning)
    };
    let kept = with(DuplicatePolicy::Keep).unwrap();
    assert_eq!((kept.len(), kept.report().duplicates_kept.money), (4, 5.0));
    let dropped = with(DuplicatePolicy::Drop).unwrap();
    assert_eq!((dropped.len(), dropped.report().purchases_kept), (3, 16.0));
    assert_eq!(dropped.report().dropped(DropReason::Duplicate).money, 5.0);
    assert_eq!(with(DuplicatePolicy::Reject).unwrap_err().row(), Some(1));
}

#[test]
fn missing_cells_and_missing_dwell() {
    let ids = [1_i64, 2, 3];
    let kinds = [
        EventKind::View.code(),
        EventKind::Purchase.code(),
        EventKind::Cart.code(),
    ];
    let mut columns = EventColumns::new(&ids, &[1, 2, 3], TimeUnit::Day, kinds.as_slice());
    columns.value = Some(ValueColumn {
        cells: vec![f64::NAN; 3].into(),
        valid: Some(vec![false; 3].into()),
    });
    let log = build(&columns);
    // The view counts without dwell time, the cart needs no value, the purchase without money goes.
    assert_eq!(log.report().rows_kept, 2);
    assert_eq!(log.report().dropped(DropReason::MissingValue).rows, 1);
}

#[test]
fn hostile_text_offsets_are_missing_ids_not_panics() {
    let cells = TextCells::Packed32 {
        offsets: vec![0, 99, -3, 2].into(),
        bytes: "ab".into(),
    };
    let columns = EventColumns::new(
        IdColumn::from(IdCells::Text(cells)),
        &[1, 2, 3],
        TimeUnit::Day,
        EventKind::View,
    );
    assert_eq!(
        build(&columns)
            .report()
            .dropped(DropReason::MissingCustomer)
            .rows,
        3
    );
}

#[test]
fn too_many_channels_are_refused() {
    let names: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = vec![1_i64; 300];
    let times = vec![1_i64; 300];
    let columns = purchases(&ids, &times).with_channels(&names);
    let error = EventLog::from_columns(&columns, &Cleaning::default()).unwrap_err();
    assert_eq!((error.what(), error.got()), ("events.channel", "300"));
}

#[test]
fn history_hides_customers_of_the_future() {
    let log = build(&purchases(&[5, 1, 9], &[10, 20, 5]));
    let history = log.history(AsOf::parse("1970-01-12").unwrap());
    assert_eq!(
        history.customers(),
        &churn_core::Customers::from_ints([5, 9])
    );
    assert_eq!(history.customer(1).id(), CustomerId::Int(9));
}

#[test]
fn cancelled_builds_say_where() {
    let stop = |_: Update| Control::Stop;
    let ids = [1_i64];
    let error = EventLog::from_columns_observed(
        &purchases(&ids, &[1]),
        &Cleaning::default(),
        &Progress::new(&stop),
    );
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
}

/// An id of another form sends the pass back to its start, but not over the caller's wish to stop.
#[test]
fn a_stop_is_heard_where_the_pass_has_to_start_again() {
    let rows = 200_000_usize;
    let mut texts: Vec<String> = (0..rows).map(|i| format!("{:05}", i % 3_001)).collect();
    texts[rows - 2] = "longer than the ids that a sample of the rows has shown".to_owned();
    let ids: Vec<&str> = texts.iter().map(String::as_str).collect();
    let days: Vec<i64> = (0..rows as i64).map(|i| i % 400).collect();
    let columns = EventColumns::new(ids.as_slice(), &days, TimeUnit::Day, EventKind::Purchase);
    assert_eq!(build(&columns).customers().len(), 3_002);
    for threads in [1, 3] {
        let asked = std::sync::atomic::AtomicBool::new(false);
        // Only the first question is answered with a stop.
        let callback = |_: Update| match asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
            false => Control::Stop,
            true => Control::Continue,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let built = pool.unwrap().install(|| {
            let progress = Progress::new(&callback);
            EventLog::from_columns_observed(&columns, &Cleaning::default(), &progress)
        });
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

/// The thread that waits for the inner build may go on with the outer one meanwhile.
#[test]
fn a_progress_callback_may_build_another_log() {
    let rows = 400_000_i64;
    let ids: Vec<i64> = (0..rows).map(|i| i * 7_919 % 5_003).collect();
    let days: Vec<i64> = (0..rows).map(|i| i % 400).collect();
    let columns = purchases(&ids, &days);
    let expected = build(&columns);
    let callback = |_: Update| {
        assert_eq!(
            build(&purchases(&ids[..140_000], &days[..140_000])).len(),
            140_000
        );
        Control::Continue
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let log = pool.unwrap().install(|| {
        let progress = Progress::new(&callback);
        EventLog::from_columns_observed(&columns, &Cleaning::default(), &progress).unwrap()
    });
    assert!(log == expected);
}

#[derive(Debug, Clone)]
struct Row {
    customer: u8,
    time: i64,
    kind: u8,
    value: u8,
    channel: u8,
    order: u8,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..5_u8, -3..6_i64, 1..16_u8, 0..3_u8, 0..3_u8, 0..4_u8).prop_map(
        |(customer, time, kind, value, channel, order)| Row {
            customer,
            time,
            kind,
            value,
            channel,
            order,
        },
    );
    proptest::collection::vec(row, 0..60)
}

/// Builds from owned cells in one of the id types.
fn log_of(rows: &[Row], text_ids: bool, duplicates: DuplicatePolicy) -> EventLog {
    let names = ["", "email", "sms"];
    let texts: Vec<String> = rows.iter().map(|r| format!("c{}", r.customer)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ints: Vec<i64> = rows.iter().map(|r| i64::from(r.customer)).collect();
    let times: Vec<i64> = rows.iter().map(|r| r.time).collect();
    let kinds: Vec<u8> = rows.iter().map(|r| r.kind).collect();
    let values: Vec<f64> = rows.iter().map(|r| f64::from(r.value) / 3.0).collect();
    let channels = TextColumn::from(TextCells::Coded {
        codes: rows.iter().map(|r| u32::from(r.channel)).collect(),
        names: names.iter().map(|n| (*n).into()).collect(),
    });
    let orders: Vec<u64> = rows.iter().map(|r| u64::from(r.order)).collect();
    let ids: IdColumn<'_> = if text_ids {
        (&texts).into()
    } else {
        (&ints).into()
    };
    let columns = EventColumns::new(ids, &times, TimeUnit::Day, &kinds)
        .with_values(&values)
        .with_channels(channels)
        .with_orders(&orders);
    let cleaning = Cleaning {
        duplicates,
        ..Cleaning::default()
    };
    EventLog::from_columns(&columns, &cleaning).unwrap()
}

proptest! {
    #[test]
    fn order_of_rows_does_not_matter(rows in rows(), seed in any::<u64>(), text in any::<bool>()) {
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        for duplicates in [DuplicatePolicy::Keep, DuplicatePolicy::Drop] {
            prop_assert_eq!(log_of(&rows, text, duplicates), log_of(&shuffled, text, duplicates));
        }
    }

    #[test]
    fn history_is_the_log_before_as_of(rows in rows(), cut in -3..7_i64) {
        let log = log_of(&rows, false, DuplicatePolicy::Keep);
        let as_of = AsOf::new(Timestamp::from_micros(cut * 86_400_000_000).unwrap());
        let past: Vec<Row> = rows.iter().filter(|r| r.time < cut).cloned().collect();
        let log_of_past = log_of(&past, false, DuplicatePolicy::Keep);
        let (whole, alone) = (log.history(as_of), log_of_past.history(as_of));
        prop_assert_eq!(whole.customers(), alone.customers());
        for row in 0..whole.customers().len() {
            let seen = |h: &churn_core::History<'_>| -> Vec<_> {
                h.customer(row).events().map(|e| {
                    (e.time, e.kind, e.value, e.channel.map(|c| h.channels()[c].clone()), e.opens_order)
                }).collect()
            };
            prop_assert_eq!(seen(&whole), seen(&alone));
        }
    }

    #[test]
    fn nothing_is_lost_uncounted(rows in rows()) {
        let log = log_of(&rows, true, DuplicatePolicy::Drop);
        let report = log.report();
        prop_assert_eq!(report.rows_in, rows.len() as u64);
        prop_assert_eq!(report.rows_kept + report.rows_dropped(), report.rows_in);
        prop_assert_eq!(report.rows_kept, log.len() as u64);
    }

    #[test]
    fn threads_do_not_matter(rows in rows()) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| log_of(&rows, false, DuplicatePolicy::Keep))
        };
        prop_assert_eq!(with(1), with(3));
    }
}

/// Large enough for several buckets and chunks; the oracle is a sort of plain tuples.
#[test]
fn large_logs_equal_a_naive_sort() {
    let n = 150_000_u64;
    let mut state = 7_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let rows: Vec<(i64, i64, u8, f64)> = (0..n)
        .map(|i| {
            // A tenth of all events belong to one customer; ids are sparse and of both signs.
            let id = if i % 10 == 0 {
                3
            } else {
                next(20_000) as i64 * 1_000_003 - 9_000_000_000
            };
            (
                id,
                next(5_000) as i64 - 100,
                1 + next(15) as u8,
                next(4) as f64,
            )
        })
        .collect();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| format!("customer-{:08x}", row.0))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut by_time = rows.clone();
    by_time.sort_by_key(|row| row.1);
    let mut by_customer = rows.clone();
    by_customer.sort_by_key(|row| row.0);

    let mut expected: Vec<(String, i64, u8, f64)> = Vec::new();
    let mut sorted = rows.clone();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
    for (id, time, kind, value) in &sorted {
        let is_valued = *kind <= 3;
        let value = if is_valued { *value } else { 0.0 };
        expected.push((id.to_string(), *time, *kind, value));
    }
    expected.sort_by(|a, b| {
        (&a.0, a.1, a.2)
            .cmp(&(&b.0, b.1, b.2))
            .then(a.3.total_cmp(&b.3))
    });

    let flat = |log: &EventLog| -> Vec<(String, i64, u8, f64)> {
        let history = log.history(AsOf::parse("2000-01-01").unwrap());
        let mut flat = Vec::new();
        for row in 0..history.customers().len() {
            let customer = history.customer(row);
            for e in customer.events() {
                let day = e.time.day();
                flat.push((customer.id().to_string(), day, e.kind.code(), e.value));
            }
        }
        flat
    };
    let mut logs = Vec::new();
    for rows in [&rows, &by_time, &by_customer] {
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let kinds: Vec<u8> = rows.iter().map(|row| row.2).collect();
        let values: Vec<f64> = rows.iter().map(|row| row.3).collect();
        let columns = EventColumns::new(&ids, &times, TimeUnit::Day, &kinds).with_values(&values);
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            logs.push(pool.install(|| build(&columns)));
        }
    }
    for log in &logs[1..] {
        assert!(log == &logs[0], "the log depends on row order or threads");
    }
    assert!(logs[0].customers().iter().is_sorted());
    let mut found = flat(&logs[0]);
    found.sort_by(|a, b| a.0.cmp(&b.0)); // stable: ids as text, events in their order
    assert!(found == expected);

    let times: Vec<i64> = rows.iter().map(|row| row.1).collect();
    let kinds: Vec<u8> = rows.iter().map(|row| row.2).collect();
    let columns = EventColumns::new(&texts, &times, TimeUnit::Day, &kinds);
    let log = build(&columns);
    assert_eq!(log.len(), rows.len());
    assert_eq!(log.customers().len(), logs[0].customers().len());
    assert!(log.customers().iter().is_sorted());
    let id = CustomerId::Text("customer-00000003");
    let row = log.customers().find(id).unwrap();
    let history = log.history(AsOf::parse("2000-01-01").unwrap());
    let of_heavy = rows.iter().filter(|row| row.0 == 3).count();
    assert_eq!(history.customer(row).len(), of_heavy);
}

/// Ids of every form that a build knows, with the same customers behind them.
#[test]
fn the_form_of_the_ids_changes_no_event() {
    let rows = 150_000_i64;
    let people: Vec<u64> = (0..rows as u64).map(|i| i * 7_919 % 4_001).collect();
    let times: Vec<i64> = (0..rows).map(|i| (i * 104_729) % 900_001).collect();
    let kinds: Vec<u8> = (0..rows).map(|i| 1 + (i % 15) as u8).collect();
    let values: Vec<f64> = (0..rows).map(|i| (i % 977) as f64).collect();
    let forms: [fn(u64) -> String; 6] = [
        |p| format!("{p:04}"),
        |p| format!("{p:08x}-0000-4000-8000-{:012x}", p * 7),
        |p| format!("{p:08X}-0000-4000-8000-{:012X}", p * 7),
        |p| format!("{p:04}@shop-with-a-long-name.example"),
        // A sample does not show that a few ids are of another form.
        |p| match p {
            2_000..2_003 => format!("{p:04} and something that is longer than the others"),
            _ => format!("{p:04}"),
        },
        |p| match p {
            2_000..2_003 => format!("{p:08x} no uuid at all"),
            _ => format!("{p:08x}-0000-4000-8000-{:012x}", p * 7),
        },
    ];
    let build = |ids: IdColumn<'_>| {
        let columns =
            EventColumns::new(ids, &times, TimeUnit::Second, kinds.as_slice()).with_values(&values);
        EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
    };
    let expected = build((&people).into());
    let now = AsOf::parse("2100-01-01").unwrap();
    let events = |log: &EventLog| -> Vec<Vec<churn_core::events::Event>> {
        let history = log.history(now);
        let rows = 0..history.customers().len();
        rows.map(|row| history.customer(row).events().collect())
            .collect()
    };
    let wanted = events(&expected);
    assert_eq!(wanted.len(), 4_001);
    for form in forms {
        let texts: Vec<String> = people.iter().map(|p| form(*p)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut names: Vec<String> = (0..4_001).map(form).collect();
        let log = build(texts.as_slice().into());
        assert!(
            log.customers()
                .iter()
                .eq(names.iter().map(|n| CustomerId::Text(n)))
        );
        assert_eq!(events(&log), wanted, "{}", names[0]);
        // The same as a dictionary, in any order and with names that no row has.
        names.extend(["", "aaa", "zzz"].map(str::to_owned));
        names.reverse();
        let codes: Vec<u32> = people.iter().map(|p| 4_003 - *p as u32).collect();
        let coded = TextCells::Coded {
            codes: codes.as_slice().into(),
            names: names.iter().map(|n| n.as_str().into()).collect(),
        };
        assert!(build(coded.into()) == log);
    }
}

/// Times too far apart for the shortest records, and so far apart that no word holds them with
/// a row number.
#[test]
fn centuries_in_one_log() {
    let times: Vec<i64> = (0..20_000_i64)
        .map(|i| (i * 7_919 % 20_000) * 15_000_000 - 60_000_000_000)
        .collect();
    let ids: Vec<i64> = (0..20_000).map(|i| i % 3).collect();
    let columns = EventColumns::new(&ids, &times, TimeUnit::Second, EventKind::View);
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let mut expected: Vec<Vec<i64>> = vec![Vec::new(); 3];
    for (id, time) in ids.iter().zip(&times) {
        expected[*id as usize].push(time * 1_000_000);
    }
    let history = log.history(AsOf::parse("9999-01-01").unwrap());
    for (row, mut expected) in expected.into_iter().enumerate() {
        expected.sort_unstable();
        let got: Vec<i64> = history
            .customer(row)
            .events()
            .map(|e| e.time.micros())
            .collect();
        assert_eq!(got, expected);
    }
}

/// Channels that turn up in another order in every part of the rows, as text and by dictionary.
#[test]
fn the_form_of_the_channels_changes_no_event() {
    let rows = 150_000_usize;
    let ids: Vec<i64> = (0..rows as i64).map(|i| i * 7_919 % 211).collect();
    let times: Vec<i64> = (0..rows as i64).map(|i| i * 104_729 % 40_001).collect();
    // Rows without a known kind are dropped, and only they have the first two channels.
    let kinds: Vec<u8> = (0..rows).map(|i| if i % 5 == 4 { 0 } else { 9 }).collect();
    let name = |i: usize| match (i % 5, i * 31 / 1_000 + i % 7) {
        (4, n) => format!("a dropped {}", n % 2),
        (3, _) => String::new(),
        (_, n) => format!("channel {:03}", (250 - n % 251)),
    };
    let names: Vec<String> = (0..rows).map(name).collect();
    let mut dictionary: Vec<&str> = names.iter().map(String::as_str).collect();
    dictionary.sort_unstable();
    dictionary.dedup();
    dictionary.reverse();
    // Twice the same name, once a name that no row has, once none.
    dictionary.extend(["channel 250", "nowhere", ""]);
    let codes: Vec<u32> = names
        .iter()
        .enumerate()
        .map(|(i, name)| match name.as_str() {
            "channel 250" if i % 2 == 0 => dictionary.len() as u32 - 3,
            _ => dictionary.iter().position(|known| known == name).unwrap() as u32,
        })
        .collect();
    let cleaning = Cleaning {
        unknown_kind: Policy::Drop,
        ..Cleaning::default()
    };
    let build = |cells: TextCells<'_>, threads: usize| {
        let mut columns = EventColumns::new(&ids, &times, TimeUnit::Second, kinds.as_slice());
        columns.channel = Some(TextColumn { cells, valid: None });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| EventLog::from_columns(&columns, &cleaning).unwrap())
    };
    let texts = || TextCells::StrsOwned(names.iter().map(String::as_str).collect());
    let coded = || TextCells::Coded {
        codes: codes.as_slice().into(),
        names: dictionary.iter().map(|n| (*n).into()).collect(),
    };
    let log = build(texts(), 1);
    let expected: Vec<String> = (0..251).map(|n| format!("channel {n:03}")).collect();
    assert_eq!(log.channels(), expected);
    for threads in [1, 2, 7] {
        assert!(build(texts(), threads) == log);
        assert!(build(coded(), threads) == log);
    }
    let mut wanted: Vec<Vec<(i64, Option<String>)>> = vec![Vec::new(); 211];
    for i in (0..rows).filter(|i| kinds[*i] != 0) {
        let name = Some(names[i].clone()).filter(|name| !name.is_empty());
        wanted[ids[i] as usize].push((times[i] * 1_000_000, name));
    }
    let history = log.history(AsOf::parse("2000-01-01").unwrap());
    for (row, mut wanted) in wanted.into_iter().enumerate() {
        wanted.sort_by(|a, b| (a.0, a.1.is_none(), &a.1).cmp(&(b.0, b.1.is_none(), &b.1)));
        let got: Vec<(i64, Option<String>)> = history
            .customer(row)
            .events()
            .map(|e| {
                (
                    e.time.micros(),
                    e.channel.map(|c| log.channels()[c].clone()),
                )
            })
            .collect();
        assert_eq!(got, wanted);
    }
}
