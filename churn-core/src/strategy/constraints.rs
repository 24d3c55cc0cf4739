//! The limits that a plan keeps: money, messages, offers, shares of segments, who is left alone.
//!
//! All counts are of customers: one who is contacted over two channels counts once for each. What
//! the limits speak of is looked up and checked before anything is computed, so that a mistake
//! names its place.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::conditions::{Condition, Formula};
use super::effects::SegmentName;
use super::facts::Facts;
use super::holdout::Holdout;
use super::playbook::Playbook;
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};

/// Limits of a plan; all may be left out.
///
/// # Example
/// ```
/// use churn_core::strategy::Constraints;
/// let constraints: Constraints = churn_core::settings::from_toml("constraints", r#"
///     budget = 5000
///     days = 7
///     channels = [{ channel = "sms", max_per_day = 400 }]
///     offers = [{ offer = "high_value_coupon", max = 200 }]
///     segments = [
///         { segmentation = "risk_tier", label = "low", of = "plan", max_share = 0.2 },
///     ]
///     needs = [{ offer = "personal_adviser", needs = "high_value_coupon" }]
///     exclude_where = "complaints_90d > 0"
/// "#)?;
/// assert_eq!(constraints.days, 7);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constraints {
    /// What contacts and, by expectation, offers may cost together (currency), above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Days that the plan is spread over, 1 to 366: with daily capacities each customer gets a day.
    pub days: u32,
    /// Most customers who may get an action, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_customers: Option<u64>,
    /// Limits per channel.
    pub channels: Vec<ChannelLimit>,
    /// Limits per offer.
    pub offers: Vec<OfferLimit>,
    /// Limits per action.
    pub actions: Vec<ActionLimit>,
    /// Shares of segments.
    pub segments: Vec<SegmentLimit>,
    /// Offers that are given only where another one is.
    pub needs: Vec<Need>,
    /// Customers who get no action, by id. Ids that are not among the customers change nothing, so
    /// that a suppression list can be handed over as it is.
    pub exclude: Vec<Id>,
    /// Condition under which customers get no action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_where: Option<String>,
    /// Customers who are left alone for comparison, by id; treated like those excluded, and told
    /// apart in the answer.
    pub hold_out: Vec<Id>,
    /// Customers who are left alone for comparison, by lot: those whom a contact policy with the same
    /// salt and share holds out. Adds to the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_out_by: Option<Holdout>,
}

impl Default for Constraints {
    fn default() -> Self {
        Constraints {
            budget: None,
            days: 1,
            max_customers: None,
            channels: Vec::new(),
            offers: Vec::new(),
            actions: Vec::new(),
            segments: Vec::new(),
            needs: Vec::new(),
            exclude: Vec::new(),
            exclude_where: None,
            hold_out: Vec::new(),
            hold_out_by: None,
        }
    }
}

/// How many customers may be contacted over a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLimit {
    /// Id of the channel.
    pub channel: String,
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// At most so many on each of the plan's days, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_day: Option<u64>,
}

/// How many customers may be given an offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferLimit {
    /// Id of the offer.
    pub offer: String,
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// How many customers may get an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionLimit {
    /// Id of the action.
    pub action: String,
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// What share a segment has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentLimit {
    /// Name of the segmentation, e.g. `"risk_tier"`.
    pub segmentation: String,
    /// Label of the segment, e.g. `"high"`.
    pub label: String,
    /// Of what the share is.
    #[serde(default)]
    pub of: ShareOf,
    /// At least this share, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_share: Option<f64>,
    /// At most this share, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<f64>,
}

/// Of what a share is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareOf {
    /// Of the segment's customers, those who get an action. Customers excluded or held out do not
    /// count.
    #[default]
    Segment,
    /// Of the customers who get an action, those who are in the segment.
    Plan,
}

/// "Never B without A": an offer that is given only where another one is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Id of the offer that is bound (B).
    pub offer: String,
    /// Id of the offer that it needs (A).
    pub needs: String,
    /// Where the other one has to be.
    #[serde(default)]
    pub within: Scope,
    /// With `within = "customer"`: a condition under which B may be given without A, e.g. that the
    /// customer has had A before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
}

