//! Matching: the action, the offers and the channels of each customer.

use rayon::prelude::*;

use super::conditions::Values;
use super::facts::Facts;
use super::plan::{NONE, Plan};
use super::playbook::{ChooseBy, Playbook};
use super::rules::Rules;
use crate::error::{Error, Result};

/// What was chosen for one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    /// Position of the action in the playbook, [`NONE`] where there is none.
    pub(crate) action: i32,
    /// Position of the channel set in the action, [`NONE`] where there is none.
    pub(crate) channel_set: i32,
    /// Chance that the customer answers at least once.
    pub(crate) response: f64,
    /// Cost of contacting the customer once over each channel of the set.
    pub(crate) contact_cost: f64,
    /// Cost of the offers, times the chance of a response.
    pub(crate) offer_cost: f64,
}

impl Choice {
    /// Nothing is done.
    pub(crate) fn none() -> Self {
        Choice {
            action: NONE,
            channel_set: NONE,
            response: 0.0,
            contact_cost: 0.0,
            offer_cost: 0.0,
        }
    }
}

/// How well one channel set does for one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prospect {
    pub(crate) response: f64,
    pub(crate) contact_cost: f64,
    /// `response_value × response − contact_cost`, where the action has a response value.
    pub(crate) worth: Option<f64>,
}

impl Prospect {
    /// Whether it is strictly better than another set of the same action.
    fn beats(&self, other: &Prospect) -> bool {
        match (self.worth, other.worth) {
            (Some(mine), Some(theirs)) => mine > theirs,
            _ => {
                self.response > other.response
                    || self.response == other.response && self.contact_cost < other.contact_cost
            }
        }
    }
}

/// Gives each customer an action of the playbook, or none.
///
/// Of the actions whose audience the customer belongs to, the one of the highest priority (the
/// first in the playbook where equal) that has an offer the customer may have and a channel set
/// whose channels are all open. All its offers that the customer may have are given, except those
/// in conflict with one listed before. Of the open channel sets the one with the largest
/// `response_value × P − cost of the contacts` is taken, the first in the action where equal,
/// where `P = 1 − Π (1 − rate)` over the channels of the set: the chance of at least one response
/// if channels are answered independently. A rate is the customer's own from the feature
/// `{channel}_response_rate`, or the channel's prior response where that is missing or undefined.
/// Without a response value, the set with the largest `P` is taken, the cheaper where equal.
///
/// Each customer is judged alone, so the result does not depend on the other rows or on the
/// number of threads.
///
/// # Errors
/// Those of [`Playbook::check`] against the names of these facts; `InvalidParameter` for a playbook
/// that chooses by profit; `InvalidValue` for a response rate outside \[0, 1\], naming the feature
/// and the row.
///
/// # Example
/// ```
/// # use churn_core::{AsOf, Customers, Horizon};
/// # use churn_core::features::{FeatureInfo, FeatureTable};
/// # use churn_core::scoring::Scores;
/// # use churn_core::segments::Segments;
/// use churn_core::strategy::{Facts, Playbook, match_actions};
/// use churn_core::text::Language;
/// # let customers = Customers::from_ints([1, 2]);
/// # let as_of = AsOf::parse("2011-12-10")?;
/// # let infos = ["orders", "monetary_score"].map(|name| FeatureInfo::new(name, "count", ""));
/// # let table = FeatureTable::from_columns(customers.clone(), as_of, infos.to_vec(), vec![9.0, 1.0, 5.0, 2.0])?;
/// # let scores = Scores::new(customers.clone(), as_of, Horizon::days(90)?, vec![0.9, 0.2], vec![], vec![])?;
/// # let labels = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
/// # let tiers = Segments::new("risk_tier", customers.clone(), as_of, labels(&["low", "medium", "high"]), vec![2, 0])?;
/// # let rfm = Segments::new("rfm_segment", customers, as_of, labels(&["cant_lose", "hibernating"]), vec![0, 1])?;
/// let facts = Facts::new(&table, &scores, &[&tiers, &rfm])?;
/// let playbook = Playbook::default_for(facts.vocabulary())?;
/// let plan = match_actions(&playbook, &facts)?;
/// assert_eq!(plan.action(0).unwrap().id, "vip_rescue");
/// assert_eq!(plan.channels(0), ["phone", "one_to_one"]);
/// assert!(plan.why(0, Language::English).contains("risk_tier is high"));
/// # Ok::<(), churn_core::Error>(())
/// ```
pub fn match_actions(playbook: &Playbook, facts: &Facts<'_>) -> Result<Plan> {
    let rules = Rules::new(playbook, facts.vocabulary())?;
    if playbook.choose_by == ChooseBy::Profit {
        return Err(Error::invalid_parameter(
            "playbook.choose_by",
            "priority (optimize chooses by profit)",
            "profit",
        ));
    }
    check_rates(&rules, facts)?;
    let choices: Vec<Choice> = (0..facts.customers().len())
        .into_par_iter()
        .map_init(Vec::new, |given, row| {
            choose(playbook, &rules, facts, row, given)
        })
        .collect();
    Ok(Plan::new(playbook.clone(), rules, facts, &choices, None))
}

