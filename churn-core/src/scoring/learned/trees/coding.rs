//! Cells as bins: by cuts for numbers, by name for levels.

use std::hint::select_unpredictable;

use super::{Encoding, Feature, MAX_CUTS};
use crate::error::{Error, Result};
use crate::scoring::learned::frame::{Column, Frame};

/// Number of cuts below a value: its bin. NaN has bin 0.
#[derive(Debug, Clone)]
pub(crate) struct CutTable {
    cuts: Box<[f64]>,
    /// First step of the search, a power of two.
    step: usize,
}

impl CutTable {
    pub(crate) fn new(cuts: &[f64]) -> Self {
        debug_assert!(cuts.len() <= MAX_CUTS);
        let size = (cuts.len() + 1).next_power_of_two();
        let mut table = vec![f64::INFINITY; size];
        table[..cuts.len()].copy_from_slice(cuts);
        CutTable {
            cuts: table.into(),
            step: size / 2,
        }
    }

    #[inline]
    pub(crate) fn bin(&self, value: f64) -> u8 {
        let (mut below, mut step) = (0, self.step);
        while step > 0 {
            // Values are unpredictable: a branch would be guessed wrong half of the time.
            below += select_unpredictable(self.cuts[below + step - 1] < value, step, 0);
            step >>= 1;
        }
        below as u8
    }
}

/// Turns the cells of one column into bins.
pub(crate) enum Coder<'a> {
    Numeric {
        values: &'a [f64],
        table: CutTable,
        missing: u8,
    },
    Categorical {
        codes: &'a [u32],
        /// The bin of each level of the frame.
        bins: Vec<u8>,
        missing: u8,
    },
}

impl<'a> Coder<'a> {
    pub(crate) fn new(frame: &'a Frame<'_>, feature: &Feature) -> Result<Self> {
        let name = &feature.name;
        match (frame.column(name)?, &feature.encoding) {
            (Column::Numeric(values), Encoding::Numeric(cuts)) => Ok(Coder::Numeric {
                values,
                table: CutTable::new(cuts),
                missing: missing_bin(cuts.len() + 1),
            }),
            (Column::Categorical { codes, levels }, Encoding::Categorical(known)) => {
                let missing = missing_bin(known.len());
                let bins = levels.iter().map(|level| {
                    known
                        .binary_search(level)
                        .map_or(missing, |place| place as u8)
                });
                Ok(Coder::Categorical {
                    codes,
                    bins: bins.collect(),
                    missing,
                })
            }
            (Column::Numeric(_), _) => Err(Error::invalid_parameter(
                name.as_str(),
                "a categorical column as in training",
                "numbers",
            )),
            (Column::Categorical { .. }, _) => Err(Error::invalid_parameter(
                name.as_str(),
                "a numeric column as in training",
                "levels",
            )),
        }
    }

    /// Calls `put` with the bins of some rows.
    #[inline]
    pub(crate) fn code(&self, start: usize, len: usize, mut put: impl FnMut(usize, u8)) {
        match self {
            Coder::Numeric {
                values,
                table,
                missing,
            } => {
                for (i, value) in values[start..start + len].iter().enumerate() {
                    let bin = table.bin(*value);
                    put(i, if value.is_nan() { *missing } else { bin });
                }
            }
            Coder::Categorical {
                codes,
                bins,
                missing,
            } => {
                for (i, &code) in codes[start..start + len].iter().enumerate() {
                    put(i, bins.get(code as usize).copied().unwrap_or(*missing));
                }
            }
        }
    }
}

/// The bin behind `bins` others. A fitted column may use all 256; its missing values are then told
/// apart by [`Coder::both`] alone.
fn missing_bin(bins: usize) -> u8 {
    bins.min(MAX_CUTS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_counts_the_cuts_below() {
        for n in [0, 1, 2, 3, 7, 100, 254, 255] {
            let cuts: Vec<f64> = (0..n).map(|i| f64::from(i) * 2.0).collect();
            let table = CutTable::new(&cuts);
            for value in -1..=2 * n {
                let value = f64::from(value);
                let expected = cuts.iter().filter(|c| **c < value).count();
                assert_eq!(usize::from(table.bin(value)), expected, "{n} {value}");
            }
            assert_eq!(table.bin(f64::NAN), 0);
        }
    }
}
