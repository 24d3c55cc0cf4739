"""Gradient boosting beside LightGBM: training time, memory, ranking, file size, prediction.

    python benches/boosting.py --rows 200000 --rounds 3 --threads 2

Needs numpy, scikit-learn, lightgbm, and the release build of the `boosting` program:
`cargo build -p churn-benches --release --bin boosting`. Data: make_classification, 40 columns (12
informative, 6 redundant, 6 clusters per class, 6 % of labels turned), 0-7 exponentiated, 8-13
rounded; another fourth of the rows is answered for. Both libraries: as many trees, leaves, bins and
threads, learning rate 0.1, at least 20 rows per leaf, no penalty. Each measurement is a process of
its own; rounds are interleaved; the table shows medians.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = 40


def make(rows: int, path: str) -> None:
    import numpy as np
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=rows * 5 // 4, n_features=COLUMNS, n_informative=12, n_redundant=6,
        n_clusters_per_class=6, weights=[0.82], flip_y=0.06, class_sep=0.8, random_state=7,
    )
    x = x.astype(np.float32)
    x[:, :8] = np.exp(np.clip(x[:, :8], -20, 20))
    x[:, 8:14] = np.round(x[:, 8:14])
    np.ascontiguousarray(x.T).tofile(path + ".x")
    y.astype(np.float32).tofile(path + ".y")


def resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def fast_row_us(booster, rows) -> float:
    """LightGBM's quickest way for one row: its C function for prepared single rows."""
    import lightgbm
    import numpy as np

    library = lightgbm.basic._LIB
    config = ctypes.c_void_p()
    library.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, 0, 0, -1, 1, COLUMNS, b"num_threads=1", ctypes.byref(config))
    out, size = ctypes.c_double(), ctypes.c_int64()
    addresses = [ctypes.c_void_p(row.ctypes.data) for row in np.ascontiguousarray(rows, np.float64)]
    call, out_ref, size_ref = (
        library.LGBM_BoosterPredictForMatSingleRowFast, ctypes.byref(out), ctypes.byref(size))
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        for address in addresses:
            call(config, address, size_ref, out_ref)
        best = min(best, (time.perf_counter() - start) / len(addresses))
    library.LGBM_FastConfigFree(config)
    return best * 1e6


def lightgbm_worker(path: str, options: dict) -> None:
    import lightgbm
    import numpy as np

    y = np.fromfile(path + ".y", np.float32)
    x = np.fromfile(path + ".x", np.float32).reshape(COLUMNS, len(y)).T
    train = len(y) * 4 // 5
    learned = np.ascontiguousarray(x[:train], np.float64)
    asked = np.ascontiguousarray(x[train:], np.float64)
    settings = {
        "objective": "binary", "num_leaves": options["leaves"], "learning_rate": 0.1,
        "max_bin": options["bins"], "min_data_in_leaf": 20, "num_threads": options["threads"],
        "verbose": -1,
    }
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu, start = resident("VmRSS:"), time.process_time(), time.perf_counter()
    booster = lightgbm.train(settings, lightgbm.Dataset(learned, y[:train]), options["trees"])
    fit, fit_cpu = time.perf_counter() - start, time.process_time() - cpu
    memory = resident("VmHWM:") - before
    cpu, start = time.process_time(), time.perf_counter()
    answers = booster.predict(asked, num_threads=options["threads"])
    predict, predict_cpu = time.perf_counter() - start, time.process_time() - cpu
    answers.tofile(path + ".lightgbm")
    print(json.dumps({
        "fit": fit, "fit_cpu": fit_cpu, "memory": memory, "predict": predict,
        "predict_cpu": predict_cpu, "row_us": fast_row_us(booster, asked[:1000]),
        "bytes": len(booster.model_to_string()),
    }))


def run(engine: str, path: str, options: dict) -> dict:
    environment = dict(os.environ, OMP_NUM_THREADS=str(options["threads"]))
    if engine == "lightgbm":
        command = [sys.executable, __file__, "--worker", path, json.dumps(options)]
        text = subprocess.run(command, check=True, capture_output=True, text=True,
                              env=environment).stdout
        result = json.loads(text.strip().splitlines()[-1])
    else:
        command = [options["program"], "--data", path, "--out", path + ".churn"]
        for name in ("threads", "trees", "leaves", "bins"):
            command += [f"--{name}", str(options[name])]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = {k: float(v) for k, v in (pair.split("=") for pair in text.split())}
    return result | judge(path, f"{path}.{engine}")


def judge(path: str, answers: str) -> dict:
    import numpy as np
    from sklearn.metrics import log_loss, roc_auc_score

    y = np.fromfile(path + ".y", np.float32)
    p = np.fromfile(answers, np.float64)
    y = y[len(y) - len(p):]
    return {"auc": roc_auc_score(y, p), "log_loss": log_loss(y, p)}


SHOWN = [
    ("fit", "training, wall s", "{:.2f}"), ("fit_cpu", "training, processor s", "{:.2f}"),
    ("memory", "extra memory, MiB", "{:.0f}"), ("auc", "AUC", "{:.4f}"),
    ("log_loss", "log loss", "{:.4f}"), ("predict", "prediction, wall s", "{:.3f}"),
    ("predict_cpu", "prediction, processor s", "{:.3f}"), ("row_us", "one row, µs", "{:.2f}"),
    ("bytes", "model, bytes", "{:.0f}"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows to learn from")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--bins", type=int, default=255)
    parser.add_argument("--program", default="target/release/boosting")
    parser.add_argument("--keep", help="folder for the data, to use them again")
    options = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(options["keep"] or folder) / f"boosting_{options['rows']}")
        if not Path(path + ".x").exists():
            subprocess.run([sys.executable, __file__, "--make", str(options["rows"]), path],
                           check=True)
        results = {"churn": [], "lightgbm": []}
        for _ in range(options["rounds"]):
            for engine, found in results.items():
                found.append(run(engine, path, options))
    print(f"| {options['rows']:,} x {COLUMNS}, {options['trees']} trees, {options['leaves']} leaves, "
          f"{options['bins']} bins, {options['threads']} threads | churn | LightGBM | LightGBM / churn |")
    print("|---|---:|---:|---:|")
    for key, label, form in SHOWN:
        mine, theirs = (statistics.median(r[key] for r in results[e]) for e in ("churn", "lightgbm"))
        ratio = "" if key in ("auc", "log_loss") else f"{theirs / mine:.2f}"
        print(f"| {label} | {form.format(mine)} | {form.format(theirs)} | {ratio} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        lightgbm_worker(sys.argv[2], json.loads(sys.argv[3]))
    elif sys.argv[1:2] == ["--make"]:
        make(int(sys.argv[2]), sys.argv[3])
    else:
        main()
