//! Settings as data: every settings type of the library reads from JSON and TOML here, so that
//! Rust, Python and C name the same fields and give the same errors.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads settings from JSON text.
///
/// # Errors
/// `InvalidParameter` at `what`, with the line, for text that is not JSON, an unknown field or a
/// value outside its domain.
///
/// # Example
/// ```
/// use churn_core::events::Cleaning;
/// let cleaning: Cleaning = churn_core::settings::from_json("cleaning", r#"{"duplicates": "drop"}"#)?;
/// let error = churn_core::settings::from_json::<Cleaning>("cleaning", r#"{"duplicate": "drop"}"#);
/// assert!(error.unwrap_err().got().contains("unknown field `duplicate`"));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The place follows the message; it has a field of its own in our error.
        let message = message.split(" at line ").next().unwrap_or(&message);
        let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
        Error::invalid_parameter(what, "valid settings in JSON", message).at_line(line)
    })
}

/// Reads settings from TOML text.
///
/// # Errors
/// `InvalidParameter` at `what`, with the line, for text that is not TOML, an unknown field or a
/// value outside its domain.
pub fn from_toml<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let wrong =
            Error::invalid_parameter(what, "valid settings in TOML", error.message().trim());
        match error.span() {
            Some(span) => wrong.at_line(line_of(text, span.start)),
            None => wrong,
        }
    })
}

/// The line (from 1) of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> u32 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Cleaning;

    #[test]
    fn both_forms_name_the_line() {
        let json = "{\n  \"duplicates\": \"drop\",\n  \"earlist\": \"2010-01-01\"\n}";
        let error = from_json::<Cleaning>("cleaning", json).unwrap_err();
        assert_eq!(error.line(), Some(3), "{error}");
        let toml = "duplicates = \"drop\"\nearliest = \"soon\"\n";
        let error = from_toml::<Cleaning>("cleaning", toml).unwrap_err();
        assert_eq!(error.line(), Some(2), "{error}");
        assert!(from_toml::<Cleaning>("cleaning", "duplicates = \"drop\"").is_ok());
    }
}
