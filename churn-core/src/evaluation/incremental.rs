//! What a campaign was worth: those who were contacted beside those who were held out.

use serde::{Deserialize, Serialize};

use super::experiment::{
    Arms, ComparisonSettings, Estimate, Outcome, SampleRatio, compare, sample_ratio,
};
use super::exposures::{ExposureOutcomes, Exposures};
use crate::error::{Error, Result};

/// How the value of a campaign is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncrementalSettings {
    /// Share of revenue that is profit before the costs of the campaign. Default 0.3.
    pub margin: f64,
    /// Probability with which intervals hold. Default 0.95.
    pub confidence: f64,
    /// Planned share of customers held out; none = not checked.
    pub held_out_share: Option<f64>,
    /// Takes out what the time before explains (CUPED). Default true.
    pub use_the_past: bool,
}

impl Default for IncrementalSettings {
    fn default() -> Self {
        IncrementalSettings {
            margin: 0.3,
            confidence: 0.95,
            held_out_share: None,
            use_the_past: true,
        }
    }
}

/// A total with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Total {
    fn of(estimate: &Estimate, times: f64) -> Self {
        Total {
            value: estimate.value * times,
            low: estimate.low * times,
            high: estimate.high * times,
        }
    }

    fn minus(self, cost: f64) -> Self {
        Total {
            value: self.value - cost,
            low: self.low - cost,
            high: self.high - cost,
        }
    }
}

/// What contacting changed, in total over those who were contacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incremental {
    /// Customers contacted.
    pub treated: usize,
    /// Customers held out.
    pub held_out: usize,
    /// Share of the held out who bought: what would have happened anyway.
    pub baseline_retention: f64,
    /// Change of the share who bought.
    pub retention: Estimate,
    /// Customers kept who would have left.
    pub kept: Total,
    /// Orders that would not have been.
    pub orders: Total,
    /// Revenue that would not have been.
    pub revenue: Total,
    /// What contacts and offers cost.
    pub cost: f64,
    /// Revenue × margin − cost.
    pub profit: Total,
    /// Cost per kept customer; none where the estimate of the kept is not positive.
    pub cost_per_kept: Option<f64>,
    /// Margin earned per money spent; none where nothing was spent.
    pub return_on_spend: Option<Total>,
}

impl Incremental {
    /// The answer in one sentence.
    pub fn sentence(&self, confidence: f64) -> String {
        let percent = confidence * 100.0;
        let mut text = format!(
            "this campaign kept {:.0} customers, {percent:.0} % interval {:.0} to {:.0}",
            self.kept.value, self.kept.low, self.kept.high
        );
        if let Some(earned) = self.return_on_spend {
            text.push_str(&format!(", and earned {:.1} per 1 spent", earned.value));
        }
        text
    }
}

/// An effect, or why there is none to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// What was found.
    Known(Box<Incremental>),
    /// Effect unknown, and why.
    Unknown(String),
}

/// One group of a breakdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupFinding {
    /// Name of the group.
    pub group: String,
    /// Its effect.
    pub finding: Finding,
}

/// Answer of [`incremental`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncrementalReport {
    /// Whether the hold-out has its planned size; none where no plan was stated.
    pub sample_ratio: Option<SampleRatio>,
    /// Everybody.
    pub total: Finding,
    /// Each group of the breakdown, in order of name; empty without one.
    pub groups: Vec<GroupFinding>,
    /// Customers left out because their horizon is not over.
    pub open: usize,
}

/// Compares contacted with held-out customers.
///
/// `exposures` must have two arms: the hold-out as control, the contacted as the other. `cost` is
/// what each customer cost (0 for the held out). `group` names a segment or channel for *every*
/// customer, also for the held out: what they would have been sent. A breakdown by what only the
/// contacted have says nothing.
///
/// Shape: `cost` and `group` hold one value per customer of `exposures`.
///
/// # Errors
/// `InvalidParameter` for settings outside their domains or other than two arms;
/// `LengthMismatch`; `InvalidValue`, naming the row, for a cost that is negative or not finite.
pub fn incremental(
    exposures: &Exposures,
    outcomes: &ExposureOutcomes,
    cost: &[f64],
    group: Option<&[String]>,
    settings: &IncrementalSettings,
) -> Result<IncrementalReport> {
    check(settings)?;
    let n = exposures.customers().len();
    if outcomes.arms.names().len() != 2 {
        return Err(Error::invalid_parameter(
            "incremental.arms",
            "two arms: held out and contacted",
            outcomes.arms.names().len(),
        ));
    }
    if cost.len() != n {
        return Err(Error::length_mismatch("incremental.cost", n, cost.len()));
    }
    if let Some(row) = cost.iter().position(|c| !(c.is_finite() && *c >= 0.0)) {
        return Err(Error::invalid_value(
            "incremental.cost",
            row,
            "a finite number not below 0",
            cost[row],
        ));
    }
    let cost: Vec<f64> = outcomes.rows.iter().map(|row| cost[*row]).collect();
    let everybody: Vec<usize> = (0..outcomes.rows.len()).collect();
    let groups = match group {
        None => Vec::new(),
        Some(group) if group.len() != n => {
            return Err(Error::length_mismatch("incremental.group", n, group.len()));
        }
        Some(group) => {
            let group: Vec<Option<&str>> = group.iter().map(|name| Some(name.as_str())).collect();
            find_groups(outcomes, &cost, &group, settings)?
        }
    };
    let sample_ratio = match settings.held_out_share {
        Some(share) => Some(sample_ratio(&outcomes.arms, &[share, 1.0 - share])?),
        None => None,
    };
    Ok(IncrementalReport {
        sample_ratio,
        total: find(outcomes, &cost, &everybody, settings)?,
        groups,
        open: outcomes.open,
    })
}

