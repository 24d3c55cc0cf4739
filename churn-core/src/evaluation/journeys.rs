//! What journeys were worth, straight from their logs: nobody assembles exposures and costs by hand.
//!
//! The idea: hold-out customers walk through every journey, and where they would be contacted the log
//! says `held_out`. So both groups are defined by the same event, the **first contact that was due**,
//! made or only logged; each customer's outcome is counted from that instant on, for one horizon.
//!
//! * **Entry.** The first `sent` or `held_out`. Where a channel's capacity refused a contact before
//!   that, the refusal: the hold-out needs no place on a channel, so a comparison with those alone who
//!   got one would compare different people. Refused customers count as contacted, at no cost
//!   (intention to treat).
//! * **Cost.** Contacts and offers within the horizon. An offer costs its price as its
//!   [`Paid`] says: always; if the customer bought; or if they responded, by a purchase, or a click or
//!   an answer over a channel of the contact. One offer given several times is paid once per time at
//!   most: what happens before it is given again belongs to the time before.
//! * **Groups.** Segment and channels are those at entry, logged for both sides.
//!
//! Not for journeys that hold nobody out: then the report says "effect unknown" and what was spent.
//! Not for single channels where channels have capacities: who was refused has no channel yet.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::experiment::{Arms, SampleRatio, sample_ratio};
use super::exposures::{ExposureOutcomes, Exposures, check_types};
use super::incremental::{Finding, GroupFinding, IncrementalSettings, check, find, find_groups};
use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::events::{EventKind, EventLog};
use crate::journey::{Decision, Outcome, Rejection};
use crate::math::sum::ExactSum;
use crate::strategy::Paid;
use crate::time::{AsOf, Horizon, MICROS_PER_DAY, Timestamp};

const HELD_OUT: &str = "held out";
const CONTACTED: &str = "contacted";

/// Who was due for a contact first when, made or held out, with all contacts that followed.
///
/// # Example
/// ```
/// use churn_core::evaluation::{Finding, IncrementalSettings, JourneyExposures};
/// use churn_core::events::Cleaning;
/// use churn_core::progress::Progress;
/// use churn_core::simulate::Shop;
/// use churn_core::winback::{JourneySettings, WinBackSettings};
/// use churn_core::{AsOf, EventLog, Horizon};
/// let shop = Shop { customers: 600, ..Shop::default() }.open()?;
/// let log = EventLog::from_columns(&shop.columns(), &Cleaning::default())?;
/// let (from, to) = (AsOf::parse("2022-10-01")?, AsOf::parse("2022-12-30")?);
/// let journeys = JourneySettings::default();
/// let replay = WinBackSettings::default().replay(&log, from, to, &journeys, &Progress::none())?;
/// let exposures = JourneyExposures::new(&[&replay.outcome])?;
/// let report = exposures.report(&log, Horizon::days(60)?, None, &IncrementalSettings::default())?;
/// if let Finding::Known(found) = &report.total {
///     let earned = 0.3 * found.revenue.value - report.cost;
///     assert!((found.profit.value - earned).abs() < 1e-6);
/// }
/// assert!(report.contacts > 0 && report.cost > 0.0);
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct JourneyExposures {
    customers: Customers,
    entries: Vec<Entry>,
    channels: Vec<String>,
    held_out_share: Option<f64>,
}

/// One customer.
#[derive(Debug, Clone)]
struct Entry {
    held_out: bool,
    at: Timestamp,
    segment: Option<String>,
    /// Channels of the first contact, where it was made or logged at entry.
    channel: Option<String>,
    made: Vec<Made>,
}

/// One contact.
#[derive(Debug, Clone)]
struct Made {
    at: Timestamp,
    cost: f64,
    /// By position in the names of channels.
    channels: Vec<usize>,
    offers: Vec<(String, f64, Paid)>,
}

/// One line of a log that may be an entry, or a contact.
struct Line {
    at: Timestamp,
    /// `None` for a refusal for want of capacity.
    held_out: Option<bool>,
    segment: Option<String>,
    channel: Option<String>,
}

