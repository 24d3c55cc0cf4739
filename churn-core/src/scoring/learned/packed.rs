//! What saved models are made of: an envelope that notices damage, and numbers and texts in few
//! bytes.
//!
//! An envelope is a mark of eight letters, a version (u16) and the CRC-32 (u32) of everything
//! behind it, little-endian. Numbers that count are seven bits a byte, lowest first.

use crate::error::{Error, Result};
use crate::math::checksum::crc32;

/// Bytes of an envelope, before those that its checksum covers.
pub(crate) const HEAD: usize = 14;

/// The outside of a saved model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) mark: &'static [u8; 8],
    pub(crate) version: u16,
}

impl Envelope {
    pub(crate) fn seal(self, body: &[u8]) -> Vec<u8> {
        let mut file = Vec::with_capacity(HEAD + body.len());
        file.extend_from_slice(self.mark);
        file.extend_from_slice(&self.version.to_le_bytes());
        file.extend_from_slice(&crc32(body).to_le_bytes());
        file.extend_from_slice(body);
        file
    }

    /// What [`seal`](Self::seal) has covered, to the byte.
    pub(crate) fn open(self, bytes: &[u8]) -> Result<&[u8]> {
        let Some(rest) = bytes.strip_prefix(self.mark) else {
            let mark = String::from_utf8_lossy(self.mark);
            let expected = format_args!("bytes that begin with {mark}");
            return Err(Error::invalid_parameter("model", expected, "other bytes"));
        };
        let (version, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
        let version = u16::from_le_bytes(*version);
        if version != self.version {
            return Err(Error::invalid_parameter(
                "model",
                format_args!("version {}", self.version),
                format_args!("version {version}"),
            ));
        }
        let (sum, body) = rest.split_first_chunk().ok_or_else(cut_short)?;
        if u32::from_le_bytes(*sum) != crc32(body) {
            return Err(Error::invalid_parameter(
                "model",
                "bytes as they were written",
                "a wrong checksum",
            ));
        }
        Ok(body)
    }
}

/// The error of a file that ends before its time.
pub(crate) fn cut_short() -> Error {
    Error::invalid_parameter("model", "a whole file", "its first bytes only")
}

/// Appends to bytes.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn number(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn cuts(&mut self, cuts: &[f64]) {
        let short = cuts.iter().all(|cut| f64::from(*cut as f32) == *cut);
        self.byte(if short { SHORT } else { WIDE });
        self.number(cuts.len());
        for cut in cuts {
            match short {
                true => self.bytes(&(*cut as f32).to_le_bytes()),
                false => self.bytes(&cut.to_le_bytes()),
            }
        }
    }

    pub(crate) fn levels(&mut self, levels: &[String]) {
        self.byte(LEVELS);
        self.number(levels.len());
        levels.iter().for_each(|level| self.text(level));
    }
}

/// How a column is told apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    Cuts(Vec<f64>),
    Levels(Vec<String>),
}

/// Cuts as f64, cuts as f32, names of levels.
const WIDE: u8 = 0;
const SHORT: u8 = 1;
const LEVELS: u8 = 2;

/// Reads from the front; nothing where the bytes do not say what they should.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl Reader<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn short(&mut self) -> Option<f32> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn double(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number)
                    .ok()
                    .filter(|n| *n <= u32::MAX as usize);
            }
        }
        None
    }

    /// A number of things that take at least `bytes` each, so that no more can be promised than
    /// there is.
    pub(crate) fn count(&mut self, bytes: usize) -> Option<usize> {
        self.number().filter(|n| *n <= self.rest.len() / bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let len = self.count(1)?;
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    /// Cuts or levels, at most so many.
    pub(crate) fn scale(&mut self, most: usize) -> Option<Scale> {
        let kind = self.byte()?;
        let count = self.number().filter(|n| *n <= most)?;
        Some(match kind {
            WIDE => Scale::Cuts((0..count).map(|_| self.double()).collect::<Option<_>>()?),
            SHORT => {
                let cuts = (0..count).map(|_| self.short().map(f64::from));
                Scale::Cuts(cuts.collect::<Option<_>>()?)
            }
            LEVELS => Scale::Levels((0..count).map(|_| self.text()).collect::<Option<_>>()?),
            _ => return None,
        })
    }
}
