//! Order statistics and squared deviations.

/// The quantiles at 1/bins, 2/bins, …, (bins − 1)/bins: for each, the smallest of `values` such
/// that at least that share of them is not above it (type 1 of Hyndman & Fan 1996, so always one
/// of the values). Empty for no values. Reorders `values`.
pub(crate) fn quantile_cuts(values: &mut [f64], bins: usize) -> Vec<f64> {
    let n = values.len();
    let mut cuts = Vec::new();
    if n == 0 {
        return cuts;
    }
    let mut sorted_to = 0;
    for k in 1..bins {
        let rank = (k * n).div_ceil(bins) - 1;
        // Everything before the last rank is in place already.
        if rank >= sorted_to {
            values[sorted_to..].select_nth_unstable_by(rank - sorted_to, f64::total_cmp);
            sorted_to = rank + 1;
        }
        cuts.push(values[rank]);
    }
    cuts
}

/// Sum of squared deviations of `n ≥ 1` whole numbers from their mean, without cancellation.
pub(crate) fn squared_deviations(n: u64, sum: u64, squares: u64) -> f64 {
    let spread = u128::from(n) * u128::from(squares);
    let mean = u128::from(sum) * u128::from(sum);
    spread.saturating_sub(mean) as f64 / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_observed_values_and_ties_do_not_move_them() {
        let mut values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(quantile_cuts(&mut values, 5), [2.0, 4.0, 6.0, 8.0]);
        // ceil(7/5) = 2nd, ceil(14/5) = 3rd, 5th and 6th of seven.
        let mut values = [3.0, 1.0, 1.0, 1.0, 9.0, 5.0, 4.0];
        assert_eq!(quantile_cuts(&mut values, 5), [1.0, 1.0, 4.0, 5.0]);
        assert_eq!(quantile_cuts(&mut [7.0], 5), [7.0; 4]);
        assert!(quantile_cuts(&mut [], 5).is_empty());
    }
}
