//! The Arrow door: every type that is let in, in every chunking, and all that is kept out.
#![cfg(feature = "arrow")]

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    ArrowDictionaryKeyType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal32Array,
    Decimal64Array, Decimal128Array, Decimal256Array, DictionaryArray, Float16Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, NullArray,
    PrimitiveArray, RecordBatch, RecordBatchIterator, StringArray, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use churn_core::arrow::{
    BatchBuilder, EventBatches, batch_stream, cleaning_batch, feature_batch, score_batch,
    segment_batch, training_batch,
};
use churn_core::events::{
    Cleaning, ColumnNames, DropReason, EventColumns, EventKind, IdCells, KindColumn, LogStream,
    MemoryScratch, PartitionedLog, StreamSettings, TextCells,
};
use churn_core::features::{FeatureInfo, FeatureSpec, FeatureTable, build_observed, refresh};
use churn_core::progress::Progress;
use churn_core::scoring::Scores;
use churn_core::scoring::learned::TrainingData;
use churn_core::segments::Segments;
use churn_core::{AsOf, Customers, ErrorKind, EventLog, Horizon, Result, TimeUnit, Timestamp};

fn arc(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn stream(batches: Vec<RecordBatch>) -> FFI_ArrowArrayStream {
    let schema = batches[0].schema();
    let batches: Vec<std::result::Result<_, ArrowError>> = batches.into_iter().map(Ok).collect();
    FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, schema)))
}

fn log(events: &EventBatches) -> Result<EventLog> {
    let cleaning = Cleaning {
        unknown_kind: churn_core::events::Policy::Drop,
        ..Cleaning::default()
    };
    EventLog::from_columns(&events.columns()?, &cleaning)
}

fn parts_of(
    stream: FFI_ArrowArrayStream,
    names: &ColumnNames,
) -> Result<PartitionedLog<MemoryScratch>> {
    let settings = StreamSettings {
        partitions: 1,
        ..StreamSettings::default()
    };
    let cleaning = Cleaning {
        unknown_kind: churn_core::events::Policy::Drop,
        ..Cleaning::default()
    };
    let mut parts = LogStream::new(MemoryScratch::new(), &settings, &cleaning)?;
    parts.push_stream(stream, names, &Progress::none())?;
    parts.finish(&Progress::none())
}

#[test]
fn errors_of_pushed_batches_name_the_row_of_the_stream() {
    let texts = |times: [&str; 2]| {
        batch([
            ("customer", arc(Int64Array::from(vec![1, 2]))),
            ("time", arc(StringArray::from(times.to_vec()))),
        ])
    };
    let good = texts(["2020-01-01", "2020-01-02"]);
    let batches = vec![good.clone(), good, texts(["2020-01-03", "soon"])];
    let error = parts_of(stream(batches), &ColumnNames::default()).unwrap_err();
    assert_eq!((error.what(), error.row()), ("events.time", Some(5)));
}

/// The same rows in one chunk, in several with empty ones between, one row each, and through a
/// C-data stream: all must give the same log.
fn through_every_door(batch: &RecordBatch, names: &ColumnNames) -> EventLog {
    let n = batch.num_rows();
    let whole = log(&EventBatches::from_batches(vec![batch.clone()], names).unwrap()).unwrap();
    let parts = vec![
        batch.slice(0, 0),
        batch.slice(0, n / 2),
        batch.slice(n / 2, 0),
        batch.slice(n / 2, n - n / 2),
    ];
    let rows: Vec<RecordBatch> = (0..n).map(|row| batch.slice(row, 1)).collect();
    for chunks in [parts, rows] {
        let direct = EventBatches::from_batches(chunks.clone(), names).unwrap();
        assert_eq!(direct.len(), n);
        assert_eq!(log(&direct).unwrap(), whole);
        let imported = EventBatches::from_stream(stream(chunks.clone()), names).unwrap();
        assert_eq!(log(&imported).unwrap(), whole);
        let parts = parts_of(stream(chunks), names).unwrap();
        let one = parts.log(0, &Progress::none()).unwrap();
        assert_eq!(parts.report(), whole.report());
        assert_eq!(one.customers(), whole.customers());
        assert_eq!(one.channels(), whole.channels());
        assert_eq!(one.items(), whole.items());
        assert_eq!(one.time_range(), whole.time_range());
    }
    let imported = EventBatches::from_stream(stream(vec![batch.clone()]), names).unwrap();
    assert_eq!(log(&imported).unwrap(), whole);
    whole
}

/// Four times, the first and last of which belong to rows that tests cut off.
fn days() -> ArrayRef {
    arc(Date32Array::from(vec![9, 10, 11, 12, 9]))
}

fn dictionary<K: ArrowDictionaryKeyType>(
    keys: impl IntoIterator<Item = Option<K::Native>>,
    values: ArrayRef,
) -> ArrayRef {
    let keys: PrimitiveArray<K> = keys.into_iter().collect();
    arc(DictionaryArray::try_new(keys, values).unwrap())
}

