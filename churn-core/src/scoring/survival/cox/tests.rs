use super::*;
use crate::error::ErrorKind;
use crate::math::random::Random;
use crate::scoring::learned::Column;

struct Data {
    stop: Vec<f64>,
    event: Vec<bool>,
    entry: Vec<f64>,
    strata: Vec<u32>,
    columns: Vec<(String, Vec<f64>)>,
}

impl Data {
    /// Spells with whole durations, hence ties, of known coefficients 0.8 and −0.5.
    fn simulated(n: usize) -> Self {
        let mut random = Random::new(11, 0);
        let mut data = Data {
            stop: vec![],
            event: vec![],
            entry: vec![],
            strata: vec![],
            columns: vec![("x".into(), vec![]), ("y".into(), vec![])],
        };
        for _ in 0..n {
            let (x, y) = (random.normal(), random.between(0.0, 4.0));
            let stratum = u32::from(random.chance(0.3));
            let rate = (0.8 * x - 0.5 * y + f64::from(stratum)).exp() / 20.0;
            let end = random.exponential(1.0 / rate).ceil();
            let seen = random.between(1.0, 80.0).ceil();
            let stop = end.min(seen);
            data.entry.push((stop * 0.5 * random.uniform()).floor());
            data.stop.push(stop);
            data.event.push(end <= seen);
            data.strata.push(stratum);
            data.columns[0].1.push(x);
            data.columns[1].1.push(y);
        }
        data
    }

    fn durations(&self) -> Durations<'_> {
        Durations::new(&self.stop, &self.event).unwrap()
    }

    fn frame(&self) -> Frame<'_> {
        let columns = self.columns.iter();
        let columns = columns.map(|(n, x)| (n.clone(), Column::Numeric(x.as_slice().into())));
        Frame::new(columns.collect()).unwrap()
    }

    fn shuffled(&self) -> Self {
        let mut random = Random::new(5, 1);
        let mut order: Vec<usize> = (0..self.stop.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, (random.uniform() * (i + 1) as f64) as usize);
        }
        let pick = |x: &[f64]| order.iter().map(|i| x[*i]).collect::<Vec<f64>>();
        Data {
            stop: pick(&self.stop),
            event: order.iter().map(|i| self.event[*i]).collect(),
            entry: pick(&self.entry),
            strata: order.iter().map(|i| self.strata[*i]).collect(),
            columns: self
                .columns
                .iter()
                .map(|(n, x)| (n.clone(), pick(x)))
                .collect(),
        }
    }
}

#[test]
fn known_coefficients_come_back() {
    let data = Data::simulated(4_000);
    let model = CoxPh::default()
        .fit(&data.durations(), &data.frame(), Some(&data.strata))
        .unwrap();
    for (c, truth) in model.coefficients().iter().zip([0.8, -0.5]) {
        let away = (c.coefficient - truth).abs() / c.standard_error;
        assert!(away < 4.0, "{c:?}");
    }
    assert!(model.likelihood_ratio().2 < 1e-10);
    assert!(model.concordance().index().unwrap() > 0.65);
    assert_eq!(model.strata(), [0, 1]);
}

/// The information from first moments and weights equals the one by definition.
#[test]
fn likelihood_equals_its_definition() {
    let data = Data::simulated(60);
    let durations = data.durations().with_entry(&data.entry).unwrap();
    let frame = data.frame();
    let beta = [0.4, -0.7];
    for ties in [Ties::Efron, Ties::Breslow] {
        let likelihood = Likelihood::new(&durations, &frame, Some(&data.strata), ties).unwrap();
        let value = likelihood.at(&beta).unwrap();
        let design = likelihood.design();
        let z = |i: usize| -> Vec<f64> {
            let scaled = |j: usize| (data.columns[j].1[i] - design.means[j]) / design.scales[j];
            (0..2).map(scaled).collect()
        };
        let risk = |i: usize| z(i).iter().zip(beta).map(|(z, b)| z * b).sum::<f64>().exp();
        let (mut ll, mut gradient, mut information) = (0.0, [0.0; 2], [0.0; 4]);
        let mut ends: Vec<(u32, f64)> = (0..60)
            .filter(|i| data.event[*i])
            .map(|i| (data.strata[i], data.stop[i]))
            .collect();
        ends.sort_by(|a, b| a.partial_cmp(b).unwrap());
        ends.dedup();
        for (stratum, t) in ends {
            let own = |i: &usize| data.strata[*i] == stratum;
            let among: Vec<usize> = (0..60)
                .filter(own)
                .filter(|i| data.entry[*i] < t && data.stop[*i] >= t)
                .collect();
            let ended: Vec<usize> = (0..60)
                .filter(own)
                .filter(|i| data.event[*i] && data.stop[*i] == t)
                .collect();
            for (l, i) in ended.iter().enumerate() {
                let gone = match ties {
                    Ties::Efron => l as f64 / ended.len() as f64,
                    Ties::Breslow => 0.0,
                };
                let (mut s0, mut s1, mut s2) = (0.0, [0.0; 2], [0.0; 4]);
                for k in &among {
                    let share = if ended.contains(k) { 1.0 - gone } else { 1.0 };
                    let (e, z) = (share * risk(*k), z(*k));
                    s0 += e;
                    for a in 0..2 {
                        s1[a] += e * z[a];
                        for b in 0..2 {
                            s2[2 * a + b] += e * z[a] * z[b];
                        }
                    }
                }
                ll += risk(*i).ln() - s0.ln();
                for a in 0..2 {
                    gradient[a] += z(*i)[a] - s1[a] / s0;
                    for b in 0..2 {
                        information[2 * a + b] += s2[2 * a + b] / s0 - s1[a] * s1[b] / (s0 * s0);
                    }
                }
            }
        }
        let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-10, "{got} {want}");
        close(value.log_likelihood, ll);
        (0..2).for_each(|a| close(value.gradient[a], gradient[a]));
        (0..4).for_each(|a| close(value.information[a], information[a]));
    }
}

