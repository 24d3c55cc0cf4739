//! Numbers that judge numbers: labels, scores and treatments in, one measure or curve out.
//!
//! | question | functions |
//! |---|---|
//! | does the score rank? | [`roc_auc`], [`average_precision`], [`pr_auc`], [`gain_curve`], [`lift_at`], [`capture_at`], [`class_separation`] |
//! | do the probabilities mean what they say? | [`log_loss`], [`brier`], [`BrierParts`], [`ReliabilityCurve`], [`expected_calibration_error`] |
//! | what does a decision at a threshold do? | [`Confusion`] |
//! | what is it worth? | [`mpc`], [`empc`] |
//! | did the data move? | [`psi`], [`kolmogorov_smirnov`] |
//! | whom does the contact change? | [`uplift`] |
//! | how sure is all that? | [`Bootstrap`] |
//!
//! Labels are 1 (churned) and 0 (stayed); the higher the score, the more likely a churn. Weights
//! count a row several times or in part. No result depends on the order of the rows: rows of
//! equal score are one group, and sums are taken in fixed point. Where scikit-learn has the
//! measure, it is the same number.

mod bootstrap;
mod drift;
mod probability;
mod profit;
mod ranking;
mod threshold;
pub mod uplift;

pub use bootstrap::{Bootstrap, Interval};
pub(crate) use drift::shares;
pub use drift::{kolmogorov_smirnov, psi, psi_of_shares};
pub use probability::{
    Binning, BrierParts, ReliabilityCurve, brier, expected_calibration_error, log_loss,
};
pub use profit::{CampaignProfit, ProfitSettings, empc, mpc};
pub use ranking::{
    GainCurve, average_precision, capture_at, class_separation, gain_curve, lift_at, pr_auc,
    roc_auc,
};
pub use threshold::Confusion;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::math::sum::FixedSum;

/// Sums over rows: terms are at most a few dozen, weights at most 1 once they are scaled.
type Sum = FixedSum<18>;

/// Labels, scores and weights, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) labels: &'a [f64],
    pub(crate) scores: &'a [f64],
    weights: Option<&'a [f64]>,
    /// The largest weight, by which all are divided, so that sums in fixed point have room.
    scale: f64,
}

impl<'a> Rows<'a> {
    /// Checks lengths, labels, scores and weights; `probabilities` asks for scores in \[0, 1\].
    pub(crate) fn new(
        labels: &'a [f64],
        scores: &'a [f64],
        weights: Option<&'a [f64]>,
        probabilities: bool,
    ) -> Result<Self> {
        if scores.len() != labels.len() {
            return Err(Error::length_mismatch("scores", labels.len(), scores.len()));
        }
        if labels.is_empty() {
            return Err(Error::not_enough_data("labels", "at least one row", 0));
        }
        if let Some(row) = labels
            .iter()
            .position(|label| *label != 0.0 && *label != 1.0)
        {
            return Err(Error::invalid_value("labels", row, "0 or 1", labels[row]));
        }
        let range = if probabilities {
            0.0..=1.0
        } else {
            f64::MIN..=f64::MAX
        };
        if let Some(row) = scores.iter().position(|score| !range.contains(score)) {
            let (place, expected) = if probabilities {
                ("probabilities", "a probability from 0 to 1")
            } else {
                ("scores", "a finite number")
            };
            return Err(Error::invalid_value(place, row, expected, scores[row]));
        }
        let scale = check_weights(weights, labels.len())?;
        Ok(Rows {
            labels,
            scores,
            weights,
            scale,
        })
    }

    /// The same, and that both labels occur with a positive weight.
    pub(crate) fn both_classes(self) -> Result<Self> {
        for class in [0.0, 1.0] {
            if !(0..self.labels.len()).any(|i| self.labels[i] == class && self.weight(i) > 0.0) {
                return Err(Error::not_enough_data(
                    "labels",
                    "both 0 and 1 among the rows",
                    format_args!("no {class}"),
                ));
            }
        }
        Ok(self)
    }

