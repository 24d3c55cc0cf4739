//! Uplift models: who changes their mind because of the contact.

use std::ffi::c_char;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::{BatchBuilder, frame_from_stream};
use churn_core::scoring::learned::Frame;
use churn_core::scoring::uplift::{Uplift, UpliftData, UpliftModel};
use serde_json::json;

use crate::analysis::churn_analysis;
use crate::arrow::take_stream;
use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};
use crate::texts::churn_texts;

/// A fitted uplift model.
pub struct churn_uplift_model(UpliftModel);

/// Rows, arms and outcomes of a call.
struct Given<'a> {
    frame: Frame<'static>,
    treatment: &'a [u32],
    outcome: &'a [f64],
    propensity: Option<&'a [f64]>,
}

impl Given<'_> {
    /// # Safety
    /// NULL or a valid stream, and NULL or arrays of as many values as the stream has rows, of
    /// `propensity` times arms.
    unsafe fn read(
        stream: *mut FFI_ArrowArrayStream,
        treatment: *const u32,
        outcome: *const f64,
        propensity: *const f64,
    ) -> guard::Result<Self> {
        // SAFETY: as the caller says.
        let frame = frame_from_stream(unsafe { take_stream(stream) }?)?;
        let rows = frame.rows();
        // SAFETY: as the caller says.
        let (treatment, outcome) = unsafe {
            (
                guard::slice(treatment, rows, "treatment")?,
                guard::slice(outcome, rows, "outcome")?,
            )
        };
        let largest = treatment.iter().copied().max();
        let arms = largest.map_or(1, |arm| arm as usize + 1);
        let propensity = match propensity.is_null() {
            true => None,
            false => {
                let cells = rows.saturating_mul(arms);
                // SAFETY: as the caller says.
                Some(unsafe { guard::slice(propensity, cells, "propensity") }?)
            }
        };
        Ok(Given {
            frame,
            treatment,
            outcome,
            propensity,
        })
    }

    fn data(&self) -> UpliftData<'_> {
        UpliftData {
            frame: &self.frame,
            treatment: self.treatment,
            outcome: self.outcome,
            propensity: self.propensity,
        }
    }
}

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
        // SAFETY: the caller hands over NULL or a valid stream, NULL or arrays of as many values as
        // it has rows, and NULL or what each other name says.
        let (given, settings, progress, out) = unsafe {
            (
                Given::read(stream, treatment, outcome, propensity)?,
                guard::settings::<Uplift>(settings, "uplift")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let fitted = observe(progress, |progress| settings.fit(&given.data(), progress))?;
        out.write_handle(churn_uplift_model(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Predicts every customer by a model that was fitted without its fold; inputs as for
/// churn_uplift_fit. Columns, for each treatment a: "effect_a", "standard_error_a" (NaN where the
/// method has none) and "score_a", a noisy, unbiased score of the effect to judge rankings by. Facts:
/// "average_effects" (value and standard error of each treatment) and "overlap".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_out_of_fold(
    stream: *mut FFI_ArrowArrayStream,
    treatment: *const u32,
    outcome: *const f64,
    propensity: *const f64,
    settings: *const c_char,
    progress: *const churn_progress,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a valid stream, NULL or arrays of as many values as
        // it has rows, and NULL or what each other name says.
        let (given, settings, progress, out) = unsafe {
            (
                Given::read(stream, treatment, outcome, propensity)?,
                guard::settings::<Uplift>(settings, "uplift")?,
                progress.as_ref(),
                Out::new(analysis, "analysis")?,
            )
        };
        let held_out = observe(progress, |progress| {
            settings.out_of_fold(&given.data(), progress)
        })?;
        let k = held_out.estimates.treatments;
        let of = |cells: &[f64], arm: usize| -> Vec<f64> {
            cells.iter().skip(arm).step_by(k).copied().collect()
        };
        let unknown = vec![f64::NAN; held_out.scores.len()];
        let errors = held_out.estimates.standard_error.as_ref();
        let mut batch = BatchBuilder::new();
        for arm in 0..k {
            let a = arm + 1;
            batch = batch
                .numbers(&format!("effect_{a}"), &of(&held_out.estimates.effect, arm))
                .numbers(
                    &format!("standard_error_{a}"),
                    &of(errors.unwrap_or(&unknown), arm),
                )
                .numbers(&format!("score_{a}"), &of(&held_out.scores, arm));
        }
        let averages = held_out.average_effects();
        let averages = averages.iter().map(
            |(value, standard_error)| json!({"value": value, "standard_error": standard_error}),
        );
        let facts = json!({
            "average_effects": averages.collect::<Vec<_>>(),
            "overlap": held_out.overlap,
        });
        out.write_handle(churn_analysis::new(batch.finish()?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a model that churn_uplift_model_to_bytes, or any language of the library, has
/// written. Bytes of any origin are safe to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_model_from_bytes(
    bytes: *const u8,
    length: usize,
    model: *mut *mut churn_uplift_model,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `length` bytes, and NULL or a place for a pointer.
        let (bytes, out) = unsafe {
            (
                guard::slice(bytes, length, "bytes")?,
                Out::new(model, "model")?,
            )
        };
        out.write_handle(churn_uplift_model(UpliftModel::from_bytes(bytes)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The model as bytes for a file; it holds no training rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_model_to_bytes(
    model: *const churn_uplift_model,
    bytes: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(bytes, "bytes")?) };
        out.write_handle(churn_bytes::new(model.0.to_bytes()?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Names of the columns of training, freed with churn_texts_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_model_columns(
    model: *const churn_uplift_model,
    columns: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe {
            (
                guard::handle(model, "model")?,
                Out::new(columns, "columns")?,
            )
        };
        out.write_handle(churn_texts::new(model.0.names()));
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
