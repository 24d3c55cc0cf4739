//! Training data from an event log: customers as they looked at some instants, and what became of
//! them.
//!
//! Features come from [`History`](crate::events::History), which ends at the cut-off, labels from
//! [`Holdout`](crate::events::Holdout), which begins there: neither can see the other's side.
//! Several cut-offs give more rows and spread them over the seasons; the rows of one customer then
//! resemble each other, so that folds are cut by time or by customer ([`splits`](super::splits)).
//!
//! Not for contract data, where every row already has its label: there a [`Frame`] and the labels
//! are all it takes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::splits::{self, Fold};
use super::{Column, Frame};
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::events::{ChurnDefinition, CustomerHistory, EventKind, EventLog, Outcome};
use crate::features::{FeatureInfo, FeatureSpec, build_rows};
use crate::progress::Progress;
use crate::time::{AsOf, Timestamp};

/// Which customers are described at which instants, and when they count as lost.
///
/// # Example
/// ```
/// use churn_core::scoring::learned::TrainingSettings;
/// let settings: TrainingSettings = churn_core::settings::from_toml("training", r#"
///     churn.horizon_days = 60
///     cut_offs = { at = ["2011-06-01", "2011-07-01"] }
///     eligible.bought_within_days = 180
/// "#)?;
/// assert_eq!(settings.churn.horizon_days.as_days(), 60);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// Which features describe a customer.
    pub features: FeatureSpec,
    /// When a customer counts as lost.
    pub churn: ChurnDefinition,
    /// The instants at which customers are described.
    pub cut_offs: CutOffs,
    /// Which customers count at a cut-off.
    pub eligible: Eligibility,
    /// Until when (exclusive) the log observed everything; without it until midnight behind its
    /// last event.
    pub observed_until: Option<Timestamp>,
}

/// Instants at which customers are described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOffs {
    /// These, in any order.
    At(Vec<AsOf>),
    /// The last instant whose horizon the log observed to its end, and steps back from there as
    /// long as they lie behind the first event by a horizon at least.
    Rolling {
        /// How many at most.
        count: usize,
        /// Days from one to the next.
        every_days: u32,
    },
}

impl Default for CutOffs {
    /// Up to six, 30 days apart.
    fn default() -> Self {
        CutOffs::Rolling {
            count: 6,
            every_days: 30,
        }
    }
}

/// Which customers count at a cut-off; those who never bought never do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eligibility {
    /// Only those whose last purchase lies at most so many days back; `None` (the default) = all
    /// who ever bought. A model should be asked about the kind of customers it has seen.
    pub bought_within_days: Option<u32>,
    /// Only those with at least so many orders. Default 1.
    pub min_orders: u32,
}

impl Default for Eligibility {
    fn default() -> Self {
        Eligibility {
            bought_within_days: None,
            min_orders: 1,
        }
    }
}

/// How many rows did not become training rows, and why; the first reason that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// The horizon reaches beyond what the log observed.
    pub censored: usize,
    /// No purchase before the cut-off.
    pub never_bought: usize,
    /// The last purchase lies too far back.
    pub lapsed: usize,
    /// Too few orders.
    pub few_orders: usize,
}

/// One row per customer and cut-off: features, label, and whose row it is.
///
/// Rows are ordered by cut-off, then by customer.
///
/// # Example
/// ```
/// use churn_core::events::{Cleaning, EventColumns, EventKind};
/// use churn_core::progress::Progress;
/// use churn_core::scoring::learned::{TrainingData, TrainingSettings};
/// use churn_core::{EventLog, TimeUnit};
/// let customers = ["ann", "ann", "bea", "bea", "eve"];
/// let columns = EventColumns::new(&customers, &[1, 200, 5, 110, 300], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let settings: TrainingSettings = churn_core::settings::from_toml("training", r#"
///     features.features = ["orders", "days_since_last"]
///     cut_offs = { at = ["1970-04-11"] }
/// "#)?;
/// let data = TrainingData::build(&log, &settings, &Progress::none())?;
/// assert_eq!(data.target(), [1.0, 0.0]); // ann is back after 99 days, bea after 10
/// assert_eq!(data.frame()?.names(), ["orders", "days_since_last"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TrainingData {
    customers: Customers,
    infos: Vec<FeatureInfo>,
    cut_offs: Vec<AsOf>,
    churn: ChurnDefinition,
    /// Column-major.
    values: Arc<Vec<f64>>,
    target: Vec<f64>,
    customer_rows: Vec<u32>,
    cut_off_rows: Vec<u32>,
    excluded: Excluded,
}