    /// The weight of a row, at most 1.
    #[inline]
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights
            .map_or(1.0, |weights| weights[row] / self.scale)
    }

    /// Sum over rows of weight × term.
    pub(crate) fn sum(&self, term: impl Fn(usize) -> f64) -> f64 {
        let mut sum = Sum::default();
        for row in 0..self.labels.len() {
            sum.add(self.weight(row) * term(row));
        }
        sum.value()
    }

    /// Weighted mean over rows.
    pub(crate) fn mean(&self, term: impl Fn(usize) -> f64) -> f64 {
        self.sum(term) / self.sum(|_| 1.0)
    }

    /// Rows of equal score as one group, highest score first.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut rows: Vec<(f64, usize)> = (0..self.scores.len())
            // Adding zero turns −0 into 0: equal scores must sort as equal.
            .map(|row| (self.scores[row] + 0.0, row))
            .collect();
        rows.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut groups: Vec<Group> = Vec::new();
        let mut sums = (Sum::default(), Sum::default());
        for (i, (score, row)) in rows.iter().enumerate() {
            let sum = if self.labels[*row] == 1.0 {
                &mut sums.0
            } else {
                &mut sums.1
            };
            sum.add(self.weight(*row));
            if rows.get(i + 1).is_none_or(|next| next.0 != *score) {
                groups.push(Group {
                    score: *score,
                    churned: sums.0.value(),
                    stayed: sums.1.value(),
                });
            }
        }
        groups
    }
}

/// Rows down to a score: the sums of weights of those that score at least as high.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) score: f64,
    pub(crate) churned: f64,
    pub(crate) stayed: f64,
}

/// Checks weights and gives the largest, 1 where there are none.
fn check_weights(weights: Option<&[f64]>, rows: usize) -> Result<f64> {
    let Some(weights) = weights else {
        return Ok(1.0);
    };
    if weights.len() != rows {
        return Err(Error::length_mismatch("weights", rows, weights.len()));
    }
    if let Some(row) = weights
        .iter()
        .position(|w| !(0.0..f64::INFINITY).contains(w))
    {
        return Err(Error::invalid_value(
            "weights",
            row,
            "a finite weight, 0 or above",
            weights[row],
        ));
    }
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Err(Error::not_enough_data(
            "weights",
            "a positive weight",
            "zeros only",
        ));
    }
    Ok(largest)
}

/// A measure of labels, scores and weights.
pub type Measure = fn(&[f64], &[f64], Option<&[f64]>) -> Result<f64>;

/// A measure that needs no further setting, by its name in the wrappers.
///
/// # Errors
/// `UnknownName` for any other name.
pub fn by_name(name: &str) -> Result<Measure> {
    const KNOWN: [(&str, Measure); 7] = [
        ("roc_auc", roc_auc),
        ("average_precision", average_precision),
        ("pr_auc", pr_auc),
        ("class_separation", class_separation),
        ("log_loss", log_loss),
        ("brier", brier),
        ("calibration_error", |labels, probabilities, weights| {
            expected_calibration_error(labels, probabilities, weights, Binning::default())
        }),
    ];
    match KNOWN.iter().find(|(known, _)| *known == name) {
        Some((_, measure)) => Ok(*measure),
        None => Err(Error::unknown_name(
            "measure",
            name,
            KNOWN.map(|(known, _)| known),
        )),
    }
}

/// Confirms a share of the rows: above 0, at most 1.
fn check_share(share: f64) -> Result<()> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "share",
        "a share above 0 and up to 1",
        share,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn bad_rows_are_named() {
        let labels = [0.0, 1.0, 0.0];
        let scores = [0.1, 0.2, 0.3];
        let check = |labels: &[f64], scores: &[f64], weights: Option<&[f64]>| {
            Rows::new(labels, scores, weights, true).unwrap_err()
        };
        let error = check(&labels, &[0.1, f64::NAN, 0.2], None);
        assert_eq!(
            error.to_string(),
            "probabilities[1]: expected a probability from 0 to 1, got NaN"
        );
        assert_eq!(check(&[0.0, 1.0, 2.0], &scores, None).row(), Some(2));
        assert_eq!(
            check(&labels, &scores, Some(&[1.0, -1.0, 1.0])).row(),
            Some(1)
        );
        assert_eq!(
            check(&labels, &scores, Some(&[1.0])).kind(),
            ErrorKind::LengthMismatch
        );
        assert_eq!(
            check(&labels, &scores, Some(&[0.0; 3])).kind(),
            ErrorKind::NotEnoughData
        );
        assert_eq!(check(&[], &[], None).kind(), ErrorKind::NotEnoughData);
        let one = Rows::new(&[1.0, 1.0], &[0.1, 0.2], None, true).unwrap();
        let error = one.both_classes().unwrap_err();
        assert_eq!(error.got(), "no 0");
    }
}
