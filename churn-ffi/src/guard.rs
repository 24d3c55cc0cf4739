//! What every exported function does at its border: catch panics, check pointers, hand out
//! handles.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use churn_core::{Error, Result as CoreResult};

use crate::error::{CHURN_OK, Failure, churn_error, churn_status};

/// Result inside a body of this layer.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Runs the body of an exported function. A failure or panic becomes a status, and an object in
/// `*error` unless `error` is NULL; success leaves `*error` alone.
///
/// # Safety
/// `error` is NULL or valid for writing one pointer.
pub(crate) unsafe fn guard(
    error: *mut *mut churn_error,
    body: impl FnOnce() -> Result<()>,
) -> churn_status {
    // Unwind safety: outputs are written only after everything that can fail. Of the handles that
    // a body changes in place, columns hold independent plain fields, and a log that a panic left
    // half appended is fit for nothing but being freed, as the contract says of every panic.
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return CHURN_OK,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::Panic(panic_message(payload.as_ref())),
    };
    let object = churn_error::new(&failure);
    let code = object.code();
    if !error.is_null() {
        // SAFETY: the caller says that a pointer may be written here.
        unsafe { error.write(Box::into_raw(Box::new(object))) };
    }
    code
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without message".to_owned()
    }
}

/// Drops a handle; NULL is fine. A panic while dropping is a bug and must not cross into C.
///
/// # Safety
/// `handle` is NULL or came from [`Out::write_handle`] (or an error object) and was not freed yet.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the handle was made by `Box::into_raw` and is freed once, as the caller says.
        let owned = unsafe { Box::from_raw(handle) };
        let _ = catch_unwind(AssertUnwindSafe(move || drop(owned)));
    }
}

/// A handle that is read.
///
/// # Safety
/// `handle` is NULL or a live handle that nobody changes during the call.
pub(crate) unsafe fn handle<'a, T>(handle: *const T, what: &'static str) -> Result<&'a T> {
    // SAFETY: as the caller says.
    unsafe { handle.as_ref() }.ok_or(Failure::Null(what))
}

/// A handle that is changed.
///
/// # Safety
/// `handle` is NULL or a live handle that nobody else uses during the call.
pub(crate) unsafe fn handle_mut<'a, T>(handle: *mut T, what: &'static str) -> Result<&'a mut T> {
    // SAFETY: as the caller says.
    unsafe { handle.as_mut() }.ok_or(Failure::Null(what))
}

/// A place for an output, checked before the work and written after it.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL or valid for writing one `T`, as long as this lives.
    pub(crate) unsafe fn new(place: *mut T, what: &'static str) -> Result<Self> {
        NonNull::new(place).map(Out).ok_or(Failure::Null(what))
    }

    /// # Safety
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn optional(place: *mut T) -> Option<Self> {
        NonNull::new(place).map(Out)
    }

    /// Writes the output without reading what stood there.
    pub(crate) fn write(self, value: T) {
        // SAFETY: `new` got a place that is valid for writing.
        unsafe { ptr::write(self.0.as_ptr(), value) }
    }
}

impl<T> Out<*mut T> {
    /// Hands a value over as an opaque handle that the caller must free.
    pub(crate) fn write_handle(self, value: T) {
        self.write(Box::into_raw(Box::new(value)));
    }
}

impl<T> Out<T> {
    /// Room for several outputs of one kind; NULL is fine for none.
    ///
    /// # Safety
    /// `place` is NULL or valid for writing `room` values, as long as this lives.
    pub(crate) unsafe fn array(
        place: *mut T,
        room: usize,
        what: &'static str,
    ) -> Result<OutArray<T>> {
        if place.is_null() && room > 0 {
            return Err(Failure::Null(what));
        }
        Ok(OutArray { place, room })
    }
}

/// Room for several outputs.
pub(crate) struct OutArray<T> {
    place: *mut T,
    room: usize,
}

impl<T: Copy> OutArray<T> {
    /// Writes the values that fit.
    pub(crate) fn write_all(self, values: &[T]) {
        let count = values.len().min(self.room);
        if count > 0 {
            // SAFETY: there is room for `room` values, as the maker promised, so the place is not
            // NULL; `values` is ours and does not overlap it.
            unsafe { ptr::copy_nonoverlapping(values.as_ptr(), self.place, count) };
        }
    }
}

