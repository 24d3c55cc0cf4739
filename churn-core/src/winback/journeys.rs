//! From the plan to journeys: settings as data, the engine they make, and replays that compute
//! only what decisions read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::WinBackSettings;
use crate::error::{Error, Result};
use crate::events::{EventLog, History};
use crate::features::{self, FeatureSpec, LIFECYCLE_STAGES, Population};
use crate::journey::{
    ContactPolicy, Described, Engine, Journey, LearningSettings, Replay, replay_planned,
};
use crate::progress::Progress;
use crate::segments::{self, NO_PURCHASE, RiskTiers};
use crate::strategy::{CHURN_PROBABILITY, Plan, Playbook, Vocabulary};
use crate::time::AsOf;

/// Journeys, contact policy and learning, as data.
///
/// # Example
/// ```
/// use churn_core::winback::{JourneySettings, PolicySource};
/// let settings: JourneySettings = churn_core::settings::from_json("journeys", r#"{
///     "policy": {"preset": "klaviyo"},
///     "learning": {"segmentation": "risk_tier"}
/// }"#)?;
/// assert_eq!(settings.policy, PolicySource::Preset("klaviyo".to_owned()));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JourneySettings {
    /// The journeys that customers walk through side by side.
    pub journeys: Vec<JourneySource>,
    /// How often and when customers may be contacted.
    pub policy: PolicySource,
    /// How journeys learn from responses.
    pub learning: LearningSettings,
}

impl Default for JourneySettings {
    fn default() -> Self {
        JourneySettings {
            journeys: vec![JourneySource::Default],
            policy: PolicySource::Default,
            learning: LearningSettings {
                segmentation: Some("risk_tier".to_owned()),
                ..LearningSettings::default()
            },
        }
    }
}

/// Where a journey comes from: text, so that errors can name the line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JourneySource {
    /// The journey that ships with the library.
    #[default]
    Default,
    /// A journey in TOML.
    Toml(String),
    /// A journey in JSON.
    Json(String),
}

/// Where a contact policy comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySource {
    /// The policy that ships with the library.
    #[default]
    Default,
    /// No rule at all.
    None,
    /// One of [`ContactPolicy::PRESETS`].
    Preset(String),
    /// A policy in TOML.
    Toml(String),
    /// A policy in JSON.
    Json(String),
}

/// Journeys, policy and playbook, read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What can be done for whom.
    pub playbook: Playbook,
    /// The journeys.
    pub journeys: Vec<Journey>,
    /// The contact policy.
    pub policy: ContactPolicy,
}

impl WinBackSettings {
    /// Reads and checks journeys and policy for a shop with these channels.
    ///
    /// # Errors
    /// Those of [`load_playbook`](Self::load_playbook), [`Journey::from_toml`] and
    /// [`ContactPolicy::from_toml`].
    pub fn load_journeys(&self, channels: &[String], settings: &JourneySettings) -> Result<Loaded> {
        let vocabulary = self.vocabulary(channels)?;
        let playbook = self.load_playbook(channels)?;
        let journeys = settings.journeys.iter().map(|source| match source {
            JourneySource::Default => Journey::default_for(&playbook, &vocabulary),
            JourneySource::Toml(text) => Journey::from_toml(text, &playbook, &vocabulary),
            JourneySource::Json(text) => Journey::from_json(text, &playbook, &vocabulary),
        });
        let journeys = journeys.collect::<Result<Vec<_>>>()?;
        let policy = match &settings.policy {
            PolicySource::Default => ContactPolicy::default_for(&playbook)?,
            PolicySource::None => ContactPolicy::default(),
            PolicySource::Preset(name) => ContactPolicy::preset(name, &playbook)?,
            PolicySource::Toml(text) => ContactPolicy::from_toml(text, &playbook)?,
            PolicySource::Json(text) => ContactPolicy::from_json(text, &playbook)?,
        };
        Ok(Loaded {
            playbook,
            journeys,
            policy,
        })
    }

