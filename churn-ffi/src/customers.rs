//! The row spine of every table: which customer stands in which row.

use std::ffi::c_char;

use churn_core::{CustomerId, Customers, Error, ErrorKind};

use crate::columns::strs;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard, in_range};

/// Ids are signed integers.
pub const CHURN_ID_INT64: i32 = 1;
/// Ids are unsigned integers.
pub const CHURN_ID_UINT64: i32 = 2;
/// Ids are texts in UTF-8.
pub const CHURN_ID_TEXT: i32 = 3;

/// The customers of a table in ascending order of id. Those read from a table belong to it and must
/// not be freed; those made with churn_customers_from_… are freed with churn_customers_free.
pub struct churn_customers(Customers);

impl churn_customers {
    pub(crate) fn new(customers: &Customers) -> Self {
        churn_customers(customers.clone())
    }

    pub(crate) fn customers(&self) -> &Customers {
        &self.0
    }
}

/// Customers of a caller's own table whose ids are signed integers, one per row. Fails with
/// CHURN_INVALID_VALUE, naming the row, where the ids do not ascend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_from_int64(
    ids: *const i64,
    rows: usize,
    customers: *mut *mut churn_customers,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `rows` ids, and NULL or a place for one pointer.
        let (ids, out) = unsafe {
            (
                guard::slice(ids, rows, "ids")?,
                Out::new(customers, "customers")?,
            )
        };
        out.write_handle(churn_customers(Customers::from_rows(ids.iter().copied())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Customers whose ids are unsigned integers. The rest is as for churn_customers_from_int64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_from_uint64(
    ids: *const u64,
    rows: usize,
    customers: *mut *mut churn_customers,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `rows` ids, and NULL or a place for one pointer.
        let (ids, out) = unsafe {
            (
                guard::slice(ids, rows, "ids")?,
                Out::new(customers, "customers")?,
            )
        };
        out.write_handle(churn_customers(Customers::from_rows(ids.iter().copied())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Customers whose ids are texts (NUL-terminated UTF-8, ascending by bytes, never NULL or empty).
/// The rest is as for churn_customers_from_int64; the texts are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_from_texts(
    ids: *const *const c_char,
    rows: usize,
    customers: *mut *mut churn_customers,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `rows` pointers, each NULL or a text ending in NUL,
        // and NULL or a place for one pointer.
        let (ids, out) = unsafe {
            (
                strs(guard::slice(ids, rows, "ids")?, "customers")?,
                Out::new(customers, "customers")?,
            )
        };
        out.write_handle(churn_customers(Customers::from_rows(ids)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees customers made with churn_customers_from_…; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_free(customers: *mut churn_customers) {
    // SAFETY: the caller hands over NULL or a handle that such a call made and that is not freed
    // yet.
    unsafe { guard::free(customers) }
}

/// Number of customers; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_len(customers: *const churn_customers) -> usize {
    // SAFETY: the caller hands over NULL or a handle whose table is not freed yet.
    unsafe { customers.as_ref() }.map_or(0, |customers| customers.0.len())
}

/// Type of the ids: CHURN_ID_INT64, CHURN_ID_UINT64 or CHURN_ID_TEXT; 0 where there is no
/// customer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_id_type(customers: *const churn_customers) -> i32 {
    // SAFETY: the caller hands over NULL or a handle whose table is not freed yet.
    let first = unsafe { customers.as_ref() }.and_then(|customers| customers.0.iter().next());
    match first {
        None => 0,
        Some(CustomerId::Int(_)) => CHURN_ID_INT64,
        Some(CustomerId::Uint(_)) => CHURN_ID_UINT64,
        Some(CustomerId::Text(_)) => CHURN_ID_TEXT,
    }
}

/// The id of a row as a signed integer. Fails with CHURN_INVALID_PARAMETER where the ids are of
/// another type or there is no such row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_int64(
    customers: *const churn_customers,
    row: usize,
    id: *mut i64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for the id.
        let (customers, out) =
            unsafe { (guard::handle(customers, "customers")?, Out::new(id, "id")?) };
        match id_at(customers, row)? {
            CustomerId::Int(id) => out.write(id),
            other => return Err(wrong_type("a signed integer id", other).into()),
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The id of a row as an unsigned integer. Fails as churn_customers_int64 does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_uint64(
    customers: *const churn_customers,
    row: usize,
    id: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for the id.
        let (customers, out) =
            unsafe { (guard::handle(customers, "customers")?, Out::new(id, "id")?) };
        match id_at(customers, row)? {
            CustomerId::Uint(id) => out.write(id),
            other => return Err(wrong_type("an unsigned integer id", other).into()),
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The id of a row as text: `length` bytes of UTF-8 without NUL, valid as long as the table. Fails
/// as churn_customers_int64 does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_text(
    customers: *const churn_customers,
    row: usize,
    text: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (customers, text, length) = unsafe {
            (
                guard::handle(customers, "customers")?,
                Out::new(text, "text")?,
                Out::new(length, "length")?,
            )
        };
        match id_at(customers, row)? {
            CustomerId::Text(id) => {
                text.write(id.as_ptr().cast());
                length.write(id.len());
            }
            other => return Err(wrong_type("a text id", other).into()),
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the id of a row, of whatever type, as NUL-terminated text into `buffer`, which has room
/// for `capacity` bytes. `length`, if not NULL, receives the bytes of the id without the NUL. Fails
/// with CHURN_INVALID_PARAMETER where the id and its NUL do not fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_format(
    customers: *const churn_customers,
    row: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (customers, out, length) = unsafe {
            (
                guard::handle(customers, "customers")?,
                Out::new(buffer, "buffer")?,
                Out::optional(length),
            )
        };
        let id = id_at(customers, row)?.to_string();
        if id.len() >= capacity {
            let expected = format!("room for {} bytes", id.len() + 1);
            return Err(Error::invalid_parameter("capacity", expected, capacity).into());
        }
        // SAFETY: the caller hands over `capacity` bytes, more than the id has.
        unsafe { out.write_text(&id) };
        if let Some(length) = length {
            length.write(id.len());
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Finds the row of a signed integer id. Fails with CHURN_UNKNOWN_NAME where no row has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_find_int64(
    customers: *const churn_customers,
    id: i64,
    row: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for the row.
        let (customers, out) = unsafe {
            (
                guard::handle(customers, "customers")?,
                Out::new(row, "row")?,
            )
        };
        out.write(find(customers, CustomerId::Int(id))?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Finds the row of an unsigned integer id. Fails with CHURN_UNKNOWN_NAME where no row has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_find_uint64(
    customers: *const churn_customers,
    id: u64,
    row: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for the row.
        let (customers, out) = unsafe {
            (
                guard::handle(customers, "customers")?,
                Out::new(row, "row")?,
            )
        };
        out.write(find(customers, CustomerId::Uint(id))?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Finds the row of a text id (NUL-terminated UTF-8). Fails with CHURN_UNKNOWN_NAME where no row
/// has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_customers_find_text(
    customers: *const churn_customers,
    id: *const c_char,
    row: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, a text ending in NUL, and NULL or
        // a place for the row.
        let (customers, id, out) = unsafe {
            (
                guard::handle(customers, "customers")?,
                guard::text(id, "id")?,
                Out::new(row, "row")?,
            )
        };
        out.write(find(customers, CustomerId::Text(id))?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

fn id_at(customers: &churn_customers, row: usize) -> guard::Result<CustomerId<'_>> {
    let row = in_range(row, customers.0.len(), "row")?;
    Ok(customers.0.get(row))
}

fn find(customers: &churn_customers, id: CustomerId<'_>) -> guard::Result<usize> {
    customers.0.find(id).ok_or_else(|| {
        let expected = format!("one of {} customers", customers.0.len());
        Error::new(ErrorKind::UnknownName, "customer", expected, id).into()
    })
}

fn wrong_type(expected: &str, got: CustomerId<'_>) -> Error {
    let got = match got {
        CustomerId::Int(_) => "signed integer ids",
        CustomerId::Uint(_) => "unsigned integer ids",
        CustomerId::Text(_) => "text ids",
    };
    Error::invalid_parameter("customers", expected, got)
}
