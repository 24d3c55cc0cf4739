//! The customer's own purchase rhythm, and how unusual today's silence is.
//!
//! The distribution of a customer's gaps is the [`clock`](super::clock)'s: gap_mean, silence_tail and
//! the two overdue instants come from there, in shop time (days at normal pace, in which a pause of
//! the whole shop counts little). The spread of the gaps is told beside it, drawn towards the
//! population (n = number of gaps, SS their squared deviations, in days of the calendar):
//!
//! ```text
//! gap_spread = √((SS + s · gap_mean² / k) / (n − 1 + s))       k: shape of the population
//! ```
//!
//! One-time buyers have the population's rhythm. The silence of today enters neither mean nor spread,
//! so a longer silence always lowers `silence_tail`; the price is that customers who left long ago
//! still look like they did before.
//!
//! Not for seasonal buying, where a long gap every winter is no sign of anything.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::clock::{Clock, GapPrior, Reading};
use super::needs::Need;
use super::purchases::Purchases;
use super::sweep::Sight;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::stats::squared_deviations;

/// How strongly a customer's rhythm is drawn towards the population's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RhythmSettings {
    /// Weight of the population's mean in gaps; `None` (default) estimates it, within 0.3 to 50.
    pub prior_gaps: Option<f64>,
    /// Weight of the population's spread in gaps. Default 5.
    pub spread_prior_gaps: f64,
}

impl Default for RhythmSettings {
    fn default() -> Self {
        RhythmSettings {
            prior_gaps: None,
            spread_prior_gaps: 5.0,
        }
    }
}

impl RhythmSettings {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("prior_gaps", self.prior_gaps.unwrap_or(1.0)),
            ("spread_prior_gaps", self.spread_prior_gaps),
        ] {
            if !(1e-3..=1e9).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("features.rhythm.{name}"),
                    "0.001 to 1000000000",
                    value,
                ));
            }
        }
        Ok(())
    }
}

pub(super) const COUNT: usize = 8;
/// Positions of the two features that need quantiles, which cost more than the others together.
pub(super) const OVERDUE: std::ops::Range<usize> = 5..7;
/// Position of the tail, which is as dear.
pub(super) const TAIL: usize = 3;

pub(super) fn catalogue(out: &mut Vec<FeatureInfo>) {
    const NO_RHYTHM: &str = "NaN for those who never bought, and for all if nobody in the population bought on two days; one-time buyers have the population's rhythm";
    out.extend([
        FeatureInfo::new(
            "gap_mean",
            "days",
            "mean gap between purchase days (days at the shop's normal pace), drawn towards the population's",
        )
        .undefined(NO_RHYTHM)
        .at_least(0.0),
        FeatureInfo::new(
            "gap_spread",
            "days",
            "standard deviation of gaps between purchase days, drawn towards the population's",
        )
        .undefined(NO_RHYTHM)
        .at_least(0.0),
        FeatureInfo::new("gaps", "count", "number of gaps between purchase days").at_least(0.0),
        FeatureInfo::new(
            "silence_tail",
            "probability",
            "probability that a gap of this customer, if it ends, is at least as long as the silence today; a pause of the whole shop counts little",
        )
        .undefined(NO_RHYTHM)
        .at_least(0.0)
        .at_most(1.0),
        FeatureInfo::new(
            "expected_next_days",
            "days",
            "as_of to the expected next purchase (gap_mean after the last one, at normal pace); negative = overdue",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p80_days",
            "days",
            "as_of to the instant at which the silence is longer than 80 % of this customer's gaps, at normal pace; negative = already is",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p95_days",
            "days",
            "as_of to the instant at which the silence is longer than 95 % of this customer's gaps, at normal pace; negative = already is",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "regular_then_silent",
            "flag",
            "1 if the customer bought in each of the three calendar months before the last one and not in the last one (months counted back from as_of)",
        )
        .at_least(0.0)
        .at_most(1.0),
    ]);
}

/// In the order of the catalogue.
pub(super) fn needs(out: &mut Vec<Need>) {
    out.extend((0..COUNT).map(|_| Need::of([EventKind::Purchase])));
}

/// Rhythms of customers under one population.
#[derive(Debug, Clone)]
pub(super) struct RhythmModel {
    clock: Clock,
    spread_weight: f64,
    with_quantiles: bool,
}

