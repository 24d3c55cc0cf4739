"""Features and summaries: the past only, against pandas and lifetimes, and out in every form."""

import datetime as dt
import gc
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import random_events

import churn

AS_OF = "2020-12-31"


@pytest.fixture(scope="module")
def events():
    return random_events(20_000, 1_500, seed=7)


@pytest.fixture(scope="module")
def log(events):
    return churn.EventLog(events)


@pytest.fixture(scope="module")
def table(log):
    return log.features(AS_OF)


def test_against_pandas(events, table):
    past = pd.DataFrame(events)
    past = past[past["time"] < pd.Timestamp(AS_OF)]
    by_customer = past.groupby("customer")
    assert table.customers.to_list() == sorted(past["customer"].unique())
    np.testing.assert_allclose(
        table.column("total_value"), by_customer["value"].sum(), rtol=1e-12
    )
    silent = (pd.Timestamp(AS_OF) - by_customer["time"].max()) / pd.Timedelta(days=1)
    np.testing.assert_allclose(table.column("days_since_last"), silent, rtol=1e-12)
    orders = by_customer["time"].nunique()
    np.testing.assert_array_equal(table.column("orders"), orders)


def summary_of_lifetimes(frame, **columns):
    # lifetimes has not followed the warnings of newer pandas and numpy.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        return summary_data_from_transaction_data(frame, **columns).sort_index()


def assert_same_summary(ours, theirs):
    assert ours.customers.to_list() == list(theirs.index)
    np.testing.assert_array_equal(ours.column("frequency"), theirs["frequency"])
    np.testing.assert_allclose(ours.column("recency"), theirs["recency"], rtol=1e-12)
    np.testing.assert_allclose(ours.column("age"), theirs["T"], rtol=1e-12)
    np.testing.assert_allclose(
        ours.column("monetary_value"), theirs["monetary_value"], rtol=1e-12, atol=1e-12
    )


def test_summary_against_lifetimes(events, log):
    past = pd.DataFrame(events)
    theirs = summary_of_lifetimes(
        past[past["time"] < pd.Timestamp(AS_OF)],
        customer_id_col="customer",
        datetime_col="time",
        monetary_value_col="value",
        observation_period_end="2020-12-30",
    )
    assert_same_summary(log.summarize(AS_OF), theirs)


def test_summary_against_lifetimes_on_real_data(data_folder):
    path = data_folder / "cdnow" / "cdnow_transactions.csv.gz"
    frame = pd.read_csv(path, dtype={"customer_id": str}, parse_dates=["date"])
    theirs = summary_of_lifetimes(
        frame,
        customer_id_col="customer_id",
        datetime_col="date",
        monetary_value_col="amount",
        observation_period_end="1998-06-30",
    )
    names = {"customer": "customer_id", "time": "date", "value": "amount"}
    log = churn.EventLog.from_csv(path, names=names)
    assert log == churn.EventLog(frame, names=names)
    assert_same_summary(log.summarize("1998-07-01"), theirs)
    weeks = log.summarize("1998-07-01", time_scale=7.0)
    np.testing.assert_allclose(weeks.column("age") * 7.0, theirs["T"], rtol=1e-12)
    assert weeks.unit_days == 7.0


@pytest.mark.parametrize(
    "as_of",
    [
        "2020-12-31T00:00:00Z",
        dt.date(2020, 12, 31),
        dt.datetime(2020, 12, 31),
        dt.datetime(2020, 12, 31, 8, tzinfo=dt.timezone(dt.timedelta(hours=8))),
        np.datetime64("2020-12-31"),
        np.datetime64("2020-12-31", "ns"),
        pd.Timestamp("2020-12-31", tz="UTC"),
    ],
)
def test_every_kind_of_instant_is_the_same(log, table, as_of):
    same = log.features(as_of)
    assert same.as_of == dt.datetime(2020, 12, 31, tzinfo=dt.timezone.utc)
    np.testing.assert_array_equal(same.to_numpy(), table.to_numpy())


@pytest.mark.parametrize("as_of", [pd.NaT, np.datetime64("NaT"), "31/12/2020"])
def test_what_is_no_instant_is_refused(log, as_of):
    with pytest.raises(churn.InvalidParameterError, match="as_of: expected a date"):
        log.features(as_of)


