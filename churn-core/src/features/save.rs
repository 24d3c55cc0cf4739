//! Feature tables as files, in the form of `docs/FORMAT.md`: what was learned from them can be
//! checked years later. Tables for other programs leave as Arrow.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::{FeatureInfo, FeatureTable};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::sections::{
    Format, SectionReader, SectionWriter, Source, Stream, announce_ids, id_type, read_ids,
    write_ids,
};
use crate::time::AsOf;

const TABLE: Format = Format {
    code: 2,
    name: "a feature table",
    version: 1,
};

const CUSTOMERS: [&str; 2] = ["customers", "customer texts"];
/// Descriptions longer than this are no descriptions.
const MOST_ABOUT: u64 = 1 << 28;

/// What a table says beside its numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    as_of: AsOf,
    customers: u64,
    customer_type: u64,
    features: Vec<FeatureInfo>,
}

impl FeatureTable {
    /// Writes the table in the library's own form, bit for bit.
    ///
    /// # Errors
    /// `InvalidValue` at `file` where `out` takes no more bytes; `Cancelled`.
    ///
    /// # Example
    /// ```
    /// use churn_core::{AsOf, Customers};
    /// use churn_core::features::{FeatureInfo, FeatureTable};
    /// use churn_core::progress::Progress;
    /// let table = FeatureTable::from_columns(
    ///     Customers::from_ints([1, 2]),
    ///     AsOf::parse("2011-12-10")?,
    ///     vec![FeatureInfo::new("orders", "count", "orders before as_of")],
    ///     vec![3.0, 1.0],
    /// )?;
    /// let mut file = Vec::new();
    /// table.save(&mut file, &Progress::none())?;
    /// assert_eq!(FeatureTable::from_bytes(&file, &Progress::none())?, table);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn save(&self, out: impl Write, progress: &Progress<'_>) -> Result<()> {
        let about = About {
            as_of: self.as_of(),
            customers: self.len() as u64,
            customer_type: id_type(self.customers()),
            features: self.features().to_vec(),
        };
        let about = serde_json::to_string(&about)
            .map_err(|error| Error::invalid_parameter("table", "what JSON can hold", error))?;
        let mut sections = vec![("table", about.len() as u64)];
        announce_ids(self.customers(), CUSTOMERS, &mut sections);
        sections.push(("features", 8 * self.values().len() as u64));
        let mut file = SectionWriter::new(out, TABLE, sections, progress)?;
        file.section("table", |out| out.put(about.as_bytes()))?;
        write_ids(&mut file, self.customers(), CUSTOMERS)?;
        file.section("features", |out| out.put(self.values()))?;
        file.finish()
    }

    /// Reads a saved table from a stream, up to its end as its header says.
    ///
    /// # Errors
    /// `InvalidValue` or `InvalidParameter`, naming the place in the file, for a file that is no
    /// saved table, is of a newer version, is cut short or damaged; `Cancelled`.
    pub fn load(file: impl Read, progress: &Progress<'_>) -> Result<Self> {
        read(Stream::new(file), progress)
    }

    /// Reads a saved table from the bytes of a whole file.
    ///
    /// # Errors
    /// As [`load`](Self::load), and for bytes behind the end of the file.
    pub fn from_bytes(file: &[u8], progress: &Progress<'_>) -> Result<Self> {
        read(file, progress)
    }
}

fn read<S: Source>(source: S, progress: &Progress<'_>) -> Result<FeatureTable> {
    let mut file = SectionReader::new(source, TABLE, progress)?;
    let about = file.text("table", MOST_ABOUT)?;
    let about: About = crate::settings::from_json("file.table", &about)?;
    let count = about.customers.checked_mul(about.features.len() as u64);
    let Some(count) = count else {
        let got = format_args!("{} customers", about.customers);
        let expected = "a table that fits into memory";
        return Err(Error::new(
            ErrorKind::InvalidValue,
            "file.table",
            expected,
            got,
        ));
    };
    let customers = read_ids(&mut file, CUSTOMERS, about.customer_type, about.customers)?;
    let values = file.cells("features", count)?;
    file.finish()?;
    FeatureTable::from_columns(customers, about.as_of, about.features, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::log;
    use crate::features::{FeatureSpec, build};

    fn table() -> FeatureTable {
        let log = log(&[
            ("ann", "2020-01-01T12:00:00", "purchase", 10.0),
            ("bea", "2020-01-05", "view", 0.0),
            ("cid", "2020-03-05", "view", 0.0),
        ]);
        let as_of = AsOf::parse("2020-01-21T00:00:00.000001").unwrap();
        build(&log.history(as_of), &FeatureSpec::default()).unwrap()
    }

    fn bits(table: &FeatureTable) -> Vec<u64> {
        table.values().iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn tables_come_back_bit_for_bit_and_damage_is_noticed() {
        let none = Progress::none();
        let table = table();
        let mut file = Vec::new();
        table.save(&mut file, &none).unwrap();
        for loaded in [
            FeatureTable::from_bytes(&file, &none).unwrap(),
            FeatureTable::load(file.as_slice(), &none).unwrap(),
        ] {
            assert_eq!(loaded.customers(), table.customers());
            assert_eq!(loaded.features(), table.features());
            assert_eq!(loaded.as_of(), table.as_of());
            assert_eq!(bits(&loaded), bits(&table));
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert!(
                FeatureTable::from_bytes(&damaged, &none).is_err(),
                "byte {at}"
            );
            assert!(
                FeatureTable::load(&file[..at], &none).is_err(),
                "{at} bytes"
            );
        }
    }

    #[test]
    fn a_log_is_no_table() {
        let mut file = Vec::new();
        log(&[("ann", "2020-01-01", "view", 0.0)])
            .save(&mut file)
            .unwrap();
        let error = FeatureTable::from_bytes(&file, &Progress::none()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "file: expected a feature table, got a file of another kind (1)"
        );
    }
}
