//! The engine: a pure function of definitions, state, news and an instant.
//!
//! ```text
//! (journeys, policy, state, events, facts, now) ─▶ (state, contacts, log)
//! ```
//!
//! **Instants.** Events and waits take effect in order of time, whatever the steps of the engine;
//! at one instant facts come first, then events, then what is due, journeys of higher priority
//! before others. Contacts are made at the instant at which they fall due, but never before `now`:
//! what fell due while the engine did not run is done now, after everything that has happened until
//! now. With `until` later than `now` the engine also makes the contacts that fall due between the
//! two, dated, for callers who plan a day ahead.
//!
//! **Events** may come in any order within a step. Those from before the last step (late) take
//! effect at its end, with their own time for silence, cool-downs and responses. Events told twice
//! change nothing the second time. Those later than `until` are refused.
//!
//! **What holds.** A step is a function of its arguments, for any order of events and any number of
//! threads. A second step with the same news and instants changes nothing and decides nothing. A
//! state stored and read back gives the same steps. Where steps plan ahead (`now` of each is
//! `until` of the one before), no options are chosen by learning, facts stay the same and events
//! come in time, contacts do not depend on where the span was cut; with capacities, if it was cut
//! at midnights of the policy's zone.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::check::{self, STEP_REMOVED};
use super::contact_policy::ContactPolicy;
use super::definition::Journey;
use super::graph::{Graph, Node, On, Way};
use super::happening::{Happening, NewEvent};
use super::holdout;
use super::learning::{Chances, LearningSettings, Rules};
use super::limits::Limits;
use super::log::{Decision, LogEntry, Outcome, Words};
use super::names::{Names, names, words};
use super::news::{News, Told};
use super::state::{LATER, Position, Row, State};
use super::walk::{Outbox, Request, Visit, Walker, World};
use super::zones;
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::events::{EventKind, History};
use crate::strategy::conditions::Formula;
use crate::strategy::{Condition, Facts, Playbook, Vocabulary};
use crate::time::Timestamp;

/// Customers that one task looks after.
const CHUNK: usize = 4096;

/// Journeys, contact policy and playbook, checked and ready to run.
///
/// # Example
/// ```
/// # use churn_core::features::FeatureInfo;
/// # use churn_core::events::EventKind;
/// # use churn_core::Timestamp;
/// use churn_core::journey::{ContactPolicy, Engine, Journey, LearningSettings, NewEvent, News};
/// use churn_core::strategy::{Playbook, Vocabulary};
/// # let numbers = ["orders", "monetary_score"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let vocabulary = Vocabulary::new().with_features(&numbers)?
/// #     .with_segmentation("risk_tier", &["low", "medium", "high"])?
/// #     .with_segmentation("rfm_segment", &["cant_lose", "hibernating"])?;
/// let playbook = Playbook::default_for(&vocabulary)?;
/// let journey = Journey::from_toml(r#"
/// version = 1
/// id = "hello_again"
/// name = { en = "Hello again", zh = "再见面" }
/// triggers = [{ silence_days = 30 }]
/// exits = [{ event = "purchase", reason = "bought" }]
/// steps = [{ id = "recommend", send = { options = [{ offers = ["recommendation"], channels = ["email"] }] } }]
/// "#, &playbook, &vocabulary)?;
/// let engine = Engine::new(
///     &[journey], &ContactPolicy::default(), &LearningSettings::default(), &playbook, &vocabulary,
/// )?;
///
/// let day = |text| Timestamp::parse(text);
/// let bought = [NewEvent::new("ann", day("2021-04-01T12:00:00")?, EventKind::Purchase)];
/// let (state, _) = engine.step(
///     &engine.start(day("2021-04-01")?), &News::at(day("2021-04-02")?).with_events(&bought),
/// )?;
/// let (state, outcome) = engine.step(&state, &News::at(day("2021-05-02")?))?;
/// assert_eq!(outcome.contacts.len(), 1);
/// assert_eq!(outcome.channels(0, 0, 0), ["email"]);
/// let (again, nothing) = engine.step(&state, &News::at(day("2021-05-02")?))?;
/// assert!(again == state && nothing.log.is_empty());
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) graphs: Vec<Graph>,
    /// Journeys from the highest priority down.
    pub(super) order: Vec<usize>,
    pub(super) policy: Limits,
    pub(super) learning: Rules,
    /// Who may be contacted over each channel and given each offer.
    pub(super) channels: Vec<Formula>,
    pub(super) offers: Vec<Formula>,
    pub(super) offer_costs: Vec<f64>,
    /// The bits that each step mixes into its lots.
    pub(super) salts: Vec<Vec<u64>>,
    /// How far back anything looks at contacts.
    pub(super) memory: i64,
    zone: String,
    pub(super) names: Names,
    words: Arc<Words>,
    pub(super) vocabulary: Vocabulary,
    /// Names of numbers and segmentations that decisions read.
    pub(super) reads: Vec<String>,
    pub(super) playbook: Playbook,
}

