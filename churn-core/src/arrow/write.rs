//! Tables to record batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, RecordBatchIterator, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{Field, Metadata, Schema};

use super::shared::shared;
use crate::customers::{CustomerId, Customers, IdStore};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{CleaningReport, DropReason};
use crate::features::{FeatureTable, RfmSummary};
use crate::scoring::Scores;
use crate::scoring::learned::{
    ColumnDrift, Drift, Explanation, LearnerReport, OutOfFold, TrainingData,
};
use crate::segments::Segments;
use crate::strategy::Plan;
use crate::time::Timestamp;

/// The features of all customers: `customer`, then one `Float64` column per feature, with its
/// `unit`, `definition` and, where it has one, `undefined` as metadata of the field. Schema
/// metadata: `as_of`. A value that is undefined stays NaN.
///
/// Nothing is copied but ids in text, and ids where only some of the log's customers are in the table:
/// the columns are the table's memory, which lives until the last
/// of them is gone. A table that is changed afterwards is changed elsewhere.
///
/// # Errors
/// `InvalidParameter` for a feature called `customer`.
///
/// # Example
/// ```
/// use churn_core::arrow::feature_batch;
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// use churn_core::{AsOf, Customers};
/// let table = FeatureTable::from_columns(
///     Customers::from_ints([1, 2]),
///     AsOf::parse("2011-12-10")?,
///     vec![FeatureInfo::new("orders", "count", "orders before as_of")],
///     vec![3.0, 1.0],
/// )?;
/// let batch = feature_batch(&table)?;
/// assert_eq!((batch.num_rows(), batch.num_columns()), (2, 2));
/// assert_eq!(batch.schema().field(1).metadata()["unit"], "count");
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn feature_batch(table: &FeatureTable) -> Result<RecordBatch> {
    let mut batch = BatchBuilder::new()
        .metadata("as_of", table.as_of().to_string())
        .customers("customer", table.customers());
    let (n, values) = (table.len(), shared(table.shared_values(), |v| v));
    for (j, feature) in table.features().iter().enumerate() {
        batch = batch
            .floats(&feature.name, values.slice(j * n, n))
            .describe("unit", &feature.unit)
            .describe("definition", &feature.definition);
        if !feature.undefined.is_empty() {
            batch = batch.describe("undefined", &feature.undefined);
        }
    }
    batch.finish()
}

/// Training data: `customer`, `as_of`, `churned` (1 or 0), then one column per feature, as in
/// [`feature_batch`], not copied either; one row per customer and cut-off.
///
/// # Errors
/// `InvalidParameter` for a feature called as one of the first three columns.
pub fn training_batch(data: &TrainingData) -> Result<RecordBatch> {
    let rows = 0..data.len();
    let ids = || rows.clone().map(|row| data.customer(row));
    let batch = BatchBuilder::new();
    let mut batch = match data.customer(0) {
        CustomerId::Int(_) => batch.integers("customer", ids().map(as_int)),
        CustomerId::Uint(_) => batch.counts("customer", ids().map(as_uint)),
        CustomerId::Text(_) => batch.texts("customer", ids().map(as_text)),
    };
    batch = batch
        .times(
            "as_of",
            rows.clone().map(|row| Some(data.as_of(row).instant())),
        )
        .numbers("churned", data.target());
    let (n, values) = (data.len(), shared(data.shared_values(), |v| v));
    for (j, info) in data.features().iter().enumerate() {
        batch = batch
            .floats(&info.name, values.slice(j * n, n))
            .describe("unit", &info.unit)
            .describe("definition", &info.definition);
    }
    batch.finish()
}

/// How the learners of a model did out of fold: `learner`, `weight`, `roc_auc`, `log_loss`, `trees`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn learner_batch(report: &OutOfFold) -> Result<RecordBatch> {
    let learners = || report.learners.iter();
    let numbers = |number: fn(&LearnerReport) -> f64| learners().map(number).collect::<Vec<_>>();
    BatchBuilder::new()
        .texts("learner", learners().map(|l| Some(l.learner.as_str())))
        .numbers("weight", &numbers(|l| l.weight))
        .numbers("roc_auc", &numbers(|l| l.roc_auc))
        .numbers("log_loss", &numbers(|l| l.log_loss))
        .counts("trees", learners().map(|l| Some(l.trees as u64)))
        .finish()
}