#[test]
fn every_integer_is_an_id() {
    let signed: [ArrayRef; 4] = [
        arc(Int8Array::from(vec![99, -7, 3, -7, 99])),
        arc(Int16Array::from(vec![99, -7, 3, -7, 99])),
        arc(Int32Array::from(vec![99, -7, 3, -7, 99])),
        arc(Int64Array::from(vec![99, -7, 3, -7, 99])),
    ];
    let unsigned: [ArrayRef; 4] = [
        arc(UInt8Array::from(vec![99, 7, 3, 7, 99])),
        arc(UInt16Array::from(vec![99, 7, 3, 7, 99])),
        arc(UInt32Array::from(vec![99, 7, 3, 7, 99])),
        arc(UInt64Array::from(vec![99, 7, 3, 7, 99])),
    ];
    let times = [10, 11, 12];
    let day = |ids: EventColumns<'_>| EventLog::from_columns(&ids, &Cleaning::default()).unwrap();
    let expected_signed = day(EventColumns::new(
        &[-7_i64, 3, -7],
        &times,
        TimeUnit::Day,
        EventKind::Purchase,
    ));
    let expected_unsigned = day(EventColumns::new(
        &[7_u64, 3, 7],
        &times,
        TimeUnit::Day,
        EventKind::Purchase,
    ));
    for (arrays, expected) in [(signed, expected_signed), (unsigned, expected_unsigned)] {
        for ids in arrays {
            let batch = batch([("customer", ids), ("time", days())]).slice(1, 3);
            assert_eq!(
                through_every_door(&batch, &ColumnNames::default()),
                expected
            );
        }
    }
}

#[test]
fn every_text_is_an_id_an_item_and_a_kind() {
    let ids = [
        "cut",
        "bea",
        "änne, who has a name of more than 12 bytes",
        "bea",
        "cut",
    ];
    let kinds = ["view", "purchase", "view", "refund", "view"];
    let plain = |texts: [&'static str; 5]| -> Vec<ArrayRef> {
        let distinct = arc(StringArray::from(vec![
            texts[3], texts[2], texts[1], texts[0],
        ]));
        let views = arc(StringViewArray::from(vec![
            texts[3], texts[2], texts[1], texts[0],
        ]));
        let large = arc(LargeStringArray::from(vec![
            texts[3], texts[2], texts[1], texts[0],
        ]));
        vec![
            arc(StringArray::from(texts.to_vec())),
            arc(LargeStringArray::from(texts.to_vec())),
            arc(StringViewArray::from(texts.to_vec())),
            dictionary::<Int8Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&distinct)),
            dictionary::<Int16Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&large)),
            dictionary::<Int32Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&views)),
            dictionary::<Int64Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&distinct)),
            dictionary::<UInt8Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&distinct)),
            dictionary::<UInt16Type>([3, 2, 1, 0, 3].map(Some), Arc::clone(&views)),
            dictionary::<UInt32Type>([3, 2, 1, 0, 3].map(Some), views),
            dictionary::<UInt64Type>([3, 2, 1, 0, 3].map(Some), large),
        ]
    };
    let kept = [ids[1], ids[2], ids[3]];
    let kept_kinds = [kinds[1], kinds[2], kinds[3]];
    let columns = EventColumns::new(&kept, &[10, 11, 12], TimeUnit::Day, &kept_kinds)
        .with_items(&kept)
        .with_channels(&kept);
    let expected = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    for (ids, kinds) in plain(ids).into_iter().zip(plain(kinds)) {
        let batch = batch([
            ("item", Arc::clone(&ids)),
            ("channel", Arc::clone(&ids)),
            ("customer", ids),
            ("time", days()),
            ("kind", kinds),
        ]);
        let log = through_every_door(&batch.slice(1, 3), &ColumnNames::default());
        assert_eq!(log, expected);
        assert_eq!(log.channels().len(), 2);
    }
}

#[test]
fn every_clock_tells_the_same_time() {
    const MICROS: i64 = -86_400_000_000;
    let at = |micros: i64| vec![micros; 3];
    let zoned = TimestampMicrosecondArray::from(at(MICROS)).with_timezone("Europe/Berlin");
    let arrays: Vec<ArrayRef> = vec![
        arc(TimestampSecondArray::from(at(-86_400))),
        arc(TimestampMillisecondArray::from(at(-86_400_000))),
        arc(TimestampMicrosecondArray::from(at(MICROS))),
        arc(TimestampNanosecondArray::from(at(MICROS * 1_000))),
        arc(zoned),
        arc(Date32Array::from(vec![-1; 3])),
        arc(Date64Array::from(at(-86_400_000))),
        arc(StringArray::from(vec!["1969-12-31"; 3])),
        arc(StringViewArray::from(vec!["1969-12-31T01:00:00+01:00"; 3])),
        dictionary::<Int8Type>(
            [Some(0); 3],
            arc(LargeStringArray::from(vec!["1969-12-31 00:00:00"])),
        ),
    ];
    for times in arrays {
        let batch = batch([
            ("customer", arc(Int8Array::from(vec![1, 2, 3]))),
            ("time", times),
        ]);
        let log = through_every_door(&batch, &ColumnNames::default());
        let (first, last) = log.time_range().unwrap();
        assert_eq!((first.micros(), last.micros()), (MICROS, MICROS));
    }
}

#[test]
fn integer_times_count_in_the_stated_unit_only() {
    let arrays: Vec<ArrayRef> = vec![
        arc(Int8Array::from(vec![60; 2])),
        arc(Int16Array::from(vec![60; 2])),
        arc(Int32Array::from(vec![60; 2])),
        arc(Int64Array::from(vec![60; 2])),
        arc(UInt8Array::from(vec![60; 2])),
        arc(UInt16Array::from(vec![60; 2])),
        arc(UInt32Array::from(vec![60; 2])),
        arc(UInt64Array::from(vec![60; 2])),
    ];
    for times in arrays {
        let batch = batch([
            ("customer", arc(Int8Array::from(vec![1, 2]))),
            ("time", times),
        ]);
        let names = ColumnNames {
            time_unit: Some(TimeUnit::Second),
            ..ColumnNames::default()
        };
        let log = through_every_door(&batch, &names);
        assert_eq!(log.time_range().unwrap().0.micros(), 60_000_000);

        let events = EventBatches::from_batches(vec![batch], &ColumnNames::default()).unwrap();
        let error = events.columns().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        assert_eq!(error.what(), "names.time_unit");
    }
    let far = batch([
        ("customer", arc(Int8Array::from(vec![1, 2]))),
        (
            "time",
            arc(UInt64Array::from(vec![Some(1), Some(u64::MAX)])),
        ),
    ]);
    let names = ColumnNames {
        time_unit: Some(TimeUnit::Second),
        ..ColumnNames::default()
    };
    let events = EventBatches::from_batches(vec![far], &names).unwrap();
    assert_eq!(events.columns().unwrap_err().row(), Some(1));
}

