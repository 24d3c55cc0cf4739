//! The event log: built from columns, CSV or Arrow.

use std::ffi::{CString, c_char};
use std::ptr;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::arrow::EventBatches;
use churn_core::events::{
    Appended, Cleaning, ColumnNames, CsvEvents, CsvOptions, EventColumns, EventLog,
};
use churn_core::simulate::Shop;
use churn_core::{Error, Timestamp};

use crate::arrow;
use crate::cleaning::churn_cleaning_report;
use crate::columns::churn_columns;
use crate::customers::churn_customers;
use crate::error::{churn_error, churn_status};
use crate::guard::{self, Out, guard, in_range};
use crate::progress::{churn_progress, observe};
use crate::texts::c_texts;

/// One line of an order; value = money received.
pub const CHURN_KIND_PURCHASE: u8 = 1;
/// Money given back for a return or cancellation; value = money, positive.
pub const CHURN_KIND_REFUND: u8 = 2;
/// A page or product viewed; value = dwell time in seconds, if known.
pub const CHURN_KIND_VIEW: u8 = 3;
/// Something put into the cart.
pub const CHURN_KIND_CART: u8 = 4;
/// Something marked as favourite.
pub const CHURN_KIND_FAVOURITE: u8 = 5;
/// Something shared.
pub const CHURN_KIND_SHARE: u8 = 6;
/// A review or rating written.
pub const CHURN_KIND_REVIEW: u8 = 7;
/// Any other interaction of the customer with the shop.
pub const CHURN_KIND_INTERACTION: u8 = 8;
/// A message sent to the customer over the channel.
pub const CHURN_KIND_MESSAGE_SENT: u8 = 9;
/// That message opened or read.
pub const CHURN_KIND_MESSAGE_OPENED: u8 = 10;
/// A link in that message followed.
pub const CHURN_KIND_MESSAGE_CLICKED: u8 = 11;
/// That message answered.
pub const CHURN_KIND_MESSAGE_ANSWERED: u8 = 12;
/// An advertisement clicked.
pub const CHURN_KIND_AD_CLICK: u8 = 13;
/// Contact with customer service, other than a complaint.
pub const CHURN_KIND_SERVICE_CONTACT: u8 = 14;
/// A complaint.
pub const CHURN_KIND_COMPLAINT: u8 = 15;

/// An event log: checked, cleaned, ordered by customer and time. Independent of the arrays that it
/// was built from. Only churn_event_log_append changes it.
pub struct churn_event_log {
    log: EventLog,
    shown: Shown,
}

/// What C reads from a log by pointer.
struct Shown {
    customers: churn_customers,
    channels: Vec<CString>,
    report: churn_cleaning_report,
}

impl Shown {
    fn new(log: &EventLog) -> Self {
        Shown {
            customers: churn_customers::new(log.customers()),
            channels: c_texts(log.channels()),
            report: churn_cleaning_report::new(log.report()),
        }
    }
}

impl churn_event_log {
    pub(crate) fn new(log: EventLog) -> Self {
        churn_event_log {
            shown: Shown::new(&log),
            log,
        }
    }

    /// Cleans and orders, under a progress handle if there is one.
    fn build(
        columns: &EventColumns<'_>,
        cleaning: &Cleaning,
        progress: Option<&churn_progress>,
    ) -> guard::Result<Self> {
        let log = observe(progress, |progress| {
            EventLog::from_columns_observed(columns, cleaning, progress)
        })?;
        Ok(churn_event_log::new(log))
    }

    pub(crate) fn append(
        &mut self,
        columns: &EventColumns<'_>,
        progress: Option<&churn_progress>,
    ) -> guard::Result<Appended> {
        let appended = observe(progress, |progress| {
            self.log.append_observed(columns, progress)
        })?;
        self.shown = Shown::new(&self.log);
        Ok(appended)
    }

    pub(crate) fn log(&self) -> &EventLog {
        &self.log
    }
}