#[test]
fn order_of_rows_and_threads_change_no_bit() {
    let data = Data::simulated(9_000);
    let other = data.shuffled();
    let fit = |data: &Data| {
        let durations = data.durations().with_entry(&data.entry).unwrap();
        let model = CoxPh::default().fit(&durations, &data.frame(), Some(&data.strata));
        let model = model.unwrap();
        let bits: Vec<u64> = model.covariance().iter().map(|x| x.to_bits()).collect();
        (
            bits,
            model.coefficients()[0].coefficient.to_bits(),
            model.baselines,
        )
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    assert_eq!(fit(&data), fit(&other));
    assert_eq!(fit(&data), pool.install(|| fit(&other)));
}

#[test]
fn stretches_of_a_spell_are_the_spell() {
    let data = Data::simulated(300);
    let whole = CoxPh::default()
        .fit(&data.durations(), &data.frame(), None)
        .unwrap();
    // Each spell of more than one unit cut in two.
    let mut cut = Data::simulated(0);
    let mut push = |start: f64, stop: f64, event: bool, i: usize| {
        cut.entry.push(start);
        cut.stop.push(stop);
        cut.event.push(event);
        for j in 0..2 {
            cut.columns[j].1.push(data.columns[j].1[i]);
        }
    };
    for i in 0..300 {
        let stop = data.stop[i];
        let middle = (stop / 2.0).floor();
        if middle > 0.0 {
            push(0.0, middle, false, i);
        }
        push(middle, stop, data.event[i], i);
    }
    let durations = cut.durations().with_entry(&cut.entry).unwrap();
    let parts = CoxPh::default()
        .fit(&durations, &cut.frame(), None)
        .unwrap();
    for (a, b) in whole.coefficients().iter().zip(parts.coefficients()) {
        assert!((a.coefficient - b.coefficient).abs() < 1e-10);
        assert!((a.standard_error - b.standard_error).abs() < 1e-10);
    }
    assert!((whole.log_likelihood() - parts.log_likelihood()).abs() < 1e-8);
}

/// Huge risks that leave the risk set early leave no rounding behind.
#[test]
fn worn_sums_are_renewed() {
    let n = 40;
    let stop: Vec<f64> = (0..n).map(|i| f64::from(i) + 1.0).collect();
    let entry: Vec<f64> = (0..n).map(|i| if i < 20 { 0.0 } else { 19.5 }).collect();
    let event: Vec<bool> = (0..n).map(|i| i % 3 != 0).collect();
    // Rows of the second half have risks e^60 above the first.
    let x: Vec<f64> = (0..n).map(|i| if i < 20 { -30.0 } else { 30.0 }).collect();
    let y: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % 11)).collect();
    let columns = vec![
        ("x".to_owned(), Column::Numeric(x.clone().into())),
        ("y".to_owned(), Column::Numeric(y.clone().into())),
    ];
    let frame = Frame::new(columns).unwrap();
    let durations = Durations::new(&stop, &event)
        .unwrap()
        .with_entry(&entry)
        .unwrap();
    let likelihood = Likelihood::new(&durations, &frame, None, Ties::Efron).unwrap();
    let scale = likelihood.design().scales.clone();
    let beta = [1.0 * scale[0], 0.1 * scale[1]];
    let got = likelihood.at(&beta).unwrap().log_likelihood;
    let mut want = 0.0;
    for i in (0..n as usize).filter(|i| event[*i]) {
        let eta = |k: usize| x[k] + 0.1 * y[k];
        let among = (0..n as usize).filter(|k| entry[*k] < stop[i] && stop[*k] >= stop[i]);
        let sum: f64 = among.map(|k| (eta(k) - eta(i)).exp()).sum();
        want -= sum.ln();
    }
    assert!((got - want).abs() < 1e-6 * want.abs(), "{got} {want}");
}

