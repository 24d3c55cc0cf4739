//! What a learned model reads: named columns, numeric or categorical, with missing cells.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::features::FeatureTable;

/// The code of a missing cell in a categorical column.
pub const MISSING_LEVEL: u32 = u32::MAX;

/// One column of a [`Frame`].
#[derive(Debug, Clone, PartialEq)]
pub enum Column<'a> {
    /// Numbers; NaN = missing, infinity is refused.
    Numeric(Cow<'a, [f64]>),
    /// Codes of named levels; [`MISSING_LEVEL`] = missing.
    Categorical {
        /// Index into `levels`, one per row.
        codes: Cow<'a, [u32]>,
        /// The names of the levels, all different.
        levels: Cow<'a, [String]>,
    },
}

impl Column<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Numeric(values) => values.len(),
            Column::Categorical { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells at these places, in this order, copied.
    pub(crate) fn take(&self, places: &[usize]) -> Column<'static> {
        match self {
            Column::Numeric(values) => {
                let taken: Vec<f64> = places.iter().map(|row| values[*row]).collect();
                Column::Numeric(taken.into())
            }
            Column::Categorical { codes, levels } => {
                let taken: Vec<u32> = places.iter().map(|row| codes[*row]).collect();
                Column::Categorical {
                    codes: taken.into(),
                    levels: levels.clone().into_owned().into(),
                }
            }
        }
    }

    fn check(&self, name: &str) -> Result<()> {
        match self {
            Column::Numeric(values) => match values.iter().position(|v| v.is_infinite()) {
                None => Ok(()),
                Some(row) => Err(Error::invalid_value(
                    name,
                    row,
                    "a finite number or NaN",
                    values[row],
                )),
            },
            Column::Categorical { codes, levels } => {
                let known = levels.len();
                let wrong = |code: &u32| *code != MISSING_LEVEL && *code as usize >= known;
                if let Some(row) = codes.iter().position(wrong) {
                    return Err(Error::invalid_value(
                        name,
                        row,
                        format_args!("a level below {known}"),
                        codes[row],
                    ));
                }
                let mut seen = HashSet::new();
                match levels.iter().find(|level| !seen.insert(level.as_str())) {
                    None => Ok(()),
                    Some(level) => Err(Error::invalid_parameter(
                        format!("{name}.levels"),
                        "names that differ",
                        format_args!("{level:?} twice"),
                    )),
                }
            }
        }
    }
}

/// Named columns of equal length, checked once; what models are fitted on and predict from.
///
/// Shape: `rows` × `columns`, column-major. Borrows what the caller already has.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{Column, Frame};
/// let frame = Frame::new(vec![
///     ("tenure".into(), Column::Numeric(vec![1.0, f64::NAN].into())),
///     ("contract".into(), Column::Categorical {
///         codes: vec![0, 1].into(),
///         levels: vec!["monthly".into(), "yearly".into()].into(),
///     }),
/// ])?;
/// assert_eq!(frame.rows(), 2);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Frame<'a> {
    names: Vec<String>,
    columns: Vec<Column<'a>>,
    rows: usize,
}

impl<'a> Frame<'a> {
    /// A frame of columns with their names.
    ///
    /// # Errors
    /// `NotEnoughData` without any column; `LengthMismatch` for columns of different lengths;
    /// `InvalidParameter` for a name or a level that occurs twice; `InvalidValue`, naming column
    /// and row, for an infinite number or a code without a level.
    pub fn new(columns: Vec<(String, Column<'a>)>) -> Result<Self> {
        let Some((_, first)) = columns.first() else {
            return Err(Error::not_enough_data("frame", "at least one column", 0));
        };
        let rows = first.len();
        let mut seen = HashSet::new();
        for (name, column) in &columns {
            if !seen.insert(name.as_str()) {
                return Err(Error::invalid_parameter(
                    "frame.names",
                    "names that differ",
                    format_args!("{name:?} twice"),
                ));
            }
            if column.len() != rows {
                return Err(Error::length_mismatch(name.as_str(), rows, column.len()));
            }
            column.check(name)?;
        }
        let (names, columns) = columns.into_iter().unzip();
        Ok(Frame {
            names,
            columns,
            rows,
        })
    }

    /// The columns of a feature table, without copying.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_table(table: &'a FeatureTable) -> Result<Self> {
        let column = |j| Column::Numeric(Cow::Borrowed(table.column_at(j)));
        let names = table.names().enumerate();
        Frame::new(
            names
                .map(|(j, name)| (name.to_owned(), column(j)))
                .collect(),
        )
    }

    /// The rows at these places, in this order, copied.
    ///
    /// # Panics
    /// If a place is not below [`rows`](Self::rows).
    pub fn take(&self, places: &[usize]) -> Frame<'static> {
        Frame {
            names: self.names.clone(),
            columns: self
                .columns
                .iter()
                .map(|column| column.take(places))
                .collect(),
            rows: places.len(),
        }
    }

    /// The same frame with another column in place of one, for questions of the kind "what if".
    pub(crate) fn replace(
        &self,
        name: &str,
        make: impl FnOnce(&Column<'a>) -> Column<'a>,
    ) -> Result<Frame<'a>> {
        let made = make(self.column(name)?);
        let columns = self.names.iter().zip(&self.columns);
        let columns = columns.map(|(known, column)| {
            let column = if known == name {
                made.clone()
            } else {
                column.clone()
            };
            (known.clone(), column)
        });
        Frame::new(columns.collect())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names of the columns in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns in order.
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    /// One column by name.
    ///
    /// # Errors
    /// `UnknownName` if there is no such column.
    pub fn column(&self, name: &str) -> Result<&Column<'a>> {
        match self.names.iter().position(|known| known == name) {
            Some(j) => Ok(&self.columns[j]),
            None => Err(Error::unknown_name("column", name, &self.names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn numeric(values: &[f64]) -> Column<'static> {
        Column::Numeric(values.to_vec().into())
    }

    #[test]
    fn mistakes_name_the_place() {
        let frame = |columns: Vec<(&str, Column<'static>)>| {
            let named = columns.into_iter().map(|(n, c)| (n.to_owned(), c));
            Frame::new(named.collect()).unwrap_err()
        };
        let error = frame(vec![("a", numeric(&[1.0, f64::INFINITY]))]);
        assert_eq!(
            error.to_string(),
            "a[1]: expected a finite number or NaN, got inf"
        );
        let error = frame(vec![("a", numeric(&[1.0])), ("a", numeric(&[1.0]))]);
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        let error = frame(vec![("a", numeric(&[1.0])), ("b", numeric(&[]))]);
        assert_eq!(error.kind(), ErrorKind::LengthMismatch);
        assert_eq!(frame(vec![]).kind(), ErrorKind::NotEnoughData);
        let codes = Column::Categorical {
            codes: vec![0, MISSING_LEVEL, 2].into(),
            levels: vec!["x".to_owned(), "y".to_owned()].into(),
        };
        assert_eq!(frame(vec![("c", codes)]).row(), Some(2));
    }
}
