//! Learned churn models: from labelled customers to calibrated, explained probabilities, in one
//! call.
//!
//! [`ChurnModelSettings::fit`] cuts the rows into folds, fits each learner on all but one fold and
//! lets it speak about that one; on these out-of-fold log-odds it finds how far each learner is to
//! be believed (weights that are not negative, and an intercept, by log loss: stacking, Wolpert
//! 1992; Breiman 1996). A single learner gets a weight of its own the same way, which is sigmoid
//! calibration. Then the learners are fitted once more on all rows.
//!
//! log-odds = intercept + Σ weight × log-odds of a learner, so that contributions of columns add
//! up as they do in each learner. A support vector machine has no log-odds: there the weight and the
//! intercept are those of a sigmoid on its margins, on which an isotonic or beta curve may follow.
//!
//! Not for fewer than some hundred rows with a dozen churners: there an expert card
//! ([`Scorecard`](crate::scoring::Scorecard)) knows more than the data.

mod drift;
mod explain;
mod file;
mod fit;
mod report;
mod scorer;
mod settings;

pub use drift::{CalibrationDrift, ColumnDrift, Drift};
pub use explain::{Dependence, Drivers, Explanation, FrameReason, drivers};
pub use report::{LearnerReport, OutOfFold};
pub use scorer::ModelScorer;
pub use settings::{ChurnModelSettings, Learner};

use serde::{Deserialize, Serialize};

use super::calibration::Calibrator;
use super::logistic::{LogisticModel, logistic};
use super::trees::{Link, TreeEnsemble};
use super::{Column, Contributions, Frame, SvmModel};
use crate::error::{Error, Result};
use crate::events::ChurnDefinition;
use crate::progress::Progress;
use drift::Profile;

/// A fitted churn model.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{ChurnModelSettings, Column, Frame};
/// let silence: Vec<f64> = (0..300).map(|i| f64::from(i % 100)).collect();
/// let churned: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i % 100 + (i * 31) % 40 > 70))).collect();
/// let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
/// let model = ChurnModelSettings::default().fit(&frame, &churned, None, &Progress::none())?;
/// let probability = model.predict(&frame)?;
/// assert!(probability[10] < 0.2 && probability[90] > 0.8);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ChurnModel {
    schema: Vec<SchemaColumn>,
    members: Vec<Member>,
    /// Added to the weighted log-odds of the members.
    intercept: f64,
    /// What turns the log-odds into a probability where that is more than the logistic curve.
    curve: Option<Calibrator>,
    /// What churn means, where the model was fitted on a log.
    churn: Option<ChurnDefinition>,
    profile: Profile,
    out_of_fold: OutOfFold,
}

/// A column of training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaColumn {
    pub(crate) name: String,
    /// The levels that training has seen, ascending; `None` for numbers.
    pub(crate) levels: Option<Vec<String>>,
}

/// One learner of a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) learner: Learner,
    pub(crate) weight: f64,
    pub(crate) fitted: Fitted,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fitted {
    Logistic(Box<LogisticModel>),
    Trees(Box<TreeEnsemble>),
    Svm(Box<SvmModel>),
}

/// Probabilities of learners that give no log-odds are kept so far from 0 and 1.
const SURE: f64 = 1e-3;

/// ln(p / (1 − p)), of a probability that is kept away from certainty.
pub(crate) fn log_odds(p: f64) -> f64 {
    let p = p.clamp(SURE, 1.0 - SURE);
    (p / (1.0 - p)).ln()
}

impl Fitted {
    /// Log-odds, or of a support vector machine the margins that become so by its weight.
    pub(crate) fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        match self {
            Fitted::Logistic(model) => model.margins(frame),
            Fitted::Svm(model) => model.margins(frame),
            Fitted::Trees(trees) => {
                let mut margins = trees.margins(frame)?;
                if trees.link() == Link::Probability {
                    margins.iter_mut().for_each(|p| *p = log_odds(*p));
                }
                Ok(margins)
            }
        }
    }

    /// Contributions to the margins, columns in the order of the schema.
    fn contributions(&self, frame: &Frame<'_>) -> Result<Contributions> {
        match self {
            Fitted::Logistic(model) => model.contributions(frame),
            Fitted::Svm(model) => model.contributions(frame),
            Fitted::Trees(trees) if trees.link() == Link::Probability => {
                stretched(&trees.contributions(frame, &Progress::none())?)
            }
            Fitted::Trees(trees) => trees.contributions(frame, &Progress::none()),
        }
    }
}

