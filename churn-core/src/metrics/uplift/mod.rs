//! Uplift metrics, every dialect under its own name.
//!
//! The field's libraries give different numbers the same name. Here the name says the definition:
//!
//! | function | definition | as in |
//! |---|---|---|
//! | [`Cuts::qini_curve`] | Y₁ − Y₀ n₁/n₀ at every cut | Radcliffe 2007, scikit-uplift |
//! | [`Cuts::gain_curve`] | (Y₁/n₁ − Y₀/n₀) (n₁ + n₀) at every cut | scikit-uplift `uplift_curve` |
//! | [`Cuts::qini_sklift`], [`Cuts::auuc_sklift`] | area above chance, as a share of the perfect one | scikit-uplift |
//! | [`Cuts::qini_causalml`], [`Cuts::auuc_causalml`] | mean height per row, scaled by the last | causalml |
//! | [`Cuts::auuc_bucketed`], [`Cuts::qini_bucketed`] | trapezoids over buckets | upliftml |
//! | [`Cuts::qini_radcliffe`] | area above chance per customer squared | Radcliffe 2007 |
//! | [`uplift_at_k`] | difference of means among the first k | scikit-uplift, both strategies |
//! | [`rate`], [`toc_curve`] | TOC and its weighted area | grf, causalml |
//! | [`cost_curve`] | gain of the best costed policy per budget | maq |
//!
//! [`intervals`] and [`rate_interval`] say how sure these numbers are.
//!
//! Rows with equal scores are one cut: their order can not change a number. Outcomes may be
//! shares, counts or money, except where a definition needs a perfect ranking.

mod all;
mod at_k;
mod coefficients;
mod cost;
mod cuts;
mod intervals;
mod rate;

pub use all::{UpliftMetrics, all};
pub use at_k::{UpliftAtK, uplift_at_k};
pub use cost::{CostPoint, cost_curve};
pub use cuts::{Cut, Cuts};
pub use intervals::{intervals, rate_interval};
pub use rate::{RateWeighting, inverse_propensity_scores, rate, toc_curve};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::math::random::Random;

    fn data(n: usize, levels: f64) -> (Vec<f64>, Vec<bool>, Vec<f64>) {
        let mut random = Random::new(3, 0);
        let score = (0..n)
            .map(|_| (random.uniform() * levels).floor())
            .collect();
        let mut random = Random::new(3, 1);
        let treated = (0..n).map(|_| random.chance(0.5)).collect();
        let outcome = (0..n).map(|_| f64::from(random.poisson(1.0))).collect();
        (score, treated, outcome)
    }

    #[test]
    fn order_of_rows_changes_no_bit() {
        let (score, treated, outcome) = data(500, 7.0);
        let forward = Cuts::new(&score, &treated, &outcome).unwrap();
        let reversed: (Vec<f64>, Vec<bool>, Vec<f64>) = (
            score.iter().rev().copied().collect(),
            treated.iter().rev().copied().collect(),
            outcome.iter().rev().copied().collect(),
        );
        let backward = Cuts::new(&reversed.0, &reversed.1, &reversed.2).unwrap();
        assert_eq!(forward, backward);
        for strategy in [UpliftAtK::Overall, UpliftAtK::ByGroup] {
            assert_eq!(
                uplift_at_k(&score, &treated, &outcome, 0.3, strategy).unwrap(),
                uplift_at_k(&reversed.0, &reversed.1, &reversed.2, 0.3, strategy).unwrap()
            );
        }
    }

    #[test]
    fn one_score_for_all_is_chance() {
        let (_, treated, outcome) = data(200, 1.0);
        let flat = Cuts::new(&vec![0.0; 200], &treated, &outcome).unwrap();
        assert!(flat.qini_radcliffe().abs() < 1e-15);
        assert!(flat.qini_causalml().unwrap().abs() < 1e-12);
        let at_30 = uplift_at_k(&vec![0.0; 200], &treated, &outcome, 0.3, UpliftAtK::Overall);
        let all = uplift_at_k(&vec![0.0; 200], &treated, &outcome, 1.0, UpliftAtK::Overall);
        assert!((at_30.unwrap() - all.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn mistakes_are_named() {
        let error = Cuts::new(&[f64::NAN, 1.0], &[true, false], &[0.0, 1.0]).unwrap_err();
        assert_eq!(error.row(), Some(0));
        let error = Cuts::new(&[0.0, 1.0], &[true, true], &[0.0, 1.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        let counts = Cuts::new(&[0.0, 1.0], &[true, false], &[0.0, 2.0]).unwrap();
        assert_eq!(
            counts.qini_sklift(true).unwrap_err().what(),
            "uplift.outcome"
        );
        let nothing = Cuts::new(&[0.0, 1.0], &[true, false], &[0.0, 0.0]).unwrap();
        assert!(nothing.qini_sklift(true).is_err() && nothing.qini_causalml().is_err());
        let error = inverse_propensity_scores(&[true], &[1.0], &[1.0]).unwrap_err();
        assert_eq!(error.row(), Some(0));
        let error = cost_curve(1, &[1.0, 1.0], &[1.0, 0.0], &[1.0, 1.0]).unwrap_err();
        assert_eq!(error.row(), Some(1));
    }

    /// The cheaper arm comes first, then the step up to the dearer one: at 1, 2 and 4 money the
    /// policy gains 3, 5 and 6.
    #[test]
    fn arms_are_bought_along_their_hull() {
        let curve = cost_curve(
            2,
            &[3.0, 4.0, 2.0, 0.0],
            &[1.0, 3.0, 1.0, 1.0],
            &[3.0, 4.0, 2.0, 9.0],
        );
        let curve = curve.unwrap();
        let points: Vec<(f64, f64)> = curve
            .iter()
            .map(|p| (p.spend * 2.0, p.gain * 2.0))
            .collect();
        assert_eq!(points, [(0.0, 0.0), (1.0, 3.0), (2.0, 5.0), (4.0, 6.0)]);
    }
}
