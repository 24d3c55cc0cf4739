//! Where every customer stands: a plain value that is stored between two steps.
//!
//! A state holds what the engine must not forget and nothing that it is told anyway: position in
//! each journey, last purchase and complaint, consent, zone, hold-out, and the contacts that caps,
//! fatigue and open responses still look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::happening::RecordId;
use super::learning::{Arm, Learning, Tallies, Tally};
use super::limits::Made;
use super::names::{Names, positions};
use super::stored::Stored;
use super::zones;
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::events::{EventKind, History};
use crate::time::Timestamp;

/// No such instant yet.
pub(super) const NEVER: i64 = i64::MIN;
/// No instant ahead.
pub(super) const LATER: i64 = i64::MAX;
/// Step of a customer who is not inside a journey.
pub(super) const OUT: u16 = u16::MAX;

/// Where every customer stands in every journey, made by an [`Engine`](super::Engine) and
/// advanced by its steps.
///
/// It reads from and writes to JSON, and any serde format; a state that was stored between two
/// steps continues as if nothing had happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct State {
    pub(super) clock: i64,
    pub(super) names: Names,
    pub(super) customers: Customers,
    /// The first is the policy's.
    pub(super) zones: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Row-major: customers × journeys.
    pub(super) positions: Vec<Position>,
    /// The day (of the policy's zone) whose contacts per channel are counted.
    pub(super) used: (i32, Vec<u64>),
    pub(super) tallies: Tallies,
}

/// What a shop knows of a customer beside events, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerRecord {
    /// Who: a text or a whole number.
    pub customer: RecordId,
    /// Time zone, a name of the IANA database; as it was where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether the customer is held out; as it was where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<bool>,
}

/// What all journeys share about one customer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) last_purchase: i64,
    pub(super) last_complaint: i64,
    /// The first instant at which something is to be done without an event.
    pub(super) next: i64,
    /// Channels unsubscribed from, and channels consented to.
    pub(super) refused: u32,
    pub(super) granted: u32,
    pub(super) zone: u16,
    pub(super) suppressed: bool,
    pub(super) held_out: bool,
    /// In order of time.
    pub(super) past: Vec<Past>,
}

impl Row {
    fn new() -> Self {
        Row {
            last_purchase: NEVER,
            last_complaint: NEVER,
            next: LATER,
            refused: 0,
            granted: 0,
            zone: 0,
            suppressed: false,
            held_out: false,
            past: Vec::new(),
        }
    }
}

/// A contact made (or, for the hold-out, logged).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub(super) at: i64,
    pub(super) channels: u32,
    pub(super) arm: Arm,
    pub(super) exposure: u8,
    /// Bits of [`OPEN`], [`LOGGED`], [`FOREIGN`], [`EXEMPT`].
    pub(super) flags: u8,
}

/// An answer would still count.
pub(super) const OPEN: u8 = 1;
/// Of a hold-out customer: not sent.
pub(super) const LOGGED: u8 = 2;
/// Made by others.
pub(super) const FOREIGN: u8 = 4;
/// Does not count towards caps.
pub(super) const EXEMPT: u8 = 8;

impl Made for Past {
    fn at(&self) -> i64 {
        self.at
    }
    fn mask(&self) -> u32 {
        if self.flags & EXEMPT == 0 {
            self.channels
        } else {
            0
        }
    }
}

/// Where one customer stands in one journey.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    /// Last entry.
    pub(super) entered: i64,
    /// Arrival at the step.
    pub(super) since: i64,
    /// When something happens without an event; outside: when the customer enters by silence.
    pub(super) due: i64,
    /// Two bits per trigger that watches facts: 0 = not seen, 1 = no (or `from`), 2 = yes (or
    /// `to`), 3 = neither.
    pub(super) seen: u32,
    pub(super) step: u16,
}

impl Position {
    pub(super) const NEW: Position = Position {
        entered: NEVER,
        since: NEVER,
        due: LATER,
        seen: 0,
        step: OUT,
    };
}