/// Answer of [`JourneyExposures::report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JourneyReport {
    /// Days over which outcomes count, from the first contact that was due.
    pub horizon_days: u32,
    /// Probability with which intervals hold.
    pub confidence: f64,
    /// Look here first: whether the hold-out has its planned size; none where no share was stated
    /// or nobody is to be compared.
    pub sample_ratio: Option<SampleRatio>,
    /// Everybody.
    pub total: Finding,
    /// By the segment at entry, in order of name; empty where the journeys know no segments.
    pub by_segment: Vec<GroupFinding>,
    /// By the channels of the first contact, ids joined by `+`, in order of name.
    pub by_channel: Vec<GroupFinding>,
    /// Customers contacted, refused ones included.
    pub contacted: usize,
    /// Customers held out where they would have been contacted.
    pub held_out: usize,
    /// Of the contacted, those whom the capacity of a channel refused to the end.
    pub refused: usize,
    /// Customers left out because their horizon is not over yet.
    pub open: usize,
    /// Contacts made within the horizon of each customer whose horizon is over.
    pub contacts: usize,
    /// What these contacts cost (currency).
    pub contact_cost: f64,
    /// What their offers cost (currency).
    pub offer_cost: f64,
    /// Both together (currency).
    pub cost: f64,
}

impl JourneyExposures {
    /// From the outcomes of one or several steps or replays of the same journeys, in any order.
    ///
    /// # Errors
    /// `InvalidValue`, naming the customer, for one who was contacted in one place and held out in
    /// another; `Misaligned` for outcomes with ids of different types.
    pub fn new(outcomes: &[&Outcome]) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        let mut lines: Vec<(CustomerId<'_>, Line)> = Vec::new();
        let mut made: Vec<(CustomerId<'_>, Made)> = Vec::new();
        for outcome in outcomes {
            for entry in &outcome.log {
                let (held_out, channel) = match entry.decision {
                    Decision::Sent { .. } => (Some(false), Some(outcome.reason(entry))),
                    Decision::HeldOut { .. } => (Some(true), Some(outcome.reason(entry))),
                    Decision::Held { reason, .. } | Decision::Skipped { reason }
                        if reason == Rejection::Capacity =>
                    {
                        (None, None)
                    }
                    _ => continue,
                };
                let line = Line {
                    at: entry.at,
                    held_out,
                    segment: entry.segment.map(|s| outcome.segment_label(s).to_owned()),
                    channel,
                };
                lines.push((outcome.customer(entry.row), line));
            }
            for contact in &outcome.contacts {
                let channels = outcome.channels(contact.journey, contact.step, contact.option);
                let offers = outcome.offer_terms(contact).into_iter();
                let contacted = Made {
                    at: contact.at,
                    cost: contact.cost,
                    channels: channels.iter().map(|id| position(&mut names, id)).collect(),
                    offers: offers
                        .map(|(id, cost, paid)| (id.to_owned(), cost, paid))
                        .collect(),
                };
                made.push((outcome.customer(contact.row), contacted));
            }
        }
        // Stable: of lines at one instant the first in the log comes first.
        lines.sort_by(|a, b| (a.0, a.1.at).cmp(&(b.0, b.1.at)));
        made.sort_by(|a, b| (a.0, a.1.at).cmp(&(b.0, b.1.at)));
        let mut ids: Vec<CustomerId<'_>> = lines.iter().map(|line| line.0).collect();
        ids.dedup();
        let customers = Customers::from_rows(ids.iter().copied())
            .map_err(|e| Error::misaligned("journeys.customers", e.expected(), e.got()))?;
        let mut entries = Vec::with_capacity(ids.len());
        let mut contacts = made.into_iter().peekable();
        for (row, own) in lines.chunk_by_mut(|a, b| a.0 == b.0).enumerate() {
            let sides = || own.iter().filter_map(|line| line.1.held_out);
            if sides().min() != sides().max() {
                return Err(Error::invalid_value(
                    "journeys.held_out",
                    row,
                    format_args!("customer {} on one side", own[0].0),
                    "contacted and held out",
                ));
            }
            let held_out = sides().next().unwrap_or(false);
            let first = &mut own[0].1;
            let mut entry = Entry {
                held_out,
                at: first.at,
                segment: first.segment.take(),
                channel: first.channel.take(),
                made: Vec::new(),
            };
            while let Some((_, contact)) = contacts.next_if(|(id, _)| *id == ids[row]) {
                entry.made.push(contact);
            }
            entries.push(entry);
        }
        let shares = outcomes.iter().map(|outcome| outcome.held_out_share());
        let mut shares: Vec<Option<f64>> = shares.collect();
        shares.dedup();
        Ok(JourneyExposures {
            customers,
            entries,
            channels: names,
            // Journeys whose share was changed on the way have no one share to be checked.
            held_out_share: match shares[..] {
                [share] => share,
                _ => None,
            },
        })
    }

    /// Customers who were due for a contact, sorted by id.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// Whether each was held out.
    pub fn held_out(&self) -> Vec<bool> {
        self.entries.iter().map(|entry| entry.held_out).collect()
    }

    /// When the first contact was due.
    pub fn at(&self) -> Vec<Timestamp> {
        self.entries.iter().map(|entry| entry.at).collect()
    }

    /// The experiment that the journeys were: arms `held out` (the control) and `contacted`, for
    /// [`Exposures::outcomes`] and comparisons of other kinds.
    ///
    /// # Errors
    /// `NotEnoughData` if nobody was held out, or nobody contacted.
    pub fn exposures(&self) -> Result<Exposures> {
        let codes = self.entries.iter().map(|entry| u32::from(!entry.held_out));
        let names = vec![HELD_OUT.to_owned(), CONTACTED.to_owned()];
        let arms = Arms::from_codes(names, codes.collect())?;
        Exposures::from_rows(self.customers.clone(), arms, self.at())
    }

    /// What each customer cost within `horizon` of the first contact that was due: contacts and
    /// offers (currency).
    ///
    /// # Errors
    /// `Misaligned` for a log with ids of another type.
    pub fn costs(&self, log: &EventLog, horizon: Horizon) -> Result<(Vec<f64>, Vec<f64>)> {
        check_types(&self.customers, log)?;
        let channels: Vec<Option<usize>> = log
            .channels()
            .iter()
            .map(|name| self.channels.iter().position(|own| own == name))
            .collect();
        let length = i64::from(horizon.as_days()) * MICROS_PER_DAY;
        let mut contact_costs = vec![0.0; self.entries.len()];
        let mut offer_costs = vec![0.0; self.entries.len()];
        for (row, entry) in self.entries.iter().enumerate() {
            let end = entry.at.micros().saturating_add(length);
            let made: Vec<&Made> = entry.made.iter().filter(|m| m.at.micros() < end).collect();
            contact_costs[row] = made.iter().map(|made| made.cost).sum();
            let until = AsOf::new(Timestamp::from_micros(end)?);
            let past = log.customer(self.customers.get(row), until);
            let events: Vec<_> = past.map_or(Vec::new(), |past| {
                let events = past.events().filter(|event| event.time >= entry.at);
                events.collect()
            });
            for (i, contact) in made.iter().enumerate() {
                for (id, cost, paid) in &contact.offers {
                    let again = made[i + 1..]
                        .iter()
                        .find(|m| m.offers.iter().any(|o| o.0 == *id));
                    let before = again.map_or(until.instant(), |next| next.at);
                    let mut answers = events
                        .iter()
                        .filter(|event| contact.at < event.time && event.time < before);
                    let is_paid = match paid {
                        Paid::Always => true,
                        Paid::OnPurchase => answers.any(|e| e.kind == EventKind::Purchase),
                        Paid::OnResponse => answers.any(|e| match e.kind {
                            EventKind::Purchase => true,
                            EventKind::MessageClicked | EventKind::MessageAnswered => {
                                match e.channel {
                                    None => true,
                                    Some(c) => {
                                        channels[c].is_some_and(|c| contact.channels.contains(&c))
                                    }
                                }
                            }
                            _ => false,
                        }),
                    };
                    if is_paid {
                        offer_costs[row] += cost;
                    }
                }
            }
        }
        Ok((contact_costs, offer_costs))
    }

    /// What contacting changed against the hold-out: retention, orders, revenue, profit, cost per
    /// kept customer, return on spend, in total, by segment and by channel.
    ///
    /// `log` must hold what happened after the contacts; `observed_until` says up to when it is
    /// complete, none = midnight behind its last event. The share of `settings.held_out_share` is
    /// that of the contact policy where left out.
    ///
    /// # Errors
    /// `InvalidParameter` for settings outside their domains; `NotEnoughData` for an empty log;
    /// those of [`costs`](Self::costs).
    pub fn report(
        &self,
        log: &EventLog,
        horizon: Horizon,
        observed_until: Option<AsOf>,
        settings: &IncrementalSettings,
    ) -> Result<JourneyReport> {
        check(settings)?;
        let end = match observed_until {
            Some(end) => end,
            None => log.day_after_last()?,
        };
        let (contact_costs, offer_costs) = self.costs(log, horizon)?;
        let length = i64::from(horizon.as_days()) * MICROS_PER_DAY;
        let over = |row: &usize| {
            let ends = self.entries[*row].at.micros().saturating_add(length);
            ends <= end.instant().micros()
        };
        let rows: Vec<usize> = (0..self.entries.len()).filter(over).collect();
        let held_out = rows
            .iter()
            .filter(|row| self.entries[**row].held_out)
            .count();
        let contacted = rows.len() - held_out;
        let sum = |costs: &[f64]| {
            let mut sum = ExactSum::default();
            rows.iter().for_each(|row| sum.add(costs[*row]));
            sum.value()
        };
        let (contact_cost, offer_cost) = (sum(&contact_costs), sum(&offer_costs));
        let within = |row: &usize| {
            let ends = self.entries[*row].at.micros().saturating_add(length);
            let made = self.entries[*row].made.iter();
            made.filter(|made| made.at.micros() < ends).count()
        };
        let mut report = JourneyReport {
            horizon_days: horizon.as_days(),
            confidence: settings.confidence,
            sample_ratio: None,
            total: Finding::Unknown(String::new()),
            by_segment: Vec::new(),
            by_channel: Vec::new(),
            contacted,
            held_out,
            refused: rows
                .iter()
                .filter(|row| !self.entries[**row].held_out && self.entries[**row].made.is_empty())
                .count(),
            open: self.entries.len() - rows.len(),
            contacts: rows.iter().map(within).sum(),
            contact_cost,
            offer_cost,
            cost: contact_cost + offer_cost,
        };
        if held_out == 0 || contacted == 0 {
            let (nobody, others) = match held_out {
                0 => ("held out", contacted),
                _ => ("contacted", held_out),
            };
            let why = format!(
                "effect unknown: nobody whose horizon is over was {nobody}, so that the other \
                 {others} customers can be compared with nobody"
            );
            let unknown = |name: &str| GroupFinding {
                group: name.to_owned(),
                finding: Finding::Unknown(why.clone()),
            };
            let groups = |of: fn(&Entry) -> Option<&str>| -> Vec<GroupFinding> {
                let names = rows.iter().filter_map(|row| of(&self.entries[*row]));
                let names: BTreeSet<&str> = names.collect();
                names.into_iter().map(unknown).collect()
            };
            report.by_segment = groups(|entry| entry.segment.as_deref());
            report.by_channel = groups(|entry| entry.channel.as_deref());
            report.total = Finding::Unknown(why);
            return Ok(report);
        }
        let outcomes = self.exposures()?.outcomes(log, horizon, Some(end))?;
        let cost: Vec<f64> = rows
            .iter()
            .map(|row| contact_costs[*row] + offer_costs[*row])
            .collect();
        self.fill(&mut report, &outcomes, &cost, settings)?;
        Ok(report)
    }

    fn fill(
        &self,
        report: &mut JourneyReport,
        outcomes: &ExposureOutcomes,
        cost: &[f64],
        settings: &IncrementalSettings,
    ) -> Result<()> {
        if let Some(share) = settings.held_out_share.or(self.held_out_share) {
            report.sample_ratio = Some(sample_ratio(&outcomes.arms, &[share, 1.0 - share])?);
        }
        let everybody: Vec<usize> = (0..outcomes.rows.len()).collect();
        report.total = find(outcomes, cost, &everybody, settings)?;
        let groups = |of: fn(&Entry) -> Option<&str>| {
            let names: Vec<Option<&str>> = self.entries.iter().map(of).collect();
            find_groups(outcomes, cost, &names, settings)
        };
        report.by_segment = groups(|entry| entry.segment.as_deref())?;
        report.by_channel = groups(|entry| entry.channel.as_deref())?;
        Ok(())
    }
}

fn position(names: &mut Vec<String>, name: &str) -> usize {
    match names.iter().position(|known| known == name) {
        Some(position) => position,
        None => {
            names.push(name.to_owned());
            names.len() - 1
        }
    }
}

impl fmt::Display for JourneyReport {
    /// The answer in one sentence, then a line per segment and channel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ratio) = self.sample_ratio.as_ref().filter(|ratio| ratio.mismatch) {
            writeln!(
                f,
                "DO NOT READ ON: the hold-out has not its planned size (p = {:.2e})",
                ratio.p_value
            )?;
        }
        let told = |finding: &Finding| match finding {
            Finding::Known(found) => found.sentence(self.confidence),
            Finding::Unknown(why) => why.clone(),
        };
        write!(
            f,
            "Within {} days, {} contacted against {} held out: {}",
            self.horizon_days,
            self.contacted,
            self.held_out,
            told(&self.total)
        )?;
        for group in self.by_segment.iter().chain(&self.by_channel) {
            write!(f, "\n  {}: {}", group.group, told(&group.finding))?;
        }
        write!(
            f,
            "\n{} contacts for {:.2}, offers {:.2}",
            self.contacts, self.contact_cost, self.offer_cost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cleaning, EventColumns};
    use crate::journey::Replay;
    use crate::math::random::Random;
    use crate::progress::Progress;
    use crate::time::TimeUnit;
    use crate::winback::{JourneySettings, JourneySource, PolicySource, WinBackSettings};

