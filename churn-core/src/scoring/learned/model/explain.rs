//! Why a model says what it says, for one customer and for all.
//!
//! Contributions are exact: base points and the points of all columns add up to the log-odds
//! (before an isotonic or beta curve), in points of which 20 double the odds, as in a scorecard.
//! They say what the model goes by, not what would happen if a column were changed.

use super::ChurnModel;
use crate::error::{Error, ErrorKind, Result};
use crate::features::FeatureTable;
use crate::math::random::Random;
use crate::metrics;
use crate::progress::Progress;
use crate::scoring::learned::splits::shuffle;
use crate::scoring::learned::{Column, Contributions, Effect, Frame, Logistic};
use crate::scoring::{Scores, learned_texts};
use crate::text::Language;
use crate::time::Horizon;

/// Points per unit of log-odds: 20 points double the odds.
pub(super) const POINTS: f64 = 20.0 / std::f64::consts::LN_2;

/// Probabilities of the rows of a frame with what each column contributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Names of the columns, in the order of training.
    pub names: Vec<String>,
    /// Points that every row begins with.
    pub base_points: f64,
    /// Points of each column for each row, column-major: column *j* of row *i* at `j * rows + i`.
    pub points: Vec<f64>,
    /// Churn probability of each row.
    pub probabilities: Vec<f64>,
    /// The cells behind, as text; empty where missing. Column-major.
    cells: Vec<String>,
}

/// One reason for one row's probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameReason<'e> {
    /// The column behind it.
    pub column: &'e str,
    /// How far it moved the score, in points: positive raises the churn probability.
    pub points: f64,
    /// The cell as text; `None` where it is missing.
    pub value: Option<&'e str>,
}

impl Explanation {
    /// The columns that moved a row's probability most, at most `limit`, largest first; columns
    /// that moved nothing are left out.
    ///
    /// # Panics
    /// If `row` is not a row of the frame.
    pub fn reasons(&self, row: usize, limit: usize) -> Vec<FrameReason<'_>> {
        let rows = self.probabilities.len();
        assert!(row < rows, "row {row} of {rows}");
        let mut reasons: Vec<FrameReason<'_>> = (0..self.names.len())
            .map(|j| FrameReason {
                column: &self.names[j],
                points: self.points[j * rows + row],
                value: Some(self.cells[j * rows + row].as_str()).filter(|text| !text.is_empty()),
            })
            .filter(|reason| reason.points != 0.0)
            .collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        reasons.truncate(limit);
        reasons
    }

    /// The same reasons, each as one sentence such as `Contract Month-to-month: +14 points`.
    ///
    /// # Panics
    /// If `row` is not a row of the frame.
    pub fn sentences(&self, row: usize, limit: usize, language: Language) -> Vec<String> {
        let sentence = |reason: &FrameReason<'_>| {
            let sign = if reason.points < 0.0 { "-" } else { "+" };
            let points = (reason.points.abs() * 10.0).round() / 10.0;
            let (column, value) = (reason.column, reason.value);
            match language {
                Language::English => {
                    let subject =
                        value.map_or(format!("{column} not known"), |v| format!("{column} {v}"));
                    format!("{subject}: {sign}{points} points")
                }
                Language::Chinese => {
                    let subject =
                        value.map_or(format!("{column} 未知"), |v| format!("{column} {v}"));
                    format!("{subject}：{sign}{points} 分")
                }
            }
        };
        self.reasons(row, limit).iter().map(sentence).collect()
    }
}

/// How the mean prediction changes with one column, all others as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependence {
    /// Values of a numeric column; empty for a categorical one.
    pub values: Vec<f64>,
    /// Levels of a categorical column; empty for a numeric one.
    pub levels: Vec<String>,
    /// Mean churn probability if every row had the value or level.
    pub probabilities: Vec<f64>,
}

/// What goes along with churn, each factor with an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Drivers {
    /// The effects, the intercept last.
    pub effects: Vec<Effect>,
    /// The ridge that was needed: 0 = plain maximum likelihood, whose intervals are textbook ones.
    pub l2: f64,
}

