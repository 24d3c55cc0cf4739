"""Errors: right class, right place, and a message that says what to do."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churn
from churn import exceptions

TIMES = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="M8[s]")
GOOD = {"customer": ["a", "b", "c"], "time": TIMES, "value": [1.0, 2.0, 3.0]}


def refused(data: object, **settings: object) -> churn.ChurnError:
    with pytest.raises(churn.ChurnError) as caught:
        churn.EventLog(data, **settings)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("InvalidParameter", ValueError),
        ("LengthMismatch", ValueError),
        ("InvalidValue", ValueError),
        ("UnknownName", KeyError),
        ("NotEnoughData", ValueError),
        ("NotConverged", RuntimeError),
        ("Misaligned", ValueError),
        ("Infeasible", RuntimeError),
        ("Cancelled", RuntimeError),
    ],
)
def test_every_kind_has_a_class_that_is_also_a_builtin(kind, builtin):
    cls = getattr(exceptions, f"{kind}Error")
    assert issubclass(cls, churn.ChurnError)
    assert issubclass(cls, builtin)
    assert cls.kind == kind
    error = cls("a[3]: expected b, got c", what="a", row=3, expected="b", got="c")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.what, copy.row, copy.line) == (str(error), "a", 3, None)


def test_bad_cells_name_column_and_row():
    frame = pd.DataFrame({**GOOD, "value": [1.0, 2.0, -3.5]})
    for data in [frame, pl.DataFrame(frame), frame.to_dict("series")]:
        error = refused(data)
        assert isinstance(error, churn.InvalidValueError)
        assert isinstance(error, ValueError)
        assert (error.kind, error.what, error.row) == ("InvalidValue", "events.value", 2)
        assert error.got == "-3.5"
        assert str(error).startswith("events.value[2]: expected a number not below 0")


def test_bad_python_objects_name_column_and_row():
    error = refused({**GOOD, "customer": ["a", 3, "c"]})
    assert str(error) == "events.customer[1]: expected a text, got int"
    error = refused({**GOOD, "customer": [1, None, "c"]})
    assert str(error) == "events.customer[2]: expected a number, got str"
    error = refused({**GOOD, "customer": [None, True, "c"]})
    assert (error.row, error.got) == (1, "bool")
    error = refused({**GOOD, "customer": [1, 2, 2**70]})
    assert (error.row, error.expected) == (2, "an integer of 64 bits")
    error = refused({**GOOD, "time": ["2020-01-01", "soon", "2020-01-03"]})
    assert isinstance(error, churn.InvalidValueError)
    assert (error.what, error.row) == ("events.time", 1)


def test_unknown_kinds_are_named():
    error = refused({**GOOD, "kind": ["purchase", "purchase", "gone"]})
    assert (error.what, error.row, error.got) == ("events.kind", 2, '"gone"')


def test_lengths_that_differ():
    error = refused({**GOOD, "value": [1.0, 2.0]})
    assert isinstance(error, churn.LengthMismatchError)
    assert str(error) == "events.value: expected 3 rows, got 2"


def test_columns_that_are_not_there():
    error = refused(pd.DataFrame(GOOD), names={"customer": "cid"})
    assert isinstance(error, churn.UnknownNameError)
    assert isinstance(error, KeyError)
    assert str(error) == 'names.customer: expected one of customer, time, value, got "cid"'


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"negative_values": "drop"}, "unknown field `negative_values`"),
        ({"negative_value": "ignore"}, "unknown variant `ignore`"),
        ({"earliest": "yesterday"}, "a date such as 2011-12-09"),
        ({"names": {"custommer": "cid"}}, "unknown field `custommer`"),
        ({"kinds": {"bought": "sale"}}, "unknown variant `sale`"),
        ({"earliest": float("nan")}, "a finite number"),
    ],
)
def test_bad_settings(settings, part):
    error = refused(GOOD, **settings)
    assert isinstance(error, churn.InvalidParameterError)
    assert part in str(error)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (3, "expected a data frame with Arrow export, or a dict of arrays, got int"),
        ([1, 2], "expected a data frame with Arrow export, or a dict of arrays, got list"),
        ({1: [1, 2]}, "expected column names in text, got int"),
        ({**GOOD, "customer": "abc"}, "events.customer: expected an array or a list, got str"),
        ({**GOOD, "customer": 7}, "events.customer: expected an array or a list, got int"),
    ],
)
def test_wrong_types(data, part):
    with pytest.raises(TypeError) as caught:
        churn.EventLog(data)
    assert part in str(caught.value)


@pytest.mark.parametrize("dtype", [">f8", "c16", "f2", "?"])
def test_arrays_that_cannot_be_read(dtype):
    error = refused({**GOOD, "value": np.array([1, 2, 3], dtype=dtype)})
    assert error.what == "events.value"
    error = refused({**GOOD, "value": np.zeros((3, 1))})
    assert str(error) == "events.value: expected one dimension, got 2 dimensions"
    error = refused({**GOOD, "time": TIMES.reshape(3, 1)})
    assert str(error) == "events.time: expected one dimension, got 2 dimensions"


def test_a_stream_can_be_read_once():
    frame = pd.DataFrame(GOOD)

    class Once:
        def __init__(self):
            self.capsule = frame.__arrow_c_stream__()

        def __arrow_c_stream__(self, requested_schema=None):
            return self.capsule

    once = Once()
    assert len(churn.EventLog(once)) == 3
    assert isinstance(refused(once), churn.ChurnError)


def test_errors_of_the_data_come_through():
    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            raise LookupError("the file is gone")

    class NoCapsule:
        def __arrow_c_stream__(self, requested_schema=None):
            return 3

    with pytest.raises(LookupError, match="the file is gone"):
        churn.EventLog(Broken())
    with pytest.raises(TypeError, match="expected a capsule, got int"):
        churn.EventLog(NoCapsule())


def test_classes_are_frozen():
    log = churn.EventLog(GOOD)
    with pytest.raises(AttributeError):
        log.report = {}
    with pytest.raises(AttributeError):
        log.other = 1
