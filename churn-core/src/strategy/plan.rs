//! The plan: one action per customer, or none, with channels, expected response and costs.

use std::fmt;
use std::sync::Arc;

use super::allocation::Allocation;
use super::conditions::{Values, Vocabulary};
use super::facts::Facts;
use super::matching::Choice;
use super::playbook::{Action, Offer, Playbook};
use super::rules::Rules;
use crate::customers::Customers;
use crate::math::sum::ExactSum;
use crate::text::Text;
use crate::time::{AsOf, Horizon};

/// Code of customers without an action in [`Plan::action_codes`] and [`Plan::channel_set_codes`].
pub const NONE: i32 = -1;

/// Why a customer has no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoAction {
    /// No audience holds for the customer.
    NoAudience,
    /// Some audience holds, but no such action has both an offer that the customer may have and a
    /// channel set that is open to the customer.
    NothingOpen,
    /// What is open costs more than it brings. Only where a plan is made for profit.
    Unprofitable,
    /// What is open would pay, but others bring more with what is limited.
    Outbid,
    /// The value at stake is not known.
    UnknownValue,
    /// On the list, or meets the condition, of those who get nothing.
    Excluded,
    /// Left alone for comparison.
    HeldOut,
}

impl NoAction {
    /// The name, e.g. `no_audience`.
    pub fn name(self) -> &'static str {
        match self {
            NoAction::NoAudience => "no_audience",
            NoAction::NothingOpen => "nothing_open",
            NoAction::Unprofitable => "unprofitable",
            NoAction::Outbid => "outbid",
            NoAction::UnknownValue => "unknown_value",
            NoAction::Excluded => "excluded",
            NoAction::HeldOut => "held_out",
        }
    }
}

/// What is done for each customer: made by [`match_actions`](super::match_actions), or for profit
/// by [`optimize`](super::optimize).
///
/// Shape: one row per customer. A plan keeps the values that the playbook looked at, so
/// [`why`](Self::why) explains every row without the tables it was made from.
#[derive(Clone)]
pub struct Plan {
    pub(crate) customers: Customers,
    as_of: AsOf,
    horizon: Horizon,
    pub(crate) playbook: Playbook,
    pub(crate) rules: Rules,
    pub(crate) evidence: Evidence,
    actions: Vec<i32>,
    channel_sets: Vec<i32>,
    expected_response: Vec<f64>,
    contact_cost: Vec<f64>,
    offer_cost: Vec<f64>,
    pub(crate) allocation: Option<Arc<Allocation>>,
}

/// The values that the rules read, at the positions of the vocabulary; what they do not read is
/// left empty.
#[derive(Clone)]
pub(crate) struct Evidence {
    pub(crate) vocabulary: Vocabulary,
    numbers: Vec<Vec<f64>>,
    codes: Vec<Vec<u32>>,
}

impl Values for Evidence {
    #[inline]
    fn number(&self, number: usize, row: usize) -> f64 {
        self.numbers[number][row]
    }

    #[inline]
    fn code(&self, segmentation: usize, row: usize) -> u32 {
        self.codes[segmentation][row]
    }
}

impl Plan {
    pub(crate) fn new(
        playbook: Playbook,
        rules: Rules,
        facts: &Facts<'_>,
        choices: &[Choice],
        allocation: Option<Allocation>,
    ) -> Self {
        let vocabulary = facts.vocabulary().clone();
        let mut numbers = vec![Vec::new(); vocabulary.numbers().len()];
        let mut codes = vec![Vec::new(); vocabulary.segmentations().len()];
        let mut reads = rules.reads();
        if let Some(allocation) = &allocation {
            allocation.reads(&mut reads);
        }
        for (is_segmentation, position) in reads {
            if is_segmentation {
                codes[position] = facts.codes(position).to_vec();
            } else {
                numbers[position] = facts.column(position).to_vec();
            }
        }
        Plan {
            customers: facts.customers().clone(),
            as_of: facts.as_of(),
            horizon: facts.scores().horizon(),
            playbook,
            rules,
            evidence: Evidence {
                vocabulary,
                numbers,
                codes,
            },
            actions: choices.iter().map(|c| c.action).collect(),
            channel_sets: choices.iter().map(|c| c.channel_set).collect(),
            expected_response: choices.iter().map(|c| c.response).collect(),
            contact_cost: choices.iter().map(|c| c.contact_cost).collect(),
            offer_cost: choices.iter().map(|c| c.offer_cost).collect(),
            allocation: allocation.map(Arc::new),
        }
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant that the plan is made for.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// How far the churn probabilities behind it look ahead of `as_of`.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// The playbook that was matched; codes of the plan are positions in it.
    pub fn playbook(&self) -> &Playbook {
        &self.playbook
    }

    /// Position of each customer's action in `playbook().actions`, [`NONE`] where there is none.
    pub fn action_codes(&self) -> &[i32] {
        &self.actions
    }

    /// Position of each customer's channels in the action's `channel_sets`, [`NONE`] where there
    /// is no action.
    pub fn channel_set_codes(&self) -> &[i32] {
        &self.channel_sets
    }

    /// Chance that each customer answers at least once, in \[0, 1\]; 0 without an action.
    pub fn expected_response(&self) -> &[f64] {
        &self.expected_response
    }

    /// Cost of one contact over each chosen channel (currency of the playbook); 0 without an
    /// action.
    pub fn contact_cost(&self) -> &[f64] {
        &self.contact_cost
    }

    /// Expected cost of the offers: their cost times the chance that it is paid, which is that of a
    /// response unless the plan is made for profit (currency of the playbook); 0 without an action.
    pub fn offer_cost(&self) -> &[f64] {
        &self.offer_cost
    }

    /// Profit, prices and proof, where the plan is made for profit.
    pub fn allocation(&self) -> Option<&Allocation> {
        self.allocation.as_deref()
    }

    pub(crate) fn action_position(&self, row: usize) -> Option<usize> {
        usize::try_from(self.actions[row]).ok()
    }

    pub(crate) fn channel_set_position(&self, row: usize) -> Option<usize> {
        usize::try_from(self.channel_sets[row]).ok()
    }

    /// The action of one customer.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn action(&self, row: usize) -> Option<&Action> {
        let action = self.action_position(row)?;
        Some(&self.playbook.actions[action])
    }

