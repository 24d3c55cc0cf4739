//! Models with rounds: opportunities to buy that come one after another, contracts that are renewed.

use std::ffi::c_char;

use churn_core::Error;
use churn_core::arrow::BatchBuilder;
use churn_core::progress::Progress;
use churn_core::scoring::lifetime::{BetaGeometric, BgBb, BgBbModel, Contracts, RenewalModel};
use serde_json::json;

use crate::analysis::churn_analysis;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard};
use crate::lifetime::{churn_buyers, report};
use crate::texts::LazyText;

/// A fitted BG/BB model of opportunities that come in rounds.
pub struct churn_bg_bb {
    model: BgBbModel,
    json: LazyText,
    report: LazyText,
}

impl churn_bg_bb {
    fn new(model: BgBbModel) -> Self {
        churn_bg_bb {
            model,
            json: LazyText::default(),
            report: LazyText::default(),
        }
    }
}

/// Fits BG/BB. Rows of `buyers`: purchases at the opportunities after the first purchase, number of
/// the opportunity of the last one (0 = none), opportunities so far. `settings` is JSON with the
/// fields of the core's BgBb (NULL = defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_fit(
    buyers: *const churn_buyers,
    settings: *const c_char,
    model: *mut *mut churn_bg_bb,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (buyers, settings, out) = unsafe {
            (
                guard::handle(buyers, "buyers")?,
                guard::settings::<BgBb>(settings, "bg_bb")?,
                Out::new(model, "model")?,
            )
        };
        let fitted = buyers.ask(|buyers| settings.fit(buyers, &Progress::none()))?;
        out.write_handle(churn_bg_bb::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a BG/BB model in JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_from_json(
    json: *const c_char,
    model: *mut *mut churn_bg_bb,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for a
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(model, "model")?) };
        out.write_handle(churn_bg_bb::new(BgBbModel::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The model as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_to_json(
    model: *const churn_bg_bb,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(json, "json")?) };
        out.write(model.json.get(|| Ok(model.model.to_json()))?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// "parameters", "estimate", "aic", "bic" as JSON, as for churn_lifetime_report, valid until the
/// model is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_report(
    model: *const churn_bg_bb,
    report: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(report, "report")?) };
        let text = model.report.get(|| {
            let (names, model) = (["alpha", "beta", "gamma", "delta"], &model.model);
            Ok(self::report(&names, &model.parameters(), model.estimate()).to_string())
        })?;
        out.write(text);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What the model says about each row `ahead` opportunities from now: "probability_alive" then,
/// "expected_purchases" and "no_purchase_probability" until then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_answers(
    model: *const churn_bg_bb,
    buyers: *const churn_buyers,
    ahead: u32,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (model, buyers, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::handle(buyers, "buyers")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let model = &model.model;
        let batch = buyers.ask(|buyers| {
            let batch = BatchBuilder::new();
            batch
                .numbers(
                    "probability_alive",
                    &model.probability_alive(buyers, ahead)?,
                )
                .numbers(
                    "expected_purchases",
                    &model.expected_purchases(buyers, ahead)?,
                )
                .numbers(
                    "no_purchase_probability",
                    &model.no_purchase_probability(buyers, ahead)?,
                )
                .finish()
        })?;
        out.write_handle(churn_analysis::new(batch, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a BG/BB model; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_bg_bb_free(model: *mut churn_bg_bb) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}

/// A fitted Beta-Geometric model of renewals.
pub struct churn_renewals {
    model: RenewalModel,
    json: LazyText,
    report: LazyText,
}

impl churn_renewals {
    fn new(model: RenewalModel) -> Self {
        churn_renewals {
            model,
            json: LazyText::default(),
            report: LazyText::default(),
        }
    }
}

/// Fits the Beta-Geometric model on contracts, one per row: the renewal at which it ended (from 1)
/// where `churned` is 1, the renewals made so far where it is 0. `settings` is JSON with the fields
/// of the core's BetaGeometric (NULL = defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_fit(
    duration: *const f64,
    churned: *const u8,
    rows: usize,
    settings: *const c_char,
    model: *mut *mut churn_renewals,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or arrays of `rows` values, NULL or a text ending in
        // NUL, and NULL or a place for one pointer.
        let (duration, churned, settings, out) = unsafe {
            (
                guard::slice(duration, rows, "duration")?,
                guard::slice(churned, rows, "churned")?,
                guard::settings::<BetaGeometric>(settings, "beta_geometric")?,
                Out::new(model, "model")?,
            )
        };
        if let Some(row) = churned.iter().position(|flag| *flag > 1) {
            let place = "contracts.churned";
            return Err(Error::invalid_value(place, row, "0 or 1", churned[row]).into());
        }
        let churned: Vec<bool> = churned.iter().map(|flag| *flag == 1).collect();
        let contracts = Contracts::new(duration, &churned)?;
        let fitted = settings.fit(&contracts, &Progress::none())?;
        out.write_handle(churn_renewals::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The same on one cohort: customers at the start and after each renewal, `count` numbers that never
/// rise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_fit_survivors(
    survivors: *const f64,
    count: usize,
    settings: *const c_char,
    model: *mut *mut churn_renewals,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or `count` values, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (survivors, settings, out) = unsafe {
            (
                guard::slice(survivors, count, "survivors")?,
                guard::settings::<BetaGeometric>(settings, "beta_geometric")?,
                Out::new(model, "model")?,
            )
        };
        let contracts = Contracts::from_survivors(survivors)?;
        let fitted = settings.fit(&contracts, &Progress::none())?;
        out.write_handle(churn_renewals::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a model of renewals in JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_from_json(
    json: *const c_char,
    model: *mut *mut churn_renewals,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for a
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(model, "model")?) };
        out.write_handle(churn_renewals::new(RenewalModel::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The model as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_to_json(
    model: *const churn_renewals,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(json, "json")?) };
        out.write(model.json.get(|| Ok(model.model.to_json()))?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// "parameters", "estimate", "aic", "bic" as JSON, as for churn_lifetime_report, valid until the
/// model is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_report(
    model: *const churn_renewals,
    report: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(report, "report")?) };
        let text = model.report.get(|| {
            let model = &model.model;
            Ok(self::report(&["a", "b"], &model.parameters(), model.estimate()).to_string())
        })?;
        out.write(text);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Probability of customers who have made these numbers of renewals to make `ahead` more; `survival`
/// has room for `rows` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_survival(
    model: *const churn_renewals,
    renewals: *const f64,
    rows: usize,
    ahead: u32,
    survival: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, `rows` values and room for as many.
        let (model, renewals, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::slice(renewals, rows, "renewals")?,
                Out::array(survival, rows, "survival")?,
            )
        };
        out.write_all(&model.model.survival(renewals, ahead)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Renewals still to come, each weighted by (1 + rate)^-i, of customers who have made these numbers
/// of renewals; `discounted` has room for `rows` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_discounted(
    model: *const churn_renewals,
    renewals: *const f64,
    rows: usize,
    rate: f64,
    discounted: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, `rows` values and room for as many.
        let (model, renewals, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::slice(renewals, rows, "renewals")?,
                Out::array(discounted, rows, "discounted")?,
            )
        };
        out.write_all(&model.model.discounted_renewals(renewals, rate)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a model of renewals; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_renewals_free(model: *mut churn_renewals) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}
