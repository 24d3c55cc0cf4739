//! How long gaps are over their expected length: a decreasing curve through fixed shares.

use serde::{Deserialize, Serialize};

use super::{GROUPS, MODEL_GAPS};
use crate::error::{Error, Result};
use crate::math::incomplete_beta::{beta_tail, beta_tail_odds, ln_beta};

/// Shares of gaps that are longer, at which a curve is known; straight lines lie between.
pub(super) const LEVELS: [f64; 24] = [
    0.99, 0.975, 0.95, 0.90, 0.85, 0.80, 0.70, 0.60, 0.50, 0.40, 0.30, 0.25, 0.20, 0.15, 0.10,
    0.075, 0.05, 0.035, 0.025, 0.015, 0.01, 0.005, 0.0025, 0.001,
];
/// Places of the shares behind the two overdue features.
const P80: usize = 12;
const P95: usize = 16;

/// How many measured gaps weigh as much as the model.
const MODEL_WEIGHT: f64 = 30.0;
/// With fewer gaps at risk nothing is measured any more.
const LEAST_AT_RISK: usize = 20;
/// A shape outside has a spread that whole days cannot show.
const SHAPES: (f64, f64) = (0.01, 1e4);
/// More own gaps than this are as good as the truth.
const MOST_WEIGHT: f64 = 1e3;

/// The lengths of gaps over their expected length, of those who come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapCurve {
    /// Closed gaps that were measured; 0 = the model alone.
    pub gaps: u64,
    /// The relative lengths that 99, 97.5, 95, 90, 85, 80, 70, 60, 50, 40, 30, 25, 20, 15, 10, 7.5, 5,
    /// 3.5, 2.5, 1.5, 1, 0.5, 0.25 and 0.1 % of gaps exceed.
    pub quantiles: Vec<f64>,
    /// Behind the last of them the share falls with this power of the length; above 1.
    pub decay: f64,
}

impl GapCurve {
    pub(super) fn check(&self, group: usize) -> Result<()> {
        let what = format!("population.gaps.curves[{group}]");
        let ascending = self.quantiles.windows(2).all(|pair| pair[0] <= pair[1]);
        let inside = self.quantiles.iter().all(|q| (0.0..=1e15).contains(q));
        if self.quantiles.len() != LEVELS.len() || !ascending || !inside {
            return Err(Error::invalid_parameter(
                format!("{what}.quantiles"),
                format_args!("{} lengths from 0 to 1e15 that ascend", LEVELS.len()),
                format_args!("{:?}", self.quantiles),
            ));
        }
        if !(self.decay > 1.0 && self.decay <= 1e15) {
            let expected = "a number above 1, up to 1e15";
            return Err(Error::invalid_parameter(
                format!("{what}.decay"),
                expected,
                self.decay,
            ));
        }
        Ok(())
    }
}

/// A curve, ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    quantiles: Vec<f64>,
    decay: f64,
    /// Mean length, and the lengths that 20 % and 5 % exceed.
    pub(super) due: [f64; 3],
}

impl Curve {
    /// For a curve that was checked.
    pub(super) fn new(curve: GapCurve) -> Self {
        let GapCurve {
            quantiles, decay, ..
        } = curve;
        let (mut area, mut before, mut level_before) = (0.0, 0.0, 1.0);
        for (quantile, level) in quantiles.iter().zip(LEVELS) {
            area += 0.5 * (level_before + level) * (quantile - before);
            (before, level_before) = (*quantile, level);
        }
        area += level_before * before / (decay - 1.0);
        let at = |place: usize| quantiles.get(place).copied().unwrap_or(f64::NAN);
        Curve {
            due: [area, at(P80), at(P95)],
            quantiles,
            decay,
        }
    }

    /// The share of gaps at least as long as `r`.
    #[inline]
    pub(super) fn tail(&self, r: f64) -> f64 {
        let next = self.quantiles.partition_point(|quantile| *quantile < r);
        let (low, above) = match next {
            0 => (0.0, 1.0),
            _ => (self.quantiles[next - 1], LEVELS[next - 1]),
        };
        match self.quantiles.get(next) {
            // Where low and high are one, so is r.
            Some(high) if *high > low => {
                above + (LEVELS[next] - above) * ((r - low) / (high - low))
            }
            Some(_) => above,
            None => above * (low / r).powf(self.decay),
        }
    }
}

/// Gamma gaps of gamma distributed rates, after some gaps: a beta prime law.
struct Model {
    /// Known gaps and weight of the mean together.
    known: f64,
    a: f64,
    k: f64,
    ln_beta: f64,
}

impl Model {
    fn new(group: usize, weight: f64, relative_variance: f64) -> Self {
        let k = (1.0 / relative_variance).clamp(SHAPES.0, SHAPES.1);
        let known = MODEL_GAPS[group] + weight.min(MOST_WEIGHT);
        let a = 1.0 + known * k;
        Model {
            known,
            a,
            k,
            ln_beta: ln_beta(a, k),
        }
    }

