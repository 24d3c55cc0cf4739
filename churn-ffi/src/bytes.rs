//! The content of a file that a call made.

use std::ptr;

use crate::guard;

/// The content of a file, made by a call and freed by the caller.
pub struct churn_bytes(Vec<u8>);

impl churn_bytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        churn_bytes(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Number of bytes; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bytes_len(bytes: *const churn_bytes) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { bytes.as_ref() }.map_or(0, |bytes| bytes.0.len())
}

/// The bytes, without a NUL at the end, valid until they are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bytes_data(bytes: *const churn_bytes) -> *const u8 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { bytes.as_ref() }.map_or(ptr::null(), |bytes| bytes.0.as_ptr())
}

/// Frees bytes; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bytes_free(bytes: *mut churn_bytes) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(bytes) }
}
