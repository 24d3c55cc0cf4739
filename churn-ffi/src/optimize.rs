//! Plans of the largest expected profit that limits allow.

use std::ffi::c_char;
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::Error;
use churn_core::arrow::{curve_batch, price_batch};
use churn_core::strategy::{Allocation, Effects, Facts, OptimizeSettings, Plan, optimize_with};

use crate::arrow::export;
use crate::error::{churn_error, churn_status};
use crate::features::churn_feature_table;
use crate::guard::{self, Out, Result, guard};
use crate::progress::{churn_progress, observe};
use crate::scoring::churn_scores;
use crate::segments::churn_segments;
use crate::strategy::{churn_plan, churn_playbook, groupings};
use crate::texts::churn_texts;

/// Uplift estimates for actions, gathered one by one; copied, so arrays may be freed at once.
#[derive(Default)]
pub struct churn_uplift {
    estimates: Vec<Estimates>,
}

/// Estimates of one action over some channels, with standard errors where there are any.
struct Estimates {
    action: String,
    channels: Option<Vec<String>>,
    change: Vec<f64>,
    standard_error: Option<Vec<f64>>,
}

/// An empty list of uplift estimates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_new(
    uplift: *mut *mut churn_uplift,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a place for one pointer.
        let out = unsafe { Out::new(uplift, "uplift") }?;
        out.write_handle(churn_uplift::default());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds estimates for an action over `channels` (ids joined by "+"; NULL = over any that has no
/// estimate of its own): the change of each customer's probability of staying, in the rows of the
/// tables, NaN where there is none. `standard_error` (NULL = the estimates are taken as they are) draws
/// each towards what is known otherwise. Names are looked up when the plan is made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_add(
    uplift: *mut churn_uplift,
    action: *const c_char,
    channels: *const c_char,
    change: *const f64,
    standard_error: *const f64,
    count: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, texts ending in NUL, and `count`
        // numbers.
        let (uplift, action, channels, change, errors) = unsafe {
            (
                guard::handle_mut(uplift, "uplift")?,
                guard::text(action, "action")?,
                guard::optional_text(channels, "channels")?,
                guard::slice(change, count, "change")?,
                match standard_error.is_null() {
                    true => None,
                    false => Some(guard::slice(standard_error, count, "standard_error")?),
                },
            )
        };
        let channels = channels.map(|ids| ids.split('+').map(str::to_owned).collect());
        uplift.estimates.push(Estimates {
            action: action.to_owned(),
            channels,
            change: change.to_vec(),
            standard_error: errors.map(<[f64]>::to_vec),
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a list of uplift estimates; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_uplift_free(uplift: *mut churn_uplift) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(uplift) }
}

/// Gives every customer at most one action over one of its channel sets so that the expected profit
/// of all together is as large as the constraints allow. `settings` is JSON with the fields of the
/// core's OptimizeSettings (NULL = defaults: no constraints); `uplift` and `progress` may be NULL.
/// CHURN_INFEASIBLE names constraints that no plan keeps. The tables may be freed afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_playbook_optimize(
    playbook: *const churn_playbook,
    table: *const churn_feature_table,
    scores: *const churn_scores,
    groupings: *const *const churn_segments,
    count: usize,
    uplift: *const churn_uplift,
    settings: *const c_char,
    progress: *const churn_progress,
    plan: *mut *mut churn_plan,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (playbook, table, scores, groupings, uplift, settings, progress, out) = unsafe {
            (
                guard::handle(playbook, "playbook")?,
                guard::handle(table, "table")?,
                guard::handle(scores, "scores")?,
                self::groupings(groupings, count)?,
                uplift.as_ref(),
                guard::settings::<OptimizeSettings>(settings, "optimize")?,
                progress.as_ref(),
                Out::new(plan, "plan")?,
            )
        };
        let facts = Facts::new(table.table(), scores.scores(), &groupings)?;
        let mut effects = Effects::new(playbook.inner(), &facts, &settings.effects)?;
        let estimates = uplift.map_or(&[][..], |uplift| &uplift.estimates);
        for one in estimates {
            effects = effects.with_uplift_errors(
                &one.action,
                one.channels.as_deref(),
                facts.customers(),
                facts.as_of(),
                one.change.clone(),
                one.standard_error.clone(),
            )?;
        }
        let plan = observe(progress, |progress| {
            optimize_with(effects, &facts, &settings, progress)
        })?;
        out.write_handle(churn_plan::new(plan));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

fn allocation(plan: &Plan) -> Result<&Allocation> {
    let wrong =
        || Error::invalid_parameter("plan", "a plan made for profit", "one made by priority");
    Ok(plan.allocation().ok_or_else(wrong)?)
}

/// What a plan made for profit comes to: expected profit, the profit that no plan exceeds, what is
/// spent (currency), and the number of customers with an action. Each output may be NULL. Fails with
/// CHURN_INVALID_PARAMETER for a plan by priority.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_allocation(
    plan: *const churn_plan,
    profit: *mut f64,
    bound: *mut f64,
    spent: *mut f64,
    chosen: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (plan, profit, bound, spent, chosen) = unsafe {
            (
                guard::handle(plan, "plan")?,
                Out::optional(profit),
                Out::optional(bound),
                Out::optional(spent),
                Out::optional(chosen),
            )
        };
        let allocation = allocation(plan.plan())?;
        for (out, value) in [
            (profit, allocation.profit()),
            (bound, allocation.bound()),
            (spent, allocation.spent()),
        ] {
            if let Some(out) = out {
                out.write(value);
            }
        }
        if let Some(out) = chosen {
            out.write(allocation.chosen() as u64);
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Expected incremental profit of each customer's action (currency), 0 without one; valid until the
/// plan is freed; NULL for NULL and for a plan by priority.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_expected_profit(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let allocation = unsafe { plan.as_ref() }.and_then(|plan| plan.plan().allocation());
    allocation.map_or(ptr::null(), |a| a.expected_profit().as_ptr())
}

/// Change of each customer's probability of staying, 0 without an action; valid until the plan is
/// freed; NULL for NULL and for a plan by priority.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_change(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let allocation = unsafe { plan.as_ref() }.and_then(|plan| plan.plan().allocation());
    allocation.map_or(ptr::null(), |a| a.change().as_ptr())
}