#[test]
fn every_number_is_a_value() {
    let half = Float16Array::from_iter_values(
        [1.0_f32, 12.0, 2.0].map(<Float16Array as HalfOf>::from_f32),
    );
    let arrays: Vec<ArrayRef> = vec![
        arc(Int8Array::from(vec![1, 12, 2])),
        arc(Int16Array::from(vec![1, 12, 2])),
        arc(Int32Array::from(vec![1, 12, 2])),
        arc(Int64Array::from(vec![1, 12, 2])),
        arc(UInt8Array::from(vec![1, 12, 2])),
        arc(UInt16Array::from(vec![1, 12, 2])),
        arc(UInt32Array::from(vec![1, 12, 2])),
        arc(UInt64Array::from(vec![1, 12, 2])),
        arc(half),
        arc(Float32Array::from(vec![1.0, 12.0, 2.0])),
        arc(Float64Array::from(vec![1.0, 12.0, 2.0])),
        arc(Decimal32Array::from(vec![100, 1200, 200])
            .with_precision_and_scale(9, 2)
            .unwrap()),
        arc(Decimal64Array::from(vec![100, 1200, 200])
            .with_precision_and_scale(18, 2)
            .unwrap()),
        arc(Decimal128Array::from(vec![100, 1200, 200])
            .with_precision_and_scale(18, 2)
            .unwrap()),
        arc(Decimal256Array::from(
            vec![100, 1200, 200]
                .into_iter()
                .map(i256::from_i128)
                .collect::<Vec<_>>(),
        )
        .with_precision_and_scale(40, 2)
        .unwrap()),
    ];
    for values in arrays {
        let batch = batch([
            ("customer", arc(Int8Array::from(vec![1, 2, 1]))),
            ("time", arc(Date32Array::from(vec![1, 2, 3]))),
            ("value", values),
        ]);
        let log = through_every_door(&batch, &ColumnNames::default());
        assert_eq!(log.report().purchases_kept, 15.0);
    }
}

/// The half-precision type has no name of its own in the Arrow crates.
trait HalfOf {
    type Half;
    fn from_f32(number: f32) -> Self::Half;
}

impl HalfOf for Float16Array {
    type Half = <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native;
    fn from_f32(number: f32) -> Self::Half {
        Self::Half::from_f32(number)
    }
}

#[test]
fn decimals_become_the_nearest_number() {
    let value = |array: ArrayRef| {
        let batch = batch([
            ("customer", arc(Int8Array::from(vec![1]))),
            ("time", arc(Date32Array::from(vec![1]))),
            ("value", array),
        ]);
        let events = EventBatches::from_batches(vec![batch], &ColumnNames::default()).unwrap();
        events.columns().unwrap().value.unwrap().cells[0]
    };
    let decimal = |unscaled: i128, scale: i8| {
        let array = Decimal128Array::from(vec![unscaled]);
        value(arc(array.with_precision_and_scale(38, scale).unwrap()))
    };
    assert_eq!(decimal(1, 1), 0.1);
    assert_eq!(decimal(-1999, 2), -19.99);
    assert_eq!(decimal(7, -3), 7000.0);
    assert_eq!(decimal(9_007_199_254_740_993, 3), 9_007_199_254_740.993);
    assert_eq!(
        decimal(12_345_678_901_234_567_890_123_456_789, 27),
        "12.345678901234567890123456789".parse::<f64>().unwrap()
    );
    let wide = Decimal256Array::from(vec![
        i256::from_string("-123456789012345678901234567890123456789012").unwrap(),
    ]);
    assert_eq!(
        value(arc(wide.with_precision_and_scale(76, 30).unwrap())),
        "-123456789012.345678901234567890123456789012"
            .parse::<f64>()
            .unwrap()
    );
}

#[test]
fn a_single_chunk_is_borrowed() {
    let ids = arc(Int64Array::from(vec![1, 2, 3]));
    let items = arc(StringArray::from(vec!["a", "b", "c"]));
    let orders = dictionary::<UInt32Type>(
        [0, 0, 1].map(Some),
        arc(StringViewArray::from(vec!["x", "y"])),
    );
    let times = arc(TimestampNanosecondArray::from(vec![1, 2, 3]));
    let values = arc(Float64Array::from(vec![1.0, 2.0, 3.0]));
    let batch = batch([
        ("customer", ids),
        ("time", times),
        ("value", values),
        ("item", items),
        ("order", orders),
    ]);
    let events = EventBatches::from_batches(
        vec![batch.slice(1, 2), batch.slice(0, 0)],
        &ColumnNames::default(),
    )
    .unwrap();
    let columns = events.columns().unwrap();
    let IdCells::Int(Cow::Borrowed(ids)) = columns.customer.cells else {
        panic!("{:?}", columns.customer)
    };
    assert_eq!(ids, [2, 3]);
    assert!(matches!(columns.time.cells, Cow::Borrowed([2, 3])));
    assert!(matches!(columns.value.unwrap().cells, Cow::Borrowed(_)));
    let Some(IdCells::Text(TextCells::Packed32 {
        offsets: Cow::Borrowed(_),
        bytes: Cow::Borrowed(_),
    })) = columns.item.map(|item| item.cells)
    else {
        panic!("items were copied")
    };
    let Some(IdCells::Text(TextCells::Coded {
        codes: Cow::Borrowed([0, 1]),
        ..
    })) = columns.order.map(|order| order.cells)
    else {
        panic!("orders were copied")
    };
    assert!(columns.customer.valid.is_none());
}

