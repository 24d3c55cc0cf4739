//! The solver against brute force and against itself.

use super::curve::budget_curve;
use super::problem::{Limit, NO_ENTRY, Problem};
use super::solve::{Answer, Solution, solve};
use crate::math::random::Random;
use crate::progress::Progress;

fn run(problem: &Problem, gap: f64) -> Answer {
    let progress = Progress::none();
    solve(problem, gap, &progress.step("optimize", 1)).unwrap()
}

fn plan(problem: &Problem, gap: f64) -> Solution {
    match run(problem, gap) {
        Answer::Plan(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn limit(limit: f64) -> Limit {
    Limit {
        limit,
        tolerance: 1e-9 * limit.abs().max(1.0),
        scale: 1.0,
    }
}

/// A random problem with a budget, caps per kind, a minimum of one kind, a minimum share of one
/// class in the plan, a maximum share of another class, and "no more of kind 0 than of kind 1".
fn random(seed: u64, rows: usize, kinds: usize, minima: bool) -> Problem {
    let mut random = Random::new(seed, 0);
    let mut p = Problem {
        offsets: vec![0],
        ..Problem::default()
    };
    let rounded = seed.is_multiple_of(3);
    for _ in 0..rows {
        p.classes.push(random.pick(&[1.0, 1.0, 1.0]) as u32);
        for kind in 0..kinds {
            if random.chance(0.7) {
                let gain = random.between(-2.0, 10.0);
                // Some problems are full of ties.
                p.gains.push(if rounded { gain.round() } else { gain });
                let cost = random.between(0.1, 4.0);
                p.costs.push(if rounded { cost.ceil() } else { cost });
                p.kinds.push(kind as u16);
            }
        }
        p.offsets.push(p.kinds.len() as u32);
    }
    let n = rows as f64;
    p.kind_uses = vec![Vec::new(); kinds];
    p.class_uses = vec![Vec::new(); 3];
    p.limits.push(limit(n * random.between(0.2, 1.5)));
    p.budget = Some(0);
    for kind in 0..kinds {
        if random.chance(0.5) {
            let c = p.limits.len();
            p.kind_uses[kind].push((c, 1.0));
            p.limits.push(limit((n * random.between(0.1, 0.4)).ceil()));
        }
    }
    if minima {
        let c = p.limits.len();
        p.kind_uses[0].push((c, -1.0));
        p.limits
            .push(limit(-(n * random.between(0.05, 0.2)).floor()));
        let c = p.limits.len();
        p.class_uses[1].push((c, -1.0));
        let members = p.classes.iter().filter(|class| **class == 1).count() as f64;
        p.limits.push(limit(-0.3 * members));
    }
    let c = p.limits.len();
    for (class, uses) in p.class_uses.iter_mut().enumerate() {
        uses.push((c, if class == 0 { 0.6 } else { -0.4 }));
    }
    p.limits.push(limit(0.0));
    let c = p.limits.len();
    p.kind_uses[0].push((c, 1.0));
    p.kind_uses[1].push((c, -1.0));
    p.limits.push(limit(0.0));
    p.set_scales();
    p
}

/// The best plan by trying all.
fn brute_force(p: &Problem, row: usize, gain: f64, used: &[f64], best: &mut Option<f64>) {
    if row == p.rows() {
        if p.breaches(used) == 0.0 && best.is_none_or(|best| gain > best) {
            *best = Some(gain);
        }
        return;
    }
    for entry in p.entries(row).map(|e| e as u32).chain([NO_ENTRY]) {
        let mut used = used.to_vec();
        p.add_uses(row, entry, 1.0, &mut used);
        let more = match entry {
            NO_ENTRY => 0.0,
            entry => p.gains[entry as usize],
        };
        brute_force(p, row + 1, gain + more, &used, best);
    }
}

fn check(p: &Problem, plan: &Solution) {
    assert_eq!(plan.entries.len(), p.rows());
    for (row, entry) in plan.entries.iter().enumerate() {
        assert!(*entry == NO_ENTRY || p.entries(row).contains(&(*entry as usize)));
    }
    assert_eq!(p.breaches(&p.used(&plan.entries)), 0.0);
    assert!((p.gain(&plan.entries) - plan.gain).abs() <= 1e-9 * plan.gain.abs().max(1.0));
    assert!(plan.gain <= plan.bound);
    assert!(plan.duals.iter().all(|d| *d >= 0.0 && d.is_finite()));
}

#[test]
fn tiny_problems_are_solved_to_the_optimum() {
    let (mut solved, mut refused) = (0, 0);
    for seed in 0..150 {
        let p = random(seed, 7, 3, seed % 2 == 0);
        let mut best = None;
        brute_force(&p, 0, 0.0, &vec![0.0; p.limits.len()], &mut best);
        match (run(&p, 1e-9), best) {
            (Answer::Plan(plan), Some(best)) => {
                check(&p, &plan);
                assert!(
                    (plan.gain - best).abs() < 1e-9,
                    "{seed}: {} {best}",
                    plan.gain
                );
                assert!(
                    (plan.bound - best).abs() < 1e-9,
                    "{seed}: {} {best}",
                    plan.bound
                );
                solved += 1;
            }
            (Answer::Conflict(_) | Answer::NotFound(_), None) => refused += 1,
            (answer, best) => panic!("{seed}: {answer:?} {best:?}"),
        }
    }
    assert!(solved > 100 && refused > 0, "{solved} {refused}");
}

#[test]
fn larger_problems_come_with_a_small_gap() {
    for (seed, rows, gap) in [
        (1, 400, 3e-3),
        (2, 3_000, 5e-4),
        (3, 3_000, 5e-4),
        (6, 40_000, 1e-4),
        (4, 90_000, 1e-4),
    ] {
        let p = random(seed, rows, 5, seed % 2 == 0);
        let plan = plan(&p, 1e-4);
        check(&p, &plan);
        let got = (plan.bound - plan.gain) / plan.bound;
        assert!(got <= gap, "{rows} rows: gap {got}, {} passes", plan.passes);
    }
}

#[test]
fn rows_that_are_all_alike_are_split() {
    // 1,000 rows like one another, two kinds, room for 300 and 200 of them.
    let n = 1_000;
    let mut p = Problem {
        offsets: (0..=n).map(|i| 2 * i).collect(),
        classes: vec![0; n as usize],
        kinds: [0, 1].repeat(n as usize),
        gains: [5.0, 4.0].repeat(n as usize),
        costs: [1.0, 1.0].repeat(n as usize),
        kind_uses: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
        class_uses: vec![vec![]],
        budget: Some(2),
        limits: vec![limit(300.0), limit(200.0), limit(450.0)],
    };
    p.set_scales();
    let plan = plan(&p, 1e-6);
    assert!(
        (plan.gain - (300.0 * 5.0 + 150.0 * 4.0)).abs() < 1e-9,
        "{}",
        plan.gain
    );
    assert!((plan.bound - plan.gain).abs() < 1e-3);
    // Money is worth the second kind's gain, and a place of the first what it has over that.
    let prices = [1.0, 0.0, 4.0];
    for (got, want) in plan.duals.iter().zip(prices) {
        assert!((got - want).abs() < 1e-3, "{:?}", plan.duals);
    }
}

#[test]
fn without_constraints_each_row_takes_its_best() {
    let mut p = random(5, 50, 3, false);
    p.limits.clear();
    p.budget = None;
    p.kind_uses = vec![Vec::new(); 3];
    p.class_uses = vec![Vec::new(); 3];
    let plan = plan(&p, 0.0);
    let best = |row| p.entries(row).map(|e| p.gains[e]).fold(0.0, f64::max);
    let best: f64 = (0..p.rows()).map(best).sum();
    assert!((plan.gain - best).abs() < 1e-12 && plan.bound == plan.gain);
}

#[test]
fn conflicts_are_named_and_minimal() {
    let mut p = random(7, 3_000, 3, false);
    // At least 900 of kind 2, which costs 0.1 at least, with a budget of 50, and room for 1,000.
    let c = p.limits.len();
    p.kind_uses[2].push((c, -1.0));
    p.limits.push(limit(-900.0));
    p.limits[0].limit = 50.0;
    p.set_scales();
    match run(&p, 1e-4) {
        Answer::Conflict(set) => assert_eq!(set, [0, c]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn threads_do_not_matter() {
    let p = random(8, 70_000, 4, true);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| plan(&p, 1e-4))
    };
    let (one, many) = (with(1), with(5));
    assert_eq!(one.entries, many.entries);
    assert_eq!(one.bound.to_bits(), many.bound.to_bits());
}

#[test]
fn the_curve_rises_and_agrees_with_single_solves() {
    for only_budget in [true, false] {
        let mut p = random(9, 2_000, 4, false);
        if only_budget {
            p.limits.truncate(1);
            p.kind_uses.iter_mut().for_each(Vec::clear);
            p.class_uses.iter_mut().for_each(Vec::clear);
            p.set_scales();
        }
        let progress = Progress::none();
        let step = progress.step("optimize", 1);
        let curve = budget_curve(&mut p, 9, 1e-4, &step).unwrap();
        assert_eq!(curve.len(), 9);
        for pair in curve.windows(2) {
            assert!(pair[0].budget < pair[1].budget);
            assert!(pair[0].gain <= pair[1].gain * (1.0 + 1e-4));
            assert!(pair[0].price >= pair[1].price - 1e-6);
        }
        for point in &curve {
            assert!(point.gain <= point.bound + 1e-9);
            p.limits[0].limit = point.budget;
            let plan = plan(&p, 1e-4);
            assert!(plan.gain <= point.bound * (1.0 + 1e-9) + 1e-9);
            assert!(point.gain <= plan.bound * (1.0 + 1e-9) + 1e-9);
            assert!(plan.bound - plan.gain <= 2e-3 * plan.bound.max(1.0));
        }
    }
}
