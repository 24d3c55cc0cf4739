//! Contacts, logs and calendars of journeys as record batches.

use arrow_array::RecordBatch;

use super::write::BatchBuilder;
use crate::customers::{CustomerId, Customers};
use crate::error::Result;
use crate::journey::{Decision, Outcome, Rejection, Replay};

/// The contacts of an outcome: `customer`, `at`, `journey`, `step`, `offers` and `channels` (ids
/// joined by `+`), `segment`, `propensity`, `cost`, `offer_cost`, `replaced`, `planned`
/// (what the plan said, not one of the step's own options).
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn contact_batch(outcome: &Outcome) -> Result<RecordBatch> {
    let contacts = || outcome.contacts.iter();
    let texts = |of: &dyn Fn(&crate::journey::Contact) -> String| -> Vec<String> {
        contacts().map(of).collect()
    };
    let journeys = texts(&|c| outcome.journey(c.journey).to_owned());
    let steps = texts(&|c| outcome.step(c.journey, c.step).to_owned());
    let offers = texts(&|c| outcome.offers(c).join("+"));
    let channels = texts(&|c| outcome.channels(c.journey, c.step, c.option).join("+"));
    let numbers =
        |of: fn(&crate::journey::Contact) -> f64| -> Vec<f64> { contacts().map(of).collect() };
    ids(outcome, contacts().map(|c| c.row), BatchBuilder::new())
        .times("at", contacts().map(|c| Some(c.at)))
        .texts("journey", some(&journeys))
        .texts("step", some(&steps))
        .texts("offers", some(&offers))
        .texts("channels", some(&channels))
        .texts("segment", contacts().map(|c| outcome.segment(c)))
        .numbers("propensity", &numbers(|c| c.propensity))
        .describe("unit", "probability")
        .numbers("cost", &numbers(|c| c.cost))
        .describe("unit", "currency")
        .numbers("offer_cost", &numbers(|c| c.offer_cost))
        .describe("unit", "currency")
        .flags("replaced", contacts().map(|c| Some(c.replaced)))
        .flags(
            "planned",
            contacts().map(|c| Some(outcome.is_planned(c.journey, c.step, c.option))),
        )
        .finish()
}

/// The log of an outcome: `customer`, `at`, `journey`, `step`, `decision` (its name), `reason` (the
/// trigger, target, channels, rule or reason behind it), `segment` (by which journeys learn), `until`
/// (of what is held), `propensity` (of what is sent or held out).
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn journey_log_batch(outcome: &Outcome) -> Result<RecordBatch> {
    let log = || outcome.log.iter();
    let reasons: Vec<String> = log().map(|entry| outcome.reason(entry)).collect();
    let until = log().map(|entry| match entry.decision {
        Decision::Held { until, .. } => Some(until),
        _ => None,
    });
    let propensity = log().map(|entry| match entry.decision {
        Decision::Sent { propensity, .. } | Decision::HeldOut { propensity, .. } => {
            Some(propensity)
        }
        _ => None,
    });
    let step =
        |entry: &crate::journey::LogEntry| entry.step.map(|step| outcome.step(entry.journey, step));
    ids(outcome, log().map(|entry| entry.row), BatchBuilder::new())
        .times("at", log().map(|entry| Some(entry.at)))
        .texts(
            "journey",
            log().map(|entry| Some(outcome.journey(entry.journey))),
        )
        .texts("step", log().map(step))
        .texts("decision", log().map(|entry| Some(entry.decision.name())))
        .texts("reason", some(&reasons))
        .texts(
            "segment",
            log().map(|entry| entry.segment.map(|segment| outcome.segment_label(segment))),
        )
        .times("until", until)
        .optional_numbers("propensity", propensity)
        .finish()
}

/// The calendar of a replay, one row per day: `date`, `entered`, `left`, `contacts`, one count per
/// channel (`contacts_<channel>`), `held_out`, one count per rule of what was held and of what was
/// dropped (`held_<rule>`, `skipped_<rule>`), `cost`. Schema metadata: `currency`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn replay_batch(replay: &Replay) -> Result<RecordBatch> {
    let days = || replay.days.iter();
    let mut batch = BatchBuilder::new()
        .metadata("currency", replay.currency.clone())
        .times("date", days().map(|day| Some(day.date)))
        .counts("entered", days().map(|day| Some(day.entered)))
        .counts("left", days().map(|day| Some(day.left)))
        .counts("contacts", days().map(|day| Some(day.contacts)));
    for (c, channel) in replay.channels().iter().enumerate() {
        let name = format!("contacts_{channel}");
        batch = batch.counts(&name, days().map(|day| Some(day.by_channel[c])));
    }
    batch = batch.counts("held_out", days().map(|day| Some(day.held_out)));
    for (i, rule) in Rejection::ALL.iter().enumerate() {
        let (held, skipped) = (
            format!("held_{}", rule.name()),
            format!("skipped_{}", rule.name()),
        );
        batch = batch
            .counts(&held, days().map(|day| Some(day.held[i])))
            .counts(&skipped, days().map(|day| Some(day.skipped[i])));
    }
    let costs: Vec<f64> = days().map(|day| day.cost).collect();
    batch
        .numbers("cost", &costs)
        .describe("unit", "currency")
        .finish()
}

fn some(texts: &[String]) -> impl Iterator<Item = Option<&str>> + Clone {
    texts.iter().map(|text| Some(text.as_str()))
}

/// Ids of rows, which may stand several times.
fn ids(
    outcome: &Outcome,
    rows: impl Iterator<Item = u32> + Clone,
    batch: BatchBuilder,
) -> BatchBuilder {
    let customers: &Customers = &outcome.customers;
    let id = |row: u32| customers.get(row as usize);
    match customers.iter().next() {
        None | Some(CustomerId::Int(_)) => batch.integers(
            "customer",
            rows.map(|row| match id(row) {
                CustomerId::Int(id) => Some(id),
                _ => None,
            }),
        ),
        Some(CustomerId::Uint(_)) => batch.counts(
            "customer",
            rows.map(|row| match id(row) {
                CustomerId::Uint(id) => Some(id),
                _ => None,
            }),
        ),
        Some(CustomerId::Text(_)) => batch.texts(
            "customer",
            rows.map(|row| match id(row) {
                CustomerId::Text(id) => Some(id),
                _ => None,
            }),
        ),
    }
}
