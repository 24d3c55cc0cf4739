//! One customer's way through all journeys, from one instant to another.

use super::check::{COMPLETED, JOURNEY_OVER};
use super::engine::Engine;
use super::graph::{Next, Node, On, Way};
use super::happening::Happening;
use super::holdout::{mix, unit};
use super::learning::{Answer, Chances};
use super::log::{Contact, Decision, LogEntry};
use super::news::Told;
use super::state::{FOREIGN, LATER, LOGGED, NEVER, OPEN, OUT, Past, Position, Row};
use super::zones;
use crate::events::EventKind;
use crate::strategy::conditions::Formula;
use crate::strategy::{Facts, Plan};
use crate::time::Timestamp;
use jiff::tz::TimeZone;

/// What all customers of a step share.
pub(super) struct World<'a> {
    pub(super) engine: &'a Engine,
    pub(super) facts: Option<&'a Facts<'a>>,
    pub(super) plan: Option<&'a Plan>,
    pub(super) zones: &'a [TimeZone],
    pub(super) chances: &'a Chances<'a>,
    pub(super) now: i64,
    /// Where the step before ended.
    pub(super) clock: i64,
    /// Channels that bear no more contacts on the day at hand.
    pub(super) full: u32,
    /// When that day ends.
    pub(super) day_end: i64,
}

/// A customer whom this step has something to do for.
pub(super) struct Visit {
    pub(super) row: usize,
    /// Row of the facts.
    pub(super) facts: Option<usize>,
    /// Row of the plan.
    pub(super) planned: Option<usize>,
    /// The customer's own bits, from the id.
    pub(super) hash: u64,
    /// Events that are still to come, in order.
    pub(super) events: std::ops::Range<usize>,
    /// Facts still to be looked at, at this instant.
    pub(super) sight: Option<i64>,
    /// Per journey, triggers that were tried and whose condition does not hold.
    pub(super) blocked: Vec<u16>,
    pub(super) started: bool,
    /// A contact that waits for a place on a channel of limited capacity.
    pub(super) request: Option<Request>,
    pub(super) granted: Option<Request>,
    pub(super) out: Outbox,
}

/// A contact that needs capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Request {
    pub(super) journey: usize,
    pub(super) at: i64,
    pub(super) mask: u32,
    pub(super) choice: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    pub(super) option: usize,
    pub(super) given: u32,
    pub(super) exposure: u8,
    pub(super) propensity: f64,
    pub(super) replaced: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) contacts: Vec<Contact>,
    pub(super) log: Vec<LogEntry>,
    pub(super) answers: Vec<Answer>,
}

pub(super) struct Walker<'w> {
    pub(super) world: &'w World<'w>,
    pub(super) events: &'w [Told],
    pub(super) visit: &'w mut Visit,
    pub(super) row: &'w mut Row,
    pub(super) positions: &'w mut [Position],
}

