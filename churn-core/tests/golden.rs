//! Replays `golden/*.json`, the numbers that all languages must agree on; see `golden/README.md`.

#[path = "golden/journey.rs"]
mod journey;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use churn_core::events::{
    Cleaning, DropReason, EventColumns, EventKind, IdCells, IdColumn, KindColumn, TextCells,
    TextColumn, TimeColumn, ValueColumn,
};
use churn_core::features::{
    FeatureInfo, FeatureSpec, FeatureTable, Population, SummarySettings, build, build_many,
    build_with, summarize,
};
use churn_core::progress::Progress;
use churn_core::scoring::Scorecard;
use churn_core::segments::{Grid, RiskTiers, Segments, lifecycle, profile};
use churn_core::simulate::Shop;
use churn_core::strategy::{Facts, Plan, Playbook, match_actions};
use churn_core::text::Language;
use churn_core::winback::{WinBack, WinBackSettings};
use churn_core::{AsOf, CustomerId, Customers, EventLog, Result, TimeUnit, settings};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Every operation that a golden file may name, each of which some file must name.
const OPERATIONS: [&str; 23] = [
    "defaults",
    "errors",
    "events.clean",
    "events.load",
    "features.build",
    "features.many",
    "features.needs",
    "features.population",
    "features.summary",
    "journey.lots",
    "journey.replay",
    "journey.report",
    "journey.steps",
    "scoring.reasons",
    "scoring.scorecard",
    "segments.grid",
    "segments.lifecycle",
    "segments.profile",
    "segments.tiers",
    "simulate.shop",
    "strategy.match",
    "strategy.why",
    "winback.run",
];

