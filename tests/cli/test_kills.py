"""SIGKILL wherever a command touches a file: nothing with its final name is half, and the next run mends the rest."""

import json
import sys
import tomllib

import pytest

from tests.support.files import csv_text
from tests.support.kills import Plan, run
from xbnet.cli import main
from xbnet.files import TEMPORARY
from xbnet.io.tensorfile import read_tensors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc which file is flushed")

KINDS = {"model": "network", "best": "network", "epoch": "training state", "0": "chunk of a sweep"}


def check_whole(path):
    """A file that has its final name can be read to its end."""
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        read_tensors(path, next(kind for start, kind in KINDS.items() if path.name.startswith(start)))
    elif path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".toml":
        tomllib.loads(content.decode())
    elif path.name == "history.jsonl":
        assert [json.loads(line) for line in content.splitlines()]
        assert content.endswith(b"\n")
    elif path.suffix == ".png":
        assert content.endswith(b"IEND\xaeB`\x82")
    elif path.suffix == ".html":
        assert content.rstrip().endswith(b"</html>")
    else:
        assert path.name == "results.jsonl" or path.name.startswith("events.") or path.suffix == ".txt", path


def files(folder, hidden=False):
    """Name within the folder -> path, without what is being written."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if hidden or not TEMPORARY.fullmatch(path.name)}


def check(folder, found, same=(), but=()):
    """All that a kill and a recovery left; the files `same` end in the bytes of a run that nobody killed."""
    whole = files(folder / "whole")
    assert found
    for i, end in enumerate(found):
        assert end["codes"][-1] == 0, end
        for name, path in files(folder / f"{i}-before").items():
            if name not in but:
                check_whole(path)
        left = files(folder / str(i), hidden=True)
        assert not [name for name, path in left.items() if TEMPORARY.fullmatch(path.name)], end
        assert set(left) >= {name for name in whole if "events." not in name}, end
        for name in same:
            assert left[name].read_bytes() == whole[name].read_bytes(), (end, name)


def test_train(tmp_path):
    argv = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--out", "{out}"]
    plan = Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]])
    found = run(tmp_path, plan)
    touched = {end["point"].split()[-1].split("/")[-1].split(".xbnet-")[0] for end in found if "rename" in end["point"]}
    assert touched >= {
        ".config.toml",
        ".model.safetensors",
        ".history.jsonl",
        ".result.json",
        ".curves.png",
        ".regions.png",
    }
    check(tmp_path, found, same=["model.safetensors", "config.toml", "curves.png"])


def test_a_run_that_replaces_another(tmp_path):
    base = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "1", "--quiet", "--out"]
    assert main([*base, str(tmp_path / "old"), "--seed", "5"]) == 0
    argv = [*base, "{out}", "--overwrite"]
    found = run(tmp_path / "kills", Plan(argv, [argv], before=str(tmp_path / "old")))
    check(tmp_path / "kills", found, same=["model.safetensors"])
    for i in range(len(found)):  # of the two runs one is there at any time, whole or put aside
        folder = tmp_path / "kills" / f"{i}-before"
        there = [
            path for path in (folder / "model.safetensors", folder / ".replaced" / "model.safetensors") if path.exists()
        ]
        assert there or "config.toml" in files(folder), found[i]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    argv = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--tensorboard", "--out", "{out}"]
    found = run(tmp_path, Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]]))
    assert [end for end in found if "tensorboard/events" in end["point"]]
    check(tmp_path, found, same=["model.safetensors"])


def test_sweep(tmp_path):
    argv = [
        "sweep",
        "--data",
        "swissroll",
        "--space",
        "lr=0.1,0.2",
        "--space",
        "epochs=1",
        "--space",
        "hidden=[[2],[3]]",
    ]
    argv += ["--workers", "1", "--quiet", "--out", "{out}"]
    resume = ["sweep", "--resume", "{out}", "--quiet"]
    found = run(tmp_path, Plan(argv, [resume, [*argv, "--overwrite"]]))
    assert [end for end in found if end["point"] == "flush results.jsonl"]
    check(tmp_path, found, same=["best.safetensors", "keys.png", "heat_map.png"])
    tables = [
        sorted(
            json.dumps({**json.loads(line), "seconds": 0})
            for line in (folder / "results.jsonl").read_text().splitlines()
        )
        for folder in (tmp_path / name for name in ("whole", *map(str, range(len(found)))))
    ]
    assert all(table == tables[0] for table in tables[1:])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a run, and a table to predict."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "x.csv").write_text(csv_text())
    flags = ["--target", "kind", "--epochs", "1", "--hidden", "2", "--quiet"]
    assert main(["train", "--data", str(folder / "x.csv"), *flags, "--out", str(folder / "run")]) == 0
    return folder


@pytest.mark.parametrize("name", ["p.csv", "p.npz", "p.jsonl", "p.parquet", "m.npz", "m.py", "m.onnx", "report.html"])
def test_a_file_is_the_old_one_or_the_new_one(name, model, tmp_path):
    """Predictions, exports and reports."""
    run_folder, data, out = str(model / "run"), str(model / "x.csv"), f"{{out}}/{name}"
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / name).write_bytes(b"old")
    verb = {"p": ["predict", run_folder, "--data", data], "m": ["export", run_folder], "r": ["report", run_folder]}[
        name[0]
    ]
    more = ["--repeats", "0"] if name == "report.html" else []
    argv = [*verb, *more, "--out", out]
    found = run(tmp_path / "kills", Plan(argv, [argv], before=str(tmp_path / "old")))
    assert {end["point"].split()[0] for end in found} >= {"open", "flush", "os.rename"}
    whole = files(tmp_path / "kills" / "whole")
    for i, end in enumerate(found):
        before = files(tmp_path / "kills" / f"{i}-before")
        assert before[name].read_bytes() in (b"old", whole[name].read_bytes()) or name == "p.npz", end
        left = files(tmp_path / "kills" / str(i), hidden=True)
        assert set(left) == set(whole), end
