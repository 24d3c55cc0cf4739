//! How many purchases the future of a living customer holds.
//!
//! For the (M)BG models the ticks of the clock up to a horizon are negative binomial and dropout
//! after n purchases is beta, so every answer is a sum of positive terms over ticks. Where the sum
//! would be long (heavy buyers, far horizons) the same expectation is an integral over the
//! dropout probability p, taken by the trapezoidal rule in ln p/(1−p), which converges
//! exponentially and whose two tails are geometric series. No form needs a hypergeometric function
//! or has a singularity at a = 1 or s = 1.

use std::f64::consts::TAU;

use crate::math::gauss::{GAUSS_6, GAUSS_12};

use super::{bg_nbd, pareto_nbd};

/// The longest sum over ticks that is preferred to the integral.
const LONG_SUM: f64 = 2000.0;

/// A customer's possible futures.
#[derive(Debug, Clone, Copy)]
pub(super) enum Posterior {
    BgNbd(bg_nbd::Posterior),
    ParetoNbd(pareto_nbd::Posterior),
}

impl Posterior {
    pub(super) fn alive(&self) -> f64 {
        match self {
            Posterior::BgNbd(p) => p.alive,
            Posterior::ParetoNbd(p) => p.alive,
        }
    }

    /// Expected purchases within `t`.
    pub(super) fn expected(&self, t: f64) -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        match self {
            Posterior::BgNbd(p) => {
                let of = |j: usize| p.ticks[j] * expected_alive(p, j, t);
                p.alive * (0..p.regularity as usize).map(of).sum::<f64>()
            }
            Posterior::ParetoNbd(p) => {
                let ((shape, rate), (s, beta)) = (p.purchase, p.departure);
                // (1 − e^{−(s−1) l}) / (s − 1), l where s = 1.
                let l = (t / beta).ln_1p();
                let y = (s - 1.0) * l;
                let lived = if y.abs() < 1e-8 {
                    l * (1.0 - 0.5 * y)
                } else {
                    -(-y).exp_m1() / (s - 1.0)
                };
                p.alive * shape / rate * beta * lived
            }
        }
    }

    /// Probability of no purchase within `t`, dead or alive.
    pub(super) fn none(&self, t: f64) -> f64 {
        let alive = match self {
            Posterior::BgNbd(p) => {
                let tau = t / p.rate;
                (0..p.regularity as usize)
                    .map(|j| {
                        let until = p.regularity as usize - j;
                        let early: f64 = Ticks::new(p.shape + j as f64, tau).take(until).sum();
                        p.ticks[j] * early.min(1.0)
                    })
                    .sum::<f64>()
            }
            Posterior::ParetoNbd(p) => {
                let ((shape, rate), (s, beta)) = (p.purchase, p.departure);
                let stays = (-shape * (t / rate).ln_1p() - s * (t / beta).ln_1p()).exp();
                let leaves = if t > 0.0 {
                    let departure =
                        pareto_nbd::Departure::new((rate, shape), (beta, s + 1.0), 0.0, t);
                    s / beta * departure.ln.exp()
                } else {
                    0.0
                };
                stays + leaves
            }
        };
        (1.0 - self.alive() * (1.0 - alive)).clamp(0.0, 1.0)
    }

    /// Probabilities of 0, 1, … purchases within `t`, into `out`.
    pub(super) fn distribution(&self, t: f64, out: &mut [f64]) {
        out.fill(0.0);
        match self {
            Posterior::BgNbd(p) => {
                for j in 0..p.regularity as usize {
                    ticks_to_purchases(p, j, t, p.alive * p.ticks[j], out);
                }
            }
            Posterior::ParetoNbd(p) => pareto_purchases(p, t, out),
        }
        if let Some(first) = out.first_mut() {
            *first += 1.0 - self.alive();
        }
        out.iter_mut().for_each(|p| *p = p.clamp(0.0, 1.0));
    }

    /// Purchases within `t`, each weighted by e^(−δ u) at its time u. `t` may be infinite if δ > 0.
    pub(super) fn discounted(&self, delta: f64, t: f64) -> f64 {
        if delta <= 0.0 {
            return self.expected(t);
        }
        // After 45/δ less than e^−45 of a purchase's worth is left; ∫ e^{−δu} dE by parts.
        let end = t.min(45.0 / delta);
        let scale = match self {
            Posterior::BgNbd(p) => p.rate,
            Posterior::ParetoNbd(p) => p.purchase.1.min(p.departure.1),
        };
        let mut total = (-delta * end).exp() * self.expected(end);
        let mut from = 0.0;
        while from < end {
            // Panels grow with the time scale of the forecast, by steps that discounting allows.
            let to = (from + (scale + from).min(6.0 / delta)).min(end);
            let width = to - from;
            let rule: &[(f64, f64)] = if width < 0.2 * (scale + from) && width * delta < 1.0 {
                &GAUSS_6
            } else {
                &GAUSS_12
            };
            for (node, weight) in rule {
                let u = from + width * node;
                total += width * weight * delta * (-delta * u).exp() * self.expected(u);
            }
            if to <= from {
                break;
            }
            from = to;
        }
        total
    }
}

