//! Where a customer stands between first and last purchase, in one of seven stages.
//!
//! Stages are tried in this order and the first that holds is taken:
//!
//! 1. `prospect`: never bought.
//! 2. `lost`: silent for more than `lost_days`.
//! 3. `new`: bought on one day only, first at most `new_days` ago.
//! 4. `won_back`: bought at most `won_back_days` ago, after a gap that had made the customer lapsed
//!    or lost by the rules here and the gaps known at that time.
//! 5. `lapsed`: the silence is longer than `lapsed_level` (95 %) of the customer's gaps.
//! 6. `slipping`: longer than `slipping_level` (80 %) of them.
//! 7. `active`: everyone else.
//!
//! The customer's gaps are those of [`rhythm`](super::RhythmSettings); where nobody in the
//! population ever bought on two days, there is no rhythm and the fixed `slipping_days` and
//! `lapsed_days` take its place.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::needs::Need;
use super::population::Part;
use super::purchases::days;
use super::rhythm::{Rhythm, RhythmModel};
use super::standing::Standing;
use super::sweep::Gather;
use crate::error::{Error, Result};
use crate::events::EventKind;

/// The stages by their code in `lifecycle_stage`.
pub const LIFECYCLE_STAGES: [&str; 7] = [
    "prospect", "new", "active", "slipping", "lapsed", "lost", "won_back",
];

const PROSPECT: f64 = 0.0;
const NEW: f64 = 1.0;
const ACTIVE: f64 = 2.0;
const SLIPPING: f64 = 3.0;
const LAPSED: f64 = 4.0;
const LOST: f64 = 5.0;
const WON_BACK: f64 = 6.0;

/// Where one stage ends and the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// Days for which a first purchase counts as new. Default 30.
    pub new_days: f64,
    /// Days for which a purchase after a lapse counts as won back. Default 30.
    pub won_back_days: f64,
    /// Share of the customer's gaps beyond which a silence is slipping, in (0, 1). Default 0.8.
    pub slipping_level: f64,
    /// Share of the customer's gaps beyond which a silence is a lapse, not below the former.
    /// Default 0.95.
    pub lapsed_level: f64,
    /// Days of silence that count as slipping where the population has no gaps. Default 60.
    pub slipping_days: f64,
    /// Days of silence that count as a lapse where the population has no gaps. Default 90.
    pub lapsed_days: f64,
    /// Days of silence after which anyone is lost. Default 365.
    pub lost_days: f64,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        LifecycleSettings {
            new_days: 30.0,
            won_back_days: 30.0,
            slipping_level: 0.80,
            lapsed_level: 0.95,
            slipping_days: 60.0,
            lapsed_days: 90.0,
            lost_days: 365.0,
        }
    }
}

impl LifecycleSettings {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("new_days", self.new_days),
            ("won_back_days", self.won_back_days),
            ("slipping_days", self.slipping_days),
            ("lapsed_days", self.lapsed_days),
            ("lost_days", self.lost_days),
        ] {
            if !(0.0..=1e6).contains(&value) {
                return Err(Error::invalid_parameter(
                    format!("features.lifecycle.{name}"),
                    "0 to 1000000 days",
                    value,
                ));
            }
        }
        for (name, value) in [
            ("slipping_level", self.slipping_level),
            ("lapsed_level", self.lapsed_level),
        ] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::invalid_parameter(
                    format!("features.lifecycle.{name}"),
                    "a share between 0 and 1",
                    value,
                ));
            }
        }
        for (name, low, high) in [
            ("lapsed_level", self.slipping_level, self.lapsed_level),
            ("lapsed_days", self.slipping_days, self.lapsed_days),
        ] {
            if high < low {
                return Err(Error::invalid_parameter(
                    format!("features.lifecycle.{name}"),
                    format_args!("at least the {low} of slipping"),
                    high,
                ));
            }
        }
        Ok(())
    }

    fn stage(
        &self,
        customer: &Standing,
        rhythm: Option<&Rhythm<'_>>,
        model: Option<&RhythmModel>,
        as_of: i64,
    ) -> f64 {
        if !customer.bought() {
            return PROSPECT;
        }
        let silence = customer.silence(as_of);
        if silence > self.lost_days {
            return LOST;
        }
        let once = customer.purchase_days() == 1;
        if once && days(as_of - customer.first) <= self.new_days {
            return NEW;
        }
        let risk = |silence: f64, tail: Option<f64>| match tail {
            Some(tail) => {
                if tail < 1.0 - self.lapsed_level {
                    LAPSED
                } else if tail < 1.0 - self.slipping_level {
                    SLIPPING
                } else {
                    ACTIVE
                }
            }
            None if silence > self.lapsed_days => LAPSED,
            None if silence > self.slipping_days => SLIPPING,
            None => ACTIVE,
        };
        if !once && silence <= self.won_back_days {
            let gap = customer.last_gap() as f64;
            let tail = model.and_then(|model| model.last_gap_tail(customer));
            if gap > self.lost_days || risk(gap, tail) == LAPSED {
                return WON_BACK;
            }
        }
        risk(silence, rhythm.map(|rhythm| rhythm.tail))
    }
}

