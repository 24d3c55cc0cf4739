//! The customer's own purchase rhythm, and how unusual today's silence is.
//!
//! Gaps between successive purchase days (UTC, whole days) are taken as gamma distributed with a
//! personal mean and shape. Few customers have gaps enough of their own, so both are drawn towards
//! the population (n = number of gaps, x̄ their mean, SS their squared deviations):
//!
//! ```text
//! gap_mean   = (Σ gaps + w · m) / (n + w)                  m, w: population mean and its weight
//! gap_spread = √((SS + s · c² · gap_mean²) / (n − 1 + s))  c²: relative variance of the population
//! shape      = gap_mean² / gap_spread²                     within [0.01, 10 000]
//! silence_tail = P(gap ≥ silence) = Q(shape, shape · silence / gap_mean)
//! ```
//!
//! m and w are the credibility mean and weight of Bühlmann & Straub (1970), which is the exact
//! posterior mean for gamma gaps whose rates are gamma distributed; c² generalises the regularity
//! estimator of Wheat & Morrison (1990), see `math::stats`. One-time buyers have the population's
//! mean and shape. The silence of today enters neither, so a longer silence always lowers
//! `silence_tail`; the price is that customers who left long ago still look like they did before.
//!
//! Not for seasonal buying, where a long gap every winter is no sign of anything.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::needs::Need;
use super::purchases::Gaps;
use super::sweep::Sight;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::gamma_table::GammaQuantiles;
use crate::math::special::gamma_q;
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
/// A gamma shape outside has a spread that whole days cannot show.
const SHAPES: (f64, f64) = (0.01, 1e4);
/// Shares of gaps that the two overdue features leave behind them.
const LEVELS: [f64; 2] = [0.80, 0.95];

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

/// What the gaps of all customers say about the gaps of one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapPrior {
    /// Mean gap of a customer (days).
    pub mean_days: f64,
    /// How many own gaps weigh as much as this mean.
    pub weight: f64,
    /// Squared ratio of spread to mean within customers; 0 = perfectly regular, 1 = exponential.
    pub relative_variance: f64,
}

impl GapPrior {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value, least) in [
            ("mean_days", self.mean_days, 1e-9),
            ("weight", self.weight, 1e-9),
            ("relative_variance", self.relative_variance, 0.0),
        ] {
            if !(least..=1e15).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("population.gaps.{name}"),
                    format_args!("{least} to 1e15"),
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
            "probability that a gap of this customer is at least as long as the silence today",
        )
        .undefined(NO_RHYTHM)
        .at_least(0.0)
        .at_most(1.0),
        FeatureInfo::new(
            "expected_next_days",
            "days",
            "as_of to the expected next purchase (last purchase + gap_mean); negative = overdue",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p80_days",
            "days",
            "as_of to the instant at which the silence is longer than 80 % of this customer's gaps; negative = already is",
        )
        .undefined(NO_RHYTHM),
        FeatureInfo::new(
            "overdue_p95_days",
            "days",
            "as_of to the instant at which the silence is longer than 95 % of this customer's gaps; negative = already is",
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

/// Gap distributions of customers under one population.
#[derive(Debug, Clone)]
pub(super) struct RhythmModel {
    prior: GapPrior,
    spread_weight: f64,
    /// Quantiles over mean by shape, at each of [`LEVELS`]; `None` where nobody asked.
    quantiles: Option<[GammaQuantiles; 2]>,
}

/// Gap distribution of one customer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Personal {
    mean: f64,
    spread: f64,
    shape: f64,
}

impl RhythmModel {
    pub(super) fn new(prior: &GapPrior, settings: &RhythmSettings, with_quantiles: bool) -> Self {
        RhythmModel {
            prior: *prior,
            spread_weight: settings.spread_prior_gaps,
            quantiles: with_quantiles
                .then(|| LEVELS.map(|level| GammaQuantiles::new(level, SHAPES.0, SHAPES.1))),
        }
    }

