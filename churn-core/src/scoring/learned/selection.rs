//! Cross-validation and the search for settings.
//!
//! Folds come from [`splits`](super::splits) or from training data; every fold fits a whole model,
//! calibration included, on its training rows only. The best of many settings looks better in the
//! search than it is: judge it on rows that the search has not seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::splits::Fold;
use super::{ChurnModelSettings, Frame};
use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::metrics::{self, Binning};
use crate::progress::Progress;

/// Measures of one fold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldScores {
    /// Area under the ROC curve.
    pub roc_auc: f64,
    /// Average precision.
    pub average_precision: f64,
    /// Log loss.
    pub log_loss: f64,
    /// Brier score.
    pub brier: f64,
    /// Calibration error over ten bins of equally many rows.
    pub calibration_error: f64,
}

/// A model judged on rows that it has not seen, fold by fold.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// Measures of each fold.
    pub folds: Vec<FoldScores>,
    /// Probability of each row where a fold has tested it (the last one that did).
    pub probabilities: Vec<Option<f64>>,
}

impl CrossValidation {
    /// Mean and standard deviation over folds of one measure; the deviation is 0 for one fold.
    pub fn summary(&self, measure: impl Fn(&FoldScores) -> f64) -> (f64, f64) {
        let n = self.folds.len() as f64;
        let values = || self.folds.iter().map(&measure);
        let mean = values().sum::<f64>() / n;
        let squares: f64 = values().map(|v| (v - mean).powi(2)).sum();
        let deviation = if n > 1.0 {
            (squares / (n - 1.0)).sqrt()
        } else {
            0.0
        };
        (mean, deviation)
    }
}

impl ChurnModelSettings {
    /// Fits a model on each fold's training rows and judges it on its test rows.
    ///
    /// `groups` names the rows of one customer, for folds inside the fit.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit) and of the measures, naming the fold; `InvalidParameter` for a
    /// fold with a row that there is not; `NotEnoughData` without folds.
    pub fn cross_validate(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        groups: Option<&[u32]>,
        folds: &[Fold],
        progress: &Progress<'_>,
    ) -> Result<CrossValidation> {
        self.check()?;
        check_rows(frame, target, weights, groups, folds)?;
        let step = progress.step("model.cross_validation", folds.len());
        let mut result = CrossValidation {
            folds: Vec::with_capacity(folds.len()),
            probabilities: vec![None; target.len()],
        };
        for (k, fold) in folds.iter().enumerate() {
            let probabilities = self
                .on_fold(frame, target, weights, groups, fold, &fold.train, progress)
                .map_err(|error| in_fold(k, &error))?;
            let labels = pick(target, &fold.test);
            let weights = weights.map(|w| pick(w, &fold.test));
            let scores = FoldScores::new(&labels, &probabilities, weights.as_deref())
                .map_err(|error| in_fold(k, &error))?;
            result.folds.push(scores);
            for (row, p) in fold.test.iter().zip(probabilities) {
                result.probabilities[*row] = Some(p);
            }
            step.advance(1)?;
        }
        Ok(result)
    }

    #[allow(clippy::too_many_arguments)]
    fn on_fold(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        groups: Option<&[u32]>,
        fold: &Fold,
        train: &[usize],
        progress: &Progress<'_>,
    ) -> Result<Vec<f64>> {
        let rows = frame.take(train);
        let labels = pick(target, train);
        let weights = weights.map(|w| pick(w, train));
        let model = match groups {
            None => self.fit(&rows, &labels, weights.as_deref(), progress)?,
            Some(groups) => {
                let groups = pick(groups, train);
                self.fit_grouped(&rows, &labels, weights.as_deref(), &groups, progress)?
            }
        };
        model.predict(&frame.take(&fold.test))
    }
}

impl FoldScores {
    fn new(labels: &[f64], probabilities: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        Ok(FoldScores {
            roc_auc: metrics::roc_auc(labels, probabilities, weights)?,
            average_precision: metrics::average_precision(labels, probabilities, weights)?,
            log_loss: metrics::log_loss(labels, probabilities, weights)?,
            brier: metrics::brier(labels, probabilities, weights)?,
            calibration_error: metrics::expected_calibration_error(
                labels,
                probabilities,
                weights,
                Binning::Quantile(10),
            )?,
        })
    }
}