    fn tail(&self, r: f64) -> f64 {
        beta_tail(self.a, self.k, r / self.known, self.ln_beta)
    }

    /// The length that this share exceeds, strictly between 0 and 1.
    fn quantile(&self, tail: f64) -> f64 {
        self.known * beta_tail_odds(self.a, self.k, tail)
    }
}

/// The curves of the model alone.
pub(super) fn base_curves(weight: f64, relative_variance: f64) -> Vec<GapCurve> {
    let curve = |group| Blend::new(&mut [], Model::new(group, weight, relative_variance)).curve();
    (0..GROUPS).map(curve).collect()
}

/// The curve of a group from the relative lengths of its gaps, which are reordered.
pub(super) fn fit_curve(
    group: usize,
    gaps: &mut [Spell],
    weight: f64,
    relative_variance: f64,
) -> GapCurve {
    Blend::new(gaps, Model::new(group, weight, relative_variance)).curve()
}

/// A gap over its expected length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spell {
    pub(super) length: f64,
    /// Whether a purchase ended it; otherwise it is still open.
    pub(super) closed: bool,
}

/// What was measured, and the model.
struct Blend {
    model: Model,
    /// Lengths of closed gaps that differ, ascending, and the share of those who come back whose
    /// gaps are longer.
    steps: Vec<(f64, f64)>,
    measured: f64,
    /// The share of gaps beyond all of them, and how much of the model's share that is.
    beyond: f64,
    scale: f64,
}

impl Blend {
    fn new(spells: &mut [Spell], model: Model) -> Self {
        // Closed gaps come first among equals: whoever is open at a length is at risk there.
        spells.sort_unstable_by(|a, b| {
            let lengths = a.length.total_cmp(&b.length);
            lengths.then(b.closed.cmp(&a.closed))
        });
        let (mut steps, mut measured) = (Vec::new(), 0);
        let mut survival = 1.0;
        let mut at = 0;
        while spells.len() - at >= LEAST_AT_RISK {
            let length = spells[at].length;
            let same = spells[at..].partition_point(|spell| spell.length == length);
            let closed = spells[at..at + same].partition_point(|spell| spell.closed);
            if closed > 0 {
                survival *= 1.0 - closed as f64 / (spells.len() - at) as f64;
                measured += closed;
                steps.push((length, survival));
            }
            at += same;
        }
        let left = survival;
        for (_, share) in &mut steps {
            *share = if left < 1.0 {
                (*share - left) / (1.0 - left)
            } else {
                0.0
            };
        }
        let end = steps.last().map_or(0.0, |step| step.0);
        // No more can come back later than are left.
        let model_beyond = model.tail(end);
        let beyond = model_beyond.min(left);
        Blend {
            beyond,
            scale: if beyond > 0.0 {
                beyond / model_beyond
            } else {
                0.0
            },
            model,
            steps,
            measured: measured as f64,
        }
    }

    /// The share of gaps longer than `r`, where the measured share is `share`.
    fn tail(&self, r: f64, share: f64) -> f64 {
        let measured = self.beyond + (1.0 - self.beyond) * share;
        (self.measured * measured + MODEL_WEIGHT * self.model.tail(r))
            / (self.measured + MODEL_WEIGHT)
    }

    /// The smallest length that at most this share of gaps exceeds.
    fn quantile(&self, level: f64) -> f64 {
        // The first step at which the share is that low.
        let next = self
            .steps
            .partition_point(|(length, share)| self.tail(*length, *share) > level);
        let Some((end, _)) = self.steps.get(next) else {
            let scale = self.measured * self.scale + MODEL_WEIGHT;
            let model = level * (self.measured + MODEL_WEIGHT) / scale;
            return self.model.quantile(model.min(1.0 - 1e-12));
        };
        let (start, share) = match next {
            0 => (0.0, 1.0),
            _ => self.steps[next - 1],
        };
        // Before the step only the model falls.
        if self.tail(*end, share) > level {
            return *end;
        }
        let measured = self.beyond + (1.0 - self.beyond) * share;
        let model = level + (level - measured) * self.measured / MODEL_WEIGHT;
        self.model
            .quantile(model.clamp(1e-12, 1.0 - 1e-12))
            .clamp(start, *end)
    }

    fn curve(&self) -> GapCurve {
        // Rounding must not let the lengths fall.
        let mut last = 0.0_f64;
        let quantiles = LEVELS.map(|level| {
            last = last.max(self.quantile(level));
            last
        });
        GapCurve {
            gaps: self.measured as u64,
            quantiles: quantiles.to_vec(),
            decay: self.model.a,
        }
    }
}