def test_later_events_change_nothing(events, table):
    early = events["time"] < np.datetime64(AS_OF)
    past_only = churn.EventLog({name: column[early] for name, column in events.items()})
    same = past_only.features(AS_OF)
    assert same.customers == table.customers
    np.testing.assert_array_equal(same.to_numpy(), table.to_numpy())


def test_specification(log):
    table = log.features(
        AS_OF, features=["value_14d", "orders"], windows_days=[14], rfm={"bins": 3}
    )
    assert table.columns == ["customer", "value_14d", "orders"]
    assert [feature["unit"] for feature in table.features] == ["currency", "count"]
    assert table.to_numpy().shape == (len(table), 2)
    with pytest.raises(churn.UnknownNameError) as caught:
        log.features(AS_OF, features=["ordrs"])
    assert (caught.value.got, caught.value.what) == ('"ordrs"', "features.features")
    with pytest.raises(churn.InvalidParameterError, match="unknown field `window`"):
        log.features(AS_OF, window=[14])


def test_a_selected_table_learns_what_it_needs(log, table):
    few = log.features(AS_OF, features=["frequency_score", "orders"])
    np.testing.assert_array_equal(few.column("frequency_score"), table.column("frequency_score"))
    assert '"parts":["frequency_cuts"]' in few.population.to_json()
    for use in (log.features, log.describer):
        with pytest.raises(churn.InvalidParameterError) as caught:
            use(AS_OF, population=few.population, features=["gap_mean"])
        assert caught.value.what == "population"
        assert caught.value.expected == "one that learned purchase gaps, for features.gap_mean"
        assert caught.value.got == "one learned for other features"
    with pytest.raises(churn.InvalidParameterError, match="for features.recency_score"):
        few.refreshed(log, [])
    everything = churn.Population.fit(log, AS_OF, features=["orders"])
    assert everything.to_json() == table.population.to_json()
    again = log.features(AS_OF, population=everything)
    assert again.to_numpy().tobytes() == table.to_numpy().tobytes()


def test_a_population_can_be_used_again(log, table):
    text = table.population.to_json()
    population = churn.Population.from_json(text)
    again = log.features(AS_OF, population=population)
    np.testing.assert_array_equal(again.to_numpy(), table.to_numpy())
    assert again.population.to_json() == text
    # Learned from other customers, the same events score differently.
    earlier = log.features("2019-06-30").population
    other = log.features(AS_OF, population=earlier)
    assert not np.array_equal(other.column("recency_score"), table.column("recency_score"))


def test_tables_leave_in_every_form(table):
    result = table  # duckdb finds it by its name
    matrix = table.to_numpy()
    names = [feature["name"] for feature in table.features]
    assert table.columns == ["customer", *names]
    assert matrix.shape == (len(table), len(names))
    assert not matrix.flags.writeable
    frames = {
        "polars": pl.DataFrame(table).to_pandas(),
        "pyarrow": pa.table(table).to_pandas(),
        "duckdb": duckdb.sql("select * from result").df(),
        "pandas": pd.DataFrame.from_arrow(table),
        "numpy": pd.DataFrame(table.to_dict()),
    }
    for name, frame in frames.items():
        assert list(frame.columns) == table.columns, name
        assert frame["customer"].tolist() == table.customers.to_list(), name
        np.testing.assert_array_equal(frame[names].to_numpy(), matrix, err_msg=name)
    for j, name in enumerate(names):
        np.testing.assert_array_equal(table.column(name), matrix[:, j])
    with pytest.raises(churn.UnknownNameError, match="column"):
        table.column("customers")


def address(array) -> int:
    return array.__array_interface__["data"][0]


def test_numbers_leave_where_they_lie(table):
    matrix = table.to_numpy()
    assert address(matrix) == address(table.to_numpy())
    frame = pa.table(table)
    for j, feature in enumerate(table.features):
        name = feature["name"]
        column = table.column(name)
        assert address(column) == address(matrix[:, j]) == address(table.to_dict()[name])
        assert frame[name].chunk(0).buffers()[1].address == address(column)
        # Memory of the library is nobody else's to write to.
        assert not column.flags.writeable
        with pytest.raises(ValueError):
            column.flags.writeable = True
    with pytest.raises(ValueError):
        matrix.flags.writeable = True
    assert address(table.column("customer")) == frame["customer"].chunk(0).buffers()[1].address


