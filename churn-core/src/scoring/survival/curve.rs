//! Share of spells still running after a time, from complete and running spells alike.
//!
//! ```text
//! S(t) = Π over times tᵢ ≤ t of (1 − dᵢ / nᵢ)              dᵢ ends among nᵢ at risk at tᵢ
//! V(t) = Σ over times tᵢ ≤ t of dᵢ / (nᵢ (nᵢ − dᵢ))         Greenwood; variance of ln S
//! log-log: S ^ exp(± z √V / ln S)      log: S exp(± z √V)      plain: S ± z S √V
//! ```
//!
//! Source: Kaplan & Meier (1958), JASA 53; Greenwood (1926); Kalbfleisch & Prentice (1980) for the
//! transforms. Not for spells whose censoring tells when they would have ended: it must be
//! unrelated to the end, given what is known.

use serde::{Deserialize, Serialize};

use super::durations::{Durations, EventTable};
use super::{check_confidence, check_times, normal_bound, step_at};
use crate::error::{Error, Result};

/// The scale on which the interval of a survival curve is symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceTransform {
    /// ln(−ln S): stays within 0 and 1; what lifelines gives. The default.
    #[default]
    LogLog,
    /// ln S, cut at 1; what R's `survfit` gives by default.
    Log,
    /// S itself, cut at 0 and 1.
    Plain,
}

/// Settings of a Kaplan–Meier curve.
///
/// # Example
/// ```
/// use churn_core::scoring::survival::{Durations, KaplanMeier};
/// let durations = Durations::new(&[1.0, 2.0, 2.0, 3.0], &[true, true, false, true])?;
/// let curve = KaplanMeier::default().fit(&durations)?;
/// assert_eq!(curve.times(), [0.0, 1.0, 2.0, 3.0]);
/// assert_eq!(curve.survival(), [1.0, 0.75, 0.5, 0.0]);
/// assert_eq!(curve.median(), Some(2.0));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KaplanMeier {
    /// Probability that the interval at one time covers the truth. Default 0.95.
    pub confidence: f64,
    /// The scale of the interval. Default log-log.
    pub transform: ConfidenceTransform,
}

impl Default for KaplanMeier {
    fn default() -> Self {
        KaplanMeier {
            confidence: 0.95,
            transform: ConfidenceTransform::default(),
        }
    }
}

impl KaplanMeier {
    /// The curve of these spells.
    ///
    /// # Errors
    /// `InvalidParameter` for a confidence outside 0 to 1.
    pub fn fit(&self, durations: &Durations<'_>) -> Result<SurvivalCurve> {
        check_confidence("kaplan_meier", self.confidence)?;
        let table = EventTable::new(durations);
        let z = normal_bound(self.confidence);
        let (mut survival, mut lower, mut upper) = (Vec::new(), Vec::new(), Vec::new());
        let (mut s, mut variance) = (1.0, 0.0);
        for (n, d) in table.at_risk.iter().zip(&table.events) {
            if *d > 0 {
                let (n, d) = (*n as f64, *d as f64);
                s *= (n - d) / n;
                variance += d / (n * (n - d));
            }
            let (low, high) = self.interval(s, z * f64::sqrt(variance));
            survival.push(s);
            lower.push(low);
            upper.push(high);
        }
        Ok(SurvivalCurve {
            table,
            survival,
            lower,
            upper,
        })
    }

    /// The interval around S; `width` = z √V. Nothing ended or everything ended: the point itself.
    fn interval(&self, s: f64, width: f64) -> (f64, f64) {
        if s >= 1.0 || s <= 0.0 {
            return (s, s);
        }
        match self.transform {
            ConfidenceTransform::LogLog => {
                let exponent = width / s.ln();
                (s.powf((-exponent).exp()), s.powf(exponent.exp()))
            }
            ConfidenceTransform::Log => (s * (-width).exp(), (s * width.exp()).min(1.0)),
            ConfidenceTransform::Plain => ((s - s * width).max(0.0), (s + s * width).min(1.0)),
        }
    }
}

