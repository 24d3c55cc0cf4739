//! The partial likelihood with its gradient and information, in one sweep over time and one
//! weighted Gram matrix.
//!
//! With A(t) the cumulative sum over ends of 1 / (sum over the risk set), row i has the weight
//! wᵢ = exp(ηᵢ) (A(stopᵢ) − A(startᵢ)), less its tied share under Efron. Then
//!
//! ```text
//! gradient    = Σ (eventᵢ − wᵢ) zᵢ
//! information = Σ wᵢ zᵢ zᵢᵀ − Σ over ends of m mᵀ       m: mean covariates of the risk set
//! ```
//!
//! so the sums over risk sets need first moments only, and the second moments run in parallel.

use rayon::prelude::*;

use super::super::durations::Durations;
use super::super::regression::{CHUNK, Design, canonical_order};
use super::{Baseline, PLACE, Ties};
use crate::error::{Error, Result};
use crate::scoring::learned::Frame;

/// A running sum that has shrunk to this share of its peak has lost too many digits.
const WORN: f64 = 1e-7;

/// Spells in the order of (stratum, stop, event, start, covariates): the same order for any order
/// of the input, so that sums have the same bits.
#[derive(Debug)]
pub(super) struct Likelihood {
    design: Design,
    ties: Ties,
    start: Vec<f64>,
    stop: Vec<f64>,
    event: Vec<bool>,
    /// Whether any row enters late.
    late: bool,
    strata: Vec<Stratum>,
}

#[derive(Debug)]
struct Stratum {
    name: u32,
    from: usize,
    to: usize,
    /// Rows by falling start, if any enters late.
    by_start: Vec<usize>,
}

/// The value of the likelihood at one place.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) log_likelihood: f64,
    pub(super) gradient: Vec<f64>,
    /// Row-major, both triangles.
    pub(super) information: Vec<f64>,
}

/// Sums over the risk set.
struct RiskSet<'l> {
    likelihood: &'l Likelihood,
    exp_eta: &'l [f64],
    s0: f64,
    s1: Vec<f64>,
    peak: f64,
}

impl Likelihood {
    pub(super) fn new(
        durations: &Durations<'_>,
        frame: &Frame<'_>,
        strata: Option<&[u32]>,
        ties: Ties,
    ) -> Result<Self> {
        let n = durations.len();
        let (stop, event) = (durations.durations(), durations.event_observed());
        let stratum = |row: usize| strata.map_or(0, |strata| strata[row]);
        let order = canonical_order(durations, Some(frame), strata);
        let design = Design::new(PLACE, frame, &order)?;
        let mut this = Likelihood {
            design,
            ties,
            start: order.iter().map(|row| durations.start(*row)).collect(),
            stop: order.iter().map(|row| stop[*row]).collect(),
            event: order.iter().map(|row| event[*row]).collect(),
            late: durations.entry().is_some(),
            strata: Vec::new(),
        };
        let mut from = 0;
        while from < n {
            let name = stratum(order[from]);
            let to = from + order[from..].partition_point(|row| stratum(*row) <= name);
            let mut by_start: Vec<usize> = Vec::new();
            if this.late {
                by_start.extend(from..to);
                by_start.sort_by(|a, b| this.start[*b].total_cmp(&this.start[*a]));
            }
            this.strata.push(Stratum {
                name,
                from,
                to,
                by_start,
            });
            from = to;
        }
        if this
            .strata
            .iter()
            .all(|s| this.stop[s.from] == this.stop[s.to - 1])
        {
            return Err(Error::not_enough_data(
                "durations",
                "durations that differ: the model reads their order",
                format_args!("{} in every row", this.stop[0]),
            ));
        }
        Ok(this)
    }

    pub(super) fn design(&self) -> &Design {
        &self.design
    }

    pub(super) fn rows(&self) -> usize {
        self.stop.len()
    }

    pub(super) fn check_independent(&self, place: &str) -> Result<()> {
        let blocks: Vec<usize> = self.strata.iter().map(|s| s.to).collect();
        self.design.check_independent(place, &blocks)
    }

    fn row(&self, i: usize) -> &[f64] {
        let p = self.design.width();
        &self.design.matrix[i * p..(i + 1) * p]
    }

    /// Linear predictors, and their exponentials relative to the largest.
    fn predictors(&self, beta: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let p = self.design.width();
        let mut eta = vec![0.0; self.rows()];
        eta.par_chunks_mut(CHUNK)
            .zip(self.design.matrix.par_chunks(CHUNK * p))
            .for_each(|(eta, rows)| {
                for (eta, z) in eta.iter_mut().zip(rows.chunks_exact(p)) {
                    *eta = z.iter().zip(beta).map(|(z, b)| z * b).sum();
                }
            });
        let largest = eta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut exp_eta = vec![0.0; eta.len()];
        exp_eta
            .par_chunks_mut(CHUNK)
            .zip(eta.par_chunks(CHUNK))
            .for_each(|(out, eta)| {
                for (out, eta) in out.iter_mut().zip(eta) {
                    *out = (eta - largest).exp();
                }
            });
        (eta, exp_eta, largest)
    }

