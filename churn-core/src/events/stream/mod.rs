//! Streams of any length: batches arrive one by one, customers are spread over partitions, and each
//! partition becomes a log of its own in bounded memory.
//!
//! ```text
//! push(batch) … ──check, route by customer──▶ Scratch ──finish──▶ PartitionedLog ──log(p)──▶ EventLog
//! ```
//!
//! Every customer is in exactly one partition with all events, so features built partition by
//! partition equal those of one build, bit for bit. Not for logs that fit into memory: one build is
//! quicker, and answers questions about all customers at once.

mod block;
mod scratch;

use std::io::{BufReader, BufWriter, Write};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use scratch::{MemoryScratch, Scratch};

use self::block::{Batch, Block, Ids, Shape};
use super::check::RowCleaner;
use super::clean::{Cleaning, CleaningReport, DuplicatePolicy, Ledger};
use super::columns::{EventColumns, IdCells, IdColumn};
use super::group::Optional;
use super::ids::{code_few_names, text_hash, word_hash};
use super::intake::check_rows;
use super::keep::Keep;
use super::partition::{Bucket, NO_BUCKET, chunk_rows, scatter_rows};
use super::{EventLog, MAX_EVENTS, NO_CHANNEL, check_event_count, day_after};
use crate::customers::CustomerId;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::time::{AsOf, Timestamp};

/// How a stream is spread.
///
/// # Example
/// ```
/// use churn_core::events::StreamSettings;
/// // A billion events at about 100 bytes each while a partition is ordered: 400 MB at a time.
/// let settings = StreamSettings { partitions: 256, ..StreamSettings::default() };
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamSettings {
    /// Number of partitions, 1 to 65,535. Default 64. The rows of one partition must fit into
    /// memory about twice over.
    pub partitions: usize,
    /// Bytes of rows that wait in memory before they go to scratch space, over all partitions,
    /// 1 MiB or more. Default 64 MiB.
    pub buffer_bytes: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        StreamSettings {
            partitions: 64,
            buffer_bytes: 64 << 20,
        }
    }
}

impl StreamSettings {
    fn check(&self) -> Result<()> {
        let most = usize::from(NO_BUCKET);
        if !(1..=most).contains(&self.partitions) {
            let expected = format_args!("1 to {most}");
            return Err(Error::invalid_parameter(
                "stream.partitions",
                expected,
                self.partitions,
            ));
        }
        if self.buffer_bytes < 1 << 20 {
            let expected = "1048576 bytes or more";
            return Err(Error::invalid_parameter(
                "stream.buffer_bytes",
                expected,
                self.buffer_bytes,
            ));
        }
        Ok(())
    }
}

/// The partition of a customer: a fixed function of the id.
fn route(id: CustomerId<'_>, partitions: usize) -> u16 {
    let hash = match id {
        CustomerId::Int(id) => word_hash(id as u64),
        CustomerId::Uint(id) => word_hash(id),
        CustomerId::Text(id) => text_hash(id),
    };
    // Mixed once more: the build of a partition spreads its ids by the same hash.
    let mixed = hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
    ((mixed * partitions as u64) >> 32) as u16
}

fn id_at<'a>(column: &'a IdColumn<'_>, row: usize) -> CustomerId<'a> {
    match &column.cells {
        IdCells::Int(ids) => CustomerId::Int(ids[row]),
        IdCells::Uint(ids) => CustomerId::Uint(ids[row]),
        IdCells::Text(cells) => CustomerId::Text(cells.get(row).unwrap_or_default()),
    }
}

fn values_in_words(columns: &EventColumns<'_>) -> &'static str {
    if columns.value.is_some() {
        "values"
    } else {
        "no values"
    }
}

fn no_room(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        "scratch",
        "room to write to",
        error,
    )
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        "scratch",
        "what was written",
        error,
    )
}

