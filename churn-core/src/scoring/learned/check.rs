//! Checks of what every learner is given.

use super::Frame;
use crate::error::{Error, Result};

/// Checks labels and weights against a frame and gives one weight per row, the weight of churners
/// multiplied by `positive_weight`.
pub(crate) fn labelled(
    frame: &Frame<'_>,
    target: &[f64],
    weights: Option<&[f64]>,
    positive_weight: f64,
) -> Result<Vec<f64>> {
    let rows = frame.rows();
    if target.len() != rows {
        return Err(Error::length_mismatch("target", rows, target.len()));
    }
    if let Some(row) = target.iter().position(|y| *y != 0.0 && *y != 1.0) {
        return Err(Error::invalid_value("target", row, "0 or 1", target[row]));
    }
    if let Some(weights) = weights {
        if weights.len() != rows {
            return Err(Error::length_mismatch("weights", rows, weights.len()));
        }
        if let Some(row) = weights
            .iter()
            .position(|w| !(0.0..f64::INFINITY).contains(w))
        {
            let expected = "a finite weight, 0 or above";
            return Err(Error::invalid_value("weights", row, expected, weights[row]));
        }
    }
    let weight = |row: usize| {
        let own = weights.map_or(1.0, |weights| weights[row]);
        if target[row] == 1.0 {
            own * positive_weight
        } else {
            own
        }
    };
    let weights: Vec<f64> = (0..rows).map(weight).collect();
    for class in [0.0, 1.0] {
        if !(0..rows).any(|row| target[row] == class && weights[row] > 0.0) {
            return Err(Error::not_enough_data(
                "target",
                "rows with label 0 and rows with label 1",
                format_args!("no row with label {class} among {rows}"),
            ));
        }
    }
    Ok(weights)
}
