//! Who came back, by when they came first.
//!
//! Customers of one cohort began in the same period. Of its customers, the table counts who came
//! back
//!
//! ```text
//! on n (N-day):               in exactly the n-th period after the first
//! on or after n (unbounded):  in the n-th or any later one
//! in a bracket [a, b]:        at least once from the a-th to the b-th
//! ```
//!
//! Period 0 is the cohort itself, 100 %. First-time cohorts hold a customer once, by the first start
//! event ever; recurring ones hold them in every period in which they start. With calendar windows
//! 23:59 and 00:01 are two days (as PostHog counts); with rolling windows the n-th day is the n-th
//! span of 24 hours after the customer's own start (as Amplitude and Mixpanel count). A calendar
//! week or day in which the clock changes is as long as people lived it; rolling windows are not.
//!
//! A cell whose time is not over at `as_of` is marked incomplete, and one that has not begun holds
//! nothing. The first cohort of a log that does not begin with the shop holds old customers too.

use serde::{Deserialize, Serialize};

use super::periods::{Kinds, check_cells, count, cover};
use crate::error::{Error, Result};
use crate::events::{EventKind, History};
use crate::progress::Progress;
use crate::time::{AsOf, MICROS_PER_DAY, Period, Periods, Timestamp, Weekday};

/// When a customer counts as having come back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// In exactly the n-th period. The default.
    #[default]
    NDay,
    /// In the n-th period or any later one before `as_of`.
    Unbounded,
    /// At least once from the first to the last of these periods, counted from 1.
    Bracket(Vec<[u32; 2]>),
}

/// Who belongs to a cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CohortKind {
    /// Each customer once, by the first start event ever. The default.
    #[default]
    FirstTime,
    /// Each customer in every period with a start event.
    Recurring,
}

/// Where the n-th period of a customer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// With the n-th period of the calendar after the cohort's. The default.
    #[default]
    Calendar,
    /// n times 24 hours (or seven days) after the customer's first start event in the cohort.
    Rolling,
}

/// How the cohorts' shares become one curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mean {
    /// By the size of the cohorts: the share of all customers. The default.
    #[default]
    Weighted,
    /// Every cohort alike.
    Simple,
}

/// What to count as starting and as coming back, and in which periods.
///
/// # Example
/// ```
/// use churn_core::behavior::{Mean, RetentionSettings};
/// use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// use churn_core::progress::Progress;
/// use churn_core::time::Period;
/// use churn_core::{AsOf, TimeUnit};
/// let ids = ["ann", "ann", "bea", "cid"];
/// let columns = EventColumns::new(&ids, &[0, 1, 0, 1], TimeUnit::Day, EventKind::Purchase);
/// let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let settings = RetentionSettings { period: Period::Day, periods: 2, ..RetentionSettings::default() };
/// let table = settings.table(&log.history(AsOf::parse("1970-01-03")?), &Progress::none())?;
/// assert_eq!(table.share(0, 1), Some(0.5)); // of ann and bea, ann came back on day 1
/// assert_eq!(table.share(1, 1), None); // day 1 of cid's cohort has not begun
/// assert_eq!(table.curve(Mean::Weighted), [Some(1.0), Some(0.5), None]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// IANA name of the time zone of the periods. Default `"UTC"`.
    pub time_zone: String,
    /// Length of a period. Default week.
    pub period: Period,
    /// The day on which weeks begin. Default Monday.
    pub week_start: Weekday,
    /// When a customer counts as having come back. Default in exactly the n-th period.
    pub retention: Retention,
    /// Who belongs to a cohort. Default each customer once.
    pub cohorts: CohortKind,
    /// Where the n-th period of a customer begins. Default with the calendar.
    pub windows: Windows,
    /// Kinds of event that put a customer into a cohort; empty = all. Default purchases.
    pub start_kinds: Vec<EventKind>,
    /// Kinds of event that count as coming back; empty = all. Default purchases.
    pub return_kinds: Vec<EventKind>,
    /// Periods after the first to tell, 1 to 1,000; brackets bring their own. Default 12.
    pub periods: u32,
    /// The first cohort told is that of the period that holds this instant; default the first with
    /// a customer. Who started before stays in an earlier, untold cohort.
    pub since: Option<Timestamp>,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings {
            time_zone: "UTC".to_owned(),
            period: Period::default(),
            week_start: Weekday::default(),
            retention: Retention::default(),
            cohorts: CohortKind::default(),
            windows: Windows::default(),
            start_kinds: vec![EventKind::Purchase],
            return_kinds: vec![EventKind::Purchase],
            periods: 12,
            since: None,
        }
    }
}