#[test]
fn nulls_are_missing_cells() {
    let batch = batch([
        (
            "customer",
            arc(Int32Array::from(vec![
                None,
                Some(1),
                Some(1),
                Some(1),
                Some(1),
                Some(2),
            ])),
        ),
        (
            "time",
            arc(Date32Array::from(vec![
                Some(1),
                None,
                Some(1),
                Some(1),
                Some(1),
                Some(2),
            ])),
        ),
        (
            "kind",
            arc(StringArray::from(vec![
                Some("purchase"),
                Some("purchase"),
                None,
                Some("purchase"),
                Some("purchase"),
                Some("message_sent"),
            ])),
        ),
        (
            "value",
            arc(
                Decimal128Array::from(vec![Some(1), Some(1), Some(1), None, Some(125), None])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        (
            "channel",
            arc(StringViewArray::from(vec![
                None,
                None,
                None,
                None,
                None,
                Some("sms"),
            ])),
        ),
        ("item", arc(NullArray::new(6))),
    ]);
    let log = through_every_door(&batch, &ColumnNames::default());
    assert_eq!(log.len(), 2);
    for reason in [
        DropReason::MissingCustomer,
        DropReason::MissingTime,
        DropReason::UnknownKind,
        DropReason::MissingValue,
    ] {
        assert_eq!(log.report().dropped(reason).rows, 1, "{reason:?}");
    }
    assert_eq!(log.report().purchases_kept, 1.25);
    assert_eq!(log.channels(), ["sms"]);
    assert_eq!(log.items().map(Customers::len), Some(0));
}

#[test]
fn kind_codes_may_be_null() {
    let batch = batch([
        ("customer", arc(Int8Array::from(vec![1, 1, 1]))),
        ("time", arc(Date32Array::from(vec![1, 2, 3]))),
        ("kind", arc(UInt8Array::from(vec![Some(3), None, Some(1)]))),
    ]);
    let log = through_every_door(&batch, &ColumnNames::default());
    assert_eq!(log.len(), 2);
    assert_eq!(log.report().dropped(DropReason::UnknownKind).rows, 1);
    let without = batch.project(&[0, 1]).unwrap();
    let events = EventBatches::from_batches(vec![without], &ColumnNames::default()).unwrap();
    assert!(matches!(
        events.columns().unwrap().kind,
        KindColumn::All(EventKind::Purchase)
    ));
}

#[test]
fn dictionaries_may_hold_nulls_and_repeat_themselves() {
    let values = arc(StringArray::from(vec![
        Some("b"),
        None,
        Some("a"),
        Some("b"),
        Some("unused"),
    ]));
    let keys = [Some(0), Some(1), None, Some(2), Some(3)];
    let batch = batch([
        ("customer", dictionary::<UInt32Type>(keys, values)),
        ("time", arc(Date32Array::from(vec![1, 2, 3, 4, 5]))),
    ]);
    let log = through_every_door(&batch, &ColumnNames::default());
    assert_eq!(*log.customers(), Customers::from_texts(["a", "b"]));
    assert_eq!(log.len(), 3);
    assert_eq!(log.report().dropped(DropReason::MissingCustomer).rows, 2);

    // Chunks whose dictionaries disagree about the codes.
    let chunk = |names: Vec<&str>, keys: [i8; 2]| {
        let customer = dictionary::<Int8Type>(keys.map(Some), arc(StringArray::from(names)));
        log_batch(customer)
    };
    let events = EventBatches::from_batches(
        vec![
            chunk(vec!["x", "y"], [0, 1]),
            chunk(vec!["y", "z", "x"], [2, 1]),
        ],
        &ColumnNames::default(),
    )
    .unwrap();
    let log = log_of(&events);
    assert_eq!(*log.customers(), Customers::from_texts(["x", "y", "z"]));
    assert_eq!(
        log.history(AsOf::parse("2000-01-01").unwrap())
            .customer(0)
            .len(),
        2
    );

    let nothing: [Option<i32>; 2] = [None, None];
    let empty = dictionary::<Int32Type>(nothing, arc(StringArray::from(Vec::<&str>::new())));
    let events =
        EventBatches::from_batches(vec![log_batch(empty)], &ColumnNames::default()).unwrap();
    assert!(log_of(&events).is_empty());
}

fn log_batch(customer: ArrayRef) -> RecordBatch {
    let days: Vec<i32> = (0..customer.len() as i32).collect();
    batch([
        ("customer", customer),
        ("time", arc(Date32Array::from(days))),
    ])
}

fn log_of(events: &EventBatches) -> EventLog {
    log(events).unwrap()
}

#[test]
fn text_times_may_be_missing_but_not_wrong() {
    let times = StringArray::from(vec![
        Some("2011-12-01"),
        Some(" "),
        None,
        Some("2011-12-02 10:00"),
    ]);
    let good = batch([
        ("customer", arc(Int8Array::from(vec![1, 1, 1, 1]))),
        ("time", arc(times)),
    ]);
    let log = through_every_door(&good, &ColumnNames::default());
    assert_eq!(log.report().dropped(DropReason::MissingTime).rows, 2);
    assert_eq!(log.len(), 2);

    let wrong = batch([
        ("customer", arc(Int8Array::from(vec![1, 1]))),
        (
            "day",
            arc(StringArray::from(vec!["2011-12-01", "12/02/2011"])),
        ),
    ]);
    let names = ColumnNames {
        time: Some("day".into()),
        ..ColumnNames::default()
    };
    let events = EventBatches::from_batches(vec![wrong], &names).unwrap();
    assert_eq!(
        events.columns().unwrap_err().to_string(),
        "events.time[1]: expected a time such as 2011-12-09T12:50:00, got \"12/02/2011\" in column \"day\""
    );
}

#[test]
fn values_may_be_a_product() {
    let batch = batch([
        ("customer", arc(Int8Array::from(vec![1, 2, 3]))),
        ("time", arc(Date32Array::from(vec![1, 2, 3]))),
        (
            "quantity",
            arc(Int32Array::from(vec![Some(2), Some(3), None])),
        ),
        (
            "price",
            arc(Float64Array::from(vec![Some(1.5), None, Some(4.0)])),
        ),
    ]);
    let names = ColumnNames {
        value: Some("quantity * price".into()),
        ..ColumnNames::default()
    };
    let log = through_every_door(&batch, &names);
    assert_eq!(log.report().purchases_kept, 3.0);
    assert_eq!(log.report().dropped(DropReason::MissingValue).rows, 2);
}

#[test]
fn whole_numbers_in_floats_are_integer_ids() {
    let floats = Float64Array::from(vec![Some(3.0), None, Some(f64::NAN), Some(-0.0)]);
    let integers = Int64Array::from(vec![Some(3), None, None, Some(0)]);
    let read = |ids| through_every_door(&log_batch(ids), &ColumnNames::default());
    let log = read(arc(floats));
    assert_eq!(log, read(arc(integers)));
    assert_eq!(log.report().dropped(DropReason::MissingCustomer).rows, 2);
    for (wrong, row) in [(f64::INFINITY, 1), (9_007_199_254_740_994.0, 1)] {
        let batch = log_batch(arc(Float64Array::from(vec![1.0, wrong])));
        let events = EventBatches::from_batches(vec![batch], &ColumnNames::default()).unwrap();
        assert_eq!(events.columns().unwrap_err().row(), Some(row));
    }
}

#[test]
fn other_types_are_refused_by_name() {
    let yes = || arc(BooleanArray::from(vec![true, false]));
    let numbers = || arc(Float64Array::from(vec![1.0, 2.0]));
    for (role, array, message) in [
        (
            "value",
            yes(),
            "events.value: expected a number column, got Boolean",
        ),
        (
            "value",
            arc(StringArray::from(vec!["1", "2"])),
            "events.value: expected a number column, got Utf8",
        ),
        (
            "customer",
            arc(Float64Array::from(vec![1.0, 2.5])),
            "events.customer[1]: expected a whole number, got 2.5",
        ),
        (
            "order",
            yes(),
            "events.order: expected an integer or text column, got Boolean",
        ),
        (
            "item",
            arc(BinaryArray::from(vec![b"a".as_slice(), b"b"])),
            "events.item: expected an integer or text column, got Binary",
        ),
        (
            "item",
            dictionary::<Int8Type>([Some(0); 2], arc(Int64Array::from(vec![5]))),
            "events.item: expected an integer or text column, got Dictionary(Int8, Int64)",
        ),
        (
            "kind",
            numbers(),
            "events.kind: expected a text column or UInt8 codes, got Float64",
        ),
        (
            "channel",
            numbers(),
            "events.channel: expected a text column, got Float64",
        ),
        (
            "time",
            numbers(),
            "events.time: expected a timestamp, date, integer or text column, got Float64",
        ),
        (
            "time",
            arc(Time64MicrosecondArray::from(vec![1, 2])),
            "events.time: expected a timestamp, date, integer or text column, got Time64(µs)",
        ),
    ] {
        let mut columns = vec![
            ("customer", arc(Int8Array::from(vec![1, 2]))),
            ("time", arc(Date32Array::from(vec![1, 2]))),
        ];
        columns.retain(|(name, _)| *name != role);
        columns.push((role, array));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let events = EventBatches::from_batches(vec![batch], &ColumnNames::default()).unwrap();
        let error = events.columns().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!(error.to_string(), message);
    }
    // A column that plays no role may be of any type.
    let batch = batch([
        ("customer", arc(Int8Array::from(vec![1, 2]))),
        ("time", arc(Date32Array::from(vec![1, 2]))),
        ("loyal", yes()),
    ]);
    assert_eq!(through_every_door(&batch, &ColumnNames::default()).len(), 2);
}

#[test]
fn names_must_exist_and_schemas_agree() {
    let good = log_batch(arc(Int8Array::from(vec![1])));
    let names = ColumnNames {
        value: Some("amount".into()),
        ..ColumnNames::default()
    };
    let error = EventBatches::from_batches(vec![good.clone()], &names).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownName);
    assert_eq!(
        error.to_string(),
        "names.value: expected one of customer, time, got \"amount\""
    );

    let other = log_batch(arc(Int16Array::from(vec![1])));
    let error =
        EventBatches::from_batches(vec![good.clone(), other], &ColumnNames::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "events.customer: expected Int8 in every batch, got Int16"
    );
    let short = good.project(&[0]).unwrap();
    let error = EventBatches::from_batches(vec![good, short], &ColumnNames::default()).unwrap_err();
    assert_eq!(error.what(), "events.time");
    let error = EventBatches::from_batches(Vec::new(), &ColumnNames::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEnoughData);
}

#[test]
fn empty_streams_are_empty_logs() {
    for customer in [
        arc(Int64Array::from(Vec::<i64>::new())),
        arc(StringArray::from(Vec::<&str>::new())),
        arc(StringViewArray::from(Vec::<&str>::new())),
        dictionary::<UInt32Type>([], arc(StringArray::from(Vec::<&str>::new()))),
    ] {
        let batch = log_batch(customer);
        let schema = batch.schema();
        let none = RecordBatchIterator::new(Vec::new(), Arc::clone(&schema));
        let no_batches = EventBatches::from_reader(none, &ColumnNames::default()).unwrap();
        let no_rows =
            EventBatches::from_stream(stream(vec![batch]), &ColumnNames::default()).unwrap();
        for events in [no_batches, no_rows] {
            assert!(events.is_empty());
            assert!(log(&events).unwrap().is_empty());
        }
    }
}

#[test]
fn broken_sources_are_errors() {
    let released =
        EventBatches::from_stream(FFI_ArrowArrayStream::empty(), &ColumnNames::default());
    assert_eq!(released.unwrap_err().kind(), ErrorKind::InvalidValue);

    let good = log_batch(arc(Int8Array::from(vec![1])));
    let schema = good.schema();
    let failing = vec![
        Ok(good.clone()),
        Err(ArrowError::IoError(
            "disk gone".into(),
            std::io::Error::other("gone"),
        )),
    ];
    let reader = RecordBatchIterator::new(failing, Arc::clone(&schema));
    let error = EventBatches::from_stream(
        FFI_ArrowArrayStream::new(Box::new(reader)),
        &ColumnNames::default(),
    )
    .unwrap_err();
    assert_eq!(error.what(), "events");
    assert!(error.got().contains("disk gone"), "{error}");

    // A reader that panics, as the import of malformed C data does.
    let panicking = std::iter::once_with(|| -> std::result::Result<RecordBatch, ArrowError> {
        panic!("malformed on purpose")
    });
    let reader = RecordBatchIterator::new(panicking, schema);
    let error = EventBatches::from_reader(reader, &ColumnNames::default()).unwrap_err();
    assert_eq!(error.got(), "a malformed array");
}

#[test]
fn buffers_that_break_the_rules_are_refused() {
    let bad_text = |offsets: Vec<i32>, bytes: &[u8]| {
        // SAFETY: deliberately broken, and never read other than through the validating door.
        let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
        // SAFETY: as above.
        arc(unsafe { StringArray::new_unchecked(offsets, Buffer::from(bytes), None) })
    };
    let keys = Int32Array::from(vec![0, 7]);
    let values = arc(StringArray::from(vec!["only"]));
    // SAFETY: as above.
    let bad_keys = arc(unsafe { DictionaryArray::new_unchecked(keys, values) });
    let views = ScalarBuffer::from(vec![u128::MAX, 0]);
    // SAFETY: as above.
    let bad_views = arc(unsafe { StringViewArray::new_unchecked(views, Arc::from([]), None) });
    for array in [
        bad_text(vec![0, 1, 2], &[b'a', 0xff]),
        bad_text(vec![0, 2, 1], b"ab"),
        bad_text(vec![0, 1, 9], b"ab"),
        bad_text(vec![-1, 1, 2], b"ab"),
        bad_text(vec![0, 2, 3], "aä".as_bytes()),
        bad_keys,
        bad_views,
    ] {
        let batch = log_batch(array);
        let error = EventBatches::from_batches(vec![batch], &ColumnNames::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!(error.what(), "events.customer");
        assert_eq!(error.expected(), "valid Arrow data");
    }
}

#[test]
fn a_slice_behind_bytes_that_are_no_text_is_read() {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![2, 3, 4]));
    // SAFETY: the two offending bytes lie before the first offset.
    let ids = unsafe {
        StringArray::new_unchecked(offsets, Buffer::from(&[0xff, 0xfe, b'a', b'b']), None)
    };
    let log = through_every_door(&log_batch(arc(ids)), &ColumnNames::default());
    assert_eq!(*log.customers(), Customers::from_texts(["a", "b"]));
}

