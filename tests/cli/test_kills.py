"""SIGKILL wherever a command touches a file: nothing with its final name is half, and the next run mends the rest."""

import json
import re
import sys
import tomllib

import pytest

from tests.support.kills import Plan, run
from xbnet.cli import main
from xbnet.files import TEMPORARY
from xbnet.io.tensorfile import read_tensors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc which file is flushed")

KINDS = {"model": "network", "epoch": "training state"}


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


def check(folder, found, same=()):
    """All that a kill and a recovery left; the files `same` end in the bytes of a run that nobody killed."""
    whole = files(folder / "whole")
    assert found
    for i, end in enumerate(found):
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


def test_train(tmp_path):
    argv = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--out", "{out}"]
    plan = Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]])
    found = run(tmp_path, plan)
    renamed = {name for end in found for name in re.findall(r"os\.rename (?:.*/)?\.(.+)\.xbnet-", end["point"])}
    assert renamed == {path.name for path in files(tmp_path / "whole").values()}
    check(tmp_path, found, same=["model.safetensors", "config.toml", "curves.png"])


def test_a_run_that_replaces_another(tmp_path):
    base = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "1", "--quiet", "--out"]
    assert main([*base, str(tmp_path / "old"), "--seed", "5"]) == 0
    argv = [*base, "{out}", "--overwrite"]
    found = run(tmp_path / "kills", Plan(argv, [argv], before=str(tmp_path / "old")))
    check(tmp_path / "kills", found, same=["model.safetensors"])
    for i in range(len(found)):  # of the two runs one is there at any time, whole or put aside
        folder = tmp_path / "kills" / f"{i}-killed"
        models = {"model.safetensors", ".replaced/model.safetensors"} & {*files(folder)}
        assert models, found[i]


def test_tensorboard_has_all_epochs_that_were_kept(tmp_path):
    pytest.importorskip("tensorboardX")
    argv = ["train", "--data", "swissroll", "--hidden", "2", "--epochs", "2", "--checkpoint-every", "1", "--quiet"]
    argv += ["--tensorboard", "--out", "{out}"]
    found = run(tmp_path, Plan(argv, [["train", "--resume", "{out}", "--quiet"], [*argv, "--overwrite"]]))
    check(tmp_path, found, same=["model.safetensors"])
    for i in range(len(found)):
        kept = len(list((tmp_path / f"{i}-killed" / "checkpoints").glob("epoch-*")))
        (events,) = (tmp_path / f"{i}-killed" / "tensorboard").iterdir()
        assert events.read_bytes().count(b"train_loss") >= kept
