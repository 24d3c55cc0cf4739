"""The purchase clock as documented in `features/clock`, with numpy and scipy: for `witness.py`.

`learn` gives pace and curves from lists of purchase days, `Clock` what they say about a customer.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import betaprime

DAY = 86_400_000_000
LEVELS = np.array(
    "99 97.5 95 90 85 80 70 60 50 40 30 25 20 15 10 7.5 5 3.5 2.5 1.5 1 .5 .25 .1".split(), float
) / 100
MODEL_GAPS = [0, 1, 2, 4, 4, 9, 9]
MOST_DAYS = 21


def group(gaps: list[int], relative_variance: float) -> int:
    n = len(gaps)
    if n < 3:
        return n
    irregular = np.var(gaps, ddof=1) > relative_variance * np.mean(gaps) ** 2
    return (3 if n < 6 else 5) + int(irregular)


def model(which: int, prior: dict):
    """The law of a gap over the expected one."""
    relative = prior["relative_variance"]
    k = min(max(1 / relative if relative else math.inf, 0.01), 1e4)
    known = MODEL_GAPS[which] + min(prior["weight"], 1e3)
    return betaprime(k, 1 + known * k, scale=known)


def kaplan_meier(lengths: np.ndarray, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Lengths of closed gaps, the share that is longer, how many gaps; while 20 are at risk."""
    at, share, survival, count = [], [], 1.0, 0
    for length in np.unique(lengths[closed]):
        risk = (lengths >= length).sum()
        if risk < 20:
            break
        ended = (closed & (lengths == length)).sum()
        survival *= 1 - ended / risk
        count += ended
        at.append(length)
        share.append(survival)
    return np.array(at), np.array(share), int(count)


def curve(which: int, lengths: np.ndarray, closed: np.ndarray, prior: dict) -> dict:
    law = model(which, prior)
    at, survival, n = kaplan_meier(lengths, closed)
    scale = 1.0
    if n:
        left = survival[-1]
        # No more can come back later than are left.
        beyond = min(law.sf(at[-1]), left)
        scale = beyond / law.sf(at[-1]) if beyond else 0.0
        share = beyond + (1 - beyond) * (survival - left) / (1 - left)

    def longer(r: float, measured: float) -> float:
        return (n * measured + 30 * law.sf(r)) / (n + 30)

    def quantile(level: float) -> float:
        # Piece by piece: the measured share is constant from one closed gap to the next.
        start, measured = 0.0, 1.0
        for i in range(len(at)):
            if longer(at[i], measured) <= level:
                return brentq(lambda r: longer(r, measured) - level, start, at[i], xtol=1e-14)
            if longer(at[i], share[i]) <= level:
                return float(at[i])
            start, measured = at[i], share[i]
        return float(law.isf(min(level * (n + 30) / (n * scale + 30), 1 - 1e-12)))

    return {
        "gaps": n,
        "quantiles": [quantile(level) for level in LEVELS],
        "decay": law.args[1],
    }


def paces(customers: list[list[int]], today: int) -> dict | None:
    """Pace of the days before today, or nothing if they are alike."""
    if not customers or min(days[0] for days in customers) + 1 >= today:
        return None
    first = max(min(days[0] for days in customers) + 1, today - 1096)
    days = np.arange(first, today)
    # One row per customer, purchase day known and day at risk: later gap, age, day, bought.
    rows = []
    for bought in customers:
        known = bought[:MOST_DAYS]
        ends = known[1:] + ([math.inf] if len(bought) < MOST_DAYS else [])
        for n, (start, end) in enumerate(zip(known, ends, strict=False)):
            at = days[(days > start) & (days <= min(end, start + 1096))]
            rows.append(np.stack([np.full(len(at), n > 0), at - start, at - first, at == end]))
    again, age, day, hit = np.concatenate(rows, axis=1).astype(int)
    key = age * 2 + again
    chance = np.bincount(key, hit) / np.maximum(np.bincount(key), 1)
    closed = np.bincount(day, hit, len(days))
    chances = np.bincount(day, chance[key], len(days))
    if closed.sum() < 1000:
        return None
    expected = np.zeros(len(days))
    for i in range(len(days)):
        near = abs(days - days[i]) <= 45
        if chances[near].sum() > 1e-6:
            expected[i] = chances[i] * closed[near].sum() / chances[near].sum()
    squares = (expected**2).sum()
    v = (((closed - expected) ** 2).sum() - expected.sum()) / squares
    if not v > 2 * math.sqrt(2 / squares):
        return None
    pace = np.clip((closed + 1 / v) / (expected + 1 / v), 0.2, 5)
    return {"first_day": int(first), "days": pace.tolist()}


