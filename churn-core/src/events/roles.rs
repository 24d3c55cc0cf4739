//! Finding each role of the log among the columns that a caller has.

use super::names::ColumnNames;
use crate::error::{Error, Result};

/// Position of each role among the columns that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) customer: usize,
    pub(crate) time: usize,
    pub(crate) kind: Option<usize>,
    /// Columns whose product is the value; none = no values.
    pub(crate) value: Vec<usize>,
    pub(crate) channel: Option<usize>,
    pub(crate) order: Option<usize>,
    pub(crate) item: Option<usize>,
}

impl ColumnNames {
    /// Finds the roles among the columns that exist.
    pub(crate) fn resolve(&self, existing: &[&str]) -> Result<Roles> {
        let columns = Existing(existing);
        let required = |stated: &Option<String>, role: &'static str| {
            columns.get(stated.as_deref().unwrap_or(role), role)
        };
        let optional = |stated: &Option<String>, role: &'static str| match stated {
            Some(name) => columns.get(name, role).map(Some),
            None => columns.find(role, role),
        };
        let value = match &self.value {
            None => columns.find("value", "value")?.into_iter().collect(),
            Some(name) => match columns.find(name, "value")? {
                Some(position) => vec![position],
                None => name
                    .split('*')
                    .map(|factor| columns.get(factor.trim(), "value"))
                    .collect::<Result<_>>()?,
            },
        };
        Ok(Roles {
            customer: required(&self.customer, "customer")?,
            time: required(&self.time, "time")?,
            kind: optional(&self.kind, "kind")?,
            value,
            channel: optional(&self.channel, "channel")?,
            order: optional(&self.order, "order")?,
            item: optional(&self.item, "item")?,
        })
    }
}

struct Existing<'n>(&'n [&'n str]);

impl Existing<'_> {
    fn find(&self, name: &str, role: &str) -> Result<Option<usize>> {
        let mut found = (0..self.0.len()).filter(|i| self.0[*i] == name);
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Error::invalid_parameter(
                format!("names.{role}"),
                format_args!("one column called {name:?}"),
                "several",
            )),
        }
    }

    fn get(&self, name: &str, role: &str) -> Result<usize> {
        self.find(name, role)?
            .ok_or_else(|| Error::unknown_name(format!("names.{role}"), name, self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn canonical_names_are_found_and_others_ignored() {
        let roles = ColumnNames::default()
            .resolve(&["note", "value", "time", "customer", "channel"])
            .unwrap();
        let expected = Roles {
            customer: 3,
            time: 2,
            kind: None,
            value: vec![1],
            channel: Some(4),
            order: None,
            item: None,
        };
        assert_eq!(roles, expected);
    }

    #[test]
    fn stated_names_must_exist() {
        let names = ColumnNames {
            value: Some("amount".into()),
            ..ColumnNames::default()
        };
        let error = names.resolve(&["customer", "time", "amnt"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert_eq!(
            error.to_string(),
            "names.value: expected one of customer, time, amnt, got \"amount\""
        );
        let error = ColumnNames::default().resolve(&["customer"]).unwrap_err();
        assert_eq!(error.what(), "names.time");
    }

    #[test]
    fn a_value_may_be_a_product() {
        let names = ColumnNames {
            value: Some("q * p".into()),
            ..ColumnNames::default()
        };
        let product = names.resolve(&["customer", "time", "p", "q"]).unwrap();
        assert_eq!(product.value, [3, 2]);
        let literal = names
            .resolve(&["customer", "time", "p", "q", "q * p"])
            .unwrap();
        assert_eq!(literal.value, [4]);
        let error = names.resolve(&["customer", "time", "p"]).unwrap_err();
        assert_eq!(error.got(), "\"q\"");
    }

    #[test]
    fn two_columns_of_one_name_are_ambiguous() {
        let twice = ["customer", "time", "value", "value"];
        let error = ColumnNames::default().resolve(&twice).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        let unused = ["customer", "time", "note", "note"];
        assert!(ColumnNames::default().resolve(&unused).is_ok());
    }
}
