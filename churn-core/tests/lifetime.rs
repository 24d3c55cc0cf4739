//! The models of buying against published estimates on published data.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use churn_core::ErrorKind;
use churn_core::progress::Progress;
use churn_core::scoring::lifetime::{
    Answer, Bound, Buyers, Family, GammaGamma, Lifetime, LifetimeModel, Regularity, SpendModel,
    likelihood_ratio,
};

/// The data folder; says loudly that a test was skipped where it is unset.
#[allow(clippy::print_stderr)]
fn data(name: &str) -> Option<PathBuf> {
    match std::env::var_os("CHURN_DATA") {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        None => {
            eprintln!("SKIPPED: CHURN_DATA is not set, {name} was not read");
            None
        }
    }
}

/// frequency, recency, age (weeks), mean value and holdout purchases of the CDNOW sample.
fn cdnow() -> Option<[Vec<f64>; 5]> {
    let file = BufReader::new(File::open(data("cdnow/cdnow_summary.csv")?).unwrap());
    let mut columns: [Vec<f64>; 5] = Default::default();
    for line in file.lines().skip(1) {
        let line = line.unwrap();
        for (column, cell) in columns.iter_mut().zip(line.split(',').skip(1)) {
            column.push(cell.parse().unwrap());
        }
    }
    assert_eq!(columns[0].len(), 2357);
    Some(columns)
}

fn weeks(columns: &[Vec<f64>; 5]) -> Buyers<'_> {
    Buyers::new(&columns[0][..], &columns[1][..], &columns[2][..])
        .unwrap()
        .with_unit_days(7.0)
        .unwrap()
}

fn fit(settings: &Lifetime, buyers: &Buyers<'_>) -> LifetimeModel {
    settings.fit(buyers, &Progress::none()).unwrap()
}

fn near(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tolerance * w.abs(), "{got:?} {want:?}");
    }
}

#[test]
fn published_estimates_of_cdnow() {
    let Some(columns) = cdnow() else { return };
    let buyers = weeks(&columns);
    let bg = fit(&Lifetime::bg_nbd(), &buyers);
    near(bg.parameters(), &[0.2426, 4.4135, 0.7929, 2.4258], 2e-4);
    let estimate = bg.estimate().unwrap();
    assert!(
        (estimate.log_likelihood - -9582.4256).abs() < 2e-3,
        "{estimate:?}"
    );
    assert!(
        estimate.distance < 1e-4 && estimate.condition < 1e4,
        "{estimate:?}"
    );

    let mbg = fit(&Lifetime::mbg_nbd(), &buyers);
    near(mbg.parameters(), &[0.5248, 6.183, 0.8914, 1.614], 3e-4);
    assert!((mbg.estimate().unwrap().log_likelihood - -9582.1327).abs() < 2e-3);

    let pareto = fit(&Lifetime::pareto_nbd(), &buyers);
    near(pareto.parameters(), &[0.5533, 10.578, 0.6062, 11.668], 3e-4);
    let estimate = pareto.estimate().unwrap();
    assert!(
        (estimate.log_likelihood - -9594.976).abs() < 3e-3,
        "{estimate:?}"
    );
    let errors: Vec<f64> = estimate
        .parameters
        .iter()
        .map(|p| p.standard_error.unwrap())
        .collect();
    near(&errors, &[0.0476, 0.8427, 0.1873, 6.2105], 3e-3);
    assert!((estimate.aic() - (8.0 + 2.0 * 9594.974)).abs() < 1e-2);

    // Holdout of 39 weeks: predicted totals.
    for (model, total) in [(&bg, 1653.4), (&mbg, 1576.7), (&pareto, 1665.6)] {
        let expected: f64 = model
            .expected_purchases(&buyers, 39.0)
            .unwrap()
            .iter()
            .sum();
        assert!(
            (expected - total).abs() < 0.15,
            "{:?} {expected}",
            model.family()
        );
        let alive = model.probability_alive(&buyers).unwrap();
        let none = model.no_purchase_probability(&buyers, 39.0).unwrap();
        assert!(alive.iter().chain(&none).all(|p| (0.0..=1.0).contains(p)));
    }

    let spend = GammaGamma::default()
        .fit(&columns[0], &columns[3], &Progress::none())
        .unwrap();
    near(&spend.parameters(), &[6.2488, 3.7446, 15.4477], 5e-4);
    let estimate = spend.estimate().unwrap();
    assert!(
        (estimate.log_likelihood - -4055.92).abs() < 5e-3,
        "{estimate:?}"
    );
    assert_eq!((estimate.customers, spend.left_out()), (946.0, 1411));
    assert!((spend.population_mean().unwrap() - 35.17).abs() < 0.01);
    assert!((spend.frequency_correlation().unwrap() - 0.114).abs() < 6e-4);
    let one = spend.expected_spend(&[2.0], &[22.35]).unwrap();
    assert!((one[0] - 24.66).abs() < 0.01, "{one:?}");
}

