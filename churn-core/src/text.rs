//! Texts in the two languages that the library speaks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A language that texts and explanations are given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// English, `"en"`.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese, `"zh"`.
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// The language from its code: `"en"` or `"zh"`.
    ///
    /// # Errors
    /// `UnknownName` for any other code.
    pub fn from_code(code: &str) -> Result<Self> {
        match code {
            "en" => Ok(Language::English),
            "zh" => Ok(Language::Chinese),
            _ => Err(Error::unknown_name("language", code, ["en", "zh"])),
        }
    }

    /// The code of the language, e.g. `"en"`.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One text in both languages.
///
/// # Example
/// ```
/// use churn_core::text::{Language, Text};
/// let name = Text::new("Personal adviser", "专属顾问");
/// assert_eq!(name.get(Language::Chinese), "专属顾问");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The English text.
    pub en: String,
    /// The Chinese text.
    pub zh: String,
}

impl Text {
    /// A text from its two forms.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Text {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// The text in one language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_serde_agree() {
        for language in [Language::English, Language::Chinese] {
            assert_eq!(Language::from_code(language.code()).unwrap(), language);
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("{:?}", language.code()));
        }
        assert!(Language::from_code("EN").is_err());
        assert!(serde_json::from_str::<Text>(r#"{"en": "a", "zh": "b", "de": "c"}"#).is_err());
    }
}
