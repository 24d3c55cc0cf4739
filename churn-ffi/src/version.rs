//! Which library this is.

use std::ffi::c_char;

/// Version of the library, e.g. "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn churn_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
