//! What an action changes: the difference it makes to the probability that a customer stays.
//!
//! The idea: what counts is not who is likely to leave, nor who is likely to answer, but whose mind
//! an action changes. For each customer and each option (an action over one of its channel sets,
//! which is a treatment of its own: SMS with a one-to-one message may do more or less than both
//! together) the best knowledge at hand is taken, and every number says where it is from:
//!
//! 1. an **uplift estimate** for this customer, from a model learned on an experiment;
//! 2. what was **observed** in the customer's segment, drawn towards the prior where data are few;
//! 3. the playbook's **prior**.
//!
//! **Prior.** Δ = churn · saves, with `saves` the share of those about to leave who stay because
//! of it: the playbook's [`Action::saves`](super::Action::saves), or, where it has none, the
//! chance of a response (1 − Π (1 − rate) over the channels) times `saved_per_response`.
//!
//! **Observed.** Of `treated` members of a segment `treated_stayed` stayed, of `control` members
//! left alone `control_stayed`. Both rates have a Beta prior of weight `prior_strength` s (the
//! beta-binomial model; Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4) around what
//! scores and playbook expect of the segment, p₀ without and p₀ + δ₀ with the action:
//!
//! Δ = (treated_stayed + s (p₀ + δ₀)) / (treated + s) − (control_stayed + s p₀) / (control + s)
//!
//! Each member's own prior is moved by Δ − δ₀: the segment corrects the level, and who in the
//! segment is more at risk still counts.
//!
//! A change can bring the probability of staying neither below 0 nor above 1, and is cut there.
//!
//! Not for telling whether an action works at all: priors are opinions, and a comparison of those
//! who were contacted with those who were not is an experiment only if chance decided who was.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::conditions::{Term, Values};
use super::facts::Facts;
use super::matching::{Prospect, check_rates, prospect};
use super::playbook::Playbook;
use super::rules::Rules;
use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::AsOf;

/// Where the change that an action makes is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectSource {
    /// An uplift estimate for the customer.
    Uplift,
    /// What was observed in the customer's segment.
    Observed,
    /// The playbook's prior.
    Playbook,
}

impl EffectSource {
    /// The name: `uplift`, `observed` or `playbook`.
    pub fn name(self) -> &'static str {
        match self {
            EffectSource::Uplift => "uplift",
            EffectSource::Observed => "observed",
            EffectSource::Playbook => "playbook",
        }
    }
}

/// What is assumed and what was observed about the changes that actions make.
///
/// # Example
/// ```
/// use churn_core::strategy::EffectSettings;
/// let settings: EffectSettings = churn_core::settings::from_toml("effects", r#"
///     prior_strength = 200
///     [[observed]]
///     action = "win_back"
///     channels = ["sms"]
///     segment = { segmentation = "risk_tier", label = "high" }
///     treated = 1200
///     treated_stayed = 210
///     control = 800
///     control_stayed = 108
/// "#)?;
/// assert_eq!(settings.observed[0].treated, 1200);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EffectSettings {
    /// Of those about to leave who answer a message, the share who stay because of it, from 0 to
    /// 1. An assumption, to be replaced by the shop's own experience.
    pub saved_per_response: f64,
    /// How many observed customers the prior weighs as much as; 0 trusts observations alone. The
    /// default lets a rate of 80 % differ from what is expected by some 1.3 points: actions change
    /// minds by a few points at most, and chance alone gives a group of 100 more than that.
    pub prior_strength: f64,
    /// What was observed. Of several that fit a customer, action and channels the first counts.
    pub observed: Vec<ObservedResponse>,
}

impl Default for EffectSettings {
    fn default() -> Self {
        EffectSettings {
            saved_per_response: 0.2,
            prior_strength: 1_000.0,
            observed: Vec::new(),
        }
    }
}

/// How many stayed of those who got an action and of those who were left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedResponse {
    /// Id of the action.
    pub action: String,
    /// One of the action's channel sets; all of them where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// The segment that was observed; everyone where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
    /// Customers who got the action, at least 1.
    pub treated: u64,
    /// Those of them who stayed.
    pub treated_stayed: u64,
    /// Customers of the segment who were left alone; 0 where there are none, and then what the
    /// scores expect stands in for them.
    #[serde(default)]
    pub control: u64,
    /// Those of them who stayed.
    #[serde(default)]
    pub control_stayed: u64,
}

