//! Reads a journey into a [`Graph`] and refuses what cannot work, naming the place.

use std::collections::HashMap;

use jiff::civil;

use super::definition::{Exit, Journey, Reentry, Send, Step, Trigger, VERSION, Wait};
use super::graph::{Entry, Graph, Manner, Next, Node, On, Sending, Way};
use super::happening::Happening;
use crate::error::{Error, Result};
use crate::strategy::conditions::{Formula, Term};
use crate::strategy::{Condition, Playbook, Vocabulary};
use crate::time::MICROS_PER_DAY;

const MICROS_PER_MINUTE: i64 = 60_000_000;
/// No wait or window is longer than a century.
pub(super) const MAX_DAYS: u32 = 36_500;
/// Days that an event may be late and still open a journey.
const LATE_DAYS: u32 = 3;
/// Bits of a state that watch facts hold two per trigger.
const MAX_TRIGGERS: usize = 16;
const MAX_STEPS: usize = 10_000;
const MAX_OPTIONS: usize = 32;
/// Options are counted in one byte.
const MAX_PLANNED: usize = 255;

/// A journey with the reasons for leaving that it can give.
pub(super) struct Resolved {
    pub(super) graph: Graph,
    pub(super) reasons: Vec<String>,
}

/// Reasons for leaving that every journey has, by position.
pub(super) const COMPLETED: usize = 0;
pub(super) const JOURNEY_OVER: usize = 1;
pub(super) const STEP_REMOVED: usize = 2;

struct Names<'a> {
    steps: HashMap<&'a str, usize>,
    playbook: &'a Playbook,
    vocabulary: &'a Vocabulary,
    reasons: Vec<String>,
}

pub(super) fn resolve(
    journey: &Journey,
    playbook: &Playbook,
    vocabulary: &Vocabulary,
) -> Result<Resolved> {
    playbook.check(vocabulary)?;
    if journey.version != VERSION {
        return Err(Error::invalid_parameter(
            "journey.version",
            format_args!("version {VERSION}"),
            journey.version,
        ));
    }
    check_text("journey.id", &journey.id)?;
    check_text("journey.name.en", &journey.name.en)?;
    check_text("journey.name.zh", &journey.name.zh)?;
    if playbook.channels.len() > 32 {
        return Err(Error::invalid_parameter(
            "playbook.channels",
            "at most 32 channels for journeys",
            playbook.channels.len(),
        ));
    }
    if let Some(days) = journey.at_most_days {
        check_days("journey.at_most_days", days, 1)?;
    }
    let mut names = Names {
        steps: step_names(&journey.steps)?,
        playbook,
        vocabulary,
        reasons: ["completed", "journey_over", "step_removed"]
            .map(str::to_owned)
            .to_vec(),
    };
    let mut nodes = Vec::with_capacity(journey.steps.len());
    for (i, step) in journey.steps.iter().enumerate() {
        nodes.push(names.node(i, step, journey.steps.len())?);
    }
    if journey.triggers.is_empty() || journey.triggers.len() > MAX_TRIGGERS {
        return Err(Error::invalid_parameter(
            "journey.triggers",
            format_args!("1 to {MAX_TRIGGERS} triggers"),
            journey.triggers.len(),
        ));
    }
    let mut triggers = Vec::with_capacity(journey.triggers.len());
    for (i, trigger) in journey.triggers.iter().enumerate() {
        triggers.push(names.trigger(&format!("journey.triggers[{i}]"), trigger)?);
    }
    let mut exits = Vec::with_capacity(journey.exits.len());
    for (i, exit) in journey.exits.iter().enumerate() {
        exits.push(names.exit(&format!("journey.exits[{i}]"), exit)?);
    }
    let reentry = match journey.reentry {
        Reentry::Never => None,
        Reentry::AtOnce => Some(0),
        Reentry::AfterDays(days) => {
            check_days("journey.reentry.after_days", days, 1)?;
            Some(i64::from(days) * MICROS_PER_DAY)
        }
    };
    let graph = Graph {
        triggers,
        reentry,
        exits,
        at_most: journey.at_most_days.map(|d| i64::from(d) * MICROS_PER_DAY),
        nodes,
        priority: journey.priority,
    };
    check_reach(journey, &graph)?;
    check_cycles(journey, &graph)?;
    let reasons = names.reasons;
    Ok(Resolved { graph, reasons })
}

