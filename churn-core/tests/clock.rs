//! How often the purchase clock is wrong about customers who come back: the share of gaps longer
//! than the stated 80 % and 95 %, on gaps that began after everything was learned.
//!
//! Print the tables of `docs/MODELS.md` with
//! `cargo test --release -p churn-core --test clock -- --nocapture --test-threads 1`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;

use churn_core::events::{Cleaning, EventColumns, EventKind};
use churn_core::features::{Describer, FeatureSpec, Population};
use churn_core::{AsOf, EventLog, TimeUnit, Timestamp};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Purchase days of each customer, ascending.
type Shop = BTreeMap<i64, Vec<i64>>;

/// What the clock said when a gap began, and how long it became.
struct Check {
    gaps: f64,
    /// Spread over mean, as drawn towards the population.
    relative: f64,
    expected: f64,
    limits: [f64; 2],
    gap: f64,
    /// The share of gaps that are longer, and of those that last longer than we could watch.
    tail: f64,
    unseen: f64,
}

impl Check {
    /// Whether the gap was beyond the limit of this share of the returns that could be seen.
    fn late(&self, share: f64) -> bool {
        (self.tail - self.unseen) / (1.0 - self.unseen) < share
    }
}

fn as_of(day: i64) -> AsOf {
    AsOf::new(Timestamp::from_micros(day * MICROS_PER_DAY).unwrap())
}

fn log(shop: &Shop) -> EventLog {
    let rows = shop
        .iter()
        .flat_map(|(id, days)| days.iter().map(move |day| (*id, *day)));
    let (ids, days): (Vec<i64>, Vec<i64>) = rows.unzip();
    let columns = EventColumns::new(ids.as_slice(), &days, TimeUnit::Day, EventKind::Purchase);
    EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
}

/// Learns before `today`; then the gap after each customer's first purchase in the `window` days
/// from there on, if a purchase ends it.
fn checks(shop: &Shop, today: i64, window: i64) -> Vec<Check> {
    let spec = FeatureSpec::default().with_features([
        "gaps",
        "gap_mean",
        "gap_spread",
        "expected_next_days",
        "overdue_p80_days",
        "overdue_p95_days",
        "silence_tail",
    ]);
    let population = Population::fit(&log(shop).history(as_of(today)), &spec).unwrap();
    let end = shop.values().flatten().max().unwrap() + 1;
    // Of each customer the gap in question, and only what happened before it.
    let mut gaps = BTreeMap::new();
    let mut before = Shop::new();
    for (id, days) in shop {
        let from = days.partition_point(|day| *day < today);
        if let [start, next, ..] = days[from..]
            && start < today + window
        {
            gaps.insert(*id, (start, next));
            before.insert(*id, days[..=from].to_vec());
        }
    }
    let log = log(&before);
    let mut describers: BTreeMap<i64, Describer> = BTreeMap::new();
    let mut say = |id: i64, day: i64| -> Vec<f64> {
        let describer = describers.entry(day).or_insert_with(|| {
            Describer::new(log.channels(), as_of(day), &spec, &population).unwrap()
        });
        let customer = log.customer(id, as_of(day)).unwrap();
        describer.describe(&customer).unwrap().to_vec()
    };
    let checks = gaps.iter().map(|(id, (start, next))| {
        let said = say(*id, start + 1);
        Check {
            gaps: said[0],
            relative: said[2] / said[1],
            expected: said[3] + 1.0,
            limits: [said[4] + 1.0, said[5] + 1.0],
            gap: (next - start) as f64,
            tail: say(*id, *next)[6],
            unseen: say(*id, end)[6],
        }
    });
    checks.collect()
}