    const JOURNEY: &str = r#"
version = 1
id = "hello"
name = { en = "Hello", zh = "您好" }
triggers = [{ silence_days = 30 }]
exits = [{ event = "purchase", reason = "bought" }]
steps = [
    { id = "first", send = { options = [{ offers = ["winback_coupon"], channels = ["email"] }] } },
    { id = "pause", wait = { days = 5 } },
    { id = "again", send = { options = [{ offers = ["winback_coupon"], channels = ["push"] }] } },
]
"#;

    fn day(day: i64) -> AsOf {
        AsOf::new(Timestamp::from_checked_micros(day * MICROS_PER_DAY))
    }

    /// 3,000 customers who bought once; journeys from day 25 to 60; 7 days later they buy again:
    /// one in ten by themselves, three in ten after a contact.
    fn shop(policy: &str) -> (Replay, EventLog, usize) {
        let ids: Vec<i64> = (0..3_000).collect();
        let days: Vec<i64> = ids.iter().map(|id| 1 + id % 20).collect();
        let build = |ids: &[i64], days: &[i64]| {
            let values = vec![100.0; ids.len()];
            let columns = EventColumns::new(ids, days, TimeUnit::Day, EventKind::Purchase)
                .with_values(&values);
            EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
        };
        let settings = JourneySettings {
            journeys: vec![JourneySource::Toml(JOURNEY.to_owned())],
            policy: PolicySource::Toml(policy.to_owned()),
            ..JourneySettings::default()
        };
        let replay = WinBackSettings::default()
            .replay(
                &build(&ids, &days),
                day(25),
                day(60),
                &settings,
                &Progress::none(),
            )
            .unwrap();
        let mut random = Random::new(5, 0);
        let (mut ids, mut days) = (ids, days);
        let mut bought = 0;
        for entry in &replay.outcome.log {
            let first = entry.step == Some(0);
            let chance = match entry.decision {
                Decision::Sent { .. } if first => 0.3,
                Decision::HeldOut { .. } | Decision::Skipped { .. } if first => 0.1,
                _ => continue,
            };
            if random.chance(chance) {
                ids.push(i64::from(entry.row));
                days.push(entry.at.day() + 7);
                bought += usize::from(chance == 0.3);
            }
        }
        (replay, build(&ids, &days), bought)
    }

