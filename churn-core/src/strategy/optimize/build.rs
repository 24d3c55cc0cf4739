//! From playbook, facts and constraints to the numbers that the solver works on.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::problem::{CHUNK, Limit, Problem, Uses};
use crate::error::{Error, Result};
use crate::strategy::allocation::ConstraintName;
use crate::strategy::conditions::Values;
use crate::strategy::constraints::{Constraints, Resolved, Scope, ShareOf};
use crate::strategy::facts::Facts;
use crate::strategy::plan::NoAction;
use crate::strategy::value::Pricing;

/// Combinations of segments that constraints may tell apart.
const MAX_CLASSES: usize = 4_096;

/// What an entry stands for: an action, one of its channel sets, and which of the action's offers
/// are given (by position in the playbook).
pub(crate) type Kind = (usize, usize, Vec<usize>);

/// A problem with what its parts mean.
pub(crate) struct Built {
    pub(crate) problem: Problem,
    pub(crate) kinds: Vec<Kind>,
    /// What each constraint of the problem is.
    pub(crate) names: Vec<ConstraintName>,
    /// Why a customer has no entry; `None` where there is one.
    pub(crate) closed: Vec<Option<NoAction>>,
}

/// The options of one chunk of customers; kinds by position in `kinds`.
#[derive(Default)]
struct Part {
    kinds: Vec<Kind>,
    lengths: Vec<u32>,
    codes: Vec<u16>,
    gains: Vec<f64>,
    costs: Vec<f64>,
    closed: Vec<Option<NoAction>>,
}

pub(crate) fn build(
    pricing: &Pricing,
    facts: &Facts<'_>,
    constraints: &Constraints,
    resolved: &Resolved,
    with_budget: bool,
) -> Result<Built> {
    let n = facts.customers().len();
    // Where something must be done, or doing something makes room for more, losses may pay.
    let keep_losses = asks(constraints);
    let parts: Vec<Result<Part>> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(n);
            options(pricing, facts, resolved, keep_losses, rows)
        })
        .collect();
    let parts = parts.into_iter().collect::<Result<Vec<Part>>>()?;

    // Kinds get their codes in the order of the playbook, whatever chunk met them first.
    let mut codes: BTreeMap<Kind, u16> = BTreeMap::new();
    for kind in parts.iter().flat_map(|part| &part.kinds) {
        codes.insert(kind.clone(), 0);
    }
    if codes.len() > usize::from(u16::MAX) {
        return Err(too_many(
            "playbook.actions",
            codes.len(),
            usize::from(u16::MAX),
        ));
    }
    for (code, place) in codes.values_mut().enumerate() {
        *place = code as u16;
    }
    let entries: usize = parts.iter().map(|part| part.codes.len()).sum();
    if entries >= u32::MAX as usize {
        return Err(too_many("customers × options", entries, u32::MAX as usize));
    }
    let mut problem = Problem {
        offsets: Vec::with_capacity(n + 1),
        kinds: Vec::with_capacity(entries),
        gains: Vec::with_capacity(entries),
        costs: Vec::with_capacity(entries),
        ..Problem::default()
    };
    problem.offsets.push(0);
    let mut closed = Vec::with_capacity(n);
    for part in parts {
        let code: Vec<u16> = part.kinds.iter().map(|kind| codes[kind]).collect();
        problem
            .kinds
            .extend(part.codes.iter().map(|k| code[usize::from(*k)]));
        problem.gains.extend_from_slice(&part.gains);
        problem.costs.extend_from_slice(&part.costs);
        let mut end = problem.offsets[problem.offsets.len() - 1];
        for length in &part.lengths {
            end += length;
            problem.offsets.push(end);
        }
        closed.extend_from_slice(&part.closed);
    }
    let kinds: Vec<Kind> = codes.into_keys().collect();
    let mut built = Built {
        problem,
        kinds,
        names: Vec::new(),
        closed,
    };
    built.limit(pricing, facts, constraints, resolved, with_budget)?;
    Ok(built)
}

fn too_many(what: &str, got: usize, most: usize) -> Error {
    Error::invalid_parameter(what, format_args!("at most {most} combinations"), got)
}

