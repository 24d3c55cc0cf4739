//! Record batches to the frame that models learn from.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, Schema};

use super::check::check;
use super::read::guarded;
use crate::error::{Error, ErrorKind, Result};
use crate::scoring::learned::{Column, Frame, MISSING_LEVEL};

/// Reads a frame from a C-data stream, which is released at the end.
///
/// Integers, floats, decimals and truth values (0 and 1) become numbers, text, plain or coded,
/// becomes levels; nulls and NaN are missing. A column of type `Null` is a number that is missing
/// everywhere. Columns that pandas made of a data frame's index are left out.
///
/// # Errors
/// `InvalidValue` for a stream that cannot be read or a column of another type, naming it; those
/// of [`Frame::new`].
pub fn frame_from_stream(stream: FFI_ArrowArrayStream) -> Result<Frame<'static>> {
    let mut reader = guarded(|| RecordBatchStreamReader::try_new(stream))?;
    let mut columns = Collector::new(&reader.schema());
    while let Some(batch) = guarded(|| reader.next().transpose())? {
        columns.push(&batch)?;
    }
    columns.finish()
}

/// The same from record batches of one schema, at least one.
///
/// # Errors
/// As [`frame_from_stream`]; `NotEnoughData` without any batch.
pub fn frame_from_batches(batches: &[RecordBatch]) -> Result<Frame<'static>> {
    let Some(first) = batches.first() else {
        return Err(Error::not_enough_data(
            "frame",
            "at least one record batch",
            0,
        ));
    };
    let mut columns = Collector::new(first.schema_ref());
    for batch in batches {
        columns.push(batch)?;
    }
    columns.finish()
}

struct Collector {
    /// Where in a batch each column stands.
    places: Vec<usize>,
    names: Vec<String>,
    types: Vec<DataType>,
    cells: Vec<Cells>,
}

enum Cells {
    Numbers(Vec<f64>),
    Texts {
        codes: Vec<u32>,
        known: HashMap<String, u32>,
    },
}

