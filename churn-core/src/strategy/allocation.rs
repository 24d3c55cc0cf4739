//! What a plan made for profit knows beyond who gets what: expected profit, its proof, prices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::conditions::Values;
use super::constraints::Resolved;
use super::effects::EffectSource;
use super::optimize::{Kind, Uses, open_for_all, open_options};
use super::plan::NoAction;
use super::value::{Pricing, Worth};

/// Expected profit of a plan with the proof of how good it is, prices of what is limited, and per
/// customer what the action is worth or why there is none. Part of the [`Plan`](super::Plan) that
/// [`optimize`](super::optimize) makes.
///
/// Shape: the columns have one row per customer.
#[derive(Clone)]
pub struct Allocation {
    pub(crate) currency: String,
    pub(crate) profit: f64,
    pub(crate) bound: f64,
    pub(crate) spent: f64,
    pub(crate) chosen: usize,
    pub(crate) passes: usize,
    pub(crate) prices: Vec<Price>,
    pub(crate) curve: Vec<CurvePoint>,
    pub(crate) profits: Vec<f64>,
    pub(crate) changes: Vec<f64>,
    pub(crate) sources: Vec<Option<EffectSource>>,
    pub(crate) days: Vec<i32>,
    pub(crate) closed: Vec<Option<NoAction>>,
    pub(crate) market: Market,
}

/// What is needed to price any option of any customer again.
#[derive(Clone)]
pub(crate) struct Market {
    pub(crate) pricing: Pricing,
    pub(crate) resolved: Resolved,
    pub(crate) kinds: BTreeMap<Kind, usize>,
    pub(crate) kind_uses: Vec<Uses>,
    pub(crate) class_uses: Vec<Uses>,
    pub(crate) classes: Vec<u32>,
    pub(crate) budget: Option<usize>,
    pub(crate) duals: Vec<f64>,
    /// What each constraint speaks of.
    pub(crate) subjects: Vec<String>,
}

/// What a constraint of a plan is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConstraintName {
    pub(crate) place: String,
    pub(crate) subject: String,
    pub(crate) is_minimum: bool,
}

/// A constraint with what is used of it and what more of it would bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Place in the settings, e.g. `constraints.channels[0].max`.
    pub constraint: String,
    /// What it speaks of, e.g. `sms`.
    pub subject: String,
    /// Whether it is a minimum.
    pub is_minimum: bool,
    /// The limit: money for the budget, customers otherwise; 0 for shares of the plan and for
    /// rules between offers, which weigh customers against one another.
    pub limit: f64,
    /// What the plan uses, in the same unit; of a minimum, what it reaches.
    pub used: f64,
    /// What one unit of room more is worth (currency): one more message, one more unit of money,
    /// one customer less to reach. 0 where the constraint does not bind.
    pub price: f64,
}

/// One point of the budget curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The budget (currency).
    pub budget: f64,
    /// Expected profit of a plan found for it.
    pub profit: f64,
    /// Profit that no plan within it exceeds.
    pub bound: f64,
    /// Profit of one more unit of money.
    pub price: f64,
}

/// An option of one customer with its worth and what it would take from others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offered {
    pub(crate) action: usize,
    pub(crate) set: usize,
    pub(crate) offers: Vec<usize>,
    pub(crate) worth: Worth,
    /// Constraints that it uses at a price: position, amount.
    pub(crate) uses: Vec<(usize, f64)>,
    /// Profit net of those prices.
    pub(crate) net: f64,
}

impl Allocation {
    /// Expected incremental profit of the plan (currency): the sum of
    /// [`expected_profit`](Self::expected_profit).
    pub fn profit(&self) -> f64 {
        self.profit
    }

    /// Profit that no plan under these constraints exceeds, proven by the dual (currency).
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// How far the plan may be from the best one: (bound − profit) / |bound|; 0 where it is proven
    /// best.
    pub fn gap(&self) -> f64 {
        if self.bound == self.profit {
            0.0
        } else {
            (self.bound - self.profit) / self.bound.abs().max(f64::MIN_POSITIVE)
        }
    }

    /// What contacts and, by expectation, offers cost together (currency).
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// Number of customers with an action.
    pub fn chosen(&self) -> usize {
        self.chosen
    }

    /// Passes over all customers that finding the prices took.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// The constraints with their prices, in the order of the settings.
    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// Profit for other budgets, by ascending budget; empty unless asked for.
    pub fn curve(&self) -> &[CurvePoint] {
        &self.curve
    }

    /// Expected incremental profit of each customer's action (currency); 0 without one.
    pub fn expected_profit(&self) -> &[f64] {
        &self.profits
    }

    /// Change of each customer's probability of staying; 0 without an action.
    pub fn change(&self) -> &[f64] {
        &self.changes
    }

