"""One engine, one question, in a process of its own; prints its costs as one line of JSON."""

import argparse
import gc
import importlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from . import shop as shops

MODULES = {
    "churn": "with_churn",
    "polars lazy": "with_polars",
    "polars streaming": "with_polars",
    "duckdb table": "with_duckdb",
    "duckdb arrow": "with_duckdb",
    "pandas": "with_pandas",
    "lifetimes": "with_lifetimes",
}
# Enough rows to load all code that the question needs.
WARM_UP = 20_000


def status(field: str) -> int | None:
    """Bytes of a field of Linux's process status."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=MODULES)
    parser.add_argument("level")
    parser.add_argument("data", type=Path)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()

    engine = importlib.import_module(f".{MODULES[options.engine]}", __package__)
    shop, table = shops.load(options.data)
    if options.level == "summary":
        table = table.filter(pa.array(table["kind"].to_numpy() == 1)).combine_chunks()
    engine.run(engine.prepare(table.slice(0, WARM_UP), options.level), options.level, shop)
    data = engine.prepare(table, options.level)
    rows = table.num_rows
    del table
    gc.collect()
    pa.default_memory_pool().release_unused()

    resident, own_peak = status("VmRSS"), reset_peak()
    cpu, start = time.process_time(), time.perf_counter()
    result, notes = engine.run(data, options.level, shop)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    if own_peak and resident is not None:
        peak = status("VmHWM")
    else:
        print("peak memory includes loading: no /proc/self/clear_refs", file=sys.stderr)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    notes |= {
        "wall": wall,
        "cpu": cpu,
        "peak": peak,
        "extra": None if resident is None else peak - resident,
        "rows": rows,
        "version": engine.VERSION,
    }
    if options.save:
        np.savez(
            options.save,
            **{
                name: column.astype(str) if column.dtype == object else column
                for name, column in engine.columns(result).items()
            },
        )
        if options.engine == "churn" and options.level != "summary":
            options.save.with_suffix(".json").write_text(engine.population(result))
    print(json.dumps(notes))


if __name__ == "__main__":
    main()
