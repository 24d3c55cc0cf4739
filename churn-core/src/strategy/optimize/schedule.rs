//! Days for the customers of a plan, where channels have a capacity per day.

use super::build::Kind;
use super::problem::{NO_ENTRY, Problem};
use crate::strategy::constraints::Constraints;
use crate::strategy::effects::Effects;

/// Day of a customer without action.
pub(crate) const NO_DAY: i32 = -1;

/// Gives each chosen customer the first day on which all their channels have room, those worth most
/// first (by row where equal). Customers for whom no day has room on all channels at once lose
/// their entry; with one channel per customer there are none, for the solver has counted days
/// times capacity.
pub(crate) fn schedule(
    problem: &Problem,
    kinds: &[Kind],
    effects: &Effects,
    constraints: &Constraints,
    entries: &mut [u32],
) -> Vec<i32> {
    let channels = &effects.playbook().channels;
    let caps: Vec<Option<u64>> = channels
        .iter()
        .map(|channel| {
            let mut limits = constraints.channels.iter();
            let limit = limits.find(|limit| limit.channel == channel.id);
            limit.and_then(|limit| limit.max_per_day)
        })
        .collect();
    let mut order: Vec<usize> = (0..entries.len())
        .filter(|row| entries[*row] != NO_ENTRY)
        .collect();
    let gain = |row: &usize| problem.gains[entries[*row] as usize];
    order.sort_by(|a, b| gain(b).total_cmp(&gain(a)).then(a.cmp(b)));
    let mut sent = vec![vec![0_u64; channels.len()]; constraints.days as usize];
    // The first day on which a kind may still find room; capacities only shrink.
    let mut first = vec![0; kinds.len()];
    let mut days = vec![NO_DAY; entries.len()];
    for row in order {
        let kind = usize::from(problem.kinds[entries[row] as usize]);
        let (action, set, _) = &kinds[kind];
        let used = &effects.rules().actions[*action].channel_sets[*set];
        let has_room = |day: &usize| {
            used.iter()
                .all(|c| caps[*c].is_none_or(|cap| sent[*day][*c] < cap))
        };
        match (first[kind]..sent.len()).find(has_room) {
            Some(day) => {
                used.iter().for_each(|c| sent[day][*c] += 1);
                first[kind] = day;
                days[row] = day as i32;
            }
            None => {
                first[kind] = sent.len();
                entries[row] = NO_ENTRY;
            }
        }
    }
    days
}
