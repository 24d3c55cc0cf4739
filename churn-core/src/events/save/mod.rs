//! A built log as a file: saved once, read back in a moment, and never trusted.
//!
//! Columns are written customer after customer, without the room that appends leave behind; the
//! bytes are those of `docs/FORMAT.md`. Reading confirms everything that the rest of the library
//! relies on (order, kinds, values, codes, marks of orders, sums of the report), so that a damaged
//! or hostile file is an error that names its place. Not a format for exchange with other programs:
//! those want Arrow or CSV.

mod check;

use std::io::{Read, Write};

use super::clean::Ledger;
use super::columns::ID_TYPES;
use super::{Cleaning, Column, EventLog, MAX_EVENTS, NO_CHANNEL, Span};
use crate::customers::{Customers, text_store};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::sections::{
    Cell, Format, SectionReader, SectionWriter, Source, Stream, announce_ids, id_type, read_ids,
    write_ids,
};

const LOG: Format = Format {
    code: 1,
    name: "an event log",
    version: 1,
};

const CUSTOMERS: [&str; 2] = ["customers", "customer texts"];
const CHANNELS: [&str; 2] = ["channels", "channel texts"];
const ITEMS: [&str; 2] = ["items", "item texts"];

/// Cleaning settings longer than this are no settings.
const MOST_SETTINGS: u64 = 1 << 24;

/// What the first section of a file says.
struct Summary {
    events: u64,
    customers: u64,
    customer_type: u64,
    /// Number of channel names, one more than that, or 0 where the log has no channel column.
    channels: u64,
    /// 0 where the log has no orders.
    order_type: u64,
    items: u64,
    /// 0 where the log has no items.
    item_type: u64,
    ledger: Ledger,
}

/// Words before those of the ledger.
const WORDS: usize = 7;
/// Words of the whole summary: a sum takes two.
const SUMMARY: usize = WORDS + Ledger::COUNTS + 2 * Ledger::SUMS;

impl Summary {
    fn of(log: &EventLog) -> Self {
        let type_code = |name: &str| ID_TYPES.iter().position(|known| *known == name);
        Summary {
            events: log.len() as u64,
            customers: log.customers.len() as u64,
            customer_type: id_type(&log.customers),
            channels: match log.channels {
                None => 0,
                Some(_) => log.channel_names.len() as u64 + 1,
            },
            order_type: match (&log.orders, log.order_type.and_then(type_code)) {
                (Some(_), Some(code)) => code as u64 + 1,
                _ => 0,
            },
            items: log.item_ids.as_ref().map_or(0, Customers::len) as u64,
            item_type: log.item_ids.as_ref().map_or(0, id_type),
            ledger: log.ledger,
        }
    }

    fn words(&self) -> Vec<u64> {
        let mut words = vec![
            self.events,
            self.customers,
            self.customer_type,
            self.channels,
            self.order_type,
            self.items,
            self.item_type,
        ];
        let (counts, sums) = self.ledger.parts();
        words.extend(counts);
        words.extend(
            sums.iter()
                .flat_map(|sum| [*sum as u64, (*sum >> 64) as u64]),
        );
        words
    }

    fn read(words: &[u64]) -> Option<Self> {
        let (own, rest) = words.split_at_checked(WORDS)?;
        let (counts, sums) = rest.split_at_checked(Ledger::COUNTS)?;
        let counts: &[u64; Ledger::COUNTS] = counts.try_into().ok()?;
        let (pairs, _) = sums.as_chunks::<2>();
        let pairs: &[[u64; 2]; Ledger::SUMS] = pairs.try_into().ok()?;
        let sums = pairs.map(|[low, high]| (u128::from(low) | u128::from(high) << 64) as i128);
        Some(Summary {
            events: own[0],
            customers: own[1],
            customer_type: own[2],
            channels: own[3],
            order_type: own[4],
            items: own[5],
            item_type: own[6],
            ledger: Ledger::from_parts(counts, &sums),
        })
    }
}