fn step_names(steps: &[Step]) -> Result<HashMap<&str, usize>> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(Error::invalid_parameter(
            "journey.steps",
            format_args!("1 to {MAX_STEPS} steps"),
            steps.len(),
        ));
    }
    let mut names = HashMap::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        let place = format!("journey.steps[{i}].id");
        check_text(&place, &step.id)?;
        if names.insert(step.id.as_str(), i).is_some() {
            let got = format_args!("{:?} twice", step.id).to_string();
            return Err(Error::invalid_parameter(place, "ids that differ", got));
        }
    }
    Ok(names)
}

impl Names<'_> {
    fn step(&self, place: String, id: &str) -> Result<usize> {
        match self.steps.get(id) {
            Some(step) => Ok(*step),
            None => {
                let mut known: Vec<&str> = self.steps.keys().copied().collect();
                known.sort_unstable();
                Err(Error::unknown_name(place, id, known))
            }
        }
    }

    fn next(&self, place: &str, i: usize, id: Option<&str>, steps: usize) -> Result<Next> {
        match id {
            Some(id) => self.step(format!("{place}.next"), id).map(Some),
            None => Ok((i + 1 < steps).then_some(i + 1)),
        }
    }

    fn condition(&self, place: &str, text: &str) -> Result<Formula> {
        Condition::parse_at(place, text)?.resolve(place, self.vocabulary)
    }

    fn reason(&mut self, reason: &str) -> usize {
        match self.reasons.iter().position(|known| known == reason) {
            Some(position) => position,
            None => {
                self.reasons.push(reason.to_owned());
                self.reasons.len() - 1
            }
        }
    }

    fn trigger(&self, place: &str, trigger: &Trigger) -> Result<Entry> {
        let said = [
            trigger.silence_days.is_some(),
            trigger.event.is_some(),
            trigger.becomes.is_some(),
            trigger.changes.is_some(),
        ];
        one_of(place, "silence_days, event, becomes and changes", &said)?;
        only_with(
            place,
            "before_days",
            trigger.before_days.is_some(),
            "silence_days",
            said[0],
        )?;
        only_with(
            place,
            "late_days",
            trigger.late_days.is_some(),
            "event",
            said[1],
        )?;
        only_with(
            place,
            "first_sight",
            trigger.first_sight,
            "becomes",
            said[2],
        )?;
        let on = if let Some(days) = trigger.silence_days {
            check_days(&format!("{place}.silence_days"), days, 1)?;
            let before = match trigger.before_days {
                None => i64::MAX,
                Some(before) => {
                    let place = format!("{place}.before_days");
                    check_days(&place, before, 1)?;
                    if before <= days {
                        return Err(Error::invalid_parameter(
                            place,
                            format_args!("more than silence_days ({days})"),
                            before,
                        ));
                    }
                    i64::from(before) * MICROS_PER_DAY
                }
            };
            On::Silence {
                from: i64::from(days) * MICROS_PER_DAY,
                before,
            }
        } else if let Some(event) = &trigger.event {
            let late = trigger.late_days.unwrap_or(LATE_DAYS);
            check_days(&format!("{place}.late_days"), late, 0)?;
            On::Event {
                kind: Happening::from_name_at(&format!("{place}.event"), event)?,
                late: i64::from(late) * MICROS_PER_DAY,
            }
        } else if let Some(text) = &trigger.becomes {
            let place = format!("{place}.becomes");
            let condition = Condition::parse_at(&place, text)?;
            On::Becomes {
                yes: condition.resolve(&place, self.vocabulary)?,
                no: condition.resolve_false(&place, self.vocabulary)?,
                first_sight: trigger.first_sight,
            }
        } else {
            self.change(&format!("{place}.changes"), trigger)?
        };
        let when = trigger.when.as_ref();
        let start = match &trigger.start {
            None => 0,
            Some(id) => self.step(format!("{place}.start"), id)?,
        };
        Ok(Entry {
            on,
            when: when
                .map(|text| self.condition(&format!("{place}.when"), text))
                .transpose()?,
            start,
        })
    }

    fn change(&self, place: &str, trigger: &Trigger) -> Result<On> {
        // The caller has seen that `changes` is there.
        let Some(change) = &trigger.changes else {
            return Err(Error::invalid_parameter(place, "a change", "none"));
        };
        let Some(Term::Segmentation(segmentation)) = self.vocabulary.term(&change.segmentation)
        else {
            let known = self.vocabulary.segmentations().iter().map(|s| &s.name);
            let place = format!("{place}.segmentation");
            return Err(Error::unknown_name(place, &change.segmentation, known));
        };
        let labels = &self.vocabulary.segmentations()[segmentation].labels;
        let mark = |list: &str, wanted: &[String]| -> Result<Vec<bool>> {
            let mut marks = vec![false; labels.len()];
            for (k, label) in wanted.iter().enumerate() {
                match labels.iter().position(|known| known == label) {
                    Some(code) => marks[code] = true,
                    None => {
                        let place = format!("{place}.{list}[{k}]");
                        return Err(Error::unknown_name(place, label, labels));
                    }
                }
            }
            Ok(marks)
        };
        let to = mark("to", &change.to)?;
        let from = match change.from.is_empty() {
            true => to.iter().map(|inside| !inside).collect(),
            false => mark("from", &change.from)?,
        };
        let overlap = from.iter().zip(&to).any(|(from, to)| *from && *to);
        if overlap || !from.contains(&true) || !to.contains(&true) {
            return Err(Error::invalid_parameter(
                place,
                "labels to come from and others to go to",
                if overlap {
                    "one label on both sides"
                } else {
                    "an empty side"
                },
            ));
        }
        let one_of = |allowed| Formula::OneOf {
            segmentation,
            allowed,
        };
        Ok(On::Changes {
            from: one_of(from),
            to: one_of(to),
        })
    }

    fn exit(&mut self, place: &str, exit: &Exit) -> Result<Way> {
        one_of(
            place,
            "event and when",
            &[exit.event.is_some(), exit.when.is_some()],
        )?;
        if let Some(reason) = &exit.reason {
            check_text(&format!("{place}.reason"), reason)?;
        }
        if let Some(event) = &exit.event {
            let kind = Happening::from_name_at(&format!("{place}.event"), event)?;
            let reason = self.reason(exit.reason.as_deref().unwrap_or(event));
            return Ok(Way::Event { kind, reason });
        }
        let text = exit.when.as_deref().unwrap_or_default();
        let formula = self.condition(&format!("{place}.when"), text)?;
        let reason = self.reason(exit.reason.as_deref().unwrap_or("condition"));
        Ok(Way::When { formula, reason })
    }

    fn node(&mut self, i: usize, step: &Step, steps: usize) -> Result<Node> {
        let place = format!("journey.steps[{i}]");
        let said = [
            step.wait.is_some(),
            !step.branch.is_empty(),
            !step.split.is_empty(),
            step.send.is_some(),
            step.exit.is_some(),
        ];
        one_of(&place, "wait, branch, split, send and exit", &said)?;
        let goes_on = step.split.is_empty() && step.exit.is_none();
        only_with(
            &place,
            "next",
            step.next.is_some(),
            "wait, branch or send",
            goes_on,
        )?;
        let next = self.next(&place, i, step.next.as_deref(), steps)?;
        if let Some(wait) = &step.wait {
            return self.wait(&format!("{place}.wait"), wait, next);
        }
        if let Some(send) = &step.send {
            let sending = self.sending(&format!("{place}.send"), send)?;
            return Ok(Node::Send(Box::new(sending), next));
        }
        if let Some(reason) = &step.exit {
            check_text(&format!("{place}.exit"), reason)?;
            let reason = self.reason(reason);
            return Ok(Node::Exit { reason });
        }
        if !step.branch.is_empty() {
            let mut arms = Vec::with_capacity(step.branch.len());
            for (k, arm) in step.branch.iter().enumerate() {
                let place = format!("{place}.branch[{k}]");
                let formula = self.condition(&format!("{place}.when"), &arm.when)?;
                let target = self.step(format!("{place}.next"), &arm.next)?;
                arms.push((formula, Some(target)));
            }
            return Ok(Node::Branch { arms, next });
        }
        let mut end = 0.0;
        let mut arms = Vec::with_capacity(step.split.len());
        for (k, arm) in step.split.iter().enumerate() {
            let place = format!("{place}.split[{k}]");
            if !(arm.share > 0.0 && arm.share <= 1.0) {
                return Err(Error::invalid_parameter(
                    format!("{place}.share"),
                    "a share above 0 and up to 1",
                    arm.share,
                ));
            }
            end += arm.share;
            arms.push((end, Some(self.step(format!("{place}.next"), &arm.next)?)));
        }
        if (end - 1.0_f64).abs() > 1e-9 {
            return Err(Error::invalid_parameter(
                format!("{place}.split"),
                "shares that add up to 1",
                end,
            ));
        }
        Ok(Node::Split { arms })
    }

    fn wait(&self, place: &str, wait: &Wait, next: Next) -> Result<Node> {
        let duration = self::duration(place, wait)?;
        let long_enough = |micros: i64| {
            if micros >= MICROS_PER_MINUTE {
                return Ok(micros);
            }
            Err(Error::invalid_parameter(
                place,
                "at least one minute",
                "no time",
            ))
        };
        let has_duration = wait.days.is_some() || wait.hours.is_some() || wait.minutes.is_some();
        one_of(
            place,
            "at, silence_days and event",
            &[
                wait.at.is_some(),
                wait.silence_days.is_some(),
                wait.event.is_some(),
                // A duration alone is a wait of its own.
                has_duration
                    && wait.at.is_none()
                    && wait.silence_days.is_none()
                    && wait.event.is_none(),
            ],
        )?;
        only_with(
            place,
            "on_event",
            wait.on_event.is_some(),
            "event",
            wait.event.is_some(),
        )?;
        if let Some(at) = &wait.at {
            let finer = wait.hours.is_some() || wait.minutes.is_some();
            only_with(
                place,
                "hours and minutes",
                finer,
                "a duration without at",
                false,
            )?;
            return Ok(Node::At {
                days: wait.days.unwrap_or(0),
                at: parse_time(&format!("{place}.at"), at)?,
                next,
            });
        }
        if let Some(days) = wait.silence_days {
            only_with(
                place,
                "a duration",
                has_duration,
                "at or event, not silence_days",
                false,
            )?;
            check_days(&format!("{place}.silence_days"), days, 1)?;
            return Ok(Node::Silence {
                micros: i64::from(days) * MICROS_PER_DAY,
                next,
            });
        }
        if let Some(event) = &wait.event {
            let kind = Happening::from_name_at(&format!("{place}.event"), event)?;
            let on_event = match &wait.on_event {
                None => next,
                Some(id) => Some(self.step(format!("{place}.on_event"), id)?),
            };
            return Ok(Node::Event {
                kind,
                time_out: long_enough(duration)?,
                on_event,
                next,
            });
        }
        Ok(Node::Pause {
            micros: long_enough(duration)?,
            next,
        })
    }

    fn sending(&self, place: &str, send: &Send) -> Result<Sending> {
        let fewest = usize::from(!send.planned);
        if !(fewest..=MAX_OPTIONS).contains(&send.options.len()) {
            return Err(Error::invalid_parameter(
                format!("{place}.options"),
                format_args!("{fewest} to {MAX_OPTIONS} options"),
                send.options.len(),
            ));
        }
        if let Some(days) = send.hold_at_most_days {
            check_days(&format!("{place}.hold_at_most_days"), days, 1)?;
        }
        if let Some(value) = send.response_value
            && !(value.is_finite() && value >= 0.0)
        {
            return Err(Error::invalid_parameter(
                format!("{place}.response_value"),
                "a finite amount of at least 0",
                value,
            ));
        }
        let mut options: Vec<Manner> = Vec::with_capacity(send.options.len());
        for (k, option) in send.options.iter().enumerate() {
            let place = format!("{place}.options[{k}]");
            let offers = self.playbook.offers.iter().map(|o| o.id.as_str()).collect();
            let channels = self
                .playbook
                .channels
                .iter()
                .map(|c| c.id.as_str())
                .collect();
            let offers: Vec<usize> =
                references(&format!("{place}.offers"), &option.offers, offers)?;
            let channels = references(&format!("{place}.channels"), &option.channels, channels)?;
            for (g, group) in self.playbook.conflicts.iter().enumerate() {
                let rivals = option.offers.iter().filter(|offer| group.contains(offer));
                if rivals.count() > 1 {
                    return Err(Error::invalid_parameter(
                        format!("{place}.offers"),
                        "offers that go together",
                        format_args!("several of playbook.conflicts[{g}]"),
                    ));
                }
            }
            if offers.len() > 32 {
                return Err(Error::invalid_parameter(
                    format!("{place}.offers"),
                    "at most 32 offers",
                    offers.len(),
                ));
            }
            let manner = self.manner(offers, channels);
            let same = |o: &Manner| o.mask == manner.mask && o.offers == manner.offers;
            if options.iter().any(same) {
                return Err(Error::invalid_parameter(
                    place,
                    "options that differ",
                    "the same offers and channels twice",
                ));
            }
            options.push(manner);
        }
        let named = options.len();
        let mut planned = Vec::new();
        if send.planned {
            self.plan_options(&mut options, &mut planned);
            let widest = options.iter().map(|option| option.offers.len()).max();
            if options.len() > MAX_PLANNED || widest > Some(32) {
                return Err(Error::invalid_parameter(
                    format!("{place}.planned"),
                    format_args!(
                        "at most {MAX_PLANNED} actions over channel sets, of at most 32 offers"
                    ),
                    options.len(),
                ));
            }
        }
        Ok(Sending {
            options,
            named,
            planned,
            choose: send.choose,
            when_capped: send.when_capped,
            hold_at_most: send
                .hold_at_most_days
                .map(|days| i64::from(days) * MICROS_PER_DAY),
            response_value: send.response_value,
            exempt: send.exempt,
        })
    }
}

