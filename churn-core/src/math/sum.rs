//! Sums that do not depend on the order of their terms.

/// Sum of finite numbers in fixed point with this many decimal digits, equal for any order and any
/// split over threads. Saturates at about 1.7e38 / 10^digits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct FixedSum<const DIGITS: u32>(i128);

/// Sums of money, expected responses and the like: the step is decimal, so that cents add up
/// exactly.
pub(crate) type ExactSum = FixedSum<9>;

const fn power_of_10(digits: u32) -> f64 {
    let (mut power, mut i) = (1.0, 0);
    while i < digits {
        power *= 10.0;
        i += 1;
    }
    power
}

impl<const DIGITS: u32> FixedSum<DIGITS> {
    const SCALE: f64 = power_of_10(DIGITS);

    #[inline]
    fn fixed(term: f64) -> i128 {
        // Below 2^51 this sum has no room for a fraction, so that it rounds, ties to even; without
        // it most processors need a call for the rounding and another one for 128 bits.
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
        const SMALL: f64 = 2_251_799_813_685_248.0; // 2^51
        let scaled = term * Self::SCALE;
        if scaled.abs() < SMALL {
            i128::from((scaled + ROUND - ROUND) as i64)
        } else {
            scaled.round_ties_even() as i128
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, term: f64) {
        self.0 = self.0.saturating_add(Self::fixed(term));
    }

    /// Takes back terms that were added, by their sum.
    pub(crate) fn take(&mut self, terms: Self) {
        self.0 = self.0.saturating_sub(terms.0);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// The sum as it is kept, for files.
    pub(crate) fn raw(self) -> i128 {
        self.0
    }

    pub(crate) fn from_raw(raw: i128) -> Self {
        FixedSum(raw)
    }

    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / Self::SCALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_round_like_large_ones() {
        let halves = (0..2_000).map(|i| f64::from(i) * 0.25e-9);
        let edges = [
            2_251_799.813_685_247,
            2_251_799.813_685_248,
            2_251_800.0,
            1e15,
        ];
        for term in halves.chain(edges).flat_map(|x| [x, -x]) {
            let expected = (term * 1e9).round_ties_even() as i128;
            assert_eq!(FixedSum::<9>::fixed(term), expected, "{term}");
        }
        for term in [f64::NAN, f64::INFINITY, -f64::INFINITY] {
            assert_eq!(FixedSum::<9>::fixed(term), term as i128);
        }
    }

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