    /// Why one customer has no action; `None` where there is one.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn no_action(&self, row: usize) -> Option<NoAction> {
        if self.action_position(row).is_some() {
            return None;
        }
        if let Some(allocation) = &self.allocation {
            return allocation.no_action(row);
        }
        let mut actions = self.rules.actions.iter();
        match actions.any(|action| action.audience.holds(&self.evidence, row)) {
            true => Some(NoAction::NothingOpen),
            false => Some(NoAction::NoAudience),
        }
    }

    /// The offers that one customer is given, in the order of the action.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn offers(&self, row: usize) -> Vec<&Offer> {
        let mut given = Vec::new();
        if let Some(action) = self.action_position(row) {
            self.rules
                .offers_for(action, &self.evidence, row, &mut given);
        }
        given.iter().map(|o| &self.playbook.offers[*o]).collect()
    }

    /// The ids of the channels that one customer is contacted over; empty without an action.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn channels(&self, row: usize) -> &[String] {
        match (self.action(row), self.channel_set_position(row)) {
            (Some(action), Some(set)) => &action.channel_sets[set],
            _ => &[],
        }
    }

    /// The action, channels and offers that the plan means for one customer: those that the customer
    /// gets, or, of one who is held out, those that the customer would have got at the prices of what
    /// is limited. So that journeys take customers of both sides the same way, and a comparison of
    /// the two is one. `None` where the plan means nothing for the customer.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn intended(&self, row: usize) -> Option<(&Action, &[String], Vec<&Offer>)> {
        let (action, set, offers) = self.intent(row)?;
        let action = &self.playbook.actions[action];
        let offers = offers.iter().map(|o| &self.playbook.offers[*o]).collect();
        Some((action, &action.channel_sets[set], offers))
    }

    /// The same by position in the playbook.
    pub(crate) fn intent(&self, row: usize) -> Option<(usize, usize, Vec<usize>)> {
        if let (Some(action), Some(set)) =
            (self.action_position(row), self.channel_set_position(row))
        {
            let mut given = Vec::new();
            self.rules
                .offers_for(action, &self.evidence, row, &mut given);
            return Some((action, set, given));
        }
        let allocation = self.allocation.as_ref()?;
        if allocation.no_action(row) != Some(NoAction::HeldOut) {
            return None;
        }
        let option = allocation.would_be(&self.evidence, row)?;
        Some((option.action, option.set, option.offers))
    }

    /// Customers, expected responses and costs per action.
    pub fn summary(&self) -> PlanSummary {
        let n = self.customers.len();
        let mut totals = vec![Totals::default(); self.playbook.actions.len() + 1];
        for row in 0..n {
            let action = self.action_position(row);
            let total = &mut totals[action.unwrap_or(self.playbook.actions.len())];
            total.customers += 1;
            total.responses.add(self.expected_response[row]);
            total.contact_cost.add(self.contact_cost[row]);
            total.offer_cost.add(self.offer_cost[row]);
        }
        let without_action = totals.pop().unwrap_or_default().customers;
        let rows = self.playbook.actions.iter().zip(&totals);
        PlanSummary {
            as_of: self.as_of,
            currency: self.playbook.currency.clone(),
            customers: n,
            without_action,
            actions: rows
                .map(|(action, total)| ActionSummary {
                    action: action.id.clone(),
                    name: action.name.clone(),
                    customers: total.customers,
                    share: share(total.customers, n),
                    expected_responses: total.responses.value(),
                    contact_cost: total.contact_cost.value(),
                    offer_cost: total.offer_cost.value(),
                })
                .collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    customers: usize,
    responses: ExactSum,
    contact_cost: ExactSum,
    offer_cost: ExactSum,
}

fn share(part: usize, all: usize) -> f64 {
    if all == 0 {
        0.0
    } else {
        part as f64 / all as f64
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Plan({} customers × {} actions as of {})",
            self.customers.len(),
            self.playbook.actions.len(),
            self.as_of
        )
    }
}

