//! Naive targeting beside targeting for profit, on simulated shops whose truth is known: true
//! incremental profit at equal budget, over many seeds, with intervals.
//!
//! Each seed is a shop of its own. All policies see the same features and scores as of a day 90
//! days before the end of the log, and spend the same planned budget. What their plans really bring
//! and cost is computed from the truth: `simulate::Persuasion` says whose mind an offer changes.
//!
//! **Whom**: everybody has one thing to give, a coupon by SMS, so that policies differ in whom they
//! choose alone.
//!
//! - `at random`: everybody in an order of chance, until the money is gone;
//! - `silence first`, `risk first`, `risk × value`: the customers longest silent, most at risk, or of
//!   the largest churn probability times spend;
//! - `profit, priors`: `optimize` with the playbook's priors;
//! - `profit, observed`, `profit, experiment`: after a pilot a quarter earlier that treated a random
//!   share of the customers, by lifecycle stage, as counts or as differences with standard errors;
//! - `profit, uplift`: a doubly robust uplift model of the same pilot, calibrated out of fold, each
//!   customer's estimate drawn towards the experiment by its standard error;
//! - `profit, truth`: `optimize` with the true changes: the best that can be known.
//!
//! **Whom and what**: the coupon or news, each over four channel sets. `priority` takes the playbook by
//! priority, cut where the money is gone. The pilot knows the coupon by SMS and the news by e-mail; the
//! other channel sets are moved by what it says of these.
//!
//! ```sh
//! cargo run -p churn-benches --release --bin targeting -- --seeds 30
//! cargo run -p churn-benches --release --bin targeting -- --seeds 30 --sweep yes   # prior settings
//! cargo run -p churn-benches --release --bin targeting -- --seeds 30 --prior 0.2   # a prior that is off
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

mod judge;
mod pilot;

use std::process::ExitCode;

use churn_benches::measure::{argument, machine, refuse_unknown_arguments};
use churn_core::events::Cleaning;
use churn_core::features::{FeatureSpec, build};
use churn_core::progress::Progress;
use churn_core::scoring::Scorecard;
use churn_core::segments::{Grid, RiskTiers, lifecycle};
use churn_core::simulate::{CustomerTruth, Shop};
use churn_core::strategy::{
    EffectSettings, Effects, Facts, OptimizeSettings, Plan, Playbook, match_actions, optimize_with,
};
use churn_core::{AsOf, EventLog, Horizon, Result};

use judge::{Judge, Outcome};
use pilot::{ARMS, Estimates, Pilot, Random, id};

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

/// Strengths and spreads of the prior that `--sweep yes` tries.
const STRENGTHS: [f64; 7] = [0.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];
const SPREADS: [f64; 7] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0];

fn main() -> ExitCode {
    let run = || -> std::result::Result<(), String> {
        refuse_unknown_arguments(&["seeds", "customers", "budget", "pilot", "sweep", "prior"])?;
        let run = Run {
            seeds: argument("seeds", 30)?,
            customers: argument("customers", 8_000)?,
            budget: argument("budget", 0.25)?,
            pilot: argument("pilot", 0.1)?,
            sweep: argument::<String>("sweep", "no".to_owned())? == "yes",
            prior: argument("prior", 1.0)?,
        };
        println!("machine: {}", machine());
        println!(
            "{} shops of {} customers, planned budget {} per customer, pilot of three arms of {} each",
            run.seeds, run.customers, run.budget, run.pilot
        );
        run.report().map_err(|error| error.to_string())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("targeting: {message}");
            ExitCode::FAILURE
        }
    }
}

struct Run {
    seeds: u64,
    customers: u32,
    budget: f64,
    pilot: f64,
    sweep: bool,
    /// What the prior share of customers saved per response is multiplied by.
    prior: f64,
}

/// Policies by name with what they did, in blocks.
type Block = Vec<(String, Outcome)>;