impl RhythmModel {
    pub(super) fn new(prior: &GapPrior, settings: &RhythmSettings, with_quantiles: bool) -> Self {
        RhythmModel {
            clock: Clock::new(prior, with_quantiles),
            spread_weight: settings.spread_prior_gaps,
            with_quantiles,
        }
    }

    /// How unusual the gap was that the last purchase day closed, by the gaps before it.
    pub(super) fn last_gap_tail(&self, purchases: &Purchases) -> f64 {
        let before = self.clock.before_last(purchases);
        self.clock.tail(&before, self.clock.last_gap(purchases))
    }

    fn spread(&self, purchases: &Purchases, mean: f64) -> f64 {
        let gaps = &purchases.gaps;
        let relative = 1.0 / self.clock.shape;
        if gaps.count < 2 {
            return mean * relative.sqrt();
        }
        let own = squared_deviations(gaps.count, gaps.sum, gaps.squares);
        let weight = self.spread_weight;
        let sum = own + weight * relative * mean * mean;
        (sum / (gaps.count as f64 - 1.0 + weight)).sqrt()
    }
}

/// A buyer's rhythm at an instant, computed once for all who ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm<'m> {
    model: &'m RhythmModel,
    reading: Reading,
    /// In shop time.
    silence: f64,
    tail: Option<f64>,
}

impl<'m> Rhythm<'m> {
    /// `None` for those who never bought; `with_tail` where the tail will be asked for anyway.
    pub(super) fn of(sight: &Sight<'_>, model: &'m RhythmModel, with_tail: bool) -> Option<Self> {
        let purchases = &sight.state.purchases;
        if purchases.days == 0 {
            return None;
        }
        let reading = model.clock.after_all(purchases);
        let silence = model.clock.silence(purchases, sight.as_of());
        Some(Rhythm {
            model,
            reading,
            silence,
            tail: with_tail.then(|| model.clock.tail(&reading, silence)),
        })
    }

    /// Probability that a gap is at least as long as the silence today.
    #[inline]
    pub(super) fn tail(&self) -> f64 {
        self.tail
            .unwrap_or_else(|| self.model.clock.tail(&self.reading, self.silence))
    }
}

