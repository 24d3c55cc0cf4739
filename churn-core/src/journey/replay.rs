//! A journey run over past events, day by day: who would have been contacted, and who not and why.
//!
//! Each day the engine is told what was known at its beginning (features, scores, segments as of
//! that midnight in UTC), and goes through the day with the events as they happened. Facts are
//! asked for only where a decision may read them. Over days to come, of which the log has no events
//! yet, the same is a forecast of the calendar for customers who stay silent.
//!
//! Not for what the contacts would have brought: the people of the past were not contacted, so
//! their purchases are those of customers left alone (or contacted otherwise). Compare policies by
//! whom they reach and what they cost, and journeys by a hold-out.

use std::fmt;

use rayon::prelude::*;

use super::contact_policy::Rejection;
use super::engine::Engine;
use super::happening::{Happening, NewEvent};
use super::log::{Decision, Outcome};
use super::news::News;
use super::state::State;
use crate::error::{Error, Result};
use crate::events::{EventLog, History};
use crate::features::FeatureTable;
use crate::math::sum::ExactSum;
use crate::progress::Progress;
use crate::scoring::Scores;
use crate::segments::Segments;
use crate::strategy::{Facts, Plan};
use crate::time::{AsOf, MICROS_PER_DAY, Timestamp};

/// A century of days.
const MAX_DAYS: i64 = 36_500;

/// What is known of the customers of a history.
#[derive(Debug, Clone)]
pub struct Described {
    /// What describes each customer.
    pub features: FeatureTable,
    /// Churn probabilities.
    pub scores: Scores,
    /// Segmentations.
    pub segments: Vec<Segments>,
}

/// What one day of a replay came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayDay {
    /// The midnight (UTC) at which it began.
    pub date: Timestamp,
    /// Customers who entered a journey.
    pub entered: u64,
    /// Customers who left one.
    pub left: u64,
    /// Contacts made.
    pub contacts: u64,
    /// Contacts per channel of the playbook; one over two channels counts for both.
    pub by_channel: Vec<u64>,
    /// Contacts of hold-out customers that were only logged.
    pub held_out: u64,
    /// Contacts held back for later, per rule ([`Rejection::ALL`]).
    pub held: [u64; Rejection::ALL.len()],
    /// Contacts dropped, per rule.
    pub skipped: [u64; Rejection::ALL.len()],
    /// Cost of the contacts (currency).
    pub cost: f64,
}

/// A journey run over a span of days.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The days in order.
    pub days: Vec<ReplayDay>,
    /// All contacts and decisions.
    pub outcome: Outcome,
    /// Number of contacts of each customer of [`Outcome::customers`].
    pub contacts_per_customer: Vec<u32>,
    /// The state at the end.
    pub state: State,
    /// The currency of all costs.
    pub currency: String,
    channels: Vec<String>,
}

