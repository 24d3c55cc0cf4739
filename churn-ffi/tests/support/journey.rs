//! The golden operations of journeys through the exported functions, as `golden.rs` calls them.

use std::ptr;

use churn::bytes::*;
use churn::evaluation::*;
use churn::journey::*;
use churn::texts::*;
use serde_json::{Value, json};

use crate::support::*;
use crate::texts;

pub(crate) fn lots(inputs: &Inputs) -> Answer<Value> {
    let salt = c(inputs.text("salt"));
    let mut lots = Vec::new();
    for id in inputs.field("customers").as_array().unwrap() {
        let id = c(&id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        // SAFETY: texts end in NUL, the output is a place of `output`.
        lots.push(output(0.0, |out, error| unsafe {
            churn_journey_lot(salt.as_ptr(), id.as_ptr(), out, error)
        })?);
    }
    Ok(json!({ "lots": lots }))
}

pub(crate) fn steps(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let journeys = inputs.settings("journeys");
    // SAFETY: the log is alive, texts end in NUL, outputs are places of `handle`.
    let engine = handle(churn_journey_engine_free, |out, error| unsafe {
        churn_journey_engine_new(log.0, ptr::null(), pointer(&journeys), out, error)
    })?;
    let start = c(inputs.text("start"));
    // SAFETY: the same.
    let mut state = handle(churn_journey_state_free, |out, error| unsafe {
        churn_journey_engine_begin(engine.0, ptr::null(), start.as_ptr(), out, error)
    })?;
    let customers = c(&inputs.field("customers").to_string());
    // SAFETY: nobody else uses the state; the text ends in NUL.
    call(|error| unsafe { churn_journey_state_describe(state.0, customers.as_ptr(), error) })?;
    let mut answer = Vec::new();
    for step in inputs.field("steps").as_array().unwrap() {
        let now = c(step["now"].as_str().unwrap());
        let until = step.get("until").map(|text| c(text.as_str().unwrap()));
        let events = step.get("events").map(|list| c(&list.to_string()));
        let mut next = ptr::null_mut();
        // SAFETY: handles are alive, texts end in NUL, outputs are places of `handle` and here.
        let outcome = handle(churn_journey_outcome_free, |out, error| unsafe {
            churn_journey_engine_step(
                engine.0,
                state.0,
                now.as_ptr(),
                pointer(&until),
                pointer(&events),
                ptr::null(),
                ptr::null(),
                ptr::null(),
                ptr::null(),
                &mut next,
                out,
                error,
            )
        })?;
        state = Handle(next, churn_journey_state_free);
        // SAFETY: the outcome is alive, the output is a place of `handle`.
        let lines = handle(churn_texts_free, |out, error| unsafe {
            churn_journey_outcome_lines(outcome.0, out, error)
        })?;
        let only = inputs.text("only");
        let mut lines = texts(&lines);
        lines.retain(|line| line.contains(only));
        answer.push(lines);
    }
    Ok(json!({ "lines": answer }))
}

pub(crate) fn replay(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let journeys = inputs.settings("journeys");
    let (from, to) = (c(inputs.text("from")), c(inputs.text("to")));
    // SAFETY: the log is alive, texts end in NUL, outputs are places of `handle`.
    let replay = handle(churn_journey_replay_free, |out, error| unsafe {
        churn_journey_replay_run(
            log.0,
            from.as_ptr(),
            to.as_ptr(),
            ptr::null(),
            pointer(&journeys),
            ptr::null(),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: the replay is alive, the output is a place of `handle`.
    let calendar = handle(churn_texts_free, |out, error| unsafe {
        churn_journey_replay_calendar(replay.0, 30, out, error)
    })?;
    // SAFETY: the replay is alive.
    let (contacts, cost) = unsafe {
        (
            churn_journey_replay_contact_count(replay.0),
            churn_journey_replay_cost(replay.0),
        )
    };
    Ok(json!({
        "contacts": contacts,
        "cost": cost,
        "calendar": texts(&calendar)[0].lines().collect::<Vec<_>>(),
    }))
}

pub(crate) fn report(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let (journeys, settings) = (inputs.settings("journeys"), inputs.settings("incremental"));
    let (from, to) = (c(inputs.text("from")), c(inputs.text("to")));
    let until = c(inputs.text("observed_until"));
    let horizon = inputs.field("horizon_days").as_u64().unwrap() as u32;
    // SAFETY: the log is alive, texts end in NUL, outputs are places of `handle`.
    let replay = handle(churn_journey_replay_free, |out, error| unsafe {
        churn_journey_replay_run(
            log.0,
            from.as_ptr(),
            to.as_ptr(),
            ptr::null(),
            pointer(&journeys),
            ptr::null(),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: handles are alive, texts end in NUL, the output is a place of `handle`.
    let answer = handle(churn_bytes_free, |out, error| unsafe {
        churn_journey_replay_report(
            replay.0,
            log.0,
            horizon,
            until.as_ptr(),
            pointer(&settings),
            out,
            error,
        )
    })?;
    // SAFETY: the answer is alive and has so many bytes.
    let bytes = unsafe { slice(churn_bytes_data(answer.0), churn_bytes_len(answer.0)) };
    Ok(told(&serde_json::from_slice(bytes).unwrap()))
}

/// The parts of a report that the golden file holds.
fn told(report: &Value) -> Value {
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