/// Share of gaps that were longer than each limit, by group.
fn groups(checks: &[Check]) -> Vec<(&'static str, Vec<&Check>)> {
    let mut relative: Vec<f64> = checks
        .iter()
        .filter(|c| c.gaps >= 3.0)
        .map(|c| c.relative)
        .collect();
    relative.sort_by(f64::total_cmp);
    let middle = relative.get(relative.len() / 2).copied().unwrap_or(0.0);
    let part = |keep: &dyn Fn(&Check) -> bool| checks.iter().filter(|c| keep(c)).collect();
    vec![
        ("all", part(&|_| true)),
        ("no gap known", part(&|c| c.gaps == 0.0)),
        ("1-2 gaps", part(&|c| (1.0..3.0).contains(&c.gaps))),
        ("3-5 gaps", part(&|c| (3.0..6.0).contains(&c.gaps))),
        ("6+ gaps", part(&|c| c.gaps >= 6.0)),
        (
            "3+, regular",
            part(&|c| c.gaps >= 3.0 && c.relative < middle),
        ),
        (
            "3+, irregular",
            part(&|c| c.gaps >= 3.0 && c.relative >= middle),
        ),
    ]
}

/// Real shops do not go on as they did.
#[cfg(feature = "csv")]
const DRIFT: [f64; 2] = [0.06, 0.03];

/// Of half a year little can be learned about long gaps, and alarms come too early.
#[cfg(feature = "csv")]
const SHORT: [f64; 2] = [0.25, 0.22];

/// Prints the shares and confirms that they are what they say, but for chance and `slack`.
fn report(name: &str, checks: &[Check], slack: [f64; 2]) {
    println!(
        "| {name} | returns | beyond p80 | p95 | of visible: beyond p80 | p95 | mean gap | expected |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for (group, checks) in groups(checks) {
        let n = checks.len() as f64;
        if checks.is_empty() {
            continue;
        }
        let mean = |value: &dyn Fn(&Check) -> f64| checks.iter().map(|c| value(c)).sum::<f64>() / n;
        let late = [0, 1].map(|j| mean(&|c| f64::from(u8::from(c.gap > c.limits[j]))));
        let raw = late;
        let late = [0.20, 0.05].map(|share| mean(&|c| f64::from(u8::from(c.late(share)))));
        println!(
            "| {group} | {n} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} | {:.1} |",
            100.0 * raw[0],
            100.0 * raw[1],
            100.0 * late[0],
            100.0 * late[1],
            mean(&|c| c.gap),
            mean(&|c| c.expected),
        );
        for ((late, nominal), slack) in late.into_iter().zip([0.20, 0.05]).zip(slack) {
            let error = (nominal * (1.0 - nominal) / n).sqrt();
            if n >= 30.0 && (late - nominal).abs() > 3.5 * error + slack {
                wrong.push(format!(
                    "{group}: {late:.4} instead of {nominal} ± {error:.4}"
                ));
            }
        }
    }
    println!();
    assert!(wrong.is_empty(), "{name}: {wrong:?}");
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Marsaglia & Tsang 2000.
    fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        if shape < 1.0 {
            let boost = self.uniform().powf(1.0 / shape);
            return self.gamma(shape + 1.0, mean * (shape + 1.0) / shape) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return mean * d * v / shape;
            }
        }
    }
}

/// The day on which the simulated past ends, and how long customers are watched.
const TODAY: i64 = 600;
const WATCHED: f64 = 4_000.0;

/// Customers who join over 620 days, with gaps of their own, and leave after some purchase.
fn simulate(
    customers: i64,
    seed: u64,
    leave: f64,
    mut customer: impl FnMut(&mut Random) -> Box<dyn FnMut(&mut Random) -> f64>,
) -> Shop {
    let mut random = Random(seed);
    let mut shop = Shop::new();
    for id in 0..customers {
        let mut gap = customer(&mut random);
        let mut day = 620.0 * random.uniform();
        let mut days = Vec::new();
        while day < WATCHED {
            days.push(day as i64);
            if random.uniform() < leave {
                break;
            }
            day += gap(&mut random);
        }
        days.dedup();
        shop.insert(id, days);
    }
    shop
}

/// Beside chance in what is checked (3.5 standard errors): what was learned errs as well.
const SLACK: [f64; 2] = [0.02, 0.01];

