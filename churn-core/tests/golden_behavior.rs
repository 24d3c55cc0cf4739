//! Replays `golden/behavior/*.json`, the numbers of retention, lifecycle over time and stickiness
//! that all languages agree on; see `golden/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use churn_core::behavior::{
    LifecycleSettings, Mean, RetentionSettings, RetentionTable, StickinessSettings,
};
use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog, KindColumn};
use churn_core::progress::Progress;
use churn_core::{AsOf, Result, TimeUnit};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Every operation that a golden file may name, each of which some file must name.
const OPERATIONS: [&str; 3] = [
    "behavior.lifecycle",
    "behavior.retention",
    "behavior.stickiness",
];

fn answer(operation: &str, inputs: &Map<String, Value>) -> Result<Value> {
    let log = log(inputs)?;
    let history = log.history(AsOf::parse(inputs["as_of"].as_str().unwrap())?);
    let progress = Progress::none();
    match operation {
        "behavior.retention" => {
            let settings: RetentionSettings = settings(inputs, "retention")?;
            Ok(retention(&settings.table(&history, &progress)?))
        }
        "behavior.lifecycle" => {
            let settings: LifecycleSettings = settings(inputs, "lifecycle_over_time")?;
            let table = settings.table(&history, &progress)?;
            Ok(json!({
                "periods": table.labels(),
                "new": table.new_customers(),
                "returning": table.returning(),
                "resurrecting": table.resurrecting(),
                "dormant": table.dormant(),
                "complete": table.complete(),
            }))
        }
        "behavior.stickiness" => {
            let settings: StickinessSettings = settings(inputs, "stickiness")?;
            let table = settings.table(&history, &progress)?;
            Ok(json!({
                "customers": table.customers(),
                "ratio": table.ratio(),
                "complete": table.complete(),
            }))
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn retention(table: &RetentionTable) -> Value {
    let (rows, columns) = (0..table.cohorts().len(), 0..table.columns().len());
    let cells = |cell: &dyn Fn(usize, usize) -> Value| -> Value {
        let row = |i| -> Value { columns.clone().map(|j| cell(i, j)).collect() };
        rows.clone().map(row).collect()
    };
    json!({
        "cohorts": table.cohorts().iter().map(|c| &c.label).collect::<Vec<_>>(),
        "sizes": table.cohorts().iter().map(|c| c.size).collect::<Vec<_>>(),
        "periods": table.columns(),
        "retained": cells(&|i, j| json!(table.retained(i, j))),
        "complete": cells(&|i, j| json!(table.complete(i, j))),
        "weighted": table.curve(Mean::Weighted),
        "simple": table.curve(Mean::Simple),
    })
}

fn settings<T: DeserializeOwned + Default>(inputs: &Map<String, Value>, name: &str) -> Result<T> {
    match inputs.get(name) {
        None => Ok(T::default()),
        Some(given) => churn_core::settings::from_json(name, &given.to_string()),
    }
}

fn log(inputs: &Map<String, Value>) -> Result<EventLog> {
    let events = &inputs["events"];
    assert_eq!(events["time_unit"], "second");
    let list = |name: &str| events[name].as_array().unwrap().iter();
    let customers: Vec<&str> = list("customer").map(|c| c.as_str().unwrap()).collect();
    let times: Vec<i64> = list("time").map(|t| t.as_i64().unwrap()).collect();
    let kinds: Vec<u8> = list("kind")
        .map(|kind| {
            serde_json::from_value::<EventKind>(kind.clone())
                .unwrap()
                .code()
        })
        .collect();
    let kinds = KindColumn::Codes(kinds.into());
    let columns = EventColumns::new(customers.as_slice(), &times, TimeUnit::Second, kinds);
    EventLog::from_columns(&columns, &Cleaning::default())
}

/// The first place where an answer is not what was expected.
fn difference(place: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
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

#[test]
fn all_golden_files_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/behavior");
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let golden: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let operation = golden["operation"].as_str().unwrap().to_owned();
        for case in golden["cases"].as_array().unwrap() {
            let mut inputs = golden["inputs"].as_object().unwrap().clone();
            inputs.extend(case["inputs"].as_object().unwrap().clone());
            let place = format!("{operation}: {}: ", case["name"]);
            let tolerance = case["tolerance"].as_f64().unwrap();
            match answer(&operation, &inputs) {
                Ok(got) => failures.extend(difference(&place, &case["expected"], &got, tolerance)),
                Err(error) => failures.push(format!("{place}{error}")),
            }
        }
        seen.insert(operation);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), OPERATIONS.each_ref());
}
