//! One number per ranking, under the name of the library that defines it so.

use super::cuts::{Cut, Cuts, area};
use crate::error::{Error, Result};

impl Cuts {
    /// Qini coefficient of scikit-uplift: (area − chance) / (perfect − chance) under
    /// [`qini_curve`](Self::qini_curve), chance being the straight line to its end.
    ///
    /// `negative_effect` (the library's default is true) lets the perfect ranking put treated
    /// buyers first and control buyers last; without it, the perfect curve rises to the net effect
    /// and stays there. 1 = perfect, 0 = chance.
    ///
    /// # Errors
    /// `InvalidParameter` for outcomes other than 0 and 1; `NotEnoughData` where the perfect
    /// ranking is no better than chance, so that no share of it exists.
    pub fn qini_sklift(&self, negative_effect: bool) -> Result<f64> {
        let [control, treated] = self.binary_counts()?;
        let n = self.all().units();
        let perfect = if negative_effect {
            // Treated buyers, then all who did not buy, then control buyers.
            let steps = [
                cut(0.0, treated[1], 0.0, treated[1]),
                cut(control[0], treated[0], 0.0, 0.0),
                cut(control[1], 0.0, control[1], 0.0),
            ];
            curve_of(&steps, Cut::qini)
        } else {
            let all = self.all();
            let net = all.qini();
            vec![(0.0, 0.0), (net, net), (n, net)]
        };
        self.share_of_perfect(&self.qini_curve(), &perfect)
    }

    /// Area under the uplift curve of scikit-uplift: (area − chance) / (perfect − chance) under
    /// [`gain_curve`](Self::gain_curve).
    ///
    /// # Errors
    /// As [`qini_sklift`](Self::qini_sklift).
    pub fn auuc_sklift(&self) -> Result<f64> {
        let [control, treated] = self.binary_counts()?;
        let buyers = cut(0.0, treated[1], 0.0, treated[1]);
        let saved = cut(control[0], 0.0, 0.0, 0.0);
        let lost = cut(0.0, treated[0], 0.0, 0.0);
        let bought_anyway = cut(control[1], 0.0, control[1], 0.0);
        // The library's perfect ranking: agreement of outcome and treatment first; the larger of
        // the two disagreeing groups decides what comes between.
        let steps = if control[1] > treated[0] {
            [buyers, saved, bought_anyway, lost]
        } else {
            [buyers, saved, lost, bought_anyway]
        };
        let perfect = curve_of(&steps, |cut| cut.difference() * cut.units());
        self.share_of_perfect(&self.gain_curve(), &perfect)
    }

    /// `qini_score` of causalml: mean over rows of (Qini curve − straight line), scaled by the
    /// absolute value of its end.
    ///
    /// Rows before both arms have appeared are interpolated, as there; ties, which the library
    /// breaks by the order of rows, are interpolated as well.
    ///
    /// # Errors
    /// `NotEnoughData` where the curve ends at 0, so that nothing can be scaled by it.
    pub fn qini_causalml(&self) -> Result<f64> {
        let heights = self.row_by_row(Cut::qini, |cut| cut.control > 0.0);
        let n = (heights.len() - 1) as f64;
        let end = self.scale(heights[heights.len() - 1])?;
        let line = |i: usize| heights[heights.len() - 1] * i as f64 / n;
        let above = heights.iter().enumerate().map(|(i, h)| h - line(i));
        Ok(above.sum::<f64>() / end / heights.len() as f64)
    }

    /// `auuc_score` of causalml: mean over rows of the cumulative gain, scaled by the absolute
    /// value of its end. Chance is about 0.5, not 0.
    ///
    /// # Errors
    /// As [`qini_causalml`](Self::qini_causalml).
    pub fn auuc_causalml(&self) -> Result<f64> {
        let lift = self.row_by_row(Cut::difference, |cut| {
            cut.control > 0.0 && cut.treated > 0.0
        });
        let gain = lift.iter().enumerate().map(|(i, lift)| lift * i as f64);
        let last = lift[lift.len() - 1] * (lift.len() - 1) as f64;
        Ok(gain.sum::<f64>() / self.scale(last)? / lift.len() as f64)
    }

    /// Area under the cumulative gain by share of customers, over `buckets` of equal size
    /// (upliftml's default is 30), not normalised.
    ///
    /// # Errors
    /// `InvalidParameter` for no buckets; `NotEnoughData` for fewer units than buckets.
    pub fn auuc_bucketed(&self, buckets: usize) -> Result<f64> {
        Ok(area(&self.bucketed(buckets)?))
    }