/// Takes batches of events one by one and spreads them over scratch space.
///
/// Rows are cleaned as in one build from all of them: same policies, same report, and errors that
/// name the row in the whole stream.
///
/// # Example
/// ```
/// use churn_core::events::{
///     Cleaning, EventColumns, EventKind, LogStream, MemoryScratch, StreamSettings,
/// };
/// use churn_core::progress::Progress;
/// use churn_core::TimeUnit;
/// let none = Progress::none();
/// let settings = StreamSettings { partitions: 4, ..StreamSettings::default() };
/// let mut stream = LogStream::new(MemoryScratch::new(), &settings, &Cleaning::default())?;
/// for (ids, days) in [(["ann", "bea"], [10, 12]), (["bea", "cyd"], [11, 13])] {
///     let batch = EventColumns::new(&ids, &days, TimeUnit::Day, EventKind::Purchase);
///     stream.push(&batch, &none)?;
/// }
/// let whole = stream.finish(&none)?;
/// assert_eq!((whole.len(), whole.customer_count()), (4, 3));
/// let log = whole.log(whole.partition_of("bea"), &none)?;
/// assert!(log.customers().find("bea").is_some());
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct LogStream<S> {
    scratch: S,
    cleaning: Cleaning,
    partitions: Vec<Partition>,
    /// Bytes at which a block goes to scratch space.
    frame_bytes: usize,
    shape: Option<Shape>,
    customer_type: Option<&'static str>,
    order_type: Option<&'static str>,
    item_type: Option<&'static str>,
    values: Option<&'static str>,
    channel_names: Vec<String>,
    ledger: Ledger,
    /// Why the stream cannot go on.
    broken: Option<Error>,
}

#[derive(Debug, Default)]
struct Partition {
    block: Option<Block>,
    /// Frames in scratch space.
    frames: u64,
    rows: u64,
}

impl<S: Scratch> LogStream<S> {
    /// An empty stream; `scratch` holds nothing yet.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domain.
    pub fn new(scratch: S, settings: &StreamSettings, cleaning: &Cleaning) -> Result<Self> {
        settings.check()?;
        let mut partitions = Vec::new();
        partitions.resize_with(settings.partitions, Partition::default);
        Ok(LogStream {
            scratch,
            cleaning: cleaning.clone(),
            frame_bytes: (settings.buffer_bytes / settings.partitions).clamp(1 << 12, 1 << 22),
            partitions,
            shape: None,
            customer_type: None,
            order_type: None,
            item_type: None,
            values: None,
            channel_names: Vec::new(),
            ledger: Ledger::default(),
            broken: None,
        })
    }

