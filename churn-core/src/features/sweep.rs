//! One pass over a customer's events that stops at every instant somebody asks about.
//!
//! What is gathered knows no instant: counts, sums and last times only ever grow, and what fades
//! is brought forward when it is read. So one pass serves any number of instants, and each of them
//! sees exactly what a pass of its own would have seen. Windows that end at an instant are
//! differences between what was counted at their edges.

use super::activity::{Fading, is_interaction};
use super::purchases::Purchases;
use crate::error::Result;
use crate::events::{Event, EventKind};
use crate::time::{AsOf, MICROS_PER_DAY};

/// Codes of kinds are below this.
const KINDS: usize = 16;

/// Which codes are interactions, so that counting them needs no branch.
const INTERACTION: [u32; KINDS] = {
    let mut table = [0; KINDS];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        table[EventKind::ALL[i] as usize] = is_interaction(EventKind::ALL[i]) as u32;
        i += 1;
    }
    table
};

/// Things that a pass can gather, each at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gather(u16);

impl Gather {
    pub(super) const NOTHING: Gather = Gather(0);
    /// Purchases and refunds.
    pub(super) const PURCHASES: Gather = Gather(1);
    /// How often and when last each kind occurred.
    pub(super) const KINDS: Gather = Gather(1 << 1);
    /// How often each kind occurred on each channel.
    pub(super) const CHANNELS: Gather = Gather(1 << 2);
    /// Points of activity.
    pub(super) const POINTS: Gather = Gather(1 << 3);
    /// Money of every purchase line, for windows.
    pub(super) const LINES: Gather = Gather(1 << 4);
    /// What was counted before the window before each window.
    pub(super) const BEFORE: Gather = Gather(1 << 5);
    /// What was counted by the months before the instant.
    pub(super) const MONTHS: Gather = Gather(1 << 6);
    /// What was counted before complaints were recent.
    pub(super) const RECENT: Gather = Gather(1 << 7);

    /// These and those.
    #[must_use]
    pub(super) const fn with(self, others: Gather) -> Self {
        Gather(self.0 | others.0)
    }

    /// Whether all of these are there.
    pub(super) const fn has(self, these: Gather) -> bool {
        self.0 & these.0 == these.0
    }
}

/// What a pass gathers of each customer.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    purchases: bool,
    kinds: bool,
    channels: bool,
    lines: bool,
    fading: Option<Fading>,
}

impl Wanted {
    /// `fading` is how points fade, where they are gathered.
    pub(super) fn new(gather: Gather, fading: Option<Fading>) -> Self {
        Wanted {
            purchases: gather.has(Gather::PURCHASES),
            kinds: gather.has(Gather::KINDS),
            channels: gather.has(Gather::CHANNELS),
            lines: gather.has(Gather::LINES),
            fading,
        }
    }

    pub(super) fn fading(&self) -> Option<&Fading> {
        self.fading.as_ref()
    }
}

/// What a customer has done so far.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) purchases: Purchases,
    counts: [u32; KINDS],
    last: [i64; KINDS],
    interactions: u32,
    /// Points of activity as they stand at the last event that gave any.
    points: f64,
    points_at: i64,
    /// Per channel and kind; one more at the end for messages without channel.
    channels: Vec<[u32; KINDS]>,
    lines: Vec<f64>,
}

impl State {
    fn new(channels: usize) -> Self {
        State {
            purchases: Purchases::default(),
            counts: [0; KINDS],
            last: [0; KINDS],
            interactions: 0,
            points: 0.0,
            points_at: 0,
            channels: vec![[0; KINDS]; channels + 1],
            lines: Vec::new(),
        }
    }

    fn reset(&mut self, wanted: &Wanted) {
        self.purchases = Purchases::default();
        self.counts = [0; KINDS];
        self.interactions = 0;
        self.points = 0.0;
        self.lines.clear();
        if wanted.channels {
            self.channels.fill([0; KINDS]);
        }
    }

