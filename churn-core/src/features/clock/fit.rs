//! What the gaps of a sample of buyers say about the gaps of one.

use super::curve::{Spell, fit_curve};
use super::pace::{ShopPace, ShopTime};
use super::sample::Sample;
use super::{GROUPS, GapPrior, Gaps, days_of, expected, group};
use crate::math::stats::GroupPrior;
use crate::time::AsOf;

/// The prior: moments of all customers' gaps, and pace and curves of those in the sample.
pub(in crate::features) fn fit(moments: &GroupPrior, mut sample: Sample, as_of: AsOf) -> GapPrior {
    sample.settle();
    // Whole days that have passed at as_of.
    let today = days_of(as_of.instant().micros());
    let GroupPrior {
        mean,
        weight,
        relative_variance,
    } = *moments;
    let pace = ShopPace::learn(&sample, today);
    let time = ShopTime::new(&pace);
    let mut groups: [Vec<Spell>; GROUPS] = Default::default();
    for buyer in sample.buyers() {
        let mut known = Gaps::default();
        let mut sum = 0.0;
        let mut push = |known: &Gaps, sum: f64, gap: f64, closed: bool| {
            let expected = expected(known.count, sum, mean, weight);
            groups[group(known, relative_variance)].push(Spell {
                length: gap / expected,
                closed,
            });
        };
        for pair in buyer.days.windows(2) {
            let (start, end) = (i64::from(pair[0]), i64::from(pair[1]));
            let gap = (end - start) as f64 + time.extra_days(start, end);
            push(&known, sum, gap, true);
            known.push((end - start) as u64);
            sum += gap;
        }
        if buyer.open {
            let last = i64::from(buyer.days[buyer.days.len() - 1]);
            let silence = (today - last) as f64 + time.extra_days(last, today);
            push(&known, sum, silence.max(0.0), false);
        }
    }
    let curves = groups
        .iter_mut()
        .enumerate()
        .map(|(group, spells)| fit_curve(group, spells, weight, relative_variance));
    GapPrior {
        curves: curves.collect(),
        pace,
        ..moments_only(moments)
    }
}

/// The prior without pace and curves.
pub(in crate::features) fn moments_only(moments: &GroupPrior) -> GapPrior {
    GapPrior {
        mean_days: moments.mean,
        weight: moments.weight,
        relative_variance: moments.relative_variance,
        pace: ShopPace::default(),
        curves: Vec::new(),
    }
}
