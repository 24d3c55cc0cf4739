//! Pareto/NBD: purchases at random while alive, departure at random at any time.
//!
//! A customer buys at rate λ and leaves at rate μ; λ varies between customers as a gamma
//! distribution (r, α), μ as one of (s, β). The likelihood of a history is
//! Γ(r+x)/Γ(r) α^r β^s { (α+T)^−(r+x) (β+T)^−s + s ∫ (α+τ)^−(r+x) (β+τ)^−(s+1) dτ },
//! the integral from t_x to T over the unseen time of departure. Its usual form is a difference of
//! two hypergeometric functions that overflows and cancels; here it is taken by quadrature of its
//! positive integrand over ln(min(α, β) + τ), which also gives all derivatives at the same nodes.
//!
//! Sources: Schmittlein, Morrison & Colombo (1987), Management Science 33(1); Fader & Hardie, note
//! 009 (2005).

use crate::math::gauss::{GAUSS_6, GAUSS_12, GAUSS_20};
use crate::math::rising::{digamma_rising, ln_rising};

use super::likelihood::{Kernel, P, Params, softplus};

#[derive(Debug, Clone, Copy)]
pub(super) struct ParetoNbd;

#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    /// ln Γ(r+x)/Γ(r) + r ln α + s ln β.
    base: f64,
    /// r (ψ(r+x) − ψ(r) + ln α).
    slope_r: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// ln (α + t) and its derivative by ln α.
    ln_alpha: f64,
    share_alpha: f64,
    /// ln (β + t) and its derivative by ln β.
    ln_beta: f64,
    share_beta: f64,
}

/// ∫ over τ from `from` to `to` of (α+τ)^−n (β+τ)^−m, as a logarithm, with the means under its
/// integrand of what derivatives need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure {
    /// Logarithm of the integral times (α+from)^n (β+from)^m; −∞ for an empty interval.
    pub(super) ln: f64,
    /// Means of ln (α+τ)/(α+from) and α/(α+τ).
    ln_alpha: f64,
    share_alpha: f64,
    /// Means of ln (β+τ)/(β+from) and β/(β+τ).
    ln_beta: f64,
    share_beta: f64,
}

impl Departure {
    pub(super) fn new(
        (alpha, n): (f64, f64),
        (beta, m): (f64, f64),
        from: f64,
        to: f64,
    ) -> Departure {
        let swap = alpha > beta;
        let ((low, p), (high, q)) = if swap {
            ((beta, m), (alpha, n))
        } else {
            ((alpha, n), (beta, m))
        };
        // y = ln (low+τ)/(low+from); the integrand is exp(−(p−1) y − q ln(1 + c (e^y − 1))),
        // whose singularities are π away from the real line.
        let (start_low, start_high) = (low + from, high + from);
        let c = start_low / start_high;
        let length = ((to - from) / start_low).ln_1p();
        let steepest = (p - 1.0).abs().max((p - 1.0 + q).abs());
        let (mut y, mut sum) = (0.0, [0.0; 5]);
        while y < length {
            let left = length - y;
            let (rule, step): (&[(f64, f64)], f64) = if left <= 0.8 && left * steepest <= 1.1 {
                (&GAUSS_6, left)
            } else if left <= 2.5 && left * steepest <= 8.0 {
                (&GAUSS_12, left)
            } else {
                (&GAUSS_20, left.min(4.0).min(20.0 / steepest))
            };
            for (node, weight) in rule {
                let at = y + step * node;
                let grown = at.exp_m1();
                let ln_high = (c * grown).ln_1p();
                let f = step * weight * (-(p - 1.0) * at - q * ln_high).exp();
                sum[0] += f;
                sum[1] += f * at;
                sum[2] += f / (1.0 + grown);
                sum[3] += f * ln_high;
                sum[4] += f / (1.0 + c * grown);
            }
            // Steps that do not move y any more are below rounding.
            let next = y + step;
            if next == y {
                break;
            }
            y = next;
            // What is left is below rounding if it falls at its present rate or faster.
            let grown = y.exp_m1();
            let falling = p - 1.0 + q * c * (1.0 + grown) / (1.0 + c * grown);
            let height = (-(p - 1.0) * y - q * (c * grown).ln_1p()).exp();
            if falling > 0.0 && height < 1e-18 * falling * sum[0] {
                break;
            }
        }
        let mean = |k: usize| if sum[0] > 0.0 { sum[k] / sum[0] } else { 0.0 };
        let low_means = (mean(1), low / start_low * mean(2));
        let high_means = (mean(3), high / start_high * mean(4));
        let (alphas, betas) = if swap {
            (high_means, low_means)
        } else {
            (low_means, high_means)
        };
        Departure {
            ln: start_low.ln() + sum[0].ln(),
            ln_alpha: alphas.0,
            share_alpha: alphas.1,
            ln_beta: betas.0,
            share_beta: betas.1,
        }
    }
}

