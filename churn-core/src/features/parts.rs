//! Feature tables of a stream, one per partition.

use super::{FeatureSpec, FeatureTable, Population, build_with};
use crate::error::Result;
use crate::events::{PartitionedLog, Scratch};
use crate::progress::Progress;
use crate::time::AsOf;

/// Builds the feature tables of a stream, one partition after another, with a population learned
/// before ([`Population::fit_parts`], or yesterday's).
///
/// Shape: one table per partition, in order, each with its customers in ascending order of id.
/// Together they hold the rows of the one table that [`build_with`] makes of the same events with
/// the same population, bit for bit. Each is made when it is asked for, in memory for one partition.
///
/// # Errors
/// Each table as [`build_with`]; `InvalidValue` for scratch space that lost or changed what it was
/// given.
///
/// # Example
/// ```
/// use churn_core::events::{
///     Cleaning, EventColumns, EventKind, LogStream, MemoryScratch, StreamSettings,
/// };
/// use churn_core::features::{FeatureSpec, Population, build_parts};
/// use churn_core::progress::Progress;
/// use churn_core::{AsOf, TimeUnit};
/// let none = Progress::none();
/// let settings = StreamSettings { partitions: 4, ..StreamSettings::default() };
/// let mut stream = LogStream::new(MemoryScratch::new(), &settings, &Cleaning::default())?;
/// let batch = EventColumns::new(&["ann", "bea"], &[10, 12], TimeUnit::Day, EventKind::Purchase);
/// stream.push(&batch, &none)?;
/// let whole = stream.finish(&none)?;
/// let (as_of, spec) = (AsOf::parse("1970-02-01")?, FeatureSpec::default());
/// let population = Population::fit_parts(&whole, as_of, &spec, &none)?;
/// let mut customers = 0;
/// for table in build_parts(&whole, as_of, &spec, &population, &none) {
///     customers += table?.len();
/// }
/// assert_eq!(customers, 2);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn build_parts<'a, S: Scratch>(
    log: &'a PartitionedLog<S>,
    as_of: AsOf,
    spec: &'a FeatureSpec,
    population: &'a Population,
    progress: &'a Progress<'_>,
) -> impl ExactSizeIterator<Item = Result<FeatureTable>> + 'a {
    (0..log.partitions()).map(move |partition| {
        let part = log.log(partition, progress)?;
        build_with(&part.history(as_of), spec, population, progress)
    })
}