fn as_of() -> AsOf {
    AsOf::parse("2011-12-10").unwrap()
}

#[test]
fn features_go_out_with_their_meaning() {
    let infos = vec![
        FeatureInfo::new("orders", "count", "orders before as_of"),
        FeatureInfo::new("gap", "days", "mean gap").undefined("after one purchase"),
    ];
    let table = FeatureTable::from_columns(
        Customers::from_texts(["ann", "bea"]),
        as_of(),
        infos.clone(),
        vec![3.0, 1.0, 14.5, f64::NAN],
    )
    .unwrap();
    // Through a C stream, as the wrappers do.
    let mut reader =
        RecordBatchStreamReader::try_new(batch_stream(feature_batch(&table).unwrap())).unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert!(reader.next().is_none());
    let schema = batch.schema();
    assert_eq!(schema.metadata()["as_of"], "2011-12-10");
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["customer", "orders", "gap"]);
    assert_eq!(schema.field(2).metadata()["unit"], "days");
    assert_eq!(
        schema.field(2).metadata()["undefined"],
        "after one purchase"
    );
    assert!(!schema.field(1).metadata().contains_key("undefined"));
    let gaps = batch
        .column(2)
        .as_any()
        .downcast_ref::<Float64Array>()
        .unwrap();
    assert_eq!(gaps.value(0), 14.5);
    assert!(gaps.value(1).is_nan() && gaps.null_count() == 0);
    let ids = batch
        .column(0)
        .as_any()
        .downcast_ref::<StringArray>()
        .unwrap();
    assert_eq!(ids, &StringArray::from(vec!["ann", "bea"]));

    for (customers, data_type) in [
        (Customers::from_ints([]), DataType::Int64),
        (Customers::from_texts([]), DataType::Utf8),
    ] {
        let table = FeatureTable::from_columns(customers, as_of(), infos.clone(), vec![]).unwrap();
        let batch = feature_batch(&table).unwrap();
        assert_eq!(batch.num_rows(), 0);
        assert_eq!(*batch.schema().field(0).data_type(), data_type);
    }
    let clash = FeatureTable::from_columns(
        Customers::from_ints([1]),
        as_of(),
        vec![FeatureInfo::new("customer", "", "")],
        vec![0.0],
    );
    let error = feature_batch(&clash.unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
}

