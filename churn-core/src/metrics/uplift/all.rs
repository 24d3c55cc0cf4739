//! Every number of a ranking at once, each under the name of its definition.

use serde::{Deserialize, Serialize};

use super::{Cuts, UpliftAtK, uplift_at_k};
use crate::error::{Error, Result};

/// Every uplift metric of one ranking; `None` where its definition gives no number for these data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpliftMetrics {
    /// Difference of mean outcomes of all.
    pub average_effect: f64,
    /// [`Cuts::qini_radcliffe`].
    pub qini_radcliffe: f64,
    /// [`Cuts::qini_sklift`] with negative effects; outcomes of 0 and 1 only.
    pub qini_sklift: Option<f64>,
    /// [`Cuts::qini_sklift`] without negative effects.
    pub qini_sklift_without_negative_effects: Option<f64>,
    /// [`Cuts::auuc_sklift`].
    pub auuc_sklift: Option<f64>,
    /// [`Cuts::qini_causalml`].
    pub qini_causalml: Option<f64>,
    /// [`Cuts::auuc_causalml`].
    pub auuc_causalml: Option<f64>,
    /// [`Cuts::auuc_bucketed`].
    pub auuc_bucketed: Option<f64>,
    /// [`Cuts::qini_bucketed`].
    pub qini_bucketed: Option<f64>,
    /// [`uplift_at_k`] of all units.
    pub uplift_at_k_overall: Option<f64>,
    /// [`uplift_at_k`] of each arm.
    pub uplift_at_k_by_group: Option<f64>,
}

/// Computes every metric of a ranking; `k` is the share of [`uplift_at_k`], `buckets` the number of
/// [`Cuts::auuc_bucketed`].
///
/// # Errors
/// Those of [`Cuts::new`]; `InvalidParameter` for `k` outside (0, 1] or no buckets. A metric whose
/// definition gives no number for these data is `None`, not an error.
pub fn all(
    score: &[f64],
    treated: &[bool],
    outcome: &[f64],
    k: f64,
    buckets: usize,
) -> Result<UpliftMetrics> {
    let cuts = Cuts::new(score, treated, outcome)?;
    if buckets == 0 {
        cuts.auuc_bucketed(buckets)?;
    }
    if !(k > 0.0 && k <= 1.0) {
        uplift_at_k(score, treated, outcome, k, UpliftAtK::Overall)?;
    }
    let at_k = |strategy| uplift_at_k(score, treated, outcome, k, strategy).ok();
    Ok(UpliftMetrics {
        average_effect: cuts.all().difference(),
        qini_radcliffe: cuts.qini_radcliffe(),
        qini_sklift: cuts.qini_sklift(true).ok(),
        qini_sklift_without_negative_effects: cuts.qini_sklift(false).ok(),
        auuc_sklift: cuts.auuc_sklift().ok(),
        qini_causalml: cuts.qini_causalml().ok(),
        auuc_causalml: cuts.auuc_causalml().ok(),
        auuc_bucketed: cuts.auuc_bucketed(buckets).ok(),
        qini_bucketed: cuts.qini_bucketed(buckets).ok(),
        uplift_at_k_overall: at_k(UpliftAtK::Overall),
        uplift_at_k_by_group: at_k(UpliftAtK::ByGroup),
    })
}

impl Cuts {
    /// A curve by name: `"qini"` ([`qini_curve`](Self::qini_curve)) or `"gain"`
    /// ([`gain_curve`](Self::gain_curve)).
    ///
    /// # Errors
    /// `UnknownName` for another name.
    pub fn curve_named(&self, name: &str) -> Result<Vec<(f64, f64)>> {
        match name {
            "qini" => Ok(self.qini_curve()),
            "gain" => Ok(self.gain_curve()),
            _ => Err(Error::unknown_name("uplift.curve", name, ["qini", "gain"])),
        }
    }
}
