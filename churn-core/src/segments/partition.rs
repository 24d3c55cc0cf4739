//! Rules over score cells, and the proof that they leave no hole and no overlap.
//!
//! Scores are whole numbers, so there are only bins³ different customers as far as a grid can
//! tell: all of them are tried.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::Text;

/// One label and the cells that it covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the segment, e.g. `"champions"`; conditions refer to it.
    pub label: String,
    /// How people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The rule covers the union of these rectangles.
    pub cells: Vec<Rectangle>,
}

/// A block of score cells: a range per axis, both ends included; an axis without range is free.
///
/// As data: `{ recency = [1, 2], fm = [2, 3.5] }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rectangle {
    /// Range of the recency score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recency: Option<[f64; 2]>,
    /// Range of the frequency score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<[f64; 2]>,
    /// Range of the monetary score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monetary: Option<[f64; 2]>,
    /// Range of the mean of frequency and monetary score, which moves in steps of one half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fm: Option<[f64; 2]>,
}

impl Rectangle {
    /// The ranges with the names of their axes.
    fn ranges(&self) -> [(&'static str, Option<[f64; 2]>); 4] {
        [
            ("recency", self.recency),
            ("frequency", self.frequency),
            ("monetary", self.monetary),
            ("fm", self.fm),
        ]
    }

    /// Whether a customer of these scores lies inside.
    ///
    /// # Example
    /// ```
    /// use churn_core::segments::Rectangle;
    /// let block = Rectangle { recency: Some([4.0, 5.0]), fm: Some([3.0, 3.5]), ..Default::default() };
    /// assert!(block.contains(5, 2, 5));
    /// assert!(!block.contains(5, 3, 5));
    /// ```
    pub fn contains(&self, recency: u32, frequency: u32, monetary: u32) -> bool {
        let [r, f, m] = [recency, frequency, monetary].map(f64::from);
        let scores = [r, f, m, (f + m) / 2.0];
        self.ranges().iter().zip(scores).all(|((_, range), score)| {
            range.is_none_or(|[low, high]| low <= score && score <= high)
        })
    }
}

/// All score cells with the one rule that covers each: what is left once the proof has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    bins: u32,
    /// Index of the rule of cell (r, f, m) at `((r - 1) * bins + f - 1) * bins + m - 1`.
    rules: Vec<u32>,
}

impl Partition {
    /// Proves that every cell of `bins`³ is covered by exactly one rule and that no rectangle is
    /// idle; places in errors begin with `grid.rules`.
    pub(super) fn prove(rules: &[Rule], bins: u32) -> Result<Self> {
        check_ranges(rules, bins)?;
        let cells = || {
            let scores = move || 1..=bins;
            scores().flat_map(move |r| scores().flat_map(move |f| scores().map(move |m| (r, f, m))))
        };
        for (i, rule) in rules.iter().enumerate() {
            let idle = |block: &Rectangle| !cells().any(|(r, f, m)| block.contains(r, f, m));
            if let Some(c) = rule.cells.iter().position(idle) {
                return Err(Error::invalid_parameter(
                    format!("grid.rules[{i}].cells[{c}]"),
                    format_args!("a block of {:?} that some scores reach", rule.label),
                    "a block without cells",
                ));
            }
        }
        let mut owners = Vec::with_capacity((bins as usize).pow(3));
        for (r, f, m) in cells() {
            let covers = |rule: &Rule| rule.cells.iter().any(|block| block.contains(r, f, m));
            let mut matching = (0..rules.len()).filter(|i| covers(&rules[*i]));
            match (matching.next(), matching.next()) {
                (Some(owner), None) => owners.push(owner as u32),
                (first, second) => {
                    let matching: Vec<String> = first
                        .into_iter()
                        .chain(second)
                        .chain(matching)
                        .map(|i| format!("rules[{i}] {:?}", rules[i].label))
                        .collect();
                    return Err(Error::invalid_parameter(
                        "grid.rules",
                        format_args!("one rule for recency {r}, frequency {f}, monetary {m}"),
                        if matching.is_empty() {
                            "none".to_owned()
                        } else {
                            matching.join(" and ")
                        },
                    ));
                }
            }
        }
        Ok(Partition {
            bins,
            rules: owners,
        })
    }

    /// Index of the rule that covers these scores, each from 1 to `bins`.
    #[inline]
    pub(super) fn rule(&self, recency: u32, frequency: u32, monetary: u32) -> u32 {
        let cell = ((recency - 1) * self.bins + frequency - 1) * self.bins + monetary - 1;
        self.rules[cell as usize]
    }
}

