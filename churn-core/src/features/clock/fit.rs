//! What the gaps of all buyers say about the gaps of one: maximum likelihood, held by weak priors
//! where a shop is small.
//!
//! First the shape k from the shares of each buyer's gaps in their sum, which do not depend on how
//! often one buys nor on when one was last seen (n gaps, L = Σ ln gap, S = Σ gap):
//!
//! ```text
//! ln f = ln Γ(n k) − n ln Γ(k) + (k − 1) L − (n k − 1) ln S
//! ```
//!
//! Then, given k, the rates λ ~ Gamma(a, b) and the departures p ~ Beta(c, d) after each purchase. A
//! buyer who is silent for s has left, or is in a gap of at least s:
//!
//! ```text
//! ln f = ln Γ(a + n k) − ln Γ(a) + a ln b − (a + n k) ln(b + S) + ln B(c, d + n) − ln B(c, d)
//!        + ln( (c + (d + n) tail) / (c + d + n) )      tail = I_z(a + n k, k), z = (b + S)/(b + S + s)
//! ```
//!
//! in w = a/k, m = b k/a, the mean c/(c + d) and c + d.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::pace::{Pace, ShopTime};
use super::sample::Sample;
use super::{GapPrior, WEIGHT_BOUNDS};
use crate::error::Result;
use crate::math::incomplete_beta::{beta_tail, ln_beta};
use crate::math::optimize::{Search, minimize};
use crate::math::rising::digamma;
use crate::math::special::ln_gamma;
use crate::time::{AsOf, MICROS_PER_DAY};

/// Buyers of the second step, which is the dear one.
const BUYERS: usize = 4_096;
/// Buyers of one partial sum.
const CHUNK: usize = 512;
/// Bounds of the shape.
const SHAPES: (f64, f64) = (0.1, 1e3);
/// Steps of the derivative of the tail by its first argument.
const DIFFERENCE: f64 = 1e-4;

/// A weak belief: a normal distribution of a logarithm (or logit).
struct Belief {
    mean: f64,
    sd: f64,
}

impl Belief {
    /// Half the squared distance, and its slope.
    fn at(&self, x: f64) -> (f64, f64) {
        let z = (x - self.mean) / self.sd;
        (0.5 * z * z, z / self.sd)
    }
}

const SHAPE: Belief = Belief { mean: 0.0, sd: 1.5 };
const WEIGHT: Belief = Belief {
    mean: std::f64::consts::LN_2,
    sd: 1.5,
};
/// Logit of the mean departure: about 0.1.
const DEPARTURE: Belief = Belief {
    mean: -2.2,
    sd: 1.5,
};
/// ln(c + d): about 5.
const DEPARTURE_WEIGHT: Belief = Belief { mean: 1.6, sd: 1.0 };
/// Spread of the mean gap around the mean of all closed gaps, in logarithms.
const MEAN_SD: f64 = 2.0;

/// One buyer in shop time.
#[derive(Debug, Clone, Copy)]
struct Buyer {
    gaps: f64,
    sum: f64,
    logs: f64,
    silence: f64,
}

/// The prior, or `None` if nobody in the sample bought on two days.
pub(in crate::features) fn fit(
    mut sample: Sample,
    as_of: AsOf,
    weight: Option<f64>,
) -> Result<Option<GapPrior>> {
    sample.settle();
    let now = as_of.instant().micros();
    let pace = Pace::learn(&sample, now.div_euclid(MICROS_PER_DAY));
    let time = ShopTime::new(&pace);
    let now = time.at(now as f64 / MICROS_PER_DAY as f64);
    let buyers: Vec<Buyer> = sample.days().map(|days| buyer(days, &time, now)).collect();
    let gaps: f64 = buyers.iter().map(|b| b.gaps).sum();
    if gaps == 0.0 {
        return Ok(None);
    }
    let shape = fit_shape(&buyers);
    let mean = buyers.iter().map(|b| b.sum).sum::<f64>() / gaps;
    let mixing = fit_mixing(&buyers[..buyers.len().min(BUYERS)], shape, mean, weight)?;
    debug_assert_eq!(buyers.len(), sample.len());
    Ok(Some(GapPrior {
        mean_days: mixing[1],
        weight: mixing[0],
        shape,
        departure: mixing[2],
        departure_weight: mixing[3],
        pace,
    }))
}

