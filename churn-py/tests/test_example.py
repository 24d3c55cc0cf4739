"""The main job in Python runs, and the plan file it writes is the one that the module gives."""

import pathlib
import subprocess
import sys

import churn

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def run(*words: str, example: str = "winback.py") -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *words], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_simulated_shop():
    out = run()
    assert "vip_rescue" in out and out.count("Customer ") == 3


def test_from_an_experiment_to_a_campaign_that_pays():
    out = run("--customers", "2500", "--budget", "600", example="worked.py")
    profit = {
        name: float(line.split(name)[1].split()[0])
        for name in ("the best possible", "plan from the experiment", "risk first", "everybody, no budget")
        for line in out.splitlines()
        if line.strip().startswith(name)
    }
    assert profit["the best possible"] >= profit["plan from the experiment"] > profit["risk first"]
    assert profit["everybody, no budget"] < profit["plan from the experiment"]
    assert "contacted for" in out and "95 % interval" in out


def test_a_file_with_other_names(tmp_path):
    events, plan = tmp_path / "events.csv", tmp_path / "plan.csv"
    rows = [f"ann,2021-0{month}-01,buy,19" for month in range(1, 10)]
    rows += ["bea,2021-12-20,buy,5", "bea,2021-12-21,view,30", ",2021-12-21,view,30"]
    events.write_text("who,time,what,value\n" + "\n".join(rows) + "\n")
    out = run(
        str(events), "--as-of", "2022-01-01", "--out", str(plan),
        "--column", "customer=who", "--column", "kind=what", "--kind", "buy=purchase",
    )
    assert "dropped 1 rows: missing_customer" in out
    lines = plan.read_text().splitlines()
    assert len(lines) == 3 and lines[1].startswith("ann,2022-01-01,0.")
    log = churn.EventLog.from_csv(
        events, names={"customer": "who", "kind": "what"}, kinds={"buy": "purchase"}
    )
    assert plan.read_bytes() == churn.winback(log, "2022-01-01").plan_csv()


def test_without_as_of_the_whole_log_is_the_past():
    log = churn.EventLog({"customer": [1, 2], "time": [10, 11]}, names={"time_unit": "day"})
    assert str(churn.winback(log).plan.as_of.date()) == "1970-01-13"
