//! Eigenvalues of small symmetric matrices.
//!
//! Cyclic Jacobi rotations (Golub & Van Loan 2013, section 8.5): slow for hundreds of unknowns and
//! exact to rounding for any matrix, with orthogonal vectors.

/// Eigenvalues, largest first, and their unit vectors, one after another; `None` where the
/// rotations do not end, which no finite matrix causes.
pub(crate) fn symmetric(matrix: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    debug_assert_eq!(matrix.len(), n * n);
    let mut a = matrix.to_vec();
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let size: f64 = a.iter().map(|v| v * v).sum::<f64>().sqrt();
    for _ in 0..100 {
        let mut off = 0.0;
        for i in 0..n {
            for j in 0..i {
                off += a[i * n + j] * a[i * n + j];
            }
        }
        if off.sqrt() <= 1e-15 * size {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|i, j| a[*j * n + *j].total_cmp(&a[*i * n + *i]));
            let values = order.iter().map(|i| a[i * n + i]).collect();
            let sorted = order
                .iter()
                .flat_map(|i| vectors[i * n..(i + 1) * n].to_vec())
                .collect();
            return Some((values, sorted));
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, n, p, q);
            }
        }
    }
    None
}

/// Makes the entry (p, q) zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let entry = a[p * n + q];
    if entry == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * entry);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        let (x, y) = (vectors[p * n + k], vectors[q * n + k]);
        vectors[p * n + k] = c * x - s * y;
        vectors[q * n + k] = s * x + c * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_eigenvalues() {
        // The second difference matrix: 2 − 2 cos(kπ / (n + 1)).
        let n = 6;
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            matrix[i * n + i] = 2.0;
            if i > 0 {
                matrix[i * n + i - 1] = -1.0;
                matrix[(i - 1) * n + i] = -1.0;
            }
        }
        let (values, vectors) = symmetric(&matrix, n).unwrap();
        for (k, value) in values.iter().enumerate() {
            let angle = std::f64::consts::PI * (n - k) as f64 / (n + 1) as f64;
            assert!((value - (2.0 - 2.0 * angle.cos())).abs() < 1e-13);
            let v = &vectors[k * n..(k + 1) * n];
            for i in 0..n {
                let product: f64 = (0..n).map(|j| matrix[i * n + j] * v[j]).sum();
                assert!((product - value * v[i]).abs() < 1e-13);
            }
        }
        assert_eq!(symmetric(&[0.0; 9], 3).unwrap().0, [0.0; 3]);
    }
}
