//! Why a plan made for profit gives a customer this action, or none: the calculation.

use super::{percent, words};
use crate::strategy::allocation::{Allocation, Offered};
use crate::strategy::effects::{Effect, Seen};
use crate::strategy::plan::{NoAction, Plan};
use crate::strategy::value::Worth;
use crate::text::Language;

/// Alternatives that are told.
const ALTERNATIVES: usize = 3;

impl Plan {
    pub(super) fn profit_sentences(
        &self,
        allocation: &Allocation,
        row: usize,
        language: Language,
    ) -> Vec<String> {
        let words = words(language);
        let options = allocation.options(&self.evidence, row);
        if let (Some(action), Some(set)) =
            (self.action_position(row), self.channel_set_position(row))
        {
            let mut sentences = vec![
                self.audience(action, row, language),
                self.channel_rates(action, set, row, language),
            ];
            let is_chosen = |option: &&Offered| (option.action, option.set) == (action, set);
            if let Some(chosen) = options.iter().find(is_chosen) {
                sentences.push(self.calculation(allocation, chosen, row, language));
                let others = options.iter().filter(|option| !is_chosen(option));
                let others: Vec<String> = others
                    .take(ALTERNATIVES)
                    .map(|other| self.alternative(other, chosen, language))
                    .collect();
                if !others.is_empty() {
                    sentences.push(format!(
                        "{}{}",
                        words.instead_of,
                        others.join(words.semicolon)
                    ));
                }
            }
            return sentences;
        }
        let reason = match self.no_action(row) {
            Some(NoAction::Unprofitable) => words.unprofitable,
            Some(NoAction::Outbid) => words.outbid,
            Some(NoAction::UnknownValue) => words.unknown_value,
            Some(NoAction::Excluded) => words.excluded,
            Some(NoAction::HeldOut) => words.held_out,
            _ => return self.nothing(row, language),
        };
        let mut sentences = vec![format!("{}{reason}", words.no_action)];
        let best = match self.no_action(row) {
            Some(NoAction::Unprofitable) => {
                let by_profit =
                    |a: &&Offered, b: &&Offered| a.worth.profit.total_cmp(&b.worth.profit);
                options.iter().rev().max_by(by_profit)
            }
            Some(NoAction::Outbid) => options.first(),
            _ => None,
        };
        if let Some(best) = best {
            let name = self.option_name(best, language);
            let calculation = self.calculation(allocation, best, row, language);
            sentences.push(format!(
                "{}{name}{}{calculation}",
                words.best_here, words.semicolon
            ));
            if !best.uses.is_empty() && self.no_action(row) == Some(NoAction::Outbid) {
                sentences.push(self.toll(allocation, best, language));
            }
        }
        sentences
    }

    /// Action and channels of an option.
    fn option_name(&self, option: &Offered, language: Language) -> String {
        let words = words(language);
        let channels = &self.rules.actions[option.action].channel_sets[option.set];
        let names = channels
            .iter()
            .map(|c| self.playbook.channels[*c].name.get(language));
        let names: Vec<&str> = names.collect();
        let action = self.playbook.actions[option.action].name.get(language);
        format!("{action}{}{}", words.over, names.join(" + "))
    }

    /// Change × stake × margin − costs = profit, and where the change is known from.
    fn calculation(
        &self,
        allocation: &Allocation,
        option: &Offered,
        row: usize,
        language: Language,
    ) -> String {
        let Worth {
            change,
            stake,
            contact_cost,
            offer_cost,
            profit,
            ..
        } = option.worth;
        let pricing = &allocation.market.pricing;
        let margin = percent(pricing.margin);
        let currency = &self.playbook.currency;
        let effect = pricing
            .effects
            .effect(&self.evidence, row, option.action, option.set);
        let known = origin(&effect, language);
        let change = percent(change);
        match language {
            Language::English => format!(
                "Expected profit {profit:.2} {currency}: staying {change} more likely ({known}) × \
                 {stake:.2} at stake × margin {margin} − offers {offer_cost:.2} − contacts \
                 {contact_cost:.2}"
            ),
            Language::Chinese => format!(
                "预期利润 {profit:.2} {currency}：留存概率变化 {change}（{known}）× 价值 {stake:.2} × \
                 利润率 {margin} − 优惠 {offer_cost:.2} − 触达 {contact_cost:.2}"
            ),
        }
    }

    /// Another option with its profit, and whether the chosen one only wins at the prices.
    fn alternative(&self, other: &Offered, chosen: &Offered, language: Language) -> String {
        let name = self.option_name(other, language);
        let profit = other.worth.profit;
        let currency = &self.playbook.currency;
        let dear = profit > chosen.worth.profit;
        match (language, dear) {
            (Language::English, true) => {
                format!("{name} ({profit:.2} {currency}, but takes more of what is limited)")
            }
            (Language::English, false) => format!("{name} ({profit:.2} {currency})"),
            (Language::Chinese, true) => {
                format!("{name}（{profit:.2} {currency}，但占用更多有限资源）")
            }
            (Language::Chinese, false) => format!("{name}（{profit:.2} {currency}）"),
        }
    }

