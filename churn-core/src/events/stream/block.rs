//! Checked rows of one partition, on their way to scratch space and back.

use std::borrow::Cow;
use std::io::Read;

use crate::error::{Error, ErrorKind, Result};
use crate::events::check::RowCleaner;
use crate::events::columns::{
    EventColumns, IdCells, IdColumn, KindColumn, TextCells, TextColumn, TimeColumn, ValueColumn,
};
use crate::events::ids::Orders;
use crate::events::{MAX_EVENTS, NO_CHANNEL};
use crate::progress::Progress;
use crate::sections::{Format, SectionReader, SectionWriter, Source, Stream};
use crate::time::TimeUnit;

const ROWS: Format = Format {
    code: 3,
    name: "rows of a stream",
    version: 1,
};

/// Ids of one type, one after another.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    Int(Vec<i64>),
    Uint(Vec<u64>),
    /// Id *i* ends at `ends[i + 1]`.
    Text {
        ends: Vec<i64>,
        bytes: String,
    },
}

impl Ids {
    /// Room for ids of the type of some cells.
    pub(super) fn like(cells: &IdCells<'_>) -> Self {
        match cells {
            IdCells::Int(_) => Ids::Int(Vec::new()),
            IdCells::Uint(_) => Ids::Uint(Vec::new()),
            IdCells::Text(_) => Ids::Text {
                ends: vec![0],
                bytes: String::new(),
            },
        }
    }

    fn code(&self) -> u64 {
        match self {
            Ids::Int(_) => 1,
            Ids::Uint(_) => 2,
            Ids::Text { .. } => 3,
        }
    }

    /// Adds the id of a row; a missing one becomes 0 or an empty text.
    #[inline]
    fn push(&mut self, cells: &IdCells<'_>, row: usize) {
        match (self, cells) {
            (Ids::Int(ids), IdCells::Int(cells)) => ids.push(cells[row]),
            (Ids::Uint(ids), IdCells::Uint(cells)) => ids.push(cells[row]),
            (Ids::Text { ends, bytes }, IdCells::Text(cells)) => {
                bytes.push_str(cells.get(row).unwrap_or_default());
                ends.push(bytes.len() as i64);
            }
            // The stream has compared the types.
            _ => {}
        }
    }

    fn pad(&mut self, count: usize) {
        match self {
            Ids::Int(ids) => ids.resize(ids.len() + count, 0),
            Ids::Uint(ids) => ids.resize(ids.len() + count, 0),
            Ids::Text { ends, bytes } => ends.resize(ends.len() + count, bytes.len() as i64),
        }
    }

    fn clear(&mut self) {
        match self {
            Ids::Int(ids) => ids.clear(),
            Ids::Uint(ids) => ids.clear(),
            Ids::Text { ends, bytes } => {
                ends.truncate(1);
                bytes.clear();
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Ids::Int(ids) => 8 * ids.len(),
            Ids::Uint(ids) => 8 * ids.len(),
            Ids::Text { ends, bytes } => 8 * ends.len() + bytes.len(),
        }
    }

    fn cells(&self) -> IdCells<'_> {
        match self {
            Ids::Int(ids) => IdCells::Int(Cow::Borrowed(ids)),
            Ids::Uint(ids) => IdCells::Uint(Cow::Borrowed(ids)),
            Ids::Text { ends, bytes } => IdCells::Text(TextCells::Packed64 {
                offsets: Cow::Borrowed(ends),
                bytes: Cow::Borrowed(bytes),
            }),
        }
    }

    fn announce(&self, names: [&'static str; 2], sections: &mut Vec<(&'static str, u64)>) {
        match self {
            Ids::Int(ids) => sections.push((names[0], 8 * ids.len() as u64)),
            Ids::Uint(ids) => sections.push((names[0], 8 * ids.len() as u64)),
            Ids::Text { ends, bytes } => {
                sections.push((names[0], 8 * ends.len() as u64));
                sections.push((names[1], bytes.len() as u64));
            }
        }
    }