impl Names<'_> {
    fn manner(&self, offers: Vec<usize>, channels: Vec<usize>) -> Manner {
        let used = || channels.iter().map(|c| &self.playbook.channels[*c]);
        Manner {
            mask: channels.iter().fold(0, |mask, c| mask | 1_u32 << c),
            cost: used().map(|c| c.cost).sum(),
            prior: 1.0 - used().map(|c| 1.0 - c.prior_response).product::<f64>(),
            offers,
            channels,
        }
    }

    /// Every action of the playbook over every channel set.
    fn plan_options(&self, options: &mut Vec<Manner>, planned: &mut Vec<usize>) {
        let playbook = self.playbook;
        let offer = |id: &String| playbook.offers.iter().position(|offer| offer.id == *id);
        let channel = |id: &String| playbook.channels.iter().position(|c| c.id == *id);
        for action in &playbook.actions {
            planned.push(options.len());
            for set in &action.channel_sets {
                // The playbook was checked: every id is found.
                let offers = action.offers.iter().filter_map(offer).collect();
                options.push(self.manner(offers, set.iter().filter_map(channel).collect()));
            }
        }
    }
}

fn duration(place: &str, wait: &Wait) -> Result<i64> {
    let part = |name: &str, count: Option<u32>, most: u32, unit: i64| {
        let count = count.unwrap_or(0);
        if count > most {
            return Err(Error::invalid_parameter(
                format!("{place}.{name}"),
                format_args!("at most {most}"),
                count,
            ));
        }
        Ok(i64::from(count) * unit)
    };
    Ok(part("days", wait.days, MAX_DAYS, MICROS_PER_DAY)?
        + part("hours", wait.hours, MAX_DAYS * 24, 60 * MICROS_PER_MINUTE)?
        + part("minutes", wait.minutes, MAX_DAYS * 1440, MICROS_PER_MINUTE)?)
}

