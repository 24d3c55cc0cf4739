//! Files of named sections: a header, then each section behind a header of its own and before a
//! checksum, every payload at a multiple of 64 bytes so that a mapped file can be viewed.
//!
//! Reading trusts nothing: every length is compared with what the file can still hold before room
//! is made for it, every byte is under a checksum (CRC-32, which no change of up to 32 neighbouring
//! bits escapes), and every mistake is named with its place. `docs/FORMAT.md` has the bytes.

use std::io::{self, Read, Write};

use crc32fast::Hasher;

use crate::customers::{Customers, IdStore};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Progress, Step};

/// First bytes of every file: not text, and damaged by a transfer that takes it for text.
const MAGIC: [u8; 8] = *b"\x89CHURN\r\n";
/// Headers are so long, and payloads begin at multiples of it.
const BLOCK: u64 = 64;
/// Bytes of a section's name.
const NAME: usize = 16;
/// Bytes behind a payload: four of zero and the checksum.
const TRAILER: u64 = 8;
/// Bytes read, checked and decoded at a time.
const CHUNK: usize = 1 << 20;

/// What a file holds, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) code: u32,
    /// In words, e.g. `"an event log"`.
    pub(crate) name: &'static str,
    /// The version written, and the newest that is read.
    pub(crate) version: u32,
}

fn wrong(place: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidValue, place, expected, got)
}

fn place(section: &str) -> String {
    format!("file.{section}")
}

/// Bytes of a section in the file; `None` beyond what a file can have.
fn room(payload: u64) -> Option<u64> {
    let padded = payload.checked_add(TRAILER + BLOCK - 1)? / BLOCK * BLOCK;
    padded.checked_add(BLOCK)
}

/// A number with a fixed form in files: little-endian.
pub(crate) trait Cell: Copy {
    const WIDTH: usize;
    fn put(cells: &[Self], out: &mut Vec<u8>);
    fn take(bytes: &[u8], out: &mut Vec<Self>);
}

macro_rules! cell {
    ($($t:ty),*) => {$(
        impl Cell for $t {
            const WIDTH: usize = size_of::<$t>();
            fn put(cells: &[Self], out: &mut Vec<u8>) {
                out.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
            }
            fn take(bytes: &[u8], out: &mut Vec<Self>) {
                let (cells, _) = bytes.as_chunks();
                out.extend(cells.iter().map(|cell| <$t>::from_le_bytes(*cell)));
            }
        }
    )*};
}
cell!(u8, u32, u64, i64, f64);

/// Writes a file whose sections and their lengths are known beforehand.
pub(crate) struct SectionWriter<'p, W> {
    out: W,
    sections: std::vec::IntoIter<(&'static str, u64)>,
    buffer: Vec<u8>,
    step: Step<'p>,
}

impl<'p, W: Write> SectionWriter<'p, W> {
    pub(crate) fn new(
        mut out: W,
        format: Format,
        sections: Vec<(&'static str, u64)>,
        progress: &Progress<'p>,
    ) -> Result<Self> {
        let total = sections
            .iter()
            .try_fold(BLOCK, |sum, (_, len)| sum.checked_add(room(*len)?))
            .ok_or_else(|| wrong("file", "a length in 64 bits", "more"))?;
        let mut header = Vec::with_capacity(BLOCK as usize);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&format.code.to_le_bytes());
        header.extend_from_slice(&format.version.to_le_bytes());
        header.extend_from_slice(&total.to_le_bytes());
        seal(&mut header);
        out.write_all(&header).map_err(unwritable)?;
        let step = progress.step("file.save", usize::try_from(total).unwrap_or(usize::MAX));
        step.advance(header.len())?;
        Ok(SectionWriter {
            out,
            sections: sections.into_iter(),
            buffer: Vec::with_capacity(CHUNK + 64),
            step,
        })
    }

