use super::*;
use crate::events::EventLog;
use crate::features::testing::{column, log};
use crate::features::{FeatureSpec, Population, build_with};
use crate::math::random::Random;
use crate::progress::Progress;
use crate::{AsOf, Timestamp};

fn prior() -> GapPrior {
    GapPrior {
        mean_days: 40.0,
        weight: 1.5,
        shape: 1.8,
        departure: 0.1,
        departure_weight: 5.0,
        pace: Pace::default(),
    }
}

#[test]
fn tails_and_quantiles_agree() {
    let clock = Clock::new(&prior(), true);
    for gaps in [0_u64, 1, 5, 127, 128, 3_000] {
        let reading = clock.after(gaps, 0, 30 * gaps as i64);
        for (level, quantile) in LEVELS.into_iter().zip(clock.quantiles(&reading)) {
            let tail = clock.tail(&reading, quantile);
            assert!(
                (tail - (1.0 - level)).abs() < 1e-9,
                "{gaps} {level}: {tail}"
            );
        }
        assert_eq!(clock.tail(&reading, 0.0), 1.0);
    }
    // With many gaps the clock is the gamma distribution of the mean.
    let reading = clock.after(100_000, 0, 3_000_000);
    let gamma = crate::math::special::gamma_q(1.8, 1.8 * 70.0 / 30.0);
    assert!((clock.tail(&reading, 70.0) - gamma).abs() < 1e-4);
    assert!((reading.mean - 30.0).abs() < 1e-3);
}

/// Simulated gaps of the model itself: alarms are as frequent as they say.
#[test]
fn alarms_are_as_frequent_as_they_say() {
    let clock = Clock::new(&prior(), true);
    let mut random = Random::new(9, 0);
    let (mut late, n) = ([0.0; 2], 40_000);
    for i in 0..n {
        // λ ~ Gamma(w k, w m).
        let rate = random.gamma(1.5 * 1.8, 1.8 / 40.0);
        let gaps = i % 4;
        let mut sum = 0.0;
        for _ in 0..gaps {
            sum += random.gamma(1.8, 1.8 / rate);
        }
        let reading = Reading {
            gaps: gaps as u64,
            rate: sum + clock.base,
            mean: 0.0,
        };
        let gap = random.gamma(1.8, 1.8 / rate);
        for (late, quantile) in late.iter_mut().zip(clock.quantiles(&reading)) {
            *late += f64::from(u8::from(gap > quantile)) / f64::from(n);
        }
    }
    assert!((late[0] - 0.20).abs() < 0.006, "{late:?}");
    assert!((late[1] - 0.05).abs() < 0.004, "{late:?}");
}

/// A shop of regular and less regular buyers that is closed for three weeks; promotions on three
/// days double what is bought.
fn closed_shop() -> EventLog {
    let mut random = Random::new(3, 0);
    let mut rows = Vec::new();
    let names: Vec<String> = (0..1_500).map(|i| format!("c{i:04}")).collect();
    let closed = 300..321;
    for name in &names {
        let rate = random.gamma(4.0, 1.0 / 20.0);
        let mut day = random.between(0.0, 60.0);
        while day < 400.0 {
            let whole = day as i64;
            if !closed.contains(&whole) {
                rows.push((name.as_str(), whole));
            }
            // Nobody's clock goes while the shop is closed.
            let next = day + random.gamma(3.0, 1.0 / rate);
            day = if day < 300.0 && next >= 300.0 {
                next + 21.0
            } else {
                next
            };
        }
    }
    let texts: Vec<(&str, String)> = rows
        .iter()
        .map(|(name, day)| {
            let time = Timestamp::parse("2020-01-01")
                .unwrap()
                .plus_days(*day as f64);
            (*name, time.to_string())
        })
        .collect();
    let rows: Vec<(&str, &str, &str, f64)> = texts
        .iter()
        .map(|(name, time)| (*name, time.as_str(), "purchase", 1.0))
        .collect();
    log(&rows)
}

#[test]
fn a_pause_of_the_whole_shop_alarms_nobody() {
    let log = closed_shop();
    let spec = FeatureSpec::default();
    let share_late = |as_of: &str, flat: bool| {
        let history = log.history(AsOf::parse(as_of).unwrap());
        let population = Population::fit(&history, &spec).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&population.to_json()).unwrap();
        if flat {
            json["gaps"]["pace"] = serde_json::json!({"first_day": 0, "days": []});
        }
        let population = Population::from_json(&json.to_string()).unwrap();
        let table = build_with(&history, &spec, &population, &Progress::none()).unwrap();
        let tails = column(&table, "silence_tail");
        tails.iter().filter(|tail| **tail < 0.05).count() as f64 / tails.len() as f64
    };
    // 2020-10-27 is the first day of the pause, 2020-11-16 the last.
    let during = share_late("2020-11-16", false);
    let without = share_late("2020-11-16", true);
    assert!(without > 0.12, "{without}");
    assert!(during < 0.04, "{during}");
    let history = log.history(AsOf::parse("2021-01-15").unwrap());
    let population = Population::fit(&history, &spec).unwrap();
    let prior = population.gap_prior().unwrap();
    assert!((prior.shape - 3.0).abs() < 0.35, "{prior:?}");
    let pace = &prior.pace;
    let at = |day: i64| pace.days[(18_262 + day - pace.first_day) as usize];
    assert!(at(310) < 0.2, "{}", at(310));
    let open: f64 = (200..260).map(at).sum::<f64>() / 60.0;
    assert!((open - 1.0).abs() < 0.15, "{open}");
}

#[test]
fn chance_is_not_taken_for_a_pause() {
    // The same without a pause: every day has the pace 1.
    let mut random = Random::new(8, 0);
    let mut sample = Sample::default();
    let mut rows: Vec<(u64, Vec<i32>)> = Vec::new();
    for i in 0..800 {
        let mut day = random.between(0.0, 365.0);
        let mut days = Vec::new();
        while day < 365.0 {
            days.push(day as i32);
            day += 1.0 + random.exponential(20.0);
        }
        rows.push((i, days));
    }
    for (id, days) in &rows {
        let mut events = days.iter().map(|day| crate::events::Event {
            time: Timestamp::from_micros(i64::from(*day) * MICROS_PER_DAY).unwrap(),
            kind: crate::events::EventKind::Purchase,
            value: 1.0,
            channel: None,
            opens_order: true,
        });
        Sample::look(
            std::slice::from_mut(&mut sample),
            &[Bound::default()],
            &[i64::MAX],
            crate::CustomerId::Uint(*id),
            &mut events,
        );
    }
    assert_eq!(Pace::learn(&sample, 365), Pace::default());
}

#[test]
fn numbers_from_a_file_are_checked() {
    let wrong = [
        GapPrior {
            shape: 0.0,
            ..prior()
        },
        GapPrior {
            weight: f64::NAN,
            ..prior()
        },
        GapPrior {
            departure: 1.5,
            ..prior()
        },
        GapPrior {
            pace: Pace {
                first_day: 0,
                days: vec![1.0, -1.0],
            },
            ..prior()
        },
        GapPrior {
            pace: Pace {
                first_day: i64::MIN,
                days: vec![],
            },
            ..prior()
        },
    ];
    for prior in wrong {
        assert!(prior.check().is_err(), "{prior:?}");
    }
    assert!(prior().check().is_ok());
}
