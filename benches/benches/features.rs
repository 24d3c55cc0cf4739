//! Features of all customers, of a few families, and the summary.

use churn_benches::input::{Arrival, Ids};
use churn_benches::size::{Size, sizes};
use churn_core::events::Cleaning;
use churn_core::features::{FeatureSpec, SummarySettings, summarize};
use churn_core::{AsOf, EventLog};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn log(size: Size) -> (EventLog, AsOf) {
    let log = size.rows(Arrival::Customer, Ids::Int).unwrap();
    let built = EventLog::from_columns(&log.columns(), &Cleaning::default()).unwrap();
    (built, log.end())
}

fn build(bencher: Bencher<'_, '_>, size: Size, spec: &FeatureSpec) {
    let (log, end) = log(size);
    let history = log.history(end);
    let orders_or_first = spec.features.first().map_or("orders", String::as_str);
    bencher.counter(ItemsCount::new(log.len())).bench_local(|| {
        let table = churn_core::features::build(&history, spec).unwrap();
        assert_eq!(table.len(), log.customers().len());
        let column = table.column(orders_or_first).unwrap();
        // Every simulated customer has an order.
        assert!(column.iter().all(|value| *value >= 0.0));
        table
    });
}

#[divan::bench(args = sizes())]
fn all(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, &FeatureSpec::default());
}

#[divan::bench(args = sizes())]
fn rfm(bencher: Bencher<'_, '_>, size: Size) {
    let spec = FeatureSpec::default().with_features(["orders", "days_since_last", "total_value"]);
    build(bencher, size, &spec);
}

#[divan::bench(args = sizes())]
fn windows(bencher: Bencher<'_, '_>, size: Size) {
    let spec = FeatureSpec::default().with_features(["orders_30d", "value_90d", "views_7d"]);
    build(bencher, size, &spec);
}

#[divan::bench(args = sizes())]
fn rhythm(bencher: Bencher<'_, '_>, size: Size) {
    let spec = FeatureSpec::default().with_features(["gap_mean", "silence_tail"]);
    build(bencher, size, &spec);
}

#[divan::bench(args = sizes())]
fn summary(bencher: Bencher<'_, '_>, size: Size) {
    let (log, end) = log(size);
    let history = log.history(end);
    bencher.counter(ItemsCount::new(log.len())).bench_local(|| {
        let summary = summarize(&history, &SummarySettings::default()).unwrap();
        assert_eq!(summary.len(), log.customers().len());
        summary
    });
}
