//! One pass over each customer's events for all instants, and from it the wanted families, written
//! block by block into the columns of the tables.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::activity::Fading;
use super::block::{Column, Out, WIDTH};
use super::needs::Need;
use super::population::{CHUNK, Parts, Population};
use super::rhythm::{Rhythm, RhythmModel};
use super::sweep::{Sight, Sweep, Timeline, Wanted, WindowsWanted};
use super::{CustomFeature, FeatureInfo, FeatureSpec, FeatureTable, RfmCuts};
use super::{activity, feedback, lifecycle, rfm, rhythm, touchpoints, windows};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{CustomerHistory, History, Keep};
use crate::progress::Progress;
use crate::time::AsOf;

/// Places in a customer's row of all features.
type Slots = Range<usize>;

/// Where each family stands in the catalogue.
#[derive(Debug, Clone)]
struct Layout {
    rfm: Slots,
    rhythm: Slots,
    windows: Slots,
    activity: Slots,
    touchpoints: Slots,
    feedback: Slots,
    lifecycle: Slots,
    custom: Slots,
}

impl Layout {
    fn new(spec: &FeatureSpec, channels: usize) -> Self {
        let mut end = 0;
        let mut next = |count: usize| {
            let start = end;
            end += count;
            start..end
        };
        Layout {
            rfm: next(rfm::COUNT),
            rhythm: next(rhythm::COUNT),
            windows: next(windows::count(&spec.windows_days)),
            activity: next(activity::COUNT),
            touchpoints: next(touchpoints::count(channels)),
            feedback: next(feedback::COUNT),
            lifecycle: next(lifecycle::COUNT),
            custom: next(spec.custom.len()),
        }
    }
}

/// What a build computes, decided once.
pub(super) struct Plan {
    spec: FeatureSpec,
    layout: Layout,
    infos: Vec<FeatureInfo>,
    /// Place in the layout of each column.
    slots: Vec<usize>,
    wants: Wants,
    /// What each column reads, and all of them together.
    needs: Vec<Need>,
    need: Keep,
}

/// The families that somebody asked for, and the features among them that are dear.
#[derive(Debug, Clone, Copy)]
struct Wants {
    rfm: bool,
    scores: bool,
    rhythm: bool,
    windows: bool,
    activity: bool,
    touchpoints: bool,
    feedback: bool,
    lifecycle: bool,
}

impl Wants {
    fn new(layout: &Layout, slots: &[usize]) -> Self {
        let any = |range: &Slots| slots.iter().any(|slot| range.contains(slot));
        let within = |family: &Slots, part: Slots| {
            any(&(family.start + part.start..family.start + part.end))
        };
        Wants {
            rfm: any(&layout.rfm),
            scores: within(&layout.rfm, rfm::SCORES),
            rhythm: any(&layout.rhythm),
            windows: any(&layout.windows),
            activity: any(&layout.activity),
            touchpoints: any(&layout.touchpoints),
            feedback: any(&layout.feedback),
            lifecycle: any(&layout.lifecycle),
        }
    }
}

impl Plan {
    pub(super) fn new(spec: &FeatureSpec, channels: &[String]) -> Result<Self> {
        let mut catalogue: Vec<Option<FeatureInfo>> =
            spec.catalogue(channels)?.into_iter().map(Some).collect();
        let slots = spec.slots(&catalogue)?;
        let infos = slots.iter().filter_map(|slot| catalogue[*slot].take());
        let layout = Layout::new(spec, channels.len());
        let mut needs: Vec<Option<Need>> = spec
            .catalogue_needs(channels.len())
            .into_iter()
            .map(Some)
            .collect();
        let needs: Vec<Need> = slots
            .iter()
            .filter_map(|slot| needs[*slot].take())
            .collect();
        Ok(Plan {
            need: Need::together(&needs),
            needs,
            spec: spec.clone(),
            wants: Wants::new(&layout, &slots),
            layout,
            infos: infos.collect(),
            slots,
        })
    }

    /// The plan, if the log keeps what it needs.
    pub(super) fn checked(self, keep: &Keep) -> Result<Self> {
        self.check_keep(keep)?;
        Ok(self)
    }

    /// Confirms that what keeps `keep` has something to say about every column.
    fn check_keep(&self, keep: &Keep) -> Result<()> {
        if keep.is_everything() || keep.check_for(&self.need, "").is_ok() {
            return Ok(());
        }
        let columns = self.infos.iter().zip(&self.needs);
        columns
            .map(|(info, need)| (format!("features.{}", info.name), need))
            .try_for_each(|(what, need)| keep.check_for(need.keep(), &what))
    }

    /// Confirms that a population fits the plan.
    pub(super) fn check_population(&self, population: &Population) -> Result<()> {
        population.check_for(&self.spec)?;
        self.check_keep(population.keep())
    }

