use super::*;
use crate::math::random::Random;
use crate::scoring::learned::Importance;
use crate::scoring::learned::MISSING_LEVEL;

/// Columns of numbers with missing cells and of levels, and outcomes that depend on both.
pub(super) fn example(rows: usize, seed: u64) -> (Frame<'static>, Vec<f64>) {
    let mut random = Random::new(seed, 0);
    let names: Vec<String> = (0..12).map(|l| format!("level {l:02}")).collect();
    let mut numbers = vec![Vec::with_capacity(rows); 9];
    let (mut codes, mut target) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for _ in 0..rows {
        let x: Vec<f64> = (0..9).map(|_| random.normal()).collect();
        let level = random.next_u64() as u32 % 13;
        let mut score = x[0] + x[1] * x[2] - (x[3] > 0.5) as u8 as f64;
        score += [0.8, -0.8, 0.0][level as usize % 3];
        for (j, (column, x)) in numbers.iter_mut().zip(&x).enumerate() {
            // Column 4 is missing more often where the outcome is likely.
            let missing = match j {
                4 => random.chance(if score > 0.0 { 0.6 } else { 0.2 }),
                5 | 0 => random.chance(0.1),
                _ => false,
            };
            let rounded = if j == 6 { x.round() } else { *x };
            column.push(if missing { f64::NAN } else { rounded });
        }
        codes.push(if level == 12 { MISSING_LEVEL } else { level });
        let probability = 1.0 / (1.0 + (-2.0 * score + 1.0).exp());
        target.push(f64::from(u8::from(random.chance(probability))));
    }
    let numbers = numbers.into_iter().enumerate();
    let mut columns: Vec<(String, Column<'static>)> = numbers
        .map(|(j, values)| (format!("x{j}"), Column::Numeric(values.into())))
        .collect();
    let levels = Column::Categorical {
        codes: codes.into(),
        levels: names.into(),
    };
    columns.insert(3, ("plan".into(), levels));
    (Frame::new(columns).unwrap(), target)
}

fn fit(settings: &Boosting, frame: &Frame<'_>, target: &[f64]) -> TreeEnsemble {
    settings
        .fit(frame, target, None, None, &Progress::none())
        .unwrap()
}

fn log_loss(p: &[f64], y: &[f64]) -> f64 {
    let losses = p
        .iter()
        .zip(y)
        .map(|(p, y)| -(if *y == 1.0 { *p } else { 1.0 - p }).ln());
    losses.sum::<f64>() / y.len() as f64
}

#[test]
fn threads_do_not_matter() {
    let (frame, target) = example(150_000, 1);
    let settings = Boosting {
        trees: 5,
        leaves: 20,
        ..Boosting::default()
    };
    let model = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&settings, &frame, &target))
    };
    let one = model(1);
    assert_eq!(one, model(2));
    assert_eq!(one, model(7));
    let _ = Importance::Gain;
    let p = one.predict(&frame).unwrap();
    assert!(log_loss(&p, &target) < 0.9 * 0.69);
}