    fn report(replay: &Replay, log: &EventLog) -> JourneyReport {
        let exposures = JourneyExposures::new(&[&replay.outcome]).unwrap();
        let horizon = Horizon::days(14).unwrap();
        let settings = IncrementalSettings::default();
        exposures
            .report(log, horizon, Some(day(90)), &settings)
            .unwrap()
    }

    #[test]
    fn a_known_effect_is_found_in_the_log() {
        let (replay, log, bought) = shop("version = 1\nholdout = { salt = 'x', share = 0.3 }\n");
        let report = report(&replay, &log);
        assert_eq!(report.contacted + report.held_out, 3_000);
        assert!(!report.sample_ratio.as_ref().unwrap().mismatch);
        let Finding::Known(found) = &report.total else {
            panic!("{report}")
        };
        let truth = 0.2 * report.contacted as f64;
        assert!(
            found.kept.low < truth && truth < found.kept.high,
            "{report}"
        );
        // The second contact goes out before the purchase, whose coupon is paid once.
        assert_eq!(report.contacts, 2 * report.contacted);
        assert!((report.contact_cost - 0.015 * report.contacted as f64).abs() < 1e-9);
        assert_eq!(report.offer_cost, 15.0 * bought as f64);
        assert!((found.cost - report.cost).abs() < 1e-9);
        assert!((found.profit.value - (0.3 * found.revenue.value - found.cost)).abs() < 1e-6);
        let names = |groups: &[GroupFinding]| -> Vec<String> {
            groups.iter().map(|g| g.group.clone()).collect()
        };
        assert_eq!(names(&report.by_channel), ["email"]);
        assert!(!report.by_segment.is_empty());
        assert!(
            report.to_string().contains("this campaign kept "),
            "{report}"
        );
        // Horizons that are not over tell nothing yet.
        let exposures = JourneyExposures::new(&[&replay.outcome]).unwrap();
        let settings = IncrementalSettings::default();
        let early = exposures.report(&log, Horizon::days(14).unwrap(), Some(day(40)), &settings);
        let early = early.unwrap();
        assert_eq!((early.open, early.cost), (3_000, 0.0));
        assert!(matches!(early.total, Finding::Unknown(_)));
    }

