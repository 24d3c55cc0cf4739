//! What happens at a send step: choose an option, ask the policy, make the contact, hold it or drop it.

use super::contact_policy::{Rejection, WhenQuiet};
use super::definition::{Choose, WhenCapped};
use super::graph::{Manner, Next, Node, Sending};
use super::holdout::{mix, unit};
use super::learning::{Arm, Candidate, MOST_EXPOSURE, NO_SEGMENT, Stake};
use super::limits::Verdict;
use super::log::{Contact, Decision};
use super::state::{EXEMPT, LATER, LOGGED, NEVER, OPEN, OUT, Past};
use super::walk::{Choice, Request, Walker};
use crate::strategy::conditions::Values;
use crate::time::Timestamp;

/// An option that is open to the customer.
struct OpenOption {
    option: usize,
    given: u32,
    exposure: u8,
    stake: Stake,
}

impl Walker<'_> {
    fn segment(&self) -> u8 {
        match (
            self.world.engine.learning.segmentation,
            self.world.facts,
            self.visit.facts,
        ) {
            (Some(segmentation), Some(facts), Some(row)) => facts.code(segmentation, row) as u8,
            _ => NO_SEGMENT,
        }
    }

    pub(super) fn known_segment(&self) -> Option<u8> {
        Some(self.segment()).filter(|segment| *segment != NO_SEGMENT)
    }

    fn arm(&self, j: usize, option: usize) -> Arm {
        Arm {
            journey: j as u8,
            step: self.positions[j].step,
            option: option as u8,
            segment: self.segment(),
        }
    }

    /// Contacts of late over any channel of a mask.
    fn exposure(&self, mask: u32, at: i64) -> u8 {
        let since = at.saturating_sub(self.world.engine.learning.fatigue);
        let past = self.row.past.iter().rev();
        let late = past.filter(|p| p.at > since && p.flags & EXEMPT == 0 && p.channels & mask != 0);
        late.take(MOST_EXPOSURE).count() as u8
    }

    /// The options that consent, playbook and profit leave, or why none is left.
    fn options(&self, j: usize, sending: &Sending, at: i64) -> Result<Vec<OpenOption>, Rejection> {
        let engine = self.world.engine;
        if self.row.suppressed {
            return Err(Rejection::Suppressed);
        }
        let allowed = !self.row.refused & (self.row.granted | !engine.policy.opt_in);
        let planned = self.planned(sending);
        let mut rejection = match (sending.named, planned) {
            (0, None) => return Err(Rejection::NotPlanned),
            _ => Rejection::NoConsent,
        };
        let mut open = Vec::new();
        let named = (0..sending.named).map(|option| (option, u32::MAX));
        for (option, of_plan) in planned.into_iter().chain(named) {
            let manner = &sending.options[option];
            if manner.mask & !allowed != 0 {
                continue;
            }
            let mut channels = manner.channels.iter();
            let given = self.given(manner) & of_plan;
            if given == 0 || !channels.all(|c| self.holds(&engine.channels[*c])) {
                rejection = rejection.max(Rejection::NotOpen);
                continue;
            }
            let offer_cost = self.offer_cost(manner, given);
            let stake = match sending.response_value {
                None => Stake {
                    prior: manner.prior,
                    gain: 1.0,
                    cost: 0.0,
                },
                Some(value) => Stake {
                    prior: manner.prior,
                    gain: value - offer_cost,
                    cost: manner.cost,
                },
            };
            let exposure = self.exposure(manner.mask, at);
            if sending.response_value.is_some() {
                let expected = |e| self.world.chances.expected(self.arm(j, option), e, stake) > 0.0;
                if !expected(exposure) {
                    rejection = rejection.max(match expected(0) {
                        true => Rejection::Fatigue,
                        false => Rejection::Unprofitable,
                    });
                    continue;
                }
            }
            open.push(OpenOption {
                option,
                given,
                exposure,
                stake,
            });
        }
        if open.is_empty() {
            Err(rejection)
        } else {
            Ok(open)
        }
    }

    /// The option that the plan means for the customer, and its offers as bits.
    fn planned(&self, sending: &Sending) -> Option<(usize, u32)> {
        if sending.planned.is_empty() {
            return None;
        }
        let (action, set, offers) = self.world.plan?.intent(self.visit.planned?)?;
        let option = sending.planned[action] + set;
        let of_option = sending.options[option].offers.iter().enumerate();
        let given = of_option.filter(|(_, offer)| offers.contains(offer));
        Some((option, given.fold(0, |bits, (i, _)| bits | 1 << i)))
    }

    /// The offers of an option that the customer may have, as bits.
    fn given(&self, manner: &Manner) -> u32 {
        let offers = manner.offers.iter().enumerate();
        let open = offers.filter(|(_, o)| self.holds(&self.world.engine.offers[**o]));
        open.fold(0, |bits, (i, _)| bits | 1 << i)
    }

    fn offer_cost(&self, manner: &Manner, given: u32) -> f64 {
        let costs = &self.world.engine.offer_costs;
        let offers = manner.offers.iter().enumerate();
        let given = offers.filter(|(i, _)| given & 1 << i != 0);
        given.map(|(_, o)| costs[*o]).sum()
    }

    fn judge(&self, j: usize, sending: &Sending, mask: u32, at: i64) -> Verdict {
        let policy = &self.world.engine.policy;
        if !sending.exempt {
            if let Some(until) = policy.quiet_until(self.zone(), mask, at) {
                return Verdict::Not {
                    reason: Rejection::QuietHours,
                    until,
                };
            }
            let instant = |instant: i64| (instant != NEVER).then_some(instant);
            let verdict = policy.verdict(
                self.zone(),
                mask,
                at,
                instant(self.row.last_purchase),
                instant(self.row.last_complaint),
                &self.row.past,
            );
            if verdict != Verdict::Pass {
                return verdict;
            }
            if let Some(until) = self.more_urgent(j, at) {
                return Verdict::Not {
                    reason: Rejection::Priority,
                    until,
                };
            }
        }
        if mask & self.world.full & policy.limited != 0 && !self.row.held_out {
            return Verdict::Not {
                reason: Rejection::Capacity,
                until: self.world.day_end,
            };
        }
        Verdict::Pass
    }

    /// When a journey of higher priority has had its contact that is due soon.
    fn more_urgent(&self, j: usize, at: i64) -> Option<i64> {
        let engine = self.world.engine;
        if engine.policy.look_ahead == 0 {
            return None;
        }
        let horizon = at.saturating_add(engine.policy.look_ahead);
        let others = engine.graphs.iter().zip(self.positions.iter());
        let urgent = others.filter(|(graph, position)| {
            if graph.priority <= engine.graphs[j].priority
                || position.step == OUT
                || position.due > horizon
            {
                return false;
            }
            let sends =
                |next: &Next| next.is_some_and(|s| matches!(graph.nodes[s], Node::Send(..)));
            match &graph.nodes[usize::from(position.step)] {
                Node::Send(..) => true,
                Node::Pause { next, .. } | Node::At { next, .. } | Node::Silence { next, .. } => {
                    sends(next)
                }
                _ => false,
            }
        });
        urgent.map(|(_, position)| position.due.max(at) + 1).max()
    }

    /// A contact is due: choose an option, ask the policy, make it or hold it or drop it.
    pub(super) fn contact(&mut self, j: usize, sending: &Sending, next: Next, at: i64) {
        let engine = self.world.engine;
        let open = match self.options(j, sending, at) {
            Ok(open) => open,
            Err(reason) => return self.skip(j, next, at, reason),
        };
        let when_capped = sending.when_capped.unwrap_or(engine.policy.when_capped);
        let verdict = |walker: &Self, o: &OpenOption| {
            walker.judge(j, sending, sending.options[o.option].mask, at)
        };
        // What the plan says comes first, however the step's own options are chosen.
        let choose = match open[0].option < sending.named {
            true => sending.choose,
            false => Choose::First,
        };
        let choice = match choose {
            Choose::First => {
                let first = &open[0];
                match verdict(self, first) {
                    Verdict::Pass => Ok(self.choice(first, 1.0, false)),
                    Verdict::Not { reason, until } => {
                        let cost = |o: &OpenOption| sending.options[o.option].cost;
                        let replaces =
                            when_capped == WhenCapped::Cheaper && reason != Rejection::QuietHours;
                        let mut cheaper: Vec<&OpenOption> = open
                            .iter()
                            .filter(|o| replaces && cost(o) < cost(first))
                            .collect();
                        cheaper.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
                        let other = cheaper
                            .into_iter()
                            .find(|o| verdict(self, o) == Verdict::Pass);
                        match other {
                            Some(other) => Ok(self.choice(other, 1.0, true)),
                            None => Err((reason, until)),
                        }
                    }
                }
            }
            Choose::Learned => {
                let verdicts: Vec<Verdict> = open.iter().map(|o| verdict(self, o)).collect();
                let passing: Vec<&OpenOption> = open
                    .iter()
                    .zip(&verdicts)
                    .filter(|(_, v)| **v == Verdict::Pass)
                    .map(|(o, _)| o)
                    .collect();
                if passing.is_empty() {
                    // Quiet hours end; of the other rules the one that ends first is waited for.
                    let first = verdicts.iter().filter_map(|v| match v {
                        Verdict::Pass => None,
                        Verdict::Not { reason, until } => {
                            Some((*reason != Rejection::QuietHours, *until, *reason))
                        }
                    });
                    match first.min() {
                        Some((_, until, reason)) => Err((reason, until)),
                        None => Err((Rejection::NotOpen, LATER)),
                    }
                } else {
                    Ok(self.draw(j, &passing))
                }
            }
        };
        match choice {
            Ok(choice) => {
                let mask = sending.options[choice.option].mask;
                if mask & engine.policy.limited != 0 && !self.row.held_out {
                    self.visit.request = Some(Request {
                        journey: j,
                        at,
                        mask,
                        choice,
                    });
                } else {
                    self.make(j, at, choice);
                }
            }
            Err((reason, until)) => {
                let hold = match reason {
                    Rejection::QuietHours => engine.policy.when_quiet == WhenQuiet::Hold,
                    _ => when_capped == WhenCapped::Hold,
                };
                let most = sending.hold_at_most.unwrap_or(engine.policy.hold_at_most);
                if !hold || until > self.positions[j].since.saturating_add(most) {
                    return self.skip(j, next, at, reason);
                }
                let step = Some(self.positions[j].step);
                let wait = Decision::Held {
                    reason,
                    until: Timestamp::from_checked_micros(until),
                };
                self.log(j, step, at, wait);
                self.set_due(j, until);
            }
        }
    }

    fn choice(&self, option: &OpenOption, propensity: f64, replaced: bool) -> Choice {
        Choice {
            option: option.option,
            given: option.given,
            exposure: option.exposure,
            propensity,
            replaced,
        }
    }

    /// Draws one of the options by what was learned.
    fn draw(&self, j: usize, passing: &[&OpenOption]) -> Choice {
        let candidates: Vec<Candidate> = passing
            .iter()
            .map(|o| Candidate {
                option: o.option as u8,
                exposure: o.exposure,
                offers: o.given,
            })
            .collect();
        let stakes: Vec<Stake> = passing.iter().map(|o| o.stake).collect();
        let chances = self.world.chances.of(self.arm(j, 0), &candidates, &stakes);
        let engine = self.world.engine;
        let step = usize::from(self.positions[j].step);
        let own = self.visit.hash ^ engine.salts[j][step] ^ mix(engine.learning.seed);
        let mut lot = unit(mix(own ^ mix(self.positions[j].since as u64)));
        for (option, chance) in passing.iter().zip(chances.iter()) {
            if lot < *chance {
                return self.choice(option, *chance, false);
            }
            lot -= chance;
        }
        // The chances add up to 1 but for rounding.
        let last = passing.len() - 1;
        self.choice(passing[last], chances[last], false)
    }

    fn skip(&mut self, j: usize, next: Next, at: i64, reason: Rejection) {
        let step = Some(self.positions[j].step);
        self.log(j, step, at, Decision::Skipped { reason });
        self.arrive(j, next, at);
    }

    /// The contact is made, or logged for the hold-out.
    pub(super) fn make(&mut self, j: usize, at: i64, choice: Choice) {
        let engine = self.world.engine;
        let step = self.positions[j].step;
        let Node::Send(sending, next) = &engine.graphs[j].nodes[usize::from(step)] else {
            return;
        };
        let manner = &sending.options[choice.option];
        let (option, propensity, replaced) =
            (choice.option as u16, choice.propensity, choice.replaced);
        let arm = self.arm(j, choice.option);
        let mut flags = if sending.exempt { EXEMPT } else { 0 };
        if self.row.held_out {
            flags |= LOGGED;
            let decision = Decision::HeldOut {
                option,
                propensity,
                replaced,
            };
            self.log(j, Some(step), at, decision);
        } else {
            flags |= OPEN;
            let decision = Decision::Sent {
                option,
                propensity,
                replaced,
            };
            self.log(j, Some(step), at, decision);
            let offer_cost = self.offer_cost(manner, choice.given);
            self.visit.out.contacts.push(Contact {
                row: self.visit.row as u32,
                at: Timestamp::from_checked_micros(at),
                journey: j as u16,
                step,
                option,
                given: choice.given,
                segment: self.known_segment(),
                propensity,
                cost: manner.cost,
                offer_cost,
                replaced,
            });
        }
        let place = self.row.past.partition_point(|past| past.at <= at);
        let past = Past {
            at,
            channels: manner.mask,
            arm,
            exposure: choice.exposure,
            flags,
        };
        self.row.past.insert(place, past);
        self.arrive(j, *next, at);
    }
}
