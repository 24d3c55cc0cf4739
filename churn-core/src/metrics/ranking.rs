//! How well a score ranks churners above those who stay.
//!
//! A ranking measure says nothing about the probabilities themselves: see
//! [`log_loss`](super::log_loss) for those. Rows of equal score are taken together, as if they
//! stood in random order.

use super::{Group, Rows, check_share};
use crate::error::Result;

/// Area under the receiver operating characteristic: the probability that a churner scores higher
/// than one who stays, ties counting half.
///
/// Shape: n labels (0 or 1), n scores, n weights or none. Result in \[0, 1\]; 0.5 = no ranking.
/// Source: Hanley & McNeil (1982), Radiology 143(1). Equal to scikit-learn's `roc_auc_score`.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1, a score that
/// is not finite or a negative weight; `NotEnoughData` where only one label occurs.
///
/// # Example
/// ```
/// use churn_core::metrics::roc_auc;
/// assert_eq!(roc_auc(&[0.0, 0.0, 1.0, 1.0], &[0.1, 0.4, 0.35, 0.8], None)?, 0.75);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn roc_auc(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let groups = ranked(labels, scores, weights)?;
    let last = groups[groups.len() - 1];
    let (mut area, mut before) = (0.0, NONE);
    for group in &groups {
        area += (group.stayed - before.stayed) * (group.churned + before.churned) / 2.0;
        before = *group;
    }
    Ok((area / last.churned / last.stayed).clamp(0.0, 1.0))
}

/// Average precision: precision at each distinct score, weighted by the churners it adds.
///
/// Result in \[0, 1\]; a score without ranking has the share of churners. Equal to scikit-learn's
/// `average_precision_score`: a step-wise sum that does not interpolate.
///
/// # Errors
/// As [`roc_auc`].
pub fn average_precision(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let groups = ranked(labels, scores, weights)?;
    let all = groups[groups.len() - 1].churned;
    let (mut sum, mut before) = (0.0, NONE);
    for group in &groups {
        if group.churned > before.churned {
            sum += (group.churned - before.churned) / all * precision(group);
        }
        before = *group;
    }
    Ok(sum.clamp(0.0, 1.0))
}

/// Area under the precision-recall curve by trapezoids; optimistic where scores are few, see
/// [`average_precision`].
///
/// Equal to scikit-learn's `auc(recall, precision)` of `precision_recall_curve`.
///
/// # Errors
/// As [`roc_auc`].
pub fn pr_auc(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let groups = ranked(labels, scores, weights)?;
    let all = groups[groups.len() - 1].churned;
    // The curve begins at recall 0 with precision 1.
    let (mut area, mut before) = (0.0, (0.0, 1.0));
    for group in &groups {
        let point = (group.churned / all, precision(group));
        area += (point.0 - before.0) * (point.1 + before.1) / 2.0;
        before = point;
    }
    Ok(area.clamp(0.0, 1.0))
}

/// Share of all churners among the `share` of rows that score highest; where a group of equal
/// scores straddles the border, the part of it that fits.
///
/// # Errors
/// As [`roc_auc`]; `InvalidParameter` for a share outside (0, 1\].
///
/// # Example
/// ```
/// use churn_core::metrics::{capture_at, lift_at};
/// let labels = [1.0, 0.0, 1.0, 0.0, 0.0];
/// let scores = [0.9, 0.8, 0.7, 0.2, 0.1];
/// assert_eq!(capture_at(&labels, &scores, 0.2, None)?, 0.5);
/// assert_eq!(lift_at(&labels, &scores, 0.2, None)?, 2.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn capture_at(
    labels: &[f64],
    scores: &[f64],
    share: f64,
    weights: Option<&[f64]>,
) -> Result<f64> {
    check_share(share)?;
    let groups = ranked(labels, scores, weights)?;
    let last = groups[groups.len() - 1];
    let wanted = share * (last.churned + last.stayed);
    let mut before = NONE;
    for group in &groups {
        let (from, to) = (before.churned + before.stayed, group.churned + group.stayed);
        if to >= wanted {
            let part = if to > from {
                (wanted - from) / (to - from)
            } else {
                1.0
            };
            let captured = before.churned + part * (group.churned - before.churned);
            return Ok((captured / last.churned).clamp(0.0, 1.0));
        }
        before = *group;
    }
    Ok(1.0)
}

/// Churn among the `share` of rows that score highest, as a multiple of churn among all.
///
/// # Errors
/// As [`capture_at`].
pub fn lift_at(labels: &[f64], scores: &[f64], share: f64, weights: Option<&[f64]>) -> Result<f64> {
    Ok(capture_at(labels, scores, share, weights)? / share)
}