/// Where the numbers of a column lie.
fn place(batch: &RecordBatch, column: usize) -> *const f64 {
    let column = batch.column(column).as_primitive::<Float64Type>();
    column.values().as_ptr()
}

fn numbers(batch: &RecordBatch, column: usize) -> &[f64] {
    batch.column(column).as_primitive::<Float64Type>().values()
}

fn orders_and_gaps() -> FeatureTable {
    let infos = ["orders", "gap"].map(|name| FeatureInfo::new(name, "count", ""));
    let values = vec![3.0, 1.0, 2.0, 14.5, f64::NAN, 7.0];
    let customers = Customers::from_ints([4, -1, 9]);
    FeatureTable::from_columns(customers, as_of(), infos.to_vec(), values).unwrap()
}

#[test]
fn columns_of_features_leave_where_they_lie() {
    let table = orders_and_gaps();
    let batch = feature_batch(&table).unwrap();
    for j in 0..2 {
        assert_eq!(place(&batch, j + 1), table.column_at(j).as_ptr());
    }
    let again = feature_batch(&table.clone()).unwrap();
    let mut reader = RecordBatchStreamReader::try_new(batch_stream(again)).unwrap();
    let imported = reader.next().unwrap().unwrap();
    drop(reader);
    assert_eq!(place(&imported, 1), place(&batch, 1));
    assert_eq!(place(&imported, 2), place(&batch, 2));
    // Ids in integers neither: two tables of one spine show the same memory.
    let ids = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().clone();
    assert_eq!(*ids(&imported), [-1, 4, 9]);
    assert_eq!(ids(&imported).as_ptr(), ids(&batch).as_ptr());

    // Nobody may write to memory that others read, and a part of it does not claim to be the whole.
    let column = batch.column(1).as_primitive::<Float64Type>().clone();
    drop((imported, batch, table));
    assert!(column.clone().into_builder().is_err());
    assert_eq!(*column.values(), [3.0, 1.0, 2.0]);
}