impl Collector {
    fn new(schema: &Schema) -> Self {
        let index = index_columns(schema);
        let fields = schema.fields().iter();
        let places: Vec<usize> = fields
            .enumerate()
            .filter(|(_, field)| !index.contains(field.name()))
            .map(|(place, _)| place)
            .collect();
        let fields = || places.iter().map(|place| &schema.fields()[*place]);
        Collector {
            names: fields().map(|field| field.name().clone()).collect(),
            types: fields().map(|field| field.data_type().clone()).collect(),
            cells: fields()
                .map(|field| match is_text(field.data_type()) {
                    true => Cells::Texts {
                        codes: Vec::new(),
                        known: HashMap::new(),
                    },
                    false => Cells::Numbers(Vec::new()),
                })
                .collect(),
            places: places.clone(),
        }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        for (j, cells) in self.cells.iter_mut().enumerate() {
            let wrong = |expected: String, got: String| {
                Error::new(
                    ErrorKind::InvalidValue,
                    self.names[j].as_str(),
                    expected,
                    got,
                )
            };
            let Some(array) = batch.columns().get(self.places[j]) else {
                return Err(wrong(
                    "the same columns in every batch".into(),
                    "fewer".into(),
                ));
            };
            if *array.data_type() != self.types[j] {
                let expected = format!("{} in every batch", self.types[j]);
                return Err(wrong(expected, array.data_type().to_string()));
            }
            // Readers trust their sources; accessors read buffers without checks after that.
            check(array).map_err(|error| wrong("valid Arrow data".into(), error.to_string()))?;
            let read = match cells {
                Cells::Numbers(numbers) => push_numbers(array.as_ref(), numbers),
                Cells::Texts { codes, known } => push_texts(array.as_ref(), codes, known),
            };
            if !read {
                let expected = "a column of numbers, truth values or text";
                return Err(wrong(expected.into(), array.data_type().to_string()));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Frame<'static>> {
        let columns = self.cells.into_iter().map(|cells| match cells {
            Cells::Numbers(numbers) => Column::Numeric(numbers.into()),
            Cells::Texts { mut codes, known } => {
                // Levels in order of name: the order in which rows came must not matter.
                let mut levels: Vec<(String, u32)> = known.into_iter().collect();
                levels.sort_unstable();
                let mut place = vec![0; levels.len()];
                for (to, (_, from)) in levels.iter().enumerate() {
                    place[*from as usize] = to as u32;
                }
                for code in &mut codes {
                    if *code != MISSING_LEVEL {
                        *code = place[*code as usize];
                    }
                }
                Column::Categorical {
                    codes: codes.into(),
                    levels: levels.into_iter().map(|(name, _)| name).collect(),
                }
            }
        });
        Frame::new(self.names.into_iter().zip(columns).collect())
    }
}

/// Columns that hold the index of a pandas data frame: its metadata names them.
fn index_columns(schema: &Schema) -> Vec<String> {
    let told = schema.metadata().get("pandas");
    let told = told.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let listed = told
        .as_ref()
        .and_then(|told| told["index_columns"].as_array());
    let names = listed
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str());
    names.map(str::to_owned).collect()
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Appends the cells of a numeric array; false for an array of another type.
fn push_numbers(array: &dyn Array, numbers: &mut Vec<f64>) -> bool {
    fn push<P: ArrowPrimitiveType>(
        array: &dyn Array,
        numbers: &mut Vec<f64>,
        float: impl Fn(P::Native) -> f64,
    ) {
        let cells = array.as_primitive::<P>().iter();
        numbers.extend(cells.map(|cell| cell.map_or(f64::NAN, &float)));
    }
    match array.data_type() {
        DataType::Null => numbers.extend(std::iter::repeat_n(f64::NAN, array.len())),
        DataType::Boolean => {
            let cells = array.as_boolean().iter();
            numbers.extend(cells.map(|cell| cell.map_or(f64::NAN, |yes| f64::from(u8::from(yes)))));
        }
        DataType::Int8 => push::<Int8Type>(array, numbers, f64::from),
        DataType::Int16 => push::<Int16Type>(array, numbers, f64::from),
        DataType::Int32 => push::<Int32Type>(array, numbers, f64::from),
        DataType::Int64 => push::<Int64Type>(array, numbers, |n| n as f64),
        DataType::UInt8 => push::<UInt8Type>(array, numbers, f64::from),
        DataType::UInt16 => push::<UInt16Type>(array, numbers, f64::from),
        DataType::UInt32 => push::<UInt32Type>(array, numbers, f64::from),
        DataType::UInt64 => push::<UInt64Type>(array, numbers, |n| n as f64),
        DataType::Float16 => push::<Float16Type>(array, numbers, f64::from),
        DataType::Float32 => push::<Float32Type>(array, numbers, f64::from),
        DataType::Float64 => push::<Float64Type>(array, numbers, |x| x),
        DataType::Decimal128(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            push::<Decimal128Type>(array, numbers, |n| n as f64 / unit);
        }
        _ => return false,
    }
    true
}

/// Appends the cells of a text array, plain or coded; false for an array of another type.
fn push_texts(array: &dyn Array, codes: &mut Vec<u32>, known: &mut HashMap<String, u32>) -> bool {
    fn code(known: &mut HashMap<String, u32>, text: &str) -> u32 {
        if let Some(code) = known.get(text) {
            return *code;
        }
        let code = known.len() as u32;
        known.insert(text.to_owned(), code);
        code
    }
    fn push<'a>(
        cells: impl Iterator<Item = Option<&'a str>>,
        codes: &mut Vec<u32>,
        known: &mut HashMap<String, u32>,
    ) {
        codes.extend(cells.map(|cell| cell.map_or(MISSING_LEVEL, |text| code(known, text))));
    }
    match array.data_type() {
        DataType::Utf8 => push(array.as_string::<i32>().iter(), codes, known),
        DataType::LargeUtf8 => push(array.as_string::<i64>().iter(), codes, known),
        DataType::Utf8View => push(array.as_string_view().iter(), codes, known),
        DataType::Dictionary(_, _) => {
            let coded = array.as_any_dictionary();
            let mut names = Vec::new();
            // The names of the dictionary as rows; those that no row uses are no levels.
            let mut all = HashMap::new();
            if !push_texts(coded.values().as_ref(), &mut names, &mut all) {
                return false;
            }
            let mut texts = vec![""; all.len()];
            for (text, code) in &all {
                texts[*code as usize] = text.as_str();
            }
            if names.is_empty() {
                codes.extend(std::iter::repeat_n(MISSING_LEVEL, array.len()));
                return true;
            }
            for (row, key) in coded.normalized_keys().into_iter().enumerate() {
                let name = names.get(key).copied().unwrap_or(MISSING_LEVEL);
                codes.push(match array.is_valid(row) && name != MISSING_LEVEL {
                    true => code(known, texts[name as usize]),
                    false => MISSING_LEVEL,
                });
            }
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type as Key;
    use arrow_array::{
        ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray,
    };

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn numbers_and_levels_from_several_batches() {
        let make = |texts: Vec<Option<&str>>, coded: Vec<Option<&str>>| {
            batch(vec![
                (
                    "whole",
                    Arc::new(Int64Array::from(vec![Some(3), None])) as ArrayRef,
                ),
                ("yes", Arc::new(BooleanArray::from(vec![true, false]))),
                ("text", Arc::new(StringArray::from(texts))),
                (
                    "coded",
                    Arc::new(coded.into_iter().collect::<DictionaryArray<Key>>()),
                ),
            ])
        };
        let first = make(vec![Some("b"), None], vec![Some("z"), Some("y")]);
        let second = make(vec![Some("a"), Some("b")], vec![None, Some("x")]);
        let frame = frame_from_batches(&[first, second]).unwrap();
        let Column::Numeric(whole) = frame.column("whole").unwrap() else {
            panic!()
        };
        assert!(whole[0] == 3.0 && whole[1].is_nan() && whole.len() == 4);
        let levels = |name: &str| match frame.column(name).unwrap() {
            Column::Categorical { codes, levels } => (codes.to_vec(), levels.to_vec()),
            Column::Numeric(_) => panic!("{name} is text"),
        };
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            levels("text"),
            (vec![1, MISSING_LEVEL, 0, 1], names(&["a", "b"]))
        );
        assert_eq!(
            levels("coded"),
            (vec![2, 1, MISSING_LEVEL, 0], names(&["x", "y", "z"]))
        );
    }

    #[test]
    fn an_index_of_pandas_is_no_column() {
        let plain = batch(vec![
            ("x", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            ("__index_level_0__", Arc::new(Int64Array::from(vec![7]))),
        ]);
        let metadata = [(
            "pandas".to_owned(),
            r#"{"index_columns": ["__index_level_0__"]}"#.to_owned(),
        )];
        let schema = plain.schema().as_ref().clone().with_metadata(
            metadata
                .into_iter()
                .collect::<std::collections::HashMap<_, _>>(),
        );
        let indexed = plain.clone().with_schema(Arc::new(schema)).unwrap();
        assert_eq!(frame_from_batches(&[indexed]).unwrap().names(), ["x"]);
        assert_eq!(frame_from_batches(&[plain]).unwrap().names().len(), 2);
    }

    #[test]
    fn other_types_and_infinities_are_refused_by_name() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)])]);
        let error = frame_from_batches(&[batch(vec![("lists", Arc::new(lists))])]).unwrap_err();
        assert_eq!(error.what(), "lists");
        let infinite = Arc::new(Float64Array::from(vec![f64::INFINITY]));
        let error = frame_from_batches(&[batch(vec![("x", infinite)])]).unwrap_err();
        assert_eq!((error.what(), error.row()), ("x", Some(0)));
        assert!(frame_from_batches(&[]).is_err());
    }
}
