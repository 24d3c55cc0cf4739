//! What features of one customer need to know about all customers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::activity::is_browsing;
use super::clock::{self, Bound, GapPrior, Sample};
use super::rfm::RfmCuts;
use super::rhythm::WEIGHT_BOUNDS;
use super::sweep::{Sight, Sweep, Timeline, Wanted, WindowsWanted};
use super::touchpoints::ChannelTotals;
use super::{FeatureSpec, version};
use crate::error::{Error, Result};
use crate::events::{EventKind, History, Keep, PartitionedLog, Scratch};
use crate::math::stats::GroupMoments;
use crate::progress::Progress;
use crate::time::AsOf;

/// Customers that one progress report stands for.
pub(super) const CHUNK: usize = 2048;

/// Everything learned from all customers at once: RFM cuts, the purchase clock, mean response rates
/// and which kinds of event there are. Fit it once, store it, and tomorrow's features mean the same
/// as today's.
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
}

/// Which parts of a population somebody asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) rfm: bool,
    pub(super) gaps: bool,
    pub(super) channels: bool,
    pub(super) kinds: bool,
}

impl Parts {
    pub(super) const ALL: Parts = Parts {
        rfm: true,
        gaps: true,
        channels: true,
        kinds: true,
    };

    fn any(self) -> bool {
        self.rfm || self.gaps || self.channels || self.kinds
    }
}

/// What one chunk of customers contributes.
#[derive(Clone)]
struct Sums {
    silences: Vec<f64>,
    orders: Vec<f64>,
    totals: Vec<f64>,
    gaps: GroupMoments,
    buyers: Sample,
    channels: ChannelTotals,
    /// Bit *c* is set where an event of code *c* occurs.
    kinds: u32,
}

impl Population {
    /// Learns from the customers of a history.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain.
    pub fn fit(history: &History<'_>, spec: &FeatureSpec) -> Result<Self> {
        spec.check()?;
        Self::learn(history, spec, Parts::ALL, &Progress::none())
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
        let mut all = Sums::new(log.channels().len());
        for partition in 0..log.partitions() {
            let part = log.log(partition, progress)?;
            let history = part.history(as_of);
            let chunks = Sums::of(std::slice::from_ref(&history), Parts::ALL, progress)?;
            for chunk in chunks.iter().flatten() {
                all.merge(chunk);
            }
        }
        Ok(Self::of(all, spec, as_of, log.channels(), log.keep()))
    }

