//! The tables in pieces: of each table, the rows that belong to one chunk of customers.

use crate::events::History;
use crate::features::block::Column;
use crate::features::chunks::{self, CHUNK};

/// The rows of one table that belong to one chunk of customers, column by column.
pub(super) struct Piece<'t> {
    columns: Vec<&'t mut [f64]>,
    /// First row in the table.
    first: usize,
    /// Rows written so far.
    done: usize,
}

impl Piece<'_> {
    /// Row in the table of what is written next, behind so many customers of a block.
    #[inline]
    pub(super) fn row(&self, behind: usize) -> usize {
        self.first + self.done + behind
    }

    /// Writes the first customers of a block into these columns, which have those places in it.
    pub(super) fn write(&mut self, places: &[(usize, usize)], block: &[Column], customers: usize) {
        if customers == 0 {
            return;
        }
        let rows = self.done..self.done + customers;
        for (column, slot) in places {
            self.columns[*column][rows.clone()].copy_from_slice(&block[*slot][..customers]);
        }
        self.done = rows.end;
    }

    /// Begins again, for other columns.
    pub(super) fn rewind(&mut self) {
        self.done = 0;
    }
}

/// Gives each chunk of customers, as the last history counts them, its rows of the columns of every
/// history.
pub(super) fn split<'t>(
    last: &History<'_>,
    histories: &[History<'_>],
    columns: Vec<Vec<&'t mut [f64]>>,
) -> Vec<Vec<Piece<'t>>> {
    let n = last.customers().len();
    let mut chunks: Vec<Vec<Piece<'t>>> = Vec::new();
    chunks.resize_with(chunks::count(n), || Vec::with_capacity(histories.len()));
    for (history, columns) in histories.iter().zip(columns) {
        let mut end = 0;
        let mut lens = Vec::with_capacity(chunks.len());
        for (chunk, pieces) in chunks.iter_mut().enumerate() {
            let first = end;
            end = match (chunk + 1) * CHUNK {
                next if next < n => history.rows_before(last.customers().store_row(next)),
                _ => history.customers().len(),
            };
            lens.push(end - first);
            pieces.push(Piece {
                columns: Vec::with_capacity(columns.len()),
                first,
                done: 0,
            });
        }
        for mut column in columns {
            for (pieces, len) in chunks.iter_mut().zip(&lens) {
                let (own, rest) = column.split_at_mut(*len);
                column = rest;
                if let Some(piece) = pieces.last_mut() {
                    piece.columns.push(own);
                }
            }
        }
    }
    chunks
}
