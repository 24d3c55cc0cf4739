//! Customers into groups, and what the groups are like.

use churn_benches::size::{Size, sizes};
use churn_core::features::FeatureTable;
use churn_core::segments::{Grid, RiskTiers, Segments, lifecycle, profile};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn assign(bencher: Bencher<'_, '_>, table: &FeatureTable, assign: impl Fn() -> Segments) {
    let expected = assign();
    assert!(
        expected
            .codes()
            .iter()
            .any(|code| *code != expected.codes()[0])
    );
    bencher
        .counter(ItemsCount::new(table.len()))
        .bench_local(|| {
            let segments = assign();
            assert_eq!(segments, expected);
            segments
        });
}

#[divan::bench(args = sizes())]
fn rfm_grid(bencher: Bencher<'_, '_>, size: Size) {
    let table = size.features().unwrap();
    let grid = Grid::default();
    assign(bencher, &table, || grid.assign(&table).unwrap());
}

#[divan::bench(args = sizes())]
fn risk_tiers(bencher: Bencher<'_, '_>, size: Size) {
    let (table, scores) = size.scores().unwrap();
    let tiers = RiskTiers::default();
    assign(bencher, &table, || tiers.assign(&scores).unwrap());
}

#[divan::bench(args = sizes())]
fn lifecycle_stages(bencher: Bencher<'_, '_>, size: Size) {
    let table = size.features().unwrap();
    assign(bencher, &table, || lifecycle(&table).unwrap());
}

#[divan::bench(args = sizes())]
fn profiles(bencher: Bencher<'_, '_>, size: Size) {
    let table = size.features().unwrap();
    let segments = lifecycle(&table).unwrap();
    bencher
        .counter(ItemsCount::new(table.len()))
        .bench_local(|| {
            let profiles = profile(&segments, &table).unwrap();
            assert_eq!(profiles.len(), segments.labels().len());
            profiles
        });
}