/// Whether a constraint can make an option worth taking that loses money by itself.
fn asks(constraints: &Constraints) -> bool {
    let channels = constraints.channels.iter().map(|limit| limit.min);
    let offers = constraints.offers.iter().map(|limit| limit.min);
    let actions = constraints.actions.iter().map(|limit| limit.min);
    let minima = channels.chain(offers).chain(actions).flatten();
    let mut shares = constraints.segments.iter();
    minima.max().unwrap_or(0) > 0
        || shares.any(|limit| limit.of == ShareOf::Plan || limit.min_share.is_some())
        || constraints
            .needs
            .iter()
            .any(|need| need.within == Scope::Plan)
}

fn options(
    pricing: &Pricing,
    facts: &Facts<'_>,
    resolved: &Resolved,
    keep_losses: bool,
    rows: std::ops::Range<usize>,
) -> Result<Part> {
    let mut part = Part::default();
    // Kinds by action: the offers given, and where the kinds of the channel sets begin. Few
    // bundles of offers occur, so a look along the list is quicker than hashing.
    let actions = pricing.effects.rules().actions.len();
    let mut bundles: Vec<Vec<(Vec<usize>, usize)>> = vec![Vec::new(); actions];
    let mut given = Vec::new();
    for row in rows {
        let mut found = 0;
        let mut open = |action: usize, set: usize, given: &[usize]| {
            let worth = pricing.worth(facts, row, action, set, given);
            if !(worth.profit.is_finite() && worth.cost().is_finite()) {
                return Err(Error::invalid_value(
                    "value.stakes",
                    row,
                    "a profit that numbers can hold",
                    worth.profit,
                ));
            }
            if worth.profit <= 0.0 && !keep_losses {
                return Ok(());
            }
            let known = bundles[action].iter().find(|(bundle, _)| bundle == given);
            let first = match known {
                Some((_, first)) => *first,
                None => {
                    let first = part.kinds.len();
                    let sets = pricing.effects.rules().actions[action].channel_sets.len();
                    part.kinds
                        .extend((0..sets).map(|set| (action, set, given.to_vec())));
                    bundles[action].push((given.to_vec(), first));
                    first
                }
            };
            let Ok(code) = u16::try_from(first + set) else {
                let most = usize::from(u16::MAX);
                return Err(too_many("playbook.actions", first + set, most));
            };
            part.codes.push(code);
            part.gains.push(worth.profit);
            part.costs.push(worth.cost());
            found += 1;
            Ok(())
        };
        let closed = open_options(pricing, facts, resolved, row, &mut given, &mut open)?;
        part.lengths.push(found);
        part.closed.push(match closed {
            None if found == 0 => Some(NoAction::Unprofitable),
            closed => closed,
        });
    }
    Ok(part)
}

/// Calls `each` for every option that is open to a customer: action, channel set, offers. Tells why
/// there is none, `None` where there is one.
pub(crate) fn open_options<V: Values>(
    pricing: &Pricing,
    values: &V,
    resolved: &Resolved,
    row: usize,
    given: &mut Vec<usize>,
    each: impl FnMut(usize, usize, &[usize]) -> Result<()>,
) -> Result<Option<NoAction>> {
    if resolved.held_out.get(row).copied().unwrap_or(false) {
        return Ok(Some(NoAction::HeldOut));
    }
    open_for_all(pricing, values, resolved, row, given, each)
}

/// The same without regard to the hold-out: also what would be open to customers who are left alone
/// for comparison.
pub(crate) fn open_for_all<V: Values>(
    pricing: &Pricing,
    values: &V,
    resolved: &Resolved,
    row: usize,
    given: &mut Vec<usize>,
    mut each: impl FnMut(usize, usize, &[usize]) -> Result<()>,
) -> Result<Option<NoAction>> {
    let listed = |list: &[bool]| list.get(row).copied().unwrap_or(false);
    let condition = &resolved.exclude_where;
    let matches = condition.as_ref().is_some_and(|c| c.holds(values, row));
    if matches || listed(&resolved.excluded) {
        return Ok(Some(NoAction::Excluded));
    }
    if pricing.stakes[row].is_nan() {
        return Ok(Some(NoAction::UnknownValue));
    }
    let rules = pricing.effects.rules();
    let mut closed = Some(NoAction::NoAudience);
    for (action, rule) in rules.actions.iter().enumerate() {
        if !rule.audience.holds(values, row) {
            continue;
        }
        if closed == Some(NoAction::NoAudience) {
            closed = Some(NoAction::NothingOpen);
        }
        rules.offers_for(action, values, row, given);
        if given.is_empty() || !needs_met(resolved, values, row, given) {
            continue;
        }
        for (set, channels) in rule.channel_sets.iter().enumerate() {
            if rules.is_open(channels, values, row) {
                closed = None;
                each(action, set, given)?;
            }
        }
    }
    Ok(closed)
}

