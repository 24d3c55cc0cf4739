//! Ids to dense codes: code *i* is the *i*-th id in ascending order, whatever order they came in.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rayon::prelude::*;

use super::NO_ORDER;
use super::check::is_missing;
use super::columns::{IdCells, IdColumn, TextCells, TextColumn, is_valid};
use super::partition::{Bucket, NO_BUCKET, bucket_count, chunk_rows, scatter_rows};
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
    keep: impl Fn(usize) -> bool + Sync,
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
        IdCells::Text(TextCells::Coded { codes, names }) => {
            let (codes, ids) = code_dictionary(codes, names, |row| {
                keep(row) && is_valid(&column.valid, row)
            });
            let store = text_store(&ids);
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

/// Codes a column of few names (channels) over the kept rows in one byte each; empty names and
/// rows without name get `none`, which also bounds the number of names.
pub(super) fn code_few_names(
    column: &TextColumn<'_>,
    what: &str,
    none: u8,
    keep: impl Fn(usize) -> bool + Sync,
) -> Result<(Vec<u8>, Vec<String>)> {
    let name = |row: usize| -> Option<&str> {
        if !keep(row) || !is_valid(&column.valid, row) {
            return None;
        }
        column.cells.get(row).filter(|name| !name.is_empty())
    };
    if let TextCells::Coded { codes, names } = &column.cells {
        let keep = |row| keep(row) && is_valid(&column.valid, row);
        let (ranks, names) = rank_used(codes, names, keep);
        check_few(names.len(), what, none)?;
        let code = |row: usize| match ranks.get(codes[row] as usize) {
            Some(rank) if *rank != NONE && keep(row) => *rank as u8,
            _ => none,
        };
        let codes = (0..codes.len())
            .into_par_iter()
            .with_min_len(1 << 14)
            .map(code)
            .collect();
        return Ok((codes, names));
    }
    let rows = column.cells.len();
    let chunk = chunk_rows(rows);
    let distinct: Vec<NameSet<'_>> = (0..rows.div_ceil(chunk))
        .into_par_iter()
        .map(|i| {
            let mut seen = NameSet::default();
            for row in i * chunk..((i + 1) * chunk).min(rows) {
                if let Some(name) = name(row)
                    && !seen.contains(name)
                {
                    seen.insert(name);
                }
            }
            seen
        })
        .collect();
    let mut names: Vec<&str> = distinct.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    check_few(names.len(), what, none)?;
    let ranks: HashMap<&str, u8, BuildHasherDefault<MixHasher>> = names
        .iter()
        .enumerate()
        .map(|(rank, name)| (*name, rank as u8))
        .collect();
    let mut codes = vec![0_u8; rows];
    codes
        .par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(i, codes)| {
            for (j, code) in codes.iter_mut().enumerate() {
                *code = name(i * chunk + j).map_or(none, |name| ranks[name]);
            }
        });
    Ok((codes, names.into_iter().map(str::to_owned).collect()))
}

pub(super) fn check_few(names: usize, what: &str, limit: u8) -> Result<()> {
    if names > usize::from(limit) {
        let expected = format_args!("at most {limit} distinct names");
        return Err(Error::invalid_parameter(what, expected, names));
    }
    Ok(())
}

type NameSet<'a> = HashSet<&'a str, BuildHasherDefault<MixHasher>>;

