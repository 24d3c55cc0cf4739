//! What experiments, hold-outs and uplift models say to data that are not as they should be: an
//! error that names the rows, or an answer that the documentation states.

use churn_core::evaluation::Exposures;
use churn_core::evaluation::experiment::{Arms, ComparisonSettings, Outcome, compare};
use churn_core::evaluation::policy_value::{Estimator, LoggedChoices, policy_value};
use churn_core::events::{Cleaning, EventColumns, EventKind};
use churn_core::metrics::uplift::{self, UpliftAtK, inverse_propensity_scores};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{Column, Frame};
use churn_core::scoring::uplift::{Method, Uplift, UpliftData, UpliftForest};
use churn_core::{EventLog, Horizon, TimeUnit, Timestamp};

const ROWS: usize = 60;

fn frame() -> Frame<'static> {
    let x: Vec<f64> = (0..ROWS).map(|i| (i % 7) as f64).collect();
    Frame::new(vec![("x".into(), Column::Numeric(x.into()))]).unwrap()
}

fn halves() -> Vec<u32> {
    (0..ROWS as u32).map(|i| i % 2).collect()
}

fn methods() -> Vec<Uplift> {
    let all = [
        Method::S,
        Method::T,
        Method::X,
        Method::Dr,
        Method::R,
        Method::TransformedOutcome,
        Method::Forest,
    ];
    let settings = |method| Uplift {
        method,
        folds: 2,
        forest: UpliftForest {
            trees: 20,
            min_per_arm: 3,
            ..UpliftForest::default()
        },
        ..Uplift::default()
    };
    all.into_iter().map(settings).collect()
}

fn arms(codes: Vec<u32>) -> Arms {
    Arms::from_codes(vec!["held out".into(), "contacted".into()], codes).unwrap()
}

