//! Customers sorted by score and counted at every cut; the ground of all curves.

use crate::error::{Error, Result};

/// What lies above one cut of the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cut {
    /// Treated units above the cut.
    pub treated: f64,
    /// Control units above the cut.
    pub control: f64,
    /// Sum of their outcomes, treated.
    pub treated_outcome: f64,
    /// Sum of their outcomes, control.
    pub control_outcome: f64,
}

impl Cut {
    /// Units above the cut.
    pub fn units(&self) -> f64 {
        self.treated + self.control
    }

    /// Extra outcome of the treated: Y₁ − Y₀ n₁/n₀; 0 as long as there is no control.
    pub(super) fn qini(&self) -> f64 {
        if self.control > 0.0 {
            self.treated_outcome - self.control_outcome * self.treated / self.control
        } else {
            self.treated_outcome
        }
    }

    /// Difference of mean outcomes, a mean over nobody counting as 0.
    pub(super) fn difference(&self) -> f64 {
        let mean = |sum: f64, n: f64| if n > 0.0 { sum / n } else { 0.0 };
        mean(self.treated_outcome, self.treated) - mean(self.control_outcome, self.control)
    }
}

/// A ranking with everything that uplift curves need, one [`Cut`] per distinct score.
///
/// # Example
/// ```
/// use churn_core::metrics::uplift::Cuts;
/// let score = [0.9, 0.8, 0.7, 0.2, 0.1, 0.0];
/// let treated = [true, false, true, false, true, false];
/// let bought = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
/// let cuts = Cuts::new(&score, &treated, &bought)?;
/// let (units, height) = cuts.qini_curve().pop().unwrap();
/// assert_eq!((units, height), (6.0, 0.0));
/// assert!(cuts.qini_radcliffe() > 0.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cuts {
    pub(super) cuts: Vec<Cut>,
    /// Treated and control units by outcome 0 and 1, where outcomes are nothing else.
    pub(super) binary: Option<[[f64; 2]; 2]>,
}

impl Cuts {
    /// Ranks units by `score`, the highest first.
    ///
    /// Shape: three columns of n values.
    ///
    /// # Errors
    /// `LengthMismatch` for columns of different lengths; `InvalidValue`, naming the row, for a
    /// score that is NaN or an outcome that is not finite; `NotEnoughData` without a treated or
    /// without a control unit.
    pub fn new(score: &[f64], treated: &[bool], outcome: &[f64]) -> Result<Self> {
        let order = ranking(score, treated, outcome)?;
        let binary = outcome.iter().all(|y| *y == 0.0 || *y == 1.0);
        let mut cuts = Vec::new();
        let mut cut = Cut::default();
        let mut counts = [[0.0; 2]; 2];
        for tied in order.chunk_by(|a, b| score[*a] == score[*b]) {
            for row in tied {
                let y = outcome[*row];
                counts[usize::from(treated[*row])][usize::from(y == 1.0)] += 1.0;
                if treated[*row] {
                    cut.treated += 1.0;
                    cut.treated_outcome += y;
                } else {
                    cut.control += 1.0;
                    cut.control_outcome += y;
                }
            }
            cuts.push(cut);
        }
        Ok(Cuts {
            cuts,
            binary: binary.then_some(counts),
        })
    }

    /// The cuts, from the highest score down; the last one holds everybody.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Everybody; there is always at least one cut.
    pub(super) fn all(&self) -> Cut {
        self.cuts.last().copied().unwrap_or_default()
    }

    /// Units above each cut and their extra outcome Y₁ − Y₀ n₁/n₀, from (0, 0) on.
    ///
    /// Source: Radcliffe (2007), Direct Marketing Analytics Journal.
    pub fn qini_curve(&self) -> Vec<(f64, f64)> {
        self.curve(Cut::qini)
    }

    /// Units above each cut and (Y₁/n₁ − Y₀/n₀) × units, from (0, 0) on.
    pub fn gain_curve(&self) -> Vec<(f64, f64)> {
        self.curve(|cut| cut.difference() * cut.units())
    }

    fn curve(&self, height: impl Fn(&Cut) -> f64) -> Vec<(f64, f64)> {
        let points = self.cuts.iter().map(|cut| (cut.units(), height(cut)));
        std::iter::once((0.0, 0.0)).chain(points).collect()
    }
}

/// Rows from the highest score down; equal scores in any order, which callers must not depend on.
pub(super) fn ranking(score: &[f64], treated: &[bool], outcome: &[f64]) -> Result<Vec<usize>> {
    for (what, len) in [("treated", treated.len()), ("outcome", outcome.len())] {
        if len != score.len() {
            return Err(Error::length_mismatch(
                format!("uplift.{what}"),
                score.len(),
                len,
            ));
        }
    }
    if let Some(row) = score.iter().position(|s| s.is_nan()) {
        return Err(Error::invalid_value("uplift.score", row, "a number", "NaN"));
    }
    if let Some(row) = outcome.iter().position(|y| !y.is_finite()) {
        return Err(Error::invalid_value(
            "uplift.outcome",
            row,
            "a finite number",
            outcome[row],
        ));
    }
    for (name, wanted) in [("treated", true), ("control", false)] {
        if !treated.contains(&wanted) {
            return Err(Error::not_enough_data(
                "uplift.treated",
                format_args!("at least one {name} unit"),
                0,
            ));
        }
    }
    let mut order: Vec<usize> = (0..score.len()).collect();
    // Adding 0 makes one number of 0 and −0, which total_cmp would tell apart. Outcomes within a
    // tie are ordered, so that sums do not depend on the order of the input.
    order.sort_unstable_by(|a, b| {
        let by_score = (score[*b] + 0.0).total_cmp(&(score[*a] + 0.0));
        by_score.then_with(|| outcome[*a].total_cmp(&outcome[*b]))
    });
    Ok(order)
}

/// Area under a curve by trapezoids.
pub(super) fn area(curve: &[(f64, f64)]) -> f64 {
    let panels = curve.windows(2);
    panels
        .map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0)
        .sum()
}
