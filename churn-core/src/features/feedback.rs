//! What went wrong: refunds, complaints and contacts with customer service.

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::needs::Need;
use super::purchases::days;
use super::sweep::{Gather, Sight};
use crate::error::{Error, Result};
use crate::events::EventKind;

/// Which complaints are recent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedbackSettings {
    /// Length of the window of recent complaints in days, part of the feature's name. Default 90.
    pub complaints_days: u32,
}

impl Default for FeedbackSettings {
    fn default() -> Self {
        FeedbackSettings {
            complaints_days: 90,
        }
    }
}

impl FeedbackSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=36_500).contains(&self.complaints_days) {
            return Err(Error::invalid_parameter(
                "features.feedback.complaints_days",
                "1 to 36500 days",
                self.complaints_days,
            ));
        }
        Ok(())
    }
}

pub(super) const COUNT: usize = 7;

pub(super) fn catalogue(settings: &FeedbackSettings, out: &mut Vec<FeatureInfo>) {
    let recent = settings.complaints_days;
    out.extend([
        FeatureInfo::new(
            "refund_rate",
            "ratio",
            "money refunded over money of purchases, at most 1; 0 if nothing was refunded",
        )
        .at_least(0.0)
        .at_most(1.0),
        FeatureInfo::new("refunds", "count", "number of refund events").at_least(0.0),
        FeatureInfo::new("complaints", "count", "number of complaints").at_least(0.0),
        FeatureInfo::new("complaint_rate", "ratio", "complaints per order")
            .undefined("NaN for those who never bought")
            .at_least(0.0),
        FeatureInfo::new(
            "service_contacts",
            "count",
            "contacts with customer service other than complaints",
        )
        .at_least(0.0),
        FeatureInfo::new(
            format!("complaints_{recent}d"),
            "count",
            format!("complaints in the last {recent} days"),
        )
        .at_least(0.0),
        FeatureInfo::new(
            "days_since_last_complaint",
            "days",
            "last complaint to as_of",
        )
        .undefined("NaN for those who never complained")
        .at_least(0.0),
    ]);
}

/// In the order of the catalogue.
pub(super) fn needs(out: &mut Vec<Need>) {
    let money = |kinds: &[EventKind]| {
        let need = Need::of(kinds.iter().copied());
        need.gathered(Gather::PURCHASES)
    };
    let count = |kind| Need::of([kind]).gathered(Gather::KINDS);
    let rate = Need::of([EventKind::Purchase, EventKind::Complaint]).orders();
    out.extend([
        money(&[EventKind::Purchase, EventKind::Refund]),
        money(&[EventKind::Refund]),
        count(EventKind::Complaint),
        rate.gathered(Gather::PURCHASES.with(Gather::KINDS)),
        count(EventKind::ServiceContact),
        count(EventKind::Complaint).gathered(Gather::RECENT),
        count(EventKind::Complaint),
    ]);
}

/// What the customer's own past says.
pub(super) fn own(sight: &Sight<'_>, out: &mut Out<'_>) {
    let state = sight.state;
    let (bought, refunded) = (state.purchases.total, state.purchases.refunded);
    let complaints = f64::from(state.count(EventKind::Complaint));
    let refund_rate = if refunded <= 0.0 {
        0.0
    } else if refunded >= bought {
        1.0
    } else {
        refunded / bought
    };
    let complaint_rate = if state.purchases.orders > 0 {
        complaints / state.purchases.orders as f64
    } else {
        f64::NAN
    };
    let since_last = state
        .last(EventKind::Complaint)
        .map_or(f64::NAN, |time| days(sight.as_of() - time));
    out.set(0, refund_rate);
    out.set(1, state.purchases.refunds as f64);
    out.set(2, complaints);
    out.set(3, complaint_rate);
    out.set(4, f64::from(state.count(EventKind::ServiceContact)));
    out.set(5, f64::from(sight.recent_complaints()));
    out.set(6, since_last);
}

#[cfg(test)]
mod tests {
    use crate::AsOf;
    use crate::features::testing::{column, log};
    use crate::features::{FeatureSpec, build};

    #[test]
    fn counts_and_bounds_by_hand() {
        let log = log(&[
            ("ann", "2020-01-01", "purchase", 40.0),
            ("ann", "2020-01-02", "refund", 10.0),
            ("ann", "2020-01-03", "complaint", 0.0),
            ("ann", "2020-06-01", "complaint", 0.0),
            ("ann", "2020-06-02", "service_contact", 0.0),
            ("bea", "2020-01-02", "refund", 10.0),
            ("cid", "2020-01-02", "purchase", 0.0),
        ]);
        let history = log.history(AsOf::parse("2020-06-11").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        assert_eq!(column(&table, "refund_rate"), [0.25, 1.0, 0.0]);
        for (name, ann) in [
            ("refunds", 1.0),
            ("complaints", 2.0),
            ("complaint_rate", 2.0),
            ("complaints_90d", 1.0),
            ("service_contacts", 1.0),
            ("days_since_last_complaint", 10.0),
        ] {
            assert_eq!(column(&table, name)[0], ann, "{name}");
        }
        assert!(column(&table, "days_since_last_complaint")[1].is_nan());
        // Bea never bought, cid never complained.
        assert!(column(&table, "complaint_rate")[1].is_nan());
        assert_eq!(column(&table, "complaint_rate")[2], 0.0);
    }
}
