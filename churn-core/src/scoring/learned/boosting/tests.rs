use super::*;
use crate::error::ErrorKind;
use crate::math::random::Random;
use crate::scoring::learned::{Link, MISSING_LEVEL};

/// Columns of numbers with missing cells and of levels, and outcomes that depend on both.
pub(crate) fn example(rows: usize, seed: u64) -> (Frame<'static>, Vec<f64>) {
    let mut random = Random::new(seed, 0);
    let names: Vec<String> = (0..12).map(|l| format!("level {l:02}")).collect();
    let mut numbers: [Vec<f64>; 9] = Default::default();
    let (mut codes, mut target) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for _ in 0..rows {
        let x: Vec<f64> = (0..9).map(|_| random.normal()).collect();
        let level = random.next_u64() as u32 % 13;
        let mut score = x[0] + x[1] * x[2] - (x[3] > 0.5) as u8 as f64;
        score += [0.8, -0.8, 0.0][level as usize % 3];
        for (j, (column, x)) in numbers.iter_mut().zip(&x).enumerate() {
            // Column 4 is missing more often where the outcome is likely.
            let missing = match j {
                4 => random.chance(if score > 0.0 { 0.6 } else { 0.2 }),
                5 | 0 => random.chance(0.1),
                _ => false,
            };
            let rounded = if j == 6 { x.round() } else { *x };
            column.push(if missing { f64::NAN } else { rounded });
        }
        codes.push(if level == 12 { MISSING_LEVEL } else { level });
        let probability = 1.0 / (1.0 + (-2.0 * score + 1.0).exp());
        target.push(f64::from(u8::from(random.chance(probability))));
    }
    let numbers = numbers.into_iter().enumerate();
    let mut columns: Vec<(String, Column<'static>)> = numbers
        .map(|(j, values)| (format!("x{j}"), Column::Numeric(values.into())))
        .collect();
    let levels = Column::Categorical {
        codes: codes.into(),
        levels: names.into(),
    };
    columns.insert(3, ("plan".into(), levels));
    (Frame::new(columns).unwrap(), target)
}

fn fit(settings: &Boosting, frame: &Frame<'_>, target: &[f64]) -> TreeEnsemble {
    settings
        .fit(frame, target, None, None, &Progress::none())
        .unwrap()
}

pub(crate) fn log_loss(p: &[f64], y: &[f64]) -> f64 {
    let losses = p
        .iter()
        .zip(y)
        .map(|(p, y)| -(if *y == 1.0 { *p } else { 1.0 - p }).ln());
    losses.sum::<f64>() / y.len() as f64
}

#[test]
fn threads_do_not_matter() {
    let (frame, target) = example(150_000, 1);
    let settings = Boosting {
        trees: 5,
        leaves: 20,
        ..Boosting::default()
    };
    let model = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&settings, &frame, &target))
    };
    let one = model(1);
    assert_eq!(one, model(2));
    assert_eq!(one, model(7));
    let p = one.predict(&frame).unwrap();
    assert!(log_loss(&p, &target) < 0.9 * 0.69);
}

/// Small leaves with skewed weights, where the estimate of rows is often wrong.
#[test]
fn the_least_rows_hold_exactly_for_any_number_of_threads() {
    let (frame, target) = example(4_000, 2);
    let settings = Boosting {
        trees: 60,
        learning_rate: 0.3,
        min_rows_in_leaf: 25,
        positive_weight: 40.0,
        min_hessian: 0.0,
        ..Boosting::default()
    };
    let model = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&settings, &frame, &target))
    };
    let one = model(1);
    assert!(one.least_rows() >= 25);
    for threads in [2, 3, 7] {
        assert_eq!(one, model(threads), "{threads} threads");
    }
}

