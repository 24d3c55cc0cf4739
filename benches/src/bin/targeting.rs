//! Naive targeting beside targeting for profit, on simulated shops whose truth is known: true
//! incremental profit at equal budget, over many seeds, with intervals.
//!
//! Each seed is a shop of its own. All policies see the same features and scores as of a day 90
//! days before the end of the log, and spend the same planned budget on one win-back coupon (or
//! news) over four channel sets. What their plans really bring and cost is computed from the truth:
//! `simulate::Persuasion` says whose mind an offer changes. The policies:
//!
//! - `top risk`: the coupon over SMS for the customers most at risk, until the money is gone;
//! - `risk × value`: the same, ranked by churn probability times spend;
//! - `priority`: the playbook by priority, cut where the money is gone;
//! - `profit, same coupon`: `optimize` with the playbook's priors, but only the coupon over SMS: the
//!   same as `top risk` except for whom;
//! - `profit, priors`: `optimize` with the playbook's priors alone;
//! - `profit, observed`: `optimize` after a pilot that treated a random tenth of the customers a
//!   quarter earlier, by lifecycle stage;
//! - `profit, truth`: `optimize` with the true changes as uplift: what perfect knowledge would bring.
//!
//! `cargo run -p churn-benches --release --bin targeting -- --seeds 30`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::process::ExitCode;

use churn_benches::measure::{argument, machine, refuse_unknown_arguments};
use churn_core::events::Cleaning;
use churn_core::features::{FeatureSpec, LIFECYCLE_STAGES, build};
use churn_core::progress::Progress;
use churn_core::scoring::Scorecard;
use churn_core::segments::{Grid, RiskTiers, Segments, lifecycle};
use churn_core::simulate::{CustomerTruth, Persuasion, Shop, SimulatedShop};
use churn_core::strategy::{
    Effects, Facts, ObservedResponse, OptimizeSettings, Plan, Playbook, SegmentName, optimize,
    optimize_with,
};
use churn_core::{AsOf, CustomerId, EventLog, Horizon, Result, Timestamp};

/// Share of readers about to leave whom the coupon and the news persuade.
const COUPON: f64 = 0.35;
const NEWS: f64 = 0.08;
const COUPON_COST: f64 = 10.0;
const MARGIN: f64 = 0.3;
const HORIZON_DAYS: u32 = 90;

const PLAYBOOK: &str = r#"
version = 1
name = "Coupon or news"
currency = "EUR"
choose_by = "profit"

[[channels]]
id = "one_to_one"
name = { en = "One-to-one", zh = "一对一" }
cost = 0.2
prior_response = 0.25

[[channels]]
id = "sms"
name = { en = "SMS", zh = "短信" }
cost = 0.08
prior_response = 0.2

[[channels]]
id = "email"
name = { en = "E-mail", zh = "电子邮件" }
cost = 0.01
prior_response = 0.08

[[channels]]
id = "push"
name = { en = "Push", zh = "推送" }
cost = 0.005
prior_response = 0.1

[[offers]]
id = "coupon"
name = { en = "Coupon", zh = "优惠券" }
text = { en = "10 off", zh = "减10" }
cost = 10
paid = "on_purchase"

[[offers]]
id = "news"
name = { en = "News", zh = "新品" }
text = { en = "News", zh = "新品" }
cost = 0

[[actions]]
id = "coupon"
name = { en = "Coupon", zh = "优惠券" }
priority = 2
audience = "risk_tier == 'high' or (risk_tier == 'medium' and orders >= 2)"
offers = ["coupon"]
channel_sets = [["sms"], ["one_to_one"], ["email"], ["one_to_one", "sms"]]
response_value = 30

[[actions]]
id = "news"
name = { en = "News", zh = "新品" }
priority = 1
audience = "everyone"
offers = ["news"]
channel_sets = [["email"], ["push"], ["email", "push"], ["sms"]]
response_value = 5
"#;

const POLICIES: [&str; 7] = [
    "top risk",
    "risk × value",
    "priority",
    "profit, same coupon",
    "profit, priors",
    "profit, observed",
    "profit, truth",
];

