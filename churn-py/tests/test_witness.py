"""Every number against an outside witness on real shops: DuckDB's SQL, lifetimes, scipy.

The SQL reads the same files as the library and shares nothing with it but the definitions in the
feature catalogue. Values are compared customer by customer.
"""

import importlib.util
import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import churn

GOLDEN = Path(__file__).parents[2] / "churn-core" / "tests" / "golden"
WINDOWS = [7, 30, 90, 365]
DAY = "86400e6"


@dataclass
class Shop:
    """One data set, as of one instant: the library's answers and the same events in DuckDB."""

    log: churn.EventLog
    table: churn.FeatureTable
    db: duckdb.DuckDBPyConnection
    as_of: pd.Timestamp

    def compare(self, name: str, expression: str, source="buys", empty="NULL") -> None:
        """Compares one feature with an aggregate over one customer's rows of `source`."""
        sql = f"""
            select coalesce(x, {empty}) from people
            left join (select c, {expression} x from {source} group by c) using (c) order by c
        """
        got = self.table.column(name)
        expected = np.array(
            [np.nan if x is None else float(x) for (x,) in self.db.execute(sql).fetchall()]
        )
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-7, err_msg=name)
        assert np.isfinite(expected).any(), f"{name} is never defined, so nothing was compared"

    def micros(self, days_before: int = 0) -> int:
        return (self.as_of - pd.Timedelta(days=days_before)).value // 1000


# Files, and events as (c, t in microseconds, kind, value, o = order).
SHOPS = {
    "cdnow": (
        "cdnow/cdnow_transactions.csv.gz",
        {"names": {"customer": "customer_id", "time": "date", "value": "amount"}},
        """
        select cast(customer_id as text) c, epoch_us(cast(date as timestamp)) t,
               'purchase' kind, cast(amount as double) v, cast(date as text) o
        from read_csv(?, all_varchar = true)
        """,
    ),
    "online_retail": (
        "online_retail/online_retail.csv.gz",
        {
            "names": {
                "customer": "CustomerID",
                "time": "InvoiceDate",
                "value": "Quantity*UnitPrice",
                "order": "InvoiceNo",
                "item": "StockCode",
            },
            "negative_value": "refund",
        },
        """
        with lines as (
            select CustomerID c, epoch_us(cast(InvoiceDate as timestamp)) t,
                   cast(Quantity as double) * cast(UnitPrice as double) v, InvoiceNo o
            from read_csv(?, all_varchar = true) where CustomerID is not null
        )
        select c, t, if(v < 0, 'refund', 'purchase') kind, abs(v) v, o from lines
        """,
    ),
}


@pytest.fixture(
    scope="module",
    params=[
        ("cdnow", "1997-10-01"),
        ("cdnow", "1998-07-01"),
        ("online_retail", "2011-06-15T12:30:00"),
        ("online_retail", "2011-12-10"),
    ],
    ids=lambda param: f"{param[0]}-{param[1][:10]}",
)
def shop(request, data_folder) -> Shop:
    name, as_of = request.param
    file, settings, sql = SHOPS[name]
    path = str(data_folder / file)
    log = churn.EventLog.from_csv(path, **settings)
    table = log.features(as_of, windows_days=WINDOWS)
    db = duckdb.connect()
    as_of = pd.Timestamp(as_of)
    db.execute(f"create table e as select * from ({sql}) where t < {as_of.value // 1000}", [path])
    db.execute("create table people as select distinct c from e")
    db.execute("create view buys as select * from e where kind = 'purchase'")
    db.execute("create view refunds as select * from e where kind = 'refund'")
    db.execute("create table orders as select c, o, min(t) t from buys group by c, o")
    db.execute("create table days as select c, t // 86400000000 d, sum(v) v from buys group by all")
    assert table.customers.to_list() == [
        c for (c,) in db.execute("select c from people order by c").fetchall()
    ]
    return Shop(log, table, db, as_of)


