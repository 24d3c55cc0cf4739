//! From an experiment to a campaign that pays, on shops whose truth is known: experiment → effects →
//! plan → journey → report, and how close the plan comes to the best there is.
//!
//! ```sh
//! cargo run --release --example worked
//! cargo run --release --example worked -- --seeds 20 --customers 8000 --budget 2000
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)] // this is a program that prints a report

use churn_core::evaluation::experiment::{Comparison, ComparisonSettings, Outcome, compare};
use churn_core::evaluation::{
    ArmAction, Exposures, Finding, IncrementalSettings, JourneyExposures, JourneyReport,
    UpliftCalibration,
};
use churn_core::events::{Cleaning, EventLog};
use churn_core::features::{FeatureSpec, FeatureTable, build};
use churn_core::journey::{Holdout, Replay, lot};
use churn_core::progress::Progress;
use churn_core::scoring::learned::Frame;
use churn_core::scoring::uplift::{Uplift, UpliftData};
use churn_core::scoring::{Scorecard, Scores};
use churn_core::segments::{Grid, RiskTiers, Segments, lifecycle};
use churn_core::simulate::{CustomerTruth, Pattern, Persuasion, Shop, SimulatedShop, Treatment};
use churn_core::strategy::{
    EffectSettings, Effects, Facts, OptimizeSettings, Plan, Playbook, optimize_with,
};
use churn_core::time::MICROS_PER_DAY;
use churn_core::winback::{
    JourneySettings, JourneySource, PlaybookSource, PolicySource, WinBackSettings,
};
use churn_core::{AsOf, CustomerId, Horizon, Result, Timestamp};

const HORIZON_DAYS: u32 = 85;
const MARGIN: f64 = 0.3;

/// The two things that can be done. Position in the playbook, channel in the simulation, share of
/// readers about to leave whom it persuades, cost of a contact, cost of the offer.
const ACTIONS: [(&str, &str, usize, f64, f64, f64); 2] = [
    ("coupon", "sms", 1, 0.35, 0.08, 10.0),
    ("news", "email", 2, 0.08, 0.01, 0.0),
];

const PLAYBOOK: &str = r#"
version = 1
name = "Coupon or news"
currency = "EUR"
choose_by = "profit"

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
audience = "everyone"
offers = ["coupon"]
channel_sets = [["sms"]]

[[actions]]
id = "news"
name = { en = "News", zh = "新品" }
priority = 1
audience = "everyone"
offers = ["news"]
channel_sets = [["email"]]
"#;

/// Everybody whom the plan means something for is contacted at once, as the plan says.
const JOURNEY: &str = r#"
version = 1
id = "campaign"
name = { en = "Campaign", zh = "活动" }
triggers = [{ silence_days = 1 }]
steps = [{ id = "planned", send = { planned = true } }]
"#;

/// What the uplift model may look at.
const COLUMNS: [&str; 8] = [
    "days_since_last",
    "orders",
    "value_365d",
    "activity",
    "silence_tail",
    "days_since_last_activity",
    "sms_response_rate",
    "email_response_rate",
];

fn main() -> std::process::ExitCode {
    let run = || -> std::result::Result<(), String> {
        let (mut seeds, mut customers, mut budget) = (5, 8_000, 2_000.0);
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            let wrong = || format!("{name}: cannot read {value:?}");
            match name.as_str() {
                "--seeds" => seeds = value.parse().map_err(|_| wrong())?,
                "--customers" => customers = value.parse().map_err(|_| wrong())?,
                "--budget" => budget = value.parse().map_err(|_| wrong())?,
                _ => return Err(format!("unknown option {name}")),
            }
        }
        report(seeds, customers, budget).map_err(|error| error.to_string())
    };
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("worked: {message}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn report(seeds: u64, customers: u32, budget: f64) -> Result<()> {
    let mut all: Vec<Vec<(&str, f64)>> = Vec::new();
    let mut covered = 0;
    for seed in 1..=seeds.max(1) {
        let story = Story::run(seed, customers, budget)?;
        if seed == 1 {
            story.tell();
        }
        covered += usize::from(story.report_covers_the_truth());
        all.push(story.profits);
    }
    println!(
        "True profit of plans that spend {budget:.0} as planned, {} shops",
        all.len()
    );
    println!("(mean, 95 % interval of the mean; the best is what perfect knowledge brings):");
    let of = |name: &str| -> Vec<f64> {
        let each = all.iter().flatten().filter(|(policy, _)| *policy == name);
        each.map(|(_, profit)| *profit).collect()
    };
    let best = interval(&of("the best possible")).0;
    let planned = of("plan from the experiment");
    for (name, _) in &all[0] {
        let profits = of(name);
        let behind: Vec<f64> = planned.iter().zip(&profits).map(|(p, o)| p - o).collect();
        let ((mean, half), (ahead, spread)) = (interval(&profits), interval(&behind));
        println!(
            "  {name:<26} {mean:>8.0} [{:.0}, {:.0}]  {:>5.0} % of the best, the plan is ahead by {ahead:.0} [{:.0}, {:.0}]",
            mean - half,
            mean + half,
            100.0 * mean / best,
            ahead - spread,
            ahead + spread,
        );
    }
    println!(
        "The report's interval held the customers really kept in {covered} of {} shops",
        all.len()
    );
    Ok(())
}

