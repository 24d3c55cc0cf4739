//! One customer at a time, without looking anything up by name.

use super::{ChurnModel, Fitted, log_odds};
use crate::error::{Error, Result};
use crate::scoring::learned::{Link, RowScorer};

/// Scores single rows: names were bound when it was made, nothing is allocated per row.
///
/// Gives the same probability as [`ChurnModel::predict`] to the last bits. One per thread
/// (`Clone`).
///
/// # Example
/// ```
/// # use churn_core::progress::Progress;
/// # use churn_core::scoring::learned::{ChurnModelSettings, Column, Frame};
/// # let silence: Vec<f64> = (0..300).map(|i| f64::from(i % 100)).collect();
/// # let churned: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i % 100 + (i * 31) % 40 > 70))).collect();
/// # let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
/// # let model = ChurnModelSettings::default().fit(&frame, &churned, None, &Progress::none())?;
/// let mut scorer = model.scorer(&["age", "days_since_last"])?;
/// let probability = scorer.predict(&[400.0, 90.0])?;
/// assert!(probability > 0.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelScorer<'m> {
    model: &'m ChurnModel,
    width: usize,
    /// Where each column of training stands in a row.
    places: Vec<usize>,
    /// Number of levels of each column, 0 for numbers.
    levels: Vec<usize>,
    members: Vec<MemberScorer<'m>>,
    cells: Vec<f64>,
    translated: Vec<f64>,
    terms: Vec<f64>,
}

#[derive(Debug, Clone)]
enum MemberScorer<'m> {
    /// Logistic regression and support vector machine: cells as they are.
    Plain,
    /// For each categorical column (by place in the schema) the number of each level.
    Trees(Box<RowScorer<'m>>, Vec<(usize, Vec<f64>)>, Link),
}

impl ChurnModel {
    /// A scorer of rows whose values stand in the order of `columns`.
    ///
    /// # Errors
    /// `UnknownName` for a column of training that is not among them.
    pub fn scorer<S: AsRef<str>>(&self, columns: &[S]) -> Result<ModelScorer<'_>> {
        let find = |name: &str| {
            let place = columns.iter().position(|column| column.as_ref() == name);
            place.ok_or_else(|| Error::unknown_name("column", name, columns))
        };
        let names: Vec<&str> = self.names().collect();
        let members = self.members.iter().map(|member| match &member.fitted {
            Fitted::Logistic(_) | Fitted::Svm(_) => Ok(MemberScorer::Plain),
            Fitted::Trees(trees) => {
                let scorer = trees.row_scorer(&names)?;
                let mut tables = Vec::new();
                for (place, known) in self.schema.iter().enumerate() {
                    if let Some(levels) = &known.levels {
                        let numbers = levels.iter().map(|level| scorer.level(&known.name, level));
                        tables.push((place, numbers.collect::<Result<_>>()?));
                    }
                }
                Ok(MemberScorer::Trees(Box::new(scorer), tables, trees.link()))
            }
        });
        Ok(ModelScorer {
            model: self,
            width: columns.len(),
            places: names.iter().map(|name| find(name)).collect::<Result<_>>()?,
            levels: self
                .schema
                .iter()
                .map(|known| known.levels.as_ref().map_or(0, Vec::len))
                .collect(),
            members: members.collect::<Result<_>>()?,
            cells: vec![0.0; names.len()],
            translated: vec![0.0; names.len()],
            terms: Vec::new(),
        })
    }
}

impl ModelScorer<'_> {
    /// The number that stands for a level in a row: its place among the levels of training; NaN,
    /// which is missing, for a level that training has not seen.
    ///
    /// # Errors
    /// `UnknownName` for a column that is not a categorical one of the model.
    pub fn level(&self, column: &str, level: &str) -> Result<f64> {
        match self.model.levels(column)? {
            Some(levels) => {
                let place = levels.binary_search_by(|known| known.as_str().cmp(level));
                Ok(place.map_or(f64::NAN, |place| place as f64))
            }
            None => Err(Error::unknown_name(
                "categorical column",
                column,
                self.model.names(),
            )),
        }
    }

    /// The churn probability of a row; NaN = missing, levels as [`level`](Self::level) says.
    ///
    /// # Errors
    /// `LengthMismatch` for a row of another length; `InvalidValue` for an infinite number or a
    /// level that does not exist, naming its place.
    pub fn predict(&mut self, row: &[f64]) -> Result<f64> {
        if row.len() != self.width {
            return Err(Error::length_mismatch("row", self.width, row.len()));
        }
        for (j, place) in self.places.iter().enumerate() {
            let cell = row[*place];
            let levels = self.levels[j] as f64;
            let is_categorical = self.model.schema[j].levels.is_some();
            let is_level = cell >= 0.0 && cell < levels && cell.fract() == 0.0;
            if cell.is_infinite() || is_categorical && !cell.is_nan() && !is_level {
                let expected = if is_categorical {
                    format!("a level below {levels} or NaN")
                } else {
                    "a finite number or NaN".to_owned()
                };
                let name = format!("row.{}", self.model.schema[j].name);
                return Err(Error::invalid_value(name, *place, expected, cell));
            }
            self.cells[j] = cell;
        }
        let mut margin = self.model.intercept;
        for (member, scorer) in self.model.members.iter().zip(&mut self.members) {
            let own = match (&member.fitted, scorer) {
                (Fitted::Logistic(model), _) => model.row_margin(&self.cells),
                (Fitted::Svm(model), _) => model.row_margin(&self.cells, &mut self.terms),
                (Fitted::Trees(_), MemberScorer::Trees(scorer, tables, link)) => {
                    self.translated.copy_from_slice(&self.cells);
                    for (place, numbers) in tables.iter() {
                        let cell = self.cells[*place];
                        if !cell.is_nan() {
                            self.translated[*place] = numbers[cell as usize];
                        }
                    }
                    let margin = scorer.margin(&self.translated)?;
                    if *link == Link::Probability {
                        log_odds(margin)
                    } else {
                        margin
                    }
                }
                (Fitted::Trees(_), MemberScorer::Plain) => 0.0,
            };
            margin += member.weight * own;
        }
        Ok(self.model.probability(margin))
    }
}
