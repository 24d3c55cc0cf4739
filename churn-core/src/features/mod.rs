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
//! Each family has two halves: what the customer's own past says (`own`), and what stands beside the
//! population (`beside`). How they come together:
//!
//! | file | what it does |
//! |---|---|
//! | needs | what each feature reads: of the log, of the sweep, of the population |
//! | sweep | one pass over a customer's events, as of any number of instants |
//! | standing | what is kept of a customer until the population is known |
//! | population | what all customers teach, in parts that some features read |
//! | engine | from histories to tables: plan, passes, blocks |
//!
//! Days are UTC days. A table takes one pass over each customer's events, in parallel over
//! customers, with the same bits for any number of threads and any order of the input.

mod activity;
mod block;
mod chunks;
mod clock;
mod engine;
mod feedback;
mod holdout;
mod lifecycle;
mod needs;
mod parts;
mod population;
mod purchases;
mod refresh;
mod rfm;
mod rhythm;
mod running;
mod save;
mod standing;
mod summary;
mod sweep;
mod table;
#[cfg(test)]
mod testing;
mod touchpoints;
mod version;
mod windows;

use std::fmt;
use std::slice::from_ref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use activity::ActivitySettings;
pub use clock::{GapCurve, GapPrior, ShopPace};
pub use engine::Describer;
pub use feedback::FeedbackSettings;
pub use holdout::{Holdout, holdout};
pub use lifecycle::{LIFECYCLE_STAGES, LifecycleSettings};
pub use parts::build_parts;
pub use population::Population;
pub use refresh::refresh;
pub use rfm::{RfmCuts, RfmSettings};
pub use rhythm::RhythmSettings;
pub use running::{RunningSummary, SummaryRow};
pub use summary::{RfmSummary, SummarySettings, summarize, summarize_observed};
pub(crate) use summary::{check_log_gaps, check_not_negative, check_rows};
pub use table::{FeatureInfo, FeatureTable};
pub use touchpoints::TouchpointSettings;

use crate::error::{Error, Result};
use crate::events::{CustomerHistory, EventLog, History, Keep};
use crate::progress::Progress;
use crate::time::AsOf;
use engine::{Plan, fill, fill_rows, learn_and_fill};
use needs::Need;

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

    /// What a log must keep for the wanted features, whatever its channels are called: the kinds
    /// of event and the columns that they read. Features of the caller's own may read anything.
    ///
    /// # Errors
    /// As [`catalogue`](Self::catalogue); `UnknownName` for a wanted feature that no log can have.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::features::{FeatureSpec, build};
    /// use churn_core::{AsOf, EventLog, TimeUnit};
    /// let kinds = [EventKind::View, EventKind::Purchase].map(EventKind::code);
    /// let columns = EventColumns::new(&["ann", "bea"], &[10, 11], TimeUnit::Day, kinds.as_slice());
    /// let spec = FeatureSpec::default().with_features(["total_value", "days_since_last"]);
    /// let cleaning = Cleaning { keep: spec.needs()?, ..Cleaning::default() };
    /// let log = EventLog::from_columns(&columns, &cleaning)?;
    /// let history = log.history(AsOf::parse("1970-01-20")?);
    /// assert_eq!(build(&history, &spec)?.len(), 1); // ann never bought
    /// let error = build(&history, &FeatureSpec::default().with_features(["views_30d"])).unwrap_err();
    /// assert_eq!(error.expected(), "a log that keeps events of kind view");
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn needs(&self) -> Result<Keep> {
        let names = self.catalogue(&[])?;
        if self.features.is_empty() {
            return Ok(Need::together(&self.catalogue_needs(1)));
        }
        let needs = self.catalogue_needs(0);
        let mut wanted = Vec::with_capacity(self.features.len());
        for name in &self.features {
            let known = names.iter().position(|info| info.name == *name);
            let need = match known {
                Some(slot) => needs[slot].clone(),
                None => match touchpoints::need_of_channel(name) {
                    Some(need) => need,
                    None => {
                        let names = names.iter().map(|info| &info.name);
                        return Err(Error::unknown_name("features.features", name, names));
                    }
                },
            };
            wanted.push(need);
        }
        Ok(Need::together(&wanted))
    }

    /// What each feature of the catalogue reads, in its order.
    fn catalogue_needs(&self, channels: usize) -> Vec<Need> {
        let mut needs = Vec::new();
        rfm::needs(&mut needs);
        rhythm::needs(&mut needs);
        windows::needs(self.windows_days.len(), &mut needs);
        activity::needs(&mut needs);
        touchpoints::needs(channels, &mut needs);
        feedback::needs(&mut needs);
        lifecycle::needs(&mut needs);
        needs.extend(self.custom.iter().map(|_| Need::everything()));
        needs
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

/// Builds the feature table of a history; what is learned from all customers is learned from it.
///
/// Shape: one row per customer of the history, one column per feature of the spec. NaN stands
/// only where a feature's [`FeatureInfo::undefined`] says so.
///
/// # Errors
/// `InvalidParameter` for a setting outside its domain or a feature that needs what the log does
/// not keep, `UnknownName` for a wanted feature that there is not, `InvalidValue` with feature and row for a value that a custom feature may not
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
    Ok(build_observed(history, spec, &Progress::none())?.0)
}

