//! From columns to the numbers that coefficients multiply.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::scoring::learned::model::SchemaColumn;
use crate::scoring::learned::{Column, Frame, MISSING_LEVEL};

/// A level without a term of its own: it adds nothing.
pub(crate) const NO_TERM: u32 = u32::MAX;

/// How columns become terms, learned from the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Design {
    pub(crate) inputs: Vec<Input>,
    /// Number of terms, the intercept not counted.
    pub(crate) terms: usize,
}

/// One column of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// Constant or empty in training: no term.
    Unused {
        categorical: bool,
    },
    Numeric(Numeric),
    Categorical(Categorical),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numeric {
    /// First term of the column.
    pub(crate) first: u32,
    /// Ascending values at equal steps of the distribution; empty = the value itself is used.
    pub(crate) grid: Vec<f64>,
    /// Where the slope may change, on the scale of the first term.
    pub(crate) knots: Vec<f64>,
    pub(crate) center: f64,
    /// 0 = the value itself has no term.
    pub(crate) scale: f64,
    /// What stands in for a missing value.
    pub(crate) fill: f64,
    /// Term that is 1 where the value is missing.
    pub(crate) missing: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Categorical {
    /// Levels of training, ascending.
    pub(crate) levels: Vec<String>,
    /// The term of each level.
    pub(crate) term_of: Vec<u32>,
    /// The term of levels that training has not seen, shared with its rare ones.
    pub(crate) other: u32,
    pub(crate) missing: u32,
}

/// What the encoding depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coding {
    pub(crate) standardise: bool,
    pub(crate) reference_levels: bool,
    pub(crate) max_levels: usize,
    pub(crate) knots: usize,
}

/// Points of the grid behind a spline.
const GRID: usize = 33;

impl Numeric {
    fn learn(values: &[f64], weights: &[f64], coding: Coding, terms: &mut u32) -> Option<Self> {
        let mean_of = |value: &dyn Fn(f64) -> f64| {
            let (mut sum, mut weight) = (0.0, 0.0);
            for (v, w) in values.iter().zip(weights) {
                if !v.is_nan() {
                    sum += w * value(*v);
                    weight += w;
                }
            }
            (weight > 0.0).then(|| sum / weight)
        };
        let mean = mean_of(&|v| v)?;
        let mut numeric = Numeric {
            first: *terms,
            grid: Vec::new(),
            knots: Vec::new(),
            center: 0.0,
            scale: 1.0,
            fill: mean,
            missing: NO_TERM,
        };
        let seen = |wanted: bool| {
            let mut rows = values.iter().zip(weights).filter(|(_, w)| **w > 0.0);
            rows.any(|(v, _)| v.is_nan() == wanted)
        };
        if coding.knots > 0 {
            numeric.grid = grid(values, weights);
        }
        if coding.standardise || coding.knots > 0 {
            let bent = |v: f64| numeric.bend(v);
            let center = mean_of(&bent)?;
            let variance = mean_of(&|v| (bent(v) - center).powi(2))?;
            numeric.center = center;
            numeric.scale = variance.sqrt();
            if numeric.grid.is_empty() {
                numeric.fill = center;
            }
        }
        let mut present = values
            .iter()
            .zip(weights)
            .filter(|(v, w)| !v.is_nan() && **w > 0.0);
        let first = *present.next()?.0;
        let varies = present.any(|(v, _)| *v != first);
        if !varies || !numeric.scale.is_normal() {
            // A constant says nothing, but that it is missing may.
            if !seen(true) {
                return None;
            }
            numeric.scale = 0.0;
            numeric.grid.clear();
            numeric.center = 0.0;
            numeric.fill = first;
        } else {
            *terms += 1;
            if numeric.grid.len() > 2 {
                let (low, high) = (
                    numeric.first_term(numeric.grid[0]),
                    numeric.first_term(*numeric.grid.last()?),
                );
                let inside = coding.knots.min(numeric.grid.len() - 2);
                numeric.knots = (1..=inside)
                    .map(|k| low + (high - low) * k as f64 / (inside + 1) as f64)
                    .collect();
                *terms += inside as u32;
            }
        }
        if seen(true) {
            numeric.missing = *terms;
            *terms += 1;
        }
        Some(numeric)
    }

