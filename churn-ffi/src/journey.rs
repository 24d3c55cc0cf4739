//! Win-back journeys: a pure step from state to state, and replays over days of a log.

use std::ffi::c_char;
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::{contact_batch, journey_log_batch, replay_batch};
use churn_core::journey::{
    CustomerRecord, Engine, EventRecord, NewEvent, News, Outcome, Replay, State, events_between,
    lot,
};
use churn_core::settings::from_json;
use churn_core::strategy::{Facts, Plan};
use churn_core::winback::{JourneySettings, WinBackSettings};
use churn_core::{AsOf, Error, Horizon, Timestamp};

use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard, in_range};
use crate::progress::{churn_progress, observe};
use crate::strategy::churn_plan;
use crate::texts::churn_texts;
use crate::winback::churn_win_back;

/// Journeys, contact policy and playbook, checked and ready to run. It holds no state: any number
/// of states may be stepped with it, by several threads at once.
pub struct churn_journey_engine(Engine);

/// Where every customer stands; stored as JSON between two steps.
pub struct churn_journey_state(State);

/// What a step decided: contacts to make, and a log with reasons. Independent of engine and state.
pub struct churn_journey_outcome {
    pub(crate) outcome: Outcome,
    customers: churn_customers,
}

/// Journeys run over a span of days.
pub struct churn_journey_replay(pub(crate) Replay);

/// Makes an engine for a log's channels. `settings` is JSON with the fields of the core's
/// WinBackSettings, `journeys` JSON with those of JourneySettings ("journeys", "policy",
/// "learning"); NULL = defaults for either. Errors in journeys and policies name place and line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_engine_new(
    log: *const churn_event_log,
    settings: *const c_char,
    journeys: *const c_char,
    engine: *mut *mut churn_journey_engine,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, settings, journeys, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::settings::<WinBackSettings>(settings, "winback")?,
                guard::settings::<JourneySettings>(journeys, "journeys")?,
                Out::new(engine, "engine")?,
            )
        };
        let engine = settings.engine(log.log().channels(), &journeys)?;
        out.write_handle(churn_journey_engine(engine));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees an engine; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_engine_free(engine: *mut churn_journey_engine) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(engine) }
}

/// The state of a shop with a past: what the events strictly before `as_of` say of purchases,
/// complaints and messages. With a NULL `log`, the state of a shop about which nothing is known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_engine_begin(
    engine: *const churn_journey_engine,
    log: *const churn_event_log,
    as_of: *const c_char,
    state: *mut *mut churn_journey_state,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (engine, log, as_of, out) = unsafe {
            (
                guard::handle(engine, "engine")?,
                log.as_ref(),
                guard::text(as_of, "as_of")?,
                Out::new(state, "state")?,
            )
        };
        let as_of = AsOf::parse(as_of)?;
        let state = match log {
            Some(log) => engine.0.begin(&log.log().history(as_of))?,
            None => engine.0.start(as_of.instant()),
        };
        out.write_handle(churn_journey_state(state));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Steps to `until` (NULL = `now`); the state that is given stays as it is. Times are texts such as
