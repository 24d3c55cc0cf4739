//! Streams of any length: batches in, one log per partition out.

use std::env;
use std::ffi::c_char;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use churn_core::events::{
    Cleaning, ColumnNames, CsvBatches, CsvOptions, LogStream, PartitionedLog, StreamSettings,
};
use churn_core::features::{FeatureSpec, Population, build_with};
use churn_core::{AsOf, Error};
use churn_files::{Failure, FileScratch};

use crate::arrow;
use crate::cleaning::churn_cleaning_report;
use crate::columns::churn_columns;
use crate::error::{churn_error, churn_status};
use crate::events::churn_event_log;
use crate::features::{churn_feature_table, churn_population};
use crate::guard::{self, Out, guard};
use crate::progress::{churn_progress, observe};

/// Rows of a CSV file that are read at a time.
const CSV_ROWS: usize = 1 << 20;

/// Takes batches of events one by one and spreads them over files, customer by customer.
pub struct churn_log_stream {
    /// Empty once the stream is finished.
    stream: Option<LogStream<FileScratch>>,
}

impl churn_log_stream {
    fn stream(&mut self) -> guard::Result<&mut LogStream<FileScratch>> {
        Ok(self.stream.as_mut().ok_or_else(finished)?)
    }
}

fn finished() -> Error {
    Error::invalid_parameter("stream", "a stream that is not finished", "one that is")
}

/// Opens a stream. `scratch` is a folder (UTF-8) in which it makes one of its own; NULL = that of the
/// system for temporary files. `settings` is JSON with the fields of the core's StreamSettings and
/// `cleaning` with those of its Cleaning (NULL = defaults).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_new(
    scratch: *const c_char,
    settings: *const c_char,
    cleaning: *const c_char,
    stream: *mut *mut churn_log_stream,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (scratch, settings, cleaning, out) = unsafe {
            (
                guard::optional_text(scratch, "scratch")?,
                guard::settings::<StreamSettings>(settings, "stream")?,
                guard::settings::<Cleaning>(cleaning, "cleaning")?,
                Out::new(stream, "stream")?,
            )
        };
        let folder = scratch.map_or_else(env::temp_dir, PathBuf::from);
        let scratch = FileScratch::new(&folder).map_err(Error::from)?;
        out.write_handle(churn_log_stream {
            stream: Some(LogStream::new(scratch, &settings, &cleaning)?),
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds a batch. Rows are cleaned as in one log of all of them; errors name the row in the whole
/// stream, and a batch that fails or is cancelled leaves the stream as it was. `progress` may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_push(
    stream: *mut churn_log_stream,
    columns: *const churn_columns,
    progress: *const churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a stream that nobody else uses now, and NULL or
        // what each other type says; the arrays behind `columns` are still valid.
        let (stream, columns, progress) = unsafe {
            (
                guard::handle_mut(stream, "stream")?.stream()?,
                guard::handle(columns, "columns")?.borrow()?,
                progress.as_ref(),
            )
        };
        Ok(observe(progress, |progress| {
            stream.push(&columns, progress)
        })?)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds all batches of an Arrow C stream one by one; those before one that fails stay. The stream is
/// moved into the call and released, whether it succeeds or fails. `names` is as for
/// churn_event_log_read_stream, `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_push_stream(
    stream: *mut churn_log_stream,
    batches: *mut FFI_ArrowArrayStream,
    names: *const c_char,
    progress: *const churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a stream that nobody else uses now, and NULL or
        // what each other type says. The batches come first, so that they are released whatever is
        // wrong with the rest.
        let (batches, stream, names, progress) = unsafe {
            (
                arrow::take_stream(batches)?,
                guard::handle_mut(stream, "stream")?.stream()?,
                guard::settings::<ColumnNames>(names, "names")?,
                progress.as_ref(),
            )
        };
        Ok(observe(progress, |progress| {
            stream.push_stream(batches, &names, progress)
        })?)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Adds a CSV file, plain or gzip, however long, by its path (UTF-8), about a million rows at a time;
/// those before a row that fails stay. `options` is as for churn_event_log_read_csv, `progress` may
/// be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_push_csv_file(
    stream: *mut churn_log_stream,
    path: *const c_char,
    options: *const c_char,
    progress: *const churn_progress,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a stream that nobody else uses now, and NULL or
        // what each other type says.
        let (stream, path, mut options, progress) = unsafe {
            (
                guard::handle_mut(stream, "stream")?.stream()?,
                Path::new(guard::text(path, "path")?),
                guard::settings::<CsvOptions>(options, "csv")?,
                progress.as_ref(),
            )
        };
        let refused = |error| Error::from(Failure::File(path.to_owned(), error));
        let file = File::open(path).map_err(refused)?;
        if let (None, Ok(about)) = (options.total_bytes, file.metadata()) {
            options.total_bytes = Some(about.len());
        }
        Ok(observe(progress, |progress| {
            let file = BufReader::with_capacity(1 << 18, file);
            let mut batches = CsvBatches::open(file, &options, progress)?;
            while let Some(batch) = batches.next(CSV_ROWS)? {
                stream.push(&batch.columns(), progress)?;
            }
            Ok::<_, Error>(())
        })?)
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Number of rows pushed so far; 0 for NULL and once the stream is finished.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_rows(stream: *const churn_log_stream) -> u64 {
    // SAFETY: the caller hands over NULL or a live handle.
    let stream = unsafe { stream.as_ref() };
    stream
        .and_then(|stream| stream.stream.as_ref())
        .map_or(0, LogStream::rows)
}

/// Orders the partitions one after another. The stream is used up, whether this succeeds or fails,
/// and still has to be freed. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_finish(
    stream: *mut churn_log_stream,
    progress: *const churn_progress,
    log: *mut *mut churn_partitioned_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or a stream that nobody else uses now, and NULL or
        // what each other type says.
        let (stream, progress, out) = unsafe {
            (
                guard::handle_mut(stream, "stream")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let stream = stream.stream.take().ok_or_else(finished)?;
        let log = observe(progress, |progress| stream.finish(progress))?;
        out.write_handle(churn_partitioned_log {
            report: churn_cleaning_report::new(log.report()),
            log,
        });
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees a stream and its files; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_log_stream_free(stream: *mut churn_log_stream) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(stream) }
}

/// The logs of a stream, one per partition, in files that go with it. Every customer is in one
/// partition with all events.
pub struct churn_partitioned_log {
    log: PartitionedLog<FileScratch>,
    report: churn_cleaning_report,
}

/// Number of partitions; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_partitions(
    log: *const churn_partitioned_log,
) -> usize {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(0, |log| log.log.partitions())
}

/// Number of events of all partitions; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_len(log: *const churn_partitioned_log) -> u64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(0, |log| log.log.len())
}

