//! Learned models on real data, against other programs: reads the folder `CHURN_DATA`.

// A skipped test must be loud, or nobody would know.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use churn_core::ErrorKind;
use churn_core::progress::Progress;
use churn_core::scoring::learned::{Column, Frame, Logistic, LogisticModel, MISSING_LEVEL};
use serde::Deserialize;

/// The columns of a file with a header line; a column of which every cell that is not blank is a
/// number is numeric.
fn columns(path: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let Some(folder) = std::env::var_os("CHURN_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: CHURN_DATA is not set, {path} was not read");
        return None;
    };
    let file = flate2::read::GzDecoder::new(File::open(folder.join(path)).unwrap());
    let mut reader = csv::Reader::from_reader(file);
    let names: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in reader.records() {
        for (name, cell) in names.iter().zip(record.unwrap().iter()) {
            columns
                .entry(name.clone())
                .or_default()
                .push(cell.trim().to_owned());
        }
    }
    Some(columns)
}

fn column(cells: &[String]) -> Column<'static> {
    let number = |cell: &String| match cell.as_str() {
        "" => Some(f64::NAN),
        text => text.parse().ok(),
    };
    if let Some(numbers) = cells.iter().map(number).collect::<Option<Vec<f64>>>() {
        return Column::Numeric(numbers.into());
    }
    let mut levels: Vec<String> = cells.iter().filter(|c| !c.is_empty()).cloned().collect();
    levels.sort_unstable();
    levels.dedup();
    let code = |cell: &String| {
        levels
            .binary_search(cell)
            .map_or(MISSING_LEVEL, |i| i as u32)
    };
    Column::Categorical {
        codes: cells.iter().map(code).collect::<Vec<_>>().into(),
        levels: levels.clone().into(),
    }
}

#[derive(Deserialize)]
struct Telco {
    /// scikit-learn, C = 1, standardised numbers, one-hot levels, all columns.
    ridge: BTreeMap<String, f64>,
    /// statsmodels, reference levels, some columns: coefficient and standard error.
    plain: BTreeMap<String, [f64; 2]>,
    plain_columns: Vec<String>,
}

fn fit(
    settings: &Logistic,
    frame: &Frame<'_>,
    target: &[f64],
) -> churn_core::Result<LogisticModel> {
    settings.fit(frame, target, None, &Progress::none())
}

#[test]
fn telco_has_the_coefficients_of_scikit_learn_and_statsmodels() {
    let Some(cells) = columns("telco/telco_churn.csv.gz") else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/learned/data/telco.json");
    let expected: Telco = serde_json::from_reader(File::open(path).unwrap()).unwrap();
    let target: Vec<f64> = cells["Churn"]
        .iter()
        .map(|c| f64::from(u8::from(c == "Yes")))
        .collect();
    let wanted = cells
        .iter()
        .filter(|(name, _)| !["customerID", "Churn"].contains(&name.as_str()));
    let frame = Frame::new(wanted.map(|(n, c)| (n.clone(), column(c))).collect()).unwrap();

    let near = |e: f64, g: f64, what: &str| {
        assert!(
            (e - g).abs() <= 1e-8 * e.abs().max(1.0),
            "{what}: expected {e}, got {g}"
        );
    };
    let model = fit(&Logistic::default(), &frame, &target).unwrap();
    let got: BTreeMap<String, f64> = model.coefficients().into_iter().collect();
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        expected.ridge.keys().collect::<Vec<_>>()
    );
    expected
        .ridge
        .iter()
        .for_each(|(term, e)| near(*e, got[term], term));

    // Without a ridge the whole table has no single answer: "no internet service" stands in seven
    // columns at once. The first term that the others determine is named.
    let bare = Logistic {
        l2: 0.0,
        ..Logistic::default()
    };
    let error = fit(&bare, &frame, &target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConverged);
    let named = ["InternetService = No", "No internet service"];
    assert!(
        named.iter().any(|term| error.got().contains(term)),
        "{error}"
    );

    let frame = frame.select(&expected.plain_columns).unwrap();
    let effects = fit(&bare, &frame, &target).unwrap().effects(0.95).unwrap();
    assert_eq!(effects.len(), expected.plain.len());
    for effect in effects {
        let [coefficient, error] = expected.plain[&effect.term];
        near(coefficient, effect.coefficient, &effect.term);
        near(error, effect.standard_error, &effect.term);
    }
}
