//! Replays `golden/lifetime/*.json`, the numbers of the models of buying that all languages agree
//! on; see `golden/README.md`.

mod replay;

use churn_core::events::{Cleaning, EventColumns, EventKind};
use churn_core::features::{RunningSummary, SummarySettings, holdout, summarize};
use churn_core::progress::Progress;
use churn_core::scoring::lifetime::{
    Answer, BetaGeometric, BgBb, BgBbModel, Buyers, Contracts, CustomerValue, Estimate, Family,
    GammaGamma, Lifetime, LifetimeModel, RenewalModel, SpendModel,
};
use churn_core::{AsOf, EventLog, Result, TimeUnit, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use replay::{difference, replay};

/// Every operation that a golden file may name, each of which some file must name.
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

fn answer(operation: &str, inputs: &Inputs) -> Result<Value> {
    let quiet = Progress::none();
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
        "lifetime.answers" => {
            let (model, buyers) = (inputs.model()?, inputs.buyers()?);
            let horizon = inputs.get("horizon").unwrap();
            let names: Vec<String> = inputs.get("answers").unwrap();
            let mut found = Map::new();
            for name in names {
                let value = match name.as_str() {
                    "probability_alive" => json!(model.probability_alive(&buyers)?),
                    "expected_purchases" => json!(model.expected_purchases(&buyers, horizon)?),
                    "no_purchase_probability" => {
                        json!(model.no_purchase_probability(&buyers, horizon)?)
                    }
                    "purchases" => {
                        let most = inputs.get("most").unwrap();
                        json!(model.purchase_distribution(&buyers, horizon, most)?)
                    }
                    _ => panic!("no answer {name}"),
                };
                found.insert(name, value);
            }
            Ok(Value::Object(found))
        }
        "lifetime.fit" => {
            let settings: Lifetime = inputs.settings("lifetime")?;
            let buyers = inputs.buyers()?;
            let model = settings.fit(&buyers, &quiet)?;
            // What is stored answers the same.
            let model = LifetimeModel::from_json(&model.to_json())?;
            let mut found = estimated(model.parameters(), model.estimate());
            found["regularity"] = json!(model.regularity());
            if let Some(asked) = inputs.0.get("interval") {
                let horizon = asked["horizon"].as_f64().unwrap();
                let level = asked["level"].as_f64().unwrap();
                let rows: Vec<usize> = serde_json::from_value(asked["rows"].clone()).unwrap();
                let of = |question| -> Result<Value> {
                    let columns = model.interval(&buyers, question, level)?;
                    let rows = |c: &Vec<f64>| rows.iter().map(|r| c[*r]).collect::<Vec<_>>();
                    Ok(columns.iter().map(rows).collect())
                };
                found["alive_interval"] = of(Answer::ProbabilityAlive)?;
                found["purchases_interval"] = of(Answer::ExpectedPurchases(horizon))?;
            }
            Ok(found)
        }
        "lifetime.spend" => {
            let (frequency, money) = (inputs.column("frequency"), inputs.column("monetary_value"));
            let (model, mut found) = match inputs.get::<[f64; 3]>("parameters") {
                Some([p, q, gamma]) => (SpendModel::new(p, q, gamma)?, json!({})),
                None => {
                    let settings: GammaGamma = inputs.settings("gamma_gamma")?;
                    let model = settings.fit(&frequency, &money, &quiet)?;
                    let model = SpendModel::from_json(&model.to_json())?;
                    let mut found = estimated(&model.parameters(), model.estimate());
                    found["left_out"] = json!(model.left_out());
                    (model, found)
                }
            };
            found["population_mean"] = json!(model.population_mean()?);
            found["expected_spend"] = json!(model.expected_spend(&frequency, &money)?);
            Ok(found)
        }
        "lifetime.value" => {
            let settings: CustomerValue = inputs.settings("value")?;
            let [p, q, gamma] = inputs.get("spend").unwrap();
            let spend = SpendModel::new(p, q, gamma)?;
            let money = inputs.column("monetary_value");
            let value = settings.of(&inputs.buyers()?, &money, &inputs.model()?, &spend)?;
            Ok(json!({"customer_value": value}))
        }
        "lifetime.bg_bb" => {
            let (buyers, ahead) = (inputs.buyers()?, inputs.get("ahead").unwrap());
            let (model, mut found) = match inputs.get::<[f64; 4]>("parameters") {
                Some(parameters) => (BgBbModel::new(parameters)?, json!({})),
                None => {
                    let settings: BgBb = inputs.settings("bg_bb")?;
                    let model = settings.fit(&buyers, &quiet)?;
                    let model = BgBbModel::from_json(&model.to_json())?;
                    let found = estimated(&model.parameters(), model.estimate());
                    (model, found)
                }
            };
            found["probability_alive"] = json!(model.probability_alive(&buyers, ahead)?);
            found["expected_purchases"] = json!(model.expected_purchases(&buyers, ahead)?);
            found["no_purchase_probability"] =
                json!(model.no_purchase_probability(&buyers, ahead)?);
            Ok(found)
        }
        "lifetime.renewals" => {
            let contracts = match inputs.get::<Vec<f64>>("survivors") {
                Some(survivors) => Contracts::from_survivors(&survivors)?,
                None => {
                    let duration: Vec<f64> = inputs.get("duration").unwrap();
                    let churned: Vec<bool> = inputs.get("churned").unwrap();
                    Contracts::new(&duration, &churned)?
                }
            };
            let settings: BetaGeometric = inputs.settings("beta_geometric")?;
            let model = settings.fit(&contracts, &quiet)?;
            let model = RenewalModel::from_json(&model.to_json())?;
            let renewals: Vec<f64> = inputs.get("renewals").unwrap();
            let (ahead, rate) = (inputs.get("ahead").unwrap(), inputs.get("rate").unwrap());
            let mut found = estimated(&model.parameters(), model.estimate());
            found["survival"] = json!(model.survival(&renewals, ahead)?);
            found["discounted_renewals"] = json!(model.discounted_renewals(&renewals, rate)?);
            Ok(found)
        }
        "lifetime.running" => {
            let settings: SummarySettings = inputs.settings("summary")?;
            let orders: Vec<(String, f64)> = inputs.get("orders").unwrap();
            let mut running = RunningSummary::new(Timestamp::parse(&orders[0].0)?, &settings)?;
            for (time, value) in &orders[1..] {
                let stored = serde_json::to_string(&running).unwrap();
                running = churn_core::settings::from_json("summary", &stored)?;
                running.add(Timestamp::parse(time)?, *value)?;
            }
            let row = running.row(inputs.as_of("as_of")?)?;
            Ok(json!({
                "frequency": row.frequency,
                "recency": row.recency,
                "age": row.age,
                "monetary_value": row.monetary_value,
                "log_gaps": row.log_gaps,
            }))
        }
        "lifetime.holdout" => {
            let settings: SummarySettings = inputs.settings("summary")?;
            let log = inputs.log()?;
            let calibration = summarize(&log.history(inputs.as_of("as_of")?), &settings)?;
            let later = log.history(inputs.as_of("later")?);
            let later = holdout(&calibration, &later, &settings)?;
            let ids = calibration.customers().iter().map(|id| id.to_string());
            Ok(json!({
                "customers": ids.collect::<Vec<_>>(),
                "frequency": later.frequency(),
                "monetary_value": later.monetary_value(),
                "duration": later.duration(),
            }))
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn estimated(parameters: &[f64], estimate: Option<&Estimate>) -> Value {
    let estimate = estimate.unwrap();
    let errors = estimate.parameters.iter().map(|p| p.standard_error);
    json!({
        "parameters": parameters,
        "standard_errors": errors.collect::<Vec<_>>(),
        "log_likelihood": estimate.log_likelihood,
    })
}

/// The inputs of one case.
struct Inputs(Map<String, Value>);

impl Inputs {
    fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let cell = self.0.get(name)?.clone();
        Some(serde_json::from_value(cell).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    fn settings<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        match self.0.get(name) {
            None => Ok(T::default()),
            Some(given) => churn_core::settings::from_json(name, &given.to_string()),
        }
    }

    fn column(&self, name: &str) -> Vec<f64> {
        serde_json::from_value(self.0["columns"][name].clone()).unwrap()
    }

    fn buyers(&self) -> Result<Buyers<'static>> {
        let column = |name| self.column(name);
        let mut buyers = Buyers::new(column("frequency"), column("recency"), column("age"))?
            .with_unit_days(self.get("unit_days").unwrap_or(1.0))?;
        let columns = &self.0["columns"];
        if columns.get("log_gaps").is_some() {
            buyers = buyers.with_log_gaps(column("log_gaps"))?;
        }
        if columns.get("weights").is_some() {
            buyers = buyers.with_weights(column("weights"))?;
        }
        for (name, values) in self
            .get::<Map<String, Value>>("covariates")
            .unwrap_or_default()
        {
            let values: Vec<f64> = serde_json::from_value(values).unwrap();
            buyers = buyers.with_covariate(name, values)?;
        }
        Ok(buyers)
    }

    fn model(&self) -> Result<LifetimeModel> {
        let family: Family = self.get("family").unwrap();
        let parameters = self.get("parameters").unwrap();
        let regularity = self.get("regularity").unwrap_or(1);
        let unit_days = self.get("unit_days").unwrap_or(1.0);
        LifetimeModel::new(family, parameters, regularity, unit_days)
    }

    fn as_of(&self, name: &str) -> Result<AsOf> {
        AsOf::parse(&self.get::<String>(name).unwrap())
    }

    fn log(&self) -> Result<EventLog> {
        let events = &self.0["events"];
        let customers: Vec<String> = serde_json::from_value(events["customer"].clone()).unwrap();
        let customers: Vec<&str> = customers.iter().map(String::as_str).collect();
        let times: Vec<i64> = serde_json::from_value(events["time"].clone()).unwrap();
        let values: Vec<f64> = serde_json::from_value(events["value"].clone()).unwrap();
        assert_eq!(events["time_unit"], "day");
        let columns = EventColumns::new(
            customers.as_slice(),
            &times,
            TimeUnit::Day,
            EventKind::Purchase,
        )
        .with_values(&values);
        EventLog::from_columns(&columns, &Cleaning::default())
    }
}

#[test]
fn all_golden_files_hold() {
    replay(
        &["lifetime"],
        &OPERATIONS,
        |operation, inputs| answer(operation, &Inputs(inputs)),
        |_| difference,
    );
}