def test_columns_outlive_their_table() -> None:
    def leave():
        columns = {"x": np.arange(100_000.0), "y": -np.arange(100_000.0)}
        table = churn.FeatureTable.from_columns(np.arange(100_000), AS_OF, columns)
        return table.column("y"), table.to_numpy(), table.column("customer"), pa.table(table)

    column, matrix, customer, frame = leave()
    gc.collect()
    # What would be given the memory if it were free.
    others = [np.full(200_000, 7.0) for _ in range(20)]
    expected = np.arange(100_000)
    np.testing.assert_array_equal(column, -expected)
    np.testing.assert_array_equal(matrix, np.stack([expected, -expected], axis=1))
    np.testing.assert_array_equal(customer, expected)
    np.testing.assert_array_equal(frame["x"].to_numpy(), expected)
    assert len(others) == 20


def test_what_left_stays_when_the_table_is_refreshed() -> None:
    log = churn.EventLog({"customer": [1, 2], "time": ["2020-01-01", "2020-01-02"]})
    table = log.features("2020-02-01")
    column, matrix, frame = table.column("orders"), table.to_numpy(), pl.DataFrame(table)
    told = log.append({"customer": [1, 3], "time": ["2020-01-03", "2020-01-04"]})
    now = table.refreshed(log, told["touched"])
    assert now.column("orders").tolist() == [2.0, 1.0, 1.0]
    assert column.tolist() == frame["orders"].to_list() == table.column("orders").tolist() == [1.0, 1.0]
    assert matrix.shape == (2, len(table.features))
    told = log.append({"customer": [1], "time": ["2020-01-05"]})
    again = now.refreshed(log, told["touched"])
    assert again.column("orders").tolist() == [3.0, 1.0, 1.0]
    assert now.column("orders").tolist() == [2.0, 1.0, 1.0]


def test_definitions_are_complete(table):
    for feature in table.features:
        assert feature["definition"], feature
        column = table.column(feature["name"])
        if not feature["undefined"]:
            assert not np.isnan(column).any(), feature
        defined = column[~np.isnan(column)]
        assert (defined >= (feature["min"] if feature["min"] is not None else -np.inf)).all()
        assert (defined <= (feature["max"] if feature["max"] is not None else np.inf)).all()


def test_nobody_has_a_past(log):
    table = log.features("1999-01-01")
    assert len(table) == 0
    assert table.to_numpy().shape == (0, len(table.features))
    assert all(len(column) == 0 for column in table.to_dict().values())
    assert len(pl.DataFrame(table)) == 0
    assert repr(table) == f"FeatureTable(0 customers × {len(table.features)} features as of 1999-01-01)"


def test_many_instants_are_each_what_one_would_be() -> None:
    log = churn.Shop(customers=300, days=400, seed=7).open().log()
    last = log.time_range[1].replace(hour=0, minute=0, second=0, microsecond=0)
    instants = [last, last - dt.timedelta(days=90), last, np.datetime64("1999-01-01")]
    tables = log.features_at(instants, windows_days=[30])
    assert [len(table) for table in tables][0] == len(tables[2]) > len(tables[1]) > 0
    assert len(tables[3]) == 0 and tables[0].population is None
    for instant, table in zip(instants, tables, strict=True):
        one = log.features(instant, windows_days=[30])
        assert table.as_of == one.as_of and table.customers == one.customers
        np.testing.assert_array_equal(table.to_numpy(), one.to_numpy())
    assert log.features_at([]) == []
    with pytest.raises(churn.UnknownNameError):
        log.features_at([last], features=["order"])


def test_a_log_of_what_the_features_need() -> None:
    wanted = {"features": ["orders", "net_value", "days_since_last"]}
    keep = churn.needs(**wanted)
    assert keep == {
        "kinds": ["purchase", "refund"],
        "channels": False,
        "orders": True,
        "items": False,
    }
    data = {
        "customer": ["ann", "bea", "ann", "cid"],
        "time": ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"],
        "kind": ["purchase", "view", "refund", "purchase"],
        "value": [10.0, 3.0, 4.0, 2.0],
    }
    log = churn.EventLog(data, keep=keep)
    assert log.keep == keep
    assert log.report["dropped"]["not_asked_for"] == {"rows": 1, "money": 0.0}
    assert log.customers.to_list() == ["ann", "cid"]
    table = log.features("2020-02-01", **wanted)
    assert table.column("net_value").tolist() == [6.0, 2.0]
    with pytest.raises(churn.InvalidParameterError, match="keeps events of kind view"):
        log.features("2020-02-01", features=["views_30d"])
    assert log.appended(data).keep == keep
    assert len(log.appended(data)) == 6
