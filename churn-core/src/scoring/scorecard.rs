//! An expert scorecard: churn probabilities with reasons, without labels to learn from.

use std::sync::LazyLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Scores;
use super::reason::check_text;
use crate::error::{Error, Result};
use crate::features::FeatureTable;
use crate::progress::Progress;
use crate::settings;
use crate::text::Text;
use crate::time::Horizon;

/// Beyond this many points a probability is 0 or 1 anyway, and sums stay finite.
const MAX_POINTS: f64 = 1e6;
const VERSION: u32 = 1;
/// Rows per unit of parallel work.
const CHUNK: usize = 16_384;

/// A churn scorecard as data; [`Scorecard::default`] needs no labels and no tuning.
///
/// Each factor looks at one feature, finds the bin of its value and gives the bin's points. Points
/// add up, and a fixed number of points doubles the odds:
///
/// ```text
/// total = base_points + Σ points of the factors
/// p     = 1 / (1 + 2^(−total / points_to_double_odds))
/// ```
///
/// 0 points are 50 %, and with the default of 20 points to double the odds, +20 are 67 %, +40 are
/// 80 %, −63 are 10 %. Points are relative to an unremarkable customer, so the points of a factor
/// *are* the reason: nothing has to be estimated to explain a score.
///
/// The default card answers the reference cases of the field, other factors being missing or
/// unremarkable:
///
/// | days since purchase | days since view | activity (0–10) | points          | probability |
/// |--------------------:|----------------:|----------------:|-----------------|------------:|
/// |                  90 |              60 |               2 | +16 +10 +14     |        80 % |
/// |                  45 |              30 |               5 | 0               |        50 % |
/// |                  10 |               5 |               9 | −34 −20 −9      |        10 % |
///
/// *When not to use it*: the default card is an opinion about a shop that sells every few weeks,
/// not an estimate. Where past outcomes exist, learn from them, or at least measure how well the
/// card is calibrated. On two shops (CDNOW as of 1998-01-01, a UK web shop as of 2011-09-10, both
/// over 90 days) the bins of the purchase silence alone stand in the order of the observed churn,
/// but for one tie, yet lie up to 18 percentage points too low for CDNOW and up to 20 too high for
/// the web shop. A customer who never bought has no silence to judge: with every feature missing
/// the default card answers 50 %, which says nothing.
///
/// Source of the form: points to double the odds are the usual scaling of credit scorecards
/// (Siddiqi, *Credit Risk Scorecards*, 2006).
///
/// # Example
/// ```
/// use churn_core::features::{FeatureInfo, FeatureTable};
/// use churn_core::scoring::Scorecard;
/// use churn_core::text::Language;
/// use churn_core::{AsOf, Customers};
///
/// let card = Scorecard::from_toml(r#"
///     version = 1
///     horizon_days = 90
///     points_to_double_odds = 20.0
///     [[factors]]
///     feature = "days_since_last"
///     text = { en = "no purchase for {value} days", zh = "{value} 天未购买" }
///     missing = 0.0
///     bins = [{ below = 30.0, points = -20.0 }, { below = 90.0, points = 0.0 }, { points = 40.0 }]
/// "#)?;
/// let table = FeatureTable::from_columns(
///     Customers::from_texts(["ann", "bea"]),
///     AsOf::parse("2011-12-10")?,
///     vec![FeatureInfo::new("days_since_last", "days", "days since the last purchase")],
///     vec![93.0, 40.0],
/// )?;
/// let scores = card.score(&table)?;
/// assert_eq!(scores.churn_probability(), [0.8, 0.5]);
/// assert_eq!(scores.sentences(0, 3, Language::English), ["no purchase for 93 days: +40 points"]);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorecard {
    /// Version of the form of the document: 1.
    pub version: u32,
    /// How far the probability looks ahead, in days.
    #[serde(rename = "horizon_days")]
    pub horizon: Horizon,
    /// Points that double the odds of churn; above 0.
    pub points_to_double_odds: f64,
    /// Points that every customer begins with; 0 where the document does not say.
    #[serde(default)]
    pub base_points: f64,
    /// The factors, one per feature.
    pub factors: Vec<Factor>,
}

