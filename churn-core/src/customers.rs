//! The row spine that every table shares: sorted unique customer ids.
//!
//! Row *i* is the same customer in every table of one flow. Tables made from different spines
//! never join silently: [`Customers::check_same`] answers `Misaligned`.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// One customer id, as the caller's log spells it.
///
/// Text is compared byte by byte, so ids that differ only in case are different customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustomerId<'a> {
    /// A signed integer id.
    Int(i64),
    /// An unsigned integer id.
    Uint(u64),
    /// A text id, never empty.
    Text(&'a str),
}

impl fmt::Display for CustomerId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CustomerId::Int(id) => id.fmt(f),
            CustomerId::Uint(id) => id.fmt(f),
            CustomerId::Text(id) => f.write_str(id),
        }
    }
}

impl From<i64> for CustomerId<'_> {
    fn from(id: i64) -> Self {
        CustomerId::Int(id)
    }
}

impl From<u64> for CustomerId<'_> {
    fn from(id: u64) -> Self {
        CustomerId::Uint(id)
    }
}

impl<'a> From<&'a str> for CustomerId<'a> {
    fn from(id: &'a str) -> Self {
        CustomerId::Text(id)
    }
}

/// Sorted unique ids of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdStore {
    Int(Vec<i64>),
    Uint(Vec<u64>),
    /// Id *i* is `bytes[offsets[i]..offsets[i + 1]]`.
    Text {
        offsets: Vec<u64>,
        bytes: String,
    },
}

impl IdStore {
    pub(crate) fn len(&self) -> usize {
        match self {
            IdStore::Int(ids) => ids.len(),
            IdStore::Uint(ids) => ids.len(),
            IdStore::Text { offsets, .. } => offsets.len() - 1,
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> CustomerId<'_> {
        match self {
            IdStore::Int(ids) => CustomerId::Int(ids[index]),
            IdStore::Uint(ids) => CustomerId::Uint(ids[index]),
            IdStore::Text { offsets, bytes } => {
                CustomerId::Text(&bytes[offsets[index] as usize..offsets[index + 1] as usize])
            }
        }
    }
}

/// The customers of a table, in ascending order of id; cheap to clone and to share.
///
/// # Example
/// ```
/// use churn_core::{Customers, CustomerId};
/// let customers = Customers::from_texts(["bea", "ann", "bea"]);
/// assert_eq!(customers.len(), 2);
/// assert_eq!(customers.get(0), CustomerId::Text("ann"));
/// assert_eq!(customers.find("bea"), Some(1));
/// ```
#[derive(Clone)]
pub struct Customers {
    store: Arc<IdStore>,
    /// Which ids of the store belong, ascending; `None` = all. A history cut before some
    /// customers' first event shares the store of its log.
    rows: Option<Arc<[u32]>>,
}

impl Customers {
    pub(crate) fn new(store: IdStore) -> Self {
        Customers {
            store: Arc::new(store),
            rows: None,
        }
    }

    /// The customers at these ascending row numbers of this spine.
    pub(crate) fn subset(&self, rows: Vec<u32>) -> Self {
        debug_assert!(rows.is_sorted());
        let rows: Vec<u32> = match &self.rows {
            None => rows,
            Some(own) => rows.iter().map(|row| own[*row as usize]).collect(),
        };
        Customers {
            store: Arc::clone(&self.store),
            rows: (rows.len() < self.store.len()).then(|| rows.into()),
        }
    }

    /// The ids of the log behind this spine, which tell the type of id even where there is no row.
    pub(crate) fn store(&self) -> &IdStore {
        &self.store
    }

    /// The ids that are texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.iter().filter_map(|id| match id {
            CustomerId::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The distinct integers among `ids`, sorted.
    pub fn from_ints(ids: impl IntoIterator<Item = i64>) -> Self {
        let mut ids: Vec<i64> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self::new(IdStore::Int(ids))
    }

    /// The distinct texts among `ids`, sorted by bytes.
    pub fn from_texts<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids: Vec<&str> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self::new(text_store(&ids))
    }

