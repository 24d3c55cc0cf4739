//! What features of one customer need to know about all customers.

mod census;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub(super) use census::{Census, Sums};
pub(super) use parts::{Part, Parts};

use super::activity::is_browsing;
use super::clock::{self, GapPrior, Sample};
use super::engine::Plan;
use super::rfm::RfmCuts;
use super::rhythm::WEIGHT_BOUNDS;
use super::{FeatureSpec, version};
use crate::error::{Error, Result};
use crate::events::{EventKind, History, Keep, PartitionedLog, Scratch};
use crate::progress::Progress;
use crate::time::AsOf;

/// Everything learned from all customers at once: RFM cuts, the purchase clock, mean response rates
/// and which kinds of event there are. Fit it once, store it, and tomorrow's features mean the same
/// as today's.
///
/// One that was learned for selected features ([`build_observed`](super::build_observed),
/// [`fit_selected`](Self::fit_selected)) knows what these need and says so: other features that need
/// more are refused by name, and what it does not know is empty.
///
/// # Example
/// ```
/// use churn_core::{AsOf, TimeUnit};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::features::{FeatureSpec, Population, build_with};
/// use churn_core::progress::Progress;
/// let columns = EventColumns::new(&["bea", "ann", "bea"], &[10, 11, 12], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let spec = FeatureSpec::default();
/// let population = Population::fit(&log.history(AsOf::parse("1970-01-20")?), &spec)?;
/// let stored = population.to_json();
/// let population = Population::from_json(&stored)?;
/// let later = log.history(AsOf::parse("1970-01-21")?);
/// let table = build_with(&later, &spec, &population, &Progress::none())?;
/// assert_eq!(table.column("days_since_last")?, [9.0, 8.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    // First, so that a newer version is named before anything that it added.
    #[serde(deserialize_with = "version::read")]
    version: u32,
    rfm: RfmCuts,
    gaps: Option<GapPrior>,
    channels: BTreeMap<String, f64>,
    kinds: BTreeSet<EventKind>,
    /// What the log behind it kept; of the rest it knows nothing.
    #[serde(default, skip_serializing_if = "Keep::is_everything")]
    keep: Keep,
    /// What was learned; of the rest it knows nothing either.
    #[serde(default = "Parts::all", skip_serializing_if = "Parts::is_all")]
    parts: Parts,
}

impl Population {
    /// Learns everything from the customers of a history, whatever features the spec selects.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain.
    pub fn fit(history: &History<'_>, spec: &FeatureSpec) -> Result<Self> {
        Self::fit_observed(history, spec, &Progress::none())
    }

    /// The same with progress and cancellation.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and `Cancelled`.
    pub fn fit_observed(
        history: &History<'_>,
        spec: &FeatureSpec,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        spec.check()?;
        Self::learn(history, spec, Parts::all(), progress)
    }

    /// Learns what the features that the spec selects need, and costs only that. Features that need
    /// more are refused by name.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain, `UnknownName` for a selected feature
    /// that there is not; `Cancelled`.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::features::{FeatureSpec, Population, build_with};
    /// use churn_core::progress::Progress;
    /// use churn_core::{AsOf, EventLog, TimeUnit};
    /// let columns = EventColumns::new(&["bea", "bea"], &[10, 12], TimeUnit::Day, EventKind::Purchase);
    /// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
    /// let (past, none) = (log.history(AsOf::parse("1970-01-20")?), Progress::none());
    /// let scores = FeatureSpec::default().with_features(["frequency_score", "orders"]);
    /// let population = Population::fit_selected(&past, &scores, &none)?;
    /// assert!(build_with(&past, &scores, &population, &none).is_ok());
    /// let gaps = FeatureSpec::default().with_features(["gap_mean"]);
    /// let error = build_with(&past, &gaps, &population, &none).unwrap_err();
    /// assert_eq!(error.expected(), "one that learned purchase gaps, for features.gap_mean");
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn fit_selected(
        history: &History<'_>,
        spec: &FeatureSpec,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let parts = Plan::new(spec, history.channels())?.parts();
        Self::learn(history, spec, parts, progress)
    }

    pub(super) fn learn(
        history: &History<'_>,
        spec: &FeatureSpec,
        parts: Parts,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let mut learned = Self::learn_many(std::slice::from_ref(history), spec, parts, progress)?;
        learned
            .pop()
            .ok_or_else(|| Error::not_enough_data("features.population", "one history", "none"))
    }

    /// Learns from the customers of a stream, one partition after another: equal to what one build
    /// of the same rows teaches, bit for bit. Takes 24 bytes of memory per buyer beside one
    /// partition.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); `InvalidValue` for scratch space that lost or changed what it was
    /// given; `Cancelled`.
    pub fn fit_parts<S: Scratch>(
        log: &PartitionedLog<S>,
        as_of: AsOf,
        spec: &FeatureSpec,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        spec.check()?;
        let census = Census::new(spec, Parts::all(), log.channels().len(), 1);
        let (mut all, mut sample) = (census.none(), Sample::default());
        for partition in 0..log.partitions() {
            let part = log.log(partition, progress)?;
            let history = part.history(as_of);
            for chunk in census
                .take(std::slice::from_ref(&history), progress)?
                .iter()
                .flatten()
            {
                all.merge(chunk);
            }
            // Rows mean something in this partition only.
            sample.merge(&std::mem::take(&mut all.buyers).sample(&history, as_of));
        }
        let source = Source {
            spec,
            parts: Parts::all(),
            channels: log.channels(),
            keep: log.keep(),
        };
        Ok(source.learn(all, |_| sample, as_of))
    }

