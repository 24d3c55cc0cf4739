//! What a condition means: names resolved, `not` pushed to the leaves, values looked up by row.
//!
//! A comparison with a value that is undefined is neither true nor false, and `not` leaves it so
//! (Kleene's three-valued logic). Pushed to the leaves, "is true" and "is false" become plain
//! two-valued formulas: `x > 5` is true where x is defined and above 5, false where x is defined
//! and at most 5. [`Formula`] is that form, so everything after it needs two values only.

use std::collections::BTreeSet;

use super::syntax::{Comparison, Expr, Label, Name, Position};
use super::vocabulary::{Term, Vocabulary};
use crate::error::{Error, Result};

/// A two-valued formula over the numbers and segmentations of one [`Vocabulary`], by position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// The number is defined and compares so.
    Compare {
        number: usize,
        comparison: Comparison,
        value: f64,
    },
    Defined {
        number: usize,
        defined: bool,
    },
    /// The label's code is allowed.
    OneOf {
        segmentation: usize,
        allowed: Vec<bool>,
    },
}

/// Where formulas read the values of customers; positions are those of the vocabulary.
pub(crate) trait Values {
    fn number(&self, number: usize, row: usize) -> f64;
    fn code(&self, segmentation: usize, row: usize) -> u32;
}

impl Formula {
    /// Where `expr` is true (`wanted`) or false (not `wanted`).
    ///
    /// # Errors
    /// `UnknownName` for a name or label that the vocabulary does not have, `InvalidParameter`
    /// for a number used as a segmentation or the other way round; both with the character.
    pub(crate) fn new(
        what: &str,
        expr: &Expr,
        wanted: bool,
        vocabulary: &Vocabulary,
    ) -> Result<Formula> {
        let parts = |parts: &[Expr]| {
            let formulas = parts
                .iter()
                .map(|p| Formula::new(what, p, wanted, vocabulary));
            formulas.collect::<Result<Vec<_>>>()
        };
        Ok(match expr {
            Expr::Everyone if wanted => Formula::All(Vec::new()),
            Expr::Everyone => Formula::Any(Vec::new()),
            Expr::And(inner) if wanted => Formula::All(parts(inner)?),
            Expr::And(inner) => Formula::Any(parts(inner)?),
            Expr::Or(inner) if wanted => Formula::Any(parts(inner)?),
            Expr::Or(inner) => Formula::All(parts(inner)?),
            Expr::Not(inner) => Formula::new(what, inner, !wanted, vocabulary)?,
            Expr::Compare {
                name,
                at,
                comparison,
                value,
            } => Formula::Compare {
                number: number(what, name, *at, vocabulary)?,
                comparison: match wanted {
                    true => *comparison,
                    false => comparison.opposite(),
                },
                value: *value,
            },
            Expr::Defined { name, at, defined } => Formula::Defined {
                number: number(what, name, *at, vocabulary)?,
                defined: *defined == wanted,
            },
            Expr::Label {
                name,
                at,
                inside,
                labels,
                ..
            } => one_of(what, name, *at, labels, *inside == wanted, vocabulary)?,
        })
    }

    /// The formula that holds exactly where this one does not.
    pub(crate) fn complement(&self) -> Formula {
        match self {
            Formula::All(parts) => Formula::Any(parts.iter().map(Formula::complement).collect()),
            Formula::Any(parts) => Formula::All(parts.iter().map(Formula::complement).collect()),
            Formula::Compare {
                number,
                comparison,
                value,
            } => Formula::Any(vec![
                Formula::Compare {
                    number: *number,
                    comparison: comparison.opposite(),
                    value: *value,
                },
                Formula::Defined {
                    number: *number,
                    defined: false,
                },
            ]),
            Formula::Defined { number, defined } => Formula::Defined {
                number: *number,
                defined: !defined,
            },
            Formula::OneOf {
                segmentation,
                allowed,
            } => Formula::OneOf {
                segmentation: *segmentation,
                allowed: allowed.iter().map(|a| !a).collect(),
            },
        }
    }

