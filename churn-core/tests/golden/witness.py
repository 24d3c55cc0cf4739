"""Computes the answers of the golden files whose origin is "independent", without the library.

    python witness.py            compare every such file with what is computed here
    python witness.py --write    write what is computed here into the files

Written from the documented definitions, with DuckDB for counting and adding, numpy for numbers
and scipy for the purchase clock (`purchase_clock.py`). Needs duckdb, numpy, scipy and lifetimes.
"""

import importlib.util
import json
import math
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from scipy.optimize import brentq
from scipy import stats

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from purchase_clock import Clock, learn  # noqa: E402

ROOMS = HERE.parent.parent / "src"
DAY = 86_400_000_000
UNITS = {"day": DAY, "second": 1_000_000, "millisecond": 1_000, "microsecond": 1}
KINDS = (
    "purchase refund view cart favourite share review interaction message_sent message_opened "
    "message_clicked message_answered ad_click service_contact complaint"
).split()
INTERACTIONS = ("cart", "favourite", "share", "review", "interaction", "ad_click")
NAN = math.nan


def micros(text: str) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# ---- events ------------------------------------------------------------------------------------


def clean(inputs: dict) -> tuple[list[dict], dict]:
    """Rows that enter the log, and the report."""
    events, cleaning = inputs["events"], inputs.get("cleaning", {})
    kinds = {name: name for name in KINDS} | cleaning.get("kinds", {})
    earliest = micros(cleaning.get("earliest", "0001-01-01"))
    latest = micros(cleaning.get("latest", "9999-01-01"))
    n = len(events["customer"])
    column = lambda name: events.get(name) or [None] * n
    given = zip(
        column("customer"), column("time"), column("kind"), column("value"), column("channel"),
        column("order"), column("item"), strict=True,
    )
    keep = cleaning.get("keep", {})
    wanted = keep.get("kinds") or KINDS
    rows, dropped = [], {}
    report = {"rows_in": n, "read_as_refund": [0, 0.0], "duplicates_kept": [0, 0.0]}

    def count(tally: list, money: float) -> None:
        tally[0] += 1
        tally[1] += money if math.isfinite(money) else 0.0

    for customer, time, kind, value, channel, order, item in given:
        kind = kinds.get(kind) if "kind" in events else "purchase"
        is_money = kind in ("purchase", "refund")
        if "value" not in events and is_money:
            value = 1.0
        value = None if value is None else float(value)
        at = None if time is None else time * UNITS[events["time_unit"]]
        refund = kind == "purchase" and cleaning.get("negative_value") == "refund"
        if kind and kind not in wanted and not (refund and "refund" in wanted):
            # Nothing else is asked of such a row.
            count(dropped.setdefault("not_asked_for", [0, 0.0]), (value or 0.0) if is_money else 0.0)
            continue
        if customer is None or customer == "":
            reason = "missing_customer"
        elif at is None:
            reason = "missing_time"
        elif not earliest <= at < latest:
            reason = "impossible_time"
        elif kind is None:
            reason = "unknown_kind"
        elif is_money and value is None:
            reason = "missing_value"
        elif (is_money or kind == "view") and not math.isfinite(value or 0.0):
            reason = "non_finite_value"
        elif (is_money or kind == "view") and (value or 0.0) < 0:
            refund = is_money and cleaning.get("negative_value") == "refund"
            reason = None if refund else "negative_value"
        else:
            reason = None
        if reason:
            count(dropped.setdefault(reason, [0, 0.0]), (value or 0.0) if is_money else 0.0)
            continue
        if is_money and value < 0:
            count(report["read_as_refund"], -value)
            kind, value = "refund", -value
        if kind not in wanted:
            count(dropped.setdefault("not_asked_for", [0, 0.0]), value if is_money else 0.0)
            continue
        value = (value or 0.0) if is_money or kind == "view" else 0.0
        channel = (channel or None) if keep.get("channels", True) else None
        order = order if keep.get("orders", True) else None
        item = item if keep.get("items", True) else None
        rows.append((customer, at, kind, value, channel, order, item))
    kept, seen = [], Counter()
    for row in rows:
        seen[row] += 1
        money = row[3] if row[2] in ("purchase", "refund") else 0.0
        if seen[row] > 1 and cleaning.get("duplicates") == "drop":
            count(dropped.setdefault("duplicate", [0, 0.0]), money)
            continue
        if seen[row] > 1:
            count(report["duplicates_kept"], money)
        kept.append(row)
    tally = lambda t: {"rows": t[0], "money": t[1]}
    report |= {
        "rows_kept": len(kept),
        "purchases_kept": math.fsum(row[3] for row in kept if row[2] == "purchase"),
        "refunds_kept": math.fsum(row[3] for row in kept if row[2] == "refund"),
        "read_as_refund": tally(report["read_as_refund"]),
        "duplicates_kept": tally(report["duplicates_kept"]),
        "dropped": {reason: tally(t) for reason, t in sorted(dropped.items())},
        "customers": sorted({row[0] for row in kept}),
        "channels": sorted({row[4] for row in kept if row[4]}),
    }
    return kept, report


