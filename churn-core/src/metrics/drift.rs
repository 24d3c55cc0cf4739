//! Whether a column has moved between two samples.
//!
//! Both measures compare distributions of one column; neither says whether the model is still
//! right. For that, compare calibration once outcomes have arrived.

use super::probability::quantile;
use crate::error::{Error, Result};

/// Share below which a bin counts as this share, so that an empty bin has a logarithm.
const SMALLEST_SHARE: f64 = 1e-4;

/// Population stability index of two samples over bins of equally many rows of the first.
///
/// Σ (aₖ − eₖ) ln(aₖ / eₖ) over the shares of the bins, each taken as 0.0001 at least. Reading in
/// common use: below 0.1 stable, from 0.25 on moved. Missing values (NaN) are a bin of their own.
/// Source: Siddiqi (2006), Credit Risk Scorecards; it is the symmetric Kullback–Leibler divergence
/// (Jeffreys 1946).
///
/// # Errors
/// `NotEnoughData` for an empty sample; `InvalidParameter` for a number of bins outside 2 to 1,000.
///
/// # Example
/// ```
/// use churn_core::metrics::psi;
/// let before: Vec<f64> = (0..100).map(f64::from).collect();
/// assert_eq!(psi(&before, &before, 10)?, 0.0);
/// let after: Vec<f64> = before.iter().map(|x| x + 50.0).collect();
/// assert!(psi(&before, &after, 10)? > 0.25);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn psi(expected: &[f64], actual: &[f64], bins: usize) -> Result<f64> {
    if !(2..=1_000).contains(&bins) {
        return Err(Error::invalid_parameter("bins", "2 to 1000 bins", bins));
    }
    for (place, sample) in [("expected", expected), ("actual", actual)] {
        if sample.is_empty() {
            return Err(Error::not_enough_data(place, "at least one value", 0));
        }
    }
    let mut sorted: Vec<f64> = expected.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut borders: Vec<f64> = Vec::new();
    if !sorted.is_empty() {
        let inner = (1..bins).map(|k| quantile(&sorted, k as f64 / bins as f64));
        borders.extend(inner);
        borders.dedup();
    }
    psi_of_shares(&shares(expected, &borders), &shares(actual, &borders))
}

/// Shares of the values up to each border, of those above all, and of the missing ones.
pub(crate) fn shares(values: &[f64], borders: &[f64]) -> Vec<f64> {
    let mut counts = vec![0_u64; borders.len() + 2];
    for value in values {
        let bin = if value.is_nan() {
            borders.len() + 1
        } else {
            borders.partition_point(|border| border < value)
        };
        counts[bin] += 1;
    }
    let all = values.len().max(1) as f64;
    counts.iter().map(|count| *count as f64 / all).collect()
}

/// Population stability index of two lists of shares, e.g. of the levels of a category.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the place, for a share outside \[0, 1\].
pub fn psi_of_shares(expected: &[f64], actual: &[f64]) -> Result<f64> {
    if actual.len() != expected.len() {
        return Err(Error::length_mismatch(
            "actual",
            expected.len(),
            actual.len(),
        ));
    }
    for (place, shares) in [("expected", expected), ("actual", actual)] {
        if let Some(row) = shares.iter().position(|s| !(0.0..=1.0).contains(s)) {
            return Err(Error::invalid_value(
                place,
                row,
                "a share from 0 to 1",
                shares[row],
            ));
        }
    }
    let pairs = expected
        .iter()
        .zip(actual)
        .filter(|(e, a)| **e > 0.0 || **a > 0.0);
    let terms = pairs.map(|(e, a)| {
        let (e, a) = (e.max(SMALLEST_SHARE), a.max(SMALLEST_SHARE));
        (a - e) * (a / e).ln()
    });
    Ok(terms.sum())
}

/// Largest distance between the distribution functions of two samples, in \[0, 1\]; missing
/// values (NaN) are left out. Equal to the statistic of scipy's `ks_2samp`.
///
/// # Errors
/// `NotEnoughData` for a sample without values.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Result<f64> {
    let sorted = |place: &str, sample: &[f64]| {
        let mut values: Vec<f64> = sample.iter().copied().filter(|v| !v.is_nan()).collect();
        values.sort_unstable_by(f64::total_cmp);
        match values.is_empty() {
            true => Err(Error::not_enough_data(place, "at least one value", 0)),
            false => Ok(values),
        }
    };
    let (first, second) = (sorted("first", first)?, sorted("second", second)?);
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < first.len() && j < second.len() {
        let at = first[i].min(second[j]);
        i += first[i..].partition_point(|v| *v <= at);
        j += second[j..].partition_point(|v| *v <= at);
        let distance = i as f64 / first.len() as f64 - j as f64 / second.len() as f64;
        largest = largest.max(distance.abs());
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bins_and_missing_values_count() {
        let expected = [0.25, 0.25, 0.5];
        let value = psi_of_shares(&expected, &[0.5, 0.0, 0.5]).unwrap();
        let by_hand = 0.25 * 2.0_f64.ln() + (1e-4 - 0.25) * (1e-4_f64 / 0.25).ln();
        assert!((value - by_hand).abs() < 1e-15);
        let nan = f64::NAN;
        let moved = psi(&[1.0, 2.0, 3.0, nan], &[1.0, 2.0, nan, nan], 2).unwrap();
        // Median 2: shares 1/2, 1/4, missing 1/4 against 1/2, 0, 1/2.
        let by_hand = (1e-4 - 0.25) * (1e-4_f64 / 0.25).ln() + 0.25 * 2.0_f64.ln();
        assert!((moved - by_hand).abs() < 1e-12, "{moved} {by_hand}");
        assert_eq!(psi(&[nan], &[nan], 10).unwrap(), 0.0);
        assert!(psi(&[], &[1.0], 10).is_err());
        assert_eq!(psi_of_shares(&[1.0], &[2.0]).unwrap_err().row(), Some(0));
    }

    #[test]
    fn distances_with_ties_are_those_of_the_step_functions() {
        let ks = |a: &[f64], b: &[f64]| kolmogorov_smirnov(a, b).unwrap();
        assert_eq!(
            ks(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]),
            2.0 / 3.0 - 1.0 / 3.0
        );
        assert_eq!(ks(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(ks(&[0.0], &[-0.0]), 0.0);
        assert_eq!(ks(&[f64::NAN, 5.0], &[5.0]), 0.0);
        assert!(kolmogorov_smirnov(&[f64::NAN], &[1.0]).is_err());
    }
}
