//! Order statistics and moments of grouped numbers.

use std::collections::BTreeMap;

use super::sum::FixedSum;

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

/// Relative deviations are small numbers: they need more digits than money.
type Sum = FixedSum<18>;

/// Sums over groups of positive whole numbers, from which the moments of a population of groups
/// follow. Equal for any order of the groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GroupMoments {
    /// For each group size n: number of groups, and sum of all their numbers.
    sizes: BTreeMap<u64, (u64, u64)>,
    /// Sum over groups of squared deviations from the group mean.
    within: Sum,
    /// The same with deviations relative to the group mean.
    relative: Sum,
    /// Sum over groups of n × squared group mean.
    squared_means: Sum,
}

/// What a population of groups says about a new group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupPrior {
    /// Mean of the group means, each weighted by how well it is known.
    pub(crate) mean: f64,
    /// How many numbers of a group weigh as much as this mean.
    pub(crate) weight: f64,
    /// Squared ratio of spread to mean within groups.
    pub(crate) relative_variance: f64,
}

impl GroupMoments {
    /// Adds a group of `n` numbers with this sum and sum of squares; empty groups do not count.
    pub(crate) fn push(&mut self, n: u64, sum: u64, squares: u64) {
        if n == 0 {
            return;
        }
        let size = self.sizes.entry(n).or_default();
        size.0 += 1;
        size.1 += sum;
        let deviations = squared_deviations(n, sum, squares);
        let mean = sum as f64 / n as f64;
        self.within.add(deviations);
        self.relative.add(deviations / (mean * mean));
        self.squared_means.add(sum as f64 * mean);
    }

    pub(crate) fn merge(&mut self, other: &GroupMoments) {
        for (n, (count, sum)) in &other.sizes {
            let size = self.sizes.entry(*n).or_default();
            size.0 += count;
            size.1 += sum;
        }
        self.within.merge(other.within);
        self.relative.merge(other.relative);
        self.squared_means.merge(other.squared_means);
    }

    /// The prior, or `None` without groups. `weight` replaces the estimated weight.
    ///
    /// Weight: ratio of the variance within groups to the variance of the true group means, both
    /// by their unbiased moment estimators (Bühlmann & Straub 1970), kept in `bounds`; the middle
    /// of the bounds where the groups are too few or too small to tell.
    ///
    /// Relative variance 1/k: a gamma group of n numbers of shape k has the shares xⱼ/Σx jointly
    /// Dirichlet, so its squared relative deviations have mean n (n − 1) / (n k + 1). k equates
    /// their sum over groups to the observed one; for groups of two this is the estimator of
    /// Wheat & Morrison (1990). 1 (exponential) where no group has two numbers.
    pub(crate) fn prior(&self, weight: Option<f64>, bounds: (f64, f64)) -> Option<GroupPrior> {
        let (mut groups, mut total, mut sum, mut squared_sizes) = (0.0, 0.0, 0.0, 0.0);
        for (n, (count, numbers)) in &self.sizes {
            let (n, count) = (*n as f64, *count as f64);
            groups += count;
            total += n * count;
            sum += *numbers as f64;
            squared_sizes += n * n * count;
        }
        if groups == 0.0 {
            return None;
        }
        let weight = weight.unwrap_or_else(|| {
            let effective = total - squared_sizes / total;
            if total <= groups || effective <= 0.0 {
                return (bounds.0 * bounds.1).sqrt();
            }
            let within = self.within.value() / (total - groups);
            let between = self.squared_means.value() - sum * sum / total - (groups - 1.0) * within;
            if between <= 0.0 {
                return bounds.1;
            }
            (within * effective / between).clamp(bounds.0, bounds.1)
        });
        let (mut weighted, mut weights) = (0.0, 0.0);
        for (n, (count, numbers)) in &self.sizes {
            weighted += *numbers as f64 / (*n as f64 + weight);
            weights += *n as f64 * *count as f64 / (*n as f64 + weight);
        }
        Some(GroupPrior {
            mean: weighted / weights,
            weight,
            relative_variance: self.relative_variance(),
        })
    }

    fn relative_variance(&self) -> f64 {
        if self.sizes.keys().all(|n| *n < 2) {
            return 1.0;
        }
        let observed = self.relative.value();
        if observed <= 0.0 {
            return 0.0;
        }
        let expected = |shape: f64| -> f64 {
            let terms = self.sizes.iter().map(|(n, (count, _))| {
                let n = *n as f64;
                *count as f64 * n * (n - 1.0) / (n * shape + 1.0)
            });
            terms.sum()
        };
        // The sum falls with the shape; halve the interval of its logarithm.
        let (mut low, mut high) = (1e-4_f64.ln(), 1e12_f64.ln());
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if expected(middle.exp()) > observed {
                low = middle;
            } else {
                high = middle;
            }
        }
        (-0.5 * (low + high)).exp()
    }
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

    fn moments(groups: &[&[u64]]) -> GroupMoments {
        let mut all = GroupMoments::default();
        for group in groups {
            let mut one = GroupMoments::default();
            one.push(
                group.len() as u64,
                group.iter().sum(),
                group.iter().map(|x| x * x).sum(),
            );
            all.merge(&one);
        }
        all
    }

    #[test]
    fn credibility_matches_the_balanced_example_by_hand() {
        // Two groups of three, means 10 and 30; within variance (2·(1+1)/ (6−2)) = 1;
        // between: 3·(100+100) − 1 = 599 over 6 − 18/6 = 3; weight 1·3/599.
        let prior = moments(&[&[9, 10, 11], &[29, 30, 31]])
            .prior(None, (1e-9, 1e9))
            .unwrap();
        assert!((prior.weight - 3.0 / 599.0).abs() < 1e-12, "{prior:?}");
        assert!((prior.mean - 20.0).abs() < 1e-12);
    }

    #[test]
    fn shape_of_pairs_is_wheat_and_morrison() {
        // k = (1 − 4 V) / (8 V) with V the mean of (M − ½)², M = x₁ / (x₁ + x₂).
        let pairs: [&[u64]; 3] = [&[10, 30], &[25, 15], &[8, 12]];
        let v = pairs
            .iter()
            .map(|x| (x[0] as f64 / (x[0] + x[1]) as f64 - 0.5).powi(2))
            .sum::<f64>()
            / 3.0;
        let k = (1.0 - 4.0 * v) / (8.0 * v);
        let prior = moments(&pairs).prior(Some(1.0), (1.0, 1.0)).unwrap();
        assert!(
            (prior.relative_variance - 1.0 / k).abs() < 1e-9,
            "{prior:?} {k}"
        );
    }

    #[test]
    fn degenerate_populations_have_a_prior() {
        assert!(GroupMoments::default().prior(None, (1.0, 20.0)).is_none());
        let regular = moments(&[&[30, 30, 30], &[30, 30]])
            .prior(None, (1.0, 20.0))
            .unwrap();
        assert_eq!((regular.mean, regular.relative_variance), (30.0, 0.0));
        assert_eq!(regular.weight, 20.0);
        let singles = moments(&[&[10], &[50]]).prior(None, (1.0, 16.0)).unwrap();
        assert_eq!((singles.weight, singles.relative_variance), (4.0, 1.0));
        assert_eq!(singles.mean, 30.0);
    }
}