    fn write(
        &self,
        names: [&'static str; 2],
        file: &mut SectionWriter<'_, &mut Vec<u8>>,
    ) -> Result<()> {
        match self {
            Ids::Int(ids) => file.section(names[0], |out| out.put(ids)),
            Ids::Uint(ids) => file.section(names[0], |out| out.put(ids)),
            Ids::Text { ends, bytes } => {
                file.section(names[0], |out| out.put(ends))?;
                file.section(names[1], |out| out.put(bytes.as_bytes()))
            }
        }
    }

    /// Adds ids that were written.
    fn read<S: Source>(
        &mut self,
        names: [&'static str; 2],
        rows: u64,
        file: &mut SectionReader<'_, S>,
    ) -> Result<()> {
        match self {
            Ids::Int(ids) => ids.append(&mut file.cells(names[0], rows)?),
            Ids::Uint(ids) => ids.append(&mut file.cells(names[0], rows)?),
            Ids::Text { ends, bytes } => {
                let new: Vec<i64> = file.cells(names[0], rows + 1)?;
                let text = file.text(names[1], u64::MAX)?;
                let fits = new.first() == Some(&0)
                    && new.last() == i64::try_from(text.len()).ok().as_ref()
                    && new.is_sorted()
                    && new.iter().all(|end| text.is_char_boundary(*end as usize));
                if !fits {
                    return Err(wrong(names[0], "offsets of texts", "others"));
                }
                let before = bytes.len() as i64;
                ends.extend(new[1..].iter().map(|end| before + end));
                bytes.push_str(&text);
            }
        }
        Ok(())
    }
}

fn wrong(place: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        format!("scratch.{place}"),
        expected,
        got,
    )
}

/// Which columns a stream has, and of which type.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) customers: Ids,
    pub(super) channels: bool,
    pub(super) orders: bool,
    pub(super) items: Option<Ids>,
    /// Whether rows keep their number in the stream, for errors about copies.
    pub(super) numbers: bool,
}

impl Shape {
    fn words(&self, rows: u64) -> [u64; 6] {
        [
            rows,
            self.customers.code(),
            u64::from(self.channels),
            u64::from(self.orders),
            self.items.as_ref().map_or(0, Ids::code),
            u64::from(self.numbers),
        ]
    }
}

/// Rows in columns, as they were checked.
#[derive(Debug)]
pub(super) struct Block {
    shape: Shape,
    times: Vec<i64>,
    kinds: Vec<u8>,
    values: Vec<f64>,
    channels: Vec<u32>,
    /// Order ids as integers of the same fingerprint, and which rows have one.
    orders: Vec<u64>,
    ordered: Vec<bool>,
    /// Which rows have an item.
    with_item: Vec<bool>,
    numbers: Vec<u64>,
}

/// What a batch brings beside its columns.
pub(super) struct Batch<'b, 'c, 'a> {
    pub(super) columns: &'b EventColumns<'a>,
    pub(super) cleaner: &'b RowCleaner<'c, 'a>,
    /// Code among the channels of the stream, [`NO_CHANNEL`] for none.
    pub(super) channels: Option<Vec<u8>>,
    /// Rows of the stream before this batch.
    pub(super) before: u64,
}

