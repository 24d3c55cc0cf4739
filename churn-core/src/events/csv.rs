//! Event columns from CSV bytes, plain or compressed with gzip.
//!
//! The first line names the columns; text is UTF-8, fields may be quoted, a byte-order mark is
//! skipped. Ids are always read as text, so that `007` and `7` stay different. An empty cell is a
//! missing cell, whose fate the [`Cleaning`](super::Cleaning) decides.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::check_event_count;
use super::clean::Policy;
use super::columns::{
    EventColumns, IdCells, IdColumn, KindColumn, TextCells, TextColumn, TimeColumn, ValueColumn,
};
use super::kinds::EventKind;
use super::names::ColumnNames;
use super::roles::Roles;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Progress, Step};
use crate::time::{TimeUnit, Timestamp};

/// The file as a whole, in errors.
const FILE: &str = "events.csv";
/// Rows between two progress reports.
const BATCH: usize = 1 << 14;

/// How a CSV file is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// Which column plays which role.
    pub names: ColumnNames,
    /// What separates two fields: one ASCII character.
    pub delimiter: char,
    /// What to do with a cell that cannot be read (no time, no number, not UTF-8): refuse the
    /// file, or treat the cell as missing and count it ([`CsvEvents::unreadable`]).
    pub unreadable: Policy,
    /// Size of the input (bytes, as stored), for progress reports only; without it they carry a
    /// total of 0.
    pub total_bytes: Option<u64>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            names: ColumnNames::default(),
            delimiter: ',',
            unreadable: Policy::Reject,
            total_bytes: None,
        }
    }
}

/// The columns of a CSV file that play a role in the log.
///
/// # Example
/// ```
/// use churn_core::EventLog;
/// use churn_core::events::{Cleaning, ColumnNames, CsvEvents, CsvOptions};
/// use churn_core::progress::Progress;
/// let file = "who,day,quantity,price\nann,2011-12-01,2,9.50\nbea,2011-12-03,1,20\n";
/// let options = CsvOptions {
///     names: ColumnNames {
///         customer: Some("who".into()),
///         time: Some("day".into()),
///         value: Some("quantity*price".into()),
///         ..ColumnNames::default()
///     },
///     ..CsvOptions::default()
/// };
/// let events = CsvEvents::read(file.as_bytes(), &options, &Progress::none())?;
/// let log = EventLog::from_columns(&events.columns(), &Cleaning::default())?;
/// assert_eq!(log.report().purchases_kept, 39.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CsvEvents {
    customers: Texts,
    times: Optional<i64>,
    time_unit: TimeUnit,
    kinds: Option<Names>,
    values: Option<Optional<f64>>,
    channels: Option<Names>,
    orders: Option<Texts>,
    items: Option<Texts>,
    unreadable: u64,
}

impl CsvEvents {
    /// Reads a CSV file, plain or gzip (told by its first bytes), to its end.
    ///
    /// Times are read as [`Timestamp::parse`] does, or as integers where
    /// [`ColumnNames::time_unit`] is set; without kind column every row is a purchase. Progress is
    /// in bytes of the input, step `"events.csv"`.
    ///
    /// # Errors
    /// `InvalidParameter` for a delimiter that is not one ASCII character; `NotEnoughData` for a
    /// file without header; `UnknownName` for a column that is not there; `InvalidValue` with row
    /// (from 0, header not counted) and line (from 1) for a cell that cannot be read and for a row
    /// with more or fewer fields than the header, and for input that cannot be read or
    /// decompressed; `Cancelled`.
    pub fn read(
        reader: impl Read,
        options: &CsvOptions,
        progress: &Progress<'_>,
    ) -> Result<CsvEvents> {
        let mut batches = CsvBatches::open(reader, options, progress)?;
        Ok(batches.next(usize::MAX)?.unwrap_or_else(|| batches.empty()))
    }

