//! The answers as scores and as features, of the customers of a summary or of a whole log.
//!
//! A summary holds buyers only; a log also knows people who never bought. Nothing is known about
//! their purchases, so their features are NaN, and as nobody can tell when they will begin, their
//! churn probability is 1, with a reason that says so.

use serde::{Deserialize, Serialize};

use crate::customers::Customers;
use crate::error::{Error, Result};
use crate::events::History;
use crate::features::{FeatureInfo, FeatureTable, RfmSummary, SummarySettings, summarize_observed};
use crate::progress::Progress;
use crate::scoring::Scores;
use crate::text::Text;
use crate::time::{AsOf, Horizon};

use super::buyers::Buyers;
use super::fit::{Family, Lifetime};
use super::model::{Answer, LifetimeModel};

/// A model of buying in the main flow: how it is fitted on a log, and what it is asked.
///
/// # Example
/// ```
/// use churn_core::progress::Progress;
/// use churn_core::scoring::lifetime::LifetimeScoring;
/// # use churn_core::events::{Cleaning, EventColumns, EventKind, EventLog};
/// # use churn_core::{AsOf, TimeUnit};
/// # let customers = ["ann", "ann", "ann", "bea", "cid", "cid"];
/// # let columns = EventColumns::new(&customers, &[0, 9, 30, 20, 5, 6], TimeUnit::Day, EventKind::Purchase);
/// # let log = EventLog::from_columns(&columns, &Cleaning::default())?;
/// let history = log.history(AsOf::parse("1970-02-10")?);
/// let lifetime = LifetimeScoring { horizon_days: 30, ..LifetimeScoring::default() };
/// let model = lifetime.fit(&history, &Progress::none())?;
/// let (features, scores) = lifetime.describe(&model, &history, &Progress::none())?;
/// assert_eq!(features.column("no_purchase_probability")?, scores.churn_probability());
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifetimeScoring {
    /// Which model, and how it is fitted. Default MBG/NBD. Covariates are for fits of one's own.
    pub model: Lifetime,
    /// Period and unit of the summary that it is fitted on. Default: days.
    pub summary: SummarySettings,
    /// How far the answers look ahead, in days. Default 90.
    pub horizon_days: u32,
    /// Whether its probabilities of no purchase are the churn probabilities of the flow; else the
    /// model gives features only. Default true.
    pub scores: bool,
}

impl Default for LifetimeScoring {
    fn default() -> Self {
        LifetimeScoring {
            model: Lifetime::default(),
            summary: SummarySettings::default(),
            horizon_days: 90,
            scores: true,
        }
    }
}

impl LifetimeScoring {
    /// Confirms the settings.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting.
    pub fn check(&self) -> Result<()> {
        self.model.check()?;
        Horizon::days(self.horizon_days)?;
        let model = &self.model;
        let covariates = model
            .purchase_covariates
            .iter()
            .chain(&model.dropout_covariates);
        match covariates.into_iter().next() {
            None => Ok(()),
            Some(name) => Err(Error::invalid_parameter(
                "lifetime_scoring.model",
                "no covariates, which a log does not have",
                format_args!("{name:?}"),
            )),
        }
    }

    /// The features that [`describe`](Self::describe) gives: `probability_alive`,
    /// `expected_purchases`, `no_purchase_probability`.
    pub fn features(&self) -> Vec<FeatureInfo> {
        infos(self.model.family, self.horizon_days)
            .map(|info| info.undefined("NaN for those who never bought"))
            .to_vec()
    }

    /// Fits the model on the purchases of a history.
    ///
    /// # Errors
    /// As [`check`](Self::check), [`summarize`](crate::features::summarize) and [`Lifetime::fit`].
    pub fn fit(&self, history: &History<'_>, progress: &Progress<'_>) -> Result<LifetimeModel> {
        self.check()?;
        let summary = summarize_observed(history, &self.summary, progress)?;
        self.model.fit(&Buyers::from(&summary), progress)
    }

    /// The features of all customers of a history, and their churn probabilities.
    ///
    /// # Errors
    /// As [`check`](Self::check), [`summarize`](crate::features::summarize) and
    /// [`LifetimeModel::answer`].
    pub fn describe(
        &self,
        model: &LifetimeModel,
        history: &History<'_>,
        progress: &Progress<'_>,
    ) -> Result<(FeatureTable, Scores)> {
        self.check()?;
        let horizon = Horizon::days(self.horizon_days)?;
        let summary = summarize_observed(history, &self.summary, progress)?;
        let answers = Answers::new(model, &summary, horizon)?.among(history.customers())?;
        let features = answers.features(model.family(), true)?;
        Ok((features, answers.scores(true)?))
    }
}

