//! The model inside: what predicts outcomes and regresses effects.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::progress::Progress;
use crate::scoring::learned::{
    Boosting, Frame, Linear, LinearModel, Logistic, LogisticModel, Objective, TreeEnsemble,
};

/// The model inside an uplift model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Logistic regression for outcomes of 0 and 1, linear regression for the rest. For few data
    /// or weak effects, which is the rule.
    Linear {
        /// Penalty of both, on standardised terms.
        l2: f64,
    },
    /// Gradient boosting; its objective is chosen by the outcome.
    Boosting(Box<Boosting>),
}

impl Default for Base {
    fn default() -> Self {
        Base::Linear { l2: 10.0 }
    }
}

/// A fitted base model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FittedBase {
    Logistic(LogisticModel),
    Linear(LinearModel),
    Trees(TreeEnsemble),
    /// All outcomes were the same.
    Constant(f64),
}

impl Base {
    /// Small trees and many rows per leaf: effects are weaker than outcomes.
    pub fn boosting() -> Self {
        Base::Boosting(Box::new(Boosting {
            trees: 100,
            learning_rate: 0.05,
            leaves: 8,
            min_rows_in_leaf: 100,
            ..Boosting::default()
        }))
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Base::Linear { l2 } => Logistic {
                l2: *l2,
                ..Logistic::default()
            }
            .check(),
            Base::Boosting(settings) => settings.check(),
        }
    }

    /// A model of numbers (or of 0 and 1, if `binary`).
    pub(super) fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        binary: bool,
        progress: &Progress<'_>,
    ) -> Result<FittedBase> {
        let first = target.first().copied().unwrap_or(0.0);
        if target.iter().all(|y| *y == first) {
            return Ok(FittedBase::Constant(first));
        }
        Ok(match self {
            Base::Linear { l2 } if binary => FittedBase::Logistic(
                Logistic {
                    l2: *l2,
                    ..Logistic::default()
                }
                .fit(frame, target, weights, progress)?,
            ),
            Base::Linear { l2 } => FittedBase::Linear(
                Linear {
                    l2: *l2,
                    ..Linear::default()
                }
                .fit(frame, target, weights)?,
            ),
            Base::Boosting(settings) => {
                let settings = Boosting {
                    objective: if binary {
                        Objective::Logistic
                    } else {
                        Objective::SquaredError
                    },
                    ..(**settings).clone()
                };
                FittedBase::Trees(settings.fit(frame, target, weights, None, progress)?)
            }
        })
    }
}

impl FittedBase {
    pub(super) fn predict(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        match self {
            FittedBase::Logistic(model) => model.predict(frame),
            FittedBase::Linear(model) => model.predict(frame),
            FittedBase::Trees(model) => model.predict(frame),
            FittedBase::Constant(value) => Ok(vec![*value; frame.rows()]),
        }
    }
}