fn check_ranges(rules: &[Rule], bins: u32) -> Result<()> {
    for (i, rule) in rules.iter().enumerate() {
        if rule.cells.is_empty() {
            return Err(Error::invalid_parameter(
                format!("grid.rules[{i}].cells"),
                format_args!("at least one block of {:?}", rule.label),
                "none",
            ));
        }
        for (c, block) in rule.cells.iter().enumerate() {
            for (axis, range) in block.ranges() {
                let Some([low, high]) = range else { continue };
                if !(1.0 <= low && low <= high && high <= f64::from(bins)) {
                    return Err(Error::invalid_parameter(
                        format!("grid.rules[{i}].cells[{c}].{axis}"),
                        format_args!("[low, high] with 1 <= low <= high <= {bins}"),
                        format_args!("[{low}, {high}]"),
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One rule per box, a box being the lowest and highest score on three axes.
    fn rules(boxes: &[[[u32; 2]; 3]]) -> Vec<Rule> {
        let range = |ends: [u32; 2]| Some(ends.map(f64::from));
        boxes
            .iter()
            .enumerate()
            .map(|(i, [r, f, m])| Rule {
                label: format!("s{i}"),
                text: None,
                cells: vec![Rectangle {
                    recency: range(*r),
                    frequency: range(*f),
                    monetary: range(*m),
                    fm: None,
                }],
            })
            .collect()
    }

    fn one_rule(block: Rectangle) -> Vec<Rule> {
        let mut rules = rules(&[[[1, 5]; 3]]);
        rules[0].cells[0] = block;
        rules
    }

    #[test]
    fn ranges_outside_the_scores_are_refused() {
        for range in [[0.0, 3.0], [2.0, 6.0], [4.0, 3.0], [1.0, f64::NAN]] {
            let block = Rectangle {
                fm: Some(range),
                ..Rectangle::default()
            };
            let error = Partition::prove(&one_rule(block), 5).unwrap_err();
            assert_eq!(error.what(), "grid.rules[0].cells[0].fm", "{error}");
        }
    }

    #[test]
    fn idle_blocks_are_refused() {
        let mut rules = rules(&[[[1, 5]; 3]]);
        rules[0].cells.push(Rectangle {
            fm: Some([3.6, 3.9]),
            ..Rectangle::default()
        });
        let error = Partition::prove(&rules, 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "grid.rules[0].cells[1]: expected a block of \"s0\" that some scores reach, \
             got a block without cells"
        );
        rules[0].cells.clear();
        let error = Partition::prove(&rules, 5).unwrap_err();
        assert_eq!(error.what(), "grid.rules[0].cells");
    }

    #[test]
    fn holes_and_overlaps_name_the_cell_and_the_rules() {
        let hole = rules(&[[[1, 2], [1, 3], [1, 3]], [[3, 3], [1, 3], [2, 3]]]);
        assert_eq!(
            Partition::prove(&hole, 3).unwrap_err().to_string(),
            "grid.rules: expected one rule for recency 3, frequency 1, monetary 1, got none"
        );
        let overlap = rules(&[[[1, 2], [1, 3], [1, 3]], [[2, 3], [1, 3], [1, 3]]]);
        assert_eq!(
            Partition::prove(&overlap, 3).unwrap_err().to_string(),
            "grid.rules: expected one rule for recency 2, frequency 1, monetary 1, \
             got rules[0] \"s0\" and rules[1] \"s1\""
        );
        assert!(Partition::prove(&[], 3).is_err());
    }

    #[test]
    fn blocks_of_one_rule_may_overlap() {
        let mut rules = rules(&[[[1, 3]; 3]]);
        rules[0].cells.push(Rectangle::default());
        assert!(Partition::prove(&rules, 3).is_ok());
    }

    /// Cuts one box in two, again and again: always a partition.
    fn cut_boxes(bins: u32, cuts: &[(usize, usize, u32)]) -> Vec<[[u32; 2]; 3]> {
        let mut boxes = vec![[[1, bins]; 3]];
        for (which, axis, at) in cuts {
            let which = which % boxes.len();
            let [low, high] = boxes[which][*axis];
            if low < high {
                let at = low + at % (high - low);
                let mut upper = boxes[which];
                boxes[which][*axis] = [low, at];
                upper[*axis] = [at + 1, high];
                boxes.push(upper);
            }
        }
        boxes
    }

    proptest! {
        #[test]
        fn partitions_are_accepted_and_damaged_ones_refused(
            bins in 2_u32..7,
            cuts in prop::collection::vec((0_usize..99, 0_usize..3, 0_u32..99), 1..12),
            damaged in 0_usize..99,
        ) {
            let boxes = cut_boxes(bins, &cuts);
            let partition = Partition::prove(&rules(&boxes), bins).unwrap();
            for (i, [r, f, m]) in boxes.iter().enumerate() {
                // Opposite corners, found without the code under test.
                for end in 0..2 {
                    prop_assert_eq!(partition.rule(r[end], f[end], m[end]), i as u32);
                }
            }

            let damaged = damaged % boxes.len();
            let mut doubled = boxes.clone();
            doubled.push(boxes[damaged]);
            let error = Partition::prove(&rules(&doubled), bins).unwrap_err();
            let names = format!("rules[{damaged}] \"s{damaged}\" and rules[{}]", boxes.len());
            prop_assert!(error.got().starts_with(&names), "{}", error);

            let mut holed = boxes.clone();
            let [r, f, m] = holed.remove(damaged);
            let error = Partition::prove(&rules(&holed), bins).unwrap_err();
            let cell = format!(
                "one rule for recency {}, frequency {}, monetary {}", r[0], f[0], m[0]
            );
            prop_assert_eq!(error.expected(), cell);
        }
    }
}