impl Run {
    fn report(&self) -> Result<()> {
        let shops = (1..=self.seeds).map(|seed| self.one_shop(seed));
        let shops = shops.collect::<Result<Vec<Vec<(&str, Block)>>>>()?;
        println!();
        println!("Means over shops; in brackets the 95 % interval of the mean (t distribution).");
        for (b, (title, block)) in shops[0].iter().enumerate() {
            println!("\n{title}\n");
            println!(
                "| policy | true profit | against risk first | of the best | really spent | contacted | would have stayed |"
            );
            println!("|---|---:|---:|---:|---:|---:|---:|");
            let of = |p: usize, part: fn(&Outcome) -> f64| -> Vec<f64> {
                shops.iter().map(|shop| part(&shop[b].1[p].1)).collect()
            };
            let first = |name: &str| block.iter().position(|(policy, _)| policy == name);
            // Blocks of settings have neither: they are compared with their first line.
            let naive = of(first("risk first").unwrap_or(0), |o| o.profit);
            let best = of(first("profit, truth").unwrap_or(0), |o| o.profit);
            for (p, (policy, _)) in block.iter().enumerate() {
                let profits = of(p, |o| o.profit);
                let better: Vec<f64> = profits.iter().zip(&naive).map(|(p, n)| p - n).collect();
                let share = interval(&profits).0 / interval(&best).0;
                let mean = |part| interval(&of(p, part)).0;
                println!(
                    "| {policy} | {} | {} | {:.0} % | {:.0} | {:.0} | {:.0} % |",
                    text(interval(&profits)),
                    text(interval(&better)),
                    100.0 * share,
                    mean(|o| o.spent),
                    mean(|o| o.contacted),
                    100.0 * mean(|o| o.wasted),
                );
            }
        }
        Ok(())
    }

    fn one_shop(&self, seed: u64) -> Result<Vec<(&'static str, Block)>> {
        let settings = Shop {
            customers: self.customers,
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
        let truths: Vec<&CustomerTruth> = (0..table.len())
            .map(|row| &shop.truth[id(&table, row) - 1])
            .collect();
        let judge = Judge {
            truths: &truths,
            at: as_of.instant(),
            horizon,
        };
        let money = self.budget * table.len() as f64;
        let pilot = Pilot::run(&log, &shop.truth, as_of, self.pilot, seed)?;
        let lesson = Lesson {
            facts: &facts,
            judge: &judge,
            money,
            observed: pilot.observed(),
            experiments: pilot.experiments()?,
            uplift: pilot.uplift(&table, seed)?,
            prior: self.prior,
        };

        let all = Playbook::from_toml(PLAYBOOK, facts.vocabulary())?;
        let mut single = all.clone();
        single.actions.truncate(1);
        single.actions[0].audience = "everyone".into();
        single.actions[0].channel_sets.truncate(1);
        if self.sweep {
            return lesson.sweep(&single);
        }

        let churn = scores.churn_probability();
        let spend = table.column("value_365d")?;
        let silent = table.column("days_since_last")?;
        let mut random = Random(seed);
        let chance: Vec<f64> = churn.iter().map(|_| random.uniform()).collect();
        let worth: Vec<f64> = churn.iter().zip(spend).map(|(p, v)| p * v).collect();
        // Everybody plans with the same costs: the contact, and the coupon for those expected to buy.
        let planned = |row: usize| 0.08 + COUPON_COST * (1.0 - churn[row]);
        let ranked = |name: &str, rank: &[f64]| {
            let mut order: Vec<usize> = (0..rank.len()).collect();
            order.sort_by(|a, b| rank[*b].total_cmp(&rank[*a]));
            let contacts = order.into_iter().map(|row| (row, 0, 0, planned(row)));
            (name.to_owned(), judge.spend(contacts, money))
        };
        let mut whom = vec![
            ranked("at random", &chance),
            ranked("silence first", silent),
            ranked("risk first", churn),
            ranked("risk × value", &worth),
        ];
        whom.extend(lesson.learned(&single)?);

        let mut by_priority = all.clone();
        by_priority.choose_by = Default::default();
        let matched = match_actions(&by_priority, &facts)?;
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
        let mut what = vec![
            ranked("risk first", churn),
            ("priority".to_owned(), matched),
        ];
        what.extend(lesson.learned(&all)?);
        Ok(vec![
            ("**Whom** (the coupon by SMS for all policies)", whom),
            (
                "**Whom and what** (coupon or news, over four channel sets each)",
                what,
            ),
        ])
    }
}

/// What is known after the pilot.
struct Lesson<'l> {
    facts: &'l Facts<'l>,
    judge: &'l Judge<'l>,
    money: f64,
    observed: Vec<churn_core::strategy::ObservedResponse>,
    experiments: Vec<churn_core::strategy::ExperimentEffect>,
    uplift: Vec<Estimates>,
    prior: f64,
}

