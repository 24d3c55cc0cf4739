//! What the library's own features are called in a sentence.

use crate::text::Text;

/// Words for features that customers' stories speak of; others are called by their name.
const WORDS: &[(&str, &str, &str)] = &[
    (
        "days_since_last",
        "no purchase for {value} days",
        "{value} 天未购买",
    ),
    (
        "days_since_last_view",
        "no visit for {value} days",
        "{value} 天未浏览",
    ),
    (
        "days_since_last_activity",
        "no sign of life for {value} days",
        "{value} 天无任何活动",
    ),
    ("age", "customer for {value} days", "成为客户 {value} 天"),
    ("orders", "{value} orders", "{value} 笔订单"),
    ("frequency", "{value} repeat purchases", "{value} 次复购"),
    (
        "recency",
        "{value} days from first to last purchase",
        "首末次购买相隔 {value} 天",
    ),
    ("total_value", "{value} spent in all", "累计消费 {value}"),
    (
        "net_value",
        "{value} spent after refunds",
        "退款后消费 {value}",
    ),
    ("mean_order_value", "{value} per order", "每单 {value}"),
    (
        "monetary_value",
        "{value} per repeat purchase day",
        "每个复购日 {value}",
    ),
    (
        "gap_mean",
        "buys every {value} days",
        "平均每 {value} 天购买一次",
    ),
    (
        "gap_spread",
        "gaps vary by {value} days",
        "购买间隔波动 {value} 天",
    ),
    (
        "silence_tail",
        "a silence this long has probability {value}",
        "如此长的沉默概率为 {value}",
    ),
    (
        "expected_next_days",
        "next purchase expected in {value} days",
        "预计 {value} 天后购买",
    ),
    (
        "activity",
        "activity {value} of 10",
        "活跃度 {value}（满分 10）",
    ),
    ("refund_rate", "{percent} % refunded", "退款率 {percent}%"),
];

/// One text per name, for scores that a learned model gives.
pub(crate) fn learned_texts(names: &[String]) -> Vec<Text> {
    let text = |name: &String| match WORDS.iter().find(|(known, _, _)| known == name) {
        Some((_, en, zh)) => Text::new(*en, *zh),
        None => Text::new(format!("{name} {{value}}"), format!("{name} {{value}}")),
    };
    names.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureSpec;
    use crate::scoring::reason::check_text;

    #[test]
    fn every_word_belongs_to_a_feature_and_reads() {
        let catalogue = FeatureSpec::default().catalogue(&[]).unwrap();
        for (name, _, _) in WORDS {
            assert!(catalogue.iter().any(|info| info.name == *name), "{name}");
        }
        let names = vec!["orders".to_owned(), "value_30d".to_owned()];
        for text in learned_texts(&names) {
            check_text(&text, "words").unwrap();
        }
    }
}
