//! Replays the golden files of learned models (see `churn-core/tests/golden/README.md`) through the
//! exported C functions alone.

#[allow(dead_code, reason = "golden.rs uses the rest")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::{fs, ptr};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use churn::analysis::*;
use churn::bytes::*;
use churn::model::*;
use churn_core::arrow::batch_stream;
use serde_json::{Map, Value, json};
use support::*;

/// The columns of a case, in order of name, with the labels if there are any.
fn stream(columns: &Value, target: Option<&Value>) -> FFI_ArrowArrayStream {
    let array = |cells: &Value| -> ArrayRef {
        let cells = cells.as_array().unwrap();
        if cells.iter().any(Value::is_string) {
            Arc::new(cells.iter().map(Value::as_str).collect::<StringArray>())
        } else {
            Arc::new(cells.iter().map(Value::as_f64).collect::<Float64Array>())
        }
    };
    let columns = columns.as_object().unwrap().iter();
    let mut fields: Vec<(String, ArrayRef, bool)> = columns
        .map(|(name, cells)| (name.clone(), array(cells), true))
        .collect();
    if let Some(target) = target {
        fields.push(("label of the case".to_owned(), array(target), true));
    }
    batch_stream(RecordBatch::try_from_iter_with_nullable(fields).unwrap())
}

type Model = Handle<churn_model>;

fn load(bytes: &[u8]) -> Answer<Model> {
    // SAFETY: the bytes stand still during the call, outputs are places of `handle`.
    handle(churn_model_free, |out, error| unsafe {
        churn_model_from_bytes(bytes.as_ptr(), bytes.len(), out, error)
    })
}

fn fitted(inputs: &Map<String, Value>) -> Answer<Model> {
    let mut rows = stream(&inputs["columns"], Some(&inputs["target"]));
    let settings = c(&inputs["settings"].to_string());
    // SAFETY: the stream is valid, texts end in NUL, outputs are places of `handle`.
    let model = handle(churn_model_free, |out, error| unsafe {
        let label = c"label of the case".as_ptr();
        churn_model_fit(&mut rows, label, settings.as_ptr(), ptr::null(), out, error)
    })?;
    // SAFETY: the model is alive.
    let bytes = handle(churn_bytes_free, |out, error| unsafe {
        churn_model_to_bytes(model.0, out, error)
    })?;
    // SAFETY: the bytes belong to the handle, which lives to the end of this function.
    load(unsafe { slice(churn_bytes_data(bytes.0), churn_bytes_len(bytes.0)) })
}

fn told(model: &Model, columns: &Value) -> Answer<Value> {
    let mut rows = stream(columns, None);
    // SAFETY: the model is alive, the stream is valid.
    let told = handle(churn_analysis_free, |out, error| unsafe {
        churn_model_explain(model.0, &mut rows, out, error)
    })?;
    // SAFETY: the model is alive.
    let report = handle(churn_analysis_free, |out, error| unsafe {
        churn_model_report(model.0, out, error)
    })?;
    let column = |name: &str| -> Answer<Value> {
        let name = c(name);
        // SAFETY: the analysis is alive, the name ends in NUL.
        let numbers = output(ptr::null(), |out, error| unsafe {
            churn_analysis_numbers(told.0, name.as_ptr(), out, error)
        })?;
        // SAFETY: there is a number per row, and they belong to the analysis.
        Ok(json!(unsafe { slice(numbers, churn_analysis_len(told.0)) }))
    };
    // SAFETY: both analyses are alive, and so are their texts.
    let facts = |table: *const churn_analysis| parse(unsafe { str(churn_analysis_facts(table)) });
    let mut points = Map::new();
    // Columns that the model has not seen have no points.
    for name in columns.as_object().unwrap().keys() {
        if let Ok(cells) = column(&format!("points_{name}")) {
            points.insert(name.clone(), cells);
        }
    }
    Ok(json!({
        "probabilities": column("churn_probability")?,
        "base_points": facts(told.0)["base_points"],
        "points": points,
        "roc_auc": facts(report.0)["roc_auc"],
        "log_loss": facts(report.0)["log_loss"],
    }))
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn near(place: &str, expected: &Value, got: &Value, tolerance: f64) {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            assert_eq!(
                e.keys().collect::<Vec<_>>(),
                g.keys().collect::<Vec<_>>(),
                "{place}"
            );
            e.iter()
                .for_each(|(k, e)| near(&format!("{place}.{k}"), e, &g[k], tolerance));
        }
        (Value::Array(e), Value::Array(g)) => {
            assert_eq!(e.len(), g.len(), "{place}");
            for (i, (e, g)) in e.iter().zip(g).enumerate() {
                near(&format!("{place}[{i}]"), e, g, tolerance);
            }
        }
        _ => {
            let (e, g) = (expected.as_f64().unwrap(), got.as_f64().unwrap());
            assert!(
                (e - g).abs() <= tolerance * e.abs().max(1.0),
                "{place}: {e} {g}"
            );
        }
    }
}

#[test]
fn models_say_the_same_through_c() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden/learned");
    for file in [
        "learned_model.json",
        "learned_saved.json",
        "learned_witness.json",
    ] {
        let golden = parse(&fs::read_to_string(folder.join(file)).unwrap());
        for case in golden["cases"].as_array().unwrap() {
            let inputs = case["inputs"].as_object().unwrap();
            let model = match inputs.get("model") {
                None => fitted(inputs),
                Some(model) => load(&hex(model.as_str().unwrap())),
            };
            let answer = told(&model.unwrap_or_else(|e| panic!("{e}")), &inputs["columns"]);
            let answer = answer.unwrap_or_else(|e| panic!("{e}"));
            let place = format!("{file}: {}", case["name"]);
            near(
                &place,
                &case["expected"],
                &answer,
                case["tolerance"].as_f64().unwrap(),
            );
        }
    }
}