#[test]
fn published_answers_for_single_customers() {
    let model = |family, parameters| LifetimeModel::new(family, parameters, 1, 7.0).unwrap();
    let bg = model(Family::BgNbd, [0.242594, 4.413532, 0.792920, 2.425752]);
    let mbg = model(Family::MbgNbd, [0.524808, 6.182990, 0.891374, 1.614004]);
    let pareto = model(
        Family::ParetoNbd,
        [0.553273, 10.578101, 0.606236, 11.668305],
    );
    let histories = [
        (0.0, 0.0, 38.86),
        (1.0, 10.0, 38.86),
        (2.0, 30.43, 38.86),
        (7.0, 29.43, 38.86),
        (26.0, 30.86, 31.0),
    ];
    let column = |f: fn(&(f64, f64, f64)) -> f64| histories.iter().map(f).collect::<Vec<f64>>();
    let buyers = Buyers::new(column(|h| h.0), column(|h| h.1), column(|h| h.2))
        .unwrap()
        .with_unit_days(7.0)
        .unwrap();
    let alive = |model: &LifetimeModel| model.probability_alive(&buyers).unwrap();
    near(
        &alive(&bg),
        &[1.0, 0.438351, 0.726609, 0.641801, 0.96892],
        5e-5,
    );
    near(&alive(&mbg)[..3], &[0.389716, 0.381068, 0.706126], 3e-5);
    near(&alive(&mbg)[4..], &[0.965553], 3e-5);
    near(
        &alive(&pareto),
        &[0.295097, 0.399018, 0.869119, 0.749416, 0.9979],
        5e-5,
    );
    let expected = |model: &LifetimeModel, t| model.expected_purchases(&buyers, t).unwrap();
    assert!((expected(&bg, 39.0)[2] - 1.2259).abs() < 1e-4);
    assert!((expected(&bg, 39.0)[4] - 20.751).abs() < 1e-3);
    assert!((expected(&mbg, 39.0)[2] - 1.262671).abs() < 1e-4);
    assert!((expected(&pareto, 39.0)[2] - 1.4551).abs() < 1e-4);
    assert!((expected(&pareto, 39.0)[4] - 20.116).abs() < 1e-3);
    // The vignette of BTYD rounds the parameters.
    assert!((expected(&pareto, 52.0)[4] - 25.46).abs() < 5e-3);
    // Nobody knows a new customer yet.
    let new = Buyers::new(vec![0.0], vec![0.0], vec![0.0])
        .unwrap()
        .with_unit_days(7.0)
        .unwrap();
    for (model, t, want) in [
        (&bg, 39.0, 1.195016),
        (&bg, 52.0, 1.444021),
        (&bg, 78.0, 1.857972),
        (&pareto, 39.0, 1.213408),
        (&pareto, 52.0, 1.473441),
    ] {
        let got = model.expected_purchases(&new, t).unwrap()[0];
        assert!((got - want).abs() < 1e-4, "{:?} {t}: {got}", model.family());
    }
}

