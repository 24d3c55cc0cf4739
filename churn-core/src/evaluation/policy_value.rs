//! What a policy would have earned, from the log of another one.
//!
//! Every logged choice carries the probability with which it was made; rewards are weighted by how
//! much more often the new policy would have chosen the same. Do not use it where the logging
//! policy never chose what the new one wants: no weight can show what was never tried.
//!
//! With weight w = π(a|x) / e(a|x), reward r and model q:
//!
//! | estimator | score of one choice |
//! |---|---|
//! | inverse propensity (Horvitz & Thompson 1952) | w r |
//! | self-normalised (Hájek 1971; Swaminathan & Joachims 2015) | w r / mean(w) |
//! | doubly robust (Dudík, Langford & Li 2011) | Σ π(b∣x) q(x, b) + w (r − q(x, a)) |

use serde::{Deserialize, Serialize};

use super::experiment::Estimate;
use crate::error::{Error, Result};
use crate::math::distributions::{normal_cdf, normal_quantile};

/// Logged choices with their propensities, and what the policy under test would have done.
///
/// Shape: n values each, one per choice.
#[derive(Debug, Clone, Copy)]
pub struct LoggedChoices<'a> {
    /// What was earned.
    pub reward: &'a [f64],
    /// Probability with which the logging policy made this choice, above 0.
    pub propensity: &'a [f64],
    /// Probability with which the policy under test makes the same choice, 0 to 1.
    pub policy: &'a [f64],
}

/// A model of rewards, fitted on other data (or out of fold), for the doubly robust estimator.
#[derive(Debug, Clone, Copy)]
pub struct RewardModel<'a> {
    /// Expected reward of the logged choice.
    pub of_choice: &'a [f64],
    /// Expected reward of what the policy under test would choose, averaged over its choices.
    pub of_policy: &'a [f64],
}

/// How rewards are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Inverse propensity weighting: unbiased, widest.
    InversePropensity,
    /// Weights scaled to a mean of 1: slightly biased, much narrower.
    SelfNormalised,
    /// Model plus weighted residual: unbiased if propensities or model are right. Needs a model.
    DoublyRobust,
}

/// Mean reward per choice of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyValue {
    /// Mean reward with its interval; the p-value is that of a value of 0.
    pub value: Estimate,
    /// (Σ w)² / Σ w²: how many choices of its own the policy would need to know as much.
    pub effective_choices: f64,
    /// The largest weight; one that dwarfs the others makes the interval too optimistic.
    pub largest_weight: f64,
    /// One score per choice, whose mean is the value; see [`compare_policies`].
    #[serde(skip)]
    pub scores: Vec<f64>,
}

/// Value of a policy from logged choices.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a reward or prediction that is not finite,
/// a propensity outside (0, 1] or a policy probability outside 0 … 1; `InvalidParameter` for
/// the doubly robust estimator without a model or `confidence` outside (0, 1); `NotEnoughData` for
/// fewer than two choices or a policy that never does what was logged.
///
/// # Example
/// ```
/// use churn_core::evaluation::policy_value::{Estimator, LoggedChoices, policy_value};
/// // Two items shown at random; the policy always shows the second one.
/// let choices = LoggedChoices {
///     reward: &[0.0, 1.0, 0.0, 1.0],
///     propensity: &[0.5; 4],
///     policy: &[0.0, 1.0, 0.0, 1.0],
/// };
/// let value = policy_value(&choices, None, Estimator::InversePropensity, 0.95)?;
/// assert_eq!(value.value.value, 1.0);
/// assert_eq!(value.effective_choices, 2.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn policy_value(
    choices: &LoggedChoices<'_>,
    model: Option<&RewardModel<'_>>,
    estimator: Estimator,
    confidence: f64,
) -> Result<PolicyValue> {
    let n = choices.reward.len();
    check_choices(choices, model)?;
    if n < 2 {
        return Err(Error::not_enough_data(
            "policy.reward",
            "at least two choices",
            n,
        ));
    }
    let weights: Vec<f64> = choices
        .policy
        .iter()
        .zip(choices.propensity)
        .map(|(p, e)| p / e)
        .collect();
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        return Err(Error::not_enough_data(
            "policy.policy",
            "a policy that sometimes does what was logged",
            "one that never does",
        ));
    }
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let rewards = || weights.iter().zip(choices.reward);
    let scores: Vec<f64> = match (estimator, model) {
        (Estimator::InversePropensity, _) => rewards().map(|(w, r)| w * r).collect(),
        (Estimator::SelfNormalised, _) => {
            // Linearised around the ratio, so that mean and spread of the scores are those of it.
            let value = rewards().map(|(w, r)| w * r).sum::<f64>() / total;
            let mean_weight = total / n as f64;
            rewards()
                .map(|(w, r)| value + w * (r - value) / mean_weight)
                .collect()
        }
        (Estimator::DoublyRobust, Some(model)) => rewards()
            .zip(model.of_choice.iter().zip(model.of_policy))
            .map(|((w, r), (of_choice, of_policy))| of_policy + w * (r - of_choice))
            .collect(),
        (Estimator::DoublyRobust, None) => {
            return Err(Error::invalid_parameter(
                "policy.model",
                "a reward model for the doubly robust estimator",
                "none",
            ));
        }
    };
    Ok(PolicyValue {
        value: mean_of(&scores, confidence)?,
        effective_choices: total * total / squares,
        largest_weight: weights.iter().copied().fold(0.0, f64::max),
        scores,
    })
}