pub(crate) fn check_rates(rules: &Rules, facts: &Facts<'_>) -> Result<()> {
    for number in rules.channels.iter().filter_map(|channel| channel.rate) {
        let rates = facts.column(number);
        let wrong = |rate: &f64| !(rate.is_nan() || (0.0..=1.0).contains(rate));
        if let Some(row) = rates.iter().position(wrong) {
            return Err(Error::invalid_value(
                format!("table.{}", facts.vocabulary().numbers()[number].name),
                row,
                "a response rate from 0 to 1",
                rates[row],
            ));
        }
    }
    Ok(())
}

fn choose(
    playbook: &Playbook,
    rules: &Rules,
    values: &impl Values,
    row: usize,
    given: &mut Vec<usize>,
) -> Choice {
    for &action in &rules.order {
        if !rules.actions[action].audience.holds(values, row) {
            continue;
        }
        rules.offers_for(action, values, row, given);
        if given.is_empty() {
            continue;
        }
        let mut best: Option<(usize, Prospect)> = None;
        for (set, channels) in rules.actions[action].channel_sets.iter().enumerate() {
            if !rules.is_open(channels, values, row) {
                continue;
            }
            let prospect = prospect(playbook, rules, action, channels, values, row);
            if best.as_ref().is_none_or(|(_, best)| prospect.beats(best)) {
                best = Some((set, prospect));
            }
        }
        if let Some((set, prospect)) = best {
            let offers: f64 = given.iter().map(|o| playbook.offers[*o].cost).sum();
            return Choice {
                action: action as i32,
                channel_set: set as i32,
                response: prospect.response,
                contact_cost: prospect.contact_cost,
                offer_cost: prospect.response * offers,
            };
        }
    }
    Choice::none()
}

/// The rate at which a customer answers a channel, and whether it is the customer's own.
pub(crate) fn rate(
    playbook: &Playbook,
    rules: &Rules,
    channel: usize,
    values: &impl Values,
    row: usize,
) -> (f64, bool) {
    let own = rules.channels[channel]
        .rate
        .map(|number| values.number(number, row))
        .filter(|rate| !rate.is_nan());
    match own {
        Some(rate) => (rate, true),
        None => (playbook.channels[channel].prior_response, false),
    }
}