/// Probabilities with what each column contributed: `churn_probability`, `points_<column>`. Schema
/// metadata: `base_points`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn explanation_batch(told: &Explanation) -> Result<RecordBatch> {
    let rows = told.probabilities.len();
    let mut batch = BatchBuilder::new()
        .metadata("base_points", told.base_points.to_string())
        .numbers("churn_probability", &told.probabilities);
    for (j, name) in told.names.iter().enumerate() {
        let points = &told.points[j * rows..(j + 1) * rows];
        batch = batch
            .numbers(&format!("points_{name}"), points)
            .describe("unit", "points");
    }
    batch.finish()
}

/// Drift of columns and, in the last row, of probabilities: `column`, `psi`, `kolmogorov_smirnov`
/// (null for levels), `missing_before`, `missing_now`, `new_levels`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn drift_batch(drift: &Drift) -> Result<RecordBatch> {
    let rows = || drift.columns.iter().chain([&drift.probabilities]);
    let numbers = |number: fn(&ColumnDrift) -> f64| rows().map(number).collect::<Vec<_>>();
    BatchBuilder::new()
        .texts("column", rows().map(|c| Some(c.column.as_str())))
        .numbers("psi", &numbers(|c| c.psi))
        .optional_numbers("kolmogorov_smirnov", rows().map(|c| c.kolmogorov_smirnov))
        .numbers("missing_before", &numbers(|c| c.missing_before))
        .numbers("missing_now", &numbers(|c| c.missing_now))
        .numbers("new_levels", &numbers(|c| c.new_levels))
        .finish()
}

/// The purchase summary: `customer`, `frequency`, `recency`, `age`, `monetary_value`, `log_gaps` (null in
/// a summary that was made elsewhere without them). Schema metadata: `as_of`, `unit_days`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn summary_batch(summary: &RfmSummary) -> Result<RecordBatch> {
    let log_gaps = (0..summary.len()).map(|row| summary.log_gaps().map(|gaps| gaps[row]));
    BatchBuilder::new()
        .metadata("as_of", summary.as_of().to_string())
        .metadata("unit_days", summary.unit_days().to_string())
        .customers("customer", summary.customers())
        .numbers("frequency", summary.frequency())
        .numbers("recency", summary.recency())
        .numbers("age", summary.age())
        .numbers("monetary_value", summary.monetary_value())
        .optional_numbers("log_gaps", log_gaps)
        .finish()
}

/// The scores of all customers: `customer`, `churn_probability`, one column `points_<factor>` per
/// factor, and `reason_1` … `reason_<reasons>`: the factors that moved the score most, null where
/// there are fewer. Schema metadata: `as_of`, `horizon_days`.
///
/// # Errors
/// `InvalidParameter` for two factors of the same name.
pub fn score_batch(scores: &Scores, reasons: usize) -> Result<RecordBatch> {
    let mut batch = BatchBuilder::new()
        .metadata("as_of", scores.as_of().to_string())
        .metadata("horizon_days", scores.horizon().as_days().to_string())
        .customers("customer", scores.customers())
        .numbers("churn_probability", scores.churn_probability())
        .describe("unit", "probability")
        .describe("definition", "no purchase within the horizon after as_of");
    for (j, factor) in scores.factors().iter().enumerate() {
        batch = batch
            .numbers(&format!("points_{factor}"), scores.points_at(j))
            .describe("unit", "points");
    }
    let reasons = reasons.min(scores.factors().len());
    let mut codes = vec![Vec::with_capacity(scores.customers().len()); reasons];
    for row in 0..scores.customers().len() {
        let top = scores.reasons(row, reasons);
        for (rank, codes) in codes.iter_mut().enumerate() {
            let factor = top.get(rank).and_then(|reason| {
                let mut names = scores.factors().iter();
                names.position(|name| name == reason.feature)
            });
            codes.push(factor.map(|factor| factor as u32));
        }
    }
    for (rank, codes) in codes.into_iter().enumerate() {
        batch = batch.labels(&format!("reason_{}", rank + 1), scores.factors(), codes)?;
    }
    batch.finish()
}

