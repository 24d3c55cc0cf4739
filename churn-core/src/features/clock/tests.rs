use super::curve::{Curve, LEVELS, Spell, base_curves, fit_curve};
use super::*;
use crate::features::testing::log;
use crate::features::{FeatureSpec, Population};
use crate::math::distributions::beta_cdf;
use crate::math::random::Random;
use crate::{AsOf, EventLog, Timestamp};

fn spells(lengths: impl Iterator<Item = f64>, closed: bool) -> Vec<Spell> {
    lengths.map(|length| Spell { length, closed }).collect()
}

#[test]
fn the_model_alone_is_a_beta_prime_law() {
    for (weight, relative_variance) in [(0.5, 1.0), (3.0, 0.2), (20.0, 4.0)] {
        let k = 1.0 / relative_variance;
        let curves = base_curves(weight, relative_variance);
        assert_eq!(curves.len(), GROUPS);
        for (curve, gaps) in curves.into_iter().zip(MODEL_GAPS) {
            let known = gaps + weight;
            for (quantile, level) in curve.quantiles.iter().zip(LEVELS) {
                let tail = beta_cdf(known / (known + quantile), 1.0 + known * k, k);
                assert!((tail - level).abs() < 1e-8, "{level}: {tail}");
            }
            // The mean of the law is 1; straight lines lie above it.
            let mean = Curve::new(curve).due[0];
            assert!((0.98..1.1).contains(&mean), "{weight} {known}: {mean}");
        }
    }
}

#[test]
fn those_who_left_and_those_who_are_not_back_yet_do_not_count() {
    let mut random = Random::new(5, 0);
    let mut gaps = Vec::new();
    for _ in 0..40_000 {
        // The model itself: P(R ≥ r) = 1 / (1 + r)².
        let gap = random.exponential(1.0) / random.gamma(2.0, 2.0);
        let watched = random.between(0.0, 8.0);
        let leaves = random.chance(0.4);
        let closed = !leaves && gap < watched;
        let length = if closed { gap } else { watched };
        gaps.push(Spell { length, closed });
    }
    let curve = fit_curve(0, &mut gaps, 1.0, 1.0);
    assert!(curve.gaps > 15_000, "{}", curve.gaps);
    for (quantile, level) in curve.quantiles.iter().zip(LEVELS) {
        let error = (level * (1.0 - level) / 15_000.0_f64).sqrt() * 4.0;
        let tail = (1.0 + quantile).powi(-2);
        assert!((tail - level).abs() < error + 0.002, "{level}: {tail}");
    }
    let due = Curve::new(curve).due;
    assert!((due[0] - 1.0).abs() < 0.08, "{due:?}");
}

#[test]
fn equal_gaps_are_a_step() {
    let mut gaps = spells((0..3_000).map(|_| 1.0), true);
    gaps.extend(spells((0..500).map(|i| f64::from(i) / 500.0), false));
    let curve = Curve::new(fit_curve(6, &mut gaps, 20.0, 0.0));
    assert_eq!(curve.tail(0.0), 1.0);
    assert!(curve.tail(1.0) >= 0.99, "{}", curve.tail(1.0));
    assert!(curve.tail(1.2) < 1e-6, "{}", curve.tail(1.2));
    assert!((curve.due[1] - 1.0).abs() < 0.01 && (curve.due[2] - 1.0).abs() < 0.01);
}

#[test]
fn tails_fall_and_odd_gaps_have_a_curve() {
    let odd = [
        Vec::new(),
        spells((0..500).map(|_| 0.0), false),
        spells((0..500).map(|_| 1e-9), true),
        spells((0..19).map(f64::from), true),
        spells((0..5_000).map(|i| 1e9 * f64::from(i)), true),
        spells((1..5_000).map(|i| 1.0 / f64::from(i)), true),
    ];
    for (which, gaps) in odd.into_iter().enumerate() {
        for (weight, relative_variance) in [
            (1e-3, 0.0),
            (1e9, 0.0),
            (1e-3, 1e15),
            (1e9, 1e15),
            (1.0, 1.0),
        ] {
            let fitted = fit_curve(which % GROUPS, &mut gaps.clone(), weight, relative_variance);
            fitted.check(0).unwrap();
            let curve = Curve::new(fitted);
            assert!(
                curve.due.iter().all(|x| x.is_finite() && *x >= 0.0),
                "{which}"
            );
            let mut last = 1.0;
            for i in -400..=400 {
                let tail = curve.tail((f64::from(i) / 10.0).exp());
                assert!(
                    (0.0..=last).contains(&tail),
                    "{which}, {i}: {tail} after {last}"
                );
                last = tail;
            }
        }
    }
}

