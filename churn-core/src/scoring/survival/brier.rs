//! How far predicted survival is from what happened, running spells weighed in fairly.
//!
//! ```text
//! BS(t) = 1/n Σ ( S(t|xᵢ)² [tᵢ ≤ t, ended] / G(tᵢ−) + (1 − S(t|xᵢ))² [tᵢ > t] / G(t) )
//! integrated = ∫ BS dt / (last − first time), by trapezoids
//! ```
//!
//! G is the Kaplan–Meier curve of being censored; at one time ends come before censorings. Source:
//! Graf, Schmoor, Sauerbrei & Schumacher (1999), Statistics in Medicine 18. 0 is perfect, ¼ what a
//! constant ½ gets. Right only if censoring has nothing to do with the covariates.

use super::check_times;
use super::durations::{Durations, EventTable};
use crate::error::{Error, Result};

/// Brier scores at several times.
#[derive(Debug, Clone, PartialEq)]
pub struct BrierScores {
    /// The times, ascending.
    pub times: Vec<f64>,
    /// The score at each time.
    pub scores: Vec<f64>,
    /// The mean of the score over the span of the times.
    pub integrated: f64,
}

/// Scores predictions `survival` (time *j* of row *i* at `j * n + i`, as the models give them) for
/// the spells `test`; the chance of being censored is learned from `train`, which may be the same.
///
/// # Errors
/// `NotEnoughData` for fewer than two times; `InvalidValue`, naming the row, for times that do not
/// ascend, a time or an end at which no spell of `train` is watched any more, or a prediction
/// outside 0 to 1; `LengthMismatch`; `InvalidParameter` for spells with late entry.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, brier_score};
/// let spells = Durations::new(&[1.0, 3.0, 5.0], &[true, true, false])?;
/// let survival = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]; // at time 2 and at time 4, both right
/// assert_eq!(brier_score(&spells, &spells, &survival, &[2.0, 4.0])?.integrated, 0.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn brier_score(
    train: &Durations<'_>,
    test: &Durations<'_>,
    survival: &[f64],
    times: &[f64],
) -> Result<BrierScores> {
    train.check_no_entry("the Brier score")?;
    test.check_no_entry("the Brier score")?;
    check_times(times)?;
    if times.len() < 2 {
        return Err(Error::not_enough_data(
            "times",
            "at least two times",
            times.len(),
        ));
    }
    if let Some(i) = (1..times.len()).find(|i| times[*i] <= times[i - 1]) {
        let before = format_args!("a time after {}", times[i - 1]).to_string();
        return Err(Error::invalid_value("times", i, before, times[i]));
    }
    let n = test.len();
    if survival.len() != n * times.len() {
        return Err(Error::length_mismatch(
            "survival",
            n * times.len(),
            survival.len(),
        ));
    }
    if let Some(i) = survival.iter().position(|s| !(0.0..=1.0).contains(s)) {
        let wrong =
            Error::invalid_value("survival", i % n, "a probability from 0 to 1", survival[i]);
        return Err(wrong);
    }
    let watched = Watched::new(train);
    let (stop, event) = (test.durations(), test.event_observed());
    let last = times[times.len() - 1];
    let mut at_end = vec![0.0; n];
    for row in 0..n {
        if event[row] && stop[row] <= last {
            at_end[row] = positive(watched.before(stop[row]), "durations", row, stop[row])?;
        }
    }
    // The order of rows must not matter: sum in order of time, outcome and prediction.
    let mut terms = vec![0.0; n];
    let mut scores = Vec::with_capacity(times.len());
    for (j, t) in times.iter().enumerate() {
        let still = positive(watched.at(*t), "times", j, *t)?;
        for row in 0..n {
            let s = survival[j * n + row];
            terms[row] = if stop[row] > *t {
                (1.0 - s) * (1.0 - s) / still
            } else if event[row] {
                s * s / at_end[row]
            } else {
                0.0
            };
        }
        terms.sort_unstable_by(f64::total_cmp);
        scores.push(terms.iter().sum::<f64>() / n as f64);
    }
    let area: f64 = (1..times.len())
        .map(|j| 0.5 * (scores[j] + scores[j - 1]) * (times[j] - times[j - 1]))
        .sum();
    Ok(BrierScores {
        integrated: area / (last - times[0]),
        times: times.to_vec(),
        scores,
    })
}

fn positive(share: f64, what: &str, row: usize, t: f64) -> Result<f64> {
    if share > 0.0 {
        return Ok(share);
    }
    Err(Error::invalid_value(
        what,
        row,
        "a time at which spells of the training data are still watched",
        t,
    ))
}

/// The curve of not being censored.
struct Watched {
    times: Vec<f64>,
    share: Vec<f64>,
}

impl Watched {
    fn new(train: &Durations<'_>) -> Self {
        let table = EventTable::new(train);
        let mut g = 1.0;
        let share = (0..table.times.len()).map(|i| {
            // Ends come first: those who ended cannot be censored any more.
            let left = (table.at_risk[i] - table.events[i]) as f64;
            if table.censored[i] > 0 {
                g *= (left - table.censored[i] as f64) / left;
            }
            g
        });
        Watched {
            share: share.collect(),
            times: table.times,
        }
    }

    /// P(C > t).
    fn at(&self, t: f64) -> f64 {
        super::step_at(&self.times, &self.share, 1.0, t)
    }

    /// P(C ≥ t).
    fn before(&self, t: f64) -> f64 {
        match self.times.partition_point(|time| *time < t) {
            0 => 1.0,
            i => self.share[i - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn by_hand() {
        // Ends at 1, 3, censored at 2 and 4: G = 1 to 2, then 2/3, then 0.
        let data = Durations::new(&[1.0, 2.0, 3.0, 4.0], &[true, false, true, false]).unwrap();
        let survival = [0.2, 0.5, 0.6, 0.9, 0.1, 0.3, 0.4, 0.8];
        let scores = brier_score(&data, &data, &survival, &[1.5, 3.5]).unwrap();
        let first = (0.04 + 0.25 + 0.16 + 0.01) / 4.0;
        let second = (0.01 + 0.16 * 1.5 + 0.04 * 1.5) / 4.0;
        assert!((scores.scores[0] - first).abs() < 1e-15);
        assert!((scores.scores[1] - second).abs() < 1e-15, "{scores:?}");
        assert!((scores.integrated - (first + second) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn mistakes_are_named() {
        let data = Durations::new(&[1.0, 2.0], &[true, false]).unwrap();
        let error = |survival: &[f64], times: &[f64]| {
            let error = brier_score(&data, &data, survival, times).unwrap_err();
            (error.kind(), error.what().to_owned(), error.row())
        };
        let value = ErrorKind::InvalidValue;
        let four = [0.5; 4];
        assert_eq!(error(&four, &[1.0, 1.0]), (value, "times".into(), Some(1)));
        assert_eq!(error(&four, &[1.0, 2.0]), (value, "times".into(), Some(1)));
        let wrong = [0.5, 0.5, 0.5, 1.5];
        assert_eq!(
            error(&wrong, &[0.5, 1.0]),
            (value, "survival".into(), Some(1))
        );
        assert_eq!(error(&four, &[1.0]).0, ErrorKind::NotEnoughData);
        assert_eq!(error(&[0.5], &[0.5, 1.0]).0, ErrorKind::LengthMismatch);
    }
}