    /// The value's place in the distribution, from 0 to 1; without a grid the value itself.
    fn bend(&self, value: f64) -> f64 {
        if self.grid.len() < 2 {
            return value;
        }
        let last = self.grid.len() - 1;
        let above = self.grid.partition_point(|point| *point <= value);
        if above == 0 {
            return 0.0;
        }
        if above > last {
            return 1.0;
        }
        let (low, high) = (self.grid[above - 1], self.grid[above]);
        ((above - 1) as f64 + (value - low) / (high - low)) / last as f64
    }

    /// Kept so small that sums of products with coefficients stay numbers.
    fn first_term(&self, value: f64) -> f64 {
        ((self.bend(value) - self.center) / self.scale).clamp(-1e150, 1e150)
    }

    /// Whether the value itself has a term, and not only that it is missing.
    pub(crate) fn has_value_term(&self) -> bool {
        self.scale > 0.0
    }

    #[inline]
    pub(crate) fn put(&self, value: f64, mut put: impl FnMut(u32, f64)) {
        if value.is_nan() && self.missing != NO_TERM {
            put(self.missing, 1.0);
        }
        if !self.has_value_term() {
            return;
        }
        let x = if !value.is_nan() {
            self.first_term(value)
        } else if self.grid.is_empty() {
            (self.fill - self.center) / self.scale
        } else {
            0.0
        };
        put(self.first, x);
        for (k, knot) in self.knots.iter().enumerate() {
            if x > *knot {
                put(self.first + 1 + k as u32, x - knot);
            }
        }
    }
}

/// Ascending values, strictly, at about equal steps of the distribution.
fn grid(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values
        .iter()
        .zip(weights)
        .filter(|(v, w)| !v.is_nan() && **w > 0.0)
        .map(|(v, _)| *v + 0.0)
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() <= GRID {
        return distinct;
    }
    let mut grid: Vec<f64> = (0..GRID).map(|k| sorted[k * last / (GRID - 1)]).collect();
    grid.dedup();
    grid
}

impl Categorical {
    fn learn(
        codes: &[u32],
        levels: &[String],
        weights: &[f64],
        coding: Coding,
        terms: &mut u32,
    ) -> Option<Self> {
        let mut counts = vec![0.0; levels.len()];
        let mut missing = 0.0;
        for (code, weight) in codes.iter().zip(weights) {
            match *code {
                MISSING_LEVEL => missing += weight,
                code => counts[code as usize] += weight,
            }
        }
        let mut seen: Vec<(&String, f64)> = levels
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0.0)
            .collect();
        if seen.len() + usize::from(missing > 0.0) < 2 {
            return None;
        }
        // Most frequent first; of equally frequent ones the first name.
        seen.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let pooled = seen.len() > coding.max_levels;
        let own = if pooled {
            coding.max_levels.saturating_sub(1)
        } else {
            seen.len()
        };
        let reference = usize::from(coding.reference_levels);
        let mut named: Vec<(&String, u32)> = Vec::with_capacity(seen.len());
        let place = |i: usize| -> u32 {
            if i < reference {
                return NO_TERM;
            }
            *terms + (i - reference) as u32
        };
        let mut used = 0;
        for (i, (name, _)) in seen.iter().enumerate() {
            let term = place(i.min(own));
            if term != NO_TERM {
                used = used.max(term + 1 - *terms);
            }
            named.push((name, term));
        }
        let other = if pooled { place(own) } else { NO_TERM };
        *terms += used;
        let missing = if missing > 0.0 {
            *terms += 1;
            *terms - 1
        } else {
            NO_TERM
        };
        named.sort_by(|a, b| a.0.cmp(b.0));
        Some(Categorical {
            levels: named.iter().map(|(name, _)| (*name).clone()).collect(),
            term_of: named.iter().map(|(_, term)| *term).collect(),
            other,
            missing,
        })
    }

    /// The term of a level of the design, or of a missing one.
    #[inline]
    pub(crate) fn term(&self, level: Option<usize>) -> u32 {
        match level {
            None => self.missing,
            Some(level) => self.term_of.get(level).copied().unwrap_or(self.other),
        }
    }
}

