//! Segments: risk tiers, lifecycle stages and score grids, and what each segment looks like.

use std::ffi::{CString, c_char};
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::Error;
use churn_core::arrow::segment_batch;
use churn_core::segments::{
    Grid, ProfileTable, RiskTiers, SegmentProfile, Segments, lifecycle, profile,
};

use crate::arrow::export;
use crate::customers::churn_customers;
use crate::error::{c_text, churn_error, churn_status};
use crate::features::churn_feature_table;
use crate::guard::{self, Out, guard, in_range};
use crate::held::Held;
use crate::scoring::churn_scores;
use crate::texts::{LazyText, c_texts};

/// Every customer in exactly one named segment.
pub struct churn_segments {
    segments: Held<Segments>,
    customers: churn_customers,
    name: CString,
    labels: Vec<CString>,
}

/// A proven map from recency, frequency and monetary scores to segments.
pub struct churn_grid {
    grid: Grid,
    json: LazyText,
    toml: LazyText,
}

/// What every segment of a grouping looks like.
pub struct churn_profile {
    profiles: Vec<SegmentProfile>,
    labels: Vec<CString>,
    text: CString,
}

impl churn_segments {
    pub(crate) fn new(segments: impl Into<Held<Segments>>) -> Self {
        let segments = segments.into();
        churn_segments {
            customers: churn_customers::new(segments.customers()),
            name: c_text(segments.name()),
            labels: c_texts(segments.labels()),
            segments,
        }
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }
}

impl churn_grid {
    fn new(grid: Grid) -> Self {
        churn_grid {
            grid,
            json: LazyText::default(),
            toml: LazyText::default(),
        }
    }
}

/// Puts every customer into "low", "medium" or "high" by churn probability; the grouping is called
/// "risk_tier". `tiers` is JSON with the cuts "medium" and "high" (NULL = defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_risk_tiers(
    scores: *const churn_scores,
    tiers: *const c_char,
    segments: *mut *mut churn_segments,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or a place for one pointer.
        let (scores, tiers, out) = unsafe {
            (
                guard::handle(scores, "scores")?,
                guard::settings::<RiskTiers>(tiers, "risk_tiers")?,
                Out::new(segments, "segments")?,
            )
        };
        out.write_handle(churn_segments::new(tiers.assign(scores.scores())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Puts every customer into the stage of life that the feature "lifecycle_stage" says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_lifecycle(
    table: *const churn_feature_table,
    segments: *mut *mut churn_segments,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (table, out) = unsafe {
            (
                guard::handle(table, "table")?,
                Out::new(segments, "segments")?,
            )
        };
        out.write_handle(churn_segments::new(lifecycle(table.table())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of customers (rows); 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_len(segments: *const churn_segments) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(0, |segments| segments.segments.codes().len())
}

/// The customers, one per row, valid until the segments are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_customers(
    segments: *const churn_segments,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(ptr::null(), |segments| &segments.customers)
}

/// The instant that the segments describe, in microseconds since 1970-01-01 UTC; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_as_of_micros(segments: *const churn_segments) -> i64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(0, |segments| segments.segments.as_of().instant().micros())
}

/// Name of the grouping, e.g. "risk_tier", valid until the segments are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_name(segments: *const churn_segments) -> *const c_char {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(ptr::null(), |segments| segments.name.as_ptr())
}

/// Index of each customer's label, valid until the segments are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_codes(segments: *const churn_segments) -> *const u32 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(ptr::null(), |segments| segments.segments.codes().as_ptr())
}

/// Number of labels; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_label_count(segments: *const churn_segments) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { segments.as_ref() }.map_or(0, |segments| segments.labels.len())
}

/// A label, e.g. "high", valid until the segments are freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_label(
    segments: *const churn_segments,
    index: usize,
    label: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (segments, out) = unsafe {
            (
                guard::handle(segments, "segments")?,
                Out::new(label, "label")?,
            )
        };
        let index = in_range(index, segments.labels.len(), "index")?;
        out.write(segments.labels[index].as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Writes groupings of the same customers as one Arrow C stream: "customer", then one dictionary
/// column per grouping. The stream is independent of the segments; release it. What stood in
/// `stream` is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_export(
    groupings: *const *const churn_segments,
    count: usize,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over `count` live handles, and NULL or a place for a stream.
        let (groupings, out) = unsafe {
            (
                guard::slice(groupings, count, "groupings")?,
                Out::new(stream, "stream")?,
            )
        };
        let groupings = groupings
            .iter()
            // SAFETY: each is NULL or a live handle, as the caller says.
            .map(|one| unsafe { guard::handle(*one, "groupings") }.map(churn_segments::segments))
            .collect::<guard::Result<Vec<_>>>()?;
        export(segment_batch(&groupings)?, out);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees segments; what was read from them (customers, codes, names) goes with them. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_segments_free(segments: *mut churn_segments) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(segments) }
}

