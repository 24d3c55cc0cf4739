//! The incomplete gamma function and the quantiles of the gamma distribution.
//!
//! Sources: DLMF, chapters 5 and 8 (<https://dlmf.nist.gov>): power series 8.7.1, continued
//! fraction 8.9.2, uniform expansion for large shapes 8.12. All functions answer for every pair
//! of a positive finite shape and a non-negative argument; none loops for longer than a few
//! thousand steps.

use std::f64::consts::TAU;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;
/// From this shape on the uniform expansion is exact to rounding and costs the same for any shape.
const LARGE_SHAPE: f64 = 1e4;
/// Exponent below which `exp` is zero.
const UNDERFLOW: f64 = -745.2;

/// Logarithm of the gamma function for `x > 0`.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// `ln Γ(1 + a)` without the rounding of `1 + a`, for `a ≥ 0`.
fn ln_gamma_1p(a: f64) -> f64 {
    if a > 0.3 {
        return ln_gamma(1.0 + a);
    }
    // DLMF 5.7.3: the slowly converging part of the series is a logarithm.
    let mut sum = 0.0;
    for c in ZETA_MINUS_1_OVER_K.iter().rev() {
        sum = sum * -a + c;
    }
    (a - a.ln_1p()) - EULER * a + sum * a * a
}

/// `(ζ(k) − 1) / k` for k = 2, 3, …
const ZETA_MINUS_1_OVER_K: [f64; 20] = [
    0.3224670334241132,
    0.0673523010531981,
    0.020580808427784546,
    0.007385551028673986,
    0.0028905103307415234,
    0.001192753911703261,
    0.0005096695247430425,
    0.00022315475845357939,
    9.945751278180853e-05,
    4.492623673813314e-05,
    2.050721277567069e-05,
    9.439488275268397e-06,
    4.374866789907488e-06,
    2.039215753801366e-06,
    9.55141213040742e-07,
    4.492469198764566e-07,
    2.1207184805554665e-07,
    1.0043224823968099e-07,
    4.7698101693639804e-08,
    2.2711094608943164e-08,
];

/// `u − ln(1 + u)` for `u > −1`, exact to rounding also around 0.
fn u_minus_ln_1p(u: f64) -> f64 {
    if u.abs() > 0.3 {
        return u - u.ln_1p();
    }
    // ln(1 + u) = 2 artanh(s) with s = u / (2 + u), and u − 2 s = u s.
    let s = u / (2.0 + u);
    let square = s * s;
    let mut sum = 0.0;
    for n in (1..=12).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    u * s - 2.0 * s * square * sum
}

/// Exponent of `x^a e^{-x} / (a^a e^{-a})`, from −∞ to 0, and the relative distance `x/a − 1`.
fn peak_exponent(a: f64, x: f64) -> (f64, f64) {
    let u = (x - a) / a;
    let depth = if u < -0.5 {
        u - (x / a).ln()
    } else {
        u_minus_ln_1p(u)
    };
    (-a * depth, u)
}

/// `x^a e^{-x} / Γ(a + 1)` for `x > 0`.
fn leading_term(a: f64, x: f64) -> f64 {
    if a < 10.0 {
        return (a * x.ln() - x - ln_gamma_1p(a)).exp();
    }
    // DLMF 5.11.1, exact to rounding from 10 on.
    let square = 1.0 / (a * a);
    let mut stirling = 0.0;
    for c in [
        1.0 / 156.0,
        -691.0 / 360_360.0,
        1.0 / 1188.0,
        -1.0 / 1680.0,
        1.0 / 1260.0,
        -1.0 / 360.0,
        1.0 / 12.0,
    ] {
        stirling = stirling * square + c;
    }
    (peak_exponent(a, x).0 - stirling / a).exp() / (TAU * a).sqrt()
}

/// The regularised lower and upper incomplete gamma functions `P(a, x)` and `Q(a, x) = 1 − P`:
/// probability that a gamma variable of shape `a` and scale 1 is below, or at least, `x`.
///
/// Both are exact to a relative error of about 1e-13, however small they are. Shape: `a > 0`
/// finite, `x ≥ 0`, infinity allowed.
pub(crate) fn gamma_pq(a: f64, x: f64) -> (f64, f64) {
    debug_assert!(a > 0.0 && a.is_finite() && x >= 0.0);
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x == f64::INFINITY {
        return (1.0, 0.0);
    }
    if a >= LARGE_SHAPE {
        return large_shape(a, x);
    }
    if x > 1.1 && x >= a {
        let q = upper_fraction(a, x).min(1.0);
        return (1.0 - q, q);
    }
    let p = lower_series(a, x).min(1.0);
    if p < 0.9 {
        (p, 1.0 - p)
    } else if x <= 1.1 {
        let q = upper_small_shape(a, x);
        (1.0 - q, q)
    } else {
        // x < a, where P stays near one half.
        (p, 1.0 - p)
    }
}