impl ChurnModel {
    /// What each column adds to the log-odds of each row, before an isotonic or beta curve.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn contributions(&self, frame: &Frame<'_>) -> Result<Contributions> {
        self.check_frame(frame)?;
        let mut base = self.intercept;
        let mut sums = vec![0.0; frame.rows() * self.schema.len()];
        for member in &self.members {
            let parts = member.fitted.contributions(frame)?;
            base += member.weight * parts.base();
            for (sum, part) in sums.iter_mut().zip(parts.values()) {
                *sum += member.weight * part;
            }
        }
        let names = self.names().map(str::to_owned).collect();
        Contributions::new(base, names, frame.rows(), sums)
    }

    /// The same in points, column-major, and the base points.
    fn points(&self, frame: &Frame<'_>) -> Result<(f64, Vec<f64>)> {
        let parts = self.contributions(frame)?;
        let points = parts.values().iter().map(|part| part * POINTS);
        Ok((parts.base() * POINTS, points.collect()))
    }

    /// Probabilities and contributions of the rows of a frame.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn explain(&self, frame: &Frame<'_>) -> Result<Explanation> {
        let (base_points, points) = self.points(frame)?;
        let mut cells = Vec::with_capacity(points.len());
        for known in &self.schema {
            match frame.column(&known.name)? {
                Column::Numeric(values) => cells.extend(values.iter().map(|value| {
                    if value.is_nan() {
                        String::new()
                    } else {
                        shown(*value)
                    }
                })),
                Column::Categorical { codes, levels } => cells.extend(
                    codes
                        .iter()
                        .map(|code| levels.get(*code as usize).cloned().unwrap_or_default()),
                ),
            }
        }
        Ok(Explanation {
            names: self.names().map(str::to_owned).collect(),
            base_points,
            points,
            probabilities: self.predict(frame)?,
            cells,
        })
    }

    /// Scores of a feature table, with contributions in points and words, as every scorer of the
    /// library gives them.
    ///
    /// The horizon is that of the definition that the model was fitted with; for a model of a
    /// caller's own labels it is 90 days unless told otherwise by
    /// [`score_with_horizon`](Self::score_with_horizon).
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn score(&self, table: &FeatureTable) -> Result<Scores> {
        let horizon = self
            .churn
            .as_ref()
            .map_or(Horizon::DAYS_90, |churn| churn.horizon_days);
        self.score_with_horizon(table, horizon)
    }

    /// The same for a stated horizon.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn score_with_horizon(&self, table: &FeatureTable, horizon: Horizon) -> Result<Scores> {
        let frame = Frame::from_table(table)?;
        let (base_points, points) = self.points(&frame)?;
        let mut values = Vec::with_capacity(points.len());
        for name in self.names() {
            values.extend_from_slice(table.column(name)?);
        }
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let texts = learned_texts(&names);
        let probabilities = self.predict(&frame)?;
        let customers = table.customers().clone();
        Scores::new(
            customers,
            table.as_of(),
            horizon,
            probabilities,
            names,
            points,
        )?
        .explained(base_points, texts, values)
    }

    /// Mean absolute contribution of each column over the rows of a frame, in points, in the order
    /// of [`names`](Self::names).
    ///
    /// # Errors
    /// As [`predict`](Self::predict); `NotEnoughData` for a frame without rows.
    pub fn importance(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        some_rows(frame)?;
        let parts = self.contributions(frame)?;
        Ok(parts
            .mean_absolute()
            .iter()
            .map(|part| part * POINTS)
            .collect())
    }

    /// How much the log loss rises if one column is shuffled among the rows, per column: what the
    /// model loses without it. Mean of `repeats` shuffles.
    ///
    /// Use rows that the model has not been fitted on. Columns that say the same share their
    /// importance. Breiman (2001), Machine Learning 45(1).
    ///
    /// # Errors
    /// As [`predict`](Self::predict); those of [`metrics::log_loss`]; `InvalidParameter` for 0
    /// repeats; `Cancelled`.
    pub fn permutation_importance(
        &self,
        frame: &Frame<'_>,
        target: &[f64],
        weights: Option<&[f64]>,
        repeats: usize,
        seed: u64,
        progress: &Progress<'_>,
    ) -> Result<Vec<f64>> {
        if repeats == 0 {
            return Err(Error::invalid_parameter("repeats", "at least one", repeats));
        }
        let before = metrics::log_loss(target, &self.predict(frame)?, weights)?;
        let step = progress.step("model.permutations", self.schema.len() * repeats);
        let mut rises = Vec::with_capacity(self.schema.len());
        for (j, known) in self.schema.iter().enumerate() {
            let mut rise = 0.0;
            for repeat in 0..repeats {
                let mut random = Random::new(seed, (j * repeats + repeat) as u64);
                let mut order: Vec<usize> = (0..frame.rows()).collect();
                shuffle(&mut order, &mut random);
                let turned = frame.replace(&known.name, |column| column.take(&order))?;
                rise += metrics::log_loss(target, &self.predict(&turned)?, weights)? - before;
                step.advance(1)?;
            }
            rises.push(rise / repeats as f64);
        }
        Ok(rises)
    }

    /// Mean prediction over the rows of a frame if one column had this or that value: each level
    /// that training has seen, or up to `points` values at even steps of the column's distribution.
    ///
    /// Friedman (2001), Annals of Statistics 29(5). Where columns go together it asks about
    /// customers who do not exist.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); `NotEnoughData` for a frame without rows or a column without
    /// values; `InvalidParameter` for fewer than 2 points.
    pub fn partial_dependence(
        &self,
        frame: &Frame<'_>,
        column: &str,
        points: usize,
    ) -> Result<Dependence> {
        let rows = some_rows(frame)?;
        if !(2..=1_000).contains(&points) {
            return Err(Error::invalid_parameter(
                "points",
                "2 to 1000 points",
                points,
            ));
        }
        let mut dependence = Dependence {
            values: Vec::new(),
            levels: Vec::new(),
            probabilities: Vec::new(),
        };
        let mean = |changed: &Frame<'_>| -> Result<f64> {
            let margins = self.margins(changed)?;
            let sum: f64 = margins.iter().map(|margin| self.probability(*margin)).sum();
            Ok(sum / rows as f64)
        };
        match self.levels(column)? {
            Some(levels) => {
                for level in levels {
                    let changed = frame.replace(column, |_| Column::Categorical {
                        codes: vec![0; rows].into(),
                        levels: vec![level.clone()].into(),
                    })?;
                    dependence.probabilities.push(mean(&changed)?);
                }
                dependence.levels = levels.to_vec();
            }
            None => {
                let Column::Numeric(values) = frame.column(column)? else {
                    return Err(Error::invalid_parameter(column, "numbers", "levels"));
                };
                let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let Some(last) = sorted.len().checked_sub(1) else {
                    return Err(Error::not_enough_data(column, "at least one value", 0));
                };
                let mut at: Vec<f64> = (0..points)
                    .map(|k| sorted[k * last / (points - 1)])
                    .collect();
                at.dedup();
                for value in &at {
                    let changed =
                        frame.replace(column, |_| Column::Numeric(vec![*value; rows].into()))?;
                    dependence.probabilities.push(mean(&changed)?);
                }
                dependence.values = at;
            }
        }
        Ok(dependence)
    }
}