    /// Writes the next section; `fill` puts in as many bytes as were announced.
    pub(crate) fn section(
        &mut self,
        name: &'static str,
        fill: impl FnOnce(&mut Payload<'_, '_, W>) -> Result<()>,
    ) -> Result<()> {
        let Some((announced, len)) = self.sections.next().filter(|next| next.0 == name) else {
            return Err(wrong(&place(name), "its turn among the sections", "none"));
        };
        let mut header = announced.as_bytes().to_vec();
        header.resize(NAME, 0);
        header.extend_from_slice(&len.to_le_bytes());
        seal(&mut header);
        self.out.write_all(&header).map_err(unwritable)?;
        let mut payload = Payload {
            file: self,
            hasher: Hasher::new(),
            written: 0,
        };
        fill(&mut payload)?;
        payload.finish(name, len)
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<()> {
        if let Some((name, _)) = self.sections.next() {
            return Err(wrong(&place(name), "to be written", "nothing"));
        }
        self.out.flush().map_err(unwritable)
    }
}

/// Pads a header to its length and closes it with its checksum.
fn seal(header: &mut Vec<u8>) {
    header.resize(BLOCK as usize - 4, 0);
    let sum = crc32fast::hash(header);
    header.extend_from_slice(&sum.to_le_bytes());
}

/// The content of a section while it is written.
pub(crate) struct Payload<'f, 'p, W> {
    file: &'f mut SectionWriter<'p, W>,
    hasher: Hasher,
    written: u64,
}

impl<W: Write> Payload<'_, '_, W> {
    pub(crate) fn put<T: Cell>(&mut self, cells: &[T]) -> Result<()> {
        for cells in cells.chunks(CHUNK / T::WIDTH) {
            T::put(cells, &mut self.file.buffer);
            if self.file.buffer.len() >= CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let bytes = self.file.buffer.len();
        self.hasher.update(&self.file.buffer);
        let written = self.file.out.write_all(&self.file.buffer);
        self.file.buffer.clear();
        self.written += bytes as u64;
        written.map_err(unwritable)?;
        self.file.step.advance(bytes)
    }

    fn finish(mut self, name: &str, announced: u64) -> Result<()> {
        let payload = self.written + self.file.buffer.len() as u64;
        if payload != announced {
            let expected = format_args!("{announced} bytes as announced");
            return Err(wrong(&place(name), expected, payload));
        }
        let end = room(payload).unwrap_or(0).saturating_sub(BLOCK + 4);
        let zeros = usize::try_from(end.saturating_sub(payload)).unwrap_or(0);
        self.file.buffer.resize(self.file.buffer.len() + zeros, 0);
        self.flush()?;
        let sum = self.hasher.finalize().to_le_bytes();
        self.file.out.write_all(&sum).map_err(unwritable)?;
        self.file.step.advance(BLOCK as usize + sum.len())
    }
}

fn unwritable(error: io::Error) -> Error {
    wrong("file", "room to write to", error)
}

/// Where bytes come from.
pub(crate) trait Source {
    /// The next bytes, exactly `want` of them, at most [`CHUNK`].
    fn next(&mut self, want: usize) -> io::Result<&[u8]>;
    /// How many bytes are left, where that is known.
    fn left(&self) -> Option<u64>;
}

impl Source for &[u8] {
    fn next(&mut self, want: usize) -> io::Result<&[u8]> {
        let (bytes, rest) = self
            .split_at_checked(want)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        *self = rest;
        Ok(bytes)
    }

    fn left(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

/// Bytes from a stream.
pub(crate) struct Stream<R> {
    inner: R,
    buffer: Vec<u8>,
}

impl<R: Read> Stream<R> {
    pub(crate) fn new(inner: R) -> Self {
        Stream {
            inner,
            buffer: Vec::new(),
        }
    }
}

impl<R: Read> Source for Stream<R> {
    fn next(&mut self, want: usize) -> io::Result<&[u8]> {
        if self.buffer.len() < want {
            self.buffer.resize(want, 0);
        }
        let bytes = &mut self.buffer[..want];
        self.inner.read_exact(bytes)?;
        Ok(bytes)
    }

    fn left(&self) -> Option<u64> {
        None
    }
}

/// Reads a file section by section.
pub(crate) struct SectionReader<'p, S> {
    source: S,
    /// Bytes of the file that are still to come, as its header says.
    left: u64,
    step: Step<'p>,
}

impl<'p, S: Source> SectionReader<'p, S> {
    pub(crate) fn new(mut source: S, format: Format, progress: &Progress<'p>) -> Result<Self> {
        let held = source.left();
        let header: [u8; BLOCK as usize] = block(&mut source, "file.header")?;
        if header[..8] != MAGIC {
            let expected = "the first bytes of a file saved by this library";
            return Err(wrong("file", expected, "others"));
        }
        let word = |at: usize| u32_at(&header, at);
        let (code, version) = (word(8), word(12));
        // The version comes before the checksum, for newer headers may be summed otherwise.
        if code == format.code && !(1..=format.version).contains(&version) {
            let newest = format.version;
            return Err(wrong(
                "file.version",
                format_args!("a version from 1 to {newest}, which this library reads"),
                version,
            ));
        }
        check_seal(&header, "file.header")?;
        if code != format.code {
            let got = format_args!("a file of another kind ({code})");
            return Err(wrong("file", format.name, got));
        }
        if header[24..60].iter().any(|byte| *byte != 0) {
            return Err(wrong(
                "file.header",
                "zeros where nothing is said",
                "others",
            ));
        }
        let total = u64_at(&header, 16);
        if let Some(held) = held
            && held != total
        {
            return Err(wrong(
                "file",
                format_args!("{total} bytes as its header says"),
                held,
            ));
        }
        let left = total
            .checked_sub(BLOCK)
            .ok_or_else(|| wrong("file.header", "a length of at least 64 bytes", total))?;
        let step = progress.step("file.load", usize::try_from(total).unwrap_or(usize::MAX));
        step.advance(header.len())?;
        Ok(SectionReader { source, left, step })
    }

