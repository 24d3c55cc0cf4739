//! One customer's features: what the own past says, and what stands beside the population.

use std::sync::Arc;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::events::CustomerHistory;
use crate::features::activity::Fading;
use crate::features::block::{Column, Out, WIDTH};
use crate::features::population::{Part, Population};
use crate::features::rhythm::{Rhythm, RhythmModel};
use crate::features::standing::{Standing, Standings};
use crate::features::sweep::{Gather, Sight, Timeline, Wanted, WindowsWanted};
use crate::features::touchpoints::Reach;
use crate::features::{CustomFeature, FeatureInfo, RfmCuts};
use crate::features::{activity, feedback, lifecycle, rfm, rhythm, touchpoints, windows};
use crate::time::AsOf;

/// What all threads share while they pass over the events.
pub(super) struct Passage {
    pub(super) timeline: Timeline,
    pub(super) wanted: Wanted,
    custom: Vec<(usize, Arc<dyn CustomFeature>, FeatureInfo)>,
}

impl Passage {
    /// Gathers what the plan needs, and `more`.
    pub(super) fn new(instants: &[AsOf], plan: &Plan, more: Gather) -> Self {
        let (spec, gather) = (&plan.spec, plan.gather.with(more));
        let days: Vec<u32> = plan
            .windows
            .iter()
            .map(|window| spec.windows_days[*window])
            .collect();
        let windows = WindowsWanted {
            days: &days,
            before: gather.has(Gather::BEFORE),
            months: gather.has(Gather::MONTHS),
            complaints_days: gather
                .has(Gather::RECENT)
                .then_some(spec.feedback.complaints_days),
        };
        let fading = gather
            .has(Gather::POINTS)
            .then(|| Fading::new(&spec.activity));
        let custom = spec.custom.iter().zip(plan.layout.custom.clone());
        Passage {
            timeline: Timeline::new(instants, windows),
            wanted: Wanted::new(gather, fading),
            custom: custom
                .filter(|(_, slot)| plan.slots.contains(slot))
                .map(|(feature, slot)| (slot, Arc::clone(feature), feature.info()))
                .collect(),
        }
    }

    /// Keeps what the features beside the population need to know of a customer.
    #[inline]
    pub(super) fn keep(&self, plan: &Plan, sight: &Sight<'_>, standings: &mut Standings) {
        standings.push(sight, self.wanted.fading(), plan.kept_channels());
    }

    /// Writes what stands beside the population at once, for one that is known; `reach` is room
    /// for channels.
    #[inline]
    pub(super) fn beside(
        &self,
        plan: &Plan,
        instant: &Instant,
        sight: &Sight<'_>,
        reach: &mut Vec<Reach>,
        block: &mut [Column],
        at: usize,
    ) {
        let standing = Standing::of(sight, self.wanted.fading());
        reach.clear();
        reach.extend(Reach::on(sight.state, plan.kept_channels()));
        beside(plan, instant, (&standing, reach), block, at);
    }

    /// Writes features of the caller's own; `row` is told where a value is wrong.
    #[inline]
    pub(super) fn custom<'l>(
        &self,
        past: impl Fn() -> CustomerHistory<'l>,
        row: usize,
        block: &mut [Column],
        at: usize,
    ) -> Result<()> {
        for (slot, feature, info) in &self.custom {
            let value = feature.value(&past());
            check_custom(info, value, row)?;
            block[*slot][at % WIDTH] = value;
        }
        Ok(())
    }
}

impl Plan {
    /// How many channels a standing has to tell about.
    pub(super) fn kept_channels(&self) -> usize {
        match self.wants.rates {
            true => self.channels,
            false => 0,
        }
    }

    /// Room for all features of the customers of a block.
    pub(super) fn block(&self) -> Vec<Column> {
        vec![[0.0; WIDTH]; self.layout.custom.end]
    }
}

/// What all customers taught, ready to be asked.
pub(super) struct Instant {
    as_of: i64,
    cuts: RfmCuts,
    model: Option<RhythmModel>,
    channel_means: Vec<f64>,
    records_browsing: bool,
}

