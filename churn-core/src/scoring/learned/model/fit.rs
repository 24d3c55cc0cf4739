//! Fitting: out of fold first, then on all rows.

use super::settings::{ChurnModelSettings, Learner};
use super::{ChurnModel, Fitted, LearnerReport, Member, OutOfFold, Profile, schema_of};
use crate::error::{Error, Result};
use crate::events::EventLog;
use crate::metrics;
use crate::progress::Progress;
use crate::scoring::learned::calibration::{Calibrator, non_negative_fit};
use crate::scoring::learned::logistic::logistic;
use crate::scoring::learned::splits::{Fold, grouped_folds};
use crate::scoring::learned::{
    Boosting, Calibration, Frame, TrainingData, TrainingSettings, Validation, check,
};

impl ChurnModelSettings {
    /// Fits a model on rows that are independent of each other, one per customer.
    ///
    /// Shape: `target` (1 = churned, 0 = stayed) and `weights` have one entry per row of the frame.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain; `LengthMismatch`; `InvalidValue`,
    /// naming the row, for a label other than 0 and 1 or a negative weight; `NotEnoughData` for
    /// fewer than two rows of a label; those of the learners; `Cancelled`.
    pub fn fit(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        progress: &Progress<'_>,
    ) -> Result<ChurnModel> {
        let groups: Vec<u32> = (0..target.len() as u32).collect();
        self.fit_grouped(frame, target, weights, &groups, progress)
    }

