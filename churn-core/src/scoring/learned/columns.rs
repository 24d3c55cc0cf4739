//! Which columns are worth keeping, before any model.
//!
//! A column that does not vary says nothing; the mutual information of a column with the labels
//! says how much it tells alone. Both look at one column at a time: a column that only matters
//! together with another looks useless here and is found by
//! [`permutation_importance`](super::ChurnModel::permutation_importance).

use super::{Column, Frame};
use crate::error::{Error, Result};
use crate::metrics::shares;

impl<'a> Frame<'a> {
    /// The columns of these names, in this order.
    ///
    /// # Errors
    /// `UnknownName` for a name that the frame does not have; those of [`Frame::new`].
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Frame<'a>> {
        let columns = names.iter().map(|name| {
            let name = name.as_ref();
            Ok((name.to_owned(), self.column(name)?.clone()))
        });
        Frame::new(columns.collect::<Result<_>>()?)
    }
}

/// How much each column varies, in the order of the frame: the variance of numbers that are there,
/// and of levels the probability that two rows differ (Gini 1912), missing being a level.
pub fn variation(frame: &Frame<'_>) -> Vec<f64> {
    let one = |column: &Column<'_>| match column {
        Column::Numeric(values) => {
            let present = || values.iter().filter(|v| !v.is_nan());
            let count = present().count().max(1) as f64;
            let mean = present().sum::<f64>() / count;
            present().map(|v| (v - mean).powi(2)).sum::<f64>() / count
        }
        Column::Categorical { codes, levels } => {
            let shares = level_shares(codes, levels.len());
            1.0 - shares.iter().map(|s| s * s).sum::<f64>()
        }
    };
    frame.columns().iter().map(one).collect()
}

/// Mutual information of each column with the labels, in nats, in the order of the frame: how much
/// knowing the column alone lowers the uncertainty about churn (at most ln 2).
///
/// Numbers are cut into at most `bins` bins of about equally many rows; missing cells are a bin of
/// their own. Chance alone gives about (bins − 1) / (2 n). Shannon (1948).
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a label other than 0 and 1;
/// `InvalidParameter` for bins outside 2 to 1,000; `NotEnoughData` without rows.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::{Column, Frame, mutual_information};
/// let frame = Frame::new(vec![
///     ("tells".into(), Column::Numeric(vec![1.0, 2.0, 8.0, 9.0].into())),
///     ("noise".into(), Column::Numeric(vec![1.0, 9.0, 1.0, 9.0].into())),
/// ])?;
/// let information = mutual_information(&frame, &[0.0, 0.0, 1.0, 1.0], 2)?;
/// assert!((information[0] - 2.0_f64.ln()).abs() < 1e-12 && information[1].abs() < 1e-12);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn mutual_information(frame: &Frame<'_>, target: &[f64], bins: usize) -> Result<Vec<f64>> {
    if !(2..=1_000).contains(&bins) {
        return Err(Error::invalid_parameter("bins", "2 to 1000 bins", bins));
    }
    if target.len() != frame.rows() {
        return Err(Error::length_mismatch("target", frame.rows(), target.len()));
    }
    if target.is_empty() {
        return Err(Error::not_enough_data("frame", "at least one row", 0));
    }
    if let Some(row) = target.iter().position(|y| *y != 0.0 && *y != 1.0) {
        return Err(Error::invalid_value("target", row, "0 or 1", target[row]));
    }
    let rows = |label: f64| -> Vec<usize> {
        (0..target.len())
            .filter(|row| target[*row] == label)
            .collect()
    };
    let classes = [rows(0.0), rows(1.0)];
    let one = |column: &Column<'_>| -> f64 {
        let borders = match column {
            Column::Numeric(values) => borders(values, bins),
            Column::Categorical { .. } => Vec::new(),
        };
        let of = |places: &[usize]| match column.take(places) {
            Column::Numeric(values) => shares(&values, &borders),
            Column::Categorical { codes, levels } => level_shares(&codes, levels.len()),
        };
        let parts = classes.each_ref().map(|places| of(places));
        let weight = classes
            .each_ref()
            .map(|c| c.len() as f64 / target.len() as f64);
        let mut information = 0.0;
        for (first, second) in parts[0].iter().zip(&parts[1]) {
            let shares = [*first, *second];
            let all = weight[0] * shares[0] + weight[1] * shares[1];
            for class in 0..2 {
                let joint = weight[class] * shares[class];
                if joint > 0.0 {
                    information += joint * (joint / (all * weight[class])).ln();
                }
            }
        }
        information.max(0.0)
    };
    Ok(frame.columns().iter().map(one).collect())
}

/// Borders of bins of about equally many values, each an observed value.
fn borders(values: &[f64], bins: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 {
        return Vec::new();
    }
    let mut borders: Vec<f64> = (1..bins)
        .map(|k| sorted[(k * n).div_ceil(bins) - 1])
        .collect();
    borders.dedup();
    borders
}

/// Shares of each level and of missing cells; zeros without rows.
fn level_shares(codes: &[u32], levels: usize) -> Vec<f64> {
    let mut counts = vec![0_u64; levels + 1];
    for code in codes {
        counts[(*code as usize).min(levels)] += 1;
    }
    let all = codes.len().max(1) as f64;
    counts.iter().map(|count| *count as f64 / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::learned::MISSING_LEVEL;

    fn frame() -> Frame<'static> {
        Frame::new(vec![
            (
                "number".into(),
                Column::Numeric(vec![1.0, 3.0, f64::NAN, 1.0].into()),
            ),
            (
                "level".into(),
                Column::Categorical {
                    codes: vec![0, 1, MISSING_LEVEL, 0].into(),
                    levels: vec!["x".to_owned(), "y".to_owned()].into(),
                },
            ),
            ("constant".into(), Column::Numeric(vec![7.0; 4].into())),
        ])
        .unwrap()
    }

    #[test]
    fn variation_by_hand() {
        let variation = variation(&frame());
        assert!((variation[0] - 8.0 / 9.0).abs() < 1e-15);
        assert!((variation[1] - (1.0 - 0.25 - 2.0 / 16.0)).abs() < 1e-15);
        assert_eq!(variation[2], 0.0);
    }

    #[test]
    fn information_by_hand() {
        let told = mutual_information(&frame(), &[1.0, 0.0, 0.0, 1.0], 4).unwrap();
        // Both first columns separate the labels; the constant says nothing.
        assert!((told[0] - 2.0_f64.ln()).abs() < 1e-15, "{told:?}");
        assert!((told[1] - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(told[2], 0.0);
        assert!(mutual_information(&frame(), &[1.0], 4).is_err());
        let kept = frame().select(&["level"]).unwrap();
        assert_eq!(kept.names(), ["level"]);
        assert!(frame().select(&["other"]).is_err());
    }
}
