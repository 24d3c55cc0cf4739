//! Replays the golden files of experiments and uplift (see `churn-core/tests/golden/README.md`)
//! through the exported C functions alone.

#[allow(dead_code, reason = "golden.rs uses the rest")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::{fs, ptr};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use churn::analysis::*;
use churn::bytes::*;
use churn::evaluation::*;
use churn::rankings::*;
use churn::uplift::*;
use churn_core::arrow::batch_stream;
use serde_json::{Map, Value, json};
use support::*;

type Model = Handle<churn_uplift_model>;

fn numbers(cells: &Value) -> Vec<f64> {
    let cells = cells.as_array().unwrap().iter();
    cells.map(|cell| cell.as_f64().unwrap()).collect()
}

fn told(bytes: &Handle<churn_bytes>) -> Value {
    // SAFETY: the bytes belong to the handle, which is alive.
    let bytes = unsafe { slice(churn_bytes_data(bytes.0), churn_bytes_len(bytes.0)) };
    serde_json::from_slice(bytes).unwrap()
}

fn experiment(inputs: &Map<String, Value>) -> Answer<Value> {
    let control = inputs["control"].as_str().unwrap();
    let arm = inputs["arm"].as_array().unwrap();
    let mut names: Vec<&str> = arm.iter().map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name != control);
    names.insert(0, control);
    let code = |name: &Value| names.iter().position(|known| name == known).unwrap() as u32;
    let codes: Vec<u32> = arm.iter().map(code).collect();
    let texts: Vec<_> = names.iter().map(|name| c(name)).collect();
    let texts: Vec<_> = texts.iter().map(|name| name.as_ptr()).collect();
    let outcome = numbers(&inputs["outcome"]);
    let covariates = inputs.get("covariates").map(|columns| {
        let columns = columns.as_array().unwrap();
        (columns.len(), columns.iter().flat_map(numbers).collect())
    });
    let (count, cells): (usize, Vec<f64>) = covariates.unwrap_or_default();
    let kind = c(inputs["kind"].as_str().unwrap());
    let settings = c(&inputs["settings"].to_string());
    // SAFETY: the arrays hold as many values as their counts say, texts end in NUL.
    let answer = handle(churn_bytes_free, |out, error| unsafe {
        churn_compare_arms(
            codes.as_ptr(),
            outcome.as_ptr(),
            outcome.len(),
            texts.as_ptr(),
            texts.len(),
            kind.as_ptr(),
            cells.as_ptr(),
            count,
            settings.as_ptr(),
            out,
            error,
        )
    })?;
    Ok(told(&answer))
}

fn ranking(inputs: &Map<String, Value>, expected: &Value) -> Answer<Value> {
    let (score, outcome) = (numbers(&inputs["score"]), numbers(&inputs["outcome"]));
    let treated = inputs["treated"].as_array().unwrap().iter();
    let treated: Vec<u8> = treated.map(|t| u8::from(t.as_bool().unwrap())).collect();
    let (rows, share) = (score.len(), 0.3);
    // SAFETY: the arrays hold `rows` values.
    let metrics = handle(churn_bytes_free, |out, error| unsafe {
        churn_uplift_metrics(
            score.as_ptr(),
            treated.as_ptr(),
            outcome.as_ptr(),
            rows,
            share,
            30,
            out,
            error,
        )
    })?;
    let curve = |kind: &str| -> Answer<Value> {
        let kind = c(kind);
        // SAFETY: the arrays hold `rows` values, the text ends in NUL.
        let curve = handle(churn_analysis_free, |out, error| unsafe {
            churn_uplift_curve(
                score.as_ptr(),
                treated.as_ptr(),
                outcome.as_ptr(),
                rows,
                kind.as_ptr(),
                out,
                error,
            )
        })?;
        let points = column(&curve, "units")?
            .into_iter()
            .zip(column(&curve, "height")?)
            .map(|(units, height)| json!([units, height]));
        Ok(points.collect())
    };
    let metrics = told(&metrics);
    let mut answer = Map::new();
    for name in expected.as_object().unwrap().keys() {
        let value = match name.as_str() {
            "qini_curve" => curve("qini")?,
            "gain_curve" => curve("gain")?,
            "uplift_at_30_overall" => metrics["uplift_at_k_overall"].clone(),
            "uplift_at_30_by_group" => metrics["uplift_at_k_by_group"].clone(),
            name => metrics[name].clone(),
        };
        answer.insert(name.clone(), value);
    }
    Ok(answer.into())
}

fn column(table: &Handle<churn_analysis>, name: &str) -> Answer<Vec<f64>> {
    let name = c(name);
    // SAFETY: the analysis is alive, the name ends in NUL.
    let numbers = output(ptr::null(), |out, error| unsafe {
        churn_analysis_numbers(table.0, name.as_ptr(), out, error)
    })?;
    // SAFETY: there is a number per row, and they belong to the analysis.
    Ok(unsafe { slice(numbers, churn_analysis_len(table.0)) }.to_vec())
}

