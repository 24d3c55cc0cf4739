//! The buyers that the clock learns from: those with the smallest fingerprints of their ids, the
//! same whatever the order of customers, partitions and threads.

use std::collections::BinaryHeap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::customers::CustomerId;
use crate::events::{Event, EventKind, History};
use crate::time::AsOf;

/// More buyers than this teach nothing new; all of a smaller shop are taken.
const BUYERS: usize = 16_384;
/// Purchase days kept of a buyer, the first ones: nobody shall count for many.
const MOST_DAYS: usize = 21;

/// One buyer of a sample.
pub(super) struct Buyer<'s> {
    /// Purchase days, at least one, ascending.
    pub(super) days: &'s [i32],
    /// Whether nothing was bought after the last of them.
    pub(super) open: bool,
}

/// The purchase days of some buyers, ascending by fingerprint.
#[derive(Debug, Clone, Default)]
pub(in crate::features) struct Sample {
    /// Fingerprint, and where the buyer's days end.
    buyers: Vec<(u64, usize)>,
    days: Vec<i32>,
}

/// The largest fingerprint that can still belong to the sample.
#[derive(Debug)]
pub(in crate::features) struct Bound {
    largest: AtomicU64,
    smallest: Mutex<BinaryHeap<u64>>,
}

impl Default for Bound {
    fn default() -> Self {
        Bound {
            largest: AtomicU64::new(u64::MAX),
            smallest: Mutex::default(),
        }
    }
}

impl Bound {
    #[inline]
    fn allows(&self, fingerprint: u64) -> bool {
        fingerprint <= self.largest.load(Ordering::Relaxed)
    }

    /// Notes buyers; once there are enough, larger fingerprints need not be gathered any more.
    fn note(&self, fingerprints: impl Iterator<Item = u64>) {
        let mut heap = match self.smallest.lock() {
            Ok(heap) => heap,
            Err(poisoned) => poisoned.into_inner(),
        };
        for fingerprint in fingerprints {
            if heap.len() < BUYERS {
                heap.push(fingerprint);
            } else if let Some(mut largest) = heap.peek_mut()
                && fingerprint < *largest
            {
                *largest = fingerprint;
            }
        }
        if heap.len() == BUYERS
            && let Some(largest) = heap.peek()
        {
            self.largest.store(*largest, Ordering::Relaxed);
        }
    }
}

/// Buyers who may belong to the sample: fingerprint, and row in a history.
#[derive(Debug, Clone, Default)]
pub(in crate::features) struct Candidates(Vec<(u64, u32)>);

impl Candidates {
    /// Adds a buyer whom the bound allows.
    #[inline]
    pub(in crate::features) fn push(&mut self, fingerprint: u64, row: u32, bound: &Bound) {
        if bound.allows(fingerprint) {
            self.0.push((fingerprint, row));
        }
    }

    /// Tells what this chunk gathered, so that later chunks gather less.
    pub(in crate::features) fn note(&self, bound: &Bound) {
        bound.note(self.0.iter().map(|(fingerprint, _)| *fingerprint));
    }

    pub(in crate::features) fn merge(&mut self, other: &Candidates) {
        self.0.extend_from_slice(&other.0);
    }

    /// The sample: only now are purchase days before the instant read, and only those of its buyers.
    pub(in crate::features) fn sample(mut self, history: &History<'_>, as_of: AsOf) -> Sample {
        if self.0.len() > BUYERS {
            let (_, (largest, _), _) = self.0.select_nth_unstable(BUYERS - 1);
            let largest = *largest;
            // Equal fingerprints are told apart by what was bought.
            self.0.retain(|(fingerprint, _)| *fingerprint <= largest);
        }
        self.0.sort_unstable_by_key(|(_, row)| *row);
        let pieces: Vec<Sample> = self
            .0
            .par_chunks(1024)
            .map(|buyers| {
                let mut piece = Sample::default();
                for (fingerprint, row) in buyers {
                    let events = history.customer(*row as usize).events();
                    piece.read(*fingerprint, events, as_of);
                }
                piece
            })
            .collect();
        let mut sample = Sample::default();
        for piece in &pieces {
            sample.merge(piece);
        }
        sample.settle();
        sample
    }
}