impl Engine {
    /// Puts journeys, policy and playbook together for a shop whose facts have these names.
    ///
    /// # Errors
    /// Those of [`Journey::check`], [`ContactPolicy::check`] and [`Playbook::check`];
    /// `InvalidParameter` for no journey, more than 255, ids that stand twice, and learning settings
    /// outside their domain.
    pub fn new(
        journeys: &[Journey],
        policy: &ContactPolicy,
        learning: &LearningSettings,
        playbook: &Playbook,
        vocabulary: &Vocabulary,
    ) -> Result<Self> {
        if !(1..256).contains(&journeys.len()) {
            return Err(Error::invalid_parameter(
                "journeys",
                "1 to 255 journeys",
                journeys.len(),
            ));
        }
        for (i, journey) in journeys.iter().enumerate() {
            if journeys[..i].iter().any(|other| other.id == journey.id) {
                return Err(Error::invalid_parameter(
                    format!("journeys[{i}].id"),
                    "ids that differ",
                    format_args!("{:?} twice", journey.id),
                ));
            }
        }
        let resolved = journeys
            .iter()
            .map(|journey| check::resolve(journey, playbook, vocabulary))
            .collect::<Result<Vec<_>>>()?;
        let reasons: Vec<Vec<String>> = resolved.iter().map(|r| r.reasons.clone()).collect();
        let graphs: Vec<Graph> = resolved.into_iter().map(|r| r.graph).collect();
        let limits = Limits::new(policy, playbook)?;
        let rules = learning.resolve(vocabulary)?;
        let formula = |list: &str, i: usize, requires: &Option<String>| match requires {
            None => Ok(Formula::All(Vec::new())),
            Some(text) => {
                let place = format!("playbook.{list}[{i}].requires");
                Condition::parse_at(&place, text)?.resolve(&place, vocabulary)
            }
        };
        let channels = playbook.channels.iter().enumerate();
        let channels = channels
            .map(|(i, c)| formula("channels", i, &c.requires))
            .collect::<Result<Vec<_>>>()?;
        let offers = playbook.offers.iter().enumerate();
        let offers = offers
            .map(|(i, o)| formula("offers", i, &o.requires))
            .collect::<Result<Vec<_>>>()?;
        let mut order: Vec<usize> = (0..graphs.len()).collect();
        order.sort_by_key(|j| std::cmp::Reverse(graphs[*j].priority));
        let salts = journeys.iter().map(|journey| {
            let steps = journey.steps.iter().map(|step| {
                let salt = format!("{}/{}", journey.id, step.id);
                holdout::hash(&salt, CustomerId::Text(""))
            });
            steps.collect()
        });
        let segments = match rules.segmentation {
            None => Vec::new(),
            Some(position) => vocabulary.segmentations()[position].labels.clone(),
        };
        let share = policy.holdout.as_ref().map(|holdout| holdout.share);
        let words = words(journeys, &graphs, &reasons, playbook, &segments, share);
        let mut engine = Engine {
            order,
            salts: salts.collect(),
            memory: limits.memory.max(rules.window).max(rules.fatigue),
            zone: policy.zone.clone(),
            names: names(&words),
            words: Arc::new(words),
            graphs,
            policy: limits,
            learning: rules,
            channels,
            offers,
            offer_costs: playbook.offers.iter().map(|o| o.cost).collect(),
            vocabulary: vocabulary.clone(),
            reads: Vec::new(),
            playbook: playbook.clone(),
        };
        engine.reads = engine.find_reads();
        Ok(engine)
    }

