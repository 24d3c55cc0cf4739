//! How well scores order spells: of two spells of which one is known to have ended first, how
//! often it had the higher risk.
//!
//! C = (concordant + ½ tied) / comparable. A pair is comparable if one spell ended at t while the
//! other was at risk and went on beyond t, or was last seen at t itself. Source: Harrell, Lee & Mark
//! (1996), Statistics in Medicine 15. It judges order only: probabilities need
//! [`brier_score`](super::brier_score).

use super::durations::Durations;
use crate::error::{Error, ErrorKind, Result};

/// Pairs of spells by whether the scores order them rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Concordance {
    /// Pairs in which the spell that ended first has the higher risk.
    pub concordant: u64,
    /// Pairs in which it has the lower risk.
    pub discordant: u64,
    /// Pairs of equal risk.
    pub tied: u64,
}

impl Concordance {
    /// (concordant + ½ tied) / all; `None` without a comparable pair.
    pub fn index(&self) -> Option<f64> {
        let all = self.concordant + self.discordant + self.tied;
        (all > 0).then(|| (self.concordant as f64 + 0.5 * self.tied as f64) / all as f64)
    }
}

/// Harrell's concordance of risk scores (higher = ends sooner; negate predicted durations).
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a score that is NaN.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, concordance};
/// let durations = Durations::new(&[1.0, 2.0, 3.0], &[true, true, false])?;
/// let pairs = concordance(&durations, &[0.9, 0.2, 0.4])?;
/// assert_eq!((pairs.concordant, pairs.discordant), (2, 1));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn concordance(durations: &Durations<'_>, risk: &[f64]) -> Result<Concordance> {
    within_strata(durations, risk, None)
}

/// The same over pairs of one stratum only.
pub(super) fn within_strata(
    durations: &Durations<'_>,
    risk: &[f64],
    strata: Option<&[u32]>,
) -> Result<Concordance> {
    let n = durations.len();
    if risk.len() != n {
        return Err(Error::length_mismatch("risk", n, risk.len()));
    }
    if let Some(row) = risk.iter().position(|r| r.is_nan()) {
        return Err(Error::new(ErrorKind::InvalidValue, "risk", "a number", "NaN").at_row(row));
    }
    let (stop, event) = (durations.durations(), durations.event_observed());
    let stratum = |row: usize| strata.map_or(0, |strata| strata[row]);
    let mut order: Vec<usize> = (0..n).collect();
    // Latest first; at one time the running spells join before the ends look at them.
    order.sort_unstable_by(|a, b| {
        let (a, b) = (*a, *b);
        (stratum(a).cmp(&stratum(b)))
            .then(stop[b].total_cmp(&stop[a]))
            .then(event[a].cmp(&event[b]))
    });
    let mut by_start: Vec<usize> = Vec::new();
    if durations.entry().is_some() {
        by_start.extend(0..n);
        by_start.sort_unstable_by(|a, b| {
            let (a, b) = (*a, *b);
            let starts = durations.start(b).total_cmp(&durations.start(a));
            stratum(a).cmp(&stratum(b)).then(starts)
        });
    }
    let ranks = ranks(risk);
    let mut counts = Fenwick::new(ranks.iter().max().map_or(0, |r| *r + 1));
    let mut pairs = Concordance::default();
    let (mut i, mut left) = (0, 0);
    while i < n {
        let name = stratum(order[i]);
        let (first, first_left) = (i, left);
        while i < n && stratum(order[i]) == name {
            let t = stop[order[i]];
            let mut j = i;
            // Running spells last seen at t outlived those that ended at t.
            while j < n && stratum(order[j]) == name && stop[order[j]] == t && !event[order[j]] {
                counts.add(ranks[order[j]], 1);
                j += 1;
            }
            while by_start.get(left).is_some_and(|row| {
                stratum(*row) == name && durations.start(*row) >= t && stop[*row] > t
            }) {
                counts.add(ranks[by_start[left]], -1);
                left += 1;
            }
            let ends = j;
            while j < n && stratum(order[j]) == name && stop[order[j]] == t {
                let rank = ranks[order[j]];
                let (below, total) = (counts.below(rank), counts.below(counts.len()));
                let above = total - counts.below(rank + 1);
                pairs.concordant += below;
                pairs.discordant += above;
                pairs.tied += total - below - above;
                j += 1;
            }
            for row in &order[ends..j] {
                counts.add(ranks[*row], 1);
            }
            i = j;
        }
        // Empty the counts for the next stratum: what joined leaves, unless it had left before.
        for row in &by_start[first_left..left] {
            counts.add(ranks[*row], 1);
        }
        for row in &order[first..i] {
            counts.add(ranks[*row], -1);
        }
        while left < by_start.len() && stratum(by_start[left]) == name {
            left += 1;
        }
    }
    Ok(pairs)
}

