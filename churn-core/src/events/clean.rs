//! What happens to rows that cannot be used: policies, and the report of what was dropped.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};

use super::columns::{
    EventColumns, IdCells, IdColumn, KindColumn, TextCells, TextColumn, is_valid,
};
use super::ids::MixHasher;
use super::kinds::{EventKind, KindMap};
use crate::error::{Error, Result};
use crate::math::sum::ExactSum;
use crate::time::Timestamp;

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Refuse the whole log with an error that names the row.
    Reject,
    /// Leave the row out and count it in the report.
    Drop,
}

/// What to do with a purchase of negative money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativePolicy {
    /// Refuse the whole log with an error that names the row.
    Reject,
    /// Leave the row out and count it in the report.
    Drop,
    /// Read it as a refund of the absolute amount (many shops book returns this way). Negative
    /// refunds become refunds of the absolute amount too; negative dwell times are still dropped.
    Refund,
}

/// What to do with a row that equals another row in every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicatePolicy {
    /// Keep all copies; the report still counts them. Without line ids two equal rows may be two
    /// real lines of one basket.
    Keep,
    /// Keep one copy and count the others in the report.
    Drop,
    /// Refuse the whole log with an error that names a row.
    Reject,
}

/// How a log is cleaned. The default drops what is missing row by row (customer, time, value, not
/// finite), and refuses what points to a systematic mistake (impossible time, unknown kind,
/// negative money).
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, EventKind, KindMap, NegativePolicy};
/// let cleaning = Cleaning {
///     kinds: KindMap::new().with("order_placed", EventKind::Purchase),
///     negative_value: NegativePolicy::Refund,
///     ..Cleaning::default()
/// };
/// # let _ = cleaning;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cleaning {
    /// The names of kinds.
    pub kinds: KindMap,
    /// No customer id, or an empty text.
    pub missing_customer: Policy,
    /// No time.
    pub missing_time: Policy,
    /// A time outside [`earliest`](Self::earliest) to [`latest`](Self::latest), or one that does
    /// not fit into microseconds.
    pub impossible_time: Policy,
    /// A kind that is missing or that [`kinds`](Self::kinds) does not know.
    pub unknown_kind: Policy,
    /// A purchase or refund without value in a log that has values.
    pub missing_value: Policy,
    /// Money or dwell time that is NaN, infinite or beyond 1e15, where sums would lose cents.
    pub non_finite_value: Policy,
    /// Money or dwell time below zero.
    pub negative_value: NegativePolicy,
    /// Rows equal in all columns.
    pub duplicates: DuplicatePolicy,
    /// The first possible instant.
    pub earliest: Timestamp,
    /// The first instant that is no longer possible.
    pub latest: Timestamp,
}

impl Default for Cleaning {
    fn default() -> Self {
        Cleaning {
            kinds: KindMap::new(),
            missing_customer: Policy::Drop,
            missing_time: Policy::Drop,
            impossible_time: Policy::Reject,
            unknown_kind: Policy::Reject,
            missing_value: Policy::Drop,
            non_finite_value: Policy::Drop,
            negative_value: NegativePolicy::Reject,
            duplicates: DuplicatePolicy::Keep,
            earliest: Timestamp::YEAR_1,
            latest: Timestamp::YEAR_9999,
        }
    }
}

impl Cleaning {
    /// Refuses the log at the first row that cannot be used, duplicates included.
    pub fn strict() -> Self {
        Cleaning {
            missing_customer: Policy::Reject,
            missing_time: Policy::Reject,
            missing_value: Policy::Reject,
            non_finite_value: Policy::Reject,
            duplicates: DuplicatePolicy::Reject,
            ..Cleaning::default()
        }
    }

    /// Drops and counts every row that cannot be used, duplicates included.
    pub fn lenient() -> Self {
        Cleaning {
            impossible_time: Policy::Drop,
            unknown_kind: Policy::Drop,
            negative_value: NegativePolicy::Drop,
            duplicates: DuplicatePolicy::Drop,
            ..Cleaning::default()
        }
    }