/// Value at stake of each customer (currency), NaN where it is not known; valid until the plan is
/// freed; NULL for NULL and for a plan by priority.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_stake(plan: *const churn_plan) -> *const f64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let allocation = unsafe { plan.as_ref() }.and_then(|plan| plan.plan().allocation());
    allocation.map_or(ptr::null(), |a| a.stake().as_ptr())
}

/// Day of the plan on which each customer is contacted, from 0, -1 without an action; valid until the
/// plan is freed; NULL for NULL and for a plan by priority.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_day(plan: *const churn_plan) -> *const i32 {
    // SAFETY: the caller hands over NULL or a live handle.
    let allocation = unsafe { plan.as_ref() }.and_then(|plan| plan.plan().allocation());
    allocation.map_or(ptr::null(), |a| a.day().as_ptr())
}

/// Where the change of one customer's action is known from: a list of "uplift",
/// "experiment", "observed" or "playbook", empty without an action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_source(
    plan: *const churn_plan,
    row: usize,
    source: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(source, "source")?) };
        let sources = allocation(plan.plan())?.source();
        let row = guard::in_range(row, sources.len(), "row")?;
        out.write_handle(churn_texts::new(sources[row].map(|source| source.name())));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Profit, bound and prices as a text for people: a list of one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_allocation_text(
    plan: *const churn_plan,
    text: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(text, "text")?) };
        let told = allocation(plan.plan())?.to_string();
        out.write_handle(churn_texts::new([told]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the constraints as an Arrow C stream: "constraint", "subject", "is_minimum", "limit", "used",
/// "price" (what one unit more would bring). The stream is independent of the plan; release it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_prices_export(
    plan: *const churn_plan,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(stream, "stream")?) };
        allocation(plan.plan())?;
        export(price_batch(plan.plan())?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the budget curve as an Arrow C stream: "budget", "profit", "bound", "price"; without rows
/// unless "curve_points" asked for it. The stream is independent of the plan; release it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_plan_curve_export(
    plan: *const churn_plan,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (plan, out) = unsafe { (guard::handle(plan, "plan")?, Out::new(stream, "stream")?) };
        allocation(plan.plan())?;
        export(curve_batch(plan.plan())?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
