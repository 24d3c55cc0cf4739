//! One column of a role, from its Arrow type to the layout of the log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type,
    Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, RecordBatch};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, Field, TimeUnit as ArrowUnit};
use rayon::prelude::*;

use super::check::{PIECE, check};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{
    IdCells, IdColumn, KindColumn, TextCells, TextColumn, TimeColumn, Valid, ValueColumn,
};
use crate::time::{TimeUnit, Timestamp};

/// Number of distinct times in text that are remembered while reading a column.
const REMEMBERED_TIMES: usize = 1 << 16;

/// One column in its chunks, none of them empty.
#[derive(Debug, Clone)]
pub(super) struct Column {
    role: &'static str,
    position: usize,
    name: String,
    data_type: DataType,
    chunks: Vec<ArrayRef>,
    /// Whether the log can do without it: then its buffers are checked once somebody reads it.
    optional: bool,
}

impl Column {
    pub(super) fn new(role: &'static str, position: usize, field: &Field) -> Self {
        Column {
            role,
            position,
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            chunks: Vec::new(),
            optional: false,
        }
    }

    /// A column that is checked when it is read.
    pub(super) fn optional(self) -> Self {
        Column {
            optional: true,
            ..self
        }
    }

    /// Keeps this column of a batch that is not empty.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(chunk) = batch.columns().get(self.position) else {
            return Err(self.wrong("the same columns in every batch", "fewer"));
        };
        if *chunk.data_type() != self.data_type {
            return Err(self.wrong(
                &format!("{} in every batch", self.data_type),
                &chunk.data_type().to_string(),
            ));
        }
        if !self.optional {
            self.check(chunk)?;
        }
        self.chunks.push(Arc::clone(chunk));
        Ok(())
    }

    /// The column, whose buffers can be trusted.
    pub(super) fn checked(&self) -> Result<&Self> {
        if self.optional {
            self.chunks.iter().try_for_each(|chunk| self.check(chunk))?;
        }
        Ok(self)
    }

    /// Readers trust their sources; accessors read buffers without checks after this.
    fn check(&self, chunk: &ArrayRef) -> Result<()> {
        check(chunk).map_err(|error| self.wrong("valid Arrow data", &error.to_string()))
    }

    fn place(&self) -> String {
        format!("events.{}", self.role)
    }

    fn wrong(&self, expected: &str, got: &str) -> Error {
        let place = self.place();
        if self.name == self.role {
            Error::new(ErrorKind::InvalidValue, place, expected, got)
        } else {
            let got = format_args!("{got} in column {:?}", self.name);
            Error::new(ErrorKind::InvalidValue, place, expected, got)
        }
    }

    fn refused(&self, expected: &str) -> Error {
        self.wrong(expected, &self.data_type.to_string())
    }

    fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// The numbers of a column whose type is `P`, borrowed from a single chunk.
    fn native<P: ArrowPrimitiveType>(&self) -> Cow<'_, [P::Native]> {
        match self.chunks.as_slice() {
            [only] => Cow::Borrowed(only.as_primitive::<P>().values()),
            _ => self.converted::<P, _>(|number| number),
        }
    }

    /// The numbers of a column whose type is `P` in another type.
    fn converted<P: ArrowPrimitiveType, T: Clone + Send>(
        &self,
        convert: impl Fn(P::Native) -> T + Sync,
    ) -> Cow<'_, [T]> {
        let mut cells = Vec::with_capacity(self.len());
        for chunk in &self.chunks {
            let numbers = chunk.as_primitive::<P>().values();
            fill(&mut cells, numbers.len(), |row| convert(numbers[row]));
        }
        cells.into()
    }

    /// Which rows are not null, by themselves or by their entry in a dictionary; `None` where all
    /// are.
    fn valid(&self) -> Valid<'_> {
        let nulls = |chunk: &ArrayRef| chunk.logical_nulls().filter(|n| n.null_count() > 0);
        let nulls: Vec<Option<NullBuffer>> = self.chunks.iter().map(nulls).collect();
        if nulls.iter().all(Option::is_none) {
            return None;
        }
        let mut flags = Vec::with_capacity(self.len());
        for (chunk, nulls) in self.chunks.iter().zip(nulls) {
            match nulls {
                Some(nulls) => fill(&mut flags, chunk.len(), |row| nulls.is_valid(row)),
                None => flags.resize(flags.len() + chunk.len(), true),
            }
        }
        Some(flags.into())
    }

    /// A column of type `Null`: cells that are all missing.
    fn nothing<T: Clone + Default>(&self) -> Cow<'_, [T]> {
        vec![T::default(); self.len()].into()
    }

    pub(super) fn ids(&self) -> Result<IdColumn<'_>> {
        let cells = match &self.data_type {
            DataType::Int64 => IdCells::Int(self.native::<Int64Type>()),
            DataType::Int32 => IdCells::Int(self.converted::<Int32Type, _>(i64::from)),
            DataType::Int16 => IdCells::Int(self.converted::<Int16Type, _>(i64::from)),
            DataType::Int8 => IdCells::Int(self.converted::<Int8Type, _>(i64::from)),
            DataType::UInt64 => IdCells::Uint(self.native::<UInt64Type>()),
            DataType::UInt32 => IdCells::Uint(self.converted::<UInt32Type, _>(u64::from)),
            DataType::UInt16 => IdCells::Uint(self.converted::<UInt16Type, _>(u64::from)),
            DataType::UInt8 => IdCells::Uint(self.converted::<UInt8Type, _>(u64::from)),
            DataType::Float64 => return self.whole(self.native::<Float64Type>()),
            DataType::Float32 => return self.whole(self.converted::<Float32Type, _>(f64::from)),
            DataType::Null => IdCells::Int(self.nothing()),
            text if is_text(text) => {
                let TextColumn { cells, valid } = self.texts()?;
                return Ok(IdColumn {
                    cells: IdCells::Text(cells),
                    valid,
                });
            }
            _ => return Err(self.refused("an integer or text column")),
        };
        Ok(IdColumn {
            cells,
            valid: self.valid(),
        })
    }

    /// Integer ids in a float column, which is how some data frames keep integers with gaps: NaN
    /// is missing, and every other cell must be an integer that floats hold exactly.
    fn whole(&self, numbers: Cow<'_, [f64]>) -> Result<IdColumn<'_>> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        let valid = self.valid();
        let given = |row: usize| valid.as_ref().is_none_or(|flags| flags[row]);
        let is_there = |row: usize| given(row) && !numbers[row].is_nan();
        let is_whole = |number: f64| number.fract() == 0.0 && number.abs() <= EXACT;
        let rows = (0..numbers.len()).into_par_iter().with_min_len(PIECE);
        let wrong = rows.find_first(|row| is_there(*row) && !is_whole(numbers[*row]));
        if let Some(row) = wrong {
            return Err(self
                .wrong("a whole number", &numbers[row].to_string())
                .at_row(row));
        }
        let mut ids = Vec::with_capacity(numbers.len());
        fill(&mut ids, numbers.len(), |row| match is_there(row) {
            true => numbers[row] as i64,
            false => 0,
        });
        let mut flags = Vec::with_capacity(numbers.len());
        fill(&mut flags, numbers.len(), is_there);
        Ok(IdColumn {
            cells: IdCells::Int(ids.into()),
            valid: flags.contains(&false).then(|| flags.into()),
        })
    }

    pub(super) fn kinds(&self) -> Result<KindColumn<'_>> {
        match &self.data_type {
            DataType::UInt8 => {
                let mut codes = self.native::<UInt8Type>();
                if let Some(valid) = self.valid() {
                    let mut known = Vec::with_capacity(codes.len());
                    // 0 is the code of no kind.
                    fill(&mut known, codes.len(), |row| {
                        codes[row] * u8::from(valid[row])
                    });
                    codes = known.into();
                }
                Ok(KindColumn::Codes(codes))
            }
            text if is_text(text) || *text == DataType::Null => {
                // A kind that is missing and one without name are told apart.
                let TextColumn { cells, valid } = self.texts()?;
                let valid = valid.or_else(|| self.valid());
                Ok(KindColumn::Names(TextColumn { cells, valid }))
            }
            _ => Err(self.refused("a text column or UInt8 codes")),
        }
    }

    pub(super) fn numbers(&self) -> Result<ValueColumn<'_>> {
        let cells = match &self.data_type {
            DataType::Float64 => self.native::<Float64Type>(),
            DataType::Float32 => self.converted::<Float32Type, _>(f64::from),
            DataType::Float16 => self.converted::<Float16Type, _>(|number| number.to_f64()),
            DataType::Int8 => self.converted::<Int8Type, _>(f64::from),
            DataType::Int16 => self.converted::<Int16Type, _>(f64::from),
            DataType::Int32 => self.converted::<Int32Type, _>(f64::from),
            DataType::Int64 => self.converted::<Int64Type, _>(|number| number as f64),
            DataType::UInt8 => self.converted::<UInt8Type, _>(f64::from),
            DataType::UInt16 => self.converted::<UInt16Type, _>(f64::from),
            DataType::UInt32 => self.converted::<UInt32Type, _>(f64::from),
            DataType::UInt64 => self.converted::<UInt64Type, _>(|number| number as f64),
            DataType::Decimal32(_, scale) => self.decimals::<Decimal32Type>(*scale),
            DataType::Decimal64(_, scale) => self.decimals::<Decimal64Type>(*scale),
            DataType::Decimal128(_, scale) => self.decimals::<Decimal128Type>(*scale),
            DataType::Decimal256(_, scale) => self.decimals::<Decimal256Type>(*scale),
            DataType::Null => self.nothing(),
            _ => return Err(self.refused("a number column")),
        };
        Ok(ValueColumn {
            cells,
            valid: self.valid(),
        })
    }

    /// Decimals as the nearest `f64`: one exact division where both numbers are exact, else by way
    /// of their text, since a division of rounded numbers would round twice.
    fn decimals<P: DecimalType>(&self, scale: i8) -> Cow<'_, [f64]>
    where
        P::Native: fmt::Display,
    {
        let divisor = match scale {
            0..=22 => format!("1e{scale}").parse::<f64>().ok(),
            _ => None,
        };
        let exact = -(1_i64 << 53)..=1 << 53;
        self.converted::<P, _>(|unscaled| match (unscaled.to_i64(), divisor) {
            (Some(number), Some(divisor)) if exact.contains(&number) => number as f64 / divisor,
            // Such a text is always a number.
            _ => format!("{unscaled}e{}", -i32::from(scale))
                .parse()
                .unwrap_or(f64::NAN),
        })
    }

    pub(super) fn times(&self, stated: Option<TimeUnit>) -> Result<TimeColumn<'_>> {
        let (cells, unit) = match &self.data_type {
            DataType::Timestamp(ArrowUnit::Second, _) => {
                (self.native::<TimestampSecondType>(), TimeUnit::Second)
            }
            DataType::Timestamp(ArrowUnit::Millisecond, _) => (
                self.native::<TimestampMillisecondType>(),
                TimeUnit::Millisecond,
            ),
            DataType::Timestamp(ArrowUnit::Microsecond, _) => (
                self.native::<TimestampMicrosecondType>(),
                TimeUnit::Microsecond,
            ),
            DataType::Timestamp(ArrowUnit::Nanosecond, _) => (
                self.native::<TimestampNanosecondType>(),
                TimeUnit::Nanosecond,
            ),
            DataType::Date32 => (self.converted::<Date32Type, _>(i64::from), TimeUnit::Day),
            DataType::Date64 => (self.native::<Date64Type>(), TimeUnit::Millisecond),
            DataType::Null => (self.nothing(), TimeUnit::Microsecond),
            integer if integer.is_integer() => match stated {
                Some(unit) => (self.integer_times()?, unit),
                None => {
                    return Err(Error::invalid_parameter(
                        "names.time_unit",
                        "a unit, since the times are integers",
                        format_args!("none for column {:?}", self.name),
                    ));
                }
            },
            text if is_text(text) => return self.text_times(),
            _ => return Err(self.refused("a timestamp, date, integer or text column")),
        };
        Ok(TimeColumn {
            cells,
            unit,
            valid: self.valid(),
        })
    }

    fn integer_times(&self) -> Result<Cow<'_, [i64]>> {
        Ok(match &self.data_type {
            DataType::Int8 => self.converted::<Int8Type, _>(i64::from),
            DataType::Int16 => self.converted::<Int16Type, _>(i64::from),
            DataType::Int32 => self.converted::<Int32Type, _>(i64::from),
            DataType::UInt8 => self.converted::<UInt8Type, _>(i64::from),
            DataType::UInt16 => self.converted::<UInt16Type, _>(i64::from),
            DataType::UInt32 => self.converted::<UInt32Type, _>(i64::from),
            DataType::UInt64 => {
                let valid = self.valid();
                let mut cells = Vec::with_capacity(self.len());
                for (row, count) in self.native::<UInt64Type>().iter().enumerate() {
                    let present = valid.as_ref().is_none_or(|flags| flags[row]);
                    cells.push(match i64::try_from(*count) {
                        Ok(count) => count,
                        Err(_) if !present => 0,
                        Err(_) => return Err(self.wrong_time(row, &count.to_string())),
                    });
                }
                cells.into()
            }
            _ => self.native::<Int64Type>(),
        })
    }

    fn wrong_time(&self, row: usize, got: &str) -> Error {
        let expected = "a time such as 2011-12-09T12:50:00";
        self.wrong(expected, got).at_row(row)
    }

    /// Times in text, remembering what was read: logs repeat their times.
    fn text_times(&self) -> Result<TimeColumn<'_>> {
        let texts = self.texts()?;
        let mut flags = match &texts.valid {
            Some(flags) => flags.to_vec(),
            None => vec![true; self.len()],
        };
        let mut known: HashMap<&str, i64> = HashMap::new();
        let mut cells = Vec::with_capacity(flags.len());
        for (row, valid) in flags.iter_mut().enumerate() {
            let text = texts.cells.get(row).unwrap_or_default();
            *valid = *valid && !text.trim().is_empty();
            if !*valid {
                cells.push(0);
                continue;
            }
            let time = match known.get(text) {
                Some(time) => *time,
                None => {
                    let time = Timestamp::parse(text)
                        .map_err(|_| self.wrong_time(row, &format!("{text:?}")))?
                        .micros();
                    if known.len() == REMEMBERED_TIMES {
                        known.clear();
                    }
                    known.insert(text, time);
                    time
                }
            };
            cells.push(time);
        }
        Ok(TimeColumn {
            cells: cells.into(),
            unit: TimeUnit::Microsecond,
            valid: flags.contains(&false).then(|| flags.into()),
        })
    }

    pub(super) fn texts(&self) -> Result<TextColumn<'_>> {
        let cells = match (&self.data_type, self.chunks.as_slice()) {
            (DataType::Utf8, [only]) => match packed::<i32>(only) {
                Some((offsets, bytes)) => TextCells::Packed32 { offsets, bytes },
                None => self.strs(),
            },
            (DataType::LargeUtf8, [only]) => match packed::<i64>(only) {
                Some((offsets, bytes)) => TextCells::Packed64 { offsets, bytes },
                None => self.strs(),
            },
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, _) => self.strs(),
            (DataType::Null, _) => TextCells::StrsOwned(self.nothing().into_owned()),
            (text, _) if is_text(text) => return self.coded(),
            _ => return Err(self.refused("a text column")),
        };
        Ok(TextColumn {
            cells,
            valid: self.valid(),
        })
    }

    fn strs(&self) -> TextCells<'_> {
        let mut cells: Vec<&str> = Vec::with_capacity(self.len());
        for chunk in &self.chunks {
            let rows = chunk.len();
            match chunk.data_type() {
                DataType::Utf8 => {
                    let texts = chunk.as_string::<i32>();
                    fill(&mut cells, rows, |row| texts.value(row));
                }
                DataType::LargeUtf8 => {
                    let texts = chunk.as_string::<i64>();
                    fill(&mut cells, rows, |row| texts.value(row));
                }
                _ => {
                    let texts = chunk.as_string_view();
                    fill(&mut cells, rows, |row| texts.value(row));
                }
            }
        }
        TextCells::StrsOwned(cells)
    }

    /// Dictionary columns; the dictionaries of several chunks become one. Cells that are null get a
    /// name without letters, which every role but the kind takes for a missing cell.
    fn coded(&self) -> Result<TextColumn<'_>> {
        if let [only] = self.chunks.as_slice()
            && let Some(dictionary) = only.as_dictionary_opt::<UInt32Type>()
            && dictionary.values().null_count() == 0
        {
            let names = strs(dictionary.values()).map(Cow::Borrowed).collect();
            let codes = Cow::Borrowed(&**dictionary.keys().values());
            return Ok(TextColumn {
                cells: TextCells::Coded { codes, names },
                valid: self.valid(),
            });
        }
        let mut names = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut codes = Vec::with_capacity(self.len());
        for chunk in &self.chunks {
            let mut code = |name| match known.get(name) {
                Some(code) => Ok(*code),
                None => {
                    let code = u32::try_from(names.len())
                        .map_err(|_| self.wrong("fewer than 2^32 distinct texts", "more"))?;
                    known.insert(name, code);
                    names.push(Cow::Borrowed(name));
                    Ok(code)
                }
            };
            let dictionary = chunk.as_any_dictionary();
            let (keys, values) = (dictionary.keys(), dictionary.values());
            let none = match keys.null_count() + values.null_count() {
                0 => u32::MAX,
                _ => code("")?,
            };
            let mut entries = Vec::with_capacity(values.len());
            for (i, name) in strs(values).enumerate() {
                entries.push(if values.is_null(i) { none } else { code(name)? });
            }
            push_codes(keys, &entries, none, &mut codes);
        }
        Ok(TextColumn {
            cells: TextCells::Coded {
                codes: codes.into(),
                names,
            },
            valid: None,
        })
    }
}

