//! The playbook: what can be done for whom, over which channels and at what cost, as data.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::conditions::Vocabulary;
use super::document::{line_in_json, line_in_toml};
use super::rules::Rules;
use crate::error::{Error, Result};
use crate::settings;
use crate::text::Text;

/// The version of the playbook format that this library reads.
const VERSION: u32 = 1;

/// What a shop can do to keep its customers: actions for audiences, made of offers and sent over
/// channels.
///
/// Conditions are texts in the language of [`Condition`](super::Condition); they are read and
/// checked when the playbook is loaded and again when it is matched.
///
/// # Example
/// ```
/// use churn_core::strategy::{Playbook, Vocabulary};
/// let vocabulary = Vocabulary::new().with_segmentation("risk_tier", &["low", "high"])?;
/// let text = r#"
/// version = 1
/// name = "Two steps"
/// currency = "EUR"
///
/// [[channels]]
/// id = "email"
/// name = { en = "E-mail", zh = "邮件" }
/// cost = 0.01
/// prior_response = 0.02
///
/// [[offers]]
/// id = "coupon"
/// name = { en = "Coupon", zh = "优惠券" }
/// text = { en = "10 off your next order", zh = "下单立减10元" }
/// cost = 10
///
/// [[actions]]
/// id = "win_back"
/// name = { en = "Win back", zh = "挽回" }
/// priority = 10
/// audience = "risk_tier == 'high' and churn_probability > 0.5"
/// offers = ["coupon"]
/// channel_sets = [["email"]]
/// response_value = 25
/// "#;
/// let playbook = Playbook::from_toml(text, &vocabulary)?;
/// assert_eq!(playbook.actions[0].priority, 10);
///
/// let wrong = text.replace("'high'", "'hgih'");
/// let error = Playbook::from_toml(&wrong, &vocabulary).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "playbook.actions[0].audience (line 22): expected one of low, high, \
///      got \"hgih\" at character 14",
/// );
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Version of the format: 1.
    pub version: u32,
    /// Name of the playbook.
    pub name: String,
    /// The currency that all costs and values are in, e.g. `"CNY"`; shown, never converted.
    pub currency: String,
    /// How a customer's action is chosen; by priority where left out.
    #[serde(default, skip_serializing_if = "ChooseBy::is_default")]
    pub choose_by: ChooseBy,
    /// Groups of offers (by id) of which one customer gets at most one; of offers in conflict the
    /// one that the action lists first is given.
    #[serde(default)]
    pub conflicts: Vec<Vec<String>>,
    /// The ways to reach a customer.
    pub channels: Vec<Channel>,
    /// What can be offered.
    pub offers: Vec<Offer>,
    /// What is done for whom.
    pub actions: Vec<Action>,
}

/// How a customer's action is chosen among those that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChooseBy {
    /// By [`Action::priority`]; a playbook in which an action never has its turn is refused.
    #[default]
    Priority,
    /// By expected profit under limits, with [`optimize`](super::optimize): priorities mean
    /// nothing, and any number of actions may compete for one audience.
    Profit,
}

impl ChooseBy {
    fn is_default(&self) -> bool {
        *self == ChooseBy::Priority
    }
}

/// A way to reach a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Id that actions refer to, e.g. `"sms"`.
    pub id: String,
    /// Name for readers.
    pub name: Text,
    /// Cost of one contact (currency).
    pub cost: f64,
    /// Condition that a customer must meet to be reached this way, e.g. consent or value;
    /// everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Share of contacts that are answered, from 0 to 1; stands in where nothing is known about
    /// a customer: the response feature is missing or undefined.
    pub prior_response: f64,
    /// Prefix of the feature with the customer's own response rate, `{feature}_response_rate`;
    /// the id where left out. A prefix that is given must lead to a feature that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
}

impl Channel {
    /// Name of the feature that holds the customer's own response rate.
    pub fn response_feature(&self) -> String {
        let prefix = self.feature.as_ref().unwrap_or(&self.id);
        format!("{prefix}_response_rate")
    }
}