class Past:
    """The events before an instant in DuckDB, one row of `people` per customer."""

    def __init__(self, rows: list[tuple], as_of: str) -> None:
        self.as_of, self.text = micros(as_of), as_of
        self.channels = sorted({row[4] for row in rows if row[4]})
        past = [row for row in rows if row[1] < self.as_of]
        self.customers = sorted({row[0] for row in past})
        self.kinds = [kind for kind in KINDS if any(row[2] == kind for row in past)]
        self.db = duckdb.connect()
        self.db.execute(
            "create table e (c bigint, t bigint, kind text, value double, channel text, o text)"
        )
        place = {customer: i for i, customer in enumerate(self.customers)}
        for c, t, kind, value, channel, order, _ in past:
            # Lines of one order id are one order, and so are lines without id at one instant.
            key = f"id {order}" if order is not None and order != "" else f"at {t}"
            self.db.execute(
                "insert into e values (?, ?, ?, ?, ?, ?)",
                [place[c], t, kind, value, channel, key],
            )
        self.db.execute(f"create table people as select range c from range({len(place)})")
        self.db.execute(
            "create view orders as"
            " select c, o, min(t) t from e where kind = 'purchase' group by c, o"
        )

    def column(self, expression: str, source: str = "e where kind = 'purchase'") -> np.ndarray:
        """One aggregate per customer; NaN where SQL says NULL."""
        sql = f"""
            select x from people left join (select c, {expression} x from {source} group by c)
            using (c) order by c
        """
        found = self.db.execute(sql).fetchall()
        return np.array([NAN if x is None else float(x) for (x,) in found])

    def count(self, source: str) -> np.ndarray:
        return np.nan_to_num(self.column("count(*)", source))

    def days(self, customer: int) -> list[int]:
        """Days of purchase, ascending."""
        days = self.db.execute(
            f"select distinct t // {DAY} d from e where kind = 'purchase' and c = ? order by d",
            [customer],
        ).fetchall()
        return [day for (day,) in days]

    def gaps(self, customer: int) -> list[int]:
        days = self.days(customer)
        return [b - a for a, b in zip(days, days[1:], strict=False)]


# ---- features ----------------------------------------------------------------------------------


