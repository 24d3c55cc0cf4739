//! Saved logs: what is read back is what was saved, and no file that is wrong is believed.

use churn_core::events::{
    Cleaning, DuplicatePolicy, EventColumns, EventKind, Keep, KindMap, MAX_EVENTS, NegativePolicy,
};
use churn_core::features::{FeatureSpec, build};
use churn_core::progress::{Control, Progress, Update};
use churn_core::{AsOf, ErrorKind, EventLog, TimeUnit, Timestamp};
use proptest::prelude::*;
use rows::{Cells, Row, rows};

mod rows;

fn build_log(rows: &[Row], text: bool, duplicates: DuplicatePolicy) -> EventLog {
    let cleaning = Cleaning {
        duplicates,
        ..Cleaning::default()
    };
    Cells::new(rows).with(text, |c| EventLog::from_columns(c, &cleaning).unwrap())
}

fn saved(log: &EventLog) -> Vec<u8> {
    let mut file = Vec::new();
    log.save(&mut file).unwrap();
    file
}

/// The bits of all default features.
fn features(log: &EventLog) -> Vec<u64> {
    let as_of = AsOf::parse("1970-01-08").unwrap();
    let table = build(&log.history(as_of), &FeatureSpec::default()).unwrap();
    table.matrix().iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_saved(
        first in rows(80),
        later in rows(40),
        text in any::<bool>(),
        drop in any::<bool>(),
    ) {
        let policy = if drop { DuplicatePolicy::Drop } else { DuplicatePolicy::Keep };
        let mut log = build_log(&first, text, policy);
        // Appends leave places behind that are not saved.
        for batch in later.chunks(7) {
            Cells::new(batch).with(text, |c| log.append(c)).unwrap();
        }
        let file = saved(&log);
        let mut loaded = EventLog::from_bytes(&file).unwrap();
        prop_assert!(loaded == log);
        prop_assert_eq!(loaded.report(), log.report());
        prop_assert_eq!(features(&loaded), features(&log));
        prop_assert!(EventLog::load(file.as_slice()).unwrap() == log);
        // One log, one file, however it came to be.
        let all: Vec<Row> = first.iter().chain(&later).cloned().collect();
        prop_assert_eq!(&saved(&build_log(&all, text, policy)), &file);
        // And it goes on as if it had never been away.
        let batch = Cells::new(&first);
        let before = batch.with(text, |c| log.append(c)).unwrap();
        let after = batch.with(text, |c| loaded.append(c)).unwrap();
        prop_assert_eq!(before, after);
        prop_assert!(loaded == log);
    }

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(EventLog::from_bytes(&bytes).is_err());
        prop_assert!(EventLog::load(bytes.as_slice()).is_err());
    }

    /// Damage under checksums that fit, as a hostile hand would do it.
    #[test]
    fn forged_bytes_never_panic(
        rows in rows(30),
        text in any::<bool>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let log = build_log(&rows, text, DuplicatePolicy::Keep);
        let mut file = saved(&log);
        for (at, byte) in edits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        reseal(&mut file);
        let loaded = [EventLog::from_bytes(&file), EventLog::load(file.as_slice())];
        for loaded in loaded.into_iter().flatten() {
            features(&loaded);
            prop_assert!(EventLog::from_bytes(&saved(&loaded)).unwrap() == loaded);
        }
    }
}

/// CRC-32 as in zip and PNG, bit by bit: a second opinion on the library's.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

fn u64_at(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
}

/// Name, place of the header, and length of the payload of each section.
fn sections(file: &[u8]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 64;
    while at + 64 <= file.len() {
        let name = String::from_utf8_lossy(&file[at..at + 16]);
        let len = u64_at(file, at + 16) as usize;
        found.push((name.trim_end_matches('\0').to_owned(), at, len));
        let whole = len.saturating_add(8).div_ceil(64).saturating_mul(64);
        at = (at + 64).saturating_add(whole);
        if at > file.len() {
            break;
        }
    }
    found
}

