//! Replays the golden files of the models of buying (see `churn-core/tests/golden/README.md`)
//! through the exported C functions alone.

#[allow(dead_code, reason = "golden.rs uses the rest")]
mod support;

use std::collections::BTreeSet;
use std::ffi::{CString, c_char};
use std::path::Path;
use std::{fs, ptr};

use churn::analysis::*;
use churn::bytes::*;
use churn::customers::*;
use churn::error::{churn_error, churn_status};
use churn::lifetime::*;
use churn::renewals::*;
use churn::running::*;
use churn::summary::*;
use serde_json::{Map, Value, json};
use support::*;

const OPERATIONS: [&str; 9] = [
    "errors",
    "lifetime.answers",
    "lifetime.bg_bb",
    "lifetime.fit",
    "lifetime.holdout",
    "lifetime.renewals",
    "lifetime.running",
    "lifetime.spend",
    "lifetime.value",
];

type Table = Handle<churn_analysis>;
type Error = *mut *mut churn_error;

fn table(call: impl FnOnce(*mut *mut churn_analysis, Error) -> churn_status) -> Answer<Table> {
    handle(churn_analysis_free, call)
}

/// A column as a list; NaN is null.
fn column(table: &Table, name: &str) -> Value {
    let name = c(name);
    // SAFETY: the table is alive, the name ends in NUL, the numbers belong to the table.
    let numbers = output(ptr::null(), |out, error| unsafe {
        churn_analysis_numbers(table.0, name.as_ptr(), out, error)
    });
    let numbers = numbers.expect("a column of numbers");
    // SAFETY: the same; there is a number per row.
    let cells = unsafe { slice(numbers, churn_analysis_len(table.0)) };
    cells.iter().map(|x| or_null(*x)).collect()
}

/// A text that belongs to a handle.
fn words(call: impl FnOnce(*mut *const c_char, Error) -> churn_status) -> Answer<CString> {
    let text = output(ptr::null(), call)?;
    // SAFETY: a text of a live handle ends in NUL.
    Ok(c(unsafe { str(text) }))
}

fn list(inputs: &Inputs, name: &str) -> Option<Vec<f64>> {
    let cells = inputs.0.get(name)?.as_array().unwrap().iter();
    Some(cells.map(|x| x.as_f64().unwrap()).collect())
}

fn start<T>(array: &Option<Vec<T>>) -> *const T {
    array.as_ref().map_or(ptr::null(), |array| array.as_ptr())
}

fn whole(inputs: &Inputs, name: &str) -> u32 {
    inputs.0.get(name).map_or(0, |n| n.as_u64().unwrap() as u32)
}

fn buyers(inputs: &Inputs) -> Answer<Handle<churn_buyers>> {
    let columns = Inputs(inputs.field("columns").as_object().unwrap().clone());
    let column = |name| list(&columns, name);
    let frequency = column("frequency");
    let rows = frequency.as_ref().unwrap().len();
    // Models of spend ask for counts and money only.
    let zeros = || Some(vec![0.0; rows]);
    let spans = || Some(vec![1e9; rows]);
    let (recency, age) = (
        column("recency").or_else(zeros),
        column("age").or_else(spans),
    );
    let none = Map::new();
    let covariates = inputs
        .0
        .get("covariates")
        .map_or(&none, |z| z.as_object().unwrap());
    let names: Vec<CString> = covariates.keys().map(|name| c(name)).collect();
    let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let cells = covariates.values().flat_map(|z| z.as_array().unwrap());
    let cells: Vec<f64> = cells.map(|x| x.as_f64().unwrap()).collect();
    let (money, gaps, weights) = (
        column("monetary_value"),
        column("log_gaps"),
        column("weights"),
    );
    let unit_days = inputs
        .0
        .get("unit_days")
        .map_or(1.0, |x| x.as_f64().unwrap());
    // SAFETY: arrays hold `rows` values, there is a column per name, and texts end in NUL.
    handle(churn_buyers_free, |out, error| unsafe {
        churn_buyers_from_columns(
            start(&frequency),
            start(&recency),
            start(&age),
            start(&money),
            start(&gaps),
            start(&weights),
            rows,
            unit_days,
            names.as_ptr(),
            cells.as_ptr(),
            names.len(),
            out,
            error,
        )
    })
}

/// The model with the parameters of a case, which C reads as JSON.
fn model(inputs: &Inputs) -> Answer<Handle<churn_lifetime>> {
    let given = |name: &str, other: Value| inputs.0.get(name).cloned().unwrap_or(other);
    let text = json!({
        "version": 1,
        "family": inputs.field("family"),
        "regularity": given("regularity", json!(1)),
        "purchase_covariates": [],
        "dropout_covariates": [],
        "unit_days": given("unit_days", json!(1.0)),
        "parameters": inputs.field("parameters"),
        "estimate": null,
    });
    let text = c(&text.to_string());
    // SAFETY: the text ends in NUL.
    handle(churn_lifetime_free, |out, error| unsafe {
        churn_lifetime_from_json(text.as_ptr(), out, error)
    })
}

