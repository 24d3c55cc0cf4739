"""Seeded event logs of a shop: skewed customers, seasons, all kinds of event.

Written with numpy and without churn, so that the data favour nobody.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
import json

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000
CHANNELS = ["email", "one_to_one", "push", "sms"]
NO_CHANNEL = 255
WINDOWS = [7, 30, 90, 365]

# Share of each kind among all events, by churn's codes 1 to 15.
KINDS = {
    "purchase": 0.12,
    "refund": 0.008,
    "view": 0.45,
    "cart": 0.07,
    "favourite": 0.03,
    "share": 0.01,
    "review": 0.01,
    "interaction": 0.03,
    "message_sent": 0.17,
    "message_opened": 0.06,
    "message_clicked": 0.02,
    "message_answered": 0.003,
    "ad_click": 0.01,
    "service_contact": 0.007,
    "complaint": 0.002,
}


@dataclass(frozen=True)
class Shop:
    events: int
    customers: int
    arrival: str = "random"  # random, time, customer
    ids: str = "int"  # int, text (12 bytes), uuid (36 bytes)
    heavy: float = 0.0  # share of all events that one customer makes
    kinds: str = "all"  # all, or purchases: a log of sales and nothing else
    days: int = 730
    seed: int = 1

    @property
    def start(self) -> int:
        """2022-01-01 in microseconds."""
        return 18_993 * DAY

    @property
    def as_of(self) -> int:
        """The instant behind the last event."""
        return self.start + self.days * DAY


def generate(shop: Shop) -> pa.Table:
    """customer, time (µs UTC), kind (code), value, channel (code, 255 = none)."""
    random = np.random.default_rng(shop.seed)
    n, m = shop.events, shop.customers

    # Log-normal activity: the busiest tenth of customers makes about half of the events.
    weight = np.exp(1.3 * random.standard_normal(m))
    weight *= (1.0 - shop.heavy) / weight.sum()
    if shop.heavy:
        weight[0] += shop.heavy
    counts = random.multinomial(n - m, weight / weight.sum()) + 1
    customer = np.repeat(np.arange(m, dtype=np.int32), counts)

    # Trade rises to a peak at the end of November, and at week ends.
    day = np.arange(shop.days)
    year_day = (day + 1) % 365.2425
    trade = 1.0 + np.maximum(0.0, 1.0 - np.abs(year_day - 330.0) / 30.0) + 0.3 * (day % 7 >= 5)
    passed = np.concatenate([[0.0], np.cumsum(trade / trade.sum())])
    # Everybody joins at some time; two of five leave at some later time.
    joined = 0.9 * random.random(m) ** 1.5
    left = np.where(random.random(m) < 0.4, joined + (1.0 - joined) * random.random(m), 1.0)
    at = random.random(n)
    at *= (left - joined)[customer]
    at += joined[customer]
    time = (np.interp(at, passed, np.arange(shop.days + 1)) * DAY).astype(np.int64) + shop.start
    np.minimum(time, shop.as_of - 1, out=time)
    del at

    share = np.cumsum(list(KINDS.values()) if shop.kinds == "all" else [1.0])
    kind = (np.searchsorted(share, random.random(n) * share[-1], side="right") + 1).astype(np.uint8)
    value = np.zeros(n)
    money = kind <= 2
    value[money] = np.round(np.exp(3.3 + 0.9 * random.standard_normal(int(money.sum()))), 2)
    views = kind == 3
    value[views] = np.round(random.exponential(70.0, int(views.sum())), 1)
    messages = (kind >= 9) & (kind <= 12)
    channel = np.full(n, NO_CHANNEL, np.uint8)
    channel[messages] = random.choice(4, int(messages.sum()), p=[0.55, 0.05, 0.25, 0.15])

    # An odd factor spreads the ids over 44 bits and keeps them different.
    ids = np.arange(m, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
    ids = (ids & np.uint64((1 << 44) - 1)).astype(np.int64)
    match shop.arrival:
        case "random":
            order = random.permutation(n)
        case "time":
            order = np.argsort(time, kind="stable")
        case "customer":
            by_id = np.empty(m, np.int64)
            by_id[np.argsort(ids)] = np.arange(m)
            order = np.lexsort((time, by_id[customer]))
        case other:
            raise ValueError(f"arrival: expected random, time or customer, got {other!r}")
    customer = customer[order]
    names: pa.Array
    match shop.ids:
        case "int":
            names = pa.array(ids)
        case "text":
            names = pa.array([f"c{i:011x}" for i in ids.tolist()], pa.large_string())
        case "uuid":
            words = random.integers(0, 1 << 63, (2, m))
            pairs = zip(words[0].tolist(), words[1].tolist(), strict=True)
            texts = (f"{a:016x}{b:016x}" for a, b in pairs)
            names = pa.array(
                [f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in texts],
                pa.large_string(),
            )
        case other:
            raise ValueError(f"ids: expected int, text or uuid, got {other!r}")
    return pa.table(
        {
            "customer": names.take(pa.array(customer)),
            "time": pa.array(time[order]).cast(pa.timestamp("us", "UTC")),
            "kind": pa.array(kind[order]),
            "value": pa.array(value[order]),
            "channel": pa.array(channel[order]),
        }
    )


def save(shop: Shop, path: Path) -> None:
    table = generate(shop)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    path.with_suffix(".json").write_text(json.dumps(asdict(shop)))


def load(path: Path) -> tuple[Shop, pa.Table]:
    """The table in memory of its own, not mapped from the file."""
    shop = Shop(**json.loads(path.with_suffix(".json").read_text()))
    with pa.OSFile(str(path), "rb") as file:
        return shop, pa.ipc.open_file(file).read_all()


def months_before(as_of: int) -> list[int]:
    """The instants one to four calendar months before ``as_of``."""
    at = np.datetime64(as_of, "us")
    month = at.astype("M8[M]")
    rest = at - month.astype("M8[us]")
    if rest != np.timedelta64(0):
        raise ValueError("as_of: expected the first of a month")
    return [int((month - k).astype("M8[us]").astype(np.int64)) for k in (1, 2, 3, 4)]
