//! Solves a multiple-choice problem: prices first, then a plan from them, and where the problem is
//! small enough the proof.

use super::dual::{Aim, Dual, minimise, typical};
use super::primal::{self, Choice};
use super::problem::{NO_ENTRY, Problem};
use super::search;
use crate::error::Result;
use crate::progress::Step;

/// Rows above which prices are first looked for on a sample.
const SAMPLE: usize = 16_384;
/// Times that a plan too far from the bound is made again from better prices.
const ATTEMPTS: usize = 5;

/// A plan with its proof.
#[derive(Debug, Clone)]
pub(crate) struct Solution {
    /// Entry of each row, [`NO_ENTRY`] for none.
    pub(crate) entries: Vec<u32>,
    /// What the plan uses of each constraint.
    pub(crate) used: Vec<f64>,
    /// What the plan is worth.
    pub(crate) gain: f64,
    /// What no plan is worth more than.
    pub(crate) bound: f64,
    /// Price of each constraint.
    pub(crate) duals: Vec<f64>,
    /// Smoothing that the prices were found at, to begin a similar problem from.
    pub(crate) mu: f64,
    /// Passes over the rows that finding the prices took.
    pub(crate) passes: usize,
}

/// What solving comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    Plan(Solution),
    /// Constraints that no plan keeps together; leaving out any one of them, the others could be
    /// kept.
    Conflict(Vec<usize>),
    /// No plan was found; the best attempt breaks these. Only possible where minima leave hardly
    /// any choice.
    NotFound(Vec<usize>),
}

/// Finds a plan whose distance from the bound is at most `gap` of the bound, or as small as the
/// method gets it.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn solve(problem: &Problem, gap: f64, step: &Step<'_>) -> Result<Answer> {
    let m = problem.limits.len();
    let unit = typical(problem);
    let (mut duals, mut mu, mut passes) = (vec![0.0; m], unit, 0);
    if m > 0 && problem.rows() > 4 * SAMPLE {
        let sample = problem.sample(SAMPLE);
        let aim = Aim::gain(&sample, gap.max(1e-3));
        let first = minimise(&sample, duals.clone(), mu, &aim, step)?;
        passes += first.passes * SAMPLE / problem.rows();
        if !aim.refutes(first.bound) {
            // One stage back, for the full problem differs a little.
            (duals, mu) = (first.duals, (4.0 * first.mu).min(unit));
        }
    }
    solve_from(problem, duals, mu, gap, passes, step)
}

/// As [`solve`], from prices of a similar problem.
pub(crate) fn solve_from(
    problem: &Problem,
    duals: Vec<f64>,
    mu: f64,
    gap: f64,
    passes: usize,
    step: &Step<'_>,
) -> Result<Answer> {
    let mut aim = Aim::gain(problem, 0.3 * gap);
    let mut dual = minimise(problem, duals, mu, &aim, step)?;
    if aim.refutes(dual.bound) {
        return conflict(problem, step).map(|found| match found {
            Some(conflict) => Answer::Conflict(conflict),
            None => Answer::NotFound(minima(problem)),
        });
    }
    let mut best = attempt(problem, &dual, gap);
    for _ in 1..ATTEMPTS {
        let reached = best.as_ref().is_some_and(|choice| {
            dual.bound - problem.gain(&choice.entries) <= gap * dual.bound.abs()
        });
        if reached || dual.mu <= aim.least_mu || problem.limits.is_empty() {
            break;
        }
        aim.gap *= 0.1;
        let earlier = (dual.bound, dual.bound_duals.clone(), dual.passes);
        let (from, mu) = (dual.duals.clone(), 0.25 * dual.mu);
        dual = minimise(problem, from, mu, &aim, step)?;
        if earlier.0 < dual.bound {
            (dual.bound, dual.bound_duals) = (earlier.0, earlier.1);
        }
        dual.passes += earlier.2;
        if let Some(other) = attempt(problem, &dual, gap) {
            let better = best
                .as_ref()
                .is_none_or(|choice| problem.gain(&other.entries) > problem.gain(&choice.entries));
            if better {
                best = Some(other);
            }
        }
    }
    let mut found = search::search(problem, &dual.bound_duals, dual.bound, best);
    if problem.rows() <= SAMPLE && !found.proven {
        for _ in 0..ATTEMPTS {
            let Some(choice) = found.choice.take() else {
                break;
            };
            let before = problem.gain(&choice.entries);
            let choice = search::improve(problem, &dual.bound_duals, dual.bound, choice);
            let gained = problem.gain(&choice.entries) > before;
            found.choice = Some(choice);
            if !gained {
                break;
            }
        }
    }
    let Some(choice) = found.choice else {
        if let Some(conflict) = conflict(problem, step)? {
            return Ok(Answer::Conflict(conflict));
        }
        return Ok(Answer::NotFound(minima(problem)));
    };
    let gain = problem.gain(&choice.entries);
    let bound = if found.proven {
        gain
    } else {
        dual.bound.max(gain)
    };
    Ok(Answer::Plan(Solution {
        entries: choice.entries,
        used: choice.used,
        gain,
        bound,
        duals: shown(problem, &dual),
        mu: dual.mu,
        passes: passes + dual.passes,
    }))
}

