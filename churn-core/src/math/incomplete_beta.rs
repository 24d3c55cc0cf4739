//! The regularised incomplete beta function and its inverse, for tails of waiting times.
//!
//! I_z(a, b) by its continued fraction (DLMF 8.17.22, evaluated by the modified method of Lentz) on
//! the side where it converges fast. The tail of a gamma gap of shape b whose rate is itself gamma
//! is such a function, so small values keep their relative precision.

use super::special::ln_gamma;

/// ln of the complete beta function.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// I_z(a, b) for positive a and b, with z given by its odds: z = 1 / (1 + r), r from 0 to ∞, so that
/// neither end loses digits. `ln_beta` is that of (a, b).
pub(crate) fn beta_tail(a: f64, b: f64, r: f64, ln_beta: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    // ln z and ln(1 − z).
    let (ln_z, ln_y) = (-r.ln_1p(), -(1.0 / r).ln_1p());
    let front = (a * ln_z + b * ln_y - ln_beta).exp();
    let (z, y) = (ln_z.exp(), ln_y.exp());
    if z < (a + 1.0) / (a + b + 2.0) {
        (front * fraction(a, b, z) / a).min(1.0)
    } else {
        (1.0 - front * fraction(b, a, y) / b).max(0.0)
    }
}

/// The continued fraction of I_x(a, b) without its front.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..20_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// The odds r with I_{1/(1+r)}(a, b) = `tail`, for `tail` strictly between 0 and 1.
pub(crate) fn beta_tail_odds(a: f64, b: f64, tail: f64) -> f64 {
    let ln_beta = ln_beta(a, b);
    // Halve a bracket of ln r, with Newton steps on ln I where they stay inside.
    let (mut low, mut high) = (-1.0, 1.0);
    while beta_tail(a, b, f64::exp(low), ln_beta) < tail && low > -700.0 {
        low *= 2.0;
    }
    while beta_tail(a, b, f64::exp(high), ln_beta) > tail && high < 700.0 {
        high *= 2.0;
    }
    let mut x = 0.5 * (low + high);
    for _ in 0..200 {
        let r = f64::exp(x);
        let value = beta_tail(a, b, r, ln_beta);
        if value > tail {
            low = x;
        } else {
            high = x;
        }
        // d I / d ln r.
        let slope = -(-a * r.ln_1p() - b * (1.0 / r).ln_1p() - ln_beta).exp();
        let newton = x - (value / tail).ln() * value / slope;
        let next = if newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        if (next - x).abs() <= 1e-15 * (1.0 + x.abs()) {
            x = next;
            break;
        }
        x = next;
    }
    x.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::distributions::beta_cdf;

    #[test]
    fn agrees_with_an_independent_library() {
        for a in [0.03, 0.7, 2.0, 15.0, 400.0] {
            for b in [0.1, 1.0, 1.7, 30.0] {
                for r in [1e-6, 0.01, 0.3, 1.0, 4.0, 200.0] {
                    let got = beta_tail(a, b, r, ln_beta(a, b));
                    let want = beta_cdf(1.0 / (1.0 + r), a, b);
                    assert!(
                        (got - want).abs() <= 1e-11 * want + 1e-300,
                        "I(a {a}, b {b}, r {r}): {got:e} {want:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn closed_forms() {
        let close = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-12, "{got} {want}");
        // I_z(a, 1) = z^a.
        close(
            beta_tail(2.5, 1.0, 3.0, ln_beta(2.5, 1.0)),
            0.25_f64.powf(2.5),
        );
        close(
            beta_tail(0.6, 1.0, 1e9, ln_beta(0.6, 1.0)),
            (1e9_f64 + 1.0).powf(-0.6),
        );
        close(beta_tail(1.0, 2.0, 1.0, ln_beta(1.0, 2.0)), 0.75);
        assert_eq!(beta_tail(3.0, 2.0, 0.0, ln_beta(3.0, 2.0)), 1.0);
        assert_eq!(beta_tail(3.0, 2.0, f64::INFINITY, ln_beta(3.0, 2.0)), 0.0);
    }

    #[test]
    fn odds_invert_the_tail() {
        for a in [0.05, 0.6, 3.0, 80.0, 5_000.0] {
            for b in [0.1, 1.0, 4.0, 900.0] {
                for tail in [0.9999, 0.5, 0.2, 0.05, 1e-9] {
                    let r = beta_tail_odds(a, b, tail);
                    let back = beta_tail(a, b, r, ln_beta(a, b));
                    assert!(
                        (back / tail - 1.0).abs() < 1e-9,
                        "{a} {b} {tail}: {r} {back}"
                    );
                }
            }
        }
    }
}