const PLACE: &str = "retention";
const MOST_PERIODS: u32 = 1_000;

/// One customer's events that matter, filled anew for each.
#[derive(Debug, Clone, Default)]
struct Past {
    /// Instant of the first start event of each period with one.
    starts: Vec<(u32, i64)>,
    /// Instants of the events that count as coming back, or one per period with calendar windows.
    returns: Vec<(u32, i64)>,
    /// Steps after the start of one cohort in which the customer came back, ascending.
    steps: Vec<u32>,
}

impl RetentionSettings {
    fn columns(&self) -> Result<Vec<[u32; 2]>> {
        let in_bounds = |n: u32| (1..=MOST_PERIODS).contains(&n);
        let mut columns = vec![[0, 0]];
        match &self.retention {
            Retention::Bracket(brackets) => {
                for (i, [from, to]) in brackets.iter().enumerate() {
                    if !(in_bounds(*from) && in_bounds(*to) && from <= to) {
                        return Err(Error::invalid_parameter(
                            format!("{PLACE}.retention.bracket[{i}]"),
                            format_args!("two periods from 1 to {MOST_PERIODS}, the earlier first"),
                            format_args!("{from} to {to}"),
                        ));
                    }
                    columns.push([*from, *to]);
                }
                if brackets.is_empty() {
                    let place = format!("{PLACE}.retention.bracket");
                    return Err(Error::invalid_parameter(
                        place,
                        "at least one bracket",
                        "none",
                    ));
                }
            }
            Retention::NDay | Retention::Unbounded => {
                if !in_bounds(self.periods) {
                    return Err(Error::invalid_parameter(
                        format!("{PLACE}.periods"),
                        format_args!("1 to {MOST_PERIODS}"),
                        self.periods,
                    ));
                }
                columns.extend((1..=self.periods).map(|n| [n, n]));
            }
        }
        Ok(columns)
    }

    /// Length of a rolling window (microseconds).
    fn rolling(&self) -> Result<Option<i64>> {
        match (self.windows, self.period) {
            (Windows::Calendar, _) => Ok(None),
            (Windows::Rolling, Period::Day) => Ok(Some(MICROS_PER_DAY)),
            (Windows::Rolling, Period::Week) => Ok(Some(7 * MICROS_PER_DAY)),
            (Windows::Rolling, Period::Month) => Err(Error::invalid_parameter(
                format!("{PLACE}.windows"),
                "calendar windows for months, which have no one length",
                "rolling",
            )),
        }
    }

