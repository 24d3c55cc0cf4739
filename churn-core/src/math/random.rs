//! Random numbers from a seed, the same on every platform.
//!
//! xoshiro256++ (Blackman & Vigna 2021, ACM TOMS 47(4)) seeded through SplitMix64 (Steele, Lea &
//! Flood 2014, OOPSLA). Besides exact operations only the logarithm and exponential of `libm` are
//! used, which do not depend on the platform's mathematical library.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random([u64; 4]);

impl Random {
    /// Stream number `stream` of a seed: streams are independent of one another, so that each
    /// customer can have one and the number of threads does not matter.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut state = split_mix(&mut seed.clone()) ^ stream;
        Random(std::array::from_fn(|_| split_mix(&mut state)))
    }

    #[inline]
    pub(crate) fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in \[0, 1), in steps of 2⁻⁵³.
    #[inline]
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in \[low, high).
    #[inline]
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability.
    #[inline]
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.uniform())
    }

    /// Standard normal, by the polar method (Marsaglia & Bray 1964).
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * libm::log(square) / square).sqrt();
            }
        }
    }

    /// Lognormal with this mean and standard deviation `sigma` of the logarithm.
    pub(crate) fn lognormal(&mut self, mean: f64, sigma: f64) -> f64 {
        mean * libm::exp(sigma * self.normal() - sigma * sigma / 2.0)
    }

    /// Gamma with `shape` not below 1 and this mean (Marsaglia & Tsang 2000, ACM TOMS 26(3)).
    pub(crate) fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            if libm::log(1.0 - self.uniform()) < x * x / 2.0 + d - d * v + d * libm::log(v) {
                return d * v * mean / shape;
            }
        }
    }

    /// Beta with both parameters above 0, as a ratio of gamma variables; those of a shape below 1
    /// are drawn with a shape above and shrunk (Marsaglia & Tsang, section 6).
    pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let mut gamma = |shape: f64| {
            if shape >= 1.0 {
                return self.gamma(shape, shape);
            }
            let larger = self.gamma(shape + 1.0, shape + 1.0);
            larger * libm::pow(1.0 - self.uniform(), 1.0 / shape)
        };
        let (x, y) = (gamma(a), gamma(b));
        // Both can underflow to 0 for tiny parameters; then either end is as likely as its weight.
        if x + y > 0.0 {
            x / (x + y)
        } else {
            f64::from(u8::from(self.uniform() * (a + b) < a))
        }
    }

    /// Poisson with a small mean, by multiplying uniforms (Knuth).
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        let limit = libm::exp(-mean);
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// A position, with probability proportional to its weight.
    pub(crate) fn pick(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.uniform() * weights.iter().sum::<f64>();
        for (i, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return i;
            }
        }
        weights.len() - 1
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_give_their_published_numbers() {
        let mut state = 1_477_776_061_723_855_037;
        let mixed: [u64; 3] = std::array::from_fn(|_| split_mix(&mut state));
        assert_eq!(
            mixed,
            [
                1_985_237_415_132_408_290,
                2_979_275_885_539_914_483,
                13_511_426_838_097_143_398
            ]
        );
        let mut random = Random([1, 2, 3, 4]);
        let numbers: [u64; 5] = std::array::from_fn(|_| random.next_u64());
        assert_eq!(
            numbers,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386,
                9_228_616_714_210_784_205
            ]
        );
    }

    /// Mean and variance of many draws.
    fn moments(mut draw: impl FnMut(&mut Random) -> f64) -> (f64, f64) {
        let mut random = Random::new(7, 0);
        let draws: Vec<f64> = (0..200_000).map(|_| draw(&mut random)).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        (mean, variance)
    }

    #[test]
    fn distributions_have_their_moments() {
        let close = |(mean, variance): (f64, f64), expected: (f64, f64)| {
            // Five standard errors of the mean; variances of these draws are known to 5 %.
            let error = 5.0 * (expected.1 / 200_000.0).sqrt();
            assert!((mean - expected.0).abs() < error, "{mean} {expected:?}");
            assert!(
                (variance / expected.1 - 1.0).abs() < 0.05,
                "{variance} {expected:?}"
            );
        };
        close(moments(Random::uniform), (0.5, 1.0 / 12.0));
        close(moments(|r| r.between(-2.0, 4.0)), (1.0, 3.0));
        close(moments(|r| r.exponential(3.0)), (3.0, 9.0));
        close(moments(Random::normal), (0.0, 1.0));
        close(moments(|r| r.gamma(3.0, 30.0)), (30.0, 300.0));
        close(moments(|r| r.gamma(1.0, 2.0)), (2.0, 4.0));
        close(moments(|r| f64::from(r.poisson(1.7))), (1.7, 1.7));
        close(moments(|r| r.beta(2.0, 6.0)), (0.25, 12.0 / (64.0 * 9.0)));
        close(moments(|r| r.beta(0.5, 0.5)), (0.5, 0.125));
        close(
            moments(|r| r.lognormal(10.0, 0.5)),
            (10.0, 100.0 * (0.25_f64.exp() - 1.0)),
        );
        close(moments(|r| f64::from(u8::from(r.chance(0.3)))), (0.3, 0.21));
        close(moments(|r| r.pick(&[1.0, 0.0, 3.0]) as f64), (1.5, 0.75));
    }

    #[test]
    fn streams_and_seeds_differ() {
        let first = |seed, stream| Random::new(seed, stream).next_u64();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 1));
        assert_ne!(first(0, 0), 0);
    }
}
