"""What is asked of every engine, and whether the answers agree.

Peers deliver *raw* aggregates per customer and leave out what a query language cannot say (the
purchase clock, lifecycle stages) as well as the last arithmetic (ratios, shrinkage): their
times are lower bounds. What they leave out is computed here, outside the timers, to compare with
churn row by row.
"""

import json

import numpy as np

from .shop import CHANNELS, DAY, WINDOWS, Shop

RFM = [
    "days_since_last",
    "recency",
    "age",
    "orders",
    "total_value",
    "net_value",
    "mean_order_value",
]
ANSWERS = ["sent", "opened", "clicked", "answered"]

LEVELS = {
    "rfm": RFM,
    "windows": RFM
    + [f"{what}_{days}d" for days in WINDOWS for what in ("orders", "value")]
    + [f"{channel}_{what}" for channel in CHANNELS for what in ANSWERS]
    + ["activity"],
    "all": None,  # all default features
}
TITLES = {
    "rfm": "(a) RFM only",
    "windows": "(b) RFM, windows of 7/30/90/365 days, counts per channel, decayed activity",
    "all": "(c) all default features, with gap statistics",
    "summary": "(d) summary of purchases: frequency, recency, age, monetary value",
}

# Points per event of the activity score, by code of the kind.
WEIGHTS = {4: 3.0, 5: 2.0, 6: 3.0, 7: 4.0, 8: 1.0, 13: 1.0}
HALF_LIFE = 30.0 * DAY


def aligned(raw: dict[str, np.ndarray], customers: np.ndarray) -> dict[str, np.ndarray]:
    """Raw aggregates on churn's rows; NaN where the peer has no row or null."""
    ids = np.asarray(raw["customer"])
    order = np.argsort(ids)
    ids = ids[order]
    if len(ids) > 1 and np.any(ids[1:] == ids[:-1]):
        raise AssertionError("a peer has a customer twice")
    place = np.minimum(np.searchsorted(ids, customers), len(ids) - 1)
    known = ids[place] == customers
    if known.sum() != len(ids):
        raise AssertionError("a peer has a customer whom churn does not have")
    out = {}
    for name, column in raw.items():
        if name != "customer":
            column = np.asarray(column, dtype=np.float64)[order][place]
            out[name] = np.where(known, column, np.nan)
    return out


