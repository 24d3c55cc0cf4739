"""Data that several tests share."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def shop() -> dict[str, list[object]]:
    """Seven events of three customers, with every column and missing cells, as plain lists."""
    return {
        "customer": ["bea", "ann", "bea", "cem", None, "ann", "ann"],
        "time": [
            "2020-01-01T10:00",
            "2020-01-02",
            "2020-02-03",
            "2020-03-01",
            "2020-03-02",
            "2020-03-05",
            "2020-03-06",
        ],
        "kind": [
            "purchase",
            "view",
            "refund",
            "purchase",
            "purchase",
            "message_sent",
            "purchase",
        ],
        "value": [10.5, 30.0, 4.25, 99.0, 7.0, None, 12.0],
        "channel": [None, None, None, None, None, "email", None],
        "order": [1, None, 1, 2, 3, None, 4],
        "item": ["pen", "pen", "pen", "cup", "cup", None, "cup"],
    }


def random_events(rows: int, customers: int, seed: int) -> dict[str, np.ndarray]:
    """Purchases spread over two years, of customers of very different activity."""
    random = np.random.default_rng(seed)
    return {
        "customer": (customers * random.random(rows) ** 1.7).astype("i8"),
        "time": np.datetime64("2019-01-01", "s") + random.integers(0, 2 * 365 * 86_400, rows),
        "value": np.round(random.lognormal(3.0, 1.0, rows), 2),
    }


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the public data sets; tests that need it are skipped loudly without."""
    folder = os.environ.get("CHURN_DATA")
    if folder is None:
        print("\n!!!! SKIPPED: CHURN_DATA is not set, no test on real data", file=sys.__stderr__)
        pytest.skip("CHURN_DATA is not set")
    return Path(folder)