/// Where "never B without A" holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Whoever is given B is given A together with it; an option with B alone is closed.
    #[default]
    Customer,
    /// No more customers of the plan are given B than A.
    Plan,
}

/// A customer's id in settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A signed integer.
    Int(i64),
    /// An integer beyond the signed ones.
    Uint(u64),
    /// A text.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Int(id) => id.fmt(f),
            Id::Uint(id) => id.fmt(f),
            Id::Text(id) => f.write_str(id),
        }
    }
}

impl Constraints {
    /// Confirms all that can be checked without customers.
    ///
    /// # Errors
    /// Naming the place, e.g. `constraints.offers[0].max`: `UnknownName` for a channel, offer or
    /// action that the playbook does not have; `InvalidParameter` for a budget that is not finite
    /// and above 0, a cap of 0, days outside 1 to 366, a share outside \[0, 1\], a limit that says
    /// nothing, a held-out share that is not above 0 and below 1, the same channel, offer, action or segment twice, an offer that needs itself, and
    /// for limits that contradict each other: a minimum above the maximum, minimum shares of one
    /// plan that add up to more than 1.
    pub fn check(&self, playbook: &Playbook) -> Result<()> {
        if let Some(budget) = self.budget
            && !(budget.is_finite() && budget > 0.0)
        {
            return Err(Error::invalid_parameter(
                "constraints.budget",
                "a finite amount above 0",
                budget,
            ));
        }
        if !(1..=366).contains(&self.days) {
            return Err(Error::invalid_parameter(
                "constraints.days",
                "1 to 366",
                self.days,
            ));
        }
        check_cap("constraints.max_customers", self.max_customers)?;
        if let Some(holdout) = &self.hold_out_by {
            holdout.check("constraints.hold_out_by")?;
        }
        let names = playbook.channels.iter().map(|c| c.id.as_str());
        let known: Vec<&str> = names.collect();
        let ids: Vec<&str> = self.channels.iter().map(|l| l.channel.as_str()).collect();
        check_names("channels", "channel", &ids, &known)?;
        for (i, limit) in self.channels.iter().enumerate() {
            let place = format!("constraints.channels[{i}]");
            check_cap(&format!("{place}.max_per_day"), limit.max_per_day)?;
            let daily = limit
                .max_per_day
                .map(|max| max.saturating_mul(u64::from(self.days)));
            if daily.is_none() {
                check_range(&place, limit.min, limit.max)?;
                continue;
            }
            check_cap(&format!("{place}.max"), limit.max)?;
            check_order(&place, limit.min, limit.max)?;
            check_order(&place, limit.min, daily)?;
        }
        let known: Vec<&str> = playbook.offers.iter().map(|o| o.id.as_str()).collect();
        let ids: Vec<&str> = self.offers.iter().map(|l| l.offer.as_str()).collect();
        check_names("offers", "offer", &ids, &known)?;
        for (i, limit) in self.offers.iter().enumerate() {
            check_range(&format!("constraints.offers[{i}]"), limit.min, limit.max)?;
        }
        for (i, need) in self.needs.iter().enumerate() {
            let place = format!("constraints.needs[{i}]");
            for (field, id) in [("offer", &need.offer), ("needs", &need.needs)] {
                if !known.contains(&id.as_str()) {
                    return Err(Error::unknown_name(format!("{place}.{field}"), id, &known));
                }
            }
            if need.offer == need.needs {
                return Err(Error::invalid_parameter(
                    format!("{place}.needs"),
                    "another offer",
                    format_args!("{:?} itself", need.needs),
                ));
            }
            if need.within == Scope::Plan && need.unless.is_some() {
                return Err(Error::invalid_parameter(
                    format!("{place}.unless"),
                    "a condition on customers only where the rule is within the customer",
                    "one within the plan",
                ));
            }
        }
        let known: Vec<&str> = playbook.actions.iter().map(|a| a.id.as_str()).collect();
        let ids: Vec<&str> = self.actions.iter().map(|l| l.action.as_str()).collect();
        check_names("actions", "action", &ids, &known)?;
        for (i, limit) in self.actions.iter().enumerate() {
            check_range(&format!("constraints.actions[{i}]"), limit.min, limit.max)?;
        }
        self.check_segments()
    }