/// "2011-12-10T09:00:00", in UTC. `events` (may be NULL) is a JSON list of objects with "customer",
/// "time", "kind" (a kind of the event log, "unsubscribed" or "subscribed") and "channel". `log` (may
/// be NULL) tells its events from `since` (NULL = the state's clock) to `now`; events told twice
/// change nothing. `facts` (NULL where no decision reads any) is the result of the flow with the
/// engine's settings, as of an instant not after `now`. `plan` (may be NULL) is the plan in force, for
/// steps that make what it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_engine_step(
    engine: *const churn_journey_engine,
    state: *const churn_journey_state,
    now: *const c_char,
    until: *const c_char,
    events: *const c_char,
    log: *const churn_event_log,
    since: *const c_char,
    facts: *const churn_win_back,
    plan: *const churn_plan,
    next: *mut *mut churn_journey_state,
    outcome: *mut *mut churn_journey_outcome,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and NULL
        // or places for pointers.
        let (engine, state, now, until, events, log, since, facts, plan, next, outcome) = unsafe {
            (
                guard::handle(engine, "engine")?,
                guard::handle(state, "state")?,
                guard::text(now, "now")?,
                guard::optional_text(until, "until")?,
                guard::optional_text(events, "events")?,
                log.as_ref(),
                guard::optional_text(since, "since")?,
                facts.as_ref(),
                plan.as_ref(),
                Out::new(next, "next")?,
                Out::new(outcome, "outcome")?,
            )
        };
        let now = instant("now", now)?;
        let until = until.map(|text| instant("until", text)).transpose()?;
        let since = since.map(|text| instant("since", text)).transpose()?;
        let records: Vec<EventRecord> = match events {
            Some(text) => from_json("events", text)?,
            None => Vec::new(),
        };
        let mut told: Vec<NewEvent<'_>> = records.iter().map(EventRecord::event).collect();
        if let Some(log) = log {
            let since = since.unwrap_or(state.0.clock());
            let end = Timestamp::from_micros(now.micros().saturating_add(1))?;
            told.extend(events_between(log.log(), &engine.0, since, end));
        }
        let mut news = News::at(now).until(until.unwrap_or(now)).with_events(&told);
        if let Some(plan) = plan {
            news = news.with_plan(plan.plan());
        }
        let (after, decided) = match facts {
            None => engine.0.step(&state.0, &news)?,
            Some(found) => {
                let found = found.flow();
                let segments = [&found.risk_tier, &found.rfm_segment, &found.lifecycle];
                let facts = Facts::new(&found.features, &found.scores, &segments)?;
                engine.0.step(&state.0, &news.with_facts(&facts))?
            }
        };
        next.write_handle(churn_journey_state(after));
        outcome.write_handle(churn_journey_outcome {
            customers: churn_customers::new(&decided.customers),
            outcome: decided,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

fn instant(what: &str, text: &str) -> churn_core::Result<Timestamp> {
    Timestamp::parse(text).map_err(|e| Error::invalid_parameter(what, e.expected(), e.got()))
}

/// Reads a state that churn_journey_state_to_json wrote; a state of another version is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_from_json(
    json: *const c_char,
    state: *mut *mut churn_journey_state,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(state, "state")?) };
        out.write_handle(churn_journey_state(State::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The state as JSON, a list of one text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_to_json(
    state: *const churn_journey_state,
    json: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for one pointer.
        let (state, out) = unsafe { (guard::handle(state, "state")?, Out::new(json, "json")?) };
        out.write_handle(churn_texts::new([state.0.to_json()?]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Takes over what is known of single customers: a JSON list of objects with "customer" and, where
/// they change, "zone" (a name of the IANA time zone database) and "held_out".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_describe(
    state: *mut churn_journey_state,
    customers: *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle that nobody else uses, and NULL or a
        // text ending in NUL.
        let (state, customers) = unsafe {
            (
                guard::handle_mut(state, "state")?,
                guard::text(customers, "customers")?,
            )
        };
        let records: Vec<CustomerRecord> = from_json("customers", customers)?;
        state.0.describe(&records)?;
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of customers that the state knows; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_len(state: *const churn_journey_state) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { state.as_ref() }.map_or(0, |state| state.0.customers().len())
}

/// The instant up to which everything is done, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_clock_micros(
    state: *const churn_journey_state,
) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { state.as_ref() }.map_or(0, |state| state.0.clock().micros())
}

/// Frees a state; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_state_free(state: *mut churn_journey_state) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(state) }
}

/// Number of contacts to make; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_contact_count(
    outcome: *const churn_journey_outcome,
) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { outcome.as_ref() }.map_or(0, |outcome| outcome.outcome.contacts.len())
}

/// The customers that rows of contacts count, valid until the outcome is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_customers(
    outcome: *const churn_journey_outcome,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { outcome.as_ref() }.map_or(ptr::null(), |outcome| &outcome.customers)
}

