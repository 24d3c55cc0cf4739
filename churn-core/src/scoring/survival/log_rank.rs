//! Whether groups of spells end at the same rate.
//!
//! At each time with d ends among n at risk, group g with n_g at risk would have d n_g / n of them
//! if the groups did not differ. The statistic weighs the differences by their hypergeometric
//! covariance:
//!
//! ```text
//! Z_g  = Σ w (d_g − d n_g / n)
//! V_gh = Σ w² d (n − d) / (n − 1) · n_g/n · ([g = h] − n_h/n)
//! statistic = Zᵀ V⁻¹ Z over all groups but one, chi-square with (groups − 1) degrees of freedom
//! ```
//!
//! Source: Mantel (1966); Peto & Peto (1972); Fleming & Harrington (1991) for the weights. Blind to
//! curves that cross: early gains and late losses cancel.

use serde::{Deserialize, Serialize};

use super::chi_square_tail;
use super::durations::{Durations, EventTable};
use crate::error::{Error, Result};
use crate::math::linalg::Cholesky;

/// More groups than this are ids, not groups.
const MOST_GROUPS: usize = 1_000;

/// Which times count more.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogRankWeights {
    /// All alike: the log-rank test, best where hazards are proportional. The default.
    #[default]
    LogRank,
    /// By the number at risk (Gehan 1965): early times.
    Wilcoxon,
    /// By its square root (Tarone & Ware 1977).
    TaroneWare,
    /// S^p (1 − S)^q, S the joint survival just before: any times one asks for.
    FlemingHarrington {
        /// Weight of early times, not negative.
        p: f64,
        /// Weight of late times, not negative.
        q: f64,
    },
}

impl LogRankWeights {
    fn check(self) -> Result<()> {
        let LogRankWeights::FlemingHarrington { p, q } = self else {
            return Ok(());
        };
        for (name, value) in [("p", p), ("q", q)] {
            if !(0.0..=100.0).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("log_rank.weights.{name}"),
                    "a number from 0 to 100",
                    value,
                ));
            }
        }
        Ok(())
    }

    fn at(self, at_risk: f64, survival: f64) -> f64 {
        match self {
            LogRankWeights::LogRank => 1.0,
            LogRankWeights::Wilcoxon => at_risk,
            LogRankWeights::TaroneWare => at_risk.sqrt(),
            LogRankWeights::FlemingHarrington { p, q } => {
                survival.powf(p) * (1.0 - survival).powf(q)
            }
        }
    }
}

/// What a log-rank test found.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRank {
    /// Chi-square statistic.
    pub statistic: f64,
    /// Number of groups minus one.
    pub degrees_of_freedom: usize,
    /// Probability of a statistic at least as large if the groups do not differ.
    pub p_value: f64,
    /// What happened in each group.
    pub groups: Vec<GroupCount>,
}

/// One group of a log-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupCount {
    /// Number of spells.
    pub size: u64,
    /// Number seen to end.
    pub observed: u64,
    /// Number expected to end if the groups did not differ.
    pub expected: f64,
}

/// Tests whether two or more groups end at the same rate; `groups` holds the group of each row as
/// a number from 0 on.
///
/// # Errors
/// `LengthMismatch`; `NotEnoughData` for fewer than two groups, a group without rows, no ends, or
/// groups that are never at risk together; `InvalidParameter` for weights outside their domain or
/// more than 1000 groups.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, LogRankWeights, log_rank};
/// let days = [5.0, 8.0, 9.0, 20.0, 25.0, 31.0];
/// let durations = Durations::new(&days, &[true; 6])?;
/// let test = log_rank(&durations, &[0, 0, 0, 1, 1, 1], LogRankWeights::LogRank)?;
/// assert_eq!(test.groups[0].observed, 3);
/// assert!(test.p_value < 0.05);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn log_rank(
    durations: &Durations<'_>,
    groups: &[u32],
    weights: LogRankWeights,
) -> Result<LogRank> {
    weights.check()?;
    if groups.len() != durations.len() {
        return Err(Error::length_mismatch(
            "groups",
            durations.len(),
            groups.len(),
        ));
    }
    let sizes = group_sizes(groups)?;
    durations.check_any_event()?;
    let all = EventTable::new(durations);
    let k = sizes.len();
    let members: Vec<Group> = (0..k).map(|g| Group::new(durations, groups, g)).collect();
    let mut z = vec![0.0; k];
    let mut expected = vec![0.0; k];
    let mut covariance = vec![0.0; k * k];
    let mut share = vec![0.0; k];
    let mut survival = 1.0;
    for (i, t) in all.times.iter().enumerate() {
        let (n, d) = (all.at_risk[i] as f64, all.events[i] as f64);
        if d == 0.0 {
            continue;
        }
        let weight = weights.at(n, survival);
        survival *= (n - d) / n;
        let spread = if n > 1.0 {
            weight * weight * d * (n - d) / (n - 1.0)
        } else {
            0.0
        };
        for g in 0..k {
            share[g] = members[g].at_risk(*t) as f64 / n;
            expected[g] += d * share[g];
            z[g] += weight * (members[g].ended(*t) as f64 - d * share[g]);
        }
        for g in 0..k {
            for h in 0..k {
                let same = f64::from(u8::from(g == h));
                covariance[g * k + h] += spread * share[g] * (same - share[h]);
            }
        }
    }
    // The differences add up to 0: the last group follows from the others.
    let m = k - 1;
    let reduced: Vec<f64> = (0..m * m).map(|i| covariance[i / m * k + i % m]).collect();
    let factor = Cholesky::new(&reduced, m).ok_or_else(|| {
        Error::not_enough_data(
            "groups",
            "groups that are at risk together when something ends",
            "groups that never meet",
        )
    })?;
    let mut solved = z[..m].to_vec();
    factor.solve(&mut solved);
    let statistic: f64 = solved.iter().zip(&z).map(|(a, b)| a * b).sum();
    let counts = (0..k).map(|g| GroupCount {
        size: sizes[g],
        observed: members[g].ends.len() as u64,
        expected: expected[g],
    });
    Ok(LogRank {
        statistic,
        degrees_of_freedom: m,
        p_value: chi_square_tail(statistic, m),
        groups: counts.collect(),
    })
}

