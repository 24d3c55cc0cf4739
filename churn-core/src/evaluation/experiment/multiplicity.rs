//! Several comparisons at once: p-values that stay honest.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How p-values of several comparisons are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// None: right for one comparison that was named before.
    None,
    /// Times the number of comparisons.
    Bonferroni,
    /// Step-down (Holm 1979): as safe as Bonferroni and never weaker. The default.
    #[default]
    Holm,
    /// False discovery rate (Benjamini & Hochberg 1995): for many comparisons of which some may
    /// be wrong.
    BenjaminiHochberg,
}

/// Adjusted p-values, in the order given.
///
/// # Errors
/// `InvalidValue` for a p-value outside 0 … 1.
///
/// # Example
/// ```
/// use churn_core::evaluation::experiment::{Correction, adjust_p_values};
/// let adjusted = adjust_p_values(&[0.01, 0.04, 0.03], Correction::Holm)?;
/// assert_eq!(adjusted, [0.03, 0.06, 0.06]);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn adjust_p_values(p_values: &[f64], correction: Correction) -> Result<Vec<f64>> {
    if let Some(row) = p_values.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(Error::invalid_value(
            "experiment.p_values",
            row,
            "a number from 0 to 1",
            p_values[row],
        ));
    }
    let m = p_values.len();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = p_values.to_vec();
    match correction {
        Correction::None => {}
        Correction::Bonferroni => {
            for p in &mut adjusted {
                *p = (*p * m as f64).min(1.0);
            }
        }
        Correction::Holm => {
            let mut largest: f64 = 0.0;
            for (rank, i) in order.iter().enumerate() {
                largest = largest.max((p_values[*i] * (m - rank) as f64).min(1.0));
                adjusted[*i] = largest;
            }
        }
        Correction::BenjaminiHochberg => {
            let mut smallest: f64 = 1.0;
            for (rank, i) in order.iter().enumerate().rev() {
                smallest = smallest.min(p_values[*i] * m as f64 / (rank + 1) as f64);
                adjusted[*i] = smallest;
            }
        }
    }
    Ok(adjusted)
}