def cuts(values: np.ndarray, bins: int) -> list[float]:
    values = np.sort(values[~np.isnan(values)])
    n = len(values)
    # The smallest value that at least a share of k / bins is not above.
    return [float(values[-(-k * n // bins) - 1]) for k in range(1, bins)] if n else []


def gap_prior(groups: list[list[int]], weight: float | None) -> dict | None:
    """Bühlmann & Straub's mean and weight; Wheat & Morrison's relative variance, generalised."""
    groups = [np.array(gaps, float) for gaps in groups if gaps]
    if not groups:
        return None
    sizes = np.array([len(g) for g in groups], float)
    means = np.array([g.mean() for g in groups])
    total, overall = sizes.sum(), sum(g.sum() for g in groups) / sizes.sum()
    squares = np.array([((g - g.mean()) ** 2).sum() for g in groups])
    if weight is None:
        effective = total - (sizes**2).sum() / total
        if total <= len(groups) or effective <= 0:
            weight = math.sqrt(0.5 * 20)
        else:
            within = squares.sum() / (total - len(groups))
            between = (sizes * (means - overall) ** 2).sum() - (len(groups) - 1) * within
            weight = 20.0 if between <= 0 else min(max(within * effective / between, 0.5), 20.0)
    z = sizes / (sizes + weight)
    observed = (squares / means**2).sum()
    if sizes.max() < 2:
        relative = 1.0
    elif observed <= 0:
        relative = 0.0
    else:
        excess = lambda k: (sizes * (sizes - 1) / (sizes * k + 1)).sum() - observed
        relative = 1 / brentq(excess, 1e-4, 1e12, xtol=1e-13, rtol=1e-14)
    return {
        "mean_days": float((z * means).sum() / z.sum()),
        "weight": float(weight),
        "relative_variance": float(relative),
    }


def rhythm(gaps: list[int], prior: dict, spread_prior: float) -> tuple[float, float]:
    """Mean and spread of gaps, drawn towards the population's."""
    n, m = len(gaps), prior["weight"]
    mean = (sum(gaps) + m * prior["mean_days"]) / (n + m)
    relative = prior["relative_variance"]
    if n >= 2:
        own = float(np.var(gaps) * n) / mean**2
        relative = (own + spread_prior * relative) / (n - 1 + spread_prior)
    return mean, mean * math.sqrt(relative)


def population(past: Past, spec: dict) -> dict:
    rfm = spec.get("rfm", {})
    bins = rfm.get("bins", 5)
    buys = "e where kind = 'purchase'"

    def own(name: str, sql: str, source: str) -> list[float]:
        return rfm.get(name) or cuts(past.column(sql, source), bins)

    sent = "select channel, count(*) from e where kind = 'message_sent' group by 1"
    sent = {channel: n for channel, n in past.db.execute(sent).fetchall() if channel}
    answers = {}
    for channel in sent:
        each = np.minimum(
            past.count(f"e where kind = 'message_sent' and channel = '{channel}'"),
            past.count(
                f"e where kind in ('message_clicked', 'message_answered') and channel = '{channel}'"
            ),
        )
        answers[channel] = float(each.sum())
    days = [past.days(c) for c in range(len(past.customers))]
    prior = gap_prior(
        [past.gaps(c) for c in range(len(past.customers))],
        spec.get("rhythm", {}).get("prior_gaps"),
    )
    return {
        "version": 1,
        "rfm": {
            "version": 1,
            "bins": bins,
            "days_since_last": own("recency_cuts", f"({past.as_of} - max(t)) / {DAY}", buys),
            "orders": own("frequency_cuts", "count(*)", "orders"),
            "total_value": own("monetary_cuts", "sum(value)", buys),
        },
        "gaps": prior and learn([own for own in days if own], past.as_of, prior),
        "channels": {channel: answers[channel] / n for channel, n in sorted(sent.items())},
        "kinds": past.kinds,
    }


def features(past: Past, spec: dict, known: dict) -> dict[str, list[float]]:
    n, as_of = len(past.customers), past.as_of
    out: dict[str, np.ndarray] = {}
    rfm = known["rfm"]
    best = rfm["bins"]

    # Recency, frequency, money.
    silence = past.column(f"({as_of} - max(t)) / {DAY}")
    bought = ~np.isnan(silence)
    days = np.nan_to_num(past.column(f"count(distinct t // {DAY})"))
    orders = past.count("orders")
    total = np.nan_to_num(past.column("sum(value)"))
    refunded = np.nan_to_num(past.column("sum(value)", "e where kind = 'refund'"))
    first_day = f"(select min(t) // {DAY} from e f where f.c = e.c and kind = 'purchase')"
    repeat = np.nan_to_num(
        past.column("sum(value)", f"e where kind = 'purchase' and t // {DAY} > {first_day}")
    )
    out["days_since_last"] = silence
    out["frequency"] = np.maximum(days - 1, 0)
    out["recency"] = past.column(f"(max(t) - min(t)) / {DAY}")
    out["age"] = past.column(f"({as_of} - min(t)) / {DAY}")
    out["orders"] = orders
    out["total_value"] = total
    out["net_value"] = total - refunded
    out["mean_order_value"] = np.where(bought, total / np.maximum(orders, 1), NAN)
    out["monetary_value"] = np.where(days > 1, repeat / np.maximum(days - 1, 1), 0.0)

    def score(name: str, values: np.ndarray) -> np.ndarray:
        edges = rfm[name]
        if not edges:
            return np.full(n, NAN)
        return np.where(bought, 1 + sum((values > edge * (1 + 1e-10)) for edge in edges), NAN)

    out["recency_score"] = best + 1 - score("days_since_last", silence)
    out["frequency_score"] = score("orders", orders)
    out["monetary_score"] = score("total_value", total)

    # Rhythm.
    gaps = [past.gaps(c) for c in range(n)]
    spread_prior = spec.get("rhythm", {}).get("spread_prior_gaps", 5.0)
    bought_days = [past.days(c) for c in range(n)]
    last = np.nan_to_num(past.column("max(t)")) / DAY
    clock = Clock(known["gaps"]) if known["gaps"] else None
    quiet = [clock.silence(last[c], as_of / DAY) if clock and bought[c] else NAN for c in range(n)]

    def each(count: int, value) -> np.ndarray:
        rows = [value(c) if clock and bought[c] else [NAN] * count for c in range(n)]
        return np.array(rows, float).reshape(n, count).T

    out["gap_mean"], out["gap_spread"] = each(
        2, lambda c: rhythm(gaps[c], known["gaps"], spread_prior)
    )
    out["gaps"] = np.array([len(g) for g in gaps], float)
    (out["silence_tail"],) = each(1, lambda c: [clock.tail(bought_days[c], quiet[c])])
    out["expected_next_days"], out["overdue_p80_days"], out["overdue_p95_days"] = each(
        3, lambda c: clock.due(bought_days[c], quiet[c])
    )
    months = [
        np.nan_to_num(
            past.column(
                f"max(t >= epoch_us(timestamp '{past.text}' - interval {k} month)"
                f" and t < epoch_us(timestamp '{past.text}' - interval {k - 1} month))"
            )
        )
        for k in (1, 2, 3, 4)
    ]
    out["regular_then_silent"] = (1 - months[0]) * months[1] * months[2] * months[3]

    # Windows.
    def trend(now: np.ndarray, before: np.ndarray) -> np.ndarray:
        both = now + before
        return np.where(both > 0, (now - before) / np.where(both > 0, both, 1), 0.0)

    for w in spec.get("windows_days", [7, 30, 90, 365]):
        now = f"t >= {as_of - w * DAY}"
        before = f"t >= {as_of - 2 * w * DAY} and t < {as_of - w * DAY}"
        value = lambda when: np.nan_to_num(
            past.column("sum(value)", f"e where kind = 'purchase' and {when}")
        )
        out[f"orders_{w}d"] = past.count(f"orders where {now}")
        out[f"value_{w}d"] = value(now)
        out[f"views_{w}d"] = past.count(f"e where kind = 'view' and {now}")
        out[f"interactions_{w}d"] = past.count(f"e where kind in {INTERACTIONS} and {now}")
        out[f"messages_{w}d"] = past.count(f"e where kind = 'message_sent' and {now}")
        out[f"orders_trend_{w}d"] = trend(
            out[f"orders_{w}d"], past.count(f"orders where {before}")
        )
        out[f"value_trend_{w}d"] = trend(out[f"value_{w}d"], value(before))

    # Activity.
    weights = {"view": 1.0, "cart": 3.0, "favourite": 2.0, "share": 3.0, "review": 4.0}
    settings = {
        "half_life_days": 30.0, "half_point": 10.0, "dwell_minute": 0.2,
        "dwell_cap_minutes": 10.0, "interaction": 1.0, "ad_click": 1.0,
    } | weights | spec.get("activity", {})
    raw = np.zeros(n)
    browsing = ("view", *INTERACTIONS)
    rows = past.db.execute(f"select c, t, kind, value from e where kind in {browsing}").fetchall()
    for c, t, kind, dwell in rows:
        points = settings[kind]
        if kind == "view":
            points += settings["dwell_minute"] * min(dwell / 60, settings["dwell_cap_minutes"])
        raw[c] += points * 0.5 ** ((as_of - t) / DAY / settings["half_life_days"])
    recorded = any(kind in browsing for kind in known["kinds"])
    out["activity"] = 10 * raw / (raw + settings["half_point"]) if recorded else np.full(n, NAN)
    since = f"({as_of} - max(t)) / {DAY}"
    out["days_since_last_view"] = past.column(since, "e where kind = 'view'")
    own_behaviour = ("purchase", *browsing, "message_opened", "message_clicked", "message_answered")
    out["days_since_last_activity"] = past.column(since, f"e where kind in {own_behaviour}")

    # Touchpoints.
    strength = spec.get("touchpoints", {}).get("prior_messages", 10.0)
    preferred, highest = np.full(n, NAN), np.full(n, -math.inf)
    for place, channel in enumerate(past.channels):
        of = lambda kind: past.count(
            f"e where kind = 'message_{kind}' and channel = '{channel}'"
        )
        sent, clicked, answered = of("sent"), of("clicked"), of("answered")
        responses = np.minimum(clicked + answered, sent)
        mean = known["channels"].get(channel, NAN)
        rate = (responses + strength * mean) / (sent + strength)
        out[f"{channel}_sent"] = sent
        out[f"{channel}_opened"] = of("opened")
        out[f"{channel}_clicked"] = clicked
        out[f"{channel}_answered"] = answered
        out[f"{channel}_response_rate"] = rate
        better = (clicked + answered > 0) & (np.nan_to_num(rate, nan=-1.0) > highest)
        preferred = np.where(better, place, preferred)
        highest = np.where(better, np.nan_to_num(rate, nan=-1.0), highest)
    out["days_since_last_response"] = past.column(
        since, "e where kind in ('message_clicked', 'message_answered')"
    )
    out["preferred_channel"] = preferred

    # Feedback.
    recent = spec.get("feedback", {}).get("complaints_days", 90)
    share = refunded / np.where(total > 0, total, math.inf)
    out["refund_rate"] = np.where((refunded > 0) & (refunded >= total), 1.0, share)
    out["refunds"] = past.count("e where kind = 'refund'")
    out["complaints"] = past.count("e where kind = 'complaint'")
    orders = np.asarray(out["orders"], dtype=float)
    rate = out["complaints"] / np.where(orders > 0, orders, 1.0)
    out["complaint_rate"] = np.where(orders > 0, rate, math.nan)
    out["service_contacts"] = past.count("e where kind = 'service_contact'")
    out[f"complaints_{recent}d"] = past.count(
        f"e where kind = 'complaint' and t >= {as_of - recent * DAY}"
    )
    out["days_since_last_complaint"] = past.column(since, "e where kind = 'complaint'")

    # Lifecycle.
    rules = {
        "new_days": 30, "won_back_days": 30, "slipping_level": 0.80, "lapsed_level": 0.95,
        "slipping_days": 60, "lapsed_days": 90, "lost_days": 365,
    } | spec.get("lifecycle", {})

    def risk(days_silent: float, tail: float) -> int:
        if clock:
            lapsed = tail < 1 - rules["lapsed_level"]
            slipping = tail < 1 - rules["slipping_level"]
        else:
            lapsed = days_silent > rules["lapsed_days"]
            slipping = days_silent > rules["slipping_days"]
        return 4 if lapsed else 3 if slipping else 2

    def stage(c: int) -> int:
        s, own = silence[c], gaps[c]
        if not bought[c]:
            return 0
        if s > rules["lost_days"]:
            return 5
        if not own and out["age"][c] <= rules["new_days"]:
            return 1
        if own and s <= rules["won_back_days"]:
            earlier = bought_days[c][:-1]
            tail = clock.tail(earlier, clock.silence(*bought_days[c][-2:])) if clock else NAN
            if own[-1] > rules["lost_days"] or risk(own[-1], tail) == 4:
                return 6
        return risk(s, out["silence_tail"][c])

    out["lifecycle_stage"] = np.array([stage(c) for c in range(n)], float)
    wanted = spec.get("features") or list(out)
    return {name: out[name].tolist() for name in wanted}


# ---- scores, segments, plans -------------------------------------------------------------------


def document(room: str, name: str) -> dict:
    return tomllib.loads((ROOMS / room / name).read_text(encoding="utf-8"))


def bin_points(factor: dict, value: float) -> float:
    if math.isnan(value):
        return factor["missing"]
    return next(b["points"] for b in factor["bins"] if value < b.get("below", math.inf))


def scored(inputs: dict, table: dict) -> dict:
    card = inputs.get("scorecard") or document("scoring", "default_scorecard.toml")
    points = {
        factor["feature"]: [bin_points(factor, float(x)) for x in table[factor["feature"]]]
        for factor in card["factors"]
    }
    double = card["points_to_double_odds"]
    base = card.get("base_points", 0.0)
    totals = [base + sum(each) for each in zip(*points.values(), strict=True)]
    odds = [2 ** (total / double) for total in totals]
    return {
        "horizon_days": card["horizon_days"],
        "churn_probability": [o / (1 + o) for o in odds],
        "points": points,
    }


def tiers(inputs: dict, probabilities: list[float]) -> dict:
    edges = {"medium": 0.33, "high": 0.66} | inputs.get("risk_tiers", {})
    names = [
        "high" if p >= edges["high"] else "medium" if p >= edges["medium"] else "low"
        for p in probabilities
    ]
    return {"name": "risk_tier", "labels": ["low", "medium", "high"], "segment": names}


def grid_of(inputs: dict) -> dict:
    grid = inputs.get("grid", "rf25")
    return document("segments", f"{grid}.toml") if isinstance(grid, str) else grid


def named(inputs: dict, table: dict) -> dict:
    grid = grid_of(inputs)

    def holds(cell: dict, r: float, f: float, m: float) -> bool:
        scores = {"recency": r, "frequency": f, "monetary": m, "fm": (f + m) / 2}
        return all(low <= scores[axis] <= high for axis, (low, high) in cell.items())

    def label(r: float, f: float, m: float) -> str:
        if math.isnan(r):
            return "no_purchase"
        (name,) = {
            rule["label"] for rule in grid["rules"] if any(holds(c, r, f, m) for c in rule["cells"])
        }
        return name

    r = table["recency_score"]
    f = table.get("frequency_score", [1.0] * len(r))
    m = table.get("monetary_score", [1.0] * len(r))
    segment = [label(*map(float, scores)) for scores in zip(r, f, m, strict=True)]
    labels = [rule["label"] for rule in grid["rules"]] + ["no_purchase"]
    return {"name": grid.get("name", "rfm_segment"), "labels": labels, "segment": segment}


STAGES = ["prospect", "new", "active", "slipping", "lapsed", "lost", "won_back"]


def stages(table: dict) -> dict:
    names = [STAGES[int(code)] for code in table["lifecycle_stage"]]
    return {"name": "lifecycle", "labels": STAGES, "segment": names}


def profiled(table: dict) -> list[dict]:
    segment = np.array(stages(table)["segment"])
    money = np.nan_to_num(np.array(table["total_value"], float))
    rows = []
    for name in STAGES:
        inside = segment == name
        means = {}
        for feature, values in table.items():
            values = np.array(values, float)[inside]
            values = values[~np.isnan(values)]
            means[feature] = float(values.mean()) if len(values) else None
        rows.append(
            {
                "segment": name,
                "size": int(inside.sum()),
                "share": float(inside.mean()),
                "money": float(money[inside].sum()),
                "money_share": float(money[inside].sum() / money.sum()),
                "means": means,
            }
        )
    return rows


PLANNED = ["action", "channels", "offers", "expected_response", "contact_cost", "offer_cost"]


def matched(inputs: dict, table: dict) -> dict:
    """Conditions are evaluated by Python, whose syntax the ones used here share."""
    playbook = inputs.get("playbook") or document("strategy", "default_playbook.toml")
    channels = {c["id"]: c for c in playbook["channels"]}
    offers = {o["id"]: o for o in playbook["offers"]}
    p = scored(inputs, table)["churn_probability"]
    groups = [tiers(inputs, p), named(inputs, table)]
    if "lifecycle_stage" in table:
        groups.append(stages(table))
    answer = {key: [] for key in PLANNED}
    for row in range(len(p)):
        facts = {name: float(values[row]) for name, values in table.items()}
        facts |= {group["name"]: group["segment"][row] for group in groups}
        facts |= {"churn_probability": p[row], "everyone": True}
        holds = lambda text: text is None or eval(text, {}, facts)

        def rate(channel: str) -> float:
            prefix = channels[channel].get("feature", channel)
            own = facts.get(f"{prefix}_response_rate", NAN)
            return channels[channel]["prior_response"] if math.isnan(own) else own

        best = (None, [], [], 0.0, 0.0, 0.0)
        for action in sorted(playbook["actions"], key=lambda a: -a["priority"]):
            if not holds(action["audience"]):
                continue
            given: list[str] = []
            for offer in action["offers"]:
                clash = any(
                    offer in group and any(other in group for other in given)
                    for group in playbook.get("conflicts", [])
                )
                if holds(offers[offer].get("requires")) and not clash:
                    given.append(offer)
            open_sets = [
                channel_set
                for channel_set in action["channel_sets"]
                if all(holds(channels[c].get("requires")) for c in channel_set)
            ]
            if not given or not open_sets:
                continue

            def merit(channel_set: list[str]) -> tuple:
                chance = 1 - math.prod(1 - rate(c) for c in channel_set)
                cost = sum(channels[c]["cost"] for c in channel_set)
                worth = action.get("response_value")
                rank = (chance, -cost) if worth is None else (worth * chance - cost,)
                return rank, chance, cost

            chosen = max(open_sets, key=lambda s: merit(s)[0])
            _, chance, cost = merit(chosen)
            spent = chance * sum(offers[o]["cost"] for o in given)
            best = (action["id"], chosen, given, chance, cost, spent)
            break
        for values, value in zip(answer.values(), best, strict=True):
            values.append(value)
    return answer


def summed(playbook: dict, answer: dict) -> list[dict]:
    rows = []
    for action in playbook["actions"]:
        at = [i for i, name in enumerate(answer["action"]) if name == action["id"]]
        total = lambda key: math.fsum(answer[key][i] for i in at)
        rows.append(
            {
                "action": action["id"],
                "customers": len(at),
                "share": len(at) / len(answer["action"]),
                "expected_responses": total("expected_response"),
                "contact_cost": total("contact_cost"),
                "offer_cost": total("offer_cost"),
            }
        )
    return rows


# ---- operations --------------------------------------------------------------------------------


def summary(inputs: dict) -> dict:
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    rows, _ = clean(inputs)
    as_of = micros(inputs["as_of"])
    bought = [row for row in rows if row[2] == "purchase" and row[1] < as_of]
    frame = pd.DataFrame(
        {
            "customer": [row[0] for row in bought],
            "time": pd.to_datetime([row[1] // DAY for row in bought], unit="D"),
            "value": [row[3] for row in bought],
        }
    )
    settings = inputs.get("summary", {})
    days = settings.get("period_days", 1)
    table = summary_data_from_transaction_data(
        frame, "customer", "time", "value",
        observation_period_end=pd.Timestamp((as_of - 1) // DAY, unit="D"),
        freq={1: "D", 7: "W"}[days], freq_multiplier=settings.get("time_scale", 1),
    ).sort_index()
    return {
        "customers": table.index.tolist(),
        "frequency": table["frequency"].tolist(),
        "recency": table["recency"].tolist(),
        "age": table["T"].tolist(),
        "monetary_value": table["monetary_value"].tolist(),
    }


def built(inputs: dict) -> dict:
    past = Past(clean(inputs)[0], inputs["as_of"])
    spec = inputs.get("features", {})
    return {"customers": past.customers, "columns": features(past, spec, population(past, spec))}


def built_many(inputs: dict) -> dict:
    return {"tables": [built(inputs | {"as_of": as_of}) for as_of in inputs["instants"]]}


def stored(inputs: dict) -> dict:
    rows, spec = clean(inputs)[0], inputs.get("features", {})
    known = population(Past(rows, inputs["as_of"]), spec)
    later = Past(rows, inputs["later"])
    columns = features(later, spec, known)
    return {"customers": later.customers, "columns": columns, "population": known}


def planned(inputs: dict) -> dict:
    answer = matched(inputs, inputs["table"]["columns"])
    playbook = inputs.get("playbook") or document("strategy", "default_playbook.toml")
    return answer | {"summary": summed(playbook, answer)}


def whole_flow(inputs: dict) -> dict:
    settings = inputs.get("winback", {})
    past = Past(clean(inputs)[0], inputs["as_of"])
    spec = settings.get("features", {})
    table = features(past, spec, population(past, spec))
    playbook = settings.get("playbook", "default")
    if playbook != "default":
        settings = settings | {"playbook": tomllib.loads(playbook["toml"])}
    else:
        settings = {key: value for key, value in settings.items() if key != "playbook"}
    p = scored(settings, table)["churn_probability"]
    return matched(settings, table) | {
        "customers": past.customers,
        "churn_probability": p,
        "risk_tier": tiers(settings, p)["segment"],
        "rfm_segment": named(settings, table)["segment"],
        "lifecycle": stages(table)["segment"],
    }


def events_load(inputs: dict) -> object:
    """The file of `saved/witness.py`, if it is the one that lies there."""
    path = HERE / "saved" / "witness.py"
    spec = importlib.util.spec_from_file_location("saved_witness", path)
    saved = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(saved)
    file, expected = saved.build(inputs)
    stored = (HERE / "saved" / inputs["file"]).read_bytes()
    return {**expected, "same_file": stored == file}


# ---- journeys ----------------------------------------------------------------------------------


def lots(inputs: dict) -> dict:
    """The salted hash, by the numbered lines of its documentation."""

    def lot(customer: object) -> float:
        h = 0xCBF29CE484222325
        for byte in inputs["salt"].encode() + b"\0" + str(customer).encode():
            h = (h ^ byte) * 0x100000001B3 % 2**64
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            h = (h ^ h >> 33) * factor % 2**64
        return ((h ^ h >> 33) >> 11) / 2**53

    return {"lots": [lot(customer) for customer in inputs["customers"]]}


def sent(inputs: dict) -> dict:
    """Who is contacted when, by trying every minute; for one journey of sends and waits that
    begins with silence, under caps and quiet hours that hold."""
    source = inputs["journeys"]
    journey = tomllib.loads(source["journeys"][0]["toml"])
    policy = tomllib.loads(source["policy"]["toml"])
    minute = timedelta(minutes=1)
    instant = lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)
    zones = {record["customer"]: record["zone"] for record in inputs["customers"]}
    clock = lambda local: local.strftime("%H:%M")
    weekdays = "monday tuesday wednesday thursday friday saturday sunday".split()

    def quiet(at: datetime, zone: ZoneInfo, channels: set) -> bool:
        local = at.astimezone(zone)
        for window in policy.get("quiet_hours", []):
            if "channels" in window and not channels & set(window["channels"]):
                continue
            begins = lambda day: not window.get("days") or weekdays[day.weekday()] in window["days"]
            now, start, end = clock(local), window["from"], window["to"]
            yesterday = local.date() - timedelta(days=1)
            if start < end:
                if start <= now < end and begins(local.date()):
                    return True
            elif now >= start and begins(local.date()) or now < end and begins(yesterday):
                return True
        return False

    def capped(at: datetime, zone: ZoneInfo, channels: set, made: list) -> bool:
        for cap in policy.get("caps", []):
            counted = [t for t, used in made if not cap.get("channels") or used & set(cap["channels"])]
            if cap.get("channels") and not channels & set(cap["channels"]):
                continue
            if "calendar_days" in cap:
                own = ZoneInfo(cap["zone"]) if "zone" in cap else zone
                first = at.astimezone(own).date() - timedelta(days=cap["calendar_days"] - 1)
                counted = [t for t in counted if t.astimezone(own).date() >= first]
            else:
                length = timedelta(
                    days=cap.get("rolling_days", 0),
                    hours=cap.get("rolling_hours", 0),
                    minutes=cap.get("rolling_minutes", 0),
                )
                counted = [t for t in counted if t > at - length]
            if len(counted) >= cap["contacts"]:
                return True
        return False

    lines = []
    (tell, plan) = inputs["steps"]
    end = instant(plan["until"])
    for event in tell["events"]:
        zone = ZoneInfo(zones.get(event["customer"], policy.get("zone", "UTC")))
        at = instant(event["time"]) + timedelta(days=journey["triggers"][0]["silence_days"])
        made = []
        for step in journey["steps"]:
            if "wait" in step and "at" in step["wait"]:
                day = at.astimezone(zone).date() + timedelta(days=step["wait"].get("days", 0))
                at += minute
                while not (
                    at.astimezone(zone).date() >= day and clock(at.astimezone(zone)) == step["wait"]["at"]
                ):
                    at += minute
            elif "wait" in step:
                at += timedelta(days=step["wait"].get("days", 0), hours=step["wait"].get("hours", 0))
            else:
                option = step["send"]["options"][0]
                channels = set(option["channels"])
                while quiet(at, zone, channels) or capped(at, zone, channels, made):
                    at += minute
                made.append((at, channels))
                if at <= end:
                    shown = at.strftime("%Y-%m-%d" if clock(at) == "00:00" else "%Y-%m-%dT%H:%M:%S")
                    name = f"{journey['id']}.{step['id']}"
                    ways = "+".join(option["channels"])
                    lines.append((at, event["customer"], f"{shown} {event['customer']} {name}: sent {ways}"))
    return {"lines": [[], [line for _, _, line in sorted(lines)]]}


def reported(inputs: dict) -> dict:
    """A journey that begins with silence, goes one of two ways by lot, sends, waits and sends again;
    who was held out by lot, what both sides did afterwards, and what contacts and offers cost."""
    day = 86_400_000_000
    source = inputs["journeys"]
    journey = tomllib.loads(source["journeys"][0]["toml"])
    holdout = tomllib.loads(source["policy"]["toml"])["holdout"]
    playbook = document("strategy", "default_playbook.toml")
    channel_cost = {c["id"]: c["cost"] for c in playbook["channels"]}
    offer_cost = {o["id"]: o["cost"] for o in playbook["offers"]}
    unit = {"second": 1_000_000, "day": day}[inputs["events"]["time_unit"]]
    start, end = micros(inputs["from"]), micros(inputs["to"])
    observed = micros(inputs["observed_until"])
    settings = inputs.get("incremental", {})
    margin, confidence = settings.get("margin", 0.3), settings.get("confidence", 0.95)
    length = inputs["horizon_days"] * day

    def mixed(h: int) -> int:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            h = (h ^ h >> 33) * factor % 2**64
        return h ^ h >> 33

    def bits(salt: str, text: object) -> int:
        h = 0xCBF29CE484222325
        for byte in salt.encode() + b"\0" + str(text).encode():
            h = (h ^ byte) * 0x100000001B3 % 2**64
        return mixed(h)

    steps = {step["id"]: step for step in journey["steps"]}
    order = [step["id"] for step in journey["steps"]]
    silence = journey["triggers"][0]["silence_days"] * day
    events: dict = {}
    columns = inputs["events"]
    for row, customer in enumerate(columns["customer"]):
        one = (columns["time"][row] * unit, columns["kind"][row], columns["value"][row], columns["channel"][row])
        events.setdefault(customer, []).append(one)
    people = []
    for customer, own in sorted(events.items()):
        own.sort(key=lambda event: event[0])
        bought = [event[0] for event in own if event[1] == "purchase"]
        entry = None
        for at, then in zip(bought, bought[1:] + [10**18], strict=True):
            due = max(at + silence, start)
            if due < min(then, end):
                entry = due
                break
        if entry is None:
            continue
        out = min([at for at in bought if at > entry], default=10**18)
        lot = (bits(holdout["salt"], customer) >> 11) / 2**53
        contacts, at, step = [], entry, order[0]
        while step is not None:
            now, after = steps[step], order[order.index(step) + 1 :]
            step = after[0] if after else None
            if "split" in now:
                own_lot = (mixed(bits("", customer) ^ bits(f"{journey['id']}/{now['id']}", "")) >> 11) / 2**53
                total = 0.0
                for arm in now["split"]:
                    total += arm["share"]
                    if own_lot < total:
                        break
                step = arm["next"]
            elif "wait" in now:
                at += now["wait"]["days"] * day
            elif "exit" in now:
                break
            else:
                if at >= min(end, out):
                    break
                option = now["send"]["options"][0]
                contacts.append((at, option["channels"], option["offers"]))
            if "next" in now:
                step = now["next"]
        people.append((customer, entry, lot < holdout["share"], contacts, own))
    over = [person for person in people if person[1] + length <= observed]
    rows = []
    for _, entry, held, contacts, own in over:
        after = [e for e in own if entry <= e[0] < entry + length]
        before = [e for e in own if entry - length <= e[0] < entry]
        money = lambda list: sum((e[1] == "purchase") * e[2] - (e[1] == "refund") * e[2] for e in list)
        orders = lambda list: len({e[0] for e in list if e[1] == "purchase"})
        made = [] if held else [c for c in contacts if c[0] < entry + length]
        paid = 0.0
        for i, (at, channels, offers) in enumerate(made):
            for offer in offers:
                again = [c[0] for c in made[i + 1 :] if offer in c[2]]
                until = again[0] if again else entry + length
                answers = [
                    e
                    for e in own
                    if at < e[0] < until
                    and (
                        e[1] == "purchase"
                        or e[1] in ("message_clicked", "message_answered")
                        and e[3] in (None, *channels)
                    )
                ]
                paid += offer_cost[offer] * bool(answers)
        rows.append(
            {
                "held": held,
                "channel": "+".join(contacts[0][1]),
                "bought": float(orders(after) > 0),
                "orders": float(orders(after)),
                "revenue": money(after),
                "orders_before": float(orders(before)),
                "revenue_before": money(before),
                "contacts": len(made),
                "contact_cost": sum(channel_cost[c] for _, channels, _ in made for c in channels),
                "offer_cost": paid,
            }
        )

    def estimate(members: list, what: str) -> dict:
        take = lambda name, held: np.array([r[name] for r in members if r["held"] is held])
        a, b = take(what, True), take(what, False)
        if what == "bought":
            z = stats.norm.ppf((1 + confidence) / 2)

            def wilson(x: np.ndarray) -> tuple:
                n, p = len(x), x.mean()
                half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
                return (p + z * z / (2 * n) - half) / (1 + z * z / n), (p + z * z / (2 * n) + half) / (1 + z * z / n)

            (l0, u0), (l1, u1), p0, p1 = wilson(a), wilson(b), a.mean(), b.mean()
            value = p1 - p0
            low = value - math.sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2)
            return {"value": value, "low": low, "high": value + math.sqrt((u1 - p1) ** 2 + (p0 - l0) ** 2)}
        c, d = take(what + "_before", True), take(what + "_before", False)
        spread = ((c - c.mean()) ** 2).sum() + ((d - d.mean()) ** 2).sum()
        if spread > 0:
            slope = (((c - c.mean()) * a).sum() + ((d - d.mean()) * b).sum()) / spread
            centre = np.concatenate([c, d]).mean()
            a, b = a - slope * (c - centre), b - slope * (d - centre)
        test = stats.ttest_ind(b, a, equal_var=False).confidence_interval(confidence)
        return {"value": b.mean() - a.mean(), "low": test.low, "high": test.high}

    def finding(members: list) -> dict | None:
        held = sum(r["held"] for r in members)
        treated = len(members) - held
        if min(held, treated) < 2:
            return None
        times = lambda e, by: {key: by * value for key, value in e.items()}
        kept = times(estimate(members, "bought"), treated)
        revenue = times(estimate(members, "revenue"), treated)
        cost = math.fsum(r["contact_cost"] + r["offer_cost"] for r in members)
        return {
            "treated": treated,
            "held_out": held,
            "kept": kept,
            "orders": times(estimate(members, "orders"), treated),
            "revenue": revenue,
            "cost": cost,
            "profit": {key: margin * value - cost for key, value in revenue.items()},
            "cost_per_kept": cost / kept["value"] if kept["value"] > 0 else None,
            "return_on_spend": times(revenue, margin / cost) if cost > 0 else None,
        }

    return {
        "contacted": sum(not r["held"] for r in rows),
        "held_out": sum(r["held"] for r in rows),
        "open": len(people) - len(over),
        "contacts": sum(r["contacts"] for r in rows),
        "contact_cost": math.fsum(r["contact_cost"] for r in rows),
        "offer_cost": math.fsum(r["offer_cost"] for r in rows),
        "total": finding(rows),
        "by_channel": {
            name: finding([r for r in rows if r["channel"] == name])
            for name in sorted({r["channel"] for r in rows})
        },
    }


ANSWERS = {
    "journey.report": reported,
    "events.load": events_load,
    "journey.lots": lots,
    "journey.steps": sent,
    "events.clean": lambda inputs: clean(inputs)[1],
    "features.build": built,
    "features.many": built_many,
    "features.population": stored,
    "features.summary": summary,
    "scoring.scorecard": lambda inputs: scored(inputs, inputs["table"]["columns"]),
    "segments.tiers": lambda inputs: tiers(
        inputs, scored(inputs, inputs["table"]["columns"])["churn_probability"]
    ),
    "segments.grid": lambda inputs: named(inputs, inputs["table"]["columns"]),
    "segments.lifecycle": lambda inputs: stages(inputs["table"]["columns"]),
    "segments.profile": lambda inputs: profiled(inputs["table"]["columns"]),
    "strategy.match": planned,
    "winback.run": whole_flow,
}


# ---- files -------------------------------------------------------------------------------------


def as_json(value: object) -> object:
    """What JSON cannot hold as text; whole numbers without a fraction."""
    match value:
        case dict():
            return {key: as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value]
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        case float() if value.is_integer() and abs(value) < 1e15:
            return int(value)
    return value


def differs(expected: object, got: object, tolerance: float) -> bool:
    match expected, got:
        case dict(), dict():
            return expected.keys() != got.keys() or any(
                differs(item, got[key], tolerance) for key, item in expected.items()
            )
        case list(), list():
            return len(expected) != len(got) or any(
                differs(e, g, tolerance) for e, g in zip(expected, got, strict=True)
            )
        case (int() | float()), (int() | float()):
            return abs(expected - got) > tolerance * max(1.0, abs(expected))
    return expected != got


def pretty(value: object, indent: int = 0) -> str:
    """JSON with lists of short plain values, and short objects, on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not value or len(flat) + indent <= 80:
        return flat
    long = any(isinstance(item, dict | list) or len(str(item)) > 40 for item in items)
    if not long and isinstance(value, list):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, list):
        lines = [pad + pretty(item, indent + 2) for item in value]
    else:
        lines = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {pretty(item, indent + 2)}"
            for key, item in value.items()
        ]
    ends = "[]" if isinstance(value, list) else "{}"
    return ends[0] + "\n" + ",\n".join(lines) + "\n" + " " * indent + ends[1]


def main(write: bool) -> list[str]:
    """The cases that differ from what is computed here."""
    wrong = []
    for path in sorted(HERE.glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        if golden["origin"]["kind"] == "independent":
            for case in golden["cases"]:
                inputs = golden.get("inputs", {}) | case["inputs"]
                got = as_json(ANSWERS[golden["operation"]](inputs))
                if write:
                    case["expected"] = got
                elif differs(case["expected"], got, case["tolerance"]):
                    wrong.append(f"{path.name}: {case['name']}: computed {json.dumps(got)}")
        if write:
            path.write_text(pretty(golden) + "\n", encoding="utf-8")
    return wrong


if __name__ == "__main__":
    failures = main(write="--write" in sys.argv[1:])
    print("\n".join(failures) or "every independent answer is the same")
    sys.exit(bool(failures))
