//! Which of the caller's columns plays which role in the log.

use serde::{Deserialize, Serialize};

use crate::time::TimeUnit;

/// Names of the caller's columns, where they differ from the canonical ones (`customer`, `time`,
/// `kind`, `value`, `channel`, `order`, `item`).
///
/// `customer` and `time` must be there. Every other column is used if it is there under its
/// canonical name, and must be there once its name is stated. Columns without a role are ignored.
/// Without a kind column every row is a purchase.
///
/// `value` may be a product of columns, e.g. `"Quantity*UnitPrice"`; a column that bears that very
/// name goes first.
///
/// # Example
/// ```
/// use churn_core::events::ColumnNames;
/// let names: ColumnNames = churn_core::settings::from_json(
///     "names",
///     r#"{"customer": "CustomerID", "time": "InvoiceDate", "value": "Quantity*UnitPrice"}"#,
/// )?;
/// assert_eq!(names.order, None);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnNames {
    /// Whose event it is.
    pub customer: Option<String>,
    /// When it happened.
    pub time: Option<String>,
    /// What happened.
    pub kind: Option<String>,
    /// Money or dwell seconds.
    pub value: Option<String>,
    /// The channel of messages and advertisements.
    pub channel: Option<String>,
    /// The order that a purchase line belongs to.
    pub order: Option<String>,
    /// The item bought, viewed or touched.
    pub item: Option<String>,
    /// What integer times count from 1970-01-01 UTC on. Integer times without it are refused;
    /// columns that carry their own unit, and times in text, do not need it.
    pub time_unit: Option<TimeUnit>,
}