    /// Where the change is known from; `None` without an action.
    pub fn source(&self) -> &[Option<EffectSource>] {
        &self.sources
    }

    /// Day of the plan on which each customer is contacted, from 0; −1 without an action.
    pub fn day(&self) -> &[i32] {
        &self.days
    }

    /// Value at stake of each customer (currency), NaN where it is not known.
    pub fn stake(&self) -> &[f64] {
        &self.market.pricing.stakes
    }

    pub(crate) fn no_action(&self, row: usize) -> Option<NoAction> {
        self.closed[row]
    }

    /// Adds the numbers and segmentations that prices of options are computed from.
    pub(crate) fn reads(&self, terms: &mut BTreeSet<(bool, usize)>) {
        let market = &self.market;
        terms.insert((false, 0));
        terms.extend(market.pricing.effects.segmentations().map(|s| (true, s)));
        terms.extend(market.resolved.segments.iter().map(|(s, _)| (true, *s)));
        let unless = market
            .resolved
            .needs
            .iter()
            .filter_map(|need| need.3.as_ref());
        for formula in unless.chain(&market.resolved.exclude_where) {
            formula.reads(terms);
        }
    }

    /// All options that are open to a customer, the largest net profit first.
    pub(crate) fn options(&self, values: &impl Values, row: usize) -> Vec<Offered> {
        let market = &self.market;
        let mut options = Vec::new();
        let mut given = Vec::new();
        // Collecting cannot fail.
        let _ = open_options(
            &market.pricing,
            values,
            &market.resolved,
            row,
            &mut given,
            |action, set, offers| {
                options.push(self.offered(values, row, action, set, offers));
                Ok(())
            },
        );
        options.sort_by(|a, b| b.net.total_cmp(&a.net));
        options
    }

    /// What a held-out customer would have been given: the option with the largest profit net of the
    /// prices of what is limited, where that is above 0.
    pub(crate) fn would_be(&self, values: &impl Values, row: usize) -> Option<Offered> {
        let market = &self.market;
        // A bundle of offers that nobody else has is in no limit's account, so that its net profit
        // is known only where limits cost nothing.
        let free = market.duals.iter().all(|price| *price == 0.0);
        let mut best: Option<Offered> = None;
        let mut given = Vec::new();
        // Collecting cannot fail.
        let _ = open_for_all(
            &market.pricing,
            values,
            &market.resolved,
            row,
            &mut given,
            |action, set, offers| {
                let known = market.kinds.contains_key(&(action, set, offers.to_vec()));
                if known || free {
                    let option = self.offered(values, row, action, set, offers);
                    let least = best.as_ref().map_or(0.0, |best| best.net);
                    if option.net > least {
                        best = Some(option);
                    }
                }
                Ok(())
            },
        );
        best
    }

    fn offered(
        &self,
        values: &impl Values,
        row: usize,
        action: usize,
        set: usize,
        offers: &[usize],
    ) -> Offered {
        let market = &self.market;
        let worth = market.pricing.worth(values, row, action, set, offers);
        let kind = (action, set, offers.to_vec());
        let mut uses: Vec<(usize, f64)> = Vec::new();
        if let Some(kind) = market.kinds.get(&kind) {
            uses.extend(&market.kind_uses[*kind]);
        }
        uses.extend(&market.class_uses[market.classes[row] as usize]);
        uses.extend(market.budget.map(|budget| (budget, worth.cost())));
        uses.retain(|(c, amount)| market.duals[*c] * amount != 0.0);
        uses.sort_by_key(|(c, _)| *c);
        let paid: f64 = uses
            .iter()
            .map(|(c, amount)| market.duals[*c] * amount)
            .sum();
        Offered {
            action,
            set,
            offers: kind.2,
            worth,
            uses,
            net: worth.profit - paid,
        }
    }
}

impl fmt::Debug for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Allocation({} of {} customers, profit {:.2} of at most {:.2})",
            self.chosen,
            self.profits.len(),
            self.profit,
            self.bound
        )
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let currency = &self.currency;
        write!(
            f,
            "Expected profit {:.2} {currency} for {:.2} {currency} spent on {} customers; no plan \
             brings more than {:.2} {currency} (gap {:.4} %)",
            self.profit,
            self.spent,
            self.chosen,
            self.bound,
            100.0 * self.gap()
        )?;
        for price in &self.prices {
            let place = &price.constraint;
            let least = if price.is_minimum { "at least " } else { "" };
            write!(
                f,
                "\n{place} ({}): {:.2} of {least}{:.2}; one more is worth {:.4} {currency}",
                price.subject, price.used, price.limit, price.price
            )?;
        }
        Ok(())
    }
}