fn buyer(days: &[i32], time: &ShopTime, now: f64) -> Buyer {
    let (first, last) = (time.noon(i64::from(days[0])), days[days.len() - 1]);
    let last = time.noon(i64::from(last));
    let mut before = first;
    let mut logs = 0.0;
    for day in &days[1..] {
        let noon = time.noon(i64::from(*day));
        logs += (noon - before).ln();
        before = noon;
    }
    Buyer {
        gaps: (days.len() - 1) as f64,
        sum: last - first,
        logs,
        silence: (now - last).max(0.0),
    }
}

/// The zero of the slope in ln k, by halving: the slope falls where it matters.
fn fit_shape(buyers: &[Buyer]) -> f64 {
    let mut sizes: BTreeMap<u64, f64> = BTreeMap::new();
    let (mut logs, mut total) = (0.0, 0.0);
    for b in buyers.iter().filter(|b| b.gaps >= 2.0) {
        *sizes.entry(b.gaps as u64).or_default() += 1.0;
        logs += b.logs;
        total += b.gaps * b.sum.ln();
    }
    let slope = |ln_k: f64| {
        let k = ln_k.exp();
        let of_k = digamma(k);
        let sums: f64 = sizes
            .iter()
            .map(|(n, count)| {
                let n = *n as f64;
                count * n * (digamma(n * k) - of_k)
            })
            .sum();
        k * (sums + logs - total) - SHAPE.at(ln_k).1
    };
    let (mut low, mut high) = (SHAPES.0.ln(), SHAPES.1.ln());
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if slope(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).exp()
}

/// Weight, mean gap, mean departure and its weight.
fn fit_mixing(
    buyers: &[Buyer],
    shape: f64,
    mean_gap: f64,
    weight: Option<f64>,
) -> Result<[f64; 4]> {
    let mean = Belief {
        mean: mean_gap.ln(),
        sd: MEAN_SD,
    };
    let (low_w, high_w) = match weight {
        Some(weight) => (weight.ln(), weight.ln()),
        None => (WEIGHT_BOUNDS.0.ln(), WEIGHT_BOUNDS.1.ln()),
    };
    let search = Search {
        what: "population.gaps",
        low: vec![low_w, mean.mean - 10.0, -12.0, -5.0],
        high: vec![high_w, mean.mean + 10.0, 6.0, 10.0],
        max_evaluations: 2_000,
    };
    let start = [
        WEIGHT.mean.clamp(low_w, high_w),
        mean.mean,
        DEPARTURE.mean,
        DEPARTURE_WEIGHT.mean,
    ];
    let beliefs = [WEIGHT, mean, DEPARTURE, DEPARTURE_WEIGHT];
    let found = minimize(&search, &start, &mut |theta, slopes| {
        let mixing = Mixing::new(theta, shape);
        let parts: Vec<[f64; 5]> = buyers
            .par_chunks(CHUNK)
            .map(|buyers| mixing.value(buyers))
            .collect();
        let mut sums = [0.0; 5];
        for part in &parts {
            for (sum, x) in sums.iter_mut().zip(part) {
                *sum += x;
            }
        }
        let mut value = -sums[4];
        for (j, belief) in beliefs.iter().enumerate() {
            let (distance, slope) = belief.at(theta[j]);
            value += distance;
            slopes[j] = slope - sums[j];
        }
        Ok(value)
    })?;
    let theta = &found.theta;
    Ok([
        theta[0].exp(),
        theta[1].exp(),
        1.0 / (1.0 + (-theta[2]).exp()),
        theta[3].exp(),
    ])
}