#[test]
fn an_arm_without_rows_is_named() {
    let names = vec!["held out".to_owned(), "mail".to_owned(), "sms".to_owned()];
    let error = Arms::from_codes(names, vec![0, 1, 0, 1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "experiment.arms.sms: expected at least one unit, got 0"
    );
    // Treatment 1 is left out.
    let treatment: Vec<u32> = halves().iter().map(|arm| 2 * arm).collect();
    for settings in methods() {
        let data = UpliftData {
            frame: &frame(),
            treatment: &treatment,
            outcome: &[1.0; ROWS],
            propensity: None,
        };
        let error = settings.fit(&data, &Progress::none()).unwrap_err();
        assert_eq!(error.what(), "uplift.treatment.1");
    }
    let error = uplift::all(&[1.0, 2.0], &[true, true], &[0.0, 1.0], 0.5, 2).unwrap_err();
    assert_eq!(error.what(), "uplift.treated");
}

/// Nobody bought, or everybody: no effect, and no ratio or normalised area where there is none.
#[test]
fn one_class_only_is_no_effect() {
    for class in [0.0, 1.0] {
        let outcome = [class; ROWS];
        for settings in methods() {
            let data = UpliftData {
                frame: &frame(),
                treatment: &halves(),
                outcome: &outcome,
                propensity: None,
            };
            let model = settings.fit(&data, &Progress::none()).unwrap();
            let effect = model.predict(&frame()).unwrap().effect;
            // Inverse propensities know the level of an arm only from its own share.
            let slack = if settings.method == Method::TransformedOutcome {
                0.2
            } else {
                1e-9
            };
            assert!(
                effect.iter().all(|e| e.abs() < slack),
                "{:?}",
                settings.method
            );
            let held_out = settings.out_of_fold(&data, &Progress::none()).unwrap();
            assert_eq!(held_out.average_effects(), [(0.0, 0.0)]);
        }
        let found = compare(
            &arms(halves()),
            &outcome,
            Outcome::Binary,
            &[],
            &ComparisonSettings::default(),
        );
        let effect = &found.unwrap().effects[0];
        assert_eq!(
            (effect.difference.value, effect.difference.p_value),
            (0.0, 1.0)
        );
        assert_eq!(effect.ratio.is_some(), class == 1.0);
        let score: Vec<f64> = (0..ROWS).map(|i| i as f64).collect();
        let treated: Vec<bool> = halves().iter().map(|arm| *arm == 1).collect();
        let metrics = uplift::all(&score, &treated, &outcome, 0.3, 10).unwrap();
        assert_eq!(metrics.average_effect, 0.0);
        // With nobody bought the perfect ranking is no better than any.
        assert_eq!(metrics.qini_sklift.is_none(), class == 0.0);
    }
}

#[test]
fn certain_propensities_are_named_by_row() {
    for certain in [0.0, 1.0] {
        let mut propensity: Vec<f64> = vec![0.5; 2 * ROWS];
        (propensity[14], propensity[15]) = (1.0 - certain, certain);
        for settings in methods() {
            let data = UpliftData {
                frame: &frame(),
                treatment: &halves(),
                outcome: &[1.0; ROWS],
                propensity: Some(&propensity),
            };
            let error = settings.fit(&data, &Progress::none()).unwrap_err();
            assert_eq!((error.what(), error.row()), ("uplift.propensity", Some(7)));
        }
        let error = inverse_propensity_scores(&[true, false], &[1.0; 2], &[0.5, certain]);
        assert_eq!(error.unwrap_err().row(), Some(1));
    }
    // A choice that the logging policy was sure to make, or not to make.
    let value = |propensity: &[f64]| {
        let choices = LoggedChoices {
            reward: &[1.0, 0.0, 1.0],
            propensity,
            policy: &[1.0; 3],
        };
        policy_value(&choices, None, Estimator::InversePropensity, 0.95)
    };
    assert!(value(&[1.0, 0.5, 1.0]).is_ok());
    let error = value(&[0.5, 0.0, 0.5]).unwrap_err();
    assert_eq!((error.what(), error.row()), ("policy.propensity", Some(1)));
}

/// What happened before a customer entered is a covariate, not an outcome.
#[test]
fn outcomes_before_the_treatment_do_not_count() {
    let columns = EventColumns::new(
        &["ann", "ann", "bea", "bea"],
        &[5, 20, 5, 99],
        TimeUnit::Day,
        EventKind::Purchase,
    )
    .with_values(&[10.0, 3.0, 10.0, 1.0]);
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let day_10 = Timestamp::parse("1970-01-11").unwrap();
    let exposures =
        Exposures::new(&["ann", "bea"], &["mail", "none"], &[day_10; 2], "none").unwrap();
    let outcomes = exposures
        .outcomes(&log, Horizon::days(30).unwrap(), None)
        .unwrap();
    assert_eq!(outcomes.revenue, [3.0, 0.0]);
    assert_eq!(outcomes.bought, [1.0, 0.0]);
    assert_eq!(outcomes.revenue_before, [10.0, 10.0]);
}

#[test]
fn a_customer_in_two_arms_is_named_by_both_rows() {
    let day = Timestamp::parse("2020-01-01").unwrap();
    let error = Exposures::new(
        &["ann", "bea", "ann"],
        &["mail", "none", "none"],
        &[day; 3],
        "none",
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "experiment.arm[2]: expected \"mail\" as for customer ann in row 0, got \"none\""
    );
}

/// Money may be negative (more came back than was sold) but not missing; counts may be neither.
#[test]
fn money_may_be_negative_but_not_missing() {
    let mut money: Vec<f64> = (0..ROWS).map(|i| i as f64 - 20.0).collect();
    let settings = ComparisonSettings::default();
    let found = compare(&arms(halves()), &money, Outcome::Money, &[], &settings).unwrap();
    assert_eq!(found.effects[0].difference.value, 1.0);
    let error = compare(&arms(halves()), &money, Outcome::Count, &[], &settings).unwrap_err();
    assert_eq!((error.what(), error.row()), ("experiment.outcome", Some(0)));
    for settings in methods() {
        let data = UpliftData {
            frame: &frame(),
            treatment: &halves(),
            outcome: &money,
            propensity: None,
        };
        assert!(settings.fit(&data, &Progress::none()).is_ok());
    }
    money[9] = f64::NAN;
    let error = compare(&arms(halves()), &money, Outcome::Money, &[], &settings).unwrap_err();
    assert_eq!((error.what(), error.row()), ("experiment.outcome", Some(9)));
    let data = UpliftData {
        frame: &frame(),
        treatment: &halves(),
        outcome: &money,
        propensity: None,
    };
    let error = Uplift::default().fit(&data, &Progress::none()).unwrap_err();
    assert_eq!((error.what(), error.row()), ("uplift.outcome", Some(9)));
}

/// All scores and all outcomes alike: a ranking that says nothing, a test that sees nothing.
#[test]
fn ties_everywhere_say_nothing() {
    let treated: Vec<bool> = halves().iter().map(|arm| *arm == 1).collect();
    let outcome: Vec<f64> = (0..ROWS).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
    let flat = [0.5; ROWS];
    let metrics = uplift::all(&flat, &treated, &outcome, 0.3, 10).unwrap();
    assert!(metrics.qini_radcliffe.abs() < 1e-15);
    for strategy in [UpliftAtK::Overall, UpliftAtK::ByGroup] {
        let first = uplift::uplift_at_k(&flat, &treated, &outcome, 0.3, strategy).unwrap();
        assert!((first - metrics.average_effect).abs() < 1e-12);
    }
    let settings = ComparisonSettings::default();
    let found = compare(
        &arms(halves()),
        &[2.0; ROWS],
        Outcome::Money,
        &[],
        &settings,
    )
    .unwrap();
    let effect = &found.effects[0];
    assert_eq!(
        (effect.difference.value, effect.difference.p_value),
        (0.0, 1.0)
    );
    assert_eq!(effect.rank.unwrap().p_value, 1.0);
    assert_eq!(effect.posterior, None);
    // A column that is the same for all: one effect for all.
    let same = Frame::new(vec![("x".into(), Column::Numeric(vec![1.0; ROWS].into()))]).unwrap();
    for settings in methods() {
        let data = UpliftData {
            frame: &same,
            treatment: &halves(),
            outcome: &outcome,
            propensity: None,
        };
        let model = settings.fit(&data, &Progress::none()).unwrap();
        let effect = model.predict(&same).unwrap().effect;
        assert!(
            effect.iter().all(|e| *e == effect[0]),
            "{:?}",
            settings.method
        );
    }
}