/// One contact: the customer's row, when to make it (microseconds since 1970-01-01 UTC), the chance
/// with which it was chosen, its cost and the cost of its offers if the customer answers (currency).
/// `names` receives a list of four texts: journey, step, offers and channels (ids joined by "+").
/// Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_contact(
    outcome: *const churn_journey_outcome,
    index: usize,
    row: *mut usize,
    at_micros: *mut i64,
    propensity: *mut f64,
    cost: *mut f64,
    offer_cost: *mut f64,
    names: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (outcome, row, at_micros, propensity, cost, offer_cost, names) = unsafe {
            (
                &guard::handle(outcome, "outcome")?.outcome,
                Out::optional(row),
                Out::optional(at_micros),
                Out::optional(propensity),
                Out::optional(cost),
                Out::optional(offer_cost),
                Out::optional(names),
            )
        };
        let contact = &outcome.contacts[in_range(index, outcome.contacts.len(), "index")?];
        if let Some(out) = row {
            out.write(contact.row as usize);
        }
        if let Some(out) = at_micros {
            out.write(contact.at.micros());
        }
        for (out, value) in [
            (propensity, contact.propensity),
            (cost, contact.cost),
            (offer_cost, contact.offer_cost),
        ] {
            if let Some(out) = out {
                out.write(value);
            }
        }
        if let Some(out) = names {
            let channels = outcome.channels(contact.journey, contact.step, contact.option);
            out.write_handle(churn_texts::new([
                outcome.journey(contact.journey).to_owned(),
                outcome.step(contact.journey, contact.step).to_owned(),
                outcome.offers(contact).join("+"),
                channels.join("+"),
            ]));
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Every decision with its reason, one line each, e.g.
/// "2021-01-31 ann win_back.recommend: held quiet_hours until 2021-01-31T09:00:00".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_lines(
    outcome: *const churn_journey_outcome,
    lines: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for one pointer.
        let (outcome, out) = unsafe {
            (
                &guard::handle(outcome, "outcome")?.outcome,
                Out::new(lines, "lines")?,
            )
        };
        let log = outcome.log.iter();
        out.write_handle(churn_texts::new(log.map(|entry| outcome.line(entry))));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The next instant at which something is due if nothing happens before, in microseconds since
/// 1970-01-01 UTC; INT64_MAX where there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_next_due_micros(
    outcome: *const churn_journey_outcome,
) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let outcome = unsafe { outcome.as_ref() };
    let due = outcome.and_then(|outcome| outcome.outcome.next_due);
    due.map_or(i64::MAX, Timestamp::micros)
}

/// Writes the contacts as an Arrow C stream: "customer", "at", "journey", "step", "offers" and
/// "channels" (ids joined by "+"), "segment", "propensity", "cost", "offer_cost", "replaced", "planned".
/// The stream is independent of the outcome; release it. What stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_export_contacts(
    outcome: *const churn_journey_outcome,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (outcome, out) = unsafe {
            (
                guard::handle(outcome, "outcome")?,
                Out::new(stream, "stream")?,
            )
        };
        export(contact_batch(&outcome.outcome)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes every decision as an Arrow C stream: "customer", "at", "journey", "step", "decision",
/// "reason", "segment", "until", "propensity". The stream is independent of the outcome; release it. What stood
/// in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_export_log(
    outcome: *const churn_journey_outcome,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (outcome, out) = unsafe {
            (
                guard::handle(outcome, "outcome")?,
                Out::new(stream, "stream")?,
            )
        };
        export(journey_log_batch(&outcome.outcome)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees an outcome; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_outcome_free(outcome: *mut churn_journey_outcome) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(outcome) }
}