    fn check_segments(&self) -> Result<()> {
        for (i, limit) in self.segments.iter().enumerate() {
            let place = format!("constraints.segments[{i}]");
            for (field, share) in [
                ("min_share", limit.min_share),
                ("max_share", limit.max_share),
            ] {
                if let Some(share) = share
                    && !(0.0..=1.0).contains(&share)
                {
                    return Err(Error::invalid_parameter(
                        format!("{place}.{field}"),
                        "a share from 0 to 1",
                        share,
                    ));
                }
            }
            match (limit.min_share, limit.max_share) {
                (None, None) => {
                    return Err(Error::invalid_parameter(
                        place,
                        "min_share or max_share",
                        "neither",
                    ));
                }
                (Some(min), Some(max)) if min > max => {
                    return Err(Error::invalid_parameter(
                        format!("{place}.min_share"),
                        format_args!("at most max_share, {max}"),
                        min,
                    ));
                }
                _ => {}
            }
            let same = |other: &&SegmentLimit| {
                (&other.segmentation, &other.label, other.of)
                    == (&limit.segmentation, &limit.label, limit.of)
            };
            if self.segments[..i].iter().any(|other| same(&other)) {
                return Err(Error::invalid_parameter(
                    place,
                    "segments that differ",
                    format_args!("{} {:?} twice", limit.segmentation, limit.label),
                ));
            }
            if limit.of == ShareOf::Plan {
                let before = self.segments[..=i].iter();
                let rivals = before.filter(|other| {
                    other.of == ShareOf::Plan && other.segmentation == limit.segmentation
                });
                let total: f64 = rivals.filter_map(|other| other.min_share).sum();
                if total > 1.0 + 1e-9 {
                    return Err(Error::invalid_parameter(
                        format!("{place}.min_share"),
                        format_args!(
                            "shares of the plan that add up to 1 at most over {}",
                            limit.segmentation
                        ),
                        (total * 1e9).round() / 1e9,
                    ));
                }
            }
        }
        Ok(())
    }

    /// Looks up what depends on the customers and their facts.
    pub(crate) fn resolve(&self, playbook: &Playbook, facts: &Facts<'_>) -> Result<Resolved> {
        self.check(playbook)?;
        let mut segments = Vec::with_capacity(self.segments.len());
        for (i, limit) in self.segments.iter().enumerate() {
            let name = SegmentName {
                segmentation: limit.segmentation.clone(),
                label: limit.label.clone(),
            };
            segments.push(name.find(&format!("constraints.segments[{i}]"), facts)?);
        }
        self.check_caps_leave_room(facts)?;
        let condition = |place: String, text: &Option<String>| -> Result<Option<Formula>> {
            match text {
                None => Ok(None),
                Some(text) => {
                    let condition = Condition::parse_at(&place, text)?;
                    condition.resolve(&place, facts.vocabulary()).map(Some)
                }
            }
        };
        let offer = |id: &String| playbook.offers.iter().position(|offer| offer.id == *id);
        let mut needs = Vec::new();
        for (i, need) in self.needs.iter().enumerate() {
            let unless = condition(format!("constraints.needs[{i}].unless"), &need.unless)?;
            if let (Some(bound), Some(needed)) = (offer(&need.offer), offer(&need.needs)) {
                needs.push((bound, needed, need.within, unless));
            }
        }
        let customers = facts.customers();
        let mut held_out = rows("constraints.hold_out", &self.hold_out, customers)?;
        if let Some(holdout) = &self.hold_out_by {
            held_out.resize(customers.len(), false);
            let drawn = holdout.assign(customers)?;
            held_out
                .iter_mut()
                .zip(drawn)
                .for_each(|(held, drawn)| *held |= drawn);
        }
        Ok(Resolved {
            segments,
            needs,
            exclude_where: condition("constraints.exclude_where".to_owned(), &self.exclude_where)?,
            excluded: rows("constraints.exclude", &self.exclude, customers)?,
            held_out,
        })
    }

