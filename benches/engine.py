"""Times churn against polars, DuckDB, pandas and lifetimes on the same data in the same run.

    python benches/engine.py --events 10000000 --customers 500000 --rounds 2

Every measurement runs in a process of its own that holds the data in memory in the engine's own
form before its timer starts. Rounds are interleaved, medians are reported, and the answers are
compared customer by customer; a difference ends the run with an error.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from peers import levels  # noqa: E402
from peers.shop import Shop  # noqa: E402

ENGINES = ["churn", "polars lazy", "polars streaming", "duckdb table", "duckdb arrow", "pandas"]
VARIANTS = {"polars streaming": "streaming", "polars lazy": "in-memory", "duckdb arrow": "arrow"}


def child(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    return done.stdout


def measure(engine: str, level: str, data: Path, threads: int, save: Path | None) -> dict:
    environment = os.environ | {
        "RAYON_NUM_THREADS": str(threads),
        "POLARS_MAX_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "PEER_THREADS": str(threads),
        "PEER_VARIANT": VARIANTS.get(engine, "table"),
    }
    arguments = ["-m", "peers.worker", engine, level, str(data)]
    if save:
        arguments += ["--save", str(save)]
    return json.loads(child(arguments, environment).splitlines()[-1])


def machine() -> str:
    def field(file: str, name: str) -> str:
        try:
            for line in Path(file).read_text().splitlines():
                if line.startswith(name):
                    return line.split(":", 1)[1].strip()
        except OSError:
            pass
        return "unknown"

    memory = field("/proc/meminfo", "MemTotal").split()[0]
    memory = f"{int(memory) / 2**20:.0f} GiB" if memory.isdigit() else "unknown memory"
    cpu = field("/proc/cpuinfo", "model name")
    load = f", load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {os.cpu_count()} cores, {memory}, {platform.system()}{load}"


def commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def mebibytes(size: int | None) -> str:
    return "not measured" if size is None else f"{size / 2**20:,.0f} MiB"


def check(level: str, shop: Shop, results: dict[str, Path]) -> str:
    """Compares every engine's answer with churn's, row by row."""
    ours = dict(np.load(results["churn"]))
    population = results["churn"].with_suffix(".json")
    said = []
    for engine, path in results.items():
        if engine == "churn":
            continue
        raw = levels.aligned(dict(np.load(path)), ours["customer"])
        if level == "summary":
            columns = raw
        else:
            columns = levels.derive(raw, level, shop, population.read_text())
        compared, worst = levels.compare(ours, columns)
        said.append(f"{engine} {compared} columns, worst {worst:.0e}")
    unchecked = sorted(set(ours) - set(columns) - {"customer"})
    text = f"Equal for all {len(ours['customer']):,} customers: {'; '.join(said)}."
    if unchecked:
        text += f" Computed by churn only, not compared: {', '.join(unchecked)}."
    return text


def table(level: str, runs: dict[str, list[dict]], rows: int) -> None:
    median = {
        engine: {
            key: statistics.median([run[key] for run in of]) if of[0][key] is not None else None
            for key in ("wall", "cpu", "peak", "extra")
        }
        for engine, of in runs.items()
    }
    ours = median["churn"]
    print(f"### {levels.TITLES[level]}\n")
    print("| engine | wall s | cpu s | extra memory | peak memory | wall : churn | cpu : churn |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for engine, cost in median.items():
        print(
            f"| {engine} | {cost['wall']:.2f} | {cost['cpu']:.2f} | {mebibytes(cost['extra'])} "
            f"| {mebibytes(cost['peak'])} | {cost['wall'] / ours['wall']:.1f} "
            f"| {cost['cpu'] / ours['cpu']:.1f} |"
        )
    build = statistics.median(run["build"] for run in runs["churn"])
    print(
        f"\n{rows:,} rows. churn: {build:.2f} s of its time go into the log, which later questions"
        f" use again; {rows / ours['wall'] / 1e6:.1f} million events per second.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arrival", choices=["random", "time", "customer"], default="random")
    parser.add_argument("--ids", choices=["int", "text", "uuid"], default="int")
    parser.add_argument("--kinds", choices=["all", "purchases"], default="all")
    parser.add_argument("--heavy", type=float, default=0.0, help="share of events of one customer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", nargs="+", choices=levels.TITLES, help="default: all")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    options = parser.parse_args()
    shop = Shop(
        events=options.events,
        customers=options.customers,
        arrival=options.arrival,
        ids=options.ids,
        heavy=options.heavy,
        kinds=options.kinds,
        seed=options.seed,
    )
    # Without messages and views there is nothing to ask but what customers bought.
    possible = list(levels.TITLES) if shop.kinds == "all" else ["rfm", "summary"]
    wanted = options.levels or possible
    if not set(wanted) <= set(possible):
        parser.error(f"--levels: expected some of {possible} with --kinds {shop.kinds}")
    engines = ["churn", *(engine for engine in options.engines if engine != "churn")]

    print(f"machine: {machine()}  ")
    print(f"commit: {commit()}, Python {platform.python_version()}, {options.threads} threads  ")
    print(
        f"data: {shop.events:,} events, {shop.customers:,} customers, {shop.arrival} arrival,"
        f" {shop.ids} ids, {shop.kinds} kinds, heavy {shop.heavy}, seed {shop.seed}; median of {options.rounds} rounds\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="churn-bench-") as folder:
        data = Path(folder) / "events.arrow"
        # In a process of its own, so that this one stays small.
        make = "import sys; from peers.shop import Shop, save; from pathlib import Path; import json; "
        make += "save(Shop(**json.loads(sys.argv[1])), Path(sys.argv[2]))"
        child(["-c", make, json.dumps(vars(shop)), str(data)], dict(os.environ))
        versions = {}
        for level in wanted:
            asked = ["churn", "lifetimes"] if level == "summary" else engines
            runs: dict[str, list[dict]] = {engine: [] for engine in asked}
            results = {}
            for round_number in range(max(options.rounds, 1)):
                for engine in asked:
                    save = Path(folder) / f"{engine}.npz" if round_number == 0 else None
                    if save:
                        results[engine] = save
                    run = measure(engine, level, data, options.threads, save)
                    versions[engine.split()[0]] = run["version"]
                    runs[engine].append(run)
            table(level, runs, runs["churn"][0]["rows"])
            print(f"\n{check(level, shop, results)}\n", flush=True)
    print("versions:", ", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()