/// How one feature moves the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Name of the feature's column.
    pub feature: String,
    /// What the factor says. `{value}` stands for the feature's value, `{percent}` for 100 times
    /// the value.
    pub text: Text,
    /// Points where the feature has no value (NaN).
    pub missing: f64,
    /// The bins in ascending order; a value *x* falls in the first bin with `x < below`.
    pub bins: Vec<Bin>,
}

/// Points for one range of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Upper edge, not included; `None` in the last bin only, which has no upper edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Points: positive raises the churn probability, 0 moves nothing.
    pub points: f64,
}

impl Default for Scorecard {
    /// The card behind the reference cases above: days since the last purchase and the last view,
    /// activity, surprise of the silence, regular buyers who fell silent, complaints and refunds,
    /// over 90 days.
    fn default() -> Self {
        DEFAULT.clone()
    }
}

static DEFAULT: LazyLock<Scorecard> = LazyLock::new(|| {
    Scorecard::from_toml(include_str!("default_scorecard.toml")).expect("the default card is valid")
});

impl Scorecard {
    /// Reads a card from TOML and checks it.
    ///
    /// # Errors
    /// `InvalidParameter` with the line for text that is not such a document, and as
    /// [`check`](Self::check) says.
    pub fn from_toml(text: &str) -> Result<Self> {
        let card: Scorecard = settings::from_toml("scorecard", text)?;
        card.check()?;
        Ok(card)
    }

