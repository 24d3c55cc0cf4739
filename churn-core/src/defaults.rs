//! The default settings of every step, to read, to copy and to adapt.

use serde::Serialize;

use crate::behavior::{LifecycleSettings, RetentionSettings, StickinessSettings};
use crate::error::{Error, Result};
#[cfg(feature = "csv")]
use crate::events::CsvOptions;
use crate::events::{Cleaning, ColumnNames, StreamSettings};
use crate::features::{FeatureSpec, SummarySettings};
use crate::journey::{ContactPolicy, Journey, LearningSettings};
use crate::metrics::{Bootstrap, ProfitSettings};
use crate::scoring::Scorecard;
use crate::scoring::learned::{ChurnModelSettings, TrainingSettings};
use crate::scoring::lifetime::{
    BetaGeometric, BgBb, CustomerValue, GammaGamma, Lifetime, LifetimeScoring,
};
use crate::scoring::survival::{CoxPh, KaplanMeier, NelsonAalen, WeibullAft};
use crate::segments::{Grid, RiskTiers};
use crate::settings;
use crate::simulate::Shop;
use crate::strategy::{OptimizeSettings, Playbook};
use crate::winback::{JourneySettings, WinBackSettings};

/// The names that [`json`] knows; each is the name that errors about these settings begin with.
pub const NAMES: &[&str] = &[
    "cleaning",
    "names",
    #[cfg(feature = "csv")]
    "csv",
    "stream",
    "features",
    "summary",
    "scorecard",
    "risk_tiers",
    "grid",
    "playbook",
    "optimize",
    "journey",
    "policy",
    "learning",
    "journeys",
    "winback",
    "training",
    "model",
    "profit",
    "bootstrap",
    "shop",
    "lifetime",
    "lifetime_scoring",
    "gamma_gamma",
    "value",
    "bg_bb",
    "beta_geometric",
    "kaplan_meier",
    "nelson_aalen",
    "cox",
    "weibull_aft",
    "retention",
    "lifecycle_over_time",
    "stickiness",
];

/// The default settings of one name as JSON, which reads back as equal settings.
///
/// # Errors
/// `UnknownName` for a name that is not in [`NAMES`].
///
/// # Example
/// ```
/// let json = churn_core::defaults::json("risk_tiers")?;
/// assert_eq!(json, "{\n  \"medium\": 0.33,\n  \"high\": 0.66\n}");
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn json(name: &str) -> Result<String> {
    match name {
        "cleaning" => text(name, &Cleaning::default()),
        "names" => text(name, &ColumnNames::default()),
        #[cfg(feature = "csv")]
        "csv" => text(name, &CsvOptions::default()),
        "stream" => text(name, &StreamSettings::default()),
        "features" => text(name, &FeatureSpec::default()),
        "summary" => text(name, &SummarySettings::default()),
        "scorecard" => text(name, &Scorecard::default()),
        "risk_tiers" => text(name, &RiskTiers::default()),
        "grid" => text(name, &Grid::default()),
        "playbook" => {
            let playbook: Playbook = settings::from_toml(name, Playbook::DEFAULT_TOML)?;
            text(name, &playbook)
        }
        "optimize" => text(name, &OptimizeSettings::default()),
        "journey" => {
            let journey: Journey = settings::from_toml(name, Journey::DEFAULT_TOML)?;
            text(name, &journey)
        }
        "policy" => {
            let policy: ContactPolicy = settings::from_toml(name, ContactPolicy::DEFAULT_TOML)?;
            text(name, &policy)
        }
        "learning" => text(name, &LearningSettings::default()),
        "journeys" => text(name, &JourneySettings::default()),
        "winback" => text(name, &WinBackSettings::default()),
        "training" => text(name, &TrainingSettings::default()),
        "model" => text(name, &ChurnModelSettings::default()),
        "profit" => text(name, &ProfitSettings::default()),
        "bootstrap" => text(name, &Bootstrap::default()),
        "shop" => text(name, &Shop::default()),
        "lifetime" => text(name, &Lifetime::default()),
        "lifetime_scoring" => text(name, &LifetimeScoring::default()),
        "gamma_gamma" => text(name, &GammaGamma::default()),
        "value" => text(name, &CustomerValue::default()),
        "bg_bb" => text(name, &BgBb::default()),
        "beta_geometric" => text(name, &BetaGeometric::default()),
        "kaplan_meier" => text(name, &KaplanMeier::default()),
        "nelson_aalen" => text(name, &NelsonAalen::default()),
        "cox" => text(name, &CoxPh::default()),
        "weibull_aft" => text(name, &WeibullAft::default()),
        "retention" => text(name, &RetentionSettings::default()),
        "lifecycle_over_time" => text(name, &LifecycleSettings::default()),
        "stickiness" => text(name, &StickinessSettings::default()),
        _ => Err(Error::unknown_name("defaults", name, NAMES)),
    }
}