/// One or several groupings of the same customers: `customer`, then one dictionary column per
/// grouping under its name. Schema metadata: `as_of`.
///
/// # Errors
/// `InvalidParameter` without any grouping or for two of the same name; `Misaligned` for groupings
/// of other customers or of another instant.
pub fn segment_batch(segments: &[&Segments]) -> Result<RecordBatch> {
    let Some((first, rest)) = segments.split_first() else {
        return Err(Error::invalid_parameter(
            "segments",
            "at least one grouping",
            "none",
        ));
    };
    for other in rest {
        let place = format!("segments.{}", other.name());
        first.customers().check_same(other.customers(), &place)?;
        if first.as_of() != other.as_of() {
            return Err(Error::misaligned(place, first.as_of(), other.as_of()));
        }
    }
    let mut batch = BatchBuilder::new()
        .metadata("as_of", first.as_of().to_string())
        .customers("customer", first.customers());
    for segments in segments {
        let codes = segments.codes().iter().copied().map(Some);
        batch = batch.labels(segments.name(), segments.labels(), codes)?;
    }
    batch.finish()
}

/// What is done for each customer: `customer`, `action`, `channels` and `offers` (ids, several
/// joined by `+`), `expected_response`, `contact_cost`, `offer_cost`. Texts are null and numbers 0
/// without an action. Schema metadata: `as_of`, `horizon_days`, `currency`.
///
/// A plan made for profit has in addition `expected_profit`, `change` (of the probability of
/// staying), `source` of the change, `stake`, `day` (null without an action), `no_action` (why
/// there is none).
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn plan_batch(plan: &Plan) -> Result<RecordBatch> {
    let rows = 0..plan.customers().len();
    let actions: Vec<&str> = plan
        .playbook()
        .actions
        .iter()
        .map(|a| a.id.as_str())
        .collect();
    let action_codes = plan.action_codes().iter();
    let (channels, channel_codes) = coded(rows.clone().map(|row| plan.channels(row).join("+")));
    let (offers, offer_codes) = coded(rows.map(|row| {
        let offers = plan.offers(row);
        let ids: Vec<&str> = offers.iter().map(|offer| offer.id.as_str()).collect();
        ids.join("+")
    }));
    let batch = BatchBuilder::new()
        .metadata("as_of", plan.as_of().to_string())
        .metadata("horizon_days", plan.horizon().as_days().to_string())
        .metadata("currency", plan.playbook().currency.clone())
        .customers("customer", plan.customers())
        .labels(
            "action",
            &actions,
            action_codes.map(|code| u32::try_from(*code).ok()),
        )?
        .labels("channels", &channels, channel_codes)?
        .labels("offers", &offers, offer_codes)?
        .numbers("expected_response", plan.expected_response())
        .describe("unit", "probability")
        .numbers("contact_cost", plan.contact_cost())
        .describe("unit", "currency")
        .numbers("offer_cost", plan.offer_cost())
        .describe("unit", "currency");
    let Some(allocation) = plan.allocation() else {
        return batch.finish();
    };
    let rows = 0..plan.customers().len();
    let sources = allocation.source().iter();
    let days = allocation.day().iter();
    batch
        .numbers("expected_profit", allocation.expected_profit())
        .describe("unit", "currency")
        .numbers("change", allocation.change())
        .describe("unit", "probability")
        .texts("source", sources.map(|source| source.map(|s| s.name())))
        .numbers("stake", allocation.stake())
        .describe("unit", "currency")
        .integers(
            "day",
            days.map(|day| (*day >= 0).then_some(i64::from(*day))),
        )
        .texts(
            "no_action",
            rows.map(|row| plan.no_action(row).map(|r| r.name())),
        )
        .finish()
}

