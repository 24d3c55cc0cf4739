//! The customer's own purchase rhythm, and how unusual today's silence is.
//!
//! Gaps are those between successive purchase days (UTC, whole days). Few customers have gaps enough
//! of their own, so mean and spread are drawn towards the population (n = number of gaps, SS their
//! squared deviations):
//!
//! ```text
//! gap_mean   = (Σ gaps + w · m) / (n + w)                  m, w: population mean and its weight
//! gap_spread = √((SS + s · c² · gap_mean²) / (n − 1 + s))  c²: relative variance of the population
//! ```
//!
//! m and w are the credibility mean and weight of Bühlmann & Straub (1970); c² generalises the
//! regularity estimator of Wheat & Morrison (1990), see `math::stats`. When the next purchase is due,
//! and how unusual the silence is, says the purchase clock (`features/clock`). One-time buyers have
//! the population's rhythm. The silence of today is not one of the customer's own gaps, so a longer
//! silence always lowers `silence_tail`; the price is that customers who left long ago still look
//! like they did before.
//!
//! Not for seasonal buying, where a long gap every winter is no sign of anything.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::clock::{Clock, GapPrior, Reading};
use super::needs::Need;
use super::population::Part;
use super::purchases::Gaps;
use super::standing::Standing;
use super::sweep::{Gather, Sight};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::stats::squared_deviations;

/// How strongly a customer's rhythm is drawn towards the population's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RhythmSettings {
    /// Weight of the population's mean in gaps; `None` (default) estimates it, within 0.5 to 20.
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

/// Bounds of the estimated weight of the mean.
pub(super) const WEIGHT_BOUNDS: (f64, f64) = (0.5, 20.0);

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

