"""Saved logs, appends in place, one customer on demand, streams of any length."""

import gzip
import io
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pyarrow as pa
import pytest
from conftest import random_events

import churn

AS_OF = "2021-01-01"


def pieces(events: dict[str, np.ndarray], count: int) -> list[dict[str, np.ndarray]]:
    return [{name: column[i::count] for name, column in events.items()} for i in range(count)]


def same_tables(one: churn.FeatureTable, other: churn.FeatureTable) -> None:
    assert one.customers == other.customers
    assert one.columns == other.columns
    assert one.to_numpy().tobytes() == other.to_numpy().tobytes()


def test_a_saved_log_comes_back(tmp_path, shop):
    log = churn.EventLog(shop, duplicates="drop")
    path = tmp_path / "shop.churn"
    log.save(path)
    log.save(path)  # over the old one
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop.churn"]
    buffer = io.BytesIO()
    log.save(buffer)
    assert buffer.getvalue() == path.read_bytes()
    buffer.seek(0)
    loaded = [
        churn.EventLog.load(path),
        churn.EventLog.load(str(path)),
        churn.EventLog.load(path.read_bytes()),
        churn.EventLog.load(buffer),
        pickle.loads(pickle.dumps(log)),
    ]
    with open(path, "rb", buffering=0) as raw:
        loaded.append(churn.EventLog.load(raw))
    for other in loaded:
        assert other == log
        assert other.report == log.report
        # The settings came along: copies are still dropped.
        other.append(shop)
        assert len(other) == len(log)


def test_damaged_files_are_refused(tmp_path, shop):
    buffer = io.BytesIO()
    churn.EventLog(shop).save(buffer)
    whole = buffer.getvalue()
    path = tmp_path / "bad.churn"
    for bad in [whole[:-1], whole + b"x", whole.replace(b"cup", b"cur"), b"", b"PK\x03\x04" * 50]:
        with pytest.raises(churn.InvalidValueError) as caught:
            churn.EventLog.load(bad)
        assert caught.value.what.startswith("file")
        path.write_bytes(bad)
        with pytest.raises(churn.InvalidValueError):
            churn.EventLog.load(path)
    newer = whole[:12] + b"\x02" + whole[13:]
    with pytest.raises(churn.InvalidValueError, match="a version from 1 to 1, .*, got 2"):
        churn.EventLog.load(newer)
    with pytest.raises(FileNotFoundError):
        churn.EventLog.load(tmp_path / "nobody")
    with pytest.raises(FileNotFoundError):
        churn.EventLog(shop).save(tmp_path / "no" / "folder")
    with pytest.raises(TypeError, match="a path, a binary file or bytes"):
        churn.EventLog.load(7)
    with pytest.raises(churn.InvalidValueError, match="room to write to"):
        churn.EventLog(shop).save(io.StringIO())


def test_a_stopped_save_leaves_the_old_file(tmp_path, shop):
    path = tmp_path / "log.churn"
    log = churn.EventLog(shop)
    log.save(path)

    def stop(step, done, total):
        return False

    big = churn.EventLog(random_events(1_000_000, 1_000, seed=1))
    with pytest.raises(churn.CancelledError):
        for _ in range(100):  # a quick machine may be done before the first question
            big.save(path, progress=stop)
            log.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.churn"]
    assert churn.EventLog.load(path) == log


def test_saved_tables_come_back(tmp_path, shop):
    table = churn.EventLog(shop).features("2020-03-06")
    table.save(tmp_path / "table.churn")
    loaded = churn.FeatureTable.load(tmp_path / "table.churn")
    same_tables(loaded, table)
    assert loaded.features == table.features
    assert loaded.as_of == table.as_of
    assert loaded.population is None
    with pytest.raises(churn.InvalidValueError, match="a file of another kind"):
        churn.EventLog.load(tmp_path / "table.churn")


