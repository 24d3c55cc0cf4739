"""Writes the golden files of the models of buying from outside the library.

Needs mpmath, numpy and pandas. Everything is computed from the published formulas in many digits:
`python witness.py` compares, `python witness.py --write` writes.
"""

import json
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pandas as pd

HERE = Path(__file__).parent
SOURCE = f"witness.py in this folder, the published formulas with mpmath {mp.__version__}"
mp.mp.dps = 30


def exact(values):
    return [mp.mpf(repr(float(v))) for v in values]


def number(value):
    value = float(mp.re(value))
    return 0.0 if abs(value) < 1e-300 else value


# ---- one customer ------------------------------------------------------------------------------


def series(a, b, c, z):
    """2F1(a, b; c; z), by its power series where parameters are large."""
    if abs(a) < 200 and abs(c) < 200:
        return mp.hyp2f1(a, b, c, z)
    term, total, n = mp.mpf(1), mp.mpf(1), 0
    while abs(term) > abs(total) * mp.mpf(10) ** -mp.mp.dps or n < abs(a) + abs(b):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        n += 1
        if term == 0:
            break
    return total


def ticks(shape, rate, t, n):
    """Probability of n ticks within t: negative binomial."""
    ln = mp.loggamma(shape + n) - mp.loggamma(shape) - mp.loggamma(n + 1)
    return mp.exp(ln + shape * mp.log(rate / (rate + t))) * (t / (rate + t)) ** n


class Bg:
    """(M)BG/CNBD-k: r, alpha, a, b; m chances to leave before the first repeat purchase."""

    def __init__(self, values, m, k=1):
        self.values, self.m, self.k = values, m, k

    def likelihood(self, x, recency, age, log_gaps=0):
        """Log-likelihood without what the parameters do not touch except for k; P(alive)."""
        (r, alpha, a, b), m, k = self.values, self.m, self.k
        rho, n = r + k * x, x + m
        ln = mp.loggamma(rho) - mp.loggamma(r) + r * mp.log(alpha) - rho * mp.log(alpha + age)
        ln += mp.log(mp.beta(a, b + n) / mp.beta(a, b))
        waited = (age - recency) / (alpha + age)
        alive = sum(mp.rf(rho, j) / mp.factorial(j) * waited**j for j in range(k))
        left = a / (b + n - 1) * ((alpha + age) / (alpha + recency)) ** rho if n > 0 else mp.mpf(0)
        ln += (k - 1) * log_gaps - x * mp.loggamma(k)
        return ln + mp.log(alive + left), alive / (alive + left)

    def alive(self, x, recency, age):
        return self.likelihood(x, recency, age)[1]

    def expected(self, x, recency, age, t):
        (r, alpha, a, b), k = self.values, self.k
        if t == 0:
            return mp.mpf(0)
        here, end, rest = self.alive(x, recency, age), alpha + age, b + x + self.m
        if k == 1:
            if a == 1:
                a = a * (1 + mp.mpf(10) ** -20)
            # Euler's transformation, which converges where x is large.
            z = t / (end + t)
            f = (1 - z) ** (a - 1 - r - x)
            f *= series(a + rest - 1 - r - x, a - 1, a + rest - 1, z)
            living = (a + rest - 1) / (a - 1) * (1 - (end / (end + t)) ** (r + x) * f)
            return here * living
        total = mp.mpf(0)
        for n, p in enumerate(self.distribution(x, recency, age, t, 400)):
            total += n * p
        return total

    def none(self, x, recency, age, t):
        return self.distribution(x, recency, age, t, 0)[0]

    def distribution(self, x, recency, age, t, most):
        (r, alpha, a, b), k = self.values, self.k
        rho, end, rest = r + k * x, alpha + age, b + x + self.m
        here = self.alive(x, recency, age)
        waited = (age - recency) / end
        since = [mp.rf(rho, j) / mp.factorial(j) * waited**j for j in range(k)]
        out = [mp.mpf(0)] * (most + 1)
        for j, weight in enumerate(since):
            weight = here * weight / sum(since)
            counted, done = mp.mpf(0), 0
            for n in range(most + 1):
                until = k * (n + 1) - j
                now = sum(ticks(rho + j, end, t, i) for i in range(done, until))
                counted, done = counted + now, until
                stays = mp.beta(a, rest + n) / mp.beta(a, rest)
                out[n] += weight * stays * now
                if n > 0:
                    leaves = mp.beta(a + 1, rest + n - 1) / mp.beta(a, rest)
                    out[n] += weight * leaves * (1 - counted + now)
        out[0] += 1 - here
        return out