    /// Maximum shares of one plan over all labels of a segmentation must add up to 1 at least, or
    /// only the empty plan keeps them.
    fn check_caps_leave_room(&self, facts: &Facts<'_>) -> Result<()> {
        for segmentation in facts.vocabulary().segmentations() {
            let of_plan = |limit: &&SegmentLimit| {
                limit.of == ShareOf::Plan && limit.segmentation == segmentation.name
            };
            let caps = self.segments.iter().filter(of_plan);
            let caps: Vec<f64> = caps.filter_map(|limit| limit.max_share).collect();
            let total: f64 = caps.iter().sum();
            if caps.len() == segmentation.labels.len() && total < 1.0 - 1e-9 {
                let last = self.segments.iter().rposition(|limit| of_plan(&limit));
                return Err(Error::invalid_parameter(
                    format!("constraints.segments[{}].max_share", last.unwrap_or(0)),
                    format_args!(
                        "shares of the plan that add up to 1 at least over all of {}",
                        segmentation.name
                    ),
                    total,
                ));
            }
        }
        Ok(())
    }
}

/// Constraints with names looked up.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// Segmentation and label of each segment limit.
    pub(crate) segments: Vec<(usize, u32)>,
    /// Bound offer, needed offer, scope, exception.
    pub(crate) needs: Vec<(usize, usize, Scope, Option<Formula>)>,
    pub(crate) exclude_where: Option<Formula>,
    /// Whether each customer is on the list; empty where there is no list.
    pub(crate) excluded: Vec<bool>,
    pub(crate) held_out: Vec<bool>,
}

fn rows(place: &str, ids: &[Id], customers: &Customers) -> Result<Vec<bool>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut listed = vec![false; customers.len()];
    for (i, id) in ids.iter().enumerate() {
        let Some(first) = customers.iter().next() else {
            break;
        };
        let found = match (first, id) {
            (CustomerId::Text(_), Id::Text(id)) => customers.find(id.as_str()),
            (CustomerId::Int(_), Id::Int(id)) => customers.find(*id),
            (CustomerId::Uint(_), Id::Uint(id)) => customers.find(*id),
            (CustomerId::Uint(_), Id::Int(id)) => match u64::try_from(*id) {
                Ok(id) => customers.find(id),
                Err(_) => None,
            },
            // Beyond the signed integers there is no customer of a signed table.
            (CustomerId::Int(_), Id::Uint(_)) => None,
            _ => {
                return Err(Error::invalid_value(
                    place,
                    i,
                    format_args!("an id of the customers' type, such as {first}"),
                    id,
                ));
            }
        };
        if let Some(row) = found {
            listed[row] = true;
        }
    }
    Ok(listed)
}

fn check_cap(place: &str, cap: Option<u64>) -> Result<()> {
    match cap {
        Some(0) => Err(Error::invalid_parameter(place, "at least 1", 0)),
        _ => Ok(()),
    }
}

fn check_order(place: &str, min: Option<u64>, max: Option<u64>) -> Result<()> {
    match (min, max) {
        (Some(min), Some(max)) if min > max => Err(Error::invalid_parameter(
            format!("{place}.min"),
            format_args!("at most {max}, the maximum"),
            min,
        )),
        _ => Ok(()),
    }
}

fn check_range(place: &str, min: Option<u64>, max: Option<u64>) -> Result<()> {
    check_cap(&format!("{place}.max"), max)?;
    if min.is_none() && max.is_none() {
        return Err(Error::invalid_parameter(place, "a limit", "none"));
    }
    check_order(place, min, max)
}

