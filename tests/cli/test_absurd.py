"""Sizes that no machine has and no run would see the end of are refused in one line, before anything begins."""

import itertools
import resource
import subprocess
import sys

import numpy as np
import pytest

import xbnet
from xbnet.backends import memory
from xbnet.cli import main
from xbnet.nn import network as network_module

TRAIN = ["train", "--data", "swissroll", "--quiet", "--epochs", "1"]
SWEEP = ["sweep", "--data", "swissroll", "--quiet", "--space", "epochs=1"]
COUNT = "to be a whole number <= 2,147,483,647, got a larger one"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([*TRAIN, "--replicas", "1000000000"], "Network: expected memory for 1,000,000,000 x 123 parameters (1.98 TB), got "),
        ([*TRAIN, "--replicas", "9" * 30], f"Network: expected replicas {COUNT}"),
        ([*TRAIN, "--hidden", "100000,10000000"], "Network: expected memory for 1 x 1,000,030,300,002 parameters ("),
        ([*TRAIN, "--hidden", "9" * 400], f"Linear: expected n_outputs {COUNT}"),
        ([*TRAIN, "--hidden", ",".join("2" * 10_000)], "Network: expected at most 10,000 layers, got 10,001"),
        ([*TRAIN, "--residual", "100000"], "mlp: expected residual to be a whole number <= 10,000, got a larger one"),
        ([*TRAIN, "--strategy", "layerwise:epochs=1e300"], f"strategy 'layerwise': expected epochs {COUNT}"),
        ([*TRAIN, "--strategy", "alternating:every=1e300"], f"strategy 'alternating': expected every {COUNT}"),
        ([*TRAIN, "--epochs", "9" * 4000], f"fit: expected epochs {COUNT}"),
        ([*TRAIN, "--patience", "9" * 30], f"fit: expected patience {COUNT}"),
        ([*TRAIN, "--batch-size", "9" * 30], f"fit: expected batch_size {COUNT}"),
        ([*TRAIN, "--device-memory", "1B"], "device_memory: two batches of 64 rows for 1 order take "),
        ([*SWEEP, "--space", "lr=0.1", "--seeds", "2000000000"], "sweep: expected memory for 2,000,000,000 networks ("),
        ([*SWEEP, "--space", "lr=uniform:0,1", "--draws", "1000000000000"], "sweep: expected memory for 1,000,000,000,000 "),
        ([*SWEEP, "--space", "depth=1000000"], "sweep: expected depth to be a whole number <= 10,000, got a larger one"),
        ([*SWEEP, "--space", "hidden=2000000000"], "Network: expected memory for 1 x "),
        ([*SWEEP, "--space", "lr=0.1", "--memory", "1B"], "sweep: expected memory for at least one network ("),
        ([*SWEEP, "--space", "lr=0.1", "--workers", "1000000000"], "sweep: expected memory for at least one network ("),
        (["verify", "--data", "swissroll", "--steps", "1000000000"], "gradient_test: expected steps to be a whole number <= "),
        (["verify", "--layer", "linear", "--replicas", "1000000000"], "Network: expected memory for 1,000,000,000 x "),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_the_command(argv, said, capsys):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"xbnet: {said}"), err
    assert err.count("\n") == 1
    assert len(err) <= 310


X, Y = np.zeros((8, 2)), np.arange(8) % 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: xbnet.XBClassifier((10**7, 10**7), max_iter=1).fit(X, Y), "Network: expected memory for 1 x "),
        (lambda: xbnet.XBClassifier((4,), max_iter=10**300).fit(X, Y), f"XBClassifier: expected max_iter {COUNT}"),
        (lambda: xbnet.XBClassifier((4,), n_members=10**12, max_iter=1).fit(X, Y), f"XBClassifier: expected n_members {COUNT}"),
        (lambda: xbnet.XBRegressor((4,), residual=10**6, max_iter=1).fit(X, Y), "mlp: expected residual to be a whole number <= "),
        (lambda: xbnet.Network([xbnet.Linear(2)], 10**30), f"Network: expected n_inputs {COUNT}"),
        (lambda: xbnet.sweep({"lr": range(1, 10**40)}, (X, Y)), "sweep: expected memory for inf networks"),
        (lambda: xbnet.sweep({"lr": range(1, 10**6), "l2": range(10**6)}, (X, Y)), "sweep: expected memory for 999,999,000,000 "),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_python(call, said):
    with pytest.raises(xbnet.ConfigError) as caught:
        call()
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) <= 300


