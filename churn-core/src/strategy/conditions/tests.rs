//! Conditions as a whole: against a naive evaluator, and against all assignments of a grid.

use proptest::prelude::*;

use super::syntax::{Position, parse};
use super::*;
use crate::error::ErrorKind;
use crate::features::FeatureInfo;

const TIERS: [&str; 3] = ["low", "medium", "high"];
const COMPARISONS: [Comparison; 6] = [
    Comparison::Below,
    Comparison::AtMost,
    Comparison::Above,
    Comparison::AtLeast,
    Comparison::Equal,
    Comparison::NotEqual,
];
const CONSTANTS: [f64; 7] = [-1.0, 0.0, 2.0, 3.0, 5.0, 10.0, 11.0];

/// `x` from 0 to 10, `y` without bounds, `tier` with three labels.
fn vocabulary() -> Vocabulary {
    let x = FeatureInfo::new("x", "score", "")
        .at_least(0.0)
        .at_most(10.0);
    let y = FeatureInfo::new("y", "currency", "");
    Vocabulary::new()
        .with_features(&[x, y])
        .unwrap()
        .with_segmentation("tier", &TIERS)
        .unwrap()
}

/// One customer.
#[derive(Debug, Clone, Copy)]
struct Customer {
    x: f64,
    y: f64,
    tier: u32,
}

impl Values for Customer {
    fn number(&self, number: usize, _: usize) -> f64 {
        [0.5, self.x, self.y][number]
    }

    fn code(&self, _: usize, _: usize) -> u32 {
        self.tier
    }
}

