//! What learned models answer to bad input: an error that names the place or a documented answer,
//! never NaN, whatever learns.

use churn_core::error::{Error, ErrorKind};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{
    ChurnModel, ChurnModelSettings, Column, Frame, Kernel, Learner, Svm,
};

const LEARNERS: [Learner; 6] = [
    Learner::Auto,
    Learner::Logistic,
    Learner::Boosting,
    Learner::Forest,
    Learner::Tree,
    Learner::Svm,
];

fn settings(learner: Learner) -> ChurnModelSettings {
    let mut settings = ChurnModelSettings {
        learner,
        folds: 3,
        ..ChurnModelSettings::default()
    };
    settings.boosting.trees = 10;
    settings.forest.trees = 10;
    settings.tree.min_rows_in_leaf = 5;
    settings.svm.features = 40;
    settings
}

fn numbers(cells: impl IntoIterator<Item = f64>) -> Column<'static> {
    Column::Numeric(cells.into_iter().collect::<Vec<f64>>().into())
}

fn levels(codes: impl IntoIterator<Item = u32>, names: &[&str]) -> Column<'static> {
    Column::Categorical {
        codes: codes.into_iter().collect::<Vec<u32>>().into(),
        levels: names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<Vec<_>>()
            .into(),
    }
}

const ROWS: u32 = 90;

fn silence() -> Column<'static> {
    numbers((0..ROWS).map(|i| f64::from(i % 30)))
}

/// Those who have been silent for long leave, mostly.
fn churned() -> Vec<f64> {
    let left = |i: u32| i % 30 + (i * 7) % 11 > 19;
    (0..ROWS).map(|i| f64::from(u8::from(left(i)))).collect()
}

