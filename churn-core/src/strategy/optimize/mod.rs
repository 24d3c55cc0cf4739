//! The plan of the largest expected profit that limits allow.
//!
//! The idea: each customer may get one action over one of its channel sets, or nothing; each such
//! option has an expected profit ([`value`](super::ValueSettings)) and uses up money, messages and
//! shares. To choose at most one per customer so that the sum of the profits is largest is the
//! multiple-choice knapsack problem, here with several constraints:
//!
//! maximise Σᵢ Σₒ profitᵢₒ xᵢₒ subject to Σₒ xᵢₒ ≤ 1, Σᵢ Σₒ useᵢₒ꜀ xᵢₒ ≤ limit꜀, x ∈ {0, 1}
//!
//! Lagrangian relaxation puts a price on every limit; at given prices each customer is decided
//! alone, and the dual says what no plan can exceed. Prices are found by Newton's method on a
//! smoothed dual, a plan by rounding, repair and filling, and where the problem is small a search
//! closes the gap that is left. So every answer carries its proof: profit, bound, gap. As the linear
//! relaxation has at most one undecided customer per constraint, the gap of large plans is tiny.
//!
//! Each customer is a row in order of id and all sums are taken in fixed chunks, so the plan is the
//! same for any number of threads and any order of the input.
//!
//! Sources: Kellerer, Pferschy & Pisinger (2004), Knapsack Problems, chapters 11 and 9; Fisher
//! (1981), Management Science 27(1), 1–18.
//!
//! Not for deciding the order of several contacts with one customer: that is a journey's job.

mod build;
mod curve;
mod dual;
mod primal;
mod problem;
mod schedule;
mod search;
mod solve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use build::{Kind, open_for_all, open_options};
pub(crate) use problem::Uses;

use super::allocation::{Allocation, ConstraintName, CurvePoint, Market, Price};
use super::constraints::Constraints;
use super::effects::{EffectSettings, Effects};
use super::facts::Facts;
use super::matching::Choice;
use super::plan::{NoAction, Plan};
use super::playbook::Playbook;
use super::value::{Pricing, ValueSettings, Worth};
use crate::error::{Error, Result};
use crate::math::sum::ExactSum;
use crate::progress::Progress;
use build::{Built, build};
use curve::budget_curve;
use problem::NO_ENTRY;
use schedule::schedule;
use solve::{Answer, Solution, solve};

/// Budget curves of more points are refused.
const MAX_POINTS: u32 = 1_000;

/// How a plan for profit is made.
///
/// # Example
/// ```
/// use churn_core::strategy::OptimizeSettings;
/// let settings: OptimizeSettings = churn_core::settings::from_toml("optimize", r#"
///     constraints = { budget = 2000, channels = [{ channel = "sms", max = 500 }] }
///     value = { feature = "value_365d", margin = 0.4 }
/// "#)?;
/// assert_eq!(settings.constraints.budget, Some(2000.0));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizeSettings {
    /// What is known of the changes that actions make.
    pub effects: EffectSettings,
    /// What staying is worth.
    pub value: ValueSettings,
    /// What limits the plan.
    pub constraints: Constraints,
    /// The gap between profit and bound, relative to the bound, at which the search for a better
    /// plan may stop; from 0 to 1.
    pub gap: f64,
    /// At how many budgets the budget curve is computed, from 0 (no curve) to 1,000. With other
    /// constraints than the budget each point is a plan of its own.
    pub curve_points: u32,
}

impl Default for OptimizeSettings {
    fn default() -> Self {
        OptimizeSettings {
            effects: EffectSettings::default(),
            value: ValueSettings::default(),
            constraints: Constraints::default(),
            gap: 1e-4,
            curve_points: 0,
        }
    }
}

