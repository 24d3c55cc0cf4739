//! The customer of each row as an integer, so that rows are told apart without looking at texts
//! again.
//!
//! Integers are their own keys; so are texts of up to 15 bytes (their bytes, then their length),
//! UUIDs (their 128 bits) and dictionary entries (their rank). Keys of these sort like the ids, so
//! that ranges of keys are ranges of customers and nothing has to be sorted in the end. Any other
//! text is known by a fingerprint of 128 bits, under which two of n ids coincide with a probability
//! of about n² / 2¹²⁹ (10⁻²² for a hundred million); its customers are sorted once at the end.

use super::check::{Block, Pick};
use super::columns::{IdCells, IdColumn, TextCells, is_valid};
use crate::customers::{IdStore, text_store};

/// The customer of each row as an integer.
pub(super) enum Keys<'c> {
    Int(&'c [i64]),
    Uint(&'c [u64]),
    /// Texts short enough to be integers themselves; `min` and `shift` map most of them to 64 bits.
    Short {
        cells: &'c TextCells<'c>,
        min: u128,
        shift: u32,
    },
    /// Canonical UUIDs, with letters as in `"a"` or `"A"`.
    Uuid {
        cells: &'c TextCells<'c>,
        letter: u8,
    },
    /// Entries of a dictionary: the rank of each among the distinct names.
    Names {
        codes: &'c [u32],
        ranks: Vec<u32>,
        names: Vec<&'c str>,
    },
    /// Any other texts.
    Hashed(&'c TextCells<'c>),
}

/// Flipping the sign bit makes unsigned order equal signed order.
const SIGN: u64 = 1 << 63;
/// Bytes of text that fit beside their length into 128 bits.
const SHORT: usize = 15;
/// Length of a UUID in text.
const UUID: usize = 36;
/// Rows that decide which form of key is tried.
const SAMPLE: usize = 1 << 10;
/// The rank of an empty name.
const NO_RANK: u32 = u32::MAX;

/// What became of a row that asked for its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Key(u128),
    /// The row has no id.
    Nothing,
    /// The id does not have the form that the sample had.
    Unfit,
}

/// An id did not have the form that the sample had.
#[derive(Debug)]
pub(super) struct Unfit;

impl<'c> Keys<'c> {
    /// The form of key that a sample of the column allows.
    pub(super) fn of(column: &'c IdColumn<'c>) -> Self {
        let cells = match &column.cells {
            IdCells::Int(ids) => return Keys::Int(ids),
            IdCells::Uint(ids) => return Keys::Uint(ids),
            IdCells::Text(TextCells::Coded { codes, names }) => {
                let mut sorted: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
                sorted.sort_unstable();
                sorted.dedup();
                let rank = |name: &str| sorted.binary_search(&name).map_or(NO_RANK, |r| r as u32);
                let rank = |name: &str| match name {
                    "" => NO_RANK,
                    name => rank(name),
                };
                let ranks = names.iter().map(|name| rank(name)).collect();
                return Keys::Names {
                    codes,
                    ranks,
                    names: sorted,
                };
            }
            IdCells::Text(cells) => cells,
        };
        let rows = cells.len();
        let sample: Vec<&str> = (0..SAMPLE.min(rows))
            .map(|i| (i as u128 * rows as u128 / SAMPLE.min(rows) as u128) as usize)
            .filter(|row| is_valid(&column.valid, *row))
            .filter_map(|row| cells.get(row).filter(|id| !id.is_empty()))
            .collect();
        if sample.iter().all(|id| id.len() <= SHORT) {
            let keys = || sample.iter().map(|id| short_key(id));
            let (min, max) = (keys().min().unwrap_or(0), keys().max().unwrap_or(0));
            let shift = (128 - (max - min).leading_zeros()).saturating_sub(64);
            return Keys::Short { cells, min, shift };
        }
        for letter in [b'a', b'A'] {
            if sample.iter().all(|id| uuid_key(id, letter).is_some()) {
                return Keys::Uuid { cells, letter };
            }
        }
        Keys::Hashed(cells)
    }