/// `rhythm` is `None` where there is none.
pub(super) fn finish(sight: &Sight<'_>, rhythm: Option<&Rhythm<'_>>, out: &mut Out<'_>) {
    let purchases = &sight.state.purchases;
    out.set(2, purchases.gaps.count as f64);
    let bought = sight.lines_by_month().map(|lines| lines > 0);
    let regular_then_silent = bought == [false, true, true, true];
    out.set(7, f64::from(u8::from(regular_then_silent)));
    let Some(rhythm) = rhythm else {
        for j in [0, 1, 3, 4, 5, 6] {
            out.set(j, f64::NAN);
        }
        return;
    };
    let (model, mean) = (rhythm.model, rhythm.reading.mean);
    out.set(0, mean);
    out.set(1, model.spread(purchases, mean));
    out.set(3, rhythm.tail.unwrap_or(f64::NAN));
    out.set(4, mean - rhythm.silence);
    if model.with_quantiles {
        for (j, quantile) in OVERDUE.zip(model.clock.quantiles(&rhythm.reading)) {
            out.set(j, quantile - rhythm.silence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, FeatureTable, Population, build};
    use crate::math::distributions::beta_cdf;
    use crate::{AsOf, EventLog, Timestamp};

    fn table(log: &EventLog, as_of: &str, rhythm: RhythmSettings) -> FeatureTable {
        let spec = FeatureSpec {
            rhythm,
            ..FeatureSpec::default()
        };
        build(&log.history(AsOf::parse(as_of).unwrap()), &spec).unwrap()
    }

    #[test]
    fn shrinkage_by_hand() {
        let log = log(&[
            ("ann", "2020-01-01", "purchase", 1.0),
            ("ann", "2020-01-11", "purchase", 1.0),
            ("ann", "2020-01-31", "purchase", 1.0),
            ("bea", "2020-01-01", "purchase", 1.0),
            ("cid", "2020-01-01", "view", 1.0),
        ]);
        let settings = RhythmSettings {
            prior_gaps: Some(2.0),
            spread_prior_gaps: 1.0,
        };
        let spec = FeatureSpec {
            rhythm: settings.clone(),
            ..FeatureSpec::default()
        };
        let history = log.history(AsOf::parse("2020-02-10").unwrap());
        let population = Population::fit(&history, &spec).unwrap();
        let prior = population.gap_prior().unwrap();
        assert_eq!(prior.weight, 2.0);
        let (m, k) = (prior.mean_days, prior.shape);
        assert!(prior.pace.days.is_empty());
        let table = table(&log, "2020-02-10", settings);
        let close = |name: &str, row: usize, expected: f64| {
            let got = column(&table, name)[row];
            assert!((got - expected).abs() < 1e-8, "{name}: {got} {expected}");
        };
        // ann has the gaps 10 and 20 and has been silent for 10 days; bea bought once.
        let mean = (30.0 + 2.0 * m) / 4.0;
        let spread = ((50.0 + mean * mean / k) / 2.0).sqrt();
        close("gap_mean", 0, mean);
        close("gap_spread", 0, spread);
        close("gaps", 0, 2.0);
        close("expected_next_days", 0, mean - 10.0);
        let tail = |n: f64, sum: f64, silence: f64| {
            let (at, rate) = ((n + 2.0) * k, sum + 2.0 * m);
            beta_cdf(rate / (rate + silence), at, k)
        };
        close("silence_tail", 0, tail(2.0, 30.0, 10.0));
        let p95 = column(&table, "overdue_p95_days")[0] + 10.0;
        assert!((tail(2.0, 30.0, p95) - 0.05).abs() < 1e-9);
        close("gap_mean", 1, m);
        close("gap_spread", 1, m / k.sqrt());
        close("silence_tail", 1, tail(0.0, 0.0, 40.0));
        let p80 = column(&table, "overdue_p80_days")[1] + 40.0;
        assert!((tail(0.0, 0.0, p80) - 0.2).abs() < 1e-9);
        assert!(column(&table, "gap_mean")[2].is_nan());
        close("gaps", 2, 0.0);
    }

    #[test]
    fn regular_customers_are_told_from_late_ones() {
        let days: Vec<String> = (0..12)
            .map(|i| {
                let day = Timestamp::parse("2020-01-01").unwrap();
                day.plus_days(30.0 * f64::from(i)).to_string()
            })
            .collect();
        let mut rows = Vec::new();
        for name in ["ann", "bea", "cid", "dan", "eve"] {
            rows.extend(days.iter().map(|day| (name, day.as_str(), "purchase", 1.0)));
        }
        let log = log(&rows);
        // The last purchase is on 26 November.
        let early = table(&log, "2020-12-15", RhythmSettings::default());
        assert!((column(&early, "gap_mean")[0] - 30.0).abs() < 0.5);
        assert!(column(&early, "gap_spread")[0] < 3.0);
        assert!(column(&early, "silence_tail")[0] > 0.99);
        let late = table(&log, "2021-01-20", RhythmSettings::default());
        assert!(column(&late, "silence_tail")[0] < 1e-3);
        assert!(column(&late, "overdue_p95_days")[0] < -10.0);
    }

    #[test]
    fn nobody_came_back_means_no_rhythm() {
        let log = log(&[("ann", "2020-01-01", "purchase", 1.0)]);
        let table = table(&log, "2020-02-01", RhythmSettings::default());
        for name in ["gap_mean", "silence_tail", "overdue_p80_days"] {
            assert!(column(&table, name)[0].is_nan(), "{name}");
        }
        assert_eq!(column(&table, "gaps"), [0.0]);
    }

    #[test]
    fn months_are_counted_back_from_as_of() {
        let regular = [
            ("ann", "2020-01-15", "purchase", 1.0),
            ("ann", "2020-02-15", "purchase", 1.0),
            ("ann", "2020-03-30", "purchase", 1.0),
        ];
        let flag = |rows: &[(&'static str, &'static str, &'static str, f64)], as_of: &str| {
            let table = table(&log(rows), as_of, RhythmSettings::default());
            column(&table, "regular_then_silent")[0]
        };
        // Months before 30 April begin on 30 March, 29 February, 30 January, 30 December.
        assert_eq!(flag(&regular, "2020-04-30"), 0.0);
        assert_eq!(flag(&regular, "2020-05-01"), 1.0);
        assert_eq!(
            Timestamp::parse("2020-04-30")
                .unwrap()
                .minus_months(1)
                .to_string(),
            "2020-03-30"
        );
        let mut again = regular.to_vec();
        again.push(("ann", "2020-04-20", "purchase", 1.0));
        assert_eq!(flag(&again, "2020-05-01"), 0.0);
        assert_eq!(flag(&regular[1..], "2020-05-01"), 0.0);
    }
}
