//! What a step is told, and what is refused of it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::engine::Engine;
use super::happening::{Happening, NewEvent};
use super::state::State;
use crate::customers::CustomerId;
use crate::error::{Error, Result};
use crate::strategy::{Facts, Plan};
use crate::time::{AsOf, Timestamp};

/// What a step is told.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// The present: contacts are made from here on.
    pub now: Timestamp,
    /// Up to when to act; `now` where the caller comes back in time.
    pub until: Timestamp,
    /// What happened since the step before, and what was not told then.
    pub events: &'a [NewEvent<'a>],
    /// What is known of customers at an instant not after `now`. It may lack customers: for them no
    /// condition holds.
    pub facts: Option<&'a Facts<'a>>,
    /// The plan in force, for steps that make what it says.
    pub plan: Option<&'a Plan>,
}

impl<'a> News<'a> {
    /// Nothing but the instant.
    pub fn at(now: Timestamp) -> Self {
        News {
            now,
            until: now,
            events: &[],
            facts: None,
            plan: None,
        }
    }

    /// The same, planning ahead.
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = until;
        self
    }

    /// The same with events.
    pub fn with_events(mut self, events: &'a [NewEvent<'a>]) -> Self {
        self.events = events;
        self
    }

    /// The same with facts.
    pub fn with_facts(mut self, facts: &'a Facts<'a>) -> Self {
        self.facts = Some(facts);
        self
    }

    /// The same with the plan in force, made at an instant not after `now` with the playbook of the
    /// engine. It stands for one step; a caller tells it again while it is in force.
    pub fn with_plan(mut self, plan: &'a Plan) -> Self {
        self.plan = Some(plan);
        self
    }
}

/// An event with everything looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) row: u32,
    effect: i64,
    pub(super) time: i64,
    pub(super) kind: Happening,
    pub(super) channel: Option<u8>,
}

impl Told {
    /// When it takes effect.
    pub(super) fn at(&self, clock: i64) -> i64 {
        self.time.max(clock)
    }

    /// Its channel as a bit.
    pub(super) fn mask(&self) -> u32 {
        self.channel.map_or(0, |c| 1 << c)
    }
}

impl Engine {
    pub(super) fn check_instants(&self, state: &State, news: &News<'_>) -> Result<()> {
        if news.now.micros() < state.clock {
            return Err(Error::invalid_parameter(
                "now",
                format_args!(
                    "an instant not before {}, up to which all is done",
                    state.clock()
                ),
                news.now,
            ));
        }
        if news.until < news.now {
            return Err(Error::invalid_parameter(
                "until",
                format_args!("an instant not before now ({})", news.now),
                news.until,
            ));
        }
        Ok(())
    }

    pub(super) fn check_facts(&self, news: &News<'_>) -> Result<()> {
        let Some(facts) = news.facts else {
            return match self.reads.first() {
                None => Ok(()),
                Some(name) => Err(Error::misaligned(
                    "facts",
                    format_args!("facts, because the journeys read {name}"),
                    "none",
                )),
            };
        };
        if facts.as_of() > AsOf::new(news.now) {
            return Err(Error::misaligned(
                "facts",
                format_args!("facts as of {} or before", news.now),
                facts.as_of(),
            ));
        }
        if *facts.vocabulary() != self.vocabulary {
            let differing = facts
                .vocabulary()
                .names()
                .find(|name| !self.vocabulary.contains(name));
            return Err(Error::misaligned(
                "facts",
                "the features, scores and segmentations that the engine was made for",
                match differing {
                    Some(name) => format!("{name:?} as well"),
                    None => "others".to_owned(),
                },
            ));
        }
        Ok(())
    }

    pub(super) fn check_plan(&self, news: &News<'_>) -> Result<()> {
        let Some(plan) = news.plan else {
            return Ok(());
        };
        if plan.as_of() > AsOf::new(news.now) {
            return Err(Error::misaligned(
                "plan",
                format_args!("a plan as of {} or before", news.now),
                plan.as_of(),
            ));
        }
        let (own, other) = (&self.playbook, plan.playbook());
        let differing = if own.channels != other.channels {
            "channels"
        } else if own.offers != other.offers {
            "offers"
        } else if own.actions != other.actions {
            "actions"
        } else {
            return Ok(());
        };
        Err(Error::misaligned(
            "plan.playbook",
            "the playbook that the engine was made for",
            format_args!("one with other {differing}"),
        ))
    }

    pub(super) fn check_events(&self, state: &State, news: &News<'_>) -> Result<()> {
        let same_type = |id: CustomerId<'_>| match state.customers.iter().next() {
            None => true,
            Some(first) => std::mem::discriminant(&first) == std::mem::discriminant(&id),
        };
        let first = news.events.first().map(|event| event.customer);
        for (row, event) in news.events.iter().enumerate() {
            if event.time > news.until {
                return Err(Error::invalid_value(
                    "events.time",
                    row,
                    format_args!("an instant not after {}", news.until),
                    event.time,
                ));
            }
            if event.customer == CustomerId::Text("") {
                return Err(Error::invalid_value(
                    "events.customer",
                    row,
                    "a customer id",
                    "nothing",
                ));
            }
            let alike = first.is_none_or(|first| {
                std::mem::discriminant(&first) == std::mem::discriminant(&event.customer)
            });
            if !(alike && same_type(event.customer)) {
                return Err(Error::invalid_value(
                    "events.customer",
                    row,
                    "ids of one type",
                    event.customer,
                ));
            }
            if let Happening::Unsubscribed | Happening::Subscribed = event.kind
                && let Some(channel) = event.channel
                && !self.names.channels.iter().any(|known| known == channel)
            {
                let error = Error::unknown_name("events.channel", channel, &self.names.channels);
                return Err(error.at_row(row));
            }
        }
        if let Some(facts) = news.facts
            && let Some(id) = facts.customers().iter().next()
            && !(same_type(id)
                && first.is_none_or(|f| std::mem::discriminant(&f) == std::mem::discriminant(&id)))
        {
            return Err(Error::misaligned("facts.customers", "ids of one type", id));
        }
        Ok(())
    }

    pub(super) fn look_up(&self, state: &State, news: &News<'_>) -> Vec<Told> {
        let channels: HashMap<&str, u8> = self
            .names
            .channels
            .iter()
            .enumerate()
            .map(|(c, name)| (name.as_str(), c as u8))
            .collect();
        let mut events: Vec<Told> = news
            .events
            .par_iter()
            .filter_map(|event| {
                let time = event.time.micros();
                Some(Told {
                    // All customers of events have joined.
                    row: state.customers.find(event.customer)? as u32,
                    effect: time.max(state.clock),
                    time,
                    kind: event.kind,
                    channel: event.channel.and_then(|name| channels.get(name).copied()),
                })
            })
            .collect();
        events.par_sort_unstable();
        events
    }
}