/// The constraints of a plan made for profit: `constraint` (place in the settings), `subject`,
/// `is_minimum`, `limit`, `used`, `price`. Without rows for a plan by priority.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn price_batch(plan: &Plan) -> Result<RecordBatch> {
    let prices = plan.allocation().map_or(&[][..], |a| a.prices());
    BatchBuilder::new()
        .metadata("currency", plan.playbook().currency.clone())
        .texts(
            "constraint",
            prices.iter().map(|p| Some(p.constraint.as_str())),
        )
        .texts("subject", prices.iter().map(|p| Some(p.subject.as_str())))
        .flags("is_minimum", prices.iter().map(|p| Some(p.is_minimum)))
        .numbers("limit", &prices.iter().map(|p| p.limit).collect::<Vec<_>>())
        .numbers("used", &prices.iter().map(|p| p.used).collect::<Vec<_>>())
        .numbers("price", &prices.iter().map(|p| p.price).collect::<Vec<_>>())
        .finish()
}

/// The budget curve of a plan made for profit: `budget`, `profit`, `bound`, `price`. Without rows
/// unless asked for.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn curve_batch(plan: &Plan) -> Result<RecordBatch> {
    let curve = plan.allocation().map_or(&[][..], |a| a.curve());
    BatchBuilder::new()
        .metadata("currency", plan.playbook().currency.clone())
        .numbers(
            "budget",
            &curve.iter().map(|p| p.budget).collect::<Vec<_>>(),
        )
        .numbers(
            "profit",
            &curve.iter().map(|p| p.profit).collect::<Vec<_>>(),
        )
        .numbers("bound", &curve.iter().map(|p| p.bound).collect::<Vec<_>>())
        .numbers("price", &curve.iter().map(|p| p.price).collect::<Vec<_>>())
        .finish()
}

/// Distinct texts in order of first appearance, and the place of each text among them; empty
/// texts are missing.
fn coded(texts: impl Iterator<Item = String>) -> (Vec<String>, Vec<Option<u32>>) {
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut labels = Vec::new();
    let codes = texts
        .map(|text| {
            if text.is_empty() {
                return None;
            }
            let next = labels.len() as u32;
            Some(*places.entry(text).or_insert_with_key(|text| {
                labels.push(text.clone());
                next
            }))
        })
        .collect();
    (labels, codes)
}

/// What cleaning did, one row per count: `count` (its name), `rows`, `money`. First `rows_in` and
/// `rows_kept`, then every reason to drop rows as `dropped.<reason>`, then what was kept changed
/// or twice.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn cleaning_batch(report: &CleaningReport) -> Result<RecordBatch> {
    let kept = report.purchases_kept - report.refunds_kept;
    let mut counts = vec![
        ("rows_in".to_owned(), report.rows_in, None),
        ("rows_kept".to_owned(), report.rows_kept, Some(kept)),
    ];
    for reason in DropReason::ALL {
        let tally = report.dropped(reason);
        let name = format!("dropped.{}", reason.name());
        counts.push((name, tally.rows, Some(tally.money)));
    }
    for (name, tally) in [
        ("read_as_refund", report.read_as_refund),
        ("duplicates_kept", report.duplicates_kept),
    ] {
        counts.push((name.to_owned(), tally.rows, Some(tally.money)));
    }
    BatchBuilder::new()
        .texts("count", counts.iter().map(|(name, ..)| Some(name.as_str())))
        .counts("rows", counts.iter().map(|(_, rows, _)| Some(*rows)))
        .optional_numbers("money", counts.iter().map(|(.., money)| *money))
        .finish()
}

/// A C-data stream that yields one batch, for consumers of the Arrow C stream interface.
pub fn batch_stream(batch: RecordBatch) -> FFI_ArrowArrayStream {
    let schema = batch.schema();
    FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new([Ok(batch)], schema)))
}

