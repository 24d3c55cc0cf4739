//! The row spine that every table shares.

use churn_core::{CustomerId, Error, ErrorKind, customers};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};

use crate::convert::{self, Ids};
use crate::errors::{OrRaise, no_such_row, wrong_type};

/// Sorted unique ids: row i of every table is customer i.
#[pyclass(frozen, module = "churn", eq)]
#[derive(PartialEq)]
pub(crate) struct Customers {
    ids: customers::Customers,
}

impl Customers {
    pub(crate) fn new(ids: &customers::Customers) -> Self {
        Customers { ids: ids.clone() }
    }
}

/// Customers from ids that must ascend: rows stand in the order of the ids everywhere.
pub(crate) fn read(ids: &Bound<'_, PyAny>) -> PyResult<customers::Customers> {
    let py = ids.py();
    if let Ok(customers) = ids.cast::<Customers>() {
        return Ok(customers.get().ids.clone());
    }
    match convert::ids("customers", ids)? {
        Ids::Ints(ids) => customers::Customers::from_rows(ids),
        Ids::Uints(ids) => customers::Customers::from_rows(ids),
        Ids::Texts(ids) => customers::Customers::from_rows(ids.iter().map(String::as_str)),
    }
    .or_raise(py)
}

/// The row of an id given as Python has it, or `None`.
pub(crate) fn find(ids: &customers::Customers, id: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if ids.is_empty() {
        return Ok(None);
    }
    // All ids are of one type; an id of another type is nobody's.
    Ok(match ids.get(0) {
        CustomerId::Int(_) => id.extract::<i64>().ok().and_then(|id| ids.find(id)),
        CustomerId::Uint(_) => id.extract::<u64>().ok().and_then(|id| ids.find(id)),
        CustomerId::Text(_) => match id.cast::<PyString>() {
            Ok(id) => ids.find(id.to_cow()?.as_ref()),
            Err(_) => None,
        },
    })
}

/// The row of a customer who must be there.
pub(crate) fn row(ids: &customers::Customers, id: &Bound<'_, PyAny>) -> PyResult<usize> {
    match find(ids, id)? {
        Some(row) => Ok(row),
        // Thousands of ids in a message help nobody.
        None => Err(Error::new(
            ErrorKind::UnknownName,
            "customer",
            format_args!("one of {} customers", ids.len()),
            id.repr()?,
        ))
        .or_raise(id.py()),
    }
}

/// Rows of customers who must be there, ascending, from a spine or from ids in any order.
pub(crate) fn rows(ids: &customers::Customers, wanted: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let mut rows = Vec::new();
    if let Ok(wanted) = wanted.cast::<Customers>() {
        for id in wanted.get().ids.iter() {
            let Some(row) = ids.find(id) else {
                return self::row(ids, &convert::id(wanted.py(), id)?).map(|row| vec![row]);
            };
            rows.push(row);
        }
        return Ok(rows);
    }
    let Ok(wanted) = wanted.try_iter() else {
        return Err(wrong_type("touched", "customers or a list of ids", wanted));
    };
    for id in wanted {
        rows.push(row(ids, &id?)?);
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

#[pymethods]
impl Customers {
    fn __len__(&self) -> usize {
        self.ids.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, row: isize) -> PyResult<Bound<'py, PyAny>> {
        // Negative rows count back from the end, as in a list.
        let from_end = if row < 0 { self.ids.len() } else { 0 };
        match from_end.checked_add_signed(row) {
            Some(place) if place < self.ids.len() => convert::id(py, self.ids.get(place)),
            _ => Err(no_such_row("customers", self.ids.len(), row)),
        }
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(find(&self.ids, id)?.is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.to_list(py)?.try_iter()
    }

    /// Row of a customer.
    fn row(&self, customer: &Bound<'_, PyAny>) -> PyResult<usize> {
        row(&self.ids, customer)
    }

    /// All ids as a list.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for id in self.ids.iter() {
            list.append(convert::id(py, id)?)?;
        }
        Ok(list)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.ids)
    }
}