    /// The columns, borrowed.
    pub fn columns(&self) -> EventColumns<'_> {
        EventColumns {
            customer: self.customers.column(),
            time: TimeColumn {
                cells: Cow::Borrowed(&self.times.cells),
                unit: self.time_unit,
                valid: self.times.valid(),
            },
            kind: match &self.kinds {
                None => KindColumn::All(EventKind::Purchase),
                Some(names) => KindColumn::Names(names.column()),
            },
            value: self.values.as_ref().map(|values| ValueColumn {
                cells: Cow::Borrowed(&values.cells),
                valid: values.valid(),
            }),
            channel: self.channels.as_ref().map(Names::column),
            order: self.orders.as_ref().map(Texts::column),
            item: self.items.as_ref().map(Texts::column),
            unreadable_cells: self.unreadable,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.times.cells.len()
    }

    /// Whether the file holds a header only.
    pub fn is_empty(&self) -> bool {
        self.times.cells.is_empty()
    }

    /// Number of cells that could not be read and count as missing
    /// ([`CsvOptions::unreadable`] = drop).
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// A CSV file larger than memory, some rows at a time, e.g. for a [`LogStream`](super::LogStream).
///
/// # Example
/// ```
/// use churn_core::events::{
///     Cleaning, CsvBatches, CsvOptions, LogStream, MemoryScratch, StreamSettings,
/// };
/// use churn_core::progress::Progress;
/// let file = "customer,time,value\nann,2011-12-01,9.50\nbea,2011-12-03,20\nann,2011-12-04,1\n";
/// let none = Progress::none();
/// let mut stream =
///     LogStream::new(MemoryScratch::new(), &StreamSettings::default(), &Cleaning::default())?;
/// let mut batches = CsvBatches::open(file.as_bytes(), &CsvOptions::default(), &none)?;
/// while let Some(batch) = batches.next(2)? {
///     stream.push(&batch.columns(), &none)?;
/// }
/// assert_eq!(stream.finish(&none)?.report().purchases_kept, 30.5);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub struct CsvBatches<'r> {
    file: Reader<Box<dyn Read + 'r>>,
    names: Vec<String>,
    roles: Roles,
    unreadable: Policy,
    times: TimeReader,
    /// Bytes taken from the input, and how many of them were reported.
    taken: Arc<AtomicU64>,
    reported: u64,
    step: Step<'r>,
    /// Rows read so far.
    rows: usize,
}

impl fmt::Debug for CsvBatches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvBatches({} rows so far)", self.rows)
    }
}