/// Appends the cells of so many rows; several threads write those of many.
fn fill<T: Send>(cells: &mut Vec<T>, rows: usize, cell: impl Fn(usize) -> T + Sync + Send) {
    if rows < 2 * PIECE {
        cells.extend((0..rows).map(cell));
    } else {
        let rows = (0..rows).into_par_iter().with_min_len(PIECE);
        cells.par_extend(rows.map(cell));
    }
}

/// Whether a column holds text, plain or by dictionary.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => matches!(
            **values,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ),
        _ => false,
    }
}

/// Offsets and bytes of a text array as they lie. A slice may begin behind bytes that are no
/// text, which nobody reads but `str` does not allow: then `None`.
fn packed<O: OffsetSizeTrait>(array: &ArrayRef) -> Option<(Cow<'_, [O]>, Cow<'_, str>)> {
    let array = array.as_string::<O>();
    let offsets: &[O] = array.value_offsets();
    let end = offsets.last()?.as_usize();
    let bytes = std::str::from_utf8(array.value_data().get(..end)?).ok()?;
    Some((Cow::Borrowed(offsets), Cow::Borrowed(bytes)))
}

/// The cells of a plain text array.
fn strs(array: &ArrayRef) -> Box<dyn Iterator<Item = &str> + '_> {
    let rows = 0..array.len();
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(rows.map(|row| array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Box::new(rows.map(|row| array.value(row)))
        }
        _ => {
            let array = array.as_string_view();
            Box::new(rows.map(|row| array.value(row)))
        }
    }
}

