//! Playbooks and the plan they give: who gets what, through which channels, at what cost.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::plan_batch;
use churn_core::segments::Segments;
use churn_core::strategy::{
    Facts, NoAction, Plan, PlanSummary, Playbook, Vocabulary, match_actions,
};
use churn_core::text::Language;

use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{c_text, churn_error, churn_status};
use crate::features::churn_feature_table;
use crate::guard::{self, Out, Result, guard, in_range};
use crate::held::Held;
use crate::scoring::{churn_scores, language};
use crate::segments::churn_segments;
use crate::texts::{LazyText, churn_texts};

/// In the codes of a plan: the customer has no action.
pub const CHURN_NO_ACTION: i32 = -1;

/// The customer has an action.
pub const CHURN_WHY_NONE_HAS_ACTION: i32 = 0;
/// No audience holds for the customer.
pub const CHURN_WHY_NONE_NO_AUDIENCE: i32 = 1;
/// Some audience holds, but no such action has both an offer that the customer may have and a
/// channel set that is open to the customer.
pub const CHURN_WHY_NONE_NOTHING_OPEN: i32 = 2;
/// What is open costs more than it brings. From here on only in plans made for profit.
pub const CHURN_WHY_NONE_UNPROFITABLE: i32 = 3;
/// What is open would pay, but others bring more with what is limited.
pub const CHURN_WHY_NONE_OUTBID: i32 = 4;
/// The value at stake is not known.
pub const CHURN_WHY_NONE_UNKNOWN_VALUE: i32 = 5;
/// On the list, or meets the condition, of those who get nothing.
pub const CHURN_WHY_NONE_EXCLUDED: i32 = 6;
/// Left alone for comparison.
pub const CHURN_WHY_NONE_HELD_OUT: i32 = 7;

/// Channels, offers and actions with their audiences and costs, checked against the names that the
/// conditions may use.
pub struct churn_playbook {
    playbook: Playbook,
    toml: LazyText,
    json: LazyText,
}

/// One action per customer, or none, with channels, expected response and costs. Independent of the
/// tables that it was made from.
pub struct churn_plan {
    plan: Held<Plan>,
    customers: churn_customers,
    currency: CString,
    actions: Vec<ActionNames>,
    summary: OnceLock<(PlanSummary, CString)>,
}

struct ActionNames {
    id: CString,
    english: CString,
    chinese: CString,
}

impl churn_playbook {
    fn new(playbook: Playbook) -> Self {
        churn_playbook {
            playbook,
            toml: LazyText::default(),
            json: LazyText::default(),
        }
    }

    pub(crate) fn inner(&self) -> &Playbook {
        &self.playbook
    }
}

impl churn_plan {
    pub(crate) fn new(plan: impl Into<Held<Plan>>) -> Self {
        let plan = plan.into();
        let actions = plan.playbook().actions.iter();
        churn_plan {
            customers: churn_customers::new(plan.customers()),
            currency: c_text(&plan.playbook().currency),
            actions: actions
                .map(|action| ActionNames {
                    id: c_text(&action.id),
                    english: c_text(action.name.get(Language::English)),
                    chinese: c_text(action.name.get(Language::Chinese)),
                })
                .collect(),
            plan,
            summary: OnceLock::new(),
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn summary(&self) -> &(PlanSummary, CString) {
        self.summary.get_or_init(|| {
            let summary = self.plan.summary();
            let text = c_text(&summary.to_string());
            (summary, text)
        })
    }

    fn row(&self, row: usize) -> Result<usize> {
        in_range(row, self.plan.customers().len(), "row")
    }
}

/// The groupings behind an array of handles.
///
/// # Safety
/// `groupings` is NULL (for none) or holds `count` pointers, each NULL or a live handle.
pub(crate) unsafe fn groupings<'a>(
    groupings: *const *const churn_segments,
    count: usize,
) -> Result<Vec<&'a Segments>> {
    // SAFETY: as the caller says.
    let handles = unsafe { guard::slice(groupings, count, "groupings") }?;
    handles
        .iter()
        // SAFETY: as the caller says.
        .map(|one| Ok(unsafe { guard::handle(*one, "groupings") }?.segments()))
        .collect()
}

/// The names that conditions on these tables may use.
fn vocabulary(table: &churn_feature_table, groupings: &[&Segments]) -> Result<Vocabulary> {
    let mut vocabulary = Vocabulary::new().with_features(table.table().features())?;
    for segments in groupings {
        vocabulary = vocabulary.with_segments(segments)?;
    }
    Ok(vocabulary)
}

