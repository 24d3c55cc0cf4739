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
use crate::time::TimeUnit;

/// A row that passed the checks.
#[derive(Clone, Copy)]
pub(super) struct CleanRow {
    pub(super) time: i64,
    /// Code of an [`EventKind`].
    pub(super) kind: u8,
    pub(super) value: f64,
    pub(super) read_as_refund: bool,
}

/// Rows that are read together: neighbours, or some of them.
#[derive(Clone, Copy)]
pub(super) enum Pick<'r> {
    Range(usize, usize),
    Rows(&'r [u32]),
}

impl Pick<'_> {
    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Pick::Range(from, to) => to - from,
            Pick::Rows(rows) => rows.len(),
        }
    }

    #[inline]
    pub(super) fn row(self, i: usize) -> usize {
        match self {
            Pick::Range(from, _) => from + i,
            Pick::Rows(rows) => rows[i] as usize,
        }
    }

    /// The cells of these rows.
    pub(super) fn gather<T: Copy, U>(self, cells: &[T], out: &mut Vec<U>, read: impl Fn(T) -> U) {
        out.clear();
        match self {
            Pick::Range(from, to) => out.extend(cells[from..to].iter().map(|cell| read(*cell))),
            Pick::Rows(rows) => out.extend(rows.iter().map(|row| read(cells[*row as usize]))),
        }
    }
}

/// Rows of a block, at most: their cells stay in the nearest cache.
pub(super) const BLOCK: usize = 1 << 10;

/// The cells of some rows, column by column.
#[derive(Default)]
pub(super) struct Block {
    pub(super) times: Vec<i64>,
    pub(super) kinds: Vec<u8>,
    pub(super) values: Vec<f64>,
    /// Whether a row passed all checks; one that did not is checked again, one test after another.
    pub(super) usable: Vec<bool>,
    pub(super) keys: Vec<u128>,
}