    /// Fits a model on rows of which those of one group, such as a customer at several cut-offs,
    /// resemble each other: folds keep them together.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_grouped(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        groups: &[u32],
        progress: &Progress<'_>,
    ) -> Result<ChurnModel> {
        self.check()?;
        check::labelled(frame, target, weights, 1.0)?;
        let folds = self.folds(target, weights, groups)?;
        self.fit_folds(frame, target, weights, &folds, progress)
    }

    /// Fits a model on training data; folds keep each customer's rows together, and with
    /// [`monotone_silence`](Self::monotone_silence) boosting never takes a longer silence for a
    /// lower risk.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_data(&self, data: &TrainingData, progress: &Progress<'_>) -> Result<ChurnModel> {
        let frame = data.frame()?;
        let mut settings = self.clone();
        if self.monotone_silence {
            for (name, way) in data.silence() {
                settings.boosting.monotone.entry(name).or_insert(way);
            }
        }
        let (target, groups) = (data.target(), data.groups());
        let mut model = settings.fit_grouped(&frame, target, None, groups, progress)?;
        model.churn = Some(data.churn().clone());
        Ok(model)
    }

    /// From an event log to a model: builds training data and fits.
    ///
    /// # Errors
    /// As [`TrainingData::build`] and [`fit`](Self::fit).
    pub fn fit_log(
        &self,
        log: &EventLog,
        training: &TrainingSettings,
        progress: &Progress<'_>,
    ) -> Result<ChurnModel> {
        self.check()?;
        self.fit_data(&TrainingData::build(log, training, progress)?, progress)
    }

    /// Folds, fewer than asked for where a label has few groups.
    fn folds(&self, target: &[f64], weights: Option<&[f64]>, groups: &[u32]) -> Result<Vec<Fold>> {
        if groups.len() != target.len() {
            return Err(Error::length_mismatch("groups", target.len(), groups.len()));
        }
        let count = |label: f64| {
            let counts =
                |row: &usize| target[*row] == label && weights.is_none_or(|w| w[*row] > 0.0);
            let mut of: Vec<u32> = (0..target.len())
                .filter(counts)
                .map(|row| groups[row])
                .collect();
            of.sort_unstable();
            of.dedup();
            of.len()
        };
        let fewest = count(0.0).min(count(1.0));
        if fewest < 2 {
            return Err(Error::not_enough_data(
                "target",
                "at least two customers with each label",
                fewest,
            ));
        }
        // Rows of weight 0 may leave a fold with one label only: then fewer, larger folds.
        for folds in (2..=self.folds.min(fewest)).rev() {
            let Ok(made) = grouped_folds(target, groups, folds, self.seed) else {
                continue;
            };
            let is_mixed = |rows: &[usize]| {
                [0.0, 1.0].iter().all(|label| {
                    rows.iter()
                        .any(|row| target[*row] == *label && weights.is_none_or(|w| w[*row] > 0.0))
                })
            };
            if made
                .iter()
                .all(|fold| is_mixed(&fold.train) && is_mixed(&fold.test))
            {
                return Ok(made);
            }
        }
        Err(Error::not_enough_data(
            "target",
            "enough customers with each label for two folds",
            fewest,
        ))
    }

    fn fit_folds(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        folds: &[Fold],
        progress: &Progress<'_>,
    ) -> Result<ChurnModel> {
        let learners = self.learner.members();
        let mut margins = vec![vec![0.0; target.len()]; learners.len()];
        let mut trees = vec![Vec::new(); learners.len()];
        let step = progress.step("model.folds", folds.len() * learners.len());
        for fold in folds {
            let (train, test) = (frame.take(&fold.train), frame.take(&fold.test));
            let pick = |cells: &[f64], rows: &[usize]| -> Vec<f64> {
                rows.iter().map(|row| cells[*row]).collect()
            };
            let (labels, later) = (pick(target, &fold.train), pick(target, &fold.test));
            let fold_weights = weights.map(|w| (pick(w, &fold.train), pick(w, &fold.test)));
            let validation = Validation {
                frame: &test,
                target: &later,
                weights: fold_weights.as_ref().map(|(_, test)| test.as_slice()),
            };
            let train_weights = fold_weights.as_ref().map(|(train, _)| train.as_slice());
            for (k, learner) in learners.iter().enumerate() {
                let fitted = self.one(
                    *learner,
                    &train,
                    &labels,
                    train_weights,
                    Stop::At(validation),
                    progress,
                )?;
                if let Fitted::Trees(ensemble) = &fitted {
                    trees[k].push(ensemble.trees());
                }
                for (row, margin) in fold.test.iter().zip(fitted.margins(&test)?) {
                    margins[k][*row] = margin;
                }
                step.advance(1)?;
            }
        }
        let (beliefs, intercept) = self.beliefs(&margins, target, weights)?;
        let blended: Vec<f64> = (0..target.len())
            .map(|row| {
                let parts = margins.iter().zip(&beliefs).map(|(m, w)| w * m[row]);
                intercept + parts.sum::<f64>()
            })
            .collect();
        let curve = self.curve(&blended, target, weights)?;
        let probability = |margin: &f64| match &curve {
            None => logistic(*margin),
            Some(curve) => curve.probability(*margin),
        };
        let probabilities: Vec<f64> = blended.iter().map(probability).collect();
        let (mut members, mut reports) = (Vec::new(), Vec::new());
        for (k, learner) in learners.iter().enumerate() {
            let kept = mean_count(&trees[k]);
            let log_odds = |margin: &f64| match learner {
                Learner::Svm => beliefs[k] * margin + intercept,
                _ => *margin,
            };
            let own = margins[k].iter().map(|m| logistic(log_odds(m)));
            let own: Vec<f64> = own.collect();
            reports.push(LearnerReport {
                learner: learner.name().to_owned(),
                weight: beliefs[k],
                roc_auc: metrics::roc_auc(target, &own, weights)?,
                log_loss: metrics::log_loss(target, &own, weights)?,
                trees: kept,
            });
            if beliefs[k] > 0.0 {
                let fitted = self.one(
                    *learner,
                    frame,
                    target,
                    weights,
                    Stop::After(kept),
                    progress,
                )?;
                members.push(Member {
                    learner: *learner,
                    weight: beliefs[k],
                    fitted,
                });
            }
        }
        let schema = schema_of(frame, weights);
        Ok(ChurnModel {
            profile: Profile::learn(frame, &schema, &probabilities),
            schema,
            members,
            intercept,
            curve,
            churn: None,
            out_of_fold: OutOfFold::new(target, &probabilities, weights, reports)?,
        })
    }

    fn one(
        &self,
        learner: Learner,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        stop: Stop<'_>,
        progress: &Progress<'_>,
    ) -> Result<Fitted> {
        match learner {
            Learner::Logistic => {
                let model = self.logistic.fit(frame, target, weights, progress)?;
                Ok(Fitted::Logistic(Box::new(model)))
            }
            Learner::Forest => {
                let trees = self.forest.fit(frame, target, weights, progress)?;
                Ok(Fitted::Trees(Box::new(trees)))
            }
            Learner::Svm => {
                let machine = self.svm.fit(frame, target, weights, progress)?;
                Ok(Fitted::Svm(Box::new(machine)))
            }
            Learner::Tree => {
                let tree = self.tree.fit(frame, target, weights, progress)?;
                Ok(Fitted::Trees(Box::new(tree)))
            }
            Learner::Auto | Learner::Boosting => {
                let (settings, validation) = match stop {
                    Stop::At(validation) => (self.boosting.clone(), Some(validation)),
                    Stop::After(trees) => {
                        let trees = if self.boosting.early_stopping_rounds == 0 {
                            self.boosting.trees
                        } else {
                            trees
                        };
                        (
                            Boosting {
                                trees,
                                ..self.boosting.clone()
                            },
                            None,
                        )
                    }
                };
                let trees = settings.fit(frame, target, weights, validation, progress)?;
                Ok(Fitted::Trees(Box::new(trees)))
            }
        }
    }

    /// How far each learner is believed, and the intercept.
    fn beliefs(
        &self,
        margins: &[Vec<f64>],
        target: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<(Vec<f64>, f64)> {
        let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
        let label = |row: usize| target[row];
        let sigmoid = |margins: &[f64]| match Calibration::Sigmoid.fit(margins, target, weights)? {
            Calibrator::Sigmoid { slope, intercept } => Ok((vec![slope], intercept)),
            _ => Ok((vec![1.0], 0.0)),
        };
        match margins {
            [only] => match self.calibration {
                // Margins of a support vector machine become log-odds here, whatever follows.
                _ if self.learner == Learner::Svm => sigmoid(only),
                Calibration::Sigmoid => sigmoid(only),
                _ => Ok((vec![1.0], 0.0)),
            },
            [first, second] => {
                let [a, b, c] = non_negative_fit(
                    target.len(),
                    &|row| [first[row], second[row], 1.0],
                    &label,
                    &weight,
                )?;
                if self.calibration == Calibration::None && a + b > 0.0 {
                    return Ok((vec![a / (a + b), b / (a + b)], 0.0));
                }
                Ok((vec![a, b], c))
            }
            _ => Err(Error::invalid_parameter(
                "model.learner",
                "one or two learners",
                margins.len(),
            )),
        }
    }

    fn curve(
        &self,
        blended: &[f64],
        target: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Option<Calibrator>> {
        match self.calibration {
            Calibration::None | Calibration::Sigmoid => Ok(None),
            other => Ok(Some(other.fit(blended, target, weights)?)),
        }
    }
}

/// When boosting stops.
enum Stop<'a> {
    /// Where these rows are predicted best.
    At(Validation<'a>),
    /// After so many trees.
    After(usize),
}

fn mean_count(counts: &[usize]) -> usize {
    if counts.is_empty() {
        return 0;
    }
    let sum: usize = counts.iter().sum();
    ((sum as f64 / counts.len() as f64).round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::learned::Column;
    use crate::simulate::Shop;

    /// Largest fall of a probability as a column grows (or, with −1, falls) and all else stays.
    fn largest_fall(model: &ChurnModel, data: &TrainingData, column: &str, way: i8) -> f64 {
        let frame = data.frame().unwrap();
        let Column::Numeric(cells) = frame.column(column).unwrap() else {
            panic!("numbers")
        };
        let mut values: Vec<f64> = cells.iter().copied().filter(|v| !v.is_nan()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len() - 1;
        let at = |k: usize| {
            let value = values[k * last / 30];
            let rows = frame.rows();
            let same = frame.replace(column, |_| Column::Numeric(vec![value; rows].into()));
            model.predict(&same.unwrap()).unwrap()
        };
        let mut fall: f64 = 0.0;
        for k in 0..30 {
            let (low, high) = (at(k), at(k + 1));
            let steps = low.iter().zip(&high);
            fall = steps.fold(fall, |fall, (a, b)| fall.max(f64::from(way) * (a - b)));
        }
        fall
    }

    #[test]
    fn silence_never_lowers_the_risk_unless_asked() {
        let shop = Shop {
            customers: 400,
            days: 500,
            ..Shop::default()
        };
        let events = shop.open().unwrap();
        let log = EventLog::from_columns(&events.columns(), &Default::default()).unwrap();
        let data = TrainingData::build(&log, &Default::default(), &Progress::none()).unwrap();
        let mut settings = ChurnModelSettings {
            learner: Learner::Boosting,
            folds: 2,
            ..ChurnModelSettings::default()
        };
        settings.boosting.trees = 60;
        settings.boosting.learning_rate = 0.3;
        let fit =
            |settings: &ChurnModelSettings| settings.fit_data(&data, &Progress::none()).unwrap();
        let falls = |model: &ChurnModel| -> Vec<f64> {
            let silence = data.silence();
            let falls = silence
                .iter()
                .map(|(name, way)| largest_fall(model, &data, name, *way));
            falls.collect()
        };
        let bound = fit(&settings);
        assert!(
            falls(&bound).iter().all(|fall| *fall <= 0.0),
            "{:?}",
            falls(&bound)
        );
        let free = ChurnModelSettings {
            monotone_silence: false,
            ..settings.clone()
        };
        assert!(falls(&fit(&free)).iter().any(|fall| *fall > 1e-3));
        // A direction that the caller names comes first: here none at all.
        settings.boosting.monotone = data.silence().into_keys().map(|name| (name, 0)).collect();
        assert_eq!(fit(&settings), fit(&free));
    }
}
