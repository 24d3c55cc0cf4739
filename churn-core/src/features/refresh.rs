//! A feature table after new events: only the customers that they touched are described anew.

use rayon::prelude::*;

use super::{Describer, FeatureSpec, FeatureTable, Population};
use crate::error::{Error, Result};
use crate::events::EventLog;
use crate::progress::Progress;

/// Touched customers that one thread takes at a time.
const CHUNK: usize = 256;

/// A table brought up to date with a log that was appended to.
///
/// `touched` are rows of the log's customers, ascending, as [`Appended::touched`] gives them: all
/// that changed since `previous` was built. After several appends take the union by id, for new
/// customers shift the rows behind them.
///
/// Shape: one row per customer with an event before the instant of `previous`, which is kept.
/// Equal, bit for bit, to [`build_with`](super::build_with) on the whole log with the same
/// population; the cost is that of the touched customers, and of copying the table where there are
/// new rows.
///
/// [`Appended::touched`]: crate::events::Appended::touched
///
/// # Errors
/// As [`build_with`](super::build_with); `Misaligned` for a table with other features than the spec
/// gives for this log (a new channel brings new ones: build anew then), and where new customers would
/// stand among some that the log does not know; `InvalidParameter` for touched rows that do not ascend or that the log does
/// not have.
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, EventColumns, EventKind};
/// use churn_core::features::{FeatureSpec, build_observed, build_with, refresh};
/// use churn_core::progress::Progress;
/// use churn_core::{AsOf, EventLog, TimeUnit};
/// fn rows<'a>(ids: &'a [&'a str], days: &'a [i64]) -> EventColumns<'a> {
///     EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
/// }
/// let none = Progress::none();
/// let (as_of, spec) = (AsOf::parse("1970-02-01")?, FeatureSpec::default());
/// let mut log = EventLog::from_columns(&rows(&["ann", "cyd"], &[10, 12]), &Cleaning::default())?;
/// let (table, population) = build_observed(&log.history(as_of), &spec, &none)?;
///
/// let appended = log.append(&rows(&["bea", "cyd"], &[11, 13]))?;
/// let table = refresh(table, &log, &appended.touched, &spec, &population, &none)?;
/// assert_eq!(table.column("orders")?, [1.0, 1.0, 2.0]);
/// let whole = build_with(&log.history(as_of), &spec, &population, &none)?;
/// assert_eq!(table.column("days_since_last")?, whole.column("days_since_last")?);
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn refresh(
    previous: FeatureTable,
    log: &EventLog,
    touched: &[usize],
    spec: &FeatureSpec,
    population: &Population,
    progress: &Progress<'_>,
) -> Result<FeatureTable> {
    let as_of = previous.as_of();
    let describer = || Describer::new(log.channels(), as_of, spec, population);
    check_features(&previous, &describer()?)?;
    check_touched(touched, log.customers().len())?;

    // What the touched customers look like now; those without an event before the instant are none
    // of the table's business.
    let step = progress.step("features.refresh", touched.len());
    let chunks: Vec<Result<Described>> = touched
        .par_chunks(CHUNK)
        .map_init(describer, |describer, rows| {
            let describer = describer.as_mut().map_err(|error| error.clone())?;
            let mut described = Described::default();
            for &row in rows {
                if let Some(past) = log.customer_at(row, as_of) {
                    let values = describer.describe(&past);
                    let values = values.map_err(|error| error.at_row(row))?;
                    described.rows.push(row);
                    described.values.extend_from_slice(values);
                }
            }
            step.advance(rows.len())?;
            Ok(described)
        })
        .collect();
    let mut now = Described::default();
    for chunk in chunks {
        let mut chunk = chunk?;
        now.rows.append(&mut chunk.rows);
        now.values.append(&mut chunk.values);
    }
    place(previous, log, &now)
}

/// Features of some customers, customer after customer.
#[derive(Default)]
struct Described {
    /// Rows in the log.
    rows: Vec<usize>,
    values: Vec<f64>,
}

