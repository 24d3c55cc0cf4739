//! One customer on demand, and tables brought up to date.

use std::ffi::{CString, c_char};

use churn_core::features::{Describer, FeatureSpec, Population, refresh};
use churn_core::progress::Progress;
use churn_core::{AsOf, Error, ErrorKind};

use crate::error::{c_text, churn_error, churn_status};
use crate::events::churn_event_log;
use crate::features::{churn_feature_table, churn_population};
use crate::guard::{self, Out, guard, in_range};
use crate::progress::{churn_progress, observe};

/// Describes one customer at a time, with the numbers that a table would have.
pub struct churn_describer {
    describer: Describer,
    as_of: AsOf,
    names: Vec<CString>,
}

/// Prepares to describe customers as of an instant. `spec` is as for churn_feature_table_build;
/// `population` NULL learns from all customers of the log now what the features need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_describer_new(
    log: *const churn_event_log,
    as_of: *const c_char,
    spec: *const c_char,
    population: *const churn_population,
    describer: *mut *mut churn_describer,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (log, as_of, spec, population, out) = unsafe {
            (
                guard::handle(log, "log")?.log(),
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                population.as_ref(),
                Out::new(describer, "describer")?,
            )
        };
        let as_of = AsOf::parse(as_of)?;
        let describer = match population {
            Some(known) => Describer::new(log.channels(), as_of, &spec, known.population())?,
            None => {
                let learned =
                    Population::fit_selected(&log.history(as_of), &spec, &Progress::none())?;
                Describer::new(log.channels(), as_of, &spec, &learned)?
            }
        };
        let names = describer.features().iter().map(|info| c_text(&info.name));
        out.write_handle(churn_describer {
            names: names.collect(),
            as_of,
            describer,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of features; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_describer_feature_count(describer: *const churn_describer) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { describer.as_ref() }.map_or(0, |describer| describer.names.len())
}

/// Name of a feature, in the order of the values; valid until the describer is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_describer_feature(
    describer: *const churn_describer,
    index: usize,
    name: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (describer, out) = unsafe {
            (
                guard::handle(describer, "describer")?,
                Out::new(name, "name")?,
            )
        };
        let index = in_range(index, describer.names.len(), "index")?;
        out.write(describer.names[index].as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the features of one customer, given by the row among the customers of the log as it is now
/// (churn_customers_find_...), into the first of `room` values; churn_describer_feature_count says
/// how many there are. Fails with CHURN_UNKNOWN_NAME for a customer without event before the instant,
/// and with CHURN_MISALIGNED once the log has other channels: make a new describer then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_describer_describe(
    describer: *mut churn_describer,
    log: *const churn_event_log,
    row: usize,
    values: *mut f64,
    room: usize,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a describer that nobody else uses now, NULL or a
        // live log, and NULL or room for so many values.
        let (describer, log, out) = unsafe {
            (
                guard::handle_mut(describer, "describer")?,
                guard::handle(log, "log")?.log(),
                Out::array(values, room, "values")?,
            )
        };
        let row = in_range(row, log.customers().len(), "row")?;
        let id = log.customers().get(row);
        let Some(past) = log.customer(id, describer.as_of) else {
            let expected = format!("a customer with an event before {}", describer.as_of);
            return Err(Error::new(ErrorKind::UnknownName, "row", expected, id).into());
        };
        out.write_all(describer.describer.describe(&past)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a describer; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_describer_free(describer: *mut churn_describer) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(describer) }
}

/// Makes a table that is up to date with a log that was appended to. `touched` are the rows of all
/// customers whose events changed since `table` was made, as churn_appended_touched tells them; only
/// they are described anew. `spec` is that of the table, `population` the one it was built with:
/// equal, bit for bit, to churn_feature_table_build_with on the whole log. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_refresh(
    table: *const churn_feature_table,
    log: *const churn_event_log,
    touched: *const usize,
    touched_count: usize,
    spec: *const c_char,
    population: *const churn_population,
    progress: *const churn_progress,
    refreshed: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (table, log, touched, spec, population, progress, out) = unsafe {
            (
                guard::handle(table, "table")?.table(),
                guard::handle(log, "log")?.log(),
                guard::slice(touched, touched_count, "touched")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                guard::handle(population, "population")?.population(),
                progress.as_ref(),
                Out::new(refreshed, "refreshed")?,
            )
        };
        let refreshed = observe(progress, |progress| {
            refresh(table.clone(), log, touched, &spec, population, progress)
        })?;
        out.write_handle(churn_feature_table::new(refreshed));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}