    /// What the columns mean.
    pub(super) fn into_infos(self) -> Vec<FeatureInfo> {
        self.infos
    }

    /// The parts of a population that the wanted features read.
    pub(super) fn parts(&self) -> Parts {
        Parts {
            rfm: self.wants.scores,
            gaps: self.wants.rhythm || self.wants.lifecycle,
            channels: self.wants.touchpoints,
            kinds: self.wants.activity,
        }
    }
}

/// Builds the tables that the plan describes: one per history, all of one log, in ascending order
/// of their instants, each with its own population.
pub(super) fn fill(
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    progress: &Progress<'_>,
) -> Result<Vec<FeatureTable>> {
    let Some(last) = histories.last() else {
        return Ok(Vec::new());
    };
    let mut tables: Vec<Vec<f64>> = histories
        .iter()
        .map(|history| vec![0.0; history.customers().len() * plan.slots.len()])
        .collect();
    let columns = histories.iter().zip(&mut tables).map(|(history, values)| {
        let n = history.customers().len().max(1);
        values.chunks_mut(n).collect()
    });
    let columns = columns.collect();
    write(last, histories, plan, populations, columns, progress)?;
    let tables = histories.iter().zip(tables).map(|(history, values)| {
        FeatureTable::from_columns(
            history.customers().clone(),
            history.as_of(),
            plan.infos.clone(),
            values,
        )
    });
    tables.collect()
}

/// Builds the columns that the plan describes for the customers of some histories, one history
/// behind another: `last` is the whole past at the last instant.
pub(super) fn fill_rows(
    last: &History<'_>,
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    progress: &Progress<'_>,
) -> Result<Vec<f64>> {
    let rows: usize = histories.iter().map(|h| h.customers().len()).sum();
    let mut values = vec![0.0; rows * plan.slots.len()];
    let mut columns: Vec<Vec<&mut [f64]>> = Vec::new();
    columns.resize_with(histories.len(), || Vec::with_capacity(plan.slots.len()));
    for mut column in values.chunks_mut(rows.max(1)) {
        for (history, columns) in histories.iter().zip(&mut columns) {
            let (own, rest) = column.split_at_mut(history.customers().len());
            columns.push(own);
            column = rest;
        }
    }
    write(last, histories, plan, populations, columns, progress)?;
    Ok(values)
}

/// Computes the customers of each history, all of whom are in `last`, into their columns.
fn write(
    last: &History<'_>,
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    columns: Vec<Vec<&mut [f64]>>,
    progress: &Progress<'_>,
) -> Result<()> {
    let instants: Vec<AsOf> = histories.iter().map(History::as_of).collect();
    let shared = Shared::new(last.channels(), &instants, plan, populations);
    let n = last.customers().len();
    let step = progress.step("features.build", n);
    let stopped = AtomicBool::new(false);
    let mut chunks = split(last, histories, columns);
    let results: Vec<Result<()>> = chunks
        .par_iter_mut()
        .enumerate()
        .map_init(
            || Scratch::new(plan, &shared),
            |scratch, (chunk, parts)| {
                if stopped.load(Ordering::Relaxed) {
                    return Err(Error::cancelled("features.build"));
                }
                let rows = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
                let count = rows.len();
                scratch.chunk(plan, &shared, last, histories, rows, parts)?;
                step.advance(count)
                    .inspect_err(|_| stopped.store(true, Ordering::Relaxed))
            },
        )
        .collect();
    drop(chunks);
    // The wrong value named is the first one whatever the threads did.
    let mut cancelled = Ok(());
    for result in results {
        match result {
            Err(error) if error.kind() == ErrorKind::Cancelled => cancelled = Err(error),
            other => other?,
        }
    }
    cancelled
}

/// The rows of one table that belong to one chunk of customers, column by column.
struct Part<'t> {
    columns: Vec<&'t mut [f64]>,
    /// First row in the table.
    first: usize,
    /// Rows written so far.
    done: usize,
}