fn text<T: Serialize>(name: &str, settings: &T) -> Result<String> {
    serde_json::to_string_pretty(settings)
        .map_err(|error| Error::invalid_parameter(name, "settings that JSON holds", error))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    fn reads_back<T: DeserializeOwned + Serialize>(name: &str) {
        let written = json(name).unwrap();
        let settings: T = settings::from_json(name, &written).unwrap();
        assert_eq!(text(name, &settings).unwrap(), written, "{name}");
    }

    #[test]
    fn all_names_are_known_and_read_back() {
        reads_back::<Cleaning>("cleaning");
        reads_back::<ColumnNames>("names");
        #[cfg(feature = "csv")]
        reads_back::<CsvOptions>("csv");
        reads_back::<StreamSettings>("stream");
        reads_back::<FeatureSpec>("features");
        reads_back::<SummarySettings>("summary");
        reads_back::<Scorecard>("scorecard");
        reads_back::<RiskTiers>("risk_tiers");
        reads_back::<Grid>("grid");
        reads_back::<Playbook>("playbook");
        reads_back::<OptimizeSettings>("optimize");
        reads_back::<Journey>("journey");
        reads_back::<ContactPolicy>("policy");
        reads_back::<LearningSettings>("learning");
        reads_back::<JourneySettings>("journeys");
        reads_back::<WinBackSettings>("winback");
        reads_back::<TrainingSettings>("training");
        reads_back::<ChurnModelSettings>("model");
        reads_back::<ProfitSettings>("profit");
        reads_back::<Bootstrap>("bootstrap");
        reads_back::<Shop>("shop");
        reads_back::<Lifetime>("lifetime");
        reads_back::<LifetimeScoring>("lifetime_scoring");
        reads_back::<GammaGamma>("gamma_gamma");
        reads_back::<CustomerValue>("value");
        reads_back::<BgBb>("bg_bb");
        reads_back::<BetaGeometric>("beta_geometric");
        reads_back::<KaplanMeier>("kaplan_meier");
        reads_back::<NelsonAalen>("nelson_aalen");
        reads_back::<CoxPh>("cox");
        reads_back::<WeibullAft>("weibull_aft");
        reads_back::<RetentionSettings>("retention");
        reads_back::<LifecycleSettings>("lifecycle_over_time");
        reads_back::<StickinessSettings>("stickiness");
        for name in NAMES {
            assert!(json(name).is_ok(), "{name}");
        }
        assert_eq!(json("card").unwrap_err().what(), "defaults");
    }

    #[test]
    fn the_whole_flow_has_the_defaults_of_its_steps() {
        let read = |name: &str| -> Value { serde_json::from_str(&json(name).unwrap()).unwrap() };
        let whole = read("winback");
        for step in ["features", "scorecard", "risk_tiers", "grid"] {
            assert_eq!(whole[step], read(step), "{step}");
        }
        assert_eq!(whole["playbook"], "default");
        assert_eq!(whole.as_object().unwrap().len(), 5);
    }
}
