//! Features of customers as of an instant, from the past only.
//!
//! ```text
//! History ──summarize──▶ RfmSummary      four numbers per buyer, for models of repeat buying
//!    └─────────build──▶ FeatureTable     one row per customer, one named column per feature
//!                 └───▶ Population       what was learned from all of them; store it, use it again
//! ```
//!
//! A line belongs in this room if it describes a customer using the past only. Each family of
//! features has one file with its settings, its names and its formulas:
//!
//! | family | features |
//! |---|---|
//! | rfm | recency, frequency, money and their scores |
//! | rhythm | gaps between purchases, how unusual today's silence is |
//! | windows | counts, money and trends of the last days |
//! | activity | browsing and interacting, with fading memory |
//! | touchpoints | messages and responses per channel |
//! | feedback | refunds, complaints, service contacts |
//! | lifecycle | the stage, see [`LIFECYCLE_STAGES`] |
//!
//! Days are UTC days. Everything is computed in one pass over each customer's events, in parallel
//! over customers, with the same bits for any number of threads and any order of the input.

mod activity;
mod feedback;
mod lifecycle;
mod population;
mod purchases;
mod rfm;
mod rhythm;
mod summary;
mod table;
#[cfg(test)]
mod testing;
mod touchpoints;
mod version;
mod windows;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use activity::ActivitySettings;
pub use feedback::FeedbackSettings;
pub use lifecycle::{LIFECYCLE_STAGES, LifecycleSettings};
pub use population::Population;
pub use rfm::{RfmCuts, RfmSettings};
pub use rhythm::{GapPrior, RhythmSettings};
pub use summary::{RfmSummary, SummarySettings, summarize, summarize_observed};
pub use table::{FeatureInfo, FeatureTable};
pub use touchpoints::TouchpointSettings;

use crate::error::{Error, ErrorKind, Result};
use crate::events::{CustomerHistory, History};
use crate::progress::Progress;
use activity::Activity;
use feedback::Feedback;
use population::{CHUNK, Parts};
use purchases::Purchases;
use rhythm::{Months, RhythmModel};
use touchpoints::Touchpoints;
use windows::Windows;

/// Which features to build, and how.
///
/// # Example
/// ```
/// use churn_core::features::FeatureSpec;
/// let spec: FeatureSpec = churn_core::settings::from_toml("features", r#"
///     features = ["orders", "value_30d", "silence_tail"]
///     windows_days = [30]
///     activity.half_life_days = 14.0
/// "#)?;
/// let names: Vec<String> = spec.selected(&[])?.into_iter().map(|info| info.name).collect();
/// assert_eq!(names, ["orders", "value_30d", "silence_tail"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureSpec {
    /// Names of the wanted features, in the order of the table's columns; empty (the default) =
    /// the whole [`catalogue`](Self::catalogue).
    pub features: Vec<String>,
    /// Lengths of the windows in days. Default 7, 30, 90, 365.
    pub windows_days: Vec<u32>,
    /// Recency, frequency, money.
    pub rfm: RfmSettings,
    /// Gaps between purchases.
    pub rhythm: RhythmSettings,
    /// Browsing and interacting.
    pub activity: ActivitySettings,
    /// Messages and responses.
    pub touchpoints: TouchpointSettings,
    /// Refunds and complaints.
    pub feedback: FeedbackSettings,
    /// Stages.
    pub lifecycle: LifecycleSettings,
    /// Features of the caller's own, at the end of the catalogue.
    #[serde(skip)]
    pub custom: Vec<Arc<dyn CustomFeature>>,
}

impl Default for FeatureSpec {
    fn default() -> Self {
        FeatureSpec {
            features: Vec::new(),
            windows_days: vec![7, 30, 90, 365],
            rfm: RfmSettings::default(),
            rhythm: RhythmSettings::default(),
            activity: ActivitySettings::default(),
            touchpoints: TouchpointSettings::default(),
            feedback: FeedbackSettings::default(),
            lifecycle: LifecycleSettings::default(),
            custom: Vec::new(),
        }
    }
}

