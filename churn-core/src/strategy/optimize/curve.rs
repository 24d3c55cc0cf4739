//! What more or less money would bring: the largest profit as a function of the budget.

use rayon::prelude::*;

use super::problem::{CHUNK, Problem};
use super::solve::{Answer, Solution, solve, solve_from};
use crate::error::Result;
use crate::progress::Step;

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CurvePoint {
    pub(crate) budget: f64,
    /// What a plan found for this budget is worth.
    pub(crate) gain: f64,
    /// What no plan within this budget is worth more than.
    pub(crate) bound: f64,
    /// What one more unit of money would bring here.
    pub(crate) price: f64,
}

/// The curve at `points` budgets, evenly spread from 0 to what can be spent with profit. Budgets
/// that the other constraints cannot be kept with are left out.
///
/// Where the budget is the only constraint, one sort gives the whole curve: of each row the upper
/// convex hull of its entries over their costs, all steps of all hulls by descending gain per
/// money (Sinha & Zoltners 1979, Operations Research 27(3); Sun et al. 2021, arXiv:2101.00878).
/// Otherwise each point is a problem of its own, begun from the prices of its neighbour.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn budget_curve(
    problem: &mut Problem,
    points: usize,
    gap: f64,
    step: &Step<'_>,
) -> Result<Vec<CurvePoint>> {
    let Some(budget) = problem.budget.filter(|_| points > 0) else {
        return Ok(Vec::new());
    };
    if problem.limits.len() == 1 {
        return Ok(path(problem, points));
    }
    let asked = problem.limits[budget].limit;
    let answer = grid(problem, budget, points, gap, step);
    problem.limits[budget].limit = asked;
    answer
}

fn grid(
    problem: &mut Problem,
    budget: usize,
    points: usize,
    gap: f64,
    step: &Step<'_>,
) -> Result<Vec<CurvePoint>> {
    // More than can be spent, so that it never binds.
    let costs = |row| {
        let costs = problem.costs[problem.entries(row)].iter();
        costs.fold(0.0_f64, |most, cost| most.max(*cost))
    };
    let all: f64 = (0..problem.rows()).map(costs).sum();
    problem.limits[budget].limit = 2.0 * all + 1.0;
    let Answer::Plan(mut last) = solve(problem, gap, step)? else {
        return Ok(Vec::new());
    };
    let most = last.used[budget];
    let mut curve = Vec::with_capacity(points);
    for k in (0..points).rev() {
        let money = most * k as f64 / (points - 1).max(1) as f64;
        problem.limits[budget].limit = money;
        let mu = (16.0 * last.mu).min(super::dual::typical(problem));
        let duals = std::mem::take(&mut last.duals);
        let Answer::Plan(plan) = solve_from(problem, duals, mu, gap, 0, step)? else {
            // With even less money there is no plan either.
            break;
        };
        curve.push(point(&plan, budget, money));
        last = plan;
    }
    curve.reverse();
    Ok(curve)
}

fn point(plan: &Solution, budget: usize, money: f64) -> CurvePoint {
    CurvePoint {
        budget: money,
        gain: plan.gain,
        bound: plan.bound,
        price: plan.duals[budget],
    }
}

/// One step of a hull.
#[derive(Debug, Clone, Copy)]
struct Increment {
    cost: f64,
    gain: f64,
    row: u32,
}

impl Increment {
    fn slope(&self) -> f64 {
        self.gain / self.cost
    }
}

/// The hull of one row, by ascending cost; its steps have descending slopes.
fn hull(problem: &Problem, row: usize, into: &mut Vec<Increment>) {
    let mut entries: Vec<usize> = problem
        .entries(row)
        .filter(|e| problem.gains[*e] > 0.0)
        .collect();
    entries.sort_by(|a, b| {
        let costs = problem.costs[*a].total_cmp(&problem.costs[*b]);
        costs.then(problem.gains[*b].total_cmp(&problem.gains[*a]))
    });
    let first = into.len();
    let (mut cost, mut gain) = (0.0, 0.0);
    for e in entries {
        if problem.gains[e] <= gain {
            continue;
        }
        let mut step = Increment {
            cost: problem.costs[e] - cost,
            gain: problem.gains[e] - gain,
            row: row as u32,
        };
        (cost, gain) = (problem.costs[e], problem.gains[e]);
        while into.len() > first && into[into.len() - 1].slope() <= step.slope() {
            if let Some(before) = into.pop() {
                step.cost += before.cost;
                step.gain += before.gain;
            }
        }
        into.push(step);
    }
}

fn path(problem: &Problem, points: usize) -> Vec<CurvePoint> {
    let chunks = problem.rows().div_ceil(CHUNK);
    let parts: Vec<Vec<Increment>> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let mut steps = Vec::new();
            for row in chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows()) {
                hull(problem, row, &mut steps);
            }
            steps
        })
        .collect();
    let mut steps: Vec<Increment> = parts.into_iter().flatten().collect();
    // Of one row the steps stand in descending order already, so ties keep it.
    steps.par_sort_by(|a, b| b.slope().total_cmp(&a.slope()).then(a.row.cmp(&b.row)));
    let most: f64 = steps.iter().map(|step| step.cost).sum();
    let (mut spent, mut gain, mut next) = (0.0, 0.0, 0);
    let mut curve = Vec::with_capacity(points);
    for k in 0..points {
        let last = k + 1 == points;
        let money = most * k as f64 / (points - 1).max(1) as f64;
        while next < steps.len() && (last || spent + steps[next].cost <= money) {
            spent += steps[next].cost;
            gain += steps[next].gain;
            next += 1;
        }
        let (mut bound, mut price) = (gain, 0.0);
        if let Some(step) = steps.get(next) {
            price = step.slope();
            bound += price * (money - spent).max(0.0);
        }
        curve.push(CurvePoint {
            budget: money,
            gain,
            bound,
            price,
        });
    }
    curve
}
