//! The names that conditions may use, with what is known about their values.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::features::FeatureInfo;
use crate::segments::Segments;

/// Name under which conditions read the churn probability of the scores.
pub const CHURN_PROBABILITY: &str = "churn_probability";

/// The names that conditions may use: numbers (features and the churn probability, with bounds
/// where they have any) and segmentations with their labels.
///
/// A name is either a number or a segmentation, never both.
///
/// # Example
/// ```
/// use churn_core::features::FeatureInfo;
/// use churn_core::strategy::Vocabulary;
/// let vocabulary = Vocabulary::new()
///     .with_features(&[FeatureInfo::new("orders", "count", "orders before as_of").at_least(0.0)])?
///     .with_segmentation("risk_tier", &["low", "medium", "high"])?;
/// assert!(vocabulary.contains("churn_probability") && vocabulary.contains("risk_tier"));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    numbers: Vec<Number>,
    segmentations: Vec<Segmentation>,
    index: HashMap<String, Term>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    pub(crate) name: String,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segmentation {
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
}

/// What a name stands for: a position among the numbers or among the segmentations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    Number(usize),
    Segmentation(usize),
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new()
    }
}

impl Vocabulary {
    /// Only `churn_probability`, from 0 to 1.
    pub fn new() -> Self {
        Vocabulary {
            numbers: vec![Number {
                name: CHURN_PROBABILITY.to_owned(),
                min: 0.0,
                max: 1.0,
            }],
            segmentations: Vec::new(),
            index: HashMap::from([(CHURN_PROBABILITY.to_owned(), Term::Number(0))]),
        }
    }

    /// Adds features with their bounds, e.g. [`FeatureTable::features`].
    ///
    /// [`FeatureTable::features`]: crate::features::FeatureTable::features
    ///
    /// # Errors
    /// `InvalidParameter` for a name that is already there.
    pub fn with_features(mut self, features: &[FeatureInfo]) -> Result<Self> {
        for feature in features {
            let term = Term::Number(self.numbers.len());
            self.claim(&feature.name, term)?;
            self.numbers.push(Number {
                name: feature.name.clone(),
                min: feature
                    .min
                    .filter(|m| !m.is_nan())
                    .unwrap_or(f64::NEG_INFINITY),
                max: feature.max.filter(|m| !m.is_nan()).unwrap_or(f64::INFINITY),
            });
        }
        Ok(self)
    }

    /// Adds the segmentation of a result.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that is already there.
    pub fn with_segments(self, segments: &Segments) -> Result<Self> {
        self.with_segmentation(segments.name(), segments.labels())
    }

    /// Adds a segmentation by name and labels.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that is already there.
    pub fn with_segmentation<S: AsRef<str>>(mut self, name: &str, labels: &[S]) -> Result<Self> {
        let term = Term::Segmentation(self.segmentations.len());
        self.claim(name, term)?;
        self.segmentations.push(Segmentation {
            name: name.to_owned(),
            labels: labels.iter().map(|l| l.as_ref().to_owned()).collect(),
        });
        Ok(self)
    }

    fn claim(&mut self, name: &str, term: Term) -> Result<()> {
        match self.index.insert(name.to_owned(), term) {
            None => Ok(()),
            Some(_) => Err(Error::invalid_parameter(
                "vocabulary",
                "names of features, scores and segmentations that differ",
                format_args!("{name:?} twice"),
            )),
        }
    }

    /// Whether conditions may use this name.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// All names: numbers, then segmentations, each in the order added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let numbers = self.numbers.iter().map(|n| n.name.as_str());
        numbers.chain(self.segmentations.iter().map(|s| s.name.as_str()))
    }

    pub(crate) fn term(&self, name: &str) -> Option<Term> {
        self.index.get(name).copied()
    }

    pub(crate) fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    pub(crate) fn segmentations(&self) -> &[Segmentation] {
        &self.segmentations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_means_one_thing() {
        let taken = [FeatureInfo::new(CHURN_PROBABILITY, "probability", "")];
        let error = Vocabulary::new().with_features(&taken).unwrap_err();
        assert_eq!(error.got(), "\"churn_probability\" twice");
        let vocabulary = Vocabulary::new().with_segmentation("tier", &["a"]).unwrap();
        assert!(
            vocabulary
                .clone()
                .with_segmentation("tier", &["b"])
                .is_err()
        );
        assert_eq!(
            vocabulary.names().collect::<Vec<_>>(),
            [CHURN_PROBABILITY, "tier"]
        );
    }
}
