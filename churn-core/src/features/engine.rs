//! One pass over each customer's events, feeding the accumulators of the wanted families and
//! writing straight into the columns of the table.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::activity::{self, Activity};
use super::feedback::{self, Feedback};
use super::population::{CHUNK, Parts, Population};
use super::purchases::Purchases;
use super::rhythm::{self, Months, RhythmModel};
use super::touchpoints::{self, Touchpoints};
use super::windows::{self, Windows};
use super::{CustomFeature, FeatureInfo, FeatureSpec, FeatureTable, lifecycle, rfm};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{CustomerHistory, History};
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
pub(super) struct Plan<'s> {
    spec: &'s FeatureSpec,
    layout: Layout,
    infos: Vec<FeatureInfo>,
    /// Place in the layout of each column.
    slots: Vec<usize>,
}

impl<'s> Plan<'s> {
    pub(super) fn new(spec: &'s FeatureSpec, channels: &[String]) -> Result<Self> {
        let mut catalogue: Vec<Option<FeatureInfo>> =
            spec.catalogue(channels)?.into_iter().map(Some).collect();
        let slots = spec.slots(&catalogue)?;
        let infos = slots.iter().filter_map(|slot| catalogue[*slot].take());
        Ok(Plan {
            spec,
            layout: Layout::new(spec, channels.len()),
            infos: infos.collect(),
            slots,
        })
    }

    fn wants(&self, slots: &Slots) -> bool {
        self.slots.iter().any(|slot| slots.contains(slot))
    }

    /// The parts of a population that the wanted features read.
    pub(super) fn parts(&self) -> Parts {
        let start = self.layout.rfm.start;
        let scores = start + rfm::SCORES.start..start + rfm::SCORES.end;
        Parts {
            rfm: self.wants(&scores),
            gaps: self.wants(&self.layout.rhythm) || self.wants(&self.layout.lifecycle),
            channels: self.wants(&self.layout.touchpoints),
            kinds: self.wants(&self.layout.activity),
        }
    }
}

/// Builds the table that the plan describes.
pub(super) fn fill(
    history: &History<'_>,
    plan: &Plan<'_>,
    population: &Population,
    progress: &Progress<'_>,
) -> Result<FeatureTable> {
    let n = history.customers().len();
    let mut values = vec![0.0; n * plan.slots.len()];
    let shared = Shared::new(history.channels(), history.as_of(), plan, population);
    let step = progress.step("features.build", n);
    let stopped = AtomicBool::new(false);
    // Each chunk of customers owns its rows of every column.
    let mut chunks: Vec<Vec<&mut [f64]>> = Vec::new();
    chunks.resize_with(n.div_ceil(CHUNK), || Vec::with_capacity(plan.slots.len()));
    for column in values.chunks_mut(n.max(1)) {
        for (chunk, rows) in chunks.iter_mut().zip(column.chunks_mut(CHUNK)) {
            chunk.push(rows);
        }
    }
    let results: Vec<Result<()>> = chunks
        .par_iter_mut()
        .enumerate()
        .map_init(
            || Scratch::new(plan, &shared),
            |scratch, (chunk, columns)| {
                if stopped.load(Ordering::Relaxed) {
                    return Err(Error::cancelled("features.build"));
                }
                let rows = columns.first().map_or(0, |column| column.len());
                for i in 0..rows {
                    let row = chunk * CHUNK + i;
                    scratch.customer(plan, &shared, &history.customer(row), row)?;
                    for (column, slot) in columns.iter_mut().zip(&plan.slots) {
                        column[i] = scratch.values[*slot];
                    }
                }
                step.advance(rows)
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
    cancelled?;
    FeatureTable::from_columns(
        history.customers().clone(),
        history.as_of(),
        plan.infos.clone(),
        values,
    )
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
pub struct Describer<'s> {
    channels: Vec<String>,
    plan: Plan<'s>,
    shared: Shared<'s>,
    scratch: Scratch,
    row: Vec<f64>,
}

impl fmt::Debug for Describer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (features, as_of) = (self.plan.slots.len(), self.shared.as_of);
        write!(f, "Describer({features} features as of {as_of})")
    }
}

