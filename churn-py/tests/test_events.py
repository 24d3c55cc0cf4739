"""The event log: every kind of data gives the same log, cleaned as the settings say."""

import datetime as dt
import decimal
import gzip

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import random_events

import churn


def as_frames(columns: dict[str, list[object]]) -> dict[str, object]:
    """The same rows in every form that the package takes."""
    times = np.array(columns["time"], dtype="M8[us]")
    typed = {**columns, "time": times}
    table = pa.table(typed)
    pandas = pd.DataFrame(typed)
    return {
        "dict of lists": columns,
        "dict of datetimes": {**columns, "time": times.tolist()},
        "dict of arrays": {
            **typed,
            "customer": np.array(columns["customer"], dtype=object),
            "value": np.array(columns["value"], dtype=object),
        },
        "pandas": pandas,
        "pandas, categorical": pandas.astype({"kind": "category", "channel": "category"}),
        "pandas, zoned": pandas.assign(time=pandas["time"].dt.tz_localize("UTC")),
        "polars": pl.DataFrame(typed),
        "polars, categorical": pl.DataFrame(typed).cast({"kind": pl.Categorical}),
        "polars, milliseconds": pl.DataFrame(typed).cast({"time": pl.Datetime("ms")}),
        "pyarrow": table,
        "pyarrow, chunked": pa.concat_tables([table.slice(0, 3), table.slice(3)]),
        "duckdb": duckdb.sql("select * from pandas"),
    }


def test_every_kind_of_data_gives_the_same_log(shop):
    logs = {name: churn.EventLog(data) for name, data in as_frames(shop).items()}
    expected = logs["dict of lists"]
    assert len(expected) == 6
    assert list(expected.customers) == ["ann", "bea", "cem"]
    assert expected.channels == ["email"]
    for name, log in logs.items():
        assert log == expected, name
        assert log.report == expected.report, name


def test_nulls_are_counted_by_reason(shop):
    report = churn.EventLog(shop).report
    assert report["rows_in"] == 7
    assert report["rows_kept"] == 6
    assert report["rows_dropped"] == 1
    assert report["dropped"]["missing_customer"] == {"rows": 1, "money": 7.0}
    assert report["purchases_kept"] == 10.5 + 99.0 + 12.0
    assert report["refunds_kept"] == 4.25


def test_order_of_rows_does_not_matter():
    events = random_events(5_000, 300, seed=1)
    shuffled = np.random.default_rng(2).permutation(5_000)
    log = churn.EventLog(events)
    assert log == churn.EventLog({name: column[shuffled] for name, column in events.items()})
    assert log != churn.EventLog({name: column[1:] for name, column in events.items()})


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_ids_of_every_integer_type(dtype):
    ids = np.array([3, 1, 3], dtype=dtype)
    log = churn.EventLog({"customer": ids, "time": np.array([1, 2, 3], dtype="M8[D]")})
    assert log.customers.to_list() == [1, 3]
    assert (3 in log.customers, 2 in log.customers, "3" in log.customers) == (True, False, False)
    assert log.customers.row(np.int64(3)) == 1
    # Every other element, so that the buffer has gaps.
    strided = np.repeat(ids, 2)[::2]
    times = np.repeat(np.array([1, 2, 3], dtype="M8[D]"), 2)[::2]
    assert churn.EventLog({"customer": strided, "time": times}) == log


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "m", "s", "10s", "ms", "us", "ns"])
def test_times_of_every_unit(unit):
    times = np.array(["1999-01-01", "2003-01-01", "NaT"], dtype=f"M8[{unit}]")
    log = churn.EventLog({"customer": [1, 2, 3], "time": times})
    utc = dt.timezone.utc
    expected = (dt.datetime(1999, 1, 1, tzinfo=utc), dt.datetime(2003, 1, 1, tzinfo=utc))
    assert log.time_range == expected
    assert log.report["dropped"]["missing_time"]["rows"] == 1