/// A feature of the caller's own.
///
/// # Example
/// ```
/// use churn_core::events::{CustomerHistory, EventKind};
/// use churn_core::features::{CustomFeature, FeatureInfo, FeatureSpec};
/// #[derive(Debug)]
/// struct LargestPurchase;
/// impl CustomFeature for LargestPurchase {
///     fn info(&self) -> FeatureInfo {
///         FeatureInfo::new("largest_purchase", "currency", "money of the largest purchase line").at_least(0.0)
///     }
///     fn value(&self, customer: &CustomerHistory<'_>) -> f64 {
///         let purchases = customer.events().filter(|event| event.kind == EventKind::Purchase);
///         purchases.map(|event| event.value).fold(0.0, f64::max)
///     }
/// }
/// let spec = FeatureSpec::default().with_custom(LargestPurchase);
/// # let _ = spec;
/// ```
pub trait CustomFeature: Send + Sync + fmt::Debug {
    /// Name, unit, meaning and bounds; read once per build.
    fn info(&self) -> FeatureInfo;

    /// The value for one customer; called from several threads. It must lie within the bounds of
    /// [`info`](Self::info), and may be NaN only if `info().undefined` says where.
    fn value(&self, customer: &CustomerHistory<'_>) -> f64;
}

/// One place in a customer's row of all features.
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

impl FeatureSpec {
    /// Also builds `feature`.
    pub fn with_custom(mut self, feature: impl CustomFeature + 'static) -> Self {
        self.custom.push(Arc::new(feature));
        self
    }

    /// Builds these features only, in this order.
    pub fn with_features<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.features = names.into_iter().map(Into::into).collect();
        self
    }

    /// Checks all settings.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain.
    pub fn check(&self) -> Result<()> {
        windows::check(&self.windows_days)?;
        self.rfm.check()?;
        self.rhythm.check()?;
        self.activity.check()?;
        self.touchpoints.check()?;
        self.feedback.check()?;
        self.lifecycle.check()
    }

    /// All features that these settings offer for a log with these channels, in order.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain, or where a channel or a custom feature
    /// gives a name that is already taken.
    pub fn catalogue(&self, channels: &[String]) -> Result<Vec<FeatureInfo>> {
        self.check()?;
        let mut infos = Vec::new();
        rfm::catalogue(&self.rfm, &mut infos);
        rhythm::catalogue(&mut infos);
        windows::catalogue(&self.windows_days, &mut infos);
        activity::catalogue(&self.activity, &mut infos);
        touchpoints::catalogue(channels, &mut infos);
        feedback::catalogue(&self.feedback, &mut infos);
        lifecycle::catalogue(&mut infos);
        infos.extend(self.custom.iter().map(|custom| custom.info()));
        let mut names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(infos),
            Some(pair) => Err(Error::invalid_parameter(
                "features",
                "names that differ",
                format_args!("{:?} twice", pair[0]),
            )),
        }
    }

    /// The features that [`build`] puts into the table, in order.
    ///
    /// # Errors
    /// As [`catalogue`](Self::catalogue); `UnknownName` for a wanted feature that the catalogue
    /// does not have, `InvalidParameter` for one wanted twice.
    pub fn selected(&self, channels: &[String]) -> Result<Vec<FeatureInfo>> {
        let mut catalogue: Vec<Option<FeatureInfo>> =
            self.catalogue(channels)?.into_iter().map(Some).collect();
        let slots = self.slots(&catalogue)?;
        // Wanted names differ, so that each is taken once.
        Ok(slots
            .iter()
            .filter_map(|slot| catalogue[*slot].take())
            .collect())
    }

    /// Place in the catalogue of each column of the table.
    fn slots(&self, catalogue: &[Option<FeatureInfo>]) -> Result<Vec<usize>> {
        if self.features.is_empty() {
            return Ok((0..catalogue.len()).collect());
        }
        let names = || catalogue.iter().flatten().map(|info| info.name.as_str());
        let mut slots = Vec::with_capacity(self.features.len());
        for (i, wanted) in self.features.iter().enumerate() {
            let Some(slot) = names().position(|name| name == wanted) else {
                return Err(Error::unknown_name("features.features", wanted, names()));
            };
            if slots.contains(&slot) {
                return Err(Error::invalid_parameter(
                    format!("features.features[{i}]"),
                    "names that differ",
                    format_args!("{wanted:?} twice"),
                ));
            }
            slots.push(slot);
        }
        Ok(slots)
    }
}