fn answer(operation: &str, inputs: Inputs) -> Result<Value> {
    match operation {
        "defaults" => Ok(parse(&churn_core::defaults::json(inputs.text("settings"))?)),
        "errors" => {
            let (operation, inputs) = inputs.inner();
            let error = answer(&operation, inputs).expect_err("the operation should fail");
            Ok(describe(&error))
        }
        "events.clean" => events_clean(&inputs),
        "events.load" => events_load(&inputs),
        "features.build" => {
            let log = inputs.log()?;
            let table = build(&log.history(inputs.as_of()?), &inputs.features()?)?;
            Ok(columns(&table))
        }
        "features.many" => features_many(&inputs),
        "features.needs" => Ok(json!(inputs.features()?.needs()?)),
        "features.population" => features_population(&inputs),
        "features.summary" => features_summary(&inputs),
        "journey.lots" => Ok(journey::lots(&inputs)),
        "journey.replay" => journey::replay(&inputs),
        "journey.report" => journey::report(&inputs),
        "journey.steps" => journey::steps(&inputs),
        "scoring.reasons" => scoring_reasons(&inputs),
        "scoring.scorecard" => scoring_scorecard(&inputs),
        "segments.grid" => Ok(segments(&inputs.grid()?.assign(&inputs.table()?)?)),
        "segments.lifecycle" => Ok(segments(&lifecycle(&inputs.table()?)?)),
        "segments.profile" => segments_profile(&inputs),
        "segments.tiers" => {
            let scores = inputs.scorecard()?.score(&inputs.table()?)?;
            Ok(segments(&inputs.risk_tiers()?.assign(&scores)?))
        }
        "simulate.shop" => simulate_shop(&inputs),
        "strategy.match" => strategy_match(&inputs.plan()?),
        "strategy.why" => strategy_why(&inputs.plan()?),
        "winback.run" => winback_run(&inputs),
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn events_clean(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let report = log.report();
    let tally =
        |tally: churn_core::events::Tally| json!({"rows": tally.rows, "money": tally.money});
    let dropped: Map<String, Value> = DropReason::ALL
        .into_iter()
        .filter(|reason| report.dropped(*reason).rows > 0)
        .map(|reason| (reason.name().to_owned(), tally(report.dropped(reason))))
        .collect();
    Ok(json!({
        "rows_in": report.rows_in,
        "rows_kept": report.rows_kept,
        "purchases_kept": report.purchases_kept,
        "refunds_kept": report.refunds_kept,
        "read_as_refund": tally(report.read_as_refund),
        "duplicates_kept": tally(report.duplicates_kept),
        "dropped": dropped,
        "customers": ids(log.customers()),
        "channels": log.channels(),
    }))
}

fn events_load(inputs: &Inputs) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/saved");
    let file = fs::read(path.join(inputs.text("file"))).unwrap();
    let loaded = EventLog::from_bytes(&file)?;
    let table = build(&loaded.history(inputs.as_of()?), &inputs.features()?)?;
    let mut answer = columns(&table);
    let mut same = true;
    for log in [loaded, inputs.log()?] {
        let mut saved = Vec::new();
        log.save(&mut saved)?;
        same &= saved == file;
    }
    answer["same_file"] = json!(same);
    Ok(answer)
}

fn features_many(inputs: &Inputs) -> Result<Value> {
    let instants = inputs.field("instants").as_array().unwrap().iter();
    let instants: Vec<AsOf> = instants
        .map(|as_of| AsOf::parse(as_of.as_str().unwrap()))
        .collect::<Result<_>>()?;
    let spec = inputs.features()?;
    let tables = build_many(&inputs.log()?, &instants, &spec, &Progress::none())?;
    Ok(json!({"tables": tables.iter().map(columns).collect::<Vec<_>>()}))
}

fn features_population(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let spec = inputs.features()?;
    let first = log.history(inputs.as_of()?);
    let population = Population::fit(&first, &spec)?;
    let stored = population.to_json();
    let population = Population::from_json(&stored)?;
    let later = log.history(AsOf::parse(inputs.text("later"))?);
    let mut answer = columns(&build_with(&later, &spec, &population, &Progress::none())?);
    answer["population"] = parse(&stored);
    Ok(answer)
}

fn features_summary(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let settings: SummarySettings = inputs.settings("summary")?;
    let summary = summarize(&log.history(inputs.as_of()?), &settings)?;
    Ok(json!({
        "customers": ids(summary.customers()),
        "frequency": numbers(summary.frequency()),
        "recency": numbers(summary.recency()),
        "age": numbers(summary.age()),
        "monetary_value": numbers(summary.monetary_value()),
    }))
}

fn scoring_scorecard(inputs: &Inputs) -> Result<Value> {
    let scores = inputs.scorecard()?.score(&inputs.table()?)?;
    let points = scores.factors().iter().enumerate();
    let points: Map<String, Value> = points
        .map(|(j, factor)| (factor.clone(), numbers(scores.points_at(j))))
        .collect();
    Ok(json!({
        "horizon_days": scores.horizon().as_days(),
        "churn_probability": numbers(scores.churn_probability()),
        "points": points,
    }))
}

fn scoring_reasons(inputs: &Inputs) -> Result<Value> {
    let scores = inputs.scorecard()?.score(&inputs.table()?)?;
    let limit = inputs.field("limit").as_u64().unwrap() as usize;
    let rows = 0..scores.customers().len();
    let reasons: Vec<Value> = rows
        .clone()
        .map(|row| {
            let reasons = scores.reasons(row, limit);
            let reasons = reasons
                .iter()
                .map(|r| json!([r.feature, r.points, r.value]));
            reasons.collect()
        })
        .collect();
    let sentences = |language| -> Vec<Vec<String>> {
        let rows = rows.clone();
        rows.map(|row| scores.sentences(row, limit, language))
            .collect()
    };
    Ok(json!({
        "reasons": reasons,
        "en": sentences(Language::English),
        "zh": sentences(Language::Chinese),
    }))
}

fn segments_profile(inputs: &Inputs) -> Result<Value> {
    let table = inputs.table()?;
    let profiles = profile(&lifecycle(&table)?, &table)?;
    let rows = profiles.iter().map(|p| {
        let means = p.means.iter();
        let means: Map<String, Value> = means.map(|m| (m.feature.clone(), json!(m.mean))).collect();
        json!({
            "segment": p.label,
            "size": p.size,
            "share": p.share,
            "money": p.money,
            "money_share": p.money_share,
            "means": means,
        })
    });
    Ok(rows.collect())
}

fn simulate_shop(inputs: &Inputs) -> Result<Value> {
    let shop: Shop = inputs.settings("shop")?;
    let simulated = shop.open()?;
    let log = EventLog::from_columns(&simulated.columns(), &Cleaning::strict())?;
    let (first, last) = log.time_range().unwrap();
    Ok(json!({
        "events": log.len(),
        "customers": log.customers().len(),
        "channels": log.channels(),
        "purchases": log.report().purchases_kept,
        "refunds": log.report().refunds_kept,
        "first_micros": first.micros(),
        "last_micros": last.micros(),
    }))
}

fn strategy_match(plan: &Plan) -> Result<Value> {
    let mut answer = planned(plan);
    let summary = plan.summary();
    let rows = summary.actions.iter().map(|a| {
        json!({
            "action": a.action,
            "customers": a.customers,
            "share": a.share,
            "expected_responses": a.expected_responses,
            "contact_cost": a.contact_cost,
            "offer_cost": a.offer_cost,
        })
    });
    answer["summary"] = rows.collect();
    Ok(answer)
}

fn strategy_why(plan: &Plan) -> Result<Value> {
    let rows = || 0..plan.customers().len();
    let why = |language| -> Value { rows().map(|row| plan.why(row, language)).collect() };
    Ok(json!({"en": why(Language::English), "zh": why(Language::Chinese)}))
}

fn winback_run(inputs: &Inputs) -> Result<Value> {
    let log = inputs.log()?;
    let settings: WinBackSettings = inputs.settings("winback")?;
    let result = WinBack::run(&log, inputs.as_of()?, &settings, &Progress::none())?;
    let mut answer = planned(&result.plan);
    answer["customers"] = ids(result.features.customers());
    answer["churn_probability"] = numbers(result.scores.churn_probability());
    answer["risk_tier"] = labels(&result.risk_tier);
    answer["rfm_segment"] = labels(&result.rfm_segment);
    answer["lifecycle"] = labels(&result.lifecycle);
    Ok(answer)
}

fn planned(plan: &Plan) -> Value {
    let rows = || 0..plan.customers().len();
    json!({
        "action": rows().map(|row| plan.action(row).map(|a| &a.id)).collect::<Vec<_>>(),
        "channels": rows().map(|row| plan.channels(row)).collect::<Vec<_>>(),
        "offers": rows()
            .map(|row| plan.offers(row).iter().map(|o| o.id.clone()).collect())
            .collect::<Vec<Vec<String>>>(),
        "expected_response": numbers(plan.expected_response()),
        "contact_cost": numbers(plan.contact_cost()),
        "offer_cost": numbers(plan.offer_cost()),
    })
}

/// Numbers as JSON holds them; what it cannot hold is written as text.
fn numbers(values: &[f64]) -> Value {
    let number = |x: &f64| match x {
        x if x.is_nan() => json!("NaN"),
        x if x.is_infinite() => json!(if *x > 0.0 { "inf" } else { "-inf" }),
        x => json!(x),
    };
    values.iter().map(number).collect()
}

fn ids(customers: &Customers) -> Value {
    let id = |id| match id {
        CustomerId::Int(id) => json!(id),
        CustomerId::Uint(id) => json!(id),
        CustomerId::Text(id) => json!(id),
    };
    customers.iter().map(id).collect()
}

fn columns(table: &FeatureTable) -> Value {
    let columns = table.names().enumerate();
    let columns: Map<String, Value> = columns
        .map(|(j, name)| (name.to_owned(), numbers(table.column_at(j))))
        .collect();
    json!({"customers": ids(table.customers()), "columns": columns})
}

fn labels(segments: &Segments) -> Value {
    let rows = 0..segments.customers().len();
    rows.map(|row| segments.label(row)).collect()
}

fn segments(segments: &Segments) -> Value {
    json!({
        "name": segments.name(),
        "labels": segments.labels(),
        "segment": labels(segments),
    })
}

fn describe(error: &churn_core::Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "what": error.what(),
        "row": error.row(),
        "line": error.line(),
        "message": error.to_string(),
    })
}

