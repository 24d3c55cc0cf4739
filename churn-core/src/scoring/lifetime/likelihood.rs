//! The log-likelihood of all customers and its gradient, for any of the models of buying.
//!
//! Everything is in logarithms of the parameters. What depends on a count or on a time alone is
//! computed once per distinct value, rows are summed in fixed chunks whose sums are added in order,
//! so that the bits depend neither on the order of the input nor on the number of threads.

use rayon::prelude::*;

use super::patterns::{Entry, Patterns};

/// Number of parameters of every model of buying.
pub(super) const P: usize = 4;

/// Parameters and their logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params {
    pub(super) value: [f64; P],
    pub(super) ln: [f64; P],
}

impl Params {
    pub(super) fn from_ln(ln: [f64; P]) -> Self {
        Params {
            value: ln.map(f64::exp),
            ln,
        }
    }
}

/// One model: what a customer's history is worth.
pub(super) trait Kernel: Sync {
    /// What depends on the parameters and a count.
    type Count: Copy + Send + Sync;
    /// What depends on the parameters and a time.
    type Time: Copy + Send + Sync;
    /// How a unit of a dropout covariate moves the logarithms of the parameters; a unit of a
    /// purchase covariate lowers ln α by one.
    const DROPOUT: [f64; P];

    fn count(&self, p: &Params, x: f64) -> Self::Count;
    fn time(&self, p: &Params, t: f64) -> Self::Time;
    /// Log-likelihood of one history and its derivatives by the logarithms of the parameters.
    fn row(
        &self,
        p: &Params,
        count: (f64, &Self::Count),
        recency: (f64, &Self::Time),
        age: (f64, &Self::Time),
    ) -> (f64, [f64; P]);
}

const PURCHASE: [f64; P] = [0.0, -1.0, 0.0, 0.0];

/// How covariates act: the first `purchase` columns on purchases, the others on dropout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effects {
    pub(super) purchase: usize,
    pub(super) dropout: [f64; P],
}

impl Effects {
    fn of(&self, column: usize) -> &[f64; P] {
        if column < self.purchase {
            &PURCHASE
        } else {
            &self.dropout
        }
    }

    /// Parameters of customers with these covariates; `theta` = logarithms, then coefficients.
    pub(super) fn params(&self, theta: &[f64], covariates: &[f64]) -> Params {
        let mut ln = [0.0; P];
        ln.copy_from_slice(&theta[..P]);
        for (k, (z, coefficient)) in covariates.iter().zip(&theta[P..]).enumerate() {
            for (ln, effect) in ln.iter_mut().zip(self.of(k)) {
                *ln += effect * coefficient * z;
            }
        }
        Params::from_ln(ln)
    }
}

/// Rows per chunk of a sum.
const CHUNK: usize = 2048;
/// Entries per piece of a table made in parallel.
const TABLE: usize = 512;

/// Log-likelihood of all rows; `gradient` (logarithms of parameters, then coefficients) is
/// overwritten.
pub(super) fn log_likelihood<K: Kernel>(
    kernel: &K,
    patterns: &Patterns,
    effects: &Effects,
    theta: &[f64],
    gradient: &mut [f64],
) -> f64 {
    let width = patterns.width;
    let covariates = |group: usize| &patterns.covariates[group * width..(group + 1) * width];
    let params: Vec<Params> = (0..patterns.groups)
        .map(|group| effects.params(theta, covariates(group)))
        .collect();
    let counts = table(&patterns.counts, |e| {
        kernel.count(&params[e.group as usize], e.value)
    });
    let times = table(&patterns.times, |e| {
        kernel.time(&params[e.group as usize], e.value)
    });
    let sums: Vec<Vec<f64>> = patterns
        .rows
        .par_chunks(CHUNK)
        .map(|rows| {
            let mut sums = vec![0.0; 1 + P + width];
            for row in rows {
                let group = patterns.group(row);
                let (x, recency, age) = patterns.history(row);
                let (value, slope) = kernel.row(
                    &params[group],
                    (x, &counts[row.count as usize]),
                    (recency, &times[row.recency as usize]),
                    (age, &times[row.age as usize]),
                );
                sums[0] += row.weight * value;
                for j in 0..P {
                    sums[1 + j] += row.weight * slope[j];
                }
                for (k, z) in covariates(group).iter().enumerate() {
                    let effect = effects.of(k);
                    let along: f64 = (0..P).map(|j| effect[j] * slope[j]).sum();
                    sums[1 + P + k] += row.weight * z * along;
                }
            }
            sums
        })
        .collect();
    let mut total = 0.0;
    gradient.fill(0.0);
    for sums in sums {
        total += sums[0];
        for (gradient, sum) in gradient.iter_mut().zip(&sums[1..]) {
            *gradient += sum;
        }
    }
    total
}

fn table<T: Send>(entries: &[Entry], make: impl Fn(&Entry) -> T + Sync + Send) -> Vec<T> {
    if entries.len() <= TABLE {
        return entries.iter().map(make).collect();
    }
    entries.par_iter().with_min_len(TABLE).map(make).collect()
}

