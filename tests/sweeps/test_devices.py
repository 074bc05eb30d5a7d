"""Several GPUs: each worker sees one device of its own. The devices are names in an environment variable here."""

import os
import sys
import time
import types

import numpy as np
import pytest

import xbnet
from xbnet import BackendError
from xbnet.sweeps import engine, executors
from xbnet.sweeps.executors import open_workers, visible_devices

from .conftest import assert_same_table


def device_of_worker(folder, workers):
    """Its process and device, once so many processes have begun, however long one takes to start."""
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 300
    while len(os.listdir(folder)) < workers and time.monotonic() < until:
        time.sleep(0.01)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def seen(workers, folder):
    """Process -> device, for every process."""
    folder.mkdir()
    n = workers.count
    return dict(workers.executor.map(device_of_worker, [folder] * n, [n] * n))


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("", 2, ["0", "1"]), ("3, 5", 2, ["3", "5"]), ("GPU-a,GPU-b,GPU-c", 2, ["GPU-a", "GPU-b"]), (None, 0, [])],
)  # fmt: skip
def test_devices_are_called_as_the_system_calls_them(named, count, expected, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_devices(count) == expected


def test_there_is_a_process_for_each_device_and_it_sees_no_other(tmp_path):
    with open_workers("processes", None, on_cpu=False, devices=["3", "5"]) as workers:
        assert (workers.count, workers.local) == (2, False)
        assert sorted(seen(workers, tmp_path / "a").values()) == ["3", "5"]
        workers.executor.shutdown()
        workers.executor = workers.renew()  # after a death
        assert sorted(seen(workers, tmp_path / "b").values()) == ["3", "5"]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") not in ("3", "5")


def test_more_workers_than_devices_share_them(tmp_path):
    with open_workers("processes", 3, on_cpu=False, devices=["3", "5"]) as workers:
        assert sorted(seen(workers, tmp_path / "a").values()) == ["3", "3", "5"]


def test_threads_stay_on_the_device_of_this_process():
    with open_workers(None, None, on_cpu=False, devices=["3", "5"]) as workers:
        assert (workers.count, workers.local) == (1, True)


def test_on_a_cpu_nothing_is_hidden(data, tmp_path):
    with open_workers("processes", 1, on_cpu=True) as workers:
        assert set(seen(workers, tmp_path / "a").values()) == {os.environ.get("CUDA_VISIBLE_DEVICES")}


def test_a_sweep_over_devices_gives_the_same_table(data, monkeypatch):
    space, fixed = {"lr": [0.01, 0.1, 1.0], "hidden": [(5,), (4, 3)]}, {"seeds": 2, "epochs": 2}
    expected = xbnet.sweep(space, data, workers=1, **fixed)
    opened = []
    open_pool = executors.open_pool
    monkeypatch.setattr(executors, "open_pool", lambda *a: opened.append(a) or open_pool(*a))
    monkeypatch.setattr(engine, "visible_devices", lambda count: ["3", "5"])
    assert_same_table(expected, xbnet.sweep(space, data, executor="processes", workers=2, **fixed))
    assert opened == [(2, ["3", "5"])]


def test_what_is_free_on_one_device_is_free_on_each(data, monkeypatch):
    budgets = []
    plan = engine.make_plan
    monkeypatch.setattr(engine, "make_plan", lambda *a, **k: budgets.append(k["budget"]) or plan(*a, **k))
    monkeypatch.setattr(engine, "free_bytes", lambda backend: 2**30)
    monkeypatch.setattr(engine, "visible_devices", lambda count: ["3", "5"])
    for more in ({"executor": "processes", "workers": 1}, {}, {"executor": "processes", "workers": 1, "memory": 10**8}):
        xbnet.sweep({"lr": [0.1]}, data, epochs=1, **more)
    assert budgets == [2**30, 2**29, 10**8]


def test_dask_has_a_cluster_for_cuda(data, monkeypatch):
    distributed = pytest.importorskip("distributed")
    asked = {}

    def LocalCUDACluster(**keywords):
        asked.update(keywords)
        return distributed.LocalCluster(processes=False, **keywords)

    monkeypatch.setitem(sys.modules, "dask_cuda", types.SimpleNamespace(LocalCUDACluster=LocalCUDACluster))
    with open_workers("dask", None, on_cpu=False, devices=["3", "5"]) as workers:
        assert workers.executor.submit(np.add, 1, 2).result() == 3
    assert asked == {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    line = (
        "^sweep: a local Dask cluster on CUDA needs dask-cuda; install it with: pip install dask-cuda, "
        "or take --executor processes$"
    )
    with pytest.raises(BackendError, match=line), open_workers("dask", None, on_cpu=False, devices=["3"]):
        pass
