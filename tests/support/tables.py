"""A table as people have them, and its raw rows for those who run an exported model without xbnet."""

import csv

import numpy as np

KINDS = ["label", "age", "city", "member", "joined", "code", "size (cm)"]
"""Columns of `made_table` that are inputs; one has the name of an ONNX output."""


def made_table(n=240, seed=0):
    """Columns by name, as texts: numbers and words that are missing here and there, dates, truth values, a rare word."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n).astype(str).tolist()
    city = rng.choice(["Ulm", "Bad Homburg", "größer", "WD "], n, p=[0.4, 0.3, 0.2, 0.1]).tolist()
    for i in range(0, n, 9):
        age[i] = "NA"
        city[(i + 4) % n] = ""
    city[7], city[12] = "Rarest", "Rarer"
    columns = {
        "label": rng.normal(5e8, 3, n).astype(str).tolist(),
        "age": age,
        "city": city,
        "member": rng.choice(["True", "False"], n).tolist(),
        "joined": [f"2024-{m:02}-{d:02}" for m, d in zip(rng.integers(1, 13, n), rng.integers(1, 29, n), strict=True)],
        "code": [f"{value:03}" for value in rng.integers(0, 4, n)],
        "size (cm)": rng.gamma(2.0, 3.0, n).round(2).astype(str).tolist(),
    }
    score = rng.normal(size=n) + np.array([word == "Ulm" for word in city]) + (np.float64(columns["size (cm)"]) - 6) / 3
    columns["kind"] = np.array(["001", "1", "zwei"])[np.digitize(score, [-0.3, 0.9])].tolist()
    columns["price"] = (250_000 + 20_000 * score).round(2).astype(str).tolist()
    return columns


def write_csv(path, columns, rows=slice(None)):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(list(zip(*columns.values(), strict=True))[rows])
    return path


def raw_inputs(schema, columns):
    """Columns by name as an exported model takes them: texts as they are, numbers with NaN, seconds since 1970."""
    found = {}
    for column in schema["columns"]:
        texts = columns[column["name"]]
        if column["kind"] == "category":
            found[column["name"]] = np.array(texts, object)
        elif column["kind"] == "boolean":
            found[column["name"]] = np.array([{"true": 1.0, "false": 0.0}.get(text.lower(), np.nan) for text in texts])
        elif column["kind"] == "date":
            found[column["name"]] = np.array(texts, "datetime64[s]").astype(np.int64).astype(float)
        else:
            found[column["name"]] = np.array([np.nan if text in ("", "NA", "nan") else float(text) for text in texts])
    return found


def run_onnx(path, columns):
    """The outputs of onnxruntime for the raw rows, by name."""
    import json

    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    raw = raw_inputs(about["schema"], columns)
    names = [column["name"] for column in about["schema"]["columns"]]
    feed = {entry: raw[name][:, None] for entry, name in zip(about["inputs"], names, strict=True)}
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))