def test_appends_in_place_and_refreshed_tables():
    events = random_events(6_000, 400, seed=9)
    parts = pieces(events, 3)
    log = churn.EventLog(parts[0])
    table = log.features(AS_OF)
    population = table.population
    kept = log.customers
    for part in parts[1:]:
        told = log.append(part)
        assert told["touched"].to_list() == sorted(set(part["customer"].tolist()))
        assert told["report"]["rows_in"] == 2_000
        same_tables(
            table.refreshed(log, told["touched"]), log.features(AS_OF, population=population)
        )
        # Ids in any order, and more of them than needed, do as well.
        table = table.refreshed(log, told["touched"].to_list()[::-1] + log.customers.to_list())
    assert log == churn.EventLog(events)
    assert len(kept) <= len(log.customers)
    same_tables(table, log.features(AS_OF, population=population))
    with pytest.raises(churn.UnknownNameError):
        table.refreshed(log, [10**9])
    with pytest.raises(churn.MisalignedError):
        table.refreshed(log, [], windows_days=[7])
    with pytest.raises(churn.InvalidParameterError, match="population"):
        churn.FeatureTable.from_columns([1], AS_OF, {"x": [1.0]}).refreshed(log, [])


def test_a_failed_append_leaves_the_log_as_it_was(shop):
    log = churn.EventLog(shop)
    before = churn.EventLog(shop)
    with pytest.raises(churn.InvalidValueError):
        log.append({"customer": [1], "time": ["2020-01-01"], "value": [1.0]})
    with pytest.raises(churn.UnknownNameError):
        log.append({"who": ["ann"], "time": ["2020-01-01"]})
    assert log == before


def test_a_log_in_an_append_says_so():
    log = churn.EventLog(random_events(1_000, 100, seed=1))
    seen = []

    def ask(step, done, total):
        try:
            len(log)
        except churn.InvalidParameterError as error:
            seen.append(str(error))

    log.append(random_events(2_000_000, 100_000, seed=2), progress=ask)
    assert seen and "nobody is appending" in seen[0]
    assert len(log) == 2_001_000


def test_one_customer_has_the_numbers_of_the_table(shop):
    log = churn.EventLog(shop)
    table = log.features("2020-03-06", windows_days=[7, 30])
    describer = log.describer("2020-03-06", population=table.population, windows_days=[7, 30])
    for row, customer in enumerate(table.customers):
        told = describer.describe(customer)
        assert list(told) == table.columns[1:]
        assert np.array(list(told.values())).tobytes() == table.to_numpy()[row].tobytes()
    with pytest.raises(churn.UnknownNameError):
        describer.describe("nobody")
    assert describer.as_of == table.as_of
    assert repr(describer).startswith("Describer(")
    assert describer.population.to_json() == table.population.to_json()
    learned = log.describer("2020-03-06")
    assert learned.population.to_json() == log.features("2020-03-06").population.to_json()
    # It follows the log, a new channel included.
    new = {"customer": ["dee"], "time": ["2020-03-01"], "value": [5.0], "channel": ["app"]}
    log.append(new)
    told = describer.describe("dee")
    assert told["total_value"] == 5.0
    assert "app_sent" in told
    early = log.describer("2020-01-02")
    with pytest.raises(churn.UnknownNameError, match="an event before 2020-01-02"):
        early.describe("dee")


def test_a_stream_equals_one_log(tmp_path):
    events = random_events(30_000, 2_000, seed=3)
    whole = churn.EventLog(events)
    table = whole.features(AS_OF)
    rows = {customer: row for row, customer in enumerate(table.customers)}
    parts = pieces(events, 4)
    stream = churn.LogStream(tmp_path, partitions=7)
    stream.push(parts[0])
    reader = pa.RecordBatchReader.from_batches(
        pa.table(parts[1]).schema, pa.table(parts[1]).to_batches(max_chunksize=1_000)
    )
    stream.push(reader)
    stream.push(pa.table(parts[2]))
    assert stream.rows == 22_500
    assert repr(stream) == "LogStream(22500 rows so far)"
    stream.push(parts[3])
    log = stream.finish()
    assert [entry.is_dir() for entry in tmp_path.iterdir()] == [True]
    assert (len(log), log.customer_count) == (30_000, len(whole.customers))
    assert (log.partitions, log.channels) == (7, [])
    assert log.report == whole.report
    assert log.time_range == whole.time_range
    tables = log.features(AS_OF)
    assert tables.population.to_json() == table.population.to_json()
    expected = table.to_numpy()
    seen = 0
    for partition, part in enumerate(tables):
        assert part.columns == table.columns
        for row, customer in enumerate(part.customers):
            assert log.partition_of(customer) == partition
            assert part.to_numpy()[row].tobytes() == expected[rows[customer]].tobytes()
        seen += len(part)
    assert seen == len(table)
    assert len(log.log(0).customers) > 0
    with pytest.raises(churn.InvalidParameterError, match="a stream that is neither finished"):
        stream.push(parts[0])
    with pytest.raises(churn.InvalidParameterError, match="a number below 7"):
        log.log(7)
    del tables, log
    assert list(tmp_path.iterdir()) == []