impl<'s> Describer<'s> {
    /// Prepares to describe customers of a log with these channels as of an instant.
    ///
    /// # Errors
    /// As [`build_with`](super::build_with).
    pub fn new(
        channels: &[String],
        as_of: AsOf,
        spec: &'s FeatureSpec,
        population: &'s Population,
    ) -> Result<Self> {
        let plan = Plan::new(spec, channels)?;
        population.check_for(spec)?;
        let shared = Shared::new(channels, as_of, &plan, population);
        let scratch = Scratch::new(&plan, &shared);
        Ok(Describer {
            channels: channels.to_vec(),
            row: vec![0.0; plan.slots.len()],
            plan,
            shared,
            scratch,
        })
    }

    /// What the numbers mean, in order.
    pub fn features(&self) -> &[FeatureInfo] {
        &self.plan.infos
    }

    /// The features of one customer, valid until the next call.
    ///
    /// # Errors
    /// `Misaligned` for a past that ends at another instant, or of a log with other channels, which
    /// an append may have brought: make a new describer then; `InvalidValue` for a feature of the
    /// caller's own outside its bounds.
    pub fn describe(&mut self, customer: &CustomerHistory<'_>) -> Result<&[f64]> {
        if customer.as_of() != self.shared.as_of {
            let (expected, got) = (self.shared.as_of, customer.as_of());
            return Err(Error::misaligned("customer", expected, got));
        }
        if customer.channels() != self.channels {
            let list = |names: &[String]| format!("a log with the channels {}", names.join(", "));
            let (expected, got) = (list(&self.channels), list(customer.channels()));
            return Err(Error::misaligned("customer", expected, got));
        }
        self.scratch
            .customer(&self.plan, &self.shared, customer, 0)?;
        for (value, slot) in self.row.iter_mut().zip(&self.plan.slots) {
            *value = self.scratch.values[*slot];
        }
        Ok(&self.row)
    }
}

/// What all threads share.
struct Shared<'s> {
    population: &'s Population,
    as_of: AsOf,
    model: Option<RhythmModel>,
    channel_means: Vec<f64>,
    custom: Vec<(usize, &'s dyn CustomFeature, FeatureInfo)>,
    records_browsing: bool,
}

impl<'s> Shared<'s> {
    fn new(channels: &[String], as_of: AsOf, plan: &Plan<'s>, population: &'s Population) -> Self {
        let custom = plan.spec.custom.iter().zip(plan.layout.custom.clone());
        let start = plan.layout.rhythm.start;
        let overdue = start + rhythm::OVERDUE.start..start + rhythm::OVERDUE.end;
        Shared {
            population,
            as_of,
            model: population
                .gap_prior()
                .map(|prior| RhythmModel::new(prior, &plan.spec.rhythm, plan.wants(&overdue))),
            channel_means: channels
                .iter()
                .map(|name| population.channel_mean(name).unwrap_or(f64::NAN))
                .collect(),
            custom: custom
                .filter(|(_, slot)| plan.slots.contains(slot))
                .map(|(feature, slot)| (slot, feature.as_ref(), feature.info()))
                .collect(),
            records_browsing: population.records_browsing(),
        }
    }
}

/// One thread's accumulators, used for one customer after another; `None` where nobody asked.
struct Scratch {
    values: Vec<f64>,
    as_of: i64,
    rfm: bool,
    purchases: Option<Purchases>,
    rhythm: Option<Months>,
    windows: Option<Windows>,
    activity: Option<Activity>,
    touchpoints: Option<Touchpoints>,
    feedback: Option<Feedback>,
    lifecycle: bool,
}

