//! The scorecard, and reasons in words.

use churn_benches::size::{Size, sizes};
use churn_core::scoring::Scorecard;
use churn_core::text::Language;
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

#[divan::bench(args = sizes())]
fn scorecard(bencher: Bencher<'_, '_>, size: Size) {
    let table = size.features().unwrap();
    let card = Scorecard::default();
    let expected = card.score(&table).unwrap();
    bencher
        .counter(ItemsCount::new(table.len()))
        .bench_local(|| {
            let scores = card.score(&table).unwrap();
            assert_eq!(scores.churn_probability(), expected.churn_probability());
            let inside = |p: &f64| (0.0..=1.0).contains(p);
            assert!(scores.churn_probability().iter().all(inside));
            scores
        });
}

#[divan::bench(args = sizes())]
fn sentences(bencher: Bencher<'_, '_>, size: Size) {
    let (table, scores) = size.scores().unwrap();
    bencher
        .counter(ItemsCount::new(table.len()))
        .bench_local(|| {
            let rows = 0..table.len();
            let sentences: usize = rows
                .map(|row| scores.sentences(row, 3, Language::English).len())
                .sum();
            assert!(sentences > table.len());
            sentences
        });
}