/// A Kaplan–Meier curve: one row per distinct time, with time 0 in front.
#[derive(Debug, Clone, PartialEq)]
pub struct SurvivalCurve {
    table: EventTable,
    survival: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl SurvivalCurve {
    /// Distinct times of ends and censorings, ascending from 0.
    pub fn times(&self) -> &[f64] {
        &self.table.times
    }

    /// Spells at risk at each time.
    pub fn at_risk(&self) -> &[u64] {
        &self.table.at_risk
    }

    /// Spells that ended at each time.
    pub fn events(&self) -> &[u64] {
        &self.table.events
    }

    /// Spells last seen running at each time.
    pub fn censored(&self) -> &[u64] {
        &self.table.censored
    }

    /// Share of spells that last longer than each time.
    pub fn survival(&self) -> &[f64] {
        &self.survival
    }

    /// Lower end of the interval at each time; the point itself where S is 0 or 1.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper end of the interval at each time; the point itself where S is 0 or 1.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// S at any times; constant after the last one observed, where the data say nothing.
    ///
    /// # Errors
    /// `InvalidValue`, naming the row, for a time that is negative or not finite.
    pub fn survival_at(&self, times: &[f64]) -> Result<Vec<f64>> {
        check_times(times)?;
        let at = |t: &f64| step_at(self.times(), &self.survival, 1.0, *t);
        Ok(times.iter().map(at).collect())
    }

    /// The first time at which at most the share `survival` is left; `None` if the curve never
    /// falls that far.
    ///
    /// # Errors
    /// `InvalidParameter` for a share outside 0 to 1.
    pub fn percentile(&self, survival: f64) -> Result<Option<f64>> {
        check_share(survival)?;
        Ok(self.first_at_most(&self.survival, survival))
    }

    /// The time at which half are left, as [`percentile`](Self::percentile) of 0.5.
    pub fn median(&self) -> Option<f64> {
        self.first_at_most(&self.survival, 0.5)
    }

    /// The interval of [`percentile`](Self::percentile): the percentiles of the curve's lower and
    /// upper end (Brookmeyer & Crowley 1982), `None` where an end never falls that far.
    ///
    /// # Errors
    /// As [`percentile`](Self::percentile).
    pub fn percentile_interval(&self, survival: f64) -> Result<(Option<f64>, Option<f64>)> {
        check_share(survival)?;
        Ok((
            self.first_at_most(&self.lower, survival),
            self.first_at_most(&self.upper, survival),
        ))
    }

    fn first_at_most(&self, falling: &[f64], share: f64) -> Option<f64> {
        let first = falling.iter().position(|s| *s <= share)?;
        Some(self.times()[first])
    }

    /// Mean duration when every spell is cut at `limit`: the area under the curve up to there.
    ///
    /// # Errors
    /// `InvalidParameter` for a limit that is not positive or beyond the last time observed,
    /// where the curve is not known.
    pub fn restricted_mean(&self, limit: f64) -> Result<f64> {
        let times = self.times();
        let last = times[times.len() - 1];
        if !(limit > 0.0 && limit <= last) {
            return Err(Error::invalid_parameter(
                "limit",
                format_args!("a time above 0 and up to {last}, the last one observed"),
                limit,
            ));
        }
        let mut area = 0.0;
        for (i, s) in self.survival.iter().enumerate() {
            let next = times.get(i + 1).map_or(limit, |t| t.min(limit));
            if next > times[i] {
                area += s * (next - times[i]);
            }
        }
        Ok(area)
    }
}

fn check_share(share: f64) -> Result<()> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "survival",
        "a share from 0 to 1",
        share,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(durations: &[f64], events: &[bool], transform: ConfidenceTransform) -> SurvivalCurve {
        let settings = KaplanMeier {
            transform,
            ..KaplanMeier::default()
        };
        settings
            .fit(&Durations::new(durations, events).unwrap())
            .unwrap()
    }

    /// The 6-MP arm of Freireich et al. (1963): S(6) = 0.857, S(10) = 0.753, S(23) = 0.448.
    #[test]
    fn leukaemia_remissions() {
        let weeks = [
            6.0, 6.0, 6.0, 6.0, 7.0, 9.0, 10.0, 10.0, 11.0, 13.0, 16.0, 17.0, 19.0, 20.0, 22.0,
            23.0, 25.0, 32.0, 32.0, 34.0, 35.0,
        ];
        let censored = [3, 5, 7, 8, 11, 12, 13, 16, 17, 18, 19, 20];
        let events: Vec<bool> = (0..21).map(|i| !censored.contains(&i)).collect();
        let curve = fit(&weeks, &events, ConfidenceTransform::Log);
        let s = curve.survival_at(&[5.9, 6.0, 10.0, 23.0, 99.0]).unwrap();
        for (got, published) in s.iter().zip([1.0, 0.8571, 0.7529, 0.4482, 0.4482]) {
            assert!((got - published).abs() < 5e-5, "{got} {published}");
        }
        assert_eq!(curve.median(), Some(23.0));
        // survfit prints 0.720 and 1 at week 6.
        assert!((curve.lower()[1] - 0.720).abs() < 5e-4);
        assert_eq!(curve.upper()[1], 1.0);
        let (low, high) = curve.percentile_interval(0.5).unwrap();
        assert_eq!((low, high), (Some(16.0), None));
    }

    #[test]
    fn transforms_stay_inside_and_differ() {
        let durations: Vec<f64> = (1..=9).map(f64::from).collect();
        let curves = [
            ConfidenceTransform::LogLog,
            ConfidenceTransform::Log,
            ConfidenceTransform::Plain,
        ]
        .map(|transform| fit(&durations, &[true; 9], transform));
        for curve in &curves {
            for i in 0..curve.times().len() {
                let (low, s, high) = (curve.lower()[i], curve.survival()[i], curve.upper()[i]);
                assert!(0.0 <= low && low <= s && s <= high && high <= 1.0);
            }
        }
        assert_ne!(curves[0].lower()[3], curves[1].lower()[3]);
        assert_ne!(curves[1].lower()[3], curves[2].lower()[3]);
    }

    #[test]
    fn nothing_ends_and_everything_ends() {
        let curve = fit(&[1.0, 2.0], &[false, false], ConfidenceTransform::LogLog);
        assert_eq!(curve.survival(), [1.0, 1.0, 1.0]);
        assert_eq!(curve.median(), None);
        assert_eq!(curve.restricted_mean(1.5).unwrap(), 1.5);
        assert!(curve.restricted_mean(2.5).is_err());
        let curve = fit(&[5.0, 5.0], &[true, true], ConfidenceTransform::LogLog);
        assert_eq!(curve.survival(), [1.0, 0.0]);
        assert_eq!((curve.lower()[1], curve.upper()[1]), (0.0, 0.0));
        assert!(curve.percentile(1.5).is_err());
        assert!(curve.survival_at(&[f64::NAN]).is_err());
    }
}
