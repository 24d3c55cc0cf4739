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

/// The columns that follow where the plan is made for profit.
pub const PROFIT_COLUMNS: [&str; 5] = ["expected_profit", "change", "source", "day", "no_action"];

impl WinBack {
    /// Writes the plan with [`PLAN_COLUMNS`] as header (and [`PROFIT_COLUMNS`], where the plan is
    /// made for profit: the profit, the change of the probability of staying, where it is known
    /// from, the day from 0, or why there is no action), one row per customer in the order of the
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
        let allocation = self.plan.allocation();
        let profit_columns = allocation.map_or(&[][..], |_| &PROFIT_COLUMNS[..]);
        let header = PLAN_COLUMNS.iter().chain(profit_columns);
        file.write_record(header).map_err(failed)?;
        let as_of = self.plan.as_of().to_string();
        let horizon = self.scores.horizon().as_days().to_string();
        for (row, customer) in self.plan.customers().iter().enumerate() {
            let offers: Vec<&str> = self
                .plan
                .offers(row)
                .iter()
                .map(|o| o.id.as_str())
                .collect();
            let mut record = vec![
                customer.to_string(),
                as_of.clone(),
                self.scores.churn_probability()[row].to_string(),
                horizon.clone(),
                self.risk_tier.label(row).to_owned(),
                self.rfm_segment.label(row).to_owned(),
                self.lifecycle.label(row).to_owned(),
                self.scores.sentences(row, REASONS, language).join("; "),
                self.plan
                    .action(row)
                    .map_or_else(String::new, |a| a.id.clone()),
                offers.join(" + "),
                self.plan.channels(row).join(" + "),
                self.plan.expected_response()[row].to_string(),
                self.plan.contact_cost()[row].to_string(),
                self.plan.offer_cost()[row].to_string(),
            ];
            if let Some(allocation) = allocation {
                let none = self.plan.no_action(row);
                let chosen = |text: String| if none.is_none() { text } else { String::new() };
                record.extend([
                    allocation.expected_profit()[row].to_string(),
                    allocation.change()[row].to_string(),
                    allocation.source()[row].map_or("", |s| s.name()).to_owned(),
                    chosen(allocation.day()[row].to_string()),
                    none.map_or("", |reason| reason.name()).to_owned(),
                ]);
            }
            file.write_record(&record).map_err(failed)?;
        }
        file.flush().map_err(|error| failed(error.into()))
    }
}
