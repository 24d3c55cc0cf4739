//! What differs between two definitions, place by place.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// One place at which two definitions differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The place, e.g. `steps.return_offer.wait.days`; elements that have an id go by it.
    pub place: String,
    /// What stands there in the first, as JSON; `None` where there is nothing.
    pub before: Option<String>,
    /// What stands there in the second.
    pub after: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        let (before, after) = (side(&self.before), side(&self.after));
        write!(f, "{}: {before} -> {after}", self.place)
    }
}

/// Where two definitions (journeys, policies, playbooks or any settings) differ.
///
/// # Errors
/// `InvalidParameter` for values that JSON cannot hold.
///
/// # Example
/// ```
/// use churn_core::journey::{ContactPolicy, differences};
/// let (before, mut after) = (ContactPolicy::default(), ContactPolicy::default());
/// after.capacity.insert("sms".to_owned(), 100);
/// let found = differences(&before, &after)?;
/// assert_eq!(found[0].to_string(), "capacity.sms: nothing -> 100");
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn differences<T: Serialize>(before: &T, after: &T) -> Result<Vec<Difference>> {
    let value = |side: &T| {
        serde_json::to_value(side)
            .map_err(|e| Error::invalid_parameter("definition", "values that JSON holds", e))
    };
    let mut found = Vec::new();
    compare("", Some(&value(before)?), Some(&value(after)?), &mut found);
    Ok(found)
}

fn compare(
    place: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if before == after {
        return;
    }
    let inner = |name: &str| match place {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    };
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                compare(&inner(key), a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let id = |value: &Value| Some(value.get("id")?.as_str()?.to_owned());
            let ids = |list: &[Value]| list.iter().map(id).collect::<Option<Vec<String>>>();
            match (ids(a), ids(b)) {
                (Some(x), Some(y)) if !(x.is_empty() && y.is_empty()) => {
                    for (name, value) in x.iter().zip(a) {
                        let other = y.iter().position(|n| n == name).map(|i| &b[i]);
                        compare(&inner(name), Some(value), other, found);
                    }
                    for (name, value) in y.iter().zip(b).filter(|(name, _)| !x.contains(name)) {
                        compare(&inner(name), None, Some(value), found);
                    }
                    // The order of steps says what follows what.
                    let common = |list: &[String], other: &[String]| -> Vec<String> {
                        list.iter().filter(|n| other.contains(n)).cloned().collect()
                    };
                    let (x, y) = (common(&x, &y), common(&y, &x));
                    if x != y {
                        let text = |list: &[String]| Some(list.join(", "));
                        found.push(Difference {
                            place: inner("(order)"),
                            before: text(&x),
                            after: text(&y),
                        });
                    }
                }
                _ => {
                    for i in 0..a.len().max(b.len()) {
                        let place = format!("{place}[{i}]");
                        compare(&place, a.get(i), b.get(i), found);
                    }
                }
            }
        }
        _ => found.push(Difference {
            place: place.to_owned(),
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_go_by_their_ids() {
        let before = json!({"steps": [{"id": "a", "wait": {"days": 30}}, {"id": "b"}, {"id": "c"}], "list": [1, 2]});
        let after = json!({"steps": [{"id": "b"}, {"id": "a", "wait": {"days": 45}}, {"id": "d"}], "list": [1, 3]});
        let found: Vec<String> = differences(&before, &after)
            .unwrap()
            .iter()
            .map(Difference::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "list[1]: 2 -> 3",
                "steps.a.wait.days: 30 -> 45",
                "steps.c: {\"id\":\"c\"} -> nothing",
                "steps.d: nothing -> {\"id\":\"d\"}",
                "steps.(order): a, b -> b, a",
            ]
        );
        assert!(differences(&before, &before).unwrap().is_empty());
    }
}