/// The lower function; see [`gamma_pq`].
#[cfg(test)]
pub(crate) fn gamma_p(a: f64, x: f64) -> f64 {
    gamma_pq(a, x).0
}

/// The upper function; see [`gamma_pq`].
pub(crate) fn gamma_q(a: f64, x: f64) -> f64 {
    gamma_pq(a, x).1
}

/// P by its power series, for x not far above a.
fn lower_series(a: f64, x: f64) -> f64 {
    let leading = leading_term(a, x);
    if leading == 0.0 {
        return 0.0;
    }
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    // Terms fall by x / (a + n) < 1; even at the largest shape 9 √a of them reach rounding.
    for _ in 0..10_000 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    leading * sum
}

/// Q by its continued fraction (Lentz's method), for x ≥ a and x > 1.
fn upper_fraction(a: f64, x: f64) -> f64 {
    let leading = a * leading_term(a, x);
    if leading == 0.0 {
        return 0.0;
    }
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for n in 1..10_000 {
        let n = f64::from(n);
        let numerator = -n * (n - a);
        b += 2.0;
        d = numerator * d + b;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = b + numerator / c;
        c = if c.abs() < TINY { TINY } else { c };
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() < 2e-16 {
            break;
        }
    }
    leading * h
}

/// Q where both shape and argument are small, so that P is near 1 (DLMF 8.7.1 without its first
/// term, which is taken together with the 1).
fn upper_small_shape(a: f64, x: f64) -> f64 {
    let exponent = a * x.ln() - ln_gamma_1p(a);
    let (mut power, mut sum) = (1.0, 0.0);
    for n in 1..60 {
        let n = f64::from(n);
        power *= -x / n;
        let term = power / (a + n);
        sum += term;
        if term.abs() < 1e-18 {
            break;
        }
    }
    -exponent.exp_m1() - a * exponent.exp() * sum
}

/// Both functions for large shapes (DLMF 8.12.3 to 8.12.8 with the coefficients expanded in η).
fn large_shape(a: f64, x: f64) -> (f64, f64) {
    let (exponent, u) = peak_exponent(a, x);
    if exponent < UNDERFLOW {
        return if u < 0.0 { (0.0, 1.0) } else { (1.0, 0.0) };
    }
    let eta = (-2.0 * exponent / a).sqrt().copysign(u);
    let mut rest = 0.0;
    for coefficients in UNIFORM.iter().rev() {
        let c = coefficients.iter().rev().fold(0.0, |s, c| s * eta + c);
        rest = rest / a + c;
    }
    let rest = exponent.exp() / (TAU * a).sqrt() * rest;
    let z = eta * (0.5 * a).sqrt();
    let (p, q) = (0.5 * libm::erfc(-z) - rest, 0.5 * libm::erfc(z) + rest);
    (p.clamp(0.0, 1.0), q.clamp(0.0, 1.0))
}

/// Power series in η of the functions c₀ … c₃ of DLMF 8.12.10, from the recursion 8.12.11.
const UNIFORM: [&[f64]; 4] = [
    &[
        -0.3333333333333333,
        0.08333333333333333,
        -0.014814814814814815,
        0.0011574074074074073,
        0.0003527336860670194,
        -0.0001787551440329218,
        3.919263178522438e-05,
        -2.185448510679992e-06,
        -1.85406221071516e-06,
        8.296711340953087e-07,
        -1.7665952736826078e-07,
        6.707853543401498e-09,
        1.0261809784240309e-08,
        -4.382036018453353e-09,
    ],
    &[
        -0.001851851851851852,
        -0.003472222222222222,
        0.0026455026455026454,
        -0.0009902263374485596,
        0.00020576131687242798,
        -4.018775720164609e-07,
        -1.8098550334489977e-05,
        7.64916091608111e-06,
        -1.6120900894563446e-06,
        4.647127802807434e-09,
    ],
    &[
        0.004133597883597883,
        -0.0026813271604938273,
        0.0007716049382716049,
        2.0093878600823047e-06,
        -0.0001073665322636516,
        5.2923448829120125e-05,
    ],
    &[
        0.0006494341563786008,
        0.00022947209362139917,
        -0.0004691894943952557,
    ],
];

