//! What contacts taught: which option works for whom, and how repeated contact wears people out.
//!
//! The choice among the options that are open to a customer and that the policy lets pass is made
//! by Thompson sampling (Thompson 1933; Chapelle & Li 2011, NIPS 24) per step and segment. For the
//! option i with r responses to n contacts whose time to respond is over,
//!
//! ```text
//! θ_i ~ Beta(w·p + r, w·(1 − p) + n − r)          p: the playbook's prior response, w: its weight
//! u_i = φ(e_i) · θ_i · (value − offers) − contact  or φ(e_i) · θ_i where no value is stated
//! π_i = (1 − ε) · P(u_i is the largest) + ε / k    ε: exploration, k: number of options
//! ```
//!
//! P is the share among 1,024 seeded draws, and the option is then drawn from π, so the propensity
//! π_i that contacts and logs carry is exactly the chance that was used, as off-policy evaluation
//! needs it, and never below ε/k. What one step learned is used from the next step on.
//!
//! **Fatigue.** e_i is the number of contacts over any channel of the option within the last days,
//! and φ(e) what remains of the response: the ratio of the response rate after e earlier contacts to
//! that after none, drawn towards φ₀ᵉ and never rising with e:
//!
//! ```text
//! φ(e) = min(φ(e − 1), (r_e + m · φ₀ᵉ · q) / ((n_e + m) · q)),   q = r₀ / n₀,  φ(0) = 1
//! ```
//!
//! Where the value of a response is stated, a contact whose expected profit is not positive is not
//! sent.
//!
//! Not for knowing whether contacts work at all: people contacted twice differ from those contacted
//! once, and a response is not a gain. That is what the hold-out is for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::check::check_days;
use super::happening::Happening;
use super::holdout::mix;
use super::names::Names;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::math::random::Random;
use crate::strategy::Vocabulary;
use crate::strategy::conditions::Term;
use crate::time::MICROS_PER_DAY;

/// Draws behind a propensity.
const DRAWS: u32 = 1024;
/// Contacts before this one that fatigue tells apart; more count as this many.
pub(super) const MOST_EXPOSURE: usize = 5;
/// Segment of customers about whom nothing is known.
pub(super) const NO_SEGMENT: u8 = u8::MAX;

/// How journeys learn from responses.
///
/// # Example
/// ```
/// use churn_core::journey::LearningSettings;
/// let settings: LearningSettings = churn_core::settings::from_toml("learning", r#"
///     segmentation = "risk_tier"
///     outcomes = ["purchase"]
///     window_days = 14
/// "#)?;
/// assert_eq!(settings.exploration, 0.1);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningSettings {
    /// Name of the segmentation whose groups learn apart; all customers together where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<String>,
    /// What counts as a response: a purchase, or a click or answer over a channel of the contact.
    pub outcomes: Vec<Happening>,
    /// Days after a contact within which a response is one to it, 1 to 365. Default 7.
    pub window_days: u32,
    /// Share of choices made without regard to what was learned, spread evenly over the options:
    /// 0 to 1. Default 0.1.
    pub exploration: f64,
    /// How many contacts the playbook's prior response weighs as much as, above 0. Default 20.
    pub prior_weight: f64,
    /// Days over which earlier contacts wear a customer out, 1 to 365. Default 30.
    pub fatigue_days: u32,
    /// What remains of the response with each earlier contact, 0 to 1, before anything was
    /// observed. Default 0.8.
    pub fatigue_prior: f64,
    /// How many contacts this weighs as much as, above 0. Default 200.
    pub fatigue_weight: f64,
    /// Decides the draws.
    pub seed: u64,
}

impl Default for LearningSettings {
    fn default() -> Self {
        LearningSettings {
            segmentation: None,
            outcomes: vec![
                EventKind::Purchase.into(),
                EventKind::MessageClicked.into(),
                EventKind::MessageAnswered.into(),
            ],
            window_days: 7,
            exploration: 0.1,
            prior_weight: 20.0,
            fatigue_days: 30,
            fatigue_prior: 0.8,
            fatigue_weight: 200.0,
            seed: 1,
        }
    }
}