def test_streams_of_csv(tmp_path):
    lines = [f"c{i % 50},2020-01-{1 + i % 28:02},{i % 7}.5\n" for i in range(1_000)]
    text = "customer,time,value\n" + "".join(lines)
    file = tmp_path / "events.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    whole = churn.EventLog.from_csv(file)
    stream = churn.LogStream(tmp_path, partitions=3, duplicates="keep")
    stream.push_csv(file)
    stream.push_csv(text.encode())
    log = stream.finish()
    assert len(log) == 2_000
    assert log.report["purchases_kept"] == 2 * whole.report["purchases_kept"]


def test_rows_of_a_stream_are_named(tmp_path):
    good = {"customer": ["a", "b"], "time": ["2020-01-01", "2020-01-02"]}
    stream = churn.LogStream(tmp_path, missing_customer="reject")
    stream.push(good)
    with pytest.raises(churn.InvalidValueError) as caught:
        stream.push({**good, "customer": ["a", None]})
    assert (caught.value.what, caught.value.row) == ("events.customer", 3)
    with pytest.raises(churn.InvalidValueError) as caught:
        stream.push({**good, "time": ["2020-01-01", "soon"]})
    assert (caught.value.what, caught.value.row) == ("events.time", 3)
    assert stream.rows == 2
    assert len(stream.finish()) == 2
    with pytest.raises(churn.InvalidParameterError, match="stream.partitions"):
        churn.LogStream(tmp_path, partitions=0)
    with pytest.raises(FileNotFoundError):
        churn.LogStream(tmp_path / "nowhere")


def test_a_bar_is_shown(capsys, monkeypatch, shop):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    churn.EventLog(shop, progress=True)
    shown = capsys.readouterr().err
    assert "events.clean" in shown and "100%" in shown and shown.endswith("\n")
    churn.EventLog(shop, progress=False)
    assert capsys.readouterr().err == ""


def test_tqdm_is_used_where_it_is(monkeypatch, shop):
    made = []

    class Tqdm:
        def __init__(self, *, total, desc, unit_scale):
            self.n, self.total, self.desc, self.closed = 0, total, desc, False
            made.append(self)

        def update(self, more):
            self.n += more

        def close(self):
            self.closed = True

    module = type(sys)("tqdm.auto")
    module.tqdm = Tqdm
    monkeypatch.setitem(sys.modules, "tqdm", type(sys)("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    churn.EventLog(shop, progress=True)
    assert made and all(bar.closed and bar.n == bar.total for bar in made)


def test_control_c_stops_a_stream(tmp_path):
    program = """
    import os, signal, sys, threading
    import numpy as np, churn
    # A shell may have started us with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    n = 3_000_000
    data = {"customer": np.arange(n) % 100_000, "time": np.zeros(n, "M8[s]"), "value": np.ones(n)}
    stream = churn.LogStream(sys.argv[1])
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        for _ in range(30):
            stream.push(data)
    except KeyboardInterrupt:
        print("stopped", stream.rows % n)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "stopped 0\n", done.stderr
    assert list(tmp_path.iterdir()) == [], "scratch space goes with the stream"


def test_threads_share_a_describer(shop):
    log = churn.EventLog(shop)
    describer = log.describer("2020-03-06")
    expected = str(describer.describe("ann"))
    answers = []

    def ask():
        answers.extend(str(describer.describe("ann")) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 800
