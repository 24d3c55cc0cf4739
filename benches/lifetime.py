"""Times the models of buying against lifetimes, and the survival models against lifelines.

    python benches/lifetime.py --sizes 2357 100000 1000000 --score 1000000 10000000
    CHURN_DATA=FOLDER python benches/lifetime.py --sizes 2357      # 2,357 = the CDNOW sample

Every measurement runs in a process of its own that holds the data before its timer starts. Both
libraries fit the same rows; parameters are compared and a difference ends the run with an error.
Needs lifetimes (and lifelines for --survival) beside the release build of churn. `--limit` is how
many seconds a peer may take; `--peer-most` keeps it away from sizes at which it would take hours.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

FAMILIES = ["bg_nbd", "mbg_nbd", "pareto_nbd", "gamma_gamma"]
HORIZON = 13.0


def customers(count: int) -> dict[str, np.ndarray]:
    """Shop customers in weeks, counted in days: gamma rates, beta dropout after each purchase."""
    draw = np.random.default_rng(count)
    age = draw.integers(20, 365, count) / 7
    rate, leaves = draw.gamma(0.6, 1 / 7.0, count), draw.beta(0.8, 1.8, count)
    purchases, recency = np.zeros(count), np.zeros(count)
    alive = np.flatnonzero(draw.random(count) > leaves)
    while alive.size:
        at = recency[alive] + np.ceil(7 * draw.exponential(1 / rate[alive])) / 7
        inside = at < age[alive]
        alive, at = alive[inside], at[inside]
        recency[alive] = at
        purchases[alive] += 1
        alive = alive[draw.random(alive.size) > leaves[alive]]
    level = draw.gamma(4, 1 / 15, count)
    shape = np.maximum(6 * purchases, 1)
    money = np.round(draw.gamma(shape, 1 / (level * np.maximum(purchases, 1))), 2)
    money = np.where(purchases > 0, np.maximum(money, 0.01), 0.0)
    return {"frequency": purchases, "recency": recency, "age": age, "monetary_value": money}


def cdnow() -> dict[str, np.ndarray] | None:
    folder = os.environ.get("CHURN_DATA")
    if folder is None:
        return None
    path = Path(folder) / "cdnow/cdnow_summary.csv"
    columns = np.loadtxt(path, delimiter=",", skiprows=1).T
    names = ["frequency", "recency", "age", "monetary_value"]
    return dict(zip(names, columns[1:5].copy()))


# ---- one measurement ---------------------------------------------------------------------------


class Meter:
    """Wall and processor seconds, and memory beyond what was there."""

    def __enter__(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.before = self.resident("VmRSS")
        except OSError:
            self.before = None
        self.user = resource.getrusage(resource.RUSAGE_SELF)
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        now = resource.getrusage(resource.RUSAGE_SELF)
        self.processor = now.ru_utime + now.ru_stime - self.user.ru_utime - self.user.ru_stime
        self.memory = None if self.before is None else self.resident("VmHWM") - self.before

    @staticmethod
    def resident(name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def told(self, **more) -> dict:
        return {"seconds": self.seconds, "processor": self.processor, "memory": self.memory} | more


def fit_churn(family, data):
    from churn import lifetime

    if family == "gamma_gamma":
        with Meter() as meter:
            model = lifetime.GammaGamma().fit(data)
    else:
        with Meter() as meter:
            model = lifetime.LifetimeModel.fit(data, unit_days=7.0, family=family)
    estimate = model.estimate
    return meter.told(
        parameters=list(model.parameters.values()),
        log_likelihood=estimate["log_likelihood"],
        on_bound=[p["name"] for p in estimate["parameters"] if p["on_bound"]],
        evaluations=estimate["evaluations"],
        patterns=estimate["patterns"],
    )


def fit_lifetimes(family, data):
    import lifetimes

    if family == "gamma_gamma":
        rows = (data["frequency"] > 0) & (data["monetary_value"] > 0)
        x, m = data["frequency"][rows], data["monetary_value"][rows]
        fitter = lifetimes.GammaGammaFitter()
        with Meter() as meter:
            fitter.fit(x, m)
        parameters = [fitter.params_[name] for name in ("p", "q", "v")]
    else:
        kind = {
            "bg_nbd": lifetimes.BetaGeoFitter,
            "mbg_nbd": lifetimes.ModifiedBetaGeoFitter,
            "pareto_nbd": lifetimes.ParetoNBDFitter,
        }[family]
        fitter = kind()
        with Meter() as meter:
            fitter.fit(data["frequency"], data["recency"], data["age"])
        names = ("r", "alpha", "s", "beta") if family == "pareto_nbd" else ("r", "alpha", "a", "b")
        parameters = [fitter.params_[name] for name in names]
    if family == "gamma_gamma":
        return meter.told(parameters=[float(p) for p in parameters])
    # lifetimes keeps a mean, for Pareto/NBD a sum, of densities of times whose largest age is 1.
    x, age = data["frequency"], data["age"]
    value = -float(fitter._negative_log_likelihood_) * (1 if family == "pareto_nbd" else len(x))
    value -= float(x.sum() * np.log(age.max()))
    return meter.told(parameters=[float(p) for p in parameters], log_likelihood=value)


def score_churn(family, data):
    from churn import lifetime

    sample = {name: column[:100_000] for name, column in data.items()}
    model = lifetime.LifetimeModel.fit(sample, unit_days=7.0, family=family)
    with Meter() as meter:
        answers = model.answers(data, HORIZON).to_dict()
    return meter.told(means=[float(column.mean()) for column in answers.values()])


def score_lifetimes(family, data):
    import lifetimes
    from churn import lifetime

    sample = {name: column[:100_000] for name, column in data.items()}
    model = lifetime.LifetimeModel.fit(sample, unit_days=7.0, family=family)
    kind = {"bg_nbd": lifetimes.BetaGeoFitter, "mbg_nbd": lifetimes.ModifiedBetaGeoFitter}[family]
    fitter = kind()
    import pandas as pd

    fitter.params_ = pd.Series(model.parameters)
    x, recency, age = data["frequency"], data["recency"], data["age"]
    with Meter() as meter:
        alive = fitter.conditional_probability_alive(x, recency, age)
        expected = fitter.conditional_expected_number_of_purchases_up_to_time(
            HORIZON, x, recency, age
        )
    return meter.told(means=[float(np.mean(alive)), float(np.mean(expected))])


def spells(rows: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(rows)
    z = {f"z{i}": draw.normal(size=rows) for i in range(3)}
    scale = np.exp(3 + 0.3 * z["z0"] - 0.2 * z["z1"])
    lasted = np.ceil(scale * draw.weibull(1.3, rows))
    cut = draw.integers(5, 60, rows).astype(float)
    return z | {"duration": np.minimum(lasted, cut), "event": (lasted <= cut).astype(float)}


def survival_churn(which, data):
    import churn

    z = {name: data[name] for name in ("z0", "z1", "z2")}
    t, e = data["duration"], data["event"]
    with Meter() as meter:
        match which:
            case "kaplan_meier":
                found = [churn.KaplanMeier().fit(t, e).survival_at([20.0])[0]]
            case "cox":
                model = churn.CoxPH().fit(t, z, e)
                found = [model.coefficients[name] for name in z]
            case "weibull_aft":
                model = churn.WeibullAFT().fit(t, z, e)
                found = [model.coefficients[name] for name in z]
    return meter.told(parameters=[float(x) for x in found])


def survival_lifelines(which, data):
    import lifelines
    import pandas as pd

    frame = pd.DataFrame({name: data[name] for name in ("z0", "z1", "z2", "duration", "event")})
    with Meter() as meter:
        match which:
            case "kaplan_meier":
                curve = lifelines.KaplanMeierFitter().fit(frame["duration"], frame["event"])
                found = [curve.predict(20.0)]
            case "cox":
                model = lifelines.CoxPHFitter().fit(frame, "duration", "event")
                found = model.params_.loc[["z0", "z1", "z2"]]
            case "weibull_aft":
                model = lifelines.WeibullAFTFitter().fit(frame, "duration", "event")
                found = model.params_["lambda_"].loc[["z0", "z1", "z2"]]
    return meter.told(parameters=[float(x) for x in found])


WORK = {
    ("fit", "churn"): fit_churn,
    ("fit", "lifetimes"): fit_lifetimes,
    ("score", "churn"): score_churn,
    ("score", "lifetimes"): score_lifetimes,
    ("survival", "churn"): survival_churn,
    ("survival", "lifelines"): survival_lifelines,
}


# ---- the whole run -----------------------------------------------------------------------------


def child(job: str, engine: str, what: str, path: Path, threads: int, limit: float) -> dict | None:
    arguments = [sys.executable, __file__, "--child", job, engine, what, str(path)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        raise SystemExit(f"failed: {job} {engine} {what}")
    return json.loads(done.stdout.splitlines()[-1])


def best(rounds: int, *job) -> dict | None:
    found = [child(*job) for _ in range(rounds)]
    return None if None in found else min(found, key=lambda one: one["seconds"])


def shown(found: dict | None, limit: float) -> str:
    if found is None:
        return f"over {limit:.0f} s"
    memory = "" if found["memory"] is None else f" / {found['memory'] / 2**20:.0f} MiB"
    return f"{found['seconds']:.4g} s / {found['processor']:.4g} s{memory}"


def agree(ours: dict, peer: dict, what: str) -> str:
    pairs = list(zip(ours["parameters"], peer["parameters"]))
    worst = max(abs(a / b - 1) for a, b in pairs)
    if worst < 5e-3:
        return f"parameters agree to {worst:.0e}"
    # Flat directions end in different places; the higher likelihood is right.
    if "log_likelihood" in peer:
        gain = ours["log_likelihood"] - peer["log_likelihood"]
        if gain > -1e-6 * abs(ours["log_likelihood"]):
            return f"parameters differ by {worst:.0e}; log-likelihood {gain:+.3f} against the peer"
    raise SystemExit(f"{what}: {ours} {peer}")


def row(cells) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2357, 100_000, 1_000_000])
    parser.add_argument("--score", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--survival", type=int, nargs="*", default=[])
    parser.add_argument("--families", nargs="*", default=FAMILIES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=1800)
    parser.add_argument("--peer-most", type=int, default=1_000_000, help="largest size for the peer")
    parser.add_argument("--pareto-most", type=int, default=2357, help="the same for Pareto/NBD")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    say = "wall / processor / extra memory"

    row(["fit", "customers", f"churn ({say})", f"lifetimes ({say})", "lifetimes / churn", "answers"])
    row(["---"] * 6)
    for size in given.sizes:
        data = (cdnow() if size == 2357 else None) or customers(size)
        path = folder / f"{size}.npz"
        np.savez(path, **data)
        for family in given.families:
            ours = best(max(given.rounds, 1), "fit", "churn", family, path, given.threads, given.limit)
            most = given.pareto_most if family == "pareto_nbd" else given.peer_most
            if size > most:
                row([family, f"{size:,}", shown(ours, 0), "not tried", "", ""])
                continue
            peer = best(given.rounds, "fit", "lifetimes", family, path, given.threads, given.limit)
            if peer is None:
                row([family, f"{size:,}", shown(ours, 0), shown(peer, given.limit), "", ""])
                continue
            ratio = f"{peer['seconds'] / ours['seconds']:.0f}"
            said = agree(ours, peer, f"{family} {size}")
            row([family, f"{size:,}", shown(ours, 0), shown(peer, 0), ratio, said])
        summary = sum(column.nbytes for column in data.values())
        print(f"\nA summary of {size:,} customers takes {summary / 2**20:.1f} MiB.\n", flush=True)

    if given.score:
        row(["three answers", "customers", f"churn ({say})", f"lifetimes, two answers ({say})", "lifetimes / churn"])
        row(["---"] * 5)
    for size in given.score:
        data = customers(size)
        path = folder / f"score{size}.npz"
        np.savez(path, **data)
        for family in given.families:
            if family == "gamma_gamma":
                continue
            ours = best(max(given.rounds, 1), "score", "churn", family, path, given.threads, given.limit)
            peer = None
            if size <= given.peer_most and family != "pareto_nbd":
                peer = best(given.rounds, "score", "lifetimes", family, path, given.threads, given.limit)
            ratio, told = "", "not tried"
            if peer is not None:
                ratio = f"{peer['seconds'] / ours['seconds']:.0f}"
                if max(abs(a - b) for a, b in zip(ours["means"], peer["means"])) > 1e-6:
                    raise SystemExit(f"{family}: {ours['means']} {peer['means']}")
                told = shown(peer, 0)
            row([family, f"{size:,}", shown(ours, 0), told, ratio])
        path.unlink()

    if given.survival:
        row(["survival", "rows", f"churn ({say})", f"lifelines ({say})", "lifelines / churn", "answers"])
        row(["---"] * 6)
    for size in given.survival:
        path = folder / f"spells{size}.npz"
        np.savez(path, **spells(size))
        for which in ("kaplan_meier", "cox", "weibull_aft"):
            ours = best(max(given.rounds, 1), "survival", "churn", which, path, given.threads, given.limit)
            peer = best(given.rounds, "survival", "lifelines", which, path, given.threads, given.limit)
            if peer is None:
                row([which, f"{size:,}", shown(ours, 0), shown(None, given.limit), "", ""])
                continue
            # Coefficients may be near 0: the three together agree.
            gap = max(abs(a - b) for a, b in zip(ours["parameters"], peer["parameters"], strict=True))
            if gap > 1e-4:
                raise SystemExit(f"{which}: {ours} {peer}")
            ratio = f"{peer['seconds'] / ours['seconds']:.0f}"
            row([which, f"{size:,}", shown(ours, 0), shown(peer, 0), ratio, f"differ by {gap:.0e}"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        warnings.simplefilter("ignore")
        job, engine, what, path = sys.argv[2:]
        with np.load(path) as stored:
            columns = {name: stored[name] for name in stored.files}
        print(json.dumps(WORK[job, engine](what, columns)))
    else:
        main()