impl Instant {
    pub(super) fn new(
        as_of: AsOf,
        plan: &Plan,
        channels: &[String],
        population: &Population,
    ) -> Self {
        let prior = population
            .gap_prior()
            .filter(|_| plan.parts().has(Part::Gaps));
        let with_clock = plan.parts().has(Part::Clock);
        let means = channels
            .iter()
            .map(|name| population.channel_mean(name).unwrap_or(f64::NAN));
        Instant {
            as_of: as_of.instant().micros(),
            cuts: population.rfm_cuts().clone(),
            model: prior.map(|prior| RhythmModel::new(prior, &plan.spec.rhythm, with_clock)),
            channel_means: means.collect(),
            records_browsing: population.records_browsing(),
        }
    }
}

/// Writes what a customer's own past says into its place in a block.
#[inline]
pub(super) fn own(plan: &Plan, sight: &Sight<'_>, block: &mut [Column], at: usize) {
    let (layout, wants) = (&plan.layout, &plan.wants);
    if wants.rfm {
        rfm::own(sight, &mut Out::new(&mut block[layout.rfm.clone()], at));
    }
    if wants.own_rhythm {
        rhythm::own(sight, &mut Out::new(&mut block[layout.rhythm.clone()], at));
    }
    if wants.windows {
        let out = &mut Out::new(&mut block[layout.windows.clone()], at);
        windows::own(sight, &plan.windows, out);
    }
    if wants.own_activity {
        activity::own(
            sight,
            &mut Out::new(&mut block[layout.activity.clone()], at),
        );
    }
    if wants.own_touchpoints {
        let out = &mut Out::new(&mut block[layout.touchpoints.clone()], at);
        touchpoints::own(sight, plan.channels, plan.gather.has(Gather::CHANNELS), out);
    }
    if wants.feedback {
        feedback::own(
            sight,
            &mut Out::new(&mut block[layout.feedback.clone()], at),
        );
    }
}

/// Writes what stands beside the population.
#[inline]
pub(super) fn beside(
    plan: &Plan,
    instant: &Instant,
    (customer, reach): (&Standing, &[Reach]),
    block: &mut [Column],
    at: usize,
) {
    let (spec, layout, wants) = (&plan.spec, &plan.layout, &plan.wants);
    let as_of = instant.as_of;
    if wants.scores {
        let out = &mut Out::new(&mut block[layout.rfm.clone()], at);
        rfm::beside(customer, &instant.cuts, as_of, out);
    }
    if wants.rhythm || wants.lifecycle {
        let model = instant.model.as_ref();
        let rhythm = model.and_then(|model| Rhythm::of(customer, model, as_of));
        if wants.rhythm {
            let out = &mut Out::new(&mut block[layout.rhythm.clone()], at);
            rhythm::beside(customer, model, rhythm.as_ref(), out);
        }
        if wants.lifecycle {
            let out = &mut Out::new(&mut block[layout.lifecycle.clone()], at);
            lifecycle::beside(
                customer,
                &spec.lifecycle,
                rhythm.as_ref(),
                model,
                as_of,
                out,
            );
        }
    }
    if wants.activity {
        let out = &mut Out::new(&mut block[layout.activity.clone()], at);
        activity::beside(customer, &spec.activity, instant.records_browsing, out);
    }
    if wants.rates {
        let out = &mut Out::new(&mut block[layout.touchpoints.clone()], at);
        touchpoints::beside(reach, &spec.touchpoints, &instant.channel_means, out);
    }
}

fn check_custom(info: &FeatureInfo, value: f64, row: usize) -> Result<()> {
    let inside = info.min.is_none_or(|min| value >= min) && info.max.is_none_or(|max| value <= max);
    if value.is_finite() && inside || value.is_nan() && !info.undefined.is_empty() {
        return Ok(());
    }
    let expected = match (value.is_finite(), info.min, info.max) {
        (true, Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (true, Some(min), None) => format!("a number from {min} on"),
        (true, None, Some(max)) => format!("a number up to {max}"),
        _ => "a finite number".to_owned(),
    };
    Err(Error::invalid_value(
        format!("features.{}", info.name),
        row,
        expected,
        value,
    ))
}
