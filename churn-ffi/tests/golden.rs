//! Replays the golden files of churn-core (see `churn-core/tests/golden/README.md`) through the
//! exported C functions alone: inputs go in as C would hand them over, answers are read as C would
//! read them.

#[path = "support/journey.rs"]
mod journey;
mod support;

use std::collections::BTreeSet;
use std::ffi::{CString, c_char};
use std::path::Path;
use std::{fs, ptr};

use churn::bytes::*;
use churn::cleaning::*;
use churn::customers::*;
use churn::defaults::*;
use churn::events::*;
use churn::features::*;
use churn::saved::*;
use churn::scoring::*;
use churn::segments::*;
use churn::strategy::*;
use churn::summary::*;
use churn::texts::*;
use churn::winback::*;
use serde_json::{Map, Value, json};
use support::*;

fn answer(operation: &str, inputs: &Inputs) -> Answer<Value> {
    match operation {
        "defaults" => defaults(inputs),
        "errors" => {
            let inner = Inputs(inputs.field("inputs").as_object().unwrap().clone());
            let failed = answer(inputs.text("operation"), &inner);
            Ok(failed.expect_err("the operation should fail"))
        }
        "events.clean" => events_clean(inputs),
        "events.load" => events_load(inputs),
        "features.build" => {
            let log = inputs.log()?;
            Ok(columns(&build(&log, inputs.text("as_of"), inputs, None)?))
        }
        "features.many" => features_many(inputs),
        "features.needs" => features_needs(inputs),
        "features.population" => features_population(inputs),
        "features.summary" => features_summary(inputs),
        "journey.lots" => journey::lots(inputs),
        "journey.replay" => journey::replay(inputs),
        "journey.report" => journey::report(inputs),
        "journey.steps" => journey::steps(inputs),
        "scoring.reasons" => scoring_reasons(inputs),
        "scoring.scorecard" => scoring_scorecard(inputs),
        "segments.grid" => Ok(segments(&inputs.grid(&inputs.table()?)?)),
        "segments.lifecycle" => Ok(segments(&lifecycle(&inputs.table()?)?)),
        "segments.profile" => segments_profile(inputs),
        "segments.tiers" => {
            let scores = inputs.scores(&inputs.table()?)?;
            Ok(segments(&inputs.risk_tiers(&scores)?))
        }
        "simulate.shop" => simulate_shop(inputs),
        "strategy.match" => strategy_match(&inputs.plan()?),
        "strategy.why" => strategy_why(&inputs.plan()?),
        "winback.run" => winback_run(inputs),
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn defaults(inputs: &Inputs) -> Answer<Value> {
    let name = c(inputs.text("settings"));
    // SAFETY: the name ends in NUL; the outputs are places of `handle`.
    let json = handle(churn_texts_free, |out, error| unsafe {
        churn_defaults_json(name.as_ptr(), out, error)
    })?;
    Ok(parse(&texts(&json)[0]))
}

fn events_load(inputs: &Inputs) -> Answer<Value> {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden/saved");
    let path = saved.join(inputs.text("file"));
    let file = fs::read(&path).unwrap();
    let path = c(path.to_str().unwrap());
    let none = ptr::null();
    // SAFETY: the path ends in NUL; outputs are places of `handle`.
    let loaded = handle(churn_event_log_free, |out, error| unsafe {
        churn_event_log_load_file(path.as_ptr(), none, out, error)
    })?;
    let mut answer = columns(&build(&loaded, inputs.text("as_of"), inputs, None)?);
    let mut same = true;
    for log in [loaded, inputs.log()?] {
        // SAFETY: the log is alive; outputs are places of `handle`.
        let bytes = handle(churn_bytes_free, |out, error| unsafe {
            churn_event_log_save(log.0, none, out, error)
        })?;
        // SAFETY: the bytes are alive.
        same &= unsafe { slice(churn_bytes_data(bytes.0), churn_bytes_len(bytes.0)) } == file;
    }
    answer["same_file"] = json!(same);
    Ok(answer)
}

fn events_clean(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    // SAFETY: the log is alive, and so is its report.
    let report = unsafe { churn_event_log_report(log.0) };
    let (mut rows_in, mut rows_kept, mut purchases, mut refunds) = (0, 0, 0.0, 0.0);
    // SAFETY: the report is alive, the outputs are local places.
    call(|error| unsafe {
        churn_cleaning_report_rows(report, &mut rows_in, &mut rows_kept, error)
    })?;
    // SAFETY: the same.
    call(|error| unsafe {
        churn_cleaning_report_money(report, &mut purchases, &mut refunds, error)
    })?;
    // SAFETY: the same; `tally` gives two places.
    let read_as_refund = tally(|rows, money, error| unsafe {
        churn_cleaning_report_read_as_refund(report, rows, money, error)
    })?;
    // SAFETY: the same.
    let duplicates_kept = tally(|rows, money, error| unsafe {
        churn_cleaning_report_duplicates_kept(report, rows, money, error)
    })?;
    let mut dropped = Map::new();
    for reason in [
        "missing_customer",
        "missing_time",
        "impossible_time",
        "unknown_kind",
        "missing_value",
        "non_finite_value",
        "negative_value",
        "duplicate",
        "not_asked_for",
    ] {
        let name = c(reason);
        // SAFETY: the same; the name ends in NUL.
        let count = tally(|rows, money, error| unsafe {
            churn_cleaning_report_dropped(report, name.as_ptr(), rows, money, error)
        })?;
        if count["rows"] != 0 {
            dropped.insert(reason.to_owned(), count);
        }
    }
    Ok(json!({
        "rows_in": rows_in,
        "rows_kept": rows_kept,
        "purchases_kept": purchases,
        "refunds_kept": refunds,
        "read_as_refund": read_as_refund,
        "duplicates_kept": duplicates_kept,
        "dropped": dropped,
        // SAFETY: the customers belong to the log, which is alive.
        "customers": unsafe { ids(churn_event_log_customers(log.0)) },
        "channels": channels(&log),
    }))
}

fn features_many(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let texts = inputs.field("instants").as_array().unwrap().iter();
    let texts: Vec<CString> = texts.map(|text| c(text.as_str().unwrap())).collect();
    let instants: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let spec = c(&inputs.field("features").to_string());
    let mut tables = vec![ptr::null_mut(); instants.len()];
    // SAFETY: the log is alive, the texts end in NUL, there is room for one handle per instant.
    call(|error| unsafe {
        churn_feature_table_build_many(
            log.0,
            instants.as_ptr(),
            instants.len(),
            spec.as_ptr(),
            ptr::null(),
            tables.as_mut_ptr(),
            error,
        )
    })?;
    let tables = tables
        .into_iter()
        .map(|table| columns(&Handle(table, churn_feature_table_free)));
    Ok(json!({"tables": tables.collect::<Vec<_>>()}))
}

fn features_needs(inputs: &Inputs) -> Answer<Value> {
    let spec = c(&inputs.field("features").to_string());
    // SAFETY: the text ends in NUL; outputs are places of `handle`.
    let json = handle(churn_texts_free, |out, error| unsafe {
        churn_features_need(spec.as_ptr(), out, error)
    })?;
    Ok(parse(&texts(&json)[0]))
}

fn features_population(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let (as_of, features) = (c(inputs.text("as_of")), inputs.settings("features"));
    // SAFETY: handles are alive, texts end in NUL, outputs are local places.
    let population = handle(churn_population_free, |out, error| unsafe {
        churn_population_fit(
            log.0,
            as_of.as_ptr(),
            pointer(&features),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: the same.
    let json = output(ptr::null(), |out, error| unsafe {
        churn_population_to_json(population.0, out, error)
    })?;
    // SAFETY: the same; the JSON belongs to the population.
    let stored = handle(churn_population_free, |out, error| unsafe {
        churn_population_from_json(json, out, error)
    })?;
    // SAFETY: the same.
    let json = parse(unsafe { str(json) });
    drop(population);
    let table = build(&log, inputs.text("later"), inputs, Some(&stored))?;
    let mut answer = columns(&table);
    answer["population"] = json;
    Ok(answer)
}

fn features_summary(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let (as_of, settings) = (c(inputs.text("as_of")), inputs.settings("summary"));
    // SAFETY: the log is alive, texts end in NUL, outputs are places of `handle`.
    let summary = handle(churn_summary_free, |out, error| unsafe {
        churn_summary_build(
            log.0,
            as_of.as_ptr(),
            pointer(&settings),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: columns and customers belong to the summary, which is alive, and have its length.
    unsafe {
        let n = churn_summary_len(summary.0);
        Ok(json!({
            "customers": ids(churn_summary_customers(summary.0)),
            "frequency": numbers(churn_summary_frequency(summary.0), n),
            "recency": numbers(churn_summary_recency(summary.0), n),
            "age": numbers(churn_summary_age(summary.0), n),
            "monetary_value": numbers(churn_summary_monetary_value(summary.0), n),
        }))
    }
}

fn scoring_scorecard(inputs: &Inputs) -> Answer<Value> {
    let scores = inputs.scores(&inputs.table()?)?;
    let mut points = Map::new();
    // SAFETY: the scores are alive, their columns have their length, outputs are local places.
    unsafe {
        let n = churn_scores_len(scores.0);
        for factor in 0..churn_scores_factor_count(scores.0) {
            let (mut name, mut column) = (ptr::null(), ptr::null());
            call(|error| churn_scores_factor(scores.0, factor, &mut name, &mut column, error))?;
            points.insert(str(name).to_owned(), numbers(column, n));
        }
        Ok(json!({
            "horizon_days": churn_scores_horizon_days(scores.0),
            "churn_probability": numbers(churn_scores_churn_probability(scores.0), n),
            "points": points,
        }))
    }
}

fn scoring_reasons(inputs: &Inputs) -> Answer<Value> {
    let scores = inputs.scores(&inputs.table()?)?;
    let limit = inputs.field("limit").as_u64().unwrap() as usize;
    // SAFETY: the scores are alive.
    let rows = 0..unsafe { churn_scores_len(scores.0) };
    let sentences = |language: &str| -> Answer<Value> {
        let language = c(language);
        let sentences = rows.clone().map(|row| {
            // SAFETY: the scores are alive, the language ends in NUL.
            let list = handle(churn_texts_free, |out, error| unsafe {
                churn_scores_sentences(scores.0, row, limit, language.as_ptr(), out, error)
            })?;
            Ok(json!(texts(&list)))
        });
        sentences.collect()
    };
    let (en, zh) = (sentences("en")?, sentences("zh")?);
    let mut reasons = Vec::new();
    for row in rows {
        let (mut factors, mut points, mut values) =
            (vec![0; limit], vec![0.0; limit], vec![0.0; limit]);
        // SAFETY: the scores are alive, the arrays have room for `limit` values.
        let count = output(0, |out, error| unsafe {
            churn_scores_reasons(
                scores.0,
                row,
                limit,
                factors.as_mut_ptr(),
                points.as_mut_ptr(),
                values.as_mut_ptr(),
                out,
                error,
            )
        })?;
        let mut found = Vec::new();
        for i in 0..count {
            // SAFETY: the scores are alive; the name belongs to them.
            let name = output(ptr::null(), |out, error| unsafe {
                churn_scores_factor(scores.0, factors[i], out, ptr::null_mut(), error)
            })?;
            // SAFETY: the same.
            found.push(json!([unsafe { str(name) }, points[i], or_null(values[i])]));
        }
        reasons.push(found);
    }
    Ok(json!({"reasons": reasons, "en": en, "zh": zh}))
}

fn segments_profile(inputs: &Inputs) -> Answer<Value> {
    let table = inputs.table()?;
    let stages = lifecycle(&table)?;
    // SAFETY: handles are alive, outputs are places of `handle`.
    let profile = handle(churn_profile_free, |out, error| unsafe {
        churn_profile_build(stages.0, table.0, out, error)
    })?;
    let features = feature_names(&table)?;
    let mut rows = Vec::new();
    // SAFETY: the profile is alive, names end in NUL, outputs are local places.
    unsafe {
        for i in 0..churn_profile_len(profile.0) {
            let mut label = ptr::null();
            let (mut size, mut share, mut money, mut money_share) = (0, 0.0, 0.0, 0.0);
            call(|error| {
                churn_profile_segment(
                    profile.0,
                    i,
                    &mut label,
                    &mut size,
                    &mut share,
                    &mut money,
                    &mut money_share,
                    error,
                )
            })?;
            let mut means = Map::new();
            for feature in &features {
                let name = c(feature);
                let mean = output(0.0, |out, error| {
                    churn_profile_mean(profile.0, i, name.as_ptr(), out, ptr::null_mut(), error)
                })?;
                means.insert(feature.clone(), or_null(mean));
            }
            rows.push(json!({
                "segment": str(label),
                "size": size,
                "share": share,
                "money": money,
                "money_share": or_null(money_share),
                "means": means,
            }));
        }
    }
    Ok(Value::from(rows))
}

fn simulate_shop(inputs: &Inputs) -> Answer<Value> {
    let shop = inputs.settings("shop");
    // SAFETY: the settings are NULL or end in NUL, outputs are places of `handle`.
    let log = handle(churn_event_log_free, |out, error| unsafe {
        churn_event_log_simulate(pointer(&shop), ptr::null(), out, error)
    })?;
    let (mut purchases, mut refunds, mut first, mut last) = (0.0, 0.0, 0, 0);
    // SAFETY: the log is alive, and so are its customers and its report; outputs are local places.
    unsafe {
        let report = churn_event_log_report(log.0);
        call(|error| churn_cleaning_report_money(report, &mut purchases, &mut refunds, error))?;
        call(|error| churn_event_log_time_range(log.0, &mut first, &mut last, error))?;
        Ok(json!({
            "events": churn_event_log_len(log.0),
            "customers": churn_customers_len(churn_event_log_customers(log.0)),
            "channels": channels(&log),
            "purchases": purchases,
            "refunds": refunds,
            "first_micros": first,
            "last_micros": last,
        }))
    }
}

fn strategy_match(plan: &Handle<churn_plan>) -> Answer<Value> {
    let mut rows = Vec::new();
    let ids = action_ids(plan.0)?;
    for (i, id) in ids.iter().enumerate() {
        let mut customers = 0;
        let (mut share, mut responses, mut contacts, mut offers) = (0.0, 0.0, 0.0, 0.0);
        // SAFETY: the plan is alive, outputs are local places.
        call(|error| unsafe {
            churn_plan_action_summary(
                plan.0,
                i as i32,
                &mut customers,
                &mut share,
                &mut responses,
                &mut contacts,
                &mut offers,
                error,
            )
        })?;
        rows.push(json!({
            "action": id,
            "customers": customers,
            "share": share,
            "expected_responses": responses,
            "contact_cost": contacts,
            "offer_cost": offers,
        }));
    }
    let mut answer = planned(plan.0)?;
    answer["summary"] = Value::from(rows);
    Ok(answer)
}

fn strategy_why(plan: &Handle<churn_plan>) -> Answer<Value> {
    // SAFETY: the plan is alive.
    let rows = 0..unsafe { churn_plan_len(plan.0) };
    let why = |language: &str| -> Answer<Value> {
        let language = c(language);
        let told = rows.clone().map(|row| {
            // SAFETY: the plan is alive, the language ends in NUL.
            let list = handle(churn_texts_free, |out, error| unsafe {
                churn_plan_why(plan.0, row, language.as_ptr(), out, error)
            })?;
            Ok(json!(texts(&list)[0]))
        });
        told.collect()
    };
    Ok(json!({"en": why("en")?, "zh": why("zh")?}))
}

fn winback_run(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let (as_of, settings) = (c(inputs.text("as_of")), inputs.settings("winback"));
    // SAFETY: the log is alive, texts end in NUL, outputs are places of `handle`.
    let result = handle(churn_win_back_free, |out, error| unsafe {
        churn_win_back_run(
            log.0,
            as_of.as_ptr(),
            pointer(&settings),
            ptr::null(),
            out,
            error,
        )
    })?;
    // SAFETY: the result is alive, and so are its tables, which all have its rows.
    unsafe {
        let scores = churn_win_back_scores(result.0);
        let mut answer = planned(churn_win_back_plan(result.0))?;
        let table = churn_win_back_features(result.0);
        answer["customers"] = ids(churn_feature_table_customers(table));
        let probability = churn_scores_churn_probability(scores);
        answer["churn_probability"] = numbers(probability, churn_scores_len(scores));
        answer["risk_tier"] = labelled(churn_win_back_risk_tier(result.0));
        answer["rfm_segment"] = labelled(churn_win_back_rfm_segment(result.0));
        answer["lifecycle"] = labelled(churn_win_back_lifecycle(result.0));
        Ok(answer)
    }
}

fn planned(plan: *const churn_plan) -> Answer<Value> {
    let ids = action_ids(plan)?;
    // SAFETY: the plan is alive, its columns have its length; lists are freed by their handles.
    unsafe {
        let n = churn_plan_len(plan);
        let codes = slice(churn_plan_action_codes(plan), n).iter();
        let actions = codes.map(|code| usize::try_from(*code).ok().map(|code| &ids[code]));
        let (mut channels, mut offers) = (Vec::new(), Vec::new());
        for row in 0..n {
            channels.push(texts(&handle(churn_texts_free, |out, error| {
                churn_plan_channels(plan, row, out, error)
            })?));
            offers.push(texts(&handle(churn_texts_free, |out, error| {
                churn_plan_offers(plan, row, out, error)
            })?));
        }
        Ok(json!({
            "action": actions.collect::<Vec<_>>(),
            "channels": channels,
            "offers": offers,
            "expected_response": numbers(churn_plan_expected_response(plan), n),
            "contact_cost": numbers(churn_plan_contact_cost(plan), n),
            "offer_cost": numbers(churn_plan_offer_cost(plan), n),
        }))
    }
}

fn action_ids(plan: *const churn_plan) -> Answer<Vec<String>> {
    // SAFETY: the plan is alive, and the ids belong to it.
    unsafe {
        let actions = 0..churn_plan_action_count(plan);
        let id = |action| {
            let id = output(ptr::null(), |out, error| {
                churn_plan_action(plan, action, ptr::null(), out, ptr::null_mut(), error)
            })?;
            Ok(str(id).to_owned())
        };
        actions.map(id).collect()
    }
}

fn build(
    log: &Handle<churn_event_log>,
    as_of: &str,
    inputs: &Inputs,
    population: Option<&Handle<churn_population>>,
) -> Answer<Handle<churn_feature_table>> {
    let (as_of, features) = (c(as_of), inputs.settings("features"));
    let (as_of, features) = (as_of.as_ptr(), pointer(&features));
    let none = ptr::null();
    // SAFETY: handles are alive, texts are NULL or end in NUL, outputs are places of `handle`.
    handle(churn_feature_table_free, |out, error| unsafe {
        match population {
            None => {
                churn_feature_table_build(log.0, as_of, features, none, out, ptr::null_mut(), error)
            }
            Some(population) => churn_feature_table_build_with(
                log.0,
                as_of,
                features,
                population.0,
                none,
                out,
                error,
            ),
        }
    })
}

fn channels(log: &Handle<churn_event_log>) -> Vec<String> {
    // SAFETY: the log is alive, and the names belong to it.
    unsafe {
        let channels = 0..churn_event_log_channel_count(log.0);
        let name = |i| {
            output(ptr::null(), |out, error| {
                churn_event_log_channel(log.0, i, out, error)
            })
        };
        channels.map(|i| str(name(i).unwrap()).to_owned()).collect()
    }
}

fn columns(table: &Handle<churn_feature_table>) -> Value {
    let mut columns = Map::new();
    for (i, name) in feature_names(table).unwrap().into_iter().enumerate() {
        // SAFETY: the table is alive, and its columns have its length.
        unsafe {
            let values = output(ptr::null(), |out, error| {
                churn_feature_table_column_at(table.0, i, out, error)
            });
            let n = churn_feature_table_len(table.0);
            columns.insert(name, numbers(values.unwrap(), n));
        }
    }
    // SAFETY: the customers belong to the table, which is alive.
    let customers = unsafe { ids(churn_feature_table_customers(table.0)) };
    json!({"customers": customers, "columns": columns})
}

fn segments(segments: &Handle<churn_segments>) -> Value {
    // SAFETY: the segments are alive, and the name belongs to them.
    unsafe {
        json!({
            "name": str(churn_segments_name(segments.0)),
            "labels": labels(segments.0),
            "segment": labelled(segments.0),
        })
    }
}

/// # Safety
/// The segments are alive.
unsafe fn labels(segments: *const churn_segments) -> Vec<String> {
    // SAFETY: as the caller says; the labels belong to the segments.
    unsafe {
        let labels = 0..churn_segments_label_count(segments);
        let label = |i| {
            output(ptr::null(), |out, error| {
                churn_segments_label(segments, i, out, error)
            })
        };
        labels.map(|i| str(label(i).unwrap()).to_owned()).collect()
    }
}

/// # Safety
/// The segments are alive.
unsafe fn labelled(segments: *const churn_segments) -> Value {
    // SAFETY: as the caller says; there is one code per customer.
    unsafe {
        let labels = labels(segments);
        let codes = slice(churn_segments_codes(segments), churn_segments_len(segments));
        codes
            .iter()
            .map(|code| json!(labels[*code as usize]))
            .collect()
    }
}

/// # Safety
/// The customers are alive.
unsafe fn ids(customers: *const churn_customers) -> Value {
    // SAFETY: as the caller says; a text id has the length that stands beside it.
    unsafe {
        let rows = 0..churn_customers_len(customers);
        let id = |row| -> Answer<Value> {
            match churn_customers_id_type(customers) {
                CHURN_ID_INT64 => {
                    let id = |out: *mut _, error| churn_customers_int64(customers, row, out, error);
                    Ok(json!(output(0, id)?))
                }
                CHURN_ID_UINT64 => {
                    let id =
                        |out: *mut _, error| churn_customers_uint64(customers, row, out, error);
                    Ok(json!(output(0, id)?))
                }
                _ => {
                    let (mut text, mut length) = (ptr::null(), 0);
                    call(|error| {
                        churn_customers_text(customers, row, &mut text, &mut length, error)
                    })?;
                    let bytes = slice(text.cast::<u8>(), length);
                    Ok(json!(std::str::from_utf8(bytes).unwrap()))
                }
            }
        };
        rows.map(|row| id(row).unwrap()).collect()
    }
}

pub(crate) fn texts(list: &Handle<churn_texts>) -> Vec<String> {
    // SAFETY: the list is alive, and the texts belong to it.
    unsafe {
        let texts = 0..churn_texts_len(list.0);
        let text = |i| {
            output(ptr::null(), |out, error| {
                churn_texts_get(list.0, i, out, error)
            })
        };
        texts.map(|i| str(text(i).unwrap()).to_owned()).collect()
    }
}

/// Numbers as JSON holds them; what it cannot hold is written as text.
///
/// # Safety
/// There are `len` numbers.
unsafe fn numbers(values: *const f64, len: usize) -> Value {
    let number = |x: &f64| match x {
        x if x.is_nan() => json!("NaN"),
        x if x.is_infinite() => json!(if *x > 0.0 { "inf" } else { "-inf" }),
        x => json!(x),
    };
    // SAFETY: as the caller says.
    unsafe { slice(values, len) }.iter().map(number).collect()
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
            let mut pairs = e.iter().zip(g).enumerate();
            pairs.find_map(|(i, (e, g))| difference(&format!("{place}[{i}]"), e, g, tolerance))
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../churn-core/tests/golden");
    let (mut replayed, mut failures) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let golden = parse(&fs::read_to_string(&path).unwrap());
        let shared = golden.get("inputs").and_then(Value::as_object);
        for case in golden["cases"].as_array().unwrap() {
            let mut inputs = shared.cloned().unwrap_or_default();
            inputs.extend(case["inputs"].as_object().unwrap().clone());
            let got = answer(golden["operation"].as_str().unwrap(), &Inputs(inputs))
                .unwrap_or_else(|error| json!({"error": error}));
            let place = format!("{file}: {}: ", case["name"]);
            let tolerance = case["tolerance"].as_f64().unwrap();
            if let Some(wrong) = difference(&place, &case["expected"], &got, tolerance) {
                failures.push(wrong);
            }
            replayed += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(replayed > 50, "only {replayed} cases were replayed");
}

#[test]
fn differences_are_found() {
    let differs = |e: Value, g: Value| difference("x", &e, &g, 1e-6).is_some();
    assert!(!differs(
        json!({"a": [1.0, "NaN", null]}),
        json!({"a": [1.0000001, "NaN", null]})
    ));
    assert!(differs(json!(1.0), json!(1.00001)));
    assert!(differs(json!([1]), json!([1, 2])));
    assert!(differs(json!({"a": 1}), json!({"a": 1, "b": 1})));
    assert!(differs(json!({"a": 1, "b": 1}), json!({"a": 1})));
    assert!(differs(json!("NaN"), json!(0.0)));
    assert!(differs(json!(null), json!(0.0)));
}