/// Codes by partition: rows are scattered by the hash of their id, each partition numbers its own
/// distinct ids in a table that stays in cache, the distinct ids are sorted, and every row gets
/// the rank of its id.
fn code<K: Copy + Ord + Hash + Send + Sync>(
    rows: usize,
    what: &str,
    id: impl Fn(usize) -> Option<K> + Sync,
) -> Result<(Vec<u32>, Vec<K>)> {
    let partitions = bucket_count(rows);
    let chunk = chunk_rows(rows);
    let mut buckets = vec![NO_BUCKET; rows];
    buckets
        .par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(i, buckets)| {
            for (j, bucket) in buckets.iter_mut().enumerate() {
                if let Some(id) = id(i * chunk + j) {
                    // The high half of the hash picks the partition, the low half the slot inside.
                    *bucket = (((hash(&id) >> 32) * partitions as u64) >> 32) as u16;
                }
            }
        });
    let scattered = scatter_rows(&buckets, partitions, |_| Ok(()))?;
    let parts = scattered.into_buckets();
    let parts: Vec<&[u32]> = parts.iter().map(Bucket::records).collect();

    // Per partition: its distinct ids, and the local code of each of its rows.
    let (mut distinct, local): (Vec<Distinct<K>>, Vec<Vec<u32>>) = parts
        .par_iter()
        .enumerate()
        .map(|(partition, part)| {
            let mut table: HashMap<K, u32, BuildHasherDefault<MixHasher>> = HashMap::default();
            let mut distinct = Vec::new();
            let local = part
                .iter()
                .filter_map(|row| id(*row as usize))
                .map(|id| {
                    *table.entry(id).or_insert_with(|| {
                        distinct.push((id, partition as u32, distinct.len() as u32));
                        distinct.len() as u32 - 1
                    })
                })
                .collect();
            (distinct, local)
        })
        .unzip();
    let mut ranks: Vec<Vec<u32>> = distinct.iter().map(|ids| vec![0; ids.len()]).collect();
    let mut sorted: Vec<(K, u32, u32)> = distinct.drain(..).flatten().collect();
    if sorted.len() >= NONE as usize {
        return Err(Error::invalid_parameter(
            what,
            format_args!("at most {} distinct ids", NONE - 1),
            sorted.len(),
        ));
    }
    sorted.par_sort_unstable();
    for (rank, (_, partition, code)) in sorted.iter().enumerate() {
        ranks[*partition as usize][*code as usize] = rank as u32;
    }
    let codes: Vec<AtomicU32> = (0..rows)
        .into_par_iter()
        .map(|_| AtomicU32::new(NONE))
        .collect();
    parts
        .par_iter()
        .zip(&local)
        .zip(&ranks)
        .for_each(|((part, local), ranks)| {
            for (row, code) in part.iter().zip(local) {
                codes[*row as usize].store(ranks[*code as usize], Ordering::Relaxed);
            }
        });
    let codes = codes.into_iter().map(AtomicU32::into_inner).collect();
    Ok((codes, sorted.into_iter().map(|(id, _, _)| id).collect()))
}

/// Distinct ids of one partition, each with its partition and its code there.
type Distinct<K> = Vec<(K, u32, u32)>;

/// The hash of a text, written out because files hold it: it must not follow changes of `Hash`.
pub(super) fn text_hash(text: &str) -> u64 {
    let mut hasher = MixHasher::default();
    hasher.write(text.as_bytes());
    hasher.write_u8(0xff);
    hasher.finish()
}

/// The hash of an integer id, likewise.
pub(super) fn word_hash(word: u64) -> u64 {
    let mut hasher = MixHasher::default();
    hasher.write_u64(word);
    hasher.finish()
}