/// A wall time such as `09:00`; `24:00` is not one.
pub(super) fn parse_time(place: &str, text: &str) -> Result<civil::Time> {
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let time = text.split_once(':').and_then(|(hour, minute)| {
        let both = digits(hour) && digits(minute);
        let parts = (hour.parse().ok()?, minute.parse().ok()?);
        both.then(|| civil::Time::new(parts.0, parts.1, 0, 0).ok())?
    });
    time.ok_or_else(|| {
        Error::invalid_parameter(
            place,
            "a time of day from 00:00 to 23:59",
            format_args!("{text:?}"),
        )
    })
}

pub(super) fn check_text(place: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid_parameter(place, "a text", "an empty one"));
    }
    Ok(())
}

pub(super) fn check_days(place: &str, days: u32, least: u32) -> Result<()> {
    if !(least..=MAX_DAYS).contains(&days) {
        return Err(Error::invalid_parameter(
            place,
            format_args!("{least} to {MAX_DAYS} days"),
            days,
        ));
    }
    Ok(())
}

fn one_of(place: &str, fields: &str, said: &[bool]) -> Result<()> {
    match said.iter().filter(|said| **said).count() {
        1 => Ok(()),
        0 => Err(Error::invalid_parameter(
            place,
            format_args!("one of {fields}"),
            "none",
        )),
        _ => Err(Error::invalid_parameter(
            place,
            format_args!("only one of {fields}"),
            "several",
        )),
    }
}