/// Probabilities of 0, 1, … ticks: negative binomial with shape s and mean s τ.
struct Ticks {
    shape: f64,
    odds: f64,
    next: f64,
    /// Logarithm of the next term, carried where the first terms underflow.
    ln_next: Option<f64>,
    m: f64,
}

impl Ticks {
    fn new(shape: f64, tau: f64) -> Self {
        let ln_first = -shape * tau.ln_1p();
        Ticks {
            shape,
            odds: tau / (1.0 + tau),
            next: ln_first.exp(),
            ln_next: (ln_first < -600.0).then_some(ln_first),
            m: 0.0,
        }
    }
}

impl Iterator for Ticks {
    type Item = f64;

    #[inline]
    fn next(&mut self) -> Option<f64> {
        let term = self.next;
        let ratio = (self.shape + self.m) / (self.m + 1.0) * self.odds;
        self.m += 1.0;
        match &mut self.ln_next {
            None => self.next = term * ratio,
            Some(ln) => {
                *ln += ratio.ln();
                self.next = ln.exp();
            }
        }
        Some(term)
    }
}

/// Expected purchases within `t` of a living customer `j` ticks after the last purchase.
fn expected_alive(p: &bg_nbd::Posterior, j: usize, t: f64) -> f64 {
    let (shape, tau) = (p.shape + j as f64, t / p.rate);
    let spread = (shape * tau * (1.0 + tau)).sqrt();
    let length = shape * tau + 12.0 * spread + 40.0 * (1.0 + tau);
    if length < LONG_SUM && shape * tau.ln_1p() < 600.0 {
        sum_over_ticks(p, shape, j, tau)
    } else {
        integral_over_dropout(p, shape, j, tau)
    }
}

/// Σ over ticks of their probability times the purchases that they make before dropout.
fn sum_over_ticks(p: &bg_nbd::Posterior, shape: f64, j: usize, tau: f64) -> f64 {
    let k = p.regularity as usize;
    let odds = tau / (1.0 + tau);
    let mean = shape * tau;
    // Chance to make the next purchase at all, purchases made by now, both given enough ticks.
    let (mut chance, mut made, mut n) = (1.0, 0.0, 0.0);
    let mut until = k - j;
    let mut total = 0.0;
    for (m, probability) in Ticks::new(shape, tau).enumerate() {
        if m == until {
            made += chance;
            chance *= (p.b + n) / (p.a + p.b + n);
            n += 1.0;
            until += k;
        }
        let term = probability * made;
        total += term;
        if m as f64 > mean {
            let ratio = (shape + m as f64) / (m as f64 + 1.0) * odds;
            // Purchases grow by at most one a tick, probabilities fall at least by this ratio.
            let rest = 1.0 - ratio;
            if rest > 0.0 && probability * (made + 1.0 / rest) < 1e-17 * total * rest {
                break;
            }
        }
    }
    total
}

