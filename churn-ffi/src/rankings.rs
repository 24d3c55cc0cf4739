//! Rankings judged by what contacting changed: uplift metrics, targeting and profit curves.

use std::ffi::c_char;

use churn_core::Error;
use churn_core::arrow::BatchBuilder;
use churn_core::evaluation::policy_value::{best_cut, profit_curve};
use churn_core::metrics::Bootstrap;
use churn_core::metrics::uplift::{self, Cuts, RateWeighting};
use serde_json::json as facts;

use crate::analysis::churn_analysis;
use crate::bytes::churn_bytes;
use crate::error::{churn_error, churn_status};
use crate::evaluation::json;
use crate::guard::{self, Out, Result, guard};

/// Scores, arms and outcomes of a ranking.
///
/// # Safety
/// NULL or arrays of `rows` values.
unsafe fn ranking<'a>(
    score: *const f64,
    treated: *const u8,
    outcome: *const f64,
    rows: usize,
) -> Result<(&'a [f64], Vec<bool>, &'a [f64])> {
    // SAFETY: as the caller says.
    let (score, treated, outcome) = unsafe {
        (
            guard::slice(score, rows, "score")?,
            guard::slice(treated, rows, "treated")?,
            guard::slice(outcome, rows, "outcome")?,
        )
    };
    if let Some(row) = treated.iter().position(|t| *t > 1) {
        let expected = "0 or 1";
        return Err(Error::invalid_value("uplift.treated", row, expected, treated[row]).into());
    }
    Ok((score, treated.iter().map(|t| *t == 1).collect(), outcome))
}

/// Two columns of an analysis from pairs.
fn pairs(names: [&str; 2], points: &[(f64, f64)]) -> BatchBuilder {
    let (first, second): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    BatchBuilder::new()
        .numbers(names[0], &first)
        .numbers(names[1], &second)
}

/// Every uplift metric of a ranking; `treated` holds 0 or 1, `share` is that of uplift at k. The
/// answer is JSON, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_metrics(
    score: *const f64,
    treated: *const u8,
    outcome: *const f64,
    rows: usize,
    share: f64,
    buckets: usize,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let ((score, treated, outcome), out) = unsafe {
            (
                ranking(score, treated, outcome, rows)?,
                Out::new(answer, "answer")?,
            )
        };
        let found = uplift::all(score, &treated, outcome, share, buckets)?;
        out.write_handle(json(&found)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Intervals of every uplift metric of a ranking by drawing its units anew; `bootstrap` is JSON
/// (NULL = defaults). The answer is JSON by name of the metric, freed with churn_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_intervals(
    score: *const f64,
    treated: *const u8,
    outcome: *const f64,
    rows: usize,
    share: f64,
    buckets: usize,
    bootstrap: *const c_char,
    answer: *mut *mut churn_bytes,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let ((score, treated, outcome), bootstrap, out) = unsafe {
            (
                ranking(score, treated, outcome, rows)?,
                guard::settings::<Bootstrap>(bootstrap, "bootstrap")?,
                Out::new(answer, "answer")?,
            )
        };
        let found = uplift::intervals(score, &treated, outcome, share, buckets, &bootstrap)?;
        out.write_handle(json(&found)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The curve of a ranking, "qini" or "gain": columns "units" above each cut and "height" there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_curve(
    score: *const f64,
    treated: *const u8,
    outcome: *const f64,
    rows: usize,
    kind: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let ((score, treated, outcome), kind, out) = unsafe {
            (
                ranking(score, treated, outcome, rows)?,
                guard::text(kind, "kind")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let curve = Cuts::new(score, &treated, outcome)?.curve_named(kind)?;
        let batch = pairs(["units", "height"], &curve).finish()?;
        out.write_handle(churn_analysis::new(batch, &facts!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Does the ranking put those with the larger effect first? `effect` holds one unbiased score of
/// each unit's effect (the "score_a" of churn_uplift_out_of_fold). Columns "share" and "toc"; facts
/// "autoc" and "qini", the two weightings of RATE, each with an interval. `bootstrap` is JSON (NULL =
/// defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_rate(
    score: *const f64,
    effect: *const f64,
    rows: usize,
    bootstrap: *const c_char,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let (score, effect, bootstrap, out) = unsafe {
            (
                guard::slice(score, rows, "score")?,
                guard::slice(effect, rows, "effect")?,
                guard::settings::<Bootstrap>(bootstrap, "bootstrap")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let toc = uplift::toc_curve(score, effect)?;
        let rate = |weighting| uplift::rate_interval(score, effect, weighting, &bootstrap);
        let facts = facts!({
            "autoc": rate(RateWeighting::Autoc)?,
            "qini": rate(RateWeighting::Qini)?,
        });
        let batch = pairs(["share", "toc"], &toc).finish()?;
        out.write_handle(churn_analysis::new(batch, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What a budget buys where each unit gets at most one of `arms` treatments (the multi-armed Qini
/// curve): `expected` effects decide, `cost` is paid, unbiased `score`s judge; all row by row, `arms`
/// numbers a unit. Columns "spend" and "gain", per unit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_cost_curve(
    arms: usize,
    expected: *const f64,
    cost: *const f64,
    score: *const f64,
    rows: usize,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        let cells = rows.saturating_mul(arms);
        // SAFETY: the caller hands over NULL or what each name says.
        let (expected, cost, score, out) = unsafe {
            (
                guard::slice(expected, cells, "expected")?,
                guard::slice(cost, cells, "cost")?,
                guard::slice(score, cells, "score")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let curve = uplift::cost_curve(arms, expected, cost, score)?;
        let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.spend, p.gain)).collect();
        let batch = pairs(["spend", "gain"], &points).finish()?;
        out.write_handle(churn_analysis::new(batch, &facts!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Incremental profit of contacting the first customers of a ranking: `effect` holds one unbiased
/// score of each customer's effect in money, `cost` what contacting costs. Columns "share", "profit",
/// "low" and "high", per customer; fact "best", the point of the largest profit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profit_curve(
    score: *const f64,
    effect: *const f64,
    cost: *const f64,
    rows: usize,
    confidence: f64,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each name says.
        let (score, effect, cost, out) = unsafe {
            (
                guard::slice(score, rows, "score")?,
                guard::slice(effect, rows, "effect")?,
                guard::slice(cost, rows, "cost")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let curve = profit_curve(score, effect, cost, confidence)?;
        let facts = facts!({ "best": best_cut(&curve) });
        let share: Vec<f64> = curve.iter().map(|p| p.share).collect();
        let profit: Vec<f64> = curve.iter().map(|p| p.profit.value).collect();
        let low: Vec<f64> = curve.iter().map(|p| p.profit.low).collect();
        let high: Vec<f64> = curve.iter().map(|p| p.profit.high).collect();
        let batch = BatchBuilder::new()
            .numbers("share", &share)
            .numbers("profit", &profit)
            .numbers("low", &low)
            .numbers("high", &high);
        out.write_handle(churn_analysis::new(batch.finish()?, &facts));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
