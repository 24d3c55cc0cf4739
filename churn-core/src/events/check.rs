//! One row of a caller's columns against the policies: what enters the log, or why it does not.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::clean::{Cleaning, DropReason, MAX_VALUE, NegativePolicy, Policy};
use super::columns::{
    EventColumns, IdCells, IdColumn, KindColumn, TextCells, TextColumn, is_valid,
};
use super::ids::MixHasher;
use super::kinds::EventKind;
use crate::error::{Error, Result};

/// A row that passed the checks.
#[derive(Clone, Copy)]
pub(super) struct CleanRow {
    pub(super) time: i64,
    /// Code of an [`EventKind`].
    pub(super) kind: u8,
    pub(super) value: f64,
    pub(super) read_as_refund: bool,
}

/// What the value of a kind of event means.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum ValueOf {
    /// The code is not a kind, or of a kind that is left out.
    Unusable,
    Nothing,
    Money,
    Dwell,
}

/// By code of the kind.
const VALUE_OF: [ValueOf; 256] = {
    let mut table = [ValueOf::Unusable; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        table[EventKind::ALL[i] as usize] = match EventKind::ALL[i] {
            EventKind::Purchase | EventKind::Refund => ValueOf::Money,
            EventKind::View => ValueOf::Dwell,
            _ => ValueOf::Nothing,
        };
        i += 1;
    }
    table
};

/// Checks single rows of a log against the policies.
pub(super) struct RowCleaner<'c, 'a> {
    columns: &'c EventColumns<'a>,
    cleaning: &'c Cleaning,
    earliest: i64,
    latest: i64,
    /// By code of the kind.
    value_of: [ValueOf; 256],
    /// Whether any customer, time or value cell can be missing at all.
    has_missing: bool,
    /// Kind of each dictionary entry where the kinds are coded, so that names are matched once.
    coded_kinds: Vec<Option<EventKind>>,
    /// Kind of every known name, for plain text.
    known_kinds: HashMap<&'c str, EventKind, BuildHasherDefault<MixHasher>>,
}

impl<'c, 'a> RowCleaner<'c, 'a> {
    pub(super) fn new(columns: &'c EventColumns<'a>, cleaning: &'c Cleaning) -> Result<Self> {
        if cleaning.earliest >= cleaning.latest {
            return Err(Error::invalid_parameter(
                "cleaning.earliest",
                format_args!("a time before cleaning.latest ({})", cleaning.latest),
                cleaning.earliest,
            ));
        }
        cleaning.keep.check()?;
        let mut value_of = VALUE_OF;
        for kind in EventKind::ALL {
            if !cleaning.keep.includes(kind) {
                value_of[usize::from(kind.code())] = ValueOf::Unusable;
            }
        }
        let coded_kinds = match &columns.kind {
            KindColumn::Names(TextColumn {
                cells: TextCells::Coded { names, .. },
                ..
            }) => names.iter().map(|name| cleaning.kinds.get(name)).collect(),
            _ => Vec::new(),
        };
        Ok(RowCleaner {
            columns,
            cleaning,
            earliest: cleaning.earliest.micros(),
            latest: cleaning.latest.micros(),
            value_of,
            has_missing: matches!(columns.customer.cells, IdCells::Text(_))
                || columns.customer.valid.is_some()
                || columns.time.valid.is_some()
                || columns
                    .value
                    .as_ref()
                    .is_some_and(|column| column.valid.is_some()),
            coded_kinds,
            known_kinds: cleaning.kinds.names().collect(),
        })
    }