/// The same as an integral over the dropout probability.
fn integral_over_dropout(p: &bg_nbd::Posterior, shape: f64, j: usize, tau: f64) -> f64 {
    let (a, b) = (p.a, p.b);
    let spread = (1.0 / a + 1.0 / b).sqrt();
    let step = 0.25_f64.min(0.6 * spread);
    // ln of the beta density in ln p/(1−p), up to a constant: peak at ln a/b.
    let peak = (a / b).ln();
    let ln_weight = |u: f64| -a * (-u).exp().ln_1p() - b * u.exp().ln_1p();
    let highest = ln_weight(peak);
    let flat_low = -38.0 - (1.0 + shape * tau + b).ln();
    let flat_high = 38.0 + (1.0 + a).ln();
    let (mut above, mut below) = (0.0, 0.0);
    // Adds a point with the weight of itself and of `tail` times as much beyond it.
    let mut add = |u: f64, tail: f64| {
        let weight = (ln_weight(u) - highest).exp();
        let chance = 1.0 / (1.0 + (-u).exp());
        above += weight * (1.0 + tail) * purchases_at(chance, shape, j, p.regularity, tau);
        below += weight * (1.0 + tail);
        weight
    };
    add(peak, 0.0);
    for (direction, end, rate) in [(-1.0, flat_low, a), (1.0, flat_high, b)] {
        let mut i = 1.0;
        loop {
            let u = peak + direction * step * i;
            if direction * (u - end) >= 0.0 {
                // Constant times a geometric series from here on.
                let ratio = (-rate * step).exp();
                add(u, ratio / -(-rate * step).exp_m1());
                break;
            }
            if add(u, 0.0) < 1e-19 {
                break;
            }
            i += 1.0;
        }
    }
    above / below
}

/// Expected purchases of a customer who leaves with probability p after each, over the gamma
/// distribution of rates: Σ_n (1−p)^(n−1) P(ticks ≥ k n − j), by the k-th roots of unity.
fn purchases_at(p: f64, shape: f64, j: usize, k: u32, tau: f64) -> f64 {
    if k == 1 {
        return -(-shape * (tau * p).ln_1p()).exp_m1() / p;
    }
    let n = f64::from(k);
    // c^k = 1 − p.
    let ln_c = (-p).ln_1p() / n;
    if ln_c == f64::NEG_INFINITY {
        // Everybody leaves after the next purchase.
        let until = k as usize - j;
        return 1.0 - Ticks::new(shape, tau).take(until).sum::<f64>().min(1.0);
    }
    let c = ln_c.exp();
    let lost = -ln_c.exp_m1();
    // The root 1, with what cancels kept apart.
    let drift: f64 = (0..k)
        .map(|i| ((j as f64 - f64::from(i)) * ln_c).exp_m1())
        .sum::<f64>()
        / n;
    let mut total = -(drift.ln_1p() - shape * (tau * lost).ln_1p()).exp_m1();
    for m in 1..k {
        let angle = TAU * f64::from(m) / n;
        let (mut re, mut im) = (0.0, 0.0);
        for i in 0..k {
            let size = (-f64::from(i) * ln_c).exp_m1() / n;
            let turn = -angle * f64::from(i);
            re += size * turn.cos();
            im += size * turn.sin();
        }
        // times (c ω)^j (1 + τ (1 − c ω))^−s
        let (x, y) = (1.0 + tau * (1.0 - c * angle.cos()), -tau * c * angle.sin());
        let size = (j as f64 * ln_c - shape * x.hypot(y).ln()).exp();
        let turn = angle * j as f64 - shape * y.atan2(x);
        total -= size * (re * turn.cos() - im * turn.sin());
    }
    total / p
}

