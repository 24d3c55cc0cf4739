//! Times the optimiser by size: customers × 20 options under ten constraints, with the proven gap.
//!
//! Customers and their tables are random from one seed; five actions over four channel sets each are
//! open to everyone, so that all 20 options of every customer are priced. `--ties 1` gives all
//! customers one of ten values and no response rates of their own, the hard case for prices.
//!
//! `cargo run -p churn-benches --release --bin optimizer -- --customers 1000000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a report"
)]

use std::process::ExitCode;

use churn_benches::measure::{argument, machine, measure, refuse_unknown_arguments};
use churn_core::features::{FeatureInfo, FeatureTable};
use churn_core::progress::Progress;
use churn_core::scoring::Scores;
use churn_core::segments::Segments;
use churn_core::strategy::{Facts, OptimizeSettings, Playbook, optimize};
use churn_core::{AsOf, Customers, Horizon, Result, settings};
use serde_json::{Value, json};

const CHANNELS: [&str; 4] = ["one_to_one", "sms", "email", "push"];

fn main() -> ExitCode {
    let run = || -> std::result::Result<(), String> {
        refuse_unknown_arguments(&["customers", "threads", "rounds", "ties", "curve"])?;
        let largest: usize = argument("customers", 1_000_000)?;
        let rounds: usize = argument("rounds", 3)?;
        let ties: usize = argument("ties", 0)?;
        let curve: u32 = argument("curve", 0)?;
        rayon::ThreadPoolBuilder::new()
            .num_threads(argument("threads", 2)?)
            .build_global()
            .map_err(|error| error.to_string())?;
        println!("machine: {}", machine());
        println!();
        println!(
            "| customers | options | profit | gap | passes | wall s | cpu s | extra memory | peak |"
        );
        println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        let mut size = 1_000;
        while size <= largest {
            report(size, rounds, ties > 0, curve).map_err(|error| error.to_string())?;
            size *= 10;
        }
        Ok(())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("optimizer: {message}");
            ExitCode::FAILURE
        }
    }
}

fn report(size: usize, rounds: usize, ties: bool, curve: u32) -> Result<()> {
    let (table, scores, segments) = shop(size, ties)?;
    let segments: Vec<&Segments> = segments.iter().collect();
    let facts = Facts::new(&table, &scores, &segments)?;
    let playbook = Playbook::from_json(&playbook().to_string(), facts.vocabulary())?;
    let mut settings: OptimizeSettings =
        settings::from_json("optimize", &limits(size).to_string())?;
    settings.curve_points = curve;
    let mut best = None;
    for _ in 0..rounds.max(1) {
        let (plan, cost) = measure(|| optimize(&playbook, &facts, &settings, &Progress::none()));
        let plan = plan?;
        let Some(allocation) = plan.allocation() else {
            unreachable!("a plan for profit has an allocation");
        };
        for price in allocation.prices() {
            let slack = 1e-9 * price.limit.abs().max(1.0);
            let kept = match price.is_minimum {
                true => price.used >= price.limit - slack,
                false => price.used <= price.limit + slack,
            };
            assert!(kept, "{price:?}");
        }
        let row = format!(
            "| {size} | {} | {:.0} | {:.5} % | {}",
            20 * size,
            allocation.profit(),
            100.0 * allocation.gap(),
            allocation.passes()
        );
        if best.as_ref().is_none_or(|(wall, _)| cost.wall < *wall) {
            best = Some((cost.wall, format!("{row} | {cost} |")));
        }
    }
    if let Some((_, row)) = best {
        println!("{row}");
    }
    Ok(())
}