/// What a plan comes to; `Display` prints it as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanSummary {
    /// The instant that the plan is made for.
    pub as_of: AsOf,
    /// The currency of all costs.
    pub currency: String,
    /// Number of customers.
    pub customers: usize,
    /// Number of customers without an action.
    pub without_action: usize,
    /// One entry per action, in the order of the playbook; actions that nobody gets included.
    pub actions: Vec<ActionSummary>,
}

/// What one action of a plan comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSummary {
    /// Id of the action.
    pub action: String,
    /// Name of the action.
    pub name: Text,
    /// Number of customers who get it.
    pub customers: usize,
    /// Their share of all customers, in \[0, 1\].
    pub share: f64,
    /// Number of customers expected to answer.
    pub expected_responses: f64,
    /// Cost of contacting them (currency).
    pub contact_cost: f64,
    /// Expected cost of their offers (currency).
    pub offer_cost: f64,
}

impl PlanSummary {
    /// Share of all customers who have no action, in \[0, 1\].
    pub fn share_without_action(&self) -> f64 {
        share(self.without_action, self.customers)
    }
}

impl fmt::Display for PlanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.actions.iter().map(|a| a.action.chars().count());
        let width = ids.chain(["(no action)".len()]).max().unwrap_or(0);
        writeln!(
            f,
            "Plan as of {}: {} customers, costs in {}",
            self.as_of, self.customers, self.currency
        )?;
        writeln!(
            f,
            "{:<width$} {:>10} {:>7} {:>12} {:>14} {:>14}",
            "action", "customers", "share", "responses", "contact cost", "offer cost"
        )?;
        for a in &self.actions {
            writeln!(
                f,
                "{:<width$} {:>10} {:>6.1}% {:>12.1} {:>14.2} {:>14.2}",
                a.action,
                a.customers,
                100.0 * a.share,
                a.expected_responses,
                a.contact_cost,
                a.offer_cost
            )?;
        }
        write!(
            f,
            "{:<width$} {:>10} {:>6.1}%",
            "(no action)",
            self.without_action,
            100.0 * self.share_without_action()
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::strategy::testing::{AT_RISK, Row, Shop};
    use crate::strategy::{Playbook, match_actions};

    #[test]
    fn summary_adds_up_and_prints() {
        let prospect = Row {
            orders: 0.0,
            ..AT_RISK
        };
        let shop = Shop::new(&[AT_RISK, prospect, AT_RISK, AT_RISK]);
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let summary = match_actions(&playbook, &facts).unwrap().summary();
        assert_eq!((summary.customers, summary.without_action), (4, 1));
        let win_back = &summary.actions[1];
        assert_eq!((win_back.customers, win_back.share), (3, 0.75));
        // P = 1 − 0.92 × 0.97, one message and one SMS each, 15 per response.
        assert!((win_back.expected_responses - 3.0 * 0.1076).abs() < 1e-8);
        assert!((win_back.contact_cost - 0.75).abs() < 1e-8);
        assert!((win_back.offer_cost - 3.0 * 0.1076 * 15.0).abs() < 1e-8);
        assert_eq!(
            summary.to_string(),
            "Plan as of 2011-12-10: 4 customers, costs in CNY\n\
             action          customers   share    responses   contact cost     offer cost\n\
             vip_rescue              0    0.0%          0.0           0.00           0.00\n\
             win_back                3   75.0%          0.3           0.75           4.84\n\
             re_engage               0    0.0%          0.0           0.00           0.00\n\
             reward_loyalty          0    0.0%          0.0           0.00           0.00\n\
             (no action)             1   25.0%"
        );
    }

    #[test]
    fn no_customers_make_an_empty_plan() {
        let shop = Shop::new(&[]);
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let summary = match_actions(&playbook, &facts).unwrap().summary();
        assert_eq!(summary.customers, 0);
        assert!(summary.actions.iter().all(|a| a.share == 0.0));
    }
}