    /// One population per history, all of one log, in ascending order of their instants.
    pub(super) fn learn_many(
        histories: &[History<'_>],
        spec: &FeatureSpec,
        parts: Parts,
        progress: &Progress<'_>,
    ) -> Result<Vec<Self>> {
        let Some((channels, keep)) = histories.last().map(|last| (last.channels(), last.keep()))
        else {
            return Ok(Vec::new());
        };
        let learned = Sums::of(histories, parts, progress)?
            .into_par_iter()
            .zip(histories)
            .map(|(chunks, history)| {
                let mut all = Sums::new(channels.len());
                for chunk in &chunks {
                    all.merge(chunk);
                }
                Self::of(all, spec, history.as_of(), channels, keep)
            });
        Ok(learned.collect())
    }

    /// What all customers together teach.
    fn of(
        mut all: Sums,
        spec: &FeatureSpec,
        as_of: AsOf,
        channels: &[String],
        keep: &Keep,
    ) -> Self {
        let gaps = all.gaps.prior(spec.rhythm.prior_gaps, WEIGHT_BOUNDS);
        let kinds = EventKind::ALL.into_iter();
        Population {
            version: version::CURRENT,
            rfm: RfmCuts::learn(
                &spec.rfm,
                &mut all.silences,
                &mut all.orders,
                &mut all.totals,
            ),
            gaps: gaps.map(|moments| clock::fit(&moments, all.buyers, as_of)),
            channels: all.channels.means(channels),
            kinds: kinds
                .filter(|kind| all.kinds & (1 << kind.code()) != 0)
                .collect(),
            keep: keep.clone(),
        }
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

    pub(super) fn records_browsing(&self) -> bool {
        self.kinds.iter().any(|kind| is_browsing(*kind))
    }
}

impl Sums {
    fn new(channels: usize) -> Self {
        Sums {
            silences: Vec::new(),
            orders: Vec::new(),
            totals: Vec::new(),
            gaps: GroupMoments::default(),
            buyers: Sample::default(),
            channels: ChannelTotals::new(channels),
            kinds: 0,
        }
    }

    /// What the customers of each history contribute, in chunks in their order; all histories are of
    /// one log, in ascending order of their instants.
    fn of(
        histories: &[History<'_>],
        parts: Parts,
        progress: &Progress<'_>,
    ) -> Result<Vec<Vec<Sums>>> {
        // Whoever is seen at some instant is seen at the last one.
        let Some(last) = histories.last() else {
            return Ok(Vec::new());
        };
        let instants: Vec<_> = histories.iter().map(History::as_of).collect();
        let timeline = Timeline::new(&instants, WindowsWanted::default());
        let channels = last.channels();
        let wanted = Wanted {
            purchases: parts.rfm || parts.gaps,
            kinds: parts.kinds,
            channels: parts.channels,
            ..Wanted::default()
        };
        let n = if parts.any() {
            last.customers().len()
        } else {
            0
        };
        let cuts: Vec<i64> = instants.iter().map(|at| at.instant().micros()).collect();
        let bounds: Vec<Bound> = cuts.iter().map(|_| Bound::default()).collect();
        let step = progress.step("features.population", n);
        let stopped = AtomicBool::new(false);
        let chunks: Vec<Result<Vec<Sums>>> = (0..n.div_ceil(CHUNK))
            .into_par_iter()
            .map_init(
                || Sweep::new(&timeline, channels.len()),
                |sweep, chunk| {
                    if stopped.load(Ordering::Relaxed) {
                        return Err(Error::cancelled("features.population"));
                    }
                    let rows = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
                    let count = rows.len();
                    let mut sums = vec![Sums::new(channels.len()); histories.len()];
                    let mut buyers = vec![Sample::default(); histories.len()];
                    for row in rows {
                        let customer = last.customer(row);
                        if parts.gaps {
                            let (id, events) = (customer.id(), customer.events());
                            Sample::look(&mut buyers, &bounds, &cuts, id, events);
                        }
                        let events = customer.events();
                        sweep.run(&timeline, &wanted, events, |cut, sight| {
                            sums[cut].push(&sight, parts);
                            Ok(())
                        })?;
                    }
                    for ((sums, buyers), bound) in sums.iter_mut().zip(buyers).zip(&bounds) {
                        buyers.note(bound);
                        sums.buyers = buyers;
                    }
                    step.advance(count)
                        .inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
                    Ok(sums)
                },
            )
            .collect();
        let mut all: Vec<Vec<Sums>> = Vec::with_capacity(histories.len());
        all.resize_with(histories.len(), || Vec::with_capacity(chunks.len()));
        for chunk in chunks {
            for (all, sums) in all.iter_mut().zip(chunk?) {
                all.push(sums);
            }
        }
        Ok(all)
    }

    fn push(&mut self, sight: &Sight<'_>, parts: Parts) {
        let (state, purchases) = (sight.state, &sight.state.purchases);
        if parts.kinds {
            self.kinds |= state.kinds();
        }
        if parts.channels {
            self.channels.add(state);
        }
        if parts.rfm && purchases.days > 0 {
            self.silences.push(purchases.silence(sight.as_of()));
            self.orders.push(purchases.orders as f64);
            self.totals.push(purchases.total);
        }
        if parts.gaps {
            let gaps = purchases.gaps;
            self.gaps.push(gaps.count, gaps.sum, gaps.squares);
        }
    }

    fn merge(&mut self, other: &Sums) {
        self.silences.extend_from_slice(&other.silences);
        self.orders.extend_from_slice(&other.orders);
        self.totals.extend_from_slice(&other.totals);
        self.gaps.merge(&other.gaps);
        self.buyers.merge(&other.buyers);
        self.channels.merge(&other.channels);
        self.kinds |= other.kinds;
    }
}