impl<'r> CsvBatches<'r> {
    /// Reads the header of a CSV file, plain or gzip.
    ///
    /// # Errors
    /// As [`CsvEvents::read`] for options and header.
    pub fn open(
        reader: impl Read + 'r,
        options: &CsvOptions,
        progress: &Progress<'r>,
    ) -> Result<Self> {
        let delimiter = match u8::try_from(options.delimiter) {
            Ok(byte) if byte.is_ascii() && !b"\"\r\n".contains(&byte) => byte,
            _ => {
                return Err(Error::invalid_parameter(
                    "csv.delimiter",
                    "one ASCII character other than a quote or a line break",
                    format_args!("{:?}", options.delimiter),
                ));
            }
        };
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: reader,
            taken: Arc::clone(&taken),
        };
        let mut file = ReaderBuilder::new()
            .delimiter(delimiter)
            .buffer_capacity(1 << 16)
            .from_reader(plain_text(counted).map_err(unreadable_input)?);
        let header = file.byte_headers().map_err(broken)?;
        if header.is_empty() {
            return Err(Error::not_enough_data(FILE, "a header line", "nothing"));
        }
        let header = header
            .iter()
            .map(std::str::from_utf8)
            .collect::<std::result::Result<Vec<&str>, _>>()
            .map_err(|_| {
                Error::new(ErrorKind::InvalidValue, FILE, "UTF-8", "other bytes").at_line(1)
            })?;
        let roles = options.names.resolve(&header)?;
        let names: Vec<String> = header.into_iter().map(str::to_owned).collect();
        Ok(CsvBatches {
            file,
            names,
            roles,
            unreadable: options.unreadable,
            times: TimeReader {
                unit: options.names.time_unit,
                last: None,
            },
            taken,
            reported: 0,
            step: progress.step(FILE, options.total_bytes.unwrap_or(0) as usize),
            rows: 0,
        })
    }

    /// A batch without rows.
    fn empty(&self) -> CsvEvents {
        let roles = &self.roles;
        CsvEvents {
            customers: Texts::default(),
            times: Optional::default(),
            time_unit: self.times.unit.unwrap_or(TimeUnit::Microsecond),
            kinds: roles.kind.map(|_| Names::default()),
            values: (!roles.value.is_empty()).then(Optional::default),
            channels: roles.channel.map(|_| Names::default()),
            orders: roles.order.map(|_| Texts::default()),
            items: roles.item.map(|_| Texts::default()),
            unreadable: 0,
        }
    }

    /// The next rows, at most so many (0 means 1); `None` at the end of the file.
    ///
    /// # Errors
    /// As [`CsvEvents::read`], rows counted from the start of the file; `InvalidParameter` for more
    /// rows than one log holds in one batch.
    // Not an iterator: a batch may be of another size each time.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, most: usize) -> Result<Option<CsvEvents>> {
        let mut events = self.empty();
        let roles = self.roles.clone();
        let mut record = ByteRecord::new();
        let mut ended = false;
        while events.times.cells.len() < most.max(1) {
            if !self.file.read_byte_record(&mut record).map_err(broken)? {
                ended = true;
                break;
            }
            let row = self.rows;
            let line = record.position().map_or(0, |at| at.line());
            let cell = |role: &'static str, column: usize| Cell {
                bytes: &record[column],
                role,
                column: &self.names[column],
                row,
                line,
            };
            let mut unreadable = Unreadable {
                policy: self.unreadable,
                count: &mut events.unreadable,
            };
            if let Some(values) = &mut events.values {
                let mut product = Some(1.0);
                for &column in &roles.value {
                    let factor = unreadable.or_missing(cell("value", column).number())?;
                    product = product
                        .zip(factor)
                        .map(|(product, factor)| product * factor);
                }
                values.push(product);
            }
            let time = unreadable.or_missing(self.times.read(&cell("time", roles.time)))?;
            events.times.push(time);
            for (texts, role, column) in [
                (
                    Some(&mut events.customers),
                    "customer",
                    Some(roles.customer),
                ),
                (events.orders.as_mut(), "order", roles.order),
                (events.items.as_mut(), "item", roles.item),
            ] {
                if let (Some(texts), Some(column)) = (texts, column) {
                    texts.push(unreadable.or_missing(cell(role, column).text())?);
                }
            }
            for (names, role, column) in [
                (events.kinds.as_mut(), "kind", roles.kind),
                (events.channels.as_mut(), "channel", roles.channel),
            ] {
                if let (Some(names), Some(column)) = (names, column) {
                    names.push(unreadable.or_missing(cell(role, column).text())?);
                }
            }
            if row.is_multiple_of(BATCH) {
                check_event_count(events.times.cells.len() as u64)?;
                self.report()?;
            }
            self.rows += 1;
        }
        self.report()?;
        Ok((!ended || !events.is_empty()).then_some(events))
    }

    /// Tells how far the input is read.
    fn report(&mut self) -> Result<()> {
        let now = self.taken.load(Ordering::Relaxed);
        let news = now - self.reported;
        self.reported = now;
        self.step.advance(news as usize)
    }
}

/// One cell and where it stands.
struct Cell<'r> {
    bytes: &'r [u8],
    role: &'static str,
    column: &'r str,
    row: usize,
    line: u64,
}

impl<'r> Cell<'r> {
    fn wrong(&self, expected: &str) -> Error {
        let got = String::from_utf8_lossy(self.bytes);
        Error::invalid_value(
            format!("events.{}", self.role),
            self.row,
            expected,
            format_args!("{got:?} in column {:?}", self.column),
        )
        .at_line(line_number(self.line))
    }

    fn text(&self) -> Result<Option<&'r str>> {
        match std::str::from_utf8(self.bytes) {
            Ok("") => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.wrong("text in UTF-8")),
        }
    }

    /// The text without blanks around it, for cells where those mean nothing.
    fn trimmed(&self) -> Result<Option<&'r str>> {
        Ok(self.text()?.map(str::trim).filter(|text| !text.is_empty()))
    }

    fn number(&self) -> Result<Option<f64>> {
        let Some(text) = self.trimmed()? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong("a number such as 12.50")),
        }
    }
}

