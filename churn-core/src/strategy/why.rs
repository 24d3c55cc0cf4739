//! Why a customer gets what the plan says, in words.

mod profit;

use super::conditions::{Comparison, Formula, Segmentation, Values};
use super::matching::{prospect, rate};
use super::plan::Plan;
use crate::text::Language;

/// The few words that differ between the languages.
struct Words {
    colon: &'static str,
    stop: &'static str,
    semicolon: &'static str,
    is: &'static str,
    defined: &'static str,
    undefined: &'static str,
    everyone: &'static str,
    or: &'static str,
    no_action: &'static str,
    no_audience: &'static str,
    nothing_open: &'static str,
    passed_over: &'static str,
    no_offer: &'static str,
    no_channel: &'static str,
    channels: &'static str,
    own_rate: &'static str,
    usual_rate: &'static str,
    response: &'static str,
    contact_cost: &'static str,
    worth: &'static str,
    instead_of: &'static str,
    not_open: &'static str,
    bound_offer: &'static str,
    unprofitable: &'static str,
    outbid: &'static str,
    unknown_value: &'static str,
    excluded: &'static str,
    held_out: &'static str,
    best_here: &'static str,
    over: &'static str,
}

const ENGLISH: Words = Words {
    colon: ": ",
    stop: ".",
    semicolon: "; ",
    is: " is ",
    defined: " is defined",
    undefined: " is undefined",
    everyone: "everyone",
    or: " or ",
    no_action: "No action: ",
    no_audience: "no audience matched",
    nothing_open: "an audience matched, but nothing in it is open to this customer",
    passed_over: "Passed over: ",
    no_offer: "no offer is open",
    no_channel: "no channels are open",
    channels: "Channels: ",
    own_rate: "own rate",
    usual_rate: "usual rate",
    response: "chance of a response ",
    contact_cost: "contact cost ",
    worth: "worth ",
    instead_of: "Instead of: ",
    not_open: "not open",
    bound_offer: "an offer in it needs another one",
    unprofitable: "what is open costs more than it brings",
    outbid: "others bring more with what is limited",
    unknown_value: "the value at stake is not known",
    excluded: "excluded",
    held_out: "held out for comparison",
    best_here: "Best here: ",
    over: " over ",
};

const CHINESE: Words = Words {
    colon: "：",
    stop: "。",
    semicolon: "；",
    is: " 为 ",
    defined: " 有值",
    undefined: " 无值",
    everyone: "所有客户",
    or: " 或 ",
    no_action: "无动作：",
    no_audience: "不属于任何人群",
    nothing_open: "属于某一人群，但其优惠或渠道均不适用于该客户",
    passed_over: "未采用：",
    no_offer: "无适用优惠",
    no_channel: "无可用渠道",
    channels: "渠道：",
    own_rate: "本人响应率",
    usual_rate: "渠道常规响应率",
    response: "响应概率 ",
    contact_cost: "触达成本 ",
    worth: "净值 ",
    instead_of: "其他组合：",
    not_open: "不可用",
    bound_offer: "其中的优惠须与另一优惠同送",
    unprofitable: "可用动作的成本高于收益",
    outbid: "有限资源用于其他客户收益更高",
    unknown_value: "该客户的价值未知",
    excluded: "已被排除",
    held_out: "留作对照组",
    best_here: "对该客户最佳：",
    over: "，渠道 ",
};

fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

impl Plan {
    /// Why one customer gets this action over these channels, or none, in words.
    ///
    /// Says which parts of the audience hold, with the customer's own values; how likely each
    /// channel is to be answered, from the customer's own responses or the channel's usual rate;
    /// what the other channel sets would have been worth; and which actions of higher priority
    /// were passed over because nothing in them is open. Without an action it says for each
    /// audience what the customer fails. A plan made for profit gives the calculation of the profit
    /// and the best alternatives instead, or what the customer's best option would take from others
    /// at the prices of what is limited. Ids of features and labels stand as they are in both
    /// languages.
    ///
    /// # Panics
    /// If `row` is not a row of [`customers`](Self::customers).
    pub fn why(&self, row: usize, language: Language) -> String {
        assert!(
            row < self.customers.len(),
            "row {row} of {}",
            self.customers.len()
        );
        if let Some(allocation) = &self.allocation {
            return ended(self.profit_sentences(allocation, row, language), language);
        }
        let words = words(language);
        let mut sentences = Vec::new();
        match (self.action_position(row), self.channel_set_position(row)) {
            (Some(action), Some(set)) => {
                sentences.push(self.audience(action, row, language));
                sentences.push(self.chosen_channels(action, set, row, language));
                let others = self.other_channels(action, set, row, language);
                if !others.is_empty() {
                    let others = others.join(words.semicolon);
                    sentences.push(format!("{}{others}", words.instead_of));
                }
            }
            _ => sentences.extend(self.nothing(row, language)),
        }
        if let Some(action) = self.action_position(row) {
            let passed_over = self.passed_over(Some(action), row, language);
            if !passed_over.is_empty() {
                let passed_over = passed_over.join(words.semicolon);
                sentences.push(format!("{}{passed_over}", words.passed_over));
            }
        }
        ended(sentences, language)
    }