/// A grid that the library brings along: "rf25" (ten segments by recency and frequency) or "rfm11"
/// (eleven segments by recency and the mean of frequency and monetary score).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_named(
    name: *const c_char,
    grid: *mut *mut churn_grid,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (name, out) = unsafe { (guard::text(name, "name")?, Out::new(grid, "grid")?) };
        let grid = match name {
            "rf25" => Grid::rf25(),
            "rfm11" => Grid::rfm11(),
            _ => return Err(Error::unknown_name("grid", name, ["rf25", "rfm11"]).into()),
        };
        out.write_handle(churn_grid::new(grid));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a grid in JSON and proves that it covers every cell exactly once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_from_json(
    json: *const c_char,
    grid: *mut *mut churn_grid,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (json, out) = unsafe { (guard::text(json, "json")?, Out::new(grid, "grid")?) };
        out.write_handle(churn_grid::new(Grid::from_json(json)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads a grid in TOML and proves that it covers every cell exactly once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_from_toml(
    toml: *const c_char,
    grid: *mut *mut churn_grid,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a text ending in NUL, and NULL or a place for one
        // pointer.
        let (toml, out) = unsafe { (guard::text(toml, "toml")?, Out::new(grid, "grid")?) };
        out.write_handle(churn_grid::new(Grid::from_toml(toml)?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The grid as JSON, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_to_json(
    grid: *const churn_grid,
    json: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (grid, out) = unsafe { (guard::handle(grid, "grid")?, Out::new(json, "json")?) };
        out.write(grid.json.get(|| grid.grid.to_json())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The grid as TOML, valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_to_toml(
    grid: *const churn_grid,
    toml: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (grid, out) = unsafe { (guard::handle(grid, "grid")?, Out::new(toml, "toml")?) };
        out.write(grid.toml.get(|| grid.grid.to_toml())?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Puts every customer into the segment that covers its scores ("recency_score" and the others that
/// the grid reads). Customers without any score are in "no_purchase".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_assign(
    grid: *const churn_grid,
    table: *const churn_feature_table,
    segments: *mut *mut churn_segments,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (grid, table, out) = unsafe {
            (
                guard::handle(grid, "grid")?,
                guard::handle(table, "table")?,
                Out::new(segments, "segments")?,
            )
        };
        out.write_handle(churn_segments::new(grid.grid.assign(table.table())?));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a grid; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_grid_free(grid: *mut churn_grid) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(grid) }
}

/// Describes every segment by its size, its money and the mean of every feature. Fails with
/// CHURN_MISALIGNED where segments and table speak of other customers or instants.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_build(
    segments: *const churn_segments,
    table: *const churn_feature_table,
    profile: *mut *mut churn_profile,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or live handles, and NULL or a place for a pointer.
        let (segments, table, out) = unsafe {
            (
                guard::handle(segments, "segments")?,
                guard::handle(table, "table")?,
                Out::new(profile, "profile")?,
            )
        };
        let profiles = self::profile(&segments.segments, table.table())?;
        out.write_handle(churn_profile {
            labels: c_texts(profiles.iter().map(|profile| &profile.label)),
            text: c_text(&ProfileTable(&profiles).to_string()),
            profiles,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of segments, empty ones included; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_len(profile: *const churn_profile) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { profile.as_ref() }.map_or(0, |profile| profile.profiles.len())
}

/// One segment: its label (valid until the profile is freed), number of customers, their share of
/// all (0 to 1), money (currency) and its share, NaN where the money of all is not above 0. Each
/// output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_segment(
    profile: *const churn_profile,
    index: usize,
    label: *mut *const c_char,
    customers: *mut u64,
    share: *mut f64,
    money: *mut f64,
    money_share: *mut f64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (profile, label, customers, share, money, money_share) = unsafe {
            (
                guard::handle(profile, "profile")?,
                Out::optional(label),
                Out::optional(customers),
                Out::optional(share),
                Out::optional(money),
                Out::optional(money_share),
            )
        };
        let index = in_range(index, profile.profiles.len(), "index")?;
        let one = &profile.profiles[index];
        if let Some(out) = label {
            out.write(profile.labels[index].as_ptr());
        }
        if let Some(out) = customers {
            out.write(one.size as u64);
        }
        if let Some(out) = share {
            out.write(one.share);
        }
        if let Some(out) = money {
            out.write(one.money);
        }
        if let Some(out) = money_share {
            out.write(one.money_share.unwrap_or(f64::NAN));
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Mean of a feature over the customers of a segment who have a value (NaN where none has), and
/// how many these are. Each output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_mean(
    profile: *const churn_profile,
    index: usize,
    feature: *const c_char,
    mean: *mut f64,
    defined: *mut u64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, NULL or a text ending in NUL, and
        // NULL or places for outputs.
        let (profile, feature, mean, defined) = unsafe {
            (
                guard::handle(profile, "profile")?,
                guard::text(feature, "feature")?,
                Out::optional(mean),
                Out::optional(defined),
            )
        };
        let index = in_range(index, profile.profiles.len(), "index")?;
        let means = &profile.profiles[index].means;
        let Some(found) = means.iter().find(|m| m.feature == feature) else {
            let known = means.iter().map(|m| &m.feature);
            return Err(Error::unknown_name("feature", feature, known).into());
        };
        if let Some(out) = mean {
            out.write(found.mean.unwrap_or(f64::NAN));
        }
        if let Some(out) = defined {
            out.write(found.defined as u64);
        }
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The profile as a text table for people, valid until it is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_text(profile: *const churn_profile) -> *const c_char {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { profile.as_ref() }.map_or(ptr::null(), |profile| profile.text.as_ptr())
}

/// Frees a profile; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_profile_free(profile: *mut churn_profile) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(profile) }
}