class ShopTime:
    """Days of the shop at an instant in days."""

    def __init__(self, pace: dict | None) -> None:
        if pace is None:
            self.at = float
            return
        edges = pace["first_day"] + np.arange(len(pace["days"]) + 1)
        gained = np.concatenate([[0], np.cumsum(np.array(pace["days"]) - 1)])
        self.at = lambda t: t + float(np.interp(t, edges, gained))


def learn(customers: list[list[int]], as_of: int, prior: dict) -> dict:
    """Pace and curves from the purchase days of each buyer (fewer than 16,384)."""
    today = as_of // DAY
    pace = paces(customers, today)
    time = ShopTime(pace)
    lengths, closed = [[] for _ in MODEL_GAPS], [[] for _ in MODEL_GAPS]
    m, w = prior["mean_days"], prior["weight"]
    for bought in customers:
        known = bought[:MOST_DAYS]
        ends = known[1:] + ([today] if len(bought) < MOST_DAYS else [])
        for n, end in enumerate(ends):
            expected = (time.at(known[n]) - time.at(known[0]) + w * m) / (n + w)
            gaps = np.diff(known[: n + 1]).tolist()
            which = group(gaps, prior["relative_variance"])
            lengths[which].append(max(time.at(end) - time.at(known[n]), 0) / expected)
            closed[which].append(n + 1 < len(known))
    # Equal lengths that were computed in different ways are equal.
    curves = [
        curve(i, np.round(np.array(lengths[i], float), 11), np.array(closed[i], bool), prior)
        for i in range(len(MODEL_GAPS))
    ]
    return prior | ({"pace": pace} if pace else {}) | {"curves": curves}


class Clock:
    """What the population says about one customer."""

    def __init__(self, prior: dict) -> None:
        self.prior, self.time = prior, ShopTime(prior.get("pace"))

    def expected(self, days: list[int]) -> float:
        w, m = self.prior["weight"], self.prior["mean_days"]
        known = self.time.at(days[-1]) - self.time.at(days[0])
        return (known + w * m) / (len(days) - 1 + w)

    def curve(self, days: list[int]) -> dict:
        gaps = np.diff(days).tolist()
        return self.prior["curves"][group(gaps, self.prior["relative_variance"])]

    def silence(self, start: float, end: float) -> float:
        return max(self.time.at(end) - self.time.at(start), 0)

    def tail(self, days: list[int], silence: float) -> float:
        r, curve = silence / self.expected(days), self.curve(days)
        at = np.array([0, *curve["quantiles"]])
        if r > at[-1]:
            return LEVELS[-1] * (at[-1] / r) ** curve["decay"]
        if r <= 0:
            return 1.0
        # Equal lengths are a step, which is taken behind them.
        levels = np.array([1, *LEVELS])
        end = np.searchsorted(at, r)
        share = (r - at[end - 1]) / (at[end] - at[end - 1])
        return float(levels[end - 1] + share * (levels[end] - levels[end - 1]))

    def due(self, days: list[int], silence: float) -> list[float]:
        curve = self.curve(days)
        at = np.array([0, *curve["quantiles"]])
        area = np.trapezoid(np.array([1, *LEVELS]), at) + LEVELS[-1] * at[-1] / (curve["decay"] - 1)
        p80, p95 = (curve["quantiles"][list(LEVELS).index(level)] for level in (0.2, 0.05))
        return [r * self.expected(days) - silence for r in (area, p80, p95)]
