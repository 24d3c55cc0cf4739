"""churn: the log is built, then the features, both inside the timer."""

import time

import churn
import numpy as np
import pyarrow as pa

from . import levels
from .shop import CHANNELS, NO_CHANNEL, Shop

VERSION = churn.__version__


def prepare(table: pa.Table, level: str):
    if level == "summary":
        return table.select(["customer", "time", "value"])
    codes = table["channel"].combine_chunks().to_numpy(zero_copy_only=False)
    none = codes == NO_CHANNEL
    codes = pa.array(np.where(none, 0, codes).astype(np.int8), mask=none)
    channel = pa.DictionaryArray.from_arrays(codes, pa.array(CHANNELS))
    return table.set_column(4, "channel", channel)


def run(table: pa.Table, level: str, shop: Shop):
    as_of = np.datetime64(shop.as_of, "us").astype(object)
    wanted = levels.LEVELS.get(level)
    spec = {} if wanted is None else {"features": wanted}
    start = time.perf_counter()
    # Peers read the rows and columns that the question needs, and so does the log.
    keep = {} if level == "summary" else {"keep": churn.needs(**spec)}
    log = churn.EventLog(table, **keep)
    notes = {"build": time.perf_counter() - start}
    if level == "summary":
        return log.summarize(as_of), notes
    result = log.features(as_of, **spec)
    notes["columns"] = len(result.columns) - 1
    return result, notes


def columns(result) -> dict[str, np.ndarray]:
    return result.to_dict()


def population(result) -> str:
    return result.population.to_json()