fn only_with(place: &str, field: &str, said: bool, other: &str, has_other: bool) -> Result<()> {
    if said && !has_other {
        return Err(Error::invalid_parameter(
            place,
            format_args!("{field} only together with {other}"),
            "it alone",
        ));
    }
    Ok(())
}

/// Looks a list of ids up; an empty list and an id that stands twice are mistakes.
pub(super) fn references(place: &str, ids: &[String], known: Vec<&str>) -> Result<Vec<usize>> {
    if ids.is_empty() {
        return Err(Error::invalid_parameter(place, "at least one id", "none"));
    }
    let mut found = Vec::with_capacity(ids.len());
    for (k, id) in ids.iter().enumerate() {
        let place = format!("{place}[{k}]");
        let Some(position) = known.iter().position(|known| known == id) else {
            return Err(Error::unknown_name(place, id, known));
        };
        if found.contains(&position) {
            return Err(Error::invalid_parameter(
                place,
                "ids that differ",
                format_args!("{id:?} twice"),
            ));
        }
        found.push(position);
    }
    Ok(found)
}

impl Node {
    /// All steps that may come next.
    fn targets(&self) -> Vec<usize> {
        match self {
            Node::Pause { next, .. }
            | Node::At { next, .. }
            | Node::Silence { next, .. }
            | Node::Send(_, next) => next.iter().copied().collect(),
            Node::Event { on_event, next, .. } => on_event.iter().chain(next).copied().collect(),
            Node::Branch { arms, next } => {
                let arms = arms.iter().filter_map(|(_, to)| *to);
                arms.chain(*next).collect()
            }
            Node::Split { arms } => arms.iter().filter_map(|(_, to)| *to).collect(),
            Node::Exit { .. } => Vec::new(),
        }
    }