/// What a search compares by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMeasure {
    /// Least log loss: ranks and means what it says.
    #[default]
    LogLoss,
    /// Largest area under the ROC curve.
    RocAuc,
    /// Largest average precision.
    AveragePrecision,
    /// Least Brier score.
    Brier,
}

impl SearchMeasure {
    /// The measure, turned so that less is better.
    fn loss(self, scores: &FoldScores) -> f64 {
        match self {
            SearchMeasure::LogLoss => scores.log_loss,
            SearchMeasure::RocAuc => -scores.roc_auc,
            SearchMeasure::AveragePrecision => -scores.average_precision,
            SearchMeasure::Brier => scores.brier,
        }
    }
}

/// How a search spends its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    /// Every candidate on all rows.
    #[default]
    Grid,
    /// All candidates on few rows, the better ones on more: each round keeps one in `factor` and
    /// gives it `factor` times the rows. Jamieson & Talwalkar (2016), AISTATS.
    Halving {
        /// 2 or more.
        factor: usize,
        /// Training rows of the first round, about.
        first_rows: usize,
    },
}

/// Settings of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// How time is spent.
    pub method: SearchMethod,
    /// What is compared.
    pub measure: SearchMeasure,
    /// Which rows the first rounds of halving see.
    pub seed: u64,
}

/// One candidate in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Place of the candidate among those given.
    pub candidate: usize,
    /// The round, from 0.
    pub round: usize,
    /// Share of the training rows that it saw.
    pub share: f64,
    /// Mean of the measure over folds, turned so that less is better.
    pub loss: f64,
    /// Standard deviation over folds.
    pub deviation: f64,
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// Place of the best candidate among those given.
    pub best: usize,
    /// Everything that was tried, in order.
    pub trials: Vec<Trial>,
}

impl Search {
    /// Compares candidates by cross-validation; of equal ones the first is the best.
    ///
    /// # Errors
    /// As [`ChurnModelSettings::cross_validate`]; `NotEnoughData` without candidates;
    /// `InvalidParameter` for a factor below 2 or no first rows.
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        &self,
        candidates: &[ChurnModelSettings],
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        groups: Option<&[u32]>,
        folds: &[Fold],
        progress: &Progress<'_>,
    ) -> Result<SearchResult> {
        if candidates.is_empty() {
            return Err(Error::not_enough_data("candidates", "at least one", 0));
        }
        for (k, candidate) in candidates.iter().enumerate() {
            candidate.check().map_err(|error| {
                Error::new(
                    error.kind(),
                    format!("candidates[{k}].{}", error.what()),
                    error.expected(),
                    error.got(),
                )
            })?;
        }
        check_rows(frame, target, weights, groups, folds)?;
        let shares = self.shares(candidates.len(), folds)?;
        let order = self.order(target.len(), groups);
        let mut alive: Vec<usize> = (0..candidates.len()).collect();
        let mut trials: Vec<Trial> = Vec::new();
        let total = alive_over(&shares, candidates.len(), self.factor()) * folds.len();
        let step = progress.step("model.search", total);
        for (round, share) in shares.iter().enumerate() {
            let mut losses = Vec::with_capacity(alive.len());
            for candidate in &alive {
                let mut values = Vec::with_capacity(folds.len());
                for (k, fold) in folds.iter().enumerate() {
                    let train: Vec<usize> = fold
                        .train
                        .iter()
                        .copied()
                        .filter(|row| order[*row] <= *share)
                        .collect();
                    let probabilities = candidates[*candidate]
                        .on_fold(
                            frame,
                            target,
                            weights,
                            groups,
                            fold,
                            &train,
                            &Progress::none(),
                        )
                        .map_err(|error| in_fold(k, &error))?;
                    let labels = pick(target, &fold.test);
                    let own = weights.map(|w| pick(w, &fold.test));
                    let scores = FoldScores::new(&labels, &probabilities, own.as_deref())
                        .map_err(|error| in_fold(k, &error))?;
                    values.push(self.measure.loss(&scores));
                    step.advance(1)?;
                }
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                trials.push(Trial {
                    candidate: *candidate,
                    round,
                    share: *share,
                    loss: mean,
                    deviation: if n > 1.0 {
                        (squares / (n - 1.0)).sqrt()
                    } else {
                        0.0
                    },
                });
                losses.push((mean, *candidate));
            }
            losses.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let keep = losses.len().div_ceil(self.factor());
            alive = losses
                .iter()
                .take(keep)
                .map(|(_, candidate)| *candidate)
                .collect();
        }
        Ok(SearchResult {
            best: alive[0],
            trials,
        })
    }

    fn factor(&self) -> usize {
        match self.method {
            SearchMethod::Grid => 1,
            SearchMethod::Halving { factor, .. } => factor,
        }
        .max(1)
    }

    /// Shares of the training rows, round by round; the last one sees all.
    fn shares(&self, candidates: usize, folds: &[Fold]) -> Result<Vec<f64>> {
        let SearchMethod::Halving { factor, first_rows } = self.method else {
            return Ok(vec![1.0]);
        };
        if factor < 2 || first_rows == 0 {
            return Err(Error::invalid_parameter(
                "search.method",
                "a factor of at least 2 and at least one row",
                format_args!("factor {factor}, {first_rows} rows"),
            ));
        }
        let rows = folds.iter().map(|fold| fold.train.len()).min().unwrap_or(0);
        let mut shares = vec![1.0];
        let (mut share, mut left) = (1.0, candidates);
        while left > 1 {
            share /= factor as f64;
            if share * (rows as f64) < first_rows as f64 {
                break;
            }
            shares.push(share);
            left = left.div_ceil(factor);
        }
        shares.reverse();
        Ok(shares)
    }

    /// A number from 0 to 1 for each row, the same for rows of one group.
    fn order(&self, rows: usize, groups: Option<&[u32]>) -> Vec<f64> {
        let number = |row: usize| {
            let group = groups.map_or(row as u64, |groups| u64::from(groups[row]));
            Random::new(self.seed, group).uniform()
        };
        (0..rows).map(number).collect()
    }
}