/// Something given or shown to a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Id that actions refer to, e.g. `"coupon"`.
    pub id: String,
    /// Name for readers.
    pub name: Text,
    /// What the customer reads.
    pub text: Text,
    /// What it costs each time it is paid (currency).
    pub cost: f64,
    /// When it is paid; on a response where left out.
    #[serde(default, skip_serializing_if = "Paid::is_default")]
    pub paid: Paid,
    /// Condition that a customer must meet to be given it; everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
}

/// When an offer costs money.
///
/// Matching by priority plans all offers as paid on a response; [`optimize`](super::optimize)
/// tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paid {
    /// When the customer responds.
    #[default]
    OnResponse,
    /// When the customer buys, message or not: a price cut that also those take who would have
    /// stayed anyway.
    OnPurchase,
    /// As soon as it is given.
    Always,
}

impl Paid {
    fn is_default(&self) -> bool {
        *self == Paid::OnResponse
    }
}

/// What is done for one audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Id, unique among the actions.
    pub id: String,
    /// Name for readers.
    pub name: Text,
    /// Customers get the action of the highest priority that is open to them; among equal
    /// priorities the one that stands first in the playbook.
    pub priority: i32,
    /// Condition that says for whom it is.
    pub audience: String,
    /// Ids of its offers; those that the customer may have are given together.
    pub offers: Vec<String>,
    /// The combinations of channels (by id) that it may use; one of them is chosen per customer.
    pub channel_sets: Vec<Vec<String>>,
    /// What one response is worth, net of what its offers cost (currency). Where given, the
    /// channels are chosen for `response_value × chance of a response − cost of the contacts`;
    /// where left out, for the best chance of a response, the cheaper among equals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_value: Option<f64>,
    /// For each channel set the share of those about to leave who stay because of it, from −1 to
    /// 1: what [`optimize`](super::optimize) assumes before it knows better. A set of two channels
    /// may do more or less than its channels together. Where left out, it follows from the chance
    /// of a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saves: Option<Vec<f64>>,
}

impl Playbook {
    /// The default playbook as TOML text: a start to copy and to adapt.
    pub const DEFAULT_TOML: &str = include_str!("default_playbook.toml");

    /// The default playbook: high risk gets a high-value coupon and VIP service, medium risk
    /// personal recommendations, reminders and a tailored offer, low risk points and a better
    /// tier. Customers who have never bought get nothing: there is nobody to win back.
    ///
    /// It reads the features `orders` and `monetary_score` and the segmentations `risk_tier`
    /// (`low`, `medium`, `high`) and `rfm_segment` (`cant_lose`); response rates per channel where
    /// the shop has them. Its costs, values and prior response rates are assumptions to replace by
    /// the shop's own.
    ///
    /// # Errors
    /// `UnknownName`, with the line in [`DEFAULT_TOML`](Self::DEFAULT_TOML), where the vocabulary
    /// lacks one of these names.
    pub fn default_for(vocabulary: &Vocabulary) -> Result<Self> {
        Self::from_toml(Self::DEFAULT_TOML, vocabulary)
    }

    /// Loads a playbook from TOML text.
    ///
    /// # Errors
    /// With the place and the line: `InvalidParameter` for text that is not TOML, unknown or
    /// missing fields and everything that [`check`](Self::check) refuses; `UnknownName` for a
    /// reference to something that does not exist.
    pub fn from_toml(text: &str, vocabulary: &Vocabulary) -> Result<Self> {
        let playbook: Playbook = settings::from_toml("playbook", text)?;
        playbook.check(vocabulary).map_err(|error| {
            let line = line_in_toml(text, error.what());
            error.at_line(line)
        })?;
        Ok(playbook)
    }