class Pareto:
    def __init__(self, values):
        self.values = values

    def likelihood(self, x, recency, age, log_gaps=0):
        r, alpha, s, beta = self.values
        n = r + s + x

        def gauss(b, z):
            return (1 - z) ** (1 - b) * series(1, n + 1 - b, n + 1, z)

        def piece(at):
            if alpha >= beta:
                return gauss(s + 1, (alpha - beta) / (alpha + at)) / (alpha + at) ** n
            return gauss(r + x, (beta - alpha) / (beta + at)) / (beta + at) ** n

        gone = s / n * (piece(recency) - piece(age))
        alive = (alpha + age) ** -(r + x) * (beta + age) ** -s
        ln = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta)
        return ln + mp.log(alive + gone), alive / (alive + gone)

    def alive(self, x, recency, age):
        return self.likelihood(x, recency, age)[1]

    def expected(self, x, recency, age, t):
        r, alpha, s, beta = self.values
        here = self.alive(x, recency, age)
        if s == 1:
            return here * (r + x) * (beta + age) / (alpha + age) * mp.log1p(t / (beta + age))
        living = (r + x) * (beta + age) / ((alpha + age) * (s - 1))
        return here * living * (1 - ((beta + age) / (beta + age + t)) ** (s - 1))

    def none(self, x, recency, age, t):
        return self.distribution(x, recency, age, t, 0)[0]

    def distribution(self, x, recency, age, t, most):
        r, alpha, s, beta = self.values
        shape, rate, end = r + x, alpha + age, beta + age
        here = self.alive(x, recency, age)
        out = []
        # The count falls off within a few of its own time scales.
        edges = [mp.mpf(0)]
        while edges[-1] < t:
            edges.append(min(t, 2 * edges[-1] + min(rate / shape, end, t) / 4))
        for n in range(most + 1):
            value = (1 + t / end) ** -s * ticks(shape, rate, t, n)
            if t > 0:
                density = lambda u: s / end * (1 + u / end) ** -(s + 1) * ticks(shape, rate, u, n)
                value += mp.quad(density, edges)
            out.append(here * value)
        out[0] += 1 - here
        return out


def model(family, values, k=1):
    if family == "pareto_nbd":
        return Pareto(values)
    return Bg(values, 1 if family == "mbg_nbd" else 0, k)


def histories(columns):
    return list(zip(*(exact(columns[name]) for name in ("frequency", "recency", "age"))))


def answers(given):
    one = model(given["family"], exact(given["parameters"]), given.get("regularity", 1))
    t = exact([given["horizon"]])[0]
    rows = histories(given["columns"])
    found = {}
    for name in given["answers"]:
        match name:
            case "probability_alive":
                found[name] = [number(one.alive(*row)) for row in rows]
            case "expected_purchases":
                found[name] = [number(one.expected(*row, t)) for row in rows]
            case "no_purchase_probability":
                found[name] = [number(one.none(*row, t)) for row in rows]
            case "purchases":
                shares = [one.distribution(*row, t, given["most"]) for row in rows]
                found[name] = [[number(p) for p in column] for column in zip(*shares)]
    return found


# ---- fits --------------------------------------------------------------------------------------


def newton(loss, start, steps=80):
    """Minimum of a function of logarithms, with its Hessian; derivatives by differences."""
    theta, h = [mp.mpf(x) for x in start], mp.mpf(10) ** -10
    p = len(theta)

    def at(*moves):
        moved = list(theta)
        for i, by in moves:
            moved[i] += by
        return loss(moved)

    for _ in range(steps):
        here = loss(theta)
        ups, downs = [at((i, h)) for i in range(p)], [at((i, -h)) for i in range(p)]
        gradient = mp.matrix([(u - d) / (2 * h) for u, d in zip(ups, downs)])
        hessian = mp.matrix(p)
        for i in range(p):
            hessian[i, i] = (ups[i] + downs[i] - 2 * here) / h**2
            for j in range(i):
                cross = at((i, h), (j, h)) - ups[i] - ups[j] + 2 * here
                cross += at((i, -h), (j, -h)) - downs[i] - downs[j]
                hessian[i, j] = hessian[j, i] = cross / (2 * h**2)
        damping, scale = mp.mpf(0), mp.diag([abs(hessian[i, i]) for i in range(p)])
        while True:
            step = mp.lu_solve(hessian + damping * scale, -gradient)
            if max(abs(x) for x in step) < mp.mpf(10) ** -9 and damping == 0:
                return theta, hessian**-1
            moved = [x + d for x, d in zip(theta, step)]
            if (step.T * gradient)[0] < 0 and max(map(abs, step)) < 2 and loss(moved) < here:
                break
            damping = max(mp.mpf(10) ** -3, 4 * damping)
        theta = moved
    raise SystemExit("no minimum found")


