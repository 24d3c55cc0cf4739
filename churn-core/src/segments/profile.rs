//! What a segment looks like: its size, its money and the mean of every feature.

use std::fmt;

use super::Segments;
use crate::error::{Error, Result};
use crate::features::FeatureTable;

/// One segment in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentProfile {
    /// Label of the segment.
    pub label: String,
    /// Number of customers.
    pub size: usize,
    /// Share of all customers, 0 to 1; 0 in an empty table.
    pub share: f64,
    /// Sum of `total_value` (currency); customers who never bought count as 0.
    pub money: f64,
    /// Share of the money of all customers; `None` unless that money is above 0. Where refunds
    /// exceed purchases a share can lie outside 0 to 1.
    pub money_share: Option<f64>,
    /// Mean of every feature, in the order of the table's columns.
    pub means: Vec<FeatureMean>,
}

/// Mean of one feature over the customers of one segment who have a value.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMean {
    /// Name of the feature.
    pub feature: String,
    /// Mean over the defined values; `None` where no customer of the segment has one.
    pub mean: Option<f64>,
    /// Number of customers of the segment who have a value.
    pub defined: usize,
}

/// Describes every segment, in the order of the labels; empty segments are included.
///
/// Sums run in row order, so results are equal to the bit for any thread count.
///
/// # Errors
/// `Misaligned` if segments and table speak of different customers or instants; `UnknownName` if
/// the table has no feature `total_value`; `InvalidValue` for an infinite value.
///
/// # Example
/// ```
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// use churn_core::segments::{ProfileTable, Segments, profile};
/// use churn_core::{AsOf, Customers};
/// let customers = Customers::from_ints([1, 2, 3]);
/// let as_of = AsOf::parse("2011-12-10")?;
/// let table = FeatureTable::from_columns(
///     customers.clone(),
///     as_of,
///     vec![FeatureInfo::new("total_value", "currency", "money of all purchases")],
///     vec![60.0, 20.0, 20.0],
/// )?;
/// let tiers = vec!["low".to_owned(), "high".to_owned()];
/// let segments = Segments::new("risk_tier", customers, as_of, tiers, vec![0, 0, 1])?;
/// let profiles = profile(&segments, &table)?;
/// assert_eq!((profiles[0].size, profiles[0].money_share), (2, Some(0.8)));
/// assert_eq!(profiles[0].means[0].mean, Some(40.0));
/// println!("{}", ProfileTable(&profiles));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn profile(segments: &Segments, table: &FeatureTable) -> Result<Vec<SegmentProfile>> {
    let what = format!("profile.{}", segments.name());
    table.customers().check_same(segments.customers(), &what)?;
    if segments.as_of() != table.as_of() {
        return Err(Error::misaligned(
            what,
            format_args!("as of {}", table.as_of()),
            format_args!("as of {}", segments.as_of()),
        ));
    }
    for (j, feature) in table.features().iter().enumerate() {
        let column = table.column_at(j);
        if let Some(row) = column.iter().position(|value| value.is_infinite()) {
            return Err(Error::invalid_value(
                format!("features.{}", feature.name),
                row,
                "a finite number or NaN",
                column[row],
            ));
        }
    }

    let count = segments.labels().len();
    let mut sizes = vec![0_usize; count];
    for code in segments.codes() {
        sizes[*code as usize] += 1;
    }
    let (money, _) = sums(segments, table.column("total_value")?);
    let all_money: f64 = money.iter().sum();
    let mut profiles: Vec<SegmentProfile> = (0..count)
        .map(|code| SegmentProfile {
            label: segments.labels()[code].clone(),
            size: sizes[code],
            share: sizes[code] as f64 / table.len().max(1) as f64,
            money: money[code],
            money_share: (all_money > 0.0).then(|| money[code] / all_money),
            means: Vec::with_capacity(table.features().len()),
        })
        .collect();
    for (j, feature) in table.features().iter().enumerate() {
        let (sums, defined) = sums(segments, table.column_at(j));
        for (code, profile) in profiles.iter_mut().enumerate() {
            profile.means.push(FeatureMean {
                feature: feature.name.clone(),
                mean: (defined[code] > 0).then(|| sums[code] / defined[code] as f64),
                defined: defined[code],
            });
        }
    }
    Ok(profiles)
}

/// Sum and number of the defined values per segment, added in row order.
fn sums(segments: &Segments, column: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let mut sums = vec![0.0; segments.labels().len()];
    let mut defined = vec![0; segments.labels().len()];
    for (code, value) in segments.codes().iter().zip(column) {
        if !value.is_nan() {
            sums[*code as usize] += value;
            defined[*code as usize] += 1;
        }
    }
    (sums, defined)
}

/// Profiles as a text table for people: one row per segment with its size, its money and the mean of
/// each feature (`-` where no customer has a value). Profile a [selection](FeatureTable::select) of
/// the features to keep it narrow.
#[derive(Debug, Clone, Copy)]
pub struct ProfileTable<'p>(
    /// What [`profile`] returned.
    pub &'p [SegmentProfile],
);