fn spend_of(parameters: &Value) -> Answer<Handle<churn_spend>> {
    let [p, q, gamma] = [0, 1, 2].map(|i| parameters[i].clone());
    let text = c(&json!({
        "version": 1, "p": p, "q": q, "gamma": gamma, "left_out": 0,
        "frequency_correlation": null, "estimate": null,
    })
    .to_string());
    // SAFETY: the text ends in NUL.
    handle(churn_spend_free, |out, error| unsafe {
        churn_spend_from_json(text.as_ptr(), out, error)
    })
}

/// Parameters and certificate as the files name them.
fn estimated(report: &CString) -> Value {
    let report = parse(report.to_str().unwrap());
    let fitted = report["estimate"]["parameters"].as_array().unwrap();
    let of = |name: &str| fitted.iter().map(|p| p[name].clone()).collect::<Value>();
    json!({
        "parameters": of("value"),
        "standard_errors": of("standard_error"),
        "log_likelihood": report["estimate"]["log_likelihood"],
    })
}

fn answer(operation: &str, inputs: &Inputs) -> Answer<Value> {
    match operation {
        "errors" => {
            let inner = Inputs(inputs.field("inputs").as_object().unwrap().clone());
            let failed = answer(inputs.text("operation"), &inner);
            let mut error = failed.expect_err("the operation should fail");
            error.as_object_mut().unwrap().remove("line");
            Ok(error)
        }
        "lifetime.answers" => {
            let (model, buyers) = (model(inputs)?, buyers(inputs)?);
            let (horizon, most) = (
                inputs.field("horizon").as_f64().unwrap(),
                whole(inputs, "most"),
            );
            // SAFETY: handles are alive.
            let found = table(|out, error| unsafe {
                churn_lifetime_answers(model.0, buyers.0, horizon, 0.0, most, out, error)
            })?;
            let of = |name: &str| match name {
                "purchases" => (0..=most)
                    .map(|n| column(&found, &format!("purchases_{n}")))
                    .collect(),
                name => column(&found, name),
            };
            let names = inputs.field("answers").as_array().unwrap().iter();
            let names = names.map(|name| name.as_str().unwrap());
            Ok(Value::Object(
                names.map(|name| (name.to_owned(), of(name))).collect(),
            ))
        }
        "lifetime.fit" => fit(inputs),
        "lifetime.spend" => spend(inputs),
        "lifetime.value" => {
            let (model, spend) = (model(inputs)?, spend_of(inputs.field("spend"))?);
            let (buyers, settings) = (buyers(inputs)?, inputs.settings("value"));
            // SAFETY: handles are alive, the settings are NULL or end in NUL.
            let found = table(|out, error| unsafe {
                let settings = pointer(&settings);
                churn_lifetime_value(model.0, spend.0, buyers.0, settings, 0.0, out, error)
            })?;
            Ok(json!({"customer_value": column(&found, "customer_value")}))
        }
        "lifetime.bg_bb" => bg_bb(inputs),
        "lifetime.renewals" => renewals(inputs),
        "lifetime.running" => running(inputs),
        "lifetime.holdout" => holdout(inputs),
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn fit(inputs: &Inputs) -> Answer<Value> {
    let (buyers, settings) = (buyers(inputs)?, inputs.settings("lifetime"));
    // SAFETY: handles are alive, texts are NULL or end in NUL.
    unsafe {
        let model = handle(churn_lifetime_free, |out, error| {
            churn_lifetime_fit(buyers.0, pointer(&settings), ptr::null(), out, error)
        })?;
        let json = words(|out, error| churn_lifetime_to_json(model.0, out, error))?;
        let again = handle(churn_lifetime_free, |out, error| {
            churn_lifetime_from_json(json.as_ptr(), out, error)
        })?;
        let report = words(|out, error| churn_lifetime_report(again.0, out, error))?;
        let mut found = estimated(&report);
        found["regularity"] = parse(report.to_str().unwrap())["regularity"].clone();
        if let Some(asked) = inputs.0.get("interval") {
            let [horizon, level] = ["horizon", "level"].map(|name| asked[name].as_f64().unwrap());
            let all = table(|out, error| {
                churn_lifetime_answers(model.0, buyers.0, horizon, level, 0, out, error)
            })?;
            let of = |name: &str| -> Value {
                let rows = asked["rows"].as_array().unwrap();
                let chosen = |column: Value| -> Value {
                    rows.iter()
                        .map(|row| column[row.as_u64().unwrap() as usize].clone())
                        .collect()
                };
                let ends = ["", "_lower", "_upper"].iter();
                ends.map(|end| chosen(column(&all, &format!("{name}{end}"))))
                    .collect()
            };
            found["alive_interval"] = of("probability_alive");
            found["purchases_interval"] = of("expected_purchases");
        }
        Ok(found)
    }
}

fn spend(inputs: &Inputs) -> Answer<Value> {
    let buyers = buyers(inputs)?;
    let settings = inputs.settings("gamma_gamma");
    // SAFETY: handles are alive, texts are NULL or end in NUL.
    unsafe {
        let model = match inputs.0.get("parameters") {
            Some(parameters) => spend_of(parameters)?,
            None => handle(churn_spend_free, |out, error| {
                churn_spend_fit(buyers.0, pointer(&settings), ptr::null(), out, error)
            })?,
        };
        let json = words(|out, error| churn_spend_to_json(model.0, out, error))?;
        let again = handle(churn_spend_free, |out, error| {
            churn_spend_from_json(json.as_ptr(), out, error)
        })?;
        let report = words(|out, error| churn_spend_report(again.0, out, error))?;
        let told = parse(report.to_str().unwrap());
        let mut found = json!({});
        if inputs.0.get("parameters").is_none() {
            found = estimated(&report);
            found["left_out"] = told["left_out"].clone();
        }
        let each = table(|out, error| churn_spend_answers(again.0, buyers.0, out, error))?;
        found["population_mean"] = told["population_mean"].clone();
        found["expected_spend"] = column(&each, "expected_spend");
        Ok(found)
    }
}

fn bg_bb(inputs: &Inputs) -> Answer<Value> {
    let (buyers, ahead) = (buyers(inputs)?, whole(inputs, "ahead"));
    let settings = inputs.settings("bg_bb");
    // SAFETY: handles are alive, texts are NULL or end in NUL.
    unsafe {
        let model = match inputs.0.get("parameters") {
            Some(parameters) => {
                let text = json!({"version": 1, "parameters": parameters, "estimate": null});
                let text = c(&text.to_string());
                handle(churn_bg_bb_free, |out, error| {
                    churn_bg_bb_from_json(text.as_ptr(), out, error)
                })?
            }
            None => handle(churn_bg_bb_free, |out, error| {
                churn_bg_bb_fit(buyers.0, pointer(&settings), out, error)
            })?,
        };
        let json = words(|out, error| churn_bg_bb_to_json(model.0, out, error))?;
        let again = handle(churn_bg_bb_free, |out, error| {
            churn_bg_bb_from_json(json.as_ptr(), out, error)
        })?;
        let mut found = match inputs.0.get("parameters") {
            Some(_) => json!({}),
            None => estimated(&words(|out, error| {
                churn_bg_bb_report(again.0, out, error)
            })?),
        };
        let all = table(|out, error| churn_bg_bb_answers(again.0, buyers.0, ahead, out, error))?;
        for name in [
            "probability_alive",
            "expected_purchases",
            "no_purchase_probability",
        ] {
            found[name] = column(&all, name);
        }
        Ok(found)
    }
}

fn renewals(inputs: &Inputs) -> Answer<Value> {
    let settings = inputs.settings("beta_geometric");
    let made = list(inputs, "renewals").unwrap();
    let (ahead, rate) = (
        whole(inputs, "ahead"),
        inputs.field("rate").as_f64().unwrap(),
    );
    // SAFETY: arrays hold as many values as is said, texts are NULL or end in NUL.
    unsafe {
        let model = match list(inputs, "survivors") {
            Some(survivors) => handle(churn_renewals_free, |out, error| {
                let (cells, settings) = (survivors.as_ptr(), pointer(&settings));
                churn_renewals_fit_survivors(cells, survivors.len(), settings, out, error)
            })?,
            None => {
                let duration = list(inputs, "duration").unwrap();
                let churned = inputs.field("churned").as_array().unwrap().iter();
                let churned: Vec<u8> = churned.map(|c| u8::from(c.as_bool().unwrap())).collect();
                handle(churn_renewals_free, |out, error| {
                    let (cells, flags) = (duration.as_ptr(), churned.as_ptr());
                    churn_renewals_fit(cells, flags, duration.len(), pointer(&settings), out, error)
                })?
            }
        };
        let json = words(|out, error| churn_renewals_to_json(model.0, out, error))?;
        let again = handle(churn_renewals_free, |out, error| {
            churn_renewals_from_json(json.as_ptr(), out, error)
        })?;
        let mut found = estimated(&words(|out, error| {
            churn_renewals_report(again.0, out, error)
        })?);
        let mut cells = vec![0.0; made.len()];
        call(|error| {
            let room = cells.as_mut_ptr();
            churn_renewals_survival(again.0, made.as_ptr(), made.len(), ahead, room, error)
        })?;
        found["survival"] = json!(cells);
        call(|error| {
            let room = cells.as_mut_ptr();
            churn_renewals_discounted(again.0, made.as_ptr(), made.len(), rate, room, error)
        })?;
        found["discounted_renewals"] = json!(cells);
        Ok(found)
    }
}

fn running(inputs: &Inputs) -> Answer<Value> {
    let (settings, as_of) = (inputs.settings("summary"), c(inputs.text("as_of")));
    let orders = inputs.field("orders").as_array().unwrap();
    let time = |order: &Value| c(order[0].as_str().unwrap());
    let first = time(&orders[0]);
    // SAFETY: handles are alive, texts are NULL or end in NUL, there is room for five numbers.
    unsafe {
        let mut one = handle(churn_running_summary_free, |out, error| {
            churn_running_summary_new(first.as_ptr(), pointer(&settings), out, error)
        })?;
        for order in &orders[1..] {
            let stored = handle(churn_bytes_free, |out, error| {
                churn_running_summary_to_json(one.0, out, error)
            })?;
            let bytes = slice(churn_bytes_data(stored.0), churn_bytes_len(stored.0));
            let text = c(std::str::from_utf8(bytes).unwrap());
            one = handle(churn_running_summary_free, |out, error| {
                churn_running_summary_from_json(text.as_ptr(), out, error)
            })?;
            let (time, value) = (time(order), order[1].as_f64().unwrap());
            call(|error| churn_running_summary_add(one.0, time.as_ptr(), value, error))?;
        }
        let mut row = [0.0; 5];
        call(|error| churn_running_summary_row(one.0, as_of.as_ptr(), row.as_mut_ptr(), error))?;
        let names = ["frequency", "recency", "age", "monetary_value", "log_gaps"];
        let pairs = names.iter().zip(row);
        Ok(pairs.map(|(n, x)| ((*n).to_owned(), json!(x))).collect())
    }
}

fn holdout(inputs: &Inputs) -> Answer<Value> {
    let (log, settings) = (inputs.log()?, inputs.settings("summary"));
    let (as_of, later) = (c(inputs.text("as_of")), c(inputs.text("later")));
    // SAFETY: handles are alive, texts are NULL or end in NUL.
    unsafe {
        let summary = handle(churn_summary_free, |out, error| {
            let settings = pointer(&settings);
            churn_summary_build(log.0, as_of.as_ptr(), settings, ptr::null(), out, error)
        })?;
        let after = table(|out, error| {
            let settings = pointer(&settings);
            churn_summary_holdout(summary.0, log.0, later.as_ptr(), settings, out, error)
        })?;
        let facts = parse(str(churn_analysis_facts(after.0)));
        Ok(json!({
            "customers": ids(churn_summary_customers(summary.0)),
            "frequency": column(&after, "frequency"),
            "monetary_value": column(&after, "monetary_value"),
            "duration": facts["duration"],
        }))
    }
}

/// Ids of text.
///
/// # Safety
/// The customers are alive.
unsafe fn ids(customers: *const churn_customers) -> Value {
    // SAFETY: as the caller says; a text id has the length that stands beside it.
    unsafe {
        let rows = 0..churn_customers_len(customers);
        let id = |row| -> Value {
            let (mut text, mut length) = (ptr::null(), 0);
            call(|error| churn_customers_text(customers, row, &mut text, &mut length, error))
                .expect("an id of text");
            let bytes = slice(text.cast::<u8>(), length);
            json!(std::str::from_utf8(bytes).unwrap())
        };
        rows.map(id).collect()
    }
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
fn all_golden_files_hold_in_c() {
    let folder = "../churn-core/tests/golden/lifetime";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let golden = parse(&fs::read_to_string(&path).unwrap());
        let operation = golden["operation"].as_str().unwrap().to_owned();
        let shared = golden.get("inputs").and_then(Value::as_object);
        for case in golden["cases"].as_array().unwrap() {
            let mut inputs = shared.cloned().unwrap_or_default();
            inputs.extend(case["inputs"].as_object().unwrap().clone());
            let place = format!("{operation}: {}: ", case["name"]);
            let tolerance = case["tolerance"].as_f64().unwrap();
            let got = answer(&operation, &Inputs(inputs)).unwrap_or_else(|error| error);
            failures.extend(difference(&place, &case["expected"], &got, tolerance));
        }
        seen.insert(operation);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), OPERATIONS.each_ref());
}
