//! Answers of the models of buying to record batches.

use arrow_array::RecordBatch;

use super::BatchBuilder;
use crate::error::Result;
use crate::features::{Holdout, RfmSummary};
use crate::scoring::lifetime::{Answer, Buyers, CustomerValue, LifetimeModel, SpendModel};

/// What a model says about each row: `probability_alive`, `expected_purchases` and
/// `no_purchase_probability` within `horizon` (units of the model). With a level, each of them also
/// with `_lower` and `_upper` behind its name; with `most` above 0 also `purchases_0` …
/// `purchases_<most>`, the probabilities of these numbers of purchases.
///
/// # Errors
/// Those of [`LifetimeModel::answer`], [`LifetimeModel::interval`] and
/// [`LifetimeModel::purchase_distribution`].
pub fn lifetime_batch(
    model: &LifetimeModel,
    buyers: &Buyers<'_>,
    horizon: f64,
    level: Option<f64>,
    most: u32,
) -> Result<RecordBatch> {
    let questions = [
        ("probability_alive", Answer::ProbabilityAlive),
        ("expected_purchases", Answer::ExpectedPurchases(horizon)),
        ("no_purchase_probability", Answer::NoPurchase(horizon)),
    ];
    let mut batch = BatchBuilder::new();
    match level {
        None => {
            let columns = model.answer_each(buyers, &questions.map(|(_, question)| question))?;
            for ((name, _), column) in questions.iter().zip(&columns) {
                batch = batch.numbers(name, column);
            }
        }
        Some(level) => {
            for (name, question) in questions {
                batch = with_limits(batch, name, &model.interval(buyers, question, level)?);
            }
        }
    }
    if most > 0 {
        let columns = model.purchase_distribution(buyers, horizon, most)?;
        for (n, column) in columns.iter().enumerate() {
            batch = batch.numbers(&format!("purchases_{n}"), column);
        }
    }
    batch.finish()
}

/// What each row is worth: `expected_spend` per purchase, `customer_value`, and with a level
/// `customer_value_lower` and `customer_value_upper`.
///
/// # Errors
/// Those of [`CustomerValue::of`] and [`CustomerValue::interval`].
pub fn value_batch(
    value: &CustomerValue,
    buyers: &Buyers<'_>,
    monetary_value: &[f64],
    purchases: &LifetimeModel,
    spend: &SpendModel,
    level: Option<f64>,
) -> Result<RecordBatch> {
    let each = spend.expected_spend(buyers.frequency(), monetary_value)?;
    let batch = BatchBuilder::new().numbers("expected_spend", &each);
    let name = "customer_value";
    match level {
        None => batch.numbers(name, &value.of(buyers, monetary_value, purchases, spend)?),
        Some(level) => {
            let columns = value.interval(buyers, monetary_value, purchases, spend, level)?;
            with_limits(batch, name, &columns)
        }
    }
    .finish()
}

fn with_limits(
    batch: BatchBuilder,
    name: &str,
    [value, low, high]: &[Vec<f64>; 3],
) -> BatchBuilder {
    batch
        .numbers(name, value)
        .numbers(&format!("{name}_lower"), low)
        .numbers(&format!("{name}_upper"), high)
}

/// What the customers of a calibration did afterwards: `customer`, `frequency`, `monetary_value`.
/// Schema metadata: `duration`, in units of the calibration.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn holdout_batch(calibration: &RfmSummary, holdout: &Holdout) -> Result<RecordBatch> {
    BatchBuilder::new()
        .metadata("duration", holdout.duration().to_string())
        .customers("customer", calibration.customers())
        .numbers("frequency", holdout.frequency())
        .numbers("monetary_value", holdout.monetary_value())
        .finish()
}