    /// Reads a card from JSON and checks it.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self> {
        let card: Scorecard = settings::from_json("scorecard", text)?;
        card.check()?;
        Ok(card)
    }

    /// The card as TOML, which [`from_toml`](Self::from_toml) reads back to an equal card.
    ///
    /// # Errors
    /// As [`check`](Self::check): a card that could not be read back is not written.
    pub fn to_toml(&self) -> Result<String> {
        self.check()?;
        toml::to_string(self).map_err(|error| {
            Error::invalid_parameter("scorecard", "a card that TOML can hold", error)
        })
    }

    /// The card as JSON, which [`from_json`](Self::from_json) reads back to an equal card.
    ///
    /// # Errors
    /// As [`check`](Self::check): a card that could not be read back is not written.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        serde_json::to_string_pretty(self).map_err(|error| {
            Error::invalid_parameter("scorecard", "a card that JSON can hold", error)
        })
    }

    /// Confirms that the card is complete and free of contradictions.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the place (e.g. `scorecard.factors[2].bins[1]`), for another
    /// version than 1, no factors, a feature that occurs twice, a text that is empty or has an
    /// unknown placeholder, no bins, edges that do not ascend, a missing edge before the last bin
    /// or an edge on it, points that are not finite or beyond ±1,000,000, or
    /// `points_to_double_odds` not above 0.
    pub fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid_parameter(
                "scorecard.version",
                VERSION,
                self.version,
            ));
        }
        if !(self.points_to_double_odds > 0.0 && self.points_to_double_odds.is_finite()) {
            return Err(Error::invalid_parameter(
                "scorecard.points_to_double_odds",
                "a finite number above 0",
                self.points_to_double_odds,
            ));
        }
        check_points(self.base_points, || "scorecard.base_points".to_owned())?;
        if self.factors.is_empty() {
            return Err(Error::invalid_parameter(
                "scorecard.factors",
                "at least one factor",
                "none",
            ));
        }
        for (i, factor) in self.factors.iter().enumerate() {
            let place = format!("scorecard.factors[{i}]");
            let named_before = |other: &Factor| other.feature == factor.feature;
            if factor.feature.is_empty() || self.factors[..i].iter().any(named_before) {
                return Err(Error::invalid_parameter(
                    format!("{place}.feature"),
                    "the name of a feature that no other factor uses",
                    format_args!("{:?}", factor.feature),
                ));
            }
            check_text(&factor.text, &format!("{place}.text"))?;
            check_points(factor.missing, || format!("{place}.missing"))?;
            factor.check_bins(&place)?;
        }
        Ok(())
    }

    /// Scores every customer of `table`.
    ///
    /// Shape: one probability per row, one contribution per row and factor, in the order of the
    /// factors. Columns that the card does not name are not read.
    ///
    /// # Errors
    /// As [`check`](Self::check); `UnknownName` for a factor whose feature is not in the table;
    /// `InvalidValue` for an infinite value, naming feature and row.
    pub fn score(&self, table: &FeatureTable) -> Result<Scores> {
        self.score_observed(table, &Progress::none())
    }

    /// [`score`](Self::score) that reports the step `"scoring.scorecard"` in cells (rows ×
    /// factors).
    ///
    /// # Errors
    /// As [`score`](Self::score); `Cancelled` if the callback asks to stop.
    pub fn score_observed(&self, table: &FeatureTable, progress: &Progress<'_>) -> Result<Scores> {
        self.check()?;
        let n = table.len();
        let mut values = Vec::with_capacity(n * self.factors.len());
        for (j, factor) in self.factors.iter().enumerate() {
            if !table.contains(&factor.feature) {
                return Err(Error::unknown_name(
                    format!("scorecard.factors[{j}].feature"),
                    &factor.feature,
                    table.names(),
                ));
            }
            let column = table.column(&factor.feature)?;
            if let Some(row) = column.iter().position(|value| value.is_infinite()) {
                return Err(Error::invalid_value(
                    format!("features.{}", factor.feature),
                    row,
                    "a finite number or NaN",
                    column[row],
                ));
            }
            values.extend_from_slice(column);
        }

        let step = progress.step("scoring.scorecard", values.len());
        let mut points = vec![0.0; values.len()];
        for (j, factor) in self.factors.iter().enumerate() {
            let column = &values[j * n..(j + 1) * n];
            points[j * n..(j + 1) * n]
                .par_chunks_mut(CHUNK)
                .zip(column.par_chunks(CHUNK))
                .try_for_each(|(points, values)| {
                    for (points, value) in points.iter_mut().zip(values) {
                        *points = factor.points(*value);
                    }
                    step.advance(points.len())
                })?;
        }

        let mut probabilities = vec![0.0; n];
        probabilities
            .par_iter_mut()
            .with_min_len(CHUNK)
            .enumerate()
            .for_each(|(row, p)| {
                let factors = 0..self.factors.len();
                let total = factors.fold(self.base_points, |sum, j| sum + points[j * n + row]);
                *p = self.probability(total);
            });

        let names = self.factors.iter().map(|f| f.feature.clone()).collect();
        let texts = self.factors.iter().map(|f| f.text.clone()).collect();
        Scores::new(
            table.customers().clone(),
            table.as_of(),
            self.horizon,
            probabilities,
            names,
            points,
        )?
        .explained(self.base_points, texts, values)
    }

    /// Churn probability of a customer with `total` points, base points included:
    /// `1 / (1 + 2^(−total / points_to_double_odds))`.
    ///
    /// # Example
    /// ```
    /// use churn_core::scoring::Scorecard;
    /// assert_eq!(Scorecard::default().probability(40.0), 0.8);
    /// ```
    pub fn probability(&self, total: f64) -> f64 {
        // Not the platform's own exp2, so that results agree across machines to the bit.
        1.0 / (1.0 + libm::exp2(-total / self.points_to_double_odds))
    }
}

impl Factor {
    /// Points for one value; NaN counts as missing. Bins without an open last one, which
    /// [`Scorecard::check`] refuses, count as missing beyond their last edge.
    ///
    /// # Example
    /// ```
    /// use churn_core::scoring::Scorecard;
    /// let card = Scorecard::default();
    /// assert_eq!(card.factors[0].feature, "days_since_last");
    /// assert_eq!(card.factors[0].points(90.0), 16.0);
    /// assert_eq!(card.factors[0].points(f64::NAN), 0.0);
    /// ```
    #[inline]
    pub fn points(&self, value: f64) -> f64 {
        if value.is_nan() {
            return self.missing;
        }
        self.bins
            .iter()
            .find(|bin| bin.below.is_none_or(|edge| value < edge))
            .map_or(self.missing, |bin| bin.points)
    }

