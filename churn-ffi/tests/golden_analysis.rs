//! Replays the golden files of survival and behavior (see `churn-core/tests/golden/README.md`)
//! through the exported C functions alone.

#[allow(dead_code, reason = "golden.rs uses the rest")]
mod support;

use std::collections::BTreeSet;
use std::ffi::{CString, c_char};
use std::path::Path;
use std::{fs, ptr};

use churn::analysis::*;
use churn::behavior::*;
use churn::error::{churn_error, churn_status};
use churn::survival::*;
use serde_json::{Map, Value, json};
use support::*;

/// Operations that C has; the errors of the core have other rows in C where arrays cannot be null.
const OPERATIONS: [&str; 10] = [
    "behavior.lifecycle",
    "behavior.retention",
    "behavior.stickiness",
    "errors",
    "survival.brier",
    "survival.cox",
    "survival.kaplan_meier",
    "survival.log_rank",
    "survival.nelson_aalen",
    "survival.weibull_aft",
];

type Table = Handle<churn_analysis>;
type Place = *mut *mut churn_analysis;
type Error = *mut *mut churn_error;

fn table(call: impl FnOnce(Place, Error) -> churn_status) -> Answer<Table> {
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

fn flags(table: &Table, name: &str) -> Vec<bool> {
    let cells = column(table, name);
    let cells = cells.as_array().unwrap().iter();
    cells.map(|cell| cell.as_f64() == Some(1.0)).collect()
}

fn facts(table: &Table) -> Value {
    // SAFETY: the table is alive, and so is its text.
    parse(unsafe { str(churn_analysis_facts(table.0)) })
}

/// A column of texts, read from the exported stream.
fn texts(table: &Table, name: &str) -> Vec<String> {
    use arrow_array::cast::AsArray;
    use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
    let mut stream = FFI_ArrowArrayStream::empty();
    // SAFETY: the table is alive, the stream is a local place.
    call(|error| unsafe { churn_analysis_export(table.0, &mut stream, error) }).unwrap();
    let batch = RecordBatchStreamReader::try_new(stream)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Spells as C hands them over.
struct Spells {
    durations: Vec<f64>,
    events: Vec<u8>,
    entry: Option<Vec<f64>>,
    names: Vec<CString>,
    covariates: Vec<f64>,
    strata: Option<Vec<u32>>,
}

fn list(inputs: &Inputs, name: &str) -> Option<Vec<f64>> {
    let cells = inputs.0.get(name)?.as_array().unwrap().iter();
    Some(cells.map(|x| x.as_f64().unwrap_or(f64::NAN)).collect())
}

fn codes(inputs: &Inputs, name: &str) -> Option<Vec<u32>> {
    Some(list(inputs, name)?.iter().map(|x| *x as u32).collect())
}

fn start<T>(array: &Option<Vec<T>>) -> *const T {
    array.as_ref().map_or(ptr::null(), |array| array.as_ptr())
}

impl Spells {
    fn new(inputs: &Inputs) -> Self {
        let events = inputs.field("event_observed").as_array().unwrap().iter();
        let none = Map::new();
        let columns = inputs
            .0
            .get("covariates")
            .map_or(&none, |c| c.as_object().unwrap());
        let cells = columns
            .values()
            .flat_map(|column| column.as_array().unwrap());
        Spells {
            durations: list(inputs, "durations").unwrap(),
            events: events.map(|e| u8::from(e.as_bool().unwrap())).collect(),
            entry: list(inputs, "entry"),
            names: columns.keys().map(|name| c(name)).collect(),
            covariates: cells.map(|x| x.as_f64().unwrap_or(f64::NAN)).collect(),
            strata: codes(inputs, "strata"),
        }
    }

    fn rows(&self) -> usize {
        self.durations.len()
    }

    fn names(&self) -> Vec<*const c_char> {
        self.names.iter().map(|name| name.as_ptr()).collect()
    }
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
        "survival.kaplan_meier" => {
            let (spells, settings) = (Spells::new(inputs), inputs.settings("kaplan_meier"));
            // SAFETY: arrays stand still, texts are NULL or end in NUL.
            let curve = table(|out, error| unsafe {
                churn_kaplan_meier(
                    spells.durations.as_ptr(),
                    spells.events.as_ptr(),
                    start(&spells.entry),
                    spells.rows(),
                    pointer(&settings),
                    out,
                    error,
                )
            })?;
            let mut answer = columns(
                &curve,
                &[
                    "at_risk", "events", "censored", "survival", "lower", "upper",
                ],
            );
            answer["times"] = column(&curve, "time");
            answer["median"] = facts(&curve)["median"].clone();
            Ok(answer)
        }
        "survival.nelson_aalen" => {
            let (spells, settings) = (Spells::new(inputs), inputs.settings("nelson_aalen"));
            // SAFETY: the same.
            let curve = table(|out, error| unsafe {
                churn_nelson_aalen(
                    spells.durations.as_ptr(),
                    spells.events.as_ptr(),
                    start(&spells.entry),
                    spells.rows(),
                    pointer(&settings),
                    out,
                    error,
                )
            })?;
            let mut answer = columns(&curve, &["cumulative_hazard", "lower", "upper"]);
            answer["times"] = column(&curve, "time");
            Ok(answer)
        }
        "survival.log_rank" => {
            let (spells, groups) = (Spells::new(inputs), codes(inputs, "groups"));
            let weights = inputs.settings("weights");
            // SAFETY: the same.
            let test = table(|out, error| unsafe {
                churn_log_rank(
                    spells.durations.as_ptr(),
                    spells.events.as_ptr(),
                    start(&spells.entry),
                    start(&groups),
                    spells.rows(),
                    pointer(&weights),
                    out,
                    error,
                )
            })?;
            let mut answer = columns(&test, &["observed", "expected"]);
            let found = facts(&test);
            for name in ["statistic", "degrees_of_freedom", "p_value"] {
                answer[name] = found[name].clone();
            }
            Ok(answer)
        }
        "survival.cox" => cox(inputs),
        "survival.weibull_aft" => weibull(inputs),
        "survival.brier" => {
            let spells = Spells::new(inputs);
            let (survival, times) = (list(inputs, "survival"), list(inputs, "times").unwrap());
            let mut scores = vec![0.0; times.len()];
            // SAFETY: the same; there is room for a score per time.
            let integrated = output(0.0, |out, error| unsafe {
                churn_survival_brier(
                    spells.durations.as_ptr(),
                    spells.events.as_ptr(),
                    spells.rows(),
                    start(&survival),
                    times.as_ptr(),
                    times.len(),
                    scores.as_mut_ptr(),
                    out,
                    error,
                )
            })?;
            Ok(json!({"scores": scores, "integrated": integrated}))
        }
        "behavior.retention" => retention(inputs),
        "behavior.lifecycle" => {
            let table = of_log(inputs, "lifecycle_over_time", churn_lifecycle_over_time)?;
            let names = ["new", "returning", "resurrecting", "dormant"];
            let mut answer = columns(&table, &names);
            answer["periods"] = json!(texts(&table, "period"));
            answer["complete"] = json!(flags(&table, "complete"));
            Ok(answer)
        }
        "behavior.stickiness" => {
            let table = of_log(inputs, "stickiness", churn_stickiness)?;
            let mut answer = facts(&table);
            answer["customers"] = column(&table, "customers");
            Ok(answer)
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn columns(table: &Table, names: &[&str]) -> Value {
    let pairs = names
        .iter()
        .map(|name| ((*name).to_owned(), column(table, name)));
    Value::Object(pairs.collect())
}

/// Values of the named covariates; the shape of a Weibull model stands behind them.
fn by_name(summary: &Table, names: &[&str]) -> Value {
    let rows = texts(summary, "covariate");
    let of = |name: &str| -> Map<String, Value> {
        let cells = column(summary, name);
        let cells = cells.as_array().unwrap().clone();
        let pairs = rows.iter().cloned().zip(cells);
        pairs.filter(|(row, _)| row != "log_shape").collect()
    };
    let pairs = names
        .iter()
        .map(|name| ((*name).to_owned(), Value::Object(of(name))));
    Value::Object(pairs.collect())
}

fn of_rows(inputs: &Inputs, values: &[f64], n: usize) -> Value {
    let rows = codes(inputs, "rows").unwrap();
    let of_time = |all: &[f64]| {
        rows.iter()
            .map(|row| all[*row as usize])
            .collect::<Vec<_>>()
    };
    json!(values.chunks(n).flat_map(of_time).collect::<Vec<f64>>())
}

fn cox(inputs: &Inputs) -> Answer<Value> {
    let (spells, settings) = (Spells::new(inputs), inputs.settings("cox"));
    let names = spells.names();
    // SAFETY: arrays stand still, texts are NULL or end in NUL.
    let model = handle(churn_cox_free, |out, error| unsafe {
        churn_cox_fit(
            spells.durations.as_ptr(),
            spells.events.as_ptr(),
            start(&spells.entry),
            start(&spells.strata),
            spells.rows(),
            names.as_ptr(),
            spells.covariates.as_ptr(),
            names.len(),
            pointer(&settings),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: the model is alive.
    let summary = table(|out, error| unsafe { churn_cox_summary(model.0, out, error) })?;
    let names = ["coefficient", "standard_error", "p_value", "lower", "upper"];
    let mut answer = by_name(&summary, &names);
    let found = facts(&summary);
    for name in ["log_likelihood", "null_log_likelihood", "concordance"] {
        answer[name] = found[name].clone();
    }
    // SAFETY: the same.
    let baseline = table(|out, error| unsafe { churn_cox_baseline(model.0, out, error) })?;
    assert_eq!(column(&baseline, "stratum")[0], json!(0.0));
    let times = list(inputs, "times").unwrap();
    let mut survival = vec![0.0; spells.rows() * times.len()];
    // SAFETY: arrays stand still, and there is room for the answers.
    call(|error| unsafe {
        churn_cox_survival(
            model.0,
            spells.covariates.as_ptr(),
            start(&spells.strata),
            ptr::null(),
            spells.rows(),
            times.as_ptr(),
            times.len(),
            survival.as_mut_ptr(),
            error,
        )
    })?;
    answer["survival"] = of_rows(inputs, &survival, spells.rows());
    Ok(answer)
}

fn weibull(inputs: &Inputs) -> Answer<Value> {
    let (spells, settings) = (Spells::new(inputs), inputs.settings("weibull_aft"));
    let names = spells.names();
    // SAFETY: arrays stand still, texts are NULL or end in NUL.
    let model = handle(churn_weibull_free, |out, error| unsafe {
        churn_weibull_fit(
            spells.durations.as_ptr(),
            spells.events.as_ptr(),
            spells.rows(),
            names.as_ptr(),
            spells.covariates.as_ptr(),
            names.len(),
            pointer(&settings),
            out,
            error,
        )
    })?;
    // SAFETY: the model is alive.
    let summary = table(|out, error| unsafe { churn_weibull_summary(model.0, out, error) })?;
    let mut answer = by_name(&summary, &["coefficient", "standard_error"]);
    let last = |name: &str| column(&summary, name).as_array().unwrap().last().cloned();
    answer["log_shape"] = last("coefficient").unwrap();
    answer["log_shape_error"] = last("standard_error").unwrap();
    let found = facts(&summary);
    for name in ["log_likelihood", "concordance"] {
        answer[name] = found[name].clone();
    }
    if !names.is_empty() {
        let times = list(inputs, "times").unwrap();
        let mut survival = vec![0.0; spells.rows() * times.len()];
        // SAFETY: arrays stand still, and there is room for the answers.
        call(|error| unsafe {
            churn_weibull_survival(
                model.0,
                spells.covariates.as_ptr(),
                ptr::null(),
                spells.rows(),
                times.as_ptr(),
                times.len(),
                survival.as_mut_ptr(),
                error,
            )
        })?;
        answer["survival"] = of_rows(inputs, &survival, spells.rows());
    }
    Ok(answer)
}

type OfLog = unsafe extern "C" fn(
    *const churn::events::churn_event_log,
    *const c_char,
    *const c_char,
    *const churn::progress::churn_progress,
    Place,
    Error,
) -> churn_status;

fn of_log(inputs: &Inputs, settings: &str, analyse: OfLog) -> Answer<Table> {
    let (log, as_of, settings) = (
        inputs.log()?,
        c(inputs.text("as_of")),
        inputs.settings(settings),
    );
    // SAFETY: the log is alive, texts are NULL or end in NUL.
    table(|out, error| unsafe {
        analyse(
            log.0,
            as_of.as_ptr(),
            pointer(&settings),
            ptr::null(),
            out,
            error,
        )
    })
}

fn retention(inputs: &Inputs) -> Answer<Value> {
    let table = of_log(inputs, "retention", churn_retention)?;
    let found = facts(&table);
    let width = found["periods"].as_array().unwrap().len();
    let rows = |cells: Vec<Value>| -> Vec<Vec<Value>> {
        cells.chunks(width).map(<[Value]>::to_vec).collect()
    };
    let first = |cells: Vec<Value>| -> Vec<Value> { cells.into_iter().step_by(width).collect() };
    let listed = |name: &str| column(&table, name).as_array().unwrap().clone();
    let complete = flags(&table, "complete").into_iter().map(Value::Bool);
    let cohorts = texts(&table, "cohort").into_iter().map(Value::String);
    Ok(json!({
        "cohorts": first(cohorts.collect()),
        "sizes": first(listed("size")),
        "periods": found["periods"],
        "retained": rows(listed("retained")),
        "complete": rows(complete.collect()),
        "weighted": found["weighted"],
        "simple": found["simple"],
    }))
}

/// The first place where an answer is not what was expected. C has no median of a Weibull model.
fn difference(place: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            let names: BTreeSet<&String> = e.keys().chain(g.keys()).collect();
            names.into_iter().find_map(|name| {
                let place = format!("{place}.{name}");
                match (e.get(name), g.get(name)) {
                    (Some(e), Some(g)) => difference(&place, e, g, tolerance),
                    (Some(_), None) if name == "median" => None,
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
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden");
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for folder in ["survival", "behavior"] {
        for entry in fs::read_dir(golden.join(folder)).unwrap() {
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
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), OPERATIONS.each_ref());
}