/// The `x` below which a gamma variable of shape `a` and scale 1 falls with probability `p`.
///
/// 0 for `p ≤ 0`, infinity for `p ≥ 1`; 0 also where the quantile is smaller than any number.
pub(crate) fn gamma_quantile(p: f64, a: f64) -> f64 {
    debug_assert!(a > 0.0 && a.is_finite() && !p.is_nan());
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    // P ≤ x^a / Γ(a + 1), with equality in the limit x → 0.
    let smallest = ((p.ln() + ln_gamma_1p(a)) / a).exp();
    if smallest < 1e-18 {
        return smallest;
    }
    let q = 1.0 - p;
    let mut x = if a < 1.0 {
        smallest
    } else {
        // Wilson & Hilferty (1931): the cube root is nearly normal.
        let spread = 1.0 / (9.0 * a);
        let root = 1.0 - spread + rough_normal_quantile(p) * spread.sqrt();
        (a * root.powi(3)).max(smallest)
    };
    // ln P rises and ln Q falls in ln x, both concavely, so Newton's method there converges from
    // any start: after one step it stays on one side of the root.
    let mut previous = f64::INFINITY;
    for _ in 0..100 {
        let (lower, upper) = gamma_pq(a, x);
        let slope = a * leading_term(a, x);
        let step = if p <= 0.5 {
            -(lower / p).ln() * lower / slope
        } else {
            (upper / q).ln() * upper / slope
        };
        if !step.is_finite() {
            // The tail underflows at the start only: move towards the middle.
            x = if x < a { 2.0 * x } else { 0.5 * (x + a) };
            continue;
        }
        let step = step.clamp(-2.0, 2.0);
        x *= step.exp();
        if step.abs() < 4e-16 || (step.abs() < 1e-9 && step.abs() >= previous) {
            break;
        }
        previous = step.abs();
    }
    x
}

/// Normal quantile to 4.5e-4, as a start for iterations (Abramowitz & Stegun 26.2.23).
fn rough_normal_quantile(p: f64) -> f64 {
    let t = (-2.0 * p.min(1.0 - p).ln()).sqrt();
    let z = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    if p < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64, what: &str) {
        let scale = expected.abs().max(1e-290);
        assert!(
            (got - expected).abs() <= tolerance * scale,
            "{what}: got {got:e}, expected {expected:e}"
        );
    }

    fn reference(what: &str) -> Vec<Vec<f64>> {
        let lines = include_str!("incomplete_gamma.csv").lines();
        lines
            .filter_map(|line| line.strip_prefix(what)?.strip_prefix(','))
            .map(|line| {
                line.split_terminator(',')
                    .map(|x| x.parse().unwrap())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn incomplete_gamma_matches_the_reference() {
        let rows = reference("pq");
        assert!(rows.len() > 100);
        for row in rows {
            let (p, q) = gamma_pq(row[0], row[1]);
            close(p, row[2], 1e-12, &format!("P({}, {})", row[0], row[1]));
            close(q, row[3], 1e-12, &format!("Q({}, {})", row[0], row[1]));
        }
    }

    #[test]
    fn quantile_matches_the_reference() {
        let rows = reference("quantile");
        assert!(rows.len() > 50);
        for row in rows {
            let what = format!("quantile({}, {})", row[1], row[0]);
            close(gamma_quantile(row[1], row[0]), row[2], 1e-12, &what);
        }
    }

    #[test]
    fn every_pair_has_an_answer() {
        for exponent in -300..=300 {
            let a = 10_f64.powf(f64::from(exponent) / 10.0);
            let mut last_q = 1.0;
            for step in -40..=40 {
                let x = a * 10_f64.powf(f64::from(step) / 5.0);
                let (p, q) = gamma_pq(a, x);
                assert!(
                    (0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q),
                    "{a} {x}: {p} {q}"
                );
                assert!(q <= last_q + 1e-14, "{a} {x}: {q} after {last_q}");
                last_q = q;
            }
            for p in [0.0, 1e-300, 1e-10, 0.2, 0.5, 0.8, 0.95, 1.0 - 1e-16, 1.0] {
                let x = gamma_quantile(p, a);
                assert!(x >= 0.0 && (x.is_finite() || p == 1.0), "{p} {a}: {x}");
                if (1e-4..1e9).contains(&a) && x > 1e-300 && (0.001..0.999).contains(&p) {
                    close(gamma_p(a, x), p, 1e-10, &format!("P(quantile({p}, {a}))"));
                }
            }
        }
        assert_eq!(gamma_pq(3.0, f64::INFINITY), (1.0, 0.0));
        assert_eq!(gamma_pq(3.0, 0.0), (0.0, 1.0));
    }

    #[test]
    fn shape_one_is_exponential() {
        for x in [1e-9, 0.3, 1.0, 4.0, 300.0] {
            close(gamma_q(1.0, x), (-x).exp(), 1e-13, "Q(1, x)");
            close(gamma_p(1.0, x), -(-x).exp_m1(), 1e-13, "P(1, x)");
        }
    }
}