/// Value of the second policy minus that of the first, on the same logged choices: choice by
/// choice, so that what both share does not widen the interval.
///
/// # Errors
/// `LengthMismatch` for values of different logs; `InvalidParameter` for `confidence` outside
/// (0, 1).
pub fn compare_policies(
    first: &PolicyValue,
    second: &PolicyValue,
    confidence: f64,
) -> Result<Estimate> {
    if first.scores.len() != second.scores.len() {
        return Err(Error::length_mismatch(
            "policy.scores",
            first.scores.len(),
            second.scores.len(),
        ));
    }
    let pairs = first.scores.iter().zip(&second.scores);
    let differences: Vec<f64> = pairs.map(|(a, b)| b - a).collect();
    mean_of(&differences, confidence)
}

/// One point of a [`profit_curve`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProfitPoint {
    /// Share of customers that is contacted.
    pub share: f64,
    /// Incremental profit per customer of all customers, with its interval.
    pub profit: Estimate,
}

/// Incremental profit of contacting the first customers of a ranking, at every distinct score.
///
/// `effect` holds one unbiased score of each customer's effect in money (see
/// [`inverse_propensity_scores`](crate::metrics::uplift::inverse_propensity_scores)), `cost` what
/// contacting costs. The first point contacts nobody.
///
/// # Errors
/// `LengthMismatch`; `InvalidValue`, naming the row, for a number that is not finite;
/// `NotEnoughData` for fewer than two customers; `InvalidParameter` for `confidence` outside
/// (0, 1).
pub fn profit_curve(
    score: &[f64],
    effect: &[f64],
    cost: &[f64],
    confidence: f64,
) -> Result<Vec<ProfitPoint>> {
    let n = score.len();
    for (what, values) in [("score", score), ("effect", effect), ("cost", cost)] {
        column(what, values, n, "a finite number", f64::is_finite)?;
    }
    if n < 2 {
        return Err(Error::not_enough_data(
            "policy.score",
            "at least two customers",
            n,
        ));
    }
    check_confidence(confidence)?;
    let mut rows: Vec<(f64, f64)> = (0..n)
        .map(|i| (score[i] + 0.0, effect[i] - cost[i]))
        .collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let point = |units: f64, sum: f64, squares: f64| {
        // Those who are not contacted add 0 to the sum and to the squares.
        let mean = sum / n as f64;
        let variance = ((squares - mean * sum) / (n - 1) as f64).max(0.0);
        ProfitPoint {
            share: units / n as f64,
            profit: estimate(mean, (variance / n as f64).sqrt(), confidence),
        }
    };
    let (mut units, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let mut curve = vec![point(0.0, 0.0, 0.0)];
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        for (_, profit) in tied {
            units += 1.0;
            sum += profit;
            squares += profit * profit;
        }
        curve.push(point(units, sum, squares));
    }
    Ok(curve)
}

/// The point of a [`profit_curve`] with the largest profit; the smallest share where equal.
pub fn best_cut(curve: &[ProfitPoint]) -> Option<ProfitPoint> {
    let better = |best: ProfitPoint, point: &ProfitPoint| {
        if point.profit.value > best.profit.value {
            *point
        } else {
            best
        }
    };
    let first = *curve.first()?;
    Some(curve.iter().fold(first, better))
}

fn mean_of(scores: &[f64], confidence: f64) -> Result<Estimate> {
    check_confidence(confidence)?;
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let squares: f64 = scores.iter().map(|s| (s - mean) * (s - mean)).sum();
    Ok(estimate(mean, (squares / (n - 1.0) / n).sqrt(), confidence))
}

fn estimate(value: f64, standard_error: f64, confidence: f64) -> Estimate {
    let half = normal_quantile(f64::midpoint(1.0, confidence)) * standard_error;
    Estimate {
        value,
        standard_error,
        low: value - half,
        high: value + half,
        p_value: match (standard_error > 0.0, value == 0.0) {
            (true, _) => 2.0 * normal_cdf(-(value / standard_error).abs()),
            (false, nothing) => f64::from(u8::from(nothing)),
        },
    }
}

fn check_confidence(confidence: f64) -> Result<()> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "policy.confidence",
        "a number between 0 and 1",
        confidence,
    ))
}

fn column(
    what: &str,
    values: &[f64],
    n: usize,
    expected: &str,
    right: impl Fn(f64) -> bool,
) -> Result<()> {
    let what = format!("policy.{what}");
    if values.len() != n {
        return Err(Error::length_mismatch(what, n, values.len()));
    }
    match values.iter().position(|v| !right(*v)) {
        Some(row) => Err(Error::invalid_value(what, row, expected, values[row])),
        None => Ok(()),
    }
}

