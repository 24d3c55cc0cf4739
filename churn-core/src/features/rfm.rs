//! Recency, frequency and money, as numbers and as scores.
//!
//! Scores follow cut values learned once and stored ([`RfmCuts`]), so that equal customers always
//! have equal scores and tomorrow's run does not silently grade everyone anew. Not for fitting
//! purchase models: those want [`RfmSummary`](super::RfmSummary), which counts in whole periods.
//!
//! Score rule: cut *k* of *b* bins (k = 1 … b − 1) is the smallest observed value such that at
//! least k/b of the buyers have no larger one; the score is 1 + the number of cuts below the
//! customer's value, and for recency, where small is good, *b* − that number.

use serde::{Deserialize, Serialize};

use super::block::Out;
use super::needs::Need;
use super::population::Part;
use super::purchases::days;
use super::standing::Standing;
use super::sweep::{Gather, Sight};
use super::{FeatureInfo, version};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::stats::quantile_cuts;

/// How recency, frequency and money are scored.
///
/// # Example
/// ```
/// use churn_core::features::{FeatureSpec, RfmSettings};
/// let spec = FeatureSpec {
///     rfm: RfmSettings { bins: 3, recency_cuts: Some(vec![30.0, 90.0]), ..Default::default() },
///     ..Default::default()
/// };
/// spec.check()?;
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RfmSettings {
    /// Number of score values, 2 to 100; the best score. Default 5.
    pub bins: usize,
    /// Own cuts on `days_since_last` (days, ascending, one fewer than bins) instead of quantiles.
    pub recency_cuts: Option<Vec<f64>>,
    /// Own cuts on `orders` (count, ascending, one fewer than bins) instead of quantiles.
    pub frequency_cuts: Option<Vec<f64>>,
    /// Own cuts on `total_value` (currency, ascending, one fewer than bins) instead of quantiles.
    pub monetary_cuts: Option<Vec<f64>>,
}

impl Default for RfmSettings {
    fn default() -> Self {
        RfmSettings {
            bins: 5,
            recency_cuts: None,
            frequency_cuts: None,
            monetary_cuts: None,
        }
    }
}

impl RfmSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(2..=100).contains(&self.bins) {
            return Err(Error::invalid_parameter(
                "features.rfm.bins",
                "2 to 100",
                self.bins,
            ));
        }
        for (what, cuts) in [
            ("features.rfm.recency_cuts", &self.recency_cuts),
            ("features.rfm.frequency_cuts", &self.frequency_cuts),
            ("features.rfm.monetary_cuts", &self.monetary_cuts),
        ] {
            if let Some(cuts) = cuts {
                check_cuts(what, cuts, self.bins)?;
                if cuts.is_empty() {
                    return Err(wrong_count(what, self.bins, 0));
                }
            }
        }
        Ok(())
    }
}

fn wrong_count(what: &str, bins: usize, got: usize) -> Error {
    let expected = format_args!("{} cuts for {bins} bins", bins - 1).to_string();
    Error::invalid_parameter(what, expected, got)
}

/// Cuts are as many as the bins ask for, or none where there were no buyers.
fn check_cuts(what: &str, cuts: &[f64], bins: usize) -> Result<()> {
    if !cuts.is_empty() && cuts.len() != bins - 1 {
        return Err(wrong_count(what, bins, cuts.len()));
    }
    if let Some(cut) = cuts.iter().find(|cut| !cut.is_finite()) {
        return Err(Error::invalid_parameter(what, "finite cuts", cut));
    }
    if let Some(pair) = cuts.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(Error::invalid_parameter(
            what,
            "cuts in ascending order",
            format_args!("{} before {}", pair[0], pair[1]),
        ));
    }
    Ok(())
}

/// The cut values behind the scores: publish them, store them, use them again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmCuts {
    #[serde(deserialize_with = "version::read")]
    version: u32,
    bins: usize,
    days_since_last: Vec<f64>,
    orders: Vec<f64>,
    total_value: Vec<f64>,
}