/// What happens to cells that cannot be read.
struct Unreadable<'e> {
    policy: Policy,
    count: &'e mut u64,
}

impl Unreadable<'_> {
    fn or_missing<T>(&mut self, read: Result<Option<T>>) -> Result<Option<T>> {
        match read {
            Err(_) if self.policy == Policy::Drop => {
                *self.count += 1;
                Ok(None)
            }
            read => read,
        }
    }
}

/// Reads times, remembering the last one: logs repeat times from line to line.
struct TimeReader {
    unit: Option<TimeUnit>,
    last: Option<(Vec<u8>, i64)>,
}

impl TimeReader {
    fn read(&mut self, cell: &Cell<'_>) -> Result<Option<i64>> {
        if let Some((bytes, time)) = &self.last
            && bytes == cell.bytes
        {
            return Ok(Some(*time));
        }
        let Some(text) = cell.trimmed()? else {
            return Ok(None);
        };
        let time = match self.unit {
            Some(_) => text
                .parse()
                .map_err(|_| cell.wrong("an integer time, since names.time_unit is set"))?,
            None => Timestamp::parse(text)
                .map_err(|error| cell.wrong(error.expected()))?
                .micros(),
        };
        self.last = Some((cell.bytes.to_vec(), time));
        Ok(Some(time))
    }
}

/// Numbers of which some may be missing.
#[derive(Debug, Clone, Default)]
struct Optional<T> {
    cells: Vec<T>,
    /// Empty until the first missing cell.
    flags: Vec<bool>,
}

impl<T: Copy + Default> Optional<T> {
    fn push(&mut self, cell: Option<T>) {
        if cell.is_none() && self.flags.is_empty() {
            self.flags = vec![true; self.cells.len()];
            // Marks the flags as in use even where the very first cell is missing.
            self.flags.push(false);
        } else if !self.flags.is_empty() {
            self.flags.push(cell.is_some());
        }
        self.cells.push(cell.unwrap_or_default());
    }

    fn valid(&self) -> Option<Cow<'_, [bool]>> {
        (!self.flags.is_empty()).then_some(Cow::Borrowed(&self.flags))
    }
}

/// Texts packed one after another; an empty one is a missing one.
#[derive(Debug, Clone)]
struct Texts {
    offsets: Vec<i64>,
    bytes: String,
}

impl Default for Texts {
    fn default() -> Self {
        Texts {
            offsets: vec![0],
            bytes: String::new(),
        }
    }
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        self.bytes.push_str(text.unwrap_or_default());
        self.offsets.push(self.bytes.len() as i64);
    }

    fn column(&self) -> IdColumn<'_> {
        IdCells::Text(TextCells::Packed64 {
            offsets: Cow::Borrowed(&self.offsets),
            bytes: Cow::Borrowed(&self.bytes),
        })
        .into()
    }
}

/// Few texts, many times: coded in order of first sight; an empty one is a missing one.
#[derive(Debug, Clone, Default)]
struct Names {
    codes: Vec<u32>,
    names: Vec<String>,
    known: HashMap<String, u32>,
}

impl Names {
    fn push(&mut self, name: Option<&str>) {
        let name = name.unwrap_or_default();
        let code = match self.known.get(name) {
            Some(code) => *code,
            None => {
                // One code per row at most, and a log has fewer than 2³² rows.
                let code = self.names.len() as u32;
                self.names.push(name.to_owned());
                self.known.insert(name.to_owned(), code);
                code
            }
        };
        self.codes.push(code);
    }

    fn column(&self) -> TextColumn<'_> {
        TextCells::Coded {
            codes: Cow::Borrowed(&self.codes),
            names: self.names.iter().map(|n| n.as_str().into()).collect(),
        }
        .into()
    }
}

