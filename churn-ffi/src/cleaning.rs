//! What cleaning did to the rows of a log or of a batch.

use std::ffi::{CString, c_char};
use std::ptr;

use churn_core::Error;
use churn_core::events::{CleaningReport, DropReason, Tally};

use crate::error::{c_text, churn_error, churn_status};
use crate::guard::{self, Out, guard};

/// What cleaning did to the rows of a log, or of a batch that was appended. Belongs to the handle it
/// was read from; it has no free of its own.
pub struct churn_cleaning_report {
    report: CleaningReport,
    text: CString,
}

impl churn_cleaning_report {
    pub(crate) fn new(report: &CleaningReport) -> Self {
        churn_cleaning_report {
            text: c_text(&report.to_string()),
            report: report.clone(),
        }
    }
}

fn write_tally(tally: Tally, rows: Option<Out<u64>>, money: Option<Out<f64>>) {
    if let Some(out) = rows {
        out.write(tally.rows);
    }
    if let Some(out) = money {
        out.write(tally.money);
    }
}

/// The report as a text of several lines for people, valid as long as the report; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_text(
    report: *const churn_cleaning_report,
) -> *const c_char {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { report.as_ref() }.map_or(ptr::null(), |report| report.text.as_ptr())
}

/// Number of rows that were handed in, and of those that were kept. Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_rows(
    report: *const churn_cleaning_report,
    rows_in: *mut u64,
    rows_kept: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (report, rows_in, rows_kept) = unsafe {
            (
                guard::handle(report, "report")?,
                Out::optional(rows_in),
                Out::optional(rows_kept),
            )
        };
        if let Some(out) = rows_in {
            out.write(report.report.rows_in);
        }
        if let Some(out) = rows_kept {
            out.write(report.report.rows_kept);
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Money of the purchases and of the refunds that were kept (currency). Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_money(
    report: *const churn_cleaning_report,
    purchases: *mut f64,
    refunds: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (report, purchases, refunds) = unsafe {
            (
                guard::handle(report, "report")?,
                Out::optional(purchases),
                Out::optional(refunds),
            )
        };
        if let Some(out) = purchases {
            out.write(report.report.purchases_kept);
        }
        if let Some(out) = refunds {
            out.write(report.report.refunds_kept);
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Rows that were dropped for a reason, and their money (currency). `reason` is "missing_customer",
/// "missing_time", "impossible_time", "unknown_kind", "missing_value", "non_finite_value",
/// "negative_value", "duplicate" or "not_asked_for". Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_dropped(
    report: *const churn_cleaning_report,
    reason: *const c_char,
    rows: *mut u64,
    money: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or places for outputs.
        let (report, reason, rows, money) = unsafe {
            (
                guard::handle(report, "report")?,
                guard::text(reason, "reason")?,
                Out::optional(rows),
                Out::optional(money),
            )
        };
        let known = DropReason::ALL.into_iter().find(|r| r.name() == reason);
        let known = known.ok_or_else(|| {
            Error::unknown_name("reason", reason, DropReason::ALL.map(DropReason::name))
        })?;
        write_tally(report.report.dropped(known), rows, money);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Purchases of negative money that were read as refunds, and their absolute money (currency). Each
/// output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_read_as_refund(
    report: *const churn_cleaning_report,
    rows: *mut u64,
    money: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (report, rows, money) = unsafe {
            (
                guard::handle(report, "report")?,
                Out::optional(rows),
                Out::optional(money),
            )
        };
        write_tally(report.report.read_as_refund, rows, money);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Copies of other rows that were kept because the cleaning says so, and their money (currency).
/// Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_cleaning_report_duplicates_kept(
    report: *const churn_cleaning_report,
    rows: *mut u64,
    money: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (report, rows, money) = unsafe {
            (
                guard::handle(report, "report")?,
                Out::optional(rows),
                Out::optional(money),
            )
        };
        write_tally(report.report.duplicates_kept, rows, money);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