impl Lesson<'_> {
    fn plan(&self, effects: Effects) -> Result<Outcome> {
        let mut settings = OptimizeSettings::default();
        settings.constraints.budget = Some(self.money);
        settings.value.margin = MARGIN;
        let plan = optimize_with(effects, self.facts, &settings, &Progress::none())?;
        Ok(self.judge.plan(&plan))
    }

    fn effects(&self, playbook: &Playbook, settings: &EffectSettings) -> Result<Effects> {
        Effects::new(playbook, self.facts, settings)
    }

    /// What is believed before the pilot.
    fn belief(&self) -> EffectSettings {
        let usual = EffectSettings::default();
        EffectSettings {
            saved_per_response: usual.saved_per_response * self.prior,
            ..usual
        }
    }

    fn observed(&self, playbook: &Playbook, prior_strength: f64) -> Result<Effects> {
        let ids: Vec<&str> = playbook.actions.iter().map(|a| a.id.as_str()).collect();
        let observed = self
            .observed
            .iter()
            .filter(|o| ids.contains(&o.action.as_str()));
        let settings = EffectSettings {
            prior_strength,
            observed: observed.cloned().collect(),
            ..self.belief()
        };
        self.effects(playbook, &settings)
    }

    fn experiment(&self, playbook: &Playbook, prior_spread: f64) -> Result<Effects> {
        let ids: Vec<&str> = playbook.actions.iter().map(|a| a.id.as_str()).collect();
        let experiments = self
            .experiments
            .iter()
            .filter(|e| ids.contains(&e.action.as_str()));
        let settings = EffectSettings {
            prior_spread,
            experiments: experiments.cloned().collect(),
            ..self.belief()
        };
        self.effects(playbook, &settings)
    }

    fn uplift(&self, playbook: &Playbook, prior_spread: f64) -> Result<Effects> {
        let mut effects = self.experiment(playbook, prior_spread)?;
        let (customers, as_of) = (self.facts.customers(), self.facts.as_of());
        for ((action, channel), (change, errors)) in ARMS.iter().zip(&self.uplift) {
            if playbook.actions.iter().any(|a| a.id == *action) {
                let channels = [(*channel).to_owned()];
                effects = effects.with_uplift_errors(
                    action,
                    Some(&channels),
                    customers,
                    as_of,
                    change.clone(),
                    Some(errors.clone()),
                )?;
            }
        }
        Ok(effects)
    }

    fn truth(&self, playbook: &Playbook) -> Result<Effects> {
        let mut effects = self.effects(playbook, &EffectSettings::default())?;
        for (a, action) in playbook.actions.iter().enumerate() {
            for (s, set) in action.channel_sets.iter().enumerate() {
                let rows = 0..self.facts.customers().len();
                let change = rows.map(|row| self.judge.change(row, a, s)).collect();
                let (customers, as_of) = (self.facts.customers(), self.facts.as_of());
                effects = effects.with_uplift(&action.id, Some(set), customers, as_of, change)?;
            }
        }
        Ok(effects)
    }

    fn learned(&self, playbook: &Playbook) -> Result<Block> {
        let default = EffectSettings::default();
        let priors = self.effects(playbook, &self.belief())?;
        let named = |name: &str, outcome: Outcome| (name.to_owned(), outcome);
        Ok(vec![
            named("profit, priors", self.plan(priors)?),
            named(
                "profit, observed",
                self.plan(self.observed(playbook, default.prior_strength)?)?,
            ),
            named(
                "profit, experiment",
                self.plan(self.experiment(playbook, default.prior_spread)?)?,
            ),
            named(
                "profit, uplift",
                self.plan(self.uplift(playbook, default.prior_spread)?)?,
            ),
            named("profit, truth", self.plan(self.truth(playbook)?)?),
        ])
    }

    /// How much the prior should weigh.
    fn sweep(&self, playbook: &Playbook) -> Result<Vec<(&'static str, Block)>> {
        let best = (
            "profit, truth".to_owned(),
            self.plan(self.truth(playbook)?)?,
        );
        let each = |values: &[f64], name: &str, plan: &dyn Fn(f64) -> Result<Effects>| {
            let one = |value: &f64| Ok((format!("{name} {value}"), self.plan(plan(*value)?)?));
            let block: Result<Block> = values.iter().map(one).collect();
            let mut block = block?;
            block.push(best.clone());
            Ok::<Block, churn_core::Error>(block)
        };
        Ok(vec![
            (
                "**Observed counts**, by strength of the prior",
                each(&STRENGTHS, "prior_strength", &|s| {
                    self.observed(playbook, s)
                })?,
            ),
            (
                "**Experiment**, by spread of the prior",
                each(&SPREADS, "prior_spread", &|s| self.experiment(playbook, s))?,
            ),
            (
                "**Uplift**, by spread of the prior",
                each(&SPREADS, "prior_spread", &|s| self.uplift(playbook, s))?,
            ),
        ])
    }
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

/// Positions of a customer's action and channel set.
fn codes(plan: &Plan, row: usize) -> (usize, usize) {
    (
        plan.action_codes()[row] as usize,
        plan.channel_set_codes()[row] as usize,
    )
}