/// Gives each customer at most one action over one of its channel sets so that the expected profit
/// of all together is as large as the constraints allow.
///
/// Open to a customer are the actions whose audience holds, with the offers that the customer may
/// have (given together, as in [`match_actions`](super::match_actions)), over the channel sets whose
/// channels are all open; priorities mean nothing here. See [`Worth`] for what an option is worth.
/// The plan has an [`Allocation`] with its proof.
///
/// # Errors
/// Those of [`Effects::new`], [`ValueSettings::stakes`] and [`Constraints::check`];
/// `InvalidParameter` for a gap or a number of points outside its domain; `Infeasible`, naming the
/// constraints, where no plan keeps them all; `Cancelled`.
///
/// # Example
/// ```
/// # use churn_core::{AsOf, Customers, Horizon};
/// # use churn_core::features::{FeatureInfo, FeatureTable};
/// # use churn_core::scoring::Scores;
/// # use churn_core::segments::Segments;
/// use churn_core::progress::Progress;
/// use churn_core::strategy::{Facts, OptimizeSettings, Playbook, optimize};
/// # let customers = Customers::from_ints([1, 2]);
/// # let as_of = AsOf::parse("2011-12-10")?;
/// # let infos = ["orders", "monetary_score", "value_365d"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let table = FeatureTable::from_columns(customers.clone(), as_of, infos.to_vec(), vec![9.0, 1.0, 5.0, 2.0, 4000.0, 90.0])?;
/// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.2], vec![], vec![])?;
/// # let labels = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
/// # let tiers = Segments::new("risk_tier", customers.clone(), as_of, labels(&["low", "medium", "high"]), vec![2, 0])?;
/// # let rfm = Segments::new("rfm_segment", customers, as_of, labels(&["cant_lose", "hibernating"]), vec![0, 1])?;
/// let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
/// let playbook = Playbook::default_for(facts.vocabulary())?;
/// let plan = optimize(&playbook, &facts, &OptimizeSettings::default(), &Progress::none())?;
/// let allocation = plan.allocation().unwrap();
/// assert!(allocation.profit() > 0.0 && allocation.gap() <= 1e-4);
/// assert_eq!(plan.action(1), None, "no action pays for who would stay anyway");
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn optimize(
    playbook: &Playbook,
    facts: &Facts<'_>,
    settings: &OptimizeSettings,
    progress: &Progress<'_>,
) -> Result<Plan> {
    let effects = Effects::new(playbook, facts, &settings.effects)?;
    optimize_with(effects, facts, settings, progress)
}

/// As [`optimize`], with effects that hold uplift estimates or come from elsewhere;
/// `settings.effects` is not looked at.
///
/// # Errors
/// As [`optimize`]; `Misaligned` for effects of other customers or another instant.
pub fn optimize_with(
    effects: Effects,
    facts: &Facts<'_>,
    settings: &OptimizeSettings,
    progress: &Progress<'_>,
) -> Result<Plan> {
    effects.check_same(facts)?;
    if !(0.0..=1.0).contains(&settings.gap) {
        return Err(Error::invalid_parameter("gap", "0 to 1", settings.gap));
    }
    if settings.curve_points > MAX_POINTS {
        return Err(Error::invalid_parameter(
            "curve_points",
            format_args!("0 to {MAX_POINTS}"),
            settings.curve_points,
        ));
    }
    let constraints = &settings.constraints;
    let resolved = constraints.resolve(effects.playbook(), facts)?;
    let pricing = Pricing {
        stakes: settings.value.stakes(facts)?,
        margin: settings.value.margin,
        effects,
    };
    let step = progress.step("optimize.prices", 200);
    let with_budget = constraints.budget.is_some() || settings.curve_points > 0;
    let mut built = build(&pricing, facts, constraints, &resolved, with_budget)?;
    let mut solution = match solve(&built.problem, settings.gap, &step)? {
        Answer::Plan(solution) => solution,
        Answer::Conflict(set) => return Err(infeasible(&built, &set, "cannot be kept together")),
        Answer::NotFound(set) => {
            return Err(infeasible(
                &built,
                &set,
                "leave no plan that could be found",
            ));
        }
    };
    let days = place(&built, &pricing, constraints, &mut solution)?;
    let points = settings.curve_points as usize;
    let curve = budget_curve(&mut built.problem, points, settings.gap, &step)?;
    let curve = curve.into_iter().map(|point| CurvePoint {
        budget: point.budget,
        profit: point.gain,
        bound: point.bound,
        price: point.price,
    });
    let curve = curve.collect();
    Ok(answer(
        built, solution, pricing, resolved, facts, days, curve,
    ))
}

