//! Models as bytes, which every language of the library reads.
//!
//! ```text
//! "CHRNMODL" · version u16 · CRC-32 u32 · length u64 · JSON · for each sum of trees: length u64 · its bytes
//! ```
//!
//! Version 2 has room for a support vector machine. Each file is written in the lowest version that
//! holds its model, so that older libraries read what they can. Numbers are little-endian; the checksum covers everything behind it. The JSON holds what is
//! small: columns, coefficients, calibration, the profile for drift. No training row is in there.

use serde::{Deserialize, Serialize};

use super::drift::Profile;
use super::{ChurnModel, Fitted, Learner, Member, OutOfFold, SchemaColumn};
use crate::error::{Error, Result};
use crate::events::ChurnDefinition;
use crate::math::checksum::crc32;
use crate::scoring::learned::calibration::Calibrator;
use crate::scoring::learned::logistic::LogisticModel;
use crate::scoring::learned::{SvmModel, TreeEnsemble};

const MARK: &[u8; 8] = b"CHRNMODL";
/// The newest version.
const VERSION: u16 = 2;
/// Most learners of a model.
const MOST_MEMBERS: usize = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: Vec<SchemaColumn>,
    members: Vec<MemberDocument>,
    intercept: f64,
    curve: Option<Calibrator>,
    churn: Option<ChurnDefinition>,
    profile: Profile,
    out_of_fold: OutOfFold,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberDocument {
    learner: Learner,
    weight: f64,
    logistic: Option<Box<LogisticModel>>,
    /// Where both are missing it is the next sum of trees behind the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    svm: Option<Box<SvmModel>>,
}

