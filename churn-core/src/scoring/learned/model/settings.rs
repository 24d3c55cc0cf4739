//! What a churn model is made of.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::scoring::learned::{Boosting, Calibration, DecisionTree, Forest, Logistic, Svm};

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// Logistic regression and boosting, each believed as far as it did well out of fold.
    #[default]
    Auto,
    /// Logistic regression.
    Logistic,
    /// Gradient boosting of small trees.
    Boosting,
    /// A random forest.
    Forest,
    /// One tree that people can read.
    Tree,
    /// A support vector machine, whose margins a sigmoid makes log-odds.
    Svm,
}

impl Learner {
    /// The name in settings, e.g. `"boosting"`.
    pub fn name(self) -> &'static str {
        match self {
            Learner::Auto => "auto",
            Learner::Logistic => "logistic",
            Learner::Boosting => "boosting",
            Learner::Forest => "forest",
            Learner::Tree => "tree",
            Learner::Svm => "svm",
        }
    }

    /// The learners that are fitted.
    pub(super) fn members(self) -> Vec<Learner> {
        match self {
            Learner::Auto => vec![Learner::Logistic, Learner::Boosting],
            one => vec![one],
        }
    }
}

/// Settings of a churn model; the defaults are meant to be left alone.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{ChurnModelSettings, Learner};
/// let settings: ChurnModelSettings = churn_core::settings::from_toml("model", r#"
///     learner = "boosting"
///     calibration = "beta"
///     boosting.leaves = 16
/// "#)?;
/// assert_eq!(settings.learner, Learner::Boosting);
/// // What is not named stays as it is in a churn model.
/// assert_eq!(settings.boosting.trees, ChurnModelSettings::default().boosting.trees);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChurnModelSettings {
    /// What learns.
    pub learner: Learner,
    /// How log-odds become probabilities; fitted out of fold.
    pub calibration: Calibration,
    /// Number of folds, 2 to 50; fewer where a label has fewer rows. Default 5.
    pub folds: usize,
    /// Logistic regression, whose numbers act through a bent line here.
    #[serde(deserialize_with = "logistic")]
    pub logistic: Logistic,
    /// In models fitted on an event log or on training data made of one: whether a longer silence,
    /// others equal, never lowers what boosting says ([`TrainingData::silence`] names the columns).
    /// Directions in `boosting.monotone`, 0 included, come first. Other learners are not bound, and
    /// a caller's own table is bound by `boosting.monotone` alone. Default true.
    ///
    /// [`TrainingData::silence`]: crate::scoring::learned::TrainingData::silence
    pub monotone_silence: bool,
    /// Boosting; `trees` is the most, how many are kept is found out of fold.
    #[serde(deserialize_with = "boosting")]
    pub boosting: Boosting,
    /// The random forest.
    pub forest: Forest,
    /// The single tree.
    pub tree: DecisionTree,
    /// The support vector machine.
    pub svm: Svm,
    /// Seed of the folds. Default 0.
    pub seed: u64,
}

impl Default for ChurnModelSettings {
    fn default() -> Self {
        ChurnModelSettings {
            learner: Learner::default(),
            calibration: Calibration::default(),
            folds: 5,
            logistic: Logistic {
                l2: 2.0,
                knots: 6,
                tolerance: 1e-8,
                ..Logistic::default()
            },
            monotone_silence: true,
            boosting: Boosting {
                trees: 1_000,
                learning_rate: 0.03,
                leaves: 8,
                min_rows_in_leaf: 20,
                l2: 5.0,
                column_sample: 0.7,
                early_stopping_rounds: 50,
                ..Boosting::default()
            },
            forest: Forest::default(),
            tree: DecisionTree::default(),
            svm: Svm::default(),
            seed: 0,
        }
    }
}

impl ChurnModelSettings {
    /// Checks the settings alone.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        if !(2..=50).contains(&self.folds) {
            return Err(Error::invalid_parameter(
                "model.folds",
                "2 to 50 folds",
                self.folds,
            ));
        }
        if self.boosting.objective != crate::scoring::learned::Objective::Logistic {
            return Err(Error::invalid_parameter(
                "model.boosting.objective",
                "logistic: a churn model gives probabilities",
                "squared_error",
            ));
        }
        if self.learner == Learner::Svm && self.calibration == Calibration::None {
            return Err(Error::invalid_parameter(
                "model.calibration",
                "a calibration: margins of a support vector machine are no log-odds",
                "none",
            ));
        }
        self.logistic.check()?;
        self.svm.check()?;
        self.boosting.check()
    }
}

fn logistic<'de, D: Deserializer<'de>>(given: D) -> Result<Logistic, D::Error> {
    over(&ChurnModelSettings::default().logistic, given)
}

fn boosting<'de, D: Deserializer<'de>>(given: D) -> Result<Boosting, D::Error> {
    over(&ChurnModelSettings::default().boosting, given)
}

/// Settings of which only some fields are given: the others are those of `default`.
fn over<'de, T, D>(default: &T, given: D) -> Result<T, D::Error>
where
    T: Serialize + DeserializeOwned,
    D: Deserializer<'de>,
{
    let given = Value::deserialize(given)?;
    let mut whole = serde_json::to_value(default).map_err(D::Error::custom)?;
    match (given, &mut whole) {
        (Value::Object(given), Value::Object(whole)) => whole.extend(given),
        (other, whole) => *whole = other,
    }
    serde_json::from_value(whole).map_err(D::Error::custom)
}
