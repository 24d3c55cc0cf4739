"""polars: lazy queries, one group-by per family of kinds, then one join."""

import os

import numpy as np
import polars as pl
import pyarrow as pa

from .levels import ANSWERS, HALF_LIFE, WEIGHTS
from .shop import CHANNELS, DAY, WINDOWS, Shop, months_before

VERSION = pl.__version__
ENGINE = os.environ.get("PEER_VARIANT", "in-memory")

c = pl.col


def prepare(table: pa.Table, level: str) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    return frame.with_columns(c("time").to_physical())


def count(mask: pl.Expr) -> pl.Expr:
    return mask.sum()


def total(mask: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(mask).then(value).otherwise(0.0).sum()


def last(mask: pl.Expr) -> pl.Expr:
    return pl.when(mask).then(c("time")).max()


def query(events: pl.LazyFrame, level: str, shop: Shop) -> pl.LazyFrame:
    as_of, all_of_them = shop.as_of, level == "all"
    since = lambda days: c("time") >= as_of - days * DAY
    before = lambda days: (c("time") >= as_of - 2 * days * DAY) & ~since(days)
    kind = c("kind")

    buys = events.filter(kind == 1)
    money = {
        "first": c("time").min(),
        "last": c("time").max(),
        "orders": pl.len(),
        "total": c("value").sum(),
    }
    refunds = events.filter(kind == 2).group_by("customer").agg(
        refunded=c("value").sum(), refunds=pl.len()
    )
    if level != "rfm":
        for w in WINDOWS:
            money[f"orders_{w}"] = count(since(w))
            money[f"value_{w}"] = total(since(w), c("value"))
    if all_of_them:
        for w in WINDOWS:
            money[f"orders_before_{w}"] = count(before(w))
            money[f"value_before_{w}"] = total(before(w), c("value"))
        ends = [as_of, *months_before(as_of)]
        for k in (1, 2, 3, 4):
            money[f"month_{k}"] = ((c("time") >= ends[k]) & (c("time") < ends[k - 1])).any()
    result = buys.group_by("customer").agg(**money)
    parts = [refunds]

    if all_of_them:
        daily = (
            buys.group_by("customer", (c("time") // DAY).alias("day"))
            .agg(c("value").sum())
            .sort("customer", "day")
            .with_columns(
                gap=pl.when(c("customer") == c("customer").shift()).then(c("day") - c("day").shift())
            )
        )
        parts.append(
            daily.group_by("customer").agg(
                days=pl.len(),
                gaps=c("gap").count(),
                gap_sum=c("gap").sum(),
                gap_squares=(c("gap") * c("gap")).sum(),
                repeat_money=total(c("gap").is_not_null(), c("value")),
            )
        )
    if level != "rfm":
        messages = {
            f"{channel}_{what}": count((c("channel") == code) & (kind == 9 + answer))
            for code, channel in enumerate(CHANNELS)
            for answer, what in enumerate(ANSWERS)
        }
        if all_of_them:
            messages |= {f"messages_{w}": count((kind == 9) & since(w)) for w in WINDOWS}
            messages["last_response"] = last(kind >= 11)
            messages["last_message_sign"] = last(kind >= 10)
        parts.append(
            events.filter(kind.is_between(9, 12)).group_by("customer").agg(**messages)
        )

        points = pl.when(kind == 3).then(1.0 + 0.2 * (c("value") / 60.0).clip(upper_bound=10.0))
        for code, weight in WEIGHTS.items():
            points = points.when(kind == code).then(pl.lit(weight))
        memory = ((c("time") - as_of) * (np.log(2.0) / HALF_LIFE)).exp()
        browsing = {"activity": (points.otherwise(0.0) * memory).sum()}
        seen = kind.is_between(3, 8) | (kind == 13)
        if all_of_them:
            interaction = (kind != 3) & (kind <= 13)
            for w in WINDOWS:
                browsing[f"views_{w}"] = count((kind == 3) & since(w))
                browsing[f"interactions_{w}"] = count(interaction & since(w))
            browsing["last_view"] = last(kind == 3)
            browsing["last_own"] = last(kind <= 13)
            browsing["contacts"] = count(kind == 14)
            browsing["complaints"] = count(kind == 15)
            browsing["complaints_90"] = count((kind == 15) & since(90))
            browsing["last_complaint"] = last(kind == 15)
            seen = kind.is_between(3, 8) | (kind >= 13)
        parts.append(events.filter(seen).group_by("customer").agg(**browsing))

    for part in parts:
        result = result.join(part, on="customer", how="full", coalesce=True)
    return result


def run(frame: pl.DataFrame, level: str, shop: Shop):
    return query(frame.lazy(), level, shop).collect(engine=ENGINE), {}


def columns(result: pl.DataFrame) -> dict[str, np.ndarray]:
    # A column of true, false and null would become one of Python objects.
    result = result.with_columns(pl.selectors.boolean().cast(pl.UInt8))
    return {name: result[name].to_numpy() for name in result.columns}
