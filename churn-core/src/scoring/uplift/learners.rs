//! The learners: one treatment against the control.

use super::base::FittedBase;
use super::forest::{FittedUpliftForest, Residuals};
use super::nuisance::{Nuisance, take_rows};
use super::{Method, Uplift, UpliftData};
use crate::error::Result;
use crate::progress::Progress;
use crate::scoring::learned::{Column, Frame};

/// A fitted learner of one treatment.
// A model holds a handful of learners: their size does not matter.
#[expect(clippy::large_enum_variant, reason = "few of them live at a time")]
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Learner {
    /// One model; the treatment is part of its columns.
    Single(FittedBase),
    /// Treated minus control.
    Two(FittedBase, FittedBase),
    /// Effects learned from treated and from control rows; the latter weigh by the propensity.
    Crossed {
        treated: FittedBase,
        control: FittedBase,
        propensity: FittedBase,
    },
    /// The effect itself.
    Effect(FittedBase),
    Forest(Box<FittedUpliftForest>),
}

/// Prefix of the columns that count for the treated only.
const WHEN_TREATED: &str = "treated × ";

impl Learner {
    pub(super) fn fit(
        settings: &Uplift,
        data: &UpliftData<'_>,
        arm: usize,
        nuisance: &Nuisance,
        progress: &Progress<'_>,
    ) -> Result<Learner> {
        let in_arm = |wanted: usize| -> Vec<usize> {
            let rows = 0..data.treatment.len();
            rows.filter(|i| data.treatment[*i] as usize == wanted)
                .collect()
        };
        let base = &settings.base;
        let outcome_model = |rows: &[usize]| {
            base.fit(
                &data.frame.take(rows),
                &take_rows(data.outcome, 1, rows),
                None,
                nuisance.binary,
                progress,
            )
        };
        // Rows of the two arms, in the order of the data.
        let both: Vec<usize> = (0..data.treatment.len())
            .filter(|i| [0, arm].contains(&(data.treatment[*i] as usize)))
            .collect();
        let is_treated = |row: &usize| data.treatment[*row] as usize == arm;
        let treated: Vec<bool> = both.iter().map(is_treated).collect();
        let outcome = take_rows(data.outcome, 1, &both);
        let e = |row: &usize| nuisance.against_control(*row, arm);
        // Regression of a pseudo-outcome on the rows of both arms.
        let effect_model = |target: &[f64], weights: Option<&[f64]>| {
            base.fit(&data.frame.take(&both), target, weights, false, progress)
        };
        // m(x) of the two arms together.
        let expected = || -> Result<Vec<f64>> {
            let usable: Vec<bool> = (0..data.treatment.len())
                .map(|i| [0, arm].contains(&(data.treatment[i] as usize)))
                .collect();
            let all =
                nuisance.cross_fit(base, data, data.outcome, &usable, nuisance.binary, progress)?;
            Ok(take_rows(&all, 1, &both))
        };
        Ok(match settings.method {
            Method::S => {
                let frame = data.frame.take(&both);
                let wide = with_treatment(&frame, &treated)?;
                Learner::Single(base.fit(&wide, &outcome, None, nuisance.binary, progress)?)
            }
            Method::T => Learner::Two(outcome_model(&in_arm(arm))?, outcome_model(&in_arm(0))?),
            Method::X => {
                let control_mean = nuisance.arm_outcome(settings, data, 0, progress)?;
                let treated_mean = nuisance.arm_outcome(settings, data, arm, progress)?;
                let effects = |rows: &[usize], of: &dyn Fn(usize) -> f64| {
                    let target: Vec<f64> = rows.iter().map(|row| of(*row)).collect();
                    base.fit(&data.frame.take(rows), &target, None, false, progress)
                };
                let of_treated = |row: usize| data.outcome[row] - control_mean[row];
                let of_control = |row: usize| treated_mean[row] - data.outcome[row];
                let weights: Vec<f64> = both.iter().map(e).collect();
                Learner::Crossed {
                    treated: effects(&in_arm(arm), &of_treated)?,
                    control: effects(&in_arm(0), &of_control)?,
                    propensity: effect_model(&weights, None)?,
                }
            }
            Method::Dr => {
                let mut outcomes = vec![0.0; data.frame.rows() * 2];
                for (place, of) in [0, arm].into_iter().enumerate() {
                    let values = nuisance.arm_outcome(settings, data, of, progress)?;
                    for (row, value) in values.into_iter().enumerate() {
                        outcomes[row * 2 + place] = value;
                    }
                }
                let score = |(row, treated): (&usize, &bool)| {
                    let (of_control, of_treated) = (outcomes[row * 2], outcomes[row * 2 + 1]);
                    let correction = match treated {
                        true => (data.outcome[*row] - of_treated) / e(row),
                        false => -(data.outcome[*row] - of_control) / (1.0 - e(row)),
                    };
                    of_treated - of_control + correction
                };
                let target: Vec<f64> = both.iter().zip(&treated).map(score).collect();
                Learner::Effect(effect_model(&target, None)?)
            }
            Method::R => {
                let expected = expected()?;
                let residual: Vec<f64> = both
                    .iter()
                    .zip(&treated)
                    .map(|(row, t)| f64::from(u8::from(*t)) - e(row))
                    .collect();
                let target = outcome.iter().zip(&expected).zip(&residual);
                let target: Vec<f64> = target.map(|((y, m), w)| (y - m) / w).collect();
                let weights: Vec<f64> = residual.iter().map(|w| w * w).collect();
                Learner::Effect(effect_model(&target, Some(&weights))?)
            }
            Method::TransformedOutcome => {
                let score = |((row, treated), y): ((&usize, &bool), &f64)| match treated {
                    true => y / e(row),
                    false => -y / (1.0 - e(row)),
                };
                let target: Vec<f64> = both.iter().zip(&treated).zip(&outcome).map(score).collect();
                Learner::Effect(effect_model(&target, None)?)
            }
            Method::Forest => {
                let propensity: Vec<f64> = both.iter().map(e).collect();
                let rows = Residuals::new(&treated, &outcome, &expected()?, &propensity);
                let frame = data.frame.take(&both);
                Learner::Forest(Box::new(settings.forest.fit(&frame, &rows, progress)?))
            }
        })
    }