/// Runs an engine over the days from `from` (inclusive) to `to` (exclusive), whole days of UTC.
///
/// `describe` answers with what is known of the customers of a history; it is called once per day
/// on which a decision may read facts, with the customers whom these may be about. The names must
/// be those that the engine was made for.
///
/// # Errors
/// `InvalidParameter` for a span that is empty, longer than 36,500 days or does not begin and end
/// at midnight; those of `describe` and of [`Engine::step`]; `Cancelled`.
pub fn replay(
    log: &EventLog,
    engine: &Engine,
    from: AsOf,
    to: AsOf,
    describe: impl FnMut(&History<'_>) -> Result<Described>,
    progress: &Progress<'_>,
) -> Result<Replay> {
    replay_planned(log, engine, from, to, &[], describe, progress)
}

/// The same with plans for steps that make what a plan says: on each day the one made last before
/// or at its beginning is in force.
///
/// # Errors
/// As [`replay`]; those of a step for a plan with another playbook.
pub fn replay_planned(
    log: &EventLog,
    engine: &Engine,
    from: AsOf,
    to: AsOf,
    plans: &[&Plan],
    mut describe: impl FnMut(&History<'_>) -> Result<Described>,
    progress: &Progress<'_>,
) -> Result<Replay> {
    let (first, end) = (from.instant().micros(), to.instant().micros());
    let days = (end - first) / MICROS_PER_DAY;
    let midnights = first % MICROS_PER_DAY == 0 && end % MICROS_PER_DAY == 0;
    if !(midnights && (1..=MAX_DAYS).contains(&days)) {
        return Err(Error::invalid_parameter(
            "replay",
            format_args!("1 to {MAX_DAYS} days from midnight to midnight"),
            format_args!("{from} to {to}"),
        ));
    }
    let mut state = engine.begin(&log.history(from))?;
    // Rows of the state are rows of the log from the first day on, so that contacts of all days
    // count the same customers.
    state.join(log.customers().iter().collect(), |id| engine.holds_out(id))?;
    let step = progress.step("journey.replay", days as usize);
    let mut all: Option<Outcome> = None;
    let mut summaries = Vec::with_capacity(days as usize);
    for day in 0..days {
        let at = |day: i64| Timestamp::from_checked_micros(first + day * MICROS_PER_DAY);
        let (now, next) = (at(day), at(day + 1));
        let until = Timestamp::from_checked_micros(next.micros() - 1);
        let events = events_between(log, engine, now, next);
        let mut news = News::at(now).until(until).with_events(&events);
        let made = plans.iter().filter(|plan| plan.as_of().instant() <= now);
        if let Some(plan) = made.max_by_key(|plan| plan.as_of()) {
            news = news.with_plan(plan);
        }
        let outcome = if engine.reads().is_empty() {
            engine.advance(&mut state, &news)?
        } else {
            let history = log.history(AsOf::new(now));
            let history = match engine.watches() {
                true => history,
                false => history.only(&engine.attention(&state, until, &events)),
            };
            let described = describe(&history)?;
            let segments: Vec<&Segments> = described.segments.iter().collect();
            let facts = Facts::new(&described.features, &described.scores, &segments)?;
            engine.advance(&mut state, &news.with_facts(&facts))?
        };
        summaries.push(summarize(now, &outcome));
        match &mut all {
            None => all = Some(outcome),
            Some(all) => {
                all.contacts.extend(outcome.contacts);
                all.log.extend(outcome.log);
                all.next_due = outcome.next_due;
            }
        }
        step.advance(1)?;
    }
    // There is at least one day.
    let Some(outcome) = all else {
        return Err(Error::invalid_parameter(
            "replay",
            "at least one day",
            "none",
        ));
    };
    let mut contacts_per_customer = vec![0; outcome.customers.len()];
    for contact in &outcome.contacts {
        contacts_per_customer[contact.row as usize] += 1;
    }
    Ok(Replay {
        days: summaries,
        channels: outcome.words.channels.clone(),
        contacts_per_customer,
        outcome,
        state,
        currency: engine.currency().to_owned(),
    })
}

/// What an engine listens to of the events of a log in `[from, to)`, ready for a step.
///
/// Events told twice change nothing, so a caller whose log receives late events begins as far
/// before the state's clock as these may be late.
pub fn events_between<'l>(
    log: &'l EventLog,
    engine: &Engine,
    from: Timestamp,
    to: Timestamp,
) -> Vec<NewEvent<'l>> {
    let customers = log.customers();
    let one = |row: usize| {
        let events = log.between(row, from, to);
        let heard = events.filter(|event| engine.hears(Happening::Event(event.kind)));
        heard.map(move |event| NewEvent {
            customer: customers.get(row),
            time: event.time,
            kind: Happening::Event(event.kind),
            channel: event.channel.map(|c| log.channels()[c].as_str()),
        })
    };
    (0..customers.len())
        .into_par_iter()
        .with_min_len(1024)
        .flat_map_iter(one)
        .collect()
}

fn summarize(date: Timestamp, outcome: &Outcome) -> ReplayDay {
    let mut day = ReplayDay {
        date,
        entered: 0,
        left: 0,
        contacts: outcome.contacts.len() as u64,
        by_channel: vec![0; outcome.words.channels.len()],
        held_out: 0,
        held: [0; Rejection::ALL.len()],
        skipped: [0; Rejection::ALL.len()],
        cost: 0.0,
    };
    for entry in &outcome.log {
        match entry.decision {
            Decision::Entered { .. } => day.entered += 1,
            Decision::Left { .. } => day.left += 1,
            Decision::HeldOut { .. } => day.held_out += 1,
            Decision::Held { reason, .. } => day.held[reason as usize] += 1,
            Decision::Skipped { reason } => day.skipped[reason as usize] += 1,
            Decision::Went { .. } | Decision::Sent { .. } => {}
        }
    }
    let mut cost = ExactSum::default();
    for contact in &outcome.contacts {
        cost.add(contact.cost);
        let step = &outcome.words.journeys[usize::from(contact.journey)].steps;
        let option = &step[usize::from(contact.step)].options[usize::from(contact.option)];
        option.1.iter().for_each(|c| day.by_channel[*c] += 1);
    }
    day.cost = cost.value();
    day
}

