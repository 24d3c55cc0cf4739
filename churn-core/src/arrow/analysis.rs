//! Results of survival and retention analysis to record batches.

use arrow_array::RecordBatch;

use super::BatchBuilder;
use crate::behavior::{LifecycleTable, RetentionTable, Stickiness};
use crate::error::Result;
use crate::scoring::survival::{
    Coefficient, CoxModel, HazardCurve, LogRank, PurchaseGaps, SurvivalCurve,
};

fn some<T: Copy>(values: &[T]) -> impl Iterator<Item = Option<T>> {
    values.iter().map(|value| Some(*value))
}

/// A Kaplan–Meier curve: `time`, `at_risk`, `events`, `censored`, `survival`, `lower`, `upper`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn survival_batch(curve: &SurvivalCurve) -> Result<RecordBatch> {
    BatchBuilder::new()
        .numbers("time", curve.times())
        .counts("at_risk", some(curve.at_risk()))
        .counts("events", some(curve.events()))
        .counts("censored", some(curve.censored()))
        .numbers("survival", curve.survival())
        .numbers("lower", curve.lower())
        .numbers("upper", curve.upper())
        .finish()
}

/// A Nelson–Aalen curve: `time`, `at_risk`, `events`, `censored`, `cumulative_hazard`, `lower`,
/// `upper`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn hazard_batch(curve: &HazardCurve) -> Result<RecordBatch> {
    BatchBuilder::new()
        .numbers("time", curve.times())
        .counts("at_risk", some(curve.at_risk()))
        .counts("events", some(curve.events()))
        .counts("censored", some(curve.censored()))
        .numbers("cumulative_hazard", curve.cumulative_hazard())
        .numbers("lower", curve.lower())
        .numbers("upper", curve.upper())
        .finish()
}

/// The groups of a log-rank test: `size`, `observed`, `expected`. Schema metadata: `statistic`,
/// `degrees_of_freedom`, `p_value`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn log_rank_batch(test: &LogRank) -> Result<RecordBatch> {
    let groups = || test.groups.iter();
    let expected: Vec<f64> = groups().map(|group| group.expected).collect();
    BatchBuilder::new()
        .metadata("statistic", test.statistic.to_string())
        .metadata("degrees_of_freedom", test.degrees_of_freedom.to_string())
        .metadata("p_value", test.p_value.to_string())
        .counts("size", groups().map(|group| Some(group.size)))
        .counts("observed", groups().map(|group| Some(group.observed)))
        .numbers("expected", &expected)
        .finish()
}

/// Coefficients of a regression model: `covariate`, `coefficient`, `standard_error`, `z`,
/// `p_value`, `lower`, `upper`.
///
/// # Errors
/// `InvalidParameter` never: names are values here.
pub fn coefficient_batch<'c>(
    coefficients: impl IntoIterator<Item = &'c Coefficient>,
) -> Result<RecordBatch> {
    let all: Vec<&Coefficient> = coefficients.into_iter().collect();
    let column =
        |value: fn(&Coefficient) -> f64| -> Vec<f64> { all.iter().map(|one| value(one)).collect() };
    BatchBuilder::new()
        .texts("covariate", all.iter().map(|one| Some(one.name.as_str())))
        .numbers("coefficient", &column(|c| c.coefficient))
        .numbers("standard_error", &column(|c| c.standard_error))
        .numbers("z", &column(|c| c.z))
        .numbers("p_value", &column(|c| c.p_value))
        .numbers("lower", &column(|c| c.lower))
        .numbers("upper", &column(|c| c.upper))
        .finish()
}

/// The baselines of a Cox model: `stratum`, `time`, `cumulative_hazard` of a row whose covariates
/// are the means.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn baseline_batch(model: &CoxModel) -> Result<RecordBatch> {
    let (mut strata, mut times, mut hazards) = (Vec::new(), Vec::new(), Vec::new());
    for stratum in model.strata() {
        let (time, hazard) = model.baseline(stratum)?;
        strata.extend(time.iter().map(|_| Some(u64::from(stratum))));
        times.extend_from_slice(time);
        hazards.extend_from_slice(hazard);
    }
    BatchBuilder::new()
        .counts("stratum", strata)
        .numbers("time", &times)
        .numbers("cumulative_hazard", &hazards)
        .finish()
}