/// Counts the bytes taken from the input.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The text behind the bytes: decompressed if they are gzip, without byte-order mark.
fn plain_text<'r>(reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
    let (first, rest) = first_bytes(reader, GZIP.len())?;
    let whole = Cursor::new(first.clone()).chain(rest);
    let text: Box<dyn Read + 'r> = if first == GZIP {
        Box::new(MultiGzDecoder::new(whole))
    } else {
        Box::new(whole)
    };
    let (mut first, rest) = first_bytes(text, BYTE_ORDER_MARK.len())?;
    if first == BYTE_ORDER_MARK {
        first.clear();
    }
    Ok(Box::new(Cursor::new(first).chain(rest)))
}

/// Takes the first bytes, fewer only where the input ends.
fn first_bytes<R: Read>(mut reader: R, count: usize) -> io::Result<(Vec<u8>, R)> {
    let mut first = Vec::with_capacity(count);
    reader.by_ref().take(count as u64).read_to_end(&mut first)?;
    Ok((first, reader))
}

fn line_number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn unreadable_input(error: io::Error) -> Error {
    Error::new(ErrorKind::InvalidValue, FILE, "readable input", error)
}

fn broken(error: ::csv::Error) -> Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => unreadable_input(error),
        ::csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let wrong = Error::new(
                ErrorKind::InvalidValue,
                FILE,
                format_args!("{expected_len} fields"),
                len,
            );
            match pos {
                // The header is record 0.
                Some(at) => wrong
                    .at_row(at.record().saturating_sub(1) as usize)
                    .at_line(line_number(at.line())),
                None => wrong,
            }
        }
        other => Error::new(
            ErrorKind::InvalidValue,
            FILE,
            "CSV",
            format_args!("{other:?}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::EventLog;
    use crate::customers::CustomerId;
    use crate::events::{Cleaning, DropReason, NegativePolicy};
    use crate::progress::{Control, Update};
    use crate::time::AsOf;

    fn read(file: &[u8], options: &CsvOptions) -> Result<CsvEvents> {
        CsvEvents::read(file, options, &Progress::none())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    const SMALL: &str = "customer,time,kind,value,channel,order,item,note\n\
        007,2011-12-01 08:26,purchase,\"12.50\",,A1,\"tea, green\",x\n\
        7,2011-12-01 08:26,message_sent,,sms,,,\n\
        007,2011-12-02,refund,2.5,,A1,\"say \"\"hi\"\"\",\n";

    fn log_of(events: &CsvEvents) -> EventLog {
        EventLog::from_columns(&events.columns(), &Cleaning::default()).unwrap()
    }

    #[test]
    fn plain_gzip_and_marked_bytes_give_the_same_log() {
        let options = CsvOptions::default();
        let plain = log_of(&read(SMALL.as_bytes(), &options).unwrap());
        assert_eq!(plain.customers().get(0), CustomerId::Text("007"));
        assert_eq!(plain.customers().len(), 2);
        assert_eq!(plain.channels(), ["sms"]);
        assert_eq!(plain.report().purchases_kept, 12.5);
        assert_eq!(plain.report().refunds_kept, 2.5);
        let items: Vec<String> = plain
            .items()
            .unwrap()
            .iter()
            .map(|i| i.to_string())
            .collect();
        assert_eq!(items, ["say \"hi\"", "tea, green"]);

        let marked = format!("\u{feff}{SMALL}");
        let (head, tail) = SMALL.as_bytes().split_at(60);
        let two_members = [gzip(head), gzip(tail)].concat();
        for file in [
            gzip(SMALL.as_bytes()),
            marked.clone().into_bytes(),
            gzip(marked.as_bytes()),
            two_members,
            SMALL.replace('\n', "\r\n").into_bytes(),
        ] {
            assert_eq!(log_of(&read(&file, &options).unwrap()), plain);
        }
        let tabs = CsvOptions {
            delimiter: '\t',
            ..CsvOptions::default()
        };
        let tabbed = "customer\ttime\nann\t2011-12-01\n";
        assert_eq!(read(tabbed.as_bytes(), &tabs).unwrap().len(), 1);
    }

    #[test]
    fn one_byte_at_a_time_changes_nothing() {
        struct Drip<'b>(&'b [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(buffer.len()).min(1);
                self.0.read(&mut buffer[..count])
            }
        }
        let file = gzip(format!("\u{feff}{SMALL}").as_bytes());
        let options = CsvOptions::default();
        let dripped = CsvEvents::read(Drip(&file), &options, &Progress::none()).unwrap();
        assert_eq!(log_of(&dripped), log_of(&read(&file, &options).unwrap()));
    }

    #[test]
    fn empty_cells_are_missing() {
        let file =
            "customer,time,value\n,2011-12-01,1\na,,1\na, ,1\na,2011-12-01,\na,2011-12-01,1\n";
        let log = log_of(&read(file.as_bytes(), &CsvOptions::default()).unwrap());
        assert_eq!(log.len(), 1);
        for (reason, rows) in [
            (DropReason::MissingCustomer, 1),
            (DropReason::MissingTime, 2),
            (DropReason::MissingValue, 1),
        ] {
            assert_eq!(log.report().dropped(reason).rows, rows, "{reason:?}");
        }
    }

    #[test]
    fn unreadable_cells_are_refused_or_counted() {
        let file = "customer,time,value\na,2011-12-01,1\na,2011-12-01,1.5x\na,soon,NA\n";
        let error = read(file.as_bytes(), &CsvOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "events.value[1] (line 3): expected a number such as 12.50, got \"1.5x\" in column \"value\""
        );
        let lenient = CsvOptions {
            unreadable: Policy::Drop,
            ..CsvOptions::default()
        };
        let events = read(file.as_bytes(), &lenient).unwrap();
        assert_eq!(events.unreadable(), 3);
        assert_eq!(log_of(&events).len(), 1);

        let latin1 = b"customer,time\nJos\xe9,2011-12-01\n";
        let error = read(latin1, &CsvOptions::default()).unwrap_err();
        assert_eq!((error.what(), error.row()), ("events.customer", Some(0)));
    }

    #[test]
    fn broken_files_are_refused_with_their_line() {
        let options = CsvOptions::default();
        let short = "customer,time\na,2011-12-01\nb\n";
        let error = read(short.as_bytes(), &options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "events.csv[1] (line 3): expected 2 fields, got 1"
        );
        assert_eq!(
            read(b"", &options).unwrap_err().kind(),
            ErrorKind::NotEnoughData
        );
        assert_eq!(
            read(b"a,b\n", &options).unwrap_err().kind(),
            ErrorKind::UnknownName
        );
        let mut cut = gzip(SMALL.as_bytes());
        cut.truncate(cut.len() - 12);
        assert_eq!(read(&cut, &options).unwrap_err().what(), "events.csv");
        assert!(read(b"customer,time\n", &options).unwrap().is_empty());
        for delimiter in ['"', '\n', 'é'] {
            let options = CsvOptions {
                delimiter,
                ..CsvOptions::default()
            };
            let error = read(SMALL.as_bytes(), &options).unwrap_err();
            assert_eq!(error.what(), "csv.delimiter");
        }
    }

    #[test]
    fn integer_times_need_a_unit() {
        let file = "customer,time\na,86400\n";
        let error = read(file.as_bytes(), &CsvOptions::default()).unwrap_err();
        assert_eq!(error.what(), "events.time");
        let options: CsvOptions =
            crate::settings::from_json("csv", r#"{"names": {"time_unit": "second"}}"#).unwrap();
        let log = log_of(&read(file.as_bytes(), &options).unwrap());
        assert_eq!(log.time_range().unwrap().0.to_string(), "1970-01-02");
    }

    #[test]
    fn batches_are_pieces_of_the_file() {
        let none = Progress::none();
        let options = CsvOptions::default();
        for most in [0, 1, 2, 3, 9] {
            let mut batches = CsvBatches::open(SMALL.as_bytes(), &options, &none).unwrap();
            let mut log: Option<EventLog> = None;
            let mut rows = Vec::new();
            while let Some(batch) = batches.next(most).unwrap() {
                rows.push(batch.len());
                match &mut log {
                    None => log = Some(log_of(&batch)),
                    Some(log) => {
                        log.append(&batch.columns()).unwrap();
                    }
                }
            }
            assert!(
                rows.iter().all(|rows| (1..=most.max(1)).contains(rows)),
                "{rows:?}"
            );
            assert!(batches.next(most).unwrap().is_none());
            let whole = log_of(&read(SMALL.as_bytes(), &options).unwrap());
            assert!(log == Some(whole));
        }
        // Rows and lines are those of the file.
        let broken = SMALL.replace("2011-12-02", "soon");
        let mut batches = CsvBatches::open(broken.as_bytes(), &options, &none).unwrap();
        batches.next(2).unwrap();
        let error = batches.next(2).unwrap_err();
        assert_eq!((error.row(), error.line()), (Some(2), Some(4)));
    }

    #[test]
    fn progress_ends_at_the_size_and_can_stop() {
        let file = gzip(SMALL.as_bytes());
        let options = CsvOptions {
            total_bytes: Some(file.len() as u64),
            ..CsvOptions::default()
        };
        let last = std::sync::Mutex::new(None);
        let watch = |update: Update| {
            *last.lock().unwrap() = Some(update);
            Control::Continue
        };
        CsvEvents::read(&file[..], &options, &Progress::new(&watch)).unwrap();
        let last = last.lock().unwrap().unwrap();
        assert_eq!(
            (last.done, last.total),
            (file.len() as u64, file.len() as u64)
        );
        let stop = |_: Update| Control::Stop;
        let error = CsvEvents::read(&file[..], &options, &Progress::new(&stop)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    /// A file of the shared data, or `None` with a loud note where it is not at hand.
    fn data(path: &str) -> Option<std::fs::File> {
        let Some(folder) = std::env::var_os("CHURN_DATA") else {
            let note = format!("SKIPPED: CHURN_DATA is not set, so {path} was not checked\n");
            io::stderr().write_all(note.as_bytes()).unwrap();
            return None;
        };
        let path = std::path::Path::new(&folder).join(path);
        Some(std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    #[test]
    fn online_retail_has_its_published_totals() {
        let Some(file) = data("online_retail/online_retail.csv.gz") else {
            return;
        };
        let options: CsvOptions = crate::settings::from_json(
            "csv",
            r#"{"names": {"customer": "CustomerID", "time": "InvoiceDate", "order": "InvoiceNo",
                "item": "StockCode", "value": "Quantity*UnitPrice"}}"#,
        )
        .unwrap();
        let events = CsvEvents::read(file, &options, &Progress::none()).unwrap();
        assert_eq!(events.len(), 541_909);
        let cleaning = Cleaning {
            negative_value: NegativePolicy::Refund,
            ..Cleaning::default()
        };
        let log = EventLog::from_columns(&events.columns(), &cleaning).unwrap();
        let report = log.report();
        assert_eq!(report.dropped(DropReason::MissingCustomer).rows, 135_080);
        assert_eq!(log.customers().len(), 4_372);
        assert!(
            (report.purchases_kept - 8_911_407.90).abs() < 0.01,
            "{report}"
        );
        let history = log.history(AsOf::parse("2012-01-01").unwrap());
        let (mut lines, mut orders) = (0, 0);
        for row in 0..history.customers().len() {
            for event in history.customer(row).events() {
                // The published count of lines leaves out those with a price of 0.
                lines += u32::from(event.kind == EventKind::Purchase && event.value > 0.0);
                orders += u32::from(event.opens_order);
            }
        }
        assert_eq!(lines, 397_884);
        assert_eq!(
            orders,
            18_532 + 4,
            "four invoices hold lines of price 0 only"
        );
        assert!((report.refunds_kept - 611_342.09).abs() < 0.01, "{report}");
    }

    #[test]
    fn cdnow_has_its_published_total() {
        let Some(file) = data("cdnow/cdnow_transactions.csv.gz") else {
            return;
        };
        let options: CsvOptions = crate::settings::from_json(
            "csv",
            r#"{"names": {"customer": "customer_id", "time": "date", "value": "amount"}}"#,
        )
        .unwrap();
        let log = log_of(&CsvEvents::read(file, &options, &Progress::none()).unwrap());
        assert_eq!(log.customers().len(), 23_570);
        assert!((log.report().purchases_kept - 2_500_315.63).abs() < 0.01);
    }
}
