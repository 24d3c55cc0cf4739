//! Named groups of customers: risk tiers, recency–frequency grids, lifecycle stages, profiles.
//!
//! A line belongs in this room if it puts customers into named groups.

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::AsOf;

mod lifecycle;
mod partition;
mod profile;
mod rfm_grid;
mod tiers;

pub use lifecycle::lifecycle;
pub use partition::{Rectangle, Rule};
pub use profile::{FeatureMean, ProfileTable, SegmentProfile, profile};
pub use rfm_grid::{Grid, NO_PURCHASE};
pub use tiers::RiskTiers;

/// Every customer in exactly one named group.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    name: String,
    customers: Customers,
    as_of: AsOf,
    labels: Vec<String>,
    codes: Vec<u32>,
}

impl Segments {
    /// A grouping called `name` (e.g. `"risk_tier"`); `codes[i]` indexes `labels`.
    ///
    /// # Errors
    /// `LengthMismatch` unless there is one code per customer; `InvalidValue` for a code without
    /// label; `InvalidParameter` for a label that occurs twice.
    pub fn new(
        name: impl Into<String>,
        customers: Customers,
        as_of: AsOf,
        labels: Vec<String>,
        codes: Vec<u32>,
    ) -> Result<Self> {
        let name = name.into();
        if codes.len() != customers.len() {
            return Err(Error::length_mismatch(
                format!("segments.{name}"),
                customers.len(),
                codes.len(),
            ));
        }
        if let Some(row) = codes.iter().position(|c| *c as usize >= labels.len()) {
            return Err(Error::invalid_value(
                format!("segments.{name}"),
                row,
                format_args!("a code below {}", labels.len()),
                codes[row],
            ));
        }
        for (i, label) in labels.iter().enumerate() {
            if labels[..i].contains(label) {
                return Err(Error::invalid_parameter(
                    format!("segments.{name}"),
                    "labels that differ",
                    format_args!("{label:?} twice"),
                ));
            }
        }
        Ok(Segments {
            name,
            customers,
            as_of,
            labels,
            codes,
        })
    }

    /// Name of the grouping, e.g. `"risk_tier"`; conditions refer to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant that the groups describe.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// Names of the groups.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Index into [`labels`](Self::labels), one per customer.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The group of one customer.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn label(&self, row: usize) -> &str {
        &self.labels[self.codes[row] as usize]
    }
}