def fit(given):
    settings, columns = given.get("lifetime", {}), given["columns"]
    family, k = settings.get("family", "mbg_nbd"), 1
    rows = histories(columns)
    weights = exact(columns.get("weights", [1] * len(rows)))
    gaps = exact(columns.get("log_gaps", [0] * len(rows)))
    z = given.get("covariates", {})
    buys, leaves = settings.get("purchase_covariates", []), settings.get("dropout_covariates", [])
    on_buying = [exact(z[name]) for name in buys]
    on_leaving = [exact(z[name]) for name in leaves]
    penalty = exact([settings.get("penalty", 0), settings.get("covariate_penalty", 0)])

    def parameters(theta, row):
        values = [mp.exp(x) for x in theta[:4]]
        for g, column in zip(theta[4:], on_buying):
            values[1] *= mp.exp(-g * column[row])
        for g, column in zip(theta[4 + len(buys) :], on_leaving):
            if family == "pareto_nbd":
                values[3] *= mp.exp(-g * column[row])
            else:
                values[2] *= mp.exp(g * column[row])
                values[3] *= mp.exp(g * column[row])
        return values

    def log_likelihood(theta, k):
        total = mp.mpf(0)
        for row, (history, weight, gap) in enumerate(zip(rows, weights, gaps)):
            one = model(family, parameters(theta, row), k)
            total += weight * one.likelihood(*history, gap)[0]
        return total

    def best(k):
        def loss(theta):
            penalties = penalty[0] * sum(mp.exp(2 * x) for x in theta[:4])
            penalties += penalty[1] * sum(x**2 for x in theta[4:])
            return sum(weights) * penalties - log_likelihood(theta, k)

        start = given["start"]
        start = start[k] if isinstance(start, dict) else start
        start = [mp.log(x) for x in start[:4]] + [mp.mpf(x) for x in start[4:]]
        theta, covariance = newton(loss, start)
        return theta, covariance, log_likelihood(theta, k)

    match settings.get("regularity", {"fixed": 1}):
        case {"fixed": k}:
            theta, covariance, value = best(k)
        case {"up_to": largest}:
            theta, covariance, value = best(1)
            for other in range(2, largest + 1):
                found = best(other)
                if found[2] <= value:
                    break
                k, (theta, covariance, value) = other, found
    scale = [mp.exp(x) for x in theta[:4]] + [mp.mpf(1)] * (len(theta) - 4)
    answer = {
        "regularity": k,
        "parameters": [number(mp.exp(x)) for x in theta[:4]] + [number(x) for x in theta[4:]],
        "standard_errors": [number(s * mp.sqrt(covariance[i, i])) for i, s in enumerate(scale)],
        "log_likelihood": number(value),
    }
    if "interval" in given:
        t, level = exact([given["interval"]["horizon"], given["interval"]["level"]])
        width = mp.sqrt(2) * mp.erfinv(level)
        for name, of, link, back in [
            ("alive_interval", lambda m, row: m.alive(*row), lambda p: mp.log(p / (1 - p)), lambda y: 1 / (1 + mp.exp(-y))),
            ("purchases_interval", lambda m, row: m.expected(*row, t), mp.log, mp.exp),
        ]:
            columns = []
            for row in given["interval"]["rows"]:
                if of(model(family, parameters(theta, row), k), rows[row]) == 1 and "alive" in name:
                    columns.append([1.0, 1.0, 1.0])
                    continue

                def linked(theta):
                    return link(of(model(family, parameters(theta, row), k), rows[row]))

                h, slopes = mp.mpf(10) ** -10, []
                for i in range(len(theta)):
                    up, down = list(theta), list(theta)
                    up[i] += h
                    down[i] -= h
                    slopes.append((linked(up) - linked(down)) / (2 * h))
                slopes = mp.matrix(slopes)
                spread = width * mp.sqrt((slopes.T * covariance * slopes)[0])
                middle = linked(theta)
                columns.append([number(back(y)) for y in (middle, middle - spread, middle + spread)])
            answer[name] = [list(column) for column in zip(*columns)]
    return answer


