//! Named segments from recency, frequency and monetary scores, as grids that are proven complete.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Segments;
use super::partition::{Partition, Rule};
use crate::error::{Error, Result};
use crate::features::FeatureTable;
use crate::settings;

/// Label of customers who never bought and so have no scores; every grid ends with it.
pub const NO_PURCHASE: &str = "no_purchase";

/// Beyond this the proof over all cells would take noticeable time.
const MAX_BINS: u32 = 50;

/// A grid of rules that names every customer by recency, frequency and monetary score.
///
/// Scores are whole numbers from 1 to `bins`, 5 being best by default (for recency: most recent).
/// Rules are not tried in an order: a grid is valid only if exactly one rule covers each of the
/// bins³ cells, which [`check`](Self::check) proves. Two grids are ready to use:
///
/// **[`Grid::rf25`]** (default, named `rfm_segment`), recency × frequency, ten names:
///
/// | recency ↓ frequency → | 1              | 2                   | 3                   | 4               | 5               |
/// |-----------------------|----------------|---------------------|---------------------|-----------------|-----------------|
/// | 5                     | new_customers  | potential_loyalists | potential_loyalists | champions       | champions       |
/// | 4                     | promising      | potential_loyalists | potential_loyalists | loyal_customers | loyal_customers |
/// | 3                     | about_to_sleep | about_to_sleep      | need_attention      | loyal_customers | loyal_customers |
/// | 2                     | hibernating    | hibernating         | at_risk             | at_risk         | cant_lose       |
/// | 1                     | hibernating    | hibernating         | at_risk             | at_risk         | cant_lose       |
///
/// **[`Grid::rfm11`]** (named `rfm11_segment`), recency × FM, eleven names; FM is the mean of
/// frequency and monetary score:
///
/// | recency ↓ FM → | 1             | 1.5                 | 2 – 2.5             | 3 – 3.5 | 4 – 5     |
/// |----------------|---------------|---------------------|---------------------|---------|-----------|
/// | 5              | new_customers | potential_loyalists | potential_loyalists | loyal   | champions |
/// | 4              | promising     | potential_loyalists | potential_loyalists | loyal   | champions |
/// | 3              | promising     | about_to_sleep      | need_attention      | loyal   | loyal     |
/// | 2              | hibernating   | about_to_sleep      | need_attention      | at_risk | at_risk   |
/// | 1              | lost          | hibernating         | at_risk             | at_risk | cant_lose |
///
/// The published intervals of these eleven names overlap, and those of hibernating and lost are
/// the same, so that no priority order alone can reach all of them. Every cell here lies inside
/// its name's published interval, and the grid equals this reading of them: an FM edge that two
/// intervals share belongs to the upper one; lost is narrowed to the lowest cell (1, 1) and
/// about_to_sleep to FM above 1; then the first match counts in the order lost, champions,
/// cant_lose, need_attention, at_risk, loyal, promising, new_customers, about_to_sleep,
/// hibernating, potential_loyalists.
///
/// Sources: the 25-cell grid as it is most often copied; the intervals of the eleven names as in
/// the documentation of the R package rfm, version 0.2 (ten of them), and vendors' pages.
///
/// # Example
/// ```
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// use churn_core::segments::Grid;
/// use churn_core::{AsOf, Customers};
/// let score = |name| FeatureInfo::new(name, "score", "1 to 5, 5 is best");
/// let table = FeatureTable::from_columns(
///     Customers::from_texts(["ann", "bea", "cem"]),
///     AsOf::parse("2011-12-10")?,
///     vec![score("recency_score"), score("frequency_score")],
///     vec![5.0, 1.0, f64::NAN, 4.0, 5.0, f64::NAN],
/// )?;
/// let segments = Grid::rf25().assign(&table)?;
/// assert_eq!(segments.name(), "rfm_segment");
/// assert_eq!(segments.label(0), "champions");
/// assert_eq!(segments.label(1), "cant_lose");
/// assert_eq!(segments.label(2), "no_purchase");
/// # Ok::<(), churn_core::Error>(())
/// ```
///
/// A grid of one's own, refused because nobody with recency 1 has a name:
/// ```
/// use churn_core::segments::Grid;
/// let error = Grid::from_toml(r#"
///     name = "freshness"
///     bins = 3
///     [[rules]]
///     label = "fresh"
///     cells = [{ recency = [2, 3] }]
/// "#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "grid.rules: expected one rule for recency 1, frequency 1, monetary 1, got none"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Name of the segments that the grid assigns; `"rfm_segment"` where the document does not
    /// say.
    #[serde(default = "default_name")]
    pub name: String,
    /// Scores run from 1 to this number; 5 where the document does not say.
    #[serde(default = "default_bins")]
    pub bins: u32,
    /// The rules, one per label.
    pub rules: Vec<Rule>,
}