/// SplitMix64 and what is drawn from it.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn shop(n: usize, ties: bool) -> Result<(FeatureTable, Scores, Vec<Segments>)> {
    let mut random = Random(7);
    let customers = Customers::from_ints(0..n as i64);
    let as_of = AsOf::parse("2020-06-01")?;
    let mut values = Vec::with_capacity(n * 5);
    for _ in 0..n {
        let value = (6.0 + random.normal()).exp();
        values.push(if ties {
            (value / 500.0).ceil().min(10.0) * 300.0
        } else {
            value
        });
    }
    for _ in CHANNELS {
        for _ in 0..n {
            let own = random.uniform() < 0.7 && !ties;
            let rate = 0.3 * random.uniform() * random.uniform();
            values.push(if own { rate } else { f64::NAN });
        }
    }
    let names = ["value_365d".to_owned()].into_iter();
    let names = names.chain(CHANNELS.map(|channel| format!("{channel}_response_rate")));
    let infos = names.map(|name| FeatureInfo::new(&name, "", ""));
    let table = FeatureTable::from_columns(customers.clone(), as_of, infos.collect(), values)?;
    let draws = (0..n).map(|_| random.uniform());
    let churn: Vec<f64> = draws
        .map(|u| if ties { (10.0 * u).ceil() / 10.0 } else { u })
        .collect();
    let tier = churn
        .iter()
        .map(|p| u32::from(*p >= 0.33) + u32::from(*p >= 0.66))
        .collect();
    let region = (0..n).map(|_| (4.0 * random.uniform()) as u32).collect();
    let texts = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    let tiers = texts(&["low", "medium", "high"]);
    let regions = texts(&["north", "east", "south", "west"]);
    let segments = vec![
        Segments::new("risk_tier", customers.clone(), as_of, tiers, tier)?,
        Segments::new("region", customers.clone(), as_of, regions, region)?,
    ];
    let horizon = Horizon::days(90)?;
    let scores = Scores::new(customers, as_of, horizon, churn, vec![], vec![])?;
    Ok((table, scores, segments))
}

fn playbook() -> Value {
    let both = |text: &str| json!({"en": text, "zh": text});
    let channel = |(i, id): (usize, &&str)| {
        let cost = [0.2, 0.05, 0.01, 0.005][i];
        let rate = [0.08, 0.03, 0.02, 0.03][i];
        json!({"id": id, "name": both(id), "cost": cost, "prior_response": rate})
    };
    let offers = [
        ("coupon", 15.0),
        ("gift", 5.0),
        ("points", 2.0),
        ("adviser", 8.0),
        ("news", 0.0),
    ];
    let paid = [
        "on_purchase",
        "always",
        "on_response",
        "on_response",
        "on_response",
    ];
    let offer = |(i, (id, cost)): (usize, &(&str, f64))| json!({"id": id, "name": both(id), "text": both(id), "cost": cost, "paid": paid[i]});
    let action = |(i, (id, _)): (usize, &(&str, f64))| {
        let strength = [0.20, 0.11, 0.06, 0.12, 0.02][i];
        let saves: Vec<f64> = [1.2, 1.0, 0.55, 0.4].iter().map(|s| s * strength).collect();
        json!({
            "id": format!("give_{id}"), "name": both(id), "priority": 0, "audience": "everyone",
            "offers": [id], "saves": saves,
            "channel_sets": [["one_to_one", "sms"], ["one_to_one"], ["sms", "email"], ["email", "push"]],
        })
    };
    json!({
        "version": 1, "name": "All for everyone", "currency": "EUR", "choose_by": "profit",
        "channels": CHANNELS.iter().enumerate().map(channel).collect::<Vec<_>>(),
        "offers": offers.iter().enumerate().map(offer).collect::<Vec<_>>(),
        "actions": offers.iter().enumerate().map(action).collect::<Vec<_>>(),
    })
}

/// Ten constraints, all in proportion to the number of customers.
fn limits(n: usize) -> Value {
    let part = |share: f64| (share * n as f64).ceil();
    let count = |share: f64| part(share) as u64;
    json!({"constraints": {
        "budget": part(1.2),
        "channels": [
            {"channel": "one_to_one", "max": count(0.2)},
            {"channel": "sms", "max": count(0.25)},
            {"channel": "push", "max": count(0.3)},
        ],
        "offers": [{"offer": "coupon", "max": count(0.04)}, {"offer": "gift", "min": count(0.02)}],
        "actions": [{"action": "give_points", "max": count(0.15)}],
        "segments": [
            {"segmentation": "risk_tier", "label": "high", "of": "plan", "max_share": 0.5},
            {"segmentation": "region", "label": "north", "min_share": 0.3},
        ],
        "needs": [{"offer": "adviser", "needs": "gift", "within": "plan"}],
    }})
}