/// Settings checked and looked up.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) segmentation: Option<usize>,
    pub(super) outcomes: Vec<Happening>,
    pub(super) window: i64,
    exploration: f64,
    prior_weight: f64,
    pub(super) fatigue: i64,
    fatigue_prior: f64,
    fatigue_weight: f64,
    pub(super) seed: u64,
}

impl LearningSettings {
    pub(super) fn resolve(&self, vocabulary: &Vocabulary) -> Result<Rules> {
        for (name, days) in [
            ("window_days", self.window_days),
            ("fatigue_days", self.fatigue_days),
        ] {
            let place = format!("learning.{name}");
            check_days(&place, days, 1)?;
            if days > 365 {
                return Err(Error::invalid_parameter(place, "1 to 365 days", days));
            }
        }
        for (name, share) in [
            ("exploration", self.exploration),
            ("fatigue_prior", self.fatigue_prior),
        ] {
            if !(0.0..=1.0).contains(&share) {
                let place = format!("learning.{name}");
                return Err(Error::invalid_parameter(
                    place,
                    "a share from 0 to 1",
                    share,
                ));
            }
        }
        for (name, weight) in [
            ("prior_weight", self.prior_weight),
            ("fatigue_weight", self.fatigue_weight),
        ] {
            if !(1e-3..=1e9).contains(&weight) {
                let place = format!("learning.{name}");
                return Err(Error::invalid_parameter(place, "0.001 to 1e9", weight));
            }
        }
        let segmentation = match &self.segmentation {
            None => None,
            Some(name) => match vocabulary.term(name) {
                Some(Term::Segmentation(position)) => Some(position),
                _ => {
                    let known = vocabulary.segmentations().iter().map(|s| &s.name);
                    return Err(Error::unknown_name("learning.segmentation", name, known));
                }
            },
        };
        if let Some(position) = segmentation {
            let labels = vocabulary.segmentations()[position].labels.len();
            if labels >= usize::from(NO_SEGMENT) {
                return Err(Error::invalid_parameter(
                    "learning.segmentation",
                    "a segmentation with fewer than 255 labels",
                    labels,
                ));
            }
        }
        let days = |days: u32| i64::from(days) * MICROS_PER_DAY;
        Ok(Rules {
            segmentation,
            outcomes: self.outcomes.clone(),
            window: days(self.window_days),
            exploration: self.exploration,
            prior_weight: self.prior_weight,
            fatigue: days(self.fatigue_days),
            fatigue_prior: self.fatigue_prior,
            fatigue_weight: self.fatigue_weight,
            seed: self.seed,
        })
    }
}

/// Contacts whose time to respond is over, and responses to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Contacts that were answered or whose time is over.
    pub contacts: u64,
    /// Those that were answered.
    pub responses: u64,
}

impl Tally {
    fn add(&mut self, responded: bool) {
        self.contacts += 1;
        self.responses += u64::from(responded);
    }
}

/// One option of a step for one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Arm {
    pub(super) journey: u8,
    pub(super) step: u16,
    pub(super) option: u8,
    /// [`NO_SEGMENT`] where the segment is not known.
    pub(super) segment: u8,
}

/// What contacts taught so far, by option and by number of contacts before. Counts only, so that
/// neither order nor threads matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tallies {
    pub(super) arms: BTreeMap<Arm, Tally>,
    pub(super) exposures: [Tally; MOST_EXPOSURE + 1],
}

/// One contact whose answer is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) arm: Arm,
    pub(super) exposure: u8,
    pub(super) responded: bool,
}

impl Tallies {
    pub(super) fn add(&mut self, answer: &Answer) {
        self.arms
            .entry(answer.arm)
            .or_default()
            .add(answer.responded);
        self.exposures[usize::from(answer.exposure).min(MOST_EXPOSURE)].add(answer.responded);
    }