def test_what_a_run_takes_beyond_its_network_is_counted(monkeypatch):
    """Its optimizer's state, the buffers of a batch, and the orders of the samples."""
    network = xbnet.Network([xbnet.Linear(50, "tanh"), xbnet.Linear(2)], 2, replicas=10, rng=0)
    x, y = np.zeros((1000, 2)), np.arange(1000) % 2
    xbnet.fit(network, "cross_entropy", "adam", (x, y), epochs=1)
    orders, batch, theta = 10 * 1000 * 8, 10 * 64 * 4 * (4 * 50 + 2), 10 * 252 * 4
    monkeypatch.setattr(memory, "SURE", 0)
    monkeypatch.setattr(memory, "all_bytes", lambda backend: orders + batch + 4 * theta - 1)
    with pytest.raises(
        xbnet.ConfigError, match=r"^fit: expected memory for 10 x 252 parameters and batches of 64 rows \("
    ):
        xbnet.fit(network, "cross_entropy", "adam", (x, y), epochs=1)
    monkeypatch.setattr(memory, "all_bytes", lambda backend: 2 * (orders + batch + 4 * theta))
    xbnet.fit(network, "cross_entropy", "adam", (x, y), epochs=1)


@pytest.mark.parametrize(
    "run",
    [
        lambda: main([*TRAIN, "--hidden", "1000,1000", "--optimizer", "adam"]),
        lambda: xbnet.XBClassifier((1000, 1000), solver="adam", max_iter=1).fit(X, Y),
        lambda: xbnet.sweep({"hidden": [(1000, 1000)], "optimizer": ["adam"]}, (X, Y), epochs=1),
    ],
    ids=["train", "estimator", "sweep"],
)
def test_what_fits_before_training_but_not_in_it_draws_no_weights(run, monkeypatch, capsys):
    """A million of them: theta and its gradient have room, the optimizer's state beside them has not."""
    monkeypatch.setattr(memory, "SURE", 0)
    monkeypatch.setattr(memory, "all_bytes", lambda backend: 10**7)
    monkeypatch.setattr(network_module, "draw_rows", None)
    try:
        assert run() == 2
        said = capsys.readouterr().err
    except xbnet.ConfigError as error:
        said = f"xbnet: {error}"
    assert said.startswith("xbnet: fit: expected memory for 1 x 1,0")


def test_what_there_is_is_known(monkeypatch):
    backend = xbnet.get_backend("numpy")
    assert 10**8 < memory.free_bytes(backend) <= memory.all_bytes(backend)
    monkeypatch.setattr(memory, "_limits", lambda: [12345])
    assert memory.free_bytes(backend) == memory.all_bytes(backend) == 12345
    monkeypatch.setattr(memory, "_limits", list)
    monkeypatch.setattr(memory, "_meminfo", lambda name: 0)
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 1000)
    assert memory.free_bytes(backend) == memory.all_bytes(backend) == 10**6
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.free_bytes(backend) == 4 * 10**9
    assert memory.all_bytes(backend) is None
    memory.expect_memory("x", "y", 10**30, backend, "z")  # nobody knows


@pytest.mark.skipif(sys.platform != "linux", reason="`ulimit -v` of Linux")
@pytest.mark.parametrize(
    ("hidden", "code", "said"),
    [("30000,30000", 2, "xbnet: Network: expected memory for 1 x 900,"), ("14000,14000", 1, "xbnet: there is too little memory for this")],
)  # fmt: skip
def test_too_little_memory_by_ulimit(hidden, code, said):
    """More than the limit allows at all, and more than it leaves beside Python and its libraries."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))

    command = [sys.executable, "-m", "xbnet", *TRAIN, "--hidden", hidden]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr[: len(said)]) == (code, said), done.stderr
    assert done.stderr.count("\n") == 1
