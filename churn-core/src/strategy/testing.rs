//! A shop for the tests of this room: the names that default features and segments have.

use super::conditions::Vocabulary;
use super::facts::Facts;
use crate::customers::Customers;
use crate::features::{FeatureInfo, FeatureTable};
use crate::scoring::Scores;
use crate::segments::Segments;
use crate::time::{AsOf, Horizon};

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

/// One customer of the shop; labels by position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) churn_probability: f64,
    pub(crate) tier: u32,
    pub(crate) rfm: u32,
    pub(crate) lifecycle: u32,
    pub(crate) orders: f64,
    pub(crate) total_value: f64,
    pub(crate) monetary_score: f64,
    pub(crate) sms_response_rate: f64,
}

/// A customer at high risk who has bought often but little.
pub(crate) const AT_RISK: Row = Row {
    churn_probability: 0.82,
    tier: 2,
    rfm: 2,
    lifecycle: 3,
    orders: 6.0,
    total_value: 120.0,
    monetary_score: 2.0,
    sms_response_rate: f64::NAN,
};

/// The tables of these customers.
pub(crate) struct Shop {
    pub(crate) table: FeatureTable,
    pub(crate) scores: Scores,
    pub(crate) segments: Vec<Segments>,
}

impl Shop {
    pub(crate) fn new(rows: &[Row]) -> Self {
        let customers = Customers::from_ints(0..rows.len() as i64);
        let as_of = AsOf::parse("2011-12-10").unwrap();
        let horizon = Horizon::days(90).unwrap();
        let columns: [fn(&Row) -> f64; 4] = [
            |r| r.orders,
            |r| r.total_value,
            |r| r.monetary_score,
            |r| r.sms_response_rate,
        ];
        let values = columns.iter().flat_map(|c| rows.iter().map(c)).collect();
        let table =
            FeatureTable::from_columns(customers.clone(), as_of, features(), values).unwrap();
        let probabilities = rows.iter().map(|r| r.churn_probability).collect();
        let scores = Scores::new(
            customers.clone(),
            as_of,
            horizon,
            probabilities,
            vec![],
            vec![],
        );
        let codes: [fn(&Row) -> u32; 3] = [|r| r.tier, |r| r.rfm, |r| r.lifecycle];
        let segments = SEGMENTATIONS
            .iter()
            .zip(codes)
            .map(|((name, labels), code)| {
                let labels = labels.iter().map(|l| (*l).to_owned()).collect();
                let codes = rows.iter().map(code).collect();
                Segments::new(*name, customers.clone(), as_of, labels, codes).unwrap()
            });
        Shop {
            table,
            scores: scores.unwrap(),
            segments: segments.collect(),
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        let segments: Vec<&Segments> = self.segments.iter().collect();
        Facts::new(&self.table, &self.scores, &segments).unwrap()
    }
}
