//! First and second derivatives of the loss, in whole numbers.
//!
//! Every derivative is a multiple of one small unit, so that sums do not depend on their order: the
//! same trees whatever the number of threads and the order of rows. Two resolutions are used. Per
//! row, both derivatives have 30 bits. For histograms they are packed into one word of 64 bits (the
//! gradient above, the hessian below) with as many bits as their sum over all rows leaves; only the
//! choice of splits sees that rounding, leaf values come from the fine sums.

use rayon::prelude::*;

use super::Objective;
use crate::math::sum::FixedSum;

/// Rows that one task differentiates.
const CHUNK: usize = 1 << 14;
/// Rows that share a loop over plain arrays.
const LANES: usize = 64;
/// Bits of one derivative of one row.
const FINE: u32 = 30;

/// What is learned: outcomes with their weights, weights relative to the largest.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) objective: Objective,
    /// 0 and 1, or distances from the mean relative to the largest.
    pub(crate) values: Vec<f32>,
    /// None where all are 1.
    pub(crate) weights: Option<Vec<f32>>,
    /// What a relative weight of 1 stands for.
    pub(crate) heaviest: f64,
}

/// Gradient (above, signed) and hessian (below) of each row.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) fine: Vec<u64>,
    /// What a step of the fine gradient is worth; likewise the hessian.
    pub(crate) gradient_unit: f64,
    pub(crate) hessian_unit: f64,
    pub(crate) coarse: Coarse,
    /// Sums over the rows that are grown on.
    pub(crate) total: FineSum,
}

/// How fine derivatives are rounded for histograms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Coarse {
    pub(crate) gradient_shift: u32,
    pub(crate) hessian_shift: u32,
}

/// Exact sum of fine derivatives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FineSum {
    pub(crate) gradient: i64,
    pub(crate) hessian: i64,
}

impl Gradients {
    pub(crate) fn new(rows: usize) -> Self {
        Gradients {
            fine: vec![0; rows],
            gradient_unit: 1.0,
            hessian_unit: 1.0,
            coarse: Coarse::default(),
            total: FineSum::default(),
        }
    }
}

impl FineSum {
    #[inline]
    pub(crate) fn add(&mut self, fine: u64) {
        self.gradient += gradient_of(fine);
        self.hessian += i64::from(fine as u32);
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        FineSum {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        FineSum {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
        }
    }
}

/// The upper half of a packed word, signed.
#[inline]
pub(crate) fn gradient_of(word: u64) -> i64 {
    word as i64 >> 32
}

impl Coarse {
    /// The least rounding such that sums over these rows fit 32 bits.
    fn fitting(rows: usize, gradients: u64, hessians: u64) -> Self {
        // Rounding to nearest adds at most half a step per row.
        let room = (1_u64 << 31) - 1 - rows as u64 / 2 - 1;
        let shift = |sum: u64| (0..FINE).find(|s| sum >> s < room).unwrap_or(FINE);
        Coarse {
            gradient_shift: shift(gradients),
            hessian_shift: shift(hessians),
        }
    }