impl Block {
    pub(super) fn new(shape: &Shape) -> Self {
        Block {
            shape: shape.clone(),
            times: Vec::new(),
            kinds: Vec::new(),
            values: Vec::new(),
            channels: Vec::new(),
            orders: Vec::new(),
            ordered: Vec::new(),
            with_item: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Whether it has the columns of a shape.
    pub(super) fn is_like(&self, shape: &Shape) -> bool {
        self.shape.words(0) == shape.words(0)
    }

    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }

    /// About how many bytes the rows take.
    pub(super) fn bytes(&self) -> usize {
        let fixed = 17 + 4 * usize::from(self.shape.channels) + 9 * usize::from(self.shape.orders);
        let items = self.shape.items.as_ref().map_or(0, Ids::bytes);
        self.rows() * (fixed + 8 * usize::from(self.shape.numbers))
            + self.shape.customers.bytes()
            + items
    }

    /// Adds rows that have passed the checks.
    pub(super) fn push(&mut self, batch: &Batch<'_, '_, '_>, rows: &[u32]) {
        let columns = batch.columns;
        let orders = columns.order.as_ref().map(Orders::new);
        for &row in rows {
            let row = row as usize;
            let Ok(clean) = batch.cleaner.check(row) else {
                continue;
            };
            self.shape.customers.push(&columns.customer.cells, row);
            self.times.push(clean.time);
            self.kinds.push(clean.kind);
            self.values.push(clean.value);
            if self.shape.channels {
                let code = batch
                    .channels
                    .as_ref()
                    .map_or(NO_CHANNEL, |codes| codes[row]);
                self.channels.push(u32::from(code));
            }
            if self.shape.orders {
                let word = orders.as_ref().and_then(|orders| orders.word(row));
                self.orders.push(word.unwrap_or_default());
                self.ordered.push(word.is_some());
            }
            if let Some(items) = &mut self.shape.items {
                let item = columns.item.as_ref();
                match item.filter(|column| !crate::events::check::is_missing(column, row)) {
                    Some(column) => {
                        items.push(&column.cells, row);
                        self.with_item.push(true);
                    }
                    None => {
                        items.pad(1);
                        self.with_item.push(false);
                    }
                }
            }
            if self.shape.numbers {
                self.numbers.push(batch.before + row as u64);
            }
        }
    }

    /// Writes the rows behind what `out` holds and forgets them.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let rows = self.rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        let shape = &self.shape;
        let mut sections = vec![("rows", 48)];
        shape
            .customers
            .announce(["customers", "customer texts"], &mut sections);
        sections.extend([("times", 8 * rows), ("kinds", rows), ("values", 8 * rows)]);
        if shape.channels {
            sections.push(("channels", 4 * rows));
        }
        if shape.orders {
            sections.extend([("orders", 8 * rows), ("ordered", rows)]);
        }
        if let Some(items) = &shape.items {
            items.announce(["items", "item texts"], &mut sections);
            sections.push(("with item", rows));
        }
        if shape.numbers {
            sections.push(("numbers", 8 * rows));
        }
        let mut file = SectionWriter::new(out, ROWS, sections, &Progress::none())?;
        file.section("rows", |out| out.put(&shape.words(rows)))?;
        shape
            .customers
            .write(["customers", "customer texts"], &mut file)?;
        file.section("times", |out| out.put(&self.times))?;
        file.section("kinds", |out| out.put(&self.kinds))?;
        file.section("values", |out| out.put(&self.values))?;
        if shape.channels {
            file.section("channels", |out| out.put(&self.channels))?;
        }
        if shape.orders {
            file.section("orders", |out| out.put(&self.orders))?;
            file.section("ordered", |out| out.put(&flags(&self.ordered)))?;
        }
        if let Some(items) = &shape.items {
            items.write(["items", "item texts"], &mut file)?;
            file.section("with item", |out| out.put(&flags(&self.with_item)))?;
        }
        if shape.numbers {
            file.section("numbers", |out| out.put(&self.numbers))?;
        }
        file.finish()?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.shape.customers.clear();
        if let Some(items) = &mut self.shape.items {
            items.clear();
        }
        self.times.clear();
        self.kinds.clear();
        self.values.clear();
        self.channels.clear();
        self.orders.clear();
        self.ordered.clear();
        self.with_item.clear();
        self.numbers.clear();
    }

    /// Adds the rows of another block, written and read like all the others.
    pub(super) fn append(&mut self, mut other: Block) -> Result<()> {
        let mut frame = Vec::new();
        let rows = other.rows();
        other.flush(&mut frame)?;
        drop(other);
        if rows == 0 {
            Ok(())
        } else {
            self.read(frame.as_slice())
        }
    }

