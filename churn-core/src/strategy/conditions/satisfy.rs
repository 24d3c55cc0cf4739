//! Whether a formula can hold for any customer at all.
//!
//! The alternatives of the formula are walked one after another (its disjunctive normal form,
//! never written out); along each, every number has an interval with excluded points and every
//! segmentation a set of labels. A path dies where one of them becomes empty. The walk has a
//! budget: a formula too large to decide counts as possible, so "never" is always right.

use super::formula::Formula;
use super::syntax::Comparison;
use super::vocabulary::Vocabulary;

/// Nodes visited before giving up on an answer.
const BUDGET: usize = 50_000;
/// Alternatives open at once before giving up; the walk recurses once per open alternative.
const MAX_OPEN: usize = 300;

/// Whether some customer can meet a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Some customer can, or the formula is too large to tell.
    Possible,
    /// None can, with the parts that exclude each other on the first path.
    Never(String),
}

/// Decides whether these formulas can hold together, given the bounds and labels of the
/// vocabulary.
pub(crate) fn can_hold(formulas: &[&Formula], vocabulary: &Vocabulary) -> Answer {
    let mut walk = Walk {
        vocabulary,
        path: Vec::new(),
        budget: BUDGET,
        open: 0,
        clash: None,
    };
    match walk.possible(formulas.iter().rev().copied().collect()) {
        true => Answer::Possible,
        false => Answer::Never(walk.clash.unwrap_or_else(|| "`not (everyone)`".to_owned())),
    }
}

struct Walk<'f> {
    vocabulary: &'f Vocabulary,
    /// Leaves that must hold together.
    path: Vec<&'f Formula>,
    budget: usize,
    open: usize,
    /// What went wrong first.
    clash: Option<String>,
}

impl<'f> Walk<'f> {
    /// Whether `pending` can hold together with the path; also true once the budget is spent.
    fn possible(&mut self, mut pending: Vec<&'f Formula>) -> bool {
        let start = self.path.len();
        let mut choices = Vec::new();
        while let Some(formula) = pending.pop() {
            if self.budget == 0 {
                return true;
            }
            self.budget -= 1;
            match formula {
                Formula::All(parts) => pending.extend(parts.iter().rev()),
                // Leaves first: they prune most.
                Formula::Any(_) => choices.push(formula),
                leaf => {
                    self.path.push(leaf);
                    if !self.consistent(leaf) {
                        self.path.truncate(start);
                        return false;
                    }
                }
            }
        }
        let Some((Formula::Any(alternatives), rest)) = choices.split_first() else {
            return true;
        };
        if self.open == MAX_OPEN {
            return true;
        }
        self.open += 1;
        let possible = alternatives.iter().any(|alternative| {
            let mut pending: Vec<&Formula> = rest.iter().rev().copied().collect();
            pending.push(alternative);
            self.possible(pending)
        });
        self.open -= 1;
        self.path.truncate(start);
        possible
    }

    /// Whether the path still allows some value where `leaf`, its newest member, looks.
    fn consistent(&mut self, leaf: &'f Formula) -> bool {
        let related: Vec<&Formula> = self
            .path
            .iter()
            .copied()
            .filter(|other| same_subject(leaf, other))
            .collect();
        if allows_some(&related, self.vocabulary) {
            return true;
        }
        if self.clash.is_none() {
            self.clash = Some(clash(&related, self.vocabulary));
        }
        false
    }
}

fn same_subject(a: &Formula, b: &Formula) -> bool {
    match (subject(a), subject(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

fn subject(leaf: &Formula) -> Option<(bool, usize)> {
    match leaf {
        Formula::Compare { number, .. } | Formula::Defined { number, .. } => Some((false, *number)),
        Formula::OneOf { segmentation, .. } => Some((true, *segmentation)),
        Formula::All(_) | Formula::Any(_) => None,
    }
}

/// Whether one value meets all leaves, which look at the same number or segmentation.
fn allows_some(leaves: &[&Formula], vocabulary: &Vocabulary) -> bool {
    match leaves.first() {
        Some(Formula::Compare { number, .. } | Formula::Defined { number, .. }) => {
            let number = &vocabulary.numbers()[*number];
            allows_some_number(leaves, number.min, number.max)
        }
        Some(Formula::OneOf { allowed, .. }) => (0..allowed.len()).any(|code| {
            leaves
                .iter()
                .all(|leaf| matches!(leaf, Formula::OneOf { allowed, .. } if allowed[code]))
        }),
        _ => true,
    }
}

fn allows_some_number(leaves: &[&Formula], min: f64, max: f64) -> bool {
    let (mut low, mut low_open, mut high, mut high_open) = (min, false, max, false);
    let mut excluded = Vec::new();
    let (mut must_be_defined, mut must_be_undefined) = (false, false);
    for leaf in leaves {
        match leaf {
            Formula::Compare {
                comparison, value, ..
            } => {
                must_be_defined = true;
                let (value, open) = (
                    *value,
                    matches!(comparison, Comparison::Below | Comparison::Above),
                );
                if matches!(
                    comparison,
                    Comparison::Above | Comparison::AtLeast | Comparison::Equal
                ) && (value > low || value == low && open)
                {
                    (low, low_open) = (value, open);
                }
                if matches!(
                    comparison,
                    Comparison::Below | Comparison::AtMost | Comparison::Equal
                ) && (value < high || value == high && open)
                {
                    (high, high_open) = (value, open);
                }
                if *comparison == Comparison::NotEqual {
                    excluded.push(value);
                }
            }
            Formula::Defined { defined, .. } => {
                must_be_defined |= *defined;
                must_be_undefined |= !*defined;
            }
            _ => {}
        }
    }
    if must_be_undefined {
        return !must_be_defined;
    }
    if low == high {
        !low_open && !high_open && !excluded.contains(&low)
    } else {
        low < high
    }
}

/// The smallest set of leaves that explains why no value is left: one (against the bounds), two,
/// or all.
fn clash(leaves: &[&Formula], vocabulary: &Vocabulary) -> String {
    let text = |leaf: &Formula| format!("`{}`", leaf.leaf_text(vocabulary));
    for leaf in leaves {
        if !allows_some(&[leaf], vocabulary) {
            return match subject(leaf) {
                Some((false, number)) => {
                    let number = &vocabulary.numbers()[number];
                    let (name, text) = (&number.name, text(leaf));
                    match (number.min.is_finite(), number.max.is_finite()) {
                        (true, true) => format!(
                            "{text}, though {name} is from {} to {}",
                            number.min, number.max
                        ),
                        (true, false) => {
                            format!("{text}, though {name} is at least {}", number.min)
                        }
                        _ => format!("{text}, though {name} is at most {}", number.max),
                    }
                }
                _ => format!("{}, which allows no label", text(leaf)),
            };
        }
    }
    for (i, a) in leaves.iter().enumerate() {
        for b in &leaves[i + 1..] {
            if !allows_some(&[a, b], vocabulary) {
                return format!("{} and {}, which exclude each other", text(a), text(b));
            }
        }
    }
    let all: Vec<String> = leaves.iter().map(|leaf| text(leaf)).collect();
    format!("{}, which exclude each other", all.join(" and "))
}