    /// The form that any text fits.
    pub(super) fn hashed(column: &'c IdColumn<'c>) -> Option<Self> {
        match &column.cells {
            IdCells::Text(cells) => Some(Keys::Hashed(cells)),
            _ => None,
        }
    }

    /// Whether keys need more than 64 bits.
    pub(super) fn is_wide(&self) -> bool {
        matches!(
            self,
            Keys::Short { .. } | Keys::Uuid { .. } | Keys::Hashed(_)
        )
    }

    /// Whether customers come out in another order than that of their ids.
    pub(super) fn is_hashed(&self) -> bool {
        matches!(self, Keys::Hashed(_))
    }

    #[inline(always)]
    fn find(&self, row: usize) -> Found {
        let text = |cells: &'c TextCells<'c>| cells.get(row).filter(|id| !id.is_empty());
        match self {
            Keys::Int(ids) => Found::Key(u128::from(ids[row] as u64 ^ SIGN)),
            Keys::Uint(ids) => Found::Key(u128::from(ids[row])),
            Keys::Short { cells, .. } => match text(cells) {
                None => Found::Nothing,
                Some(id) if id.len() <= SHORT => Found::Key(short_key(id)),
                Some(_) => Found::Unfit,
            },
            Keys::Uuid { cells, letter } => match text(cells) {
                None => Found::Nothing,
                Some(id) => uuid_key(id, *letter).map_or(Found::Unfit, Found::Key),
            },
            Keys::Names { codes, ranks, .. } => match ranks.get(codes[row] as usize) {
                None | Some(&NO_RANK) => Found::Nothing,
                Some(rank) => Found::Key(u128::from(*rank)),
            },
            Keys::Hashed(cells) => {
                text(cells).map_or(Found::Nothing, |id| Found::Key(fingerprint(id)))
            }
        }
    }

    /// The key of a row that has an id.
    pub(super) fn get(&self, row: usize) -> Result<u128, Unfit> {
        match self.find(row) {
            Found::Key(key) => Ok(key),
            Found::Nothing => Ok(0),
            Found::Unfit => Err(Unfit),
        }
    }

    /// The keys of the rows of a block; rows without id are no longer usable.
    pub(super) fn fill(&self, pick: Pick<'_>, block: &mut Block) -> Result<(), Unfit> {
        let Block { usable, keys, .. } = block;
        keys.clear();
        let mut unfit = false;
        let mut put = |i: usize, found: Found| {
            keys.push(match found {
                Found::Key(key) => key,
                Found::Nothing => {
                    usable[i] = false;
                    0
                }
                Found::Unfit => {
                    unfit |= usable[i];
                    usable[i] = false;
                    0
                }
            });
        };
        // One match per block, so that the loops know what they read.
        macro_rules! each {
            ($find:expr) => {
                match pick {
                    Pick::Range(from, to) => (from..to)
                        .enumerate()
                        .for_each(|(i, row)| put(i, $find(row))),
                    Pick::Rows(rows) => rows
                        .iter()
                        .enumerate()
                        .for_each(|(i, row)| put(i, $find(*row as usize))),
                }
            };
        }
        match self {
            Keys::Int(ids) => {
                each!(|row: usize| Found::Key(u128::from(ids[row] as u64 ^ SIGN)))
            }
            Keys::Uint(ids) => each!(|row: usize| Found::Key(u128::from(ids[row]))),
            _ => each!(|row: usize| self.find(row)),
        }
        if unfit { Err(Unfit) } else { Ok(()) }
    }

