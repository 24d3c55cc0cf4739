//! Ids to dense codes: code *i* is the *i*-th id in ascending order, whatever order they came in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::clean::is_missing;
use super::columns::{IdCells, IdColumn, TextColumn, is_valid};
use crate::customers::{IdStore, text_store};
use crate::error::{Error, Result};

/// The code of a row that has no id or was dropped.
pub(super) const NONE: u32 = u32::MAX;

/// One code per row and the ids behind the codes.
pub(super) struct Coded {
    pub(super) codes: Vec<u32>,
    pub(super) store: IdStore,
}

/// Codes a column of ids over the rows for which `keep` holds; other rows get [`NONE`].
pub(super) fn code_ids(
    column: &IdColumn<'_>,
    what: &str,
    keep: impl Fn(usize) -> bool,
) -> Result<Coded> {
    let used = |row: usize| keep(row) && !is_missing(column, row);
    match &column.cells {
        IdCells::Int(ids) => {
            let (codes, ids) = code(ids.len(), what, |row| used(row).then(|| ids[row]))?;
            let store = IdStore::Int(ids);
            Ok(Coded { codes, store })
        }
        IdCells::Uint(ids) => {
            let (codes, ids) = code(ids.len(), what, |row| used(row).then(|| ids[row]))?;
            let store = IdStore::Uint(ids);
            Ok(Coded { codes, store })
        }
        IdCells::Text(cells) => {
            let (codes, ids) = code(cells.len(), what, |row| {
                if used(row) { cells.get(row) } else { None }
            })?;
            let store = text_store(&ids);
            Ok(Coded { codes, store })
        }
    }
}

/// Codes a column of names (channels) over the kept rows; empty names count as none.
pub(super) fn code_names(
    column: &TextColumn<'_>,
    what: &str,
    keep: impl Fn(usize) -> bool,
) -> Result<(Vec<u32>, Vec<String>)> {
    let (codes, names) = code(column.cells.len(), what, |row| {
        if !keep(row) || !is_valid(&column.valid, row) {
            return None;
        }
        column.cells.get(row).filter(|name| !name.is_empty())
    })?;
    Ok((codes, names.into_iter().map(str::to_owned).collect()))
}

/// Codes by first sight in a hash table, then renames the codes to ranks.
fn code<K: Copy + Ord + Hash>(
    rows: usize,
    what: &str,
    id: impl Fn(usize) -> Option<K>,
) -> Result<(Vec<u32>, Vec<K>)> {
    let mut first_seen: HashMap<K, u32, BuildHasherDefault<MixHasher>> = HashMap::default();
    let mut codes = Vec::with_capacity(rows);
    for row in 0..rows {
        let code = match id(row) {
            None => NONE,
            Some(id) => {
                let next = first_seen.len();
                if next >= NONE as usize {
                    return Err(Error::invalid_parameter(
                        what,
                        format_args!("at most {} distinct ids", NONE - 1),
                        "more",
                    ));
                }
                *first_seen.entry(id).or_insert(next as u32)
            }
        };
        codes.push(code);
    }
    let mut sorted: Vec<(K, u32)> = first_seen.into_iter().collect();
    sorted.sort_unstable();
    let mut rank = vec![0_u32; sorted.len()];
    for (position, (_, code)) in sorted.iter().enumerate() {
        rank[*code as usize] = position as u32;
    }
    for code in codes.iter_mut().filter(|code| **code != NONE) {
        *code = rank[*code as usize];
    }
    Ok((codes, sorted.into_iter().map(|(id, _)| id).collect()))
}

/// Multiply-and-fold hash of 8 bytes at a time: ids need speed, not resistance, since results do
/// not depend on the hash.
#[derive(Default)]
struct MixHasher(u64);

impl MixHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x2d35_8dcc_aa6c_78a5)
            * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for MixHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes([
                chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
            ]));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0_u8; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word) ^ ((bytes.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_i64(&mut self, word: i64) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ranks() {
        let ids = ["b", "", "a", "B", "b"];
        let coded = code_ids(&(&ids).into(), "events.customer", |_| true).unwrap();
        assert_eq!(coded.codes, [2, NONE, 1, 0, 2]);
        assert_eq!(coded.store, text_store(&["B", "a", "b"]));
    }

    #[test]
    fn dropped_rows_leave_no_id_behind() {
        let ids = [5_i64, -1, 5, 9];
        let coded = code_ids(&(&ids).into(), "events.customer", |row| row != 3).unwrap();
        assert_eq!(coded.codes, [1, 0, 1, NONE]);
        assert_eq!(coded.store, IdStore::Int(vec![-1, 5]));
    }
}