/// One group of a segmentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentName {
    /// Name of the segmentation, e.g. `"risk_tier"`.
    pub segmentation: String,
    /// Label of the group, e.g. `"high"`.
    pub label: String,
}

impl SegmentName {
    /// Position of the segmentation and of the label.
    pub(crate) fn find(&self, place: &str, facts: &Facts<'_>) -> Result<(usize, u32)> {
        let vocabulary = facts.vocabulary();
        let segmentations = vocabulary.segmentations();
        let Some(Term::Segmentation(position)) = vocabulary.term(&self.segmentation) else {
            return Err(Error::unknown_name(
                format!("{place}.segmentation"),
                &self.segmentation,
                segmentations.iter().map(|s| s.name.as_str()),
            ));
        };
        let labels = &segmentations[position].labels;
        match labels.iter().position(|label| *label == self.label) {
            Some(label) => Ok((position, label as u32)),
            None => Err(Error::unknown_name(
                format!("{place}.label"),
                &self.label,
                labels,
            )),
        }
    }
}

/// The change that each option of a playbook makes to each customer's probability of staying.
///
/// Shape: customers × options; nothing of that size is stored except uplift estimates.
///
/// # Example
/// ```
/// # use churn_core::{AsOf, Customers, Horizon};
/// # use churn_core::features::{FeatureInfo, FeatureTable};
/// # use churn_core::scoring::Scores;
/// # use churn_core::segments::Segments;
/// use churn_core::strategy::{EffectSettings, EffectSource, Effects, Facts, Playbook};
/// # let customers = Customers::from_ints([1, 2]);
/// # let as_of = AsOf::parse("2011-12-10")?;
/// # let infos = ["orders", "monetary_score"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let table = FeatureTable::from_columns(customers.clone(), as_of, infos.to_vec(), vec![9.0, 1.0, 5.0, 2.0])?;
/// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.2], vec![], vec![])?;
/// # let labels = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
/// # let tiers = Segments::new("risk_tier", customers.clone(), as_of, labels(&["low", "medium", "high"]), vec![2, 0])?;
/// # let rfm = Segments::new("rfm_segment", customers.clone(), as_of, labels(&["cant_lose", "hibernating"]), vec![0, 1])?;
/// let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
/// let playbook = Playbook::default_for(facts.vocabulary())?;
/// let effects = Effects::new(&playbook, &facts, &EffectSettings::default())?
///     .with_uplift("vip_rescue", None, &customers, as_of, vec![0.04, f64::NAN])?;
/// assert_eq!(effects.change(&facts, 0, "vip_rescue", 0)?, (0.04, EffectSource::Uplift));
/// assert_eq!(effects.change(&facts, 1, "vip_rescue", 0)?.1, EffectSource::Playbook);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Effects {
    playbook: Playbook,
    rules: Rules,
    customers: Customers,
    as_of: AsOf,
    saved_per_response: f64,
    /// By action and channel set.
    options: Vec<Vec<Known>>,
}

/// What is known of one option.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Estimates, one per customer, NaN where there is none.
    uplift: Option<Arc<[f64]>>,
    /// Whether the estimates are for these channels, not for the action over whichever.
    exact: bool,
    observed: Vec<Shift>,
}

/// What an observation does to the priors of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shift {
    pub(crate) segment: Option<(usize, u32)>,
    pub(crate) treated: u64,
    pub(crate) control: u64,
    pub(crate) shift: f64,
}

/// A change with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effect<'e> {
    pub(crate) change: f64,
    pub(crate) source: EffectSource,
    pub(crate) prior: f64,
    pub(crate) observed: Option<&'e Shift>,
}

