//! The feature table: one row per customer, one named column per feature.

use std::ffi::{CString, c_char};
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::AsOf;
use churn_core::arrow::feature_batch;
use churn_core::features::{
    FeatureInfo, FeatureSpec, FeatureTable, Population, build_many, build_observed, build_with,
};

use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{c_text, churn_error, churn_status};
use crate::events::churn_event_log;
use crate::guard::{self, Out, guard, in_range};
use crate::held::Held;
use crate::progress::{churn_progress, observe};
use crate::texts::{LazyText, churn_texts};

/// Features of all customers as of one instant. NaN stands only where a feature is undefined.
pub struct churn_feature_table {
    table: Held<FeatureTable>,
    customers: churn_customers,
    about: Vec<About>,
}

/// What a feature means, in texts for C.
struct About {
    name: CString,
    unit: CString,
    definition: CString,
    undefined: CString,
}

impl churn_feature_table {
    pub(crate) fn new(table: impl Into<Held<FeatureTable>>) -> Self {
        let table = table.into();
        churn_feature_table {
            customers: churn_customers::new(table.customers()),
            about: table
                .features()
                .iter()
                .map(|info| About {
                    name: c_text(&info.name),
                    unit: c_text(&info.unit),
                    definition: c_text(&info.definition),
                    undefined: c_text(&info.undefined),
                })
                .collect(),
            table,
        }
    }

    pub(crate) fn table(&self) -> &FeatureTable {
        &self.table
    }
}

/// What features of one customer need to know about all customers: learned once and stored, so that
/// tomorrow's features mean the same as today's.
pub struct churn_population {
    population: Held<Population>,
    json: LazyText,
}

impl churn_population {
    pub(crate) fn new(population: impl Into<Held<Population>>) -> Self {
        churn_population {
            population: population.into(),
            json: LazyText::default(),
        }
    }

    pub(crate) fn population(&self) -> &Population {
        &self.population
    }
}

/// Learns everything from the events strictly before `as_of`, whatever features `spec` selects (see
/// churn_feature_table_build, whose population knows only what its features need). `progress` may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_population_fit(
    log: *const churn_event_log,
    as_of: *const c_char,
    spec: *const c_char,
    progress: *const churn_progress,
    population: *mut *mut churn_population,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, spec, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                progress.as_ref(),
                Out::new(population, "population")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let learned = observe(progress, |progress| {
            Population::fit_observed(&history, &spec, progress)
        })?;
        out.write_handle(churn_population::new(learned));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a population from the JSON that churn_population_to_json gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_population_from_json(
    json: *const c_char,
    population: *mut *mut churn_population,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (json, out) = unsafe {
            (
                guard::text(json, "json")?,
                Out::new(population, "population")?,
            )
        };
        out.write_handle(churn_population::new(Population::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The population as JSON with every digit, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_population_to_json(
    population: *const churn_population,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (population, out) = unsafe {
            (
                guard::handle(population, "population")?,
                Out::new(json, "json")?,
            )
        };
        out.write(
            population
                .json
                .get(|| Ok(population.population.to_json()))?,
        );
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a population; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_population_free(population: *mut churn_population) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(population) }
}

/// Builds the features of all customers from the events strictly before `as_of` (a date or date and
/// time in text, e.g. "2011-12-10"). `spec` is JSON with the fields of the core's FeatureSpec
/// (NULL = all features, defaults), `progress` may be NULL. `population`, if not NULL, receives what
/// was learned from all customers for these features: others that need more are refused by name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_build(
    log: *const churn_event_log,
    as_of: *const c_char,
    spec: *const c_char,
    progress: *const churn_progress,
    table: *mut *mut churn_feature_table,
    population: *mut *mut churn_population,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or places for outputs.
        let (log, as_of, spec, progress, table, population) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                progress.as_ref(),
                Out::new(table, "table")?,
                Out::optional(population),
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let (built, learned) = observe(progress, |progress| {
            build_observed(&history, &spec, progress)
        })?;
        table.write_handle(churn_feature_table::new(built));
        if let Some(out) = population {
            out.write_handle(churn_population::new(learned));
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Builds the features as churn_feature_table_build does, with a population learned before instead
/// of one learned from this log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_build_with(
    log: *const churn_event_log,
    as_of: *const c_char,
    spec: *const c_char,
    population: *const churn_population,
    progress: *const churn_progress,
    table: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, and
        // NULL or a place for one pointer.
        let (log, as_of, spec, population, progress, table) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                guard::handle(population, "population")?,
                progress.as_ref(),
                Out::new(table, "table")?,
            )
        };
        let history = log.log().history(AsOf::parse(as_of)?);
        let built = observe(progress, |progress| {
            build_with(&history, &spec, population.population(), progress)
        })?;
        table.write_handle(churn_feature_table::new(built));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Builds the features as of `count` instants, in any order, in one pass over the log. `tables` has
/// room for `count` handles, one per instant; each equals what churn_feature_table_build gives, bit
/// for bit, and is freed on its own. On an error none is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_build_many(
    log: *const churn_event_log,
    instants: *const *const c_char,
    count: usize,
    spec: *const c_char,
    progress: *const churn_progress,
    tables: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, NULL or texts ending in NUL, NULL or
        // `count` such texts, and NULL or room for `count` pointers.
        let (log, instants, spec, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::slice(instants, count, "instants")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                progress.as_ref(),
                Out::array(tables, count, "tables")?,
            )
        };
        let instants = instants
            .iter()
            // SAFETY: each is NULL or a text ending in NUL, as the caller says.
            .map(|as_of| unsafe { guard::text(*as_of, "instants") })
            .map(|as_of| Ok(AsOf::parse(as_of?)?))
            .collect::<guard::Result<Vec<_>>>()?;
        let built = observe(progress, |progress| {
            build_many(log.log(), &instants, &spec, progress)
        })?;
        let handles: Vec<*mut churn_feature_table> = built
            .into_iter()
            .map(|table| Box::into_raw(Box::new(churn_feature_table::new(table))))
            .collect();
        out.write_all(&handles);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What a log must keep for the features of `spec` (JSON as above, NULL = all features), as JSON for