/// The columns of a case, and how many rows they have.
fn stream(columns: &Value) -> (FFI_ArrowArrayStream, usize) {
    let array = |cells: &Value| -> ArrayRef {
        let cells = cells.as_array().unwrap();
        if cells.iter().any(Value::is_string) {
            Arc::new(cells.iter().map(Value::as_str).collect::<StringArray>())
        } else {
            Arc::new(cells.iter().map(Value::as_f64).collect::<Float64Array>())
        }
    };
    let columns = columns.as_object().unwrap().iter();
    let fields = columns.map(|(name, cells)| (name.clone(), array(cells), true));
    let batch = RecordBatch::try_from_iter_with_nullable(fields).unwrap();
    let rows = batch.num_rows();
    (batch_stream(batch), rows)
}

fn load(bytes: &[u8]) -> Answer<Model> {
    // SAFETY: the bytes stand still during the call, outputs are places of `handle`.
    handle(churn_uplift_model_free, |out, error| unsafe {
        churn_uplift_model_from_bytes(bytes.as_ptr(), bytes.len(), out, error)
    })
}

/// Fitted, written and read again.
fn fitted(inputs: &Map<String, Value>) -> Answer<Model> {
    let (mut rows, _) = stream(&inputs["columns"]);
    let treatment = numbers(&inputs["treatment"]).into_iter();
    let treatment: Vec<u32> = treatment.map(|arm| arm as u32).collect();
    let outcome = numbers(&inputs["outcome"]);
    let propensity = inputs.get("propensity").map(numbers);
    let settings = c(&inputs["settings"].to_string());
    // SAFETY: the stream is valid, the arrays hold as many values as it has rows (times arms).
    let model = handle(churn_uplift_model_free, |out, error| unsafe {
        churn_uplift_fit(
            &mut rows,
            treatment.as_ptr(),
            outcome.as_ptr(),
            propensity.as_ref().map_or(ptr::null(), Vec::as_ptr),
            settings.as_ptr(),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: the model is alive.
    let bytes = handle(churn_bytes_free, |out, error| unsafe {
        churn_uplift_model_to_bytes(model.0, out, error)
    })?;
    // SAFETY: the bytes belong to the handle, which lives to the end of this function.
    load(unsafe { slice(churn_bytes_data(bytes.0), churn_bytes_len(bytes.0)) })
}

fn effects(model: &Model, columns: &Value, expected: &Value) -> Answer<Value> {
    let (mut asked, rows) = stream(columns);
    // SAFETY: the model is alive.
    let cells = rows * unsafe { churn_uplift_model_treatments(model.0) };
    let (mut effect, mut error_of) = (vec![0.0; cells], vec![0.0; cells]);
    // SAFETY: the model is alive, the stream is valid, there is room for a number per cell.
    let counted = output(0, |out, error| unsafe {
        churn_uplift_predict(
            model.0,
            &mut asked,
            effect.as_mut_ptr(),
            error_of.as_mut_ptr(),
            cells,
            out,
            error,
        )
    })?;
    assert_eq!(counted, rows);
    let mut answer = json!({ "effect": effect });
    if expected.get("standard_error").is_some() {
        answer["standard_error"] = error_of.into();
    }
    Ok(answer)
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn near(place: &str, expected: &Value, got: &Value, tolerance: f64) {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(e), names(g), "{place}");
            e.iter()
                .for_each(|(k, e)| near(&format!("{place}.{k}"), e, &g[k], tolerance));
        }
        (Value::Array(e), Value::Array(g)) => {
            assert_eq!(e.len(), g.len(), "{place}");
            for (i, (e, g)) in e.iter().zip(g).enumerate() {
                near(&format!("{place}[{i}]"), e, g, tolerance);
            }
        }
        (Value::Number(e), Value::Number(g)) => {
            let (e, g) = (e.as_f64().unwrap(), g.as_f64().unwrap());
            let close = (e - g).abs() <= tolerance * e.abs().max(1.0);
            assert!(close, "{place}: {e} {g}");
        }
        (e, g) => assert_eq!(e, g, "{place}"),
    }
}

#[test]
fn experiments_and_uplift_say_the_same_through_c() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden");
    let mut replayed = 0;
    for entry in fs::read_dir(golden.join("evaluation")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let file = parse(&fs::read_to_string(&path).unwrap());
        for case in file["cases"].as_array().unwrap() {
            let (inputs, expected) = (case["inputs"].as_object().unwrap(), &case["expected"]);
            let answer = match file["operation"].as_str().unwrap() {
                "experiment.compare" => experiment(inputs),
                "metrics.uplift" => ranking(inputs, expected),
                "uplift.model" => {
                    fitted(inputs).and_then(|model| effects(&model, &inputs["columns"], expected))
                }
                "uplift.saved" => load(&hex(inputs["model"].as_str().unwrap()))
                    .and_then(|model| effects(&model, &inputs["columns"], expected)),
                other => panic!("no handler for {other}"),
            };
            let answer = answer.unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
            let tolerance = case["tolerance"].as_f64().unwrap();
            near(&case["name"].to_string(), expected, &answer, tolerance);
            replayed += 1;
        }
    }
    assert!(replayed >= 12, "only {replayed} cases");
}