    /// What remains of the response after so many contacts.
    pub(super) fn fatigue(&self, rules: &Rules) -> [f64; MOST_EXPOSURE + 1] {
        let mut factors = [1.0; MOST_EXPOSURE + 1];
        let first = self.exposures[0];
        let mut prior = 1.0;
        for e in 1..factors.len() {
            prior *= rules.fatigue_prior;
            let tally = self.exposures[e];
            let factor = if first.responses == 0 {
                prior
            } else {
                let rate = first.responses as f64 / first.contacts as f64;
                let m = rules.fatigue_weight;
                (tally.responses as f64 + m * prior * rate) / ((tally.contacts as f64 + m) * rate)
            };
            factors[e] = factor.min(factors[e - 1]);
        }
        factors
    }
}

/// What a choice is made of: one entry per open option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub(super) option: u8,
    pub(super) exposure: u8,
    /// Offers given, as bits of the option's list; their cost differs.
    pub(super) offers: u32,
}

/// The prior and the money of a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stake {
    pub(super) prior: f64,
    /// Value of a response less the cost of the offers; 1 where no value is stated.
    pub(super) gain: f64,
    pub(super) cost: f64,
}

type Key = (u8, u16, u8, Vec<Candidate>);

/// Chances of the options, computed once per combination and step.
pub(super) struct Chances<'a> {
    rules: &'a Rules,
    tallies: &'a Tallies,
    fatigue: [f64; MOST_EXPOSURE + 1],
    known: RwLock<HashMap<Key, Arc<[f64]>>>,
}

impl<'a> Chances<'a> {
    pub(super) fn new(rules: &'a Rules, tallies: &'a Tallies) -> Self {
        Chances {
            rules,
            tallies,
            fatigue: tallies.fatigue(rules),
            known: RwLock::new(HashMap::new()),
        }
    }

    pub(super) fn factor(&self, exposure: u8) -> f64 {
        self.fatigue[usize::from(exposure).min(MOST_EXPOSURE)]
    }

    fn beta(&self, arm: Arm, prior: f64) -> (f64, f64) {
        let tally = self.tallies.arms.get(&arm).copied().unwrap_or_default();
        let (w, responses) = (self.rules.prior_weight, tally.responses as f64);
        let misses = (tally.contacts - tally.responses) as f64;
        // A prior of 0 or 1 would never be revised.
        let prior = prior.clamp(1e-6, 1.0 - 1e-6);
        (w * prior + responses, w * (1.0 - prior) + misses)
    }

    /// Expected profit of a contact, or expected response where no value is stated.
    pub(super) fn expected(&self, arm: Arm, exposure: u8, stake: Stake) -> f64 {
        let (a, b) = self.beta(arm, stake.prior);
        self.factor(exposure) * a / (a + b) * stake.gain - stake.cost
    }

    /// The chance of each candidate.
    pub(super) fn of(&self, arm: Arm, candidates: &[Candidate], stakes: &[Stake]) -> Arc<[f64]> {
        if candidates.len() == 1 {
            return Arc::from([1.0]);
        }
        let key = (arm.journey, arm.step, arm.segment, candidates.to_vec());
        // A poisoned lock only means that another thread panicked; the entries are whole.
        let known = self.known.read().unwrap_or_else(|e| e.into_inner());
        if let Some(chances) = known.get(&key) {
            return Arc::clone(chances);
        }
        drop(known);
        let chances = self.draw(arm, candidates, stakes);
        let mut known = self.known.write().unwrap_or_else(|e| e.into_inner());
        known.insert(key, Arc::clone(&chances));
        chances
    }