    pub(super) fn personal(&self, gaps: &Gaps) -> Personal {
        let n = gaps.count as f64;
        let prior = &self.prior;
        let mean = (gaps.sum as f64 + prior.weight * prior.mean_days) / (n + prior.weight);
        let relative = if gaps.count < 2 {
            prior.relative_variance
        } else {
            let own = squared_deviations(gaps.count, gaps.sum, gaps.squares) / (mean * mean);
            (own + self.spread_weight * prior.relative_variance) / (n - 1.0 + self.spread_weight)
        };
        Personal {
            mean,
            spread: mean * relative.sqrt(),
            shape: shape(relative),
        }
    }
}

impl Personal {
    /// Probability of a gap at least as long as `days`.
    pub(super) fn tail(&self, days: f64) -> f64 {
        gamma_q(self.shape, self.shape * days / self.mean)
    }
}

fn shape(relative_variance: f64) -> f64 {
    (1.0 / relative_variance).clamp(SHAPES.0, SHAPES.1)
}

/// A buyer's rhythm at an instant, computed once for all who ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    personal: Personal,
    silence: f64,
    tail: Option<f64>,
}

impl Rhythm {
    /// `None` for those who never bought; `with_tail` where the tail will be asked for anyway.
    pub(super) fn of(sight: &Sight<'_>, model: &RhythmModel, with_tail: bool) -> Option<Self> {
        let purchases = &sight.state.purchases;
        if purchases.days == 0 {
            return None;
        }
        let personal = model.personal(&purchases.gaps);
        let silence = purchases.silence(sight.as_of());
        Some(Rhythm {
            personal,
            silence,
            tail: with_tail.then(|| personal.tail(silence)),
        })
    }

    /// Probability that a gap is at least as long as the silence today.
    #[inline]
    pub(super) fn tail(&self) -> f64 {
        self.tail
            .unwrap_or_else(|| self.personal.tail(self.silence))
    }
}

/// `rhythm` and `model` are `None` where there is no rhythm.
pub(super) fn finish(
    sight: &Sight<'_>,
    rhythm: Option<&Rhythm>,
    model: Option<&RhythmModel>,
    out: &mut Out<'_>,
) {
    out.set(2, sight.state.purchases.gaps.count as f64);
    let bought = sight.lines_by_month().map(|lines| lines > 0);
    let regular_then_silent = bought == [false, true, true, true];
    out.set(7, f64::from(u8::from(regular_then_silent)));
    let (Some(rhythm), Some(model)) = (rhythm, model) else {
        for j in [0, 1, 3, 4, 5, 6] {
            out.set(j, f64::NAN);
        }
        return;
    };
    let (personal, silence) = (&rhythm.personal, rhythm.silence);
    out.set(0, personal.mean);
    out.set(1, personal.spread);
    out.set(3, rhythm.tail.unwrap_or(f64::NAN));
    out.set(4, personal.mean - silence);
    if let Some(quantiles) = &model.quantiles {
        for (j, quantiles) in OVERDUE.zip(quantiles) {
            let quantile = quantiles.over_shape(personal.shape) * personal.mean;
            out.set(j, quantile - silence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, FeatureTable, build};
    use crate::math::special::gamma_quantile;
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
        close("expected_next_days", 0, 5.0);
        let own = 225.0 / (spread * spread);
        close("silence_tail", 0, gamma_q(own, own * 10.0 / 15.0));
        close(
            "overdue_p95_days",
            0,
            gamma_quantile(0.95, own) * 15.0 / own - 10.0,
        );
        close("gap_mean", 1, 15.0);
        close("gap_spread", 1, 15.0 / shape.sqrt());
        close("silence_tail", 1, gamma_q(shape, shape * 40.0 / 15.0));
        close(
            "overdue_p80_days",
            1,
            gamma_quantile(0.8, shape) * 15.0 / shape - 40.0,
        );
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
        assert!(column(&early, "silence_tail")[0] > 0.999);
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