/// Reads a playbook in TOML (NULL = the one that the library brings along) and checks it against
/// the names that its conditions may use: the features of `table`, "churn_probability", and the
/// `count` groupings by name and label. Errors name the place and the line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_from_toml(
    toml: *const c_char,
    table: *const churn_feature_table,
    groupings: *const *const churn_segments,
    count: usize,
    playbook: *mut *mut churn_playbook,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (table, groupings, out) = unsafe {
            (
                guard::handle(table, "table")?,
                self::groupings(groupings, count)?,
                Out::new(playbook, "playbook")?,
            )
        };
        let vocabulary = vocabulary(table, &groupings)?;
        let loaded = if toml.is_null() {
            Playbook::default_for(&vocabulary)?
        } else {
            // SAFETY: the text ends in NUL.
            Playbook::from_toml(unsafe { guard::text(toml, "toml") }?, &vocabulary)?
        };
        out.write_handle(churn_playbook::new(loaded));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a playbook in JSON. The rest is as for churn_playbook_from_toml.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_from_json(
    json: *const c_char,
    table: *const churn_feature_table,
    groupings: *const *const churn_segments,
    count: usize,
    playbook: *mut *mut churn_playbook,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (json, table, groupings, out) = unsafe {
            (
                guard::text(json, "json")?,
                guard::handle(table, "table")?,
                self::groupings(groupings, count)?,
                Out::new(playbook, "playbook")?,
            )
        };
        let loaded = Playbook::from_json(json, &vocabulary(table, &groupings)?)?;
        out.write_handle(churn_playbook::new(loaded));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The playbook as TOML, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_to_toml(
    playbook: *const churn_playbook,
    toml: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (playbook, out) = unsafe {
            (
                guard::handle(playbook, "playbook")?,
                Out::new(toml, "toml")?,
            )
        };
        out.write(playbook.toml.get(|| playbook.playbook.to_toml())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The playbook as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_to_json(
    playbook: *const churn_playbook,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (playbook, out) = unsafe {
            (
                guard::handle(playbook, "playbook")?,
                Out::new(json, "json")?,
            )
        };
        out.write(playbook.json.get(|| playbook.playbook.to_json())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Gives every customer the action of the highest priority that is open, or none. The tables must
/// speak of the same customers and instant; they may be freed afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_match(
    playbook: *const churn_playbook,
    table: *const churn_feature_table,
    scores: *const churn_scores,
    groupings: *const *const churn_segments,
    count: usize,
    plan: *mut *mut churn_plan,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (playbook, table, scores, groupings, out) = unsafe {
            (
                guard::handle(playbook, "playbook")?,
                guard::handle(table, "table")?,
                guard::handle(scores, "scores")?,
                self::groupings(groupings, count)?,
                Out::new(plan, "plan")?,
            )
        };
        let facts = Facts::new(table.table(), scores.scores(), &groupings)?;
        let plan = match_actions(&playbook.playbook, &facts)?;
        out.write_handle(churn_plan::new(plan));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a playbook; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_free(playbook: *mut churn_playbook) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(playbook) }
}

/// Number of customers (rows); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_len(plan: *const churn_plan) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(0, |plan| plan.plan.customers().len())
}

/// The customers, one per row, valid until the plan is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_customers(plan: *const churn_plan) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| &plan.customers)
}

/// The instant that the plan is made for, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_as_of_micros(plan: *const churn_plan) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(0, |plan| plan.plan.as_of().instant().micros())
}

/// How many days the churn probabilities behind the plan look ahead; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_horizon_days(plan: *const churn_plan) -> u32 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(0, |plan| plan.plan.horizon().as_days())
}

/// The currency of all costs, valid until the plan is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_currency(plan: *const churn_plan) -> *const c_char {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.currency.as_ptr())
}

/// Number of actions of the playbook; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_action_count(plan: *const churn_plan) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(0, |plan| plan.actions.len())
}

/// An action of the playbook: its id, and its name in `language` ("en" or "zh", NULL = "en"). Each
/// output may be NULL; the texts are valid until the plan is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_action(
    plan: *const churn_plan,
    index: usize,
    language: *const c_char,
    id: *mut *const c_char,
    name: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or places for outputs.
        let (plan, language, id, name) = unsafe {
            (
                guard::handle(plan, "plan")?,
                self::language(language)?,
                Out::optional(id),
                Out::optional(name),
            )
        };
        let action = &plan.actions[in_range(index, plan.actions.len(), "index")?];
        if let Some(out) = id {
            out.write(action.id.as_ptr());
        }
        if let Some(out) = name {
            out.write(match language {
                Language::English => action.english.as_ptr(),
                Language::Chinese => action.chinese.as_ptr(),
            });
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Index of each customer's action, CHURN_NO_ACTION where there is none; valid until the plan is
/// freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_action_codes(plan: *const churn_plan) -> *const i32 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.plan.action_codes().as_ptr())
}

/// Index of each customer's channels among the action's channel sets, CHURN_NO_ACTION where there is
/// no action; valid until the plan is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_channel_set_codes(plan: *const churn_plan) -> *const i32 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.plan.channel_set_codes().as_ptr())
}

/// Chance that each customer answers at least once (0 to 1), 0 without an action; valid until the
/// plan is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_expected_response(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.plan.expected_response().as_ptr())
}