    /// Number of rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.ledger.rows_in
    }

    /// What rows and columns have to pass.
    #[cfg(feature = "arrow")]
    pub(crate) fn cleaning(&self) -> &Cleaning {
        &self.cleaning
    }

    /// Adds a batch. A batch may lack channels, orders or items; values must be in all batches or in
    /// none, because without them a purchase counts as one unit of money. An error of a row or a
    /// cancellation leaves the stream as it was.
    ///
    /// # Errors
    /// As [`EventLog::from_columns`], with rows counted from the start of the stream;
    /// `InvalidValue` for ids of another type than before or values that come and go;
    /// `InvalidParameter` for more rows than one partition holds; `InvalidValue` at `scratch` where
    /// scratch space takes no more, after which the stream cannot go on; `Cancelled`.
    pub fn push(&mut self, columns: &EventColumns<'_>, progress: &Progress<'_>) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        columns.check_lengths()?;
        let rows = columns.len();
        check_event_count(rows as u64)?;
        let optional = Optional::of(columns, &self.cleaning)?;
        if rows == 0 {
            let shape = self.shape_with(columns, &optional, false)?;
            self.take_types(columns, &optional, &shape);
            self.ledger.unreadable_cells += columns.unreadable_cells;
            return Ok(());
        }
        let before = self.ledger.rows_in;
        let mut ledger = Ledger {
            rows_in: rows as u64,
            unreadable_cells: columns.unreadable_cells,
            ..Ledger::default()
        };
        // A copy, because the stream changes while the cleaner is in use.
        let cleaning = self.cleaning.clone();
        let cleaner = RowCleaner::new(columns, &cleaning)?;
        let in_stream = |error: Error| match error.row() {
            Some(row) => error.at_row((before + row) as usize),
            None => error,
        };
        let mut buckets = check_rows(&cleaner, rows, &mut ledger, progress).map_err(in_stream)?;
        let keep = |row: usize| buckets[row] != NO_BUCKET;
        let some_kept = (0..rows).any(keep);
        let shape = self.shape_with(columns, &optional, some_kept)?;
        let channels = match optional.channel {
            Some(column) => Some(code_few_names(column, "events.channel", NO_CHANNEL, keep)?),
            None => None,
        };
        let (names, channels) = self.with_names(channels)?;
        let count = self.partitions.len();
        buckets
            .par_chunks_mut(chunk_rows(rows))
            .enumerate()
            .for_each(|(i, buckets)| {
                for (j, bucket) in buckets.iter_mut().enumerate() {
                    if *bucket != NO_BUCKET {
                        let row = i * chunk_rows(rows) + j;
                        *bucket = route(id_at(&columns.customer, row), count);
                    }
                }
            });
        let step = progress.step("events.spread", rows);
        let spread = scatter_rows(&buckets, count, |rows| step.advance(rows))?;
        drop(buckets);
        let lens = spread.lens().into_iter().map(|len| len as u64);
        for (i, (partition, len)) in self.partitions.iter().zip(lens).enumerate() {
            if partition.rows + len > MAX_EVENTS {
                return Err(Error::invalid_parameter(
                    format!("stream partition {i}"),
                    format_args!("at most {MAX_EVENTS} rows, or more partitions"),
                    partition.rows + len,
                ));
            }
        }

        // From here on the stream changes.
        self.take_types(columns, &optional, &shape);
        self.channel_names = names;
        let batch = Batch {
            columns,
            cleaner: &cleaner,
            channels,
            before,
        };
        let taken = self.take_rows(&batch, spread.into_buckets());
        if let Err(error) = taken {
            self.broken = Some(error.clone());
            return Err(error);
        }
        self.ledger.merge(&ledger);
        Ok(())
    }

    fn has_rows(&self) -> bool {
        self.partitions.iter().any(|partition| partition.rows > 0)
    }

    /// The shape of the stream with a batch, whose types must be those of the rows before.
    fn shape_with(
        &self,
        columns: &EventColumns<'_>,
        optional: &Optional<'_, '_>,
        some_kept: bool,
    ) -> Result<Shape> {
        let same = |what: &str, known: Option<&str>, got: &str| match known {
            Some(known) if known != got && self.has_rows() => {
                let expected = format_args!("{known} as in the batches before");
                Err(Error::new(ErrorKind::InvalidValue, what, expected, got))
            }
            _ => Ok(()),
        };
        let mut shape = self.shape.clone().unwrap_or_else(|| Shape {
            customers: Ids::like(&columns.customer.cells),
            channels: false,
            orders: false,
            items: None,
            numbers: self.cleaning.duplicates == DuplicatePolicy::Reject,
        });
        if !self.has_rows() {
            shape.customers = Ids::like(&columns.customer.cells);
        }
        if some_kept {
            let customers = columns.customer.cells.type_name();
            same("events.customer", self.customer_type, customers)?;
            let values = values_in_words(columns);
            same("events.value", self.values, values)?;
        }
        if let Some(column) = optional.order {
            same("events.order", self.order_type, column.cells.type_name())?;
            shape.orders = true;
        }
        if let Some(column) = optional.item {
            same("events.item", self.item_type, column.cells.type_name())?;
            if shape.items.is_none() || !self.has_rows() {
                shape.items = Some(Ids::like(&column.cells));
            }
        }
        shape.channels |= optional.channel.is_some();
        Ok(shape)
    }

    fn take_types(
        &mut self,
        columns: &EventColumns<'_>,
        optional: &Optional<'_, '_>,
        shape: &Shape,
    ) {
        let type_of = |column: &IdColumn<'_>| column.cells.type_name();
        let (orders, items) = (optional.order.map(type_of), optional.item.map(type_of));
        if !self.has_rows() {
            self.customer_type = Some(columns.customer.cells.type_name());
            self.values = Some(values_in_words(columns));
        }
        // Where there are rows, the types of a batch are those of the stream.
        self.order_type = orders.or(self.order_type);
        self.item_type = items.or(self.item_type);
        self.shape = Some(shape.clone());
    }

    /// The channel names of the stream with those of a batch, and the batch's codes among them.
    fn with_names(
        &self,
        batch: Option<(Vec<u8>, Vec<String>)>,
    ) -> Result<(Vec<String>, Option<Vec<u8>>)> {
        let mut names = self.channel_names.clone();
        let Some((mut codes, own)) = batch else {
            return Ok((names, None));
        };
        let mut places = Vec::with_capacity(own.len());
        for name in own {
            let place = names.iter().position(|known| *known == name);
            places.push(place.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }));
        }
        if names.len() > usize::from(NO_CHANNEL) {
            return Err(Error::invalid_parameter(
                "events.channel",
                format_args!("at most {NO_CHANNEL} distinct names"),
                names.len(),
            ));
        }
        for code in &mut codes {
            *code = places
                .get(usize::from(*code))
                .map_or(NO_CHANNEL, |place| *place as u8);
        }
        Ok((names, Some(codes)))
    }

    /// Puts rows into the blocks of their partitions, and full blocks into scratch space.
    fn take_rows(&mut self, batch: &Batch<'_, '_, '_>, rows: Vec<Bucket<u32>>) -> Result<()> {
        let Some(shape) = &self.shape else {
            return Ok(());
        };
        let limit = self.frame_bytes;
        let full: Vec<Result<(Vec<u8>, u64)>> = self
            .partitions
            .par_iter_mut()
            .zip(rows)
            .map(|(partition, rows)| {
                let rows = rows.records();
                let (mut bytes, mut frames) = (Vec::new(), 0);
                let mut flush = |block: &mut Block| -> Result<()> {
                    frames += u64::from(block.rows() > 0);
                    block.flush(&mut bytes)
                };
                // A block of another shape goes first.
                if let Some(block) = partition
                    .block
                    .as_mut()
                    .filter(|block| !block.is_like(shape))
                {
                    flush(block)?;
                    partition.block = None;
                }
                partition.rows += rows.len() as u64;
                for rows in rows.chunks(1 << 12) {
                    let block = partition.block.get_or_insert_with(|| Block::new(shape));
                    block.push(batch, rows);
                    if block.bytes() >= limit {
                        flush(block)?;
                    }
                }
                Ok((bytes, frames))
            })
            .collect();
        for (i, full) in full.into_iter().enumerate() {
            let (bytes, frames) = full?;
            if frames > 0 {
                self.scratch.append(i, &bytes).map_err(no_room)?;
                self.partitions[i].frames += frames;
            }
        }
        Ok(())
    }

    /// Orders the partitions one after another; each is back in scratch space as a saved log then.
    ///
    /// # Errors
    /// `InvalidValue` for copies of rows, naming the first one, if duplicates are rejected;
    /// `InvalidValue` at `scratch` for scratch space that lost or changed what it was given;
    /// `Cancelled`.
    pub fn finish(mut self, progress: &Progress<'_>) -> Result<PartitionedLog<S>> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let mut names = self.channel_names.clone();
        names.sort_unstable();
        let mut ledger = self.ledger;
        let mut whole = PartitionedLog {
            partitions: self.partitions.len(),
            channel_names: names,
            keep: self.cleaning.keep.clone(),
            customers: 0,
            time_range: None,
            report: CleaningReport::default(),
            events: 0,
            scratch: self.scratch,
        };
        let rows: u64 = self.partitions.iter().map(|partition| partition.rows).sum();
        let step = progress.step("stream.order", usize::try_from(rows).unwrap_or(usize::MAX));
        let mut copy: Option<Error> = None;
        // A stream without any batch is a log without any event.
        let shape = self.shape.unwrap_or(Shape {
            customers: Ids::like(&IdCells::Int([].as_slice().into())),
            channels: false,
            orders: false,
            items: None,
            numbers: false,
        });
        for (i, partition) in self.partitions.iter_mut().enumerate() {
            let mut block = Block::new(&shape);
            {
                let rows = whole.scratch.read(i).map_err(unreadable)?;
                let mut rows = BufReader::with_capacity(1 << 18, rows);
                for _ in 0..partition.frames {
                    block.read(&mut rows)?;
                }
            }
            if let Some(last) = partition.block.take() {
                block.append(last)?;
            }
            if block.rows() as u64 != partition.rows {
                let expected = format_args!("{} rows of partition {i}", partition.rows);
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    "scratch",
                    expected,
                    block.rows(),
                ));
            }
            whole.scratch.clear(i).map_err(no_room)?;
            let columns = block.columns(&self.channel_names);
            let log = match EventLog::from_columns_observed(&columns, &self.cleaning, progress) {
                Ok(log) => log,
                Err(error) => {
                    let number = error.row().and_then(|row| block.number(row as usize));
                    let Some(number) = number else {
                        return Err(error);
                    };
                    // The copy named is the first of the stream, whatever partition it fell into.
                    if copy
                        .as_ref()
                        .and_then(Error::row)
                        .is_none_or(|first| number < first)
                    {
                        copy = Some(error.at_row(number as usize));
                    }
                    continue;
                }
            };
            step.advance(block.rows())?;
            drop(block);
            if copy.is_some() {
                continue;
            }
            let log = log.of_stream(self.order_type, &whole.channel_names);
            // Rows of the partition have been counted when they came in.
            let mut own = log.ledger;
            own.rows_in = 0;
            ledger.merge(&own);
            whole.take(i, &log, progress)?;
        }
        if let Some(copy) = copy {
            return Err(copy);
        }
        whole.report = ledger.report();
        whole.events = ledger.rows_kept;
        Ok(whole)
    }
}