/// Contributions to a probability as contributions to its log-odds: each row's are stretched by
/// one factor, so that they add up again.
fn stretched(parts: &Contributions) -> Result<Contributions> {
    let (rows, base) = (parts.rows(), parts.base());
    let from = log_odds(base);
    let mut values = parts.values().to_vec();
    for row in 0..rows {
        let to = parts.margin(row);
        let sure = base.clamp(SURE, 1.0 - SURE);
        let factor = if (to - base).abs() > 1e-12 {
            (log_odds(to) - from) / (to - base)
        } else {
            1.0 / (sure * (1.0 - sure))
        };
        for cell in values.iter_mut().skip(row).step_by(rows) {
            *cell *= factor;
        }
    }
    Contributions::new(from, parts.names().to_vec(), rows, values)
}

impl ChurnModel {
    /// Log-odds of churn of each row before the last calibration step, found by name.
    ///
    /// # Errors
    /// `UnknownName` for a column of training that is missing; `InvalidParameter` for one of the
    /// other kind.
    pub fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        self.check_frame(frame)?;
        let mut margins = vec![self.intercept; frame.rows()];
        for member in &self.members {
            for (sum, margin) in margins.iter_mut().zip(member.fitted.margins(frame)?) {
                *sum += member.weight * margin;
            }
        }
        Ok(margins)
    }

    /// Churn probability of each row of a frame; columns are found by name, others are not read.
    ///
    /// A missing cell is answered as training has taught; a level that training has not seen
    /// counts as nothing known.
    ///
    /// # Errors
    /// As [`margins`](Self::margins).
    pub fn predict(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let mut answers = self.margins(frame)?;
        answers
            .iter_mut()
            .for_each(|margin| *margin = self.probability(*margin));
        Ok(answers)
    }

    fn probability(&self, margin: f64) -> f64 {
        match &self.curve {
            None => logistic(margin),
            Some(curve) => curve.probability(margin),
        }
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.schema.iter().map(|column| column.name.as_str())
    }

    /// The levels of a categorical column that training has seen, ascending; `None` for numbers.
    ///
    /// # Errors
    /// `UnknownName` for a column that training did not have.
    pub fn levels(&self, column: &str) -> Result<Option<&[String]>> {
        match self.schema.iter().find(|known| known.name == column) {
            Some(known) => Ok(known.levels.as_deref()),
            None => Err(Error::unknown_name("column", column, self.names())),
        }
    }

    /// What churn means, where the model was fitted on an event log.
    pub fn churn(&self) -> Option<&ChurnDefinition> {
        self.churn.as_ref()
    }

    /// How well the model did on rows that it had not seen.
    pub fn out_of_fold(&self) -> &OutOfFold {
        &self.out_of_fold
    }

    fn check_frame(&self, frame: &Frame<'_>) -> Result<()> {
        check_schema(&self.schema, frame)
    }
}

/// Checks that a frame has the columns of training, of the same kinds.
pub(crate) fn check_schema(schema: &[SchemaColumn], frame: &Frame<'_>) -> Result<()> {
    for column in schema {
        let expected = match (frame.column(&column.name)?, &column.levels) {
            (Column::Numeric(_), None) | (Column::Categorical { .. }, Some(_)) => continue,
            (Column::Numeric(_), Some(_)) => "a categorical column as in training",
            (Column::Categorical { .. }, None) => "a numeric column as in training",
        };
        return Err(Error::invalid_parameter(
            column.name.as_str(),
            expected,
            "the other kind",
        ));
    }
    Ok(())
}

/// The columns of a frame as a schema; levels are those of rows that count.
pub(crate) fn schema_of(frame: &Frame<'_>, weights: Option<&[f64]>) -> Vec<SchemaColumn> {
    let columns = frame.names().iter().zip(frame.columns());
    columns
        .map(|(name, column)| SchemaColumn {
            name: name.clone(),
            levels: match column {
                Column::Numeric(_) => None,
                Column::Categorical { codes, levels } => {
                    let mut seen = vec![false; levels.len()];
                    for (row, code) in codes.iter().enumerate() {
                        if let Some(seen) = seen.get_mut(*code as usize) {
                            *seen |= weights.is_none_or(|w| w[row] > 0.0);
                        }
                    }
                    let seen = levels.iter().zip(seen).filter(|(_, seen)| *seen);
                    let mut names: Vec<String> = seen.map(|(level, _)| level.clone()).collect();
                    names.sort_unstable();
                    Some(names)
                }
            },
        })
        .collect()
}