impl ChurnModel {
    /// The model as bytes, for [`from_bytes`](Self::from_bytes). Holds no training rows.
    ///
    /// # Errors
    /// None that a fitted model could cause; the type is that of the writer.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (mut trees, mut version) = (Vec::new(), 1_u16);
        let members = self.members.iter().map(|member| {
            let (mut logistic, mut svm) = (None, None);
            match &member.fitted {
                Fitted::Logistic(model) => logistic = Some(model.clone()),
                Fitted::Trees(ensemble) => trees.push(ensemble.to_bytes()),
                Fitted::Svm(model) => {
                    svm = Some(model.clone());
                    version = 2;
                }
            }
            MemberDocument {
                learner: member.learner,
                weight: member.weight,
                logistic,
                svm,
            }
        });
        let document = Document {
            members: members.collect(),
            schema: self.schema.clone(),
            intercept: self.intercept,
            curve: self.curve.clone(),
            churn: self.churn.clone(),
            profile: self.profile.clone(),
            out_of_fold: self.out_of_fold.clone(),
        };
        let json = serde_json::to_vec(&document)
            .map_err(|error| Error::invalid_parameter("model", "a document", error))?;
        let mut body = Vec::new();
        for part in std::iter::once(&json).chain(&trees) {
            body.extend_from_slice(&(part.len() as u64).to_le_bytes());
            body.extend_from_slice(part);
        }
        let mut file = MARK.to_vec();
        file.extend_from_slice(&version.to_le_bytes());
        file.extend_from_slice(&crc32(&body).to_le_bytes());
        file.append(&mut body);
        Ok(file)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote: the same model to the bit.
    ///
    /// Safe for bytes of any origin: memory is bounded by their length (and 32 MiB for a support
    /// vector machine), and everything that prediction relies on is checked.
    ///
    /// # Errors
    /// `InvalidParameter` at `model` for bytes that are not a model, are damaged or were written
    /// by a newer version.
    ///
    /// # Example
    /// ```
    /// # use churn_core::progress::Progress;
    /// # use churn_core::scoring::learned::{ChurnModel, ChurnModelSettings, Column, Frame};
    /// # let silence: Vec<f64> = (0..300).map(|i| f64::from(i % 100)).collect();
    /// # let churned: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i % 100 + (i * 31) % 40 > 70))).collect();
    /// # let frame = Frame::new(vec![("days_since_last".into(), Column::Numeric(silence.into()))])?;
    /// # let model = ChurnModelSettings::default().fit(&frame, &churned, None, &Progress::none())?;
    /// let bytes = model.to_bytes()?;
    /// assert_eq!(ChurnModel::from_bytes(&bytes)?, model);
    /// assert!(ChurnModel::from_bytes(&bytes[..40]).is_err());
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |expected: &str, got: &dyn std::fmt::Display| {
            Error::invalid_parameter("model", expected, got)
        };
        let Some(rest) = bytes.strip_prefix(MARK) else {
            return Err(wrong("bytes that begin with CHRNMODL", &"other bytes"));
        };
        let cut = || wrong("a whole file", &"its first bytes only");
        let (version, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let version = u16::from_le_bytes(*version);
        if !(1..=VERSION).contains(&version) {
            return Err(wrong("version 1 or 2", &format_args!("version {version}")));
        }
        let (sum, mut rest) = rest.split_first_chunk().ok_or_else(cut)?;
        if u32::from_le_bytes(*sum) != crc32(rest) {
            return Err(wrong("bytes as they were written", &"a wrong checksum"));
        }
        let mut next = || -> Result<&[u8]> {
            let (len, behind) = rest.split_first_chunk().ok_or_else(cut)?;
            let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut())?;
            let (part, behind) = behind.split_at_checked(len).ok_or_else(cut)?;
            rest = behind;
            Ok(part)
        };
        let document: Document = serde_json::from_slice(next()?)
            .map_err(|error| wrong("the parts of a model", &error))?;
        if document.members.len() > MOST_MEMBERS {
            return Err(wrong("one or two learners", &document.members.len()));
        }
        let mut members = Vec::with_capacity(document.members.len());
        for member in document.members {
            let fitted = match (member.logistic, member.svm) {
                (Some(_), Some(_)) => return Err(wrong("one model per learner", &"two")),
                (Some(model), None) => Fitted::Logistic(model),
                (None, Some(model)) => Fitted::Svm(model),
                (None, None) => Fitted::Trees(Box::new(TreeEnsemble::from_bytes(next()?)?)),
            };
            members.push(Member {
                learner: member.learner,
                weight: member.weight,
                fitted,
            });
        }
        if !rest.is_empty() {
            return Err(wrong("the end of the file", &"more bytes"));
        }
        let model = ChurnModel {
            schema: document.schema,
            members,
            intercept: document.intercept,
            curve: document.curve,
            churn: document.churn,
            profile: document.profile,
            out_of_fold: document.out_of_fold,
        };
        model.check()?;
        Ok(model)
    }

    /// Checks everything that prediction relies on.
    fn check(&self) -> Result<()> {
        let wrong = |expected: &str| {
            Err(Error::invalid_parameter(
                "model",
                expected,
                "something else",
            ))
        };
        let mut names = std::collections::HashSet::new();
        for column in &self.schema {
            let levels = column.levels.as_deref().unwrap_or_default();
            if !names.insert(column.name.as_str()) || !levels.is_sorted_by(|a, b| a < b) {
                return wrong("columns and levels that differ, levels ascending");
            }
        }
        if !self.intercept.is_finite() {
            return wrong("a finite intercept");
        }
        for member in &self.members {
            if !(member.weight.is_finite() && member.weight >= 0.0) {
                return wrong("weights that are finite and not negative");
            }
            let same_names = match &member.fitted {
                Fitted::Logistic(model) => {
                    model.check()?;
                    if !model.design.fits(&self.schema) {
                        return wrong("terms of the model's own columns and levels");
                    }
                    model.names().eq(self.names())
                }
                Fitted::Trees(trees) => trees.names().eq(self.names()),
                Fitted::Svm(model) => {
                    if !model.design().fits(&self.schema) {
                        return wrong("terms of the model's own columns and levels");
                    }
                    model.names().eq(self.names())
                }
            };
            if !same_names {
                return wrong("learners of the same columns");
            }
        }
        if let Some(curve) = &self.curve {
            curve.check()?;
        }
        if let Some(churn) = &self.churn {
            churn.check()?;
        }
        self.profile.check(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;
    use crate::progress::Progress;
    use crate::scoring::learned::{Calibration, ChurnModelSettings, Column, Frame, Learner};

    fn model(learner: Learner) -> ChurnModel {
        let mut random = Random::new(1, 0);
        let n = 400;
        let a: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let codes: Vec<u32> = (0..n).map(|_| (3.0 * random.uniform()) as u32).collect();
        let y: Vec<f64> = (0..n)
            .map(|i| f64::from(u8::from(a[i] + f64::from(codes[i]) + random.normal() > 1.2)))
            .collect();
        let levels: Vec<String> = ["x", "y", "z"].map(String::from).to_vec();
        let frame = Frame::new(vec![
            ("a".into(), Column::Numeric(a.into())),
            (
                "level".into(),
                Column::Categorical {
                    codes: codes.into(),
                    levels: levels.into(),
                },
            ),
        ])
        .unwrap();
        let mut settings = ChurnModelSettings {
            learner,
            calibration: Calibration::IsotonicForced,
            ..ChurnModelSettings::default()
        };
        settings.boosting.trees = 20;
        settings.svm.features = 20;
        settings.fit(&frame, &y, None, &Progress::none()).unwrap()
    }

    #[test]
    fn damaged_bytes_are_refused_without_a_panic() {
        for learner in [Learner::Auto, Learner::Svm] {
            damage(&model(learner));
        }
    }

    fn damage(model: &ChurnModel) {
        let bytes = model.to_bytes().unwrap();
        assert_eq!(
            bytes[8],
            1 + u8::from(model.members[0].learner == Learner::Svm)
        );
        assert_eq!(&ChurnModel::from_bytes(&bytes).unwrap(), model);
        for len in (0..bytes.len()).step_by(7) {
            assert!(ChurnModel::from_bytes(&bytes[..len]).is_err());
        }
        // Flip bytes and mend the checksum: whatever comes out must be an error or a sound model.
        let mut random = Random::new(2, 0);
        let frame = Frame::new(vec![
            ("a".into(), Column::Numeric(vec![0.3].into())),
            (
                "level".into(),
                Column::Categorical {
                    codes: vec![0].into(),
                    levels: vec!["y".to_owned()].into(),
                },
            ),
        ])
        .unwrap();
        for _ in 0..3_000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + (3.0 * random.uniform()) as usize {
                let at = 14 + (random.uniform() * (bytes.len() - 14) as f64) as usize;
                damaged[at] = random.next_u64() as u8;
            }
            let sum = crc32(&damaged[14..]);
            damaged[10..14].copy_from_slice(&sum.to_le_bytes());
            if let Ok(read) = ChurnModel::from_bytes(&damaged) {
                if let Ok(answers) = read.predict(&frame) {
                    assert!(
                        answers.iter().all(|p| (0.0..=1.0).contains(p)),
                        "{answers:?}"
                    );
                }
                if let Ok(mut scorer) = read.scorer(&["a", "level"]) {
                    for level in [0.0, 1.0, 2.0, f64::NAN] {
                        let _ = scorer.predict(&[0.3, level]);
                    }
                }
                let _ = read.explain(&frame);
                let _ = read.drift(&frame);
            }
        }
        let mut newer = bytes.clone();
        newer[8] = 3;
        assert_eq!(
            ChurnModel::from_bytes(&newer).unwrap_err().to_string(),
            "model: expected version 1 or 2, got version 3"
        );
    }

    #[test]
    fn the_scorer_agrees_with_the_table() {
        for learner in [Learner::Auto, Learner::Svm] {
            agree(&model(learner));
        }
    }

    fn agree(model: &ChurnModel) {
        let mut scorer = model.scorer(&["level", "other", "a"]).unwrap();
        assert!(scorer.level("level", "new").unwrap().is_nan());
        let levels: Vec<String> = ["z", "new", "x"].map(String::from).to_vec();
        for (k, a) in [-1.0, f64::NAN, 2.5].into_iter().enumerate() {
            for code in 0..3_u32 {
                let frame = Frame::new(vec![
                    ("a".into(), Column::Numeric(vec![a].into())),
                    (
                        "level".into(),
                        Column::Categorical {
                            codes: vec![code].into(),
                            levels: levels.clone().into(),
                        },
                    ),
                ])
                .unwrap();
                let level = scorer.level("level", &levels[code as usize]).unwrap();
                let one = scorer.predict(&[level, 7.0, a]).unwrap();
                let table = model.predict(&frame).unwrap()[0];
                assert!((one - table).abs() < 1e-12, "{k} {code}: {one} {table}");
            }
        }
        assert!(scorer.predict(&[0.0, 0.0]).is_err());
        assert_eq!(
            scorer.predict(&[3.0, 0.0, 0.0]).unwrap_err().what(),
            "row.level"
        );
        assert_eq!(
            scorer
                .predict(&[0.0, 0.0, f64::INFINITY])
                .unwrap_err()
                .what(),
            "row.a"
        );
    }
}