fn check_names(list: &str, field: &str, ids: &[&str], known: &[&str]) -> Result<()> {
    for (i, id) in ids.iter().enumerate() {
        if !known.contains(id) {
            let place = format!("constraints.{list}[{i}].{field}");
            return Err(Error::unknown_name(place, id, known));
        }
        if ids[..i].contains(id) {
            return Err(Error::invalid_parameter(
                format!("constraints.{list}[{i}].{field}"),
                format_args!("{list} that differ"),
                format_args!("{id:?} twice"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;
    use crate::strategy::testing::{AT_RISK, Shop};

    fn refused(json: &str, message: &str) {
        let shop = Shop::new(&[AT_RISK; 2]);
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let error = settings::from_json::<Constraints>("constraints", json)
            .and_then(|constraints| constraints.resolve(&playbook, &facts).map(|_| ()))
            .unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }

    #[test]
    fn mistakes_name_the_place() {
        for (json, message) in [
            (
                r#"{"budget": 0}"#,
                "constraints.budget: expected a finite amount above 0, got 0",
            ),
            (r#"{"budget": -5}"#, "constraints.budget: "),
            (
                r#"{"days": 0}"#,
                "constraints.days: expected 1 to 366, got 0",
            ),
            (
                r#"{"max_customers": 0}"#,
                "constraints.max_customers: expected at least 1, got 0",
            ),
            (
                r#"{"channels": [{"channel": "fax", "max": 3}]}"#,
                "constraints.channels[0].channel: expected one of one_to_one, sms, email",
            ),
            (
                r#"{"channels": [{"channel": "sms", "max": 0}]}"#,
                "constraints.channels[0].max: expected at least 1, got 0",
            ),
            (
                r#"{"channels": [{"channel": "sms", "max": -4}]}"#,
                "constraints (line 1): expected valid settings in JSON, got invalid value",
            ),
            (
                r#"{"days": 2, "channels": [{"channel": "sms", "min": 9, "max_per_day": 4}]}"#,
                "constraints.channels[0].min: expected at most 8, the maximum, got 9",
            ),
            (
                r#"{"offers": [{"offer": "winback_coupon"}]}"#,
                "constraints.offers[0]: expected a limit, got none",
            ),
            (
                r#"{"offers": [{"offer": "winback_coupon", "min": 3, "max": 2}]}"#,
                "constraints.offers[0].min: expected at most 2, the maximum, got 3",
            ),
            (
                r#"{"actions": [{"action": "win_back", "max": 2}, {"action": "win_back", "min": 1}]}"#,
                "constraints.actions[1].action: expected actions that differ, got \"win_back\" twice",
            ),
            (
                r#"{"segments": [{"segmentation": "risk_tier", "label": "hihg", "max_share": 0.5}]}"#,
                "constraints.segments[0].label: expected one of low, medium, high, got \"hihg\"",
            ),
            (
                r#"{"segments": [{"segmentation": "risk_tier", "label": "high", "max_share": 1.5}]}"#,
                "constraints.segments[0].max_share: expected a share from 0 to 1, got 1.5",
            ),
            (
                r#"{"segments": [
                    {"segmentation": "risk_tier", "label": "high", "of": "plan", "min_share": 0.7},
                    {"segmentation": "risk_tier", "label": "low", "of": "plan", "min_share": 0.4}]}"#,
                "constraints.segments[1].min_share: expected shares of the plan that add up to 1",
            ),
            (
                r#"{"segments": [
                    {"segmentation": "risk_tier", "label": "high", "of": "plan", "max_share": 0.2},
                    {"segmentation": "risk_tier", "label": "low", "of": "plan", "max_share": 0.4},
                    {"segmentation": "risk_tier", "label": "medium", "of": "plan", "max_share": 0.3}]}"#,
                "constraints.segments[2].max_share: expected shares of the plan that add up to 1",
            ),
            (
                r#"{"needs": [{"offer": "tier_upgrade", "needs": "tier_upgrade"}]}"#,
                "constraints.needs[0].needs: expected another offer",
            ),
            (
                r#"{"exclude_where": "compliants > 0"}"#,
                "constraints.exclude_where: ",
            ),
            (
                r#"{"exclude": [3, "ann"]}"#,
                "constraints.exclude[1]: expected an id of the customers' type, such as 0",
            ),
        ] {
            refused(json, message);
        }
    }

    #[test]
    fn suppression_lists_may_name_strangers() {
        let customers = Customers::from_ints([3, 5]);
        let ids = [Id::Int(5), Id::Int(99), Id::Uint(u64::MAX)];
        assert_eq!(
            rows("constraints.exclude", &ids, &customers).unwrap(),
            [false, true]
        );
        let read: Vec<Id> = serde_json::from_str(r#"[5, "a", 18446744073709551615]"#).unwrap();
        assert_eq!(read[2], Id::Uint(u64::MAX));
    }
}