    fn check_bins(&self, place: &str) -> Result<()> {
        let Some(last) = self.bins.len().checked_sub(1) else {
            return Err(Error::invalid_parameter(
                format!("{place}.bins"),
                "at least one bin",
                "none",
            ));
        };
        let mut lowest = f64::NEG_INFINITY;
        for (b, bin) in self.bins.iter().enumerate() {
            let place = || format!("{place}.bins[{b}]");
            match bin.below {
                None if b == last => {}
                None => {
                    return Err(Error::invalid_parameter(
                        place(),
                        "an upper edge, since it is not the last bin",
                        "no `below`",
                    ));
                }
                Some(edge) if b == last => {
                    return Err(Error::invalid_parameter(
                        place(),
                        "no upper edge, since it is the last bin",
                        format_args!("below = {edge}"),
                    ));
                }
                Some(edge) if !edge.is_finite() || edge <= lowest => {
                    return Err(Error::invalid_parameter(
                        place(),
                        if b == 0 {
                            "a finite upper edge".to_owned()
                        } else {
                            format!("a finite upper edge above {lowest}")
                        },
                        format_args!("below = {edge}"),
                    ));
                }
                Some(edge) => lowest = edge,
            }
            check_points(bin.points, place)?;
        }
        Ok(())
    }
}