/// Puts right checksums under whatever a file says.
fn reseal(file: &mut [u8]) {
    let mut ends = vec![(0, 60)];
    for (_, at, len) in sections(file) {
        let whole = len.saturating_add(8).div_ceil(64).saturating_mul(64);
        ends.extend([(at, at + 60), (at + 64, (at + 60).saturating_add(whole))]);
    }
    for (from, to) in ends {
        if to < file.len() {
            let sum = crc32(&file[from..to]).to_le_bytes();
            file[to..to + 4].copy_from_slice(&sum);
        }
    }
}

fn small() -> EventLog {
    let columns = EventColumns::new(
        &["bea", "ann", "bea", "ann"],
        &[10, 11, 12, 11],
        TimeUnit::Day,
        [1_u8, 9, 2, 3].as_slice(),
    )
    .with_values(&[9.5, 0.0, 3.25, 40.0])
    .with_channels(&["", "sms", "", ""])
    .with_orders(&["o1", "", "o1", ""])
    .with_items(&[7_i64, 0, 7, 8]);
    EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let log = small();
    let file = saved(&log);
    assert!(EventLog::from_bytes(&file).unwrap() == log);
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            assert!(EventLog::from_bytes(&damaged).is_err(), "byte {at}");
            assert!(EventLog::load(damaged.as_slice()).is_err(), "byte {at}");
        }
    }
    for len in 0..file.len() {
        assert!(EventLog::from_bytes(&file[..len]).is_err(), "{len} bytes");
        assert!(EventLog::load(&file[..len]).is_err(), "{len} bytes");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(EventLog::from_bytes(&longer).is_err());
    // A stream ends where the header says; what follows belongs to somebody else.
    let mut rest = longer.as_slice();
    assert!(EventLog::load(&mut rest).unwrap() == log);
    assert_eq!(rest, [0]);
}

