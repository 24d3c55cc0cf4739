"""DuckDB: one statement, one group-by per family of kinds, then full joins."""

import os

import duckdb
import numpy as np
import pyarrow as pa

from .levels import ANSWERS, HALF_LIFE, WEIGHTS
from .shop import CHANNELS, DAY, WINDOWS, Shop, months_before

VERSION = duckdb.__version__
NATIVE = os.environ.get("PEER_VARIANT", "table") == "table"
THREADS = int(os.environ.get("PEER_THREADS", "2"))


def prepare(table: pa.Table, level: str):
    connection = duckdb.connect(config={"threads": THREADS})
    # Times as integers, as the other peers have them.
    arrow = table.set_column(1, "time", table["time"].cast(pa.int64()))
    connection.register("arrow_events", arrow)
    if NATIVE:
        connection.execute("CREATE TABLE events AS SELECT * FROM arrow_events")
        connection.unregister("arrow_events")
    else:
        connection.execute("CREATE VIEW events AS SELECT * FROM arrow_events")
    return connection


def statement(level: str, shop: Shop) -> str:
    as_of, all_of_them = shop.as_of, level == "all"
    since = lambda days: f"time >= {as_of - days * DAY}"
    before = lambda days: f"time >= {as_of - 2 * days * DAY} AND time < {as_of - days * DAY}"
    count = lambda name, mask: f"count(*) FILTER ({mask}) AS {name}"
    last = lambda name, mask: f"max(time) FILTER ({mask}) AS {name}"

    money = [
        "min(time) AS first",
        "max(time) AS last",
        "count(*) AS orders",
        "sum(value) AS total",
    ]
    if level != "rfm":
        for w in WINDOWS:
            money.append(count(f"orders_{w}", since(w)))
            money.append(f"sum(value) FILTER ({since(w)}) AS value_{w}")
    if all_of_them:
        for w in WINDOWS:
            money.append(count(f"orders_before_{w}", before(w)))
            money.append(f"sum(value) FILTER ({before(w)}) AS value_before_{w}")
        ends = [as_of, *months_before(as_of)]
        for k in (1, 2, 3, 4):
            money.append(count(f"month_{k}", f"time >= {ends[k]} AND time < {ends[k - 1]}"))
    parts = {
        "buys": f"SELECT customer, {', '.join(money)} FROM events WHERE kind = 1 GROUP BY customer",
        "refunds": "SELECT customer, sum(value) AS refunded, count(*) AS refunds"
        " FROM events WHERE kind = 2 GROUP BY customer",
    }
    if all_of_them:
        parts["rhythm"] = f"""
            SELECT customer, count(*) AS days, count(gap) AS gaps, sum(gap)::DOUBLE AS gap_sum,
                   sum(gap * gap)::DOUBLE AS gap_squares,
                   sum(money) FILTER (gap IS NOT NULL) AS repeat_money
            FROM (SELECT customer, money,
                         day - lag(day) OVER (PARTITION BY customer ORDER BY day) AS gap
                  FROM (SELECT customer, time // {DAY} AS day, sum(value) AS money
                        FROM events WHERE kind = 1 GROUP BY ALL))
            GROUP BY customer"""
    if level != "rfm":
        messages = [
            count(f"{channel}_{what}", f"channel = {code} AND kind = {9 + answer}")
            for code, channel in enumerate(CHANNELS)
            for answer, what in enumerate(ANSWERS)
        ]
        if all_of_them:
            messages += [count(f"messages_{w}", f"kind = 9 AND {since(w)}") for w in WINDOWS]
            messages.append(last("last_response", "kind >= 11"))
            messages.append(last("last_message_sign", "kind >= 10"))
        parts["messages"] = (
            f"SELECT customer, {', '.join(messages)} FROM events"
            " WHERE kind BETWEEN 9 AND 12 GROUP BY customer"
        )
        cases = " ".join(f"WHEN {kind} THEN {weight}" for kind, weight in WEIGHTS.items())
        points = f"CASE kind WHEN 3 THEN 1.0 + 0.2 * least(value / 60.0, 10.0) {cases} ELSE 0 END::DOUBLE"
        memory = f"exp((time - {as_of})::DOUBLE * {float(np.log(2.0)) / HALF_LIFE!r}::DOUBLE)"
        browsing = [f"sum(({points}) * {memory}) AS activity"]
        seen = "kind BETWEEN 3 AND 8 OR kind = 13"
        if all_of_them:
            for w in WINDOWS:
                browsing.append(count(f"views_{w}", f"kind = 3 AND {since(w)}"))
                browsing.append(count(f"interactions_{w}", f"kind BETWEEN 4 AND 13 AND {since(w)}"))
            browsing.append(last("last_view", "kind = 3"))
            browsing.append(last("last_own", "kind <= 13"))
            browsing.append(count("contacts", "kind = 14"))
            browsing.append(count("complaints", "kind = 15"))
            browsing.append(count("complaints_90", f"kind = 15 AND {since(90)}"))
            browsing.append(last("last_complaint", "kind = 15"))
            seen = "kind BETWEEN 3 AND 8 OR kind >= 13"
        parts["browsing"] = (
            f"SELECT customer, {', '.join(browsing)} FROM events WHERE {seen} GROUP BY customer"
        )
    tables = ", ".join(f"{name} AS ({text})" for name, text in parts.items())
    joins = " ".join(f"FULL JOIN {name} USING (customer)" for name in list(parts)[1:])
    return f"WITH {tables} SELECT * FROM buys {joins}"


def run(connection, level: str, shop: Shop):
    return connection.sql(statement(level, shop)).to_arrow_table(), {}


def columns(result: pa.Table) -> dict[str, np.ndarray]:
    return {name: result[name].to_numpy() for name in result.column_names}
