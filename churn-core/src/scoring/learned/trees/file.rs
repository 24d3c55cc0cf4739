//! Trees as bytes: small, versioned, checked, safe to read from a stranger.
//!
//! Layout, little-endian: an envelope marked `CHRNTREE` (`packed.rs`), then link (u8), base (f64),
//! features, trees. Numbers marked *n* are whole numbers of seven bits a byte, lowest first.
//!
//! * Features: *n*, then for each its name (*n* bytes of UTF-8), kind (0 = cuts as f64, 1 = cuts as
//!   f32, 2 = levels), *n* of these, and the cuts or names.
//! * Trees: *n*, then for each its nodes level by level, so that children need no address: 0 *n*
//!   f32 for a leaf (rows, value), else 1 + 2 · feature + (missing goes left) as *n*, then a byte for
//!   the cut or a bit per level and one for missing, and the gain (f32).

use super::{BinSet, Encoding, Feature, Link, MAX_CUTS, MAX_NODES, Node, Rule, Tree, TreeEnsemble};
use crate::error::{Error, Result};
use crate::scoring::learned::packed::{Envelope, Reader, Scale, Writer};

const ENVELOPE: Envelope = Envelope {
    mark: b"CHRNTREE",
    version: 1,
};

impl TreeEnsemble {
    /// The model as bytes, for [`from_bytes`](Self::from_bytes). Holds no training rows.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.byte(match self.link {
            Link::Identity => 0,
            Link::Logistic => 1,
            Link::Probability => 2,
        });
        out.bytes(&self.base.to_le_bytes());
        out.number(self.features.len());
        for feature in &self.features {
            out.text(&feature.name);
            match &feature.encoding {
                Encoding::Numeric(cuts) => out.cuts(cuts),
                Encoding::Categorical(levels) => out.levels(levels),
            }
        }
        out.number(self.trees.len());
        for tree in &self.trees {
            for (node, rows) in tree.nodes.iter().zip(&tree.rows) {
                match node {
                    Node::Leaf { value } => {
                        out.byte(0);
                        out.number(*rows as usize);
                        out.bytes(&value.to_le_bytes());
                    }
                    Node::Split {
                        feature,
                        rule,
                        gain,
                        ..
                    } => {
                        let place = 1 + 2 * *feature as usize;
                        match rule {
                            Rule::AtMost { cut, missing_left } => {
                                out.number(place + usize::from(*missing_left));
                                out.byte(*cut);
                            }
                            Rule::In(set) => {
                                out.number(place);
                                let bytes = set_bytes(&self.features[*feature as usize]);
                                out.bytes(&set.map(u64::to_le_bytes).as_flattened()[..bytes]);
                            }
                        }
                        out.bytes(&gain.to_le_bytes());
                    }
                }
            }
        }
        ENVELOPE.seal(&out.0)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote: the same model to the bit.
    ///
    /// Safe for bytes of any origin: memory is bounded by their length, and every number is checked.
    ///
    /// # Errors
    /// `InvalidParameter` at `model` for bytes that are not a model, are damaged or were written by
    /// a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader {
            rest: ENVELOPE.open(bytes)?,
        };
        match reader.parts() {
            Some((features, trees, base, link)) if reader.rest.is_empty() => {
                Self::new(features, trees, base, link)
            }
            _ => Err(Error::invalid_parameter(
                "model",
                "the parts of a model",
                "other bytes",
            )),
        }
    }
}

/// Bytes of a set of levels of a feature.
fn set_bytes(feature: &Feature) -> usize {
    match &feature.encoding {
        Encoding::Categorical(levels) => (levels.len() + 1).div_ceil(8),
        Encoding::Numeric(_) => 0,
    }
}

type Parts = (Vec<Feature>, Vec<Tree>, f64, Link);