    fn draw(&self, arm: Arm, candidates: &[Candidate], stakes: &[Stake]) -> Arc<[f64]> {
        let stream = candidates.iter().fold(
            mix(u64::from(arm.journey) << 32 | u64::from(arm.step) << 8 | u64::from(arm.segment)),
            |h, c| {
                mix(h
                    ^ (u64::from(c.option) << 8
                        | u64::from(c.exposure)
                        | u64::from(c.offers) << 16))
            },
        );
        let mut random = Random::new(self.rules.seed, stream);
        let parameters: Vec<_> = candidates
            .iter()
            .zip(stakes)
            .map(|(c, s)| {
                self.beta(
                    Arm {
                        option: c.option,
                        ..arm
                    },
                    s.prior,
                )
            })
            .collect();
        let mut wins = vec![0_u32; candidates.len()];
        for _ in 0..DRAWS {
            let mut best = (f64::NEG_INFINITY, 0);
            for (i, (a, b)) in parameters.iter().enumerate() {
                let theta = random.beta(*a, *b);
                let factor = self.factor(candidates[i].exposure);
                let utility = factor * theta * stakes[i].gain - stakes[i].cost;
                if utility > best.0 {
                    best = (utility, i);
                }
            }
            wins[best.1] += 1;
        }
        let (epsilon, k) = (self.rules.exploration, candidates.len() as f64);
        wins.iter()
            .map(|wins| (1.0 - epsilon) * f64::from(*wins) / f64::from(DRAWS) + epsilon / k)
            .collect()
    }
}

/// What journeys learned so far, to read and to print.
///
/// Made by [`State::learned`](super::State::learned).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Learning {
    /// One entry per option and segment with an answered or closed contact.
    pub options: Vec<LearnedOption>,
    /// By number of contacts within the fatigue window before (the last entry: so many or more).
    pub exposures: Vec<Tally>,
}

/// What is known of one option for one segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedOption {
    /// Id of the journey.
    pub journey: String,
    /// Id of the step.
    pub step: String,
    /// Offers and channels, e.g. `"winback_coupon@sms"`.
    pub option: String,
    /// Label of the segment; `None` for customers whose segment was not known, and for all where
    /// journeys do not learn by segment.
    pub segment: Option<String>,
    /// Contacts and responses.
    pub tally: Tally,
}

impl Learning {
    pub(super) fn new(names: &Names, tallies: &Tallies) -> Self {
        let options = tallies.arms.iter().filter_map(|(arm, tally)| {
            let journey = names.journeys.get(usize::from(arm.journey))?;
            let step = journey.steps.get(usize::from(arm.step))?;
            Some(LearnedOption {
                journey: journey.id.clone(),
                step: step.id.clone(),
                option: step.options.get(usize::from(arm.option))?.clone(),
                segment: names.segments.get(usize::from(arm.segment)).cloned(),
                tally: *tally,
            })
        });
        Learning {
            options: options.collect(),
            exposures: tallies.exposures.to_vec(),
        }
    }
}