def test_recency_frequency_money(shop):
    now = shop.micros()
    shop.compare("days_since_last", f"({now} - max(t)) / {DAY}")
    shop.compare("recency", f"(max(t) - min(t)) / {DAY}")
    shop.compare("age", f"({now} - min(t)) / {DAY}")
    shop.compare("frequency", "count(*) - 1", "days", "0")
    shop.compare("orders", "count(*)", "orders", "0")
    shop.compare("total_value", "sum(v)", empty="0")
    shop.compare("net_value", "sum(if(kind = 'refund', -v, v))", "e", "0")
    shop.compare("mean_order_value", "sum(v) / count(distinct o)")
    later = "(select *, d > min(d) over (partition by c) as later from days)"
    shop.compare(
        "monetary_value", "coalesce(sum(v) filter (later) / count(*) filter (later), 0)", later, "0"
    )


@pytest.mark.parametrize(
    ("score", "value", "descending"),
    [
        ("recency_score", "days_since_last", True),
        ("frequency_score", "orders", False),
        ("monetary_score", "total_value", False),
    ],
)
def test_scores(shop, score, value, descending):
    """The smallest value that at least k fifths of the buyers are not above, k = 1 to 4."""
    values = np.asarray(shop.table.column(value))
    buyers = shop.table.column("orders") > 0
    # Cuts lie at observed values; rounding takes away what differs in the order of the additions.
    frame = pd.DataFrame({"x": np.round(values[buyers], 6)})
    con = duckdb.connect()
    con.register("frame", frame)
    cuts = con.execute("""
        with ranks as (select x, cume_dist() over (order by x) share from frame)
        select min(x) filter (share >= 0.2), min(x) filter (share >= 0.4),
               min(x) filter (share >= 0.6), min(x) filter (share >= 0.8) from ranks
    """).fetchone()
    below = sum((frame["x"].to_numpy() > cut).astype(float) for cut in cuts)
    expected = np.full(len(values), np.nan)
    expected[buyers] = 5 - below if descending else 1 + below
    np.testing.assert_array_equal(shop.table.column(score), expected)
    assert len(np.unique(expected[buyers])) > 2


@pytest.mark.parametrize("days", WINDOWS)
def test_windows_and_trends(shop, days):
    now = f"t >= {shop.micros(days)}"
    before = f"t >= {shop.micros(2 * days)} and t < {shop.micros(days)}"

    def trend(amount: str) -> str:
        a, b = f"coalesce({amount} filter ({now}), 0)", f"coalesce({amount} filter ({before}), 0)"
        return f"if({a} + {b} > 0, ({a} - {b}) / ({a} + {b}), 0)"

    shop.compare(f"orders_{days}d", f"count(*) filter ({now})", "orders", "0")
    shop.compare(f"value_{days}d", f"coalesce(sum(v) filter ({now}), 0)", empty="0")
    shop.compare(f"orders_trend_{days}d", trend("count(*)"), "orders", "0")
    shop.compare(f"value_trend_{days}d", trend("sum(v)"), empty="0")


def test_gaps(shop):
    shop.compare("gaps", "count(*) - 1", "days", "0")


def test_regular_then_silent(shop):
    start = [
        f"epoch_us(timestamp '{shop.as_of}' - interval {months} month)" for months in range(5)
    ]
    month = [f"bool_or(t >= {start[k]} and t < {start[k - 1]})" for k in (1, 2, 3, 4)]
    pattern = f"cast(not {month[0]} and {month[1]} and {month[2]} and {month[3]} as int)"
    shop.compare("regular_then_silent", pattern, empty="0")
    assert shop.table.column("regular_then_silent").sum() > 0


def test_refunds(shop):
    if shop.log.report["refunds_kept"] == 0:
        assert not shop.table.column("refunds").any()
        return
    shop.compare("refunds", "count(*)", "refunds", "0")
    refunded, bought = (f"sum(v) filter (kind = '{kind}')" for kind in ("refund", "purchase"))
    # Refunds of nothing bought count as everything refunded.
    rate = f"if({refunded} > 0, coalesce({refunded} / nullif({bought}, 0), 1), 0)"
    shop.compare("refund_rate", f"least(1, {rate})", "e", "0")


