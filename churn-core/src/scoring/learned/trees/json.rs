//! Trees as a document for people and other programs: thresholds and levels stand where they are
//! used. Numbers are written so that they read back to the bit.

use serde::{Deserialize, Serialize};

use super::{BinSet, Encoding, Feature, Link, MAX_CUTS, Node, Rule, Tree, TreeEnsemble, in_set};
use crate::error::{Error, Result};

const FORMAT: &str = "churn trees";
const VERSION: u32 = 1;

/// What [`TreeEnsemble`] is read from and written as.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    format: String,
    version: u32,
    link: Link,
    base: f64,
    features: Vec<FeatureText>,
    trees: Vec<Vec<NodeText>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureText {
    name: String,
    /// Names of levels; left out for numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    levels: Option<Vec<String>>,
}

/// A node: a leaf has a value, a split everything else.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NodeText {
    rows: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    levels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_left: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gain: Option<f64>,
}

impl From<TreeEnsemble> for Document {
    fn from(model: TreeEnsemble) -> Self {
        let TreeEnsemble {
            features,
            trees,
            base,
            link,
            ..
        } = model;
        let trees = trees.iter().map(|tree| {
            let nodes = tree.nodes.iter().zip(&tree.rows);
            nodes
                .map(|(node, rows)| write(&features, node, *rows))
                .collect()
        });
        Document {
            format: FORMAT.into(),
            version: VERSION,
            link,
            base,
            trees: trees.collect(),
            features: features
                .into_iter()
                .map(|feature| FeatureText {
                    name: feature.name,
                    levels: match feature.encoding {
                        Encoding::Numeric(_) => None,
                        Encoding::Categorical(levels) => Some(levels),
                    },
                })
                .collect(),
        }
    }
}

fn write(features: &[Feature], node: &Node, rows: u32) -> NodeText {
    let text = NodeText {
        rows,
        ..NodeText::default()
    };
    let (feature, rule, left, right, gain) = match node {
        Node::Leaf { value } => {
            let value = Some(f64::from(*value));
            return NodeText { value, ..text };
        }
        Node::Split {
            feature,
            rule,
            left,
            right,
            gain,
        } => (&features[*feature as usize], rule, left, right, gain),
    };
    let (mut at_most, mut levels, missing_left) =
        (None, None, Some(rule_misses_left(feature, rule)));
    match (rule, &feature.encoding) {
        (Rule::AtMost { cut, .. }, Encoding::Numeric(cuts)) => {
            at_most = Some(cuts[usize::from(*cut)]);
        }
        (Rule::In(set), Encoding::Categorical(known)) => {
            let inside = known.iter().enumerate();
            let inside = inside.filter(|(bin, _)| in_set(set, *bin as u8));
            levels = Some(inside.map(|(_, level)| level.clone()).collect());
        }
        // An ensemble holds no other pairs: they are checked when it is made.
        _ => {}
    }
    NodeText {
        feature: Some(feature.name.clone()),
        at_most,
        levels,
        missing_left,
        left: Some(*left),
        right: Some(*right),
        gain: Some(f64::from(*gain)),
        ..text
    }
}

fn rule_misses_left(feature: &Feature, rule: &Rule) -> bool {
    match (rule, &feature.encoding) {
        (Rule::AtMost { missing_left, .. }, _) => *missing_left,
        (Rule::In(set), Encoding::Categorical(levels)) => in_set(set, levels.len() as u8),
        (Rule::In(_), _) => false,
    }
}

impl TryFrom<Document> for TreeEnsemble {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        let wrong = |what: &str, expected: &str, got: &dyn std::fmt::Display| {
            Error::invalid_parameter(what, expected, got)
        };
        if document.format != FORMAT {
            return Err(wrong("model.format", "\"churn trees\"", &document.format));
        }
        if document.version != VERSION {
            return Err(wrong("model.version", "1", &document.version));
        }
        let mut features: Vec<Feature> = document
            .features
            .into_iter()
            .map(|feature| Feature {
                name: feature.name,
                encoding: match feature.levels {
                    None => Encoding::Numeric(Vec::new()),
                    Some(levels) => Encoding::Categorical(levels),
                },
            })
            .collect();
        let places: std::collections::HashMap<String, usize> = features
            .iter()
            .enumerate()
            .map(|(j, f)| (f.name.clone(), j))
            .collect();
        for node in document.trees.iter().flatten() {
            if let (Some(name), Some(cut)) = (&node.feature, node.at_most)
                && let Some(&place) = places.get(name)
                && let Encoding::Numeric(cuts) = &mut features[place].encoding
            {
                cuts.push(cut);
            }
        }
        for feature in &mut features {
            if let Encoding::Numeric(cuts) = &mut feature.encoding {
                cuts.sort_by(f64::total_cmp);
                cuts.dedup();
                if cuts.len() > MAX_CUTS {
                    let what = format!("model.features.{}", feature.name);
                    return Err(wrong(&what, "at most 255 thresholds", &cuts.len()));
                }
            }
        }
        let mut trees = Vec::with_capacity(document.trees.len());
        for (t, texts) in document.trees.iter().enumerate() {
            let mut nodes = Vec::with_capacity(texts.len());
            for (at, text) in texts.iter().enumerate() {
                let node = read(&features, &places, text);
                nodes.push(node.ok_or_else(|| {
                    let what = format!("model.trees[{t}][{at}]");
                    wrong(&what, "a leaf or a split of a known feature", &"neither")
                })?);
            }
            let rows = texts.iter().map(|text| text.rows).collect();
            trees.push(Tree { nodes, rows });
        }
        TreeEnsemble::new(features, trees, document.base, document.link)
    }
}

fn read(
    features: &[Feature],
    places: &std::collections::HashMap<String, usize>,
    text: &NodeText,
) -> Option<Node> {
    if let Some(value) = text.value {
        let value = value as f32;
        return text.feature.is_none().then_some(Node::Leaf { value });
    }
    let place = *places.get(text.feature.as_ref()?)?;
    let missing_left = text.missing_left?;
    let rule = match (&features[place].encoding, text.at_most, &text.levels) {
        (Encoding::Numeric(cuts), Some(cut), None) => {
            let cut = cuts.iter().position(|known| *known == cut)? as u8;
            Rule::AtMost { cut, missing_left }
        }
        (Encoding::Categorical(known), None, Some(levels)) => {
            let mut set = BinSet::default();
            let mut insert = |bin: usize| set[bin >> 6 & 3] |= 1 << (bin & 63);
            for level in levels {
                insert(known.iter().position(|name| name == level)?);
            }
            if missing_left {
                insert(known.len());
            }
            Rule::In(set)
        }
        _ => return None,
    };
    Some(Node::Split {
        feature: place as u32,
        rule,
        left: text.left?,
        right: text.right?,
        gain: text.gain? as f32,
    })
}

impl TreeEnsemble {
    /// The model as a JSON document, for [`from_json`](Self::from_json) and for people.
    ///
    /// Nodes name their feature, the threshold or the levels that go left, where a missing value
    /// goes, the places of their children, the reduction of the loss and the rows of training.
    ///
    /// # Errors
    /// None that a model could cause; the type is that of the writer.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::invalid_parameter("model", "a document", error))
    }

    /// Reads what [`to_json`](Self::to_json) wrote, or trees of another program in that form.
    ///
    /// # Errors
    /// `InvalidParameter` for a document of another form, naming the place, with the line where the
    /// text is not such a document at all.
    pub fn from_json(text: &str) -> Result<Self> {
        let document: Document = crate::settings::from_json("model", text)?;
        document.try_into()
    }
}