/// The likelihood of the second step at one place.
struct Mixing {
    k: f64,
    a: f64,
    b: f64,
    /// Mean departure, and c + d.
    rho: f64,
    psi: f64,
}

impl Mixing {
    fn new(theta: &[f64], k: f64) -> Self {
        let (w, m) = (theta[0].exp(), theta[1].exp());
        Mixing {
            k,
            a: w * k,
            b: w * m,
            rho: 1.0 / (1.0 + (-theta[2]).exp()),
            psi: theta[3].exp(),
        }
    }

    /// Slopes by ln w, ln m, logit of the departure and ln(c + d), and the value, summed over buyers.
    fn value(&self, buyers: &[Buyer]) -> [f64; 5] {
        let (k, a, b) = (self.k, self.a, self.b);
        let (c, d) = (self.rho * self.psi, (1.0 - self.rho) * self.psi);
        // What depends on the number of gaps alone is computed once for each.
        let mut by_gaps: BTreeMap<u64, OfGaps> = BTreeMap::new();
        let (of_a, psi_a) = (ln_gamma(a), digamma(a));
        let (psi_d, psi_cd) = (digamma(d), digamma(c + d));
        let mut sums = [0.0; 5];
        for buyer in buyers {
            let n = buyer.gaps;
            let of = by_gaps.entry(n as u64).or_insert_with(|| {
                let at = a + n * k;
                let step = DIFFERENCE * at;
                OfGaps {
                    gamma: ln_gamma(at) - of_a,
                    psi: digamma(at) - psi_a,
                    beta: [ln_beta(at - step, k), ln_beta(at, k), ln_beta(at + step, k)],
                    departures: ln_beta(c, d + n) - ln_beta(c, d),
                    psi_d: digamma(d + n) - psi_d,
                    psi_cd: digamma(c + d + n) - psi_cd,
                }
            });
            let at = a + n * k;
            let rate = b + buyer.sum;
            let odds = buyer.silence / rate;
            let step = DIFFERENCE * at;
            let tail = beta_tail(at, k, odds, of.beta[1]);
            let by_at = (beta_tail(at + step, k, odds, of.beta[2])
                - beta_tail(at - step, k, odds, of.beta[0]))
                / (2.0 * step);
            // d tail / d ln(rate): the odds fall as the rate grows.
            let density = if odds > 0.0 {
                (-at * odds.ln_1p() - k * (1.0 / odds).ln_1p() - of.beta[1]).exp()
            } else {
                0.0
            };
            let by_rate = density / rate;
            let open = (c + (d + n) * tail) / (c + d + n);
            let per_open = 1.0 / open;
            sums[4] += of.gamma + a * b.ln() - at * rate.ln() + of.departures + open.ln();
            let tail_share = (d + n) / (c + d + n) * per_open;
            let by_a = of.psi + b.ln() - rate.ln() + tail_share * by_at;
            let by_b = a / b - at / rate + tail_share * by_rate;
            // ln w moves a and b, ln m moves b.
            sums[0] += a * by_a + b * by_b;
            sums[1] += b * by_b;
            // ln B(c, d + n) − ln B(c, d) by c and by d; ψ(c) cancels.
            let closed_c = -of.psi_cd;
            let closed_d = of.psi_d - of.psi_cd;
            let total = c + d + n;
            let open_c = (1.0 - open) / total * per_open;
            let open_d = (tail - open) / total * per_open;
            let (by_c, by_d) = (closed_c + open_c, closed_d + open_d);
            sums[2] += self.psi * self.rho * (1.0 - self.rho) * (by_c - by_d);
            sums[3] += c * by_c + d * by_d;
        }
        sums
    }
}