impl Sample {
    /// Adds the purchase days of a buyer before an instant.
    fn read(&mut self, fingerprint: u64, events: impl Iterator<Item = Event>, as_of: AsOf) {
        let start = self.days.len();
        let before = events.take_while(|event| event.time < as_of.instant());
        for event in before.filter(|event| event.kind == EventKind::Purchase) {
            // The years -9999 to 9999 are less than four million days away.
            let day = event.time.day() as i32;
            if self.days.len() == start || self.days.last() != Some(&day) {
                self.days.push(day);
            }
            if self.days.len() - start == MOST_DAYS {
                break;
            }
        }
        if self.days.len() > start {
            self.buyers.push((fingerprint, self.days.len()));
        }
    }

    fn push(&mut self, fingerprint: u64, days: &[i32]) {
        self.days.extend_from_slice(days);
        self.buyers.push((fingerprint, self.days.len()));
    }

    pub(in crate::features) fn merge(&mut self, other: &Sample) {
        for (fingerprint, days) in other.iter() {
            self.push(fingerprint, days);
        }
        // What is too much is dropped now and then, so that a stream of any length fits.
        if self.buyers.len() > 4 * BUYERS {
            self.settle();
        }
    }

    /// The buyers with the smallest fingerprints, in their order.
    pub(super) fn settle(&mut self) {
        let mut order: Vec<(u64, &[i32])> = self.iter().collect();
        order.sort_unstable();
        order.truncate(BUYERS);
        let mut settled = Sample::default();
        for (fingerprint, days) in order {
            settled.push(fingerprint, days);
        }
        *self = settled;
    }

    /// Fingerprint and purchase days of each buyer; at least one day each, ascending.
    fn iter(&self) -> impl Iterator<Item = (u64, &[i32])> {
        let starts = std::iter::once(0).chain(self.buyers.iter().map(|(_, end)| *end));
        starts
            .zip(&self.buyers)
            .map(|(start, (fingerprint, end))| (*fingerprint, &self.days[start..*end]))
    }

    /// The buyers, ascending by fingerprint once settled.
    pub(super) fn buyers(&self) -> impl Iterator<Item = Buyer<'_>> {
        self.iter().map(|(_, days)| Buyer {
            days,
            open: days.len() < MOST_DAYS,
        })
    }
}

/// A hash of an id that never changes (FNV-1a, finished by the mixer of SplitMix64).
pub(in crate::features) fn fingerprint(id: CustomerId<'_>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut push = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    match id {
        CustomerId::Int(id) => push(&id.to_le_bytes()),
        CustomerId::Uint(id) => push(&id.to_le_bytes()),
        CustomerId::Text(id) => push(id.as_bytes()),
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ids: impl Iterator<Item = i64>) -> Sample {
        let mut all = Sample::default();
        for id in ids {
            all.push(
                fingerprint(CustomerId::Int(id)),
                &[id as i32, id as i32 + 1],
            );
        }
        all
    }

    #[test]
    fn order_and_partition_do_not_matter() {
        let n = 3 * BUYERS as i64;
        let mut whole = sample(0..n);
        whole.settle();
        let mut parts = Sample::default();
        let bound = Bound::default();
        for part in 0..40 {
            let part = sample((0..n).rev().filter(|id| id % 40 == part));
            bound.note(part.iter().map(|(fingerprint, _)| fingerprint));
            parts.merge(&part);
        }
        parts.settle();
        assert_eq!(whole.buyers, parts.buyers);
        assert_eq!(whole.days, parts.days);
        assert_eq!(whole.buyers.len(), BUYERS);
        let largest = whole.buyers[BUYERS - 1].0;
        assert!(bound.allows(largest) && !bound.allows(largest + 1));
        // The first tenth of fingerprints is a fair sample of the ids.
        let firsts = whole.buyers().map(|buyer| f64::from(buyer.days[0]));
        let mean = firsts.sum::<f64>() / BUYERS as f64;
        assert!((mean / (n as f64 / 2.0) - 1.0).abs() < 0.03, "{mean}");
    }

    /// Kept populations would otherwise change with a new version.
    #[test]
    fn fingerprints_never_change() {
        assert_eq!(
            fingerprint(CustomerId::Int(7)),
            fingerprint(CustomerId::Uint(7))
        );
        assert_ne!(
            fingerprint(CustomerId::Text("a")),
            fingerprint(CustomerId::Text("b"))
        );
        assert_eq!(fingerprint(CustomerId::Text("ann")), 0x8096_e52a_d559_ed80);
    }
}