/// Each lie under right checksums, and the place that the error names.
#[test]
fn lies_are_named() {
    let file = saved(&small());
    let find = |name: &str| {
        let all = sections(&file);
        let section = all.into_iter().find(|section| section.0 == name);
        section.unwrap_or_else(|| panic!("no section {name}")).1 + 64
    };
    let lie = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        reseal(&mut file);
        let slice = EventLog::from_bytes(&file).unwrap_err();
        let stream = EventLog::load(file.as_slice()).unwrap_err();
        assert_eq!(slice.kind(), stream.kind());
        slice
    };
    let word =
        |place: &str, index: usize, value: u64| lie(find(place) + 8 * index, &value.to_le_bytes());
    let huge = [MAX_EVENTS + 1, u64::MAX, 1 << 61];

    assert_eq!(
        lie(0, b"PK").to_string(),
        "file: expected the first bytes of a file saved by this library, got others"
    );
    assert_eq!(
        lie(12, &2_u32.to_le_bytes()).to_string(),
        "file.version: expected a version from 1 to 1, which this library reads, got 2"
    );
    assert_eq!(
        lie(8, &2_u32.to_le_bytes()).to_string(),
        "file: expected an event log, got a file of another kind (2)"
    );
    assert_eq!(lie(40, b"x").what(), "file.header");
    assert_eq!(lie(16, &63_u64.to_le_bytes()).what(), "file");
    for value in huge {
        for index in 0..7 {
            assert!(
                word("log", index, value).what().starts_with("file."),
                "word {index} = {value}"
            );
        }
        let mut section = find("times") - 64 + 16;
        assert_eq!(lie(section, &value.to_le_bytes()).what(), "file.times");
        section = find("customer texts") - 64 + 16;
        assert_eq!(
            lie(section, &value.to_le_bytes()).what(),
            "file.customer texts"
        );
    }
    // Rows in, rows kept, rows dropped as copies, money bought.
    for index in [7, 9, 19, 20, 21] {
        assert_eq!(
            word("log", index, 1 << 61).what(),
            "file.log",
            "word {index}"
        );
    }
    assert_eq!(lie(find("cleaning"), b"[").what(), "file.cleaning");
    for (named, other) in [
        ("\"kinds\":null", "\"kinds\":[]  "),
        ("\"orders\":true", "\"orders\":0   "),
    ] {
        let text = String::from_utf8_lossy(&file[find("cleaning")..][..200]).into_owned();
        let at = find("cleaning") + text.find(named).unwrap();
        assert_eq!(named.len(), other.len());
        let error = lie(at, other.as_bytes());
        assert!(
            ["file.cleaning", "file.kinds"].contains(&error.what()),
            "{error}"
        );
    }
    assert_eq!(
        lie(find("customer texts"), b"zed").to_string(),
        "file.customer texts[1]: expected ids that ascend and differ, got \"bea\""
    );
    assert_eq!(
        lie(find("customer texts"), &[0xff]).got(),
        "other bytes at 0"
    );
    assert_eq!(word("customers", 0, 1).what(), "file.customers");
    assert_eq!(
        word("customers", 1, 0).to_string(),
        "file.customers[0]: expected offsets around a text that is not empty, got 0 and 0"
    );
    assert_eq!(word("customers", 1, u64::MAX).row(), Some(0));
    assert_eq!(word("items", 0, 9).what(), "file.items");
    assert_eq!(
        lie(find("lengths"), &0_u32.to_le_bytes()).to_string(),
        "file.lengths[0]: expected at least one event, got 0"
    );
    assert_eq!(
        lie(find("lengths"), &u32::MAX.to_le_bytes()).what(),
        "file.lengths"
    );
    assert_eq!(word("times", 0, u64::MAX / 4).what(), "file.times");
    assert_eq!(
        word("times", 3, 0).to_string(),
        "file.times[3]: expected events in order of time, kind, value, channel, order and item, got a time of 0 behind one of 864000000000"
    );
    assert_eq!(
        lie(find("kinds"), &[0]).to_string(),
        "file.kinds[0]: expected a kind code from 1 to 15, got 0"
    );
    assert_eq!(lie(find("kinds"), &[16]).what(), "file.kinds");
    assert_eq!(
        lie(find("kinds") + 2, &[1]).to_string(),
        "file.kinds[2]: expected the mark of a new order, got none"
    );
    assert_eq!(lie(find("kinds"), &[0x83]).got(), "one");
    for value in [f64::NAN, f64::INFINITY, -1.0, -0.0, 1e16] {
        assert_eq!(
            word("values", 2, value.to_bits()).what(),
            "file.values",
            "{value}"
        );
    }
    assert_eq!(
        word("values", 1, 1_f64.to_bits()).to_string(),
        "file.values[1]: expected a number from 0 to 0e0 for a message_sent, got 1"
    );
    assert_eq!(
        word("values", 2, 9_f64.to_bits()).to_string(),
        "file.log: expected 9 of purchases, got 9.5"
    );
    assert_eq!(
        lie(find("event channels") + 1, &[1]).to_string(),
        "file.event channels[1]: expected a code below 1, got 1"
    );
    assert_eq!(lie(find("event items"), &[200]).what(), "file.event items");
    // Orders are compared only; another one is another order.
    let mut other = file.clone();
    other[find("orders") + 16] ^= 1;
    reseal(&mut other);
    assert!(EventLog::from_bytes(&other).unwrap() != small());
}

