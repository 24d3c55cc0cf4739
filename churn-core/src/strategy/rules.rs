//! A playbook with all references looked up and all conditions resolved, and the proof that each
//! of its parts can be reached.

use std::collections::BTreeSet;

use super::conditions::{Answer, Condition, Formula, Term, Values, Vocabulary, can_hold};
use super::playbook::{Action, Playbook};
use crate::error::{Error, Result};

/// A playbook ready to be matched; positions are those of the playbook and of the vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) channels: Vec<ChannelRule>,
    /// Who may be given each offer.
    pub(crate) offers: Vec<Formula>,
    pub(crate) actions: Vec<ActionRule>,
    /// Actions from the highest priority down, in the playbook's order where equal.
    pub(crate) order: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct ChannelRule {
    pub(crate) requires: Formula,
    /// The number that holds the customer's own response rate, where there is one.
    pub(crate) rate: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct ActionRule {
    pub(crate) audience: Formula,
    /// Positions of its offers among the offers of the playbook.
    pub(crate) offers: Vec<usize>,
    /// For each of its offers those before it, by position in `offers`, that it conflicts with.
    displaced_by: Vec<Vec<usize>>,
    pub(crate) channel_sets: Vec<Vec<usize>>,
}

impl Rules {
    /// Resolves and checks a playbook.
    ///
    /// # Errors
    /// Those of [`Playbook::check`].
    pub(crate) fn new(playbook: &Playbook, vocabulary: &Vocabulary) -> Result<Self> {
        playbook.check_values()?;
        let channels = resolve_channels(playbook, vocabulary)?;
        let mut offers = Vec::with_capacity(playbook.offers.len());
        for (i, offer) in playbook.offers.iter().enumerate() {
            let place = format!("playbook.offers[{i}].requires");
            offers.push(requirement(&place, offer.requires.as_deref(), vocabulary)?);
        }
        let conflicts = resolve_conflicts(playbook)?;
        let mut actions = Vec::with_capacity(playbook.actions.len());
        for (i, action) in playbook.actions.iter().enumerate() {
            let place = format!("playbook.actions[{i}]");
            actions.push(resolve_action(
                &place, action, playbook, &conflicts, vocabulary,
            )?);
        }
        let mut order: Vec<usize> = (0..actions.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(playbook.actions[*i].priority));
        let rules = Rules {
            channels,
            offers,
            actions,
            order,
        };
        for i in 0..rules.actions.len() {
            rules.check_parts(playbook, i, vocabulary)?;
        }
        rules.check_order(playbook, vocabulary)?;
        Ok(rules)
    }

    /// Fills `given` with the offers of an action that a customer is given, by position among the
    /// offers of the playbook.
    pub(crate) fn offers_for(
        &self,
        action: usize,
        values: &impl Values,
        row: usize,
        given: &mut Vec<usize>,
    ) {
        let rule = &self.actions[action];
        given.clear();
        for (offer, rivals) in rule.offers.iter().zip(&rule.displaced_by) {
            let displaced = rivals
                .iter()
                .any(|rival| given.contains(&rule.offers[*rival]));
            if !displaced && self.offers[*offer].holds(values, row) {
                given.push(*offer);
            }
        }
    }

    /// Whether all channels of a set are open to a customer.
    pub(crate) fn is_open(&self, set: &[usize], values: &impl Values, row: usize) -> bool {
        let mut channels = set.iter().map(|c| &self.channels[*c].requires);
        channels.all(|requires| requires.holds(values, row))
    }

    /// Numbers (`false`) and segmentations (`true`) that anything in the playbook reads.
    pub(crate) fn reads(&self) -> BTreeSet<(bool, usize)> {
        let mut terms = BTreeSet::new();
        let channels = self.channels.iter().map(|c| &c.requires);
        let actions = self.actions.iter().map(|a| &a.audience);
        for formula in channels.chain(&self.offers).chain(actions) {
            formula.reads(&mut terms);
        }
        let rates = self.channels.iter().filter_map(|c| c.rate);
        terms.extend(rates.map(|number| (false, number)));
        terms
    }

    fn set_formula(&self, set: &[usize]) -> Formula {
        let requires = set.iter().map(|c| self.channels[*c].requires.clone());
        Formula::All(requires.collect())
    }

    /// Who can get an action, if no other comes first. Conflicts do not matter here: the first
    /// offer that a customer may have is never displaced.
    fn reach(&self, action: usize) -> Formula {
        let rule = &self.actions[action];
        let sets = rule.channel_sets.iter().map(|set| self.set_formula(set));
        let offers = rule.offers.iter().map(|o| self.offers[*o].clone());
        Formula::All(vec![
            rule.audience.clone(),
            Formula::Any(sets.collect()),
            Formula::Any(offers.collect()),
        ])
    }

    /// Confirms that each channel set and each offer of an action can be used for someone.
    fn check_parts(
        &self,
        playbook: &Playbook,
        action: usize,
        vocabulary: &Vocabulary,
    ) -> Result<()> {
        let rule = &self.actions[action];
        let place = format!("playbook.actions[{action}]");
        let with_audience = |part: &Formula| can_hold(&[&rule.audience, part], vocabulary);
        for (k, set) in rule.channel_sets.iter().enumerate() {
            if let Answer::Never(why) = with_audience(&self.set_formula(set)) {
                return Err(Error::invalid_parameter(
                    format!("{place}.channel_sets[{k}]"),
                    "channels that someone in the audience can be reached by",
                    why,
                ));
            }
        }
        for (j, offer) in rule.offers.iter().enumerate() {
            let place = format!("{place}.offers[{j}]");
            let requires = self.offers[*offer].clone();
            if let Answer::Never(why) = with_audience(&requires) {
                return Err(Error::invalid_parameter(
                    place,
                    "an offer that someone in the audience may have",
                    why,
                ));
            }
            // A rival with rivals of its own may itself be displaced, so it proves nothing.
            let rivals = &rule.displaced_by[j];
            let firm = rivals.iter().filter(|i| rule.displaced_by[**i].is_empty());
            let mut left: Vec<Formula> = firm
                .map(|i| self.offers[rule.offers[*i]].complement())
                .collect();
            left.push(requires);
            if with_audience(&Formula::All(left)) != Answer::Possible {
                let id = |position: usize| &playbook.offers[rule.offers[position]].id;
                let rivals: Vec<&str> = rivals.iter().map(|i| id(*i).as_str()).collect();
                return Err(Error::invalid_parameter(
                    place,
                    "offers that go together",
                    format_args!(
                        "{:?}, which is in conflict with {} before it",
                        id(j),
                        rivals.join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Confirms that some customer is left over for each action by those that come first.
    fn check_order(&self, playbook: &Playbook, vocabulary: &Vocabulary) -> Result<()> {
        let reach: Vec<Formula> = (0..self.actions.len()).map(|a| self.reach(a)).collect();
        let missed: Vec<Formula> = reach.iter().map(Formula::complement).collect();
        let id = |action: &usize| playbook.actions[*action].id.as_str();
        for (position, &action) in self.order.iter().enumerate() {
            let place = format!("playbook.actions[{action}].audience");
            if let Answer::Never(why) = can_hold(&[&reach[action]], vocabulary) {
                return Err(Error::invalid_parameter(
                    place,
                    "an audience that its offers and channels are open to",
                    why,
                ));
            }
            let before = &self.order[..position];
            let takes_all = |before: &[usize]| {
                let mut parts = vec![&reach[action]];
                parts.extend(before.iter().map(|b| &missed[*b]));
                can_hold(&parts, vocabulary) != Answer::Possible
            };
            let by = match before.iter().find(|first| takes_all(&[**first])) {
                Some(first) => id(first).to_owned(),
                None if takes_all(before) => {
                    before.iter().map(id).collect::<Vec<_>>().join(" and ")
                }
                None => continue,
            };
            return Err(Error::invalid_parameter(
                place,
                "customers whom no action before it takes",
                format_args!("an audience that goes to {by} as a whole"),
            ));
        }
        Ok(())
    }
}

fn requirement(place: &str, text: Option<&str>, vocabulary: &Vocabulary) -> Result<Formula> {
    match text {
        None => Ok(Formula::All(Vec::new())),
        Some(text) => Condition::parse_at(place, text)?.resolve(place, vocabulary),
    }
}

fn resolve_channels(playbook: &Playbook, vocabulary: &Vocabulary) -> Result<Vec<ChannelRule>> {
    let mut channels = Vec::with_capacity(playbook.channels.len());
    for (i, channel) in playbook.channels.iter().enumerate() {
        let place = format!("playbook.channels[{i}]");
        let requires = requirement(
            &format!("{place}.requires"),
            channel.requires.as_deref(),
            vocabulary,
        )?;
        let feature = channel.response_feature();
        let rate = match vocabulary.term(&feature) {
            Some(Term::Number(number)) => Some(number),
            Some(Term::Segmentation(_)) => {
                return Err(Error::invalid_parameter(
                    format!("{place}.feature"),
                    "a feature with response rates",
                    format_args!("the segmentation {feature:?}"),
                ));
            }
            None if channel.feature.is_some() => {
                return Err(Error::unknown_name(
                    format!("{place}.feature"),
                    &feature,
                    vocabulary.names(),
                ));
            }
            None => None,
        };
        channels.push(ChannelRule { requires, rate });
    }
    Ok(channels)
}

/// Pairs of offers that never go together, each in both directions.
fn resolve_conflicts(playbook: &Playbook) -> Result<BTreeSet<(usize, usize)>> {
    let mut pairs = BTreeSet::new();
    for (i, group) in playbook.conflicts.iter().enumerate() {
        let place = format!("playbook.conflicts[{i}]");
        if group.len() < 2 {
            return Err(Error::invalid_parameter(
                place,
                "at least two offers",
                group.len(),
            ));
        }
        let ids: Vec<&str> = playbook.offers.iter().map(|o| o.id.as_str()).collect();
        let offers = references(&place, group, &ids)?;
        for a in &offers {
            pairs.extend(offers.iter().filter(|b| *b != a).map(|b| (*a, *b)));
        }
    }
    Ok(pairs)
}

fn resolve_action(
    place: &str,
    action: &Action,
    playbook: &Playbook,
    conflicts: &BTreeSet<(usize, usize)>,
    vocabulary: &Vocabulary,
) -> Result<ActionRule> {
    let audience = requirement(
        &format!("{place}.audience"),
        Some(&action.audience),
        vocabulary,
    )?;
    let nothing = |list: &str, what: &str| {
        Error::invalid_parameter(format!("{place}.{list}"), what, "an empty list")
    };
    if action.offers.is_empty() {
        return Err(nothing("offers", "at least one offer"));
    }
    let ids: Vec<&str> = playbook.offers.iter().map(|o| o.id.as_str()).collect();
    let offers = references(&format!("{place}.offers"), &action.offers, &ids)?;
    let rivals = |j: usize| -> Vec<usize> {
        let before = 0..j;
        before
            .filter(|i| conflicts.contains(&(offers[*i], offers[j])))
            .collect()
    };
    let displaced_by = (0..offers.len()).map(rivals).collect();

    if action.channel_sets.is_empty() {
        return Err(nothing("channel_sets", "at least one set of channels"));
    }
    let ids: Vec<&str> = playbook.channels.iter().map(|c| c.id.as_str()).collect();
    let mut channel_sets = Vec::with_capacity(action.channel_sets.len());
    let mut seen = BTreeSet::new();
    for (k, set) in action.channel_sets.iter().enumerate() {
        let list = format!("channel_sets[{k}]");
        if set.is_empty() {
            return Err(nothing(&list, "at least one channel"));
        }
        let channels = references(&format!("{place}.{list}"), set, &ids)?;
        if !seen.insert(channels.iter().copied().collect::<BTreeSet<_>>()) {
            return Err(Error::invalid_parameter(
                format!("{place}.{list}"),
                "sets of channels that differ",
                format_args!("{} twice", set.join(" + ")),
            ));
        }
        channel_sets.push(channels);
    }
    Ok(ActionRule {
        audience,
        offers,
        displaced_by,
        channel_sets,
    })
}

/// Positions of the ids that a list names, each at most once.
fn references(place: &str, names: &[String], ids: &[&str]) -> Result<Vec<usize>> {
    let mut positions = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let place = format!("{place}[{i}]");
        match ids.iter().position(|id| id == name) {
            None => return Err(Error::unknown_name(place, name, ids)),
            Some(position) if positions.contains(&position) => {
                return Err(Error::invalid_parameter(
                    place,
                    "names that differ",
                    format_args!("{name:?} twice"),
                ));
            }
            Some(position) => positions.push(position),
        }
    }
    Ok(positions)
}