    /// The engine of these journeys for facts that the whole flow gives: features, scores, and the
    /// segmentations `risk_tier`, the grid's and `lifecycle`, in this order.
    ///
    /// # Errors
    /// As [`load_journeys`](Self::load_journeys), and those of [`Engine::new`].
    pub fn engine(&self, channels: &[String], settings: &JourneySettings) -> Result<Engine> {
        let loaded = self.load_journeys(channels, settings)?;
        let vocabulary = self.facts_vocabulary(&self.features, channels, ALL_SEGMENTATIONS)?;
        engine(&loaded, settings, &vocabulary)
    }

    /// Runs journeys over the days from `from` (inclusive) to `to` (exclusive) of a log. Days after
    /// its last event are a forecast for customers who stay silent.
    ///
    /// Cut points, priors, rates and the model of buying are learned from the history before `from`
    /// and stay; each day
    /// only the features are built that journeys and playbook read, for the customers for whom
    /// something may be decided.
    ///
    /// # Errors
    /// As [`engine`](Self::engine), and those of [`replay`](crate::journey::replay).
    ///
    /// # Example
    /// ```
    /// use churn_core::events::Cleaning;
    /// use churn_core::progress::Progress;
    /// use churn_core::simulate::Shop;
    /// use churn_core::winback::{JourneySettings, WinBackSettings};
    /// use churn_core::{AsOf, EventLog};
    /// let shop = Shop { customers: 300, ..Shop::default() }.open()?;
    /// let log = EventLog::from_columns(&shop.columns(), &Cleaning::default())?;
    /// let replay = WinBackSettings::default().replay(
    ///     &log,
    ///     AsOf::parse("2022-10-01")?,
    ///     AsOf::parse("2022-12-30")?,
    ///     &JourneySettings::default(),
    ///     &Progress::none(),
    /// )?;
    /// assert_eq!(replay.days.len(), 90);
    /// assert!(replay.contacts() > 0);
    /// println!("{}", replay.calendar(7));
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn replay(
        &self,
        log: &EventLog,
        from: AsOf,
        to: AsOf,
        settings: &JourneySettings,
        progress: &Progress<'_>,
    ) -> Result<Replay> {
        self.replay_planned(log, from, to, settings, &[], progress)
    }