/// A stream that claims to be long costs no more memory than it has bytes.
#[test]
fn claims_are_not_believed_before_the_bytes_are_there() {
    let file = saved(&small());
    let all = sections(&file);
    let times = all.iter().find(|section| section.0 == "times").unwrap().1;
    let mut claim = file[..times + 64].to_vec();
    let events = MAX_EVENTS / 2;
    claim[16..24].copy_from_slice(&(1_u64 << 50).to_le_bytes());
    let log = all[0].1 + 64;
    claim[log..log + 8].copy_from_slice(&events.to_le_bytes());
    claim[log + 56..log + 64].copy_from_slice(&events.to_le_bytes());
    claim[log + 72..log + 80].copy_from_slice(&events.to_le_bytes());
    let lengths = all.iter().find(|section| section.0 == "lengths").unwrap().1 + 64;
    claim[lengths..lengths + 4].copy_from_slice(&(events as u32 - 2).to_le_bytes());
    claim[times + 16..times + 24].copy_from_slice(&(8 * events).to_le_bytes());
    reseal(&mut claim);
    let error = EventLog::load(claim.as_slice()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file.times: expected more bytes, got the end of the file"
    );
}

#[test]
fn logs_of_any_columns_and_settings_are_saved() {
    let empty = EventColumns::new(&[] as &[i64; 0], &[], TimeUnit::Day, EventKind::View);
    let plain = EventColumns::new(&[3_u64, 1], &[1, 2], TimeUnit::Day, EventKind::Purchase);
    let numbers = EventColumns::new(&[-3_i64, 1], &[1, 2], TimeUnit::Day, EventKind::Purchase)
        .with_values(&[-2.0, f64::NAN])
        .with_orders(&[1_u64, 2])
        .with_items(&["tea", "cup"]);
    let cleaning = Cleaning {
        kinds: KindMap::new().with("order \"placed\"", EventKind::Purchase),
        negative_value: NegativePolicy::Refund,
        earliest: Timestamp::from_micros(-377_000_000_000_000_001).unwrap(),
        latest: Timestamp::parse("2100-01-01T00:00:00.000001").unwrap(),
        ..Cleaning::lenient()
    };
    let purchases = Cleaning {
        keep: Keep {
            orders: false,
            ..Keep::kinds([EventKind::Purchase])
        },
        duplicates: DuplicatePolicy::Keep,
        ..cleaning.clone()
    };
    for (columns, cleaning) in [
        (&empty, &cleaning),
        (&plain, &cleaning),
        (&numbers, &cleaning),
        (&numbers, &purchases),
    ] {
        let mut log = EventLog::from_columns(columns, cleaning).unwrap();
        let mut loaded = EventLog::from_bytes(&saved(&log)).unwrap();
        assert!(loaded == log);
        assert_eq!(loaded.report(), log.report());
        // The settings are back too.
        for log in [&mut log, &mut loaded] {
            log.append(columns).unwrap();
        }
        assert!(loaded == log);
        assert_eq!(saved(&loaded), saved(&log));
    }
}

#[test]
fn saving_and_loading_can_be_watched_and_stopped() {
    let log = small();
    let file = saved(&log);
    let last = std::sync::Mutex::new(Vec::new());
    let watch = |update: Update| {
        assert!(update.done <= update.total);
        last.lock().unwrap().push(update);
        Control::Continue
    };
    log.save_observed(std::io::sink(), &Progress::new(&watch))
        .unwrap();
    let end = last.lock().unwrap().pop().unwrap();
    assert_eq!((end.step, end.done), ("file.save", end.total));
    assert_eq!(end.total, file.len() as u64);
    EventLog::from_bytes_observed(&file, &Progress::new(&watch)).unwrap();
    let updates = last.into_inner().unwrap();
    let load = updates
        .iter()
        .rfind(|update| update.step == "file.load")
        .unwrap();
    assert_eq!(
        (load.done, load.total),
        (file.len() as u64, file.len() as u64)
    );
    assert_eq!(updates.last().unwrap().step, "file.check");

    let stop = |_: Update| Control::Stop;
    let stop = Progress::new(&stop);
    let error = log.save_observed(std::io::sink(), &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let error = EventLog::load_observed(file.as_slice(), &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is full"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let error = small().save(Full).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file: expected room to write to, got the disk is full"
    );
}