impl Reader<'_> {
    fn parts(&mut self) -> Option<Parts> {
        let link = match self.byte()? {
            0 => Link::Identity,
            1 => Link::Logistic,
            2 => Link::Probability,
            _ => return None,
        };
        let base = self.array().map(f64::from_le_bytes)?;
        let features = (0..self.count(3)?).map(|_| self.feature());
        let features: Vec<Feature> = features.collect::<Option<_>>()?;
        let trees = (0..self.count(6)?).map(|_| self.tree(&features));
        let trees = trees.collect::<Option<_>>()?;
        Some((features, trees, base, link))
    }

    fn feature(&mut self) -> Option<Feature> {
        let name = self.text()?;
        let encoding = match self.scale(MAX_CUTS)? {
            Scale::Cuts(cuts) => Encoding::Numeric(cuts),
            Scale::Levels(levels) => Encoding::Categorical(levels),
        };
        Some(Feature { name, encoding })
    }

    fn tree(&mut self, features: &[Feature]) -> Option<Tree> {
        let mut tree = Tree {
            nodes: Vec::new(),
            rows: Vec::new(),
        };
        // Nodes that their parents have promised so far, the root included.
        let mut promised = 1;
        while tree.nodes.len() < promised {
            let head = self.number()?;
            if head == 0 {
                tree.rows.push(self.number()? as u32);
                let value = self.short()?;
                tree.nodes.push(Node::Leaf { value });
                continue;
            }
            let place = (head - 1) / 2;
            let feature = features.get(place)?;
            let missing_left = (head - 1) % 2 == 1;
            let rule = match &feature.encoding {
                Encoding::Numeric(_) => {
                    let cut = self.byte()?;
                    Rule::AtMost { cut, missing_left }
                }
                Encoding::Categorical(_) if missing_left => return None,
                Encoding::Categorical(_) => {
                    let mut set = [0; 32];
                    for byte in &mut set[..set_bytes(feature)] {
                        *byte = self.byte()?;
                    }
                    let words = set.as_chunks().0.iter().map(|w| u64::from_le_bytes(*w));
                    let mut set = BinSet::default();
                    set.iter_mut().zip(words).for_each(|(to, word)| *to = word);
                    Rule::In(set)
                }
            };
            let gain = self.short()?;
            tree.rows.push(0);
            tree.nodes.push(Node::Split {
                feature: place as u32,
                rule,
                left: promised as u32,
                right: promised as u32 + 1,
                gain,
            });
            promised += 2;
            if promised > MAX_NODES {
                return None;
            }
        }
        // Rows of an inner node are those of its children, which stand behind it.
        for at in (0..tree.nodes.len()).rev() {
            if let Node::Split { left, right, .. } = tree.nodes[at] {
                let (left, right) = (tree.rows[left as usize], tree.rows[right as usize]);
                tree.rows[at] = left.checked_add(right)?;
            }
        }
        Some(tree)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::math::checksum::crc32;
    use crate::math::random::Random;
    use crate::progress::Progress;
    use crate::scoring::learned::packed::HEAD;
    use crate::scoring::learned::{Boosting, Column, Frame, MISSING_LEVEL};

    fn model(seed: u64) -> (TreeEnsemble, Frame<'static>) {
        let mut random = Random::new(seed, 0);
        let rows = 300;
        let numbers: Vec<f64> = (0..rows)
            .map(|_| {
                if random.chance(0.1) {
                    f64::NAN
                } else {
                    random.normal()
                }
            })
            .collect();
        let wide: Vec<f64> = (0..rows)
            .map(|_| (random.normal() * 1e12).round())
            .collect();
        let codes: Vec<u32> = (0..rows).map(|_| random.next_u64() as u32 % 11).collect();
        let codes: Vec<u32> = codes
            .into_iter()
            .map(|c| if c == 10 { MISSING_LEVEL } else { c })
            .collect();
        let target: Vec<f64> = (0..rows)
            .map(|i| {
                let likely = numbers[i] > 0.3 || codes[i] % 3 == 1 || wide[i] > 1e12;
                f64::from(u8::from(random.chance(if likely { 0.8 } else { 0.1 })))
            })
            .collect();
        let levels: Vec<String> = (0..10).map(|l| format!("合同 {l}")).collect();
        let frame = Frame::new(vec![
            ("x".into(), Column::Numeric(numbers.into())),
            (
                "plan".into(),
                Column::Categorical {
                    codes: codes.into(),
                    levels: levels.into(),
                },
            ),
            ("unused".into(), Column::Numeric(vec![1.0; rows].into())),
            ("wide".into(), Column::Numeric(wide.into())),
        ])
        .unwrap();
        let settings = Boosting {
            trees: 8,
            leaves: 7,
            min_rows_in_leaf: 5,
            ..Boosting::default()
        };
        let model = settings
            .fit(&frame, &target, None, None, &Progress::none())
            .unwrap();
        (model, frame)
    }

    /// The same bytes under a checksum that fits them.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = crc32(&bytes[HEAD..]);
        bytes[10..HEAD].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn bytes_give_the_model_back() {
        for seed in 0..5 {
            let (model, _) = model(seed);
            let bytes = model.to_bytes();
            let read = TreeEnsemble::from_bytes(&bytes).unwrap();
            assert_eq!(read, model);
            assert_eq!(read.to_bytes(), bytes);
            let json = model.to_json().unwrap();
            let read = TreeEnsemble::from_json(&json).unwrap();
            assert_eq!(read, model);
            let text = |from: &str, to: &str| {
                TreeEnsemble::from_json(&json.replacen(from, to, 1))
                    .unwrap_err()
                    .to_string()
            };
            assert_eq!(
                text("\"version\":1", "\"version\":2"),
                "model.version: expected 1, got 2"
            );
            assert!(text("\"left\":1", "\"left\":0").starts_with("trees[0].nodes[0]: "));
            assert!(text("\"feature\":\"", "\"feature\":\"no ").starts_with("model.trees[0][0]: "));
            assert!(text("\"rows\":300", "\"rows\":299").contains("the rows of both children"));
            assert!(text("{", "[").starts_with("model (line 1): "));
        }
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        let (model, _) = model(1);
        let bytes = model.to_bytes();
        for len in 0..bytes.len() {
            TreeEnsemble::from_bytes(&bytes[..len]).unwrap_err();
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let error = TreeEnsemble::from_bytes(&changed).unwrap_err();
            assert_eq!(error.what(), "model");
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        let error = TreeEnsemble::from_bytes(&newer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "model: expected version 1, got version 2"
        );
        let mut longer = bytes.clone();
        longer.push(0);
        TreeEnsemble::from_bytes(&sealed(longer)).unwrap_err();
    }

    proptest! {
        /// What a hostile writer can do: any bytes under a checksum that fits. Either an error or a
        /// model that answers with finite numbers.
        #[test]
        fn hostile_bytes_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let (model, frame) = model(2);
            let mut bytes = model.to_bytes();
            for (at, byte) in changes {
                let at = HEAD + at.index(bytes.len() - HEAD);
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(HEAD + cut.index(bytes.len() - HEAD));
            }
            if let Ok(read) = TreeEnsemble::from_bytes(&sealed(bytes))
                && let Ok(margins) = read.margins(&frame)
            {
                prop_assert!(margins.iter().all(|m| m.is_finite()));
                if let Ok(why) = read.contributions(&frame, &Progress::none()) {
                    prop_assert!(why.values().iter().all(|m| m.is_finite()));
                }
            }
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = ENVELOPE.mark.to_vec();
            bytes.extend([1, 0, 0, 0, 0, 0]);
            bytes.extend(noise);
            let _ = TreeEnsemble::from_bytes(&sealed(bytes));
        }
    }
}
