//! What every operation of the golden files needs at the border: calls whose errors are described,
//! handles that are freed, and the inputs of a case as C hands them over.

use std::ffi::{CStr, CString, c_char};
use std::{ptr, slice};

use churn::columns::*;
use churn::customers::*;
use churn::error::*;
use churn::events::*;
use churn::features::*;
use churn::scoring::*;
use churn::segments::*;
use churn::strategy::*;
use serde_json::{Map, Value, json};

/// An answer, or the error that a call stored, as the golden files describe it.
pub(crate) type Answer<T> = Result<T, Value>;

pub(crate) fn lifecycle(table: &Handle<churn_feature_table>) -> Answer<Handle<churn_segments>> {
    // SAFETY: the table is alive, outputs are places of `handle`.
    handle(churn_segments_free, |out, error| unsafe {
        churn_segments_lifecycle(table.0, out, error)
    })
}

pub(crate) fn feature_names(table: &Handle<churn_feature_table>) -> Answer<Vec<String>> {
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

/// What has no value is NaN in C and null in the files.
pub(crate) fn or_null(value: f64) -> Value {
    if value.is_nan() {
        Value::Null
    } else {
        json!(value)
    }
}

/// # Safety
/// There are `len` values.
pub(crate) unsafe fn slice<'a, T>(values: *const T, len: usize) -> &'a [T] {
    assert!(!values.is_null());
    // SAFETY: as the caller says.
    unsafe { slice::from_raw_parts(values, len) }
}

/// # Safety
/// The text ends in NUL and lives as long as it is used.
pub(crate) unsafe fn str<'a>(text: *const c_char) -> &'a str {
    assert!(!text.is_null());
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap()
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub(crate) fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Calls a function and describes the error that it stored.
pub(crate) fn call(function: impl FnOnce(*mut *mut churn_error) -> churn_status) -> Answer<()> {
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
pub(crate) fn output<T>(
    empty: T,
    function: impl FnOnce(*mut T, *mut *mut churn_error) -> churn_status,
) -> Answer<T> {
    let mut out = empty;
    call(|error| function(&mut out, error))?;
    Ok(out)
}

/// Calls a function that gives rows and money.
pub(crate) fn tally(
    function: impl FnOnce(*mut u64, *mut f64, *mut *mut churn_error) -> churn_status,
) -> Answer<Value> {
    let (mut rows, mut money) = (0, 0.0);
    call(|error| function(&mut rows, &mut money, error))?;
    Ok(json!({"rows": rows, "money": money}))
}

/// A handle of the library, freed at the end.
pub(crate) struct Handle<T>(pub(crate) *mut T, pub(crate) unsafe extern "C" fn(*mut T));

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle came from a call that succeeded, and is freed here alone.
        unsafe { (self.1)(self.0) }
    }
}

/// Calls a function that makes a handle.
pub(crate) fn handle<T>(
    free: unsafe extern "C" fn(*mut T),
    function: impl FnOnce(*mut *mut T, *mut *mut churn_error) -> churn_status,
) -> Answer<Handle<T>> {
    let made = output(ptr::null_mut(), function)?;
    assert!(!made.is_null());
    Ok(Handle(made, free))
}

/// The inputs of one case.
pub(crate) struct Inputs(pub(crate) Map<String, Value>);

impl Inputs {
    pub(crate) fn field(&self, name: &str) -> &Value {
        let given = self.0.get(name);
        given.unwrap_or_else(|| panic!("the inputs lack {name:?}"))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap()
    }

    /// Settings as JSON; what is left out goes in as NULL.
    pub(crate) fn settings(&self, name: &str) -> Option<CString> {
        self.0.get(name).map(|json| c(&json.to_string()))
    }

    pub(crate) fn log(&self) -> Answer<Handle<churn_event_log>> {
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

    pub(crate) fn table(&self) -> Answer<Handle<churn_feature_table>> {
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

    pub(crate) fn scores(
        &self,
        table: &Handle<churn_feature_table>,
    ) -> Answer<Handle<churn_scores>> {
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

    pub(crate) fn risk_tiers(
        &self,
        scores: &Handle<churn_scores>,
    ) -> Answer<Handle<churn_segments>> {
        let tiers = self.settings("risk_tiers");
        // SAFETY: the scores are alive, the settings are NULL or end in NUL.
        handle(churn_segments_free, |out, error| unsafe {
            churn_segments_risk_tiers(scores.0, pointer(&tiers), out, error)
        })
    }

    pub(crate) fn grid(
        &self,
        table: &Handle<churn_feature_table>,
    ) -> Answer<Handle<churn_segments>> {
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

    pub(crate) fn plan(&self) -> Answer<Handle<churn_plan>> {
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

pub(crate) fn number(cell: &Value) -> f64 {
    match cell {
        Value::String(text) => text.parse().expect("NaN, inf or -inf"),
        _ => cell.as_f64().unwrap(),
    }
}

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