impl fmt::Display for ProfileTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let number = |value: f64| format!("{value:.2}");
        let column = |head: &str, cell: &dyn Fn(&SegmentProfile) -> String| -> Vec<String> {
            let cells = self.0.iter().map(cell);
            std::iter::once(head.to_owned()).chain(cells).collect()
        };
        let mut columns = vec![
            column("segment", &|p| p.label.clone()),
            column("customers", &|p| p.size.to_string()),
            column("share", &|p| percent(p.share)),
            column("money", &|p| number(p.money)),
            column("share of money", &|p| {
                p.money_share.map_or("-".to_owned(), percent)
            }),
        ];
        for (j, mean) in self
            .0
            .first()
            .map_or(&[][..], |first| &first.means)
            .iter()
            .enumerate()
        {
            let head = format!("mean {}", mean.feature);
            columns.push(column(&head, &|p| {
                p.means[j].mean.map_or("-".to_owned(), number)
            }));
        }
        write_columns(f, &columns)
    }
}

/// Writes columns side by side: the first flush left, the others flush right.
fn write_columns(f: &mut fmt::Formatter<'_>, columns: &[Vec<String>]) -> fmt::Result {
    let widths: Vec<usize> = columns
        .iter()
        .map(|cells| cells.iter().map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    for row in 0..columns.first().map_or(0, Vec::len) {
        for (j, (cells, width)) in columns.iter().zip(&widths).enumerate() {
            match j {
                0 => write!(f, "{:<width$}", cells[row])?,
                _ => write!(f, "  {:>width$}", cells[row])?,
            }
        }
        f.write_str("\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::Customers;
    use crate::error::ErrorKind;
    use crate::features::FeatureInfo;
    use crate::time::AsOf;

    fn as_of() -> AsOf {
        AsOf::parse("2020-01-01").unwrap()
    }

    fn table(money: [f64; 4], rhythm: [f64; 4]) -> FeatureTable {
        let infos = ["total_value", "rhythm"].map(|name| FeatureInfo::new(name, "", ""));
        FeatureTable::from_columns(
            Customers::from_ints(0..4),
            as_of(),
            infos.to_vec(),
            [money, rhythm].concat(),
        )
        .unwrap()
    }

    fn segments(customers: Customers, as_of: AsOf) -> Segments {
        let labels = ["a", "b", "empty"].map(String::from).to_vec();
        Segments::new("s", customers, as_of, labels, vec![0, 1, 0, 1]).unwrap()
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn sizes_money_and_means_are_those_of_the_rows() {
        let table = table([10.0, NAN, 20.0, 70.0], [NAN, NAN, 4.0, NAN]);
        let profiles = profile(&segments(Customers::from_ints(0..4), as_of()), &table).unwrap();
        let [a, b, empty] = &profiles[..] else {
            panic!("three segments")
        };
        assert_eq!((a.size, a.share, a.money), (2, 0.5, 30.0));
        assert_eq!(a.money_share, Some(0.3));
        assert_eq!((a.means[1].mean, a.means[1].defined), (Some(4.0), 1));
        // The customer who never bought counts for money, not for the mean of total_value.
        assert_eq!((b.money, b.money_share), (70.0, Some(0.7)));
        assert_eq!((b.means[0].mean, b.means[0].defined), (Some(70.0), 1));
        assert_eq!((b.means[1].mean, b.means[1].defined), (None, 0));
        assert_eq!((empty.size, empty.share, empty.money), (0, 0.0, 0.0));
        assert_eq!(
            ProfileTable(&profiles).to_string(),
            "\
segment  customers   share  money  share of money  mean total_value  mean rhythm
a                2  50.0 %  30.00          30.0 %             15.00         4.00
b                2  50.0 %  70.00          70.0 %             70.00            -
empty            0   0.0 %   0.00           0.0 %                 -            -
"
        );
    }

    #[test]
    fn no_money_has_no_shares() {
        let table = table([5.0, -5.0, 0.0, NAN], [0.0; 4]);
        let profiles = profile(&segments(Customers::from_ints(0..4), as_of()), &table).unwrap();
        assert!(profiles.iter().all(|p| p.money_share.is_none()));
    }

    #[test]
    fn other_customers_or_instants_are_misaligned() {
        let table = table([0.0; 4], [0.0; 4]);
        let others = segments(Customers::from_ints([0, 1, 2, 9]), as_of());
        let error = profile(&others, &table).unwrap_err();
        assert_eq!(
            (error.kind(), error.row()),
            (ErrorKind::Misaligned, Some(3))
        );
        let later = segments(
            Customers::from_ints(0..4),
            AsOf::parse("2020-01-02").unwrap(),
        );
        let error = profile(&later, &table).unwrap_err();
        assert_eq!(
            error.to_string(),
            "profile.s: expected as of 2020-01-01, got as of 2020-01-02"
        );
    }

    #[test]
    fn infinite_values_and_missing_money_are_refused() {
        let segments = segments(Customers::from_ints(0..4), as_of());
        let error = profile(
            &segments,
            &table([0.0; 4], [0.0, 0.0, f64::NEG_INFINITY, 0.0]),
        )
        .unwrap_err();
        assert_eq!((error.what(), error.row()), ("features.rhythm", Some(2)));
        let without = table([0.0; 4], [0.0; 4]).select(&["rhythm"]).unwrap();
        let error = profile(&segments, &without).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
    }
}
