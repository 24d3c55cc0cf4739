//! Numbers, truth values and groups from whatever numpy can read.

use churn_core::Error;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;

use super::Ids;
use super::input::ids;
use crate::errors::{OrRaise, wrong_type};

/// Numbers from an array, a series or a list; missing cells are NaN.
pub(crate) fn float_column(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let py = cells.py();
    let numpy = py.import("numpy")?;
    let array = numpy
        .call_method1("asarray", (cells, "float64"))
        .map_err(|_| wrong_type(what, "an array or a list of numbers", cells))?;
    let dimensions: usize = array.getattr("ndim")?.extract()?;
    if dimensions != 1 {
        let got = format!("{dimensions} dimensions");
        return Err(Error::invalid_parameter(what, "one dimension", got)).or_raise(py);
    }
    PyBuffer::<f64>::get(&array)?.to_vec(py)
}

/// Truth values, or 0 and 1.
pub(crate) fn flag_column(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
    let py = cells.py();
    let numbers = float_column(what, cells)?.into_iter().enumerate();
    let flag = |(row, number): (usize, f64)| match number {
        0.0 => Ok(false),
        1.0 => Ok(true),
        other => Err(Error::invalid_value(what, row, "true or false", other)),
    };
    numbers
        .map(flag)
        .collect::<churn_core::Result<Vec<bool>>>()
        .or_raise(py)
}

/// Columns of numbers from a dict of arrays, or a data frame.
pub(crate) fn numeric_frame(
    what: &str,
    columns: &Bound<'_, PyAny>,
) -> PyResult<Vec<(String, Vec<f64>)>> {
    // pandas and dicts have items, polars makes a dict of itself.
    let columns = match columns.hasattr("items")? {
        true => columns.clone(),
        false if columns.hasattr("to_dict")? => columns.call_method0("to_dict")?,
        false => {
            return Err(wrong_type(
                what,
                "a data frame or a dict of arrays",
                columns,
            ));
        }
    };
    let mut all = Vec::new();
    for pair in columns.call_method0("items")?.try_iter()? {
        let (name, cells): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| wrong_type(what, "column names in text", &name))?;
        let numbers = float_column(&format!("{what}.{name}"), &cells)?;
        all.push((name, numbers));
    }
    Ok(all)
}

/// Groups by name: the distinct names in order, and the place of each row's name among them.
pub(crate) struct Groups {
    pub(crate) names: Vec<String>,
    pub(crate) codes: Vec<u32>,
}

impl Groups {
    /// Groups from integers or texts.
    pub(crate) fn read(what: &str, cells: &Bound<'_, PyAny>) -> PyResult<Self> {
        fn sorted<T: Ord + Clone + ToString>(cells: &[T]) -> Groups {
            let mut distinct = cells.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            let code = |cell: &T| distinct.partition_point(|name| name < cell) as u32;
            Groups {
                codes: cells.iter().map(code).collect(),
                names: distinct.iter().map(T::to_string).collect(),
            }
        }
        Ok(match ids(what, cells)? {
            Ids::Ints(cells) => sorted(&cells),
            Ids::Uints(cells) => sorted(&cells),
            Ids::Texts(cells) => sorted(&cells),
        })
    }

    /// The codes that the same names have in `known`.
    pub(crate) fn codes_in(&self, what: &str, known: &[String]) -> churn_core::Result<Vec<u32>> {
        let places: Vec<Option<u32>> = self
            .names
            .iter()
            .map(|name| known.iter().position(|k| k == name).map(|i| i as u32))
            .collect();
        let code = |(row, code): (usize, &u32)| {
            places[*code as usize].ok_or_else(|| {
                let name = &self.names[*code as usize];
                Error::unknown_name(what, name, known).at_row(row)
            })
        };
        self.codes.iter().enumerate().map(code).collect()
    }
}