/// Adds `share` times the distribution of purchases of the living, `j` ticks after the last one.
fn ticks_to_purchases(p: &bg_nbd::Posterior, j: usize, t: f64, share: f64, out: &mut [f64]) {
    let k = p.regularity as usize;
    let mut ticks = Ticks::new(p.shape + j as f64, t / p.rate);
    let mut chance = 1.0;
    // Ticks that make more purchases than counted so far.
    let mut later = 1.0;
    for (n, place) in out.iter_mut().enumerate() {
        let width = if n == 0 { k - j } else { k };
        let here: f64 = ticks.by_ref().take(width).sum();
        later = f64::max(later - here, 0.0);
        // The customer made n purchases because the ticks ended or because it left after the n-th.
        let leaves = if n == 0 {
            0.0
        } else {
            p.a / (p.a + p.b + n as f64 - 1.0)
        };
        *place += share * chance * (here + leaves * later);
        chance *= 1.0 - leaves;
    }
}

/// The distribution of purchases of a living Pareto/NBD customer times its probability.
fn pareto_purchases(p: &pareto_nbd::Posterior, t: f64, out: &mut [f64]) {
    let ((shape, rate), (s, beta)) = (p.purchase, p.departure);
    let mut add = |until: f64, share: f64| {
        for (place, probability) in out.iter_mut().zip(Ticks::new(shape, until / rate)) {
            *place += share * probability;
        }
    };
    add(t, p.alive * (-s * (t / beta).ln_1p()).exp());
    if t <= 0.0 {
        return;
    }
    // Leaves after y = ln 1 + u/low: panels shorter than the spread of every term.
    let low = beta.min(rate);
    let length = (t / low).ln_1p();
    let panels = (length * (2.0 + (shape + s).sqrt())).ceil().max(1.0);
    let step = length / panels;
    for panel in 0..panels as u64 {
        for (node, weight) in GAUSS_12 {
            let y = (panel as f64 + node) * step;
            let u = low * y.exp_m1();
            let density = s / beta * (-(s + 1.0) * (u / beta).ln_1p()).exp() * low * y.exp();
            add(u, p.alive * step * weight * density);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::lifetime::bg_nbd::BgNbd;
    use crate::scoring::lifetime::likelihood::Params;
    use crate::scoring::lifetime::pareto_nbd::ParetoNbd;

    fn params(values: [f64; 4]) -> Params {
        Params::from_ln(values.map(f64::ln))
    }

    #[test]
    fn the_sum_and_the_integral_agree() {
        for (values, x, recency, age) in [
            ([0.243, 4.414, 0.793, 2.426], 2.0, 30.43, 38.86),
            ([0.243, 4.414, 1.0, 2.426], 0.0, 0.0, 38.86),
            ([1.9, 45.8, 1e-3, 0.02], 0.0, 0.0, 0.0),
            ([0.5, 4.0, 30.0, 90.0], 12.0, 20.0, 21.0),
            ([2.0, 9.0, 1e-6, 1e3], 40.0, 50.0, 50.5),
        ] {
            for regularity in [1, 2, 3, 7] {
                let model = BgNbd {
                    regularity,
                    dropout_at_zero: true,
                };
                let p = model.posterior(&params(values), x, recency, age);
                for t in [1e-6, 0.5, 39.0, 300.0] {
                    for j in 0..regularity as usize {
                        let (shape, tau) = (p.shape + j as f64, t / p.rate);
                        let sum = sum_over_ticks(&p, shape, j, tau);
                        let integral = integral_over_dropout(&p, shape, j, tau);
                        assert!(
                            (sum - integral).abs() <= 1e-10 * sum.abs() + 1e-12,
                            "{values:?} k {regularity} j {j} t {t}: {sum} {integral}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn distributions_have_their_mean_and_their_zero() {
        let bg = |regularity| {
            let model = BgNbd {
                regularity,
                dropout_at_zero: false,
            };
            let p = params([0.6, 9.0, 0.8, 2.4]);
            Posterior::BgNbd(model.posterior(&p, 3.0, 20.0, 30.0))
        };
        let pareto =
            |values, x| Posterior::ParetoNbd(ParetoNbd.posterior(&params(values), x, 25.0, 30.0));
        for (posterior, name) in [
            (bg(1), "bg"),
            (bg(3), "bg k = 3"),
            (pareto([0.553, 10.578, 0.606, 11.669], 2.0), "pareto"),
            (pareto([0.553, 10.578, 1.0, 11.669], 5.0), "pareto s = 1"),
            (pareto([3.0, 2.0, 4.0, 90.0], 60.0), "heavy"),
        ] {
            for t in [0.0, 4.0, 39.0] {
                let mut out = vec![0.0; 800];
                posterior.distribution(t, &mut out);
                let total: f64 = out.iter().sum();
                let mean: f64 = out.iter().enumerate().map(|(n, p)| n as f64 * p).sum();
                assert!((total - 1.0).abs() < 1e-9, "{name} {t}: {total}");
                assert!((mean - posterior.expected(t)).abs() < 1e-7, "{name} {t}");
                assert!((out[0] - posterior.none(t)).abs() < 1e-11, "{name} {t}");
            }
        }
    }

    #[test]
    fn discounting_is_an_integral_over_time() {
        let model = BgNbd {
            regularity: 1,
            dropout_at_zero: true,
        };
        let bg = Posterior::BgNbd(model.posterior(
            &params([0.525, 6.183, 0.891, 1.614]),
            2.0,
            30.43,
            38.86,
        ));
        let pareto = Posterior::ParetoNbd(ParetoNbd.posterior(
            &params([0.553, 10.578, 0.606, 11.669]),
            2.0,
            30.43,
            38.86,
        ));
        for posterior in [bg, pareto] {
            for (delta, t) in [(0.0027, 52.0), (0.2, 52.0), (3.0, 10.0), (0.0027, 1000.0)] {
                let (n, mut total) = (40_000, 0.0);
                let mut before = 0.0;
                for i in 1..=n {
                    let u = t * f64::from(i) / f64::from(n);
                    let now = posterior.expected(u);
                    let middle = t * (f64::from(i) - 0.5) / f64::from(n);
                    total += (now - before) * (-delta * middle).exp();
                    before = now;
                }
                let got = posterior.discounted(delta, t);
                assert!(
                    (got - total).abs() < 1e-6 * total,
                    "{delta} {t}: {got} {total}"
                );
            }
            // Purchases are worth more the nearer they are.
            let whole = posterior.discounted(0.0027, f64::INFINITY);
            assert!(whole > posterior.discounted(0.0027, 1000.0));
            assert!((posterior.discounted(0.0, 52.0) - posterior.expected(52.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn far_and_heavy_is_finite() {
        for regularity in [1, 4] {
            for (values, x) in [
                ([0.5, 3.0, 1e-4, 3000.0], 1e5),
                ([3000.0, 1e-2, 3000.0, 1e-4], 1e5),
                ([1e-4, 1e5, 1e-4, 1e-4], 0.0),
            ] {
                let model = BgNbd {
                    regularity,
                    dropout_at_zero: true,
                };
                let recency = if x > 0.0 { 200.0 } else { 0.0 };
                let p = params(values);
                let both = [
                    Posterior::BgNbd(model.posterior(&p, x, recency, 201.0)),
                    Posterior::ParetoNbd(ParetoNbd.posterior(&p, x, recency, 201.0)),
                ];
                for posterior in both {
                    let mut last = 0.0;
                    for t in [0.0, 1e-9, 1.0, 1e3, 1e9, 1e15] {
                        let expected = posterior.expected(t);
                        assert!(expected.is_finite() && expected >= last * (1.0 - 1e-9));
                        last = expected;
                        assert!((0.0..=1.0).contains(&posterior.none(t)));
                        let mut out = [0.0; 3];
                        posterior.distribution(t, &mut out);
                        assert!(out.iter().all(|p| (0.0..=1.0).contains(p)), "{out:?}");
                        assert!(posterior.discounted(1e-3, t).is_finite());
                    }
                }
            }
        }
    }
}