/// What is known of the customers at an instant.
struct Known {
    features: FeatureTable,
    scores: Scores,
    segments: [Segments; 3],
}

impl Known {
    fn of(log: &EventLog, as_of: AsOf) -> Result<Self> {
        let features = build(&log.history(as_of), &FeatureSpec::default())?;
        let scores = Scorecard::default().score(&features)?;
        let tiers = RiskTiers::default().assign(&scores)?;
        let grid = Grid::default().assign(&features)?;
        let stages = lifecycle(&features)?;
        Ok(Known {
            features,
            scores,
            segments: [tiers, grid, stages],
        })
    }

    fn facts(&self) -> Result<Facts<'_>> {
        let [tiers, grid, stages] = &self.segments;
        Facts::new(&self.features, &self.scores, &[tiers, grid, stages])
    }

    fn id(&self, row: usize) -> u64 {
        number(self.features.customers().get(row))
    }
}

/// Ids of simulated customers are numbers from 1 on.
fn number(id: CustomerId<'_>) -> u64 {
    match id {
        CustomerId::Int(id) => id as u64,
        CustomerId::Uint(id) => id,
        CustomerId::Text(_) => 0,
    }
}

/// One shop from the experiment to the report.
struct Story {
    comparison: Comparison,
    calibrations: Vec<UpliftCalibration>,
    plan: Plan,
    replay: Replay,
    report: JourneyReport,
    /// Customers whom the campaign really kept.
    kept: f64,
    profits: Vec<(&'static str, f64)>,
}

impl Story {
    fn run(seed: u64, customers: u32, budget: f64) -> Result<Self> {
        let settings = Shop {
            customers,
            seed,
            ..Shop::default()
        };
        let shop = settings.open()?;
        let horizon = Horizon::days(HORIZON_DAYS)?;
        let days_before_end = |days: i64| {
            let day = shop.end.micros() / MICROS_PER_DAY - days;
            Timestamp::from_micros(day * MICROS_PER_DAY).map(AsOf::new)
        };
        let (start, now) = (days_before_end(180)?, days_before_end(90)?);

        // 1. An experiment: by lot one third gets the coupon, one third the news, one third nothing.
        let before = Known::of(&log_of(&shop)?, start)?;
        let rows = 0..before.features.len();
        let arm = |id: u64| (3.0 * lot("pilot", id)) as usize;
        let arms: Vec<usize> = rows.clone().map(|row| arm(before.id(row))).collect();
        let treated = rows.clone().filter(|row| arms[*row] > 0);
        let contacts = treated.map(|row| contact(before.id(row), start.instant(), arms[row] - 1));
        let contacts: Vec<Treatment> = contacts.collect();
        let persuasion = Persuasion::default();
        let tried = shop.respond(&contacts, &persuasion, horizon, seed)?;
        let log = log_of(&tried)?;

        // 2. What it says on average, and of whom: differences, and an uplift model out of fold.
        let names = ["nothing", "coupon", "news"];
        let ids: Vec<CustomerId<'_>> = before.features.customers().iter().collect();
        let arm_names: Vec<&str> = arms.iter().map(|arm| names[*arm]).collect();
        let at = vec![start.instant(); ids.len()];
        let exposures = Exposures::new(&ids, &arm_names, &at, "nothing")?;
        let outcomes = exposures.outcomes(&log, horizon, Some(now))?;
        let mut comparing = ComparisonSettings::default();
        comparing.bootstrap.draws = 0;
        let stayed = &outcomes.bought;
        let comparison = compare(&outcomes.arms, stayed, Outcome::Binary, &[], &comparing)?;
        let known = before.features.select(&COLUMNS)?;
        let frame = Frame::from_table(&known)?;
        let treatment: Vec<u32> = arms.iter().map(|arm| *arm as u32).collect();
        let data = UpliftData {
            frame: &frame,
            treatment: &treatment,
            outcome: stayed,
            propensity: None,
        };
        let uplift = Uplift::default();
        let held_out = uplift.out_of_fold(&data, &Progress::none())?;
        let model = uplift.fit(&data, &Progress::none())?;

        // 3. Effects for the customers of today, and the plan of the largest expected profit.
        let today = Known::of(&log, now)?;
        let facts = today.facts()?;
        let playbook = Playbook::from_toml(PLAYBOOK, facts.vocabulary())?;
        let arm_of = |(action, channel, ..): &(&str, &str, usize, f64, f64, f64)| ArmAction {
            arm: (*action).to_owned(),
            action: (*action).to_owned(),
            channels: Some(vec![(*channel).to_owned()]),
            segment: None,
        };
        let measured = EffectSettings {
            experiments: comparison.effects_of(&ACTIONS.map(|action| arm_of(&action)))?,
            ..EffectSettings::default()
        };
        let prior = Effects::new(&playbook, &facts, &EffectSettings::default())?;
        let mut effects = Effects::new(&playbook, &facts, &measured)?;
        let later = today.features.select(&COLUMNS)?;
        let predicted = model.predict(&Frame::from_table(&later)?)?.effect;
        let mut calibrations = Vec::new();
        let (own, at) = (today.features.customers(), now);
        for (i, (action, ..)) in ACTIONS.iter().enumerate() {
            let of_action: Vec<f64> = predicted.iter().skip(i).step_by(2).copied().collect();
            let calibration = UpliftCalibration::of_model(&held_out, i)?;
            let (change, error) = calibration.apply(&of_action);
            effects = effects.with_uplift_errors(action, None, own, at, change, Some(error))?;
            calibrations.push(calibration);
        }
        let mut planning = OptimizeSettings::default();
        planning.constraints.budget = Some(budget);
        planning.value.margin = MARGIN;
        let holdout = Holdout {
            salt: "campaign".to_owned(),
            share: 0.3,
        };
        let best_of = |effects: Effects, settings: &OptimizeSettings| {
            optimize_with(effects, &facts, settings, &Progress::none())
        };

        // 4. Judged by the truth, at the same planned budget and with nobody held out.
        let judge = Judge {
            shop: &tried,
            today: &today,
            at: now.instant(),
            horizon,
        };
        let mut knowing = prior.clone();
        for (i, (action, ..)) in ACTIONS.iter().enumerate() {
            let change = (0..today.features.len()).map(|row| judge.change(row, i));
            knowing = knowing.with_uplift(action, None, own, at, change.collect())?;
        }
        let churn = today.scores.churn_probability();
        let silent = today.features.column("days_since_last")?;
        let profits = vec![
            (
                "the best possible",
                judge.plan(&best_of(knowing, &planning)?),
            ),
            (
                "plan from the experiment",
                judge.plan(&best_of(effects.clone(), &planning)?),
            ),
            (
                "plan from priors alone",
                judge.plan(&best_of(prior, &planning)?),
            ),
            ("risk first", judge.ranked(churn, budget)),
            ("silence first", judge.ranked(silent, budget)),
            ("everybody, no budget", judge.ranked(churn, f64::INFINITY)),
        ];

        // 5. The plan is carried out by a journey, with a hold-out; people answer as the truth says.
        planning.constraints.hold_out_by = Some(holdout.clone());
        let plan = best_of(effects, &planning)?;
        let whole = WinBackSettings {
            playbook: PlaybookSource::Toml(PLAYBOOK.to_owned()),
            ..WinBackSettings::default()
        };
        let policy = format!(
            "version = 1\nholdout = {{ salt = {:?}, share = {} }}\n",
            holdout.salt, holdout.share
        );
        let journeys = JourneySettings {
            journeys: vec![JourneySource::Toml(JOURNEY.to_owned())],
            policy: PolicySource::Toml(policy),
            ..JourneySettings::default()
        };
        let (to, quiet) = (days_before_end(89)?, Progress::none());
        let replay = whole.replay_planned(&log, now, to, &journeys, &[&plan], &quiet)?;
        let made = replay.outcome.contacts.iter().map(|made| {
            let id = number(replay.outcome.customer(made.row));
            let coupon = replay.outcome.offers(made) == ["coupon"];
            contact(id, made.at, usize::from(!coupon))
        });
        let made: Vec<Treatment> = made.collect();
        let after = tried.respond(&made, &persuasion, horizon, seed + 1_000)?;
        let log_after = log_of(&after)?;

        // 6. The report straight from the journey's log, and what really happened.
        let journey = JourneyExposures::new(&[&replay.outcome])?;
        let settings = IncrementalSettings {
            margin: MARGIN,
            ..IncrementalSettings::default()
        };
        let end = AsOf::new(shop.end);
        let report = journey.report(&log_after, horizon, Some(end), &settings)?;
        let bought = |log: &EventLog| -> Result<f64> {
            let outcomes = journey.exposures()?.outcomes(log, horizon, Some(end))?;
            let treated = outcomes.arms.codes().iter().zip(&outcomes.bought);
            Ok(treated
                .filter(|(arm, _)| **arm == 1)
                .map(|(_, bought)| bought)
                .sum())
        };
        let kept = bought(&log_after)? - bought(&log)?;
        Ok(Story {
            comparison,
            calibrations,
            plan,
            replay,
            report,
            kept,
            profits,
        })
    }

