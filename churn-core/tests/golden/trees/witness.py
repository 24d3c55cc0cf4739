"""Writes or checks the golden files of trees: `python witness.py [--write]`.

Needs numpy, lightgbm and shap. LightGBM trains two models; they are put down in the form that
`TreeEnsemble::from_json` reads, beside LightGBM's own margins and contributions for rows with missing
values and unknown levels. The contributions of the model without levels are computed a second time by
the package shap, from the document alone, and must agree to 1e-9 before anything is written.
"""

import json
import sys
from pathlib import Path

import lightgbm
import numpy as np
import shap

HERE = Path(__file__).parent


def data(levels: bool, rows: int, seed: int):
    random = np.random.default_rng(seed)
    x = np.round(random.normal(size=(rows, 6)), 3)
    score = x[:, 0] + x[:, 1] * x[:, 2] - (x[:, 3] > 0.5)
    names = [f"x{j}" for j in range(6)]
    if levels:
        plan, region = random.integers(0, 3, rows), random.integers(0, 12, rows)
        score += np.array([0.0, 1.0, -1.0])[plan] + np.where(region % 3 == 0, 1.0, -0.5)
        x = np.column_stack([x, plan, region])
        names += ["plan", "region"]
    # Only these may be missing: elsewhere LightGBM would read a missing value as 0.
    for j in (0, 4):
        x[random.random(rows) < (0.15 + 0.3 * (score > 0)), j] = np.nan
    y = (random.random(rows) < 1 / (1 + np.exp(-score))).astype(float)
    return names, x, y


def rounded(booster):
    """The same trees with leaf values of 32 bits, which is what the library stores."""
    lines = booster.model_to_string().split("\n")
    for i, line in enumerate(lines):
        if line.startswith("leaf_value="):
            values = [repr(float(np.float32(v))) for v in line.split("=")[1].split()]
            lines[i] = "leaf_value=" + " ".join(values)
    # Sizes in bytes, which no longer hold and need not be there.
    lines = [line for line in lines if not line.startswith("tree_sizes=")]
    return lightgbm.Booster(model_str="\n".join(lines))


def document(booster, names, levels):
    trees = []
    for info in booster.dump_model()["tree_info"]:
        nodes, waiting = [None], [(info["tree_structure"], 0)]
        while waiting:
            node, at = waiting.pop(0)
            if "leaf_value" in node:
                nodes[at] = {"rows": node["leaf_count"], "value": node["leaf_value"]}
                continue
            name = names[node["split_feature"]]
            split = {"rows": node["internal_count"], "feature": name}
            if node["decision_type"] == "<=":
                split["at_most"] = node["threshold"]
                split["missing_left"] = node["default_left"]
            else:
                split["levels"] = [levels[name][int(k)] for k in node["threshold"].split("||")]
                split["missing_left"] = False
            left = len(nodes)
            nodes += [None, None]
            split |= {"left": left, "right": left + 1}
            split["gain"] = float(np.float32(node["split_gain"]))
            nodes[at] = split
            waiting += [(node["left_child"], left), (node["right_child"], left + 1)]
        trees.append(nodes)
    features = [{"name": n} | ({"levels": levels[n]} if n in levels else {}) for n in names]
    return {
        "format": "churn trees",
        "version": 1,
        "link": "logistic",
        "base": 0.0,
        "features": features,
        "trees": trees,
    }


def by_shap(model, x):
    names = [feature["name"] for feature in model["features"]]
    trees = []
    for nodes in model["trees"]:
        of = lambda key, other: np.array([node.get(key, other) for node in nodes])
        left, right = of("left", -1), of("right", -1)
        trees.append({
            "children_left": left,
            "children_right": right,
            "children_default": np.where(of("missing_left", False), left, right),
            "features": np.array([names.index(node.get("feature", names[0])) for node in nodes]),
            "thresholds": of("at_most", 0.0).astype(float),
            "values": of("value", 0.0).astype(float).reshape(-1, 1),
            "node_sample_weight": of("rows", 0).astype(float),
        })
    explainer = shap.TreeExplainer(
        {"trees": trees, "base_offset": 0.0},
        feature_perturbation="tree_path_dependent",
    )
    return explainer.shap_values(x, check_additivity=False), float(np.ravel(explainer.expected_value)[0])


def numbers(values):
    return ["NaN" if np.isnan(v) else float(v) for v in values]


def case(name, with_levels):
    names, x, y = data(with_levels, 600, 7 if with_levels else 8)
    levels = {"plan": ["a", "b", "c"], "region": [f"r{k:02}" for k in range(12)]}
    levels = levels if with_levels else {}
    settings = dict(objective="binary", num_leaves=12, learning_rate=0.2, min_data_in_leaf=10,
                    min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=3, verbose=-1, seed=1,
                    deterministic=True, num_threads=1)
    places = [names.index(n) for n in levels]
    train = lightgbm.Dataset(x, y, categorical_feature=places)
    booster = rounded(lightgbm.train(settings, train, 15))
    model = document(booster, names, levels)
    _, asked, _ = data(with_levels, 40, 99)
    columns = {}
    for j, column in enumerate(names):
        if column in levels:
            texts = [levels[column][int(v)] for v in asked[:, j]]
            # A level nobody has seen, and a missing one: both go where the missing go.
            texts[:2] = ["unknown", None]
            asked[0, j], asked[1, j] = 77, np.nan
            columns[column] = texts
        else:
            columns[column] = numbers(asked[:, j])
    margins = booster.predict(asked, raw_score=True)
    parts = booster.predict(asked, pred_contrib=True)
    if not with_levels:
        again, base = by_shap(model, asked)
        assert np.abs(np.asarray(again).reshape(parts[:, :-1].shape) - parts[:, :-1]).max() < 1e-9
        assert abs(base - parts[0, -1]) < 1e-9
    return {
        "name": name,
        "model": model,
        "columns": columns,
        "margins": margins.tolist(),
        "base": float(parts[0, -1]),
        "contributions": {n: parts[:, j].tolist() for j, n in enumerate(names)},
        "tolerance": 1e-9,
    }


def main():
    origin = f"LightGBM {lightgbm.__version__}; without levels also shap {shap.__version__}"
    cases = [case("numbers with missing cells", False), case("numbers and levels", True)]
    document = {"origin": {"kind": "independent", "source": origin}, "cases": cases}
    path = HERE / "contributions.json"
    if "--write" in sys.argv:
        path.write_text(json.dumps(document, ensure_ascii=False) + "\n")
        return
    stored = json.loads(path.read_text())
    for old, new in zip(stored["cases"], cases, strict=True):
        for key in ("margins", "contributions"):
            as_array = lambda c: np.array(list(c[key].values()) if key[0] == "c" else c[key])
            assert np.allclose(as_array(old), as_array(new), rtol=0, atol=1e-9), (old["name"], key)
    print("equal")


main()