    /// Names of the features, scores and segmentations that decisions read, sorted; where there is
    /// one, every step needs facts.
    pub fn reads(&self) -> &[String] {
        &self.reads
    }

    /// Whether triggers or exits watch everyone's facts from step to step; otherwise facts of the
    /// customers of [`attention`](Self::attention) are enough.
    pub fn watches(&self) -> bool {
        self.graphs.iter().any(|graph| {
            let by_facts = |way: &Way| matches!(way, Way::When { .. });
            graph.triggers.iter().any(|t| t.watches()) || graph.exits.iter().any(by_facts)
        })
    }

    /// Whether any step makes what a plan says.
    pub fn follows_plans(&self) -> bool {
        let planned = |node: &Node| matches!(node, Node::Send(s, _) if !s.planned.is_empty());
        self.graphs
            .iter()
            .any(|graph| graph.nodes.iter().any(planned))
    }

    /// Whether anything here listens to such events; a caller may keep the others to itself.
    pub fn hears(&self, kind: Happening) -> bool {
        let always = match kind {
            Happening::Unsubscribed | Happening::Subscribed => true,
            Happening::Event(EventKind::Purchase | EventKind::Complaint) => true,
            Happening::Event(EventKind::MessageSent) => self.policy.foreign_messages,
            Happening::Event(_) => false,
        };
        let by_graph = |graph: &Graph| {
            let trigger =
                |t: &super::graph::Entry| matches!(t.on, On::Event { kind: k, .. } if k == kind);
            let exit = |way: &Way| matches!(way, Way::Event { kind: k, .. } if *k == kind);
            let wait = |node: &Node| matches!(node, Node::Event { kind: k, .. } if *k == kind);
            graph.triggers.iter().any(trigger)
                || graph.exits.iter().any(exit)
                || graph.nodes.iter().any(wait)
        };
        always || self.learning.outcomes.contains(&kind) || self.graphs.iter().any(by_graph)
    }

    /// The currency of all costs.
    pub fn currency(&self) -> &str {
        &self.playbook.currency
    }

    /// The state of a shop about which nothing is known yet.
    pub fn start(&self, clock: Timestamp) -> State {
        State::new(clock.micros(), self.names.clone(), &self.zone)
    }

    /// The state of a shop with a past: customers with their last purchase and complaint, and the
    /// messages sent to them as far as caps look back.
    ///
    /// # Errors
    /// `InvalidValue` for ids that do not belong together (never for the history of one log).
    pub fn begin(&self, history: &History<'_>) -> Result<State> {
        let mut state = self.start(history.as_of().instant());
        let customers = history.customers().clone();
        state.join(customers.iter().collect(), |id| self.holds_out(id))?;
        state.remember(history, self.memory);
        let clock = state.clock;
        state.rows.iter_mut().for_each(|row| row.next = clock);
        Ok(state)
    }

    pub(super) fn holds_out(&self, id: CustomerId<'_>) -> bool {
        let holdout = self.policy.holdout.as_ref();
        holdout.is_some_and(|holdout| holdout.contains(id))
    }

