//! What plans really bring: the truth of the simulated shop.

use churn_core::simulate::{CustomerTruth, Pattern, Persuasion};
use churn_core::strategy::Plan;
use churn_core::{Horizon, Timestamp};

use crate::{COUPON, COUPON_COST, MARGIN, NEWS, codes};

/// What a policy really did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) profit: f64,
    pub(crate) spent: f64,
    pub(crate) contacted: f64,
    /// Share of those contacted who would have stayed anyway.
    pub(crate) wasted: f64,
}

/// Channels of the channel sets, by position in the truth's open probabilities.
const SETS: [[&[usize]; 4]; 2] = [[&[1], &[0], &[2], &[0, 1]], [&[2], &[3], &[2, 3], &[1]]];
const CONTACT: [[f64; 4]; 2] = [[0.08, 0.2, 0.01, 0.28], [0.01, 0.005, 0.015, 0.08]];

/// What plans really bring.
pub(crate) struct Judge<'t> {
    pub(crate) truths: &'t [&'t CustomerTruth],
    pub(crate) at: Timestamp,
    pub(crate) horizon: Horizon,
}

impl Judge<'_> {
    pub(crate) fn change(&self, row: usize, action: usize, set: usize) -> f64 {
        let strength = if action == 0 { COUPON } else { NEWS };
        let channels = SETS[action][set];
        Persuasion::default().change(self.truths[row], self.at, self.horizon, channels, strength)
    }

    /// True profit and cost of one contact, and whether the customer would have stayed.
    fn contact(&self, row: usize, action: usize, set: usize) -> (f64, f64, bool) {
        let truth = self.truths[row];
        let stays = Persuasion::default()
            .days_gone(truth, self.at, self.horizon)
            .is_none();
        let change = self.change(row, action, set);
        // A year at the customer's own rhythm; who ordered once comes back about once.
        let orders = match truth.pattern {
            Pattern::OneTime => 1.0,
            _ => 365.0 / truth.gap_days,
        };
        let buys = if stays { 1.0 } else { change };
        let coupon = if action == 0 { COUPON_COST * buys } else { 0.0 };
        let cost = CONTACT[action][set] + coupon;
        (
            change * truth.order_value * orders * MARGIN - cost,
            cost,
            stays,
        )
    }

    /// Takes contacts in order until the planned money is gone.
    pub(crate) fn spend(
        &self,
        contacts: impl Iterator<Item = (usize, usize, usize, f64)>,
        money: f64,
    ) -> Outcome {
        let mut left = money;
        let taken = contacts.take_while(|(.., planned)| {
            left -= planned;
            left >= 0.0
        });
        self.sum(taken.map(|(row, action, set, _)| (row, action, set)))
    }

    pub(crate) fn plan(&self, plan: &Plan) -> Outcome {
        let rows = (0..self.truths.len()).filter(|row| plan.action(*row).is_some());
        self.sum(rows.map(|row| {
            let (action, set) = codes(plan, row);
            (row, action, set)
        }))
    }

    fn sum(&self, contacts: impl Iterator<Item = (usize, usize, usize)>) -> Outcome {
        let mut outcome = Outcome::default();
        for (row, action, set) in contacts {
            let (profit, cost, stays) = self.contact(row, action, set);
            outcome.profit += profit;
            outcome.spent += cost;
            outcome.contacted += 1.0;
            outcome.wasted += f64::from(u8::from(stays));
        }
        outcome.wasted /= outcome.contacted.max(1.0);
        outcome
    }
}