    /// The same with plans, for journeys with steps that make what a plan says: on each day the one
    /// made last before or at its beginning is in force.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); `Misaligned` for plans made with another playbook.
    pub fn replay_planned(
        &self,
        log: &EventLog,
        from: AsOf,
        to: AsOf,
        settings: &JourneySettings,
        plans: &[&Plan],
        progress: &Progress<'_>,
    ) -> Result<Replay> {
        self.scorecard.check()?;
        self.risk_tiers.check()?;
        self.grid.check()?;
        let loaded = self.load_journeys(log.channels(), settings)?;
        let whole = self.engine(log.channels(), settings)?;
        let sight = Sight::new(self, &loaded, &whole, log.channels())?;
        let vocabulary = self.facts_vocabulary(&sight.spec, log.channels(), sight.segmentations)?;
        let engine = engine(&loaded, settings, &vocabulary)?;
        let population = match engine.reads().is_empty() {
            true => None,
            false => Some(Population::fit_selected(
                &log.history(from),
                &sight.spec,
                &Progress::none(),
            )?),
        };
        let quiet = Progress::none();
        let lifetime = match &self.lifetime {
            None => None,
            Some(asked) => Some((asked, asked.fit(&log.history(from), progress)?)),
        };
        let describe = |history: &History<'_>| {
            let Some(population) = &population else {
                return Err(Error::not_enough_data(
                    "facts",
                    "something to read",
                    "nothing",
                ));
            };
            let mut features = features::build_with(history, &sight.spec, population, &quiet)?;
            let mut by_lifetime = None;
            if let Some((asked, model)) = &lifetime {
                let (answers, scores) = asked.describe(model, history, &quiet)?;
                features = features.joined(&answers)?;
                by_lifetime = asked.scores.then_some(scores);
            }
            let scores = match by_lifetime {
                Some(scores) => scores,
                None => self.scorecard.score(&features)?,
            };
            let mut segments = vec![self.risk_tiers.assign(&scores)?];
            if sight.segmentations.grid {
                segments.push(self.grid.assign(&features)?);
            }
            if sight.segmentations.lifecycle {
                segments.push(segments::lifecycle(&features)?);
            }
            Ok(Described {
                features,
                scores,
                segments,
            })
        };
        replay_planned(log, &engine, from, to, plans, describe, progress)
    }

    /// The names of facts in the order in which the flow gives them.
    fn facts_vocabulary(
        &self,
        spec: &FeatureSpec,
        channels: &[String],
        segmentations: Segmentations,
    ) -> Result<Vocabulary> {
        let mut vocabulary = Vocabulary::new()
            .with_features(&spec.selected(channels)?)?
            .with_features(&self.lifetime_features())?
            .with_segmentation("risk_tier", &RiskTiers::LABELS)?;
        if segmentations.grid {
            let rules = self.grid.rules.iter().map(|rule| rule.label.as_str());
            let labels: Vec<&str> = rules.chain([NO_PURCHASE]).collect();
            vocabulary = vocabulary.with_segmentation(&self.grid.name, &labels)?;
        }
        if segmentations.lifecycle {
            vocabulary = vocabulary.with_segmentation("lifecycle", &LIFECYCLE_STAGES)?;
        }
        Ok(vocabulary)
    }
}

fn engine(loaded: &Loaded, settings: &JourneySettings, vocabulary: &Vocabulary) -> Result<Engine> {
    Engine::new(
        &loaded.journeys,
        &loaded.policy,
        &settings.learning,
        &loaded.playbook,
        vocabulary,
    )
}

/// Which segmentations facts have beside the risk tiers.
#[derive(Debug, Clone, Copy)]
struct Segmentations {
    grid: bool,
    lifecycle: bool,
}

const ALL_SEGMENTATIONS: Segmentations = Segmentations {
    grid: true,
    lifecycle: true,
};

/// What has to be known each day.
struct Sight {
    spec: FeatureSpec,
    segmentations: Segmentations,
}

impl Sight {
    fn new(
        settings: &WinBackSettings,
        loaded: &Loaded,
        engine: &Engine,
        channels: &[String],
    ) -> Result<Self> {
        let vocabulary =
            settings.facts_vocabulary(&settings.features, channels, ALL_SEGMENTATIONS)?;
        let mut names: BTreeSet<String> = engine.reads().iter().cloned().collect();
        // The playbook is checked as a whole, so what its conditions name has to exist.
        names.extend(loaded.playbook.conditions_read(&vocabulary)?);
        let segmentations = Segmentations {
            grid: names.remove(&settings.grid.name),
            lifecycle: names.remove("lifecycle"),
        };
        names.remove("risk_tier");
        names.remove(CHURN_PROBABILITY);
        let factors = settings.scorecard.factors.iter();
        names.extend(factors.map(|factor| factor.feature.clone()));
        if segmentations.grid {
            let scores = ["recency_score", "frequency_score", "monetary_score"];
            names.extend(scores.map(str::to_owned));
        }
        if segmentations.lifecycle {
            names.insert("lifecycle_stage".to_owned());
        }
        Ok(Sight {
            // In the order of the settings, so that vocabularies agree wherever they are made.
            spec: settings.features.clone().with_features(
                settings
                    .features
                    .selected(channels)?
                    .into_iter()
                    .map(|info| info.name)
                    .filter(|name| names.contains(name)),
            ),
            segmentations,
        })
    }
}
