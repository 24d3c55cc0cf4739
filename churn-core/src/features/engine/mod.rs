//! From histories to tables, in one pass over the events.
//!
//! ```text
//! population given     events ──▶ own past, beside the population ──▶ tables
//! population learned   events ──▶ own past ─────────────────────────▶ tables
//!                          └────▶ sums of all ──▶ population           ▲
//!                          └────▶ standings ─────────┴──▶ beside it ───┘
//! ```
//!
//! What stands beside the population waits until all customers are known: of each customer a
//! standing is kept, and no event is read again. Tables as of several instants are built with
//! populations that are known: one pass for all of these, one for all tables. Rows are written
//! block by block into the columns.

mod describer;
mod pieces;
mod plan;
mod row;

pub use describer::Describer;
pub(super) use plan::Plan;

use std::ops::Range;
use std::slice::from_ref;

use super::block::{Column, WIDTH};
use super::population::{Census, Population, Sums};
use super::standing::Standings;
use super::sweep::{Gather, Sweep};
use super::touchpoints::Reach;
use super::{FeatureTable, chunks};
use crate::error::{Error, Result};
use crate::events::History;
use crate::progress::Progress;
use crate::time::AsOf;
use pieces::{Piece, split};
use row::{Instant, Passage, beside, own};

/// Builds the tables that the plan describes: one per history, all of one log, in ascending order
/// of their instants, each with its own population.
pub(super) fn fill(
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    progress: &Progress<'_>,
) -> Result<Vec<FeatureTable>> {
    let mut tables = Tables::new(histories, plan);
    let Some(last) = histories.last() else {
        return Ok(Vec::new());
    };
    let mut chunks = split(last, histories, tables.columns());
    write(last, histories, plan, populations, &mut chunks, progress)?;
    drop(chunks);
    tables.finish(histories, plan)
}

/// Builds the table of one history with the population that it teaches.
pub(super) fn learn_and_fill(
    history: &History<'_>,
    plan: &Plan,
    progress: &Progress<'_>,
) -> Result<(FeatureTable, Population)> {
    let one = from_ref(history);
    let mut tables = Tables::new(one, plan);
    let mut chunks = split(history, one, tables.columns());
    let population = learn_and_write(history, plan, &mut chunks, progress)?;
    drop(chunks);
    let mut built = tables.finish(one, plan)?;
    match built.pop() {
        Some(table) => Ok((table, population)),
        None => Err(Error::not_enough_data("features", "one history", "none")),
    }
}

/// Builds the columns that the plan describes for the customers of some histories, one history
/// behind another: `last` is the whole past at the last instant.
pub(super) fn fill_rows(
    last: &History<'_>,
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    progress: &Progress<'_>,
) -> Result<Vec<f64>> {
    let rows: usize = histories.iter().map(|h| h.customers().len()).sum();
    let mut values = vec![0.0; rows * plan.slots.len()];
    let mut columns: Vec<Vec<&mut [f64]>> = Vec::new();
    columns.resize_with(histories.len(), || Vec::with_capacity(plan.slots.len()));
    for mut column in values.chunks_mut(rows.max(1)) {
        for (history, columns) in histories.iter().zip(&mut columns) {
            let (own, rest) = column.split_at_mut(history.customers().len());
            columns.push(own);
            column = rest;
        }
    }
    let mut chunks = split(last, histories, columns);
    write(last, histories, plan, populations, &mut chunks, progress)?;
    drop(chunks);
    Ok(values)
}

/// The numbers of tables that are being built.
struct Tables(Vec<(Vec<f64>, usize)>);

impl Tables {
    fn new(histories: &[History<'_>], plan: &Plan) -> Self {
        let table = |history: &History<'_>| {
            let n = history.customers().len();
            (vec![0.0; n * plan.slots.len()], n)
        };
        Tables(histories.iter().map(table).collect())
    }

    fn columns(&mut self) -> Vec<Vec<&mut [f64]>> {
        let tables = self.0.iter_mut();
        tables
            .map(|(values, n)| values.chunks_mut((*n).max(1)).collect())
            .collect()
    }

