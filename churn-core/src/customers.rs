//! The row spine that every table shares: sorted unique customer ids.
//!
//! Row *i* is the same customer in every table of one flow. Tables made from different spines
//! never join silently: [`Customers::check_same`] answers `Misaligned`.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

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

    /// The ids where they are signed integers, else nothing.
    #[cfg(feature = "arrow")]
    pub(crate) fn ints(&self) -> &[i64] {
        match self {
            IdStore::Int(ids) => ids,
            _ => &[],
        }
    }

    /// The ids where they are unsigned integers, else nothing.
    #[cfg(feature = "arrow")]
    pub(crate) fn uints(&self) -> &[u64] {
        match self {
            IdStore::Uint(ids) => ids,
            _ => &[],
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

/// Where an id stands, or would stand, among others that ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of ids before it.
    pub(crate) row: u32,
    /// Whether it is one of them.
    pub(crate) known: bool,
}

impl IdStore {
    /// Where the ids of `other` stand in this store; `None` for ids of another type.
    pub(crate) fn places(&self, other: &IdStore) -> Option<Vec<Place>> {
        let (n, m) = (self.len(), other.len());
        Some(match (self, other) {
            (IdStore::Int(known), IdStore::Int(ids)) => places(n, m, |i| known[i], |i| ids[i]),
            (IdStore::Uint(known), IdStore::Uint(ids)) => places(n, m, |i| known[i], |i| ids[i]),
            (IdStore::Text { .. }, IdStore::Text { .. }) => {
                places(n, m, |i| self.get(i), |i| other.get(i))
            }
            _ => return None,
        })
    }

    /// Puts those ids of `other`, which is of the same type, to their places that are not known.
    fn insert(&mut self, other: &IdStore, places: &[Place]) {
        let new = || unknown(places).map(|(i, place)| (place.row as usize, i));
        match (self, other) {
            (IdStore::Int(ids), IdStore::Int(from)) => {
                insert_all(ids, new().map(|(row, i)| (row, from[i])));
            }
            (IdStore::Uint(ids), IdStore::Uint(from)) => {
                insert_all(ids, new().map(|(row, i)| (row, from[i])));
            }
            (
                IdStore::Text { offsets, bytes },
                IdStore::Text {
                    offsets: from_offsets,
                    bytes: from,
                },
            ) => {
                let text = |i: usize| from_offsets[i] as usize..from_offsets[i + 1] as usize;
                let more = new().map(|(_, i)| text(i).len()).sum::<usize>();
                let mut all = std::mem::take(bytes).into_bytes();
                let mut end = all.len();
                lengthen(&mut all, more, 0);
                // From the back, so that everything moves once.
                let mut to = all.len();
                for (row, i) in new().rev() {
                    let (start, text) = (offsets[row] as usize, &from.as_bytes()[text(i)]);
                    all.copy_within(start..end, to - (end - start));
                    to -= end - start;
                    all[to - text.len()..to].copy_from_slice(text);
                    to -= text.len();
                    end = start;
                }
                // Whole texts between whole texts are valid UTF-8.
                *bytes = String::from_utf8(all)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                let (mut end, mut left, mut shift) = (offsets.len(), new().count(), more as u64);
                lengthen(offsets, left, 0);
                for (row, i) in new().rev() {
                    let start = offsets[row];
                    for j in (row..end).rev() {
                        offsets[j + left] = offsets[j] + shift;
                    }
                    shift -= text(i).len() as u64;
                    left -= 1;
                    offsets[row + left] = start + shift;
                    end = row;
                }
            }
            _ => {}
        }
    }
}

/// The places of what is not known, with their numbers.
pub(crate) fn unknown(
    places: &[Place],
) -> impl DoubleEndedIterator<Item = (usize, Place)> + Clone + '_ {
    let all = places.iter().copied().enumerate();
    all.filter(|(_, place)| !place.known)
}

/// Ids that one thread looks for at a time.
const SEARCH: usize = 1 << 11;

fn places<K: Ord>(
    known: usize,
    ids: usize,
    get: impl Fn(usize) -> K + Sync,
    id: impl Fn(usize) -> K + Sync,
) -> Vec<Place> {
    let search = |chunk: usize| {
        let mut from = 0;
        let mut places = Vec::with_capacity(SEARCH.min(ids));
        for i in chunk * SEARCH..ids.min((chunk + 1) * SEARCH) {
            let id = id(i);
            // Ids ascend, so the next one is likely not far behind the last.
            let (mut end, mut step) = (from, 1);
            while end < known && get(end) < id {
                from = end + 1;
                end += step;
                step *= 2;
            }
            let mut end = end.min(known);
            while from < end {
                let middle = from + (end - from) / 2;
                if get(middle) < id {
                    from = middle + 1;
                } else {
                    end = middle;
                }
            }
            places.push(Place {
                row: from as u32,
                known: from < known && get(from) == id,
            });
        }
        places
    };
    match ids.div_ceil(SEARCH) {
        0 => Vec::new(),
        1 => search(0),
        chunks => {
            let found: Vec<Vec<Place>> = (0..chunks).into_par_iter().map(search).collect();
            found.concat()
        }
    }
}

/// Puts cells before the ones at these ascending places, which move up.
pub(crate) fn insert_all<T: Copy>(
    cells: &mut Vec<T>,
    new: impl DoubleEndedIterator<Item = (usize, T)> + Clone,
) {
    let Some((_, filler)) = new.clone().next() else {
        return;
    };
    let (mut end, mut left) = (cells.len(), new.clone().count());
    lengthen(cells, left, filler);
    // From the back, so that everything moves once.
    for (place, cell) in new.rev() {
        cells.copy_within(place..end, place + left);
        left -= 1;
        cells[place + left] = cell;
        end = place;
    }
}

/// Adds cells; room for more is made rarely, but far from the double that a vector takes by itself.
fn lengthen<T: Copy>(cells: &mut Vec<T>, more: usize, filler: T) {
    let len = cells.len() + more;
    if len > cells.capacity() {
        cells.reserve_exact(more.max(cells.len() / 8));
    }
    cells.resize(len, filler);
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

    /// The same as shared memory, where its rows are those of this spine.
    #[cfg(feature = "arrow")]
    pub(crate) fn shared_store(&self) -> Option<Arc<IdStore>> {
        self.rows.is_none().then(|| Arc::clone(&self.store))
    }

    /// Adds those ids that the places say are not known; this spine must be that of a log, and the
    /// ids of its type.
    pub(crate) fn insert(&mut self, ids: &Customers, places: &[Place]) {
        debug_assert!(self.rows.is_none() && ids.rows.is_none());
        if places.iter().all(|place| place.known) {
            return;
        }
        if self.store.len() == 0 {
            self.store = Arc::clone(&ids.store);
            return;
        }
        Arc::make_mut(&mut self.store).insert(&ids.store, places);
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