/// Runs journeys over the days from `from` (NULL = the day after the last event) to `to` (exclusive,
/// NULL = 90 days later) of a log, dates in text; days after its last event are a forecast for
/// customers who stay silent. `settings` and `journeys` as for churn_journey_engine_new; `plan`
/// (NULL for none) is in force from its instant on, for steps that make what it says; `progress` may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_run(
    log: *const churn_event_log,
    from: *const c_char,
    to: *const c_char,
    settings: *const c_char,
    journeys: *const c_char,
    plan: *const churn_plan,
    progress: *const churn_progress,
    replay: *mut *mut churn_journey_replay,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and NULL
        // or a place for one pointer.
        let (log, from, to, settings, journeys, plan, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::optional_text(from, "from")?,
                guard::optional_text(to, "to")?,
                guard::settings::<WinBackSettings>(settings, "winback")?,
                guard::settings::<JourneySettings>(journeys, "journeys")?,
                plan.as_ref(),
                progress.as_ref(),
                Out::new(replay, "replay")?,
            )
        };
        let from = match from {
            Some(text) => AsOf::new(instant("from", text)?),
            None => log.log().day_after_last()?,
        };
        let to = match to {
            Some(text) => AsOf::new(instant("to", text)?),
            None => AsOf::new(Horizon::days(90)?.end(from)),
        };
        let found = observe(progress, |progress| {
            let plans: Vec<&Plan> = plan.iter().map(|plan| plan.plan()).collect();
            settings.replay_planned(log.log(), from, to, &journeys, &plans, progress)
        })?;
        out.write_handle(churn_journey_replay(found));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of contacts made; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_contact_count(
    replay: *const churn_journey_replay,
) -> u64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { replay.as_ref() }.map_or(0, |replay| replay.0.contacts())
}

/// Cost of all contacts (currency of the playbook); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_cost(replay: *const churn_journey_replay) -> f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { replay.as_ref() }.map_or(0.0, |replay| replay.0.cost())
}

/// The calendar as a table for people, `days` days per line: a list of one text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_calendar(
    replay: *const churn_journey_replay,
    days: usize,
    calendar: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for one pointer.
        let (replay, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                Out::new(calendar, "calendar")?,
            )
        };
        out.write_handle(churn_texts::new([replay.0.calendar(days).to_string()]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Two rival journeys or policies over the same log and days side by side, as a table for people: a
/// list of one text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_compare(
    replay: *const churn_journey_replay,
    rival: *const churn_journey_replay,
    comparison: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for one pointer.
        let (replay, rival, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                guard::handle(rival, "rival")?,
                Out::new(comparison, "comparison")?,
            )
        };
        out.write_handle(churn_texts::new([replay.0.compare(&rival.0)?.to_string()]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the calendar, one row per day, as an Arrow C stream: "date", "entered", "left",
/// "contacts", one count per channel ("contacts_CHANNEL"), "held_out", counts per rule
/// ("held_RULE", "skipped_RULE"), "cost". The stream is independent of the replay; release it.
/// What stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_export_days(
    replay: *const churn_journey_replay,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (replay, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                Out::new(stream, "stream")?,
            )
        };
        export(replay_batch(&replay.0)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the contacts as churn_journey_outcome_export_contacts does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_export_contacts(
    replay: *const churn_journey_replay,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (replay, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                Out::new(stream, "stream")?,
            )
        };
        export(contact_batch(&replay.0.outcome)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes every decision as churn_journey_outcome_export_log does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_export_log(
    replay: *const churn_journey_replay,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (replay, out) = unsafe {
            (
                guard::handle(replay, "replay")?,
                Out::new(stream, "stream")?,
            )
        };
        export(journey_log_batch(&replay.0.outcome)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a replay; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_replay_free(replay: *mut churn_journey_replay) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(replay) }
}

/// The lot of a customer under a salt, in [0, 1): held out are those below the share. An integer id
/// is given in decimal digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_journey_lot(
    salt: *const c_char,
    customer: *const c_char,
    out_lot: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or texts ending in NUL, and NULL or a place for a
        // number.
        let (salt, customer, out) = unsafe {
            (
                guard::text(salt, "salt")?,
                guard::text(customer, "customer")?,
                Out::new(out_lot, "out_lot")?,
            )
        };
        out.write(lot(salt, customer));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