pub(super) fn catalogue(out: &mut Vec<FeatureInfo>) {
    const NO_RHYTHM: &str = "NaN for those who never bought, and for all if nobody in the population bought on two days; one-time buyers have the population's rhythm";
    out.extend([
        FeatureInfo::new(
            "gap_mean",
            "days",
            "mean gap between purchase days, drawn towards the population's",
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
            "probability that the silence before a customer's return is at least as long as today's, for a customer with such gaps",
        )
        .undefined(NO_RHYTHM)
        .at_least(0.0)
        .at_most(1.0),
        FeatureInfo::new(
            "expected_next_days",
            "days",
            "as_of to the expected next purchase of a customer who returns; negative = overdue",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p80_days",
            "days",
            "as_of to the instant at which the silence is longer than before 80 % of returns of such a customer; negative = already is",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p95_days",
            "days",
            "as_of to the instant at which the silence is longer than before 95 % of returns of such a customer; negative = already is",
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
    let own = || Need::of([EventKind::Purchase]).gathered(Gather::PURCHASES);
    let shrunken = || own().beside([Part::Gaps]);
    let timed = || own().beside([Part::Gaps, Part::Clock]);
    out.extend([shrunken(), shrunken(), own(), timed(), timed(), timed()]);
    out.extend([timed(), own().gathered(Gather::MONTHS)]);
}

/// Rhythms of customers under one population.
#[derive(Debug, Clone)]
pub(super) struct RhythmModel {
    mean_days: f64,
    weight: f64,
    relative_variance: f64,
    spread_weight: f64,
    clock: Option<Clock>,
}

impl RhythmModel {
    /// With the clock only where somebody asks for it.
    pub(super) fn new(prior: &GapPrior, settings: &RhythmSettings, with_clock: bool) -> Self {
        RhythmModel {
            mean_days: prior.mean_days,
            weight: prior.weight,
            relative_variance: prior.relative_variance,
            spread_weight: settings.spread_prior_gaps,
            clock: with_clock.then(|| Clock::new(prior)),
        }
    }

    /// Mean and spread of a customer's gaps.
    fn personal(&self, gaps: &Gaps) -> (f64, f64) {
        let n = gaps.count as f64;
        let mean = (gaps.sum as f64 + self.weight * self.mean_days) / (n + self.weight);
        let relative = if gaps.count < 2 {
            self.relative_variance
        } else {
            let own = squared_deviations(gaps.count, gaps.sum, gaps.squares) / (mean * mean);
            (own + self.spread_weight * self.relative_variance) / (n - 1.0 + self.spread_weight)
        };
        (mean, mean * relative.sqrt())
    }

    /// How unusual the last gap was when it ended, as the gaps before it had it; only where there
    /// is one, and a clock.
    pub(super) fn last_gap_tail(&self, buyer: &Standing) -> Option<f64> {
        let clock = self.clock.as_ref()?;
        Some(clock.tail(&clock.read_last_gap(buyer)))
    }
}

/// A buyer's rhythm at an instant, computed once for all who ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm<'m> {
    clock: &'m Clock,
    reading: Reading,
    /// Probability that a silence before a return is at least as long as today's.
    pub(super) tail: f64,
}

impl<'m> Rhythm<'m> {
    /// `None` for those who never bought, and without a clock.
    #[inline]
    pub(super) fn of(customer: &Standing, model: &'m RhythmModel, as_of: i64) -> Option<Self> {
        let clock = model.clock.as_ref().filter(|_| customer.bought())?;
        let reading = clock.read(customer, as_of);
        Some(Rhythm {
            clock,
            reading,
            tail: clock.tail(&reading),
        })
    }
}

/// What the customer's own past says.
pub(super) fn own(sight: &Sight<'_>, out: &mut Out<'_>) {
    out.set(2, sight.state.purchases.gaps.count as f64);
    let bought = sight.lines_by_month().map(|lines| lines > 0);
    let regular_then_silent = bought == [false, true, true, true];
    out.set(7, f64::from(u8::from(regular_then_silent)));
}

/// What stands beside the population; `model` and `rhythm` are `None` where there is none.
pub(super) fn beside(
    customer: &Standing,
    model: Option<&RhythmModel>,
    rhythm: Option<&Rhythm<'_>>,
    out: &mut Out<'_>,
) {
    let model = model.filter(|_| customer.bought());
    let personal = model.map(|model| model.personal(&customer.gaps()));
    let (mean, spread) = personal.unwrap_or((f64::NAN, f64::NAN));
    out.set(0, mean);
    out.set(1, spread);
    out.set(3, rhythm.map_or(f64::NAN, |rhythm| rhythm.tail));
    let due = rhythm.map(|rhythm| rhythm.clock.due(&rhythm.reading));
    for (j, days) in (4..7).zip(due.unwrap_or([f64::NAN; 3])) {
        out.set(j, days);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, FeatureTable, build};
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
        let table = table(&log, "2020-02-10", settings);
        // One customer with gaps 10 and 20: mean 15, SS 50. Wheat & Morrison: V = (1/3 − 1/2)².
        let v = 1.0 / 36.0;
        let shape = (1.0 - 4.0 * v) / (8.0 * v);
        let spread = ((50.0 + 225.0 / shape) / 2.0_f64).sqrt();
        let close = |name: &str, row: usize, expected: f64| {
            let got = column(&table, name)[row];
            assert!((got - expected).abs() < 1e-8, "{name}: {got} {expected}");
        };
        close("gap_mean", 0, 15.0);
        close("gap_spread", 0, spread);
        close("gaps", 0, 2.0);
        assert!((column(&table, "expected_next_days")[0] - 5.0).abs() < 0.1);
        // Gamma gaps of this shape, whose rate is gamma distributed: I(1 + (n + 2) k, k).
        let tail = |n: f64, relative: f64| {
            beta_cdf(
                (n + 2.0) / (n + 2.0 + relative),
                1.0 + (n + 2.0) * shape,
                shape,
            )
        };
        let at = |name: &str, row: usize| column(&table, name)[row];
        for (row, n, silence) in [(0, 2.0, 10.0), (1, 0.0, 40.0)] {
            for (name, level) in [("overdue_p80_days", 0.2), ("overdue_p95_days", 0.05)] {
                let got = tail(n, (at(name, row) + silence) / 15.0);
                assert!((got - level).abs() < 1e-10, "{name} {row}: {got}");
            }
            // Between the levels of the curve lie straight lines.
            let got = at("silence_tail", row);
            assert!(
                (got - tail(n, silence / 15.0)).abs() < 0.005,
                "{row}: {got}"
            );
        }
        close("gap_mean", 1, 15.0);
        close("gap_spread", 1, 15.0 / shape.sqrt());
        assert!(column(&table, "gap_mean")[2].is_nan());
        close("gaps", 2, 0.0);
    }

    #[test]
    fn perfectly_regular_customers_work() {
        let rows: Vec<_> = ["2020-01-01", "2020-01-31", "2020-03-01"]
            .iter()
            .map(|day| ("ann", *day, "purchase", 1.0))
            .collect();
        let log = log(&rows);
        let early = table(&log, "2020-03-20", RhythmSettings::default());
        assert!((column(&early, "gap_mean")[0] - 30.0).abs() < 1e-12);
        assert_eq!(column(&early, "gap_spread"), [0.0]);
        assert!(column(&early, "silence_tail")[0] > 0.99);
        let late = table(&log, "2020-04-10", RhythmSettings::default());
        assert!(column(&late, "silence_tail")[0] < 1e-9);
        assert!((column(&late, "overdue_p95_days")[0] + 10.0).abs() < 0.6);
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
