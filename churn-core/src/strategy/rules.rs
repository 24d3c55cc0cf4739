//! A playbook with all references looked up and all conditions resolved, and the proof that each
//! of its parts can be reached.

use std::collections::BTreeSet;

use super::conditions::{Answer, Condition, Formula, Term, Values, Vocabulary, can_hold};
use super::playbook::{Action, ChooseBy, Playbook};
use crate::error::{Error, Result};

/// Formulas of displaced offers double with every rival; beyond this size they count as possible.
const MAX_RIVALRY: usize = 5_000;

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
        if playbook.choose_by == ChooseBy::Priority {
            rules.check_order(playbook, vocabulary)?;
        }
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
        // Who is given each offer: those who may have it and are given none of its rivals.
        let mut given: Vec<Formula> = Vec::with_capacity(rule.offers.len());
        for (j, offer) in rule.offers.iter().enumerate() {
            let place = format!("{place}.offers[{j}]");
            let requires = &self.offers[*offer];
            if let Answer::Never(why) = with_audience(requires) {
                return Err(Error::invalid_parameter(
                    place,
                    "an offer that someone in the audience may have",
                    why,
                ));
            }
            let rivals = &rule.displaced_by[j];
            if rivals.iter().map(|i| given[*i].size()).sum::<usize>() > MAX_RIVALRY {
                // Too many to tell: this offer counts as one that displaces nobody.
                given.push(Formula::Any(Vec::new()));
                continue;
            }
            let mut parts = vec![requires.clone()];
            parts.extend(rivals.iter().map(|i| given[*i].complement()));
            given.push(Formula::All(parts));
            if with_audience(&given[j]) != Answer::Possible {
                let id = |position: &usize| playbook.offers[rule.offers[*position]].id.as_str();
                let rivals: Vec<&str> = rivals.iter().map(id).collect();
                return Err(Error::invalid_parameter(
                    place,
                    "offers that go together",
                    format_args!(
                        "{:?}, which is in conflict with {} before it",
                        id(&j),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{self, InvalidParameter, UnknownName};
    use crate::strategy::testing::vocabulary;

    /// Loads the changed default playbook from both forms: same error, and in each document at a
    /// line that contains `on`.
    fn refused(
        change: impl FnOnce(&mut Playbook),
        kind: ErrorKind,
        place: &str,
        on: &str,
        message: &str,
    ) {
        let mut playbook = Playbook::default_for(&vocabulary()).unwrap();
        change(&mut playbook);
        let toml = playbook.to_toml().unwrap();
        let json = playbook.to_json().unwrap();
        let from_toml = Playbook::from_toml(&toml, &vocabulary()).unwrap_err();
        let from_json = Playbook::from_json(&json, &vocabulary()).unwrap_err();
        for (text, error) in [(toml, from_toml), (json, from_json)] {
            assert_eq!(error.what(), place, "{error}");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(message), "{error}");
            let line = error.line().unwrap() as usize;
            let line = text.lines().nth(line - 1).unwrap();
            assert!(line.contains(on), "{error}: {line}");
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn values_outside_their_domain() {
        let invalid = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, InvalidParameter, place, on, message);
        };
        invalid(
            |p| p.version = 2,
            "playbook.version",
            "version",
            "version 1, got 2",
        );
        invalid(|p| p.name.clear(), "playbook.name", "name", "a text");
        invalid(
            |p| p.offers[1].text.zh = "  ".into(),
            "playbook.offers[1].text.zh",
            "zh",
            "a text, got an empty one",
        );
        invalid(
            |p| p.channels[2].cost = -1.0,
            "playbook.channels[2].cost",
            "cost",
            "got -1",
        );
        invalid(
            |p| p.channels[4].prior_response = 1.5,
            "playbook.channels[4].prior_response",
            "1.5",
            "from 0 to 1, got 1.5",
        );
        invalid(
            |p| p.actions[3].response_value = Some(-2.0),
            "playbook.actions[3].response_value",
            "-2",
            "at least 0",
        );
        invalid(
            |p| p.actions[2].id = "win_back".into(),
            "playbook.actions[2].id",
            "win_back",
            "\"win_back\" twice",
        );
    }

    #[test]
    fn costs_must_be_finite() {
        let toml = Playbook::DEFAULT_TOML.replacen("cost = 5\n", "cost = inf\n", 1);
        let error = Playbook::from_toml(&toml, &vocabulary()).unwrap_err();
        assert_eq!(error.what(), "playbook.channels[5].cost");
        let line = toml.lines().nth(error.line().unwrap() as usize - 1);
        assert_eq!(line, Some("cost = inf"));
    }

    #[test]
    fn references_to_nothing() {
        let unknown = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, UnknownName, place, on, message);
        };
        unknown(
            |p| p.actions[1].offers[1] = "cupon".into(),
            "playbook.actions[1].offers[1]",
            "cupon",
            "\"cupon\"",
        );
        unknown(
            |p| p.actions[2].channel_sets[1][1] = "fax".into(),
            "playbook.actions[2].channel_sets[1][1]",
            "fax",
            "one of one_to_one, sms, email, push, social, phone, got \"fax\"",
        );
        unknown(
            |p| p.conflicts[1][2] = "gift".into(),
            "playbook.conflicts[1][2]",
            "gift",
            "\"gift\"",
        );
        unknown(
            |p| p.channels[1].feature = Some("text".into()),
            "playbook.channels[1].feature",
            "text",
            "\"text_response_rate\"",
        );
        unknown(
            |p| p.actions[3].audience = "risk_teir == 'low'".into(),
            "playbook.actions[3].audience",
            "risk_teir",
            "risk_tier",
        );
        unknown(
            |p| p.offers[0].requires = Some("lifecycle == 'slippng'".into()),
            "playbook.offers[0].requires",
            "slippng",
            "slipping, lapsed, lost, won_back, got \"slippng\" at character 14",
        );
    }

    #[test]
    fn conditions_that_are_none_or_never_hold() {
        let invalid = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, InvalidParameter, place, on, message);
        };
        invalid(
            |p| p.actions[2].audience = "orders > 3 &".into(),
            "playbook.actions[2].audience",
            "orders > 3 &",
            "expected `and`, got `&` at character 12",
        );
        invalid(
            |p| p.channels[5].requires = Some("churn_probability > 1.2".into()),
            "playbook.channels[5].requires",
            "1.2",
            "though churn_probability is from 0 to 1",
        );
        invalid(
            |p| p.actions[0].audience = "orders > 5 and orders < 3".into(),
            "playbook.actions[0].audience",
            "orders > 5 and orders < 3",
            "`orders > 5` and `orders < 3`, which exclude each other",
        );
    }

    #[test]
    fn lists_that_are_empty_or_repeat() {
        let invalid = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, InvalidParameter, place, on, message);
        };
        invalid(
            |p| p.actions[1].channel_sets.clear(),
            "playbook.actions[1].channel_sets",
            "channel_sets",
            "at least one set of channels",
        );
        invalid(
            |p| p.actions[1].channel_sets[2].clear(),
            "playbook.actions[1].channel_sets[2]",
            "",
            "at least one channel, got an empty list",
        );
        invalid(
            |p| p.actions[1].offers.clear(),
            "playbook.actions[1].offers",
            "offers",
            "at least one offer",
        );
        invalid(
            |p| p.actions[1].channel_sets[1] = texts(&["sms", "one_to_one"]),
            "playbook.actions[1].channel_sets[1]",
            "",
            "sms + one_to_one twice",
        );
        invalid(
            |p| p.actions[1].channel_sets[0] = texts(&["sms", "sms"]),
            "playbook.actions[1].channel_sets[0][1]",
            "sms",
            "\"sms\" twice",
        );
        invalid(
            |p| p.conflicts[0] = texts(&["winback_coupon"]),
            "playbook.conflicts[0]",
            "",
            "at least two offers, got 1",
        );
    }

    #[test]
    fn parts_that_nobody_can_be_given() {
        let invalid = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, InvalidParameter, place, on, message);
        };
        // Tailored offer and win-back coupon are in conflict, and neither requires anything.
        invalid(
            |p| p.actions[1].offers.push("tailored_offer".into()),
            "playbook.actions[1].offers[2]",
            "tailored_offer",
            "\"tailored_offer\", which is in conflict with high_value_coupon, winback_coupon",
        );
        invalid(
            |p| p.offers[8].requires = Some("risk_tier == 'high'".into()),
            "playbook.actions[3].offers[1]",
            "tier_upgrade",
            "someone in the audience may have",
        );
        invalid(
            |p| p.channels[3].requires = Some("risk_tier != 'low'".into()),
            "playbook.actions[3].channel_sets[0]",
            "",
            "someone in the audience can be reached by",
        );
    }

    #[test]
    fn actions_that_never_have_their_turn() {
        let invalid = |change: fn(&mut Playbook), place: &str, on: &str, message: &str| {
            refused(change, InvalidParameter, place, on, message);
        };
        invalid(
            |p| {
                p.actions[3].audience = "orders > 4 and risk_tier == 'high'".into();
                p.actions[3].priority = 90;
            },
            "playbook.actions[3].audience",
            "orders > 4",
            "an audience that goes to win_back as a whole",
        );
        invalid(
            |p| {
                p.actions[3].audience = "orders > 4 and risk_tier in ['medium', 'high']".into();
            },
            "playbook.actions[3].audience",
            "orders > 4",
            "goes to vip_rescue and win_back and re_engage as a whole",
        );
        // The same audience is fine once those before it leave someone.
        let mut playbook = Playbook::default_for(&vocabulary()).unwrap();
        playbook.actions[3].audience = "risk_tier == 'high'".into();
        playbook.check(&vocabulary()).unwrap();
        playbook.actions[3].audience = playbook.actions[1].audience.clone();
        playbook.offers[1].requires = Some("total_value > 10".into());
        playbook.check(&vocabulary()).unwrap();
    }

    #[test]
    fn alternatives_in_conflict_are_allowed() {
        let mut playbook = Playbook::default_for(&vocabulary()).unwrap();
        playbook.offers[1].requires = Some("total_value > 10".into());
        playbook.actions[1].offers.push("tailored_offer".into());
        playbook.check(&vocabulary()).unwrap();
    }
}
