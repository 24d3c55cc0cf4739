//! Lifecycle stages as segments.

use super::Segments;
use crate::error::{Error, Result};
use crate::features::{FeatureTable, LIFECYCLE_STAGES};

/// Puts every customer into the segment `lifecycle`, named by the feature `lifecycle_stage`.
///
/// The labels are [`LIFECYCLE_STAGES`], all of them, also where a stage is empty.
///
/// # Errors
/// `UnknownName` if the table has no feature `lifecycle_stage`; `InvalidValue` for a value that is
/// not one of the codes 0 to 6.
///
/// # Example
/// ```
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// use churn_core::segments::lifecycle;
/// use churn_core::{AsOf, Customers};
/// let table = FeatureTable::from_columns(
///     Customers::from_texts(["ann", "bea"]),
///     AsOf::parse("2011-12-10")?,
///     vec![FeatureInfo::new("lifecycle_stage", "code", "stage of the customer's life")],
///     vec![2.0, 5.0],
/// )?;
/// let stages = lifecycle(&table)?;
/// assert_eq!([stages.label(0), stages.label(1)], ["active", "lost"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn lifecycle(table: &FeatureTable) -> Result<Segments> {
    let stages = table.column("lifecycle_stage")?;
    let mut codes = Vec::with_capacity(stages.len());
    for (row, stage) in stages.iter().enumerate() {
        let code = (0..LIFECYCLE_STAGES.len()).find(|code| *code as f64 == *stage);
        let Some(code) = code else {
            return Err(Error::invalid_value(
                "features.lifecycle_stage",
                row,
                format_args!("a whole number from 0 to {}", LIFECYCLE_STAGES.len() - 1),
                stage,
            ));
        };
        codes.push(code as u32);
    }
    Segments::new(
        "lifecycle",
        table.customers().clone(),
        table.as_of(),
        LIFECYCLE_STAGES.map(String::from).to_vec(),
        codes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::Customers;
    use crate::error::ErrorKind;
    use crate::features::FeatureInfo;
    use crate::time::AsOf;

    fn table(feature: &str, stages: &[f64]) -> FeatureTable {
        FeatureTable::from_columns(
            Customers::from_ints(0..stages.len() as i64),
            AsOf::parse("2020-01-01").unwrap(),
            vec![FeatureInfo::new(feature, "code", "")],
            stages.to_vec(),
        )
        .unwrap()
    }

    #[test]
    fn codes_become_their_names() {
        let stages: Vec<f64> = (0..7).rev().map(f64::from).collect();
        let segments = lifecycle(&table("lifecycle_stage", &stages)).unwrap();
        assert_eq!(segments.name(), "lifecycle");
        assert_eq!(segments.label(0), "won_back");
        assert_eq!(segments.label(6), "prospect");
    }

    #[test]
    fn other_values_are_refused_at_their_row() {
        for wrong in [f64::NAN, 7.0, -1.0, 2.5, f64::INFINITY] {
            let error = lifecycle(&table("lifecycle_stage", &[0.0, wrong])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
            assert_eq!(error.row(), Some(1), "{error}");
        }
        let error = lifecycle(&table("stage", &[0.0])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
    }
}
