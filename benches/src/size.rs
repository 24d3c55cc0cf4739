//! Sizes of the benchmarks by name, and what a room starts from at each size.

use std::fmt;

use churn_core::events::Cleaning;
use churn_core::features::{FeatureSpec, FeatureTable, build};
use churn_core::scoring::{Scorecard, Scores};
use churn_core::{EventLog, Result};

use crate::input::{Arrival, Ids, Log};

/// Number of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(usize);

/// 1k and 100k events; when the figures count (`cargo bench`), 10M too.
pub fn sizes() -> Vec<Size> {
    let mut sizes = vec![Size(1_000), Size(100_000)];
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--bench") && !has("--test") {
        sizes.push(Size(10_000_000));
    }
    sizes
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1_000_000 => write!(f, "{}M", n / 1_000_000),
            n => write!(f, "{}k", n / 1_000),
        }
    }
}

impl Size {
    /// Rows of a shop with twenty events per customer.
    ///
    /// # Errors
    /// As for [`Log::simulate`].
    pub fn rows(self, arrival: Arrival, ids: Ids) -> Result<Log> {
        Log::simulate(self.0, (self.0 / 20) as u32, arrival, ids)
    }

    /// All default features of that shop at its end.
    ///
    /// # Errors
    /// As for [`Log::simulate`].
    pub fn features(self) -> Result<FeatureTable> {
        let rows = self.rows(Arrival::Customer, Ids::Int)?;
        let log = EventLog::from_columns(&rows.columns(), &Cleaning::default())?;
        build(&log.history(rows.end()), &FeatureSpec::default())
    }

    /// Those features with the scores of the default card.
    ///
    /// # Errors
    /// As for [`Log::simulate`].
    pub fn scores(self) -> Result<(FeatureTable, Scores)> {
        let table = self.features()?;
        let scores = Scorecard::default().score(&table)?;
        Ok((table, scores))
    }
}
