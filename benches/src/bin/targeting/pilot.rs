//! A randomised pilot a quarter earlier, and what the three ways of learning make of it.

use churn_core::evaluation::UpliftCalibration;
use churn_core::evaluation::experiment::{Arms, ComparisonSettings, Outcome, compare};
use churn_core::features::{FeatureSpec, FeatureTable, LIFECYCLE_STAGES, build};
use churn_core::progress::Progress;
use churn_core::scoring::learned::Frame;
use churn_core::scoring::uplift::{Uplift, UpliftData};
use churn_core::segments::{Segments, lifecycle};
use churn_core::simulate::{CustomerTruth, Persuasion};
use churn_core::strategy::{ExperimentEffect, ObservedResponse, SegmentName};
use churn_core::{AsOf, CustomerId, EventLog, Horizon, Result};

use crate::{COUPON, HORIZON_DAYS, NEWS};

/// What the uplift model may look at.
const COLUMNS: [&str; 10] = [
    "days_since_last",
    "orders",
    "value_365d",
    "activity",
    "silence_tail",
    "overdue_p80_days",
    "days_since_last_activity",
    "sms_response_rate",
    "email_response_rate",
    "complaint_rate",
];

/// The actions of the pilot with the channels that it used.
pub(crate) const ARMS: [(&str, &str); 2] = [("coupon", "sms"), ("news", "email")];

/// Who was in which arm, and who stayed.
pub(crate) struct Pilot {
    table: FeatureTable,
    stages: Segments,
    rows: Vec<usize>,
    /// 0 = left alone, 1 = coupon by SMS, 2 = news by e-mail.
    arm: Vec<u32>,
    stayed: Vec<f64>,
}

/// Changes and their standard errors, one per customer.
pub(crate) type Estimates = (Vec<f64>, Vec<f64>);

impl Pilot {
    /// A random share of the customers gets the coupon by SMS, as many the news by e-mail, as many are
    /// watched; who stays within the horizon is drawn from the truth.
    pub(crate) fn run(
        log: &EventLog,
        truth: &[CustomerTruth],
        as_of: AsOf,
        share: f64,
        seed: u64,
    ) -> Result<Self> {
        let horizon = Horizon::days(HORIZON_DAYS)?;
        let earlier = AsOf::new(as_of.instant().plus_days(-f64::from(HORIZON_DAYS)));
        let table = build(&log.history(earlier), &FeatureSpec::default())?;
        let stages = lifecycle(&table)?;
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut rows, mut arms, mut stayed) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..table.len() {
            let arm = (random.uniform() / share) as u32;
            let chance = random.uniform();
            if arm > 2 {
                continue;
            }
            let truth = &truth[id(&table, row) - 1];
            let persuasion = Persuasion::default();
            let at = earlier.instant();
            let stays = persuasion.days_gone(truth, at, horizon).is_none();
            let change = match arm {
                1 => persuasion.change(truth, at, horizon, &[1], COUPON),
                2 => persuasion.change(truth, at, horizon, &[2], NEWS),
                _ => 0.0,
            };
            rows.push(row);
            arms.push(arm);
            stayed.push(f64::from(u8::from(stays || chance < change)));
        }
        Ok(Pilot {
            table,
            stages,
            rows,
            arm: arms,
            stayed,
        })
    }

    /// Members of the pilot in a lifecycle stage.
    fn of_stage(&self, stage: usize) -> Vec<usize> {
        let inside = |i: &usize| self.stages.codes()[self.rows[*i]] as usize == stage;
        (0..self.rows.len()).filter(inside).collect()
    }

    /// Counts by lifecycle stage.
    pub(crate) fn observed(&self) -> Vec<ObservedResponse> {
        let mut observed = Vec::new();
        for (stage, label) in LIFECYCLE_STAGES.iter().enumerate() {
            let members = self.of_stage(stage);
            let count = |arm: u32| {
                let of_arm = members.iter().filter(|i| self.arm[**i] == arm);
                let all = of_arm.clone().count() as u64;
                (
                    all,
                    of_arm.filter(|i| self.stayed[**i] > 0.0).count() as u64,
                )
            };
            let (control, control_stayed) = count(0);
            for (arm, (action, _)) in (1..).zip(ARMS) {
                let (treated, treated_stayed) = count(arm);
                if treated > 0 {
                    observed.push(ObservedResponse {
                        action: action.into(),
                        channels: None,
                        segment: Some(segment(label)),
                        treated,
                        treated_stayed,
                        control,
                        control_stayed,
                    });
                }
            }
        }
        observed
    }

    /// Differences with standard errors by lifecycle stage.
    pub(crate) fn experiments(&self) -> Result<Vec<ExperimentEffect>> {
        let mut experiments = Vec::new();
        for (stage, label) in LIFECYCLE_STAGES.iter().enumerate() {
            let members = self.of_stage(stage);
            let codes: Vec<u32> = members.iter().map(|i| self.arm[*i]).collect();
            if (0..3).any(|arm| codes.iter().filter(|code| **code == arm).count() < 5) {
                continue;
            }
            let stayed: Vec<f64> = members.iter().map(|i| self.stayed[*i]).collect();
            let names = ["nothing", "coupon", "news"].map(str::to_owned).to_vec();
            let arms = Arms::from_codes(names, codes)?;
            let mut settings = ComparisonSettings::default();
            settings.bootstrap.draws = 0;
            let result = compare(&arms, &stayed, Outcome::Binary, &[], &settings)?;
            for effect in &result.effects {
                experiments.push(ExperimentEffect {
                    action: effect.arm.clone(),
                    channels: None,
                    segment: Some(segment(label)),
                    change: effect.difference.value,
                    // Of shares of 0 or 1 the plug-in error is 0: one customer more or less.
                    standard_error: effect
                        .difference
                        .standard_error
                        .max(1.0 / arms.len() as f64),
                });
            }
        }
        Ok(experiments)
    }

    /// Calibrated estimates of each arm for the customers of a later table.
    pub(crate) fn uplift(&self, later: &FeatureTable, seed: u64) -> Result<Vec<Estimates>> {
        let settings = Uplift {
            seed,
            ..Uplift::default()
        };
        let known = self.table.select(&COLUMNS)?;
        let frame = Frame::from_table(&known)?.take(&self.rows);
        let data = UpliftData {
            frame: &frame,
            treatment: &self.arm,
            outcome: &self.stayed,
            propensity: None,
        };
        let held_out = settings.out_of_fold(&data, &Progress::none())?;
        let model = settings.fit(&data, &Progress::none())?;
        let later = later.select(&COLUMNS)?;
        let predicted = model.predict(&Frame::from_table(&later)?)?;
        let one = |arm: usize| {
            let effects = predicted.effect.iter().skip(arm).step_by(ARMS.len());
            let effects: Vec<f64> = effects.copied().collect();
            let calibration = UpliftCalibration::of_model(&held_out, arm)?;
            Ok(calibration.apply(&effects))
        };
        (0..ARMS.len()).map(one).collect()
    }
}

fn segment(label: &str) -> SegmentName {
    SegmentName {
        segmentation: "lifecycle".into(),
        label: label.into(),
    }
}

/// Id of a customer of the shop.
pub(crate) fn id(table: &FeatureTable, row: usize) -> usize {
    match table.customers().get(row) {
        CustomerId::Uint(id) => id as usize,
        CustomerId::Int(id) => id as usize,
        CustomerId::Text(_) => unreachable!("ids of the shop are numbers"),
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