    /// What an option would take from others: amounts times prices.
    fn toll(&self, allocation: &Allocation, option: &Offered, language: Language) -> String {
        let market = &allocation.market;
        let parts = option.uses.iter().map(|(c, amount)| {
            let subject = &allocation.market.subjects[*c];
            format!("{amount:.2} × {:.4} ({subject})", market.duals[*c])
        });
        let parts: Vec<String> = parts.collect();
        let total = option.worth.profit - option.net;
        let currency = &self.playbook.currency;
        match language {
            Language::English => format!(
                "It would take {} = {total:.2} {currency} from others",
                parts.join(" + ")
            ),
            Language::Chinese => {
                format!("将占用 {} = {total:.2} {currency}", parts.join(" + "))
            }
        }
    }
}

/// What a change rests on, in words.
fn origin(effect: &Effect, language: Language) -> String {
    let (prior, otherwise) = (percent(effect.prior), percent(effect.otherwise));
    if let Some(estimate) = effect.estimate {
        let (change, error) = (percent(estimate.change), percent(estimate.standard_error));
        return match (language, estimate.standard_error > 0.0) {
            (Language::English, false) => "uplift estimate".to_owned(),
            (Language::Chinese, false) => "增益模型估计".to_owned(),
            (Language::English, true) => {
                format!("uplift estimate {change} ± {error}, from {otherwise} without it")
            }
            (Language::Chinese, true) => {
                format!("增益模型估计 {change} ± {error}，无此估计时为 {otherwise}")
            }
        };
    }
    match (effect.seen, language) {
        (
            Some(Seen::Experiment {
                change,
                standard_error,
            }),
            _,
        ) => {
            let (change, error) = (percent(change), percent(standard_error));
            match language {
                Language::English => {
                    format!("measured {change} ± {error} by experiment, from a prior of {prior}")
                }
                Language::Chinese => format!("实验测得 {change} ± {error}，先验 {prior}"),
            }
        }
        (Some(Seen::Counts { treated, control }), Language::English) => format!(
            "observed on {treated} treated and {control} left alone, from a prior of {prior}"
        ),
        (Some(Seen::Counts { treated, control }), Language::Chinese) => {
            format!("依据 {treated} 位触达与 {control} 位未触达客户的观察，先验 {prior}")
        }
        (None, Language::English) => "the playbook's prior".to_owned(),
        (None, Language::Chinese) => "方案先验".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;
    use crate::settings::from_json;
    use crate::strategy::testing::{AT_RISK, Row, Shop};
    use crate::strategy::{OptimizeSettings, Playbook, optimize};

    /// Four customers: two worth winning back, one of little value, one who never bought.
    fn plan(constraints: &str) -> Plan {
        let row = |total_value, orders| Row {
            total_value,
            orders,
            ..AT_RISK
        };
        let shop = Shop::new(&[
            row(2_000.0, 6.0),
            row(1_000.0, 4.0),
            row(10.0, 2.0),
            row(0.0, 0.0),
        ]);
        let facts = shop.facts();
        let playbook = Playbook::default_for(facts.vocabulary()).unwrap();
        let settings =
            format!(r#"{{"value": {{"feature": "total_value"}}, "constraints": {constraints}}}"#);
        let settings: OptimizeSettings = from_json("optimize", &settings).unwrap();
        optimize(&playbook, &facts, &settings, &Progress::none()).unwrap()
    }

    #[test]
    fn every_number_is_explained() {
        let plan = plan(r#"{"max_customers": 1}"#);
        let why = |row| plan.why(row, Language::English);
        assert!(
            why(0).contains(
                "Expected profit 8.72 CNY: staying 1.8% more likely (the playbook's prior) × \
                 2000.00 at stake × margin 30% − offers 1.61 − contacts 0.25."
            ),
            "{}",
            why(0)
        );
        assert!(why(0).contains("Instead of: Win back over"), "{}", why(0));
        assert!(
            why(1).starts_with(
                "No action: others bring more with what is limited. Best here: Win back over "
            ),
            "{}",
            why(1)
        );
        assert!(why(1).contains("It would take 1.00 × "), "{}", why(1));
        assert!(why(1).contains("(customers) = "), "{}", why(1));
        assert!(
            why(2).starts_with("No action: what is open costs more than it brings. Best here: "),
            "{}",
            why(2)
        );
        assert!(
            why(3).starts_with("No action: no audience matched. "),
            "{}",
            why(3)
        );
        let reasons: Vec<Option<NoAction>> = (0..4).map(|row| plan.no_action(row)).collect();
        let expected = [
            None,
            Some(NoAction::Outbid),
            Some(NoAction::Unprofitable),
            Some(NoAction::NoAudience),
        ];
        assert_eq!(reasons, expected);
        assert!(
            plan.why(1, Language::Chinese)
                .starts_with("无动作：有限资源用于其他客户收益更高。")
        );
    }

    #[test]
    fn those_left_alone_are_told_apart() {
        let plan = plan(
            r#"{"exclude": [0], "hold_out": [1], "needs": [
            {"offer": "winback_coupon", "needs": "high_value_coupon"}]}"#,
        );
        assert_eq!(plan.why(0, Language::English), "No action: excluded.");
        assert_eq!(
            plan.why(1, Language::English),
            "No action: held out for comparison."
        );
        assert_eq!(
            plan.why(2, Language::English),
            "No action: an audience matched, but nothing in it is open to this customer. \
             Win back: an offer in it needs another one."
        );
    }
}
