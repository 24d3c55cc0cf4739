//! Streams: any batches and any number of partitions give what one build gives.

use std::io::{self, Read};

use churn_core::events::{
    Cleaning, DropReason, DuplicatePolicy, Event, EventColumns, EventKind, Keep, LogStream,
    MemoryScratch, PartitionedLog, Scratch, StreamSettings,
};
use churn_core::features::{FeatureSpec, Population, build_observed, build_parts};
use churn_core::progress::{Control, Progress, Update};
use churn_core::{AsOf, CustomerId, ErrorKind, EventLog, Result, TimeUnit};
use proptest::prelude::*;
use rows::{Cells, Row, rows};

mod rows;

fn settings(partitions: usize) -> StreamSettings {
    StreamSettings {
        partitions,
        ..StreamSettings::default()
    }
}

fn stream(partitions: usize, cleaning: &Cleaning) -> LogStream<MemoryScratch> {
    LogStream::new(MemoryScratch::new(), &settings(partitions), cleaning).unwrap()
}

/// All events of all customers, whatever log they are in.
fn events(log: &EventLog) -> Vec<(String, Vec<Event>)> {
    let as_of = AsOf::parse("2000-01-01").unwrap();
    let history = log.history(as_of);
    let customers = history.customers().iter().enumerate();
    customers
        .map(|(row, id)| (id.to_string(), history.customer(row).events().collect()))
        .collect()
}