    /// Number of nodes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Formula::All(parts) | Formula::Any(parts) => {
                1 + parts.iter().map(Formula::size).sum::<usize>()
            }
            _ => 1,
        }
    }

    /// Whether it holds for one customer.
    pub(crate) fn holds(&self, values: &impl Values, row: usize) -> bool {
        match self {
            Formula::All(parts) => parts.iter().all(|part| part.holds(values, row)),
            Formula::Any(parts) => parts.iter().any(|part| part.holds(values, row)),
            Formula::Compare {
                number,
                comparison,
                value,
            } => comparison.holds(values.number(*number, row), *value),
            Formula::Defined { number, defined } => {
                values.number(*number, row).is_nan() != *defined
            }
            Formula::OneOf {
                segmentation,
                allowed,
            } => allowed[values.code(*segmentation, row) as usize],
        }
    }

    /// The leaves that decide about one customer: where the formula holds, leaves that together
    /// make it hold (of alternatives the first that holds); where it does not, leaves that
    /// together prevent it (of requirements the first that fails).
    pub(crate) fn deciding<'f>(
        &'f self,
        values: &impl Values,
        row: usize,
        leaves: &mut Vec<&'f Formula>,
    ) {
        match self {
            Formula::All(parts) => match parts.iter().find(|part| !part.holds(values, row)) {
                Some(failing) => failing.deciding(values, row, leaves),
                None => parts.iter().for_each(|p| p.deciding(values, row, leaves)),
            },
            Formula::Any(parts) => match parts.iter().find(|part| part.holds(values, row)) {
                Some(holding) => holding.deciding(values, row, leaves),
                None => parts.iter().for_each(|p| p.deciding(values, row, leaves)),
            },
            leaf => leaves.push(leaf),
        }
    }

    /// Collects the numbers and segmentations that it reads.
    pub(crate) fn reads(&self, terms: &mut BTreeSet<(bool, usize)>) {
        match self {
            Formula::All(parts) | Formula::Any(parts) => parts.iter().for_each(|p| p.reads(terms)),
            Formula::Compare { number, .. } | Formula::Defined { number, .. } => {
                terms.insert((false, *number));
            }
            Formula::OneOf { segmentation, .. } => {
                terms.insert((true, *segmentation));
            }
        }
    }

    /// A leaf in the words of the condition language.
    pub(crate) fn leaf_text(&self, vocabulary: &Vocabulary) -> String {
        match self {
            Formula::All(_) => "everyone".to_owned(),
            Formula::Any(_) => "not (everyone)".to_owned(),
            Formula::Compare {
                number,
                comparison,
                value,
            } => {
                let name = &vocabulary.numbers()[*number].name;
                format!("{} {} {value}", Name(name), comparison.symbol())
            }
            Formula::Defined { number, defined } => {
                let name = &vocabulary.numbers()[*number].name;
                let state = if *defined { "defined" } else { "undefined" };
                format!("{} is {state}", Name(name))
            }
            Formula::OneOf {
                segmentation,
                allowed,
            } => {
                let segmentation = &vocabulary.segmentations()[*segmentation];
                let name = Name(&segmentation.name);
                let labels: Vec<String> = segmentation
                    .labels
                    .iter()
                    .zip(allowed)
                    .filter(|(_, allowed)| **allowed)
                    .map(|(label, _)| Label(label).to_string())
                    .collect();
                match labels.as_slice() {
                    [label] => format!("{name} == {label}"),
                    labels => format!("{name} in [{}]", labels.join(", ")),
                }
            }
        }
    }
}

fn unknown<'a>(
    what: &str,
    got: &str,
    at: Position,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let error = Error::unknown_name(what, got, known);
    Error::new(
        error.kind(),
        what,
        error.expected(),
        format_args!("{} at character {}", error.got(), at.0),
    )
}

fn number(what: &str, name: &str, at: Position, vocabulary: &Vocabulary) -> Result<usize> {
    match vocabulary.term(name) {
        Some(Term::Number(number)) => Ok(number),
        Some(Term::Segmentation(_)) => Err(Error::invalid_parameter(
            what,
            "a number to compare",
            format_args!("the segmentation {name:?} at character {}", at.0),
        )),
        None => Err(unknown(what, name, at, vocabulary.names())),
    }
}

fn one_of(
    what: &str,
    name: &str,
    at: Position,
    labels: &[(String, Position)],
    inside: bool,
    vocabulary: &Vocabulary,
) -> Result<Formula> {
    let index = match vocabulary.term(name) {
        Some(Term::Segmentation(index)) => index,
        Some(Term::Number(_)) => {
            return Err(Error::invalid_parameter(
                what,
                "a segmentation to compare with labels",
                format_args!("the number {name:?} at character {}", at.0),
            ));
        }
        None => return Err(unknown(what, name, at, vocabulary.names())),
    };
    let known = &vocabulary.segmentations()[index].labels;
    let mut allowed = vec![!inside; known.len()];
    for (label, at) in labels {
        match known.iter().position(|k| k == label) {
            Some(code) => allowed[code] = inside,
            None => return Err(unknown(what, label, *at, known.iter().map(String::as_str))),
        }
    }
    Ok(Formula::OneOf {
        segmentation: index,
        allowed,
    })
}
