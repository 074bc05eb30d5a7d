"""Commands on damaged models, runs, sweeps and files of flags: their work or one line, no traceback, no hang."""

import json
import random

import numpy as np
import pytest

from tests.support import fuzz
from tests.support.chance import REPORT, SEED, check_line, share
from tests.support.files import csv_text
from tests.support.mutants import mutate, seeds
from xbnet.cli import build_parser, main
from xbnet.cli.parser import expand_config
from xbnet.errors import XbnetError

PIECES = [
    b"\x1b[2J",
    b'"',
    b"[[",
    b"]",
    b"{}",
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"\n\n",
    b"\\u0000",
    b"../",
]
"""What harms texts."""
CASES = {
    "info": ("model.safetensors", ["info", "{run}"]),
    "info --json": ("model.safetensors", ["info", "{run}", "--json"]),
    "predict": ("model.safetensors", ["predict", "{run}", "--data", "{data}", "--out", "{out}.csv"]),
    "export": ("model.safetensors", ["export", "{run}", "--out", "{out}.npz"]),
    "report": ("model.safetensors", ["report", "{run}", "--repeats", "0", "--json", "--out", "{out}.html"]),
    "report's flags": ("config.toml", ["report", "{run}", "--repeats", "0", "--json", "--out", "{out}.html"]),
    "compare's histories": ("history.jsonl", ["compare", "{run}", "{whole}"]),
    "compare's results": ("result.json", ["compare", "{run}", "{whole}"]),
    "compare's flags": ("config.toml", ["compare", "{run}", "{whole}"]),
    "a sweep's lines": ("results.jsonl", ["sweep", "--resume", "{run}", "--quiet"]),
    "a sweep's name": ("sweep.json", ["sweep", "--resume", "{run}", "--quiet"]),
    "a sweep's arrays": ("chunks", ["sweep", "--resume", "{run}", "--quiet"]),
}
COSTLY = ("report", "compare", "sweep")
"""Verbs that draw or train when the damage did no harm."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a run, its twin, a sweep, and the table that they learned from."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "x.csv").write_text(csv_text())
    keep(folder)
    return folder


def keep(folder):
    data = ["--data", str(folder / "x.csv"), "--target", "kind", "--quiet"]
    for name in ("run", "whole"):
        assert main(["train", *data, "--hidden", "2", "--epochs", "1", "--out", str(folder / name)]) == 0
    space = ["--space", "lr=0.1,0.2", "--space", "epochs=1", "--space", "hidden=2"]
    assert main(["sweep", *data, *space, "--out", str(folder / "sweep")]) == 0


def harmed(content, path, rng, others):
    """A damaged file; of a text also one with a piece that harms texts, of tensors one whose checksum is right."""
    if path.suffix == ".safetensors" and rng.random() < 0.6:
        return fuzz.attacked(np.random.default_rng(rng.randrange(2**32)), path, content)
    if path.suffix != ".safetensors" and rng.random() < 0.6:
        place = rng.randrange(len(content) + 1)
        return content[:place] + rng.choice(PIECES) + content[place + rng.randrange(8) :]
    return mutate(content, rng, others)


@pytest.mark.fuzz
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # a mutant may hold any number that is one
def test_damage(case, kept, tmp_path, capsys, alarm):
    name, words = CASES[case]
    run = kept / ("sweep" if case.startswith("a sweep") else "run")
    path = run / name if name != "chunks" else next((run / name).iterdir())
    names = {"run": run, "whole": kept / "whole", "data": kept / "x.csv", "out": tmp_path / "out"}
    argv = [word.format(**names) for word in words]
    sound = {one: one.read_bytes() for one in kept.rglob("*") if one.is_file()}
    rng, others = random.Random(f"{case} {SEED}"), [seed[1] for seed in seeds()]
    assert main(argv) == 0
    capsys.readouterr()
    for _ in range(share(len(CASES) * (4 if words[0] in COSTLY else 1))):
        path.write_bytes(harmed(sound[path], path, rng, others))
        alarm(True)
        code = main(argv)
        alarm(False)
        out, err = capsys.readouterr()
        assert code in (0, 1, 2), REPORT
        for line in err.splitlines():
            check_line(line.replace(str(kept), "").replace(str(tmp_path), ""))
        assert all(line.isprintable() for line in out.splitlines()), REPORT
        if code:
            assert sum(line.startswith("xbnet: ") for line in err.splitlines()) == 1, (REPORT, err)
        for one, content in sound.items():
            one.write_bytes(content)


@pytest.mark.fuzz
def test_files_of_flags(tmp_path):
    sound = b'data = "x.csv"\nhidden = "10,7"\nlr = 0.1\nbatch-norm = true\nseed = 3\n[space]\nlr = [0.1, 0.2]\n'
    rng, parser, path = random.Random(f"flags {SEED}"), build_parser("sweep"), tmp_path / "flags.toml"
    for _ in range(share(10)):
        path.write_bytes(harmed(sound, path, rng, [json.dumps(CASES).encode()]))
        try:
            parser.parse_args(expand_config(["sweep", "--config", str(path)], parser))
        except XbnetError as error:
            check_line(str(error).replace(str(tmp_path), ""))