/// Features that tell how long a customer has been silent, and whether they grow (1) or fall (−1)
/// with the silence.
const SILENCE: [(&str, i8); 8] = [
    ("days_since_last", 1),
    ("days_since_last_activity", 1),
    ("days_since_last_view", 1),
    ("recency_score", -1),
    ("silence_tail", -1),
    ("expected_next_days", -1),
    ("overdue_p80_days", -1),
    ("overdue_p95_days", -1),
];

impl TrainingData {
    /// Describes the customers of a log at each cut-off and labels them.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its domain or a cut-off that occurs twice;
    /// `NotEnoughData` for a log too short for its horizon or without any eligible customer;
    /// those of [`build_many`](crate::features::build_many); `Cancelled`.
    pub fn build(
        log: &EventLog,
        settings: &TrainingSettings,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        settings.churn.check()?;
        let cut_offs = settings.cut_offs(log)?;
        let mut excluded = Excluded::default();
        // Outcomes first: describing customers whose label is not known would be wasted.
        let mut labelled = Vec::new();
        for cut_off in &cut_offs {
            let outcomes = log
                .holdout(*cut_off)
                .outcomes(&settings.churn, settings.observed_until)?;
            let censored = outcomes.count(Outcome::Censored);
            if censored > 0 {
                excluded.censored += censored;
                continue;
            }
            let history = log.history(*cut_off);
            let verdicts: Vec<Verdict> = (0..history.customers().len())
                .into_par_iter()
                .map(|row| settings.eligible.judge(&history.customer(row), *cut_off))
                .collect();
            let mut kept = Vec::new();
            for (row, verdict) in verdicts.iter().enumerate() {
                match verdict {
                    Verdict::Eligible => kept.push(row as u32),
                    Verdict::NeverBought => excluded.never_bought += 1,
                    Verdict::Lapsed => excluded.lapsed += 1,
                    Verdict::FewOrders => excluded.few_orders += 1,
                }
            }
            labelled.push((
                *cut_off,
                outcomes.labels(),
                history.customers().clone(),
                kept,
            ));
        }
        let rows: usize = labelled.iter().map(|(_, _, _, kept)| kept.len()).sum();
        if rows == 0 {
            return Err(Error::not_enough_data(
                "training.cut_offs",
                "a cut-off with eligible customers whose horizon has been observed to its end",
                format_args!(
                    "none at {} cut-offs ({} rows with an unfinished horizon)",
                    cut_offs.len(),
                    excluded.censored
                ),
            ));
        }
        let mut data = TrainingData {
            customers: log.customers().clone(),
            infos: Vec::new(),
            cut_offs: Vec::with_capacity(labelled.len()),
            churn: settings.churn.clone(),
            values: Arc::default(),
            target: Vec::with_capacity(rows),
            customer_rows: Vec::with_capacity(rows),
            cut_off_rows: Vec::with_capacity(rows),
            excluded,
        };
        let mut picks = Vec::with_capacity(labelled.len());
        for (k, (cut_off, labels, seen, kept)) in labelled.into_iter().enumerate() {
            data.cut_offs.push(cut_off);
            for row in &kept {
                data.target.push(labels[*row as usize]);
                data.customer_rows
                    .push(seen.store_row(*row as usize) as u32);
                data.cut_off_rows.push(k as u32);
            }
            picks.push((cut_off, kept));
        }
        let (infos, values) = build_rows(log, picks, &settings.features, progress)?;
        (data.infos, data.values) = (infos, Arc::new(values));
        Ok(data)
    }

    /// The features, one column after another, as shared memory.
    #[cfg(feature = "arrow")]
    pub(crate) fn shared_values(&self) -> Arc<Vec<f64>> {
        Arc::clone(&self.values)
    }

