//! The last step: a search that closes the gap where the problem is small enough.
//!
//! At prices λ with dual bound L every plan x is worth L − Σ regret(x) − λ·slack(x), where the
//! regret of a row is how far its entry stays behind its best one. So a plan that beats the
//! incumbent takes entries of little regret only: rows without such an alternative are fixed, and
//! the others (the core, Balas & Zemel 1980, Operations Research 28(5)) are searched depth first.
//! A search that ends has proven its best plan the best of all.

use std::cmp::Ordering;

use super::primal::Choice;
use super::problem::{NO_ENTRY, Problem};

/// Nodes that a search may visit; what makes it end in a fraction of a second.
const NODES: usize = 400_000;
/// Rows of the core beyond which a search is not begun.
const CORE: usize = 2_000;
/// Rows that are set free at once where the whole core is too much.
const FREE: usize = 28;

/// What a search found out.
#[derive(Debug)]
pub(crate) struct Found {
    /// The best plan known, where there is one.
    pub(crate) choice: Option<Choice>,
    /// Whether no plan can be better (or, without a plan, that there is none).
    pub(crate) proven: bool,
}

/// One entry that a row of the core may take.
struct Alternative {
    entry: u32,
    regret: f64,
    /// What is used beyond the row's best entry.
    change: Vec<f64>,
}

/// Rows with what they may take.
type Core = Vec<(usize, Vec<Alternative>)>;

struct Search<'p> {
    problem: &'p Problem,
    duals: &'p [f64],
    core: Core,
    /// For each depth the least and the largest change of use that the rows from there on can
    /// still make.
    least: Vec<Vec<f64>>,
    most: Vec<Vec<f64>>,
    /// What the best plan so far stays behind the bound.
    best: f64,
    best_path: Option<Vec<u32>>,
    nodes: usize,
}

/// Looks for a plan better than `incumbent` at these prices.
pub(crate) fn search(
    problem: &Problem,
    duals: &[f64],
    bound: f64,
    incumbent: Option<Choice>,
) -> Found {
    let lower = incumbent.as_ref().map(|c| problem.gain(&c.entries));
    let room = lower.map_or(f64::INFINITY, |lower| bound - lower);
    let Some((start, core)) = open_rows(problem, duals, room, CORE) else {
        return Found {
            choice: incumbent,
            proven: false,
        };
    };
    let (choice, proven) = descend_from(problem, duals, 0.0, room, &start, core);
    Found {
        choice: choice.or(incumbent),
        proven,
    }
}

/// Looks for a better plan among those that differ from `incumbent` in a few rows only: the rows
/// where it is not at its best, and then those where the next best costs least.
pub(crate) fn improve(problem: &Problem, duals: &[f64], bound: f64, incumbent: Choice) -> Choice {
    let prices = problem.prices(duals);
    let room = bound - problem.gain(&incumbent.entries);
    let Some((_, mut core)) = open_rows(problem, duals, room, usize::MAX) else {
        return incumbent;
    };
    let regret = |row: usize| {
        let best = problem.best(row, &prices).1;
        (best - problem.reduced(row, incumbent.entries[row], &prices)).max(0.0)
    };
    core.sort_by(|a, b| {
        let ahead = |(row, options): &(usize, Vec<Alternative>)| {
            let behind = regret(*row);
            (
                behind == 0.0,
                if behind == 0.0 {
                    options[1].regret
                } else {
                    behind
                },
            )
        };
        let (x, y) = (ahead(a), ahead(b));
        x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)).then(a.0.cmp(&b.0))
    });
    core.truncate(FREE);
    core.sort_by(dearest_first);
    let mut start = incumbent.entries.clone();
    for (row, options) in &core {
        start[*row] = options[0].entry;
    }
    let is_free = |row: usize| core.iter().any(|(free, _)| *free == row);
    let fixed: f64 = (0..problem.rows())
        .filter(|row| !is_free(*row))
        .map(regret)
        .sum();
    let (choice, _) = descend_from(problem, duals, fixed, room, &start, core);
    choice.unwrap_or(incumbent)
}