    #[inline(always)]
    fn push(&mut self, event: &Event, wanted: &Wanted) {
        let code = usize::from(event.kind.code()) % KINDS;
        let time = event.time.micros();
        if wanted.kinds {
            self.counts[code] += 1;
            self.last[code] = time;
            self.interactions += INTERACTION[code];
        }
        if wanted.channels {
            let nowhere = self.channels.len() - 1;
            let channel = event.channel.unwrap_or(nowhere).min(nowhere);
            self.channels[channel][code] += 1;
        }
        if let Some(fading) = &wanted.fading {
            let points = fading.points(event);
            if points > 0.0 {
                self.points = points + self.points(fading, time);
                self.points_at = time;
            }
        }
        if wanted.purchases && event.kind.is_money() {
            self.purchases.push(event);
            if wanted.lines && event.kind == EventKind::Purchase {
                self.lines.push(event.value);
            }
        }
    }

    /// How many events of a kind there were.
    #[inline]
    pub(super) fn count(&self, kind: EventKind) -> u32 {
        self.counts[usize::from(kind.code()) % KINDS]
    }

    /// When an event of a kind last occurred.
    #[inline]
    pub(super) fn last(&self, kind: EventKind) -> Option<i64> {
        (self.count(kind) > 0).then_some(self.last[usize::from(kind.code()) % KINDS])
    }

    /// When an event of any of these kinds last occurred; bit *c* is set for the kind of code *c*.
    #[inline]
    pub(super) fn last_of(&self, kinds: u32) -> Option<i64> {
        let mut latest = i64::MIN;
        for (code, (count, last)) in self.counts.iter().zip(&self.last).enumerate() {
            if kinds >> code & 1 != 0 && *count > 0 {
                latest = latest.max(*last);
            }
        }
        // No time is as early as that.
        (latest > i64::MIN).then_some(latest)
    }

    /// Bit *c* is set where a kind of code *c* occurred.
    pub(super) fn kinds(&self) -> u32 {
        let bits = self.counts.iter().enumerate();
        bits.fold(0, |all, (code, count)| all | u32::from(*count > 0) << code)
    }

    /// How many events of a kind there were over a channel.
    #[inline]
    pub(super) fn on_channel(&self, channel: usize, kind: EventKind) -> u32 {
        self.channels[channel][usize::from(kind.code()) % KINDS]
    }

    /// Points of activity as they stand at an instant, not before the last event.
    #[inline]
    pub(super) fn points(&self, fading: &Fading, as_of: i64) -> f64 {
        if self.points > 0.0 {
            self.points * fading.since(self.points_at, as_of)
        } else {
            0.0
        }
    }

    /// Money of purchase lines, from one number of lines to another.
    #[inline]
    pub(super) fn money(&self, lines: std::ops::Range<u32>) -> f64 {
        let lines = self.lines.get(lines.start as usize..lines.end as usize);
        lines
            .unwrap_or_default()
            .iter()
            .fold(0.0, |sum, line| sum + line)
    }

    fn mark(&self) -> Mark {
        Mark {
            orders: self.purchases.orders as u32,
            lines: self.purchases.lines as u32,
            views: self.count(EventKind::View),
            interactions: self.interactions,
            messages: self.count(EventKind::MessageSent),
            complaints: self.count(EventKind::Complaint),
        }
    }
}

/// What was counted before an edge of some window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) orders: u32,
    pub(super) lines: u32,
    pub(super) views: u32,
    pub(super) interactions: u32,
    pub(super) messages: u32,
    pub(super) complaints: u32,
}

/// One instant, and the edges of the windows that end there.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub(super) as_of: AsOf,
    own: usize,
    /// Start of each window, and start of the one of equal length before it.
    windows: Vec<[usize; 2]>,
    /// This instant minus 1, 2, 3, 4 months.
    months: [usize; 4],
    /// From where on complaints are recent.
    recent: usize,
}

/// Windows that end at every instant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WindowsWanted<'s> {
    pub(super) days: &'s [u32],
    /// Whether the windows before them matter too.
    pub(super) before: bool,
    pub(super) months: bool,
    pub(super) complaints_days: Option<u32>,
}

/// Every instant and every edge of a window, in order of time.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    edges: Vec<i64>,
    /// Ascending.
    cuts: Vec<Cut>,
}

