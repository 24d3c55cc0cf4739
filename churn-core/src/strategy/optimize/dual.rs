//! The dual: prices for what the constraints limit, found by Newton's method on a smoothed dual.
//!
//! With prices λ ≥ 0 the Lagrangian dual L(λ) = λ·b + Σᵢ maxₑ (gain(e) − λ·use(e))⁺ is an upper
//! bound on every plan (Fisher 1981, Management Science 27(1)). L has kinks, so its maximum is
//! replaced by μ ln Σ exp(·/μ) (Nesterov 2005, Mathematical Programming 103), which has a gradient
//! and a Hessian that one pass over the rows gives exactly; projected Newton steps (Bertsekas
//! 1982, SIAM J. Control 20(2)) find its minimum, and μ is brought down in stages. Along the way
//! every point is evaluated on the true L, so the bound never rests on the smoothing.
//!
//! At the minimum the weights exp(·/μ)/Σ are shares of each row that satisfy the constraints
//! together: what rounding starts from, also where thousands of rows are worth the same.

use rayon::prelude::*;

use super::problem::{CHUNK, NO_ENTRY, Problem};
use crate::error::Result;
use crate::math::linalg::Cholesky;
use crate::progress::Step;

/// Entries further below the best than so many μ have no weight that matters (e⁻³⁶ ≈ 2·10⁻¹⁶).
const REACH: f64 = 36.0;
/// Newton steps at one μ.
const STEPS: usize = 40;
/// How far a step may move reduced values, in μ.
const STRIDE: f64 = 12.0;
/// By how much μ shrinks from stage to stage.
const SHRINK: f64 = 0.25;

/// Everything that one pass over the rows finds out at given prices.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    /// The smoothed dual.
    pub(crate) smooth: f64,
    /// The true dual: an upper bound on every plan.
    pub(crate) bound: f64,
    /// Worth of the shares.
    pub(crate) gain: f64,
    /// Limits minus what the shares use: the gradient.
    pub(crate) slack: Vec<f64>,
    /// Second derivatives, row-major.
    hessian: Vec<f64>,
}

/// Sums over the rows of one chunk.
struct Partial {
    smooth: f64,
    best: f64,
    gain: f64,
    cost: f64,
    kinds: Vec<f64>,
    classes: Vec<f64>,
    hessian: Vec<f64>,
}

/// What to maximise: gains, or nothing at all, which asks whether any plan exists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    Gain,
    Existence,
}

impl Goal {
    fn weight(self) -> f64 {
        match self {
            Goal::Gain => 1.0,
            Goal::Existence => 0.0,
        }
    }
}