/// The best entry of every row, and the rows that have alternatives of less regret than `room`,
/// those whose next best costs most first: what is left can then be bounded well. `None` where
/// there are more than `most` of them.
fn open_rows(problem: &Problem, duals: &[f64], room: f64, most: usize) -> Option<(Vec<u32>, Core)> {
    let prices = problem.prices(duals);
    let m = problem.limits.len();
    let mut start: Vec<u32> = Vec::with_capacity(problem.rows());
    let mut core = Core::new();
    for row in 0..problem.rows() {
        let (best, value) = problem.best(row, &prices);
        start.push(best);
        let entries = problem.entries(row).map(|e| e as u32).chain([NO_ENTRY]);
        let mut options = Vec::new();
        for entry in entries {
            let regret = (value - problem.reduced(row, entry, &prices)).max(0.0);
            if entry == best || regret < room {
                let mut change = vec![0.0; m];
                problem.add_uses(row, entry, 1.0, &mut change);
                problem.add_uses(row, best, -1.0, &mut change);
                options.push(Alternative {
                    entry,
                    regret: if entry == best { 0.0 } else { regret },
                    change,
                });
            }
        }
        if options.len() > 1 {
            options.sort_by(|a, b| a.regret.total_cmp(&b.regret));
            core.push((row, options));
            if core.len() > most {
                return None;
            }
        }
    }
    core.sort_by(dearest_first);
    Some((start, core))
}

fn dearest_first(a: &(usize, Vec<Alternative>), b: &(usize, Vec<Alternative>)) -> Ordering {
    let next = |options: &[Alternative]| options[1].regret;
    next(&b.1).total_cmp(&next(&a.1)).then(a.0.cmp(&b.0))
}

/// Searches the rows of `core`, which begin at their best, while the others keep the entries of
/// `start`, whose regrets add up to `fixed`. The best plan that stays behind the bound by less than
/// `room`, and whether all were looked at.
fn descend_from(
    problem: &Problem,
    duals: &[f64],
    fixed: f64,
    room: f64,
    start: &[u32],
    core: Core,
) -> (Option<Choice>, bool) {
    let m = problem.limits.len();
    let mut least = vec![vec![0.0; m]; core.len() + 1];
    let mut most = vec![vec![0.0; m]; core.len() + 1];
    for depth in (0..core.len()).rev() {
        for c in 0..m {
            let changes = core[depth].1.iter().map(|option| option.change[c]);
            let (low, high) = changes.fold((0.0_f64, 0.0_f64), |(l, h), x| (l.min(x), h.max(x)));
            least[depth][c] = least[depth + 1][c] + low;
            most[depth][c] = most[depth + 1][c] + high;
        }
    }
    let mut search = Search {
        problem,
        duals,
        core,
        least,
        most,
        best: room,
        best_path: None,
        nodes: 0,
    };
    let used = problem.used(start);
    let mut path = Vec::new();
    let ended = search.descend(0, fixed, &used, &mut path);
    let choice = search.best_path.map(|path| {
        let mut entries = start.to_vec();
        for ((row, _), entry) in search.core.iter().zip(path) {
            entries[*row] = entry;
        }
        Choice::new(problem, entries)
    });
    (choice, ended)
}

impl Search<'_> {
    /// Tries all options of the row at `depth`; whether the search came to its end.
    fn descend(&mut self, depth: usize, regret: f64, used: &[f64], path: &mut Vec<u32>) -> bool {
        self.nodes += 1;
        if self.nodes > NODES {
            return false;
        }
        let mut behind = regret;
        for (c, limit) in self.problem.limits.iter().enumerate() {
            let over = used[c] + self.least[depth][c] - limit.limit;
            if over > limit.tolerance {
                return true;
            }
            let idle = limit.limit - used[c] - self.most[depth][c];
            behind += self.duals[c] * idle.max(0.0);
        }
        // The margin keeps rounding from running after plans that are not better.
        if self.best.is_finite() && behind >= self.best - 1e-12 * self.best.abs() {
            return true;
        }
        if depth == self.core.len() {
            self.best = behind;
            self.best_path = Some(path.clone());
            return true;
        }
        for i in 0..self.core[depth].1.len() {
            let option = &self.core[depth].1[i];
            let regret = regret + option.regret;
            if regret >= self.best {
                break;
            }
            let used: Vec<f64> = used
                .iter()
                .zip(&option.change)
                .map(|(u, c)| u + c)
                .collect();
            path.push(option.entry);
            let ended = self.descend(depth + 1, regret, &used, path);
            path.pop();
            if !ended {
                return false;
            }
        }
        true
    }
}