    /// Loads a playbook from JSON text.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str, vocabulary: &Vocabulary) -> Result<Self> {
        let playbook: Playbook = settings::from_json("playbook", text)?;
        playbook.check(vocabulary).map_err(|error| {
            let line = line_in_json(text, error.what());
            error.at_line(line)
        })?;
        Ok(playbook)
    }

    /// The playbook as TOML text, which loads as an equal playbook.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::invalid_parameter("playbook", "values that TOML holds", error))
    }

    /// The playbook as JSON text, which loads as an equal playbook.
    ///
    /// # Errors
    /// `InvalidParameter` for a number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::invalid_parameter("playbook", "values that JSON holds", error))
    }

    /// Confirms that the playbook makes sense for a shop with these names.
    ///
    /// # Errors
    /// Naming the place, e.g. `playbook.actions[2].audience`:
    ///
    /// - `UnknownName` for a channel, offer, feature, segmentation or label that does not exist;
    /// - `InvalidParameter` for an empty text or list, an id, offer or channel that stands twice, a
    ///   cost or value that is negative or not finite, a response rate outside \[0, 1\], saves that
    ///   are not one share from −1 to 1 per channel set, and text
    ///   that is no condition;
    /// - `InvalidParameter` for what can never happen: a condition that no customer can meet, an
    ///   offer or channel set that nobody in the audience may have, an offer that a conflict with
    ///   the offers before it always removes, an action whose customers all go to actions before
    ///   it (unless the playbook chooses by profit).
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<()> {
        Rules::new(self, vocabulary).map(|_| ())
    }

    /// The names that its conditions read (not the response rates, which it can do without).
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn conditions_read(&self, vocabulary: &Vocabulary) -> Result<Vec<String>> {
        let mut rules = Rules::new(self, vocabulary)?;
        rules.channels.iter_mut().for_each(|rule| rule.rate = None);
        let explicit = self.channels.iter().filter(|c| c.feature.is_some());
        let mut names: Vec<String> = explicit.map(Channel::response_feature).collect();
        for (is_segmentation, position) in rules.reads() {
            names.push(match is_segmentation {
                true => vocabulary.segmentations()[position].name.clone(),
                false => vocabulary.numbers()[position].name.clone(),
            });
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Everything that can be checked without reading a condition.
    pub(crate) fn check_values(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid_parameter(
                "playbook.version",
                format_args!("version {VERSION}"),
                self.version,
            ));
        }
        check_text("playbook.name", &self.name)?;
        check_text("playbook.currency", &self.currency)?;
        check_ids("channels", self.channels.iter().map(|c| c.id.as_str()))?;
        check_ids("offers", self.offers.iter().map(|o| o.id.as_str()))?;
        check_ids("actions", self.actions.iter().map(|a| a.id.as_str()))?;
        for (i, channel) in self.channels.iter().enumerate() {
            let place = format!("playbook.channels[{i}]");
            check_texts(&format!("{place}.name"), &channel.name)?;
            check_money(&format!("{place}.cost"), channel.cost)?;
            if !(0.0..=1.0).contains(&channel.prior_response) {
                return Err(Error::invalid_parameter(
                    format!("{place}.prior_response"),
                    "a share from 0 to 1",
                    channel.prior_response,
                ));
            }
        }
        for (i, offer) in self.offers.iter().enumerate() {
            let place = format!("playbook.offers[{i}]");
            check_texts(&format!("{place}.name"), &offer.name)?;
            check_texts(&format!("{place}.text"), &offer.text)?;
            check_money(&format!("{place}.cost"), offer.cost)?;
        }
        for (i, action) in self.actions.iter().enumerate() {
            let place = format!("playbook.actions[{i}]");
            check_texts(&format!("{place}.name"), &action.name)?;
            if let Some(value) = action.response_value {
                check_money(&format!("{place}.response_value"), value)?;
            }
            if let Some(saves) = &action.saves {
                check_saves(&format!("{place}.saves"), saves, action.channel_sets.len())?;
            }
        }
        Ok(())
    }
}