    fn policy(&self, reason: DropReason) -> Policy {
        match reason {
            DropReason::MissingCustomer => self.missing_customer,
            DropReason::MissingTime => self.missing_time,
            DropReason::ImpossibleTime => self.impossible_time,
            DropReason::UnknownKind => self.unknown_kind,
            DropReason::MissingValue => self.missing_value,
            DropReason::NonFiniteValue => self.non_finite_value,
            DropReason::NegativeValue => match self.negative_value {
                NegativePolicy::Reject => Policy::Reject,
                NegativePolicy::Drop | NegativePolicy::Refund => Policy::Drop,
            },
            DropReason::Duplicate => match self.duplicates {
                DuplicatePolicy::Reject => Policy::Reject,
                DuplicatePolicy::Keep | DuplicatePolicy::Drop => Policy::Drop,
            },
        }
    }
}

/// Why a row was dropped. Where several reasons hold, the first of this list is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DropReason {
    /// No customer id.
    MissingCustomer = 0,
    /// No time.
    MissingTime = 1,
    /// A time outside the possible range.
    ImpossibleTime = 2,
    /// A missing or unknown kind.
    UnknownKind = 3,
    /// A purchase or refund without value.
    MissingValue = 4,
    /// A value that is NaN, infinite or beyond 1e15.
    NonFiniteValue = 5,
    /// A value below zero.
    NegativeValue = 6,
    /// A copy of another row.
    Duplicate = 7,
}

impl DropReason {
    /// All reasons, in the order in which they are checked.
    pub const ALL: [DropReason; 8] = [
        DropReason::MissingCustomer,
        DropReason::MissingTime,
        DropReason::ImpossibleTime,
        DropReason::UnknownKind,
        DropReason::MissingValue,
        DropReason::NonFiniteValue,
        DropReason::NegativeValue,
        DropReason::Duplicate,
    ];

    /// The name in reports, e.g. `"missing_customer"`.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::MissingCustomer => "missing_customer",
            DropReason::MissingTime => "missing_time",
            DropReason::ImpossibleTime => "impossible_time",
            DropReason::UnknownKind => "unknown_kind",
            DropReason::MissingValue => "missing_value",
            DropReason::NonFiniteValue => "non_finite_value",
            DropReason::NegativeValue => "negative_value",
            DropReason::Duplicate => "duplicate",
        }
    }
}

/// Rows and money behind one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of rows.
    pub rows: u64,
    /// Sum of their values as given (currency), over rows that are purchases or refunds; values that
    /// are not finite or beyond 1e15 are left out.
    pub money: f64,
}

/// What cleaning did to a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CleaningReport {
    /// Rows handed in.
    pub rows_in: u64,
    /// Cells of the input that could not be read and count as missing; what became of their rows
    /// stands under the reasons.
    pub unreadable_cells: u64,
    /// Rows in the log.
    pub rows_kept: u64,
    /// Money of the purchases in the log (currency).
    pub purchases_kept: f64,
    /// Money of the refunds in the log (currency).
    pub refunds_kept: f64,
    /// Purchases and refunds of negative money that were read as refunds; their absolute money.
    pub read_as_refund: Tally,
    /// Copies of other rows that were kept because the policy says so.
    pub duplicates_kept: Tally,
    dropped: [Tally; 8],
}

impl CleaningReport {
    /// Rows and money dropped for one reason.
    pub fn dropped(&self, reason: DropReason) -> Tally {
        self.dropped[reason as usize]
    }

    /// Number of rows dropped, over all reasons.
    pub fn rows_dropped(&self) -> u64 {
        self.dropped.iter().map(|tally| tally.rows).sum()
    }
}