    /// Why no action is open, with what each audience or action lacks.
    fn nothing(&self, row: usize, language: Language) -> Vec<String> {
        let words = words(language);
        let some = self.passed_over(None, row, language);
        let (reason, each) = if some.is_empty() {
            let order = self.rules.order.iter();
            let each = order.map(|action| self.audience(*action, row, language));
            (words.no_audience, each.collect())
        } else {
            (words.nothing_open, some)
        };
        let mut sentences = vec![format!("{}{reason}", words.no_action)];
        sentences.extend(each);
        sentences
    }

    /// The action's name and what in its audience decides about the customer.
    fn audience(&self, action: usize, row: usize, language: Language) -> String {
        let words = words(language);
        let audience = &self.rules.actions[action].audience;
        let mut leaves = Vec::new();
        audience.deciding(&self.evidence, row, &mut leaves);
        let mut parts: Vec<String> = Vec::new();
        for leaf in leaves {
            let part = self.leaf(leaf, row, language);
            // The same test may stand in several places of one audience.
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            parts.push(words.everyone.to_owned());
        }
        let name = self.playbook.actions[action].name.get(language);
        format!("{name}{}{}", words.colon, parts.join(words.semicolon))
    }

    /// One test with the customer's value; where it fails, with what it asks for.
    fn leaf(&self, leaf: &Formula, row: usize, language: Language) -> String {
        let words = words(language);
        let holds = leaf.holds(&self.evidence, row);
        let needs = |what: &str| match language {
            Language::English => format!(" (needs {what})"),
            Language::Chinese => format!("（需 {what}）"),
        };
        let vocabulary = &self.evidence.vocabulary;
        match leaf {
            Formula::Compare {
                number,
                comparison,
                value: bound,
            } => {
                let name = &vocabulary.numbers()[*number].name;
                let value = self.evidence.number(*number, row);
                let test = format!("{} {}", comparison.sign(), short(*bound));
                if value.is_nan() {
                    return format!("{name}{}{}", words.undefined, needs(&test));
                }
                let value = beside(value, *bound, *comparison);
                match holds {
                    true => format!("{name} {value} {test}"),
                    false => format!("{name} {value}{}", needs(&test)),
                }
            }
            Formula::Defined { number, defined } => {
                let name = &vocabulary.numbers()[*number].name;
                let state = match *defined == holds {
                    true => words.defined,
                    false => words.undefined,
                };
                format!("{name}{state}")
            }
            Formula::OneOf {
                segmentation,
                allowed,
            } => {
                let code = self.evidence.code(*segmentation, row) as usize;
                let Segmentation { name, labels } = &vocabulary.segmentations()[*segmentation];
                let mut text = format!("{name}{}{}", words.is, labels[code]);
                if !holds {
                    let wanted = labels.iter().zip(allowed).filter(|(_, allowed)| **allowed);
                    let wanted: Vec<&str> = wanted.map(|(label, _)| label.as_str()).collect();
                    text.push_str(&needs(&wanted.join(words.or)));
                }
                text
            }
            Formula::All(_) | Formula::Any(_) => words.everyone.to_owned(),
        }
    }

    fn chosen_channels(&self, action: usize, set: usize, row: usize, language: Language) -> String {
        let words = words(language);
        let channels = &self.rules.actions[action].channel_sets[set];
        let rates = self.channel_rates(action, set, row, language);
        let result = self.promise(action, channels, row, language);
        format!("{rates}{}{result}", words.semicolon)
    }