/// What a build computes, decided once.
struct Plan<'s> {
    spec: &'s FeatureSpec,
    layout: Layout,
    infos: Vec<FeatureInfo>,
    /// Place in the layout of each column.
    slots: Vec<usize>,
}

impl<'s> Plan<'s> {
    fn new(spec: &'s FeatureSpec, channels: &[String]) -> Result<Self> {
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
    fn parts(&self) -> Parts {
        let scores = self.layout.rfm.start + 9..self.layout.rfm.end;
        Parts {
            rfm: self.wants(&scores),
            gaps: self.wants(&self.layout.rhythm) || self.wants(&self.layout.lifecycle),
            channels: self.wants(&self.layout.touchpoints),
            kinds: self.wants(&self.layout.activity),
        }
    }
}

/// Builds the feature table of a history; what is learned from all customers is learned from it.
///
/// Shape: one row per customer of the history, one column per feature of the spec. NaN stands
/// only where a feature's [`FeatureInfo::undefined`] says so.
///
/// # Errors
/// `InvalidParameter` for a setting outside its domain, `UnknownName` for a wanted feature that
/// there is not, `InvalidValue` with feature and row for a value that a custom feature may not
/// have.
///
/// # Example
/// ```
/// use churn_core::{AsOf, TimeUnit};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::features::{FeatureSpec, build};
/// let columns = EventColumns::new(&["bea", "ann", "bea"], &[10, 11, 12], TimeUnit::Day, EventKind::Purchase)
///     .with_values(&[9.5, 20.0, 3.0]);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let table = build(&log.history(AsOf::parse("1970-01-20")?), &FeatureSpec::default())?;
/// assert_eq!(table.column("total_value")?, [20.0, 12.5]);
/// assert_eq!(table.column("gaps")?, [0.0, 1.0]);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn build(history: &History<'_>, spec: &FeatureSpec) -> Result<FeatureTable> {
    let plan = Plan::new(spec, history.channels())?;
    let progress = Progress::none();
    let population = Population::learn(history, spec, plan.parts(), &progress)?;
    fill(history, &plan, &population, &progress)
}

/// Builds the feature table with a population learned before, e.g. on yesterday's history.
///
/// # Errors
/// As [`build`]; `InvalidParameter` for a population with numbers outside their domain or RFM
/// bins other than the spec's; `Cancelled`.
pub fn build_with(
    history: &History<'_>,
    spec: &FeatureSpec,
    population: &Population,
    progress: &Progress<'_>,
) -> Result<FeatureTable> {
    let plan = Plan::new(spec, history.channels())?;
    population.check()?;
    if population.rfm_cuts().bins() != spec.rfm.bins {
        return Err(Error::invalid_parameter(
            "population.rfm.bins",
            format_args!("the {} bins of the spec", spec.rfm.bins),
            population.rfm_cuts().bins(),
        ));
    }
    fill(history, &plan, population, progress)
}

/// Builds the feature table and hands out what was learned, with progress and cancellation.
///
/// # Errors
/// As [`build`], and `Cancelled`.
pub fn build_observed(
    history: &History<'_>,
    spec: &FeatureSpec,
    progress: &Progress<'_>,
) -> Result<(FeatureTable, Population)> {
    let plan = Plan::new(spec, history.channels())?;
    let population = Population::learn(history, spec, Parts::ALL, progress)?;
    let table = fill(history, &plan, &population, progress)?;
    Ok((table, population))
}

