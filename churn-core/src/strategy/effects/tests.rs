use super::*;
use crate::error::ErrorKind;
use crate::strategy::testing::{AT_RISK, Row, Shop};

fn observed(segment: Option<&str>) -> ObservedResponse {
    ObservedResponse {
        action: "win_back".into(),
        channels: Some(vec!["sms".into()]),
        segment: segment.map(|label| SegmentName {
            segmentation: "lifecycle".into(),
            label: label.into(),
        }),
        treated: 300,
        treated_stayed: 90,
        control: 100,
        control_stayed: 20,
    }
}

fn rows() -> Vec<Row> {
    let other = Row {
        churn_probability: 0.7,
        lifecycle: 5,
        ..AT_RISK
    };
    let third = Row {
        churn_probability: 0.9,
        ..AT_RISK
    };
    vec![AT_RISK, other, third]
}

#[test]
fn priors_come_from_the_playbook() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let mut playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let effects = Effects::new(&playbook, &facts, &EffectSettings::default()).unwrap();
    // Set 0 is message and SMS, set 2 SMS alone.
    let (change, source) = effects.change(&facts, 0, "win_back", 0).unwrap();
    assert_eq!(source, EffectSource::Playbook);
    assert!((change - 0.82 * 0.2 * (1.0 - 0.92 * 0.97)).abs() < 1e-15);
    playbook.actions[1].saves = Some(vec![0.05, 0.02, 0.01, 0.0, -0.01]);
    let effects = Effects::new(&playbook, &facts, &EffectSettings::default()).unwrap();
    // Both together are more than their sum.
    let change = |set| effects.change(&facts, 0, "win_back", set).unwrap().0;
    assert!((change(0) - 0.82 * 0.05).abs() < 1e-15);
    assert!(change(0) > change(1) + change(2) && change(4) < 0.0);
}

#[test]
fn observations_move_the_prior_as_far_as_they_weigh() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let with = |prior_strength, segment| {
        let settings = EffectSettings {
            prior_strength,
            observed: vec![observed(segment)],
            ..EffectSettings::default()
        };
        Effects::new(&playbook, &facts, &settings).unwrap()
    };
    // All three belong to the segment "everyone": stay 0.18, 0.3, 0.1; prior 0.2 · 0.03 · churn.
    let (stay, prior) = (0.58 / 3.0, 0.2 * 0.03 * 2.42 / 3.0);
    let posterior =
        |s: f64| (90.0 + s * (stay + prior)) / (300.0 + s) - (20.0 + s * stay) / (100.0 + s);
    for s in [0.0, 50.0, 100.0, 1e9] {
        let effects = with(s, None);
        let changes: Vec<f64> = (0..3)
            .map(|row| effects.change(&facts, row, "win_back", 2).unwrap().0)
            .collect();
        let mean = changes.iter().sum::<f64>() / 3.0;
        assert!((mean - posterior(s)).abs() < 1e-8, "{s}: {mean}");
        assert!(changes[2] > changes[0], "more at risk, more to gain");
    }
    let effects = with(100.0, Some("lost"));
    let source = |row, set| effects.change(&facts, row, "win_back", set).unwrap().1;
    assert_eq!(source(1, 2), EffectSource::Observed);
    assert_eq!(source(1, 0), EffectSource::Playbook);
    assert_eq!(source(0, 2), EffectSource::Playbook);
}

#[test]
fn estimates_come_first_and_stay_possible() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let settings = EffectSettings {
        observed: vec![observed(None)],
        ..EffectSettings::default()
    };
    let sms = ["sms".to_owned()];
    let (customers, as_of) = (facts.customers().clone(), facts.as_of());
    let uplift = |effects: Effects, channels, change: &[f64]| {
        effects.with_uplift("win_back", channels, &customers, as_of, change.to_vec())
    };
    let effects = Effects::new(&playbook, &facts, &settings).unwrap();
    let effects = uplift(effects, Some(&sms), &[0.1, f64::NAN, -0.5]).unwrap();
    let effects = uplift(effects, None, &[0.2, 0.95, 0.2]).unwrap();
    let change = |row, set| effects.change(&facts, row, "win_back", set).unwrap();
    assert_eq!(change(0, 2), (0.1, EffectSource::Uplift));
    assert_eq!(change(1, 2).1, EffectSource::Observed);
    // Nobody can become less likely to stay than never, or more than always.
    assert!((change(2, 2).0 + 0.1).abs() < 1e-15);
    assert!((change(1, 0).0 - 0.7).abs() < 1e-15);
    let error = uplift(effects.clone(), None, &[0.0, 2.0, 0.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "uplift.win_back[1]: expected a change of a probability from -1 to 1, or NaN, got 2"
    );
    let two = Customers::from_ints([0, 1]);
    let error = effects
        .with_uplift("win_back", None, &two, as_of, vec![0.0; 2])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misaligned);
}