/// Who is reached, and who of them churns, as the score is lowered.
#[derive(Debug, Clone, PartialEq)]
pub struct GainCurve {
    /// The score down to which rows are reached; infinity for the first point.
    pub thresholds: Vec<f64>,
    /// Share of all rows reached, from 0 to 1.
    pub reached: Vec<f64>,
    /// Share of all churners among them, from 0 to 1.
    pub captured: Vec<f64>,
}

/// The gain curve (cumulative capture), one point per distinct score and one at the origin.
///
/// # Errors
/// As [`roc_auc`].
pub fn gain_curve(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<GainCurve> {
    let groups = ranked(labels, scores, weights)?;
    let last = groups[groups.len() - 1];
    let mut curve = GainCurve {
        thresholds: vec![f64::INFINITY],
        reached: vec![0.0],
        captured: vec![0.0],
    };
    for group in &groups {
        curve.thresholds.push(group.score);
        let reached = (group.churned + group.stayed) / (last.churned + last.stayed);
        curve.reached.push(reached);
        curve.captured.push(group.churned / last.churned);
    }
    Ok(curve)
}

/// Largest distance between the score distributions of churners and of those who stay
/// (Kolmogorov–Smirnov statistic of a scorecard), in \[0, 1\].
///
/// # Errors
/// As [`roc_auc`].
pub fn class_separation(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let groups = ranked(labels, scores, weights)?;
    let last = groups[groups.len() - 1];
    let distances = groups
        .iter()
        .map(|g| (g.churned / last.churned - g.stayed / last.stayed).abs());
    Ok(distances.fold(0.0, f64::max))
}

const NONE: Group = Group {
    score: f64::INFINITY,
    churned: 0.0,
    stayed: 0.0,
};

/// Precision down to a group; 1 where nobody is reached (rows of weight 0).
fn precision(group: &Group) -> f64 {
    let reached = group.churned + group.stayed;
    if reached > 0.0 {
        group.churned / reached
    } else {
        1.0
    }
}

fn ranked(labels: &[f64], scores: &[f64], weights: Option<&[f64]>) -> Result<Vec<Group>> {
    let rows = Rows::new(labels, scores, weights, false)?.both_classes()?;
    Ok(rows.groups())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [f64; 6] = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    const SCORES: [f64; 6] = [0.9, 0.9, 0.6, 0.3, -0.0, 0.0];

    #[test]
    fn ties_count_half() {
        // Pairs: .9 beats .3 and −0, ties .9; .6 beats two, loses to .9; 0 ties −0.
        let auc = roc_auc(&LABELS, &SCORES, None).unwrap();
        assert!((auc - (2.5 + 2.0 + 0.5) / 9.0).abs() < 1e-15, "{auc}");
    }

    #[test]
    fn weights_repeat_rows() {
        let weights = [2.0, 1.0, 0.0, 3.0, 1.0, 1.0];
        let (mut labels, mut scores) = (Vec::new(), Vec::new());
        for i in 0..6 {
            for _ in 0..weights[i] as usize {
                labels.push(LABELS[i]);
                scores.push(SCORES[i]);
            }
        }
        type Measure = fn(&[f64], &[f64], Option<&[f64]>) -> Result<f64>;
        let measures: [Measure; 4] = [roc_auc, average_precision, pr_auc, class_separation];
        for measure in measures {
            let weighted = measure(&LABELS, &SCORES, Some(&weights)).unwrap();
            let repeated = measure(&labels, &scores, None).unwrap();
            assert!((weighted - repeated).abs() < 1e-15, "{weighted} {repeated}");
        }
    }

    #[test]
    fn a_tie_at_the_border_counts_in_part() {
        // A quarter of the rows is 1.5 rows of the first group of two, which holds one churner.
        let captured = capture_at(&LABELS, &SCORES, 0.25, None).unwrap();
        assert!((captured - 0.75 / 3.0).abs() < 1e-15, "{captured}");
        assert_eq!(capture_at(&LABELS, &SCORES, 1.0, None).unwrap(), 1.0);
        assert!(lift_at(&LABELS, &SCORES, 0.0, None).is_err());
        let curve = gain_curve(&LABELS, &SCORES, None).unwrap();
        assert_eq!(curve.thresholds, [f64::INFINITY, 0.9, 0.6, 0.3, 0.0]);
        assert_eq!(curve.captured[1], 1.0 / 3.0);
    }

    #[test]
    fn order_of_rows_does_not_matter() {
        let weights = [0.1, 0.7, 1.3, 0.2, 0.9, 0.4];
        let turn = |cells: &[f64]| cells.iter().rev().copied().collect::<Vec<f64>>();
        let forward = roc_auc(&LABELS, &SCORES, Some(&weights)).unwrap();
        let back = roc_auc(&turn(&LABELS), &turn(&SCORES), Some(&turn(&weights))).unwrap();
        assert_eq!(forward.to_bits(), back.to_bits());
    }
}