    fn tell(&self) {
        println!("Experiment: change of the share who buy again within {HORIZON_DAYS} days");
        for effect in &self.comparison.effects {
            let d = effect.difference;
            println!(
                "  {:<8} {:+.4} [{:+.4}, {:+.4}]",
                effect.arm, d.value, d.low, d.high
            );
        }
        println!("Uplift model: how much of the differences that it sees is there (out of fold)");
        for ((action, ..), c) in ACTIONS.iter().zip(&self.calibrations) {
            println!("  {action:<8} {:.2} ± {:.2}", c.slope, c.slope_error);
        }
        println!("Plan\n{}", self.plan.summary());
        if let Some(allocation) = self.plan.allocation() {
            println!("{allocation}");
        }
        println!("Journey\n{}", self.replay.calendar(7));
        println!("Report\n{}", self.report);
        println!("Really kept: {:.0}\n", self.kept);
    }

    fn report_covers_the_truth(&self) -> bool {
        match &self.report.total {
            Finding::Known(found) => found.kept.low <= self.kept && self.kept <= found.kept.high,
            Finding::Unknown(_) => false,
        }
    }
}

fn log_of(shop: &SimulatedShop) -> Result<EventLog> {
    EventLog::from_columns(&shop.columns(), &Cleaning::strict())
}

fn contact(customer: u64, at: Timestamp, action: usize) -> Treatment {
    let (_, _, channel, strength, ..) = ACTIONS[action];
    Treatment {
        customer,
        at,
        channels: vec![channel],
        strength,
    }
}

/// What plans really bring: the truth of the simulated shop.
struct Judge<'s> {
    shop: &'s SimulatedShop,
    today: &'s Known,
    at: Timestamp,
    horizon: Horizon,
}