    #[test]
    fn without_a_hold_out_the_effect_is_unknown_and_the_cost_is_not() {
        let (replay, log, _) = shop("version = 1\n");
        let report = report(&replay, &log);
        let Finding::Unknown(why) = &report.total else {
            panic!("{report}")
        };
        assert!(why.starts_with("effect unknown: nobody"), "{why}");
        assert!(report.cost > 0.0 && report.sample_ratio.is_none());
    }

    #[test]
    fn who_is_refused_for_want_of_capacity_counts_as_contacted() {
        let policy = "version = 1\nholdout = { salt = 'x', share = 0.3 }\n\
                      capacity = { email = 40 }\n";
        let (replay, log, _) = shop(policy);
        let report = report(&replay, &log);
        assert!(
            report.refused == 0,
            "those refused first get the second contact: {report}"
        );
        let by_email = &report.by_channel;
        assert!(
            by_email.iter().any(|group| group.group == "email"),
            "{report}"
        );
        let Finding::Known(found) = &report.total else {
            panic!("{report}")
        };
        // Only 40 a day were reached: the effect is that of the offer to all.
        let contacts = replay.outcome.contacts.iter();
        let truth = 0.2 * contacts.filter(|contact| contact.step == 0).count() as f64;
        assert!(
            truth < 0.9 * 0.2 * report.contacted as f64,
            "the capacity binds"
        );
        assert!(
            found.kept.low < truth && truth < found.kept.high,
            "{truth} {report}"
        );
        assert!(!report.sample_ratio.as_ref().unwrap().mismatch);
    }
}