#[test]
fn mistakes_are_named() {
    let stop = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let event = [true, true, true, false, false, true];
    let durations = Durations::new(&stop, &event).unwrap();
    let fit = |columns: &[(&str, [f64; 6])], settings: CoxPh, strata: Option<&[u32]>| {
        let columns = columns.iter();
        let columns = columns.map(|(n, x)| ((*n).to_owned(), Column::Numeric(x.to_vec().into())));
        let frame = Frame::new(columns.collect()).unwrap();
        settings.fit(&durations, &frame, strata)
    };
    let error = |columns: &[(&str, [f64; 6])], strata: Option<&[u32]>| {
        let error = fit(columns, CoxPh::default(), strata).unwrap_err();
        (error.kind(), error.what().to_owned(), error.row())
    };
    let x = ("x", [1.0, 5.0, 2.0, 4.0, 3.0, 2.5]);
    let twice = ("twice", x.1.map(|v| 2.0 * v + 1.0));
    let value = ErrorKind::InvalidValue;
    assert_eq!(error(&[x, twice], None), (value, "cox.twice".into(), None));
    assert_eq!(
        error(&[("x", [1.0, f64::NAN, 2.0, 4.0, 3.0, 2.5])], None),
        (value, "cox.x".into(), Some(1))
    );
    assert_eq!(error(&[("one", [1.0; 6])], None).1, "cox.one");
    // Constant within each stratum: the baselines say it all.
    let strata = [0, 0, 0, 1, 1, 1];
    let level = ("level", [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(error(&[level], Some(&strata)).1, "cox.level");
    assert_eq!(error(&[x], Some(&[0])).0, ErrorKind::LengthMismatch);
    // The earlier an end, the higher the value, without exception.
    let splits = ("splits", [9.0, 8.0, 7.0, 1.0, 2.0, 0.0]);
    let separated = fit(&[splits], CoxPh::default(), None).unwrap_err();
    assert_eq!(separated.kind(), ErrorKind::NotConverged, "{separated}");
    assert_eq!(separated.what(), "cox.splits");
    let penalised = CoxPh {
        l2_penalty: 0.01,
        ..CoxPh::default()
    };
    assert!(fit(&[splits], penalised.clone(), None).is_ok());
    assert!(fit(&[x, twice], penalised, None).is_ok());
    for (settings, what) in [
        (
            CoxPh {
                l2_penalty: -1.0,
                ..CoxPh::default()
            },
            "cox.l2_penalty",
        ),
        (
            CoxPh {
                confidence: 1.0,
                ..CoxPh::default()
            },
            "cox.confidence",
        ),
        (
            CoxPh {
                max_iterations: 0,
                ..CoxPh::default()
            },
            "cox.max_iterations",
        ),
    ] {
        assert_eq!(fit(&[x], settings, None).unwrap_err().what(), what);
    }
}

#[test]
fn predictions() {
    let data = Data::simulated(500);
    let frame = data.frame();
    let model = CoxPh::default()
        .fit(&data.durations(), &frame, None)
        .unwrap();
    let median = model.percentile(&frame, 0.5, None).unwrap();
    let at = |times: &[f64], after: Option<&[f64]>| model.survival(&frame, times, None, after);
    for (row, t) in median.iter().enumerate() {
        if let Some(t) = t {
            assert!(at(&[*t], None).unwrap()[row] <= 0.5 + 1e-12);
            assert!(at(&[*t - 1.0], None).unwrap()[row] > 0.5);
        }
    }
    let later = at(&[30.0], None).unwrap();
    let early = at(&[10.0], None).unwrap();
    let rest = at(&[20.0], Some(&vec![10.0; 500])).unwrap();
    for row in 0..500 {
        assert!((rest[row] * early[row] - later[row]).abs() < 1e-12);
    }
    assert_eq!(at(&[-1.0], None).unwrap_err().what(), "times");
    let error = at(&[1.0], Some(&vec![f64::NAN; 500])).unwrap_err();
    assert_eq!((error.what(), error.row()), ("conditional_after", Some(0)));
    let error = model
        .survival(&frame, &[1.0], Some(&data.strata), None)
        .unwrap_err();
    assert_eq!(error.what(), "strata");
    let narrow = Frame::new(vec![("x".into(), Column::Numeric(vec![0.0].into()))]).unwrap();
    let error = model.log_partial_hazard(&narrow).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownName);
}

#[test]
fn work_stops_on_request() {
    let data = Data::simulated(100);
    let stop = |_| crate::progress::Control::Stop;
    let error = CoxPh::default()
        .fit_observed(
            &data.durations(),
            &data.frame(),
            None,
            &Progress::new(&stop),
        )
        .unwrap_err();
    assert_eq!(error.what(), "cox.iterations");
}