    /// The channels of a set with the rates at which the customer answers them.
    fn channel_rates(&self, action: usize, set: usize, row: usize, language: Language) -> String {
        let words = words(language);
        let channels = &self.rules.actions[action].channel_sets[set];
        let each: Vec<String> = channels
            .iter()
            .map(|&channel| {
                let (rate, own) = rate(&self.playbook, &self.rules, channel, &self.evidence, row);
                let kind = if own {
                    words.own_rate
                } else {
                    words.usual_rate
                };
                let name = self.playbook.channels[channel].name.get(language);
                let rate = percent(rate);
                match language {
                    Language::English => format!("{name} ({kind} {rate})"),
                    Language::Chinese => format!("{name}（{kind} {rate}）"),
                }
            })
            .collect();
        format!("{}{}", words.channels, each.join(" + "))
    }

    /// Chance, cost and worth of a channel set.
    fn promise(&self, action: usize, channels: &[usize], row: usize, language: Language) -> String {
        let words = words(language);
        let prospect = prospect(
            &self.playbook,
            &self.rules,
            action,
            channels,
            &self.evidence,
            row,
        );
        let currency = &self.playbook.currency;
        let comma = match language {
            Language::English => ", ",
            Language::Chinese => "，",
        };
        let mut text = format!(
            "{}{}{comma}{}{} {currency}",
            words.response,
            percent(prospect.response),
            words.contact_cost,
            short(prospect.contact_cost),
        );
        if let Some(worth) = prospect.worth {
            text.push_str(&format!(
                "{comma}{}{} {currency}",
                words.worth,
                short(worth)
            ));
        }
        text
    }

    /// The channel sets that were not taken.
    fn other_channels(
        &self,
        action: usize,
        chosen: usize,
        row: usize,
        language: Language,
    ) -> Vec<String> {
        let words = words(language);
        let sets = self.rules.actions[action].channel_sets.iter().enumerate();
        sets.filter(|(set, _)| *set != chosen)
            .map(|(_, channels)| {
                let names = channels.iter().map(|c| &self.playbook.channels[*c].name);
                let names: Vec<&str> = names.map(|name| name.get(language)).collect();
                let text = match self.rules.is_open(channels, &self.evidence, row) {
                    true => self.promise(action, channels, row, language),
                    false => words.not_open.to_owned(),
                };
                match language {
                    Language::English => format!("{} ({text})", names.join(" + ")),
                    Language::Chinese => format!("{}（{text}）", names.join(" + ")),
                }
            })
            .collect()
    }

    /// The actions before `until` whose audience holds, with what is missing in them.
    fn passed_over(&self, until: Option<usize>, row: usize, language: Language) -> Vec<String> {
        let words = words(language);
        let mut given = Vec::new();
        let order = self.rules.order.iter().copied();
        order
            .take_while(|action| Some(*action) != until)
            .filter(|action| {
                self.rules.actions[*action]
                    .audience
                    .holds(&self.evidence, row)
            })
            .map(|action| {
                self.rules
                    .offers_for(action, &self.evidence, row, &mut given);
                let mut sets = self.rules.actions[action].channel_sets.iter();
                let missing = match given.is_empty() {
                    true => words.no_offer,
                    // Only a plan for profit binds offers to one another.
                    false if sets.any(|set| self.rules.is_open(set, &self.evidence, row)) => {
                        words.bound_offer
                    }
                    false => words.no_channel,
                };
                let name = self.playbook.actions[action].name.get(language);
                format!("{name}{}{missing}", words.colon)
            })
            .collect()
    }
}

/// Sentences with their stops, as one text.
fn ended(sentences: Vec<String>, language: Language) -> String {
    let words = words(language);
    let gap = match language {
        Language::English => " ",
        Language::Chinese => "",
    };
    let ended: Vec<String> = sentences
        .iter()
        .map(|sentence| format!("{sentence}{}", words.stop))
        .collect();
    ended.join(gap)
}

/// A number with at most four decimals, enough for a reader.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // A value that four decimals would show as nothing is shown in full.
    match text {
        "0" | "-0" if value != 0.0 => value.to_string(),
        "-0" => "0".to_owned(),
        _ => text.to_owned(),
    }
}

