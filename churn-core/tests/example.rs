//! The main job as a person runs it: the example's command line, on made and on real files.
#![cfg(feature = "csv")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// `cargo test` builds the examples beside the test programs; to run this file alone, run
/// `cargo build --examples` first.
fn winback(args: &[&str]) -> Output {
    example("winback", args)
}

fn example(name: &str, args: &[&str]) -> Output {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    Command::new(&path)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{} does not run: {e}", path.display()))
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("churn-example-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir.join(name)
}

#[test]
fn a_simulated_shop_is_told_in_tables_and_stories() {
    let text = stdout(&winback(&["--customers", "600"]));
    for part in [
        "Cleaning",
        "champions",
        "risk",
        "Plan as of",
        "Churn probability within 90 days",
        "Journeys from ",
        "held back by quiet_hours",
        "contacts per customer:",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert_eq!(text.matches("Customer ").count(), 3, "{text}");
    let again = stdout(&winback(&["--customers", "600"]));
    assert_eq!(text, again);
    let chinese = stdout(&winback(&["--customers", "600", "--language", "zh"]));
    assert!(chinese.contains("流失概率"), "{chinese}");
}

#[test]
fn from_an_experiment_to_a_campaign_that_pays() {
    let small = ["--seeds", "2", "--customers", "2000", "--budget", "500"];
    let text = stdout(&example("worked", &small));
    for part in [
        "Experiment: change of the share who buy again",
        "Uplift model: how much of the differences",
        "Expected profit",
        "Journey\n",
        "this campaign kept ",
        "  sms: ",
        "plan from the experiment",
        "risk first",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let profit = |name: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        let rest = line.trim_start().strip_prefix(name).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (best, planned) = (
        profit("the best possible"),
        profit("plan from the experiment"),
    );
    assert!(best >= planned && planned > profit("risk first"), "{text}");
    assert!(profit("everybody, no budget") < planned, "{text}");
    assert_eq!(text, stdout(&example("worked", &small)));
    let wrong = example("worked", &["--seeds", "many"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--seeds: cannot read"));
}

#[test]
fn a_file_with_other_names_gives_a_plan_file() {
    let (events, plan) = (scratch("events.csv"), scratch("plan.csv"));
    let mut file = String::from("who,day,what,Quantity,UnitPrice\n");
    for day in 1..=9 {
        file += &format!("ann,2021-0{day}-01,order_placed,2,9.50\n");
    }
    file += "bea,2021-12-20,order_placed,1,5\nbea,2021-12-21,view,30,1\n";
    fs::write(&events, file).unwrap();
    let text = stdout(&winback(&[
        "--events",
        events.to_str().unwrap(),
        "--as-of",
        "2022-01-01",
        "--out",
        plan.to_str().unwrap(),
        "--column",
        "customer=who",
        "--column",
        "time=day",
        "--column",
        "kind=what",
        "--column",
        "value=Quantity*UnitPrice",
        "--kind",
        "order_placed=purchase",
    ]));
    assert!(text.contains("purchases 176.00"), "{text}");
    let plan = fs::read_to_string(plan).unwrap();
    let rows: Vec<&str> = plan.lines().collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with("customer,as_of,churn_probability,"));
    assert!(
        rows[1].starts_with("ann,2022-01-01,0.") && rows[1].contains(",high,"),
        "{plan}"
    );
    assert!(rows[2].starts_with("bea,2022-01-01,0."), "{plan}");
}

#[test]
fn what_cannot_be_read_is_counted() {
    let events = scratch("unreadable.csv");
    fs::write(
        &events,
        "customer,time,value\n1,2021-01-01,5\n1,soon,7\n2,2021-01-02,much\n",
    )
    .unwrap();
    let text = stdout(&winback(&[
        "--events",
        events.to_str().unwrap(),
        "--lenient",
    ]));
    assert!(text.contains("unreadable cells               2"), "{text}");
    assert!(
        text.contains("missing_time                 1   money 7.00"),
        "{text}"
    );
}

#[test]
fn mistakes_are_said_plainly() {
    let said = |args: &[&str]| {
        let output = winback(args);
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = said(&["--frobnicate"]);
    assert_eq!(
        (code, text.contains("unknown option")),
        (Some(2), true),
        "{text}"
    );
    let (code, text) = said(&["--events", "no-such-file.csv"]);
    assert_eq!(
        (code, text.contains("no-such-file.csv")),
        (Some(1), true),
        "{text}"
    );

    let events = scratch("bad.csv");
    fs::write(&events, "customer,time,kind\n1,2021-01-01,bought\n").unwrap();
    let (code, text) = said(&["--events", events.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("events.kind[0]") && text.contains("\"bought\""),
        "{text}"
    );
}

#[test]
fn real_shops_run_through() {
    let Some(folder) = std::env::var_os("CHURN_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: real_shops_run_through needs the folder CHURN_DATA");
        return;
    };
    let cdnow = folder.join("cdnow/cdnow_transactions.csv.gz");
    let text = stdout(&winback(&[
        "--events",
        cdnow.to_str().unwrap(),
        "--column",
        "customer=customer_id",
        "--column",
        "time=date",
        "--column",
        "value=amount",
    ]));
    assert!(
        text.contains("purchases 2500315.63") && text.contains("23570 customers"),
        "{text}"
    );
    let retail = folder.join("online_retail/online_retail.csv.gz");
    let text = stdout(&winback(&[
        "--events",
        retail.to_str().unwrap(),
        "--column",
        "customer=CustomerID",
        "--column",
        "time=InvoiceDate",
        "--column",
        "value=Quantity*UnitPrice",
        "--column",
        "order=InvoiceNo",
        "--column",
        "item=StockCode",
        "--negative",
        "refund",
    ]));
    assert!(
        text.contains("missing_customer") && text.contains("135080"),
        "{text}"
    );
    assert!(text.contains("purchases 8911407.90"), "{text}");
}
