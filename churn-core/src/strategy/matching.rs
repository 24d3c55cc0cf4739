//! Matching: the action, the offers and the channels of each customer.

use rayon::prelude::*;

use super::conditions::Values;
use super::facts::Facts;
use super::plan::{NONE, Plan};
use super::playbook::Playbook;
use super::rules::Rules;
use crate::error::{Error, Result};

/// What was chosen for one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    /// Position of the action in the playbook, [`NONE`] where there is none.
    pub(crate) action: i32,
    /// Position of the channel set in the action, [`NONE`] where there is none.
    pub(crate) channel_set: i32,
    /// Chance that the customer answers at least once.
    pub(crate) response: f64,
    /// Cost of contacting the customer once over each channel of the set.
    pub(crate) contact_cost: f64,
    /// Cost of the offers, times the chance of a response.
    pub(crate) offer_cost: f64,
}

/// How well one channel set does for one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prospect {
    pub(crate) response: f64,
    pub(crate) contact_cost: f64,
    /// `response_value × response − contact_cost`, where the action has a response value.
    pub(crate) worth: Option<f64>,
}

impl Prospect {
    /// Whether it is strictly better than another set of the same action.
    fn beats(&self, other: &Prospect) -> bool {
        match (self.worth, other.worth) {
            (Some(mine), Some(theirs)) => mine > theirs,
            _ => {
                self.response > other.response
                    || self.response == other.response && self.contact_cost < other.contact_cost
            }
        }
    }
}

/// Gives each customer an action of the playbook, or none.
///
/// Of the actions whose audience the customer belongs to, the one of the highest priority (the
/// first in the playbook where equal) that has an offer the customer may have and a channel set
/// whose channels are all open. All its offers that the customer may have are given, except those
/// in conflict with one listed before. Of the open channel sets the one with the largest
/// `response_value × P − cost of the contacts` is taken, the first in the action where equal,
/// where `P = 1 − Π (1 − rate)` over the channels of the set: the chance of at least one response
/// if channels are answered independently. A rate is the customer's own from the feature
/// `{channel}_response_rate`, or the channel's prior response where that is missing or undefined.
/// Without a response value, the set with the largest `P` is taken, the cheaper where equal.
///
/// Each customer is judged alone, so the result does not depend on the other rows or on the
/// number of threads.
///
/// # Errors
/// Those of [`Playbook::check`] against the names of these facts; `InvalidValue` for a response
/// rate outside \[0, 1\], naming the feature and the row.
///
/// # Example
/// ```
/// # use churn_core::{AsOf, Customers, Horizon};
/// # use churn_core::features::{FeatureInfo, FeatureTable};
/// # use churn_core::scoring::Scores;
/// # use churn_core::segments::Segments;
/// use churn_core::strategy::{Facts, Playbook, match_actions};
/// use churn_core::text::Language;
/// # let customers = Customers::from_ints([1, 2]);
/// # let as_of = AsOf::parse("2011-12-10")?;
/// # let infos = ["orders", "monetary_score"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let table = FeatureTable::from_columns(customers.clone(), as_of, infos.to_vec(), vec![9.0, 1.0, 5.0, 2.0])?;
/// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.2], vec![], vec![])?;
/// # let labels = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
/// # let tiers = Segments::new("risk_tier", customers.clone(), as_of, labels(&["low", "medium", "high"]), vec![2, 0])?;
/// # let rfm = Segments::new("rfm_segment", customers, as_of, labels(&["cant_lose", "hibernating"]), vec![0, 1])?;
/// let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
/// let playbook = Playbook::default_for(facts.vocabulary())?;
/// let plan = match_actions(&playbook, &facts)?;
/// assert_eq!(plan.action(0).unwrap().id, "vip_rescue");
/// assert_eq!(plan.channels(0), ["phone", "one_to_one"]);
/// assert!(plan.why(0, Language::English).contains("risk_tier is high"));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn match_actions(playbook: &Playbook, facts: &Facts<'_>) -> Result<Plan> {
    let rules = Rules::new(playbook, facts.vocabulary())?;
    check_rates(&rules, facts)?;
    let choices: Vec<Choice> = (0..facts.customers().len())
        .into_par_iter()
        .map_init(Vec::new, |given, row| {
            choose(playbook, &rules, facts, row, given)
        })
        .collect();
    Ok(Plan::new(playbook.clone(), rules, facts, &choices))
}

fn check_rates(rules: &Rules, facts: &Facts<'_>) -> Result<()> {
    for number in rules.channels.iter().filter_map(|channel| channel.rate) {
        let rates = facts.column(number);
        let wrong = |rate: &f64| !(rate.is_nan() || (0.0..=1.0).contains(rate));
        if let Some(row) = rates.iter().position(wrong) {
            return Err(Error::invalid_value(
                format!("table.{}", facts.vocabulary().numbers()[number].name),
                row,
                "a response rate from 0 to 1",
                rates[row],
            ));
        }
    }
    Ok(())
}

fn choose(
    playbook: &Playbook,
    rules: &Rules,
    values: &impl Values,
    row: usize,
    given: &mut Vec<usize>,
) -> Choice {
    for &action in &rules.order {
        if !rules.actions[action].audience.holds(values, row) {
            continue;
        }
        rules.offers_for(action, values, row, given);
        if given.is_empty() {
            continue;
        }
        let mut best: Option<(usize, Prospect)> = None;
        for (set, channels) in rules.actions[action].channel_sets.iter().enumerate() {
            if !rules.is_open(channels, values, row) {
                continue;
            }
            let prospect = prospect(playbook, rules, action, channels, values, row);
            if best.as_ref().is_none_or(|(_, best)| prospect.beats(best)) {
                best = Some((set, prospect));
            }
        }
        if let Some((set, prospect)) = best {
            let offers: f64 = given.iter().map(|o| playbook.offers[*o].cost).sum();
            return Choice {
                action: action as i32,
                channel_set: set as i32,
                response: prospect.response,
                contact_cost: prospect.contact_cost,
                offer_cost: prospect.response * offers,
            };
        }
    }
    Choice {
        action: NONE,
        channel_set: NONE,
        response: 0.0,
        contact_cost: 0.0,
        offer_cost: 0.0,
    }
}

/// The rate at which a customer answers a channel, and whether it is the customer's own.
pub(crate) fn rate(
    playbook: &Playbook,
    rules: &Rules,
    channel: usize,
    values: &impl Values,
    row: usize,
) -> (f64, bool) {
    let own = rules.channels[channel]
        .rate
        .map(|number| values.number(number, row))
        .filter(|rate| !rate.is_nan());
    match own {
        Some(rate) => (rate, true),
        None => (playbook.channels[channel].prior_response, false),
    }
}

/// What a channel set promises for one customer.
pub(crate) fn prospect(
    playbook: &Playbook,
    rules: &Rules,
    action: usize,
    channels: &[usize],
    values: &impl Values,
    row: usize,
) -> Prospect {
    let mut silence = 1.0;
    let mut contact_cost = 0.0;
    for &channel in channels {
        silence *= 1.0 - rate(playbook, rules, channel, values, row).0;
        contact_cost += playbook.channels[channel].cost;
    }
    let response = 1.0 - silence;
    let value = playbook.actions[action].response_value;
    Prospect {
        response,
        contact_cost,
        worth: value.map(|value| value * response - contact_cost),
    }
}