impl Replay {
    /// Number of contacts.
    pub fn contacts(&self) -> u64 {
        self.outcome.contacts.len() as u64
    }

    /// Cost of all contacts (currency).
    pub fn cost(&self) -> f64 {
        let mut sum = ExactSum::default();
        self.outcome.contacts.iter().for_each(|c| sum.add(c.cost));
        sum.value()
    }

    /// Cost of the offers if everybody answered (currency).
    pub fn offer_cost(&self) -> f64 {
        let mut sum = ExactSum::default();
        let contacts = self.outcome.contacts.iter();
        contacts.for_each(|c| sum.add(c.offer_cost));
        sum.value()
    }

    /// Names of the channels that [`ReplayDay::by_channel`] counts.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    /// How many customers had how many contacts: entry *k* counts those with *k*.
    pub fn histogram(&self) -> Vec<u64> {
        let most = self.contacts_per_customer.iter().max().copied();
        let mut counts = vec![0; most.unwrap_or(0) as usize + 1];
        for contacts in &self.contacts_per_customer {
            counts[*contacts as usize] += 1;
        }
        counts
    }

    /// The rules that held contacts back or dropped them, where there was any.
    pub fn held_back(&self) -> Vec<HeldBack> {
        let sum = |of: fn(&ReplayDay) -> &[u64; Rejection::ALL.len()], i: usize| {
            self.days.iter().map(|day| of(day)[i]).sum::<u64>()
        };
        let rules = Rejection::ALL.iter().enumerate();
        rules
            .map(|(i, rule)| HeldBack {
                rule: *rule,
                held: sum(|d| &d.held, i),
                dropped: sum(|d| &d.skipped, i),
            })
            .filter(|all| all.held + all.dropped > 0)
            .collect()
    }

    /// The calendar, `days` days per line.
    pub fn calendar(&self, days: usize) -> Calendar<'_> {
        Calendar {
            replay: self,
            days: days.max(1),
        }
    }

    /// Two rival journeys or policies over the same log and days, side by side.
    ///
    /// # Errors
    /// `Misaligned` where customers, channels or days differ.
    pub fn compare(&self, other: &Replay) -> Result<Comparison> {
        self.outcome
            .customers
            .check_same(&other.outcome.customers, "replay")?;
        let span = |replay: &Replay| {
            let days = &replay.days;
            format!("{} days from {}", days.len(), days[0].date)
        };
        if span(self) != span(other) {
            return Err(Error::misaligned("replay", span(self), span(other)));
        }
        if self.channels != other.channels {
            return Err(Error::misaligned(
                "replay.channels",
                self.channels.join(", "),
                other.channels.join(", "),
            ));
        }
        let mut reached = [0; 4];
        let pairs = self
            .contacts_per_customer
            .iter()
            .zip(&other.contacts_per_customer);
        for (a, b) in pairs {
            reached[usize::from(*a > 0) + 2 * usize::from(*b > 0)] += 1;
        }
        let days = self.days.iter().zip(&other.days);
        let by_channel = |replay: &Replay, c: usize| {
            replay.days.iter().map(|day| day.by_channel[c]).sum::<u64>()
        };
        Ok(Comparison {
            days: days
                .map(|(a, b)| (a.date, a.contacts, b.contacts))
                .collect(),
            contacts: (self.contacts(), other.contacts()),
            cost: (self.cost(), other.cost()),
            reached_by_neither: reached[0],
            reached_by_first_only: reached[1],
            reached_by_second_only: reached[2],
            reached_by_both: reached[3],
            channels: (0..self.channels.len())
                .map(|c| {
                    (
                        self.channels[c].clone(),
                        by_channel(self, c),
                        by_channel(other, c),
                    )
                })
                .collect(),
            held_back: (self.held_back(), other.held_back()),
            currency: self.currency.clone(),
        })
    }
}

/// The calendar of a replay, to print.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'r> {
    replay: &'r Replay,
    days: usize,
}