/// Builds a record batch column by column, for any table of the library.
///
/// # Example
/// ```
/// use churn_core::arrow::BatchBuilder;
/// let batch = BatchBuilder::new()
///     .metadata("as_of", "2011-12-10")
///     .texts("action", [Some("call"), None])
///     .numbers("cost", &[2.5, 0.0])
///     .describe("unit", "currency")
///     .finish()?;
/// assert_eq!(batch.num_rows(), 2);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct BatchBuilder {
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
    metadata: Vec<(String, String)>,
}

impl BatchBuilder {
    /// Without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds metadata of the whole table.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Adds metadata of the column added last, such as its `unit`.
    pub fn describe(mut self, key: &str, value: &str) -> Self {
        if let Some(field) = self.fields.pop() {
            let mut metadata = field.metadata().clone();
            metadata.insert(key, value);
            self.fields.push(field.with_metadata(metadata));
        }
        self
    }

    /// Whether a column may hold nulls depends on its sort, not on its data: tables of two days
    /// have one schema.
    fn column(mut self, name: &str, column: ArrayRef, nullable: bool) -> Self {
        let field = Field::new(name, column.data_type().clone(), nullable);
        self.fields.push(field);
        self.columns.push(column);
        self
    }

    /// Customer ids in their own type: `Int64`, `UInt64` or `Utf8` (`LargeUtf8` above 2 GB).
    pub fn customers(self, name: &str, customers: &Customers) -> Self {
        let column: ArrayRef = match (customers.store(), customers.shared_store()) {
            (IdStore::Int(_), Some(ids)) => {
                Arc::new(Int64Array::new(shared(ids, IdStore::ints), None))
            }
            (IdStore::Uint(_), Some(ids)) => {
                Arc::new(UInt64Array::new(shared(ids, IdStore::uints), None))
            }
            (IdStore::Int(_), None) => {
                Arc::new(customers.iter().map(as_int).collect::<Int64Array>())
            }
            (IdStore::Uint(_), None) => {
                Arc::new(customers.iter().map(as_uint).collect::<UInt64Array>())
            }
            (IdStore::Text { .. }, _) => {
                text_array((0..customers.len()).map(|row| as_text(customers.get(row))))
            }
        };
        self.column(name, column, false)
    }

    /// The id of one customer per row, in the type of the ids; `rows` are rows of `customers`.
    pub fn customer_rows(self, name: &str, customers: &Customers, rows: &[u32]) -> Self {
        let ids = || rows.iter().map(|row| customers.get(*row as usize));
        let column: ArrayRef = match customers.store() {
            IdStore::Int(_) => Arc::new(ids().map(as_int).collect::<Int64Array>()),
            IdStore::Uint(_) => Arc::new(ids().map(as_uint).collect::<UInt64Array>()),
            IdStore::Text { .. } => text_array(ids().map(as_text)),
        };
        self.column(name, column, false)
    }

    /// Numbers that are all there; NaN stays NaN.
    pub fn numbers(self, name: &str, numbers: &[f64]) -> Self {
        self.floats(name, numbers.to_vec().into())
    }

    /// The same where they lie.
    fn floats(self, name: &str, numbers: ScalarBuffer<f64>) -> Self {
        self.column(name, Arc::new(Float64Array::new(numbers, None)), false)
    }

    /// Numbers of which some are missing.
    pub fn optional_numbers(
        self,
        name: &str,
        numbers: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        self.column(name, Arc::new(Float64Array::from_iter(numbers)), true)
    }

    /// Whole numbers, signed.
    pub fn integers(self, name: &str, integers: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.column(name, Arc::new(Int64Array::from_iter(integers)), true)
    }

    /// Whole numbers, unsigned.
    pub fn counts(self, name: &str, counts: impl IntoIterator<Item = Option<u64>>) -> Self {
        self.column(name, Arc::new(UInt64Array::from_iter(counts)), true)
    }