/// The inputs of one case.
struct Inputs(Map<String, Value>);

/// The columns of a log as a file holds them; a cell that is missing is null.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    customer: Vec<Value>,
    time: Vec<Option<i64>>,
    time_unit: TimeUnit,
    kind: Option<Vec<Option<String>>>,
    value: Option<Vec<Value>>,
    channel: Option<Vec<Option<String>>>,
    order: Option<Vec<Value>>,
    item: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    customers: Vec<Value>,
    as_of: String,
    columns: Map<String, Value>,
}

impl Inputs {
    fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn field(&self, name: &str) -> &Value {
        let given = self.given(name);
        given.unwrap_or_else(|| panic!("the inputs lack {name:?}"))
    }

    fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap()
    }

    fn as_of(&self) -> Result<AsOf> {
        AsOf::parse(self.text("as_of"))
    }

    /// Settings that are left out are the default ones.
    fn settings<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let given = self.given(name).cloned().unwrap_or_else(|| json!({}));
        settings::from_json(name, &given.to_string())
    }

    fn features(&self) -> Result<FeatureSpec> {
        self.settings("features")
    }

    fn risk_tiers(&self) -> Result<RiskTiers> {
        self.settings("risk_tiers")
    }

    fn scorecard(&self) -> Result<Scorecard> {
        match self.given("scorecard") {
            None => Ok(Scorecard::default()),
            Some(card) => Scorecard::from_json(&card.to_string()),
        }
    }

    fn grid(&self) -> Result<Grid> {
        match self.given("grid") {
            None => Ok(Grid::default()),
            Some(Value::String(name)) if name == "rf25" => Ok(Grid::rf25()),
            Some(Value::String(name)) if name == "rfm11" => Ok(Grid::rfm11()),
            Some(grid) => Grid::from_json(&grid.to_string()),
        }
    }

    fn plan(&self) -> Result<Plan> {
        let table = self.table()?;
        let scores = self.scorecard()?.score(&table)?;
        let mut groupings = vec![
            self.risk_tiers()?.assign(&scores)?,
            self.grid()?.assign(&table)?,
        ];
        if table.contains("lifecycle_stage") {
            groupings.push(lifecycle(&table)?);
        }
        let groupings: Vec<&Segments> = groupings.iter().collect();
        let facts = Facts::new(&table, &scores, &groupings)?;
        let playbook = match self.given("playbook") {
            None => Playbook::default_for(facts.vocabulary())?,
            Some(Value::String(toml)) => Playbook::from_toml(toml, facts.vocabulary())?,
            Some(object) => Playbook::from_json(&object.to_string(), facts.vocabulary())?,
        };
        match_actions(&playbook, &facts)
    }

    fn inner(&self) -> (String, Inputs) {
        let inputs = self.field("inputs").as_object().unwrap().clone();
        (self.text("operation").to_owned(), Inputs(inputs))
    }

    fn log(&self) -> Result<EventLog> {
        let events: Events = serde_json::from_value(self.field("events").clone()).unwrap();
        let cleaning: Cleaning = self.settings("cleaning")?;
        let some = |valid: Vec<bool>| valid.contains(&false).then(|| valid.into());
        let valid = |cells: &[Value]| some(cells.iter().map(|c| !c.is_null()).collect());
        let texts = |cells: &[Option<String>]| TextColumn {
            cells: TextCells::Coded {
                codes: (0..cells.len() as u32).collect::<Vec<_>>().into(),
                names: cells
                    .iter()
                    .map(|c| c.clone().unwrap_or_default().into())
                    .collect(),
            },
            valid: some(cells.iter().map(Option::is_some).collect()),
        };
        let id_column = |cells: &[Value]| {
            let text = |c: &Value| c.as_str().unwrap_or_default().to_owned().into();
            IdColumn {
                cells: if cells.iter().any(Value::is_string) {
                    IdCells::Text(TextCells::Coded {
                        codes: (0..cells.len() as u32).collect::<Vec<_>>().into(),
                        names: cells.iter().map(text).collect(),
                    })
                } else {
                    let ids: Vec<i64> = cells.iter().map(|c| c.as_i64().unwrap_or(0)).collect();
                    IdCells::Int(ids.into())
                },
                valid: valid(cells),
            }
        };
        let columns = EventColumns {
            customer: id_column(&events.customer),
            time: TimeColumn {
                cells: events
                    .time
                    .iter()
                    .map(|t| t.unwrap_or(0))
                    .collect::<Vec<_>>()
                    .into(),
                unit: events.time_unit,
                valid: some(events.time.iter().map(Option::is_some).collect()),
            },
            kind: match &events.kind {
                None => KindColumn::All(EventKind::Purchase),
                Some(names) => KindColumn::Names(texts(names)),
            },
            value: events.value.as_deref().map(|cells| ValueColumn {
                cells: cells.iter().map(number).collect::<Vec<_>>().into(),
                valid: valid(cells),
            }),
            channel: events.channel.as_deref().map(texts),
            order: events.order.as_deref().map(id_column),
            item: events.item.as_deref().map(id_column),
            unreadable_cells: 0,
        };
        EventLog::from_columns(&columns, &cleaning)
    }

    fn table(&self) -> Result<FeatureTable> {
        let table: Table = serde_json::from_value(self.field("table").clone()).unwrap();
        let texts = table.customers.iter().filter_map(Value::as_str);
        let customers = match texts.clone().count() {
            0 => Customers::from_ints(table.customers.iter().filter_map(Value::as_i64)),
            _ => Customers::from_texts(texts),
        };
        assert_eq!(
            ids(&customers),
            Value::from(table.customers),
            "ascending customers"
        );
        let features = table.columns.keys();
        let features = features
            .map(|name| FeatureInfo::new(name, "", ""))
            .collect();
        let values = table.columns.values();
        let values = values.flat_map(|column| column.as_array().unwrap().iter().map(number));
        let as_of = AsOf::parse(&table.as_of)?;
        FeatureTable::from_columns(customers, as_of, features, values.collect())
    }
}