impl fmt::Display for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |tally: &Tally| match tally.contacts {
            0 => "-".to_owned(),
            n => format!("{:.2} %", 100.0 * tally.responses as f64 / n as f64),
        };
        writeln!(
            f,
            "{:<28} {:<36} {:<14} {:>9} {:>10} {:>9}",
            "step", "option", "segment", "contacts", "responses", "rate"
        )?;
        for o in &self.options {
            writeln!(
                f,
                "{:<28} {:<36} {:<14} {:>9} {:>10} {:>9}",
                format!("{}.{}", o.journey, o.step),
                o.option,
                o.segment.as_deref().unwrap_or("(all)"),
                o.tally.contacts,
                o.tally.responses,
                rate(&o.tally)
            )?;
        }
        write!(f, "response by contacts before:")?;
        for (e, tally) in self.exposures.iter().enumerate() {
            let more = if e == MOST_EXPOSURE { "+" } else { "" };
            write!(f, " {e}{more}: {}", rate(tally))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        LearningSettings::default()
            .resolve(&Vocabulary::new())
            .unwrap()
    }

    fn arm(option: u8) -> Arm {
        Arm {
            journey: 0,
            step: 0,
            option,
            segment: NO_SEGMENT,
        }
    }

    fn tallies(counts: &[(u64, u64)]) -> Tallies {
        let mut tallies = Tallies::default();
        for (option, (contacts, responses)) in counts.iter().enumerate() {
            let tally = Tally {
                contacts: *contacts,
                responses: *responses,
            };
            tallies.arms.insert(arm(option as u8), tally);
        }
        tallies
    }

    fn chances(tallies: &Tallies, k: u8) -> Arc<[f64]> {
        let rules = rules();
        let candidates: Vec<Candidate> = (0..k)
            .map(|option| Candidate {
                option,
                exposure: 0,
                offers: 1,
            })
            .collect();
        let stakes = vec![
            Stake {
                prior: 0.05,
                gain: 1.0,
                cost: 0.0
            };
            usize::from(k)
        ];
        Chances::new(&rules, tallies).of(arm(0), &candidates, &stakes)
    }

    #[test]
    fn chances_add_up_keep_the_floor_and_follow_the_evidence() {
        let even = chances(&Tallies::default(), 3);
        assert!((even.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(
            even.iter().all(|p| (p - 1.0 / 3.0).abs() < 0.08),
            "{even:?}"
        );
        let clear = chances(&tallies(&[(1_000, 20), (1_000, 100), (1_000, 30)]), 3);
        assert!(clear[1] > 0.9);
        assert!(clear.iter().all(|p| *p >= 0.1 / 3.0));
    }

    /// P(θ₁ > θ₂) for Beta(1 + 1, 19 + 9) and Beta(1 + 3, 19 + 7) by numerical integration
    /// (SciPy: `quad(lambda x: beta.pdf(x, 4, 26) * beta.cdf(x, 2, 28), 0, 1)` = 0.8238).
    #[test]
    fn chances_are_those_of_the_posterior() {
        let p = chances(&tallies(&[(10, 1), (10, 3)]), 2);
        let expected = 0.9 * 0.8238 + 0.05;
        // Five standard errors of 1,024 draws.
        assert!(
            (p[1] - expected).abs() < 5.0 * 0.9 * (0.25_f64 / 1024.0).sqrt(),
            "{p:?}"
        );
    }

    #[test]
    fn fatigue_starts_at_the_prior_and_follows_what_happens() {
        let rules = rules();
        let mut tallies = Tallies::default();
        let start = tallies.fatigue(&rules);
        assert!((start[2] - 0.64).abs() < 1e-12);
        let tally = |contacts, responses| Tally {
            contacts,
            responses,
        };
        tallies.exposures = [
            tally(100_000, 10_000),
            tally(100_000, 5_000),
            tally(100_000, 9_000),
            tally(0, 0),
            tally(0, 0),
            tally(0, 0),
        ];
        let learned = tallies.fatigue(&rules);
        assert!((learned[1] - 0.5).abs() < 0.01, "{learned:?}");
        assert!(
            learned.windows(2).all(|pair| pair[1] <= pair[0]),
            "{learned:?}"
        );
    }

    #[test]
    fn settings_outside_their_domain_are_refused() {
        let wrong = |edit: fn(&mut LearningSettings)| {
            let mut settings = LearningSettings::default();
            edit(&mut settings);
            settings
                .resolve(&Vocabulary::new())
                .unwrap_err()
                .what()
                .to_owned()
        };
        assert_eq!(wrong(|s| s.exploration = 1.5), "learning.exploration");
        assert_eq!(wrong(|s| s.prior_weight = 0.0), "learning.prior_weight");
        assert_eq!(wrong(|s| s.window_days = 0), "learning.window_days");
        assert_eq!(wrong(|s| s.fatigue_days = 400), "learning.fatigue_days");
        assert_eq!(
            wrong(|s| s.segmentation = Some("tier".to_owned())),
            "learning.segmentation"
        );
    }
}
