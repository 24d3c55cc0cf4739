//! The golden operations of journeys, as `golden.rs` calls them.

use churn_core::journey::{CustomerRecord, EventRecord, NewEvent, News, lot};
use churn_core::progress::Progress;
use churn_core::winback::{JourneySettings, WinBackSettings};
use churn_core::{AsOf, Result, Timestamp};
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
