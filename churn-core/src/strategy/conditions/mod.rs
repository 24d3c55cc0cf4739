//! Conditions on customers: who belongs to an audience, who may be given an offer or called.
//!
//! ```text
//! risk_tier == "high" and (total_value >= 200 or rfm_segment in ["champions", "cant_lose"])
//! ```
//!
//! | form | meaning |
//! |---|---|
//! | `orders >= 3` | a number (feature or `churn_probability`) with `<` `<=` `>` `>=` `==` `!=` |
//! | `risk_tier == "high"`, `risk_tier != "low"` | the customer's label in a segmentation |
//! | `rfm_segment in ["champions", "at_risk"]`, `… not in […]` | one of several labels |
//! | `gap_days is defined`, `gap_days is undefined` | whether the feature has a value here |
//! | `everyone` | all customers |
//! | `not a`, `a and b`, `a or b`, `( … )` | binding in this order, `not` tightest |
//!
//! Labels stand in double or single quotes; a name that is no plain word (letters of any script,
//! digits, `_`, `.`) stands in back quotes.
//!
//! **Undefined values.** A comparison with a value that is undefined (NaN) is neither true nor
//! false, and `not` does not change that: both `gap_days > 30` and `not gap_days > 30` leave out a
//! customer without gaps. `and` and `or` follow Kleene's three-valued logic, and a condition holds
//! for a customer only where it is true. So nobody is contacted because something about them is
//! not known, unless `is undefined` asks for exactly that.
//!
//! **Checks.** [`Condition::check`] refuses unknown names and labels, numbers used as
//! segmentations, and conditions that no customer can meet: parts that exclude each other, or
//! values outside the bounds of a feature. Every operand of `or` and `not` must be able to hold
//! on its own, too.

mod formula;
mod satisfy;
mod syntax;
mod vocabulary;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

pub(crate) use formula::{Formula, Values};
pub(crate) use satisfy::{Answer, can_hold};
pub(crate) use syntax::Comparison;
use syntax::Expr;
pub use vocabulary::{CHURN_PROBABILITY, Vocabulary};
pub(crate) use vocabulary::{Segmentation, Term};

use super::facts::Facts;

/// A condition on customers, read from text; see the [module](self) for the language.
///
/// `Display` writes it back in a normal form that reads as an equal condition.
///
/// # Example
/// ```
/// use churn_core::strategy::{Condition, Vocabulary};
/// let vocabulary = Vocabulary::new().with_segmentation("risk_tier", &["low", "medium", "high"])?;
/// let condition: Condition = "risk_tier != 'low' and churn_probability >= 0.5".parse()?;
/// condition.check(&vocabulary)?;
/// assert_eq!(condition.to_string(), "risk_tier != \"low\" and churn_probability >= 0.5");
///
/// let never: Condition = "risk_tier == 'low' and risk_tier == 'high'".parse()?;
/// assert_eq!(
///     never.check(&vocabulary).unwrap_err().to_string(),
///     "condition: expected a condition that some customer can meet, got \
///      `risk_tier == \"low\"` and `risk_tier == \"high\"`, which exclude each other",
/// );
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    expr: Expr,
}

impl Condition {
    /// Reads a condition; names are looked up later, by [`check`](Self::check).
    ///
    /// # Errors
    /// `InvalidParameter` at `condition`, with the character, for text that is no condition.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_at("condition", text)
    }

    /// Reads a condition that stands at the place `what`.
    pub(crate) fn parse_at(what: &str, text: &str) -> Result<Self> {
        let expr = syntax::parse(what, text)?;
        Ok(Condition { expr })
    }

    /// Confirms that the condition speaks of known names and labels and can hold for someone.
    ///
    /// # Errors
    /// `UnknownName` for a name or label that the vocabulary does not have; `InvalidParameter` for
    /// a number used as a segmentation or the other way round, and for a condition, or an operand
    /// of `or` or `not`, that no customer can meet.
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<()> {
        self.resolve("condition", vocabulary).map(|_| ())
    }

    /// The customers whom the condition holds for, one answer per row.
    ///
    /// # Errors
    /// As [`check`](Self::check), against the names of these facts, except that a condition that
    /// nobody can meet is answered, not refused.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<Vec<bool>> {
        let formula = Formula::new("condition", &self.expr, true, facts.vocabulary())?;
        let rows = 0..facts.customers().len();
        Ok(rows.map(|row| formula.holds(facts, row)).collect())
    }

    /// The checked meaning; `what` is the place that errors name.
    pub(crate) fn resolve(&self, what: &str, vocabulary: &Vocabulary) -> Result<Formula> {
        let formula = Formula::new(what, &self.expr, true, vocabulary)?;
        check_parts(what, &self.expr, vocabulary)?;
        check_can_hold(what, &formula, vocabulary)?;
        Ok(formula)
    }

    /// Where the condition is false, which is not simply where it is not true: a comparison with an
    /// undefined value is neither. `what` is the place that errors name.
    pub(crate) fn resolve_false(&self, what: &str, vocabulary: &Vocabulary) -> Result<Formula> {
        Formula::new(what, &self.expr, false, vocabulary)
    }
}

fn check_can_hold(what: &str, formula: &Formula, vocabulary: &Vocabulary) -> Result<()> {
    match can_hold(&[formula], vocabulary) {
        Answer::Possible => Ok(()),
        Answer::Never(why) => Err(Error::invalid_parameter(
            what,
            "a condition that some customer can meet",
            why,
        )),
    }
}

/// Operands of `or` and `not` must be able to hold, or they are mistakes that hide behind the
/// rest; operands of `and` are covered by the whole.
fn check_parts(what: &str, expr: &Expr, vocabulary: &Vocabulary) -> Result<()> {
    let check_operand = |operand: &Expr| {
        let formula = Formula::new(what, operand, true, vocabulary)?;
        check_can_hold(what, &formula, vocabulary)?;
        check_parts(what, operand, vocabulary)
    };
    match expr {
        Expr::And(parts) => parts
            .iter()
            .try_for_each(|part| check_parts(what, part, vocabulary)),
        Expr::Or(parts) => parts.iter().try_for_each(check_operand),
        Expr::Not(inner) => check_operand(inner),
        _ => Ok(()),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Condition::parse(text)
    }
}

#[cfg(test)]
mod tests;