/// Appends the code of each key's entry, `none` for a null key.
fn push_codes(keys: &dyn Array, entries: &[u32], none: u32, codes: &mut Vec<u32>) {
    fn push<K: ArrowDictionaryKeyType>(
        keys: &dyn Array,
        entries: &[u32],
        none: u32,
        codes: &mut Vec<u32>,
    ) {
        let numbers = keys.as_primitive::<K>().values();
        let code = |row: usize| {
            let entry = entries.get(numbers[row].as_usize());
            entry.copied().unwrap_or(none)
        };
        match keys.nulls() {
            None => fill(codes, keys.len(), code),
            Some(nulls) => fill(codes, keys.len(), |row| match nulls.is_valid(row) {
                true => code(row),
                false => none,
            }),
        }
    }
    match keys.data_type() {
        DataType::Int8 => push::<Int8Type>(keys, entries, none, codes),
        DataType::Int16 => push::<Int16Type>(keys, entries, none, codes),
        DataType::Int32 => push::<Int32Type>(keys, entries, none, codes),
        DataType::Int64 => push::<Int64Type>(keys, entries, none, codes),
        DataType::UInt8 => push::<UInt8Type>(keys, entries, none, codes),
        DataType::UInt16 => push::<UInt16Type>(keys, entries, none, codes),
        DataType::UInt32 => push::<UInt32Type>(keys, entries, none, codes),
        _ => push::<UInt64Type>(keys, entries, none, codes),
    }
}
