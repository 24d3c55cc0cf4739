//! From shares to a plan: rounding, repair of what rounding broke, and filling of what it left.

use rayon::prelude::*;

use super::dual::Dual;
use super::problem::{CHUNK, NO_ENTRY, Prices, Problem};

/// Shares below this are none.
const LEAST_SHARE: f64 = 1e-9;
/// Rounds of repair or of filling.
const ROUNDS: usize = 60;
/// Moves that one round looks at.
const MOVES: usize = 2_000_000;

/// A choice for every row and what it uses.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) entries: Vec<u32>,
    pub(crate) used: Vec<f64>,
}

impl Choice {
    pub(crate) fn new(problem: &Problem, entries: Vec<u32>) -> Self {
        let used = problem.used(&entries);
        Choice { entries, used }
    }

    /// Takes over another entry for one row.
    fn set(&mut self, row: usize, entry: u32, change: &[f64]) {
        self.entries[row] = entry;
        for (used, change) in self.used.iter_mut().zip(change) {
            *used += change;
        }
    }

    pub(crate) fn is_feasible(&self, problem: &Problem) -> bool {
        problem.breaches(&self.used) == 0.0
    }
}

/// What changes if a row takes another entry.
fn change(problem: &Problem, row: usize, from: u32, to: u32, into: &mut [f64]) {
    into.fill(0.0);
    problem.add_uses(row, to, 1.0, into);
    problem.add_uses(row, from, -1.0, into);
}

/// Shares of the choices of one row, taking nothing among them, at the prices and the smoothing of
/// `dual`.
fn shares(problem: &Problem, row: usize, prices: &Prices, mu: f64, into: &mut Vec<(u32, f64)>) {
    into.clear();
    let entries = problem.entries(row).map(|e| e as u32).chain([NO_ENTRY]);
    into.extend(entries.map(|e| (e, problem.reduced(row, e, prices))));
    let top = into.iter().fold(0.0_f64, |top, (_, value)| top.max(*value));
    let mut total = 0.0;
    for (_, value) in into.iter_mut() {
        *value = libm::exp((*value - top) / mu);
        total += *value;
    }
    into.retain_mut(|(_, value)| {
        *value /= total;
        *value > LEAST_SHARE
    });
}

/// Rounds shares to whole choices: rows that are torn between entries are settled one after
/// another so that, within each class, the number of rows of each kind keeps up with the sum of
/// the shares (error diffusion). What constraints count is then off by a few, not by the square
/// root of the number of torn rows.
pub(crate) fn round(problem: &Problem, dual: &Dual) -> Choice {
    let prices = problem.prices(&dual.duals);
    let chunks = problem.rows().div_ceil(CHUNK);
    type Torn = Vec<(usize, Vec<(u32, f64)>)>;
    let parts: Vec<(Vec<u32>, Torn)> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows());
            let mut choice = Vec::with_capacity(rows.len());
            let mut torn = Vec::new();
            let mut split = Vec::new();
            for row in rows {
                shares(problem, row, &prices, dual.mu, &mut split);
                choice.push(split[0].0);
                if split.len() > 1 {
                    torn.push((row, split.clone()));
                }
            }
            (choice, torn)
        })
        .collect();
    let mut entries: Vec<u32> = Vec::with_capacity(problem.rows());
    for (choice, _) in &parts {
        entries.extend_from_slice(choice);
    }
    // One place more per class, for taking nothing.
    let kinds = problem.kind_uses.len();
    let mut owed = vec![0.0_f64; (kinds + 1) * problem.class_uses.len()];
    for (row, split) in parts.iter().flat_map(|(_, torn)| torn) {
        let first = problem.classes[*row] as usize * (kinds + 1);
        let place = |entry: u32| match entry {
            NO_ENTRY => first + kinds,
            entry => first + usize::from(problem.kinds[entry as usize]),
        };
        for (entry, share) in split {
            owed[place(*entry)] += share;
        }
        let mut best = split[0].0;
        for (entry, _) in split {
            if owed[place(*entry)] > owed[place(best)] {
                best = *entry;
            }
        }
        owed[place(best)] -= 1.0;
        entries[*row] = best;
    }
    Choice::new(problem, entries)
}

/// One row taking another entry.
#[derive(Debug, Clone, Copy)]
struct Move {
    rank: f64,
    row: u32,
    entry: u32,
}