/// Cost of contacting each customer (currency), 0 without an action; valid until the plan is freed;
/// NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_contact_cost(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.plan.contact_cost().as_ptr())
}

/// Expected cost of each customer's offers (currency), 0 without an action; valid until the plan is
/// freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_offer_cost(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { plan.as_ref() }.map_or(ptr::null(), |plan| plan.plan.offer_cost().as_ptr())
}

/// Ids of the channels over which one customer is contacted; none without an action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_channels(
    plan: *const churn_plan,
    row: usize,
    channels: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (plan, out) = unsafe {
            (
                guard::handle(plan, "plan")?,
                Out::new(channels, "channels")?,
            )
        };
        let row = plan.row(row)?;
        out.write_handle(churn_texts::new(plan.plan.channels(row)));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Ids of the offers that one customer is given; none without an action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_offers(
    plan: *const churn_plan,
    row: usize,
    offers: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(offers, "offers")?) };
        let row = plan.row(row)?;
        let offers = plan.plan.offers(row);
        out.write_handle(churn_texts::new(offers.iter().map(|offer| &offer.id)));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Why one customer gets this action over these channels, or none: a list of one text in `language`
/// ("en" or "zh", NULL = "en").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_why(
    plan: *const churn_plan,
    row: usize,
    language: *const c_char,
    why: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (plan, language, out) = unsafe {
            (
                guard::handle(plan, "plan")?,
                self::language(language)?,
                Out::new(why, "why")?,
            )
        };
        let row = plan.row(row)?;
        out.write_handle(churn_texts::new([plan.plan.why(row, language)]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Why one customer has no action: one of CHURN_WHY_NONE_….
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_why_none(
    plan: *const churn_plan,
    row: usize,
    reason: *mut i32,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a number.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(reason, "reason")?) };
        let row = plan.row(row)?;
        out.write(match plan.plan.no_action(row) {
            None => CHURN_WHY_NONE_HAS_ACTION,
            Some(NoAction::NoAudience) => CHURN_WHY_NONE_NO_AUDIENCE,
            Some(NoAction::NothingOpen) => CHURN_WHY_NONE_NOTHING_OPEN,
            Some(NoAction::Unprofitable) => CHURN_WHY_NONE_UNPROFITABLE,
            Some(NoAction::Outbid) => CHURN_WHY_NONE_OUTBID,
            Some(NoAction::UnknownValue) => CHURN_WHY_NONE_UNKNOWN_VALUE,
            Some(NoAction::Excluded) => CHURN_WHY_NONE_EXCLUDED,
            Some(NoAction::HeldOut) => CHURN_WHY_NONE_HELD_OUT,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What one action comes to: the customers who get it, their share of all (0 to 1), how many are
/// expected to answer, the cost of contacting them and the expected cost of their offers (currency).
/// With index CHURN_NO_ACTION: the customers without an action. Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_action_summary(
    plan: *const churn_plan,
    index: i32,
    customers: *mut u64,
    share: *mut f64,
    expected_responses: *mut f64,
    contact_cost: *mut f64,
    offer_cost: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (plan, customers, share, expected_responses, contact_cost, offer_cost) = unsafe {
            (
                guard::handle(plan, "plan")?,
                Out::optional(customers),
                Out::optional(share),
                Out::optional(expected_responses),
                Out::optional(contact_cost),
                Out::optional(offer_cost),
            )
        };
        let summary = &plan.summary().0;
        let (count, part, responses, contacts, offers) = if index == CHURN_NO_ACTION {
            let part = summary.share_without_action();
            (summary.without_action, part, 0.0, 0.0, 0.0)
        } else {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let one = &summary.actions[in_range(index, summary.actions.len(), "index")?];
            (
                one.customers,
                one.share,
                one.expected_responses,
                one.contact_cost,
                one.offer_cost,
            )
        };
        if let Some(out) = customers {
            out.write(count as u64);
        }
        for (out, value) in [
            (share, part),
            (expected_responses, responses),
            (contact_cost, contacts),
            (offer_cost, offers),
        ] {
            if let Some(out) = out {
                out.write(value);
            }
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What the plan comes to, as a text table for people, valid until the plan is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_summary(
    plan: *const churn_plan,
    summary: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(summary, "summary")?) };
        out.write(plan.summary().1.as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the plan as an Arrow C stream: "customer", "action", "channels" and "offers" (ids joined by
/// "+"), "expected_response", "contact_cost", "offer_cost"; of a plan made for profit also
/// "expected_profit", "change", "source", "stake", "day", "no_action". The stream is independent of the
/// plan; release it. What stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_export(
    plan: *const churn_plan,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(stream, "stream")?) };
        export(plan_batch(&plan.plan)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a plan; what was read from it (customers, columns, texts) goes with it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_free(plan: *mut churn_plan) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(plan) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use churn_core::strategy::NONE;

    #[test]
    fn no_action_has_the_code_of_the_core() {
        assert_eq!(CHURN_NO_ACTION, NONE);
    }
}