/// Rows of each group, of which none may be empty.
fn group_sizes(groups: &[u32]) -> Result<Vec<u64>> {
    let k = groups.iter().max().map_or(0, |g| *g as usize + 1);
    if k < 2 || k > groups.len() {
        return Err(Error::not_enough_data(
            "groups",
            "at least two groups, numbered from 0 on, each with a row",
            format_args!("{} rows with numbers up to {}", groups.len(), k.max(1) - 1),
        ));
    }
    if k > MOST_GROUPS {
        return Err(Error::invalid_parameter(
            "groups",
            format_args!("at most {MOST_GROUPS} groups"),
            k,
        ));
    }
    let mut sizes = vec![0; k];
    for g in groups {
        sizes[*g as usize] += 1;
    }
    match sizes.iter().position(|size| *size == 0) {
        None => Ok(sizes),
        Some(empty) => Err(Error::not_enough_data(
            "groups",
            "at least one row in each group",
            format_args!("none in group {empty}"),
        )),
    }
}

/// Sorted times of one group.
struct Group {
    starts: Vec<f64>,
    stops: Vec<f64>,
    ends: Vec<f64>,
}

impl Group {
    fn new(durations: &Durations<'_>, groups: &[u32], group: usize) -> Self {
        let rows = || (0..groups.len()).filter(|row| groups[*row] as usize == group);
        let sorted = |mut times: Vec<f64>| {
            times.sort_unstable_by(f64::total_cmp);
            times
        };
        let stop = durations.durations();
        let ended = |row: &usize| durations.event_observed()[*row];
        Group {
            starts: sorted(rows().map(|row| durations.start(row)).collect()),
            stops: sorted(rows().map(|row| stop[row]).collect()),
            ends: sorted(rows().filter(ended).map(|row| stop[row]).collect()),
        }
    }

    fn at_risk(&self, t: f64) -> usize {
        before(&self.starts, t) - before(&self.stops, t)
    }

    fn ended(&self, t: f64) -> usize {
        self.ends.partition_point(|end| *end <= t) - before(&self.ends, t)
    }
}

fn before(times: &[f64], t: f64) -> usize {
    times.partition_point(|time| *time < t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn test(days: &[f64], groups: &[u32], weights: LogRankWeights) -> Result<LogRank> {
        log_rank(
            &Durations::new(days, &vec![true; days.len()])?,
            groups,
            weights,
        )
    }

    #[test]
    fn order_of_rows_and_of_groups_does_not_matter() {
        let days = [3.0, 5.0, 5.0, 8.0, 9.0, 12.0, 12.0];
        let one = test(&days, &[0, 1, 2, 0, 1, 2, 0], LogRankWeights::Wilcoxon).unwrap();
        let other = test(&days, &[2, 0, 1, 2, 0, 1, 2], LogRankWeights::Wilcoxon).unwrap();
        assert!((one.statistic - other.statistic).abs() < 1e-12);
        assert_eq!(one.degrees_of_freedom, 2);
        let expected: f64 = one.groups.iter().map(|g| g.expected).sum();
        assert!((expected - 7.0).abs() < 1e-12);
    }

    #[test]
    fn late_entry_that_changes_nothing_changes_nothing() {
        let days = [3.0, 5.0, 5.0, 8.0, 9.0, 12.0, 12.0];
        let groups = [0, 1, 0, 0, 1, 1, 0];
        let plain = Durations::new(&days, &[true, true, false, true, true, false, true]).unwrap();
        let entered = plain.with_entry(&[0.0; 7]).unwrap();
        let weights = LogRankWeights::FlemingHarrington { p: 1.0, q: 0.5 };
        let one = log_rank(&plain, &groups, weights).unwrap();
        let other = log_rank(&entered, &groups, weights).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn mistakes_are_named() {
        let kind = |days: &[f64], groups: &[u32]| {
            test(days, groups, LogRankWeights::LogRank)
                .unwrap_err()
                .kind()
        };
        assert_eq!(kind(&[1.0, 2.0], &[0, 0]), ErrorKind::NotEnoughData);
        assert_eq!(kind(&[1.0, 2.0, 3.0], &[0, 2, 2]), ErrorKind::NotEnoughData);
        assert_eq!(
            kind(&[1.0, 2.0], &[0, 4_000_000_000]),
            ErrorKind::NotEnoughData
        );
        assert_eq!(kind(&[1.0, 2.0], &[0]), ErrorKind::LengthMismatch);
        // All end at once: nobody is ever left to compare with.
        assert_eq!(kind(&[4.0, 4.0, 4.0], &[0, 1, 1]), ErrorKind::NotEnoughData);
        let weights = LogRankWeights::FlemingHarrington { p: -1.0, q: 0.0 };
        let error = test(&[1.0, 2.0], &[0, 1], weights).unwrap_err();
        assert_eq!(error.what(), "log_rank.weights.p");
    }
}