impl std::fmt::Display for CleaningReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "rows in             {:>12}", self.rows_in)?;
        writeln!(
            f,
            "rows kept           {:>12}   purchases {:.2}, refunds {:.2}",
            self.rows_kept, self.purchases_kept, self.refunds_kept
        )?;
        if self.unreadable_cells > 0 {
            writeln!(f, "unreadable cells    {:>12}", self.unreadable_cells)?;
        }
        writeln!(f, "rows dropped        {:>12}", self.rows_dropped())?;
        for reason in DropReason::ALL {
            let tally = self.dropped(reason);
            if tally.rows > 0 {
                writeln!(
                    f,
                    "  {:<18}{:>12}   money {:.2}",
                    reason.name(),
                    tally.rows,
                    tally.money
                )?;
            }
        }
        for (name, tally) in [
            ("read as refund", self.read_as_refund),
            ("duplicates kept", self.duplicates_kept),
        ] {
            if tally.rows > 0 {
                writeln!(f, "{name:<20}{:>12}   money {:.2}", tally.rows, tally.money)?;
            }
        }
        Ok(())
    }
}

/// The counts behind a report, exact and independent of the order of rows, so that the ledgers of
/// several batches add up to the ledger of one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Ledger {
    pub(super) rows_in: u64,
    pub(super) unreadable_cells: u64,
    pub(super) rows_kept: u64,
    pub(super) bought: ExactSum,
    pub(super) refunded: ExactSum,
    pub(super) read_as_refund: Count,
    pub(super) duplicates_kept: Count,
    pub(super) dropped: [Count; 8],
}

impl Ledger {
    pub(super) fn report(&self) -> CleaningReport {
        CleaningReport {
            rows_in: self.rows_in,
            unreadable_cells: self.unreadable_cells,
            rows_kept: self.rows_kept,
            purchases_kept: self.bought.value(),
            refunds_kept: self.refunded.value(),
            read_as_refund: self.read_as_refund.tally(),
            duplicates_kept: self.duplicates_kept.tally(),
            dropped: self.dropped.map(Count::tally),
        }
    }

    pub(super) fn merge(&mut self, other: &Ledger) {
        self.rows_in += other.rows_in;
        self.unreadable_cells += other.unreadable_cells;
        self.rows_kept += other.rows_kept;
        self.bought.merge(other.bought);
        self.refunded.merge(other.refunded);
        self.read_as_refund.merge(other.read_as_refund);
        self.duplicates_kept.merge(other.duplicates_kept);
        for (all, one) in self.dropped.iter_mut().zip(other.dropped) {
            all.merge(one);
        }
    }
}

/// Row-order-free tally in the making.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Count {
    rows: u64,
    money: ExactSum,
}

impl Count {
    pub(super) fn add(&mut self, money: f64) {
        self.rows += 1;
        // What is dropped for its size would drown the rest of the sum.
        if money.abs() <= MAX_VALUE {
            self.money.add(money);
        }
    }

    pub(super) fn merge(&mut self, other: Count) {
        self.rows += other.rows;
        self.money.merge(other.money);
    }

    pub(super) fn tally(self) -> Tally {
        Tally {
            rows: self.rows,
            money: self.money.value(),
        }
    }
}

/// A row that passed the checks.
#[derive(Clone, Copy)]
pub(super) struct CleanRow {
    pub(super) time: i64,
    /// Code of an [`EventKind`].
    pub(super) kind: u8,
    pub(super) value: f64,
    pub(super) read_as_refund: bool,
}

/// The largest money or dwell time of one row: no shop has more, and sums stay exact to the cent.
const MAX_VALUE: f64 = 1e15;

/// What the value of a kind of event means.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum ValueOf {
    /// The code is not a kind.
    Unknown,
    Nothing,
    Money,
    Dwell,
}

/// By code of the kind.
const VALUE_OF: [ValueOf; 256] = {
    let mut table = [ValueOf::Unknown; 256];
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
        let class = VALUE_OF[usize::from(kind)];
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
        let usable = (class != ValueOf::Unknown)
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
        let kind = EventKind::from_code(self.kind(row)).ok_or(DropReason::UnknownKind)?;
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