/// A value next to the bound that it was compared with: in full where rounding would make the
/// comparison look wrong.
fn beside(value: f64, bound: f64, comparison: Comparison) -> String {
    let rounded = short(value);
    let shown = |text: &str| text.parse().unwrap_or(value);
    let looks = comparison.holds(shown(&rounded), shown(&short(bound)));
    match looks == comparison.holds(value, bound) {
        true => rounded,
        false => value.to_string(),
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{AT_RISK, Row, Shop};
    use crate::strategy::{Playbook, match_actions};

    #[test]
    fn numbers_read_well_and_never_lie() {
        assert_eq!(short(0.66), "0.66");
        assert_eq!(short(1200.0), "1200");
        assert_eq!(short(12.34567), "12.3457");
        assert_eq!(short(0.00001), "0.00001");
        assert_eq!(short(-0.0), "0");
        assert_eq!(percent(0.337), "33.7%");
        assert_eq!(percent(0.05), "5%");
        assert_eq!(beside(0.65999999, 0.66, Comparison::Below), "0.65999999");
        assert_eq!(beside(0.7, 0.66, Comparison::AtLeast), "0.7");
    }

    fn plan(rows: &[Row], change: impl FnOnce(&mut Playbook)) -> Plan {
        let shop = Shop::new(rows);
        let facts = shop.facts();
        let mut playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        change(&mut playbook);
        match_actions(&playbook, &facts).unwrap()
    }

    #[test]
    fn an_action_is_explained_in_both_languages() {
        let row = Row {
            sms_response_rate: 0.25,
            ..AT_RISK
        };
        let plan = plan(&[row], |p| {
            p.actions[1].audience =
                "churn_probability >= 0.66 and not (risk_tier in ['low', 'medium']) \
                and (lifecycle == 'lost' or orders >= 1)"
                    .to_owned();
            p.actions[1].channel_sets = vec![
                vec!["sms".to_owned(), "email".to_owned()],
                vec!["sms".to_owned()],
                vec!["phone".to_owned()],
            ];
        });
        assert_eq!(
            plan.why(0, Language::English),
            "Win back: churn_probability 0.82 ≥ 0.66; risk_tier is high; orders 6 ≥ 1. \
             Channels: SMS (own rate 25%) + E-mail (usual rate 2%); chance of a response 26.5%, \
             contact cost 0.06 CNY, worth 10.54 CNY. \
             Instead of: SMS (chance of a response 25%, contact cost 0.05 CNY, worth 9.95 CNY); \
             Phone call (not open)."
        );
        assert_eq!(
            plan.why(0, Language::Chinese),
            "流失挽回：churn_probability 0.82 ≥ 0.66；risk_tier 为 high；orders 6 ≥ 1。\
             渠道：短信（本人响应率 25%） + 电子邮件（渠道常规响应率 2%）；响应概率 26.5%，\
             触达成本 0.06 CNY，净值 10.54 CNY。\
             其他组合：短信（响应概率 25%，触达成本 0.05 CNY，净值 9.95 CNY）；电话（不可用）。"
        );
    }

    #[test]
    fn having_no_action_is_explained_too() {
        let unknown = Row {
            tier: 1,
            orders: f64::NAN,
            ..AT_RISK
        };
        let plan = plan(&[unknown], |p| p.actions.truncate(3));
        assert_eq!(
            plan.why(0, Language::English),
            "No action: no audience matched. \
             VIP rescue: risk_tier is medium (needs high). \
             Win back: risk_tier is medium (needs high). \
             Re-engage: orders is undefined (needs ≥ 1)."
        );
        assert_eq!(
            plan.why(0, Language::Chinese),
            "无动作：不属于任何人群。VIP挽留：risk_tier 为 medium（需 high）。\
             流失挽回：risk_tier 为 medium（需 high）。唤醒互动：orders 无值（需 ≥ 1）。"
        );
    }

    #[test]
    fn what_was_passed_over_is_said() {
        let row = Row {
            monetary_score: 5.0,
            total_value: 0.0,
            ..AT_RISK
        };
        let plan = plan(&[row], |p| {
            p.actions[0].channel_sets = vec![vec!["phone".to_owned()]];
            p.channels[5].requires = Some("total_value > 100".to_owned());
        });
        let why = plan.why(0, Language::English);
        assert!(why.starts_with("Win back: "), "{why}");
        assert!(
            why.ends_with("Passed over: VIP rescue: no channels are open."),
            "{why}"
        );
        let plan = self::plan(&[row], |p| {
            p.actions.truncate(1);
            p.channels[5].requires = Some("total_value > 100".to_owned());
            p.channels[0].requires = Some("total_value > 100".to_owned());
        });
        assert_eq!(
            plan.why(0, Language::English),
            "No action: an audience matched, but nothing in it is open to this customer. \
             VIP rescue: no channels are open."
        );
    }

    #[test]
    fn everyone_is_an_audience() {
        let plan = plan(&[AT_RISK], |p| {
            p.actions[1].audience = "everyone".to_owned();
            p.actions.truncate(2);
        });
        let why = plan.why(0, Language::Chinese);
        assert!(why.starts_with("流失挽回：所有客户。"), "{why}");
    }
}