    /// The likelihood at `beta`, or `None` where it leaves what numbers can hold.
    pub(super) fn at(&self, beta: &[f64]) -> Option<Value> {
        let p = self.design.width();
        let (eta, exp_eta, largest) = self.predictors(beta);
        if !largest.is_finite() {
            return None;
        }
        let mut log_likelihood = 0.0;
        let mut outer = vec![0.0; p * p];
        let mut weights = vec![0.0; self.rows()];
        for stratum in &self.strata {
            let mut moments = Moments::new(p);
            self.sweep(stratum, &exp_eta, &mut |time| {
                moments.time(self, &eta, &exp_eta, time, largest);
            });
            log_likelihood += moments.log_likelihood;
            for (sum, part) in outer.iter_mut().zip(&moments.outer) {
                *sum += part;
            }
            self.weigh(stratum, &exp_eta, &moments, &mut weights);
        }
        let (gradient, mut information) = self.gram(&weights);
        for j in 0..p {
            for k in 0..=j {
                let entry = information[j * p + k] - outer[j * p + k];
                information[j * p + k] = entry;
                information[k * p + j] = entry;
            }
        }
        let finite = log_likelihood.is_finite()
            && gradient.iter().all(|g| g.is_finite())
            && information.iter().all(|i| i.is_finite());
        finite.then_some(Value {
            log_likelihood,
            gradient,
            information,
        })
    }

    /// Walks the event times of a stratum from late to early, with the sums over the risk set.
    fn sweep(&self, stratum: &Stratum, exp_eta: &[f64], visit: &mut dyn FnMut(&RiskTime<'_>)) {
        let mut risk = RiskSet {
            likelihood: self,
            exp_eta,
            s0: 0.0,
            s1: vec![0.0; self.design.width()],
            peak: 0.0,
        };
        let mut left = 0;
        let mut to = stratum.to;
        while to > stratum.from {
            let t = self.stop[to - 1];
            let mut from = to;
            let mut first_event = to;
            while from > stratum.from && self.stop[from - 1] == t {
                from -= 1;
                risk.add(from);
                // Within a time, ends stand behind the others.
                if self.event[from] {
                    first_event = from;
                }
            }
            while left < stratum.by_start.len() && self.start[stratum.by_start[left]] >= t {
                risk.remove(stratum.by_start[left]);
                left += 1;
            }
            if first_event < to {
                risk.refresh(from, stratum.to, t);
                visit(&RiskTime {
                    from,
                    first_event,
                    to,
                    s0: risk.s0,
                    s1: &risk.s1,
                });
            }
            to = from;
        }
    }

    /// Weight of each row of a stratum, from what [`Moments`] gathered (latest time first).
    fn weigh(&self, stratum: &Stratum, exp_eta: &[f64], moments: &Moments, weights: &mut [f64]) {
        // Cumulative sums in order of time.
        let mut cumulative = Vec::with_capacity(moments.times.len() + 1);
        let mut total = 0.0;
        cumulative.push(0.0);
        for time in moments.times.iter().rev() {
            total += time.all;
            cumulative.push(total);
        }
        let times: Vec<f64> = moments.times.iter().rev().map(|time| time.at).collect();
        let mut before = 0;
        for i in stratum.from..stratum.to {
            // Number of event times up to the row's stop: rows ascend by stop.
            while before < times.len() && times[before] <= self.stop[i] {
                before += 1;
            }
            let mut sum = cumulative[before];
            if self.late {
                sum -= cumulative[times.partition_point(|t| *t <= self.start[i])];
            }
            if self.event[i] {
                sum -= moments.times[times.len() - before].tied;
            }
            weights[i] = exp_eta[i] * sum;
        }
    }

    /// Σ (event − w) z and the lower triangle of Σ w z zᵀ.
    fn gram(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let p = self.design.width();
        let chunks: Vec<(Vec<f64>, Vec<f64>)> = weights
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, weights)| {
                let (mut gradient, mut gram) = (vec![0.0; p], vec![0.0; p * p]);
                for (k, w) in weights.iter().enumerate() {
                    let i = chunk * CHUNK + k;
                    let z = self.row(i);
                    let residual = f64::from(u8::from(self.event[i])) - w;
                    for a in 0..p {
                        gradient[a] += residual * z[a];
                        let wa = w * z[a];
                        for (sum, zb) in gram[a * p..=a * p + a].iter_mut().zip(z) {
                            *sum += wa * zb;
                        }
                    }
                }
                (gradient, gram)
            })
            .collect();
        let (mut gradient, mut gram) = (vec![0.0; p], vec![0.0; p * p]);
        for (g, m) in &chunks {
            for (sum, part) in gradient.iter_mut().zip(g) {
                *sum += part;
            }
            for (sum, part) in gram.iter_mut().zip(m) {
                *sum += part;
            }
        }
        (gradient, gram)
    }

    /// Breslow's cumulative baseline hazard of each stratum.
    pub(super) fn baselines(&self, beta: &[f64]) -> Vec<Baseline> {
        let (_, exp_eta, largest) = self.predictors(beta);
        let scale = (-largest).exp();
        let of = |stratum: &Stratum| {
            let mut steps = Vec::new();
            self.sweep(stratum, &exp_eta, &mut |time| {
                let events = (time.to - time.first_event) as f64;
                steps.push((self.stop[time.from], events / time.s0 * scale));
            });
            let mut total = 0.0;
            let (times, hazard) = steps
                .iter()
                .rev()
                .map(|(t, step)| {
                    total += step;
                    (*t, total)
                })
                .unzip();
            Baseline {
                stratum: stratum.name,
                times,
                hazard,
            }
        };
        self.strata.iter().map(of).collect()
    }
}

