//! What an action changes: the difference it makes to the probability that a customer stays.
//!
//! The idea: what counts is not who is likely to leave, nor who is likely to answer, but whose mind
//! an action changes. For each customer and each option (an action over one of its channel sets,
//! which is a treatment of its own: SMS with a one-to-one message may do more or less than both
//! together) the best knowledge at hand is taken, and every number says where it is from:
//!
//! 1. an **uplift estimate** for this customer, from a model learned on an experiment;
//! 2. the result of an **experiment** in the customer's segment;
//! 3. what was **observed** in the customer's segment;
//! 4. the playbook's **prior**.
//!
//! The first three are drawn towards what would be known without them, the more the fewer the data.
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
//! **Experiment.** A difference d of the share who stay with standard error s, measured on a segment.
//! The segment's true mean change has a normal prior around δ₀ with standard deviation
//! `prior_spread` τ (normal-normal model; the same book, section 2.5):
//!
//! Δ = δ₀ + w (d − δ₀), w = τ² / (τ² + s²)
//!
//! and each member's own prior is multiplied by Δ/δ₀ (moved by Δ − δ₀ where δ₀ is not above 0): the
//! experiment says how much there is to gain, the prior who gains it, and who would stay anyway gains
//! nothing. Unlike observed counts, whose rates are each drawn towards what scores expect, a difference
//! does not depend on how well the scores are calibrated.
//!
//! **Uplift with standard errors.** The same for one customer: an estimate u with standard error s,
//! and Δ₁ known otherwise (2 to 4), give Δ = Δ₁ + w (u − Δ₁). Estimates without standard errors are
//! taken as they are (w = 1).
//!
//! A change can bring the probability of staying neither below 0 nor above 1, and is cut there.
//!
//! Not for telling whether an action works at all: priors are opinions, and a comparison of those
//! who were contacted with those who were not is an experiment only if chance decided who was.

mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::conditions::Values;
use super::facts::Facts;
use super::matching::{Prospect, check_rates, prospect};
use super::playbook::Playbook;
use super::rules::Rules;
use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::time::AsOf;

pub use settings::{EffectSettings, ExperimentEffect, ObservedResponse, SegmentName};

/// Where the change that an action makes is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectSource {
    /// An uplift estimate for the customer.
    Uplift,
    /// The result of an experiment in the customer's segment.
    Experiment,
    /// What was observed in the customer's segment.
    Observed,
    /// The playbook's prior.
    Playbook,
}

impl EffectSource {
    /// The name: `uplift`, `experiment`, `observed` or `playbook`.
    pub fn name(self) -> &'static str {
        match self {
            EffectSource::Uplift => "uplift",
            EffectSource::Experiment => "experiment",
            EffectSource::Observed => "observed",
            EffectSource::Playbook => "playbook",
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
    prior_spread: f64,
    /// By action and channel set.
    options: Vec<Vec<Known>>,
}

/// What is known of one option.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Estimates, one per customer, NaN where there is none.
    uplift: Option<Arc<[Estimate]>>,
    /// Whether the estimates are for these channels, not for the action over whichever.
    exact: bool,
    /// Experiments before observations.
    seen: Vec<Shift>,
}

/// An uplift estimate of one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// NaN where there is none.
    pub(crate) change: f64,
    pub(crate) standard_error: f64,
    /// How much of it is believed, from 0 to 1.
    weight: f64,
}

/// What an experiment or an observation does to the priors of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shift {
    pub(crate) segment: Option<(usize, u32)>,
    pub(crate) seen: Seen,
    /// Each member's prior times `scale`, plus `shift`.
    scale: f64,
    shift: f64,
}

/// What was seen of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Seen {
    Experiment { change: f64, standard_error: f64 },
    Counts { treated: u64, control: u64 },
}

/// A change with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effect {
    pub(crate) change: f64,
    pub(crate) source: EffectSource,
    pub(crate) prior: f64,
    /// What is known without the estimate.
    pub(crate) otherwise: f64,
    pub(crate) seen: Option<Seen>,
    pub(crate) estimate: Option<Estimate>,
}