    /// Yes or no.
    pub fn flags(self, name: &str, flags: impl IntoIterator<Item = Option<bool>>) -> Self {
        self.column(name, Arc::new(BooleanArray::from_iter(flags)), true)
    }

    /// Instants in microseconds, without zone as everywhere in the library: UTC.
    pub fn times(self, name: &str, times: impl IntoIterator<Item = Option<Timestamp>>) -> Self {
        let micros = times.into_iter().map(|time| time.map(Timestamp::micros));
        self.column(
            name,
            Arc::new(TimestampMicrosecondArray::from_iter(micros)),
            true,
        )
    }

    /// Texts: `Utf8`, or `LargeUtf8` above 2 GB.
    pub fn texts<'t>(
        self,
        name: &str,
        texts: impl IntoIterator<Item = Option<&'t str>, IntoIter: Clone>,
    ) -> Self {
        self.column(name, text_array(texts.into_iter()), true)
    }

    /// Texts out of a list, as a dictionary column; `codes` index `labels`.
    ///
    /// # Errors
    /// `InvalidValue` for a code without label.
    pub fn labels<S: AsRef<str>>(
        self,
        name: &str,
        labels: &[S],
        codes: impl IntoIterator<Item = Option<u32>>,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for (row, code) in codes.into_iter().enumerate() {
            keys.push(match code {
                None => None,
                // Signed keys: the only ones that every data frame library reads.
                Some(code) if (code as usize) < labels.len() && i32::try_from(code).is_ok() => {
                    Some(code as i32)
                }
                Some(code) => {
                    return Err(Error::invalid_value(
                        name,
                        row,
                        format_args!("a code below {}", labels.len()),
                        code,
                    ));
                }
            });
        }
        let values = StringArray::from_iter_values(labels);
        match DictionaryArray::try_new(Int32Array::from(keys), Arc::new(values)) {
            Ok(column) => Ok(self.column(name, Arc::new(column), true)),
            Err(error) => Err(Error::new(
                ErrorKind::InvalidValue,
                name,
                "codes of its labels",
                error,
            )),
        }
    }

    /// The batch.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of different lengths; `InvalidParameter` for two columns of the
    /// same name.
    pub fn finish(self) -> Result<RecordBatch> {
        let rows = self.columns.first().map_or(0, |column| column.len());
        let mut seen = HashSet::new();
        for (field, column) in self.fields.iter().zip(&self.columns) {
            if column.len() != rows {
                return Err(Error::length_mismatch(field.name(), rows, column.len()));
            }
            if !seen.insert(field.name()) {
                return Err(Error::invalid_parameter(
                    "table.columns",
                    "names that differ",
                    format_args!("{:?} twice", field.name()),
                ));
            }
        }
        let schema =
            Schema::new(self.fields).with_metadata(self.metadata.into_iter().collect::<Metadata>());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(schema), self.columns, &options).map_err(
            |error| {
                Error::new(
                    ErrorKind::InvalidValue,
                    "table",
                    "columns of one table",
                    error,
                )
            },
        )
    }
}

fn as_int(id: CustomerId<'_>) -> Option<i64> {
    match id {
        CustomerId::Int(id) => Some(id),
        _ => None,
    }
}

fn as_uint(id: CustomerId<'_>) -> Option<u64> {
    match id {
        CustomerId::Uint(id) => Some(id),
        _ => None,
    }
}

fn as_text(id: CustomerId<'_>) -> Option<&str> {
    match id {
        CustomerId::Text(id) => Some(id),
        _ => None,
    }
}

/// Text with 32-bit offsets where those suffice.
fn text_array<'t>(texts: impl Iterator<Item = Option<&'t str>> + Clone) -> ArrayRef {
    let bytes: usize = texts.clone().map(|text| text.map_or(0, str::len)).sum();
    if i32::try_from(bytes).is_ok() {
        Arc::new(StringArray::from_iter(texts))
    } else {
        Arc::new(LargeStringArray::from_iter(texts))
    }
}