    /// Whether time surely passes here: a day of silence may have passed already.
    fn takes_time(&self) -> bool {
        matches!(
            self,
            Node::Pause { .. } | Node::At { .. } | Node::Event { .. }
        )
    }
}

fn check_reach(journey: &Journey, graph: &Graph) -> Result<()> {
    let mut reached = vec![false; graph.nodes.len()];
    let mut open: Vec<usize> = graph.triggers.iter().map(|t| t.start).collect();
    while let Some(step) = open.pop() {
        if !std::mem::replace(&mut reached[step], true) {
            open.extend(graph.nodes[step].targets());
        }
    }
    match reached.iter().position(|reached| !reached) {
        None => Ok(()),
        Some(step) => Err(Error::invalid_parameter(
            format!("journey.steps[{step}]"),
            "a step that some trigger leads to",
            format_args!("{:?}, which nothing leads to", journey.steps[step].id),
        )),
    }
}

/// Looks for a way round through steps that take no time, by removing steps that no such way leads
/// to until none is left.
fn check_cycles(journey: &Journey, graph: &Graph) -> Result<()> {
    let n = graph.nodes.len();
    let at_once = |step: usize| match graph.nodes[step].takes_time() {
        true => Vec::new(),
        false => graph.nodes[step].targets(),
    };
    let mut ways_in = vec![0_usize; n];
    (0..n).flat_map(at_once).for_each(|to| ways_in[to] += 1);
    let mut free: Vec<usize> = (0..n).filter(|step| ways_in[*step] == 0).collect();
    let mut left = n;
    while let Some(step) = free.pop() {
        left -= 1;
        for to in at_once(step) {
            ways_in[to] -= 1;
            if ways_in[to] == 0 {
                free.push(to);
            }
        }
    }
    if left == 0 {
        return Ok(());
    }
    // Each step left has a predecessor that is left; walking back must come round.
    let before = |step: usize| (0..n).find(|s| ways_in[*s] > 0 && at_once(*s).contains(&step));
    let mut walk: Vec<usize> = (0..n).filter(|step| ways_in[*step] > 0).take(1).collect();
    while let Some(step) = walk.last().copied().and_then(before) {
        if let Some(start) = walk.iter().position(|seen| *seen == step) {
            walk.drain(..start);
            break;
        }
        walk.push(step);
    }
    walk.reverse();
    // The way round is told from its first step in the document.
    let first = (0..walk.len()).min_by_key(|i| walk[*i]).unwrap_or(0);
    walk.rotate_left(first);
    let ids: Vec<&str> = walk.iter().map(|s| journey.steps[*s].id.as_str()).collect();
    Err(Error::invalid_parameter(
        format!("journey.steps[{}]", walk.first().copied().unwrap_or(0)),
        "a wait that takes time in every cycle of steps",
        format_args!("the cycle {} without one", ids.join(", ")),
    ))
}