/// The constraints that ask for something: where no plan was found, they are why.
fn minima(problem: &Problem) -> Vec<usize> {
    let asks = |c: &usize| problem.limits[*c].limit < -problem.limits[*c].tolerance;
    (0..problem.limits.len()).filter(asks).collect()
}

/// A plan from these prices; `None` where it does not keep the constraints.
fn attempt(problem: &Problem, dual: &Dual, gap: f64) -> Option<Choice> {
    let mut choice = primal::round(problem, dual);
    primal::repair(problem, &mut choice, &dual.duals);
    if !choice.is_feasible(problem) {
        // Nothing at all keeps every constraint that asks for nothing.
        choice = Choice::new(problem, vec![NO_ENTRY; problem.rows()]);
        primal::repair(problem, &mut choice, &dual.duals);
        if !choice.is_feasible(problem) {
            return None;
        }
    }
    let room = dual.bound - problem.gain(&choice.entries);
    // Small problems are filled to the end: there it costs nothing.
    let enough = match problem.rows() <= SAMPLE {
        true => f64::INFINITY,
        false => dual.bound - gap * dual.bound.abs(),
    };
    let near = room.min(40.0 * dual.mu);
    primal::fill(problem, &mut choice, &dual.duals, near, enough);
    primal::fill(problem, &mut choice, &dual.duals, room, enough);
    Some(choice)
}

/// Prices without the traces that smoothing leaves on constraints that do not bind.
fn shown(problem: &Problem, dual: &Dual) -> Vec<f64> {
    let least = 1e-9 * typical(problem);
    let duals = dual.bound_duals.iter().zip(&problem.limits);
    duals
        .map(|(dual, limit)| {
            if dual * limit.scale < least {
                0.0
            } else {
                *dual
            }
        })
        .collect()
}

/// A smallest set of constraints that no plan keeps together, where the linear relaxation already
/// has none.
fn conflict(problem: &Problem, step: &Step<'_>) -> Result<Option<Vec<usize>>> {
    if problem.rows() > 4 * SAMPLE {
        // What clashes in a sample mostly clashes in the whole, and is found much sooner; the
        // whole has the last word.
        if let Some(set) = clash(&problem.sample(SAMPLE), step)? {
            let kept: Vec<bool> = (0..problem.limits.len())
                .map(|c| set.contains(&c))
                .collect();
            if certificate(problem, &kept, step)?.is_some() {
                return Ok(Some(set));
            }
        }
    }
    clash(problem, step)
}

fn clash(problem: &Problem, step: &Step<'_>) -> Result<Option<Vec<usize>>> {
    let m = problem.limits.len();
    let Some(duals) = certificate(problem, &vec![true; m], step)? else {
        return Ok(None);
    };
    let involved = |c: usize| duals[c] * problem.limits[c].scale > 1e-9;
    let mut kept: Vec<bool> = (0..m).map(involved).collect();
    if certificate(problem, &kept, step)?.is_none() {
        kept = vec![true; m];
    }
    for c in 0..m {
        if kept[c] {
            kept[c] = false;
            if certificate(problem, &kept, step)?.is_none() {
                kept[c] = true;
            }
        }
    }
    Ok(Some((0..m).filter(|c| kept[*c]).collect()))
}

/// Prices that prove that no plan keeps the constraints that `kept` marks (Farkas), if there are any.
fn certificate(problem: &Problem, kept: &[bool], step: &Step<'_>) -> Result<Option<Vec<f64>>> {
    let aim = Aim::existence(problem, kept);
    let found = minimise(problem, vec![0.0; kept.len()], 1.0, &aim, step)?;
    Ok(aim.refutes(found.bound).then_some(found.bound_duals))
}