    /// Code of the row's kind, 0 where it is missing or unknown.
    #[inline(always)]
    fn kind(&self, row: usize) -> u8 {
        let code = |kind: Option<EventKind>| kind.map_or(0, EventKind::code);
        match &self.columns.kind {
            KindColumn::All(kind) => kind.code(),
            KindColumn::Codes(codes) => codes[row],
            KindColumn::Names(names) if !is_valid(&names.valid, row) => 0,
            KindColumn::Names(TextColumn {
                cells: TextCells::Coded { codes, .. },
                ..
            }) => code(self.coded_kinds.get(codes[row] as usize).copied().flatten()),
            KindColumn::Names(names) => code(
                names
                    .cells
                    .get(row)
                    .and_then(|name| self.known_kinds.get(name).copied()),
            ),
        }
    }

    /// The value as given: 1 for money in a log without values, `None` where the cell is missing.
    fn raw_value(&self, row: usize) -> Option<f64> {
        match &self.columns.value {
            None => Some(1.0),
            Some(column) => is_valid(&column.valid, row).then(|| column.cells[row]),
        }
    }

    /// Money of a row for the report, 0 where it is none.
    pub(super) fn money(&self, row: usize) -> f64 {
        match EventKind::from_code(self.kind(row)) {
            Some(kind) if kind.is_money() => self.raw_value(row).unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// The row as it enters the log, or why it does not.
    #[inline(always)]
    pub(super) fn check(&self, row: usize) -> std::result::Result<CleanRow, DropReason> {
        let kind = self.kind(row);
        let class = self.value_of[usize::from(kind)];
        let raw = match &self.columns.value {
            None => f64::from(class == ValueOf::Money),
            Some(column) => column.cells[row],
        };
        let valued = class != ValueOf::Nothing;
        let time = self
            .columns
            .time
            .unit
            .to_micros(self.columns.time.cells[row]);
        // All tests at once and without branches, because kinds and values are unpredictable and
        // nearly all rows pass; the exact reason is found again for those that do not.
        let usable = (class != ValueOf::Unusable)
            & (!valued | ((0.0..=MAX_VALUE).contains(&raw)))
            & time.is_some_and(|t| (self.earliest <= t) & (t < self.latest))
            & (!self.has_missing || self.is_complete(row));
        if usable {
            return Ok(CleanRow {
                time: time.unwrap_or_default(),
                kind,
                // `abs` turns -0.0 into 0.0, so that equal money has equal bits.
                value: if valued { raw.abs() } else { 0.0 },
                read_as_refund: false,
            });
        }
        self.check_slowly(row)
    }

    /// Whether the customer, time and value cells of a row are there.
    fn is_complete(&self, row: usize) -> bool {
        !is_missing(&self.columns.customer, row)
            && is_valid(&self.columns.time.valid, row)
            && self
                .columns
                .value
                .as_ref()
                .is_none_or(|column| is_valid(&column.valid, row))
    }

    /// The same one test after another.
    #[cold]
    fn check_slowly(&self, row: usize) -> std::result::Result<CleanRow, DropReason> {
        let keep = &self.cleaning.keep;
        let given = EventKind::from_code(self.kind(row));
        // A purchase that is not asked for may yet turn out to be a refund.
        let may_be_refund = given == Some(EventKind::Purchase)
            && self.cleaning.negative_value == NegativePolicy::Refund
            && keep.includes(EventKind::Refund);
        if given.is_some_and(|kind| !keep.includes(kind) && !may_be_refund) {
            return Err(DropReason::NotAskedFor);
        }
        if is_missing(&self.columns.customer, row) {
            return Err(DropReason::MissingCustomer);
        }
        if !is_valid(&self.columns.time.valid, row) {
            return Err(DropReason::MissingTime);
        }
        let time = self
            .columns
            .time
            .unit
            .to_micros(self.columns.time.cells[row]);
        let time = time
            .filter(|t| (self.earliest..self.latest).contains(t))
            .ok_or(DropReason::ImpossibleTime)?;
        let kind = given.ok_or(DropReason::UnknownKind)?;
        let mut clean = CleanRow {
            time,
            kind: kind.code(),
            value: 0.0,
            read_as_refund: false,
        };
        let raw = match kind {
            EventKind::Purchase | EventKind::Refund => {
                self.raw_value(row).ok_or(DropReason::MissingValue)?
            }
            // A view without value is a view of unknown length: it counts, with no dwell time.
            EventKind::View if self.columns.value.is_some() => self.raw_value(row).unwrap_or(0.0),
            _ => return Ok(clean),
        };
        if raw.is_nan() || raw.abs() > MAX_VALUE {
            return Err(DropReason::NonFiniteValue);
        }
        if raw < 0.0 {
            if self.cleaning.negative_value != NegativePolicy::Refund || !kind.is_money() {
                return Err(DropReason::NegativeValue);
            }
            clean.kind = EventKind::Refund.code();
            clean.read_as_refund = true;
        }
        if EventKind::from_code(clean.kind).is_some_and(|kind| !keep.includes(kind)) {
            return Err(DropReason::NotAskedFor);
        }
        clean.value = raw.abs();
        Ok(clean)
    }

    /// The error for a row whose reason the policy rejects, or `None` where it may be dropped.
    pub(super) fn rejection(&self, row: usize, reason: DropReason) -> Option<Error> {
        if self.cleaning.policy(reason) == Policy::Drop {
            return None;
        }
        let value = || {
            self.columns
                .value
                .as_ref()
                .map_or(1.0, |column| column.cells[row])
        };
        Some(match reason {
            DropReason::MissingCustomer => {
                Error::invalid_value("events.customer", row, "a customer id", "nothing")
            }
            DropReason::MissingTime => {
                Error::invalid_value("events.time", row, "a time", "nothing")
            }
            DropReason::ImpossibleTime => Error::invalid_value(
                "events.time",
                row,
                format_args!(
                    "a time from {} to before {}",
                    self.cleaning.earliest, self.cleaning.latest
                ),
                format_args!(
                    "{} {}s since 1970-01-01",
                    self.columns.time.cells[row],
                    format!("{:?}", self.columns.time.unit).to_lowercase()
                ),
            ),
            DropReason::UnknownKind => self.unknown_kind(row),
            DropReason::MissingValue => {
                Error::invalid_value("events.value", row, "an amount of money", "nothing")
            }
            DropReason::NonFiniteValue if value().is_finite() => Error::invalid_value(
                "events.value",
                row,
                format_args!("a number up to {MAX_VALUE:e}"),
                value(),
            ),
            DropReason::NonFiniteValue => {
                Error::invalid_value("events.value", row, "a finite number", value())
            }
            DropReason::NegativeValue => Error::invalid_value(
                "events.value",
                row,
                "a number not below 0 (or cleaning.negative_value = refund)",
                value(),
            ),
            // Never rejected.
            DropReason::NotAskedFor => return None,
            DropReason::Duplicate => Error::invalid_value(
                "events",
                row,
                "rows that differ in some column",
                "a copy of another row",
            ),
        })
    }

    fn unknown_kind(&self, row: usize) -> Error {
        let expected = "a kind such as purchase or view, or a name mapped in cleaning.kinds";
        match &self.columns.kind {
            KindColumn::Codes(codes) => {
                Error::invalid_value("events.kind", row, "a kind code from 1 to 15", codes[row])
            }
            KindColumn::Names(names) if is_valid(&names.valid, row) => Error::invalid_value(
                "events.kind",
                row,
                expected,
                format_args!("{:?}", names.cells.get(row).unwrap_or_default()),
            ),
            _ => Error::invalid_value("events.kind", row, expected, "nothing"),
        }
    }
}

/// Whether a row has no id: the cell is missing or an empty text.
#[inline]
pub(super) fn is_missing(column: &IdColumn<'_>, row: usize) -> bool {
    if !is_valid(&column.valid, row) {
        return true;
    }
    match &column.cells {
        IdCells::Text(cells) => cells.get(row).is_none_or(str::is_empty),
        _ => false,
    }
}
