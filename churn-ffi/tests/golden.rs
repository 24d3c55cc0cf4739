//! Replays the golden files of churn-core (see `churn-core/tests/golden/README.md`) through the
//! exported C functions alone: inputs go in as C would hand them over, answers are read as C would
//! read them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::{fs, ptr, slice};

use churn::cleaning::*;
use churn::columns::*;
use churn::customers::*;
use churn::defaults::*;
use churn::error::*;
use churn::events::*;
use churn::features::*;
use churn::scoring::*;
use churn::segments::*;
use churn::strategy::*;
use churn::summary::*;
use churn::texts::*;
use churn::winback::*;
use serde_json::{Map, Value, json};

/// An answer, or the error that a call stored, as the golden files describe it.
type Answer<T> = Result<T, Value>;

fn answer(operation: &str, inputs: &Inputs) -> Answer<Value> {
    match operation {
        "defaults" => defaults(inputs),
        "errors" => {
            let inner = Inputs(inputs.field("inputs").as_object().unwrap().clone());
            let failed = answer(inputs.text("operation"), &inner);
            Ok(failed.expect_err("the operation should fail"))
        }
        "events.clean" => events_clean(inputs),
        "features.build" => {
            let log = inputs.log()?;
            Ok(columns(&build(&log, inputs.text("as_of"), inputs, None)?))
        }
        "features.population" => features_population(inputs),
        "features.summary" => features_summary(inputs),
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

fn features_population(inputs: &Inputs) -> Answer<Value> {
    let log = inputs.log()?;
    let (as_of, features) = (c(inputs.text("as_of")), inputs.settings("features"));
    let mut table = ptr::null_mut();
    // SAFETY: handles are alive, texts end in NUL, outputs are local places.
    let population = handle(churn_population_free, |out, error| unsafe {
        churn_feature_table_build(
            log.0,
            as_of.as_ptr(),
            pointer(&features),
            ptr::null(),
            &mut table,
            out,
            error,
        )
    })?;
    drop(Handle(table, churn_feature_table_free));
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

fn lifecycle(table: &Handle<churn_feature_table>) -> Answer<Handle<churn_segments>> {
    // SAFETY: the table is alive, outputs are places of `handle`.
    handle(churn_segments_free, |out, error| unsafe {
        churn_segments_lifecycle(table.0, out, error)
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

fn feature_names(table: &Handle<churn_feature_table>) -> Answer<Vec<String>> {
    let none = ptr::null_mut;
    // SAFETY: the table is alive, and the names belong to it.
    unsafe {
        let features = 0..churn_feature_table_feature_count(table.0);
        let name = |i| {
            let name = output(ptr::null(), |out, error| {
                churn_feature_table_describe(table.0, i, out, none(), none(), none(), error)
            })?;
            Ok(str(name).to_owned())
        };
        features.map(name).collect()
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

fn texts(list: &Handle<churn_texts>) -> Vec<String> {
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

/// What has no value is NaN in C and null in the files.
fn or_null(value: f64) -> Value {
    if value.is_nan() {
        Value::Null
    } else {
        json!(value)
    }
}

/// # Safety
/// There are `len` values.
unsafe fn slice<'a, T>(values: *const T, len: usize) -> &'a [T] {
    assert!(!values.is_null());
    // SAFETY: as the caller says.
    unsafe { slice::from_raw_parts(values, len) }
}

/// # Safety
/// The text ends in NUL and lives as long as it is used.
unsafe fn str<'a>(text: *const c_char) -> &'a str {
    assert!(!text.is_null());
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap()
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Calls a function and describes the error that it stored.
fn call(function: impl FnOnce(*mut *mut churn_error) -> churn_status) -> Answer<()> {
    let mut error = ptr::null_mut();
    let status = function(&mut error);
    if status == CHURN_OK {
        assert!(error.is_null(), "an error of a call that succeeded");
        return Ok(());
    }
    // SAFETY: the call failed, so the error is there; its texts are copied before it is freed.
    unsafe {
        assert_eq!(churn_error_code(error), status);
        let place = |number: i64| (number >= 0).then_some(number);
        let described = json!({
            "kind": str(churn_error_kind(error)),
            "what": str(churn_error_what(error)),
            "row": place(churn_error_row(error)),
            "line": place(churn_error_line(error)),
            "message": str(churn_error_message(error)),
        });
        churn_error_free(error);
        Err(described)
    }
}

/// Calls a function with one output.
fn output<T>(
    empty: T,
    function: impl FnOnce(*mut T, *mut *mut churn_error) -> churn_status,
) -> Answer<T> {
    let mut out = empty;
    call(|error| function(&mut out, error))?;
    Ok(out)
}

/// Calls a function that gives rows and money.
fn tally(
    function: impl FnOnce(*mut u64, *mut f64, *mut *mut churn_error) -> churn_status,
) -> Answer<Value> {
    let (mut rows, mut money) = (0, 0.0);
    call(|error| function(&mut rows, &mut money, error))?;
    Ok(json!({"rows": rows, "money": money}))
}

/// A handle of the library, freed at the end.
struct Handle<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle came from a call that succeeded, and is freed here alone.
        unsafe { (self.1)(self.0) }
    }
}

/// Calls a function that makes a handle.
fn handle<T>(
    free: unsafe extern "C" fn(*mut T),
    function: impl FnOnce(*mut *mut T, *mut *mut churn_error) -> churn_status,
) -> Answer<Handle<T>> {
    let made = output(ptr::null_mut(), function)?;
    assert!(!made.is_null());
    Ok(Handle(made, free))
}

/// The inputs of one case.
struct Inputs(Map<String, Value>);

impl Inputs {
    fn field(&self, name: &str) -> &Value {
        let given = self.0.get(name);
        given.unwrap_or_else(|| panic!("the inputs lack {name:?}"))
    }

    fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap()
    }

    /// Settings as JSON; what is left out goes in as NULL.
    fn settings(&self, name: &str) -> Option<CString> {
        self.0.get(name).map(|json| c(&json.to_string()))
    }

    fn log(&self) -> Answer<Handle<churn_event_log>> {
        let events = self.field("events").as_object().unwrap();
        let cleaning = self.settings("cleaning");
        let cells = |name: &str| {
            events
                .get(name)
                .map(|cells| Cells::new(cells.as_array().unwrap()))
        };
        let customer = cells("customer").unwrap();
        let time = cells("time").unwrap();
        let (kind, value) = (cells("kind"), cells("value"));
        let (channel, order, item) = (cells("channel"), cells("order"), cells("item"));
        let unit = match events["time_unit"].as_str().unwrap() {
            "day" => c"D",
            "second" => c"s",
            "millisecond" => c"ms",
            "microsecond" => c"us",
            "nanosecond" => c"ns",
            other => panic!("no time unit {other:?}"),
        };
        // SAFETY: outputs are places of `handle`.
        let columns = handle(churn_columns_free, |out, error| unsafe {
            churn_columns_new(out, error)
        })?;
        let at = columns.0;
        // SAFETY: the columns are alive; all cells stand still until the log is built below.
        unsafe {
            customer.set_ids(at, CHURN_COLUMN_CUSTOMER)?;
            let times = time.ints.as_ptr();
            call(|error| churn_columns_set_times(at, times, time.rows(), unit.as_ptr(), error))?;
            time.set_valid(at, CHURN_COLUMN_TIME)?;
            match &kind {
                None => call(|error| churn_columns_set_kind(at, CHURN_KIND_PURCHASE, error))?,
                Some(kind) => kind.set_texts(at, CHURN_COLUMN_KIND)?,
            }
            if let Some(value) = &value {
                let numbers = value.numbers.as_ptr();
                call(|error| churn_columns_set_values(at, numbers, value.rows(), error))?;
                value.set_valid(at, CHURN_COLUMN_VALUE)?;
            }
            if let Some(channel) = &channel {
                channel.set_texts(at, CHURN_COLUMN_CHANNEL)?;
            }
            if let Some(order) = &order {
                order.set_ids(at, CHURN_COLUMN_ORDER)?;
            }
            if let Some(item) = &item {
                item.set_ids(at, CHURN_COLUMN_ITEM)?;
            }
            handle(churn_event_log_free, |out, error| {
                churn_event_log_build(at, pointer(&cleaning), ptr::null(), out, error)
            })
        }
    }

    fn table(&self) -> Answer<Handle<churn_feature_table>> {
        let table = self.field("table");
        let cells = Cells::new(table["customers"].as_array().unwrap());
        // SAFETY: the cells stand still during the call, outputs are places of `handle`.
        let customers = handle(churn_customers_free, |out, error| unsafe {
            if cells.are_texts {
                churn_customers_from_texts(cells.pointers.as_ptr(), cells.rows(), out, error)
            } else {
                churn_customers_from_int64(cells.ints.as_ptr(), cells.rows(), out, error)
            }
        })?;
        let columns = table["columns"].as_object().unwrap();
        let names: Vec<CString> = columns.keys().map(|name| c(name)).collect();
        let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let values: Vec<f64> = columns
            .values()
            .flat_map(|column| column.as_array().unwrap().iter().map(number))
            .collect();
        assert_eq!(values.len(), names.len() * cells.rows());
        let as_of = c(table["as_of"].as_str().unwrap());
        // SAFETY: the customers are alive, texts end in NUL, there is a value per name and row.
        handle(churn_feature_table_free, |out, error| unsafe {
            churn_feature_table_from_columns(
                customers.0,
                as_of.as_ptr(),
                names.as_ptr(),
                names.len(),
                values.as_ptr(),
                out,
                error,
            )
        })
    }

    fn scores(&self, table: &Handle<churn_feature_table>) -> Answer<Handle<churn_scores>> {
        let json = self.settings("scorecard");
        // SAFETY: handles are alive, the JSON ends in NUL, outputs are places of `handle`.
        unsafe {
            let card = handle(churn_scorecard_free, |out, error| match &json {
                None => churn_scorecard_default(out, error),
                Some(json) => churn_scorecard_from_json(json.as_ptr(), out, error),
            })?;
            handle(churn_scores_free, |out, error| {
                churn_scorecard_score(card.0, table.0, ptr::null(), out, error)
            })
        }
    }

    fn risk_tiers(&self, scores: &Handle<churn_scores>) -> Answer<Handle<churn_segments>> {
        let tiers = self.settings("risk_tiers");
        // SAFETY: the scores are alive, the settings are NULL or end in NUL.
        handle(churn_segments_free, |out, error| unsafe {
            churn_segments_risk_tiers(scores.0, pointer(&tiers), out, error)
        })
    }

    fn grid(&self, table: &Handle<churn_feature_table>) -> Answer<Handle<churn_segments>> {
        let given = self.0.get("grid");
        let name = given.map_or(Some("rf25"), Value::as_str).map(c);
        let json = self.settings("grid");
        // SAFETY: handles are alive, texts end in NUL, outputs are places of `handle`.
        unsafe {
            let grid = handle(churn_grid_free, |out, error| match &name {
                Some(name) => churn_grid_named(name.as_ptr(), out, error),
                None => churn_grid_from_json(pointer(&json), out, error),
            })?;
            handle(churn_segments_free, |out, error| {
                churn_grid_assign(grid.0, table.0, out, error)
            })
        }
    }

    fn plan(&self) -> Answer<Handle<churn_plan>> {
        let table = self.table()?;
        let scores = self.scores(&table)?;
        let mut groupings = vec![self.risk_tiers(&scores)?, self.grid(&table)?];
        if feature_names(&table)?
            .iter()
            .any(|name| name == "lifecycle_stage")
        {
            groupings.push(lifecycle(&table)?);
        }
        let groupings: Vec<*const churn_segments> =
            groupings.iter().map(|one| one.0.cast_const()).collect();
        let (all, count) = (groupings.as_ptr(), groupings.len());
        let given = self.0.get("playbook");
        let toml = given.and_then(Value::as_str).map(c);
        let json = given
            .filter(|given| given.is_object())
            .map(|json| c(&json.to_string()));
        // SAFETY: handles are alive, texts are NULL or end in NUL, there are `count` groupings.
        unsafe {
            let playbook = handle(churn_playbook_free, |out, error| match &json {
                Some(json) => {
                    churn_playbook_from_json(json.as_ptr(), table.0, all, count, out, error)
                }
                None => churn_playbook_from_toml(pointer(&toml), table.0, all, count, out, error),
            })?;
            handle(churn_plan_free, |out, error| {
                churn_playbook_match(playbook.0, table.0, scores.0, all, count, out, error)
            })
        }
    }
}

/// The cells of a column in every form in which C may hand them over.
struct Cells {
    are_texts: bool,
    ints: Vec<i64>,
    numbers: Vec<f64>,
    pointers: Vec<*const c_char>,
    valid: Vec<u8>,
    /// Behind `pointers`.
    _texts: Vec<Option<CString>>,
}

impl Cells {
    fn new(cells: &[Value]) -> Self {
        let texts: Vec<_> = cells.iter().map(|cell| cell.as_str().map(c)).collect();
        Cells {
            are_texts: cells.iter().any(Value::is_string),
            ints: cells
                .iter()
                .map(|cell| cell.as_i64().unwrap_or(0))
                .collect(),
            numbers: cells
                .iter()
                .map(|cell| if is_number(cell) { number(cell) } else { 0.0 })
                .collect(),
            pointers: texts.iter().map(pointer).collect(),
            valid: cells.iter().map(|cell| u8::from(!cell.is_null())).collect(),
            _texts: texts,
        }
    }

    fn rows(&self) -> usize {
        self.valid.len()
    }

    /// # Safety
    /// The columns are alive; the cells stand still until the log is built.
    unsafe fn set_ids(&self, columns: *mut churn_columns, column: i32) -> Answer<()> {
        // SAFETY: as the caller says.
        unsafe {
            if self.are_texts {
                return self.set_texts(columns, column);
            }
            let ids = self.ints.as_ptr();
            call(|error| churn_columns_set_int64(columns, column, ids, self.rows(), error))?;
            self.set_valid(columns, column)
        }
    }

    /// # Safety
    /// As for [`set_ids`](Self::set_ids).
    unsafe fn set_texts(&self, columns: *mut churn_columns, column: i32) -> Answer<()> {
        let texts = self.pointers.as_ptr();
        // SAFETY: as the caller says; missing texts are NULL.
        call(|error| unsafe { churn_columns_set_texts(columns, column, texts, self.rows(), error) })
    }

    /// # Safety
    /// As for [`set_ids`](Self::set_ids).
    unsafe fn set_valid(&self, columns: *mut churn_columns, column: i32) -> Answer<()> {
        if !self.valid.contains(&0) {
            return Ok(());
        }
        let flags = self.valid.as_ptr();
        // SAFETY: as the caller says.
        call(|error| unsafe { churn_columns_set_valid(columns, column, flags, self.rows(), error) })
    }
}

fn is_number(cell: &Value) -> bool {
    cell.is_number() || ["NaN", "inf", "-inf"].iter().any(|name| cell == name)
}

fn number(cell: &Value) -> f64 {
    match cell {
        Value::String(text) => text.parse().expect("NaN, inf or -inf"),
        _ => cell.as_f64().unwrap(),
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
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