/// Days for the chosen customers.
fn place(
    built: &Built,
    pricing: &Pricing,
    constraints: &Constraints,
    solution: &mut Solution,
) -> Result<Vec<i32>> {
    let problem = &built.problem;
    let daily = constraints
        .channels
        .iter()
        .any(|limit| limit.max_per_day.is_some());
    if !daily {
        let day = |entry: &u32| {
            if *entry == NO_ENTRY {
                schedule::NO_DAY
            } else {
                0
            }
        };
        return Ok(solution.entries.iter().map(day).collect());
    }
    let entries = &mut solution.entries;
    let days = schedule(
        problem,
        &built.kinds,
        &pricing.effects,
        constraints,
        entries,
    );
    solution.used = problem.used(entries);
    solution.gain = problem.gain(entries);
    let broken = (0..problem.limits.len()).filter(|c| problem.breach(*c, solution.used[*c]) > 0.0);
    let mut broken: Vec<usize> = broken.collect();
    if broken.is_empty() {
        return Ok(days);
    }
    let daily = |c: &usize| built.names[*c].place.ends_with(".max_per_day");
    broken.extend((0..problem.limits.len()).filter(daily));
    Err(infeasible(
        built,
        &broken,
        "leave no day on which all channels have room",
    ))
}

fn infeasible(built: &Built, set: &[usize], why: &str) -> Error {
    let describe = |name: &ConstraintName| format!("{} ({})", name.place, name.subject);
    let names: Vec<String> = set.iter().map(|c| describe(&built.names[*c])).collect();
    let place = set
        .first()
        .map_or("constraints", |c| built.names[*c].place.as_str());
    let got = names.join(" and ");
    if names.len() == 1 {
        let got = format!("{got}, which no plan keeps");
        return Error::infeasible(place, "a limit that the customers' options allow", got);
    }
    let got = format!("{got}, which {why}");
    Error::infeasible(place, "limits that some plan keeps together", got)
}

fn answer(
    built: Built,
    solution: Solution,
    pricing: Pricing,
    resolved: super::constraints::Resolved,
    facts: &Facts<'_>,
    days: Vec<i32>,
    curve: Vec<CurvePoint>,
) -> Plan {
    let Built {
        problem,
        kinds,
        names,
        mut closed,
    } = built;
    let n = solution.entries.len();
    let mut choices = Vec::with_capacity(n);
    let (mut profits, mut changes) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let mut sources = Vec::with_capacity(n);
    let (mut profit, mut spent, mut chosen) = (ExactSum::default(), ExactSum::default(), 0);
    for (row, entry) in solution.entries.iter().enumerate() {
        if *entry == NO_ENTRY {
            closed[row] = closed[row].or(Some(NoAction::Outbid));
            choices.push(Choice::none());
            profits.push(0.0);
            changes.push(0.0);
            sources.push(None);
            continue;
        }
        let (action, set, offers) = &kinds[usize::from(problem.kinds[*entry as usize])];
        let worth: Worth = pricing.worth(facts, row, *action, *set, offers);
        choices.push(Choice {
            action: *action as i32,
            channel_set: *set as i32,
            response: worth.response,
            contact_cost: worth.contact_cost,
            offer_cost: worth.offer_cost,
        });
        profit.add(worth.profit);
        spent.add(worth.cost());
        chosen += 1;
        profits.push(worth.profit);
        changes.push(worth.change);
        sources.push(Some(worth.source));
    }
    let proven = solution.bound <= solution.gain;
    let profit = profit.value();
    let prices = names.iter().enumerate().map(|(c, name)| {
        let sign = if name.is_minimum { -1.0 } else { 1.0 };
        Price {
            constraint: name.place.clone(),
            subject: name.subject.clone(),
            is_minimum: name.is_minimum,
            limit: unsigned(sign * problem.limits[c].limit),
            used: unsigned(sign * solution.used[c]),
            price: solution.duals[c],
        }
    });
    // A budget that was added for the curve alone is no constraint of the plan.
    let prices: Vec<Price> = prices.filter(|price| price.limit < f64::MAX).collect();
    let playbook = pricing.effects.playbook().clone();
    let rules = pricing.effects.rules().clone();
    let allocation = Allocation {
        currency: playbook.currency.clone(),
        profit,
        bound: if proven {
            profit
        } else {
            solution.bound.max(profit)
        },
        spent: spent.value(),
        chosen,
        passes: solution.passes,
        prices,
        curve,
        profits,
        changes,
        sources,
        days,
        closed,
        market: Market {
            pricing,
            resolved,
            kinds: kinds
                .into_iter()
                .zip(0..)
                .collect::<BTreeMap<Kind, usize>>(),
            kind_uses: problem.kind_uses,
            class_uses: problem.class_uses,
            classes: problem.classes,
            budget: problem.budget,
            duals: solution.duals,
            subjects: names.into_iter().map(|name| name.subject).collect(),
        },
    };
    Plan::new(playbook, rules, facts, &choices, Some(allocation))
}

/// No negative zero.
fn unsigned(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}
