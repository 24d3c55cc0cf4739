//! Models of buying and leaving for customers without contracts, what they spend, what they are
//! worth.
//!
//! Customers come as `churn_buyers`, from a summary or from arrays. Covariates come column after
//! column, one value per customer, with one name per column.

use std::ffi::c_char;
use std::sync::Arc;

use churn_core::arrow::{BatchBuilder, lifetime_batch, value_batch};
use churn_core::features::RfmSummary;
use churn_core::scoring::lifetime::{
    Buyers, CustomerValue, Estimate, GammaGamma, Lifetime, LifetimeModel, SpendModel,
    likelihood_ratio,
};
use churn_core::{Error, Horizon};
use serde_json::{Map, Value, json};

use crate::analysis::churn_analysis;
use crate::error::{churn_error, churn_status};
use crate::features::churn_feature_table;
use crate::guard::{self, Out, Result, guard};
use crate::progress::{churn_progress, observe};
use crate::scoring::churn_scores;
use crate::summary::churn_summary;
use crate::survival::{optional, read_names};
use crate::texts::LazyText;

/// Purchase histories, one row per customer, as the models take them.
pub struct churn_buyers(Rows);

enum Rows {
    Summary(Arc<RfmSummary>, Vec<(String, Vec<f64>)>),
    Own {
        buyers: Buyers<'static>,
        monetary_value: Option<Vec<f64>>,
    },
}

impl churn_buyers {
    /// Asks something about the rows.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Buyers<'_>) -> churn_core::Result<T>,
    ) -> churn_core::Result<T> {
        match &self.0 {
            Rows::Own { buyers, .. } => question(buyers),
            Rows::Summary(summary, covariates) => {
                let mut buyers = Buyers::from(&**summary);
                for (name, values) in covariates {
                    buyers = buyers.with_covariate(name.as_str(), values.as_slice())?;
                }
                question(&buyers)
            }
        }
    }

    fn len(&self) -> usize {
        match &self.0 {
            Rows::Summary(summary, _) => summary.len(),
            Rows::Own { buyers, .. } => buyers.len(),
        }
    }

    fn monetary_value(&self) -> churn_core::Result<&[f64]> {
        match &self.0 {
            Rows::Summary(summary, _) => Ok(summary.monetary_value()),
            Rows::Own { monetary_value, .. } => monetary_value.as_deref().ok_or_else(|| {
                let expected = "mean values of repeat purchases";
                Error::not_enough_data("summary.monetary_value", expected, "none")
            }),
        }
    }
}

/// Columns of covariates by name.
///
/// # Safety
/// There are `count` texts ending in NUL and `rows` × `count` values.
unsafe fn covariates(
    names: *const *const c_char,
    values: *const f64,
    rows: usize,
    count: usize,
) -> Result<Vec<(String, Vec<f64>)>> {
    // SAFETY: as the caller says.
    let (names, values) = unsafe {
        (
            read_names(names, count)?,
            guard::slice(values, rows.saturating_mul(count), "covariates")?,
        )
    };
    let columns = values.chunks(rows.max(1)).chain(std::iter::repeat(&[][..]));
    let columns = columns.map(<[f64]>::to_vec);
    Ok(names.into_iter().zip(columns).collect())
}

/// The customers of a summary, which it does not depend on afterwards. `covariates` holds `count`
/// columns of as many values as the summary has rows; `count` may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_buyers_from_summary(
    summary: *const churn_summary,
    names: *const *const c_char,
    covariates: *const f64,
    count: usize,
    buyers: *mut *mut churn_buyers,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (summary, out) = unsafe {
            (
                guard::handle(summary, "summary")?.shared(),
                Out::new(buyers, "buyers")?,
            )
        };
        // SAFETY: there are `count` names and columns, as the caller says.
        let columns = unsafe { self::covariates(names, covariates, summary.len(), count) }?;
        let buyers = churn_buyers(Rows::Summary(summary, columns));
        // Covariates are checked here, not where they are used.
        buyers.ask(|_| Ok(()))?;
        out.write_handle(buyers);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Customers from arrays of `rows` values: repeat purchases, first to last purchase, and first