impl EventLog {
    /// Writes the log in the library's own form: columns behind headers, each under a checksum.
    /// Read it back with [`load`](Self::load) or [`from_bytes`](Self::from_bytes).
    ///
    /// # Errors
    /// `InvalidValue` at `file` where `out` takes no more bytes.
    ///
    /// # Example
    /// ```
    /// use churn_core::events::{Cleaning, EventColumns, EventKind};
    /// use churn_core::{EventLog, TimeUnit};
    /// let columns = EventColumns::new(&["ann", "bea"], &[10, 12], TimeUnit::Day, EventKind::Purchase);
    /// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
    /// let mut file = Vec::new();
    /// log.save(&mut file)?;
    /// assert_eq!(EventLog::from_bytes(&file)?, log);
    /// assert_eq!(EventLog::load(file.as_slice())?, log);
    /// let error = EventLog::from_bytes(&file[..100]).unwrap_err();
    /// assert_eq!(error.what(), "file");
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn save(&self, out: impl Write) -> Result<()> {
        self.save_observed(out, &Progress::none())
    }

    /// The same with progress (in bytes, step `"file.save"`) and cancellation, which leaves a part
    /// of a file behind.
    ///
    /// # Errors
    /// As [`save`](Self::save), and `Cancelled`.
    pub fn save_observed(&self, out: impl Write, progress: &Progress<'_>) -> Result<()> {
        let summary = Summary::of(self);
        let settings = settings_json(&self.cleaning)?;
        let names = channel_spine(&self.channel_names);
        let events = summary.events;
        let mut sections = vec![
            ("log", 8 * SUMMARY as u64),
            ("cleaning", settings.len() as u64),
        ];
        announce_ids(&self.customers, CUSTOMERS, &mut sections);
        if self.channels.is_some() {
            announce_ids(&names, CHANNELS, &mut sections);
        }
        if let Some(items) = &self.item_ids {
            announce_ids(items, ITEMS, &mut sections);
        }
        sections.extend([
            ("lengths", 4 * summary.customers),
            ("times", 8 * events),
            ("kinds", events),
            ("values", 8 * events),
        ]);
        if self.channels.is_some() {
            sections.push(("event channels", events));
        }
        if self.orders.is_some() {
            sections.push(("orders", 8 * events));
        }
        if self.items.is_some() {
            sections.push(("event items", 4 * events));
        }

        let mut file = SectionWriter::new(out, LOG, sections, progress)?;
        file.section("log", |out| out.put(&summary.words()))?;
        file.section("cleaning", |out| out.put(settings.as_bytes()))?;
        write_ids(&mut file, &self.customers, CUSTOMERS)?;
        if self.channels.is_some() {
            write_ids(&mut file, &names, CHANNELS)?;
        }
        if let Some(items) = &self.item_ids {
            write_ids(&mut file, items, ITEMS)?;
        }
        file.section("lengths", |out| {
            self.spans.iter().try_for_each(|span| out.put(&[span.len]))
        })?;
        self.save_column(&mut file, "times", &self.times)?;
        self.save_column(&mut file, "kinds", &self.kinds)?;
        self.save_column(&mut file, "values", &self.values)?;
        if let Some(channels) = &self.channels {
            self.save_column(&mut file, "event channels", channels)?;
        }
        if let Some(orders) = &self.orders {
            self.save_column(&mut file, "orders", orders)?;
        }
        if let Some(items) = &self.items {
            self.save_column(&mut file, "event items", items)?;
        }
        file.finish()
    }

    fn save_column<T: Cell + Default, W: Write>(
        &self,
        file: &mut SectionWriter<'_, W>,
        name: &'static str,
        column: &Column<T>,
    ) -> Result<()> {
        file.section(name, |out| {
            let spans = self.spans.iter();
            spans
                .map(|span| column.of(*span))
                .try_for_each(|cells| out.put(cells))
        })
    }

    /// Reads a saved log from a stream, up to its end as its header says. Memory grows with the
    /// bytes that arrive, not with what the file claims.
    ///
    /// # Errors
    /// `InvalidValue`, naming the place in the file and the row, for a file that is no saved log,
    /// is of a newer version, is cut short or damaged, or says what no build could have said.
    pub fn load(file: impl Read) -> Result<Self> {
        Self::load_observed(file, &Progress::none())
    }

    /// The same with progress (in bytes, steps `"file.load"` and `"file.check"`) and cancellation.
    ///
    /// # Errors
    /// As [`load`](Self::load), and `Cancelled`.
    pub fn load_observed(file: impl Read, progress: &Progress<'_>) -> Result<Self> {
        read(Stream::new(file), progress)
    }