fn check_saves(place: &str, saves: &[f64], sets: usize) -> Result<()> {
    if saves.len() != sets {
        return Err(Error::invalid_parameter(
            place,
            format_args!("one share per channel set, {sets}"),
            saves.len(),
        ));
    }
    match saves.iter().position(|s| !(-1.0..=1.0).contains(s)) {
        None => Ok(()),
        Some(set) => Err(Error::invalid_parameter(
            format!("{place}[{set}]"),
            "a share from -1 to 1",
            saves[set],
        )),
    }
}

fn check_text(place: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid_parameter(place, "a text", "an empty one"));
    }
    Ok(())
}

fn check_texts(place: &str, text: &Text) -> Result<()> {
    check_text(&format!("{place}.en"), &text.en)?;
    check_text(&format!("{place}.zh"), &text.zh)
}

fn check_money(place: &str, value: f64) -> Result<()> {
    if !(value.is_finite() && value >= 0.0) {
        return Err(Error::invalid_parameter(
            place,
            "a finite amount of at least 0",
            value,
        ));
    }
    Ok(())
}

fn check_ids<'a>(list: &str, ids: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for (i, id) in ids.enumerate() {
        let place = format!("playbook.{list}[{i}].id");
        check_text(&place, id)?;
        if !seen.insert(id) {
            return Err(Error::invalid_parameter(
                place,
                "ids that differ",
                format_args!("{id:?} twice"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::strategy::testing::vocabulary;

    #[test]
    fn default_covers_all_channels_and_what_the_tiers_call_for() {
        let playbook = Playbook::default_for(&vocabulary()).unwrap();
        let channels: Vec<&str> = playbook.channels.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(
            channels,
            ["one_to_one", "sms", "email", "push", "social", "phone"]
        );
        let used: HashSet<&str> = playbook
            .actions
            .iter()
            .flat_map(|a| a.channel_sets.iter().flatten())
            .map(String::as_str)
            .collect();
        assert_eq!(used.len(), channels.len());
        let offered: HashSet<&str> = playbook
            .actions
            .iter()
            .flat_map(|a| &a.offers)
            .map(String::as_str)
            .collect();
        assert_eq!(offered.len(), playbook.offers.len());
    }

    #[test]
    fn default_names_what_a_shop_lacks() {
        let error = Playbook::default_for(&Vocabulary::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert_eq!(error.what(), "playbook.channels[5].requires");
        let line = Playbook::DEFAULT_TOML
            .lines()
            .nth(error.line().unwrap() as usize - 1);
        assert!(line.unwrap().starts_with("requires = "), "{error}");
    }

    #[test]
    fn both_forms_round_trip() {
        let playbook = Playbook::default_for(&vocabulary()).unwrap();
        let toml = playbook.to_toml().unwrap();
        let json = playbook.to_json().unwrap();
        assert_eq!(Playbook::from_toml(&toml, &vocabulary()).unwrap(), playbook);
        assert_eq!(Playbook::from_json(&json, &vocabulary()).unwrap(), playbook);
    }

    #[test]
    fn shape_mistakes_have_their_line_in_both_forms() {
        let toml = Playbook::DEFAULT_TOML.replacen("prior_response", "prior_respons", 1);
        let error = Playbook::from_toml(&toml, &vocabulary()).unwrap_err();
        assert!(error.got().contains("prior_respons"), "{error}");
        let wrong = toml.lines().nth(error.line().unwrap() as usize - 1);
        assert_eq!(wrong, Some("prior_respons = 0.08"), "{error}");

        let json = Playbook::default_for(&vocabulary())
            .unwrap()
            .to_json()
            .unwrap()
            .replacen("\"cost\": 0.2", "\"cost\": \"cheap\"", 1);
        let error = Playbook::from_json(&json, &vocabulary()).unwrap_err();
        let wrong = json
            .lines()
            .nth(error.line().unwrap() as usize - 1)
            .unwrap();
        assert!(wrong.contains("cheap"), "{error}");

        let error = Playbook::from_toml("version = ", &vocabulary()).unwrap_err();
        assert_eq!((error.what(), error.line()), ("playbook", Some(1)));
    }
}
