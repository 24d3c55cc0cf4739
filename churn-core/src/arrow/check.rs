//! Whether the buffers of an array keep the rules of its type, which has to be known before anything
//! trusts them: foreign data may hold offsets that fall, text that is not UTF-8, keys without value.
//!
//! All threads look at the cells of large arrays. Only what they cannot vouch for is left to Arrow's own
//! check, which goes row by row and finds the words for the fault.

use std::ops::Range;
use std::slice;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_buffer::ArrowNativeType;
use arrow_data::{MAX_INLINE_VIEW_LEN, validate_string_view};
use arrow_schema::{ArrowError, DataType};
use rayon::prelude::*;

/// Rows that a thread takes at a time, at least.
pub(super) const PIECE: usize = 1 << 14;
/// The bits that no byte of ASCII has.
const HIGH_BITS: u128 = u128::MAX / 255 * 128;

/// Confirms that an array keeps the rules of its type.
pub(super) fn check(array: &ArrayRef) -> Result<(), ArrowError> {
    let data = array.to_data();
    if holds(array) {
        data.validate()?;
        return data.validate_nulls();
    }
    data.validate_full()
}

/// Whether the cells are certainly in order; those of numbers always are.
fn holds(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Null | DataType::Boolean => true,
        number if number.is_primitive() => true,
        DataType::Utf8 => texts_hold::<i32>(array),
        DataType::LargeUtf8 => texts_hold::<i64>(array),
        DataType::Utf8View => {
            let array = array.as_string_view();
            let (views, buffers) = (array.views(), array.data_buffers());
            in_pieces(views.len(), |rows| {
                let views = views[rows].iter();
                let mut others = views.filter(|view| !is_short_ascii(**view));
                others.all(|view| validate_string_view(slice::from_ref(view), buffers).is_ok())
            })
        }
        DataType::Dictionary(key, _) => {
            let values = array.as_any_dictionary().values();
            let keys_hold = match **key {
                DataType::Int8 => keys_hold::<Int8Type>,
                DataType::Int16 => keys_hold::<Int16Type>,
                DataType::Int32 => keys_hold::<Int32Type>,
                DataType::Int64 => keys_hold::<Int64Type>,
                DataType::UInt8 => keys_hold::<UInt8Type>,
                DataType::UInt16 => keys_hold::<UInt16Type>,
                DataType::UInt32 => keys_hold::<UInt32Type>,
                DataType::UInt64 => keys_hold::<UInt64Type>,
                _ => return false,
            };
            check(values).is_ok() && keys_hold(array)
        }
        _ => false,
    }
}

/// Whether a view holds its text itself, at most 12 characters of ASCII, and nothing behind them.
fn is_short_ascii(view: u128) -> bool {
    let (len, text) = (view as u32, view >> 32);
    len <= MAX_INLINE_VIEW_LEN && text >> (8 * len) == 0 && text & HIGH_BITS == 0
}

/// Whether something is true of all pieces of so many rows.
fn in_pieces(rows: usize, holds: impl Fn(Range<usize>) -> bool + Sync) -> bool {
    (0..rows.div_ceil(PIECE))
        .into_par_iter()
        .all(|i| holds(i * PIECE..rows.min((i + 1) * PIECE)))
}

/// Whether offsets rise and part valid UTF-8 between its characters.
fn texts_hold<O: OffsetSizeTrait>(array: &ArrayRef) -> bool {
    let array = array.as_string::<O>();
    let (offsets, bytes): (&[O], &[u8]) = (array.value_offsets(), array.value_data());
    in_pieces(array.len(), |rows| {
        let Some(offsets) = offsets.get(rows.start..=rows.end) else {
            return false;
        };
        let (Some(from), Some(to)) = (offsets[0].to_usize(), offsets[rows.len()].to_usize()) else {
            return false;
        };
        let rise = offsets
            .windows(2)
            .fold(true, |rise, o| rise & (o[0] <= o[1]));
        // Pieces that are text by themselves are text together.
        let Some(Ok(text)) = bytes.get(from..to).filter(|_| rise).map(str::from_utf8) else {
            return false;
        };
        text.is_ascii()
            || offsets
                .iter()
                .all(|offset| text.is_char_boundary(offset.as_usize() - from))
    })
}

/// Whether every key that is not null has a value.
fn keys_hold<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> bool {
    let Some(dictionary) = array.as_dictionary_opt::<K>() else {
        return false;
    };
    let (keys, names) = (dictionary.keys(), dictionary.values().len());
    let has_name = |key: K::Native| key.to_usize().is_some_and(|key| key < names);
    let numbers: &[K::Native] = keys.values();
    in_pieces(numbers.len(), |rows| {
        // The least and the largest speak for all; behind a null anything may stand.
        let piece = &numbers[rows.clone()];
        let Some((first, rest)) = piece.split_first() else {
            return true;
        };
        let (min, max) = rest.iter().fold((*first, *first), |(min, max), key| {
            let min = if *key < min { *key } else { min };
            (min, if *key > max { *key } else { max })
        });
        has_name(min) && has_name(max)
            || keys.null_count() > 0
                && rows
                    .into_iter()
                    .all(|row| keys.is_null(row) || has_name(numbers[row]))
    })
}