impl State {
    pub(super) fn new(clock: i64, names: Names, zone: &str) -> Self {
        State {
            clock,
            used: (i32::MIN, vec![0; names.channels.len()]),
            names,
            customers: Customers::from_ints([]),
            zones: vec![zone.to_owned()],
            rows: Vec::new(),
            positions: Vec::new(),
            tallies: Tallies::default(),
        }
    }

    /// The customers it knows, one per row; contacts and logs count rows of the state that a step
    /// gave.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The instant up to which everything is done.
    pub fn clock(&self) -> Timestamp {
        Timestamp::from_checked_micros(self.clock)
    }

    /// Id of the step at which a customer stands in a journey; `None` outside, and for journeys and
    /// customers that it does not know.
    pub fn step_of<'a>(&self, customer: impl Into<CustomerId<'a>>, journey: &str) -> Option<&str> {
        let row = self.customers.find(customer)?;
        let journey = self.names.journeys.iter().position(|j| j.id == journey)?;
        let step = self.positions[row * self.names.journeys.len() + journey].step;
        let steps = &self.names.journeys[journey].steps;
        steps.get(usize::from(step)).map(|step| step.id.as_str())
    }

    /// Number of customers inside a journey; 0 for one that it does not know.
    pub fn inside(&self, journey: &str) -> usize {
        let count = self.names.journeys.len();
        match self.names.journeys.iter().position(|j| j.id == journey) {
            None => 0,
            Some(j) => {
                let positions = self.positions.iter().skip(j).step_by(count);
                positions.filter(|p| p.step != OUT).count()
            }
        }
    }

    /// Whether each customer is held out.
    pub fn held_out(&self) -> Vec<bool> {
        self.rows.iter().map(|row| row.held_out).collect()
    }

    /// What contacts taught so far.
    pub fn learned(&self) -> Learning {
        Learning::new(&self.names, &self.tallies)
    }

    /// Bytes in memory, ids of customers not counted.
    pub fn bytes(&self) -> usize {
        let past = self.rows.iter().map(|row| row.past.capacity());
        self.rows.len() * size_of::<Row>()
            + self.positions.len() * size_of::<Position>()
            + past.sum::<usize>() * size_of::<Past>()
    }

    /// Says who is held out, in place of the policy's lots; e.g. from
    /// [`Holdout::assign_stratified`](super::Holdout::assign_stratified). Customers that the state
    /// does not know yet join it.
    ///
    /// # Errors
    /// `LengthMismatch` unless there is one answer per customer; `InvalidValue` for ids of another
    /// type.
    pub fn hold_out(&mut self, customers: &Customers, held: &[bool]) -> Result<()> {
        if held.len() != customers.len() {
            return Err(Error::length_mismatch(
                "holdout",
                customers.len(),
                held.len(),
            ));
        }
        self.join(customers.iter().collect(), |_| false)?;
        for (id, held) in customers.iter().zip(held) {
            if let Some(row) = self.customers.find(id) {
                self.rows[row].held_out = *held;
            }
        }
        Ok(())
    }

    /// Says in which time zone customers live (names of the IANA database). Customers that the
    /// state does not know yet join it.
    ///
    /// # Errors
    /// `LengthMismatch` unless there is one zone per customer; `InvalidValue`, with the row, for a
    /// zone that does not exist; `InvalidParameter` for more than 65,535 zones.
    pub fn set_zones<S: AsRef<str>>(&mut self, customers: &Customers, names: &[S]) -> Result<()> {
        if names.len() != customers.len() {
            return Err(Error::length_mismatch(
                "zones",
                customers.len(),
                names.len(),
            ));
        }
        let mut known: BTreeMap<&str, u16> = BTreeMap::new();
        let mut zones = self.zones.clone();
        for (row, name) in names.iter().enumerate() {
            let name = name.as_ref();
            if known.contains_key(name) {
                continue;
            }
            zones::zone("zones", name)
                .map_err(|e| Error::invalid_value("zones", row, e.expected(), e.got()))?;
            // The first zone is the policy's, which may change.
            let position = match zones.iter().skip(1).position(|zone| zone == name) {
                Some(position) => position + 1,
                None => {
                    zones.push(name.to_owned());
                    zones.len() - 1
                }
            };
            let position = u16::try_from(position).map_err(|_| {
                Error::invalid_parameter("zones", "at most 65535 zones", zones.len())
            })?;
            known.insert(name, position);
        }
        self.join(customers.iter().collect(), |_| false)?;
        self.zones = zones;
        for (id, name) in customers.iter().zip(names) {
            if let Some(row) = self.customers.find(id) {
                self.rows[row].zone = known[name.as_ref()];
            }
        }
        Ok(())
    }

    /// Takes over what is known of single customers, as [`set_zones`](Self::set_zones) and
    /// [`hold_out`](Self::hold_out) do for columns.
    ///
    /// # Errors
    /// As for these two, naming the record's row.
    pub fn describe(&mut self, records: &[CustomerRecord]) -> Result<()> {
        let mut whole = self.clone();
        for (row, record) in records.iter().enumerate() {
            let id = match &record.customer {
                RecordId::Int(id) => CustomerId::Int(*id),
                RecordId::Uint(id) => CustomerId::Uint(*id),
                RecordId::Text(id) => CustomerId::Text(id),
            };
            let at_row =
                |e: Error| Error::new(e.kind(), e.what(), e.expected(), e.got()).at_row(row);
            let one = Customers::from_rows([id]).map_err(at_row)?;
            if let Some(zone) = &record.zone {
                whole.set_zones(&one, &[zone]).map_err(at_row)?;
            }
            if let Some(held) = record.held_out {
                whole.hold_out(&one, &[held]).map_err(at_row)?;
            }
        }
        *self = whole;
        Ok(())
    }

    /// Adds the customers that it does not know yet; `held` says who of them is held out.
    pub(super) fn join(
        &mut self,
        mut ids: Vec<CustomerId<'_>>,
        held: impl Fn(CustomerId<'_>) -> bool,
    ) -> Result<()> {
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| self.customers.find(*id).is_none());
        if ids.is_empty() {
            return Ok(());
        }
        let journeys = self.names.journeys.len();
        let old = self.customers.clone();
        let mut merged: Vec<(CustomerId<'_>, Option<usize>)> = old
            .iter()
            .enumerate()
            .map(|(row, id)| (id, Some(row)))
            .collect();
        merged.extend(ids.iter().map(|id| (*id, None)));
        merged.sort_unstable_by_key(|(id, _)| *id);
        self.customers = Customers::from_rows(merged.iter().map(|(id, _)| *id))?;
        let mut rows = Vec::with_capacity(merged.len());
        let mut positions = Vec::with_capacity(merged.len() * journeys);
        for (id, before) in merged {
            match before {
                Some(row) => {
                    rows.push(std::mem::replace(&mut self.rows[row], Row::new()));
                    let own = row * journeys..(row + 1) * journeys;
                    positions.extend_from_slice(&self.positions[own]);
                }
                None => {
                    let mut row = Row::new();
                    row.held_out = held(id);
                    rows.push(row);
                    positions.extend(std::iter::repeat_n(Position::NEW, journeys));
                }
            }
        }
        (self.rows, self.positions) = (rows, positions);
        Ok(())
    }

    /// Takes over what the log says about the time before the engine began.
    pub(super) fn remember(&mut self, history: &History<'_>, memory: i64) {
        let channels: Vec<Option<u32>> = {
            let own = |name: &String| self.names.channels.iter().position(|c| c == name);
            let names = history.channels().iter();
            names.map(|name| own(name).map(|c| 1 << c)).collect()
        };
        let since = self.clock.saturating_sub(memory);
        for row in 0..history.customers().len() {
            // The state knows all customers of the history by now.
            let Some(own) = self.customers.find(history.customers().get(row)) else {
                continue;
            };
            let own = &mut self.rows[own];
            for event in history.customer(row).events() {
                let at = event.time.micros();
                match event.kind {
                    EventKind::Purchase => own.last_purchase = own.last_purchase.max(at),
                    EventKind::Complaint => own.last_complaint = own.last_complaint.max(at),
                    EventKind::MessageSent if at > since => {
                        let channel = event.channel.and_then(|c| channels[c]);
                        own.past.push(Past::foreign(at, channel.unwrap_or(0)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Turns positions of the names that it was made with into those of an engine's names.
    /// Customers at steps that are gone stand at [`OUT`] afterwards; they are returned as
    /// (row, journey).
    pub(super) fn rename(&mut self, names: &Names) -> Vec<(usize, usize)> {
        if self.names == *names {
            return Vec::new();
        }
        let old = std::mem::replace(&mut self.names, names.clone());
        let mut gone = Vec::new();
        let ids = |names: &Names| {
            names
                .journeys
                .iter()
                .map(|j| j.id.clone())
                .collect::<Vec<_>>()
        };
        let (before, now) = (ids(&old), ids(names));
        let journeys = positions(&before, now.iter());
        let back = positions(&now, before.iter());
        let steps: Vec<Vec<Option<usize>>> = journeys
            .iter()
            .zip(&old.journeys)
            .map(|(now, old)| match now {
                None => vec![None; old.steps.len()],
                Some(now) => {
                    let now = names.journeys[*now].steps.iter().map(|s| &s.id);
                    positions(old.steps.iter().map(|s| &s.id), now)
                }
            })
            .collect();
        let mut moved = Vec::with_capacity(self.rows.len() * names.journeys.len());
        for row in 0..self.rows.len() {
            for (j, back) in back.iter().enumerate() {
                let Some(was) = back else {
                    moved.push(Position::NEW);
                    continue;
                };
                let mut position = self.positions[row * old.journeys.len() + was];
                if position.step != OUT {
                    match steps[*was][usize::from(position.step)] {
                        Some(step) => position.step = step as u16,
                        None => {
                            gone.push((row, j));
                            position.step = OUT;
                        }
                    }
                }
                if old.journeys[*was].triggers != names.journeys[j].triggers {
                    position.seen = 0;
                }
                moved.push(position);
            }
        }
        self.positions = moved;
        let channels = positions(&old.channels, names.channels.iter());
        let mask = |bits: u32| {
            let set = channels
                .iter()
                .enumerate()
                .filter(|(c, _)| bits & 1 << c != 0);
            set.fold(0, |mask, (_, now)| mask | now.map_or(0, |c| 1_u32 << c))
        };
        let segments = positions(&old.segments, names.segments.iter());
        let arm = |arm: &Arm| -> Option<Arm> {
            let (j, s) = (usize::from(arm.journey), usize::from(arm.step));
            let journey = journeys.get(j).copied().flatten()?;
            let step = steps.get(j)?.get(s).copied().flatten()?;
            let option = old.journeys[j].steps[s]
                .options
                .get(usize::from(arm.option))?;
            let mut options = names.journeys[journey].steps[step].options.iter();
            let segment = segments.get(usize::from(arm.segment)).copied();
            Some(Arm {
                journey: journey as u8,
                step: step as u16,
                option: options.position(|o| o == option)? as u8,
                segment: segment
                    .flatten()
                    .map_or(super::learning::NO_SEGMENT, |s| s as u8),
            })
        };
        for row in &mut self.rows {
            row.refused = mask(row.refused);
            row.granted = mask(row.granted);
            for past in &mut row.past {
                past.channels = mask(past.channels);
                match arm(&past.arm) {
                    Some(now) => past.arm = now,
                    None => past.flags &= !OPEN,
                }
            }
        }
        let mut arms: BTreeMap<Arm, Tally> = BTreeMap::new();
        for (was, tally) in &self.tallies.arms {
            if let Some(now) = arm(was) {
                let sum = arms.entry(now).or_default();
                sum.contacts += tally.contacts;
                sum.responses += tally.responses;
            }
        }
        self.tallies.arms = arms;
        let used = std::mem::take(&mut self.used.1);
        self.used.1 = vec![0; names.channels.len()];
        for (count, now) in used.iter().zip(&channels) {
            if let Some(now) = now {
                self.used.1[*now] = *count;
            }
        }
        gone
    }
}

impl Past {
    pub(super) fn foreign(at: i64, channels: u32) -> Self {
        Past {
            at,
            channels,
            arm: Arm {
                journey: u8::MAX,
                step: OUT,
                option: 0,
                segment: 0,
            },
            exposure: 0,
            flags: FOREIGN,
        }
    }
}