    /// The features as a frame, without copying.
    ///
    /// # Errors
    /// As [`Frame::new`].
    pub fn frame(&self) -> Result<Frame<'_>> {
        let rows = self.len();
        let columns = self.infos.iter().enumerate().map(|(j, info)| {
            let cells = &self.values[j * rows..(j + 1) * rows];
            (info.name.clone(), Column::Numeric(Cow::Borrowed(cells)))
        });
        Frame::new(columns.collect())
    }

    /// The labels: 1 = churned, 0 = stayed.
    pub fn target(&self) -> &[f64] {
        &self.target
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.target.len()
    }

    /// Whether there are no rows; never true.
    pub fn is_empty(&self) -> bool {
        self.target.is_empty()
    }

    /// What the columns mean.
    pub fn features(&self) -> &[FeatureInfo] {
        &self.infos
    }

    /// The features that tell how long a customer has been silent, with 1 where they grow and −1 where
    /// they fall with the silence: what
    /// [`monotone_silence`](super::ChurnModelSettings::monotone_silence) adds to
    /// [`Boosting::monotone`](super::Boosting::monotone).
    pub fn silence(&self) -> BTreeMap<String, i8> {
        let here = |name: &str| self.infos.iter().any(|info| info.name == name);
        let known = SILENCE.iter().filter(|(name, _)| here(name));
        known
            .map(|(name, way)| ((*name).to_owned(), *way))
            .collect()
    }

    /// The definition that made the labels.
    pub fn churn(&self) -> &ChurnDefinition {
        &self.churn
    }

    /// The cut-offs that gave rows, ascending.
    pub fn cut_offs(&self) -> &[AsOf] {
        &self.cut_offs
    }

    /// Whose row it is.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    pub fn customer(&self, row: usize) -> CustomerId<'_> {
        self.customers.get(self.customer_rows[row] as usize)
    }

    /// As of when the row describes its customer.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    pub fn as_of(&self, row: usize) -> AsOf {
        self.cut_offs[self.cut_off_rows[row] as usize]
    }

    /// A number for each row that is the same for rows of the same customer.
    pub fn groups(&self) -> &[u32] {
        &self.customer_rows
    }

    /// Place of each row's cut-off in [`cut_offs`](Self::cut_offs).
    pub fn periods(&self) -> &[u32] {
        &self.cut_off_rows
    }

    /// How many rows are missing, and why.
    pub fn excluded(&self) -> Excluded {
        self.excluded
    }

    /// Folds that go forward in time: each tests the rows of one cut-off, the latest ones, and
    /// trains on the cut-offs whose horizon was over by then. Oldest first, at most `folds`.
    ///
    /// # Errors
    /// `NotEnoughData` where no cut-off lies a horizon behind another one.
    pub fn time_folds(&self, folds: usize) -> Result<Vec<Fold>> {
        let over: Vec<i64> = self
            .cut_offs
            .iter()
            .map(|at| self.churn.window(*at).1.micros())
            .collect();
        let starts: Vec<i64> = self
            .cut_offs
            .iter()
            .map(|at| at.instant().micros())
            .collect();
        splits::time_folds(&self.cut_off_rows, &starts, &over, folds)
    }
}

impl TrainingSettings {
    /// The cut-offs for a log, ascending.
    fn cut_offs(&self, log: &EventLog) -> Result<Vec<AsOf>> {
        match &self.cut_offs {
            CutOffs::At(given) => {
                let mut cut_offs = given.clone();
                cut_offs.sort_unstable();
                if cut_offs.is_empty() {
                    return Err(Error::invalid_parameter(
                        "training.cut_offs",
                        "at least one",
                        0,
                    ));
                }
                match cut_offs.windows(2).find(|pair| pair[0] == pair[1]) {
                    None => Ok(cut_offs),
                    Some(pair) => Err(Error::invalid_parameter(
                        "training.cut_offs",
                        "instants that differ",
                        format_args!("{} twice", pair[0]),
                    )),
                }
            }
            CutOffs::Rolling { count, every_days } => {
                if *count == 0 || *count > 1_000 || *every_days == 0 || *every_days > 36_500 {
                    return Err(Error::invalid_parameter(
                        "training.cut_offs",
                        "1 to 1000 cut-offs that are 1 to 36500 days apart",
                        format_args!("{count} cut-offs {every_days} days apart"),
                    ));
                }
                self.rolling(log, *count, *every_days)
            }
        }
    }