def spend(given):
    columns = given["columns"]
    x, m = exact(columns["frequency"]), exact(columns["monetary_value"])
    answer = {}
    if "parameters" in given:
        p, q, gamma = exact(given["parameters"])
    else:
        rows = [(a, b) for a, b in zip(x, m) if a > 0 and b > 0]

        def log_likelihood(p, q, gamma):
            return sum(
                mp.loggamma(p * a + q) - mp.loggamma(p * a) - mp.loggamma(q) + q * mp.log(gamma)
                + (p * a - 1) * mp.log(b) + p * a * mp.log(a) - (p * a + q) * mp.log(gamma + b * a)
                for a, b in rows
            )

        loss = lambda theta: -log_likelihood(*[mp.exp(y) for y in theta])
        theta, covariance = newton(loss, [mp.log(v) for v in given["start"]])
        p, q, gamma = [mp.exp(y) for y in theta]
        answer = {
            "parameters": [number(v) for v in (p, q, gamma)],
            "standard_errors": [number(mp.exp(y) * mp.sqrt(covariance[i, i])) for i, y in enumerate(theta)],
            "log_likelihood": number(log_likelihood(p, q, gamma)),
            "left_out": len(x) - len(rows),
        }
    answer["population_mean"] = number(p * gamma / (q - 1))
    answer["expected_spend"] = [number(p * (gamma + a * b) / (p * a + q - 1)) for a, b in zip(x, m)]
    return answer


def value(given):
    one = model(given["family"], exact(given["parameters"]), 1)
    p, q, gamma = exact(given["spend"])
    unit, settings = given.get("unit_days", 1), given.get("value", {})
    horizon = settings.get("horizon_days", 365)
    rate, period = exact([settings.get("discount_rate", 0.1), settings.get("discount_period_days", 365)])
    margin = exact([settings.get("margin", 1)])[0]
    delta = mp.log1p(rate) / period * unit
    money = exact(given["columns"]["monetary_value"])
    found = []
    for row, mean in zip(histories(given["columns"]), money):
        each = p * (gamma + row[0] * mean) / (p * row[0] + q - 1)
        if "step_days" in settings:
            step, end = exact([settings["step_days"] / unit, horizon / unit])
            total, before, i = mp.mpf(0), mp.mpf(0), 1
            while step * (i - 1) < end * (1 - mp.mpf(10) ** -9):
                now = one.expected(*row, min(step * i, end))
                total += (now - before) * mp.exp(-delta * step * i)
                before, i = now, i + 1
        else:
            end = mp.mpf(horizon) / unit if horizon is not None else 90 / delta
            edges = [mp.mpf(0)]
            while edges[-1] < end:
                edges.append(min(end, edges[-1] + min(5 + edges[-1], 4 / delta if delta else end)))
            with mp.workdps(20):
                inner = mp.quad(lambda u: mp.exp(-delta * u) * one.expected(*row, u), edges)
            total = delta * inner + mp.exp(-delta * end) * one.expected(*row, end)
        found.append(number(margin * each * total))
    return {"customer_value": found}


# ---- rounds and renewals -----------------------------------------------------------------------


def bg_bb_likelihood(values, x, last, n):
    alpha, beta, gamma, delta = values
    buys = lambda i: mp.beta(alpha + x, beta + i - x) / mp.beta(alpha, beta)
    here = buys(n) * mp.beta(gamma, delta + n) / mp.beta(gamma, delta)
    gone = mp.mpf(0)
    for i in range(int(n - last)):
        gone += buys(last + i) * mp.beta(gamma + 1, delta + last + i) / mp.beta(gamma, delta)
    return here + gone, here


def bg_bb(given):
    rows, answer = histories(given["columns"]), {}
    weights = exact(given["columns"].get("weights", [1] * len(rows)))
    if "parameters" in given:
        values = exact(given["parameters"])
    else:
        def log_likelihood(values):
            return sum(w * mp.log(bg_bb_likelihood(values, *row)[0]) for row, w in zip(rows, weights))

        loss = lambda theta: -log_likelihood([mp.exp(y) for y in theta])
        theta, covariance = newton(loss, [mp.log(v) for v in given["start"]])
        values = [mp.exp(y) for y in theta]
        answer = {
            "parameters": [number(v) for v in values],
            "standard_errors": [number(v * mp.sqrt(covariance[i, i])) for i, v in enumerate(values)],
            "log_likelihood": number(log_likelihood(values)),
        }
    alpha, beta, gamma, delta = values
    m = given["ahead"]
    alive, expected, none = [], [], []
    for x, last, n in rows:
        whole, here = bg_bb_likelihood(values, x, last, n)
        here /= whole
        stays = lambda i: mp.rf(delta + n, i) / mp.rf(gamma + delta + n, i)
        quiet = lambda i: mp.rf(beta + n - x, i) / mp.rf(alpha + beta + n, i)
        alive.append(number(here * stays(m)))
        buying = (alpha + x) / (alpha + beta + n)
        expected.append(number(here * buying * sum(stays(i) for i in range(1, m + 1))))
        silent = stays(m) * quiet(m) + sum((stays(i) - stays(i + 1)) * quiet(i) for i in range(m))
        none.append(number(1 - here + here * silent))
    return answer | {
        "probability_alive": alive,
        "expected_purchases": expected,
        "no_purchase_probability": none,
    }