impl EventLog {
    /// The log of a partition as a part of its stream.
    fn of_stream(mut self, order_type: Option<&'static str>, channel_names: &[String]) -> Self {
        self.recode_channels(channel_names);
        if self.orders.is_some() {
            self.order_type = order_type;
        }
        self
    }
}

/// The logs of a stream, one per partition, in scratch space.
#[derive(Debug)]
pub struct PartitionedLog<S> {
    scratch: S,
    partitions: usize,
    channel_names: Vec<String>,
    keep: Keep,
    customers: u64,
    events: u64,
    time_range: Option<(Timestamp, Timestamp)>,
    report: CleaningReport,
}

impl<S: Scratch> PartitionedLog<S> {
    fn take(&mut self, partition: usize, log: &EventLog, progress: &Progress<'_>) -> Result<()> {
        let place = Appender {
            scratch: &mut self.scratch,
            partition,
        };
        log.save_observed(BufWriter::with_capacity(1 << 18, place), progress)?;
        self.customers += log.customers().len() as u64;
        self.time_range = match (self.time_range, log.time_range()) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Ok(())
    }

    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// The partition that holds a customer, known or not.
    pub fn partition_of<'a>(&self, id: impl Into<CustomerId<'a>>) -> usize {
        usize::from(route(id.into(), self.partitions))
    }

    /// The log of one partition: its customers with all their events, and the channels of the whole
    /// stream. Its report counts the partition only.
    ///
    /// # Errors
    /// `InvalidParameter` for a partition that there is not; `InvalidValue` for scratch space that
    /// lost or changed what it was given; `Cancelled`.
    pub fn log(&self, partition: usize, progress: &Progress<'_>) -> Result<EventLog> {
        if partition >= self.partitions {
            let expected = format_args!("a number below {}", self.partitions);
            return Err(Error::invalid_parameter("partition", expected, partition));
        }
        let file = self.scratch.read(partition).map_err(unreadable)?;
        EventLog::load_observed(BufReader::with_capacity(1 << 18, file), progress)
    }

    /// Number of events.
    pub fn len(&self) -> u64 {
        self.events
    }

    /// Whether the stream holds no event.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Number of customers.
    pub fn customer_count(&self) -> u64 {
        self.customers
    }

    /// Names of the channels, sorted.
    pub fn channels(&self) -> &[String] {
        &self.channel_names
    }

    /// Which events and columns the stream stores.
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// What cleaning did to the whole stream, as one build reports it.
    pub fn report(&self) -> &CleaningReport {
        &self.report
    }

    /// First and last instant, or `None` for an empty stream.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        self.time_range
    }

    /// Midnight behind the last event, as [`EventLog::day_after_last`].
    ///
    /// # Errors
    /// `NotEnoughData` for an empty stream.
    pub fn day_after_last(&self) -> Result<AsOf> {
        day_after(self.time_range)
    }

    /// Gives the scratch space back.
    pub fn into_scratch(self) -> S {
        self.scratch
    }
}

/// A partition of scratch space to write to.
struct Appender<'s, S> {
    scratch: &'s mut S,
    partition: usize,
}

impl<S: Scratch> Write for Appender<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.scratch.append(self.partition, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
