//! Status codes and the error object.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use churn_core::Error;

/// What a call answers: CHURN_OK or the code of what went wrong. Codes are never reused.
pub type churn_status = i32;

/// The call did what it should; its outputs are written.
pub const CHURN_OK: i32 = 0;
/// A setting lies outside its domain.
pub const CHURN_INVALID_PARAMETER: i32 = 1;
/// Columns or tables that belong together differ in length.
pub const CHURN_LENGTH_MISMATCH: i32 = 2;
/// A cell holds a value that it may not hold.
pub const CHURN_INVALID_VALUE: i32 = 3;
/// A name (feature, segment, action, channel, column) is not known.
pub const CHURN_UNKNOWN_NAME: i32 = 4;
/// There are fewer rows than the method needs.
pub const CHURN_NOT_ENOUGH_DATA: i32 = 5;
/// An iterative method did not reach its tolerance.
pub const CHURN_NOT_CONVERGED: i32 = 6;
/// Two tables speak of different customers or different instants.
pub const CHURN_MISALIGNED: i32 = 7;
/// No answer satisfies all constraints.
pub const CHURN_INFEASIBLE: i32 = 8;
/// The call was stopped through its progress handle.
pub const CHURN_CANCELLED: i32 = 9;
/// A pointer that must not be NULL is NULL.
pub const CHURN_NULL_POINTER: i32 = 100;
/// A bug in the library: it panicked. The handles of the call may still be freed.
pub const CHURN_PANIC: i32 = 101;

/// What went wrong and where; made by a call that fails, freed by the caller.
pub struct churn_error {
    code: churn_status,
    kind: CString,
    message: CString,
    what: CString,
    expected: CString,
    got: CString,
    row: Option<u64>,
    line: Option<u32>,
}

/// Why a body of this layer stops.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The core refused.
    Core(Error),
    /// The named argument is NULL.
    Null(&'static str),
    /// The core panicked with this message.
    Panic(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Core(error)
    }
}

impl churn_error {
    pub(crate) fn new(failure: &Failure) -> Self {
        let own = |code, kind: &str, what: &str, expected: &str, got: &str| churn_error {
            code,
            kind: c_text(kind),
            message: c_text(&format!("{what}: expected {expected}, got {got}")),
            what: c_text(what),
            expected: c_text(expected),
            got: c_text(got),
            row: None,
            line: None,
        };
        match failure {
            Failure::Core(error) => churn_error {
                code: error.kind().code(),
                kind: c_text(error.kind().name()),
                message: c_text(&error.to_string()),
                what: c_text(error.what()),
                expected: c_text(error.expected()),
                got: c_text(error.got()),
                row: error.row(),
                line: error.line(),
            },
            Failure::Null(what) => {
                own(CHURN_NULL_POINTER, "NullPointer", what, "a pointer", "NULL")
            }
            Failure::Panic(message) => own(
                CHURN_PANIC,
                "Panic",
                "libchurn",
                "no panic (this is a bug)",
                message,
            ),
        }
    }

    pub(crate) fn code(&self) -> churn_status {
        self.code
    }
}

/// Text for C; a NUL inside it, which C could not see past, becomes U+FFFD.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let visible: Vec<u8> = text.replace('\0', "\u{fffd}").into_bytes();
        CString::new(visible).unwrap_or_default()
    })
}

/// Name of a status, e.g. "InvalidValue"; "Unknown" for a number that is no status. Static.
#[unsafe(no_mangle)]
pub extern "C" fn churn_status_name(status: churn_status) -> *const c_char {
    let name: &'static CStr = match status {
        CHURN_OK => c"Ok",
        CHURN_INVALID_PARAMETER => c"InvalidParameter",
        CHURN_LENGTH_MISMATCH => c"LengthMismatch",
        CHURN_INVALID_VALUE => c"InvalidValue",
        CHURN_UNKNOWN_NAME => c"UnknownName",
        CHURN_NOT_ENOUGH_DATA => c"NotEnoughData",
        CHURN_NOT_CONVERGED => c"NotConverged",
        CHURN_MISALIGNED => c"Misaligned",
        CHURN_INFEASIBLE => c"Infeasible",
        CHURN_CANCELLED => c"Cancelled",
        CHURN_NULL_POINTER => c"NullPointer",
        CHURN_PANIC => c"Panic",
        _ => c"Unknown",
    };
    name.as_ptr()
}

/// The status that the failed call returned; CHURN_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_code(error: *const churn_error) -> churn_status {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(CHURN_OK, |error| error.code)
}

/// The kind by name, e.g. "InvalidValue". Valid until the error is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_kind(error: *const churn_error) -> *const c_char {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.kind.as_ptr())
}

/// The whole message, e.g. `events.value[1041]: expected a finite number, got NaN`. Valid until the
/// error is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_message(error: *const churn_error) -> *const c_char {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// The column, setting or argument that is wrong, e.g. "events.value". Valid until the error is
/// freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_what(error: *const churn_error) -> *const c_char {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.what.as_ptr())
}

/// What would have been right. Valid until the error is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_expected(error: *const churn_error) -> *const c_char {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.expected.as_ptr())
}

/// What was found instead. Valid until the error is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_got(error: *const churn_error) -> *const c_char {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.got.as_ptr())
}

/// The row of the mistake, counted from 0, or -1 where the mistake is in no row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_row(error: *const churn_error) -> i64 {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    let row = unsafe { error.as_ref() }.and_then(|error| error.row);
    row.and_then(|row| i64::try_from(row).ok()).unwrap_or(-1)
}

/// The line of a document (settings, playbook, CSV) where the mistake is, counted from 1, or -1
/// where it is in no line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_line(error: *const churn_error) -> i64 {
    // SAFETY: the caller hands over NULL or an error that is not freed yet.
    let line = unsafe { error.as_ref() }.and_then(|error| error.line);
    line.map_or(-1, i64::from)
}

/// Frees an error; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_error_free(error: *mut churn_error) {
    // SAFETY: the caller hands over NULL or an error of this library that is not freed yet.
    unsafe { crate::guard::free(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use churn_core::ErrorKind;

    #[test]
    fn every_kind_of_the_core_has_its_status() {
        for kind in ErrorKind::ALL {
            // SAFETY: the names are static and end in NUL.
            let name = unsafe { CStr::from_ptr(churn_status_name(kind.code())) };
            assert_eq!(name.to_str(), Ok(kind.name()));
        }
    }

    #[test]
    fn nul_inside_a_text_stays_visible() {
        assert_eq!(c_text("a\0b").to_str(), Ok("a\u{fffd}b"));
    }
}
