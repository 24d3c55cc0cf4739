//! Learned churn models: fit, save, load, score, explain.

use std::ffi::c_char;
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::{
    BatchBuilder, drift_batch, explanation_batch, frame_from_stream, learner_batch,
};
use churn_core::scoring::learned::{
    ChurnModel, ChurnModelSettings, Column, Frame, ModelScorer, TrainingSettings,
};
use churn_core::winback::{WinBack, WinBackSettings};
use churn_core::{AsOf, Error};
use serde_json::json;

use crate::analysis::churn_analysis;
use crate::arrow::take_stream;
use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::features::churn_feature_table;
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};
use crate::scoring::churn_scores;
use crate::winback::churn_win_back;

/// A fitted churn model.
pub struct churn_model {
    model: Arc<ChurnModel>,
}

impl churn_model {
    fn new(model: ChurnModel) -> Self {
        churn_model {
            model: Arc::new(model),
        }
    }
}

/// Learns from an event log who shows no activity within a horizon. `training` and `settings` are
/// JSON with the fields of the core's TrainingSettings and ChurnModelSettings (NULL = defaults),
/// `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_fit_log(
    log: *const churn_event_log,
    training: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_model,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, training, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::settings::<TrainingSettings>(training, "training")?,
                guard::settings::<ChurnModelSettings>(settings, "model")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let fitted = observe(progress, |progress| {
            settings.fit_log(log.log(), &training, progress)
        })?;
        out.write_handle(churn_model::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Learns from a table with one row per customer: `rows` is an Arrow C stream (moved, whatever
/// happens) of numbers, truth values and texts, nulls missing; its column `label` holds 1 for
/// customers who left and 0 for those who stayed. `settings` is JSON (NULL = defaults), `progress`
/// may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_fit(
    rows: *mut FFI_ArrowArrayStream,
    label: *const c_char,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_model,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a valid stream, NULL or texts ending in NUL, NULL
        // or a live handle, and NULL or a place for one pointer.
        let (rows, label, settings, progress, out) = unsafe {
            (
                take_stream(rows),
                guard::text(label, "label")?,
                guard::settings::<ChurnModelSettings>(settings, "model")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let frame = frame_from_stream(rows?)?;
        let target = match frame.column(label)? {
            Column::Numeric(values) => values.to_vec(),
            Column::Categorical { .. } => {
                return Err(Error::invalid_parameter(label, "labels 0 and 1", "texts").into());
            }
        };
        let others: Vec<&String> = frame.names().iter().filter(|name| *name != label).collect();
        let frame = frame.select(&others)?;
        let fitted = observe(progress, |progress| {
            settings.fit(&frame, &target, None, progress)
        })?;
        out.write_handle(churn_model::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a model that churn_model_to_bytes, or any language of the library, has
/// written. Bytes of any origin are safe to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_from_bytes(
    bytes: *const u8,
    length: usize,
    model: *mut *mut churn_model,
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
        out.write_handle(churn_model::new(ChurnModel::from_bytes(bytes)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The model as bytes for a file; it holds no training rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_to_bytes(
    model: *const churn_model,
    bytes: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(bytes, "bytes")?) };
        out.write_handle(churn_bytes::new(model.model.to_bytes()?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// How the model did on rows that it had not seen: one row per learner with "learner", "weight",
/// "roc_auc", "log_loss" and "trees"; facts: "rows", "churn_rate", "roc_auc", "log_loss", "brier",
/// "calibration_error" of the whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_report(
    model: *const churn_model,
    report: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(report, "report")?) };
        let from = model.model.out_of_fold();
        let facts = json!({
            "rows": from.rows, "churn_rate": from.churn_rate, "roc_auc": from.roc_auc,
            "log_loss": from.log_loss, "brier": from.brier,
            "calibration_error": from.calibration_error,
        });
        out.write_handle(churn_analysis::new(learner_batch(from)?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Scores every customer of a feature table, with reasons in points.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_score(
    model: *const churn_model,
    table: *const churn_feature_table,
    scores: *mut *mut churn_scores,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (model, table, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::handle(table, "table")?,
                Out::new(scores, "scores")?,
            )
        };
        out.write_handle(churn_scores::new(model.model.score(table.table())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Runs a question about the rows of a stream.
///
/// # Safety
/// The contract of the exported functions.
unsafe fn ask(
    model: *const churn_model,
    rows: *mut FFI_ArrowArrayStream,
    out: *mut *mut churn_analysis,
    answer: impl FnOnce(&ChurnModel, &Frame<'_>) -> churn_core::Result<churn_analysis>,
) -> guard::Result<()> {
    // SAFETY: as the caller says.
    let (rows, model, out) = unsafe {
        (
            take_stream(rows),
            guard::handle(model, "model")?,
            Out::new(out, "analysis")?,
        )
    };
    let frame = frame_from_stream(rows?)?;
    out.write_handle(answer(&model.model, &frame)?);
    Ok(())
}

/// Churn probabilities of the rows of an Arrow C stream (moved, whatever happens), whose columns
/// are found by name: an analysis with the column "churn_probability".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_predict(
    model: *const churn_model,
    rows: *mut FFI_ArrowArrayStream,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        let answer = |model: &ChurnModel, frame: &Frame<'_>| {
            let probabilities = model.predict(frame)?;
            let batch = BatchBuilder::new().numbers("churn_probability", &probabilities);
            Ok(churn_analysis::new(batch.finish()?, &json!({})))
        };
        // SAFETY: the caller keeps the contract of this library.
        unsafe { ask(model, rows, analysis, answer) }
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Churn probabilities and what each column contributed: "churn_probability" and "points_COLUMN"
/// for every column of training; fact "base_points". 20 points double the odds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_explain(
    model: *const churn_model,
    rows: *mut FFI_ArrowArrayStream,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        let answer = |model: &ChurnModel, frame: &Frame<'_>| {
            let told = model.explain(frame)?;
            let facts = json!({"base_points": told.base_points});
            Ok(churn_analysis::new(explanation_batch(&told)?, &facts))
        };
        // SAFETY: the caller keeps the contract of this library.
        unsafe { ask(model, rows, analysis, answer) }
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// How far columns, and the model's probabilities (the last row), have moved since training:
/// "column", "psi", "kolmogorov_smirnov" (NaN for texts), "missing_before", "missing_now",
/// "new_levels".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_drift(
    model: *const churn_model,
    rows: *mut FFI_ArrowArrayStream,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        let answer = |model: &ChurnModel, frame: &Frame<'_>| {
            let batch = drift_batch(&model.drift(frame)?)?;
            Ok(churn_analysis::new(batch, &json!({})))
        };
        // SAFETY: the caller keeps the contract of this library.
        unsafe { ask(model, rows, analysis, answer) }
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a model; scorers made from it stay valid. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_model_free(model: *mut churn_model) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}

/// Scores one row at a time; used by one thread at a time.
pub struct churn_scorer {
    // Declared first, so that it is dropped before the model that it refers to.
    scorer: ModelScorer<'static>,
    _model: Arc<ChurnModel>,
}

/// A scorer of rows whose values stand in the order of `columns`, which may hold more columns than
/// the model reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorer_new(
    model: *const churn_model,
    columns: *const *const c_char,
    column_count: usize,
    scorer: *mut *mut churn_scorer,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or `column_count` texts ending
        // in NUL, and NULL or a place for one pointer.
        let (model, columns, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::slice(columns, column_count, "columns")?,
                Out::new(scorer, "scorer")?,
            )
        };
        let names = columns
            .iter()
            // SAFETY: each is NULL or a text ending in NUL, as the caller says.
            .map(|name| unsafe { guard::text(*name, "columns") })
            .collect::<guard::Result<Vec<&str>>>()?;
        let kept = Arc::clone(&model.model);
        // SAFETY: the model lies behind a reference count that the scorer holds for as long as it
        // lives, and is never changed.
        let shared: &'static ChurnModel = unsafe { &*Arc::as_ptr(&kept) };
        out.write_handle(churn_scorer {
            scorer: shared.scorer(&names)?,
            _model: kept,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The number that stands for a level of a text column in a row; NaN, which is missing, for a level
/// that training has not seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorer_level(
    scorer: *const churn_scorer,
    column: *const c_char,
    level: *const c_char,
    number: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or texts ending in NUL, and
        // NULL or a place for a number.
        let (scorer, column, level, out) = unsafe {
            (
                guard::handle(scorer, "scorer")?,
                guard::text(column, "column")?,
                guard::text(level, "level")?,
                Out::new(number, "number")?,
            )
        };
        out.write(scorer.scorer.level(column, level)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The churn probability of one row: `row` holds one number per column of the scorer, NaN where
/// missing, levels as churn_scorer_level says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorer_predict(
    scorer: *mut churn_scorer,
    row: *const f64,
    length: usize,
    probability: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle that nobody else uses, NULL or
        // `length` numbers, and NULL or a place for a number.
        let (scorer, row, out) = unsafe {
            (
                guard::handle_mut(scorer, "scorer")?,
                guard::slice(row, length, "row")?,
                Out::new(probability, "probability")?,
            )
        };
        out.write(scorer.scorer.predict(row)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a scorer; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_scorer_free(scorer: *mut churn_scorer) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(scorer) }
}

/// Runs the whole flow as churn_win_back_run does, with the probabilities of a model in place of the
/// scorecard.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_win_back_run_with_model(
    log: *const churn_event_log,
    as_of: *const c_char,
    model: *const churn_model,
    settings: *const c_char,
    progress: *const churn_progress,
    result: *mut *mut churn_win_back,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, model, settings, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::optional_text(as_of, "as_of")?,
                guard::handle(model, "model")?,
                guard::settings::<WinBackSettings>(settings, "winback")?,
                progress.as_ref(),
                Out::new(result, "result")?,
            )
        };
        let as_of = match as_of {
            Some(as_of) => AsOf::parse(as_of)?,
            None => log.log().day_after_last()?,
        };
        let found = observe(progress, |progress| {
            let score = |table: &churn_core::features::FeatureTable| model.model.score(table);
            WinBack::run_with(log.log(), as_of, &settings, score, progress)
        })?;
        out.write_handle(churn_win_back::new(found));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