fn hash<K: Hash>(id: &K) -> u64 {
    let mut hasher = MixHasher::default();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Codes a dictionary column of ids.
fn code_dictionary(
    codes: &[u32],
    names: &[Cow<'_, str>],
    keep: impl Fn(usize) -> bool + Sync,
) -> (Vec<u32>, Vec<String>) {
    let (ranks, sorted) = rank_used(codes, names, &keep);
    let code = |row: usize| match ranks.get(codes[row] as usize) {
        Some(rank) if keep(row) => *rank,
        _ => NONE,
    };
    let codes = (0..codes.len())
        .into_par_iter()
        .with_min_len(1 << 14)
        .map(code)
        .collect();
    (codes, sorted)
}

/// The distinct names of a dictionary that kept rows use, sorted, and the rank of each dictionary
/// entry among them ([`NONE`] where it is empty or unused): each name is compared once, not per
/// row.
fn rank_used(
    codes: &[u32],
    names: &[Cow<'_, str>],
    keep: impl Fn(usize) -> bool + Sync,
) -> (Vec<u32>, Vec<String>) {
    let used: Vec<AtomicBool> = names.iter().map(|_| AtomicBool::new(false)).collect();
    (0..codes.len())
        .into_par_iter()
        .with_min_len(1 << 14)
        .for_each(|row| {
            // Reading first keeps the cache line shared once every name has been seen.
            if let Some(used) = used.get(codes[row] as usize)
                && keep(row)
                && !used.load(Ordering::Relaxed)
            {
                used.store(true, Ordering::Relaxed);
            }
        });
    let mut sorted: Vec<&str> = names
        .iter()
        .zip(&used)
        .filter(|(name, used)| used.load(Ordering::Relaxed) && !name.is_empty())
        .map(|(name, _)| name.as_ref())
        .collect();
    sorted.par_sort_unstable();
    sorted.dedup();
    let ranks = names
        .par_iter()
        .map(|name| {
            sorted
                .binary_search(&name.as_ref())
                .map_or(NONE, |rank| rank as u32)
        })
        .collect();
    (ranks, sorted.into_iter().map(str::to_owned).collect())
}

/// Order ids as integers that are equal for equal ids.
///
/// Orders are only ever compared with other orders of one customer. Integer ids stay themselves up
/// to a mix that has an inverse; texts become a 64-bit fingerprint, under which two of a
/// customer's n orders coincide with a probability of about n² / 2⁶⁵. In return orders need no
/// dictionary, which would have to be renumbered with every appended batch.
pub(super) struct Orders<'c>(&'c IdColumn<'c>);

impl<'c> Orders<'c> {
    pub(super) fn new(column: &'c IdColumn<'c>) -> Self {
        Orders(column)
    }

    /// The order of a row, [`NO_ORDER`] where it has none.
    #[inline]
    pub(super) fn fingerprint(&self, row: usize) -> u64 {
        match self.word(row) {
            None => NO_ORDER,
            // An odd factor is a bijection; the one id that lands on the reserved value gives way.
            Some(id) => id.wrapping_mul(0x9e37_79b9_7f4a_7c15).min(NO_ORDER - 1),
        }
    }

    /// The order of a row as an integer id that has the same fingerprint.
    #[inline]
    pub(super) fn word(&self, row: usize) -> Option<u64> {
        if !is_valid(&self.0.valid, row) {
            return None;
        }
        match &self.0.cells {
            IdCells::Int(ids) => Some(ids[row] as u64),
            IdCells::Uint(ids) => Some(ids[row]),
            IdCells::Text(cells) => cells.get(row).filter(|id| !id.is_empty()).map(text_hash),
        }
    }
}

/// Multiply-and-fold hash of 8 bytes at a time: ids need speed, not resistance, since results do
/// not depend on the hash.
#[derive(Default)]
pub(super) struct MixHasher(u64);

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

    /// Files hold these.
    #[test]
    fn hashes_never_change() {
        assert_eq!(text_hash("ann"), 0x0915_730a_9ffa_c1ae);
        assert_eq!(text_hash("an order of many bytes"), 0x71aa_ca96_91a8_eabf);
        assert_eq!(word_hash(7), 0x640e_4f1f_1873_20b9);
    }

    #[test]
    fn dropped_rows_leave_no_id_behind() {
        let ids = [5_i64, -1, 5, 9];
        let coded = code_ids(&(&ids).into(), "events.customer", |row| row != 3).unwrap();
        assert_eq!(coded.codes, [1, 0, 1, NONE]);
        assert_eq!(coded.store, IdStore::Int(vec![-1, 5]));
    }
}
