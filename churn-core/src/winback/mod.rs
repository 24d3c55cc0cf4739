//! The whole flow in one call: from an event log to a win-back plan.

#[cfg(feature = "csv")]
mod export;
mod journeys;
mod story;

#[cfg(feature = "csv")]
pub use export::{PLAN_COLUMNS, PROFIT_COLUMNS};
pub use journeys::{JourneySettings, JourneySource, Loaded, PolicySource};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::events::EventLog;
use crate::features::{self, FeatureInfo, FeatureSpec, FeatureTable, LIFECYCLE_STAGES, Population};
use crate::progress::Progress;
use crate::scoring::lifetime::{LifetimeModel, LifetimeScoring};
use crate::scoring::{Scorecard, Scores};
use crate::segments::{self, Grid, NO_PURCHASE, RiskTiers, SegmentProfile, Segments};
use crate::strategy::{
    Facts, OptimizeSettings, Plan, Playbook, Vocabulary, match_actions, optimize,
};
use crate::time::AsOf;

/// Settings of every step; the defaults run without any data about the shop.
///
/// # Example
/// ```
/// use churn_core::winback::WinBackSettings;
/// let settings: WinBackSettings = churn_core::settings::from_toml("winback", r#"
///     features.windows_days = [30, 90]
///     risk_tiers = { medium = 0.4, high = 0.7 }
/// "#)?;
/// assert_eq!(settings.risk_tiers.high, 0.7);
///
/// // The plan of the largest expected profit for 5,000, with at most 400 messages a day.
/// let settings: WinBackSettings = churn_core::settings::from_toml("winback", r#"
///     [optimize.constraints]
///     budget = 5000
///     days = 7
///     channels = [{ channel = "sms", max_per_day = 400 }]
/// "#)?;
/// assert!(settings.optimize.is_some());
///
/// // Probabilities from a model of buying, fitted on the shop itself.
/// let settings: WinBackSettings = churn_core::settings::from_toml("winback", r#"
///     lifetime = { horizon_days = 60, model = { family = "pareto_nbd" } }
/// "#)?;
/// assert!(settings.lifetime.is_some_and(|lifetime| lifetime.scores));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WinBackSettings {
    /// Which features to build. Scorecard, grid and playbook need those that they name.
    pub features: FeatureSpec,
    /// How features become a churn probability.
    pub scorecard: Scorecard,
    /// Where given, a model of buying is fitted on the purchases of the log: its answers are
    /// features behind the others, which conditions may name, and, unless it says otherwise, its
    /// probabilities take the place of the scorecard's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<LifetimeScoring>,
    /// Where high, medium and low risk meet.
    pub risk_tiers: RiskTiers,
    /// The named segments of RFM scores; conditions know them by the name of the grid.
    pub grid: Grid,
    /// What can be done for whom.
    pub playbook: PlaybookSource,
    /// Where given, actions are chosen for expected profit under a budget and other limits; by
    /// priority where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimize: Option<OptimizeSettings>,
}

/// Where the playbook comes from: text, so that errors can name the line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaybookSource {
    /// The playbook that ships with the library.
    #[default]
    Default,
    /// A playbook in TOML.
    Toml(String),
    /// A playbook in JSON.
    Json(String),
}

impl WinBackSettings {
    /// The names that the playbook's conditions may use in a shop with these channels.
    ///
    /// # Errors
    /// Those of the feature settings and of the grid.
    pub fn vocabulary(&self, channels: &[String]) -> Result<Vocabulary> {
        let mut segments: Vec<&str> = self.grid.rules.iter().map(|r| r.label.as_str()).collect();
        segments.push(NO_PURCHASE);
        Vocabulary::new()
            .with_features(&self.features.selected(channels)?)?
            .with_features(&self.lifetime_features())?
            .with_segmentation("risk_tier", &RiskTiers::LABELS)?
            .with_segmentation("lifecycle", &LIFECYCLE_STAGES)?
            .with_segmentation(&self.grid.name, &segments)
    }

    fn lifetime_features(&self) -> Vec<FeatureInfo> {
        self.lifetime
            .as_ref()
            .map_or_else(Vec::new, LifetimeScoring::features)
    }

    /// The playbook, read and checked against [`vocabulary`](Self::vocabulary).
    ///
    /// # Errors
    /// As for [`Playbook::from_toml`].
    pub fn load_playbook(&self, channels: &[String]) -> Result<Playbook> {
        let vocabulary = self.vocabulary(channels)?;
        match &self.playbook {
            PlaybookSource::Default => Playbook::default_for(&vocabulary),
            PlaybookSource::Toml(text) => Playbook::from_toml(text, &vocabulary),
            PlaybookSource::Json(text) => Playbook::from_json(text, &vocabulary),
        }
    }
}

