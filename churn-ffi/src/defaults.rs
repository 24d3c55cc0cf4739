//! Default settings, to read, to copy and to adapt.

use std::ffi::c_char;

use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};
use crate::texts::churn_texts;

/// The default settings of one step as JSON, a list of one text; handed back to that step they
/// change nothing. `name` is "cleaning", "names", "csv", "stream", "features", "summary", "scorecard",
/// "risk_tiers", "grid", "playbook", "journey", "policy", "learning", "journeys", "winback" or "shop";
/// errors about these settings begin with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_defaults_json(
    name: *const c_char,
    json: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (name, out) = unsafe { (guard::text(name, "name")?, Out::new(json, "json")?) };
        out.write_handle(churn_texts::new([churn_core::defaults::json(name)?]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