/// Whether these offers keep all "never B without A" rules of single customers.
fn needs_met(resolved: &Resolved, values: &impl Values, row: usize, given: &[usize]) -> bool {
    resolved.needs.iter().all(|(bound, needed, scope, unless)| {
        *scope == Scope::Plan
            || !given.contains(bound)
            || given.contains(needed)
            || unless
                .as_ref()
                .is_some_and(|unless| unless.holds(values, row))
    })
}

impl Built {
    /// Adds the constraints.
    fn limit(
        &mut self,
        pricing: &Pricing,
        facts: &Facts<'_>,
        constraints: &Constraints,
        resolved: &Resolved,
        with_budget: bool,
    ) -> Result<()> {
        let n = facts.customers().len();
        let playbook = pricing.effects.playbook();
        let rules = pricing.effects.rules();
        self.problem.kind_uses = vec![Uses::new(); self.kinds.len()];

        // One class per combination of labels of the segmentations that limits speak of.
        let mut segmentations: Vec<usize> = resolved.segments.iter().map(|s| s.0).collect();
        segmentations.sort_unstable();
        segmentations.dedup();
        let sizes: Vec<usize> = segmentations
            .iter()
            .map(|s| facts.vocabulary().segmentations()[*s].labels.len())
            .collect();
        let classes = sizes.iter().try_fold(1_usize, |product, size| {
            product.checked_mul(*size).filter(|all| *all <= MAX_CLASSES)
        });
        let Some(classes) = classes else {
            let all = sizes
                .iter()
                .fold(1_usize, |all, size| all.saturating_mul(*size));
            return Err(too_many("constraints.segments", all, MAX_CLASSES));
        };
        let class = |row: usize| {
            let codes = segmentations.iter().zip(&sizes);
            codes.fold(0, |class, (s, size)| {
                class * size + facts.code(*s, row) as usize
            })
        };
        self.problem.classes = (0..n)
            .into_par_iter()
            .map(|row| class(row) as u32)
            .collect();
        self.problem.class_uses = vec![Uses::new(); classes];
        let label_of = |class: usize, segmentation: usize| {
            let mut rest = class;
            for (s, size) in segmentations.iter().zip(&sizes).rev() {
                if *s == segmentation {
                    return rest % size;
                }
                rest /= size;
            }
            0
        };

        if with_budget {
            let limit = constraints.budget.unwrap_or(f64::MAX);
            self.problem.budget = Some(self.add("constraints.budget", "budget", limit, false));
        }
        if let Some(max) = constraints.max_customers {
            let c = self.add("constraints.max_customers", "customers", max as f64, false);
            self.problem
                .kind_uses
                .iter_mut()
                .for_each(|uses| uses.push((c, 1.0)));
        }
        for (i, limit) in constraints.channels.iter().enumerate() {
            let place = format!("constraints.channels[{i}]");
            let daily = limit.max_per_day;
            let total = daily.map(|max| max.saturating_mul(u64::from(constraints.days)));
            let id = &limit.channel;
            let has = |kind: &Kind| {
                let channels = &rules.actions[kind.0].channel_sets[kind.1];
                channels.iter().any(|c| playbook.channels[*c].id == *id)
            };
            // The tighter of the two caps is the only one that can bind.
            let total_binds = total.is_some_and(|total| limit.max.is_none_or(|max| total < max));
            let (field, max) = match total_binds {
                true => ("max_per_day", total),
                false => ("max", limit.max),
            };
            self.count(&place, id, limit.min, max.map(|max| (field, max)), has);
        }
        for (i, limit) in constraints.offers.iter().enumerate() {
            let place = format!("constraints.offers[{i}]");
            let has = |kind: &Kind| kind.2.iter().any(|o| playbook.offers[*o].id == limit.offer);
            let max = limit.max.map(|max| ("max", max));
            self.count(&place, &limit.offer, limit.min, max, has);
        }
        for (i, limit) in constraints.actions.iter().enumerate() {
            let place = format!("constraints.actions[{i}]");
            let has = |kind: &Kind| playbook.actions[kind.0].id == limit.action;
            let max = limit.max.map(|max| ("max", max));
            self.count(&place, &limit.action, limit.min, max, has);
        }
        for (i, limit) in constraints.segments.iter().enumerate() {
            let place = format!("constraints.segments[{i}]");
            let (segmentation, label) = resolved.segments[i];
            let inside = |class: usize| label_of(class, segmentation) == label as usize;
            let members = match limit.of {
                ShareOf::Plan => 0.0,
                ShareOf::Segment => self.members(facts, segmentation, label) as f64,
            };
            let shares = [
                ("max_share", limit.max_share, 1.0),
                ("min_share", limit.min_share, -1.0),
            ];
            for (field, share, sign) in shares {
                let Some(share) = share else {
                    continue;
                };
                let place = format!("{place}.{field}");
                let c = self.add(&place, &limit.label, sign * share * members, sign < 0.0);
                for class in 0..classes {
                    let whole = match limit.of {
                        ShareOf::Plan => share,
                        ShareOf::Segment => 0.0,
                    };
                    let amount = sign * (f64::from(u8::from(inside(class))) - whole);
                    if amount != 0.0 {
                        self.problem.class_uses[class].push((c, amount));
                    }
                }
            }
        }
        for (i, (bound, needed, scope, _)) in resolved.needs.iter().enumerate() {
            if *scope == Scope::Customer {
                continue;
            }
            let place = format!("constraints.needs[{i}]");
            let c = self.add(&place, &playbook.offers[*bound].id, 0.0, false);
            for (kind, uses) in self.kinds.iter().zip(&mut self.problem.kind_uses) {
                let has = |offer: &usize| i32::from(kind.2.contains(offer));
                let amount = has(bound) - has(needed);
                if amount != 0 {
                    uses.push((c, f64::from(amount)));
                }
            }
        }
        self.problem.set_scales();
        Ok(())
    }

