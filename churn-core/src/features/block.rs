//! A few customers' features, column by column: small enough for the nearest cache, wide enough
//! that whole cache lines go on to the table.

/// Customers of one block.
pub(super) const WIDTH: usize = 32;

/// One feature of the customers of a block.
pub(super) type Column = [f64; WIDTH];

/// One customer's place in the columns of a family of features.
pub(super) struct Out<'b> {
    columns: &'b mut [Column],
    at: usize,
}

impl<'b> Out<'b> {
    /// The place of the customer at `at`, below [`WIDTH`].
    #[inline]
    pub(super) fn new(columns: &'b mut [Column], at: usize) -> Self {
        Out {
            columns,
            at: at % WIDTH,
        }
    }

    /// Puts a feature, counted from the first of the family.
    #[inline(always)]
    pub(super) fn set(&mut self, feature: usize, value: f64) {
        self.columns[feature][self.at] = value;
    }
}