def derive(raw: dict[str, np.ndarray], level: str, shop: Shop, population: str) -> dict[str, np.ndarray]:
    """churn's columns from a peer's raw aggregates (aligned)."""
    x = {name: np.nan_to_num(column, nan=0.0) for name, column in raw.items()}
    as_of = float(shop.as_of)
    days = lambda name: (as_of - raw[name]) / DAY
    ratio = lambda a, b: np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0.0)
    orders, total = x["orders"], x["total"]
    out = {
        "days_since_last": days("last"),
        "recency": (raw["last"] - raw["first"]) / DAY,
        "age": days("first"),
        "orders": orders,
        "total_value": total,
        "net_value": total - x["refunded"],
        "mean_order_value": ratio(total, orders),
    }
    if level == "rfm":
        return out
    for w in WINDOWS:
        out[f"orders_{w}d"] = x[f"orders_{w}"]
        out[f"value_{w}d"] = x[f"value_{w}"]
    for channel in CHANNELS:
        for what in ANSWERS:
            out[f"{channel}_{what}"] = x[f"{channel}_{what}"]
    out["activity"] = 10.0 * x["activity"] / (x["activity"] + 10.0)
    if level == "windows":
        return out

    learned = json.loads(population)
    bought = orders > 0
    out["frequency"] = np.where(bought, x["days"] - 1.0, 0.0)
    repeats = out["frequency"]
    out["monetary_value"] = np.where(repeats > 0, np.nan_to_num(ratio(x["repeat_money"], repeats)), 0.0)
    cuts = learned["rfm"]
    score = lambda name, value: np.where(bought, 1.0 + np.searchsorted(cuts[name], value), np.nan)
    out["recency_score"] = cuts["bins"] + 1.0 - score("days_since_last", out["days_since_last"])
    out["frequency_score"] = score("orders", orders)
    out["monetary_score"] = score("total_value", total * (1.0 - 1e-10))

    gaps, prior = learned["gaps"], 5.0
    n, s, q = x["gaps"], x["gap_sum"], x["gap_squares"]
    mean = (s + gaps["weight"] * gaps["mean_days"]) / (n + gaps["weight"])
    deviations = np.where(n > 0, q - s * np.nan_to_num(ratio(s, n)), 0.0)
    relative = (deviations / mean**2 + prior * gaps["relative_variance"]) / (n - 1.0 + prior)
    relative = np.where(n < 2, gaps["relative_variance"], relative)
    only_buyers = lambda column: np.where(bought, column, np.nan)
    out["gap_mean"] = only_buyers(mean)
    out["gap_spread"] = only_buyers(mean * np.sqrt(relative))
    out["gaps"] = n
    clock = purchase_clock(raw, as_of, n, s, deviations, gaps)
    for name, column in clock.items():
        out[name] = only_buyers(column)
    m = [x[f"month_{k}"] > 0 for k in (1, 2, 3, 4)]
    out["regular_then_silent"] = (~m[0] & m[1] & m[2] & m[3]).astype(float)

    trend = lambda now, before: np.nan_to_num(ratio(now - before, now + before))
    for w in WINDOWS:
        for what in ("views", "interactions", "messages"):
            out[f"{what}_{w}d"] = x[f"{what}_{w}"]
        out[f"orders_trend_{w}d"] = trend(x[f"orders_{w}"], x[f"orders_before_{w}"])
        out[f"value_trend_{w}d"] = trend(x[f"value_{w}"], x[f"value_before_{w}"])
    out["days_since_last_view"] = days("last_view")
    signs = np.stack([raw["last"], raw["last_own"], raw["last_message_sign"]])
    signs = np.where(np.isnan(signs), -np.inf, signs).max(axis=0)
    out["days_since_last_activity"] = np.where(np.isfinite(signs), (as_of - signs) / DAY, np.nan)
    out["days_since_last_response"] = days("last_response")
    best = np.full(len(orders), -np.inf)
    preferred = np.full(len(orders), np.nan)
    for code, channel in enumerate(CHANNELS):
        sent = x[f"{channel}_sent"]
        answers = x[f"{channel}_clicked"] + x[f"{channel}_answered"]
        rate = (np.minimum(answers, sent) + 10.0 * learned["channels"][channel]) / (sent + 10.0)
        out[f"{channel}_response_rate"] = rate
        better = (answers > 0) & (rate > best)
        best[better] = rate[better]
        preferred[better] = code
    out["preferred_channel"] = preferred
    refunded = x["refunded"]
    out["refund_rate"] = np.where(
        refunded <= 0, 0.0, np.where(refunded >= total, 1.0, np.nan_to_num(ratio(refunded, total)))
    )
    out["refunds"] = x["refunds"]
    out["complaints"] = x["complaints"]
    out["complaints_90d"] = x["complaints_90"]
    out["service_contacts"] = x["contacts"]
    out["days_since_last_complaint"] = days("last_complaint")
    return out


# Shares of gaps that are longer, at which the curves of the purchase clock are stored.
SHARES = np.array([1e-3, 2.5e-3, 5e-3, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25]
                  + [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 1.0])[::-1]  # fmt: skip