    /// Begins the next section, which must have this name; gives the length of its payload.
    fn open(&mut self, name: &str) -> Result<u64> {
        let place = place(name);
        let ends = || wrong(&place, "a section of this name", "the end of the file");
        self.left = self.left.checked_sub(BLOCK).ok_or_else(ends)?;
        let header: [u8; BLOCK as usize] = block(&mut self.source, &place)?;
        check_seal(&header, &place)?;
        let (found, _) = header.split_at(NAME);
        let end = found.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        if &found[..end] != name.as_bytes() || header[NAME + 8..60].iter().any(|byte| *byte != 0) {
            let got = String::from_utf8_lossy(&found[..end]);
            return Err(wrong(
                &place,
                "a section of this name",
                format_args!("{got:?}"),
            ));
        }
        let payload = u64_at(&header, NAME);
        let whole = room(payload).map(|room| room - BLOCK);
        self.left = whole
            .and_then(|whole| self.left.checked_sub(whole))
            .ok_or_else(|| {
                let expected = format_args!("at most {} bytes, which the file has left", self.left);
                wrong(&place, expected, payload)
            })?;
        self.step.advance(BLOCK as usize)?;
        Ok(payload)
    }

    /// Reads the next section as cells; `count` is known from sections before.
    pub(crate) fn cells<T: Cell>(&mut self, name: &str, count: u64) -> Result<Vec<T>> {
        let payload = self.open(name)?;
        if count.checked_mul(T::WIDTH as u64) != Some(payload) {
            let width = T::WIDTH;
            let expected = format_args!("{count} × {width} bytes");
            return Err(wrong(&place(name), expected, payload));
        }
        self.payload(name, payload)
    }

    /// Reads the next section as bytes, at most `most`.
    pub(crate) fn bytes(&mut self, name: &str, most: u64) -> Result<Vec<u8>> {
        let payload = self.open(name)?;
        if payload > most {
            return Err(wrong(
                &place(name),
                format_args!("at most {most} bytes"),
                payload,
            ));
        }
        self.payload(name, payload)
    }

    /// Reads the next section as text.
    pub(crate) fn text(&mut self, name: &str, most: u64) -> Result<String> {
        String::from_utf8(self.bytes(name, most)?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            wrong(
                &place(name),
                "text in UTF-8",
                format_args!("other bytes at {at}"),
            )
        })
    }

    fn payload<T: Cell>(&mut self, name: &str, payload: u64) -> Result<Vec<T>> {
        let place = place(name);
        // A slice holds what `open` has compared; a stream may promise more than it has, so that
        // room is made as its bytes arrive.
        let most = match self.source.left() {
            Some(_) => payload,
            None => payload.min(CHUNK as u64),
        };
        let room = usize::try_from(most).unwrap_or(usize::MAX) / T::WIDTH;
        let mut cells: Vec<T> = Vec::new();
        let refused = |_| {
            wrong(
                &place,
                "room in memory",
                format_args!("none for {most} bytes"),
            )
        };
        cells.try_reserve_exact(room).map_err(refused)?;
        let mut hasher = Hasher::new();
        let mut left = payload;
        while left > 0 {
            let want = left.min(CHUNK as u64) as usize;
            let bytes = self.source.next(want).map_err(|e| unreadable(&place, e))?;
            hasher.update(bytes);
            T::take(bytes, &mut cells);
            left -= want as u64;
            self.step.advance(want)?;
        }
        let whole = (payload + TRAILER).div_ceil(BLOCK) * BLOCK;
        let tail = (whole - payload) as usize;
        let bytes = self.source.next(tail).map_err(|e| unreadable(&place, e))?;
        let (zeros, sum) = bytes.split_at(tail - 4);
        hasher.update(zeros);
        if zeros.iter().any(|byte| *byte != 0) || hasher.finalize() != u32_at(sum, 0) {
            return Err(wrong(&place, "bytes that match their checksum", "others"));
        }
        self.step.advance(tail)?;
        Ok(cells)
    }

    /// Confirms that nothing follows.
    pub(crate) fn finish(self) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(wrong("file", "its end", format_args!("{left} more bytes"))),
        }
    }
}

fn block<S: Source, const N: usize>(source: &mut S, place: &str) -> Result<[u8; N]> {
    let bytes = source.next(N).map_err(|error| unreadable(place, error))?;
    let mut block = [0; N];
    block.copy_from_slice(bytes);
    Ok(block)
}

