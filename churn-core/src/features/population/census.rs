//! What a pass over all customers collects so that a population can be learned from it.

use super::{Part, Parts};
use crate::customers::CustomerId;
use crate::error::Result;
use crate::events::History;
use crate::features::clock::{self, Bound, Candidates};
use crate::features::sweep::{Gather, Sight, Sweep, Timeline, Wanted, WindowsWanted};
use crate::features::touchpoints::ChannelTotals;
use crate::features::{FeatureSpec, chunks};
use crate::math::stats::GroupMoments;
use crate::progress::Progress;

/// What is asked of every customer at some instants.
pub(in crate::features) struct Census {
    collected: Parts,
    channels: usize,
    /// Who can still be in the sample of the clock, of each instant.
    bounds: Vec<Bound>,
}

/// A customer of a census: row in the last history, and fingerprint where the clock asks for it.
#[derive(Clone, Copy)]
pub(in crate::features) struct Person {
    row: u32,
    fingerprint: u64,
}

/// What one chunk of customers contributes at one instant.
#[derive(Clone, Default)]
pub(in crate::features) struct Sums {
    pub(super) silences: Vec<f64>,
    pub(super) orders: Vec<f64>,
    pub(super) totals: Vec<f64>,
    pub(super) gaps: GroupMoments,
    pub(super) buyers: Candidates,
    pub(super) channels: ChannelTotals,
    /// Bit *c* is set where an event of code *c* occurs.
    pub(super) kinds: u32,
}

impl Census {
    /// For these parts of a population as of so many instants.
    pub(in crate::features) fn new(
        spec: &FeatureSpec,
        parts: Parts,
        channels: usize,
        instants: usize,
    ) -> Self {
        // Cuts of the caller's own are not learned.
        let own = [
            (Part::RecencyCuts, &spec.rfm.recency_cuts),
            (Part::FrequencyCuts, &spec.rfm.frequency_cuts),
            (Part::MonetaryCuts, &spec.rfm.monetary_cuts),
        ];
        let given = own.iter().filter(|(_, cuts)| cuts.is_some());
        let collected = given.fold(parts, |parts, (part, _)| parts.without(*part));
        Census {
            collected,
            channels: match collected.has(Part::Channels) {
                true => channels,
                false => 0,
            },
            bounds: (0..instants).map(|_| Bound::default()).collect(),
        }
    }

    /// What the pass has to gather.
    pub(in crate::features) fn gather(&self) -> Gather {
        let purchases = [
            Part::RecencyCuts,
            Part::FrequencyCuts,
            Part::MonetaryCuts,
            Part::Gaps,
            Part::Clock,
        ];
        let mut gather = Gather::NOTHING;
        if purchases.iter().any(|part| self.collected.has(*part)) {
            gather = gather.with(Gather::PURCHASES);
        }
        if self.collected.has(Part::Channels) {
            gather = gather.with(Gather::CHANNELS);
        }
        if self.collected.has(Part::Kinds) {
            gather = gather.with(Gather::KINDS);
        }
        gather
    }

    /// Empty sums for a chunk of customers, one per instant.
    pub(in crate::features) fn sums(&self) -> Vec<Sums> {
        vec![self.none(); self.bounds.len()]
    }

    /// Nobody's sums.
    pub(super) fn none(&self) -> Sums {
        Sums {
            channels: ChannelTotals::new(self.channels),
            ..Sums::default()
        }
    }

    /// The customer in this row of the last history.
    #[inline]
    pub(in crate::features) fn person(&self, row: usize, id: CustomerId<'_>) -> Person {
        Person {
            row: row as u32,
            fingerprint: match self.collected.has(Part::Clock) {
                true => clock::fingerprint(id),
                false => 0,
            },
        }
    }

    /// Adds what a customer is at an instant to the sums of that instant.
    #[inline]
    pub(in crate::features) fn add(
        &self,
        sums: &mut [Sums],
        cut: usize,
        person: Person,
        sight: &Sight<'_>,
    ) {
        let (collected, state, sums) = (self.collected, sight.state, &mut sums[cut]);
        if collected.has(Part::Kinds) {
            sums.kinds |= state.kinds();
        }
        if collected.has(Part::Channels) {
            sums.channels.add(state);
        }
        let purchases = &state.purchases;
        if purchases.days == 0 {
            return;
        }
        if collected.has(Part::RecencyCuts) {
            sums.silences.push(purchases.silence(sight.as_of()));
        }
        if collected.has(Part::FrequencyCuts) {
            sums.orders.push(purchases.orders as f64);
        }
        if collected.has(Part::MonetaryCuts) {
            sums.totals.push(purchases.total);
        }
        if collected.has(Part::Gaps) {
            let gaps = purchases.gaps;
            sums.gaps.push(gaps.count, gaps.sum, gaps.squares);
        }
        if collected.has(Part::Clock) {
            let Person { row, fingerprint } = person;
            sums.buyers.push(fingerprint, row, &self.bounds[cut]);
        }
    }

    /// Tells later chunks what this one found, so that they collect less.
    pub(in crate::features) fn note(&self, sums: &[Sums]) {
        for (sums, bound) in sums.iter().zip(&self.bounds) {
            sums.buyers.note(bound);
        }
    }

    /// Asks all customers without any other purpose: what each chunk of them contributes at each
    /// instant. All histories are of one log, in ascending order of their instants.
    pub(super) fn take(
        &self,
        histories: &[History<'_>],
        progress: &Progress<'_>,
    ) -> Result<Vec<Vec<Sums>>> {
        // Whoever is seen at some instant is seen at the last one.
        let Some(last) = histories.last() else {
            return Ok(Vec::new());
        };
        let instants: Vec<_> = histories.iter().map(History::as_of).collect();
        let timeline = Timeline::new(&instants, WindowsWanted::default());
        let wanted = Wanted::new(self.gather(), None);
        let n = match self.collected.is_none() {
            true => 0,
            false => last.customers().len(),
        };
        chunks::work(
            n,
            &mut vec![(); chunks::count(n)],
            ("features.population", progress),
            || Sweep::new(&timeline, last.channels().len()),
            |sweep, (), rows| {
                let mut sums = self.sums();
                for row in rows {
                    let customer = last.customer(row);
                    let person = self.person(row, customer.id());
                    sweep.run(&timeline, &wanted, customer.events(), |cut, sight| {
                        self.add(&mut sums, cut, person, &sight);
                        Ok(())
                    })?;
                }
                self.note(&sums);
                Ok(sums)
            },
        )
    }
}

impl Sums {
    pub(super) fn merge(&mut self, other: &Sums) {
        self.silences.extend_from_slice(&other.silences);
        self.orders.extend_from_slice(&other.orders);
        self.totals.extend_from_slice(&other.totals);
        self.gaps.merge(&other.gaps);
        self.buyers.merge(&other.buyers);
        self.channels.merge(&other.channels);
        self.kinds |= other.kinds;
    }
}