    fn rolling(&self, log: &EventLog, count: usize, every_days: u32) -> Result<Vec<AsOf>> {
        let (Some((first, _)), Some(until)) =
            (log.time_range(), log.observed_until(self.observed_until))
        else {
            return Err(Error::not_enough_data(
                "events",
                "at least one event",
                "none",
            ));
        };
        let horizon = f64::from(self.churn.horizon_days.as_days());
        let last = until.plus_days(-horizon - f64::from(self.churn.gap_days));
        let earliest = first.plus_days(horizon);
        let steps = (0..count).map(|k| last.plus_days(-(k as f64) * f64::from(every_days)));
        // The last cut-off is taken as long as anything lies before it.
        let mut cut_offs: Vec<AsOf> = steps
            .enumerate()
            .filter(|(k, at)| *at >= earliest || *k == 0 && *at > first)
            .map(|(_, at)| AsOf::new(at))
            .collect();
        if cut_offs.is_empty() {
            return Err(Error::not_enough_data(
                "events",
                format_args!("more than {horizon} days of events"),
                format_args!("{:.0}", until.days_since(first)),
            ));
        }
        cut_offs.reverse();
        Ok(cut_offs)
    }
}

enum Verdict {
    Eligible,
    NeverBought,
    Lapsed,
    FewOrders,
}