#[test]
fn mistakes_name_the_place() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let fails = |change: fn(&mut EffectSettings), message: &str| {
        let mut settings = EffectSettings {
            observed: vec![observed(Some("lost"))],
            ..EffectSettings::default()
        };
        change(&mut settings);
        let error = Effects::new(&playbook, &facts, &settings).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    };
    fails(
        |s| s.saved_per_response = 1.5,
        "effects.saved_per_response: expected a share from 0 to 1, got 1.5",
    );
    fails(|s| s.prior_strength = f64::NAN, "effects.prior_strength: ");
    fails(
        |s| s.observed[0].action = "winback".into(),
        "effects.observed[0].action: expected one of vip_rescue, win_back",
    );
    fails(
        |s| s.observed[0].channels = Some(vec!["sms".into(), "email".into()]),
        "effects.observed[0].channels: expected one of one_to_one+sms",
    );
    fails(
        |s| s.observed[0].segment.as_mut().unwrap().label = "gone".into(),
        "effects.observed[0].segment.label: ",
    );
    fails(
        |s| s.observed[0].treated_stayed = 301,
        "effects.observed[0].treated_stayed: expected at most 300",
    );
    fails(
        |s| s.observed[0].treated = 0,
        "effects.observed[0].treated: ",
    );
}

#[test]
fn experiments_move_the_prior_by_their_precision() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let effects = |change, standard_error| {
        let settings = EffectSettings {
            prior_spread: 0.02,
            experiments: vec![ExperimentEffect {
                action: "win_back".into(),
                channels: Some(vec!["sms".into()]),
                segment: None,
                change,
                standard_error,
            }],
            // Also seen without chance: the experiment counts first.
            observed: vec![observed(None)],
            ..EffectSettings::default()
        };
        Effects::new(&playbook, &facts, &settings).unwrap()
    };
    let prior = 0.2 * 0.03 * 2.42 / 3.0;
    for (error, weight) in [(0.0, 1.0), (0.02, 0.5), (0.04, 0.2), (1e9, 0.0)] {
        let effects = effects(0.05, error);
        let changes: Vec<f64> = (0..3)
            .map(|row| {
                let (change, source) = effects.change(&facts, row, "win_back", 2).unwrap();
                assert_eq!(source, EffectSource::Experiment);
                change
            })
            .collect();
        let mean = changes.iter().sum::<f64>() / 3.0;
        let expected = prior + weight * (0.05 - prior);
        assert!((mean - expected).abs() < 1e-12, "{error}: {mean}");
        // In proportion to the priors, which are to the risk.
        assert!((changes[2] / changes[0] - 0.9 / 0.82).abs() < 1e-12);
    }
    // An uplift estimate is drawn towards what the experiment says, not towards the playbook.
    let known = effects(0.05, 0.02);
    let without = known.change(&facts, 1, "win_back", 2).unwrap().0;
    let (customers, as_of) = (facts.customers().clone(), facts.as_of());
    let with = |change: Vec<f64>, error: Vec<f64>| {
        known
            .clone()
            .with_uplift_errors("win_back", None, &customers, as_of, change, Some(error))
    };
    let nan = f64::NAN;
    let uplift = with(vec![0.1, 0.1, 0.1], vec![0.0, 0.02, f64::INFINITY]).unwrap();
    let change = |row| uplift.change(&facts, row, "win_back", 2).unwrap();
    assert_eq!(change(0), (0.1, EffectSource::Uplift));
    assert!((change(1).0 - (0.1 + without) / 2.0).abs() < 1e-15);
    assert_eq!(change(2).1, EffectSource::Experiment);
    let uplift = with(vec![0.1, nan, 0.1], vec![0.01, 0.01, nan]).unwrap();
    let source = |row| uplift.change(&facts, row, "win_back", 2).unwrap().1;
    assert_eq!(
        [source(0), source(1), source(2)].map(EffectSource::name),
        ["uplift", "experiment", "experiment"]
    );
    let error = with(vec![0.1; 3], vec![0.0, -1.0, 0.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "uplift.win_back.standard_error[1]: expected a standard error of at least 0, or NaN, got -1"
    );
}

#[test]
fn mistakes_in_experiments_name_the_place() {
    let shop = Shop::new(&rows());
    let facts = shop.facts();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let fails = |change: fn(&mut EffectSettings), message: &str| {
        let mut settings = EffectSettings {
            experiments: vec![ExperimentEffect {
                action: "win_back".into(),
                channels: None,
                segment: None,
                change: 0.1,
                standard_error: 0.1,
            }],
            ..EffectSettings::default()
        };
        change(&mut settings);
        let error = Effects::new(&playbook, &facts, &settings).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    };
    fails(
        |s| s.prior_spread = 0.0,
        "effects.prior_spread: expected a finite number above 0",
    );
    fails(
        |s| s.experiments[0].change = 1.5,
        "effects.experiments[0].change: expected a change",
    );
    fails(
        |s| s.experiments[0].standard_error = f64::NAN,
        "effects.experiments[0].standard_error: ",
    );
    fails(
        |s| s.experiments[0].channels = Some(vec!["fax".into()]),
        "effects.experiments[0].channels: expected one of ",
    );
}
