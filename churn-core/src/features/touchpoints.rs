//! How a customer answers over each channel.
//!
//! ```text
//! responses     = min(clicked + answered, sent)
//! response_rate = (responses + s · m) / (sent + s)
//! ```
//!
//! The log carries no message ids, so a message both clicked and answered counts twice, up to the
//! number sent. The rate is the mean of a Beta(s·m, s·(1−m)) prior updated by the customer's
//! messages: `m` is the channel's rate over all customers, `s` the prior strength in messages. So
//! one lucky click does not beat a long record. Opens do not count as responses: mail programs
//! that load pictures by themselves make them unreliable. Messages without channel count in
//! `days_since_last_response` only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FeatureInfo;
use super::block::Out;
use super::needs::Need;
use super::population::Part;
use super::purchases::days;
use super::sweep::{Gather, Sight, State};
use crate::error::{Error, Result};
use crate::events::EventKind;

/// How response rates are estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TouchpointSettings {
    /// Strength of the prior in messages: so many messages of the customer weigh as much as the
    /// channel's mean. Default 10.
    pub prior_messages: f64,
}

impl Default for TouchpointSettings {
    fn default() -> Self {
        TouchpointSettings {
            prior_messages: 10.0,
        }
    }
}

impl TouchpointSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(1e-3..=1e9).contains(&self.prior_messages) {
            return Err(Error::invalid_parameter(
                "features.touchpoints.prior_messages",
                "0.001 to 1000000000",
                self.prior_messages,
            ));
        }
        Ok(())
    }
}

const PER_CHANNEL: usize = 5;

pub(super) fn count(channels: usize) -> usize {
    PER_CHANNEL * channels + 2
}

pub(super) fn catalogue(channels: &[String], out: &mut Vec<FeatureInfo>) {
    for channel in channels {
        let count = |what: &str| {
            FeatureInfo::new(
                format!("{channel}_{what}"),
                "count",
                format!("messages {what} over {channel}"),
            )
            .at_least(0.0)
        };
        out.extend([
            count("sent"),
            count("opened"),
            count("clicked"),
            count("answered"),
            FeatureInfo::new(
                format!("{channel}_response_rate"),
                "probability",
                format!(
                    "share of messages over {channel} that are clicked or answered, drawn towards the channel's mean"
                ),
            )
            .undefined("NaN if nobody in the population was sent anything over this channel")
            .at_least(0.0)
            .at_most(1.0),
        ]);
    }
    let preferred = FeatureInfo::new(
        "preferred_channel",
        "index",
        "position, among the log's sorted channels (a new channel shifts those behind it), of the one with the highest response rate, of those that the customer responded on; the first of equals",
    )
    .undefined("NaN for those who never responded on a channel")
    .at_least(0.0);
    out.extend([
        FeatureInfo::new(
            "days_since_last_response",
            "days",
            "last message clicked or answered to as_of",
        )
        .undefined("NaN for those who never responded")
        .at_least(0.0),
        match channels.len() {
            0 => preferred,
            n => preferred.at_most((n - 1) as f64),
        },
    ]);
}

/// In the order of the catalogue.
pub(super) fn needs(channels: usize, out: &mut Vec<Need>) {
    let [sent, opened, clicked, answered] = [
        EventKind::MessageSent,
        EventKind::MessageOpened,
        EventKind::MessageClicked,
        EventKind::MessageAnswered,
    ];
    let on_channels = |need: Need| need.channels().gathered(Gather::CHANNELS);
    let rate = || on_channels(Need::of([sent, clicked, answered])).beside([Part::Channels]);
    for _ in 0..channels {
        let count = |kind| on_channels(Need::of([kind]));
        out.extend([sent, opened, clicked, answered].map(count));
        out.push(rate());
    }
    out.push(Need::of([clicked, answered]).gathered(Gather::KINDS));
    out.push(rate());
}

/// What a feature reads whose name is that of a channel, whichever it is, and one of the endings.
pub(super) fn need_of_channel(name: &str) -> Option<Need> {
    let mut infos = Vec::new();
    catalogue(&[String::new()], &mut infos);
    let mut needs = Vec::new();
    self::needs(1, &mut needs);
    let endings = infos.iter().zip(needs).take(PER_CHANNEL);
    endings
        .filter(|(ending, _)| name.len() > ending.name.len() && name.ends_with(&ending.name))
        .map(|(_, need)| need)
        .next()
}

/// Messages to one customer over one channel, and the responses to them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    sent: u32,
    /// Clicked or answered.
    responded: u32,
}

impl Reach {
    #[inline]
    fn of(state: &State, channel: usize) -> Self {
        let count = |kind| state.on_channel(channel, kind);
        let (clicked, answered) = (EventKind::MessageClicked, EventKind::MessageAnswered);
        Reach {
            sent: count(EventKind::MessageSent),
            // More than the messages sent do not count anyway.
            responded: count(clicked).saturating_add(count(answered)),
        }
    }

    /// On each of so many channels.
    #[inline]
    pub(super) fn on(state: &State, channels: usize) -> impl Iterator<Item = Reach> {
        (0..channels).map(|channel| Reach::of(state, channel))
    }

    #[inline]
    fn responses(self) -> u32 {
        self.responded.min(self.sent)
    }
}

