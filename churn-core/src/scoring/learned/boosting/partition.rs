//! Rows of a leaf, parted between its children.

use rayon::prelude::*;

use super::histogram::WIDTH;
use crate::scoring::learned::trees::{Rule, in_set};

/// Rows that one task parts.
const CHUNK: usize = 1 << 15;

/// 1 for each bin that goes left.
pub(crate) type Sides = [u8; WIDTH];

/// The sides of all bins of a column with `bins` bins of values.
pub(crate) fn sides(rule: &Rule, bins: usize) -> Sides {
    let mut sides = [0; WIDTH];
    for (bin, side) in sides.iter_mut().enumerate() {
        *side = u8::from(match rule {
            Rule::AtMost { missing_left, .. } if bin == bins => *missing_left,
            Rule::AtMost { cut, .. } => bin <= usize::from(*cut),
            Rule::In(set) => in_set(set, bin as u8),
        });
    }
    sides
}

/// Parts the rows by their bins in a column: those that go left first, of which it gives the
/// number. `spare` is room for as many rows; the two may be swapped.
pub(crate) fn part<'a>(
    rows: &mut &'a mut [u32],
    spare: &mut &'a mut [u32],
    column: &[u8],
    sides: &Sides,
    threads: usize,
) -> usize {
    if rows.len() < 2 * CHUNK || threads == 1 {
        let left = part_into(rows, spare, column, sides);
        std::mem::swap(rows, spare);
        return left;
    }
    // Each chunk into its own place of the spare buffer, then back to where all of it belongs.
    let chunks = rows.par_chunks(CHUNK).zip(spare.par_chunks_mut(CHUNK));
    let lefts: Vec<usize> = chunks
        .map(|(rows, spare)| part_into(rows, spare, column, sides))
        .collect();
    let left = lefts.iter().sum();
    let (mut to_left, mut to_right) = rows.split_at_mut(left);
    let mut moves = Vec::with_capacity(2 * lefts.len());
    for (chunk, &count) in spare.chunks(CHUNK).zip(&lefts) {
        let (go_left, go_right) = chunk.split_at(count);
        let place = to_left.split_off_mut(..go_left.len());
        moves.push((place.unwrap_or_default(), go_left));
        let place = to_right.split_off_mut(..go_right.len());
        moves.push((place.unwrap_or_default(), go_right));
    }
    moves
        .into_par_iter()
        .for_each(|(to, from)| to.copy_from_slice(from));
    left
}

/// Rows that go left from the front, the others from the back; the number of the former.
pub(crate) fn part_into(rows: &[u32], into: &mut [u32], column: &[u8], sides: &Sides) -> usize {
    let (mut front, mut back) = (0, into.len());
    for &row in rows {
        let left = usize::from(sides[usize::from(column[row as usize])]);
        // Written to both ends and counted at one: no branch that could be guessed wrong.
        into[front] = row;
        into[back - 1] = row;
        front += left;
        back -= 1 - left;
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_where_the_rule_sends_them() {
        let n = 3 * CHUNK + 17;
        let column: Vec<u8> = (0..n).map(|i| (i * 7 % 101) as u8).collect();
        let rule = Rule::AtMost {
            cut: 30,
            missing_left: true,
        };
        let sides = sides(&rule, 100);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut rows: Vec<u32> = (0..n as u32).collect();
            let mut spare = vec![0; n];
            let (mut rows, mut spare) = (&mut rows[..], &mut spare[..]);
            let left = pool.install(|| part(&mut rows, &mut spare, &column, &sides, threads));
            let goes_left = |row: u32| matches!(row * 7 % 101, 0..=30 | 100);
            assert!(rows[..left].iter().all(|r| goes_left(*r)));
            assert!(!rows[left..].iter().any(|r| goes_left(*r)));
            let mut all = rows.to_vec();
            all.sort_unstable();
            assert!(all.iter().enumerate().all(|(i, r)| i as u32 == *r));
        }
    }
}