/// One event time: rows `from..to` stop there, of which `first_event..to` ended.
struct RiskTime<'s> {
    from: usize,
    first_event: usize,
    to: usize,
    s0: f64,
    s1: &'s [f64],
}

impl RiskSet<'_> {
    fn add(&mut self, i: usize) {
        let e = self.exp_eta[i];
        self.s0 += e;
        for (sum, z) in self.s1.iter_mut().zip(self.likelihood.row(i)) {
            *sum += e * z;
        }
        self.peak = self.peak.max(self.s0);
    }

    fn remove(&mut self, i: usize) {
        let e = self.exp_eta[i];
        self.s0 -= e;
        for (sum, z) in self.s1.iter_mut().zip(self.likelihood.row(i)) {
            *sum -= e * z;
        }
    }

    /// Sums anew where taking away has left mostly rounding.
    fn refresh(&mut self, from: usize, to: usize, t: f64) {
        if self.s0 > WORN * self.peak {
            return;
        }
        self.s0 = 0.0;
        self.s1.fill(0.0);
        self.peak = 0.0;
        for i in from..to {
            if self.likelihood.start[i] < t {
                self.add(i);
            }
        }
    }
}

/// What one stratum's sweep gathers.
struct Moments {
    log_likelihood: f64,
    /// Lower triangle of the sum over ends of m mᵀ.
    outer: Vec<f64>,
    times: Vec<TimeWeight>,
    d1: Vec<f64>,
    mean: Vec<f64>,
}

/// Share of each row's exp(η) that one event time takes.
struct TimeWeight {
    at: f64,
    all: f64,
    /// Of which the ends at this very time are spared.
    tied: f64,
}

impl Moments {
    fn new(p: usize) -> Self {
        Moments {
            log_likelihood: 0.0,
            outer: vec![0.0; p * p],
            times: Vec::new(),
            d1: vec![0.0; p],
            mean: vec![0.0; p],
        }
    }

    fn time(
        &mut self,
        likelihood: &Likelihood,
        eta: &[f64],
        exp_eta: &[f64],
        time: &RiskTime<'_>,
        largest: f64,
    ) {
        let events = time.to - time.first_event;
        let d = events as f64;
        let mut d0 = 0.0;
        self.d1.fill(0.0);
        for i in time.first_event..time.to {
            self.log_likelihood += eta[i] - largest;
            if likelihood.ties == Ties::Efron && events > 1 {
                d0 += exp_eta[i];
                for (sum, z) in self.d1.iter_mut().zip(likelihood.row(i)) {
                    *sum += exp_eta[i] * z;
                }
            }
        }
        let mut weight = TimeWeight {
            at: likelihood.stop[time.from],
            all: 0.0,
            tied: 0.0,
        };
        if likelihood.ties == Ties::Efron && events > 1 {
            for l in 0..events {
                let gone = l as f64 / d;
                self.end(time, gone, d0, 1.0, &mut weight);
            }
        } else {
            self.end(time, 0.0, 0.0, d, &mut weight);
        }
        self.times.push(weight);
    }

    /// `count` ends among the risk set less the share `gone` of those who end at this time.
    fn end(
        &mut self,
        time: &RiskTime<'_>,
        gone: f64,
        d0: f64,
        count: f64,
        weight: &mut TimeWeight,
    ) {
        let s0 = time.s0 - gone * d0;
        self.log_likelihood -= count * s0.ln();
        weight.all += count / s0;
        weight.tied += gone * count / s0;
        let p = self.mean.len();
        for j in 0..p {
            self.mean[j] = (time.s1[j] - gone * self.d1[j]) / s0;
            let scaled = count * self.mean[j];
            for k in 0..=j {
                self.outer[j * p + k] += scaled * self.mean[k];
            }
        }
    }
}