/// Candidates tried over all rounds.
fn alive_over(shares: &[f64], candidates: usize, factor: usize) -> usize {
    let (mut alive, mut sum) = (candidates, 0);
    for _ in shares {
        sum += alive;
        alive = alive.div_ceil(factor);
    }
    sum
}

/// All combinations of values for some settings, named by their path, e.g. `boosting.leaves`; the
/// rest is as in `base`.
///
/// # Errors
/// `InvalidParameter` for a path or a value that settings do not have, or more than 10,000
/// combinations.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{ChurnModelSettings, grid};
/// let axes = [
///     ("boosting.leaves".to_owned(), vec![4.into(), 8.into()]),
///     ("calibration".to_owned(), vec!["sigmoid".into(), "beta".into()]),
/// ];
/// let candidates = grid(&ChurnModelSettings::default(), &axes.into())?;
/// assert_eq!(candidates.len(), 4);
/// assert_eq!(candidates[3].boosting.leaves, 8);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn grid(
    base: &ChurnModelSettings,
    axes: &BTreeMap<String, Vec<Value>>,
) -> Result<Vec<ChurnModelSettings>> {
    let wrong = |what: &str, got: &dyn std::fmt::Display| {
        Error::invalid_parameter(format!("grid.{what}"), "settings of a model", got)
    };
    let whole = serde_json::to_value(base).map_err(|error| wrong("base", &error))?;
    let mut documents = vec![whole];
    for (path, values) in axes {
        let combined = documents.len().saturating_mul(values.len());
        if combined == 0 || combined > 10_000 {
            let expected = "1 to 10000 combinations";
            return Err(Error::invalid_parameter(
                format!("grid.{path}"),
                expected,
                combined,
            ));
        }
        let mut next = Vec::with_capacity(combined);
        for document in &documents {
            for value in values {
                let mut document = document.clone();
                let mut place = &mut document;
                for name in path.split('.') {
                    place = match place.as_object_mut() {
                        Some(fields) => fields.entry(name).or_insert(Value::Null),
                        None => return Err(wrong(path, &format_args!("nothing called {name:?}"))),
                    };
                }
                *place = value.clone();
                next.push(document);
            }
        }
        documents = next;
    }
    let read = |document| serde_json::from_value(document).map_err(|error| wrong("axes", &error));
    documents.into_iter().map(read).collect()
}

fn pick<T: Copy>(cells: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| cells[*row]).collect()
}

fn in_fold(fold: usize, error: &Error) -> Error {
    let placed = Error::new(
        error.kind(),
        format!("folds[{fold}].{}", error.what()),
        error.expected(),
        error.got(),
    );
    match error.row() {
        Some(row) => placed.at_row(row as usize),
        None => placed,
    }
}