impl Judge<'_> {
    fn truth(&self, row: usize) -> &CustomerTruth {
        &self.shop.truth[self.today.id(row) as usize - 1]
    }

    fn change(&self, row: usize, action: usize) -> f64 {
        let (_, _, channel, strength, ..) = ACTIONS[action];
        Persuasion::default().change(self.truth(row), self.at, self.horizon, &[channel], strength)
    }

    /// True expected profit of one contact: a year at the customer's own rhythm, less its costs.
    fn profit(&self, row: usize, action: usize) -> f64 {
        let truth = self.truth(row);
        let change = self.change(row, action);
        let (.., contact, offer) = ACTIONS[action];
        let stays = Persuasion::default()
            .days_gone(truth, self.at, self.horizon)
            .is_none();
        let orders = match truth.pattern {
            Pattern::OneTime => 1.0,
            _ => 365.0 / truth.gap_days,
        };
        let buys = if stays { 1.0 } else { change };
        change * truth.order_value * orders * MARGIN - contact - offer * buys
    }

    fn plan(&self, plan: &Plan) -> f64 {
        let rows = 0..self.today.features.len();
        let actions = plan.action_codes();
        rows.filter_map(|row| {
            usize::try_from(actions[row])
                .ok()
                .map(|a| self.profit(row, a))
        })
        .sum()
    }

    /// The coupon for the first of a ranking, until the money that is planned for it is gone.
    fn ranked(&self, rank: &[f64], budget: f64) -> f64 {
        let mut order: Vec<usize> = (0..rank.len()).collect();
        order.sort_by(|a, b| rank[*b].total_cmp(&rank[*a]));
        let churn = self.today.scores.churn_probability();
        let (.., contact, offer) = ACTIONS[0];
        let mut left = budget;
        let affordable = order.into_iter().take_while(|row| {
            left -= contact + offer * (1.0 - churn[*row]);
            left >= 0.0
        });
        affordable.map(|row| self.profit(row, 0)).sum()
    }
}

/// Mean and half the width of its 95 % interval (normal; 0 for one value).
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let half = if n > 1.0 {
        1.96 * (squares / (n - 1.0) / n).sqrt()
    } else {
        0.0
    };
    (mean, half)
}
