//! The whole flow: customers that only browse, and settings that do not fit each other.

use churn_core::events::{Cleaning, EventColumns};
use churn_core::progress::Progress;
use churn_core::text::Language;
use churn_core::winback::{WinBack, WinBackSettings};
use churn_core::{AsOf, ErrorKind, EventLog, Result, TimeUnit};

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