def purchase_clock(raw, as_of: float, n, gap_sum, deviations, gaps: dict) -> dict[str, np.ndarray]:
    """What the clock of a learned population says from first, last and gaps of each customer."""
    pace = gaps.get("pace", {"first_day": 0, "days": []})
    edges = pace["first_day"] + np.arange(len(pace["days"]) + 1.0)
    gained = np.concatenate([[0.0], np.cumsum(np.array(pace["days"]) - 1.0)])
    extra = lambda since, until: np.interp(until, edges, gained) - np.interp(since, edges, gained)
    first, last = np.nan_to_num(raw["first"]) / DAY, np.nan_to_num(raw["last"]) / DAY
    known = gap_sum + extra(np.floor(first), np.floor(last))
    expected = (known + gaps["weight"] * gaps["mean_days"]) / (n + gaps["weight"])
    silence = np.maximum(as_of / DAY - last + extra(last, as_of / DAY), 0.0)
    own_mean = gap_sum / np.maximum(n, 1.0)
    limit = gaps["relative_variance"] * own_mean**2
    irregular = deviations / np.maximum(n - 1.0, 1.0) > limit
    group = np.where(n < 3, n, np.where(n < 6, 3, 5) + irregular).astype(int)
    length = silence / expected
    out = {name: np.zeros(len(n)) for name in CLOCK}
    for i, curve in enumerate(gaps["curves"]):
        rows = group == i
        at = np.array([0.0, *curve["quantiles"]])
        area = ((SHARES[1:] + SHARES[:-1]) / 2.0 * np.diff(at)).sum()
        area += SHARES[-1] * at[-1] / (curve["decay"] - 1.0)
        p80, p95 = (at[np.flatnonzero(SHARES == share)[0]] for share in (0.2, 0.05))
        with np.errstate(over="ignore"):
            beyond = SHARES[-1] * (at[-1] / np.maximum(length[rows], at[-1])) ** curve["decay"]
        # Equal lengths are a step, which is taken behind them.
        end = np.clip(np.searchsorted(at, length[rows]), 1, len(at) - 1)
        width = np.where(at[end] > at[end - 1], at[end] - at[end - 1], 1.0)
        part = np.clip((length[rows] - at[end - 1]) / width, 0.0, 1.0)
        inside = SHARES[end - 1] + part * (SHARES[end] - SHARES[end - 1])
        out["silence_tail"][rows] = np.where(length[rows] > at[-1], beyond, inside)
        for name, relative in zip(CLOCK[1:], (area, p80, p95), strict=True):
            out[name][rows] = relative * expected[rows] - silence[rows]
    return out


CLOCK = ["silence_tail", "expected_next_days", "overdue_p80_days", "overdue_p95_days"]

# Differences of two sums that nearly cancel are compared with the size of what was summed.
SCALE = {
    "net_value": "total_value",
    "expected_next_days": "gap_mean",
    "overdue_p80_days": "gap_mean",
    "overdue_p95_days": "gap_mean",
}
TOLERANCE = 1e-9
# A curve may be steep: of perfectly regular customers it is a step.
LOOSE = {"silence_tail": 1e-7}


def compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> tuple[int, float]:
    """Compares every row of every common column; the number of columns and the worst difference.

    Raises AssertionError, naming column and customer, where a difference is above the tolerance.
    """
    worst = 0.0
    for name, expected in theirs.items():
        got = ours[name]
        scale = np.maximum(np.abs(got), np.abs(expected))
        if name in SCALE:
            scale = np.maximum(scale, np.abs(ours[SCALE[name]]))
        with np.errstate(invalid="ignore"):
            difference = np.abs(got - expected) / np.maximum(scale, 1.0)
        difference[np.isnan(got) & np.isnan(expected)] = 0.0
        difference[np.isnan(difference)] = np.inf
        row = int(np.argmax(difference))
        if difference[row] > LOOSE.get(name, TOLERANCE):
            customer = ours["customer"][row]
            raise AssertionError(
                f"{name} of customer {customer}: churn has {got[row]!r}, the peer {expected[row]!r}"
                f" ({int((difference > TOLERANCE).sum())} rows differ)"
            )
        worst = max(worst, float(difference[row]))
    return len(theirs), worst
