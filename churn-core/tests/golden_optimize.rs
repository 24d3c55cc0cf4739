//! Replays `golden/optimize/*.json`: plans for profit against HiGHS; see `golden/README.md`.

mod replay;

use churn_core::features::{FeatureInfo, FeatureTable};
use churn_core::progress::Progress;
use churn_core::scoring::Scorecard;
use churn_core::segments::{Grid, RiskTiers};
use churn_core::strategy::{Effects, Facts, OptimizeSettings, Plan, Playbook, optimize_with};
use churn_core::{AsOf, Customers, Result, settings};
use serde_json::{Map, Value, json};

use replay::{Compare, difference, replay};

/// Every operation that a golden file may name, each of which some file must name.
const OPERATIONS: [&str; 3] = ["errors", "strategy.optimize", "strategy.optimize.bounds"];

fn answer(operation: &str, inputs: &Map<String, Value>) -> Result<Value> {
    match operation {
        "errors" => {
            let inner = inputs["inputs"].as_object().unwrap();
            let mut joint = inputs.clone();
            joint.extend(inner.clone());
            let error = plan(&joint).expect_err("the operation should fail");
            Ok(json!({
                "kind": error.kind().name(),
                "what": error.what(),
                "message": error.to_string(),
            }))
        }
        "strategy.optimize" => Ok(planned(&plan(inputs)?)),
        "strategy.optimize.bounds" => {
            let plan = plan(inputs)?;
            let allocation = plan.allocation().unwrap();
            Ok(json!([allocation.profit(), allocation.bound()]))
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn planned(plan: &Plan) -> Value {
    let allocation = plan.allocation().unwrap();
    let rows = || 0..plan.customers().len();
    let sources = allocation.source().iter();
    json!({
        "action": rows().map(|row| plan.action(row).map(|a| a.id.clone())).collect::<Vec<_>>(),
        "channels": rows().map(|row| plan.channels(row)).collect::<Vec<_>>(),
        "offers": rows()
            .map(|row| plan.offers(row).iter().map(|o| o.id.clone()).collect::<Vec<_>>())
            .collect::<Vec<_>>(),
        "source": sources.map(|source| source.map(|s| s.name())).collect::<Vec<_>>(),
        "change": allocation.change(),
        "expected_profit": allocation.expected_profit(),
        "profit": allocation.profit(),
        "bound": allocation.bound(),
        "spent": allocation.spent(),
        "chosen": allocation.chosen(),
    })
}

fn plan(inputs: &Map<String, Value>) -> Result<Plan> {
    let table = table(&inputs["table"])?;
    let scores = Scorecard::default().score(&table)?;
    let tiers = RiskTiers::default().assign(&scores)?;
    let grid = Grid::default().assign(&table)?;
    let facts = Facts::new(&table, &scores, &[&tiers, &grid])?;
    let playbook = Playbook::from_json(&inputs["playbook"].to_string(), facts.vocabulary())?;
    let settings = inputs["optimize"].to_string();
    let settings: OptimizeSettings = settings::from_json("optimize", &settings)?;
    let mut effects = Effects::new(&playbook, &facts, &settings.effects)?;
    for uplift in inputs
        .get("uplift")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let channels: Option<Vec<String>> = uplift
            .get("channels")
            .map(|channels| serde_json::from_value(channels.clone()).unwrap());
        let column = |name: &str| -> Option<Vec<f64>> {
            let cells = uplift.get(name)?.as_array().unwrap();
            Some(cells.iter().map(number).collect())
        };
        effects = effects.with_uplift_errors(
            uplift["action"].as_str().unwrap(),
            channels.as_deref(),
            facts.customers(),
            facts.as_of(),
            column("change").unwrap(),
            column("standard_error"),
        )?;
    }
    optimize_with(effects, &facts, &settings, &Progress::none())
}

fn number(cell: &Value) -> f64 {
    match cell {
        Value::String(text) => text.parse().unwrap(),
        cell => cell.as_f64().unwrap(),
    }
}

fn table(table: &Value) -> Result<FeatureTable> {
    let customers = table["customers"].as_array().unwrap();
    let customers = Customers::from_ints(customers.iter().filter_map(Value::as_i64));
    let columns = table["columns"].as_object().unwrap();
    let infos = columns.keys().map(|name| FeatureInfo::new(name, "", ""));
    let values = columns
        .values()
        .flat_map(|c| c.as_array().unwrap().iter().map(number));
    FeatureTable::from_columns(
        customers,
        AsOf::parse(table["as_of"].as_str().unwrap())?,
        infos.collect(),
        values.collect(),
    )
}

/// Profit and bound enclose the optimum, the bound is no worse than the linear relaxation, and the
/// plan is near.
fn outside(place: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
    let at = |value: &Value| value.as_f64().unwrap();
    let (optimum, relaxation) = (at(&expected["optimum"]), at(&expected["relaxation"]));
    let (profit, bound) = (at(&got[0]), at(&got[1]));
    let slack = tolerance * optimum;
    let holds = profit <= optimum + slack
        && optimum <= bound + slack
        && bound <= relaxation + slack
        && profit >= optimum * (1.0 - 2e-3)
        && bound - profit <= 1e-2 * bound;
    (!holds).then(|| format!("{place}: {profit} to {bound} for {optimum} (relaxed {relaxation})"))
}

#[test]
fn all_golden_files_hold() {
    let compare = |operation: &str| -> Compare {
        match operation {
            "strategy.optimize.bounds" => outside,
            _ => difference,
        }
    };
    replay(
        &["optimize"],
        &OPERATIONS,
        |operation, inputs| answer(operation, &inputs),
        compare,
    );
}