/// Kleene's logic, straight from its table: `None` is unknown.
fn truth(expr: &Expr, customer: &Customer) -> Option<bool> {
    let number = |name: &str| if name == "x" { customer.x } else { customer.y };
    match expr {
        Expr::Everyone => Some(true),
        Expr::Compare {
            name,
            comparison,
            value,
            ..
        } => {
            let n = number(name);
            (!n.is_nan()).then(|| match comparison.symbol() {
                "<" => n < *value,
                "<=" => n <= *value,
                ">" => n > *value,
                ">=" => n >= *value,
                "==" => n == *value,
                _ => n != *value,
            })
        }
        Expr::Label { inside, labels, .. } => {
            let mine = TIERS[customer.tier as usize];
            Some(labels.iter().any(|(label, _)| label == mine) == *inside)
        }
        Expr::Defined { name, defined, .. } => Some(number(name).is_nan() != *defined),
        Expr::Not(inner) => truth(inner, customer).map(|t| !t),
        Expr::And(parts) => {
            let truths: Vec<_> = parts.iter().map(|p| truth(p, customer)).collect();
            if truths.contains(&Some(false)) {
                Some(false)
            } else if truths.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Expr::Or(parts) => {
            let truths: Vec<_> = parts.iter().map(|p| truth(p, customer)).collect();
            if truths.contains(&Some(true)) {
                Some(true)
            } else if truths.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
    }
}

/// All customers that can differ under conditions with these constants.
fn grid() -> Vec<Customer> {
    let between = [
        -2.0, -1.0, -0.5, 0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 10.5, 11.0, 12.0,
    ];
    let mut customers = Vec::new();
    for x in between.into_iter().chain([f64::NAN]) {
        if !(x.is_nan() || (0.0..=10.0).contains(&x)) {
            continue;
        }
        for y in between.into_iter().chain([f64::NAN]) {
            customers.extend((0..3).map(|tier| Customer { x, y, tier }));
        }
    }
    customers
}

fn expr() -> impl Strategy<Value = Expr> {
    let name = || prop::sample::select(vec!["x".to_owned(), "y".to_owned()]);
    let compare = (
        name(),
        prop::sample::select(COMPARISONS.to_vec()),
        prop::sample::select(CONSTANTS.to_vec()),
    )
        .prop_map(|(name, comparison, value)| Expr::Compare {
            name,
            at: Position(1),
            comparison,
            value,
        });
    let label = (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(prop::sample::select(TIERS.to_vec()), 1..4),
    )
        .prop_map(|(inside, list, mut labels)| {
            labels.truncate(if list { 3 } else { 1 });
            Expr::Label {
                name: "tier".to_owned(),
                at: Position(1),
                inside,
                list,
                labels: labels
                    .into_iter()
                    .map(|l| (l.to_owned(), Position(1)))
                    .collect(),
            }
        });
    let defined = (name(), any::<bool>()).prop_map(|(name, defined)| Expr::Defined {
        name,
        at: Position(1),
        defined,
    });
    let leaf = prop_oneof![
        6 => compare,
        3 => label,
        1 => defined,
        1 => Just(Expr::Everyone),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            prop::collection::vec(inner.clone(), 2..5).prop_map(Expr::And),
            prop::collection::vec(inner, 2..5).prop_map(Expr::Or),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_reading_agree(expr in expr()) {
        prop_assert_eq!(parse("condition", &expr.to_string()).unwrap(), expr);
    }

    #[test]
    fn any_name_label_and_number_survives(
        name in ".{0,12}",
        label in ".{0,12}",
        value in any::<f64>().prop_filter("finite", |v| v.is_finite()),
        list in any::<bool>(),
    ) {
        let expr = Expr::And(vec![
            Expr::Compare {
                name: name.clone(),
                at: Position(1),
                comparison: Comparison::AtMost,
                value,
            },
            Expr::Label {
                name,
                at: Position(1),
                inside: true,
                list,
                labels: vec![(label, Position(1))],
            },
        ]);
        // A number of 300 digits and a long name still fit the length limit.
        prop_assert_eq!(parse("condition", &expr.to_string()).unwrap(), expr);
    }

    #[test]
    fn garbage_is_an_error_never_a_panic(text in ".{0,60}") {
        let _ = Condition::parse(&text);
    }

    #[test]
    fn words_in_any_order_are_an_error_or_a_condition(words in prop::collection::vec(
        prop::sample::select(vec![
            "x", "tier", "and", "or", "not", "in", "is", "defined", "(", ")", "[", "]", ",",
            ">", "==", "5", "\"high\"", "everyone",
        ]),
        0..12,
    )) {
        if let Ok(condition) = Condition::parse(&words.join(" ")) {
            prop_assert_eq!(Condition::parse(&condition.to_string()).unwrap(), condition);
        }
    }

    #[test]
    fn evaluation_agrees_with_the_truth_tables(expr in expr()) {
        let vocabulary = vocabulary();
        let is_true = Formula::new("c", &expr, true, &vocabulary).unwrap();
        let is_false = Formula::new("c", &expr, false, &vocabulary).unwrap();
        let is_not_true = is_true.complement();
        for customer in grid() {
            let truth = truth(&expr, &customer);
            prop_assert_eq!(is_true.holds(&customer, 0), truth == Some(true));
            prop_assert_eq!(is_false.holds(&customer, 0), truth == Some(false));
            prop_assert_eq!(is_not_true.holds(&customer, 0), truth != Some(true));
            let mut leaves = Vec::new();
            is_true.deciding(&customer, 0, &mut leaves);
            let as_whole = |leaf: &&Formula| leaf.holds(&customer, 0) == (truth == Some(true));
            prop_assert!(leaves.iter().all(as_whole));
        }
    }

    /// On this grid every truth value that any customer can have occurs, so the answer must be
    /// right in both directions.
    #[test]
    fn never_is_said_exactly_when_nobody_can(expr in expr()) {
        let vocabulary = vocabulary();
        let formula = Formula::new("c", &expr, true, &vocabulary).unwrap();
        let someone = grid().iter().any(|customer| formula.holds(customer, 0));
        let possible = can_hold(&[&formula], &vocabulary) == Answer::Possible;
        prop_assert_eq!(possible, someone, "{}", expr);
        if !someone {
            let condition = Condition { expr };
            prop_assert!(condition.check(&vocabulary).is_err());
        }
    }

    #[test]
    fn any_other_customer_is_no_surprise(
        expr in expr(),
        x in prop_oneof![0.0..=10.0, Just(f64::NAN)],
        y in prop_oneof![-20.0..=20.0, any::<f64>()],
        tier in 0u32..3,
    ) {
        let vocabulary = vocabulary();
        let customer = Customer { x, y, tier };
        if truth(&expr, &customer) == Some(true) {
            let formula = Formula::new("c", &expr, true, &vocabulary).unwrap();
            prop_assert_eq!(can_hold(&[&formula], &vocabulary), Answer::Possible);
        }
    }
}

fn check(text: &str) -> Result<()> {
    Condition::parse(text)?.check(&vocabulary())
}

fn never(text: &str) -> String {
    let error = check(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{error}");
    assert_eq!(error.expected(), "a condition that some customer can meet");
    error.got().to_owned()
}

#[test]
fn contradictions_are_named() {
    assert_eq!(
        never("y > 5 and y < 3"),
        "`y > 5` and `y < 3`, which exclude each other"
    );
    assert_eq!(
        never("churn_probability > 1.2"),
        "`churn_probability > 1.2`, though churn_probability is from 0 to 1"
    );
    assert_eq!(
        never("tier == 'high' and y > 0 and tier == 'low'"),
        "`tier == \"high\"` and `tier == \"low\"`, which exclude each other"
    );
    assert_eq!(
        never("y >= 2 and y <= 2 and y != 2"),
        "`y >= 2` and `y <= 2` and `y != 2`, which exclude each other"
    );
    assert_eq!(
        never("x is undefined and not x > 3"),
        "`x is undefined` and `x <= 3`, which exclude each other"
    );
    assert_eq!(
        never("tier not in ['low', 'medium', 'high']"),
        "`tier in []`, which allows no label"
    );
    assert_eq!(never("not everyone"), "`not (everyone)`");
}

#[test]
fn mistakes_that_hide_behind_alternatives_are_found() {
    never("tier == 'high' or y > 5 and y < 3");
    never("not (x > 11) and y > 0");
    never("y > 0 and (x < 0 or tier == 'low')");
    // What only the surroundings rule out is no mistake of its own.
    check("x > 5 and not (x > 2 and y > 100)").unwrap();
    check("(x is undefined or x > 3) and x > 1").unwrap();
}

#[test]
fn bounds_themselves_are_allowed() {
    check("x >= 10").unwrap();
    check("x <= 0").unwrap();
    never("x > 10");
    never("x < 0");
}

#[test]
fn wrong_names_and_types_are_told_apart() {
    let error = |text| check(text).unwrap_err();
    assert_eq!(error("totl > 3").kind(), ErrorKind::UnknownName);
    assert_eq!(
        error("y > 0 and tier == 'hihg'").to_string(),
        "condition: expected one of low, medium, high, got \"hihg\" at character 19"
    );
    assert_eq!(
        error("tier > 3").to_string(),
        "condition: expected a number to compare, got the segmentation \"tier\" at character 1"
    );
    assert_eq!(
        error("y in ['a']").to_string(),
        "condition: expected a segmentation to compare with labels, got the number \"y\" at character 1"
    );
    assert_eq!(error("tier is defined").kind(), ErrorKind::InvalidParameter);
}

/// Nine pigeons and eight holes: nobody can meet it, but to know takes more paths than the budget.
#[test]
fn what_is_too_large_to_decide_counts_as_possible() {
    let pigeonholes = |pigeons: usize, holes: usize| {
        let features: Vec<FeatureInfo> = (0..holes)
            .map(|hole| FeatureInfo::new(format!("h{hole}"), "count", ""))
            .collect();
        let clauses: Vec<String> = (0..pigeons)
            .map(|pigeon| {
                let holes: Vec<String> = (0..holes).map(|h| format!("h{h} == {pigeon}")).collect();
                format!("({})", holes.join(" or "))
            })
            .collect();
        let vocabulary = Vocabulary::new().with_features(&features).unwrap();
        Condition::parse(&clauses.join(" and "))
            .unwrap()
            .check(&vocabulary)
    };
    pigeonholes(4, 4).unwrap();
    assert!(pigeonholes(5, 4).is_err());
    pigeonholes(9, 8).unwrap();
}