/// Cleans and orders the events of some columns. `cleaning` is JSON with the fields of the core's
/// Cleaning (NULL = defaults), `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_build(
    columns: *const churn_columns,
    cleaning: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says; the arrays behind `columns`
        // are still valid.
        let (columns, cleaning, progress, out) = unsafe {
            (
                guard::handle(columns, "columns")?.borrow()?,
                guard::settings::<Cleaning>(cleaning, "cleaning")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        out.write_handle(churn_event_log::build(&columns, &cleaning, progress)?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads, cleans and orders a CSV file, plain or gzip, from memory. `options` is JSON with the
/// fields of the core's CsvOptions (NULL = canonical column names, comma), `cleaning` as for
/// churn_event_log_build, `progress` may be NULL. Errors name column, row (from 0, header not
/// counted) and line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_read_csv(
    bytes: *const u8,
    byte_count: usize,
    options: *const c_char,
    cleaning: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (bytes, mut options, cleaning, progress, out) = unsafe {
            (
                guard::slice(bytes, byte_count, "bytes")?,
                guard::settings::<CsvOptions>(options, "csv")?,
                guard::settings::<Cleaning>(cleaning, "cleaning")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        options.total_bytes.get_or_insert(byte_count as u64);
        let events = observe(progress, |progress| {
            CsvEvents::read(bytes, &options, progress)
        })?;
        out.write_handle(churn_event_log::build(
            &events.columns(),
            &cleaning,
            progress,
        )?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads, cleans and orders a table from an Arrow C stream. The stream is moved into the call and
/// released, whether it succeeds or fails. `names` is JSON with the fields of the core's
/// ColumnNames (NULL = canonical names), `cleaning` as for churn_event_log_build, `progress` may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_read_stream(
    stream: *mut FFI_ArrowArrayStream,
    names: *const c_char,
    cleaning: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says. The stream comes first, so
        // that it is released whatever is wrong with the rest.
        let (stream, names, cleaning, progress, out) = unsafe {
            (
                arrow::take_stream(stream)?,
                guard::settings::<ColumnNames>(names, "names")?,
                guard::settings::<Cleaning>(cleaning, "cleaning")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let events = EventBatches::from_stream(stream, &names)?;
        out.write_handle(churn_event_log::build(
            &events.columns_for(&cleaning)?,
            &cleaning,
            progress,
        )?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Reads, cleans and orders a table from one Arrow array of structures. Array and schema are moved
/// into the call and released, whether it succeeds or fails. The rest is as for
/// churn_event_log_read_stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_read_array(
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
    names: *const c_char,
    cleaning: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says. The array comes first, so
        // that it is released whatever is wrong with the rest.
        let (taken, names, cleaning, progress, out) = unsafe {
            (
                arrow::Taken::new(array, schema),
                guard::settings::<ColumnNames>(names, "names")?,
                guard::settings::<Cleaning>(cleaning, "cleaning")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        // SAFETY: the caller says that the array follows the Arrow specification.
        let events = unsafe { taken.events(&names) }?;
        out.write_handle(churn_event_log::build(
            &events.columns_for(&cleaning)?,
            &cleaning,
            progress,
        )?);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// The log of a shop that does not exist, for examples and tests: the same seed gives the same log
/// everywhere. `shop` is JSON with the fields of the core's simulate::Shop (NULL = defaults),
/// `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_simulate(
    shop: *const c_char,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (shop, progress, out) = unsafe {
            (
                guard::settings::<Shop>(shop, "shop")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let shop = shop.open()?;
        let log = churn_event_log::build(&shop.columns(), &Cleaning::strict(), progress)?;
        out.write_handle(log);
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of events; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_len(log: *const churn_event_log) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(0, |log| log.log.len())
}

/// The customers of the log, valid until the log is appended to or freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_customers(
    log: *const churn_event_log,
) -> *const churn_customers {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(ptr::null(), |log| &log.shown.customers)
}

/// Number of distinct channels; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_channel_count(log: *const churn_event_log) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(0, |log| log.shown.channels.len())
}

/// Name of a channel, in sorted order; valid until the log is appended to or freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_channel(
    log: *const churn_event_log,
    index: usize,
    name: *mut *const c_char,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or a place for a pointer.
        let (log, out) = unsafe { (guard::handle(log, "log")?, Out::new(name, "name")?) };
        let index = in_range(index, log.shown.channels.len(), "index")?;
        out.write(log.shown.channels[index].as_ptr());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// First and last instant of the log in microseconds since 1970-01-01 UTC. Fails with
/// CHURN_NOT_ENOUGH_DATA for an empty log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_time_range(
    log: *const churn_event_log,
    first_micros: *mut i64,
    last_micros: *mut i64,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a live handle, and NULL or places for outputs.
        let (log, first, last) = unsafe {
            (
                guard::handle(log, "log")?,
                Out::new(first_micros, "first_micros")?,
                Out::new(last_micros, "last_micros")?,
            )
        };
        let Some(range) = log.log.time_range() else {
            return Err(Error::not_enough_data("events", "at least one event", "none").into());
        };
        let (earliest, latest): (Timestamp, Timestamp) = range;
        first.write(earliest.micros());
        last.write(latest.micros());
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What cleaning did to all rows so far, valid until the log is appended to or freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_report(
    log: *const churn_event_log,
) -> *const churn_cleaning_report {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(ptr::null(), |log| &log.shown.report)
}

/// Frees a log; what was read from it (customers, names) goes with it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_event_log_free(log: *mut churn_event_log) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(log) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use churn_core::events::EventKind;

    #[test]
    fn kinds_have_the_codes_of_the_core() {
        let codes = [
            CHURN_KIND_PURCHASE,
            CHURN_KIND_REFUND,
            CHURN_KIND_VIEW,
            CHURN_KIND_CART,
            CHURN_KIND_FAVOURITE,
            CHURN_KIND_SHARE,
            CHURN_KIND_REVIEW,
            CHURN_KIND_INTERACTION,
            CHURN_KIND_MESSAGE_SENT,
            CHURN_KIND_MESSAGE_OPENED,
            CHURN_KIND_MESSAGE_CLICKED,
            CHURN_KIND_MESSAGE_ANSWERED,
            CHURN_KIND_AD_CLICK,
            CHURN_KIND_SERVICE_CONTACT,
            CHURN_KIND_COMPLAINT,
        ];
        assert_eq!(codes, EventKind::ALL.map(EventKind::code));
    }
}