/// One pass over all rows at the prices `duals`.
pub(crate) fn evaluate(problem: &Problem, duals: &[f64], mu: f64, goal: Goal) -> Evaluation {
    let m = problem.limits.len();
    let prices = problem.prices(duals);
    let weight = goal.weight();
    let chunk = |chunk: usize| {
        let mut sums = Partial {
            smooth: 0.0,
            best: 0.0,
            gain: 0.0,
            cost: 0.0,
            kinds: vec![0.0; problem.kind_uses.len()],
            classes: vec![0.0; problem.class_uses.len()],
            hessian: vec![0.0; m * m],
        };
        let mut values: Vec<f64> = Vec::new();
        let mut mean = vec![0.0; m];
        let mut uses = vec![0.0; m];
        let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows());
        for row in rows {
            let entries = problem.entries(row);
            let first = entries.start;
            let class = problem.classes[row] as usize;
            values.clear();
            let mut top = 0.0_f64;
            let mut top_entry = NO_ENTRY;
            for e in entries {
                let value = weight * problem.gains[e]
                    - prices.budget * problem.costs[e]
                    - prices.kinds[usize::from(problem.kinds[e])]
                    - prices.classes[class];
                if value > top {
                    top = value;
                    top_entry = e as u32;
                }
                values.push(value);
            }
            sums.best += top;
            let floor = top - REACH * mu;
            let near = values.iter().filter(|value| **value > floor).count();
            let none = top < REACH * mu;
            if near + usize::from(none) == 1 {
                // The usual case: one choice is far ahead of all others.
                sums.smooth += top;
                if top_entry != NO_ENTRY {
                    let e = top_entry as usize;
                    sums.gain += weight * problem.gains[e];
                    sums.cost += problem.costs[e];
                    sums.kinds[usize::from(problem.kinds[e])] += 1.0;
                    sums.classes[class] += 1.0;
                }
                continue;
            }
            let mut total = if none { libm::exp(-top / mu) } else { 0.0 };
            for value in values.iter_mut() {
                *value = if *value > floor {
                    libm::exp((*value - top) / mu)
                } else {
                    0.0
                };
                total += *value;
            }
            sums.smooth += top + mu * libm::log(total);
            mean.fill(0.0);
            for (i, share) in values.iter().enumerate() {
                if *share == 0.0 {
                    continue;
                }
                let share = share / total;
                let e = first + i;
                sums.gain += weight * share * problem.gains[e];
                sums.cost += share * problem.costs[e];
                sums.kinds[usize::from(problem.kinds[e])] += share;
                sums.classes[class] += share;
                uses.fill(0.0);
                problem.add_uses(row, e as u32, 1.0, &mut uses);
                for a in 0..m {
                    if uses[a] == 0.0 {
                        continue;
                    }
                    mean[a] += share * uses[a];
                    for b in 0..=a {
                        sums.hessian[a * m + b] += share * uses[a] * uses[b];
                    }
                }
            }
            for a in 0..m {
                for b in 0..=a {
                    sums.hessian[a * m + b] -= mean[a] * mean[b];
                }
            }
        }
        sums
    };
    let chunks = problem.rows().div_ceil(CHUNK);
    let partial: Vec<Partial> = (0..chunks).into_par_iter().map(chunk).collect();

    let mut kinds = vec![0.0; problem.kind_uses.len()];
    let mut classes = vec![0.0; problem.class_uses.len()];
    let mut hessian = vec![0.0; m * m];
    let (mut smooth, mut best, mut gain, mut cost) = (0.0, 0.0, 0.0, 0.0);
    for part in &partial {
        smooth += part.smooth;
        best += part.best;
        gain += part.gain;
        cost += part.cost;
        add(&mut kinds, &part.kinds);
        add(&mut classes, &part.classes);
        add(&mut hessian, &part.hessian);
    }
    let mut slack: Vec<f64> = problem.limits.iter().map(|l| l.limit).collect();
    let used = problem.kind_uses.iter().zip(&kinds);
    for (uses, mass) in used.chain(problem.class_uses.iter().zip(&classes)) {
        for (c, amount) in uses {
            slack[*c] -= mass * amount;
        }
    }
    if let Some(budget) = problem.budget {
        slack[budget] -= cost;
    }
    for a in 0..m {
        for b in 0..=a {
            let second = hessian[a * m + b] / mu;
            hessian[a * m + b] = second;
            hessian[b * m + a] = second;
        }
    }
    let paid: f64 = problem
        .limits
        .iter()
        .zip(duals)
        .map(|(l, d)| l.limit * d)
        .sum();
    Evaluation {
        smooth: smooth + paid,
        bound: best + paid,
        gain,
        slack,
        hessian,
    }
}

fn add(sum: &mut [f64], part: &[f64]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

/// Prices and how far they were refined.
#[derive(Debug, Clone)]
pub(crate) struct Dual {
    pub(crate) duals: Vec<f64>,
    pub(crate) mu: f64,
    /// The least upper bound met, and the prices that give it.
    pub(crate) bound: f64,
    pub(crate) bound_duals: Vec<f64>,
    /// The last evaluation, at `duals`.
    pub(crate) last: Evaluation,
    /// Passes over the rows.
    pub(crate) passes: usize,
}

/// Where the search for prices stops.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    /// Difference between bound and worth of the shares, relative to the bound.
    pub(crate) gap: f64,
    /// The highest price of each constraint; infinite where there is no cap.
    pub(crate) ceilings: Vec<f64>,
    /// Less than any plan is worth: a bound below it proves that there is none.
    pub(crate) floor: f64,
    /// μ is not brought below this.
    pub(crate) least_mu: f64,
    pub(crate) goal: Goal,
}

