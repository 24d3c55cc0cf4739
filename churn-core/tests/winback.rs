//! The whole flow: customers that only browse, and settings that do not fit each other.

use churn_core::events::{Cleaning, EventColumns};
use churn_core::progress::Progress;
use churn_core::scoring::lifetime::{Family, LifetimeScoring};
use churn_core::simulate::Shop;
use churn_core::text::Language;
use churn_core::winback::{JourneySettings, WinBack, WinBackSettings};
use churn_core::{AsOf, ErrorKind, EventLog, Horizon, Result, TimeUnit};

fn run(settings: &WinBackSettings) -> Result<WinBack> {
    let ids = ["ann", "ann", "bea"];
    let kinds = ["purchase", "purchase", "view"];
    let columns = EventColumns::new(&ids, &[10, 40, 50], TimeUnit::Day, &kinds);
    let log = EventLog::from_columns(&columns, &Cleaning::default())?;
    WinBack::run(
        &log,
        AsOf::parse("1970-03-01")?,
        settings,
        &Progress::none(),
    )
}

#[test]
fn who_never_bought_has_a_story_too() {
    let result = run(&WinBackSettings::default()).unwrap();
    let story = result.story(1, Language::English).unwrap();
    assert!(
        story.starts_with("Customer bea: 0 orders, 0.00 spent, never bought."),
        "{story}"
    );
    assert!(
        result
            .story(1, Language::Chinese)
            .unwrap()
            .contains("从未购买")
    );
    assert!(!story.contains("NaN"), "{story}");
    assert_eq!(result.rfm_segment.label(1), "no_purchase");
}

#[test]
fn scores_and_grid_must_have_the_same_bins() {
    let mut settings = WinBackSettings::default();
    settings.features.rfm.bins = 10;
    let error = run(&settings).unwrap_err();
    assert_eq!(
        (error.kind(), error.what()),
        (ErrorKind::InvalidParameter, "grid.bins")
    );
    assert_eq!(error.expected(), "the 10 bins of recency_score");
}

fn shop() -> (EventLog, AsOf) {
    let shop = Shop {
        customers: 400,
        days: 400,
        ..Shop::default()
    };
    let shop = shop.open().unwrap();
    let log = EventLog::from_columns(&shop.columns(), &Cleaning::default()).unwrap();
    (log, AsOf::parse("2022-12-15").unwrap())
}

#[test]
fn a_model_of_buying_scores_the_shop() {
    let (log, as_of) = shop();
    let quiet = Progress::none();
    let lifetime = LifetimeScoring {
        horizon_days: 60,
        ..LifetimeScoring::default()
    };
    let settings = WinBackSettings {
        lifetime: Some(lifetime.clone()),
        ..WinBackSettings::default()
    };
    let result = WinBack::run(&log, as_of, &settings, &quiet).unwrap();
    let model = result.lifetime.as_ref().unwrap();
    assert_eq!(model.family(), Family::MbgNbd);
    assert_eq!(result.scores.horizon(), Horizon::days(60).unwrap());
    let churn = result.scores.churn_probability();
    let none = result.features.column("no_purchase_probability").unwrap();
    let alive = result.features.column("probability_alive").unwrap();
    let orders = result.features.column("orders").unwrap();
    for row in 0..result.features.len() {
        if orders[row] > 0.0 {
            assert_eq!(churn[row], none[row]);
            assert!((0.0..=1.0).contains(&alive[row]));
        } else {
            assert!(churn[row] == 1.0 && none[row].is_nan() && alive[row].is_nan());
        }
    }
    assert!(!result.scores.sentences(0, 2, Language::English).is_empty());

    // As features beside the scorecard, which then scores as ever.
    let beside = WinBackSettings {
        lifetime: Some(LifetimeScoring {
            scores: false,
            ..lifetime
        }),
        ..WinBackSettings::default()
    };
    let beside = WinBack::run(&log, as_of, &beside, &quiet).unwrap();
    let plain = WinBack::run(&log, as_of, &WinBackSettings::default(), &quiet).unwrap();
    assert_eq!(beside.scores, plain.scores);
    assert!(plain.lifetime.is_none() && !plain.features.contains("probability_alive"));
    assert_eq!(
        beside.features.column("probability_alive").unwrap().len(),
        alive.len()
    );
    // A method of one's own sees the features and keeps the word.
    let own = |table: &churn_core::features::FeatureTable| {
        assert!(table.contains("expected_purchases"));
        WinBackSettings::default().scorecard.score(table)
    };
    let own = WinBack::run_with(&log, as_of, &settings, own, &quiet).unwrap();
    assert_eq!(own.scores, plain.scores);
}

#[test]
fn conditions_may_name_the_answers_of_a_model() {
    let (log, as_of) = shop();
    let lifetime = Some(LifetimeScoring::default());
    let playbook = churn_core::strategy::Playbook::DEFAULT_TOML.replace(
        "audience = \"risk_tier == 'high' and orders >= 1\"",
        "audience = \"orders >= 1 and probability_alive < 0.5 and expected_purchases < 1\"",
    );
    assert!(playbook.contains("probability_alive"));
    let settings = WinBackSettings {
        lifetime,
        playbook: churn_core::winback::PlaybookSource::Toml(playbook.clone()),
        ..WinBackSettings::default()
    };
    let result = WinBack::run(&log, as_of, &settings, &Progress::none()).unwrap();
    let alive = result.features.column("probability_alive").unwrap();
    let won = |row: &usize| {
        let action = result.plan.action(*row);
        action.is_some_and(|action| action.id == "win_back")
    };
    let rows: Vec<usize> = (0..alive.len()).filter(won).collect();
    assert!(!rows.is_empty() && rows.iter().all(|row| alive[*row] < 0.5));
    // Without a model nobody knows the names.
    let without = WinBackSettings {
        lifetime: None,
        ..settings.clone()
    };
    assert!(WinBack::run(&log, as_of, &without, &Progress::none()).is_err());
    // Journeys read them as well.
    let replay = settings.replay(
        &log,
        AsOf::parse("2022-11-20").unwrap(),
        as_of,
        &JourneySettings::default(),
        &Progress::none(),
    );
    assert!(replay.unwrap().contacts() > 0);
}

#[test]
fn a_model_that_cannot_be_fitted_says_why() {
    let settings = WinBackSettings {
        lifetime: Some(LifetimeScoring::default()),
        ..WinBackSettings::default()
    };
    // One repeat purchase of one customer: a limit of the model, but an answer.
    assert!(run(&settings).is_ok());
    let ids = ["ann", "bea"];
    let columns = EventColumns::new(
        &ids,
        &[10, 40],
        TimeUnit::Day,
        churn_core::events::EventKind::Purchase,
    );
    let log = EventLog::from_columns(&columns, &Cleaning::default()).unwrap();
    let as_of = AsOf::parse("1970-03-01").unwrap();
    let error = WinBack::run(&log, as_of, &settings, &Progress::none()).unwrap_err();
    assert_eq!(
        (error.kind(), error.what()),
        (ErrorKind::NotEnoughData, "summary.frequency")
    );
    let settings = WinBackSettings {
        lifetime: Some(LifetimeScoring {
            horizon_days: 0,
            ..LifetimeScoring::default()
        }),
        ..WinBackSettings::default()
    };
    let error = WinBack::run(&log, as_of, &settings, &Progress::none()).unwrap_err();
    assert_eq!(error.what(), "horizon_days");
}
