//! What a build computes, decided once from the spec.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::events::Keep;
use crate::features::needs::Need;
use crate::features::population::{Parts, Population};
use crate::features::sweep::Gather;
use crate::features::{FeatureInfo, FeatureSpec};
use crate::features::{activity, feedback, lifecycle, rfm, rhythm, touchpoints, windows};

/// Places in a customer's row of all features.
pub(super) type Slots = Range<usize>;

/// Where each family stands in the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) rfm: Slots,
    pub(super) rhythm: Slots,
    pub(super) windows: Slots,
    pub(super) activity: Slots,
    pub(super) touchpoints: Slots,
    pub(super) feedback: Slots,
    pub(super) lifecycle: Slots,
    pub(super) custom: Slots,
}

impl Layout {
    fn new(spec: &FeatureSpec, channels: usize) -> Self {
        let mut end = 0;
        let mut next = |count: usize| {
            let start = end;
            end += count;
            start..end
        };
        Layout {
            rfm: next(rfm::COUNT),
            rhythm: next(rhythm::COUNT),
            windows: next(windows::count(&spec.windows_days)),
            activity: next(activity::COUNT),
            touchpoints: next(touchpoints::count(channels)),
            feedback: next(feedback::COUNT),
            lifecycle: next(lifecycle::COUNT),
            custom: next(spec.custom.len()),
        }
    }
}

/// What a build computes.
pub(in crate::features) struct Plan {
    pub(super) spec: FeatureSpec,
    pub(super) channels: usize,
    pub(super) layout: Layout,
    pub(super) infos: Vec<FeatureInfo>,
    /// Place in the layout of each column.
    pub(super) slots: Vec<usize>,
    /// All columns and their places, those that the customer's own past says, and those that stand
    /// beside the population.
    pub(super) places: Vec<(usize, usize)>,
    pub(super) own: Vec<(usize, usize)>,
    pub(super) beside: Vec<(usize, usize)>,
    pub(super) wants: Wants,
    /// Positions of the windows of which something is wanted.
    pub(super) windows: Vec<usize>,
    /// What the pass over the events gathers.
    pub(super) gather: Gather,
    /// The parts of a population that are read.
    parts: Parts,
    /// What each column reads, and all of them together.
    needs: Vec<Need>,
    need: Keep,
}

/// The halves of families that somebody asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    pub(super) rfm: bool,
    pub(super) scores: bool,
    pub(super) own_rhythm: bool,
    pub(super) rhythm: bool,
    pub(super) windows: bool,
    pub(super) own_activity: bool,
    pub(super) activity: bool,
    pub(super) own_touchpoints: bool,
    pub(super) rates: bool,
    pub(super) feedback: bool,
    pub(super) lifecycle: bool,
}

impl Wants {
    fn new(layout: &Layout, own: &[(usize, usize)], beside: &[(usize, usize)]) -> Self {
        let any = |places: &[(usize, usize)], family: &Slots| {
            places.iter().any(|(_, slot)| family.contains(slot))
        };
        Wants {
            rfm: any(own, &layout.rfm),
            scores: any(beside, &layout.rfm),
            own_rhythm: any(own, &layout.rhythm),
            rhythm: any(beside, &layout.rhythm),
            windows: any(own, &layout.windows),
            own_activity: any(own, &layout.activity),
            activity: any(beside, &layout.activity),
            own_touchpoints: any(own, &layout.touchpoints),
            rates: any(beside, &layout.touchpoints),
            feedback: any(own, &layout.feedback),
            lifecycle: any(beside, &layout.lifecycle),
        }
    }
}

impl Plan {
    pub(in crate::features) fn new(spec: &FeatureSpec, channels: &[String]) -> Result<Self> {
        let mut catalogue: Vec<Option<FeatureInfo>> =
            spec.catalogue(channels)?.into_iter().map(Some).collect();
        let slots = spec.slots(&catalogue)?;
        let infos = slots.iter().filter_map(|slot| catalogue[*slot].take());
        let layout = Layout::new(spec, channels.len());
        let needs = spec.catalogue_needs(channels.len());
        let needs: Vec<Need> = slots.iter().map(|slot| needs[*slot].clone()).collect();
        let places: Vec<(usize, usize)> = slots.iter().copied().enumerate().collect();
        let (own, beside): (Vec<_>, Vec<_>) = places
            .iter()
            .partition(|(column, _)| needs[*column].parts().is_none());
        let in_windows = |place| slots.contains(&(layout.windows.start + place));
        Ok(Plan {
            spec: spec.clone(),
            channels: channels.len(),
            infos: infos.collect(),
            wants: Wants::new(&layout, &own, &beside),
            windows: windows::wanted(spec.windows_days.len(), in_windows),
            gather: needs
                .iter()
                .fold(Gather::NOTHING, |all, need| all.with(need.gather())),
            parts: needs
                .iter()
                .fold(Parts::NONE, |all, need| all.with(need.parts())),
            need: Need::together(&needs),
            places,
            own,
            beside,
            needs,
            slots,
            layout,
        })
    }

    /// The plan, if the log keeps what it needs.
    pub(in crate::features) fn checked(self, keep: &Keep) -> Result<Self> {
        self.check_keep(keep)?;
        Ok(self)
    }

    /// Confirms that what keeps `keep` has something to say about every column.
    pub(super) fn check_keep(&self, keep: &Keep) -> Result<()> {
        if keep.is_everything() || keep.check_for(&self.need, "").is_ok() {
            return Ok(());
        }
        let columns = self.infos.iter().zip(&self.needs);
        columns
            .map(|(info, need)| (format!("features.{}", info.name), need))
            .try_for_each(|(what, need)| keep.check_for(need.keep(), &what))
    }

    /// Confirms that a population fits the plan.
    pub(in crate::features) fn check_population(&self, population: &Population) -> Result<()> {
        population.check_for(&self.spec)?;
        self.check_keep(population.keep())?;
        for (info, need) in self.infos.iter().zip(&self.needs) {
            if let Some(part) = need.parts().missing_in(population.parts()) {
                return Err(Error::invalid_parameter(
                    "population",
                    format_args!(
                        "one that learned {}, for features.{}",
                        part.name(),
                        info.name
                    ),
                    "one learned for other features",
                ));
            }
        }
        Ok(())
    }

    /// What the columns mean.
    pub(in crate::features) fn into_infos(self) -> Vec<FeatureInfo> {
        self.infos
    }

    /// The parts of a population that the wanted features read.
    pub(in crate::features) fn parts(&self) -> Parts {
        self.parts
    }
}