/// The moves that `rank` ranks, smallest first (it is given room for what a move changes); the order does not depend on the threads.
fn moves(
    problem: &Problem,
    choice: &Choice,
    rank: impl Fn(usize, u32, u32, &mut [f64]) -> Option<f64> + Sync,
) -> Vec<Move> {
    let order = |a: &Move, b: &Move| {
        let ranks = a.rank.total_cmp(&b.rank);
        ranks.then((a.row, a.entry).cmp(&(b.row, b.entry)))
    };
    let chunks = problem.rows().div_ceil(CHUNK);
    let room = MOVES / chunks.max(1) + 1;
    let parts: Vec<Vec<Move>> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(problem.rows());
            let mut found = Vec::new();
            let mut delta = vec![0.0; problem.limits.len()];
            for row in rows {
                let from = choice.entries[row];
                let entries = problem.entries(row).map(|e| e as u32);
                for to in entries.chain([NO_ENTRY]).filter(|to| *to != from) {
                    if let Some(rank) = rank(row, from, to, &mut delta) {
                        found.push(Move {
                            rank,
                            row: row as u32,
                            entry: to,
                        });
                    }
                }
            }
            // Each chunk keeps its share, so that memory stays small.
            if found.len() > room {
                found.select_nth_unstable_by(room, order);
                found.truncate(room);
                found.shrink_to_fit();
            }
            found
        })
        .collect();
    let mut all: Vec<Move> = parts.into_iter().flatten().collect();
    all.par_sort_unstable_by(order);
    all
}

/// Makes a choice keep the constraints, at the least loss of reduced value per breach mended.
/// Stops where no single move helps any more.
pub(crate) fn repair(problem: &Problem, choice: &mut Choice, duals: &[f64]) {
    let prices = problem.prices(duals);
    let m = problem.limits.len();
    let mut delta = vec![0.0; m];
    for _ in 0..ROUNDS {
        let mut breaches = problem.breaches(&choice.used);
        if breaches == 0.0 {
            return;
        }
        let broken: Vec<usize> = (0..m)
            .filter(|c| problem.breach(*c, choice.used[*c]) > 0.0)
            .collect();
        let found = moves(problem, choice, |row, from, to, delta| {
            change(problem, row, from, to, delta);
            let mended: f64 = broken
                .iter()
                .map(|c| (-delta[*c]).max(0.0) / problem.limits[*c].scale)
                .sum();
            let loss = problem.reduced(row, from, &prices) - problem.reduced(row, to, &prices);
            (mended > 0.0).then(|| loss / mended)
        });
        let mut any = false;
        for candidate in found {
            let row = candidate.row as usize;
            let from = choice.entries[row];
            change(problem, row, from, candidate.entry, &mut delta);
            let after: f64 = (0..m)
                .map(|c| problem.breach(c, choice.used[c] + delta[c]))
                .sum();
            if after < breaches * (1.0 - 1e-12) {
                choice.set(row, candidate.entry, &delta);
                breaches = after;
                any = true;
                if breaches == 0.0 {
                    break;
                }
            }
        }
        if !any {
            return;
        }
        // Sums of changes drift; the truth is a sum over all rows.
        choice.used = problem.used(&choice.entries);
    }
}

/// Takes every move that gains something and keeps the constraints, those of the least regret at
/// these prices first, until there is none or the plan is worth `enough`. `reach` is the regret up
/// to which moves are looked at.
pub(crate) fn fill(problem: &Problem, choice: &mut Choice, duals: &[f64], reach: f64, enough: f64) {
    let prices = problem.prices(duals);
    let m = problem.limits.len();
    let mut delta = vec![0.0; m];
    for _ in 0..ROUNDS {
        if problem.gain(&choice.entries) >= enough {
            return;
        }
        let used = &choice.used;
        let found = moves(problem, choice, |row, from, to, delta| {
            let gain = |entry: u32| match entry {
                NO_ENTRY => 0.0,
                entry => problem.gains[entry as usize],
            };
            let loss = problem.reduced(row, from, &prices) - problem.reduced(row, to, &prices);
            if gain(to) <= gain(from) || loss > reach {
                return None;
            }
            change(problem, row, from, to, delta);
            let fits =
                (0..m).all(|c| delta[c] <= 0.0 || problem.breach(c, used[c] + delta[c]) == 0.0);
            fits.then_some(loss)
        });
        let mut any = false;
        for candidate in found {
            let row = candidate.row as usize;
            let from = choice.entries[row];
            let worth = |entry: u32| match entry {
                NO_ENTRY => 0.0,
                entry => problem.gains[entry as usize],
            };
            if worth(candidate.entry) <= worth(from) {
                continue;
            }
            change(problem, row, from, candidate.entry, &mut delta);
            let keeps = (0..m).all(|c| problem.breach(c, choice.used[c] + delta[c]) == 0.0);
            if keeps {
                choice.set(row, candidate.entry, &delta);
                any = true;
            }
        }
        if !any {
            return;
        }
        choice.used = problem.used(&choice.entries);
    }
}
