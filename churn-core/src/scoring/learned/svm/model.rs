//! A fitted machine: margins, what each column adds to them, and what a file may hold.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::math::random::Random;
use crate::scoring::learned::logistic::design::{Bound, Design};
use crate::scoring::learned::{Contributions, Frame};

/// A fitted support vector machine. Holds no training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct SvmModel {
    pub(super) stored: Stored,
    /// Frequencies of the random features, one after the other; empty for a plane.
    frequencies: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    pub(super) design: Design,
    pub(super) gamma: Option<f64>,
    pub(super) seed: u64,
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
    /// Mean of each term over the training rows.
    pub(super) means: Vec<f64>,
    pub(super) passes: usize,
    pub(super) gap: f64,
}

/// Most frequencies, terms times pairs of features (32 MiB): a file holds their seed alone, and a
/// small one must not ask for much memory. What is fitted keeps to it as well.
pub(super) const MOST_FREQUENCIES: usize = 1 << 22;
/// A term beyond so many standard deviations counts as so many, so that margins stay finite.
const FAR: f64 = 1e6;
/// Largest size of a stored number, so that sums of products stay finite.
const LARGEST: f64 = 1e100;
/// Rows that one task handles.
const CHUNK: usize = 256;

/// Frequencies of a Gaussian kernel; none for a plane.
pub(super) fn frequencies(gamma: Option<f64>, terms: usize, width: usize, seed: u64) -> Vec<f64> {
    let Some(gamma) = gamma else {
        return Vec::new();
    };
    let spread = (2.0 * gamma).sqrt();
    (0..width / 2)
        .flat_map(|k| {
            let mut random = Random::new(seed, k as u64);
            (0..terms).map(move |_| spread * random.normal())
        })
        .collect()
}

/// The terms of a row of a frame.
pub(super) fn put_terms(bound: &Bound<'_>, row: usize, terms: &mut [f64]) {
    terms.fill(0.0);
    bound.row(row, |_, term, value| terms[term] = near(value));
}

fn near(term: f64) -> f64 {
    term.clamp(-FAR, FAR)
}

/// The features of terms: themselves, or waves of them.
pub(super) fn put_features(terms: &[f64], frequencies: &[f64], features: &mut [f64]) {
    if frequencies.is_empty() {
        features[..terms.len()].copy_from_slice(terms);
        return;
    }
    let scale = wave_height(features.len());
    let waves = frequencies.chunks_exact(terms.len());
    for (out, frequency) in features.chunks_exact_mut(2).zip(waves) {
        let (sin, cos) = libm::sincos(product(frequency, terms));
        out[0] = scale * cos;
        out[1] = scale * sin;
    }
}

/// Height of the waves of so many features: √(2/D).
fn wave_height(features: usize) -> f64 {
    (2.0 / features as f64).sqrt()
}

/// In four sums, which the compiler keeps side by side.
fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, rest_a) = a.as_chunks::<4>();
    let (b, rest_b) = b.as_chunks::<4>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums[0] + sums[1] + (sums[2] + sums[3]) + tail
}

impl SvmModel {
    pub(super) fn new(stored: Stored, frequencies: Vec<f64>) -> Self {
        SvmModel {
            stored,
            frequencies,
        }
    }

    pub(crate) fn design(&self) -> &Design {
        &self.stored.design
    }