/// What the customer's own past says; on channels only where `on_channels` is told.
pub(super) fn own(sight: &Sight<'_>, channels: usize, on_channels: bool, out: &mut Out<'_>) {
    let counted = [
        EventKind::MessageSent,
        EventKind::MessageOpened,
        EventKind::MessageClicked,
        EventKind::MessageAnswered,
    ];
    for channel in 0..if on_channels { channels } else { 0 } {
        for (j, kind) in counted.into_iter().enumerate() {
            let count = sight.state.on_channel(channel, kind);
            out.set(PER_CHANNEL * channel + j, f64::from(count));
        }
    }
    let responses = [EventKind::MessageClicked, EventKind::MessageAnswered];
    let last = responses
        .into_iter()
        .filter_map(|kind| sight.state.last(kind))
        .max();
    out.set(
        PER_CHANNEL * channels,
        last.map_or(f64::NAN, |time| days(sight.as_of() - time)),
    );
}

/// Response rates and the channel where they are highest. `means` holds each channel's mean response
/// rate, NaN where nothing was ever sent.
pub(super) fn beside(
    reach: &[Reach],
    settings: &TouchpointSettings,
    means: &[f64],
    out: &mut Out<'_>,
) {
    let strength = settings.prior_messages;
    let mut preferred = (f64::NEG_INFINITY, f64::NAN);
    for (c, (mean, on)) in means.iter().zip(reach).enumerate() {
        let responses = f64::from(on.responses());
        let rate = (responses + strength * mean) / (f64::from(on.sent) + strength);
        out.set(PER_CHANNEL * c + 4, rate);
        // A channel on which only answers are recorded has no rate and ranks last.
        let rank = if rate.is_nan() { -1.0 } else { rate };
        if on.responded > 0 && rank > preferred.0 {
            preferred = (rank, c as f64);
        }
    }
    out.set(PER_CHANNEL * means.len() + 1, preferred.1);
}

/// Messages of the whole population per channel.
#[derive(Debug, Clone, Default)]
pub(super) struct ChannelTotals(Vec<(u64, u64)>);

impl ChannelTotals {
    pub(super) fn new(channels: usize) -> Self {
        ChannelTotals(vec![(0, 0); channels])
    }

    pub(super) fn add(&mut self, customer: &State) {
        for (channel, total) in self.0.iter_mut().enumerate() {
            let reach = Reach::of(customer, channel);
            total.0 += u64::from(reach.sent);
            total.1 += u64::from(reach.responses());
        }
    }

    pub(super) fn merge(&mut self, other: &ChannelTotals) {
        for (total, more) in self.0.iter_mut().zip(&other.0) {
            total.0 += more.0;
            total.1 += more.1;
        }
    }

    /// Mean response rate of each channel on which anything was sent.
    pub(super) fn means(&self, channels: &[String]) -> BTreeMap<String, f64> {
        let named = channels.iter().zip(&self.0);
        named
            .filter(|(_, (sent, _))| *sent > 0)
            .map(|(name, (sent, responses))| (name.clone(), *responses as f64 / *sent as f64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::features::testing::{column, log_with_channels};
    use crate::features::{FeatureSpec, build};
    use crate::{AsOf, EventLog};

    fn messages() -> EventLog {
        log_with_channels(&[
            ("ann", "2020-01-01", "message_sent", 0.0, "email"),
            ("ann", "2020-01-01", "message_sent", 0.0, "sms"),
            ("ann", "2020-01-02", "message_opened", 0.0, "email"),
            ("ann", "2020-01-02", "message_clicked", 0.0, "email"),
            ("ann", "2020-01-03", "message_answered", 0.0, "email"),
            ("bea", "2020-01-01", "message_sent", 0.0, "email"),
            ("bea", "2020-01-01", "message_sent", 0.0, "email"),
            ("cid", "2020-01-04", "message_clicked", 0.0, "wechat"),
        ])
    }

    #[test]
    fn rates_by_hand() {
        let log = messages();
        let history = log.history(AsOf::parse("2020-01-05").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        assert_eq!(column(&table, "email_sent"), [1.0, 2.0, 0.0]);
        assert_eq!(column(&table, "email_answered"), [1.0, 0.0, 0.0]);
        // Channel mean 1/3: ann's click and answer are one response to the one message sent.
        let mean = 1.0 / 3.0;
        let expected = [
            (1.0 + 10.0 * mean) / 11.0,
            10.0 * mean / 12.0,
            10.0 * mean / 10.0,
        ];
        for (got, expected) in column(&table, "email_response_rate").iter().zip(expected) {
            assert!((got - expected).abs() < 1e-15);
        }
        assert_eq!(column(&table, "sms_response_rate")[0], 0.0);
        assert!(column(&table, "wechat_response_rate")[0].is_nan());
        let preferred = column(&table, "preferred_channel");
        assert_eq!((preferred[0], preferred[2]), (0.0, 2.0));
        assert!(preferred[1].is_nan());
        assert_eq!(column(&table, "days_since_last_response")[0], 2.0);
    }

    #[test]
    fn a_channel_first_used_later_has_no_rate_yet() {
        let log = messages();
        let history = log.history(AsOf::parse("2020-01-04").unwrap());
        let table = build(&history, &FeatureSpec::default()).unwrap();
        assert_eq!(column(&table, "wechat_clicked"), [0.0, 0.0]);
        assert!(column(&table, "wechat_response_rate")[0].is_nan());
    }
}