fn main() -> ExitCode {
    let run = || -> std::result::Result<(), String> {
        refuse_unknown_arguments(&["seeds", "customers", "budget"])?;
        let seeds: u64 = argument("seeds", 30)?;
        let customers: u32 = argument("customers", 8_000)?;
        let budget: f64 = argument("budget", 0.25)?;
        println!("machine: {}", machine());
        println!("{seeds} shops of {customers} customers, planned budget {budget} per customer");
        report(seeds, customers, budget).map_err(|error| error.to_string())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("targeting: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What a policy really did.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    profit: f64,
    spent: f64,
    contacted: f64,
    /// Share of those contacted who would have stayed anyway.
    wasted: f64,
}

fn report(seeds: u64, customers: u32, budget: f64) -> Result<()> {
    let mut all: Vec<Vec<Outcome>> = vec![Vec::new(); POLICIES.len()];
    for seed in 1..=seeds {
        for (outcomes, outcome) in all.iter_mut().zip(one_shop(seed, customers, budget)?) {
            outcomes.push(outcome);
        }
    }
    println!();
    println!("Means over shops; in brackets the 95 % interval of the mean (t distribution).");
    println!();
    println!(
        "| policy | true profit | against top risk | really spent | contacted | would have stayed |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let profit = |outcome: &Outcome| outcome.profit;
    let naive: Vec<f64> = all[0].iter().map(profit).collect();
    for (policy, outcomes) in POLICIES.iter().zip(&all) {
        let profits: Vec<f64> = outcomes.iter().map(profit).collect();
        let better: Vec<f64> = profits.iter().zip(&naive).map(|(p, n)| p - n).collect();
        let mean =
            |part: fn(&Outcome) -> f64| interval(&outcomes.iter().map(part).collect::<Vec<_>>()).0;
        println!(
            "| {policy} | {} | {} | {:.0} | {:.0} | {:.0} % |",
            text(interval(&profits)),
            text(interval(&better)),
            mean(|o| o.spent),
            mean(|o| o.contacted),
            100.0 * mean(|o| o.wasted),
        );
    }
    let first: Vec<f64> = all[4].iter().map(profit).collect();
    assert!(
        interval(&first).0 > interval(&naive).0,
        "profit targeting should pay"
    );
    Ok(())
}

fn text((mean, half): (f64, f64)) -> String {
    format!("{mean:.0} [{:.0}, {:.0}]", mean - half, mean + half)
}

/// Mean and half the width of its 95 % interval.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    // Quantile of the t distribution by its expansion around the normal one (Fisher & Cornish).
    let (z, df) = (1.959_963_985, n - 1.0);
    let z3 = z * z * z;
    let t = z + (z3 + z) / (4.0 * df) + (5.0 * z3 * z * z + 16.0 * z3 + 3.0 * z) / (96.0 * df * df);
    (mean, t * (variance / n).sqrt())
}

fn one_shop(seed: u64, customers: u32, budget: f64) -> Result<Vec<Outcome>> {
    let settings = Shop {
        customers,
        seed,
        ..Shop::default()
    };
    let shop = settings.open()?;
    let log = EventLog::from_columns(&shop.columns(), &Cleaning::strict())?;
    let horizon = Horizon::days(HORIZON_DAYS)?;
    let as_of = AsOf::new(shop.end.plus_days(-f64::from(HORIZON_DAYS)));
    let table = build(&log.history(as_of), &FeatureSpec::default())?;
    let scores = Scorecard::default().score(&table)?;
    let tiers = RiskTiers::default().assign(&scores)?;
    let grid = Grid::default().assign(&table)?;
    let stages = lifecycle(&table)?;
    let facts = Facts::new(&table, &scores, &[&tiers, &grid, &stages])?;
    let playbook = Playbook::from_toml(PLAYBOOK, facts.vocabulary())?;
    let truths: Vec<&CustomerTruth> = table
        .customers()
        .iter()
        .map(|id| match id {
            CustomerId::Uint(id) => &shop.truth[id as usize - 1],
            CustomerId::Int(id) => &shop.truth[id as usize - 1],
            CustomerId::Text(_) => unreachable!("ids of the shop are numbers"),
        })
        .collect();
    let judge = Judge {
        truths: &truths,
        at: as_of.instant(),
        horizon,
    };
    let money = budget * table.len() as f64;
    let mut settings = OptimizeSettings::default();
    settings.constraints.budget = Some(money);
    settings.value.margin = MARGIN;

    let churn = scores.churn_probability();
    let spend = table.column("value_365d")?;
    let risk: Vec<f64> = churn.to_vec();
    let worth: Vec<f64> = churn.iter().zip(spend).map(|(p, v)| p * v).collect();
    // Everybody plans with the same costs: the contact, and the coupon for those expected to buy.
    let planned = |row: usize| 0.08 + COUPON_COST * (1.0 - churn[row]);
    let ranked = |rank: &[f64]| {
        let mut order: Vec<usize> = (0..rank.len()).collect();
        order.sort_by(|a, b| rank[*b].total_cmp(&rank[*a]));
        judge.spend(
            order.into_iter().map(|row| (row, 0, 0, planned(row))),
            money,
        )
    };

    let mut by_priority = playbook.clone();
    by_priority.choose_by = Default::default();
    let matched = churn_core::strategy::match_actions(&by_priority, &facts)?;
    let rows = (0..table.len()).filter(|row| matched.action(*row).is_some());
    let matched = judge.spend(
        rows.map(|row| {
            let (action, set) = codes(&matched, row);
            let offer = if action == 0 {
                COUPON_COST * (1.0 - churn[row])
            } else {
                0.0
            };
            (row, action, set, matched.contact_cost()[row] + offer)
        }),
        money,
    );

    let mut single = playbook.clone();
    single.actions.truncate(1);
    single.actions[0].audience = "everyone".into();
    single.actions[0].channel_sets.truncate(1);
    let single = optimize(&single, &facts, &settings, &Progress::none())?;
    let priors = optimize(&playbook, &facts, &settings, &Progress::none())?;
    let mut seen = settings.clone();
    seen.effects.observed = pilot(&log, &shop, as_of, &playbook, seed)?;
    let observed = optimize(&playbook, &facts, &seen, &Progress::none())?;
    let mut effects = Effects::new(&playbook, &facts, &settings.effects)?;
    for (a, action) in playbook.actions.iter().enumerate() {
        for (s, set) in action.channel_sets.iter().enumerate() {
            let change = (0..table.len())
                .map(|row| judge.change(row, a, s))
                .collect();
            effects =
                effects.with_uplift(&action.id, Some(set), table.customers(), as_of, change)?;
        }
    }
    let known = optimize_with(effects, &facts, &settings, &Progress::none())?;
    Ok(vec![
        ranked(&risk),
        ranked(&worth),
        matched,
        judge.plan(&single),
        judge.plan(&priors),
        judge.plan(&observed),
        judge.plan(&known),
    ])
}

fn codes(plan: &Plan, row: usize) -> (usize, usize) {
    (
        plan.action_codes()[row] as usize,
        plan.channel_set_codes()[row] as usize,
    )
}

/// Channels of the channel sets, by position in the truth's open probabilities.
const SETS: [[&[usize]; 4]; 2] = [[&[1], &[0], &[2], &[0, 1]], [&[2], &[3], &[2, 3], &[1]]];
const CONTACT: [[f64; 4]; 2] = [[0.08, 0.2, 0.01, 0.28], [0.01, 0.005, 0.015, 0.08]];

/// What plans really bring.
struct Judge<'t> {
    truths: &'t [&'t CustomerTruth],
    at: Timestamp,
    horizon: Horizon,
}

