//! Lists of texts, and texts that a handle keeps once they were asked for.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use crate::error::{c_text, churn_error, churn_status};
use crate::guard::{self, Out, Result, guard, in_range};

/// A list of texts made by a call and freed by the caller.
pub struct churn_texts(Vec<CString>);

impl churn_texts {
    pub(crate) fn new<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        churn_texts(c_texts(texts))
    }
}

/// Number of texts; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_texts_len(texts: *const churn_texts) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { texts.as_ref() }.map_or(0, |texts| texts.0.len())
}

/// One text, NUL-terminated UTF-8, valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_texts_get(
    texts: *const churn_texts,
    index: usize,
    text: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (texts, out) = unsafe { (guard::handle(texts, "texts")?, Out::new(text, "text")?) };
        let index = in_range(index, texts.0.len(), "index")?;
        out.write(texts.0[index].as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a list of texts; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_texts_free(texts: *mut churn_texts) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(texts) }
}

/// A text that a handle makes when it is first asked for and keeps until it is freed.
#[derive(Default)]
pub(crate) struct LazyText(OnceLock<CString>);

impl LazyText {
    pub(crate) fn get(
        &self,
        make: impl FnOnce() -> churn_core::Result<String>,
    ) -> Result<*const c_char> {
        if let Some(text) = self.0.get() {
            return Ok(text.as_ptr());
        }
        let text = c_text(&make()?);
        Ok(self.0.get_or_init(|| text).as_ptr())
    }
}

/// Names for C, kept by the handle that shows them.
pub(crate) fn c_texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Vec<CString> {
    texts
        .into_iter()
        .map(|text| c_text(text.as_ref()))
        .collect()
}