#[test]
fn what_left_does_not_change_with_its_table() {
    let table = orders_and_gaps();
    let batch = feature_batch(&table).unwrap();
    let before = place(&batch, 1);
    let more = FeatureTable::from_columns(
        table.customers().clone(),
        as_of(),
        vec![FeatureInfo::new("more", "", "")],
        vec![-1.0, -2.0, -3.0],
    )
    .unwrap();
    let joined = table.joined(&more).unwrap();
    assert_eq!(joined.column("orders").unwrap(), numbers(&batch, 1));
    assert_eq!(joined.column("more").unwrap(), [-1.0, -2.0, -3.0]);
    assert_ne!(joined.column_at(0).as_ptr(), before);
    assert_eq!((place(&batch, 1), batch.num_columns()), (before, 3));

    // A refreshed table, whose values are changed where they lie as long as nobody else has them.
    let none = Progress::none();
    let (as_of, spec) = (AsOf::parse("1970-02-01").unwrap(), FeatureSpec::default());
    let rows = |days: &'static [i64]| {
        EventColumns::new(&[1_i64, 2], days, TimeUnit::Day, EventKind::Purchase)
    };
    let mut log = EventLog::from_columns(&rows(&[10, 12]), &Cleaning::default()).unwrap();
    let (table, population) = build_observed(&log.history(as_of), &spec, &none).unwrap();
    let orders = 1 + table.names().position(|name| name == "orders").unwrap();
    let batch = feature_batch(&table).unwrap();
    let appended = log.append(&rows(&[11, 13])).unwrap();
    let table = refresh(table, &log, &appended.touched, &spec, &population, &none).unwrap();
    assert_eq!(numbers(&batch, orders), [1.0, 1.0]);
    assert_eq!(table.column("orders").unwrap(), [2.0, 2.0]);
    drop(batch);
    let before = table.column_at(0).as_ptr();
    let appended = log.append(&rows(&[14, 15])).unwrap();
    let table = refresh(table, &log, &appended.touched, &spec, &population, &none).unwrap();
    assert_eq!(table.column("orders").unwrap(), [3.0, 3.0]);
    assert_eq!(table.column_at(0).as_ptr(), before);
}

#[test]
fn tables_without_rows_or_features_leave_too() {
    let make = |customers: Customers, infos: &[FeatureInfo]| {
        let table = FeatureTable::from_columns(customers, as_of(), infos.to_vec(), vec![]);
        let batch = feature_batch(&table.unwrap()).unwrap();
        let mut reader = RecordBatchStreamReader::try_new(batch_stream(batch)).unwrap();
        reader.next().unwrap().unwrap()
    };
    let infos = [FeatureInfo::new("orders", "", "")];
    let no_rows = make(Customers::from_ints([]), &infos);
    assert_eq!((no_rows.num_rows(), no_rows.num_columns()), (0, 2));
    let no_features = make(Customers::from_texts(["ann", "bea"]), &[]);
    assert_eq!((no_features.num_rows(), no_features.num_columns()), (2, 1));
    let nothing = make(Customers::from_ints([]), &[]);
    assert_eq!((nothing.num_rows(), nothing.num_columns()), (0, 1));
}