/// Everything the flow found out, table by table; all rows are the same customers.
#[derive(Debug, Clone)]
pub struct WinBack {
    /// What describes each customer.
    pub features: FeatureTable,
    /// What all customers together taught: cut points and priors, re-usable tomorrow.
    pub population: Population,
    /// The model of buying that was fitted, if the settings ask for one.
    pub lifetime: Option<LifetimeModel>,
    /// Churn probabilities with reasons.
    pub scores: Scores,
    /// Risk tiers.
    pub risk_tier: Segments,
    /// Segments of the grid.
    pub rfm_segment: Segments,
    /// Lifecycle stages.
    pub lifecycle: Segments,
    /// Who gets what, through which channels.
    pub plan: Plan,
}

impl WinBack {
    /// Runs features, scorecard or model of buying, segments and playbook on the past of a log.
    ///
    /// # Errors
    /// Those of the steps; the playbook is read and checked before anything is computed.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::progress::Progress;
    /// use churn_core::winback::{WinBack, WinBackSettings};
    /// use churn_core::{AsOf, EventLog, TimeUnit};
    /// let customers = ["ann", "ann", "ann", "bea"];
    /// let days = [14_000, 14_030, 14_060, 14_170];
    /// let columns = EventColumns::new(&customers, &days, TimeUnit::Day, EventKind::Purchase);
    /// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
    /// let result = WinBack::run(
    ///     &log,
    ///     AsOf::parse("2008-10-24")?,
    ///     &WinBackSettings::default(),
    ///     &Progress::none(),
    /// )?;
    /// let churn = result.scores.churn_probability();
    /// assert!(churn[0] > churn[1], "ann has been silent for months");
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn run(
        log: &EventLog,
        as_of: AsOf,
        settings: &WinBackSettings,
        progress: &Progress<'_>,
    ) -> Result<WinBack> {
        settings.scorecard.check()?;
        let score = |features: &FeatureTable, by_lifetime: Option<Scores>| match by_lifetime {
            Some(scores) => Ok(scores),
            None => settings.scorecard.score_observed(features, progress),
        };
        Self::flow(log, as_of, settings, score, progress)
    }

    /// The same with churn probabilities of another method than the settings', such as a learned
    /// model: `score` is asked once about the table of features.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of `score`; `Misaligned` for scores of other customers or
    /// of another instant.
    ///
    /// # Example
    /// ```no_run
    /// # fn example(log: &churn_core::EventLog, model: &churn_core::scoring::learned::ChurnModel) -> churn_core::Result<()> {
    /// use churn_core::progress::Progress;
    /// use churn_core::winback::{WinBack, WinBackSettings};
    /// let (as_of, settings) = (log.day_after_last()?, WinBackSettings::default());
    /// let result = WinBack::run_with(log, as_of, &settings, |t| model.score(t), &Progress::none())?;
    /// # let _ = result;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_with(
        log: &EventLog,
        as_of: AsOf,
        settings: &WinBackSettings,
        score: impl FnOnce(&FeatureTable) -> Result<Scores>,
        progress: &Progress<'_>,
    ) -> Result<WinBack> {
        Self::flow(log, as_of, settings, |table, _| score(table), progress)
    }

    /// `score` is also told the probabilities of the model of buying, if the settings ask for them.
    fn flow(
        log: &EventLog,
        as_of: AsOf,
        settings: &WinBackSettings,
        score: impl FnOnce(&FeatureTable, Option<Scores>) -> Result<Scores>,
        progress: &Progress<'_>,
    ) -> Result<WinBack> {
        let playbook = settings.load_playbook(log.channels())?;
        settings.risk_tiers.check()?;
        settings.grid.check()?;
        if let Some(lifetime) = &settings.lifetime {
            lifetime.check()?;
        }
        if let Some(optimize) = &settings.optimize {
            optimize.constraints.check(&playbook)?;
            optimize.value.check()?;
        }

        let history = log.history(as_of);
        let (mut features, population) =
            features::build_observed(&history, &settings.features, progress)?;
        let (mut lifetime, mut by_lifetime) = (None, None);
        if let Some(asked) = &settings.lifetime {
            let model = asked.fit(&history, progress)?;
            let (answers, scores) = asked.describe(&model, &history, progress)?;
            features = features.joined(&answers)?;
            by_lifetime = asked.scores.then_some(scores);
            lifetime = Some(model);
        }
        let scores = score(&features, by_lifetime)?;
        let risk_tier = settings.risk_tiers.assign(&scores)?;
        let rfm_segment = settings.grid.assign(&features)?;
        let lifecycle = segments::lifecycle(&features)?;
        let facts = Facts::new(&features, &scores, &[&risk_tier, &rfm_segment, &lifecycle])?;
        let plan = match &settings.optimize {
            None => match_actions(&playbook, &facts)?,
            Some(settings) => optimize(&playbook, &facts, settings, progress)?,
        };
        Ok(WinBack {
            features,
            population,
            lifetime,
            scores,
            risk_tier,
            rfm_segment,
            lifecycle,
            plan,
        })
    }

    /// Size, share, money and mean features of each group of one of the segmentations.
    ///
    /// # Errors
    /// Those of [`segments::profile`].
    pub fn profile(&self, segments: &Segments) -> Result<Vec<SegmentProfile>> {
        segments::profile(segments, &self.features)
    }
}
