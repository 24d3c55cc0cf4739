//! The build: from rows in any order to the ordered log, and the cut at an instant.

use churn_benches::input::{Arrival, Ids};
use churn_benches::size::{Size, sizes};
use churn_core::EventLog;
use churn_core::events::Cleaning;
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn build(bencher: Bencher<'_, '_>, size: Size, arrival: Arrival, ids: Ids) {
    let log = size.rows(arrival, ids).unwrap();
    let expected = (log.len(), log.customer_count());
    bencher.counter(ItemsCount::new(log.len())).bench_local(|| {
        let built = EventLog::from_columns(&log.columns(), &Cleaning::default()).unwrap();
        assert_eq!((built.len(), built.customers().len()), expected);
        built
    });
}

#[divan::bench(args = sizes())]
fn build_random(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, Arrival::Random, Ids::Int);
}

#[divan::bench(args = sizes())]
fn build_by_time(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, Arrival::Time, Ids::Int);
}

#[divan::bench(args = sizes())]
fn build_by_customer(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, Arrival::Customer, Ids::Int);
}

#[divan::bench(args = sizes())]
fn build_random_text_ids(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, Arrival::Random, Ids::Text);
}

#[divan::bench(args = sizes())]
fn build_random_uuid_ids(bencher: Bencher<'_, '_>, size: Size) {
    build(bencher, size, Arrival::Random, Ids::Uuid);
}

#[divan::bench(args = sizes())]
fn history(bencher: Bencher<'_, '_>, size: Size) {
    let log = size.rows(Arrival::Customer, Ids::Int).unwrap();
    let end = log.end();
    let built = EventLog::from_columns(&log.columns(), &Cleaning::default()).unwrap();
    bencher
        .counter(ItemsCount::new(log.customer_count()))
        .bench_local(|| {
            let history = built.history(end);
            assert_eq!(history.customers().len(), built.customers().len());
            history.as_of()
        });
}
