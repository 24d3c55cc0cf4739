//! Rising factorials Γ(x + n)/Γ(x) in logarithms, and their derivatives: what counts of purchases
//! leave behind once rates and probabilities are integrated out.
//!
//! Source: DLMF, chapter 5 (<https://dlmf.nist.gov>): recursion 5.5.2, asymptotic series 5.11.2.

use super::special::ln_gamma;

/// Up to here factors are multiplied one by one, which is exact where x is large and the
/// difference of two log-gammas would cancel.
const FEW: f64 = 32.0;

/// The digamma function ψ(x), derivative of `ln_gamma`, for `x > 0`.
pub(crate) fn digamma(x: f64) -> f64 {
    debug_assert!(x > 0.0);
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let mut series = 0.0;
    for c in [
        1.0 / 12.0,
        -691.0 / 32_760.0,
        1.0 / 132.0,
        -1.0 / 240.0,
        1.0 / 252.0,
        -1.0 / 120.0,
        1.0 / 12.0,
    ] {
        series = (series + c) * square;
    }
    shift + x.ln() - 0.5 / x - series
}

/// `ln(Γ(x + n) / Γ(x))` for `x > 0` and a whole number `n ≥ 0`.
pub(crate) fn ln_rising(x: f64, n: f64) -> f64 {
    debug_assert!(x > 0.0 && n >= 0.0 && n.fract() == 0.0);
    if n > FEW {
        return ln_gamma(x + n) - ln_gamma(x);
    }
    let (mut sum, mut i) = (0.0, 0.0);
    while i < n {
        // Eight factors at a time stay within the range of a double up to x = 1e38.
        let (end, mut product) = ((i + 8.0).min(n), 1.0);
        while i < end {
            product *= x + i;
            i += 1.0;
        }
        sum += f64::ln(product);
    }
    sum
}

/// `ψ(x + n) − ψ(x)`, the derivative of [`ln_rising`] by `x`.
pub(crate) fn digamma_rising(x: f64, n: f64) -> f64 {
    debug_assert!(x > 0.0 && n >= 0.0 && n.fract() == 0.0);
    if n > FEW {
        return digamma(x + n) - digamma(x);
    }
    let (mut sum, mut i) = (0.0, n);
    // From the smallest term up.
    while i > 0.0 {
        i -= 1.0;
        sum += 1.0 / (x + i);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!(
            (got - expected).abs() <= tolerance * expected.abs().max(1.0),
            "got {got:e}, expected {expected:e}"
        );
    }

    #[test]
    fn digamma_matches_mpmath() {
        // mpmath.digamma with 50 digits.
        for (x, expected) in [
            (1e-6, -1000000.5772140201),
            (0.01, -100.5608854578687),
            (0.243, -4.351093864423211),
            (1.0, -0.5772156649015329),
            (1.4616321449683623, -9.241265521729427e-17),
            (4.414, 1.367_249_664_207_545),
            (11.5, 2.3982391295357816),
            (1e5, 11.512920464961895),
        ] {
            close(digamma(x), expected, 4e-15);
        }
    }

    #[test]
    fn few_and_many_factors_agree() {
        for x in [1e-8, 0.25, 3.7, 800.0] {
            for n in [0.0, 1.0, 7.0, 8.0, 31.0, 32.0] {
                close(ln_rising(x, n), ln_gamma(x + n) - ln_gamma(x), 1e-11);
                close(digamma_rising(x, n), digamma(x + n) - digamma(x), 1e-12);
            }
            close(
                ln_rising(x, 33.0),
                ln_rising(x, 32.0) + (x + 32.0).ln(),
                1e-11,
            );
        }
        // Where log-gammas would cancel: n ln x + n (n − 1) / (2 x).
        close(ln_rising(1e14, 3.0), 3.0 * 1e14_f64.ln() + 3e-14, 1e-15);
        close(digamma_rising(1e14, 3.0), 3e-14, 1e-27);
    }
}
