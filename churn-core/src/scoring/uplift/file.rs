//! Uplift models as bytes, which every language of the library reads.
//!
//! ```text
//! envelope "CHRNUPLF" · length u64 · JSON · for each sum of trees and forest: length u64 · its bytes
//! ```
//!
//! The envelope (`learned/packed.rs`) is that of all learned models. The JSON holds what is small:
//! columns, overlap, coefficients. No training row is in there.

use serde::{Deserialize, Serialize};

use super::base::FittedBase;
use super::forest::FittedUpliftForest;
use super::learners::Learner;
use super::{Overlap, UpliftModel};
use crate::error::{Error, Result};
use crate::scoring::learned::packed::{Envelope, cut_short};
use crate::scoring::learned::{LinearModel, LogisticModel, SchemaColumn, TreeEnsemble};

const ENVELOPE: Envelope = Envelope {
    mark: b"CHRNUPLF",
    version: 1,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: Vec<SchemaColumn>,
    overlap: Overlap,
    learners: Vec<LearnerDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum LearnerDocument {
    Single(BaseDocument),
    Two {
        treated: BaseDocument,
        control: BaseDocument,
    },
    Crossed {
        treated: BaseDocument,
        control: BaseDocument,
        propensity: BaseDocument,
    },
    Effect(BaseDocument),
    /// The next part behind the document.
    Forest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum BaseDocument {
    Logistic(Box<LogisticModel>),
    Linear(Box<LinearModel>),
    Constant(f64),
    /// The next part behind the document.
    Trees,
}

fn write_base(base: &FittedBase, parts: &mut Vec<Vec<u8>>) -> BaseDocument {
    match base {
        FittedBase::Logistic(model) => BaseDocument::Logistic(Box::new(model.clone())),
        FittedBase::Linear(model) => BaseDocument::Linear(Box::new(model.clone())),
        FittedBase::Constant(value) => BaseDocument::Constant(*value),
        FittedBase::Trees(trees) => {
            parts.push(trees.to_bytes());
            BaseDocument::Trees
        }
    }
}

fn write_learner(learner: &Learner, parts: &mut Vec<Vec<u8>>) -> LearnerDocument {
    match learner {
        Learner::Single(model) => LearnerDocument::Single(write_base(model, parts)),
        Learner::Two(treated, control) => LearnerDocument::Two {
            treated: write_base(treated, parts),
            control: write_base(control, parts),
        },
        Learner::Crossed {
            treated,
            control,
            propensity,
        } => LearnerDocument::Crossed {
            treated: write_base(treated, parts),
            control: write_base(control, parts),
            propensity: write_base(propensity, parts),
        },
        Learner::Effect(model) => LearnerDocument::Effect(write_base(model, parts)),
        Learner::Forest(forest) => {
            parts.push(forest.to_bytes());
            LearnerDocument::Forest
        }
    }
}

/// The parts behind one another, each with its length before it.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<&'a [u8]> {
        let (len, behind) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut_short())?;
        let (part, behind) = behind.split_at_checked(len).ok_or_else(cut_short)?;
        self.0 = behind;
        Ok(part)
    }

    fn base(&mut self, document: BaseDocument) -> Result<FittedBase> {
        Ok(match document {
            BaseDocument::Logistic(model) => {
                model.check()?;
                FittedBase::Logistic(*model)
            }
            BaseDocument::Linear(model) => {
                model.check()?;
                FittedBase::Linear(*model)
            }
            BaseDocument::Constant(value) => FittedBase::Constant(value),
            BaseDocument::Trees => FittedBase::Trees(TreeEnsemble::from_bytes(self.next()?)?),
        })
    }

    fn learner(&mut self, document: LearnerDocument) -> Result<Learner> {
        Ok(match document {
            LearnerDocument::Single(model) => Learner::Single(self.base(model)?),
            LearnerDocument::Two { treated, control } => {
                Learner::Two(self.base(treated)?, self.base(control)?)
            }
            LearnerDocument::Crossed {
                treated,
                control,
                propensity,
            } => Learner::Crossed {
                treated: self.base(treated)?,
                control: self.base(control)?,
                propensity: self.base(propensity)?,
            },
            LearnerDocument::Effect(model) => Learner::Effect(self.base(model)?),
            LearnerDocument::Forest => {
                let forest = FittedUpliftForest::from_bytes(self.next()?);
                Learner::Forest(Box::new(forest.ok_or_else(|| {
                    Error::invalid_parameter("model.forest", "the parts of a forest", "other bytes")
                })?))
            }
        })
    }
}