fn same<S: Scratch>(parts: &PartitionedLog<S>, whole: &EventLog) {
    let none = Progress::none();
    assert_eq!(parts.report(), whole.report());
    assert_eq!(parts.channels(), whole.channels());
    assert_eq!(parts.time_range(), whole.time_range());
    assert_eq!(parts.len(), whole.len() as u64);
    assert_eq!(parts.customer_count(), whole.customers().len() as u64);
    let mut all = Vec::new();
    for partition in 0..parts.partitions() {
        let log = parts.log(partition, &none).unwrap();
        assert_eq!(log.channels(), whole.channels());
        for id in log.customers().iter() {
            assert_eq!(parts.partition_of(id), partition);
        }
        all.extend(events(&log));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = events(whole);
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(all, expected);

    let as_of = AsOf::parse("1970-01-08").unwrap();
    let spec = FeatureSpec::default();
    let (table, population) = build_observed(&whole.history(as_of), &spec, &none).unwrap();
    let learned = Population::fit_parts(parts, as_of, &spec, &none).unwrap();
    assert_eq!(learned.to_json(), population.to_json());
    let mut rows = 0;
    for part in build_parts(parts, as_of, &spec, &learned, &none) {
        let part = part.unwrap();
        assert_eq!(part.features(), table.features());
        for (i, id) in part.customers().iter().enumerate() {
            let row = table.customers().find(id).unwrap();
            for j in 0..table.features().len() {
                let (a, b) = (part.column_at(j)[i], table.column_at(j)[row]);
                assert_eq!(a.to_bits(), b.to_bits(), "{}", table.features()[j].name);
            }
        }
        rows += part.len();
    }
    assert_eq!(rows, table.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_batches_and_partitions_equal_one_build(
        rows in rows(120),
        cuts in proptest::collection::vec(0..120_usize, 0..6),
        text in any::<bool>(),
        drop in any::<bool>(),
        partitions in 1..20_usize,
    ) {
        let duplicates = if drop { DuplicatePolicy::Drop } else { DuplicatePolicy::Keep };
        let cleaning = Cleaning { duplicates, ..Cleaning::default() };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let mut stream = stream(partitions, &cleaning);
        for pair in cuts.windows(2) {
            let batch = Cells::new(&rows[pair[0]..pair[1]]);
            batch.with(text, |c| stream.push(c, &Progress::none())).unwrap();
        }
        let whole = Cells::new(&rows).with(text, |c| EventLog::from_columns(c, &cleaning)).unwrap();
        same(&stream.finish(&Progress::none()).unwrap(), &whole);
    }

    /// The row named by an error is the row of the one build.
    #[test]
    fn errors_name_the_row_of_the_stream(
        rows in rows(40),
        wrong in any::<prop::sample::Index>(),
        copy in any::<bool>(),
        size in 1..9_usize,
    ) {
        prop_assume!(!rows.is_empty());
        let wrong = wrong.index(rows.len());
        let mut rows = rows;
        if copy {
            let row = rows[wrong].clone();
            rows.push(row);
        } else {
            rows[wrong].kind = 77;
        }
        let cleaning = Cleaning::strict();
        let whole = Cells::new(&rows).with(true, |c| EventLog::from_columns(c, &cleaning));
        let mut stream = stream(3, &cleaning);
        let run = |stream: &mut LogStream<MemoryScratch>| -> Result<()> {
            for batch in rows.chunks(size) {
                Cells::new(batch).with(true, |c| stream.push(c, &Progress::none()))?;
            }
            Ok(())
        };
        let error = match run(&mut stream) {
            Ok(()) => stream.finish(&Progress::none()).unwrap_err(),
            Err(error) => error,
        };
        prop_assert_eq!(error, whole.unwrap_err());
    }
}

/// Enough rows that every partition has many frames.
#[test]
fn many_frames_equal_one_build() {
    let mut state = 5_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        (state >> 33) % bound
    };
    let rows: Vec<Row> = (0..60_000)
        .map(|_| Row {
            customer: next(3_000) as u16,
            time: next(20) as i64,
            kind: 1 + next(15) as u8,
            value: next(3) as u8,
            channel: next(5) as u8,
            order: next(4) as u8,
            item: next(6) as u8,
        })
        .collect();
    let cleaning = Cleaning {
        duplicates: DuplicatePolicy::Drop,
        ..Cleaning::default()
    };
    for text in [true, false] {
        let settings = StreamSettings {
            partitions: 300,
            buffer_bytes: 1 << 20,
        };
        let mut stream = LogStream::new(MemoryScratch::new(), &settings, &cleaning).unwrap();
        for batch in rows.chunks(7_001) {
            Cells::new(batch)
                .with(text, |c| stream.push(c, &Progress::none()))
                .unwrap();
        }
        let whole = Cells::new(&rows).with(text, |c| EventLog::from_columns(c, &cleaning));
        same(&stream.finish(&Progress::none()).unwrap(), &whole.unwrap());
    }
}

/// Batches may lack columns that others have.
#[test]
fn columns_may_come_and_go() {
    let none = Progress::none();
    let plain = EventColumns::new(&["a", "b"], &[1, 2], TimeUnit::Day, EventKind::Purchase);
    let full = EventColumns::new(&["b", "c"], &[1, 3], TimeUnit::Day, EventKind::Purchase)
        .with_channels(&["sms", "email"])
        .with_orders(&["o1", "o2"])
        .with_items(&[7_u64, 5]);
    let empty = EventColumns::new(&[] as &[i64; 0], &[], TimeUnit::Day, EventKind::View);
    let mut stream = stream(2, &Cleaning::default());
    let mut log = EventLog::from_columns(&empty, &Cleaning::default()).unwrap();
    for batch in [&empty, &plain, &full, &plain, &full, &empty] {
        stream.push(batch, &none).unwrap();
        log.append(batch).unwrap();
    }
    same(&stream.finish(&none).unwrap(), &log);
}

/// What a log leaves out, a stream leaves out.
#[test]
fn only_what_is_kept_is_kept() {
    let none = Progress::none();
    let keep = Keep {
        channels: false,
        items: false,
        ..Keep::kinds([EventKind::Purchase, EventKind::MessageSent])
    };
    let cleaning = Cleaning {
        keep,
        ..Cleaning::default()
    };
    let kinds = [1_u8, 9, 3, 1];
    let batch = EventColumns::new(
        &["a", "b", "a", "c"],
        &[1, 2, 3, 4],
        TimeUnit::Day,
        kinds.as_slice(),
    )
    .with_channels(&["", "sms", "", ""])
    .with_orders(&["o", "", "", "p"])
    .with_items(&["x", "", "y", "z"]);
    let mut stream = stream(3, &cleaning);
    stream.push(&batch, &none).unwrap();
    stream.push(&batch, &none).unwrap();
    let parts = stream.finish(&none).unwrap();
    let mut whole = EventLog::from_columns(&batch, &cleaning).unwrap();
    whole.append(&batch).unwrap();
    assert_eq!(parts.report(), whole.report());
    assert_eq!(parts.channels(), whole.channels());
    assert_eq!(parts.keep(), whole.keep());
    let mut all = Vec::new();
    for partition in 0..3 {
        let log = parts.log(partition, &none).unwrap();
        assert!(log.items().is_none());
        all.extend(events(&log));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(all, events(&whole));

    let strict = Cleaning {
        duplicates: DuplicatePolicy::Drop,
        ..cleaning
    };
    let mut stream = LogStream::new(MemoryScratch::new(), &settings(1), &strict).unwrap();
    let error = stream.push(&batch, &none).unwrap_err();
    assert_eq!(error.what(), "cleaning.keep.channels");
}

#[test]
fn a_stream_without_rows_is_an_empty_log() {
    let parts = stream(3, &Cleaning::default())
        .finish(&Progress::none())
        .unwrap();
    assert!(parts.is_empty());
    assert_eq!(parts.log(2, &Progress::none()).unwrap().len(), 0);
    assert_eq!(
        parts.day_after_last().unwrap_err().kind(),
        ErrorKind::NotEnoughData
    );
    let error = parts.log(3, &Progress::none()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "partition: expected a number below 3, got 3"
    );
}

#[test]
fn batches_that_do_not_fit_leave_the_stream_as_it_was() {
    let none = Progress::none();
    let rows = EventColumns::new(&["a", "b"], &[1, 2], TimeUnit::Day, EventKind::Purchase)
        .with_orders(&["o", "p"])
        .with_items(&["x", "y"]);
    let mut stream = stream(2, &Cleaning::default());
    stream.push(&rows, &none).unwrap();
    let one = |ids: [&'static str; 1]| {
        let ids: &'static [&'static str] = Box::leak(Box::new(ids));
        EventColumns::new(ids, &[3], TimeUnit::Day, EventKind::Purchase)
    };
    let numbers = EventColumns::new(&[3_i64], &[3], TimeUnit::Day, EventKind::Purchase);
    let mut fails =
        |columns: &EventColumns<'_>| stream.push(columns, &none).unwrap_err().to_string();
    assert_eq!(
        fails(&numbers),
        "events.customer: expected text ids as in the batches before, got signed integer ids"
    );
    assert_eq!(
        fails(&one(["a"]).with_values(&[1.0])),
        "events.value: expected no values as in the batches before, got values"
    );
    assert_eq!(
        fails(&one(["a"]).with_orders(&[1_u64])),
        "events.order: expected text ids as in the batches before, got unsigned integer ids"
    );
    assert_eq!(
        fails(&one(["a"]).with_items(&[1_u64])),
        "events.item: expected text ids as in the batches before, got unsigned integer ids"
    );
    let names: Vec<String> = (0..256).map(|i| format!("channel {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (ids, days) = (vec!["a"; 256], vec![3; 256]);
    let many = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::View);
    assert_eq!(
        fails(&many.with_channels(&names)),
        "events.channel: expected at most 255 distinct names, got 256"
    );
    let bad = EventColumns::new(&["a"], &[i64::MAX], TimeUnit::Day, EventKind::View);
    let error = stream.push(&bad, &none).unwrap_err();
    assert_eq!((error.what(), error.row()), ("events.time", Some(2)));
    let stop = |_: Update| Control::Stop;
    let error = stream.push(&rows, &Progress::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    stream.push(&rows, &none).unwrap();
    assert_eq!(stream.rows(), 4);
    let parts = stream.finish(&none).unwrap();
    assert_eq!((parts.len(), parts.report().rows_in), (4, 4));
}

#[test]
fn what_is_dropped_is_counted_once() {
    let none = Progress::none();
    let mut stream = stream(4, &Cleaning::lenient());
    let batch = EventColumns::new(
        &["a", "", "b", "a"],
        &[1, 2, 3, 1],
        TimeUnit::Day,
        EventKind::Purchase,
    )
    .with_values(&[5.0, 7.0, f64::NAN, 5.0]);
    stream.push(&batch, &none).unwrap();
    stream.push(&batch, &none).unwrap();
    let parts = stream.finish(&none).unwrap();
    let report = parts.report();
    assert_eq!(
        (report.rows_in, report.rows_kept, report.rows_dropped()),
        (8, 1, 7)
    );
    assert_eq!(report.dropped(DropReason::Duplicate).money, 15.0);
    assert_eq!(report.dropped(DropReason::MissingCustomer).money, 14.0);
    assert_eq!(report.purchases_kept, 5.0);
}

#[test]
fn settings_have_bounds() {
    for (partitions, buffer_bytes, what) in [
        (0, 1 << 20, "stream.partitions"),
        (65_536, 1 << 20, "stream.partitions"),
        (1, 1000, "stream.buffer_bytes"),
    ] {
        let settings = StreamSettings {
            partitions,
            buffer_bytes,
        };
        let error = LogStream::new(MemoryScratch::new(), &settings, &Cleaning::default());
        assert_eq!(error.unwrap_err().what(), what);
    }
}

/// Scratch space that goes wrong.
#[derive(Debug, Default)]
struct Bad {
    inner: MemoryScratch,
    full: bool,
    lose: usize,
    flip: bool,
}

impl Scratch for Bad {
    fn append(&mut self, partition: usize, bytes: &[u8]) -> io::Result<()> {
        if self.full {
            return Err(io::Error::other("no space left"));
        }
        let mut bytes = bytes[..bytes.len() - self.lose.min(bytes.len())].to_vec();
        if self.flip
            && let Some(byte) = bytes.last_mut()
        {
            *byte ^= 1;
        }
        self.inner.append(partition, &bytes)
    }

    fn read(&self, partition: usize) -> io::Result<Box<dyn Read + '_>> {
        self.inner.read(partition)
    }

    fn clear(&mut self, partition: usize) -> io::Result<()> {
        self.inner.clear(partition)
    }
}

#[test]
fn scratch_space_is_not_trusted() {
    let none = Progress::none();
    let ids: Vec<i64> = (0..200_000).collect();
    let times = vec![5; ids.len()];
    let rows = EventColumns::new(&ids, &times, TimeUnit::Day, EventKind::View);
    let settings = StreamSettings {
        partitions: 2,
        buffer_bytes: 1 << 20,
    };
    let run = |bad: Bad| -> Result<()> {
        let mut stream = LogStream::new(bad, &settings, &Cleaning::default())?;
        stream.push(&rows, &none)?;
        let parts = stream.finish(&none)?;
        (0..2).try_for_each(|partition| parts.log(partition, &none).map(|_| ()))
    };
    assert!(run(Bad::default()).is_ok());
    let full = Bad {
        full: true,
        ..Bad::default()
    };
    assert_eq!(
        run(full).unwrap_err().to_string(),
        "scratch: expected room to write to, got no space left"
    );
    assert!(
        run(Bad {
            lose: 1,
            ..Bad::default()
        })
        .is_err()
    );
    assert!(
        run(Bad {
            flip: true,
            ..Bad::default()
        })
        .is_err()
    );

    // Once scratch space is full, the stream cannot go on.
    let full = Bad {
        full: true,
        ..Bad::default()
    };
    let mut stream = LogStream::new(full, &settings, &Cleaning::default()).unwrap();
    assert!(stream.push(&rows, &none).is_err());
    let again = EventColumns::new(&[1_i64], &[5], TimeUnit::Day, EventKind::View);
    assert_eq!(stream.push(&again, &none).unwrap_err().what(), "scratch");
    assert_eq!(stream.finish(&none).unwrap_err().what(), "scratch");
}

#[test]
fn customers_are_spread_evenly_and_for_good() {
    let none = Progress::none();
    let parts = stream(64, &Cleaning::default()).finish(&none).unwrap();
    let mut counts = [0_u32; 64];
    for id in 0..64_000_i64 {
        counts[parts.partition_of(id)] += 1;
    }
    assert!(
        counts.iter().all(|count| (850..1150).contains(count)),
        "{counts:?}"
    );
    // Partitions on disk outlive a version of the library.
    let places: Vec<usize> = [
        CustomerId::Int(7),
        CustomerId::Uint(7),
        CustomerId::Text("ann"),
    ]
    .into_iter()
    .map(|id| parts.partition_of(id))
    .collect();
    assert_eq!(places, [38, 38, 25]);
}