fn check_rows(
    frame: &Frame<'_>,
    target: &[f64],
    weights: Option<&[f64]>,
    groups: Option<&[u32]>,
    folds: &[Fold],
) -> Result<()> {
    super::check::labelled(frame, target, weights, 1.0)?;
    if let Some(groups) = groups
        && groups.len() != target.len()
    {
        return Err(Error::length_mismatch("groups", target.len(), groups.len()));
    }
    if folds.is_empty() {
        return Err(Error::not_enough_data("folds", "at least one fold", 0));
    }
    for (k, fold) in folds.iter().enumerate() {
        if fold.train.is_empty() || fold.test.is_empty() {
            let expected = "rows to fit on and rows to judge on";
            return Err(Error::not_enough_data(format!("folds[{k}]"), expected, 0));
        }
        if let Some(row) = fold
            .train
            .iter()
            .chain(&fold.test)
            .find(|row| **row >= target.len())
        {
            let expected = format!("rows below {}", target.len());
            return Err(Error::invalid_parameter(
                format!("folds[{k}]"),
                expected,
                row,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::scoring::learned::splits::stratified_folds;
    use crate::scoring::learned::{Column, Learner};

    fn rows(n: usize) -> (Frame<'static>, Vec<f64>) {
        let mut random = Random::new(8, 0);
        let a: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let b: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let y = (0..n).map(|i| f64::from(u8::from(a[i] + random.normal() > 0.5)));
        let y = y.collect();
        let columns = [("a", a), ("b", b)].map(|(n, c)| (n.to_owned(), Column::Numeric(c.into())));
        (Frame::new(columns.to_vec()).unwrap(), y)
    }

    fn linear() -> ChurnModelSettings {
        ChurnModelSettings {
            learner: Learner::Logistic,
            folds: 3,
            ..ChurnModelSettings::default()
        }
    }

    #[test]
    fn folds_are_judged_by_models_that_have_not_seen_them() {
        let (frame, y) = rows(300);
        let folds = stratified_folds(&y, 4, 0).unwrap();
        let result = linear()
            .cross_validate(&frame, &y, None, None, &folds, &Progress::none())
            .unwrap();
        assert_eq!(result.folds.len(), 4);
        assert!(result.probabilities.iter().all(Option::is_some));
        let (auc, deviation) = result.summary(|s| s.roc_auc);
        assert!(
            auc > 0.7 && auc < 0.9 && deviation > 0.0,
            "{auc} {deviation}"
        );
        // The same as one fit by hand.
        let fold = &folds[2];
        let model = linear()
            .fit(
                &frame.take(&fold.train),
                &pick(&y, &fold.train),
                None,
                &Progress::none(),
            )
            .unwrap();
        let by_hand = model.predict(&frame.take(&fold.test)).unwrap();
        for (row, p) in fold.test.iter().zip(by_hand) {
            assert_eq!(result.probabilities[*row], Some(p));
        }
        let one_class = [Fold {
            train: (0..200).collect(),
            test: (0..300).filter(|row| y[*row] == 1.0).take(5).collect(),
        }];
        let error = linear()
            .cross_validate(&frame, &y, None, None, &one_class, &Progress::none())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        assert!(error.what().starts_with("folds[0]"), "{error}");
    }

    #[test]
    fn both_searches_prefer_settings_that_learn() {
        let (frame, y) = rows(900);
        let folds = stratified_folds(&y, 3, 0).unwrap();
        let axes = [(
            "logistic.l1".to_owned(),
            vec![1e6.into(), 1.0.into(), 1e5.into(), 1e4.into()],
        )];
        let candidates = grid(&linear(), &axes.into()).unwrap();
        let halving = SearchMethod::Halving {
            factor: 2,
            first_rows: 100,
        };
        for method in [SearchMethod::Grid, halving] {
            let search = Search {
                method,
                ..Search::default()
            };
            let found = search
                .run(
                    &candidates,
                    &frame,
                    &y,
                    None,
                    None,
                    &folds,
                    &Progress::none(),
                )
                .unwrap();
            assert_eq!(found.best, 1, "{found:?}");
            let rounds = found.trials.last().unwrap().round + 1;
            assert_eq!(rounds, if method == SearchMethod::Grid { 1 } else { 3 });
            assert_eq!(found.trials.last().unwrap().share, 1.0);
        }
        let wrong = [("logistic.penalty".to_owned(), vec![1.into()])];
        assert!(grid(&linear(), &wrong.into()).is_err());
    }
}
