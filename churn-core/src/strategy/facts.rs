//! What is known about all customers at one instant: features, churn scores and segmentations.

use super::conditions::{Values, Vocabulary};
use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::features::FeatureTable;
use crate::scoring::Scores;
use crate::segments::Segments;
use crate::time::AsOf;

/// The tables that conditions read, confirmed to speak of the same customers and instant.
///
/// # Example
/// ```
/// # use churn_core::{AsOf, Customers, Horizon};
/// # use churn_core::features::FeatureTable;
/// # use churn_core::scoring::Scores;
/// # use churn_core::segments::Segments;
/// use churn_core::strategy::{Condition, Facts};
/// # let customers = Customers::from_ints([1, 2]);
/// # let as_of = AsOf::parse("2011-12-10")?;
/// # let table = FeatureTable::from_columns(customers.clone(), as_of, vec![], vec![])?;
/// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.2], vec![], vec![])?;
/// # let tiers = Segments::new("risk_tier", customers, as_of, vec!["low".into(), "high".into()], vec![1, 0])?;
/// let facts = Facts::new(&table, &scores, &[&tiers])?;
/// let leaving = Condition::parse("churn_probability > 0.5 and risk_tier == 'high'")?;
/// assert_eq!(leaving.holds(&facts)?, [true, false]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    table: &'a FeatureTable,
    scores: &'a Scores,
    segments: Vec<&'a Segments>,
    vocabulary: Vocabulary,
}

impl<'a> Facts<'a> {
    /// Puts the tables of one flow side by side.
    ///
    /// # Errors
    /// `Misaligned` where customers or instants differ; `InvalidParameter` for a name that stands
    /// for two things, e.g. a feature called like a segmentation.
    pub fn new(
        table: &'a FeatureTable,
        scores: &'a Scores,
        segments: &[&'a Segments],
    ) -> Result<Self> {
        let check = |what: &str, customers: &Customers, as_of: AsOf| {
            if as_of != table.as_of() {
                return Err(Error::misaligned(what, table.as_of(), as_of));
            }
            table.customers().check_same(customers, what)
        };
        check("scores", scores.customers(), scores.as_of())?;
        let mut vocabulary = Vocabulary::new().with_features(table.features())?;
        for segments in segments {
            let what = format!("segments.{}", segments.name());
            check(&what, segments.customers(), segments.as_of())?;
            vocabulary = vocabulary.with_segments(segments)?;
        }
        Ok(Facts {
            table,
            scores,
            segments: segments.to_vec(),
            vocabulary,
        })
    }

    /// The names that conditions on these facts may use.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The customers, one per row.
    pub fn customers(&self) -> &'a Customers {
        self.table.customers()
    }

    /// The instant that the facts describe.
    pub fn as_of(&self) -> AsOf {
        self.table.as_of()
    }

    /// The churn scores.
    pub fn scores(&self) -> &'a Scores {
        self.scores
    }

    /// The values behind a number of the vocabulary: the churn probability comes first, then the
    /// features in order.
    pub(crate) fn column(&self, number: usize) -> &'a [f64] {
        match number.checked_sub(1) {
            None => self.scores.churn_probability(),
            Some(feature) => self.table.column_at(feature),
        }
    }

    /// The codes behind a segmentation of the vocabulary.
    pub(crate) fn codes(&self, segmentation: usize) -> &'a [u32] {
        self.segments[segmentation].codes()
    }
}

impl Values for Facts<'_> {
    #[inline]
    fn number(&self, number: usize, row: usize) -> f64 {
        self.column(number)[row]
    }

    #[inline]
    fn code(&self, segmentation: usize, row: usize) -> u32 {
        self.codes(segmentation)[row]
    }
}
