//! Columns so long that several threads read them, and what of them is checked when.
#![cfg(feature = "arrow")]

use std::sync::Arc;

use arrow_array::types::{ArrowDictionaryKeyType, Int8Type, Int16Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, PrimitiveArray, RecordBatch, StringArray, StringViewArray,
    TimestampSecondArray, UInt8Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use churn_core::arrow::EventBatches;
use churn_core::events::{
    Cleaning, ColumnNames, EventColumns, EventKind, IdCells, IdColumn, Keep, KindColumn, KindMap,
    LogStream, MemoryScratch, Policy, StreamSettings, TextCells, TextColumn, TimeColumn,
    ValueColumn,
};
use churn_core::progress::Progress;
use churn_core::{ErrorKind, EventLog, TimeUnit};

/// More than threads leave to one of them.
const ROWS: usize = 100_000;

fn arc(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// In one chunk, and in chunks of all sizes.
fn chunkings(batch: &RecordBatch) -> Vec<Vec<RecordBatch>> {
    let n = batch.num_rows();
    let cut = |ends: &[usize]| {
        let pieces = ends.windows(2);
        pieces.map(|e| batch.slice(e[0], e[1] - e[0])).collect()
    };
    vec![cut(&[0, n]), cut(&[0, 1, 7, 40_000, 40_003, n])]
}

fn events(batches: Vec<RecordBatch>) -> EventBatches {
    EventBatches::from_batches(batches, &ColumnNames::default()).unwrap()
}

/// Some numbers without pattern that are always the same.
fn noise(row: usize, below: u64) -> u64 {
    ((row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % below
}

fn dictionary<K: ArrowDictionaryKeyType>(
    names: &[Option<&str>],
    entry: impl Fn(usize) -> Option<usize>,
) -> ArrayRef
where
    K::Native: TryFrom<usize>,
{
    let key = |entry: usize| K::Native::try_from(entry).ok().unwrap();
    let keys: PrimitiveArray<K> = (0..ROWS).map(|row| entry(row).map(key)).collect();
    let names = arc(StringArray::from(names.to_vec()));
    arc(DictionaryArray::try_new(keys, names).unwrap())
}

fn all_dictionaries(
    names: &[Option<&str>],
    entry: impl Fn(usize) -> Option<usize> + Copy,
) -> Vec<ArrayRef> {
    vec![
        dictionary::<Int8Type>(names, entry),
        dictionary::<Int16Type>(names, entry),
        dictionary::<Int64Type>(names, entry),
        dictionary::<UInt32Type>(names, entry),
    ]
}

fn texts<'t>(cells: &[Option<&'t str>]) -> (Vec<&'t str>, Option<Vec<bool>>) {
    let flags = cells.iter().map(Option::is_some).collect();
    let texts = cells.iter().map(|cell| cell.unwrap_or("lost")).collect();
    (texts, Some(flags))
}

#[test]
fn missing_cells_of_dictionaries_are_missing_in_every_role() {
    // A name twice, one without letters, and an entry that is null itself.
    let names = [
        Some("ann"),
        Some("änne"),
        None,
        Some("ann"),
        Some(""),
        Some("cid"),
    ];
    let entry = |salt: usize| {
        move |row: usize| match noise(row + salt, 23) {
            few @ 0..6 => Some(few as usize),
            few if few < 12 => Some(0),
            _ => None,
        }
    };
    let cells = |salt: usize| -> Vec<Option<&str>> {
        let entry = entry(salt);
        (0..ROWS).map(|row| names[entry(row)?]).collect()
    };
    let (customer, order, item, channel) = (cells(1), cells(2), cells(3), cells(4));
    let kinds = ["purchase", "message_sent", "view"];
    let kind: Vec<&str> = (0..ROWS).map(|row| kinds[noise(row, 3) as usize]).collect();
    let value: Vec<Option<i32>> = (0..ROWS)
        .map(|row| (noise(row, 9) > 0).then_some(noise(row, 50) as i32))
        .collect();
    let time: Vec<i64> = (0..ROWS).map(|row| noise(row, 9_000_000) as i64).collect();

    let text = |cells: &[Option<&'static str>]| {
        let (texts, valid) = texts(cells);
        TextColumn {
            cells: TextCells::StrsOwned(texts),
            valid: valid.map(Into::into),
        }
    };
    let ids = |cells: &[Option<&'static str>]| {
        let TextColumn { cells, valid } = text(cells);
        let cells = IdCells::Text(cells);
        IdColumn { cells, valid }
    };
    let columns = EventColumns {
        customer: ids(&customer),
        time: TimeColumn {
            cells: time.as_slice().into(),
            unit: TimeUnit::Second,
            valid: None,
        },
        kind: KindColumn::Names(TextCells::Strs(&kind).into()),
        value: Some(ValueColumn {
            cells: value.iter().map(|v| f64::from(v.unwrap_or(-1))).collect(),
            valid: Some(value.iter().map(Option::is_some).collect()),
        }),
        channel: Some(text(&channel)),
        order: Some(ids(&order)),
        item: Some(ids(&item)),
        unreadable_cells: 0,
    };
    let cleaning = Cleaning::default();
    let expected = EventLog::from_columns(&columns, &cleaning).unwrap();
    assert!(expected.len() > ROWS / 8 && expected.report().rows_dropped() > ROWS as u64 / 4);
    assert_eq!(expected.customers().len(), 3);
    assert_eq!(expected.channels(), ["ann", "cid", "änne"]);

    let coded: Vec<[ArrayRef; 4]> = (0..4)
        .map(|i| [1, 2, 3, 4].map(|salt| all_dictionaries(&names, entry(salt)).swap_remove(i)))
        .collect();
    let cells = [&customer, &order, &item, &channel].map(|cells| cells.iter().copied());
    let plain = [
        cells
            .clone()
            .map(|cells| arc(cells.collect::<StringArray>())),
        cells
            .clone()
            .map(|cells| arc(cells.collect::<LargeStringArray>())),
        cells.map(|cells| arc(cells.collect::<StringViewArray>())),
    ];
    let kind_entry = |row: usize| Some(noise(row, 3) as usize);
    let kind = dictionary::<Int8Type>(&kinds.map(Some), kind_entry);
    for [customer, order, item, channel] in coded.into_iter().chain(plain) {
        let batch = batch(vec![
            ("customer", customer),
            ("time", arc(TimestampSecondArray::from(time.clone()))),
            ("kind", Arc::clone(&kind)),
            ("value", arc(Int32Array::from(value.clone()))),
            ("channel", channel),
            ("order", order),
            ("item", item),
        ]);
        for batches in chunkings(&batch) {
            let events = events(batches);
            let log = EventLog::from_columns(&events.columns().unwrap(), &cleaning).unwrap();
            assert_eq!(log, expected);
            assert_eq!(log.report(), expected.report());
        }
    }
}

#[test]
fn a_kind_that_is_missing_is_not_one_without_name() {
    let names = [Some("purchase"), Some(""), None];
    let entry = |row: usize| (row % 4 < 3).then_some(row % 4);
    for kind in all_dictionaries(&names, entry) {
        let batch = batch(vec![
            ("customer", arc(Int32Array::from(vec![1; ROWS]))),
            (
                "time",
                arc(TimestampSecondArray::from_iter_values(0..ROWS as i64)),
            ),
            ("kind", kind),
        ]);
        for batches in chunkings(&batch) {
            let events = events(batches);
            let columns = events.columns().unwrap();
            let mut cleaning = Cleaning {
                kinds: KindMap::new().with("", EventKind::View),
                ..Cleaning::default()
            };
            let error = EventLog::from_columns(&columns, &cleaning).unwrap_err();
            assert_eq!((error.row(), error.got()), (Some(2), "nothing"));
            cleaning.unknown_kind = Policy::Drop;
            let log = EventLog::from_columns(&columns, &cleaning).unwrap();
            assert_eq!(log.len(), ROWS / 2);
            assert_eq!(log.report().purchases_kept, ROWS as f64 / 4.0);
        }
    }
}

#[test]
fn numbers_of_other_types_and_codes_with_gaps_are_converted() {
    let present = |row: usize| noise(row, 5) > 0;
    let ids: Vec<i64> = (0..ROWS).map(|row| noise(row, 700) as i64 - 300).collect();
    let times: Vec<i64> = (0..ROWS).map(|row| noise(row, 86_400) as i64).collect();
    let values: Vec<f64> = (0..ROWS).map(|row| noise(row, 64) as f64 / 4.0).collect();
    let codes: Vec<u8> = (0..ROWS).map(|row| noise(row, 4) as u8).collect();
    let batch = batch(vec![
        (
            "customer",
            arc(ids.iter().map(|id| *id as i32).collect::<Int32Array>()),
        ),
        ("time", arc(TimestampSecondArray::from(times.clone()))),
        (
            "value",
            arc(values.iter().map(|v| *v as f32).collect::<Float32Array>()),
        ),
        (
            "kind",
            arc((0..ROWS)
                .map(|row| present(row).then_some(codes[row]))
                .collect::<UInt8Array>()),
        ),
    ]);
    let known: Vec<u8> = (0..ROWS)
        .map(|row| if present(row) { codes[row] } else { 0 })
        .collect();
    let columns = EventColumns::new(&ids, &times, TimeUnit::Second, &known).with_values(&values);
    let cleaning = Cleaning {
        unknown_kind: Policy::Drop,
        ..Cleaning::default()
    };
    let expected = EventLog::from_columns(&columns, &cleaning).unwrap();
    for batches in chunkings(&batch) {
        let events = events(batches);
        let log = EventLog::from_columns(&events.columns().unwrap(), &cleaning).unwrap();
        assert_eq!(log, expected);
        assert_eq!(log.report(), expected.report());
    }
}

#[test]
fn ids_in_floats_are_whole_or_missing() {
    let id = |row: usize| noise(row, 700) as f64 - 300.0;
    let cell = |row: usize| match noise(row, 7) {
        0 => None,
        1 => Some(f64::NAN),
        _ => Some(id(row)),
    };
    let with_ids = |ids: Vec<Option<f64>>| with("customer", arc(Float64Array::from(ids)));
    let batch = with_ids((0..ROWS).map(cell).collect());
    for batches in chunkings(&batch) {
        let events = events(batches);
        let customer = events.columns().unwrap().customer;
        let (IdCells::Int(ids), Some(valid)) = (&customer.cells, &customer.valid) else {
            panic!("{customer:?}")
        };
        for row in 0..ROWS {
            assert_eq!(valid[row], noise(row, 7) > 1);
            assert_eq!(ids[row], if valid[row] { id(row) as i64 } else { 0 });
        }
    }
    for wrong in [0.5, f64::INFINITY, 1e300] {
        let cells = (0..ROWS).map(|row| if row > 70_000 { Some(wrong) } else { cell(row) });
        for batches in chunkings(&with_ids(cells.collect())) {
            let events = events(batches);
            let error = events.columns().unwrap_err();
            assert_eq!(
                (error.what(), error.row()),
                ("events.customer", Some(70_001))
            );
            assert_eq!(error.got(), wrong.to_string());
        }
    }
    let events = events(vec![with_ids((0..ROWS).map(|row| Some(id(row))).collect())]);
    assert!(events.columns().unwrap().customer.valid.is_none());
}

/// Texts of which one, far inside, is damaged.
fn damaged_text(fault: usize, byte: u8) -> ArrayRef {
    let mut bytes: Vec<u8> = "aä".repeat(ROWS).into_bytes();
    bytes[3 * fault] = byte;
    let offsets: Vec<i32> = (0..=ROWS as i32).map(|row| 3 * row).collect();
    // SAFETY: deliberately broken, and never read other than through the checking door.
    let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
    // SAFETY: as above.
    arc(unsafe { StringArray::new_unchecked(offsets, Buffer::from(bytes), None) })
}

fn damaged_offset(fault: usize, offset: i64) -> ArrayRef {
    let mut offsets: Vec<i64> = (0..=ROWS as i64).map(|row| 3 * row).collect();
    offsets[fault] = offset;
    let bytes = Buffer::from("aä".repeat(ROWS).into_bytes());
    // SAFETY: as above.
    let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
    // SAFETY: as above.
    arc(unsafe { LargeStringArray::new_unchecked(offsets, bytes, None) })
}

fn damaged_key(fault: usize, key: i64, nulls: bool) -> ArrayRef {
    let mut keys: Vec<i64> = (0..ROWS).map(|row| noise(row, 3) as i64).collect();
    keys[fault] = key;
    let nulls = nulls.then(|| (0..ROWS).map(|row| row == fault || row % 2 == 0).collect());
    let keys = Int64Array::new(keys.into(), nulls);
    let names = arc(StringArray::from(vec!["a", "b", "c"]));
    // SAFETY: as above.
    arc(unsafe { DictionaryArray::new_unchecked(keys, names) })
}

fn damaged_view(fault: usize) -> ArrayRef {
    let texts = ["a text that is longer than twelve bytes", "short"];
    let good: StringViewArray = (0..ROWS).map(|row| Some(texts[row % 2])).collect();
    let (views, buffers, nulls) = good.into_parts();
    let mut views = views.to_vec();
    // Behind the end of its buffer.
    views[fault] = views[0] | 0x7fff_ffff << 96;
    // SAFETY: as above.
    arc(unsafe { StringViewArray::new_unchecked(views.into(), buffers, nulls) })
}

/// A view that holds its text itself, but not as it should.
fn damaged_short_view(fault: usize, view: u128) -> ArrayRef {
    let mut views: Vec<u128> = (0..ROWS as u128)
        .map(|row| 2 | (97 + row % 9) << 32 | 98 << 40)
        .collect();
    views[fault] = view;
    // SAFETY: as above.
    arc(unsafe { StringViewArray::new_unchecked(views.into(), Arc::from([]), None) })
}

fn damaged() -> Vec<ArrayRef> {
    [0, 16_383, 16_384, 70_001, ROWS - 1]
        .into_iter()
        .flat_map(|fault| {
            vec![
                damaged_text(fault, 0xff),
                damaged_text(fault, 0xa4),
                damaged_offset(fault + 1, 3 * fault as i64 + 2),
                damaged_offset(fault + 1, 3 * fault as i64 + 999),
                damaged_offset(fault + 1, 9 * ROWS as i64),
                damaged_offset(fault, -1),
                damaged_key(fault, 3, false),
                damaged_key(fault, -1, false),
                damaged_key(fault, i64::MAX, true),
                damaged_view(fault / 2 * 2),
                damaged_short_view(fault, 2 | 0xff << 32 | 98 << 40),
                damaged_short_view(fault, 2 | 97 << 32 | 98 << 40 | 99 << 48),
                damaged_short_view(fault, 12 | 0xc3 << 120),
                damaged_short_view(fault, 13 | 97 << 32),
            ]
        })
        .collect()
}

fn with(role: &'static str, array: ArrayRef) -> RecordBatch {
    let mut columns = vec![
        (
            "time",
            arc(TimestampSecondArray::from_iter_values(0..ROWS as i64)),
        ),
        (role, array),
    ];
    if role != "customer" {
        let customers = Int64Array::from_iter_values((0..ROWS as i64).map(|row| row % 99));
        columns.push(("customer", arc(customers)));
    }
    batch(columns)
}

#[test]
fn faults_far_inside_are_named_as_arrow_names_them() {
    for array in damaged() {
        let fault = array.to_data().validate_full().unwrap_err().to_string();
        let refused = vec![with("customer", array)];
        let error = EventBatches::from_batches(refused, &ColumnNames::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!(
            (error.what(), error.expected()),
            ("events.customer", "valid Arrow data")
        );
        assert_eq!(error.got(), fault);
    }
}

#[test]
fn what_stands_behind_a_null_does_not_matter() {
    let keys: Vec<i8> = (0..ROWS).map(|row| [0, 1, -7, 99][row % 4]).collect();
    let nulls = (0..ROWS).map(|row| row % 4 < 2).collect();
    let keys = arrow_array::Int8Array::new(keys.into(), Some(nulls));
    let names = arc(StringArray::from(vec!["a", "b"]));
    let orders = arc(DictionaryArray::try_new(keys, names).unwrap());
    let events = events(vec![with("order", orders)]);
    let columns = events.columns().unwrap();
    let Some(IdCells::Text(cells)) = columns.order.map(|order| order.cells) else {
        panic!("orders are text")
    };
    for row in [0, 1, 2, 3, ROWS - 4, ROWS - 3, ROWS - 2, ROWS - 1] {
        assert_eq!(cells.get(row), Some(["a", "b", "", ""][row % 4]));
    }
}

#[test]
fn columns_that_nobody_reads_are_not_checked() {
    let leaves_out = |role: &str| Cleaning {
        keep: Keep {
            channels: role != "channel",
            orders: role != "order",
            items: role != "item",
            ..Keep::default()
        },
        ..Cleaning::default()
    };
    for role in ["channel", "order", "item"] {
        for array in damaged().into_iter().take(14) {
            let fault = array.to_data().validate_full().unwrap_err().to_string();
            let events = events(vec![with(role, array)]);
            let all = Cleaning::default();
            for error in [events.columns(), events.columns_for(&all)] {
                let error = error.unwrap_err();
                assert_eq!(error.what(), format!("events.{role}"));
                assert_eq!(error.got(), fault);
            }
            let cleaning = leaves_out(role);
            let columns = events.columns_for(&cleaning).unwrap();
            let log = EventLog::from_columns(&columns, &cleaning).unwrap();
            assert_eq!(log.len(), ROWS);

            let none = Progress::none();
            let push = |cleaning: &Cleaning| {
                let settings = StreamSettings::default();
                let mut stream = LogStream::new(MemoryScratch::new(), &settings, cleaning).unwrap();
                stream.push_batches(&events, &none).map(|()| stream.rows())
            };
            assert_eq!(push(&cleaning).unwrap(), ROWS as u64);
            assert_eq!(push(&all).unwrap_err().got(), fault);
        }
    }
}