def renewals(given):
    if "survivors" in given:
        survivors = given["survivors"]
        ends = [(t, survivors[t - 1] - survivors[t], True) for t in range(1, len(survivors))]
        ends.append((len(survivors) - 1, survivors[-1], False))
    else:
        ends = [(t, 1, lost) for t, lost in zip(given["duration"], given["churned"])]

    def log_likelihood(a, b):
        return sum(
            n * mp.log(mp.beta(a + 1, b + t - 1) / mp.beta(a, b) if lost else mp.beta(a, b + t) / mp.beta(a, b))
            for t, n, lost in ends
        )

    theta, covariance = newton(lambda y: -log_likelihood(mp.exp(y[0]), mp.exp(y[1])), [0, 1])
    a, b = [mp.exp(y) for y in theta]
    kept = lambda n, t: mp.beta(a, b + n + t) / mp.beta(a, b + n)
    rate = exact([given["rate"]])[0]
    return {
        "parameters": [number(a), number(b)],
        "standard_errors": [number(v * mp.sqrt(covariance[i, i])) for i, v in enumerate((a, b))],
        "log_likelihood": number(log_likelihood(a, b)),
        "survival": [number(kept(n, given["ahead"])) for n in given["renewals"]],
        "discounted_renewals": [
            number(mp.nsum(lambda i: kept(n, i + 1) / (1 + rate) ** i, [0, mp.inf]))
            for n in given["renewals"]
        ],
    }


# ---- summaries ---------------------------------------------------------------------------------


def periods(times, settings):
    """Numbers of the periods, counted from the Monday before 1970."""
    days = pd.to_datetime(times, utc=True).astype("int64").to_numpy() // (86_400 * 10**9)
    if str(pd.to_datetime(times, utc=True).dtype).startswith("datetime64[us"):
        days = pd.to_datetime(times, utc=True).astype("int64").to_numpy() // (86_400 * 10**6)
    return (days + 3) // settings.get("period_days", 1)


def running(given):
    settings = given.get("summary", {})
    scale = settings.get("time_scale", 1)
    orders = pd.DataFrame(given["orders"], columns=["time", "value"])
    orders["period"] = periods(pd.DatetimeIndex(orders["time"]).as_unit("us"), settings)
    by = orders.groupby("period")["value"].sum()
    end = periods(pd.DatetimeIndex([given["as_of"]]).as_unit("us") - pd.Timedelta(microseconds=1), settings)[0]
    first, last = by.index[0], by.index[-1]
    gaps = np.diff(by.index.to_numpy()) / scale
    return {
        "frequency": float(len(by) - 1),
        "recency": float(last - first) / scale,
        "age": float(end - first) / scale,
        "monetary_value": float(by.iloc[1:].mean()) if len(by) > 1 else 0.0,
        "log_gaps": float(np.log(gaps).sum()),
    }


def holdout(given):
    settings = given.get("summary", {})
    scale, events = settings.get("time_scale", 1), given["events"]
    frame = pd.DataFrame({"customer": events["customer"], "value": events["value"]})
    times = pd.to_datetime(events["time"], unit={"day": "D", "second": "s"}[events["time_unit"]])
    frame["period"] = periods(pd.DatetimeIndex(times).as_unit("us"), settings)
    ends = [
        periods(pd.DatetimeIndex([given[name]]).as_unit("us") - pd.Timedelta(microseconds=1), settings)[0]
        for name in ("as_of", "later")
    ]
    customers = sorted(frame.loc[frame["period"] <= ends[0], "customer"].unique())
    after = frame[(frame["period"] > ends[0]) & (frame["period"] <= ends[1])]
    by = after.groupby(["customer", "period"])["value"].sum()
    of = lambda id: by.loc[id] if id in by.index.get_level_values(0) else by.iloc[:0]
    return {
        "customers": customers,
        "frequency": [float(len(of(id))) for id in customers],
        "monetary_value": [float(of(id).mean()) if len(of(id)) else 0.0 for id in customers],
        "duration": float(ends[1] - ends[0]) / scale,
    }