fn check_choices(choices: &LoggedChoices<'_>, model: Option<&RewardModel<'_>>) -> Result<()> {
    let n = choices.reward.len();
    let finite = "a finite number";
    column("reward", choices.reward, n, finite, f64::is_finite)?;
    let above_0 = "a probability above 0";
    column("propensity", choices.propensity, n, above_0, |e| {
        e > 0.0 && e <= 1.0
    })?;
    let probability = "a probability from 0 to 1";
    column("policy", choices.policy, n, probability, |p| {
        (0.0..=1.0).contains(&p)
    })?;
    if let Some(model) = model {
        column(
            "model.of_choice",
            model.of_choice,
            n,
            finite,
            f64::is_finite,
        )?;
        column(
            "model.of_policy",
            model.of_policy,
            n,
            finite,
            f64::is_finite,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Random;

    /// A policy that shows the better of two items more often, judged from a log of coin flips:
    /// all three estimators are right on average and their intervals cover.
    #[test]
    fn estimators_find_the_known_value() {
        let truth = 0.9 * 0.30 + 0.1 * 0.10;
        let mut covered = [0; 3];
        for run in 0..300 {
            let mut random = Random::new(5, run);
            let (mut reward, mut policy) = (Vec::new(), Vec::new());
            let mut of_choice = Vec::new();
            for _ in 0..500 {
                let second = random.chance(0.5);
                let rate = if second { 0.3 } else { 0.1 };
                reward.push(f64::from(u8::from(random.chance(rate))));
                policy.push(if second { 0.9 } else { 0.1 });
                // A model that is wrong by a factor, as models are.
                of_choice.push(rate * 1.2);
            }
            let propensity = vec![0.5; 500];
            let of_policy = vec![truth * 1.2; 500];
            let choices = LoggedChoices {
                reward: &reward,
                propensity: &propensity,
                policy: &policy,
            };
            let model = RewardModel {
                of_choice: &of_choice,
                of_policy: &of_policy,
            };
            let estimators = [
                Estimator::InversePropensity,
                Estimator::SelfNormalised,
                Estimator::DoublyRobust,
            ];
            for (count, estimator) in covered.iter_mut().zip(estimators) {
                let value = policy_value(&choices, Some(&model), estimator, 0.95)
                    .unwrap()
                    .value;
                *count += i32::from(value.low <= truth && truth <= value.high);
            }
        }
        assert!(
            covered.iter().all(|c| (279..=294).contains(c)),
            "{covered:?} of 300"
        );
    }

    #[test]
    fn a_policy_does_not_differ_from_itself() {
        let choices = LoggedChoices {
            reward: &[1.0, 0.0, 2.0],
            propensity: &[0.5, 0.25, 1.0],
            policy: &[0.2, 0.4, 0.6],
        };
        let value = policy_value(&choices, None, Estimator::SelfNormalised, 0.9).unwrap();
        let difference = compare_policies(&value, &value, 0.9).unwrap();
        assert_eq!((difference.value, difference.p_value), (0.0, 1.0));
    }

    #[test]
    fn mistakes_are_named_by_row() {
        let good = LoggedChoices {
            reward: &[1.0, 0.0],
            propensity: &[0.5, 0.5],
            policy: &[1.0, 1.0],
        };
        let run = |choices: LoggedChoices<'_>, estimator| {
            policy_value(&choices, None, estimator, 0.95).unwrap_err()
        };
        let ipw = Estimator::InversePropensity;
        let error = run(
            LoggedChoices {
                propensity: &[0.5, 0.0],
                ..good
            },
            ipw,
        );
        assert_eq!((error.what(), error.row()), ("policy.propensity", Some(1)));
        let error = run(
            LoggedChoices {
                policy: &[1.1, 0.0],
                ..good
            },
            ipw,
        );
        assert_eq!((error.what(), error.row()), ("policy.policy", Some(0)));
        assert_eq!(
            run(
                LoggedChoices {
                    policy: &[0.0, 0.0],
                    ..good
                },
                ipw
            )
            .what(),
            "policy.policy"
        );
        assert_eq!(run(good, Estimator::DoublyRobust).what(), "policy.model");
    }

    #[test]
    fn the_best_cut_stops_before_the_losses() {
        let curve = profit_curve(&[3.0, 2.0, 1.0], &[5.0, 2.0, 0.0], &[1.0; 3], 0.95).unwrap();
        let best = best_cut(&curve).unwrap();
        assert_eq!(best.share, 2.0 / 3.0);
        assert!((best.profit.value - 5.0 / 3.0).abs() < 1e-12);
        let losing = profit_curve(&[1.0, 2.0], &[0.0, 0.0], &[1.0, 1.0], 0.95).unwrap();
        assert_eq!(best_cut(&losing).unwrap().share, 0.0);
    }
}
