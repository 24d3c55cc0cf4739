//! One customer at a time.

use std::fmt;

use super::plan::Plan;
use super::row::{Instant, Passage, own};
use crate::error::{Error, Result};
use crate::events::CustomerHistory;
use crate::features::block::Column;
use crate::features::population::Population;
use crate::features::sweep::{Gather, Sight, Sweep};
use crate::features::touchpoints::Reach;
use crate::features::{FeatureInfo, FeatureSpec};
use crate::time::AsOf;

/// Describes one customer at a time, for a request that cannot wait for a table or for the few
/// customers that new events touched. Same numbers, to the bit, as the table built with the same
/// population.
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, EventColumns, EventKind};
/// use churn_core::features::{Describer, FeatureSpec, Population};
/// use churn_core::{AsOf, EventLog, TimeUnit};
/// fn rows<'a>(ids: &'a [&'a str], days: &'a [i64]) -> EventColumns<'a> {
///     EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
/// }
/// let mut log = EventLog::from_columns(&rows(&["ann", "bea"], &[10, 12]), &Cleaning::default())?;
/// let as_of = AsOf::parse("1970-02-01")?;
/// let spec = FeatureSpec::default().with_features(["orders", "days_since_last"]);
/// let population = Population::fit(&log.history(as_of), &spec)?;
///
/// log.append(&rows(&["bea"], &[20]))?;
/// let mut describer = Describer::new(log.channels(), as_of, &spec, &population)?;
/// let bea = log.customer("bea", as_of).expect("bea has bought before");
/// assert_eq!(describer.describe(&bea)?, [2.0, 11.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub struct Describer {
    channels: Vec<String>,
    as_of: AsOf,
    plan: Plan,
    passage: Passage,
    instant: Instant,
    sweep: Sweep,
    block: Vec<Column>,
    reach: Vec<Reach>,
    row: Vec<f64>,
}

impl fmt::Debug for Describer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (features, as_of) = (self.plan.slots.len(), self.as_of);
        write!(f, "Describer({features} features as of {as_of})")
    }
}

impl Describer {
    /// Prepares to describe customers of a log with these channels as of an instant.
    ///
    /// # Errors
    /// As [`build_with`](crate::features::build_with).
    pub fn new(
        channels: &[String],
        as_of: AsOf,
        spec: &FeatureSpec,
        population: &Population,
    ) -> Result<Self> {
        let plan = Plan::new(spec, channels)?;
        plan.check_population(population)?;
        let passage = Passage::new(&[as_of], &plan, Gather::NOTHING);
        Ok(Describer {
            channels: channels.to_vec(),
            as_of,
            instant: Instant::new(as_of, &plan, channels, population),
            sweep: Sweep::new(&passage.timeline, channels.len()),
            passage,
            block: plan.block(),
            reach: Vec::new(),
            row: vec![0.0; plan.slots.len()],
            plan,
        })
    }

    /// The channels of the logs whose customers it describes.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    /// What the numbers mean, in order.
    pub fn features(&self) -> &[FeatureInfo] {
        &self.plan.infos
    }

    /// The features of one customer, valid until the next call.
    ///
    /// # Errors
    /// `Misaligned` for a past that ends at another instant, or of a log with other channels, which
    /// an append may have brought: make a new describer then; `InvalidParameter` for a log that does
    /// not keep what a feature needs; `InvalidValue` for a feature of the
    /// caller's own outside its bounds.
    pub fn describe(&mut self, customer: &CustomerHistory<'_>) -> Result<&[f64]> {
        if customer.as_of() != self.as_of {
            let (expected, got) = (self.as_of, customer.as_of());
            return Err(Error::misaligned("customer", expected, got));
        }
        if customer.channels() != self.channels {
            let list = |names: &[String]| format!("a log with the channels {}", names.join(", "));
            let (expected, got) = (list(&self.channels), list(customer.channels()));
            return Err(Error::misaligned("customer", expected, got));
        }
        self.plan.check_keep(customer.keep())?;
        let (plan, passage, block) = (&self.plan, &self.passage, &mut self.block);
        let Passage {
            timeline, wanted, ..
        } = passage;
        let (reach, row) = (&mut self.reach, &mut self.row);
        let show = |_, sight: Sight<'_>| {
            own(plan, &sight, block, 0);
            passage.custom(|| *customer, 0, block, 0)?;
            if !plan.beside.is_empty() {
                passage.beside(plan, &self.instant, &sight, reach, block, 0);
            }
            for (column, slot) in &plan.places {
                row[*column] = block[*slot][0];
            }
            Ok(())
        };
        self.sweep.run(timeline, wanted, customer.events(), show)?;
        Ok(&self.row)
    }
}