# ---- cases -------------------------------------------------------------------------------------


def simulated(customers, seed, r, alpha, regularity=1):
    """Customers who buy at gamma rates, every regularity-th tick, and leave after a purchase."""
    draw = np.random.default_rng(seed)
    columns = {name: [] for name in ("frequency", "recency", "age", "monetary_value", "log_gaps")}
    for i in range(customers):
        age = round(float(draw.uniform(20, 40)), 2)
        rate, p_left = draw.gamma(r, 1 / alpha) * regularity, draw.beta(0.6, 1.4)
        times, at = [], 0.0
        while draw.random() > p_left:
            at = round(at + max(float(draw.gamma(regularity, 1 / rate)), 0.01), 2)
            if at > age or len(times) > 60:
                break
            times.append(at)
        gaps = np.diff([0.0, *times])
        level = float(draw.gamma(4, 1 / 15))
        columns["frequency"].append(len(times))
        columns["recency"].append(times[-1] if times else 0)
        columns["age"].append(age)
        columns["monetary_value"].append(
            round(float(draw.gamma(6 * len(times), 1 / (level * len(times)))), 2) if times else 0
        )
        columns["log_gaps"].append(round(float(np.log(gaps).sum()), 9) if times else 0)
    return columns


PUBLISHED = {
    "bg_nbd": [0.243, 4.414, 0.793, 2.426],
    "mbg_nbd": [0.525, 6.183, 0.891, 1.614],
    "pareto_nbd": [0.553, 10.578, 0.606, 11.669],
}
USUAL = {
    "frequency": [0, 0, 1, 2, 7, 26, 3],
    "recency": [0, 0, 10, 30.43, 29.43, 30.86, 38.86],
    "age": [0, 38.86, 38.86, 38.86, 38.86, 31, 38.86],
}
STRESS = {
    "frequency": [221, 254, 161, 204, 400, 500, 2000, 20000, 100000, 100000],
    "recency": [103.42857, 97.14286, 94.71429, 98.57143, 5.3, 5.3, 38, 300, 300, 200],
    "age": [103.57143, 97.28571, 98, 99.42857, 6, 6, 38.86, 300.01, 301, 300],
}
ALL = ["probability_alive", "expected_purchases", "no_purchase_probability", "purchases"]
LIMITS = {"frequency": [0, 4], "recency": [0, 20], "age": [30, 30]}


def answer_cases():
    for family, values in PUBLISHED.items():
        given = {"family": family, "parameters": values, "unit_days": 7, "columns": USUAL}
        yield f"{family}, usual", given | {"horizon": 39, "answers": ALL, "most": 4}, 1e-9
        yield f"{family}, a long time", given | {"horizon": 5000, "answers": ALL[:3]}, 1e-9
        yield f"{family}, no time", given | {"horizon": 0, "answers": ALL, "most": 2}, 1e-12
        stress = {"family": family, "unit_days": 7, "columns": STRESS, "horizon": 39, "answers": ALL[:3]}
        yield f"{family}, heavy buyers", stress | {"parameters": values}, 1e-8
    clv, lifetimes = [0.5143, 2.8845, 0.2856, 14.1087], [10.465, 7.98565181e-3, 3.0516, 2.820]
    yield "parameters of CLVTools", stress | {"parameters": clv}, 1e-8
    yield "parameters of lifetimes", stress | {"parameters": lifetimes}, 1e-8
    for family, values in [
        ("bg_nbd", [0.243, 4.414, 1, 2.426]),
        ("mbg_nbd", [3, 0.5, 1, 40]),
        ("pareto_nbd", [0.553, 10.578, 1, 11.669]),
    ]:
        given = {"family": family, "parameters": values, "columns": LIMITS, "horizon": 20}
        yield f"{family}, removable singularity", given | {"answers": ALL, "most": 3}, 1e-9
    for family in ("bg_nbd", "mbg_nbd"):
        for k in (2, 3):
            given = {"family": family, "parameters": PUBLISHED[family], "regularity": k, "columns": USUAL}
            yield f"{family}, every tick number {k}", given | {"horizon": 10, "answers": ALL, "most": 3}, 1e-9