/// The finding of each group, in order of name; `group` names that of each customer of the exposures,
/// `cost` has the rows of the outcomes.
pub(super) fn find_groups(
    outcomes: &ExposureOutcomes,
    cost: &[f64],
    group: &[Option<&str>],
    settings: &IncrementalSettings,
) -> Result<Vec<GroupFinding>> {
    let mut names: Vec<&str> = group.iter().copied().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let finding = |name: &&str| {
        let inside = |i: &usize| group[outcomes.rows[*i]] == Some(*name);
        let members: Vec<usize> = (0..outcomes.rows.len()).filter(inside).collect();
        Ok(GroupFinding {
            group: (*name).to_owned(),
            finding: find(outcomes, cost, &members, settings)?,
        })
    };
    names.iter().map(finding).collect()
}

pub(super) fn check(settings: &IncrementalSettings) -> Result<()> {
    let within = |what: &str, value: f64, open: bool| {
        let inside = if open {
            value > 0.0 && value < 1.0
        } else {
            (0.0..=1.0).contains(&value)
        };
        if inside {
            return Ok(());
        }
        Err(Error::invalid_parameter(
            format!("incremental.{what}"),
            "a number between 0 and 1",
            value,
        ))
    };
    within("margin", settings.margin, false)?;
    within("confidence", settings.confidence, true)?;
    settings
        .held_out_share
        .map_or(Ok(()), |share| within("held_out_share", share, true))
}