    /// [`auuc_bucketed`](Self::auuc_bucketed) minus the area under the straight line to its end.
    ///
    /// # Errors
    /// As [`auuc_bucketed`](Self::auuc_bucketed).
    pub fn qini_bucketed(&self, buckets: usize) -> Result<f64> {
        let curve = self.bucketed(buckets)?;
        let end = curve[curve.len() - 1].1;
        Ok(area(&curve) - end / 2.0)
    }

    /// Radcliffe's Qini coefficient, not normalised: the area between
    /// [`qini_curve`](Self::qini_curve) and the straight line, both axes divided by the number of
    /// customers.
    pub fn qini_radcliffe(&self) -> f64 {
        let all = self.all();
        let n = all.units();
        (area(&self.qini_curve()) - n * all.qini() / 2.0) / (n * n)
    }

    fn binary_counts(&self) -> Result<[[f64; 2]; 2]> {
        self.binary.ok_or_else(|| {
            Error::invalid_parameter(
                "uplift.outcome",
                "0 and 1 only, because the perfect ranking of other outcomes is not known",
                "other numbers",
            )
        })
    }

    fn share_of_perfect(&self, curve: &[(f64, f64)], perfect: &[(f64, f64)]) -> Result<f64> {
        let (n, end) = perfect[perfect.len() - 1];
        let chance = n * end / 2.0;
        let best = area(perfect) - chance;
        if best.abs() < 1e-12 * n {
            return Err(Error::not_enough_data(
                "uplift.outcome",
                "outcomes that some ranking can tell apart",
                "none",
            ));
        }
        Ok((area(curve) - chance) / best)
    }

    fn scale(&self, last: f64) -> Result<f64> {
        if last == 0.0 {
            return Err(Error::not_enough_data(
                "uplift.outcome",
                "a total effect other than 0 to scale by",
                0,
            ));
        }
        Ok(last.abs())
    }

    /// Heights at 0, 1, 2, … units: those of the cuts where the height is defined, straight lines
    /// between them.
    fn row_by_row(&self, height: impl Fn(&Cut) -> f64, defined: impl Fn(&Cut) -> bool) -> Vec<f64> {
        let mut heights = vec![0.0];
        for cut in self.cuts.iter().filter(|cut| defined(cut)) {
            let (from, to) = (heights[heights.len() - 1], height(cut));
            let start = heights.len() - 1;
            let steps = cut.units() as usize - start;
            heights.extend((1..=steps).map(|i| from + (to - from) * i as f64 / steps as f64));
        }
        heights
    }

    /// Cumulative gain per customer at equal steps of the share of customers.
    fn bucketed(&self, buckets: usize) -> Result<Vec<(f64, f64)>> {
        if buckets == 0 {
            return Err(Error::invalid_parameter(
                "uplift.buckets",
                "at least one",
                0,
            ));
        }
        let n = self.all().units();
        if n < buckets as f64 {
            return Err(Error::not_enough_data(
                "uplift.buckets",
                format_args!("at least {buckets} units"),
                n,
            ));
        }
        let points = (1..=buckets).map(|bucket| {
            let share = bucket as f64 / buckets as f64;
            (share, self.above((n * share).round()).difference() * share)
        });
        Ok(std::iter::once((0.0, 0.0)).chain(points).collect())
    }

    /// What lies among the first `units`: a tie that the border divides counts with the share that
    /// lies above.
    pub(super) fn above(&self, units: f64) -> Cut {
        let after = self.cuts.partition_point(|cut| cut.units() < units);
        let next = self.cuts.get(after).copied().unwrap_or_else(|| self.all());
        let before = match after {
            0 => Cut::default(),
            _ => self.cuts[after - 1],
        };
        let block = next.units() - before.units();
        let share = if block > 0.0 {
            ((units - before.units()) / block).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let between = |from: f64, to: f64| from + (to - from) * share;
        Cut {
            treated: between(before.treated, next.treated),
            control: between(before.control, next.control),
            treated_outcome: between(before.treated_outcome, next.treated_outcome),
            control_outcome: between(before.control_outcome, next.control_outcome),
        }
    }
}

fn cut(control: f64, treated: f64, control_outcome: f64, treated_outcome: f64) -> Cut {
    Cut {
        treated,
        control,
        treated_outcome,
        control_outcome,
    }
}

/// The curve through the ends of consecutive groups; empty groups are no cut.
fn curve_of(groups: &[Cut], height: impl Fn(&Cut) -> f64) -> Vec<(f64, f64)> {
    let mut curve = vec![(0.0, 0.0)];
    let mut sum = Cut::default();
    for group in groups.iter().filter(|group| group.units() > 0.0) {
        sum = cut(
            sum.control + group.control,
            sum.treated + group.treated,
            sum.control_outcome + group.control_outcome,
            sum.treated_outcome + group.treated_outcome,
        );
        curve.push((sum.units(), height(&sum)));
    }
    curve
}