impl Timeline {
    /// For instants that ascend and differ.
    pub(super) fn new(instants: &[AsOf], wanted: WindowsWanted<'_>) -> Self {
        let mut edges = Vec::new();
        // First with times in place of positions, which are known once all edges are.
        let mut times = Vec::new();
        for as_of in instants {
            let end = as_of.instant().micros();
            let back = |days: i64| end.saturating_sub(days * MICROS_PER_DAY);
            let windows: Vec<[i64; 2]> = wanted
                .days
                .iter()
                .map(|days| {
                    let start = back(i64::from(*days));
                    let before = match wanted.before {
                        true => back(2 * i64::from(*days)),
                        false => start,
                    };
                    [start, before]
                })
                .collect();
            let months = [1, 2, 3, 4].map(|n| match wanted.months {
                true => as_of.instant().minus_months(n).micros(),
                false => end,
            });
            let recent = wanted
                .complaints_days
                .map_or(end, |days| back(i64::from(days)));
            edges.extend([end, recent]);
            edges.extend(windows.iter().flatten());
            edges.extend(months);
            times.push((*as_of, windows, months, recent));
        }
        edges.sort_unstable();
        edges.dedup();
        let place = |time: &i64| edges.partition_point(|edge| edge < time);
        let cuts = times.iter().map(|(as_of, windows, months, recent)| Cut {
            as_of: *as_of,
            own: place(&as_of.instant().micros()),
            windows: windows
                .iter()
                .map(|w| [place(&w[0]), place(&w[1])])
                .collect(),
            months: months.map(|month| place(&month)),
            recent: place(recent),
        });
        let cuts = cuts.collect();
        Timeline { edges, cuts }
    }
}

/// A customer at an instant.
pub(super) struct Sight<'w> {
    pub(super) state: &'w State,
    cut: &'w Cut,
    marks: &'w [Mark],
}

impl Sight<'_> {
    /// The instant in microseconds.
    #[inline]
    pub(super) fn as_of(&self) -> i64 {
        self.cut.as_of.instant().micros()
    }

    /// What was counted before the window, before the one before it, and by now.
    #[inline]
    pub(super) fn windows(&self) -> impl Iterator<Item = (Mark, Mark, Mark)> {
        let now = self.marks[self.cut.own];
        let edges = self.cut.windows.iter();
        edges.map(move |[start, before]| (self.marks[*before], self.marks[*start], now))
    }

    /// Purchase lines in each of the last four months, the last one first.
    pub(super) fn lines_by_month(&self) -> [u32; 4] {
        let mut end = self.marks[self.cut.own].lines;
        self.cut.months.map(|month| {
            let start = self.marks[month].lines;
            let lines = end - start;
            end = start;
            lines
        })
    }

    pub(super) fn recent_complaints(&self) -> u32 {
        self.marks[self.cut.own].complaints - self.marks[self.cut.recent].complaints
    }
}

/// Working memory of one thread for one customer after another.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    state: State,
    /// What was counted before each edge, as far as the pass has come.
    marks: Vec<Mark>,
}

impl Sweep {
    pub(super) fn new(timeline: &Timeline, channels: usize) -> Self {
        Sweep {
            state: State::new(channels),
            marks: vec![Mark::default(); timeline.edges.len()],
        }
    }

    /// Passes over the events of one customer, all of them before the last instant, and shows the
    /// customer as of each instant that some event precedes.
    #[inline]
    pub(super) fn run(
        &mut self,
        timeline: &Timeline,
        wanted: &Wanted,
        mut events: impl Iterator<Item = Event>,
        mut show: impl FnMut(usize, Sight<'_>) -> Result<()>,
    ) -> Result<()> {
        let Timeline { edges, cuts } = timeline;
        self.state.reset(wanted);
        let mut mark = Mark::default();
        let mut seen = false;
        let mut cut = 0;
        let mut next = events.next();
        for (edge, time) in edges.iter().enumerate() {
            let mut moved = false;
            while let Some(event) = next
                && event.time.micros() < *time
            {
                self.state.push(&event, wanted);
                next = events.next();
                moved = true;
            }
            if moved {
                mark = self.state.mark();
                seen = true;
            }
            self.marks[edge] = mark;
            if cuts[cut].own == edge {
                if seen {
                    let sight = Sight {
                        state: &self.state,
                        cut: &cuts[cut],
                        marks: &self.marks,
                    };
                    show(cut, sight)?;
                }
                cut += 1;
            }
        }
        Ok(())
    }
}
