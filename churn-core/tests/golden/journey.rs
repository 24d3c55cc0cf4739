//! The golden operations of journeys, as `golden.rs` calls them.

use churn_core::evaluation::{IncrementalSettings, JourneyExposures};
use churn_core::journey::{CustomerRecord, EventRecord, NewEvent, News, lot};
use churn_core::progress::Progress;
use churn_core::winback::{JourneySettings, WinBackSettings};
use churn_core::{AsOf, Horizon, Result, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Inputs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    now: String,
    until: Option<String>,
    #[serde(default)]
    events: Vec<EventRecord>,
}

fn read<T: DeserializeOwned>(inputs: &Inputs, name: &str) -> T {
    serde_json::from_value(inputs.field(name).clone()).unwrap()
}

pub(crate) fn lots(inputs: &Inputs) -> Value {
    let salt = inputs.text("salt");
    let customers = inputs.field("customers").as_array().unwrap().iter();
    let lots: Vec<f64> = customers
        .map(|id| match (id.as_i64(), id.as_u64()) {
            (Some(id), _) => lot(salt, id),
            (None, Some(id)) => lot(salt, id),
            _ => lot(salt, id.as_str().unwrap()),
        })
        .collect();
    json!({ "lots": lots })
}

pub(crate) fn steps(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let settings: JourneySettings = inputs.settings("journeys")?;
    let engine = WinBackSettings::default().engine(log.channels(), &settings)?;
    let mut state = engine.start(Timestamp::parse(inputs.text("start"))?);
    let customers: Vec<CustomerRecord> = read(inputs, "customers");
    state.describe(&customers)?;
    let mut answer = Vec::new();
    for step in read::<Vec<Step>>(inputs, "steps") {
        let events: Vec<NewEvent<'_>> = step.events.iter().map(EventRecord::event).collect();
        let now = Timestamp::parse(&step.now)?;
        let until = step.until.map_or(Ok(now), |text| Timestamp::parse(&text))?;
        let outcome =
            engine.advance(&mut state, &News::at(now).until(until).with_events(&events))?;
        let log = outcome.log.iter().map(|entry| outcome.line(entry));
        answer.push(log.collect::<Vec<String>>());
    }
    let only = inputs.text("only");
    answer
        .iter_mut()
        .for_each(|lines| lines.retain(|line| line.contains(only)));
    Ok(json!({ "lines": answer }))
}

pub(crate) fn replay(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let settings: JourneySettings = inputs.settings("journeys")?;
    let day = |name| AsOf::parse(inputs.text(name));
    let whole = WinBackSettings::default();
    let replay = whole.replay(&log, day("from")?, day("to")?, &settings, &Progress::none())?;
    Ok(json!({
        "contacts": replay.contacts(),
        "cost": replay.cost(),
        "calendar": replay.calendar(30).to_string().lines().collect::<Vec<_>>(),
    }))
}

pub(crate) fn report(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let journeys: JourneySettings = inputs.settings("journeys")?;
    let settings: IncrementalSettings = inputs.settings("incremental")?;
    let day = |name| AsOf::parse(inputs.text(name));
    let whole = WinBackSettings::default();
    let replay = whole.replay(&log, day("from")?, day("to")?, &journeys, &Progress::none())?;
    let horizon = Horizon::days(read(inputs, "horizon_days"))?;
    let exposures = JourneyExposures::new(&[&replay.outcome])?;
    let report = exposures.report(&log, horizon, Some(day("observed_until")?), &settings)?;
    Ok(told(&serde_json::to_value(report).unwrap()))
}

/// The parts of a report that the golden file holds.
pub(crate) fn told(report: &Value) -> Value {
    let finding = |finding: &Value| match finding.get("known") {
        None => Value::Null,
        Some(known) => {
            let total = |name: &str| match &known[name] {
                Value::Null => Value::Null,
                total => {
                    json!({"value": total["value"], "low": total["low"], "high": total["high"]})
                }
            };
            json!({
                "treated": known["treated"],
                "held_out": known["held_out"],
                "kept": total("kept"),
                "orders": total("orders"),
                "revenue": total("revenue"),
                "cost": known["cost"],
                "profit": total("profit"),
                "cost_per_kept": known["cost_per_kept"],
                "return_on_spend": total("return_on_spend"),
            })
        }
    };
    let groups = report["by_channel"].as_array().unwrap().iter();
    let groups = groups.map(|g| {
        (
            g["group"].as_str().unwrap().to_owned(),
            finding(&g["finding"]),
        )
    });
    json!({
        "contacted": report["contacted"],
        "held_out": report["held_out"],
        "open": report["open"],
        "contacts": report["contacts"],
        "contact_cost": report["contact_cost"],
        "offer_cost": report["offer_cost"],
        "total": finding(&report["total"]),
        "by_channel": groups.collect::<serde_json::Map<String, Value>>(),
    })
}