impl Design {
    pub(crate) fn learn(frame: &Frame<'_>, weights: &[f64], coding: Coding) -> Self {
        let mut terms = 0;
        let columns = frame.names().iter().zip(frame.columns());
        let inputs = columns
            .map(|(name, column)| {
                let kind = match column {
                    Column::Numeric(values) => Numeric::learn(values, weights, coding, &mut terms)
                        .map_or(Kind::Unused { categorical: false }, Kind::Numeric),
                    Column::Categorical { codes, levels } => {
                        Categorical::learn(codes, levels, weights, coding, &mut terms)
                            .map_or(Kind::Unused { categorical: true }, Kind::Categorical)
                    }
                };
                Input {
                    name: name.clone(),
                    kind,
                }
            })
            .collect();
        Design {
            inputs,
            terms: terms as usize,
        }
    }

    /// Names of the terms, in order.
    pub(crate) fn term_names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.terms];
        for input in &self.inputs {
            let name = &input.name;
            match &input.kind {
                Kind::Unused { .. } => {}
                Kind::Numeric(numeric) => {
                    if numeric.has_value_term() {
                        names[numeric.first as usize].clone_from(name);
                        for k in 0..numeric.knots.len() {
                            names[numeric.first as usize + 1 + k] =
                                format!("{name} bend {}", k + 1);
                        }
                    }
                    if numeric.missing != NO_TERM {
                        names[numeric.missing as usize] = format!("{name} missing");
                    }
                }
                Kind::Categorical(c) => {
                    for (level, term) in c.levels.iter().zip(&c.term_of) {
                        if *term != NO_TERM {
                            names[*term as usize] = format!("{name} = {level}");
                        }
                    }
                    if c.other != NO_TERM {
                        names[c.other as usize] = format!("{name} = another level");
                    }
                    if c.missing != NO_TERM {
                        names[c.missing as usize] = format!("{name} missing");
                    }
                }
            }
        }
        names
    }

    /// For each term the place of its input.
    pub(crate) fn input_of_terms(&self) -> Vec<usize> {
        let mut inputs = vec![0; self.terms];
        for (i, input) in self.inputs.iter().enumerate() {
            match &input.kind {
                Kind::Unused { .. } => {}
                Kind::Numeric(n) => {
                    let own = if n.has_value_term() {
                        1 + n.knots.len()
                    } else {
                        0
                    };
                    inputs[n.first as usize..n.first as usize + own].fill(i);
                    if n.missing != NO_TERM {
                        inputs[n.missing as usize] = i;
                    }
                }
                Kind::Categorical(c) => {
                    for term in c.term_of.iter().chain([&c.other, &c.missing]) {
                        if *term != NO_TERM {
                            inputs[*term as usize] = i;
                        }
                    }
                }
            }
        }
        inputs
    }

    /// Finds the columns of the design in a frame.
    pub(crate) fn bind<'f>(&'f self, frame: &'f Frame<'_>) -> Result<Bound<'f>> {
        let columns = self.inputs.iter().map(|input| {
            let column = frame.column(&input.name)?;
            match (&input.kind, column) {
                (
                    Kind::Unused { categorical: false } | Kind::Numeric(_),
                    Column::Categorical { .. },
                ) => Err(Error::invalid_parameter(
                    input.name.as_str(),
                    "a numeric column as in training",
                    "levels",
                )),
                (Kind::Unused { categorical: true } | Kind::Categorical(_), Column::Numeric(_)) => {
                    Err(Error::invalid_parameter(
                        input.name.as_str(),
                        "a categorical column as in training",
                        "numbers",
                    ))
                }
                (Kind::Unused { .. }, _) => Ok(BoundColumn::Unused),
                (Kind::Numeric(numeric), Column::Numeric(values)) => {
                    Ok(BoundColumn::Numeric(numeric, values))
                }
                (Kind::Categorical(c), Column::Categorical { codes, levels }) => {
                    let terms = levels
                        .iter()
                        .map(|level| match c.levels.binary_search(level) {
                            Ok(known) => c.term(Some(known)),
                            Err(_) => c.other,
                        });
                    Ok(BoundColumn::Categorical(codes, terms.collect(), c.missing))
                }
            }
        });
        Ok(Bound {
            columns: columns.collect::<Result<_>>()?,
            rows: frame.rows(),
        })
    }

    /// Calls `put` with (term, value) for every term that is not zero of a row of checked cells, in
    /// the order of training, levels as their places.
    #[inline]
    pub(crate) fn row(&self, row: &[f64], mut put: impl FnMut(usize, f64)) {
        for (input, cell) in self.inputs.iter().zip(row) {
            match &input.kind {
                Kind::Unused { .. } => {}
                Kind::Numeric(n) => n.put(*cell, |term, value| put(term as usize, value)),
                Kind::Categorical(c) => {
                    let term = c.term((!cell.is_nan()).then_some(*cell as usize));
                    if term != NO_TERM {
                        put(term as usize, 1.0);
                    }
                }
            }
        }
    }

    /// Whether the columns are those of a schema, of the same kinds and with the same levels.
    pub(crate) fn fits(&self, schema: &[SchemaColumn]) -> bool {
        let columns = self.inputs.iter().zip(schema);
        self.inputs.len() == schema.len()
            && columns.into_iter().all(|(input, known)| match &input.kind {
                Kind::Unused { categorical } => *categorical == known.levels.is_some(),
                Kind::Numeric(_) => known.levels.is_none(),
                Kind::Categorical(c) => known.levels.as_ref() == Some(&c.levels),
            })
    }

    /// Checks what a stored design must fulfil before anything relies on it.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |name: &str, what: &str| {
            Err(Error::invalid_parameter(
                format!("model.{name}"),
                what,
                "something else",
            ))
        };
        if self.terms > 1_000_000 {
            return wrong("terms", "at most a million terms");
        }
        let mut names = std::collections::HashSet::new();
        for input in &self.inputs {
            let name = &input.name;
            if !names.insert(name) {
                return wrong(name, "names that differ");
            }
            let in_range = |term: u32| term == NO_TERM || (term as usize) < self.terms;
            match &input.kind {
                Kind::Unused { .. } => {}
                Kind::Numeric(n) => {
                    let own = if n.has_value_term() {
                        1 + n.knots.len()
                    } else {
                        0
                    };
                    let finite = n.grid.iter().chain(&n.knots).chain([&n.center, &n.fill]);
                    let is_fine = n.first as usize + own <= self.terms
                        && in_range(n.missing)
                        && finite.into_iter().all(|v| v.is_finite())
                        && n.scale >= 0.0
                        && n.scale.is_finite()
                        && n.grid.is_sorted_by(|a, b| a < b)
                        && n.grid.len() != 1;
                    if !is_fine {
                        return wrong(name, "a numeric column in order");
                    }
                }
                Kind::Categorical(c) => {
                    let is_fine = c.term_of.len() == c.levels.len()
                        && c.levels.is_sorted_by(|a, b| a < b)
                        && c.term_of
                            .iter()
                            .chain([&c.other, &c.missing])
                            .all(|t| in_range(*t));
                    if !is_fine {
                        return wrong(name, "a categorical column in order");
                    }
                }
            }
        }
        Ok(())
    }
}

/// The columns of a frame that a design reads.
pub(crate) struct Bound<'f> {
    columns: Vec<BoundColumn<'f>>,
    rows: usize,
}

enum BoundColumn<'f> {
    Unused,
    Numeric(&'f Numeric, &'f [f64]),
    /// Codes, the term of each level of the frame, the term of a missing cell.
    Categorical(&'f [u32], Vec<u32>, u32),
}

impl Bound<'_> {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Calls `put` with (input, term, value) for every term of a row that is not zero.
    #[inline]
    pub(crate) fn row(&self, row: usize, mut put: impl FnMut(usize, usize, f64)) {
        for (i, column) in self.columns.iter().enumerate() {
            match column {
                BoundColumn::Unused => {}
                BoundColumn::Numeric(numeric, values) => {
                    numeric.put(values[row], |term, value| put(i, term as usize, value));
                }
                BoundColumn::Categorical(codes, terms, missing) => {
                    let term = terms.get(codes[row] as usize).copied().unwrap_or(*missing);
                    if term != NO_TERM {
                        put(i, term as usize, 1.0);
                    }
                }
            }
        }
    }
}