    /// Signed distances from the boundary, in units of the margin, of the rows of a frame, whose
    /// columns are found by name; above 0 = leaves. Not log-odds: calibrate them.
    ///
    /// A term further than a million standard deviations from the mean counts as so far.
    ///
    /// # Errors
    /// `UnknownName` for a column that is missing; `InvalidParameter` for one of the other kind.
    pub fn margins(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        let bound = self.stored.design.bind(frame)?;
        let mut margins = vec![0.0; frame.rows()];
        let chunks = margins.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(c, margins)| {
            let mut terms = vec![0.0; self.stored.design.terms];
            for (i, margin) in margins.iter_mut().enumerate() {
                put_terms(&bound, c * CHUNK + i, &mut terms);
                *margin = self.margin_of_terms(&terms);
            }
        });
        Ok(margins)
    }

    /// The margin of one row of checked cells in the order of training, levels as their places;
    /// `terms` is scratch space.
    pub(crate) fn row_margin(&self, row: &[f64], terms: &mut Vec<f64>) -> f64 {
        terms.clear();
        terms.resize(self.stored.design.terms, 0.0);
        let design = &self.stored.design;
        design.row(row, |term, value| terms[term] = near(value));
        self.margin_of_terms(terms)
    }

    fn margin_of_terms(&self, terms: &[f64]) -> f64 {
        let weights = &self.stored.weights;
        if self.frequencies.is_empty() {
            // Waves of no terms at all say nothing.
            let sum = match self.stored.gamma {
                None => product(weights, terms),
                Some(_) => 0.0,
            };
            return self.stored.intercept + sum;
        }
        let waves = self.frequencies.chunks_exact(terms.len());
        let mut sum = 0.0;
        for (pair, frequency) in weights.chunks_exact(2).zip(waves) {
            let (sin, cos) = libm::sincos(product(frequency, terms));
            sum += pair[0] * cos + pair[1] * sin;
        }
        self.stored.intercept + wave_height(weights.len()) * sum
    }

    /// What each column adds to the margin of each row, against a row of mean terms.
    ///
    /// With a plane the weight times the distance from the mean; with the Gaussian kernel the
    /// integral of the slope along the straight way from the mean row to this one, which is exact
    /// here because the integral of a wave is known: the values of Aumann & Shapley (1974), called
    /// integrated gradients by Sundararajan, Taly & Yan (2017, ICML). Base and contributions add up
    /// to the margin.
    ///
    /// # Errors
    /// As [`margins`](Self::margins).
    pub fn contributions(&self, frame: &Frame<'_>) -> Result<Contributions> {
        let design = &self.stored.design;
        let bound = design.bind(frame)?;
        let inputs = design.input_of_terms();
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let (rows, columns) = (frame.rows(), names.len());
        let means = &self.stored.means;
        let at_means: Vec<f64> = match means.len() {
            0 => Vec::new(),
            terms => {
                let waves = self.frequencies.chunks_exact(terms);
                waves.map(|frequency| product(frequency, means)).collect()
            }
        };
        let mut cells = vec![0.0; rows * columns];
        let chunks = cells.par_chunks_mut(CHUNK * columns.max(1)).enumerate();
        chunks.for_each(|(c, cells)| {
            let mut steps = vec![0.0; means.len()];
            let mut slopes = vec![0.0; means.len()];
            for (i, cells) in cells.chunks_exact_mut(columns).enumerate() {
                put_terms(&bound, c * CHUNK + i, &mut steps);
                for (step, mean) in steps.iter_mut().zip(means) {
                    *step -= mean;
                }
                self.put_slopes(&steps, &at_means, &mut slopes);
                for ((step, slope), input) in steps.iter().zip(&slopes).zip(&inputs) {
                    cells[*input] += step * slope;
                }
            }
        });
        let mut values = Vec::with_capacity(cells.len());
        for column in 0..columns {
            values.extend(cells.iter().skip(column).step_by(columns));
        }
        Contributions::new(self.margin_of_terms(means), names, rows, values)
    }

    /// Mean slope of the margin along each term on the way from the means, by `steps`.
    fn put_slopes(&self, steps: &[f64], at_means: &[f64], slopes: &mut [f64]) {
        let weights = &self.stored.weights;
        if self.stored.gamma.is_none() {
            slopes.copy_from_slice(weights);
            return;
        }
        slopes.fill(0.0);
        if slopes.is_empty() {
            return;
        }
        let height = wave_height(weights.len());
        let waves = self.frequencies.chunks_exact(slopes.len());
        for ((pair, frequency), start) in weights.chunks_exact(2).zip(waves).zip(at_means) {
            // Mean of cos and sin over an angle that turns from `start` by twice `half`.
            let half = product(frequency, steps) / 2.0;
            let (sin, cos) = libm::sincos(start + half);
            let shrink = if half == 0.0 {
                1.0
            } else {
                libm::sin(half) / half
            };
            let rate = height * shrink * (pair[1] * cos - pair[0] * sin);
            for (slope, frequency) in slopes.iter_mut().zip(frequency) {
                *slope += rate * frequency;
            }
        }
    }

    /// Names of the columns of training, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        let inputs = self.stored.design.inputs.iter();
        inputs.map(|input| input.name.as_str())
    }

    /// Passes over the rows that were needed.
    pub fn passes(&self) -> usize {
        self.stored.passes
    }

    /// Gap between primal and dual at the solution, relative to the primal: the certificate.
    pub fn gap(&self) -> f64 {
        self.stored.gap
    }
}

impl From<SvmModel> for Stored {
    fn from(model: SvmModel) -> Self {
        model.stored
    }
}

impl TryFrom<Stored> for SvmModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let wrong = |expected: &str| Err(Error::invalid_parameter("model.svm", expected, "others"));
        stored.design.check()?;
        let (terms, width) = (stored.design.terms, stored.weights.len());
        let mut numbers = stored.weights.iter().chain(&stored.means);
        if !numbers.all(|v| v.abs() <= LARGEST) || stored.intercept.abs() > LARGEST {
            return wrong("finite weights");
        }
        let fits = match stored.gamma {
            None => width == terms,
            Some(gamma) => {
                gamma > 0.0 && gamma <= 1e9 && (2..=10_000).contains(&width) && width % 2 == 0
            }
        };
        if !fits || stored.means.len() != terms || !stored.intercept.is_finite() {
            return wrong("weights that fit the columns");
        }
        if stored.gamma.is_some() && terms.saturating_mul(width / 2) > MOST_FREQUENCIES {
            return wrong("at most 2^22 frequencies");
        }
        let frequencies = frequencies(stored.gamma, terms, width, stored.seed);
        Ok(SvmModel {
            frequencies,
            stored,
        })
    }
}
