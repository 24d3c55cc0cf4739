//! Golden files of a room: every case is answered and compared with what is expected.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use churn_core::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The first place where an answer is not what was expected, if any.
pub(crate) type Compare = fn(&str, &Value, &Value, f64) -> Option<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    operation: String,
    origin: Value,
    /// What all cases share.
    #[serde(default)]
    inputs: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    inputs: Map<String, Value>,
    expected: Value,
    tolerance: f64,
}

/// Replays the files of `folders` under `tests/golden`, which must hold all of `operations` and no
/// other.
pub(crate) fn replay(
    folders: &[&str],
    operations: &[&str],
    answer: impl Fn(&str, Map<String, Value>) -> Result<Value>,
    compare: impl Fn(&str) -> Compare,
) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (mut failures, mut seen) = (Vec::new(), BTreeSet::new());
    let entries = folders
        .iter()
        .flat_map(|f| fs::read_dir(golden.join(f)).unwrap());
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let golden: Golden = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            golden.origin["source"].is_string() && !golden.cases.is_empty(),
            "{file}"
        );
        let compare = compare(&golden.operation);
        for case in golden.cases {
            let mut inputs = golden.inputs.clone();
            inputs.extend(case.inputs);
            let place = format!("{file}: {}: ", case.name);
            match answer(&golden.operation, inputs) {
                Ok(got) => failures.extend(compare(&place, &case.expected, &got, case.tolerance)),
                Err(error) => failures.push(format!("{place}{error}")),
            }
        }
        seen.insert(golden.operation);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), operations);
}

/// Numbers may differ by the tolerance, relative to those above 1; all else must be the same.
pub(crate) fn difference(
    place: &str,
    expected: &Value,
    got: &Value,
    tolerance: f64,
) -> Option<String> {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            let names: BTreeSet<&String> = e.keys().chain(g.keys()).collect();
            names.into_iter().find_map(|name| {
                let place = format!("{place}.{name}");
                match (e.get(name), g.get(name)) {
                    (Some(e), Some(g)) => difference(&place, e, g, tolerance),
                    (e, g) => Some(format!("{place}: expected {e:?}, got {g:?}")),
                }
            })
        }
        (Value::Array(e), Value::Array(g)) if e.len() == g.len() => {
            (0..e.len()).find_map(|i| difference(&format!("{place}[{i}]"), &e[i], &g[i], tolerance))
        }
        (Value::Number(e), Value::Number(g)) => {
            let (e, g) = (e.as_f64().unwrap(), g.as_f64().unwrap());
            let near = (e - g).abs() <= tolerance * e.abs().max(1.0);
            (!near).then(|| format!("{place}: expected {e}, got {g}"))
        }
        _ if expected == got => None,
        _ => Some(format!("{place}: expected {expected}, got {got}")),
    }
}
