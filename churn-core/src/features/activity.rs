//! How lively a customer is between purchases: browsing, dwelling and interacting, with memory
//! that fades.
//!
//! ```text
//! raw = Σ over events  weight(kind) · 2^(−age / half_life)      age = days from the event to as_of
//!     = (… · 2^(−gap / half_life) + weight(kind)) · 2^(−age of the last event / half_life)
//! weight of a view = view + dwell_minute · min(minutes, dwell_cap)
//! activity = 10 · raw / (raw + half_point)
//! ```
//!
//! The sum is carried from event to event, so that it serves any instant.
//!
//! The hyperbola is preferred to `1 − exp(−raw / scale)` because it never rounds to 10 while `raw`
//! still grows, so the busiest customers stay in order, and because its one parameter can be said
//! in words: so much fresh behaviour is a 5. Purchases do not count: recency and frequency already
//! measure them, and a model should be able to tell buying from browsing.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::needs::Need;
use super::population::Part;
use super::purchases::days;
use super::standing::Standing;
use super::sweep::{Gather, Sight};
use crate::error::{Error, Result};
use crate::events::{Event, EventKind};

/// Weights of the activity score. The weights are points per event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActivitySettings {
    /// Days after which an event counts half. Default 30.
    pub half_life_days: f64,
    /// Points of fresh behaviour that make a score of 5. Default 10.
    pub half_point: f64,
    /// Points of a view. Default 1.
    pub view: f64,
    /// Points of each minute of dwell time of a view. Default 0.2.
    pub dwell_minute: f64,
    /// Minutes of dwell time that count at most per view. Default 10.
    pub dwell_cap_minutes: f64,
    /// Points of putting something into the cart. Default 3.
    pub cart: f64,
    /// Points of marking a favourite. Default 2.
    pub favourite: f64,
    /// Points of sharing something. Default 3.
    pub share: f64,
    /// Points of writing a review. Default 4.
    pub review: f64,
    /// Points of any other interaction. Default 1.
    pub interaction: f64,
    /// Points of clicking an advertisement. Default 1.
    pub ad_click: f64,
}

impl Default for ActivitySettings {
    fn default() -> Self {
        ActivitySettings {
            half_life_days: 30.0,
            half_point: 10.0,
            view: 1.0,
            dwell_minute: 0.2,
            dwell_cap_minutes: 10.0,
            cart: 3.0,
            favourite: 2.0,
            share: 3.0,
            review: 4.0,
            interaction: 1.0,
            ad_click: 1.0,
        }
    }
}

impl ActivitySettings {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value, positive) in [
            ("half_life_days", self.half_life_days, true),
            ("half_point", self.half_point, true),
            ("view", self.view, false),
            ("dwell_minute", self.dwell_minute, false),
            ("dwell_cap_minutes", self.dwell_cap_minutes, false),
            ("cart", self.cart, false),
            ("favourite", self.favourite, false),
            ("share", self.share, false),
            ("review", self.review, false),
            ("interaction", self.interaction, false),
            ("ad_click", self.ad_click, false),
        ] {
            if !(0.0..=1e6).contains(&value) || positive && value < 1e-6 {
                let least = if positive { "0.000001" } else { "0" };
                return Err(Error::invalid_parameter(
                    format!("features.activity.{name}"),
                    format_args!("{least} to 1000000"),
                    value,
                ));
            }
        }
        Ok(())
    }

    fn weight(&self, kind: EventKind) -> f64 {
        match kind {
            EventKind::View => self.view,
            EventKind::Cart => self.cart,
            EventKind::Favourite => self.favourite,
            EventKind::Share => self.share,
            EventKind::Review => self.review,
            EventKind::Interaction => self.interaction,
            EventKind::AdClick => self.ad_click,
            _ => 0.0,
        }
    }
}

/// Whether events of this kind show the customer in the shop, other than by buying.
pub(super) fn is_browsing(kind: EventKind) -> bool {
    kind == EventKind::View || is_interaction(kind)
}

/// Whether events of this kind are something the customer did in the shop beyond looking.
#[inline]
pub(super) const fn is_interaction(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Cart
            | EventKind::Favourite
            | EventKind::Share
            | EventKind::Review
            | EventKind::Interaction
            | EventKind::AdClick
    )
}

/// Whether the customer showed a sign of life by this event: anything but being sent a message
/// and contacts about something that went wrong.
const fn is_own_behaviour(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Purchase
            | EventKind::View
            | EventKind::MessageOpened
            | EventKind::MessageClicked
            | EventKind::MessageAnswered
    ) || is_interaction(kind)
}

/// The kinds of which that is true; bit *c* is set for the kind of code *c*.
const OWN_BEHAVIOUR: u32 = {
    let (mut kinds, mut i) = (0, 0);
    while i < EventKind::ALL.len() {
        kinds |= (is_own_behaviour(EventKind::ALL[i]) as u32) << EventKind::ALL[i] as u32;
        i += 1;
    }
    kinds
};

pub(super) const COUNT: usize = 3;

