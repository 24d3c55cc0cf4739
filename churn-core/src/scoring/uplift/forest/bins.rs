//! How columns are cut into bins.

use super::grow::Residuals;
use crate::scoring::learned::packed::Scale;
use crate::scoring::learned::{Column, MISSING_LEVEL};

/// How one column is cut. Missing cells are bin 0, below everything; a number is in bin 1 + number
/// of cuts not above it; levels stand in the order of their own effect, unknown ones count as missing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    pub(super) name: String,
    pub(super) cuts: Scale,
}

impl Bins {
    pub(super) fn learn(
        name: &str,
        column: &Column<'_>,
        rows: &Residuals,
        max_bins: usize,
    ) -> Self {
        let cuts = match column {
            Column::Numeric(values) => {
                let mut present: Vec<f64> =
                    values.iter().copied().filter(|v| !v.is_nan()).collect();
                present.sort_unstable_by(f64::total_cmp);
                let n = present.len();
                let mut cuts: Vec<f64> = (1..max_bins)
                    .filter_map(|k| present.get(k * n / max_bins).copied())
                    .collect();
                cuts.dedup();
                Scale::Cuts(cuts)
            }
            Column::Categorical { codes, levels } => {
                let mut sums = vec![(0.0, 0.0); levels.len()];
                for (row, code) in codes.iter().enumerate() {
                    if *code != MISSING_LEVEL {
                        sums[*code as usize].0 += rows.product[row];
                        sums[*code as usize].1 += rows.square[row];
                    }
                }
                let mut order: Vec<usize> =
                    (0..levels.len()).filter(|l| sums[*l].1 > 0.0).collect();
                order.sort_by(|a, b| {
                    let effect = |l: &usize| sums[*l].0 / sums[*l].1;
                    effect(a)
                        .total_cmp(&effect(b))
                        .then_with(|| levels[*a].cmp(&levels[*b]))
                });
                // Levels beyond the bins share the last one; forests are not made for ids.
                Scale::Levels(order.into_iter().map(|l| levels[l].clone()).collect())
            }
        };
        Bins {
            name: name.to_owned(),
            cuts,
        }
    }

    pub(super) fn code(&self, column: &Column<'_>) -> Vec<u8> {
        match (&self.cuts, column) {
            (Scale::Cuts(cuts), Column::Numeric(values)) => values
                .iter()
                .map(|v| {
                    if v.is_nan() {
                        0
                    } else {
                        1 + cuts.partition_point(|cut| cut <= v) as u8
                    }
                })
                .collect(),
            (Scale::Levels(known), Column::Categorical { codes, levels }) => {
                let place = |level: &String| {
                    known
                        .iter()
                        .position(|k| k == level)
                        .map_or(0, |i| (i + 1).min(255) as u8)
                };
                let places: Vec<u8> = levels.iter().map(place).collect();
                let code = |code: &u32| places.get(*code as usize).copied().unwrap_or(0);
                codes.iter().map(code).collect()
            }
            // The caller has compared the types of the columns.
            _ => vec![0; column.len()],
        }
    }

    pub(super) fn fits(&self, column: &Column<'_>) -> bool {
        matches!(
            (&self.cuts, column),
            (Scale::Cuts(_), Column::Numeric(_)) | (Scale::Levels(_), Column::Categorical { .. })
        )
    }
}