#[test]
fn stress_inputs_of_other_packages_are_finite() {
    let model = |family, parameters| LifetimeModel::new(family, parameters, 1, 7.0).unwrap();
    let clv = model(Family::ParetoNbd, [0.5143, 2.8845, 0.2856, 14.1087]);
    let lifetimes = model(Family::ParetoNbd, [10.465, 7.98565181e-3, 3.0516, 2.820]);
    let buyers = Buyers::new(
        vec![221.0, 254.0, 161.0, 204.0, 400.0, 500.0, 1e5],
        vec![103.42857, 97.14286, 94.71429, 98.57143, 5.3, 5.3, 300.0],
        vec![103.57143, 97.28571, 98.0, 99.42857, 6.0, 6.0, 301.0],
    )
    .unwrap()
    .with_unit_days(7.0)
    .unwrap();
    for model in [&clv, &lifetimes] {
        for answer in [
            Answer::ProbabilityAlive,
            Answer::ExpectedPurchases(39.0),
            Answer::ExpectedPurchases(1e12),
            Answer::NoPurchase(39.0),
            Answer::DiscountedPurchases {
                rate: 0.002,
                horizon: f64::INFINITY,
            },
        ] {
            let values = model.answer(&buyers, answer).unwrap();
            assert!(
                values.iter().all(|v| v.is_finite() && *v >= 0.0),
                "{answer:?} {values:?}"
            );
        }
    }
}

#[test]
fn order_and_copies_do_not_matter() {
    let Some(columns) = cdnow() else { return };
    let model = fit(&Lifetime::pareto_nbd(), &weeks(&columns));
    let mut mixed = columns.clone();
    mixed.iter_mut().for_each(|column| column.reverse());
    assert_eq!(model, fit(&Lifetime::pareto_nbd(), &weeks(&mixed)));
    // Every history twice, or with weight two.
    let twice = columns.clone().map(|c| [c.clone(), c].concat());
    let copied = fit(&Lifetime::mbg_nbd(), &weeks(&twice));
    let weighted = weeks(&columns).with_weights(vec![2.0; 2357]).unwrap();
    let weighted = fit(&Lifetime::mbg_nbd(), &weighted);
    assert_eq!(copied, weighted);
    // Days instead of weeks stretch alpha and nothing else.
    let days = Buyers::new(
        &columns[0][..],
        columns[1].iter().map(|t| t * 7.0).collect::<Vec<_>>(),
        columns[2].iter().map(|t| t * 7.0).collect::<Vec<_>>(),
    )
    .unwrap();
    let days = fit(&Lifetime::mbg_nbd(), &days);
    let [r, alpha, a, b] = days.parameters() else {
        panic!()
    };
    near(&[*r, *alpha / 7.0, *a, *b], copied.parameters(), 1e-5);
    // A stored model answers the same.
    let stored = LifetimeModel::from_json(&model.to_json()).unwrap();
    assert_eq!(stored, model);
    let broken = model.to_json().replace("\"pareto_nbd\"", "\"gompertz\"");
    assert!(LifetimeModel::from_json(&broken).is_err());
}

#[test]
fn impossible_data_are_errors() {
    let buyers = |x: Vec<f64>, t: Vec<f64>, age: Vec<f64>| Buyers::new(x, t, age);
    let rows = [
        (vec![1.0, -1.0], vec![2.0, 0.0], vec![3.0, 3.0]),
        (vec![1.0, 0.5], vec![2.0, 0.0], vec![3.0, 3.0]),
        (vec![1.0, 1.0], vec![2.0, 4.0], vec![3.0, 3.0]),
        (vec![1.0, 1.0], vec![2.0, 2.0], vec![3.0, f64::NAN]),
    ];
    for (x, t, age) in rows {
        let error = buyers(x, t, age).unwrap_err();
        assert_eq!(
            (error.kind(), error.row()),
            (ErrorKind::InvalidValue, Some(1))
        );
    }
    for settings in [
        Lifetime::bg_nbd(),
        Lifetime::mbg_nbd(),
        Lifetime::pareto_nbd(),
    ] {
        let kind = |x: Vec<f64>, t: Vec<f64>, age: Vec<f64>| {
            let buyers = buyers(x, t, age).unwrap();
            settings.fit(&buyers, &Progress::none()).unwrap_err().kind()
        };
        // One-time buyers only, nobody, no time.
        let zeros = || vec![0.0; 9];
        assert_eq!(
            kind(zeros(), zeros(), vec![5.0; 9]),
            ErrorKind::NotEnoughData
        );
        assert_eq!(kind(vec![], vec![], vec![]), ErrorKind::NotEnoughData);
        assert_eq!(
            kind(vec![1.0], vec![0.0], vec![0.0]),
            ErrorKind::NotEnoughData
        );
        // One customer, whom the models describe by a limit of theirs.
        let one = buyers(vec![4.0], vec![30.0], vec![38.0]).unwrap();
        let model = settings.fit(&one, &Progress::none()).unwrap();
        let bounds = &model.estimate().unwrap().parameters;
        assert!(bounds.iter().any(|p| p.on_bound.is_some()), "{bounds:?}");
        for answer in [Answer::ProbabilityAlive, Answer::ExpectedPurchases(39.0)] {
            let [value, low, high] = model.interval(&one, answer, 0.9).unwrap();
            assert!(value[0].is_finite() && low[0] <= value[0] && value[0] <= high[0]);
        }
        let wrong = model.expected_purchases(&one, -1.0).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidParameter);
        let zero = model.expected_purchases(&one, 0.0).unwrap();
        assert_eq!(zero, [0.0]);
        assert_eq!(model.no_purchase_probability(&one, 0.0).unwrap(), [1.0]);
    }
    let regular = Lifetime {
        regularity: Regularity::Fixed(2),
        ..Lifetime::mbg_nbd()
    };
    let data = buyers(vec![1.0, 0.0], vec![2.0, 0.0], vec![3.0, 3.0]).unwrap();
    let error = regular.fit(&data, &Progress::none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEnoughData);
}

