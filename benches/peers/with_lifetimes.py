"""lifetimes: its own summary of a data frame of purchases."""

from importlib.metadata import version
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifetimes.utils import summary_data_from_transaction_data

from .shop import DAY, Shop

VERSION = version("lifetimes")


def prepare(table: pa.Table, level: str) -> pd.DataFrame:
    table = table.select(["customer", "time", "value"])
    frame = table.set_column(1, "time", table["time"].cast(pa.timestamp("us"))).to_pandas()
    return frame


def run(frame: pd.DataFrame, level: str, shop: Shop):
    last_day = pd.Timestamp(shop.as_of - DAY, unit="us")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = summary_data_from_transaction_data(
            frame, "customer", "time", "value", observation_period_end=last_day
        )
    return result, {}


def columns(result: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        "customer": result.index.to_numpy(),
        "frequency": result["frequency"].to_numpy(),
        "recency": result["recency"].to_numpy(),
        "age": result["T"].to_numpy(),
        "monetary_value": result["monetary_value"].to_numpy(),
    }