#[test]
fn training_data_leave_where_they_lie() {
    let (ids, days): (Vec<i64>, Vec<i64>) = (0..400).map(|i| (i % 20, i / 2)).unzip();
    let columns = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::Purchase);
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let settings = churn_core::settings::from_toml("training", "churn.horizon_days = 30").unwrap();
    let data = TrainingData::build(&log, &settings, &Progress::none()).unwrap();
    let batch = training_batch(&data).unwrap();
    let frame = data.frame().unwrap();
    assert_eq!(batch.num_columns(), 3 + frame.names().len());
    for (j, column) in frame.columns().iter().enumerate() {
        let churn_core::scoring::learned::Column::Numeric(cells) = column else {
            panic!("{column:?}")
        };
        assert_eq!(place(&batch, 3 + j), cells.as_ptr());
        assert_eq!(numbers(&batch, 3 + j).len(), data.len());
    }
}

#[test]
fn scores_go_out_with_their_reasons() {
    let scores = Scores::new(
        Customers::from_ints([4, 9]),
        as_of(),
        Horizon::days(90).unwrap(),
        vec![0.25, 0.75],
        vec!["recency".into(), "orders".into()],
        vec![-3.0, 0.0, 1.0, 2.5],
    )
    .unwrap();
    let batch = score_batch(&scores, 5).unwrap();
    let expected = [
        "customer",
        "churn_probability",
        "points_recency",
        "points_orders",
        "reason_1",
        "reason_2",
    ];
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(schema.metadata()["horizon_days"], "90");
    let labels = |column: usize| -> Vec<Option<String>> {
        let array = batch
            .column(column)
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()
            .unwrap();
        let array = array.downcast_dict::<StringArray>().unwrap();
        array
            .into_iter()
            .map(|label| label.map(str::to_owned))
            .collect()
    };
    assert_eq!(labels(4), [Some("recency".into()), Some("orders".into())]);
    assert_eq!(labels(5), [Some("orders".into()), None]);
    assert_eq!(score_batch(&scores, 0).unwrap().num_columns(), 4);
}

#[test]
fn segments_go_out_side_by_side() {
    let tier = |customers: Customers, name: &str, as_of: AsOf| {
        let labels = vec!["low".to_owned(), "high".to_owned()];
        Segments::new(name, customers, as_of, labels, vec![1, 0]).unwrap()
    };
    let ids = Customers::from_ints([1, 2]);
    let risk = tier(ids.clone(), "risk", as_of());
    let value = tier(ids.clone(), "value", as_of());
    let batch = segment_batch(&[&risk, &value]).unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 3));
    assert_eq!(batch.schema().field(2).name(), "value");
    let kind = |segments: &[&Segments]| segment_batch(segments).unwrap_err().kind();
    assert_eq!(kind(&[]), ErrorKind::InvalidParameter);
    assert_eq!(kind(&[&risk, &risk]), ErrorKind::InvalidParameter);
    let later = tier(ids, "later", AsOf::parse("2012-01-01").unwrap());
    assert_eq!(kind(&[&risk, &later]), ErrorKind::Misaligned);
    let others = tier(Customers::from_ints([1, 3]), "others", as_of());
    assert_eq!(kind(&[&risk, &others]), ErrorKind::Misaligned);
}

#[test]
fn any_table_can_be_built() {
    let time = Timestamp::parse("2011-12-10T08:00:00").unwrap();
    let batch = BatchBuilder::new()
        .metadata("as_of", "2011-12-10")
        .texts("action", [Some("call"), None])
        .counts("sends", [Some(1), None])
        .integers("delta", [Some(-1), None])
        .flags("control", [Some(true), None])
        .times("at", [Some(time), None])
        .optional_numbers("cost", [Some(2.5), None])
        .labels("channel", &["sms", "email"], [Some(1), None])
        .unwrap()
        .finish()
        .unwrap();
    assert!(
        batch
            .columns()
            .iter()
            .all(|column| column.null_count() == 1)
    );
    let times = batch
        .column(4)
        .as_any()
        .downcast_ref::<TimestampMicrosecondArray>()
        .unwrap();
    assert_eq!(times.value(0), time.micros());

    let uneven = BatchBuilder::new()
        .numbers("a", &[1.0])
        .numbers("b", &[])
        .finish();
    assert_eq!(uneven.unwrap_err().kind(), ErrorKind::LengthMismatch);
    let twice = BatchBuilder::new()
        .numbers("a", &[1.0])
        .numbers("a", &[2.0])
        .finish();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidParameter);
    let unlabelled = BatchBuilder::new().labels("a", &["x"], [Some(1)]);
    assert_eq!(unlabelled.unwrap_err().row(), Some(0));
}

#[test]
fn the_cleaning_report_adds_up() {
    let columns = EventColumns::new(
        &["a", "", "b"],
        &[1, 2, 3],
        TimeUnit::Day,
        EventKind::Purchase,
    )
    .with_values(&[5.0, 7.0, f64::NAN]);
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let batch = cleaning_batch(log.report()).unwrap();
    let rows = batch
        .column(1)
        .as_any()
        .downcast_ref::<UInt64Array>()
        .unwrap();
    let dropped: u64 = rows.values()[2..2 + DropReason::ALL.len()].iter().sum();
    assert_eq!(rows.value(0), rows.value(1) + dropped);
    assert_eq!(dropped, 2);
    assert_eq!(
        *batch.schema(),
        Schema::new(vec![
            Field::new("count", DataType::Utf8, true),
            Field::new("rows", DataType::UInt64, true),
            Field::new("money", DataType::Float64, true),
        ])
    );
}
