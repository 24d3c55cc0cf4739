//! Probability distributions of tests and intervals; the one file that knows the library behind.
//!
//! Arguments outside a distribution's domain are the caller's mistake and are caught before.

use statrs::function::{beta, erf};

use super::special;

/// P(Z ≤ z) of a standard normal.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Density of a standard normal.
pub(crate) fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

/// The z with P(Z ≤ z) = `p`, for `p` strictly between 0 and 1.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    // The smaller tail keeps its digits.
    let tail = p.min(1.0 - p);
    let mut z = -std::f64::consts::SQRT_2 * erf::erfc_inv(2.0 * tail);
    // One step of Newton's method mends the last digits of the starting value.
    z -= (normal_cdf(z) - tail) / normal_pdf(z);
    if p < 0.5 { z } else { -z }
}

/// P(|T| ≥ |t|) of Student's t with `df` degrees of freedom.
pub(crate) fn student_two_sided(t: f64, df: f64) -> f64 {
    beta_cdf(df / (df + t * t), df / 2.0, 0.5)
}

/// The t with P(T ≤ t) = `p` of Student's t with `df` degrees of freedom, for 0 < `p` < 1.
pub(crate) fn student_quantile(p: f64, df: f64) -> f64 {
    let two_sided = 2.0 * p.min(1.0 - p);
    // The normal quantile is below, so that doubling finds an upper end.
    let mut low = 0.0;
    let mut high = normal_quantile(1.0 - two_sided / 2.0).max(1.0);
    while student_two_sided(high, df) > two_sided {
        low = high;
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if student_two_sided(middle, df) > two_sided {
            low = middle;
        } else {
            high = middle;
        }
    }
    if p < 0.5 { -high } else { high }
}

/// P(X ≥ x) of a chi-square variable with `df` degrees of freedom.
pub(crate) fn chi_square_tail(x: f64, df: f64) -> f64 {
    special::gamma_q(df / 2.0, x / 2.0)
}

/// P(X ≤ x) of a beta variable: the regularised incomplete beta function.
pub(crate) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    beta::beta_reg(a, b, x.clamp(0.0, 1.0))
}

/// Density of a beta variable inside (0, 1).
pub(crate) fn beta_pdf(x: f64, a: f64, b: f64) -> f64 {
    let ln_beta = special::ln_gamma(a) + special::ln_gamma(b) - special::ln_gamma(a + b);
    ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!(
            (got - want).abs() <= tolerance * want.abs(),
            "{got} instead of {want}"
        );
    }

    /// Values of scipy.stats 1.16.
    #[test]
    fn agree_with_an_independent_library() {
        close(normal_cdf(-1.3), 0.09680048458561036, 1e-14);
        close(normal_quantile(0.975), 1.959963984540054, 1e-15);
        close(normal_quantile(1e-10), -6.361340902404056, 1e-14);
        close(student_two_sided(2.1, 7.3), 0.0722467134248534, 1e-12);
        close(student_quantile(0.975, 5.0), 2.5705818356363146, 1e-12);
        close(student_quantile(0.05, 2.5), -2.5582186141359364, 1e-12);
        close(chi_square_tail(10.83, 1.0), 0.0009986863791802592, 1e-12);
        close(beta_cdf(0.3, 2.0, 5.0), 0.579825, 1e-12);
        close(beta_pdf(0.3, 2.0, 5.0), 2.1609, 1e-12);
    }
}
