//! A column of the log in pieces: one after a build, a few more after appends.
//!
//! A piece never moves once it is there, so that new events need room for themselves and nothing
//! else, and memory behind a piece is not touched before it is written.

use super::Span;

/// The cells of one column.
#[derive(Debug, Clone)]
pub(super) struct Column<T>(Vec<Vec<T>>);

impl<T> From<Vec<T>> for Column<T> {
    fn from(cells: Vec<T>) -> Self {
        Column(vec![cells])
    }
}

impl<T: Copy + Default> Column<T> {
    /// A column with the pieces of another one and the same value everywhere.
    pub(super) fn like<U>(other: &Column<U>, value: T) -> Self {
        Column(other.0.iter().map(|p| vec![value; p.len()]).collect())
    }

    /// The events of a span.
    #[inline]
    pub(super) fn of(&self, span: Span) -> &[T] {
        &self.0[span.piece as usize][span.range()]
    }

    /// Adds a piece of so many cells.
    pub(super) fn add(&mut self, cells: usize) {
        self.0.push(vec![T::default(); cells]);
    }

    /// Length of the last piece.
    pub(super) fn last_len(&self) -> usize {
        self.0.last().map_or(0, Vec::len)
    }

    /// Number of pieces.
    pub(super) fn pieces(&self) -> usize {
        self.0.len()
    }

    /// All pieces, to write into.
    pub(super) fn pieces_mut(&mut self) -> &mut [Vec<T>] {
        &mut self.0
    }
}
