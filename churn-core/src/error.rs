//! The one error of the library: what was wrong, where, what was expected and what was found.
//!
//! Messages read `events.value[1041]: expected a finite number, got NaN`: lower case, no full
//! stop, and always with the place. Codes are stable: they are the C status values, never reused
//! and never renumbered.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of mistake an [`Error`] reports; the discriminant is the stable code (C status).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting lies outside its domain.
    InvalidParameter = 1,
    /// Columns or tables that belong together differ in length.
    LengthMismatch = 2,
    /// A cell holds a value that it may not hold.
    InvalidValue = 3,
    /// A name (feature, segment, action, channel, column) is not known.
    UnknownName = 4,
    /// There are fewer rows than the method needs.
    NotEnoughData = 5,
    /// An iterative method did not reach its tolerance.
    NotConverged = 6,
    /// Two tables speak of different customers or different instants.
    Misaligned = 7,
    /// No answer satisfies all constraints.
    Infeasible = 8,
    /// The caller's progress callback asked to stop.
    Cancelled = 9,
}

impl ErrorKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [ErrorKind; 9] = [
        ErrorKind::InvalidParameter,
        ErrorKind::LengthMismatch,
        ErrorKind::InvalidValue,
        ErrorKind::UnknownName,
        ErrorKind::NotEnoughData,
        ErrorKind::NotConverged,
        ErrorKind::Misaligned,
        ErrorKind::Infeasible,
        ErrorKind::Cancelled,
    ];

    /// The stable code, equal to the status that the C interface returns.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name as the wrappers spell it, e.g. `"InvalidValue"`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::InvalidParameter => "InvalidParameter",
            ErrorKind::LengthMismatch => "LengthMismatch",
            ErrorKind::InvalidValue => "InvalidValue",
            ErrorKind::UnknownName => "UnknownName",
            ErrorKind::NotEnoughData => "NotEnoughData",
            ErrorKind::NotConverged => "NotConverged",
            ErrorKind::Misaligned => "Misaligned",
            ErrorKind::Infeasible => "Infeasible",
            ErrorKind::Cancelled => "Cancelled",
        }
    }
}

/// Opaque error, one word wide; read it through its accessors or print it.
///
/// # Example
/// ```
/// use churn_core::{Error, ErrorKind};
/// let error = Error::invalid_value("events.value", 1041, "a finite number", "NaN");
/// assert_eq!(error.to_string(), "events.value[1041]: expected a finite number, got NaN");
/// assert_eq!(error.kind(), ErrorKind::InvalidValue);
/// assert_eq!(error.row(), Some(1041));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(Box<Detail>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Detail {
    kind: ErrorKind,
    what: String,
    row: Option<u64>,
    line: Option<u32>,
    expected: String,
    got: String,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(row) = self.row {
            write!(f, "[{row}]")?;
        }
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ": expected {}, got {}", self.expected, self.got)
    }
}

impl Error {
    /// An error of the given kind at `what` (a column, setting or place in a document).
    pub fn new(
        kind: ErrorKind,
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Error(Box::new(Detail {
            kind,
            what: what.into(),
            row: None,
            line: None,
            expected: expected.to_string(),
            got: got.to_string(),
        }))
    }

    /// A setting outside its domain.
    pub fn invalid_parameter(
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::InvalidParameter, what, expected, got)
    }

    /// A cell that holds what it may not hold; `row` counts from 0.
    pub fn invalid_value(
        what: impl Into<String>,
        row: usize,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::InvalidValue, what, expected, got).at_row(row)
    }

    /// Lengths that differ.
    pub fn length_mismatch(what: impl Into<String>, expected: usize, got: usize) -> Self {
        Self::new(
            ErrorKind::LengthMismatch,
            what,
            format_args!("{expected} rows"),
            got,
        )
    }

    /// A name that is not known; `known` are the names that would have been accepted.
    ///
    /// The message offers the closest known name, or the whole list where it is short.
    pub fn unknown_name<S: AsRef<str>>(
        what: impl Into<String>,
        got: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        let known: Vec<String> = known.into_iter().map(|n| n.as_ref().to_owned()).collect();
        let closest = known.iter().min_by_key(|n| edit_distance(n, got));
        let expected = match closest {
            None => "a known name (there are none)".to_owned(),
            Some(_) if known.len() <= 8 => format!("one of {}", known.join(", ")),
            Some(name) => format!("one of {} known names such as {name}", known.len()),
        };
        Self::new(
            ErrorKind::UnknownName,
            what,
            expected,
            format_args!("{got:?}"),
        )
    }

    /// Fewer rows than the method needs.
    pub fn not_enough_data(
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::NotEnoughData, what, expected, got)
    }

    /// An iterative method that did not reach its tolerance; `got` says how far it came.
    pub fn not_converged(
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::NotConverged, what, expected, got)
    }

    /// Constraints that no answer satisfies.
    pub fn infeasible(
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::Infeasible, what, expected, got)
    }

    /// Tables whose customers or instants differ.
    pub fn misaligned(
        what: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::Misaligned, what, expected, got)
    }

    /// The progress callback asked to stop during `what`.
    pub fn cancelled(what: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::Cancelled,
            what,
            "to run to the end",
            "a request to stop",
        )
    }

    /// The same error, placed at a row (counted from 0).
    pub fn at_row(mut self, row: usize) -> Self {
        self.0.row = Some(row as u64);
        self
    }

    /// The same error, placed at a line of a document (counted from 1).
    pub fn at_line(mut self, line: u32) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Which kind of mistake this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The column, setting or place in a document that is wrong, e.g. `"events.value"`.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The row, counted from 0, where the mistake is in a row.
    pub fn row(&self) -> Option<u64> {
        self.0.row
    }

    /// The line, counted from 1, where the mistake is in a document.
    pub fn line(&self) -> Option<u32> {
        self.0.line
    }

    /// What would have been right.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What was found instead.
    pub fn got(&self) -> &str {
        &self.0.got
    }
}

/// Number of single-character edits between two names (Levenshtein), for "did you mean".
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn codes_are_stable() {
        let codes: Vec<i32> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn line_is_part_of_the_message() {
        let error = Error::invalid_parameter("playbook.actions[2].audience", "a number", "\"x\"");
        assert_eq!(
            error.at_line(12).to_string(),
            "playbook.actions[2].audience (line 12): expected a number, got \"x\""
        );
    }

    #[test]
    fn unknown_name_offers_the_closest() {
        let names = [
            "orders",
            "total_value",
            "recency",
            "a",
            "b",
            "c",
            "d",
            "e",
            "f",
        ];
        let error = Error::unknown_name("feature", "totl_value", names);
        assert!(error.expected().ends_with("such as total_value"), "{error}");
    }

    #[test]
    fn edit_distance_counts_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
