//! Replays the golden files of plans for profit (`churn-core/tests/golden/optimize`) through the
//! exported C functions alone.

#[allow(dead_code, reason = "shared with the other replays")]
mod support;

use std::path::Path;
use std::{fs, ptr};

use churn::optimize::*;
use churn::segments::*;
use churn::strategy::*;
use churn::texts::*;
use serde_json::{Map, Value, json};
use support::*;

/// The plan of one case.
fn plan(inputs: &Inputs) -> Answer<Handle<churn_plan>> {
    let table = inputs.table()?;
    let scores = inputs.scores(&table)?;
    let groupings = [inputs.risk_tiers(&scores)?, inputs.grid(&table)?];
    let groupings: Vec<*const churn_segments> =
        groupings.iter().map(|one| one.0.cast_const()).collect();
    let (all, count) = (groupings.as_ptr(), groupings.len());
    let playbook = c(&inputs.field("playbook").to_string());
    let settings = c(&inputs.field("optimize").to_string());
    // SAFETY: handles are alive, texts end in NUL, there are `count` groupings.
    unsafe {
        let playbook = handle(churn_playbook_free, |out, error| {
            churn_playbook_from_json(playbook.as_ptr(), table.0, all, count, out, error)
        })?;
        let uplift = handle(churn_uplift_free, |out, error| churn_uplift_new(out, error))?;
        let given = inputs.0.get("uplift").and_then(Value::as_array);
        for one in given.into_iter().flatten() {
            let action = c(one["action"].as_str().unwrap());
            let channels = one.get("channels").map(|channels| {
                let ids = channels.as_array().unwrap().iter();
                c(&ids
                    .map(|id| id.as_str().unwrap())
                    .collect::<Vec<_>>()
                    .join("+"))
            });
            let column = |name: &str| -> Option<Vec<f64>> {
                let cells = one.get(name)?.as_array().unwrap();
                Some(cells.iter().map(number).collect())
            };
            let (change, errors) = (column("change").unwrap(), column("standard_error"));
            call(|error| {
                let (values, n) = (change.as_ptr(), change.len());
                churn_uplift_add(
                    uplift.0,
                    action.as_ptr(),
                    pointer(&channels),
                    values,
                    errors
                        .as_ref()
                        .map_or(ptr::null(), |errors| errors.as_ptr()),
                    n,
                    error,
                )
            })?;
        }
        handle(churn_plan_free, |out, error| {
            churn_playbook_optimize(
                playbook.0,
                table.0,
                scores.0,
                all,
                count,
                uplift.0,
                settings.as_ptr(),
                ptr::null(),
                out,
                error,
            )
        })
    }
}

fn texts(list: &Handle<churn_texts>) -> Vec<String> {
    // SAFETY: the list is alive, and the texts belong to it.
    unsafe {
        let all = 0..churn_texts_len(list.0);
        let text = |i| {
            output(ptr::null(), |out, error| {
                churn_texts_get(list.0, i, out, error)
            })
        };
        all.map(|i| str(text(i).unwrap()).to_owned()).collect()
    }
}

fn planned(plan: &Handle<churn_plan>) -> Answer<Value> {
    let plan = plan.0;
    // SAFETY: the plan is alive, its columns have its length; lists are freed by their handles.
    unsafe {
        let n = churn_plan_len(plan);
        let codes = slice(churn_plan_action_codes(plan), n);
        let (mut actions, mut sources) = (Vec::new(), Vec::new());
        let (mut channels, mut offers) = (Vec::new(), Vec::new());
        for (row, code) in codes.iter().enumerate() {
            actions.push(match usize::try_from(*code) {
                Err(_) => Value::Null,
                Ok(code) => {
                    let id = output(ptr::null(), |out, error| {
                        churn_plan_action(plan, code, ptr::null(), out, ptr::null_mut(), error)
                    })?;
                    json!(str(id))
                }
            });
            channels.push(texts(&handle(churn_texts_free, |out, error| {
                churn_plan_channels(plan, row, out, error)
            })?));
            offers.push(texts(&handle(churn_texts_free, |out, error| {
                churn_plan_offers(plan, row, out, error)
            })?));
            let source = texts(&handle(churn_texts_free, |out, error| {
                churn_plan_source(plan, row, out, error)
            })?);
            sources.push(source.first().cloned());
        }
        let (mut profit, mut bound, mut spent, mut chosen) = (0.0, 0.0, 0.0, 0);
        call(|error| {
            churn_plan_allocation(
                plan,
                &mut profit,
                &mut bound,
                &mut spent,
                &mut chosen,
                error,
            )
        })?;
        Ok(json!({
            "action": actions,
            "channels": channels,
            "offers": offers,
            "source": sources,
            "change": slice(churn_plan_change(plan), n),
            "expected_profit": slice(churn_plan_expected_profit(plan), n),
            "profit": profit,
            "bound": bound,
            "spent": spent,
            "chosen": chosen,
        }))
    }
}

/// The first place where an answer is not what was expected.
fn difference(place: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) if e.len() == g.len() => {
            e.iter().find_map(|(name, e)| {
                difference(&format!("{place}.{name}"), e, g.get(name)?, tolerance)
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

fn cases(file: &str) -> Vec<(String, Inputs, Value, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden/optimize");
    let golden = parse(&fs::read_to_string(folder.join(file)).unwrap());
    let cases = golden["cases"].as_array().unwrap().iter();
    let joint = |case: &Value| {
        let mut inputs: Map<String, Value> = golden["inputs"].as_object().unwrap().clone();
        let own = case["inputs"].as_object().unwrap();
        inputs.extend(
            own.get("inputs")
                .map_or(own, |own| own.as_object().unwrap())
                .clone(),
        );
        let name = case["name"].as_str().unwrap().to_owned();
        let tolerance = case["tolerance"].as_f64().unwrap();
        (name, Inputs(inputs), case["expected"].clone(), tolerance)
    };
    cases.map(joint).collect()
}

#[test]
fn plans_hold_in_c() {
    let mut failures = Vec::new();
    for (name, inputs, expected, tolerance) in cases("plans.json") {
        match plan(&inputs).and_then(|plan| planned(&plan)) {
            Ok(got) => failures.extend(difference(&name, &expected, &got, tolerance)),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn errors_hold_in_c() {
    for (name, inputs, expected, _) in cases("errors.json") {
        let Err(error) = plan(&inputs) else {
            panic!("{name}: should fail");
        };
        for field in ["kind", "what", "message"] {
            assert_eq!(error[field], expected[field], "{name}");
        }
    }
}