impl Scratch {
    fn new(plan: &Plan<'_>, shared: &Shared<'_>) -> Self {
        let spec = plan.spec;
        let layout = &plan.layout;
        let as_of = shared.as_of.instant().micros();
        let (rfm, rhythm) = (plan.wants(&layout.rfm), plan.wants(&layout.rhythm));
        let (feedback, lifecycle) = (plan.wants(&layout.feedback), plan.wants(&layout.lifecycle));
        Scratch {
            values: vec![0.0; layout.custom.end],
            as_of,
            rfm,
            purchases: (rfm || rhythm || feedback || lifecycle).then(Purchases::default),
            rhythm: rhythm.then(|| Months::new(shared.as_of)),
            windows: plan
                .wants(&layout.windows)
                .then(|| Windows::new(&spec.windows_days, as_of)),
            activity: plan
                .wants(&layout.activity)
                .then(|| Activity::new(&spec.activity, as_of)),
            touchpoints: plan
                .wants(&layout.touchpoints)
                .then(|| Touchpoints::new(shared.channel_means.len())),
            feedback: feedback.then(|| Feedback::new(&spec.feedback, as_of)),
            lifecycle,
        }
    }

    /// Computes all wanted features of one customer into `values`.
    fn customer(
        &mut self,
        plan: &Plan<'_>,
        shared: &Shared<'_>,
        history: &CustomerHistory<'_>,
        row: usize,
    ) -> Result<()> {
        self.reset();
        for event in history.events() {
            if let Some(purchases) = &mut self.purchases {
                purchases.push(&event);
            }
            if let Some(months) = &mut self.rhythm {
                months.push(&event);
            }
            if let Some(windows) = &mut self.windows {
                windows.push(&event);
            }
            if let Some(activity) = &mut self.activity {
                activity.push(&event);
            }
            if let Some(touchpoints) = &mut self.touchpoints {
                touchpoints.push(&event);
            }
            if let Some(feedback) = &mut self.feedback {
                feedback.push(&event);
            }
        }
        self.finish(plan, shared);
        for (slot, feature, info) in &shared.custom {
            let value = feature.value(history);
            check_custom(info, value, row)?;
            self.values[*slot] = value;
        }
        Ok(())
    }

    fn reset(&mut self) {
        if let Some(purchases) = &mut self.purchases {
            *purchases = Purchases::default();
        }
        if let Some(months) = &mut self.rhythm {
            months.reset();
        }
        if let Some(windows) = &mut self.windows {
            windows.reset();
        }
        if let Some(activity) = &mut self.activity {
            activity.reset();
        }
        if let Some(touchpoints) = &mut self.touchpoints {
            touchpoints.reset();
        }
        if let Some(feedback) = &mut self.feedback {
            feedback.reset();
        }
    }

    fn finish(&mut self, plan: &Plan<'_>, shared: &Shared<'_>) {
        let (spec, layout) = (plan.spec, &plan.layout);
        let (as_of, model) = (self.as_of, shared.model.as_ref());
        let out = &mut self.values;
        if let Some(purchases) = &self.purchases {
            if self.rfm {
                let cuts = shared.population.rfm_cuts();
                rfm::finish(purchases, as_of, cuts, &mut out[layout.rfm.clone()]);
            }
            if let Some(months) = &self.rhythm {
                let out = &mut out[layout.rhythm.clone()];
                rhythm::finish(purchases, months, model, as_of, out);
            }
            if let Some(feedback) = &self.feedback {
                feedback.finish(purchases, &mut out[layout.feedback.clone()]);
            }
            if self.lifecycle {
                let out = &mut out[layout.lifecycle.clone()];
                lifecycle::finish(purchases, &spec.lifecycle, model, as_of, out);
            }
        }
        if let Some(windows) = &self.windows {
            windows.finish(&mut out[layout.windows.clone()]);
        }
        if let Some(activity) = &self.activity {
            activity.finish(shared.records_browsing, &mut out[layout.activity.clone()]);
        }
        if let Some(touchpoints) = &self.touchpoints {
            let out = &mut out[layout.touchpoints.clone()];
            touchpoints.finish(&spec.touchpoints, &shared.channel_means, as_of, out);
        }
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