fn check_seal(header: &[u8], place: &str) -> Result<()> {
    let (content, sum) = header.split_at(BLOCK as usize - 4);
    if crc32fast::hash(content) == u32_at(sum, 0) {
        return Ok(());
    }
    Err(wrong(
        place,
        "a header that matches its checksum",
        "another",
    ))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn unreadable(place: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => wrong(place, "more bytes", "the end of the file"),
        _ => wrong(place, "readable input", error),
    }
}

/// The type of ids in files.
pub(crate) fn id_type(ids: &Customers) -> u64 {
    match ids.store() {
        IdStore::Int(_) => 1,
        IdStore::Uint(_) => 2,
        IdStore::Text { .. } => 3,
    }
}

/// Announces the sections of some ids, of which texts need two.
pub(crate) fn announce_ids(
    ids: &Customers,
    names: [&'static str; 2],
    sections: &mut Vec<(&'static str, u64)>,
) {
    let count = ids.len() as u64;
    match ids.store() {
        IdStore::Int(_) | IdStore::Uint(_) => sections.push((names[0], 8 * count)),
        IdStore::Text { .. } => {
            let bytes: usize = ids.texts().map(str::len).sum();
            sections.push((names[0], 8 * (count + 1)));
            sections.push((names[1], bytes as u64));
        }
    }
}

/// Writes ids in ascending order.
pub(crate) fn write_ids<W: Write>(
    file: &mut SectionWriter<'_, W>,
    ids: &Customers,
    names: [&'static str; 2],
) -> Result<()> {
    match ids.store() {
        IdStore::Int(all) => file.section(names[0], |out| {
            (0..ids.len()).try_for_each(|row| out.put(&[all[ids.store_row(row)]]))
        }),
        IdStore::Uint(all) => file.section(names[0], |out| {
            (0..ids.len()).try_for_each(|row| out.put(&[all[ids.store_row(row)]]))
        }),
        IdStore::Text { .. } => {
            file.section(names[0], |out| {
                let mut end = 0_u64;
                out.put(&[end])?;
                ids.texts().try_for_each(|text| {
                    end += text.len() as u64;
                    out.put(&[end])
                })
            })?;
            file.section(names[1], |out| {
                ids.texts().try_for_each(|text| out.put(text.as_bytes()))
            })
        }
    }
}

/// Reads so many ids of a type and confirms that they ascend.
pub(crate) fn read_ids<S: Source>(
    file: &mut SectionReader<'_, S>,
    names: [&'static str; 2],
    id_type: u64,
    count: u64,
) -> Result<Customers> {
    let store = match id_type {
        1 => {
            let ids: Vec<i64> = file.cells(names[0], count)?;
            check_ascending(names[0], &ids)?;
            IdStore::Int(ids)
        }
        2 => {
            let ids: Vec<u64> = file.cells(names[0], count)?;
            check_ascending(names[0], &ids)?;
            IdStore::Uint(ids)
        }
        3 => {
            let offsets: Vec<u64> = file.cells(names[0], count.saturating_add(1))?;
            let bytes = file.text(names[1], u64::MAX)?;
            check_texts(names, &offsets, &bytes)?;
            IdStore::Text { offsets, bytes }
        }
        other => {
            let expected = "a type of ids from 1 to 3";
            return Err(wrong(&place(names[0]), expected, other));
        }
    };
    Ok(Customers::new(store))
}

fn check_ascending<T: PartialOrd + std::fmt::Display>(name: &str, ids: &[T]) -> Result<()> {
    match ids.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(i) => Err(out_of_order(name, i + 1, &ids[i + 1])),
    }
}

fn out_of_order(name: &str, row: usize, got: impl std::fmt::Display) -> Error {
    Error::invalid_value(place(name), row, "ids that ascend and differ", got)
}

fn check_texts(names: [&str; 2], offsets: &[u64], bytes: &str) -> Result<()> {
    let mut before: Option<&str> = None;
    if offsets.first() != Some(&0) || offsets.last() != Some(&(bytes.len() as u64)) {
        let expected = format_args!("offsets from 0 to {}", bytes.len());
        return Err(wrong(&place(names[0]), expected, "others"));
    }
    for (row, pair) in offsets.windows(2).enumerate() {
        let range = usize::try_from(pair[0])
            .ok()
            .zip(usize::try_from(pair[1]).ok());
        let text = range.and_then(|(from, to)| bytes.get(from..to));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            let expected = "offsets around a text that is not empty";
            let got = format_args!("{} and {}", pair[0], pair[1]);
            return Err(Error::invalid_value(place(names[0]), row, expected, got));
        };
        if before.is_some_and(|before| before >= text) {
            return Err(out_of_order(names[1], row, format_args!("{text:?}")));
        }
        before = Some(text);
    }
    Ok(())
}