    /// Effects, and their standard errors where the method has them.
    pub(super) fn predict(&self, frame: &Frame<'_>) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
        let difference = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let effect = match self {
            Learner::Single(model) => {
                let with = |treated: bool| {
                    model.predict(&with_treatment(frame, &vec![treated; frame.rows()])?)
                };
                difference(with(true)?, with(false)?)
            }
            Learner::Two(treated, control) => {
                difference(treated.predict(frame)?, control.predict(frame)?)
            }
            Learner::Crossed {
                treated,
                control,
                propensity,
            } => {
                let e = propensity.predict(frame)?;
                let pairs = treated
                    .predict(frame)?
                    .into_iter()
                    .zip(control.predict(frame)?);
                pairs
                    .zip(e)
                    .map(|((treated, control), e)| {
                        let e = e.clamp(0.0, 1.0);
                        e * control + (1.0 - e) * treated
                    })
                    .collect()
            }
            Learner::Effect(model) => model.predict(frame)?,
            Learner::Forest(forest) => {
                let (effect, error) = forest.predict(frame)?;
                return Ok((effect, Some(error)));
            }
        };
        Ok((effect, None))
    }
}

/// The columns, and each of them again as it counts for the treated alone, so that linear models
/// can tell effects apart as well; trees use what they need.
fn with_treatment(frame: &Frame<'_>, treated: &[bool]) -> Result<Frame<'static>> {
    let mut columns = Vec::with_capacity(2 * frame.names().len() + 1);
    for (name, column) in frame.names().iter().zip(frame.columns()) {
        let (plain, crossed): (Column<'static>, Column<'static>) = match column {
            Column::Numeric(values) => {
                let cells = values.iter().zip(treated);
                let crossed: Vec<f64> = cells.map(|(v, t)| if *t { *v } else { 0.0 }).collect();
                (
                    Column::Numeric(values.to_vec().into()),
                    Column::Numeric(crossed.into()),
                )
            }
            Column::Categorical { codes, levels } => {
                let mut wider = levels.to_vec();
                let mut control = "control".to_owned();
                while wider.contains(&control) {
                    control.push('_');
                }
                wider.push(control);
                let none = levels.len() as u32;
                let cells = codes.iter().zip(treated);
                let crossed: Vec<u32> = cells.map(|(c, t)| if *t { *c } else { none }).collect();
                (
                    Column::Categorical {
                        codes: codes.to_vec().into(),
                        levels: levels.to_vec().into(),
                    },
                    Column::Categorical {
                        codes: crossed.into(),
                        levels: wider.into(),
                    },
                )
            }
        };
        columns.push((name.clone(), plain));
        columns.push((format!("{WHEN_TREATED}{name}"), crossed));
    }
    let treated: Vec<f64> = treated.iter().map(|t| f64::from(u8::from(*t))).collect();
    columns.push((
        WHEN_TREATED.trim_end().to_owned(),
        Column::Numeric(treated.into()),
    ));
    Frame::new(columns)
}