fn frame(columns: Vec<(&str, Column<'static>)>) -> Result<Frame<'static>, Error> {
    let named = columns
        .into_iter()
        .map(|(name, column)| (name.to_owned(), column));
    Frame::new(named.collect())
}

fn plain() -> Frame<'static> {
    let plan = levels((0..ROWS).map(|i| i % 2), &["basic", "plus"]);
    frame(vec![("silence", silence()), ("plan", plan)]).unwrap()
}

fn fit(learner: Learner, frame: &Frame<'_>, target: &[f64]) -> Result<ChurnModel, Error> {
    settings(learner).fit(frame, target, None, &Progress::none())
}

/// Probabilities and contributions, all of them numbers.
fn answers(model: &ChurnModel, frame: &Frame<'_>) -> (Vec<f64>, Vec<f64>) {
    let told = model.explain(frame).unwrap();
    assert!(told.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
    assert!(told.points.iter().all(|p| p.is_finite()) && told.base_points.is_finite());
    let report = model.out_of_fold();
    assert!(report.log_loss.is_finite() && report.roc_auc.is_finite());
    (told.probabilities, told.points)
}

#[test]
fn a_constant_label_is_refused() {
    for learner in LEARNERS {
        for label in [0.0, 1.0] {
            let error = fit(learner, &plain(), &[label; ROWS as usize]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotEnoughData);
            assert_eq!(error.what(), "target");
        }
    }
}

#[test]
fn a_label_that_few_have_makes_fewer_folds() {
    for learner in LEARNERS {
        // Two churners: two folds with one each. One alone: a fold would have none.
        let mut target = [0.0; ROWS as usize];
        target[29] = 1.0;
        let error = fit(learner, &plain(), &target).unwrap_err();
        assert_eq!(
            error.to_string(),
            "target: expected at least two customers with each label, got 1"
        );
        target[59] = 1.0;
        answers(&fit(learner, &plain(), &target).unwrap(), &plain());
    }
}

#[test]
fn empty_and_constant_columns_say_nothing() {
    for learner in LEARNERS {
        let bare = frame(vec![("silence", silence())]).unwrap();
        let filled = frame(vec![
            ("silence", silence()),
            ("empty", numbers((0..ROWS).map(|_| f64::NAN))),
            ("constant", numbers((0..ROWS).map(|_| 7.0))),
            ("one level", levels((0..ROWS).map(|_| 0), &["only"])),
            ("no level", levels((0..ROWS).map(|_| u32::MAX), &[])),
        ])
        .unwrap();
        let model = fit(learner, &filled, &churned()).unwrap();
        let (_, points) = answers(&model, &filled);
        let rows = ROWS as usize;
        assert!(points[..rows].iter().any(|p| *p != 0.0), "{learner:?}");
        assert!(points[rows..].iter().all(|p| *p == 0.0), "{learner:?}");
        answers(&fit(learner, &bare, &churned()).unwrap(), &bare);
        // Nothing but such columns: everybody has the same probability.
        let nothing = filled.select(&["empty", "constant", "one level"]).unwrap();
        let (probabilities, _) = answers(&fit(learner, &nothing, &churned()).unwrap(), &nothing);
        assert!(probabilities.iter().all(|p| *p == probabilities[0]));
        // What was empty or constant in training may hold anything later.
        let later = frame(vec![
            ("silence", silence()),
            ("empty", numbers((0..ROWS).map(f64::from))),
            (
                "constant",
                numbers((0..ROWS).map(|i| if i > 3 { f64::NAN } else { -1e300 })),
            ),
            (
                "one level",
                levels((0..ROWS).map(|i| i % 2), &["only", "other"]),
            ),
            ("no level", levels((0..ROWS).map(|i| i % 2), &["a", "b"])),
        ]);
        answers(&model, &later.unwrap());
    }
}

#[test]
fn infinity_is_refused_by_name_and_row() {
    for cell in [f64::INFINITY, f64::NEG_INFINITY] {
        let cells = numbers((0..ROWS).map(|i| if i == 4 { cell } else { 1.0 }));
        let error = frame(vec![("spend", cells)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("spend[4]: expected a finite number or NaN, got {cell}")
        );
    }
    let model = fit(Learner::Auto, &plain(), &churned()).unwrap();
    let mut scorer = model.scorer(&["plan", "silence"]).unwrap();
    let error = scorer.predict(&[0.0, f64::INFINITY]).unwrap_err();
    assert_eq!(error.what(), "row.silence");
}

#[test]
fn numbers_at_the_edge_of_the_type_are_answered() {
    for learner in LEARNERS {
        let huge = numbers((0..ROWS).map(|i| f64::from(i % 30) * 1e306));
        let table = frame(vec![("silence", huge)]).unwrap();
        if let Ok(model) = fit(learner, &table, &churned()) {
            answers(&model, &table);
        }
        let model = fit(learner, &plain(), &churned()).unwrap();
        let far = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -0.0, f64::NAN];
        let plan = levels([0, 1, 0, 1, u32::MAX], &["basic", "plus"]);
        answers(
            &model,
            &frame(vec![("silence", numbers(far)), ("plan", plan)]).unwrap(),
        );
    }
}

#[test]
fn levels_that_training_has_not_seen_are_answered() {
    for learner in LEARNERS {
        let model = fit(learner, &plain(), &churned()).unwrap();
        let later = frame(vec![
            ("silence", numbers([3.0, 3.0, 3.0])),
            ("plan", levels([0, 1, 2], &["gold", "basic", "silver"])),
        ])
        .unwrap();
        // What is not known is the same whatever its name.
        let (probabilities, _) = answers(&model, &later);
        assert_eq!(probabilities[0], probabilities[2], "{learner:?}");
    }
}

#[test]
fn columns_are_found_by_name() {
    for learner in LEARNERS {
        let model = fit(learner, &plain(), &churned()).unwrap();
        let plan = levels((0..ROWS).map(|i| 1 - i % 2), &["plus", "basic"]);
        let turned = frame(vec![
            ("plan", plan),
            ("silence", silence()),
            ("more", silence()),
        ]);
        assert_eq!(
            model.predict(&turned.unwrap()).unwrap(),
            model.predict(&plain()).unwrap()
        );
        let error = model
            .predict(&plain().select(&["silence"]).unwrap())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert_eq!(error.got(), "\"plan\"");
        let text = frame(vec![("silence", silence()), ("plan", silence())]).unwrap();
        let error = model.predict(&text).unwrap_err();
        assert_eq!(error.what(), "plan");
    }
}

#[test]
fn more_columns_than_rows_are_answered() {
    for learner in LEARNERS {
        let mut columns = vec![("silence".to_owned(), silence())];
        columns.extend((0..45).map(|j| {
            let cells = (0..ROWS).map(|i| f64::from((i * (j + 3) + j * j) % 23));
            (format!("noise {j}"), numbers(cells))
        }));
        let some: Vec<usize> = (0..30).collect();
        let wide = Frame::new(columns).unwrap().take(&some);
        let model = fit(learner, &wide, &churned()[..30]).unwrap();
        answers(&model, &wide);
    }
}

#[test]
fn ten_million_rows_are_learned_from_or_refused_by_name() {
    let rows = 10_000_000;
    let target: Vec<f64> = (0..rows).map(|i| f64::from(i % 3 / 2)).collect();
    let frame = frame(vec![("label", numbers(target.iter().copied()))]).unwrap();
    let machine = Svm {
        kernel: Kernel::Rbf,
        ..Svm::default()
    };
    let error = machine
        .fit(&frame, &target, None, &Progress::none())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "svm.features: expected at most 2^31 features times rows, got 1000 features, 10000000 rows"
    );
    let mut boosting = settings(Learner::Boosting).boosting;
    (boosting.trees, boosting.leaves, boosting.learning_rate) = (1, 2, 1.0);
    let model = boosting
        .fit(&frame, &target, None, None, &Progress::none())
        .unwrap();
    let probabilities = model.predict(&frame).unwrap();
    assert!(
        probabilities[0] < 0.11 && probabilities[2] > 0.9,
        "{:?}",
        &probabilities[..3]
    );
}