#[test]
fn penalty_and_covariates_on_apparel() {
    let Some(columns) = cdnow() else { return };
    // The covariate is whether the first holdout purchase happened: strong by construction.
    let later: Vec<f64> = columns[4]
        .iter()
        .map(|x| f64::from(u8::from(*x > 0.0)))
        .collect();
    for plain in [
        Lifetime::bg_nbd(),
        Lifetime::mbg_nbd(),
        Lifetime::pareto_nbd(),
    ] {
        let buyers = weeks(&columns)
            .with_covariate("later", later.clone())
            .unwrap();
        let with = Lifetime {
            purchase_covariates: vec!["later".into()],
            dropout_covariates: vec!["later".into()],
            ..plain.clone()
        };
        let (without, with) = (fit(&plain, &buyers), fit(&with, &buyers));
        let test = likelihood_ratio(without.estimate().unwrap(), with.estimate().unwrap()).unwrap();
        assert_eq!(test.degrees, 2);
        assert!(test.statistic > 100.0 && test.p_value < 1e-20, "{test:?}");
        let stored = LifetimeModel::from_json(&with.to_json()).unwrap();
        let t = 39.0;
        assert_eq!(
            stored.expected_purchases(&buyers, t).unwrap(),
            with.expected_purchases(&buyers, t).unwrap()
        );
        assert!(with.probability_alive(&weeks(&columns)).is_err());
    }
    // lifetimes 0.11.3, BetaGeoFitter(penalizer_coef=0.01), which sets the largest age to 1 first.
    let longest = columns[2].iter().fold(0.0, |m: f64, t| m.max(*t));
    let scaled = |column: &[f64]| column.iter().map(|t| t / longest).collect::<Vec<f64>>();
    let buyers = Buyers::new(&columns[0][..], scaled(&columns[1]), scaled(&columns[2])).unwrap();
    let penalized = Lifetime {
        penalty: 0.01,
        ..Lifetime::bg_nbd()
    };
    let model = fit(&penalized, &buyers);
    near(
        model.parameters(),
        &[0.242940, 0.114062, 0.285641, 0.658453],
        1e-5,
    );
}

#[test]
fn spend_and_bounds_survive_json() {
    let spend = GammaGamma::default()
        .fit(&[1.0, 2.0, 5.0], &[10.0, 10.0, 10.0], &Progress::none())
        .unwrap();
    let stored = SpendModel::from_json(&spend.to_json()).unwrap();
    assert_eq!(stored, spend);
    let bounds = &spend.estimate().unwrap().parameters;
    assert!(
        bounds.iter().any(|p| p.on_bound == Some(Bound::High)),
        "{bounds:?}"
    );
    let next = spend.expected_spend(&[0.0], &[0.0]).unwrap();
    assert!((next[0] - 10.0).abs() < 0.1, "{next:?}");
}