impl Effects {
    /// Priors of a playbook and what was observed.
    ///
    /// # Errors
    /// Those of [`match_actions`](super::match_actions), except that a playbook may choose by
    /// profit; naming the place, `UnknownName` for an action, channel set, segmentation or label
    /// that does not exist; `InvalidParameter` for a share outside \[0, 1\], a negative or infinite
    /// strength, nobody treated, or more who stayed than there were.
    pub fn new(playbook: &Playbook, facts: &Facts<'_>, settings: &EffectSettings) -> Result<Self> {
        let rules = Rules::new(playbook, facts.vocabulary())?;
        check_rates(&rules, facts)?;
        let share = settings.saved_per_response;
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::invalid_parameter(
                "effects.saved_per_response",
                "a share from 0 to 1",
                share,
            ));
        }
        let strength = settings.prior_strength;
        if !(strength.is_finite() && strength >= 0.0) {
            return Err(Error::invalid_parameter(
                "effects.prior_strength",
                "a finite number of at least 0",
                strength,
            ));
        }
        let actions = rules.actions.iter();
        let mut effects = Effects {
            playbook: playbook.clone(),
            customers: facts.customers().clone(),
            as_of: facts.as_of(),
            saved_per_response: share,
            options: actions
                .map(|action| vec![Known::default(); action.channel_sets.len()])
                .collect(),
            rules,
        };
        for (i, observed) in settings.observed.iter().enumerate() {
            let place = format!("effects.observed[{i}]");
            effects.observe(&place, observed, strength, facts)?;
        }
        Ok(effects)
    }

    /// The same effects with uplift estimates for an action, over one of its channel sets or, with
    /// `None`, over any that has no estimate of its own. `change[i]` is the estimated change of
    /// customer *i*'s probability of staying, NaN where there is no estimate.
    ///
    /// # Errors
    /// `UnknownName` for an action or channel set that does not exist; `Misaligned` for other
    /// customers or another instant; `LengthMismatch`; `InvalidValue` for a change outside
    /// \[−1, 1\].
    pub fn with_uplift(
        mut self,
        action: &str,
        channels: Option<&[String]>,
        customers: &Customers,
        as_of: AsOf,
        change: Vec<f64>,
    ) -> Result<Self> {
        self.customers.check_same(customers, "uplift")?;
        if self.as_of != as_of {
            return Err(Error::misaligned("uplift", self.as_of, as_of));
        }
        let position = self.action("uplift.action", action)?;
        if change.len() != customers.len() {
            return Err(Error::length_mismatch(
                format!("uplift.{action}"),
                customers.len(),
                change.len(),
            ));
        }
        let wrong = |change: &f64| !(change.is_nan() || (-1.0..=1.0).contains(change));
        if let Some(row) = change.iter().position(wrong) {
            return Err(Error::invalid_value(
                format!("uplift.{action}"),
                row,
                "a change of a probability from -1 to 1, or NaN",
                change[row],
            ));
        }
        let change: Arc<[f64]> = change.into();
        for set in self.sets("uplift.channels", position, channels)? {
            let known = &mut self.options[position][set];
            if channels.is_some() || !known.exact {
                known.uplift = Some(Arc::clone(&change));
                known.exact = channels.is_some();
            }
        }
        Ok(self)
    }

    /// The change that an action over one of its channel sets (by position) makes for one
    /// customer, and where it is known from.
    ///
    /// # Errors
    /// `UnknownName` for an action that does not exist; `InvalidParameter` for a row or channel set
    /// out of range; `Misaligned` for facts of other customers or another instant.
    pub fn change(
        &self,
        facts: &Facts<'_>,
        row: usize,
        action: &str,
        channel_set: usize,
    ) -> Result<(f64, EffectSource)> {
        self.check_same(facts)?;
        let action = self.action("action", action)?;
        let within = |what: &str, got: usize, len: usize| {
            let expected = format!("a position below {len}");
            let wrong = || Error::invalid_parameter(what, expected, got);
            (got < len).then_some(()).ok_or_else(wrong)
        };
        within("row", row, self.customers.len())?;
        within("channel_set", channel_set, self.options[action].len())?;
        let effect = self.effect(facts, row, action, channel_set);
        Ok((effect.change, effect.source))
    }

    pub(crate) fn check_same(&self, facts: &Facts<'_>) -> Result<()> {
        facts.customers().check_same(&self.customers, "effects")?;
        if facts.as_of() != self.as_of {
            return Err(Error::misaligned("effects", facts.as_of(), self.as_of));
        }
        Ok(())
    }

    pub(crate) fn playbook(&self) -> &Playbook {
        &self.playbook
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Segmentations that the observations read.
    pub(crate) fn segmentations(&self) -> impl Iterator<Item = usize> {
        let known = self.options.iter().flatten();
        let segments = known.flat_map(|known| known.observed.iter().map(|o| o.segment));
        segments.flatten().map(|(segmentation, _)| segmentation)
    }

    pub(crate) fn prospect(
        &self,
        values: &impl Values,
        row: usize,
        action: usize,
        set: usize,
    ) -> Prospect {
        let channels = &self.rules.actions[action].channel_sets[set];
        prospect(&self.playbook, &self.rules, action, channels, values, row)
    }

    /// The change of an option for one customer with what it rests on.
    pub(crate) fn effect(
        &self,
        values: &impl Values,
        row: usize,
        action: usize,
        set: usize,
    ) -> Effect<'_> {
        let response = self.prospect(values, row, action, set).response;
        self.effect_at(values, row, action, set, response)
    }

    /// As [`effect`](Self::effect), where the chance of a response is known already.
    pub(crate) fn effect_at(
        &self,
        values: &impl Values,
        row: usize,
        action: usize,
        set: usize,
        response: f64,
    ) -> Effect<'_> {
        let churn = values.number(0, row);
        let known = &self.options[action][set];
        let prior = self.prior(churn, action, set, response);
        // Staying can become neither less likely than never nor more likely than always.
        let possible = |change: f64| change.clamp(churn - 1.0, churn);
        if let Some(uplift) = &known.uplift
            && !uplift[row].is_nan()
        {
            return Effect {
                change: possible(uplift[row]),
                source: EffectSource::Uplift,
                prior,
                observed: None,
            };
        }
        let mut observed = known.observed.iter();
        let observed = observed.find(|shift| match shift.segment {
            None => true,
            Some((segmentation, label)) => values.code(segmentation, row) == label,
        });
        match observed {
            Some(shift) => Effect {
                change: possible(prior + shift.shift),
                source: EffectSource::Observed,
                prior,
                observed: Some(shift),
            },
            None => Effect {
                change: possible(prior),
                source: EffectSource::Playbook,
                prior,
                observed: None,
            },
        }
    }

    fn prior(&self, churn: f64, action: usize, set: usize, response: f64) -> f64 {
        match &self.playbook.actions[action].saves {
            Some(saves) => churn * saves[set],
            None => churn * response * self.saved_per_response,
        }
    }

    fn action(&self, place: &str, id: &str) -> Result<usize> {
        let mut actions = self.playbook.actions.iter();
        actions.position(|action| action.id == id).ok_or_else(|| {
            let known = self.playbook.actions.iter().map(|a| a.id.as_str());
            Error::unknown_name(place, id, known)
        })
    }

    /// Positions of the channel sets that a list of channels means.
    fn sets(&self, place: &str, action: usize, channels: Option<&[String]>) -> Result<Vec<usize>> {
        let sets = &self.playbook.actions[action].channel_sets;
        let Some(channels) = channels else {
            return Ok((0..sets.len()).collect());
        };
        let sorted = |set: &[String]| {
            let mut set = set.to_vec();
            set.sort();
            set
        };
        match sets.iter().position(|set| sorted(set) == sorted(channels)) {
            Some(set) => Ok(vec![set]),
            None => Err(Error::unknown_name(
                place,
                &channels.join("+"),
                sets.iter().map(|set| set.join("+")),
            )),
        }
    }

    fn observe(
        &mut self,
        place: &str,
        observed: &ObservedResponse,
        strength: f64,
        facts: &Facts<'_>,
    ) -> Result<()> {
        let action = self.action(&format!("{place}.action"), &observed.action)?;
        let sets = self.sets(
            &format!("{place}.channels"),
            action,
            observed.channels.as_deref(),
        )?;
        let segment = match &observed.segment {
            None => None,
            Some(segment) => Some(segment.find(&format!("{place}.segment"), facts)?),
        };
        if observed.treated == 0 {
            return Err(Error::invalid_parameter(
                format!("{place}.treated"),
                "at least 1 customer",
                0,
            ));
        }
        for (name, stayed, all) in [
            ("treated_stayed", observed.treated_stayed, observed.treated),
            ("control_stayed", observed.control_stayed, observed.control),
        ] {
            if stayed > all {
                return Err(Error::invalid_parameter(
                    format!("{place}.{name}"),
                    format_args!("at most {all}, those there were"),
                    stayed,
                ));
            }
        }
        for set in sets {
            let (stay, prior) = self.expected(action, set, segment, facts);
            let rate = |stayed: u64, all: u64, prior: f64| match all as f64 + strength {
                0.0 => prior,
                weight => (stayed as f64 + strength * prior) / weight,
            };
            let treated = rate(observed.treated_stayed, observed.treated, stay + prior);
            let control = rate(observed.control_stayed, observed.control, stay);
            self.options[action][set].observed.push(Shift {
                segment,
                treated: observed.treated,
                control: observed.control,
                shift: treated - control - prior,
            });
        }
        Ok(())
    }

    /// Mean probability of staying, and mean prior of an option, over those of a segment whom the
    /// action is for; 0 where there is nobody.
    fn expected(
        &self,
        action: usize,
        set: usize,
        segment: Option<(usize, u32)>,
        facts: &Facts<'_>,
    ) -> (f64, f64) {
        let audience = &self.rules.actions[action].audience;
        // In the order of the customers, so the sums are always the same.
        let (mut stay, mut prior, mut count) = (0.0, 0.0, 0_u64);
        for row in 0..facts.customers().len() {
            let inside = segment.is_none_or(|(s, label)| facts.code(s, row) == label);
            if inside && audience.holds(facts, row) {
                let churn = facts.number(0, row);
                let response = self.prospect(facts, row, action, set).response;
                stay += 1.0 - churn;
                prior += self.prior(churn, action, set, response);
                count += 1;
            }
        }
        let count = count.max(1) as f64;
        (stay / count, prior / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::strategy::testing::{AT_RISK, Row, Shop};

    fn observed(segment: Option<&str>) -> ObservedResponse {
        ObservedResponse {
            action: "win_back".into(),
            channels: Some(vec!["sms".into()]),
            segment: segment.map(|label| SegmentName {
                segmentation: "lifecycle".into(),
                label: label.into(),
            }),
            treated: 300,
            treated_stayed: 90,
            control: 100,
            control_stayed: 20,
        }
    }

    fn rows() -> Vec<Row> {
        let other = Row {
            churn_probability: 0.7,
            lifecycle: 5,
            ..AT_RISK
        };
        let third = Row {
            churn_probability: 0.9,
            ..AT_RISK
        };
        vec![AT_RISK, other, third]
    }

    #[test]
    fn priors_come_from_the_playbook() {
        let shop = Shop::new(&rows());
        let facts = shop.facts();
        let mut playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let effects = Effects::new(&playbook, &facts, &EffectSettings::default()).unwrap();
        // Set 0 is message and SMS, set 2 SMS alone.
        let (change, source) = effects.change(&facts, 0, "win_back", 0).unwrap();
        assert_eq!(source, EffectSource::Playbook);
        assert!((change - 0.82 * 0.2 * (1.0 - 0.92 * 0.97)).abs() < 1e-15);
        playbook.actions[1].saves = Some(vec![0.05, 0.02, 0.01, 0.0, -0.01]);
        let effects = Effects::new(&playbook, &facts, &EffectSettings::default()).unwrap();
        // Both together are more than their sum.
        let change = |set| effects.change(&facts, 0, "win_back", set).unwrap().0;
        assert!((change(0) - 0.82 * 0.05).abs() < 1e-15);
        assert!(change(0) > change(1) + change(2) && change(4) < 0.0);
    }

    #[test]
    fn observations_move_the_prior_as_far_as_they_weigh() {
        let shop = Shop::new(&rows());
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let with = |prior_strength, segment| {
            let settings = EffectSettings {
                prior_strength,
                observed: vec![observed(segment)],
                ..EffectSettings::default()
            };
            Effects::new(&playbook, &facts, &settings).unwrap()
        };
        // All three belong to the segment "everyone": stay 0.18, 0.3, 0.1; prior 0.2 · 0.03 · churn.
        let (stay, prior) = (0.58 / 3.0, 0.2 * 0.03 * 2.42 / 3.0);
        let posterior =
            |s: f64| (90.0 + s * (stay + prior)) / (300.0 + s) - (20.0 + s * stay) / (100.0 + s);
        for s in [0.0, 50.0, 100.0, 1e9] {
            let effects = with(s, None);
            let changes: Vec<f64> = (0..3)
                .map(|row| effects.change(&facts, row, "win_back", 2).unwrap().0)
                .collect();
            let mean = changes.iter().sum::<f64>() / 3.0;
            assert!((mean - posterior(s)).abs() < 1e-8, "{s}: {mean}");
            assert!(changes[2] > changes[0], "more at risk, more to gain");
        }
        let effects = with(100.0, Some("lost"));
        let source = |row, set| effects.change(&facts, row, "win_back", set).unwrap().1;
        assert_eq!(source(1, 2), EffectSource::Observed);
        assert_eq!(source(1, 0), EffectSource::Playbook);
        assert_eq!(source(0, 2), EffectSource::Playbook);
    }

    #[test]
    fn estimates_come_first_and_stay_possible() {
        let shop = Shop::new(&rows());
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let settings = EffectSettings {
            observed: vec![observed(None)],
            ..EffectSettings::default()
        };
        let sms = ["sms".to_owned()];
        let (customers, as_of) = (facts.customers().clone(), facts.as_of());
        let uplift = |effects: Effects, channels, change: &[f64]| {
            effects.with_uplift("win_back", channels, &customers, as_of, change.to_vec())
        };
        let effects = Effects::new(&playbook, &facts, &settings).unwrap();
        let effects = uplift(effects, Some(&sms), &[0.1, f64::NAN, -0.5]).unwrap();
        let effects = uplift(effects, None, &[0.2, 0.95, 0.2]).unwrap();
        let change = |row, set| effects.change(&facts, row, "win_back", set).unwrap();
        assert_eq!(change(0, 2), (0.1, EffectSource::Uplift));
        assert_eq!(change(1, 2).1, EffectSource::Observed);
        // Nobody can become less likely to stay than never, or more than always.
        assert!((change(2, 2).0 + 0.1).abs() < 1e-15);
        assert!((change(1, 0).0 - 0.7).abs() < 1e-15);
        let error = uplift(effects.clone(), None, &[0.0, 2.0, 0.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "uplift.win_back[1]: expected a change of a probability from -1 to 1, or NaN, got 2"
        );
        let two = Customers::from_ints([0, 1]);
        let error = effects
            .with_uplift("win_back", None, &two, as_of, vec![0.0; 2])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
    }

    #[test]
    fn mistakes_name_the_place() {
        let shop = Shop::new(&rows());
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let fails = |change: fn(&mut EffectSettings), message: &str| {
            let mut settings = EffectSettings {
                observed: vec![observed(Some("lost"))],
                ..EffectSettings::default()
            };
            change(&mut settings);
            let error = Effects::new(&playbook, &facts, &settings).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        };
        fails(
            |s| s.saved_per_response = 1.5,
            "effects.saved_per_response: expected a share from 0 to 1, got 1.5",
        );
        fails(|s| s.prior_strength = f64::NAN, "effects.prior_strength: ");
        fails(
            |s| s.observed[0].action = "winback".into(),
            "effects.observed[0].action: expected one of vip_rescue, win_back",
        );
        fails(
            |s| s.observed[0].channels = Some(vec!["sms".into(), "email".into()]),
            "effects.observed[0].channels: expected one of one_to_one+sms",
        );
        fails(
            |s| s.observed[0].segment.as_mut().unwrap().label = "gone".into(),
            "effects.observed[0].segment.label: ",
        );
        fails(
            |s| s.observed[0].treated_stayed = 301,
            "effects.observed[0].treated_stayed: expected at most 300",
        );
        fails(
            |s| s.observed[0].treated = 0,
            "effects.observed[0].treated: ",
        );
    }
}