/// What depends on the number of gaps alone.
struct OfGaps {
    gamma: f64,
    psi: f64,
    /// ln B of a step below, at, and a step above.
    beta: [f64; 3],
    departures: f64,
    psi_d: f64,
    psi_cd: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    fn simulated(n: usize, shape: f64, departure: f64) -> Vec<Buyer> {
        let mut random = Random::new(12, 0);
        (0..n)
            .map(|_| {
                // Means around 30 days with weight 2: 1/mean gamma distributed.
                let rate = random.gamma(2.0 * shape.max(0.5), 1.0 / 30.0);
                let watched = random.between(100.0, 700.0);
                let mut buyer = Buyer {
                    gaps: 0.0,
                    sum: 0.0,
                    logs: 0.0,
                    silence: watched,
                };
                loop {
                    if random.chance(departure) {
                        break;
                    }
                    let gap = random.gamma(shape, 1.0 / rate);
                    if gap > buyer.silence {
                        break;
                    }
                    buyer.gaps += 1.0;
                    buyer.sum += gap;
                    buyer.logs += gap.ln();
                    buyer.silence -= gap;
                }
                buyer
            })
            .collect()
    }

    #[test]
    fn known_parameters_come_back() {
        let buyers = simulated(4_000, 2.0, 0.1);
        let shape = fit_shape(&buyers);
        assert!((shape - 2.0).abs() < 0.06, "{shape}");
        let [w, m, rho, psi] = fit_mixing(&buyers, shape, 40.0, None).unwrap();
        assert!((w - 2.0).abs() < 0.3, "{w}");
        // b / w: the gap at the mean rate, which is drawn as 1 / rate with E(rate) = 1/30.
        assert!((m - 30.0).abs() < 2.0, "{m}");
        assert!((rho - 0.1).abs() < 0.02, "{rho}");
        assert!(psi > 10.0, "departures do not differ: {psi}");
    }

    #[test]
    fn slopes_are_those_of_the_value() {
        let buyers = simulated(300, 1.4, 0.2);
        let theta = [0.4, 3.3, -1.1, 1.3];
        let at = |theta: &[f64]| Mixing::new(theta, 1.4).value(&buyers);
        let slopes = at(&theta);
        for j in 0..4 {
            let step = 1e-5;
            let mut moved = theta;
            moved[j] += step;
            let up = at(&moved)[4];
            moved[j] -= 2.0 * step;
            let down = at(&moved)[4];
            let slope = (up - down) / (2.0 * step);
            assert!(
                (slopes[j] - slope).abs() < 1e-4 * (1.0 + slope.abs()),
                "{j}: {slopes:?} {slope}"
            );
        }
    }

    #[test]
    fn few_and_odd_buyers_have_a_prior() {
        let buyer = |gaps: f64, gap: f64, silence: f64| Buyer {
            gaps,
            sum: gaps * gap,
            logs: gaps * gap.ln(),
            silence,
        };
        for buyers in [
            vec![buyer(1.0, 10.0, 0.0)],
            vec![buyer(2.0, 30.0, 1e6)],
            vec![buyer(0.0, 1.0, 5.0), buyer(5_000.0, 1.0, 1.0)],
            vec![buyer(3.0, 1e6, 1.0), buyer(3.0, 1.0, 1e6)],
            vec![buyer(1.0, 1.0, 3e6); 3_000],
        ] {
            let shape = fit_shape(&buyers);
            assert!((SHAPES.0..=SHAPES.1).contains(&shape));
            let total: f64 = buyers.iter().map(|b| b.sum).sum();
            let gaps: f64 = buyers.iter().map(|b| b.gaps).sum();
            for weight in [None, Some(0.001), Some(1e9)] {
                let found = fit_mixing(&buyers, shape, total / gaps, weight).unwrap();
                assert!(found.iter().all(|x| x.is_finite() && *x > 0.0), "{found:?}");
            }
        }
    }
}