/// A shop of 1,500 buyers that was closed for three weeks, from day 300 on, and had a rush of one.
fn shop(shocks: bool) -> EventLog {
    let mut random = Random::new(3, 0);
    let names: Vec<String> = (0..1_500).map(|i| format!("c{i:04}")).collect();
    let mut rows = Vec::new();
    for name in &names {
        let mean = 1.0 / random.gamma(4.0, 1.0 / 20.0);
        let mut time = random.between(0.0, 200.0);
        while time < 420.0 {
            // 21 days pass in the week from day 240 on, and none in the three from day 300 on.
            let day = match time {
                t if !shocks || t < 240.0 => t,
                t if t < 261.0 => 240.0 + (t - 240.0) / 3.0,
                t if t < 314.0 => t - 14.0,
                t => t + 7.0,
            };
            rows.push((name.as_str(), day.floor()));
            time += random.gamma(3.0, mean);
        }
    }
    let start = Timestamp::parse("2020-01-01").unwrap();
    let texts: Vec<(&str, String)> = rows
        .iter()
        .map(|(name, day)| (*name, start.plus_days(*day).to_string()))
        .collect();
    let rows: Vec<_> = texts
        .iter()
        .map(|(name, time)| (*name, time.as_str(), "purchase", 1.0))
        .collect();
    log(&rows)
}

fn prior(log: &EventLog, day: f64) -> GapPrior {
    let now = Timestamp::parse("2020-01-01").unwrap().plus_days(day);
    let history = log.history(AsOf::new(now));
    let population = Population::fit(&history, &FeatureSpec::default()).unwrap();
    let again = Population::from_json(&population.to_json()).unwrap();
    assert_eq!(population, again);
    population.gap_prior().unwrap().clone()
}

#[test]
fn pauses_and_rushes_of_the_whole_shop_are_no_silence() {
    let prior = prior(&shop(true), 321.0);
    let start = days_of(Timestamp::parse("2020-01-01").unwrap().micros());
    let mean = |days: std::ops::Range<i64>| {
        let n = (days.end - days.start) as f64;
        let at = |day| prior.pace.days[(start + day - prior.pace.first_day) as usize];
        days.map(at).sum::<f64>() / n
    };
    assert!(mean(301..321) < 0.4, "{}", mean(301..321));
    assert!(mean(241..246) > 2.0, "{}", mean(241..246));
    assert!((mean(100..220) - 1.0).abs() < 0.1, "{}", mean(100..220));
    let time = ShopTime::new(&prior.pace);
    let closed = time.extra_days(start + 300, start + 321);
    assert!(closed < -12.0, "{closed}");
    let micros = |day: f64| ((start as f64 + day) * MICROS_PER_DAY as f64) as i64;
    assert!((time.extra(micros(300.0), micros(321.0)) - closed).abs() < 1e-9);
    assert_eq!(time.extra(micros(321.0), micros(400.0)), 0.0);
}

#[test]
fn chance_is_not_taken_for_a_pause() {
    assert!(prior(&shop(false), 400.0).pace.is_even());
    let few = log(&[
        ("a", "2020-01-01", "purchase", 1.0),
        ("a", "2020-01-05", "purchase", 1.0),
    ]);
    assert!(prior(&few, 30.0).pace.is_even());
}

#[test]
fn numbers_from_a_file_are_checked() {
    let good = prior(&shop(true), 400.0);
    assert!(good.check().is_ok() && !good.pace.is_even());
    let wrong: [fn(&mut GapPrior); 8] = [
        |prior| prior.weight = f64::NAN,
        |prior| prior.relative_variance = -1.0,
        |prior| prior.pace.days[3] = 0.0,
        |prior| prior.pace.first_day = i64::MIN,
        |prior| prior.curves.truncate(3),
        |prior| prior.curves[2].decay = 1.0,
        |prior| prior.curves[2].quantiles[4] = 1e9,
        |prior| prior.curves[2].quantiles[0] = f64::NAN,
    ];
    for change in wrong {
        let mut prior = good.clone();
        change(&mut prior);
        assert!(prior.check().is_err(), "{prior:?}");
    }
    // A population without curves has those of the model.
    let plain = GapPrior {
        curves: Vec::new(),
        ..good
    };
    assert!(plain.check().is_ok());
    assert_eq!(Clock::new(&plain).curves.len(), GROUPS);
}