    /// The customers for whom something falls due until an instant, or who are named by these
    /// events: those whose facts a step may read, unless it [`watches`](Self::watches) all.
    pub fn attention(&self, state: &State, until: Timestamp, events: &[NewEvent<'_>]) -> Customers {
        let until = until.micros();
        let rows = (0..state.rows.len()).filter(|row| state.rows[*row].next <= until);
        let mut wanted: Vec<CustomerId<'_>> = rows.map(|row| state.customers.get(row)).collect();
        wanted.extend(events.iter().map(|event| event.customer));
        wanted.sort_unstable();
        wanted.dedup();
        // Ids of two types cannot stand in one spine; the step itself says so.
        Customers::from_rows(wanted).unwrap_or_else(|_| state.customers.clone())
    }

    /// Steps to `news.until`, leaving the state that was given as it is.
    ///
    /// # Errors
    /// `InvalidParameter` for a clock that goes back; `InvalidValue`, with the row, for an event
    /// after `until`, a channel that the playbook does not have in a change of consent, and ids of
    /// another type than the state's; `Misaligned` for facts from after `now`, with other names than
    /// the engine's, or missing although decisions read them, and for a plan from after `now` or with
    /// another playbook.
    pub fn step(&self, state: &State, news: &News<'_>) -> Result<(State, Outcome)> {
        let mut state = state.clone();
        let outcome = self.advance(&mut state, news)?;
        Ok((state, outcome))
    }

    /// The same in place, without copying the state; where it fails, the state is as it was.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn advance(&self, state: &mut State, news: &News<'_>) -> Result<Outcome> {
        let (now, until) = (news.now.micros(), news.until.micros());
        self.check_instants(state, news)?;
        let zones = self.zones(state)?;
        self.check_facts(news)?;
        self.check_plan(news)?;
        self.check_events(state, news)?;

        let clock = state.clock;
        let mut ids: Vec<CustomerId<'_>> = news.events.iter().map(|e| e.customer).collect();
        if let Some(facts) = news.facts.filter(|f| f.customers() != &state.customers) {
            ids.extend(facts.customers().iter());
        }
        state.join(ids, |id| self.holds_out(id))?;
        let gone = self.take_names(state);
        let events = self.look_up(state, news);
        let mut visits = self.visits(state, news, &events);

        let tallies = state.tallies.clone();
        let chances = Chances::new(&self.learning, &tallies);
        let mut world = World {
            engine: self,
            facts: news.facts,
            plan: news.plan,
            zones: &zones,
            chances: &chances,
            now,
            clock,
            full: 0,
            day_end: LATER,
        };
        if self.policy.limited == 0 {
            self.run_all(&world, &events, state, &mut visits, until);
        } else {
            // Capacity belongs to days; contacts of each are made before those of the next.
            let mut from = now.min(until);
            loop {
                let day = zones::wall(&self.policy.zone, from).date();
                let midnight = zones::start_of_day(&self.policy.zone, zones::plus_days(day, 1));
                let limit = until.min(midnight - 1);
                self.run_day(
                    &mut world,
                    day,
                    midnight,
                    &events,
                    state,
                    &mut visits,
                    limit,
                );
                if limit == until {
                    break;
                }
                from = midnight;
            }
        }
        world.full = 0;
        run_chunks(&world, &events, state, &mut visits, |walker| {
            walker.finish(until)
        });
        state.clock = until;
        Ok(self.collect(state, visits, gone, clock))
    }

    fn zones(&self, state: &State) -> Result<Vec<TimeZone>> {
        let own = state.zones.iter().skip(1);
        let others = own.map(|name| zones::zone("state.zones", name));
        [Ok(self.policy.zone.clone())]
            .into_iter()
            .chain(others)
            .collect()
    }

    /// Names in the state become those of the engine; whoever stood at a step that is gone leaves.
    fn take_names(&self, state: &mut State) -> Vec<(usize, usize)> {
        let changed = state.names != self.names;
        let gone = state.rename(&self.names);
        if changed {
            let clock = state.clock;
            state
                .rows
                .iter_mut()
                .for_each(|row| row.next = row.next.min(clock));
        }
        state.zones[0].clone_from(&self.zone);
        gone
    }

