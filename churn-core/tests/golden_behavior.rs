//! Replays `golden/behavior/*.json`, the numbers of retention, lifecycle over time and stickiness
//! that all languages agree on; see `golden/README.md`.

mod replay;

use churn_core::behavior::{
    LifecycleSettings, Mean, RetentionSettings, RetentionTable, StickinessSettings,
};
use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog, KindColumn};
use churn_core::progress::Progress;
use churn_core::{AsOf, Result, TimeUnit};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use replay::{difference, replay};

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

#[test]
fn all_golden_files_hold() {
    replay(
        &["behavior"],
        &OPERATIONS,
        |operation, inputs| answer(operation, &inputs),
        |_| difference,
    );
}
