//! One customer told as a story: the numbers, the reasons, the offer.

use std::fmt::Write;

use super::WinBack;
use crate::error::Result;
use crate::text::Language;

/// How many customers are told about.
const EXAMPLES: usize = 3;

/// How many reasons a story gives.
const REASONS: usize = 3;

impl WinBack {
    /// Three customers worth telling about: from each risk tier, high to low, the one with an
    /// action who spent most (the first of equals); where a tier has none, the next one of the
    /// others. Fewer only where fewer customers have an action.
    ///
    /// # Errors
    /// `UnknownName` if the features were built without `total_value`.
    pub fn examples(&self) -> Result<Vec<usize>> {
        let money = self.features.column("total_value")?;
        let tiers = self.risk_tier.codes();
        let mut candidates: Vec<usize> = (0..money.len())
            .filter(|row| self.plan.action(*row).is_some())
            .collect();
        // The sort is stable: equal spenders stay in the order of their rows.
        candidates.sort_by(|a, b| money[*b].total_cmp(&money[*a]));
        let first_of_tier = |tier: u32| candidates.iter().copied().find(|row| tiers[*row] == tier);
        let mut chosen: Vec<usize> = (0..self.risk_tier.labels().len() as u32)
            .filter_map(first_of_tier)
            .collect();
        let others = candidates.iter().filter(|row| !chosen.contains(row));
        let missing = EXAMPLES.saturating_sub(chosen.len());
        let others: Vec<usize> = others.copied().take(missing).collect();
        chosen.extend(others);
        chosen.sort_by_key(|row| std::cmp::Reverse(tiers[*row]));
        Ok(chosen)
    }

    /// What is known of one customer, why the score is what it is, and what the plan says.
    ///
    /// # Errors
    /// `UnknownName` if the features were built without `orders`, `total_value` or
    /// `days_since_last`.
    ///
    /// # Panics
    /// If `row` is not a row of the tables.
    pub fn story(&self, row: usize, language: Language) -> Result<String> {
        let value = |name: &str| self.features.column(name).map(|column| column[row]);
        let (orders, money) = (value("orders")?, value("total_value")?);
        let silence = value("days_since_last")?.floor();
        let silence = match language {
            Language::English if silence.is_nan() => "never bought".to_owned(),
            Language::English => format!("silent for {silence} days"),
            Language::Chinese if silence.is_nan() => "从未购买".to_owned(),
            Language::Chinese => format!("已 {silence} 天未购买"),
        };
        let churn = 100.0 * self.scores.churn_probability()[row];
        let days = self.scores.horizon().as_days();
        let id = self.features.customers().get(row);
        let (tier, segment) = (self.risk_tier.label(row), self.rfm_segment.label(row));
        let stage = self.lifecycle.label(row);
        let mut story = String::new();
        // Writing to a String cannot fail.
        let _ = match language {
            Language::English => write!(
                story,
                "Customer {id}: {orders} orders, {money:.2} spent, {silence}.\n  \
                 Churn probability within {days} days {churn:.0} % ({tier} risk); \
                 segment {segment}, stage {stage}."
            ),
            Language::Chinese => write!(
                story,
                "客户 {id}：{orders} 笔订单，消费 {money:.2}，{silence}。\n  \
                 {days} 天内流失概率 {churn:.0} %（风险 {tier}）；分群 {segment}，阶段 {stage}。"
            ),
        };
        for sentence in self.scores.sentences(row, REASONS, language) {
            let _ = write!(story, "\n  - {sentence}");
        }
        if let Some(action) = self.plan.action(row) {
            let offers = self.plan.offers(row);
            let names: Vec<&str> = offers
                .iter()
                .map(|offer| offer.name.get(language))
                .collect();
            let channels = self.plan.channels(row).join(" + ");
            let name = action.name.get(language);
            let _ = match language {
                Language::English => {
                    write!(story, "\n  {name}: {} over {channels}.", names.join(", "))
                }
                Language::Chinese => {
                    write!(story, "\n  {name}：{}，渠道 {channels}。", names.join("、"))
                }
            };
        }
        for line in self.plan.why(row, language).lines() {
            let _ = write!(story, "\n  {line}");
        }
        Ok(story)
    }
}