impl UpliftModel {
    /// The model as bytes, for [`from_bytes`](Self::from_bytes). Holds no training rows.
    ///
    /// # Errors
    /// None that a fitted model could cause; the type is that of the writer.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut parts = vec![Vec::new()];
        let learners = self.learners.iter();
        let document = Document {
            schema: self.schema.clone(),
            overlap: self.overlap,
            learners: learners.map(|l| write_learner(l, &mut parts)).collect(),
        };
        parts[0] = serde_json::to_vec(&document)
            .map_err(|error| Error::invalid_parameter("model", "a document", error))?;
        let mut body = Vec::new();
        for part in &parts {
            body.extend_from_slice(&(part.len() as u64).to_le_bytes());
            body.extend_from_slice(part);
        }
        Ok(ENVELOPE.seal(&body))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote: the same model to the bit.
    ///
    /// Safe for bytes of any origin: memory is bounded by their length, and everything that
    /// prediction relies on is checked.
    ///
    /// # Errors
    /// `InvalidParameter` at `model` for bytes that are not a model, are damaged or were written
    /// by a newer version.
    ///
    /// # Example
    /// ```
    /// # use churn_core::progress::Progress;
    /// # use churn_core::scoring::learned::{Column, Frame};
    /// # use churn_core::scoring::uplift::{Uplift, UpliftData, UpliftModel};
    /// # let x: Vec<f64> = (0..80).map(|i| f64::from(i % 2)).collect();
    /// # let treatment: Vec<u32> = (0..80).map(|i| i / 2 % 2).collect();
    /// # let outcome: Vec<f64> = x.iter().zip(&treatment).map(|(x, w)| x * f64::from(*w)).collect();
    /// # let frame = Frame::new(vec![("x".into(), Column::Numeric(x.into()))])?;
    /// # let data = UpliftData { frame: &frame, treatment: &treatment, outcome: &outcome, propensity: None };
    /// let model = Uplift::default().fit(&data, &Progress::none())?;
    /// let bytes = model.to_bytes()?;
    /// assert_eq!(UpliftModel::from_bytes(&bytes)?, model);
    /// assert!(UpliftModel::from_bytes(&bytes[..40]).is_err());
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |expected: &str, got: &dyn std::fmt::Display| {
            Error::invalid_parameter("model", expected, got)
        };
        let mut parts = Parts(ENVELOPE.open(bytes)?);
        let document: Document = serde_json::from_slice(parts.next()?)
            .map_err(|error| wrong("the parts of a model", &error))?;
        if document.learners.is_empty() {
            return Err(wrong("a learner per treatment", &"none"));
        }
        let mut names = std::collections::HashSet::new();
        if !document
            .schema
            .iter()
            .all(|c| names.insert(c.name.as_str()))
        {
            return Err(wrong("columns that differ", &"one of them twice"));
        }
        let learners = document.learners.into_iter();
        let learners = learners.map(|learner| parts.learner(learner));
        let model = UpliftModel {
            learners: learners.collect::<Result<_>>()?,
            overlap: document.overlap,
            schema: document.schema,
        };
        if !parts.0.is_empty() {
            return Err(wrong("the end of the file", &"more bytes"));
        }
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::checksum::crc32;
    use crate::math::random::Random;
    use crate::progress::Progress;
    use crate::scoring::learned::packed::HEAD;
    use crate::scoring::learned::{Boosting, Column, Frame};
    use crate::scoring::uplift::{Base, Method, Uplift, UpliftData, UpliftForest};

