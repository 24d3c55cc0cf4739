//! Replays `golden/learned/*.json`, the numbers of measures and learned models that all languages
//! agree on; see `golden/README.md`.

mod replay;

use std::collections::BTreeSet;

use churn_core::metrics::{self, Binning, BrierParts, Confusion, ProfitSettings, ReliabilityCurve};
use churn_core::progress::Progress;
use churn_core::scoring::learned::{
    Calibration, ChurnModel, ChurnModelSettings, Column, Frame, Logistic, MISSING_LEVEL,
};
use churn_core::{Result, settings};
use serde_json::{Map, Value, json};

use replay::{difference, replay};

/// Every operation that a golden file may name, each of which some file must name.
const OPERATIONS: [&str; 6] = [
    "learned.calibration",
    "learned.logistic",
    "learned.model",
    "learned.saved",
    "metrics.drift",
    "metrics.measures",
];

fn answer(operation: &str, inputs: &Inputs) -> Result<Value> {
    match operation {
        "metrics.measures" => measures(inputs),
        "metrics.drift" => {
            let (expected, actual) = (
                inputs.floats("expected_values"),
                inputs.floats("actual_values"),
            );
            Ok(json!({
                "psi": metrics::psi(&expected, &actual, inputs.count("bins"))?,
                "kolmogorov_smirnov": metrics::kolmogorov_smirnov(&expected, &actual)?,
            }))
        }
        "learned.logistic" => logistic(inputs),
        "learned.model" => {
            let settings: ChurnModelSettings =
                settings::from_json("model", &inputs.field("settings").to_string())?;
            let frame = inputs.frame()?;
            let (target, weights) = (inputs.floats("target"), inputs.weights());
            let model = settings.fit(&frame, &target, weights.as_deref(), &Progress::none())?;
            told(&ChurnModel::from_bytes(&model.to_bytes()?)?, &frame)
        }
        "learned.saved" => {
            let bytes = hex(inputs.field("model").as_str().unwrap());
            told(&ChurnModel::from_bytes(&bytes)?, &inputs.frame()?)
        }
        "learned.calibration" => {
            let kind: Calibration =
                serde_json::from_value(inputs.field("calibration").clone()).unwrap();
            let weights = inputs.weights();
            let (margins, labels) = (inputs.floats("margins"), inputs.floats("labels"));
            let calibrator = kind.fit(&margins, &labels, weights.as_deref())?;
            let at = inputs.floats("at");
            let probabilities = at.iter().map(|margin| calibrator.probability(*margin));
            Ok(json!({"probabilities": probabilities.collect::<Vec<f64>>()}))
        }
        _ => panic!("no handler for the operation {operation:?}"),
    }
}

fn measures(inputs: &Inputs) -> Result<Value> {
    let (labels, p) = (inputs.floats("labels"), inputs.floats("probabilities"));
    let weights = inputs
        .0
        .contains_key("weights")
        .then(|| inputs.floats("weights"));
    let (y, p, w) = (labels.as_slice(), p.as_slice(), weights.as_deref());
    let (bins, share) = (inputs.count("bins"), inputs.float("share"));
    let uniform = Binning::Uniform(bins);
    let parts = BrierParts::new(y, p, w, uniform)?;
    let curve = ReliabilityCurve::new(y, p, w, uniform)?;
    let at = Confusion::at(y, p, inputs.float("threshold"), w)?;
    let ece = |binning| metrics::expected_calibration_error(y, p, w, binning);
    let mut answer = json!({
        "roc_auc": metrics::roc_auc(y, p, w)?,
        "average_precision": metrics::average_precision(y, p, w)?,
        "pr_auc": metrics::pr_auc(y, p, w)?,
        "class_separation": metrics::class_separation(y, p, w)?,
        "capture": metrics::capture_at(y, p, share, w)?,
        "lift": metrics::lift_at(y, p, share, w)?,
        "log_loss": metrics::log_loss(y, p, w)?,
        "brier": metrics::brier(y, p, w)?,
        "brier_parts": [parts.reliability, parts.resolution, parts.uncertainty, parts.within_bins],
        "calibration_error_uniform": ece(uniform)?,
        "calibration_error_quantile": ece(Binning::Quantile(bins))?,
        "reliability": {
            "predicted": curve.predicted, "observed": curve.observed, "weight": curve.weight,
        },
        "confusion": [at.true_positives, at.false_positives, at.true_negatives, at.false_negatives],
        "precision": at.precision(),
        "recall": at.recall(),
        "f1": at.f1(),
        "mcc": at.mcc(),
        "accuracy": at.accuracy(),
    });
    if w.is_none() {
        let settings = ProfitSettings::default();
        let (expected, known) = (
            metrics::empc(y, p, w, &settings)?,
            metrics::mpc(y, p, w, &settings)?,
        );
        answer["empc"] = expected.profit_per_customer.into();
        answer["empc_share"] = expected.target_share.into();
        answer["mpc"] = known.profit_per_customer.into();
        answer["mpc_share"] = known.target_share.into();
    }
    Ok(answer)
}