impl Block {
    /// Puts a row in place of what stood there.
    pub(super) fn put(&mut self, i: usize, clean: &CleanRow, key: u128) {
        self.times[i] = clean.time;
        self.kinds[i] = clean.kind;
        self.values[i] = clean.value;
        self.usable[i] = true;
        self.keys[i] = key;
    }
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
    /// By code of the kind: known, left out, and no money that the report would have to name.
    skipped: [bool; 256],
    skips_kinds: bool,
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
        let mut skipped = [false; 256];
        for kind in EventKind::ALL {
            if !cleaning.keep.includes(kind) {
                value_of[usize::from(kind.code())] = ValueOf::Unusable;
                skipped[usize::from(kind.code())] = !kind.is_money();
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
            skipped,
            skips_kinds: skipped.contains(&true),
            has_missing: columns.customer.valid.is_some()
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

    /// Whether a row may enter the log, going by its kind and its customer.
    pub(super) fn is_candidate(&self, row: usize) -> bool {
        !self.skipped[usize::from(self.kind(row))] && !is_missing(&self.columns.customer, row)
    }

    /// The time of a row, where it has a possible one.
    pub(super) fn time(&self, row: usize) -> Option<i64> {
        let time = &self.columns.time;
        let micros = time.unit.to_micros(time.cells[row])?;
        let possible = (self.earliest..self.latest).contains(&micros);
        (possible && is_valid(&time.valid, row)).then_some(micros)
    }

    /// Whether rows can be left out by their kind alone.
    pub(super) fn skips_kinds(&self) -> bool {
        self.skips_kinds
    }

    /// The rows of a range whose kind is worth a further look.
    pub(super) fn wanted_rows(
        &self,
        from: usize,
        to: usize,
        block: &mut Block,
        rows: &mut Vec<u32>,
    ) {
        self.load_kinds(Pick::Range(from, to), block);
        let start = rows.len();
        rows.resize(start + block.kinds.len(), 0);
        let mut end = start;
        for (i, kind) in block.kinds.iter().enumerate() {
            // Written first and kept or not afterwards, because kinds are unpredictable.
            rows[end] = (from + i) as u32;
            end += usize::from(!self.skipped[usize::from(*kind)]);
        }
        rows.truncate(end);
    }

    fn load_kinds(&self, pick: Pick<'_>, block: &mut Block) {
        let kinds = &mut block.kinds;
        match &self.columns.kind {
            KindColumn::All(kind) => {
                kinds.clear();
                kinds.resize(pick.len(), kind.code());
            }
            KindColumn::Codes(codes) => pick.gather(codes, kinds, |code| code),
            KindColumn::Names(TextColumn {
                cells: TextCells::Coded { codes, .. },
                valid: None,
            }) => pick.gather(codes, kinds, |code| {
                let kind = self.coded_kinds.get(code as usize).copied().flatten();
                kind.map_or(0, EventKind::code)
            }),
            _ => {
                kinds.clear();
                kinds.extend((0..pick.len()).map(|i| self.kind(pick.row(i))));
            }
        }
    }

    /// Reads some rows and tests all but their customers.
    pub(super) fn load(&self, pick: Pick<'_>, block: &mut Block) {
        self.load_kinds(pick, block);
        let unit = self.columns.time.unit;
        // What does not fit into microseconds becomes a time before every possible one.
        let micros = |count: i64| unit.to_micros(count).unwrap_or(i64::MIN);
        match unit {
            TimeUnit::Microsecond => pick.gather(&self.columns.time.cells, &mut block.times, |t| t),
            _ => pick.gather(&self.columns.time.cells, &mut block.times, micros),
        }
        let Block {
            times,
            kinds,
            values,
            usable,
            ..
        } = block;
        match &self.columns.value {
            Some(column) => pick.gather(&column.cells, values, |value| value),
            None => {
                values.clear();
                let money = |kind: &u8| self.value_of[usize::from(*kind)] == ValueOf::Money;
                values.extend(kinds.iter().map(|kind| f64::from(money(kind))));
            }
        }
        usable.clear();
        let rows = kinds.iter().zip(times.iter()).zip(values.iter_mut());
        usable.extend(rows.map(|((kind, time), value)| {
            let class = self.value_of[usize::from(*kind)];
            // All tests at once and without branches, because kinds and values are unpredictable
            // and nearly all rows pass. A value that means nothing becomes 0.0, which passes.
            let valued = u64::from(class != ValueOf::Nothing);
            let given = f64::from_bits(value.to_bits() & valued.wrapping_neg());
            // `abs` turns -0.0 into 0.0, so that equal money has equal bits.
            *value = given.abs();
            (class != ValueOf::Unusable)
                & (0.0..=MAX_VALUE).contains(&given)
                & (self.earliest <= *time)
                & (*time < self.latest)
        }));
        if self.has_missing {
            for (i, usable) in usable.iter_mut().enumerate() {
                *usable &= self.is_complete(pick.row(i));
            }
        }
    }

    /// Rows of a block without customer are no longer usable; for callers who need no keys.
    pub(super) fn require_customers(&self, pick: Pick<'_>, block: &mut Block) {
        for (i, usable) in block.usable.iter_mut().enumerate() {
            *usable &= !is_missing(&self.columns.customer, pick.row(i));
        }
        block.keys.clear();
        block.keys.resize(pick.len(), 0);
    }

    /// Whether the customer, time and value cells of a row are there.
    fn is_complete(&self, row: usize) -> bool {
        is_valid(&self.columns.customer.valid, row)
            && is_valid(&self.columns.time.valid, row)
            && self
                .columns
                .value
                .as_ref()
                .is_none_or(|column| is_valid(&column.valid, row))
    }

    /// The row as it enters the log, or why it does not: one test after another.
    #[cold]
    pub(super) fn check(&self, row: usize) -> std::result::Result<CleanRow, DropReason> {
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
