//! Replays `golden/trees/contributions.json`: trees that LightGBM grew answer and explain themselves
//! here as they do there; see `witness.py` beside the file.

use std::collections::BTreeMap;

use churn_core::progress::Progress;
use churn_core::scoring::learned::{Column, Frame, MISSING_LEVEL, TreeEnsemble};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: serde_json::Value,
    columns: BTreeMap<String, Vec<Cell>>,
    margins: Vec<f64>,
    base: f64,
    contributions: BTreeMap<String, Vec<f64>>,
    tolerance: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(f64),
    Text(String),
    Missing(()),
}

fn column(cells: &[Cell]) -> Column<'static> {
    let numeric = |cell: &Cell| match cell {
        Cell::Number(value) => Some(*value),
        Cell::Text(text) if text == "NaN" => Some(f64::NAN),
        _ => None,
    };
    if let Some(values) = cells.iter().map(numeric).collect::<Option<Vec<_>>>() {
        return Column::Numeric(values.into());
    }
    let mut levels: Vec<String> = Vec::new();
    let codes: Vec<u32> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Text(text) => {
                let place = levels.iter().position(|level| level == text);
                place.unwrap_or_else(|| {
                    levels.push(text.clone());
                    levels.len() - 1
                }) as u32
            }
            _ => MISSING_LEVEL,
        })
        .collect();
    Column::Categorical {
        codes: codes.into(),
        levels: levels.into(),
    }
}

#[test]
fn trees_of_another_library_answer_and_explain_as_there() {
    let file: File = serde_json::from_str(include_str!("golden/trees/contributions.json")).unwrap();
    assert_eq!(file.cases.len(), 2);
    for case in file.cases {
        let model = TreeEnsemble::from_json(&case.model.to_string()).unwrap();
        let columns = case.columns.iter();
        let frame = Frame::new(columns.map(|(n, c)| (n.clone(), column(c))).collect()).unwrap();
        let close = |what: &str, row: usize, got: f64, expected: f64| {
            let gap = (got - expected).abs();
            assert!(
                gap <= case.tolerance,
                "{}: {what}[{row}]: {got} {expected}",
                case.name
            );
        };
        let margins = model.margins(&frame).unwrap();
        for (row, margin) in margins.iter().enumerate() {
            close("margins", row, *margin, case.margins[row]);
        }
        let why = model.contributions(&frame, &Progress::none()).unwrap();
        close("base", 0, why.base(), case.base);
        assert_eq!(why.names().len(), case.contributions.len());
        for (j, name) in why.names().iter().enumerate() {
            for (row, value) in why.column(j).iter().enumerate() {
                close(name, row, *value, case.contributions[name][row]);
            }
        }
        let again = TreeEnsemble::from_bytes(&model.to_bytes()).unwrap();
        assert_eq!(again, model);
    }
}