/// A number of a file; missing ones stand for nothing and are flagged elsewhere.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::String(text) => text.parse().expect("NaN, inf or -inf"),
        _ => value.as_f64().unwrap(),
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    operation: String,
    origin: Origin,
    #[serde(default)]
    inputs: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    kind: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    inputs: Map<String, Value>,
    expected: Value,
    tolerance: f64,
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
            let pairs = e.iter().zip(g).enumerate();
            let mut found = pairs
                .filter_map(|(i, (e, g))| difference(&format!("{place}[{i}]"), e, g, tolerance));
            found.next()
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
fn all_golden_files_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let golden: Golden = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let kinds = ["published", "independent", "regression"];
        assert!(kinds.contains(&golden.origin.kind.as_str()), "{file}");
        assert!(
            !golden.origin.source.is_empty() && !golden.cases.is_empty(),
            "{file}"
        );
        for case in golden.cases {
            let mut inputs = golden.inputs.clone();
            inputs.extend(case.inputs);
            let got = answer(&golden.operation, Inputs(inputs))
                .unwrap_or_else(|error| json!({"error": describe(&error)}));
            let place = format!("{file}: {}: ", case.name);
            if let Some(wrong) = difference(&place, &case.expected, &got, case.tolerance) {
                failures.push(format!("{wrong}\n  the whole answer: {got}"));
            }
        }
        seen.insert(golden.operation);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), OPERATIONS.each_ref());
}

#[test]
fn differences_are_found() {
    let differs = |e: Value, g: Value| difference("x", &e, &g, 1e-6).is_some();
    assert!(!differs(
        json!({"a": [1.0, "NaN", null]}),
        json!({"a": [1.0000001, "NaN", null]})
    ));
    assert!(differs(json!(1.0), json!(1.00001)));
    assert!(!differs(json!(1e9), json!(1e9 + 1.0)));
    assert!(differs(json!([1]), json!([1, 2])));
    assert!(differs(json!({"a": 1}), json!({"a": 1, "b": 1})));
    assert!(differs(json!({"a": 1, "b": 1}), json!({"a": 1})));
    assert!(differs(json!("NaN"), json!(0.0)));
    assert!(differs(json!(null), json!(0.0)));
    assert!(differs(json!("a"), json!("b")));
}