/// What a model says of some rows.
fn told(model: &ChurnModel, frame: &Frame<'_>) -> Result<Value> {
    let told = model.explain(frame)?;
    let rows = told.probabilities.len();
    let points = told.names.iter().zip(told.points.chunks(rows));
    let points: Map<String, Value> = points.map(|(n, p)| (n.clone(), json!(p))).collect();
    Ok(json!({
        "probabilities": told.probabilities,
        "base_points": told.base_points,
        "points": points,
        "roc_auc": model.out_of_fold().roc_auc,
        "log_loss": model.out_of_fold().log_loss,
    }))
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn logistic(inputs: &Inputs) -> Result<Value> {
    let settings: Logistic =
        settings::from_json("logistic", &inputs.field("settings").to_string())?;
    let frame = inputs.frame()?;
    let (target, weights) = (inputs.floats("target"), inputs.weights());
    let groups = inputs
        .0
        .contains_key("groups")
        .then(|| inputs.floats("groups"));
    let groups: Option<Vec<u32>> = groups.map(|g| g.iter().map(|g| *g as u32).collect());
    let model = settings.fit_clustered(
        &frame,
        &target,
        weights.as_deref(),
        groups.as_deref(),
        &Progress::none(),
    )?;
    let coefficients: Map<String, Value> = model
        .coefficients()
        .into_iter()
        .map(|(term, value)| (term, value.into()))
        .collect();
    let mut answer = json!({
        "coefficients": coefficients,
        "probabilities": model.predict(&frame)?[..10],
    });
    if settings.l1 == 0.0 && settings.l2 == 0.0 {
        let effects = model.effects(0.95)?.into_iter();
        let errors: Map<String, Value> =
            effects.map(|e| (e.term, e.standard_error.into())).collect();
        answer["standard_errors"] = errors.into();
    }
    Ok(answer)
}

struct Inputs(Map<String, Value>);

impl Inputs {
    fn field(&self, name: &str) -> &Value {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no input {name:?}"))
    }

    fn float(&self, name: &str) -> f64 {
        self.field(name).as_f64().unwrap()
    }

    fn count(&self, name: &str) -> usize {
        self.field(name).as_u64().unwrap() as usize
    }

    fn weights(&self) -> Option<Vec<f64>> {
        self.0
            .contains_key("weights")
            .then(|| self.floats("weights"))
    }

    /// Columns of numbers or of texts, null = missing.
    fn frame(&self) -> Result<Frame<'static>> {
        let columns = self.field("columns").as_object().unwrap().iter();
        let columns = columns.map(|(name, cells)| {
            let cells = cells.as_array().unwrap();
            let texts: BTreeSet<&str> = cells.iter().filter_map(Value::as_str).collect();
            let levels: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let column = if levels.is_empty() {
                let number = |cell: &Value| cell.as_f64().unwrap_or(f64::NAN);
                Column::Numeric(cells.iter().map(number).collect::<Vec<_>>().into())
            } else {
                let code = |cell: &Value| match cell.as_str() {
                    None => MISSING_LEVEL,
                    Some(text) => levels.iter().position(|l| l == text).unwrap() as u32,
                };
                Column::Categorical {
                    codes: cells.iter().map(code).collect::<Vec<_>>().into(),
                    levels: levels.into(),
                }
            };
            (name.clone(), column)
        });
        Frame::new(columns.collect())
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        let cells = self.field(name).as_array().unwrap().iter();
        cells
            .map(|cell| match cell {
                Value::String(text) => text.parse().expect("NaN, inf or -inf"),
                Value::Null => f64::NAN,
                _ => cell.as_f64().unwrap(),
            })
            .collect()
    }
}

#[test]
fn all_golden_files_hold() {
    let told = |operation: &str, inputs| {
        // A refusal is an answer, too.
        let got = answer(operation, &Inputs(inputs));
        Ok(got.unwrap_or_else(|error| json!({"error": error.to_string()})))
    };
    replay(&["learned", "learned/core"], &OPERATIONS, told, |_| {
        difference
    });
}
