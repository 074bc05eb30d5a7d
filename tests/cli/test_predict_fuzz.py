"""`xbnet predict` on damaged files of every format: predictions or one line, no warning, no hang, nothing half-written."""

import random

import numpy as np
import pyarrow.parquet
import pytest

import xbnet
from tests.support import files as samples
from tests.support.chance import REPORT, SEED, check_line, share
from tests.support.mutants import arrow, mutate, seeds
from xbnet.cli import main


def files():
    x, _ = samples.table()
    named = {"header": ("a", "b", "c", "kind")}
    return {
        "a.csv": (samples.csv_text(**named).encode(), ["--target", "kind"]),
        "b.tsv": (samples.csv_text(delimiter="\t", **named).encode(), ["--target", "kind"]),
        "c.parquet": (arrow(pyarrow.parquet.write_table), ["--target", "kind"]),
        "d.npy": (samples.npy(x), []),
        "e.npz": (samples.npz(True, x=x), []),
    }


@pytest.mark.fuzz
@pytest.mark.parametrize("name", files())
def test_damaged_rows(name, tmp_path, capsys, alarm):
    content, words = files()[name]
    inputs = 2 if name == "c.parquet" else 3
    network = xbnet.Network([xbnet.Linear(3)], inputs, rng=0)
    model, path, out = tmp_path / "m.safetensors", tmp_path / name, tmp_path / "out.csv"
    about = {"classes": "012", "features": "ab"} if name == "c.parquet" else {"classes": ["red", "green", "blue"]}
    xbnet.save(network, model, **about)
    rng, others = random.Random(f"{name} {SEED}"), [seed[1] for seed in seeds()]
    command = ["predict", str(model), "--data", str(path), "--out", str(out), *words]
    path.write_bytes(content)
    assert main(command) == 0
    capsys.readouterr()
    ends = {0: 0, 2: 0}
    for _ in range(share(len(files()))):
        path.write_bytes(mutate(content, rng, others))
        out.write_text("old")
        alarm(True)
        with np.errstate(over="ignore"):
            code = main(command)
        alarm(False)
        said = capsys.readouterr().err.splitlines()
        ends[code] += 1
        for line in said:
            check_line(line.replace(str(tmp_path), ""))
        if code:
            assert sum(line.startswith("xbnet: ") for line in said) == 1, (REPORT, said)
            assert out.read_text() == "old", REPORT
        assert sorted(one.name for one in tmp_path.iterdir()) == sorted([name, "m.safetensors", "out.csv"]), REPORT
    assert ends[2], REPORT