fn check_features(previous: &FeatureTable, describer: &Describer) -> Result<()> {
    let (known, now) = (previous.features(), describer.features());
    if known == now {
        return Ok(());
    }
    let differs = (0..known.len().max(now.len())).find(|j| known.get(*j) != now.get(*j));
    let name = |features: &[super::FeatureInfo]| match differs.and_then(|j| features.get(j)) {
        Some(feature) => format!("{} as feature {}", feature.name, differs.unwrap_or(0)),
        None => "no such feature".to_owned(),
    };
    Err(Error::misaligned("table.features", name(now), name(known)))
}

fn check_touched(touched: &[usize], customers: usize) -> Result<()> {
    let wrong = |i: usize| touched[i] >= customers || i > 0 && touched[i - 1] >= touched[i];
    match (0..touched.len()).find(|i| wrong(*i)) {
        None => Ok(()),
        Some(i) => Err(Error::invalid_parameter(
            format!("touched[{i}]"),
            format_args!("rows of the {customers} customers of the log that ascend and differ"),
            touched[i],
        )),
    }
}

/// Puts what is new into the table.
fn place(previous: FeatureTable, log: &EventLog, now: &Described) -> Result<FeatureTable> {
    let features = previous.features().len();
    let known = previous.customers();
    let places = now
        .rows
        .iter()
        .map(|row| known.find(log.customers().get(*row)));
    let places: Option<Vec<usize>> = places.collect();
    let mut table = previous;
    let places = match places {
        Some(places) => places,
        None => {
            let grown = Grown::of(&table, log, &now.rows)?;
            table = grown.copy(&table, log)?;
            grown.places
        }
    };
    let n = table.len();
    let (customers, as_of) = (table.customers().clone(), table.as_of());
    let infos = table.features().to_vec();
    let mut values = table.into_values();
    for (place, row) in places.iter().zip(now.values.chunks(features.max(1))) {
        for (j, value) in row.iter().enumerate() {
            values[j * n + place] = *value;
        }
    }
    FeatureTable::from_columns(customers, as_of, infos, values)
}

/// Where the rows of a table go once there are new ones among them.
struct Grown {
    /// Row in the log of each row of the larger table.
    rows: Vec<u32>,
    /// Rows of the larger table that are new, ascending.
    new: Vec<usize>,
    /// Row of the larger table of each described customer.
    places: Vec<usize>,
}

impl Grown {
    fn of(table: &FeatureTable, log: &EventLog, described: &[usize]) -> Result<Self> {
        let all = log.customers();
        let mut grown = Grown {
            rows: Vec::with_capacity(table.len() + described.len()),
            new: Vec::new(),
            places: Vec::with_capacity(described.len()),
        };
        let mut described = described.iter().copied().peekable();
        let mut at = 0;
        for id in table.customers().iter() {
            // Both ascend.
            while at < all.len() && all.get(at) < id {
                at += 1;
            }
            if at == all.len() || all.get(at) != id {
                let expected = "customers of the log only";
                return Err(Error::misaligned("table.customers", expected, id));
            }
            while let Some(row) = described.next_if(|row| *row < at) {
                grown.push_new(row);
            }
            if described.next_if_eq(&at).is_some() {
                grown.places.push(grown.rows.len());
            }
            grown.rows.push(at as u32);
            at += 1;
        }
        for row in described {
            grown.push_new(row);
        }
        Ok(grown)
    }

    fn push_new(&mut self, row: usize) {
        self.new.push(self.rows.len());
        self.places.push(self.rows.len());
        self.rows.push(row as u32);
    }

    /// The table with room at the new rows.
    fn copy(&self, table: &FeatureTable, log: &EventLog) -> Result<FeatureTable> {
        let n = self.rows.len();
        let mut values = vec![0.0; n * table.features().len()];
        values
            .par_chunks_mut(n.max(1))
            .enumerate()
            .for_each(|(j, to)| {
                let from = table.column_at(j);
                let (mut end, mut taken) = (0, 0);
                for &new in &self.new {
                    let run = new - end;
                    to[end..new].copy_from_slice(&from[taken..taken + run]);
                    (end, taken) = (new + 1, taken + run);
                }
                to[end..].copy_from_slice(&from[taken..]);
            });
        let customers = log.customers().subset(self.rows.clone());
        FeatureTable::from_columns(customers, table.as_of(), table.features().to_vec(), values)
    }
}