    /// Customers of a segment who may be contacted at all.
    fn members(&self, facts: &Facts<'_>, segmentation: usize, label: u32) -> usize {
        let codes = facts.codes(segmentation).iter().zip(&self.closed);
        let counts = |closed: &Option<NoAction>| {
            !matches!(closed, Some(NoAction::HeldOut | NoAction::Excluded))
        };
        codes
            .filter(|(code, closed)| **code == label && counts(closed))
            .count()
    }

    /// Adds one constraint without uses and gives its position.
    fn add(&mut self, place: &str, subject: &str, limit: f64, is_minimum: bool) -> usize {
        self.problem.limits.push(Limit {
            limit,
            tolerance: 1e-9 * limit.abs().clamp(1.0, 1e300),
            scale: 1.0,
        });
        self.names.push(ConstraintName {
            place: place.to_owned(),
            subject: subject.to_owned(),
            is_minimum,
        });
        self.names.len() - 1
    }

    /// Adds a minimum and a maximum number of customers of the kinds that `has` tells.
    fn count(
        &mut self,
        place: &str,
        subject: &str,
        min: Option<u64>,
        max: Option<(&str, u64)>,
        has: impl Fn(&Kind) -> bool,
    ) {
        let mut add = |field: &str, limit: f64, amount: f64| {
            let c = self.add(&format!("{place}.{field}"), subject, limit, amount < 0.0);
            for (kind, uses) in self.kinds.iter().zip(&mut self.problem.kind_uses) {
                if has(kind) {
                    uses.push((c, amount));
                }
            }
        };
        if let Some((field, max)) = max {
            add(field, max as f64, 1.0);
        }
        if let Some(min) = min.filter(|min| *min > 0) {
            add("min", -(min as f64), -1.0);
        }
    }
}