impl fmt::Display for Calendar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replay = self.replay;
        let used: Vec<usize> = (0..replay.channels.len())
            .filter(|c| replay.days.iter().any(|day| day.by_channel[*c] > 0))
            .collect();
        write!(f, "{:<10} {:>8}", "from", "entered")?;
        for c in &used {
            write!(f, " {:>10}", replay.channels[*c])?;
        }
        writeln!(
            f,
            " {:>9} {:>8} {:>8} {:>8} {:>10}",
            "contacts", "held out", "held", "dropped", "cost"
        )?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, days: &[ReplayDay]| {
            let sum = |of: &dyn Fn(&ReplayDay) -> u64| days.iter().map(of).sum::<u64>();
            write!(f, "{name:<10} {:>8}", sum(&|d| d.entered))?;
            for c in &used {
                write!(f, " {:>10}", sum(&|d| d.by_channel[*c]))?;
            }
            let mut cost = ExactSum::default();
            days.iter().for_each(|day| cost.add(day.cost));
            writeln!(
                f,
                " {:>9} {:>8} {:>8} {:>8} {:>10.2}",
                sum(&|d| d.contacts),
                sum(&|d| d.held_out),
                sum(&|d| d.held.iter().sum()),
                sum(&|d| d.skipped.iter().sum()),
                cost.value()
            )
        };
        for days in replay.days.chunks(self.days) {
            let date = days[0].date.to_string();
            line(f, &date, days)?;
        }
        line(f, "total", &replay.days)?;
        for HeldBack {
            rule,
            held,
            dropped,
        } in replay.held_back()
        {
            let rule = rule.name();
            writeln!(
                f,
                "held back by {rule}: {held} for later, {dropped} dropped"
            )?;
        }
        write!(f, "contacts per customer:")?;
        for (contacts, customers) in replay.histogram().iter().enumerate() {
            write!(f, " {contacts}: {customers}")?;
        }
        Ok(())
    }
}

/// How many contacts a rule held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// The rule.
    pub rule: Rejection,
    /// Contacts that had to wait; one that waited twice counts twice.
    pub held: u64,
    /// Contacts that were dropped.
    pub dropped: u64,
}

/// Two replays of the same days side by side; `Display` prints it.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Date and contacts of either, per day.
    pub days: Vec<(Timestamp, u64, u64)>,
    /// Contacts of either.
    pub contacts: (u64, u64),
    /// Cost of the contacts of either (currency).
    pub cost: (f64, f64),
    /// Customers whom neither contacts.
    pub reached_by_neither: u64,
    /// Customers whom only the first contacts.
    pub reached_by_first_only: u64,
    /// Customers whom only the second contacts.
    pub reached_by_second_only: u64,
    /// Customers whom both contact.
    pub reached_by_both: u64,
    /// Contacts of either per channel.
    pub channels: Vec<(String, u64, u64)>,
    /// What held back contacts of either: rule, held, dropped.
    pub held_back: (Vec<HeldBack>, Vec<HeldBack>),
    /// The currency of the costs.
    pub currency: String,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, a: &dyn fmt::Display, b: &dyn fmt::Display| {
            writeln!(f, "{name:<32} {a:>12} {b:>12}")
        };
        row("", &"first", &"second")?;
        row("contacts", &self.contacts.0, &self.contacts.1)?;
        for (channel, a, b) in self.channels.iter().filter(|(_, a, b)| a + b > 0) {
            row(&format!("  over {channel}"), a, b)?;
        }
        let money = |cost: f64| format!("{cost:.2}");
        let name = format!("cost ({})", self.currency);
        row(&name, &money(self.cost.0), &money(self.cost.1))?;
        for rule in Rejection::ALL {
            let of = |list: &[HeldBack]| {
                let found = list.iter().find(|all| all.rule == rule);
                found.map_or(0, |all| all.held + all.dropped)
            };
            let (a, b) = (of(&self.held_back.0), of(&self.held_back.1));
            if a + b > 0 {
                row(&format!("held back by {}", rule.name()), &a, &b)?;
            }
        }
        row(
            "customers reached",
            &(self.reached_by_both + self.reached_by_first_only),
            &(self.reached_by_both + self.reached_by_second_only),
        )?;
        row(
            "customers reached by it alone",
            &self.reached_by_first_only,
            &self.reached_by_second_only,
        )?;
        let differ = self.days.iter().filter(|(_, a, b)| a != b).count();
        write!(
            f,
            "days with another number of contacts: {differ} of {}",
            self.days.len()
        )
    }
}