/// purchase to the end of the observation, both in units of `unit_days` days. May be NULL: the mean
/// value of repeat purchases (for spend and value), sums of the logarithms of gaps (for models of
/// regular buying), how many customers a row stands for. `covariates` holds `count` columns; `count`
/// may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_buyers_from_columns(
    frequency: *const f64,
    recency: *const f64,
    age: *const f64,
    monetary_value: *const f64,
    log_gaps: *const f64,
    weights: *const f64,
    rows: usize,
    unit_days: f64,
    names: *const *const c_char,
    covariates: *const f64,
    count: usize,
    buyers: *mut *mut churn_buyers,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or arrays as the text above says, and NULL or a place
        // for one pointer.
        let (frequency, recency, age, money, log_gaps, weights, columns, out) = unsafe {
            (
                guard::slice(frequency, rows, "frequency")?,
                guard::slice(recency, rows, "recency")?,
                guard::slice(age, rows, "age")?,
                optional(monetary_value, rows, "monetary_value")?,
                optional(log_gaps, rows, "log_gaps")?,
                optional(weights, rows, "weights")?,
                self::covariates(names, covariates, rows, count)?,
                Out::new(buyers, "buyers")?,
            )
        };
        let mut own: Buyers<'static> =
            Buyers::new(frequency.to_vec(), recency.to_vec(), age.to_vec())?
                .with_unit_days(unit_days)?;
        if let Some(log_gaps) = log_gaps {
            own = own.with_log_gaps(log_gaps.to_vec())?;
        }
        if let Some(weights) = weights {
            own = own.with_weights(weights.to_vec())?;
        }
        for (name, values) in columns {
            own = own.with_covariate(name, values)?;
        }
        out.write_handle(churn_buyers(Rows::Own {
            buyers: own,
            monetary_value: money.map(<[f64]>::to_vec),
        }));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of rows; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_buyers_len(buyers: *const churn_buyers) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { buyers.as_ref() }.map_or(0, churn_buyers::len)
}

/// Frees customers; models fitted on them stay valid. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_buyers_free(buyers: *mut churn_buyers) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(buyers) }
}

/// A fitted model of buying and leaving.
pub struct churn_lifetime {
    model: LifetimeModel,
    json: LazyText,
    report: LazyText,
}

impl churn_lifetime {
    pub(crate) fn new(model: LifetimeModel) -> Self {
        churn_lifetime {
            model,
            json: LazyText::default(),
            report: LazyText::default(),
        }
    }
}

/// Parameters by name, and how they were found (null if they were given).
pub(crate) fn report(names: &[&str], values: &[f64], estimate: Option<&Estimate>) -> Value {
    let pairs = names.iter().zip(values);
    let parameters: Map<String, Value> = pairs
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "parameters": parameters,
        "estimate": estimate,
        "aic": estimate.map(Estimate::aic),
        "bic": estimate.map(Estimate::bic),
    })
}