fn check_points(points: f64, place: impl FnOnce() -> String) -> Result<()> {
    if points.abs() <= MAX_POINTS {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        place(),
        "points from -1000000 to 1000000",
        points,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::customers::Customers;
    use crate::error::ErrorKind;
    use crate::features::FeatureInfo;
    use crate::progress::Control;
    use crate::text::Language;
    use crate::time::AsOf;

    /// A table of the default card's features; columns that are not given are missing.
    fn table(given: &[(&str, &[f64])]) -> FeatureTable {
        let n = given.first().map_or(0, |(_, column)| column.len());
        let card = Scorecard::default();
        let mut infos = Vec::new();
        let mut values = Vec::new();
        for factor in &card.factors {
            infos.push(FeatureInfo::new(&factor.feature, "", ""));
            match given.iter().find(|(name, _)| *name == factor.feature) {
                Some((_, column)) => values.extend_from_slice(column),
                None => values.extend(std::iter::repeat_n(f64::NAN, n)),
            }
        }
        FeatureTable::from_columns(
            Customers::from_ints(0..n as i64),
            AsOf::parse("2011-12-10").unwrap(),
            infos,
            values,
        )
        .unwrap()
    }

    fn broken(edit: impl FnOnce(&mut Scorecard)) -> Error {
        let mut card = Scorecard::default();
        edit(&mut card);
        let error = card.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        error
    }

    #[test]
    fn default_card_gives_the_reference_table() {
        let scores = Scorecard::default()
            .score(&table(&[
                ("days_since_last", &[90.0, 45.0, 10.0]),
                ("days_since_last_view", &[60.0, 30.0, 5.0]),
                ("activity", &[2.0, 5.0, 9.0]),
            ]))
            .unwrap();
        for (p, expected) in scores.churn_probability().iter().zip([0.8, 0.5, 0.1]) {
            assert!((p - expected).abs() < 0.01, "{p} for {expected}");
        }
        assert_eq!(
            scores.sentences(0, 2, Language::English),
            [
                "no purchase for 90 days: +16 points",
                "activity 2 of 10: +14 points"
            ]
        );
        assert_eq!(
            scores.sentences(2, 1, Language::Chinese),
            ["10 天未购买：-34 分"]
        );
        assert!(scores.reasons(1, 9).is_empty());
        assert_eq!(scores.horizon().as_days(), 90);
    }

    #[test]
    fn unremarkable_values_of_the_other_factors_move_nothing() {
        let scores = Scorecard::default()
            .score(&table(&[
                ("silence_tail", &[0.3]),
                ("regular_then_silent", &[0.0]),
                ("complaints_90d", &[0.0]),
                ("refund_rate", &[0.0]),
            ]))
            .unwrap();
        assert_eq!(scores.churn_probability(), [0.5]);
        assert!(scores.reasons(0, 9).is_empty());
    }

    #[test]
    fn a_value_on_an_edge_belongs_to_the_upper_bin() {
        let card = Scorecard::default();
        let silence = &card.factors[0];
        assert_eq!(silence.points(13.999), -34.0);
        assert_eq!(silence.points(14.0), -18.0);
        assert_eq!(silence.points(-1.0), -34.0);
        assert_eq!(silence.points(1e9), 40.0);
    }

    #[test]
    fn both_forms_read_back_to_the_same_card() {
        let card = Scorecard {
            base_points: -3.25,
            ..Scorecard::default()
        };
        assert_eq!(
            Scorecard::from_toml(&card.to_toml().unwrap()),
            Ok(card.clone())
        );
        assert_eq!(Scorecard::from_json(&card.to_json().unwrap()), Ok(card));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = broken(|card| card.factors[2].bins[1].below = Some(0.5));
        assert_eq!(
            error.to_string(),
            "scorecard.factors[2].bins[1]: expected a finite upper edge above 1, got below = 0.5"
        );
        let places = [
            (
                broken(|card| card.factors[1].bins[0].below = Some(f64::NAN)),
                "scorecard.factors[1].bins[0]",
            ),
            (
                broken(|card| card.factors[1].bins[2].below = None),
                "scorecard.factors[1].bins[2]",
            ),
            (
                broken(|card| card.factors[4].bins[1].below = Some(9.0)),
                "scorecard.factors[4].bins[1]",
            ),
            (
                broken(|card| card.factors[4].bins[1].points = f64::INFINITY),
                "scorecard.factors[4].bins[1]",
            ),
            (
                broken(|card| card.factors[3].bins.clear()),
                "scorecard.factors[3].bins",
            ),
            (
                broken(|card| card.factors[3].missing = f64::NAN),
                "scorecard.factors[3].missing",
            ),
            (
                broken(|card| card.factors[3].feature = "activity".into()),
                "scorecard.factors[3].feature",
            ),
            (
                broken(|card| card.factors[0].text.en = "for {days} days".into()),
                "scorecard.factors[0].text.en",
            ),
            (broken(|card| card.factors.clear()), "scorecard.factors"),
            (
                broken(|card| card.points_to_double_odds = 0.0),
                "scorecard.points_to_double_odds",
            ),
            (
                broken(|card| card.base_points = f64::NAN),
                "scorecard.base_points",
            ),
            (broken(|card| card.version = 2), "scorecard.version"),
        ];
        for (error, place) in places {
            assert_eq!(error.what(), place, "{error}");
        }
    }

    #[test]
    fn documents_with_mistakes_are_refused_with_their_line() {
        let text = "version = 1\nhorizon_days = 0\npoints_to_double_odds = 20\nfactors = []\n";
        assert_eq!(Scorecard::from_toml(text).unwrap_err().line(), Some(2));
        let no_missing = include_str!("default_scorecard.toml").replacen("missing = 0.0\n", "", 1);
        let error = Scorecard::from_toml(&no_missing).unwrap_err();
        assert!(error.got().contains("missing field `missing`"), "{error}");
        assert!(Scorecard::from_json("{}").is_err());
    }

    #[test]
    fn a_feature_that_is_not_in_the_table_is_named() {
        let narrow = table(&[("activity", &[1.0])])
            .select(&["activity"])
            .unwrap();
        let error = Scorecard::default().score(&narrow).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert_eq!(error.what(), "scorecard.factors[0].feature");
        assert_eq!(error.got(), "\"days_since_last\"");
    }

    #[test]
    fn infinite_values_are_refused_at_their_row() {
        let error = Scorecard::default()
            .score(&table(&[("activity", &[1.0, f64::INFINITY])]))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!((error.what(), error.row()), ("features.activity", Some(1)));
    }

    #[test]
    fn no_customers_no_scores() {
        let scores = Scorecard::default().score(&table(&[])).unwrap();
        assert!(scores.churn_probability().is_empty());
    }

    #[test]
    fn extreme_cards_stay_within_probabilities() {
        let mut card = Scorecard::default();
        card.factors[0].bins = vec![Bin {
            below: None,
            points: -1e6,
        }];
        card.base_points = 1e6;
        card.points_to_double_odds = 1e-300;
        let table = table(&[("days_since_last", &[1.0, f64::NAN])]);
        assert_eq!(card.score(&table).unwrap().churn_probability(), [0.5, 1.0]);
    }

    #[test]
    fn one_thread_and_many_give_the_same_bits_and_stop_when_asked() {
        let n = 3 * CHUNK + 17;
        let column: Vec<f64> = (0..n).map(|i| (i % 4001) as f64 / 7.0).collect();
        let table = table(&[("days_since_last", &column), ("refund_rate", &column)]);
        let card = Scorecard::default();
        let run = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| card.score(&table).unwrap())
        };
        let (one, four) = (run(1), run(4));
        let bits = |scores: &Scores| -> Vec<u64> {
            let p = scores.churn_probability().iter();
            p.map(|p| p.to_bits()).collect()
        };
        assert_eq!(bits(&one), bits(&four));

        let stop = |_| Control::Stop;
        let error = card.score_observed(&table, &Progress::new(&stop));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    }

    /// A value of a feature, or missing.
    fn cell(high: f64) -> impl Strategy<Value = f64> {
        prop_oneof![4 => 0.0..high, 1 => Just(f64::NAN)]
    }

    proptest! {
        #[test]
        fn reasons_sum_to_the_total_points(
            days in cell(800.0), view in cell(400.0), activity in cell(10.0), tail in cell(1.0),
            regular in 0..2, complaints in 0..9, refunds in cell(1.0), base in -50.0..50.0,
        ) {
            let card = Scorecard { base_points: base, ..Scorecard::default() };
            let scores = card.score(&table(&[
                ("days_since_last", &[days]),
                ("days_since_last_view", &[view]),
                ("activity", &[activity]),
                ("silence_tail", &[tail]),
                ("regular_then_silent", &[f64::from(regular)]),
                ("complaints_90d", &[f64::from(complaints)]),
                ("refund_rate", &[refunds]),
            ])).unwrap();
            let p = scores.churn_probability()[0];
            prop_assert!((0.0..=1.0).contains(&p));
            let reasons: f64 = scores.reasons(0, 99).iter().map(|r| r.points).sum();
            let total = scores.base_points() + reasons;
            // Read back from the probability: the logarithm to base 2 of the odds.
            let from_p = card.points_to_double_odds * (p / (1.0 - p)).log2();
            prop_assert!((total - from_p).abs() < 1e-6, "{} {}", total, from_p);
        }

        #[test]
        fn more_silence_never_lowers_the_probability(
            days in 0.0..800.0, more_days in 0.0..800.0,
            view in 0.0..400.0, more_view in 0.0..400.0,
            activity in 0.0..10.0, less_activity in 0.0..1.0,
            tail in 0.0..1.0, smaller_tail in 0.0..1.0,
        ) {
            let scores = Scorecard::default().score(&table(&[
                ("days_since_last", &[days, days + more_days]),
                ("days_since_last_view", &[view, view + more_view]),
                ("activity", &[activity, activity * less_activity]),
                ("silence_tail", &[tail, tail * smaller_tail]),
            ])).unwrap();
            let p = scores.churn_probability();
            prop_assert!(p[0] <= p[1], "{:?}", p);
        }
    }
}
