//! The forest as bytes, inside those of an uplift model.
//!
//! *n* columns (name, cuts or names of levels), the factor of the variance (f64), *n* trees of a bag,
//! *n* bags, and the trees one after another, each with its nodes level by level, so that children
//! need no address: 0 for a leaf without rows, 1 f32 f32 for a leaf, 2 + column as *n* and the last
//! bin to the left for a split.

use super::FittedUpliftForest;
use super::bins::Bins;
use super::grow::{Node, Tree};
use crate::scoring::learned::packed::{Reader, Scale, Writer};

/// Most cuts or levels of a column, and most nodes of a tree, that bytes are believed.
const MOST: usize = 1 << 24;

impl FittedUpliftForest {
    pub(in super::super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(self.columns.len());
        for column in &self.columns {
            out.text(&column.name);
            match &column.cuts {
                Scale::Cuts(cuts) => out.cuts(cuts),
                Scale::Levels(levels) => out.levels(levels),
            }
        }
        out.bytes(&self.spread.to_le_bytes());
        out.number(self.bags[0].len());
        out.number(self.bags.len());
        for tree in self.bags.iter().flatten() {
            for node in &tree.nodes {
                match node {
                    Node::Leaf(None) => out.byte(0),
                    Node::Leaf(Some((product, square))) => {
                        out.byte(1);
                        out.bytes(&product.to_le_bytes());
                        out.bytes(&square.to_le_bytes());
                    }
                    Node::Split { column, bin, .. } => {
                        out.number(2 + *column as usize);
                        out.byte(*bin);
                    }
                }
            }
        }
        out.0
    }

    /// Nothing where the bytes are not those of a forest.
    pub(in super::super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: bytes };
        let columns = (0..reader.count(3)?).map(|_| column(&mut reader));
        let columns: Vec<Bins> = columns.collect::<Option<_>>()?;
        let spread = reader.double().filter(|s| s.is_finite() && *s >= 0.0)?;
        // A tree takes a byte or more.
        let trees = reader.count(1).filter(|trees| *trees >= 2)?;
        let bags = reader.count(trees).filter(|bags| *bags >= 2)?;
        let mut bag = || -> Option<Vec<Tree>> {
            (0..trees)
                .map(|_| tree(&mut reader, columns.len()))
                .collect()
        };
        let bags = (0..bags).map(|_| bag()).collect::<Option<_>>()?;
        reader.rest.is_empty().then_some(FittedUpliftForest {
            columns,
            spread,
            bags,
        })
    }
}

fn column(reader: &mut Reader<'_>) -> Option<Bins> {
    let name = reader.text()?;
    let cuts = reader.scale(MOST)?;
    let is_fine = match &cuts {
        // A bin is a byte, and bin 0 holds what is missing.
        Scale::Cuts(cuts) => cuts.len() < 255 && cuts.is_sorted_by(|a, b| a < b),
        Scale::Levels(_) => true,
    };
    is_fine.then_some(Bins { name, cuts })
}

fn tree(reader: &mut Reader<'_>, columns: usize) -> Option<Tree> {
    let mut nodes = Vec::new();
    // Nodes that their parents have promised so far, the root included.
    let mut promised = 1;
    while nodes.len() < promised {
        nodes.push(match reader.number()? {
            0 => Node::Leaf(None),
            1 => {
                let pair = (reader.short()?, reader.short()?);
                if !(pair.0.is_finite() && pair.1.is_finite()) {
                    return None;
                }
                Node::Leaf(Some(pair))
            }
            place => {
                let column = (place - 2) as u32;
                if column as usize >= columns || promised > MOST {
                    return None;
                }
                promised += 2;
                Node::Split {
                    column,
                    bin: reader.byte()?,
                    left: (promised - 2) as u32,
                }
            }
        });
    }
    Some(Tree { nodes })
}
