"""Writes reference.csv: log-likelihood, P(alive) and expected purchases of random and of stressed
histories, from the published formulas in 60-digit arithmetic (mpmath). Run: python reference.py
"""

import random
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60


def series(a, b, c, z):
    """2F1(a, b; c; z) by its power series."""
    term, total, n = mp.mpf(1), mp.mpf(1), 0
    while abs(term) > abs(total) * mp.mpf(10) ** -60 or n < abs(a) + abs(b):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        n += 1
        if term == 0:
            break
    return total


def bg(values, x, recency, age, t, at_zero):
    r, alpha, a, b = values
    m = 1 if at_zero else 0
    ln = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha)
    alive = mp.beta(a, b + x + m) / mp.beta(a, b) * (alpha + age) ** -(r + x)
    left = mp.mpf(0)
    if x + m > 0:
        left = mp.beta(a + 1, b + x - 1 + m) / mp.beta(a, b) * (alpha + recency) ** -(r + x)
    here = alive / (alive + left)
    end, rest = alpha + age, b + x + m
    if a == 1:
        a = a * (1 + mp.mpf(10) ** -25)
    z = t / (end + t)
    # Euler's transformation of 2F1(r + x, b'; a + b' - 1; z), which converges where x is large.
    f = (1 - z) ** (a - 1 - r - x) * series(a + rest - 1 - r - x, a - 1, a + rest - 1, z)
    living = (a + rest - 1) / (a - 1) * (1 - (end / (end + t)) ** (r + x) * f)
    return ln + mp.log(alive + left), here, here * living


def pareto(values, x, recency, age, t):
    r, alpha, s, beta = values
    n = r + s + x

    def gauss(b, z):
        # 2F1(n, b; n + 1; z), likewise transformed.
        return (1 - z) ** (1 - b) * series(1, n + 1 - b, n + 1, z)

    def piece(at):
        if alpha >= beta:
            return gauss(s + 1, (alpha - beta) / (alpha + at)) / (alpha + at) ** n
        return gauss(r + x, (beta - alpha) / (beta + at)) / (beta + at) ** n

    gone = s / n * (piece(recency) - piece(age))
    alive = (alpha + age) ** -(r + x) * (beta + age) ** -s
    ln = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta)
    here = alive / (alive + gone)
    if s == 1:
        s = s * (1 + mp.mpf(10) ** -25)
    living = (r + x) * (beta + age) / ((alpha + age) * (s - 1))
    living *= 1 - ((beta + age) / (beta + age + t)) ** (s - 1)
    return ln + mp.log(alive + gone), here, here * living


def cases():
    draw = random.Random(9)
    spread = lambda low, high: round(10 ** draw.uniform(low, high), 6)
    published = {
        "bg_nbd": (0.243, 4.414, 0.793, 2.426),
        "mbg_nbd": (0.525, 6.183, 0.891, 1.614),
        "pareto_nbd": (0.553, 10.578, 0.606, 11.669),
    }
    for model, values in published.items():
        for x, recency, age in [
            (0, 0, 38.86), (1, 10, 38.86), (2, 30.43, 38.86), (7, 29.43, 38.86), (26, 30.86, 31),
            (0, 0, 0), (3, 38.86, 38.86),
        ]:
            yield model, values, x, recency, age, 39
    clv = (0.5143, 2.8845, 0.2856, 14.1087)
    for x, recency, age in [
        (221, 103.42857, 103.57143), (254, 97.14286, 97.28571), (161, 94.71429, 98),
        (204, 98.57143, 99.42857),
    ]:
        yield "pareto_nbd", clv, x, recency, age, 52
    lifetimes = (10.465, 7.98565181e-3, 3.0516, 2.820)
    for x in (400, 500):
        yield "pareto_nbd", lifetimes, x, 5.3, 6.0, 10
    for _ in range(60):
        for model in published:
            values = (spread(-2, 1.5), spread(-1, 3), spread(-2, 1.5), spread(-1, 3))
            if model != "pareto_nbd":
                values = values[:2] + (spread(-3, 1.5), spread(-2, 2))
            if draw.random() < 0.1:
                values = values[:2] + (1.0,) + values[3:]
            x = draw.choice([0, 1, 2, 5, 30, 400, 2000, 20000, 100000])
            age = round(spread(0, 3), 2)
            recency = round(age * draw.random() ** 0.3, 4) if x else 0
            yield model, values, x, recency, age, round(age * spread(-1, 0.5), 4)


def main():
    lines = []
    for model, values, x, recency, age, t in cases():
        exact = [mp.mpf(repr(float(v))) for v in (*values, recency, age, t)]
        given, (recency_, age_, t_) = exact[:4], exact[4:]
        mp.mp.dps = 90
        if model == "pareto_nbd":
            found = pareto(given, x, recency_, age_, t_)
        else:
            found = bg(given, x, recency_, age_, t_, model == "mbg_nbd")
        mp.mp.dps = 60
        numbers = [*map(float, values), x, float(recency), float(age), float(t)]
        print(len(lines), model, *numbers, flush=True)
        answers = [mp.nstr(mp.re(value), 17) for value in found]
        lines.append(",".join([model, *map(repr, numbers), *answers]))
    Path(__file__).with_name("reference.csv").write_text("\n".join(lines) + "\n")


main()
