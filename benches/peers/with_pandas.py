"""pandas: rows of a kind are taken out first, then grouped."""

import numpy as np
import pandas as pd
import pyarrow as pa

from .levels import ANSWERS, HALF_LIFE, WEIGHTS
from .shop import CHANNELS, DAY, WINDOWS, Shop, months_before

VERSION = pd.__version__


def prepare(table: pa.Table, level: str) -> pd.DataFrame:
    frame = table.set_column(1, "time", table["time"].cast(pa.int64())).to_pandas()
    return frame


def run(events: pd.DataFrame, level: str, shop: Shop):
    as_of, all_of_them = shop.as_of, level == "all"
    by = lambda frame: frame.groupby("customer", sort=False)
    since = lambda frame, days: frame[frame["time"] >= as_of - days * DAY]
    before = lambda frame, days: frame[
        (frame["time"] >= as_of - 2 * days * DAY) & (frame["time"] < as_of - days * DAY)
    ]
    size = lambda frame, name: by(frame).size().rename(name)
    last = lambda frame, name: by(frame)["time"].max().rename(name)

    kind = events["kind"]
    buys = events.loc[kind == 1, ["customer", "time", "value"]]
    refunds = events.loc[kind == 2, ["customer", "value"]]
    parts = [
        by(buys).agg(
            first=("time", "min"),
            last=("time", "max"),
            orders=("time", "size"),
            total=("value", "sum"),
        ),
        by(refunds).agg(refunded=("value", "sum"), refunds=("value", "size")),
    ]
    if level != "rfm":
        for w in WINDOWS:
            names = {f"orders_{w}": ("value", "size"), f"value_{w}": ("value", "sum")}
            parts.append(by(since(buys, w)).agg(**names))
        messages = events[(kind >= 9) & (kind <= 12)]
        for code, channel in enumerate(CHANNELS):
            for answer, what in enumerate(ANSWERS):
                mask = (messages["channel"] == code) & (messages["kind"] == 9 + answer)
                parts.append(size(messages[mask], f"{channel}_{what}"))
        browsing = events[((kind >= 3) & (kind <= 8)) | (kind == 13)]
        weights = np.zeros(16)
        for code, weight in WEIGHTS.items():
            weights[code] = weight
        kinds = browsing["kind"].to_numpy()
        dwell = np.minimum(browsing["value"].to_numpy() / 60.0, 10.0)
        points = np.where(kinds == 3, 1.0 + 0.2 * dwell, weights[kinds])
        points *= np.exp((browsing["time"].to_numpy() - as_of) * (np.log(2.0) / HALF_LIFE))
        frame = pd.DataFrame({"customer": browsing["customer"], "activity": points})
        parts.append(by(frame)["activity"].sum())
    if all_of_them:
        for w in WINDOWS:
            names = {
                f"orders_before_{w}": ("value", "size"),
                f"value_before_{w}": ("value", "sum"),
            }
            parts.append(by(before(buys, w)).agg(**names))
        ends = [as_of, *months_before(as_of)]
        for k in (1, 2, 3, 4):
            mask = (buys["time"] >= ends[k]) & (buys["time"] < ends[k - 1])
            parts.append(size(buys[mask], f"month_{k}"))
        daily = buys.assign(day=buys["time"] // DAY)
        daily = daily.groupby(["customer", "day"], sort=True, as_index=False)["value"].sum()
        same = daily["customer"] == daily["customer"].shift()
        gap = daily["day"].diff().where(same)
        daily = daily.assign(gap=gap, squares=gap * gap, money=daily["value"].where(same, 0.0))
        parts.append(
            by(daily).agg(
                days=("day", "size"),
                gaps=("gap", "count"),
                gap_sum=("gap", "sum"),
                gap_squares=("squares", "sum"),
                repeat_money=("money", "sum"),
            )
        )
        sent = messages[messages["kind"] == 9]
        parts += [size(since(sent, w), f"messages_{w}") for w in WINDOWS]
        parts.append(last(messages[messages["kind"] >= 11], "last_response"))
        parts.append(last(messages[messages["kind"] >= 10], "last_message_sign"))
        views = browsing[browsing["kind"] == 3]
        interactions = browsing[browsing["kind"] != 3]
        for w in WINDOWS:
            parts.append(size(since(views, w), f"views_{w}"))
            parts.append(size(since(interactions, w), f"interactions_{w}"))
        parts.append(last(views, "last_view"))
        parts.append(last(browsing, "last_own"))
        complaints = events[kind == 15]
        parts.append(size(events[kind == 14], "contacts"))
        parts.append(size(complaints, "complaints"))
        parts.append(size(since(complaints, 90), "complaints_90"))
        parts.append(last(complaints, "last_complaint"))
    return pd.concat(parts, axis=1), {}


def columns(result: pd.DataFrame) -> dict[str, np.ndarray]:
    out = {name: result[name].to_numpy() for name in result.columns}
    out["customer"] = result.index.to_numpy()
    return out