impl Eligibility {
    fn judge(&self, customer: &CustomerHistory<'_>, as_of: AsOf) -> Verdict {
        let (mut orders, mut last) = (0, None);
        let purchases = customer.events().filter(|e| e.kind == EventKind::Purchase);
        for purchase in purchases {
            orders += u32::from(purchase.opens_order);
            last = Some(purchase.time);
        }
        let Some(last) = last else {
            return Verdict::NeverBought;
        };
        let silence = as_of.instant().days_since(last);
        if self
            .bought_within_days
            .is_some_and(|days| silence > f64::from(days))
        {
            Verdict::Lapsed
        } else if orders < self.min_orders {
            Verdict::FewOrders
        } else {
            Verdict::Eligible
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::features::{build, build_many};
    use crate::simulate::Shop;

    fn shop() -> EventLog {
        let shop = Shop {
            customers: 300,
            days: 500,
            ..Shop::default()
        };
        let events = shop.open().unwrap();
        EventLog::from_columns(&events.columns(), &crate::events::Cleaning::default()).unwrap()
    }

    fn settings(text: &str) -> TrainingSettings {
        crate::settings::from_toml("training", text).unwrap()
    }

    #[test]
    fn rows_are_those_of_tables_and_outcomes() {
        let log = shop();
        let settings = settings("eligible = { bought_within_days = 100, min_orders = 2 }");
        let data = TrainingData::build(&log, &settings, &Progress::none()).unwrap();
        assert_eq!(data.cut_offs().len(), 6);
        let frame = data.frame().unwrap();
        let Column::Numeric(silence) = frame.column("days_since_last").unwrap() else {
            panic!("a numeric column");
        };
        let mut rows = 0;
        let mut expected = Excluded::default();
        for at in data.cut_offs() {
            let history = log.history(*at);
            let table = build(&history, &settings.features).unwrap();
            let labels = log
                .holdout(*at)
                .outcomes(&settings.churn, None)
                .unwrap()
                .labels();
            for (i, label) in labels.iter().enumerate() {
                let (last, orders) = (
                    table.column("days_since_last").unwrap()[i],
                    table.column("orders").unwrap()[i],
                );
                if last.is_nan() {
                    expected.never_bought += 1;
                } else if last > 100.0 {
                    expected.lapsed += 1;
                } else if orders < 2.0 {
                    expected.few_orders += 1;
                } else {
                    assert_eq!(data.customer(rows), table.customers().get(i));
                    assert_eq!(data.as_of(rows), *at);
                    assert_eq!(data.target()[rows], *label);
                    assert_eq!(silence[rows], last);
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, data.len());
        assert_eq!(data.excluded(), expected);
    }

    /// More customers than one thread takes at a time, some of whom are nobody's business.
    #[test]
    fn every_number_is_that_of_the_tables() {
        let shop = Shop {
            customers: 5_000,
            days: 300,
            ..Shop::default()
        };
        let events = shop.open().unwrap();
        let log = EventLog::from_columns(&events.columns(), &Default::default()).unwrap();
        let settings = settings("churn.horizon_days = 60\neligible.min_orders = 2");
        let data = TrainingData::build(&log, &settings, &Progress::none()).unwrap();
        let none = Progress::none();
        let tables = build_many(&log, data.cut_offs(), &settings.features, &none).unwrap();
        assert!(data.cut_offs().len() > 2 && data.len() < tables.iter().map(|t| t.len()).sum());
        assert_eq!(data.features(), tables[0].features());
        for row in 0..data.len() {
            let table = &tables[data.periods()[row] as usize];
            let there = table.customers().find(data.customer(row)).unwrap();
            for j in 0..data.features().len() {
                let here = data.values[j * data.len() + row];
                assert_eq!(here.to_bits(), table.column_at(j)[there].to_bits());
            }
        }
    }

    #[test]
    fn features_of_silence_grow_and_fall_with_it() {
        let log = shop();
        let data = TrainingData::build(&log, &settings(""), &Progress::none()).unwrap();
        // Every name is that of a feature, and a longer silence moves it the way that is stated.
        assert_eq!(data.silence().len(), SILENCE.len());
        let last = log.day_after_last().unwrap();
        let later = AsOf::new(last.instant().plus_days(40.0));
        let spec = FeatureSpec::default();
        let tables = build_many(&log, &[last, later], &spec, &Progress::none()).unwrap();
        for (name, way) in data.silence() {
            let (now, then) = (tables[0].column(&name), tables[1].column(&name));
            for (now, then) in now.unwrap().iter().zip(then.unwrap()) {
                // Scores are relative to the population, whose silence grows as well.
                if name != "recency_score" && !now.is_nan() {
                    assert!((then - now) * f64::from(way) >= 0.0, "{name}: {now} {then}");
                }
            }
        }
    }

    #[test]
    fn unfinished_horizons_are_counted_not_labelled() {
        let log = shop();
        let last = log.day_after_last().unwrap();
        let before = AsOf::new(last.instant().plus_days(-90.0));
        let at = settings(&format!("cut_offs = {{ at = [\"{last}\", \"{before}\"] }}"));
        let data = TrainingData::build(&log, &at, &Progress::none()).unwrap();
        assert_eq!(data.cut_offs(), [before]);
        assert_eq!(data.excluded().censored, log.customers().len());
        let at = settings(&format!("cut_offs = {{ at = [\"{last}\"] }}"));
        let error = TrainingData::build(&log, &at, &Progress::none()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        let twice = settings(&format!("cut_offs = {{ at = [\"{last}\", \"{last}\"] }}"));
        let error = TrainingData::build(&log, &twice, &Progress::none()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    }

    #[test]
    fn later_events_change_no_feature() {
        let log = shop();
        let at = AsOf::new(log.day_after_last().unwrap().instant().plus_days(-90.0));
        let settings = settings(&format!("cut_offs = {{ at = [\"{at}\"] }}"));
        let whole = TrainingData::build(&log, &settings, &Progress::none()).unwrap();
        let table = build(&log.history(at), &settings.features).unwrap();
        let bought = table.column("orders").unwrap().iter().filter(|o| **o > 0.0);
        assert_eq!(whole.len(), bought.count());
    }

    #[test]
    fn time_folds_train_on_what_was_known() {
        let log = shop();
        let data = TrainingData::build(&log, &settings(""), &Progress::none()).unwrap();
        let folds = data.time_folds(9).unwrap();
        // Six cut-offs 30 days apart with a horizon of 90: the last three have a finished one.
        assert_eq!(folds.len(), 3);
        for fold in &folds {
            let tested = data.as_of(fold.test[0]);
            assert!(fold.test.iter().all(|row| data.as_of(*row) == tested));
            for row in &fold.train {
                let (_, end) = data.churn().window(data.as_of(*row));
                assert!(end <= tested.instant());
            }
        }
    }
}