impl LifetimeModel {
    /// Churn probabilities: no purchase within the horizon after the summary's `as_of`.
    ///
    /// Two factors add up to the log-odds, 20 points doubling the odds: `pace`, the odds of no
    /// purchase if the customer is still there, and `silence`, what the doubt about that adds.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    ///
    /// # Example
    /// ```
    /// # use churn_core::{AsOf, Customers, Horizon};
    /// # use churn_core::features::RfmSummary;
    /// use churn_core::scoring::lifetime::{Family, LifetimeModel};
    /// let summary = RfmSummary::new(
    ///     Customers::from_texts(["ann", "bea"]), AsOf::parse("1997-10-01")?, 7.0,
    ///     vec![2.0, 0.0], vec![30.43, 0.0], vec![38.86, 38.86], vec![22.35, 0.0],
    /// )?;
    /// let model = LifetimeModel::new(Family::MbgNbd, [0.525, 6.183, 0.891, 1.614], 1, 7.0)?;
    /// let scores = model.score(&summary, Horizon::days(90)?)?;
    /// assert!(scores.churn_probability()[1] > scores.churn_probability()[0]);
    /// # Ok::<(), churn_core::Error>(())
    /// ```
    pub fn score(&self, summary: &RfmSummary, horizon: Horizon) -> Result<Scores> {
        Answers::new(self, summary, horizon)?.scores(false)
    }

    /// The answers as features: `probability_alive`, `expected_purchases` and
    /// `no_purchase_probability` within the horizon.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn features(&self, summary: &RfmSummary, horizon: Horizon) -> Result<FeatureTable> {
        Answers::new(self, summary, horizon)?.features(self.family(), false)
    }

    /// The same for all of these customers, who include those of the summary; NaN for the others,
    /// who never bought.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); `Misaligned` if a customer of the summary is not among them.
    pub fn features_among(
        &self,
        summary: &RfmSummary,
        customers: &Customers,
        horizon: Horizon,
    ) -> Result<FeatureTable> {
        Answers::new(self, summary, horizon)?
            .among(customers)?
            .features(self.family(), true)
    }
}

fn infos(family: Family, days: u32) -> [FeatureInfo; 3] {
    let name = family.name();
    [
        FeatureInfo::new(
            "probability_alive",
            "probability",
            format!("probability of not having left for good, by {name}"),
        )
        .at_least(0.0)
        .at_most(1.0),
        FeatureInfo::new(
            "expected_purchases",
            "count",
            format!("expected purchase days in the next {days} days, by {name}"),
        )
        .at_least(0.0),
        FeatureInfo::new(
            "no_purchase_probability",
            "probability",
            format!("probability of no purchase in the next {days} days, by {name}"),
        )
        .at_least(0.0)
        .at_most(1.0),
    ]
}

/// What a model says about customers; NaN about those who never bought.
struct Answers {
    customers: Customers,
    as_of: AsOf,
    horizon: Horizon,
    /// Probability alive, expected purchases, probability of no purchase.
    columns: Vec<Vec<f64>>,
}

impl Answers {
    fn new(model: &LifetimeModel, summary: &RfmSummary, horizon: Horizon) -> Result<Self> {
        let t = f64::from(horizon.as_days()) / model.unit_days();
        let questions = [
            Answer::ProbabilityAlive,
            Answer::ExpectedPurchases(t),
            Answer::NoPurchase(t),
        ];
        Ok(Answers {
            customers: summary.customers().clone(),
            as_of: summary.as_of(),
            horizon,
            columns: model.answer_each(&Buyers::from(summary), &questions)?,
        })
    }

    /// The same for more customers.
    fn among(self, customers: &Customers) -> Result<Self> {
        // Ids ascend in both.
        let (known, mut next) = (&self.customers, 0);
        let places: Vec<Option<usize>> = customers
            .iter()
            .map(|id| {
                let found = (next < known.len() && known.get(next) == id).then_some(next);
                next += usize::from(found.is_some());
                found
            })
            .collect();
        if next < known.len() {
            return Err(Error::misaligned(
                "lifetime.customers",
                format_args!("customer {} of the summary", known.get(next)),
                "none",
            ));
        }
        let column = |values: &Vec<f64>| {
            let of = |place: &Option<usize>| place.map_or(f64::NAN, |row| values[row]);
            places.iter().map(of).collect()
        };
        let columns = self.columns.iter().map(column).collect();
        Ok(Answers {
            customers: customers.clone(),
            columns,
            ..self
        })
    }

    fn features(&self, family: Family, prospects: bool) -> Result<FeatureTable> {
        let mut infos = infos(family, self.horizon.as_days()).to_vec();
        if prospects {
            let said = |info: FeatureInfo| info.undefined("NaN for those who never bought");
            infos = infos.into_iter().map(said).collect();
        }
        FeatureTable::from_columns(
            self.customers.clone(),
            self.as_of,
            infos,
            self.columns.concat(),
        )
    }

