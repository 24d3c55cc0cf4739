//! Sums that do not depend on the order of their terms.

/// Sum of finite numbers in fixed point, equal for any order and any split over threads.
///
/// Terms are kept to the nano, a decimal step, so that sums of money in cents are exact. The sum
/// saturates near 1e29.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct ExactSum(i128);

const SCALE: f64 = 1e9;

impl ExactSum {
    #[inline]
    pub(crate) fn add(&mut self, term: f64) {
        self.0 = self
            .0
            .saturating_add((term * SCALE).round_ties_even() as i128);
    }

    /// Takes back a term that was added.
    pub(crate) fn remove(&mut self, term: f64) {
        self.0 = self
            .0
            .saturating_sub((term * SCALE).round_ties_even() as i128);
    }

    pub(crate) fn merge(&mut self, other: ExactSum) {
        self.0 = self.0.saturating_add(other.0);
    }

    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / SCALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter() {
        let terms = [1e15, 0.1, -1e15, 0.2, 1e-7, 3.7];
        let sum = |terms: &mut dyn Iterator<Item = &f64>| {
            let mut sum = ExactSum::default();
            terms.for_each(|t| sum.add(*t));
            sum.value()
        };
        let forward = sum(&mut terms.iter());
        assert_eq!(forward, sum(&mut terms.iter().rev()));
        assert!((forward - 4.0000001).abs() < 1e-9, "{forward}");
        assert_eq!(sum(&mut [0.1, 0.2, 11.77, 0.03].iter()), 12.1);
    }
}