impl Kernel for ParetoNbd {
    type Count = Count;
    type Time = Time;
    const DROPOUT: [f64; P] = [0.0, 0.0, 0.0, -1.0];

    fn count(&self, p: &Params, x: f64) -> Count {
        let [r, _, s, _] = p.value;
        Count {
            base: ln_rising(r, x) + r * p.ln[1] + s * p.ln[3],
            slope_r: r * (digamma_rising(r, x) + p.ln[1]),
        }
    }

    fn time(&self, p: &Params, t: f64) -> Time {
        let [_, alpha, _, beta] = p.value;
        Time {
            ln_alpha: (alpha + t).ln(),
            share_alpha: alpha / (alpha + t),
            ln_beta: (beta + t).ln(),
            share_beta: beta / (beta + t),
        }
    }

    fn row(
        &self,
        p: &Params,
        (x, count): (f64, &Count),
        (recency, last): (f64, &Time),
        (age, end): (f64, &Time),
    ) -> (f64, [f64; P]) {
        let [r, alpha, s, beta] = p.value;
        let rho = r + x;
        let departure = Departure::new((alpha, rho), (beta, s + 1.0), recency, age);
        let (stretch_alpha, stretch_beta) =
            (end.ln_alpha - last.ln_alpha, end.ln_beta - last.ln_beta);
        let z = p.ln[2] + departure.ln - last.ln_beta + rho * stretch_alpha + s * stretch_beta;
        let (rest, left) = softplus(z);
        let value = count.base - rho * end.ln_alpha - s * end.ln_beta + rest;
        let slope = [
            count.slope_r - r * end.ln_alpha + left * r * (stretch_alpha - departure.ln_alpha),
            r - rho * end.share_alpha + left * rho * (end.share_alpha - departure.share_alpha),
            s * (p.ln[3] - end.ln_beta) + left * (1.0 + s * (stretch_beta - departure.ln_beta)),
            s - s * end.share_beta + left * (s * end.share_beta - (s + 1.0) * departure.share_beta),
        ];
        (value, slope)
    }
}

/// What a history says about the future of its customer: λ and μ of the living are independent
/// gamma distributions (shape, rate).
#[derive(Debug, Clone, Copy)]
pub(super) struct Posterior {
    pub(super) alive: f64,
    pub(super) purchase: (f64, f64),
    pub(super) departure: (f64, f64),
}

impl ParetoNbd {
    pub(super) fn posterior(&self, p: &Params, x: f64, recency: f64, age: f64) -> Posterior {
        let [r, alpha, s, beta] = p.value;
        let rho = r + x;
        let departure = Departure::new((alpha, rho), (beta, s + 1.0), recency, age);
        let z = p.ln[2] + departure.ln - (beta + recency).ln()
            + rho * ((age - recency) / (alpha + recency)).ln_1p()
            + s * ((age - recency) / (beta + recency)).ln_1p();
        Posterior {
            alive: softplus(-z).1,
            purchase: (rho, alpha + age),
            departure: (s, beta + age),
        }
    }
}
