//! Does the ranking put those with the larger effect first? TOC and RATE.
//!
//! Source: Yadlowsky, Fleming, Shah, Brunskill & Wager (2025), Journal of the American Statistical
//! Association 120. TOC(q) = mean effect of the first share q − mean effect of all.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which shares count how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateWeighting {
    /// All shares alike (AUTOC): sensitive to a small group with a large effect.
    Autoc,
    /// In proportion to the share: sensitive to effects spread over many.
    Qini,
}

/// One unbiased score per unit for its effect in an experiment with known propensities:
/// Y (W − e) / (e (1 − e)).
///
/// # Errors
/// `LengthMismatch` for columns of different lengths; `InvalidValue`, naming the row, for a
/// propensity not strictly between 0 and 1 or an outcome that is not finite.
pub fn inverse_propensity_scores(
    treated: &[bool],
    outcome: &[f64],
    propensity: &[f64],
) -> Result<Vec<f64>> {
    for (what, len) in [("outcome", outcome.len()), ("propensity", propensity.len())] {
        if len != treated.len() {
            return Err(Error::length_mismatch(
                format!("uplift.{what}"),
                treated.len(),
                len,
            ));
        }
    }
    let rows = treated.iter().zip(outcome).zip(propensity).enumerate();
    rows.map(|(row, ((treated, y), e))| {
        if !(*e > 0.0 && *e < 1.0) {
            return Err(Error::invalid_value(
                "uplift.propensity",
                row,
                "a probability strictly between 0 and 1",
                e,
            ));
        }
        if !y.is_finite() {
            return Err(Error::invalid_value(
                "uplift.outcome",
                row,
                "a finite number",
                y,
            ));
        }
        Ok(if *treated { y / e } else { -y / (1.0 - e) })
    })
    .collect()
}

/// Share of units and TOC at every distinct score, from the highest down.
///
/// `effect` holds one (noisy, unbiased) effect score per unit, from
/// [`inverse_propensity_scores`] or a doubly robust model.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a score that is NaN or an effect that is
/// not finite; `NotEnoughData` without units.
pub fn toc_curve(score: &[f64], effect: &[f64]) -> Result<Vec<(f64, f64)>> {
    let n = score.len() as f64;
    let blocks = blocks(score, effect)?;
    let overall = blocks.iter().map(|block| block.1).sum::<f64>() / n;
    let (mut units, mut sum) = (0.0, 0.0);
    let points = blocks.iter().map(|(size, total)| {
        units += size;
        sum += total;
        (units / n, sum / units - overall)
    });
    Ok(points.collect())
}

/// The weighted area under the TOC: mean over ranks i of TOC(i/n), times i/n for
/// [`RateWeighting::Qini`]. 0 = the ranking tells nothing.
///
/// Within a tie the effects count with their mean, which is the average over all orders of the tie.
///
/// # Errors
/// As [`toc_curve`].
///
/// # Example
/// ```
/// use churn_core::metrics::uplift::{RateWeighting, rate};
/// let good = rate(&[3.0, 2.0, 1.0], &[5.0, 1.0, 0.0], RateWeighting::Autoc)?;
/// let bad = rate(&[1.0, 2.0, 3.0], &[5.0, 1.0, 0.0], RateWeighting::Autoc)?;
/// assert!(good > 0.0 && bad < 0.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn rate(score: &[f64], effect: &[f64], weighting: RateWeighting) -> Result<f64> {
    let n = score.len() as f64;
    let blocks = blocks(score, effect)?;
    let overall = blocks.iter().map(|block| block.1).sum::<f64>() / n;
    let (mut rank, mut sum, mut total) = (0.0, 0.0, 0.0);
    for (size, block) in blocks {
        let mean = block / size;
        for _ in 0..size as usize {
            rank += 1.0;
            sum += mean;
            let toc = sum / rank - overall;
            total += match weighting {
                RateWeighting::Autoc => toc,
                RateWeighting::Qini => toc * rank / n,
            };
        }
    }
    Ok(total / n)
}

/// Number of units and sum of effects of each distinct score, from the highest down.
fn blocks(score: &[f64], effect: &[f64]) -> Result<Vec<(f64, f64)>> {
    if effect.len() != score.len() {
        return Err(Error::length_mismatch(
            "uplift.effect",
            score.len(),
            effect.len(),
        ));
    }
    if score.is_empty() {
        return Err(Error::not_enough_data(
            "uplift.score",
            "at least one unit",
            0,
        ));
    }
    for (row, (s, e)) in score.iter().zip(effect).enumerate() {
        if s.is_nan() {
            return Err(Error::invalid_value("uplift.score", row, "a number", "NaN"));
        }
        if !e.is_finite() {
            return Err(Error::invalid_value(
                "uplift.effect",
                row,
                "a finite number",
                e,
            ));
        }
    }
    let mut rows: Vec<(f64, f64)> = score
        .iter()
        .map(|s| s + 0.0)
        .zip(effect.iter().copied())
        .collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let ties = rows.chunk_by(|a, b| a.0 == b.0);
    Ok(ties
        .map(|tie| (tie.len() as f64, tie.iter().map(|row| row.1).sum()))
        .collect())
}
