//! One reason behind one customer's score, as numbers and as a sentence.

use crate::error::{Error, Result};
use crate::text::{Language, Text};

/// One reason for one customer's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason<'s> {
    /// The feature behind it.
    pub feature: &'s str,
    /// How far it moved the score, in points: positive raises the churn probability.
    pub points: f64,
    /// The feature's value; `None` where it is missing or the scores carry no values.
    pub value: Option<f64>,
    /// What the factor says, with placeholders; `None` where the scores carry no texts.
    pub text: Option<&'s Text>,
}

impl Reason<'_> {
    /// The reason in words, e.g. `no purchase for 93 days: +16 points`.
    ///
    /// Values are cut, never rounded up, so that no sentence claims more than is true: 89.9 days
    /// read `89`. Below 10 up to two decimals are shown. A missing value reads
    /// `days_since_last not known: +5 points`.
    pub fn sentence(&self, language: Language) -> String {
        let subject = match (self.text, self.value) {
            (Some(text), Some(value)) => text
                .get(language)
                .replace(VALUE, &shown(value))
                .replace(PERCENT, &shown(100.0 * value)),
            (None, Some(value)) => format!("{} {}", self.feature, shown(value)),
            (Some(_), None) => match language {
                Language::English => format!("{} not known", self.feature),
                Language::Chinese => format!("{} 未知", self.feature),
            },
            (None, None) => self.feature.to_owned(),
        };
        let sign = if self.points < 0.0 { "-" } else { "+" };
        let points = shown_points(self.points.abs());
        match language {
            Language::English => format!("{subject}: {sign}{points} points"),
            Language::Chinese => format!("{subject}：{sign}{points} 分"),
        }
    }
}

const VALUE: &str = "{value}";
const PERCENT: &str = "{percent}";

/// Confirms that a text is not empty and uses known placeholders only.
pub(super) fn check_text(text: &Text, what: &str) -> Result<()> {
    for (language, text) in [("en", &text.en), ("zh", &text.zh)] {
        let rest = text.replace(VALUE, "").replace(PERCENT, "");
        if text.trim().is_empty() || rest.contains(['{', '}']) {
            return Err(Error::invalid_parameter(
                format!("{what}.{language}"),
                "words with no other placeholder than {value} and {percent}",
                format_args!("{text:?}"),
            ));
        }
    }
    Ok(())
}

/// A number cut to whole units from 10 on and to two decimals below.
pub(crate) fn shown(value: f64) -> String {
    let unit = if value.abs() < 10.0 { 100.0 } else { 1.0 };
    // 0.29 × 100 is 28.999999999999996, which must not be cut to 28.
    let cut = (value * unit + value.signum() * 1e-9).trunc() / unit;
    // Adding zero turns -0 into 0.
    (cut + 0.0).to_string()
}

/// Points with at most one decimal.
fn shown_points(points: f64) -> String {
    ((points * 10.0).round() / 10.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_not_rounded_up() {
        for (value, text) in [
            (89.99, "89"),
            (29.0, "29"),
            (0.049, "0.04"),
            (9.999, "9.99"),
            (100.0 * 0.29, "29"),
            (100.0 * 0.07, "7"),
            (0.0, "0"),
            (-0.001, "0"),
            (-12.7, "-12"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn every_form_has_its_sentence() {
        let text = Text::new("{percent} % refunded", "退款率 {percent}%");
        let mut reason = Reason {
            feature: "refund_rate",
            points: 8.04,
            value: Some(0.29),
            text: Some(&text),
        };
        assert_eq!(
            reason.sentence(Language::English),
            "29 % refunded: +8 points"
        );
        assert_eq!(reason.sentence(Language::Chinese), "退款率 29%：+8 分");
        reason.value = None;
        assert_eq!(
            reason.sentence(Language::English),
            "refund_rate not known: +8 points"
        );
        reason.text = None;
        reason.points = -2.5;
        assert_eq!(
            reason.sentence(Language::English),
            "refund_rate: -2.5 points"
        );
        reason.value = Some(0.5);
        assert_eq!(
            reason.sentence(Language::English),
            "refund_rate 0.5: -2.5 points"
        );
    }

    #[test]
    fn unknown_placeholders_are_refused() {
        assert!(check_text(&Text::new("{value} of {percent}", "x"), "t").is_ok());
        let error = check_text(&Text::new("a", "{days} 天"), "factors[0].text").unwrap_err();
        assert_eq!(error.what(), "factors[0].text.zh");
        assert!(check_text(&Text::new(" ", "x"), "t").is_err());
    }
}