    /// Whom the step has something to do for, in order of rows.
    fn visits(&self, state: &State, news: &News<'_>, events: &[Told]) -> Vec<Visit> {
        let until = news.until.micros();
        let rows: Option<Vec<u32>> = news.facts.map(|facts| facts_rows(state, facts));
        let watches = self.watches();
        let journeys = self.graphs.len();
        let plan = news.plan.filter(|_| self.follows_plans());
        let chunks: Vec<Vec<Visit>> = (0..state.rows.len().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let own = chunk * CHUNK..((chunk + 1) * CHUNK).min(state.rows.len());
                let mut next = events.partition_point(|e| (e.row as usize) < own.start);
                let mut visits = Vec::new();
                for row in own {
                    let start = next;
                    while next < events.len() && events[next].row as usize == row {
                        next += 1;
                    }
                    let facts = rows.as_ref().map(|rows| rows[row]);
                    let facts = facts.filter(|facts| *facts != u32::MAX);
                    let sees = watches && facts.is_some();
                    if start == next && state.rows[row].next > until && !sees {
                        continue;
                    }
                    let sight = news.facts.filter(|_| sees);
                    visits.push(Visit {
                        row,
                        facts: facts.map(|facts| facts as usize),
                        planned: plan
                            .and_then(|plan| plan.customers().find(state.customers.get(row))),
                        hash: holdout::hash("", state.customers.get(row)),
                        events: start..next,
                        sight: sight.map(|f| f.as_of().instant().micros().max(state.clock)),
                        blocked: vec![0; journeys],
                        started: false,
                        request: None,
                        granted: None,
                        out: Outbox::default(),
                    });
                }
                visits
            })
            .collect();
        chunks.into_iter().flatten().collect()
    }

    fn run_all(
        &self,
        world: &World<'_>,
        events: &[Told],
        state: &mut State,
        visits: &mut [Visit],
        limit: i64,
    ) {
        run_chunks(world, events, state, visits, |walker| walker.run(limit));
    }

    /// One day with capacities: everybody goes as far as the next contact that needs a place, the
    /// places are given out, and so on until nobody asks.
    #[allow(clippy::too_many_arguments)]
    fn run_day(
        &self,
        world: &mut World<'_>,
        day: jiff::civil::Date,
        midnight: i64,
        events: &[Told],
        state: &mut State,
        visits: &mut [Visit],
        limit: i64,
    ) {
        let day = zones::day_number(day);
        if state.used.0 != day {
            state.used = (day, vec![0; self.names.channels.len()]);
        }
        world.day_end = midnight;
        let left = |state: &State, c: usize| match self.policy.capacity[c] {
            None => u64::MAX,
            Some(most) => most.saturating_sub(state.used.1[c]),
        };
        let channels = 0..self.names.channels.len();
        world.full = { channels.clone() }
            .filter(|c| left(state, *c) == 0)
            .fold(0, |mask, c| mask | 1 << c);
        self.run_all(world, events, state, visits, limit);
        loop {
            let mut asking: Vec<(usize, Request)> = visits
                .iter()
                .enumerate()
                .filter_map(|(i, visit)| visit.request.map(|request| (i, request)))
                .collect();
            if asking.is_empty() {
                return;
            }
            // Higher priority first, then who asked first, then by lots that change with the day,
            // so that no customer is always the last.
            asking.sort_by_cached_key(|(i, request)| {
                let lot = holdout::mix(visits[*i].hash ^ holdout::mix(day as u64));
                let priority = self.graphs[request.journey].priority;
                (std::cmp::Reverse(priority), request.at, lot, *i)
            });
            for (i, request) in asking {
                let mut used = channels.clone().filter(|c| request.mask & 1 << c != 0);
                if { used.clone() }.all(|c| left(state, c) > 0) {
                    used.by_ref().for_each(|c| state.used.1[c] += 1);
                    visits[i].granted = Some(request);
                }
            }
            world.full = { channels.clone() }
                .filter(|c| left(state, *c) == 0)
                .fold(0, |mask, c| mask | 1 << c);
            // Only those who asked have anything left to do.
            run_chunks(world, events, state, visits, |walker| {
                if walker.visit.request.is_some() {
                    walker.run(limit);
                }
            });
        }
    }

    fn collect(
        &self,
        state: &mut State,
        visits: Vec<Visit>,
        gone: Vec<(usize, usize)>,
        clock: i64,
    ) -> Outcome {
        let left = gone.into_iter().map(|(row, j)| LogEntry {
            row: row as u32,
            at: Timestamp::from_checked_micros(clock),
            journey: j as u16,
            step: None,
            segment: None,
            decision: Decision::Left {
                reason: STEP_REMOVED as u16,
            },
        });
        let mut log: Vec<LogEntry> = left.collect();
        let mut contacts = Vec::new();
        for visit in visits {
            log.extend(visit.out.log);
            contacts.extend(visit.out.contacts);
            for answer in &visit.out.answers {
                state.tallies.add(answer);
            }
        }
        // Stable: what happened to one customer at one instant stays in its order.
        log.sort_by_key(|entry| (entry.at, entry.row));
        contacts.sort_by_key(|contact| (contact.at, contact.row));
        let next = state
            .positions
            .par_iter()
            .map(|position| position.due)
            .min();
        Outcome {
            customers: state.customers.clone(),
            contacts,
            log,
            next_due: next
                .filter(|next| *next != LATER)
                .map(Timestamp::from_checked_micros),
            words: Arc::clone(&self.words),
        }
    }

    fn find_reads(&self) -> Vec<String> {
        let mut terms = std::collections::BTreeSet::new();
        let mut used_channels = 0_u32;
        let mut used_offers = vec![false; self.offers.len()];
        for graph in &self.graphs {
            for trigger in &graph.triggers {
                trigger.when.iter().for_each(|when| when.reads(&mut terms));
                match &trigger.on {
                    On::Becomes { yes, .. } => yes.reads(&mut terms),
                    On::Changes { from, .. } => from.reads(&mut terms),
                    On::Silence { .. } | On::Event { .. } => {}
                }
            }
            for way in &graph.exits {
                if let Way::When { formula, .. } = way {
                    formula.reads(&mut terms);
                }
            }
            for node in &graph.nodes {
                match node {
                    Node::Branch { arms, .. } => {
                        arms.iter()
                            .for_each(|(formula, _)| formula.reads(&mut terms));
                    }
                    Node::Send(sending, _) => {
                        for option in &sending.options {
                            used_channels |= option.mask;
                            option.offers.iter().for_each(|o| used_offers[*o] = true);
                        }
                    }
                    _ => {}
                }
            }
        }
        let channels = self.channels.iter().enumerate();
        let channels = channels.filter(|(c, _)| used_channels & 1 << c != 0);
        let offers = self
            .offers
            .iter()
            .zip(&used_offers)
            .filter(|(_, used)| **used);
        let formulas = channels.map(|(_, f)| f).chain(offers.map(|(f, _)| f));
        formulas.for_each(|formula| formula.reads(&mut terms));
        terms.extend(self.learning.segmentation.map(|s| (true, s)));
        let mut names: Vec<String> = terms
            .into_iter()
            .map(|(is_segmentation, position)| match is_segmentation {
                true => self.vocabulary.segmentations()[position].name.clone(),
                false => self.vocabulary.numbers()[position].name.clone(),
            })
            .collect();
        names.sort_unstable();
        names
    }
}

