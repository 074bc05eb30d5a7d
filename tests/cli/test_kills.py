"""SIGKILL wherever a command touches a file: nothing with its final name is half, and the next run mends the rest."""

import json
import re
import sys
import tomllib

import numpy as np
import pytest

from tests.support.kills import Killer, Plan
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


def files(folder):
    """Name within the folder -> path."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def killed(found):
    """Number and end of each kill."""
    ends = [(i, end) for i, end in enumerate(found) if end["killed"]]
    assert ends
    return ends


def check(folder, found, same=()):
    """All that a kill and a recovery left; the files `same` end in the bytes of a run that nobody killed."""
    whole = files(folder / "whole")
    for i, end in killed(found):
        for path in files(folder / f"{i}-killed").values():
            if not TEMPORARY.fullmatch(path.name):
                check_whole(path)
        if not end["codes"]:
            continue
        assert end["codes"][-1] == 0, end
        left = files(folder / str(i))
        assert not [name for name, path in left.items() if TEMPORARY.fullmatch(path.name)], end
        assert set(left) >= {name for name in whole if "events." not in name}, end
        for name in same:
            assert left[name].read_bytes() == whole[name].read_bytes(), (end, name)


@pytest.fixture(scope="module")
def run():
    """Kills a command everywhere, see `Killer.run`."""
    with Killer() as killer:
        yield killer.run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Few rows, of a format that is read without much being imported: each kill is a run of its own."""
    path, rng = tmp_path_factory.mktemp("data") / "few.npz", np.random.default_rng(0)
    np.savez(path, x=rng.normal(size=(60, 2)), y=np.arange(60) % 3)
    return str(path)


def test_train(run, data, tmp_path):
    argv = ["train", "--data", data, "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--out", "{out}"]
    plan = Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]])
    found = run(tmp_path, plan)
    renamed = {name for end in found for name in re.findall(r"os\.rename (?:.*/)?\.(.+)\.xbnet-", end["point"])}
    assert renamed == {path.name for path in files(tmp_path / "whole").values()}
    check(tmp_path, found, same=["model.safetensors", "config.toml", "curves.png"])


def test_a_run_that_replaces_another(run, data, tmp_path):
    base = ["train", "--data", data, "--hidden", "2", "--epochs", "1", "--quiet", "--out"]
    assert main([*base, str(tmp_path / "old"), "--seed", "5"]) == 0
    argv = [*base, "{out}", "--overwrite"]
    found = run(tmp_path / "kills", Plan(argv, [argv], before=str(tmp_path / "old")))
    check(tmp_path / "kills", found, same=["model.safetensors"])
    for i, end in killed(found):  # of the two runs one is there at any time, whole or put aside
        folder = tmp_path / "kills" / f"{i}-killed"
        models = {"model.safetensors", ".replaced/model.safetensors"} & {*files(folder)}
        assert models, end


def test_tensorboard_has_all_epochs_that_were_kept(run, data, tmp_path):
    pytest.importorskip("tensorboardX")
    argv = ["train", "--data", data, "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--tensorboard", "--out", "{out}"]
    found = run(tmp_path, Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]]))
    check(tmp_path, found, same=["model.safetensors"])
    for i, _ in killed(found):
        kept = len(list((tmp_path / f"{i}-killed" / "checkpoints").glob("epoch-*")))
        (events,) = (tmp_path / f"{i}-killed" / "tensorboard").iterdir()
        assert events.read_bytes().count(b"train_loss") >= kept


def test_sweep(run, data, tmp_path):
    space = ["--space", "lr=0.1,0.2", "--space", "epochs=1", "--space", "hidden=[[2],[3]]", "--workers", "1"]
    argv = ["sweep", "--data", data, *space, "--quiet", "--out", "{out}"]
    found = run(tmp_path, Plan(argv, [["sweep", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]]))
    assert [end for end in found if end["point"] == "os.fsync results.jsonl"]
    check(tmp_path, found, same=["best.safetensors", "config.toml"])
    folders = [tmp_path / "whole", *(tmp_path / str(i) for i, end in enumerate(found) if end["codes"])]
    tables = [sorted(map(figures, (folder / "results.jsonl").read_text().splitlines())) for folder in folders]
    assert all(table == tables[0] for table in tables)


def figures(line):
    """A line of a table but for its time, and for the chunk: where a part of one was kept, another has the rest."""
    return json.dumps(json.loads(line) | {"seconds": 0, "arrays": ""})


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """A folder with a run."""
    folder = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", "--data", data, "--epochs", "1", "--hidden", "2", "--quiet", "--out", str(folder)]) == 0
    return str(folder)


@pytest.mark.parametrize("name", ["p.csv", "m.npz", "m.onnx", pytest.param("report.html", marks=pytest.mark.slow)])
def test_a_file_is_the_old_one_or_the_new_one(run, name, data, model, tmp_path):
    """Predictions, exports and reports."""
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / name).write_bytes(b"old")
    verbs = {
        "p": ["predict", model, "--data", data],
        "m": ["export", model],
        "r": ["report", model, "--repeats", "0"],
    }
    argv = [*verbs[name[0]], "--out", f"{{out}}/{name}"]
    found = run(tmp_path / "kills", Plan(argv, [argv], before=str(tmp_path / "old")))
    assert {end["point"].split()[0] for end in found} == {"os.fsync", "os.rename"}
    whole = files(tmp_path / "kills" / "whole")
    for i, end in killed(found):
        left = tmp_path / "kills" / f"{i}-killed" / name
        assert left.read_bytes() in (b"old", whole[name].read_bytes()), end
        if end["codes"]:
            assert set(files(tmp_path / "kills" / str(i))) == set(whole), end