/// the field "keep" of the cleaning: a list of one text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_features_need(
    spec: *const c_char,
    json: *mut *mut churn_texts,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (spec, out) = unsafe {
            (
                guard::settings::<FeatureSpec>(spec, "features")?,
                Out::new(json, "json")?,
            )
        };
        out.write_handle(churn_texts::new([spec.needs()?.to_json()]));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// A table of the caller's own features. The columns stand one after another: `names[j]` (UTF-8)
/// names the column from `values[j * rows]` on, rows = the number of customers; NaN is no value.
/// Everything is copied. `as_of` is the instant that the table describes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_from_columns(
    customers: *const churn_customers,
    as_of: *const c_char,
    names: *const *const c_char,
    feature_count: usize,
    values: *const f64,
    table: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or texts ending in NUL, NULL or
        // `feature_count` such texts, and NULL or a place for one pointer.
        let (customers, as_of, names, out) = unsafe {
            (
                guard::handle(customers, "customers")?.customers(),
                guard::text(as_of, "as_of")?,
                guard::slice(names, feature_count, "names")?,
                Out::new(table, "table")?,
            )
        };
        let cells = customers.len().saturating_mul(feature_count);
        // SAFETY: the caller hands over NULL or a number per customer and feature.
        let values = unsafe { guard::slice(values, cells, "values") }?;
        let features = names
            .iter()
            // SAFETY: each is NULL or a text ending in NUL, as the caller says.
            .map(|name| unsafe { guard::text(*name, "names") })
            .map(|name| Ok(FeatureInfo::new(name?, "", "")))
            .collect::<guard::Result<Vec<_>>>()?;
        let as_of = AsOf::parse(as_of)?;
        let built =
            FeatureTable::from_columns(customers.clone(), as_of, features, values.to_vec())?;
        out.write_handle(churn_feature_table::new(built));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of customers (rows); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_len(table: *const churn_feature_table) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { table.as_ref() }.map_or(0, |table| table.table.len())
}

/// The customers, one per row, valid until the table is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_customers(
    table: *const churn_feature_table,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { table.as_ref() }.map_or(ptr::null(), |table| &table.customers)
}

/// The instant that the table describes, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_as_of_micros(
    table: *const churn_feature_table,
) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { table.as_ref() }.map_or(0, |table| table.table.as_of().instant().micros())
}

/// Number of features (columns); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_feature_count(
    table: *const churn_feature_table,
) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { table.as_ref() }.map_or(0, |table| table.about.len())
}

/// What a feature means: its name, its unit ("days", "currency", "count", ...), its definition, and
/// where it is undefined (empty if nowhere). Each output may be NULL; the texts are valid until the
/// table is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_describe(
    table: *const churn_feature_table,
    index: usize,
    name: *mut *const c_char,
    unit: *mut *const c_char,
    definition: *mut *const c_char,
    undefined: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (table, name, unit, definition, undefined) = unsafe {
            (
                guard::handle(table, "table")?,
                Out::optional(name),
                Out::optional(unit),
                Out::optional(definition),
                Out::optional(undefined),
            )
        };
        let about = &table.about[in_range(index, table.about.len(), "index")?];
        for (out, text) in [
            (name, &about.name),
            (unit, &about.unit),
            (definition, &about.definition),
            (undefined, &about.undefined),
        ] {
            if let Some(out) = out {
                out.write(text.as_ptr());
            }
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The values of a feature by name, one per customer, valid until the table is freed. Fails with
/// CHURN_UNKNOWN_NAME where there is no such feature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_column(
    table: *const churn_feature_table,
    name: *const c_char,
    values: *mut *const f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for a pointer.
        let (table, name, out) = unsafe {
            (
                guard::handle(table, "table")?,
                guard::text(name, "name")?,
                Out::new(values, "values")?,
            )
        };
        out.write(table.table.column(name)?.as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The values of a feature by position, one per customer, valid until the table is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_column_at(
    table: *const churn_feature_table,
    index: usize,
    values: *mut *const f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (table, out) = unsafe { (guard::handle(table, "table")?, Out::new(values, "values")?) };
        let index = in_range(index, table.about.len(), "index")?;
        out.write(table.table.column_at(index).as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes the table as an Arrow C stream: column "customer", then one column per feature. The
/// stream is independent of the table; release it. What stood in `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_export(
    table: *const churn_feature_table,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a stream.
        let (table, out) = unsafe { (guard::handle(table, "table")?, Out::new(stream, "stream")?) };
        export(feature_batch(&table.table)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a table; what was read from it (customers, columns, texts) goes with it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_feature_table_free(table: *mut churn_feature_table) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(table) }
}