    /// Counts who came back.
    ///
    /// # Errors
    /// `UnknownName` for a time zone that is not known; `InvalidParameter` for settings outside
    /// their domain, a `since` that is not before `as_of`, or a table of more than 20 million cells;
    /// `NotEnoughData` where nothing starts a cohort; `Cancelled`.
    pub fn table(&self, history: &History<'_>, progress: &Progress<'_>) -> Result<RetentionTable> {
        let columns = self.columns()?;
        let rolling = self.rolling()?;
        let zone = (self.time_zone.as_str(), self.period, self.week_start);
        let periods = cover(PLACE, history, zone, None)?;
        let told = match self.since {
            None => 0,
            Some(since) => {
                cover(PLACE, history, zone, Some(since))?;
                (0..periods.len())
                    .find(|p| periods.end(*p) > since)
                    .unwrap_or(0)
            }
        };
        let n = periods.len();
        let width = columns.len();
        check_cells(PLACE, n, width)?;
        let (starting, returning) = (
            Kinds::new(&self.start_kinds),
            Kinds::new(&self.return_kinds),
        );
        let counts = count(
            history,
            progress,
            "behavior.retention",
            n * width,
            Past::default,
            |row, past: &mut Past, counts| {
                past.starts.clear();
                past.returns.clear();
                for event in history.customer(row).events() {
                    let Some(period) = periods.index(event.time) else {
                        continue;
                    };
                    let (period, time) = (period as u32, event.time.micros());
                    let first = self.cohorts == CohortKind::Recurring || past.starts.is_empty();
                    if starting.has(event.kind)
                        && first
                        && past.starts.last().is_none_or(|(p, _)| *p < period)
                    {
                        past.starts.push((period, time));
                    }
                    let new_period = past.returns.last().is_none_or(|(p, _)| *p < period);
                    if returning.has(event.kind)
                        && !past.starts.is_empty()
                        && (rolling.is_some() || new_period)
                    {
                        past.returns.push((period, time));
                    }
                }
                for (cohort, began) in &past.starts {
                    let from = past.returns.partition_point(|(_, time)| time < began);
                    past.steps.clear();
                    for (period, time) in &past.returns[from..] {
                        let step = match rolling {
                            None => period - cohort,
                            Some(length) => {
                                ((time - began) / length).min(i64::from(u32::MAX)) as u32
                            }
                        };
                        if past.steps.last() != Some(&step) {
                            past.steps.push(step);
                        }
                    }
                    let cells = &mut counts[*cohort as usize * width..][..width];
                    cells[0] += 1;
                    self.count_steps(&past.steps, &columns, cells);
                }
            },
        )?;
        let first = (told..n).find(|p| counts[p * width] > 0);
        let Some(first) = first else {
            return Err(Error::not_enough_data(
                PLACE,
                "at least one event of the start kinds in the span told",
                "none",
            ));
        };
        let first = if self.since.is_some() { told } else { first };
        self.finish(history, periods, first, columns, &counts, rolling)
    }

    /// Adds one member of a cohort who came back at these steps.
    fn count_steps(&self, steps: &[u32], columns: &[[u32; 2]], cells: &mut [u64]) {
        match &self.retention {
            Retention::NDay => {
                for step in steps {
                    if *step >= 1 && (*step as usize) < cells.len() {
                        cells[*step as usize] += 1;
                    }
                }
            }
            Retention::Unbounded => {
                if let Some(last) = steps.last() {
                    let last = (*last as usize).min(cells.len() - 1);
                    cells[1..=last].iter_mut().for_each(|cell| *cell += 1);
                }
            }
            Retention::Bracket(_) => {
                for ([from, to], cell) in columns.iter().zip(cells).skip(1) {
                    let at = steps.partition_point(|step| step < from);
                    *cell += u64::from(steps.get(at).is_some_and(|step| step <= to));
                }
            }
        }
    }

    fn finish(
        &self,
        history: &History<'_>,
        periods: Periods,
        first: usize,
        columns: Vec<[u32; 2]>,
        counts: &[u64],
        rolling: Option<i64>,
    ) -> Result<RetentionTable> {
        let width = columns.len();
        let as_of = history.as_of().instant();
        let spans = match rolling {
            None => Vec::new(),
            Some(_) => self.starts_of_cohorts(history, &periods),
        };
        let cohorts = (first..periods.len()).map(|p| Cohort {
            label: periods.labels()[p].clone(),
            start: periods.start(p),
            size: counts[p * width],
            complete: periods.end(p) <= as_of,
        });
        let cohorts: Vec<Cohort> = cohorts.collect();
        let mut cells = Vec::with_capacity(cohorts.len() * width);
        for p in first..periods.len() {
            for (j, [from, to]) in columns.iter().enumerate() {
                let (from, to) = (*from as usize, *to as usize);
                let state = match rolling {
                    // A period of the grid: the last one holds the last instant before as_of.
                    None => State {
                        begun: p + from < periods.len(),
                        over: p + to < periods.len() && periods.end(p + to) <= as_of,
                    },
                    Some(length) => spans[p].map_or(
                        State {
                            begun: false,
                            over: false,
                        },
                        |(earliest, latest)| State {
                            begun: earliest + from as i64 * length < as_of.micros(),
                            over: latest + (to as i64 + 1) * length <= as_of.micros(),
                        },
                    ),
                };
                let begun = state.begun || j == 0;
                let over = if j == 0 {
                    periods.end(p) <= as_of
                } else {
                    state.over
                };
                cells.push(Cell {
                    retained: begun.then_some(counts[p * width + j]),
                    complete: begun && over,
                });
            }
        }
        Ok(RetentionTable {
            as_of: history.as_of(),
            cohorts,
            columns,
            cells,
        })
    }