    fn finish(self, histories: &[History<'_>], plan: &Plan) -> Result<Vec<FeatureTable>> {
        let tables = histories.iter().zip(self.0).map(|(history, (values, _))| {
            FeatureTable::from_columns(
                history.customers().clone(),
                history.as_of(),
                plan.infos.clone(),
                values,
            )
        });
        tables.collect()
    }
}

/// Computes the customers of each history, all of whom are in `last`, into their pieces.
fn write(
    last: &History<'_>,
    histories: &[History<'_>],
    plan: &Plan,
    populations: &[Population],
    chunks: &mut [Vec<Piece<'_>>],
    progress: &Progress<'_>,
) -> Result<()> {
    let instants = instants(histories, plan, populations);
    let pass = EventPass::new(last, histories, plan, Then::Finish(&instants));
    pass.run(chunks, ("features.build", progress))?;
    Ok(())
}

/// The same of one history, while the population is learned of all its customers.
fn learn_and_write(
    history: &History<'_>,
    plan: &Plan,
    chunks: &mut [Vec<Piece<'_>>],
    progress: &Progress<'_>,
) -> Result<Population> {
    let one = from_ref(history);
    let census = Census::new(&plan.spec, plan.parts(), plan.channels, 1);
    let pass = EventPass::new(history, one, plan, Then::Keep(&census));
    // Where nothing stands beside the population, this pass is the whole work.
    let name = match plan.beside.is_empty() {
        true => "features.build",
        false => "features.population",
    };
    let kept = pass.run(chunks, (name, progress))?;
    let (sums, standings): (Vec<_>, Vec<_>) =
        kept.into_iter().map(|k| (k.sums, k.standings)).unzip();
    let learned = Population::of_census(&census, sums, one, &plan.spec, plan.parts());
    let Some(population) = learned.into_iter().next() else {
        return Err(Error::not_enough_data(
            "features.population",
            "one history",
            "none",
        ));
    };
    if !plan.beside.is_empty() {
        let instants = instants(one, plan, from_ref(&population));
        let mut held: Vec<_> = chunks.iter_mut().zip(standings).collect();
        chunks::work(
            history.customers().len(),
            &mut held,
            ("features.build", progress),
            || plan.block(),
            |block, (pieces, standings), _| {
                let kept = std::mem::take(standings);
                for ((piece, standings), instant) in pieces.iter_mut().zip(kept).zip(&instants) {
                    finish(plan, instant, &standings, piece, block);
                }
                Ok(())
            },
        )?;
    }
    Ok(population)
}

/// What the populations say, ready to be asked, if anybody asks.
fn instants(histories: &[History<'_>], plan: &Plan, populations: &[Population]) -> Vec<Instant> {
    let known = histories.iter().zip(populations);
    known
        .map(|(history, population)| {
            Instant::new(history.as_of(), plan, history.channels(), population)
        })
        .collect()
}

/// Writes what stands beside the population of all customers of a piece.
fn finish(
    plan: &Plan,
    instant: &Instant,
    standings: &Standings,
    piece: &mut Piece<'_>,
    block: &mut [Column],
) {
    piece.rewind();
    let n = standings.len();
    for start in (0..n).step_by(WIDTH) {
        let end = n.min(start + WIDTH);
        for at in start..end {
            let standing = standings.get(at, plan.kept_channels());
            beside(plan, instant, standing, block, at - start);
        }
        piece.write(&plan.beside, block, end - start);
    }
}

/// One pass over the events of all customers.
struct EventPass<'p, 'l> {
    last: &'p History<'l>,
    histories: &'p [History<'l>],
    plan: &'p Plan,
    passage: Passage,
    then: Then<'p>,
}

/// What becomes of the features that stand beside the population.
#[derive(Clone, Copy)]
enum Then<'p> {
    /// It is known: they are written with the others.
    Finish(&'p [Instant]),
    /// It is being learned: what they need to know is kept.
    Keep(&'p Census),
}

/// What a chunk of customers leaves behind, by instant; empty where the population is known.
#[derive(Default)]
struct Kept {
    sums: Vec<Sums>,
    standings: Vec<Standings>,
}

/// One thread's working memory.
struct Scratch {
    sweep: Sweep,
    /// Of each instant, all features of the customers of a block.
    blocks: Vec<Vec<Column>>,
    /// Customers in the block of each instant.
    filled: Vec<usize>,
    /// What happened on each channel to one customer.
    reach: Vec<Reach>,
}

impl<'p, 'l> EventPass<'p, 'l> {
    fn new(
        last: &'p History<'l>,
        histories: &'p [History<'l>],
        plan: &'p Plan,
        then: Then<'p>,
    ) -> Self {
        let instants: Vec<AsOf> = histories.iter().map(History::as_of).collect();
        let more = match then {
            Then::Finish(_) => Gather::NOTHING,
            Then::Keep(census) => census.gather(),
        };
        EventPass {
            last,
            histories,
            plan,
            passage: Passage::new(&instants, plan, more),
            then,
        }
    }

    fn run(
        &self,
        chunks: &mut [Vec<Piece<'_>>],
        told: (&'static str, &Progress<'_>),
    ) -> Result<Vec<Kept>> {
        let memory = || Scratch {
            sweep: Sweep::new(&self.passage.timeline, self.last.channels().len()),
            blocks: vec![self.plan.block(); self.histories.len()],
            filled: vec![0; self.histories.len()],
            reach: Vec::new(),
        };
        let n = self.last.customers().len();
        chunks::work(n, chunks, told, memory, |scratch, pieces, rows| {
            self.chunk(scratch, pieces, rows)
        })
    }

    /// Computes the customers of a chunk and writes them into their pieces.
    fn chunk(
        &self,
        scratch: &mut Scratch,
        pieces: &mut [Piece<'_>],
        rows: Range<usize>,
    ) -> Result<Kept> {
        let mut kept = Kept::default();
        if let Then::Keep(census) = self.then {
            kept.sums = census.sums();
            kept.standings.resize_with(pieces.len(), Standings::default);
        }
        scratch.filled.fill(0);
        for start in rows.clone().step_by(WIDTH) {
            for row in start..rows.end.min(start + WIDTH) {
                self.customer(scratch, pieces, row, &mut kept)?;
            }
            let blocks = scratch.blocks.iter().zip(&mut scratch.filled);
            for (piece, (block, filled)) in pieces.iter_mut().zip(blocks) {
                let places = match self.then {
                    Then::Finish(_) => &self.plan.places,
                    Then::Keep(_) => &self.plan.own,
                };
                piece.write(places, block, *filled);
                *filled = 0;
            }
        }
        if let Then::Keep(census) = self.then {
            census.note(&kept.sums);
        }
        Ok(kept)
    }

    /// Computes all wanted features of one customer into its place in the block of each instant at
    /// which it is seen and asked about.
    fn customer(
        &self,
        scratch: &mut Scratch,
        pieces: &[Piece<'_>],
        row: usize,
        kept: &mut Kept,
    ) -> Result<()> {
        let (plan, passage) = (self.plan, &self.passage);
        let Scratch {
            sweep,
            blocks,
            filled,
            reach,
        } = scratch;
        let customer = self.last.customers().store_row(row);
        // The next row of an instant is that of this customer, or of a later one.
        let asked = |cut: usize, behind: usize| {
            let row = pieces[cut].row(behind);
            let customers = self.histories[cut].customers();
            (row < customers.len() && customers.store_row(row) == customer).then_some(row)
        };
        let anybody = || (0..pieces.len()).any(|cut| asked(cut, filled[cut]).is_some());
        let past = self.last.customer(row);
        let person = match self.then {
            Then::Keep(census) => Some((census, census.person(row, past.id()))),
            Then::Finish(_) if anybody() => None,
            Then::Finish(_) => return Ok(()),
        };
        let Passage {
            timeline, wanted, ..
        } = passage;
        sweep.run(timeline, wanted, past.events(), |cut, sight| {
            if let Some((census, person)) = person {
                census.add(&mut kept.sums, cut, person, &sight);
            }
            let at = filled[cut];
            let Some(row) = asked(cut, at) else {
                return Ok(());
            };
            let block = &mut blocks[cut];
            own(plan, &sight, block, at);
            passage.custom(|| self.histories[cut].customer(row), row, block, at)?;
            if !plan.beside.is_empty() {
                match self.then {
                    Then::Keep(_) => passage.keep(plan, &sight, &mut kept.standings[cut]),
                    Then::Finish(instants) => {
                        passage.beside(plan, &instants[cut], &sight, reach, block, at);
                    }
                }
            }
            filled[cut] += 1;
            Ok(())
        })
    }
}