    /// Reads a saved log from the bytes of a whole file, e.g. a memory-mapped one.
    ///
    /// # Errors
    /// As [`load`](Self::load), and for bytes behind the end of the file.
    pub fn from_bytes(file: &[u8]) -> Result<Self> {
        Self::from_bytes_observed(file, &Progress::none())
    }

    /// The same with progress and cancellation, as [`load_observed`](Self::load_observed).
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and `Cancelled`.
    pub fn from_bytes_observed(file: &[u8], progress: &Progress<'_>) -> Result<Self> {
        read(file, progress)
    }
}

fn settings_json(cleaning: &Cleaning) -> Result<String> {
    serde_json::to_string(cleaning)
        .map_err(|error| Error::invalid_parameter("cleaning", "settings that JSON can hold", error))
}

/// Channel names are sorted, distinct and not empty, like ids.
fn channel_spine(names: &[String]) -> Customers {
    Customers::new(text_store(names))
}

fn read<S: Source>(source: S, progress: &Progress<'_>) -> Result<EventLog> {
    let mut file = SectionReader::new(source, LOG, progress)?;
    let words: Vec<u64> = file.cells("log", SUMMARY as u64)?;
    let Some(summary) = Summary::read(&words) else {
        return Err(wrong(
            "file.log",
            format_args!("{SUMMARY} words"),
            words.len(),
        ));
    };
    check::summary(&summary)?;
    let settings = file.text("cleaning", MOST_SETTINGS)?;
    let cleaning: Cleaning = crate::settings::from_json("file.cleaning", &settings)?;
    check::settings(&summary, &cleaning)?;
    let customers = read_ids(
        &mut file,
        CUSTOMERS,
        summary.customer_type,
        summary.customers,
    )?;
    let has_channels = summary.channels > 0;
    let channel_names: Vec<String> = if has_channels {
        let names = read_ids(&mut file, CHANNELS, 3, summary.channels - 1)?;
        names.texts().map(str::to_owned).collect()
    } else {
        Vec::new()
    };
    let item_ids = match summary.item_type {
        0 => None,
        item_type => Some(read_ids(&mut file, ITEMS, item_type, summary.items)?),
    };
    let lengths: Vec<u32> = file.cells("lengths", summary.customers)?;
    let spans = spans(&lengths, summary.events)?;
    drop(lengths);
    let events = summary.events;
    let log = EventLog {
        customers,
        spans,
        times: file.cells("times", events)?.into(),
        kinds: file.cells("kinds", events)?.into(),
        values: file.cells("values", events)?.into(),
        channels: optional(has_channels, || file.cells("event channels", events))?,
        orders: optional(summary.order_type > 0, || file.cells("orders", events))?,
        order_type: match summary.order_type {
            0 => None,
            code => Some(ID_TYPES[code as usize - 1]),
        },
        items: optional(item_ids.is_some(), || file.cells("event items", events))?,
        item_ids,
        channel_names: channel_names.into(),
        used: events as usize,
        garbage: 0,
        cleaning,
        report: summary.ledger.report(),
        ledger: summary.ledger,
    };
    file.finish()?;
    check::events(&log, progress)?;
    Ok(log)
}

fn optional<T>(present: bool, read: impl FnOnce() -> Result<Vec<T>>) -> Result<Option<Column<T>>> {
    if present {
        read().map(|cells| Some(cells.into()))
    } else {
        Ok(None)
    }
}

/// The places of customers with so many events each; no place can overlap another.
fn spans(lengths: &[u32], events: u64) -> Result<Vec<Span>> {
    let mut end = 0_u64;
    let mut spans = Vec::with_capacity(lengths.len());
    for (row, length) in lengths.iter().enumerate() {
        if *length == 0 {
            let expected = "at least one event";
            return Err(Error::invalid_value("file.lengths", row, expected, 0));
        }
        spans.push(Span::new(end as usize, *length));
        end += u64::from(*length);
    }
    if end != events {
        return Err(wrong(
            "file.lengths",
            format_args!("{events} events together"),
            end,
        ));
    }
    Ok(spans)
}

fn wrong(place: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidValue, place, expected, got)
}