/// Gaps between purchases: `customer`, `purchases_before`, `duration` (days), `event_observed`.
/// Schema metadata: `as_of`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn gap_batch(gaps: &PurchaseGaps) -> Result<RecordBatch> {
    BatchBuilder::new()
        .metadata("as_of", gaps.as_of().to_string())
        .customer_rows("customer", gaps.customers(), gaps.customer_rows())
        .counts(
            "purchases_before",
            gaps.purchases_before().iter().map(|n| Some(u64::from(*n))),
        )
        .numbers("duration", gaps.durations())
        .describe("unit", "days")
        .flags("event_observed", some(gaps.event_observed()))
        .finish()
}

/// A retention table, one row per cohort and column: `cohort` (its first day), `start`, `size`,
/// `cohort_complete`, `from_period`, `to_period`, `retained` and `share` (null where the time has
/// not begun), `complete`. Schema metadata: `as_of`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn retention_batch(table: &RetentionTable) -> Result<RecordBatch> {
    let width = table.columns().len();
    let cells = || (0..table.cohorts().len() * width).map(|i| (i / width, i % width));
    let cohort = |i: usize| &table.cohorts()[i];
    let period = |j: usize, end: usize| Some(u64::from(table.columns()[j][end]));
    BatchBuilder::new()
        .metadata("as_of", table.as_of().to_string())
        .texts(
            "cohort",
            cells().map(|(i, _)| Some(cohort(i).label.as_str())),
        )
        .times("start", cells().map(|(i, _)| Some(cohort(i).start)))
        .counts("size", cells().map(|(i, _)| Some(cohort(i).size)))
        .flags(
            "cohort_complete",
            cells().map(|(i, _)| Some(cohort(i).complete)),
        )
        .counts("from_period", cells().map(|(_, j)| period(j, 0)))
        .counts("to_period", cells().map(|(_, j)| period(j, 1)))
        .counts("retained", cells().map(|(i, j)| table.retained(i, j)))
        .optional_numbers("share", cells().map(|(i, j)| table.share(i, j)))
        .flags("complete", cells().map(|(i, j)| Some(table.complete(i, j))))
        .finish()
}

/// Lifecycle over time, one row per period: `period` (its first day), `start`, `new`, `returning`,
/// `resurrecting`, `dormant`, `complete`. Schema metadata: `as_of`.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn lifecycle_batch(table: &LifecycleTable) -> Result<RecordBatch> {
    let labels = table.labels().iter().map(|label| Some(label.as_str()));
    BatchBuilder::new()
        .metadata("as_of", table.as_of().to_string())
        .texts("period", labels)
        .times("start", table.starts().into_iter().map(Some))
        .counts("new", some(table.new_customers()))
        .counts("returning", some(table.returning()))
        .counts("resurrecting", some(table.resurrecting()))
        .counts("dormant", some(table.dormant()))
        .flags("complete", table.complete().into_iter().map(Some))
        .finish()
}

/// Stickiness: `periods` (1, 2, …), `customers` active in exactly so many. Schema metadata:
/// `complete`, and `ratio` where somebody was active.
///
/// # Errors
/// None in practice; the columns always fit together.
pub fn stickiness_batch(sticky: &Stickiness) -> Result<RecordBatch> {
    let mut batch = BatchBuilder::new().metadata("complete", sticky.complete().to_string());
    if let Some(ratio) = sticky.ratio() {
        batch = batch.metadata("ratio", ratio.to_string());
    }
    batch
        .counts("periods", (1..=sticky.customers().len() as u64).map(Some))
        .counts("customers", some(sticky.customers()))
        .finish()
}