impl Effects {
    /// Priors of a playbook and what was observed.
    ///
    /// # Errors
    /// Those of [`match_actions`](super::match_actions), except that a playbook may choose by
    /// profit; naming the place, `UnknownName` for an action, channel set, segmentation or label
    /// that does not exist; `InvalidParameter` for a share outside \[0, 1\], a negative or infinite
    /// strength, a spread that is not above 0, nobody treated, more who stayed than there were, a
    /// measured change outside \[−1, 1\] and a standard error that is negative or not finite.
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
        let spread = settings.prior_spread;
        if !(spread.is_finite() && spread > 0.0) {
            return Err(Error::invalid_parameter(
                "effects.prior_spread",
                "a finite number above 0",
                spread,
            ));
        }
        let actions = rules.actions.iter();
        let mut effects = Effects {
            playbook: playbook.clone(),
            customers: facts.customers().clone(),
            as_of: facts.as_of(),
            saved_per_response: share,
            prior_spread: spread,
            options: actions
                .map(|action| vec![Known::default(); action.channel_sets.len()])
                .collect(),
            rules,
        };
        for (i, experiment) in settings.experiments.iter().enumerate() {
            let place = format!("effects.experiments[{i}]");
            effects.learn(&place, experiment, facts)?;
        }
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
        self,
        action: &str,
        channels: Option<&[String]>,
        customers: &Customers,
        as_of: AsOf,
        change: Vec<f64>,
    ) -> Result<Self> {
        self.with_uplift_errors(action, channels, customers, as_of, change, None)
    }

    /// The same with a standard error per customer, by which each estimate is drawn towards what is
    /// known without it; an infinite one is no estimate, and where it is NaN there is none either.
    ///
    /// # Errors
    /// As [`with_uplift`](Self::with_uplift); `InvalidValue` for a standard error below 0.
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
    /// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.9], vec![], vec![])?;
    /// # let labels = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    /// # let tiers = Segments::new("risk_tier", customers.clone(), as_of, labels(&["low", "medium", "high"]), vec![2, 2])?;
    /// # let rfm = Segments::new("rfm_segment", customers.clone(), as_of, labels(&["cant_lose", "hibernating"]), vec![0, 1])?;
    /// let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
    /// let playbook = Playbook::default_for(facts.vocabulary())?;
    /// let known = Effects::new(&playbook, &facts, &EffectSettings::default())?;
    /// let prior = known.change(&facts, 0, "win_back", 0)?.0;
    /// let spread = EffectSettings::default().prior_spread;
    /// let (change, errors) = (vec![0.08, 0.08], Some(vec![0.0, spread]));
    /// let known = known.with_uplift_errors("win_back", None, &customers, as_of, change, errors)?;
    /// assert_eq!(known.change(&facts, 0, "win_back", 0)?, (0.08, EffectSource::Uplift));
    /// // As uncertain as the prior: half way between the two.
    /// let half = known.change(&facts, 1, "win_back", 0)?.0;
    /// assert!((half - (0.08 + prior) / 2.0).abs() < 1e-12);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn with_uplift_errors(
        mut self,
        action: &str,
        channels: Option<&[String]>,
        customers: &Customers,
        as_of: AsOf,
        change: Vec<f64>,
        standard_error: Option<Vec<f64>>,
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
        if let Some(errors) = &standard_error {
            let what = format!("uplift.{action}.standard_error");
            if errors.len() != customers.len() {
                return Err(Error::length_mismatch(what, customers.len(), errors.len()));
            }
            if let Some(row) = errors.iter().position(|error| *error < 0.0) {
                let expected = "a standard error of at least 0, or NaN";
                return Err(Error::invalid_value(what, row, expected, errors[row]));
            }
        }
        let variance = self.prior_spread * self.prior_spread;
        let estimate = |row: usize| {
            let error = standard_error.as_ref().map_or(0.0, |errors| errors[row]);
            Estimate {
                change: if error.is_finite() {
                    change[row]
                } else {
                    f64::NAN
                },
                standard_error: error,
                weight: variance / (variance + error * error),
            }
        };
        let estimates: Arc<[Estimate]> = (0..change.len()).map(estimate).collect();
        for set in self.sets("uplift.channels", position, channels)? {
            let known = &mut self.options[position][set];
            if channels.is_some() || !known.exact {
                known.uplift = Some(Arc::clone(&estimates));
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

    /// Segmentations that experiments and observations read.
    pub(crate) fn segmentations(&self) -> impl Iterator<Item = usize> {
        let known = self.options.iter().flatten();
        let segments = known.flat_map(|known| known.seen.iter().map(|seen| seen.segment));
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
    ) -> Effect {
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
    ) -> Effect {
        let churn = values.number(0, row);
        let known = &self.options[action][set];
        let prior = self.prior(churn, action, set, response);
        // Staying can become neither less likely than never nor more likely than always.
        let possible = |change: f64| change.clamp(churn - 1.0, churn);
        let mut seen = known.seen.iter();
        let seen = seen.find(|shift| match shift.segment {
            None => true,
            Some((segmentation, label)) => values.code(segmentation, row) == label,
        });
        let otherwise = seen.map_or(prior, |seen| prior * seen.scale + seen.shift);
        let uplift = known.uplift.as_ref().map(|uplift| uplift[row]);
        let estimate = uplift.filter(|estimate| !estimate.change.is_nan());
        let (change, source) = match (estimate, seen.map(|seen| seen.seen)) {
            // Exactly the estimate where it is believed wholly.
            (Some(estimate), _) if estimate.weight == 1.0 => {
                (estimate.change, EffectSource::Uplift)
            }
            (Some(estimate), _) => (
                otherwise + estimate.weight * (estimate.change - otherwise),
                EffectSource::Uplift,
            ),
            (None, Some(Seen::Experiment { .. })) => (otherwise, EffectSource::Experiment),
            (None, Some(Seen::Counts { .. })) => (otherwise, EffectSource::Observed),
            (None, None) => (prior, EffectSource::Playbook),
        };
        Effect {
            change: possible(change),
            source,
            prior,
            otherwise: possible(otherwise),
            seen: seen.map(|seen| seen.seen),
            estimate,
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

    fn learn(
        &mut self,
        place: &str,
        experiment: &ExperimentEffect,
        facts: &Facts<'_>,
    ) -> Result<()> {
        let action = self.action(&format!("{place}.action"), &experiment.action)?;
        let channels = experiment.channels.as_deref();
        let sets = self.sets(&format!("{place}.channels"), action, channels)?;
        let segment = match &experiment.segment {
            None => None,
            Some(segment) => Some(segment.find(&format!("{place}.segment"), facts)?),
        };
        let (change, error) = (experiment.change, experiment.standard_error);
        if !(-1.0..=1.0).contains(&change) {
            return Err(Error::invalid_parameter(
                format!("{place}.change"),
                "a change of a probability from -1 to 1",
                change,
            ));
        }
        if !(error.is_finite() && error >= 0.0) {
            return Err(Error::invalid_parameter(
                format!("{place}.standard_error"),
                "a finite number of at least 0",
                error,
            ));
        }
        let variance = self.prior_spread * self.prior_spread;
        let weight = variance / (variance + error * error);
        for set in sets {
            let (_, prior) = self.expected(action, set, segment, facts);
            let mean = prior + weight * (change - prior);
            // Where there is no prior to be scaled, everybody gains alike.
            let (scale, shift) = match prior > 0.0 {
                true => (mean / prior, 0.0),
                false => (1.0, mean - prior),
            };
            self.options[action][set].seen.push(Shift {
                segment,
                seen: Seen::Experiment {
                    change,
                    standard_error: error,
                },
                scale,
                shift,
            });
        }
        Ok(())
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
            self.options[action][set].seen.push(Shift {
                segment,
                seen: Seen::Counts {
                    treated: observed.treated,
                    control: observed.control,
                },
                scale: 1.0,
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