def fit_cases():
    plain = simulated(80, 2, 0.8, 6.0)
    interval = {"horizon": 13, "level": 0.9, "rows": [0, 1, 2, 3]}
    three = {name: plain[name] for name in ("frequency", "recency", "age")}
    for family, start in [
        ("bg_nbd", [0.32, 2.9, 0.96, 2.8]),
        ("mbg_nbd", [0.54, 3.8, 2.0, 6.4]),
        ("pareto_nbd", [0.73, 7.8, 1.2, 28]),
    ]:
        given = {"columns": three, "unit_days": 7, "lifetime": {"family": family}, "start": start}
        yield f"{family}", given | {"interval": interval}, 2e-4
    penalised = {"family": "bg_nbd", "penalty": 0.01}
    scaled = three | {name: [round(t / 40, 6) for t in three[name]] for name in ("recency", "age")}
    yield "penalised", {"columns": scaled, "lifetime": penalised, "start": [0.32, 0.07, 0.38, 0.77]}, 2e-4
    weights = [float(1 + i % 3) for i in range(80)]
    yield "weights", {"columns": three | {"weights": weights}, "start": [0.61, 3.7, 1.4, 3.3]}, 2e-4
    z = {"web": [float(i % 2) for i in range(80)], "north": [float(i % 5 == 0) for i in range(80)]}
    for family, start in [
        ("mbg_nbd", [0.49, 2.7, 2.2, 7.9, -0.55, 1.1]),
        ("pareto_nbd", [0.73, 6.9, 0.84, 15, -0.24, -0.46]),
    ]:
        settings = {"family": family, "purchase_covariates": ["web"], "dropout_covariates": ["north"]}
        settings |= {"covariate_penalty": 1e-4}
        given = {"columns": three, "covariates": z, "lifetime": settings, "start": start}
        yield f"{family}, covariates", given, 5e-4
    even = simulated(80, 3, 1.2, 9.0, regularity=3)
    four = {name: even[name] for name in ("frequency", "recency", "age", "log_gaps")}
    settings = {"family": "mbg_nbd", "regularity": {"up_to": 4}}
    starts = {
        1: [0.76, 10.3, 5.0, 65],
        2: [0.8, 4.0, 5.4, 36],
        3: [0.82, 2.5, 5.4, 30],
        4: [0.83, 1.8, 5.2, 28],
    }
    yield "regular buyers", {"columns": four, "lifetime": settings, "start": starts}, 2e-4


DONATIONS = {
    "frequency": [6, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 4, 3, 2, 1, 3, 2, 1, 2, 1, 1, 0],
    "recency": [6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 2, 2, 1, 0],
    "age": [6] * 22,
    "weights": [1203, 728, 512, 357, 234, 129, 335, 284, 225, 173, 119, 240, 181, 155, 78, 322, 255, 129, 613, 277, 1091, 3464],
}


