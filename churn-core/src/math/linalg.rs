//! Small dense symmetric systems: normal equations, Hessians, covariance matrices.
//!
//! Made for tens to a few hundred unknowns, where a plain loop in a fixed order beats a library
//! call and gives the same bits everywhere.

/// The lower triangular factor L of A = L Lᵀ, row-major, n × n.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a symmetric matrix, row-major; only its lower triangle is read. `None` if it is not
    /// positive definite to working precision.
    pub(crate) fn new(matrix: &[f64], n: usize) -> Option<Self> {
        debug_assert_eq!(matrix.len(), n * n);
        let mut lower = matrix.to_vec();
        for j in 0..n {
            let mut pivot = lower[j * n + j];
            for k in 0..j {
                pivot -= lower[j * n + k] * lower[j * n + k];
            }
            // A pivot lost to cancellation is a direction that the data do not determine.
            if pivot.is_nan() || pivot <= matrix[j * n + j].abs() * f64::EPSILON {
                return None;
            }
            let root = pivot.sqrt();
            lower[j * n + j] = root;
            for i in j + 1..n {
                let mut entry = lower[i * n + j];
                for k in 0..j {
                    entry -= lower[i * n + k] * lower[j * n + k];
                }
                lower[i * n + j] = entry / root;
            }
        }
        Some(Cholesky { n, lower })
    }

    /// Solves A x = b in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let n = self.n;
        debug_assert_eq!(b.len(), n);
        for i in 0..n {
            for k in 0..i {
                b[i] -= self.lower[i * n + k] * b[k];
            }
            b[i] /= self.lower[i * n + i];
        }
        for i in (0..n).rev() {
            for k in i + 1..n {
                b[i] -= self.lower[k * n + i] * b[k];
            }
            b[i] /= self.lower[i * n + i];
        }
    }

    /// The inverse of A, row-major.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        let mut inverse = vec![0.0; n * n];
        let mut column = vec![0.0; n];
        for j in 0..n {
            column.fill(0.0);
            column[j] = 1.0;
            self.solve(&mut column);
            for i in 0..n {
                inverse[i * n + j] = column[i];
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 3 × 3 Hilbert matrix: its inverse is known in whole numbers.
    fn hilbert() -> Vec<f64> {
        (0..9).map(|i| 1.0 / ((i / 3 + i % 3 + 1) as f64)).collect()
    }

    #[test]
    fn inverse_of_the_hilbert_matrix() {
        let inverse = Cholesky::new(&hilbert(), 3).unwrap().inverse();
        let known = [9.0, -36.0, 30.0, -36.0, 192.0, -180.0, 30.0, -180.0, 180.0];
        for (got, want) in inverse.iter().zip(known) {
            assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
    }

    #[test]
    fn solves_what_it_was_given() {
        let mut b = vec![11.0 / 6.0, 13.0 / 12.0, 47.0 / 60.0];
        Cholesky::new(&hilbert(), 3).unwrap().solve(&mut b);
        assert!(b.iter().all(|x| (x - 1.0).abs() < 1e-12), "{b:?}");
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[1.0, 1.0, 1.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
    }
}