/// The row of the facts of each customer of the state, `u32::MAX` where there is none.
fn facts_rows(state: &State, facts: &Facts<'_>) -> Vec<u32> {
    let own = &state.customers;
    if facts.customers() == own {
        return (0..own.len() as u32).collect();
    }
    let mut rows = vec![u32::MAX; own.len()];
    // Both ascend by id.
    let mut row = 0;
    for (fact, id) in facts.customers().iter().enumerate() {
        while row < own.len() && own.get(row) < id {
            row += 1;
        }
        if row < own.len() && own.get(row) == id {
            rows[row] = fact as u32;
        }
    }
    rows
}

/// Calls `run` for every visit, in parallel over chunks of customers.
fn run_chunks(
    world: &World<'_>,
    events: &[Told],
    state: &mut State,
    visits: &mut [Visit],
    run: impl Fn(&mut Walker<'_>) + Sync,
) {
    let journeys = world.engine.graphs.len();
    let rows = state.rows.chunks_mut(CHUNK);
    let positions = state.positions.chunks_mut(CHUNK * journeys);
    let mut rest = visits;
    let mut tasks: Vec<(&mut [Row], &mut [Position], &mut [Visit])> = Vec::new();
    for (chunk, (rows, positions)) in rows.zip(positions).enumerate() {
        let end = rest.partition_point(|visit| visit.row < (chunk + 1) * CHUNK);
        let (own, others) = std::mem::take(&mut rest).split_at_mut(end);
        rest = others;
        if !own.is_empty() {
            tasks.push((rows, positions, own));
        }
    }
    tasks.into_par_iter().for_each(|(rows, positions, visits)| {
        for visit in visits {
            let i = visit.row % CHUNK;
            run(&mut Walker {
                world,
                events,
                visit,
                row: &mut rows[i],
                positions: &mut positions[i * journeys..(i + 1) * journeys],
            });
        }
    });
}
