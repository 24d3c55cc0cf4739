//! Who was in which arm.

use std::collections::HashMap;

use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};

/// The arms of an experiment and the arm of each unit; the first arm is the control.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::Arms;
/// let arms = Arms::new(&["no mail", "mail", "mail", "no mail"], "no mail")?;
/// assert_eq!(arms.names(), ["no mail", "mail"]);
/// assert_eq!(arms.counts(), [2, 2]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arms {
    names: Vec<String>,
    codes: Vec<u32>,
    counts: Vec<usize>,
}

impl Arms {
    /// One arm name per unit; `control` becomes arm 0, the others follow in order of their names.
    ///
    /// # Errors
    /// `NotEnoughData` if no unit is in the control, or none in another arm.
    pub fn new<S: AsRef<str>>(arm: &[S], control: &str) -> Result<Self> {
        let mut names: Vec<&str> = arm.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.dedup();
        let Some(position) = names.iter().position(|name| *name == control) else {
            return Err(Error::not_enough_data(
                "experiment.control",
                format_args!("at least one unit in {control:?}"),
                0,
            ));
        };
        let control = names.remove(position);
        names.insert(0, control);
        let code: HashMap<&str, u32> = names.iter().zip(0..).map(|(name, i)| (*name, i)).collect();
        let codes = arm.iter().map(|name| code[name.as_ref()]).collect();
        Self::from_codes(names.into_iter().map(str::to_owned).collect(), codes)
    }

    /// Arms by number: unit *i* is in `names[codes[i]]`, and `names[0]` is the control.
    ///
    /// # Errors
    /// `InvalidValue`, naming the row, for a code without a name; `InvalidParameter` for a name that
    /// occurs twice; `NotEnoughData` for fewer than two arms or an arm without units.
    pub fn from_codes(names: Vec<String>, codes: Vec<u32>) -> Result<Self> {
        if names.len() < 2 {
            return Err(Error::not_enough_data(
                "experiment.arms",
                "a control and at least one other arm",
                names.len(),
            ));
        }
        if let Some(i) = (1..names.len()).find(|i| names[..*i].contains(&names[*i])) {
            return Err(Error::invalid_parameter(
                "experiment.arms",
                "names that differ",
                format_args!("{:?} twice", names[i]),
            ));
        }
        let mut counts = vec![0; names.len()];
        for (row, code) in codes.iter().enumerate() {
            match counts.get_mut(*code as usize) {
                Some(count) => *count += 1,
                None => {
                    let known = names.len();
                    return Err(Error::invalid_value(
                        "experiment.arm",
                        row,
                        format_args!("a code below {known}"),
                        code,
                    ));
                }
            }
        }
        match counts.iter().position(|count| *count == 0) {
            Some(empty) => Err(Error::not_enough_data(
                format!("experiment.arms.{}", names[empty]),
                "at least one unit",
                0,
            )),
            None => Ok(Arms {
                names,
                codes,
                counts,
            }),
        }
    }

    /// Customers and their arms from rows of an assignment log, where a customer may occur several
    /// times but in one arm only. The arms are in the order of the customers returned.
    ///
    /// # Errors
    /// As [`new`](Self::new); `LengthMismatch` for columns of different lengths; `InvalidValue`,
    /// naming both rows, for a customer in two arms.
    pub fn of_customers<'a, I, S>(ids: &[I], arm: &[S], control: &str) -> Result<(Customers, Self)>
    where
        I: Copy + Into<CustomerId<'a>>,
        S: AsRef<str>,
    {
        if ids.len() != arm.len() {
            return Err(Error::length_mismatch(
                "experiment.arm",
                ids.len(),
                arm.len(),
            ));
        }
        let mut rows: Vec<(CustomerId<'a>, usize)> =
            ids.iter().map(|id| (*id).into()).zip(0..).collect();
        rows.sort_unstable();
        let strays = rows.chunk_by(|a, b| a.0 == b.0).filter_map(|same| {
            let (id, first) = same[0];
            let other = same
                .iter()
                .find(|(_, row)| arm[*row].as_ref() != arm[first].as_ref());
            other.map(|(_, row)| (*row, first, id))
        });
        if let Some((row, first, id)) = strays.min_by_key(|stray| stray.0) {
            return Err(Error::invalid_value(
                "experiment.arm",
                row,
                format_args!(
                    "{:?} as for customer {id} in row {first}",
                    arm[first].as_ref()
                ),
                format_args!("{:?}", arm[row].as_ref()),
            ));
        }
        rows.dedup_by_key(|row| row.0);
        let customers = Customers::from_rows(rows.iter().map(|row| row.0))?;
        let names: Vec<&str> = rows.iter().map(|(_, row)| arm[*row].as_ref()).collect();
        Ok((customers, Arms::new(&names, control)?))
    }

    /// Names of the arms, the control first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The arm of each unit, as an index into [`names`](Self::names).
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Number of units of each arm.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no units; never true.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The values of one arm's units, in order.
    pub(super) fn values_of(&self, arm: usize, values: &[f64]) -> Vec<f64> {
        let of_arm = self.codes.iter().zip(values);
        of_arm
            .filter(|(code, _)| **code as usize == arm)
            .map(|(_, value)| *value)
            .collect()
    }

    /// Refuses a column that does not fit the units.
    pub(super) fn check_column(&self, what: &str, values: &[f64]) -> Result<()> {
        if values.len() != self.codes.len() {
            return Err(Error::length_mismatch(what, self.codes.len(), values.len()));
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(row) => Err(Error::invalid_value(
                what,
                row,
                "a finite number",
                values[row],
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_customer_in_two_arms_is_refused_by_row() {
        let ids = ["ann", "bea", "ann", "cid", "bea"];
        let arm = ["a", "b", "a", "a", "a"];
        let error = Arms::of_customers(&ids, &arm, "a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "experiment.arm[4]: expected \"b\" as for customer bea in row 1, got \"a\""
        );
        let (customers, arms) = Arms::of_customers(&ids[..4], &arm[..4], "a").unwrap();
        assert_eq!(customers.len(), 3);
        assert_eq!(arms.codes(), [0, 1, 0]);
    }

    #[test]
    fn empty_arms_are_refused() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let error = Arms::from_codes(names(), vec![0, 0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        assert_eq!(error.what(), "experiment.arms.b");
        assert_eq!(
            Arms::from_codes(names(), vec![0, 2, 1]).unwrap_err().row(),
            Some(1)
        );
        assert!(Arms::new(&["a", "a"], "a").is_err());
        assert!(Arms::new(&["b", "a"], "c").is_err());
    }
}