    /// The spine of a table whose rows stand already: the ids must ascend, so that no row changes
    /// its place.
    ///
    /// # Errors
    /// `InvalidValue`, naming the row, for an id that is not above the one before it, is of another
    /// type, or is an empty text.
    ///
    /// # Example
    /// ```
    /// use churn_core::Customers;
    /// assert_eq!(Customers::from_rows(["ann", "bea"])?.len(), 2);
    /// let error = Customers::from_rows([7_u64, 3]).unwrap_err();
    /// assert_eq!(error.to_string(), "customers[1]: expected ids that ascend and differ, got 3");
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn from_rows<'a, I: Into<CustomerId<'a>>>(
        ids: impl IntoIterator<Item = I>,
    ) -> Result<Self> {
        let wrong = |row, expected, got: &dyn fmt::Display| {
            Err(Error::invalid_value("customers", row, expected, got))
        };
        let (mut ints, mut uints, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut before: Option<CustomerId<'a>> = None;
        for (row, id) in ids.into_iter().map(Into::into).enumerate() {
            if id == CustomerId::Text("") {
                return wrong(row, "a customer id", &"nothing");
            }
            if let Some(before) = before {
                if std::mem::discriminant(&before) != std::mem::discriminant(&id) {
                    return wrong(row, "ids of one type", &id);
                }
                if before >= id {
                    return wrong(row, "ids that ascend and differ", &id);
                }
            }
            before = Some(id);
            match id {
                CustomerId::Int(id) => ints.push(id),
                CustomerId::Uint(id) => uints.push(id),
                CustomerId::Text(id) => texts.push(id),
            }
        }
        Ok(Self::new(match before {
            None | Some(CustomerId::Int(_)) => IdStore::Int(ints),
            Some(CustomerId::Uint(_)) => IdStore::Uint(uints),
            Some(CustomerId::Text(_)) => text_store(&texts),
        }))
    }

    /// Number of customers.
    pub fn len(&self) -> usize {
        self.rows
            .as_ref()
            .map_or(self.store.len(), |rows| rows.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a row.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[inline]
    pub fn get(&self, row: usize) -> CustomerId<'_> {
        self.store.get(self.store_row(row))
    }

    /// Row in the id store, which is the row in the log.
    #[inline]
    pub(crate) fn store_row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row] as usize)
    }

    /// Number of rows whose row in the id store is before `store_row`.
    pub(crate) fn rows_before(&self, store_row: usize) -> usize {
        match &self.rows {
            None => store_row.min(self.store.len()),
            Some(rows) => rows.partition_point(|row| (*row as usize) < store_row),
        }
    }

    /// All ids in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = CustomerId<'_>> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The row of an id, or `None`. A whole number is the same customer whether it is signed or not.
    pub fn find<'a>(&self, id: impl Into<CustomerId<'a>>) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let id = match (self.get(0), id.into()) {
            (CustomerId::Uint(_), CustomerId::Int(id)) => CustomerId::Uint(u64::try_from(id).ok()?),
            (CustomerId::Int(_), CustomerId::Uint(id)) => CustomerId::Int(i64::try_from(id).ok()?),
            (_, id) => id,
        };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle) < id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low < self.len() && self.get(low) == id).then_some(low)
    }

    /// Confirms that two tables speak of the same customers in the same rows.
    ///
    /// # Errors
    /// `Misaligned`, naming `what` and the first row that differs.
    pub fn check_same(&self, other: &Customers, what: &str) -> Result<()> {
        let same_store = Arc::ptr_eq(&self.store, &other.store);
        let same_rows = match (&self.rows, &other.rows) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        if same_store && same_rows {
            return Ok(());
        }
        if self.len() != other.len() {
            return Err(Error::misaligned(
                what,
                format_args!("{} customers", self.len()),
                format_args!("{} customers", other.len()),
            ));
        }
        match self.iter().zip(other.iter()).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(row) => Err(Error::misaligned(
                what,
                format_args!("customer {}", self.get(row)),
                format_args!("customer {}", other.get(row)),
            )
            .at_row(row)),
        }
    }
}

/// Packs sorted unique texts.
pub(crate) fn text_store<S: AsRef<str>>(sorted: &[S]) -> IdStore {
    let mut bytes = String::with_capacity(sorted.iter().map(|s| s.as_ref().len()).sum());
    let mut offsets = Vec::with_capacity(sorted.len() + 1);
    offsets.push(0);
    for id in sorted {
        bytes.push_str(id.as_ref());
        offsets.push(bytes.len() as u64);
    }
    IdStore::Text { offsets, bytes }
}

impl PartialEq for Customers {
    fn eq(&self, other: &Self) -> bool {
        self.check_same(other, "customers").is_ok()
    }
}

impl fmt::Debug for Customers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Customers({}", self.len())?;
        for (i, id) in self.iter().take(3).enumerate() {
            write!(f, "{}{id}", if i == 0 { ": " } else { ", " })?;
        }
        f.write_str(if self.len() > 3 { ", …)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn same_ids_are_the_same_spine_however_made() {
        let all = Customers::from_ints([3, 1, 2, 7]);
        let some = all.subset(vec![0, 2]);
        assert_eq!(some, Customers::from_ints([1, 3]));
        assert_eq!(some.subset(vec![1]), Customers::from_ints([3]));
        assert_eq!(some.find(3_i64), Some(1));
        assert_eq!(some.find(2_i64), None);
        assert_eq!(some.get(1), CustomerId::Int(3));
        assert_eq!(format!("{all:?}"), "Customers(4: 1, 2, 3, …)");
    }

    #[test]
    fn rows_that_stand_keep_their_place() {
        let uints = Customers::from_rows([3_u64, u64::MAX]).unwrap();
        assert_eq!(uints.get(1), CustomerId::Uint(u64::MAX));
        assert_eq!(
            Customers::from_rows([-1_i64, 4]).unwrap(),
            Customers::from_ints([4, -1])
        );
        assert_eq!(
            Customers::from_rows(["a", "b"]).unwrap(),
            Customers::from_texts(["b", "a"])
        );
        assert!(Customers::from_rows::<i64>([]).unwrap().is_empty());
        let fails = |ids: &[CustomerId<'_>]| {
            Customers::from_rows(ids.iter().copied())
                .unwrap_err()
                .to_string()
        };
        let (int, text) = (CustomerId::Int, CustomerId::Text);
        assert_eq!(
            fails(&[int(1), int(1)]),
            "customers[1]: expected ids that ascend and differ, got 1"
        );
        assert_eq!(
            fails(&[int(1), text("a")]),
            "customers[1]: expected ids of one type, got a"
        );
        assert_eq!(
            fails(&[text("")]),
            "customers[0]: expected a customer id, got nothing"
        );
    }

    #[test]
    fn differing_spines_are_misaligned_at_a_row() {
        let error = Customers::from_texts(["a", "b"])
            .check_same(&Customers::from_texts(["a", "B"]), "scores")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
        assert_eq!(error.row(), Some(0));
        assert!(Customers::from_texts([]).is_empty());
    }
}