    /// Earliest and latest start within each cohort, which say when its rolling windows end.
    fn starts_of_cohorts(
        &self,
        history: &History<'_>,
        periods: &Periods,
    ) -> Vec<Option<(i64, i64)>> {
        let starting = Kinds::new(&self.start_kinds);
        let mut spans: Vec<Option<(i64, i64)>> = vec![None; periods.len()];
        for row in 0..history.customers().len() {
            let mut last = None;
            for event in history.customer(row).events() {
                let Some(period) = periods
                    .index(event.time)
                    .filter(|_| starting.has(event.kind))
                else {
                    continue;
                };
                if last == Some(period) {
                    continue;
                }
                let time = event.time.micros();
                let span = spans[period].get_or_insert((time, time));
                *span = (span.0.min(time), span.1.max(time));
                last = Some(period);
                if self.cohorts == CohortKind::FirstTime {
                    break;
                }
            }
        }
        spans
    }
}

/// Whether any member's window has begun, and whether all are over.
#[derive(Debug, Clone, Copy)]
struct State {
    begun: bool,
    over: bool,
}

/// Customers who began in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// First day of the period in its zone, e.g. `"2020-03-29"`.
    pub label: String,
    /// First instant of the period.
    pub start: Timestamp,
    /// Number of customers.
    pub size: u64,
    /// Whether the period is over at `as_of`; otherwise more may join.
    pub complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    /// `None` where the time has not begun.
    retained: Option<u64>,
    complete: bool,
}

/// Who came back: cohorts × columns, of which the first is the cohort itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionTable {
    as_of: AsOf,
    cohorts: Vec<Cohort>,
    columns: Vec<[u32; 2]>,
    /// Row-major.
    cells: Vec<Cell>,
}

impl RetentionTable {
    /// The instant at which the past ends.
    pub fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// The cohorts in order of time; one for every period up to `as_of`, also without customers.
    pub fn cohorts(&self) -> &[Cohort] {
        &self.cohorts
    }

    /// First and last period that each column speaks of; the same where it is one period.
    pub fn columns(&self) -> &[[u32; 2]] {
        &self.columns
    }

    fn cell(&self, cohort: usize, column: usize) -> Cell {
        assert!(
            column < self.columns.len(),
            "column {column} of {}",
            self.columns.len()
        );
        self.cells[cohort * self.columns.len() + column]
    }

    /// Customers of a cohort who came back; `None` where the time has not begun.
    ///
    /// # Panics
    /// If there is no such cohort or column.
    pub fn retained(&self, cohort: usize, column: usize) -> Option<u64> {
        self.cell(cohort, column).retained
    }

    /// Their share of the cohort; `None` also for a cohort without customers.
    ///
    /// # Panics
    /// If there is no such cohort or column.
    pub fn share(&self, cohort: usize, column: usize) -> Option<f64> {
        let size = self.cohorts[cohort].size;
        let retained = self.cell(cohort, column).retained?;
        (size > 0).then(|| retained as f64 / size as f64)
    }

    /// Whether all of the cell's time is over at `as_of`, for every member. Unbounded counts may
    /// grow even then: who has not come back yet still may.
    ///
    /// # Panics
    /// If there is no such cohort or column.
    pub fn complete(&self, cohort: usize, column: usize) -> bool {
        self.cell(cohort, column).complete
    }