fn default_name() -> String {
    "rfm_segment".to_owned()
}

fn default_bins() -> u32 {
    5
}

impl Default for Grid {
    /// [`Grid::rf25`].
    fn default() -> Self {
        Grid::rf25()
    }
}

static RF25: LazyLock<Grid> =
    LazyLock::new(|| Grid::from_toml(include_str!("rf25.toml")).expect("the grid is valid"));
static RFM11: LazyLock<Grid> =
    LazyLock::new(|| Grid::from_toml(include_str!("rfm11.toml")).expect("the grid is valid"));

impl Grid {
    /// Ten segments on recency × frequency, named `rfm_segment`.
    pub fn rf25() -> Self {
        RF25.clone()
    }

    /// Eleven segments on recency × the mean of frequency and monetary score, named
    /// `rfm11_segment`.
    pub fn rfm11() -> Self {
        RFM11.clone()
    }

    /// Reads a grid from TOML and proves it.
    ///
    /// # Errors
    /// `InvalidParameter` with the line for text that is not such a document, and as
    /// [`check`](Self::check) says.
    pub fn from_toml(text: &str) -> Result<Self> {
        let grid: Grid = settings::from_toml("grid", text)?;
        grid.check()?;
        Ok(grid)
    }

    /// Reads a grid from JSON and proves it.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self> {
        let grid: Grid = settings::from_json("grid", text)?;
        grid.check()?;
        Ok(grid)
    }

    /// The grid as TOML, which [`from_toml`](Self::from_toml) reads back to an equal grid.
    ///
    /// # Errors
    /// As [`check`](Self::check): a grid that could not be read back is not written.
    pub fn to_toml(&self) -> Result<String> {
        self.check()?;
        toml::to_string(self)
            .map_err(|error| Error::invalid_parameter("grid", "a grid that TOML can hold", error))
    }

    /// The grid as JSON, which [`from_json`](Self::from_json) reads back to an equal grid.
    ///
    /// # Errors
    /// As [`check`](Self::check): a grid that could not be read back is not written.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::invalid_parameter("grid", "a grid that JSON can hold", error))
    }

    /// Proves that exactly one rule covers every cell of recency, frequency and monetary score and
    /// that every rule and block covers some cell.
    ///
    /// # Errors
    /// `InvalidParameter` for a hole or overlap, naming the cell and the rules; for a block that
    /// no scores reach or that leaves 1 to `bins`; for an empty name, a label that is empty, occurs
    /// twice or is `no_purchase`; for `bins` outside 2 to 50.
    pub fn check(&self) -> Result<()> {
        self.partition().map(drop)
    }

    fn partition(&self) -> Result<Partition> {
        if self.name.is_empty() {
            return Err(Error::invalid_parameter("grid.name", "a name", "\"\""));
        }
        if !(2..=MAX_BINS).contains(&self.bins) {
            return Err(Error::invalid_parameter(
                "grid.bins",
                format_args!("2 to {MAX_BINS} scores"),
                self.bins,
            ));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            let twice = self.rules[..i].iter().any(|r| r.label == rule.label);
            if rule.label.is_empty() || rule.label == NO_PURCHASE || twice {
                return Err(Error::invalid_parameter(
                    format!("grid.rules[{i}].label"),
                    format_args!("a label of its own, other than {NO_PURCHASE:?}"),
                    format_args!("{:?}", rule.label),
                ));
            }
        }
        Partition::prove(&self.rules, self.bins)
    }

    /// Puts every customer into the segment that covers its scores.
    ///
    /// Reads the feature `recency_score`, and `frequency_score` and `monetary_score` where a rule
    /// looks at them (`fm` looks at both), so a log without money suits [`Grid::rf25`]. Labels are
    /// those of the rules in order and then, always, `no_purchase` for customers all of whose
    /// scores that are read are NaN.
    ///
    /// # Errors
    /// As [`check`](Self::check); `UnknownName` if the table lacks a score that is read;
    /// `InvalidParameter` for scores of another number of bins than the grid's;
    /// `InvalidValue` for a score that is not a whole number from 1 to `bins`, and for a NaN beside
    /// a score.
    pub fn assign(&self, table: &FeatureTable) -> Result<Segments> {
        let partition = self.partition()?;
        let mut blocks = self.rules.iter().flat_map(|rule| &rule.cells);
        let frequency = blocks.clone().any(|b| b.frequency.or(b.fm).is_some());
        let monetary = blocks.any(|b| b.monetary.or(b.fm).is_some());
        // Recency is read in any case: it tells who never bought.
        let axes = [
            ("recency_score", true),
            ("frequency_score", frequency),
            ("monetary_score", monetary),
        ];
        let mut columns = [None; 3];
        for (column, (name, read)) in columns.iter_mut().zip(axes) {
            if read {
                *column = Some((name, table.column(name)?));
                self.check_bins(name, table)?;
            }
        }

        let no_purchase = self.rules.len() as u32;
        let mut codes = Vec::with_capacity(table.len());
        for row in 0..table.len() {
            let read = columns.iter().flatten();
            if read.clone().all(|(_, column)| column[row].is_nan()) {
                codes.push(no_purchase);
                continue;
            }
            // Any score will do on an axis that no rule looks at.
            let mut scores = [1; 3];
            for (score, column) in scores.iter_mut().zip(columns) {
                if let Some((name, column)) = column {
                    *score = self.score(name, row, column[row])?;
                }
            }
            let [recency, frequency, monetary] = scores;
            codes.push(partition.rule(recency, frequency, monetary));
        }
        let labels = self.rules.iter().map(|rule| rule.label.clone());
        Segments::new(
            self.name.as_str(),
            table.customers().clone(),
            table.as_of(),
            labels.chain([NO_PURCHASE.to_owned()]).collect(),
            codes,
        )
    }

    /// Refuses scores that were cut into another number of bins: they would fill the grid in part
    /// only, without an error. A table of the caller's own need not state the bounds of a feature.
    fn check_bins(&self, name: &str, table: &FeatureTable) -> Result<()> {
        let info = table.features().iter().find(|info| info.name == name);
        match info.and_then(|info| info.max) {
            Some(most) if most != f64::from(self.bins) => Err(Error::invalid_parameter(
                "grid.bins",
                format_args!("the {most} bins of {name}"),
                self.bins,
            )),
            _ => Ok(()),
        }
    }

    fn score(&self, name: &str, row: usize, value: f64) -> Result<u32> {
        if value.fract() == 0.0 && (1.0..=f64::from(self.bins)).contains(&value) {
            return Ok(value as u32);
        }
        Err(Error::invalid_value(
            format!("features.{name}"),
            row,
            format_args!(
                "a whole score from 1 to {}, or NaN in every score of a customer who never bought",
                self.bins
            ),
            value,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::Customers;
    use crate::error::ErrorKind;
    use crate::features::FeatureInfo;
    use crate::time::AsOf;

    const SCORES: [&str; 3] = ["recency_score", "frequency_score", "monetary_score"];

    fn table(rows: &[[f64; 3]]) -> FeatureTable {
        let columns = (0..3).flat_map(|axis| rows.iter().map(move |row| row[axis]));
        FeatureTable::from_columns(
            Customers::from_ints(0..rows.len() as i64),
            AsOf::parse("2020-01-01").unwrap(),
            SCORES.map(|n| FeatureInfo::new(n, "score", "")).to_vec(),
            columns.collect(),
        )
        .unwrap()
    }

    fn all_cells() -> Vec<[f64; 3]> {
        let scores = || (1..=5).map(f64::from);
        scores()
            .flat_map(|r| scores().flat_map(move |f| scores().map(move |m| [r, f, m])))
            .collect()
    }

    #[test]
    fn rf25_is_the_published_grid() {
        // Recency, then frequency; first published form, independent of the rules' document.
        let published = [
            ("hibernating", [1, 2], [1, 2]),
            ("at_risk", [1, 2], [3, 4]),
            ("cant_lose", [1, 2], [5, 5]),
            ("about_to_sleep", [3, 3], [1, 2]),
            ("need_attention", [3, 3], [3, 3]),
            ("loyal_customers", [3, 4], [4, 5]),
            ("promising", [4, 4], [1, 1]),
            ("new_customers", [5, 5], [1, 1]),
            ("potential_loyalists", [4, 5], [2, 3]),
            ("champions", [5, 5], [4, 5]),
        ];
        let cells = all_cells();
        let segments = Grid::rf25().assign(&table(&cells)).unwrap();
        assert_eq!(segments.labels().len(), 11);
        for (row, [r, f, _]) in cells.iter().enumerate() {
            let inside = |range: &[i32; 2], score: f64| {
                f64::from(range[0]) <= score && score <= f64::from(range[1])
            };
            let names: Vec<&str> = published
                .iter()
                .filter(|(_, rs, fs)| inside(rs, *r) && inside(fs, *f))
                .map(|(name, ..)| *name)
                .collect();
            assert_eq!(names, [segments.label(row)], "recency {r}, frequency {f}");
        }
    }

    #[test]
    fn rfm11_is_the_documented_reading_of_the_published_intervals() {
        // Published closed intervals of recency and FM, in the documented order of priority.
        let published = [
            ("lost", [1.0, 2.0], [1.0, 2.0]),
            ("champions", [4.0, 5.0], [4.0, 5.0]),
            ("cant_lose", [1.0, 1.0], [4.0, 5.0]),
            ("need_attention", [2.0, 3.0], [2.0, 3.0]),
            ("at_risk", [1.0, 2.0], [2.0, 5.0]),
            ("loyal", [2.0, 5.0], [3.0, 5.0]),
            ("promising", [3.0, 4.0], [1.0, 1.0]),
            ("new_customers", [4.0, 5.0], [1.0, 1.0]),
            ("about_to_sleep", [2.0, 3.0], [1.0, 2.0]),
            ("hibernating", [1.0, 2.0], [1.0, 2.0]),
            ("potential_loyalists", [3.0, 5.0], [1.0, 3.0]),
        ];
        let cells = all_cells();
        let segments = Grid::rfm11().assign(&table(&cells)).unwrap();
        let mut reached = std::collections::BTreeSet::new();
        for (row, [r, f, m]) in cells.iter().enumerate() {
            let fm = (f + m) / 2.0;
            let label = segments.label(row);
            reached.insert(label);
            let inside = |[low, high]: [f64; 2], score: f64| low <= score && score <= high;
            let (_, rs, fms) = published.iter().find(|(name, ..)| *name == label).unwrap();
            assert!(inside(*rs, *r) && inside(*fms, fm), "{label} {r} {fm}");

            let first = published.iter().find(|(name, rs, fms)| {
                let [_, high] = *fms;
                let shared_edge = fm == high && high > 1.0 && high < 5.0;
                let narrowed = match *name {
                    "lost" => (*r, fm) == (1.0, 1.0),
                    "about_to_sleep" => fm > 1.0,
                    _ => true,
                };
                inside(*rs, *r) && inside(*fms, fm) && !shared_edge && narrowed
            });
            assert_eq!(first.unwrap().0, label, "recency {r}, FM {fm}");
        }
        assert_eq!(reached.len(), 11);
    }

    #[test]
    fn damaged_grids_are_refused() {
        for grid in [Grid::rf25(), Grid::rfm11()] {
            for i in 0..grid.rules.len() {
                let mut holed = grid.clone();
                let removed = holed.rules.remove(i);
                assert_eq!(holed.check().unwrap_err().got(), "none");
                let mut doubled = grid.clone();
                doubled.rules.push(Rule {
                    label: "copy".into(),
                    ..removed
                });
                let got = doubled.check().unwrap_err().got().to_owned();
                assert!(got.starts_with(&format!("rules[{i}] ")), "{got}");
                assert!(got.ends_with("\"copy\""), "{got}");
            }
        }
    }

    #[test]
    fn names_labels_and_bins_are_checked() {
        let wrong = |edit: &dyn Fn(&mut Grid)| {
            let mut grid = Grid::rf25();
            edit(&mut grid);
            grid.check().unwrap_err().what().to_owned()
        };
        assert_eq!(wrong(&|g| g.name.clear()), "grid.name");
        assert_eq!(wrong(&|g| g.bins = 1), "grid.bins");
        assert_eq!(wrong(&|g| g.bins = 51), "grid.bins");
        assert_eq!(wrong(&|g| g.bins = 6), "grid.rules");
        assert_eq!(wrong(&|g| g.bins = 4), "grid.rules[0].cells[0].recency");
        for label in ["", "champions", NO_PURCHASE] {
            assert_eq!(
                wrong(&|g| g.rules[3].label = label.into()),
                "grid.rules[3].label"
            );
        }
    }

    #[test]
    fn customers_who_never_bought_have_a_label_of_their_own() {
        const NAN: f64 = f64::NAN;
        let grid = Grid::rfm11();
        let segments = grid.assign(&table(&[[NAN; 3], [1.0; 3]])).unwrap();
        assert_eq!(segments.label(0), NO_PURCHASE);
        assert_eq!(segments.label(1), "lost");
        for (row, axis) in [
            ([NAN, 1.0, 1.0], 0),
            ([1.0, 2.5, 1.0], 1),
            ([1.0, 1.0, 0.0], 2),
            ([1.0, 1.0, 6.0], 2),
            ([f64::INFINITY, 1.0, 1.0], 0),
        ] {
            let error = grid.assign(&table(&[[1.0; 3], row])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
            assert_eq!(error.what(), format!("features.{}", SCORES[axis]));
            assert_eq!(error.row(), Some(1));
        }
    }

    #[test]
    fn only_scores_that_rules_look_at_are_read() {
        let without_money = table(&[[5.0, 5.0, f64::NAN]]).select(&SCORES[..2]).unwrap();
        assert!(Grid::rf25().assign(&without_money).is_ok());
        assert!(Grid::rf25().assign(&table(&[[5.0, 5.0, f64::NAN]])).is_ok());
        let error = Grid::rfm11().assign(&without_money).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert_eq!(error.got(), "\"monetary_score\"");
    }

    #[test]
    fn both_forms_read_back_to_the_same_grid() {
        for grid in [Grid::rf25(), Grid::rfm11()] {
            let toml = grid.to_toml().unwrap();
            assert_eq!(Grid::from_toml(&toml).as_ref(), Ok(&grid));
            let json = grid.to_json().unwrap();
            assert_eq!(Grid::from_json(&json), Ok(grid));
        }
        let halves = r#"{"bins": 2, "rules": [
            {"label": "old", "cells": [{"recency": [1, 1]}]},
            {"label": "fresh", "cells": [{"recency": [2, 2]}]}
        ]}"#;
        assert_eq!(Grid::from_json(halves).unwrap().name, "rfm_segment");
        let error = Grid::from_json(r#"{"rules": [{"label": "a", "cell": []}]}"#).unwrap_err();
        assert!(error.got().contains("unknown field `cell`"), "{error}");
    }
}