impl Aim {
    /// The most that plans can be worth, to a relative `gap`.
    pub(crate) fn gain(problem: &Problem, gap: f64) -> Self {
        let unit = typical(problem);
        Aim {
            gap,
            ceilings: vec![f64::INFINITY; problem.limits.len()],
            floor: least_gain(problem) - unit,
            least_mu: 1e-11 * unit,
            goal: Goal::Gain,
        }
    }

    /// Whether any plan keeps the constraints that `kept` marks: with prices of at most one per
    /// scale the dual of the zero objective is minus the least total breach.
    pub(crate) fn existence(problem: &Problem, kept: &[bool]) -> Self {
        let caps = problem.limits.iter().zip(kept);
        Aim {
            gap: 0.0,
            ceilings: caps
                .map(|(l, kept)| if *kept { 1.0 / l.scale } else { 0.0 })
                .collect(),
            floor: -1e-6,
            least_mu: 1e-5,
            goal: Goal::Existence,
        }
    }

    /// Whether this bound proves that no plan keeps the constraints.
    pub(crate) fn refutes(&self, bound: f64) -> bool {
        bound < self.floor
    }
}

/// Brings prices from `duals` at `mu` to the minimum of the dual.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn minimise(
    problem: &Problem,
    duals: Vec<f64>,
    mu: f64,
    aim: &Aim,
    step: &Step<'_>,
) -> Result<Dual> {
    let last = evaluate(problem, &duals, mu, aim.goal);
    step.advance(1)?;
    let mut dual = Dual {
        bound: last.bound,
        bound_duals: duals.clone(),
        duals,
        mu,
        last,
        passes: 1,
    };
    loop {
        let settled = newton(problem, &mut dual, aim, step)?;
        let distance = dual.last.bound - dual.last.gain;
        let done = settled && distance.abs() <= aim.gap * dual.bound.abs();
        let ends = dual.mu <= aim.least_mu || problem.limits.is_empty();
        // Shares that keep everything are a plan in fractions: it exists.
        let exists = aim.goal == Goal::Existence
            && problem
                .limits
                .iter()
                .zip(&aim.ceilings)
                .zip(&dual.last.slack)
                .all(|((limit, ceiling), slack)| *ceiling == 0.0 || *slack >= -1e-6 * limit.scale);
        if done || ends || exists || aim.refutes(dual.bound) {
            return Ok(dual);
        }
        dual.mu *= SHRINK;
        dual.look(problem, dual.duals.clone(), aim.goal);
        step.advance(1)?;
    }
}

/// Less than which no plan is worth: the sum of the losses that rows could be made to take.
fn least_gain(problem: &Problem) -> f64 {
    let chunks = problem.rows().div_ceil(CHUNK);
    let partial: Vec<f64> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows());
            let least = |row| {
                let gains = problem.gains[problem.entries(row)].iter();
                gains.fold(0.0_f64, |least, gain| least.min(*gain))
            };
            rows.map(least).sum()
        })
        .collect();
    partial.iter().sum()
}

/// What the best entry of a row is worth, on average over rows that have any; 1 where none has.
pub(crate) fn typical(problem: &Problem) -> f64 {
    let chunks = problem.rows().div_ceil(CHUNK);
    let partial: Vec<(f64, usize)> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows());
            let mut sum = (0.0, 0);
            for row in rows {
                let gains = problem.gains[problem.entries(row)].iter();
                let largest = gains.fold(0.0_f64, |top, gain| top.max(gain.abs()));
                if largest > 0.0 {
                    sum = (sum.0 + largest, sum.1 + 1);
                }
            }
            sum
        })
        .collect();
    let (sum, count) = partial
        .iter()
        .fold((0.0, 0), |all, part| (all.0 + part.0, all.1 + part.1));
    if count == 0 { 1.0 } else { sum / count as f64 }
}

