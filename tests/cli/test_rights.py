"""Files and folders that may not be read or written, and too few descriptors: one line, and nothing is lost."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.files import csv_text
from xbnet.cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
NOBODY = 65534


@contextmanager
def without_rights():
    """As a user who may do nothing here, where root runs the tests: for root no file is closed."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(scope="module")
def places():
    """Folders that others may enter, but for what is closed in them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "x.csv").write_text(csv_text())
    data = ["--data", str(folder / "x.csv"), "--target", "kind", "--quiet"]
    space = ["--space", "lr=0.1", "--space", "epochs=1"]
    assert main(["train", *data, "--epochs", "1", "--hidden", "2", "--out", str(folder / "run")]) == 0
    assert main(["sweep", *data, *space, "--out", str(folder / "sweep")]) == 0
    assert main(["predict", str(folder / "run"), "--data", str(folder / "x.csv"), "--out", str(folder / "p.csv")]) == 0
    assert main(["report", str(folder / "run"), "--repeats", "0"]) == 0  # all is imported
    closed = folder / "closed"
    closed.mkdir()
    for name in ("x.csv", "run/model.safetensors", "run/config.toml"):
        shutil.copy(folder / name, closed / Path(name).name)
    for name in ("x.npy", "x.npz", "x.mat", "x.parquet"):
        (closed / name).write_bytes(b"content")
    for path in closed.iterdir():
        path.chmod(0)
    (folder / "shut").mkdir(mode=0)
    (folder / "only").mkdir(mode=0o555)
    os.chmod(folder / "sweep" / "results.jsonl", 0)
    yield folder
    shutil.rmtree(folder)


READ = [
    *(["train", "--data", f"closed/{name}"] for name in ("x.csv", "x.npy", "x.npz", "x.mat", "x.parquet")),
    ["train", "--data", "shut/x.csv"],
    ["train", "--config", "closed/config.toml"],
    ["train", "--config", "shut"],
    ["train", "--resume", "shut"],
    ["sweep", "--resume", "shut"],
    ["sweep", "--resume", "sweep"],
    ["data", "show", "--data", "closed/x.csv"],
    ["predict", "closed/model.safetensors", "--data", "x.csv"],
    ["predict", "run", "--data", "closed/x.csv"],
    ["predict", "run", "--data", "shut/x.csv"],
    ["predict", "shut", "--data", "x.csv"],
    ["export", "closed/model.safetensors", "--out", "m.npz"],
    ["info", "closed/model.safetensors"],
    ["info", "shut"],
    ["report", "shut"],
    ["compare", "shut", "run"],
]  # fmt: skip
WRITE = [
    ["train", "--data", "swissroll", "--epochs", "1", "--quiet", "--out", "only"],
    ["train", "--data", "swissroll", "--epochs", "1", "--quiet", "--out", "only/below"],
    ["train", "--data", "swissroll", "--epochs", "1", "--quiet", "--out", "shut/below"],
    ["sweep", "--data", "swissroll", "--space", "epochs=1", "--quiet", "--out", "only"],
    ["verify", "--data", "swissroll", "--quiet", "--out", "only"],
    ["predict", "run", "--data", "x.csv", "--out", "only/p.csv"],
    ["export", "run", "--out", "only/m.npz"],
    ["report", "run", "--repeats", "0", "--out", "only/report.html"],
    ["compare", "run", "run", "--out", "only/compare.html"],
]


@pytest.mark.parametrize("argv", READ + WRITE, ids=" ".join)
def test_one_line(argv, places, capsys, monkeypatch):
    monkeypatch.chdir(places)
    before = {path: path.stat().st_mtime_ns for path in places.rglob("*")}
    with without_rights():
        code = main(argv)
    err = capsys.readouterr().err
    assert code in (1, 2), err
    assert err.count("\n") == 1, err
    assert len(err) <= 310
    assert err.startswith("xbnet: ")
    assert "ermission denied" in err
    assert {path: path.stat().st_mtime_ns for path in places.rglob("*")} == before


@pytest.mark.slow
def test_too_few_descriptors_are_one_line(tmp_path):
    """A sweep in processes needs pipes to them."""
    np.savez(tmp_path / "d.npz", x_train=np.zeros((9, 2)), y_train=np.arange(9) % 2)
    space = ["--space", "lr=0.1,0.2", "--space", "epochs=1", "--executor", "processes", "--workers", "2", "--quiet"]
    command = [sys.executable, "-m", "xbnet", "sweep", "--data", str(tmp_path / "d.npz"), *space]
    ends = set()
    for descriptors in (12, 16, 40):

        def limit(n=descriptors):
            resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))

        done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=300)
        ends.add(done.returncode)
        assert done.returncode in (0, 1, 2), (descriptors, done.stderr)
        if done.returncode:
            assert done.stderr.startswith("xbnet: "), (descriptors, done.stderr)
            assert done.stderr.count("\n") == 1, (descriptors, done.stderr)
    assert ends > {0}
