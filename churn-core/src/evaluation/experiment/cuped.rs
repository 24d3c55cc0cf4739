//! CUPED: what was known before the experiment takes noise out of its outcome.

use super::Arms;
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;

/// Outcome with the part that covariates explain taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjusted {
    /// One value per unit; same mean effect, less variance.
    pub outcome: Vec<f64>,
    /// The coefficient of each covariate.
    pub theta: Vec<f64>,
    /// Share of the variance within arms that is gone, from 0 to 1.
    pub variance_reduction: f64,
}

/// Takes out of an outcome what covariates from *before* the experiment explain (Deng, Xu, Kohavi
/// & Walker 2013, WSDM).
///
/// θ comes from deviations within arms, so that the effect itself does not enter it: the difference
/// of adjusted means is the treatment coefficient of least squares on arm and covariates. A
/// covariate that the treatment can move (anything after assignment) biases the effect.
///
/// Shape: `covariates` are k columns of n values.
///
/// # Errors
/// `LengthMismatch` and `InvalidValue` for columns that do not fit or are not finite;
/// `NotEnoughData` for covariates that are constant within arms or depend on one another, naming
/// the first.
pub fn cuped(arms: &Arms, outcome: &[f64], covariates: &[&[f64]]) -> Result<Adjusted> {
    arms.check_column("experiment.outcome", outcome)?;
    let k = covariates.len();
    for (j, column) in covariates.iter().enumerate() {
        arms.check_column(&format!("experiment.covariates[{j}]"), column)?;
    }
    let centred = |values: &[f64]| -> Vec<f64> {
        let mut sums = vec![0.0; arms.names().len()];
        for (code, value) in arms.codes().iter().zip(values) {
            sums[*code as usize] += value;
        }
        let pairs = sums.iter().zip(arms.counts());
        let means: Vec<f64> = pairs.map(|(sum, count)| sum / *count as f64).collect();
        let cells = arms.codes().iter().zip(values);
        cells.map(|(code, v)| v - means[*code as usize]).collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let y = centred(outcome);
    let x: Vec<Vec<f64>> = covariates.iter().map(|column| centred(column)).collect();
    let mut gram = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..k {
            gram[i * k + j] = dot(&x[i], &x[j]);
        }
    }
    let mut theta: Vec<f64> = x.iter().map(|column| dot(column, &y)).collect();
    // The first covariate at which the factor breaks off is the one that brings nothing new.
    for size in 1..=k {
        let corner: Vec<f64> = (0..size * size)
            .map(|i| gram[i / size * k + i % size])
            .collect();
        let factor = Cholesky::new(&corner, size).ok_or_else(|| {
            Error::not_enough_data(
                format!("experiment.covariates[{}]", size - 1),
                "a covariate that varies within arms and is not made of the others",
                "none of its own variation",
            )
        })?;
        if size == k {
            factor.solve(&mut theta);
        }
    }
    let means: Vec<f64> = covariates
        .iter()
        .map(|column| column.iter().sum::<f64>() / column.len() as f64)
        .collect();
    let adjusted = (0..outcome.len()).map(|row| {
        let explained = (0..k).map(|j| theta[j] * (covariates[j][row] - means[j]));
        outcome[row] - explained.sum::<f64>()
    });
    let adjusted: Vec<f64> = adjusted.collect();
    let (before, rest) = (dot(&y, &y), centred(&adjusted));
    Ok(Adjusted {
        variance_reduction: if before > 0.0 {
            (1.0 - dot(&rest, &rest) / before).clamp(0.0, 1.0)
        } else {
            0.0
        },
        outcome: adjusted,
        theta,
    })
}
