//! What a yes-or-no decision at a threshold gets right and wrong.

use super::Rows;
use crate::error::Result;

/// Counts (sums of weights) of the four outcomes of "treat as churner if the score is at least
/// the threshold".
///
/// # Example
/// ```
/// use churn_core::metrics::Confusion;
/// let at_half = Confusion::at(&[1.0, 0.0, 1.0, 0.0], &[0.9, 0.6, 0.4, 0.1], 0.5, None)?;
/// assert_eq!((at_half.true_positives, at_half.false_positives), (1.0, 1.0));
/// assert_eq!(at_half.f1(), 0.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confusion {
    /// Churners taken for churners.
    pub true_positives: f64,
    /// Customers who stay taken for churners.
    pub false_positives: f64,
    /// Customers who stay taken for such.
    pub true_negatives: f64,
    /// Churners taken for customers who stay.
    pub false_negatives: f64,
}

impl Confusion {
    /// Counts the outcomes at a threshold.
    ///
    /// # Errors
    /// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1, a score
    /// that is not finite or a negative weight.
    pub fn at(
        labels: &[f64],
        scores: &[f64],
        threshold: f64,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let rows = Rows::new(labels, scores, weights, false)?;
        let count = |label: f64, taken: bool| {
            let one = |i: usize| labels[i] == label && (scores[i] >= threshold) == taken;
            rows.scale * rows.sum(|i| f64::from(u8::from(one(i))))
        };
        Ok(Confusion {
            true_positives: count(1.0, true),
            false_positives: count(0.0, true),
            true_negatives: count(0.0, false),
            false_negatives: count(1.0, false),
        })
    }

    /// Share of churners among those taken for churners; 0 where nobody is.
    pub fn precision(&self) -> f64 {
        share(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// Share of churners who are taken for such; 0 where nobody churned.
    pub fn recall(&self) -> f64 {
        share(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// Share of those who stay who are taken for such; 0 where everybody churned.
    pub fn specificity(&self) -> f64 {
        share(
            self.true_negatives,
            self.true_negatives + self.false_positives,
        )
    }

    /// Share of right decisions.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        share(right, right + self.false_positives + self.false_negatives)
    }

    /// Harmonic mean of precision and recall; 0 where no churner is found.
    pub fn f1(&self) -> f64 {
        let found = 2.0 * self.true_positives;
        share(found, found + self.false_positives + self.false_negatives)
    }

    /// Matthews correlation coefficient, in \[−1, 1\]; 0 where a row or column of the table is
    /// empty.
    pub fn mcc(&self) -> f64 {
        let (tp, fp) = (self.true_positives, self.false_positives);
        let (tn, fn_) = (self.true_negatives, self.false_negatives);
        // Factors apart: their product would overflow before the root is taken.
        let scale = (tp + fp).sqrt() * (tp + fn_).sqrt() * (tn + fp).sqrt() * (tn + fn_).sqrt();
        share(tp * tn - fp * fn_, scale)
    }
}

/// A ratio, 0 where there is nothing to divide by.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_cells_give_zero() {
        let nobody = Confusion::at(&[1.0, 0.0], &[0.1, 0.2], 0.5, None).unwrap();
        assert_eq!(
            (
                nobody.precision(),
                nobody.recall(),
                nobody.f1(),
                nobody.mcc()
            ),
            (0.0, 0.0, 0.0, 0.0)
        );
        assert_eq!(nobody.accuracy(), 0.5);
        let weighted = Confusion::at(&[1.0, 0.0], &[0.9, 0.2], 0.5, Some(&[2.0, 6.0])).unwrap();
        assert_eq!(
            (weighted.true_positives, weighted.true_negatives),
            (2.0, 6.0)
        );
        assert_eq!(weighted.mcc(), 1.0);
    }
}