/// Dense ranks: equal values have equal ranks.
fn ranks(values: &[f64]) -> Vec<usize> {
    let mut sorted: Vec<f64> = values.iter().map(|x| x + 0.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup();
    let rank = |x: &f64| sorted.partition_point(|s| s.total_cmp(&(x + 0.0)).is_lt());
    values.iter().map(rank).collect()
}

/// Counts by rank with sums over the lower ranks (Fenwick 1994).
struct Fenwick(Vec<i64>);

impl Fenwick {
    fn new(len: usize) -> Self {
        Fenwick(vec![0; len])
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, rank: usize, count: i64) {
        let mut i = rank;
        while i < self.0.len() {
            self.0[i] += count;
            i |= i + 1;
        }
    }

    /// Sum over ranks below `rank`.
    fn below(&self, rank: usize) -> u64 {
        let (mut sum, mut i) = (0, rank);
        while i > 0 {
            sum += self.0[i - 1];
            i &= i - 1;
        }
        sum.max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    /// Every pair, looked at one by one.
    fn by_pairs(data: &Durations<'_>, risk: &[f64], strata: &[u32]) -> Concordance {
        let (stop, event) = (data.durations(), data.event_observed());
        let mut pairs = Concordance::default();
        for i in 0..data.len() {
            for j in 0..data.len() {
                let later = stop[j] > stop[i] || stop[j] == stop[i] && !event[j];
                let met = event[i] && later && data.start(j) < stop[i];
                if i == j || strata[i] != strata[j] || !met {
                    continue;
                }
                match risk[i].total_cmp(&risk[j]) {
                    std::cmp::Ordering::Greater => pairs.concordant += 1,
                    std::cmp::Ordering::Less => pairs.discordant += 1,
                    std::cmp::Ordering::Equal => pairs.tied += 1,
                }
            }
        }
        pairs
    }

    #[test]
    fn equals_the_count_of_all_pairs() {
        let mut random = Random::new(3, 0);
        for round in 0..40 {
            let n = 2 + round;
            let stop: Vec<f64> = (0..n)
                .map(|_| 1.0 + random.between(0.0, 9.0).floor())
                .collect();
            let event: Vec<bool> = (0..n).map(|_| random.chance(0.6)).collect();
            let risk: Vec<f64> = (0..n).map(|_| random.between(0.0, 5.0).floor()).collect();
            let strata: Vec<u32> = (0..n).map(|_| u32::from(random.chance(0.4))).collect();
            let entry: Vec<f64> = stop
                .iter()
                .map(|t| (t * random.uniform()).floor())
                .collect();
            let plain = Durations::new(&stop, &event).unwrap();
            let late = plain.with_entry(&entry).unwrap();
            for data in [plain, late] {
                let got = within_strata(&data, &risk, Some(&strata)).unwrap();
                assert_eq!(got, by_pairs(&data, &risk, &strata), "round {round}");
            }
        }
    }

    #[test]
    fn nothing_to_compare_has_no_index() {
        let data = Durations::new(&[1.0, 2.0], &[false, false]).unwrap();
        assert_eq!(concordance(&data, &[0.1, 0.2]).unwrap().index(), None);
        let error = concordance(&data, &[0.1, f64::NAN]).unwrap_err();
        assert_eq!(error.row(), Some(1));
    }
}
