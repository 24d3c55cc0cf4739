//! The form in which a state is stored: columns, checked when they are read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::learning::{Arm, MOST_EXPOSURE, Tallies, Tally};
use super::names::Names;
use super::state::{LATER, NEVER, OUT, Past, Position, Row, State};
use super::zones;
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// The version of the state format that this library reads and writes.
const VERSION: u32 = 1;

/// The stored form: columns, with nothing where there is no instant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    // First, so that another version is named before anything that it added.
    #[serde(deserialize_with = "read_version")]
    version: u32,
    clock: i64,
    names: Names,
    zones: Vec<String>,
    customers: Ids,
    rows: StoredRows,
    positions: Vec<StoredPositions>,
    used_day: i32,
    used: Vec<u64>,
    arms: Vec<(Arm, Tally)>,
    exposures: Vec<Tally>,
}

fn read_version<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(from)?;
    if version == VERSION {
        return Ok(version);
    }
    Err(serde::de::Error::custom(format!(
        "a state of version {version}, but this library reads version {VERSION}"
    )))
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ids {
    Int(Vec<i64>),
    Uint(Vec<u64>),
    Text(Vec<String>),
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRows {
    last_purchase: Vec<Option<i64>>,
    last_complaint: Vec<Option<i64>>,
    next: Vec<Option<i64>>,
    refused: Vec<u32>,
    granted: Vec<u32>,
    zone: Vec<u16>,
    suppressed: Vec<u8>,
    held_out: Vec<u8>,
    contacts: Vec<u32>,
    past: Vec<(i64, u32, Arm, u8, u8)>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPositions {
    entered: Vec<Option<i64>>,
    since: Vec<Option<i64>>,
    due: Vec<Option<i64>>,
    seen: Vec<u32>,
    step: Vec<Option<u16>>,
}

fn some(instant: i64) -> Option<i64> {
    (instant != NEVER && instant != LATER).then_some(instant)
}

impl From<State> for Stored {
    fn from(state: State) -> Stored {
        let journeys = state.names.journeys.len();
        let mut positions = vec![StoredPositions::default(); journeys];
        for (i, position) in state.positions.iter().enumerate() {
            let columns = &mut positions[i % journeys];
            columns.entered.push(some(position.entered));
            columns.since.push(some(position.since));
            columns.due.push(some(position.due));
            columns.seen.push(position.seen);
            columns
                .step
                .push((position.step != OUT).then_some(position.step));
        }
        let mut rows = StoredRows::default();
        for row in &state.rows {
            rows.last_purchase.push(some(row.last_purchase));
            rows.last_complaint.push(some(row.last_complaint));
            rows.next.push(some(row.next));
            rows.refused.push(row.refused);
            rows.granted.push(row.granted);
            rows.zone.push(row.zone);
            rows.suppressed.push(u8::from(row.suppressed));
            rows.held_out.push(u8::from(row.held_out));
            rows.contacts.push(row.past.len() as u32);
            let past = row.past.iter();
            rows.past
                .extend(past.map(|p| (p.at, p.channels, p.arm, p.exposure, p.flags)));
        }
        let ids = || state.customers.iter();
        let customers = match state.customers.iter().next() {
            None | Some(CustomerId::Int(_)) => Ids::Int(
                ids()
                    .filter_map(|id| match id {
                        CustomerId::Int(id) => Some(id),
                        _ => None,
                    })
                    .collect(),
            ),
            Some(CustomerId::Uint(_)) => Ids::Uint(
                ids()
                    .filter_map(|id| match id {
                        CustomerId::Uint(id) => Some(id),
                        _ => None,
                    })
                    .collect(),
            ),
            Some(CustomerId::Text(_)) => Ids::Text(ids().map(|id| id.to_string()).collect()),
        };
        Stored {
            version: VERSION,
            clock: state.clock,
            zones: state.zones,
            customers,
            rows,
            positions,
            used_day: state.used.0,
            used: state.used.1,
            arms: state.tallies.arms.into_iter().collect(),
            exposures: state.tallies.exposures.to_vec(),
            names: state.names,
        }
    }
}

impl TryFrom<Stored> for State {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<State> {
        let customers = match &stored.customers {
            Ids::Int(ids) => Customers::from_rows(ids.iter().copied()),
            Ids::Uint(ids) => Customers::from_rows(ids.iter().copied()),
            Ids::Text(ids) => Customers::from_rows(ids.iter().map(String::as_str)),
        }
        .map_err(|e| Error::invalid_parameter("state.customers", e.expected(), e.got()))?;
        let n = customers.len();
        let length = |what: &str, expected: usize, got: usize| match expected == got {
            true => Ok(()),
            false => Err(Error::length_mismatch(
                format!("state.{what}"),
                expected,
                got,
            )),
        };
        let StoredRows {
            last_purchase,
            last_complaint,
            next,
            refused,
            granted,
            zone,
            suppressed,
            held_out,
            contacts,
            past,
        } = stored.rows;
        for (what, got) in [
            ("rows.last_purchase", last_purchase.len()),
            ("rows.last_complaint", last_complaint.len()),
            ("rows.next", next.len()),
            ("rows.refused", refused.len()),
            ("rows.granted", granted.len()),
            ("rows.zone", zone.len()),
            ("rows.suppressed", suppressed.len()),
            ("rows.held_out", held_out.len()),
            ("rows.contacts", contacts.len()),
        ] {
            length(what, n, got)?;
        }
        let wrong = |what: &str, row: usize, expected: &str, got: &dyn std::fmt::Display| {
            Error::invalid_value(format!("state.{what}"), row, expected, got)
        };
        let instants = [&last_purchase, &last_complaint, &next];
        let held = past.iter().map(|p| p.0).chain([stored.clock]);
        for at in instants
            .into_iter()
            .flatten()
            .flatten()
            .copied()
            .chain(held)
        {
            Timestamp::from_micros(at)
                .map_err(|e| Error::invalid_parameter("state", e.expected(), e.got()))?;
        }
        length(
            "rows.past",
            contacts.iter().map(|c| *c as usize).sum(),
            past.len(),
        )?;
        for name in &stored.zones {
            zones::zone("state.zones", name)?;
        }
        if let Some(row) = zone
            .iter()
            .position(|z| usize::from(*z) >= stored.zones.len())
        {
            return Err(wrong("rows.zone", row, "a zone of the list", &zone[row]));
        }
        length("used", stored.names.channels.len(), stored.used.len())?;
        length("exposures", MOST_EXPOSURE + 1, stored.exposures.len())?;
        let journeys = stored.names.journeys.len();
        length("positions", journeys, stored.positions.len())?;
        let mut positions = vec![Position::NEW; n * journeys];
        for (j, columns) in stored.positions.iter().enumerate() {
            for got in [
                columns.entered.len(),
                columns.since.len(),
                columns.due.len(),
                columns.seen.len(),
                columns.step.len(),
            ] {
                length(&format!("positions[{j}]"), n, got)?;
            }
            let steps = stored.names.journeys[j].steps.len();
            for row in 0..n {
                let step = columns.step[row];
                if let Some(step) = step.filter(|step| usize::from(*step) >= steps) {
                    let what = format!("positions[{j}].step");
                    return Err(wrong(&what, row, "a step of the journey", &step));
                }
                positions[row * journeys + j] = Position {
                    entered: columns.entered[row].unwrap_or(NEVER),
                    since: columns.since[row].unwrap_or(NEVER),
                    due: columns.due[row].unwrap_or(LATER),
                    seen: columns.seen[row],
                    step: step.unwrap_or(OUT),
                };
            }
        }
        let mut rest = past.into_iter();
        let rows = (0..n).map(|row| Row {
            last_purchase: last_purchase[row].unwrap_or(NEVER),
            last_complaint: last_complaint[row].unwrap_or(NEVER),
            next: next[row].unwrap_or(LATER),
            refused: refused[row],
            granted: granted[row],
            zone: zone[row],
            suppressed: suppressed[row] != 0,
            held_out: held_out[row] != 0,
            past: rest
                .by_ref()
                .take(contacts[row] as usize)
                .map(|(at, channels, arm, exposure, flags)| Past {
                    at,
                    channels,
                    arm,
                    exposure,
                    flags,
                })
                .collect(),
        });
        let rows = rows.collect();
        let mut exposures = [Tally::default(); MOST_EXPOSURE + 1];
        exposures.copy_from_slice(&stored.exposures);
        let arms: BTreeMap<Arm, Tally> = stored.arms.into_iter().collect();
        let tallies = arms.values().chain(&exposures);
        if { tallies }.any(|tally| tally.responses > tally.contacts) {
            return Err(Error::invalid_parameter(
                "state.arms",
                "no more responses than contacts",
                "more",
            ));
        }
        Ok(State {
            clock: stored.clock,
            names: stored.names,
            customers,
            zones: stored.zones,
            rows,
            positions,
            used: (stored.used_day, stored.used),
            tallies: Tallies { arms, exposures },
        })
    }
}

impl State {
    /// The state as JSON, which reads back as an equal state.
    ///
    /// # Errors
    /// None that can happen; the signature leaves room for formats that can fail.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::invalid_parameter("state", "values that JSON holds", error))
    }

    /// Reads a state from JSON.
    ///
    /// # Errors
    /// `InvalidParameter` for text that is no state of this version, naming what it is.
    pub fn from_json(text: &str) -> Result<Self> {
        crate::settings::from_json("state", text)
    }
}