def test_lists_may_hold_any_numbers_and_instants():
    day = dt.date(2020, 5, 1)
    zoned = dt.datetime(2020, 5, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    instants = [day, zoned, pd.Timestamp("2020-05-01"), np.datetime64("2020-05-01"), pd.NaT]
    money = [1, 2.5, decimal.Decimal("3.25"), np.float32(4.5), np.int8(5)]
    log = churn.EventLog({"customer": [1] * 5, "time": instants, "value": money})
    midnight = dt.datetime(2020, 5, 1, tzinfo=dt.timezone.utc)
    assert log.time_range == (midnight, midnight)
    assert log.report["purchases_kept"] == 1 + 2.5 + 3.25 + 4.5
    large = churn.EventLog({"customer": [2**64 - 1, 1], "time": [day, day]})
    assert large.customers.to_list() == [1, 2**64 - 1]


def test_names_of_columns_are_the_callers():
    data = {"who": ["a"], "when": [20_000], "pieces": [3], "price": [2.5]}
    names = {"customer": "who", "time": "when", "value": "pieces*price", "time_unit": "day"}
    log = churn.EventLog(data, names=names)
    assert log.report["purchases_kept"] == 7.5
    assert log.time_range[0].date() == dt.date(2024, 10, 4)


def test_settings_of_cleaning(shop):
    lost = {**shop, "kind": ["bought", *shop["kind"][1:]]}
    log = churn.EventLog(lost, kinds={"bought": "purchase"})
    assert log == churn.EventLog(shop)
    negative = {**shop, "value": [-10.5, *shop["value"][1:]]}
    log = churn.EventLog(negative, negative_value="refund")
    assert log.report["read_as_refund"] == {"rows": 1, "money": 10.5}
    for earliest in [dt.date(2020, 2, 1), "2020-02-01", np.datetime64("2020-02-01")]:
        log = churn.EventLog(shop, earliest=earliest, impossible_time="drop")
        assert log.report["dropped"]["impossible_time"]["rows"] == 2


def test_empty_logs():
    for empty in [[], np.array([], dtype="i8")]:
        log = churn.EventLog({"customer": empty, "time": np.array([], dtype="M8[s]")})
        assert (len(log), len(log.customers), log.time_range) == (0, 0, None)
        assert repr(log) == "EventLog(no events)"


def test_customers_are_a_sequence():
    times = np.array([1, 2, 3], dtype="M8[D]")
    customers = churn.EventLog({"customer": ["b", "a", "c"], "time": times}).customers
    assert [customers[0], customers[2], customers[-1]] == ["a", "c", "c"]
    for row in [3, -4]:
        with pytest.raises(IndexError, match="expected a row below 3"):
            customers[row]
    assert customers == churn.EventLog({"customer": ["c", "a", "b"], "time": times}).customers
    assert repr(customers) == "Customers(3: a, b, c)"


def test_representation(shop):
    expected = "EventLog(6 events of 3 customers, 2020-01-01T10:00:00 to 2020-03-06)"
    assert repr(churn.EventLog(shop)) == expected


def test_appending_equals_building_at_once():
    events = random_events(6_000, 400, seed=9)
    parts = [{name: column[i::3] for name, column in events.items()} for i in range(3)]
    first = churn.EventLog(parts[0])
    whole = first.appended(parts[1]).appended(pd.DataFrame(parts[2]))
    assert whole == churn.EventLog(events)
    assert first == churn.EventLog(parts[0]), "the log itself stays as it is"
    with pytest.raises(churn.InvalidValueError) as caught:
        first.appended({"customer": ["ann"], "time": parts[0]["time"][:1], "value": [1.0]})
    assert caught.value.what == "events.customer"


def test_csv_equals_the_data_frame(tmp_path, shop):
    path = tmp_path / "events.csv.gz"
    frame = pl.DataFrame(shop)
    with gzip.open(path, "wb") as file:
        frame.write_csv(file, separator=";")
    texts = {**shop, "order": [None if id is None else str(id) for id in shop["order"]]}
    expected = churn.EventLog(texts)
    for source in [path, str(path), path.read_bytes(), gzip.decompress(path.read_bytes())]:
        assert churn.EventLog.from_csv(source, delimiter=";") == expected
    told = []
    churn.EventLog.from_csv(path, delimiter=";", progress=lambda *update: told.append(update))
    assert ("events.csv", path.stat().st_size, path.stat().st_size) in told
    with pytest.raises(FileNotFoundError) as missing:
        churn.EventLog.from_csv(tmp_path / "no.csv")
    assert missing.value.filename == str(tmp_path / "no.csv")
    with pytest.raises(churn.InvalidValueError) as wrong:
        churn.EventLog.from_csv(b"customer,time\nann,2020-01-01\nbea,soon\n")
    assert (wrong.value.what, wrong.value.row, wrong.value.line) == ("events.time", 1, 3)
    lenient = churn.EventLog.from_csv(
        b"customer,time\nann,2020-01-01\nbea,soon\n", unreadable="drop"
    )
    assert lenient.report["dropped"]["missing_time"]["rows"] == 1
    with pytest.raises(TypeError, match="source: expected a path or bytes, got int"):
        churn.EventLog.from_csv(7)


def test_progress_tells_every_step_to_its_end():
    told = []
    events = random_events(300_000, 20_000, seed=3)
    log = churn.EventLog(events, progress=lambda *update: told.append(update))
    assert len(log) == 300_000
    last = {step: (done, total) for step, done, total in told}
    assert last, "nothing was told"
    assert all(done == total for done, total in last.values()), last
    steps = [step for step, _, _ in told]
    assert sorted(steps, key=list(last).index) == steps, "steps are told in order"


def test_against_pandas_on_real_data(data_folder):
    lines = pd.read_csv(
        data_folder / "cdnow" / "cdnow_transactions.csv.gz",
        dtype={"customer_id": str},
        parse_dates=["date"],
    )
    names = {"customer": "customer_id", "time": "date", "value": "amount"}
    log = churn.EventLog(lines, names=names)
    assert len(log) == len(lines)
    assert log.customers.to_list() == sorted(lines["customer_id"].unique())
    assert log.report["purchases_kept"] == pytest.approx(lines["amount"].sum(), rel=1e-12)
    first, last = (moment.replace(tzinfo=None) for moment in log.time_range)
    assert (first, last) == (lines["date"].min(), lines["date"].max())
