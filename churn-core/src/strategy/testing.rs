//! A shop for the tests of this room: the names that default features and segments have.

use super::conditions::Vocabulary;
use crate::features::FeatureInfo;

/// Numbers of [`vocabulary`] with their bounds, without the churn probability.
pub(crate) fn features() -> Vec<FeatureInfo> {
    vec![
        FeatureInfo::new("orders", "count", "").at_least(0.0),
        FeatureInfo::new("total_value", "currency", ""),
        FeatureInfo::new("monetary_score", "score", "")
            .at_least(1.0)
            .at_most(5.0)
            .undefined("NaN before the first purchase"),
        FeatureInfo::new("sms_response_rate", "probability", "")
            .at_least(0.0)
            .at_most(1.0)
            .undefined("NaN without messages"),
    ]
}

pub(crate) const SEGMENTATIONS: [(&str, &[&str]); 3] = [
    ("risk_tier", &["low", "medium", "high"]),
    (
        "rfm_segment",
        &[
            "champions",
            "loyal_customers",
            "at_risk",
            "cant_lose",
            "hibernating",
            "no_purchase",
        ],
    ),
    (
        "lifecycle",
        &[
            "prospect", "new", "active", "slipping", "lapsed", "lost", "won_back",
        ],
    ),
];

/// What this shop's conditions may speak of.
pub(crate) fn vocabulary() -> Vocabulary {
    let numbers = Vocabulary::new().with_features(&features()).unwrap();
    SEGMENTATIONS
        .iter()
        .fold(numbers, |vocabulary, (name, labels)| {
            vocabulary.with_segmentation(name, labels).unwrap()
        })
}
