//! Replays `golden/evaluation/*.json`, the numbers of experiments and uplift that all
//! languages must agree on.

use std::fs;
use std::path::Path;

use churn_core::evaluation::experiment::{Arms, ComparisonSettings, Outcome, compare};
use churn_core::metrics::uplift::{Cuts, UpliftAtK, uplift_at_k};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{Column, Frame, MISSING_LEVEL};
use churn_core::scoring::uplift::{Uplift, UpliftData, UpliftModel};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct File {
    operation: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    inputs: Value,
    expected: Value,
    tolerance: f64,
}

fn get<T: serde::de::DeserializeOwned + Default>(inputs: &Value, name: &str) -> T {
    inputs
        .get(name)
        .map_or_else(T::default, |v| serde_json::from_value(v.clone()).unwrap())
}

fn experiment(inputs: &Value) -> Value {
    let arm: Vec<String> = get(inputs, "arm");
    let arms = Arms::new(&arm, &get::<String>(inputs, "control")).unwrap();
    let outcome: Vec<f64> = get(inputs, "outcome");
    let covariates: Vec<Vec<f64>> = get(inputs, "covariates");
    let covariates: Vec<&[f64]> = covariates.iter().map(Vec::as_slice).collect();
    let kind: Outcome = serde_json::from_value(inputs["kind"].clone()).unwrap();
    let settings: ComparisonSettings = get(inputs, "settings");
    let comparison = compare(&arms, &outcome, kind, &covariates, &settings).unwrap();
    serde_json::to_value(comparison).unwrap()
}

fn uplift(inputs: &Value, expected: &Value) -> Value {
    let score: Vec<f64> = get(inputs, "score");
    let treated: Vec<bool> = get(inputs, "treated");
    let outcome: Vec<f64> = get(inputs, "outcome");
    let cuts = Cuts::new(&score, &treated, &outcome).unwrap();
    let mut answer = json!({
        "qini_curve": cuts.qini_curve(),
        "gain_curve": cuts.gain_curve(),
        "qini_sklift": cuts.qini_sklift(true).unwrap(),
        "qini_sklift_without_negative_effects": cuts.qini_sklift(false).unwrap(),
        "auuc_sklift": cuts.auuc_sklift().unwrap(),
        "qini_radcliffe": cuts.qini_radcliffe(),
    });
    // The peers break ties by the order of rows here, so that these stand in files without ties.
    if expected.get("qini_causalml").is_some() {
        let first = |strategy| uplift_at_k(&score, &treated, &outcome, 0.3, strategy).unwrap();
        answer["qini_causalml"] = cuts.qini_causalml().unwrap().into();
        answer["auuc_causalml"] = cuts.auuc_causalml().unwrap().into();
        answer["uplift_at_30_overall"] = first(UpliftAtK::Overall).into();
        answer["uplift_at_30_by_group"] = first(UpliftAtK::ByGroup).into();
    }
    answer
}

/// Numbers, or texts where a cell is one.
fn frame(columns: &Value) -> Frame<'static> {
    let columns = columns.as_object().unwrap().iter();
    let column = |cells: &Value| {
        let cells = cells.as_array().unwrap();
        if !cells.iter().any(Value::is_string) {
            let numbers = cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN));
            return Column::Numeric(numbers.collect::<Vec<f64>>().into());
        }
        let mut levels: Vec<String> = Vec::new();
        let mut code = |cell: &Value| {
            let Some(text) = cell.as_str() else {
                return MISSING_LEVEL;
            };
            let known = levels.iter().position(|level| level == text);
            known.unwrap_or_else(|| {
                levels.push(text.to_owned());
                levels.len() - 1
            }) as u32
        };
        let codes: Vec<u32> = cells.iter().map(&mut code).collect();
        Column::Categorical {
            codes: codes.into(),
            levels: levels.into(),
        }
    };
    let columns = columns.map(|(name, cells)| (name.clone(), column(cells)));
    Frame::new(columns.collect()).unwrap()
}

fn effects(model: &UpliftModel, frame: &Frame<'_>) -> Value {
    let told = model.predict(frame).unwrap();
    let mut answer = json!({ "effect": told.effect });
    if let Some(errors) = told.standard_error {
        answer["standard_error"] = errors.into();
    }
    answer
}

fn fitted(inputs: &Value) -> Value {
    let frame = frame(&inputs["columns"]);
    let propensity: Option<Vec<f64>> = get(inputs, "propensity");
    let data = UpliftData {
        frame: &frame,
        treatment: &get::<Vec<u32>>(inputs, "treatment"),
        outcome: &get::<Vec<f64>>(inputs, "outcome"),
        propensity: propensity.as_deref(),
    };
    let settings: Uplift = get(inputs, "settings");
    let model = settings.fit(&data, &Progress::none()).unwrap();
    effects(&model, &frame)
}

fn saved(inputs: &Value) -> Value {
    let text: String = get(inputs, "model");
    let pairs = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect();
    let model = UpliftModel::from_bytes(&bytes).unwrap();
    assert!(
        model.to_bytes().unwrap() == bytes,
        "written otherwise than read"
    );
    effects(&model, &frame(&inputs["columns"]))
}

fn differences(path: &str, expected: &Value, got: &Value, tolerance: f64, out: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            for name in e.keys().chain(g.keys().filter(|k| !e.contains_key(*k))) {
                match (e.get(name), g.get(name)) {
                    (Some(e), Some(g)) => {
                        differences(&format!("{path}.{name}"), e, g, tolerance, out)
                    }
                    _ => out.push(format!("{path}.{name}: on one side only")),
                }
            }
        }
        (Value::Array(e), Value::Array(g)) if e.len() == g.len() => {
            for (i, (e, g)) in e.iter().zip(g).enumerate() {
                differences(&format!("{path}[{i}]"), e, g, tolerance, out);
            }
        }
        (Value::Number(e), Value::Number(g)) => {
            let (e, g) = (e.as_f64().unwrap(), g.as_f64().unwrap());
            let close = (e - g).abs() <= tolerance * e.abs().max(1.0);
            if !close {
                out.push(format!("{path}: {g} instead of {e}"));
            }
        }
        (e, g) if e == g => {}
        (e, g) => out.push(format!("{path}: {g} instead of {e}")),
    }
}

#[test]
fn all_files_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/evaluation");
    let mut replayed = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let file: File = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for case in file.cases {
            let got = match file.operation.as_str() {
                "experiment.compare" => experiment(&case.inputs),
                "metrics.uplift" => uplift(&case.inputs, &case.expected),
                "uplift.model" => fitted(&case.inputs),
                "uplift.saved" => saved(&case.inputs),
                other => panic!("no handler for {other}"),
            };
            differences(&case.name, &case.expected, &got, case.tolerance, &mut wrong);
            replayed += 1;
        }
    }
    assert!(replayed >= 12, "only {replayed} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