/// Fits a model by maximum likelihood. `settings` is JSON with the fields of the core's Lifetime,
/// e.g. {"family": "pareto_nbd"} (NULL = defaults, MBG/NBD); `progress` may be NULL. A maximum that
/// is not certified is CHURN_NOT_CONVERGED with gradient and condition in the message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_fit(
    buyers: *const churn_buyers,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_lifetime,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (buyers, settings, progress, out) = unsafe {
            (
                guard::handle(buyers, "buyers")?,
                guard::settings::<Lifetime>(settings, "lifetime")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let fitted = observe(progress, |progress| {
            buyers.ask(|buyers| settings.fit(buyers, progress))
        })?;
        out.write_handle(churn_lifetime::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a model that churn_lifetime_to_json, or any language of the library, has written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_from_json(
    json: *const c_char,
    model: *mut *mut churn_lifetime,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for a
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(model, "model")?) };
        out.write_handle(churn_lifetime::new(LifetimeModel::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The model as JSON, with every digit, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_to_json(
    model: *const churn_lifetime,
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

/// What the fit found, as JSON: "family", "regularity", "unit_days", "parameters" by name,
/// "estimate" (log-likelihood, standard errors, what lies on a bound, gradient, condition,
/// covariance of the logarithms; null if parameters were given), "aic", "bic". Valid until the model
/// is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_report(
    model: *const churn_lifetime,
    report: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(report, "report")?) };
        let text = model.report.get(|| {
            let model = &model.model;
            let names = model.family().parameter_names();
            let mut all = self::report(&names, model.parameters(), model.estimate());
            all["family"] = json!(model.family());
            all["regularity"] = json!(model.regularity());
            all["unit_days"] = json!(model.unit_days());
            Ok(all.to_string())
        })?;
        out.write(text);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// 0 means no limits.
fn wanted(level: f64) -> Option<f64> {
    (level != 0.0).then_some(level)
}

/// What the model says about each row: "probability_alive", "expected_purchases" and
/// "no_purchase_probability" within `horizon` (units of the model). With a `level` (0 = none), e.g.
/// 0.95, each also with "_lower" and "_upper" behind its name; with `most` above 0 also "purchases_0"
/// … "purchases_MOST", the probabilities of these numbers of purchases.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_answers(
    model: *const churn_lifetime,
    buyers: *const churn_buyers,
    horizon: f64,
    level: f64,
    most: u32,
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
        let batch = buyers
            .ask(|buyers| lifetime_batch(&model.model, buyers, horizon, wanted(level), most))?;
        out.write_handle(churn_analysis::new(batch, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What each row is worth: "expected_spend" per purchase and "customer_value", with a `level` (0 =
/// none) also "customer_value_lower" and "customer_value_upper". `settings` is JSON with the fields
/// of the core's CustomerValue (NULL = defaults: 365 days, 10 % a year, margin 1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_value(
    model: *const churn_lifetime,
    spend: *const churn_spend,
    buyers: *const churn_buyers,
    settings: *const c_char,
    level: f64,
    analysis: *mut *mut churn_analysis,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (model, spend, buyers, settings, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::handle(spend, "spend")?,
                guard::handle(buyers, "buyers")?,
                guard::settings::<CustomerValue>(settings, "value")?,
                Out::new(analysis, "analysis")?,
            )
        };
        let money = buyers.monetary_value()?;
        let batch = buyers.ask(|buyers| {
            let (purchases, level) = (&model.model, wanted(level));
            value_batch(&settings, buyers, money, purchases, &spend.model, level)
        })?;
        out.write_handle(churn_analysis::new(batch, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Churn probabilities (no purchase within `horizon_days`) of the customers of a summary, with
/// reasons.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_score(
    model: *const churn_lifetime,
    summary: *const churn_summary,
    horizon_days: u32,
    scores: *mut *mut churn_scores,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (model, summary, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::handle(summary, "summary")?.shared(),
                Out::new(scores, "scores")?,
            )
        };
        let scores = model.model.score(&summary, Horizon::days(horizon_days)?)?;
        out.write_handle(churn_scores::new(scores));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The answers as features of the customers of a summary: "probability_alive",
/// "expected_purchases", "no_purchase_probability" within `horizon_days`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_features(
    model: *const churn_lifetime,
    summary: *const churn_summary,
    horizon_days: u32,
    table: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (model, summary, out) = unsafe {
            (
                guard::handle(model, "model")?,
                guard::handle(summary, "summary")?.shared(),
                Out::new(table, "table")?,
            )
        };
        let horizon = Horizon::days(horizon_days)?;
        let table = model.model.features(&summary, horizon)?;
        out.write_handle(churn_feature_table::new(table));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Whether `general` fits significantly better than `special`, a special case of it fitted on the
/// same customers: twice the gain in log-likelihood, the parameters added, and the probability of
/// such a gain by chance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_likelihood_ratio(
    special: *const churn_lifetime,
    general: *const churn_lifetime,
    statistic: *mut f64,
    degrees: *mut u32,
    p_value: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or places for numbers.
        let (special, general, statistic, degrees, p_value) = unsafe {
            (
                guard::handle(special, "special")?,
                guard::handle(general, "general")?,
                Out::new(statistic, "statistic")?,
                Out::new(degrees, "degrees")?,
                Out::new(p_value, "p_value")?,
            )
        };
        let fitted = |model: &'static str, estimate: Option<&Estimate>| {
            estimate.cloned().ok_or_else(|| {
                let got = "one with given parameters";
                Error::invalid_parameter(model, "a fitted model", got)
            })
        };
        let test = likelihood_ratio(
            &fitted("special", special.model.estimate())?,
            &fitted("general", general.model.estimate())?,
        )?;
        statistic.write(test.statistic);
        degrees.write(test.degrees);
        p_value.write(test.p_value);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a model of buying; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_lifetime_free(model: *mut churn_lifetime) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}

/// A fitted Gamma-Gamma model of spend per purchase.
pub struct churn_spend {
    model: SpendModel,
    json: LazyText,
    report: LazyText,
}

impl churn_spend {
    fn new(model: SpendModel) -> Self {
        churn_spend {
            model,
            json: LazyText::default(),
            report: LazyText::default(),
        }
    }
}

/// Fits Gamma-Gamma on the repeat buyers, whose mean values are needed. `settings` is JSON with the
/// fields of the core's GammaGamma (NULL = defaults); `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_fit(
    buyers: *const churn_buyers,
    settings: *const c_char,
    progress: *const churn_progress,
    model: *mut *mut churn_spend,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (buyers, settings, progress, out) = unsafe {
            (
                guard::handle(buyers, "buyers")?,
                guard::settings::<GammaGamma>(settings, "gamma_gamma")?,
                progress.as_ref(),
                Out::new(model, "model")?,
            )
        };
        let money = buyers.monetary_value()?;
        let fitted = observe(progress, |progress| {
            buyers.ask(|buyers| settings.fit(buyers.frequency(), money, progress))
        })?;
        out.write_handle(churn_spend::new(fitted));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads and checks a spend model in JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_from_json(
    json: *const c_char,
    model: *mut *mut churn_spend,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for a
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(model, "model")?) };
        out.write_handle(churn_spend::new(SpendModel::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The spend model as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_to_json(
    model: *const churn_spend,
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

/// What the fit found, as JSON: "parameters", "estimate", "aic", "bic" as for
/// churn_lifetime_report, "population_mean" (null if it is infinite), "left_out" (rows without
/// repeat purchase or money), "frequency_correlation". Valid until the model is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_report(
    model: *const churn_spend,
    report: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (model, out) = unsafe { (guard::handle(model, "model")?, Out::new(report, "report")?) };
        let text = model.report.get(|| {
            let model = &model.model;
            let names = ["p", "q", "gamma"];
            let mut all = self::report(&names, &model.parameters(), model.estimate());
            all["population_mean"] = json!(model.population_mean().ok());
            all["left_out"] = json!(model.left_out());
            all["frequency_correlation"] = json!(model.frequency_correlation());
            Ok(all.to_string())
        })?;
        out.write(text);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What each row is expected to spend per purchase: an analysis with the column "expected_spend".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_answers(
    model: *const churn_spend,
    buyers: *const churn_buyers,
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
        let money = buyers.monetary_value()?;
        let spend = buyers.ask(|buyers| model.model.expected_spend(buyers.frequency(), money))?;
        let batch = BatchBuilder::new().numbers("expected_spend", &spend);
        out.write_handle(churn_analysis::new(batch.finish()?, &json!({})));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a spend model; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_spend_free(model: *mut churn_spend) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(model) }
}