/// Number of customers of all partitions; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_customer_count(
    log: *const churn_partitioned_log,
) -> u64 {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(0, |log| log.log.customer_count())
}

/// What cleaning did to the whole stream, valid until the log is freed; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_report(
    log: *const churn_partitioned_log,
) -> *const churn_cleaning_report {
    // SAFETY: the caller hands over NULL or a live handle.
    unsafe { log.as_ref() }.map_or(ptr::null(), |log| &log.report)
}

/// The log of one partition, with the channels of the whole stream. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_log(
    partitioned: *const churn_partitioned_log,
    partition: usize,
    progress: *const churn_progress,
    log: *mut *mut churn_event_log,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (whole, progress, out) = unsafe {
            (
                guard::handle(partitioned, "partitioned")?,
                progress.as_ref(),
                Out::new(log, "log")?,
            )
        };
        let part = observe(progress, |progress| whole.log.log(partition, progress))?;
        out.write_handle(churn_event_log::new(part));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// What all customers of all partitions together teach, for churn_partitioned_log_features. `as_of`
/// and `spec` are as for churn_feature_table_build, `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_learn(
    log: *const churn_partitioned_log,
    as_of: *const c_char,
    spec: *const c_char,
    progress: *const churn_progress,
    population: *mut *mut churn_population,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (log, as_of, spec, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                progress.as_ref(),
                Out::new(population, "population")?,
            )
        };
        let as_of = AsOf::parse(as_of)?;
        let learned = observe(progress, |progress| {
            Population::fit_parts(&log.log, as_of, &spec, progress)
        })?;
        out.write_handle(churn_population::new(learned));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Builds the feature table of one partition. The tables of all partitions together hold the rows of
/// the one table of the whole log, bit for bit. `progress` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_features(
    log: *const churn_partitioned_log,
    partition: usize,
    as_of: *const c_char,
    spec: *const c_char,
    population: *const churn_population,
    progress: *const churn_progress,
    table: *mut *mut churn_feature_table,
    error: *mut *mut churn_error,
) -> churn_status {
    let body = || {
        // SAFETY: the caller hands over NULL or what each type says.
        let (log, as_of, spec, population, progress, out) = unsafe {
            (
                guard::handle(log, "log")?,
                guard::text(as_of, "as_of")?,
                guard::settings::<FeatureSpec>(spec, "features")?,
                guard::handle(population, "population")?.population(),
                progress.as_ref(),
                Out::new(table, "table")?,
            )
        };
        let as_of = AsOf::parse(as_of)?;
        let built = observe(progress, |progress| {
            let part = log.log.log(partition, progress)?;
            build_with(&part.history(as_of), &spec, population, progress)
        })?;
        out.write_handle(churn_feature_table::new(built));
        Ok(())
    };
    // SAFETY: the caller hands over NULL or a place for one pointer.
    unsafe { guard(error, body) }
}

/// Frees the logs of a stream and their files; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn churn_partitioned_log_free(log: *mut churn_partitioned_log) {
    // SAFETY: the caller hands over NULL or a handle of this library that is not freed yet.
    unsafe { guard::free(log) }
}