impl Out<c_char> {
    /// Writes a text and its NUL.
    ///
    /// # Safety
    /// The place has room for the bytes of `text` and one more.
    pub(crate) unsafe fn write_text(self, text: &str) {
        // SAFETY: there is room, as the caller says, and the two do not overlap: `text` is ours.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr().cast(), self.0.as_ptr(), text.len());
            self.0.as_ptr().add(text.len()).write(0);
        }
    }
}

/// A caller's array; NULL is fine for length 0.
///
/// # Safety
/// `data` is NULL or points to `len` values that stay unchanged during `'a`.
pub(crate) unsafe fn slice<'a, T>(
    data: *const T,
    len: usize,
    what: &'static str,
) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::Null(what));
    }
    if !data.is_aligned() {
        let got = format!("an address that is not a multiple of {}", align_of::<T>());
        return Err(Error::invalid_parameter(what, "an aligned pointer", got).into());
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Error::invalid_parameter(what, "a length that fits into memory", len).into());
    }
    // SAFETY: not NULL, aligned, not longer than an object can be; the rest as the caller says.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// A caller's NUL-terminated UTF-8 text.
///
/// # Safety
/// `text` is NULL or ends in NUL and stays unchanged during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, what: &'static str) -> Result<&'a str> {
    if text.is_null() {
        return Err(Failure::Null(what));
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Ok(utf8(bytes, what)?)
}

/// A text that may be left out.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text<'a>(
    text: *const c_char,
    what: &'static str,
) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { self::text(text, what) }.map(Some)
}

/// Bytes that must be UTF-8.
pub(crate) fn utf8<'a>(bytes: &'a [u8], what: &str) -> CoreResult<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let got = format!("byte 0x{:02x} at offset {at}", bytes[at]);
        Error::invalid_parameter(what, "text in UTF-8", got)
    })
}

/// Settings from JSON text; NULL means the defaults.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn settings<T>(json: *const c_char, what: &'static str) -> Result<T>
where
    T: Default + serde::de::DeserializeOwned,
{
    if json.is_null() {
        return Ok(T::default());
    }
    // SAFETY: as the caller says.
    let json = unsafe { text(json, what) }?;
    Ok(churn_core::settings::from_json(what, json)?)
}

/// Confirms that `index` is below `len`.
pub(crate) fn in_range(index: usize, len: usize, what: &str) -> Result<usize> {
    if index < len {
        return Ok(index);
    }
    let expected = format!("a number below {len}");
    Err(Error::invalid_parameter(what, expected, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{
        CHURN_NULL_POINTER, CHURN_PANIC, churn_error_code, churn_error_free, churn_error_got,
    };

    #[test]
    fn a_panic_becomes_a_status_with_its_message() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` is a local place.
        let status = unsafe { guard(&mut error, || panic!("row {} is gone", 7)) };
        assert_eq!(status, CHURN_PANIC);
        // SAFETY: the error was made above and is freed once.
        unsafe {
            assert_eq!(churn_error_code(error), CHURN_PANIC);
            let got = CStr::from_ptr(churn_error_got(error));
            assert_eq!(got.to_str(), Ok("row 7 is gone"));
            churn_error_free(error);
        }
    }

    #[test]
    fn an_error_that_nobody_wants_is_dropped() {
        // SAFETY: NULL is allowed.
        let status = unsafe { guard(ptr::null_mut(), || Err(Failure::Null("log"))) };
        assert_eq!(status, CHURN_NULL_POINTER);
    }

    #[test]
    fn arrays_are_checked() {
        let values = [1_u64, 2];
        // SAFETY: NULL, or the array above; the misaligned pointer is not read.
        unsafe {
            assert!(slice::<u64>(ptr::null(), 0, "ids").is_ok());
            assert!(matches!(
                slice::<u64>(ptr::null(), 1, "ids"),
                Err(Failure::Null("ids"))
            ));
            assert_eq!(slice(values.as_ptr(), 2, "ids").unwrap(), values);
            let odd = values.as_ptr().cast::<u8>().add(1).cast::<u64>();
            assert!(matches!(slice(odd, 1, "ids"), Err(Failure::Core(_))));
            assert!(slice(values.as_ptr(), usize::MAX, "ids").is_err());
        }
    }
}
