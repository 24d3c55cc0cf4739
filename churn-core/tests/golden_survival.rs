//! Replays `golden/survival/*.json`, the numbers of curves and hazard models that all languages
//! agree on; see `golden/README.md`.

mod replay;

use churn_core::Result;
use churn_core::scoring::learned::{Column, Frame};
use churn_core::scoring::survival::{
    Coefficient, CoxPh, Durations, KaplanMeier, LogRankWeights, NelsonAalen, WeibullAft,
    brier_score, log_rank,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use replay::{difference, replay};

/// Every operation that a golden file may name, each of which some file must name.
const OPERATIONS: [&str; 7] = [
    "errors",
    "survival.brier",
    "survival.cox",
    "survival.kaplan_meier",
    "survival.log_rank",
    "survival.nelson_aalen",
    "survival.weibull_aft",
];

fn answer(operation: &str, inputs: &Inputs) -> Result<Value> {
    match operation {
        "errors" => {
            let inner = Inputs(inputs.0["inputs"].as_object().unwrap().clone());
            let operation = inputs.0["operation"].as_str().unwrap();
            let error = answer(operation, &inner).expect_err("the operation should fail");
            Ok(json!({
                "kind": error.kind().name(),
                "what": error.what(),
                "row": error.row(),
                "message": error.to_string(),
            }))
        }
        "survival.kaplan_meier" => {
            let spells = inputs.spells();
            let settings: KaplanMeier = inputs.settings("kaplan_meier")?;
            let curve = settings.fit(&spells.durations()?)?;
            Ok(json!({
                "times": curve.times(),
                "at_risk": curve.at_risk(),
                "events": curve.events(),
                "censored": curve.censored(),
                "survival": curve.survival(),
                "lower": curve.lower(),
                "upper": curve.upper(),
                "median": curve.median(),
            }))
        }
        "survival.nelson_aalen" => {
            let spells = inputs.spells();
            let settings: NelsonAalen = inputs.settings("nelson_aalen")?;
            let curve = settings.fit(&spells.durations()?)?;
            Ok(json!({
                "times": curve.times(),
                "cumulative_hazard": curve.cumulative_hazard(),
                "lower": curve.lower(),
                "upper": curve.upper(),
            }))
        }
        "survival.log_rank" => {
            let spells = inputs.spells();
            let groups: Vec<u32> = inputs.list("groups").unwrap();
            let weights: LogRankWeights = inputs.settings("weights")?;
            let test = log_rank(&spells.durations()?, &groups, weights)?;
            let groups = &test.groups;
            Ok(json!({
                "statistic": test.statistic,
                "degrees_of_freedom": test.degrees_of_freedom,
                "p_value": test.p_value,
                "observed": groups.iter().map(|g| g.observed).collect::<Vec<_>>(),
                "expected": groups.iter().map(|g| g.expected).collect::<Vec<_>>(),
            }))
        }
        "survival.cox" => cox(inputs),
        "survival.weibull_aft" => weibull(inputs),
        "survival.brier" => {
            let spells = inputs.spells();
            let durations = spells.durations()?;
            let times: Vec<f64> = inputs.list("times").unwrap();
            let survival: Vec<f64> = inputs.list("survival").unwrap();
            let found = brier_score(&durations, &durations, &survival, &times)?;
            Ok(json!({"scores": found.scores, "integrated": found.integrated}))
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn cox(inputs: &Inputs) -> Result<Value> {
    let spells = inputs.spells();
    let settings: CoxPh = inputs.settings("cox")?;
    let frame = inputs.frame().unwrap()?;
    let strata: Option<Vec<u32>> = inputs.list("strata");
    let model = settings.fit(&spells.durations()?, &frame, strata.as_deref())?;
    let mut answer = by_name(model.coefficients());
    let coefficients = model.coefficients();
    answer["p_value"] = named(coefficients, |c| c.p_value);
    answer["lower"] = named(coefficients, |c| c.lower);
    answer["upper"] = named(coefficients, |c| c.upper);
    answer["log_likelihood"] = json!(model.log_likelihood());
    answer["null_log_likelihood"] = json!(model.null_log_likelihood());
    answer["concordance"] = json!(model.concordance().index());
    let times: Vec<f64> = inputs.list("times").unwrap();
    let all = model.survival(&frame, &times, strata.as_deref(), None)?;
    answer["survival"] = json!(inputs.of_rows(&all, frame.rows()));
    Ok(answer)
}

fn weibull(inputs: &Inputs) -> Result<Value> {
    let spells = inputs.spells();
    let settings: WeibullAft = inputs.settings("weibull_aft")?;
    let frame = inputs.frame().transpose()?;
    let model = settings.fit(&spells.durations()?, frame.as_ref())?;
    let mut answer = by_name(model.coefficients());
    answer["log_shape"] = json!(model.log_shape().coefficient);
    answer["log_shape_error"] = json!(model.log_shape().standard_error);
    answer["log_likelihood"] = json!(model.log_likelihood());
    answer["concordance"] = json!(model.concordance().and_then(|pairs| pairs.index()));
    if let Some(frame) = &frame {
        let times: Vec<f64> = inputs.list("times").unwrap();
        let all = model.survival(frame, &times, None)?;
        answer["survival"] = json!(inputs.of_rows(&all, frame.rows()));
        let median = model.percentile(frame, 0.5)?;
        answer["median"] = json!(inputs.of_rows(&median, frame.rows()));
    }
    Ok(answer)
}

fn named(coefficients: &[Coefficient], value: impl Fn(&Coefficient) -> f64) -> Value {
    let pairs = coefficients
        .iter()
        .map(|c| (c.name.clone(), json!(value(c))));
    Value::Object(pairs.collect())
}

fn by_name(coefficients: &[Coefficient]) -> Value {
    json!({
        "coefficient": named(coefficients, |c| c.coefficient),
        "standard_error": named(coefficients, |c| c.standard_error),
    })
}

/// The inputs of one case.
struct Inputs(Map<String, Value>);

struct Spells {
    durations: Vec<f64>,
    event_observed: Vec<bool>,
    entry: Option<Vec<f64>>,
}

impl Spells {
    fn durations(&self) -> Result<Durations<'_>> {
        let durations = Durations::new(&self.durations, &self.event_observed)?;
        match &self.entry {
            None => Ok(durations),
            Some(entry) => durations.with_entry(entry),
        }
    }
}

impl Inputs {
    fn list<T: DeserializeOwned>(&self, name: &str) -> Option<Vec<T>> {
        let list = self.0.get(name)?.clone();
        Some(serde_json::from_value(list).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    fn settings<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        match self.0.get(name) {
            None => Ok(T::default()),
            Some(given) => churn_core::settings::from_json(name, &given.to_string()),
        }
    }

    fn spells(&self) -> Spells {
        Spells {
            durations: self.list("durations").unwrap(),
            event_observed: self.list("event_observed").unwrap(),
            entry: self.list("entry"),
        }
    }

    /// The covariates; a missing cell is null.
    fn frame(&self) -> Option<Result<Frame<'static>>> {
        let columns = self.0.get("covariates")?.as_object().unwrap();
        let column = |values: &Value| {
            let cells: Vec<Option<f64>> = serde_json::from_value(values.clone()).unwrap();
            let cells: Vec<f64> = cells.iter().map(|c| c.unwrap_or(f64::NAN)).collect();
            Column::Numeric(cells.into())
        };
        let columns = columns
            .iter()
            .map(|(n, values)| (n.clone(), column(values)));
        Some(Frame::new(columns.collect()))
    }

    /// The chosen rows of every time.
    fn of_rows(&self, values: &[f64], n: usize) -> Vec<f64> {
        let rows: Vec<usize> = self.list("rows").unwrap();
        let of_time = |all: &[f64]| rows.iter().map(|row| all[*row]).collect::<Vec<_>>();
        values.chunks(n).flat_map(of_time).collect()
    }
}

#[test]
fn all_golden_files_hold() {
    replay(
        &["survival"],
        &OPERATIONS,
        |operation, inputs| answer(operation, &Inputs(inputs)),
        |_| difference,
    );
}
