//! The plan: reading the playbook, matching it, and the whole flow.

use churn_benches::input::{Arrival, Ids};
use churn_benches::size::{Size, sizes};
use churn_core::EventLog;
use churn_core::events::Cleaning;
use churn_core::progress::Progress;
use churn_core::segments::{Grid, RiskTiers, lifecycle};
use churn_core::strategy::{Facts, Playbook, match_actions};
use churn_core::winback::{WinBack, WinBackSettings};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

#[divan::bench]
fn default_playbook(bencher: Bencher<'_, '_>) {
    let settings = WinBackSettings::default();
    let channels = ["one_to_one", "sms", "email", "push"].map(String::from);
    bencher.bench_local(|| {
        let playbook = settings.load_playbook(&channels).unwrap();
        assert!(!playbook.actions.is_empty());
        playbook
    });
}

#[divan::bench(args = sizes())]
fn matching(bencher: Bencher<'_, '_>, size: Size) {
    let (table, scores) = size.scores().unwrap();
    let segments = [
        RiskTiers::default().assign(&scores).unwrap(),
        Grid::default().assign(&table).unwrap(),
        lifecycle(&table).unwrap(),
    ];
    let segments = [&segments[0], &segments[1], &segments[2]];
    let facts = Facts::new(&table, &scores, &segments).unwrap();
    let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
    let expected = match_actions(&playbook, &facts).unwrap();
    assert!(expected.action_codes().iter().any(|code| *code >= 0));
    bencher
        .counter(ItemsCount::new(table.len()))
        .bench_local(|| {
            let plan = match_actions(&playbook, &facts).unwrap();
            assert_eq!(plan.action_codes(), expected.action_codes());
            plan
        });
}

#[divan::bench(args = sizes())]
fn events_to_plan(bencher: Bencher<'_, '_>, size: Size) {
    let log = size.rows(Arrival::Random, Ids::Int).unwrap();
    let settings = WinBackSettings::default();
    bencher.counter(ItemsCount::new(log.len())).bench_local(|| {
        let built = EventLog::from_columns(&log.columns(), &Cleaning::default()).unwrap();
        let result = WinBack::run(&built, log.end(), &settings, &Progress::none()).unwrap();
        assert_eq!(result.plan.customers().len(), log.customer_count());
        result
    });
}