pub(super) const COUNT: usize = 1;

pub(super) fn catalogue(out: &mut Vec<FeatureInfo>) {
    let stages: Vec<String> = LIFECYCLE_STAGES
        .iter()
        .enumerate()
        .map(|(code, name)| format!("{code} = {name}"))
        .collect();
    out.push(
        FeatureInfo::new("lifecycle_stage", "code", stages.join(", "))
            .at_least(0.0)
            .at_most((LIFECYCLE_STAGES.len() - 1) as f64),
    );
}

/// In the order of the catalogue.
pub(super) fn needs(out: &mut Vec<Need>) {
    let stage = Need::of([EventKind::Purchase]).gathered(Gather::PURCHASES);
    out.push(stage.beside([Part::Gaps, Part::Clock]));
}

/// `rhythm` is `None` where there is none.
pub(super) fn beside(
    customer: &Standing,
    settings: &LifecycleSettings,
    rhythm: Option<&Rhythm<'_>>,
    model: Option<&RhythmModel>,
    as_of: i64,
    out: &mut Out<'_>,
) {
    out.set(0, settings.stage(customer, rhythm, model, as_of));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AsOf;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, RhythmSettings, build};

    #[test]
    fn each_stage_by_example() {
        let mut rows = vec![
            ("a prospect", "2020-05-01", "view", 1.0),
            ("b new", "2020-05-20", "purchase", 1.0),
            ("d slipping", "2020-04-19", "purchase", 1.0),
            ("e lapsed", "2020-02-10", "purchase", 1.0),
            ("f lost", "2019-05-01", "purchase", 1.0),
            ("g won_back", "2019-05-01", "purchase", 1.0),
            ("g won_back", "2019-06-01", "purchase", 1.0),
            ("g won_back", "2020-05-25", "purchase", 1.0),
        ];
        // Many monthly buyers give the population its rhythm.
        let names: Vec<String> = (0..60).map(|i| format!("c{i}")).collect();
        for name in &names {
            for day in [
                "2020-01-05",
                "2020-01-25",
                "2020-02-29",
                "2020-04-10",
                "2020-05-15",
            ] {
                rows.push((name, day, "purchase", 1.0));
            }
        }
        let log = log(&rows);
        let spec = FeatureSpec {
            rhythm: RhythmSettings {
                prior_gaps: Some(5.0),
                ..RhythmSettings::default()
            },
            ..FeatureSpec::default()
        };
        let table = build(&log.history(AsOf::parse("2020-06-01").unwrap()), &spec).unwrap();
        for (row, code) in column(&table, "lifecycle_stage").iter().enumerate() {
            let id = table.customers().get(row).to_string();
            let stage = LIFECYCLE_STAGES[*code as usize];
            let expected = id.split(' ').nth(1).unwrap_or("active");
            assert_eq!(stage, expected, "{id}");
        }
    }

    #[test]
    fn without_any_rhythm_fixed_days_decide() {
        let log = log(&[
            ("a", "2020-05-31", "purchase", 1.0),
            ("b", "2020-03-31", "purchase", 1.0),
            ("c", "2020-02-29", "purchase", 1.0),
            ("d", "2020-04-30", "purchase", 1.0),
        ]);
        let history = log.history(AsOf::parse("2020-06-01").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        assert_eq!(
            column(&table, "lifecycle_stage"),
            [NEW, SLIPPING, LAPSED, ACTIVE]
        );
    }

    #[test]
    fn levels_are_checked() {
        let wrong = LifecycleSettings {
            lapsed_level: 0.5,
            ..LifecycleSettings::default()
        };
        assert_eq!(
            wrong.check().unwrap_err().what(),
            "features.lifecycle.lapsed_level"
        );
    }
}