    /// Probabilities with their factors; with `prospects` a third factor tells who never bought.
    fn scores(self, prospects: bool) -> Result<Scores> {
        let points = |probability: f64| {
            let p = probability.clamp(1e-12, 1.0 - 1e-12);
            20.0 * (p / (1.0 - p)).log2()
        };
        let (alive, none) = (&self.columns[0], &self.columns[2]);
        let n = none.len();
        let factors = if prospects { 3 } else { 2 };
        let mut churn = none.clone();
        let mut all = vec![0.0; factors * n];
        let mut values = vec![0.0; factors * n];
        for row in 0..n {
            if none[row].is_nan() {
                churn[row] = 1.0;
                all[2 * n + row] = points(1.0);
                (values[row], values[n + row]) = (f64::NAN, f64::NAN);
                values[2 * n + row] = 1.0;
                continue;
            }
            // P(no purchase) = 1 − P(alive) (1 − P(no purchase | alive)).
            let pace = match alive[row] > 0.0 {
                true => (1.0 - (1.0 - none[row]) / alive[row]).clamp(0.0, 1.0),
                false => 1.0,
            };
            all[row] = points(pace);
            all[n + row] = points(none[row]) - points(pace);
            (values[row], values[n + row]) = (pace, alive[row]);
        }
        let mut names = vec!["pace".to_owned(), "silence".to_owned()];
        let mut texts = vec![
            Text::new(
                "buys so rarely that even an active customer stays away with {percent} %",
                "购买节奏：即使仍活跃，期内不购买的概率为 {percent}%",
            ),
            Text::new(
                "still a customer with {percent} %, judging by the silence",
                "沉默时长：仍为活跃客户的概率为 {percent}%",
            ),
        ];
        if prospects {
            names.push("never_bought".to_owned());
            texts.push(Text::new("has never bought", "从未购买"));
        }
        Scores::new(self.customers, self.as_of, self.horizon, churn, names, all)?
            .explained(0.0, texts, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::events::{Cleaning, EventColumns, EventKind, EventLog};
    use crate::text::Language;
    use crate::time::TimeUnit;

    fn log() -> EventLog {
        let customers = ["ann", "ann", "ann", "bea", "cid", "cid", "zoe"];
        let kinds = [1, 1, 1, 1, 1, 1, 0].map(|purchase| match purchase {
            1 => EventKind::Purchase.code(),
            _ => EventKind::View.code(),
        });
        let times = [0, 9, 30, 20, 5, 6, 35];
        let columns = EventColumns::new(&customers, &times, TimeUnit::Day, kinds.as_slice());
        EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
    }

    #[test]
    fn prospects_have_a_row_of_their_own() {
        let (log, lifetime) = (log(), LifetimeScoring::default());
        let history = log.history(AsOf::parse("1970-02-10").unwrap());
        let quiet = Progress::none();
        let model = lifetime.fit(&history, &quiet).unwrap();
        let (features, scores) = lifetime.describe(&model, &history, &quiet).unwrap();
        assert_eq!(features.features(), lifetime.features());
        assert_eq!(features.len(), 4);
        for name in features.names() {
            let column = features.column(name).unwrap();
            assert!(column[3].is_nan() && column[..3].iter().all(|x| x.is_finite()));
        }
        assert_eq!(scores.churn_probability()[3], 1.0);
        let said = scores.sentences(3, 3, Language::English);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("has never bought: +"), "{said:?}");
        // Buyers score as they do by themselves.
        let summary = summarize_observed(&history, &lifetime.summary, &quiet).unwrap();
        let horizon = Horizon::days(90).unwrap();
        let alone = model.score(&summary, horizon).unwrap();
        assert_eq!(alone.churn_probability(), &scores.churn_probability()[..3]);
        assert_eq!(alone.points_at(1), &scores.points_at(1)[..3]);
        let few = Customers::from_texts(["ann", "cid"]);
        let error = model.features_among(&summary, &few, horizon).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
    }

    #[test]
    fn settings_are_checked() {
        let what = |lifetime: LifetimeScoring| lifetime.check().unwrap_err().what().to_owned();
        let horizon_days = 0;
        assert_eq!(
            what(LifetimeScoring {
                horizon_days,
                ..LifetimeScoring::default()
            }),
            "horizon_days"
        );
        let model = Lifetime {
            purchase_covariates: vec!["web".to_owned()],
            ..Lifetime::default()
        };
        assert_eq!(
            what(LifetimeScoring {
                model,
                ..LifetimeScoring::default()
            }),
            "lifetime_scoring.model"
        );
    }
}
