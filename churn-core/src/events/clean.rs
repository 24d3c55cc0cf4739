//! What happens to rows that cannot be used: policies, and the report of what was dropped.

use serde::{Deserialize, Serialize};

use super::keep::Keep;
use super::kinds::KindMap;
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
    /// What of the log is stored. Default: everything.
    pub keep: Keep,
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
            keep: Keep::default(),
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

    pub(super) fn policy(&self, reason: DropReason) -> Policy {
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
            DropReason::NotAskedFor => Policy::Drop,
        }
    }
}

/// Why a row was dropped. Where several reasons hold, the first of this list is counted; only
/// [`NotAskedFor`](Self::NotAskedFor) goes before all others.
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
    /// An event of a kind that [`Cleaning::keep`] leaves out.
    NotAskedFor = 8,
}

/// Number of reasons.
pub(super) const REASONS: usize = DropReason::ALL.len();

impl DropReason {
    /// All reasons, in the order of their codes.
    pub const ALL: [DropReason; 9] = [
        DropReason::MissingCustomer,
        DropReason::MissingTime,
        DropReason::ImpossibleTime,
        DropReason::UnknownKind,
        DropReason::MissingValue,
        DropReason::NonFiniteValue,
        DropReason::NegativeValue,
        DropReason::Duplicate,
        DropReason::NotAskedFor,
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
            DropReason::NotAskedFor => "not_asked_for",
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
    dropped: [Tally; REASONS],
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
    pub(super) dropped: [Count; REASONS],
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

    /// All counts and all sums, for files.
    pub(super) fn parts(&self) -> ([u64; Ledger::COUNTS], [i128; Ledger::SUMS]) {
        let (mut counts, mut sums) = ([0; Ledger::COUNTS], [0; Ledger::SUMS]);
        counts[..3].copy_from_slice(&[self.rows_in, self.unreadable_cells, self.rows_kept]);
        sums[..2].copy_from_slice(&[self.bought.raw(), self.refunded.raw()]);
        for (i, count) in self.tallies().into_iter().enumerate() {
            (counts[3 + i], sums[2 + i]) = (count.rows, count.money.raw());
        }
        (counts, sums)
    }

    /// The ledger of these parts.
    pub(super) fn from_parts(counts: &[u64; Ledger::COUNTS], sums: &[i128; Ledger::SUMS]) -> Self {
        let mut tallies = counts[3..]
            .iter()
            .zip(&sums[2..])
            .map(|(rows, money)| Count {
                rows: *rows,
                money: ExactSum::from_raw(*money),
            });
        let mut next = || tallies.next().unwrap_or_default();
        Ledger {
            rows_in: counts[0],
            unreadable_cells: counts[1],
            rows_kept: counts[2],
            bought: ExactSum::from_raw(sums[0]),
            refunded: ExactSum::from_raw(sums[1]),
            read_as_refund: next(),
            duplicates_kept: next(),
            dropped: std::array::from_fn(|_| next()),
        }
    }

    /// Numbers of rows and of cells that [`parts`](Self::parts) holds.
    pub(super) const COUNTS: usize = 3 + TALLIES;
    /// Sums that [`parts`](Self::parts) holds.
    pub(super) const SUMS: usize = 2 + TALLIES;

    fn tallies(&self) -> [Count; TALLIES] {
        let mut all = [Count::default(); TALLIES];
        (all[0], all[1]) = (self.read_as_refund, self.duplicates_kept);
        all[2..].copy_from_slice(&self.dropped);
        all
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

/// What a ledger tallies: rows read as refund, duplicates kept, and each reason for a drop.
const TALLIES: usize = 2 + REASONS;

/// The largest money or dwell time of one row: no shop has more, and sums stay exact to the cent.
pub(super) const MAX_VALUE: f64 = 1e15;

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

    /// Counts rows that are no money.
    pub(super) fn add_rows(&mut self, rows: usize) {
        self.rows += rows as u64;
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