/// Builds the feature tables of one log as of several instants, e.g. for training data.
///
/// Shape: one table per instant, in the order given; each equals [`build`] on the history before
/// that instant, bit for bit.
///
/// # Errors
/// As [`build`], and `Cancelled`.
pub fn build_many(
    log: &EventLog,
    instants: &[AsOf],
    spec: &FeatureSpec,
    progress: &Progress<'_>,
) -> Result<Vec<FeatureTable>> {
    let mut distinct = instants.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let plan = Plan::new(spec, log.channels())?.checked(log.keep())?;
    let histories = log.histories(&distinct);
    // What would have to be kept of every customer at every instant costs more than a second sweep.
    let populations = Population::learn_many(&histories, spec, plan.parts(), progress)?;
    let built = fill(&histories, &plan, &populations, progress)?;
    drop((histories, populations));
    if distinct == instants {
        return Ok(built);
    }
    // Each table goes to the last who asks for it; those before get copies.
    let mut built: Vec<Option<FeatureTable>> = built.into_iter().map(Some).collect();
    let mut tables = Vec::with_capacity(instants.len());
    for (i, as_of) in instants.iter().enumerate() {
        let place = distinct.partition_point(|known| known < as_of);
        let table = match instants[i + 1..].contains(as_of) {
            true => built[place].clone(),
            false => built[place].take(),
        };
        tables.extend(table);
    }
    Ok(tables)
}

/// The features of some customers only: those in these rows of the history at each instant, instants
/// and rows ascending. One instant's rows behind another's, column by column; each row equals that of
/// [`build_many`]'s table, bit for bit, since what all customers teach is learned of all of them.
pub(crate) fn build_rows(
    log: &EventLog,
    picks: Vec<(AsOf, Vec<u32>)>,
    spec: &FeatureSpec,
    progress: &Progress<'_>,
) -> Result<(Vec<FeatureInfo>, Vec<f64>)> {
    let plan = Plan::new(spec, log.channels())?.checked(log.keep())?;
    let instants: Vec<AsOf> = picks.iter().map(|(as_of, _)| *as_of).collect();
    debug_assert!(instants.is_sorted());
    let whole = log.histories(&instants);
    let Some(last) = whole.last() else {
        return Ok((plan.into_infos(), Vec::new()));
    };
    let populations = Population::learn_many(&whole, spec, plan.parts(), progress)?;
    let picked = whole.iter().zip(picks);
    let picked: Vec<History<'_>> = picked.map(|(past, (_, rows))| past.rows(rows)).collect();
    let values = fill_rows(last, &picked, &plan, &populations, progress)?;
    Ok((plan.into_infos(), values))
}

/// Builds the feature table with a population learned before, e.g. on yesterday's history.
///
/// # Errors
/// As [`build`]; `InvalidParameter` for a population with numbers outside their domain, RFM
/// bins other than the spec's, or one that did not learn what a feature needs; `Cancelled`.
pub fn build_with(
    history: &History<'_>,
    spec: &FeatureSpec,
    population: &Population,
    progress: &Progress<'_>,
) -> Result<FeatureTable> {
    let plan = Plan::new(spec, history.channels())?.checked(history.keep())?;
    plan.check_population(population)?;
    let mut built = fill(from_ref(history), &plan, from_ref(population), progress)?;
    built
        .pop()
        .ok_or_else(|| Error::not_enough_data("features", "one history", "none"))
}

/// Builds the feature table and hands out what was learned, with progress and cancellation.
///
/// Where the spec selects features, only what these need is learned; [`Population::fit`] learns
/// everything.
///
/// # Errors
/// As [`build`], and `Cancelled`.
pub fn build_observed(
    history: &History<'_>,
    spec: &FeatureSpec,
    progress: &Progress<'_>,
) -> Result<(FeatureTable, Population)> {
    let plan = Plan::new(spec, history.channels())?.checked(history.keep())?;
    learn_and_fill(history, &plan, progress)
}