    /// A key's 64 most telling bits; never falls where the key rises.
    #[inline(always)]
    pub(super) fn digit(&self, key: u128) -> u64 {
        match self {
            Keys::Int(_) | Keys::Uint(_) | Keys::Names { .. } => key as u64,
            Keys::Short { min, shift, .. } => {
                let digit = key.saturating_sub(*min) >> shift;
                u64::try_from(digit).unwrap_or(u64::MAX)
            }
            Keys::Uuid { .. } | Keys::Hashed(_) => (key >> 64) as u64,
        }
    }

    /// The ids of distinct keys in ascending order; not for hashed ones.
    pub(super) fn into_store(self, keys: Vec<u128>) -> IdStore {
        match self {
            Keys::Int(_) => IdStore::Int(
                keys.into_iter()
                    .map(|key| (key as u64 ^ SIGN) as i64)
                    .collect(),
            ),
            Keys::Uint(_) => IdStore::Uint(keys.into_iter().map(|key| key as u64).collect()),
            Keys::Short { .. } => {
                let mut store = Texts::default();
                for key in keys {
                    let text = key.to_be_bytes();
                    store.push(&text[..usize::from(text[SHORT])]);
                }
                store.finish()
            }
            Keys::Uuid { letter, .. } => {
                let mut store = Texts::default();
                for key in keys {
                    store.push(&uuid_text(key, letter));
                }
                store.finish()
            }
            Keys::Names { names, .. } => {
                let used = keys.iter().filter_map(|key| names.get(*key as usize));
                text_store(&used.collect::<Vec<_>>())
            }
            Keys::Hashed(_) => text_store::<&str>(&[]),
        }
    }

    /// The text of a row, for hashed keys.
    pub(super) fn text(&self, row: usize) -> &'c str {
        match self {
            Keys::Hashed(cells) => cells.get(row).unwrap_or_default(),
            _ => "",
        }
    }
}

/// Texts one after another.
struct Texts {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Texts {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.offsets.push(self.bytes.len() as u64);
    }

    fn finish(self) -> IdStore {
        // Each piece was a whole text before, so together they are valid UTF-8.
        let bytes = String::from_utf8(self.bytes)
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        IdStore::Text {
            offsets: self.offsets,
            bytes,
        }
    }
}

/// A short text as an integer: its bytes from the top, its length at the bottom, so that integers
/// sort like texts and the empty places behind a text cannot be confused with zero bytes in it.
#[inline]
fn short_key(text: &str) -> u128 {
    let mut bytes = [0; 16];
    let len = text.len().min(SHORT);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes[SHORT] = len as u8;
    u128::from_be_bytes(bytes)
}

/// One in each byte.
const ONES: u64 = u64::MAX / 255;

/// The number that a canonical UUID writes in hexadecimal digits, `None` for any other text. Among
/// UUIDs whose letters are all small, or all large, numbers sort like texts.
#[inline]
fn uuid_key(text: &str, letter: u8) -> Option<u128> {
    let text: &[u8; UUID] = text.as_bytes().try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
        return None;
    }
    let word = |a: usize, b: usize| {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&text[a..a + 4]);
        bytes[4..].copy_from_slice(&text[b..b + 4]);
        hex_digits(u64::from_be_bytes(bytes), letter)
    };
    let words = [word(0, 4), word(9, 14), word(19, 24), word(28, 32)];
    let mut key = 0;
    for word in words {
        key = key << 32 | u128::from(word?);
    }
    Some(key)
}