def files():
    yield "answers", "lifetime.answers", answers, list(answer_cases())
    yield "fit", "lifetime.fit", fit, list(fit_cases())
    buyers = simulated(80, 7, 0.8, 6.0)
    two = {name: buyers[name] for name in ("frequency", "monetary_value")}
    edge = {"frequency": [0, 2, 1, 100000, 3], "monetary_value": [0, 22.35, 1e6, 40, 0]}
    yield "spend", "lifetime.spend", spend, [
        ("fit", {"columns": two, "start": [5, 4, 20]}, 2e-4),
        ("given parameters", {"columns": edge, "parameters": [6.25, 3.74, 15.44]}, 1e-12),
    ]
    money = {"monetary_value": [0, 0, 12.5, 22.35, 40, 31, 8]}
    cases = []
    for family, values in PUBLISHED.items():
        given = {"family": family, "parameters": values, "unit_days": 7, "spend": [6.25, 3.74, 15.44], "columns": USUAL | money}
        months = {"horizon_days": 360, "discount_rate": 0.01, "discount_period_days": 30, "step_days": 30}
        cases += [
            (f"{family}, a year", given, 1e-8),
            (f"{family}, months", given | {"value": months | {"margin": 0.3}}, 1e-8),
            (f"{family}, for ever", given | {"value": {"horizon_days": None}}, 1e-7),
            (f"{family}, undiscounted", given | {"value": {"discount_rate": 0}}, 1e-9),
        ]
    yield "value", "lifetime.value", value, cases
    yield "bg_bb", "lifetime.bg_bb", bg_bb, [
        ("donations", {"columns": DONATIONS, "ahead": 3, "start": [1.2, 0.75, 0.66, 2.8]}, 2e-4),
        ("given parameters", {"columns": {"frequency": [0, 1, 40, 0], "recency": [0, 5, 60, 0], "age": [0, 12, 400, 300]}, "parameters": [1.204, 0.75, 0.657, 2.783], "ahead": 12}, 1e-9),
        ("nothing ahead", {"columns": {"frequency": [3], "recency": [5], "age": [6]}, "parameters": [1.204, 0.75, 0.657, 2.783], "ahead": 0}, 1e-12),
    ]
    ahead = {"renewals": [0, 1, 7, 100], "ahead": 4, "rate": 0.1}
    draw = np.random.default_rng(3)
    lasted = [int(t) for t in draw.geometric(draw.beta(0.9, 2.5, 200).clip(0.01))]
    yield "renewals", "lifetime.renewals", renewals, [
        ("regular customers", {"survivors": [1000, 631, 468, 382, 326, 289, 262, 241]} | ahead, 2e-5),
        ("high end customers", {"survivors": [1000, 869, 743, 653, 593, 551, 517, 491]} | ahead, 2e-5),
        ("contracts by row", {"duration": [min(t, 8) for t in lasted], "churned": [t <= 8 for t in lasted]} | ahead, 2e-5),
    ]
    orders = [["2020-01-05T23:00:00", 10.0], ["2020-01-06T01:00:00", 5.0], ["2020-01-06T02:00:00", 1.25], ["2020-02-08", 7.75]]
    yield "running", "lifetime.running", running, [
        ("days", {"orders": orders, "as_of": "2020-03-01"}, 1e-12),
        ("weeks of days", {"orders": orders, "as_of": "2020-03-01", "summary": {"time_scale": 7}}, 1e-12),
        ("weekly periods", {"orders": orders, "as_of": "2020-03-01T12:00:00", "summary": {"period_days": 7}}, 1e-12),
        ("one order", {"orders": orders[:1], "as_of": "2020-01-05T23:30:00"}, 1e-12),
    ]
    events = {
        "customer": ["ann", "ann", "ann", "ann", "bea", "cid", "bea", "ann"],
        "time": [18266, 18281, 18281, 18283, 18267, 18282, 18300, 18310],
        "time_unit": "day",
        "value": [10.0, 4.0, 2.0, 8.0, 1.0, 1.0, 3.5, 9.0],
    }
    yield "holdout", "lifetime.holdout", holdout, [
        ("days", {"events": events, "as_of": "2020-01-10", "later": "2020-02-10"}, 1e-12),
        ("weeks of days", {"events": events, "as_of": "2020-01-10", "later": "2020-02-25", "summary": {"time_scale": 7}}, 1e-12),
        ("weekly periods", {"events": events, "as_of": "2020-01-13", "later": "2020-02-10", "summary": {"period_days": 7}}, 1e-12),
    ]


def near(expected, got, tolerance):
    if isinstance(expected, dict):
        return expected.keys() == got.keys() and all(near(expected[k], got[k], tolerance) for k in expected)
    if isinstance(expected, list):
        return len(expected) == len(got) and all(near(e, g, tolerance) for e, g in zip(expected, got))
    if isinstance(expected, float | int) and not isinstance(expected, bool):
        return abs(expected - got) <= 1e-9 * max(1, abs(expected))
    return expected == got


def main():
    write, wanted = "--write" in sys.argv, [a for a in sys.argv[1:] if not a.startswith("-")]
    for name, operation, witness, cases in files():
        if wanted and name not in wanted:
            continue
        path, out = HERE / f"{name}.json", []
        for title, given, tolerance in cases:
            expected = witness(given)
            inputs = {key: cell for key, cell in given.items() if key != "start"}
            out.append({"name": title, "inputs": inputs, "expected": expected, "tolerance": tolerance})
            print(name, title, flush=True)
        if write:
            head = {"operation": operation, "origin": {"kind": "independent", "source": SOURCE}}
            lines = ",\n".join("    " + json.dumps(case) for case in out)
            text = json.dumps(head, indent=2)[:-2] + ',\n  "cases": [\n' + lines + "\n  ]\n}\n"
            path.write_text(text)
        else:
            known = json.loads(path.read_text())["cases"]
            for case, new in zip(known, out, strict=True):
                if not near(case["expected"], new["expected"], case["tolerance"]):
                    raise SystemExit(f"{name}: {case['name']}: {case['expected']} {new['expected']}")


main()