    /// The cohorts' shares as one curve, from complete cells of cohorts with customers; `None` for
    /// columns without any.
    pub fn curve(&self, mean: Mean) -> Vec<Option<f64>> {
        let of_column = |column: usize| {
            let rows = (0..self.cohorts.len())
                .filter(|row| self.cohorts[*row].size > 0 && self.complete(*row, column));
            let (mut retained, mut all, mut shares, mut n) = (0, 0, 0.0, 0_u32);
            for row in rows {
                let came = self.retained(row, column).unwrap_or(0);
                let size = self.cohorts[row].size;
                retained += came;
                all += size;
                shares += came as f64 / size as f64;
                n += 1;
            }
            (n > 0).then(|| match mean {
                Mean::Weighted => retained as f64 / all as f64,
                Mean::Simple => shares / f64::from(n),
            })
        };
        (0..self.columns.len()).map(of_column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::testing::{history_of, log_of};
    use crate::error::ErrorKind;

    fn daily(settings: RetentionSettings) -> RetentionSettings {
        RetentionSettings {
            period: Period::Day,
            periods: 4,
            ..settings
        }
    }

    fn run(
        rows: &[(&str, &str, &str)],
        as_of: &str,
        settings: &RetentionSettings,
    ) -> Result<RetentionTable> {
        let log = log_of(rows);
        settings.table(&history_of(&log, as_of), &Progress::none())
    }

    fn counts(table: &RetentionTable, cohort: usize) -> Vec<Option<u64>> {
        (0..table.columns().len())
            .map(|j| table.retained(cohort, j))
            .collect()
    }

    const ROWS: [(&str, &str, &str); 8] = [
        ("ann", "2020-01-01T09:00", "purchase"),
        ("ann", "2020-01-02T08:00", "purchase"),
        ("ann", "2020-01-04T10:00", "purchase"),
        ("bea", "2020-01-01T23:59", "purchase"),
        ("bea", "2020-01-02T00:01", "purchase"),
        ("cid", "2020-01-02T12:00", "purchase"),
        ("cid", "2020-01-02T13:00", "purchase"),
        ("dan", "2020-01-01T12:00", "view"),
    ];

    #[test]
    fn n_day_unbounded_and_bracket() {
        let table = run(&ROWS, "2020-01-05", &daily(RetentionSettings::default())).unwrap();
        assert_eq!(
            counts(&table, 0),
            [Some(2), Some(2), Some(0), Some(1), None]
        );
        assert_eq!(counts(&table, 1), [Some(1), Some(0), Some(0), None, None]);
        assert_eq!(table.cohorts().len(), 4);
        assert_eq!((table.cohorts()[2].size, table.share(2, 0)), (0, None));

        let unbounded = daily(RetentionSettings {
            retention: Retention::Unbounded,
            ..RetentionSettings::default()
        });
        let table = run(&ROWS, "2020-01-05", &unbounded).unwrap();
        assert_eq!(
            counts(&table, 0),
            [Some(2), Some(2), Some(1), Some(1), None]
        );

        let bracket = daily(RetentionSettings {
            retention: Retention::Bracket(vec![[2, 3], [1, 4]]),
            ..RetentionSettings::default()
        });
        let table = run(&ROWS, "2020-01-05", &bracket).unwrap();
        assert_eq!(counts(&table, 0), [Some(2), Some(1), Some(2)]);
        assert!(table.complete(0, 1) && !table.complete(0, 2));
    }

    #[test]
    fn rolling_windows_count_from_the_customers_own_start() {
        let rolling = daily(RetentionSettings {
            windows: Windows::Rolling,
            ..RetentionSettings::default()
        });
        let table = run(&ROWS, "2020-01-05", &rolling).unwrap();
        // ann returns after 23 hours and after 73; bea after two minutes.
        assert_eq!(
            counts(&table, 0),
            [Some(2), Some(0), Some(0), Some(1), None]
        );
        // Day 3 of bea ends at 23:59 on 5 January.
        assert!(table.complete(0, 2) && !table.complete(0, 3));
        let months = RetentionSettings {
            period: Period::Month,
            ..rolling
        };
        assert_eq!(
            run(&ROWS, "2020-01-05", &months).unwrap_err().what(),
            "retention.windows"
        );
    }

    #[test]
    fn recurring_cohorts_hold_every_start() {
        let recurring = daily(RetentionSettings {
            cohorts: CohortKind::Recurring,
            ..RetentionSettings::default()
        });
        let table = run(&ROWS, "2020-01-05", &recurring).unwrap();
        assert_eq!(
            counts(&table, 0),
            [Some(2), Some(2), Some(0), Some(1), None]
        );
        // ann, bea and cid on 2 January, of whom ann is back two days later.
        assert_eq!(counts(&table, 1), [Some(3), Some(0), Some(1), None, None]);
        assert_eq!(table.cohorts()[3].size, 1);
    }

    #[test]
    fn means_leave_out_what_is_not_over() {
        let table = run(
            &ROWS,
            "2020-01-04T12:00",
            &daily(RetentionSettings::default()),
        )
        .unwrap();
        assert!(table.complete(0, 2) && !table.complete(0, 3));
        assert_eq!(table.retained(0, 3), Some(1));
        assert!(!table.cohorts()[3].complete);
        let weighted = table.curve(Mean::Weighted);
        assert_eq!(
            weighted,
            [Some(1.0), Some(2.0 / 3.0), Some(0.0), None, None]
        );
        assert_eq!(table.curve(Mean::Simple)[1], Some(0.5));
    }

    #[test]
    fn starts_may_differ_from_returns_and_from_hides_older_cohorts() {
        let settings = daily(RetentionSettings {
            start_kinds: vec![EventKind::View],
            ..RetentionSettings::default()
        });
        let rows = [
            ("ann", "2020-01-01", "purchase"),
            ("ann", "2020-01-02", "view"),
            ("ann", "2020-01-03", "purchase"),
            ("bea", "2020-01-03", "view"),
        ];
        let table = run(&rows, "2020-01-05", &settings).unwrap();
        assert_eq!(table.cohorts()[0].label, "2020-01-02");
        assert_eq!(counts(&table, 0)[..3], [Some(1), Some(1), Some(0)]);
        let late = RetentionSettings {
            since: Some(Timestamp::parse("2020-01-03").unwrap()),
            ..settings.clone()
        };
        let table = run(&rows, "2020-01-05", &late).unwrap();
        assert_eq!((table.cohorts()[0].size, table.cohorts().len()), (1, 2));
        let error = run(&rows, "2020-01-02", &settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
    }

    /// East of Greenwich in the week in which the clock changes: the days are local days.
    #[test]
    fn local_days_across_a_change_of_the_clock() {
        let rows = [
            // Berlin: Saturday 28 March 23:30, Sunday 29 March 23:30 (a day of 23 hours between
            // midnights), Monday 00:30.
            ("ann", "2020-03-28T22:30", "purchase"),
            ("ann", "2020-03-29T21:30", "purchase"),
            ("ann", "2020-03-29T22:30", "purchase"),
        ];
        let berlin = daily(RetentionSettings {
            time_zone: "Europe/Berlin".to_owned(),
            ..RetentionSettings::default()
        });
        let table = run(&rows, "2020-04-05", &berlin).unwrap();
        assert_eq!(table.cohorts()[0].label, "2020-03-28");
        assert_eq!(counts(&table, 0)[..4], [Some(1), Some(1), Some(1), Some(0)]);
        let utc = daily(RetentionSettings::default());
        let table = run(&rows, "2020-04-05", &utc).unwrap();
        assert_eq!(counts(&table, 0)[..4], [Some(1), Some(1), Some(0), Some(0)]);
        // Rolling: 23 and 24 hours after the start.
        let rolling = RetentionSettings {
            windows: Windows::Rolling,
            ..berlin
        };
        let table = run(&rows, "2020-04-05", &rolling).unwrap();
        assert_eq!(counts(&table, 0)[..3], [Some(1), Some(1), Some(0)]);
    }

    #[test]
    fn mistakes_are_named() {
        let what = |settings: RetentionSettings| {
            run(&ROWS, "2020-01-05", &settings)
                .unwrap_err()
                .what()
                .to_owned()
        };
        let with = |retention| RetentionSettings {
            retention,
            ..RetentionSettings::default()
        };
        assert_eq!(
            what(with(Retention::Bracket(vec![]))),
            "retention.retention.bracket"
        );
        let wrong = Retention::Bracket(vec![[1, 2], [3, 2]]);
        assert_eq!(what(with(wrong)), "retention.retention.bracket[1]");
        assert_eq!(
            what(with(Retention::Bracket(vec![[0, 2]]))),
            "retention.retention.bracket[0]"
        );
        let none = RetentionSettings {
            periods: 0,
            ..RetentionSettings::default()
        };
        assert_eq!(what(none), "retention.periods");
        let zone = RetentionSettings {
            time_zone: "Mars/Olympus".to_owned(),
            ..RetentionSettings::default()
        };
        assert_eq!(what(zone), "time_zone");
    }
}