#[test]
fn gamma_gaps_of_gamma_rates() {
    for (name, shape, leave) in [
        ("clumpy, many leave", 0.7, 0.25),
        ("random, some leave", 1.0, 0.10),
        ("regular, few leave", 4.0, 0.03),
    ] {
        let shop = simulate(6_000, 1, leave, |random| {
            let mean = 1.0 / random.gamma(3.0, 1.0 / 35.0);
            Box::new(move |random| random.gamma(shape, mean))
        });
        report(name, &checks(&shop, TODAY, 60), SLACK);
    }
}

#[test]
fn regular_and_irregular_customers() {
    let shop = simulate(8_000, 2, 0.05, |random| {
        let mean = 1.0 / random.gamma(4.0, 1.0 / 25.0);
        let shape = if random.uniform() < 0.5 { 0.8 } else { 6.0 };
        Box::new(move |random| random.gamma(shape, mean))
    });
    report("half regular", &checks(&shop, TODAY, 60), SLACK);
}

#[test]
fn log_normal_gaps() {
    let shop = simulate(6_000, 3, 0.08, |random| {
        let middle = (3.2 + 0.6 * random.normal()).exp();
        Box::new(move |random| middle * (0.8 * random.normal()).exp())
    });
    report("log-normal", &checks(&shop, TODAY, 60), SLACK);
}

#[cfg(feature = "csv")]
fn read(path: &str, customer: usize, time: usize, keep: impl Fn(&[&str]) -> bool) -> Option<Shop> {
    let Some(folder) = std::env::var_os("CHURN_DATA") else {
        eprintln!("SKIPPED: CHURN_DATA is not set, so the clock was not tried on {path}");
        return None;
    };
    let bytes = std::fs::read(std::path::Path::new(&folder).join(path)).unwrap();
    let reader = flate2::read::MultiGzDecoder::new(&bytes[..]);
    let mut shop = Shop::new();
    for row in csv::Reader::from_reader(reader).records() {
        let row = row.unwrap();
        let row: Vec<&str> = row.iter().collect();
        if keep(&row) {
            let time = Timestamp::parse(row[time]).unwrap();
            let days: &mut Vec<i64> = shop.entry(row[customer].parse().unwrap()).or_default();
            days.push(time.micros().div_euclid(MICROS_PER_DAY));
        }
    }
    for days in shop.values_mut() {
        days.sort_unstable();
        days.dedup();
    }
    Some(shop)
}

#[cfg(feature = "csv")]
fn day(text: &str) -> i64 {
    Timestamp::parse(text).unwrap().micros() / MICROS_PER_DAY
}

#[cfg(feature = "csv")]
#[test]
fn cdnow() {
    let Some(shop) = read("cdnow/cdnow_transactions.csv.gz", 0, 1, |_| true) else {
        return;
    };
    for (from, slack) in [
        ("1997-07-01", SHORT),
        ("1997-10-01", DRIFT),
        ("1997-12-01", DRIFT),
    ] {
        report(
            &format!("CDNOW {from}"),
            &checks(&shop, day(from), 60),
            slack,
        );
    }
}

#[cfg(feature = "csv")]
#[test]
fn online_retail() {
    let bought = |row: &[&str]| {
        let positive = |text: &str| text.parse::<f64>().is_ok_and(|x| x > 0.0);
        !row[6].is_empty() && !row[0].starts_with('C') && positive(row[3]) && positive(row[5])
    };
    let Some(shop) = read("online_retail/online_retail.csv.gz", 6, 4, bought) else {
        return;
    };
    for (from, slack) in [
        ("2011-05-01", SHORT),
        ("2011-07-01", DRIFT),
        ("2011-09-01", DRIFT),
    ] {
        report(
            &format!("Online Retail {from}"),
            &checks(&shop, day(from), 30),
            slack,
        );
    }
}

#[cfg(feature = "csv")]
#[test]
fn apparel() {
    let path = "apparel_simulated/apparel_transactions.csv.gz";
    let Some(shop) = read(path, 0, 1, |_| true) else {
        return;
    };
    report(
        "apparel 2007-01-01",
        &checks(&shop, day("2007-01-01"), 180),
        DRIFT,
    );
}