def test_silence(shop):
    """What the purchase clock says, from the population that it learned and purchase days alone."""
    spec = importlib.util.spec_from_file_location("purchase_clock", GOLDEN / "purchase_clock.py")
    witness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(witness)
    prior = json.loads(shop.table.population.to_json())["gaps"]
    clock = witness.Clock(prior)
    sql = f"""
        select list(distinct t // 86400000000 order by t // 86400000000), max(t) / {DAY}
        from people left join buys using (c) group by c order by c
    """
    rows = shop.db.execute(sql).fetchall()
    now = shop.micros() / 86400e6
    names = ["silence_tail", "expected_next_days", "overdue_p80_days", "overdue_p95_days"]
    expected = []
    for days, last in rows:
        if last is None:
            expected.append([np.nan] * 4)
            continue
        silence = clock.silence(last, now)
        expected.append([clock.tail(days, silence), *clock.due(days, silence)])
    for name, values in zip(names, np.array(expected).T, strict=True):
        np.testing.assert_allclose(
            shop.table.column(name), values, rtol=1e-8, atol=1e-8, err_msg=name
        )
    assert np.isfinite(shop.table.column("gap_mean")).sum() > 1000


@pytest.mark.parametrize(
    ("settings", "freq", "multiplier"),
    [({}, "D", 1), ({"time_scale": 7.0}, "D", 7), ({"period_days": 7}, "W", 1)],
    ids=["days", "days-in-weeks", "weeks"],
)
def test_summary(shop, settings, freq, multiplier):
    ours = shop.log.summarize(shop.as_of.isoformat(), **settings)
    frame = shop.db.execute("select c, make_timestamp(t) t, v from buys").df()
    with warnings.catch_warnings():
        # lifetimes has not followed the warnings of newer pandas and numpy.
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        theirs = summary_data_from_transaction_data(
            frame,
            "c",
            "t",
            "v",
            observation_period_end=shop.as_of - pd.Timedelta(microseconds=1),
            freq=freq,
            freq_multiplier=multiplier,
        ).sort_index()
    assert ours.customers.to_list() == list(theirs.index)
    for name, column in [("frequency",) * 2, ("recency",) * 2, ("age", "T")]:
        np.testing.assert_allclose(ours.column(name), theirs[column], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(
        ours.column("monetary_value"), theirs["monetary_value"], rtol=1e-9, atol=1e-9
    )


def test_published_summary_of_cdnow(data_folder):
    """The summary that Fader & Hardie published with the sample: 1997-01-01 to 09-30, in weeks."""
    log = churn.EventLog.from_csv(
        str(data_folder / "cdnow/cdnow_sample_transactions.csv.gz"),
        names={"customer": "sample_id", "time": "date", "value": "amount"},
    )
    ours = log.summarize("1997-10-01", time_scale=7.0)
    theirs = pd.read_csv(data_folder / "cdnow/cdnow_summary.csv", dtype={"sample_id": str})
    theirs = theirs.set_index("sample_id").sort_index()
    assert ours.customers.to_list() == list(theirs.index)
    np.testing.assert_array_equal(ours.column("frequency"), theirs["frequency"])
    np.testing.assert_allclose(ours.column("recency"), theirs["recency_weeks"], atol=0.0051)
    np.testing.assert_allclose(ours.column("age"), theirs["age_weeks"], atol=0.0051)
    np.testing.assert_allclose(
        ours.column("monetary_value"), theirs["mean_repeat_value"], atol=0.0051
    )


def test_published_facts_of_online_retail(data_folder):
    """Counts and money of the published description of the data."""
    file, settings, _ = SHOPS["online_retail"]
    log = churn.EventLog.from_csv(str(data_folder / file), **settings)
    report = log.report
    assert report["rows_in"] == 541_909
    assert report["dropped"]["missing_customer"]["rows"] == 135_080
    assert len(log.customers) == 4_372
    assert report["purchases_kept"] == pytest.approx(8_911_407.90, abs=0.01)


def test_the_witness_of_the_golden_files_still_agrees():
    """The program that computed the golden answers gives them again."""
    spec = importlib.util.spec_from_file_location("golden_witness", GOLDEN / "witness.py")
    witness = importlib.util.module_from_spec(spec)
    sys.modules["golden_witness"] = witness
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(witness)
        assert witness.main(write=False) == []
