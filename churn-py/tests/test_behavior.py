"""Retention, lifecycle over time, stickiness: the golden files, and SQL on real logs."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from test_golden import log, same, some

import churn

FOLDER = Path(__file__).parents[2] / "churn-core" / "tests" / "golden" / "behavior"
FILES = sorted(FOLDER.glob("*.json"))

Inputs = dict[str, Any]


def retention(inputs: Inputs) -> Any:
    table = churn.retention(log(inputs), inputs["as_of"], **inputs.get("retention", {}))
    shape = len(table.cohorts), len(table.periods)
    whole = table.column("retained").reshape(shape)
    retained = [[None if np.isnan(n) else int(n) for n in row] for row in whole]
    return {
        "cohorts": table.cohorts,
        "sizes": table.column("size").reshape(shape)[:, 0].astype(int).tolist(),
        "periods": [list(pair) for pair in table.periods],
        "retained": retained,
        "complete": table.column("complete").reshape(shape).astype(bool).tolist(),
        "weighted": [some(x) for x in table.curve()],
        "simple": [some(x) for x in table.curve("simple")],
    }


def lifecycle(inputs: Inputs) -> Any:
    settings = inputs.get("lifecycle_over_time", {})
    table = churn.lifecycle_over_time(log(inputs), inputs["as_of"], **settings)
    names = ["new", "returning", "resurrecting", "dormant"]
    return {
        "periods": table.column("period").tolist(),
        **{name: table.column(name).astype(int).tolist() for name in names},
        "complete": table.column("complete").astype(bool).tolist(),
    }


def stickiness(inputs: Inputs) -> Any:
    table = churn.stickiness(log(inputs), inputs["as_of"], **inputs.get("stickiness", {}))
    return {
        "customers": table.column("customers").astype(int).tolist(),
        "ratio": table.ratio,
        "complete": table.complete,
    }


OPERATIONS = {
    "behavior.lifecycle": lifecycle,
    "behavior.retention": retention,
    "behavior.stickiness": stickiness,
}


def test_every_operation_has_a_file():
    assert {json.loads(file.read_text())["operation"] for file in FILES} == set(OPERATIONS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file(file):
    golden = json.loads(file.read_text())
    for case in golden["cases"]:
        inputs = golden["inputs"] | case["inputs"]
        answer = OPERATIONS[golden["operation"]](inputs)
        same(case["expected"], answer, case["tolerance"], case["name"])


def test_tables_cross_over(shop):
    table = churn.retention(churn.EventLog(shop), period="month", start_kinds=[], return_kinds=[])
    frame = pd.DataFrame(table.to_dict())
    assert list(frame["cohort"].unique()) == table.cohorts
    assert table.matrix().shape == (len(table.cohorts), 13)
    assert np.isnan(table.matrix()[-1, 1]) and "Retention(" in repr(table)
    with pytest.raises(churn.UnknownNameError, match="Europe/Berlin"):
        churn.stickiness(churn.EventLog(shop), time_zone="Europe/Berlyn")
    with pytest.raises(churn.InvalidParameterError, match="retention.periods"):
        churn.retention(churn.EventLog(shop), periods=0)
    with pytest.raises(churn.NotEnoughDataError):
        churn.lifecycle_over_time(churn.EventLog(shop), "1999-01-01")


# ---- SQL on real logs ----


def cdnow(folder: Path) -> tuple[churn.EventLog, str]:
    path = str(folder / "cdnow" / "cdnow_transactions.csv.gz")
    names = {"customer": "customer_id", "time": "date", "value": "amount"}
    sql = f"select customer_id c, cast(date as timestamp) t, true s from read_csv('{path}')"
    return churn.EventLog.from_csv(path, names=names), sql


def simple_shop(folder: Path) -> tuple[churn.EventLog, str]:
    path = str(folder / "simple_shop" / "simple_shop.csv.gz")
    events = duckdb.sql(f"select * from read_csv('{path}') where event <> 'lost'").df()
    bought = events["event"] == "payment_done"
    data = {
        "customer": events["user_id"].to_numpy(),
        "time": events["timestamp"].to_numpy(),
        "kind": np.where(bought, "purchase", "view").tolist(),
        "value": np.where(bought, 1.0, 0.0),
    }
    sql = f"""
        select user_id c, timestamp t, event = 'payment_done' s
        from read_csv('{path}') where event <> 'lost'
    """
    return churn.EventLog(data), sql


SHOPS = {
    "cdnow": (cdnow, "1998-06-10T12:00:00", ["purchase"]),
    "simple_shop": (simple_shop, "2020-04-15T12:00:00", []),
}


@pytest.fixture(scope="module", params=SHOPS, ids=str)
def real(request, data_folder):
    make, as_of, kinds = SHOPS[request.param]
    events, sql = make(data_folder)
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.execute(f"create table e as select * from ({sql}) where t < timestamp '{as_of}'")
    return events, db, as_of, kinds


# The same periods in the library and in SQL.
PERIODS = [
    ("day", "UTC", "monday", "cast({t} as date)"),
    ("week", "UTC", "monday", "cast(date_trunc('week', {t}) as date)"),
    ("week", "UTC", "sunday", "cast(date_trunc('week', {t} + interval 1 day) as date) - 1"),
    ("month", "UTC", "monday", "cast(date_trunc('month', {t}) as date)"),
    ("day", "Asia/Tokyo", "monday", "cast({t} + interval 9 hour as date)"),
]


@pytest.mark.parametrize("period, zone, week_start, expression", PERIODS)
@pytest.mark.parametrize("how", ["n_day", "unbounded"])
@pytest.mark.parametrize("cohorts", ["first_time", "recurring"])
def test_retention_against_sql(real, period, zone, week_start, expression, how, cohorts):
    events, db, as_of, kinds = real
    table = churn.retention(
        events,
        as_of,
        period=period,
        time_zone=zone,
        week_start=week_start,
        retention=how,
        cohorts=cohorts,
        periods=8,
        start_kinds=kinds,
        return_kinds=kinds,
    )
    when = expression.format(t="t")
    step = {"day": "n", "week": "7 * n", "month": "null"}[period]
    shifted = f"p + {step}" if period != "month" else "cast(p + to_months(n) as date)"
    relation = "=" if how == "n_day" else ">="
    begins = "min(p)" if cohorts == "first_time" else "unnest(list(distinct p))"
    sql = f"""
        with active as (select distinct c, {when} p from e),
        members as (select c, {begins} p from active group by c),
        asked as (select c, p, cast(unnest(range(1, 9)) as integer) n from members)
        select cast(a.p as text) cohort, n, count(b.c) kept, count(distinct a.c) size
        from asked a left join (select c bc, p q, c from active) b
            on b.bc = a.c and b.q {relation} {shifted.replace("p +", "a.p +")}
        group by 1, 2
    """
    if how == "unbounded":
        sql = sql.replace("count(b.c) kept", "count(distinct b.c) kept")
    expected = {(p, n): (kept, size) for p, n, kept, size in db.execute(sql).fetchall()}
    frame = pd.DataFrame(table.to_dict())
    compared = 0
    for row in frame.itertuples():
        if row.from_period == 0:
            continue
        if row.size == 0:
            assert (row.cohort, row.from_period) not in expected
        elif not np.isnan(row.retained):
            assert expected[row.cohort, row.from_period] == (row.retained, row.size)
            compared += 1
    assert compared >= 10
    assert {p for p, _ in expected} == set(frame[frame["size"] > 0]["cohort"])


@pytest.mark.parametrize("period, zone, week_start, expression", PERIODS)
def test_lifecycle_and_stickiness_against_sql(real, period, zone, week_start, expression):
    events, db, as_of, kinds = real
    settings = {"period": period, "time_zone": zone, "week_start": week_start, "kinds": kinds}
    table = churn.lifecycle_over_time(events, as_of, **settings)
    when = expression.format(t="t")
    before = {"day": "p - 1", "week": "p - 7", "month": "cast(p - interval 1 month as date)"}
    after = {"day": "p + 1", "week": "p + 7", "month": "cast(p + interval 1 month as date)"}
    sql = f"""
        with active as (select distinct c, {when} p from e),
        born as (select c, min({when}) b from e group by c),
        states as (
            select p, count(*) filter (p = b) as fresh,
                count(*) filter (p <> b and exists (
                    from active x where x.c = a.c and x.p = {before[period].replace("p", "a.p")}
                )) as stayed,
                count(*) filter (p <> b and not exists (
                    from active x where x.c = a.c and x.p = {before[period].replace("p", "a.p")}
                )) as back
            from active a join born using (c) group by p
        ),
        gone as (
            select {after[period]} p, count(*) as silent from active a where not exists (
                from active x where x.c = a.c and x.p = {after[period].replace("p", "a.p")}
            ) group by 1
        )
        select cast(p as text), coalesce(fresh, 0), coalesce(stayed, 0), coalesce(back, 0),
            coalesce(silent, 0)
        from states full join gone using (p) order by p
    """
    expected = {row[0]: row[1:] for row in db.execute(sql).fetchall()}
    names = ["new", "returning", "resurrecting", "dormant"]
    cells = zip(*[table.column(name).astype(int).tolist() for name in names])
    got = dict(zip(table.column("period").tolist(), cells))
    for label, counts in got.items():
        assert counts == expected.get(label, (0, 0, 0, 0)), label
    # What SQL counts as dormant after the last period has not begun.
    assert set(expected) - set(got) <= {max(expected)}

    sticky = churn.stickiness(events, as_of, **settings)
    sql = f"select k, count(*) from (select count(distinct {when}) k from e group by c) group by k"
    counts = dict(db.execute(sql).fetchall())
    got = {k + 1: n for k, n in enumerate(sticky.column("customers").astype(int)) if n}
    assert got == counts