/// What a channel set promises for one customer.
pub(crate) fn prospect(
    playbook: &Playbook,
    rules: &Rules,
    action: usize,
    channels: &[usize],
    values: &impl Values,
    row: usize,
) -> Prospect {
    let mut silence = 1.0;
    let mut contact_cost = 0.0;
    for &channel in channels {
        silence *= 1.0 - rate(playbook, rules, channel, values, row).0;
        contact_cost += playbook.channels[channel].cost;
    }
    let response = 1.0 - silence;
    let value = playbook.actions[action].response_value;
    Prospect {
        response,
        contact_cost,
        worth: value.map(|value| value * response - contact_cost),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::segments::Segments;
    use crate::strategy::testing::{AT_RISK, Row, Shop};
    use crate::strategy::{Condition, NoAction};
    use crate::time::AsOf;

    fn default_playbook(facts: &Facts<'_>) -> Playbook {
        Playbook::default_for(facts.vocabulary()).unwrap()
    }

    fn plan(rows: &[Row], change: impl FnOnce(&mut Playbook)) -> Plan {
        let shop = Shop::new(rows);
        let facts = shop.facts();
        let mut playbook = default_playbook(&facts);
        change(&mut playbook);
        match_actions(&playbook, &facts).unwrap()
    }

    fn offers(plan: &Plan, row: usize) -> Vec<&str> {
        plan.offers(row).iter().map(|o| o.id.as_str()).collect()
    }

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "{got} for {expected}");
    }

    #[test]
    fn each_tier_gets_what_it_calls_for() {
        let vip = Row {
            monetary_score: 5.0,
            ..AT_RISK
        };
        let middling = Row {
            monetary_score: 3.0,
            ..AT_RISK
        };
        let medium = Row { tier: 1, ..vip };
        let low = Row { tier: 0, ..vip };
        let plan = plan(&[vip, AT_RISK, middling, medium, low], |_| {});
        let ids: Vec<&str> = (0..5)
            .map(|r| plan.action(r).unwrap().id.as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "vip_rescue",
                "win_back",
                "win_back",
                "re_engage",
                "reward_loyalty"
            ]
        );
        assert_eq!(
            offers(&plan, 0),
            [
                "high_value_coupon",
                "personal_adviser",
                "exclusive_discount"
            ]
        );
        assert_eq!(offers(&plan, 1), ["winback_coupon"]);
        assert_eq!(offers(&plan, 2), ["high_value_coupon"]);
        assert_eq!(
            offers(&plan, 3),
            ["recommendation", "new_product_reminder", "tailored_offer"]
        );
        assert_eq!(offers(&plan, 4), ["bonus_points", "tier_upgrade"]);

        // By hand: P = 1 − 0.85 × 0.92 over phone and message.
        assert_eq!(plan.channels(0), ["phone", "one_to_one"]);
        close(plan.expected_response()[0], 0.218);
        close(plan.contact_cost()[0], 5.2);
        close(plan.offer_cost()[0], 0.218 * 80.0);
    }

    #[test]
    fn channels_follow_how_the_customer_responds() {
        let answers = |sms_response_rate| Row {
            sms_response_rate,
            ..AT_RISK
        };
        let rows = [answers(f64::NAN), answers(0.5), answers(0.0)];
        let plan = plan(&rows, |p| p.channels[0].prior_response = 0.001);
        // Usual rates: 40 × (1 − 0.999 × 0.97) − 0.25 = 0.9888 against 1.15 for SMS alone.
        assert_eq!(plan.channels(0), ["sms"]);
        close(plan.expected_response()[0], 0.03);
        assert_eq!(plan.channels(1), ["sms"]);
        close(plan.expected_response()[1], 0.5);
        // Never answers SMS: e-mail is worth 0.79, with retargeting 0.682, messages less than 0.
        assert_eq!(plan.channels(2), ["email"]);
    }

    #[test]
    fn without_a_response_value_the_best_chance_wins_then_the_cheaper_then_the_first() {
        let plan = plan(&[AT_RISK; 2], |p| {
            p.actions[1].response_value = None;
            p.actions[1].channel_sets = [["email"], ["one_to_one"], ["sms"], ["push"]]
                .iter()
                .map(|set| set.iter().map(|c| (*c).to_owned()).collect())
                .collect();
            p.channels[0].prior_response = 0.03;
            p.channels[1].cost = p.channels[3].cost;
        });
        // One-to-one, SMS and push are answered alike; SMS and push cost the same.
        assert_eq!(plan.channels(0), ["sms"]);
        assert_eq!(plan.channel_set_codes(), [2, 2]);
    }

    #[test]
    fn equal_worth_goes_to_the_first_set() {
        let plan = plan(&[AT_RISK], |p| {
            p.actions[1].channel_sets = vec![vec!["push".to_owned()], vec!["sms".to_owned()]];
            p.channels[3].cost = p.channels[1].cost;
        });
        assert_eq!(plan.channels(0), ["push"]);
    }

    #[test]
    fn equal_priorities_go_by_the_order_of_the_playbook() {
        let row = Row {
            monetary_score: 4.0,
            ..AT_RISK
        };
        let plan = plan(&[row], |p| p.actions[1].priority = 100);
        assert_eq!(plan.action(0).unwrap().id, "vip_rescue");
        let plan = self::plan(&[row], |p| {
            p.actions[1].priority = 101;
            p.offers[0].requires = Some("total_value > 1e6".to_owned());
            p.offers[1].requires = Some("monetary_score < 4".to_owned());
        });
        // The higher one has no offer for this customer, so the next one takes over.
        assert_eq!(plan.action(0).unwrap().id, "vip_rescue");
        assert_eq!(offers(&plan, 0), ["personal_adviser", "exclusive_discount"]);
    }

    #[test]
    fn nobody_is_left_without_a_reason() {
        let prospect = Row {
            orders: 0.0,
            lifecycle: 0,
            ..AT_RISK
        };
        let unknown = Row {
            orders: f64::NAN,
            ..AT_RISK
        };
        let plan = plan(&[prospect, unknown, AT_RISK], |p| {
            p.actions[1].channel_sets = vec![vec!["phone".to_owned()]];
            p.channels[5].requires = Some("monetary_score >= 3".to_owned());
        });
        let reasons = [
            Some(NoAction::NoAudience),
            Some(NoAction::NoAudience),
            Some(NoAction::NothingOpen),
        ];
        for (row, reason) in reasons.into_iter().enumerate() {
            assert_eq!(plan.no_action(row), reason, "{row}");
            assert_eq!(plan.action(row), None);
            assert!(plan.channels(row).is_empty() && plan.offers(row).is_empty());
        }
        assert_eq!(plan.action_codes(), [-1, -1, -1]);
        assert_eq!(plan.contact_cost(), [0.0; 3]);
    }

    #[test]
    fn rates_outside_their_domain_are_refused() {
        let row = Row {
            sms_response_rate: 1.5,
            ..AT_RISK
        };
        let shop = Shop::new(&[AT_RISK, row]);
        let facts = shop.facts();
        let error = match_actions(&default_playbook(&facts), &facts).unwrap_err();
        assert_eq!(
            error.to_string(),
            "table.sms_response_rate[1]: expected a response rate from 0 to 1, got 1.5"
        );
    }

    #[test]
    fn tables_of_other_customers_or_times_are_refused() {
        let (two, three) = (Shop::new(&[AT_RISK; 2]), Shop::new(&[AT_RISK; 3]));
        let error = Facts::new(&two.table, &three.scores, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
        let error = Facts::new(&two.table, &two.scores, &[&three.segments[1]]).unwrap_err();
        assert_eq!(error.what(), "segments.rfm_segment");
        let later = Segments::new(
            "tier",
            two.table.customers().clone(),
            AsOf::parse("2011-12-11").unwrap(),
            vec!["a".to_owned()],
            vec![0, 0],
        );
        let error = Facts::new(&two.table, &two.scores, &[&later.unwrap()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misaligned);
    }

    #[test]
    fn a_playbook_is_checked_against_the_facts() {
        let shop = Shop::new(&[AT_RISK]);
        let playbook = default_playbook(&shop.facts());
        let facts = Facts::new(&shop.table, &shop.scores, &[]).unwrap();
        let error = match_actions(&playbook, &facts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
    }

    fn row() -> impl Strategy<Value = Row> {
        let rate = prop_oneof![Just(f64::NAN), Just(0.0), 0.0..=1.0];
        (
            0.0..=1.0,
            0u32..3,
            0u32..6,
            0u32..7,
            0u32..4,
            prop_oneof![(1u32..6).prop_map(f64::from), Just(f64::NAN)],
            rate,
        )
            .prop_map(
                |(p, tier, rfm, lifecycle, orders, monetary_score, sms)| Row {
                    churn_probability: p,
                    tier,
                    rfm,
                    lifecycle,
                    orders: f64::from(orders),
                    total_value: 30.0 * f64::from(orders),
                    monetary_score,
                    sms_response_rate: sms,
                },
            )
    }

    /// The rules again, one customer at a time, from masks and names only.
    fn naive(playbook: &Playbook, facts: &Facts<'_>, row: usize) -> (Option<String>, f64) {
        let meets = |text: &Option<String>| {
            text.as_ref()
                .is_none_or(|t| Condition::parse(t).unwrap().holds(facts).unwrap()[row])
        };
        let mut actions: Vec<_> = playbook.actions.iter().collect();
        actions.sort_by_key(|action| -action.priority);
        for action in actions {
            let offer = |id: &String| playbook.offers.iter().find(|o| o.id == *id).unwrap();
            let channel = |id: &String| playbook.channels.iter().find(|c| c.id == *id).unwrap();
            let has_offer = action.offers.iter().any(|o| meets(&offer(o).requires));
            if !meets(&Some(action.audience.clone())) || !has_offer {
                continue;
            }
            let worths = action.channel_sets.iter().filter_map(|set| {
                let channels: Vec<_> = set.iter().map(channel).collect();
                if !channels.iter().all(|c| meets(&c.requires)) {
                    return None;
                }
                let sms = facts.column(4)[row];
                let silence: f64 = channels
                    .iter()
                    .map(|c| match c.id == "sms" && !sms.is_nan() {
                        true => 1.0 - sms,
                        false => 1.0 - c.prior_response,
                    })
                    .product();
                let cost: f64 = channels.iter().map(|c| c.cost).sum();
                Some(action.response_value.unwrap() * (1.0 - silence) - cost)
            });
            if let Some(worth) = worths.max_by(f64::total_cmp) {
                return (Some(action.id.clone()), worth);
            }
        }
        (None, 0.0)
    }

    proptest! {
        #[test]
        fn agrees_with_the_rules_applied_by_hand(rows in prop::collection::vec(row(), 1..30)) {
            let shop = Shop::new(&rows);
            let facts = shop.facts();
            let playbook = default_playbook(&facts);
            let plan = match_actions(&playbook, &facts).unwrap();
            for row in 0..rows.len() {
                let (action, worth) = naive(&playbook, &facts, row);
                prop_assert_eq!(plan.action(row).map(|a| a.id.clone()), action);
                let value = plan.action(row).and_then(|a| a.response_value).unwrap_or(0.0);
                let got = value * plan.expected_response()[row] - plan.contact_cost()[row];
                prop_assert!((got - worth).abs() < 1e-9, "{} for {}", got, worth);
                for id in plan.channels(row) {
                    let channel = playbook.channels.iter().find(|c| c.id == *id).unwrap();
                    if let Some(requires) = &channel.requires {
                        prop_assert!(Condition::parse(requires)?.holds(&facts)?[row]);
                    }
                }
                let given = offers(&plan, row);
                for group in &playbook.conflicts {
                    let together = given.iter().filter(|o| group.iter().any(|g| g == *o)).count();
                    prop_assert!(together <= 1);
                }
            }
        }

        #[test]
        fn order_of_rows_and_threads_do_not_matter(rows in prop::collection::vec(row(), 1..30)) {
            let reversed: Vec<Row> = rows.iter().rev().copied().collect();
            let (forward, backward) = (plan(&rows, |_| {}), plan(&reversed, |_| {}));
            let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let alone = single.install(|| plan(&rows, |_| {}));
            for row in 0..rows.len() {
                let mirror = rows.len() - 1 - row;
                for (other, at) in [(&alone, row), (&backward, mirror)] {
                    prop_assert_eq!(forward.action_codes()[row], other.action_codes()[at]);
                    prop_assert_eq!(
                        forward.expected_response()[row].to_bits(),
                        other.expected_response()[at].to_bits()
                    );
                    let why = |plan: &Plan, row| plan.why(row, crate::text::Language::Chinese);
                    prop_assert_eq!(why(&forward, row), why(other, at));
                }
            }
            prop_assert_eq!(forward.summary(), backward.summary());
        }
    }
}