impl Judge<'_> {
    fn change(&self, row: usize, action: usize, set: usize) -> f64 {
        let strength = if action == 0 { COUPON } else { NEWS };
        let channels = SETS[action][set];
        Persuasion::default().change(self.truths[row], self.at, self.horizon, channels, strength)
    }

    /// True profit and cost of one contact, and whether the customer would have stayed.
    fn contact(&self, row: usize, action: usize, set: usize) -> (f64, f64, bool) {
        let truth = self.truths[row];
        let stays = Persuasion::default()
            .days_gone(truth, self.at, self.horizon)
            .is_none();
        let change = self.change(row, action, set);
        // A year at the customer's own rhythm; who ordered once comes back about once.
        let orders = match truth.pattern {
            churn_core::simulate::Pattern::OneTime => 1.0,
            _ => 365.0 / truth.gap_days,
        };
        let buys = if stays { 1.0 } else { change };
        let coupon = if action == 0 { COUPON_COST * buys } else { 0.0 };
        let cost = CONTACT[action][set] + coupon;
        (
            change * truth.order_value * orders * MARGIN - cost,
            cost,
            stays,
        )
    }

    /// Takes contacts in order until the planned money is gone.
    fn spend(
        &self,
        contacts: impl Iterator<Item = (usize, usize, usize, f64)>,
        money: f64,
    ) -> Outcome {
        let mut left = money;
        let taken = contacts.take_while(|(.., planned)| {
            left -= planned;
            left >= 0.0
        });
        self.sum(taken.map(|(row, action, set, _)| (row, action, set)))
    }

    fn plan(&self, plan: &Plan) -> Outcome {
        let rows = (0..self.truths.len()).filter(|row| plan.action(*row).is_some());
        self.sum(rows.map(|row| {
            let (action, set) = codes(plan, row);
            (row, action, set)
        }))
    }

    fn sum(&self, contacts: impl Iterator<Item = (usize, usize, usize)>) -> Outcome {
        let mut outcome = Outcome::default();
        for (row, action, set) in contacts {
            let (profit, cost, stays) = self.contact(row, action, set);
            outcome.profit += profit;
            outcome.spent += cost;
            outcome.contacted += 1.0;
            outcome.wasted += f64::from(u8::from(stays));
        }
        outcome.wasted /= outcome.contacted.max(1.0);
        outcome
    }
}