impl Walker<'_> {
    /// Does everything up to `limit` (inclusive), or up to a contact that needs capacity.
    pub(super) fn run(&mut self, limit: i64) {
        if !self.visit.started {
            self.visit.started = true;
            for j in 0..self.positions.len() {
                if self.positions[j].step == OUT {
                    self.positions[j].due = self.entry(j, self.world.clock).0;
                }
            }
        }
        if let Some(request) = self.visit.granted.take() {
            self.make(request.journey, request.at, request.choice);
        }
        self.visit.request = None;
        loop {
            let event = self.visit.events.start;
            let event_at = match self.visit.events.is_empty() {
                true => LATER,
                false => self.events[event].at(self.world.clock),
            };
            let sight_at = self.visit.sight.unwrap_or(LATER);
            let (due, journey) = self.next_due();
            let at = event_at.min(sight_at).min(due);
            if at > limit || at == LATER {
                return;
            }
            if sight_at == at {
                self.visit.sight = None;
                self.see(at);
            } else if event_at == at {
                self.visit.events.start += 1;
                let event = self.events[event];
                self.happen(&event, at);
            } else {
                self.go_on(journey, at);
                if self.visit.request.is_some() {
                    return;
                }
            }
        }
    }

    /// Closes answers that can no longer come, forgets what nobody looks at any more and notes when
    /// to come back.
    pub(super) fn finish(&mut self, until: i64) {
        let world = self.world;
        let rules = &world.engine.learning;
        let mut next = LATER;
        for past in &mut self.row.past {
            if past.flags & OPEN == 0 {
                continue;
            }
            let end = past.at.saturating_add(rules.window);
            if end <= world.now {
                past.flags &= !OPEN;
                self.visit.out.answers.push(Answer {
                    arm: past.arm,
                    exposure: past.exposure,
                    responded: false,
                });
            } else {
                next = next.min(end);
            }
        }
        let memory = world.engine.memory;
        let since = until.saturating_sub(memory);
        let past = &mut self.row.past;
        past.retain(|past| past.flags & OPEN != 0 || past.at > since);
        if let Some(first) = past.first() {
            next = next.min(first.at.saturating_add(memory));
        }
        self.visit.blocked.fill(0);
        for j in 0..self.positions.len() {
            if self.positions[j].step == OUT {
                self.positions[j].due = self.entry(j, until).0;
            }
            next = next.min(self.positions[j].due);
        }
        self.row.next = next;
    }

    /// The first due journey; of several at one instant that of the highest priority.
    fn next_due(&self) -> (i64, usize) {
        let mut first = (LATER, 0);
        for &j in &self.world.engine.order {
            if self.positions[j].due < first.0 {
                first = (self.positions[j].due, j);
            }
        }
        first
    }

    pub(super) fn holds(&self, formula: &Formula) -> bool {
        match (self.world.facts, self.visit.facts) {
            (Some(facts), Some(row)) => formula.holds(facts, row),
            _ => matches!(formula, Formula::All(parts) if parts.is_empty()),
        }
    }

    pub(super) fn log(&mut self, j: usize, step: Option<u16>, at: i64, decision: Decision) {
        self.visit.out.log.push(LogEntry {
            row: self.visit.row as u32,
            at: Timestamp::from_checked_micros(at),
            journey: j as u16,
            step,
            segment: self.known_segment(),
            decision,
        });
    }

    /// When and by which trigger of silence a customer outside enters, not before `from`.
    fn entry(&self, j: usize, from: i64) -> (i64, usize) {
        let none = (LATER, 0);
        let graph = &self.world.engine.graphs[j];
        let position = &self.positions[j];
        let (last, entered) = (self.row.last_purchase, position.entered);
        if last == NEVER || self.row.suppressed {
            return none;
        }
        let allowed = match (entered, graph.reentry) {
            (NEVER, _) => NEVER,
            (_, None) => return none,
            (entered, Some(pause)) => entered.saturating_add(pause),
        };
        let mut first = none;
        for (t, trigger) in graph.triggers.iter().enumerate() {
            let On::Silence {
                from: silence,
                before,
            } = trigger.on
            else {
                continue;
            };
            let crossing = last.saturating_add(silence);
            // Each silence opens each trigger once.
            if entered != NEVER && crossing <= entered || self.visit.blocked[j] & 1 << t != 0 {
                continue;
            }
            let at = crossing.max(allowed).max(from);
            if at < last.saturating_add(before) && at < first.0 {
                first = (at, t);
            }
        }
        first
    }

    fn may_enter(&self, j: usize, at: i64) -> bool {
        let position = &self.positions[j];
        if position.step != OUT || self.row.suppressed {
            return false;
        }
        match (position.entered, self.world.engine.graphs[j].reentry) {
            (NEVER, _) => true,
            (_, None) => false,
            (entered, Some(pause)) => at >= entered.saturating_add(pause),
        }
    }

    fn enter(&mut self, j: usize, trigger: usize, at: i64) {
        self.positions[j].entered = at;
        let trigger_code = trigger as u16;
        self.log(
            j,
            None,
            at,
            Decision::Entered {
                trigger: trigger_code,
            },
        );
        let start = self.world.engine.graphs[j].triggers[trigger].start;
        self.arrive(j, Some(start), at);
    }

    fn leave(&mut self, j: usize, at: i64, reason: usize) {
        self.positions[j].step = OUT;
        self.positions[j].since = at;
        let reason = reason as u16;
        self.log(j, None, at, Decision::Left { reason });
        self.positions[j].due = self.entry(j, at).0;
    }

    /// New facts: triggers that watch them, and exits by condition.
    fn see(&mut self, at: i64) {
        let world = self.world;
        let (Some(facts), Some(row)) = (world.facts, self.visit.facts) else {
            return;
        };
        for &j in &world.engine.order {
            let graph = &world.engine.graphs[j];
            if self.positions[j].step != OUT {
                let exit = graph.exits.iter().find_map(|way| match way {
                    Way::When { formula, reason } if formula.holds(facts, row) => Some(*reason),
                    _ => None,
                });
                if let Some(reason) = exit {
                    self.leave(j, at, reason);
                }
            }
            for (t, trigger) in graph.triggers.iter().enumerate() {
                let (now, fires_from) = match &trigger.on {
                    On::Becomes {
                        yes,
                        no,
                        first_sight,
                    } => {
                        let now = match (yes.holds(facts, row), no.holds(facts, row)) {
                            (true, _) => 2,
                            (_, true) => 1,
                            // Not known: what was seen before still stands.
                            _ => continue,
                        };
                        (now, if *first_sight { [1, 0] } else { [1, 1] })
                    }
                    On::Changes { from, to } => {
                        let now = match (from.holds(facts, row), to.holds(facts, row)) {
                            (_, true) => 2,
                            (true, _) => 1,
                            _ => 3,
                        };
                        (now, [1, 1])
                    }
                    _ => continue,
                };
                let shift = 2 * t as u32;
                let before = self.positions[j].seen >> shift & 3;
                self.positions[j].seen &= !(3 << shift);
                self.positions[j].seen |= now << shift;
                let fires = now == 2 && fires_from.contains(&before);
                let allowed = trigger
                    .when
                    .as_ref()
                    .is_none_or(|when| when.holds(facts, row));
                if fires && allowed && self.may_enter(j, at) {
                    self.enter(j, t, at);
                }
            }
        }
    }

    /// An event takes effect.
    fn happen(&mut self, event: &Told, at: i64) {
        let engine = self.world.engine;
        let news = event.kind == Happening::Event(EventKind::Purchase)
            && event.time > self.row.last_purchase;
        match event.kind {
            Happening::Event(EventKind::Purchase) => {
                self.row.last_purchase = self.row.last_purchase.max(event.time);
            }
            Happening::Event(EventKind::Complaint) => {
                self.row.last_complaint = self.row.last_complaint.max(event.time);
            }
            Happening::Event(EventKind::MessageSent) if engine.policy.foreign_messages => {
                let sent = Past::foreign(event.time, event.mask());
                let place = self.row.past.partition_point(|past| past.at <= sent.at);
                // The same message told twice counts once.
                if !self.row.past[..place].contains(&sent) {
                    self.row.past.insert(place, sent);
                }
            }
            Happening::Unsubscribed if event.channel.is_none() => self.row.suppressed = true,
            Happening::Subscribed if event.channel.is_none() => self.row.suppressed = false,
            Happening::Unsubscribed => {
                self.row.refused |= event.mask();
                self.row.granted &= !event.mask();
            }
            Happening::Subscribed => {
                self.row.granted |= event.mask();
                self.row.refused &= !event.mask();
            }
            Happening::Event(_) => {}
        }
        if engine.learning.outcomes.contains(&event.kind) {
            self.respond(event);
        }
        let everywhere = event.kind != Happening::Unsubscribed || event.channel.is_none();
        for &j in &engine.order {
            let graph = &engine.graphs[j];
            let position = self.positions[j];
            if position.step != OUT {
                let exit = graph.exits.iter().find_map(|way| match way {
                    Way::Event { kind, reason } if *kind == event.kind => Some(*reason),
                    _ => None,
                });
                // A purchase told late may have broken the very silence that led into the journey.
                let broken = |trigger: &super::graph::Entry| match trigger.on {
                    On::Silence { from, .. } => position.entered - event.time < from,
                    _ => false,
                };
                let counts =
                    event.time > position.entered || news && graph.triggers.iter().any(broken);
                if let Some(reason) = exit.filter(|_| everywhere && counts) {
                    self.leave(j, at, reason);
                } else if let Node::Event { kind, on_event, .. } =
                    &graph.nodes[usize::from(position.step)]
                    && *kind == event.kind
                    && event.time > position.since
                {
                    self.arrive(j, *on_event, at);
                } else if let Node::Silence { micros, .. } =
                    &graph.nodes[usize::from(position.step)]
                {
                    // A purchase that does not end the journey begins the silence anew.
                    let due = self.row.last_purchase.saturating_add(*micros).max(at);
                    self.set_due(j, due);
                }
                continue;
            }
            let trigger = graph.triggers.iter().position(|trigger| match trigger.on {
                On::Event { kind, late } => {
                    kind == event.kind
                        && event.time > position.since
                        && at - event.time <= late
                        && trigger.when.as_ref().is_none_or(|when| self.holds(when))
                }
                _ => false,
            });
            // Outside, `since` is the last event that could have opened the journey, or the end of the
            // last stay: what was heard once, or happened inside, opens nothing when told again.
            let listens = |trigger: &super::graph::Entry| matches!(trigger.on, On::Event { kind, .. } if kind == event.kind);
            if graph.triggers.iter().any(listens) {
                self.positions[j].since = position.since.max(event.time);
            }
            match trigger {
                Some(t) if self.may_enter(j, event.time) => self.enter(j, t, at),
                _ => self.positions[j].due = self.entry(j, at).0,
            }
        }
    }

    /// Finds the contact that an event answers: the last one before it over its channel.
    fn respond(&mut self, event: &Told) {
        let window = self.world.engine.learning.window;
        let answered = |past: &&mut Past| {
            past.flags & (FOREIGN | LOGGED) == 0
                && past.at < event.time
                && event.time < past.at.saturating_add(window)
                && (event.channel.is_none() || past.channels & event.mask() != 0)
        };
        let last = self.row.past.iter_mut().rev().find(answered);
        if let Some(past) = last
            && past.flags & OPEN != 0
        {
            past.flags &= !OPEN;
            self.visit.out.answers.push(Answer {
                arm: past.arm,
                exposure: past.exposure,
                responded: true,
            });
        }
    }

    pub(super) fn set_due(&mut self, j: usize, due: i64) {
        let over = match self.world.engine.graphs[j].at_most {
            Some(most) => self.positions[j].entered.saturating_add(most),
            None => LATER,
        };
        self.positions[j].due = due.min(over);
    }

    /// A journey is due.
    fn go_on(&mut self, j: usize, at: i64) {
        let engine = self.world.engine;
        let graph = &engine.graphs[j];
        let position = self.positions[j];
        if position.step == OUT {
            let (_, trigger) = self.entry(j, at);
            let when = graph.triggers[trigger].when.as_ref();
            if when.is_none_or(|when| self.holds(when)) {
                self.enter(j, trigger, at);
            } else {
                self.visit.blocked[j] |= 1 << trigger;
                self.positions[j].due = self.entry(j, at).0;
            }
            return;
        }
        if let Some(most) = graph.at_most
            && at >= position.entered.saturating_add(most)
        {
            return self.leave(j, at, JOURNEY_OVER);
        }
        match &graph.nodes[usize::from(position.step)] {
            Node::Pause { next, .. }
            | Node::At { next, .. }
            | Node::Silence { next, .. }
            | Node::Event { next, .. } => self.arrive(j, *next, at),
            // What was held until an instant before now is tried now.
            Node::Send(..) if at < self.world.now => self.set_due(j, self.world.now),
            Node::Send(sending, next) => self.contact(j, sending, *next, at),
            // Nobody stands at the others: they take no time.
            Node::Branch { .. } | Node::Split { .. } | Node::Exit { .. } => {
                self.arrive(j, Some(usize::from(position.step)), at);
            }
        }
    }

    /// The customer comes to a step, and on through those that take no time.
    pub(super) fn arrive(&mut self, j: usize, mut next: Next, at: i64) {
        let engine = self.world.engine;
        let graph = &engine.graphs[j];
        loop {
            let Some(step) = next else {
                return self.leave(j, at, COMPLETED);
            };
            let code = Some(step as u16);
            let stay = |walker: &mut Self, due: i64| {
                walker.positions[j].step = step as u16;
                walker.positions[j].since = at;
                walker.set_due(j, due);
            };
            match &graph.nodes[step] {
                Node::Pause { micros, .. } => return stay(self, at.saturating_add(*micros)),
                Node::At { days, at: time, .. } => {
                    let zone = self.zone();
                    let due = zones::wall_time_after(zone, at, *days, *time);
                    return stay(self, due);
                }
                Node::Silence { micros, next: on } => {
                    let due = self.row.last_purchase.saturating_add(*micros);
                    if due > at {
                        return stay(self, due);
                    }
                    next = *on;
                }
                Node::Event { time_out, .. } => return stay(self, at.saturating_add(*time_out)),
                Node::Branch { arms, next: other } => {
                    let arm = arms.iter().find(|(formula, _)| self.holds(formula));
                    next = arm.map_or(*other, |(_, to)| *to);
                    let to = next.map(|step| step as u16);
                    self.log(j, code, at, Decision::Went { to });
                }
                Node::Split { arms } => {
                    let lot = unit(mix(self.visit.hash ^ engine.salts[j][step]));
                    let arm = arms.iter().find(|(end, _)| lot < *end).or(arms.last());
                    next = arm.and_then(|(_, to)| *to);
                    let to = next.map(|step| step as u16);
                    self.log(j, code, at, Decision::Went { to });
                }
                // What fell due before now is done now: the world has not stood still meanwhile.
                Node::Send(..) => return stay(self, at.max(self.world.now)),
                Node::Exit { reason } => return self.leave(j, at, *reason),
            }
        }
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.world.zones[usize::from(self.row.zone)]
    }
}