/// Eight hexadecimal digits in ASCII as the number they write.
#[inline]
fn hex_digits(ascii: u64, letter: u8) -> Option<u32> {
    // Letters have bit 6 set and digits have not.
    let letters = ascii >> 6 & ONES;
    let digits = (ascii & (ONES * 0x0f)).wrapping_add(letters * 9);
    let spelled = (digits & (ONES * 0x0f))
        .wrapping_add(ONES * u64::from(b'0'))
        .wrapping_add(letters * u64::from(letter - 10 - b'0'));
    // A digit above nine must be spelled as a letter, and only such.
    let above_nine = (digits & (ONES * 0x0f)) + ONES * 6;
    if spelled != ascii || above_nine >> 4 & ONES != letters {
        return None;
    }
    let pairs = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

fn uuid_text(key: u128, letter: u8) -> [u8; UUID] {
    let mut text = [b'-'; UUID];
    let places = (0..UUID).filter(|i| ![8, 13, 18, 23].contains(i));
    for (digit, place) in places.enumerate() {
        let digit = (key >> (124 - 4 * digit)) as u8 & 0x0f;
        text[place] = match digit {
            0..=9 => b'0' + digit,
            _ => letter + digit - 10,
        };
    }
    text
}

/// 128 bits that tell texts apart: two chains of multiply-and-fold over 8 bytes at a time.
#[inline]
fn fingerprint(text: &str) -> u128 {
    const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let bytes = text.as_bytes();
    let mut state = [
        0x2d35_8dcc_aa6c_78a5 ^ bytes.len() as u64,
        0x8bb8_4b93_962e_acc9 ^ bytes.len() as u64,
    ];
    let mut mix = |word: u64| {
        state[0] = fold(state[0] ^ word, FACTORS[0]);
        state[1] = fold(state[1].wrapping_add(word.rotate_left(32)), FACTORS[1]);
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        mix(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(word));
    }
    // A last round, so that every bit of the last word reaches the bits that choose the bucket.
    mix(0x5851_f42d_4c95_7f2d);
    u128::from(state[0]) << 64 | u128::from(state[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_numbers_that_sort_like_texts() {
        let texts = [
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-00000000000a",
            "0b8f3a2e-1c4d-4f6a-9b7e-d2c1a0f3e4b5",
            "9fffffff-ffff-ffff-ffff-ffffffffffff",
            "a0000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ];
        let keys: Vec<u128> = texts.iter().map(|t| uuid_key(t, b'a').unwrap()).collect();
        assert!(keys.is_sorted() && keys[5] == u128::MAX);
        assert_eq!(keys[2], 0x0b8f_3a2e_1c4d_4f6a_9b7e_d2c1_a0f3_e4b5);
        for (text, key) in texts.iter().zip(keys) {
            assert_eq!(uuid_text(key, b'a'), text.as_bytes());
            let upper = text.to_uppercase();
            assert_eq!(uuid_key(&upper, b'A'), Some(key));
            assert_eq!(uuid_text(key, b'A'), upper.as_bytes());
        }
        // Every single byte that is not what it should be is seen.
        let good = texts[2].as_bytes();
        for place in 0..UUID {
            for byte in 0..=127_u8 {
                let mut bytes = good.to_vec();
                bytes[place] = byte;
                let text = std::str::from_utf8(&bytes).unwrap();
                let dash = [8, 13, 18, 23].contains(&place);
                let fits = match byte {
                    b'-' => dash,
                    b'0'..=b'9' | b'a'..=b'f' => !dash,
                    _ => false,
                };
                assert_eq!(uuid_key(text, b'a').is_some(), fits, "{text:?}");
            }
        }
        assert_eq!(uuid_key("0b8f3a2e", b'a'), None);
    }

    #[test]
    fn fingerprints_differ() {
        let mut seen = std::collections::HashSet::new();
        let mut halves = [0_u64; 2].map(|_| std::collections::HashSet::new());
        for i in 0..40_000_u32 {
            for text in [
                format!("user-{i}@example.org"),
                format!("{i:030}"),
                "x".repeat(i as usize % 90) + &i.to_string(),
            ] {
                if seen.insert(text.clone()) {
                    let key = fingerprint(&text);
                    assert!(halves[0].insert(key as u64), "{text}");
                    assert!(halves[1].insert((key >> 64) as u64), "{text}");
                }
            }
        }
        assert_ne!(fingerprint("a\0"), fingerprint("a"));
    }
}