    fn frame(rows: usize, random: &mut Random) -> Frame<'static> {
        let a: Vec<f64> = (0..rows)
            .map(|i| {
                if i % 9 == 4 {
                    f64::NAN
                } else {
                    random.normal()
                }
            })
            .collect();
        let codes: Vec<u32> = (0..rows).map(|_| (3.0 * random.uniform()) as u32).collect();
        let levels: Vec<String> = ["x", "y", "渠道"].map(String::from).to_vec();
        Frame::new(vec![
            ("a".into(), Column::Numeric(a.into())),
            (
                "level".into(),
                Column::Categorical {
                    codes: codes.into(),
                    levels: levels.into(),
                },
            ),
        ])
        .unwrap()
    }

    /// A model of each kind, of two treatments.
    fn models() -> Vec<(UpliftModel, Frame<'static>)> {
        let mut random = Random::new(1, 0);
        let rows = 240;
        let frame = frame(rows, &mut random);
        let treatment: Vec<u32> = (0..rows).map(|i| i as u32 % 3).collect();
        let outcome: Vec<f64> = treatment
            .iter()
            .map(|w| f64::from(u8::from(random.chance(0.2 + 0.2 * f64::from(*w)))))
            .collect();
        let money: Vec<f64> = outcome
            .iter()
            .map(|y| y * 10.0 * random.uniform())
            .collect();
        let boosting = || {
            Base::Boosting(Box::new(Boosting {
                trees: 3,
                leaves: 4,
                min_rows_in_leaf: 5,
                ..Boosting::default()
            }))
        };
        let fit = |method, base, outcome: &[f64]| {
            let settings = Uplift {
                method,
                base,
                folds: 2,
                forest: UpliftForest {
                    trees: 4,
                    trees_per_bag: 2,
                    min_per_arm: 5,
                    ..UpliftForest::default()
                },
                ..Uplift::default()
            };
            let data = UpliftData {
                frame: &frame,
                treatment: &treatment,
                outcome,
                propensity: None,
            };
            let model = settings.fit(&data, &Progress::none()).unwrap();
            (model, frame.clone())
        };
        vec![
            fit(Method::S, Base::default(), &outcome),
            fit(Method::T, Base::default(), &money),
            fit(Method::X, boosting(), &outcome),
            fit(Method::Dr, Base::default(), &money),
            fit(Method::R, boosting(), &money),
            fit(
                Method::TransformedOutcome,
                Base::default(),
                &vec![0.0; rows],
            ),
            fit(Method::Forest, Base::default(), &outcome),
        ]
    }

    #[test]
    fn bytes_give_every_model_back() {
        for (model, frame) in models() {
            let bytes = model.to_bytes().unwrap();
            let read = UpliftModel::from_bytes(&bytes).unwrap();
            assert_eq!(read, model);
            assert_eq!(read.to_bytes().unwrap(), bytes);
            let (before, after) = (model.predict(&frame), read.predict(&frame));
            assert_eq!(before.unwrap().effect, after.unwrap().effect);
            assert_eq!(read.names().collect::<Vec<_>>(), ["a", "level"]);
            assert!(bytes.len() < 40_000, "{}", bytes.len());
        }
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        for (model, _) in models() {
            let bytes = model.to_bytes().unwrap();
            for len in (0..bytes.len()).step_by(11) {
                let error = UpliftModel::from_bytes(&bytes[..len]).unwrap_err();
                assert_eq!(error.what(), "model");
            }
            for at in (0..bytes.len()).step_by(11) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                UpliftModel::from_bytes(&changed).unwrap_err();
            }
            let mut newer = bytes.clone();
            newer[8] = 2;
            let error = UpliftModel::from_bytes(&newer).unwrap_err();
            assert_eq!(
                error.to_string(),
                "model: expected version 1, got version 2"
            );
        }
    }

    /// What a hostile writer can do: any bytes under a checksum that fits. Either an error or a
    /// model that answers with finite effects.
    #[test]
    fn hostile_bytes_never_panic() {
        let mut random = Random::new(2, 0);
        for (model, frame) in models() {
            let bytes = model.to_bytes().unwrap();
            for _ in 0..400 {
                let mut damaged = bytes.clone();
                for _ in 0..1 + (3.0 * random.uniform()) as usize {
                    let at = HEAD + (random.uniform() * (bytes.len() - HEAD) as f64) as usize;
                    damaged[at] = random.next_u64() as u8;
                }
                if random.chance(0.2) {
                    let kept = random.uniform() * (bytes.len() - HEAD) as f64;
                    damaged.truncate(HEAD + kept as usize);
                }
                let sum = crc32(&damaged[HEAD..]);
                damaged[10..HEAD].copy_from_slice(&sum.to_le_bytes());
                if let Ok(read) = UpliftModel::from_bytes(&damaged)
                    && let Ok(answer) = read.predict(&frame)
                {
                    assert!(answer.effect.iter().all(|e| e.is_finite()));
                }
            }
        }
    }
}