impl Dual {
    /// Evaluates at other prices and takes them over.
    fn look(&mut self, problem: &Problem, duals: Vec<f64>, goal: Goal) {
        self.last = evaluate(problem, &duals, self.mu, goal);
        self.passes += 1;
        if self.last.bound < self.bound {
            self.bound = self.last.bound;
            self.bound_duals.clone_from(&duals);
        }
        self.duals = duals;
    }
}

/// Newton steps at one μ; whether the gradient became small.
fn newton(problem: &Problem, dual: &mut Dual, aim: &Aim, step: &Step<'_>) -> Result<bool> {
    let m = problem.limits.len();
    let scales: Vec<f64> = problem.limits.iter().map(|l| l.scale).collect();
    let highest = |c: usize| aim.ceilings[c];
    let mut stride = STRIDE;
    for _ in 0..STEPS {
        let slack = &dual.last.slack;
        // A price at its end stays there if the gradient pushes it outwards.
        let free: Vec<usize> = (0..m)
            .filter(|c| {
                let low = dual.duals[*c] <= 0.0 && slack[*c] >= 0.0;
                let high = dual.duals[*c] >= highest(*c) && slack[*c] <= 0.0;
                !(low || high)
            })
            .collect();
        let small = |c: usize| {
            let size = problem.limits[c].limit.abs().max(scales[c]);
            slack[c].abs() <= 1e-4 * size
        };
        // What unmet constraints and unused room at these prices are worth.
        let owed: f64 = free.iter().map(|c| slack[*c].abs() * dual.duals[*c]).sum();
        let tolerance = 0.1 * aim.gap * dual.last.bound.abs();
        if free.iter().all(|c| small(*c)) && owed <= tolerance || free.is_empty() {
            return Ok(true);
        }
        let k = free.len();
        let mut matrix = vec![0.0; k * k];
        let mut direction = vec![0.0; k];
        for (i, &a) in free.iter().enumerate() {
            for (j, &b) in free.iter().enumerate() {
                matrix[i * k + j] = dual.last.hessian[a * m + b];
            }
            // Keeps the step within the stride where the rows say little about the curvature,
            // and vanishes with the gradient.
            let ridge = slack[a].abs() * scales[a] / (stride * dual.mu);
            let diagonal = &mut matrix[i * k + i];
            *diagonal += ridge + 1e-12 * *diagonal + f64::MIN_POSITIVE;
            direction[i] = -slack[a];
        }
        match Cholesky::new(&matrix, k) {
            Some(factor) => factor.solve(&mut direction),
            None => {
                for (i, d) in direction.iter_mut().enumerate() {
                    *d /= matrix[i * k + i];
                }
            }
        }
        let before = (dual.duals.clone(), dual.last.clone());
        let mut length = 1.0;
        loop {
            let mut duals = before.0.clone();
            let mut fall = 0.0;
            for (i, &c) in free.iter().enumerate() {
                duals[c] = (duals[c] + length * direction[i]).clamp(0.0, highest(c));
                fall += before.1.slack[c] * (duals[c] - before.0[c]);
            }
            if duals == before.0 {
                return Ok(false);
            }
            dual.look(problem, duals, aim.goal);
            step.advance(1)?;
            let rounding = 1e-14 * before.1.smooth.abs();
            if dual.last.smooth <= before.1.smooth + 1e-4 * fall + rounding {
                break;
            }
            length *= 0.25;
            if length < 1e-7 {
                (dual.duals, dual.last) = before;
                return Ok(false);
            }
        }
        if aim.refutes(dual.bound) {
            return Ok(true);
        }
        stride = if length == 1.0 {
            (stride * 2.0).min(1e6)
        } else {
            STRIDE
        };
    }
    Ok(false)
}