/// The effect among some customers; unknown where one of the arms is too small to compare.
pub(super) fn find(
    outcomes: &ExposureOutcomes,
    cost: &[f64],
    members: &[usize],
    settings: &IncrementalSettings,
) -> Result<Finding> {
    let codes: Vec<u32> = members.iter().map(|i| outcomes.arms.codes()[*i]).collect();
    let treated = codes.iter().filter(|code| **code == 1).count();
    let held_out = codes.len() - treated;
    if held_out < 2 || treated < 2 {
        let (what, count) = if held_out < 2 {
            ("held out", held_out)
        } else {
            ("contacted", treated)
        };
        return Ok(Finding::Unknown(format!(
            "effect unknown: {count} customers {what}, and at least 2 are needed"
        )));
    }
    let arms = Arms::from_codes(outcomes.arms.names().to_vec(), codes)?;
    let of = |column: &[f64]| -> Vec<f64> { members.iter().map(|i| column[*i]).collect() };
    let mut comparison = ComparisonSettings {
        confidence: settings.confidence,
        ..ComparisonSettings::default()
    };
    comparison.bootstrap.draws = 0;
    let effect = |column: &[f64], before: Option<&[f64]>, kind| -> Result<Estimate> {
        let before = before.filter(|_| settings.use_the_past).map(of);
        // A past without variation explains nothing, which is no mistake here.
        let varies = |arm: u32| {
            let past = before.as_deref().unwrap_or_default();
            let mut of_arm = arms
                .codes()
                .iter()
                .zip(past)
                .filter(|(c, _)| **c == arm)
                .map(|(_, v)| v);
            let first = of_arm.next();
            of_arm.any(|v| Some(v) != first)
        };
        let useful = varies(0) || varies(1);
        let covariates: Vec<&[f64]> = before.as_deref().filter(|_| useful).into_iter().collect();
        let result = compare(&arms, &of(column), kind, &covariates, &comparison)?;
        Ok(result.effects[0].difference)
    };
    let retention = effect(&outcomes.bought, None, Outcome::Binary)?;
    let orders = effect(
        &outcomes.orders,
        Some(&outcomes.orders_before),
        Outcome::Count,
    )?;
    let revenue = effect(
        &outcomes.revenue,
        Some(&outcomes.revenue_before),
        Outcome::Money,
    )?;
    let spent: f64 = of(cost).iter().sum();
    let times = treated as f64;
    let margin = Total::of(&revenue, times * settings.margin);
    let kept = Total::of(&retention, times);
    let baseline = arms
        .codes()
        .iter()
        .zip(of(&outcomes.bought))
        .filter(|(code, _)| **code == 0)
        .map(|(_, bought)| bought)
        .sum::<f64>();
    Ok(Finding::Known(Box::new(Incremental {
        treated,
        held_out,
        baseline_retention: baseline / held_out as f64,
        retention,
        kept,
        orders: Total::of(&orders, times),
        revenue: Total::of(&revenue, times),
        cost: spent,
        profit: margin.minus(spent),
        cost_per_kept: (kept.value > 0.0).then(|| spent / kept.value),
        return_on_spend: (spent > 0.0).then(|| Total {
            value: margin.value / spent,
            low: margin.low / spent,
            high: margin.high / spent,
        }),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventLog;
    use crate::events::{Cleaning, EventColumns, EventKind};
    use crate::math::random::Random;
    use crate::time::{Horizon, TimeUnit, Timestamp};

    /// 4,000 customers with a purchase of 100 each; the campaign brings back one in ten more.
    fn campaign(hold_out: f64) -> (Exposures, ExposureOutcomes, Vec<f64>, Vec<String>) {
        let mut random = Random::new(9, 0);
        let (mut ids, mut days) = (Vec::new(), Vec::new());
        let (mut customers, mut arm, mut cost, mut group) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for id in 0..4_000_i64 {
            ids.push(id);
            days.push(1 + id % 50);
            let held = random.chance(hold_out);
            let high = id % 2 == 0;
            let rate = 0.2 + if held || !high { 0.0 } else { 0.2 };
            if random.chance(rate) {
                ids.push(id);
                days.push(105 + id % 20);
            }
            customers.push(id);
            arm.push(if held { "held out" } else { "contacted" });
            cost.push(if held { 0.0 } else { 1.0 });
            group.push(if high { "high" } else { "low" }.to_owned());
        }
        let values = vec![100.0; ids.len()];
        let columns =
            EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::Purchase).with_values(&values);
        let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
        let day_100 = vec![Timestamp::parse("1970-04-11").unwrap(); customers.len()];
        let exposures = Exposures::new(&customers, &arm, &day_100, "held out").unwrap();
        let until = crate::time::AsOf::new(Timestamp::parse("1970-07-20").unwrap());
        let outcomes = exposures
            .outcomes(&log, Horizon::days(30).unwrap(), Some(until))
            .unwrap();
        (exposures, outcomes, cost, group)
    }

    #[test]
    fn a_known_effect_is_found_where_it_is() {
        let (exposures, outcomes, cost, group) = campaign(0.5);
        let settings = IncrementalSettings {
            held_out_share: Some(0.5),
            ..Default::default()
        };
        let report = incremental(&exposures, &outcomes, &cost, Some(&group), &settings).unwrap();
        assert!(!report.sample_ratio.unwrap().mismatch);
        let Finding::Known(total) = &report.total else {
            panic!("{:?}", report.total)
        };
        let truth = total.treated as f64 * 0.1;
        assert!(
            total.kept.low < truth && truth < total.kept.high,
            "{total:?}"
        );
        assert!(total.profit.value > 0.0 && total.return_on_spend.unwrap().low > 1.0);
        assert!(total.sentence(0.95).starts_with("this campaign kept "));
        let effects: Vec<f64> = report
            .groups
            .iter()
            .map(|g| match &g.finding {
                Finding::Known(found) => found.retention.value,
                Finding::Unknown(why) => panic!("{why}"),
            })
            .collect();
        assert!(
            (effects[0] - 0.2).abs() < 0.05 && effects[1].abs() < 0.05,
            "{effects:?}"
        );
    }

    #[test]
    fn without_a_hold_out_the_effect_is_unknown() {
        let (exposures, outcomes, cost, _) = campaign(0.5);
        // A group that holds one arm only has nothing to be compared with.
        let group: Vec<String> = exposures
            .arms()
            .codes()
            .iter()
            .map(u32::to_string)
            .collect();
        let report = incremental(
            &exposures,
            &outcomes,
            &cost,
            Some(&group),
            &IncrementalSettings::default(),
        )
        .unwrap();
        for found in report.groups {
            assert!(
                matches!(&found.finding, Finding::Unknown(why) if why.starts_with("effect unknown")),
                "{found:?}"
            );
        }
    }
}