    /// The word that histograms add up.
    #[inline]
    pub(crate) fn pack(self, fine: u64) -> u64 {
        let round = |v: i32, shift: u32| (v + ((1 << shift) >> 1)) >> shift;
        let gradient = round((fine >> 32) as i32, self.gradient_shift);
        let hessian = round(fine as i32, self.hessian_shift);
        (gradient as u32 as u64) << 32 | hessian as u32 as u64
    }
}

impl Target {
    /// Derivatives at these margins. With `grown_on`, the sums are over those rows only.
    pub(crate) fn derive(
        &self,
        margins: &[f64],
        grown_on: Option<&[u32]>,
        gradients: &mut Gradients,
    ) {
        let one = f64::from(1_u32 << FINE);
        let bound = match self.objective {
            Objective::Logistic => 1.0,
            Objective::SquaredError => self.largest_residual(margins),
        };
        let hessian_bound = match self.objective {
            Objective::Logistic => 0.25,
            Objective::SquaredError => 1.0,
        };
        gradients.gradient_unit = bound * self.heaviest / one;
        gradients.hessian_unit = hessian_bound * self.heaviest / one;
        let gradient_scale = one / bound;
        let hessian_scale = one / hessian_bound;
        let none = (FineSum::default(), 0_u64);
        let merge = |a: (FineSum, u64), b: (FineSum, u64)| (a.0.plus(b.0), a.1 + b.1);
        let chunks = gradients.fine.par_chunks_mut(CHUNK).enumerate();
        let all = chunks.map(|(c, fine)| {
            let start = c * CHUNK;
            let end = start + fine.len();
            let weights = self.weights.as_ref().map(|w| &w[start..end]);
            let values = &self.values[start..end];
            let margins = &margins[start..end];
            let mut sum = none;
            for at in (0..fine.len()).step_by(LANES) {
                let end = fine.len().min(at + LANES);
                let mut lanes = Lanes::default();
                lanes.load(&margins[at..end], &values[at..end]);
                match self.objective {
                    Objective::Logistic => lanes.logistic(),
                    Objective::SquaredError => lanes.squared(),
                }
                if let Some(weights) = weights {
                    lanes.weigh(&weights[at..end]);
                }
                let part = lanes.store(gradient_scale, hessian_scale, &mut fine[at..end]);
                sum = merge(sum, part);
            }
            sum
        });
        let mut sum = all.reduce(|| none, merge);
        let mut rows = margins.len();
        if let Some(grown_on) = grown_on {
            let fine = &gradients.fine;
            let chunks = grown_on.par_chunks(CHUNK);
            let part = chunks.map(|chunk| {
                let mut sum = none;
                for &row in chunk {
                    let word = fine[row as usize];
                    sum.0.add(word);
                    sum.1 += gradient_of(word).unsigned_abs();
                }
                sum
            });
            sum = part.reduce(|| none, merge);
            rows = grown_on.len();
        }
        gradients.total = sum.0;
        gradients.coarse = Coarse::fitting(rows, sum.1, sum.0.hessian as u64);
    }

    fn largest_residual(&self, margins: &[f64]) -> f64 {
        let residuals = margins.par_iter().zip(&self.values);
        let largest = residuals
            .map(|(margin, value)| (margin - f64::from(*value)).abs())
            .reduce(|| 0.0, f64::max);
        // Everything learned already: any unit will do.
        if largest > 0.0 { largest } else { 1.0 }
    }

    /// Loss per unit of weight of other margins, in fixed point.
    pub(crate) fn loss(&self, margins: &[f64]) -> f64 {
        type Sum = FixedSum<15>;
        let none = || (Sum::default(), Sum::default());
        let merge = |mut a: (Sum, Sum), b: (Sum, Sum)| {
            a.0.merge(b.0);
            a.1.merge(b.1);
            a
        };
        let chunks = margins.par_chunks(CHUNK).enumerate();
        let (loss, weight) = chunks
            .map(|(c, margins)| {
                let mut sums = none();
                for (i, &margin) in margins.iter().enumerate() {
                    let i = c * CHUNK + i;
                    let value = f64::from(self.values[i]);
                    let w = self.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
                    let loss = match self.objective {
                        // −ln of the probability given to what happened.
                        Objective::Logistic => {
                            let against = if value > 0.5 { -margin } else { margin };
                            against.max(0.0) + libm::log1p(libm::exp(-against.abs()))
                        }
                        Objective::SquaredError => (margin - value).powi(2),
                    };
                    sums.0.add(w * loss);
                    sums.1.add(w);
                }
                sums
            })
            .reduce(none, merge);
        loss.value() / weight.value()
    }
}

/// Some rows as plain arrays, which the compiler turns into vector instructions.
struct Lanes {
    margins: [f32; LANES],
    values: [f32; LANES],
    gradients: [f32; LANES],
    hessians: [f32; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        Lanes {
            margins: [0.0; LANES],
            values: [0.0; LANES],
            gradients: [0.0; LANES],
            hessians: [0.0; LANES],
        }
    }
}

impl Lanes {
    #[inline]
    fn load(&mut self, margins: &[f64], values: &[f32]) {
        for (lane, margin) in self.margins.iter_mut().zip(margins) {
            *lane = *margin as f32;
        }
        self.values[..values.len()].copy_from_slice(values);
    }

    /// Gradient p − y and hessian p (1 − p), through the probability of what did not happen, which
    /// keeps its digits where the model is sure.
    #[inline]
    fn logistic(&mut self) {
        for i in 0..LANES {
            let sign = 1.0 - 2.0 * self.values[i];
            let wrong = 1.0 / (1.0 + exp(-sign * self.margins[i]));
            self.gradients[i] = sign * wrong;
            self.hessians[i] = wrong * (1.0 - wrong);
        }
    }