/// What drives retention here: the effect of each factor on the odds of churn, others equal, with
/// an interval, from a logistic regression of all columns.
///
/// `groups` names the customer of each row where customers have several; intervals then allow for
/// it. Without a ridge unless columns determine each other or separate the labels; which ridge was
/// needed stands in the answer. What goes along with churn need not cause it.
///
/// # Errors
/// As [`Logistic::fit_clustered`]; `InvalidParameter` for a level outside (0, 1).
pub fn drivers(
    frame: &Frame<'_>,
    target: &[f64],
    weights: Option<&[f64]>,
    groups: Option<&[u32]>,
    level: f64,
    progress: &Progress<'_>,
) -> Result<Drivers> {
    let mut last = None;
    for l2 in [0.0, 1.0] {
        let settings = Logistic {
            l2,
            reference_levels: true,
            ..Logistic::default()
        };
        match settings.fit_clustered(frame, target, weights, groups, progress) {
            Ok(model) => {
                return Ok(Drivers {
                    effects: model.effects(level)?,
                    l2,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotConverged => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::not_converged("drivers", "a fit", "none")))
}

fn some_rows(frame: &Frame<'_>) -> Result<usize> {
    match frame.rows() {
        0 => Err(Error::not_enough_data("frame", "at least one row", 0)),
        rows => Ok(rows),
    }
}

/// A number with up to two decimals, whole from 10 on, cut and never rounded up.
fn shown(value: f64) -> String {
    crate::scoring::reason_number(value)
}
