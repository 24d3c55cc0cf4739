//! BG/NBD and MBG/NBD, each with buying as regular as an Erlang-k clock ((M)BG/CNBD-k).
//!
//! While alive a customer's clock ticks at random (a Poisson process of rate λ) and every k-th tick
//! is a purchase; after a purchase the customer leaves for good with probability p. λ varies between
//! customers as a gamma distribution (r, α), p as a beta distribution (a, b). In BG/NBD nobody
//! leaves before the first repeat purchase; in MBG/NBD one may leave right after the first purchase,
//! which is why only MBG/NBD can doubt a customer who bought once.
//!
//! With ρ = r + k x, m = 0 (BG) or 1 (MBG) and Δ = T − t_x, the likelihood of a history is
//! C Γ(ρ) α^r / Γ(r) · B(a, b+x+m)/B(a, b) · (α+T)^−ρ · (S + Z), where
//! S = Σ_{j<k} Γ(ρ+j)/(Γ(ρ) j!) (Δ/(α+T))^j is the part of those alive,
//! Z = a/(b+x−1+m) ((α+T)/(α+t_x))^ρ (0 for BG and x = 0) of those who left, and
//! C = Π gaps^(k−1) / Γ(k)^x. P(alive) = S/(S + Z); k = 1 makes S = C = 1.
//!
//! Sources: Fader, Hardie & Lee (2005), Marketing Science 24(2); Batislam, Denizel & Filiztekin
//! (2007), IJRM 24(3); Reutterer, Platzer & Schröder (2021), IJRM 38(1).

use crate::math::rising::{digamma_rising, ln_rising};

use super::likelihood::{Kernel, P, Params, softplus};

/// The largest regularity; sums over ticks stay far inside the range of doubles.
pub(super) const LARGEST_REGULARITY: u32 = 24;

#[derive(Debug, Clone, Copy)]
pub(super) struct BgNbd {
    /// Ticks per purchase, k.
    pub(super) regularity: u32,
    /// Whether one may leave after the first purchase (MBG).
    pub(super) dropout_at_zero: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    /// ln Γ(ρ)/Γ(r) + r ln α + ln B(a, b+x+m)/B(a, b), and its derivatives.
    base: f64,
    slope: [f64; P],
    /// ln a/(b+x−1+m), −∞ where nobody can have left, and minus its derivative by ln b.
    ln_left: f64,
    left_b: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// ln (α + t).
    ln: f64,
    /// Its derivative by ln α.
    share: f64,
}

impl BgNbd {
    fn k(&self) -> f64 {
        f64::from(self.regularity)
    }

    /// Chances to leave after x repeat purchases.
    fn chances(&self, x: f64) -> f64 {
        x + f64::from(u8::from(self.dropout_at_zero))
    }

    /// The terms of S, each relative to the first, into `terms`; answers S.
    fn alive(&self, rho: f64, waiting: f64, terms: &mut [f64]) -> f64 {
        let (mut term, mut sum) = (1.0, 0.0);
        for (j, place) in terms.iter_mut().enumerate() {
            if j > 0 {
                term *= (rho + j as f64 - 1.0) / j as f64 * waiting;
            }
            *place = term;
            sum += term;
        }
        sum
    }
}

impl Kernel for BgNbd {
    type Count = Count;
    type Time = Time;
    const DROPOUT: [f64; P] = [0.0, 0.0, 1.0, 1.0];

    fn count(&self, p: &Params, x: f64) -> Count {
        let [r, _, a, b] = p.value;
        let (ticks, n) = (self.k() * x, self.chances(x));
        let (left, left_b) = if n > 0.0 {
            let rest = b + n - 1.0;
            (p.ln[2] - rest.ln(), b / rest)
        } else {
            (f64::NEG_INFINITY, 0.0)
        };
        let both = digamma_rising(a + b, n);
        Count {
            base: ln_rising(r, ticks) + r * p.ln[1] + ln_rising(b, n) - ln_rising(a + b, n),
            slope: [
                r * (digamma_rising(r, ticks) + p.ln[1]),
                r,
                -a * both,
                b * (digamma_rising(b, n) - both),
            ],
            ln_left: left,
            left_b,
        }
    }

    fn time(&self, p: &Params, t: f64) -> Time {
        let end = p.value[1] + t;
        Time {
            ln: end.ln(),
            share: p.value[1] / end,
        }
    }

    fn row(
        &self,
        p: &Params,
        (x, count): (f64, &Count),
        (recency, last): (f64, &Time),
        (age, end): (f64, &Time),
    ) -> (f64, [f64; P]) {
        let r = p.value[0];
        let rho = r + self.k() * x;
        let stretch = end.ln - last.ln;
        let mut z = count.ln_left + rho * stretch;
        let (mut ln_alive, mut alive_r, mut alive_alpha) = (0.0, 0.0, 0.0);
        if self.regularity > 1 {
            let mut terms = [0.0; LARGEST_REGULARITY as usize];
            let terms = &mut terms[..self.regularity as usize];
            let waiting = (age - recency) / (p.value[1] + age);
            let sum = self.alive(rho, waiting, terms);
            let mut harmonic = 0.0;
            for (j, term) in terms.iter().enumerate().skip(1) {
                harmonic += 1.0 / (rho + j as f64 - 1.0);
                alive_r += term * harmonic;
                alive_alpha -= term * j as f64;
            }
            ln_alive = sum.ln();
            alive_r *= r / sum;
            alive_alpha *= end.share / sum;
            z -= ln_alive;
        }
        let (rest, left) = softplus(z);
        let here = 1.0 - left;
        let value = count.base - rho * end.ln + ln_alive + rest;
        let slope = [
            count.slope[0] - r * end.ln + left * r * stretch + here * alive_r,
            count.slope[1] - rho * end.share
                + left * rho * (end.share - last.share)
                + here * alive_alpha,
            count.slope[2] + left,
            count.slope[3] - left * count.left_b,
        ];
        (value, slope)
    }
}

/// What a history says about the future of its customer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posterior {
    pub(super) alive: f64,
    /// λ of the living is a mixture of gamma distributions (shape + j, rate), one per number j of
    /// ticks since the last purchase.
    pub(super) shape: f64,
    pub(super) rate: f64,
    /// p of the living is a beta distribution (a, b).
    pub(super) a: f64,
    pub(super) b: f64,
    /// Probabilities of j among the living.
    pub(super) ticks: [f64; LARGEST_REGULARITY as usize],
    pub(super) regularity: u32,
}

impl BgNbd {
    pub(super) fn posterior(&self, p: &Params, x: f64, recency: f64, age: f64) -> Posterior {
        let [r, alpha, a, b] = p.value;
        let (rho, n) = (r + self.k() * x, self.chances(x));
        let waiting = (age - recency) / (alpha + age);
        let mut ticks = [0.0; LARGEST_REGULARITY as usize];
        let sum = self.alive(rho, waiting, &mut ticks[..self.regularity as usize]);
        ticks.iter_mut().for_each(|share| *share /= sum);
        let alive = if n > 0.0 {
            // ln (α+T)/(α+t_x) without the rounding of two logarithms.
            let stretch = ((age - recency) / (alpha + recency)).ln_1p();
            let z = p.ln[2] - (b + n - 1.0).ln() + rho * stretch - sum.ln();
            softplus(-z).1
        } else {
            1.0
        };
        Posterior {
            alive,
            shape: rho,
            rate: alpha + age,
            a,
            b: b + n,
            ticks,
            regularity: self.regularity,
        }
    }
}