    #[inline]
    fn squared(&mut self) {
        for i in 0..LANES {
            self.gradients[i] = self.margins[i] - self.values[i];
            self.hessians[i] = 1.0;
        }
    }

    #[inline]
    fn weigh(&mut self, weights: &[f32]) {
        for (i, weight) in weights.iter().enumerate() {
            self.gradients[i] *= weight;
            self.hessians[i] *= weight;
        }
    }

    /// Rounds to whole steps and gives their sums, the third that of absolute gradients.
    ///
    /// Adding 1.5 · 2⁵² puts a whole number into the low bits of a float: rounding without a
    /// conversion, and bits that add up like the numbers.
    #[inline]
    fn store(&self, gradient_scale: f64, hessian_scale: f64, out: &mut [u64]) -> (FineSum, u64) {
        const SHIFT: f64 = 6_755_399_441_055_744.0;
        const LOW: u64 = 0xffff_ffff;
        let bits = |v: f64| (v + SHIFT).to_bits();
        let (mut gradients, mut hessians, mut sizes) = (0_u64, 0_u64, 0_u64);
        for (i, out) in out.iter_mut().enumerate() {
            let gradient = f64::from(self.gradients[i]) * gradient_scale;
            let hessian = bits(f64::from(self.hessians[i]) * hessian_scale);
            let size = bits(gradient.abs());
            let gradient = bits(gradient);
            *out = gradient << 32 | (hessian & LOW);
            gradients = gradients.wrapping_add(gradient);
            hessians = hessians.wrapping_add(hessian);
            sizes = sizes.wrapping_add(size);
        }
        let shifts = SHIFT.to_bits().wrapping_mul(out.len() as u64);
        let sum = FineSum {
            gradient: gradients.wrapping_sub(shifts) as i64,
            hessian: hessians.wrapping_sub(shifts) as i64,
        };
        (sum, sizes.wrapping_sub(shifts))
    }
}

/// e^x to a relative error of 2e-7, in operations that vectorise and are the same on every
/// machine: x = n ln 2 + r, |r| ≤ ln 2 / 2, with the Taylor polynomial of e^r.
#[inline]
fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 · 2²³ rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n · ln 2 is exact enough.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    let power = (shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127))
        << 23;
    p * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close() {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let exact = libm::exp(f64::from(x));
            let relative = (f64::from(exp(x)) / exact - 1.0).abs();
            assert!(relative < 3e-7, "{x}: {relative}");
        }
    }

    #[test]
    fn packed_sums_fit_and_are_close() {
        let rows = 100_000;
        let target = Target {
            objective: Objective::Logistic,
            values: (0..rows).map(|i| f32::from(u8::from(i % 5 == 0))).collect(),
            weights: None,
            heaviest: 1.0,
        };
        let margins: Vec<f64> = (0..rows).map(|i| (i % 100) as f64 / 10.0 - 5.0).collect();
        let mut gradients = Gradients::new(rows);
        target.derive(&margins, None, &mut gradients);
        let packed: Vec<u64> = gradients
            .fine
            .iter()
            .map(|w| gradients.coarse.pack(*w))
            .collect();
        let sum = packed.iter().fold(0_u64, |a, b| a.wrapping_add(*b));
        let gradient = gradient_of(sum) as f64
            * gradients.gradient_unit
            * f64::from(1_u32 << gradients.coarse.gradient_shift);
        let hessian = f64::from(sum as u32)
            * gradients.hessian_unit
            * f64::from(1_u32 << gradients.coarse.hessian_shift);
        let (mut g, mut h) = (0.0, 0.0);
        for (margin, value) in margins.iter().zip(&target.values) {
            let p = 1.0 / (1.0 + (-margin).exp());
            g += p - f64::from(*value);
            h += p * (1.0 - p);
        }
        assert!((gradient - g).abs() < 1.0, "{gradient} {g}");
        assert!((hessian - h).abs() < 1.0, "{hessian} {h}");
        let fine = gradients.total.gradient as f64 * gradients.gradient_unit;
        assert!((fine - g).abs() < 1e-2, "{fine} {g}");
    }
}