impl RfmCuts {
    /// Cuts from the buyers' values, which are reordered.
    pub(super) fn learn(
        settings: &RfmSettings,
        days_since_last: &mut [f64],
        orders: &mut [f64],
        total_value: &mut [f64],
    ) -> Self {
        let cuts = |own: &Option<Vec<f64>>, values: &mut [f64]| match own {
            Some(own) => own.clone(),
            None => quantile_cuts(values, settings.bins),
        };
        RfmCuts {
            version: version::CURRENT,
            bins: settings.bins,
            days_since_last: cuts(&settings.recency_cuts, days_since_last),
            orders: cuts(&settings.frequency_cuts, orders),
            total_value: cuts(&settings.monetary_cuts, total_value),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(2..=100).contains(&self.bins) {
            return Err(Error::invalid_parameter(
                "population.rfm.bins",
                "2 to 100",
                self.bins,
            ));
        }
        check_cuts(
            "population.rfm.days_since_last",
            &self.days_since_last,
            self.bins,
        )?;
        check_cuts("population.rfm.orders", &self.orders, self.bins)?;
        check_cuts("population.rfm.total_value", &self.total_value, self.bins)
    }

    /// Number of score values.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Cuts on `days_since_last` (days), ascending; empty if nobody had bought.
    pub fn days_since_last(&self) -> &[f64] {
        &self.days_since_last
    }

    /// Cuts on `orders` (count), ascending; empty if nobody had bought.
    pub fn orders(&self) -> &[f64] {
        &self.orders
    }

    /// Cuts on `total_value` (currency), ascending; empty if nobody had bought.
    pub fn total_value(&self) -> &[f64] {
        &self.total_value
    }

    /// Score of a silence in days: the fewer the better. NaN if nobody had bought.
    pub fn recency_score(&self, days_since_last: f64) -> f64 {
        self.bins as f64 + 1.0 - score(&self.days_since_last, days_since_last)
    }

    /// Score of a number of orders. NaN if nobody had bought.
    pub fn frequency_score(&self, orders: f64) -> f64 {
        score(&self.orders, orders)
    }

    /// Score of a total value (currency). NaN if nobody had bought.
    ///
    /// A value counts as above a cut only if it is by more than one part in 10¹⁰: sums of money
    /// differ in their last digits with the order of their terms, and equal money must not.
    pub fn monetary_score(&self, total_value: f64) -> f64 {
        score(&self.total_value, total_value - 1e-10 * total_value.abs())
    }
}

fn score(cuts: &[f64], x: f64) -> f64 {
    if cuts.is_empty() || x.is_nan() {
        return f64::NAN;
    }
    1.0 + cuts.partition_point(|cut| *cut < x) as f64
}

pub(super) const COUNT: usize = 12;

pub(super) fn catalogue(settings: &RfmSettings, out: &mut Vec<FeatureInfo>) {
    const NEVER: &str = "NaN for those who never bought";
    let score = |name: &str, of: &str, best: &str| {
        FeatureInfo::new(
            name,
            "score",
            format!("score of {of} among buyers; {} = {best}", settings.bins),
        )
        .undefined("NaN for those who never bought, or if nobody in the population had bought")
        .at_least(1.0)
        .at_most(settings.bins as f64)
    };
    out.extend([
        FeatureInfo::new("days_since_last", "days", "last purchase to as_of")
            .undefined(NEVER)
            .at_least(0.0),
        FeatureInfo::new(
            "frequency",
            "count",
            "repeat purchases: distinct UTC days with a purchase minus one; 0 for those who never bought",
        )
        .at_least(0.0),
        FeatureInfo::new("recency", "days", "first to last purchase")
            .undefined(NEVER)
            .at_least(0.0),
        FeatureInfo::new("age", "days", "first purchase to as_of")
            .undefined(NEVER)
            .at_least(0.0),
        FeatureInfo::new("orders", "count", "number of orders").at_least(0.0),
        FeatureInfo::new("total_value", "currency", "money of all purchases, refunds not deducted")
            .at_least(0.0),
        FeatureInfo::new("net_value", "currency", "money of all purchases minus refunds"),
        FeatureInfo::new("mean_order_value", "currency", "total_value per order")
            .undefined(NEVER)
            .at_least(0.0),
        FeatureInfo::new(
            "monetary_value",
            "currency",
            "mean money per purchase day after the first; 0 without repeat purchases",
        )
        .at_least(0.0),
        score("recency_score", "days_since_last", "most recent"),
        score("frequency_score", "orders", "most orders"),
        score("monetary_score", "total_value", "most money"),
    ]);
}

/// In the order of the catalogue.
pub(super) fn needs(out: &mut Vec<Need>) {
    let of = |kinds: &[EventKind]| Need::of(kinds.iter().copied()).gathered(Gather::PURCHASES);
    let bought = || of(&[EventKind::Purchase]);
    let [last, repeats, span, age] = std::array::from_fn(|_| bought());
    let net = of(&[EventKind::Purchase, EventKind::Refund]);
    out.extend([last, repeats, span, age, bought().orders(), bought(), net]);
    out.extend([bought().orders(), bought()]);
    out.extend([
        bought().beside([Part::RecencyCuts]),
        bought().orders().beside([Part::FrequencyCuts]),
        bought().beside([Part::MonetaryCuts]),
    ]);
}

/// What the customer's own past says.
pub(super) fn own(sight: &Sight<'_>, out: &mut Out<'_>) {
    let p = &sight.state.purchases;
    let as_of = sight.as_of();
    let orders = p.orders as f64;
    out.set(1, p.days.saturating_sub(1) as f64);
    out.set(4, orders);
    out.set(5, p.total);
    out.set(6, p.total - p.refunded);
    if p.days == 0 {
        for j in [0, 2, 3, 7] {
            out.set(j, f64::NAN);
        }
        out.set(8, 0.0);
        return;
    }
    let repeats = p.days - 1;
    out.set(0, p.silence(as_of));
    out.set(2, days(p.last - p.first));
    out.set(3, days(as_of - p.first));
    // Every buyer has an order: the first purchase opens one.
    out.set(7, p.total / orders);
    let monetary = if repeats > 0 {
        p.repeat / repeats as f64
    } else {
        0.0
    };
    out.set(8, monetary);
}

/// The scores.
pub(super) fn beside(customer: &Standing, cuts: &RfmCuts, as_of: i64, out: &mut Out<'_>) {
    let scores = match customer.bought() {
        true => [
            cuts.recency_score(customer.silence(as_of)),
            cuts.frequency_score(customer.orders()),
            cuts.monetary_score(customer.total),
        ],
        false => [f64::NAN; 3],
    };
    for (j, score) in (9..12).zip(scores) {
        out.set(j, score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, build};
    use crate::{AsOf, ErrorKind};

    #[test]
    fn numbers_by_hand() {
        let log = log(&[
            ("ann", "2020-01-01T12:00:00", "purchase", 10.0),
            ("ann", "2020-01-01T18:00:00", "purchase", 5.0),
            ("ann", "2020-01-11T12:00:00", "purchase", 30.0),
            ("ann", "2020-01-12", "refund", 4.0),
            ("bea", "2020-01-05", "view", 0.0),
        ]);
        let table = build(
            &log.history(AsOf::parse("2020-01-21").unwrap()),
            &FeatureSpec::default(),
        )
        .unwrap();
        for (name, ann, bea) in [
            ("days_since_last", 9.5, f64::NAN),
            ("frequency", 1.0, 0.0),
            ("recency", 10.0, f64::NAN),
            ("age", 19.5, f64::NAN),
            ("orders", 3.0, 0.0),
            ("total_value", 45.0, 0.0),
            ("net_value", 41.0, 0.0),
            ("mean_order_value", 15.0, f64::NAN),
            ("monetary_value", 30.0, 0.0),
            ("recency_score", 5.0, f64::NAN),
            ("frequency_score", 1.0, f64::NAN),
        ] {
            let got = column(&table, name);
            assert_eq!(got[0], ann, "{name}");
            assert!(got[1] == bea || got[1].is_nan() && bea.is_nan(), "{name}");
        }
    }

    #[test]
    fn ties_share_a_score_and_cuts_are_observed() {
        let mut days: Vec<f64> = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        let mut orders = vec![1.0, 1.0, 1.0, 1.0, 9.0];
        let mut value = vec![5.0, 4.0, 3.0, 2.0, 1.0];
        let cuts = RfmCuts::learn(&RfmSettings::default(), &mut days, &mut orders, &mut value);
        assert_eq!(cuts.orders(), [1.0; 4]);
        assert_eq!(cuts.frequency_score(1.0), 1.0);
        assert_eq!(cuts.frequency_score(9.0), 5.0);
        for day in 1..=5 {
            assert_eq!(cuts.recency_score(f64::from(day)), 6.0 - f64::from(day));
        }
        assert_eq!(cuts.monetary_score(0.0), 1.0);
        assert_eq!(cuts.monetary_score(3.0 + 1e-14), cuts.monetary_score(3.0));
        assert_eq!(
            cuts.monetary_score(3.0 + 1e-6),
            cuts.monetary_score(3.0) + 1.0
        );
        assert_eq!(cuts.recency_score(1e9), 1.0);
    }

    #[test]
    fn own_cuts_are_checked_and_used() {
        let with = |cuts: Vec<f64>| RfmSettings {
            bins: 3,
            recency_cuts: Some(cuts),
            ..RfmSettings::default()
        };
        for wrong in [vec![], vec![1.0], vec![2.0, 1.0], vec![1.0, f64::NAN]] {
            let error = with(wrong).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidParameter);
            assert_eq!(error.what(), "features.rfm.recency_cuts");
        }
        let cuts = RfmCuts::learn(&with(vec![30.0, 90.0]), &mut [], &mut [], &mut []);
        let scores = [30.0, 30.1, 91.0].map(|days| cuts.recency_score(days));
        assert_eq!(scores, [3.0, 2.0, 1.0]);
        assert!(cuts.frequency_score(3.0).is_nan());
    }

    #[test]
    fn cuts_of_a_newer_version_are_refused() {
        let cuts = RfmCuts::learn(&RfmSettings::default(), &mut [1.5], &mut [1.0], &mut [0.1]);
        let json = serde_json::to_string(&cuts).unwrap();
        let same: RfmCuts = crate::settings::from_json("cuts", &json).unwrap();
        assert_eq!(same, cuts);
        let newer = json.replace("\"version\":1", "\"version\":2");
        let error = crate::settings::from_json::<RfmCuts>("cuts", &newer).unwrap_err();
        assert!(error.got().contains("version 2"), "{error}");
    }
}