fn fill(
    history: &History<'_>,
    plan: &Plan<'_>,
    population: &Population,
    progress: &Progress<'_>,
) -> Result<FeatureTable> {
    let n = history.customers().len();
    let mut values = vec![0.0; n * plan.slots.len()];
    let fill = Fill::new(history, plan, population);
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
            || Scratch::new(&fill),
            |scratch, (chunk, columns)| {
                if stopped.load(Ordering::Relaxed) {
                    return Err(Error::cancelled("features.build"));
                }
                let rows = columns.first().map_or(0, |column| column.len());
                for i in 0..rows {
                    let row = chunk * CHUNK + i;
                    scratch.customer(&fill, &history.customer(row), row)?;
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

/// What all threads share.
struct Fill<'s> {
    plan: &'s Plan<'s>,
    population: &'s Population,
    as_of: crate::AsOf,
    model: Option<RhythmModel>,
    channel_means: Vec<f64>,
    custom: Vec<(usize, &'s dyn CustomFeature, FeatureInfo)>,
    records_browsing: bool,
}

impl<'s> Fill<'s> {
    fn new(history: &History<'_>, plan: &'s Plan<'s>, population: &'s Population) -> Self {
        let channels = history.channels().iter();
        let custom = plan.spec.custom.iter().zip(plan.layout.custom.clone());
        Fill {
            plan,
            population,
            as_of: history.as_of(),
            model: population
                .gap_prior()
                .map(|prior| RhythmModel::new(prior, &plan.spec.rhythm)),
            channel_means: channels
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
    overdue: bool,
    windows: Option<Windows>,
    activity: Option<Activity>,
    touchpoints: Option<Touchpoints>,
    feedback: Option<Feedback>,
    lifecycle: bool,
}

impl Scratch {
    fn new(fill: &Fill<'_>) -> Self {
        let (plan, spec) = (fill.plan, fill.plan.spec);
        let layout = &plan.layout;
        let as_of = fill.as_of.instant().micros();
        let (rfm, rhythm) = (plan.wants(&layout.rfm), plan.wants(&layout.rhythm));
        let (feedback, lifecycle) = (plan.wants(&layout.feedback), plan.wants(&layout.lifecycle));
        let start = layout.rhythm.start;
        let overdue = start + rhythm::OVERDUE.start..start + rhythm::OVERDUE.end;
        Scratch {
            values: vec![0.0; layout.custom.end],
            as_of,
            rfm,
            purchases: (rfm || rhythm || feedback || lifecycle).then(Purchases::default),
            rhythm: rhythm.then(|| Months::new(fill.as_of)),
            overdue: plan.wants(&overdue),
            windows: plan
                .wants(&layout.windows)
                .then(|| Windows::new(&spec.windows_days, as_of)),
            activity: plan
                .wants(&layout.activity)
                .then(|| Activity::new(&spec.activity, as_of)),
            touchpoints: plan
                .wants(&layout.touchpoints)
                .then(|| Touchpoints::new(fill.channel_means.len())),
            feedback: feedback.then(|| Feedback::new(&spec.feedback, as_of)),
            lifecycle,
        }
    }

    /// Computes all wanted features of one customer into `values`.
    fn customer(
        &mut self,
        fill: &Fill<'_>,
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
        self.finish(fill);
        for (slot, feature, info) in &fill.custom {
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

    fn finish(&mut self, fill: &Fill<'_>) {
        let (spec, layout) = (fill.plan.spec, &fill.plan.layout);
        let (as_of, model) = (self.as_of, fill.model.as_ref());
        let out = &mut self.values;
        if let Some(purchases) = &self.purchases {
            if self.rfm {
                let cuts = fill.population.rfm_cuts();
                rfm::finish(purchases, as_of, cuts, &mut out[layout.rfm.clone()]);
            }
            if let Some(months) = &self.rhythm {
                let out = &mut out[layout.rhythm.clone()];
                rhythm::finish(purchases, months, model, self.overdue, as_of, out);
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
            activity.finish(fill.records_browsing, &mut out[layout.activity.clone()]);
        }
        if let Some(touchpoints) = &self.touchpoints {
            let out = &mut out[layout.touchpoints.clone()];
            touchpoints.finish(&spec.touchpoints, &fill.channel_means, as_of, out);
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