/// A pilot a quarter earlier: a random tenth gets the coupon by SMS, a tenth the news by e-mail, a
/// tenth is watched; who bought within the horizon is counted by lifecycle stage.
fn pilot(
    log: &EventLog,
    shop: &SimulatedShop,
    as_of: AsOf,
    playbook: &Playbook,
    seed: u64,
) -> Result<Vec<ObservedResponse>> {
    let horizon = Horizon::days(HORIZON_DAYS)?;
    let earlier = AsOf::new(as_of.instant().plus_days(-f64::from(HORIZON_DAYS)));
    let table = build(&log.history(earlier), &FeatureSpec::default())?;
    let stages: Segments = lifecycle(&table)?;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Per stage: treated and stayed with coupon, with news, and alone.
    let mut counts = vec![[[0_u64; 2]; 3]; LIFECYCLE_STAGES.len()];
    for row in 0..table.len() {
        let arm = (10.0 * random.uniform()) as usize;
        let chance = random.uniform();
        if arm > 2 {
            continue;
        }
        let id = match table.customers().get(row) {
            CustomerId::Uint(id) => id as usize,
            CustomerId::Int(id) => id as usize,
            CustomerId::Text(_) => unreachable!("ids of the shop are numbers"),
        };
        let truth = &shop.truth[id - 1];
        let persuasion = Persuasion::default();
        let stays = persuasion
            .days_gone(truth, earlier.instant(), horizon)
            .is_none();
        let change = match arm {
            0 => persuasion.change(truth, earlier.instant(), horizon, &[1], COUPON),
            1 => persuasion.change(truth, earlier.instant(), horizon, &[2], NEWS),
            _ => 0.0,
        };
        let stayed = stays || chance < change;
        let count = &mut counts[stages.codes()[row] as usize][arm];
        count[0] += 1;
        count[1] += u64::from(stayed);
    }
    let mut observed = Vec::new();
    for (stage, counts) in LIFECYCLE_STAGES.iter().zip(&counts) {
        for (arm, action) in playbook.actions.iter().enumerate() {
            if counts[arm][0] == 0 {
                continue;
            }
            observed.push(ObservedResponse {
                action: action.id.clone(),
                channels: None,
                segment: Some(SegmentName {
                    segmentation: "lifecycle".into(),
                    label: (*stage).to_owned(),
                }),
                treated: counts[arm][0],
                treated_stayed: counts[arm][1],
                control: counts[2][0],
                control_stayed: counts[2][1],
            });
        }
    }
    Ok(observed)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