/// Gives each chunk of customers, as the last history counts them, its rows of the columns of every
/// history.
fn split<'t>(
    last: &History<'_>,
    histories: &[History<'_>],
    columns: Vec<Vec<&'t mut [f64]>>,
) -> Vec<Vec<Part<'t>>> {
    let n = last.customers().len();
    let mut chunks: Vec<Vec<Part<'t>>> = Vec::new();
    chunks.resize_with(n.div_ceil(CHUNK), || Vec::with_capacity(histories.len()));
    for (history, columns) in histories.iter().zip(columns) {
        let mut end = 0;
        let mut lens = Vec::with_capacity(chunks.len());
        for (chunk, parts) in chunks.iter_mut().enumerate() {
            let first = end;
            end = match (chunk + 1) * CHUNK {
                next if next < n => history.rows_before(last.customers().store_row(next)),
                _ => history.customers().len(),
            };
            lens.push(end - first);
            parts.push(Part {
                columns: Vec::with_capacity(columns.len()),
                first,
                done: 0,
            });
        }
        for mut column in columns {
            for (parts, len) in chunks.iter_mut().zip(&lens) {
                let (own, rest) = column.split_at_mut(*len);
                column = rest;
                if let Some(part) = parts.last_mut() {
                    part.columns.push(own);
                }
            }
        }
    }
    chunks
}

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
    shared: Shared,
    scratch: Scratch,
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
    /// As [`build_with`](super::build_with).
    pub fn new(
        channels: &[String],
        as_of: AsOf,
        spec: &FeatureSpec,
        population: &Population,
    ) -> Result<Self> {
        let plan = Plan::new(spec, channels)?;
        plan.check_population(population)?;
        let populations = std::slice::from_ref(population);
        let shared = Shared::new(channels, &[as_of], &plan, populations);
        let scratch = Scratch::new(&plan, &shared);
        Ok(Describer {
            channels: channels.to_vec(),
            as_of,
            row: vec![0.0; plan.slots.len()],
            plan,
            shared,
            scratch,
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
        self.scratch.filled.fill(0);
        self.scratch.customer(
            &self.plan,
            &self.shared,
            customer,
            |_, _| Some(0),
            |_, _| *customer,
        )?;
        for block in &self.scratch.blocks {
            for (value, slot) in self.row.iter_mut().zip(&self.plan.slots) {
                *value = block[*slot][0];
            }
        }
        Ok(&self.row)
    }
}

/// What all threads share.
struct Shared {
    timeline: Timeline,
    wanted: Wanted,
    instants: Vec<Instant>,
    custom: Vec<(usize, Arc<dyn CustomFeature>, FeatureInfo)>,
}

/// What all customers share at one instant.
struct Instant {
    cuts: RfmCuts,
    model: Option<RhythmModel>,
    channel_means: Vec<f64>,
    records_browsing: bool,
}

impl Shared {
    fn new(
        channels: &[String],
        instants: &[AsOf],
        plan: &Plan,
        populations: &[Population],
    ) -> Self {
        let layout = &plan.layout;
        let wants = &plan.wants;
        let windows = WindowsWanted {
            days: match wants.windows {
                true => &plan.spec.windows_days,
                false => &[],
            },
            months: wants.rhythm,
            complaints_days: wants.feedback.then_some(plan.spec.feedback.complaints_days),
        };
        let custom = plan.spec.custom.iter().zip(layout.custom.clone());
        Shared {
            timeline: Timeline::new(instants, windows),
            wanted: Wanted {
                purchases: wants.rfm
                    || wants.rhythm
                    || wants.windows
                    || wants.feedback
                    || wants.lifecycle,
                kinds: wants.windows || wants.activity || wants.touchpoints || wants.feedback,
                channels: wants.touchpoints,
                fading: wants.activity.then(|| Fading::new(&plan.spec.activity)),
                lines: wants.windows,
            },
            instants: populations
                .iter()
                .map(|population| Instant {
                    cuts: population.rfm_cuts().clone(),
                    model: population
                        .gap_prior()
                        .map(|prior| RhythmModel::new(prior, &plan.spec.rhythm)),
                    channel_means: channels
                        .iter()
                        .map(|name| population.channel_mean(name).unwrap_or(f64::NAN))
                        .collect(),
                    records_browsing: population.records_browsing(),
                })
                .collect(),
            custom: custom
                .filter(|(_, slot)| plan.slots.contains(slot))
                .map(|(feature, slot)| (slot, Arc::clone(feature), feature.info()))
                .collect(),
        }
    }
}

/// One thread's working memory.
struct Scratch {
    sweep: Sweep,
    /// Of each instant, all features of the customers of a block.
    blocks: Vec<Vec<Column>>,
    /// Customers in the block of each instant.
    filled: Vec<usize>,
}

impl Scratch {
    fn new(plan: &Plan, shared: &Shared) -> Self {
        let channels = shared.instants.first().map_or(0, |i| i.channel_means.len());
        let block = vec![[0.0; WIDTH]; plan.layout.custom.end];
        Scratch {
            sweep: Sweep::new(&shared.timeline, channels),
            blocks: vec![block; shared.instants.len()],
            filled: vec![0; shared.instants.len()],
        }
    }

    /// Computes all wanted features of one customer into its place in the block of each instant
    /// at which it is seen; `asked` gives its row at an instant, where so many customers are in the
    /// block, or nothing where nobody asks about it; `past` what it had done before, by that row.
    fn customer<'l>(
        &mut self,
        plan: &Plan,
        shared: &Shared,
        history: &CustomerHistory<'l>,
        asked: impl Fn(usize, usize) -> Option<usize>,
        past: impl Fn(usize, usize) -> CustomerHistory<'l>,
    ) -> Result<()> {
        let (blocks, filled) = (&mut self.blocks, &mut self.filled);
        self.sweep.run(
            &shared.timeline,
            &shared.wanted,
            history.events(),
            |cut, sight| {
                let at = filled[cut];
                let Some(row) = asked(cut, at) else {
                    return Ok(());
                };
                finish(
                    plan,
                    shared,
                    &shared.instants[cut],
                    &sight,
                    &mut blocks[cut],
                    at,
                );
                for (slot, feature, info) in &shared.custom {
                    let value = feature.value(&past(cut, row));
                    check_custom(info, value, row)?;
                    blocks[cut][*slot][at % WIDTH] = value;
                }
                filled[cut] += 1;
                Ok(())
            },
        )
    }

    /// Computes the customers of a chunk and writes them into their rows of each table.
    fn chunk(
        &mut self,
        plan: &Plan,
        shared: &Shared,
        last: &History<'_>,
        histories: &[History<'_>],
        rows: Range<usize>,
        parts: &mut [Part<'_>],
    ) -> Result<()> {
        self.filled.fill(0);
        for start in rows.clone().step_by(WIDTH) {
            for row in start..rows.end.min(start + WIDTH) {
                let customer = last.customers().store_row(row);
                // The next row of an instant is that of this customer, or of a later one.
                let asked = |cut: usize, at| {
                    let row = parts[cut].first + parts[cut].done + at;
                    let customers = histories[cut].customers();
                    (row < customers.len() && customers.store_row(row) == customer).then_some(row)
                };
                let filled = &self.filled;
                if (0..parts.len()).any(|cut| asked(cut, filled[cut]).is_some()) {
                    let past = |cut: usize, row| histories[cut].customer(row);
                    self.customer(plan, shared, &last.customer(row), asked, past)?;
                }
            }
            for ((part, block), filled) in parts.iter_mut().zip(&self.blocks).zip(&mut self.filled)
            {
                let rows = part.done..part.done + *filled;
                for (column, slot) in part.columns.iter_mut().zip(&plan.slots) {
                    column[rows.clone()].copy_from_slice(&block[*slot][..*filled]);
                }
                (part.done, *filled) = (rows.end, 0);
            }
        }
        Ok(())
    }
}

/// The wanted families of one customer at one instant.
#[inline]
fn finish(
    plan: &Plan,
    shared: &Shared,
    instant: &Instant,
    sight: &Sight<'_>,
    block: &mut [Column],
    at: usize,
) {
    let (spec, layout, wants) = (&plan.spec, &plan.layout, &plan.wants);
    if wants.rfm {
        rfm::finish(
            sight,
            &instant.cuts,
            &mut Out::new(&mut block[layout.rfm.clone()], at),
        );
    }
    if wants.rhythm || wants.lifecycle {
        let model = instant.model.as_ref();
        let rhythm = model.and_then(|model| Rhythm::of(sight, model));
        if wants.rhythm {
            let out = &mut Out::new(&mut block[layout.rhythm.clone()], at);
            rhythm::finish(sight, rhythm.as_ref(), out);
        }
        if wants.lifecycle {
            let out = &mut Out::new(&mut block[layout.lifecycle.clone()], at);
            lifecycle::finish(sight, &spec.lifecycle, rhythm.as_ref(), model, out);
        }
    }
    if wants.windows {
        windows::finish(sight, &mut Out::new(&mut block[layout.windows.clone()], at));
    }
    if let Some(fading) = &shared.wanted.fading {
        let out = &mut Out::new(&mut block[layout.activity.clone()], at);
        activity::finish(sight, &spec.activity, fading, instant.records_browsing, out);
    }
    if wants.touchpoints {
        let means = &instant.channel_means;
        touchpoints::finish(
            sight,
            &spec.touchpoints,
            means,
            &mut Out::new(&mut block[layout.touchpoints.clone()], at),
        );
    }
    if wants.feedback {
        feedback::finish(
            sight,
            &mut Out::new(&mut block[layout.feedback.clone()], at),
        );
    }
}

fn check_custom(info: &FeatureInfo, value: f64, row: usize) -> Result<()> {
    let inside = info.min.is_none_or(|min| value >= min) && info.max.is_none_or(|max| value <= max);
    if value.is_finite() && inside || value.is_nan() && !info.undefined.is_empty() {
        return Ok(());
    }
    let expected = match (value.is_finite(), info.min, info.max) {
        (true, Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (true, Some(min), None) => format!("a number from {min} on"),
        (true, None, Some(max)) => format!("a number up to {max}"),
        _ => "a finite number".to_owned(),
    };
    Err(Error::invalid_value(
        format!("features.{}", info.name),
        row,
        expected,
        value,
    ))
}
