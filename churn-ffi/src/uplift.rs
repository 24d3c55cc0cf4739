//! Uplift models: who changes their mind because of the contact.

use std::ffi::c_char;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::frame_from_stream;
use churn_core::scoring::uplift::{Uplift, UpliftData, UpliftModel};

use crate::arrow::take_stream;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

/// A fitted uplift model.
pub struct churn_uplift_model(UpliftModel);

/// Learns the effect of each treatment against the control. `stream` holds what was known of each
/// customer before (numbers and texts) and is released; `treatment` is 0 for the control, 1 and up
/// for the treatments; `propensity` (NULL = see the settings) holds the probability of every arm row
/// by row. `settings` is JSON (NULL = defaults). `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_fit(
    stream: *mut FFI_ArrowArrayStream,
    treatment: *const u32,
    outcome: *const f64,
    propensity: *const f64,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_uplift_model,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a valid stream.
        let stream = unsafe { take_stream(stream) }?;
        let frame = frame_from_stream(stream)?;
        let rows = frame.rows();
        // SAFETY: the caller hands over NULL or arrays of as many values as the stream has rows.
        let (treatment, outcome, settings, progress, out) = unsafe {
            (
                guard::slice(treatment, rows, "treatment")?,
                guard::slice(outcome, rows, "outcome")?,
                guard::settings::<Uplift>(settings, "uplift")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let arms = treatment
            .iter()
            .copied()
            .max()
            .map_or(1, |arm| arm as usize + 1);
        let propensity = match propensity.is_null() {
            true => None,
            false => {
                let cells = rows.saturating_mul(arms);
                // SAFETY: the caller hands over as many values as there are rows times arms.
                Some(unsafe { guard::slice(propensity, cells, "propensity") }?)
            }
        };
        let data = UpliftData {
            frame: &frame,
            treatment,
            outcome,
            propensity,
        };
        let fitted = observe(progress, |progress| settings.fit(&data, progress))?;
        out.write_handle(churn_uplift_model(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of treatments besides the control; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_model_treatments(model: *const churn_uplift_model) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.treatments())
}

/// Effects on the customers of `stream`, which is released: row by row, one number per treatment.
/// `rows` is told how many rows there were; `effect` takes at most `room` numbers, and so does
/// `standard_error` (NULL = not wanted; NaN where the method has none).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_predict(
    model: *const churn_uplift_model,
    stream: *mut FFI_ArrowArrayStream,
    effect: *mut f64,
    standard_error: *mut f64,
    room: usize,
    rows: *mut usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a valid stream.
        let stream = unsafe { take_stream(stream) }?;
        // SAFETY: the caller hands over NULL or a live handle, and NULL or room for the outputs.
        let (model, effect, errors, out) = unsafe {
            let wanted = if standard_error.is_null() { 0 } else { room };
            (
                guard::handle(model, "model")?,
                Out::array(effect, room, "effect")?,
                Out::array(standard_error, wanted, "standard_error")?,
                Out::new(rows, "rows")?,
            )
        };
        let frame = frame_from_stream(stream)?;
        let answer = model.0.predict(&frame)?;
        effect.write_all(&answer.effect);
        match &answer.standard_error {
            Some(known) => errors.write_all(known),
            None => errors.write_all(&vec![f64::NAN; answer.effect.len()]),
        }
        out.write(frame.rows());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a model; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_model_free(model: *mut churn_uplift_model) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}