    /// Adds the rows of the next frame; columns that it lacks, because later batches brought them,
    /// are missing in its rows.
    pub(super) fn read(&mut self, frame: impl Read) -> Result<()> {
        let mut file = SectionReader::new(Stream::new(frame), ROWS, &Progress::none())?;
        let words: Vec<u64> = file.cells("rows", 6)?;
        let whole = self.shape.words(0);
        let &[rows, customers, channels, orders, items, numbers] = words.as_slice() else {
            return Err(wrong("rows", "six words", words.len()));
        };
        let fits = customers == whole[1]
            && channels <= whole[2]
            && orders <= whole[3]
            && (items == 0 || items == whole[4])
            && numbers == whole[5];
        if !fits || rows > MAX_EVENTS {
            return Err(wrong("rows", "rows of this stream", "others"));
        }
        let before = self.rows();
        let shape = &mut self.shape;
        shape
            .customers
            .read(["customers", "customer texts"], rows, &mut file)?;
        self.times.append(&mut file.cells("times", rows)?);
        self.kinds.append(&mut file.cells("kinds", rows)?);
        self.values.append(&mut file.cells("values", rows)?);
        let all = before + rows as usize;
        if channels > 0 {
            self.channels.append(&mut file.cells("channels", rows)?);
        } else if shape.channels {
            self.channels.resize(all, u32::from(NO_CHANNEL));
        }
        if orders > 0 {
            self.orders.append(&mut file.cells("orders", rows)?);
            self.ordered.extend(truths(&file.cells("ordered", rows)?));
        } else if shape.orders {
            self.orders.resize(all, 0);
            self.ordered.resize(all, false);
        }
        if let Some(ids) = &mut shape.items {
            if items > 0 {
                ids.read(["items", "item texts"], rows, &mut file)?;
                self.with_item
                    .extend(truths(&file.cells("with item", rows)?));
            } else {
                ids.pad(rows as usize);
                self.with_item.resize(all, false);
            }
        }
        if shape.numbers {
            self.numbers.append(&mut file.cells("numbers", rows)?);
        }
        file.finish()
    }

    /// The rows as columns of a build.
    pub(super) fn columns(&self, channel_names: &[String]) -> EventColumns<'_> {
        EventColumns {
            customer: self.shape.customers.cells().into(),
            time: TimeColumn {
                cells: Cow::Borrowed(&self.times),
                unit: TimeUnit::Microsecond,
                valid: None,
            },
            kind: KindColumn::Codes(Cow::Borrowed(&self.kinds)),
            value: Some(ValueColumn {
                cells: Cow::Borrowed(&self.values),
                valid: None,
            }),
            channel: self.shape.channels.then(|| {
                TextColumn::from(TextCells::Coded {
                    codes: Cow::Borrowed(&self.channels),
                    names: channel_names
                        .iter()
                        .map(|name| name.clone().into())
                        .collect(),
                })
            }),
            order: self.shape.orders.then(|| IdColumn {
                cells: IdCells::Uint(Cow::Borrowed(&self.orders)),
                valid: Some(Cow::Borrowed(&self.ordered)),
            }),
            item: self.shape.items.as_ref().map(|items| IdColumn {
                cells: items.cells(),
                valid: Some(Cow::Borrowed(&self.with_item)),
            }),
            unreadable_cells: 0,
        }
    }

    /// The number in the stream of a row, where rows keep theirs.
    pub(super) fn number(&self, row: usize) -> Option<u64> {
        self.numbers.get(row).copied()
    }
}

fn flags(truths: &[bool]) -> Vec<u8> {
    truths.iter().map(|truth| u8::from(*truth)).collect()
}

fn truths(flags: &[u8]) -> impl Iterator<Item = bool> + '_ {
    flags.iter().map(|flag| *flag != 0)
}
