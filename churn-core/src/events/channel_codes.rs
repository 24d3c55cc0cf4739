//! Small codes for the channels of one chunk of rows, whatever form the column has; what they stand
//! for is settled once all chunks are known.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::NO_CHANNEL;
use super::check::Pick;
use super::columns::{TextCells, TextColumn, is_valid};
use super::ids::MixHasher;

/// Small codes for the channels of one chunk, in the order of their first rows.
#[derive(Default)]
pub(super) struct ChannelCodes<'c> {
    /// Those beyond the number that a log may have are only counted.
    pub(super) names: Vec<&'c str>,
    by_name: HashMap<&'c str, u8, BuildHasherDefault<MixHasher>>,
    /// Of each entry of the dictionary.
    by_entry: Vec<Option<u8>>,
    /// Entries that have one.
    entries: Vec<usize>,
}

impl<'c> ChannelCodes<'c> {
    /// Begins a chunk.
    pub(super) fn start(&mut self) {
        self.names.clear();
        self.by_name.clear();
        for entry in self.entries.drain(..) {
            self.by_entry[entry] = None;
        }
    }

    fn code(&mut self, name: &'c str) -> u8 {
        if name.is_empty() {
            return NO_CHANNEL;
        }
        *self.by_name.entry(name).or_insert_with(|| {
            self.names.push(name);
            (self.names.len() - 1).min(usize::from(NO_CHANNEL) - 1) as u8
        })
    }

    /// The codes of the rows of a block that enter.
    pub(super) fn fill(
        &mut self,
        column: &'c TextColumn<'_>,
        pick: Pick<'_>,
        usable: &[bool],
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.resize(usable.len(), NO_CHANNEL);
        let enters = |i: usize, row: usize| usable[i] && is_valid(&column.valid, row);
        match &column.cells {
            TextCells::Coded { codes, names } => {
                self.by_entry.resize(names.len(), None);
                for (i, code) in out.iter_mut().enumerate() {
                    let row = pick.row(i);
                    if !enters(i, row) {
                        continue;
                    }
                    let entry = codes[row] as usize;
                    *code = match self.by_entry.get(entry) {
                        Some(Some(code)) => *code,
                        Some(None) => {
                            let code = self.code(names[entry].as_ref());
                            self.by_entry[entry] = Some(code);
                            self.entries.push(entry);
                            code
                        }
                        None => NO_CHANNEL,
                    };
                }
            }
            cells => {
                for (i, code) in out.iter_mut().enumerate() {
                    let row = pick.row(i);
                    if enters(i, row)
                        && let Some(name) = cells.get(row)
                    {
                        *code = self.code(name);
                    }
                }
            }
        }
    }
}
