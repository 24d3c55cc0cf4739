//! The plan as a CSV file, one row per customer.

use std::io::Write;

use super::WinBack;
use crate::error::{Error, ErrorKind, Result};
use crate::text::Language;

/// How many reasons a row gives.
const REASONS: usize = 3;

/// The columns of the file, in order.
pub const PLAN_COLUMNS: [&str; 14] = [
    "customer",
    "as_of",
    "churn_probability",
    "horizon_days",
    "risk_tier",
    "rfm_segment",
    "lifecycle",
    "reasons",
    "action",
    "offers",
    "channels",
    "expected_response",
    "contact_cost",
    "offer_cost",
];

impl WinBack {
    /// Writes the plan with [`PLAN_COLUMNS`] as header, one row per customer in the order of the
    /// tables. Several offers and channels are joined by ` + `, reasons by `; `; customers without
    /// action have empty cells there. Numbers are written in full, so that reading them back gives
    /// the same bits.
    ///
    /// # Errors
    /// `InvalidValue` where the writer fails, with its message.
    ///
    /// # Panics
    /// Never for tables of one flow.
    pub fn write_plan(&self, writer: impl Write, language: Language) -> Result<()> {
        let failed = |error: csv::Error| {
            Error::new(
                ErrorKind::InvalidValue,
                "plan.csv",
                "a writer that accepts bytes",
                error,
            )
        };
        let mut file = csv::Writer::from_writer(writer);
        file.write_record(PLAN_COLUMNS).map_err(failed)?;
        let as_of = self.plan.as_of().to_string();
        let horizon = self.scores.horizon().as_days().to_string();
        for (row, customer) in self.plan.customers().iter().enumerate() {
            let offers: Vec<&str> = self
                .plan
                .offers(row)
                .iter()
                .map(|o| o.id.as_str())
                .collect();
            file.write_record([
                customer.to_string().as_str(),
                &as_of,
                &self.scores.churn_probability()[row].to_string(),
                &horizon,
                self.risk_tier.label(row),
                self.rfm_segment.label(row),
                self.lifecycle.label(row),
                &self.scores.sentences(row, REASONS, language).join("; "),
                self.plan.action(row).map_or("", |action| &action.id),
                &offers.join(" + "),
                &self.plan.channels(row).join(" + "),
                &self.plan.expected_response()[row].to_string(),
                &self.plan.contact_cost()[row].to_string(),
                &self.plan.offer_cost()[row].to_string(),
            ])
            .map_err(failed)?;
        }
        file.flush().map_err(|error| failed(error.into()))
    }
}