    /// One population per history, all of one log, in ascending order of their instants.
    pub(super) fn learn_many(
        histories: &[History<'_>],
        spec: &FeatureSpec,
        parts: Parts,
        progress: &Progress<'_>,
    ) -> Result<Vec<Self>> {
        let channels = histories.last().map_or(0, |last| last.channels().len());
        let census = Census::new(spec, parts, channels, histories.len());
        let chunks = census.take(histories, progress)?;
        Ok(Self::of_census(&census, chunks, histories, spec, parts))
    }

    /// What a census taught: the sums of each chunk of customers at each instant.
    pub(super) fn of_census(
        census: &Census,
        chunks: Vec<Vec<Sums>>,
        histories: &[History<'_>],
        spec: &FeatureSpec,
        parts: Parts,
    ) -> Vec<Self> {
        let Some(last) = histories.last() else {
            return Vec::new();
        };
        let mut by_instant: Vec<Vec<Sums>> = Vec::with_capacity(histories.len());
        by_instant.resize_with(histories.len(), || Vec::with_capacity(chunks.len()));
        for chunk in chunks {
            for (instant, sums) in by_instant.iter_mut().zip(chunk) {
                instant.push(sums);
            }
        }
        let source = Source {
            spec,
            parts,
            channels: last.channels(),
            keep: last.keep(),
        };
        let learned = by_instant
            .into_par_iter()
            .zip(histories)
            .map(|(sums, history)| {
                let mut all = census.none();
                for chunk in &sums {
                    all.merge(chunk);
                }
                drop(sums);
                let as_of = history.as_of();
                source.learn(all, |buyers| buyers.sample(last, as_of), as_of)
            });
        learned.collect()
    }

    /// Whether a table of this spec can be built with this population.
    pub(super) fn check_for(&self, spec: &FeatureSpec) -> Result<()> {
        self.check()?;
        if self.rfm.bins() != spec.rfm.bins {
            return Err(Error::invalid_parameter(
                "population.rfm.bins",
                format_args!("the {} bins of the spec", spec.rfm.bins),
                self.rfm.bins(),
            ));
        }
        Ok(())
    }

    /// The population as JSON, with every digit.
    ///
    /// # Panics
    /// Never: all its parts can be written.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("finite numbers under text keys")
    }

    /// A population from its JSON.
    ///
    /// # Errors
    /// `InvalidParameter` for text that is not a population, one written by a newer version, or
    /// one with numbers outside their domain.
    pub fn from_json(text: &str) -> Result<Self> {
        let population: Population = crate::settings::from_json("population", text)?;
        population.check()?;
        Ok(population)
    }

    /// A population may come from a file, so its numbers are not trusted.
    pub(super) fn check(&self) -> Result<()> {
        self.rfm.check()?;
        if let Some(gaps) = &self.gaps {
            gaps.check()?;
        }
        for (name, mean) in &self.channels {
            if !(0.0..=1.0).contains(mean) {
                return Err(Error::invalid_parameter(
                    format!("population.channels.{name}"),
                    "a rate from 0 to 1",
                    mean,
                ));
            }
        }
        Ok(())
    }

    /// Version of the stored form.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The cut values of the RFM scores.
    pub fn rfm_cuts(&self) -> &RfmCuts {
        &self.rfm
    }

    /// What the gaps between purchase days say, or `None` if nobody bought on two days.
    pub fn gap_prior(&self) -> Option<&GapPrior> {
        self.gaps.as_ref()
    }

    /// Mean response rate of a channel, or `None` if nothing was ever sent over it.
    pub fn channel_mean(&self, channel: &str) -> Option<f64> {
        self.channels.get(channel).copied()
    }

    /// Whether any event of this kind occurred.
    pub fn has(&self, kind: EventKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// What the log behind it kept: features that need more cannot be built with it.
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    pub(super) fn parts(&self) -> Parts {
        self.parts
    }

    pub(super) fn records_browsing(&self) -> bool {
        self.kinds.iter().any(|kind| is_browsing(*kind))
    }
}

/// Whom a population is learned from, and what.
struct Source<'s> {
    spec: &'s FeatureSpec,
    parts: Parts,
    channels: &'s [String],
    keep: &'s Keep,
}

impl Source<'_> {
    /// What all customers together teach; `sample` tells the purchase days of buyers.
    fn learn(
        &self,
        mut all: Sums,
        sample: impl FnOnce(clock::Candidates) -> Sample + Send,
        as_of: AsOf,
    ) -> Population {
        let rhythm = &self.spec.rhythm;
        let prior = all.gaps.prior(rhythm.prior_gaps, WEIGHT_BOUNDS);
        let buyers = std::mem::take(&mut all.buyers);
        let with_clock = self.parts.has(Part::Clock);
        let (rfm, gaps) = rayon::join(
            || {
                RfmCuts::learn(
                    &self.spec.rfm,
                    &mut all.silences,
                    &mut all.orders,
                    &mut all.totals,
                )
            },
            || {
                prior.map(|moments| match with_clock {
                    true => clock::fit(&moments, sample(buyers), as_of),
                    false => clock::moments_only(&moments),
                })
            },
        );
        let kinds = EventKind::ALL.into_iter();
        Population {
            version: version::CURRENT,
            rfm,
            gaps,
            channels: all.channels.means(self.channels),
            kinds: kinds
                .filter(|kind| all.kinds & (1 << kind.code()) != 0)
                .collect(),
            keep: self.keep.clone(),
            parts: self.parts,
        }
    }
}