fn permuted(frame: &Frame<'_>, order: &[usize]) -> Frame<'static> {
    let columns = frame
        .names()
        .iter()
        .zip(frame.columns())
        .map(|(name, column)| {
            let column = match column {
                Column::Numeric(values) => {
                    Column::Numeric(order.iter().map(|&i| values[i]).collect::<Vec<_>>().into())
                }
                Column::Categorical { codes, levels } => Column::Categorical {
                    codes: order.iter().map(|&i| codes[i]).collect::<Vec<_>>().into(),
                    levels: levels.to_vec().into(),
                },
            };
            (name.clone(), column)
        });
    Frame::new(columns.collect()).unwrap()
}

#[test]
fn order_of_rows_and_numbering_of_levels_do_not_matter() {
    let (frame, target) = example(3_000, 3);
    let settings = Boosting {
        trees: 20,
        ..Boosting::default()
    };
    let expected = fit(&settings, &frame, &target);
    let mut order: Vec<usize> = (0..frame.rows()).collect();
    let mut random = Random::new(9, 9);
    for i in (1..order.len()).rev() {
        order.swap(i, random.next_u64() as usize % (i + 1));
    }
    let shuffled: Vec<f64> = order.iter().map(|&i| target[i]).collect();
    assert_eq!(
        fit(&settings, &permuted(&frame, &order), &shuffled),
        expected
    );
    // Levels in another order, and one that no row has.
    let renumbered = frame
        .names()
        .iter()
        .zip(frame.columns())
        .map(|(name, column)| {
            let column = match column {
                Column::Numeric(_) => column.clone(),
                Column::Categorical { codes, levels } => {
                    let last = levels.len() as u32;
                    let turned = |c: &u32| if *c == MISSING_LEVEL { *c } else { last - c };
                    let mut levels = levels.to_vec();
                    levels.push("never".into());
                    levels.reverse();
                    let codes: Vec<u32> = codes.iter().map(turned).collect();
                    Column::Categorical {
                        codes: codes.into(),
                        levels: levels.into(),
                    }
                }
            };
            (name.clone(), column)
        });
    let renumbered = Frame::new(renumbered.collect()).unwrap();
    assert_eq!(fit(&settings, &renumbered, &target), expected);
    assert_eq!(
        expected.margins(&renumbered).unwrap(),
        expected.margins(&frame).unwrap()
    );
}

#[test]
fn one_row_is_scored_like_many() {
    let (frame, target) = example(2_000, 4);
    let model = fit(
        &Boosting {
            trees: 37,
            ..Boosting::default()
        },
        &frame,
        &target,
    );
    let margins = model.margins(&frame).unwrap();
    // Columns in another order, with one that the model does not know.
    let mut names: Vec<&str> = vec!["unknown"];
    names.extend(frame.names().iter().rev().map(String::as_str));
    let mut scorer = model.row_scorer(&names).unwrap();
    for (i, margin) in margins.iter().enumerate() {
        let row: Vec<f64> = names
            .iter()
            .map(|name| match frame.column(name) {
                Err(_) => 1e9,
                Ok(Column::Numeric(values)) => values[i],
                Ok(Column::Categorical { codes, levels }) => match codes[i] {
                    MISSING_LEVEL => f64::NAN,
                    code => scorer.level(name, &levels[code as usize]).unwrap(),
                },
            })
            .collect();
        assert_eq!(scorer.margin(&row).unwrap(), *margin);
    }
    let row = vec![0.0; names.len()];
    assert!(scorer.level("plan", "no such plan").unwrap().is_nan());
    assert_eq!(
        scorer.level("x0", "a").unwrap_err().kind(),
        ErrorKind::UnknownName
    );
    assert_eq!(
        scorer.margin(&row[1..]).unwrap_err().kind(),
        ErrorKind::LengthMismatch
    );
    for (name, bad) in [
        ("x0", f64::INFINITY),
        ("plan", 0.5),
        ("plan", -1.0),
        ("plan", 12.0),
    ] {
        let mut row = row.clone();
        let place = names.iter().position(|n| *n == name).unwrap();
        row[place] = bad;
        let error = scorer.margin(&row).unwrap_err();
        assert_eq!(
            error.to_string().split(':').next(),
            Some(format!("row[{place}]").as_str())
        );
    }
    let error = model.row_scorer(&["x0", "x1"]).unwrap_err();
    assert_eq!(
        (error.kind(), error.got()),
        (ErrorKind::UnknownName, "\"x2\"")
    );
}

/// Along a constrained column, with all other cells as they are, the margin never turns back.
#[test]
fn monotone_constraints_hold_everywhere() {
    for seed in 0..6 {
        let (frame, target) = example(1_500, 100 + seed);
        let directions = [("x0", 1), ("x2", -1), ("x3", 1), ("x4", -1), ("x6", 1)];
        let settings = Boosting {
            trees: 40,
            learning_rate: 0.3,
            l1: if seed % 2 == 0 { 0.0 } else { 0.5 },
            l2: [0.0, 1.0, 5.0][seed as usize % 3],
            row_sample: if seed < 3 { 1.0 } else { 0.7 },
            monotone: directions
                .iter()
                .map(|(n, d)| (n.to_string(), *d))
                .collect(),
            ..Boosting::default()
        };
        let model = fit(&settings, &frame, &target);
        let free = Boosting {
            monotone: BTreeMap::new(),
            ..settings.clone()
        };
        assert_ne!(model, fit(&free, &frame, &target));
        let mut random = Random::new(seed, 1);
        let row = |i: usize| -> Vec<f64> {
            frame
                .columns()
                .iter()
                .map(|column| match column {
                    Column::Numeric(values) => values[i],
                    Column::Categorical { codes, .. } if codes[i] == MISSING_LEVEL => f64::NAN,
                    Column::Categorical { codes, .. } => f64::from(codes[i]),
                })
                .collect()
        };
        let mut scorer = model.row_scorer(frame.names()).unwrap();
        let mut moved = 0;
        for i in 0..200 {
            for (name, direction) in directions {
                let place = frame.names().iter().position(|n| n == name).unwrap();
                let mut row = row(i);
                let mut steps: Vec<f64> = (0..40).map(|_| 3.0 * random.normal()).collect();
                steps.extend([-1e300, 1e300, f64::MAX, f64::MIN]);
                steps.sort_by(f64::total_cmp);
                let margins: Vec<f64> = steps
                    .into_iter()
                    .map(|x| {
                        row[place] = x;
                        scorer.margin(&row).unwrap() * f64::from(direction)
                    })
                    .collect();
                assert!(margins.is_sorted(), "{seed} {name}: {margins:?}");
                moved += usize::from(margins[0] < margins[margins.len() - 1]);
            }
        }
        assert!(moved > 500, "{moved}");
    }
}

#[test]
fn missing_values_and_levels_are_learned_from() {
    let missing: Vec<f64> = (0..400)
        .map(|i| if i % 4 == 0 { f64::NAN } else { 1.0 })
        .collect();
    let codes: Vec<u32> = (0..400).map(|i| i % 10).collect();
    let levels: Vec<String> = (0..10).map(|l| format!("{l}")).collect();
    let settings = Boosting {
        trees: 60,
        learning_rate: 0.3,
        ..Boosting::default()
    };
    let numbers = Frame::new(vec![("x".into(), Column::Numeric(missing.into()))]).unwrap();
    let target: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
    let p = fit(&settings, &numbers, &target).predict(&numbers).unwrap();
    assert!(log_loss(&p, &target) < 0.01);
    let named = Column::Categorical {
        codes: codes.into(),
        levels: levels.into(),
    };
    let named = Frame::new(vec![("plan".into(), named)]).unwrap();
    // No cut along the order of the names could part these.
    let target: Vec<f64> = (0..400)
        .map(|i| f64::from(u8::from([0, 3, 4, 8].contains(&(i % 10)))))
        .collect();
    let model = fit(&settings, &named, &target);
    assert!(log_loss(&model.predict(&named).unwrap(), &target) < 0.02);
    // An unknown level is a missing one, and goes where most went.
    let other = |levels: &[&str], codes: &[u32]| {
        let levels: Vec<String> = levels.iter().map(|l| l.to_string()).collect();
        let column = Column::Categorical {
            codes: codes.to_vec().into(),
            levels: levels.into(),
        };
        model
            .predict(&Frame::new(vec![("plan".into(), column)]).unwrap())
            .unwrap()
    };
    let p = other(&["new", "3", "1"], &[0, MISSING_LEVEL, 1, 2]);
    assert_eq!(p[0], p[1]);
    assert!(p[0] < 0.5 && p[2] > 0.9 && p[3] < 0.1, "{p:?}");
}

#[test]
fn rare_levels_count_as_missing() {
    let rows = 3_000;
    let levels: Vec<String> = (0..300).map(|l| format!("{l:03}")).collect();
    let codes: Vec<u32> = (0..rows)
        .map(|i| if i < 600 { i / 2 } else { i % 50 })
        .collect();
    let target: Vec<f64> = codes
        .iter()
        .map(|c| f64::from(u8::from(c % 3 == 0)))
        .collect();
    let column = Column::Categorical {
        codes: codes.into(),
        levels: levels.into(),
    };
    let frame = Frame::new(vec![("plan".into(), column)]).unwrap();
    let settings = Boosting {
        trees: 50,
        min_rows_in_leaf: 5,
        ..Boosting::default()
    };
    let model = fit(&settings, &frame, &target);
    let p = model.predict(&frame).unwrap();
    assert!(p.iter().all(|p| p.is_finite()));
    assert!(log_loss(&p, &target) < 0.3);
}

#[test]
fn the_best_iteration_on_validation_rows_is_kept() {
    let (frame, target) = example(600, 5);
    let (held, outcomes) = example(600, 6);
    let settings = Boosting {
        trees: 400,
        learning_rate: 0.3,
        early_stopping_rounds: 15,
        ..Boosting::default()
    };
    let none = Progress::none();
    let validation = Validation {
        frame: &held,
        target: &outcomes,
        weights: None,
    };
    let stopped = settings
        .fit(&frame, &target, None, Some(validation), &none)
        .unwrap();
    let all = Boosting {
        early_stopping_rounds: 0,
        ..settings.clone()
    };
    let all = all
        .fit(&frame, &target, None, Some(validation), &none)
        .unwrap();
    assert_eq!(all.trees(), 400);
    assert!((1..100).contains(&stopped.trees()), "{}", stopped.trees());
    let loss = |trees| {
        let model = fit(
            &Boosting {
                trees,
                ..settings.clone()
            },
            &frame,
            &target,
        );
        log_loss(&model.predict(&held).unwrap(), &outcomes)
    };
    let best = (1..stopped.trees() + 16)
        .min_by(|&a, &b| loss(a).total_cmp(&loss(b)))
        .unwrap();
    assert_eq!(best, stopped.trees());
}

#[test]
fn weights_count_like_copies() {
    let (frame, target) = example(900, 7);
    let copies: Vec<usize> = (0..900).flat_map(|i| vec![i; i % 4]).collect();
    let weights: Vec<f64> = (0..900).map(|i| (i % 4) as f64).collect();
    let settings = Boosting {
        trees: 10,
        min_rows_in_leaf: 1,
        min_hessian: 5.0,
        ..Boosting::default()
    };
    let none = Progress::none();
    let weighted = settings
        .fit(&frame, &target, Some(&weights), None, &none)
        .unwrap();
    let copied: Vec<f64> = copies.iter().map(|&i| target[i]).collect();
    let several = fit(&settings, &permuted(&frame, &copies), &copied);
    assert!((weighted.base() - several.base()).abs() < 1e-12);
    // Bins are cut over rows, not weights, so the trees may differ a little where bins matter.
    let (a, b) = (
        weighted.predict(&frame).unwrap(),
        several.predict(&frame).unwrap(),
    );
    let gap = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 900.0;
    assert!(gap < 0.02, "{gap}");
    // A weight of zero is no row at all.
    let kept: Vec<usize> = (0..900).filter(|i| i % 4 > 0).collect();
    let some: Vec<f64> = kept.iter().map(|&i| target[i]).collect();
    let some_weights: Vec<f64> = kept.iter().map(|&i| weights[i]).collect();
    let without = settings.fit(
        &permuted(&frame, &kept),
        &some,
        Some(&some_weights),
        None,
        &none,
    );
    assert_eq!(without.unwrap(), weighted);
}

#[test]
fn numbers_are_learned_by_squared_error() {
    let (frame, _) = example(4_000, 8);
    let Column::Numeric(x) = frame.column("x1").unwrap() else {
        unreachable!()
    };
    let target: Vec<f64> = x.iter().map(|x| 1e6 + 100.0 * x.abs()).collect();
    let settings = Boosting {
        objective: Objective::SquaredError,
        trees: 200,
        ..Boosting::default()
    };
    let model = fit(&settings, &frame, &target);
    assert_eq!(model.link(), Link::Identity);
    let p = model.predict(&frame).unwrap();
    let error = p
        .iter()
        .zip(&target)
        .map(|(p, y)| (p - y).abs())
        .sum::<f64>()
        / 4_000.0;
    assert!(error < 3.0, "{error}");
    let constant = fit(&settings, &frame, &[7.0; 4_000]);
    assert_eq!(
        (constant.trees(), constant.predict(&frame).unwrap()[0]),
        (0, 7.0)
    );
}

#[test]
fn samples_are_drawn_by_seed() {
    let (frame, target) = example(2_000, 10);
    let settings = Boosting {
        trees: 30,
        row_sample: 0.6,
        column_sample: 0.5,
        ..Boosting::default()
    };
    let model = fit(&settings, &frame, &target);
    assert_eq!(model, fit(&settings, &frame, &target));
    assert_ne!(
        model,
        fit(
            &Boosting {
                seed: 1,
                ..settings.clone()
            },
            &frame,
            &target
        )
    );
    assert!(log_loss(&model.predict(&frame).unwrap(), &target) < 0.6);
}

#[test]
fn mistakes_are_named() {
    let (frame, target) = example(50, 11);
    let none = Progress::none();
    let error = |settings: Boosting| {
        settings
            .fit(&frame, &target, None, None, &none)
            .unwrap_err()
    };
    let base = Boosting::default;
    let text = |settings| error(settings).to_string();
    assert_eq!(
        text(Boosting {
            learning_rate: 0.0,
            ..base()
        }),
        "boosting.learning_rate: expected a number above 0 and at most 1, got 0"
    );
    assert!(
        text(Boosting {
            max_bins: 256,
            ..base()
        })
        .starts_with("boosting.max_bins")
    );
    assert!(
        text(Boosting {
            leaves: 1,
            ..base()
        })
        .starts_with("boosting.leaves")
    );
    assert!(
        text(Boosting {
            l2: f64::NAN,
            ..base()
        })
        .starts_with("boosting.l2")
    );
    let monotone = |name: &str, d| Boosting {
        monotone: [(name.to_string(), d)].into(),
        ..base()
    };
    assert_eq!(error(monotone("x99", 1)).kind(), ErrorKind::UnknownName);
    assert_eq!(
        text(monotone("plan", 1)),
        "boosting.monotone.plan: expected a numeric column, got a categorical one"
    );
    assert_eq!(
        text(monotone("x0", 2)),
        "boosting.monotone.x0: expected -1, 0 or 1, got 2"
    );
    let fit = |target: &[f64], weights: Option<&[f64]>| {
        base()
            .fit(&frame, target, weights, None, &none)
            .unwrap_err()
    };
    assert_eq!(fit(&target[1..], None).kind(), ErrorKind::LengthMismatch);
    assert_eq!(fit(&[1.0; 50], None).kind(), ErrorKind::NotEnoughData);
    assert_eq!(
        fit(&target, Some(&[0.0; 50])).kind(),
        ErrorKind::NotEnoughData
    );
    let mut bad = target.clone();
    bad[7] = 2.0;
    assert_eq!(
        fit(&bad, None).to_string(),
        "boosting.target[7]: expected 0 or 1, got 2"
    );
    let mut weights = vec![1.0; 50];
    weights[3] = -1.0;
    assert_eq!(fit(&target, Some(&weights)).row(), Some(3));
    let stop = |_| crate::progress::Control::Stop;
    let cancelled = base().fit(&frame, &target, None, None, &Progress::new(&stop));
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    let empty = Frame::new(vec![("x".into(), Column::Numeric(Vec::new().into()))]).unwrap();
    let none_at_all = base().fit(&empty, &[], None, None, &none);
    assert_eq!(none_at_all.unwrap_err().kind(), ErrorKind::NotEnoughData);
    let model = base().fit(&frame, &target, None, None, &none).unwrap();
    let less = Frame::new(vec![("x0".into(), frame.columns()[0].clone())]).unwrap();
    assert_eq!(
        model.predict(&less).unwrap_err().to_string(),
        "column: expected one of x0, got \"x1\""
    );
}

#[test]
fn odd_columns_are_harmless() {
    let rows = 300;
    let x: Vec<f64> = (0..rows).map(|i| f64::from(i % 100)).collect();
    let target: Vec<f64> = x.iter().map(|x| f64::from(u8::from(*x > 50.0))).collect();
    let column = |values: Vec<f64>| Column::Numeric(values.into());
    let frame = Frame::new(vec![
        ("constant".into(), column(vec![1.0; rows as usize])),
        ("missing".into(), column(vec![f64::NAN; rows as usize])),
        ("x".into(), column(x)),
        (
            "no levels".into(),
            Column::Categorical {
                codes: vec![MISSING_LEVEL; rows as usize].into(),
                levels: Vec::new().into(),
            },
        ),
        (
            "huge".into(),
            column(
                (0..rows)
                    .map(|i| if i % 2 == 0 { f64::MIN } else { f64::MAX })
                    .collect(),
            ),
        ),
    ])
    .unwrap();
    let settings = Boosting {
        trees: 20,
        learning_rate: 0.5,
        ..Boosting::default()
    };
    let p = fit(&settings, &frame, &target).predict(&frame).unwrap();
    assert!(log_loss(&p, &target) < 0.05);
    // Nothing to learn from: the mean.
    let nothing = Frame::new(vec![("constant".into(), frame.columns()[0].clone())]).unwrap();
    let model = fit(&settings, &nothing, &target);
    assert_eq!(model.trees(), 0);
    let share = target.iter().sum::<f64>() / f64::from(rows);
    assert!((model.predict(&nothing).unwrap()[0] - share).abs() < 1e-12);
}

#[test]
fn contributions_sum_to_the_margins() {
    let (frame, target) = example(1_000, 12);
    let model = fit(
        &Boosting {
            trees: 50,
            learning_rate: 0.3,
            ..Boosting::default()
        },
        &frame,
        &target,
    );
    let margins = model.margins(&frame).unwrap();
    let why = model.contributions(&frame, &Progress::none()).unwrap();
    assert_eq!(why.names(), frame.names());
    for (row, margin) in margins.iter().enumerate() {
        assert!(
            (why.margin(row) - margin).abs() < 1e-11,
            "{} {margin}",
            why.margin(row)
        );
    }
    // The base is the mean margin of the rows of training.
    let mean = margins.iter().sum::<f64>() / 1_000.0;
    assert!((why.base() - mean).abs() < 1e-9, "{} {mean}", why.base());
    let means = why.mean_absolute();
    let gains = model.importance(crate::scoring::learned::Importance::Gain);
    for importance in [means, gains] {
        let noise = importance[frame.names().iter().position(|n| n == "x7").unwrap()];
        assert!(importance[0] > 3.0 * noise, "{importance:?}");
    }
    let splits = model.importance(crate::scoring::learned::Importance::Splits);
    let sum = splits.iter().sum::<f64>();
    assert!((1000.0..=50.0 * 30.0).contains(&sum), "{sum}");
}