pub(super) fn catalogue(settings: &ActivitySettings, out: &mut Vec<FeatureInfo>) {
    out.extend([
        FeatureInfo::new(
            "activity",
            "score",
            format!(
                "views, dwell time and interactions, halved every {} days; 10 = very active",
                settings.half_life_days
            ),
        )
        .undefined("NaN for all if no event of the population is a view or an interaction")
        .at_least(0.0)
        .at_most(10.0),
        FeatureInfo::new("days_since_last_view", "days", "last view to as_of")
            .undefined("NaN for those who never viewed anything")
            .at_least(0.0),
        FeatureInfo::new(
            "days_since_last_activity",
            "days",
            "last sign of life (view, interaction, purchase, message opened, clicked or answered) to as_of",
        )
        .undefined("NaN for those who never showed one")
        .at_least(0.0),
    ]);
}

/// In the order of the catalogue.
pub(super) fn needs(out: &mut Vec<Need>) {
    let kinds = |of: fn(EventKind) -> bool| EventKind::ALL.into_iter().filter(move |k| of(*k));
    out.extend([
        Need::of(kinds(is_browsing))
            .gathered(Gather::POINTS)
            .beside([Part::Kinds]),
        Need::of([EventKind::View]).gathered(Gather::KINDS),
        Need::of(kinds(is_own_behaviour)).gathered(Gather::KINDS),
    ]);
}

/// How many points events give, and how they fade.
#[derive(Debug, Clone)]
pub(super) struct Fading {
    /// By code of the kind; all codes are below 16.
    weights: [f64; 16],
    dwell_minute: f64,
    dwell_cap_minutes: f64,
    half_life_days: f64,
}

impl Fading {
    pub(super) fn new(settings: &ActivitySettings) -> Self {
        let mut weights = [0.0; 16];
        for kind in EventKind::ALL {
            weights[usize::from(kind.code())] = settings.weight(kind);
        }
        Fading {
            weights,
            dwell_minute: settings.dwell_minute,
            dwell_cap_minutes: settings.dwell_cap_minutes,
            half_life_days: settings.half_life_days,
        }
    }

    /// Points that an event gives while it is fresh.
    #[inline]
    pub(super) fn points(&self, event: &Event) -> f64 {
        let points = self.weights[usize::from(event.kind.code() & 15)];
        if event.kind == EventKind::View {
            let minutes = (event.value / 60.0).min(self.dwell_cap_minutes);
            points + self.dwell_minute * minutes
        } else {
            points
        }
    }

    /// What is left of a point from one time to a later one.
    #[inline]
    pub(super) fn since(&self, from: i64, to: i64) -> f64 {
        (-days(to - from) / self.half_life_days).exp2()
    }
}

/// What the customer's own past says.
pub(super) fn own(sight: &Sight<'_>, out: &mut Out<'_>) {
    let as_of = sight.as_of();
    let since = |time: Option<i64>| time.map_or(f64::NAN, |time| days(as_of - time));
    out.set(1, since(sight.state.last(EventKind::View)));
    out.set(2, since(sight.state.last_of(OWN_BEHAVIOUR)));
}

/// The score.
pub(super) fn beside(
    customer: &Standing,
    settings: &ActivitySettings,
    shop_records_browsing: bool,
    out: &mut Out<'_>,
) {
    let points = customer.points;
    let score = if shop_records_browsing {
        10.0 * points / (points + settings.half_point)
    } else {
        f64::NAN
    };
    out.set(0, score);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AsOf;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, build};

    #[test]
    fn score_by_hand() {
        let log = log(&[
            // 30 days old: half of 1 + 0.2 · 5 minutes; capped at 10 minutes the second time.
            ("ann", "2020-01-01", "view", 300.0),
            ("ann", "2020-01-31", "view", 36_000.0),
            ("ann", "2020-01-31", "cart", 0.0),
            ("bea", "2020-01-30", "message_opened", 0.0),
            ("bea", "2020-01-31", "complaint", 0.0),
            ("cid", "2020-01-30", "message_sent", 0.0),
        ]);
        let history = log.history(AsOf::parse("2020-01-31T00:00:01").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        let raw = 0.5 * 2.0 + 3.0 + 3.0;
        let activity = column(&table, "activity");
        assert!((activity[0] - 10.0 * raw / (raw + 10.0)).abs() < 1e-5);
        assert_eq!(activity[1..], [0.0, 0.0]);
        let last = column(&table, "days_since_last_activity");
        assert!((last[1] - 1.0).abs() < 1e-4 && last[2].is_nan());
        assert!(column(&table, "days_since_last_view")[1].is_nan());
    }

    #[test]
    fn undefined_where_the_shop_records_no_browsing() {
        let log = log(&[("ann", "2020-01-01", "purchase", 3.0)]);
        let history = log.history(AsOf::parse("2020-01-02").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        assert!(column(&table, "activity")[0].is_nan());
        assert_eq!(column(&table, "days_since_last_activity")[0], 1.0);
    }

    #[test]
    fn settings_are_checked() {
        let wrong = ActivitySettings {
            half_life_days: 0.0,
            ..ActivitySettings::default()
        };
        assert_eq!(
            wrong.check().unwrap_err().what(),
            "features.activity.half_life_days"
        );
    }
}