/// `ln(1 + e^z)` and its derivative, the probability that belongs to the odds `e^z`.
#[inline]
pub(super) fn softplus(z: f64) -> (f64, f64) {
    let e = (-z.abs()).exp();
    let share = 1.0 / (1.0 + e);
    (
        z.max(0.0) + e.ln_1p(),
        if z >= 0.0 { share } else { e * share },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::lifetime::bg_nbd::BgNbd;
    use crate::scoring::lifetime::buyers::Buyers;
    use crate::scoring::lifetime::forecast::Posterior;
    use crate::scoring::lifetime::pareto_nbd::ParetoNbd;

    fn bg(regularity: u32, dropout_at_zero: bool) -> BgNbd {
        BgNbd {
            regularity,
            dropout_at_zero,
        }
    }

    fn one<K: Kernel>(kernel: &K, ln: [f64; P], x: f64, recency: f64, age: f64) -> (f64, [f64; P]) {
        let p = Params::from_ln(ln);
        kernel.row(
            &p,
            (x, &kernel.count(&p, x)),
            (recency, &kernel.time(&p, recency)),
            (age, &kernel.time(&p, age)),
        )
    }

    fn slopes<K: Kernel>(kernel: &K, what: &str) {
        for values in [
            [0.243, 4.414, 0.793, 2.426],
            [3.0, 0.5, 0.02, 40.0],
            [0.05, 900.0, 7.0, 0.3],
        ] {
            let ln = values.map(f64::ln);
            for (x, recency, age) in [
                (0.0, 0.0, 0.0),
                (0.0, 0.0, 38.9),
                (1.0, 1.7, 38.9),
                (2.0, 38.9, 38.9),
                (60.0, 30.0, 31.0),
                (2000.0, 38.0, 38.9),
            ] {
                let (_, gradient) = one(kernel, ln, x, recency, age);
                for j in 0..P {
                    let at = |by: f64| {
                        let mut ln = ln;
                        ln[j] += by;
                        one(kernel, ln, x, recency, age).0
                    };
                    let slope = (8.0 * (at(1e-4) - at(-1e-4)) - (at(2e-4) - at(-2e-4))) / 12e-4;
                    assert!(
                        (slope - gradient[j]).abs() < 2e-7 * (1.0 + x) + 1e-8 * slope.abs(),
                        "{what} {values:?} ({x}, {recency}, {age}) {j}: {slope} {}",
                        gradient[j]
                    );
                }
            }
        }
    }

    #[test]
    fn gradients_are_slopes() {
        slopes(&bg(1, false), "bg");
        slopes(&bg(1, true), "mbg");
        slopes(&bg(3, false), "bg k = 3");
        slopes(&bg(8, true), "mbg k = 8");
        slopes(&ParetoNbd, "pareto");
    }

    /// The published formulas in 60 digits; see `reference.py`.
    #[test]
    fn histories_match_the_reference() {
        let (mut rows, mut worst) = (0, [0.0_f64; 3]);
        for line in include_str!("reference.csv").lines() {
            let cells: Vec<&str> = line.split(',').collect();
            let n: Vec<f64> = cells[1..].iter().map(|c| c.parse().unwrap()).collect();
            let p = Params::from_ln([n[0], n[1], n[2], n[3]].map(f64::ln));
            let (x, recency, age, t) = (n[4], n[5], n[6], n[7]);
            let (value, posterior) = match cells[0] {
                "pareto_nbd" => (
                    one(&ParetoNbd, p.ln, x, recency, age).0,
                    Posterior::ParetoNbd(ParetoNbd.posterior(&p, x, recency, age)),
                ),
                name => {
                    let model = bg(1, name == "mbg_nbd");
                    (
                        one(&model, p.ln, x, recency, age).0,
                        Posterior::BgNbd(model.posterior(&p, x, recency, age)),
                    )
                }
            };
            let relative = |got: f64, want: f64| (got - want).abs() / want.abs().max(1e-300);
            let errors = [
                (value - n[8]).abs() / n[8].abs().max(1.0),
                (posterior.alive() - n[9])
                    .abs()
                    .min(relative(posterior.alive(), n[9])),
                relative(posterior.expected(t), n[10]),
            ];
            for (worst, error) in worst.iter_mut().zip(errors) {
                *worst = worst.max(error);
            }
            // Where nobody is left alive both numbers underflow together.
            let expected = errors[2] < 1e-9 || n[10] < 1e-250;
            assert!(
                errors[0] < 1e-11 && errors[1] < 1e-10 && expected,
                "{line}: {value} {} {}: {errors:?}",
                posterior.alive(),
                posterior.expected(t)
            );
            rows += 1;
        }
        assert!(rows > 200, "{rows} rows, worst {worst:?}");
    }

    #[test]
    fn covariates_move_their_parameters() {
        let z = [0.0, 1.0, 1.0, -0.5, 0.0, 1.0];
        let w = [1.0, 1.0, 0.0, 0.3, 0.0, 2.0];
        let buyers = Buyers::new(
            vec![0.0, 2.0, 1.0, 5.0, 0.0, 3.0],
            vec![0.0, 30.0, 2.0, 20.0, 0.0, 11.0],
            vec![38.0, 38.0, 30.0, 21.0, 5.0, 38.0],
        )
        .unwrap();
        fn check<K: Kernel>(kernel: &K, patterns: &Patterns) {
            let effects = Effects {
                purchase: 1,
                dropout: K::DROPOUT,
            };
            let theta = [-0.7, 1.5, -0.2, 0.9, 0.4, -0.3];
            let mut gradient = [0.0; 6];
            log_likelihood(kernel, patterns, &effects, &theta, &mut gradient);
            for j in 0..6 {
                let at = |by: f64| {
                    let mut theta = theta;
                    theta[j] += by;
                    log_likelihood(kernel, patterns, &effects, &theta, &mut [0.0; 6])
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (slope - gradient[j]).abs() < 1e-7,
                    "{j}: {slope} {gradient:?}"
                );
            }
        }
        let patterns = Patterns::new(&buyers, &[&z, &w], false);
        check(&bg(1, false), &patterns);
        check(&bg(2, true), &patterns);
        check(&ParetoNbd, &patterns);
    }
}
